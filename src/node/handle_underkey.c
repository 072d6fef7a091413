/* Keys under keys: wrap, unwrap, derive.
 *
 * What the node answers to an unwrap by RSA PKCS#1 v1.5. Who may unwrap, but not decrypt, could
 * send guesses made from a wrapped key and learn that key from which of them have right padding
 * (Bleichenbacher). So wrong padding is no error: mech_unwrap() gives bytes then that only the key
 * and the ciphertext decide, in the same time, and they are treated as any other key from there on:
 * their number is held against the template (QH_ETEMPLATE, QH_EWRAPPED), and the object is made.
 * The same guess gives the same bytes and the same check value for ever, by every node and every
 * copy of the key. What is refused before that (the mechanism, the key, the template, a ciphertext
 * not as long as the modulus) does not depend on the padding. The templates decide alone what else
 * can go wrong; CKA_CHECK_VALUE in one tells no more than reading it afterwards.
 *
 * CKM_AES_CBC_PAD has no such cure: its padding is checked as PKCS#11 has it, and who may unwrap
 * with it can find out what is inside. So can he by unwrapping into a key that he may read. */
#include <string.h>

#include "node/handlers.h"
#include "node/key_use.h"
#include "node/made.h"
#include "node/mech_message.h"
#include "node/node.h"
#include "node/object_answer.h"
#include "node/object_scene.h"

static struct bytes bytes_of(const ProtobufCBinaryData *data)
{
    return (struct bytes){data->data, data->len};
}

static struct bytes view_of(const struct secret *secret)
{
    return (struct bytes){secret_view(secret), secret_size(secret)};
}

/* ---- wrap ---- */

/* The wrapping key, opened, and the other one, with its material. Inside view_enter(). */
static QH_RESULT open_both(const struct request *request, const struct mech_params *params,
                           struct key **ret_wrapping, struct object **ret_key)
{
    const Quadhsm__Wrap *wrap = request->message->wrap;
    const struct object *wrapping;
    struct object *key = NULL;
    struct object_scene scene;
    enum qh_err err = object_scene_open(request, &scene);

    if (err == QH_OK && scene.partition->export == OBJECT_EXPORT_NEVER) {
        err = QH_EPOLICY;
    }
    if (err == QH_OK) {
        err = key_use_open(request, wrap->wrapping, OBJECT_WRAP, params, &wrap->context_ticket,
                           ret_wrapping, &wrapping);
    }
    if (err == QH_OK) {
        err = key_use_material(request, wrap->key, &key);
    }
    if (err == QH_OK) {
        err = object_may_wrap(wrapping, key, params);
    }
    if (err != QH_OK) {
        object_free(key);
        return err;
    }
    *ret_key = key;
    return QH_OK;
}

static QH_RESULT wrap_material(struct request *request, struct key *wrapping,
                               const struct mech_params *params, struct bytes material)
{
    Quadhsm__Output *output = NULL;
    size_t room = mech_wrapped_size(wrapping, params, material.size);
    enum qh_err err;

    if (room > WRAPPED_SIZE_MAX) {
        return QH_EKEYSIZE;
    }
    err = request_output(request, room, &output);
    return err == QH_OK
               ? mech_wrap(wrapping, params, material, output->data.data, room, &output->data.len)
               : err;
}

static void run_wrap(struct request *request)
{
    struct mech_params params = mech_message_params(request->message->wrap->mechanism);
    struct object *key = NULL;
    struct key *wrapping = NULL;
    enum qh_err err;

    view_enter();
    err = open_both(request, &params, &wrapping, &key);
    view_leave();
    if (err == QH_OK) {
        err = wrap_material(request, wrapping, &params, view_of(key->material));
    }
    object_free(key);
    request_answer(request, err,
                   err == QH_EPOLICY ? "no key leaves this partition: quadhsm partition policy"
                                     : NULL);
}

/* Public RSA keys are quick. */
void handle_wrap(struct request *request)
{
    run_wrap(request);
}

/* ---- what comes in ---- */

/* What cannot end well is not begun. */
static QH_RESULT may_make(const struct request *request, Quadhsm__Attribute **template,
                          size_t count)
{
    return object_scene_may_change(request, object_answer_flag(template, count, CKA_TOKEN, false),
                                   object_answer_flag(template, count, CKA_PRIVATE, true));
}

static struct made *begin_made(struct request *request, Quadhsm__Attribute **template, size_t count)
{
    struct made *made = made_new(request);

    if (made != NULL) {
        made->once = object_answer_flag(template, count, CKA_TOKEN, false);
    }
    return made;
}

/* ---- unwrap ---- */

/* PKCS#11 cuts what comes out of whole blocks to the length that the template names. */
static struct bytes trim(struct bytes material, const struct mech_params *params,
                         struct attributes template)
{
    for (unsigned i = 0; i < template.count; i++) {
        struct bytes_reader reader;
        uint64_t size;

        if (template.list[i].type != CKA_VALUE_LEN) {
            continue;
        }
        bytes_reader_init(&reader, template.list[i].value.base, template.list[i].value.size);
        size = bytes_read_u64(&reader);
        if (!reader.failed && params->type == CKM_AES_CBC && size > 0 && size < material.size) {
            material.size = (size_t)size;
        }
    }
    return material;
}

static QH_RESULT unwrap(struct request *request, struct made *made)
{
    const Quadhsm__Unwrap *unwrap = request->message->unwrap;
    struct mech_params params = mech_message_params(unwrap->mechanism);
    SECRET_SCOPED struct secret *plain = NULL;
    struct attribute room[ATTRIBUTES_MAX];
    struct object_merged merged;
    struct attributes template;
    const struct object *object;
    struct key *key = NULL;
    enum qh_err err =
        object_answer_template(unwrap->template_, unwrap->n_template_, room, &template);

    if (err != QH_OK) {
        return err;
    }
    view_enter();
    err = key_use_open(request, unwrap->unwrapping, OBJECT_UNWRAP, &params, &unwrap->context_ticket,
                       &key, &object);
    if (err == QH_OK) {
        err = object_merge(object, CKA_UNWRAP_TEMPLATE, template, &merged);
    }
    view_leave();
    if (err == QH_OK) {
        err = object_unwrap_check(&params, merged.all);
    }
    if (err == QH_OK) {
        err = mech_unwrap(key, &params, bytes_of(&unwrap->wrapped), &plain);
    }
    if (err == QH_OK) {
        err =
            object_unwrap(trim(view_of(plain), &params, merged.all), merged.all, &made->objects[0]);
    }
    made->count = err == QH_OK ? 1 : 0;
    return err;
}

static void run_unwrap(struct request *request)
{
    const Quadhsm__Unwrap *message = request->message->unwrap;
    struct made *made = begin_made(request, message->template_, message->n_template_);

    made_finish(request, made != NULL ? unwrap(request, made) : QH_ENOMEM);
}

static bool names_class(const Quadhsm__Unwrap *message, CK_OBJECT_CLASS object_class)
{
    for (size_t i = 0; i < message->n_template_; i++) {
        const Quadhsm__Attribute *attribute = message->template_[i];

        if (attribute->type == CKA_CLASS && attribute->value.len > 0) {
            return attribute->value.data[0] == object_class;
        }
    }
    return false;
}

void handle_unwrap(struct request *request)
{
    const Quadhsm__Unwrap *message = request->message->unwrap;
    const struct mech_info *info = mech_find(message->mechanism->type);
    enum qh_err err =
        info != NULL ? may_make(request, message->template_, message->n_template_) : QH_EMECHANISM;

    if (err != QH_OK) {
        object_scene_answer(request, err);
    } else if (info->cost != MECH_CHEAP || !names_class(message, CKO_SECRET_KEY)) {
        /* RSA, or the numbers of a private key, which are proved to belong together. The class may
         * be in the CKA_UNWRAP_TEMPLATE. */
        request_run_on(request, REQUEST_WORKER, run_unwrap);
    } else {
        run_unwrap(request);
    }
}

/* ---- derive ---- */

/* A key for the salt is as good as the base key, and must be meant for it. Inside view_enter(). */
static QH_RESULT open_salt(const struct request *request, struct object **ret_salt)
{
    struct object *salt = NULL;
    enum qh_err err =
        key_use_material(request, request->message->derive->mechanism->salt_key, &salt);

    if (err == QH_OK && (salt->object_class != CKO_SECRET_KEY || salt->material == NULL)) {
        err = QH_EKEYTYPE;
    }
    if (err == QH_OK && !object_flag(salt, CKA_DERIVE)) {
        err = QH_EKEYUSE;
    }
    if (err == QH_OK && !object_allows(salt, CKM_HKDF_DERIVE)) {
        err = QH_EMECHANISM;
    }
    if (err != QH_OK) {
        object_free(salt);
        return err;
    }
    *ret_salt = salt;
    return QH_OK;
}

/* What is made of the base key, and how. */
struct derivation {
    struct attributes template; /* the client's, and then with what the keys' add to it */
    struct object_merged of_base, of_salt;
    struct object_history history;
    struct key *key;
    struct object *salt;
};

static QH_RESULT add_template(const struct object *key, struct derivation *what,
                              struct object_merged *merged)
{
    enum qh_err err = object_merge(key, CKA_DERIVE_TEMPLATE, what->template, merged);

    if (err == QH_OK) {
        what->template = merged->all;
    }
    return err;
}

/* Both keys, and what their templates say. The salt's counts, too: HKDF with a key as the salt and
 * known bytes as the base key computes the same as with that key as the base key. Inside
 * view_enter(). */
static QH_RESULT open_base(const struct request *request, struct mech_params *params,
                           struct derivation *what)
{
    const Quadhsm__Derive *derive = request->message->derive;
    const struct object *base;
    enum qh_err err = key_use_open(request, derive->base_key, OBJECT_DERIVE, params,
                                   &derive->context_ticket, &what->key, &base);

    if (err == QH_OK) {
        err = add_template(base, what, &what->of_base);
    }
    if (err != QH_OK) {
        return err;
    }
    what->history = object_history(base);
    if (derive->mechanism->salt_key == NULL) {
        return QH_OK;
    }
    if (params->type != CKM_HKDF_DERIVE || params->salt.size > 0) {
        return QH_EPARAMETER;
    }
    err = open_salt(request, &what->salt);
    if (err == QH_OK) {
        err = add_template(what->salt, what, &what->of_salt);
    }
    if (err == QH_OK) {
        params->salt = view_of(what->salt->material);
    }
    return err;
}

static QH_RESULT derive_value(struct request *request, struct derivation *what,
                              struct secret **ret_value)
{
    struct mech_params params = mech_message_params(request->message->derive->mechanism);
    size_t size = 0;
    enum qh_err err;

    view_enter();
    err = open_base(request, &params, what);
    view_leave();
    if (err == QH_OK) {
        err = object_derive_size(what->template, &size);
    }
    if (err == QH_OK) {
        err = mech_derive(what->key, &params, size, ret_value);
    }
    object_free(what->salt);
    return err;
}

static QH_RESULT derive(struct request *request, struct made *made)
{
    const Quadhsm__Derive *message = request->message->derive;
    SECRET_SCOPED struct secret *value = NULL;
    struct attribute room[ATTRIBUTES_MAX];
    struct derivation what = {.key = NULL};
    enum qh_err err =
        object_answer_template(message->template_, message->n_template_, room, &what.template);

    if (err == QH_OK) {
        err = derive_value(request, &what, &value);
    }
    if (err == QH_OK) {
        err = object_derive(what.history, view_of(value), what.template, &made->objects[0]);
    }
    made->count = err == QH_OK ? 1 : 0;
    return err;
}

static void run_derive(struct request *request)
{
    const Quadhsm__Derive *message = request->message->derive;
    struct made *made = begin_made(request, message->template_, message->n_template_);

    made_finish(request, made != NULL ? derive(request, made) : QH_ENOMEM);
}

void handle_derive(struct request *request)
{
    const Quadhsm__Derive *message = request->message->derive;
    const struct mech_info *info = mech_find(message->mechanism->type);
    enum qh_err err =
        info != NULL ? may_make(request, message->template_, message->n_template_) : QH_EMECHANISM;

    if (err != QH_OK) {
        object_scene_answer(request, err);
    } else if (info->cost != MECH_CHEAP || key_use_is_slow(request, message->base_key, info)) {
        request_run_on(request, REQUEST_WORKER, run_derive);
    } else {
        run_derive(request);
    }
}
