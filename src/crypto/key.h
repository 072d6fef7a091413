/* Keys for use: parsed, with OpenSSL's contexts kept between operations, since making them costs
 * as much as an EC signature. Generation, import and what is public of a key.
 *
 * Material is what a record holds: PKCS#8 DER of a private key, SubjectPublicKeyInfo DER of a
 * public key, the raw bytes of a secret key.
 *
 * Thread: a key belongs to one thread; each thread opens its own. */
#ifndef QH_CRYPTO_KEY_H
#define QH_CRYPTO_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cryptoki.h"
#include "base/err.h"
#include "base/secret.h"

#define KEY_RSA_BITS_MIN 2048u /* to generate and to sign with */
#define KEY_RSA_VERIFY_BITS_MIN 1024u
#define KEY_RSA_BITS_MAX 8192u
#define KEY_SECRET_SIZE_MAX 4096u /* bytes, of a generic secret */

struct key;

/* @object_class: CKO_PRIVATE_KEY, CKO_PUBLIC_KEY or CKO_SECRET_KEY. @type: CKK_RSA, CKK_EC,
 * CKK_EC_EDWARDS, CKK_EC_MONTGOMERY, CKK_AES, CKK_GENERIC_SECRET (and CKK_SHA*_HMAC, CKK_HKDF).
 * Wipes what it holds when freed.
 * Errors: QH_EMALFORMED, QH_EKEYTYPE, QH_EKEYSIZE, QH_ECURVE, QH_ENOMEM.
 * Owns:   copies what it needs; key_free(). */
QH_RESULT key_open(CK_OBJECT_CLASS object_class, CK_KEY_TYPE type, struct bytes material,
                   struct key **ret_key);
void key_free(struct key *key);
CK_OBJECT_CLASS key_class(const struct key *key);
CK_KEY_TYPE key_type(const struct key *key);
unsigned key_bits(const struct key *key); /* of the modulus, the curve's order or the secret */

/* What PKCS#11 shows of a key pair. Values are as in attributes: big-endian numbers without
 * leading zeroes, EC_PARAMS as DER of the curve's OID, EC_POINT as DER OCTET STRING. The unused
 * ones are empty. */
struct key_public {
    struct bytes modulus, public_exponent; /* RSA */
    struct bytes ec_params, ec_point;      /* EC, Edwards, Montgomery */
    struct bytes spki;                     /* SubjectPublicKeyInfo DER, always */
    uint8_t *block;                        /* what these point into: free() */
};

/* Generate. EC: @ec_params is the DER of a named curve's OID, or for Edwards curves also the
 * PrintableString "edwards25519", for Montgomery curves "curve25519"; the answer's ec_params are
 * what was asked for. Errors: QH_EKEYSIZE (RSA: even), QH_ECURVE, QH_EATTRVALUE (exponent:
 * odd, 65,537 to 2^64-1), QH_EKEYTYPE, QH_ENOMEM, QH_ESYSTEM. Owns:   *ret_private: secret_free();
 * ret_public->block: free(). Slow: never on a loop. */
QH_RESULT key_generate_rsa(unsigned bits, struct bytes exponent, struct secret **ret_private,
                           struct key_public *ret_public);
QH_RESULT key_generate_ec(CK_KEY_TYPE type, struct bytes ec_params, struct secret **ret_private,
                          struct key_public *ret_public);
QH_RESULT key_generate_secret(CK_KEY_TYPE type, size_t size, struct secret **ret_secret);

/* Import from PKCS#11 components. RSA private: all of n, e, d, p, q, dp, dq, qinv; or n, e, d
 * alone. EC private: params and value. Public: n and e, or params and point (raw, OCTET
 * STRING or BIT STRING). Errors: QH_EATTRVALUE, QH_EKEYSIZE, QH_ECURVE, QH_ENOMEM. */
struct key_rsa_parts {
    struct bytes n, e, d, p, q, dp, dq, qinv;
};
QH_RESULT key_import_rsa_private(const struct key_rsa_parts *parts, struct secret **ret_private,
                                 struct key_public *ret_public);
QH_RESULT key_import_ec_private(CK_KEY_TYPE type, struct bytes ec_params, struct bytes value,
                                struct secret **ret_private, struct key_public *ret_public);
QH_RESULT key_import_rsa_public(struct bytes n, struct bytes e, struct key_public *ret_public);
QH_RESULT key_import_ec_public(CK_KEY_TYPE type, struct bytes ec_params, struct bytes ec_point,
                               struct key_public *ret_public);

/* Import a private key from PKCS#8 DER that somebody else wrote. Errors: QH_EMALFORMED, QH_EKEYTYPE
 * (a key of another type), and as above. */
QH_RESULT key_import_pkcs8(CK_KEY_TYPE type, struct bytes pkcs8, struct secret **ret_private,
                           struct key_public *ret_public);

/* Private components for C_GetAttributeValue on keys that are not sensitive: d, p, q, dp, dq, qinv
 * of RSA or the value (d) of EC. *ret_block backs the spans. */
QH_RESULT key_private_parts(CK_KEY_TYPE type, struct bytes material, struct key_rsa_parts *ret_rsa,
                            struct bytes *ret_ec_value, struct secret **ret_block);

/* First 3 bytes of SHA-1 of a secret's value, or of its encryption of zeroes for AES.
 * Errors: QH_EKEYTYPE, QH_EKEYSIZE, QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT key_check_value(CK_KEY_TYPE type, struct bytes material, uint8_t ret_value[3]);

#endif
