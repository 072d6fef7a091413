/* The pocket cluster's keys under keys: wrap, unwrap, derive. */
#include <string.h>

#include "tests/unit/pocket_private.h"

static int may_use(const struct quadhsm_token *token, const struct stored *stored)
{
    if (stored == NULL || stored->object == NULL) {
        return QUADHSM_ENOTFOUND;
    }
    return stored->object->is_private && !pocket_is_user(token) ? QUADHSM_ENOLOGIN : QUADHSM_OK;
}

static int find(const struct quadhsm_token *token, const struct quadhsm_object *object,
                const struct stored **ret_stored)
{
    const struct stored *stored = pocket_stored_of(object);
    int error = may_use(token, stored);

    if (error == QUADHSM_OK) {
        *ret_stored = stored;
    }
    return error;
}

/* The key at work, opened. */
static int open_key(const struct quadhsm_token *token, const struct quadhsm_object *object,
                    enum object_use use, const struct mech_params *params,
                    const struct stored **ret_stored, struct key **ret_key)
{
    int error = find(token, object, ret_stored);

    if (error == QUADHSM_OK) {
        error = (int)object_may((*ret_stored)->object, use, params);
    }
    return error == QUADHSM_OK ? pocket_open_key((*ret_stored)->object, ret_key) : error;
}

static struct bytes view_of(const struct secret *secret)
{
    return (struct bytes){secret_view(secret), secret_size(secret)};
}

static int wrap_into(struct key *key, const struct mech_params *params, struct bytes plain,
                     void *out, size_t room, size_t *ret_size)
{
    uint8_t wrapped[8192];
    size_t size = 0;
    int error = (int)mech_wrap(key, params, plain, wrapped, sizeof wrapped, &size);

    if (error == QUADHSM_OK) {
        *ret_size = size;
        error = size > room ? QUADHSM_EROOM : QUADHSM_OK;
    }
    if (error == QUADHSM_OK) {
        memcpy(out, wrapped, size);
    }
    return error;
}

int quadhsm_wrap(struct quadhsm_token *token, const struct quadhsm_object *wrapping,
                 const struct quadhsm_mechanism *mechanism, const struct quadhsm_object *key,
                 void *out, size_t room, size_t *ret_size)
{
    struct mech_params params = pocket_params_of(mechanism);
    const struct stored *under = NULL;
    const struct stored *stored = NULL;
    struct key *opened = NULL;
    int error = pocket_enter_token(token);

    pocket_mechanism = params.type;
    if (error == QUADHSM_OK) {
        error = open_key(token, wrapping, OBJECT_WRAP, &params, &under, &opened);
    }
    if (error == QUADHSM_OK) {
        error = find(token, key, &stored);
    }
    if (error == QUADHSM_OK) {
        error = (int)object_may_wrap(under->object, stored->object, &params);
    }
    if (error == QUADHSM_OK) {
        error = wrap_into(opened, &params, view_of(stored->object->material), out, room, ret_size);
    }
    key_free(opened);
    return pocket_leave(error);
}

int quadhsm_unwrap(struct quadhsm_token *token, const struct quadhsm_object *unwrapping,
                   const struct quadhsm_mechanism *mechanism, const void *wrapped,
                   size_t wrapped_size, const struct quadhsm_attribute *attributes, size_t count,
                   struct quadhsm_object **ret_object)
{
    struct mech_params params = pocket_params_of(mechanism);
    struct pocket_template room;
    struct attributes template = pocket_attributes(attributes, count, &room);
    const struct stored *under = NULL;
    struct object_merged merged;
    struct object *object = NULL;
    struct secret *plain = NULL;
    struct key *key = NULL;
    int error = pocket_enter_token(token);

    pocket_mechanism = params.type;
    if (error == QUADHSM_OK) {
        error = open_key(token, unwrapping, OBJECT_UNWRAP, &params, &under, &key);
    }
    if (error == QUADHSM_OK) {
        error = (int)object_merge(under->object, CKA_UNWRAP_TEMPLATE, template, &merged);
    }
    if (error == QUADHSM_OK) {
        error = (int)object_unwrap_check(&params, merged.all);
    }
    if (error == QUADHSM_OK) {
        error = (int)mech_unwrap(key, &params, (struct bytes){wrapped, wrapped_size}, &plain);
    }
    if (error == QUADHSM_OK) {
        error = (int)object_unwrap(view_of(plain), merged.all, &object);
    }
    secret_free(plain);
    key_free(key);
    return pocket_made(token, error, object, ret_object);
}

/* The bytes of a key for salt. */
static int find_salt(const struct quadhsm_token *token, const struct quadhsm_object *salt,
                     struct mech_params *params)
{
    const struct stored *stored = NULL;
    int error = salt != NULL ? find(token, salt, &stored) : QUADHSM_OK;

    if (error == QUADHSM_OK && stored != NULL) {
        params->salt = view_of(stored->object->material);
    }
    return error;
}

int quadhsm_derive(struct quadhsm_token *token, const struct quadhsm_object *base,
                   const struct quadhsm_mechanism *mechanism,
                   const struct quadhsm_attribute *attributes, size_t count,
                   struct quadhsm_object **ret_object)
{
    struct mech_params params = pocket_params_of(mechanism);
    struct pocket_template room;
    struct attributes template = pocket_attributes(attributes, count, &room);
    const struct stored *stored = NULL;
    struct object_merged merged;
    struct object *object = NULL;
    struct secret *value = NULL;
    struct key *key = NULL;
    size_t size = 0;
    int error = pocket_enter_token(token);

    pocket_mechanism = params.type;
    if (error == QUADHSM_OK) {
        error = open_key(token, base, OBJECT_DERIVE, &params, &stored, &key);
    }
    if (error == QUADHSM_OK) {
        error = find_salt(token, mechanism->hkdf_salt_key, &params);
    }
    if (error == QUADHSM_OK) {
        error = (int)object_merge(stored->object, CKA_DERIVE_TEMPLATE, template, &merged);
    }
    if (error == QUADHSM_OK) {
        error = (int)object_derive_size(merged.all, &size);
    }
    if (error == QUADHSM_OK) {
        error = (int)mech_derive(key, &params, size, &value);
    }
    if (error == QUADHSM_OK) {
        error =
            (int)object_derive(object_history(stored->object), view_of(value), merged.all, &object);
    }
    secret_free(value);
    key_free(key);
    return pocket_made(token, error, object, ret_object);
}
