/* Virtual handles, and the objects that they stand for. */
#include "pkcs11/handle.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11/objects.h"
#include "tests/lib/test.h"

/* ---- handles ---- */

START_TEST(a_handle_is_found_until_it_is_removed)
{
    struct handle_table table = {.last = 0};
    struct handle_item items[1000];

    handle_table_init(&table, 1000);
    ck_assert_ptr_null(handle_find(&table, 1));
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_int_eq(handle_add(&table, &items[i]), QH_OK);
        ck_assert_uint_ne(items[i].handle, 0);
    }
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_ptr_eq(handle_find(&table, items[i].handle), &items[i]);
    }
    for (size_t i = 0; i < 1000; i += 2) {
        handle_remove(&table, &items[i]);
    }
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_ptr_eq(handle_find(&table, items[i].handle), i % 2 == 0 ? NULL : &items[i]);
    }
    ck_assert_uint_eq(table.count, 500);
    handle_table_close(&table);
}
END_TEST

START_TEST(a_table_takes_as_many_as_it_may_and_not_one_more)
{
    struct handle_table table = {.last = 0};
    struct handle_item items[3];

    handle_table_init(&table, 2);
    ck_assert_int_eq(handle_add(&table, &items[0]), QH_OK);
    ck_assert_int_eq(handle_add(&table, &items[1]), QH_OK);
    ck_assert_int_eq(handle_add(&table, &items[2]), QH_ELIMIT);
    handle_remove(&table, &items[0]);
    ck_assert_int_eq(handle_add(&table, &items[2]), QH_OK);
    handle_table_close(&table);
}
END_TEST

START_TEST(a_number_is_given_once_even_after_the_table_was_closed)
{
    struct handle_table table = {.last = 0};
    struct handle_item first;
    struct handle_item second;

    handle_table_init(&table, 10);
    ck_assert_int_eq(handle_add(&table, &first), QH_OK);
    handle_table_close(&table);
    ck_assert_int_eq(handle_add(&table, &second), QH_OK);
    ck_assert_uint_gt(second.handle, first.handle);
    ck_assert_ptr_null(handle_find(&table, first.handle));
    ck_assert_ptr_eq(handle_any(&table), &second);
    handle_table_close(&table);
    ck_assert_ptr_null(handle_any(&table));
}
END_TEST

/* ---- objects ---- */

static unsigned freed;

/* The library's, for the objects of these tests. */
void quadhsm_object_free(struct quadhsm_object *object)
{
    freed += object != NULL;
    free(object);
}

static const uint8_t yes = 1;
static const struct quadhsm_attribute private_attribute = {CKA_PRIVATE, &yes, 1};

const struct quadhsm_attribute *quadhsm_object_attribute(const struct quadhsm_object *object,
                                                         uint64_t type)
{
    return type == CKA_PRIVATE && object->attribute_count > 0 ? &private_attribute : NULL;
}

static struct quadhsm_object *object_new(uint32_t id, bool is_private)
{
    struct quadhsm_object *object = calloc(1, sizeof *object);

    ck_assert_ptr_nonnull(object);
    memcpy(object->id, &id, sizeof id);
    object->attribute_count = is_private ? 1 : 0;
    return object;
}

static uint64_t put(struct objects *objects, uint64_t slot, uint64_t session, uint32_t id,
                    bool is_private)
{
    uint64_t handle = 0;

    ck_assert_int_eq(objects_put(objects, slot, session, object_new(id, is_private), 1, &handle),
                     QH_OK);
    return handle;
}

static struct objects objects;

static void setup(void)
{
    objects_init(&objects);
}

static void teardown(void)
{
    objects_close(&objects);
}

START_TEST(a_token_object_has_the_same_handle_whenever_it_is_seen)
{
    uint64_t first = put(&objects, 1, 0, 7, false);
    uint64_t other = put(&objects, 1, 0, 8, false);

    ck_assert_uint_ne(first, other);
    ck_assert_uint_eq(put(&objects, 1, 0, 7, false), first);
    ck_assert_uint_eq(freed, 1);
    ck_assert_uint_eq(objects.handles.count, 2);
}
END_TEST

START_TEST(the_same_id_in_another_slot_is_another_object)
{
    uint64_t here = put(&objects, 1, 0, 7, false);
    uint64_t there = put(&objects, 2, 0, 7, false);

    ck_assert_uint_ne(here, there);
    ck_assert_ptr_nonnull(objects_find(&objects, 1, here));
    ck_assert_ptr_null(objects_find(&objects, 2, here));
}
END_TEST

START_TEST(session_objects_end_with_their_session_and_no_others)
{
    uint64_t token = put(&objects, 1, 0, 7, false);
    uint64_t mine = put(&objects, 1, 5, 0, false);
    uint64_t mine_too = put(&objects, 1, 5, 0, false);
    uint64_t others = put(&objects, 1, 6, 0, false);

    ck_assert_uint_ne(mine, mine_too);
    objects_remove_session(&objects, 5);
    ck_assert_ptr_null(objects_find(&objects, 1, mine));
    ck_assert_ptr_null(objects_find(&objects, 1, mine_too));
    ck_assert_ptr_nonnull(objects_find(&objects, 1, others));
    ck_assert_ptr_nonnull(objects_find(&objects, 1, token));
    ck_assert_uint_eq(objects.session.count, 1);
}
END_TEST

START_TEST(a_logout_takes_the_private_objects_of_its_slot)
{
    uint64_t public = put(&objects, 1, 0, 1, false);
    uint64_t private = put(&objects, 1, 0, 2, true);
    uint64_t session = put(&objects, 1, 9, 0, true);
    uint64_t elsewhere = put(&objects, 2, 0, 2, true);

    objects_remove_private(&objects, 1);
    ck_assert_ptr_nonnull(objects_find(&objects, 1, public));
    ck_assert_ptr_null(objects_find(&objects, 1, private));
    ck_assert_ptr_null(objects_find(&objects, 1, session));
    ck_assert_ptr_nonnull(objects_find(&objects, 2, elsewhere));
}
END_TEST

START_TEST(what_an_operation_holds_outlives_the_handle)
{
    uint64_t handle = put(&objects, 1, 0, 7, false);
    struct objects_entry *entry = objects_find(&objects, 1, handle);
    struct objects_value *value = objects_value_ref(entry->value);

    objects_remove(&objects, entry);
    ck_assert_uint_eq(freed, 0);
    ck_assert_uint_eq(value->object->id[0], 7);
    objects_value_unref(value);
    ck_assert_uint_eq(freed, 1);
}
END_TEST

START_TEST(the_objects_used_longest_ago_are_let_go_of_and_keep_their_handles)
{
    uint64_t first = put(&objects, 1, 0, 1, false);
    uint64_t second = put(&objects, 1, 0, 2, false);
    uint32_t id = 3;

    while (objects.kept.count < OBJECTS_VALUES_MAX) {
        put(&objects, 1, 0, id++, false);
    }
    ck_assert_uint_eq(freed, 0);
    ck_assert_ptr_nonnull(objects_find(&objects, 1, first));
    put(&objects, 1, 0, id, false);
    ck_assert_uint_eq(objects.kept.count, OBJECTS_VALUES_MAX);
    ck_assert_uint_eq(freed, 1);
    ck_assert_ptr_nonnull(objects_find(&objects, 1, first)->value);
    ck_assert_ptr_null(objects_find(&objects, 1, second)->value);
    ck_assert_uint_eq(put(&objects, 1, 0, 2, false), second);
    ck_assert_ptr_nonnull(objects_find(&objects, 1, second)->value);
}
END_TEST

START_TEST(a_forgotten_object_can_be_removed)
{
    uint64_t handle = put(&objects, 1, 0, 7, false);
    struct objects_entry *entry = objects_find(&objects, 1, handle);

    objects_forget(&objects, entry);
    objects_forget(&objects, entry);
    ck_assert_uint_eq(freed, 1);
    ck_assert_ptr_null(entry->value);
    objects_remove(&objects, entry);
    ck_assert_ptr_null(objects_find(&objects, 1, handle));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pkcs11_handle");
    TCase *handles = tcase_create("handle");
    TCase *tcase = tcase_create("objects");

    tcase_add_test(handles, a_handle_is_found_until_it_is_removed);
    tcase_add_test(handles, a_table_takes_as_many_as_it_may_and_not_one_more);
    tcase_add_test(handles, a_number_is_given_once_even_after_the_table_was_closed);
    suite_add_tcase(suite, handles);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_token_object_has_the_same_handle_whenever_it_is_seen);
    tcase_add_test(tcase, the_same_id_in_another_slot_is_another_object);
    tcase_add_test(tcase, session_objects_end_with_their_session_and_no_others);
    tcase_add_test(tcase, a_logout_takes_the_private_objects_of_its_slot);
    tcase_add_test(tcase, what_an_operation_holds_outlives_the_handle);
    tcase_add_test(tcase, the_objects_used_longest_ago_are_let_go_of_and_keep_their_handles);
    tcase_add_test(tcase, a_forgotten_object_can_be_removed);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
