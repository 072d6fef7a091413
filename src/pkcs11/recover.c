/* C_SignRecoverInit, C_SignRecover, C_VerifyRecoverInit, C_VerifyRecover: RSA signatures that hold
 * what they sign. Signing is what it is without recovery; what was signed is got out here. */
#include <string.h>

#include "pkcs11/publickey.h"
#include "pkcs11/sign.h"
#include "pkcs11/template.h"

#define PADDING_SIZE_MIN 11u /* of PKCS#1 v1.5: 00 01, at least eight ff, 00 */

MODULE_API CK_RV C_SignRecoverInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                                   CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_SIGN_RECOVER, mechanism, key);
}

MODULE_API CK_RV C_SignRecover(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                               CK_BYTE_PTR signature, CK_ULONG_PTR signature_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = sign_all(session, OPERATION_SIGN_RECOVER, data, size, signature, signature_size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_VerifyRecoverInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                                     CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_VERIFY_RECOVER, mechanism, key);
}

/* What is inside a block of PKCS#1 v1.5, type 1. Nothing in it is secret. */
static bool unpad(struct bytes *block)
{
    const uint8_t *base = block->base;
    size_t at = 2;

    if (block->size < PADDING_SIZE_MIN || base[0] != 0 || base[1] != 1) {
        return false;
    }
    while (at < block->size && base[at] == 0xff) {
        at++;
    }
    if (at < PADDING_SIZE_MIN - 1 || at == block->size || base[at] != 0) {
        return false;
    }
    block->base = base + at + 1;
    block->size -= at + 1;
    return true;
}

/* Into @room, of the modulus' size; *ret_data points into it. */
static CKR_RESULT recover(const struct operation *operation, struct bytes signature, uint8_t *room,
                          size_t room_size, struct bytes *ret_data)
{
    struct mech_params raw = {.type = CKM_RSA_X_509};
    struct bytes data = {room, 0};
    enum qh_err err =
        publickey_encrypt(operation->key, &raw, signature, room, room_size, &data.size);

    if (err == QH_EDATA || err == QH_EDATASIZE) {
        return CKR_SIGNATURE_INVALID;
    }
    if (err != QH_OK) {
        return ckr_from_error((int)err, ABOUT_KEY);
    }
    if (operation->mechanism.params.type == CKM_RSA_PKCS && !unpad(&data)) {
        return CKR_SIGNATURE_INVALID;
    }
    *ret_data = data;
    return CKR_OK;
}

static CKR_RESULT recover_into(const struct operation *operation, struct bytes signature,
                               CK_BYTE *out, CK_ULONG *out_size)
{
    uint8_t room[KEY_RSA_BITS_MAX / 8];
    size_t size = mechanism_modulus_size(operation->key->object);
    struct bytes data = {NULL, 0};
    CK_RV rv;

    if (signature.size != size || size > sizeof room) {
        return CKR_SIGNATURE_LEN_RANGE;
    }
    rv = recover(operation, signature, room, size, &data);
    if (rv != CKR_OK || operation_answer_size(out, out_size, data.size, data.size, &rv)) {
        return rv;
    }
    if (data.size > 0) {
        memcpy(out, data.base, data.size);
    }
    template_set_ulong(out_size, (CK_ULONG)data.size);
    return CKR_OK;
}

static CKR_RESULT verify_recover(struct session *session, struct bytes signature, CK_BYTE *out,
                                 CK_ULONG *out_size)
{
    struct operation *operation = operation_take(session, OPERATION_VERIFY_RECOVER);
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (signature.base != NULL && out_size != NULL) {
        rv = recover_into(operation, signature, out, out_size);
    }
    operation_finish(session, operation, operation_goes_on(rv, out));
    return rv;
}

MODULE_API CK_RV C_VerifyRecover(CK_SESSION_HANDLE handle, CK_BYTE_PTR signature,
                                 CK_ULONG signature_size, CK_BYTE_PTR data, CK_ULONG_PTR data_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = verify_recover(session, (struct bytes){signature, signature_size}, data, data_size);
        module_leave_session(session);
    }
    return rv;
}
