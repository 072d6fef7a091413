/* Propose: get a transaction into the replicated log from any node, once, and
 * learn what became of it when this node's own replica has applied it.
 *
 * Pure logic: the time, the network and libraft come through struct
 * propose_ops, so that the simulator runs this very code.
 *
 *     QUEUED ------> SENT -------> done: applied, duplicate or refused
 *       ^   leader     |  applied here
 *       |   known      |
 *       +--------------+
 *        the leader changed, its connection closed, it said no, or it was
 *        silent for resend_ms: the fate is unknown, so it is proposed again
 *
 * Proposing again is safe because every transaction compares that r/<id> is
 * absent and puts its answer there. See doc/decisions for why a refusal
 * that follows a second copy needs a fence. */
#ifndef QH_GLUE_PROPOSE_H
#define QH_GLUE_PROPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "store/store.h"

struct propose;

enum propose_outcome {
    PROPOSE_APPLIED,   /* done; @answer has its revision */
    PROPOSE_DUPLICATE, /* the request was done before: read r/<id> in the store. A
                          zero-byte answer there says that it was refused for good. */
    PROPOSE_REFUSED,   /* not done, and no copy will ever be: a compare failed or it is too
                          late. @fenced: the id is used up; compute again under a new one. */
    PROPOSE_FAILED     /* @err: QH_ETIMEOUT never sent; QH_EUNKNOWN sent, fate unknown;
                          QH_ECANCELED never sent, and the node is stopping */
};

struct propose_result {
    enum propose_outcome outcome;
    enum qh_err err; /* PROPOSE_FAILED only */
    bool fenced;     /* PROPOSE_REFUSED only */
    struct store_answer answer;
};

typedef void (*propose_cb)(void *data, const struct propose_result *result);

struct propose_ops {
    void *data;
    /* Append one entry as leader. On QH_OK the entry's memory belongs to libraft, and
     * propose_entry_done() follows once, later. Errors: QH_ENOTLEADER, QH_EBUSY, QH_ENOMEM:
     * not appended. */
    enum qh_err (*append)(void *data, void *entry, size_t size);
    /* Memory for an entry (raft_malloc). NULL if there is none. */
    void *(*alloc)(void *data, size_t size);
    void (*release)(void *data, void *entry);
    /* Send a transaction to the leader's propose_forwarded(). Errors: QH_ECONN, QH_EBUSY. */
    enum qh_err (*forward)(void *data, uint64_t leader, struct bytes transaction);
    /* Tell @peer that this node does not lead: its propose_rejected(). Best effort. */
    void (*reject)(void *data, uint64_t peer, const uint8_t id[ONCE_ID_SIZE]);
    /* The replica's store, for looking up r/<id>. */
    const struct store *(*store)(void *data);
    /* An entry with a transaction that @peer forwarded is committed: let it know now, so that
     * its replica applies it. Called from propose_deliver() and propose_tick() alone. */
    void (*tell)(void *data, uint64_t peer);
    /* Results wait: call propose_deliver() soon, from the top of the loop. */
    void (*wake)(void *data);
};

struct propose_counters {
    uint64_t submitted, appended_entries, appended_transactions, forwarded, resent, duplicates,
        fenced, expired;
};

/* Errors: QH_ENOMEM. @resend_ms: silence after which a sent proposal is sent
 * again, 100 to 60,000. */
QH_RESULT propose_new(struct propose_ops ops, unsigned resend_ms, struct propose **ret_propose);
/* Completes what is pending, with QH_ECANCELED if it was never sent, or with QH_EUNKNOWN. */
void propose_free(struct propose *propose);

/* Propose a transaction made by txn_build_once(), with an answer of at least one byte.
 *
 * @cb is called exactly once, never from inside this call, at the latest at the first
 * propose_tick() after @deadline_ms.
 * Errors: QH_EINVAL not a transaction that happens once, QH_EEXIST its id is pending here,
 *         QH_EBUSY PROPOSE_PENDING_MAX or PROPOSE_QUEUE_SIZE_MAX are. On any error @cb is not
 *         called. QH_ECANCELED from a callback that propose_free() makes.
 * Owns:   copies @transaction. */
QH_RESULT propose_submit(struct propose *propose, struct bytes transaction, uint64_t now_ms,
                         uint64_t deadline_ms, propose_cb cb, void *data);

/* What the rest of the node tells it. */
struct propose_role {
    bool leading;      /* this node leads: what arrives waits for it to be ready */
    bool leader_ready; /* and its barrier is applied: entries may be appended */
    uint64_t leader;   /* the other node that leads, 0 if unknown or it is this one */
    uint64_t term;
};
void propose_role_changed(struct propose *propose, struct propose_role role, uint64_t now_ms);
void propose_peer_up(struct propose *propose, uint64_t peer, uint64_t now_ms); /* (re)connected */
void propose_forwarded(struct propose *propose, uint64_t from, struct bytes transaction);
void propose_rejected(struct propose *propose, uint64_t from, const uint8_t id[ONCE_ID_SIZE]);
void propose_written(struct propose *propose);    /* an entry of ours reached the local disk */
void propose_entry_done(struct propose *propose); /* one appended entry was applied or failed */
void propose_applied(struct propose *propose, struct bytes transaction,
                     const struct store_answer *answer);
void propose_restored(struct propose *propose);

/* Call the callbacks of what is finished and go on with what waits. Callbacks may
 * call propose_submit(). */
void propose_deliver(struct propose *propose);
/* Deadlines and resends; call at least every 50 ms. Also delivers. */
void propose_tick(struct propose *propose, uint64_t now_ms);

unsigned propose_pending(const struct propose *propose);
const struct propose_counters *propose_counters(const struct propose *propose);

#endif
