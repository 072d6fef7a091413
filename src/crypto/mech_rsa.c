/* RSA: PKCS#1 v1.5, PSS, OAEP and raw.
 *
 * OpenSSL 3.0 has no implicit rejection (that is 3.2's), and its check of the v1.5 padding puts
 * an entry in the error queue only when it fails. So v1.5 decrypts without padding, which
 * mech_pkcs1.c takes off. What the result code of decrypting tells, PKCS#11 has to tell: prefer
 * OAEP. Unwrapping has implicit rejection. */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_family.h"
#include "crypto/mech_pkcs1.h"

#define PARAMS_MAX 6u
#define SUBSTITUTE_KEY_SIZE 64u /* bytes of SHA-512 */

/* A call as OpenSSL sees it: padding, hashes, and what stays the same between calls. */
struct plan {
    struct key_op_id id;
    const char *padding;
    const struct key_hash *hash, *mgf;
};

static bool is_pss(CK_MECHANISM_TYPE type)
{
    return type == CKM_RSA_PKCS_PSS || type == CKM_SHA1_RSA_PKCS_PSS ||
           type == CKM_SHA224_RSA_PKCS_PSS || type == CKM_SHA256_RSA_PKCS_PSS ||
           type == CKM_SHA384_RSA_PKCS_PSS || type == CKM_SHA512_RSA_PKCS_PSS;
}

/* The salt must fit into the encoding, which is a bit shorter than the modulus: RFC 8017, 9.1.1. */
static bool salt_fits(const struct key *key, const struct plan *plan)
{
    size_t encoded_size = (key->bits - 1 + 7) / 8;

    return plan->hash->size + 2 <= encoded_size &&
           plan->id.size <= encoded_size - plan->hash->size - 2;
}

static enum qh_err plan_hashes(const struct mech_call *call, struct plan *plan)
{
    const struct mech_params *params = call->params;

    if (mech_hashes_first(call->info) && params->hash != call->info->digest) {
        return QH_EPARAMETER;
    }
    plan->hash = key_hash_find(params->hash);
    plan->mgf = key_hash_of_mgf(params->mgf);
    if (plan->hash == NULL || plan->mgf == NULL) {
        return QH_EPARAMETER;
    }
    plan->id.hash = params->hash;
    plan->id.mgf = params->mgf;
    return QH_OK;
}

static enum qh_err plan_pss(const struct mech_call *call, struct plan *plan)
{
    enum qh_err err = plan_hashes(call, plan);

    plan->id.type = CKM_RSA_PKCS_PSS;
    plan->id.size = call->params->salt_size;
    plan->padding = OSSL_PKEY_RSA_PAD_MODE_PSS;
    return err == QH_OK && !salt_fits(call->key, plan) ? QH_EPARAMETER : err;
}

/* Labels change from call to call: contexts with and without one are kept apart, since OpenSSL
 * cannot take a label away again. */
static enum qh_err plan_oaep(const struct mech_call *call, struct plan *plan)
{
    plan->id.size = call->params->label.size > 0;
    plan->padding = OSSL_PKEY_RSA_PAD_MODE_OAEP;
    return call->params->label.size > MECH_LABEL_SIZE_MAX ? QH_EPARAMETER : plan_hashes(call, plan);
}

static enum qh_err plan_call(const struct mech_call *call, struct plan *ret_plan)
{
    CK_MECHANISM_TYPE type = call->info->type;

    *ret_plan = (struct plan){.id = {.use = call->use, .type = type}};
    if (type == CKM_RSA_PKCS_OAEP) {
        return plan_oaep(call, ret_plan);
    }
    if (type == CKM_RSA_X_509 || (type == CKM_RSA_PKCS && call->use == KEY_DECRYPT)) {
        ret_plan->id.type = CKM_RSA_X_509;
        ret_plan->padding = OSSL_PKEY_RSA_PAD_MODE_NONE;
        return QH_OK;
    }
    if (is_pss(type)) {
        return plan_pss(call, ret_plan);
    }
    ret_plan->id.type = CKM_RSA_PKCS;
    ret_plan->padding = OSSL_PKEY_RSA_PAD_MODE_PKCSV15;
    if (mech_hashes_first(call->info)) {
        ret_plan->id.hash = call->info->digest;
        ret_plan->hash = key_hash_find(call->info->digest);
    }
    return QH_OK;
}

static OSSL_PARAM text_param(const char *name, const char *text)
{
    /* OpenSSL reads it alone, but has no const here. */
    return OSSL_PARAM_construct_utf8_string(name, (char *)(uintptr_t)text, 0);
}

/* The names of parameters are the same for signatures and for encryption. */
static enum qh_err init_context(EVP_PKEY_CTX *ctx, const struct plan *plan)
{
    int salt_size = (int)plan->id.size;
    OSSL_PARAM params[PARAMS_MAX];
    size_t count = 0;
    int status = 0;

    if (plan->hash != NULL) {
        params[count++] = text_param(OSSL_SIGNATURE_PARAM_DIGEST, plan->hash->name);
    }
    params[count++] = text_param(OSSL_PKEY_PARAM_PAD_MODE, plan->padding);
    if (plan->mgf != NULL) {
        params[count++] = text_param(OSSL_PKEY_PARAM_MGF1_DIGEST, plan->mgf->name);
    }
    if (plan->id.type == CKM_RSA_PKCS_PSS) {
        params[count++] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, &salt_size);
    }
    params[count] = OSSL_PARAM_construct_end();
    switch (plan->id.use) {
    case KEY_SIGN:
        status = EVP_PKEY_sign_init_ex(ctx, params);
        break;
    case KEY_VERIFY:
        status = EVP_PKEY_verify_init_ex(ctx, params);
        break;
    case KEY_ENCRYPT:
        status = EVP_PKEY_encrypt_init_ex(ctx, params);
        break;
    case KEY_DECRYPT:
        status = EVP_PKEY_decrypt_init_ex(ctx, params);
        break;
    case KEY_DERIVE:
    case KEY_UNUSED:
        break;
    }
    return status == 1 ? QH_OK : material_error(QH_ESYSTEM);
}

static enum qh_err set_label(EVP_PKEY_CTX *ctx, struct bytes label)
{
    OSSL_PARAM params[2];

    params[0] = OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL,
                                                  (void *)(uintptr_t)label.base, label.size);
    params[1] = OSSL_PARAM_construct_end();
    return EVP_PKEY_CTX_set_params(ctx, params) == 1 ? QH_OK : material_error(QH_ESYSTEM);
}

static enum qh_err take_context(const struct mech_call *call, const struct plan *plan,
                                EVP_PKEY_CTX **ret_ctx)
{
    struct key_op *op = key_op_find(call->key, &plan->id);
    enum qh_err err = QH_OK;

    if (op == NULL) {
        op = key_op_make(call->key, &plan->id);
        op->pkey = EVP_PKEY_CTX_new_from_pkey(library_context(), call->key->pkey, NULL);
        err = op->pkey == NULL ? material_error(QH_ENOMEM) : init_context(op->pkey, plan);
    }
    if (err == QH_OK && plan->id.type == CKM_RSA_PKCS_OAEP && plan->id.size > 0) {
        err = set_label(op->pkey, call->params->label);
    }
    if (err != QH_OK) {
        key_op_drop(op);
        return err;
    }
    *ret_ctx = op->pkey;
    return QH_OK;
}

/* How much @plan can sign or encrypt, and what it makes of other sizes. */
static enum qh_err check_size(const struct mech_call *call, const struct plan *plan)
{
    size_t room = call->key->size, size = call->data.size;

    if (plan->id.type == CKM_RSA_PKCS_OAEP) {
        room = room >= 2 * plan->hash->size + 2 ? room - 2 * plan->hash->size - 2 : 0;
    } else if (plan->id.type == CKM_RSA_PKCS_PSS) {
        return size == plan->hash->size ? QH_OK : QH_EDATASIZE;
    } else if (plan->id.type == CKM_RSA_PKCS && plan->hash == NULL) {
        room -= MECH_PKCS1_OVERHEAD;
    }
    /* OpenSSL would sign nothing at all, but never verify it. */
    if (plan->id.type == CKM_RSA_PKCS && size == 0 && call->use != KEY_ENCRYPT) {
        return QH_EDATASIZE;
    }
    return size <= room ? QH_OK : QH_EDATASIZE;
}

/* Raw RSA takes a number as long as the modulus. */
static struct bytes pad_raw(const struct mech_call *call, const struct plan *plan,
                            uint8_t room[MATERIAL_RSA_SIZE_MAX])
{
    size_t size = call->key->size, gap = size - call->data.size;

    if (plan->id.type != CKM_RSA_X_509) {
        return call->data;
    }
    memset(room, 0, gap);
    if (call->data.size > 0) {
        memcpy(room + gap, call->data.base, call->data.size);
    }
    return (struct bytes){room, size};
}

/* Signing and encrypting: the result is as long as the modulus. */
static enum qh_err make_sized(const struct mech_call *call, uint8_t *out, size_t room,
                              size_t *ret_size)
{
    uint8_t padded[MATERIAL_RSA_SIZE_MAX];
    size_t size = call->key->size;
    struct plan plan;
    EVP_PKEY_CTX *ctx;
    struct bytes data;
    int status;
    enum qh_err err = plan_call(call, &plan);

    if (err == QH_OK) {
        err = check_size(call, &plan);
    }
    if (err == QH_OK && room < size) {
        err = QH_EROOM;
    }
    if (err == QH_OK) {
        err = take_context(call, &plan, &ctx);
    }
    if (err != QH_OK) {
        return err;
    }
    data = pad_raw(call, &plan, padded);
    status = call->use == KEY_SIGN ? EVP_PKEY_sign(ctx, out, &size, data.base, data.size)
                                   : EVP_PKEY_encrypt(ctx, out, &size, data.base, data.size);
    if (plan.id.type == CKM_RSA_X_509) {
        sodium_memzero(padded, sizeof padded);
    }
    if (status != 1) {
        /* Of raw RSA: the number is not below the modulus. */
        return material_error(plan.id.type == CKM_RSA_X_509 ? QH_EDATA : QH_ESYSTEM);
    }
    *ret_size = size;
    return QH_OK;
}

static enum qh_err decrypt(const struct mech_call *call, uint8_t *out, size_t room,
                           size_t *ret_size)
{
    uint8_t plain[MATERIAL_RSA_SIZE_MAX];
    size_t size = sizeof plain;
    struct plan plan;
    EVP_PKEY_CTX *ctx;
    enum qh_err err = plan_call(call, &plan);

    if (err == QH_OK && call->data.size != call->key->size) {
        err = QH_ECIPHERTEXTSIZE;
    }
    if (err == QH_OK) {
        err = take_context(call, &plan, &ctx);
    }
    if (err != QH_OK) {
        return err;
    }
    if (EVP_PKEY_decrypt(ctx, plain, &size, call->data.base, call->data.size) != 1) {
        err = material_error(QH_ECIPHERTEXT);
    } else if (call->info->type == CKM_RSA_PKCS) {
        err = mech_pkcs1_unpad(plain, (uint32_t)size, out, room, ret_size);
    } else if (size > room) {
        err = QH_EROOM;
    } else {
        memcpy(out, plain, size);
        *ret_size = size;
    }
    sodium_memzero(plain, sizeof plain);
    return err;
}

/* What stands for a message whose padding is wrong: HMAC-SHA-512 of the ciphertext and a count,
 * with a key that only the private key gives. */
static enum qh_err open_substitute(const struct mech_call *call, struct key_op *op)
{
    OSSL_PARAM params[2] = {text_param(OSSL_MAC_PARAM_DIGEST, key_hash_find(CKM_SHA512)->name),
                            OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(library_context(), "HMAC", NULL);
    SECRET_SCOPED struct secret *room = NULL;
    BIGNUM *number = BN_secure_new();
    enum qh_err err = secret_new(MATERIAL_RSA_SIZE_MAX + SUBSTITUTE_KEY_SIZE, &room);
    uint8_t *digest;

    op->mac = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    if (err != QH_OK || op->mac == NULL || number == NULL) {
        err = err != QH_OK ? err : material_error(QH_ENOMEM);
        goto out;
    }
    digest = secret_bytes(room) + MATERIAL_RSA_SIZE_MAX;
    if (EVP_PKEY_get_bn_param(call->key->pkey, OSSL_PKEY_PARAM_RSA_D, &number) != 1 ||
        BN_bn2binpad(number, secret_bytes(room), MATERIAL_RSA_SIZE_MAX) < 0) {
        err = material_error(QH_ESYSTEM);
        goto out;
    }
    err = key_hash_data(call->key, key_hash_find(CKM_SHA512),
                        (struct bytes){secret_view(room), MATERIAL_RSA_SIZE_MAX}, digest);
    if (err == QH_OK && EVP_MAC_init(op->mac, digest, SUBSTITUTE_KEY_SIZE, params) != 1) {
        err = material_error(QH_ESYSTEM);
    }
out:
    BN_clear_free(number);
    EVP_MAC_free(mac);
    return err;
}

static enum qh_err fill_substitute(EVP_MAC_CTX *mac, struct bytes data, uint8_t *out, size_t size)
{
    uint8_t block[SUBSTITUTE_KEY_SIZE];
    enum qh_err err = QH_OK;

    for (size_t at = 0; err == QH_OK && at < size; at += sizeof block) {
        uint8_t count = (uint8_t)(at / sizeof block);
        size_t left = size - at, got;

        if (EVP_MAC_init(mac, NULL, 0, NULL) != 1 || EVP_MAC_update(mac, &count, 1) != 1 ||
            EVP_MAC_update(mac, data.base, data.size) != 1 ||
            EVP_MAC_final(mac, block, &got, sizeof block) != 1) {
            err = material_error(QH_ESYSTEM);
        } else {
            memcpy(out + at, block, left < sizeof block ? left : sizeof block);
        }
    }
    sodium_memzero(block, sizeof block);
    return err;
}

/* Once per key; beside the context that decrypts, so that one cannot drive the other out. */
static enum qh_err take_substitute(const struct mech_call *call, const struct plan *plan,
                                   EVP_MAC_CTX **ret_mac)
{
    struct key_op *op = key_op_find(call->key, &plan->id);
    enum qh_err err;

    QH_ASSERT(op != NULL);
    if (op->mac == NULL) {
        err = open_substitute(call, op);
        if (err != QH_OK) {
            key_op_drop(op);
            return err;
        }
    }
    *ret_mac = op->mac;
    return QH_OK;
}

/* @room: what was encoded, the message, what stands for it and 4 bytes that choose its size; each
 * of a modulus' size. Evenly among all sizes, without a division. */
static enum qh_err unpad_or(const struct mech_call *call, EVP_MAC_CTX *mac, uint8_t *room,
                            size_t *ret_size)
{
    uint32_t size = (uint32_t)call->key->size, message_max = size - MECH_PKCS1_OVERHEAD;
    uint8_t *message = room + size, *substitute = message + size,
            *choice = substitute + message_max;
    uint32_t number;
    enum qh_err err = fill_substitute(mac, call->data, substitute, message_max + sizeof number);

    if (err != QH_OK) {
        return err;
    }
    memcpy(&number, choice, sizeof number);
    number = 1 + (uint32_t)(((uint64_t)number * message_max) >> 32);
    *ret_size = mech_pkcs1_unpad_or(room, size, substitute, number, message);
    return QH_OK;
}

enum qh_err mech_rsa_decrypt_or(const struct mech_call *call, struct secret **ret_message)
{
    SECRET_SCOPED struct secret *room = NULL;
    size_t size = call->key->size, message_size;
    struct plan plan;
    EVP_PKEY_CTX *ctx;
    EVP_MAC_CTX *mac;
    enum qh_err err = plan_call(call, &plan);

    if (err == QH_OK && call->key->bits < KEY_RSA_BITS_MIN) {
        err = QH_EKEYSIZE;
    }
    if (err == QH_OK && call->data.size != size) {
        err = QH_ECIPHERTEXTSIZE;
    }
    if (err == QH_OK) {
        err = secret_new(3 * size, &room);
    }
    if (err == QH_OK) {
        err = take_context(call, &plan, &ctx);
    }
    if (err == QH_OK) {
        err = take_substitute(call, &plan, &mac);
    }
    if (err != QH_OK) {
        return err;
    }
    if (EVP_PKEY_decrypt(ctx, secret_bytes(room), &size, call->data.base, call->data.size) != 1) {
        return material_error(QH_ECIPHERTEXT);
    }
    err = unpad_or(call, mac, secret_bytes(room), &message_size);
    if (err != QH_OK) {
        return err;
    }
    return secret_from(secret_view(room) + size, message_size, ret_message);
}

static enum qh_err make(const struct mech_call *call, uint8_t *out, size_t room, size_t *ret_size)
{
    /* Keys that are good enough to verify old signatures are not to protect anything new. */
    if (call->use != KEY_VERIFY && call->key->bits < KEY_RSA_BITS_MIN) {
        return QH_EKEYSIZE;
    }
    if (call->use == KEY_DECRYPT) {
        return decrypt(call, out, room, ret_size);
    }
    return make_sized(call, out, room, ret_size);
}

static enum qh_err verify(const struct mech_call *call, struct bytes signature)
{
    uint8_t padded[MATERIAL_RSA_SIZE_MAX];
    struct plan plan;
    EVP_PKEY_CTX *ctx;
    struct bytes data;
    enum qh_err err = plan_call(call, &plan);

    if (err == QH_OK) {
        err = check_size(call, &plan);
    }
    if (err == QH_OK && signature.size != call->key->size) {
        err = QH_ESIGNATURESIZE;
    }
    if (err == QH_OK) {
        err = take_context(call, &plan, &ctx);
    }
    if (err != QH_OK) {
        return err;
    }
    data = pad_raw(call, &plan, padded);
    if (EVP_PKEY_verify(ctx, signature.base, signature.size, data.base, data.size) != 1) {
        return material_error(QH_ESIGNATURE);
    }
    return QH_OK;
}

static size_t output_size(const struct key *key, const struct mech_params *params, size_t data_size)
{
    (void)params;
    (void)data_size;
    return key->size;
}

const struct mech_family mech_rsa = {
    .output_size = output_size,
    .make = make,
    .verify = verify,
};
