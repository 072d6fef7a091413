/* The removal of a deleted partition's objects: all of them, and no others. */
#include "node/sweep.h"

#include "tests/unit/hsm_fixture.h"

static struct store *store;

static void setup(void)
{
    store = hsm_store();
}

static void teardown(void)
{
    store_free(store);
}

static void put_objects(uint8_t partition, unsigned count)
{
    uint8_t id[PARTITION_ID_SIZE], object[OBJECT_ID_SIZE];

    memset(id, partition, sizeof id);
    for (unsigned i = 0; i < count; i++) {
        struct record_key key;

        memset(object, 0xff, sizeof object); /* up to the last that there can be */
        object[15] = (uint8_t)(0xff - i);
        key = record_key_object(id, object);
        hsm_put_value(store, &key, hsm_text("sealed"));
    }
}

static void put_record(uint8_t partition)
{
    uint8_t id[PARTITION_ID_SIZE];
    struct record_key key;

    memset(id, partition, sizeof id);
    key = record_key_partition(id);
    hsm_put_value(store, &key, hsm_text("sealed"));
}

static uint64_t count_of(uint8_t partition)
{
    uint8_t id[PARTITION_ID_SIZE];
    struct record_key prefix;

    memset(id, partition, sizeof id);
    prefix = record_prefix_objects(id);
    return store_count_prefix(store, record_key_bytes(&prefix));
}

/* One step. */
static bool step(void)
{
    struct bytes transaction;

    if (sweep_build(store, &transaction) != QH_OK) {
        return false;
    }
    ck_assert_int_eq(store_apply(store, transaction).status, STORE_APPLIED);
    hsm_free(transaction);
    return true;
}

START_TEST(nothing_is_removed_where_nothing_is_left_over)
{
    ck_assert(!step());
    put_record(3);
    put_objects(3, 5);
    put_record(0xff);
    put_objects(0xff, 1);
    ck_assert(!step());
}
END_TEST

START_TEST(objects_without_their_partition_go_and_others_stay)
{
    put_record(3);
    put_objects(3, 5);
    put_objects(4, 2);
    put_record(5);
    put_objects(5, 5);
    put_objects(0xff, 1);
    ck_assert(step());
    ck_assert_uint_eq(count_of(4), 0);
    ck_assert_uint_eq(count_of(0xff), 1);
    ck_assert(step());
    ck_assert_uint_eq(count_of(0xff), 0);
    ck_assert(!step());
    ck_assert_uint_eq(count_of(3), 5);
    ck_assert_uint_eq(count_of(5), 5);
}
END_TEST

START_TEST(a_step_removes_up_to_its_limit)
{
    put_objects(4, SWEEP_DELETES_MAX + 1);
    ck_assert(step());
    ck_assert_uint_eq(count_of(4), 1);
    ck_assert(step());
    ck_assert_uint_eq(count_of(4), 0);
    ck_assert(!step());
}
END_TEST

START_TEST(a_partition_that_is_there_again_keeps_its_objects)
{
    struct bytes transaction;

    put_objects(4, 1);
    ck_assert_int_eq(sweep_build(store, &transaction), QH_OK);
    put_record(4);
    ck_assert_int_eq(store_apply(store, transaction).status, STORE_COMPARE_FAILED);
    hsm_free(transaction);
    ck_assert_uint_eq(count_of(4), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep");
    TCase *tcase = tcase_create("sweep");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nothing_is_removed_where_nothing_is_left_over);
    tcase_add_test(tcase, objects_without_their_partition_go_and_others_stay);
    tcase_add_test(tcase, a_step_removes_up_to_its_limit);
    tcase_add_test(tcase, a_partition_that_is_there_again_keeps_its_objects);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
