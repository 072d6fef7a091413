/* An application of the client library, for scenes in which nodes die: it signs without a pause and
 * tells on request how that went.
 *
 *   qh-client --partition NAME --pin-file FILE --label LABEL [--config FILE] [--threads N]
 *             [--no-threads] [--fork] [--once]
 *
 * Each line on standard input is answered with one about the time since the last:
 *
 *   made N failed N gap MS node NAME
 *
 * where gap is the longest time in which no signature was made, and NODE answered the last one. At
 * the end of the input it ends, with status 0 if nothing failed. --no-threads: the library makes
 * none. --fork: each line's signatures are made by a child, too. --once: one signature. */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cryptoki.h"
#include "client/quadhsm.h"

#define THREADS_MAX 32u
#define VERIFY_EACH 8u /* every so many signatures */
#define CHILD_SIGNATURES 10u

struct options {
    const char *config, *partition, *pin_file, *label;
    unsigned threads;
    bool no_threads, forks, once;
};

static struct options options = {.threads = 4};
static struct quadhsm *handle;
static struct quadhsm_token *token;
static struct quadhsm_object *private_key, *public_key;
static const struct quadhsm_mechanism ecdsa = {.type = CKM_ECDSA_SHA256};
static atomic_bool stop;
static atomic_uint made, failed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static uint64_t last_ms, gap_ms;
static char last_node[64];

static void need(int error, const char *what)
{
    if (error != QUADHSM_OK) {
        (void)fprintf(stderr, "qh-client: %s: %s: %s\n", what, quadhsm_error_message(error),
                      quadhsm_error_detail());
        exit(1);
    }
}

static struct quadhsm_object *find_key(uint8_t class)
{
    const uint8_t value[8] = {class};
    const struct quadhsm_attribute wanted[] = {
        {.type = CKA_CLASS, .value = value, .size = sizeof value},
        {.type = CKA_LABEL, .value = options.label, .size = strlen(options.label)},
    };
    struct quadhsm_object **list, *object;
    size_t count;

    need(quadhsm_find(token, wanted, 2, 1, &list, &count), "finding the key");
    need(count == 1 ? QUADHSM_OK : QUADHSM_ENOTFOUND, options.label);
    object = list[0];
    free(list);
    return object;
}

static void open_all(void)
{
    FILE *file = fopen(options.pin_file, "r");
    char pin[256] = "";

    if (file == NULL || fgets(pin, sizeof pin, file) == NULL) {
        perror(options.pin_file);
        exit(1);
    }
    (void)fclose(file);
    pin[strcspn(pin, "\n")] = '\0';
    need(quadhsm_open(options.config, &handle), "opening");
    if (options.no_threads) {
        quadhsm_forbid_threads(handle);
    }
    need(quadhsm_token_open_name(handle, options.partition, &token), options.partition);
    need(quadhsm_login(token, QUADHSM_CU, pin, strlen(pin)), "logging in");
    private_key = find_key(CKO_PRIVATE_KEY);
    public_key = find_key(CKO_PUBLIC_KEY);
}

static void note_signature(void)
{
    uint64_t now_ms = clock_monotonic_ms();

    (void)pthread_mutex_lock(&lock);
    if (now_ms - last_ms > gap_ms) {
        gap_ms = now_ms - last_ms;
    }
    last_ms = now_ms;
    (void)snprintf(last_node, sizeof last_node, "%s", quadhsm_last_node());
    (void)pthread_mutex_unlock(&lock);
    atomic_fetch_add(&made, 1);
}

/* False if it failed, or is wrong. */
static bool sign_one(unsigned number)
{
    uint8_t signature[132];
    size_t size;
    int error = quadhsm_sign(token, private_key, &ecdsa, &number, sizeof number, signature,
                             sizeof signature, &size);

    if (error == QUADHSM_OK) {
        note_signature();
        if (number % VERIFY_EACH == 0) {
            error =
                quadhsm_verify(token, public_key, &ecdsa, &number, sizeof number, signature, size);
        }
    }
    if (error != QUADHSM_OK) {
        (void)fprintf(stderr, "qh-client: signing: %s: %s\n", quadhsm_error_message(error),
                      quadhsm_error_detail());
        atomic_fetch_add(&failed, 1);
    }
    return error == QUADHSM_OK;
}

static void *keep_signing(void *data)
{
    unsigned number = (unsigned)(uintptr_t)data;

    while (!atomic_load(&stop)) {
        (void)sign_one(number++);
    }
    return NULL;
}

/* A child of a process with threads that are signing. */
static void sign_in_child(void)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        for (unsigned i = 0; i < CHILD_SIGNATURES; i++) {
            if (!sign_one(i)) {
                _exit(1);
            }
        }
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        (void)fprintf(stderr, "qh-client: a child failed: status %d\n", status);
        atomic_fetch_add(&failed, 1);
    }
}

static void tell(void)
{
    (void)pthread_mutex_lock(&lock);
    (void)printf("made %u failed %u gap %" PRIu64 " node %s\n", atomic_load(&made),
                 atomic_load(&failed), gap_ms, last_node);
    (void)fflush(stdout);
    gap_ms = 0;
    (void)pthread_mutex_unlock(&lock);
}

static bool take_options(int argc, char **argv)
{
    static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
                                                 {"partition", required_argument, NULL, 'p'},
                                                 {"pin-file", required_argument, NULL, 'f'},
                                                 {"label", required_argument, NULL, 'l'},
                                                 {"threads", required_argument, NULL, 't'},
                                                 {"no-threads", no_argument, NULL, 'n'},
                                                 {"fork", no_argument, NULL, 'k'},
                                                 {"once", no_argument, NULL, 'o'},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
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
        case 'l':
            options.label = optarg;
            break;
        case 't':
            options.threads = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            options.no_threads = true;
            break;
        case 'k':
            options.forks = true;
            break;
        case 'o':
            options.once = true;
            break;
        default:
            return false;
        }
    }
    return options.partition != NULL && options.pin_file != NULL && options.label != NULL &&
           options.threads >= 1 && options.threads <= THREADS_MAX;
}

static void sign_until_told(void)
{
    pthread_t threads[THREADS_MAX];
    char line[64];

    for (unsigned i = 0; i < options.threads; i++) {
        if (pthread_create(&threads[i], NULL, keep_signing, (void *)(uintptr_t)(i << 24)) != 0) {
            abort();
        }
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (options.forks) {
            sign_in_child();
        }
        tell();
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < options.threads; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

int main(int argc, char **argv)
{
    if (!take_options(argc, argv)) {
        (void)fprintf(stderr, "qh-client: --partition, --pin-file and --label are needed\n");
        return 2;
    }
    open_all();
    last_ms = clock_monotonic_ms();
    if (options.once) {
        if (sign_one(0)) {
            tell();
        }
    } else {
        sign_until_told();
    }
    quadhsm_object_free(private_key);
    quadhsm_object_free(public_key);
    quadhsm_token_close(token);
    quadhsm_close(handle);
    return atomic_load(&failed) == 0 ? 0 : 1;
}
