/* The keys of requests. */
#include "node/key_use.h"

#include <string.h>

#include "base/clock.h"
#include "node/keycache.h"
#include "node/node.h"
#include "node/object_scene.h"

static bool is_user(enum hsm_role role)
{
    return role == HSM_ROLE_CO || role == HSM_ROLE_CU;
}

/* Was the PIN shown for this very operation? If not, that is to be done again; QH_ETICKET would end
 * the login that the request came with. */
static QH_RESULT check_context(const struct request *request,
                               const ProtobufCBinaryData *context_ticket)
{
    const struct view *view = request->node->view;
    struct ticket ticket;

    if (context_ticket->len == 0) {
        return QH_ENOLOGIN;
    }
    if (ticket_open(view_keyring(view), view_directory(view),
                    (struct bytes){context_ticket->data, context_ticket->len}, request->fingerprint,
                    clock_unix_ms(), &ticket) != QH_OK ||
        !ticket.context || !is_user(ticket.role) ||
        memcmp(ticket.partition, request->message->partition.data, PARTITION_ID_SIZE) != 0) {
        return QH_ENOLOGIN;
    }
    return QH_OK;
}

/* What is asked of a key. */
struct wanted {
    enum object_use use;
    const struct mech_params *params;
    const ProtobufCBinaryData *context_ticket;
};

static QH_RESULT check_object(const struct request *request, const struct object *object,
                              const struct wanted *wanted)
{
    if (object->is_private && !is_user(request->ticket.role)) {
        return QH_ENOLOGIN;
    }
    if (object_flag(object, CKA_ALWAYS_AUTHENTICATE)) {
        enum qh_err err = check_context(request, wanted->context_ticket);

        if (err != QH_OK) {
            return err;
        }
    }
    return object_may(object, wanted->use, wanted->params);
}

/* What is named, as long as view_leave() was not called. */
struct target {
    const struct directory_partition *partition;
    const struct view_object *stored; /* NULL: a session object */
};

/* Inside view_enter(). The partition may have gone since the request was authorized. */
static QH_RESULT find_target(const struct request *request, const Quadhsm__ObjectRef *ref,
                             struct target *ret_target)
{
    const struct view *view = request->node->view;
    const uint8_t *partition_id = request->message->partition.data;
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

static QH_RESULT open_session(const struct request *request, const struct target *target,
                              const Quadhsm__ObjectRef *ref, const struct wanted *wanted,
                              struct key **ret_key, const struct object **ret_object)
{
    const struct object *object;
    struct key *key;
    enum qh_err err = keycache_get_session(
        keycache_mine(), view_keyring(request->node->view), target->partition,
        (struct bytes){ref->session.data, ref->session.len}, clock_monotonic_ms(), &key, &object);

    if (err == QH_OK) {
        err = check_object(request, object, wanted);
    }
    if (err == QH_OK) {
        *ret_key = key;
        *ret_object = object;
    }
    return err;
}

QH_RESULT key_use_open(const struct request *request, const Quadhsm__ObjectRef *ref,
                       enum object_use use, const struct mech_params *params,
                       const ProtobufCBinaryData *context_ticket, struct key **ret_key,
                       const struct object **ret_object)
{
    struct wanted wanted = {use, params, context_ticket};
    struct target target;
    enum qh_err err = find_target(request, ref, &target);

    if (err != QH_OK) {
        return err;
    }
    if (target.stored == NULL) {
        return open_session(request, &target, ref, &wanted, ret_key, ret_object);
    }
    err = check_object(request, target.stored->object, &wanted);
    if (err == QH_OK) {
        err = keycache_get(keycache_mine(), view_keyring(request->node->view), target.partition,
                           target.stored, clock_monotonic_ms(), ret_key);
    }
    if (err == QH_OK) {
        *ret_object = target.stored->object;
    }
    return err;
}

QH_RESULT key_use_material(const struct request *request, const Quadhsm__ObjectRef *ref,
                           struct object **ret_object)
{
    struct object_scene scene;
    struct target target;
    enum qh_err err = object_scene_open(request, &scene);

    if (err == QH_OK) {
        err = find_target(request, ref, &target);
    }
    if (err != QH_OK) {
        return err;
    }
    if (target.stored == NULL) {
        return object_scene_session(request, &scene, ref, ret_object);
    }
    err = object_scene_may_read(request, target.stored->object->is_private);
    if (err != QH_OK) {
        return err;
    }
    return object_open(scene.partition->key, scene.cluster, scene.partition->id, target.stored->id,
                       target.stored->sealed, true, ret_object);
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
bool key_use_is_slow(const struct request *request, const Quadhsm__ObjectRef *ref,
                     const struct mech_info *info)
{
    struct target target;
    bool slow;

    if (info->key_type != CKK_EC) {
        return false;
    }
    view_enter();
    slow = find_target(request, ref, &target) == QH_OK &&
           (target.stored == NULL || is_slow_curve(target.stored->object));
    view_leave();
    return slow;
}
