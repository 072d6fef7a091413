/* What the benchmark programs share: processes and lines, clusters of three, figures. Each
 * function stands in the file that its name begins with. A benchmark that cannot go on ends
 * with a message (process_die), so nothing here returns an error. */
#ifndef QH_TESTS_BENCH_BENCH_H
#define QH_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_PATH_SIZE 512u
#define BENCH_NODES 3u
#define BENCH_ENTRY_SIZE 512u /* bytes of a command, in every system */

/* series.c: measured values and their order statistics. */
#define SERIES_MAX 4096u
struct series {
    double values[SERIES_MAX];
    unsigned count;
};
void series_add(struct series *series, double value);
/* The value below which @share (0 to 1) of them lie; 0 if there is none. */
double series_quantile(const struct series *series, double share);

/* One run of a load generator. */
struct load_figures {
    double rate; /* commits a second */
    double p50_us, p99_us, max_us;
    double failed;
};
/* A line of node_load.c: name=value pairs. False if it is none. */
bool series_parse_load(const char *line, struct load_figures *ret_figures);
/* The number after " @name=" in @line, or @absent. */
double series_parse_value(const char *line, const char *name, double absent);

/* process.c: other programs, and the directory that the data lies in. */
__attribute__((noreturn, format(printf, 1, 2))) void process_die(const char *format, ...);
/* @name below the directory of the running program's parent: "torture/qh-node". */
void process_sibling(const char *name, char ret_path[BENCH_PATH_SIZE]);
/* A child that dies with us; its output goes to @log. */
pid_t process_spawn(const char *const argv[], const char *log);
/* Run to the end; dies unless the status is 0. The first line of output, without newline. */
void process_capture(const char *const argv[], char *ret_line, size_t room);
/* kill -9 and wait; nothing if *pid is 0. */
void process_kill(pid_t *pid);
bool process_has_ended(pid_t *pid); /* then *pid is 0 */
/* A new directory on a real disk: below $TMPDIR, or else the current directory. */
void process_make_dir(char ret_path[BENCH_PATH_SIZE]);
void process_remove_dir(const char *path);
unsigned process_free_port(void);
void process_sleep_ms(unsigned ms);
double process_now_ms(void);
/* Resident memory in KiB, and the processor time used so far. */
double process_resident_kib(pid_t pid);
double process_cpu_seconds(pid_t pid);

/* client.c: lines over a Unix socket. */
#define CLIENT_LINE_MAX 4096u
struct client {
    int fd; /* -1: not connected */
    char buffer[16 * CLIENT_LINE_MAX];
    size_t size;
};
bool client_connect(struct client *client, const char *path, unsigned timeout_ms);
void client_close(struct client *client);
/* False if the other side is gone. */
bool client_send(struct client *client, const char *line);
/* The next line within @timeout_ms. */
bool client_read(struct client *client, unsigned timeout_ms, char ret_line[CLIENT_LINE_MAX]);
/* Send @request and wait for a line that begins with its first word. */
bool client_ask(struct client *client, const char *request, unsigned timeout_ms,
                char ret_line[CLIENT_LINE_MAX]);

/* cluster.c: nodes of quadhsm (qh-node), or of bare libraft (qh-baseline). */
enum cluster_kind { CLUSTER_QUADHSM, CLUSTER_BARE };
struct cluster_node {
    pid_t pid;
    unsigned port;
    char name[16];
    char id[32]; /* decimal server id */
    char dir[BENCH_PATH_SIZE];
    char control[BENCH_PATH_SIZE];
    struct client client;
};
struct cluster {
    enum cluster_kind kind;
    const char *preset; /* region or cross */
    unsigned count;
    unsigned crashes; /* processes that ended by themselves, and were started again */
    char dir[BENCH_PATH_SIZE];
    struct cluster_node nodes[BENCH_NODES];
};
/* Make @count new nodes below @dir/@name and start them. */
void cluster_start(struct cluster *cluster, enum cluster_kind kind, unsigned count,
                   const char *preset, const char *dir, const char *name);
void cluster_start_node(struct cluster *cluster, unsigned index);
void cluster_stop(struct cluster *cluster);
/* Wait until one node leads and all have applied the same; returns the leader's index. */
unsigned cluster_wait_settled(struct cluster *cluster);
void cluster_load(struct cluster *cluster, unsigned index, unsigned seconds, unsigned outstanding,
                  struct load_figures *ret_figures);

/* outage.c: milliseconds from @signal to the leader until a client has an answer to a
 * put that it sent after it. Bare libraft does not forward, so its client asks both survivors. */
double outage_measure(struct cluster *cluster, int signal);

/* etcd.c: three members of Debian's etcd, TLS between them. */
struct etcd {
    pid_t pids[BENCH_NODES];
    unsigned client_ports[BENCH_NODES];
};
bool etcd_is_installed(void);
void etcd_start(struct etcd *etcd, const char *dir);
void etcd_stop(struct etcd *etcd);
/* Puts at the leader. */
void etcd_load(struct etcd *etcd, unsigned seconds, unsigned outstanding,
               struct load_figures *ret_figures);

/* grpc.c: unary calls of etcd's KV.Put over HTTP/2 without TLS, several at a time. */
void grpc_load_puts(unsigned port, unsigned seconds, unsigned outstanding,
                    struct load_figures *ret_figures);

#endif
