/* Numbers to OpenSSL's keys, and the arithmetic of points. */
#include "crypto/material.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <string.h>

#include "crypto/der.h"
#include "crypto/library.h"

static const char *const rsa_names[MATERIAL_RSA_PARTS] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* OpenSSL takes numbers in the machine's order: @number reversed, to @room. */
static OSSL_PARAM number_param(const char *name, struct bytes number, uint8_t *room)
{
    for (size_t i = 0; i < number.size; i++) {
        room[i] = number.base[number.size - 1 - i];
    }
    return OSSL_PARAM_construct_BN(name, room, number.size);
}

static enum qh_err load_params(const char *algorithm, bool private, OSSL_PARAM *params,
                               EVP_PKEY **ret_pkey)
{
    int selection = private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(library_context(), algorithm, NULL);
    EVP_PKEY *pkey = NULL;
    enum qh_err err = QH_OK;

    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) <= 0) {
        err = material_error(QH_ESYSTEM);
    } else if (EVP_PKEY_fromdata(ctx, &pkey, selection, params) <= 0) {
        /* Of some allocations that fail OpenSSL says nothing; of wrong numbers it does. */
        err = material_error(ERR_peek_error() == 0 ? QH_ENOMEM : QH_EMALFORMED);
    } else {
        *ret_pkey = pkey;
    }
    EVP_PKEY_CTX_free(ctx);
    return err;
}

/* @room has MATERIAL_RSA_SIZE_MAX bytes for each number. */
static enum qh_err load_numbers(const struct material *material, bool private, uint8_t *room,
                                EVP_PKEY **ret_pkey)
{
    size_t count = private ? MATERIAL_RSA_PARTS : 2;
    struct bytes list[MATERIAL_RSA_PARTS];
    OSSL_PARAM params[MATERIAL_RSA_PARTS + 1];

    material_list_rsa(&material->rsa, list);
    for (size_t i = 0; i < count; i++) {
        list[i] = der_trim(list[i]);
        if (list[i].size == 0 || list[i].size > MATERIAL_RSA_SIZE_MAX) {
            return QH_EMALFORMED;
        }
        params[i] = number_param(rsa_names[i], list[i], room);
        room += list[i].size;
    }
    params[count] = OSSL_PARAM_construct_end();
    return load_params("RSA", private, params, ret_pkey);
}

static enum qh_err load_rsa(const struct material *material, bool private, EVP_PKEY **ret_pkey)
{
    uint8_t public_room[2 * MATERIAL_RSA_SIZE_MAX];
    SECRET_SCOPED struct secret *room = NULL;
    enum qh_err err;

    /* Guarding memory takes longer than all else here. */
    if (!private) {
        return load_numbers(material, false, public_room, ret_pkey);
    }
    err = secret_new(MATERIAL_RSA_PARTS * MATERIAL_RSA_SIZE_MAX, &room);
    if (err != QH_OK) {
        return err;
    }
    return load_numbers(material, true, secret_bytes(room), ret_pkey);
}

static enum qh_err load_ec(const struct material *material, bool private, EVP_PKEY **ret_pkey)
{
    uint8_t point[CURVE_POINT_SIZE_MAX];
    char group[16] = {0};
    SECRET_SCOPED struct secret *room = NULL;
    OSSL_PARAM params[4];
    size_t count = 0;
    enum qh_err err;

    if (material->point.size > 0) {
        memcpy(point, material->point.base, material->point.size);
    } else {
        err = material_derive_point(material->curve, material->value, point);
        if (err != QH_OK) {
            return err == QH_EATTRVALUE ? QH_EMALFORMED : err;
        }
    }
    memcpy(group, material->curve->name, strlen(material->curve->name));
    params[count++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[count++] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
                                                        material->curve->point_size);
    if (private) {
        err = secret_new(CURVE_FIELD_SIZE_MAX, &room);
        if (err != QH_OK) {
            return err;
        }
        params[count++] =
            number_param(OSSL_PKEY_PARAM_PRIV_KEY, material->value, secret_bytes(room));
    }
    params[count] = OSSL_PARAM_construct_end();
    return load_params("EC", private, params, ret_pkey);
}

static enum qh_err load_raw(const struct material *material, bool private, EVP_PKEY **ret_pkey)
{
    const char *name = material->curve->name;
    EVP_PKEY *pkey;

    if (private) {
        pkey = EVP_PKEY_new_raw_private_key_ex(library_context(), name, NULL, material->value.base,
                                               material->value.size);
    } else {
        pkey = EVP_PKEY_new_raw_public_key_ex(library_context(), name, NULL, material->point.base,
                                              material->point.size);
    }
    if (pkey == NULL) {
        return material_error(QH_ENOMEM); /* any bytes of this size are a key */
    }
    *ret_pkey = pkey;
    return QH_OK;
}

QH_RESULT material_load(const struct material *material, bool private, EVP_PKEY **ret_pkey)
{
    if (material->type == CKK_RSA) {
        return load_rsa(material, private, ret_pkey);
    }
    if (material->type == CKK_EC) {
        return load_ec(material, private, ret_pkey);
    }
    return load_raw(material, private, ret_pkey);
}

/* *ret_number: BN_clear_free(). On OpenSSL's secure heap, if the program has made one. */
static enum qh_err read_value(const EC_GROUP *group, struct bytes value, BIGNUM **ret_number)
{
    BIGNUM *number = BN_secure_new();
    enum qh_err err = QH_ENOMEM;

    if (number == NULL || BN_bin2bn(value.base, (int)value.size, number) == NULL) {
        goto out;
    }
    BN_set_flags(number, BN_FLG_CONSTTIME);
    err = QH_EATTRVALUE;
    if (BN_is_zero(number) || BN_cmp(number, EC_GROUP_get0_order(group)) >= 0) {
        goto out;
    }
    *ret_number = number;
    return QH_OK;
out:
    BN_clear_free(number);
    return material_error(err);
}

QH_RESULT material_check_value(const struct curve *curve, struct bytes value)
{
    BIGNUM *number = NULL;
    EC_GROUP *group;
    enum qh_err err;

    if (curve->type != CKK_EC) {
        return value.size == curve->size ? QH_OK : QH_EATTRVALUE;
    }
    value = der_trim(value);
    if (value.size == 0 || value.size > curve->size) {
        return QH_EATTRVALUE;
    }
    group = EC_GROUP_new_by_curve_name_ex(library_context(), NULL, curve->nid);
    if (group == NULL) {
        return material_error(QH_ESYSTEM);
    }
    err = read_value(group, value, &number);
    BN_clear_free(number);
    EC_GROUP_free(group);
    return err;
}

static enum qh_err derive_raw(const struct curve *curve, struct bytes value,
                              uint8_t ret_point[CURVE_POINT_SIZE_MAX])
{
    struct material material = {.type = curve->type, .curve = curve, .value = value};
    uint8_t point[CURVE_POINT_SIZE_MAX];
    size_t size = sizeof point;
    EVP_PKEY *pkey;
    enum qh_err err = load_raw(&material, true, &pkey);

    if (err != QH_OK) {
        return err;
    }
    if (EVP_PKEY_get_raw_public_key(pkey, point, &size) <= 0 || size != curve->point_size) {
        err = material_error(QH_ESYSTEM);
    } else {
        memcpy(ret_point, point, size);
    }
    EVP_PKEY_free(pkey);
    return err;
}

QH_RESULT material_derive_point(const struct curve *curve, struct bytes value,
                                uint8_t ret_point[CURVE_POINT_SIZE_MAX])
{
    EC_GROUP *group = NULL;
    EC_POINT *point = NULL;
    BIGNUM *number = NULL;
    enum qh_err err = QH_ENOMEM;

    if (curve->type != CKK_EC) {
        return derive_raw(curve, value, ret_point);
    }
    group = EC_GROUP_new_by_curve_name_ex(library_context(), NULL, curve->nid);
    point = group == NULL ? NULL : EC_POINT_new(group);
    if (point == NULL) {
        goto out;
    }
    err = read_value(group, value, &number);
    if (err != QH_OK) {
        goto out;
    }
    if (EC_POINT_mul(group, point, number, NULL, NULL, NULL) != 1 ||
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, ret_point,
                           curve->point_size, NULL) != curve->point_size) {
        err = material_error(QH_ESYSTEM);
    }
out:
    BN_clear_free(number);
    EC_POINT_clear_free(point);
    EC_GROUP_free(group);
    return err;
}

QH_RESULT material_check_point(const struct curve *curve, struct bytes point,
                               uint8_t ret_point[CURVE_POINT_SIZE_MAX])
{
    EC_GROUP *group = NULL;
    EC_POINT *parsed = NULL;
    enum qh_err err = QH_ENOMEM;

    if (curve->type != CKK_EC) {
        if (point.size != curve->point_size) {
            return QH_EATTRVALUE;
        }
        memcpy(ret_point, point.base, point.size);
        return QH_OK;
    }
    group = EC_GROUP_new_by_curve_name_ex(library_context(), NULL, curve->nid);
    parsed = group == NULL ? NULL : EC_POINT_new(group);
    if (parsed == NULL) {
        goto out;
    }
    err = QH_OK;
    if (EC_POINT_oct2point(group, parsed, point.base, point.size, NULL) != 1 ||
        EC_POINT_is_at_infinity(group, parsed) != 0 ||
        EC_POINT_point2oct(group, parsed, POINT_CONVERSION_UNCOMPRESSED, ret_point,
                           curve->point_size, NULL) != curve->point_size) {
        err = material_error(QH_EATTRVALUE);
    }
out:
    EC_POINT_free(parsed);
    EC_GROUP_free(group);
    return err;
}
