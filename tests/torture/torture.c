/* qh-torture: kills and freezes the nodes of a cluster under load, round after round, and in
 * the end compares all data directories with what was acknowledged. */
#include "tests/torture/torture.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "tests/torture/process.h"

#define NS_PER_MS 1000000u
#define VALUE_SIZE 600u
#define PUT_TIMEOUT_MAX_MS 3000u
#define START_TIMEOUT_MS 30000u
#define ROUND_TIMEOUT_MS 60000u /* until writes are acknowledged again */
#define HEAL_TIMEOUT_MS 120000u
#define MOMENT_MAX_MS 250u /* of writes before an event */
#define DOWN_MAX_MS 250u
#define FREEZE_MIN_MS 100u
#define FREEZE_MAX_MS 1500u
#define TURN_MS 2u
#define STATUS_EVERY_NS 50000000u
#define LOG_LINES 25u
#define MARK "made-by-qh-torture" /* a file in a directory that may be removed again */

static const char usage[] =
    "usage: qh-torture --rounds N --nodes 3|4|5 [--witness] [--seed S] [--dir D] [--keep]\n"
    "                  [--outstanding K] [--rate R] [--verbose] [--demo]\n"
    "--outstanding K: writes under way at each node (16); --rate R: writes a second (250; 0: no\n"
    "limit). --dir D: instead of a temporary directory; --keep: do not remove it. --demo: "
    "explain,\n"
    "and with --keep leave the nodes running in the end until interrupted.\n";

/* splitmix64 */
static uint64_t draw(struct torture *torture)
{
    uint64_t z = (torture->random += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned draw_below(struct torture *torture, unsigned bound)
{
    return (unsigned)(draw(torture) % bound);
}

/* A node that ends by itself is started again, as a supervisor would, but is a failure here:
 * nothing that this program does is a reason to end. */
static void restart_ended(struct torture *torture)
{
    for (unsigned i = 0; i < torture->cluster.count; i++) {
        struct cluster_node *node = &torture->cluster.nodes[i];
        char how[64];

        if (node->run == CLUSTER_DOWN && node->ended_itself) {
            process_describe(node->wait_status, how, sizeof how);
            torture_report_note(torture, "%s ended by itself: %s; see %s", node->name, how,
                                node->log_path);
            torture->ends++;
            cluster_start(node);
        }
    }
}

static void ask_leader(struct torture *torture)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (now_ns - torture->asked_ns >= STATUS_EVERY_NS) {
        torture->asked_ns = now_ns;
        cluster_ask_status(&torture->cluster);
    }
}

static void turn(struct torture *torture)
{
    ask_leader(torture);
    cluster_poll(&torture->cluster, TURN_MS);
    restart_ended(torture);
}

static void run_for(struct torture *torture, unsigned ms)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)ms * NS_PER_MS;

    while (clock_monotonic_ns() < end_ns) {
        turn(torture);
    }
}

/* The names of the nodes of an event, and which they are. */
struct victims {
    struct cluster_node *nodes[CLUSTER_NODES_MAX];
    unsigned count;
    char names[64];
};

static void add_victim(struct victims *victims, struct cluster_node *node)
{
    size_t used = strlen(victims->names);

    victims->nodes[victims->count++] = node;
    (void)snprintf(victims->names + used, sizeof victims->names - used, "%s%s", used > 0 ? " " : "",
                   node->name);
}

static struct cluster_node *draw_node(struct torture *torture, const struct cluster_node *avoid)
{
    struct cluster_node *node;

    do {
        node = &torture->cluster.nodes[draw_below(torture, torture->cluster.count)];
    } while (node == avoid);
    return node;
}

static enum event_kind draw_kind(struct torture *torture)
{
    static const struct {
        enum event_kind kind;
        unsigned weight;
    } weights[] = {
        {EVENT_KILL_FOLLOWER, 34}, {EVENT_KILL_LEADER, 30},    {EVENT_KILL_TWO, 12},
        {EVENT_KILL_ALL, 8},       {EVENT_FREEZE_FOLLOWER, 8}, {EVENT_FREEZE_LEADER, 8},
    };
    unsigned drawn = draw_below(torture, 100);

    for (unsigned i = 0; i < sizeof weights / sizeof weights[0]; i++) {
        if (drawn < weights[i].weight) {
            return weights[i].kind;
        }
        drawn -= weights[i].weight;
    }
    return EVENT_KILL_FOLLOWER;
}

/* Whom it hits; without a known leader any node stands in for it. */
static struct victims draw_victims(struct torture *torture, enum event_kind kind)
{
    struct cluster_node *leader = cluster_leader(&torture->cluster);
    struct victims victims = {.count = 0};

    switch (kind) {
    case EVENT_KILL_FOLLOWER:
    case EVENT_FREEZE_FOLLOWER:
        add_victim(&victims, draw_node(torture, leader));
        break;
    case EVENT_KILL_LEADER:
    case EVENT_FREEZE_LEADER:
        add_victim(&victims, leader != NULL ? leader : draw_node(torture, NULL));
        break;
    case EVENT_KILL_TWO:
        add_victim(&victims, draw_node(torture, NULL));
        add_victim(&victims, draw_node(torture, victims.nodes[0]));
        break;
    case EVENT_KILL_ALL:
    case EVENT_KINDS:
        for (unsigned i = 0; i < torture->cluster.count; i++) {
            add_victim(&victims, &torture->cluster.nodes[i]);
        }
        break;
    }
    return victims;
}

static bool freezes(enum event_kind kind)
{
    return kind == EVENT_FREEZE_FOLLOWER || kind == EVENT_FREEZE_LEADER;
}

static void strike(struct torture *torture, enum event_kind kind, const struct victims *victims)
{
    if (kind == EVENT_KILL_ALL) {
        cluster_kill_all(&torture->cluster);
        return;
    }
    for (unsigned i = 0; i < victims->count; i++) {
        if (freezes(kind)) {
            cluster_freeze(victims->nodes[i]);
        } else {
            cluster_kill(victims->nodes[i]);
        }
    }
}

static void bring_back(struct torture *torture)
{
    for (unsigned i = 0; i < torture->cluster.count; i++) {
        cluster_thaw(&torture->cluster.nodes[i]);
    }
    cluster_start_all(&torture->cluster);
}

/* Has the cluster acknowledged a write since the counts in @before, and if @victims is not NULL
 * each of these nodes too? */
static bool writes_again(const struct torture *torture, const uint64_t *before, uint64_t all_before,
                         const struct victims *victims)
{
    if (torture->writer.counters.acknowledged == all_before) {
        return false;
    }
    for (unsigned i = 0; victims != NULL && i < victims->count; i++) {
        unsigned index = (unsigned)(victims->nodes[i] - torture->cluster.nodes);

        if (torture->writer.acks_of[index] == before[index]) {
            return false;
        }
    }
    return true;
}

/* Three times of four the node that was struck has to take writes again before the next event;
 * else that one comes while it is still catching up. */
static bool wait_writes(struct torture *torture, const struct victims *victims)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)ROUND_TIMEOUT_MS * NS_PER_MS;
    uint64_t all_before = torture->writer.counters.acknowledged;
    bool victims_too = draw_below(torture, 4) > 0;
    uint64_t before[CLUSTER_NODES_MAX];

    memcpy(before, torture->writer.acks_of, sizeof before);
    while (!writes_again(torture, before, all_before, victims_too ? victims : NULL)) {
        if (clock_monotonic_ns() >= end_ns) {
            return false;
        }
        turn(torture);
    }
    return true;
}

static void note_pause(struct torture *torture, enum event_kind kind, uint64_t pause_ns)
{
    struct torture_pauses *pauses = &torture->pauses[kind];

    if (pauses->pauses_ns == NULL) {
        pauses->pauses_ns = calloc(torture->options.rounds, sizeof *pauses->pauses_ns);
        if (pauses->pauses_ns == NULL) {
            abort();
        }
    }
    pauses->pauses_ns[pauses->count++] = pause_ns;
}

static bool run_round(struct torture *torture)
{
    enum event_kind kind = draw_kind(torture);
    struct victims victims;
    uint64_t pause_ns;

    run_for(torture, draw_below(torture, MOMENT_MAX_MS));
    victims = draw_victims(torture, kind);
    writer_watch(&torture->writer);
    strike(torture, kind, &victims);
    run_for(torture, freezes(kind)
                         ? FREEZE_MIN_MS + draw_below(torture, FREEZE_MAX_MS - FREEZE_MIN_MS)
                         : draw_below(torture, DOWN_MAX_MS));
    bring_back(torture);
    if (!wait_writes(torture, &victims)) {
        torture_report_note(torture, "no write is acknowledged any more after: %s (%s)",
                            torture_event_name(kind), victims.names);
        return false;
    }
    pause_ns = writer_watched(&torture->writer);
    note_pause(torture, kind, pause_ns);
    torture->rounds_done++;
    torture_report_event(torture, kind, victims.names, pause_ns);
    return true;
}

static bool prepare(struct torture *torture)
{
    const struct torture_options *options = &torture->options;
    struct cluster *cluster = &torture->cluster;

    cluster_init(cluster, torture->dir, options->nodes, options->witness);
    for (unsigned i = 0; i < cluster->count; i++) {
        if (!cluster_create_node(&cluster->nodes[i])) {
            return false;
        }
    }
    if (!cluster_bootstrap(cluster, options->nodes)) {
        return false;
    }
    writer_init(&torture->writer, cluster,
                (struct writer_options){.outstanding = options->outstanding,
                                        .rate = options->rate,
                                        .value_size = VALUE_SIZE,
                                        .timeout_max_ms = PUT_TIMEOUT_MAX_MS});
    cluster_start_all(cluster);
    if (!cluster_wait(cluster, cluster_has_leader, NULL, START_TIMEOUT_MS)) {
        torture_report_note(torture, "no leader within %u s", START_TIMEOUT_MS / 1000);
        return false;
    }
    return true;
}

/* Everything healed: the last writes get their outcome, all nodes become equal, and are asked. */
static bool heal(struct torture *torture)
{
    bring_back(torture);
    if (!writer_drain(&torture->writer, HEAL_TIMEOUT_MS)) {
        torture_report_note(torture, "%u writes are without an outcome", torture->writer.busy);
        return false;
    }
    if (!cluster_wait(&torture->cluster, cluster_is_equal, NULL, HEAL_TIMEOUT_MS)) {
        torture_report_note(torture, "the nodes did not become equal");
        return false;
    }
    torture->wrong = writer_verify(&torture->writer, HEAL_TIMEOUT_MS);
    return true;
}

static void run_rounds(struct torture *torture)
{
    torture->writer.on = true;
    while (!torture->stuck && torture->rounds_done < torture->options.rounds) {
        torture->stuck = !run_round(torture);
    }
    torture->end_ns = clock_monotonic_ns();
    if (!heal(torture)) {
        torture->stuck = true;
    }
    restart_ended(torture);
    cluster_kill_all(&torture->cluster);
    torture->offline = offline_examine(&torture->cluster, &torture->writer, NULL);
}

/* A directory of ours from an earlier run is replaced; any other that is not empty is not. */
static bool make_dir(struct torture *torture)
{
    char *mark;
    int rv;

    if (torture->options.dir == NULL) {
        torture->dir = process_format("/var/tmp/qh-torture-XXXXXX");
        return mkdtemp(torture->dir) != NULL;
    }
    torture->dir = process_format("%s", torture->options.dir);
    mark = process_format("%s/" MARK, torture->dir);
    if (access(mark, F_OK) == 0) {
        process_remove_tree(torture->dir);
    }
    rv = mkdir(torture->dir, 0700);
    if (rv == 0) {
        FILE *file = fopen(mark, "we");

        rv = file == NULL ? -1 : fclose(file);
    }
    free(mark);
    return rv == 0;
}

/* Nothing of this may outlive the driver, so the driver stays. */
static void stay(struct torture *torture)
{
    struct cluster *cluster = &torture->cluster;

    cluster->callbacks = (struct cluster_callbacks){0};
    cluster_start_all(cluster);
    (void)printf(
        "\nThe nodes are running again. Ask one over its control socket, for example:\n\n");
    for (unsigned i = 0; i < cluster->count; i++) {
        (void)printf("  echo status | socat -t2 - UNIX-CONNECT:%s\n",
                     cluster->nodes[i].socket_path);
    }
    (void)printf("\nInterrupt (Ctrl-C) to end them.\n");
    (void)fflush(stdout);
    for (;;) {
        cluster_poll(cluster, 1000);
    }
}

static bool parse_number(const char *text, unsigned max, unsigned *ret_number)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number > max) {
        (void)fprintf(stderr, "qh-torture: not a number from 0 to %u: %s\n", max, text);
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool take_option(struct torture_options *options, int option)
{
    switch (option) {
    case 'r':
        return parse_number(optarg, 1000000, &options->rounds);
    case 'n':
        return parse_number(optarg, 5, &options->nodes);
    case 'o':
        return parse_number(optarg, WRITER_REQUESTS_MAX / CLUSTER_NODES_MAX, &options->outstanding);
    case 'R':
        return parse_number(optarg, 1000000, &options->rate);
    case 's':
        options->seed = strtoull(optarg, NULL, 10);
        return true;
    case 'd':
        options->dir = optarg;
        return true;
    case 'w':
        options->witness = true;
        return true;
    case 'k':
        options->keep = true;
        return true;
    case 'v':
        options->verbose = true;
        return true;
    case 'D':
        options->demo = true;
        options->verbose = true;
        return true;
    default:
        return false;
    }
}

static bool parse_options(int argc, char **argv, struct torture_options *ret_options)
{
    static const struct option long_options[] = {
        {"rounds", required_argument, NULL, 'r'},
        {"nodes", required_argument, NULL, 'n'},
        {"witness", no_argument, NULL, 'w'},
        {"seed", required_argument, NULL, 's'},
        {"dir", required_argument, NULL, 'd'},
        {"keep", no_argument, NULL, 'k'},
        {"outstanding", required_argument, NULL, 'o'},
        {"rate", required_argument, NULL, 'R'},
        {"verbose", no_argument, NULL, 'v'},
        {"demo", no_argument, NULL, 'D'},
        {NULL, 0, NULL, 0},
    };
    struct torture_options options = {.outstanding = 16,
                                      .rate = 250,
                                      .seed = randombytes_uniform(1000000),
                                      .verbose = isatty(STDOUT_FILENO) == 1};
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!take_option(&options, option)) {
            return false;
        }
    }
    if (optind != argc || options.rounds == 0 || options.nodes < 3 || options.outstanding == 0) {
        return false;
    }
    *ret_options = options;
    return true;
}

static void close_torture(struct torture *torture, bool passed)
{
    for (unsigned i = 0; i < EVENT_KINDS; i++) {
        free(torture->pauses[i].pauses_ns);
    }
    writer_close(&torture->writer);
    cluster_close(&torture->cluster);
    if (passed && !torture->options.keep) {
        process_remove_tree(torture->dir);
    } else {
        (void)printf("The directories and logs are kept: %s\n", torture->dir);
    }
    free(torture->dir);
}

int main(int argc, char **argv)
{
    static struct torture torture;
    bool passed = false;

    if (sodium_init() < 0) {
        return 2;
    }
    if (!parse_options(argc, argv, &torture.options)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    torture.random = torture.options.seed;
    torture.begin_ns = clock_monotonic_ns();
    if (!make_dir(&torture)) {
        (void)fprintf(stderr, "qh-torture: %s: %s\n", torture.dir, strerror(errno));
        return 2;
    }
    torture_report_begin(&torture);
    if (prepare(&torture)) {
        run_rounds(&torture);
        passed = torture_report_end(&torture);
    }
    if (!passed) {
        cluster_print_logs(&torture.cluster, LOG_LINES);
    } else if (torture.options.demo && torture.options.keep) {
        stay(&torture);
    }
    close_torture(&torture, passed);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
