/* Clusters of processes on this machine: quadhsm's nodes, or bare libraft. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/certs.h"

#define CLUSTER_ID "00112233445566778899aabbccddeeff"
#define SETTLE_MS 60000.0
#define ARGUMENT_SIZE 128u

static void format_path(char ret_path[BENCH_PATH_SIZE], const char *dir, const char *name)
{
    if (snprintf(ret_path, BENCH_PATH_SIZE, "%s/%s", dir, name) >= (int)BENCH_PATH_SIZE) {
        process_die("path too long: %s/%s", dir, name);
    }
}

/* Directories, identities and the first entry of the log. */
static void make_quadhsm(struct cluster *cluster)
{
    char program[BENCH_PATH_SIZE];
    char members[BENCH_NODES][ARGUMENT_SIZE];
    char output[256];

    process_sibling("torture/qh-node", program);
    certs_make_ca(cluster->dir);
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        const char *create[] = {program, "create", node->dir, CLUSTER_ID, node->name, NULL};

        certs_make_node(cluster->dir, node->name);
        process_capture(create, output, sizeof output);
        (void)snprintf(node->id, sizeof node->id, "%.31s", output);
        (void)snprintf(members[i], sizeof members[i], "%s=%s", node->name, node->id);
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        const char *bootstrap[3 + BENCH_NODES + 1] = {program, "bootstrap", cluster->nodes[i].dir};

        for (unsigned j = 0; j < cluster->count; j++) {
            bootstrap[3 + j] = members[j];
        }
        process_capture(bootstrap, output, sizeof output);
    }
}

static void start_quadhsm(struct cluster *cluster, struct cluster_node *node, const char *log)
{
    char program[BENCH_PATH_SIZE];
    char nodes[BENCH_NODES][ARGUMENT_SIZE];
    char preset[16];
    const char *argv[32] = {program, "run", "--dir", node->dir, "--name", node->name};
    unsigned count = 6;

    process_sibling("torture/qh-node", program);
    (void)snprintf(preset, sizeof preset, "%s", cluster->preset);
    for (unsigned i = 0; i < cluster->count; i++) {
        (void)snprintf(nodes[i], sizeof nodes[i], "%s=127.0.0.1:%u", cluster->nodes[i].name,
                       cluster->nodes[i].port);
        argv[count++] = "--node";
        argv[count++] = nodes[i];
    }
    argv[count++] = "--tls";
    argv[count++] = cluster->dir;
    argv[count++] = "--control";
    argv[count++] = node->control;
    argv[count++] = "--preset";
    argv[count++] = preset;
    node->pid = process_spawn(argv, log);
}

/* qh-baseline DIR ID CONTROL PRESET ADDRESS... */
static void start_bare(struct cluster *cluster, struct cluster_node *node, const char *log)
{
    char program[BENCH_PATH_SIZE];
    char addresses[BENCH_NODES][ARGUMENT_SIZE];
    char preset[16];
    const char *argv[5 + BENCH_NODES + 1] = {program, node->dir, node->id, node->control, preset};

    process_sibling("bench/qh-baseline", program);
    (void)snprintf(preset, sizeof preset, "%s", cluster->preset);
    for (unsigned i = 0; i < cluster->count; i++) {
        (void)snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%u", cluster->nodes[i].port);
        argv[5 + i] = addresses[i];
    }
    node->pid = process_spawn(argv, log);
}

void cluster_start_node(struct cluster *cluster, unsigned index)
{
    struct cluster_node *node = &cluster->nodes[index];
    char log[BENCH_PATH_SIZE];

    if (snprintf(log, sizeof log, "%s.log", node->dir) >= (int)sizeof log) {
        process_die("path too long: %s", node->dir);
    }
    (void)remove(node->control);
    if (cluster->kind == CLUSTER_QUADHSM) {
        start_quadhsm(cluster, node, log);
    } else {
        start_bare(cluster, node, log);
    }
    if (!client_connect(&node->client, node->control, 30000)) {
        process_die("node %s does not answer; see %s", node->name, log);
    }
}

void cluster_start(struct cluster *cluster, enum cluster_kind kind, unsigned count,
                   const char *preset, const char *dir, const char *name)
{
    memset(cluster, 0, sizeof *cluster);
    cluster->kind = kind;
    cluster->count = count;
    cluster->preset = preset;
    format_path(cluster->dir, dir, name);
    if (mkdir(cluster->dir, 0700) != 0) {
        process_die("cannot make %s: %s", cluster->dir, strerror(errno));
    }
    for (unsigned i = 0; i < count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        char socket[32];

        (void)snprintf(node->name, sizeof node->name, "n%u", i + 1);
        (void)snprintf(node->id, sizeof node->id, "%u", i + 1);
        (void)snprintf(socket, sizeof socket, "%s.sock", node->name);
        format_path(node->dir, cluster->dir, node->name);
        format_path(node->control, cluster->dir, socket);
        node->port = process_free_port();
        node->client.fd = -1;
    }
    if (kind == CLUSTER_QUADHSM) {
        make_quadhsm(cluster);
    }
    for (unsigned i = 0; i < count; i++) {
        cluster_start_node(cluster, i);
    }
}

void cluster_stop(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        client_close(&cluster->nodes[i].client);
        process_kill(&cluster->nodes[i].pid);
    }
}

static void revive_dead(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        if (process_has_ended(&cluster->nodes[i].pid)) {
            cluster->crashes++;
            cluster_start_node(cluster, i);
        }
    }
}

/* Does one node lead, and has every node applied all of its log? */
static bool look_settled(struct cluster *cluster, unsigned *ret_leader)
{
    char line[BENCH_NODES][CLIENT_LINE_MAX];
    unsigned leaders = 0;
    unsigned leader = 0;

    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        if (!client_ask(&node->client, "status", 2000, line[i])) {
            (void)client_connect(&node->client, node->control, 100);
            return false;
        }
        if (series_parse_value(line[i], "ready", 0) > 0) {
            leaders++;
            leader = i;
        }
        if (strstr(line[i], ":down:") != NULL) {
            return false;
        }
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        if (series_parse_value(line[i], "applied", -1) !=
                series_parse_value(line[leader], "last", -2) ||
            series_parse_value(line[i], "term", -1) !=
                series_parse_value(line[leader], "term", -2)) {
            return false;
        }
    }
    *ret_leader = leader;
    return leaders == 1;
}

unsigned cluster_wait_settled(struct cluster *cluster)
{
    double end_ms = process_now_ms() + SETTLE_MS;
    unsigned leader = 0;

    while (!look_settled(cluster, &leader)) {
        if (process_now_ms() > end_ms) {
            process_die("the nodes below %s do not agree within a minute", cluster->dir);
        }
        revive_dead(cluster);
        process_sleep_ms(20);
    }
    return leader;
}

void cluster_load(struct cluster *cluster, unsigned index, unsigned seconds, unsigned outstanding,
                  struct load_figures *ret_figures)
{
    struct cluster_node *node = &cluster->nodes[index];
    char request[64];
    char line[CLIENT_LINE_MAX];

    (void)snprintf(request, sizeof request, "load %u %u %u", seconds, outstanding,
                   BENCH_ENTRY_SIZE);
    if (!client_ask(&node->client, request, (seconds + 60) * 1000, line) ||
        !series_parse_load(line, ret_figures)) {
        process_die("no load figures from %s", node->dir);
    }
}
