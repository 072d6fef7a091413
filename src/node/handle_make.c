/* Objects that are made: create, generate, copy.
 *
 * Each is made first, on a service or worker thread; then those for the store are put there by a
 * change. Session objects go back to the client, sealed, and no node keeps them. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/record.h"
#include "node/handlers.h"
#include "node/mech_message.h"
#include "node/node.h"
#include "node/object_scene.h"

#define MADE_MAX 2u /* a pair */

struct made {
    unsigned count;
    struct object *objects[MADE_MAX];
    /* What a copy was made of, if that is in the store: it must still be the same. */
    bool has_source;
    uint8_t source[OBJECT_ID_SIZE];
    uint64_t source_revision;
};

static void free_made(void *state)
{
    struct made *made = state;

    for (unsigned i = 0; i < made->count; i++) {
        object_free(made->objects[i]);
    }
    free(made);
}

/* NULL without memory. The request's from now on. */
static struct made *new_made(struct request *request)
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

static enum qh_err build_made(struct request *request, const struct store *store,
                              struct change_list *changes, const char **ret_detail)
{
    const struct made *made = request->state;
    struct object_answer list;
    struct object_scene scene;
    enum qh_err err;

    view_enter();
    err = object_scene_open(request, &scene);
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

/* The end of create, generate and copy. */
static void finish_made(struct request *request, enum qh_err err)
{
    const struct made *made = request->state;

    for (unsigned i = 0; err == QH_OK && i < made->count; i++) {
        err =
            object_scene_may_change(request, made->objects[i]->token, made->objects[i]->is_private);
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

/* ---- create ---- */

static void run_create(struct request *request)
{
    const Quadhsm__CreateObject *create = request->message->create;
    struct made *made = new_made(request);
    struct attribute room[ATTRIBUTES_MAX];
    struct attributes template;
    enum qh_err err = made != NULL ? QH_OK : QH_ENOMEM;

    if (err == QH_OK) {
        err = object_answer_template(create->template_, create->n_template_, room, &template);
    }
    if (err == QH_OK) {
        err = object_create(template, &made->objects[0]);
        made->count = err == QH_OK ? 1 : 0;
    }
    finish_made(request, err);
}

/* As in a template; @otherwise if it is not there, or no boolean. */
static bool named_flag(Quadhsm__Attribute **list, size_t count, CK_ATTRIBUTE_TYPE type,
                       bool otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i]->type == type && list[i]->value.len == 1) {
            return list[i]->value.data[0] != 0;
        }
    }
    return otherwise;
}

static bool names(Quadhsm__Attribute **list, size_t count, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i]->type == type) {
            return true;
        }
    }
    return false;
}

void handle_create(struct request *request)
{
    const Quadhsm__CreateObject *create = request->message->create;

    /* The numbers of an RSA private key are proved to belong together. */
    if (names(create->template_, create->n_template_, CKA_PRIVATE_EXPONENT)) {
        request_run_on(request, REQUEST_WORKER, run_create);
    } else {
        run_create(request);
    }
}

/* ---- generate ---- */

static void run_generate(struct request *request)
{
    const Quadhsm__Generate *generate = request->message->generate;
    struct mech_params mechanism = mech_message_params(generate->mechanism);
    struct made *made = new_made(request);
    struct attribute room[ATTRIBUTES_MAX], private_room[ATTRIBUTES_MAX];
    struct attributes template, private_template;
    enum qh_err err = made != NULL ? QH_OK : QH_ENOMEM;

    if (err == QH_OK) {
        err = object_answer_template(generate->template_, generate->n_template_, room, &template);
    }
    if (err == QH_OK) {
        err = object_answer_template(generate->private_template, generate->n_private_template,
                                     private_room, &private_template);
    }
    if (err == QH_OK) {
        err = object_generate(&mechanism, template, private_template, &made->objects[0],
                              &made->objects[1]);
    }
    if (err == QH_OK) {
        made->count = made->objects[1] != NULL ? 2 : 1;
    }
    finish_made(request, err);
}

/* What cannot end well costs no key. */
static QH_RESULT may_generate(const struct request *request, bool pair)
{
    const Quadhsm__Generate *generate = request->message->generate;
    bool token = named_flag(generate->template_, generate->n_template_, CKA_TOKEN, false);
    bool is_private = named_flag(generate->template_, generate->n_template_, CKA_PRIVATE, !pair);
    enum qh_err err = object_scene_may_change(request, token, is_private);

    if (err == QH_OK && pair) {
        token =
            named_flag(generate->private_template, generate->n_private_template, CKA_TOKEN, false);
        is_private =
            named_flag(generate->private_template, generate->n_private_template, CKA_PRIVATE, true);
        err = object_scene_may_change(request, token, is_private);
    }
    return err;
}

void handle_generate(struct request *request)
{
    const Quadhsm__Mechanism *mechanism = request->message->generate->mechanism;
    const struct mech_info *info = mechanism != NULL ? mech_find(mechanism->type) : NULL;
    enum qh_err err = info != NULL ? QH_OK : QH_EMECHANISM;

    if (err == QH_OK) {
        err = may_generate(request, (info->flags & CKF_GENERATE_KEY_PAIR) != 0);
    }
    if (err != QH_OK) {
        object_scene_answer(request, err);
    } else if (info->cost != MECH_CHEAP) {
        request_run_on(request, info->cost == MECH_SLOW ? REQUEST_SLOW : REQUEST_WORKER,
                       run_generate);
    } else {
        run_generate(request);
    }
}

/* ---- copy ---- */

static QH_RESULT open_source(const struct request *request, const struct object_scene *scene,
                             struct made *made, struct object **ret_object)
{
    const Quadhsm__ObjectRef *ref = request->message->copy->ref;
    const struct view_object *source;
    enum qh_err err;

    if (ref->session.len > 0) {
        return object_scene_session(request, scene, ref, ret_object);
    }
    source = view_object(request->node->view, scene->partition->id, ref->id.data);
    if (source == NULL) {
        return QH_ENOTFOUND;
    }
    err = object_scene_may_read(request, source->object->is_private);
    if (err != QH_OK) {
        return err;
    }
    made->has_source = true;
    memcpy(made->source, source->id, OBJECT_ID_SIZE);
    made->source_revision = source->mod_revision;
    return object_open(scene->partition->key, scene->cluster, scene->partition->id, source->id,
                       source->sealed, true, ret_object);
}

static QH_RESULT copy(struct request *request)
{
    const Quadhsm__CopyObject *message = request->message->copy;
    struct made *made = new_made(request);
    struct attribute room[ATTRIBUTES_MAX];
    struct object *object = NULL;
    struct attributes template;
    struct object_scene scene;
    enum qh_err err;

    if (made == NULL) {
        return QH_ENOMEM;
    }
    err = object_answer_template(message->template_, message->n_template_, room, &template);
    if (err == QH_OK) {
        err = object_scene_open(request, &scene);
    }
    if (err == QH_OK) {
        err = open_source(request, &scene, made, &object);
    }
    if (err == QH_OK) {
        err = object_copy(object, template, &made->objects[0]);
        made->count = err == QH_OK ? 1 : 0;
    }
    object_free(object);
    return err;
}

void handle_copy(struct request *request)
{
    enum qh_err err = object_scene_check_ref(request->message->copy->ref);

    if (err == QH_OK) {
        view_enter();
        err = copy(request);
        view_leave();
    }
    finish_made(request, err);
}
