/* A connection of the client port: its beginning, its end, and what happens in time. */
#include "node/conn.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "node/conn_private.h"
#include "raft-glue/tls.h"

static void conn_move(struct conn *conn, enum conn_state state)
{
    QH_ASSERT(state > conn->state);
    conn->state = state;
    conn->since_ms = uv_now(&conn->service->loop);
}

struct service *conn_service(const struct conn *conn)
{
    return conn->service;
}

/* ---- The end. */

void conn_free(struct conn *conn)
{
    conn_buffer_close(&conn->in);
    conn_buffer_close(&conn->out);
    sodium_memzero(conn, sizeof *conn);
    free(conn);
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    struct services *services = conn->service->services;

    SSL_free(conn->ssl);
    conn->ssl = NULL;
    (void)close(conn->fd);
    conn->handle_closed = true;
    conn->service->conn_count--;
    atomic_fetch_sub(&services->connections, 1);
    if (conn->counted_join) {
        atomic_fetch_sub(&services->joins, 1);
    }
    if (conn->in_flight == 0) {
        conn_free(conn);
    }
}

static void leave_lists(struct conn *conn)
{
    struct service *service = conn->service;

    for (struct conn **at = &service->dirty; conn->dirty; at = &(*at)->dirty_next) {
        if (*at == conn) {
            *at = conn->dirty_next;
            conn->dirty = false;
        }
    }
    for (struct conn **at = &service->resume; conn->resuming; at = &(*at)->resume_next) {
        if (*at == conn) {
            *at = conn->resume_next;
            conn->resuming = false;
        }
    }
}

void conn_shut_down(struct conn *conn)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    conn_move(conn, CONN_CLOSED);
    leave_lists(conn);
    *conn->link = conn->next;
    if (conn->next != NULL) {
        conn->next->link = conn->link;
    }
    uv_close((uv_handle_t *)&conn->poll, on_closed);
}

void conn_log_end(struct conn *conn, enum qh_err err, const char *detail)
{
    if (service_may_log(conn->service)) {
        log_warning("closed a client's connection: %s (%s) address=\"%s\"", err_message(err),
                    detail, conn->address);
    }
}

void conn_fail(struct conn *conn, enum qh_err err, const char *detail)
{
    if (conn->state != CONN_CLOSED) {
        conn_log_end(conn, err, detail);
        conn_shut_down(conn);
    }
}

void conn_mark_dirty(struct conn *conn)
{
    if (!conn->dirty) {
        conn->dirty = true;
        conn->dirty_next = conn->service->dirty;
        conn->service->dirty = conn;
    }
}

static void on_again(uv_idle_t *idle)
{
    struct service *service = idle->data;

    conn_resume_all(service);
    conn_flush_all(service);
}

void conn_mark_resume(struct conn *conn)
{
    struct service *service = conn->service;

    if (!conn->resuming) {
        struct conn **last = &service->resume;

        while (*last != NULL) {
            last = &(*last)->resume_next;
        }
        *last = conn;
        conn->resuming = true;
        conn->resume_next = NULL;
        (void)uv_idle_start(&service->again, on_again);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events);

void conn_watch(struct conn *conn)
{
    int events = 0;

    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn->state != CONN_OPEN || !conn->paused) {
        events |= UV_READABLE;
    }
    if (conn->wants_write) {
        events |= UV_WRITABLE;
    }
    if (events == conn->events) {
        return;
    }
    conn->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&conn->poll);
    } else if (uv_poll_start(&conn->poll, events, on_ready) != 0) {
        conn_fail(conn, QH_ESYSTEM, "it cannot be polled");
    }
}

void conn_end(struct conn *conn)
{
    if (conn->state < CONN_ENDING) {
        conn_move(conn, CONN_ENDING);
        conn_buffer_close(&conn->in);
        conn_mark_dirty(conn);
    }
}

/* ---- The beginning. */

static bool may_join(void *data)
{
    struct conn *conn = data;
    struct services *services = conn->service->services;

    if (atomic_fetch_add(&services->joins, 1) >= SERVICE_JOIN_CONNECTIONS_MAX) {
        atomic_fetch_sub(&services->joins, 1);
        return false;
    }
    conn->counted_join = true;
    return true;
}

const struct tls_server_hooks conn_hooks = {.join = may_join};

static void opened(struct conn *conn)
{
    enum qh_err err = tls_server_protocol(conn->ssl, &conn->join);

    if (err != QH_OK) {
        conn_fail(conn, err, "it does not speak the client protocol: no ALPN");
        return;
    }
    err = conn->join ? tls_server_exporter(conn->ssl, conn->exporter)
                     : tls_server_client(conn->ssl, conn->fingerprint);
    if (err != QH_OK) {
        conn_fail(conn, err, "its certificate is not a client's");
        return;
    }
    conn_move(conn, CONN_OPEN);
    conn->active_ms = conn->since_ms;
    conn->wants_write = false;
    /* The last flight of a handshake may come with the first request. */
    if (SSL_has_pending(conn->ssl)) {
        conn_read(conn);
    }
    conn_watch(conn);
}

static void shake_hands(struct conn *conn)
{
    char text[TLS_TEXT_ROOM];
    int result;

    conn_forget_errors();
    result = SSL_do_handshake(conn->ssl);
    if (result == 1) {
        opened(conn);
        return;
    }
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        conn->wants_write = false;
        conn_watch(conn);
        return;
    case SSL_ERROR_WANT_WRITE:
        conn->wants_write = true;
        conn_watch(conn);
        return;
    case SSL_ERROR_SSL:
        tls_error_text(conn->ssl, text, sizeof text);
        conn_fail(conn, QH_ETLS, text);
        return;
    default:
        conn_forget_errors();
        conn_shut_down(conn); /* it hung up */
        return;
    }
}

/* Thrown away, so that our last words arrive. */
static void swallow(struct conn *conn)
{
    struct service *service = conn->service;
    ssize_t size = recv(conn->fd, service->plain, sizeof service->plain, 0);

    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        conn_shut_down(conn);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct conn *conn = poll->data;
    struct service *service = conn->service;

    if (status != 0) {
        conn_shut_down(conn);
        return;
    }
    if ((events & UV_WRITABLE) != 0 && conn->state != CONN_HANDSHAKE) {
        conn_mark_dirty(conn);
    }
    switch (conn->state) {
    case CONN_HANDSHAKE:
        shake_hands(conn);
        break;
    case CONN_OPEN:
        if ((events & UV_READABLE) != 0) {
            conn_read(conn);
        }
        break;
    case CONN_ENDING:
        if ((events & UV_READABLE) != 0) {
            swallow(conn);
        }
        break;
    case CONN_CLOSED:
        break;
    }
    conn_flush_all(service);
}

void conn_begin(struct service *service, int fd, const char *address)
{
    struct conn *conn = calloc(1, sizeof *conn);
    enum qh_err err = conn != NULL ? QH_OK : QH_ENOMEM;

    if (err == QH_OK) {
        err = tls_server_session(service->services->tls, fd, conn, &conn->ssl);
    }
    if (err == QH_OK && uv_poll_init(&service->loop, &conn->poll, fd) != 0) {
        SSL_free(conn->ssl);
        err = QH_ESYSTEM;
    }
    if (err != QH_OK) {
        if (service_may_log(service)) {
            log_warning("refused a client: %s address=\"%s\"", err_message(err), address);
        }
        free(conn);
        (void)close(fd);
        atomic_fetch_sub(&service->services->connections, 1);
        return;
    }
    conn->service = service;
    conn->fd = fd;
    conn->poll.data = conn;
    conn->since_ms = uv_now(&service->loop);
    strncpy(conn->address, address, sizeof conn->address - 1);
    conn->next = service->conns;
    conn->link = &service->conns;
    if (conn->next != NULL) {
        conn->next->link = &conn->next;
    }
    service->conns = conn;
    service->conn_count++;
    conn_watch(conn);
}

/* ---- Time, and the end of the node. */

static void conn_tick(struct conn *conn, uint64_t now_ms)
{
    switch (conn->state) {
    case CONN_HANDSHAKE:
        if (now_ms - conn->since_ms >= SERVICE_HANDSHAKE_MS) {
            conn_fail(conn, QH_ETIMEOUT, "the handshake took too long");
        }
        break;
    case CONN_OPEN:
        if (conn->out.size > 0 && now_ms - conn->wrote_ms >= CONN_STALL_MS) {
            conn_fail(conn, QH_ETIMEOUT, "it does not read its answers");
        } else if (conn->join && now_ms - conn->since_ms >= CONN_JOIN_MS) {
            conn_fail(conn, QH_ETIMEOUT, "joining took too long");
        } else if (conn->in_flight == 0 && now_ms - conn->active_ms >= CONN_IDLE_MS) {
            conn_end(conn);
        }
        break;
    case CONN_ENDING:
        if (now_ms - conn->since_ms >= (conn->shut ? CONN_LINGER_MS : CONN_STALL_MS)) {
            conn_shut_down(conn);
        }
        break;
    case CONN_CLOSED:
        break;
    }
}

void conn_tick_all(struct service *service, uint64_t now_ms)
{
    struct conn *next;

    for (struct conn *conn = service->conns; conn != NULL; conn = next) {
        next = conn->next;
        conn_tick(conn, now_ms);
    }
    conn_flush_all(service);
}

void conn_drain_all(struct service *service)
{
    struct conn *next;

    for (struct conn *conn = service->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->state == CONN_HANDSHAKE) {
            conn_shut_down(conn);
        } else {
            conn_end(conn);
        }
    }
    conn_flush_all(service);
}

void conn_close_all(struct service *service)
{
    while (service->conns != NULL) {
        conn_shut_down(service->conns);
    }
}
