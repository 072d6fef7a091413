/* Every mechanism there is, as PKCS#11 shows it. */
#include <stdlib.h>

#include "crypto/mech.h"

#define SIGNS (CKF_SIGN | CKF_VERIFY)
#define CRYPTS (CKF_ENCRYPT | CKF_DECRYPT)
#define WRAPS (CKF_WRAP | CKF_UNWRAP)
#define ON_CURVE (CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS)
#define NO_DIGEST CK_UNAVAILABLE_INFORMATION

#define RSA(type, flags, digest)                                                     \
    {                                                                                \
        type, CKK_RSA, KEY_RSA_BITS_MIN, KEY_RSA_BITS_MAX, flags, digest, MECH_HEAVY \
    }
#define ECDSA(type, digest)                                          \
    {                                                                \
        type, CKK_EC, 256, 521, SIGNS | ON_CURVE, digest, MECH_CHEAP \
    }
#define EDWARDS(type, flags, cost)                                          \
    {                                                                       \
        type, CKK_EC_EDWARDS, 255, 448, (flags) | ON_CURVE, NO_DIGEST, cost \
    }
/* P-256 has a fast implementation in OpenSSL, the others take ten times as long. */
#define ECDH(type, key_min)                                                      \
    {                                                                            \
        type, CKK_EC, key_min, 521, CKF_DERIVE | ON_CURVE, NO_DIGEST, MECH_HEAVY \
    }
#define AES(type, flags)                                    \
    {                                                       \
        type, CKK_AES, 16, 32, flags, NO_DIGEST, MECH_CHEAP \
    }
/* Bits, as PKCS#11 counts generic secrets. */
#define SECRET(type, flags)                                                                \
    {                                                                                      \
        type, CKK_GENERIC_SECRET, 8, 8 * KEY_SECRET_SIZE_MAX, flags, NO_DIGEST, MECH_CHEAP \
    }
#define DIGEST(type)                                                              \
    {                                                                             \
        type, CK_UNAVAILABLE_INFORMATION, 0, 0, CKF_DIGEST, NO_DIGEST, MECH_CHEAP \
    }

/* Sorted by type: mech_find() halves. */
static const struct mech_info table[] = {
    {CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, KEY_RSA_BITS_MIN, KEY_RSA_BITS_MAX, CKF_GENERATE_KEY_PAIR,
     NO_DIGEST, MECH_SLOW},
    RSA(CKM_RSA_PKCS, SIGNS | CRYPTS | WRAPS, NO_DIGEST),
    RSA(CKM_RSA_X_509, SIGNS | CRYPTS, NO_DIGEST),
    RSA(CKM_SHA1_RSA_PKCS, SIGNS, CKM_SHA_1),
    RSA(CKM_RSA_PKCS_OAEP, CRYPTS | WRAPS, NO_DIGEST),
    RSA(CKM_RSA_PKCS_PSS, SIGNS, NO_DIGEST),
    RSA(CKM_SHA1_RSA_PKCS_PSS, SIGNS, CKM_SHA_1),
    RSA(CKM_SHA256_RSA_PKCS, SIGNS, CKM_SHA256),
    RSA(CKM_SHA384_RSA_PKCS, SIGNS, CKM_SHA384),
    RSA(CKM_SHA512_RSA_PKCS, SIGNS, CKM_SHA512),
    RSA(CKM_SHA256_RSA_PKCS_PSS, SIGNS, CKM_SHA256),
    RSA(CKM_SHA384_RSA_PKCS_PSS, SIGNS, CKM_SHA384),
    RSA(CKM_SHA512_RSA_PKCS_PSS, SIGNS, CKM_SHA512),
    RSA(CKM_SHA224_RSA_PKCS, SIGNS, CKM_SHA224),
    RSA(CKM_SHA224_RSA_PKCS_PSS, SIGNS, CKM_SHA224),
    DIGEST(CKM_SHA_1),
    SECRET(CKM_SHA_1_HMAC, SIGNS),
    DIGEST(CKM_SHA256),
    SECRET(CKM_SHA256_HMAC, SIGNS),
    DIGEST(CKM_SHA224),
    SECRET(CKM_SHA224_HMAC, SIGNS),
    DIGEST(CKM_SHA384),
    SECRET(CKM_SHA384_HMAC, SIGNS),
    DIGEST(CKM_SHA512),
    SECRET(CKM_SHA512_HMAC, SIGNS),
    SECRET(CKM_GENERIC_SECRET_KEY_GEN, CKF_GENERATE),
    {CKM_EC_KEY_PAIR_GEN, CKK_EC, 256, 521, CKF_GENERATE_KEY_PAIR | ON_CURVE, NO_DIGEST,
     MECH_HEAVY},
    ECDSA(CKM_ECDSA, NO_DIGEST),
    ECDSA(CKM_ECDSA_SHA1, CKM_SHA_1),
    ECDSA(CKM_ECDSA_SHA224, CKM_SHA224),
    ECDSA(CKM_ECDSA_SHA256, CKM_SHA256),
    ECDSA(CKM_ECDSA_SHA384, CKM_SHA384),
    ECDSA(CKM_ECDSA_SHA512, CKM_SHA512),
    ECDH(CKM_ECDH1_DERIVE, 255),
    ECDH(CKM_ECDH1_COFACTOR_DERIVE, 256) /* no Montgomery curves */,
    RSA(CKM_RSA_AES_KEY_WRAP, WRAPS, NO_DIGEST),
    EDWARDS(CKM_EC_EDWARDS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, MECH_HEAVY),
    {CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKK_EC_MONTGOMERY, 255, 448, CKF_GENERATE_KEY_PAIR | ON_CURVE,
     NO_DIGEST, MECH_HEAVY},
    EDWARDS(CKM_EDDSA, SIGNS, MECH_CHEAP),
    AES(CKM_AES_KEY_GEN, CKF_GENERATE),
    AES(CKM_AES_ECB, CRYPTS),
    AES(CKM_AES_CBC, CRYPTS | WRAPS),
    AES(CKM_AES_CBC_PAD, CRYPTS | WRAPS),
    AES(CKM_AES_CTR, CRYPTS),
    AES(CKM_AES_GCM, CRYPTS | WRAPS),
    AES(CKM_AES_CMAC, SIGNS),
    AES(CKM_AES_KEY_WRAP, CRYPTS | WRAPS),
    AES(CKM_AES_KEY_WRAP_PAD, CRYPTS | WRAPS),
    AES(CKM_AES_KEY_WRAP_KWP, CRYPTS | WRAPS),
    SECRET(CKM_HKDF_DERIVE, CKF_DERIVE),
    {CKM_HKDF_KEY_GEN, CKK_HKDF, 8, 8 * KEY_SECRET_SIZE_MAX, CKF_GENERATE, NO_DIGEST, MECH_CHEAP},
};

#define TABLE_COUNT (sizeof table / sizeof table[0])

const struct mech_info *mech_table(unsigned *ret_count)
{
    *ret_count = TABLE_COUNT;
    return table;
}

const struct mech_info *mech_find(CK_MECHANISM_TYPE type)
{
    size_t first = 0, end = TABLE_COUNT;

    while (first < end) {
        size_t middle = first + (end - first) / 2;

        if (table[middle].type == type) {
            return &table[middle];
        }
        if (table[middle].type < type) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return NULL;
}
