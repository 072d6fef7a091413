/* CK_MECHANISM to what the library and the crypto folder take: parameters copied out of the
 * application's memory and checked, sizes of outputs known beforehand, and which mechanisms that
 * hash first can be split into a hash made here and a use of the key there. */
#ifndef QH_PKCS11_MECHANISM_H
#define QH_PKCS11_MECHANISM_H

#include "base/cryptoki.h"
#include "client/quadhsm.h"
#include "crypto/mech.h"
#include "pkcs11/ckr.h"

#define MECHANISM_AAD_SIZE_MAX 65536u  /* bytes */
#define MECHANISM_LABEL_SIZE_MAX 4096u /* of OAEP */
#define MECHANISM_IV_SIZE_MAX 256u
#define MECHANISM_TAG_BITS_MAX 128u

struct mechanism {
    struct quadhsm_mechanism params; /* points into @block */
    const struct mech_info *info;
    CK_OBJECT_HANDLE salt_key; /* HKDF; else CK_INVALID_HANDLE */
    uint8_t *block;
};

/* The flags of CK_MECHANISM_INFO that the module keeps: what it does not implement is not offered.
 * 0: the mechanism is not offered at all. */
CK_FLAGS mechanism_flags(const struct mech_info *info);

/* @use: CKF_SIGN and so on. Errors: CKR_ARGUMENTS_BAD, CKR_MECHANISM_INVALID,
 * CKR_MECHANISM_PARAM_INVALID, CKR_HOST_MEMORY. Owns: mechanism_close(). */
CKR_RESULT mechanism_open(const CK_MECHANISM *from, CK_FLAGS use, struct mechanism *ret_mechanism);
void mechanism_close(struct mechanism *mechanism);
/* The same for the crypto folder; borrowed. */
struct mech_params mechanism_local(const struct quadhsm_mechanism *params);

/* May @key be used so, by what is known of it? Errors: CKR_KEY_TYPE_INCONSISTENT,
 * CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_MECHANISM_INVALID (not among its CKA_ALLOWED_MECHANISMS),
 * CKR_MECHANISM_PARAM_INVALID (no room for the salt). */
CKR_RESULT mechanism_fits(const struct mechanism *mechanism, CK_FLAGS use,
                          const struct quadhsm_object *key);
bool mechanism_allowed(const struct quadhsm_object *key, CK_MECHANISM_TYPE type);

/* The mechanism that does the same with a hash (of ret_plain's own kind: for CKM_RSA_PKCS the
 * DigestInfo). False if there is none: HMAC, EdDSA, plain mechanisms. */
bool mechanism_split(const struct mechanism *mechanism, struct quadhsm_mechanism *ret_plain);
/* What comes before the hash in a DigestInfo; empty if @hash has none. */
struct bytes mechanism_digest_info(CK_MECHANISM_TYPE hash);

/* Sizes, in bytes, from what is known of the key; 0: not known. */
size_t mechanism_modulus_size(const struct quadhsm_object *key);
size_t mechanism_signature_size(const struct mechanism *mechanism,
                                const struct quadhsm_object *key);
/* Exact for encryption, a bound for decryption. */
size_t mechanism_encrypted_size(const struct mechanism *mechanism, const struct quadhsm_object *key,
                                size_t data_size);
size_t mechanism_decrypted_size(const struct mechanism *mechanism, const struct quadhsm_object *key,
                                size_t data_size);
/* Below this, @room is too small whatever the padding turns out to be. */
size_t mechanism_decrypted_least(const struct mechanism *mechanism, size_t data_size);

#define MECHANISM_BLOCK_SIZE 16u /* of AES */

/* The mechanism for the parts of a long operation: CKM_AES_CBC for itself and for CBC_PAD, ECB and
 * CTR for themselves; false if the mechanism needs everything at once. */
bool mechanism_chain(const struct mechanism *mechanism, CK_MECHANISM_TYPE *ret_blocks);

#endif
