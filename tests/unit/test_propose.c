/* Propose: each submission is answered once, and its transaction happens at most once, whatever
 * becomes of leaders, connections and copies. The store is the real one; the log is a list. */
#include "raft-glue/propose.h"

#include <stdlib.h>
#include <string.h>

#include "raft-glue/entry.h"
#include "store/txn.h"
#include "tests/lib/test.h"

#define LEADER 7u
#define RESEND_MS 500u

struct message { /* what was forwarded or appended */
    uint8_t bytes[ENTRY_SIZE_MAX];
    size_t size;
    uint64_t to;
};

/* A node with a log of its own making. */
struct world {
    struct propose *propose;
    struct store *store;
    struct message *sent[64];
    unsigned sent_count;
    struct message *entries[64];
    unsigned entry_count;
    unsigned rejected;
    enum qh_err forward_err;
    enum qh_err append_err;
    bool woken;
    unsigned told;
    unsigned callbacks;
    struct propose_result last;
};

static struct message *keep(const void *bytes, size_t size, uint64_t to)
{
    struct message *message = calloc(1, sizeof *message);

    ck_assert_ptr_nonnull(message);
    memcpy(message->bytes, bytes, size);
    message->size = size;
    message->to = to;
    return message;
}

static enum qh_err fake_append(void *data, void *entry, size_t size)
{
    struct world *world = data;

    if (world->append_err != QH_OK) {
        return world->append_err;
    }
    world->entries[world->entry_count++] = keep(entry, size, 0);
    free(entry);
    return QH_OK;
}

static void *fake_alloc(void *data, size_t size)
{
    (void)data;
    return malloc(size);
}

static void fake_release(void *data, void *entry)
{
    (void)data;
    free(entry);
}

static enum qh_err fake_forward(void *data, uint64_t leader, struct bytes transaction)
{
    struct world *world = data;

    if (world->forward_err == QH_OK) {
        world->sent[world->sent_count++] = keep(transaction.base, transaction.size, leader);
    }
    return world->forward_err;
}

static void fake_reject(void *data, uint64_t peer, const uint8_t id[ONCE_ID_SIZE])
{
    struct world *world = data;

    (void)peer;
    (void)id;
    world->rejected++;
}

static const struct store *fake_store(void *data)
{
    return ((struct world *)data)->store;
}

static void fake_tell(void *data, uint64_t peer)
{
    ck_assert_uint_eq(peer, 3);
    ((struct world *)data)->told++;
}

static void fake_wake(void *data)
{
    ((struct world *)data)->woken = true;
}

static void on_result(void *data, const struct propose_result *result)
{
    struct world *world = data;

    world->callbacks++;
    world->last = *result;
}

static struct world world;

static void setup(void)
{
    struct propose_ops ops = {&world,      fake_append, fake_alloc, fake_release, fake_forward,
                              fake_reject, fake_store,  fake_tell,  fake_wake};

    memset(&world, 0, sizeof world);
    ck_assert_int_eq(store_new(&world.store), QH_OK);
    ck_assert_int_eq(propose_new(ops, RESEND_MS, &world.propose), QH_OK);
}

static void teardown(void)
{
    if (world.propose != NULL) {
        propose_free(world.propose);
    }
    store_free(world.store);
    for (unsigned i = 0; i < world.sent_count; i++) {
        free(world.sent[i]);
    }
    for (unsigned i = 0; i < world.entry_count; i++) {
        free(world.entries[i]);
    }
}

static struct bytes text(const char *string)
{
    return (struct bytes){.base = (const uint8_t *)string, .size = strlen(string)};
}

/* A put of @key that happens once; with @absent, only if it is absent. */
static struct bytes make_put(uint8_t id_byte, const char *key, bool absent)
{
    uint8_t id[ONCE_ID_SIZE];
    struct txn_builder builder;
    struct bytes encoded;

    memset(id, id_byte, sizeof id);
    txn_build_once(&builder, id, store_revision(world.store), text("done"));
    if (absent) {
        txn_build_compare(&builder, TXN_ABSENT, text(key), 0);
    }
    txn_build_put(&builder, text(key), text("value"), 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    return encoded;
}

static void release(struct bytes encoded)
{
    free((void *)(uintptr_t)encoded.base);
}

static enum qh_err submit_put(uint8_t id_byte, const char *key, bool absent, uint64_t now_ms,
                              uint64_t deadline_ms)
{
    struct bytes encoded = make_put(id_byte, key, absent);
    enum qh_err err =
        propose_submit(world.propose, encoded, now_ms, deadline_ms, on_result, &world);

    release(encoded);
    return err;
}

static void follow(uint64_t leader, uint64_t term, uint64_t now_ms)
{
    struct propose_role role = {.leader = leader, .term = term};

    propose_role_changed(world.propose, role, now_ms);
}

static void lead(uint64_t term, uint64_t now_ms)
{
    struct propose_role role = {.leading = true, .leader_ready = true, .term = term};

    propose_role_changed(world.propose, role, now_ms);
}

static void apply_transaction(void *data, struct bytes transaction)
{
    struct store_answer answer = store_apply(world.store, transaction);

    (void)data;
    propose_applied(world.propose, transaction, &answer);
}

static void apply_sent(unsigned i)
{
    ck_assert_uint_lt(i, world.sent_count);
    apply_transaction(NULL, (struct bytes){world.sent[i]->bytes, world.sent[i]->size});
    propose_deliver(world.propose);
}

static void apply_entry(unsigned i)
{
    ck_assert_uint_lt(i, world.entry_count);
    ck_assert_int_eq(entry_each((struct bytes){world.entries[i]->bytes, world.entries[i]->size},
                                apply_transaction, NULL),
                     QH_OK);
    propose_entry_done(world.propose);
    propose_deliver(world.propose);
}

START_TEST(a_follower_forwards_and_answers_when_its_own_replica_has_applied)
{
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", false, 0, 1000), QH_OK);
    ck_assert_uint_eq(world.sent_count, 1);
    ck_assert_uint_eq(world.sent[0]->to, LEADER);
    propose_tick(world.propose, 100);
    ck_assert_uint_eq(world.callbacks, 0);
    apply_sent(0);
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_int_eq(world.last.outcome, PROPOSE_APPLIED);
    ck_assert_uint_eq(world.last.answer.revision, 1);
    ck_assert_uint_eq(propose_pending(world.propose), 0);
}
END_TEST

START_TEST(without_a_leader_it_waits_and_the_deadline_says_that_nothing_was_sent)
{
    ck_assert_int_eq(submit_put(1, "k", false, 0, 1000), QH_OK);
    propose_tick(world.propose, 999);
    ck_assert_uint_eq(world.callbacks, 0);
    propose_tick(world.propose, 1000);
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_int_eq(world.last.outcome, PROPOSE_FAILED);
    ck_assert_int_eq(world.last.err, QH_ETIMEOUT);
}
END_TEST

START_TEST(after_sending_the_deadline_says_that_the_outcome_is_unknown)
{
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", false, 0, 1000), QH_OK);
    propose_tick(world.propose, 1000);
    ck_assert_int_eq(world.last.outcome, PROPOSE_FAILED);
    ck_assert_int_eq(world.last.err, QH_EUNKNOWN);
    apply_sent(0);
    ck_assert_uint_eq(world.callbacks, 1);
}
END_TEST

START_TEST(what_waited_goes_to_the_leader_that_appears)
{
    ck_assert_int_eq(submit_put(1, "k", false, 0, 1000), QH_OK);
    ck_assert_uint_eq(world.sent_count, 0);
    follow(LEADER, 1, 10);
    ck_assert_uint_eq(world.sent_count, 1);
}
END_TEST

START_TEST(a_new_leader_gets_it_again_and_it_happens_once)
{
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", false, 0, 1000), QH_OK);
    follow(LEADER + 1, 2, 10);
    ck_assert_uint_eq(world.sent_count, 2);
    apply_sent(0);
    ck_assert_int_eq(world.last.outcome, PROPOSE_APPLIED);
    apply_sent(1);
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_uint_eq(store_revision(world.store), 1);
}
END_TEST

START_TEST(silence_and_a_new_connection_make_it_send_again)
{
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", false, 0, 10000), QH_OK);
    propose_tick(world.propose, RESEND_MS - 1);
    ck_assert_uint_eq(world.sent_count, 1);
    propose_tick(world.propose, RESEND_MS);
    ck_assert_uint_eq(world.sent_count, 2);
    propose_peer_up(world.propose, LEADER + 1, RESEND_MS + 1);
    ck_assert_uint_eq(world.sent_count, 2);
    propose_peer_up(world.propose, LEADER, RESEND_MS + 1);
    ck_assert_uint_eq(world.sent_count, 3);
}
END_TEST

START_TEST(a_failed_send_is_tried_again_at_the_next_tick)
{
    world.forward_err = QH_ECONN;
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", false, 0, 10000), QH_OK);
    ck_assert_uint_eq(world.sent_count, 0);
    world.forward_err = QH_OK;
    propose_tick(world.propose, 20);
    ck_assert_uint_eq(world.sent_count, 1);
}
END_TEST

START_TEST(a_rejection_by_the_leader_is_tried_again_and_by_others_ignored)
{
    uint8_t id[ONCE_ID_SIZE];

    memset(id, 1, sizeof id);
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", false, 0, 10000), QH_OK);
    propose_rejected(world.propose, LEADER + 1, id);
    propose_tick(world.propose, 20);
    ck_assert_uint_eq(world.sent_count, 1);
    propose_rejected(world.propose, LEADER, id);
    propose_tick(world.propose, 40);
    ck_assert_uint_eq(world.sent_count, 2);
}
END_TEST

START_TEST(a_request_that_was_done_is_a_duplicate_without_a_log_entry)
{
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", false, 0, 1000), QH_OK);
    apply_sent(0);
    ck_assert_int_eq(submit_put(1, "k", false, 10, 1000), QH_OK);
    ck_assert_uint_eq(world.sent_count, 1);
    ck_assert_uint_eq(world.callbacks, 1);
    propose_deliver(world.propose);
    ck_assert_uint_eq(world.callbacks, 2);
    ck_assert_int_eq(world.last.outcome, PROPOSE_DUPLICATE);
}
END_TEST

START_TEST(a_request_done_through_another_node_meanwhile_is_a_duplicate)
{
    struct bytes other = make_put(1, "k", false);

    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k2", false, 0, 1000), QH_OK);
    (void)store_apply(world.store, other); /* that node's copy; ours comes second */
    release(other);
    apply_sent(0);
    ck_assert_int_eq(world.last.outcome, PROPOSE_DUPLICATE);
}
END_TEST

START_TEST(a_refusal_of_the_only_copy_is_final)
{
    struct bytes taken = make_put(9, "k", false);

    (void)store_apply(world.store, taken);
    release(taken);
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", true, 0, 1000), QH_OK);
    apply_sent(0);
    ck_assert_int_eq(world.last.outcome, PROPOSE_REFUSED);
    ck_assert_uint_eq(world.last.answer.compare_index, 1);
    ck_assert(!world.last.fenced);
    ck_assert_uint_eq(world.sent_count, 1);
}
END_TEST

/* The second copy is still on its way when the first is refused, and its compare may hold by
 * the time it arrives. */
static void refuse_first_of_two(void)
{
    struct bytes taken = make_put(9, "k", false);

    (void)store_apply(world.store, taken);
    release(taken);
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "k", true, 0, 10000), QH_OK);
    follow(LEADER + 1, 2, 10);
    ck_assert_uint_eq(world.sent_count, 2);
    apply_sent(0);
    ck_assert_uint_eq(world.callbacks, 0);
    ck_assert_uint_eq(world.sent_count, 3); /* the fence */
}

static void delete_key(const char *key)
{
    uint8_t id[ONCE_ID_SIZE] = {0xdd};
    struct txn_builder builder;
    struct bytes encoded;

    txn_build_plain(&builder, id, 0);
    txn_build_delete(&builder, text(key));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_int_eq(store_apply(world.store, encoded).status, STORE_APPLIED);
    release(encoded);
}

START_TEST(a_refusal_with_another_copy_on_its_way_is_fenced)
{
    struct store_record record;

    refuse_first_of_two();
    apply_sent(2);
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_int_eq(world.last.outcome, PROPOSE_REFUSED);
    ck_assert(world.last.fenced);
    delete_key("k"); /* now the stray copy's own compare would hold */
    apply_sent(1);
    ck_assert(!store_get(world.store, text("k"), &record));
}
END_TEST

START_TEST(a_copy_that_beats_the_fence_is_the_answer)
{
    struct store_record record;

    refuse_first_of_two();
    delete_key("k");
    apply_sent(1);
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_int_eq(world.last.outcome, PROPOSE_DUPLICATE);
    apply_sent(2);
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert(store_get(world.store, text("k"), &record));
}
END_TEST

START_TEST(a_leader_appends_at_once_and_gathers_while_the_disk_writes)
{
    lead(1, 0);
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_OK);
    ck_assert_uint_eq(world.entry_count, 1);
    ck_assert_int_eq(submit_put(2, "b", false, 0, 1000), QH_OK);
    ck_assert_int_eq(submit_put(3, "c", false, 0, 1000), QH_OK);
    ck_assert_uint_eq(world.entry_count, 1);
    propose_written(world.propose);
    ck_assert_uint_eq(world.entry_count, 2);
    ck_assert_uint_eq(propose_counters(world.propose)->appended_transactions, 3);
    apply_entry(0);
    ck_assert_uint_eq(world.callbacks, 1);
    apply_entry(1);
    ck_assert_uint_eq(world.callbacks, 3);
    ck_assert_uint_eq(store_revision(world.store), 3);
}
END_TEST

/* As a busy client does; when everything ends it is told so, and can submit no more. */
static void submit_another(void *data, const struct propose_result *result)
{
    static uint8_t id_byte = 100;

    (void)data;
    ck_assert_int_eq(submit_put(id_byte++, "another", false, 0, 1000),
                     result->outcome == PROPOSE_FAILED ? QH_ECANCELED : QH_OK);
}

START_TEST(what_callbacks_submit_travels_in_one_entry)
{
    lead(1, 0);
    for (uint8_t i = 1; i <= 3; i++) {
        struct bytes encoded = make_put(i, "a", false);

        ck_assert_int_eq(propose_submit(world.propose, encoded, 0, 1000, submit_another, NULL),
                         QH_OK);
        release(encoded);
    }
    propose_written(world.propose);
    ck_assert_uint_eq(world.entry_count, 2);
    propose_written(world.propose);
    apply_entry(1);
    ck_assert_uint_eq(world.entry_count, 3);
    ck_assert_uint_eq(propose_counters(world.propose)->appended_transactions, 5);
}
END_TEST

START_TEST(no_more_entries_than_the_limit_are_under_way)
{
    lead(1, 0);
    for (unsigned i = 0; i < PROPOSE_ENTRIES_MAX + 1; i++) {
        if (i == PROPOSE_ENTRIES_MAX) {
            ck_assert_uint_eq(world.entry_count, PROPOSE_ENTRIES_MAX);
            while (world.entry_count > 0) { /* room in this test's own list */
                free(world.entries[--world.entry_count]);
            }
        }
        ck_assert_int_eq(submit_put((uint8_t)i, "a", false, 0, 1000), QH_OK);
        propose_written(world.propose);
    }
    ck_assert_uint_eq(world.entry_count, 0);
    propose_entry_done(world.propose);
    propose_deliver(world.propose);
    ck_assert_uint_eq(world.entry_count, 1);
}
END_TEST

START_TEST(an_entry_that_libraft_refuses_stays_with_us)
{
    world.append_err = QH_ENOTLEADER;
    lead(1, 0);
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_OK);
    follow(LEADER, 2, 10);
    ck_assert_uint_eq(world.sent_count, 1);
}
END_TEST

START_TEST(lost_leadership_sends_what_was_in_the_log_and_in_the_queue_to_the_new_leader)
{
    lead(1, 0);
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_OK);
    ck_assert_int_eq(submit_put(2, "b", false, 0, 1000), QH_OK);
    follow(0, 2, 10);
    propose_entry_done(world.propose);
    ck_assert_uint_eq(world.sent_count, 0);
    follow(LEADER, 2, 20);
    ck_assert_uint_eq(world.sent_count, 2);
    apply_sent(0);
    apply_sent(1);
    ck_assert_uint_eq(world.callbacks, 2);
    ck_assert_uint_eq(store_revision(world.store), 2);
}
END_TEST

START_TEST(a_forwarded_transaction_is_appended_by_a_leader_and_rejected_by_others)
{
    struct bytes encoded = make_put(1, "a", false);

    propose_forwarded(world.propose, 3, encoded);
    ck_assert_uint_eq(world.rejected, 1);
    lead(1, 0);
    propose_forwarded(world.propose, 3, encoded);
    ck_assert_uint_eq(world.rejected, 1);
    ck_assert_uint_eq(world.entry_count, 1);
    propose_forwarded(world.propose, 3, text("rubbish"));
    ck_assert_uint_eq(world.entry_count, 1);
    release(encoded);
}
END_TEST

START_TEST(a_peer_is_told_when_what_it_forwarded_is_committed)
{
    struct bytes encoded = make_put(1, "a", false);

    lead(1, 0);
    ck_assert_int_eq(submit_put(2, "own", false, 0, 1000), QH_OK);
    propose_forwarded(world.propose, 3, encoded);
    propose_written(world.propose);
    ck_assert_uint_eq(world.entry_count, 2);
    apply_entry(0);
    ck_assert_uint_eq(world.told, 0);
    apply_entry(1);
    ck_assert_uint_eq(world.told, 1);
    propose_deliver(world.propose);
    ck_assert_uint_eq(world.told, 1);
    release(encoded);
}
END_TEST

START_TEST(a_leader_that_is_not_ready_keeps_what_arrives_until_it_is)
{
    struct propose_role role = {.leading = true, .term = 1};
    struct bytes encoded = make_put(1, "a", false);

    propose_role_changed(world.propose, role, 0);
    propose_forwarded(world.propose, 3, encoded);
    ck_assert_int_eq(submit_put(2, "b", false, 0, 1000), QH_OK);
    ck_assert_uint_eq(world.rejected, 0);
    ck_assert_uint_eq(world.entry_count, 0);
    lead(1, 10);
    ck_assert_uint_eq(world.entry_count, 1);
    ck_assert_uint_eq(propose_counters(world.propose)->appended_transactions, 2);
    propose_written(world.propose);
    propose_tick(world.propose, 20);
    ck_assert_uint_eq(world.entry_count, 1); /* and not once more */
    release(encoded);
}
END_TEST

START_TEST(forwarded_transactions_that_wait_are_rejected_when_leadership_ends)
{
    struct bytes first = make_put(1, "a", false);
    struct bytes second = make_put(2, "b", false);

    lead(1, 0);
    propose_forwarded(world.propose, 3, first);
    propose_forwarded(world.propose, 3, second);
    follow(LEADER, 2, 10);
    ck_assert_uint_eq(world.rejected, 1);
    release(first);
    release(second);
}
END_TEST

START_TEST(a_restored_snapshot_answers_what_it_contains)
{
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_OK);
    ck_assert_int_eq(submit_put(2, "b", false, 0, 1000), QH_OK);
    (void)store_apply(world.store, (struct bytes){world.sent[0]->bytes, world.sent[0]->size});
    propose_restored(world.propose);
    propose_deliver(world.propose);
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_int_eq(world.last.outcome, PROPOSE_DUPLICATE);
    ck_assert_uint_eq(propose_pending(world.propose), 1);
}
END_TEST

START_TEST(only_transactions_that_happen_once_are_taken)
{
    uint8_t id[ONCE_ID_SIZE] = {1};
    struct txn_builder builder;
    struct bytes encoded;

    txn_build_plain(&builder, id, 5);
    txn_build_put(&builder, text("a"), text("v"), 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_int_eq(propose_submit(world.propose, encoded, 0, 1, on_result, &world), QH_EINVAL);
    release(encoded);
    txn_build_once(&builder, id, 0, (struct bytes){0}); /* an empty answer is a fence */
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_int_eq(propose_submit(world.propose, encoded, 0, 1, on_result, &world), QH_EINVAL);
    release(encoded);
    ck_assert_int_eq(propose_submit(world.propose, text("x"), 0, 1, on_result, &world), QH_EINVAL);
}
END_TEST

START_TEST(an_id_that_is_pending_is_refused)
{
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_OK);
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_EEXIST);
    ck_assert_uint_eq(propose_pending(world.propose), 1);
}
END_TEST

static enum qh_err submit_numbered(unsigned number)
{
    uint8_t id[ONCE_ID_SIZE] = {0};
    struct txn_builder builder;
    struct bytes encoded;
    enum qh_err err;

    memcpy(id, &number, sizeof number);
    txn_build_once(&builder, id, 0, text("done"));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    err = propose_submit(world.propose, encoded, 0, 1000, on_result, &world);
    release(encoded);
    return err;
}

START_TEST(the_limit_of_pending_proposals_holds)
{
    for (unsigned i = 0; i < PROPOSE_PENDING_MAX; i++) {
        ck_assert_int_eq(submit_numbered(i), QH_OK);
    }
    ck_assert_int_eq(submit_numbered(PROPOSE_PENDING_MAX), QH_EBUSY);
    propose_tick(world.propose, 1000);
    ck_assert_uint_eq(world.callbacks, PROPOSE_PENDING_MAX);
    ck_assert_int_eq(submit_numbered(PROPOSE_PENDING_MAX), QH_OK);
}
END_TEST

START_TEST(closing_answers_everybody)
{
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_OK);
    propose_free(world.propose);
    world.propose = NULL;
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_int_eq(world.last.outcome, PROPOSE_FAILED);
    ck_assert_int_eq(world.last.err, QH_ECANCELED);
}
END_TEST

START_TEST(what_was_sent_before_closing_may_still_happen)
{
    follow(LEADER, 1, 0);
    ck_assert_int_eq(submit_put(1, "a", false, 0, 1000), QH_OK);
    propose_deliver(world.propose);
    propose_free(world.propose);
    world.propose = NULL;
    ck_assert_uint_eq(world.callbacks, 1);
    ck_assert_int_eq(world.last.outcome, PROPOSE_FAILED);
    ck_assert_int_eq(world.last.err, QH_EUNKNOWN);
}
END_TEST

static void add_follower_tests(TCase *tcase)
{
    tcase_add_test(tcase, a_follower_forwards_and_answers_when_its_own_replica_has_applied);
    tcase_add_test(tcase, without_a_leader_it_waits_and_the_deadline_says_that_nothing_was_sent);
    tcase_add_test(tcase, after_sending_the_deadline_says_that_the_outcome_is_unknown);
    tcase_add_test(tcase, what_waited_goes_to_the_leader_that_appears);
    tcase_add_test(tcase, a_new_leader_gets_it_again_and_it_happens_once);
    tcase_add_test(tcase, silence_and_a_new_connection_make_it_send_again);
    tcase_add_test(tcase, a_failed_send_is_tried_again_at_the_next_tick);
    tcase_add_test(tcase, a_rejection_by_the_leader_is_tried_again_and_by_others_ignored);
    tcase_add_test(tcase, a_request_that_was_done_is_a_duplicate_without_a_log_entry);
    tcase_add_test(tcase, a_request_done_through_another_node_meanwhile_is_a_duplicate);
    tcase_add_test(tcase, a_refusal_of_the_only_copy_is_final);
    tcase_add_test(tcase, a_refusal_with_another_copy_on_its_way_is_fenced);
    tcase_add_test(tcase, a_copy_that_beats_the_fence_is_the_answer);
    tcase_add_test(tcase, a_restored_snapshot_answers_what_it_contains);
    tcase_add_test(tcase, only_transactions_that_happen_once_are_taken);
    tcase_add_test(tcase, an_id_that_is_pending_is_refused);
    tcase_add_test(tcase, the_limit_of_pending_proposals_holds);
    tcase_add_test(tcase, closing_answers_everybody);
    tcase_add_test(tcase, what_was_sent_before_closing_may_still_happen);
}

static void add_leader_tests(TCase *tcase)
{
    tcase_add_test(tcase, a_leader_appends_at_once_and_gathers_while_the_disk_writes);
    tcase_add_test(tcase, what_callbacks_submit_travels_in_one_entry);
    tcase_add_test(tcase, no_more_entries_than_the_limit_are_under_way);
    tcase_add_test(tcase, an_entry_that_libraft_refuses_stays_with_us);
    tcase_add_test(tcase,
                   lost_leadership_sends_what_was_in_the_log_and_in_the_queue_to_the_new_leader);
    tcase_add_test(tcase, a_forwarded_transaction_is_appended_by_a_leader_and_rejected_by_others);
    tcase_add_test(tcase, a_peer_is_told_when_what_it_forwarded_is_committed);
    tcase_add_test(tcase, a_leader_that_is_not_ready_keeps_what_arrives_until_it_is);
    tcase_add_test(tcase, forwarded_transactions_that_wait_are_rejected_when_leadership_ends);
}

int main(void)
{
    Suite *suite = suite_create("propose");
    TCase *tcase = tcase_create("propose");

    tcase_add_checked_fixture(tcase, setup, teardown);
    add_follower_tests(tcase);
    add_leader_tests(tcase);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
