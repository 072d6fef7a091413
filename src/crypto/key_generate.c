/* Making keys. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/der.h"
#include "crypto/key_ops.h"
#include "crypto/library.h"
#include "crypto/material.h"

#define RSA_EXPONENT_MIN_BITS 17u /* 65,537 is the least odd number of so many bits */

static enum qh_err generate(const char *algorithm, OSSL_PARAM *params, EVP_PKEY **ret_pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(library_context(), algorithm, NULL);
    EVP_PKEY *pkey = NULL;
    enum qh_err err = QH_OK;

    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_params(ctx, params) != 1 || EVP_PKEY_generate(ctx, &pkey) != 1) {
        err = material_error(QH_ESYSTEM);
    } else {
        *ret_pkey = pkey;
    }
    EVP_PKEY_CTX_free(ctx);
    return err;
}

/* A number of @pkey, big-endian and as long as @size, at @room: OpenSSL writes it in the
 * machine's order. */
static enum qh_err get_number(EVP_PKEY *pkey, const char *name, uint8_t *room, size_t size)
{
    OSSL_PARAM params[2] = {OSSL_PARAM_construct_BN(name, room, size), OSSL_PARAM_construct_end()};

    if (EVP_PKEY_get_params(pkey, params) != 1) {
        return material_error(QH_ESYSTEM);
    }
    for (size_t i = 0; i < size / 2; i++) {
        uint8_t swapped = room[i];

        room[i] = room[size - 1 - i];
        room[size - 1 - i] = swapped;
    }
    return QH_OK;
}

static enum qh_err write_rsa(EVP_PKEY *pkey, struct secret **ret_private,
                             struct key_public *ret_public)
{
    static const char *const names[MATERIAL_RSA_PARTS] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    struct bytes list[MATERIAL_RSA_PARTS];
    struct material material = {.type = CKK_RSA};
    SECRET_SCOPED struct secret *room = NULL;
    enum qh_err err = secret_new(MATERIAL_RSA_PARTS * MATERIAL_RSA_SIZE_MAX, &room);

    for (size_t i = 0; err == QH_OK && i < MATERIAL_RSA_PARTS; i++) {
        uint8_t *number = secret_bytes(room) + i * MATERIAL_RSA_SIZE_MAX;

        err = get_number(pkey, names[i], number, MATERIAL_RSA_SIZE_MAX);
        list[i] = (struct bytes){number, MATERIAL_RSA_SIZE_MAX};
    }
    if (err != QH_OK) {
        return err;
    }
    material.rsa = material_unlist_rsa(list);
    return material_write_pair(&material, (struct bytes){NULL, 0}, ret_private, ret_public);
}

QH_RESULT key_generate_rsa(unsigned bits, struct bytes exponent, struct secret **ret_private,
                           struct key_public *ret_public)
{
    uint8_t reversed[MATERIAL_EXPONENT_SIZE_MAX];
    struct bytes e = der_trim(exponent);
    OSSL_PARAM params[3];
    EVP_PKEY *pkey;
    enum qh_err err;

    /* Of an odd number of bits OpenSSL makes a key with one less. */
    if (bits < KEY_RSA_BITS_MIN || bits > KEY_RSA_BITS_MAX || bits % 2 != 0) {
        return QH_EKEYSIZE;
    }
    if (material_bits(e) < RSA_EXPONENT_MIN_BITS || e.size > sizeof reversed ||
        (e.base[e.size - 1] & 1) == 0) {
        return QH_EATTRVALUE;
    }
    for (size_t i = 0; i < e.size; i++) {
        reversed[i] = e.base[e.size - 1 - i];
    }
    params[0] = OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_BITS, &bits);
    params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, reversed, e.size);
    params[2] = OSSL_PARAM_construct_end();
    err = generate("RSA", params, &pkey);
    if (err != QH_OK) {
        return err;
    }
    err = write_rsa(pkey, ret_private, ret_public);
    EVP_PKEY_free(pkey);
    return err;
}

static enum qh_err generate_raw(const struct curve *curve, uint8_t *ret_value,
                                uint8_t ret_point[CURVE_POINT_SIZE_MAX])
{
    if (RAND_priv_bytes_ex(library_context(), ret_value, curve->size, 0) != 1) {
        return material_error(QH_ESYSTEM);
    }
    return material_derive_point(curve, (struct bytes){ret_value, curve->size}, ret_point);
}

static enum qh_err generate_value(const struct curve *curve, uint8_t *ret_value,
                                  uint8_t ret_point[CURVE_POINT_SIZE_MAX])
{
    char group[16] = {0};
    OSSL_PARAM params[2];
    EVP_PKEY *pkey;
    size_t size = 0;
    enum qh_err err;

    memcpy(group, curve->name, strlen(curve->name));
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] = OSSL_PARAM_construct_end();
    err = generate("EC", params, &pkey);
    if (err != QH_OK) {
        return err;
    }
    err = get_number(pkey, OSSL_PKEY_PARAM_PRIV_KEY, ret_value, curve->size);
    if (err == QH_OK && (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, ret_point,
                                                         CURVE_POINT_SIZE_MAX, &size) != 1 ||
                         size != curve->point_size)) {
        err = material_error(QH_ESYSTEM);
    }
    EVP_PKEY_free(pkey);
    return err;
}

QH_RESULT key_generate_ec(CK_KEY_TYPE type, struct bytes ec_params, struct secret **ret_private,
                          struct key_public *ret_public)
{
    struct material material = {.type = type};
    SECRET_SCOPED struct secret *value = NULL;
    uint8_t point[CURVE_POINT_SIZE_MAX];
    enum qh_err err = curve_find(type, ec_params, &material.curve);

    if (err == QH_OK) {
        err = secret_new(material.curve->size, &value);
    }
    if (err == QH_OK) {
        err = type == CKK_EC ? generate_value(material.curve, secret_bytes(value), point)
                             : generate_raw(material.curve, secret_bytes(value), point);
    }
    if (err != QH_OK) {
        return err;
    }
    material.value = (struct bytes){secret_view(value), secret_size(value)};
    material.point = (struct bytes){point, material.curve->point_size};
    return material_write_pair(&material, ec_params, ret_private, ret_public);
}

QH_RESULT key_generate_secret(CK_KEY_TYPE type, size_t size, struct secret **ret_secret)
{
    struct secret *secret = NULL;
    enum qh_err err;

    if (!key_type_is_secret(type)) {
        return QH_EKEYTYPE;
    }
    if (size == 0 || size > KEY_SECRET_SIZE_MAX ||
        (type == CKK_AES && size != 16 && size != 24 && size != 32)) {
        return QH_EKEYSIZE;
    }
    err = secret_new(size, &secret);
    if (err != QH_OK) {
        return err;
    }
    if (RAND_priv_bytes_ex(library_context(), secret_bytes(secret), size, 0) != 1) {
        secret_free(secret);
        return material_error(QH_ESYSTEM);
    }
    *ret_secret = secret;
    return QH_OK;
}
