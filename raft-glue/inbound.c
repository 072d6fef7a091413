/* The connections that others make to this node. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "raft-glue/peers.h"

#define INBOUND_BACKLOG 128

/* Another connection of the same peer and channel that was reported as up and not yet as down. */
static bool has_other(const struct transport *transport, const struct conn *conn)
{
    for (const struct conn *at = transport->inbound; at != NULL; at = at->next) {
        if (at != conn && at->was_up && at->hello.id == conn->hello.id &&
            at->channel == conn->channel) {
            return true;
        }
    }
    return false;
}

/* The newer connection counts: the peer made it because it gave up the older one. */
void inbound_up(struct conn *conn)
{
    struct transport *transport = conn->env->data;
    bool present = has_other(transport, conn);

    for (struct conn *at = transport->inbound; at != NULL; at = at->next) {
        if (at != conn && at->state == CONN_UP && at->hello.id == conn->hello.id &&
            at->channel == conn->channel) {
            conn_close(at, QH_ECANCELED, false);
        }
    }
    peers_forget(transport, conn->name, false);
    if (transport->paused && conn->channel == TRANSPORT_RAFT) {
        conn_pause(conn, true);
    }
    if (!present) {
        transport->callbacks.inbound(transport->callbacks.data, conn->channel, conn->hello.id, true,
                                     false);
    }
}

/* Who it is, as far as that is proved: a name, or else the host without its port. */
static void explain(struct transport *transport, const struct conn *conn)
{
    char who[CONN_ADDRESS_ROOM];
    char *colon;

    if (conn->name[0] != '\0') {
        peers_explain(transport, conn, conn->name);
        return;
    }
    (void)snprintf(who, sizeof who, "%s", conn->address);
    colon = strrchr(who, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    peers_explain(transport, conn, who);
}

void inbound_closed(struct conn *conn)
{
    struct transport *transport = conn->env->data;
    struct conn **at = &transport->inbound;

    while (*at != conn) {
        at = &(*at)->next;
    }
    *at = conn->next;
    transport->inbound_count--;
    if (!transport->closing) {
        if (conn->status != QH_ECANCELED) {
            explain(transport, conn);
        }
        if (conn->was_up && !has_other(transport, conn)) {
            transport->callbacks.inbound(transport->callbacks.data, conn->channel, conn->hello.id,
                                         false, conn->gone);
        }
    }
    peers_release(transport);
}

void inbound_close_peer(struct transport *transport, uint64_t peer)
{
    for (struct conn *conn = transport->inbound; conn != NULL; conn = conn->next) {
        if (conn->hello.id == peer) {
            conn_close(conn, QH_ECANCELED, false);
        }
    }
}

/* The oldest one that has not proved who it is yet. */
static struct conn *oldest_stranger(struct transport *transport)
{
    struct conn *oldest = NULL;

    for (struct conn *conn = transport->inbound; conn != NULL; conn = conn->next) {
        if (conn->state != CONN_UP && conn->state != CONN_CLOSING) {
            oldest = conn;
        }
    }
    return oldest;
}

static unsigned count_open(const struct transport *transport)
{
    unsigned count = 0;

    for (const struct conn *conn = transport->inbound; conn != NULL; conn = conn->next) {
        count += conn->state != CONN_CLOSING;
    }
    return count;
}

/* When all places are taken a newcomer gets that of the oldest stranger, so that silent
 * connections cannot keep peers out. If all the others are peers, that is itself. */
static void keep_limit(struct transport *transport)
{
    struct conn *stranger = oldest_stranger(transport);

    if (count_open(transport) > transport->inbound_max && stranger != NULL) {
        transport->env.counters.refused++;
        conn_close(stranger, QH_ELIMIT, true);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct transport *transport = listener->data;
    struct conn *conn;

    if (status != 0) {
        log_warning("cannot accept a connection: %s", uv_strerror(status));
        return;
    }
    if (transport->closing || conn_accept(&transport->env, listener, transport, &conn) != QH_OK) {
        return;
    }
    conn->next = transport->inbound;
    transport->inbound = conn;
    transport->inbound_count++;
    peers_hold(transport);
    keep_limit(transport);
}

static int bind_address(struct transport *transport, const struct sockaddr *address)
{
    struct sockaddr_storage bound = {0};
    int size = sizeof bound;
    int rv = uv_tcp_bind(&transport->listener, address, 0);

    if (rv == 0) {
        rv = uv_listen((uv_stream_t *)&transport->listener, INBOUND_BACKLOG, on_connection);
    }
    if (rv == 0) {
        rv = uv_tcp_getsockname(&transport->listener, (struct sockaddr *)&bound, &size);
    }
    if (rv == 0) { /* the port stands in the same place in both families */
        transport->port = ntohs(((struct sockaddr_in *)(void *)&bound)->sin_port);
    }
    return rv;
}

/* The first address of the configured host. "" is any address of either family. */
static int bind_host(struct transport *transport, const char *host)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct sockaddr_storage literal = {0};
    uv_getaddrinfo_t request;
    char port[8];
    int rv;

    if (uv_ip4_addr(host, transport->port, (struct sockaddr_in *)(void *)&literal) == 0 ||
        uv_ip6_addr(host, transport->port, (struct sockaddr_in6 *)(void *)&literal) == 0) {
        return bind_address(transport, (struct sockaddr *)&literal);
    }
    (void)snprintf(port, sizeof port, "%u", transport->port);
    rv = uv_getaddrinfo(transport->loop, &request, NULL, host, port, &hints); /* waits */
    if (rv == 0) {
        rv = bind_address(transport, request.addrinfo->ai_addr);
        uv_freeaddrinfo(request.addrinfo);
    }
    return rv;
}

QH_RESULT inbound_listen(struct transport *transport)
{
    const char *host = transport->listen_host;
    int rv;

    if (host[0] == '\0') {
        rv = bind_host(transport, "::");
        if (rv == UV_EAFNOSUPPORT) {
            rv = bind_host(transport, "0.0.0.0");
        }
    } else {
        rv = bind_host(transport, host);
    }
    if (rv != 0) {
        log_error("cannot listen for peers: %s host=%s port=%u", uv_strerror(rv),
                  host[0] == '\0' ? "any" : host, transport->port);
        return rv == UV_EADDRINUSE ? QH_EEXIST : QH_ESYSTEM;
    }
    return QH_OK;
}

void inbound_stop(struct transport *transport)
{
    for (struct conn *conn = transport->inbound; conn != NULL; conn = conn->next) {
        conn_close(conn, QH_ECANCELED, true);
    }
}
