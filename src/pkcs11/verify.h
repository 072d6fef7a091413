/* What the chapters of verification share. All inside a call. */
#ifndef QH_PKCS11_VERIFY_H
#define QH_PKCS11_VERIFY_H

#include "pkcs11/operation.h"

/* Verify @data, or with NULL what came in parts. */
CKR_RESULT verify_finish(struct session *session, struct operation *operation, const void *data,
                         size_t size, struct bytes signature);
/* C_VerifyUpdate. */
CKR_RESULT verify_update(struct session *session, const CK_BYTE *data, CK_ULONG size);

#endif
