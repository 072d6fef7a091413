/* C_SignInit, C_Sign, C_SignUpdate, C_SignFinal. */
#include "pkcs11/sign.h"

#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/template.h"

CK_RV sign_finish(struct session *session, struct operation *operation, const void *data,
                  size_t size, CK_BYTE *out, CK_ULONG *out_size)
{
    const struct quadhsm_object *key = operation->key->object;
    size_t signature_size = mechanism_signature_size(&operation->mechanism, key);
    size_t room = out != NULL ? template_get_ulong(out_size) : 0;
    uint64_t login = login_current(session->slot);
    struct operation_input input;
    size_t made = 0;
    int error;
    CK_RV rv;

    /* Of a key whose size is not known here, the node says it. */
    if (signature_size > 0 &&
        operation_answer_size(out, out_size, signature_size, signature_size, &rv)) {
        return rv;
    }
    rv = operation_input(operation, data, size, &input);
    if (rv != CKR_OK) {
        return rv;
    }
    error = quadhsm_sign(session->slot->token, key, input.params, input.data, input.size, out, room,
                         &made);
    if (error == QUADHSM_OK || error == QUADHSM_EROOM) {
        template_set_ulong(out_size, (CK_ULONG)made);
    }
    if (error == QUADHSM_EROOM && out == NULL) {
        return CKR_OK;
    }
    return access_failed(session, login, operation->key_handle, error, ABOUT_KEY);
}

CK_RV sign_all(struct session *session, enum module_operation kind, const CK_BYTE *data,
               CK_ULONG size, CK_BYTE *out, CK_ULONG *out_size)
{
    struct operation *operation = operation_take(session, kind);
    CK_RV rv;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (operation->in_parts) {
        operation_free(operation);
        return CKR_OPERATION_ACTIVE;
    }
    if (out_size == NULL || (data == NULL && size > 0)) {
        operation_free(operation);
        return CKR_ARGUMENTS_BAD;
    }
    rv = sign_finish(session, operation, data != NULL ? data : (const CK_BYTE *)"", size, out,
                     out_size);
    operation_finish(session, operation, operation_goes_on(rv, out));
    return rv;
}

CK_RV sign_update(struct session *session, const CK_BYTE *data, CK_ULONG size)
{
    struct operation *operation = operation_take(session, OPERATION_SIGN);
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (data != NULL || size == 0) {
        operation->in_parts = true;
        rv = operation_feed(operation, data, size);
    }
    operation_finish(session, operation, rv == CKR_OK);
    return rv;
}

static CKR_RESULT sign_end(struct session *session, CK_BYTE *out, CK_ULONG *out_size)
{
    struct operation *operation = operation_take(session, OPERATION_SIGN);
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (out_size != NULL) {
        rv = sign_finish(session, operation, NULL, 0, out, out_size);
    }
    operation_finish(session, operation, operation_goes_on(rv, out));
    return rv;
}

MODULE_API CK_RV C_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                            CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_SIGN, mechanism, key);
}

MODULE_API CK_RV C_Sign(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                        CK_BYTE_PTR signature, CK_ULONG_PTR signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = sign_all(session, OPERATION_SIGN, data, size, signature, signature_size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_SignUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = sign_update(session, data, size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_SignFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR signature,
                             CK_ULONG_PTR signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = sign_end(session, signature, signature_size);
        module_leave_session(session);
    }
    return rv;
}
