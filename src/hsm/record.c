/* Keys of the records, and their messages sealed and opened.
 *
 * What is sealed or signed is u8 version (1), then the packed message. */
#include "hsm/record.h"

#include <string.h>

#include "base/assert.h"
#include "base/secret.h"
#include "crypto/seal.h"
#include "wire/frame.h"

#define RECORD_VERSION 1u
#define OBJECT_KEY_SIZE (2u + PARTITION_ID_SIZE + 1u + OBJECT_ID_SIZE)

/* ---- keys ---- */

static void key_add(struct record_key *key, const void *base, size_t size)
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, key->base + key->size, sizeof key->base - key->size);
    bytes_write_span(&writer, base, size);
    QH_ASSERT(!writer.failed);
    key->size += size;
}

static struct record_key key_make(const char *prefix, const void *id, size_t id_size)
{
    struct record_key key = {.size = 0};

    key_add(&key, prefix, strlen(prefix));
    key_add(&key, id, id_size);
    return key;
}

static void write_big_endian(uint8_t ret_bytes[8], uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        ret_bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

struct record_key record_key_settings(void)
{
    return key_make("c/settings", "", 0);
}

struct record_key record_key_authority(void)
{
    return key_make("c/ca", "", 0);
}

struct record_key record_key_token(const uint8_t id[16])
{
    return key_make("c/t/", id, 16);
}

struct record_key record_key_node(uint64_t raft_id)
{
    uint8_t number[8]; /* big-endian, so that the order of keys is that of numbers */

    write_big_endian(number, raft_id);
    return key_make("n/", number, sizeof number);
}

struct record_key record_key_client(const uint8_t id[CLIENT_ID_SIZE])
{
    return key_make("a/", id, CLIENT_ID_SIZE);
}

struct record_key record_key_partition(const uint8_t id[PARTITION_ID_SIZE])
{
    return key_make("p/", id, PARTITION_ID_SIZE);
}

struct record_key record_key_logins(const uint8_t partition[PARTITION_ID_SIZE], uint32_t role)
{
    struct record_key key = key_make("l/", partition, PARTITION_ID_SIZE);
    uint8_t number = (uint8_t)role;

    QH_ASSERT(role <= UINT8_MAX);
    key_add(&key, "/", 1);
    key_add(&key, &number, 1);
    return key;
}

struct record_key record_key_object(const uint8_t partition[PARTITION_ID_SIZE],
                                    const uint8_t object[OBJECT_ID_SIZE])
{
    struct record_key key = record_prefix_objects(partition);

    key_add(&key, object, OBJECT_ID_SIZE);
    return key;
}

struct record_key record_prefix(const char *letter)
{
    return key_make(letter, "/", 1);
}

struct record_key record_prefix_objects(const uint8_t partition[PARTITION_ID_SIZE])
{
    struct record_key key = key_make("o/", partition, PARTITION_ID_SIZE);

    key_add(&key, "/", 1);
    return key;
}

bool record_key_is_object(struct bytes key, const uint8_t **ret_partition,
                          const uint8_t **ret_object)
{
    if (key.size != OBJECT_KEY_SIZE || key.base[0] != 'o' || key.base[1] != '/' ||
        key.base[2 + PARTITION_ID_SIZE] != '/') {
        return false;
    }
    *ret_partition = key.base + 2;
    *ret_object = key.base + 2 + PARTITION_ID_SIZE + 1;
    return true;
}

static bool key_is_node(struct bytes key)
{
    return key.size >= 2 && key.base[0] == 'n' && key.base[1] == '/';
}

/* ---- values ---- */

static QH_RESULT message_pack(const ProtobufCMessage *message, struct secret **ret_plain)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    struct secret *plain;
    enum qh_err err;

    if (size >= STORE_VALUE_SIZE_MAX) {
        return QH_ELIMIT;
    }
    err = secret_new(1 + size, &plain);
    if (err != QH_OK) {
        return err;
    }
    secret_bytes(plain)[0] = RECORD_VERSION;
    (void)protobuf_c_message_pack(message, secret_bytes(plain) + 1);
    *ret_plain = plain;
    return QH_OK;
}

static QH_RESULT message_unpack(struct bytes plain, const ProtobufCMessageDescriptor *type,
                                ProtobufCMessage **ret_message)
{
    if (plain.size == 0) {
        return QH_EMALFORMED;
    }
    if (plain.base[0] != RECORD_VERSION) {
        return QH_EVERSION;
    }
    return wire_unpack(type, (struct bytes){plain.base + 1, plain.size - 1}, ret_message);
}

QH_RESULT record_seal(const struct keyring *keyring, const struct record_key *key, struct bytes old,
                      const ProtobufCMessage *message, struct bytes *ret_value)
{
    SECRET_SCOPED struct secret *packed = NULL;
    struct bytes plain;
    uint64_t counter = 0;
    enum qh_err err = message_pack(message, &packed);

    if (err != QH_OK) {
        return err;
    }
    plain = (struct bytes){secret_view(packed), secret_size(packed)};
    if (key_is_node(record_key_bytes(key))) {
        return keyring_sign(keyring, record_key_bytes(key), plain, ret_value);
    }
    if (old.size > 0) {
        err = seal_counter(old, &counter);
        if (err != QH_OK) {
            return err;
        }
        counter++;
    }
    return keyring_seal(keyring, record_key_bytes(key), counter, plain, ret_value);
}

QH_RESULT record_open_in(const struct keyring *keyring, struct bytes key, struct bytes value,
                         struct secret *room, const ProtobufCMessageDescriptor *type,
                         ProtobufCMessage **ret_message)
{
    struct bytes plain = {0};
    enum qh_err err;

    if (key_is_node(key)) {
        err = keyring_open_signed(keyring, key, value, &plain);
    } else {
        QH_ASSERT(keyring != NULL);
        err = keyring_open_in(keyring, key, value, room, &plain.size);
        plain.base = secret_view(room);
    }
    return err == QH_OK ? message_unpack(plain, type, ret_message) : err;
}

QH_RESULT record_open(const struct keyring *keyring, struct bytes key, struct bytes value,
                      const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_message)
{
    SECRET_SCOPED struct secret *room = NULL;

    if (!key_is_node(key)) {
        enum qh_err err;

        /* Nothing that was sealed here is as small. */
        if (value.size <= SEAL_OVERHEAD) {
            return QH_EMALFORMED;
        }
        err = secret_new(value.size - SEAL_OVERHEAD, &room);
        if (err != QH_OK) {
            return err == QH_ELIMIT ? QH_EMALFORMED : err;
        }
    }
    return record_open_in(keyring, key, value, room, type, ret_message);
}

QH_RESULT record_load(const struct keyring *keyring, const struct store *store,
                      const struct record_key *key, const ProtobufCMessageDescriptor *type,
                      ProtobufCMessage **ret_message, struct store_record *ret_record)
{
    struct store_record record;
    enum qh_err err;

    if (!store_get(store, record_key_bytes(key), &record)) {
        return QH_ENOTFOUND;
    }
    err = record_open(keyring, record_key_bytes(key), record.value, type, ret_message);
    if (err == QH_OK && ret_record != NULL) {
        *ret_record = record;
    }
    return err;
}
