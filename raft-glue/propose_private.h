/* What propose.c and propose_queue.c share, and nobody else. */
#ifndef QH_GLUE_PROPOSE_PRIVATE_H
#define QH_GLUE_PROPOSE_PRIVATE_H

#include <sys/queue.h>

#include "raft-glue/propose.h"

#define TXN_ID_OFFSET 8u /* of the request id in an encoded transaction (store/txn.h) */

enum proposal_state {
    PROPOSAL_QUEUED, /* not sent, or its fate has become unknown */
    PROPOSAL_SENT    /* at the leader, or in this leader's log */
};

/* A proposal of this node. */
struct proposal {
    TAILQ_ENTRY(proposal) link; /* of pending, in order of submission, then of done */
    uint8_t id[ONCE_ID_SIZE];
    uint8_t *transaction;
    size_t size;
    enum proposal_state state;
    unsigned copies; /* times that it left this node or entered its log */
    bool fence;      /* @transaction is the fence; @refusal is the answer to the original */
    struct store_answer refusal;
    uint64_t sent_ms;
    uint64_t deadline_ms;
    struct queue_item *queued; /* its place in the queue, or NULL */
    struct propose_result result;
    propose_cb cb;
    void *data;
};

TAILQ_HEAD(proposal_list, proposal);

/* A transaction that waits for a place in an entry, at the leader. */
struct queue_item {
    TAILQ_ENTRY(queue_item) link;
    struct proposal *own; /* or NULL: forwarded by @from, bytes in @copy */
    uint64_t from;
    uint8_t *copy;
    size_t size;
};

TAILQ_HEAD(queue_item_list, queue_item);

/* A peer that waits for the commitment of an entry of ours. */
struct propose_waiter {
    uint64_t peer;  /* 0: free */
    uint64_t entry; /* the number of the last entry with a transaction of its own */
};

struct propose {
    struct propose_ops ops;
    struct propose_role role;
    struct propose_counters counters;
    unsigned resend_ms;
    uint64_t now_ms;              /* as last told */
    struct proposal_list pending; /* not finished */
    struct proposal_list done;    /* finished, callback due */
    void *index;                  /* tsearch tree of pending, by id */
    unsigned pending_count;
    size_t pending_size; /* bytes */
    struct queue_item_list queue;
    size_t queue_size;         /* bytes */
    unsigned entries_inflight; /* appended and not done */
    uint64_t entries_done;     /* in all: entries are numbered from 1, and done in order */
    struct propose_waiter waiters[NODES_MAX];
    bool writing; /* the last entry is not on the local disk yet */
    bool flushing;
    bool closing;
    bool delivering; /* what callbacks submit travels together: no entry is made meanwhile */
};

/* Errors: QH_ENOMEM, QH_EBUSY. */
QH_RESULT propose_queue_push_own(struct propose *propose, struct proposal *proposal);
void propose_queue_forget(struct propose *propose, struct proposal *proposal);

/* Make entries of what waits, as far as allowed: while one is being written to the local
 * disk the next ones gather. Does nothing unless this node is a ready leader. */
void propose_queue_flush(struct propose *propose);

/* Tell the peers whose entries are done. */
void propose_queue_tell(struct propose *propose);

/* This node does not lead: say so to those who forwarded, keep what is our own pending. */
void propose_queue_clear(struct propose *propose);

#endif
