/* What the files of the replica share, and nobody else: replica.c starts and stops it,
 * replica_log.c connects propose, guard and libraft, replica_net.c the peers,
 * replica_members.c changes the membership. */
#ifndef QH_GLUE_REPLICA_PRIVATE_H
#define QH_GLUE_REPLICA_PRIVATE_H

#include <raft.h>
#include <uv.h>

#include "raft-glue/failover.h"
#include "raft-glue/fsm.h"
#include "raft-glue/guard.h"
#include "raft-glue/identity.h"
#include "raft-glue/link.h"
#include "raft-glue/replica.h"

#define REPLICA_TICK_MS 20u /* proposals, membership, peers */
#define REPLICA_SPACE_CHECK_MS 1000u
#define REPLICA_PAUSE_BYTES (32u << 20)  /* unwritten log at which reading from peers stops */
#define REPLICA_RESUME_BYTES (16u << 20) /* and at which it goes on */

/* A membership change or a transfer under way; one at a time.
 *
 *   IDLE -> ADDING -> PROMOTING -> IDLE      (replica_add)
 *   IDLE -> REMOVING -> IDLE                 (replica_remove)
 *   IDLE -> TRANSFERRING -> IDLE             (replica_transfer)
 *
 * Each step is submitted when members_may_change() allows it, and again when it failed for
 * a passing reason, until the deadline. */
enum change_state {
    CHANGE_IDLE,
    CHANGE_ADDING,
    CHANGE_PROMOTING,
    CHANGE_REMOVING,
    CHANGE_TRANSFERRING
};

#define CHANGE_DEADLINE_MS 60000u

struct change_request;

struct change {
    enum change_state state;
    uint64_t id;
    char name[NODE_NAME_LENGTH_MAX + 1];
    uint64_t deadline_ms;
    struct change_request *request; /* submitted to libraft and not answered, or NULL */
    replica_changed_cb cb;
    void *data;
};

struct replica {
    uv_loop_t *loop;
    char *dir;
    struct replica_node self;
    struct replica_node nodes[NODES_MAX];
    unsigned node_count;
    struct replica_timing timing;
    struct replica_callbacks callbacks;
    struct identity identity;
    int lock_fd;

    struct raft raft;
    struct guard guard;
    struct link link;
    struct fsm fsm;
    struct failover failover;
    struct propose *propose;
    struct transport *transport;

    uv_timer_t tick;     /* every REPLICA_TICK_MS */
    uv_timer_t campaign; /* at failover_due() */
    uv_idle_t deliver;   /* started while results wait */
    uint64_t space_check_ms;
    bool space_low;
    bool paused;

    raft_index peers_index; /* of the configuration that the transport knows */
    unsigned peers_count;
    uint64_t peers[NODES_MAX];
    struct change change;

    bool stopping;
    uint64_t stop_deadline_ms;
    void (*stopped)(void *data);
    void *stopped_data;
};

/* replica_log.c */
QH_RESULT replica_log_init(struct replica *replica);
void replica_log_changed(void *data); /* struct guard_callbacks */
void replica_log_written(void *data);
void replica_log_fatal(void *data, const char *why);
void replica_log_tick(struct replica *replica, uint64_t now_ms);
struct fsm_callbacks replica_log_fsm_callbacks(struct replica *replica);

/* replica_net.c */
struct transport_callbacks replica_net_callbacks(struct replica *replica);
void replica_net_sync_peers(struct replica *replica);
const struct replica_node *replica_net_find_node(const struct replica *replica, const char *name);
const struct raft_server *replica_net_find_server(const struct replica *replica, uint64_t id);
bool replica_net_is_witness(void *data, const struct raft_server *server);
bool replica_net_is_present(void *data, raft_id server);
enum qh_err replica_net_forward(void *data, uint64_t leader, struct bytes transaction);
void replica_net_reject(void *data, uint64_t peer, const uint8_t id[ONCE_ID_SIZE]);
void replica_net_arm_campaign(struct replica *replica);

/* replica_members.c */
void replica_members_tick(struct replica *replica, uint64_t now_ms);

#endif
