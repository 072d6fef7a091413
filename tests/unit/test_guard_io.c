/* The guard's rules on what libraft sends and writes, each shown both ways: without it the
 * real library does the harm, with it it does not. */
#include <stdlib.h>
#include <string.h>

#include "raft-glue/guard_internal.h"
#include "tests/lib/test.h"
#include "tests/unit/scripted.h"

#define WITHOUT(rule) (GUARD_RULES_ALL & ~(unsigned)(rule))

static struct scripted a;
static struct scripted c;

static void start(struct scripted *node, raft_id id, unsigned rules, const char *const values[],
                  unsigned count)
{
    scripted_init(node, id, rules);
    node->term = 1;
    scripted_store_change(node, 1, 3);
    for (unsigned i = 0; i < count; i++) {
        scripted_store(node, 1, values[i]);
    }
    scripted_start(node);
}

/* The index of the last message of @type from @node to @to. */
static unsigned nth_of(const struct scripted *node, unsigned short type, raft_id to)
{
    const struct scripted_message *message = scripted_last(node, type, to);

    ck_assert_ptr_nonnull(message);
    return (unsigned)(message - node->sent);
}

/* R1. Server 3 holds two entries that only the dead leader of term 1 had. Server 1 is elected,
 * stores its barrier and a command on its own disk, and hears server 3's answer to the first
 * heartbeat, which compares nothing but index 1. Returns what server 1 takes for committed. */
static raft_index committed_on_one_disk(unsigned rules)
{
    unsigned heartbeat;

    start(&a, 1, rules, NULL, 0);
    start(&c, 3, rules, (const char *const[]){"stale", "stale"}, 2);
    scripted_elect(&a);
    heartbeat = nth_of(&a, RAFT_IO_APPEND_ENTRIES, 3);
    scripted_apply(&a, "newkey");
    scripted_disk_all(&a);
    scripted_deliver(&c, &a, heartbeat);
    scripted_deliver(&a, &c, nth_of(&c, RAFT_IO_APPEND_ENTRIES_RESULT, 1));
    ck_assert(scripted_disk_has(&c, 3, "stale"));
    return a.raft.commit_index;
}

START_TEST(r1_a_write_on_one_disk_of_three_is_not_committed)
{
    ck_assert_uint_eq(committed_on_one_disk(WITHOUT(GUARD_R1_ACK_ONLY_VERIFIED)), 3);
    ck_assert_str_eq(a.applied[0].data, "newkey");
    ck_assert_uint_eq(committed_on_one_disk(GUARD_RULES_ALL), 1);
    ck_assert_uint_eq(a.applied_count, 0);
    ck_assert_uint_eq(c.guard.counters.acks_capped, 1);
}
END_TEST

/* A write for the leader of term 2 ends when that of term 3 is known. */
static raft_index ack_to_the_next_leader(unsigned rules)
{
    struct scripted_entry entry = scripted_entry(2, "old");

    start(&a, 1, rules, NULL, 0);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &entry, 1);
    scripted_append_entries(
        &a, 3, (struct raft_append_entries){.term = 3, .prev_log_index = 1, .prev_log_term = 1},
        NULL, 0);
    scripted_disk_all(&a);
    return a.sent[nth_of(&a, RAFT_IO_APPEND_ENTRIES_RESULT, 3)]
        .message.append_entries_result.last_log_index;
}

START_TEST(r1_a_write_for_one_leader_is_not_acknowledged_to_the_next)
{
    ck_assert_uint_eq(ack_to_the_next_leader(WITHOUT(GUARD_R1_ACK_ONLY_VERIFIED)), 2);
    ck_assert_uint_eq(ack_to_the_next_leader(GUARD_RULES_ALL), 1);
}
END_TEST

START_TEST(r1_what_was_verified_is_acknowledged_in_full)
{
    struct scripted_entry entries[] = {scripted_entry(2, "one"), scripted_entry(2, "two")};

    start(&a, 1, GUARD_RULES_ALL, NULL, 0);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        entries, 2);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.sent[nth_of(&a, RAFT_IO_APPEND_ENTRIES_RESULT, 2)]
                          .message.append_entries_result.last_log_index,
                      3);
    ck_assert_uint_eq(a.guard.counters.acks_capped, 0);
}
END_TEST

START_TEST(r1_an_installed_snapshot_is_acknowledged)
{
    start(&a, 1, GUARD_RULES_ALL, NULL, 0);
    scripted_install(&a, 2, 2, 10, 2, 3);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.sent[nth_of(&a, RAFT_IO_APPEND_ENTRIES_RESULT, 2)]
                          .message.append_entries_result.last_log_index,
                      10);
}
END_TEST

/* R4 */

static void fail_disk_step(struct scripted *node)
{
    scripted_disk_step(node, RAFT_NOSPACE);
}

/* The leader sends a command at index 3, its own write of it fails, and it takes another
 * command. Are there two different entries with the same index and term? */
static bool reuses_an_index(unsigned rules)
{
    const struct scripted_message *first;
    const struct scripted_message *second;

    start(&a, 1, rules, NULL, 0);
    scripted_elect(&a);
    scripted_disk_all(&a);
    scripted_append_result(&a, 2, 2, 0, 2);
    scripted_apply(&a, "first");
    first = scripted_last(&a, RAFT_IO_APPEND_ENTRIES, 2);
    if (scripted_dies(&a, fail_disk_step)) {
        return false;
    }
    a.raft.leader_state.progress[1].next_index = 3;
    scripted_apply(&a, "second");
    second = scripted_last(&a, RAFT_IO_APPEND_ENTRIES, 2);
    return first->message.append_entries.prev_log_index ==
               second->message.append_entries.prev_log_index &&
           first->entries[0].term == second->entries[0].term &&
           strcmp(first->entries[0].data, second->entries[0].data) != 0;
}

START_TEST(r4_a_failed_log_write_ends_the_process_before_the_index_is_used_again)
{
    ck_assert(reuses_an_index(WITHOUT(GUARD_R4_DISK_ERROR_STOPS)));
    ck_assert(!reuses_an_index(GUARD_RULES_ALL));
    ck_assert_ptr_nonnull(strstr(a.why, "writing the log to the disk failed"));
    ck_assert_ptr_nonnull(strstr(a.why, "no space left on the disk"));
    ck_assert_ptr_nonnull(strstr(a.why, "free space or check the disk, then restart"));
}
END_TEST

static void time_out(struct scripted *node)
{
    scripted_time_out(node);
}

static void apply_one(struct scripted *node)
{
    scripted_apply(node, "value");
}

static void grant_vote(struct scripted *node)
{
    scripted_vote(node, 2,
                  (struct raft_request_vote){.term = 1, .last_log_index = 9, .last_log_term = 1});
}

static void install(struct scripted *node)
{
    scripted_install(node, 2, 2, 10, 2, 3);
}

static void replace_last(struct scripted *node)
{
    struct scripted_entry entry = scripted_entry(2, "right");

    scripted_append_entries(
        node, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &entry, 1);
}

struct fault {
    size_t field; /* offset in struct scripted */
    void (*step)(struct scripted *node);
    bool leader;
    const char *text;
};

static const struct fault faults[] = {
    {offsetof(struct scripted, fail_term), time_out, false, "writing the term to the disk failed"},
    {offsetof(struct scripted, fail_vote), grant_vote, false,
     "writing the vote to the disk failed"},
    {offsetof(struct scripted, fail_append), apply_one, true, "writing the log to the disk failed"},
    {offsetof(struct scripted, fail_truncate), replace_last, false, "truncating the log failed"},
    {offsetof(struct scripted, fail_put), install, false, "writing a snapshot to the disk failed"},
};

START_TEST(r4_every_disk_operation_that_fails_ends_the_process)
{
    const struct fault *fault = &faults[_i];

    start(&a, 1, GUARD_RULES_ALL, (const char *const[]){"stale"}, 1);
    if (fault->leader) {
        scripted_elect(&a);
        scripted_disk_all(&a);
    }
    *(int *)(void *)((char *)&a + fault->field) = RAFT_IOERR;
    ck_assert(scripted_dies(&a, fault->step));
    ck_assert_ptr_nonnull(strstr(a.why, fault->text));
    ck_assert_ptr_nonnull(strstr(a.why, "scripted fault"));
}
END_TEST

START_TEST(r4_a_snapshot_that_fails_late_ends_the_process)
{
    start(&a, 1, GUARD_RULES_ALL, NULL, 0);
    install(&a);
    ck_assert(scripted_dies(&a, fail_disk_step));
    ck_assert_ptr_nonnull(strstr(a.why, "writing a snapshot to the disk failed"));
}
END_TEST

static void fail_restoring(struct scripted *node)
{
    node->fail_restore = RAFT_MALFORMED;
    scripted_disk_step(node, 0);
}

START_TEST(r4_a_snapshot_that_cannot_be_restored_ends_the_process)
{
    start(&a, 1, WITHOUT(GUARD_R4_DISK_ERROR_STOPS), NULL, 0);
    install(&a);
    ck_assert(!scripted_dies(&a, fail_restoring));
    ck_assert_uint_eq(a.raft.log.snapshot.last_index, 10);
    ck_assert_uint_eq(a.raft.last_applied, 1); /* and nothing in between is left to apply */

    start(&a, 1, GUARD_RULES_ALL, NULL, 0);
    install(&a);
    ck_assert(scripted_dies(&a, fail_restoring));
    ck_assert_ptr_nonnull(strstr(a.why, "cannot be restored"));
}
END_TEST

static void fail_term_once(struct scripted *node)
{
    node->fail_term = RAFT_IOERR;
    scripted_time_out(node);
}

START_TEST(r4_without_the_rule_a_node_turns_itself_off_silently)
{
    start(&a, 1, WITHOUT(GUARD_R4_DISK_ERROR_STOPS), NULL, 0);
    ck_assert(!scripted_dies(&a, fail_term_once));
    ck_assert_int_eq(a.raft.state, RAFT_UNAVAILABLE);
}
END_TEST

static void fail_applying(struct scripted *node)
{
    node->fail_apply = RAFT_IOERR;
    scripted_append_entries(
        node, 2,
        (struct raft_append_entries){
            .term = 2, .prev_log_index = 2, .prev_log_term = 1, .leader_commit = 2},
        NULL, 0);
}

START_TEST(r4_a_library_that_turns_itself_off_ends_the_process)
{
    start(&a, 1, GUARD_RULES_ALL, (const char *const[]){"value"}, 1);
    ck_assert(scripted_dies(&a, fail_applying));
    ck_assert_int_eq(a.raft.state, RAFT_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(a.why, "turned itself off"));
    ck_assert_ptr_nonnull(strstr(a.why, "restart"));
}
END_TEST

/* R5: an answer to entries cannot be sent. */
static unsigned frees_twice(unsigned rules)
{
    struct scripted_entry entry = scripted_entry(2, "value");
    unsigned before = scripted_bad_frees();

    start(&a, 1, rules, NULL, 0);
    a.fail_send = RAFT_NOCONNECTION;
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 5, .prev_log_term = 2},
        &entry, 1);
    return scripted_bad_frees() - before;
}

static void frees_twice_without(void)
{
    unsigned count = frees_twice(WITHOUT(GUARD_R5_NO_GARBAGE_REPLY));

    ck_assert_uint_gt(count, 0);
}

START_TEST(r5_an_answer_that_cannot_be_sent_frees_nothing_twice)
{
    frees_twice_without();
    ck_assert_uint_eq(frees_twice(GUARD_RULES_ALL), 0);
    ck_assert_uint_eq(a.guard.counters.replies_dropped, 1);
}
END_TEST

/* A snapshot is installed when this node has become a candidate, which takes R3 to be off. */
static unsigned sends_to_nobody(unsigned rules)
{
    start(&a, 1, rules, NULL, 0);
    install(&a);
    scripted_time_out(&a);
    ck_assert_int_eq(a.raft.state, RAFT_CANDIDATE);
    scripted_disk_all(&a);
    return a.bad_sends;
}

START_TEST(r5_a_candidate_answers_nobody)
{
    unsigned rules = WITHOUT(GUARD_R3_NO_VOTE_UNPERSISTED);

    ck_assert_uint_gt(sends_to_nobody(rules & ~(unsigned)GUARD_R5_NO_GARBAGE_REPLY), 0);
    ck_assert_uint_eq(sends_to_nobody(rules), 0);
}
END_TEST

START_TEST(r5_a_write_that_ends_after_its_leader_was_forgotten_is_answered_to_nobody)
{
    struct scripted_entry entry = scripted_entry(2, "value");

    start(&a, 1, GUARD_RULES_ALL, NULL, 0);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &entry, 1);
    ck_assert(guard_forget_leader(&a.guard, 2));
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.bad_sends, 0);
    ck_assert_uint_eq(a.sent_count, 0);
    ck_assert_uint_eq(a.guard.counters.replies_dropped, 1);
    ck_assert_uint_eq(scripted_bad_frees(), 0);
}
END_TEST

static void vote_again(struct scripted *node)
{
    ck_assert_int_eq(node->guard.io.set_vote(&node->guard.io, 3), 0);
}

START_TEST(r6_a_second_vote_that_reaches_the_disk_ends_the_process)
{
    start(&a, 1, GUARD_RULES_ALL, NULL, 0);
    ck_assert_int_eq(a.guard.io.set_vote(&a.guard.io, 2), 0);
    ck_assert_int_eq(a.guard.io.set_vote(&a.guard.io, 2), 0);
    ck_assert(scripted_dies(&a, vote_again));
    ck_assert_uint_eq(a.vote, 2);
    ck_assert_uint_eq(a.votes_twice, 0);
}
END_TEST

/* R14: a candidate two terms behind asks a node that has the shorter log. */
static raft_term term_learnt(unsigned rules)
{
    scripted_init(&a, 1, rules);
    a.term = 5;
    scripted_store_change(&a, 1, 3);
    scripted_start(&a);
    scripted_vote(&a, 2,
                  (struct raft_request_vote){
                      .term = 3, .last_log_index = 9, .last_log_term = 2, .pre_vote = true});
    ck_assert_uint_eq(a.term, 5);
    return a.sent[nth_of(&a, RAFT_IO_REQUEST_VOTE_RESULT, 2)].message.request_vote_result.term;
}

START_TEST(r14_a_refused_candidate_learns_the_higher_term)
{
    ck_assert_uint_eq(term_learnt(WITHOUT(GUARD_R14_PREVOTE_TRUE_TERM)), 3);
    ck_assert_uint_eq(term_learnt(GUARD_RULES_ALL), 5);
    ck_assert_uint_eq(a.guard.counters.prevotes_corrected, 1);
}
END_TEST

START_TEST(r14_a_granted_prevote_keeps_its_term)
{
    start(&a, 1, GUARD_RULES_ALL, NULL, 0);
    scripted_vote(&a, 2,
                  (struct raft_request_vote){
                      .term = 2, .last_log_index = 9, .last_log_term = 1, .pre_vote = true});
    ck_assert(a.sent[0].message.request_vote_result.vote_granted);
    ck_assert_uint_eq(a.sent[0].message.request_vote_result.term, 2);
    ck_assert_uint_eq(a.term, 1);
}
END_TEST

/* R19: server 1 leads, and adds server 3. */
static void change_done(struct raft_change *change, int status)
{
    (void)change;
    (void)status;
}

static bool follower_has_change_first(unsigned rules)
{
    static struct raft_change change;
    const struct scripted_message *sent;

    scripted_init(&a, 1, rules);
    a.term = 1;
    scripted_store_change(&a, 1, 2);
    scripted_start(&a);
    scripted_elect(&a);
    scripted_disk_all(&a);
    scripted_append_result(&a, 2, a.raft.current_term, 0, guard_log_last(&a.raft));
    ck_assert_int_eq(raft_add(&a.raft, &change, 3, "3", change_done), 0);
    sent = scripted_last(&a, RAFT_IO_APPEND_ENTRIES, 2);
    return sent != NULL && sent->message.append_entries.n_entries > 0 &&
           sent->entries[sent->message.append_entries.n_entries - 1].type == RAFT_CHANGE;
}

START_TEST(r19_a_change_is_sent_only_once_it_is_on_the_leaders_disk)
{
    const struct scripted_message *sent;

    ck_assert(follower_has_change_first(WITHOUT(GUARD_R19_CHANGE_STORED_FIRST)));
    ck_assert(!follower_has_change_first(GUARD_RULES_ALL));
    ck_assert_uint_ge(a.guard.counters.changes_held, 1);
    scripted_disk_all(&a);
    a.now += a.raft.heartbeat_timeout;
    scripted_tick(&a);
    sent = scripted_last(&a, RAFT_IO_APPEND_ENTRIES, 2);
    ck_assert_ptr_nonnull(sent);
    ck_assert_uint_gt(sent->message.append_entries.n_entries, 0);
    ck_assert_int_eq(sent->entries[sent->message.append_entries.n_entries - 1].type, RAFT_CHANGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard_io");
    TCase *tcase = tcase_create("guard_io");

    tcase_add_test(tcase, r1_a_write_on_one_disk_of_three_is_not_committed);
    tcase_add_test(tcase, r1_a_write_for_one_leader_is_not_acknowledged_to_the_next);
    tcase_add_test(tcase, r1_what_was_verified_is_acknowledged_in_full);
    tcase_add_test(tcase, r1_an_installed_snapshot_is_acknowledged);
    tcase_add_test(tcase, r4_a_failed_log_write_ends_the_process_before_the_index_is_used_again);
    tcase_add_loop_test(tcase, r4_every_disk_operation_that_fails_ends_the_process, 0,
                        (int)(sizeof faults / sizeof faults[0]));
    tcase_add_test(tcase, r4_a_snapshot_that_fails_late_ends_the_process);
    tcase_add_test(tcase, r4_a_snapshot_that_cannot_be_restored_ends_the_process);
    tcase_add_test(tcase, r4_without_the_rule_a_node_turns_itself_off_silently);
    tcase_add_test(tcase, r4_a_library_that_turns_itself_off_ends_the_process);
    tcase_add_test(tcase, r5_an_answer_that_cannot_be_sent_frees_nothing_twice);
    tcase_add_test(tcase, r5_a_candidate_answers_nobody);
    tcase_add_test(tcase,
                   r5_a_write_that_ends_after_its_leader_was_forgotten_is_answered_to_nobody);
    tcase_add_test(tcase, r6_a_second_vote_that_reaches_the_disk_ends_the_process);
    tcase_add_test(tcase, r14_a_refused_candidate_learns_the_higher_term);
    tcase_add_test(tcase, r14_a_granted_prevote_keeps_its_term);
    tcase_add_test(tcase, r19_a_change_is_sent_only_once_it_is_on_the_leaders_disk);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
