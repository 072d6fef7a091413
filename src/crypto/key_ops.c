/* The contexts that a key keeps. */
#include "crypto/key_ops.h"

#include "base/assert.h"
#include "crypto/library.h"
#include "crypto/material.h"

static const struct key_hash hashes[KEY_HASHES_MAX] = {
    {CKM_SHA_1, CKM_SHA_1_HMAC, CKK_SHA_1_HMAC, CKG_MGF1_SHA1, "SHA1", 20},
    {CKM_SHA224, CKM_SHA224_HMAC, CKK_SHA224_HMAC, CKG_MGF1_SHA224, "SHA2-224", 28},
    {CKM_SHA256, CKM_SHA256_HMAC, CKK_SHA256_HMAC, CKG_MGF1_SHA256, "SHA2-256", 32},
    {CKM_SHA384, CKM_SHA384_HMAC, CKK_SHA384_HMAC, CKG_MGF1_SHA384, "SHA2-384", 48},
    {CKM_SHA512, CKM_SHA512_HMAC, CKK_SHA512_HMAC, CKG_MGF1_SHA512, "SHA2-512", 64},
};

const struct key_hash *key_hash_find(CK_MECHANISM_TYPE type)
{
    for (size_t i = 0; i < KEY_HASHES_MAX; i++) {
        if (hashes[i].type == type) {
            return &hashes[i];
        }
    }
    return NULL;
}

const struct key_hash *key_hash_of_hmac(CK_MECHANISM_TYPE hmac)
{
    for (size_t i = 0; i < KEY_HASHES_MAX; i++) {
        if (hashes[i].hmac == hmac) {
            return &hashes[i];
        }
    }
    return NULL;
}

const struct key_hash *key_hash_of_mgf(CK_RSA_PKCS_MGF_TYPE mgf)
{
    for (size_t i = 0; i < KEY_HASHES_MAX; i++) {
        if (hashes[i].mgf == mgf) {
            return &hashes[i];
        }
    }
    return NULL;
}

bool key_type_is_secret(CK_KEY_TYPE type)
{
    for (size_t i = 0; i < KEY_HASHES_MAX; i++) {
        if (hashes[i].key_type == type) {
            return true;
        }
    }
    return type == CKK_AES || type == CKK_GENERIC_SECRET || type == CKK_HKDF;
}

QH_RESULT key_hash_data(struct key *key, const struct key_hash *hash, struct bytes data,
                        uint8_t ret_hash[MECH_DIGEST_SIZE_MAX])
{
    size_t index = (size_t)(hash - hashes);

    if (key->hash_ctx == NULL) {
        key->hash_ctx = EVP_MD_CTX_new();
    }
    if (key->hashes[index] == NULL) {
        key->hashes[index] = EVP_MD_fetch(library_context(), hash->name, NULL);
    }
    if (key->hash_ctx == NULL || key->hashes[index] == NULL ||
        EVP_DigestInit_ex2(key->hash_ctx, key->hashes[index], NULL) != 1 ||
        EVP_DigestUpdate(key->hash_ctx, data.base, data.size) != 1 ||
        EVP_DigestFinal_ex(key->hash_ctx, ret_hash, NULL) != 1) {
        return material_error(QH_ENOMEM);
    }
    return QH_OK;
}

static bool same_id(const struct key_op_id *left, const struct key_op_id *right)
{
    return left->use == right->use && left->type == right->type && left->hash == right->hash &&
           left->mgf == right->mgf && left->size == right->size;
}

struct key_op *key_op_find(struct key *key, const struct key_op_id *id)
{
    QH_ASSERT(id->use != KEY_UNUSED);
    for (size_t i = 0; i < KEY_OPS_MAX; i++) {
        if (same_id(&key->ops[i].id, id)) {
            return &key->ops[i];
        }
    }
    return NULL;
}

void key_op_drop(struct key_op *op)
{
    EVP_PKEY_CTX_free(op->pkey);
    EVP_MD_CTX_free(op->digest);
    EVP_CIPHER_CTX_free(op->cipher);
    EVP_MAC_CTX_free(op->mac);
    *op = (struct key_op){.id.use = KEY_UNUSED};
}

struct key_op *key_op_make(struct key *key, const struct key_op_id *id)
{
    struct key_op *op = &key->ops[key->oldest];

    key->oldest = (key->oldest + 1) % KEY_OPS_MAX;
    key_op_drop(op);
    op->id = *id;
    return op;
}
