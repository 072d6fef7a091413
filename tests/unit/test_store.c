/* The store, case by case: what each compare and write means, revisions, expiry,
 * scans and views. */
#include "store/store.h"

#include "tests/unit/store_fixture.h"

static struct store *store;

static void setup(void)
{
    store = fixture_store();
}

static void teardown(void)
{
    store_free(store);
}

static void assert_answer(struct store_answer answer, enum store_status status, unsigned index,
                          uint64_t revision)
{
    ck_assert_int_eq(answer.status, status);
    ck_assert_uint_eq(answer.compare_index, index);
    ck_assert_uint_eq(answer.revision, revision);
}

static bool has(const char *key)
{
    struct store_record record;

    return store_get(store, text(key), &record);
}

static void assert_record(const char *key, const char *value, uint64_t create_revision,
                          uint64_t mod_revision, uint64_t expires_at)
{
    struct store_record record;

    ck_assert_msg(store_get(store, text(key), &record), "%s is absent", key);
    ck_assert_int_eq(bytes_compare(record.key, text(key)), 0);
    ck_assert_int_eq(bytes_compare(record.value, text(value)), 0);
    ck_assert_uint_eq(record.create_revision, create_revision);
    ck_assert_uint_eq(record.mod_revision, mod_revision);
    ck_assert_uint_eq(record.expires_at, expires_at);
}

START_TEST(a_new_store_is_empty)
{
    struct store_record record = {text("untouched"), text(""), 1, 2, 3};

    ck_assert_uint_eq(store_revision(store), 0);
    ck_assert_uint_eq(store_record_count(store), 0);
    ck_assert_uint_eq(store_data_size(store), 0);
    ck_assert_uint_eq(store_count_prefix(store, text("")), 0);
    ck_assert(!store_get(store, text("a"), &record));
    ck_assert_uint_eq(record.expires_at, 3);
}
END_TEST

START_TEST(a_put_makes_a_record_and_raises_the_revision)
{
    assert_answer(fixture_put(store, "a", "one", 0), STORE_APPLIED, 0, 1);
    assert_record("a", "one", 1, 1, 0);
    ck_assert_uint_eq(store_record_count(store), 1);
    ck_assert_uint_eq(store_data_size(store), 4);
    assert_answer(fixture_put(store, "b", "", 0), STORE_APPLIED, 0, 2);
    assert_record("b", "", 2, 2, 0);
}
END_TEST

START_TEST(a_second_put_keeps_the_create_revision)
{
    (void)fixture_put(store, "a", "one", 0);
    (void)fixture_put(store, "b", "x", 0);
    assert_answer(fixture_put(store, "a", "three", 0), STORE_APPLIED, 0, 3);
    assert_record("a", "three", 1, 3, 0);
    ck_assert_uint_eq(store_record_count(store), 2);
    ck_assert_uint_eq(store_data_size(store), 6 + 2);
}
END_TEST

START_TEST(a_delete_removes_and_a_put_after_it_creates_anew)
{
    (void)fixture_put(store, "a", "one", 0);
    assert_answer(fixture_delete(store, "a"), STORE_APPLIED, 0, 2);
    ck_assert(!has("a"));
    ck_assert_uint_eq(store_data_size(store), 0);
    (void)fixture_put(store, "a", "two", 0);
    assert_record("a", "two", 3, 3, 0);
}
END_TEST

START_TEST(deleting_an_absent_key_counts_as_a_write)
{
    assert_answer(fixture_delete(store, "nobody"), STORE_APPLIED, 0, 1);
    ck_assert_uint_eq(store_record_count(store), 0);
}
END_TEST

START_TEST(a_transaction_without_writes_changes_nothing)
{
    (void)fixture_put(store, "a", "", 0);
    assert_answer(fixture_compare(store, TXN_AT_REVISION, "a", 1), STORE_APPLIED, 0, 1);
    ck_assert_uint_eq(store_revision(store), 1);
}
END_TEST

START_TEST(writes_happen_in_order_and_share_a_revision)
{
    struct txn_builder builder;

    (void)fixture_put(store, "a", "old", 0);
    (void)fixture_put(store, "d", "old", 0);
    txn_build_plain(&builder, fixture_id, 0);
    txn_build_put(&builder, text("a"), text("1"), 5);
    txn_build_put(&builder, text("a"), text("22"), 5); /* the later one stays */
    txn_build_put(&builder, text("b"), text("x"), 0);
    txn_build_delete(&builder, text("b")); /* made and gone */
    txn_build_delete(&builder, text("d"));
    txn_build_put(&builder, text("d"), text("new"), 0); /* a new record */
    assert_answer(fixture_apply(store, &builder), STORE_APPLIED, 0, 3);
    assert_record("a", "22", 1, 3, 8);
    ck_assert(!has("b"));
    assert_record("d", "new", 3, 3, 0);
    ck_assert_uint_eq(store_record_count(store), 2);
    ck_assert_uint_eq(store_data_size(store), 3 + 4);
}
END_TEST

START_TEST(absent_holds_only_without_the_record)
{
    (void)fixture_put(store, "a", "", 0);
    assert_answer(fixture_compare(store, TXN_ABSENT, "b", 0), STORE_APPLIED, 0, 1);
    assert_answer(fixture_compare(store, TXN_ABSENT, "a", 0), STORE_COMPARE_FAILED, 0, 1);
}
END_TEST

START_TEST(at_revision_holds_only_at_the_last_puts)
{
    (void)fixture_put(store, "a", "", 0);
    (void)fixture_put(store, "a", "", 0);
    assert_answer(fixture_compare(store, TXN_AT_REVISION, "a", 1), STORE_COMPARE_FAILED, 0, 2);
    assert_answer(fixture_compare(store, TXN_AT_REVISION, "a", 2), STORE_APPLIED, 0, 2);
    assert_answer(fixture_compare(store, TXN_AT_REVISION, "a", 3), STORE_COMPARE_FAILED, 0, 2);
    assert_answer(fixture_compare(store, TXN_AT_REVISION, "b", 0), STORE_COMPARE_FAILED, 0, 2);
}
END_TEST

START_TEST(fewer_than_counts_the_prefix)
{
    (void)fixture_put(store, "p/1", "", 0);
    (void)fixture_put(store, "p/2", "", 0);
    (void)fixture_put(store, "q", "", 0);
    assert_answer(fixture_compare(store, TXN_FEWER_THAN, "p/", 3), STORE_APPLIED, 0, 3);
    assert_answer(fixture_compare(store, TXN_FEWER_THAN, "p/", 2), STORE_COMPARE_FAILED, 0, 3);
    assert_answer(fixture_compare(store, TXN_FEWER_THAN, "", 4), STORE_APPLIED, 0, 3);
    assert_answer(fixture_compare(store, TXN_FEWER_THAN, "", 3), STORE_COMPARE_FAILED, 0, 3);
    assert_answer(fixture_compare(store, TXN_FEWER_THAN, "z", 1), STORE_APPLIED, 0, 3);
    assert_answer(fixture_compare(store, TXN_FEWER_THAN, "z", 0), STORE_COMPARE_FAILED, 0, 3);
}
END_TEST

START_TEST(the_first_failed_compare_is_the_answer_and_nothing_is_written)
{
    struct txn_builder builder;

    (void)fixture_put(store, "a", "old", 0);
    txn_build_plain(&builder, fixture_id, 0);
    txn_build_compare(&builder, TXN_ABSENT, text("b"), 0);
    txn_build_compare(&builder, TXN_AT_REVISION, text("a"), 7);
    txn_build_compare(&builder, TXN_ABSENT, text("a"), 0);
    txn_build_put(&builder, text("a"), text("new"), 0);
    txn_build_delete(&builder, text("a"));
    assert_answer(fixture_apply(store, &builder), STORE_COMPARE_FAILED, 1, 1);
    assert_record("a", "old", 1, 1, 0);
}
END_TEST

START_TEST(compares_do_not_see_the_writes_beside_them)
{
    struct txn_builder builder;

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_compare(&builder, TXN_ABSENT, text("a"), 0);
    txn_build_put(&builder, text("a"), text(""), 0);
    assert_answer(fixture_apply(store, &builder), STORE_APPLIED, 0, 1);
}
END_TEST

START_TEST(a_transaction_is_too_late_past_its_last_revision)
{
    struct txn_builder builder;

    (void)fixture_put(store, "a", "", 0);
    (void)fixture_put(store, "a", "", 0);
    txn_build_plain(&builder, fixture_id, 1);
    txn_build_compare(&builder, TXN_ABSENT, text("a"), 0);
    txn_build_delete(&builder, text("a"));
    assert_answer(fixture_apply(store, &builder), STORE_TOO_LATE, 0, 2);
    ck_assert(has("a"));
    txn_build_plain(&builder, fixture_id, 2);
    txn_build_delete(&builder, text("a"));
    assert_answer(fixture_apply(store, &builder), STORE_APPLIED, 0, 3);
}
END_TEST

START_TEST(what_is_no_transaction_changes_nothing)
{
    uint8_t header[TXN_HEADER_SIZE] = {TXN_VERSION + 1};
    struct bytes encoded = {header, sizeof header};
    struct bytes nothing = {NULL, 0};

    (void)fixture_put(store, "a", "", 0);
    assert_answer(store_apply(store, nothing), STORE_MALFORMED, 0, 1);
    assert_answer(store_apply(store, text("no transaction")), STORE_MALFORMED, 0, 1);
    assert_answer(store_apply(store, encoded), STORE_MALFORMED, 0, 1);
    header[0] = TXN_VERSION;
    assert_answer(store_apply(store, encoded), STORE_APPLIED, 0, 1);
}
END_TEST

START_TEST(once_is_applied_once)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_once(&builder, fixture_id, store_revision(store), text("done"));
    txn_build_put(&builder, text("n"), text("1"), 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    assert_answer(store_apply(store, encoded), STORE_APPLIED, 0, 1);
    assert_answer(store_apply(store, encoded), STORE_COMPARE_FAILED, 0, 1);
    assert_record("r/0123456789abcdef", "done", 1, 1, 1 + ONCE_EXPIRES_AFTER);
    free((void *)(uintptr_t)encoded.base);
}
END_TEST

START_TEST(no_copy_of_a_proposal_is_applied_after_its_answer_expired)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_once(&builder, fixture_id, store_revision(store), text("done"));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    assert_answer(store_apply(store, encoded), STORE_APPLIED, 0, 1);
    for (unsigned i = 0; i < ONCE_EXPIRES_AFTER + 2; i++) {
        (void)fixture_delete(store, "x");
        ck_assert_int_ne(store_apply(store, encoded).status, STORE_APPLIED);
    }
    ck_assert(!has("r/0123456789abcdef"));
    ck_assert_int_eq(store_apply(store, encoded).status, STORE_TOO_LATE);
    free((void *)(uintptr_t)encoded.base);
}
END_TEST

START_TEST(a_record_goes_when_the_revision_reaches_its_end)
{
    (void)fixture_put(store, "short", "v", 2); /* revision 1, ends at 3 */
    assert_record("short", "v", 1, 1, 3);
    (void)fixture_put(store, "x", "", 0);
    assert_answer(fixture_compare(store, TXN_AT_REVISION, "short", 1), STORE_APPLIED, 0, 2);
    (void)fixture_put(store, "x", "", 0);
    ck_assert(!has("short"));
    assert_answer(fixture_compare(store, TXN_ABSENT, "short", 0), STORE_APPLIED, 0, 3);
    ck_assert_uint_eq(store_record_count(store), 1);
    ck_assert_uint_eq(store_data_size(store), 1);
    (void)fixture_put(store, "short", "again", 0);
    assert_record("short", "again", 4, 4, 0);
}
END_TEST

START_TEST(a_refused_transaction_does_not_bring_the_end_nearer)
{
    (void)fixture_put(store, "short", "", 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_answer(fixture_compare(store, TXN_ABSENT, "short", 0), STORE_COMPARE_FAILED, 0, 1);
    }
    ck_assert(has("short"));
}
END_TEST

START_TEST(a_put_changes_when_a_record_expires)
{
    (void)fixture_put(store, "a", "", 2);       /* 1: ends at 3 */
    (void)fixture_put(store, "b", "", 2);       /* 2: ends at 4 */
    (void)fixture_put(store, "a", "saved", 10); /* 3: the last moment */
    assert_record("a", "saved", 1, 3, 13);
    (void)fixture_put(store, "b", "for ever", 0); /* 4 */
    assert_record("b", "for ever", 2, 4, 0);
    (void)fixture_put(store, "a", "", 1); /* 5: ends at 6, earlier than before */
    (void)fixture_delete(store, "x");
    ck_assert(!has("a"));
    ck_assert(has("b"));
}
END_TEST

START_TEST(a_deleted_record_does_not_expire_its_successor)
{
    (void)fixture_put(store, "a", "", 3); /* 1: ends at 4 */
    (void)fixture_delete(store, "a");
    (void)fixture_put(store, "a", "new", 0);
    (void)fixture_delete(store, "x");
    (void)fixture_delete(store, "x");
    assert_record("a", "new", 3, 3, 0);
}
END_TEST

START_TEST(records_of_one_end_go_together)
{
    struct txn_builder builder;

    txn_build_plain(&builder, fixture_id, 0);
    for (unsigned i = 0; i < STORE_WRITES_MAX; i++) {
        uint8_t key[2] = {'k', (uint8_t)i};
        struct bytes span = {key, sizeof key};

        txn_build_put(&builder, span, text("v"), i < 10 ? 2 : 1);
    }
    (void)fixture_apply(store, &builder);
    ck_assert_uint_eq(store_count_prefix(store, text("k")), STORE_WRITES_MAX);
    (void)fixture_delete(store, "x");
    ck_assert_uint_eq(store_count_prefix(store, text("k")), 10);
    (void)fixture_delete(store, "x");
    ck_assert_uint_eq(store_record_count(store), 0);
    ck_assert_uint_eq(store_data_size(store), 0);
}
END_TEST

struct collected {
    char keys[256];
    size_t size;
    unsigned limit; /* records to visit, 0: all */
};

static bool collect_key(void *data, const struct store_record *record)
{
    struct collected *collected = data;

    ck_assert_uint_lt(collected->size + record->key.size + 1, sizeof collected->keys);
    memcpy(collected->keys + collected->size, record->key.base, record->key.size);
    collected->size += record->key.size;
    collected->keys[collected->size++] = ' ';
    return collected->limit == 0 || --collected->limit > 0;
}

static void assert_scan(const char *prefix, const char *after, unsigned limit, const char *expected)
{
    struct collected collected = {"", 0, limit};

    store_scan(store, text(prefix), text(after), collect_key, &collected);
    ck_assert_str_eq(collected.keys, expected);
}

START_TEST(a_scan_visits_a_prefix_in_order)
{
    static const char *const keys[] = {"b/2", "a", "b", "b/1", "b/22", "c", "b/", "b0"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        (void)fixture_put(store, keys[i], "", 0);
    }
    assert_scan("", "", 0, "a b b/ b/1 b/2 b/22 b0 c ");
    assert_scan("b/", "", 0, "b/ b/1 b/2 b/22 ");
    assert_scan("b/", "b/", 0, "b/1 b/2 b/22 ");
    assert_scan("b/", "b/1", 0, "b/2 b/22 ");
    assert_scan("b/", "b/11", 0, "b/2 b/22 "); /* not there itself */
    assert_scan("b/", "a", 0, "b/ b/1 b/2 b/22 ");
    assert_scan("b/", "b/22", 0, "");
    assert_scan("b/", "c", 0, "");
    assert_scan("", "b/22", 0, "b0 c ");
    assert_scan("b", "", 3, "b b/ b/1 ");
    assert_scan("b", "", 1, "b ");
    assert_scan("d", "", 0, "");
}
END_TEST

START_TEST(prefixes_are_counted_as_bytes)
{
    static const uint8_t keys[][3] = {{1, 0xff, 0}, {1, 0xff, 0xff}, {0xff, 0xff, 0xff}, {2, 0, 0}};

    for (size_t i = 0; i < 4; i++) {
        struct txn_builder builder;
        struct bytes key = {keys[i], 3};

        txn_build_plain(&builder, fixture_id, 0);
        txn_build_put(&builder, key, text(""), 0);
        (void)fixture_apply(store, &builder);
    }
    ck_assert_uint_eq(store_count_prefix(store, text("\x01")), 2);
    ck_assert_uint_eq(store_count_prefix(store, text("\x01\xff")), 2);
    ck_assert_uint_eq(store_count_prefix(store, text("\x01\xff\xff")), 1);
    ck_assert_uint_eq(store_count_prefix(store, text("\x01\xff\xff\xff")), 0);
    ck_assert_uint_eq(store_count_prefix(store, text("\xff")), 1);
    ck_assert_uint_eq(store_count_prefix(store, text("\xff\xff\xff")), 1);
    ck_assert_uint_eq(store_count_prefix(store, text("")), 4);
}
END_TEST

START_TEST(the_longest_key_and_the_largest_value_come_back)
{
    static uint8_t key[STORE_KEY_SIZE_MAX], value[STORE_VALUE_SIZE_MAX];
    struct bytes key_span = {key, sizeof key}, value_span = {value, sizeof value};
    struct txn_builder builder;
    struct store_record record;

    memset(key, 0xff, sizeof key);
    memset(value, 0xaa, sizeof value);
    txn_build_plain(&builder, fixture_id, 0);
    txn_build_put(&builder, key_span, value_span, 0);
    (void)fixture_apply(store, &builder);
    ck_assert(store_get(store, key_span, &record));
    ck_assert_int_eq(bytes_compare(record.key, key_span), 0);
    ck_assert_int_eq(bytes_compare(record.value, value_span), 0);
    ck_assert_uint_eq(store_count_prefix(store, key_span), 1);
    ck_assert_uint_eq(store_data_size(store), STORE_KEY_SIZE_MAX + STORE_VALUE_SIZE_MAX);
}
END_TEST

START_TEST(a_view_stays_as_it_was_and_outlives_its_store)
{
    struct store_view *view = NULL;
    uint8_t *before, *after;
    size_t before_size, after_size;

    (void)fixture_put(store, "a", "old", 5);
    (void)fixture_put(store, "b", "old", 0);
    ck_assert_int_eq(store_freeze(store, &view), QH_OK);
    before = fixture_encode_view(view, &before_size);
    (void)fixture_put(store, "a", "new", 0);
    (void)fixture_delete(store, "b");
    (void)fixture_put(store, "c", "new", 0);
    ck_assert_uint_eq(store_view_revision(view), 2);
    store_free(store);
    store = NULL;
    after = fixture_encode_view(view, &after_size);
    ck_assert_uint_eq(before_size, after_size);
    ck_assert_mem_eq(before, after, before_size);
    store_view_release(view);
    store_view_release(NULL);
    free(before);
    free(after);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("store");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_new_store_is_empty);
    tcase_add_test(tcase, a_put_makes_a_record_and_raises_the_revision);
    tcase_add_test(tcase, a_second_put_keeps_the_create_revision);
    tcase_add_test(tcase, a_delete_removes_and_a_put_after_it_creates_anew);
    tcase_add_test(tcase, deleting_an_absent_key_counts_as_a_write);
    tcase_add_test(tcase, a_transaction_without_writes_changes_nothing);
    tcase_add_test(tcase, writes_happen_in_order_and_share_a_revision);
    tcase_add_test(tcase, absent_holds_only_without_the_record);
    tcase_add_test(tcase, at_revision_holds_only_at_the_last_puts);
    tcase_add_test(tcase, fewer_than_counts_the_prefix);
    tcase_add_test(tcase, the_first_failed_compare_is_the_answer_and_nothing_is_written);
    tcase_add_test(tcase, compares_do_not_see_the_writes_beside_them);
    tcase_add_test(tcase, a_transaction_is_too_late_past_its_last_revision);
    tcase_add_test(tcase, what_is_no_transaction_changes_nothing);
    tcase_add_test(tcase, once_is_applied_once);
    tcase_add_test(tcase, no_copy_of_a_proposal_is_applied_after_its_answer_expired);
    tcase_add_test(tcase, a_record_goes_when_the_revision_reaches_its_end);
    tcase_add_test(tcase, a_refused_transaction_does_not_bring_the_end_nearer);
    tcase_add_test(tcase, a_put_changes_when_a_record_expires);
    tcase_add_test(tcase, a_deleted_record_does_not_expire_its_successor);
    tcase_add_test(tcase, records_of_one_end_go_together);
    tcase_add_test(tcase, a_scan_visits_a_prefix_in_order);
    tcase_add_test(tcase, prefixes_are_counted_as_bytes);
    tcase_add_test(tcase, the_longest_key_and_the_largest_value_come_back);
    tcase_add_test(tcase, a_view_stays_as_it_was_and_outlives_its_store);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
