/* The control thread: one loop for Raft, store, view, peers, membership, unlock and the control
 * socket. Nothing slow runs here.
 *
 *   STARTING --> UNINITIALIZED --init/join--> REPLICATING
 *       |                                       | has the cluster key
 *       +-------------------> LOCKED <----------+----> READY --> STOPPING
 */
#ifndef QH_NODE_CONTROL_H
#define QH_NODE_CONTROL_H

#include <uv.h>

#include "node/node.h"
#include "node/request.h"
#include "raft-glue/replica.h"

/* Errors: those of replica_start(), QH_ECONFIG, QH_EIO ...; each logged with what to do. */
QH_RESULT control_start(struct node *node, uv_loop_t *loop);
/* Drain: refuse new requests, hand over leadership, then call @stopped. Control thread. */
void control_stop(struct control *control, void (*stopped)(void *data), void *data);

/* Queue of request_run_on(REQUEST_CONTROL). Any thread. */
bool control_post(struct control *control, struct request *request);

/* Call request->run on its service thread when the view has reached @revision, or when all that
 * was committed when this was called is in the view (@linearizable). At the deadline it is answered
 * with QH_ESTALE, or QH_ENOQUORUM. Any thread that owns the request. */
void control_wait(struct request *request, uint64_t revision, bool linearizable,
                  void (*run)(struct request *request));

/* Control thread only. NULL before init or join. */
struct replica *control_replica(struct control *control);

#endif
