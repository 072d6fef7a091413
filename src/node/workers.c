/* Crypto workers: bounded queues of lines, one line for each connection that waits. */
#include "node/workers.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "node/keycache.h"
#include "node/pincache.h"
#include "node/node.h"
#include "node/view.h"

#define QUEUE_BUCKETS 1024u /* a power of two */
#define WORKERS_NICENESS 5  /* of the slow threads, on top of the process's own */
#define WORKERS_IDLE_S 10   /* how often an idle thread looks after its keys */

/* The requests of one connection, first come first served. In the ring while it has any. */
struct line {
    const struct conn *conn;
    struct request *first, *last;
    struct line *ring_next;   /* lines that take turns; or the next unused line */
    struct line *bucket_next; /* lines whose connections hash alike */
};

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    bool stopping;
    unsigned count; /* requests */
    struct line *ring_first, *ring_last;
    struct line *unused;
    struct line *buckets[QUEUE_BUCKETS];
    struct line lines[WORKERS_QUEUE_MAX]; /* at most one for each request */
};

struct worker {
    struct queue *queue;
    bool slow;
    pthread_t thread;
};

struct workers {
    struct queue queues[WORKERS_KINDS];
    unsigned ready;   /* queues */
    unsigned started; /* threads, of all kinds */
    unsigned fast_threads;
    struct worker threads[WORKERS_THREADS_MAX + WORKERS_KINDS - 1];
};

/* ---- A queue; all but init and close with its mutex held. */

static struct line **bucket_of(struct queue *queue, const struct conn *conn)
{
    uint64_t mixed = (uint64_t)(uintptr_t)conn * 0x9e3779b97f4a7c15u;

    return &queue->buckets[(mixed >> 32) & (QUEUE_BUCKETS - 1)];
}

static struct line *line_of(struct queue *queue, const struct conn *conn)
{
    struct line **bucket = bucket_of(queue, conn);
    struct line *line = *bucket;

    while (line != NULL && line->conn != conn) {
        line = line->bucket_next;
    }
    if (line != NULL) {
        return line;
    }
    line = queue->unused;
    QH_ASSERT(line != NULL);
    queue->unused = line->ring_next;
    *line = (struct line){.conn = conn, .bucket_next = *bucket};
    *bucket = line;
    return line;
}

static void ring_add(struct queue *queue, struct line *line)
{
    line->ring_next = NULL;
    if (queue->ring_last != NULL) {
        queue->ring_last->ring_next = line;
    } else {
        queue->ring_first = line;
    }
    queue->ring_last = line;
}

static void line_drop(struct queue *queue, struct line *line)
{
    struct line **at = bucket_of(queue, line->conn);

    while (*at != line) {
        at = &(*at)->bucket_next;
    }
    *at = line->bucket_next;
    line->ring_next = queue->unused;
    queue->unused = line;
}

static void queue_add(struct queue *queue, struct request *request)
{
    struct line *line = line_of(queue, request->conn);

    request->next = NULL;
    if (line->last != NULL) {
        line->last->next = request;
    } else {
        line->first = request;
        ring_add(queue, line);
    }
    line->last = request;
    queue->count++;
}

static struct request *queue_take(struct queue *queue)
{
    struct line *line = queue->ring_first;
    struct request *request;

    if (line == NULL) {
        return NULL;
    }
    queue->ring_first = line->ring_next;
    if (queue->ring_first == NULL) {
        queue->ring_last = NULL;
    }
    request = line->first;
    line->first = request->next;
    request->next = NULL;
    queue->count--;
    if (line->first != NULL) {
        ring_add(queue, line);
    } else {
        line_drop(queue, line);
    }
    return request;
}

static bool queue_init(struct queue *queue)
{
    pthread_condattr_t attributes;
    bool ready;

    for (unsigned i = 0; i < WORKERS_QUEUE_MAX; i++) {
        queue->lines[i].ring_next = queue->unused;
        queue->unused = &queue->lines[i];
    }
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    ready = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
            pthread_cond_init(&queue->filled, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    if (ready && pthread_mutex_init(&queue->mutex, NULL) != 0) {
        (void)pthread_cond_destroy(&queue->filled);
        ready = false;
    }
    return ready;
}

static void queue_close(struct queue *queue)
{
    (void)pthread_mutex_destroy(&queue->mutex);
    (void)pthread_cond_destroy(&queue->filled);
}

static void queue_stop(struct queue *queue)
{
    (void)pthread_mutex_lock(&queue->mutex);
    queue->stopping = true;
    (void)pthread_cond_broadcast(&queue->filled);
    (void)pthread_mutex_unlock(&queue->mutex);
}

/* ---- A thread. */

/* The next request; NULL after some seconds without one, or with *ret_stopping. */
static struct request *worker_wait(struct queue *queue, bool *ret_stopping)
{
    struct request *request;
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WORKERS_IDLE_S;
    (void)pthread_mutex_lock(&queue->mutex);
    while (queue->count == 0 && !queue->stopping) {
        if (pthread_cond_timedwait(&queue->filled, &queue->mutex, &until) != 0) {
            break;
        }
    }
    *ret_stopping = queue->stopping;
    request = queue->stopping ? NULL : queue_take(queue);
    (void)pthread_mutex_unlock(&queue->mutex);
    return request;
}

/* No key outlives its node's unlocking, or its own use, by much. */
static void worker_tidy(const struct node *node)
{
    bool locked;

    if (node == NULL) {
        return;
    }
    view_enter();
    locked = view_keyring(node->view) == NULL;
    view_leave();
    if (locked) {
        keycache_clear(keycache_mine());
        pincache_clear();
    } else {
        keycache_expire(keycache_mine(), clock_monotonic_ms());
    }
}

static void worker_run(struct request *request)
{
    if (clock_monotonic_ms() >= request->deadline_ms) {
        request_answer(request, QH_ETIMEOUT, "the node was too busy: ask another one");
        return;
    }
    request->run(request);
}

static void *worker_main(void *data)
{
    struct worker *worker = data;
    const struct node *node = NULL;
    uint64_t tidied_ms = clock_monotonic_ms();
    bool stopping = false;

    if (worker->slow) {
        /* On Linux a nice value belongs to a thread. If it fails, slow is merely not slower. */
        (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + WORKERS_NICENESS);
    }
    view_thread_begin();
    while (!stopping) {
        struct request *request = worker_wait(worker->queue, &stopping);

        if (request != NULL) {
            node = request->node;
            worker_run(request);
        }
        if (request == NULL || clock_monotonic_ms() - tidied_ms > WORKERS_IDLE_S * 1000u) {
            worker_tidy(node);
            tidied_ms = clock_monotonic_ms();
        }
    }
    keycache_close();
    view_thread_end();
    return NULL;
}

/* ---- All of them. */

static QH_RESULT start_threads(struct workers *workers, unsigned threads)
{
    for (unsigned i = 0; i < threads + WORKERS_KINDS - 1; i++) {
        struct worker *worker = &workers->threads[i];

        worker->slow = i >= threads;
        worker->queue = &workers->queues[worker->slow ? i - threads + 1 : WORKERS_FAST];
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            return QH_ESYSTEM;
        }
        workers->started++;
    }
    return QH_OK;
}

QH_RESULT workers_start(unsigned threads, struct workers **ret_workers)
{
    struct workers *workers;
    enum qh_err err = QH_OK;

    if (threads == 0 || threads > WORKERS_THREADS_MAX) {
        return QH_EINVAL;
    }
    workers = calloc(1, sizeof *workers);
    if (workers == NULL) {
        return QH_ENOMEM;
    }
    workers->fast_threads = threads;
    while (err == QH_OK && workers->ready < WORKERS_KINDS) {
        if (queue_init(&workers->queues[workers->ready])) {
            workers->ready++;
        } else {
            err = QH_ESYSTEM;
        }
    }
    if (err == QH_OK) {
        err = start_threads(workers, threads);
    }
    if (err != QH_OK) {
        workers_stop(workers);
        return err;
    }
    *ret_workers = workers;
    return QH_OK;
}

static void cancel_waiting(struct queue *queue)
{
    for (;;) {
        struct request *request;

        (void)pthread_mutex_lock(&queue->mutex);
        request = queue_take(queue);
        (void)pthread_mutex_unlock(&queue->mutex);
        if (request == NULL) {
            return;
        }
        request_answer(request, QH_ECANCELED, "the node is stopping: ask another one");
    }
}

void workers_stop(struct workers *workers)
{
    for (unsigned i = 0; i < workers->ready; i++) {
        queue_stop(&workers->queues[i]);
    }
    for (unsigned i = 0; i < workers->ready; i++) {
        cancel_waiting(&workers->queues[i]);
    }
    for (unsigned i = 0; i < workers->started; i++) {
        (void)pthread_join(workers->threads[i].thread, NULL);
    }
    for (unsigned i = 0; i < workers->ready; i++) {
        queue_close(&workers->queues[i]);
    }
    free(workers);
}

bool workers_post(struct workers *workers, struct request *request, enum workers_kind kind)
{
    struct queue *queue = &workers->queues[kind];
    bool room;

    (void)pthread_mutex_lock(&queue->mutex);
    room = queue->count < WORKERS_QUEUE_MAX && !queue->stopping;
    if (room) {
        queue_add(queue, request);
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    if (room) {
        (void)pthread_cond_signal(&queue->filled); /* unlocked: who wakes up need not wait again */
    }
    return room;
}

unsigned workers_queued(const struct workers *workers)
{
    struct workers *mutable = (struct workers *)(uintptr_t)workers; /* for its mutexes */
    unsigned count = 0;

    for (unsigned i = 0; i < WORKERS_KINDS; i++) {
        (void)pthread_mutex_lock(&mutable->queues[i].mutex);
        count += mutable->queues[i].count;
        (void)pthread_mutex_unlock(&mutable->queues[i].mutex);
    }
    return count;
}

unsigned workers_threads(const struct workers *workers)
{
    return workers->fast_threads;
}
