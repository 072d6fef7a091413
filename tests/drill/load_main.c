/* qh-load: an application under a stopwatch. Signs through any PKCS#11 module, has OpenSSL verify
 * each signature, creates keys if it is asked to, and says every second how it went.
 *
 *   qh-load --module FILE --pin-file FILE [--token LABEL] [--seconds N] [--threads N] [--rate N]
 *           [--create]
 *
 * Exit status: 0 if no signature failed or was wrong and every acknowledged key is there. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/drill/load.h"

#define EXIT_USAGE 2
#define NS_PER_S 1000000000u
#define NS_PER_MS 1e6
#define NS_PER_US 1000u

static const char usage[] =
    "usage: qh-load --module FILE --pin-file FILE [--token LABEL] [--seconds N] [--threads N]\n"
    "               [--rate N] [--create]\n"
    "\n"
    "Signs through the module, alternately RSA-2048 and P-256, each signature verified by "
    "OpenSSL.\n"
    "--seconds 0 goes on until interrupted (10); --threads (4); --rate: signatures a second of "
    "each\n"
    "thread, 0 for no limit (100); --create: creates keys as well.\n";

struct options {
    const char *module, *pin_file, *token;
    unsigned seconds;
    struct load_options load;
};

static bool parse_number(const char *text, unsigned max, unsigned *ret_number)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' || number > max) {
        (void)fprintf(stderr, "qh-load: not a number from 0 to %u: %s\n", max, text);
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool take_option(struct options *options, int option)
{
    switch (option) {
    case 'm':
        options->module = optarg;
        return true;
    case 'p':
        options->pin_file = optarg;
        return true;
    case 't':
        options->token = optarg;
        return true;
    case 's':
        return parse_number(optarg, 1000000, &options->seconds);
    case 'n':
        return parse_number(optarg, LOAD_SIGNERS_MAX, &options->load.signers);
    case 'r':
        return parse_number(optarg, 1000000, &options->load.rate);
    case 'c':
        options->load.create = true;
        return true;
    default:
        return false;
    }
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {
        {"module", required_argument, NULL, 'm'},  {"pin-file", required_argument, NULL, 'p'},
        {"token", required_argument, NULL, 't'},   {"seconds", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 'n'}, {"rate", required_argument, NULL, 'r'},
        {"create", no_argument, NULL, 'c'},        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!take_option(options, option)) {
            return false;
        }
    }
    return optind == argc && options->module != NULL && options->pin_file != NULL;
}

static bool read_pin(const char *path, char pin[256])
{
    FILE *file = fopen(path, "re");
    size_t size;

    if (file == NULL) {
        (void)fprintf(stderr, "qh-load: %s: %s\n", path, strerror(errno));
        return false;
    }
    size = fread(pin, 1, 255, file);
    (void)fclose(file);
    pin[size] = '\0';
    pin[strcspn(pin, "\r\n")] = '\0';
    return true;
}

static void show_failures(struct load *load)
{
    struct load_failure failure;
    char room[24];

    while (load_next_failure(load, &failure)) {
        (void)printf("  failed after %.1f ms: %s: %s\n", (double)failure.took_ns / NS_PER_MS,
                     failure.work == LOAD_CREATE ? "creating a key" : "signing",
                     failure.rv == CKR_OK ? "the signature is wrong" : p11_error(failure.rv, room));
    }
}

static void show_second(struct load *load, unsigned second, uint64_t begin_ns, uint64_t end_ns)
{
    struct load_summary signing, creating;

    load_summarize(load, LOAD_SIGNING, begin_ns, end_ns, &signing);
    load_summarize(load, LOAD_CREATING, begin_ns, end_ns, &creating);
    (void)printf("%4u s  %5" PRIu64 " signatures, median %.2f ms, longest gap %.1f ms, "
                 "%" PRIu64 " failed, %" PRIu64 " wrong; %" PRIu64 " keys created, %" PRIu64
                 " failed\n",
                 second, signing.done, (double)signing.median_ns / NS_PER_MS,
                 (double)signing.gap_ns / NS_PER_MS, signing.failed, signing.wrong, creating.done,
                 creating.failed);
    show_failures(load);
    (void)fflush(stdout);
}

static unsigned missing_keys(struct p11 *p11, struct load *load)
{
    unsigned missing = 0;

    for (size_t i = 0; i < load_key_count(load); i++) {
        unsigned count = 0;

        if (p11_count(p11, CKO_PRIVATE_KEY, load_key_id(load, i), &count) != CKR_OK || count != 1) {
            missing++;
        }
    }
    return missing;
}

static int run(struct p11 *p11, const struct options *options)
{
    struct load *load = load_start(p11, &options->load);
    uint64_t begin_ns = clock_monotonic_ns();
    struct load_summary all, created;
    unsigned missing;

    if (load == NULL) {
        return EXIT_FAILURE;
    }
    for (unsigned second = 1; options->seconds == 0 || second <= options->seconds; second++) {
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_sec = 1}, NULL);
        show_second(load, second, begin_ns + (uint64_t)(second - 1) * NS_PER_S,
                    begin_ns + (uint64_t)second * NS_PER_S);
    }
    load_stop(load);
    load_summarize(load, LOAD_SIGNING, begin_ns, clock_monotonic_ns(), &all);
    load_summarize(load, LOAD_CREATING, begin_ns, clock_monotonic_ns(), &created);
    missing = missing_keys(p11, load);
    (void)printf("signed=%" PRIu64 " failed=%" PRIu64 " wrong=%" PRIu64 " median_us=%" PRIu64
                 " p99_us=%" PRIu64 " created=%" PRIu64 " missing=%u\n",
                 all.done, all.failed, all.wrong, all.median_ns / NS_PER_US, all.p99_ns / NS_PER_US,
                 created.done, missing);
    load_free(load);
    return all.failed + all.wrong + missing == 0 && all.done > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options = {
        .seconds = 10, .load = {.signers = 4, .rate = 100, .pause_ms = 20, .prefix = "qh-load"}};
    struct p11 p11;
    char pin[256];
    int status;

    if (!parse_options(argc, argv, &options)) {
        (void)fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (!read_pin(options.pin_file, pin) || !p11_open(&p11, options.module, options.token, pin)) {
        return EXIT_FAILURE;
    }
    status = run(&p11, &options);
    p11_close(&p11);
    return status;
}
