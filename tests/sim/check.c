/* The invariants of the cluster: one history, one leader a term, one vote a term. */
#include "tests/sim/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/txn.h"
#include "tests/sim/client.h"
#include "tests/sim/faults.h"
#include "tests/sim/model.h"
#include "tests/sim/net.h"
#include "tests/sim/node.h"

#define FAILOVERS_JUDGED_MIN 9u /* a median of fewer says nothing */
#define DIGEST_EVERY 512u       /* transactions */
#define COMPARE_EVERY_MS 5000u  /* a whole store with the model */

/* What was applied, by whoever applied it first; everybody else must agree. */
struct history_item {
    raft_index index;
    raft_term term;
    uint64_t hash; /* of the transaction's bytes */
    struct store_answer answer;
};

/* The state after so many transactions, and its hash. */
struct state_mark {
    uint64_t position;
    uint64_t hash;
};

struct mark_list {
    struct state_mark *marks;
    size_t count, room;
};

static struct history_item *history;
static uint64_t history_count;
static uint64_t history_room;
static struct mark_list digests;
static struct mark_list snapshots;
static raft_id *leaders; /* by term */
static raft_term leaders_room;
static uint64_t leader_died_ms; /* and nobody leads yet; 0: somebody does */
static uint64_t *failovers;     /* how long each took, in ms */
static size_t failover_count;

/* History. */

static void append_history(struct history_item item)
{
    if (history_count == history_room) {
        history_room = history_room == 0 ? 1024 : 2 * history_room;
        history = world_grow(history, (size_t)history_room * sizeof *history);
    }
    history[history_count++] = item;
}

static void compare_answers(const struct node *node, uint64_t position,
                            const struct store_answer *answer, const struct store_answer *expected)
{
    if (answer->status != expected->status || answer->revision != expected->revision ||
        answer->compare_index != expected->compare_index) {
        world_violation("ANSWER: n%llu: transaction %llu: status %d compare %u revision %llu, "
                        "expected status %d compare %u revision %llu",
                        node->id, (unsigned long long)position, (int)answer->status,
                        answer->compare_index, (unsigned long long)answer->revision,
                        (int)expected->status, expected->compare_index,
                        (unsigned long long)expected->revision);
    }
}

/* Nodes at the same place must have the same state. */
static void compare_state(struct mark_list *list, uint64_t position, uint64_t hash,
                          const struct node *node, const char *what)
{
    size_t i = list->count;

    while (i > 0 && list->marks[i - 1].position > position) {
        i--;
    }
    if (i > 0 && list->marks[i - 1].position == position) {
        if (list->marks[i - 1].hash != hash) {
            world_violation("STATE: n%llu: its %s after %llu transactions differs", node->id, what,
                            (unsigned long long)position);
        }
        return;
    }
    if (list->count == list->room) {
        list->room = list->room == 0 ? 64 : 2 * list->room;
        list->marks = world_grow(list->marks, list->room * sizeof *list->marks);
    }
    memmove(list->marks + i + 1, list->marks + i, (list->count - i) * sizeof *list->marks);
    list->marks[i] = (struct state_mark){.position = position, .hash = hash};
    list->count++;
}

static uint64_t digest_of(struct node *node)
{
    uint8_t digest[STORE_DIGEST_SIZE];
    enum qh_err err = store_digest(node->process->fsm.store, digest);

    QH_ASSERT(err == QH_OK);
    return world_hash(digest, sizeof digest);
}

static raft_term term_at(const struct node *node, raft_index index)
{
    const struct raft_entry *entry = guard_log_entry(&node->process->raft, index);

    return entry == NULL ? 0 : entry->term;
}

void check_applied(struct node *node, struct bytes transaction, const struct store_answer *answer)
{
    struct node_process *process = node->process;
    uint64_t position = process->position++;
    struct history_item item = {
        .index = process->raft.last_applied + 1,
        .hash = world_hash(transaction.base, transaction.size),
        .answer = *answer,
    };

    item.term = term_at(node, item.index);
    if (position == history_count) {
        struct store_answer expected = model_apply(transaction);

        compare_answers(node, position, answer, &expected);
        append_history(item);
        world.result->applied++;
        client_applied(transaction, answer);
    } else {
        const struct history_item *first = &history[position];

        if (first->hash != item.hash || first->index != item.index || first->term != item.term) {
            world_violation("HISTORY: n%llu applies another transaction %llu (index %llu term "
                            "%llu) than was applied before (index %llu term %llu)",
                            node->id, (unsigned long long)position, item.index, item.term,
                            first->index, first->term);
        }
        compare_answers(node, position, answer, &first->answer);
    }
    if (process->position % DIGEST_EVERY == 0) {
        compare_state(&digests, process->position, digest_of(node), node, "store");
    }
}

/* How many transactions stand at or before @index. */
static uint64_t position_of_index(raft_index index)
{
    uint64_t low = 0;
    uint64_t high = history_count;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (history[middle].index <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void check_restored(struct node *node)
{
    const struct disk_snapshot *snapshot = node->disk.snapshot;
    uint64_t position;
    uint64_t revision;

    QH_ASSERT(snapshot != NULL);
    position = position_of_index(snapshot->index);
    revision = position == 0 ? 0 : history[position - 1].answer.revision;
    if (store_revision(node->process->fsm.store) != revision) {
        world_violation("SNAPSHOT: n%llu: index %llu has revision %llu, expected %llu", node->id,
                        snapshot->index,
                        (unsigned long long)store_revision(node->process->fsm.store),
                        (unsigned long long)revision);
    }
    node->process->position = position;
    compare_state(&digests, position, digest_of(node), node, "restored store");
}

void check_snapshot(const struct node *node, const struct disk_snapshot *snapshot)
{
    raft_term term = term_at(node, snapshot->index);

    /* Encoded later than taken, so only the index says which state it must be. */
    compare_state(&snapshots, position_of_index(snapshot->index),
                  world_hash(snapshot->base, snapshot->size), node, "snapshot");
    if (term != 0 && term != snapshot->term) {
        world_violation("SNAPSHOT: n%llu: index %llu has term %llu, its log %llu", node->id,
                        snapshot->index, snapshot->term, term);
    }
}

/* Terms and votes. */

void check_term(const struct node *node, raft_term term)
{
    if (term < node->disk.term || (term == node->disk.term && node->disk.vote != 0)) {
        world_violation("TERM: n%llu goes from term %llu (vote %llu) to %llu", node->id,
                        node->disk.term, node->disk.vote, term);
    }
}

void check_vote(const struct node *node, raft_id vote)
{
    if (node->disk.vote != 0 && node->disk.vote != vote) {
        world_violation("VOTE: n%llu in term %llu voted for n%llu and now for n%llu", node->id,
                        node->disk.term, node->disk.vote, vote);
    }
}

static int compare_ms(const void *left, const void *right)
{
    uint64_t a;
    uint64_t b;

    memcpy(&a, left, sizeof a);
    memcpy(&b, right, sizeof b);
    return (a > b) - (a < b);
}

static void note_leader(const struct node *node, raft_term term)
{
    if (term >= leaders_room) {
        raft_term room = 2 * term + 64;

        leaders = world_grow(leaders, (size_t)room * sizeof *leaders);
        memset(leaders + leaders_room, 0, (size_t)(room - leaders_room) * sizeof *leaders);
        leaders_room = room;
    }
    if (leaders[term] == 0) {
        leaders[term] = node->id;
        world.result->elections++;
        world_trace("n%llu: LEADS term %llu, last %llu, commit %llu", node->id, term,
                    node->process->raft.last_stored, node->process->raft.commit_index);
    } else if (leaders[term] != node->id) {
        world_violation("LEADERS: n%llu and n%llu both lead term %llu", leaders[term], node->id,
                        term);
    }
}

static bool address_is_known(const struct raft_message *message)
{
    return message->server_id != 0 && node_of_id(message->server_id) != NULL &&
           message->server_address != NULL &&
           strcmp(message->server_address, node_name(message->server_id)) == 0;
}

void check_send(const struct node *node, const struct raft_message *message)
{
    if (!address_is_known(message) || message->server_id == node->id) {
        world_violation("BAD-SEND: n%llu in state %d sends type %d to id %llu", node->id,
                        node->process->raft.state, message->type, message->server_id);
    }
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        note_leader(node, message->append_entries.term);
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        note_leader(node, message->install_snapshot.term);
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        if (message->request_vote_result.vote_granted &&
            message->request_vote_result.pre_vote != raft_tribool_true &&
            (message->request_vote_result.term != node->disk.term ||
             message->server_id != node->disk.vote)) {
            world_violation("VOTE: n%llu grants n%llu a vote that is not on its disk", node->id,
                            message->server_id);
        }
        break;
    default:
        break;
    }
}

/* Leaders that come and go. */

static void note_failover(void)
{
    if (leader_died_ms != 0) {
        failovers = world_grow(failovers, (failover_count + 1) * sizeof *failovers);
        failovers[failover_count++] = world.now_ms - leader_died_ms;
        leader_died_ms = 0;
    }
}

void check_node(struct node *node)
{
    struct node_process *process = node->process;

    if (!process->started) {
        return;
    }
    if (process->raft.state == RAFT_LEADER && process->led != process->raft.current_term) {
        process->led = process->raft.current_term;
        note_leader(node, process->raft.current_term);
        faults_new_leader(node);
    }
    if (node_leader_ready(node)) {
        note_failover();
    }
    if (process->raft.last_applied > process->raft.commit_index &&
        process->raft.log.snapshot.last_index == 0) {
        world_violation("APPLIED: n%llu applied %llu and committed %llu", node->id,
                        process->raft.last_applied, process->raft.commit_index);
    }
}

void check_died(const struct node *node)
{
    bool ready = node->process->raft.state == RAFT_LEADER;

    for (raft_id id = 1; id <= world.scenario->nodes && ready; id++) {
        ready = id == node->id || !node_leader_ready(node_of_id(id));
    }
    if (ready) {
        leader_died_ms = world.now_ms;
    }
}

/* A store that has seen everything must be what the model is. */
static void compare_model(struct node *node)
{
    if (node->state == NODE_UP && node->process->position == history_count &&
        !model_equals(node->process->fsm.store)) {
        world_violation("MODEL: n%llu: its store differs from the model at revision %llu", node->id,
                        (unsigned long long)model_revision());
    }
}

static void compare_some(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    world_after(COMPARE_EVERY_MS, NULL, compare_some, NULL);
    compare_model(node_of_id(world_between(1, world.scenario->nodes)));
}

/* There must be a leader soon after the faults stop, and not only at the end. */
static void expect_leader(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        if (node_leader_ready(node_of_id(id))) {
            return;
        }
    }
    for (raft_id id = 1; world.trace && id <= world.scenario->nodes; id++) {
        const struct node *node = node_of_id(id);

        if (node->state == NODE_UP) {
            const struct raft *raft = &node->process->raft;

            world_trace("n%llu: state %d term %llu stored %llu commit %llu applied %llu snapshot "
                        "%llu configuration %llu uncommitted %llu voters %u",
                        id, raft->state, raft->current_term, raft->last_stored, raft->commit_index,
                        raft->last_applied, raft->log.snapshot.last_index,
                        raft->configuration_index, raft->configuration_uncommitted_index,
                        raft->configuration.n);
        }
    }
    world_stuck("LEADER: none %u s after healing", world.scenario->heal_seconds / 2);
}

void check_setup(void)
{
    const struct scenario *scenario = world.scenario;

    world_after(COMPARE_EVERY_MS, NULL, compare_some, NULL);
    world_after(1000ull * scenario->seconds + 500ull * scenario->heal_seconds, NULL, expect_leader,
                NULL);
}

static const struct node *find_leader(void)
{
    const struct node *leader = NULL;

    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        const struct node *node = node_of_id(id);

        if (node_leader_ready(node) && (leader == NULL || node->process->raft.current_term >
                                                              leader->process->raft.current_term)) {
            leader = node;
        }
    }
    return leader;
}

bool check_is_member(raft_id id)
{
    const struct node *node = find_leader();
    const struct raft *leader;

    if (node == NULL) {
        return false;
    }
    leader = &node->process->raft;
    for (unsigned i = 0; i < leader->configuration.n; i++) {
        if (leader->configuration.servers[i].id == id) {
            return leader->configuration.servers[i].role != RAFT_SPARE;
        }
    }
    return false;
}

static void check_member(struct node *node, const struct node *leader)
{
    const struct node_process *process = node->process;

    if (process->position != history_count) {
        world_stuck("BEHIND: n%llu has %llu of %llu transactions (state %d term %llu last stored "
                    "%llu commit %llu; leader n%llu term %llu stored %llu commit %llu)",
                    node->id, (unsigned long long)process->position,
                    (unsigned long long)history_count, process->raft.state,
                    process->raft.current_term, process->raft.last_stored,
                    process->raft.commit_index, leader->id, leader->process->raft.current_term,
                    leader->process->raft.last_stored, leader->process->raft.commit_index);
    }
    compare_model(node);
    compare_state(&digests, history_count, digest_of(node), node, "final store");
    if (process->applies != 0 || propose_pending(process->propose) != 0) {
        world_stuck("CALLBACK: n%llu: %u entries and %u proposals are without an answer", node->id,
                    process->applies, propose_pending(process->propose));
    }
}

void check_end(void)
{
    const struct node *leader = find_leader();
    unsigned bound = world.scenario->failover_max_ms;

    if (leader == NULL) {
        world_stuck("LEADER: none at the end");
    }
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        struct node *node = node_of_id(id);

        if (node->state == NODE_UP && check_is_member(id)) {
            check_member(node, leader);
        }
    }
    if (failover_count >= FAILOVERS_JUDGED_MIN) {
        qsort(failovers, failover_count, sizeof *failovers, compare_ms);
        world.result->failovers = failover_count;
        world.result->failover_p50_ms = failovers[failover_count / 2];
    }
    /* Without R5 the guard forgets no leader. */
    if (bound != 0 && (world.rules & GUARD_R5_NO_GARBAGE_REPLY) != 0 &&
        world.result->failover_p50_ms > bound) {
        world_violation("FAILOVER: the median of %zu is %llu ms, above %u", failover_count,
                        (unsigned long long)world.result->failover_p50_ms, bound);
    }
}
