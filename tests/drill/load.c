/* Threads that sign and create, and what they remember. */
#include "tests/drill/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "tests/torture/process.h"

#define NS_PER_S 1000000000u
#define NS_PER_MS 1000000u
#define FIRST_ROOM 4096u
#define FAILURES_MAX 1024u
#define PULSE_NS 2000000u
#define PULSE_NOTED_NS 5000000u /* shorter ones are not worth the memory */

enum outcome { DONE, FAILED, WRONG };

struct event {
    uint64_t end_ns;
    uint64_t took_ns;
    uint8_t work, outcome;
};

struct worker {
    struct load *load;
    unsigned index;
    pthread_t thread;
    CK_SESSION_HANDLE session;
    pthread_mutex_t mutex; /* the events */
    struct event *events;
    size_t count, room;
};

struct load {
    struct p11 *p11;
    struct load_options options;
    struct p11_key keys[2];
    atomic_bool stop;
    unsigned worker_count;
    struct worker workers[LOAD_SIGNERS_MAX + 2];
    uint8_t run[8];        /* first half of the ids of this run's keys */
    pthread_mutex_t mutex; /* what follows */
    uint8_t (*ids)[P11_ID_SIZE];
    size_t id_count, id_room;
    struct load_failure failures[FAILURES_MAX];
    size_t failure_count, failure_told;
};

static void *grow(void *array, size_t *room, size_t size)
{
    *room = *room == 0 ? FIRST_ROOM : *room * 2;
    array = reallocarray(array, *room, size);
    if (array == NULL) {
        abort(); /* a drill without memory shows nothing */
    }
    return array;
}

/* ---- Remembering. */

static void remember(struct worker *worker, enum load_work work, enum outcome outcome, CK_RV rv,
                     uint64_t start_ns, uint64_t end_ns)
{
    struct load *load = worker->load;

    (void)pthread_mutex_lock(&worker->mutex);
    if (worker->count == worker->room) {
        worker->events = grow(worker->events, &worker->room, sizeof *worker->events);
    }
    worker->events[worker->count++] = (struct event){.end_ns = end_ns,
                                                     .took_ns = end_ns - start_ns,
                                                     .work = (uint8_t)work,
                                                     .outcome = (uint8_t)outcome};
    (void)pthread_mutex_unlock(&worker->mutex);
    if (outcome == DONE) {
        return;
    }
    (void)pthread_mutex_lock(&load->mutex);
    if (load->failure_count < FAILURES_MAX) {
        load->failures[load->failure_count++] = (struct load_failure){
            .work = work, .rv = rv, .at_ns = end_ns, .took_ns = end_ns - start_ns};
    }
    (void)pthread_mutex_unlock(&load->mutex);
}

static void remember_id(struct load *load, const uint8_t id[P11_ID_SIZE])
{
    (void)pthread_mutex_lock(&load->mutex);
    if (load->id_count == load->id_room) {
        load->ids = grow(load->ids, &load->id_room, sizeof *load->ids);
    }
    memcpy(load->ids[load->id_count++], id, P11_ID_SIZE);
    (void)pthread_mutex_unlock(&load->mutex);
}

/* ---- The threads. */

static void sleep_until(uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

static void sign_once(struct worker *worker, uint64_t number)
{
    const struct p11_key *key = &worker->load->keys[number % 2];
    uint8_t message[P11_MESSAGE_SIZE] = {0};
    uint8_t signature[P11_SIGNATURE_SIZE_MAX];
    uint64_t start_ns = clock_monotonic_ns();
    enum outcome outcome = FAILED;
    uint64_t end_ns;
    size_t size;
    CK_RV rv;

    /* No two are equal, so that an answer to another question is found out. */
    memcpy(message, &start_ns, sizeof start_ns);
    memcpy(message + 8, &number, sizeof number);
    memcpy(message + 16, &worker->index, sizeof worker->index);
    rv = p11_sign(worker->load->p11, worker->session, key, message, signature, &size);
    end_ns = clock_monotonic_ns();
    if (rv == CKR_OK) {
        outcome = p11_verify(key, message, signature, size) ? DONE : WRONG;
    }
    remember(worker, key->kind == P11_RSA ? LOAD_RSA : LOAD_EC, outcome, rv, start_ns, end_ns);
}

static void *run_signer(void *data)
{
    struct worker *worker = data;
    struct load *load = worker->load;
    uint64_t interval_ns = load->options.rate == 0 ? 0 : NS_PER_S / load->options.rate;
    /* Side by side, not all at once: a gap is then seen as it is. */
    uint64_t next_ns =
        clock_monotonic_ns() + interval_ns * worker->index / (load->options.signers + 1);

    for (uint64_t number = worker->index; !atomic_load(&load->stop); number++) {
        uint64_t now_ns;

        if (interval_ns > 0) {
            sleep_until(next_ns);
        }
        sign_once(worker, number);
        /* What was missed is not made up for. */
        now_ns = clock_monotonic_ns();
        next_ns = next_ns + interval_ns > now_ns ? next_ns + interval_ns : now_ns;
    }
    return NULL;
}

static void create_once(struct worker *worker, uint64_t number)
{
    struct load *load = worker->load;
    CK_OBJECT_HANDLE public_handle, private_handle;
    uint64_t start_ns = clock_monotonic_ns();
    uint8_t id[P11_ID_SIZE];
    uint64_t end_ns;
    char label[64];
    CK_RV rv;

    memcpy(id, load->run, sizeof load->run);
    memcpy(id + sizeof load->run, &number, sizeof number);
    (void)snprintf(label, sizeof label, "%s %llu", load->options.prefix,
                   (unsigned long long)number);
    rv = p11_generate(load->p11, worker->session, P11_EC, id, label, &public_handle,
                      &private_handle);
    end_ns = clock_monotonic_ns();
    if (rv == CKR_OK) {
        remember_id(load, id);
    }
    remember(worker, LOAD_CREATE, rv == CKR_OK ? DONE : FAILED, rv, start_ns, end_ns);
}

static void *run_creator(void *data)
{
    struct worker *worker = data;
    struct load *load = worker->load;

    for (uint64_t number = 1; !atomic_load(&load->stop); number++) {
        create_once(worker, number);
        sleep_until(clock_monotonic_ns() + (uint64_t)load->options.pause_ms * NS_PER_MS);
    }
    return NULL;
}

static void *run_pulse(void *data)
{
    struct worker *worker = data;
    uint64_t last_ns = clock_monotonic_ns();

    while (!atomic_load(&worker->load->stop)) {
        uint64_t now_ns;

        sleep_until(last_ns + PULSE_NS);
        now_ns = clock_monotonic_ns();
        if (now_ns - last_ns >= PULSE_NOTED_NS) {
            remember(worker, LOAD_PULSE, DONE, CKR_OK, last_ns + PULSE_NS, now_ns);
        }
        last_ns = now_ns;
    }
    return NULL;
}

/* ---- Life. */

static bool start_worker(struct load *load, unsigned index, void *(*run)(void *data))
{
    struct worker *worker = &load->workers[index];

    worker->load = load;
    worker->index = index;
    if (p11_session(load->p11, &worker->session) != CKR_OK ||
        pthread_mutex_init(&worker->mutex, NULL) != 0 ||
        pthread_create(&worker->thread, NULL, run, worker) != 0) {
        (void)fprintf(stderr, "thread %u of the load cannot be started\n", index);
        return false;
    }
    load->worker_count++;
    return true;
}

static bool take_keys(struct load *load)
{
    char *rsa = process_format("%s RSA-2048", load->options.prefix);
    char *ec = process_format("%s P-256", load->options.prefix);
    bool taken = p11_take_key(load->p11, P11_RSA, rsa, &load->keys[0]) &&
                 p11_take_key(load->p11, P11_EC, ec, &load->keys[1]);

    free(rsa);
    free(ec);
    return taken;
}

struct load *load_start(struct p11 *p11, const struct load_options *options)
{
    struct load *load = calloc(1, sizeof *load);
    bool started;

    if (load == NULL || pthread_mutex_init(&load->mutex, NULL) != 0) {
        abort();
    }
    load->p11 = p11;
    load->options = *options;
    started = RAND_bytes(load->run, sizeof load->run) == 1 && take_keys(load);
    for (unsigned i = 0; started && i < options->signers; i++) {
        started = start_worker(load, i, run_signer);
    }
    started = started && start_worker(load, load->worker_count, run_pulse);
    if (started && options->create) {
        started = start_worker(load, load->worker_count, run_creator);
    }
    if (!started) {
        load_stop(load);
        load_free(load);
        return NULL;
    }
    return load;
}

void load_stop(struct load *load)
{
    atomic_store(&load->stop, true);
    for (unsigned i = 0; i < load->worker_count; i++) {
        (void)pthread_join(load->workers[i].thread, NULL);
        (void)load->p11->functions->C_CloseSession(load->workers[i].session);
    }
}

void load_free(struct load *load)
{
    for (unsigned i = 0; i < load->worker_count; i++) {
        free(load->workers[i].events);
    }
    p11_key_close(&load->keys[0]);
    p11_key_close(&load->keys[1]);
    free(load->ids);
    free(load);
}

/* ---- Looking back. */

static int compare_ends(const void *left, const void *right)
{
    const struct event *a = left, *b = right;

    return (a->end_ns > b->end_ns) - (a->end_ns < b->end_ns);
}

static int compare_numbers(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

/* Owns: free(). */
static struct event *collect(struct load *load, unsigned works, uint64_t begin_ns, uint64_t end_ns,
                             size_t *ret_count)
{
    struct event *found = NULL;
    size_t count = 0, room = 0;

    for (unsigned i = 0; i < load->worker_count; i++) {
        struct worker *worker = &load->workers[i];

        (void)pthread_mutex_lock(&worker->mutex);
        for (size_t k = 0; k < worker->count; k++) {
            const struct event *event = &worker->events[k];

            if ((works & (1u << event->work)) != 0 && event->end_ns >= begin_ns &&
                event->end_ns < end_ns) {
                if (count == room) {
                    found = grow(found, &room, sizeof *found);
                }
                found[count++] = *event;
            }
        }
        (void)pthread_mutex_unlock(&worker->mutex);
    }
    if (count > 0) {
        qsort(found, count, sizeof *found, compare_ends);
    }
    *ret_count = count;
    return found;
}

/* Of the calls that were done. */
static void summarize_times(const struct event *events, size_t count, struct load_summary *summary)
{
    uint64_t *times;
    size_t done = 0;

    if (summary->done == 0) {
        return;
    }
    times = calloc(summary->done, sizeof *times);
    if (times == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (events[i].outcome == DONE) {
            times[done++] = events[i].took_ns;
        }
    }
    qsort(times, done, sizeof *times, compare_numbers);
    summary->median_ns = times[done / 2];
    summary->p99_ns = times[done - 1 - done / 100];
    free(times);
}

void load_summarize(struct load *load, unsigned works, uint64_t begin_ns, uint64_t end_ns,
                    struct load_summary *ret_summary)
{
    struct load_summary summary = {0};
    uint64_t last_ns = begin_ns;
    size_t count;
    struct event *events = collect(load, works, begin_ns, end_ns, &count);

    for (size_t i = 0; i < count; i++) {
        const struct event *event = &events[i];

        summary.failed += event->outcome == FAILED;
        summary.wrong += event->outcome == WRONG;
        if (event->took_ns > summary.longest_ns) {
            summary.longest_ns = event->took_ns;
        }
        if (event->outcome == DONE) {
            summary.done++;
            if (event->end_ns - last_ns > summary.gap_ns) {
                summary.gap_ns = event->end_ns - last_ns;
            }
            last_ns = event->end_ns;
        }
    }
    if (end_ns > last_ns && end_ns - last_ns > summary.gap_ns) {
        summary.gap_ns = end_ns - last_ns;
    }
    summarize_times(events, count, &summary);
    free(events);
    *ret_summary = summary;
}

uint64_t load_done(struct load *load, unsigned works)
{
    struct load_summary summary;

    load_summarize(load, works, 0, clock_monotonic_ns(), &summary);
    return summary.done;
}

size_t load_key_count(struct load *load)
{
    size_t count;

    (void)pthread_mutex_lock(&load->mutex);
    count = load->id_count;
    (void)pthread_mutex_unlock(&load->mutex);
    return count;
}

const uint8_t *load_key_id(struct load *load, size_t index)
{
    return load->ids[index];
}

bool load_next_failure(struct load *load, struct load_failure *ret_failure)
{
    bool found;

    (void)pthread_mutex_lock(&load->mutex);
    found = load->failure_told < load->failure_count;
    if (found) {
        *ret_failure = load->failures[load->failure_told++];
    }
    (void)pthread_mutex_unlock(&load->mutex);
    return found;
}
