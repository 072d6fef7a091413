/* Membership changes, one at a time, each step only when the policy allows it. */
#include <string.h>

#include "base/log.h"
#include "raft-glue/replica_private.h"

/* libraft 0.15 may keep a pointer to a change after its callback or after a failure, so one is
 * never freed: a few bytes for each attempt of an operator's rare command. */
struct change_request {
    struct raft_change raft_change;
    bool answered;
    int status;
};

static void finish_change(struct replica *replica, enum qh_err err)
{
    struct change change = replica->change;

    replica->change = (struct change){.state = CHANGE_IDLE};
    if (change.cb != NULL) {
        change.cb(change.data, err);
    }
}

/* Called from inside libraft: take note, and go on from the tick. */
static void change_answered(struct raft_change *raft_change, int status)
{
    struct change_request *request = raft_change->data;

    request->answered = true;
    request->status = status;
}

static int submit_change(struct replica *replica, struct change_request *request)
{
    struct raft *raft = &replica->raft;
    struct raft_change *change = &request->raft_change;

    switch (replica->change.state) {
    case CHANGE_ADDING:
        return raft_add(raft, change, replica->change.id, replica->change.name, change_answered);
    case CHANGE_PROMOTING:
        return raft_assign(raft, change, replica->change.id, RAFT_VOTER, change_answered);
    case CHANGE_REMOVING:
        return raft_remove(raft, change, replica->change.id, change_answered);
    case CHANGE_IDLE:
    case CHANGE_TRANSFERRING:
        break;
    }
    return RAFT_INVALID;
}

static void start_step(struct replica *replica)
{
    bool removing = replica->change.state == CHANGE_REMOVING;
    struct change_request *request;
    enum qh_err err = members_may_change(&replica->raft, replica->change.id, removing);
    int rv;

    if (err == QH_ENOTLEADER || err == QH_EREFUSED) {
        finish_change(replica, err);
        return;
    }
    if (err != QH_OK) {
        return; /* a voter is behind or a change runs: the next tick looks again */
    }
    request = raft_calloc(1, sizeof *request);
    if (request == NULL) {
        finish_change(replica, QH_ENOMEM);
        return;
    }
    request->raft_change.data = request;
    rv = submit_change(replica, request);
    if (rv == 0) {
        replica->change.request = request;
    } else if (rv == RAFT_NOTLEADER) {
        finish_change(replica, QH_ENOTLEADER);
    } else if (rv != RAFT_CANTCHANGE && rv != RAFT_NOCONNECTION) {
        log_warning("membership change refused: %s id=%llu", raft_errmsg(&replica->raft),
                    (unsigned long long)replica->change.id);
        finish_change(replica, QH_EREFUSED);
    }
}

static void end_step(struct replica *replica)
{
    int status = replica->change.request->status;

    replica->change.request = NULL;
    if (status == RAFT_LEADERSHIPLOST || status == RAFT_NOTLEADER) {
        finish_change(replica, QH_EUNKNOWN);
    } else if (status != 0) {
        return; /* for example a server that caught up too slowly: once more */
    } else if (replica->change.state == CHANGE_ADDING) {
        replica->change.state = CHANGE_PROMOTING;
    } else {
        finish_change(replica, QH_OK);
    }
}

static void tick_transfer(struct replica *replica)
{
    if (replica->raft.state != RAFT_LEADER) {
        if (replica->guard.role.leader != 0) {
            finish_change(replica,
                          replica->guard.role.leader == replica->change.id ? QH_OK : QH_EREFUSED);
        }
        return;
    }
    if (!replica->failover.transferring) {
        (void)failover_hand_over(&replica->failover, replica->change.id);
    }
}

void replica_members_tick(struct replica *replica, uint64_t now_ms)
{
    struct change *change = &replica->change;

    if (change->state == CHANGE_IDLE) {
        return;
    }
    if (change->request != NULL && change->request->answered) {
        end_step(replica);
    } else if (now_ms >= change->deadline_ms) {
        finish_change(replica, change->request != NULL ? QH_EUNKNOWN : QH_ETIMEOUT);
    } else if (change->state == CHANGE_TRANSFERRING) {
        tick_transfer(replica);
    } else if (change->request == NULL) {
        start_step(replica);
    }
}

static QH_RESULT begin_change(struct replica *replica, enum change_state state, uint64_t id,
                              unsigned deadline_ms, replica_changed_cb cb, void *data)
{
    if (replica->raft.state != RAFT_LEADER) {
        return QH_ENOTLEADER;
    }
    if (replica->change.state != CHANGE_IDLE) {
        return QH_EBUSY;
    }
    replica->change = (struct change){.state = state,
                                      .id = id,
                                      .deadline_ms = uv_now(replica->loop) + deadline_ms,
                                      .cb = cb,
                                      .data = data};
    return QH_OK;
}

/* A server that was added but never became a voter is promoted by adding it again. */
QH_RESULT replica_add(struct replica *replica, uint64_t id, const char *name, replica_changed_cb cb,
                      void *data)
{
    const struct raft_server *member = replica_net_find_server(replica, id);
    enum qh_err err;

    if (id == 0 || !identity_name_valid(name)) {
        return QH_EINVAL;
    }
    if (member != NULL && (member->role == RAFT_VOTER || strcmp(member->address, name) != 0)) {
        return QH_EEXIST;
    }
    if (replica_net_find_node(replica, name) == NULL) {
        return QH_ENOTFOUND;
    }
    if (member == NULL && replica->raft.configuration.n >= NODES_MAX) {
        return QH_ELIMIT;
    }
    err = begin_change(replica, member == NULL ? CHANGE_ADDING : CHANGE_PROMOTING, id,
                       CHANGE_DEADLINE_MS, cb, data);
    if (err == QH_OK) {
        (void)strncpy(replica->change.name, name, sizeof replica->change.name - 1);
    }
    return err;
}

QH_RESULT replica_remove(struct replica *replica, uint64_t id, replica_changed_cb cb, void *data)
{
    if (replica_net_find_server(replica, id) == NULL) {
        return QH_ENOTFOUND;
    }
    return begin_change(replica, CHANGE_REMOVING, id, CHANGE_DEADLINE_MS, cb, data);
}

QH_RESULT replica_transfer(struct replica *replica, uint64_t id, replica_changed_cb cb, void *data)
{
    const struct raft_server *member = replica_net_find_server(replica, id);

    if (member == NULL) {
        return QH_ENOTFOUND;
    }
    if (member->role != RAFT_VOTER || id == replica->raft.id) {
        return QH_EINVAL;
    }
    return begin_change(replica, CHANGE_TRANSFERRING, id, 4 * replica->timing.election_ms, cb,
                        data);
}
