/* What service.c (threads, listening) and conn.c (a connection) share, and nobody else.
 *
 * A service belongs to its thread, but for the list of posted requests, which has a mutex. */
#ifndef QH_NODE_SERVICE_PRIVATE_H
#define QH_NODE_SERVICE_PRIVATE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "node/service.h"

#define SERVICE_TICK_MS 500u
#define SERVICE_STOP_MS 2000u     /* to answer what is under way */
#define SERVICE_ACCEPT_MAX 16u    /* connections at a time, before those that are open get a turn */
#define SERVICE_LOG_LINES_MAX 20u /* about connections, in one tick */
#define SERVICE_PLAIN_SIZE 16384u /* bytes: one TLS record */

struct conn;

struct service {
    struct services *services;
    struct node *node;
    pthread_t thread;
    uv_loop_t loop;
    int listener;
    uv_poll_t listening;
    bool listening_paused; /* no more descriptors: until the next tick */
    uv_async_t async;
    uv_timer_t tick;
    uv_idle_t again;

    struct conn *conns;  /* all that are not closed */
    struct conn *dirty;  /* have something to write */
    struct conn *resume; /* can go on reading what is there already */
    unsigned conn_count; /* whose descriptors are not closed yet */
    unsigned in_flight;  /* requests, of connections that are gone too */
    unsigned log_lines;  /* written in this tick */
    uint64_t tidied_ms;
    uint64_t stop_ms; /* 0: not stopping */

    pthread_mutex_t mutex; /* of the three below */
    struct request *posted, **posted_tail;
    bool ended; /* the thread takes nothing any more */

    uint8_t plain[SERVICE_PLAIN_SIZE]; /* what SSL_read() gave last; wiped after use */
};

struct services {
    struct node *node;
    SSL_CTX *tls;
    unsigned connections_max;
    uint16_t port;
    _Atomic unsigned connections, joins;
    _Atomic bool stopping;
    unsigned count, started;
    struct service threads[];
};

/* The service of the calling thread; NULL elsewhere. */
struct service *service_mine(void);

/* May a line about a connection be logged? Strangers shall not fill the disk. */
bool service_may_log(struct service *service);

#endif
