/* What is inside a key: OpenSSL's key and the contexts that operations keep between calls.
 * Included by key*.c and mech*.c alone. */
#ifndef QH_CRYPTO_KEY_OPS_H
#define QH_CRYPTO_KEY_OPS_H

#include <openssl/evp.h>

#include "crypto/curve.h"
#include "crypto/key.h"
#include "crypto/mech.h"

#define KEY_OPS_MAX 8u    /* contexts kept; the oldest goes first */
#define KEY_HASHES_MAX 5u /* SHA-1, SHA-224 ... SHA-512 */

enum key_use { KEY_UNUSED, KEY_SIGN, KEY_VERIFY, KEY_ENCRYPT, KEY_DECRYPT, KEY_DERIVE };

/* One context is made for each of these; all else changes from call to call. */
struct key_op_id {
    enum key_use use;
    CK_MECHANISM_TYPE type; /* the mechanism without its hash: CKM_RSA_PKCS, ... */
    CK_MECHANISM_TYPE hash;
    CK_RSA_PKCS_MGF_TYPE mgf;
    size_t size; /* of the salt or the IV */
};

/* The one context that the mechanism needs; the others are NULL. */
struct key_op {
    struct key_op_id id;
    EVP_PKEY_CTX *pkey;
    EVP_MD_CTX *digest; /* EdDSA */
    EVP_CIPHER_CTX *cipher;
    EVP_MAC_CTX *mac;
};

struct key {
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE type;
    unsigned bits;
    size_t size;               /* bytes of the modulus, of a value on the curve, of the secret */
    const struct curve *curve; /* or NULL */
    EVP_PKEY *pkey;            /* or NULL */
    struct secret *secret;     /* of secret keys */
    struct key_op ops[KEY_OPS_MAX];
    unsigned oldest; /* index in @ops */
    EVP_MD *hashes[KEY_HASHES_MAX];
    EVP_MD_CTX *hash_ctx;
};

/* The context kept for @id, or NULL. */
struct key_op *key_op_find(struct key *key, const struct key_op_id *id);
/* An empty place for the context of @id; the oldest is freed for it. Never NULL. */
struct key_op *key_op_make(struct key *key, const struct key_op_id *id);
/* After an error: what state the context is in is not known. */
void key_op_drop(struct key_op *op);

/* A hash that PKCS#11 names in five ways. */
struct key_hash {
    CK_MECHANISM_TYPE type; /* CKM_SHA256 */
    CK_MECHANISM_TYPE hmac; /* CKM_SHA256_HMAC */
    CK_KEY_TYPE key_type;   /* CKK_SHA256_HMAC */
    CK_RSA_PKCS_MGF_TYPE mgf;
    const char *name; /* OpenSSL's */
    size_t size;      /* bytes of a hash */
};
/* NULL if there is none. */
const struct key_hash *key_hash_find(CK_MECHANISM_TYPE type);
const struct key_hash *key_hash_of_hmac(CK_MECHANISM_TYPE hmac);
const struct key_hash *key_hash_of_mgf(CK_RSA_PKCS_MGF_TYPE mgf);
bool key_type_is_secret(CK_KEY_TYPE type);

/* Hash with the key's own context; the algorithm is fetched once. Errors: QH_ENOMEM. */
QH_RESULT key_hash_data(struct key *key, const struct key_hash *hash, struct bytes data,
                        uint8_t ret_hash[MECH_DIGEST_SIZE_MAX]);

#endif
