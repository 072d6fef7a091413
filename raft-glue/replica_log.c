/* Propose, guard and libraft connected. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/heap.h"
#include "raft-glue/replica_private.h"

/* A disk error, or a state that libraft cannot leave safely. Nothing may run after it, not
 * even a callback: what is on the disk decides at the next start. */
void replica_log_fatal(void *data, const char *why)
{
    struct replica *replica = data;

    log_error("node stopped: %s node=%s dir=%s", why, replica->self.name, replica->dir);
    _exit(REPLICA_EXIT_FATAL);
}

void replica_log_changed(void *data)
{
    struct replica *replica = data;
    const struct guard_role *role = &replica->guard.role;
    struct propose_role propose_role = {
        .leading = role->state == RAFT_LEADER,
        .leader_ready = guard_leader_ready(&replica->guard),
        .leader = role->state == RAFT_FOLLOWER ? role->leader : 0,
        .term = role->term,
    };

    if (replica->propose == NULL) {
        return;
    }
    if (propose_role.leader_ready) {
        log_info("leading: node=%s term=%llu", replica->self.name, role->term);
    } else if (propose_role.leader != 0) {
        log_info("following: node=%s leader=%llu term=%llu", replica->self.name,
                 (unsigned long long)propose_role.leader, role->term);
    }
    propose_role_changed(replica->propose, propose_role, uv_now(replica->loop));
    if (replica->callbacks.changed != NULL) {
        replica->callbacks.changed(replica->callbacks.data);
    }
}

/* Reading from the peers stops while this node's disk is behind. */
static void adjust_pause(struct replica *replica)
{
    uint64_t bytes = guard_bytes_inflight(&replica->guard);

    if (!replica->paused && bytes > REPLICA_PAUSE_BYTES) {
        replica->paused = true;
        transport_pause(replica->transport, true);
    } else if (replica->paused && bytes < REPLICA_RESUME_BYTES) {
        replica->paused = false;
        transport_pause(replica->transport, false);
    }
}

void replica_log_written(void *data)
{
    struct replica *replica = data;

    if (replica->propose != NULL) {
        propose_written(replica->propose);
        adjust_pause(replica);
    }
}

/* raft_apply's callback. With a status other than 0 libraft must not be called from here:
 * propose_entry_done() only takes note, and a change of role brings the rest. */
static void entry_done(struct raft_apply *req, int status, void *result)
{
    struct replica *replica = req->data;

    (void)status;
    (void)result;
    free(req);
    if (replica->propose != NULL) {
        propose_entry_done(replica->propose);
    }
}

static enum qh_err append_entry(void *data, void *entry, size_t size)
{
    struct replica *replica = data;
    struct raft_buffer buffer = {.base = entry, .len = size};
    struct raft_apply *req;
    int rv;

    if (!guard_leader_ready(&replica->guard)) {
        return QH_ENOTLEADER;
    }
    req = calloc(1, sizeof *req);
    if (req == NULL) {
        return QH_ENOMEM;
    }
    req->data = replica;
    rv = raft_apply(&replica->raft, req, &buffer, 1, entry_done);
    if (rv != 0) {
        free(req);
        return rv == RAFT_NOMEM ? QH_ENOMEM : QH_ENOTLEADER;
    }
    return QH_OK;
}

static void *alloc_entry(void *data, size_t size)
{
    (void)data;
    return raft_malloc(size);
}

static void release_entry(void *data, void *entry)
{
    (void)data;
    raft_free(entry);
}

static const struct store *get_store(void *data)
{
    const struct replica *replica = data;

    return replica->fsm.store;
}

static void tell_commit(void *data, uint64_t peer)
{
    struct replica *replica = data;

    guard_tell_commit(&replica->guard, peer);
}

static void on_deliver(uv_idle_t *idle)
{
    struct replica *replica = idle->data;

    uv_idle_stop(idle);
    if (replica->propose != NULL) {
        propose_deliver(replica->propose);
    }
}

/* An idle handle runs in the next turn of the loop, which does not block while it is
 * active: outside of libraft, and without delay. */
static void wake_deliver(void *data)
{
    struct replica *replica = data;

    if (!uv_is_closing((uv_handle_t *)&replica->deliver)) {
        (void)uv_idle_start(&replica->deliver, on_deliver);
    }
}

QH_RESULT replica_log_init(struct replica *replica)
{
    struct propose_ops ops = {
        .data = replica,
        .append = append_entry,
        .alloc = alloc_entry,
        .release = release_entry,
        .forward = replica_net_forward,
        .reject = replica_net_reject,
        .store = get_store,
        .tell = tell_commit,
        .wake = wake_deliver,
    };
    struct failover_ops failover = {
        .data = replica,
        .is_witness = replica_net_is_witness,
        .is_present = replica_net_is_present,
    };

    failover_init(&replica->failover, &replica->guard, &replica->raft, replica->timing.grace_ms,
                  failover);
    return propose_new(ops, replica->timing.election_ms, &replica->propose);
}

void replica_log_tick(struct replica *replica, uint64_t now_ms)
{
    propose_tick(replica->propose, now_ms);
    guard_tell_commit(&replica->guard, 0);
    adjust_pause(replica);
}

static void on_applied(void *data, struct bytes transaction, const struct store_answer *answer)
{
    struct replica *replica = data;

    if (replica->callbacks.applied != NULL) {
        replica->callbacks.applied(replica->callbacks.data, transaction, answer);
    }
    if (replica->propose != NULL) {
        propose_applied(replica->propose, transaction, answer);
    }
}

static void on_restored(void *data)
{
    struct replica *replica = data;

    if (replica->callbacks.restored != NULL) {
        replica->callbacks.restored(replica->callbacks.data);
    }
    if (replica->propose != NULL) {
        propose_restored(replica->propose);
    }
}

struct fsm_callbacks replica_log_fsm_callbacks(struct replica *replica)
{
    return (struct fsm_callbacks){.data = replica, .applied = on_applied, .restored = on_restored};
}
