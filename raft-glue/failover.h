/* Fast fail-over, and the witness's hand-over. Pure: told the time and which peers are
 * there, it tells the guard what to do.
 *
 *                    leader's process gone
 *    FOLLOWING ------------------------------> ORPHANED
 *        ^                                       |  after grace_ms x rank: campaign
 *        |   a leader is known, or this leads    v
 *        +------------------------------------ CAMPAIGNED
 *
 * The survivor of rank 0 starts the election at once, the next one a grace later if there
 * is still no leader, so that votes do not split; time-outs remain behind all of it. */
#ifndef QH_GLUE_FAILOVER_H
#define QH_GLUE_FAILOVER_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "raft-glue/guard.h"
#include "raft-glue/members.h"

struct failover_ops {
    void *data;
    bool (*is_witness)(void *data, const struct raft_server *server);
    bool (*is_present)(void *data, raft_id server); /* it has a connection to us */
};

struct failover {
    struct guard *guard;
    struct raft *raft;
    struct failover_ops ops;
    unsigned grace_ms;
    raft_id gone;         /* the leader that went; 0: FOLLOWING */
    uint64_t campaign_ms; /* when to try next */
    uint64_t give_up_ms;  /* when to leave it to the time-out */
    unsigned attempts;
    /* libraft 0.15 uses it after its callback: never freed, never re-used while pending. */
    struct raft_transfer transfer;
    bool transferring;
    uint64_t campaigns; /* elections begun without waiting for the time-out */
    uint64_t handovers; /* leadership handed over by a witness */
};

#define FAILOVER_ATTEMPTS_MAX 4u /* then the time-out takes over */
#define FAILOVER_GRACES_MAX 50u  /* and after so many graces, whatever was tried */

void failover_init(struct failover *failover, struct guard *guard, struct raft *raft,
                   unsigned grace_ms, struct failover_ops ops);

/* The process of @peer ended: its connections to us were closed by its side. */
void failover_peer_gone(struct failover *failover, raft_id peer, uint64_t now_ms);

/* Call every few milliseconds while failover_due() is set, else every 100 ms or so. */
void failover_tick(struct failover *failover, uint64_t now_ms);

/* When the next failover_tick() has something to do; 0: nothing is planned. */
uint64_t failover_due(const struct failover *failover);

/* Hand leadership to @heir. False if this node cannot now. */
bool failover_hand_over(struct failover *failover, raft_id heir);

#endif
