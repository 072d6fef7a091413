/* C_DeriveKey. */
#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/template.h"

struct derivation {
    CK_OBJECT_HANDLE base;
    struct objects_value *base_key, *salt_key;
    struct template template;
    CK_OBJECT_HANDLE *ret_handle;
};

/* The parameter's shape was seen to be right: what the node finds wrong in it is the other side's
 * point. */
static bool is_wrong_point(const struct mechanism *mechanism, int error)
{
    return error == QUADHSM_EPARAMETER && mechanism->params.public_data_size > 0;
}

/* A key derivation function makes as much as it is asked for. */
static bool wants_size(const struct mechanism *mechanism, const struct template *template,
                       int error)
{
    return error == QUADHSM_EKEYSIZE && mechanism->params.public_data_size > 0 &&
           mechanism->params.kdf != CKD_NULL && template_get(template, CKA_VALUE_LEN) == NULL;
}

static CKR_RESULT derive_in_cluster(struct session *session, const struct mechanism *mechanism,
                                    const struct derivation *what)
{
    uint64_t login = login_current(session->slot);
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    struct quadhsm_object *object = NULL;
    int error = quadhsm_derive(session->slot->token, what->base_key->object, &mechanism->params,
                               what->template.attributes, what->template.count, &object);
    CK_RV rv;

    if (is_wrong_point(mechanism, error)) {
        return CKR_PUBLIC_KEY_INVALID;
    }
    if (wants_size(mechanism, &what->template, error)) {
        return CKR_TEMPLATE_INCOMPLETE;
    }
    /* A key for salt may be what is gone. */
    rv = access_failed(session, login,
                       what->salt_key == NULL || error != QUADHSM_ENOTFOUND ? what->base
                                                                            : CK_INVALID_HANDLE,
                       error, ABOUT_KEY);
    if (rv == CKR_OK) {
        rv = access_add(session, object, &handle);
    }
    if (rv == CKR_OK) {
        template_set_ulong(what->ret_handle, handle);
    }
    return rv;
}

static CKR_RESULT find_keys(struct session *session, struct mechanism *mechanism,
                            struct derivation *what)
{
    CK_RV rv = access_object(session, what->base, ABOUT_KEY, false, &what->base_key);

    if (rv == CKR_OK) {
        rv = mechanism_fits(mechanism, CKF_DERIVE, what->base_key->object);
    }
    if (rv != CKR_OK || mechanism->salt_key == CK_INVALID_HANDLE) {
        return rv;
    }
    rv = access_object(session, mechanism->salt_key, ABOUT_KEY, false, &what->salt_key);
    if (rv == CKR_OK) {
        mechanism->params.hkdf_salt_key = what->salt_key->object;
        rv = objects_number(what->salt_key->object, CKA_CLASS, CKO_DATA) == CKO_SECRET_KEY
                 ? CKR_OK
                 : CKR_KEY_HANDLE_INVALID;
    }
    return rv;
}

static CKR_RESULT derive_with(struct session *session, struct mechanism *mechanism,
                              struct derivation *what)
{
    CK_RV rv = find_keys(session, mechanism, what);

    if (rv == CKR_OK) {
        template_take_token(&what->template, what->base_key->object, CKA_DERIVE_TEMPLATE);
    }
    if (rv == CKR_OK && template_flag(&what->template, CKA_TOKEN, false) && !session->writable) {
        rv = CKR_SESSION_READ_ONLY;
    }
    if (rv == CKR_OK) {
        rv = derive_in_cluster(session, mechanism, what);
    }
    objects_value_unref(what->base_key);
    objects_value_unref(what->salt_key);
    return rv;
}

static CKR_RESULT derive(struct session *session, const CK_MECHANISM *from,
                         const CK_ATTRIBUTE *list, CK_ULONG count, struct derivation *what)
{
    struct mechanism mechanism;
    CK_RV rv;

    if (what->ret_handle == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = mechanism_open(from, CKF_DERIVE, &mechanism);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = template_open(list, count, &what->template);
    if (rv == CKR_OK) {
        rv = derive_with(session, &mechanism, what);
        template_close(&what->template);
    }
    mechanism_close(&mechanism);
    return rv;
}

MODULE_API CK_RV C_DeriveKey(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                             CK_OBJECT_HANDLE base_key, CK_ATTRIBUTE_PTR list, CK_ULONG count,
                             CK_OBJECT_HANDLE_PTR key)
{
    struct derivation what = {base_key, NULL, NULL, {.count = 0}, key};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = derive(session, mechanism, list, count, &what);
        module_leave_session(session);
    }
    return rv;
}
