/* The curves that keys may lie on, and the ways in which PKCS#11 names them. */
#ifndef QH_CRYPTO_CURVE_H
#define QH_CRYPTO_CURVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/cryptoki.h"
#include "base/err.h"

#define CURVE_FIELD_SIZE_MAX 66u  /* bytes, of P-521 */
#define CURVE_POINT_SIZE_MAX 133u /* bytes, uncompressed, of P-521 */
#define CURVE_NAMES_MAX 3u

struct curve {
    CK_KEY_TYPE type;  /* CKK_EC, CKK_EC_EDWARDS or CKK_EC_MONTGOMERY */
    const char *name;  /* OpenSSL's */
    int nid;           /* OpenSSL's */
    unsigned bits;     /* of the order; of the others as PKCS#11 counts: 255 and 448 */
    size_t size;       /* bytes of a private value, and of half an ECDSA signature */
    size_t point_size; /* bytes: uncompressed, or as the curve has it */
    struct bytes names[CURVE_NAMES_MAX]; /* CKA_EC_PARAMS; the first is the OID in PKCS#8 */
};

bool curve_is_type(CK_KEY_TYPE type);
/* The curve that CKA_EC_PARAMS or an AlgorithmIdentifier names. Errors: QH_ECURVE. */
QH_RESULT curve_find(CK_KEY_TYPE type, struct bytes ec_params, const struct curve **ret_curve);

#endif
