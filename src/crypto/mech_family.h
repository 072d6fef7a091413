/* What the files of the mechanisms share. Included by mech*.c alone. Wrapping and deriving will
 * be families of their own beside these. */
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

extern const struct mech_family mech_rsa, mech_ecdsa, mech_eddsa, mech_aes, mech_mac;

/* Nanoseconds matter here: one comparison a signature. */
static inline bool mech_hashes_first(const struct mech_info *info)
{
    return info->digest != CK_UNAVAILABLE_INFORMATION;
}

#endif
