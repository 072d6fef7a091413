/* What the files of the mechanisms share. Included by mech*.c alone. Wrapping is encrypting with
 * other limits and errors, so it goes through the families too; deriving stands apart. */
#ifndef QH_CRYPTO_MECH_FAMILY_H
#define QH_CRYPTO_MECH_FAMILY_H

#include "crypto/key_ops.h"
#include "crypto/mech.h"

/* One call, checked: the mechanism exists and does this, and the key is of its type and class. */
struct mech_call {
    struct key *key;
    const struct mech_params *params;
    const struct mech_info *info;
    enum key_use use;
    struct bytes data; /* hashed already, where the mechanism hashes first */
};

/* A family leaves out what its mechanisms do not do: NULL. @out has @room bytes. */
struct mech_family {
    size_t (*output_size)(const struct key *key, const struct mech_params *params,
                          size_t data_size); /* of what it makes or gives back: a bound */
    enum qh_err (*make)(const struct mech_call *call, uint8_t *out, size_t room,
                        size_t *ret_size); /* sign, encrypt, decrypt */
    enum qh_err (*verify)(const struct mech_call *call, struct bytes signature);
};

extern const struct mech_family mech_rsa, mech_ecdsa, mech_eddsa, mech_aes, mech_kw, mech_mac;

const struct mech_family *mech_family_of(const struct mech_info *info);
/* Check a call for @use, which the mechanism must have @flag for. */
enum qh_err mech_begin(struct key *key, const struct mech_params *params, CK_FLAGS flag,
                       enum key_use use, struct bytes data, struct mech_call *ret_call);

/* CKM_RSA_PKCS with implicit rejection: wrong padding gives bytes of a length that depend on the
 * key and the ciphertext alone, always the same ones, and no error. Errors: QH_ECIPHERTEXTSIZE,
 * QH_ECIPHERTEXT (not below the modulus), QH_EKEYSIZE. Owns: secret_free(*ret_message). */
enum qh_err mech_rsa_decrypt_or(const struct mech_call *call, struct secret **ret_message);

/* Nanoseconds matter here: one comparison a signature. */
static inline bool mech_hashes_first(const struct mech_info *info)
{
    return info->digest != CK_UNAVAILABLE_INFORMATION;
}

#endif
