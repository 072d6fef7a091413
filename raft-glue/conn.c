/* One TLS connection: its states, what is read, and its end. Sending: conn_send.c. */
#include "raft-glue/conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft-glue/conn_send.h"
#include "raft-glue/hello.h"

#define BIT(state) (1u << (state))

static void conn_move(struct conn *conn, enum conn_state state)
{
    static const unsigned allowed[] = {
        [CONN_CONNECTING] = BIT(CONN_TLS) | BIT(CONN_CLOSING),
        [CONN_TLS] = BIT(CONN_HELLO) | BIT(CONN_DRAINING) | BIT(CONN_CLOSING),
        [CONN_HELLO] = BIT(CONN_VERDICT) | BIT(CONN_UP) | BIT(CONN_DRAINING) | BIT(CONN_CLOSING),
        [CONN_VERDICT] = BIT(CONN_UP) | BIT(CONN_DRAINING) | BIT(CONN_CLOSING),
        [CONN_UP] = BIT(CONN_DRAINING) | BIT(CONN_CLOSING),
        [CONN_DRAINING] = BIT(CONN_CLOSING),
        [CONN_CLOSING] = 0,
    };

    QH_ASSERT((allowed[conn->state] & BIT(state)) != 0);
    conn->state = state;
}

size_t conn_frame_max(enum transport_channel channel)
{
    return channel == TRANSPORT_RAFT ? TRANSPORT_RAFT_FRAME_MAX : TRANSPORT_RPC_FRAME_MAX;
}

/* ---- The end. */

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;

    conn->handles--;
    if (conn->handles > 0) {
        return;
    }
    conn->env->handler->closed(conn);
    SSL_free(conn->ssl);
    ERR_clear_error();
    pipe_close(&conn->pipe);
    frame_reader_close(&conn->reader);
    free(conn);
}

/* The first reason counts: what follows it are its consequences. */
static void note_reason(struct conn *conn, enum qh_err status, const char *detail)
{
    if (conn->status == QH_OK) {
        conn->status = status;
        (void)snprintf(conn->detail, sizeof conn->detail, "%s", detail);
    }
    conn_send_fail(conn, status);
}

static void conn_abort(struct conn *conn, enum qh_err status, const char *detail)
{
    if (conn->state == CONN_CLOSING) {
        return;
    }
    note_reason(conn, status, detail);
    conn_move(conn, CONN_CLOSING);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
    uv_close((uv_handle_t *)&conn->timer, on_closed);
}

static void on_linger_over(uv_timer_t *timer)
{
    conn_abort(timer->data, QH_ECONN, "the peer did not close");
}

/* Closing with unread bytes in the socket would send a reset, and that would
 * overtake our last words. */
static void conn_drain(struct conn *conn, enum qh_err status, const char *detail)
{
    note_reason(conn, status, detail);
    conn_move(conn, CONN_DRAINING);
    (void)uv_timer_start(&conn->timer, on_linger_over, CONN_LINGER_MS, 0);
    conn_send_flush(conn);
}

void conn_close(struct conn *conn, enum qh_err status, bool ending)
{
    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (conn->state == CONN_UP && !ending && !conn->tls_broken) {
        ERR_clear_error();
        (void)SSL_shutdown(conn->ssl);
        note_reason(conn, status, "closed here");
        conn_send_last(conn);
    }
    conn_abort(conn, status, "closed here");
}

void conn_failed(struct conn *conn, enum qh_err status, const char *detail)
{
    conn_abort(conn, status, detail);
}

/* ---- Greeting. */

static QH_RESULT say_hello(struct conn *conn, enum qh_err code)
{
    struct transport_hello hello = {0};
    uint8_t body[HELLO_SIZE_MAX];
    struct bytes head = {.base = body};

    conn->env->handler->hello(conn, &hello);
    head.size = hello_encode(&hello, code, body);
    return conn_send_now(conn, head);
}

static void conn_refuse(struct conn *conn, enum qh_err code)
{
    enum qh_err err = say_hello(conn, code);

    if (conn->state == CONN_CLOSING) { /* by a callback */
        return;
    }
    conn->env->counters.refused++;
    conn->refused = true;
    if (err != QH_OK) {
        conn_abort(conn, code, "refused here");
        return;
    }
    conn_drain(conn, code, "refused here");
}

static void on_idle(uv_timer_t *timer)
{
    struct conn *conn = timer->data;
    uint64_t silent_ms = uv_now(conn->env->loop) - conn->read_ms;
    uint64_t idle_ms = conn->env->idle_ms;

    if (conn->paused || silent_ms < idle_ms) {
        (void)uv_timer_start(timer, on_idle, conn->paused ? idle_ms : idle_ms - silent_ms, 0);
        return;
    }
    conn_close(conn, QH_ETIMEOUT, false);
}

static void conn_rise(struct conn *conn)
{
    conn_move(conn, CONN_UP);
    conn->was_up = true;
    conn->reader.limit = conn_frame_max(conn->channel);
    (void)uv_timer_stop(&conn->timer);
    if (!conn->dialled && conn->channel == TRANSPORT_RAFT && conn->env->idle_ms > 0) {
        (void)uv_timer_start(&conn->timer, on_idle, conn->env->idle_ms, 0);
    }
    conn->env->handler->up(conn);
}

/* The peer said who it is: do we want it? Callbacks may close the connection. */
static void judge_hello(struct conn *conn)
{
    enum qh_err err = conn->env->handler->check(conn);

    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (err != QH_OK) {
        conn_refuse(conn, err);
        return;
    }
    err = say_hello(conn, QH_OK);
    if (conn->state == CONN_CLOSING) {
        return;
    }
    if (err != QH_OK) {
        conn_abort(conn, err, "cannot answer the hello");
        return;
    }
    if (conn->dialled) {
        conn_rise(conn);
    } else {
        conn_move(conn, CONN_VERDICT);
    }
}

static void take_greeting(struct conn *conn, struct bytes body)
{
    struct transport_hello hello;
    enum qh_err code = QH_OK;
    enum qh_err err = hello_decode(body, &hello, &code);

    if (err == QH_EVERSION) {
        conn_refuse(conn, err);
        return;
    }
    if (err != QH_OK) {
        conn_abort(conn, err, "not a hello");
        return;
    }
    if (conn->state == CONN_HELLO) {
        conn->hello = hello;
    }
    if (code != QH_OK) {
        conn->env->counters.refused++;
        conn->told = true;
        conn_abort(conn, code, "refused by the peer");
        return;
    }
    if (conn->state == CONN_VERDICT) {
        conn_rise(conn);
    } else {
        judge_hello(conn);
    }
}

/* ---- Reading. */

static void take_frame(struct conn *conn, struct bytes body)
{
    enum qh_err err;

    if (conn->state != CONN_UP) {
        take_greeting(conn, body);
        return;
    }
    conn->env->counters.frames_received++;
    err = conn->env->handler->frame(conn, body);
    if (err != QH_OK) {
        conn_close(conn, err, false);
    }
}

static bool is_reading(const struct conn *conn)
{
    return conn->state == CONN_HELLO || conn->state == CONN_VERDICT || conn->state == CONN_UP;
}

static void take_plain(struct conn *conn, struct bytes plain)
{
    while (plain.size > 0 && is_reading(conn)) {
        struct bytes body = {0};
        bool whole = false;
        enum qh_err err;

        if (conn->state == CONN_UP && conn->dialled) {
            note_reason(conn, QH_EMALFORMED, "the peer sent on a connection that is ours");
            conn_close(conn, QH_EMALFORMED, false);
            return;
        }
        err = frame_reader_take(&conn->reader, &plain, &whole, &body);
        if (err != QH_OK) {
            note_reason(conn, err, "the frame's size is not allowed, or there is no memory for it");
            conn_close(conn, err, false);
            return;
        }
        if (whole) {
            take_frame(conn, body);
            if (conn->reader.base != NULL) {
                frame_reader_close(&conn->reader);
            }
        }
    }
}

/* The alert that OpenSSL made for the peer is worth sending. */
static void fail_tls(struct conn *conn)
{
    char text[TLS_TEXT_ROOM];

    tls_error_text(conn->ssl, text, sizeof text);
    conn->tls_broken = true;
    conn_drain(conn, QH_ETLS, text);
}

static void shake_hands(struct conn *conn)
{
    enum qh_err err;
    int rv;

    ERR_clear_error();
    rv = SSL_do_handshake(conn->ssl);
    if (rv != 1) {
        rv = SSL_get_error(conn->ssl, rv);
        if (rv != SSL_ERROR_WANT_READ && rv != SSL_ERROR_WANT_WRITE) {
            fail_tls(conn);
        }
        return;
    }
    if (tls_peer_name(conn->ssl, conn->name) != QH_OK) {
        conn_abort(conn, QH_EPEER, "the certificate's subject names no node");
        return;
    }
    if (tls_session_channel(conn->ssl, &conn->channel) != QH_OK) {
        conn_abort(conn, QH_ETLS, "no protocol in common");
        return;
    }
    conn_move(conn, CONN_HELLO);
    if (conn->dialled) {
        err = say_hello(conn, QH_OK);
        if (err != QH_OK) {
            conn_abort(conn, err, "cannot say hello");
        }
    }
}

static void take_input(struct conn *conn)
{
    if (conn->state == CONN_TLS) {
        shake_hands(conn);
    }
    while (is_reading(conn)) {
        uint8_t *plain = conn->env->plain;
        int size;

        ERR_clear_error();
        size = SSL_read(conn->ssl, plain, (int)sizeof conn->env->plain);
        if (size > 0) {
            take_plain(conn, (struct bytes){.base = plain, .size = (size_t)size});
            continue;
        }
        switch (SSL_get_error(conn->ssl, size)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return;
        case SSL_ERROR_ZERO_RETURN:
            conn_abort(conn, QH_ECONN, "closed by the peer");
            return;
        default:
            fail_tls(conn);
            return;
        }
    }
}

static void take_end(struct conn *conn, int status)
{
    if (conn->state == CONN_UP) {
        conn->gone = status == UV_EOF || status == UV_ECONNRESET;
    }
    conn_abort(conn, QH_ECONN, uv_strerror(status));
}

static void on_read_room(uv_handle_t *handle, size_t size, uv_buf_t *ret_buffer)
{
    struct conn *conn = handle->data;

    (void)size;
    *ret_buffer = uv_buf_init((char *)conn->env->input, sizeof conn->env->input);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct conn *conn = stream->data;

    if (size == 0 || conn->state == CONN_CLOSING) {
        return;
    }
    if (size < 0) {
        take_end(conn, (int)size);
        return;
    }
    conn->env->counters.bytes_received += (uint64_t)size;
    conn->read_ms = uv_now(conn->env->loop);
    if (conn->state == CONN_DRAINING) {
        return;
    }
    conn->pipe.input = (struct bytes){.base = (uint8_t *)buffer->base, .size = (size_t)size};
    take_input(conn);
    conn->pipe.input = (struct bytes){0};
    conn_send_flush(conn);
}

static void start_reading(struct conn *conn)
{
    int rv = uv_read_start((uv_stream_t *)&conn->tcp, on_read_room, on_read);

    if (rv != 0) {
        conn_abort(conn, QH_ECONN, uv_strerror(rv));
    }
}

void conn_pause(struct conn *conn, bool paused)
{
    if (conn->paused == paused || conn->state != CONN_UP) {
        return;
    }
    conn->paused = paused;
    if (paused) {
        (void)uv_read_stop((uv_stream_t *)&conn->tcp);
        return;
    }
    conn->read_ms = uv_now(conn->env->loop);
    start_reading(conn);
}

/* ---- The beginning. */

/* A host that vanished is noticed in about user_timeout_ms, whether something is under
 * way to it or not. Options that the kernel refuses are done without. */
static void set_options(struct conn *conn)
{
    int ms = (int)conn->env->user_timeout_ms;
    int seconds = ms < 3000 ? 1 : ms / 3000;
    int on = 1, probes = 3;
    uv_os_fd_t fd;

    (void)uv_tcp_nodelay(&conn->tcp, 1);
    if (ms == 0 || uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0) {
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

static void write_address(const struct sockaddr *address, char ret_text[CONN_ADDRESS_ROOM])
{
    char host[INET6_ADDRSTRLEN] = "?";

    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)(const void *)address;

        (void)uv_ip6_name(ip6, host, sizeof host);
        (void)snprintf(ret_text, CONN_ADDRESS_ROOM, "[%s]:%u", host, ntohs(ip6->sin6_port));
    } else {
        const struct sockaddr_in *ip4 = (const struct sockaddr_in *)(const void *)address;

        (void)uv_ip4_name(ip4, host, sizeof host);
        (void)snprintf(ret_text, CONN_ADDRESS_ROOM, "%s:%u", host, ntohs(ip4->sin_port));
    }
}

static void on_handshake_over(uv_timer_t *timer)
{
    conn_abort(timer->data, QH_ETIMEOUT, "no answer within the handshake's time");
}

static struct conn *conn_new(struct conn_env *env, bool dialled, enum transport_channel channel,
                             void *owner)
{
    struct conn *conn = calloc(1, sizeof *conn);

    if (conn == NULL) {
        return NULL;
    }
    conn->env = env;
    conn->owner = owner;
    conn->dialled = dialled;
    conn->channel = channel;
    conn->state = dialled ? CONN_CONNECTING : CONN_TLS;
    conn->handles = 2;
    conn->read_ms = uv_now(env->loop);
    sendq_init(&conn->queue);
    frame_reader_init(&conn->reader, HELLO_SIZE_MAX);
    (void)uv_tcp_init(env->loop, &conn->tcp); /* neither fails: no socket is made yet */
    (void)uv_timer_init(env->loop, &conn->timer);
    conn->tcp.data = conn;
    conn->timer.data = conn;
    (void)uv_timer_start(&conn->timer, on_handshake_over, env->handshake_ms, 0);
    return conn;
}

static void start_tls(struct conn *conn)
{
    BIO *bio;

    set_options(conn);
    if (tls_session_new(conn->env->tls, conn->dialled, conn->channel, &conn->ssl) != QH_OK ||
        pipe_bio_new(conn->env->bio_method, &conn->pipe, &bio) != QH_OK) {
        conn_abort(conn, QH_ENOMEM, "no memory for TLS");
        return;
    }
    SSL_set_bio(conn->ssl, bio, bio);
    start_reading(conn);
    if (conn->state == CONN_TLS && conn->dialled) {
        shake_hands(conn);
        conn_send_flush(conn);
    }
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct conn *conn = connect->handle->data;

    if (conn->state != CONN_CONNECTING) {
        return;
    }
    if (status != 0) {
        conn_abort(conn, QH_ECONN, uv_strerror(status));
        return;
    }
    conn_move(conn, CONN_TLS);
    start_tls(conn);
}

/* A source of the other address family is passed over: the peer has addresses of both. */
static int bind_source(struct conn *conn, const struct sockaddr *address)
{
    const struct sockaddr *source = (const struct sockaddr *)&conn->env->source;

    if (source->sa_family == AF_UNSPEC || source->sa_family != address->sa_family) {
        return 0;
    }
    return uv_tcp_bind(&conn->tcp, source, 0);
}

QH_RESULT conn_dial(struct conn_env *env, enum transport_channel channel,
                    const struct sockaddr *address, void *owner, struct conn **ret_conn)
{
    struct conn *conn = conn_new(env, true, channel, owner);
    int rv;

    if (conn == NULL) {
        return QH_ENOMEM;
    }
    env->counters.dialled++;
    write_address(address, conn->address);
    rv = bind_source(conn, address);
    if (rv == 0) {
        rv = uv_tcp_connect(&conn->connect, &conn->tcp, address, on_connect);
    }
    if (rv != 0) {
        conn_abort(conn, QH_ECONN, uv_strerror(rv));
    }
    *ret_conn = conn;
    return QH_OK;
}

QH_RESULT conn_accept(struct conn_env *env, uv_stream_t *listener, void *owner,
                      struct conn **ret_conn)
{
    struct conn *conn = conn_new(env, false, TRANSPORT_RAFT, owner);
    struct sockaddr_storage address = {0};
    int size = sizeof address;
    int rv;

    if (conn == NULL) {
        return QH_ENOMEM;
    }
    *ret_conn = conn;
    env->counters.accepted++;
    rv = uv_accept(listener, (uv_stream_t *)&conn->tcp);
    if (rv != 0) {
        conn_abort(conn, QH_ECONN, uv_strerror(rv));
        return QH_OK;
    }
    (void)uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&address, &size);
    write_address((struct sockaddr *)&address, conn->address);
    start_tls(conn);
    return QH_OK;
}
