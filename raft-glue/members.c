/* The policy of membership changes. */
#include "raft-glue/members.h"

#include "raft-glue/guard.h"

bool members_match_index(const struct raft *raft, raft_id server, raft_index *ret_match)
{
    if (raft->state != RAFT_LEADER) {
        return false;
    }
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (raft->configuration.servers[i].id == server) {
            /* The leader's own entry is updated when its disk has it. */
            *ret_match = raft->leader_state.progress[i].match_index;
            return true;
        }
    }
    return false;
}

/* A voter that has not been heard of is passed over only where it helps: when a server goes. */
static bool voter_is_current(const struct raft *raft, unsigned i, bool removing)
{
    const struct raft_progress *progress = &raft->leader_state.progress[i];

    if (raft->configuration.servers[i].id == raft->id) {
        return raft->last_stored >= raft->configuration_index;
    }
    if (progress->match_index >= raft->configuration_index) {
        return true;
    }
    return removing && !progress->recent_recv && progress->match_index == 0;
}

/* The leader is one of two voters, and is the one to go. Should both die when it alone has the
 * entry, the other needs the vote of a server whose log is longer than its own, and that one is
 * no candidate any more: no leader, for ever. */
static bool leaves_the_other_alone(const struct raft *raft, raft_id target)
{
    unsigned voters = 0;

    for (unsigned i = 0; i < raft->configuration.n; i++) {
        voters += raft->configuration.servers[i].role == RAFT_VOTER;
    }
    return target == raft->id && voters == 2;
}

QH_RESULT members_may_change(const struct raft *raft, raft_id target, bool removing)
{
    if (raft->state != RAFT_LEADER) {
        return QH_ENOTLEADER;
    }
    if (removing && leaves_the_other_alone(raft, target)) {
        return QH_EREFUSED;
    }
    if (raft->transfer != NULL || raft->leader_state.change != NULL ||
        raft->leader_state.promotee_id != 0) {
        return QH_EBUSY;
    }
    if (raft->configuration_uncommitted_index != 0 ||
        raft->commit_index < raft->configuration_index) {
        return QH_EBUSY;
    }
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];

        if (server->role == RAFT_VOTER && server->id != target &&
            !voter_is_current(raft, i, removing)) {
            return QH_EBUSY;
        }
    }
    return QH_OK;
}

raft_id members_heir(const struct raft *raft, members_is_witness is_witness, void *data)
{
    raft_index last = raft->last_stored;

    if (raft->state != RAFT_LEADER || raft->transfer != NULL) {
        return 0;
    }
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];

        if (server->id != raft->id && server->role == RAFT_VOTER && !is_witness(data, server) &&
            raft->leader_state.progress[i].match_index >= last) {
            return server->id;
        }
    }
    return 0;
}
