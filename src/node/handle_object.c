/* Objects that are there: destroy, set attributes. They are found in handle_find.c, and made in
 * handle_make.c. */
#include <stdlib.h>

#include "crypto/seal.h"
#include "hsm/record.h"
#include "node/handlers.h"
#include "node/node.h"
#include "node/object_scene.h"

/* ---- destroy ---- */

static enum qh_err build_destroy(struct request *request, const struct store *store,
                                 struct change_list *changes, const char **ret_detail)
{
    const uint8_t *id = request->message->destroy->id.data;
    struct object *object = NULL;
    struct store_record record;
    struct record_key key;
    struct object_scene scene;
    enum qh_err err;

    view_enter();
    err = object_scene_open(request, &scene);
    if (err != QH_OK) {
        goto out;
    }
    key = record_key_object(scene.partition->id, id);
    if (!store_get(store, record_key_bytes(&key), &record)) {
        err = QH_ENOTFOUND;
        goto out;
    }
    err = object_open(scene.partition->key, scene.cluster, scene.partition->id, id, record.value,
                      false, &object);
    if (object_scene_is_officer(request) && (err != QH_OK || object->is_private)) {
        err = QH_EPERM;
    } else if (err == QH_OK && !object_flag(object, CKA_DESTROYABLE)) {
        *ret_detail = "its CKA_DESTROYABLE is false";
        err = QH_EREADONLY;
    } else if (err == QH_ECORRUPT || err == QH_EMALFORMED) {
        err = QH_OK; /* what is damaged may go */
    }
    if (err == QH_OK) {
        change_compare(changes, TXN_AT_REVISION, record_key_bytes(&key), record.mod_revision);
        change_delete(changes, record_key_bytes(&key));
    }
out:
    view_leave();
    object_free(object);
    return err;
}

/* Whoever may make a public object may take it away: the partition officer, too. */
void handle_destroy(struct request *request)
{
    enum qh_err err =
        object_scene_is_officer(request) ? QH_OK : object_scene_may_change(request, true, true);

    if (err == QH_OK && request->message->destroy->id.len != OBJECT_ID_SIZE) {
        err = QH_EINVAL;
    }
    if (err != QH_OK) {
        object_scene_answer(request, err);
    } else {
        change_run(request, build_destroy);
    }
}

/* ---- set attributes ---- */

static QH_RESULT change_object(const struct request *request, const struct object *object,
                               struct object **ret_object)
{
    const Quadhsm__SetAttributes *set = request->message->set_attributes;
    struct attribute room[ATTRIBUTES_MAX];
    struct attributes template;
    enum qh_err err = object_answer_template(set->template_, set->n_template_, room, &template);

    bool officer = object_scene_is_officer(request);

    if (err == QH_OK && officer && object->is_private) {
        err = QH_EPERM;
    }
    return err == QH_OK ? object_change_as(object, template, officer, ret_object) : err;
}

/* Open the object at @id as the store has it, and put it back changed. */
static QH_RESULT change_record(struct request *request, const struct object_scene *scene,
                               const struct store *store, struct change_list *changes,
                               struct object_answer *list)
{
    const uint8_t *id = request->message->set_attributes->ref->id.data;
    struct record_key key = record_key_object(scene->partition->id, id);
    struct object *object = NULL, *changed = NULL;
    struct store_record record;
    uint64_t counter;
    enum qh_err err;

    if (!store_get(store, record_key_bytes(&key), &record)) {
        return QH_ENOTFOUND;
    }
    err = seal_counter(record.value, &counter);
    if (err == QH_OK) {
        err = object_open(scene->partition->key, scene->cluster, scene->partition->id, id,
                          record.value, true, &object);
    }
    if (err == QH_OK) {
        err = change_object(request, object, &changed);
    }
    if (err == QH_OK) {
        change_compare(changes, TXN_AT_REVISION, record_key_bytes(&key), record.mod_revision);
        err = object_scene_put(scene, changed, id, counter + 1, changes, list);
    }
    object_free(object);
    object_free(changed);
    return err;
}

static enum qh_err build_set(struct request *request, const struct store *store,
                             struct change_list *changes, const char **ret_detail)
{
    struct object_answer list;
    struct object_scene scene;
    enum qh_err err;

    (void)ret_detail;
    view_enter();
    err = object_scene_open(request, &scene);
    if (err == QH_OK) {
        err = object_answer_begin(&list, request->response, 1);
    }
    if (err == QH_OK) {
        err = change_record(request, &scene, store, changes, &list);
    }
    view_leave();
    return err;
}

static QH_RESULT set_session(struct request *request)
{
    struct object *object = NULL, *changed = NULL;
    struct object_answer list;
    struct object_scene scene;
    enum qh_err err;

    view_enter();
    err = object_scene_open(request, &scene);
    if (err == QH_OK) {
        err = object_scene_session(request, &scene, request->message->set_attributes->ref, &object);
    }
    if (err == QH_OK) {
        err = change_object(request, object, &changed);
    }
    if (err == QH_OK) {
        err = object_answer_begin(&list, request->response, 1);
    }
    if (err == QH_OK) {
        err = object_scene_put_session(&scene, changed, &list);
    }
    view_leave();
    object_free(object);
    object_free(changed);
    return err;
}

void handle_set_attributes(struct request *request)
{
    const Quadhsm__ObjectRef *ref = request->message->set_attributes->ref;
    enum qh_err err = object_scene_check_ref(ref);

    if (err == QH_OK && ref->session.len > 0) {
        err = set_session(request);
    } else if (err == QH_OK) {
        err =
            object_scene_is_officer(request) ? QH_OK : object_scene_may_change(request, true, true);
        if (err == QH_OK) {
            change_run(request, build_set);
            return;
        }
    }
    object_scene_answer(request, err);
}
