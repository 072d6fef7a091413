/* C_MessageVerifyInit, C_VerifyMessage, C_VerifyMessageBegin, C_VerifyMessageNext,
 * C_MessageVerifyFinal: one signature after the other with the same key. A signature that is wrong
 * ends its message, and not the others. */
#include "pkcs11/verify.h"

static const CK_BYTE nothing[1];

MODULE_API CK_RV C_MessageVerifyInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                                     CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_MESSAGE_VERIFY, mechanism, key);
}

static CKR_RESULT verify_message(struct session *session, CK_ULONG parameter_size,
                                 struct bytes data, struct bytes signature)
{
    struct operation *operation;
    CK_RV rv = operation_take_message(session, OPERATION_MESSAGE_VERIFY, false, &operation);

    if (rv != CKR_OK) {
        return rv;
    }
    if (signature.base == NULL || (data.base == NULL && data.size > 0) || parameter_size > 0) {
        rv = CKR_ARGUMENTS_BAD;
    } else {
        rv = verify_finish(session, operation, data.base != NULL ? data.base : nothing, data.size,
                           signature);
    }
    operation_end_message(operation);
    operation_put(session, operation);
    return rv;
}

MODULE_API CK_RV C_VerifyMessage(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                 CK_ULONG parameter_size, CK_BYTE_PTR data, CK_ULONG size,
                                 CK_BYTE_PTR signature, CK_ULONG signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    (void)parameter;
    if (rv == CKR_OK) {
        rv = verify_message(session, parameter_size, (struct bytes){data, size},
                            (struct bytes){signature, signature_size});
        module_leave_session(session);
    }
    return rv;
}

static CKR_RESULT verify_begin(struct session *session, CK_ULONG parameter_size)
{
    struct operation *operation;
    CK_RV rv = operation_take_message(session, OPERATION_MESSAGE_VERIFY, false, &operation);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = parameter_size > 0 ? CKR_ARGUMENTS_BAD : CKR_OK;
    operation->in_parts = rv == CKR_OK;
    operation_put(session, operation);
    return rv;
}

MODULE_API CK_RV C_VerifyMessageBegin(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                      CK_ULONG parameter_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    (void)parameter;
    if (rv == CKR_OK) {
        rv = verify_begin(session, parameter_size);
        module_leave_session(session);
    }
    return rv;
}

/* The last part comes with the signature. */
static CKR_RESULT use_next(struct session *session, struct operation *operation, struct bytes data,
                           struct bytes signature)
{
    CK_RV rv;

    if (data.base == NULL && data.size > 0) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = operation_feed(operation, data.base, data.size);
    if (rv == CKR_OK && signature.base != NULL) {
        rv = verify_finish(session, operation, NULL, 0, signature);
    }
    return rv;
}

static CKR_RESULT verify_next(struct session *session, CK_ULONG parameter_size, struct bytes data,
                              struct bytes signature)
{
    struct operation *operation;
    CK_RV rv = operation_take_message(session, OPERATION_MESSAGE_VERIFY, true, &operation);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = parameter_size > 0 ? CKR_ARGUMENTS_BAD : use_next(session, operation, data, signature);
    if (rv != CKR_OK || signature.base != NULL) {
        operation_end_message(operation);
    }
    operation_put(session, operation);
    return rv;
}

MODULE_API CK_RV C_VerifyMessageNext(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                     CK_ULONG parameter_size, CK_BYTE_PTR data, CK_ULONG size,
                                     CK_BYTE_PTR signature, CK_ULONG signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    (void)parameter;
    if (rv == CKR_OK) {
        rv = verify_next(session, parameter_size, (struct bytes){data, size},
                         (struct bytes){signature, signature_size});
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_MessageVerifyFinal(CK_SESSION_HANDLE handle)
{
    return operation_end(handle, OPERATION_MESSAGE_VERIFY);
}
