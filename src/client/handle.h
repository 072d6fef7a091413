/* What a handle holds, for the library's own files.
 *
 * @lock guards everything that is not said to be otherwise. It is never held while waiting, for the
 * network or for a name server; inside it only connection.c's locks are taken. Endpoints are
 * counted, so that a call may use one that has left the set. */
#ifndef QH_CLIENT_HANDLE_H
#define QH_CLIENT_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "client/call.h"
#include "client/choice.h"
#include "client/connection.h"
#include "client/endpoints.h"
#include "client/error.h"
#include "client/hedge.h"
#include "client/probe.h"

struct quadhsm {
    struct quadhsm *next, *previous; /* of all handles of the process */
    pthread_mutex_t lock;
    struct client_config *config;   /* never changes */
    SSL_CTX *context;               /* never changes */
    struct endpoint_address source; /* size 0: none; never changes */
    struct endpoints endpoints;
    struct endpoint *current; /* where calls go; counted; NULL: nowhere yet */
    struct hedge hedge;
    size_t turn;
    unsigned calls;      /* under way */
    unsigned calls_peak; /* the most at once, lately */
    uint64_t last_call_ms;
    struct prober prober;
    struct quadhsm_token *tokens; /* all that are open */
    bool threads_forbidden;
    atomic_uint level;
    atomic_uint timeout_ms;
    atomic_uint_least64_t revision; /* the highest seen */
    atomic_uint_least64_t next_id;
};

/* For tests and the command: with a configuration made by the caller, owned on success.
 * Errors: QH_ETLS, QH_ECONFIG, QH_ENOMEM, QH_ESYSTEM; with a detail. */
QH_RESULT client_open_config(struct client_config *config, struct quadhsm **ret_handle);

void handle_lock(struct quadhsm *handle);
void handle_unlock(struct quadhsm *handle);

/* At the beginning of each call: a process that was forked lets go of its parent's connections. */
void handle_enter(struct quadhsm *handle);

/* The highest revision that any answer told of. */
void handle_saw_revision(struct quadhsm *handle, uint64_t revision);

/* Begin to connect to @endpoint. @ask: name servers may be asked. Without the lock.
 * Errors: those of connection_open(), QH_ENOTFOUND (no address). */
QH_RESULT handle_connect(struct quadhsm *handle, struct endpoint *endpoint, bool ask,
                         struct connection **ret);

/* @endpoint failed: nobody goes there before it was probed; its idle connections are closed, which
 * is why the lock must not be held. */
void handle_endpoint_failed(struct quadhsm *handle, struct endpoint *endpoint);

/* As choice.h wants them, one for each endpoint of the set, in order. With the lock. */
void handle_candidates(const struct quadhsm *handle, bool change,
                       struct choice_candidate ret_candidates[ENDPOINTS_MAX]);

#endif
