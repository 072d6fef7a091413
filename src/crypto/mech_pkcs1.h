/* The padding of RSA PKCS#1 v1.5, taken off with the same steps and memory accesses whatever it
 * holds. */
#ifndef QH_CRYPTO_MECH_PKCS1_H
#define QH_CRYPTO_MECH_PKCS1_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MECH_PKCS1_OVERHEAD 11u /* 0, the type, at least 8 bytes of padding, 0 */

/* 0, 2, at least 8 bytes that are not 0, 0, the message. @encoded is destroyed. The result code
 * tells whether the padding was right. Errors: QH_ECIPHERTEXT, QH_EROOM. */
QH_RESULT mech_pkcs1_unpad(uint8_t *encoded, uint32_t encoded_size, uint8_t *out, size_t room,
                           size_t *ret_size);

/* Implicit rejection: the message, or if the padding is wrong or the message empty the first
 * @substitute_size bytes (1 to the longest message) of @substitute. Nothing tells which. Both
 * @substitute and @ret_message have encoded_size - MECH_PKCS1_OVERHEAD bytes; all of @ret_message
 * are written. Returns how many of them count. */
size_t mech_pkcs1_unpad_or(uint8_t *encoded, uint32_t encoded_size, const uint8_t *substitute,
                           uint32_t substitute_size, uint8_t *ret_message);

#endif
