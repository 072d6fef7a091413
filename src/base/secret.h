/* Memory for key bytes and PINs: locked, guarded, not dumped, wiped. */
#ifndef QH_BASE_SECRET_H
#define QH_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The largest secret, in bytes: an RSA-8192 private key in PKCS#8 has room. */
#define SECRET_SIZE_MAX 65536u

struct secret; /* Opaque, so that nobody copies it by value. */

/* Make the library of guarded memory ready. Call once, before any thread.
 * Errors: QH_ESYSTEM if libsodium cannot start. */
QH_RESULT secret_setup(void);

/* Allocate @size zero bytes between two guard pages.
 *
 * Errors: QH_ELIMIT if @size is 0 or above SECRET_SIZE_MAX, QH_ENOMEM if there
 *         is no memory, QH_ESYSTEM if the pages cannot be locked (there is no unlocked
 *         fallback; the message that a program prints says `ulimit -l`).
 * Owns:   the caller owns *ret_secret; release it with secret_free().
 * Thread: any; one secret is not used by two threads at once. */
QH_RESULT secret_new(size_t size, struct secret **ret_secret);

/* The same, with a copy of @size bytes at @base. The caller wipes its own. */
QH_RESULT secret_from(const void *base, size_t size, struct secret **ret_secret);

/* Wipe and release; NULL is allowed. */
void secret_free(struct secret *secret);

/* The bytes, valid until secret_free(). */
uint8_t *secret_bytes(struct secret *secret);
const uint8_t *secret_view(const struct secret *secret);
size_t secret_size(const struct secret *secret);

/* Equal in size and content; the time depends on the sizes alone. */
bool secret_equal(const struct secret *left, const struct secret *right);

/* Frees the variable on every way out of its scope. */
void secret_cleanup(struct secret **secret);
#define SECRET_SCOPED __attribute__((cleanup(secret_cleanup)))

#endif
