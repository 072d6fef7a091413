/* The view: what readers find is what the store has, in a stable order. */
#include "node/view.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "node/view_index.h"
#include "tests/unit/view_fixture.h"

#define MANY 10000u

static void put_key(unsigned number, const char *id, const char *label, bool is_private)
{
    struct txn_builder builder;
    struct template template;

    begin_aes(&template);
    with_text(&template, CKA_ID, id);
    with_text(&template, CKA_LABEL, label);
    with_flag(&template, CKA_TOKEN, true);
    with_flag(&template, CKA_PRIVATE, is_private);
    begin_txn(&builder);
    add_put(&builder, first, number, &template);
    end_txn(&builder, true);
}

/* Exactly these, in this order; -1 ends. */
static void assert_found(const uint8_t *partition, const struct template *template,
                         bool with_private, const int *numbers)
{
    struct view_query query = find_all(partition, all_of(template));
    struct view_page page;
    unsigned wanted = 0;

    query.with_private = with_private;
    view_enter();
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert(!page.more && !page.unfinished);
    for (; numbers[wanted] >= 0; wanted++) {
        uint8_t id[OBJECT_ID_SIZE];

        make_id((unsigned)numbers[wanted], id);
        ck_assert_uint_lt(wanted, page.count);
        ck_assert_mem_eq(page.list[wanted]->id, id, sizeof id);
    }
    ck_assert_uint_eq(page.count, wanted);
    free(page.list);
    view_leave();
}

#define FOUND(...) ((const int[]){__VA_ARGS__, -1})
#define NOTHING ((const int[]){-1})

static void assert_labelled(const char *label, const int *numbers)
{
    struct template template = {.count = 0};

    with_text(&template, CKA_LABEL, label);
    assert_found(first, &template, true, numbers);
}

static void assert_all(const int *numbers)
{
    struct template template = {.count = 0};

    assert_found(first, &template, true, numbers);
}

START_TEST(a_new_view_is_locked_and_empty)
{
    ck_assert_ptr_null(view_keyring(view));
    ck_assert_uint_eq(view_directory(view)->partition_count, 0);
    ck_assert_uint_eq(view_revision(view), 0);
    ck_assert_uint_eq(view_object_count(view, first), 0);
    assert_all(NOTHING);
    view_enter();
    ck_assert_ptr_null(view_object(view, first, first));
    view_leave();
}
END_TEST

START_TEST(a_load_shows_what_the_store_has)
{
    uint8_t id[OBJECT_ID_SIZE];
    const struct view_object *object;

    put_labelled(first, 1, "one", false);
    put_labelled(first, 2, "two", false);
    put_labelled(second, 3, "one", false);
    load();
    ck_assert_uint_eq(view_revision(view), store_revision(store));
    ck_assert_ptr_eq(view_keyring(view), keyring);
    ck_assert_uint_eq(view_directory(view)->partition_count, 2);
    ck_assert_uint_eq(view_object_count(view, first), 2);
    ck_assert_uint_eq(view_object_count(view, second), 1);
    assert_all(FOUND(1, 2));
    assert_labelled("one", FOUND(1));
    make_id(2, id);
    view_enter();
    object = view_object(view, first, id);
    ck_assert_ptr_nonnull(object);
    ck_assert_uint_eq(object->create_revision, store_revision(store) - 1);
    assert_value(object->object, CKA_LABEL, text_span("two"));
    ck_assert_ptr_null(object->object->material);
    ck_assert_ptr_null(view_object(view, second, id));
    view_leave();
    ck_assert_uint_eq(view_damaged(view), 0);
}
END_TEST

START_TEST(a_locked_view_shows_no_object)
{
    put_labelled(first, 1, "one", false);
    load();
    ck_assert_int_eq(view_load(view, NULL, store), QH_OK);
    ck_assert_ptr_null(view_keyring(view));
    ck_assert_uint_eq(view_object_count(view, first), 0);
    put_labelled(first, 2, "two", true);
    ck_assert_uint_eq(view_object_count(view, first), 0);
    load();
    assert_all(FOUND(1, 2));
}
END_TEST

START_TEST(what_is_applied_is_found_at_once)
{
    load();
    put_labelled(first, 1, "one", true);
    put_labelled(first, 2, "two", true);
    assert_all(FOUND(1, 2));
    assert_labelled("two", FOUND(2));
    destroy(first, 1);
    assert_all(FOUND(2));
    assert_labelled("one", NOTHING);
    ck_assert_uint_eq(view_object_count(view, first), 1);
    destroy(first, 2);
    assert_all(NOTHING);
    destroy(first, 2);
    assert_all(NOTHING);
}
END_TEST

START_TEST(the_sealed_value_is_the_records)
{
    uint8_t id[OBJECT_ID_SIZE];
    const struct view_object *object;
    struct store_record record;
    struct record_key key;

    load();
    put_labelled(first, 1, "one", true);
    make_id(1, id);
    key = record_key_object(first, id);
    ck_assert(store_get(store, record_key_bytes(&key), &record));
    view_enter();
    object = view_object(view, first, id);
    ck_assert_int_eq(bytes_compare(object->sealed, record.value), 0);
    ck_assert_uint_eq(object->mod_revision, record.mod_revision);
    view_leave();
}
END_TEST

START_TEST(an_object_that_was_renamed_keeps_its_place)
{
    load();
    put_labelled(first, 1, "a", true);
    put_labelled(first, 2, "b", true);
    put_labelled(first, 3, "a", true);
    put_labelled(first, 1, "b", true);
    assert_all(FOUND(1, 2, 3));
    assert_labelled("a", FOUND(3));
    assert_labelled("b", FOUND(1, 2));
    put_labelled(first, 3, "a", true);
    assert_labelled("a", FOUND(3));
    put_labelled(first, 3, "", true);
    assert_labelled("a", NOTHING);
    assert_all(FOUND(1, 2, 3));
    assert_labelled("", FOUND(3));
}
END_TEST

START_TEST(an_object_that_was_made_anew_goes_to_the_end)
{
    struct txn_builder builder;
    struct template template;

    load();
    put_labelled(first, 1, "a", true);
    put_labelled(first, 2, "a", true);
    begin_data(&template, "a");
    begin_txn(&builder);
    add_delete(&builder, first, 1);
    add_put(&builder, first, 1, &template);
    end_txn(&builder, true);
    assert_all(FOUND(2, 1));
    assert_labelled("a", FOUND(2, 1));
    ck_assert_uint_eq(view_object_count(view, first), 2);
}
END_TEST

START_TEST(objects_of_one_transaction_stand_by_id)
{
    struct txn_builder builder;
    struct template template;

    load();
    begin_data(&template, "a");
    begin_txn(&builder);
    add_put(&builder, first, 1, &template);
    add_put(&builder, first, 3, &template);
    add_put(&builder, first, 2, &template);
    end_txn(&builder, true);
    put_labelled(first, 9, "a", true);
    assert_all(FOUND(3, 2, 1, 9)); /* ids are made backwards */
    assert_labelled("a", FOUND(3, 2, 1, 9));
    load();
    assert_all(FOUND(3, 2, 1, 9));
    assert_labelled("a", FOUND(3, 2, 1, 9));
}
END_TEST

START_TEST(private_objects_are_found_by_those_who_may_see_them)
{
    struct template template = {.count = 0};

    load();
    put_key(1, "id", "label", true);
    put_key(2, "id", "label", false);
    assert_found(first, &template, true, FOUND(1, 2));
    assert_found(first, &template, false, FOUND(2));
    with_text(&template, CKA_ID, "id");
    assert_found(first, &template, true, FOUND(1, 2));
    assert_found(first, &template, false, FOUND(2));
}
END_TEST

START_TEST(id_label_and_others_are_combined)
{
    struct template template = {.count = 0};

    load();
    put_key(1, "x", "a", false);
    put_key(2, "x", "b", false);
    put_key(3, "y", "b", false);
    put_labelled(first, 4, "b", true);
    with_text(&template, CKA_ID, "x");
    assert_found(first, &template, false, FOUND(1, 2));
    with_text(&template, CKA_LABEL, "b");
    assert_found(first, &template, false, FOUND(2));
    template.count = 0;
    with_ulong(&template, CKA_CLASS, CKO_SECRET_KEY);
    assert_found(first, &template, false, FOUND(1, 2, 3));
    with_text(&template, CKA_LABEL, "b");
    assert_found(first, &template, false, FOUND(2, 3));
    with_text(&template, CKA_ID, "z");
    assert_found(first, &template, false, NOTHING);
    template.count = 0;
    with_text(&template, CKA_LABEL, "b");
    assert_found(second, &template, false, NOTHING);
}
END_TEST

/* The numbers of the objects that have the template, and how many were looked at for that. */
static void assert_looks_at(const struct template *template, bool with_private, unsigned steps,
                            const int *numbers)
{
    struct view_query query = find_all(first, all_of(template));
    struct view_page page;

    assert_found(first, template, with_private, numbers);
    query.with_private = with_private;
    for (unsigned i = 1; i <= steps + 1; i++) {
        query.steps = i;
        view_enter();
        ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
        ck_assert(page.unfinished == (i < steps));
        free(page.list);
        view_leave();
    }
}

START_TEST(as_few_objects_as_can_be_are_looked_at)
{
    struct template template = {.count = 0};

    load();
    for (unsigned i = 0; i < 10; i++) {
        put_key(i, i == 3 ? "three" : "id", "key", i % 2 == 0);
    }
    put_labelled(first, 10, "data", true);
    put_labelled(first, 11, "data", true);
    with_ulong(&template, CKA_CLASS, CKO_DATA);
    assert_looks_at(&template, true, 2, FOUND(10, 11));
    with_text(&template, CKA_ID, "id");
    assert_looks_at(&template, true, 2, NOTHING);
    template.count = 0;
    with_ulong(&template, CKA_CLASS, CKO_SECRET_KEY);
    with_text(&template, CKA_ID, "three");
    assert_looks_at(&template, true, 1, FOUND(3));
    template.count = 0;
    with_ulong(&template, CKA_CLASS, CKO_SECRET_KEY);
    with_ulong(&template, CKA_KEY_TYPE, CKK_GENERIC_SECRET);
    assert_looks_at(&template, true, 0, NOTHING);
    template.count = 0;
    with_ulong(&template, CKA_CLASS, CKO_SECRET_KEY);
    with_ulong(&template, CKA_KEY_TYPE, CKK_AES);
    assert_looks_at(&template, false, 10, FOUND(1, 3, 5, 7, 9));
    with_flag(&template, CKA_PRIVATE, true);
    assert_looks_at(&template, true, 10, FOUND(0, 2, 4, 6, 8));
    assert_looks_at(&template, false, 0, NOTHING);
    template.count = 0;
    with_flag(&template, CKA_TOKEN, false);
    assert_looks_at(&template, true, 0, NOTHING);
    template.count = 0;
    with_flag(&template, CKA_TOKEN, true);
    with_text(&template, CKA_ID, "three");
    assert_looks_at(&template, true, 1, FOUND(3));
    template.count = 0;
    with(&template, CKA_CLASS, span("12345", 4));
    assert_looks_at(&template, true, 0, NOTHING);
}
END_TEST

START_TEST(a_search_goes_on_where_its_steps_ended)
{
    struct view_query query;
    struct template template = {.count = 0};
    uint8_t id[OBJECT_ID_SIZE];
    struct view_page page;

    load();
    for (unsigned i = 0; i < 10; i++) {
        put_labelled(first, i, i == 7 ? "seven" : "other", true);
    }
    with_ulong(&template, CKA_CLASS, CKO_DATA);
    with_flag(&template, CKA_MODIFIABLE, true);
    query = find_all(first, all_of(&template));
    query.steps = 4;
    view_enter();
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert(page.unfinished && !page.more);
    ck_assert_uint_eq(page.count, 4);
    make_id(3, id);
    ck_assert_mem_eq(page.reached->id, id, sizeof id);
    free(page.list);
    query.after = id;
    query.steps = 6;
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert(!page.unfinished && !page.more);
    ck_assert_uint_eq(page.count, 6);
    free(page.list);
    view_leave();
    /* Who has to be quick does not look for the place of an object that is gone. */
    destroy(first, 3);
    view_enter();
    query.patient = false;
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert(page.unfinished && page.reached == NULL);
    ck_assert_uint_eq(page.count, 0);
    free(page.list);
    query.patient = true;
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert(!page.unfinished);
    ck_assert_uint_eq(page.count, 6);
    free(page.list);
    view_leave();
}
END_TEST

/* All pages of @limit; returns how many objects they had. */
static unsigned read_pages(const char *label, unsigned limit, const uint8_t *after,
                           unsigned *ret_pages)
{
    struct template template = {.count = 0};
    uint8_t last[OBJECT_ID_SIZE];
    unsigned total = 0, pages = 0;
    bool more = true;

    if (label != NULL) {
        with_text(&template, CKA_LABEL, label);
    }
    while (more) {
        struct view_query query = find_all(first, all_of(&template));
        struct view_page page;

        query.after = after;
        query.limit = limit;
        view_enter();
        ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
        ck_assert_uint_le(page.count, limit);
        ck_assert(!page.more || page.count == limit);
        if (page.count > 0) {
            memcpy(last, page.list[page.count - 1]->id, sizeof last);
        }
        free(page.list);
        view_leave();
        more = page.more;
        after = last;
        total += page.count;
        pages++;
    }
    *ret_pages = pages;
    return total;
}

START_TEST(pages_follow_each_other)
{
    unsigned pages;

    load();
    for (unsigned i = 0; i < 10; i++) {
        put_labelled(first, i, i % 2 == 0 ? "even" : "odd", true);
    }
    ck_assert_uint_eq(read_pages(NULL, 3, NULL, &pages), 10);
    ck_assert_uint_eq(pages, 4);
    ck_assert_uint_eq(read_pages(NULL, 10, NULL, &pages), 10);
    ck_assert_uint_eq(pages, 1);
    ck_assert_uint_eq(read_pages(NULL, 9, NULL, &pages), 10);
    ck_assert_uint_eq(pages, 2);
    ck_assert_uint_eq(read_pages("odd", 2, NULL, &pages), 5);
    ck_assert_uint_eq(pages, 3);
    ck_assert_uint_eq(read_pages("even", 5, NULL, &pages), 5);
    ck_assert_uint_eq(pages, 1);
}
END_TEST

START_TEST(a_page_begins_where_a_destroyed_object_stood)
{
    uint8_t id[OBJECT_ID_SIZE];
    unsigned pages;

    load();
    for (unsigned i = 0; i < 10; i++) {
        put_labelled(first, i, "a", true);
    }
    make_id(4, id);
    ck_assert_uint_eq(read_pages(NULL, 100, id, &pages), 5);
    destroy(first, 4);
    ck_assert_uint_eq(read_pages(NULL, 100, id, &pages), 5);
    ck_assert_uint_eq(read_pages("a", 100, id, &pages), 5);
    /* One that has another label by now. */
    make_id(6, id);
    put_labelled(first, 6, "b", true);
    ck_assert_uint_eq(read_pages("a", 100, id, &pages), 3);
    make_id(77, id);
    ck_assert_uint_eq(read_pages(NULL, 100, id, &pages), 9);
}
END_TEST

START_TEST(so_many_destroyed_objects_are_remembered_and_no_more)
{
    unsigned pages, number = 3;
    uint8_t id[OBJECT_ID_SIZE];

    load();
    for (unsigned i = 0; i < 3; i++) {
        put_labelled(first, i, "a", true);
    }
    make_id(1, id);
    destroy(first, 1);
    for (; number < 2 + VIEW_GRAVES_MAX; number++) {
        put_labelled(second, number, "b", true);
        destroy(second, number);
    }
    ck_assert_uint_eq(read_pages(NULL, 10, id, &pages), 1);
    put_labelled(second, number, "b", true);
    destroy(second, number);
    /* From the start again: rather twice than not at all. */
    ck_assert_uint_eq(read_pages(NULL, 10, id, &pages), 2);
}
END_TEST

START_TEST(a_place_is_found_though_nobody_remembers_the_object)
{
    struct template template = {.count = 0};
    struct view_query query = find_all(first, all_of(&template));
    uint64_t created[4];
    struct view_page page;
    uint8_t id[OBJECT_ID_SIZE];

    load();
    for (unsigned i = 0; i < 4; i++) {
        put_labelled(first, i, "a", true);
    }
    view_enter();
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert_uint_eq(page.count, 4);
    for (unsigned i = 0; i < 4; i++) {
        created[i] = page.list[i]->create_revision;
    }
    free(page.list);
    view_leave();
    make_id(1, id);
    destroy(first, 1);
    load(); /* a node that started meanwhile */
    query.after = id;
    for (unsigned known = 0; known < 2; known++) {
        query.after_created = known == 1 ? created[1] : 0;
        view_enter();
        ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
        ck_assert_uint_eq(page.count, known == 1 ? 2 : 3);
        ck_assert_uint_eq(page.list[0]->create_revision, created[known == 1 ? 2 : 0]);
        free(page.list);
        view_leave();
    }
}
END_TEST

START_TEST(what_does_not_open_is_left_out_and_counted)
{
    struct template template;
    struct bytes sealed;
    struct record_key key;
    uint8_t id[OBJECT_ID_SIZE];

    put_labelled(first, 1, "one", false);
    make_id(2, id);
    begin_data(&template, "two");
    sealed = seal(first, id, &template);
    ((uint8_t *)(uintptr_t)sealed.base)[sealed.size - 1] ^= 1;
    key = record_key_object(first, id);
    hsm_put_value(store, &key, sealed);
    hsm_free(sealed);
    load();
    ck_assert_uint_eq(view_damaged(view), 1);
    assert_all(FOUND(1));
    put_labelled(first, 2, "two", true);
    assert_all(FOUND(1, 2));
    ck_assert_uint_eq(view_damaged(view), 1);
    load();
    ck_assert_uint_eq(view_damaged(view), 0);
}
END_TEST

START_TEST(the_directory_follows_its_records)
{
    struct txn_builder builder;
    struct record_key key = record_key_partition(first);

    load();
    put_labelled(first, 1, "one", true);
    put_labelled(second, 2, "two", true);
    ck_assert_ptr_nonnull(directory_partition(view_directory(view), first));
    begin_txn(&builder);
    txn_build_delete(&builder, record_key_bytes(&key));
    end_txn(&builder, true);
    ck_assert_ptr_null(directory_partition(view_directory(view), first));
    ck_assert_uint_eq(view_object_count(view, first), 0);
    assert_all(NOTHING);
    ck_assert_uint_eq(view_object_count(view, second), 1);
    /* What is left of it in the store is no damage. */
    load();
    ck_assert_uint_eq(view_damaged(view), 0);
    ck_assert_uint_eq(view_object_count(view, first), 0);
}
END_TEST

START_TEST(a_thread_may_register_twice)
{
    view_thread_begin();
    view_enter();
    view_leave();
    view_thread_end();
    view_thread_end();
    view_thread_begin();
}
END_TEST

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* MANY objects with a label of their own each, except that they share ten ids. */
static void fill_store(void)
{
    struct directory *directory = hsm_directory(keyring, store);
    const struct secret *key = directory_partition(directory, first)->key;

    for (unsigned number = 0; number < MANY; number += 50) {
        struct txn_builder builder;

        begin_txn(&builder);
        for (unsigned i = number; i < number + 50; i++) {
            uint8_t id[OBJECT_ID_SIZE];
            struct template template;
            struct object *object;
            struct record_key place;
            struct bytes sealed;
            char label[32];

            (void)snprintf(label, sizeof label, "key %u", i);
            begin_aes(&template);
            with_text(&template, CKA_LABEL, label);
            with(&template, CKA_ID, span(&"0123456789"[i % 10], 1));
            object = created(&template);
            make_id(i, id);
            ck_assert_int_eq(object_seal(key, hsm_cluster, first, id, 0, object, &sealed), QH_OK);
            place = record_key_object(first, id);
            txn_build_put(&builder, record_key_bytes(&place), sealed, 0);
            hsm_free(sealed);
            object_free(object);
        }
        end_txn(&builder, false);
    }
    directory_free(directory);
}

START_TEST(ten_thousand_objects_are_loaded_and_found)
{
    struct timespec start;
    unsigned pages;
    double seconds;
    size_t before;

    fill_store();
    before = mallinfo2().uordblks;
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &start), 0);
    load();
    seconds = seconds_since(&start);
    (void)fprintf(stderr, "loading %u objects: %.0f ms, %zu bytes each\n", MANY, seconds * 1e3,
                  (mallinfo2().uordblks - before) / MANY);
    ck_assert_double_lt(seconds, 5.0);
    ck_assert_uint_eq(view_object_count(view, first), MANY);
    assert_labelled("key 1234", FOUND(1234));
    ck_assert_uint_eq(read_pages(NULL, 1000, NULL, &pages), MANY);
    ck_assert_uint_eq(pages, MANY / 1000);

    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &start), 0);
    for (unsigned i = 0; i < 1000; i++) {
        char label[32];

        (void)snprintf(label, sizeof label, "key %u", i * 7);
        ck_assert_uint_eq(read_pages(label, 10, NULL, &pages), 1);
    }
    seconds = seconds_since(&start);
    (void)fprintf(stderr, "finding one of them by label: %.2f us\n", seconds * 1e3);
    /* Walking through all of them each time would take seconds. */
    ck_assert_double_lt(seconds, 1.0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view");
    TCase *content = tcase_create("content");
    TCase *find = tcase_create("find");
    TCase *load_case = tcase_create("load");

    tcase_add_checked_fixture(content, setup, teardown);
    tcase_add_test(content, a_new_view_is_locked_and_empty);
    tcase_add_test(content, a_load_shows_what_the_store_has);
    tcase_add_test(content, a_locked_view_shows_no_object);
    tcase_add_test(content, what_is_applied_is_found_at_once);
    tcase_add_test(content, the_sealed_value_is_the_records);
    tcase_add_test(content, what_does_not_open_is_left_out_and_counted);
    tcase_add_test(content, the_directory_follows_its_records);
    tcase_add_test(content, a_thread_may_register_twice);
    suite_add_tcase(suite, content);
    tcase_add_checked_fixture(find, setup, teardown);
    tcase_add_test(find, an_object_that_was_renamed_keeps_its_place);
    tcase_add_test(find, an_object_that_was_made_anew_goes_to_the_end);
    tcase_add_test(find, objects_of_one_transaction_stand_by_id);
    tcase_add_test(find, private_objects_are_found_by_those_who_may_see_them);
    tcase_add_test(find, id_label_and_others_are_combined);
    tcase_add_test(find, as_few_objects_as_can_be_are_looked_at);
    tcase_add_test(find, a_search_goes_on_where_its_steps_ended);
    tcase_add_test(find, pages_follow_each_other);
    tcase_add_test(find, a_page_begins_where_a_destroyed_object_stood);
    suite_add_tcase(suite, find);
    tcase_add_checked_fixture(load_case, setup, teardown);
    tcase_set_timeout(load_case, 120);
    tcase_add_test(load_case, so_many_destroyed_objects_are_remembered_and_no_more);
    tcase_add_test(load_case, a_place_is_found_though_nobody_remembers_the_object);
    tcase_add_test(load_case, ten_thousand_objects_are_loaded_and_found);
    suite_add_tcase(suite, load_case);
    return test_main(suite);
}
