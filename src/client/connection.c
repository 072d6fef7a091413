/* Connections to nodes. */
#include "client/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "client/gate.h"
#include "wire/frame.h"

#define IN_ROOM 4096u /* bytes; larger responses get a block of their own */

struct connection {
    struct connection *next, *previous; /* of all that are open */
    enum connection_state state;
    struct tlsclient_link link;
    SSL *ssl;
    short events;
    char expected[NODE_NAME_LENGTH_MAX + 1];
    char node[NODE_NAME_LENGTH_MAX + 1];
    uint8_t *out; /* the frame to be sent, or NULL */
    size_t out_size;
    uint64_t id;
    bool sent, proven, may_wait;
    uint8_t small[IN_ROOM];
    uint8_t *in; /* @small or a block */
    size_t in_room, in_size;
    Quadhsm__Response *response;
    enum qh_err error;
    char text[TLSCLIENT_TEXT_ROOM];
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct connection *all;

static void link_in(struct connection *connection)
{
    QH_ASSERT(pthread_mutex_lock(&all_lock) == 0);
    connection->next = all;
    if (all != NULL) {
        all->previous = connection;
    }
    all = connection;
    QH_ASSERT(pthread_mutex_unlock(&all_lock) == 0);
}

static void link_out(struct connection *connection)
{
    QH_ASSERT(pthread_mutex_lock(&all_lock) == 0);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        all = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    QH_ASSERT(pthread_mutex_unlock(&all_lock) == 0);
}

static void drop_out(struct connection *connection)
{
    wire_free(connection->out, connection->out_size);
    connection->out = NULL;
    connection->out_size = 0;
}

static void drop_in(struct connection *connection)
{
    sodium_memzero(connection->in, connection->in_size);
    if (connection->in != connection->small) {
        free(connection->in);
    }
    connection->in = connection->small;
    connection->in_room = IN_ROOM;
    connection->in_size = 0;
}

static void release(struct connection *connection)
{
    drop_out(connection);
    drop_in(connection);
    if (connection->response != NULL) {
        wire_message_free(&connection->response->base);
    }
    SSL_free(connection->ssl);
    (void)close(connection->link.fd);
    free(connection);
}

static enum connection_state fail(struct connection *connection, enum qh_err error,
                                  const char *text)
{
    connection->state = CONNECTION_FAILED;
    connection->error = error;
    (void)snprintf(connection->text, sizeof connection->text, "%s", text);
    return CONNECTION_FAILED;
}

/* ---- opening ---- */

static void set_options(int fd)
{
    int on = 1, idle_s = 15, interval_s = 5, count = 3;
    unsigned user_timeout_ms = CONNECTION_USER_TIMEOUT_MS;

    /* Each only makes things better; none is needed. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/* From now on only those calls do not wait that say so. */
static void let_wait(struct connection *connection)
{
    struct timeval timeout = {.tv_usec = CONNECTION_WAIT_MS * 1000};
    int flags = fcntl(connection->link.fd, F_GETFL);

    connection->may_wait =
        flags >= 0 &&
        setsockopt(connection->link.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0 &&
        fcntl(connection->link.fd, F_SETFL, flags & ~O_NONBLOCK) == 0;
}

static QH_RESULT open_socket(const struct connection_target *target, int *ret_fd)
{
    int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return err_from_errno(errno) == QH_ENOMEM ? QH_ENOMEM : QH_ESYSTEM;
    }
    set_options(fd);
    if (target->source_size > 0 &&
        bind(fd, (const struct sockaddr *)&target->source, target->source_size) != 0) {
        (void)close(fd);
        return QH_ESYSTEM;
    }
    if (connect(fd, (const struct sockaddr *)&target->address, target->address_size) != 0 &&
        errno != EINPROGRESS && errno != EINTR) {
        (void)close(fd);
        return QH_ECONN;
    }
    *ret_fd = fd;
    return QH_OK;
}

QH_RESULT connection_open(const struct connection_target *target, struct connection **ret)
{
    struct connection *connection = calloc(1, sizeof *connection);
    enum qh_err err;

    if (connection == NULL) {
        return QH_ENOMEM;
    }
    err = open_socket(target, &connection->link.fd);
    if (err != QH_OK) {
        free(connection);
        return err;
    }
    gate_enter();
    err = tlsclient_session_new(target->context, &connection->link, &connection->ssl);
    gate_leave();
    if (err != QH_OK) {
        (void)close(connection->link.fd);
        free(connection);
        return err;
    }
    connection->state = CONNECTION_CONNECTING;
    connection->events = POLLOUT;
    connection->in = connection->small;
    connection->in_room = IN_ROOM;
    memcpy(connection->expected, target->node, sizeof connection->expected);
    link_in(connection);
    *ret = connection;
    return QH_OK;
}

void connection_close(struct connection *connection)
{
    if (connection == NULL) {
        return;
    }
    link_out(connection);
    gate_enter();
    if (connection->state == CONNECTION_IDLE) {
        (void)SSL_shutdown(connection->ssl);
        ERR_clear_error();
    }
    release(connection);
    gate_leave();
}

/* ---- steps ---- */

/* Old errors of this thread would be taken for this connection's. Emptying the queue takes longer
 * than looking at it. */
static void forget_errors(void)
{
    errno = 0;
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

/* What a call of OpenSSL that did not succeed means. True if it is a matter of waiting. */
static bool must_wait(struct connection *connection, int result)
{
    char text[TLSCLIENT_TEXT_ROOM];
    int code = SSL_get_error(connection->ssl, result);
    int errnum = errno;

    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
        connection->events = code == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return true;
    }
    if (code == SSL_ERROR_SYSCALL) {
        ERR_clear_error();
        (void)fail(connection, QH_ECONN,
                   errnum != 0 ? strerror(errnum) : "the connection was closed");
    } else if (code == SSL_ERROR_ZERO_RETURN ||
               ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        (void)fail(connection, QH_ECONN, "the connection was closed");
    } else {
        tlsclient_error_text(connection->ssl, text);
        (void)fail(connection, QH_ETLS, text);
    }
    return false;
}

static bool step_connect(struct connection *connection)
{
    struct pollfd fd = {.fd = connection->link.fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;

    if (poll(&fd, 1, 0) <= 0) {
        return false;
    }
    if (getsockopt(connection->link.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
    }
    if (error != 0) {
        (void)fail(connection, QH_ECONN, strerror(error));
        return false;
    }
    connection->state = CONNECTION_HANDSHAKE;
    return true;
}

static bool check_node(struct connection *connection)
{
    char text[TLSCLIENT_TEXT_ROOM];
    enum qh_err err = tlsclient_check(connection->ssl, connection->node);

    if (err != QH_OK) {
        (void)fail(connection, err,
                   err == QH_ETLS ? "the other side speaks another protocol"
                                  : "the certificate is not a node's");
        return false;
    }
    if (connection->expected[0] != '\0' && strcmp(connection->expected, connection->node) != 0) {
        (void)snprintf(text, sizeof text, "node \"%s\" answers instead of \"%s\"", connection->node,
                       connection->expected);
        (void)fail(connection, QH_EPEER, text);
        return false;
    }
    return true;
}

static bool step_handshake(struct connection *connection)
{
    int result;

    forget_errors();
    result = SSL_do_handshake(connection->ssl);
    if (result != 1) {
        (void)must_wait(connection, result);
        return false;
    }
    if (!check_node(connection)) {
        return false;
    }
    let_wait(connection);
    connection->state = connection->out != NULL ? CONNECTION_SENDING : CONNECTION_IDLE;
    connection->events = POLLIN;
    return connection->state == CONNECTION_SENDING;
}

/* A node that refuses our certificate says so after the handshake, as we see it, and hangs up. If
 * that is noticed by a write that fails, the reason is still there to be read. */
static void explain_hang_up(struct connection *connection)
{
    char byte;
    int result;

    forget_errors();
    result = SSL_peek(connection->ssl, &byte, 1);
    if (result <= 0) {
        (void)must_wait(connection,
                        result); /* it has failed already: there is nothing to wait for */
    }
}

static bool step_send(struct connection *connection)
{
    int result;

    forget_errors();
    connection->sent = true;
    result = SSL_write(connection->ssl, connection->out, (int)connection->out_size);
    if (result <= 0) {
        if (!must_wait(connection, result)) {
            explain_hang_up(connection);
        }
        return false;
    }
    drop_out(connection);
    connection->state = CONNECTION_RECEIVING;
    connection->events = POLLIN;
    return false; /* the answer is not there yet, and whoever polls will see it come */
}

/* All of a frame is there. */
static bool accept_response(struct connection *connection, size_t size)
{
    ProtobufCMessage *message;
    Quadhsm__Response *response;
    enum qh_err err = wire_unpack_whole(
        &quadhsm__response__descriptor,
        (struct bytes){.base = connection->in + FRAME_HEADER_SIZE, .size = size}, &message);

    drop_in(connection);
    if (err != QH_OK) {
        (void)fail(connection, err, "the response cannot be read");
        return false;
    }
    response = (Quadhsm__Response *)message;
    if (response->id != connection->id) {
        wire_message_free(message);
        (void)fail(connection, QH_EMALFORMED, "a response to another request");
        return false;
    }
    connection->proven = true;
    if (response->progress) {
        wire_message_free(message);
        return true;
    }
    connection->response = response;
    connection->state = CONNECTION_ANSWERED;
    return false;
}

/* The header is there: is the rest, and is there room for it? False after a failure. */
static bool size_frame(struct connection *connection, size_t *ret_size)
{
    uint8_t *block;

    if (wire_header_read(connection->in, WIRE_FRAME_SIZE_MAX, ret_size) != QH_OK) {
        (void)fail(connection, QH_EMALFORMED, "a frame of an impossible size");
        return false;
    }
    if (FRAME_HEADER_SIZE + *ret_size <= connection->in_room) {
        return true;
    }
    block = malloc(FRAME_HEADER_SIZE + *ret_size);
    if (block == NULL) {
        (void)fail(connection, QH_ENOMEM, "no memory for the response");
        return false;
    }
    memcpy(block, connection->in, connection->in_size);
    sodium_memzero(connection->in, connection->in_size);
    connection->in = block;
    connection->in_room = FRAME_HEADER_SIZE + *ret_size;
    return true;
}

static bool step_receive(struct connection *connection)
{
    size_t size = 0, wanted = connection->in_room;
    int result;

    if (connection->in_size >= FRAME_HEADER_SIZE) {
        if (!size_frame(connection, &size)) {
            return false;
        }
        wanted = FRAME_HEADER_SIZE + size;
        if (connection->in_size == wanted) {
            return accept_response(connection, size);
        }
        if (connection->in_size > wanted) {
            (void)fail(connection, QH_EMALFORMED, "more than one response");
            return false;
        }
    }
    forget_errors();
    result = SSL_read(connection->ssl, connection->in + connection->in_size,
                      (int)(wanted - connection->in_size));
    if (result <= 0) {
        (void)must_wait(connection, result);
        return false;
    }
    connection->in_size += (size_t)result;
    return true;
}

/* True if the next step may be possible at once. */
static bool step(struct connection *connection)
{
    switch (connection->state) {
    case CONNECTION_CONNECTING:
        return step_connect(connection);
    case CONNECTION_HANDSHAKE:
        return step_handshake(connection);
    case CONNECTION_SENDING:
        return step_send(connection);
    case CONNECTION_RECEIVING:
        return step_receive(connection);
    case CONNECTION_IDLE:
    case CONNECTION_ANSWERED:
    case CONNECTION_FAILED:
        break;
    }
    return false;
}

enum connection_state connection_step(struct connection *connection)
{
    gate_enter();
    while (step(connection)) {
    }
    gate_leave();
    return connection->state;
}

bool connection_may_wait(const struct connection *connection)
{
    return connection->may_wait && connection->state == CONNECTION_RECEIVING &&
           connection->events == POLLIN;
}

bool connection_wait(struct connection *connection)
{
    return tlsclient_link_wait(&connection->link);
}

/* ---- the rest ---- */

void connection_submit(struct connection *connection, uint8_t *frame, size_t size, uint64_t id)
{
    QH_ASSERT(connection->out == NULL);
    QH_ASSERT(connection->state <= CONNECTION_IDLE);
    connection->out = frame;
    connection->out_size = size;
    connection->id = id;
    connection->sent = false;
    if (connection->state == CONNECTION_IDLE) {
        connection->state = CONNECTION_SENDING;
        connection->events = POLLOUT;
    }
}

Quadhsm__Response *connection_take(struct connection *connection)
{
    Quadhsm__Response *response = connection->response;

    QH_ASSERT(connection->state == CONNECTION_ANSWERED);
    connection->response = NULL;
    connection->state = CONNECTION_IDLE;
    connection->events = POLLIN;
    return response;
}

bool connection_usable(struct connection *connection)
{
    struct pollfd fd = {.fd = connection->link.fd, .events = POLLIN};
    char byte;
    int result;

    if (connection->state != CONNECTION_IDLE) {
        return false;
    }
    if (connection->link.size == 0 && poll(&fd, 1, 0) == 0) {
        return true;
    }
    /* Nobody asked for anything, so it is a farewell, or a message of TLS itself. */
    gate_enter();
    forget_errors();
    result = SSL_peek(connection->ssl, &byte, 1);
    if (result > 0) {
        (void)fail(connection, QH_EMALFORMED, "a response without a request");
    } else {
        (void)must_wait(connection, result);
    }
    gate_leave();
    return connection->state == CONNECTION_IDLE;
}

enum connection_state connection_state(const struct connection *connection)
{
    return connection->state;
}

int connection_fd(const struct connection *connection)
{
    return connection->link.fd;
}

short connection_events(const struct connection *connection)
{
    return connection->events;
}

enum qh_err connection_error(const struct connection *connection)
{
    return connection->error;
}

const char *connection_error_text(const struct connection *connection)
{
    return connection->text;
}

bool connection_sent(const struct connection *connection)
{
    return connection->sent;
}

const char *connection_node(const struct connection *connection)
{
    return connection->node;
}

bool connection_proven(const struct connection *connection)
{
    return connection->proven;
}

void connection_lock_all(void)
{
    QH_ASSERT(pthread_mutex_lock(&all_lock) == 0);
}

void connection_unlock_all(void)
{
    QH_ASSERT(pthread_mutex_unlock(&all_lock) == 0);
}

void connection_abandon_all(void)
{
    static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;
    struct connection *connection = all;

    all_lock = fresh;
    all = NULL;
    while (connection != NULL) {
        struct connection *next = connection->next;

        release(connection); /* SSL_free() sends nothing */
        connection = next;
    }
}
