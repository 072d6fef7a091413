/* Digests in parts. */
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/assert.h"
#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_family.h"

struct mech_digest {
    EVP_MD_CTX *ctx;
    size_t size; /* bytes of the result */
};

size_t mech_digest_size(CK_MECHANISM_TYPE type)
{
    const struct key_hash *hash = key_hash_find(type);

    return hash == NULL ? 0 : hash->size;
}

bool mech_is_mgf(CK_RSA_PKCS_MGF_TYPE type)
{
    return key_hash_of_mgf(type) != NULL;
}

/* NULL: no memory. */
static struct mech_digest *new_empty(size_t size)
{
    struct mech_digest *digest = calloc(1, sizeof *digest);

    if (digest == NULL) {
        return NULL;
    }
    digest->size = size;
    digest->ctx = EVP_MD_CTX_new();
    if (digest->ctx == NULL) {
        free(digest);
        return NULL;
    }
    return digest;
}

QH_RESULT mech_digest_new(CK_MECHANISM_TYPE type, struct mech_digest **ret_digest)
{
    const struct key_hash *hash = key_hash_find(type);
    struct mech_digest *digest;
    EVP_MD *algorithm;
    enum qh_err err = QH_OK;

    if (hash == NULL) {
        return QH_EMECHANISM;
    }
    digest = new_empty(hash->size);
    if (digest == NULL) {
        return material_error(QH_ENOMEM);
    }
    algorithm = EVP_MD_fetch(library_context(), hash->name, NULL);
    if (algorithm == NULL || EVP_DigestInit_ex2(digest->ctx, algorithm, NULL) != 1) {
        err = material_error(QH_ESYSTEM);
    }
    EVP_MD_free(algorithm); /* the context holds it */
    if (err != QH_OK) {
        mech_digest_free(digest);
        return err;
    }
    *ret_digest = digest;
    return QH_OK;
}

QH_RESULT mech_digest_update(struct mech_digest *digest, struct bytes data)
{
    QH_ASSERT(digest != NULL);
    return EVP_DigestUpdate(digest->ctx, data.base, data.size) == 1 ? QH_OK
                                                                    : material_error(QH_ESYSTEM);
}

QH_RESULT mech_digest_final(struct mech_digest *digest, uint8_t ret_hash[MECH_DIGEST_SIZE_MAX],
                            size_t *ret_size)
{
    QH_ASSERT(digest != NULL);
    if (EVP_DigestFinal_ex(digest->ctx, ret_hash, NULL) != 1) {
        return material_error(QH_ESYSTEM);
    }
    *ret_size = digest->size;
    return QH_OK;
}

QH_RESULT mech_digest_copy(const struct mech_digest *digest, struct mech_digest **ret_copy)
{
    struct mech_digest *copy;

    QH_ASSERT(digest != NULL);
    copy = new_empty(digest->size);
    if (copy == NULL) {
        return material_error(QH_ENOMEM);
    }
    if (EVP_MD_CTX_copy_ex(copy->ctx, digest->ctx) != 1) {
        mech_digest_free(copy);
        return material_error(QH_ENOMEM);
    }
    *ret_copy = copy;
    return QH_OK;
}

void mech_digest_free(struct mech_digest *digest)
{
    if (digest == NULL) {
        return;
    }
    EVP_MD_CTX_free(digest->ctx); /* wipes */
    free(digest);
}
