/* Create, generate, copy. Unwrap and derive: handle_underkey.c. */
#include <stdlib.h>
#include <string.h>

#include "node/change.h"
#include "node/handlers.h"
#include "node/made.h"
#include "node/mech_message.h"
#include "node/node.h"
#include "node/object_scene.h"

/* ---- create ---- */

static void run_create(struct request *request)
{
    const Quadhsm__CreateObject *create = request->message->create;
    struct made *made = made_new(request);
    struct attribute room[ATTRIBUTES_MAX];
    struct attributes template;
    enum qh_err err = made != NULL ? QH_OK : QH_ENOMEM;

    if (err == QH_OK) {
        err = object_answer_template(create->template_, create->n_template_, room, &template);
    }
    if (err == QH_OK) {
        made->officer = object_scene_is_officer(request);
        err = object_create_as(template, made->officer, &made->objects[0]);
        made->count = err == QH_OK ? 1 : 0;
    }
    made_finish(request, err);
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

static enum qh_err generate(struct request *request, struct made *made)
{
    const Quadhsm__Generate *generate = request->message->generate;
    struct mech_params mechanism = mech_message_params(generate->mechanism);
    struct attribute room[ATTRIBUTES_MAX], private_room[ATTRIBUTES_MAX];
    struct attributes template, private_template;
    enum qh_err err =
        object_answer_template(generate->template_, generate->n_template_, room, &template);

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
    return err;
}

static void run_generate(struct request *request)
{
    struct made *made = made_new(request);

    made_finish(request, made != NULL ? generate(request, made) : QH_ENOMEM);
}

static void run_slow(struct request *request)
{
    struct made *made = made_new(request);
    enum qh_err err = made != NULL ? generate(request, made) : QH_ENOMEM;

    request_end_work(request);
    made_finish(request, err);
}

static void begin_slow(struct request *request)
{
    request_begin_work(request);
    request_run_on(request, REQUEST_PRIMES, run_slow);
}

/* What cannot end well costs no key. */
static QH_RESULT may_generate(const struct request *request, bool pair)
{
    const Quadhsm__Generate *generate = request->message->generate;
    bool token = object_answer_flag(generate->template_, generate->n_template_, CKA_TOKEN, false);
    bool is_private =
        object_answer_flag(generate->template_, generate->n_template_, CKA_PRIVATE, !pair);
    enum qh_err err = object_scene_may_change(request, token, is_private);

    if (err == QH_OK && pair) {
        token = object_answer_flag(generate->private_template, generate->n_private_template,
                                   CKA_TOKEN, false);
        is_private = object_answer_flag(generate->private_template, generate->n_private_template,
                                        CKA_PRIVATE, true);
        err = object_scene_may_change(request, token, is_private);
    }
    return err;
}

static bool keeps_any(const Quadhsm__Generate *generate)
{
    return object_answer_flag(generate->template_, generate->n_template_, CKA_TOKEN, false) ||
           object_answer_flag(generate->private_template, generate->n_private_template, CKA_TOKEN,
                              false);
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
    } else if (info->cost == MECH_SLOW && keeps_any(request->message->generate)) {
        change_foresee(request, begin_slow);
    } else if (info->cost == MECH_SLOW) {
        begin_slow(request);
    } else if (info->cost == MECH_HEAVY) {
        request_run_on(request, REQUEST_WORKER, run_generate);
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
    struct made *made = made_new(request);
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
        made->once = object_answer_flag(message->template_, message->n_template_, CKA_TOKEN,
                                        message->ref->id.len > 0) &&
                     object_scene_may_change(request, true, true) == QH_OK;
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
    made_finish(request, err);
}
