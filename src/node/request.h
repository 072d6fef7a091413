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
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "hsm/ticket.h"
#include "proto/quadhsm.pb-c.h"

struct node;
struct conn;
struct dispatch_cache;

enum request_place {
    REQUEST_SERVICE, /* the connection's own thread */
    REQUEST_WORKER,  /* RSA private keys */
    REQUEST_SLOW,    /* Argon2id */
    REQUEST_PRIMES,  /* RSA key generation */
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
    struct ticket ticket;         /* role HSM_ROLE_NONE: none was given */
    struct dispatch_cache *cache; /* the connection's: service thread only; NULL without one */
    uint8_t exporter[32];         /* REQUEST_FROM_JOINER: TLS exporter "EXPORTER-quadhsm-join" */

    /* What is run at the place that it was handed to. */
    void (*run)(struct request *request);
    /* A handler's own, with its release; called before the request is freed. */
    void *state;
    void (*state_free)(void *state);
    struct change *change; /* change.c's, while a change is under way */
    struct request *next;  /* in the queue of a place */

    /* Where the answer goes: set by whoever made the request, called once by request_answer() on
     * the thread that answers. The request is @deliver's from then on: request_free(). */
    void (*deliver)(struct request *request);
    void (*progress)(struct request *request, const char *what); /* NULL: nobody waits for it */
    void *receiver;                                              /* deliver's and progress's own */
    bool answered;
    size_t size; /* of the frame that it came in, in bytes */
};

/* A request with an empty response and the deadline that @message asks for. The maker sets
 * deliver, and calls dispatch_begin() (dispatch.h).
 * Errors: NULL without memory; @message is then still the caller's.
 * Owns:   takes @message (of wire_allocator). */
struct request *request_new(struct node *node, enum request_origin origin,
                            Quadhsm__Request *message);
/* For deliver alone, and for a request that was never begun. */
void request_free(struct request *request);

/* Hand over: @run is called there, later. If the place's queue is full the request is answered with
 * QH_EBUSY. */
void request_run_on(struct request *request, enum request_place place,
                    void (*run)(struct request *request));

/* Around work that is slow by nature: its deadline is further off by what the client gives for it.
 * Afterwards there is as much time as without it, and no more: a majority that is not there is not
 * waited for any longer. */
void request_begin_work(struct request *request);
void request_end_work(struct request *request);

/* End it. @err QH_OK sends response as filled; else only error and detail. @detail: what the user
 * can do, or NULL; copied. Exactly once. */
void request_answer(struct request *request, enum qh_err err, const char *detail);

/* Make the answer bytes, with room for @room of them; their maker sets how many there are.
 * Errors: QH_ENOMEM. */
QH_RESULT request_output(struct request *request, size_t room, Quadhsm__Output **ret_output);

/* A line for who waits at the control socket; not an end. Control thread. */
void request_progress(struct request *request, const char *what);

#endif
