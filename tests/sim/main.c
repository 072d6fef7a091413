/* The simulator's command line: many seeds, a process each, and a table of what they met. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raft-glue/guard.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#define SEED_CPU_SECONDS 60u
#define SEED_WALL_SECONDS 300u
#define JOBS_MAX 64u
#define FAILURES_SHOWN_MAX 12u /* a scenario */

struct options {
    const struct scenario *scenario; /* NULL: all */
    uint64_t first;
    uint64_t seeds; /* in all */
    unsigned rules;
    unsigned jobs;
    bool trace;
    bool stop; /* at the first failure */
    const char *program;
};

/* What became of the seeds of one scenario. */
struct tally {
    uint64_t seeds, ok, violations, crashes, stuck;
    uint64_t shown;
    struct world_result sum;
};

/* A seed that is running. */
struct job {
    pid_t pid; /* 0: free */
    unsigned scenario;
    uint64_t seed;
    struct world_result *result;
};

static struct options options = {.first = 1, .seeds = 100, .rules = GUARD_RULES_ALL};
static struct tally *tallies;
static struct job jobs[JOBS_MAX];
static uint64_t failures;

static void list_scenarios(void)
{
    for (unsigned i = 0; i < scenario_count; i++) {
        (void)printf("%-13s %s\n", scenario_table[i].name, scenario_table[i].about);
    }
}

static _Noreturn void usage(int status)
{
    (void)fprintf(status == 0 ? stdout : stderr,
                  "usage: qh-sim [--scenario NAME|all] [--seeds N] [--first N] [--seed N]\n"
                  "              [--rules HEX] [--jobs N] [--trace] [--stop]\n"
                  "              [--list]\n"
                  "Run N seeds in all, spread over the scenarios, from seed --first on.\n"
                  "--stop: start no more seeds after the first failure.\n"
                  "--rules: those of the guard that are on (raft-glue/guard.h); 0: none.\n");
    exit(status);
}

static uint64_t parse_number(const char *text)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0') {
        (void)fprintf(stderr, "qh-sim: not a number: %s\n", text);
        usage(2);
    }
    return value;
}

static void parse_scenario(const char *name)
{
    options.scenario = scenario_find(name);
    if (options.scenario == NULL && strcmp(name, "all") != 0) {
        (void)fprintf(stderr, "qh-sim: there is no scenario %s; these are:\n", name);
        list_scenarios();
        exit(2);
    }
}

static void parse_rules(const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 16);

    if (end == text || *end != '\0' || (value & ~(unsigned long)GUARD_RULES_ALL) != 0) {
        (void)fprintf(stderr, "qh-sim: --rules takes hexadecimal bits up to %x\n", GUARD_RULES_ALL);
        usage(2);
    }
    options.rules = (unsigned)value;
}

static void parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"scenario", required_argument, NULL, 's'},
        {"seeds", required_argument, NULL, 'n'},
        {"first", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 'o'},
        {"rules", required_argument, NULL, 'r'},
        {"jobs", required_argument, NULL, 'j'},
        {"trace", no_argument, NULL, 't'},
        {"stop", no_argument, NULL, 'q'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 's':
            parse_scenario(optarg);
            break;
        case 'n':
            options.seeds = parse_number(optarg);
            break;
        case 'f':
            options.first = parse_number(optarg);
            break;
        case 'o':
            options.first = parse_number(optarg);
            options.seeds = 1;
            break;
        case 'r':
            parse_rules(optarg);
            break;
        case 'j':
            options.jobs = (unsigned)parse_number(optarg);
            break;
        case 't':
            options.trace = true;
            break;
        case 'q':
            options.stop = true;
            break;
        case 'l':
            list_scenarios();
            exit(0);
        default:
            usage(option == 'h' ? 0 : 2);
        }
    }
    if (optind < argc) {
        usage(2);
    }
}

/* Seeds. */

static _Noreturn void run_seed(const struct job *job)
{
    struct rlimit cpu = {.rlim_cur = SEED_CPU_SECONDS, .rlim_max = SEED_CPU_SECONDS + 5};
    struct rlimit core = {0};

    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)setrlimit(RLIMIT_CORE, &core);
    (void)alarm(SEED_WALL_SECONDS);
    world_start(&scenario_table[job->scenario], job->seed, options.rules, options.trace,
                job->result);
}

static void start_job(struct job *job, unsigned scenario, uint64_t seed)
{
    job->scenario = scenario;
    job->seed = seed;
    memset(job->result, 0, sizeof *job->result);
    (void)fflush(stdout);
    job->pid = fork();
    if (job->pid < 0) {
        perror("qh-sim: fork");
        exit(2);
    }
    if (job->pid == 0) {
        run_seed(job);
    }
}

static void add_result(struct world_result *sum, const struct world_result *result)
{
    sum->virtual_ms += result->virtual_ms;
    sum->submitted += result->submitted;
    sum->acked += result->acked;
    sum->duplicates += result->duplicates;
    sum->refused += result->refused;
    sum->fenced += result->fenced;
    sum->unknown += result->unknown;
    sum->never_sent += result->never_sent;
    sum->applied += result->applied;
    sum->crashes += result->crashes;
    sum->fatals += result->fatals;
    sum->elections += result->elections;
    sum->snapshots += result->snapshots;
    sum->installs += result->installs;
    sum->changes += result->changes;
    sum->transfers += result->transfers;
    sum->messages += result->messages;
    sum->campaigns += result->campaigns;
    sum->handovers += result->handovers;
    sum->partitions += result->partitions;
}

static void show_failure(const struct job *job, struct tally *tally, const char *what)
{
    const char *name = scenario_table[job->scenario].name;

    failures++;
    if (tally->shown++ < FAILURES_SHOWN_MAX) {
        (void)printf("%s seed %llu: %s\n    replay: %s --scenario %s --seed %llu --rules %x "
                     "--trace\n",
                     name, (unsigned long long)job->seed, what, options.program, name,
                     (unsigned long long)job->seed, options.rules);
    }
}

static void finish_job(struct job *job, int status)
{
    struct tally *tally = &tallies[job->scenario];
    char what[64];

    tally->seeds++;
    add_result(&tally->sum, job->result);
    if (WIFEXITED(status) && WEXITSTATUS(status) == WORLD_EXIT_OK) {
        tally->ok++;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == WORLD_EXIT_VIOLATION) {
        tally->violations++;
        show_failure(job, tally, job->result->why);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == WORLD_EXIT_STUCK) {
        tally->stuck++;
        show_failure(job, tally, job->result->why);
    } else if (WIFSIGNALED(status) &&
               (WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGXCPU)) {
        tally->stuck++;
        show_failure(job, tally, "stuck: it hangs");
    } else {
        tally->crashes++;
        (void)snprintf(what, sizeof what, "crash: %s",
                       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
        show_failure(job, tally, what);
    }
    job->pid = 0;
}

/* Wait for one to end. */
static void reap(void)
{
    int status;
    pid_t pid = wait(&status);

    for (unsigned i = 0; pid > 0 && i < options.jobs; i++) {
        if (jobs[i].pid == pid) {
            finish_job(&jobs[i], status);
        }
    }
}

static struct job *free_job(void)
{
    for (;;) {
        for (unsigned i = 0; i < options.jobs; i++) {
            if (jobs[i].pid == 0) {
                return &jobs[i];
            }
        }
        reap();
    }
}

static bool is_running(void)
{
    for (unsigned i = 0; i < options.jobs; i++) {
        if (jobs[i].pid != 0) {
            return true;
        }
    }
    return false;
}

static void run_all(void)
{
    for (uint64_t i = 0; i < options.seeds && !(options.stop && failures > 0); i++) {
        if (options.scenario != NULL) {
            start_job(free_job(), (unsigned)(options.scenario - scenario_table), options.first + i);
        } else {
            start_job(free_job(), (unsigned)(i % scenario_count),
                      options.first + i / scenario_count);
        }
    }
    while (is_running()) {
        reap();
    }
}

/* The summary. */

static void print_row(const char *name, const struct tally *tally)
{
    (void)printf("%-13s %7llu %7llu %7llu %7llu %7llu %9llu %8.1f %8llu %8llu %7llu %7llu\n", name,
                 (unsigned long long)tally->seeds, (unsigned long long)tally->ok,
                 (unsigned long long)tally->violations, (unsigned long long)tally->crashes,
                 (unsigned long long)tally->stuck, (unsigned long long)tally->sum.acked,
                 (double)tally->sum.virtual_ms / 3600000.0, (unsigned long long)tally->sum.crashes,
                 (unsigned long long)tally->sum.elections, (unsigned long long)tally->sum.snapshots,
                 (unsigned long long)tally->sum.installs);
}

static void print_details(const struct world_result *result)
{
    (void)printf("latency p50 %llu ms, p99 %llu ms; fail-overs %llu, median %llu ms\n",
                 (unsigned long long)result->latency_p50_ms,
                 (unsigned long long)result->latency_p99_ms, (unsigned long long)result->failovers,
                 (unsigned long long)result->failover_p50_ms);
}

static void print_summary(void)
{
    struct tally total = {0};

    (void)printf("%-13s %7s %7s %7s %7s %7s %9s %8s %8s %8s %7s %7s\n", "scenario", "seeds", "ok",
                 "violate", "crash", "stuck", "acked", "hours", "deaths", "leaders", "snaps",
                 "install");
    for (unsigned i = 0; i < scenario_count; i++) {
        if (tallies[i].seeds == 0) {
            continue;
        }
        print_row(scenario_table[i].name, &tallies[i]);
        total.seeds += tallies[i].seeds;
        total.ok += tallies[i].ok;
        total.violations += tallies[i].violations;
        total.crashes += tallies[i].crashes;
        total.stuck += tallies[i].stuck;
        add_result(&total.sum, &tallies[i].sum);
    }
    print_row("all", &total);
    (void)printf("answers: %llu duplicate, %llu refused (%llu fenced), %llu unknown, %llu never "
                 "sent; %llu messages, %llu fail-stops, %llu changes, %llu transfers, %llu "
                 "campaigns, %llu hand-overs\n",
                 (unsigned long long)total.sum.duplicates, (unsigned long long)total.sum.refused,
                 (unsigned long long)total.sum.fenced, (unsigned long long)total.sum.unknown,
                 (unsigned long long)total.sum.never_sent, (unsigned long long)total.sum.messages,
                 (unsigned long long)total.sum.fatals, (unsigned long long)total.sum.changes,
                 (unsigned long long)total.sum.transfers, (unsigned long long)total.sum.campaigns,
                 (unsigned long long)total.sum.handovers);
    (void)printf("sim: rules %x: %llu seeds, %llu ok, %llu violations, %llu crashes, %llu stuck\n",
                 options.rules, (unsigned long long)total.seeds, (unsigned long long)total.ok,
                 (unsigned long long)total.violations, (unsigned long long)total.crashes,
                 (unsigned long long)total.stuck);
}

int main(int argc, char **argv)
{
    struct world_result *results;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    parse_options(argc, argv);
    options.program = argv[0];
    if (options.jobs == 0) {
        options.jobs = cpus < 1 ? 1 : (unsigned)cpus;
    }
    if (options.jobs > JOBS_MAX) {
        options.jobs = JOBS_MAX;
    }
    results = mmap(NULL, options.jobs * sizeof *results, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED) {
        perror("qh-sim: mmap");
        return 2;
    }
    for (unsigned i = 0; i < options.jobs; i++) {
        jobs[i].result = &results[i];
    }
    tallies = world_alloc(scenario_count * sizeof *tallies);
    run_all();
    if (options.seeds == 1) {
        print_details(&results[0]);
    }
    print_summary();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
