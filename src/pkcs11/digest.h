/* Saved states of digests (C_GetOperationState). */
#ifndef QH_PKCS11_DIGEST_H
#define QH_PKCS11_DIGEST_H

#define DIGEST_STATES_MAX 1024u
#define DIGEST_STATE_SIZE 32u /* bytes */

/* For C_Finalize: nobody is inside. */
void digest_forget_states(void);

#endif
