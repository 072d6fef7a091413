/* Keys under keys: wrapping is encrypting a key's material, with limits of its own. Who may wrap
 * what is not decided here. */
#include <openssl/rand.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_family.h"
#include "crypto/mech_pkcs1.h"

#define BLOCK_SIZE 16u
#define HALF_BLOCK 8u
#define AES_KEY_SIZE_MAX 32u

static bool key_bits_ok(uint32_t bits)
{
    return bits == 128 || bits == 192 || bits == 256;
}

/* The two steps of CKM_RSA_AES_KEY_WRAP. */
static struct mech_params outer_params(const struct mech_params *params)
{
    return (struct mech_params){.type = CKM_RSA_PKCS_OAEP,
                                .hash = params->hash,
                                .mgf = params->mgf,
                                .label = params->label};
}

static struct mech_params inner_params(void)
{
    return (struct mech_params){.type = CKM_AES_KEY_WRAP_KWP};
}

static size_t kwp_size(size_t size)
{
    return (size + HALF_BLOCK - 1) / HALF_BLOCK * HALF_BLOCK + HALF_BLOCK;
}

static bool can_wrap(const struct key *key, const struct mech_info *info)
{
    return info != NULL && (info->flags & CKF_WRAP) != 0 && mech_takes(info, key->type);
}

size_t mech_wrapped_size(const struct key *key, const struct mech_params *params, size_t plain_size)
{
    if (!can_wrap(key, mech_find(params->type)) || plain_size > MECH_WRAP_SIZE_MAX) {
        return 0;
    }
    switch (params->type) {
    case CKM_RSA_AES_KEY_WRAP:
        return key->size + kwp_size(plain_size);
    case CKM_AES_CBC:
        return plain_size;
    case CKM_AES_CBC_PAD:
        return plain_size / BLOCK_SIZE * BLOCK_SIZE + BLOCK_SIZE;
    case CKM_AES_GCM:
        return plain_size + params->tag_bits / 8;
    case CKM_AES_KEY_WRAP:
    case CKM_AES_KEY_WRAP_PAD:
    case CKM_AES_KEY_WRAP_KWP:
        return kwp_size(plain_size);
    default:
        return key->size; /* RSA */
    }
}

/* ---- one step: what the mechanism makes of data ---- */

static enum qh_err wrap_bytes(const struct mech_call *call, uint8_t *out, size_t room,
                              size_t *ret_size)
{
    enum qh_err err = mech_family_of(call->info)->make(call, out, room, ret_size);

    return err == QH_EDATASIZE ? QH_EKEYSIZE : err;
}

/* @plain is as large as what it was unwrapped from. */
static enum qh_err take_first(struct secret *plain, size_t size, struct secret **ret_plain)
{
    return size == 0 ? QH_EWRAPPED : secret_from(secret_view(plain), size, ret_plain);
}

static enum qh_err unwrap_bytes(const struct mech_call *call, struct secret **ret_plain)
{
    SECRET_SCOPED struct secret *plain = NULL;
    size_t size = 0;
    enum qh_err err = secret_new(call->data.size, &plain);

    if (err != QH_OK) {
        return err;
    }
    err = mech_family_of(call->info)->make(call, secret_bytes(plain), secret_size(plain), &size);
    QH_ASSERT(err != QH_EROOM);
    return err == QH_OK ? take_first(plain, size, ret_plain) : err;
}

/* ---- CKM_RSA_AES_KEY_WRAP ---- */

static enum qh_err begin_step(struct key *key, const struct mech_params *params, bool wrap,
                              struct bytes data, struct mech_call *ret_call)
{
    return mech_begin(key, params, wrap ? CKF_WRAP : CKF_UNWRAP, wrap ? KEY_ENCRYPT : KEY_DECRYPT,
                      data, ret_call);
}

static enum qh_err wrap_inner(const struct secret *value, struct bytes plain, uint8_t *out,
                              size_t room, size_t *ret_size)
{
    struct mech_params params = inner_params();
    struct mech_call call;
    struct key *key;
    enum qh_err err = key_open(CKO_SECRET_KEY, CKK_AES,
                               (struct bytes){secret_view(value), secret_size(value)}, &key);

    if (err != QH_OK) {
        return err;
    }
    err = begin_step(key, &params, true, plain, &call);
    if (err == QH_OK) {
        err = wrap_bytes(&call, out, room, ret_size);
    }
    key_free(key);
    return err;
}

static enum qh_err wrap_rsa_aes(const struct mech_call *call, uint8_t *out, size_t room,
                                size_t *ret_size)
{
    struct mech_params params = outer_params(call->params);
    SECRET_SCOPED struct secret *value = NULL;
    size_t outer_size = 0, inner_size = 0;
    struct mech_call outer;
    enum qh_err err;

    if (!key_bits_ok(call->params->key_bits)) {
        return QH_EPARAMETER;
    }
    if (room < mech_wrapped_size(call->key, call->params, call->data.size)) {
        return QH_EROOM;
    }
    err = secret_new(call->params->key_bits / 8, &value);
    if (err != QH_OK) {
        return err;
    }
    if (RAND_priv_bytes_ex(library_context(), secret_bytes(value), secret_size(value), 0) != 1) {
        return material_error(QH_ESYSTEM);
    }
    err = begin_step(call->key, &params, true,
                     (struct bytes){secret_view(value), secret_size(value)}, &outer);
    if (err == QH_OK) {
        err = wrap_bytes(&outer, out, room, &outer_size);
    }
    if (err == QH_OK) {
        err = wrap_inner(value, call->data, out + outer_size, room - outer_size, &inner_size);
    }
    if (err == QH_OK) {
        *ret_size = outer_size + inner_size;
    }
    return err;
}

static enum qh_err unwrap_inner(const struct secret *value, struct bytes wrapped,
                                struct secret **ret_plain)
{
    struct mech_params params = inner_params();
    struct mech_call call;
    struct key *key;
    enum qh_err err = key_open(CKO_SECRET_KEY, CKK_AES,
                               (struct bytes){secret_view(value), secret_size(value)}, &key);

    if (err != QH_OK) {
        return err;
    }
    err = begin_step(key, &params, false, wrapped, &call);
    if (err == QH_OK) {
        err = unwrap_bytes(&call, ret_plain);
    }
    key_free(key);
    return err;
}

static enum qh_err unwrap_rsa_aes(const struct mech_call *call, struct secret **ret_plain)
{
    struct mech_params params = outer_params(call->params);
    SECRET_SCOPED struct secret *value = NULL;
    size_t outer_size = call->key->size;
    struct mech_call outer;
    enum qh_err err;

    if (!key_bits_ok(call->params->key_bits)) {
        return QH_EPARAMETER;
    }
    if (call->data.size < outer_size + 2 * HALF_BLOCK ||
        (call->data.size - outer_size) % HALF_BLOCK != 0) {
        return QH_EWRAPPEDSIZE;
    }
    err =
        begin_step(call->key, &params, false, (struct bytes){call->data.base, outer_size}, &outer);
    if (err == QH_OK) {
        err = unwrap_bytes(&outer, &value);
    }
    if (err == QH_OK && secret_size(value) != call->params->key_bits / 8) {
        err = QH_EWRAPPED;
    }
    if (err != QH_OK) {
        return err;
    }
    return unwrap_inner(value,
                        (struct bytes){call->data.base + outer_size, call->data.size - outer_size},
                        ret_plain);
}

/* ---- */

QH_RESULT mech_wrap(struct key *key, const struct mech_params *params, struct bytes plain,
                    uint8_t *out, size_t room, size_t *ret_size)
{
    struct mech_call call;
    enum qh_err err = begin_step(key, params, true, plain, &call);

    if (err != QH_OK) {
        return err;
    }
    if (plain.size == 0 || plain.size > MECH_WRAP_SIZE_MAX) {
        return QH_EKEYSIZE;
    }
    if (params->type == CKM_RSA_AES_KEY_WRAP) {
        return wrap_rsa_aes(&call, out, room, ret_size);
    }
    return wrap_bytes(&call, out, room, ret_size);
}

QH_RESULT mech_unwrap(struct key *key, const struct mech_params *params, struct bytes wrapped,
                      struct secret **ret_plain)
{
    struct mech_call call;
    enum qh_err err = begin_step(key, params, false, wrapped, &call);

    if (err != QH_OK) {
        return err;
    }
    if (wrapped.size == 0 || wrapped.size > SECRET_SIZE_MAX) {
        return QH_EWRAPPEDSIZE;
    }
    switch (params->type) {
    case CKM_RSA_AES_KEY_WRAP:
        err = unwrap_rsa_aes(&call, ret_plain);
        break;
    case CKM_RSA_PKCS:
        err = mech_rsa_decrypt_or(&call, ret_plain);
        break;
    default:
        err = unwrap_bytes(&call, ret_plain);
        break;
    }
    if (err == QH_ECIPHERTEXT) {
        return QH_EWRAPPED;
    }
    return err == QH_ECIPHERTEXTSIZE ? QH_EWRAPPEDSIZE : err;
}
