/* What a connection is told: records, frames, and the requests in them. */
#include <sodium.h>
#include <string.h>

#include "node/conn_private.h"
#include "wire/frame.h"

#define CONN_ROUNDS_MAX 8u /* records at a time, before other connections get a turn */

static void deliver(struct request *request)
{
    if (service_mine() == conn_service(request->conn)) {
        conn_answered(request);
    } else {
        service_post(request);
    }
}

/* The last thing it hears: a stranger's frame, or one that breaks the rules. */
static void refuse(struct conn *conn, enum qh_err err, const char *detail)
{
    conn_log_end(conn, err, detail);
    conn_put_error(conn, 0, err, detail);
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
    enum qh_err err = wire_unpack_whole(&quadhsm__request__descriptor, body, &message);

    if (err != QH_OK) {
        refuse(conn, err, "the frame holds no request");
        return;
    }
    request =
        request_new(conn->service->node, conn->join ? REQUEST_FROM_JOINER : REQUEST_FROM_CLIENT,
                    (Quadhsm__Request *)message);
    if (request == NULL) {
        conn_put_error(conn, ((Quadhsm__Request *)message)->id, QH_ENOMEM, "");
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
            refuse(conn, QH_ELIMIT, "a frame is empty or too large");
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

    conn_forget_errors();
    size = SSL_read(conn->ssl, service->plain, sizeof service->plain);
    if (size <= 0) {
        switch (SSL_get_error(conn->ssl, size)) {
        case SSL_ERROR_WANT_READ:
            return false;
        case SSL_ERROR_WANT_WRITE:
            conn->wants_write = true;
            conn_watch(conn);
            return false;
        default:
            conn_lost(conn, size);
            return false;
        }
    }
    feed(conn, (struct bytes){service->plain, (size_t)size});
    sodium_memzero(service->plain, (size_t)size);
    return true;
}

/* Level-triggered: what is left in the socket calls again by itself. What is left in OpenSSL's
 * buffer does not. */
void conn_read(struct conn *conn)
{
    for (unsigned i = 0; i < CONN_ROUNDS_MAX; i++) {
        if (conn->state != CONN_OPEN || conn->paused || !read_record(conn)) {
            break;
        }
        if (conn->state != CONN_OPEN || !SSL_has_pending(conn->ssl)) {
            break;
        }
        if (i == CONN_ROUNDS_MAX - 1) {
            conn_mark_resume(conn);
        }
    }
    conn_watch(conn);
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
    conn_watch(conn);
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
