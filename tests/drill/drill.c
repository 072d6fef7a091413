/* qh-drill: the product at work, and under attack, on one machine.
 *
 * Four nodes in two regions and a witness; an application that signs and creates keys through
 * the PKCS#11 module all the time; and then everything that should not happen. Exit status: 0 only
 * if no signature failed or was wrong, no acknowledged key is missing and all replicas are equal.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/drill/drill.h"
#include "tests/torture/process.h"

#define EXIT_USAGE 2
#define MARK "qh-drill"
#define SETTLE_TIMEOUT_MS 30000u
#define TURN_MS 100
#define WITNESS_SHARE 5u /* of the delay between the regions, in eighths */

static const char usage[] =
    "usage: qh-drill [--quick] [--keep] [--dir DIR] [--delay MS] [--threads N] [--rate N]\n"
    "                [--timing region|cross-region]\n"
    "\n"
    "Starts four nodes in two regions and a witness on this machine, signs and creates keys "
    "through\n"
    "the PKCS#11 module, and meanwhile kills, freezes and cuts off nodes and regions.\n"
    "--quick: shorter phases. --keep: leave the cluster running in the end, and print how to use "
    "it.\n"
    "--dir: instead of a temporary directory. --delay: one way between the regions (4).\n"
    "--threads: that sign (6); --rate: signatures a second of each (60).\n";

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *ret_number)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || number < min || number > max) {
        (void)fprintf(stderr, "qh-drill: not a number from %u to %u: %s\n", min, max, text);
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool take_timing(struct drill_options *options)
{
    options->region_timing = strcmp(optarg, "region") == 0;
    return options->region_timing || strcmp(optarg, "cross-region") == 0;
}

static bool take_option(struct drill_options *options, int option)
{
    switch (option) {
    case 'q':
        options->quick = true;
        return true;
    case 'k':
        options->keep = true;
        return true;
    case 'd':
        options->dir = optarg;
        return true;
    case 'D':
        return parse_number(optarg, 0, 200, &options->delay_ms);
    case 'n':
        return parse_number(optarg, 1, LOAD_SIGNERS_MAX, &options->signers);
    case 'r':
        return parse_number(optarg, 1, 100000, &options->rate);
    case 't':
        return take_timing(options);
    case 'h':
        (void)fputs(usage, stdout);
        exit(0);
    default:
        return false;
    }
}

static bool parse_options(int argc, char **argv, struct drill_options *options)
{
    static const struct option long_options[] = {
        {"quick", no_argument, NULL, 'q'},
        {"keep", no_argument, NULL, 'k'},
        {"dir", required_argument, NULL, 'd'},
        {"delay", required_argument, NULL, 'D'},
        {"threads", required_argument, NULL, 'n'},
        {"rate", required_argument, NULL, 'r'},
        {"timing", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!take_option(options, option)) {
            return false;
        }
    }
    return optind == argc;
}

/* A directory of ours from an earlier run is replaced; any other is not. */
static bool make_dir(struct drill *drill)
{
    char *mark;
    FILE *file;
    bool made;

    if (drill->options.dir == NULL) {
        drill->dir = process_format("/var/tmp/qh-drill-XXXXXX");
        return mkdtemp(drill->dir) != NULL;
    }
    drill->dir = realpath(drill->options.dir, NULL);
    if (drill->dir == NULL) {
        drill->dir = process_format("%s", drill->options.dir);
    }
    mark = process_format("%s/" MARK, drill->dir);
    if (access(mark, F_OK) == 0) {
        process_remove_tree(drill->dir);
    }
    made = mkdir(drill->dir, 0700) == 0;
    file = made ? fopen(mark, "we") : NULL;
    made = file != NULL && fclose(file) == 0;
    free(mark);
    free(drill->dir);
    drill->dir = realpath(drill->options.dir, NULL);
    return made && drill->dir != NULL;
}

static bool read_pin(struct drill *drill)
{
    char *path = stage_path(&drill->stage, "pin/co");
    FILE *file = fopen(path, "re");
    char pin[64];
    bool there = file != NULL && fgets(pin, sizeof pin, file) != NULL;

    if (file != NULL) {
        (void)fclose(file);
    }
    free(path);
    if (there) {
        drill->pin = process_format("%s", pin);
    }
    return there;
}

static bool set_up(struct drill *drill)
{
    struct stage_options options = {.dir = drill->dir,
                                    .cross_region = !drill->options.region_timing,
                                    .east_west_ms = drill->options.delay_ms,
                                    .witness_ms = drill->options.delay_ms * WITNESS_SHARE / 8};

    drill_report_step(drill, "starting four nodes, a witness and the delay between them");
    if (!stage_open(&drill->stage, &options)) {
        return false;
    }
    drill_report_step(drill, "init, join, partition, roles, a client: by the quadhsm command");
    return stage_setup(&drill->stage) && read_pin(drill);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* Those that scripts/chaos/start-node asks for. */
static void start_wanted(struct drill *drill)
{
    stage_reap(&drill->stage);
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        struct stage_node *node = &drill->stage.nodes[i];
        char *wish = process_format("%s/start", node->dir);

        if (unlink(wish) == 0 && node->run == STAGE_DOWN) {
            stage_start(&drill->stage, node);
        }
        free(wish);
    }
}

/* The nodes end with this process, so it stays. */
static void stay(struct drill *drill)
{
    struct sigaction action = {.sa_handler = on_signal};

    stage_start_all(&drill->stage);
    (void)stage_wait(&drill->stage, 0, SETTLE_TIMEOUT_MS);
    drill_report_keep(drill);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    while (interrupted == 0) {
        start_wanted(drill);
        (void)poll(NULL, 0, TURN_MS);
    }
    (void)printf("\nstopping\n");
    (void)stage_stop_all(&drill->stage);
}

static void close_drill(struct drill *drill, bool passed)
{
    if (!passed) {
        stage_print_logs(&drill->stage);
    }
    stage_close(&drill->stage);
    if (passed && !drill->options.keep) {
        process_remove_tree(drill->dir);
    } else {
        (void)printf("The directories and logs are kept: %s\n", drill->dir);
    }
    free(drill->pin);
    free(drill->dir);
}

int main(int argc, char **argv)
{
    static struct drill drill;
    bool passed = false;

    drill.options = (struct drill_options){.delay_ms = 4, .signers = 6, .rate = 60};
    if (!parse_options(argc, argv, &drill.options)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    (void)umask(077);
    drill.begin_ns = clock_monotonic_ns();
    if (!make_dir(&drill)) {
        (void)fprintf(stderr, "qh-drill: %s: %s\n", drill.dir, strerror(errno));
        return EXIT_USAGE;
    }
    drill_report_begin(&drill);
    if (set_up(&drill) && drill_run(&drill)) {
        drill_check(&drill);
        drill_report_end(&drill);
        passed = drill_passed(&drill);
    }
    if (passed && drill.options.keep) {
        stay(&drill);
    }
    close_drill(&drill, passed);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}
