/* Who starts the election when a leader's process has died. */
#include "raft-glue/failover.h"

#include <string.h>

#define CAMPAIGN_RETRY_MS 2u /* log writes are still under way: look again soon */

void failover_init(struct failover *failover, struct guard *guard, struct raft *raft,
                   unsigned grace_ms, struct failover_ops ops)
{
    memset(failover, 0, sizeof *failover);
    failover->guard = guard;
    failover->raft = raft;
    failover->grace_ms = grace_ms;
    failover->ops = ops;
}

static bool has_leader(const struct raft *raft)
{
    return raft->state == RAFT_LEADER ||
           (raft->state == RAFT_FOLLOWER && raft->follower_state.current_leader.id != 0);
}

/* How many voters that are present go before this node: data nodes before witnesses, then in
 * the order of the configuration, which is the same everywhere. */
static unsigned rank_of_self(const struct failover *failover)
{
    const struct raft_configuration *configuration = &failover->raft->configuration;
    const struct raft_server *self = NULL;
    unsigned self_index = 0;
    bool witness;
    unsigned rank = 0;

    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == failover->raft->id) {
            self = &configuration->servers[i];
            self_index = i;
        }
    }
    if (self == NULL) {
        return configuration->n;
    }
    witness = failover->ops.is_witness(failover->ops.data, self);
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        bool other_witness = failover->ops.is_witness(failover->ops.data, server);

        if (server->role != RAFT_VOTER || server->id == self->id || server->id == failover->gone ||
            !failover->ops.is_present(failover->ops.data, server->id)) {
            continue;
        }
        if (other_witness != witness ? witness : i < self_index) {
            rank++;
        }
    }
    return rank;
}

void failover_peer_gone(struct failover *failover, raft_id peer, uint64_t now_ms)
{
    if (!guard_forget_leader(failover->guard, peer)) {
        return;
    }
    failover->gone = peer;
    failover->attempts = 0;
    failover->give_up_ms = now_ms + (uint64_t)failover->grace_ms * FAILOVER_GRACES_MAX;
    /* Half a grace even for the first: the others must have seen it too, since a voter that
     * still has a leader refuses. */
    failover->campaign_ms =
        now_ms + failover->grace_ms / 2 + (uint64_t)failover->grace_ms * rank_of_self(failover);
}

static void try_campaign(struct failover *failover, uint64_t now_ms)
{
    unsigned voters = failover->raft->configuration.n;

    if (has_leader(failover->raft) || now_ms >= failover->give_up_ms) {
        failover->gone = 0;
        return;
    }
    if (!guard_campaign(failover->guard)) {
        failover->campaign_ms = now_ms + CAMPAIGN_RETRY_MS;
        return;
    }
    failover->campaigns++;
    failover->attempts++;
    failover->campaign_ms = now_ms + (uint64_t)failover->grace_ms * voters;
    if (failover->attempts >= FAILOVER_ATTEMPTS_MAX) {
        failover->gone = 0;
    }
}

static bool is_witness_self(const struct failover *failover)
{
    const struct raft_configuration *configuration = &failover->raft->configuration;

    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == failover->raft->id) {
            return failover->ops.is_witness(failover->ops.data, &configuration->servers[i]);
        }
    }
    return false;
}

static void transfer_done(struct raft_transfer *req)
{
    struct failover *failover = req->data;

    failover->transferring = false;
}

bool failover_hand_over(struct failover *failover, raft_id heir)
{
    if (failover->transferring || failover->raft->state != RAFT_LEADER) {
        return false;
    }
    memset(&failover->transfer, 0, sizeof failover->transfer);
    failover->transfer.data = failover;
    failover->transferring = true;
    if (raft_transfer(failover->raft, &failover->transfer, heir, transfer_done) != 0) {
        failover->transferring = false;
        return false;
    }
    return true;
}

/* A witness leads only until a data node can. */
static void tick_witness(struct failover *failover)
{
    raft_id heir;

    if (!guard_leader_ready(failover->guard) || !is_witness_self(failover)) {
        return;
    }
    heir = members_heir(failover->raft, failover->ops.is_witness, failover->ops.data);
    if (heir != 0 && failover_hand_over(failover, heir)) {
        failover->handovers++;
    }
}

void failover_tick(struct failover *failover, uint64_t now_ms)
{
    if (failover->gone != 0 && now_ms >= failover->campaign_ms) {
        try_campaign(failover, now_ms);
    }
    if (failover->raft->state == RAFT_LEADER) {
        tick_witness(failover);
    }
}

uint64_t failover_due(const struct failover *failover)
{
    return failover->gone != 0 ? failover->campaign_ms : 0;
}
