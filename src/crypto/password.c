/* Argon2id by libsodium: verifiers of PINs, and keys from passphrases. */
#include "crypto/password.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/seal.h"

#define PASSWORD_PASSES 2u /* tens of milliseconds; wrong PINs are counted besides */
#define PASSPHRASE_PASSES 3u
#define PASSPHRASE_MEMORY_SIZE (256u << 20)

/* As libsodium writes it: salt and hash in base64 without padding, joined by a dollar sign. */
#define VERIFIER_PREFIX "$argon2id$v=19$m=65536,t=2,p=1$"
#define VERIFIER_SALT_LENGTH 22u
#define VERIFIER_HASH_LENGTH 43u
#define VERIFIER_LENGTH \
    (sizeof VERIFIER_PREFIX - 1 + VERIFIER_SALT_LENGTH + 1 + VERIFIER_HASH_LENGTH)
#define PASSWORD_HASH_SIZE 32u

_Static_assert(PASSWORD_VERIFIER_SIZE == crypto_pwhash_STRBYTES, "verifier");
_Static_assert(PASSWORD_SALT_SIZE == crypto_pwhash_SALTBYTES, "salt");

static const char *text_of(const struct secret *password)
{
    return (const char *)secret_view(password);
}

QH_RESULT password_make(const struct secret *password, char ret_verifier[PASSWORD_VERIFIER_SIZE])
{
    char verifier[PASSWORD_VERIFIER_SIZE];

    if (crypto_pwhash_str(verifier, text_of(password), secret_size(password), PASSWORD_PASSES,
                          PASSWORD_MEMORY_SIZE) != 0) {
        return QH_ENOMEM;
    }
    memcpy(ret_verifier, verifier, sizeof verifier);
    return QH_OK;
}

/* Ours alone: a verifier of other costs could take any time and memory. */
static bool verifier_parse(const char *verifier, uint8_t ret_salt[PASSWORD_SALT_SIZE],
                           uint8_t ret_hash[PASSWORD_HASH_SIZE])
{
    const char *salt = verifier + strlen(VERIFIER_PREFIX);
    const char *hash = salt + VERIFIER_SALT_LENGTH + 1;
    size_t salt_size, hash_size;

    return strnlen(verifier, PASSWORD_VERIFIER_SIZE) == VERIFIER_LENGTH &&
           strncmp(verifier, VERIFIER_PREFIX, strlen(VERIFIER_PREFIX)) == 0 && hash[-1] == '$' &&
           sodium_base642bin(ret_salt, PASSWORD_SALT_SIZE, salt, VERIFIER_SALT_LENGTH, NULL,
                             &salt_size, NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
           sodium_base642bin(ret_hash, PASSWORD_HASH_SIZE, hash, VERIFIER_HASH_LENGTH, NULL,
                             &hash_size, NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
           salt_size == PASSWORD_SALT_SIZE && hash_size == PASSWORD_HASH_SIZE;
}

/* Not crypto_pwhash_str_verify(): that calls a lack of memory a mismatch, and it would be counted
 * as a wrong PIN. */
QH_RESULT password_check(const struct secret *password, const char *verifier)
{
    uint8_t salt[PASSWORD_SALT_SIZE];
    uint8_t expected[PASSWORD_HASH_SIZE];
    uint8_t hash[PASSWORD_HASH_SIZE];
    enum qh_err err = QH_EMALFORMED;

    if (!verifier_parse(verifier, salt, expected)) {
        goto out;
    }
    err = QH_ENOMEM;
    if (crypto_pwhash(hash, sizeof hash, text_of(password), secret_size(password), salt,
                      PASSWORD_PASSES, PASSWORD_MEMORY_SIZE, crypto_pwhash_ALG_ARGON2ID13) != 0) {
        goto out;
    }
    err = sodium_memcmp(hash, expected, sizeof hash) == 0 ? QH_OK : QH_EPIN;
out:
    sodium_memzero(hash, sizeof hash);
    sodium_memzero(expected, sizeof expected);
    return err;
}

QH_RESULT password_derive(const struct secret *passphrase, const uint8_t salt[PASSWORD_SALT_SIZE],
                          struct secret **ret_key)
{
    SECRET_SCOPED struct secret *key = NULL;
    enum qh_err err = secret_new(SEAL_KEY_SIZE, &key);

    if (err != QH_OK) {
        return err;
    }
    if (crypto_pwhash(secret_bytes(key), secret_size(key), text_of(passphrase),
                      secret_size(passphrase), salt, PASSPHRASE_PASSES, PASSPHRASE_MEMORY_SIZE,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        return QH_ENOMEM;
    }
    *ret_key = key;
    key = NULL;
    return QH_OK;
}
