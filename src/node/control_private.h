/* What the files of the control thread share, and nobody else: control.c plumbing and start,
 * control_wait.c waits for revisions, control_members.c other nodes, control_socket.c the Unix
 * socket, boot.c what init and join leave on the disk.
 *
 * Everything belongs to the control thread but the queue of posted requests. */
#ifndef QH_NODE_CONTROL_PRIVATE_H
#define QH_NODE_CONTROL_PRIVATE_H

#include <pthread.h>

#include "base/secret.h"
#include "node/control.h"
#include "node/sweep.h"

#define CONTROL_TICK_MS 20u
#define CONTROL_POSTED_MAX 16384u /* requests waiting for the control thread */
#define CONTROL_WAITING_MAX 8192u /* requests waiting for a revision */

/*    UNINITIALIZED --> STARTED --> STOPPING */
enum control_state { CONTROL_UNINITIALIZED, CONTROL_STARTED, CONTROL_STOPPING };

struct control_wait { /* a request that waits for a revision */
    struct control_wait *next;
    struct request *request;
    uint64_t revision; /* UINT64_MAX: not known before the barrier is through */
    uint64_t barrier;  /* number of the barrier it needs; 0: none */
    void (*run)(struct request *request);
};

struct control_socket;

struct control {
    struct node *node;
    uv_loop_t *loop;
    enum control_state state;
    struct replica *replica; /* NULL before init or join */
    struct secret *cmk;      /* NULL: locked, or a witness */
    struct keyring *keyring;
    uint8_t cluster[16];
    void *booting; /* state of the init, join or unlock that is under way */
    bool founding; /* init: the first records are not in the store yet */

    uv_async_t async;
    uv_timer_t tick;
    pthread_mutex_t mutex; /* of the three below */
    struct request *posted, **posted_tail;
    unsigned posted_count;

    struct control_wait *waits;
    unsigned wait_count;
    uint64_t barrier_wanted, barrier_running, barrier_done; /* numbers */

    struct change *parked; /* change.c's: the same request is under way already */

    uint64_t nodes_revision; /* of the directory that the replica and the disk know */
    bool adding;             /* a membership change of ours is under way */

    struct sweep sweep;      /* of the objects of deleted partitions */
    struct request *joining; /* NodeJoin that waits to become a voter */
    struct control_socket *socket;
    void (*stopped)(void *data);
    void *stopped_data;
};

/* control.c */
/* Start replica, view and services; the directory is complete. Errors: logged. */
QH_RESULT control_open(struct control *control);
/* The cluster key is known: load the view. Takes @cmk on success. */
QH_RESULT control_unlock(struct control *control, struct secret *cmk);

/* change.c: look at those that are parked; when the node stops they are answered. */
void change_tick(struct control *control, uint64_t now_ms);

/* control_wait.c */
/* Let those go on whose revision has come, or whose time is over. */
void control_wait_check(struct control *control, uint64_t now_ms);
/* The same, and a barrier if one is wanted. */
void control_wait_tick(struct control *control, uint64_t now_ms);
void control_wait_cancel(struct control *control);

/* control_members.c */
void control_members_changed(struct control *control); /* records of nodes may have changed */
void control_members_tick(struct control *control);
QH_RESULT control_members_save(const char *dir, const struct directory_node *nodes, unsigned count);
/* The addresses as last written to the disk: they are needed before the log can be read. */
QH_RESULT control_members_load(struct control *control, struct replica_config *config);

/* handle_node_join.c: the join that waits to become a voter. */
void control_join_tick(struct control *control, uint64_t now_ms);
/* handle_node.c: move a password out of a message, and wipe it there. NULL stays NULL if empty. */
QH_RESULT control_take_secret(ProtobufCBinaryData *field, struct secret **ret_secret);
/* handle_cluster.c */
void control_fill_node_state(struct control *control, Quadhsm__NodeState *state);

/* control_socket.c. Errors: QH_ESYSTEM, QH_EEXIST; logged. */
QH_RESULT control_socket_open(struct control *control);
void control_socket_close(struct control *control);

#endif
