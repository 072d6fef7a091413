/* C_VerifyInit, C_Verify, C_VerifyUpdate, C_VerifyFinal. Public keys verify here, secret keys in
 * the cluster. */
#include "pkcs11/verify.h"

#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/publickey.h"

static CKR_RESULT verify_here(struct operation *operation, const struct operation_input *input,
                              struct bytes signature)
{
    struct mech_params params = mechanism_local(input->params);
    struct bytes data = {input->data, input->size};
    enum qh_err err = publickey_verify(operation->key, &params, data, signature);

    return ckr_from_error((int)err, ABOUT_KEY);
}

CK_RV verify_finish(struct session *session, struct operation *operation, const void *data,
                    size_t size, struct bytes signature)
{
    const struct quadhsm_object *key = operation->key->object;
    size_t signature_size = mechanism_signature_size(&operation->mechanism, key);
    uint64_t login = login_current(session->slot);
    struct operation_input input;
    int error;
    CK_RV rv;

    if (signature_size > 0 && signature.size != signature_size) {
        return CKR_SIGNATURE_LEN_RANGE;
    }
    rv = operation_input(operation, data, size, &input);
    if (rv != CKR_OK) {
        return rv;
    }
    if (objects_number(key, CKA_CLASS, CKO_DATA) == CKO_PUBLIC_KEY) {
        return verify_here(operation, &input, signature);
    }
    error = quadhsm_verify(session->slot->token, key, input.params, input.data, input.size,
                           signature.base, signature.size);
    return access_failed(session, login, operation->key_handle, error, ABOUT_KEY);
}

static CKR_RESULT verify_all(struct session *session, const CK_BYTE *data, CK_ULONG size,
                             struct bytes signature)
{
    struct operation *operation = operation_take(session, OPERATION_VERIFY);
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (operation->in_parts) {
        operation_free(operation);
        return CKR_OPERATION_ACTIVE;
    }
    if (signature.base != NULL && (data != NULL || size == 0)) {
        rv = verify_finish(session, operation, data != NULL ? data : (const CK_BYTE *)"", size,
                           signature);
    }
    operation_free(operation);
    return rv;
}

CK_RV verify_update(struct session *session, const CK_BYTE *data, CK_ULONG size)
{
    struct operation *operation = operation_take(session, OPERATION_VERIFY);
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

static CKR_RESULT verify_end(struct session *session, struct bytes signature)
{
    struct operation *operation = operation_take(session, OPERATION_VERIFY);
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (signature.base != NULL) {
        rv = verify_finish(session, operation, NULL, 0, signature);
    }
    operation_free(operation);
    return rv;
}

MODULE_API CK_RV C_VerifyInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                              CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_VERIFY, mechanism, key);
}

MODULE_API CK_RV C_Verify(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                          CK_BYTE_PTR signature, CK_ULONG signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = verify_all(session, data, size, (struct bytes){signature, signature_size});
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_VerifyUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = verify_update(session, data, size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_VerifyFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR signature,
                               CK_ULONG signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = verify_end(session, (struct bytes){signature, signature_size});
        module_leave_session(session);
    }
    return rv;
}
