/* Records: their keys, and messages that are sealed, opened and counted. */
#include "hsm/record.h"

#include "crypto/seal.h"
#include "tests/unit/hsm_fixture.h"

static struct keyring *keyring;
static struct store *store;

static void setup(void)
{
    keyring = hsm_keyring(1);
    store = hsm_store();
}

static void teardown(void)
{
    keyring_free(keyring);
    store_free(store);
}

static void check_key(struct record_key key, const char *prefix, size_t size)
{
    ck_assert_uint_eq(key.size, size);
    ck_assert_mem_eq(key.base, prefix, strlen(prefix));
}

START_TEST(keys_are_those_of_the_decision)
{
    static const uint8_t id[16] = "0123456789abcdef";
    static const uint8_t object[16] = "ABCDEFGHIJKLMNOP";

    check_key(record_key_settings(), "c/settings", 10);
    check_key(record_key_authority(), "c/ca", 4);
    check_key(record_key_token(id), "c/t/0123456789abcdef", 20);
    check_key(record_key_client(id), "a/0123456789abcdef", 18);
    check_key(record_key_partition(id), "p/0123456789abcdef", 18);
    check_key(record_key_logins(id, HSM_ROLE_CO), "l/0123456789abcdef/\3", 20);
    check_key(record_key_object(id, object), "o/0123456789abcdef/ABCDEFGHIJKLMNOP", 35);
    check_key(record_prefix("n"), "n/", 2);
    check_key(record_prefix_objects(id), "o/0123456789abcdef/", 19);
}
END_TEST

START_TEST(node_keys_sort_as_their_numbers)
{
    struct record_key low = record_key_node(255);
    struct record_key high = record_key_node(256);

    ck_assert_uint_eq(low.size, 10);
    ck_assert_mem_eq(low.base, "n/\0\0\0\0\0\0\0\xff", 10);
    ck_assert_int_lt(bytes_compare(record_key_bytes(&low), record_key_bytes(&high)), 0);
}
END_TEST

START_TEST(object_keys_are_told_from_others)
{
    static const uint8_t id[16] = "0123456789abcdef";
    static const uint8_t object[16] = "ABCDEFGHIJKLMNOP";
    struct record_key key = record_key_object(id, object);
    struct record_key prefix = record_prefix_objects(id);
    const uint8_t *partition_at = NULL, *object_at = NULL;

    ck_assert(record_key_is_object(record_key_bytes(&key), &partition_at, &object_at));
    ck_assert_mem_eq(partition_at, id, 16);
    ck_assert_mem_eq(object_at, object, 16);
    ck_assert(!record_key_is_object(record_key_bytes(&prefix), &partition_at, &object_at));
    ck_assert(!record_key_is_object((struct bytes){NULL, 0}, &partition_at, &object_at));
    key.base[18] = '.';
    ck_assert(!record_key_is_object(record_key_bytes(&key), &partition_at, &object_at));
    key.base[18] = '/';
    key.base[0] = 'p';
    ck_assert(!record_key_is_object(record_key_bytes(&key), &partition_at, &object_at));
}
END_TEST

static struct bytes stored(const struct record_key *key)
{
    struct store_record record;

    ck_assert(store_get(store, record_key_bytes(key), &record));
    return record.value;
}

START_TEST(a_message_is_loaded_as_it_was_put)
{
    struct record_key key = record_key_settings();
    ProtobufCMessage *message = NULL;
    struct store_record record;
    Qhrec__Settings *settings;

    ck_assert_int_eq(
        record_load(keyring, store, &key, &qhrec__settings__descriptor, &message, NULL),
        QH_ENOTFOUND);
    ck_assert_ptr_null(message);
    hsm_put_settings(store, keyring);
    ck_assert_int_eq(
        record_load(keyring, store, &key, &qhrec__settings__descriptor, &message, &record), QH_OK);
    settings = (Qhrec__Settings *)message;
    ck_assert_str_eq(settings->cluster_name, "test");
    ck_assert_str_eq(settings->so->verifier, "verifier of so");
    ck_assert_uint_eq(record.mod_revision, 1);
    ck_assert_ptr_null(memmem(record.value.base, record.value.size, "verifier", 8));
    wire_message_free(message);
}
END_TEST

START_TEST(each_write_raises_the_counter)
{
    struct record_key key = record_key_settings();
    uint64_t counter = 99;

    for (uint64_t i = 0; i < 3; i++) {
        hsm_put_settings(store, keyring);
        ck_assert_int_eq(seal_counter(stored(&key), &counter), QH_OK);
        ck_assert_uint_eq(counter, i);
    }
}
END_TEST

START_TEST(a_message_without_content_can_be_kept)
{
    Qhrec__Logins logins;
    struct record_key key = record_key_logins(hsm_cluster, HSM_ROLE_CO);
    ProtobufCMessage *message = NULL;

    qhrec__logins__init(&logins);
    ck_assert_uint_eq(protobuf_c_message_get_packed_size(&logins.base), 0);
    hsm_put(store, keyring, &key, &logins.base);
    ck_assert_int_eq(record_load(keyring, store, &key, &qhrec__logins__descriptor, &message, NULL),
                     QH_OK);
    wire_message_free(message);
}
END_TEST

START_TEST(a_value_of_another_record_does_not_open)
{
    struct record_key settings = record_key_settings();
    struct record_key authority = record_key_authority();
    ProtobufCMessage *message = NULL;

    hsm_put_settings(store, keyring);
    hsm_put_value(store, &authority, stored(&settings));
    ck_assert_int_eq(
        record_load(keyring, store, &authority, &qhrec__settings__descriptor, &message, NULL),
        QH_ECORRUPT);
    ck_assert_ptr_null(message);
}
END_TEST

START_TEST(what_is_no_message_or_of_another_version_is_told)
{
    struct record_key key = record_key_settings();
    ProtobufCMessage *message = NULL;
    struct bytes value;

    ck_assert_int_eq(
        keyring_seal(keyring, record_key_bytes(&key), 0, hsm_text("\1\xff\xff"), &value), QH_OK);
    ck_assert_int_eq(
        record_open(keyring, record_key_bytes(&key), value, &qhrec__settings__descriptor, &message),
        QH_EMALFORMED);
    hsm_free(value);
    ck_assert_int_eq(keyring_seal(keyring, record_key_bytes(&key), 0, hsm_text("\2"), &value),
                     QH_OK);
    ck_assert_int_eq(
        record_open(keyring, record_key_bytes(&key), value, &qhrec__settings__descriptor, &message),
        QH_EVERSION);
    hsm_free(value);
    ck_assert_int_eq(record_open(keyring, record_key_bytes(&key), hsm_text("short"),
                                 &qhrec__settings__descriptor, &message),
                     QH_EMALFORMED);
    ck_assert_ptr_null(message);
}
END_TEST

START_TEST(a_new_value_is_not_sealed_over_one_that_makes_no_sense)
{
    Qhrec__Logins logins;
    struct record_key key = record_key_logins(hsm_cluster, HSM_ROLE_CO);
    struct bytes value = {0};

    qhrec__logins__init(&logins);
    ck_assert_int_eq(record_seal(keyring, &key, hsm_text("junk"), &logins.base, &value),
                     QH_EVERSION);
    ck_assert_ptr_null(value.base);
}
END_TEST

START_TEST(node_records_are_read_without_a_key_and_checked_with_it)
{
    struct keyring *other = hsm_keyring(2);
    Qhrec__Node node;
    struct record_key key = record_key_node(7);
    ProtobufCMessage *message = NULL;

    qhrec__node__init(&node);
    node.raft_id = 7;
    node.name = (char[]){"eu-1"};
    hsm_put(store, keyring, &key, &node.base);
    ck_assert_int_eq(record_load(NULL, store, &key, &qhrec__node__descriptor, &message, NULL),
                     QH_OK);
    ck_assert_str_eq(((Qhrec__Node *)message)->name, "eu-1");
    wire_message_free(message);
    message = NULL;
    ck_assert_int_eq(record_load(keyring, store, &key, &qhrec__node__descriptor, &message, NULL),
                     QH_OK);
    wire_message_free(message);
    message = NULL;
    ck_assert_int_eq(record_load(other, store, &key, &qhrec__node__descriptor, &message, NULL),
                     QH_ECORRUPT);
    ck_assert_ptr_null(message);
    keyring_free(other);
}
END_TEST

START_TEST(a_message_that_is_too_long_is_refused)
{
    Qhrec__Settings settings;
    struct record_key key = record_key_settings();
    struct bytes value = {0};
    char *name = malloc(STORE_VALUE_SIZE_MAX);
    /* Field tag and 3 bytes of length before the text; version and seal around it. */
    size_t most = STORE_VALUE_SIZE_MAX - SEAL_OVERHEAD - 1 - 4;

    qhrec__settings__init(&settings);
    memset(name, 'x', STORE_VALUE_SIZE_MAX);
    name[most + 1] = '\0';
    settings.cluster_name = name;
    ck_assert_int_eq(record_seal(keyring, &key, (struct bytes){NULL, 0}, &settings.base, &value),
                     QH_ELIMIT);
    name[most] = '\0';
    ck_assert_int_eq(record_seal(keyring, &key, (struct bytes){NULL, 0}, &settings.base, &value),
                     QH_OK);
    ck_assert_uint_eq(value.size, STORE_VALUE_SIZE_MAX);
    hsm_free(value);
    free(name);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hsm_record");
    TCase *tcase = tcase_create("hsm_record");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, keys_are_those_of_the_decision);
    tcase_add_test(tcase, node_keys_sort_as_their_numbers);
    tcase_add_test(tcase, object_keys_are_told_from_others);
    tcase_add_test(tcase, a_message_is_loaded_as_it_was_put);
    tcase_add_test(tcase, each_write_raises_the_counter);
    tcase_add_test(tcase, a_message_without_content_can_be_kept);
    tcase_add_test(tcase, a_value_of_another_record_does_not_open);
    tcase_add_test(tcase, what_is_no_message_or_of_another_version_is_told);
    tcase_add_test(tcase, a_new_value_is_not_sealed_over_one_that_makes_no_sense);
    tcase_add_test(tcase, node_records_are_read_without_a_key_and_checked_with_it);
    tcase_add_test(tcase, a_message_that_is_too_long_is_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
