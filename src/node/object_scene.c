/* The partition of a request, its role there, and objects in and out of it. */
#include "node/object_scene.h"

#include <stdlib.h>
#include <string.h>

#include "hsm/record.h"
#include "node/node.h"

QH_RESULT object_scene_open(const struct request *request, struct object_scene *ret_scene)
{
    const struct view *view = request->node->view;
    const struct keyring *keyring = view_keyring(view);
    const ProtobufCBinaryData *id = &request->message->partition;

    if (keyring == NULL) {
        return QH_ELOCKED;
    }
    if (id->len != PARTITION_ID_SIZE) {
        return QH_EINVAL;
    }
    ret_scene->cluster = keyring_cluster(keyring);
    ret_scene->partition = directory_partition(view_directory(view), id->data);
    return ret_scene->partition != NULL ? QH_OK : QH_ENOTFOUND;
}

static enum hsm_role role_of(const struct request *request)
{
    const ProtobufCBinaryData *id = &request->message->partition;

    if (request->ticket.role == HSM_ROLE_NONE || id->len != PARTITION_ID_SIZE ||
        memcmp(request->ticket.partition, id->data, PARTITION_ID_SIZE) != 0) {
        return HSM_ROLE_NONE;
    }
    return request->ticket.role;
}

bool object_scene_sees_private(const struct request *request)
{
    return role_of(request) == HSM_ROLE_CO || role_of(request) == HSM_ROLE_CU;
}

QH_RESULT object_scene_may_read(const struct request *request, bool is_private)
{
    if (!is_private || object_scene_sees_private(request)) {
        return QH_OK;
    }
    return role_of(request) == HSM_ROLE_NONE ? QH_ENOLOGIN : QH_EPERM;
}

QH_RESULT object_scene_may_change(const struct request *request, bool token, bool is_private)
{
    if (!token) {
        return object_scene_may_read(request, is_private);
    }
    switch (role_of(request)) {
    case HSM_ROLE_CO:
        return QH_OK;
    case HSM_ROLE_NONE:
        return QH_ENOLOGIN;
    case HSM_ROLE_SO:
    case HSM_ROLE_PO:
    case HSM_ROLE_CU:
    case HSM_ROLES:
        break;
    }
    return QH_EPERM;
}

bool object_scene_is_officer(const struct request *request)
{
    return role_of(request) == HSM_ROLE_PO;
}

void object_scene_answer(struct request *request, enum qh_err err)
{
    const char *detail = NULL;

    if (err == QH_ENOLOGIN) {
        detail = "log in as co";
    } else if (err == QH_EPERM) {
        detail = "the crypto officer (co) may do this";
    }
    request_answer(request, err, detail);
}

QH_RESULT object_scene_put_session(const struct object_scene *scene, const struct object *object,
                                   struct object_answer *list)
{
    struct bytes sealed;
    enum qh_err err = object_seal(scene->partition->key, scene->cluster, scene->partition->id, NULL,
                                  scene->partition->generation, object, &sealed);

    if (err == QH_OK) {
        err = object_answer_add(list, object, scene->partition->export, NULL, sealed, 0);
        free((void *)(uintptr_t)sealed.base);
    }
    return err;
}

QH_RESULT object_scene_put(const struct object_scene *scene, const struct object *object,
                           const uint8_t id[OBJECT_ID_SIZE], uint64_t counter,
                           struct change_list *changes, struct object_answer *list)
{
    struct record_key key = record_key_object(scene->partition->id, id);
    struct bytes sealed;
    enum qh_err err = object_seal(scene->partition->key, scene->cluster, scene->partition->id, id,
                                  counter, object, &sealed);

    if (err == QH_OK) {
        change_put(changes, record_key_bytes(&key), sealed);
        free((void *)(uintptr_t)sealed.base);
        err = object_answer_add(list, object, scene->partition->export, id, (struct bytes){NULL, 0},
                                0);
    }
    return err;
}

QH_RESULT object_scene_session(const struct request *request, const struct object_scene *scene,
                               const Quadhsm__ObjectRef *ref, struct object **ret_object)
{
    struct bytes sealed = {ref->session.data, ref->session.len};
    struct object *object;
    enum qh_err err = object_check_generation(sealed, scene->partition->generation);

    if (err == QH_OK) {
        err = object_open(scene->partition->key, scene->cluster, scene->partition->id, NULL, sealed,
                          true, &object);
    }
    if (err != QH_OK) {
        /* Forged, of before C_InitToken, or of another partition: there is no such object. */
        return err == QH_ENOMEM || err == QH_ESYSTEM ? err : QH_ENOTFOUND;
    }
    err = object_scene_may_read(request, object->is_private);
    if (err != QH_OK) {
        object_free(object);
        return err;
    }
    *ret_object = object;
    return QH_OK;
}

QH_RESULT object_scene_check_ref(const Quadhsm__ObjectRef *ref)
{
    if (ref == NULL || (ref->session.len > 0) == (ref->id.len > 0)) {
        return QH_EINVAL;
    }
    return ref->session.len > 0 || ref->id.len == OBJECT_ID_SIZE ? QH_OK : QH_EINVAL;
}
