/* The keys that come from the cluster master key. */
#include "hsm/keyring.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/seal.h"

#define KEYRING_CLUSTER_SIZE 16u

struct keyring {
    uint8_t cluster[KEYRING_CLUSTER_SIZE];
    struct secret *records;
    struct secret *tickets;
    struct secret *members;
    struct secret *wrapping;
    struct secret *once;
};

_Static_assert(KEYRING_CMK_SIZE == SEAL_KEY_SIZE, "the cluster key is one to derive from");

QH_RESULT keyring_new(const struct secret *cmk, const uint8_t cluster[16],
                      struct keyring **ret_keyring)
{
    struct keyring *keyring;
    enum qh_err err;

    if (secret_size(cmk) != KEYRING_CMK_SIZE) {
        return QH_EINVAL;
    }
    keyring = calloc(1, sizeof *keyring);
    if (keyring == NULL) {
        return QH_ENOMEM;
    }
    memcpy(keyring->cluster, cluster, KEYRING_CLUSTER_SIZE);
    err = seal_derive(cmk, "records", 0, &keyring->records);
    if (err == QH_OK) {
        err = seal_derive(cmk, "tickets", 0, &keyring->tickets);
    }
    if (err == QH_OK) {
        err = seal_derive(cmk, "members", 0, &keyring->members);
    }
    if (err == QH_OK) {
        err = seal_derive(cmk, "wrapping", 0, &keyring->wrapping);
    }
    if (err == QH_OK) {
        err = seal_derive(cmk, "once", 0, &keyring->once);
    }
    if (err != QH_OK) {
        keyring_free(keyring);
        return err;
    }
    *ret_keyring = keyring;
    return QH_OK;
}

void keyring_free(struct keyring *keyring)
{
    if (keyring == NULL) {
        return;
    }
    secret_free(keyring->records);
    secret_free(keyring->tickets);
    secret_free(keyring->members);
    secret_free(keyring->wrapping);
    secret_free(keyring->once);
    free(keyring);
}

const uint8_t *keyring_cluster(const struct keyring *keyring)
{
    return keyring->cluster;
}

const struct secret *keyring_ticket_key(const struct keyring *keyring)
{
    return keyring->tickets;
}

const struct secret *keyring_once_key(const struct keyring *keyring)
{
    return keyring->once;
}

/* ---- sealed records ---- */

QH_RESULT keyring_seal(const struct keyring *keyring, struct bytes record_key, uint64_t counter,
                       struct bytes plain, struct bytes *ret_value)
{
    struct seal_place place = {keyring->cluster, record_key, counter};
    uint8_t *base;
    size_t size;

    if (plain.size == 0) {
        return QH_EINVAL;
    }
    if (plain.size > STORE_VALUE_SIZE_MAX - SEAL_OVERHEAD) {
        return QH_ELIMIT;
    }
    base = malloc(plain.size + SEAL_OVERHEAD);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    /* There is room, so it cannot fail. */
    QH_ASSERT(seal_close(keyring->records, &place, plain, base, plain.size + SEAL_OVERHEAD,
                         &size) == QH_OK);
    *ret_value = (struct bytes){base, size};
    return QH_OK;
}

QH_RESULT keyring_open_in(const struct keyring *keyring, struct bytes record_key,
                          struct bytes value, struct secret *room, size_t *ret_size)
{
    struct seal_place place = {.cluster = keyring->cluster, .record_key = record_key};

    return seal_open(keyring->records, &place, value, secret_bytes(room), secret_size(room),
                     ret_size);
}

QH_RESULT keyring_open(const struct keyring *keyring, struct bytes record_key, struct bytes value,
                       struct secret **ret_plain, uint64_t *ret_counter)
{
    struct seal_place place = {.cluster = keyring->cluster, .record_key = record_key};
    uint64_t counter;
    enum qh_err err = seal_counter(value, &counter);

    if (err == QH_OK) {
        err = seal_open_secret(keyring->records, &place, value, ret_plain);
    }
    if (err == QH_OK && ret_counter != NULL) {
        *ret_counter = counter;
    }
    return err;
}

/* ---- signed records ---- */

/* What is signed: cluster, u16 size of the record's key, that key, the text. */
static QH_RESULT signed_data(const struct keyring *keyring, struct bytes record_key,
                             struct bytes plain, struct bytes *ret_data)
{
    size_t room = KEYRING_CLUSTER_SIZE + 2 + record_key.size + plain.size;
    struct bytes_writer writer;
    uint8_t *base = malloc(room);

    QH_ASSERT(record_key.size <= STORE_KEY_SIZE_MAX);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    bytes_writer_init(&writer, base, room);
    bytes_write_span(&writer, keyring->cluster, KEYRING_CLUSTER_SIZE);
    bytes_write_u16(&writer, (uint16_t)record_key.size);
    bytes_write_span(&writer, record_key.base, record_key.size);
    bytes_write_span(&writer, plain.base, plain.size);
    QH_ASSERT(!writer.failed);
    *ret_data = (struct bytes){base, room};
    return QH_OK;
}

static void data_free(struct bytes data)
{
    free((void *)(uintptr_t)data.base);
}

QH_RESULT keyring_sign(const struct keyring *keyring, struct bytes record_key, struct bytes plain,
                       struct bytes *ret_value)
{
    struct bytes data;
    uint8_t *base;
    enum qh_err err;

    if (plain.size > STORE_VALUE_SIZE_MAX - SEAL_MAC_SIZE) {
        return QH_ELIMIT;
    }
    err = signed_data(keyring, record_key, plain, &data);
    if (err != QH_OK) {
        return err;
    }
    base = malloc(SEAL_MAC_SIZE + plain.size);
    if (base == NULL) {
        err = QH_ENOMEM;
        goto out;
    }
    seal_mac(keyring->members, data, base);
    if (plain.size > 0) {
        memcpy(base + SEAL_MAC_SIZE, plain.base, plain.size);
    }
    *ret_value = (struct bytes){base, SEAL_MAC_SIZE + plain.size};
out:
    data_free(data);
    return err;
}

QH_RESULT keyring_open_signed(const struct keyring *keyring, struct bytes record_key,
                              struct bytes value, struct bytes *ret_plain)
{
    struct bytes plain, data;
    enum qh_err err = QH_OK;

    if (value.size < SEAL_MAC_SIZE || value.size > STORE_VALUE_SIZE_MAX) {
        return QH_EMALFORMED;
    }
    plain = (struct bytes){value.base + SEAL_MAC_SIZE, value.size - SEAL_MAC_SIZE};
    if (keyring != NULL) {
        err = signed_data(keyring, record_key, plain, &data);
        if (err == QH_OK) {
            err = seal_mac_check(keyring->members, data, (struct bytes){value.base, SEAL_MAC_SIZE});
            data_free(data);
        }
    }
    if (err == QH_OK) {
        *ret_plain = plain;
    }
    return err;
}

/* ---- partition keys ---- */

QH_RESULT keyring_partition_new(const struct keyring *keyring,
                                const uint8_t partition[PARTITION_ID_SIZE], struct secret **ret_key,
                                struct bytes *ret_wrapped)
{
    struct seal_place place = {keyring->cluster, {partition, PARTITION_ID_SIZE}, 0};
    struct secret *key = NULL;
    uint8_t *wrapped = NULL;
    size_t size;
    enum qh_err err = secret_new(SEAL_KEY_SIZE, &key);

    if (err != QH_OK) {
        return err;
    }
    wrapped = malloc(SEAL_KEY_SIZE + SEAL_OVERHEAD);
    if (wrapped == NULL) {
        secret_free(key);
        return QH_ENOMEM;
    }
    randombytes_buf(secret_bytes(key), SEAL_KEY_SIZE);
    QH_ASSERT(seal_close(keyring->wrapping, &place, (struct bytes){secret_view(key), SEAL_KEY_SIZE},
                         wrapped, SEAL_KEY_SIZE + SEAL_OVERHEAD, &size) == QH_OK);
    *ret_key = key;
    *ret_wrapped = (struct bytes){wrapped, size};
    return QH_OK;
}

QH_RESULT keyring_partition_open(const struct keyring *keyring,
                                 const uint8_t partition[PARTITION_ID_SIZE], struct bytes wrapped,
                                 struct secret **ret_key)
{
    struct seal_place place = {keyring->cluster, {partition, PARTITION_ID_SIZE}, 0};

    if (wrapped.size != SEAL_KEY_SIZE + SEAL_OVERHEAD) {
        return QH_EMALFORMED;
    }
    return seal_open_secret(keyring->wrapping, &place, wrapped, ret_key);
}
