/* ECDSA and EdDSA. */
#include <openssl/evp.h>
#include <string.h>

#include "crypto/der.h"
#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_ec.h"
#include "crypto/mech_family.h"

/* Two INTEGERs of P-521 with their headers and the SEQUENCE's. */
#define SIGNATURE_DER_SIZE_MAX (2 * (CURVE_FIELD_SIZE_MAX + 3) + 3)

QH_RESULT mech_ec_from_der(struct bytes der, size_t half, uint8_t *ret_signature)
{
    struct bytes_reader reader, inner;
    struct bytes r, s;

    bytes_reader_init(&reader, der.base, der.size);
    der_enter(&reader, DER_SEQUENCE, &inner);
    r = der_read_uint(&inner);
    s = der_read_uint(&inner);
    if (!der_done(&inner) || !der_done(&reader) || r.size > half || s.size > half) {
        return QH_EMALFORMED;
    }
    memset(ret_signature, 0, 2 * half);
    memcpy(ret_signature + half - r.size, r.base, r.size);
    memcpy(ret_signature + 2 * half - s.size, s.base, s.size);
    return QH_OK;
}

static struct bytes to_der(struct bytes signature, uint8_t room[SIGNATURE_DER_SIZE_MAX])
{
    size_t half = signature.size / 2;
    struct der_writer writer;

    der_writer_init(&writer, room, SIGNATURE_DER_SIZE_MAX);
    der_write_uint(&writer, (struct bytes){signature.base + half, half});
    der_write_uint(&writer, (struct bytes){signature.base, half});
    der_wrap(&writer, DER_SEQUENCE, writer.room);
    return der_written(&writer);
}

static enum qh_err take_context(const struct mech_call *call, EVP_PKEY_CTX **ret_ctx)
{
    struct key_op_id id = {.use = call->use, .type = CKM_ECDSA};
    struct key_op *op = key_op_find(call->key, &id);
    int status;

    if (op == NULL) {
        op = key_op_make(call->key, &id);
        op->pkey = EVP_PKEY_CTX_new_from_pkey(library_context(), call->key->pkey, NULL);
        if (op->pkey == NULL) {
            key_op_drop(op);
            return material_error(QH_ENOMEM);
        }
        status =
            call->use == KEY_SIGN ? EVP_PKEY_sign_init(op->pkey) : EVP_PKEY_verify_init(op->pkey);
        if (status != 1) {
            key_op_drop(op);
            return material_error(QH_ESYSTEM);
        }
    }
    *ret_ctx = op->pkey;
    return QH_OK;
}

/* The leftmost bytes; OpenSSL cuts the bits that P-521 has no room for. */
static struct bytes truncate_hash(const struct mech_call *call)
{
    struct bytes hash = call->data;

    if (hash.size > call->key->size) {
        hash.size = call->key->size;
    }
    return hash;
}

static enum qh_err sign_ecdsa(const struct mech_call *call, uint8_t *out, size_t room,
                              size_t *ret_size)
{
    struct bytes hash = truncate_hash(call);
    uint8_t der[SIGNATURE_DER_SIZE_MAX];
    size_t size = sizeof der;
    EVP_PKEY_CTX *ctx;
    enum qh_err err;

    if (hash.size == 0) {
        return QH_EDATASIZE;
    }
    if (room < 2 * call->key->size) {
        return QH_EROOM;
    }
    err = take_context(call, &ctx);
    if (err != QH_OK) {
        return err;
    }
    if (EVP_PKEY_sign(ctx, der, &size, hash.base, hash.size) != 1 ||
        mech_ec_from_der((struct bytes){der, size}, call->key->size, out) != QH_OK) {
        return material_error(QH_ESYSTEM);
    }
    *ret_size = 2 * call->key->size;
    return QH_OK;
}

static enum qh_err verify_ecdsa(const struct mech_call *call, struct bytes signature)
{
    struct bytes hash = truncate_hash(call), der;
    uint8_t room[SIGNATURE_DER_SIZE_MAX];
    EVP_PKEY_CTX *ctx;
    enum qh_err err;

    if (hash.size == 0) {
        return QH_EDATASIZE;
    }
    if (signature.size != 2 * call->key->size) {
        return QH_ESIGNATURESIZE;
    }
    err = take_context(call, &ctx);
    if (err != QH_OK) {
        return err;
    }
    der = to_der(signature, room);
    if (EVP_PKEY_verify(ctx, der.base, der.size, hash.base, hash.size) != 1) {
        return material_error(QH_ESIGNATURE);
    }
    return QH_OK;
}

/* OpenSSL 3.0 has EdDSA as a signature of a message only, not of a hash. One context serves many
 * one-shot calls. */
static enum qh_err take_message_context(const struct mech_call *call, EVP_MD_CTX **ret_ctx)
{
    struct key_op_id id = {.use = call->use, .type = CKM_EDDSA};
    struct key_op *op = key_op_find(call->key, &id);
    EVP_PKEY *pkey = call->key->pkey;
    int status;

    if (op == NULL) {
        op = key_op_make(call->key, &id);
        op->digest = EVP_MD_CTX_new();
        if (op->digest == NULL) {
            key_op_drop(op);
            return material_error(QH_ENOMEM);
        }
        status =
            call->use == KEY_SIGN
                ? EVP_DigestSignInit_ex(op->digest, NULL, NULL, library_context(), NULL, pkey, NULL)
                : EVP_DigestVerifyInit_ex(op->digest, NULL, NULL, library_context(), NULL, pkey,
                                          NULL);
        if (status != 1) {
            key_op_drop(op);
            return material_error(QH_ESYSTEM);
        }
    }
    *ret_ctx = op->digest;
    return QH_OK;
}

static enum qh_err sign_eddsa(const struct mech_call *call, uint8_t *out, size_t room,
                              size_t *ret_size)
{
    size_t size = 2 * call->key->size;
    EVP_MD_CTX *ctx;
    enum qh_err err;

    if (room < size) {
        return QH_EROOM;
    }
    err = take_message_context(call, &ctx);
    if (err != QH_OK) {
        return err;
    }
    if (EVP_DigestSign(ctx, out, &size, call->data.base, call->data.size) != 1) {
        return material_error(QH_ESYSTEM);
    }
    *ret_size = size;
    return QH_OK;
}

static enum qh_err verify_eddsa(const struct mech_call *call, struct bytes signature)
{
    EVP_MD_CTX *ctx;
    enum qh_err err;

    if (signature.size != 2 * call->key->size) {
        return QH_ESIGNATURESIZE;
    }
    err = take_message_context(call, &ctx);
    if (err != QH_OK) {
        return err;
    }
    if (EVP_DigestVerify(ctx, signature.base, signature.size, call->data.base, call->data.size) !=
        1) {
        return material_error(QH_ESIGNATURE);
    }
    return QH_OK;
}

static size_t output_size(const struct key *key, const struct mech_params *params, size_t data_size)
{
    (void)params;
    (void)data_size;
    return 2 * key->size;
}

const struct mech_family mech_ecdsa = {
    .output_size = output_size,
    .make = sign_ecdsa,
    .verify = verify_ecdsa,
};

const struct mech_family mech_eddsa = {
    .output_size = output_size,
    .make = sign_eddsa,
    .verify = verify_eddsa,
};
