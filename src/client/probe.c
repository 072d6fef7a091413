/* Probing. */
#include "client/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "client/handle.h"
#include "client/token.h"
#include "wire/frame.h"

#define THREAD_STACK_SIZE (512u * 1024u)
#define IDLE_AFTER_MS 60000u /* without a call */
#define TURN_MAX_MS 10000u

void prober_init(struct prober *prober)
{
    pthread_condattr_t attributes;

    prober->wake_fd = -1;
    /* None of these fails with the GNU C library. */
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&prober->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void prober_forget(struct prober *prober)
{
    if (prober->wake_fd >= 0) {
        (void)close(prober->wake_fd);
    }
    memset(prober, 0, sizeof *prober);
    prober_init(prober);
}

void prober_wake(struct quadhsm *handle)
{
    uint64_t one = 1;

    if (handle->prober.wake_fd >= 0) {
        /* Fails only if it is awake already. */
        (void)!write(handle->prober.wake_fd, &one, sizeof one);
    }
}

/* ---- one probe ---- */

static uint32_t some_number(void)
{
    return (uint32_t)(clock_monotonic_ns() / 64u);
}

/* Without the lock. */
static void end_failed(struct quadhsm *handle, struct probe *probe)
{
    connection_close(probe->connection);
    probe->connection = NULL;
    probe->stage = PROBE_REST;
    handle_endpoint_failed(handle, probe->endpoint);
    handle_lock(handle);
    probe->endpoint->probed_ms = clock_monotonic_ms();
    handle_unlock(handle);
}

static bool send_request(struct probe *probe, Quadhsm__Request *request)
{
    uint8_t *frame;
    size_t size;

    request->id = 1;
    if (wire_pack(&request->base, &frame, &size) != QH_OK) {
        return false;
    }
    connection_submit(probe->connection, frame, size, request->id);
    probe->sent_ns = clock_monotonic_ns();
    /* It is sent when poll() says that it can be, for an answer may come as fast as that, and is
     * looked for there alone. */
    return true;
}

static void send_ping(struct quadhsm *handle, struct probe *probe)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Ping ping = QUADHSM__PING__INIT;

    request.op_case = QUADHSM__REQUEST__OP_PING;
    request.ping = &ping;
    probe->stage = PROBE_PING;
    handle_lock(handle);
    probe->deadline_ms = clock_monotonic_ms() + health_ping_ms(&probe->endpoint->health);
    handle_unlock(handle);
    if (!send_request(probe, &request)) {
        end_failed(handle, probe);
    }
}

static void send_list_request(struct quadhsm *handle, struct probe *probe, uint64_t generation)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Endpoints endpoints = QUADHSM__ENDPOINTS__INIT;

    request.op_case = QUADHSM__REQUEST__OP_ENDPOINTS;
    request.endpoints = &endpoints;
    probe->stage = PROBE_LIST;
    probe->generation = generation;
    probe->deadline_ms = clock_monotonic_ms() + PROBE_CONNECT_MS;
    if (!send_request(probe, &request)) {
        end_failed(handle, probe);
    }
}

/* A node that is ready has just answered, so it will probably do this too. */
static void send_renewal(struct quadhsm *handle, struct probe *probe)
{
    struct token_renewal renewal;
    Quadhsm__Request request;
    Quadhsm__Login login;

    if (!token_renewal_begin(handle, &renewal)) {
        return;
    }
    token_renewal_request(&renewal, &request, &login);
    probe->stage = PROBE_RENEW;
    probe->login = renewal.login;
    probe->deadline_ms = clock_monotonic_ms() + PROBE_CONNECT_MS;
    if (!send_request(probe, &request)) {
        end_failed(handle, probe);
    }
    sodium_memzero(&renewal, sizeof renewal);
}

/* @probe has no connection, or an idle one that may have been closed meanwhile. */
static void begin(struct quadhsm *handle, struct probe *probe)
{
    probe->begun_ms = clock_monotonic_ms();
    if (probe->connection != NULL && !connection_usable(probe->connection)) {
        connection_close(probe->connection);
        probe->connection = NULL;
    }
    if (probe->connection != NULL) {
        send_ping(handle, probe);
        return;
    }
    probe->stage = probe->warm ? PROBE_WARM : PROBE_CONNECT;
    probe->deadline_ms = probe->begun_ms + PROBE_CONNECT_MS;
    if (handle_connect(handle, probe->endpoint, true, &probe->connection) != QH_OK) {
        end_failed(handle, probe);
    }
}

/* An application that sleeps is not worth a ping a second. */
static unsigned interval_ms(const struct quadhsm *handle, uint64_t now_ms)
{
    bool idle = handle->calls == 0 && now_ms >= handle->last_call_ms + IDLE_AFTER_MS;

    return idle || !handle->prober.running ? HEALTH_PROBE_IDLE_MS : HEALTH_PROBE_MS;
}

/* Without a thread an answer may have lain there until the next call; that says nothing. */
static double round_trip_ms(const struct probe *probe)
{
    const struct health *health = &probe->endpoint->health;
    uint64_t now_ns = clock_monotonic_ns();

    if (health->measured && now_ns / 1000000u >= probe->deadline_ms) {
        return health->round_trip_ms;
    }
    return (double)(now_ns - probe->sent_ns) / 1e6;
}

/* With the lock. True if the cluster's list has to be asked for. */
static bool take_pong(struct quadhsm *handle, struct probe *probe,
                      const Quadhsm__Response *response)
{
    struct endpoint *endpoint = probe->endpoint;
    const Quadhsm__Pong *pong = response->pong;
    uint64_t now_ms = clock_monotonic_ms();
    struct health_pong told = {
        .readiness = (enum quadhsm_readiness)pong->readiness,
        .queued = pong->queued,
        .workers = pong->workers,
        .has_leader = pong->has_leader,
        .revision = response->revision,
        .generation = pong->generation,
    };

    health_pong(&endpoint->health, now_ms, round_trip_ms(probe), &told, interval_ms(handle, now_ms),
                some_number());
    endpoint->probed_ms = endpoint->heard_ms = now_ms;
    (void)snprintf(endpoint->seen, sizeof endpoint->seen, "%s", connection_node(probe->connection));
    if (!endpoint->listed) {
        (void)snprintf(endpoint->region, sizeof endpoint->region, "%s", pong->region);
    }
    return pong->readiness == QUADHSM__READINESS__READINESS_READY &&
           pong->endpoints_revision != handle->endpoints.revision;
}

/* A node that answers, but not to us: calls go there last, and are told why. */
static void take_refusal(struct quadhsm *handle, struct probe *probe)
{
    struct health_pong told = {.readiness = QUADHSM_UNINITIALIZED};
    uint64_t now_ms = clock_monotonic_ms();

    health_pong(&probe->endpoint->health, now_ms, round_trip_ms(probe), &told,
                interval_ms(handle, now_ms), some_number());
    probe->endpoint->probed_ms = probe->endpoint->heard_ms = now_ms;
}

static void take_list(struct quadhsm *handle, struct probe *probe, Quadhsm__EndpointList *list)
{
    bool changed = false;

    if (endpoints_check(list) != QH_OK) {
        return;
    }
    handle_lock(handle);
    if (endpoints_update(&handle->endpoints, list, probe->generation, clock_monotonic_ms(),
                         &changed) != QH_OK) {
        changed = false; /* the next Pong tries again */
    }
    handle_unlock(handle);
    if (changed && handle->config->cache != NULL) {
        /* A disk that is full must not end anything: the list is in memory. */
        enum qh_err written = endpoints_file_write(handle->config->cache, list);

        (void)written;
    }
}

static void take_response(struct quadhsm *handle, struct probe *probe)
{
    Quadhsm__Response *response = connection_take(probe->connection);
    enum probe_stage stage = probe->stage;
    uint64_t generation = 0;
    bool ask = false, ready = false;

    probe->stage = PROBE_REST;
    if (stage == PROBE_PING) {
        handle_lock(handle);
        if (response->error == 0 && response->result_case == QUADHSM__RESPONSE__RESULT_PONG) {
            generation = response->pong->generation;
            ready = response->pong->readiness == QUADHSM__READINESS__READINESS_READY;
            ask = take_pong(handle, probe, response);
        } else {
            take_refusal(handle, probe);
        }
        handle_unlock(handle);
    } else if (stage == PROBE_RENEW) {
        token_renewal_end(handle, probe->login, response);
    } else if (response->error == 0 &&
               response->result_case == QUADHSM__RESPONSE__RESULT_ENDPOINTS) {
        take_list(handle, probe, response->endpoints);
    }
    wire_message_free(&response->base);
    if (ask) {
        send_list_request(handle, probe, generation);
    } else if (ready) {
        send_renewal(handle, probe);
    }
}

static void hand_to_pool(struct quadhsm *handle, struct probe *probe)
{
    struct connection *surplus;

    handle_lock(handle);
    surplus = pool_put(&probe->endpoint->pool, probe->connection, clock_monotonic_ms());
    handle_unlock(handle);
    connection_close(surplus);
    probe->connection = NULL;
    probe->stage = PROBE_REST;
}

static void advance(struct quadhsm *handle, struct probe *probe)
{
    switch (connection_step(probe->connection)) {
    case CONNECTION_IDLE:
        if (probe->stage == PROBE_WARM) {
            hand_to_pool(handle, probe);
        } else if (probe->stage == PROBE_CONNECT) {
            send_ping(handle, probe);
        }
        return;
    case CONNECTION_ANSWERED:
        take_response(handle, probe);
        return;
    case CONNECTION_FAILED:
        end_failed(handle, probe);
        return;
    case CONNECTION_CONNECTING:
    case CONNECTION_HANDSHAKE:
    case CONNECTION_SENDING:
    case CONNECTION_RECEIVING:
        break;
    }
    if (clock_monotonic_ms() >= probe->deadline_ms) {
        end_failed(handle, probe);
    }
}

/* ---- all probes ---- */

static void add(struct prober *prober, struct endpoint *endpoint, bool warm)
{
    struct probe *probe = &prober->probes[prober->count++];

    memset(probe, 0, sizeof *probe);
    probe->warm = warm;
    probe->endpoint = endpoint_ref(endpoint);
}

static bool has_probe(const struct prober *prober, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < prober->count; i++) {
        if (prober->probes[i].endpoint == endpoint && !prober->probes[i].warm) {
            return true;
        }
    }
    return false;
}

/* Drop what is done with, and what has left the set; take up what has come. With the lock. */
static void synchronize(struct quadhsm *handle)
{
    struct prober *prober = &handle->prober;
    size_t kept = 0;

    for (size_t i = 0; i < prober->count; i++) {
        struct probe *probe = &prober->probes[i];

        if (probe->stage == PROBE_REST && (probe->warm || probe->endpoint->retired)) {
            connection_close(probe->connection);
            endpoint_unref(probe->endpoint);
        } else {
            prober->probes[kept++] = *probe;
        }
    }
    prober->count = kept;
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        if (!has_probe(prober, handle->endpoints.list[i]) && prober->count < PROBES_MAX) {
            add(prober, handle->endpoints.list[i], false);
        }
    }
}

static size_t warming(const struct prober *prober, const struct endpoint *endpoint)
{
    size_t count = 0;

    for (size_t i = 0; i < prober->count; i++) {
        count += prober->probes[i].endpoint == endpoint && prober->probes[i].warm;
    }
    return count;
}

static size_t warm_wanted(const struct quadhsm *handle)
{
    if (handle->calls_peak == 0) {
        return 1;
    }
    return handle->calls_peak < PROBE_WARM_MAX ? handle->calls_peak : PROBE_WARM_MAX;
}

/* As many connections to each of the best nodes as there are calls at once: whoever has to leave a
 * dead node finds one. With the lock. */
static void keep_warm(struct quadhsm *handle)
{
    struct choice_candidate candidates[ENDPOINTS_MAX];
    struct prober *prober = &handle->prober;
    size_t wanted = warm_wanted(handle);

    handle_candidates(handle, false, candidates);
    for (unsigned rank = 0; rank < PROBE_WARM_NODES; rank++) {
        size_t best = choice_best(candidates, handle->endpoints.count, CHOICE_NONE);
        struct endpoint *endpoint;

        if (best == CHOICE_NONE || candidates[best].class != CHOICE_READY) {
            return;
        }
        candidates[best].excluded = true;
        endpoint = handle->endpoints.list[best];
        for (size_t have = endpoint->pool.count + endpoint->in_flight + warming(prober, endpoint);
             have < wanted && prober->count < PROBES_MAX; have++) {
            add(prober, endpoint, true);
        }
    }
}

/* One at a time, so that closing is done without the lock. */
static struct connection *expired(struct quadhsm *handle, uint64_t now_ms)
{
    struct connection *connection = NULL;
    size_t keep;

    handle_lock(handle);
    keep = warm_wanted(handle);
    for (size_t i = 0; i < handle->endpoints.count && connection == NULL; i++) {
        connection = pool_expire(&handle->endpoints.list[i]->pool, now_ms, keep);
    }
    handle_unlock(handle);
    return connection;
}

static bool due(struct quadhsm *handle, const struct probe *probe, uint64_t now_ms)
{
    bool is;

    if (probe->stage != PROBE_REST) {
        return false;
    }
    handle_lock(handle);
    is = probe->warm ||
         (!probe->endpoint->retired && probe->endpoint->health.next_probe_ms <= now_ms);
    handle_unlock(handle);
    return is;
}

static void begin_due(struct quadhsm *handle)
{
    struct prober *prober = &handle->prober;
    struct connection *old;
    uint64_t now_ms = clock_monotonic_ms();

    handle_lock(handle);
    synchronize(handle);
    if (prober->running) {
        keep_warm(handle);
    }
    /* What was needed at once a while ago is slowly forgotten. */
    if (handle->calls_peak > handle->calls && now_ms >= handle->last_call_ms + IDLE_AFTER_MS) {
        handle->calls_peak = handle->calls;
    }
    handle_unlock(handle);
    for (size_t i = 0; i < prober->count; i++) {
        if (due(handle, &prober->probes[i], now_ms)) {
            begin(handle, &prober->probes[i]);
        }
    }
    while ((old = expired(handle, now_ms)) != NULL) {
        connection_close(old);
    }
}

/* When something is to be done again, at @until_ms at the latest. */
static uint64_t next_time(struct quadhsm *handle, uint64_t until_ms)
{
    const struct prober *prober = &handle->prober;

    handle_lock(handle);
    for (size_t i = 0; i < prober->count; i++) {
        const struct probe *probe = &prober->probes[i];
        uint64_t time_ms =
            probe->stage == PROBE_REST ? probe->endpoint->health.next_probe_ms : probe->deadline_ms;

        if (!(probe->stage == PROBE_REST && (probe->warm || probe->endpoint->retired)) &&
            time_ms < until_ms) {
            until_ms = time_ms;
        }
    }
    handle_unlock(handle);
    return until_ms;
}

static void drain(int fd)
{
    uint64_t count;

    (void)!read(fd, &count, sizeof count);
}

/* Sending goes on to receiving where it can, so what was sent may be answered already: a nearby
 * node is quick. No socket tells of that any more. */
static bool is_settled(const struct probe *probe)
{
    enum connection_state state = connection_state(probe->connection);

    return state == CONNECTION_ANSWERED || state == CONNECTION_FAILED;
}

/* Begin what is due, wait for the first thing that happens, and deal with it. By whoever does the
 * work; without the lock. */
static void turn(struct quadhsm *handle, uint64_t until_ms)
{
    struct prober *prober = &handle->prober;
    struct pollfd fds[PROBES_MAX + 1];
    size_t owner[PROBES_MAX + 1];
    uint64_t now_ms, wait_until_ms;
    bool settled = false;
    nfds_t count = 0;

    begin_due(handle);
    if (prober->wake_fd >= 0) {
        owner[count] = SIZE_MAX;
        fds[count++] = (struct pollfd){.fd = prober->wake_fd, .events = POLLIN};
    }
    for (size_t i = 0; i < prober->count; i++) {
        const struct probe *probe = &prober->probes[i];

        if (probe->stage != PROBE_REST) {
            owner[count] = i;
            fds[count++] = (struct pollfd){.fd = connection_fd(probe->connection),
                                           .events = connection_events(probe->connection)};
            settled = settled || is_settled(probe);
        }
    }
    wait_until_ms = next_time(handle, until_ms);
    now_ms = clock_monotonic_ms();
    (void)poll(fds, count, !settled && wait_until_ms > now_ms ? (int)(wait_until_ms - now_ms) : 0);
    now_ms = clock_monotonic_ms();
    for (nfds_t i = 0; i < count; i++) {
        if (owner[i] == SIZE_MAX) {
            if (fds[i].revents != 0) {
                drain(prober->wake_fd);
            }
        } else if (fds[i].revents != 0 || is_settled(&prober->probes[owner[i]]) ||
                   now_ms >= prober->probes[owner[i]].deadline_ms) {
            advance(handle, &prober->probes[owner[i]]);
        }
    }
}

/* ---- the thread ---- */

static void *work(void *data)
{
    struct quadhsm *handle = data;
    struct prober *prober = &handle->prober;
    bool stop;

    (void)pthread_setname_np(pthread_self(), "quadhsm-probe");
    do {
        turn(handle, clock_monotonic_ms() + TURN_MAX_MS);
        handle_lock(handle);
        (void)pthread_cond_broadcast(&prober->changed);
        stop = prober->stop;
        handle_unlock(handle);
    } while (!stop);
    return NULL;
}

/* With the lock, while nobody does the work. The application's signals are none of its business. */
static void start(struct quadhsm *handle)
{
    struct prober *prober = &handle->prober;
    pthread_attr_t attributes;
    sigset_t every, before;

    prober->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (prober->wake_fd < 0) {
        return;
    }
    (void)pthread_attr_init(&attributes); /* cannot fail with the GNU C library */
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_SIZE);
    (void)sigfillset(&every);
    (void)pthread_sigmask(SIG_SETMASK, &every, &before);
    prober->stop = false;
    prober->running = true; /* the thread reads it */
    if (pthread_create(&prober->thread, &attributes, work, handle) != 0) {
        prober->running = false;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (!prober->running) {
        (void)close(prober->wake_fd);
        prober->wake_fd = -1;
    }
}

void prober_close(struct quadhsm *handle)
{
    struct prober *prober = &handle->prober;
    bool running;

    handle_lock(handle);
    running = prober->running;
    prober->stop = true;
    prober_wake(handle);
    handle_unlock(handle);
    if (running) {
        (void)pthread_join(prober->thread, NULL);
    }
    handle_lock(handle);
    prober->running = false;
    for (size_t i = 0; i < prober->count; i++) {
        connection_close(prober->probes[i].connection);
        endpoint_unref(prober->probes[i].endpoint);
    }
    prober->count = 0;
    if (prober->wake_fd >= 0) {
        (void)close(prober->wake_fd);
        prober->wake_fd = -1;
    }
    handle_unlock(handle);
}

/* ---- waiting ---- */

/* What is waited for, since when. */
struct wish {
    bool all;          /* every node measured; else: something to choose from */
    uint64_t since_ms; /* measurements before that do not count */
    uint64_t begun_ms;
};

static bool fulfilled(const struct quadhsm *handle, const struct wish *wish, uint64_t now_ms)
{
    const char *region = handle->config->region;
    bool all_probed = true, ready = false;

    for (size_t i = 0; i < handle->endpoints.count; i++) {
        const struct endpoint *endpoint = handle->endpoints.list[i];

        if (endpoint->probed_ms < wish->since_ms) {
            all_probed = false;
        }
        if (endpoint->health.state == HEALTH_UP && endpoint->health.readiness == QUADHSM_READY) {
            ready = ready || region[0] == '\0' || strcmp(region, endpoint->region) == 0 ||
                    now_ms >= wish->begun_ms + PROBE_SETTLE_MS;
        }
    }
    return all_probed || (ready && !wish->all);
}

static void wait_changed(struct quadhsm *handle, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000u),
                             .tv_nsec = (long)(until_ms % 1000u) * 1000000L};

    (void)pthread_cond_timedwait(&handle->prober.changed, &handle->lock, &until);
}

/* With the lock, which is released meanwhile. */
static void wait_for(struct quadhsm *handle, const struct wish *wish, uint64_t until_ms)
{
    struct prober *prober = &handle->prober;
    uint64_t now_ms = clock_monotonic_ms();

    while (!fulfilled(handle, wish, now_ms) && now_ms < until_ms) {
        uint64_t slice_ms =
            now_ms + PROBE_SETTLE_MS < until_ms ? now_ms + PROBE_SETTLE_MS : until_ms;

        if (prober->running || prober->busy) {
            wait_changed(handle, slice_ms);
        } else {
            prober->busy = true;
            handle_unlock(handle);
            turn(handle, slice_ms);
            handle_lock(handle);
            prober->busy = false;
            (void)pthread_cond_broadcast(&prober->changed);
        }
        now_ms = clock_monotonic_ms();
    }
}

static bool never_probed(const struct quadhsm *handle)
{
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        if (handle->endpoints.list[i]->probed_ms != 0) {
            return false;
        }
    }
    return true;
}

static bool anything_due(const struct quadhsm *handle, uint64_t now_ms)
{
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        if (handle->endpoints.list[i]->health.next_probe_ms <= now_ms) {
            return true;
        }
    }
    return false;
}

/* Something is under way that began at @since_ms or later. */
static bool under_way(const struct prober *prober, uint64_t since_ms)
{
    for (size_t i = 0; i < prober->count; i++) {
        if (prober->probes[i].stage != PROBE_REST && prober->probes[i].begun_ms >= since_ms) {
            return true;
        }
    }
    return false;
}

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* There is no thread: wait a moment for what begins now, and look at what began in earlier calls.
 * With the lock, which is released meanwhile. */
static void work_in_call(struct quadhsm *handle, uint64_t now_ms, uint64_t deadline_ms)
{
    struct prober *prober = &handle->prober;
    uint64_t until_ms = now_ms;

    if (anything_due(handle, now_ms)) {
        until_ms = earlier(deadline_ms, now_ms + PROBE_IN_CALL_MS);
    } else if (!under_way(prober, 0)) {
        return;
    }
    prober->busy = true;
    handle_unlock(handle);
    do {
        turn(handle, until_ms);
    } while (under_way(prober, now_ms) && clock_monotonic_ms() < until_ms);
    handle_lock(handle);
    prober->busy = false;
    (void)pthread_cond_broadcast(&prober->changed);
}

void prober_prepare(struct quadhsm *handle, uint64_t deadline_ms)
{
    struct prober *prober = &handle->prober;
    uint64_t now_ms = clock_monotonic_ms();
    struct wish wish = {.since_ms = 1, .begun_ms = now_ms};

    if (!prober->running && !prober->busy && !handle->threads_forbidden) {
        start(handle);
    }
    if (never_probed(handle)) {
        wait_for(handle, &wish, earlier(deadline_ms, now_ms + PROBE_FIRST_MS));
    } else if (!prober->running && !prober->busy) {
        work_in_call(handle, now_ms, deadline_ms);
    }
}

void prober_watch(struct quadhsm *handle)
{
    uint64_t now_ms = clock_monotonic_ms();

    if (handle->prober.running) {
        prober_wake(handle);
    } else if (!handle->prober.busy) {
        work_in_call(handle, now_ms, now_ms + PROBE_IN_CALL_MS);
    }
}

void prober_measure(struct quadhsm *handle, uint64_t deadline_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct wish wish = {.all = true, .since_ms = now_ms, .begun_ms = now_ms};

    handle_lock(handle);
    if (!handle->prober.running && !handle->prober.busy && !handle->threads_forbidden) {
        start(handle);
    }
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        health_hurry(&handle->endpoints.list[i]->health, now_ms);
    }
    prober_wake(handle);
    wait_for(handle, &wish, deadline_ms);
    handle_unlock(handle);
}
