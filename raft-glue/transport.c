/* The transport as its caller sees it: peers, sending, pause, and the end. */
#include "raft-glue/transport.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "raft-glue/identity.h"
#include "raft-glue/peers.h"

#define TRANSPORT_RETRY_MS_MIN 10u
#define TRANSPORT_RETRY_MS_MAX 60000u

/* ---- What was logged already. */

static struct peers_note *find_note(struct transport *transport, const struct peers_note *note)
{
    for (unsigned i = 0; i < PEERS_NOTES_MAX; i++) {
        struct peers_note *at = &transport->notes[i];

        if (at->status == note->status && at->dialled == note->dialled && at->told == note->told &&
            strcmp(at->who, note->who) == 0) {
            return at;
        }
    }
    return NULL;
}

void peers_forget(struct transport *transport, const char *who, bool dialled)
{
    for (unsigned i = 0; i < PEERS_NOTES_MAX; i++) {
        struct peers_note *at = &transport->notes[i];

        if (at->dialled == dialled && strcmp(at->who, who) == 0) {
            *at = (struct peers_note){0};
        }
    }
}

static const char *advice(const struct conn *conn)
{
    switch ((int)conn->status) {
    case QH_EPEER:
        return "compare id, name and cluster of both nodes, and the name in the certificate";
    case QH_EGENERATION:
        return "the node with the older generation must rejoin under a new id";
    case QH_EROLLEDBACK:
        return "remove that node from the cluster and let it rejoin under a new id";
    case QH_EVERSION:
        return "both nodes must run versions that understand each other";
    case QH_ETLS:
        return "check that both certificates are valid now and from the cluster's authority";
    case QH_EMALFORMED:
    case QH_ELIMIT:
        return "is this another program, or another version?";
    case QH_ENOTFOUND:
        return "check the host name; trying again";
    default:
        return conn->dialled ? "trying again" : "waiting for it";
    }
}

/* What an operator must mend is an error, and a known peer's; strangers and networks warn. */
static enum log_level level_of(const struct conn *conn)
{
    switch ((int)conn->status) {
    case QH_EPEER:
    case QH_EGENERATION:
    case QH_EROLLEDBACK:
    case QH_EVERSION:
        return LOG_LEVEL_ERROR;
    case QH_ETLS:
        return conn->dialled ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING;
    case QH_ECONN:
        return conn->was_up ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
    default:
        return LOG_LEVEL_WARNING;
    }
}

static const char *what_happened(const struct conn *conn)
{
    if (conn->told) {
        return "refused by a peer";
    }
    if (conn->refused) {
        return "refused a peer";
    }
    if (conn->was_up) {
        return conn->dialled ? "lost the connection to a peer" : "lost a peer's connection";
    }
    if (conn->dialled) {
        return "no connection to a peer";
    }
    return conn->name[0] != '\0' ? "no greeting from a peer" : "refused a connection";
}

void peers_explain(struct transport *transport, const struct conn *conn, const char *who)
{
    struct peers_note note = {.dialled = conn->dialled, .told = conn->told, .status = conn->status};
    char line[1024];

    (void)snprintf(note.who, sizeof note.who, "%s", who);
    if (find_note(transport, &note) != NULL) {
        return;
    }
    transport->notes[transport->note_next] = note;
    transport->note_next = (transport->note_next + 1) % PEERS_NOTES_MAX;
    (void)snprintf(line, sizeof line, "%s: %s (%s) peer=%s address=%s; %s", what_happened(conn),
                   err_message(conn->status), conn->detail, who, conn->address, advice(conn));
    switch (level_of(conn)) {
    case LOG_LEVEL_ERROR:
        log_error("%s", line);
        break;
    case LOG_LEVEL_WARNING:
        log_warning("%s", line);
        break;
    case LOG_LEVEL_INFO:
    case LOG_LEVEL_DEBUG:
        log_info("%s", line);
        break;
    }
}

/* ---- What connections tell. */

static void handle_hello(struct conn *conn, struct transport_hello *ret_hello)
{
    struct transport *transport = conn->env->data;

    transport->callbacks.hello(transport->callbacks.data, ret_hello);
}

static enum qh_err handle_check(struct conn *conn)
{
    struct transport *transport = conn->env->data;
    enum qh_err err = conn->dialled ? dial_check(conn) : QH_OK;

    if (err != QH_OK) {
        return err;
    }
    if (strcmp(conn->name, conn->hello.name) != 0) {
        return QH_EPEER;
    }
    return transport->callbacks.check(transport->callbacks.data, &conn->hello);
}

static void handle_up(struct conn *conn)
{
    if (conn->dialled) {
        dial_up(conn);
    } else {
        inbound_up(conn);
    }
}

static enum qh_err handle_frame(struct conn *conn, struct bytes body)
{
    struct transport *transport = conn->env->data;

    return transport->callbacks.frame(transport->callbacks.data, conn->channel, conn->hello.id,
                                      conn->name, body);
}

static void handle_closed(struct conn *conn)
{
    if (conn->dialled) {
        dial_closed(conn);
    } else {
        inbound_closed(conn);
    }
}

static const struct conn_handler transport_handler = {
    .hello = handle_hello,
    .check = handle_check,
    .up = handle_up,
    .frame = handle_frame,
    .closed = handle_closed,
};

/* ---- Callbacks that are due. */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its presence keeps the loop from sleeping */
}

static void on_check(uv_check_t *check)
{
    struct transport *transport = check->data;

    sendq_done_run(&transport->env.done);
    if (transport->env.done.first == NULL) {
        (void)uv_idle_stop(&transport->idle);
        (void)uv_check_stop(&transport->check);
    }
}

static void done_due(struct conn_env *env)
{
    struct transport *transport = env->data;

    (void)uv_idle_start(&transport->idle, on_idle);
    (void)uv_check_start(&transport->check, on_check);
}

/* ---- Beginning and end. */

static void transport_free(struct transport *transport)
{
    SSL_CTX_free(transport->env.tls);
    BIO_meth_free(transport->env.bio_method);
    ERR_clear_error();
    free(transport);
}

static void on_check_closed(uv_handle_t *handle)
{
    struct transport *transport = handle->data;
    void (*closed)(void *data) = transport->closed;
    void *data = transport->closed_data;

    while (transport->env.done.first != NULL) {
        sendq_done_run(&transport->env.done);
    }
    transport_free(transport);
    if (closed != NULL) {
        closed(data);
    }
}

static void on_idle_closed(uv_handle_t *handle)
{
    struct transport *transport = handle->data;

    uv_close((uv_handle_t *)&transport->check, on_check_closed);
}

void peers_hold(struct transport *transport)
{
    transport->references++;
}

void peers_release(struct transport *transport)
{
    QH_ASSERT(transport->references > 0);
    transport->references--;
    if (transport->references == 0) {
        uv_close((uv_handle_t *)&transport->idle, on_idle_closed);
    }
}

static void copy_config(struct transport *transport, const struct transport_config *config,
                        struct transport_callbacks callbacks)
{
    transport->callbacks = callbacks;
    transport->retry_ms = config->retry_ms;
    transport->inbound_max = TRANSPORT_INBOUND_MAX;
    transport->port = config->listen_port;
    (void)snprintf(transport->listen_host, sizeof transport->listen_host, "%s",
                   config->listen_host);
    transport->env.handler = &transport_handler;
    transport->env.done_due = done_due;
    transport->env.data = transport;
    transport->env.handshake_ms = TRANSPORT_HANDSHAKE_MS;
    transport->env.idle_ms = config->idle_ms;
    transport->env.user_timeout_ms = config->user_timeout_ms;
    transport->env.key_records = CONN_KEY_RECORDS;
    sendq_done_init(&transport->env.done);
}

/* libuv only fills in the structures here; none of these calls can fail. */
static void init_handles(struct transport *transport, uv_loop_t *loop)
{
    transport->loop = loop;
    transport->env.loop = loop;
    (void)uv_tcp_init(loop, &transport->listener);
    (void)uv_idle_init(loop, &transport->idle);
    (void)uv_check_init(loop, &transport->check);
    transport->listener.data = transport;
    transport->idle.data = transport;
    transport->check.data = transport;
    peers_hold(transport);
}

static bool parse_source(const char *source, struct sockaddr_storage *ret_address)
{
    return uv_ip4_addr(source, 0, (struct sockaddr_in *)(void *)ret_address) == 0 ||
           uv_ip6_addr(source, 0, (struct sockaddr_in6 *)(void *)ret_address) == 0;
}

static bool has_source(const char *source)
{
    return source != NULL && source[0] != '\0';
}

static bool source_valid(const char *source)
{
    struct sockaddr_storage address;

    return !has_source(source) || parse_source(source, &address);
}

QH_RESULT transport_new(uv_loop_t *loop, const struct transport_config *config,
                        struct transport_callbacks callbacks, struct transport **ret_transport)
{
    struct transport *transport;
    enum qh_err err;

    if (!source_valid(config->source) || config->retry_ms < TRANSPORT_RETRY_MS_MIN ||
        config->retry_ms > TRANSPORT_RETRY_MS_MAX ||
        strlen(config->listen_host) >= PEERS_HOST_ROOM) {
        return QH_EINVAL;
    }
    transport = calloc(1, sizeof *transport);
    if (transport == NULL) {
        return QH_ENOMEM;
    }
    copy_config(transport, config, callbacks);
    if (has_source(config->source)) {
        (void)parse_source(config->source, &transport->env.source);
    }
    err = pipe_method_new(&transport->env.bio_method);
    if (err == QH_OK) {
        err = tls_context_new(&config->tls, &transport->env.tls);
    }
    if (err != QH_OK) {
        transport_free(transport);
        return err;
    }
    init_handles(transport, loop);
    *ret_transport = transport;
    return QH_OK;
}

QH_RESULT transport_listen(struct transport *transport)
{
    return inbound_listen(transport);
}

uint16_t transport_port(const struct transport *transport)
{
    return transport->port;
}

static void on_listener_closed(uv_handle_t *handle)
{
    peers_release(handle->data);
}

void transport_close(struct transport *transport, void (*closed)(void *data), void *data)
{
    QH_ASSERT(!transport->closing);
    transport->closing = true;
    transport->closed = closed;
    transport->closed_data = data;
    for (struct peer *peer = transport->peers; peer != NULL; peer = peer->next) {
        for (unsigned i = 0; i < TRANSPORT_CHANNELS; i++) {
            dial_stop(&peer->dials[i], true);
        }
    }
    transport->peers = NULL;
    inbound_stop(transport);
    uv_close((uv_handle_t *)&transport->listener, on_listener_closed);
}

/* ---- Peers. */

static struct peer *find_peer(const struct transport *transport, uint64_t id)
{
    struct peer *peer = transport->peers;

    while (peer != NULL && peer->id != id) {
        peer = peer->next;
    }
    return peer;
}

static bool set_address(struct peer *peer, const char *name, const char *host, uint16_t port)
{
    if (strcmp(peer->name, name) == 0 && strcmp(peer->host, host) == 0 && peer->port == port) {
        return false;
    }
    (void)snprintf(peer->name, sizeof peer->name, "%s", name);
    (void)snprintf(peer->host, sizeof peer->host, "%s", host);
    peer->port = port;
    return true;
}

QH_RESULT transport_peer_set(struct transport *transport, uint64_t id, const char *name,
                             const char *host, uint16_t port)
{
    struct peer *peer = find_peer(transport, id);

    if (id == 0 || port == 0 || !identity_name_valid(name) || host[0] == '\0' ||
        strlen(host) >= PEERS_HOST_ROOM) {
        return QH_EINVAL;
    }
    if (transport->closing) {
        return QH_ECANCELED;
    }
    if (peer != NULL) {
        if (set_address(peer, name, host, port)) {
            dial_restart(&peer->dials[TRANSPORT_RAFT]);
            dial_restart(&peer->dials[TRANSPORT_RPC]);
        }
        return QH_OK;
    }
    if (transport->peer_count == NODES_MAX) {
        return QH_ELIMIT;
    }
    peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return QH_ENOMEM;
    }
    peer->transport = transport;
    peer->id = id;
    (void)set_address(peer, name, host, port);
    peer->next = transport->peers;
    transport->peers = peer;
    transport->peer_count++;
    dial_start(&peer->dials[TRANSPORT_RAFT], peer, TRANSPORT_RAFT);
    dial_start(&peer->dials[TRANSPORT_RPC], peer, TRANSPORT_RPC);
    return QH_OK;
}

void transport_peer_remove(struct transport *transport, uint64_t id)
{
    struct peer **at = &transport->peers;
    struct peer *peer = find_peer(transport, id);

    inbound_close_peer(transport, id);
    if (peer == NULL) {
        return;
    }
    while (*at != peer) {
        at = &(*at)->next;
    }
    *at = peer->next;
    transport->peer_count--;
    dial_stop(&peer->dials[TRANSPORT_RAFT], false);
    dial_stop(&peer->dials[TRANSPORT_RPC], false);
}

/* ---- Frames. */

QH_RESULT transport_send(struct transport *transport, enum transport_channel channel, uint64_t id,
                         struct bytes head, const struct bytes *pieces, unsigned piece_count,
                         transport_sent cb, void *data)
{
    const struct peer *peer = find_peer(transport, id);
    size_t size = head.size;

    QH_ASSERT(cb != NULL || piece_count == 0);
    for (unsigned i = 0; i < piece_count; i++) {
        size += pieces[i].size;
    }
    if (size > conn_frame_max(channel)) {
        return QH_ELIMIT;
    }
    if (peer == NULL || !dial_is_up(&peer->dials[channel])) {
        return QH_ECONN;
    }
    return conn_send(peer->dials[channel].conn, head, pieces, piece_count, cb, data);
}

bool transport_connected(const struct transport *transport, enum transport_channel channel,
                         uint64_t id)
{
    const struct peer *peer = find_peer(transport, id);

    return peer != NULL && dial_is_up(&peer->dials[channel]);
}

bool transport_peer_present(const struct transport *transport, uint64_t id)
{
    for (const struct conn *conn = transport->inbound; conn != NULL; conn = conn->next) {
        if (conn->state == CONN_UP && conn->hello.id == id) {
            return true;
        }
    }
    return false;
}

void transport_pause(struct transport *transport, bool paused)
{
    transport->paused = paused;
    for (struct conn *conn = transport->inbound; conn != NULL; conn = conn->next) {
        if (conn->channel == TRANSPORT_RAFT) {
            conn_pause(conn, paused);
        }
    }
}

const struct transport_counters *transport_counters(const struct transport *transport)
{
    return &transport->env.counters;
}
