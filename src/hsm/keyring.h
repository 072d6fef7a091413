/* The keys that come from the cluster master key (CMK), and the sealing of records with them.
 *
 *   CMK -- "records"  record key: all values but objects
 *       -- "tickets"  ticket key
 *       -- "members"  signs node records, which are not encrypted
 *       -- "wrapping" wraps partition keys
 *       -- "once"     makes the ids of requests that happen once
 *
 * A keyring does not change after it was made. Pure. Thread: any, at the same time. */
#ifndef QH_HSM_KEYRING_H
#define QH_HSM_KEYRING_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/secret.h"

struct keyring;

#define KEYRING_CMK_SIZE 32u

/* Errors: QH_EINVAL (size of @cmk), QH_ENOMEM, QH_ESYSTEM. Owns: copies; keyring_free(). */
QH_RESULT keyring_new(const struct secret *cmk, const uint8_t cluster[16],
                      struct keyring **ret_keyring);
void keyring_free(struct keyring *keyring);                    /* NULL is allowed */
const uint8_t *keyring_cluster(const struct keyring *keyring); /* 16 bytes */
const struct secret *keyring_ticket_key(const struct keyring *keyring);
const struct secret *keyring_once_key(const struct keyring *keyring); /* for seal_mac() */

/* Seal the value of the record @record_key with the record key. @counter: that of the value it
 * replaces plus one, 0 for a new record.
 * Errors: QH_ELIMIT (above STORE_VALUE_SIZE_MAX), QH_EINVAL (@plain is empty), QH_ENOMEM.
 * Owns: free(ret_value->base). */
QH_RESULT keyring_seal(const struct keyring *keyring, struct bytes record_key, uint64_t counter,
                       struct bytes plain, struct bytes *ret_value);
/* Errors: those of seal_open(), QH_ENOMEM, QH_ESYSTEM. *ret_counter may be NULL. */
QH_RESULT keyring_open(const struct keyring *keyring, struct bytes record_key, struct bytes value,
                       struct secret **ret_plain, uint64_t *ret_counter);

/* The same into @room, which is used again and again by who opens many.
 * Errors: those of seal_open(). */
QH_RESULT keyring_open_in(const struct keyring *keyring, struct bytes record_key,
                          struct bytes value, struct secret *room, size_t *ret_size);

/* Signed, readable by a witness: 32 bytes MAC over record key and plain, then plain.
 * Errors: as keyring_seal() and keyring_open(). open: @keyring NULL skips the check (witness). */
QH_RESULT keyring_sign(const struct keyring *keyring, struct bytes record_key, struct bytes plain,
                       struct bytes *ret_value);
QH_RESULT keyring_open_signed(const struct keyring *keyring, struct bytes record_key,
                              struct bytes value, struct bytes *ret_plain); /* in @value */

/* A new partition key, and it wrapped for the partition's record.
 * Errors: QH_ENOMEM, QH_ESYSTEM; open also those of seal_open().
 * Owns: secret_free(), free(ret_wrapped->base). */
QH_RESULT keyring_partition_new(const struct keyring *keyring,
                                const uint8_t partition[PARTITION_ID_SIZE], struct secret **ret_key,
                                struct bytes *ret_wrapped);
QH_RESULT keyring_partition_open(const struct keyring *keyring,
                                 const uint8_t partition[PARTITION_ID_SIZE], struct bytes wrapped,
                                 struct secret **ret_key);

#endif
