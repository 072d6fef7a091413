/* Opening and closing keys, and what they are. */
#include "crypto/key.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/assert.h"
#include "crypto/key_ops.h"
#include "crypto/material.h"

static enum qh_err open_secret(struct key *key, struct bytes material)
{
    size_t size = material.size;

    if (!key_type_is_secret(key->type)) {
        return QH_EKEYTYPE;
    }
    if (size == 0 || size > KEY_SECRET_SIZE_MAX ||
        (key->type == CKK_AES && size != 16 && size != 24 && size != 32)) {
        return QH_EKEYSIZE;
    }
    key->size = size;
    key->bits = (unsigned)(8 * size);
    return secret_from(material.base, size, &key->secret);
}

static enum qh_err check_numbers(const struct material *material, bool private)
{
    unsigned bits_min = private ? KEY_RSA_BITS_MIN : KEY_RSA_VERIFY_BITS_MIN;
    enum qh_err err = QH_OK;

    if (material->type == CKK_RSA) {
        err = material_check_rsa(&material->rsa, bits_min);
    } else if (private) {
        err = material_check_value(material->curve, material->value);
    }
    return err == QH_EATTRVALUE ? QH_EMALFORMED : err;
}

static enum qh_err open_pair(struct key *key, struct bytes bytes)
{
    bool private = key->object_class == CKO_PRIVATE_KEY;
    struct material material;
    enum qh_err err;

    if (key->type != CKK_RSA && !curve_is_type(key->type)) {
        return QH_EKEYTYPE;
    }
    err = private ? material_parse_private(key->type, bytes, &material)
                  : material_parse_public(key->type, bytes, &material);
    if (err == QH_OK) {
        err = check_numbers(&material, private);
    }
    if (err != QH_OK) {
        return err;
    }
    key->curve = material.curve;
    if (key->type == CKK_RSA) {
        key->bits = material_bits(material.rsa.n);
        key->size = (key->bits + 7) / 8;
    } else {
        key->bits = key->curve->bits;
        key->size = key->curve->size;
    }
    return material_load(&material, private, &key->pkey);
}

QH_RESULT key_open(CK_OBJECT_CLASS object_class, CK_KEY_TYPE type, struct bytes material,
                   struct key **ret_key)
{
    struct key *key = calloc(1, sizeof *key);
    enum qh_err err = QH_EKEYTYPE;

    if (key == NULL) {
        return QH_ENOMEM;
    }
    key->object_class = object_class;
    key->type = type;
    if (object_class == CKO_SECRET_KEY) {
        err = open_secret(key, material);
    } else if (object_class == CKO_PRIVATE_KEY || object_class == CKO_PUBLIC_KEY) {
        err = open_pair(key, material);
    }
    if (err != QH_OK) {
        key_free(key);
        return err;
    }
    *ret_key = key;
    return QH_OK;
}

void key_free(struct key *key)
{
    if (key == NULL) {
        return;
    }
    for (size_t i = 0; i < KEY_OPS_MAX; i++) {
        key_op_drop(&key->ops[i]);
    }
    for (size_t i = 0; i < KEY_HASHES_MAX; i++) {
        EVP_MD_free(key->hashes[i]);
    }
    EVP_MD_CTX_free(key->hash_ctx);
    EVP_PKEY_free(key->pkey);
    secret_free(key->secret);
    free(key);
}

CK_OBJECT_CLASS key_class(const struct key *key)
{
    QH_ASSERT(key != NULL);
    return key->object_class;
}

CK_KEY_TYPE key_type(const struct key *key)
{
    QH_ASSERT(key != NULL);
    return key->type;
}

unsigned key_bits(const struct key *key)
{
    QH_ASSERT(key != NULL);
    return key->bits;
}
