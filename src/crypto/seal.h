/* Sealing: XChaCha20-Poly1305 with everything that places a value as associated data, and the
 * derivation of keys from keys. Pure; nonces come from libsodium's random source, which
 * the simulator may replace. */
#ifndef QH_CRYPTO_SEAL_H
#define QH_CRYPTO_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/secret.h"

#define SEAL_KEY_SIZE 32u
/* u8 version (1), u8 zero x 7, u64 counter, 24 bytes nonce; then the ciphertext and 16 bytes tag.
 */
#define SEAL_HEADER_SIZE 40u
#define SEAL_OVERHEAD (SEAL_HEADER_SIZE + 16u)

/* @context: at most 8 characters, such as "records"; @number tells keys of one context apart.
 * Errors: QH_ENOMEM, QH_ESYSTEM (secret memory). Owns: *ret_key, secret_free(). */
QH_RESULT seal_derive(const struct secret *key, const char *context, uint64_t number,
                      struct secret **ret_key);

/* What a sealed value belongs to: it opens nowhere else. */
struct seal_place {
    const uint8_t *cluster;  /* 16 bytes */
    struct bytes record_key; /* or another unambiguous name */
    uint64_t counter;        /* raised by one each time a record is written */
};

/* Writes @plain.size + SEAL_OVERHEAD bytes. Errors: QH_EROOM. */
QH_RESULT seal_close(const struct secret *key, const struct seal_place *place, struct bytes plain,
                     uint8_t *out, size_t room, size_t *ret_size);

/* The counter that a sealed value says it has, not checked. Errors: QH_EMALFORMED, QH_EVERSION. */
QH_RESULT seal_counter(struct bytes sealed, uint64_t *ret_counter);

/* place->counter is taken from the value. Writes sealed.size - SEAL_OVERHEAD bytes.
 * Errors: QH_EMALFORMED, QH_EVERSION, QH_EROOM, QH_ECORRUPT (another key, another place,
 *         or changed). */
QH_RESULT seal_open(const struct secret *key, const struct seal_place *place, struct bytes sealed,
                    uint8_t *out, size_t room, size_t *ret_size);

/* The same into new secret memory; an empty plaintext is QH_EMALFORMED. */
QH_RESULT seal_open_secret(const struct secret *key, const struct seal_place *place,
                           struct bytes sealed, struct secret **ret_plain);

/* Keyed BLAKE2b of @data, 32 bytes; and the check in constant time (QH_ECORRUPT). */
#define SEAL_MAC_SIZE 32u
void seal_mac(const struct secret *key, struct bytes data, uint8_t ret_mac[SEAL_MAC_SIZE]);
QH_RESULT seal_mac_check(const struct secret *key, struct bytes data, struct bytes mac);

#endif
