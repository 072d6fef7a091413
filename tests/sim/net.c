/* Messages on their way. */
#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"

enum message_kind { MESSAGE_RAFT, MESSAGE_FORWARD, MESSAGE_REJECT };

/* As in the real transport, Raft and proposals have connections of their own. */
#define CHANNELS 2

struct wire_entry {
    raft_term term;
    unsigned short type;
    size_t size;
};

struct message {
    enum message_kind kind;
    raft_id from, to;
    unsigned to_life;         /* of the process that had the connection */
    struct raft_message raft; /* without pointers that are of use */
    struct wire_entry *entries;
    struct disk_configuration configuration;
    uint8_t *payload; /* entries' data, snapshot, transaction or id */
    size_t payload_size;
};

struct waiting_send {
    struct raft_io_send *req;
    int status;
};

static bool blocked[WORLD_NODES_MAX + 1][WORLD_NODES_MAX + 1];
static uint64_t last_arrival[WORLD_NODES_MAX + 1][WORLD_NODES_MAX + 1][CHANNELS];

void net_setup(void)
{
    memset(blocked, 0, sizeof blocked);
    memset(last_arrival, 0, sizeof last_arrival);
}

bool net_is_connected(raft_id from, raft_id to)
{
    return !blocked[from][to] && node_of_id(to)->state == NODE_UP;
}

static void free_message(struct message *message)
{
    free(message->entries);
    free(message->payload);
    free(message);
}

/* Copies. */

static void copy_entries(struct message *message, const struct raft_append_entries *from)
{
    uint8_t *cursor;

    for (unsigned i = 0; i < from->n_entries; i++) {
        message->payload_size += from->entries[i].buf.len;
    }
    message->payload = cursor = world_alloc(message->payload_size);
    message->entries = world_alloc(from->n_entries * sizeof *message->entries);
    for (unsigned i = 0; i < from->n_entries; i++) {
        const struct raft_entry *entry = &from->entries[i];

        message->entries[i] =
            (struct wire_entry){.term = entry->term, .type = entry->type, .size = entry->buf.len};
        memcpy(cursor, entry->buf.base, entry->buf.len);
        cursor += entry->buf.len;
    }
}

static struct message *copy_raft(const struct raft_message *raft, raft_id from)
{
    struct message *message = world_alloc(sizeof *message);

    message->kind = MESSAGE_RAFT;
    message->from = from;
    message->to = raft->server_id;
    message->raft = *raft;
    if (raft->type == RAFT_IO_APPEND_ENTRIES) {
        copy_entries(message, &raft->append_entries);
    } else if (raft->type == RAFT_IO_INSTALL_SNAPSHOT) {
        disk_configuration_from(&raft->install_snapshot.conf, &message->configuration);
        message->payload_size = raft->install_snapshot.data.len;
        message->payload = world_copy(raft->install_snapshot.data.base, message->payload_size);
    }
    return message;
}

/* Into the memory of the process that receives, in the shape that libraft takes over. */
static void unpack_entries(const struct message *message, struct raft_append_entries *ret_args)
{
    uint8_t *cursor;

    ret_args->entries = NULL;
    if (ret_args->n_entries == 0) {
        return;
    }
    cursor = raft_malloc(message->payload_size);
    memcpy(cursor, message->payload, message->payload_size);
    ret_args->entries = raft_calloc(ret_args->n_entries, sizeof *ret_args->entries);
    for (unsigned i = 0; i < ret_args->n_entries; i++) {
        struct raft_entry *entry = &ret_args->entries[i];

        entry->term = message->entries[i].term;
        entry->type = message->entries[i].type;
        entry->buf = (struct raft_buffer){.base = cursor, .len = message->entries[i].size};
        entry->batch = ret_args->entries[0].buf.base;
        cursor += entry->buf.len;
    }
}

static void deliver_raft(struct node *to, const struct message *message)
{
    struct raft_message raft = message->raft;

    raft.server_id = message->from;
    raft.server_address = node_name(message->from);
    if (raft.type == RAFT_IO_APPEND_ENTRIES) {
        unpack_entries(message, &raft.append_entries);
    } else if (raft.type == RAFT_IO_INSTALL_SNAPSHOT) {
        disk_configuration_to(&message->configuration, &raft.install_snapshot.conf);
        raft.install_snapshot.data.base = raft_malloc(message->payload_size);
        memcpy(raft.install_snapshot.data.base, message->payload, message->payload_size);
    }
    to->process->recv(&to->process->io, &raft);
}

static void deliver(struct node *nobody, void *data)
{
    struct message *message = data;
    struct node *to = node_of_id(message->to);
    struct bytes bytes = {.base = message->payload, .size = message->payload_size};

    (void)nobody;
    if (!net_is_connected(message->from, message->to) ||
        (!world.scenario->reorder && to->life != message->to_life)) {
        free_message(message);
        return;
    }
    world.result->messages++;
    node_enter(to);
    switch (message->kind) {
    case MESSAGE_RAFT:
        deliver_raft(to, message);
        break;
    case MESSAGE_FORWARD:
        propose_forwarded(to->process->propose, message->from, bytes);
        break;
    case MESSAGE_REJECT:
        propose_rejected(to->process->propose, message->from, message->payload);
        break;
    }
    free_message(message);
}

/* When something that is sent now arrives. */
static uint64_t travel_time(raft_id from, raft_id to, unsigned channel)
{
    const struct scenario *scenario = world.scenario;
    uint64_t delay = world_between(scenario->net_min_ms, scenario->net_max_ms);

    if (!world.healed && world_chance(0.01)) {
        delay += world_between(0, 10ull * scenario->net_max_ms);
    }
    if (!scenario->reorder) {
        if (world.now_ms + delay < last_arrival[from][to][channel]) {
            delay = last_arrival[from][to][channel] - world.now_ms;
        }
        last_arrival[from][to][channel] = world.now_ms + delay;
    }
    return delay;
}

static void transmit(struct message *message)
{
    unsigned channel = message->kind == MESSAGE_RAFT ? 0 : 1;

    message->to_life = node_of_id(message->to)->life;
    if (!world.healed && world_chance(world.scenario->drop)) {
        free_message(message);
        return;
    }
    world_after(travel_time(message->from, message->to, channel), NULL, deliver, message);
}

/* raft_io. */

static void send_done(struct node *node, void *data)
{
    struct waiting_send *waiting = data;
    struct raft_io_send *req = waiting->req;
    int status = waiting->status;

    (void)node;
    free(waiting);
    if (req->cb != NULL) {
        req->cb(req, status);
    }
}

static int io_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *raft,
                   raft_io_send_cb cb)
{
    struct node *node = io->impl;
    struct waiting_send *waiting;
    bool connected;

    check_send(node, raft);
    node_maybe_die(node);
    connected = net_is_connected(node->id, raft->server_id);
    /* raft_uv, which the stock library runs over, never says so at once; ours does. */
    if (!connected && world.rules != 0 && world_chance(0.5)) {
        return RAFT_NOCONNECTION;
    }
    req->cb = cb;
    waiting = world_alloc(sizeof *waiting);
    waiting->req = req;
    /* A broken connection is not always noticed. */
    waiting->status = !connected && world_chance(0.5) ? RAFT_NOCONNECTION : 0;
    world_after(world_between(0, 3), node, send_done, waiting);
    if (connected) {
        transmit(copy_raft(raft, node->id));
        if (!world.healed && world_chance(world.scenario->duplicate)) {
            transmit(copy_raft(raft, node->id));
        }
    }
    return 0;
}

void net_attach(struct node *node)
{
    node->process->io.send = io_send;
}

/* Proposals. One connection carries each once: TLS lets no frame come twice, so these are
 * dropped and overtaken, but not duplicated. */

static bool send_bytes(struct node *from, raft_id to, enum message_kind kind, struct bytes bytes)
{
    struct message *message;

    QH_ASSERT(to != from->id);
    if (to == 0 || to > WORLD_NODES_MAX || node_of_id(to) == NULL) {
        world_violation("BAD-SEND: n%llu sends a proposal to unknown node %llu", from->id, to);
    }
    if (from->state != NODE_UP) {
        return false;
    }
    if (!net_is_connected(from->id, to)) {
        return world_chance(0.3);
    }
    message = world_alloc(sizeof *message);
    message->kind = kind;
    message->from = from->id;
    message->to = to;
    message->payload = world_copy(bytes.base, bytes.size);
    message->payload_size = bytes.size;
    transmit(message);
    return true;
}

bool net_send_forward(struct node *from, raft_id to, struct bytes transaction)
{
    return send_bytes(from, to, MESSAGE_FORWARD, transaction);
}

void net_send_reject(struct node *from, raft_id to, const uint8_t id[ONCE_ID_SIZE])
{
    (void)send_bytes(from, to, MESSAGE_REJECT, (struct bytes){.base = id, .size = ONCE_ID_SIZE});
}

/* Connections that come and go. */

static void notice_up(struct node *node, void *data)
{
    const struct node *peer = data;

    if (net_is_connected(node->id, peer->id)) {
        node_peer_up(node, peer->id);
    }
}

static void notice_gone(struct node *node, void *data)
{
    const struct node *peer = data;

    node_peer_gone(node, peer->id);
}

static void expect_connection(struct node *node, struct node *peer)
{
    world_after(world_between(5, 250), node, notice_up, peer);
}

void net_block(raft_id from, raft_id to, bool block)
{
    if (blocked[from][to] && !block) {
        expect_connection(node_of_id(from), node_of_id(to));
    }
    blocked[from][to] = block;
}

void net_heal(void)
{
    for (raft_id from = 1; from <= world.scenario->nodes; from++) {
        for (raft_id to = 1; to <= world.scenario->nodes; to++) {
            net_block(from, to, false);
        }
    }
}

static void tell_peers(struct node *node, world_run notice, double probability)
{
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        struct node *peer = node_of_id(id);
        uint64_t delay = world_between(0, 4);

        if (peer == node || peer->state != NODE_UP || blocked[node->id][id] ||
            !world_chance(probability)) {
            continue;
        }
        /* The end of a connection comes after what was sent on it. */
        if (world.now_ms + delay < last_arrival[node->id][id][0]) {
            delay = last_arrival[node->id][id][0] - world.now_ms;
        }
        world_after(delay, peer, notice, node);
    }
}

void net_process_died(struct node *node)
{
    tell_peers(node, notice_gone, world.scenario->notice);
}

void net_process_started(struct node *node)
{
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        struct node *peer = node_of_id(id);

        if (peer != node && peer->state == NODE_UP) {
            expect_connection(node, peer);
            expect_connection(peer, node);
        }
    }
}

void net_break_connections(struct node *node)
{
    tell_peers(node, notice_gone, 1);
    net_process_started(node); /* it connects again */
}
