/* What is known of the cluster and of this node. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "config.h"
#include "node/control_private.h"
#include "node/handlers.h"
#include "wire/frame.h"

static const char out_of_memory[] = "the node is out of memory";

static char *address_text(const char *host, uint16_t port)
{
    char text[300];

    (void)snprintf(text, sizeof text, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
    return wire_string(text);
}

/* ---- endpoints ---- */

static Quadhsm__Endpoint *make_endpoint(const struct directory_node *node)
{
    Quadhsm__Endpoint *endpoint = wire_zalloc(sizeof *endpoint);

    if (endpoint == NULL) {
        return NULL;
    }
    quadhsm__endpoint__init(endpoint);
    endpoint->node = wire_string(node->name);
    endpoint->region = wire_string(node->region);
    endpoint->host = wire_string(node->client_host);
    endpoint->port = node->client_port;
    return endpoint;
}

static QH_RESULT fill_endpoints(const struct directory *directory, const uint8_t cluster[16],
                                Quadhsm__EndpointList *list)
{
    list->endpoints_revision = directory->nodes_revision;
    list->cluster_name = wire_string(directory->cluster_name);
    list->cluster = wire_bytes((struct bytes){cluster, 16});
    list->endpoints = wire_zalloc((directory->node_count + 1) * sizeof(Quadhsm__Endpoint *));
    if (list->endpoints == NULL || list->cluster_name == NULL) {
        return QH_ENOMEM;
    }
    for (unsigned i = 0; i < directory->node_count; i++) {
        if (!directory->nodes[i].witness) {
            Quadhsm__Endpoint *endpoint = make_endpoint(&directory->nodes[i]);

            if (endpoint == NULL) {
                return QH_ENOMEM;
            }
            list->endpoints[list->n_endpoints++] = endpoint;
        }
    }
    return QH_OK;
}

void handle_endpoints(struct request *request)
{
    Quadhsm__EndpointList *list = wire_zalloc(sizeof *list);
    enum qh_err err = QH_ENOMEM;

    if (list != NULL) {
        quadhsm__endpoint_list__init(list);
        request->response->result_case = QUADHSM__RESPONSE__RESULT_ENDPOINTS;
        request->response->endpoints = list;
        view_enter();
        err = fill_endpoints(view_directory(request->node->view),
                             keyring_cluster(view_keyring(request->node->view)), list);
        view_leave();
    }
    request_answer(request, err, err == QH_OK ? NULL : out_of_memory);
}

/* ---- cluster status, on the control thread ---- */

static const struct replica_peer_status *find_peer(const struct replica_status *status, uint64_t id)
{
    for (unsigned i = 0; i < status->peer_count; i++) {
        if (status->peers[i].id == id) {
            return &status->peers[i];
        }
    }
    return NULL;
}

static Quadhsm__ClusterNode *make_node(const struct directory_node *node,
                                       const struct replica_status *status)
{
    Quadhsm__ClusterNode *state = wire_zalloc(sizeof *state);
    const struct replica_peer_status *peer = find_peer(status, node->raft_id);

    if (state == NULL) {
        return NULL;
    }
    quadhsm__cluster_node__init(state);
    state->node = wire_string(node->name);
    state->region = wire_string(node->region);
    state->witness = node->witness;
    state->raft_id = node->raft_id;
    state->peer_address = address_text(node->peer_host, node->peer_port);
    state->client_address =
        node->witness ? wire_string("") : address_text(node->client_host, node->client_port);
    state->self = node->raft_id == status->id;
    state->leader = node->raft_id == status->leader || (state->self && status->leading);
    if (state->self) {
        state->connected = true;
        state->match_index = status->last_index;
        state->voter = peer == NULL || peer->voter;
    } else if (peer != NULL) {
        state->voter = peer->voter;
        state->connected = peer->connected;
        state->match_index = peer->match_index;
    }
    return state;
}

static Quadhsm__PartitionInfo *make_partition(const struct view *view,
                                              const struct directory_partition *partition)
{
    Quadhsm__PartitionInfo *info = wire_zalloc(sizeof *info);

    if (info == NULL) {
        return NULL;
    }
    quadhsm__partition_info__init(info);
    info->partition = wire_bytes((struct bytes){partition->id, PARTITION_ID_SIZE});
    info->name = wire_string(partition->name);
    info->serial = wire_string(partition->serial);
    info->object_count = view_object_count(view, partition->id);
    info->revision = partition->mod_revision;
    return info;
}

/* Applications see the partitions that are theirs, administrators and the node's own socket all. */
static bool may_see(const struct request *request, const struct directory *directory,
                    const struct directory_partition *partition)
{
    const struct directory_client *client = directory_client(directory, request->fingerprint);

    return request->origin == REQUEST_FROM_CONTROL || request->admin ||
           (client != NULL && directory_client_may(client, partition->id));
}

static QH_RESULT fill_lists(const struct request *request, const struct directory *directory,
                            const struct replica_status *status, Quadhsm__ClusterState *state)
{
    state->nodes = wire_zalloc((directory->node_count + 1) * sizeof(Quadhsm__ClusterNode *));
    state->partitions =
        wire_zalloc((directory->partition_count + 1) * sizeof(Quadhsm__PartitionInfo *));
    if (state->nodes == NULL || state->partitions == NULL) {
        return QH_ENOMEM;
    }
    for (unsigned i = 0; i < directory->node_count; i++) {
        state->nodes[i] = make_node(&directory->nodes[i], status);
        if (state->nodes[i] == NULL) {
            return QH_ENOMEM;
        }
        state->n_nodes = i + 1;
    }
    for (unsigned i = 0; i < directory->partition_count; i++) {
        Quadhsm__PartitionInfo *info;

        if (!may_see(request, directory, &directory->partitions[i])) {
            continue;
        }
        info = make_partition(request->node->view, &directory->partitions[i]);
        if (info == NULL) {
            return QH_ENOMEM;
        }
        state->partitions[state->n_partitions++] = info;
    }
    return QH_OK;
}

static QH_RESULT fill_cluster(const struct request *request, Quadhsm__ClusterState *state)
{
    const struct control *control = request->node->control;
    const struct directory *directory = view_directory(control->node->view);
    struct replica_status status;

    replica_status(control->replica, &status);
    state->cluster = wire_bytes((struct bytes){control->cluster, 16});
    state->generation = status.generation;
    state->term = status.term;
    state->leader = status.leading ? status.id : status.leader;
    state->last_index = status.last_index;
    state->applied_index = status.applied_index;
    state->revision = status.revision;
    state->record_count = status.record_count;
    state->data_size = status.data_size;
    state->cluster_name = wire_string(directory->cluster_name);
    state->partitions_max = directory->partitions_max;
    state->client_count = directory->client_count;
    return fill_lists(request, directory, &status, state);
}

static void run_cluster_status(struct request *request)
{
    struct control *control = request->node->control;
    Quadhsm__ClusterState *state;
    enum qh_err err = QH_ENOMEM;

    if (control->replica == NULL) {
        request_answer(request, QH_EUNINITIALIZED,
                       "run quadhsm node init or quadhsm node join on it");
        return;
    }
    state = wire_zalloc(sizeof *state);
    if (state != NULL) {
        quadhsm__cluster_state__init(state);
        request->response->result_case = QUADHSM__RESPONSE__RESULT_CLUSTER;
        request->response->cluster = state;
        view_enter();
        err = fill_cluster(request, state);
        view_leave();
    }
    request_answer(request, err, err == QH_OK ? NULL : out_of_memory);
}

void handle_cluster_status(struct request *request)
{
    request_run_on(request, REQUEST_CONTROL, run_cluster_status);
}

/* ---- this node ---- */

static void fill_replica(struct control *control, Quadhsm__NodeState *state)
{
    struct replica_status status;
    const struct directory *directory;
    const struct directory_node *leader;
    uint64_t leader_id;

    replica_status(control->replica, &status);
    state->raft_id = status.id;
    state->leading = status.leading;
    state->term = status.term;
    state->revision = status.revision;
    state->last_index = status.last_index;
    state->applied_index = status.applied_index;
    state->cluster = wire_bytes((struct bytes){control->cluster, 16});
    for (unsigned i = 0; i < status.peer_count; i++) {
        if (status.peers[i].id == status.id && status.peers[i].voter) {
            state->member = true;
        }
    }
    leader_id = status.leading ? status.id : status.leader;
    view_enter();
    directory = view_directory(control->node->view);
    if (directory != NULL) {
        leader = directory_node(directory, leader_id);
        state->leader = wire_string(leader != NULL ? leader->name : "");
        state->cluster_name = wire_string(directory->cluster_name);
    }
    view_leave();
}

void control_fill_node_state(struct control *control, Quadhsm__NodeState *state)
{
    const struct node_config *config = control->node->config;

    state->readiness = (Quadhsm__Readiness)atomic_load(&control->node->readiness);
    state->node = wire_string(config->node);
    state->region = wire_string(config->region);
    state->witness = config->witness;
    state->unlock = wire_string(config->witness                              ? "none"
                                : config->unlock == CONFIG_UNLOCK_PASSPHRASE ? "passphrase"
                                                                             : "file");
    state->version = wire_string(PACKAGE_VERSION);
    state->uptime_ms = clock_monotonic_ms() - control->node->started_ms;
    state->peer_address = address_text(config->peer_advertise.host, config->peer_advertise.port);
    if (!config->witness) {
        state->client_address =
            address_text(config->client_advertise.host, config->client_advertise.port);
    }
    if (control->replica != NULL) {
        fill_replica(control, state);
    }
}

static void run_node_status(struct request *request)
{
    Quadhsm__NodeState *state = wire_zalloc(sizeof *state);

    if (state == NULL) {
        request_answer(request, QH_ENOMEM, out_of_memory);
        return;
    }
    quadhsm__node_state__init(state);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_NODE;
    request->response->node = state;
    control_fill_node_state(request->node->control, state);
    request_answer(request, QH_OK, NULL);
}

void handle_node_status(struct request *request)
{
    request_run_on(request, REQUEST_CONTROL, run_node_status);
}
