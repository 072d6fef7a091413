/* Many keys in a partition: makes them, and measures finding one of them.
 *
 *   qh-keys --partition NAME --pin-file FILE [--config FILE] --count N [--threads N]
 *   qh-keys ... --find N      find by label and by id among those that are there
 *
 * The keys are AES keys with the labels many-0, many-1, ... and their number as CKA_ID. Exit status
 * 0 if each was made, or found exactly once. */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cryptoki.h"
#include "client/quadhsm.h"

#define THREADS_MAX 32u
#define FINDS 400u

struct options {
    const char *config, *partition, *pin_file;
    unsigned count, threads, find;
};

static struct quadhsm_token *token;
static struct options options = {.threads = 8};
static _Atomic unsigned next_key;
static _Atomic unsigned failures;

static void need(int error, const char *what)
{
    if (error != QUADHSM_OK) {
        (void)fprintf(stderr, "qh-keys: %s: %s: %s\n", what, quadhsm_error_message(error),
                      quadhsm_error_detail());
        exit(1);
    }
}

static void id_of(unsigned number, uint8_t ret_id[4])
{
    for (unsigned i = 0; i < 4; i++) {
        ret_id[i] = (uint8_t)(number >> (24 - 8 * i));
    }
}

static int make_key(unsigned number)
{
    static const uint8_t yes = 1;
    static const uint8_t size[8] = {16};
    const struct quadhsm_mechanism mechanism = {.type = CKM_AES_KEY_GEN};
    struct quadhsm_object *key = NULL;
    char label[32];
    uint8_t id[4];
    int error;

    (void)snprintf(label, sizeof label, "many-%u", number);
    id_of(number, id);
    error = quadhsm_generate(token, &mechanism,
                             (const struct quadhsm_attribute[]){{CKA_TOKEN, &yes, 1},
                                                                {CKA_VALUE_LEN, size, sizeof size},
                                                                {CKA_LABEL, label, strlen(label)},
                                                                {CKA_ID, id, sizeof id}},
                             4, &key);
    quadhsm_object_free(key);
    return error;
}

static void *make_keys(void *unused)
{
    unsigned number;

    while ((number = atomic_fetch_add(&next_key, 1)) < options.count) {
        if (make_key(number) != QUADHSM_OK) {
            (void)fprintf(stderr, "qh-keys: key %u: %s\n", number, quadhsm_error_detail());
            atomic_fetch_add(&failures, 1);
        }
    }
    return unused;
}

static int run_make(void)
{
    pthread_t threads[THREADS_MAX];
    uint64_t from_ms = clock_monotonic_ms();
    uint64_t took_ms;

    for (unsigned i = 0; i < options.threads; i++) {
        need(pthread_create(&threads[i], NULL, make_keys, NULL), "a thread");
    }
    for (unsigned i = 0; i < options.threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    took_ms = clock_monotonic_ms() - from_ms;
    (void)printf("%u keys made in %" PRIu64 " ms, %u failed\n", options.count, took_ms,
                 atomic_load(&failures));
    return atomic_load(&failures) == 0 ? 0 : 1;
}

static int compare_ns(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* Median of finding one key in ns. Each must be there once. */
static uint64_t measure_find(bool by_id)
{
    static uint64_t samples[FINDS];

    for (unsigned i = 0; i < FINDS; i++) {
        unsigned number = i * 7919u % options.find;
        struct quadhsm_object **list = NULL;
        size_t count = 0;
        char label[32];
        uint8_t id[4];
        uint64_t from = clock_monotonic_ns();

        (void)snprintf(label, sizeof label, "many-%u", number);
        id_of(number, id);
        need(quadhsm_find(token,
                          by_id
                              ? &(const struct quadhsm_attribute){CKA_ID, id, sizeof id}
                              : &(const struct quadhsm_attribute){CKA_LABEL, label, strlen(label)},
                          1, 0, &list, &count),
             "find");
        samples[i] = clock_monotonic_ns() - from;
        if (count != 1) {
            (void)printf("key %u was found %zu times\n", number, count);
            exit(1);
        }
        quadhsm_objects_free(list, count);
    }
    qsort(samples, FINDS, sizeof samples[0], compare_ns);
    return samples[FINDS / 2];
}

static int run_find(void)
{
    struct quadhsm_object **list = NULL;
    size_t count = 0;
    uint64_t from_ms = clock_monotonic_ms();

    need(quadhsm_find(token, NULL, 0, 0, &list, &count), "list");
    (void)printf("%zu objects listed in %" PRIu64 " ms\n", count, clock_monotonic_ms() - from_ms);
    quadhsm_objects_free(list, count);
    (void)printf("find by label: median %.3f ms\n", (double)measure_find(false) / 1e6);
    (void)printf("find by id:    median %.3f ms\n", (double)measure_find(true) / 1e6);
    return 0;
}

static void parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"partition", required_argument, NULL, 'p'},
        {"pin-file", required_argument, NULL, 'f'},
        {"count", required_argument, NULL, 'n'},
        {"threads", required_argument, NULL, 't'},
        {"find", required_argument, NULL, 'F'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'c':
            options.config = optarg;
            break;
        case 'p':
            options.partition = optarg;
            break;
        case 'f':
            options.pin_file = optarg;
            break;
        case 'n':
            options.count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 't':
            options.threads = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'F':
            options.find = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    if (options.partition == NULL || options.pin_file == NULL || options.threads == 0 ||
        options.threads > THREADS_MAX || (options.count == 0) == (options.find == 0)) {
        (void)fprintf(stderr, "usage: qh-keys --partition NAME --pin-file FILE [--config FILE] "
                              "--count N [--threads 1..32] | --find N\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct quadhsm *handle;
    char pin[256];
    size_t size;
    FILE *file;
    int status;

    parse(argc, argv);
    file = fopen(options.pin_file, "re");
    if (file == NULL) {
        perror(options.pin_file);
        return 2;
    }
    size = fread(pin, 1, sizeof pin, file);
    (void)fclose(file);
    size -= size > 0 && pin[size - 1] == '\n';
    need(quadhsm_open(options.config, &handle), "open");
    need(quadhsm_token_open_name(handle, options.partition, &token), "partition");
    need(quadhsm_login(token, QUADHSM_CO, pin, size), "login");
    status = options.count > 0 ? run_make() : run_find();
    quadhsm_token_close(token);
    quadhsm_close(handle);
    return status;
}
