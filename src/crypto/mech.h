/* Mechanisms: one complete operation each, on a struct key. */
#ifndef QH_CRYPTO_MECH_H
#define QH_CRYPTO_MECH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key.h"

#define MECH_LABEL_SIZE_MAX 4096u       /* bytes of OAEP's label */
#define MECH_IV_SIZE_MAX 128u           /* bytes of GCM's; OpenSSL takes no longer ones */
#define MECH_CIPHER_SIZE_MAX (2u << 20) /* bytes to encrypt or decrypt with AES, in and AAD */
#define MECH_WRAP_SIZE_MAX 32768u       /* bytes of a key to wrap; AES key wrap of data too */
#define MECH_DERIVE_DATA_SIZE_MAX 4096u /* bytes of shared data, salt, info */

struct mech_params {
    CK_MECHANISM_TYPE type;
    CK_MECHANISM_TYPE hash; /* PSS, OAEP */
    CK_RSA_PKCS_MGF_TYPE mgf;
    uint32_t salt_size;
    struct bytes iv, aad, label;
    uint32_t tag_bits;
    uint32_t counter_bits; /* CTR; 0: 128 */
    uint32_t key_bits;     /* RSA_AES_KEY_WRAP */
    CK_EC_KDF_TYPE kdf;    /* ECDH */
    struct bytes public_data, shared_data;
    bool extract, expand; /* HKDF */
    struct bytes salt, info;
};

/* How long it takes decides where it runs. */
enum mech_cost {
    MECH_CHEAP, /* inline */
    MECH_HEAVY, /* RSA private keys: a worker */
    MECH_SLOW   /* RSA key generation: a worker of its own */
};

struct mech_info {
    CK_MECHANISM_TYPE type;
    CK_KEY_TYPE key_type;      /* CK_UNAVAILABLE_INFORMATION for digests */
    CK_ULONG key_min, key_max; /* bits for RSA and EC, bytes for AES; as in CK_MECHANISM_INFO */
    CK_FLAGS flags;            /* CKF_SIGN | CKF_VERIFY ...; CKF_EC_* for EC */
    CK_MECHANISM_TYPE digest;  /* of mechanisms that hash first; CK_UNAVAILABLE_INFORMATION */
    enum mech_cost cost;       /* with the private or secret key */
};

/* All mechanisms, sorted by type. */
const struct mech_info *mech_table(unsigned *ret_count);
const struct mech_info *mech_find(CK_MECHANISM_TYPE type); /* NULL if unknown */
/* Keys of other types than info->key_type: HMAC takes those for this one hash, ECDH Montgomery
 * curves, HKDF keys of its own type. */
bool mech_takes(const struct mech_info *info, CK_KEY_TYPE type);

/* Largest output of signing with @key; 0 if it cannot sign. */
size_t mech_signature_size(const struct key *key, const struct mech_params *params);
/* A bound for the output of encrypting or decrypting @data_size bytes. */
size_t mech_output_size(const struct key *key, const struct mech_params *params, size_t data_size);

/* Errors of all: QH_EMECHANISM, QH_EPARAMETER, QH_EKEYTYPE, QH_EKEYSIZE, QH_EROOM (nothing was
 * written), QH_ENOMEM, QH_ESYSTEM, and those named. Signatures are as PKCS#11 has them: ECDSA r||s.
 * A hash given to CKM_ECDSA that is longer than the order is truncated from the right.
 *
 * sign: QH_EDATA, QH_EDATASIZE. verify: QH_ESIGNATURE, QH_ESIGNATURESIZE, QH_EDATASIZE.
 * encrypt: QH_EDATASIZE, QH_EDATA (raw RSA). decrypt: QH_ECIPHERTEXT, QH_ECIPHERTEXTSIZE; RSA
 * PKCS#1 v1.5 padding that is wrong takes the same time as right padding. GCM gives ciphertext ||
 * tag. CTR: QH_EDATASIZE, both ways, if the last counter_bits of the block would overflow. */
QH_RESULT mech_sign(struct key *key, const struct mech_params *params, struct bytes data,
                    uint8_t *out, size_t room, size_t *ret_size);
QH_RESULT mech_verify(struct key *key, const struct mech_params *params, struct bytes data,
                      struct bytes signature);
QH_RESULT mech_encrypt(struct key *key, const struct mech_params *params, struct bytes data,
                       uint8_t *out, size_t room, size_t *ret_size);
QH_RESULT mech_decrypt(struct key *key, const struct mech_params *params, struct bytes data,
                       uint8_t *out, size_t room, size_t *ret_size);

/* ---- keys under keys ---- */

/* Wrapping: @plain is a key's material (key.h): a secret key's bytes, or PKCS#8 DER of a private
 * key. Which mechanism can wrap which, by size and shape, is checked here; who may, is not. A
 * public RSA key wraps. CKM_AES_CBC takes whole blocks: PKCS#11 would pad with zeroes that nobody
 * can tell from the key. CKM_AES_KEY_WRAP_PAD is RFC 5649, as CKM_AES_KEY_WRAP_KWP. Errors:
 * QH_EKEYSIZE if @plain is too large, too small or no multiple of what the mechanism takes (or the
 * RSA key too small), QH_EROOM. */
QH_RESULT mech_wrap(struct key *key, const struct mech_params *params, struct bytes plain,
                    uint8_t *out, size_t room, size_t *ret_size);
/* Exact, for what mech_wrap() takes. 0 if it cannot wrap. */
size_t mech_wrapped_size(const struct key *key, const struct mech_params *params,
                         size_t plain_size);
/* The bytes, not looked into, at least one. Padding of RSA PKCS#1 v1.5 that is wrong takes the same
 * time as right padding and is no error: out come bytes that depend on the key and @wrapped, as
 * OpenSSL 3.2 does it, since an error would decrypt everything for who may only unwrap. The caller
 * must treat them as any other key: check the size against the template, then make the object.
 * Wrong padding of CKM_AES_CBC_PAD is an error, which tells as much; prefer KWP or GCM.
 * Errors: QH_EWRAPPED, QH_EWRAPPEDSIZE. Owns: secret_free(*ret_plain). */
QH_RESULT mech_unwrap(struct key *key, const struct mech_params *params, struct bytes wrapped,
                      struct secret **ret_plain);
/* ECDH, HKDF: @size bytes, or with 0 all there are (ECDH without a KDF: the shared secret; HKDF:
 * one hash). Of ECDH without a KDF and a smaller @size, the leading bytes go (PKCS#11: "taken from
 * the trailing end"); of HKDF without expansion, the trailing ones. The public point comes raw,
 * compressed, or in an OCTET STRING or BIT STRING. Errors: QH_EKEYSIZE (too much, or 0 with a KDF),
 * QH_EPARAMETER (a point that is not on the curve too, or of small order).
 * Owns: secret_free(*ret_value). */
QH_RESULT mech_derive(struct key *key, const struct mech_params *params, size_t size,
                      struct secret **ret_value);

/* Digests in parts, for the module. @type CKM_SHA_1, CKM_SHA224 ... CKM_SHA512. */
#define MECH_DIGEST_SIZE_MAX 64u
struct mech_digest;
QH_RESULT mech_digest_new(CK_MECHANISM_TYPE type, struct mech_digest **ret_digest);
QH_RESULT mech_digest_update(struct mech_digest *digest, struct bytes data);
QH_RESULT mech_digest_final(struct mech_digest *digest, uint8_t ret_hash[MECH_DIGEST_SIZE_MAX],
                            size_t *ret_size);
QH_RESULT mech_digest_copy(const struct mech_digest *digest, struct mech_digest **ret_copy);
void mech_digest_free(struct mech_digest *digest);
size_t mech_digest_size(CK_MECHANISM_TYPE type); /* 0: no digest */
bool mech_is_mgf(CK_RSA_PKCS_MGF_TYPE type);     /* one of PSS and OAEP here */

#endif
