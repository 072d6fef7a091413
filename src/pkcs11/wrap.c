/* C_WrapKey, C_UnwrapKey. Both are done in the cluster, with a public key too: the key to wrap is
 * nowhere else, and what is unwrapped goes nowhere else. */
#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/template.h"

/* The wrapping or unwrapping key, which fits. Owns: objects_value_unref(). */
static CKR_RESULT find_key(struct session *session, CK_OBJECT_HANDLE handle, CK_FLAGS use,
                           const struct mechanism *mechanism, struct objects_value **ret_key)
{
    enum ckr_about about = use == CKF_WRAP ? ABOUT_WRAPPING_KEY : ABOUT_UNWRAPPING_KEY;
    struct objects_value *key = NULL;
    CK_RV rv = access_object(session, handle, about, false, &key);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = mechanism_fits(mechanism, use, key->object);
    if (rv != CKR_OK) {
        objects_value_unref(key);
        return ckr_about(rv, about);
    }
    *ret_key = key;
    return CKR_OK;
}

/* ---- C_WrapKey ---- */

struct wrapping {
    CK_OBJECT_HANDLE wrapping_handle, handle;
    struct objects_value *wrapping, *key;
    CK_BYTE *out;
    CK_ULONG *out_size;
};

/* One of both keys is gone: which? */
static CKR_RESULT say_which(struct session *session, const struct wrapping *what, uint64_t login)
{
    const struct quadhsm_object *wrapping = what->wrapping->object;
    struct quadhsm_object *object = NULL;
    int error = QUADHSM_OK;

    if (wrapping->session_size == 0) {
        error = quadhsm_read(session->slot->token, wrapping->id, &object);
        quadhsm_object_free(object);
    }
    if (error == QUADHSM_ENOTFOUND) {
        return access_failed(session, login, what->wrapping_handle, error, ABOUT_WRAPPING_KEY);
    }
    return access_failed(session, login, what->handle, QUADHSM_ENOTFOUND, ABOUT_KEY);
}

static CKR_RESULT wrap_in_cluster(struct session *session, const struct mechanism *mechanism,
                                  const struct wrapping *what)
{
    size_t room = what->out != NULL ? template_get_ulong(what->out_size) : 0;
    uint64_t login = login_current(session->slot);
    size_t made = 0;
    int error = quadhsm_wrap(session->slot->token, what->wrapping->object, &mechanism->params,
                             what->key->object, what->out, room, &made);

    if (error == QUADHSM_OK || error == QUADHSM_EROOM) {
        template_set_ulong(what->out_size, (CK_ULONG)made);
    }
    switch (error) {
    case QUADHSM_EROOM:
        return what->out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
    case QUADHSM_ENOTFOUND:
        return say_which(session, what, login);
    case QUADHSM_EKEYTYPE:
        return access_failed(session, login, what->wrapping_handle, error, ABOUT_WRAPPING_KEY);
    case QUADHSM_EDATASIZE:
        return CKR_KEY_SIZE_RANGE;
    default:
        return access_failed(session, login, what->wrapping_handle, error, ABOUT_KEY);
    }
}

/* What may leave is said by what is known of the key; the node says it again. */
static CKR_RESULT check_key(const struct objects_value *wrapping, const struct objects_value *key)
{
    const struct quadhsm_object *object = key->object;
    uint64_t object_class = objects_number(object, CKA_CLASS, CKO_DATA);

    if (object_class == CKO_PUBLIC_KEY) {
        return CKR_KEY_NOT_WRAPPABLE;
    }
    if (object_class != CKO_SECRET_KEY && object_class != CKO_PRIVATE_KEY) {
        return CKR_KEY_HANDLE_INVALID;
    }
    if (!objects_flag(object, CKA_EXTRACTABLE, false)) {
        return CKR_KEY_UNEXTRACTABLE;
    }
    if (objects_flag(object, CKA_WRAP_WITH_TRUSTED, false) &&
        !objects_flag(wrapping->object, CKA_TRUSTED, false)) {
        return CKR_KEY_NOT_WRAPPABLE;
    }
    return CKR_OK;
}

static CKR_RESULT wrap_with(struct session *session, const struct mechanism *mechanism,
                            struct wrapping *what)
{
    CK_RV rv = find_key(session, what->wrapping_handle, CKF_WRAP, mechanism, &what->wrapping);

    if (rv == CKR_OK) {
        rv = access_object(session, what->handle, ABOUT_KEY, true, &what->key);
    }
    if (rv == CKR_OK) {
        rv = check_key(what->wrapping, what->key);
    }
    if (rv == CKR_OK) {
        rv = wrap_in_cluster(session, mechanism, what);
    }
    objects_value_unref(what->wrapping);
    objects_value_unref(what->key);
    return rv;
}

static CKR_RESULT wrap(struct session *session, const CK_MECHANISM *from, struct wrapping *what)
{
    struct mechanism mechanism;
    CK_RV rv;

    if (what->out_size == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = mechanism_open(from, CKF_WRAP, &mechanism);
    if (rv == CKR_OK) {
        rv = wrap_with(session, &mechanism, what);
        mechanism_close(&mechanism);
    }
    return rv;
}

MODULE_API CK_RV C_WrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                           CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key, CK_BYTE_PTR out,
                           CK_ULONG_PTR out_size)
{
    struct wrapping what = {wrapping_key, key, NULL, NULL, out, out_size};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = wrap(session, mechanism, &what);
        module_leave_session(session);
    }
    return rv;
}

/* ---- C_UnwrapKey ---- */

struct unwrapping {
    CK_OBJECT_HANDLE handle;
    struct bytes wrapped;
    struct template template;
    CK_OBJECT_HANDLE *ret_handle;
};

static CKR_RESULT unwrap_in_cluster(struct session *session, const struct mechanism *mechanism,
                                    const struct unwrapping *what,
                                    const struct quadhsm_object *unwrapping)
{
    uint64_t login = login_current(session->slot);
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    struct quadhsm_object *object = NULL;
    int error = quadhsm_unwrap(session->slot->token, unwrapping, &mechanism->params,
                               what->wrapped.base, what->wrapped.size, what->template.attributes,
                               what->template.count, &object);
    CK_RV rv = access_failed(session, login, what->handle, error, ABOUT_UNWRAPPING_KEY);

    if (rv == CKR_OK) {
        rv = access_add(session, object, &handle);
    }
    if (rv == CKR_OK) {
        template_set_ulong(what->ret_handle, handle);
    }
    return rv;
}

static CKR_RESULT unwrap_with(struct session *session, const struct mechanism *mechanism,
                              struct unwrapping *what)
{
    struct objects_value *key = NULL;
    CK_RV rv = find_key(session, what->handle, CKF_UNWRAP, mechanism, &key);

    if (rv != CKR_OK) {
        return rv;
    }
    template_take_token(&what->template, key->object, CKA_UNWRAP_TEMPLATE);
    rv = template_flag(&what->template, CKA_TOKEN, false) && !session->writable
             ? CKR_SESSION_READ_ONLY
             : unwrap_in_cluster(session, mechanism, what, key->object);
    objects_value_unref(key);
    return rv;
}

static CKR_RESULT unwrap(struct session *session, const CK_MECHANISM *from,
                         const CK_ATTRIBUTE *list, CK_ULONG count, struct unwrapping *what)
{
    struct mechanism mechanism;
    CK_RV rv;

    if (what->ret_handle == NULL || what->wrapped.base == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = mechanism_open(from, CKF_UNWRAP, &mechanism);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = template_open(list, count, &what->template);
    if (rv == CKR_OK) {
        rv = unwrap_with(session, &mechanism, what);
        template_close(&what->template);
    }
    mechanism_close(&mechanism);
    return rv;
}

MODULE_API CK_RV C_UnwrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                             CK_OBJECT_HANDLE unwrapping_key, CK_BYTE_PTR wrapped,
                             CK_ULONG wrapped_size, CK_ATTRIBUTE_PTR list, CK_ULONG count,
                             CK_OBJECT_HANDLE_PTR key)
{
    struct unwrapping what = {unwrapping_key, {wrapped, wrapped_size}, {.count = 0}, key};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = unwrap(session, mechanism, list, count, &what);
        module_leave_session(session);
    }
    return rv;
}
