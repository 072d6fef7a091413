/* C_MessageSignInit, C_SignMessage, C_SignMessageBegin, C_SignMessageNext, C_MessageSignFinal: one
 * signature after the other with the same key. No mechanism here has parameters of a message's own:
 * those of C_MessageSignInit hold for all. */
#include "pkcs11/sign.h"

static const CK_BYTE nothing[1];

MODULE_API CK_RV C_MessageSignInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                                   CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_MESSAGE_SIGN, mechanism, key);
}

static CKR_RESULT sign_message(struct session *session, CK_ULONG parameter_size, struct bytes data,
                               CK_BYTE *out, CK_ULONG *out_size)
{
    struct operation *operation;
    CK_RV rv = operation_take_message(session, OPERATION_MESSAGE_SIGN, false, &operation);

    if (rv != CKR_OK) {
        return rv;
    }
    if (out_size == NULL || (data.base == NULL && data.size > 0) || parameter_size > 0) {
        rv = CKR_ARGUMENTS_BAD;
    } else {
        rv = sign_finish(session, operation, data.base != NULL ? data.base : nothing, data.size,
                         out, out_size);
    }
    operation_end_message(operation);
    operation_put(session, operation);
    return rv;
}

MODULE_API CK_RV C_SignMessage(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                               CK_ULONG parameter_size, CK_BYTE_PTR data, CK_ULONG size,
                               CK_BYTE_PTR signature, CK_ULONG_PTR signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    (void)parameter;
    if (rv == CKR_OK) {
        rv = sign_message(session, parameter_size, (struct bytes){data, size}, signature,
                          signature_size);
        module_leave_session(session);
    }
    return rv;
}

static CKR_RESULT sign_begin(struct session *session, CK_ULONG parameter_size)
{
    struct operation *operation;
    CK_RV rv = operation_take_message(session, OPERATION_MESSAGE_SIGN, false, &operation);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = parameter_size > 0 ? CKR_ARGUMENTS_BAD : CKR_OK;
    operation->in_parts = rv == CKR_OK;
    operation_put(session, operation);
    return rv;
}

MODULE_API CK_RV C_SignMessageBegin(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                    CK_ULONG parameter_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    (void)parameter;
    if (rv == CKR_OK) {
        rv = sign_begin(session, parameter_size);
        module_leave_session(session);
    }
    return rv;
}

/* The last part comes with a place for the signature's size. It is taken when the signature is
 * made, not when its size is asked for. */
static CKR_RESULT use_next(struct session *session, struct operation *operation, struct bytes data,
                           CK_BYTE *out, CK_ULONG *out_size)
{
    size_t size = mechanism_signature_size(&operation->mechanism, operation->key->object);
    CK_RV rv;

    if (data.base == NULL && data.size > 0) {
        return CKR_ARGUMENTS_BAD;
    }
    if (out_size != NULL && size > 0 && operation_answer_size(out, out_size, size, size, &rv)) {
        return rv;
    }
    rv = operation_feed(operation, data.base, data.size);
    if (rv == CKR_OK && out_size != NULL) {
        rv = sign_finish(session, operation, NULL, 0, out, out_size);
    }
    return rv;
}

static CKR_RESULT sign_next(struct session *session, CK_ULONG parameter_size, struct bytes data,
                            CK_BYTE *out, CK_ULONG *out_size)
{
    struct operation *operation;
    CK_RV rv = operation_take_message(session, OPERATION_MESSAGE_SIGN, true, &operation);
    bool goes_on;

    if (rv != CKR_OK) {
        return rv;
    }
    rv = parameter_size > 0 ? CKR_ARGUMENTS_BAD : use_next(session, operation, data, out, out_size);
    goes_on = out_size == NULL ? rv == CKR_OK : operation_goes_on(rv, out);
    if (!goes_on) {
        operation_end_message(operation);
    }
    operation_put(session, operation);
    return rv;
}

MODULE_API CK_RV C_SignMessageNext(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                   CK_ULONG parameter_size, CK_BYTE_PTR data, CK_ULONG size,
                                   CK_BYTE_PTR signature, CK_ULONG_PTR signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    (void)parameter;
    if (rv == CKR_OK) {
        rv = sign_next(session, parameter_size, (struct bytes){data, size}, signature,
                       signature_size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_MessageSignFinal(CK_SESSION_HANDLE handle)
{
    return operation_end(handle, OPERATION_MESSAGE_SIGN);
}
