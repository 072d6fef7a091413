/* The copy-on-write tree against a plain table of what should be in it, with its
 * invariants checked after every change. */
#include "store/tree.h"

#include "base/assert.h"
#include "tests/unit/failing_heap.h"
#include "tests/unit/store_fixture.h"

#define NUMBERS 2000u /* three levels */

/* Keys are numbers, big-endian, so that their order is the numbers'. */
struct number {
    uint8_t bytes[4];
};

static struct bytes key_of(unsigned number, struct number *ret_room)
{
    struct bytes key = {ret_room->bytes, sizeof ret_room->bytes};

    for (unsigned i = 0; i < 4; i++) {
        ret_room->bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return key;
}

static unsigned number_of(const struct record *record)
{
    struct bytes key = record_key(record);

    /* Check writes every one of its asserts to a file: too slow for the innermost. */
    QH_ASSERT(key.size == 4);
    return (unsigned)key.base[0] << 24 | (unsigned)key.base[1] << 16 | (unsigned)key.base[2] << 8 |
           key.base[3];
}

static struct record *new_record(unsigned number, uint64_t expires_at)
{
    struct number room;
    struct record *record = record_new(key_of(number, &room), text("v"));

    ck_assert_ptr_nonnull(record);
    record->expires_at = expires_at;
    return record;
}

static struct tree tree_by(enum tree_order order)
{
    struct tree tree = {NULL, order};

    return tree;
}

/* Returns whether there was one before. */
static bool put(struct tree *tree, unsigned number)
{
    struct record *record = new_record(number, 0);
    struct record *old = record;

    ck_assert_int_eq(tree_put(tree, record, &old), QH_OK);
    if (old != NULL) {
        ck_assert_uint_eq(number_of(old), number);
        ck_assert_ptr_ne(old, record);
        record_unref(old);
    }
    return old != NULL;
}

static bool take(struct tree *tree, unsigned number)
{
    struct record *record = new_record(number, 0);
    struct record *old = NULL;
    enum qh_err err = tree_remove(tree, record, &old);

    if (err == QH_OK) {
        ck_assert_uint_eq(number_of(old), number);
        record_unref(old);
    } else {
        ck_assert_int_eq(err, QH_ENOTFOUND);
        ck_assert_ptr_null(old);
    }
    record_unref(record);
    return err == QH_OK;
}

static bool contains(const struct tree *tree, unsigned number)
{
    struct number room;
    struct record *record = tree_find(tree, key_of(number, &room));

    ck_assert(record == NULL || number_of(record) == number);
    return record != NULL;
}

struct walk {
    const bool *present;
    unsigned next; /* the smallest number not visited yet */
    unsigned count;
};

static bool walk_record(void *data, const struct record *record)
{
    struct walk *walk = data;

    while (walk->next < NUMBERS && !walk->present[walk->next]) {
        walk->next++;
    }
    QH_ASSERT(number_of(record) == walk->next);
    walk->next++;
    walk->count++;
    return true;
}

static void assert_holds(const struct tree *tree, const bool present[NUMBERS])
{
    struct tree_place start = {TREE_BEFORE_KEY, {NULL, 0}};
    struct walk walk = {present, 0, 0};
    unsigned count = 0;

    tree_check(tree);
    for (unsigned i = 0; i < NUMBERS; i++) {
        count += present[i];
    }
    ck_assert_uint_eq(tree_count(tree), count);
    tree_visit(tree, start, walk_record, &walk);
    ck_assert_uint_eq(walk.count, count);
}

START_TEST(an_empty_tree_has_nothing)
{
    struct tree tree = tree_by(TREE_BY_KEY);
    struct tree_place place = {TREE_AFTER_KEY, text("a")};
    struct tree shared = tree_share(&tree);

    tree_check(&tree);
    ck_assert_uint_eq(tree_count(&tree), 0);
    ck_assert_ptr_null(tree_first(&tree));
    ck_assert_ptr_null(tree_find(&tree, text("a")));
    ck_assert_uint_eq(tree_rank(&tree, place), 0);
    ck_assert(!take(&tree, 1));
    tree_release(&shared);
    tree_release(&tree);
}
END_TEST

/* 0: upwards, 1: downwards, 2: from both ends, 3: at random */
static unsigned in_order(int kind, unsigned index)
{
    switch (kind) {
    case 0:
        return index;
    case 1:
        return NUMBERS - 1 - index;
    case 2:
        return index % 2 == 0 ? index / 2 : NUMBERS - 1 - index / 2;
    default:
        return index * 1217 % NUMBERS; /* coprime to NUMBERS: each number once */
    }
}

START_TEST(filling_and_emptying_in_every_order_keeps_the_invariants)
{
    struct tree tree = tree_by(TREE_BY_KEY);
    bool present[NUMBERS] = {false};

    for (unsigned i = 0; i < NUMBERS; i++) {
        unsigned number = in_order(_i / 4, i);

        ck_assert(!put(&tree, number));
        present[number] = true;
        if (i % 4 == 0) {
            tree_check(&tree);
        }
    }
    assert_holds(&tree, present);
    for (unsigned i = 0; i < NUMBERS; i++) {
        unsigned number = in_order(_i % 4, i);

        ck_assert(take(&tree, number));
        ck_assert(!take(&tree, number));
        present[number] = false;
        if (i % 4 == 0) {
            tree_check(&tree);
        }
        ck_assert_uint_eq(tree_count(&tree), NUMBERS - 1 - i);
    }
    ck_assert_ptr_null(tree.root);
}
END_TEST

START_TEST(random_changes_match_a_table_and_shared_trees_stay)
{
    struct rng rng = {(uint64_t)_i + 1};
    struct tree tree = tree_by(TREE_BY_KEY);
    struct tree shared[4] = {{NULL, TREE_BY_KEY}};
    bool present[NUMBERS] = {false};
    static bool present_then[4][NUMBERS];

    for (unsigned i = 0; i < 4; i++) {
        shared[i] = tree_share(&tree);
    }
    for (unsigned step = 0; step < 8000; step++) {
        /* Tides, so that nodes fill up and run empty. */
        bool filling = step / 2000 % 2 == 0;
        unsigned number = rng_below(&rng, NUMBERS);

        if (rng_below(&rng, 4) < (filling ? 3 : 1)) {
            ck_assert(put(&tree, number) == present[number]);
            present[number] = true;
        } else {
            ck_assert(take(&tree, number) == present[number]);
            present[number] = false;
        }
        ck_assert(contains(&tree, number) == present[number]);
        if (rng_below(&rng, 100) == 0) {
            unsigned which = rng_below(&rng, 4);

            assert_holds(&shared[which], present_then[which]);
            tree_release(&shared[which]);
            shared[which] = tree_share(&tree);
            memcpy(present_then[which], present, sizeof present);
            assert_holds(&tree, present);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_holds(&shared[i], present_then[i]);
        tree_release(&shared[i]);
    }
    assert_holds(&tree, present);
    tree_release(&tree);
}
END_TEST

START_TEST(the_rank_counts_what_is_before_a_place)
{
    struct tree tree = tree_by(TREE_BY_KEY);
    struct number room;

    for (unsigned i = 0; i < NUMBERS; i++) {
        (void)put(&tree, 2 * in_order(3, i)); /* even numbers */
    }
    for (unsigned i = 0; i < 2 * NUMBERS; i++) {
        struct tree_place before = {TREE_BEFORE_KEY, key_of(i, &room)};
        struct tree_place after = {TREE_AFTER_KEY, before.key};
        struct tree_place prefixed = {TREE_AFTER_PREFIXED, before.key};

        ck_assert_uint_eq(tree_rank(&tree, before), (i + 1) / 2);
        ck_assert_uint_eq(tree_rank(&tree, after), i / 2 + 1);
        ck_assert_uint_eq(tree_rank(&tree, prefixed), i / 2 + 1);
        prefixed.key.size = 3; /* up to the last number of 256 */
        ck_assert_uint_eq(tree_rank(&tree, prefixed),
                          (i / 256 + 1) * 128 < NUMBERS ? (i / 256 + 1) * 128 : NUMBERS);
    }
    tree_release(&tree);
}
END_TEST

static bool stop_at_once(void *data, const struct record *record)
{
    unsigned *seen = data;

    *seen = number_of(record);
    return false;
}

START_TEST(a_visit_begins_at_its_place_and_ends_when_told)
{
    struct tree tree = tree_by(TREE_BY_KEY);
    struct number room;

    for (unsigned i = 0; i < NUMBERS; i++) {
        (void)put(&tree, 2 * i);
    }
    for (unsigned i = 0; i < 2 * NUMBERS - 2; i++) {
        struct tree_place before = {TREE_BEFORE_KEY, key_of(i, &room)};
        struct tree_place after = {TREE_AFTER_KEY, before.key};
        unsigned seen = UINT32_MAX;

        tree_visit(&tree, before, stop_at_once, &seen);
        ck_assert_uint_eq(seen, (i + 1) / 2 * 2);
        tree_visit(&tree, after, stop_at_once, &seen);
        ck_assert_uint_eq(seen, i / 2 * 2 + 2);
    }
    tree_release(&tree);
}
END_TEST

START_TEST(by_expiry_the_first_is_the_next_to_expire)
{
    struct tree tree = tree_by(TREE_BY_EXPIRY);
    struct record *old = NULL;
    uint64_t last = 0;
    unsigned last_number = 0;

    for (unsigned i = 0; i < NUMBERS; i++) {
        unsigned number = in_order(3, i);

        ck_assert_int_eq(tree_put(&tree, new_record(number, 1 + number % 7), &old), QH_OK);
        ck_assert_ptr_null(old);
    }
    tree_check(&tree);
    for (unsigned i = 0; i < NUMBERS; i++) {
        ck_assert_int_eq(tree_remove(&tree, tree_first(&tree), &old), QH_OK);
        ck_assert_uint_ge(old->expires_at, last);
        ck_assert(old->expires_at > last || number_of(old) > last_number);
        last = old->expires_at;
        last_number = number_of(old);
        record_unref(old);
        tree_check(&tree);
    }
    ck_assert_uint_eq(last, 7);
    ck_assert_ptr_null(tree.root);
}
END_TEST

START_TEST(without_memory_a_change_fails_and_changes_nothing)
{
    bool present[NUMBERS] = {false};
    struct tree tree = tree_by(TREE_BY_KEY);
    unsigned failures = 0;

    for (unsigned i = 0; i < NUMBERS; i++) {
        unsigned number = in_order(_i, i);
        struct tree shared = tree_share(&tree); /* so that the whole path is copied */
        struct record *record = new_record(number, 0);
        struct record *old = NULL;
        enum qh_err err = QH_ENOMEM;

        for (unsigned nth = 1; err != QH_OK; nth++) {
            heap_countdown = nth;
            err = tree_put(&tree, record, &old);
            ck_assert(heap_spared() == (err == QH_OK));
            ck_assert(err == QH_OK || err == QH_ENOMEM);
            ck_assert_uint_eq(tree_count(&tree), i + (err == QH_OK));
            tree_check(&tree);
            failures += err != QH_OK;
        }
        ck_assert_uint_eq(tree_count(&shared), i);
        tree_release(&shared);
        present[number] = true;
    }
    assert_holds(&tree, present);
    for (unsigned i = 0; i < NUMBERS; i++) {
        unsigned number = in_order(3 - _i, i);
        struct tree shared = tree_share(&tree);
        struct record *record = new_record(number, 0);
        struct record *old = NULL;
        enum qh_err err = QH_ENOMEM;

        for (unsigned nth = 1; err != QH_OK; nth++) {
            heap_countdown = nth;
            err = tree_remove(&tree, record, &old);
            ck_assert(heap_spared() == (err == QH_OK));
            ck_assert(err == QH_OK || err == QH_ENOMEM);
            ck_assert_uint_eq(tree_count(&tree), NUMBERS - i - (err == QH_OK));
            tree_check(&tree);
            failures += err != QH_OK;
        }
        record_unref(old);
        record_unref(record);
        ck_assert_uint_eq(tree_count(&shared), NUMBERS - i);
        tree_release(&shared);
    }
    ck_assert_uint_gt(failures, 2 * NUMBERS);
    ck_assert_ptr_null(tree.root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tree");
    TCase *tcase = tcase_create("tree");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, an_empty_tree_has_nothing);
    tcase_add_loop_test(tcase, filling_and_emptying_in_every_order_keeps_the_invariants, 0, 16);
    tcase_add_loop_test(tcase, random_changes_match_a_table_and_shared_trees_stay, 0, 10);
    tcase_add_test(tcase, the_rank_counts_what_is_before_a_place);
    tcase_add_test(tcase, a_visit_begins_at_its_place_and_ends_when_told);
    tcase_add_test(tcase, by_expiry_the_first_is_the_next_to_expire);
    tcase_add_loop_test(tcase, without_memory_a_change_fails_and_changes_nothing, 0, 4);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
