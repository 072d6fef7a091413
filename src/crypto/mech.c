/* One operation: what every mechanism has in common, then its family. */
#include "crypto/mech.h"

#include <sodium.h>

#include "base/assert.h"
#include "crypto/mech_family.h"

const struct mech_family *mech_family_of(const struct mech_info *info)
{
    switch (info->type) {
    case CKM_AES_CMAC:
        return &mech_mac;
    case CKM_AES_KEY_WRAP:
    case CKM_AES_KEY_WRAP_PAD:
    case CKM_AES_KEY_WRAP_KWP:
        return &mech_kw;
    default:
        break;
    }
    switch (info->key_type) {
    case CKK_RSA:
        return &mech_rsa;
    case CKK_EC:
        return &mech_ecdsa;
    case CKK_EC_EDWARDS:
        return &mech_eddsa;
    case CKK_AES:
        return &mech_aes;
    default:
        return &mech_mac;
    }
}

bool mech_takes(const struct mech_info *info, CK_KEY_TYPE type)
{
    const struct key_hash *hash;

    switch (info->type) {
    case CKM_ECDH1_DERIVE:
        return type == CKK_EC || type == CKK_EC_MONTGOMERY;
    case CKM_HKDF_DERIVE:
        return type == CKK_GENERIC_SECRET || type == CKK_HKDF;
    default:
        hash = key_hash_of_hmac(info->type);
        return type == info->key_type ? type != CK_UNAVAILABLE_INFORMATION
                                      : hash != NULL && hash->key_type == type;
    }
}

/* What is done with a public key alone. */
static bool class_fits(CK_OBJECT_CLASS object_class, enum key_use use)
{
    return object_class != CKO_PUBLIC_KEY || use == KEY_VERIFY || use == KEY_ENCRYPT;
}

enum qh_err mech_begin(struct key *key, const struct mech_params *params, CK_FLAGS flag,
                       enum key_use use, struct bytes data, struct mech_call *ret_call)
{
    const struct mech_info *info = mech_find(params->type);

    QH_ASSERT(key != NULL);
    if (info == NULL || (info->flags & flag) == 0) {
        return QH_EMECHANISM;
    }
    if (!mech_takes(info, key->type) || !class_fits(key->object_class, use)) {
        return QH_EKEYTYPE;
    }
    *ret_call =
        (struct mech_call){.key = key, .params = params, .info = info, .use = use, .data = data};
    return QH_OK;
}

/* Put the hash in the place of the data, where the mechanism wants that. */
static enum qh_err hash_first(struct mech_call *call, uint8_t room[MECH_DIGEST_SIZE_MAX])
{
    const struct key_hash *hash;
    enum qh_err err;

    if (!mech_hashes_first(call->info)) {
        return QH_OK;
    }
    hash = key_hash_find(call->info->digest);
    QH_ASSERT(hash != NULL);
    err = key_hash_data(call->key, hash, call->data, room);
    if (err == QH_OK) {
        call->data = (struct bytes){room, hash->size};
    }
    return err;
}

QH_RESULT mech_sign(struct key *key, const struct mech_params *params, struct bytes data,
                    uint8_t *out, size_t room, size_t *ret_size)
{
    uint8_t hash[MECH_DIGEST_SIZE_MAX];
    struct mech_call call;
    enum qh_err err = mech_begin(key, params, CKF_SIGN, KEY_SIGN, data, &call);

    if (err == QH_OK) {
        err = hash_first(&call, hash);
    }
    if (err != QH_OK) {
        return err;
    }
    return mech_family_of(call.info)->make(&call, out, room, ret_size);
}

QH_RESULT mech_verify(struct key *key, const struct mech_params *params, struct bytes data,
                      struct bytes signature)
{
    uint8_t hash[MECH_DIGEST_SIZE_MAX];
    struct mech_call call;
    enum qh_err err = mech_begin(key, params, CKF_VERIFY, KEY_VERIFY, data, &call);

    if (err == QH_OK) {
        err = hash_first(&call, hash);
    }
    if (err != QH_OK) {
        return err;
    }
    return mech_family_of(call.info)->verify(&call, signature);
}

static enum qh_err crypt(struct key *key, const struct mech_params *params, enum key_use use,
                         struct bytes data, uint8_t *out, size_t room, size_t *ret_size)
{
    CK_FLAGS flag = use == KEY_ENCRYPT ? CKF_ENCRYPT : CKF_DECRYPT;
    struct mech_call call;
    enum qh_err err = mech_begin(key, params, flag, use, data, &call);

    if (err != QH_OK) {
        return err;
    }
    return mech_family_of(call.info)->make(&call, out, room, ret_size);
}

QH_RESULT mech_encrypt(struct key *key, const struct mech_params *params, struct bytes data,
                       uint8_t *out, size_t room, size_t *ret_size)
{
    return crypt(key, params, KEY_ENCRYPT, data, out, room, ret_size);
}

QH_RESULT mech_decrypt(struct key *key, const struct mech_params *params, struct bytes data,
                       uint8_t *out, size_t room, size_t *ret_size)
{
    return crypt(key, params, KEY_DECRYPT, data, out, room, ret_size);
}

size_t mech_signature_size(const struct key *key, const struct mech_params *params)
{
    const struct mech_info *info = mech_find(params->type);

    if (info == NULL || (info->flags & CKF_SIGN) == 0 || !mech_takes(info, key->type) ||
        !class_fits(key->object_class, KEY_SIGN)) {
        return 0;
    }
    return mech_family_of(info)->output_size(key, params, 0);
}

size_t mech_output_size(const struct key *key, const struct mech_params *params, size_t data_size)
{
    const struct mech_info *info = mech_find(params->type);

    if (info == NULL || (info->flags & CKF_ENCRYPT) == 0 || !mech_takes(info, key->type)) {
        return 0;
    }
    return mech_family_of(info)->output_size(key, params, data_size);
}
