/* Public keys are used in the module, without asking a node: made from the object's attributes, and
 * kept ready with what is known of the object. */
#ifndef QH_PKCS11_PUBLICKEY_H
#define QH_PKCS11_PUBLICKEY_H

#include "crypto/mech.h"
#include "pkcs11/objects.h"

/* One complete operation each. Errors: those of the mechanism, and for a key that cannot be made
 * QH_EKEYTYPE, QH_EATTRVALUE, QH_EKEYSIZE, QH_ECURVE. Thread: any; not under the module's lock. */
QH_RESULT publickey_verify(struct objects_value *value, const struct mech_params *params,
                           struct bytes data, struct bytes signature);
QH_RESULT publickey_encrypt(struct objects_value *value, const struct mech_params *params,
                            struct bytes data, uint8_t *out, size_t room, size_t *ret_size);

#endif
