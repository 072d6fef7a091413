/* Digests: parts for others' calls, and saved states (C_GetOperationState). */
#ifndef QH_PKCS11_DIGEST_H
#define QH_PKCS11_DIGEST_H

#include "base/bytes.h"
#include "pkcs11/module.h"

#define DIGEST_STATES_MAX 1024u
#define DIGEST_STATE_SIZE 32u /* bytes */

/* For C_Finalize: nobody is inside. */
void digest_forget_states(void);

/* A part, inside a call. */
CKR_RESULT digest_update(struct session *session, struct bytes data);

#endif
