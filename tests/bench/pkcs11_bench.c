/* What the PKCS#11 module does in a second, over mutual TLS to a node on this machine, beside
 * another module in the same process and the same run: SoftHSM2. run-pkcs11.sh makes node and
 * tokens.
 *
 *   qh-bench-pkcs11 --module FILE --token LABEL --pin-file FILE [--pid PID]
 *                   [--other FILE --other-token LABEL] [--repetitions N] [--seconds N]
 *                   [--objects N] [--threads N] [--only NAME]
 *
 * Each load runs on both in turns, --repetitions times; the table has medians. Processor time of
 * our side is that of this process and of the node --pid. --threads and --only run that alone. */
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/pkcs11_side.h"

#define THREADS_MAX 64u
#define SIDES_MAX 2u
#define LOADS_MAX 3u /* numbers of threads */
#define PIN_ROOM 256u

struct options {
    const char *module, *token, *pin_file, *other, *other_token, *only;
    unsigned repetitions, seconds, objects, threads;
    pid_t node;
};

/* Of one load of one side. */
struct measured {
    struct series rate;      /* operations a second */
    struct series client_us; /* processor time of an operation */
    struct series node_us;
};

struct bench {
    struct options options;
    struct side sides[SIDES_MAX];
    unsigned side_count;
    struct measured measured[SIDE_KINDS][LOADS_MAX][SIDES_MAX];
};

struct load {
    struct side *side;
    enum side_kind kind;
    double until_ms;
    pthread_barrier_t *barrier;
    struct side_thread thread;
    unsigned number, count;
};

static const unsigned thread_counts[LOADS_MAX] = {1, 2, 8};

static double cpu_seconds(pid_t pid)
{
    return pid > 0 ? process_cpu_seconds(pid) : 0;
}

static void *run_load(void *data)
{
    struct load *load = data;

    side_thread_open(&load->thread, load->side, load->number);
    (void)pthread_barrier_wait(load->barrier);
    (void)pthread_barrier_wait(load->barrier);
    while (process_now_ms() < load->until_ms) {
        side_run(&load->thread, load->kind);
        load->count++;
    }
    (void)pthread_barrier_wait(load->barrier);
    (void)pthread_barrier_wait(load->barrier);
    side_thread_close(&load->thread);
    return NULL;
}

/* Only what lies between the barriers is measured. */
static void measure(const struct bench *bench, struct side *side, enum side_kind kind,
                    unsigned threads, struct measured *measured)
{
    static struct load loads[THREADS_MAX];
    pthread_t ids[THREADS_MAX];
    pthread_barrier_t barrier;
    double from_ms, client_s, node_s, count = 0;

    (void)pthread_barrier_init(&barrier, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        loads[i] = (struct load){.side = side, .kind = kind, .barrier = &barrier, .number = i};
        if (pthread_create(&ids[i], NULL, run_load, &loads[i]) != 0) {
            process_die("cannot start a thread");
        }
    }
    (void)pthread_barrier_wait(&barrier);
    client_s = cpu_seconds(getpid());
    node_s = cpu_seconds(side->node);
    from_ms = process_now_ms();
    for (unsigned i = 0; i < threads; i++) {
        loads[i].until_ms = from_ms + 1000.0 * bench->options.seconds;
    }
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < threads; i++) {
        count += loads[i].count;
    }
    series_add(&measured->rate, count * 1000.0 / (process_now_ms() - from_ms));
    series_add(&measured->client_us, (cpu_seconds(getpid()) - client_s) * 1e6 / count);
    series_add(&measured->node_us, (cpu_seconds(side->node) - node_s) * 1e6 / count);
    (void)pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
    }
    (void)pthread_barrier_destroy(&barrier);
}

static unsigned thread_count(const struct bench *bench, unsigned load)
{
    return bench->options.threads > 0 ? bench->options.threads : thread_counts[load];
}

static unsigned load_count(const struct bench *bench)
{
    return bench->options.threads > 0 ? 1 : LOADS_MAX;
}

static bool is_wanted(const struct bench *bench, enum side_kind kind)
{
    return bench->options.only == NULL || strstr(side_kind_name(kind), bench->options.only) != NULL;
}

static void measure_kinds(struct bench *bench, enum side_kind first, enum side_kind last)
{
    for (unsigned repetition = 0; repetition < bench->options.repetitions; repetition++) {
        for (unsigned kind = first; kind <= last; kind++) {
            for (unsigned load = 0; is_wanted(bench, kind) && load < load_count(bench); load++) {
                for (unsigned i = 0; i < bench->side_count; i++) {
                    measure(bench, &bench->sides[i], kind, thread_count(bench, load),
                            &bench->measured[kind][load][i]);
                }
            }
        }
    }
}

static void print_row(const struct bench *bench, enum side_kind kind, unsigned load)
{
    const struct measured *ours = &bench->measured[kind][load][0];
    const struct measured *other = &bench->measured[kind][load][1];
    double rate = series_quantile(&ours->rate, 0.5);

    (void)printf("%-20s %7u %10.0f %10.1f %10.1f", side_kind_name(kind), thread_count(bench, load),
                 rate, series_quantile(&ours->client_us, 0.5),
                 series_quantile(&ours->node_us, 0.5));
    if (bench->side_count == SIDES_MAX) {
        double other_rate = series_quantile(&other->rate, 0.5);

        (void)printf(" %12.0f %10.1f %8.2f", other_rate, series_quantile(&other->client_us, 0.5),
                     rate / other_rate);
    }
    (void)printf("\n");
}

static void print_table(const struct bench *bench)
{
    (void)printf("%-20s %7s %10s %10s %10s", "", "threads", "ops/s", "client us", "node us");
    if (bench->side_count == SIDES_MAX) {
        (void)printf(" %12s %10s %8s", bench->sides[1].name, "us", "ratio");
    }
    (void)printf("\n");
    for (unsigned kind = 0; kind < SIDE_KINDS; kind++) {
        for (unsigned load = 0; is_wanted(bench, kind) && load < load_count(bench); load++) {
            print_row(bench, kind, load);
        }
    }
}

static void run(struct bench *bench)
{
    for (unsigned kind = 0; kind < SIDE_KINDS; kind++) {
        for (unsigned i = 0; is_wanted(bench, kind) && i < bench->side_count; i++) {
            side_make_key(&bench->sides[i], kind);
        }
    }
    measure_kinds(bench, SIDE_RSA, SIDE_CREATE);
    for (unsigned i = 0; is_wanted(bench, SIDE_FIND) && i < bench->side_count; i++) {
        double from_ms = process_now_ms();

        side_make_objects(&bench->sides[i], bench->options.objects);
        (void)printf("%s: %u objects in %.1f s\n", bench->sides[i].name, bench->sides[i].objects,
                     (process_now_ms() - from_ms) / 1000.0);
    }
    measure_kinds(bench, SIDE_FIND, SIDE_FIND);
    print_table(bench);
}

static void read_pin(const char *path, char ret_pin[PIN_ROOM])
{
    FILE *file = fopen(path, "re");

    if (file == NULL || fgets(ret_pin, PIN_ROOM, file) == NULL) {
        process_die("cannot read the PIN in %s", path);
    }
    (void)fclose(file);
    ret_pin[strcspn(ret_pin, "\r\n")] = '\0';
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

static bool parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"module", required_argument, NULL, 'm'},
        {"token", required_argument, NULL, 't'},
        {"pin-file", required_argument, NULL, 'f'},
        {"pid", required_argument, NULL, 'i'},
        {"other", required_argument, NULL, 'o'},
        {"other-token", required_argument, NULL, 'k'},
        {"repetitions", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"objects", required_argument, NULL, 'n'},
        {"threads", required_argument, NULL, 'h'},
        {"only", required_argument, NULL, 'y'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'm':
            options->module = optarg;
            break;
        case 't':
            options->token = optarg;
            break;
        case 'f':
            options->pin_file = optarg;
            break;
        case 'i':
            options->node = (pid_t)number(optarg);
            break;
        case 'o':
            options->other = optarg;
            break;
        case 'k':
            options->other_token = optarg;
            break;
        case 'r':
            options->repetitions = number(optarg);
            break;
        case 's':
            options->seconds = number(optarg);
            break;
        case 'n':
            options->objects = number(optarg);
            break;
        case 'h':
            options->threads = number(optarg);
            break;
        case 'y':
            options->only = optarg;
            break;
        default:
            return false;
        }
    }
    return options->module != NULL && options->token != NULL && options->pin_file != NULL &&
           (options->other == NULL) == (options->other_token == NULL) && options->repetitions > 0 &&
           options->seconds > 0 && options->objects > 0 && options->threads <= THREADS_MAX;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.options = {.repetitions = 5, .seconds = 1, .objects = 10000}};
    const struct options *options = &bench.options;
    char pin[PIN_ROOM];

    if (!parse(argc, argv, &bench.options)) {
        (void)fprintf(stderr,
                      "usage: qh-bench-pkcs11 --module FILE --token LABEL --pin-file FILE "
                      "[--pid PID] [--other FILE --other-token LABEL] [--repetitions N] "
                      "[--seconds N] [--objects N] [--threads 1..%u] [--only NAME]\n",
                      THREADS_MAX);
        return 2;
    }
    read_pin(options->pin_file, pin);
    process_print_load();
    side_open(&bench.sides[0], "quadhsm", options->module, options->token, pin);
    bench.sides[0].node = options->node;
    bench.side_count = 1;
    if (options->other != NULL) {
        side_open(&bench.sides[1], "SoftHSM2", options->other, options->other_token, pin);
        bench.side_count = 2;
    }
    run(&bench);
    for (unsigned i = 0; i < bench.side_count; i++) {
        side_close(&bench.sides[i]);
    }
    return 0;
}
