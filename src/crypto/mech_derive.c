/* Keys from keys: ECDH with the KDFs of ANSI X9.63 and NIST SP 800-56A, HKDF (RFC 5869). */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

#include "crypto/library.h"
#include "crypto/material.h"
#include "crypto/mech_family.h"

#define HKDF_BLOCKS_MAX 255u
/* bytes; OpenSSL leaves the coordinates of X25519 on the stack */
#define STACK_SIZE 8192u

/* ---- ECDH ---- */

struct kdf {
    CK_EC_KDF_TYPE type;
    CK_MECHANISM_TYPE hash;
    bool count_first; /* SP 800-56A counts before the shared secret, X9.63 behind it */
};

static const struct kdf kdfs[] = {
    {CKD_SHA1_KDF, CKM_SHA_1, false},         {CKD_SHA224_KDF, CKM_SHA224, false},
    {CKD_SHA256_KDF, CKM_SHA256, false},      {CKD_SHA384_KDF, CKM_SHA384, false},
    {CKD_SHA512_KDF, CKM_SHA512, false},      {CKD_SHA1_KDF_SP800, CKM_SHA_1, true},
    {CKD_SHA224_KDF_SP800, CKM_SHA224, true}, {CKD_SHA256_KDF_SP800, CKM_SHA256, true},
    {CKD_SHA384_KDF_SP800, CKM_SHA384, true}, {CKD_SHA512_KDF_SP800, CKM_SHA512, true},
};

static const struct kdf *find_kdf(CK_EC_KDF_TYPE type)
{
    for (size_t i = 0; i < sizeof kdfs / sizeof kdfs[0]; i++) {
        if (kdfs[i].type == type) {
            return &kdfs[i];
        }
    }
    return NULL;
}

/* The sizes and combinations that need no curve. */
static enum qh_err check_ecdh(const struct mech_call *call, const struct kdf *kdf, size_t size)
{
    const struct mech_params *params = call->params;

    if (params->shared_data.size > MECH_DERIVE_DATA_SIZE_MAX) {
        return QH_EPARAMETER;
    }
    if (kdf == NULL) {
        if (params->kdf != CKD_NULL || params->shared_data.size != 0) {
            return QH_EPARAMETER;
        }
        return size <= call->key->curve->size ? QH_OK : QH_EKEYSIZE;
    }
    return size > 0 && size <= KEY_SECRET_SIZE_MAX ? QH_OK : QH_EKEYSIZE;
}

/* The cofactor of all these curves is 1: a point on the curve is in the group. */
static enum qh_err load_peer(const struct mech_call *call, EVP_PKEY **ret_peer)
{
    const struct curve *curve = call->key->curve;
    struct material material = {.type = call->key->type, .curve = curve};
    struct bytes raw = material_unwrap_point(curve, call->params->public_data);
    uint8_t point[CURVE_POINT_SIZE_MAX];
    enum qh_err err;

    if (raw.size == 0) {
        return QH_EPARAMETER;
    }
    err = material_check_point(curve, raw, point);
    if (err == QH_OK) {
        material.point = (struct bytes){point, curve->point_size};
        err = material_load(&material, false, ret_peer);
    }
    return err == QH_EATTRVALUE || err == QH_EMALFORMED ? QH_EPARAMETER : err;
}

static enum qh_err take_context(const struct mech_call *call, EVP_PKEY_CTX **ret_ctx)
{
    struct key_op_id id = {.use = KEY_DERIVE, .type = CKM_ECDH1_DERIVE};
    struct key_op *op = key_op_find(call->key, &id);

    if (op == NULL) {
        op = key_op_make(call->key, &id);
        op->pkey = EVP_PKEY_CTX_new_from_pkey(library_context(), call->key->pkey, NULL);
        if (op->pkey == NULL || EVP_PKEY_derive_init(op->pkey) != 1) {
            key_op_drop(op);
            return material_error(QH_ENOMEM);
        }
    }
    *ret_ctx = op->pkey;
    return QH_OK;
}

/* Of a Montgomery curve, a point of small order gives zero: RFC 7748, 6.1, has it refused. */
static enum qh_err agree(const struct mech_call *call, struct secret *shared)
{
    size_t size = secret_size(shared);
    EVP_PKEY *peer = NULL;
    EVP_PKEY_CTX *ctx = NULL;
    enum qh_err err = load_peer(call, &peer);

    if (err == QH_OK) {
        err = take_context(call, &ctx);
    }
    if (err == QH_OK &&
        (EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) != 1 ||
         EVP_PKEY_derive(ctx, secret_bytes(shared), &size) != 1 || size != secret_size(shared) ||
         sodium_is_zero(secret_view(shared), size) == 1)) {
        err = material_error(QH_EPARAMETER);
    }
    sodium_stackzero(STACK_SIZE);
    EVP_PKEY_free(peer);
    return err;
}

/* Hash of the shared secret, a count of blocks and the shared data. */
static enum qh_err hash_block(EVP_MD_CTX *ctx, const EVP_MD *hash, const struct kdf *kdf,
                              struct bytes shared, uint32_t count, struct bytes data,
                              uint8_t ret_block[MECH_DIGEST_SIZE_MAX])
{
    const uint8_t counter[4] = {(uint8_t)(count >> 24), (uint8_t)(count >> 16),
                                (uint8_t)(count >> 8), (uint8_t)count};
    struct bytes number = {counter, sizeof counter};
    struct bytes first = kdf->count_first ? number : shared;
    struct bytes second = kdf->count_first ? shared : number;

    if (EVP_DigestInit_ex2(ctx, hash, NULL) != 1 ||
        EVP_DigestUpdate(ctx, first.base, first.size) != 1 ||
        EVP_DigestUpdate(ctx, second.base, second.size) != 1 ||
        EVP_DigestUpdate(ctx, data.base, data.size) != 1 ||
        EVP_DigestFinal_ex(ctx, ret_block, NULL) != 1) {
        return material_error(QH_ESYSTEM);
    }
    return QH_OK;
}

static enum qh_err expand_shared(const struct kdf *kdf, struct bytes shared, struct bytes data,
                                 struct secret *value)
{
    const struct key_hash *hash = key_hash_find(kdf->hash);
    EVP_MD *algorithm = EVP_MD_fetch(library_context(), hash->name, NULL);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t block[MECH_DIGEST_SIZE_MAX];
    enum qh_err err = algorithm == NULL || ctx == NULL ? material_error(QH_ENOMEM) : QH_OK;
    uint32_t count = 1;

    for (size_t at = 0; err == QH_OK && at < secret_size(value); at += hash->size) {
        size_t left = secret_size(value) - at;

        err = hash_block(ctx, algorithm, kdf, shared, count++, data, block);
        if (err == QH_OK) {
            memcpy(secret_bytes(value) + at, block, left < hash->size ? left : hash->size);
        }
    }
    sodium_memzero(block, sizeof block);
    EVP_MD_CTX_free(ctx); /* wipes */
    EVP_MD_free(algorithm);
    return err;
}

static enum qh_err derive_ecdh(const struct mech_call *call, size_t size, struct secret **ret_value)
{
    SECRET_SCOPED struct secret *shared = NULL;
    struct secret *value = NULL;
    struct bytes all;
    const struct kdf *kdf = find_kdf(call->params->kdf);
    enum qh_err err = check_ecdh(call, kdf, size);

    if (err == QH_OK) {
        err = secret_new(call->key->curve->size, &shared);
    }
    if (err == QH_OK) {
        err = agree(call, shared);
    }
    if (err != QH_OK) {
        return err;
    }
    all = (struct bytes){secret_view(shared), secret_size(shared)};
    if (kdf == NULL) {
        size = size == 0 ? all.size : size;
        return secret_from(all.base + all.size - size, size, ret_value);
    }
    err = secret_new(size, &value);
    if (err == QH_OK) {
        err = expand_shared(kdf, all, call->params->shared_data, value);
    }
    if (err != QH_OK) {
        secret_free(value);
        return err;
    }
    *ret_value = value;
    return QH_OK;
}

/* ---- HKDF ---- */

/* One HMAC, of up to three spans; the hash was set when @mac was made. */
static enum qh_err compute_hmac(EVP_MAC_CTX *mac, struct bytes key, const struct bytes parts[3],
                                uint8_t ret_mac[MECH_DIGEST_SIZE_MAX])
{
    size_t size;

    if (EVP_MAC_init(mac, key.base, key.size, NULL) != 1) {
        return material_error(QH_ESYSTEM);
    }
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].size > 0 && EVP_MAC_update(mac, parts[i].base, parts[i].size) != 1) {
            return material_error(QH_ESYSTEM);
        }
    }
    return EVP_MAC_final(mac, ret_mac, &size, MECH_DIGEST_SIZE_MAX) == 1
               ? QH_OK
               : material_error(QH_ESYSTEM);
}

static enum qh_err open_hmac(const struct key_hash *hash, EVP_MAC_CTX **ret_mac)
{
    EVP_MAC *algorithm = EVP_MAC_fetch(library_context(), "HMAC", NULL);
    EVP_MAC_CTX *mac = algorithm == NULL ? NULL : EVP_MAC_CTX_new(algorithm);
    OSSL_PARAM params[2];

    EVP_MAC_free(algorithm);
    /* OpenSSL reads the name alone, but has no const here. */
    params[0] =
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)hash->name, 0);
    params[1] = OSSL_PARAM_construct_end();
    if (mac == NULL || EVP_MAC_CTX_set_params(mac, params) != 1) {
        EVP_MAC_CTX_free(mac);
        return material_error(QH_ENOMEM);
    }
    *ret_mac = mac;
    return QH_OK;
}

/* No salt is as many zeroes as the hash has bytes. */
static enum qh_err extract(EVP_MAC_CTX *mac, const struct mech_call *call,
                           const struct key_hash *hash, uint8_t ret_key[MECH_DIGEST_SIZE_MAX])
{
    static const uint8_t zeroes[MECH_DIGEST_SIZE_MAX];
    const struct bytes parts[3] = {{secret_view(call->key->secret), call->key->size}};
    struct bytes salt = call->params->salt;

    if (salt.size == 0) {
        salt = (struct bytes){zeroes, hash->size};
    }
    return compute_hmac(mac, salt, parts, ret_key);
}

static enum qh_err expand(EVP_MAC_CTX *mac, struct bytes key, struct bytes info,
                          const struct key_hash *hash, struct secret *value)
{
    uint8_t block[MECH_DIGEST_SIZE_MAX], count = 1;
    struct bytes parts[3] = {{NULL, 0}, info, {&count, 1}};
    enum qh_err err = QH_OK;

    for (size_t at = 0; err == QH_OK && at < secret_size(value); at += hash->size) {
        size_t left = secret_size(value) - at;

        err = compute_hmac(mac, key, parts, block);
        if (err == QH_OK) {
            memcpy(secret_bytes(value) + at, block, left < hash->size ? left : hash->size);
        }
        parts[0] = (struct bytes){block, hash->size};
        count++;
    }
    sodium_memzero(block, sizeof block);
    return err;
}

static enum qh_err run_hkdf(const struct mech_call *call, const struct key_hash *hash,
                            EVP_MAC_CTX *mac, struct secret *value)
{
    struct bytes key = {secret_view(call->key->secret), call->key->size};
    uint8_t extracted[MECH_DIGEST_SIZE_MAX];
    enum qh_err err = QH_OK;

    if (call->params->extract) {
        err = extract(mac, call, hash, extracted);
        key = (struct bytes){extracted, hash->size};
    }
    if (err == QH_OK && call->params->expand) {
        err = expand(mac, key, call->params->info, hash, value);
    } else if (err == QH_OK) {
        memcpy(secret_bytes(value), extracted, secret_size(value));
    }
    sodium_memzero(extracted, sizeof extracted);
    return err;
}

static enum qh_err check_hkdf(const struct mech_call *call, const struct key_hash *hash,
                              size_t size)
{
    const struct mech_params *params = call->params;
    size_t size_max = params->expand ? HKDF_BLOCKS_MAX * hash->size : hash->size;

    if ((!params->extract && !params->expand) || (!params->extract && params->salt.size > 0) ||
        params->salt.size > MECH_DERIVE_DATA_SIZE_MAX ||
        params->info.size > MECH_DERIVE_DATA_SIZE_MAX) {
        return QH_EPARAMETER;
    }
    return size <= size_max && size <= KEY_SECRET_SIZE_MAX ? QH_OK : QH_EKEYSIZE;
}

static enum qh_err derive_hkdf(const struct mech_call *call, size_t size, struct secret **ret_value)
{
    const struct key_hash *hash = key_hash_find(call->params->hash);
    struct secret *value = NULL;
    EVP_MAC_CTX *mac = NULL;
    enum qh_err err = hash == NULL ? QH_EPARAMETER : check_hkdf(call, hash, size);

    if (err == QH_OK) {
        err = open_hmac(hash, &mac);
    }
    if (err == QH_OK) {
        err = secret_new(size == 0 ? hash->size : size, &value);
    }
    if (err == QH_OK) {
        err = run_hkdf(call, hash, mac, value);
    }
    EVP_MAC_CTX_free(mac); /* wipes */
    if (err != QH_OK) {
        secret_free(value);
        return err;
    }
    *ret_value = value;
    return QH_OK;
}

QH_RESULT mech_derive(struct key *key, const struct mech_params *params, size_t size,
                      struct secret **ret_value)
{
    struct mech_call call;
    enum qh_err err =
        mech_begin(key, params, CKF_DERIVE, KEY_DERIVE, (struct bytes){NULL, 0}, &call);

    if (err != QH_OK) {
        return err;
    }
    if (params->type == CKM_HKDF_DERIVE) {
        return derive_hkdf(&call, size, ret_value);
    }
    return derive_ecdh(&call, size, ret_value);
}
