/* Raft directories as real libraft writes them. */
#include "tests/lib/raftdir.h"

#include <raft.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "raft-glue/datadir.h"
#include "raft-glue/entry.h"
#include "raft-glue/guard.h"
#include "raft-glue/heap.h"
#include "raft-glue/link.h"
#include "store/txn.h"
#include "tests/lib/test.h"

#define PATIENCE_ROUNDS 200000u
#define EXIT_BAD_RUN 3

static uv_loop_t loop;
static struct raft raft;
static struct raft_fsm fsm;
static struct link link_io;
static struct store *store;
static unsigned applied;
static int apply_status;

void raftdir_key(unsigned number, uint8_t ret_key[RAFTDIR_KEY_SIZE])
{
    char text[RAFTDIR_KEY_SIZE + 1];

    (void)snprintf(text, sizeof(text), "k/%014u", number);
    memcpy(ret_key, text, RAFTDIR_KEY_SIZE);
}

/* Bytes that look like a sealed value: no long run of zeroes. */
static void fill_value(unsigned number, uint8_t *base, size_t size)
{
    uint64_t state = number + 1;

    for (size_t i = 0; i < size; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        base[i] = (uint8_t)(state >> 56);
    }
}

static void apply_transaction(void *data, struct bytes transaction)
{
    (void)data;
    (void)store_apply(store, transaction);
}

static int on_apply(struct raft_fsm *raft_fsm, const struct raft_buffer *buf, void **result)
{
    struct bytes entry = {buf->base, buf->len};

    (void)raft_fsm;
    *result = NULL;
    if (entry_each(entry, apply_transaction, NULL) != QH_OK) {
        _exit(EXIT_BAD_RUN);
    }
    return 0;
}

static int on_snapshot(struct raft_fsm *raft_fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct store_snapshot snapshot;
    struct store_view *view;
    size_t offset = 0;

    (void)raft_fsm;
    *bufs = raft_malloc(sizeof(**bufs));
    if (*bufs == NULL || store_freeze(store, &view) != QH_OK ||
        store_snapshot_encode(view, &snapshot) != QH_OK) {
        _exit(EXIT_BAD_RUN);
    }
    (*bufs)[0].len = snapshot.size;
    (*bufs)[0].base = raft_malloc(snapshot.size);
    *n_bufs = 1;
    for (unsigned i = 0; i < snapshot.piece_count; i++) {
        memcpy((uint8_t *)(*bufs)[0].base + offset, snapshot.pieces[i].base,
               snapshot.pieces[i].size);
        offset += snapshot.pieces[i].size;
    }
    store_snapshot_close(&snapshot);
    store_view_release(view);
    return 0;
}

static int on_restore(struct raft_fsm *raft_fsm, struct raft_buffer *buf)
{
    struct bytes encoded = {buf->base, buf->len};

    (void)raft_fsm;
    store_free(store);
    if (store_snapshot_decode(encoded, &store) != QH_OK) {
        _exit(EXIT_BAD_RUN);
    }
    raft_free(buf->base);
    return 0;
}

static void on_applied(struct raft_apply *request, int status, void *result)
{
    (void)result;
    applied++;
    apply_status = status;
    free(request);
}

static void append(unsigned number, size_t value_size)
{
    static const uint8_t id[ONCE_ID_SIZE] = {1};
    struct raft_apply *request = calloc(1, sizeof(*request));
    uint8_t *value = malloc(value_size + 1);
    uint8_t key[RAFTDIR_KEY_SIZE];
    struct txn_builder builder;
    struct bytes transaction;
    struct raft_buffer buf;

    if (request == NULL || value == NULL) {
        _exit(EXIT_BAD_RUN);
    }
    raftdir_key(number, key);
    fill_value(number, value, value_size);
    txn_build_plain(&builder, id, 0);
    txn_build_put(&builder, (struct bytes){key, sizeof(key)}, (struct bytes){value, value_size}, 0);
    if (txn_build_end(&builder, &transaction) != QH_OK) {
        _exit(EXIT_BAD_RUN);
    }
    buf.len = entry_size(1, transaction.size);
    buf.base = raft_malloc(buf.len);
    entry_encode(&transaction, 1, buf.base, buf.len);
    if (raft_apply(&raft, request, &buf, 1, on_applied) != 0) {
        _exit(EXIT_BAD_RUN);
    }
    free((void *)(uintptr_t)transaction.base);
    free(value);
}

static void hash_entry(crypto_generichash_state *state, uint64_t index, uint64_t term,
                       unsigned type, struct bytes data)
{
    uint64_t head[4] = {index, term, type, data.size};

    (void)crypto_generichash_update(state, (const uint8_t *)head, sizeof(head));
    (void)crypto_generichash_update(state, data.base, data.size);
}

static void hash_log(struct raftdir_result *result)
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, RAFTDIR_HASH_SIZE);
    result->last_index = raft_last_index(&raft);
    result->log_first = 0;
    for (uint64_t index = 1; index <= result->last_index; index++) {
        const struct raft_entry *entry = guard_log_entry(&raft, index);

        if (entry != NULL) {
            result->log_first = result->log_first == 0 ? index : result->log_first;
            hash_entry(&state, index, entry->term, entry->type,
                       (struct bytes){entry->buf.base, entry->buf.len});
        }
    }
    (void)crypto_generichash_final(&state, result->log_hash, RAFTDIR_HASH_SIZE);
}

static void start(const char *dir, const struct raftdir_plan *plan)
{
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/raft", dir);
    (void)mkdir(path, 0700);
    fsm = (struct raft_fsm){
        .version = 1, .apply = on_apply, .snapshot = on_snapshot, .restore = on_restore};
    if (store_new(&store) != QH_OK || uv_loop_init(&loop) != 0 ||
        link_init(&link_io, &loop, path,
                  plan->segment_size != 0 ? plan->segment_size : LINK_SEGMENT_SIZE_MIN) != QH_OK ||
        raft_init(&raft, &link_io.io, &fsm, 1, "alpha") != 0) {
        _exit(EXIT_BAD_RUN);
    }
    raft_set_snapshot_threshold(&raft, plan->threshold != 0 ? plan->threshold : 1000000);
    raft_set_snapshot_trailing(&raft, plan->trailing != 0 ? plan->trailing : 1);
    if (plan->bootstrap) {
        struct raft_configuration configuration;

        raft_configuration_init(&configuration);
        if (raft_configuration_add(&configuration, 1, "alpha", RAFT_VOTER) != 0 ||
            raft_bootstrap(&raft, &configuration) != 0) {
            _exit(EXIT_BAD_RUN);
        }
    }
    if (raft_start(&raft) != 0) {
        (void)fprintf(stderr, "raft_start: %s\n", raft_errmsg(&raft));
        _exit(EXIT_BAD_RUN);
    }
}

/* Until every snapshot that is due is written, so that runs are alike. */
static bool is_busy(const struct raftdir_plan *plan)
{
    return raft.snapshot.put.data != NULL ||
           (plan->threshold != 0 &&
            raft_last_applied(&raft) - raft.log.snapshot.last_index >= plan->threshold);
}

static void child(const char *dir, const struct raftdir_plan *plan, int result_fd)
{
    struct raftdir_result result = {0};
    struct rlimit no_core = {0, 0};
    unsigned sent = 0;
    unsigned rounds = 0;

    (void)setrlimit(RLIMIT_CORE, &no_core);
    heap_install();
    start(dir, plan);
    hash_log(&result);
    while (applied < plan->entries || is_busy(plan)) {
        if (++rounds > PATIENCE_ROUNDS) {
            _exit(EXIT_BAD_RUN);
        }
        /* Nothing is applied beside a snapshot: libraft looks whether the next is due when it
         * applies, and would not look again after the last entry. */
        if (raft_state(&raft) == RAFT_LEADER && sent == applied && sent < plan->entries &&
            raft.snapshot.put.data == NULL) {
            append(plan->first + sent++, plan->value_size);
        }
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    if (apply_status != 0 || store_digest(store, result.digest) != QH_OK ||
        write(result_fd, &result, sizeof(result)) != sizeof(result)) {
        _exit(EXIT_BAD_RUN);
    }
    _exit(0);
}

void raftdir_run(const char *dir, const struct raftdir_plan *plan,
                 struct raftdir_result *ret_result)
{
    int fds[2];
    pid_t pid;

    memset(ret_result, 0, sizeof(*ret_result));
    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        child(dir, plan, fds[1]);
    }
    (void)close(fds[1]);
    if (read(fds[0], ret_result, sizeof(*ret_result)) != sizeof(*ret_result)) {
        memset(ret_result, 0, sizeof(*ret_result));
    }
    (void)close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &ret_result->wait_status, 0), pid);
}

struct hashing {
    crypto_generichash_state state;
    uint64_t last;
};

static bool visit(void *data, const struct datadir_entry *entry)
{
    struct hashing *hashing = data;

    hash_entry(&hashing->state, entry->index, entry->term, entry->type, entry->data);
    hashing->last = entry->index;
    return true;
}

bool raftdir_hash(const char *dir, uint64_t first, uint8_t ret_hash[RAFTDIR_HASH_SIZE],
                  uint64_t *ret_last)
{
    struct hashing hashing = {.last = 0};

    (void)crypto_generichash_init(&hashing.state, NULL, 0, RAFTDIR_HASH_SIZE);
    if (datadir_each_entry(dir, first, visit, &hashing) != QH_OK) {
        return false;
    }
    (void)crypto_generichash_final(&hashing.state, ret_hash, RAFTDIR_HASH_SIZE);
    *ret_last = hashing.last;
    return true;
}
