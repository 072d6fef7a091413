/* Measures the nodes, learns of new ones, and keeps connections to the next best ones warm: in a
 * thread of its own, or, if threads are forbidden or cannot be made, in calls. On the way it renews
 * the tickets of logins (token.h).
 *
 * Whoever does the work owns the probes; the handle's lock says who that is. */
#ifndef QH_CLIENT_PROBE_H
#define QH_CLIENT_PROBE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/endpoints.h"

#define PROBE_CONNECT_MS 2000u /* TCP and TLS */
#define PROBE_FIRST_MS 1000u   /* how long a first call waits for a node that is ready */
#define PROBE_SETTLE_MS 100u   /* then one outside the preferred region will do */
#define PROBE_IN_CALL_MS 50u   /* how long later calls wait, when there is no thread */
#define PROBE_WARM_NODES 3u    /* the best ones */
#define PROBE_WARM_MAX 8u      /* connections to each */
#define PROBES_MAX (ENDPOINTS_MAX + PROBE_WARM_NODES * PROBE_WARM_MAX)

struct quadhsm;

enum probe_stage {
    PROBE_REST,    /* connected or not, nothing is under way */
    PROBE_CONNECT, /* to be followed by a ping */
    PROBE_PING,
    PROBE_LIST,  /* asked for the list of nodes */
    PROBE_RENEW, /* sent a ticket to be renewed */
    PROBE_WARM   /* a connection that calls will use */
};

struct probe {
    enum probe_stage stage;
    bool warm;
    struct endpoint *endpoint; /* counted */
    struct connection *connection;
    uint64_t begun_ms;
    uint64_t sent_ns;
    uint64_t deadline_ms;
    uint64_t generation; /* of the Pong that made it ask for the list */
    uint64_t login;      /* whose ticket is renewed */
};

struct prober {
    pthread_cond_t changed; /* a probe ended, or the work is free */
    pthread_t thread;
    bool running; /* the thread is there */
    bool stop;
    bool busy; /* a call does the work */
    int wake_fd;
    struct probe probes[PROBES_MAX];
    size_t count;
};

void prober_init(struct prober *prober);
/* Ends the thread and closes all probes. Without the lock. */
void prober_close(struct quadhsm *handle);
/* In a child: whatever the parent had is gone. No lock is needed. */
void prober_forget(struct prober *prober);

/* Before a call: start the thread, wait until there is something to choose from, or measure what is
 * due if there is no thread. Returns at @deadline_ms at the latest. With the lock, which is
 * released while it waits. */
void prober_prepare(struct quadhsm *handle, uint64_t deadline_ms);
/* Measure every node once more, and wait for it. Without the lock. */
void prober_measure(struct quadhsm *handle, uint64_t deadline_ms);
/* In a long call: measure what is due, in the thread, or for a moment here. With the lock, which is
 * released meanwhile. */
void prober_watch(struct quadhsm *handle);
/* Something is due now. */
void prober_wake(struct quadhsm *handle);

#endif
