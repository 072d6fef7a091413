/* Key material: PKCS#8 and SubjectPublicKeyInfo to their numbers and back, and the numbers to
 * OpenSSL. Read by a parser of our own, for OpenSSL's decoders take 80 times as long as making
 * the key from its numbers and leave a copy of a private key behind on the heap. */
#ifndef QH_CRYPTO_MATERIAL_H
#define QH_CRYPTO_MATERIAL_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "crypto/curve.h"
#include "crypto/key.h"

#define MATERIAL_RSA_SIZE_MAX (KEY_RSA_BITS_MAX / 8u) /* bytes of a number */
#define MATERIAL_EXPONENT_SIZE_MAX 8u                 /* bytes of a public exponent */
#define MATERIAL_RSA_PARTS 8u

/* Numbers are big-endian. Everything points into what was parsed. */
struct material {
    CK_KEY_TYPE type;
    struct key_rsa_parts rsa;  /* CKK_RSA: n and e, and all others or none */
    const struct curve *curve; /* CKK_EC, CKK_EC_EDWARDS, CKK_EC_MONTGOMERY */
    struct bytes value;        /* of a private key on a curve */
    struct bytes point;        /* as the curve has it, without a wrapper; empty if unknown */
};

/* Errors of both: QH_EMALFORMED, QH_EKEYTYPE if it is a key of another type, QH_ECURVE. */
QH_RESULT material_parse_private(CK_KEY_TYPE type, struct bytes pkcs8,
                                 struct material *ret_material);
QH_RESULT material_parse_public(CK_KEY_TYPE type, struct bytes spki, struct material *ret_material);

/* Sizes and oddness of RSA numbers; no number is trusted before. @bits_min: KEY_RSA_..._BITS_MIN.
 * Errors: QH_EKEYSIZE, QH_EATTRVALUE. */
QH_RESULT material_check_rsa(const struct key_rsa_parts *rsa, unsigned bits_min);
unsigned material_bits(struct bytes number);

/* Errors: QH_ENOMEM, QH_ESYSTEM. Owns: secret_free(). */
QH_RESULT material_write_private(const struct material *material, struct secret **ret_private);
/* @ec_params: as asked for, see key_generate_ec(). Owns: free(ret_public->block). */
QH_RESULT material_write_public(const struct material *material, struct bytes ec_params,
                                struct key_public *ret_public);

/* Both, or nothing. */
QH_RESULT material_write_pair(const struct material *material, struct bytes ec_params,
                              struct secret **ret_private, struct key_public *ret_public);

/* Errors: QH_EMALFORMED if OpenSSL refuses the numbers, QH_ENOMEM, QH_ESYSTEM.
 * Owns: EVP_PKEY_free(). */
QH_RESULT material_load(const struct material *material, bool private, EVP_PKEY **ret_pkey);
/* A private value must lie between 0 and the order. Errors: QH_EATTRVALUE, QH_ENOMEM. */
QH_RESULT material_check_value(const struct curve *curve, struct bytes value);
/* A point as programs pass it, raw, in an OCTET STRING or in a BIT STRING, without its wrapper;
 * empty if it has not one of its curve's sizes. */
struct bytes material_unwrap_point(const struct curve *curve, struct bytes point);
/* The point of a private value, or a point normalised: uncompressed and on its curve.
 * Errors: QH_EATTRVALUE, QH_ENOMEM. */
QH_RESULT material_derive_point(const struct curve *curve, struct bytes value,
                                uint8_t ret_point[CURVE_POINT_SIZE_MAX]);
QH_RESULT material_check_point(const struct curve *curve, struct bytes point,
                               uint8_t ret_point[CURVE_POINT_SIZE_MAX]);

/* The eight numbers of RSA in PKCS#8's order: n e d p q dp dq qinv. */
void material_list_rsa(const struct key_rsa_parts *rsa, struct bytes ret_list[MATERIAL_RSA_PARTS]);
struct key_rsa_parts material_unlist_rsa(const struct bytes list[MATERIAL_RSA_PARTS]);

/* Empty OpenSSL's error queue of this thread. QH_ENOMEM or QH_ESYSTEM if it tells of a fault of
 * its own, or @otherwise: what the failure means of the input. */
enum qh_err material_error(enum qh_err otherwise);

#endif
