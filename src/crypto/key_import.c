/* Keys from their numbers, as PKCS#11 templates have them, and back. */
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "crypto/der.h"
#include "crypto/key_ops.h"
#include "crypto/key_rsa.h"
#include "crypto/material.h"

QH_RESULT key_import_rsa_private(const struct key_rsa_parts *parts, struct secret **ret_private,
                                 struct key_public *ret_public)
{
    struct material material = {.type = CKK_RSA, .rsa = *parts};
    SECRET_SCOPED struct secret *room = NULL;
    struct bytes list[MATERIAL_RSA_PARTS];
    size_t missing = 0;
    enum qh_err err = material_check_rsa(parts, KEY_RSA_BITS_MIN);

    if (err != QH_OK) {
        return err;
    }
    material_list_rsa(parts, list);
    for (size_t i = 3; i < MATERIAL_RSA_PARTS; i++) {
        missing += list[i].size == 0;
    }
    if (parts->d.size == 0 || (missing != 0 && missing != MATERIAL_RSA_PARTS - 3)) {
        return QH_EATTRVALUE;
    }
    if (missing != 0) {
        err = secret_new(MATERIAL_RSA_PARTS * MATERIAL_RSA_SIZE_MAX, &room);
        if (err == QH_OK) {
            err = key_rsa_complete(&material.rsa, secret_bytes(room));
        }
    } else {
        err = key_rsa_check(parts);
    }
    if (err != QH_OK) {
        return err;
    }
    return material_write_pair(&material, (struct bytes){NULL, 0}, ret_private, ret_public);
}

QH_RESULT key_import_ec_private(CK_KEY_TYPE type, struct bytes ec_params, struct bytes value,
                                struct secret **ret_private, struct key_public *ret_public)
{
    struct material material = {.type = type, .value = value};
    uint8_t point[CURVE_POINT_SIZE_MAX];
    enum qh_err err = curve_find(type, ec_params, &material.curve);

    if (err == QH_OK) {
        err = material_check_value(material.curve, value);
    }
    if (err == QH_OK) {
        err = material_derive_point(material.curve, value, point);
    }
    if (err != QH_OK) {
        return err;
    }
    material.point = (struct bytes){point, material.curve->point_size};
    return material_write_pair(&material, ec_params, ret_private, ret_public);
}

QH_RESULT key_import_rsa_public(struct bytes n, struct bytes e, struct key_public *ret_public)
{
    struct material material = {.type = CKK_RSA, .rsa = {.n = n, .e = e}};
    enum qh_err err = material_check_rsa(&material.rsa, KEY_RSA_VERIFY_BITS_MIN);

    if (err != QH_OK) {
        return err;
    }
    return material_write_public(&material, (struct bytes){NULL, 0}, ret_public);
}

QH_RESULT key_import_ec_public(CK_KEY_TYPE type, struct bytes ec_params, struct bytes ec_point,
                               struct key_public *ret_public)
{
    struct material material = {.type = type};
    uint8_t point[CURVE_POINT_SIZE_MAX];
    struct bytes raw;
    enum qh_err err = curve_find(type, ec_params, &material.curve);

    if (err != QH_OK) {
        return err;
    }
    raw = material_unwrap_point(material.curve, ec_point);
    if (raw.size == 0) {
        return QH_EATTRVALUE;
    }
    err = material_check_point(material.curve, raw, point);
    if (err != QH_OK) {
        return err;
    }
    material.point = (struct bytes){point, material.curve->point_size};
    return material_write_public(&material, ec_params, ret_public);
}

QH_RESULT key_private_parts(CK_KEY_TYPE type, struct bytes material, struct key_rsa_parts *ret_rsa,
                            struct bytes *ret_ec_value, struct secret **ret_block)
{
    struct secret *block = NULL;
    struct material parsed;
    enum qh_err err;

    if (type != CKK_RSA && !curve_is_type(type)) {
        return QH_EKEYTYPE;
    }
    if (material.size == 0 || material.size > SECRET_SIZE_MAX) {
        return QH_EMALFORMED;
    }
    err = secret_from(material.base, material.size, &block);
    if (err != QH_OK) {
        return err;
    }
    err = material_parse_private(type, (struct bytes){secret_view(block), secret_size(block)},
                                 &parsed);
    if (err != QH_OK) {
        secret_free(block);
        return err;
    }
    *ret_rsa = parsed.rsa;
    *ret_ec_value = type == CKK_EC ? der_trim(parsed.value) : parsed.value;
    *ret_block = block;
    return QH_OK;
}

QH_RESULT key_check_value(CK_KEY_TYPE type, struct bytes material, uint8_t ret_value[3])
{
    const struct mech_params params = {.type = CKM_AES_ECB};
    static const uint8_t zeroes[16];
    uint8_t whole[MECH_DIGEST_SIZE_MAX] = {0};
    struct key *key;
    size_t size;
    enum qh_err err = key_open(CKO_SECRET_KEY, type, material, &key);

    if (err != QH_OK) {
        return err;
    }
    if (type == CKK_AES) {
        err = mech_encrypt(key, &params, (struct bytes){zeroes, sizeof zeroes}, whole, sizeof whole,
                           &size);
    } else {
        err = key_hash_data(key, key_hash_find(CKM_SHA_1), material, whole);
    }
    if (err == QH_OK) {
        memcpy(ret_value, whole, 3);
    }
    sodium_memzero(whole, sizeof whole); /* the rest of it would tell the secret apart */
    key_free(key);
    return err;
}
