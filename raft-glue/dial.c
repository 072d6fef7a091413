/* The connections that this node makes: name to addresses, one after the other, again
 * after a while. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "raft-glue/peers.h"

#define BIT(state) (1u << (state))

struct dial_resolve {
    uv_getaddrinfo_t request;
    struct dial *dial; /* NULL once nobody waits for the answer */
};

static void dial_move(struct dial *dial, enum dial_state state)
{
    static const unsigned allowed[] = {
        [DIAL_WAITING] = BIT(DIAL_WAITING) | BIT(DIAL_RESOLVING) | BIT(DIAL_STOPPED),
        [DIAL_RESOLVING] = BIT(DIAL_WAITING) | BIT(DIAL_DIALLING) | BIT(DIAL_STOPPED),
        [DIAL_DIALLING] = BIT(DIAL_WAITING) | BIT(DIAL_DIALLING) | BIT(DIAL_UP) | BIT(DIAL_STOPPED),
        [DIAL_UP] = BIT(DIAL_WAITING) | BIT(DIAL_STOPPED),
        [DIAL_STOPPED] = 0,
    };

    QH_ASSERT((allowed[dial->state] & BIT(state)) != 0);
    dial->state = state;
}

void dial_unref(struct peer *peer)
{
    struct transport *transport = peer->transport;

    peer->references--;
    if (peer->references == 0) {
        free(peer);
    }
    peers_release(transport);
}

static void dial_ref(struct peer *peer)
{
    peer->references++;
    peers_hold(peer->transport);
}

/* A quarter more or less, so that nodes which lost each other do not meet in step. */
static uint64_t retry_after_ms(const struct dial *dial)
{
    uint64_t retry_ms = dial->peer->transport->retry_ms;

    return retry_ms - retry_ms / 4 + uv_hrtime() / 1000 % (retry_ms / 2 + 1);
}

static void resolve(struct dial *dial);

static void on_retry(uv_timer_t *timer)
{
    resolve(timer->data);
}

static void wait_ms(struct dial *dial, uint64_t ms)
{
    dial_move(dial, DIAL_WAITING);
    dial->conn = NULL;
    (void)uv_timer_start(&dial->timer, on_retry, ms, 0);
}

/* Dial the next address; after the last one wait. */
static void dial_next(struct dial *dial)
{
    struct transport *transport = dial->peer->transport;
    const struct sockaddr *address;

    if (dial->address_next == dial->address_count) {
        wait_ms(dial, retry_after_ms(dial));
        return;
    }
    address = (const struct sockaddr *)&dial->addresses[dial->address_next++];
    if (conn_dial(&transport->env, dial->channel, address, dial, &dial->conn) != QH_OK) {
        wait_ms(dial, retry_after_ms(dial));
        return;
    }
    dial_move(dial, DIAL_DIALLING);
    dial_ref(dial->peer);
}

static void note_unresolved(struct dial *dial, const char *reason)
{
    struct conn failed = {.dialled = true, .status = QH_ENOTFOUND};

    (void)snprintf(failed.detail, sizeof failed.detail, "%s", reason);
    (void)snprintf(failed.address, sizeof failed.address, "%.63s", dial->peer->host);
    peers_explain(dial->peer->transport, &failed, dial->peer->name);
    wait_ms(dial, retry_after_ms(dial));
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct dial_resolve *question = (struct dial_resolve *)(void *)request;
    struct dial *dial = question->dial;

    if (dial != NULL) {
        dial->resolve = NULL;
        dial->address_count = 0;
        for (struct addrinfo *at = found; at != NULL && dial->address_count < PEERS_ADDRESSES_MAX;
             at = at->ai_next) {
            if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
                memcpy(&dial->addresses[dial->address_count++], at->ai_addr, at->ai_addrlen);
            }
        }
        if (status != 0 || dial->address_count == 0) {
            note_unresolved(dial, status != 0 ? uv_strerror(status) : "no address");
        } else {
            dial_next(dial);
        }
    }
    uv_freeaddrinfo(found);
    free(question);
}

static void ask_resolver(struct dial *dial)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct dial_resolve *question = calloc(1, sizeof *question);
    char port[8];
    int rv;

    (void)snprintf(port, sizeof port, "%u", dial->peer->port);
    if (question == NULL) {
        note_unresolved(dial, err_message(QH_ENOMEM));
        return;
    }
    rv = uv_getaddrinfo(dial->peer->transport->loop, &question->request, on_resolved,
                        dial->peer->host, port, &hints);
    if (rv != 0) {
        free(question);
        note_unresolved(dial, uv_strerror(rv));
        return;
    }
    question->dial = dial;
    dial->resolve = question;
}

/* An address needs no resolver, which would need a thread and might be slow. */
static void resolve(struct dial *dial)
{
    const struct peer *peer = dial->peer;
    struct sockaddr_storage *first = &dial->addresses[0];

    dial_move(dial, DIAL_RESOLVING);
    dial->address_next = 0;
    dial->address_count = 1;
    if (uv_ip4_addr(peer->host, peer->port, (struct sockaddr_in *)(void *)first) == 0 ||
        uv_ip6_addr(peer->host, peer->port, (struct sockaddr_in6 *)(void *)first) == 0) {
        dial_next(dial);
        return;
    }
    ask_resolver(dial);
}

void dial_start(struct dial *dial, struct peer *peer, enum transport_channel channel)
{
    dial->peer = peer;
    dial->channel = channel;
    dial->state = DIAL_WAITING;
    (void)uv_timer_init(peer->transport->loop, &dial->timer);
    dial->timer.data = dial;
    dial_ref(peer);
    wait_ms(dial, 0);
}

/* Let go of what is under way. */
static void detach(struct dial *dial, enum qh_err status, bool ending)
{
    struct conn *conn = dial->conn;

    if (dial->resolve != NULL) {
        (void)uv_cancel((uv_req_t *)&dial->resolve->request);
        dial->resolve->dial = NULL;
        dial->resolve = NULL;
    }
    dial->conn = NULL;
    if (conn != NULL) {
        conn_close(conn, status, ending);
    }
}

void dial_restart(struct dial *dial)
{
    detach(dial, QH_ECONN, false);
    wait_ms(dial, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dial *dial = handle->data;

    dial_unref(dial->peer);
}

void dial_stop(struct dial *dial, bool ending)
{
    detach(dial, QH_ECANCELED, ending);
    dial_move(dial, DIAL_STOPPED);
    uv_close((uv_handle_t *)&dial->timer, on_timer_closed);
}

bool dial_is_up(const struct dial *dial)
{
    return dial->state == DIAL_UP && dial->conn->state == CONN_UP;
}

/* Is it the peer that we dialled? */
enum qh_err dial_check(const struct conn *conn)
{
    const struct dial *dial = conn->owner;
    const struct peer *peer = dial->peer;

    if (dial->conn != conn) {
        return QH_ECANCELED;
    }
    if (conn->hello.id != peer->id || strcmp(conn->hello.name, peer->name) != 0) {
        return QH_EPEER;
    }
    return QH_OK;
}

void dial_up(struct conn *conn)
{
    struct dial *dial = conn->owner;
    struct transport *transport = dial->peer->transport;

    dial_move(dial, DIAL_UP);
    dial->up_ms = uv_now(transport->loop);
    peers_forget(transport, dial->peer->name, true);
    log_info("connected to a peer: peer=%s channel=%s address=%s", dial->peer->name,
             dial->channel == TRANSPORT_RAFT ? "raft" : "rpc", conn->address);
    transport->callbacks.outbound(transport->callbacks.data, dial->channel, dial->peer->id, true);
}

/* A connection that was up is dialled again at once, unless it was up so briefly
 * that this would be a busy loop. */
static void dial_again(struct dial *dial)
{
    struct transport *transport = dial->peer->transport;
    bool lasted = uv_now(transport->loop) - dial->up_ms >= transport->retry_ms;

    if (dial->state == DIAL_UP) {
        wait_ms(dial, lasted ? 0 : retry_after_ms(dial));
    } else if (dial->state == DIAL_DIALLING) {
        dial->conn = NULL;
        dial_next(dial);
    }
}

void dial_closed(struct conn *conn)
{
    struct dial *dial = conn->owner;
    struct peer *peer = dial->peer;
    struct transport *transport = peer->transport;

    if (!transport->closing) {
        if (conn->status != QH_ECANCELED) {
            peers_explain(transport, conn, peer->name);
        }
        if (conn->was_up) {
            transport->callbacks.outbound(transport->callbacks.data, dial->channel, peer->id,
                                          false);
        }
        if (dial->conn == conn) {
            dial_again(dial);
        }
    }
    dial_unref(peer);
}
