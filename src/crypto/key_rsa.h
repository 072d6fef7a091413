/* The arithmetic of imported RSA keys. */
#ifndef QH_CRYPTO_KEY_RSA_H
#define QH_CRYPTO_KEY_RSA_H

#include "crypto/key.h"

/* Whether all numbers belong together: n is p times q, and d, dp, dq, qinv are inverses. That p
 * and q are prime is not tested: it takes seconds for the largest keys, and who imports a key
 * knows its factors anyway. Errors of both: QH_EATTRVALUE, QH_ENOMEM. */
QH_RESULT key_rsa_check(const struct key_rsa_parts *parts);

/* Find p, q, dp, dq, qinv from n, e, d: with them signing takes a quarter of the time. They are
 * written to @room, which has room for 5 numbers of MATERIAL_RSA_SIZE_MAX bytes. */
QH_RESULT key_rsa_complete(struct key_rsa_parts *parts, uint8_t *room);

#endif
