/* Objects: finding, making, changing, destroying. */
#include "client/object.h"

#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/message.h"
#include "client/token.h"
#include "wire/frame.h"

#define FIND_PAGE 1000u /* objects in one response */

/* The response's objects, of which there must be @count. */
static QH_RESULT take_objects(Quadhsm__Response *response, size_t count,
                              struct quadhsm_object *ret_objects[])
{
    const Quadhsm__ObjectList *list = response->objects;
    enum qh_err err = QH_OK;

    if (response->result_case != QUADHSM__RESPONSE__RESULT_OBJECTS || list->n_objects != count) {
        return QH_EMALFORMED;
    }
    for (size_t i = 0; i < count; i++) {
        err = message_to_object(list->objects[i], &ret_objects[i]);
        if (err != QH_OK) {
            while (i-- > 0) {
                quadhsm_object_free(ret_objects[i]);
            }
            return err;
        }
        /* Written by this very change. */
        if (ret_objects[i]->session_size == 0) {
            ret_objects[i]->revision = response->revision;
        }
    }
    return QH_OK;
}

int object_call(struct quadhsm_token *token, Quadhsm__Request *request, size_t count,
                struct quadhsm_object *ret_objects[])
{
    Quadhsm__Response *response;
    enum qh_err err = token_call(token, request, &response);

    if (err == QH_OK) {
        err = take_objects(response, count, ret_objects);
        wire_message_free(&response->base);
    }
    return error_public(err);
}

/* ---- finding ---- */

struct found {
    struct quadhsm_object **list;
    size_t count, room;
};

static QH_RESULT append(struct found *found, const Quadhsm__Object *message)
{
    struct quadhsm_object **list;
    enum qh_err err;

    if (found->count == found->room) {
        size_t room = found->room > 0 ? found->room * 2u : 16u;

        list = reallocarray(found->list, room, sizeof *list);
        if (list == NULL) {
            return QH_ENOMEM;
        }
        found->list = list;
        found->room = room;
    }
    err = message_to_object(message, &found->list[found->count]);
    if (err == QH_OK) {
        found->count++;
    }
    return err;
}

static QH_RESULT append_all(struct found *found, const Quadhsm__ObjectList *list)
{
    enum qh_err err = QH_OK;

    for (size_t i = 0; i < list->n_objects && err == QH_OK; i++) {
        err = append(found, list->objects[i]);
    }
    return err;
}

/* One page, after the place @after if it is not NULL; *ret_more: there are others. */
static QH_RESULT find_page(struct quadhsm_token *token, struct message_template *template,
                           const struct quadhsm_place *after, size_t limit, struct found *found,
                           bool *ret_more)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Find find = QUADHSM__FIND__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    find.template_ = template->list;
    find.n_template_ = template->count;
    find.limit = (uint32_t)(limit > 0 && limit < FIND_PAGE ? limit : FIND_PAGE);
    if (after != NULL) {
        find.after = message_bytes(after->id, OBJECT_ID_SIZE);
        find.after_created = after->created;
    }
    request.op_case = QUADHSM__REQUEST__OP_FIND;
    request.find = &find;
    err = token_call(token, &request, &response);
    if (err != QH_OK) {
        return err;
    }
    err = QH_EMALFORMED;
    if (response->result_case == QUADHSM__RESPONSE__RESULT_OBJECTS) {
        err = append_all(found, response->objects);
        *ret_more = response->objects->more && response->objects->n_objects > 0;
    }
    wire_message_free(&response->base);
    return err;
}

static struct quadhsm_place object_place(const struct quadhsm_object *object)
{
    struct quadhsm_place place = {.created = object->created};

    memcpy(place.id, object->id, sizeof place.id);
    return place;
}

static QH_RESULT find_all(struct quadhsm_token *token, struct message_template *template,
                          size_t limit, struct found *found)
{
    struct quadhsm_place after;
    bool more = true;
    enum qh_err err = QH_OK;

    while (err == QH_OK && more && (limit == 0 || found->count < limit)) {
        err = find_page(token, template, found->count > 0 ? &after : NULL,
                        limit == 0 ? 0 : limit - found->count, found, &more);
        if (found->count > 0) {
            after = object_place(found->list[found->count - 1]);
        }
    }
    return err;
}

/* Give out what was found, or free it. */
static int end_find(enum qh_err err, struct found *found, struct quadhsm_object ***ret_list,
                    size_t *ret_count)
{
    if (err == QH_OK && found->list == NULL) {
        found->list = calloc(1, sizeof *found->list);
        err = found->list != NULL ? QH_OK : QH_ENOMEM;
    }
    if (err != QH_OK) {
        quadhsm_objects_free(found->list, found->count);
        return error_public(err);
    }
    *ret_list = found->list;
    *ret_count = found->count;
    return QUADHSM_OK;
}

int quadhsm_find(struct quadhsm_token *token, const struct quadhsm_attribute *attributes,
                 size_t count, size_t limit, struct quadhsm_object ***ret_list, size_t *ret_count)
{
    struct message_template template;
    struct found found = {0};
    enum qh_err err;

    error_clear();
    err = message_template(attributes, count, &template);
    if (err == QH_OK) {
        err = find_all(token, &template, limit, &found);
    }
    return end_find(err, &found, ret_list, ret_count);
}

int quadhsm_find_page(struct quadhsm_token *token, const struct quadhsm_attribute *attributes,
                      size_t count, const struct quadhsm_place *after, size_t limit,
                      struct quadhsm_object ***ret_list, size_t *ret_count, bool *ret_more)
{
    struct message_template template;
    struct found found = {0};
    bool more = false;
    enum qh_err err;
    int error;

    error_clear();
    err = message_template(attributes, count, &template);
    if (err == QH_OK) {
        err = find_page(token, &template, after, limit, &found, &more);
    }
    error = end_find(err, &found, ret_list, ret_count);
    if (error == QUADHSM_OK) {
        *ret_more = more;
    }
    return error;
}

int quadhsm_read(struct quadhsm_token *token, const uint8_t id[QUADHSM_OBJECT_ID_SIZE],
                 struct quadhsm_object **ret_object)
{
    /* CKA_UNIQUE_ID is the id in hexadecimal digits. */
    static const char digits[] = "0123456789abcdef";
    char text[2 * QUADHSM_OBJECT_ID_SIZE];
    struct quadhsm_attribute unique = {.type = 0x4, .value = text, .size = sizeof text};
    struct quadhsm_object **list;
    size_t count;
    int error;

    for (size_t i = 0; i < QUADHSM_OBJECT_ID_SIZE; i++) {
        text[2 * i] = digits[id[i] >> 4];
        text[2 * i + 1] = digits[id[i] & 15];
    }
    error = quadhsm_find(token, &unique, 1, 1, &list, &count);
    if (error != QUADHSM_OK) {
        return error;
    }
    if (count == 0) {
        error = QUADHSM_ENOTFOUND;
    } else {
        *ret_object = list[0];
    }
    free(list);
    return error;
}

/* ---- changes ---- */

int quadhsm_create(struct quadhsm_token *token, const struct quadhsm_attribute *attributes,
                   size_t count, struct quadhsm_object **ret_object)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__CreateObject create = QUADHSM__CREATE_OBJECT__INIT;
    struct message_template template;
    enum qh_err err;

    error_clear();
    err = message_template(attributes, count, &template);
    if (err != QH_OK) {
        return error_public(err);
    }
    create.template_ = template.list;
    create.n_template_ = template.count;
    request.op_case = QUADHSM__REQUEST__OP_CREATE;
    request.create = &create;
    return object_call(token, &request, 1, ret_object);
}

static int generate(struct quadhsm_token *token, const struct quadhsm_mechanism *mechanism,
                    struct message_template *public_template,
                    struct message_template *private_template, size_t count,
                    struct quadhsm_object *ret_objects[])
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Generate message = QUADHSM__GENERATE__INIT;
    Quadhsm__Mechanism how = message_mechanism(mechanism);

    message.mechanism = &how;
    message.template_ = public_template->list;
    message.n_template_ = public_template->count;
    message.private_template = private_template->list;
    message.n_private_template = private_template->count;
    request.op_case = QUADHSM__REQUEST__OP_GENERATE;
    request.generate = &message;
    return object_call(token, &request, count, ret_objects);
}

int quadhsm_generate(struct quadhsm_token *token, const struct quadhsm_mechanism *mechanism,
                     const struct quadhsm_attribute *attributes, size_t count,
                     struct quadhsm_object **ret_object)
{
    struct message_template template, none = {.count = 0};
    enum qh_err err;

    error_clear();
    err = message_template(attributes, count, &template);
    if (err != QH_OK) {
        return error_public(err);
    }
    return generate(token, mechanism, &template, &none, 1, ret_object);
}

int quadhsm_generate_pair(struct quadhsm_token *token, const struct quadhsm_mechanism *mechanism,
                          const struct quadhsm_attribute *public_attributes, size_t public_count,
                          const struct quadhsm_attribute *private_attributes, size_t private_count,
                          struct quadhsm_object **ret_public, struct quadhsm_object **ret_private)
{
    struct message_template public_template, private_template;
    struct quadhsm_object *pair[2];
    enum qh_err err;
    int error;

    error_clear();
    err = message_template(public_attributes, public_count, &public_template);
    if (err == QH_OK) {
        err = message_template(private_attributes, private_count, &private_template);
    }
    if (err != QH_OK) {
        return error_public(err);
    }
    error = generate(token, mechanism, &public_template, &private_template, 2, pair);
    if (error == QUADHSM_OK) {
        *ret_public = pair[0];
        *ret_private = pair[1];
    }
    return error;
}

int quadhsm_set_attributes(struct quadhsm_token *token, const struct quadhsm_object *object,
                           const struct quadhsm_attribute *attributes, size_t count,
                           struct quadhsm_object **ret_object)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__SetAttributes set = QUADHSM__SET_ATTRIBUTES__INIT;
    Quadhsm__ObjectRef ref = message_object_ref(object);
    struct message_template template;
    enum qh_err err;

    error_clear();
    err = message_template(attributes, count, &template);
    if (err != QH_OK) {
        return error_public(err);
    }
    set.ref = &ref;
    set.template_ = template.list;
    set.n_template_ = template.count;
    request.op_case = QUADHSM__REQUEST__OP_SET_ATTRIBUTES;
    request.set_attributes = &set;
    return object_call(token, &request, 1, ret_object);
}

int quadhsm_copy(struct quadhsm_token *token, const struct quadhsm_object *object,
                 const struct quadhsm_attribute *attributes, size_t count,
                 struct quadhsm_object **ret_object)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__CopyObject copy = QUADHSM__COPY_OBJECT__INIT;
    Quadhsm__ObjectRef ref = message_object_ref(object);
    struct message_template template;
    enum qh_err err;

    error_clear();
    err = message_template(attributes, count, &template);
    if (err != QH_OK) {
        return error_public(err);
    }
    copy.ref = &ref;
    copy.template_ = template.list;
    copy.n_template_ = template.count;
    request.op_case = QUADHSM__REQUEST__OP_COPY;
    request.copy = &copy;
    return object_call(token, &request, 1, ret_object);
}

int quadhsm_destroy(struct quadhsm_token *token, const uint8_t id[QUADHSM_OBJECT_ID_SIZE])
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Destroy destroy = QUADHSM__DESTROY__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    destroy.id = message_bytes(id, OBJECT_ID_SIZE);
    request.op_case = QUADHSM__REQUEST__OP_DESTROY;
    request.destroy = &destroy;
    err = token_call(token, &request, &response);
    if (err == QH_OK) {
        wire_message_free(&response->base);
    }
    return error_public(err);
}
