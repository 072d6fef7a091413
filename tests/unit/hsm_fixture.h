/* What the tests of src/hsm share: a keyring, a store, and records put into it. */
#ifndef QH_TESTS_UNIT_HSM_FIXTURE_H
#define QH_TESTS_UNIT_HSM_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "hsm/directory.h"
#include "hsm/record.h"
#include "store/txn.h"
#include "tests/lib/test.h"
#include "wire/frame.h"

#define NOW_MS 1900000000000u

static const uint8_t hsm_cluster[16] = {'c', 'l', 'u', 's', 't', 'e', 'r'};

static inline struct bytes hsm_text(const char *chars)
{
    return (struct bytes){(const uint8_t *)chars, strlen(chars)};
}

static inline void hsm_free(struct bytes value)
{
    free((void *)(uintptr_t)value.base);
}

/* An id that is @fill all over. */
static inline ProtobufCBinaryData hsm_id(uint8_t *room, size_t size, uint8_t fill)
{
    memset(room, fill, size);
    return (ProtobufCBinaryData){size, room};
}

/* A keyring of the cluster key that is @fill all over. */
static inline struct keyring *hsm_keyring(uint8_t fill)
{
    struct keyring *keyring = NULL;
    struct secret *cmk = NULL;

    ck_assert_int_eq(secret_setup(), QH_OK);
    ck_assert_int_eq(secret_new(KEYRING_CMK_SIZE, &cmk), QH_OK);
    memset(secret_bytes(cmk), fill, KEYRING_CMK_SIZE);
    ck_assert_int_eq(keyring_new(cmk, hsm_cluster, &keyring), QH_OK);
    secret_free(cmk);
    return keyring;
}

static inline struct store *hsm_store(void)
{
    struct store *store = NULL;

    ck_assert_int_eq(store_new(&store), QH_OK);
    return store;
}

static inline void hsm_put_value(struct store *store, const struct record_key *key,
                                 struct bytes value)
{
    static const uint8_t id[ONCE_ID_SIZE] = {1};
    struct txn_builder builder;
    struct bytes encoded;

    txn_build_plain(&builder, id, 0);
    txn_build_put(&builder, record_key_bytes(key), value, 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_int_eq(store_apply(store, encoded).status, STORE_APPLIED);
    hsm_free(encoded);
}

static inline void hsm_put(struct store *store, const struct keyring *keyring,
                           const struct record_key *key, const ProtobufCMessage *message)
{
    struct store_record old = {.value = {NULL, 0}};
    struct bytes value;

    (void)store_get(store, record_key_bytes(key), &old);
    ck_assert_int_eq(record_seal(keyring, key, old.value, message, &value), QH_OK);
    hsm_put_value(store, key, value);
    hsm_free(value);
}

/* The partition whose id is @fill all over, with a PIN of co at @epoch. */
static inline void hsm_put_partition(struct store *store, const struct keyring *keyring,
                                     uint8_t fill, const char *name, uint64_t epoch)
{
    uint8_t id[PARTITION_ID_SIZE];
    Qhrec__Partition partition;
    Qhrec__RoleAuth role;
    Qhrec__RoleAuth *roles[] = {&role};
    struct record_key key;
    struct bytes wrapped;
    struct secret *secret;

    qhrec__partition__init(&partition);
    qhrec__role_auth__init(&role);
    partition.id = hsm_id(id, sizeof id, fill);
    ck_assert_int_eq(keyring_partition_new(keyring, id, &secret, &wrapped), QH_OK);
    secret_free(secret);
    partition.name = (char *)(uintptr_t)name;
    partition.serial = (char[]){"0123456789abcdef"};
    partition.wrapped_key = (ProtobufCBinaryData){wrapped.size, (uint8_t *)(uintptr_t)wrapped.base};
    partition.tries = 10;
    partition.tries_total = 100;
    partition.n_roles = 1;
    partition.roles = roles;
    role.role = HSM_ROLE_CO;
    role.verifier = (char[]){"verifier"};
    role.epoch = epoch;
    key = record_key_partition(id);
    hsm_put(store, keyring, &key, &partition.base);
    hsm_free(wrapped);
}

/* The client whose id is @fill, and its fingerprint that of ~@fill; may use one partition, or, with
 * @partition zero, all. */
static inline void hsm_put_client(struct store *store, const struct keyring *keyring, uint8_t fill,
                                  const char *name, uint8_t partition, bool admin)
{
    uint8_t id[CLIENT_ID_SIZE], fingerprint[FINGERPRINT_SIZE], may[PARTITION_ID_SIZE];
    Qhrec__Client client;
    ProtobufCBinaryData partitions[1];
    struct record_key key;

    qhrec__client__init(&client);
    client.id = hsm_id(id, sizeof id, fill);
    client.fingerprint = hsm_id(fingerprint, sizeof fingerprint, (uint8_t)~fill);
    client.name = (char *)(uintptr_t)name;
    client.admin = admin;
    client.enrolled_unix_s = 1234;
    partitions[0] = hsm_id(may, sizeof may, partition);
    client.n_partitions = partition != 0;
    client.partitions = partitions;
    key = record_key_client(id);
    hsm_put(store, keyring, &key, &client.base);
}

static inline void hsm_put_settings(struct store *store, const struct keyring *keyring)
{
    Qhrec__Settings settings;
    Qhrec__RoleAuth so;
    struct record_key key = record_key_settings();

    qhrec__settings__init(&settings);
    qhrec__role_auth__init(&so);
    settings.cluster_name = (char[]){"test"};
    settings.partitions_max = 10;
    settings.so = &so;
    so.role = HSM_ROLE_SO;
    so.verifier = (char[]){"verifier of so"};
    so.epoch = 3;
    hsm_put(store, keyring, &key, &settings.base);
}

static inline struct directory *hsm_directory(const struct keyring *keyring,
                                              const struct store *store)
{
    struct directory *directory = NULL;

    ck_assert_int_eq(directory_build(keyring, store, &directory), QH_OK);
    return directory;
}

#endif
