/* A cluster of qh-node processes on this machine: made, started, killed, frozen and talked to
 * over their control sockets (node.h has the requests).
 *
 * Everything is driven by cluster_poll(); nothing here sleeps. A failure of the test's own
 * means (no port, no memory, no process) ends the driver with a message.
 *
 * Thread: one. */
#ifndef QH_TESTS_TORTURE_CLUSTER_H
#define QH_TESTS_TORTURE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/limits.h"

#define CLUSTER_NODES_MAX 8u
#define CLUSTER_LINE_SIZE_MAX 4096u
#define CLUSTER_ID_LENGTH 32u /* hex digits */

/*    DOWN --start--> RUNNING <--thaw/freeze--> FROZEN
 *     ^                 |                         |
 *     +---- killed, or ended by itself -----------+ */
enum cluster_run { CLUSTER_DOWN, CLUSTER_RUNNING, CLUSTER_FROZEN };

/* What a node said of itself last. */
struct cluster_status {
    uint64_t id, leader, term, generation, last, commit, applied, revision;
    bool leading, ready;
    unsigned members, voters;
};

struct cluster;

struct cluster_node {
    struct cluster *cluster;
    char name[NODE_NAME_LENGTH_MAX + 1];
    uint64_t id; /* Raft server id */
    uint16_t port;
    bool witness;
    char *dir;
    char *log_path;
    char *socket_path;
    char *tls_dir; /* NULL: the cluster's */

    enum cluster_run run;
    pid_t pid;
    bool ended_itself; /* it is down, and nobody here killed it */
    int wait_status;   /* of the last end */
    unsigned starts;

    int fd; /* control connection, -1 if there is none */
    uint64_t connect_ns;
    char *output; /* not yet sent */
    size_t output_size, output_room;
    char input[CLUSTER_LINE_SIZE_MAX];
    size_t input_size;
    const char *ask_label; /* cluster_ask() waits for a line that begins so */
    char *ask_answer;

    struct cluster_status status;
    uint64_t status_ns; /* when @status came, 0: never since the start */
    uint64_t asked_ns;  /* when a status was asked for that has not come, 0: none */
};

struct cluster_callbacks {
    void *data;
    /* A line that is no status. */
    void (*answer)(void *data, struct cluster_node *node, const char *line);
    /* The connection is gone: what was asked and not answered has an unknown fate. */
    void (*lost)(void *data, struct cluster_node *node);
    /* In every turn of cluster_poll(). */
    void (*tick)(void *data);
};

struct cluster {
    char *dir;
    char *tls_dir;
    char *node_program;
    char id[CLUSTER_ID_LENGTH + 1];
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    unsigned count;
    struct cluster_callbacks callbacks; /* any may be NULL */
};

/* Lay out @count nodes n1, n2, ... in @dir (which exists): ports and certificates; no process
 * and no data directory yet. @witness: the last is one. */
void cluster_init(struct cluster *cluster, const char *dir, unsigned count, bool witness);
/* Kill everything. The files stay. */
void cluster_close(struct cluster *cluster);

/* One more node of that name; its certificate is made if @tls_dir is NULL. */
struct cluster_node *cluster_add_node(struct cluster *cluster, const char *name,
                                      const char *tls_dir);

/* A port of 127.0.0.1 that nobody listens on and no connection is given by chance. */
uint16_t cluster_free_port(void);

/* qh-node create: sets node->id. Returns whether it did. */
bool cluster_create_node(struct cluster_node *node);
/* qh-node bootstrap on the first @count nodes, of just these. */
bool cluster_bootstrap(struct cluster *cluster, unsigned count);
/* qh-node recover on @node, which is down, as the only member. */
bool cluster_recover(struct cluster_node *node, char *ret_output, size_t room);

void cluster_start(struct cluster_node *node);
void cluster_start_all(struct cluster *cluster);
void cluster_kill(struct cluster_node *node); /* SIGKILL, and wait for the end */
void cluster_kill_all(struct cluster *cluster);
void cluster_freeze(struct cluster_node *node); /* SIGSTOP */
void cluster_thaw(struct cluster_node *node);   /* SIGCONT */

/* Send one request. Returns false if there is no connection or its queue is full. */
bool cluster_send(struct cluster_node *node, const char *line);

/* Send @request and wait for the answer that begins with @label. The answer without its label
 * is in ret_answer (CLUSTER_LINE_SIZE_MAX). Waits for the connection too. */
bool cluster_ask(struct cluster_node *node, const char *request, const char *label,
                 unsigned timeout_ms, char *ret_answer);

/* Ask every running node for its status, unless an answer is awaited. */
void cluster_ask_status(struct cluster *cluster);

/* One turn: connect, read, write, reap; waits at most @timeout_ms for something to happen. */
void cluster_poll(struct cluster *cluster, unsigned timeout_ms);

/* The end of each node's log file, to standard output. */
void cluster_print_logs(const struct cluster *cluster, unsigned lines);
/* Does the log of @node, from byte @from on, contain @text? */
bool cluster_log_has(const struct cluster_node *node, long from, const char *text);
long cluster_log_size(const struct cluster_node *node);

/* cluster_wait.c: conditions over a status of every running node that is younger than the
 * call. */
typedef bool (*cluster_condition)(struct cluster *cluster, const void *data);
bool cluster_wait(struct cluster *cluster, cluster_condition condition, const void *data,
                  unsigned timeout_ms);

/* The one running node that leads and is ready, and that all running nodes know as leader. */
struct cluster_node *cluster_leader(struct cluster *cluster);
bool cluster_has_leader(struct cluster *cluster, const void *unused);
/* A leader, and the same log applied to its end everywhere. */
bool cluster_is_equal(struct cluster *cluster, const void *unused);
/* A leader, and *(const unsigned *)data members, all voters, everywhere. */
bool cluster_has_members(struct cluster *cluster, const void *data);
/* Poll until @node has ended by itself. */
bool cluster_wait_end(struct cluster_node *node, unsigned timeout_ms);
/* Poll until the log of @node has @text after byte @from. */
bool cluster_wait_log(const struct cluster_node *node, long from, const char *text,
                      unsigned timeout_ms);

/* cluster_control.c: used by cluster.c. */
void cluster_control_turn(struct cluster *cluster, unsigned timeout_ms);
void cluster_control_drop(struct cluster_node *node);

#endif
