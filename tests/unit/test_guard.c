/* The guard's life cycle: what it tells and when, the barrier, fast fail-over, a lone voter,
 * and that without rules nothing is changed. */
#include "raft-glue/guard.h"

#include <stdlib.h>
#include <string.h>

#include "raft-glue/guard_internal.h"
#include "tests/lib/test.h"
#include "tests/unit/scripted.h"

#define WITHOUT(rule) (GUARD_RULES_ALL & ~(unsigned)(rule))

static struct scripted a;

static void start(unsigned rules)
{
    scripted_init(&a, 1, rules);
    a.term = 1;
    scripted_store_change(&a, 1, 3);
    scripted_start(&a);
}

static void heartbeat(raft_id from, raft_term term)
{
    scripted_append_entries(
        &a, from,
        (struct raft_append_entries){.term = term, .prev_log_index = 1, .prev_log_term = 1}, NULL,
        0);
}

START_TEST(a_leader_is_ready_when_its_barrier_is_applied_and_not_before)
{
    start(GUARD_RULES_ALL);
    scripted_elect(&a);
    ck_assert_int_eq(a.guard.role.state, RAFT_LEADER);
    ck_assert_uint_eq(a.guard.role.leader, 1);
    ck_assert(!guard_leader_ready(&a.guard));
    scripted_disk_all(&a);
    ck_assert(!guard_leader_ready(&a.guard)); /* stored here, on one disk */
    scripted_append_result(&a, 2, 2, 0, 2);
    ck_assert(guard_leader_ready(&a.guard));
    ck_assert(a.guard.role.ready);
}
END_TEST

START_TEST(each_term_has_a_barrier_of_its_own)
{
    start(GUARD_RULES_ALL);
    scripted_elect(&a);
    scripted_disk_all(&a);
    scripted_append_result(&a, 2, 3, 0, 2); /* deposed; its barrier fails */
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);
    ck_assert(!guard_leader_ready(&a.guard));
    scripted_elect(&a);
    ck_assert_uint_eq(a.raft.current_term, 4);
    ck_assert_uint_eq(guard_log_entry(&a.raft, 3)->type, RAFT_BARRIER);
    ck_assert_uint_eq(guard_log_entry(&a.raft, 3)->term, 4);
    scripted_disk_all(&a);
    scripted_append_result(&a, 2, 4, 0, 3);
    ck_assert(guard_leader_ready(&a.guard));
    ck_assert_ptr_null(guard_log_entry(&a.raft, 4)); /* and no more than one */
}
END_TEST

START_TEST(the_barrier_waits_for_a_transfer_to_end)
{
    static struct raft_transfer transfer;

    start(GUARD_RULES_ALL);
    scripted_time_out(&a);
    a.raft.transfer = &transfer;
    transfer.start = a.now;
    transfer.id = 3;
    scripted_vote_result(&a, 2, a.raft.current_term, true, raft_tribool_false);
    ck_assert_int_eq(a.raft.state, RAFT_LEADER);
    ck_assert_ptr_null(guard_log_entry(&a.raft, 2));
    a.raft.transfer = NULL;
    scripted_tick(&a);
    ck_assert_uint_eq(guard_log_entry(&a.raft, 2)->type, RAFT_BARRIER);
}
END_TEST

static void apply_when_leader(struct scripted *node)
{
    if (node->guard.role.ready && node->guard.depth == 0) {
        scripted_apply(node, "value");
    }
}

START_TEST(changes_are_told_from_outside_of_libraft)
{
    start(GUARD_RULES_ALL);
    a.on_changed = apply_when_leader;
    scripted_tick(&a);
    ck_assert_uint_eq(a.changed_count, 1); /* a follower now */
    heartbeat(2, 2);
    ck_assert_uint_eq(a.changed_count, 2); /* term and leader */
    ck_assert_uint_eq(a.guard.role.leader, 2);
    heartbeat(2, 2);
    ck_assert_uint_eq(a.changed_count, 2);
    ck_assert(guard_forget_leader(&a.guard, 2));
    ck_assert_uint_eq(a.changed_count, 3);
    scripted_elect(&a);
    ck_assert_uint_eq(a.changed_count, 5); /* candidate, leader */
    ck_assert_uint_eq(a.written_count, 0);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.written_count, 1);
    scripted_append_result(&a, 2, 3, 0, 2);
    ck_assert_uint_eq(a.changed_count, 6);                              /* ready */
    ck_assert_uint_eq(guard_log_entry(&a.raft, 3)->type, RAFT_COMMAND); /* from the callback */
    ck_assert_uint_eq(a.inside_count, 0);
}
END_TEST

START_TEST(a_follower_tells_of_its_writes)
{
    struct scripted_entry entries[] = {scripted_entry(2, "one"), scripted_entry(2, "two")};

    start(GUARD_RULES_ALL);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        entries, 2);
    ck_assert_uint_eq(a.written_count, 0);
    ck_assert_uint_eq(guard_bytes_inflight(&a.guard), 2 * SCRIPTED_VALUE_SIZE);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.written_count, 1);
    ck_assert_uint_eq(guard_bytes_inflight(&a.guard), 0);
    ck_assert_uint_eq(a.inside_count, 0);
}
END_TEST

/* Fast fail-over */

static bool grants_a_vote(void)
{
    const struct scripted_message *answer;

    scripted_vote(&a, 3,
                  (struct raft_request_vote){
                      .term = 3, .last_log_index = 9, .last_log_term = 2, .pre_vote = true});
    answer = scripted_last(&a, RAFT_IO_REQUEST_VOTE_RESULT, 3);
    return answer->message.request_vote_result.vote_granted;
}

START_TEST(a_follower_that_forgot_its_leader_grants_votes)
{
    start(GUARD_RULES_ALL);
    heartbeat(2, 2);
    ck_assert(!grants_a_vote());
    ck_assert(!guard_forget_leader(&a.guard, 3)); /* not the leader */
    ck_assert(!guard_forget_leader(&a.guard, 0));
    ck_assert(guard_forget_leader(&a.guard, 2));
    ck_assert_ptr_null(a.raft.follower_state.current_leader.address);
    ck_assert(!guard_forget_leader(&a.guard, 2));
    ck_assert(grants_a_vote());
    heartbeat(2, 2); /* it was alive after all */
    ck_assert_uint_eq(a.guard.role.leader, 2);
    ck_assert_uint_eq(scripted_bad_frees(), 0);
}
END_TEST

START_TEST(a_leader_or_candidate_has_nobody_to_forget)
{
    start(GUARD_RULES_ALL);
    scripted_time_out(&a);
    ck_assert(!guard_forget_leader(&a.guard, 2));
    scripted_vote_result(&a, 2, a.raft.current_term, true, raft_tribool_false);
    ck_assert(!guard_forget_leader(&a.guard, 1));
    ck_assert_int_eq(a.raft.state, RAFT_LEADER);
}
END_TEST

START_TEST(a_campaign_begins_with_a_pre_vote_and_leaves_the_term_alone)
{
    const struct scripted_message *request;

    start(GUARD_RULES_ALL);
    raft_set_pre_vote(&a.raft, true);
    ck_assert(guard_campaign(&a.guard));
    request = scripted_last(&a, RAFT_IO_REQUEST_VOTE, 2);
    ck_assert_ptr_nonnull(request);
    ck_assert(request->message.request_vote.pre_vote);
    ck_assert(!request->message.request_vote.disrupt_leader);
    ck_assert_uint_eq(request->message.request_vote.term, 2);
    ck_assert_uint_eq(a.term, 1);
    ck_assert_uint_eq(a.vote, 0);
    scripted_vote_result(&a, 2, 2, false, raft_tribool_true);
    ck_assert_uint_eq(a.term, 1);
    scripted_vote_result(&a, 3, 2, true, raft_tribool_true);
    ck_assert_uint_eq(a.term, 2);
    ck_assert_uint_eq(a.vote, 1);
    ck_assert(!scripted_last(&a, RAFT_IO_REQUEST_VOTE, 2)->message.request_vote.pre_vote);
}
END_TEST

START_TEST(no_campaign_while_a_leader_is_known_or_an_election_runs)
{
    start(GUARD_RULES_ALL);
    heartbeat(2, 2);
    ck_assert(!guard_campaign(&a.guard));
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);
    ck_assert(guard_forget_leader(&a.guard, 2));
    ck_assert(guard_campaign(&a.guard));
    ck_assert(!guard_campaign(&a.guard)); /* a candidate already */
}
END_TEST

START_TEST(no_campaign_while_the_log_is_being_written)
{
    struct scripted_entry entry = scripted_entry(2, "value");

    start(GUARD_RULES_ALL);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &entry, 1);
    ck_assert(guard_forget_leader(&a.guard, 2));
    ck_assert(!guard_campaign(&a.guard));
    scripted_disk_all(&a);
    ck_assert(guard_campaign(&a.guard));
}
END_TEST

START_TEST(no_campaign_of_a_node_that_is_no_voter)
{
    struct scripted_entry change = scripted_change(2, (const raft_id[]){2, 3}, 2);

    start(GUARD_RULES_ALL);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &change, 1);
    scripted_disk_all(&a);
    ck_assert(guard_forget_leader(&a.guard, 2));
    ck_assert(!guard_campaign(&a.guard));
}
END_TEST

static void meddle(struct scripted *node)
{
    node->guard.depth++; /* as from within libraft */
    ck_assert(!guard_forget_leader(&node->guard, 2));
    ck_assert(!guard_campaign(&node->guard));
    node->guard.depth--;
}

START_TEST(nothing_is_done_to_libraft_from_inside_it)
{
    start(GUARD_RULES_ALL);
    heartbeat(2, 2);
    meddle(&a);
    ck_assert_uint_eq(a.raft.follower_state.current_leader.id, 2);
}
END_TEST

/* R17 */

static raft_term term_after_restart(unsigned rules)
{
    scripted_init(&a, 1, rules);
    a.term = 5;
    a.vote = 1;
    scripted_store_change(&a, 1, 1);
    scripted_start(&a);
    ck_assert_int_eq(a.raft.state, RAFT_LEADER);
    ck_assert_uint_eq(a.raft.current_term, a.term);
    return a.term;
}

START_TEST(r17_a_lone_voter_does_not_lead_the_same_term_twice)
{
    ck_assert_uint_eq(term_after_restart(WITHOUT(GUARD_R17_LONE_VOTER_NEW_TERM)), 5);
    ck_assert_uint_eq(term_after_restart(GUARD_RULES_ALL), 6);
    ck_assert_uint_eq(a.vote, 1);
    scripted_tick(&a);
    scripted_disk_all(&a);
    ck_assert(guard_leader_ready(&a.guard));
}
END_TEST

/* The leader of term 2 removes itself, and is cut off before it hears of it. */
static raft_term term_of_the_last_voter(unsigned rules)
{
    struct scripted_entry change = scripted_change(2, (const raft_id[]){1}, 1);

    scripted_init(&a, 1, rules);
    a.term = 1;
    scripted_store_change(&a, 1, 2);
    scripted_start(&a);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &change, 1);
    scripted_disk_all(&a);
    scripted_time_out(&a);
    ck_assert_int_eq(a.raft.state, RAFT_LEADER);
    return a.raft.current_term;
}

START_TEST(r17_the_last_voter_does_not_share_its_leaders_term)
{
    ck_assert_uint_eq(term_of_the_last_voter(WITHOUT(GUARD_R17_LONE_VOTER_NEW_TERM)), 2);
    ck_assert_uint_eq(term_of_the_last_voter(GUARD_RULES_ALL), 3);
    ck_assert_uint_eq(a.term, 3);
}
END_TEST

static raft_term term_of_a_lone_successor(unsigned rules)
{
    struct scripted_entry change = scripted_change(2, (const raft_id[]){1}, 1);

    scripted_init(&a, 1, rules);
    a.term = 1;
    scripted_store_change(&a, 1, 2);
    scripted_start(&a);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &change, 1);
    scripted_disk_all(&a);
    scripted_timeout_now(
        &a, 2, (struct raft_timeout_now){.term = 2, .last_log_index = 2, .last_log_term = 2});
    return a.raft.state == RAFT_LEADER ? a.raft.current_term : 0;
}

START_TEST(r17_a_lone_voter_is_not_made_leader_of_somebody_elses_term)
{
    ck_assert_uint_eq(term_of_a_lone_successor(WITHOUT(GUARD_R17_LONE_VOTER_NEW_TERM)), 2);
    ck_assert_uint_eq(term_of_a_lone_successor(GUARD_RULES_ALL), 0);
}
END_TEST

/* R18, last part: server 1 follows server 2, and does not know that it is a voter. */
static raft_id leader_after_silence(unsigned rules)
{
    start(rules);
    heartbeat(2, 3);
    ck_assert_uint_eq(a.raft.follower_state.current_leader.id, 2);
    a.raft.configuration.servers[0].role = RAFT_STANDBY;
    scripted_time_out(&a);
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);
    return a.raft.follower_state.current_leader.id;
}

START_TEST(r18_a_silent_leader_is_forgotten_by_one_that_does_not_stand_for_election)
{
    ck_assert_uint_eq(leader_after_silence(WITHOUT(GUARD_R18_VOTE_AS_ASKED)), 2);
    ck_assert_uint_eq(leader_after_silence(GUARD_RULES_ALL), 0);
    heartbeat(2, 3);
    ck_assert_uint_eq(a.raft.follower_state.current_leader.id, 2);
}
END_TEST

/* Telling what is committed */

static raft_index commit_told(raft_id server)
{
    const struct scripted_message *sent = scripted_last(&a, RAFT_IO_APPEND_ENTRIES, server);

    ck_assert_ptr_nonnull(sent);
    return sent->message.append_entries.leader_commit;
}

START_TEST(a_follower_is_told_what_is_committed_as_soon_as_it_has_it)
{
    raft_index last;
    unsigned sent_before;

    start(GUARD_RULES_ALL);
    scripted_elect(&a);
    scripted_disk_all(&a);
    last = guard_log_last(&a.raft);
    scripted_append_result(&a, 2, a.raft.current_term, 0, last);
    scripted_append_result(&a, 3, a.raft.current_term, 0, last);
    scripted_apply(&a, "value");
    scripted_disk_all(&a);
    scripted_append_result(&a, 2, a.raft.current_term, 0, last + 1);
    ck_assert_uint_eq(a.raft.commit_index, last + 1);
    sent_before = a.sent_count;
    guard_tell_commit(&a.guard, 3); /* which has not acknowledged it yet */
    ck_assert_uint_eq(a.sent_count, sent_before);
    guard_tell_commit(&a.guard, 2);
    ck_assert_uint_eq(commit_told(2), last + 1);
    ck_assert_uint_eq(
        scripted_last(&a, RAFT_IO_APPEND_ENTRIES, 2)->message.append_entries.n_entries, 0);
    scripted_append_result(&a, 3, a.raft.current_term, 0, last + 1);
    ck_assert_uint_eq(commit_told(3), last + 1);
    sent_before = a.sent_count;
    guard_tell_commit(&a.guard, 0); /* everybody knows */
    ck_assert_uint_eq(a.sent_count, sent_before);
    ck_assert_uint_eq(a.guard.counters.commits_told, 2);
}
END_TEST

/* No rules */

static void fail_disk_step(struct scripted *node)
{
    scripted_disk_step(node, RAFT_IOERR);
}

START_TEST(without_rules_the_library_is_as_it_was)
{
    start(0);
    scripted_elect(&a);
    ck_assert_ptr_null(guard_log_entry(&a.raft, 2)); /* no barrier */
    ck_assert(guard_leader_ready(&a.guard));
    scripted_apply(&a, "value");
    ck_assert(!scripted_dies(&a, fail_disk_step));
    ck_assert_int_eq(a.raft.state, RAFT_LEADER);
    ck_assert(guard_snapshot_allowed(&a.guard));
    scripted_append_result(&a, 2, 3, 0, 1);
    heartbeat(2, 3);
    ck_assert(!guard_forget_leader(&a.guard, 2));
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("guard");
    TCase *tcase = tcase_create("guard");

    tcase_add_test(tcase, a_leader_is_ready_when_its_barrier_is_applied_and_not_before);
    tcase_add_test(tcase, each_term_has_a_barrier_of_its_own);
    tcase_add_test(tcase, the_barrier_waits_for_a_transfer_to_end);
    tcase_add_test(tcase, changes_are_told_from_outside_of_libraft);
    tcase_add_test(tcase, a_follower_tells_of_its_writes);
    tcase_add_test(tcase, a_follower_that_forgot_its_leader_grants_votes);
    tcase_add_test(tcase, a_leader_or_candidate_has_nobody_to_forget);
    tcase_add_test(tcase, a_campaign_begins_with_a_pre_vote_and_leaves_the_term_alone);
    tcase_add_test(tcase, no_campaign_while_a_leader_is_known_or_an_election_runs);
    tcase_add_test(tcase, no_campaign_while_the_log_is_being_written);
    tcase_add_test(tcase, no_campaign_of_a_node_that_is_no_voter);
    tcase_add_test(tcase, nothing_is_done_to_libraft_from_inside_it);
    tcase_add_test(tcase, r17_a_lone_voter_does_not_lead_the_same_term_twice);
    tcase_add_test(tcase, r17_the_last_voter_does_not_share_its_leaders_term);
    tcase_add_test(tcase, r17_a_lone_voter_is_not_made_leader_of_somebody_elses_term);
    tcase_add_test(tcase, r18_a_silent_leader_is_forgotten_by_one_that_does_not_stand_for_election);
    tcase_add_test(tcase, a_follower_is_told_what_is_committed_as_soon_as_it_has_it);
    tcase_add_test(tcase, without_rules_the_library_is_as_it_was);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
