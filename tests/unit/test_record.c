/* Counted records: what they copy, and the limits of what they take. */
#include "store/record.h"

#include <signal.h>

#include "base/limits.h"
#include "tests/unit/failing_heap.h"
#include "tests/unit/store_fixture.h"

START_TEST(a_record_is_a_copy_of_key_and_value)
{
    char key[] = "key", value[] = "value";
    struct record *record = record_new(text(key), text(value));

    ck_assert_ptr_nonnull(record);
    memset(key, 0, sizeof key);
    memset(value, 0, sizeof value);
    ck_assert_int_eq(bytes_compare(record_key(record), text("key")), 0);
    ck_assert_int_eq(bytes_compare(record_value(record), text("value")), 0);
    ck_assert_uint_eq(record->create_revision, 0);
    ck_assert_uint_eq(record->mod_revision, 0);
    ck_assert_uint_eq(record->expires_at, 0);
    record_unref(record);
}
END_TEST

START_TEST(a_record_lives_until_its_last_holder_lets_go)
{
    struct record *record = record_new(text("k"), text(""));

    ck_assert_ptr_nonnull(record);
    ck_assert_ptr_eq(record_ref(record), record);
    record_unref(record);
    ck_assert_uint_eq(record->refs, 1);
    ck_assert_uint_eq(record_value(record).size, 0);
    record_unref(record);
}
END_TEST

START_TEST(the_largest_record_fits)
{
    static uint8_t bytes[STORE_VALUE_SIZE_MAX];
    struct bytes key = {bytes, STORE_KEY_SIZE_MAX};
    struct bytes value = {bytes, STORE_VALUE_SIZE_MAX};
    struct record *record;

    bytes[STORE_VALUE_SIZE_MAX - 1] = 0xab;
    record = record_new(key, value);
    ck_assert_ptr_nonnull(record);
    ck_assert_int_eq(bytes_compare(record_key(record), key), 0);
    ck_assert_int_eq(bytes_compare(record_value(record), value), 0);
    record_unref(record);
}
END_TEST

START_TEST(a_key_above_its_limit_is_a_programmers_error)
{
    static uint8_t bytes[STORE_KEY_SIZE_MAX + 1];
    struct bytes key = {bytes, sizeof bytes};

    (void)record_new(key, text(""));
}
END_TEST

START_TEST(an_empty_key_is_a_programmers_error)
{
    (void)record_new(text(""), text(""));
}
END_TEST

START_TEST(no_memory_is_no_record)
{
    heap_countdown = 1;
    ck_assert_ptr_null(record_new(text("k"), text("v")));
    ck_assert(!heap_spared());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *tcase = tcase_create("record");

    tcase_add_test(tcase, a_record_is_a_copy_of_key_and_value);
    tcase_add_test(tcase, a_record_lives_until_its_last_holder_lets_go);
    tcase_add_test(tcase, the_largest_record_fits);
    tcase_add_test_raise_signal(tcase, a_key_above_its_limit_is_a_programmers_error, SIGABRT);
    tcase_add_test_raise_signal(tcase, an_empty_key_is_a_programmers_error, SIGABRT);
    tcase_add_test(tcase, no_memory_is_no_record);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
