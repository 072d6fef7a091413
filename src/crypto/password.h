/* Verifiers of PINs and passwords, and keys from passphrases: Argon2id. Each call takes tens of
 * milliseconds and the memory named here; never on a loop's thread.
 * Thread: any. */
#ifndef QH_CRYPTO_PASSWORD_H
#define QH_CRYPTO_PASSWORD_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

#define PASSWORD_VERIFIER_SIZE 128u      /* bytes, with the terminating zero */
#define PASSWORD_MEMORY_SIZE (64u << 20) /* bytes, of PINs */
#define PASSWORD_SALT_SIZE 16u

/* Errors: QH_ENOMEM. */
QH_RESULT password_make(const struct secret *password, char ret_verifier[PASSWORD_VERIFIER_SIZE]);

/* Constant time in the password. Errors: QH_EPIN, QH_EMALFORMED (no verifier), QH_ENOMEM. */
QH_RESULT password_check(const struct secret *password, const char *verifier);

/* A key of 32 bytes from an operator's passphrase (256 MiB, once a start).
 * Errors: QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT password_derive(const struct secret *passphrase, const uint8_t salt[PASSWORD_SALT_SIZE],
                          struct secret **ret_key);

#endif
