/* qh-bench-scale: 100,000 records of 1,500 bytes on one node and on three. How long the load
 * takes, how soon a stopped node is ready again, what memory a record costs beside its bytes,
 * and whether a commit waits for a snapshot. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

static const char usage[] = "usage: qh-bench-scale [--records N] [--size BYTES] [--windows N]\n"
                            "--windows: of one second each, with load, looked at for snapshots\n";

#define FILL_OUTSTANDING 64u
#define LOAD_OUTSTANDING 8u
#define FILL_TIMEOUT_MS 1800000u

struct options {
    unsigned records, size, windows;
};

/* One-second windows of load, by whether a snapshot was under way anywhere. */
struct windows {
    struct series p50_ms, p99_ms, max_ms, rate;
};

static char directory[BENCH_PATH_SIZE];

static void remove_directory(void)
{
    process_remove_dir(directory);
}

static double ask_status(struct cluster *cluster, unsigned index, const char *name)
{
    char line[CLIENT_LINE_MAX];

    if (!client_ask(&cluster->nodes[index].client, "status", 10000, line)) {
        process_die("%s does not answer", cluster->nodes[index].name);
    }
    return series_parse_value(line, name, -1);
}

static double sum_status(struct cluster *cluster, const char *name)
{
    double sum = 0;

    for (unsigned i = 0; i < cluster->count; i++) {
        sum += ask_status(cluster, i, name);
    }
    return sum;
}

static void fill(struct cluster *cluster, const struct options *options)
{
    unsigned leader = cluster_wait_settled(cluster);
    char request[64];
    char line[CLIENT_LINE_MAX];
    struct load_figures figures;
    double begin_ms = process_now_ms();

    (void)snprintf(request, sizeof request, "fill %u %u %u", options->records, FILL_OUTSTANDING,
                   options->size);
    if (!client_ask(&cluster->nodes[leader].client, request, FILL_TIMEOUT_MS, line) ||
        !series_parse_load(line, &figures) || figures.failed > 0) {
        process_die("the records could not be written: %s", line);
    }
    (void)printf("  load:    %.1f s (%.0f records/s, %u outstanding)\n",
                 (process_now_ms() - begin_ms) / 1000, figures.rate, FILL_OUTSTANDING);
}

/* Ready: alone, when it leads again and serves; with others, when it has applied all. */
static void restart(struct cluster *cluster)
{
    unsigned leader = cluster_wait_settled(cluster);
    unsigned index = cluster->count == 1 ? 0 : (leader + 1) % cluster->count;
    struct cluster_node *node = &cluster->nodes[index];
    double last = ask_status(cluster, leader, "last");
    double begin_ms;
    double listening_ms;

    client_close(&node->client);
    process_kill(&node->pid);
    begin_ms = process_now_ms();
    cluster_start_node(cluster, index);
    listening_ms = process_now_ms();
    while (ask_status(cluster, index, "applied") < last ||
           (cluster->count == 1 && ask_status(cluster, index, "ready") < 1)) {
        process_sleep_ms(5);
    }
    (void)printf("  restart: %.2f s until ready (%.2f s of it until the log is loaded; %.2f s of "
                 "processor time)\n",
                 (process_now_ms() - begin_ms) / 1000, (listening_ms - begin_ms) / 1000,
                 process_cpu_seconds(node->pid));
}

static void print_memory(const struct options *options, struct cluster *cluster, double empty_kib)
{
    unsigned leader = cluster_wait_settled(cluster);

    for (unsigned i = 0; i < cluster->count; i++) {
        double data_kib = ask_status(cluster, i, "data") / 1024;
        double resident_kib = process_resident_kib(cluster->nodes[i].pid);

        (void)printf(
            "  memory:  %s %-8s %.0f MiB resident, %.0f MiB data in %.0f records; above data "
            "and an empty node\n           %.2f KiB for each of the %u\n",
            cluster->nodes[i].name, i == leader ? "(leader)" : "", resident_kib / 1024,
            data_kib / 1024, ask_status(cluster, i, "records"),
            (resident_kib - data_kib - empty_kib) / options->records, options->records);
    }
}

static void run_window(struct cluster *cluster, const struct options *options,
                       struct windows windows[2])
{
    unsigned leader = cluster_wait_settled(cluster);
    char request[64];
    char line[CLIENT_LINE_MAX];
    struct load_figures figures;
    double before = sum_status(cluster, "snapshots");
    bool busy = sum_status(cluster, "snapshotting") > 0;
    struct windows *window;

    (void)snprintf(request, sizeof request, "load 1 %u %u", LOAD_OUTSTANDING, options->size);
    if (!client_ask(&cluster->nodes[leader].client, request, 60000, line) ||
        !series_parse_load(line, &figures)) {
        process_die("no load figures");
    }
    busy = busy || sum_status(cluster, "snapshots") > before ||
           sum_status(cluster, "snapshotting") > 0;
    window = &windows[busy];
    series_add(&window->rate, figures.rate);
    series_add(&window->p50_ms, figures.p50_us / 1000);
    series_add(&window->p99_ms, figures.p99_us / 1000);
    series_add(&window->max_ms, figures.max_us / 1000);
}

static void run_windows(struct cluster *cluster, const struct options *options)
{
    static struct windows windows[2];
    static const char *const names[] = {"without a snapshot", "with one under way"};

    memset(windows, 0, sizeof windows);
    for (unsigned i = 0; i < options->windows; i++) {
        run_window(cluster, options, windows);
    }
    (void)printf("  commits, %u outstanding, in windows of 1 s:\n"
                 "    %-20s %8s %10s %9s %9s %11s %11s %11s\n",
                 LOAD_OUTSTANDING, "", "windows", "commits/s", "p50 ms", "p99 ms", "max: median",
                 "max: p90", "max of all");
    for (unsigned i = 0; i < 2; i++) {
        (void)printf(
            "    %-20s %8u %10.0f %9.2f %9.2f %11.1f %11.1f %11.1f\n", names[i],
            windows[i].rate.count, series_quantile(&windows[i].rate, 0.5),
            series_quantile(&windows[i].p50_ms, 0.5), series_quantile(&windows[i].p99_ms, 0.5),
            series_quantile(&windows[i].max_ms, 0.5), series_quantile(&windows[i].max_ms, 0.9),
            series_quantile(&windows[i].max_ms, 1));
    }
}

static void run_cluster(unsigned count, const struct options *options)
{
    static struct cluster cluster;
    char name[16];
    double empty_kib;

    (void)printf("%u node%s, %u records of %u bytes\n", count, count == 1 ? "" : "s",
                 options->records, options->size);
    (void)snprintf(name, sizeof name, "scale-%u", count);
    cluster_start(&cluster, CLUSTER_QUADHSM, count, "region", directory, name);
    (void)cluster_wait_settled(&cluster);
    empty_kib = process_resident_kib(cluster.nodes[0].pid);
    fill(&cluster, options);
    print_memory(options, &cluster, empty_kib);
    restart(&cluster);
    print_memory(options, &cluster, empty_kib);
    (void)fflush(stdout);
    run_windows(&cluster, options);
    print_memory(options, &cluster, empty_kib);
    cluster_stop(&cluster);
    (void)fflush(stdout);
}

static unsigned parse_count(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < 1 || value > 10000000) {
        process_die("not a number from 1: %s", text);
    }
    return (unsigned)value;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"records", required_argument, NULL, 'r'},
                                          {"size", required_argument, NULL, 's'},
                                          {"windows", required_argument, NULL, 'w'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {.records = 100000, .size = 1500, .windows = 60};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'r':
            options.records = parse_count(optarg);
            break;
        case 's':
            options.size = parse_count(optarg);
            break;
        case 'w':
            options.windows = parse_count(optarg);
            break;
        default:
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    process_make_dir(directory);
    (void)atexit(remove_directory);
    run_cluster(1, &options);
    run_cluster(BENCH_NODES, &options);
    return 0;
}
