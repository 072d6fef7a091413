/* qh-bench-commit: how fast a change is committed, and how soon after the leader's end the next
 * one is. Quadhsm's nodes (guard and TLS), bare libraft (raft_uv_tcp: neither) and, where it
 * is installed, etcd, in turns in one run, so that what else the machine does meets all. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

static const char usage[] =
    "usage: qh-bench-commit [--repetitions N] [--seconds N] [--outages N] [--cross N]\n"
    "--outages: of each kind, with the preset for one region; --cross: with the one for several\n";

enum system { SYSTEM_LEADER, SYSTEM_FOLLOWER, SYSTEM_BARE, SYSTEM_ETCD, SYSTEMS };

static const char *const system_names[SYSTEMS] = {
    [SYSTEM_LEADER] = "quadhsm, asked at the leader",
    [SYSTEM_FOLLOWER] = "quadhsm, asked at a follower",
    [SYSTEM_BARE] = "bare raft_uv_tcp",
    [SYSTEM_ETCD] = "etcd, asked at the leader",
};

static const unsigned outstandings[] = {1, 64};
#define OUTSTANDINGS (sizeof outstandings / sizeof outstandings[0])

struct options {
    unsigned repetitions, seconds, outages, cross;
};

/* The repetitions of one system at one load. */
struct column {
    struct series rate, p50_ms, p99_ms;
    struct series rate_ratio, p50_ratio; /* to bare libraft in the same repetition */
    double failed;
};

static struct column columns[OUTSTANDINGS][SYSTEMS];
static char directory[BENCH_PATH_SIZE];

static void remove_directory(void)
{
    process_remove_dir(directory);
}

struct contenders {
    struct cluster quadhsm, bare;
    struct etcd etcd;
    bool has_etcd;
};

static void run_one(struct contenders *contenders, enum system system, unsigned outstanding,
                    unsigned seconds, struct load_figures *ret_figures)
{
    unsigned leader;

    switch (system) {
    case SYSTEM_LEADER:
    case SYSTEM_FOLLOWER:
        leader = cluster_wait_settled(&contenders->quadhsm);
        cluster_load(&contenders->quadhsm,
                     system == SYSTEM_LEADER ? leader : (leader + 1) % BENCH_NODES, seconds,
                     outstanding, ret_figures);
        break;
    case SYSTEM_BARE:
        leader = cluster_wait_settled(&contenders->bare);
        cluster_load(&contenders->bare, leader, seconds, outstanding, ret_figures);
        break;
    case SYSTEM_ETCD:
    case SYSTEMS:
        etcd_load(&contenders->etcd, seconds, outstanding, ret_figures);
        break;
    }
}

static void run_repetition(struct contenders *contenders, unsigned level, unsigned seconds)
{
    struct load_figures figures[SYSTEMS];

    for (unsigned i = 0; i < SYSTEMS; i++) {
        if (i != SYSTEM_ETCD || contenders->has_etcd) {
            run_one(contenders, i, outstandings[level], seconds, &figures[i]);
        }
    }
    for (unsigned i = 0; i < SYSTEMS; i++) {
        struct column *column = &columns[level][i];

        if (i == SYSTEM_ETCD && !contenders->has_etcd) {
            continue;
        }
        series_add(&column->rate, figures[i].rate);
        series_add(&column->p50_ms, figures[i].p50_us / 1000);
        series_add(&column->p99_ms, figures[i].p99_us / 1000);
        series_add(&column->rate_ratio, figures[i].rate / figures[SYSTEM_BARE].rate);
        series_add(&column->p50_ratio, figures[i].p50_us / figures[SYSTEM_BARE].p50_us);
        column->failed += figures[i].failed;
    }
}

static void print_rates(const struct options *options, bool has_etcd)
{
    (void)printf("Commits of %u bytes, 3 processes, 3 directories; medians of %u runs of %u s in "
                 "turns.\n"
                 "Ratios are to bare raft_uv_tcp in the same turn (its own is 1).\n\n"
                 "%-30s %11s %10s %18s %8s %8s %9s %9s\n",
                 BENCH_ENTRY_SIZE, options->repetitions, options->seconds, "", "outstanding",
                 "commits/s", "(min - max)", "p50 ms", "p99 ms", "rate / b.", "p50 / b.");
    for (unsigned level = 0; level < OUTSTANDINGS; level++) {
        for (unsigned i = 0; i < SYSTEMS; i++) {
            const struct column *column = &columns[level][i];

            if (i == SYSTEM_ETCD && !has_etcd) {
                continue;
            }
            (void)printf(
                "%-30s %11u %10.0f (%6.0f - %6.0f) %8.2f %8.2f %9.2f %9.2f%s\n", system_names[i],
                outstandings[level], series_quantile(&column->rate, 0.5),
                series_quantile(&column->rate, 0), series_quantile(&column->rate, 1),
                series_quantile(&column->p50_ms, 0.5), series_quantile(&column->p99_ms, 0.5),
                series_quantile(&column->rate_ratio, 0.5), series_quantile(&column->p50_ratio, 0.5),
                column->failed > 0 ? " some failed" : "");
        }
    }
    (void)puts(has_etcd ? "\netcd: Debian's etcd-server, TLS between members, 50/500 ms, puts by "
                          "gRPC over plain TCP from\na small client of our own in a process of its "
                          "own; the others make their load inside the node."
                        : "\netcd is not installed: not compared.");
    (void)fflush(stdout);
}

static void run_rates(const struct options *options)
{
    static struct contenders contenders;

    contenders.has_etcd = etcd_is_installed();
    cluster_start(&contenders.quadhsm, CLUSTER_QUADHSM, BENCH_NODES, "region", directory,
                  "quadhsm");
    cluster_start(&contenders.bare, CLUSTER_BARE, BENCH_NODES, "region", directory, "bare");
    if (contenders.has_etcd) {
        etcd_start(&contenders.etcd, directory);
    }
    for (unsigned i = 0; i < options->repetitions; i++) {
        for (unsigned level = 0; level < OUTSTANDINGS; level++) {
            run_repetition(&contenders, level, options->seconds);
        }
    }
    cluster_stop(&contenders.quadhsm);
    cluster_stop(&contenders.bare);
    if (contenders.has_etcd) {
        etcd_stop(&contenders.etcd);
    }
    print_rates(options, contenders.has_etcd);
}

static void print_outages(const char *name, const char *what, const struct series *series,
                          unsigned crashes)
{
    (void)printf("%-30s %-9s %5u %9.0f %9.0f %9.0f %9.0f", name, what, series->count,
                 series_quantile(series, 0), series_quantile(series, 0.5),
                 series_quantile(series, 0.9), series_quantile(series, 1));
    if (crashes > 0) {
        (void)printf("   (%u processes crashed by themselves)", crashes);
    }
    (void)putchar('\n');
    (void)fflush(stdout);
}

static void run_outages(const char *preset, unsigned count)
{
    static const struct {
        int number;
        const char *name;
    } signals[] = {{SIGKILL, "kill -9"}, {SIGSTOP, "SIGSTOP"}};
    static struct series outages[2];
    static struct cluster clusters[2];
    char names[2][32];

    (void)printf("\nFrom the signal to the leader until a put that was sent after it is answered: "
                 "ms, preset %s.\n\n%-30s %-9s %5s %9s %9s %9s %9s\n",
                 preset, "", "signal", "times", "min", "median", "p90", "max");
    for (unsigned i = 0; i < 2; i++) {
        enum cluster_kind kind = i == 0 ? CLUSTER_QUADHSM : CLUSTER_BARE;

        (void)snprintf(names[i], sizeof names[i], "%s-%u", preset, i);
        cluster_start(&clusters[i], kind, BENCH_NODES, preset, directory, names[i]);
    }
    for (unsigned number = 0; number < 2; number++) {
        unsigned crashes[2];

        for (unsigned i = 0; i < 2; i++) {
            outages[i].count = 0;
            crashes[i] = clusters[i].crashes;
        }
        for (unsigned round = 0; round < count; round++) {
            for (unsigned i = 0; i < 2; i++) {
                series_add(&outages[i], outage_measure(&clusters[i], signals[number].number));
            }
        }
        for (unsigned i = 0; i < 2; i++) {
            print_outages(i == 0 ? "quadhsm" : "bare raft_uv_tcp", signals[number].name,
                          &outages[i], clusters[i].crashes - crashes[i]);
        }
    }
    cluster_stop(&clusters[0]);
    cluster_stop(&clusters[1]);
}

static unsigned parse_count(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value > SERIES_MAX) {
        process_die("not a number up to %u: %s", SERIES_MAX, text);
    }
    return (unsigned)value;
}

static void parse_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {{"repetitions", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"outages", required_argument, NULL, 'o'},
                                          {"cross", required_argument, NULL, 'c'},
                                          {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'r':
            options->repetitions = parse_count(optarg);
            break;
        case 's':
            options->seconds = parse_count(optarg);
            break;
        case 'o':
            options->outages = parse_count(optarg);
            break;
        case 'c':
            options->cross = parse_count(optarg);
            break;
        default:
            (void)fputs(usage, stderr);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct options options = {.repetitions = 5, .seconds = 3, .outages = 30, .cross = 0};

    parse_options(argc, argv, &options);
    process_make_dir(directory);
    (void)atexit(remove_directory);
    process_print_load();
    if (options.repetitions > 0) {
        run_rates(&options);
    }
    if (options.outages > 0) {
        run_outages("region", options.outages);
    }
    if (options.cross > 0) {
        run_outages("cross", options.cross);
    }
    (void)putchar('\n');
    process_print_load();
    return 0;
}
