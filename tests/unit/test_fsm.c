/* The state machine as libraft sees it: it never fails on an entry, postpones snapshots until
 * they are due, and gives back from one exactly the store that went in. */
#include "raft-glue/fsm.h"

#include <stdlib.h>
#include <string.h>

#include "raft-glue/entry.h"
#include "store/txn.h"
#include "tests/lib/test.h"

struct world {
    struct raft raft; /* only the fields that the state machine reads */
    struct guard guard;
    struct fsm fsm;
    unsigned applied;
    unsigned restored;
    struct store_answer last;
};

static struct world world;

static void on_applied(void *data, struct bytes transaction, const struct store_answer *answer)
{
    (void)data;
    (void)transaction;
    world.applied++;
    world.last = *answer;
}

static void on_restored(void *data)
{
    (void)data;
    world.restored++;
}

static void setup(void)
{
    memset(&world, 0, sizeof world);
    world.raft.id = 4; /* no stagger */
    world.guard.raft = &world.raft;
    ck_assert_int_eq(
        fsm_init(&world.fsm, &world.raft, &world.guard, false,
                 (struct fsm_callbacks){.applied = on_applied, .restored = on_restored}),
        QH_OK);
    world.fsm.entries_min = 4;
    world.fsm.bytes_min = 100; /* an entry of these tests has 64 */
}

static void teardown(void)
{
    fsm_close(&world.fsm);
}

static int apply_bytes(const void *base, size_t size)
{
    struct raft_buffer buffer = {.len = size};
    void *result = &world;
    int rv;

    memcpy(&buffer.base, &base, sizeof base);
    rv = world.fsm.raft_fsm.apply(&world.fsm.raft_fsm, &buffer, &result);
    ck_assert_ptr_null(result);
    return rv;
}

static void apply_put(const char *key, const char *value)
{
    uint8_t id[ONCE_ID_SIZE] = {1};
    uint8_t entry[512];
    struct txn_builder builder;
    struct bytes encoded;
    size_t size;

    txn_build_plain(&builder, id, 0);
    txn_build_put(&builder, (struct bytes){(const uint8_t *)key, strlen(key)},
                  (struct bytes){(const uint8_t *)value, strlen(value)}, 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    size = entry_size(1, encoded.size);
    ck_assert_uint_le(size, sizeof entry);
    entry_encode(&encoded, 1, entry, size);
    free((void *)(uintptr_t)encoded.base);
    ck_assert_int_eq(apply_bytes(entry, size), 0);
}

static int take_snapshot(struct raft_buffer *bufs[], unsigned *n_bufs)
{
    return world.fsm.raft_fsm.snapshot(&world.fsm.raft_fsm, bufs, n_bufs);
}

static void finalize(struct raft_buffer *bufs[], unsigned *n_bufs)
{
    ck_assert_int_eq(world.fsm.raft_fsm.snapshot_finalize(&world.fsm.raft_fsm, bufs, n_bufs), 0);
}

START_TEST(each_transaction_of_an_entry_is_applied_and_reported)
{
    apply_put("a", "1");
    apply_put("b", "2");
    ck_assert_uint_eq(world.applied, 2);
    ck_assert_int_eq(world.last.status, STORE_APPLIED);
    ck_assert_uint_eq(store_revision(world.fsm.store), 2);
}
END_TEST

START_TEST(an_entry_that_cannot_be_read_is_skipped_and_never_fails)
{
    ck_assert_int_eq(apply_bytes("nonsense", 8), 0);
    ck_assert_uint_eq(world.applied, 0);
    apply_put("a", "1");
    ck_assert_uint_eq(store_revision(world.fsm.store), 1);
}
END_TEST

START_TEST(a_transaction_that_cannot_be_read_is_an_answer)
{
    uint8_t entry[32];
    struct bytes rubbish = {(const uint8_t *)"rubbish", 7};

    entry_encode(&rubbish, 1, entry, entry_size(1, 7));
    ck_assert_int_eq(apply_bytes(entry, entry_size(1, 7)), 0);
    ck_assert_uint_eq(world.applied, 1);
    ck_assert_int_eq(world.last.status, STORE_MALFORMED);
}
END_TEST

START_TEST(a_snapshot_is_postponed_until_enough_entries_came)
{
    struct raft_buffer *bufs = NULL;
    unsigned n_bufs = 0;

    for (int i = 0; i < 3; i++) {
        apply_put("a", "1");
        ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), RAFT_BUSY);
    }
    apply_put("a", "1");
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), 0);
    ck_assert_uint_gt(n_bufs, 0);
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), RAFT_BUSY); /* one is under way */
    finalize(&bufs, &n_bufs);
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), RAFT_BUSY); /* and counting starts anew */
    ck_assert_uint_eq(world.fsm.snapshots_taken, 1);
}
END_TEST

START_TEST(a_snapshot_is_postponed_until_enough_bytes_came)
{
    struct raft_buffer *bufs = NULL;
    unsigned n_bufs = 0;

    world.fsm.bytes_min = 1u << 20;
    for (int i = 0; i < 8; i++) {
        apply_put("a", "1");
    }
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), RAFT_BUSY);
    world.fsm.bytes_min = 8;
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), 0);
    finalize(&bufs, &n_bufs);
}
END_TEST

START_TEST(the_second_member_takes_its_snapshot_later_than_the_first)
{
    struct raft_buffer *bufs = NULL;
    unsigned n_bufs = 0;
    uint64_t due;

    for (int i = 0; i < 4; i++) {
        apply_put("a", "1");
    }
    due = world.fsm.bytes_since;
    world.fsm.bytes_min = due;
    ck_assert_int_eq(raft_configuration_add(&world.raft.configuration, 8, "other", RAFT_VOTER), 0);
    ck_assert_int_eq(
        raft_configuration_add(&world.raft.configuration, world.raft.id, "self", RAFT_VOTER), 0);
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), RAFT_BUSY);
    world.fsm.bytes_since = due + due / 4;
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), 0);
    finalize(&bufs, &n_bufs);
    raft_configuration_close(&world.raft.configuration);
}
END_TEST

START_TEST(a_restored_snapshot_is_the_store_that_was_taken)
{
    struct raft_buffer *bufs = NULL;
    struct raft_buffer whole = {0};
    unsigned n_bufs = 0;
    uint8_t before[STORE_DIGEST_SIZE];
    uint8_t after[STORE_DIGEST_SIZE];

    for (int i = 0; i < 4; i++) {
        apply_put(i % 2 == 0 ? "a" : "b", "value");
    }
    ck_assert_int_eq(store_digest(world.fsm.store, before), QH_OK);
    ck_assert_int_eq(take_snapshot(&bufs, &n_bufs), 0);
    for (unsigned i = 0; i < n_bufs; i++) {
        whole.len += bufs[i].len;
    }
    whole.base = raft_malloc(whole.len);
    ck_assert_ptr_nonnull(whole.base);
    whole.len = 0;
    apply_put("c", "later"); /* not in the view */
    for (unsigned i = 0; i < n_bufs; i++) {
        memcpy((uint8_t *)whole.base + whole.len, bufs[i].base, bufs[i].len);
        whole.len += bufs[i].len;
    }
    finalize(&bufs, &n_bufs);
    ck_assert_int_eq(world.fsm.raft_fsm.restore(&world.fsm.raft_fsm, &whole), 0);
    ck_assert_uint_eq(world.restored, 1);
    ck_assert_int_eq(store_digest(world.fsm.store, after), QH_OK);
    ck_assert_mem_eq(before, after, sizeof before);
}
END_TEST

START_TEST(a_damaged_snapshot_is_refused_and_the_store_stays)
{
    uint8_t *bytes = raft_calloc(1, 64);
    struct raft_buffer whole = {.base = bytes, .len = 64};

    apply_put("a", "1");
    ck_assert_int_eq(world.fsm.raft_fsm.restore(&world.fsm.raft_fsm, &whole), RAFT_CORRUPT);
    ck_assert_uint_eq(store_revision(world.fsm.store), 1);
    ck_assert_uint_eq(world.restored, 0);
    raft_free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fsm");
    TCase *tcase = tcase_create("fsm");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, each_transaction_of_an_entry_is_applied_and_reported);
    tcase_add_test(tcase, an_entry_that_cannot_be_read_is_skipped_and_never_fails);
    tcase_add_test(tcase, a_transaction_that_cannot_be_read_is_an_answer);
    tcase_add_test(tcase, a_snapshot_is_postponed_until_enough_entries_came);
    tcase_add_test(tcase, a_snapshot_is_postponed_until_enough_bytes_came);
    tcase_add_test(tcase, the_second_member_takes_its_snapshot_later_than_the_first);
    tcase_add_test(tcase, a_restored_snapshot_is_the_store_that_was_taken);
    tcase_add_test(tcase, a_damaged_snapshot_is_refused_and_the_store_stays);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
