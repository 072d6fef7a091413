/* The scripted server. Memory of libraft is kept in a list, so that a wrong free() is counted
 * instead of crashing, and what a longjmp() leaves is not lost. */
#include "tests/unit/scripted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define ELECTION_MS 1000u

/* Memory */

struct block {
    struct block *next;
    max_align_t memory[];
};

static struct block *blocks;
static unsigned bad_frees;

static void *block_calloc(void *data, size_t count, size_t size)
{
    struct block *block = calloc(1, sizeof *block + count * size);

    (void)data;
    QH_ASSERT(block != NULL);
    block->next = blocks;
    blocks = block;
    return block->memory;
}

static void *block_malloc(void *data, size_t size)
{
    return block_calloc(data, 1, size);
}

static void block_free(void *data, void *memory)
{
    (void)data;
    for (struct block **link = &blocks; *link != NULL; link = &(*link)->next) {
        struct block *block = *link;

        if (block->memory == memory) {
            *link = block->next;
            free(block);
            return;
        }
    }
    bad_frees += memory != NULL;
}

static void *block_realloc(void *data, void *memory, size_t size)
{
    for (struct block **link = &blocks; memory != NULL; link = &(*link)->next) {
        QH_ASSERT(*link != NULL);
        if ((*link)->memory == memory) {
            struct block *grown = realloc(*link, sizeof *grown + size);

            QH_ASSERT(grown != NULL);
            *link = grown;
            return grown->memory;
        }
    }
    return block_malloc(data, size);
}

static void heap_set(void)
{
    static struct raft_heap heap = {.malloc = block_malloc,
                                    .free = block_free,
                                    .calloc = block_calloc,
                                    .realloc = block_realloc};

    raft_heap_set(&heap);
}

unsigned scripted_bad_frees(void)
{
    return bad_frees;
}

/* Entries and configurations */

static const char *address_of(raft_id id)
{
    static const char *const addresses[] = {"0", "1", "2", "3", "4", "5"};

    QH_ASSERT(id < sizeof addresses / sizeof addresses[0]);
    return addresses[id];
}

struct scripted_entry scripted_entry(raft_term term, const char *value)
{
    struct scripted_entry entry = {.term = term, .type = RAFT_COMMAND, .size = SCRIPTED_VALUE_SIZE};

    QH_ASSERT(strlen(value) < SCRIPTED_VALUE_SIZE);
    memcpy(entry.data, value, strlen(value));
    return entry;
}

struct scripted_entry scripted_change(raft_term term, const raft_id *voters, unsigned count)
{
    struct scripted_entry entry = {.term = term, .type = RAFT_CHANGE};
    struct raft_configuration configuration;
    struct raft_buffer buffer;

    raft_configuration_init(&configuration);
    for (unsigned i = 0; i < count; i++) {
        QH_ASSERT(raft_configuration_add(&configuration, voters[i], address_of(voters[i]),
                                         RAFT_VOTER) == 0);
    }
    QH_ASSERT(raft_configuration_encode(&configuration, &buffer) == 0);
    QH_ASSERT(buffer.len <= sizeof entry.data);
    entry.size = buffer.len;
    memcpy(entry.data, buffer.base, buffer.len);
    raft_free(buffer.base);
    raft_configuration_close(&configuration);
    return entry;
}

static void configuration_make(struct raft_configuration *ret_configuration, unsigned voters)
{
    raft_configuration_init(ret_configuration);
    for (raft_id id = 1; id <= voters; id++) {
        QH_ASSERT(raft_configuration_add(ret_configuration, id, address_of(id), RAFT_VOTER) == 0);
    }
}

static void disk_push(struct scripted *node, const struct scripted_entry *entry)
{
    QH_ASSERT(node->entry_count < SCRIPTED_LIST_MAX);
    node->entries[node->entry_count++] = *entry;
}

void scripted_store(struct scripted *node, raft_term term, const char *value)
{
    struct scripted_entry entry = scripted_entry(term, value);

    disk_push(node, &entry);
}

void scripted_store_change(struct scripted *node, raft_term term, unsigned voters)
{
    static const raft_id ids[] = {1, 2, 3, 4, 5};
    struct scripted_entry entry = scripted_change(term, ids, voters);

    disk_push(node, &entry);
}

bool scripted_disk_has(const struct scripted *node, raft_index index, const char *value)
{
    return index >= node->first_index && index - node->first_index < node->entry_count &&
           strcmp(node->entries[index - node->first_index].data, value) == 0;
}

/* raft_io */

static struct scripted *node_of(struct raft_io *io)
{
    return io->impl;
}

/* The fault that is set, once. */
static int take_fault(struct scripted *node, int *fault)
{
    int status = *fault;

    *fault = 0;
    if (status != 0) {
        (void)snprintf(node->io.errmsg, sizeof node->io.errmsg, "scripted fault");
    }
    return status;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

/* @count entries in one batch, as libraft wants those that it receives. */
static struct raft_entry *entries_make(const struct scripted_entry *entries, unsigned count)
{
    struct raft_entry *made;
    char *batch;

    if (count == 0) {
        return NULL;
    }
    made = raft_calloc(count, sizeof *made);
    batch = raft_malloc(count * SCRIPTED_DATA_SIZE_MAX);
    for (unsigned i = 0; i < count; i++) {
        char *base = batch + i * SCRIPTED_DATA_SIZE_MAX;

        memcpy(base, entries[i].data, entries[i].size);
        made[i] = (struct raft_entry){.term = entries[i].term,
                                      .type = entries[i].type,
                                      .buf = {.base = base, .len = entries[i].size},
                                      .batch = batch};
    }
    return made;
}

static struct raft_snapshot *snapshot_make(const struct scripted *node)
{
    struct raft_snapshot *snapshot = raft_calloc(1, sizeof *snapshot);

    snapshot->index = node->snapshot_index;
    snapshot->term = node->snapshot_term;
    snapshot->configuration_index = 1;
    configuration_make(&snapshot->configuration, node->snapshot_voters);
    snapshot->bufs = raft_calloc(1, sizeof *snapshot->bufs);
    snapshot->bufs[0].base = raft_calloc(1, 8);
    snapshot->bufs[0].len = 8;
    snapshot->n_bufs = 1;
    return snapshot;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries)
{
    struct scripted *node = node_of(io);

    *term = node->term;
    *voted_for = node->vote;
    *snapshot = node->snapshot_index != 0 ? snapshot_make(node) : NULL;
    *start_index = node->first_index;
    *entries = entries_make(node->entries, node->entry_count);
    *n_entries = node->entry_count;
    return 0;
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    (void)msecs;
    node_of(io)->tick = tick;
    node_of(io)->recv = recv;
    return 0;
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct scripted *node = node_of(io);
    int status = take_fault(node, &node->fail_term);

    if (status == 0) {
        node->term = term;
        node->vote = 0;
    }
    return status;
}

static int io_set_vote(struct raft_io *io, raft_id server_id)
{
    struct scripted *node = node_of(io);
    int status = take_fault(node, &node->fail_vote);

    if (status == 0) {
        node->votes_twice += node->vote != 0 && node->vote != server_id;
        node->vote = server_id;
    }
    return status;
}

static int io_send(struct raft_io *io, struct raft_io_send *request,
                   const struct raft_message *message, raft_io_send_cb cb)
{
    struct scripted *node = node_of(io);
    struct scripted_message *sent = &node->sent[node->sent_count];
    int status = take_fault(node, &node->fail_send);

    if (status != 0) {
        return status;
    }
    /* A garbage address is not read, only its being there is noticed. */
    node->bad_sends +=
        message->server_id == 0 || message->server_id > 5 || message->server_address == NULL;
    QH_ASSERT(node->sent_count < SCRIPTED_LIST_MAX);
    node->sent_count++;
    *sent = (struct scripted_message){.message = *message, .request = request, .cb = cb};
    if (message->type == RAFT_IO_APPEND_ENTRIES) {
        QH_ASSERT(message->append_entries.n_entries <= 8);
        for (unsigned i = 0; i < message->append_entries.n_entries; i++) {
            const struct raft_entry *entry = &message->append_entries.entries[i];

            sent->entries[i] = (struct scripted_entry){
                .term = entry->term, .type = entry->type, .size = entry->buf.len};
            memcpy(sent->entries[i].data, entry->buf.base, entry->buf.len);
        }
    }
    return 0;
}

static struct scripted_operation *disk_queue(struct scripted *node, enum scripted_kind kind)
{
    struct scripted_operation *operation = &node->disk[node->disk_count];

    QH_ASSERT(node->disk_count < SCRIPTED_LIST_MAX);
    node->disk_count++;
    *operation = (struct scripted_operation){.kind = kind};
    return operation;
}

static bool disk_has_queued(const struct scripted *node, enum scripted_kind kind)
{
    for (unsigned i = 0; i < node->disk_count; i++) {
        if (node->disk[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static int io_append(struct raft_io *io, struct raft_io_append *request,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct scripted *node = node_of(io);
    int status = take_fault(node, &node->fail_append);
    struct scripted_operation *operation;

    if (status != 0) {
        return status;
    }
    operation = disk_queue(node, SCRIPTED_APPEND);
    operation->append = request;
    operation->append_cb = cb;
    operation->entries = entries;
    operation->count = n;
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct scripted *node = node_of(io);
    int status = take_fault(node, &node->fail_truncate);

    if (status == 0) {
        /* raft_uv loses it while a snapshot is being written. */
        bool lost = disk_has_queued(node, SCRIPTED_PUT);
        struct scripted_operation *operation = disk_queue(node, SCRIPTED_TRUNCATE);

        operation->index = index;
        operation->lost = lost;
    }
    return status;
}

static int io_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                  const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct scripted *node = node_of(io);
    int status = take_fault(node, &node->fail_put);

    if (status == 0) {
        /* raft_uv never finishes it if a truncation is pending. */
        bool lost = disk_has_queued(node, SCRIPTED_TRUNCATE);
        struct scripted_operation *operation = disk_queue(node, SCRIPTED_PUT);

        operation->put = request;
        operation->put_cb = cb;
        operation->index = snapshot->index;
        operation->term = snapshot->term;
        operation->trailing = trailing;
        operation->lost = lost;
    }
    return status;
}

static raft_time io_time(struct raft_io *io)
{
    return node_of(io)->now;
}

static int io_random(struct raft_io *io, int min, int max)
{
    (void)io;
    (void)max;
    return min;
}

static int io_work(struct raft_io *io, struct raft_io_async_work *request, raft_io_async_work_cb cb)
{
    struct scripted_operation *operation = disk_queue(node_of(io), SCRIPTED_WORK);

    operation->work = request;
    operation->work_cb = cb;
    return 0;
}

static void disk_apply(struct scripted *node, const struct scripted_operation *operation)
{
    if (operation->kind == SCRIPTED_APPEND) {
        for (unsigned i = 0; i < operation->count; i++) {
            struct scripted_entry entry = {.term = operation->entries[i].term,
                                           .type = operation->entries[i].type,
                                           .size = operation->entries[i].buf.len};

            memcpy(entry.data, operation->entries[i].buf.base, entry.size);
            disk_push(node, &entry);
        }
    } else if (operation->kind == SCRIPTED_TRUNCATE && !operation->lost) {
        node->entry_count = (unsigned)(operation->index - node->first_index);
    } else if (operation->kind == SCRIPTED_PUT) {
        node->snapshot_index = operation->index;
        node->snapshot_term = operation->term;
        if (operation->trailing == 0) {
            node->entry_count = 0;
            node->first_index = operation->index + 1;
        }
    }
}

void scripted_disk_step(struct scripted *node, int status)
{
    struct scripted_operation operation = node->disk[0];

    QH_ASSERT(node->disk_count > 0);
    node->disk_count--;
    memmove(node->disk, node->disk + 1, node->disk_count * sizeof node->disk[0]);
    if (status == 0) {
        disk_apply(node, &operation);
    }
    if (operation.kind == SCRIPTED_APPEND) {
        operation.append_cb(operation.append, status);
    } else if (operation.kind == SCRIPTED_PUT && !operation.lost) {
        operation.put_cb(operation.put, status);
    } else if (operation.kind == SCRIPTED_WORK) {
        operation.work_cb(operation.work, operation.work->work(operation.work));
    }
}

void scripted_disk_all(struct scripted *node)
{
    while (node->disk_count > 0) {
        scripted_disk_step(node, 0);
    }
}

/* State machine */

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct scripted *node = fsm->data;
    int status = take_fault(node, &node->fail_apply);

    *result = NULL;
    if (status == 0) {
        struct scripted_entry *entry = &node->applied[node->applied_count];

        QH_ASSERT(node->applied_count < SCRIPTED_LIST_MAX);
        node->applied_count++;
        *entry = (struct scripted_entry){.type = RAFT_COMMAND, .size = buf->len};
        memcpy(entry->data, buf->base, buf->len);
    }
    return status;
}

static int fsm_encode(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    (void)fsm;
    *bufs = raft_calloc(1, sizeof **bufs);
    (*bufs)[0].base = raft_calloc(1, 8);
    (*bufs)[0].len = 8;
    *n_bufs = 1;
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct scripted *node = fsm->data;

    if (!guard_snapshot_allowed(&node->guard)) {
        return RAFT_BUSY;
    }
    node->snapshots_begun++;
    *bufs = NULL;
    *n_bufs = 0;
    return fsm->version < 3 ? fsm_encode(fsm, bufs, n_bufs) : 0;
}

static int fsm_finalize(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct scripted *node = fsm->data;

    for (unsigned i = 0; i < *n_bufs; i++) {
        raft_free((*bufs)[i].base);
    }
    raft_free(*bufs);
    *bufs = NULL;
    *n_bufs = 0;
    node->snapshots_finalized++;
    return 0;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    int status = take_fault(fsm->data, &((struct scripted *)fsm->data)->fail_restore);

    if (status == 0) {
        raft_free(buf->base);
    }
    return status;
}

/* Callbacks of the guard */

static void on_fatal(void *data, const char *why)
{
    struct scripted *node = data;

    (void)snprintf(node->why, sizeof node->why, "%s", why);
    if (!node->may_die) {
        (void)fprintf(stderr, "server %llu died: %s\n", node->id, why);
        abort();
    }
    longjmp(node->died, 1);
}

static void on_changed(void *data)
{
    struct scripted *node = data;

    node->changed_count++;
    node->inside_count += node->guard.depth != 0;
    if (node->on_changed != NULL) {
        node->on_changed(node);
    }
}

static void on_written(void *data)
{
    struct scripted *node = data;

    node->written_count++;
    node->inside_count += node->guard.depth != 0;
}

bool scripted_dies(struct scripted *node, void (*step)(struct scripted *node))
{
    bool dies = true;

    node->may_die = true;
    if (setjmp(node->died) == 0) {
        step(node);
        dies = false;
    }
    node->may_die = false;
    return dies;
}

void scripted_init(struct scripted *node, raft_id id, unsigned rules)
{
    struct guard_callbacks callbacks = {
        .data = node, .fatal = on_fatal, .changed = on_changed, .written = on_written};

    heap_set();
    memset(node, 0, sizeof *node);
    node->id = id;
    node->now = 100000;
    node->first_index = 1;
    node->io = (struct raft_io){.version = 1,
                                .impl = node,
                                .init = io_init,
                                .load = io_load,
                                .start = io_start,
                                .set_term = io_set_term,
                                .set_vote = io_set_vote,
                                .send = io_send,
                                .append = io_append,
                                .truncate = io_truncate,
                                .snapshot_put = io_put,
                                .time = io_time,
                                .random = io_random,
                                .async_work = io_work};
    node->fsm = (struct raft_fsm){.version = 2,
                                  .data = node,
                                  .apply = fsm_apply,
                                  .snapshot = fsm_snapshot,
                                  .restore = fsm_restore,
                                  .snapshot_finalize = fsm_finalize};
    guard_init(&node->guard, &node->io, &node->raft, rules, callbacks);
}

void scripted_async_snapshots(struct scripted *node)
{
    node->fsm.version = 3;
    node->fsm.snapshot_async = fsm_encode;
}

void scripted_start(struct scripted *node)
{
    QH_ASSERT(raft_init(&node->raft, &node->guard.io, &node->fsm, node->id, address_of(node->id)) ==
              0);
    raft_set_election_timeout(&node->raft, ELECTION_MS);
    raft_set_heartbeat_timeout(&node->raft, ELECTION_MS / 10);
    QH_ASSERT(raft_start(&node->raft) == 0);
}

void scripted_tick(struct scripted *node)
{
    node->tick(&node->io);
}

void scripted_time_out(struct scripted *node)
{
    node->now += ELECTION_MS * 2;
    scripted_tick(node);
}

/* Messages */

static void receive(struct scripted *node, raft_id from, struct raft_message *message)
{
    message->server_id = from;
    message->server_address = address_of(from);
    node->recv(&node->io, message);
}

void scripted_append_entries(struct scripted *node, raft_id from, struct raft_append_entries args,
                             const struct scripted_entry *entries, unsigned count)
{
    struct raft_message message = {.type = RAFT_IO_APPEND_ENTRIES, .append_entries = args};

    message.append_entries.entries = entries_make(entries, count);
    message.append_entries.n_entries = count;
    receive(node, from, &message);
}

void scripted_append_result(struct scripted *node, raft_id from, raft_term term,
                            raft_index rejected, raft_index last)
{
    struct raft_message message = {
        .type = RAFT_IO_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.term = term, .rejected = rejected, .last_log_index = last}};

    receive(node, from, &message);
}

void scripted_vote(struct scripted *node, raft_id from, struct raft_request_vote args)
{
    struct raft_message message = {.type = RAFT_IO_REQUEST_VOTE, .request_vote = args};

    message.request_vote.candidate_id = from;
    receive(node, from, &message);
}

void scripted_vote_result(struct scripted *node, raft_id from, raft_term term, bool granted,
                          raft_tribool pre_vote)
{
    struct raft_message message = {
        .type = RAFT_IO_REQUEST_VOTE_RESULT,
        .request_vote_result = {.term = term, .vote_granted = granted, .pre_vote = pre_vote}};

    receive(node, from, &message);
}

void scripted_timeout_now(struct scripted *node, raft_id from, struct raft_timeout_now args)
{
    struct raft_message message = {.type = RAFT_IO_TIMEOUT_NOW, .timeout_now = args};

    receive(node, from, &message);
}

void scripted_install(struct scripted *node, raft_id from, raft_term term, raft_index index,
                      raft_term last_term, unsigned voters)
{
    struct raft_message message = {
        .type = RAFT_IO_INSTALL_SNAPSHOT,
        .install_snapshot = {
            .term = term, .last_index = index, .last_term = last_term, .conf_index = 1}};

    configuration_make(&message.install_snapshot.conf, voters);
    message.install_snapshot.data.base = raft_calloc(1, 8);
    message.install_snapshot.data.len = 8;
    receive(node, from, &message);
}

void scripted_deliver(struct scripted *to, const struct scripted *from, unsigned nth)
{
    struct raft_message message = from->sent[nth].message;

    QH_ASSERT(nth < from->sent_count);
    if (message.type == RAFT_IO_APPEND_ENTRIES) {
        message.append_entries.entries =
            entries_make(from->sent[nth].entries, message.append_entries.n_entries);
    }
    receive(to, from->id, &message);
}

void scripted_elect(struct scripted *node)
{
    scripted_time_out(node);
    scripted_vote_result(node, 2, node->raft.current_term, true, raft_tribool_false);
    QH_ASSERT(node->raft.state == RAFT_LEADER);
}

const struct scripted_message *scripted_last(const struct scripted *node, unsigned short type,
                                             raft_id to)
{
    for (unsigned i = node->sent_count; i > 0; i--) {
        const struct raft_message *message = &node->sent[i - 1].message;

        if (message->type == type && message->server_id == to) {
            return &node->sent[i - 1];
        }
    }
    return NULL;
}

void scripted_apply(struct scripted *node, const char *value)
{
    struct raft_apply *request = raft_calloc(1, sizeof *request);
    struct scripted_entry entry = scripted_entry(0, value);
    struct raft_buffer buffer = {.base = raft_malloc(entry.size), .len = entry.size};

    memcpy(buffer.base, entry.data, entry.size);
    QH_ASSERT(raft_apply(&node->raft, request, &buffer, 1, NULL) == 0);
}
