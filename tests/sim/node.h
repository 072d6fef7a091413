/* A simulated server: a disk that lasts and a process that does not. The process runs the
 * real libraft, guard, FSM, propose and fail-over. */
#ifndef QH_SIM_NODE_H
#define QH_SIM_NODE_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "raft-glue/failover.h"
#include "raft-glue/fsm.h"
#include "raft-glue/guard.h"
#include "raft-glue/propose.h"
#include "tests/sim/arena.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

enum node_state { NODE_DOWN, NODE_UP, NODE_DEAD };

struct node_process {
    struct arena arena;
    struct raft raft;
    struct raft_io io; /* the guard's inner one */
    struct guard guard;
    struct fsm fsm;
    struct propose *propose;
    struct failover failover;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    unsigned tick_ms;
    uint64_t position; /* transactions in the store: where in the history it is */
    raft_term led;     /* last term that it was seen to lead */
    bool leading;
    bool started;
    bool deliver_due;
    uint64_t failover_at; /* the tick that is planned, 0: none */
    unsigned applies;     /* raft_apply calls without callback yet */
};

struct node {
    raft_id id; /* from 1 */
    enum node_state state;
    unsigned life; /* raised when a process ends */
    struct disk disk;
    struct node_process *process; /* NODE_UP only */
};

void node_setup(void);

/* NULL if there is none. */
struct node *node_of_id(raft_id id);
/* Static storage. */
const char *node_name(raft_id id);

/* From now on @node's process runs; NULL: nobody's. */
void node_enter(struct node *node);
/* After each event of the running process. */
void node_settle(struct node *node);

/* The process is gone: account for it and plan the restart. Not from inside of it. */
void node_bury(struct node *node, const char *why, bool fatal);
/* Kill from outside, at a moment between two events; the reboot comes after @down_ms. */
void node_crash(struct node *node, const char *why, uint64_t down_ms);
/* For ever. */
void node_kill(struct node *node);
void node_restart_now(struct node *node);

/* A place where sudden death may strike the running process. */
void node_maybe_die(struct node *node);

bool node_leads(const struct node *node);        /* as raft_state() has it */
bool node_leader_ready(const struct node *node); /* and it may serve */

void node_peer_up(struct node *node, raft_id peer);
void node_peer_gone(struct node *node, raft_id peer);

#endif
