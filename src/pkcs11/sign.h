/* What the chapters of signatures share. All inside a call. */
#ifndef QH_PKCS11_SIGN_H
#define QH_PKCS11_SIGN_H

#include "pkcs11/operation.h"

/* Sign @data, or with NULL what came in parts. A question for the size, and a buffer that is too
 * small, leave the operation as it was (operation_goes_on()). */
CKR_RESULT sign_finish(struct session *session, struct operation *operation, const void *data,
                       size_t size, CK_BYTE *out, CK_ULONG *out_size);
/* C_Sign and C_SignRecover; C_SignUpdate. */
CKR_RESULT sign_all(struct session *session, enum module_operation kind, const CK_BYTE *data,
                    CK_ULONG size, CK_BYTE *out, CK_ULONG *out_size);
CKR_RESULT sign_update(struct session *session, const CK_BYTE *data, CK_ULONG size);

#endif
