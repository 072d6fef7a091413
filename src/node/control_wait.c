/* Requests that wait until this node's view is new enough: for a revision that the client has seen
 * elsewhere, or (linearizable) for everything that was committed when it asked.
 *
 * The latter needs a barrier: a change without effect that is proposed and applied here. One
 * runs at a time; all who came before it began share it. */
#include <stdlib.h>

#include <sodium.h>

#include "base/clock.h"
#include "node/control_private.h"
#include "store/txn.h"

#define BARRIER_TIMEOUT_MS 5000u

static void start_barrier(struct control *control);

/* From the service thread to the control thread, as request->state. */
struct wait_hand_over {
    struct control_wait wait;
    bool linearizable;
};

static void finish(struct control_wait *wait, enum qh_err err)
{
    struct request *request = wait->request;
    void (*run)(struct request * request) = wait->run;

    free(wait);
    if (err == QH_OK) {
        request_run_on(request, REQUEST_SERVICE, run);
    } else {
        request_answer(request, err,
                       err == QH_ENOQUORUM
                           ? "a linearizable read needs a majority of the nodes: read with level "
                             "session or local, or bring nodes back"
                           : "this node has not yet seen what the client saw at another one: ask "
                             "another node");
    }
}

/* Call each wait that is over; keep the others in order. */
void control_wait_check(struct control *control, uint64_t now_ms)
{
    uint64_t revision = view_revision(control->node->view);
    struct control_wait **link = &control->waits;

    while (*link != NULL) {
        struct control_wait *wait = *link;
        bool through = wait->barrier <= control->barrier_done && wait->revision <= revision;

        if (through || now_ms >= wait->request->deadline_ms) {
            *link = wait->next;
            control->wait_count--;
            finish(wait, through ? QH_OK : wait->barrier > 0 ? QH_ENOQUORUM : QH_ESTALE);
        } else {
            link = &wait->next;
        }
    }
}

static void on_barrier(void *data, const struct propose_result *result)
{
    struct control *control = data;

    if (result->outcome == PROPOSE_APPLIED || result->outcome == PROPOSE_DUPLICATE) {
        control->barrier_done = control->barrier_running;
    }
    control->barrier_running = 0;
    control_wait_check(control, clock_monotonic_ms());
    start_barrier(control);
}

static void start_barrier(struct control *control)
{
    static const uint8_t mark[1] = {1};
    uint8_t id[ONCE_ID_SIZE];
    struct txn_builder builder;
    struct bytes encoded;
    enum qh_err err;

    if (control->barrier_running != 0 || control->barrier_wanted == control->barrier_done ||
        control->replica == NULL) {
        return;
    }
    randombytes_buf(id, sizeof id);
    txn_build_once(&builder, id, store_revision(replica_store(control->replica)),
                   (struct bytes){mark, sizeof mark});
    if (txn_build_end(&builder, &encoded) != QH_OK) {
        return; /* out of memory: the next tick tries again */
    }
    control->barrier_running = control->barrier_wanted;
    err = replica_propose(control->replica, encoded, BARRIER_TIMEOUT_MS, on_barrier, control);
    if (err != QH_OK) {
        control->barrier_running = 0;
    }
    free((void *)(uintptr_t)encoded.base);
}

static void begin_wait(struct request *request)
{
    struct control *control = request->node->control;
    struct wait_hand_over *hand_over = request->state;
    struct control_wait *wait = &hand_over->wait;

    request->state = NULL;
    request->state_free = NULL;
    if (control->wait_count >= CONTROL_WAITING_MAX) {
        free(wait);
        request_answer(request, QH_EBUSY, "too many requests wait for this node to catch up");
        return;
    }
    if (hand_over->linearizable) {
        /* A barrier that runs already may have begun before something that must be seen. */
        if (control->barrier_wanted == control->barrier_running ||
            control->barrier_wanted == control->barrier_done) {
            control->barrier_wanted++;
        }
        wait->barrier = control->barrier_wanted;
    }
    wait->next = control->waits;
    control->waits = wait;
    control->wait_count++;
    start_barrier(control);
    control_wait_check(control, clock_monotonic_ms());
}

void control_wait(struct request *request, uint64_t revision, bool linearizable,
                  void (*run)(struct request *request))
{
    struct wait_hand_over *hand_over = calloc(1, sizeof *hand_over);

    if (hand_over == NULL) {
        request_answer(request, QH_ENOMEM, NULL);
        return;
    }
    hand_over->wait = (struct control_wait){.request = request, .revision = revision, .run = run};
    hand_over->linearizable = linearizable;
    request->state = hand_over;
    request->state_free = free;
    request_run_on(request, REQUEST_CONTROL, begin_wait);
}

void control_wait_tick(struct control *control, uint64_t now_ms)
{
    start_barrier(control);
    if (control->waits != NULL) {
        control_wait_check(control, now_ms);
    }
}

void control_wait_cancel(struct control *control)
{
    while (control->waits != NULL) {
        struct control_wait *wait = control->waits;

        control->waits = wait->next;
        control->wait_count--;
        request_answer(wait->request, QH_ECANCELED, "the node is stopping: ask another one");
        free(wait);
    }
}
