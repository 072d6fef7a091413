/* AES key wrap: RFC 3394 (NIST SP 800-38F's KW) and RFC 5649 (its KWP), for keys and for data.
 *
 * CKM_AES_KEY_WRAP_PAD is KWP here. Versions of PKCS#11 describe it in ways that exclude each
 * other, the last of them padding as PKCS#7 has it; SoftHSM2, OpenSC and what talks to them mean
 * RFC 5649. */
#include <openssl/evp.h>
#include <string.h>

#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_family.h"

#define HALF_BLOCK 8u     /* what key wrap counts in */
#define IV_SIZE 8u        /* of KW */
#define IV_SIZE_PADDED 4u /* of KWP; the size of the data is the rest */

static bool is_padded(const struct mech_call *call)
{
    return call->info->type != CKM_AES_KEY_WRAP;
}

/* The standards' own, where the parameter names none. */
static enum qh_err choose_iv(const struct mech_call *call, struct bytes *ret_iv)
{
    static const uint8_t kw[IV_SIZE] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6};
    static const uint8_t kwp[IV_SIZE_PADDED] = {0xa6, 0x59, 0x59, 0xa6};
    size_t size = is_padded(call) ? IV_SIZE_PADDED : IV_SIZE;
    struct bytes iv = call->params->iv;

    if (iv.size == 0) {
        iv = (struct bytes){is_padded(call) ? kwp : kw, size};
    }
    if (iv.size != size) {
        return QH_EPARAMETER;
    }
    *ret_iv = iv;
    return QH_OK;
}

static enum qh_err fill_op(const struct mech_call *call, struct key_op *op)
{
    static const char *const kw[] = {"AES-128-WRAP", "AES-192-WRAP", "AES-256-WRAP"};
    static const char *const kwp[] = {"AES-128-WRAP-PAD", "AES-192-WRAP-PAD", "AES-256-WRAP-PAD"};
    size_t index = call->key->size / 8 - 2;
    EVP_CIPHER *cipher =
        EVP_CIPHER_fetch(library_context(), is_padded(call) ? kwp[index] : kw[index], NULL);
    enum qh_err err = QH_ENOMEM;

    op->cipher = EVP_CIPHER_CTX_new();
    if (cipher != NULL && op->cipher != NULL) {
        EVP_CIPHER_CTX_set_flags(op->cipher, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        err = EVP_CipherInit_ex2(op->cipher, cipher, secret_view(call->key->secret), NULL,
                                 call->use == KEY_ENCRYPT, NULL) == 1
                  ? QH_OK
                  : QH_ESYSTEM;
    }
    EVP_CIPHER_free(cipher);
    return err == QH_OK ? QH_OK : material_error(err);
}

static enum qh_err take_context(const struct mech_call *call, struct bytes iv,
                                EVP_CIPHER_CTX **ret_ctx)
{
    CK_MECHANISM_TYPE type = is_padded(call) ? CKM_AES_KEY_WRAP_KWP : CKM_AES_KEY_WRAP;
    struct key_op_id id = {.use = call->use, .type = type};
    struct key_op *op = key_op_find(call->key, &id);
    enum qh_err err = QH_OK;

    if (op == NULL) {
        op = key_op_make(call->key, &id);
        err = fill_op(call, op);
    }
    if (err == QH_OK &&
        EVP_CipherInit_ex2(op->cipher, NULL, NULL, iv.base, call->use == KEY_ENCRYPT, NULL) != 1) {
        err = material_error(QH_ESYSTEM);
    }
    if (err != QH_OK) {
        key_op_drop(op);
        return err;
    }
    *ret_ctx = op->cipher;
    return QH_OK;
}

/* KW takes two half blocks or more, KWP a byte or more. */
static enum qh_err check_size(const struct mech_call *call)
{
    bool encrypting = call->use == KEY_ENCRYPT;
    size_t size = call->data.size, least;

    if (is_padded(call)) {
        least = encrypting ? 1 : 2 * HALF_BLOCK;
    } else {
        least = encrypting ? 2 * HALF_BLOCK : 3 * HALF_BLOCK;
    }
    if (size < least || size > MECH_WRAP_SIZE_MAX + (encrypting ? 0 : HALF_BLOCK) ||
        (size % HALF_BLOCK != 0 && (!is_padded(call) || !encrypting))) {
        return encrypting ? QH_EDATASIZE : QH_ECIPHERTEXTSIZE;
    }
    return QH_OK;
}

static size_t wrapped_size(size_t size)
{
    return (size + HALF_BLOCK - 1) / HALF_BLOCK * HALF_BLOCK + HALF_BLOCK;
}

/* OpenSSL needs as much room as there is data: what is wrong it wipes to the full size. */
static enum qh_err decrypt_short(const struct mech_call *call, EVP_CIPHER_CTX *ctx, uint8_t *out,
                                 size_t room, size_t *ret_size)
{
    SECRET_SCOPED struct secret *plain = NULL;
    int size = 0;
    enum qh_err err = secret_new(call->data.size, &plain);

    if (err != QH_OK) {
        return err;
    }
    if (EVP_CipherUpdate(ctx, secret_bytes(plain), &size, call->data.base, (int)call->data.size) !=
            1 ||
        size <= 0) {
        return material_error(QH_ECIPHERTEXT);
    }
    if ((size_t)size > room) {
        return QH_EROOM;
    }
    memcpy(out, secret_view(plain), (size_t)size);
    *ret_size = (size_t)size;
    return QH_OK;
}

static enum qh_err make(const struct mech_call *call, uint8_t *out, size_t room, size_t *ret_size)
{
    bool encrypting = call->use == KEY_ENCRYPT;
    EVP_CIPHER_CTX *ctx = NULL;
    struct bytes iv;
    int size = 0;
    enum qh_err err = choose_iv(call, &iv);

    if (err == QH_OK) {
        err = check_size(call);
    }
    if (err == QH_OK && encrypting && room < wrapped_size(call->data.size)) {
        err = QH_EROOM;
    }
    if (err == QH_OK && !encrypting && !is_padded(call) && room < call->data.size - HALF_BLOCK) {
        err = QH_EROOM;
    }
    if (err == QH_OK) {
        err = take_context(call, iv, &ctx);
    }
    if (err != QH_OK) {
        return err;
    }
    if (!encrypting && is_padded(call) && room < call->data.size) {
        return decrypt_short(call, ctx, out, room, ret_size);
    }
    if (EVP_CipherUpdate(ctx, out, &size, call->data.base, (int)call->data.size) != 1 ||
        size <= 0) {
        return material_error(encrypting ? QH_ESYSTEM : QH_ECIPHERTEXT);
    }
    *ret_size = (size_t)size;
    return QH_OK;
}

static size_t output_size(const struct key *key, const struct mech_params *params, size_t data_size)
{
    (void)key;
    (void)params;
    return wrapped_size(data_size);
}

const struct mech_family mech_kw = {
    .output_size = output_size,
    .make = make,
};
