/* The cluster master key sealed for one node's disk, as bytes; reading and writing them is the
 * node's business. Little-endian:
 *
 *   8 bytes "QHCMK\0\0\0", u8 version (1), u8 method, u8 zero x 6
 *   16 bytes cluster, 16 bytes salt
 *   the key, sealed (crypto/seal.h) for the place that all of the above names
 *   16 bytes BLAKE2b of all before, which tells damage from a wrong key
 *
 * Pure. Thread: any. With a passphrase both functions are slow (crypto/password.h). */
#ifndef QH_HSM_CMK_H
#define QH_HSM_CMK_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

#define CMK_SEALED_SIZE 152u
#define CMK_FILE_KEY_SIZE 32u /* bytes, of the key that CMK_FILE takes */

enum cmk_method {
    CMK_FILE = 1,      /* @unlock is a random key of CMK_FILE_KEY_SIZE bytes */
    CMK_PASSPHRASE = 2 /* @unlock is what an operator types */
};

/* Errors: QH_EINVAL (size of @cmk, or of @unlock for CMK_FILE), QH_ENOMEM, QH_ESYSTEM.
 * Owns: free(ret_sealed->base). */
QH_RESULT cmk_seal(enum cmk_method method, const struct secret *unlock, const uint8_t cluster[16],
                   const struct secret *cmk, struct bytes *ret_sealed);

/* Errors: QH_EPIN (wrong passphrase or key), QH_EMALFORMED, QH_EVERSION, QH_ECORRUPT (damaged, or
 * another cluster's), QH_ENOMEM, QH_ESYSTEM. Owns: secret_free(). */
QH_RESULT cmk_open(const struct secret *unlock, const uint8_t cluster[16], struct bytes sealed,
                   struct secret **ret_cmk);

#endif
