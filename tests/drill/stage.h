/* The stage of the drill: four nodes in two regions and a witness in a third place, each a process
 * with a loopback address of its own, and the delay proxy between them.
 *
 *   node     region  listens at   others reach it at, through the proxy
 *   east-1   east    127.0.1.1    127.0.11.1
 *   east-2   east    127.0.1.2    127.0.11.2
 *   west-1   west    127.0.2.1    127.0.12.1
 *   west-2   west    127.0.2.2    127.0.12.2
 *   north-1  north   127.0.3.1    127.0.13.1      the witness
 *
 * An application in a region connects from 127.0.1.100 or 127.0.2.100; so does what comes from
 * 127.0.0.1, the kernel's choice, count as east.
 *
 * What fails is told on standard error. Thread: one. */
#ifndef QH_TESTS_DRILL_STAGE_H
#define QH_TESTS_DRILL_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STAGE_NODES 5u
#define STAGE_WITNESS 4u /* index */
#define STAGE_EAST_APP "127.0.1.100"
#define STAGE_REPLY_SIZE 65536u

enum stage_run { STAGE_DOWN, STAGE_RUNNING, STAGE_FROZEN };

/* What a node last said of itself. */
struct stage_status {
    bool answered;
    bool usable; /* keys can be used; of a witness: it runs */
    bool member, leading;
    char leader[64];
    uint64_t revision, applied_index;
};

struct stage_node {
    const char *name, *region, *host, *advertised;
    bool witness;
    char *dir, *data, *config, *control, *log;
    enum stage_run run;
    pid_t pid;
    struct stage_status status;
};

struct stage_options {
    const char *dir; /* exists, empty */
    bool cross_region;
    unsigned east_west_ms, witness_ms; /* one way */
};

struct stage {
    struct stage_options options;
    char *daemon, *command, *module, *proxy; /* programs */
    char *sockets;                           /* a directory with a path short enough for them */
    char *proxy_control, *proxy_log;
    pid_t proxy_pid;
    uint16_t client_port, peer_port;
    struct stage_node nodes[STAGE_NODES];
    unsigned ended; /* nodes that ended by themselves */
};

/* Write the configurations and start the proxy. */
bool stage_open(struct stage *stage, const struct stage_options *options);
/* Kill what still runs. */
void stage_close(struct stage *stage);

void stage_start(struct stage *stage, struct stage_node *node);
void stage_kill(struct stage_node *node);
void stage_freeze(struct stage_node *node);
void stage_thaw(struct stage_node *node);
/* SIGTERM to all that run, and wait for them. False: one did not end well. */
bool stage_stop_all(struct stage *stage);
void stage_start_all(struct stage *stage);
/* Notice nodes that ended by themselves. */
void stage_reap(struct stage *stage);

/* The end of each node's log. */
void stage_print_logs(const struct stage *stage);

/* ---- stage_status.c */

/* Ask all that run. */
void stage_ask(struct stage *stage);
/* The leader by its own word and the others', NULL if that is not clear. From the last stage_ask().
 */
struct stage_node *stage_leader(struct stage *stage);
/* Wait until all nodes that run can be used, agree on a leader and are no further apart than
 * @revisions. */
bool stage_wait(struct stage *stage, uint64_t revisions, unsigned timeout_ms);

/* ---- stage_proxy.c */

/* False: there is no "ok". @ret_reply may be NULL. */
bool stage_proxy_command(struct stage *stage, const char *command, char *ret_reply);
/* The node that got most from @source during @watch_ms; NULL: nothing came. */
struct stage_node *stage_node_in_use(struct stage *stage, const char *source, unsigned watch_ms);
/* The same since the proxy started. */
struct stage_node *stage_node_most_used(struct stage *stage, const char *source);

/* ---- stage_setup.c */

/* Init, joins, a partition, its roles, an application's certificate: all by the quadhsm command. */
bool stage_setup(struct stage *stage);
/* An application's configuration beside the one that was made by enrolling: its path. @region NULL:
 * no preference. Owns: free(). */
char *stage_client_config(struct stage *stage, const char *name, const char *region,
                          const char *source);
/* Files of the setup: "admin/client.yaml", "pin/co". Owns: free(). */
char *stage_path(struct stage *stage, const char *name);

#endif
