/* What needs no change of the store: Ping, Random, and the use of a key. */
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/mech.h"
#include "hsm/object.h"
#include "node/handlers.h"
#include "node/key_use.h"
#include "node/mech_message.h"
#include "node/node.h"
#include "node/workers.h"
#include "wire/frame.h"

/* Above this, even a cheap mechanism takes as long as an RSA signature. */
#define USE_INLINE_SIZE_MAX 65536u

/* ---- Ping. */

static void fill_pong(const struct node *node, Quadhsm__Pong *pong)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t seen_ms = atomic_load(&node->leader_seen_ms);
    char *name = wire_string(node->config->node);
    char *region = wire_string(node->config->region);

    if (name != NULL) {
        pong->node = name;
    }
    if (region != NULL) {
        pong->region = region;
    }
    pong->readiness = (Quadhsm__Readiness)atomic_load(&node->readiness);
    pong->generation = atomic_load(&node->generation);
    pong->has_leader = atomic_load(&node->has_leader);
    pong->view_age_ms = now_ms > seen_ms ? now_ms - seen_ms : 0;
    if (node->workers != NULL) {
        pong->queued = workers_queued(node->workers);
        pong->workers = workers_threads(node->workers);
    }
}

void handle_ping(struct request *request)
{
    const struct node *node = request->node;
    Quadhsm__Pong *pong = wire_zalloc(sizeof *pong);

    if (pong == NULL) {
        request_answer(request, QH_ENOMEM, NULL);
        return;
    }
    quadhsm__pong__init(pong);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_PONG;
    request->response->pong = pong;
    fill_pong(node, pong);
    if (node->view != NULL) {
        view_enter();
        pong->endpoints_revision = view_directory(node->view)->nodes_revision;
        view_leave();
    }
    request_answer(request, QH_OK, NULL);
}

/* ---- Random. */

void handle_random(struct request *request)
{
    size_t size = request->message->random->size;
    Quadhsm__Output *output;
    enum qh_err err = request_output(request, size, &output);

    if (err == QH_OK) {
        randombytes_buf(output->data.data, size);
        output->data.len = size;
    }
    request_answer(request, err, NULL);
}

/* ---- Use of a key. */

static enum object_use object_use_of(Quadhsm__UseKind kind)
{
    switch ((int)kind) {
    case QUADHSM__USE_KIND__USE_VERIFY:
        return OBJECT_VERIFY;
    case QUADHSM__USE_KIND__USE_ENCRYPT:
        return OBJECT_ENCRYPT;
    case QUADHSM__USE_KIND__USE_DECRYPT:
        return OBJECT_DECRYPT;
    default:
        return OBJECT_SIGN;
    }
}

static QH_RESULT verify(const Quadhsm__Use *use, struct key *key, const struct mech_params *params)
{
    return mech_verify(key, params, (struct bytes){use->data.data, use->data.len},
                       (struct bytes){use->signature.data, use->signature.len});
}

static QH_RESULT produce(struct request *request, struct key *key, const struct mech_params *params)
{
    const Quadhsm__Use *use = request->message->use;
    struct bytes data = {use->data.data, use->data.len};
    Quadhsm__Output *output = NULL;
    size_t room = use->kind == QUADHSM__USE_KIND__USE_SIGN
                      ? mech_signature_size(key, params)
                      : mech_output_size(key, params, data.size);
    enum qh_err err = request_output(request, room, &output);

    if (err != QH_OK) {
        return err;
    }
    switch ((int)use->kind) {
    case QUADHSM__USE_KIND__USE_SIGN:
        return mech_sign(key, params, data, output->data.data, room, &output->data.len);
    case QUADHSM__USE_KIND__USE_ENCRYPT:
        return mech_encrypt(key, params, data, output->data.data, room, &output->data.len);
    default:
        return mech_decrypt(key, params, data, output->data.data, room, &output->data.len);
    }
}

static void run_use(struct request *request)
{
    const Quadhsm__Use *use = request->message->use;
    struct mech_params params = mech_message_params(use->mechanism);
    const struct object *object;
    struct key *key = NULL;
    enum qh_err err;

    /* Not held while the key works: what the view lets go of waits for its readers. */
    view_enter();
    err = key_use_open(request, use->ref, object_use_of(use->kind), &params, &use->context_ticket,
                       &key, &object);
    view_leave();
    if (err == QH_OK) {
        err = use->kind == QUADHSM__USE_KIND__USE_VERIFY ? verify(use, key, &params)
                                                         : produce(request, key, &params);
    }
    request_answer(request, err, NULL);
}

void handle_use(struct request *request)
{
    const Quadhsm__Use *use = request->message->use;
    const struct mech_info *info = mech_find(use->mechanism->type);
    bool secret_half =
        use->kind == QUADHSM__USE_KIND__USE_SIGN || use->kind == QUADHSM__USE_KIND__USE_DECRYPT;

    if (info == NULL) {
        request_answer(request, QH_EMECHANISM, NULL);
    } else if ((info->cost != MECH_CHEAP && secret_half) || use->data.len > USE_INLINE_SIZE_MAX ||
               key_use_is_slow(request, use->ref, info)) {
        request_run_on(request, REQUEST_WORKER, run_use);
    } else {
        run_use(request);
    }
}
