/* The table of curves. */
#include "crypto/curve.h"

#include <openssl/obj_mac.h>

/* A string literal's bytes without its terminating zero. */
#define CURVE_NAME(text)                          \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

/* Edwards and Montgomery curves: RFC 8410's OID, PKCS#11's PrintableString, and the OID that
 * PKCS#11 3.0 named before, which older programs still send. */
static const struct curve curves[] = {
    {CKK_EC,
     "P-256",
     NID_X9_62_prime256v1,
     256,
     32,
     65,
     {CURVE_NAME("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")}},
    {CKK_EC, "P-384", NID_secp384r1, 384, 48, 97, {CURVE_NAME("\x06\x05\x2b\x81\x04\x00\x22")}},
    {CKK_EC, "P-521", NID_secp521r1, 521, 66, 133, {CURVE_NAME("\x06\x05\x2b\x81\x04\x00\x23")}},
    {CKK_EC, "secp256k1", NID_secp256k1, 256, 32, 65, {CURVE_NAME("\x06\x05\x2b\x81\x04\x00\x0a")}},
    {CKK_EC_EDWARDS,
     "ED25519",
     NID_ED25519,
     255,
     32,
     32,
     {CURVE_NAME("\x06\x03\x2b\x65\x70"),
      CURVE_NAME("\x13\x0c"
                 "edwards25519"),
      CURVE_NAME("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01")}},
    {CKK_EC_EDWARDS,
     "ED448",
     NID_ED448,
     448,
     57,
     57,
     {CURVE_NAME("\x06\x03\x2b\x65\x71"),
      CURVE_NAME("\x13\x0a"
                 "edwards448"),
      CURVE_NAME("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x02")}},
    {CKK_EC_MONTGOMERY,
     "X25519",
     NID_X25519,
     255,
     32,
     32,
     {CURVE_NAME("\x06\x03\x2b\x65\x6e"),
      CURVE_NAME("\x13\x0a"
                 "curve25519"),
      CURVE_NAME("\x06\x0a\x2b\x06\x01\x04\x01\x97\x55\x01\x05\x01")}},
    {CKK_EC_MONTGOMERY,
     "X448",
     NID_X448,
     448,
     56,
     56,
     {CURVE_NAME("\x06\x03\x2b\x65\x6f"), CURVE_NAME("\x13\x08"
                                                     "curve448")}},
};

bool curve_is_type(CK_KEY_TYPE type)
{
    return type == CKK_EC || type == CKK_EC_EDWARDS || type == CKK_EC_MONTGOMERY;
}

QH_RESULT curve_find(CK_KEY_TYPE type, struct bytes ec_params, const struct curve **ret_curve)
{
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        for (size_t j = 0; j < CURVE_NAMES_MAX && curves[i].names[j].size > 0; j++) {
            if (curves[i].type == type && bytes_compare(curves[i].names[j], ec_params) == 0) {
                *ret_curve = &curves[i];
                return QH_OK;
            }
        }
    }
    return QH_ECURVE;
}
