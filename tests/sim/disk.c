/* Durable state, the queue before it, and its faults. */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"

enum operation_kind { OPERATION_APPEND, OPERATION_TRUNCATE, OPERATION_SNAPSHOT };

struct disk_operation {
    struct disk_operation *next;
    enum operation_kind kind;
    bool started;
    raft_index index; /* of the first entry, or to truncate from */
    unsigned count;
    struct disk_entry *entries;
    struct raft_io_append *append;
    struct disk_snapshot *snapshot;
    unsigned trailing;
    struct raft_io_snapshot_put *put;
};

static struct node *node_of(struct raft_io *io)
{
    return io->impl;
}

raft_index disk_last_index(const struct disk *disk)
{
    return disk->first + disk->count - 1;
}

void disk_configuration_from(const struct raft_configuration *configuration,
                             struct disk_configuration *ret_configuration)
{
    struct disk_configuration copy = {.count = configuration->n};

    QH_ASSERT(configuration->n <= WORLD_NODES_MAX);
    for (unsigned i = 0; i < configuration->n; i++) {
        copy.ids[i] = configuration->servers[i].id;
        copy.roles[i] = configuration->servers[i].role;
    }
    *ret_configuration = copy;
}

void disk_configuration_to(const struct disk_configuration *configuration,
                           struct raft_configuration *ret_configuration)
{
    raft_configuration_init(ret_configuration);
    for (unsigned i = 0; i < configuration->count; i++) {
        int rv = raft_configuration_add(ret_configuration, configuration->ids[i],
                                        node_name(configuration->ids[i]), configuration->roles[i]);

        QH_ASSERT(rv == 0);
    }
}

static void free_snapshot(struct disk_snapshot *snapshot)
{
    if (snapshot != NULL) {
        free(snapshot->base);
        free(snapshot);
    }
}

static void free_operation(struct disk_operation *operation)
{
    for (unsigned i = 0; operation->entries != NULL && i < operation->count; i++) {
        free(operation->entries[i].base);
    }
    free(operation->entries);
    free_snapshot(operation->snapshot);
    free(operation);
}

/* Reaching the disk. */

static void store_entries(struct disk *disk, struct disk_operation *operation)
{
    if (disk_last_index(disk) + 1 != operation->index) {
        QH_ASSERT(disk->shifted);
    }
    if (disk->count + operation->count > disk->room) {
        disk->room = 2 * (disk->count + operation->count);
        disk->log = world_grow(disk->log, disk->room * sizeof *disk->log);
    }
    memcpy(disk->log + disk->count, operation->entries,
           operation->count * sizeof *operation->entries);
    disk->count += operation->count;
    disk->member = true;
    free(operation->entries);
    operation->entries = NULL;
}

static void cut_front(struct disk *disk, size_t count)
{
    if (count == 0) {
        return; /* the log of a new server is no memory at all yet */
    }
    for (size_t i = 0; i < count; i++) {
        free(disk->log[i].base);
    }
    memmove(disk->log, disk->log + count, (disk->count - count) * sizeof *disk->log);
    disk->count -= count;
    disk->first += count;
}

static void cut_back(struct disk *disk, raft_index from)
{
    while (disk->count > 0 && disk_last_index(disk) >= from) {
        free(disk->log[--disk->count].base);
    }
}

static void store_snapshot(struct disk *disk, struct disk_operation *operation)
{
    free_snapshot(disk->snapshot);
    disk->snapshot = operation->snapshot;
    operation->snapshot = NULL;
    disk->member = true;
    if (operation->trailing == 0) {
        cut_front(disk, disk->count);
        disk->first = disk->snapshot->index + 1;
    } else if (disk->snapshot->index > operation->trailing) {
        raft_index keep = disk->snapshot->index - operation->trailing + 1;

        if (keep > disk->first) {
            size_t count = (size_t)(keep - disk->first);

            cut_front(disk, count < disk->count ? count : disk->count);
        }
    }
}

static void perform_operation(struct disk *disk, struct disk_operation *operation)
{
    switch (operation->kind) {
    case OPERATION_APPEND:
        store_entries(disk, operation);
        break;
    case OPERATION_TRUNCATE:
        cut_back(disk, operation->index);
        break;
    case OPERATION_SNAPSHOT:
        store_snapshot(disk, operation);
        break;
    }
}

/* The queue. */

static bool is_barrier(const struct disk_operation *operation)
{
    return operation->kind != OPERATION_APPEND;
}

/* Does it hold up the writes behind it? */
static bool is_blocking(const struct disk_operation *operation)
{
    return operation->kind == OPERATION_TRUNCATE ||
           (operation->kind == OPERATION_SNAPSHOT && operation->trailing == 0);
}

static void remove_operation(struct disk *disk, struct disk_operation *operation)
{
    struct disk_operation **place = &disk->queue;

    while (*place != operation) {
        place = &(*place)->next;
    }
    *place = operation->next;
    operation->next = NULL;
}

static void kick(struct node *node);

static uint64_t write_time(void)
{
    const struct scenario *scenario = world.scenario;
    uint64_t ms = world_between(scenario->disk_min_ms, scenario->disk_max_ms);

    if (!world.healed && world_chance(scenario->slow)) {
        ms += world_between(0, scenario->slow_ms);
    }
    return ms;
}

static uint64_t barrier_time(const struct disk_operation *operation)
{
    if (operation->kind == OPERATION_TRUNCATE) {
        return 1;
    }
    return 1 + 2 * write_time() + world_between(0, world.scenario->snapshot_ms);
}

/* 0 or the error that this write ends with. */
static int write_fault(const struct node *node)
{
    if (node->disk.full) {
        return RAFT_NOSPACE;
    }
    return !world.healed && world_chance(world.scenario->disk_fail) ? RAFT_IOERR : 0;
}

/* Everything of the log that waits fails with the write before it. */
static void fail_appends(struct node *node, int status)
{
    struct disk *disk = &node->disk;
    struct disk_operation **last = &disk->failing;
    struct disk_operation *operation = disk->queue;

    while (operation != NULL) {
        struct disk_operation *next = operation->next;

        if (operation->kind == OPERATION_APPEND) {
            remove_operation(disk, operation);
            disk->next -= operation->count;
            *last = operation;
            last = &operation->next;
        }
        operation = next;
    }
    for (operation = disk->failing; operation != NULL; operation = operation->next) {
        operation->append->cb(operation->append, status);
    }
    /* The process outlived it. Nothing of that was written, and what comes now stands at
     * other indexes than the library believes. */
    disk->shifted = true;
    while (disk->failing != NULL) {
        operation = disk->failing;
        disk->failing = operation->next;
        free_operation(operation);
    }
}

static void appends_done(struct node *node, void *data)
{
    struct disk *disk = &node->disk;
    struct disk_operation *done = NULL;
    struct disk_operation **last = &done;
    struct disk_operation *operation = disk->queue;
    int status = write_fault(node);

    (void)data;
    disk->writing = false;
    if (status != 0) {
        world_trace("n%llu: log write fails with %d", node->id, status);
        fail_appends(node, status);
        kick(node);
        return;
    }
    while (operation != NULL) {
        struct disk_operation *next = operation->next;

        if (operation->kind == OPERATION_APPEND && operation->started) {
            remove_operation(disk, operation);
            perform_operation(disk, operation);
            *last = operation;
            last = &operation->next;
        }
        operation = next;
    }
    while (done != NULL) {
        operation = done;
        done = operation->next;
        operation->append->cb(operation->append, 0);
        free_operation(operation);
    }
    kick(node);
}

static void barrier_done(struct node *node, void *data)
{
    struct disk *disk = &node->disk;
    struct disk_operation *operation = data;
    struct disk_operation *next;
    int status = write_fault(node);

    QH_ASSERT(disk->barrier == operation);
    next = operation->next;
    remove_operation(disk, operation);
    disk->barrier = NULL;
    /* The next barrier that was not lost takes the place. */
    while (next != NULL && !is_barrier(next)) {
        next = next->next;
    }
    disk->barrier = next;
    if (status == 0) {
        perform_operation(disk, operation);
    }
    if (operation->kind == OPERATION_SNAPSHOT) {
        if (status == 0 && operation->trailing == 0) {
            world.result->installs++;
        } else if (status == 0) {
            world.result->snapshots++;
        }
        operation->put->cb(operation->put, status);
    } else if (status != 0 && (world.rules & GUARD_R4_DISK_ERROR_STOPS) != 0) {
        /* There is no callback to tell it: the back-end must end the process before it
         * writes what waits behind the truncation. */
        disk->failing = operation;
        world_kill_current("a truncation failed", true);
    } else if (status != 0) {
        disk->shifted = true; /* raft_uv notes it, tells nobody, and goes on writing */
    }
    free_operation(operation);
    kick(node);
}

/* Start what can be started: the run of log writes at the head of the queue as one, and
 * the barrier once nothing is before it. */
static void kick(struct node *node)
{
    struct disk *disk = &node->disk;
    bool appends_before = false;
    unsigned started = 0;

    for (struct disk_operation *operation = disk->queue; operation != NULL;
         operation = operation->next) {
        if (is_barrier(operation)) {
            if (operation == disk->barrier && !operation->started && !appends_before) {
                operation->started = true;
                world_after(barrier_time(operation), node, barrier_done, operation);
            }
            if (is_blocking(operation) || started > 0) {
                break;
            }
            continue;
        }
        appends_before = true;
        if (!disk->writing) {
            operation->started = true;
            started++;
        }
    }
    if (started > 0) {
        disk->writing = true;
        world_after(write_time(), node, appends_done, NULL);
    }
}

static void push_operation(struct node *node, struct disk_operation *operation)
{
    struct disk_operation **place = &node->disk.queue;

    while (*place != NULL) {
        place = &(*place)->next;
    }
    *place = operation;
    if (is_barrier(operation) && node->disk.barrier == NULL) {
        node->disk.barrier = operation;
    }
    kick(node);
}

/* raft_uv marks the segments that are still to be written with the barrier; if there is
 * none, or a snapshot holds the place, nobody remembers it. */
static bool barrier_is_lost(const struct disk *disk)
{
    const struct disk_operation *operation;

    if (disk->barrier == NULL) {
        return false;
    }
    if (disk->barrier->kind == OPERATION_SNAPSHOT && disk->barrier->trailing != 0) {
        return true;
    }
    for (operation = disk->barrier->next; operation != NULL; operation = operation->next) {
        if (operation->kind == OPERATION_APPEND && !operation->started) {
            return false;
        }
    }
    return true;
}

/* raft_io. */

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct node *node = node_of(io);

    node_maybe_die(node);
    check_term(node, term);
    if (write_fault(node) == RAFT_IOERR) {
        return RAFT_IOERR;
    }
    node->disk.term = term;
    node->disk.vote = 0;
    node_maybe_die(node);
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id vote)
{
    struct node *node = node_of(io);

    node_maybe_die(node);
    check_vote(node, vote);
    if (write_fault(node) == RAFT_IOERR) {
        return RAFT_IOERR;
    }
    node->disk.vote = vote;
    node_maybe_die(node);
    return 0;
}

static int io_append(struct raft_io *io, struct raft_io_append *req,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct node *node = node_of(io);
    struct disk_operation *operation = world_alloc(sizeof *operation);

    operation->kind = OPERATION_APPEND;
    operation->index = node->disk.next;
    operation->count = n;
    operation->entries = world_alloc(n * sizeof *operation->entries);
    for (unsigned i = 0; i < n; i++) {
        operation->entries[i] = (struct disk_entry){
            .term = entries[i].term,
            .type = entries[i].type,
            .size = entries[i].buf.len,
            .base = world_copy(entries[i].buf.base, entries[i].buf.len),
        };
    }
    operation->append = req;
    req->cb = cb;
    node->disk.next += n;
    push_operation(node, operation);
    node_maybe_die(node);
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct node *node = node_of(io);
    struct disk_operation *operation;

    world_trace("n%llu: truncate from %llu", node->id, index);
    node->disk.next = index;
    if (barrier_is_lost(&node->disk)) {
        world_trace("n%llu: truncation lost", node->id);
        node->disk.shifted = true;
        return 0;
    }
    operation = world_alloc(sizeof *operation);
    operation->kind = OPERATION_TRUNCATE;
    operation->index = index;
    push_operation(node, operation);
    node_maybe_die(node);
    return 0;
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct node *node = node_of(io);
    struct disk_operation *operation = world_alloc(sizeof *operation);
    struct disk_snapshot *copy = world_alloc(sizeof *copy);
    uint8_t *cursor;

    copy->index = snapshot->index;
    copy->term = snapshot->term;
    copy->configuration_index = snapshot->configuration_index;
    disk_configuration_from(&snapshot->configuration, &copy->configuration);
    for (unsigned i = 0; i < snapshot->n_bufs; i++) {
        copy->size += snapshot->bufs[i].len;
    }
    copy->base = cursor = world_alloc(copy->size);
    for (unsigned i = 0; i < snapshot->n_bufs; i++) {
        memcpy(cursor, snapshot->bufs[i].base, snapshot->bufs[i].len);
        cursor += snapshot->bufs[i].len;
    }
    world_trace("n%llu: %s snapshot of index %llu, %zu bytes", node->id,
                trailing == 0 ? "install" : "take", copy->index, copy->size);
    check_snapshot(node, copy);
    operation->kind = OPERATION_SNAPSHOT;
    operation->snapshot = copy;
    operation->trailing = trailing;
    operation->put = req;
    req->cb = cb;
    if (trailing == 0) {
        node->disk.next = snapshot->index + 1;
    }
    if (barrier_is_lost(&node->disk)) {
        world_trace("n%llu: snapshot lost", node->id);
        free_operation(operation);
        return 0;
    }
    push_operation(node, operation);
    node_maybe_die(node);
    return 0;
}

static struct raft_snapshot *load_snapshot(const struct disk_snapshot *from)
{
    struct raft_snapshot *snapshot;

    if (from == NULL) {
        return NULL;
    }
    snapshot = raft_calloc(1, sizeof *snapshot);
    snapshot->index = from->index;
    snapshot->term = from->term;
    snapshot->configuration_index = from->configuration_index;
    disk_configuration_to(&from->configuration, &snapshot->configuration);
    snapshot->n_bufs = 1;
    snapshot->bufs = raft_malloc(sizeof *snapshot->bufs);
    snapshot->bufs[0].len = from->size;
    snapshot->bufs[0].base = raft_malloc(from->size);
    memcpy(snapshot->bufs[0].base, from->base, from->size);
    return snapshot;
}

static void snapshot_got(struct node *node, void *data)
{
    struct raft_io_snapshot_get *req = data;
    struct raft_snapshot *snapshot = load_snapshot(node->disk.snapshot);

    req->cb(req, snapshot, snapshot == NULL ? RAFT_IOERR : 0);
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                           raft_io_snapshot_get_cb cb)
{
    req->cb = cb;
    world_after(write_time(), node_of(io), snapshot_got, req);
    return 0;
}

static struct raft_entry *load_entries(const struct disk *disk)
{
    struct raft_entry *entries;
    size_t size = 0;
    uint8_t *batch;

    if (disk->count == 0) {
        return NULL;
    }
    for (size_t i = 0; i < disk->count; i++) {
        size += disk->log[i].size;
    }
    batch = raft_malloc(size);
    entries = raft_calloc(disk->count, sizeof *entries);
    for (size_t i = 0; i < disk->count; i++) {
        entries[i].term = disk->log[i].term;
        entries[i].type = disk->log[i].type;
        entries[i].buf = (struct raft_buffer){.base = batch, .len = disk->log[i].size};
        memcpy(batch, disk->log[i].base, disk->log[i].size);
        batch += disk->log[i].size;
    }
    for (size_t i = 0; i < disk->count; i++) {
        entries[i].batch = entries[0].buf.base;
    }
    return entries;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries)
{
    struct disk *disk = &node_of(io)->disk;

    /* A log that ends before the snapshot is dropped, as raft_uv does. */
    if (disk->snapshot != NULL && disk_last_index(disk) < disk->snapshot->index) {
        cut_front(disk, disk->count);
        disk->first = disk->snapshot->index + 1;
    }
    *term = disk->term;
    *voted_for = disk->vote;
    *snapshot = load_snapshot(disk->snapshot);
    *start_index = disk->first;
    *entries = load_entries(disk);
    *n_entries = disk->count;
    disk->next = disk_last_index(disk) + 1;
    disk->shifted = false;
    return 0;
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    struct disk *disk = &node_of(io)->disk;
    struct raft_buffer buffer;
    int rv;

    if (disk->member) {
        return RAFT_CANTBOOTSTRAP;
    }
    rv = raft_configuration_encode(configuration, &buffer);
    if (rv != 0) {
        return rv;
    }
    disk->log = world_alloc(sizeof *disk->log);
    disk->room = 1;
    disk->log[disk->count++] = (struct disk_entry){
        .term = 1,
        .type = RAFT_CHANGE,
        .size = buffer.len,
        .base = world_copy(buffer.base, buffer.len),
    };
    raft_free(buffer.base);
    disk->term = 1;
    disk->member = true;
    return 0;
}

static int io_recover(struct raft_io *io, const struct raft_configuration *configuration)
{
    (void)io;
    (void)configuration;
    return RAFT_IOERR;
}

void disk_attach(struct node *node)
{
    struct raft_io *io = &node->process->io;

    io->load = io_load;
    io->bootstrap = io_bootstrap;
    io->recover = io_recover;
    io->set_term = io_set_term;
    io->set_vote = io_set_vote;
    io->append = io_append;
    io->truncate = io_truncate;
    io->snapshot_put = io_snapshot_put;
    io->snapshot_get = io_snapshot_get;
}

/* After a crash. */

static void keep_prefix(struct disk *disk, struct disk_operation *list)
{
    uint64_t keep = 0;

    for (const struct disk_operation *operation = list; operation != NULL;
         operation = operation->next) {
        keep++;
    }
    keep = world_between(0, keep);
    while (list != NULL) {
        struct disk_operation *operation = list;

        list = operation->next;
        /* A snapshot that is being written may be complete before the log behind it. */
        if (keep > 0 || (operation->kind == OPERATION_SNAPSHOT && operation->started &&
                         operation->trailing != 0 && world_chance(0.3))) {
            keep -= keep > 0;
            perform_operation(disk, operation);
        }
        free_operation(operation);
    }
}

void disk_crash(struct node *node)
{
    struct disk *disk = &node->disk;

    /* A write that failed may have reached the disk in part, but no write behind it. */
    if (disk->failing != NULL) {
        keep_prefix(disk, disk->failing);
    } else {
        keep_prefix(disk, disk->queue);
    }
    disk->queue = NULL;
    disk->barrier = NULL;
    disk->failing = NULL;
    disk->writing = false;
}
