/* A connection of the client port, from accept to close.
 *
 *   HANDSHAKE --> OPEN --> ENDING --> CLOSED
 *       |           |        |          ^
 *       +-----------+--------+----------+
 *
 * OPEN: frames are read, and answered in any order. It is paused, which means not read further,
 * while too much of it is under way or waits to be written. ENDING: nothing more is taken; last
 * words are written, then input is thrown away until the other side closes too, for a
 * socket that is closed with input unread takes its last words back. CLOSED: it is out of all
 * lists; its memory goes when its handle is closed and its last request answered.
 *
 * Thread: that of its service. */
#ifndef QH_NODE_CONN_H
#define QH_NODE_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "node/service_private.h"
#include "node/tls_server.h"

#define CONN_IN_FLIGHT_SIZE_MAX (8u << 20) /* bytes of requests under way; then it is paused */
#define CONN_OUT_PAUSE_SIZE (1u << 20)     /* bytes not written; then it is paused */
#define CONN_OUT_SIZE_MAX (64u << 20)      /* bytes not written; then it is given up */
#define CONN_FRAME_SIZE_UNKNOWN 65536u     /* bytes of a frame, before a client is known */
#define CONN_IDLE_MS 900000u               /* without any request */
#define CONN_STALL_MS 30000u               /* without any progress in writing */
#define CONN_JOIN_MS 60000u                /* a join, from beginning to end */
#define CONN_LINGER_MS 1000u               /* ENDING, once all is written */
#define CONN_KEY_RECORDS (1u << 22)        /* written under one key (RFC 8446, 5.5) */

struct conn;

extern const struct tls_server_hooks conn_hooks;

/* Takes @fd; counts as one of services->connections, which the caller has added.
 * @address: for the log. */
void conn_begin(struct service *service, int fd, const char *address);

/* Any thread, as long as a request of it is under way. */
struct service *conn_service(const struct conn *conn);

/* A request that was answered: its answer is put with what is to be written. Frees it. */
void conn_answered(struct request *request);

/* Write what the connections of service->dirty have. At the end of each callback. */
void conn_flush_all(struct service *service);

/* Let those of service->resume go on. */
void conn_resume_all(struct service *service);

/* Time passes for all connections. */
void conn_tick_all(struct service *service, uint64_t now_ms);

/* Nothing more is taken from any; closed when answered, or at once. */
void conn_drain_all(struct service *service);
void conn_close_all(struct service *service);

#endif
