/* Keys of the records, and their values (proto/records.proto) sealed and opened.
 *
 *   c/settings  c/ca  c/t/<token id>   settings, authority, join tokens
 *   n/<raft id, 8 bytes big-endian>    nodes: signed, not sealed
 *   a/<client id>                      enrolled clients
 *   p/<partition id>                   partitions, with their roles' verifiers
 *   l/<partition id>/<role>            failed logins; partition id zero for SO; role 1 byte
 *   o/<partition id>/<object id>       objects, sealed by the partition's key (object.h)
 *   r/<id>                             answers (store/txn.h, node/change.h)
 *
 * <...> are raw bytes of fixed size. Pure. Thread: any. */
#ifndef QH_HSM_RECORD_H
#define QH_HSM_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "hsm/keyring.h"
#include "proto/records.pb-c.h"
#include "store/store.h"

struct record_key { /* its bytes are at @base, @size of them */
    uint8_t base[64];
    size_t size;
};
static inline struct bytes record_key_bytes(const struct record_key *key)
{
    return (struct bytes){key->base, key->size};
}

struct record_key record_key_settings(void);
struct record_key record_key_authority(void);
struct record_key record_key_token(const uint8_t id[16]);
struct record_key record_key_node(uint64_t raft_id);
struct record_key record_key_client(const uint8_t id[CLIENT_ID_SIZE]);
struct record_key record_key_partition(const uint8_t id[PARTITION_ID_SIZE]);
struct record_key record_key_logins(const uint8_t partition[PARTITION_ID_SIZE], uint32_t role);
struct record_key record_key_object(const uint8_t partition[PARTITION_ID_SIZE],
                                    const uint8_t object[OBJECT_ID_SIZE]);
/* Prefixes: "n/", "a/", "p/", "l/", "o/<partition>/". */
struct record_key record_prefix(const char *letter);
struct record_key record_prefix_objects(const uint8_t partition[PARTITION_ID_SIZE]);

/* Is it o/<partition>/<object>? Then where its ids are. */
bool record_key_is_object(struct bytes key, const uint8_t **ret_partition,
                          const uint8_t **ret_object);

/* Seal a message as the value of @key; one more than the counter of @old (empty: a new record).
 * Node records are signed instead. Errors: those of keyring_seal(). Owns: free(ret_value->base). */
QH_RESULT record_seal(const struct keyring *keyring, const struct record_key *key, struct bytes old,
                      const ProtobufCMessage *message, struct bytes *ret_value);
/* Errors: those of keyring_open(), QH_EMALFORMED. Owns: wire_message_free(). @keyring NULL opens
 * node records alone, unchecked. */
QH_RESULT record_open(const struct keyring *keyring, struct bytes key, struct bytes value,
                      const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_message);
/* The same with @room for the text, used again and again by who opens many: secret memory of
 * STORE_VALUE_SIZE_MAX bytes; NULL will do for node records. */
QH_RESULT record_open_in(const struct keyring *keyring, struct bytes key, struct bytes value,
                         struct secret *room, const ProtobufCMessageDescriptor *type,
                         ProtobufCMessage **ret_message);
/* The same for a record of @store. Errors: also QH_ENOTFOUND. *ret_record (may be NULL) gives
 * mod_revision and value, for the compare and the next counter. */
QH_RESULT record_load(const struct keyring *keyring, const struct store *store,
                      const struct record_key *key, const ProtobufCMessageDescriptor *type,
                      ProtobufCMessage **ret_message, struct store_record *ret_record);

#endif
