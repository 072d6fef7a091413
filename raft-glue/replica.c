/* Starting, stopping and asking a node. */
#include "raft-glue/replica.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"
#include "raft-glue/datadir.h"
#include "raft-glue/heap.h"
#include "raft-glue/replica_private.h"
#include "raft-glue/version.h"

#define SEGMENT_SIZE                                                                          \
    (8u << 20) /* bytes of a log segment; three or four are allocated ahead. Smaller ones are \
                * closed more often, and each closing holds writes up for tens of ms */
#define CATCH_UP_ROUNDS 100u /* of a node that is added; libraft's 10 are too few over a WAN */
#define CATCH_UP_ROUND_MS 50000u

struct replica_timing replica_timing(enum replica_preset preset, bool witness)
{
    struct replica_timing timing;

    if (preset == REPLICA_REGION) {
        timing = (struct replica_timing){
            .election_ms = 500, .heartbeat_ms = 50, .install_ms = 30000, .grace_ms = 10};
    } else {
        timing = (struct replica_timing){
            .election_ms = 1200, .heartbeat_ms = 120, .install_ms = 120000, .grace_ms = 60};
    }
    if (witness) {
        /* A voter refuses its vote until its own timer has fired, so a slow witness would
         * delay every fail-over. */
        timing.election_ms /= 2;
    }
    return timing;
}

static void check_space(struct replica *replica, uint64_t now_ms)
{
    struct statvfs info;
    bool low;

    if (now_ms < replica->space_check_ms) {
        return;
    }
    replica->space_check_ms = now_ms + REPLICA_SPACE_CHECK_MS;
    if (statvfs(replica->dir, &info) != 0) {
        return;
    }
    low = (uint64_t)info.f_bavail * info.f_frsize < DATADIR_FREE_MIN;
    if (low != replica->space_low) {
        replica->space_low = low;
        if (low) {
            log_error("disk almost full: leadership is given away, and the node stops when a "
                      "write fails dir=%s free_min=%llu; free some space now",
                      replica->dir, (unsigned long long)DATADIR_FREE_MIN);
        } else {
            log_info("disk has space again: dir=%s", replica->dir);
        }
    }
    if (low && guard_leader_ready(&replica->guard)) {
        raft_id heir = members_heir(&replica->raft, replica_net_is_witness, replica);

        if (heir != 0) {
            (void)failover_hand_over(&replica->failover, heir);
        }
    }
}

static void finish_stop(void *data)
{
    struct replica *replica = data;

    replica->transport = NULL;
    replica->stopped(replica->stopped_data);
}

/* Leadership is handed over first, so that the others need no election. */
static void tick_stop(struct replica *replica, uint64_t now_ms)
{
    if (replica->raft.state == RAFT_LEADER && now_ms < replica->stop_deadline_ms) {
        raft_id heir = members_heir(&replica->raft, replica_net_is_witness, replica);

        if (heir != 0 || replica->failover.transferring) {
            (void)failover_hand_over(&replica->failover, heir);
            return;
        }
    }
    uv_timer_stop(&replica->tick);
    uv_timer_stop(&replica->campaign);
    uv_idle_stop(&replica->deliver);
    propose_free(replica->propose);
    replica->propose = NULL;
    link_set_transport(&replica->link, NULL); /* libraft goes on until the process ends */
    transport_close(replica->transport, finish_stop, replica);
}

static void on_tick(uv_timer_t *timer)
{
    struct replica *replica = timer->data;
    uint64_t now_ms = uv_now(replica->loop);

    replica_net_sync_peers(replica);
    failover_tick(&replica->failover, now_ms);
    replica_members_tick(replica, now_ms);
    replica_log_tick(replica, now_ms);
    check_space(replica, now_ms);
    if (replica->stopping) {
        tick_stop(replica, now_ms);
    }
}

static QH_RESULT copy_config(struct replica *replica, const struct replica_config *config)
{
    if (config->node_count > NODES_MAX) {
        return QH_ELIMIT;
    }
    replica->dir = strdup(config->dir);
    if (replica->dir == NULL) {
        return QH_ENOMEM;
    }
    replica->self = config->self;
    memcpy(replica->nodes, config->nodes, config->node_count * sizeof config->nodes[0]);
    replica->node_count = config->node_count;
    replica->timing = replica_timing(config->preset, config->self.role == REPLICA_WITNESS);
    return QH_OK;
}

/* The directory: locked, ours, whole, and counted as started. */
static QH_RESULT open_directory(struct replica *replica)
{
    enum qh_err err = datadir_lock(replica->dir, &replica->lock_fd);

    if (err != QH_OK) {
        return err;
    }
    err = identity_load(replica->dir, &replica->identity);
    if (err != QH_OK) {
        log_error("node cannot start: %s: dir=%s; a new node is made by its init or join",
                  err_message(err), replica->dir);
        return err;
    }
    if (strcmp(replica->identity.name, replica->self.name) != 0) {
        log_error("node cannot start: its directory belongs to another node dir=%s "
                  "directory_name=%s configured_name=%s; correct the name or the directory",
                  replica->dir, replica->identity.name, replica->self.name);
        return QH_EINVAL;
    }
    err = datadir_check(replica->dir, replica->identity.member);
    if (err != QH_OK) {
        return err;
    }
    return identity_start(replica->dir, &replica->identity);
}

static QH_RESULT open_transport(struct replica *replica, const struct replica_config *config)
{
    struct transport_config transport = {
        .listen_host = replica->self.host,
        .listen_port = replica->self.port,
        .tls = config->tls,
        .source = config->source,
        .retry_ms = replica->timing.election_ms / 4,
        .user_timeout_ms = 3 * replica->timing.election_ms,
        .idle_ms = 0,
    };

    return transport_new(replica->loop, &transport, replica_net_callbacks(replica),
                         &replica->transport);
}

static QH_RESULT open_raft(struct replica *replica)
{
    struct guard_callbacks callbacks = {.data = replica,
                                        .fatal = replica_log_fatal,
                                        .changed = replica_log_changed,
                                        .written = replica_log_written};
    char *raft_dir;
    enum qh_err err;
    int rv;

    if (asprintf(&raft_dir, "%s/raft", replica->dir) < 0) {
        return QH_ENOMEM;
    }
    err = link_init(&replica->link, replica->loop, raft_dir, SEGMENT_SIZE);
    free(raft_dir);
    if (err != QH_OK) {
        return err;
    }
    link_set_transport(&replica->link, replica->transport);
    replica->link.verify_snapshot = store_snapshot_verify;
    guard_init(&replica->guard, &replica->link.io, &replica->raft, GUARD_RULES_ALL, callbacks);
    err = fsm_init(&replica->fsm, &replica->raft, &replica->guard, true,
                   replica_log_fsm_callbacks(replica));
    if (err != QH_OK) {
        return err;
    }
    rv = raft_init(&replica->raft, &replica->guard.io, &replica->fsm.raft_fsm, replica->identity.id,
                   replica->self.name);
    if (rv != 0) {
        log_error("node cannot start: libraft refuses its directory: %s dir=%s",
                  raft_errmsg(&replica->raft), replica->dir);
        return QH_EIO;
    }
    raft_set_election_timeout(&replica->raft, replica->timing.election_ms);
    raft_set_heartbeat_timeout(&replica->raft, replica->timing.heartbeat_ms);
    raft_set_install_snapshot_timeout(&replica->raft, replica->timing.install_ms);
    raft_set_pre_vote(&replica->raft, true);
    raft_set_snapshot_threshold(&replica->raft, 64); /* fsm.c decides; below, it is not asked */
    raft_set_snapshot_trailing(&replica->raft, 2 * FSM_SNAPSHOT_ENTRIES_MIN);
    raft_set_max_catch_up_rounds(&replica->raft, CATCH_UP_ROUNDS);
    raft_set_max_catch_up_round_duration(&replica->raft, CATCH_UP_ROUND_MS);
    return QH_OK;
}

static QH_RESULT start_raft(struct replica *replica)
{
    int rv = raft_start(&replica->raft);

    if (rv != 0) {
        log_error("node cannot start: loading the log failed: %s dir=%s; restore the directory "
                  "from a backup, or add the node again under a new id",
                  raft_errmsg(&replica->raft), replica->dir);
        return QH_ECORRUPT;
    }
    return transport_listen(replica->transport);
}

static void start_timers(struct replica *replica)
{
    (void)uv_timer_init(replica->loop, &replica->tick);
    (void)uv_timer_init(replica->loop, &replica->campaign);
    (void)uv_idle_init(replica->loop, &replica->deliver);
    replica->tick.data = replica;
    replica->campaign.data = replica;
    replica->deliver.data = replica;
    (void)uv_timer_start(&replica->tick, on_tick, REPLICA_TICK_MS, REPLICA_TICK_MS);
}

QH_RESULT replica_start(uv_loop_t *loop, const struct replica_config *config,
                        struct replica_callbacks callbacks, struct replica **ret_replica)
{
    struct replica *replica = calloc(1, sizeof *replica);
    enum qh_err err;

    if (replica == NULL) {
        return QH_ENOMEM;
    }
    heap_install();
    replica->loop = loop;
    replica->callbacks = callbacks;
    replica->lock_fd = -1;
    err = secret_setup(); /* libsodium: its fast code is chosen here */
    if (err == QH_OK) {
        err = version_check();
    }
    if (err == QH_OK) {
        err = copy_config(replica, config);
    }
    if (err == QH_OK) {
        err = open_directory(replica);
    }
    if (err == QH_OK) {
        err = open_transport(replica, config);
    }
    if (err == QH_OK) {
        err = open_raft(replica);
    }
    if (err == QH_OK) {
        start_timers(replica);
        err = replica_log_init(replica);
    }
    if (err == QH_OK) {
        err = start_raft(replica);
    }
    if (err != QH_OK) {
        /* The caller ends the process; what libraft holds by now cannot be released safely. */
        return err;
    }
    replica_net_sync_peers(replica);
    *ret_replica = replica;
    return QH_OK;
}

void replica_stop(struct replica *replica, void (*stopped)(void *data), void *data)
{
    QH_ASSERT(!replica->stopping);
    replica->stopping = true;
    replica->stopped = stopped;
    replica->stopped_data = data;
    replica->stop_deadline_ms = uv_now(replica->loop) + 2ull * replica->timing.election_ms;
}

QH_RESULT replica_propose(struct replica *replica, struct bytes transaction, unsigned timeout_ms,
                          propose_cb cb, void *data)
{
    uint64_t now_ms = uv_now(replica->loop);

    if (replica->stopping) {
        return QH_ECANCELED;
    }
    return propose_submit(replica->propose, transaction, now_ms, now_ms + timeout_ms, cb, data);
}

const struct store *replica_store(const struct replica *replica)
{
    return replica->fsm.store;
}

void replica_status(const struct replica *replica, struct replica_status *ret_status)
{
    const struct raft *raft = &replica->raft;
    struct replica_status status = {
        .id = raft->id,
        .generation = replica->identity.generation,
        .term = raft->current_term,
        .leading = raft->state == RAFT_LEADER,
        .ready = guard_leader_ready(&replica->guard),
        .leader = replica->guard.role.leader,
        .last_index = raft_last_index((struct raft *)(uintptr_t)raft),
        .commit_index = raft->commit_index,
        .applied_index = raft->last_applied,
        .revision = store_revision(replica->fsm.store),
        .record_count = store_record_count(replica->fsm.store),
        .data_size = store_data_size(replica->fsm.store),
        .snapshots = replica->fsm.snapshots_taken,
        .snapshotting = replica->fsm.view != NULL,
    };

    for (unsigned i = 0; i < raft->configuration.n && i < NODES_MAX; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        struct replica_peer_status *peer = &status.peers[status.peer_count++];
        raft_index match = 0;

        peer->id = server->id;
        (void)strncpy(peer->name, server->address, sizeof peer->name - 1);
        peer->voter = server->role == RAFT_VOTER;
        peer->connected =
            server->id == raft->id || transport_peer_present(replica->transport, server->id);
        (void)members_match_index(raft, server->id, &match);
        peer->match_index = match;
    }
    *ret_status = status;
}

QH_RESULT replica_set_address(struct replica *replica, const struct replica_node *node)
{
    struct replica_node *slot = NULL;

    if (!identity_name_valid(node->name)) {
        return QH_EINVAL;
    }
    for (unsigned i = 0; i < replica->node_count; i++) {
        if (strcmp(replica->nodes[i].name, node->name) == 0) {
            slot = &replica->nodes[i];
        }
    }
    if (slot == NULL) {
        if (replica->node_count == NODES_MAX) {
            return QH_ELIMIT;
        }
        slot = &replica->nodes[replica->node_count++];
    }
    *slot = *node;
    replica->peers_index = 0; /* tell the transport again */
    return QH_OK;
}
