/* Objects that are made. */
#include "node/made.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/record.h"
#include "node/node.h"
#include "node/object_scene.h"

static void free_made(void *state)
{
    struct made *made = state;

    for (unsigned i = 0; i < made->count; i++) {
        object_free(made->objects[i]);
    }
    free(made);
}

struct made *made_new(struct request *request)
{
    struct made *made = calloc(1, sizeof *made);

    QH_ASSERT(request->state == NULL);
    if (made != NULL) {
        request->state = made;
        request->state_free = free_made;
    }
    return made;
}

/* Nothing may be put into a partition that was deleted meanwhile, or is full. */
static QH_RESULT compare_partition(const struct object_scene *scene, const struct store *store,
                                   unsigned count, struct change_list *changes,
                                   const char **ret_detail)
{
    struct record_key key = record_key_partition(scene->partition->id);
    struct record_key prefix = record_prefix_objects(scene->partition->id);
    struct store_record record;

    if (!store_get(store, record_key_bytes(&key), &record)) {
        return QH_ENOTFOUND;
    }
    if (store_count_prefix(store, record_key_bytes(&prefix)) + count > OBJECTS_MAX) {
        *ret_detail = "the partition is full";
        return QH_ELIMIT;
    }
    change_compare(changes, TXN_AT_REVISION, record_key_bytes(&key), record.mod_revision);
    change_compare(changes, TXN_FEWER_THAN, record_key_bytes(&prefix), OBJECTS_MAX - count + 1);
    return QH_OK;
}

/* A copy is of what is still there, as it was when it was read. */
static QH_RESULT compare_source(const struct object_scene *scene, const struct store *store,
                                const struct made *made, struct change_list *changes)
{
    struct record_key key = record_key_object(scene->partition->id, made->source);
    struct store_record record;

    if (!store_get(store, record_key_bytes(&key), &record)) {
        return QH_ENOTFOUND;
    }
    if (record.mod_revision != made->source_revision) {
        return QH_ECONFLICT;
    }
    change_compare(changes, TXN_AT_REVISION, record_key_bytes(&key), made->source_revision);
    return QH_OK;
}

static QH_RESULT put_made(const struct made *made, const struct object_scene *scene,
                          struct change_list *changes, struct object_answer *list)
{
    enum qh_err err = QH_OK;

    for (unsigned i = 0; err == QH_OK && i < made->count; i++) {
        uint8_t id[OBJECT_ID_SIZE];
        struct record_key key;

        if (!made->objects[i]->token) {
            err = object_scene_put_session(scene, made->objects[i], list);
            continue;
        }
        QH_ASSERT(object_unique_id(object_attribute(made->objects[i], CKA_UNIQUE_ID)->value, id));
        key = record_key_object(scene->partition->id, id);
        change_compare(changes, TXN_ABSENT, record_key_bytes(&key), 0);
        err = object_scene_put(scene, made->objects[i], id, 0, changes, list);
    }
    return err;
}

static unsigned count_token(const struct made *made)
{
    unsigned count = 0;

    for (unsigned i = 0; i < made->count; i++) {
        count += made->objects[i]->token;
    }
    return count;
}

/* The PIN may have changed since the request was authorized, or the partition been initialized. */
static bool has_ended(const struct request *request, const struct directory_partition *partition)
{
    enum hsm_role role = request->ticket.role;

    return role >= HSM_ROLE_PO && role <= HSM_ROLE_CU &&
           partition->roles[role].epoch != request->ticket.epoch;
}

static enum qh_err build_made(struct request *request, const struct store *store,
                              struct change_list *changes, const char **ret_detail)
{
    const struct made *made = request->state;
    struct object_answer list;
    struct object_scene scene;
    enum qh_err err;

    view_enter();
    err = object_scene_open(request, &scene);
    if (err == QH_OK && has_ended(request, scene.partition)) {
        err = QH_ETICKET;
    }
    if (err == QH_OK) {
        err = compare_partition(&scene, store, count_token(made), changes, ret_detail);
    }
    if (err == QH_OK && made->has_source) {
        err = compare_source(&scene, store, made, changes);
    }
    if (err == QH_OK) {
        err = object_answer_begin(&list, request->response, made->count);
    }
    if (err == QH_OK) {
        err = put_made(made, &scene, changes, &list);
    }
    view_leave();
    return err;
}

/* All of them are session objects. */
static QH_RESULT answer_session(struct request *request, const struct made *made)
{
    struct object_answer list;
    struct object_scene scene;
    enum qh_err err;

    view_enter();
    err = object_scene_open(request, &scene);
    if (err == QH_OK) {
        err = object_answer_begin(&list, request->response, made->count);
    }
    for (unsigned i = 0; err == QH_OK && i < made->count; i++) {
        err = object_scene_put_session(&scene, made->objects[i], &list);
    }
    view_leave();
    return err;
}

/* Not made, since what it was to be made of is gone. But if this is a copy of a request that was
 * done before that, the answer is what it was. */
static enum qh_err build_gone(struct request *request, const struct store *store,
                              struct change_list *changes, const char **ret_detail)
{
    (void)request;
    (void)store;
    (void)changes;
    (void)ret_detail;
    return QH_ENOTFOUND;
}

static QH_RESULT may_keep(const struct request *request, const struct made *made,
                          const struct object *object)
{
    if (made->officer && !object->is_private) {
        return QH_OK;
    }
    return object_scene_may_change(request, object->token, object->is_private);
}

void made_finish(struct request *request, enum qh_err err)
{
    const struct made *made = request->state;

    if (err == QH_ENOTFOUND && made->once && request->message->request_id.len == ONCE_ID_SIZE) {
        change_run(request, build_gone);
        return;
    }
    for (unsigned i = 0; err == QH_OK && i < made->count; i++) {
        err = may_keep(request, made, made->objects[i]);
    }
    if (err == QH_OK && count_token(made) > 0) {
        change_run(request, build_made);
        return;
    }
    if (err == QH_OK) {
        err = answer_session(request, made);
    }
    object_scene_answer(request, err);
}
