/* The border between libraft and the store. */
#include "raft-glue/fsm.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "raft-glue/entry.h"

static struct fsm *fsm_of(struct raft_fsm *raft_fsm)
{
    return raft_fsm->data;
}

static void apply_transaction(void *data, struct bytes transaction)
{
    struct fsm *fsm = data;
    struct store_answer answer = store_apply(fsm->store, transaction);

    if (fsm->callbacks.applied != NULL) {
        fsm->callbacks.applied(fsm->callbacks.data, transaction, &answer);
    }
}

/* A non-zero return stops libraft from applying anything further, so a refused
 * transaction and even an entry that cannot be read are answers, the same on every
 * replica. The result is set because libraft passes an uninitialised pointer. */
static int fsm_apply(struct raft_fsm *raft_fsm, const struct raft_buffer *buf, void **result)
{
    struct fsm *fsm = fsm_of(raft_fsm);
    struct bytes entry = {.base = buf->base, .size = buf->len};

    *result = NULL;
    fsm->entries_since++;
    fsm->bytes_since += buf->len;
    if (entry_each(entry, apply_transaction, fsm) != QH_OK) {
        log_error("log entry skipped: it is not in the format of this version index=%llu size=%zu;"
                  " every node skips it",
                  fsm->raft->last_applied + 1, buf->len);
    }
    return 0;
}

/* The place of this node among the members. Ids are random: two of three would often have
 * the same remainder. */
static uint64_t place_of_self(const struct raft *raft)
{
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (raft->configuration.servers[i].id == raft->id) {
            return i;
        }
    }
    return 0;
}

/* The nodes of a cluster apply the same entries, so that without this they would all write
 * their snapshots at the same moment, and no majority would be left with a quiet disk. */
static uint64_t stagger(const struct fsm *fsm, uint64_t amount)
{
    return amount + amount / 4 * (place_of_self(fsm->raft) % 4);
}

/* A snapshot costs one write of the whole store, so the larger the store the
 * more log is allowed before the next. Bytes bound memory and the longest message
 * to a lagging peer, entries bound the time of a restart. */
static bool snapshot_due(const struct fsm *fsm)
{
    uint64_t bytes = store_data_size(fsm->store) / 5;

    if (bytes < fsm->bytes_min) {
        bytes = fsm->bytes_min;
    }
    if (bytes > FSM_SNAPSHOT_BYTES_MAX) {
        bytes = FSM_SNAPSHOT_BYTES_MAX;
    }
    if (fsm->entries_since >= stagger(fsm, fsm->entries_max)) {
        return true;
    }
    if (fsm->bytes_since < stagger(fsm, bytes)) {
        return false;
    }
    return fsm->entries_since >= fsm->entries_min || fsm->bytes_since >= 2 * bytes;
}

/* Keep the entries that came since the last snapshot, so that a peer that was away for
 * less than that catches up from the log. Counted by these and not by a fixed number, because
 * an entry may have 256 KiB: all that is kept is in memory, and is read and checked at
 * a restart. libraft 0.15 with so few would send a snapshot over and over (report,
 * section 4, row 11), but for the guard's rule R13. Never 0: raft_uv loses entries then. */
static void keep_trailing(struct fsm *fsm)
{
    uint64_t trailing = fsm->entries_since;

    if (trailing < FSM_TRAILING_MIN) {
        trailing = FSM_TRAILING_MIN;
    }
    raft_set_snapshot_trailing(fsm->raft, (unsigned)trailing);
}

static int buffers_from_snapshot(const struct store_snapshot *snapshot, struct raft_buffer *bufs[],
                                 unsigned *n_bufs)
{
    struct raft_buffer *list = raft_calloc(snapshot->piece_count, sizeof *list);

    if (list == NULL) {
        return RAFT_NOMEM;
    }
    for (unsigned i = 0; i < snapshot->piece_count; i++) {
        /* libraft only reads these; its type has no const. */
        memcpy(&list[i].base, &snapshot->pieces[i].base, sizeof list[i].base);
        list[i].len = snapshot->pieces[i].size;
    }
    *bufs = list;
    *n_bufs = snapshot->piece_count;
    return 0;
}

/* Thread: a pool thread with the real back-end. It reads the frozen view alone. */
static int encode_view(struct raft_fsm *raft_fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct fsm *fsm = fsm_of(raft_fsm);

    QH_ASSERT(fsm->view != NULL);
    if (store_snapshot_encode(fsm->view, &fsm->snapshot) != QH_OK) {
        return RAFT_NOMEM;
    }
    return buffers_from_snapshot(&fsm->snapshot, bufs, n_bufs);
}

static void drop_view(struct fsm *fsm)
{
    store_snapshot_close(&fsm->snapshot);
    store_view_release(fsm->view);
    fsm->view = NULL;
}

/* RAFT_BUSY is the clean way to say "later": libraft asks again after the next entry. */
static int fsm_snapshot(struct raft_fsm *raft_fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct fsm *fsm = fsm_of(raft_fsm);
    int rv;

    if (fsm->view != NULL || !snapshot_due(fsm) || !guard_snapshot_allowed(fsm->guard)) {
        return RAFT_BUSY;
    }
    if (store_freeze(fsm->store, &fsm->view) != QH_OK) {
        return RAFT_BUSY;
    }
    *bufs = NULL;
    *n_bufs = 0;
    if (raft_fsm->snapshot_async == NULL) {
        rv = encode_view(raft_fsm, bufs, n_bufs);
        if (rv != 0) {
            drop_view(fsm);
            return RAFT_BUSY;
        }
    }
    keep_trailing(fsm);
    fsm->entries_since = 0;
    fsm->bytes_since = 0;
    fsm->snapshots_taken++;
    return 0;
}

static int fsm_snapshot_finalize(struct raft_fsm *raft_fsm, struct raft_buffer *bufs[],
                                 unsigned *n_bufs)
{
    struct fsm *fsm = fsm_of(raft_fsm);

    raft_free(*bufs);
    *bufs = NULL;
    *n_bufs = 0;
    if (fsm->view != NULL) {
        drop_view(fsm);
    }
    return 0;
}

/* On success libraft leaves the buffer to us. */
static int fsm_restore(struct raft_fsm *raft_fsm, struct raft_buffer *buf)
{
    struct fsm *fsm = fsm_of(raft_fsm);
    struct bytes encoded = {.base = buf->base, .size = buf->len};
    struct store *store;
    enum qh_err err = store_snapshot_decode(encoded, &store);

    if (err != QH_OK) {
        log_error("snapshot refused: %s size=%zu; restore this node's data directory from a"
                  " backup, or remove the node from the cluster and add it under a new id",
                  err_message(err), buf->len);
        if (fsm->raft->state != RAFT_UNAVAILABLE) {
            /* Not at start but in the middle of an install: libraft has dropped its log
             * already and would go on without one. */
            fsm->guard->callbacks.fatal(fsm->guard->callbacks.data, "restoring a snapshot failed");
        }
        return err == QH_ENOMEM ? RAFT_NOMEM : RAFT_CORRUPT;
    }
    raft_free(buf->base);
    QH_ASSERT(fsm->view == NULL); /* libraft installs nothing while it takes a snapshot */
    store_free(fsm->store);
    fsm->store = store;
    fsm->entries_since = 0;
    fsm->bytes_since = 0;
    if (fsm->callbacks.restored != NULL) {
        fsm->callbacks.restored(fsm->callbacks.data);
    }
    return 0;
}

QH_RESULT fsm_init(struct fsm *fsm, struct raft *raft, struct guard *guard, bool async,
                   struct fsm_callbacks callbacks)
{
    struct store *store;
    enum qh_err err = store_new(&store);

    if (err != QH_OK) {
        return err;
    }
    memset(fsm, 0, sizeof *fsm);
    fsm->store = store;
    fsm->raft = raft;
    fsm->guard = guard;
    fsm->callbacks = callbacks;
    fsm->entries_min = FSM_SNAPSHOT_ENTRIES_MIN;
    fsm->entries_max = FSM_SNAPSHOT_ENTRIES_MAX;
    fsm->bytes_min = FSM_SNAPSHOT_BYTES_MIN;
    fsm->raft_fsm = (struct raft_fsm){
        .version = 3,
        .data = fsm,
        .apply = fsm_apply,
        .snapshot = fsm_snapshot,
        .restore = fsm_restore,
        .snapshot_finalize = fsm_snapshot_finalize,
        .snapshot_async = async ? encode_view : NULL,
    };
    return QH_OK;
}

void fsm_close(struct fsm *fsm)
{
    if (fsm->view != NULL) {
        drop_view(fsm);
    }
    store_free(fsm->store);
    fsm->store = NULL;
}
