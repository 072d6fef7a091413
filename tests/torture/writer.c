/* A continuous load of writes that remembers what was acknowledged. */
#include "tests/torture/writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u
#define RETRY_AFTER_MS 30u /* before another node is asked */
#define TIMEOUT_MIN_MS 50u
#define CREDIT_MAX 64.0 /* writes: a driver that was held up does not catch up in one burst */
#define TURN_MS 2u
#define VERIFY_WINDOW 512u /* questions under way at a node */
#define HEX_SIZE (2u * ONCE_ID_SIZE + 1u)

/* "t/" and "r/" in hex: the key of a write, and of the store's record of its answer. */
#define KEY_PREFIX "742f"
#define ANSWER_PREFIX "722f"
#define PREFIX_LENGTH 4u

static void encode_id(const uint8_t id[ONCE_ID_SIZE], char ret_hex[HEX_SIZE])
{
    (void)sodium_bin2hex(ret_hex, HEX_SIZE, id, ONCE_ID_SIZE);
}

static bool decode_id(const char *hex, uint8_t ret_id[ONCE_ID_SIZE])
{
    size_t size;

    return strlen(hex) >= HEX_SIZE - 1 &&
           sodium_hex2bin(ret_id, ONCE_ID_SIZE, hex, HEX_SIZE - 1, NULL, &size, NULL) == 0 &&
           size == ONCE_ID_SIZE;
}

static void note_violation(struct writer *writer, const struct cluster_node *node, const char *what,
                           const char *line)
{
    if (writer->counters.violations++ < 10) {
        (void)printf("  VIOLATION at %s: %s: %s\n", node->name, what, line);
    }
}

static struct writer_request *find_request(struct writer *writer, const uint8_t id[ONCE_ID_SIZE])
{
    for (unsigned i = 0; i < WRITER_REQUESTS_MAX; i++) {
        struct writer_request *request = &writer->requests[i];

        if (request->state != WRITER_FREE && memcmp(request->id, id, ONCE_ID_SIZE) == 0) {
            return request;
        }
    }
    return NULL;
}

static unsigned index_of(const struct writer *writer, const struct cluster_node *node)
{
    return (unsigned)(node - writer->cluster->nodes);
}

static void release_request(struct writer *writer, struct writer_request *request)
{
    request->state = WRITER_FREE;
    writer->busy--;
}

static void remember_ack(struct writer *writer, const uint8_t id[ONCE_ID_SIZE], uint64_t revision)
{
    struct writer_ack *ack;

    if (writer->ack_count == writer->ack_room) {
        writer->ack_room = writer->ack_room == 0 ? 4096 : 2 * writer->ack_room;
        writer->acks = realloc(writer->acks, writer->ack_room * sizeof *writer->acks);
        if (writer->acks == NULL) {
            abort();
        }
    }
    ack = &writer->acks[writer->ack_count++];
    memcpy(ack->id, id, ONCE_ID_SIZE);
    ack->revision = revision;
}

static void remember_refused(struct writer *writer, const uint8_t id[ONCE_ID_SIZE])
{
    if (writer->refused_count == writer->refused_room) {
        writer->refused_room = writer->refused_room == 0 ? 64 : 2 * writer->refused_room;
        writer->refused = realloc(writer->refused, writer->refused_room * sizeof *writer->refused);
        if (writer->refused == NULL) {
            abort();
        }
    }
    memcpy(writer->refused[writer->refused_count++], id, ONCE_ID_SIZE);
    writer->counters.refused++;
}

static void measure_pause(struct writer *writer, uint64_t now_ns)
{
    if (now_ns - writer->last_ack_ns > writer->pause_ns) {
        writer->pause_ns = now_ns - writer->last_ack_ns;
    }
    writer->last_ack_ns = now_ns;
}

static void finish_acknowledged(struct writer *writer, struct writer_request *request,
                                uint64_t revision)
{
    measure_pause(writer, clock_monotonic_ns());
    remember_ack(writer, request->id, revision);
    writer->counters.acknowledged++;
    writer->acks_of[request->node]++;
    release_request(writer, request);
}

static void wait_for_retry(struct writer_request *request)
{
    request->state = WRITER_WAITING;
    request->retry_ns = clock_monotonic_ns() + (uint64_t)RETRY_AFTER_MS * NS_PER_MS;
}

/* The same node answers, from the replica that knows of the duplicate. A node that was sent a
 * snapshot in the middle of a request learns from it that the request was done. */
static void ask_get(struct writer *writer, struct writer_request *request, enum writer_state state)
{
    char line[16 + PREFIX_LENGTH + HEX_SIZE];
    char hex[HEX_SIZE];

    encode_id(request->id, hex);
    (void)snprintf(line, sizeof line, "get %s%s",
                   state == WRITER_CHECKING ? KEY_PREFIX : ANSWER_PREFIX, hex);
    if (cluster_send(&writer->cluster->nodes[request->node], line)) {
        request->state = state;
        writer->outstanding[request->node]++;
    } else {
        wait_for_retry(request);
    }
}

/* "ID applied REVISION", "ID duplicate", "ID refused COMPARE" or "ID failed ERROR". */
static void take_put(struct writer *writer, struct cluster_node *node,
                     struct writer_request *request, const char *line)
{
    const char *outcome = line + HEX_SIZE;

    writer->outstanding[request->node]--;
    if (strncmp(outcome, "applied ", 8) == 0) {
        finish_acknowledged(writer, request, strtoull(outcome + 8, NULL, 10));
    } else if (strcmp(outcome, "duplicate") == 0) {
        ask_get(writer, request, WRITER_CHECKING);
    } else if (strncmp(outcome, "refused ", 8) == 0) {
        remember_refused(writer, request->id);
        release_request(writer, request);
    } else if (strncmp(outcome, "failed ", 7) == 0) {
        writer->counters.failed++;
        wait_for_retry(request);
    } else {
        note_violation(writer, node, "not an answer", line);
        wait_for_retry(request);
    }
}

/* "get KEY REVISION SIZE" or "get KEY absent", about a duplicate. */
static void take_get(struct writer *writer, struct cluster_node *node,
                     struct writer_request *request, const char *line)
{
    const char *answer = line + strlen("get " KEY_PREFIX) + HEX_SIZE;
    bool absent = strcmp(answer, "absent") == 0;

    writer->outstanding[request->node]--;
    if (request->state == WRITER_CHECKING && absent) {
        ask_get(writer, request, WRITER_CHECKING_ANSWER);
    } else if (request->state == WRITER_CHECKING) {
        writer->counters.duplicates++;
        finish_acknowledged(writer, request, strtoull(answer, NULL, 10));
    } else {
        const char *size = strchr(answer, ' ');

        /* An empty answer stands for a refusal that is final. */
        if (absent || size == NULL || strcmp(size, " 0") != 0) {
            note_violation(writer, node, "a duplicate whose key is absent", line);
        }
        remember_refused(writer, request->id);
        release_request(writer, request);
    }
}

static void on_answer(void *data, struct cluster_node *node, const char *line)
{
    struct writer *writer = data;
    bool is_get = strncmp(line, "get ", 4) == 0;
    size_t id_at = is_get ? strlen("get " KEY_PREFIX) : 0;
    struct writer_request *request = NULL;
    uint8_t id[ONCE_ID_SIZE];

    if (strlen(line) > id_at + HEX_SIZE && decode_id(line + id_at, id)) {
        request = find_request(writer, id);
    }
    if (request == NULL || request->node != index_of(writer, node)) {
        note_violation(writer, node, "an answer that nobody asked for", line);
    } else if (is_get &&
               (request->state == WRITER_CHECKING || request->state == WRITER_CHECKING_ANSWER)) {
        take_get(writer, node, request, line);
    } else if (!is_get && request->state == WRITER_SENT) {
        take_put(writer, node, request, line);
    } else {
        note_violation(writer, node, "a second answer", line);
    }
}

static void on_lost(void *data, struct cluster_node *node)
{
    struct writer *writer = data;
    unsigned index = index_of(writer, node);

    for (unsigned i = 0; i < WRITER_REQUESTS_MAX; i++) {
        struct writer_request *request = &writer->requests[i];

        if (request->state != WRITER_FREE && request->state != WRITER_WAITING &&
            request->node == index) {
            wait_for_retry(request);
        }
    }
    writer->outstanding[index] = 0;
}

static unsigned pick_timeout(const struct writer *writer)
{
    return TIMEOUT_MIN_MS +
           randombytes_uniform(writer->options.timeout_max_ms - TIMEOUT_MIN_MS + 1);
}

static bool send_put(struct writer *writer, struct writer_request *request, unsigned index)
{
    char hex[HEX_SIZE];
    char line[3 * HEX_SIZE + 64];

    encode_id(request->id, hex);
    (void)snprintf(line, sizeof line, "put %s %s%s %u %u", hex, KEY_PREFIX, hex,
                   writer->options.value_size, pick_timeout(writer));
    if (!cluster_send(&writer->cluster->nodes[index], line)) {
        return false;
    }
    request->state = WRITER_SENT;
    request->node = index;
    request->attempts++;
    writer->counters.retried += request->attempts > 1;
    writer->outstanding[index]++;
    return true;
}

/* The next node in turn that is connected and not full; not @avoid if there is another. */
static bool pick_node(struct writer *writer, unsigned avoid, unsigned *ret_index)
{
    const struct cluster *cluster = writer->cluster;
    bool found = false;

    for (unsigned i = 0; i < cluster->count; i++) {
        unsigned index = (writer->next_node + i) % cluster->count;

        if (cluster->nodes[index].fd >= 0 &&
            writer->outstanding[index] < writer->options.outstanding &&
            (!found || *ret_index == avoid)) {
            *ret_index = index;
            found = true;
        }
    }
    if (found) {
        writer->next_node = (*ret_index + 1) % cluster->count;
    }
    return found;
}

static void send_retries(struct writer *writer, uint64_t now_ns)
{
    unsigned index;

    for (unsigned i = 0; i < WRITER_REQUESTS_MAX; i++) {
        struct writer_request *request = &writer->requests[i];

        if (request->state == WRITER_WAITING && now_ns >= request->retry_ns &&
            pick_node(writer, request->node, &index) && !send_put(writer, request, index)) {
            wait_for_retry(request);
        }
    }
}

static struct writer_request *take_free_request(struct writer *writer)
{
    for (unsigned i = 0; i < WRITER_REQUESTS_MAX; i++) {
        if (writer->requests[i].state == WRITER_FREE) {
            return &writer->requests[i];
        }
    }
    return NULL;
}

static bool begin_write(struct writer *writer, uint64_t now_ns)
{
    struct writer_request *request;
    unsigned index;

    if (!pick_node(writer, CLUSTER_NODES_MAX, &index)) {
        return false;
    }
    request = take_free_request(writer);
    if (request == NULL) {
        return false;
    }
    memset(request, 0, sizeof *request);
    randombytes_buf(request->id, sizeof request->id);
    request->begin_ns = now_ns;
    if (!send_put(writer, request, index)) {
        return false;
    }
    writer->busy++;
    return true;
}

static void earn_credit(struct writer *writer, uint64_t now_ns)
{
    if (writer->options.rate == 0) {
        writer->credit = CREDIT_MAX;
    } else {
        writer->credit +=
            (double)(now_ns - writer->paced_ns) / NS_PER_S * (double)writer->options.rate;
    }
    if (writer->credit > CREDIT_MAX) {
        writer->credit = CREDIT_MAX;
    }
    writer->paced_ns = now_ns;
}

static void on_tick(void *data)
{
    struct writer *writer = data;
    uint64_t now_ns = clock_monotonic_ns();

    earn_credit(writer, now_ns);
    if (writer->busy > 0) {
        send_retries(writer, now_ns);
    }
    while (writer->on && writer->credit >= 1.0 && begin_write(writer, now_ns)) {
        writer->credit -= 1.0;
    }
}

void writer_init(struct writer *writer, struct cluster *cluster, struct writer_options options)
{
    memset(writer, 0, sizeof *writer);
    writer->cluster = cluster;
    writer->options = options;
    writer->paced_ns = clock_monotonic_ns();
    writer->last_ack_ns = writer->paced_ns;
    cluster->callbacks = (struct cluster_callbacks){
        .data = writer, .answer = on_answer, .lost = on_lost, .tick = on_tick};
}

void writer_close(struct writer *writer)
{
    writer->cluster->callbacks = (struct cluster_callbacks){0};
    free(writer->acks);
    free(writer->refused);
    writer->acks = NULL;
    writer->refused = NULL;
}

void writer_adopt(struct writer *writer, const struct writer_ack *acks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        remember_ack(writer, acks[i].id, acks[i].revision);
    }
}

void writer_watch(struct writer *writer)
{
    writer->last_ack_ns = clock_monotonic_ns();
    writer->pause_ns = 0;
}

uint64_t writer_watched(const struct writer *writer)
{
    uint64_t open_ns = clock_monotonic_ns() - writer->last_ack_ns;

    return open_ns > writer->pause_ns ? open_ns : writer->pause_ns;
}

bool writer_wait_acks(struct writer *writer, uint64_t count, unsigned timeout_ms)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    uint64_t goal = writer->counters.acknowledged + count;

    while (writer->counters.acknowledged < goal && clock_monotonic_ns() < end_ns) {
        cluster_poll(writer->cluster, TURN_MS);
    }
    return writer->counters.acknowledged >= goal;
}

bool writer_drain(struct writer *writer, unsigned timeout_ms)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;

    writer->on = false;
    while (writer->busy > 0 && clock_monotonic_ns() < end_ns) {
        cluster_poll(writer->cluster, TURN_MS);
    }
    return writer->busy == 0;
}

/* Every question that writer_verify() has put to one node. */
struct verify {
    struct writer *writer;
    struct cluster_node *node;
    size_t sent, answered;
    uint64_t wrong;
};

/* The answers come in the order of the questions. */
static void on_verify_answer(void *data, struct cluster_node *node, const char *line)
{
    struct verify *verify = data;
    const struct writer *writer = verify->writer;
    size_t index = verify->answered;
    bool acked = index < writer->ack_count;
    const uint8_t *id = acked ? writer->acks[index].id : writer->refused[index - writer->ack_count];
    char hex[HEX_SIZE];
    char expected[128];

    if (node != verify->node || strncmp(line, "get ", 4) != 0) {
        return;
    }
    encode_id(id, hex);
    if (acked) {
        (void)snprintf(expected, sizeof expected, "get " KEY_PREFIX "%s %llu %u", hex,
                       (unsigned long long)writer->acks[index].revision,
                       writer->options.value_size);
    } else {
        (void)snprintf(expected, sizeof expected, "get " KEY_PREFIX "%s absent", hex);
    }
    if (strcmp(line, expected) != 0 && verify->wrong++ < 5) {
        (void)printf("  VIOLATION at %s: expected \"%s\", got \"%s\"\n", node->name, expected,
                     line);
    }
    verify->answered++;
}

static void verify_node(struct verify *verify, unsigned timeout_ms)
{
    const struct writer *writer = verify->writer;
    size_t total = writer->ack_count + writer->refused_count;
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    char hex[HEX_SIZE];
    char line[16 + PREFIX_LENGTH + HEX_SIZE];

    while (verify->answered < total && clock_monotonic_ns() < end_ns) {
        while (verify->sent < total && verify->sent - verify->answered < VERIFY_WINDOW) {
            size_t i = verify->sent;

            encode_id(i < writer->ack_count ? writer->acks[i].id
                                            : writer->refused[i - writer->ack_count],
                      hex);
            (void)snprintf(line, sizeof line, "get " KEY_PREFIX "%s", hex);
            if (!cluster_send(verify->node, line)) {
                break;
            }
            verify->sent++;
        }
        cluster_poll(writer->cluster, TURN_MS);
    }
    if (verify->answered < total) {
        (void)printf("  VIOLATION at %s: %zu of %zu questions answered\n", verify->node->name,
                     verify->answered, total);
        verify->wrong++;
    }
}

uint64_t writer_verify(struct writer *writer, unsigned timeout_ms)
{
    struct cluster *cluster = writer->cluster;
    struct cluster_callbacks saved = cluster->callbacks;
    uint64_t wrong = 0;

    for (unsigned i = 0; i < cluster->count; i++) {
        struct verify verify = {.writer = writer, .node = &cluster->nodes[i]};

        if (verify.node->run == CLUSTER_RUNNING) {
            cluster->callbacks =
                (struct cluster_callbacks){.data = &verify, .answer = on_verify_answer};
            verify_node(&verify, timeout_ms);
            wrong += verify.wrong;
        }
    }
    cluster->callbacks = saved;
    return wrong;
}

bool writer_save(const struct writer *writer, const char *path)
{
    FILE *file = fopen(path, "we");
    char hex[HEX_SIZE];
    bool written;

    if (file == NULL) {
        return false;
    }
    for (size_t i = 0; i < writer->ack_count; i++) {
        encode_id(writer->acks[i].id, hex);
        (void)fprintf(file, KEY_PREFIX "%s\n", hex);
    }
    written = ferror(file) == 0;
    return fclose(file) == 0 && written;
}
