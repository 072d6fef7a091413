/* One TLS connection to one node: one request, one response at a time. It never waits by itself;
 * whoever drives it polls connection_fd() for connection_events() and calls connection_step().
 *
 *   CONNECTING --> HANDSHAKE --> IDLE --> SENDING --> RECEIVING --> ANSWERED
 *       |              |           ^ submit  |            |            | take
 *       |              |           +---------|------------|------------+
 *       +--------------+---------------------+------------+--> FAILED
 *
 * A request may be submitted before the handshake is done; it goes out then.
 *
 * Who drives one alone, and has the time, may wait in connection_wait() instead of poll(): a call
 * of the system less.
 *
 * Thread: one at a time; different connections are independent. */
#ifndef QH_CLIENT_CONNECTION_H
#define QH_CLIENT_CONNECTION_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/limits.h"
#include "client/tlsclient.h"
#include "proto/quadhsm.pb-c.h"

/* How long what was sent may stay without an acknowledgement of the other host. */
#define CONNECTION_USER_TIMEOUT_MS 5000

/* How long connection_wait() waits, about. */
#define CONNECTION_WAIT_MS 10

struct connection;

enum connection_state {
    CONNECTION_CONNECTING,
    CONNECTION_HANDSHAKE,
    CONNECTION_IDLE,
    CONNECTION_SENDING,
    CONNECTION_RECEIVING,
    CONNECTION_ANSWERED,
    CONNECTION_FAILED
};

struct connection_target {
    SSL_CTX *context;
    struct sockaddr_storage address;
    socklen_t address_size;
    struct sockaddr_storage source;      /* where it comes from */
    socklen_t source_size;               /* 0: the kernel's choice */
    char node[NODE_NAME_LENGTH_MAX + 1]; /* who must answer there; "": any node */
};

/* Begin to connect. What fails later fails in connection_step().
 * Errors: QH_ECONN, QH_ESYSTEM, QH_ENOMEM. Owns: connection_close(). */
QH_RESULT connection_open(const struct connection_target *target, struct connection **ret);
/* NULL is allowed. Says goodbye if that is possible at once. */
void connection_close(struct connection *connection);

/* Send @frame (of wire_pack(), owned from now on, wiped when sent) and await the response with
 * @id. In CONNECTING, HANDSHAKE and IDLE. */
void connection_submit(struct connection *connection, uint8_t *frame, size_t size, uint64_t id);

/* Go as far as possible without waiting. A call that sends does not receive, so that ANSWERED is
 * reached only after connection_events() were seen. */
enum connection_state connection_step(struct connection *connection);
enum connection_state connection_state(const struct connection *connection);
int connection_fd(const struct connection *connection);
short connection_events(const struct connection *connection);

/* May connection_wait() be called now? */
bool connection_may_wait(const struct connection *connection);
/* Wait for an answer to begin. False: nothing has come in CONNECTION_WAIT_MS. */
bool connection_wait(struct connection *connection);

/* In ANSWERED; it is IDLE then. Owns: wire_message_free(). */
Quadhsm__Response *connection_take(struct connection *connection);

/* In IDLE: the other side has not closed it. */
bool connection_usable(struct connection *connection);

/* In FAILED: why. QH_ECONN, QH_ETLS, QH_EPEER, QH_EMALFORMED, QH_ENOMEM. */
enum qh_err connection_error(const struct connection *connection);
const char *connection_error_text(const struct connection *connection);
/* The node may have seen the request that was submitted last. */
bool connection_sent(const struct connection *connection);
/* The name in its certificate, "" before the handshake is done. */
const char *connection_node(const struct connection *connection);
/* It has answered something already: a failure now is news about the node. */
bool connection_proven(const struct connection *connection);

/* For fork(). Around it: nobody opens or closes. In the child: all connections are closed without a
 * word to the nodes, which go on talking to the parent; whoever held them no longer exists. */
void connection_lock_all(void);
void connection_unlock_all(void);
void connection_abandon_all(void);

#endif
