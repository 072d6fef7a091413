/* Requests: made, handed from thread to thread, answered once, released. */
#include "node/request.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "node/control.h"
#include "node/service.h"
#include "node/workers.h"
#include "wire/frame.h"

#define REQUEST_TIMEOUT_MS_MAX 600000u
#define REQUEST_WORK_MS_MAX 600000u

static Quadhsm__Response *new_response(void)
{
    Quadhsm__Response *response = wire_zalloc(sizeof *response);

    if (response != NULL) {
        quadhsm__response__init(response);
    }
    return response;
}

static unsigned timeout_of(const struct node *node, const Quadhsm__Request *message)
{
    if (message->timeout_ms == 0) {
        return node->config->request_timeout_ms;
    }
    return message->timeout_ms < REQUEST_TIMEOUT_MS_MAX ? message->timeout_ms
                                                        : REQUEST_TIMEOUT_MS_MAX;
}

struct request *request_new(struct node *node, enum request_origin origin,
                            Quadhsm__Request *message)
{
    struct request *request = calloc(1, sizeof *request);

    if (request == NULL) {
        return NULL;
    }
    request->response = new_response();
    if (request->response == NULL) {
        free(request);
        return NULL;
    }
    request->node = node;
    request->origin = origin;
    request->message = message;
    request->deadline_ms = clock_monotonic_ms() + timeout_of(node, message);
    return request;
}

void request_begin_work(struct request *request)
{
    unsigned work_ms = request->message->work_ms;

    request->deadline_ms += work_ms < REQUEST_WORK_MS_MAX ? work_ms : REQUEST_WORK_MS_MAX;
}

void request_end_work(struct request *request)
{
    uint64_t latest_ms = clock_monotonic_ms() + timeout_of(request->node, request->message);

    if (request->deadline_ms > latest_ms) {
        request->deadline_ms = latest_ms;
    }
}

void request_free(struct request *request)
{
    if (request == NULL) {
        return;
    }
    if (request->state_free != NULL) {
        request->state_free(request->state);
    }
    free(request->change); /* one that control had no room for */
    wire_message_free(&request->message->base);
    if (request->response != NULL) {
        wire_message_free(&request->response->base);
    }
    free(request);
}

/* Those of the control socket have no service thread: the control thread is their own. */
static bool post(struct request *request, enum request_place place)
{
    struct node *node = request->node;

    switch (place) {
    case REQUEST_SERVICE:
        if (request->conn != NULL) {
            service_post(request);
            return true;
        }
        return control_post(node->control, request);
    case REQUEST_WORKER:
        return workers_post(node->workers, request, WORKERS_FAST);
    case REQUEST_SLOW:
        return workers_post(node->workers, request, WORKERS_SLOW);
    case REQUEST_PRIMES:
        return workers_post(node->workers, request, WORKERS_PRIMES);
    case REQUEST_CONTROL:
        return control_post(node->control, request);
    }
    return false;
}

void request_run_on(struct request *request, enum request_place place,
                    void (*run)(struct request *request))
{
    QH_ASSERT(!request->answered);
    request->run = run;
    if (!post(request, place)) {
        request_answer(request, QH_EBUSY, "the node has too much to do: ask another one");
    }
}

/* An error travels alone: what a handler had filled in before it failed is dropped. */
static void drop_result(struct request *request)
{
    wire_message_free(&request->response->base);
    request->response = new_response();
}

void request_answer(struct request *request, enum qh_err err, const char *detail)
{
    uint64_t revision = request->node->view != NULL ? view_revision(request->node->view) : 0;

    QH_ASSERT(!request->answered);
    request->answered = true;
    if (err != QH_OK && request->response != NULL &&
        request->response->result_case != QUADHSM__RESPONSE__RESULT__NOT_SET) {
        drop_result(request);
    }
    /* Without memory for one, deliver tells so in its own way. */
    if (request->response != NULL) {
        request->response->id = request->message->id;
        request->response->error = (uint32_t)err;
        if (request->response->revision < revision) {
            request->response->revision = revision;
        }
        if (detail != NULL) {
            char *copy = wire_string(detail);

            if (copy != NULL) {
                request->response->detail = copy;
            }
        }
    }
    request->deliver(request);
}

void request_progress(struct request *request, const char *what)
{
    if (request->progress != NULL) {
        request->progress(request, what);
    }
}
