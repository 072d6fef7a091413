/* The replica's peers: who they are, whether they may talk to us, and the frames that are
 * not Raft's own:
 *
 *   u8 RPC_FORWARD, transaction    to the leader: propose this
 *   u8 RPC_REJECT, 16 bytes id     back: this node does not lead */
#include <string.h>

#include "base/log.h"
#include "raft-glue/replica_private.h"
#include "store/store.h"

enum rpc_type { RPC_FORWARD = 1, RPC_REJECT = 2 };

const struct replica_node *replica_net_find_node(const struct replica *replica, const char *name)
{
    for (unsigned i = 0; i < replica->node_count; i++) {
        if (strcmp(replica->nodes[i].name, name) == 0) {
            return &replica->nodes[i];
        }
    }
    return NULL;
}

bool replica_net_is_witness(void *data, const struct raft_server *server)
{
    const struct replica *replica = data;
    const struct replica_node *node = replica_net_find_node(replica, server->address);

    return node != NULL && node->role == REPLICA_WITNESS;
}

bool replica_net_is_present(void *data, raft_id server)
{
    const struct replica *replica = data;

    return transport_peer_present(replica->transport, server);
}

const struct raft_server *replica_net_find_server(const struct replica *replica, uint64_t id)
{
    const struct raft_configuration *configuration = &replica->raft.configuration;

    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == id) {
            return &configuration->servers[i];
        }
    }
    return NULL;
}

static bool remember_peer(struct replica *replica, uint64_t id, const char *name)
{
    const struct replica_node *node = replica_net_find_node(replica, name);

    if (node == NULL) {
        return false;
    }
    for (unsigned i = 0; i < replica->peers_count; i++) {
        if (replica->peers[i] == id) {
            return transport_peer_set(replica->transport, id, name, node->host, node->port) ==
                   QH_OK;
        }
    }
    if (replica->peers_count == NODES_MAX ||
        transport_peer_set(replica->transport, id, name, node->host, node->port) != QH_OK) {
        return false;
    }
    replica->peers[replica->peers_count++] = id;
    return true;
}

static void forget_removed(struct replica *replica)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < replica->peers_count; i++) {
        if (replica_net_find_server(replica, replica->peers[i]) != NULL) {
            replica->peers[kept++] = replica->peers[i];
        } else {
            transport_peer_remove(replica->transport, replica->peers[i]);
        }
    }
    replica->peers_count = kept;
}

/* An empty directory is where a disk was lost; from the first log on, ours is not. */
static void note_membership(struct replica *replica)
{
    if (!replica->identity.member) {
        replica->identity.member = true;
        if (identity_store(replica->dir, &replica->identity) != QH_OK) {
            replica_log_fatal(replica, "the identity file could not be written; check the disk, "
                                       "then restart");
        }
    }
}

/* Keep connections to just the members of the current configuration. */
void replica_net_sync_peers(struct replica *replica)
{
    const struct raft_configuration *configuration = &replica->raft.configuration;
    raft_index index = replica->raft.configuration_uncommitted_index != 0
                           ? replica->raft.configuration_uncommitted_index
                           : replica->raft.configuration_index;

    if (index == replica->peers_index || configuration->n == 0) {
        return;
    }
    replica->peers_index = index;
    note_membership(replica);
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];

        if (server->id != replica->raft.id &&
            !remember_peer(replica, server->id, server->address)) {
            log_error("member has no address: node=%s; add it to the nodes of the configuration",
                      server->address);
        }
    }
    forget_removed(replica);
}

static void fill_hello(void *data, struct transport_hello *ret_hello)
{
    const struct replica *replica = data;
    const struct identity *identity = &replica->identity;
    struct transport_hello hello = {.generation = identity->generation,
                                    .id = identity->id,
                                    .start_count = identity->start_count,
                                    .nonce = identity->nonce,
                                    .term = replica->guard.term};

    memcpy(hello.cluster, identity->cluster, sizeof hello.cluster);
    memcpy(hello.name, identity->name, sizeof hello.name);
    *ret_hello = hello;
}

/* Is (id, name) a server that this node may talk to? While it has no configuration yet,
 * because it is about to join, it takes any node that it was configured with. */
static bool may_be_member(const struct replica *replica, const struct transport_hello *hello)
{
    const struct raft_server *server = replica_net_find_server(replica, hello->id);

    if (server != NULL) {
        return strcmp(server->address, hello->name) == 0;
    }
    if (replica->raft.configuration.n == 0) {
        return replica_net_find_node(replica, hello->name) != NULL;
    }
    return false;
}

/* A node that was never a member has no past that could contradict the cluster's: about to join one
 * that was recovered, it takes over its generation. The peer may have refused it for the one
 * that it told; the next attempt tells the new one. */
static enum qh_err check_generation(struct replica *replica, const struct transport_hello *hello)
{
    if (hello->generation == replica->identity.generation) {
        return QH_OK;
    }
    if (hello->generation < replica->identity.generation || replica->identity.member ||
        replica->raft.configuration.n != 0 || !may_be_member(replica, hello)) {
        return QH_EGENERATION;
    }
    replica->identity.generation = hello->generation;
    return identity_store(replica->dir, &replica->identity);
}

static enum qh_err check_rollback(struct replica *replica, const struct transport_hello *hello)
{
    struct identity_peer peer = {.id = hello->id,
                                 .start_count = hello->start_count,
                                 .nonce = hello->nonce,
                                 .term = hello->term};
    bool changed = false;
    enum qh_err err = identity_check_peer(&replica->identity, &peer, &changed);

    if (err != QH_OK) {
        return err;
    }
    return changed ? identity_store(replica->dir, &replica->identity) : QH_OK;
}

static enum qh_err check_hello(void *data, const struct transport_hello *hello)
{
    struct replica *replica = data;
    enum qh_err err;

    if (memcmp(hello->cluster, replica->identity.cluster, sizeof hello->cluster) != 0) {
        return QH_EPEER;
    }
    err = check_generation(replica, hello);
    if (err != QH_OK) {
        return err;
    }
    if (!may_be_member(replica, hello)) {
        return QH_EPEER;
    }
    if (replica->raft.configuration.n == 0) {
        (void)remember_peer(replica, hello->id, hello->name);
    }
    return check_rollback(replica, hello);
}

static enum qh_err receive_rpc(struct replica *replica, uint64_t peer, struct bytes body)
{
    struct bytes rest;

    if (body.size < 1) {
        return QH_EMALFORMED;
    }
    rest = (struct bytes){.base = body.base + 1, .size = body.size - 1};
    if (body.base[0] == RPC_FORWARD && replica->propose != NULL) {
        propose_forwarded(replica->propose, peer, rest);
        return QH_OK;
    }
    if (body.base[0] == RPC_REJECT && rest.size == ONCE_ID_SIZE && replica->propose != NULL) {
        propose_rejected(replica->propose, peer, rest.base);
        return QH_OK;
    }
    return QH_EMALFORMED;
}

static enum qh_err receive_frame(void *data, enum transport_channel channel, uint64_t peer,
                                 const char *name, struct bytes body)
{
    struct replica *replica = data;

    if (channel == TRANSPORT_RAFT) {
        return link_receive(&replica->link, peer, name, body);
    }
    return receive_rpc(replica, peer, body);
}

static void on_outbound(void *data, enum transport_channel channel, uint64_t peer, bool up)
{
    struct replica *replica = data;

    if (up && channel == TRANSPORT_RPC && replica->propose != NULL) {
        propose_peer_up(replica->propose, peer, uv_now(replica->loop));
    }
}

static void on_campaign(uv_timer_t *timer)
{
    struct replica *replica = timer->data;

    failover_tick(&replica->failover, uv_now(replica->loop));
    replica_net_arm_campaign(replica);
}

void replica_net_arm_campaign(struct replica *replica)
{
    uint64_t due = failover_due(&replica->failover);
    uint64_t now = uv_now(replica->loop);

    if (due != 0) {
        (void)uv_timer_start(&replica->campaign, on_campaign, due > now ? due - now : 0, 0);
    }
}

static void on_inbound(void *data, enum transport_channel channel, uint64_t peer, bool up,
                       bool gone)
{
    struct replica *replica = data;

    (void)channel; /* either: while reading is paused, a death shows on the other one alone */
    if (!up && gone && replica->propose != NULL && !replica->stopping) {
        failover_peer_gone(&replica->failover, peer, uv_now(replica->loop));
        replica_net_arm_campaign(replica);
    }
}

struct transport_callbacks replica_net_callbacks(struct replica *replica)
{
    return (struct transport_callbacks){
        .data = replica,
        .hello = fill_hello,
        .check = check_hello,
        .frame = receive_frame,
        .outbound = on_outbound,
        .inbound = on_inbound,
    };
}

enum qh_err replica_net_forward(void *data, uint64_t leader, struct bytes transaction)
{
    struct replica *replica = data;
    uint8_t frame[1 + STORE_TXN_SIZE_MAX];

    frame[0] = RPC_FORWARD;
    memcpy(frame + 1, transaction.base, transaction.size);
    return transport_send(replica->transport, TRANSPORT_RPC, leader,
                          (struct bytes){.base = frame, .size = 1 + transaction.size}, NULL, 0,
                          NULL, NULL);
}

void replica_net_reject(void *data, uint64_t peer, const uint8_t id[ONCE_ID_SIZE])
{
    struct replica *replica = data;
    uint8_t frame[1 + ONCE_ID_SIZE];

    frame[0] = RPC_REJECT;
    memcpy(frame + 1, id, ONCE_ID_SIZE);
    if (transport_send(replica->transport, TRANSPORT_RPC, peer,
                       (struct bytes){.base = frame, .size = sizeof frame}, NULL, 0, NULL,
                       NULL) != QH_OK) {
        return; /* best effort: the peer proposes again by itself */
    }
}
