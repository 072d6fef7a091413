/* What needs no change of the store: Ping, Random, and the use of a key. */
#include <sodium.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/mech.h"
#include "hsm/object.h"
#include "node/handlers.h"
#include "node/keycache.h"
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

/* ---- Output of some bytes. */

/* Room for @room bytes in the response, which tells its size in the end. */
static QH_RESULT output_new(struct request *request, size_t room, Quadhsm__Output **ret_output)
{
    Quadhsm__Output *output = wire_zalloc(sizeof *output);

    if (output == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__output__init(output);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_OUTPUT;
    request->response->output = output;
    if (room > 0) {
        output->data.data = wire_zalloc(room);
        if (output->data.data == NULL) {
            return QH_ENOMEM;
        }
    }
    *ret_output = output;
    return QH_OK;
}

void handle_random(struct request *request)
{
    size_t size = request->message->random->size;
    Quadhsm__Output *output;
    enum qh_err err = output_new(request, size, &output);

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

static bool is_user(enum hsm_role role)
{
    return role == HSM_ROLE_CO || role == HSM_ROLE_CU;
}

/* Was the PIN shown for this very operation? If not, that is to be done again; QH_ETICKET would end
 * the login that the request came with. */
static QH_RESULT check_context(const struct request *request)
{
    const Quadhsm__Use *use = request->message->use;
    const struct view *view = request->node->view;
    struct ticket ticket;

    if (use->context_ticket.len == 0) {
        return QH_ENOLOGIN;
    }
    if (ticket_open(view_keyring(view), view_directory(view),
                    (struct bytes){use->context_ticket.data, use->context_ticket.len},
                    request->fingerprint, clock_unix_ms(), &ticket) != QH_OK ||
        !ticket.context || !is_user(ticket.role) ||
        memcmp(ticket.partition, request->message->partition.data, PARTITION_ID_SIZE) != 0) {
        return QH_ENOLOGIN;
    }
    return QH_OK;
}

static QH_RESULT check_object(const struct request *request, const struct object *object,
                              const struct mech_params *params)
{
    if (object->is_private && !is_user(request->ticket.role)) {
        return QH_ENOLOGIN;
    }
    if (object_flag(object, CKA_ALWAYS_AUTHENTICATE)) {
        enum qh_err err = check_context(request);

        if (err != QH_OK) {
            return err;
        }
    }
    return object_may(object, object_use_of(request->message->use->kind), params);
}

/* What is wanted, as long as view_leave() was not called. */
struct target {
    const struct directory_partition *partition;
    const struct view_object *stored; /* NULL: a session object */
};

/* Inside view_enter(). The partition may have gone since the request was authorized. */
static QH_RESULT find_target(const struct request *request, struct target *ret_target)
{
    const struct view *view = request->node->view;
    const uint8_t *partition_id = request->message->partition.data;
    const Quadhsm__ObjectRef *ref = request->message->use->ref;
    struct target target = {0};

    if (view_keyring(view) == NULL) {
        return QH_ELOCKED;
    }
    target.partition = directory_partition(view_directory(view), partition_id);
    if (target.partition == NULL) {
        return QH_ENOTFOUND;
    }
    if (ref->session.len == 0) {
        target.stored = view_object(view, partition_id, ref->id.data);
        if (target.stored == NULL) {
            return QH_ENOTFOUND;
        }
    }
    *ret_target = target;
    return QH_OK;
}

/* Inside view_enter(). The key is this thread's, and stays so after view_leave(). */
static QH_RESULT open_key(const struct request *request, const struct mech_params *params,
                          struct key **ret_key)
{
    const struct keyring *keyring = view_keyring(request->node->view);
    const Quadhsm__ObjectRef *ref = request->message->use->ref;
    uint64_t now_ms = clock_monotonic_ms();
    const struct object *object;
    struct target target;
    struct key *key;
    enum qh_err err = find_target(request, &target);

    if (err != QH_OK) {
        return err;
    }
    if (target.stored != NULL) {
        err = check_object(request, target.stored->object, params);
        return err != QH_OK ? err
                            : keycache_get(keycache_mine(), keyring, target.partition,
                                           target.stored, now_ms, ret_key);
    }
    err = keycache_get_session(keycache_mine(), keyring, target.partition,
                               (struct bytes){ref->session.data, ref->session.len}, now_ms, &key,
                               &object);
    if (err == QH_OK) {
        err = check_object(request, object, params);
    }
    if (err == QH_OK) {
        *ret_key = key;
    }
    return err;
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
    enum qh_err err = output_new(request, room, &output);

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
    struct key *key = NULL;
    enum qh_err err;

    /* Not held while the key works: what the view lets go of waits for its readers. */
    view_enter();
    err = open_key(request, &params, &key);
    view_leave();
    if (err == QH_OK) {
        err = use->kind == QUADHSM__USE_KIND__USE_VERIFY ? verify(use, key, &params)
                                                         : produce(request, key, &params);
    }
    request_answer(request, err, NULL);
}

/* P-256 has a fast implementation in OpenSSL, the other curves take ten times as long. */
static bool is_slow_curve(const struct object *object)
{
    static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    const struct attribute *params = object_attribute(object, CKA_EC_PARAMS);

    return object->key_type == CKK_EC && (params == NULL || params->value.size != sizeof p256 ||
                                          memcmp(params->value.base, p256, sizeof p256) != 0);
}

/* Session objects are not opened to find out: their owner waits no longer than for a worker. */
static bool has_slow_key(const struct request *request, const struct mech_info *info)
{
    struct target target;
    bool slow;

    if (info->key_type != CKK_EC) {
        return false;
    }
    view_enter();
    slow = find_target(request, &target) == QH_OK &&
           (target.stored == NULL || is_slow_curve(target.stored->object));
    view_leave();
    return slow;
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
               has_slow_key(request, info)) {
        request_run_on(request, REQUEST_WORKER, run_use);
    } else {
        run_use(request);
    }
}
