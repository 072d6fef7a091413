/* AES: ECB, CBC with and without padding, CTR, GCM. */
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_family.h"

#define BLOCK_SIZE 16u
#define COUNTER_LOW_BITS 32u

/* OpenSSL's names, by size of the key: 16, 24, 32 bytes. */
static const char *cipher_name(CK_MECHANISM_TYPE type, size_t key_size)
{
    static const char *const ecb[] = {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"};
    static const char *const cbc[] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"};
    static const char *const ctr[] = {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"};
    static const char *const gcm[] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"};
    size_t index = key_size / 8 - 2;

    switch (type) {
    case CKM_AES_ECB:
        return ecb[index];
    case CKM_AES_CTR:
        return ctr[index];
    case CKM_AES_GCM:
        return gcm[index];
    default:
        return cbc[index];
    }
}

/* With padding on, decrypting would hold back the last block. Only there is it turned off, for
 * then OpenSSL does so again with each IV, which costs a fifth of GCM's time for 1 KiB. */
static bool sets_padding(const struct key_op_id *id)
{
    return id->use == KEY_DECRYPT && (id->type == CKM_AES_ECB || id->type == CKM_AES_CBC);
}

static enum qh_err fill_op(const struct mech_call *call, struct key_op *op)
{
    const char *name = cipher_name(op->id.type, call->key->size);
    const uint8_t *secret = secret_view(call->key->secret);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(library_context(), name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int encrypting = op->id.use == KEY_ENCRYPT, iv_size = (int)op->id.size;
    enum qh_err err = QH_ENOMEM;

    op->cipher = ctx;
    if (cipher == NULL || ctx == NULL) {
        goto out;
    }
    err = QH_ESYSTEM;
    if (EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, encrypting, NULL) != 1 ||
        (op->id.type == CKM_AES_GCM &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, iv_size, NULL) != 1) ||
        EVP_CipherInit_ex2(ctx, NULL, secret, NULL, encrypting, NULL) != 1 ||
        (sets_padding(&op->id) && EVP_CIPHER_CTX_set_padding(ctx, 0) != 1)) {
        goto out;
    }
    err = QH_OK;
out:
    EVP_CIPHER_free(cipher);
    return err == QH_OK ? QH_OK : material_error(err);
}

/* A context with the key's schedule and @iv. Padding is ours, so both kinds of CBC share one. */
static enum qh_err take_context(const struct mech_call *call, struct bytes iv,
                                EVP_CIPHER_CTX **ret_ctx)
{
    CK_MECHANISM_TYPE type = call->info->type == CKM_AES_CBC_PAD ? CKM_AES_CBC : call->info->type;
    struct key_op_id id = {.use = call->use, .type = type, .size = iv.size};
    struct key_op *op = key_op_find(call->key, &id);
    enum qh_err err = QH_OK;

    if (op == NULL) {
        op = key_op_make(call->key, &id);
        err = fill_op(call, op);
    }
    if (err == QH_OK && EVP_CipherInit_ex2(op->cipher, NULL, NULL, iv.size > 0 ? iv.base : NULL,
                                           call->use == KEY_ENCRYPT, NULL) != 1) {
        err = material_error(QH_ESYSTEM);
    }
    if (err != QH_OK) {
        key_op_drop(op);
        return err;
    }
    *ret_ctx = op->cipher;
    return QH_OK;
}

/* All of @data, which is whole blocks where the mode has blocks: exactly as much comes out. A NULL
 * @out takes additional data. */
static enum qh_err update(EVP_CIPHER_CTX *ctx, struct bytes data, uint8_t *out)
{
    int size = 0;

    if (data.size > 0 && (EVP_CipherUpdate(ctx, out, &size, data.base, (int)data.size) != 1 ||
                          (size_t)size != data.size)) {
        return material_error(QH_ESYSTEM);
    }
    return QH_OK;
}

static enum qh_err wrong_size(const struct mech_call *call)
{
    return call->use == KEY_ENCRYPT ? QH_EDATASIZE : QH_ECIPHERTEXTSIZE;
}

/* How many blocks can be counted before the last @bits of the first counter @block overflow; at
 * most UINT32_MAX, which no call reaches. */
static uint64_t count_left(const uint8_t block[BLOCK_SIZE], uint32_t bits)
{
    uint64_t low = (uint64_t)block[12] << 24 | (uint64_t)block[13] << 16 |
                   (uint64_t)block[14] << 8 | block[15];

    if (bits < COUNTER_LOW_BITS) {
        return ((uint64_t)1 << bits) - (low & (((uint64_t)1 << bits) - 1));
    }
    for (uint32_t bit = COUNTER_LOW_BITS; bit < bits; bit++) {
        if ((block[BLOCK_SIZE - 1 - bit / 8] >> (bit % 8) & 1) == 0) {
            return UINT32_MAX;
        }
    }
    return ((uint64_t)1 << COUNTER_LOW_BITS) - low;
}

/* A counter that overflows is an error in PKCS#11, so how OpenSSL counts on is the same for every
 * size of it. */
static enum qh_err check_counter(const struct mech_call *call)
{
    uint32_t bits = call->params->counter_bits == 0 ? 8 * BLOCK_SIZE : call->params->counter_bits;
    uint64_t blocks = (call->data.size + BLOCK_SIZE - 1) / BLOCK_SIZE;

    if (bits > 8 * BLOCK_SIZE) {
        return QH_EPARAMETER;
    }
    return blocks <= count_left(call->params->iv.base, bits) ? QH_OK : QH_EDATASIZE;
}

/* ECB, CBC, CTR: as much comes out as goes in. */
static enum qh_err make_plain(const struct mech_call *call, uint8_t *out, size_t room,
                              size_t *ret_size)
{
    struct bytes iv = {NULL, 0};
    EVP_CIPHER_CTX *ctx = NULL;
    enum qh_err err;

    if (call->info->type != CKM_AES_ECB) {
        iv = call->params->iv;
        if (iv.size != BLOCK_SIZE) {
            return QH_EPARAMETER;
        }
    }
    if (call->info->type == CKM_AES_CTR) {
        err = check_counter(call);
    } else {
        err = call->data.size % BLOCK_SIZE == 0 ? QH_OK : wrong_size(call);
    }
    if (err == QH_OK && room < call->data.size) {
        err = QH_EROOM;
    }
    if (err == QH_OK) {
        err = take_context(call, iv, &ctx);
    }
    if (err == QH_OK) {
        err = update(ctx, call->data, out);
    }
    if (err == QH_OK) {
        *ret_size = call->data.size;
    }
    return err;
}

static enum qh_err encrypt_padded(const struct mech_call *call, uint8_t *out, size_t room,
                                  size_t *ret_size)
{
    size_t rest = call->data.size % BLOCK_SIZE, whole = call->data.size - rest;
    uint8_t last[BLOCK_SIZE];
    EVP_CIPHER_CTX *ctx;
    enum qh_err err;

    if (room < whole + BLOCK_SIZE) {
        return QH_EROOM;
    }
    err = take_context(call, call->params->iv, &ctx);
    if (err != QH_OK) {
        return err;
    }
    memset(last, (int)(BLOCK_SIZE - rest), sizeof last);
    if (rest > 0) {
        memcpy(last, call->data.base + whole, rest);
    }
    err = update(ctx, (struct bytes){call->data.base, whole}, out);
    if (err == QH_OK) {
        err = update(ctx, (struct bytes){last, sizeof last}, out + whole);
    }
    sodium_memzero(last, sizeof last);
    if (err == QH_OK) {
        *ret_size = whole + BLOCK_SIZE;
    }
    return err;
}

/* How many bytes of the last block are data, or 16 if the padding is wrong; in the same time for
 * all blocks. */
static size_t padding_check(const uint8_t block[BLOCK_SIZE])
{
    unsigned count = block[BLOCK_SIZE - 1];
    unsigned wrong = (count - 1) & ~0xfu; /* not 1 to 16 */

    for (unsigned i = 0; i < BLOCK_SIZE; i++) {
        unsigned in_padding = (BLOCK_SIZE - 1 - i - count) >> 31;

        wrong |= (0u - in_padding) & (block[i] ^ count);
    }
    return wrong != 0 ? BLOCK_SIZE : BLOCK_SIZE - count;
}

/* The last block first: it says how much there will be, and whether any of it may be given out. */
static enum qh_err decrypt_padded(const struct mech_call *call, uint8_t *out, size_t room,
                                  size_t *ret_size)
{
    size_t whole = call->data.size - BLOCK_SIZE, rest;
    struct bytes before = call->params->iv;
    uint8_t last[BLOCK_SIZE];
    EVP_CIPHER_CTX *ctx;
    enum qh_err err;

    if (call->data.size == 0 || call->data.size % BLOCK_SIZE != 0) {
        return QH_ECIPHERTEXTSIZE;
    }
    if (whole > 0) {
        before = (struct bytes){call->data.base + whole - BLOCK_SIZE, BLOCK_SIZE};
    }
    err = take_context(call, before, &ctx);
    if (err != QH_OK) {
        return err;
    }
    err = update(ctx, (struct bytes){call->data.base + whole, BLOCK_SIZE}, last);
    if (err != QH_OK) {
        goto out;
    }
    rest = padding_check(last);
    if (rest == BLOCK_SIZE) {
        err = QH_ECIPHERTEXT;
    } else if (room < whole + rest) {
        err = QH_EROOM;
    } else {
        err = take_context(call, call->params->iv, &ctx);
    }
    if (err == QH_OK) {
        err = update(ctx, (struct bytes){call->data.base, whole}, out);
    }
    if (err == QH_OK) {
        memcpy(out + whole, last, rest);
        *ret_size = whole + rest;
    }
out:
    sodium_memzero(last, sizeof last);
    return err;
}

static enum qh_err make_padded(const struct mech_call *call, uint8_t *out, size_t room,
                               size_t *ret_size)
{
    if (call->params->iv.size != BLOCK_SIZE) {
        return QH_EPARAMETER;
    }
    if (call->use == KEY_ENCRYPT) {
        return encrypt_padded(call, out, room, ret_size);
    }
    return decrypt_padded(call, out, room, ret_size);
}

/* NIST SP 800-38D has these seven sizes. */
static bool tag_bits_ok(uint32_t bits)
{
    return bits == 32 || bits == 64 || (bits >= 96 && bits <= 128 && bits % 8 == 0);
}

static enum qh_err encrypt_gcm(const struct mech_call *call, EVP_CIPHER_CTX *ctx, uint8_t *out)
{
    size_t tag_size = call->params->tag_bits / 8;
    uint8_t unused[BLOCK_SIZE];
    int size = 0;
    enum qh_err err = update(ctx, call->data, out);

    if (err != QH_OK) {
        return err;
    }
    if (EVP_CipherFinal_ex(ctx, unused, &size) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, (int)tag_size, out + call->data.size) !=
            1) {
        return material_error(QH_ESYSTEM);
    }
    return QH_OK;
}

/* Nothing is given out before the tag has been checked: what was written is wiped. */
static enum qh_err decrypt_gcm(const struct mech_call *call, EVP_CIPHER_CTX *ctx, uint8_t *out)
{
    size_t tag_size = call->params->tag_bits / 8, size = call->data.size - tag_size;
    uint8_t tag[BLOCK_SIZE], unused[BLOCK_SIZE];
    int unused_size = 0;
    enum qh_err err;

    memcpy(tag, call->data.base + size, tag_size);
    err = update(ctx, (struct bytes){call->data.base, size}, out);
    if (err != QH_OK) {
        return err;
    }
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)tag_size, tag) != 1) {
        err = material_error(QH_ESYSTEM);
    } else if (EVP_CipherFinal_ex(ctx, unused, &unused_size) != 1) {
        err = material_error(QH_ECIPHERTEXT);
    }
    if (err != QH_OK && size > 0) {
        sodium_memzero(out, size);
    }
    return err;
}

static enum qh_err make_gcm(const struct mech_call *call, uint8_t *out, size_t room,
                            size_t *ret_size)
{
    const struct mech_params *params = call->params;
    size_t tag_size = params->tag_bits / 8, size;
    EVP_CIPHER_CTX *ctx;
    enum qh_err err;

    if (!tag_bits_ok(params->tag_bits) || params->iv.size == 0 ||
        params->iv.size > MECH_IV_SIZE_MAX || params->aad.size > MECH_CIPHER_SIZE_MAX) {
        return QH_EPARAMETER;
    }
    if (call->use == KEY_DECRYPT && call->data.size < tag_size) {
        return QH_ECIPHERTEXTSIZE;
    }
    size = call->use == KEY_ENCRYPT ? call->data.size + tag_size : call->data.size - tag_size;
    if (room < size) {
        return QH_EROOM;
    }
    err = take_context(call, params->iv, &ctx);
    if (err == QH_OK) {
        err = update(ctx, params->aad, NULL);
    }
    if (err == QH_OK) {
        err = call->use == KEY_ENCRYPT ? encrypt_gcm(call, ctx, out) : decrypt_gcm(call, ctx, out);
    }
    if (err == QH_OK) {
        *ret_size = size;
    }
    return err;
}

static enum qh_err make(const struct mech_call *call, uint8_t *out, size_t room, size_t *ret_size)
{
    if (call->data.size > MECH_CIPHER_SIZE_MAX) {
        return wrong_size(call);
    }
    if (call->info->type == CKM_AES_GCM) {
        return make_gcm(call, out, room, ret_size);
    }
    if (call->info->type == CKM_AES_CBC_PAD) {
        return make_padded(call, out, room, ret_size);
    }
    return make_plain(call, out, room, ret_size);
}

static size_t output_size(const struct key *key, const struct mech_params *params, size_t data_size)
{
    (void)key;
    if (params->type == CKM_AES_GCM || params->type == CKM_AES_CBC_PAD) {
        return data_size + BLOCK_SIZE; /* a tag, or padding */
    }
    return data_size;
}

const struct mech_family mech_aes = {
    .output_size = output_size,
    .make = make,
};
