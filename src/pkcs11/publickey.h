/* Public keys are used in the module, without asking a node: made from the object's attributes, and
 * kept ready with what is known of the object. */
#ifndef QH_PKCS11_PUBLICKEY_H
#define QH_PKCS11_PUBLICKEY_H

#include "pkcs11/objects.h"

/* For this thread until publickey_give(). Errors: QH_EKEYTYPE, QH_EATTRVALUE, QH_EKEYSIZE,
 * QH_ECURVE, QH_EMALFORMED, QH_ENOMEM. */
QH_RESULT publickey_take(struct objects_value *value, struct key **ret_key);
void publickey_give(struct objects_value *value, struct key *key);

#endif
