/* C_DigestEncryptUpdate, C_DecryptDigestUpdate, C_SignEncryptUpdate, C_DecryptVerifyUpdate: a part
 * of two operations at once. When the cipher gives nothing out - an error, a question for the size,
 * a buffer that is too small - the other operation gets nothing in. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/cipher.h"
#include "pkcs11/digest.h"
#include "pkcs11/sign.h"
#include "pkcs11/template.h"
#include "pkcs11/verify.h"

static CKR_RESULT feed(struct session *session, enum module_operation kind, struct bytes plain)
{
    if (kind == OPERATION_DIGEST) {
        return digest_update(session, plain);
    }
    return kind == OPERATION_SIGN ? sign_update(session, plain.base, plain.size)
                                  : verify_update(session, plain.base, plain.size);
}

static bool are_active(struct session *session, enum module_operation one,
                       enum module_operation other)
{
    return operation_is_active(session, one) && operation_is_active(session, other);
}

/* Ciphertext may go where the plaintext is, which is still needed then. */
static CKR_RESULT encrypt_and(struct session *session, enum module_operation other,
                              struct bytes plain, CK_BYTE *out, CK_ULONG *out_size)
{
    struct bytes copy = {NULL, plain.size};
    uint8_t *room = NULL;
    CK_RV rv;

    if (!are_active(session, OPERATION_ENCRYPT, other)) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (plain.base != NULL && plain.size > 0 && out != NULL) {
        room = malloc(plain.size);
        if (room == NULL) {
            return CKR_HOST_MEMORY;
        }
        memcpy(room, plain.base, plain.size);
        copy.base = room;
    }
    rv = cipher_update(session, OPERATION_ENCRYPT, plain, out, out_size);
    if (rv == CKR_OK && out != NULL) {
        rv = feed(session, other, copy);
    }
    if (room != NULL) {
        sodium_memzero(room, plain.size);
    }
    free(room);
    return rv;
}

static CKR_RESULT decrypt_and(struct session *session, enum module_operation other,
                              struct bytes data, CK_BYTE *out, CK_ULONG *out_size)
{
    CK_RV rv;

    if (!are_active(session, OPERATION_DECRYPT, other)) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    rv = cipher_update(session, OPERATION_DECRYPT, data, out, out_size);
    if (rv == CKR_OK && out != NULL) {
        rv = feed(session, other, (struct bytes){out, template_get_ulong(out_size)});
    }
    return rv;
}

MODULE_API CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                                       CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = encrypt_and(session, OPERATION_DIGEST, (struct bytes){data, size}, out, out_size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                                       CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = decrypt_and(session, OPERATION_DIGEST, (struct bytes){data, size}, out, out_size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                                     CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = encrypt_and(session, OPERATION_SIGN, (struct bytes){data, size}, out, out_size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                                       CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = decrypt_and(session, OPERATION_VERIFY, (struct bytes){data, size}, out, out_size);
        module_leave_session(session);
    }
    return rv;
}
