/* A node of the replicated record store: disk, guard, libraft, transport, propose and
 * membership put together on one loop. Everything above uses this header alone.
 *
 * Thread: the loop's, but for the offline functions. */
#ifndef QH_GLUE_REPLICA_H
#define QH_GLUE_REPLICA_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/limits.h"
#include "raft-glue/propose.h"
#include "raft-glue/transport.h"
#include "store/store.h"

struct replica;

/* Time-outs for the distance between the nodes. */
enum replica_preset { REPLICA_REGION, REPLICA_CROSS_REGION };

struct replica_timing {
    unsigned election_ms;
    unsigned heartbeat_ms;
    unsigned install_ms; /* for a whole snapshot */
    unsigned grace_ms;   /* from a leader's death to the first election, and between candidates */
};
struct replica_timing replica_timing(enum replica_preset preset, bool witness);

enum replica_role { REPLICA_DATA, REPLICA_WITNESS };

/* A node as configured: where to find it, and whether it is a witness. */
struct replica_node {
    char name[NODE_NAME_LENGTH_MAX + 1];
    char host[256];
    uint16_t port;
    enum replica_role role;
};

struct replica_config {
    const char *dir;
    struct replica_node self;             /* host and port: where to listen */
    struct replica_node nodes[NODES_MAX]; /* every node, this one too: name to address */
    unsigned node_count;
    enum replica_preset preset;
    struct transport_tls tls;
    const char *source; /* numeric address that connections to peers come from; NULL: any */
};

struct replica_callbacks {
    void *data;
    void (*changed)(void *data); /* leader, role or readiness changed; may be NULL */
    /* A transaction was applied here, before any callback of replica_propose() for it. May be NULL.
     * It must not propose. @transaction is valid during the call. */
    void (*applied)(void *data, struct bytes transaction, const struct store_answer *answer);
    /* The whole store was replaced, at the start (before replica_start() returns) or because this
     * node was far behind. May be NULL. */
    void (*restored)(void *data);
};

/* Make the directory of a first or a joining node. Offline.
 * bootstrap: the log begins with exactly @members (ids of which were made by
 * replica_create() of each); identical on every one of them.
 * Errors: those of identity_create(); QH_EEXIST if there is a log. */
struct replica_member {
    uint64_t id;
    char name[NODE_NAME_LENGTH_MAX + 1];
};
QH_RESULT replica_create(const char *dir, const uint8_t cluster[16], const char *name,
                         uint64_t *ret_id);
QH_RESULT replica_bootstrap(const char *dir, const struct replica_member *members, unsigned count);

/* Force a new membership on a stopped survivor and raise its generation. The directory is
 * backed up to DIR/raft.before-recover-G first. Nodes left out rejoin under new ids.
 * Errors: QH_EINVAL (this node is not among @members), QH_EBUSY (running), QH_ECORRUPT, QH_EIO. */
QH_RESULT replica_recover(const char *dir, const struct replica_member *members, unsigned count,
                          uint64_t *ret_generation);

/* Check the directory, load the log and start.
 * Errors: those of datadir_check(), identity_load(), version_check(), transport_new() and
 *         transport_listen(); each logged with what to do.
 * A disk error later ends the process: exit status REPLICA_EXIT_FATAL. */
#define REPLICA_EXIT_FATAL 70
QH_RESULT replica_start(uv_loop_t *loop, const struct replica_config *config,
                        struct replica_callbacks callbacks, struct replica **ret_replica);

/* Hand over leadership if this node has it, then stop taking part. @stopped is called when the
 * process may exit. libraft's own close is not used (it is not safe in 0.15): memory is
 * left to the end of the process. */
void replica_stop(struct replica *replica, void (*stopped)(void *data), void *data);

/* See propose_submit(). */
QH_RESULT replica_propose(struct replica *replica, struct bytes transaction, unsigned timeout_ms,
                          propose_cb cb, void *data);

const struct store *replica_store(const struct replica *replica);

struct replica_peer_status {
    uint64_t id;
    char name[NODE_NAME_LENGTH_MAX + 1];
    bool voter;
    bool connected;       /* it has a connection to us */
    uint64_t match_index; /* leader only */
};
struct replica_status {
    uint64_t id, generation, term, leader;
    bool leading, ready; /* ready: leading and the barrier applied */
    uint64_t last_index, commit_index, applied_index, revision;
    uint64_t record_count, data_size; /* of the store; size in bytes */
    uint64_t snapshots;               /* begun since the start */
    bool snapshotting;                /* one is being encoded or written */
    unsigned peer_count;
    struct replica_peer_status peers[NODES_MAX];
};
void replica_status(const struct replica *replica, struct replica_status *ret_status);

/* Membership, on the leader. One at a time; @cb is called once, later.
 * Errors: QH_ENOTLEADER, QH_EBUSY, QH_EINVAL, QH_EEXIST, QH_ENOTFOUND, QH_ELIMIT;
 * @cb also with QH_EREFUSED. */
typedef void (*replica_changed_cb)(void *data, enum qh_err status);
QH_RESULT replica_add(struct replica *replica, uint64_t id, const char *name, replica_changed_cb cb,
                      void *data); /* as a voter, caught up first */
QH_RESULT replica_remove(struct replica *replica, uint64_t id, replica_changed_cb cb, void *data);
QH_RESULT replica_transfer(struct replica *replica, uint64_t id, replica_changed_cb cb, void *data);

/* A node's address changed, or a new node's is known. */
QH_RESULT replica_set_address(struct replica *replica, const struct replica_node *node);

#endif
