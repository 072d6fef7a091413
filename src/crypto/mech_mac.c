/* HMAC and AES-CMAC. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_family.h"

#define CMAC_SIZE 16u

static size_t mac_size(CK_MECHANISM_TYPE type)
{
    const struct key_hash *hash = key_hash_of_hmac(type);

    return hash == NULL ? CMAC_SIZE : hash->size;
}

/* The algorithm under the MAC. */
static OSSL_PARAM base_param(const struct mech_call *call)
{
    static const char *const ciphers[] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"};
    const struct key_hash *hash = key_hash_of_hmac(call->info->type);
    const char *name = hash != NULL ? hash->name : ciphers[call->key->size / 8 - 2];

    /* OpenSSL reads the name alone, but has no const here. */
    return OSSL_PARAM_construct_utf8_string(
        hash != NULL ? OSSL_MAC_PARAM_DIGEST : OSSL_MAC_PARAM_CIPHER, (char *)(uintptr_t)name, 0);
}

static enum qh_err fill_op(const struct mech_call *call, struct key_op *op)
{
    EVP_MAC *mac =
        EVP_MAC_fetch(library_context(), call->info->type == CKM_AES_CMAC ? "CMAC" : "HMAC", NULL);
    OSSL_PARAM params[2] = {base_param(call), OSSL_PARAM_construct_end()};
    enum qh_err err = QH_OK;

    op->mac = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    if (op->mac == NULL) {
        err = material_error(QH_ENOMEM);
    } else if (EVP_MAC_init(op->mac, secret_view(call->key->secret), call->key->size, params) !=
               1) {
        err = material_error(QH_ESYSTEM);
    }
    EVP_MAC_free(mac);
    return err;
}

static enum qh_err compute(const struct mech_call *call, uint8_t ret_mac[MECH_DIGEST_SIZE_MAX])
{
    struct key_op_id id = {.use = KEY_SIGN, .type = call->info->type}; /* verifying is the same */
    struct key_op *op = key_op_find(call->key, &id);
    size_t size;
    enum qh_err err = QH_OK;

    if (op == NULL) {
        op = key_op_make(call->key, &id);
        err = fill_op(call, op);
    } else if (EVP_MAC_init(op->mac, NULL, 0, NULL) != 1) {
        err = material_error(QH_ESYSTEM);
    }
    if (err == QH_OK && (EVP_MAC_update(op->mac, call->data.base, call->data.size) != 1 ||
                         EVP_MAC_final(op->mac, ret_mac, &size, MECH_DIGEST_SIZE_MAX) != 1)) {
        err = material_error(QH_ESYSTEM);
    }
    if (err != QH_OK) {
        key_op_drop(op);
        return err;
    }
    QH_ASSERT(size == mac_size(call->info->type));
    return QH_OK;
}

static enum qh_err sign(const struct mech_call *call, uint8_t *out, size_t room, size_t *ret_size)
{
    size_t size = mac_size(call->info->type);
    uint8_t mac[MECH_DIGEST_SIZE_MAX];
    enum qh_err err;

    if (room < size) {
        return QH_EROOM;
    }
    err = compute(call, mac);
    if (err != QH_OK) {
        return err;
    }
    memcpy(out, mac, size);
    *ret_size = size;
    return QH_OK;
}

static enum qh_err verify(const struct mech_call *call, struct bytes signature)
{
    size_t size = mac_size(call->info->type);
    uint8_t mac[MECH_DIGEST_SIZE_MAX];
    enum qh_err err;

    if (signature.size != size) {
        return QH_ESIGNATURESIZE;
    }
    err = compute(call, mac);
    if (err == QH_OK && sodium_memcmp(mac, signature.base, size) != 0) {
        err = QH_ESIGNATURE;
    }
    sodium_memzero(mac, sizeof mac); /* of a wrong one, the right one is a secret */
    return err;
}

static size_t output_size(const struct key *key, const struct mech_params *params, size_t data_size)
{
    (void)key;
    (void)data_size;
    return mac_size(params->type);
}

const struct mech_family mech_mac = {
    .output_size = output_size,
    .make = sign,
    .verify = verify,
};
