/* The store as libraft's state machine: applies entries, takes snapshots off
 * the loop thread, restores them.
 *
 * Thread: the loop's, but for the encoding of a snapshot, which libraft runs on
 * a pool thread over a frozen view. */
#ifndef QH_GLUE_FSM_H
#define QH_GLUE_FSM_H

#include <raft.h>
#include <stdbool.h>

#include "raft-glue/guard.h"
#include "store/store.h"

struct fsm_callbacks {
    void *data;
    /* A transaction of the log was applied here (or refused, which is an answer
     * too). @transaction is valid during the call. May be NULL. */
    void (*applied)(void *data, struct bytes transaction, const struct store_answer *answer);
    /* The whole store was replaced by a snapshot: at start, or because this
     * node was too far behind. May be NULL. */
    void (*restored)(void *data);
};

/* When a snapshot is due: enough entries and enough bytes since the last one (a fifth of the
 * store, within the bounds), or twice the bytes, or so many entries that a restart would take long.
 * Up to 1.75 times as much on some nodes, so that they do not all write at once. */
#define FSM_SNAPSHOT_ENTRIES_MIN 1024u
#define FSM_SNAPSHOT_ENTRIES_MAX 65536u
#define FSM_SNAPSHOT_BYTES_MIN (4u << 20)
#define FSM_SNAPSHOT_BYTES_MAX (64u << 20)
#define FSM_TRAILING_MIN 64u /* entries kept behind a snapshot */

struct fsm {
    struct raft_fsm raft_fsm; /* give this one to raft_init() */
    struct store *store;      /* replaced by a restore */
    struct guard *guard;
    struct raft *raft;
    struct fsm_callbacks callbacks;
    struct store_view *view; /* of the snapshot under way, or NULL */
    struct store_snapshot snapshot;
    uint64_t entries_since; /* since the last snapshot */
    uint64_t bytes_since;
    uint64_t snapshots_taken;
    unsigned entries_min; /* FSM_SNAPSHOT_ENTRIES_MIN; the simulator lowers them */
    unsigned entries_max;
    uint64_t bytes_min;
};

/* @async: encode snapshots by raft_io's async_work (the real back-end), else in
 * place (the simulator). Errors: QH_ENOMEM. */
QH_RESULT fsm_init(struct fsm *fsm, struct raft *raft, struct guard *guard, bool async,
                   struct fsm_callbacks callbacks);
void fsm_close(struct fsm *fsm);

#endif
