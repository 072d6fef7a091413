/* The other nodes: their addresses from the records into the replica and onto the disk, and new
 * ones made voters by whoever leads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "hsm/record.h"
#include "node/control_private.h"
#include "raft-glue/diskio.h"
#include "wire/frame.h"

#define NODES_FILE "nodes"
#define NODES_FILE_SIZE_MAX 65536u /* bytes */

static void set_node(struct replica_node *node, const Qhrec__Node *record)
{
    memset(node, 0, sizeof *node);
    (void)snprintf(node->name, sizeof node->name, "%s", record->name);
    (void)snprintf(node->host, sizeof node->host, "%s", record->peer_host);
    node->port = (uint16_t)record->peer_port;
    node->role = record->witness ? REPLICA_WITNESS : REPLICA_DATA;
}

QH_RESULT control_members_save(const char *dir, const struct directory_node *nodes, unsigned count)
{
    Qhrec__NodeList list = QHREC__NODE_LIST__INIT;
    Qhrec__Node records[NODES_MAX];
    Qhrec__Node *pointers[NODES_MAX];
    uint8_t *frame = NULL;
    size_t size = 0;
    int dir_fd = -1;
    enum qh_err err;

    for (unsigned i = 0; i < count && i < NODES_MAX; i++) {
        qhrec__node__init(&records[i]);
        records[i].raft_id = nodes[i].raft_id;
        records[i].name = wire_borrow(nodes[i].name);
        records[i].region = wire_borrow(nodes[i].region);
        records[i].witness = nodes[i].witness;
        records[i].peer_host = wire_borrow(nodes[i].peer_host);
        records[i].peer_port = nodes[i].peer_port;
        pointers[i] = &records[i];
        list.n_nodes = i + 1;
    }
    list.nodes = pointers;
    err = wire_pack(&list.base, &frame, &size);
    if (err == QH_OK) {
        err = diskio_open_dir(dir, NULL, &dir_fd);
    }
    if (err == QH_OK) {
        err = diskio_replace(dir_fd, NODES_FILE,
                             (struct bytes){frame + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE});
    }
    if (dir_fd >= 0) {
        (void)close(dir_fd);
    }
    wire_free(frame, size);
    return err;
}

static QH_RESULT read_list(const char *dir, Qhrec__NodeList **ret_list)
{
    ProtobufCMessage *message;
    uint8_t *base = NULL;
    size_t size = 0;
    int dir_fd;
    enum qh_err err = diskio_open_dir(dir, NULL, &dir_fd);

    if (err != QH_OK) {
        return err;
    }
    err = diskio_read(dir_fd, NODES_FILE, NODES_FILE_SIZE_MAX, &base, &size);
    (void)close(dir_fd);
    if (err == QH_OK) {
        err = wire_unpack(&qhrec__node_list__descriptor, (struct bytes){base, size}, &message);
        free(base);
    }
    if (err == QH_OK) {
        *ret_list = (Qhrec__NodeList *)message;
    }
    return err;
}

QH_RESULT control_members_load(struct control *control, struct replica_config *config)
{
    const char *dir = control->node->config->data;
    Qhrec__NodeList *list = NULL;
    enum qh_err err = read_list(dir, &list);

    if (err != QH_OK) {
        log_error("cannot read the nodes' addresses: %s file=%s/" NODES_FILE
                  "; restore it from a backup of the directory",
                  err_message(err), dir);
        return err;
    }
    config->node_count = 0;
    for (size_t i = 0; i < list->n_nodes && config->node_count < NODES_MAX; i++) {
        set_node(&config->nodes[config->node_count], list->nodes[i]);
        if (strcmp(list->nodes[i]->name, config->self.name) == 0) {
            config->nodes[config->node_count].role = config->self.role;
        }
        config->node_count++;
    }
    wire_message_free(&list->base);
    return QH_OK;
}

static void tell_replica(struct control *control, const struct directory_node *node)
{
    struct replica_node address = {.port = node->peer_port,
                                   .role = node->witness ? REPLICA_WITNESS : REPLICA_DATA};
    enum qh_err err;

    memcpy(address.name, node->name, sizeof address.name);
    (void)snprintf(address.host, sizeof address.host, "%s", node->peer_host);
    err = replica_set_address(control->replica, &address);
    if (err != QH_OK) {
        log_warning("node's address cannot be used: %s node=%s host=%s", err_message(err),
                    node->name, node->peer_host);
    }
}

void control_members_changed(struct control *control)
{
    const struct directory *directory;

    view_enter();
    directory = view_directory(control->node->view);
    if (directory != NULL && directory->node_count > 0 &&
        directory->nodes_revision != control->nodes_revision) {
        enum qh_err err = control_members_save(control->node->config->data, directory->nodes,
                                               directory->node_count);

        control->nodes_revision = directory->nodes_revision;
        for (unsigned i = 0; i < directory->node_count; i++) {
            tell_replica(control, &directory->nodes[i]);
        }
        if (err != QH_OK) {
            log_error("cannot write the nodes' addresses: %s dir=%s; check the disk before the "
                      "node is started again",
                      err_message(err), control->node->config->data);
        }
    }
    view_leave();
}

static void on_added(void *data, enum qh_err status)
{
    struct control *control = data;

    control->adding = false;
    if (status == QH_OK) {
        log_info("a node became a voter");
    } else if (status != QH_ENOTLEADER && status != QH_EUNKNOWN) {
        log_warning("a node could not be made a voter and is tried again: %s", err_message(status));
    }
}

static bool is_voter(const struct replica_status *status, uint64_t id)
{
    for (unsigned i = 0; i < status->peer_count; i++) {
        if (status->peers[i].id == id && status->peers[i].voter) {
            return true;
        }
    }
    return status->id == id;
}

/* Whoever leads and can check the records makes voters of those that have one. */
void control_members_tick(struct control *control)
{
    struct replica_status status;
    const struct directory *directory;

    if (control->adding || control->keyring == NULL) {
        return;
    }
    replica_status(control->replica, &status);
    if (!status.ready) {
        return;
    }
    view_enter();
    directory = view_directory(control->node->view);
    for (unsigned i = 0; directory != NULL && i < directory->node_count && !control->adding; i++) {
        const struct directory_node *node = &directory->nodes[i];

        if (!is_voter(&status, node->raft_id)) {
            enum qh_err err =
                replica_add(control->replica, node->raft_id, node->name, on_added, control);

            control->adding = err == QH_OK;
            if (control->adding) {
                log_info("making a node a voter: node=%s", node->name);
            }
        }
    }
    view_leave();
}
