/* What a connection says: answers, put together into as few writes as can be, and last words. */
#include <openssl/err.h>
#include <sys/socket.h>

#include "node/conn_private.h"
#include "raft-glue/tls.h"
#include "wire/frame.h"

/* ---- Writing. */

void conn_forget_errors(void)
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

void conn_lost(struct conn *conn, int result)
{
    char text[TLS_TEXT_ROOM];
    int reason = SSL_get_error(conn->ssl, result);

    if (reason == SSL_ERROR_SSL && conn->state != CONN_ENDING) {
        tls_error_text(conn->ssl, text, sizeof text);
        conn_fail(conn, QH_ETLS, text);
        return;
    }
    conn_forget_errors(); /* it went away: its right, and nothing to tell */
    conn_shut_down(conn);
}

static void shut(struct conn *conn)
{
    conn->shut = true;
    conn->since_ms = uv_now(&conn->service->loop);
    conn_forget_errors();
    (void)SSL_shutdown(conn->ssl);
    conn_forget_errors();
    (void)shutdown(conn->fd, SHUT_WR);
}

bool conn_full(const struct conn *conn)
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

        conn_forget_errors();
        written = SSL_write(conn->ssl, plain.base, (int)plain.size);
        if (written <= 0) {
            int reason = SSL_get_error(conn->ssl, written);

            if (reason != SSL_ERROR_WANT_WRITE && reason != SSL_ERROR_WANT_READ) {
                conn_lost(conn, written);
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
        conn_mark_resume(conn);
    }
    conn_watch(conn);
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
    conn_mark_dirty(conn);
    return QH_OK;
}

void conn_put_error(struct conn *conn, uint64_t id, enum qh_err err, const char *detail)
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
            conn_put_error(conn, request->message->id, err,
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
