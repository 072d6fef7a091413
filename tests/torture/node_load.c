/* A load generator inside qh-node: what the benchmark measures. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/clock.h"
#include "store/txn.h"
#include "tests/torture/node.h"

#define LATENCIES_MAX 4000000u
#define LOAD_TIMEOUT_MS 10000u

struct load {
    struct node *node;
    uv_timer_t end;
    unsigned outstanding;
    unsigned size;
    uint64_t fill_count; /* records to write, each with a key of its own; 0: until end */
    uint64_t filled;
    unsigned under_way;
    bool ended;
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t failed;
    uint32_t *latencies_us;
    size_t latency_count;
    void (*done)(void *data, const char *line);
    void *data;
};

struct load_request {
    struct load *load;
    uint64_t begin_ns;
};

void node_fill_value(const uint8_t id[ONCE_ID_SIZE], uint8_t *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        value[i] = (uint8_t)(id[i % ONCE_ID_SIZE] + i / ONCE_ID_SIZE);
    }
}

QH_RESULT node_build_put(struct node *node, const uint8_t id[ONCE_ID_SIZE], struct bytes key,
                         size_t size, struct bytes *ret_encoded)
{
    uint8_t value[STORE_VALUE_SIZE_MAX];
    static const uint8_t done = 1;
    struct txn_builder builder;

    if (size > sizeof value) {
        return QH_ELIMIT;
    }
    node_fill_value(id, value, size);
    txn_build_once(&builder, id, store_revision(replica_store(node->replica)),
                   (struct bytes){.base = &done, .size = 1});
    txn_build_put(&builder, key, (struct bytes){.base = value, .size = size}, 0);
    return txn_build_end(&builder, ret_encoded);
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

static void on_end_closed(uv_handle_t *handle)
{
    struct load *load = handle->data;

    free(load->latencies_us);
    free(load);
}

static uint32_t percentile(const struct load *load, unsigned per_mille)
{
    if (load->latency_count == 0) {
        return 0;
    }
    return load->latencies_us[(load->latency_count - 1) * per_mille / 1000];
}

static void report_load(struct load *load)
{
    double seconds = (double)(load->end_ns - load->begin_ns) / 1e9;
    char line[256];

    qsort(load->latencies_us, load->latency_count, sizeof *load->latencies_us, compare_u32);
    (void)snprintf(
        line, sizeof line,
        "commits=%zu seconds=%.3f rate=%.0f p50_us=%u p99_us=%u max_us=%u failed=%" PRIu64,
        load->latency_count, seconds, (double)load->latency_count / seconds, percentile(load, 500),
        percentile(load, 990), percentile(load, 1000), load->failed);
    load->done(load->data, line);
    uv_close((uv_handle_t *)&load->end, on_end_closed);
}

static void submit_more(struct load *load);

static void on_result(void *data, const struct propose_result *result)
{
    struct load_request *request = data;
    struct load *load = request->load;
    uint64_t now_ns = clock_monotonic_ns();

    if (result->outcome == PROPOSE_APPLIED && load->latency_count < LATENCIES_MAX) {
        load->latencies_us[load->latency_count++] = (uint32_t)((now_ns - request->begin_ns) / 1000);
    } else if (result->outcome != PROPOSE_APPLIED) {
        load->failed++;
    }
    free(request);
    load->under_way--;
    submit_more(load);
}

/* One of 1,000 keys; when filling, the next one. */
static struct bytes make_key(struct load *load, const uint8_t id[ONCE_ID_SIZE], uint8_t key[10])
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, key, 10);
    if (load->fill_count > 0) {
        bytes_write_span(&writer, "f/", 2);
        bytes_write_u64(&writer, load->filled++);
    } else {
        bytes_write_span(&writer, "bench/", 6);
        bytes_write_u8(&writer, id[0] & 3);
        bytes_write_u8(&writer, id[1] % 250);
    }
    return (struct bytes){.base = key, .size = writer.size};
}

static bool submit_one(struct load *load)
{
    struct load_request *request = malloc(sizeof *request);
    uint8_t id[ONCE_ID_SIZE];
    uint8_t key[10];
    struct bytes encoded;
    enum qh_err err;

    if (request == NULL) {
        abort();
    }
    randombytes_buf(id, sizeof id);
    request->load = load;
    request->begin_ns = clock_monotonic_ns();
    err = node_build_put(load->node, id, make_key(load, id, key), load->size, &encoded);
    if (err == QH_OK) {
        err = replica_propose(load->node->replica, encoded, LOAD_TIMEOUT_MS, on_result, request);
        free((void *)(uintptr_t)encoded.base);
    }
    if (err != QH_OK) {
        load->failed++;
        free(request);
        return false;
    }
    load->under_way++;
    return true;
}

static void end_load(struct load *load)
{
    if (!load->ended) {
        load->ended = true;
        load->end_ns = clock_monotonic_ns();
    }
}

static void submit_more(struct load *load)
{
    if (load->fill_count > 0 && load->filled >= load->fill_count) {
        end_load(load);
    }
    while (!load->ended && load->under_way < load->outstanding && submit_one(load)) {
        if (load->fill_count > 0 && load->filled >= load->fill_count) {
            end_load(load);
        }
    }
    if (load->ended && load->under_way == 0) {
        report_load(load);
    }
}

static void on_end(uv_timer_t *timer)
{
    struct load *load = timer->data;

    end_load(load);
    submit_more(load);
}

void node_load_start(struct node *node, struct node_load_options options,
                     void (*done)(void *data, const char *line), void *data)
{
    struct load *load = calloc(1, sizeof *load);

    if (load == NULL) {
        abort();
    }
    load->latencies_us = calloc(LATENCIES_MAX, sizeof *load->latencies_us);
    if (load->latencies_us == NULL) {
        abort();
    }
    load->node = node;
    load->outstanding = options.outstanding;
    load->size = options.size;
    load->fill_count = options.fill_count;
    load->done = done;
    load->data = data;
    load->begin_ns = clock_monotonic_ns();
    (void)uv_timer_init(&node->loop, &load->end);
    load->end.data = load;
    if (options.fill_count == 0) {
        (void)uv_timer_start(&load->end, on_end, (uint64_t)options.seconds * 1000, 0);
    }
    submit_more(load);
}
