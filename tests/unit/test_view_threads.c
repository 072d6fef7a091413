/* Readers of the view while its writer writes: at every moment they see whole objects, those that
 * stay each once and in their order. */
#include <pthread.h>
#include <stdatomic.h>

#include "node/view.h"
#include "tests/unit/view_fixture.h"

#define STEADY 20u
#define CHANGING 20u
#define READERS 2u
#define LOOPS 200u

static _Atomic unsigned loops[READERS];
static _Atomic bool stop;

/* The objects called "steady" are always there, each once, and in their order. */
static void read_steady(void)
{
    struct template template = {.count = 0};
    struct view_page page;
    struct view_query query;

    with_text(&template, CKA_LABEL, "steady");
    query = find_all(first, all_of(&template));
    view_enter();
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert_uint_eq(page.count, STEADY);
    for (unsigned i = 0; i < page.count; i++) {
        uint8_t id[OBJECT_ID_SIZE];

        make_id(i, id);
        ck_assert_mem_eq(page.list[i]->id, id, sizeof id);
        ck_assert_ptr_nonnull(object_attribute(page.list[i]->object, CKA_VALUE));
    }
    free(page.list);
    view_leave();
}

/* In a listing of all, or of those of a class, each object stands once, and those that stay all are
 * there. */
static void read_listing(bool by_class)
{
    struct template template = {.count = 0};
    struct view_query query;
    struct view_page page;
    unsigned steady = 0;

    if (by_class) {
        with_ulong(&template, CKA_CLASS, CKO_DATA);
    }
    query = find_all(first, all_of(&template));
    view_enter();
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    for (unsigned i = 0; i < page.count; i++) {
        const struct view_object *object = page.list[i];
        const struct attribute *label = object_attribute(object->object, CKA_LABEL);

        steady += bytes_compare(label->value, text_span("steady")) == 0;
        ck_assert(i == 0 || page.list[i - 1]->create_revision < object->create_revision);
        ck_assert_uint_gt(object->sealed.size, 0);
    }
    ck_assert_uint_eq(steady, STEADY);
    ck_assert_uint_le(page.count, STEADY + CHANGING);
    free(page.list);
    view_leave();
}

static void read_directory(void)
{
    const struct directory_partition *partition;

    view_enter();
    partition = directory_partition(view_directory(view), first);
    ck_assert_ptr_nonnull(partition);
    ck_assert_str_eq(partition->name, "first");
    ck_assert_uint_eq(secret_size(partition->key), 32);
    view_leave();
}

static void *reader(void *data)
{
    _Atomic unsigned *mine = data;
    uint64_t revision = 0;

    view_thread_begin();
    while (!atomic_load(&stop)) {
        uint64_t now = view_revision(view);

        ck_assert_uint_ge(now, revision);
        revision = now;
        read_steady();
        read_listing(false);
        read_listing(true);
        read_directory();
        atomic_fetch_add(mine, 1);
    }
    view_thread_end();
    return NULL;
}

static bool readers_done(void)
{
    for (unsigned i = 0; i < READERS; i++) {
        if (atomic_load(&loops[i]) < LOOPS) {
            return false;
        }
    }
    return true;
}

/* One of: rewrite a steady one, make or change or destroy a changing one, write the partition,
 * load everything anew. */
static void write_something(unsigned step)
{
    static const char *const labels[] = {"a", "b", "c", ""};
    unsigned number = step % STEADY;

    switch (step % 5) {
    case 0:
        put_labelled(first, number, "steady", true);
        break;
    case 1:
    case 2:
        put_labelled(first, STEADY + step % CHANGING, labels[step / 7 % 4], true);
        break;
    case 3:
        destroy(first, STEADY + step / 3 % CHANGING);
        break;
    default:
        if (step % 100 == 4) {
            load();
        } else {
            struct record_key key = record_key_partition(second);
            struct store_record record;
            struct txn_builder builder;
            struct bytes copy;

            ck_assert(store_get(store, record_key_bytes(&key), &record));
            copy = record.value;
            begin_txn(&builder);
            txn_build_put(&builder, record_key_bytes(&key), copy, 0);
            end_txn(&builder, true);
        }
        break;
    }
}

START_TEST(readers_see_whole_objects_while_the_writer_changes_them)
{
    pthread_t threads[READERS];

    load();
    for (unsigned i = 0; i < STEADY; i++) {
        put_labelled(first, i, "steady", true);
    }
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, reader, &loops[i]), 0);
    }
    for (unsigned step = 0; step < 500 || !readers_done(); step++) {
        write_something(step);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view_threads");
    TCase *tcase = tcase_create("threads");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, readers_see_whole_objects_while_the_writer_changes_them);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
