/* A request on its way through the node.
 *
 *   RECEIVED --> AUTHORIZED --> [WAITING for a revision] --> RUNNING --> ANSWERED
 *       |            |                   |                      |           ^
 *       +------------+-------------------+----------------------+-----------+
 *
 * It belongs to the thread that runs it now: the service thread of its connection, a worker, or the
 * control thread; request_run_on() hands it over. request_answer() ends it, from any of them, and
 * the service thread sends what is in @response. A request whose connection is gone runs to its end
 * and is dropped then. */
#ifndef QH_NODE_REQUEST_H
#define QH_NODE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "hsm/ticket.h"
#include "quadhsm.pb-c.h"

struct node;
struct conn;

enum request_place {
    REQUEST_SERVICE, /* the connection's own thread */
    REQUEST_WORKER,  /* RSA private keys */
    REQUEST_SLOW,    /* key generation, Argon2id */
    REQUEST_CONTROL  /* the control thread: changes, cluster */
};

/* Who asks. */
enum request_origin {
    REQUEST_FROM_CLIENT, /* enrolled certificate, mutual TLS */
    REQUEST_FROM_JOINER, /* TLS without a certificate: Join alone */
    REQUEST_FROM_CONTROL /* the node's Unix socket: Ping, ClusterStatus and Node* alone */
};

struct request {
    struct node *node;
    struct conn *conn; /* not to be touched outside the service thread */
    enum request_origin origin;
    Quadhsm__Request *message;
    Quadhsm__Response *response; /* wire_allocator's; handlers fill it */
    uint64_t deadline_ms;        /* clock_monotonic_ms() */

    /* Set by authorization. */
    uint8_t fingerprint[FINGERPRINT_SIZE];
    uint8_t client[CLIENT_ID_SIZE];
    char client_name[CLIENT_NAME_LENGTH_MAX + 1];
    bool admin;
    struct ticket ticket; /* role HSM_ROLE_NONE: none was given */
    uint8_t exporter[32]; /* REQUEST_FROM_JOINER: TLS exporter "EXPORTER-quadhsm-join" */

    /* What is run at the place that it was handed to. */
    void (*run)(struct request *request);
    /* A handler's own, with its release; called before the request is freed. */
    void *state;
    void (*state_free)(void *state);
    struct change *change; /* change.c's, while a change is under way */
    struct request *next; /* in the queue of a place */
};

/* Hand over: @run is called there, later. If the place's queue is full the request is answered with
 * QH_EBUSY. */
void request_run_on(struct request *request, enum request_place place,
                    void (*run)(struct request *request));

/* End it. @err QH_OK sends response as filled; else only error and detail. @detail: what the user
 * can do, or NULL; copied. Exactly once. */
void request_answer(struct request *request, enum qh_err err, const char *detail);

/* A line for who waits at the control socket; not an end. Control thread. */
void request_progress(struct request *request, const char *what);

#endif
