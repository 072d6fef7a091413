/* qh-handshakes: a storm of full TLS handshakes against servers whose keys are elsewhere; each is
 * one signature. Nothing is resumed, each certificate is verified, and none may fail.
 *
 *   qh-handshakes --ca FILE [--threads N] [--count N] [--pause MS] TARGET...
 *
 * A target is ADDRESS:PORT/KIND, KIND being rsa12, ec12, rsa13 or ec13: the key, and TLS 1.2
 * or 1.3. Each thread pauses after each handshake. It ends after COUNT handshakes, or, without one,
 * with SIGTERM, and says for each target and in all "N handshakes, F failed, longest X ms". Exit
 * status: 0 if none failed, and each target had one. */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

#define TARGETS_MAX 8u
#define THREADS_MAX 64u
#define COUNT_MAX 1000000u
#define PAUSE_MAX_MS 900u
#define FAILURES_SHOWN 10u
#define GIVE_UP_S 60 /* a read or write */
#define TEXT_ROOM 256u
#define EXIT_USAGE 2

static struct kind {
    const char *name;
    int version;
    char signatures[16]; /* OpenSSL wants no const */
} kinds[] = {
    {"rsa12", TLS1_2_VERSION, "RSA+SHA256"},
    {"ec12", TLS1_2_VERSION, "ECDSA+SHA256"},
    {"rsa13", TLS1_3_VERSION, "RSA-PSS+SHA256"},
    {"ec13", TLS1_3_VERSION, "ECDSA+SHA256"},
};

struct target {
    const char *text;
    struct sockaddr_in address;
    SSL_CTX *context;
    atomic_uint done, failed;
    atomic_uint longest_ms;
};

static struct {
    struct target targets[TARGETS_MAX];
    unsigned target_count;
    unsigned threads;
    unsigned count; /* 0: until SIGTERM */
    unsigned pause_ms;
    const char *ca;
    atomic_uint begun, shown;
} storm = {.threads = 4};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

/* ---- one handshake ---- */

static bool complain(char text[TEXT_ROOM], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool complain(char text[TEXT_ROOM], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, TEXT_ROOM, format, args);
    va_end(args);
    return false;
}

static bool complain_tls(char text[TEXT_ROOM], const SSL *ssl, int result)
{
    int error = SSL_get_error(ssl, result);
    unsigned long code = ERR_get_error();

    return complain(text, "error %d: %s", error,
                    code != 0 ? ERR_reason_error_string(code) : "the connection ended");
}

static bool shake_hands(const struct target *target, int fd, char text[TEXT_ROOM])
{
    const struct timeval limit = {.tv_sec = GIVE_UP_S};
    SSL *ssl = SSL_new(target->context);
    bool good;
    int result;

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
        SSL_free(ssl);
        return complain(text, "no memory or no socket");
    }
    ERR_clear_error();
    result = SSL_connect(ssl);
    good = result == 1 || complain_tls(text, ssl, result);
    if (good && SSL_session_reused(ssl)) {
        good = complain(text, "the session was resumed");
    }
    if (good) {
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    return good;
}

static bool connect_once(const struct target *target, char text[TEXT_ROOM])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good;

    if (fd < 0) {
        return complain(text, "no socket");
    }
    if (connect(fd, (const struct sockaddr *)&target->address, sizeof target->address) != 0) {
        good = complain(text, "no connection");
    } else {
        good = shake_hands(target, fd, text);
    }
    close(fd);
    return good;
}

static void note_time(struct target *target, unsigned took_ms)
{
    unsigned longest = atomic_load(&target->longest_ms);

    while (took_ms > longest &&
           !atomic_compare_exchange_weak(&target->longest_ms, &longest, took_ms)) {
    }
}

/* Thread @arg, a number, begins at its own target. */
static void *shake(void *arg)
{
    unsigned turn = *(unsigned *)arg;
    char text[TEXT_ROOM];

    while (stopped == 0 && (storm.count == 0 || atomic_fetch_add(&storm.begun, 1) < storm.count)) {
        struct target *target = &storm.targets[turn++ % storm.target_count];
        uint64_t begun_ms = clock_monotonic_ms();

        if (!connect_once(target, text)) {
            atomic_fetch_add(&target->failed, 1);
            if (atomic_fetch_add(&storm.shown, 1) < FAILURES_SHOWN) {
                (void)fprintf(stderr, "%s: %s after %u ms\n", target->text, text,
                              (unsigned)(clock_monotonic_ms() - begun_ms));
            }
        }
        atomic_fetch_add(&target->done, 1);
        note_time(target, (unsigned)(clock_monotonic_ms() - begun_ms));
        if (storm.pause_ms > 0) {
            (void)usleep(storm.pause_ms * 1000u);
        }
    }
    return NULL;
}

/* ---- from the arguments to the report ---- */

static SSL_CTX *make_context(struct kind *kind)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL || SSL_CTX_set_min_proto_version(context, kind->version) != 1 ||
        SSL_CTX_set_max_proto_version(context, kind->version) != 1 ||
        SSL_CTX_set1_sigalgs_list(context, kind->signatures) != 1 ||
        SSL_CTX_load_verify_locations(context, storm.ca, NULL) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

static bool add_target(const char *text)
{
    struct target *target = &storm.targets[storm.target_count];
    char address[TEXT_ROOM];
    char kind[TEXT_ROOM];
    unsigned port;

    if (storm.target_count == TARGETS_MAX ||
        sscanf(text, "%255[0-9.]:%5u/%255s", address, &port, kind) != 3 || port > UINT16_MAX ||
        inet_pton(AF_INET, address, &target->address.sin_addr) != 1) {
        return false;
    }
    target->text = text;
    target->address.sin_family = AF_INET;
    target->address.sin_port = htons((uint16_t)port);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kind, kinds[i].name) == 0) {
            target->context = make_context(&kinds[i]);
        }
    }
    storm.target_count++;
    return target->context != NULL;
}

static bool parse_number(const char *text, unsigned max, unsigned *ret_number)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (*text < '1' || *text > '9' || *end != '\0' || number > max) {
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"ca", required_argument, NULL, 'a'},
        {"threads", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'c'},
        {"pause", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'a') {
            storm.ca = optarg;
        } else if (option == 't') {
            good = parse_number(optarg, THREADS_MAX, &storm.threads);
        } else if (option == 'p') {
            good = parse_number(optarg, PAUSE_MAX_MS, &storm.pause_ms);
        } else {
            good = option == 'c' && parse_number(optarg, COUNT_MAX, &storm.count);
        }
    }
    good = good && storm.ca != NULL && optind < argc;
    for (; good && optind < argc; optind++) {
        good = add_target(argv[optind]);
    }
    return good;
}

static void run(void)
{
    pthread_t threads[THREADS_MAX];
    unsigned numbers[THREADS_MAX];
    unsigned started = 0;

    for (; started < storm.threads; started++) {
        numbers[started] = started;
        if (pthread_create(&threads[started], NULL, shake, &numbers[started]) != 0) {
            break;
        }
    }
    for (unsigned i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static bool report(void)
{
    unsigned done = 0, failed = 0, longest_ms = 0;
    bool good = true;

    for (unsigned i = 0; i < storm.target_count; i++) {
        struct target *target = &storm.targets[i];
        unsigned target_longest_ms = atomic_load(&target->longest_ms);

        printf("%s: %u handshakes, %u failed, longest %u ms\n", target->text,
               atomic_load(&target->done), atomic_load(&target->failed), target_longest_ms);
        done += atomic_load(&target->done);
        failed += atomic_load(&target->failed);
        longest_ms = target_longest_ms > longest_ms ? target_longest_ms : longest_ms;
        good = good && atomic_load(&target->done) > 0;
        SSL_CTX_free(target->context);
    }
    printf("%u handshakes, %u failed, longest %u ms\n", done, failed, longest_ms);
    return good && failed == 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = stop};

    if (!parse(argc, argv)) {
        (void)fprintf(stderr,
                      "usage: qh-handshakes --ca FILE [--threads N] [--count N] [--pause MS] "
                      "ADDRESS:PORT/rsa12|ec12|rsa13|ec13...\n");
        return EXIT_USAGE;
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    run();
    return report() ? EXIT_SUCCESS : EXIT_FAILURE;
}
