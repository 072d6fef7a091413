/* One request, at one node after the other until there is an answer.
 *
 * An attempt is the request at one node. A round is one attempt at each node, the best first; the
 * next one begins when the attempt before it has failed, or when it takes longer than such requests
 * do (hedging: then both go on, and the first answer wins). After a round without an answer there
 * is a pause and another round, until the deadline.
 *
 * Work that is known to be slow (kind_work_ms()) gets time of its own on top of the deadline, as
 * long as a node that lives is at it: its connection stands, and it answers pings. While one is,
 * no other node is given the same work; without one the deadline is what it is for all calls. */
#include "client/call.h"

#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "client/attempt.h"
#include "client/handle.h"
#include "client/kind.h"
#include "wire/frame.h"

#define ATTEMPTS_MAX 4u /* at once */
#define NEVER UINT64_MAX
#define PAUSE_FIRST_MS 20u /* between rounds; doubled each time */
#define PAUSE_MAX_MS 500u
#define RETRY_MS 250u   /* when all nodes were tried and some still may answer */
#define SILENT_MS 1000u /* a connection that does not come about in this time is given up */
#define HEDGE_AGAIN_MIN_MS 20u
#define BEHIND_MS 2000u       /* how long a node that said that it is behind is believed */
#define CATCH_UP_MS 200u      /* what it gets to catch up before a key is used */
#define FRESH_MS 50u          /* a connection that was used so lately is there */
#define ANSWER_MARGIN_MS 100u /* the node answers that much before we stop waiting */

struct call {
    struct quadhsm *handle;
    Quadhsm__Request *request;
    const char *only; /* a node's name, or NULL: any */
    enum hedge_kind kind;
    bool change;
    bool probed; /* by a thread */
    Quadhsm__Level level;
    uint64_t min_revision;
    uint64_t deadline_ms;
    unsigned work_ms; /* on top of that, while a node is at it; 0: not slow */
    struct attempt attempts[ATTEMPTS_MAX];
    size_t attempt_count;
    struct endpoint *tried[ENDPOINTS_MAX]; /* this round; compared, never followed */
    size_t tried_count;
    unsigned rounds;
    uint64_t hedge_at_ms, retry_at_ms;
    bool reused_failed; /* this round: a connection from before broke */
    bool hopeful;       /* this round: waiting may help */
    bool maybe_done;    /* sent to a node that gave no answer */
    enum qh_err worst;  /* what to report if nothing better comes */
    unsigned worst_round;
    char worst_text[ERROR_DETAIL_ROOM / 2];
    char notes[ERROR_DETAIL_ROOM / 2]; /* of this round: "alpha: refused; beta: ..." */
    bool done;
    enum qh_err result;
    Quadhsm__Response *response;
};

/* ---- what happened ---- */

static void note(struct call *call, const struct endpoint *endpoint, enum qh_err err,
                 const char *text)
{
    char buffer[ENDPOINT_TEXT_ROOM];
    char name[ENDPOINT_TEXT_ROOM];
    size_t length = strlen(call->notes);

    handle_lock(call->handle);
    (void)snprintf(name, sizeof name, "%s", endpoint_text(endpoint, buffer));
    handle_unlock(call->handle);
    (void)snprintf(call->notes + length, sizeof call->notes - length, "%s%s: %s",
                   length > 0 ? "; " : "", name, text[0] != '\0' ? text : err_message(err));
    if (kind_rank(err) >= kind_rank(call->worst)) {
        call->worst = err;
        call->worst_round = call->rounds;
    }
    if (call->worst_round == call->rounds) {
        (void)snprintf(call->worst_text, sizeof call->worst_text, "%s", call->notes);
    }
    if (kind_verdict(call->request, err) == KIND_ELSEWHERE) {
        call->hopeful = true;
    }
    call->maybe_done = call->maybe_done || (call->change && err == QH_EUNKNOWN);
}

static void finish(struct call *call, enum qh_err result)
{
    call->done = true;
    call->result = result;
}

/* Take attempt @index out of the list and let go of the node. The connection is the caller's. */
static struct attempt take_out(struct call *call, size_t index)
{
    struct attempt attempt = call->attempts[index];

    call->attempt_count--;
    memmove(&call->attempts[index], &call->attempts[index + 1],
            (call->attempt_count - index) * sizeof attempt);
    return attempt;
}

/* With the lock. */
static void leave_endpoint(struct attempt *attempt)
{
    attempt->endpoint->in_flight--;
    endpoint_unref(attempt->endpoint);
}

static void let_go(struct call *call, struct attempt *attempt)
{
    handle_lock(call->handle);
    leave_endpoint(attempt);
    handle_unlock(call->handle);
}

static bool quick(const struct call *call)
{
    return call->kind == HEDGE_READ || call->kind == HEDGE_USE || call->kind == HEDGE_USE_RSA;
}

/* An answer came from elsewhere, or nobody waits any more. If this node had been expected to answer
 * by now it is suspect; of a change that waits for others it is only asked how it is. */
static void abandon(struct call *call, size_t index, bool late)
{
    struct attempt attempt = take_out(call, index);
    uint64_t now_ms = clock_monotonic_ms();

    if (call->change && connection_sent(attempt.connection)) {
        call->maybe_done = true;
    }
    connection_close(attempt.connection);
    if (late || now_ms >= attempt.late_at_ms) {
        handle_lock(call->handle);
        if (quick(call)) {
            health_late(&attempt.endpoint->health, now_ms);
        } else {
            health_hurry(&attempt.endpoint->health, now_ms);
        }
        prober_wake(call->handle);
        handle_unlock(call->handle);
    }
    let_go(call, &attempt);
}

static void attempt_failed(struct call *call, size_t index)
{
    struct attempt attempt = take_out(call, index);
    const struct connection *connection = attempt.connection;
    enum qh_err err = connection_error(connection);

    note(call, attempt.endpoint, err, connection_error_text(connection));
    call->reused_failed = call->reused_failed || attempt.reused;
    if (call->change && connection_sent(connection)) {
        call->maybe_done = true;
    }
    connection_close(attempt.connection);
    handle_lock(call->handle);
    attempt.endpoint->health.failed_calls++;
    handle_unlock(call->handle);
    handle_endpoint_failed(call->handle, attempt.endpoint);
    let_go(call, &attempt);
}

static void update_readiness(struct endpoint *endpoint, enum qh_err err, uint64_t now_ms)
{
    struct health *health = &endpoint->health;

    if (err == QH_ESTALE) {
        endpoint->behind_until_ms = now_ms + BEHIND_MS;
    }
    if (err == QH_ELOCKED) {
        health_refused(health, QUADHSM_LOCKED, now_ms);
    } else if (err == QH_ECANCELED) {
        health_refused(health, QUADHSM_DRAINING, now_ms);
    } else if (err == QH_EUNINITIALIZED || err == QH_EGENERATION) {
        health_refused(health, QUADHSM_UNINITIALIZED, now_ms);
    }
}

/* What the answer says of the node; its connection is idle again. With the lock. Returns a
 * connection that is to be closed, or NULL. */
static struct connection *learn(struct call *call, const struct attempt *attempt,
                                const Quadhsm__Response *response, bool final)
{
    struct endpoint *endpoint = attempt->endpoint;
    const char *node = connection_node(attempt->connection);
    uint64_t now_ns = clock_monotonic_ns();

    if (strcmp(endpoint->seen, node) != 0) {
        (void)snprintf(endpoint->seen, sizeof endpoint->seen, "%s", node);
    }
    health_answered(&endpoint->health, response->revision);
    endpoint->health.calls++;
    update_readiness(endpoint, (enum qh_err)response->error, now_ns / 1000000u);
    if (final && attempt->reused) {
        hedge_learn(&call->handle->hedge, call->kind, (double)(now_ns - attempt->begun_ns) / 1e6,
                    endpoint->health.round_trip_ms);
    }
    return pool_put(&endpoint->pool, attempt->connection, now_ns / 1000000u);
}

/* What a node that is behind does not know may be newer than that node: it cannot say that there is
 * no such key. */
static enum qh_err read_error(const struct attempt *attempt, const Quadhsm__Response *response)
{
    enum qh_err err = (enum qh_err)response->error;

    return attempt->lowered && err == QH_ENOTFOUND ? QH_ESTALE : err;
}

static void attempt_answered(struct call *call, size_t index)
{
    struct attempt attempt = take_out(call, index);
    Quadhsm__Response *response = connection_take(attempt.connection);
    enum qh_err err = read_error(&attempt, response);
    bool final = kind_verdict(call->request, err) == KIND_FINAL;
    struct connection *surplus;

    handle_saw_revision(call->handle, response->revision);
    error_set_node(connection_node(attempt.connection));
    handle_lock(call->handle);
    surplus = learn(call, &attempt, response, final);
    if (final) {
        leave_endpoint(&attempt);
    }
    handle_unlock(call->handle);
    connection_close(surplus);
    if (!final) {
        note(call, attempt.endpoint, err, response->detail);
        let_go(call, &attempt);
        wire_message_free(&response->base);
    } else if (err != QH_OK) {
        client_set_detail("%s", response->detail);
        wire_message_free(&response->base);
        finish(call, err);
    } else {
        call->response = response;
        finish(call, QH_OK);
    }
}

/* ---- attempts ---- */

static bool was_tried(const struct call *call, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < call->tried_count; i++) {
        if (call->tried[i] == endpoint) {
            return true;
        }
    }
    for (size_t i = 0; i < call->attempt_count; i++) {
        if (call->attempts[i].endpoint == endpoint) {
            return true;
        }
    }
    return false;
}

/* With the lock. */
static void go_on_with(struct quadhsm *handle, struct endpoint *endpoint)
{
    if (handle->current != endpoint) {
        if (handle->current != NULL) {
            endpoint_unref(handle->current);
        }
        handle->current = endpoint_ref(endpoint);
    }
}

/* An idle connection, and what has to be known of the node before the request can go there. With
 * the lock. */
static void consider(const struct call *call, struct attempt *attempt)
{
    struct endpoint *endpoint = attempt->endpoint;
    const struct health *health = &endpoint->health;
    uint64_t since_ms = 0;

    attempt->connection = pool_take(&endpoint->pool, &since_ms);
    attempt->fresh = attempt->begun_ns / 1000000u < since_ms + FRESH_MS;
    attempt->told = attempt->begun_ns / 1000000u < endpoint->behind_until_ms;
    attempt->ahead = health->revision >= call->min_revision;
    attempt->delay_ms = hedge_delay_ms(&call->handle->hedge, call->kind, health->round_trip_ms,
                                       health->jitter_ms, attempt->connection == NULL);
}

/* The node to try next, counted, with an idle connection if there is one. False: all were tried. */
static bool choose(struct call *call, struct attempt *attempt)
{
    struct quadhsm *handle = call->handle;
    struct choice_candidate candidates[ENDPOINTS_MAX];
    bool first = call->tried_count == 0 && call->attempt_count == 0;
    size_t current = CHOICE_NONE, best;

    handle_lock(handle);
    handle_candidates(handle, call->change, candidates);
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        const struct endpoint *candidate = handle->endpoints.list[i];

        if (was_tried(call, candidate) ||
            (call->only != NULL && strcmp(endpoint_node(candidate), call->only) != 0)) {
            candidates[i].excluded = true;
        }
        if (first && candidate == handle->current) {
            current = i;
        }
    }
    if (first && handle->config->spread && call->only == NULL) {
        best = choice_spread(candidates, handle->endpoints.count, handle->turn++);
    } else {
        best = choice_best(candidates, handle->endpoints.count, current);
    }
    if (best != CHOICE_NONE) {
        attempt->endpoint = endpoint_ref(handle->endpoints.list[best]);
        attempt->endpoint->in_flight++;
        if (first && quick(call) && call->only == NULL && candidates[best].class == CHOICE_READY) {
            go_on_with(handle, attempt->endpoint);
        }
        consider(call, attempt);
    }
    handle_unlock(handle);
    return best != CHOICE_NONE;
}

static QH_RESULT get_connection(struct call *call, struct attempt *attempt)
{
    /* If it has gone in this moment, the call goes on elsewhere. */
    while (attempt->connection != NULL && !attempt->fresh &&
           !connection_usable(attempt->connection)) {
        connection_close(attempt->connection);
        handle_lock(call->handle);
        consider(call, attempt);
        handle_unlock(call->handle);
    }
    attempt->reused = attempt->connection != NULL;
    if (attempt->reused) {
        return QH_OK;
    }
    /* Name servers can take long; the probing thread asks them, if there is one. */
    return handle_connect(call->handle, attempt->endpoint, !call->probed, &attempt->connection);
}

/* A key must stay usable with nodes that are behind what this client has seen, if there are no
 * others: such a node is given little time to catch up, and once it has said that it is behind, it
 * is asked to use what it has. Whether it is too far behind for that it decides itself. */
static void allow_behind(const struct call *call, struct attempt *attempt)
{
    Quadhsm__Request *request = call->request;

    request->level = call->level;
    request->min_revision = call->min_revision;
    attempt->lowered = false;
    if (!kind_uses_keys(request) || call->level != QUADHSM__LEVEL__LEVEL_SESSION ||
        attempt->ahead) {
        return;
    }
    if (attempt->told) {
        attempt->lowered = true;
        request->level = QUADHSM__LEVEL__LEVEL_LOCAL;
        request->min_revision = 0;
    } else if (request->timeout_ms > CATCH_UP_MS) {
        request->timeout_ms = CATCH_UP_MS;
    }
}

/* The request as it is now: less time is left than at the first attempt. */
static QH_RESULT submit(struct call *call, struct attempt *attempt)
{
    Quadhsm__Request *request = call->request;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t left_ms = call->deadline_ms > now_ms ? call->deadline_ms - now_ms : 1u;
    uint8_t *frame;
    size_t size;
    enum qh_err err;

    request->id = atomic_fetch_add(&call->handle->next_id, 1) + 1;
    request->timeout_ms = (uint32_t)(left_ms > 4u * ANSWER_MARGIN_MS ? left_ms - ANSWER_MARGIN_MS
                                                                     : (left_ms * 3u + 3u) / 4u);
    request->work_ms = call->work_ms;
    allow_behind(call, attempt);
    err = wire_pack(&request->base, &frame, &size);
    if (err == QH_OK) {
        connection_submit(attempt->connection, frame, size, request->id);
    }
    return err;
}

/* When to try the next node as well. */
static void plan_hedge(struct call *call, struct attempt *attempt)
{
    unsigned delay_ms = attempt->delay_ms;

    attempt->late_at_ms = attempt->begun_ns / 1000000u + delay_ms;
    /* The second node was chosen as one that is quick. */
    if (call->attempt_count > 0 && delay_ms / 2u >= HEDGE_AGAIN_MIN_MS) {
        delay_ms /= 2u;
    }
    if (call->work_ms > 0 && delay_ms > ATTEMPT_WATCH_MS) {
        delay_ms = ATTEMPT_WATCH_MS; /* watched from then on */
    }
    call->hedge_at_ms = attempt->begun_ns / 1000000u + delay_ms;
}

/* False if it failed already. */
static bool begin(struct call *call, struct attempt *attempt)
{
    enum qh_err err = get_connection(call, attempt);

    if (err != QH_OK) {
        note(call, attempt->endpoint, err == QH_ENOTFOUND ? QH_ECONN : err,
             err == QH_ENOTFOUND ? "the address is unknown" : "");
        handle_endpoint_failed(call->handle, attempt->endpoint);
        let_go(call, attempt);
        return false;
    }
    err = submit(call, attempt);
    if (err != QH_OK) {
        connection_close(attempt->connection);
        let_go(call, attempt);
        finish(call, err); /* it fits no frame, or there is no memory */
        return true;
    }
    plan_hedge(call, attempt);
    call->attempts[call->attempt_count++] = *attempt;
    switch (connection_step(attempt->connection)) {
    case CONNECTION_FAILED:
        attempt_failed(call, call->attempt_count - 1);
        return false;
    case CONNECTION_ANSWERED:
        /* As fast as that: nothing more will come to wake us. */
        attempt_answered(call, call->attempt_count - 1);
        return call->done;
    case CONNECTION_CONNECTING:
    case CONNECTION_HANDSHAKE:
    case CONNECTION_IDLE:
    case CONNECTION_SENDING:
    case CONNECTION_RECEIVING:
        break;
    }
    return true;
}

/* False: every node was tried in this round, or is being tried. */
static bool begin_next(struct call *call)
{
    struct attempt attempt = {.begun_ns = clock_monotonic_ns()};

    QH_ASSERT(call->attempt_count < ATTEMPTS_MAX);
    call->hedge_at_ms = NEVER;
    while (choose(call, &attempt)) {
        if (call->tried_count < ENDPOINTS_MAX) {
            call->tried[call->tried_count++] = attempt.endpoint;
        }
        if (begin(call, &attempt)) {
            return true;
        }
        /* One that failed at once, as where nobody listens, is not hedged. */
        call->hedge_at_ms = NEVER;
        attempt = (struct attempt){.begun_ns = clock_monotonic_ns()};
    }
    return false;
}

/* ---- slow work ---- */

static bool is_worked_on(const struct call *call, uint64_t now_ms)
{
    return call->work_ms > 0 && attempt_any_works(call->handle, call->attempts, call->attempt_count,
                                                  call->deadline_ms, now_ms);
}

static bool is_over(const struct call *call, uint64_t now_ms)
{
    return now_ms >= call->deadline_ms &&
           (now_ms >= call->deadline_ms + call->work_ms || !is_worked_on(call, now_ms));
}

/* ---- time ---- */

/* The next node, or, while some that were tried may still answer, another round after a while. */
static void try_next(struct call *call, uint64_t now_ms)
{
    if (!begin_next(call) && call->attempt_count > 0 && call->retry_at_ms == NEVER) {
        call->retry_at_ms = now_ms + RETRY_MS;
    }
}

static void hedge(struct call *call, uint64_t now_ms)
{
    const struct attempt *last = &call->attempts[call->attempt_count - 1];
    uint64_t longest_ms = last->begun_ns / 1000000u + hedge_longest_ms(call->kind);
    bool spent;

    handle_lock(call->handle);
    spent = hedge_spend(&call->handle->hedge);
    handle_unlock(call->handle);
    if (!spent && now_ms < longest_ms) {
        call->hedge_at_ms = longest_ms;
        return;
    }
    if (call->attempt_count == ATTEMPTS_MAX) {
        abandon(call, 0, true);
    }
    try_next(call, now_ms);
}

static uint64_t pause_ms(const struct call *call)
{
    uint64_t pause = PAUSE_FIRST_MS;

    if (call->rounds == 0 && call->reused_failed) {
        return 0; /* the node may have been started again since */
    }
    for (unsigned i = 0; i < call->rounds && pause < PAUSE_MAX_MS; i++) {
        pause *= 2u;
    }
    return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/* Every node was tried, and none is left that could answer. */
static void end_round(struct call *call, uint64_t now_ms)
{
    if (call->only != NULL ? !call->reused_failed || call->rounds > 0 : !call->hopeful) {
        finish(call, call->worst != QH_OK ? call->worst
                     : call->only != NULL ? QH_ENOTFOUND
                                          : QH_ECONN);
        return;
    }
    call->retry_at_ms = now_ms + pause_ms(call);
    /* A change that could not be made is better left so than sent once more without the time to
     * hear what became of it. */
    if (call->change && !call->maybe_done &&
        call->retry_at_ms + ANSWER_MARGIN_MS > call->deadline_ms) {
        finish(call, call->worst);
    }
}

static void drop_silent(struct call *call, uint64_t now_ms)
{
    uint64_t patience_ms = 4u * hedge_longest_ms(call->kind);

    for (size_t i = call->attempt_count; i-- > 0;) {
        const struct attempt *attempt = &call->attempts[i];
        uint64_t age_ms = now_ms - attempt->begun_ns / 1000000u;

        if (age_ms > (connection_sent(attempt->connection) ? patience_ms : SILENT_MS)) {
            note(call, attempt->endpoint, QH_ETIMEOUT, "no answer");
            abandon(call, i, true);
        }
    }
}

static void begin_round(struct call *call, uint64_t now_ms)
{
    drop_silent(call, now_ms);
    call->rounds++;
    call->tried_count = 0;
    call->reused_failed = call->hopeful = false;
    call->notes[0] = '\0';
    call->retry_at_ms = NEVER;
    if (call->attempt_count == ATTEMPTS_MAX) {
        abandon(call, 0, true);
    }
    try_next(call, now_ms);
}

static void give_up(struct call *call)
{
    for (size_t i = 0; i < call->attempt_count; i++) {
        bool sent = connection_sent(call->attempts[i].connection);

        note(call, call->attempts[i].endpoint, sent ? QH_ETIMEOUT : QH_ECONN, "no answer");
        call->maybe_done = call->maybe_done || (sent && call->change);
    }
    finish(call, call->worst != QH_OK ? call->worst : QH_ETIMEOUT);
}

/* True if something has come. */
static bool wait_for_any(struct call *call, struct pollfd *fds, uint64_t now_ms, uint64_t until_ms)
{
    struct connection *first = call->attempts[0].connection;

    if (call->attempt_count == 1 && until_ms >= now_ms + CONNECTION_WAIT_MS &&
        connection_may_wait(first)) {
        fds[0].revents = POLLIN;
        return connection_wait(first);
    }
    return poll(fds, call->attempt_count, until_ms > now_ms ? (int)(until_ms - now_ms) : 0) > 0;
}

static void wait_for_something(struct call *call, uint64_t now_ms)
{
    struct pollfd fds[ATTEMPTS_MAX];
    struct connection *connections[ATTEMPTS_MAX];
    uint64_t until_ms = call->deadline_ms + (now_ms < call->deadline_ms ? 0 : call->work_ms);
    size_t count = call->attempt_count;

    until_ms = call->hedge_at_ms < until_ms ? call->hedge_at_ms : until_ms;
    until_ms = call->retry_at_ms < until_ms ? call->retry_at_ms : until_ms;
    for (size_t i = 0; i < count; i++) {
        connections[i] = call->attempts[i].connection;
        fds[i] = (struct pollfd){.fd = connection_fd(connections[i]),
                                 .events = connection_events(connections[i])};
    }
    if (!wait_for_any(call, fds, now_ms, until_ms)) {
        return;
    }
    /* From the last to the first, for each may be taken out. */
    for (size_t i = count; i-- > 0 && !call->done;) {
        if (fds[i].revents == 0) {
            continue;
        }
        switch (connection_step(connections[i])) {
        case CONNECTION_ANSWERED:
            attempt_answered(call, i);
            break;
        case CONNECTION_FAILED:
            attempt_failed(call, i);
            break;
        case CONNECTION_CONNECTING:
        case CONNECTION_HANDSHAKE:
        case CONNECTION_IDLE:
        case CONNECTION_SENDING:
        case CONNECTION_RECEIVING:
            continue;
        }
        /* One fewer: at once the next. It must wait until all that have answered are heard. */
        if (!call->done) {
            call->hedge_at_ms = 0;
        }
    }
}

static void run(struct call *call)
{
    (void)begin_next(call);
    while (!call->done) {
        uint64_t now_ms = clock_monotonic_ms();

        if (is_over(call, now_ms)) {
            give_up(call);
        } else if ((call->retry_at_ms <= now_ms || call->hedge_at_ms <= now_ms) &&
                   is_worked_on(call, now_ms)) {
            attempt_watch(call->handle, call->attempts, call->attempt_count, now_ms);
            call->hedge_at_ms = now_ms + ATTEMPT_WATCH_MS;
            call->retry_at_ms = NEVER;
        } else if (call->retry_at_ms <= now_ms) {
            begin_round(call, now_ms);
        } else if (call->hedge_at_ms == 0) {
            try_next(call, now_ms);
        } else if (call->attempt_count == 0 && call->retry_at_ms == NEVER) {
            end_round(call, now_ms);
        } else if (call->hedge_at_ms <= now_ms && call->attempt_count > 0) {
            hedge(call, now_ms);
        } else {
            wait_for_something(call, now_ms);
        }
    }
}

/* ---- the call ---- */

static void explain(struct call *call)
{
    switch ((int)call->result) {
    case QH_ENOQUORUM:
        client_set_detail("keys can be used, changes wait for a majority of the nodes (%s)",
                          call->worst_text);
        return;
    case QH_EUNKNOWN:
        client_set_detail("the request was sent, and whether it was carried out is not known (%s)",
                          call->worst_text);
        return;
    default:
        client_set_detail("%s", call->worst_text);
    }
}

/* What a node that is asked, and gave no answer, makes of the others' errors. */
static void conclude(struct call *call)
{
    bool definite =
        call->result == QH_OK || kind_verdict(call->request, call->result) == KIND_FINAL;

    if (definite) {
        return;
    }
    if (call->maybe_done && call->request->op_case != QUADHSM__REQUEST__OP_LOGIN) {
        call->result = QH_EUNKNOWN;
    }
    explain(call);
}

static void enter(struct call *call)
{
    struct quadhsm *handle = call->handle;

    handle_enter(handle);
    handle_lock(handle);
    prober_prepare(handle, call->deadline_ms);
    call->probed = handle->prober.running;
    handle->calls++;
    if (handle->calls > handle->calls_peak) {
        handle->calls_peak = handle->calls;
    }
    handle->last_call_ms = clock_monotonic_ms();
    handle_unlock(handle);
}

static void leave(struct call *call)
{
    while (call->attempt_count > 0) {
        abandon(call, call->attempt_count - 1, false);
    }
    handle_lock(call->handle);
    call->handle->calls--;
    handle_unlock(call->handle);
}

static QH_RESULT call_run(struct quadhsm *handle, const char *only, Quadhsm__Request *request,
                          Quadhsm__Response **ret_response)
{
    uint8_t request_id[ONCE_ID_SIZE];
    ProtobufCBinaryData given_id = request->request_id;
    Quadhsm__Level given_level = request->level;
    struct call call = {
        .handle = handle,
        .request = request,
        .only = only,
        .change = call_is_change(request),
        .deadline_ms = clock_monotonic_ms() + atomic_load(&handle->timeout_ms),
        .hedge_at_ms = NEVER,
        .retry_at_ms = NEVER,
    };

    error_clear();
    if (call.change && given_id.len == 0) {
        randombytes_buf(request_id, sizeof request_id);
        request->request_id = (ProtobufCBinaryData){.data = request_id, .len = sizeof request_id};
    }
    request->level = kind_level(request, (Quadhsm__Level)atomic_load(&handle->level));
    call.kind = kind_of(request);
    call.work_ms = kind_work_ms(request);
    enter(&call);
    call.level = request->level;
    call.min_revision = request->level == QUADHSM__LEVEL__LEVEL_SESSION && !kind_uses_keys(request)
                            ? atomic_load(&handle->revision)
                            : request->min_revision;
    run(&call);
    leave(&call);
    conclude(&call);
    request->request_id = given_id;
    request->level = given_level;
    if (call.result == QH_OK) {
        *ret_response = call.response;
    }
    return call.result;
}

QH_RESULT client_call(struct quadhsm *handle, Quadhsm__Request *request,
                      Quadhsm__Response **ret_response)
{
    return call_run(handle, NULL, request, ret_response);
}

QH_RESULT client_call_node(struct quadhsm *handle, const char *node, Quadhsm__Request *request,
                           Quadhsm__Response **ret_response)
{
    return call_run(handle, node, request, ret_response);
}
