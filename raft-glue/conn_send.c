/* The sending half of a connection: queue, encryption, socket.
 *
 * A frame that finds the connection idle is encrypted and written before
 * conn_send() returns. What the socket does not take is written by the loop, a batch at
 * a time, and only then is the next batch encrypted. */
#include "raft-glue/conn_send.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"

/* Each call makes one record. */
static QH_RESULT encrypt(struct conn *conn, struct bytes plain)
{
    ERR_clear_error();
    if (conn->records >= conn->env->key_records) {
        if (SSL_key_update(conn->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
            conn->tls_broken = true;
            return QH_ETLS;
        }
        conn->records = 0;
        conn->key_updates++;
    }
    conn->records++;
    if (SSL_write(conn->ssl, plain.base, (int)plain.size) != (int)plain.size) {
        conn->tls_broken = true;
        return QH_ETLS;
    }
    return QH_OK;
}

QH_RESULT conn_send_now(struct conn *conn, struct bytes body)
{
    uint8_t frame[FRAME_HEAD_SIZE + 256];
    struct bytes_writer writer;

    bytes_writer_init(&writer, frame, sizeof frame);
    bytes_write_u32(&writer, (uint32_t)body.size);
    bytes_write_span(&writer, body.base, body.size);
    QH_ASSERT(!writer.failed);
    return encrypt(conn, (struct bytes){.base = frame, .size = writer.size});
}

/* Encrypt up to a batch. */
static QH_RESULT fill(struct conn *conn)
{
    while (conn->state == CONN_UP && conn->pipe.out.size < CONN_BATCH_SIZE &&
           sendq_waiting(&conn->queue)) {
        struct bytes chunk = sendq_take(&conn->queue, conn->env->chunk);
        enum qh_err err = encrypt(conn, chunk);

        if (err != QH_OK) {
            return err;
        }
        sendq_seal(&conn->queue, conn->written + conn->pipe.out.size);
    }
    return QH_OK;
}

static void note_written(struct conn *conn, size_t size)
{
    struct conn_env *env = conn->env;

    conn->written += size;
    env->counters.bytes_sent += size;
    env->counters.frames_sent += sendq_written(&conn->queue, conn->written, &env->done);
    if (env->done.first != NULL) {
        env->done_due(env);
    }
}

/* One system call, without a signal if the peer is gone. Returns 0 or an errno. */
static int send_some(struct conn *conn)
{
    struct pipe_out *out = &conn->pipe.out;
    uv_os_fd_t fd;
    ssize_t size;

    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0) {
        return EBADF;
    }
    do {
        size = send(fd, out->base + out->start, out->size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0) {
        return errno == EAGAIN ? 0 : errno;
    }
    pipe_out_drop(out, (size_t)size);
    note_written(conn, (size_t)size);
    return 0;
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *conn = write->handle->data;
    size_t size = conn->pipe.flight.size;

    conn->flying = false;
    pipe_out_drop(&conn->pipe.flight, size);
    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (status != 0) {
        conn_failed(conn, QH_ECONN, uv_strerror(status));
        return;
    }
    note_written(conn, size);
    conn_send_flush(conn);
}

/* Let the loop write what is encrypted. */
static void launch(struct conn *conn)
{
    struct pipe_out *flight = &conn->pipe.flight;
    uv_buf_t buffer;
    int rv;

    pipe_launch(&conn->pipe);
    buffer = uv_buf_init((char *)flight->base + flight->start, (unsigned)flight->size);
    rv = uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &buffer, 1, on_written);
    if (rv != 0) {
        conn_failed(conn, QH_ECONN, uv_strerror(rv));
        return;
    }
    conn->flying = true;
}

/* Nothing is done with the outcome: the peer's end of stream, or the timer, ends DRAINING. */
static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)shutdown;
    (void)status;
}

static void end_stream(struct conn *conn)
{
    if (!conn->shut) {
        conn->shut = true;
        (void)uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, on_shutdown);
    }
}

void conn_send_flush(struct conn *conn)
{
    int error = 0;

    if (conn->flying || conn->state == CONN_CONNECTING || conn->state == CONN_CLOSING) {
        return;
    }
    if (fill(conn) != QH_OK) {
        conn_failed(conn, QH_ETLS, "cannot encrypt");
        return;
    }
    if (conn->pipe.out.size > 0) {
        error = send_some(conn);
    }
    if (error != 0) {
        conn_failed(conn, QH_ECONN, strerror(error));
        return;
    }
    if (fill(conn) != QH_OK) {
        conn_failed(conn, QH_ETLS, "cannot encrypt");
        return;
    }
    if (conn->pipe.out.size > 0) {
        launch(conn);
    } else if (conn->state == CONN_DRAINING) {
        end_stream(conn);
    }
}

void conn_send_last(struct conn *conn)
{
    if (!conn->flying && conn->pipe.out.size > 0) {
        (void)send_some(conn);
    }
}

void conn_send_fail(struct conn *conn, enum qh_err status)
{
    struct conn_env *env = conn->env;

    env->counters.frames_dropped += sendq_fail(&conn->queue, status, &env->done);
    if (env->done.first != NULL) {
        env->done_due(env);
    }
}

QH_RESULT conn_send(struct conn *conn, struct bytes head, const struct bytes *pieces,
                    unsigned piece_count, transport_sent cb, void *data)
{
    enum qh_err err;

    if (conn->state != CONN_UP) {
        return QH_ECONN;
    }
    err = sendq_push(&conn->queue, head, pieces, piece_count, cb, data);
    if (err == QH_EBUSY) {
        conn->env->counters.frames_dropped++;
    }
    if (err != QH_OK) {
        return err;
    }
    conn_send_flush(conn);
    return QH_OK;
}
