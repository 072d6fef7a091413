/* The node: what its threads share. */
#ifndef QH_NODE_NODE_H
#define QH_NODE_NODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/node_config.h"
#include "node/view.h"

struct control;  /* control.h: replica, unlock, changes; the control thread */
struct services; /* service.h: listening sockets and connections */
struct workers;  /* workers.h */

struct node {
    const struct node_config *config; /* does not change */
    struct view *view;
    struct control *control;
    struct services *services; /* NULL on a witness and before init or join */
    struct workers *workers;
    _Atomic int readiness;           /* enum Quadhsm__Readiness */
    _Atomic uint64_t leader_seen_ms; /* clock_monotonic_ms() when a leader was last known */
    _Atomic bool has_leader;
    _Atomic uint64_t generation;
    uint64_t started_ms;
};

#endif
