/* What encryption and decryption share. A mechanism that works block by block goes out as it comes
 * in, however long; the others are gathered and sent at the end. */
#ifndef QH_PKCS11_CIPHER_H
#define QH_PKCS11_CIPHER_H

#include "pkcs11/operation.h"

/* @kind: OPERATION_ENCRYPT or OPERATION_DECRYPT. In one piece; a part; the end. */
CK_RV cipher_all(CK_SESSION_HANDLE handle, enum module_operation kind, const CK_BYTE *data,
                 CK_ULONG size, CK_BYTE *out, CK_ULONG *out_size);
CK_RV cipher_part(CK_SESSION_HANDLE handle, enum module_operation kind, const CK_BYTE *data,
                  CK_ULONG size, CK_BYTE *out, CK_ULONG *out_size);
CK_RV cipher_end(CK_SESSION_HANDLE handle, enum module_operation kind, CK_BYTE *out,
                 CK_ULONG *out_size);

/* A part, inside a call. */
CKR_RESULT cipher_update(struct session *session, enum module_operation kind, struct bytes data,
                         CK_BYTE *out, CK_ULONG *out_size);

#endif
