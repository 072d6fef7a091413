/* The keyring: what is sealed opens under its record's key alone, what is signed cannot change. */
#include "hsm/keyring.h"

#include "crypto/seal.h"
#include "tests/unit/hsm_fixture.h"

static struct keyring *keyring;
static struct keyring *other;

static void setup(void)
{
    keyring = hsm_keyring(1);
    other = hsm_keyring(2);
}

static void teardown(void)
{
    keyring_free(keyring);
    keyring_free(other);
}

static struct bytes seal(const char *key, const char *plain)
{
    struct bytes value;

    ck_assert_int_eq(keyring_seal(keyring, hsm_text(key), 5, hsm_text(plain), &value), QH_OK);
    return value;
}

START_TEST(a_sealed_value_opens_under_its_key)
{
    SECRET_SCOPED struct secret *plain = NULL;
    SECRET_SCOPED struct secret *again = NULL;
    struct bytes value = seal("a/1", "text");
    uint64_t counter = 0;

    ck_assert_int_eq(keyring_open(keyring, hsm_text("a/1"), value, &plain, &counter), QH_OK);
    ck_assert_uint_eq(counter, 5);
    ck_assert_uint_eq(secret_size(plain), 4);
    ck_assert_mem_eq(secret_view(plain), "text", 4);
    ck_assert_int_eq(keyring_open(keyring, hsm_text("a/1"), value, &again, NULL), QH_OK);
    hsm_free(value);
}
END_TEST

START_TEST(a_sealed_value_opens_nowhere_else)
{
    struct bytes value = seal("a/1", "text");
    struct secret *plain = NULL;
    uint64_t counter = 99;

    ck_assert_int_eq(keyring_open(keyring, hsm_text("a/2"), value, &plain, &counter), QH_ECORRUPT);
    ck_assert_int_eq(keyring_open(other, hsm_text("a/1"), value, &plain, &counter), QH_ECORRUPT);
    ck_assert_ptr_null(plain);
    ck_assert_uint_eq(counter, 99);
    hsm_free(value);
}
END_TEST

START_TEST(a_value_opens_into_room_that_is_used_again)
{
    SECRET_SCOPED struct secret *room = NULL;
    struct bytes value = seal("a/1", "text");
    size_t size = 0;

    ck_assert_int_eq(secret_new(4, &room), QH_OK);
    ck_assert_int_eq(keyring_open_in(keyring, hsm_text("a/1"), value, room, &size), QH_OK);
    ck_assert_uint_eq(size, 4);
    ck_assert_mem_eq(secret_view(room), "text", 4);
    secret_cleanup(&room);
    ck_assert_int_eq(secret_new(3, &room), QH_OK);
    ck_assert_int_eq(keyring_open_in(keyring, hsm_text("a/1"), value, room, &size), QH_EROOM);
    hsm_free(value);
}
END_TEST

START_TEST(a_value_has_room_for_what_a_record_may_hold)
{
    size_t most = STORE_VALUE_SIZE_MAX - SEAL_OVERHEAD;
    uint8_t *plain = calloc(1, most + 1);
    struct bytes value = {0};

    ck_assert_int_eq(
        keyring_seal(keyring, hsm_text("k"), 0, (struct bytes){plain, most + 1}, &value),
        QH_ELIMIT);
    ck_assert_int_eq(keyring_seal(keyring, hsm_text("k"), 0, (struct bytes){plain, 0}, &value),
                     QH_EINVAL);
    ck_assert_ptr_null(value.base);
    ck_assert_int_eq(keyring_seal(keyring, hsm_text("k"), 0, (struct bytes){plain, most}, &value),
                     QH_OK);
    ck_assert_uint_eq(value.size, STORE_VALUE_SIZE_MAX);
    hsm_free(value);
    free(plain);
}
END_TEST

START_TEST(a_cluster_key_of_another_size_is_refused)
{
    SECRET_SCOPED struct secret *cmk = NULL;
    struct keyring *none = NULL;

    ck_assert_int_eq(secret_new(31, &cmk), QH_OK);
    ck_assert_int_eq(keyring_new(cmk, hsm_cluster, &none), QH_EINVAL);
    ck_assert_ptr_null(none);
    keyring_free(NULL);
}
END_TEST

START_TEST(a_keyring_knows_its_cluster_and_ticket_key)
{
    ck_assert_mem_eq(keyring_cluster(keyring), hsm_cluster, 16);
    ck_assert_uint_eq(secret_size(keyring_ticket_key(keyring)), SEAL_KEY_SIZE);
    ck_assert(!secret_equal(keyring_ticket_key(keyring), keyring_ticket_key(other)));
}
END_TEST

START_TEST(a_signed_value_is_readable_and_cannot_be_changed)
{
    struct bytes value, plain;
    uint8_t *changed;

    ck_assert_int_eq(keyring_sign(keyring, hsm_text("n/1"), hsm_text("eu-1"), &value), QH_OK);
    ck_assert_uint_eq(value.size, SEAL_MAC_SIZE + 4);
    ck_assert_mem_eq(value.base + SEAL_MAC_SIZE, "eu-1", 4);
    ck_assert_int_eq(keyring_open_signed(keyring, hsm_text("n/1"), value, &plain), QH_OK);
    ck_assert_uint_eq(plain.size, 4);
    ck_assert_ptr_eq(plain.base, value.base + SEAL_MAC_SIZE);
    ck_assert_int_eq(keyring_open_signed(keyring, hsm_text("n/2"), value, &plain), QH_ECORRUPT);
    ck_assert_int_eq(keyring_open_signed(other, hsm_text("n/1"), value, &plain), QH_ECORRUPT);
    changed = (uint8_t *)(uintptr_t)value.base;
    for (size_t i = 0; i < value.size; i++) {
        changed[i] ^= 1;
        ck_assert_int_eq(keyring_open_signed(keyring, hsm_text("n/1"), value, &plain), QH_ECORRUPT);
        changed[i] ^= 1;
    }
    hsm_free(value);
}
END_TEST

START_TEST(bytes_do_not_move_between_key_and_text)
{
    struct bytes value, plain;

    ck_assert_int_eq(keyring_sign(keyring, hsm_text("n/1"), hsm_text("2x"), &value), QH_OK);
    ck_assert_int_eq(keyring_open_signed(keyring, hsm_text("n/12"),
                                         (struct bytes){value.base, value.size - 1}, &plain),
                     QH_ECORRUPT);
    hsm_free(value);
}
END_TEST

START_TEST(without_a_keyring_a_signed_value_is_read_unchecked)
{
    struct bytes value, plain;

    ck_assert_int_eq(keyring_sign(keyring, hsm_text("n/1"), hsm_text(""), &value), QH_OK);
    ck_assert_int_eq(keyring_open_signed(NULL, hsm_text("n/2"), value, &plain), QH_OK);
    ck_assert_uint_eq(plain.size, 0);
    ck_assert_int_eq(
        keyring_open_signed(NULL, hsm_text("n/2"), (struct bytes){value.base, 31}, &plain),
        QH_EMALFORMED);
    hsm_free(value);
}
END_TEST

START_TEST(a_signed_value_has_a_limit)
{
    size_t most = STORE_VALUE_SIZE_MAX - SEAL_MAC_SIZE;
    uint8_t *plain = calloc(1, most + 1);
    struct bytes value = {0}, back;

    ck_assert_int_eq(keyring_sign(keyring, hsm_text("n"), (struct bytes){plain, most + 1}, &value),
                     QH_ELIMIT);
    ck_assert_int_eq(keyring_sign(keyring, hsm_text("n"), (struct bytes){plain, most}, &value),
                     QH_OK);
    ck_assert_int_eq(keyring_open_signed(keyring, hsm_text("n"), value, &back), QH_OK);
    hsm_free(value);
    free(plain);
}
END_TEST

START_TEST(a_partition_key_opens_for_its_partition_alone)
{
    static const uint8_t id[PARTITION_ID_SIZE] = {7};
    static const uint8_t other_id[PARTITION_ID_SIZE] = {8};
    SECRET_SCOPED struct secret *key = NULL;
    SECRET_SCOPED struct secret *opened = NULL;
    SECRET_SCOPED struct secret *second = NULL;
    struct secret *none = NULL;
    struct bytes wrapped, again;

    ck_assert_int_eq(keyring_partition_new(keyring, id, &key, &wrapped), QH_OK);
    ck_assert_ptr_null(memmem(wrapped.base, wrapped.size, secret_view(key), secret_size(key)));
    ck_assert_int_eq(keyring_partition_open(keyring, id, wrapped, &opened), QH_OK);
    ck_assert(secret_equal(key, opened));
    ck_assert_int_eq(keyring_partition_open(keyring, other_id, wrapped, &none), QH_ECORRUPT);
    ck_assert_int_eq(keyring_partition_open(other, id, wrapped, &none), QH_ECORRUPT);
    wrapped.size--;
    ck_assert_int_eq(keyring_partition_open(keyring, id, wrapped, &none), QH_EMALFORMED);
    ck_assert_ptr_null(none);
    ck_assert_int_eq(keyring_partition_new(keyring, id, &second, &again), QH_OK);
    ck_assert(!secret_equal(key, second));
    hsm_free(wrapped);
    hsm_free(again);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyring");
    TCase *tcase = tcase_create("keyring");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_sealed_value_opens_under_its_key);
    tcase_add_test(tcase, a_sealed_value_opens_nowhere_else);
    tcase_add_test(tcase, a_value_opens_into_room_that_is_used_again);
    tcase_add_test(tcase, a_value_has_room_for_what_a_record_may_hold);
    tcase_add_test(tcase, a_cluster_key_of_another_size_is_refused);
    tcase_add_test(tcase, a_keyring_knows_its_cluster_and_ticket_key);
    tcase_add_test(tcase, a_signed_value_is_readable_and_cannot_be_changed);
    tcase_add_test(tcase, bytes_do_not_move_between_key_and_text);
    tcase_add_test(tcase, without_a_keyring_a_signed_value_is_read_unchecked);
    tcase_add_test(tcase, a_signed_value_has_a_limit);
    tcase_add_test(tcase, a_partition_key_opens_for_its_partition_alone);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
