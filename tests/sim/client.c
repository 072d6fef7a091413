/* Requests, submissions, and the ledger. */
#include "tests/sim/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/txn.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"

/* Of a shorter history, which may be one election or one partition, rates and latencies say
 * nothing. */
#define SECONDS_JUDGED_MIN 40u
#define KEYS 40u
#define ATTEMPTS_MAX 4u   /* submissions of one request */
#define LATE_MS 100u      /* after its deadline a submission must have its answer */
#define WARM_UP_MS 10000u /* the first election is no matter of latency */
#define FLUSH_MS 4000u    /* after healing, every node is given a request */
#define BIG_VALUE_SIZE 40000u
#define ID_TAG 0x71756164u

enum submission_state {
    SUBMISSION_PENDING,
    SUBMISSION_ACKED,   /* must be in the history */
    SUBMISSION_NEVER,   /* must never be */
    SUBMISSION_UNKNOWN, /* either */
};

/* One transaction of a request, handed to one node. */
struct submission {
    struct request *request;
    enum submission_state state;
    struct node *node;
    unsigned life;
    uint64_t hash; /* of the bytes: no two submissions have the same */
    uint64_t submitted_ms, deadline_ms;
    bool refused; /* the history has it, refused by a compare */
    bool flush;
};

/* What a client wants once. */
struct request {
    uint64_t number;
    unsigned key;
    unsigned attempts;
    bool applied;          /* something under its id is in the history */
    uint64_t applied_hash; /* that is no submission: a fence */
    uint64_t applied_revision;
    bool fenced; /* a node was told that the id is used up */
    struct submission submissions[ATTEMPTS_MAX];
};

static struct request **requests; /* by number */
static uint64_t request_count;
static uint64_t request_room;
static struct submission **pending;
static unsigned pending_count;
static uint64_t *latencies;
static uint64_t latency_count;

static void make_id(uint64_t number, uint8_t ret_id[ONCE_ID_SIZE])
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, ret_id, ONCE_ID_SIZE);
    bytes_write_u64(&writer, world_hash(&number, sizeof number));
    bytes_write_u32(&writer, ID_TAG);
    bytes_write_u32(&writer, (uint32_t)number);
}

static struct request *find_request(const uint8_t id[ONCE_ID_SIZE])
{
    struct bytes_reader reader;
    uint64_t number;

    bytes_reader_init(&reader, id, ONCE_ID_SIZE);
    (void)bytes_read_u64(&reader);
    if (bytes_read_u32(&reader) != ID_TAG) {
        return NULL;
    }
    number = bytes_read_u32(&reader);
    return number < request_count ? requests[number] : NULL;
}

/* The ledger. */

static void forget_pending(const struct submission *submission)
{
    for (unsigned i = 0; i < pending_count; i++) {
        if (pending[i] == submission) {
            pending[i] = pending[--pending_count];
            return;
        }
    }
    world_violation("CALLBACK: request %llu: its callback came twice",
                    (unsigned long long)submission->request->number);
}

static const struct submission *find_by_hash(const struct request *request, uint64_t hash)
{
    for (unsigned i = 0; i < request->attempts; i++) {
        if (request->submissions[i].hash == hash) {
            return &request->submissions[i];
        }
    }
    return NULL;
}

void client_applied(struct bytes transaction, const struct store_answer *answer)
{
    static struct txn txn;
    uint64_t hash = world_hash(transaction.base, transaction.size);
    const struct submission *submission;
    struct request *request;

    if (txn_decode(transaction, &txn) != QH_OK || (request = find_request(txn.id)) == NULL) {
        world_violation("HISTORY: a transaction that nobody submitted");
    }
    submission = find_by_hash(request, hash);
    if (answer->status != STORE_APPLIED) {
        if (submission != NULL) {
            request->submissions[submission - request->submissions].refused = true;
        }
        return;
    }
    if (request->applied) {
        world_violation("TWICE: request %llu is applied at revisions %llu and %llu",
                        (unsigned long long)request->number,
                        (unsigned long long)request->applied_revision,
                        (unsigned long long)answer->revision);
    }
    if (submission != NULL && (submission->state == SUBMISSION_NEVER || request->fenced)) {
        world_violation("REFUSED: request %llu is applied at revision %llu though a client was "
                        "told that it never will be",
                        (unsigned long long)request->number, (unsigned long long)answer->revision);
    }
    request->applied = true;
    request->applied_hash = hash;
    request->applied_revision = answer->revision;
}

static void expect_applied(const struct submission *submission, const char *told)
{
    if (!submission->request->applied) {
        world_violation("RESULT: request %llu at n%llu: told %s, and it is not in the history",
                        (unsigned long long)submission->request->number, submission->node->id,
                        told);
    }
}

static void note_acked(struct submission *submission, const struct propose_result *result)
{
    const struct request *request = submission->request;

    expect_applied(submission, "applied");
    if (find_by_hash(request, request->applied_hash) == NULL ||
        result->answer.revision != request->applied_revision) {
        world_violation("RESULT: request %llu at n%llu: told applied at revision %llu, history "
                        "has revision %llu",
                        (unsigned long long)request->number, submission->node->id,
                        (unsigned long long)result->answer.revision,
                        (unsigned long long)request->applied_revision);
    }
    submission->state = SUBMISSION_ACKED;
    world.result->acked++;
    if (submission->submitted_ms > WARM_UP_MS) {
        latencies = world_grow(latencies, (size_t)(latency_count + 1) * sizeof *latencies);
        latencies[latency_count++] = world.now_ms - submission->submitted_ms;
    }
}

/* The answer is read in the store of the node that said so. */
static void note_duplicate(struct submission *submission)
{
    const struct request *request = submission->request;
    uint8_t id[ONCE_ID_SIZE];
    uint8_t key[ONCE_KEY_SIZE];
    struct store_record record;
    bool fence;

    expect_applied(submission, "duplicate");
    make_id(request->number, id);
    txn_once_key(id, key);
    fence = find_by_hash(request, request->applied_hash) == NULL;
    if (!store_get(submission->node->process->fsm.store,
                   (struct bytes){.base = key, .size = sizeof key}, &record) ||
        (record.value.size == 0) != fence) {
        world_violation("RESULT: request %llu at n%llu: told duplicate, and r/<id> does not say so",
                        (unsigned long long)request->number, submission->node->id);
    }
    submission->state = SUBMISSION_ACKED;
    world.result->duplicates++;
}

static void note_refused(struct submission *submission, const struct propose_result *result)
{
    struct request *request = submission->request;
    bool applied = request->applied && request->applied_hash == submission->hash;

    if (applied || (result->fenced && !request->applied) ||
        (result->fenced && find_by_hash(request, request->applied_hash) != NULL)) {
        world_violation("REFUSED: request %llu at n%llu: told refused%s, but the history has it",
                        (unsigned long long)request->number, submission->node->id,
                        result->fenced ? " and fenced" : "");
    }
    if (!result->fenced && !submission->refused) {
        world_violation("REFUSED: request %llu at n%llu: told refused, but no replica refused it",
                        (unsigned long long)request->number, submission->node->id);
    }
    request->fenced = request->fenced || result->fenced;
    submission->state = SUBMISSION_NEVER;
    world.result->refused++;
    world.result->fenced += result->fenced;
}

static void submit(struct request *request, bool flush, struct node *node);

/* As a client's library does: the same request, at another node. */
static void retry(struct request *request)
{
    struct node *node = node_of_id(world_between(1, world.scenario->nodes));

    if (request->attempts < ATTEMPTS_MAX && !world.healed && node->state == NODE_UP &&
        world_chance(0.8)) {
        submit(request, false, node);
    }
}

static void retry_later(struct node *nobody, void *data)
{
    (void)nobody;
    retry(data);
}

static void note_failed(struct submission *submission, enum qh_err err)
{
    if (err == QH_ETIMEOUT) {
        if (submission->request->applied && submission->request->applied_hash == submission->hash) {
            world_violation("RESULT: request %llu at n%llu: told never sent, but it is applied",
                            (unsigned long long)submission->request->number, submission->node->id);
        }
        submission->state = SUBMISSION_NEVER;
        world.result->never_sent++;
    } else {
        submission->state = SUBMISSION_UNKNOWN;
        world.result->unknown++;
    }
    world_after(world_between(0, 500), NULL, retry_later, submission->request);
}

static void answered(void *data, const struct propose_result *result)
{
    struct submission *submission = data;

    if (submission->life != submission->node->life || submission->node->state != NODE_UP) {
        return; /* the process is dead, and only frees its memory */
    }
    forget_pending(submission);
    switch (result->outcome) {
    case PROPOSE_APPLIED:
        note_acked(submission, result);
        break;
    case PROPOSE_DUPLICATE:
        note_duplicate(submission);
        break;
    case PROPOSE_REFUSED:
        note_refused(submission, result);
        break;
    case PROPOSE_FAILED:
        note_failed(submission, result->err);
        break;
    }
}

void client_node_died(const struct node *node)
{
    unsigned i = 0;

    while (i < pending_count) {
        struct submission *submission = pending[i];

        if (submission->node == node) {
            pending[i] = pending[--pending_count];
            submission->state = SUBMISSION_UNKNOWN;
            world.result->unknown++;
            world_after(world_between(1, 500), NULL, retry_later, submission->request);
        } else {
            i++;
        }
    }
}

/* Transactions. */

static struct bytes key_of(unsigned key, uint8_t room[8])
{
    static const char groups[] = "abcd";

    room[0] = 'k';
    room[1] = '/';
    room[2] = (uint8_t)groups[key % 4];
    room[3] = '/';
    room[4] = (uint8_t)('0' + key / 10);
    room[5] = (uint8_t)('0' + key % 10);
    return (struct bytes){.base = room, .size = 6};
}

static uint64_t value_size(void)
{
    if (world_chance(0.002)) {
        return world_between(0, BIG_VALUE_SIZE);
    }
    return world_chance(0.05) ? world_between(0, 2000) : world_between(0, 40);
}

/* A compare that the client believes to hold, and that sometimes does not. */
static void add_compare(struct txn_builder *builder, const struct store *store, struct bytes key)
{
    struct store_record record;
    struct bytes prefix = {.base = key.base, .size = 4};
    uint64_t count = store_count_prefix(store, prefix);

    switch (world_between(0, 4)) {
    case 0:
        if (store_get(store, key, &record)) {
            txn_build_compare(builder, TXN_AT_REVISION, key, record.mod_revision);
        } else {
            txn_build_compare(builder, TXN_ABSENT, key, 0);
        }
        break;
    case 1:
        txn_build_compare(builder, TXN_ABSENT, key, 0);
        break;
    case 2:
        txn_build_compare(builder, TXN_FEWER_THAN, prefix, count + world_between(0, 2));
        break;
    case 3:
        txn_build_compare(builder, TXN_AT_REVISION, key,
                          store_get(store, key, &record) ? record.mod_revision : 1);
        break;
    default:
        break;
    }
}

static struct bytes build(const struct request *request, const struct store *store)
{
    static uint8_t value[BIG_VALUE_SIZE];
    uint64_t answer = request->number * ATTEMPTS_MAX + request->attempts;
    uint8_t id[ONCE_ID_SIZE];
    uint8_t room[8];
    struct bytes key = key_of(request->key, room);
    struct txn_builder builder;
    struct bytes encoded;
    enum qh_err err;

    make_id(request->number, id);
    /* The answer makes the bytes of this submission its own. */
    txn_build_once(&builder, id, store_revision(store),
                   (struct bytes){.base = (const uint8_t *)&answer, .size = sizeof answer});
    add_compare(&builder, store, key);
    if (world_chance(0.2)) {
        txn_build_delete(&builder, key);
    } else {
        memset(value, (int)(request->number & 0xff), sizeof value);
        txn_build_put(&builder, key, (struct bytes){.base = value, .size = (size_t)value_size()},
                      world_chance(0.1) ? (uint32_t)world_between(1, 100) : 0);
    }
    err = txn_build_end(&builder, &encoded);
    QH_ASSERT(err == QH_OK);
    return encoded;
}

static void submit(struct request *request, bool flush, struct node *node)
{
    struct submission *submission = &request->submissions[request->attempts];
    struct bytes transaction;
    enum qh_err err;

    node_enter(node);
    transaction = build(request, node->process->fsm.store);
    *submission = (struct submission){
        .request = request,
        .node = node,
        .life = node->life,
        .hash = world_hash(transaction.base, transaction.size),
        .submitted_ms = world.now_ms,
        .deadline_ms = world.now_ms + (flush ? 10000 : world_between(200, 8000)),
        .flush = flush,
    };
    request->attempts++;
    pending = world_grow(pending, (pending_count + 1) * sizeof(struct submission *));
    pending[pending_count++] = submission;
    err = propose_submit(node->process->propose, transaction, world.now_ms, submission->deadline_ms,
                         answered, submission);
    free((void *)(uintptr_t)transaction.base);
    world.result->submitted++;
    if (err != QH_OK) {
        forget_pending(submission);
        submission->state = SUBMISSION_NEVER;
    }
}

static struct request *new_request(void)
{
    struct request *request = world_alloc(sizeof *request);

    request->number = request_count;
    request->key = (unsigned)world_between(0, KEYS - 1);
    if (request_count == request_room) {
        request_room = request_room == 0 ? 1024 : 2 * request_room;
        requests = world_grow(requests, (size_t)request_room * sizeof(struct request *));
    }
    requests[request_count++] = request;
    return request;
}

static void arrive(struct node *nobody, void *data)
{
    const struct scenario *scenario = world.scenario;
    struct node *node = node_of_id(world_between(1, scenario->nodes));

    (void)nobody;
    (void)data;
    if (world.healed) {
        return;
    }
    world_after(world_between(1, 2ull * scenario->rate_ms - 1), NULL, arrive, NULL);
    if (node->state == NODE_UP && node->process->started && pending_count < scenario->pending_max) {
        struct request *request = new_request();

        submit(request, false, node);
        if (world_chance(0.03)) {
            world_after(world_between(0, 300), NULL, retry_later, request);
        }
    }
}

/* An answer may be late by a tick, not more. */
static void look_for_late(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    world_after(LATE_MS, NULL, look_for_late, NULL);
    for (unsigned i = 0; i < pending_count; i++) {
        if (world.now_ms > pending[i]->deadline_ms + LATE_MS) {
            world_violation("DEADLINE: request %llu at n%llu has no answer %u ms after it",
                            (unsigned long long)pending[i]->request->number, pending[i]->node->id,
                            LATE_MS);
        }
    }
}

/* Something for everybody to do after the faults, so that whatever hangs shows. */
static void flush(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        struct node *node = node_of_id(id);

        if (node->state == NODE_UP && node->process->started) {
            submit(new_request(), true, node);
            node_enter(NULL);
        }
    }
}

void client_setup(void)
{
    const struct scenario *scenario = world.scenario;
    uint64_t heal_ms = 1000ull * scenario->seconds;

    world_after(100, NULL, arrive, NULL);
    world_after(LATE_MS, NULL, look_for_late, NULL);
    world_after(heal_ms + 500ull * scenario->heal_seconds, NULL, flush, NULL);
    world_after(heal_ms + 500ull * scenario->heal_seconds + FLUSH_MS, NULL, flush, NULL);
}

static int compare_ms(const void *left, const void *right)
{
    uint64_t a;
    uint64_t b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

void client_end(void)
{
    unsigned bound = world.scenario->latency_max_ms;

    if (pending_count > 0) {
        world_stuck("ANSWER: %u requests have none", pending_count);
    }
    if (world.scenario->seconds < SECONDS_JUDGED_MIN) {
        return;
    }
    if (latency_count == 0) {
        world_stuck("ACKED: not one request was");
    }
    qsort(latencies, (size_t)latency_count, sizeof *latencies, compare_ms);
    world.result->latency_p50_ms = latencies[latency_count / 2];
    world.result->latency_p99_ms = latencies[latency_count * 99 / 100];
    if (bound != 0 && world.result->latency_p99_ms > bound) {
        world_violation("LATENCY: p99 is %llu ms, above %u",
                        (unsigned long long)world.result->latency_p99_ms, bound);
    }
    for (uint64_t i = 0; i < request_count; i++) {
        for (unsigned k = 0; k < requests[i]->attempts; k++) {
            const struct submission *submission = &requests[i]->submissions[k];

            if (submission->state == SUBMISSION_ACKED && !requests[i]->applied) {
                world_violation("LOST: request %llu", (unsigned long long)i);
            }
            if (submission->flush && submission->state == SUBMISSION_UNKNOWN &&
                check_is_member(submission->node->id)) {
                world_stuck("ANSWER: n%llu could not get a request through after healing",
                            submission->node->id);
            }
        }
    }
}
