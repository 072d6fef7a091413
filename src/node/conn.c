/* A connection of the client port. */
#include "node/conn.h"

#include <errno.h>
#include <openssl/err.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/conn_buffer.h"
#include "node/dispatch.h"
#include "raft-glue/tls.h"
#include "wire/frame.h"

#define CONN_ROUNDS_MAX 8u /* records at a time, before other connections get a turn */
#define CONN_ADDRESS_ROOM 64u

enum conn_state { CONN_HANDSHAKE, CONN_OPEN, CONN_ENDING, CONN_CLOSED };

struct conn {
    struct service *service;
    enum conn_state state;
    struct conn *next, **link; /* in service->conns */
    int fd;
    uv_poll_t poll;
    int events; /* that poll waits for */
    SSL *ssl;
    char address[CONN_ADDRESS_ROOM];

    bool join; /* a node that wants to join */
    bool counted_join;
    bool paused; /* too much is under way */
    bool wants_write;
    bool shut; /* ENDING: last words are written */
    bool handle_closed;
    uint8_t fingerprint[FINGERPRINT_SIZE];
    uint8_t exporter[TLS_SERVER_EXPORTER_SIZE];
    struct dispatch_cache cache;

    unsigned in_flight;
    size_t in_flight_size;
    struct conn_buffer in, out;
    uint64_t records;   /* written under this key */
    uint64_t since_ms;  /* in this state; ENDING: since it was shut */
    uint64_t active_ms; /* last request */
    uint64_t wrote_ms;  /* last progress in writing, or nothing to write */

    bool dirty, resuming;
    struct conn *dirty_next, *resume_next;
};

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

static void conn_free(struct conn *conn)
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

static void conn_shut_down(struct conn *conn)
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

static void log_end(struct conn *conn, enum qh_err err, const char *detail)
{
    if (service_may_log(conn->service)) {
        log_warning("closed a client's connection: %s (%s) address=\"%s\"", err_message(err),
                    detail, conn->address);
    }
}

static void conn_fail(struct conn *conn, enum qh_err err, const char *detail)
{
    if (conn->state != CONN_CLOSED) {
        log_end(conn, err, detail);
        conn_shut_down(conn);
    }
}

static void mark_dirty(struct conn *conn)
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

static void mark_resume(struct conn *conn)
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

/* Wait for what there is to wait for. */
static void watch(struct conn *conn)
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

/* Last words, then nothing but the other side's end is waited for. */
static void conn_end(struct conn *conn)
{
    if (conn->state < CONN_ENDING) {
        conn_move(conn, CONN_ENDING);
        conn_buffer_close(&conn->in);
        mark_dirty(conn);
    }
}

/* ---- Writing. */

/* Old errors of this thread would be taken for this connection's. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

static void rekey(struct conn *conn)
{
    if (conn->records++ >= CONN_KEY_RECORDS) {
        conn->records = 0;
        (void)SSL_key_update(conn->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    }
}

static void lost(struct conn *conn, int result)
{
    char text[TLS_TEXT_ROOM];
    int reason = SSL_get_error(conn->ssl, result);

    if (reason == SSL_ERROR_SSL && conn->state != CONN_ENDING) {
        tls_error_text(conn->ssl, text, sizeof text);
        conn_fail(conn, QH_ETLS, text);
        return;
    }
    forget_errors(); /* it went away: its right, and nothing to tell */
    conn_shut_down(conn);
}

static void shut(struct conn *conn)
{
    conn->shut = true;
    conn->since_ms = uv_now(&conn->service->loop);
    forget_errors();
    (void)SSL_shutdown(conn->ssl);
    forget_errors();
    (void)shutdown(conn->fd, SHUT_WR);
}

static bool conn_full(const struct conn *conn)
{
    return conn->in_flight >= SERVICE_IN_FLIGHT_MAX ||
           conn->in_flight_size >= CONN_IN_FLIGHT_SIZE_MAX || conn->out.size >= CONN_OUT_PAUSE_SIZE;
}

static void conn_flush(struct conn *conn)
{
    conn->wants_write = false;
    while (conn->out.size > 0) {
        struct bytes plain = conn_buffer_bytes(&conn->out);
        int written;

        forget_errors();
        written = SSL_write(conn->ssl, plain.base, (int)plain.size);
        if (written <= 0) {
            int reason = SSL_get_error(conn->ssl, written);

            if (reason != SSL_ERROR_WANT_WRITE && reason != SSL_ERROR_WANT_READ) {
                lost(conn, written);
                return;
            }
            conn->wants_write = true;
            break;
        }
        rekey(conn);
        conn_buffer_drop(&conn->out, (size_t)written);
        conn->wrote_ms = uv_now(&conn->service->loop);
    }
    if (conn->state == CONN_ENDING && conn->out.size == 0 && conn->in_flight == 0 && !conn->shut) {
        shut(conn);
    }
    if (conn->paused && !conn_full(conn)) {
        mark_resume(conn);
    }
    watch(conn);
}

void conn_flush_all(struct service *service)
{
    while (service->dirty != NULL) {
        struct conn *conn = service->dirty;

        service->dirty = conn->dirty_next;
        conn->dirty = false;
        if (conn->state == CONN_OPEN || conn->state == CONN_ENDING) {
            conn_flush(conn);
        }
    }
}

/* ---- Answers. */

static QH_RESULT put_response(struct conn *conn, const Quadhsm__Response *response)
{
    size_t size = protobuf_c_message_get_packed_size(&response->base);
    struct bytes_writer writer;
    uint8_t *room;

    if (size > WIRE_FRAME_SIZE_MAX) {
        return QH_ELIMIT;
    }
    if (conn->out.size == 0) {
        conn->wrote_ms = uv_now(&conn->service->loop);
    }
    room = conn_buffer_reserve(&conn->out, FRAME_HEADER_SIZE + size);
    if (room == NULL) {
        return QH_ENOMEM;
    }
    bytes_writer_init(&writer, room, FRAME_HEADER_SIZE);
    bytes_write_u32(&writer, (uint32_t)size);
    (void)protobuf_c_message_pack(&response->base, room + FRAME_HEADER_SIZE);
    conn->out.size += FRAME_HEADER_SIZE + size;
    mark_dirty(conn);
    return QH_OK;
}

/* An answer that needs no memory but its frame's. */
static void put_error(struct conn *conn, uint64_t id, enum qh_err err, const char *detail)
{
    Quadhsm__Response response;

    quadhsm__response__init(&response);
    response.id = id;
    response.error = (uint32_t)err;
    response.detail = (char *)(uintptr_t)detail; /* only read */
    if (put_response(conn, &response) != QH_OK) {
        conn_fail(conn, QH_ENOMEM, "no room for an answer");
    }
}

void conn_answered(struct request *request)
{
    struct conn *conn = request->conn;
    enum qh_err err = QH_ENOMEM;

    conn->in_flight--;
    conn->in_flight_size -= request->size;
    conn->service->in_flight--;
    if (conn->state == CONN_OPEN || conn->state == CONN_ENDING) {
        if (request->response != NULL) {
            err = put_response(conn, request->response);
        }
        if (err != QH_OK) {
            put_error(conn, request->message->id, err,
                      err == QH_ELIMIT ? "the answer is too large: ask for less" : "");
        }
        if (conn->out.size > CONN_OUT_SIZE_MAX) {
            conn_fail(conn, QH_ELIMIT, "it does not read its answers");
        }
    } else if (conn->handle_closed && conn->in_flight == 0) {
        conn_free(conn);
    }
    request_free(request);
}

static void deliver(struct request *request)
{
    if (service_mine() == conn_service(request->conn)) {
        conn_answered(request);
    } else {
        service_post(request);
    }
}

/* ---- Reading. */

/* The last thing it hears: a stranger's frame, or one that breaks the rules. */
static void conn_refuse(struct conn *conn, enum qh_err err, const char *detail)
{
    log_end(conn, err, detail);
    put_error(conn, 0, err, detail);
    conn_end(conn);
}

static size_t frame_limit(const struct conn *conn)
{
    return conn->cache.enrolled ? WIRE_FRAME_SIZE_MAX : CONN_FRAME_SIZE_UNKNOWN;
}

/* A client may begin with a large frame: it is looked up first. */
static QH_RESULT read_header(struct conn *conn, const uint8_t *header, size_t *ret_size)
{
    enum qh_err err = wire_header_read(header, frame_limit(conn), ret_size);

    if (err != QH_OK && !conn->join && !conn->cache.enrolled) {
        conn->cache.enrolled = dispatch_enrolled(conn->service->node, conn->fingerprint);
        err = wire_header_read(header, frame_limit(conn), ret_size);
    }
    return err;
}

static void take_frame(struct conn *conn, struct bytes body)
{
    ProtobufCMessage *message = NULL;
    struct request *request;
    enum qh_err err = wire_unpack(&quadhsm__request__descriptor, body, &message);

    if (err != QH_OK) {
        conn_refuse(conn, err, "the frame holds no request");
        return;
    }
    request =
        request_new(conn->service->node, conn->join ? REQUEST_FROM_JOINER : REQUEST_FROM_CLIENT,
                    (Quadhsm__Request *)message);
    if (request == NULL) {
        put_error(conn, ((Quadhsm__Request *)message)->id, QH_ENOMEM, "");
        wire_message_free(message);
        return;
    }
    request->conn = conn;
    request->deliver = deliver;
    request->cache = &conn->cache;
    request->size = body.size;
    memcpy(request->fingerprint, conn->fingerprint, sizeof request->fingerprint);
    memcpy(request->exporter, conn->exporter, sizeof request->exporter);
    conn->in_flight++;
    conn->in_flight_size += body.size;
    conn->service->in_flight++;
    conn->active_ms = uv_now(&conn->service->loop);
    dispatch_begin(request);
}

/* Take whole frames; returns how many bytes they had. */
static size_t take_frames(struct conn *conn, struct bytes input)
{
    size_t taken = 0;

    while (conn->state == CONN_OPEN && input.size - taken >= FRAME_HEADER_SIZE) {
        const uint8_t *header = input.base + taken;
        size_t size;

        if (conn_full(conn)) {
            conn->paused = true;
            break;
        }
        if (read_header(conn, header, &size) != QH_OK) {
            conn_refuse(conn, QH_ELIMIT, "a frame is empty or too large");
            break;
        }
        if (input.size - taken - FRAME_HEADER_SIZE < size) {
            break;
        }
        taken += FRAME_HEADER_SIZE + size;
        take_frame(conn, (struct bytes){header + FRAME_HEADER_SIZE, size});
    }
    return taken;
}

/* What begins a frame that is not whole, or came after the connection was paused, is kept. */
static void keep(struct conn *conn, struct bytes rest)
{
    uint8_t *room;

    if (conn->state != CONN_OPEN || rest.size == 0) {
        return;
    }
    room = conn_buffer_reserve(&conn->in, rest.size);
    if (room == NULL) {
        conn_fail(conn, QH_ENOMEM, "no room for a request");
        return;
    }
    memcpy(room, rest.base, rest.size);
    conn->in.size += rest.size;
}

static void feed(struct conn *conn, struct bytes input)
{
    size_t taken;

    if (conn->in.size > 0) {
        keep(conn, input);
        input = conn_buffer_bytes(&conn->in);
        taken = take_frames(conn, input);
        if (conn->state == CONN_OPEN) {
            conn_buffer_drop(&conn->in, taken);
        }
        return;
    }
    taken = take_frames(conn, input);
    keep(conn, (struct bytes){input.base + taken, input.size - taken});
}

/* One record. False: there is no more now. */
static bool read_record(struct conn *conn)
{
    struct service *service = conn->service;
    int size;

    forget_errors();
    size = SSL_read(conn->ssl, service->plain, sizeof service->plain);
    if (size <= 0) {
        switch (SSL_get_error(conn->ssl, size)) {
        case SSL_ERROR_WANT_READ:
            return false;
        case SSL_ERROR_WANT_WRITE:
            conn->wants_write = true;
            watch(conn);
            return false;
        default:
            lost(conn, size);
            return false;
        }
    }
    feed(conn, (struct bytes){service->plain, (size_t)size});
    sodium_memzero(service->plain, (size_t)size);
    return true;
}

/* Level-triggered: what is left in the socket calls again by itself. What is left in OpenSSL's
 * buffer does not. */
static void conn_read(struct conn *conn)
{
    for (unsigned i = 0; i < CONN_ROUNDS_MAX; i++) {
        if (conn->state != CONN_OPEN || conn->paused || !read_record(conn)) {
            break;
        }
        if (conn->state != CONN_OPEN || !SSL_has_pending(conn->ssl)) {
            break;
        }
        if (i == CONN_ROUNDS_MAX - 1) {
            mark_resume(conn);
        }
    }
    watch(conn);
}

static void conn_resume(struct conn *conn)
{
    conn->paused = conn_full(conn);
    if (!conn->paused && conn->in.size > 0) {
        size_t taken = take_frames(conn, conn_buffer_bytes(&conn->in));

        if (conn->state == CONN_OPEN) {
            conn_buffer_drop(&conn->in, taken);
        }
    }
    if (conn->state == CONN_OPEN && !conn->paused && SSL_has_pending(conn->ssl)) {
        conn_read(conn);
    }
    watch(conn);
}

void conn_resume_all(struct service *service)
{
    unsigned count = 0;

    (void)uv_idle_stop(&service->again);
    for (const struct conn *conn = service->resume; conn != NULL; conn = conn->resume_next) {
        count++;
    }
    /* Those that join meanwhile stand behind these, and wait for the next time. */
    for (; count > 0 && service->resume != NULL; count--) {
        struct conn *conn = service->resume;

        service->resume = conn->resume_next;
        conn->resuming = false;
        if (conn->state == CONN_OPEN) {
            conn_resume(conn);
        }
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
    watch(conn);
}

static void shake_hands(struct conn *conn)
{
    char text[TLS_TEXT_ROOM];
    int result;

    forget_errors();
    result = SSL_do_handshake(conn->ssl);
    if (result == 1) {
        opened(conn);
        return;
    }
    switch (SSL_get_error(conn->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        conn->wants_write = false;
        watch(conn);
        return;
    case SSL_ERROR_WANT_WRITE:
        conn->wants_write = true;
        watch(conn);
        return;
    case SSL_ERROR_SSL:
        tls_error_text(conn->ssl, text, sizeof text);
        conn_fail(conn, QH_ETLS, text);
        return;
    default:
        forget_errors();
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
        mark_dirty(conn);
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
    watch(conn);
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
