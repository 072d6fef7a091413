/* The guard's rules on what libraft receives. Each is shown both ways: without it the real
 * library does the harm, with it it does not. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/lib/test.h"
#include "tests/unit/scripted.h"

#define WITHOUT(rule) (GUARD_RULES_ALL & ~(unsigned)(rule))

static struct scripted a;

/* Server 1 of three, with @values in its log after the configuration, all of @term. */
static void start_with(unsigned rules, raft_term term, const char *const values[], unsigned count)
{
    scripted_init(&a, 1, rules);
    a.term = term;
    scripted_store_change(&a, 1, 3);
    for (unsigned i = 0; i < count; i++) {
        scripted_store(&a, term, values[i]);
    }
    scripted_start(&a);
}

/* Does @body, in a process of its own, come to its end? */
static bool ends_well(void (*body)(void))
{
    int status = 0;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        body();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* R2: figure 8 of the Raft paper. An entry of term 1 is on a majority, which does not make it
 * safe: a server with a later entry at its place may still win. */
static bool commits_an_older_term_by_counting(unsigned rules)
{
    start_with(rules, 1, (const char *const[]){"old"}, 1);
    scripted_elect(&a);
    scripted_append_result(&a, 2, a.raft.current_term, 0, 2);
    return a.raft.commit_index >= 2;
}

START_TEST(r2_copies_of_an_older_terms_entry_commit_nothing)
{
    ck_assert(commits_an_older_term_by_counting(WITHOUT(GUARD_R2_OWN_TERM_FIRST)));
    ck_assert(!commits_an_older_term_by_counting(GUARD_RULES_ALL));
    ck_assert_uint_eq(a.guard.counters.counts_postponed, 1);
    /* The barrier carries it along. */
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.raft.commit_index, 1);
    scripted_append_result(&a, 2, a.raft.current_term, 0, 3);
    ck_assert_uint_eq(a.raft.commit_index, 3);
    ck_assert_str_eq(a.applied[0].data, "old");
}
END_TEST

START_TEST(r2_the_barrier_goes_out_with_the_first_acknowledgement)
{
    const struct scripted_message *last;

    start_with(GUARD_RULES_ALL, 1, (const char *const[]){"old"}, 1);
    scripted_elect(&a);
    scripted_append_result(&a, 2, a.raft.current_term, 0, 2);
    last = scripted_last(&a, RAFT_IO_APPEND_ENTRIES, 2);
    ck_assert_ptr_nonnull(last);
    ck_assert_uint_eq(last->message.append_entries.prev_log_index, 2);
    ck_assert_uint_eq(last->message.append_entries.n_entries, 1);
    ck_assert_uint_eq(last->entries[0].type, RAFT_BARRIER);
}
END_TEST

/* R15: two commands are stored here, a follower acknowledges the first. */
static raft_index commit_behind_the_own_disk(unsigned rules)
{
    start_with(rules, 1, NULL, 0);
    scripted_elect(&a);
    if (rules & GUARD_R2_OWN_TERM_FIRST) {
        scripted_disk_all(&a);
    }
    scripted_apply(&a, "first");
    scripted_apply(&a, "second");
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.raft.last_stored, 4);
    scripted_append_result(&a, 2, a.raft.current_term, 0, 3);
    ck_assert_uint_eq(a.raft.last_stored, 4);
    return a.raft.commit_index;
}

START_TEST(r15_what_a_majority_has_commits_while_newer_entries_keep_coming)
{
    ck_assert_uint_lt(commit_behind_the_own_disk(WITHOUT(GUARD_R15_QUORUM_AT_ACK)), 3);
    ck_assert_uint_eq(commit_behind_the_own_disk(GUARD_RULES_ALL), 3);
    ck_assert_uint_eq(a.guard.counters.quorums_checked, 1);
}
END_TEST

START_TEST(r15_of_five_voters_the_third_highest_counts)
{
    scripted_init(&a, 1, GUARD_RULES_ALL);
    a.term = 1;
    scripted_store_change(&a, 1, 5);
    scripted_start(&a);
    scripted_time_out(&a);
    scripted_vote_result(&a, 2, 2, true, raft_tribool_false);
    scripted_vote_result(&a, 3, 2, true, raft_tribool_false);
    ck_assert_int_eq(a.raft.state, RAFT_LEADER);
    scripted_apply(&a, "first");
    scripted_apply(&a, "second");
    scripted_apply(&a, "third");
    scripted_disk_all(&a);
    scripted_append_result(&a, 2, 2, 0, 3);
    ck_assert_uint_eq(a.raft.commit_index, 1);
    scripted_append_result(&a, 3, 2, 0, 4);
    ck_assert_uint_eq(a.raft.commit_index, 3);
}
END_TEST

/* R3: an entry of term 2 is on its way to the disk when the time-out comes. */
static bool stands_with_unwritten_entries(unsigned rules)
{
    struct scripted_entry entry = scripted_entry(2, "flying");

    start_with(rules, 1, NULL, 0);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &entry, 1);
    ck_assert_uint_eq(a.guard.bytes_inflight, SCRIPTED_VALUE_SIZE);
    scripted_time_out(&a);
    return scripted_last(&a, RAFT_IO_REQUEST_VOTE, 2) != NULL;
}

START_TEST(r3_no_vote_is_asked_for_while_entries_are_being_written)
{
    ck_assert(stands_with_unwritten_entries(WITHOUT(GUARD_R3_NO_VOTE_UNPERSISTED)));
    ck_assert(!stands_with_unwritten_entries(GUARD_RULES_ALL));
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);
    scripted_disk_all(&a);
    ck_assert_uint_eq(guard_bytes_inflight(&a.guard), 0);
    scripted_tick(&a);
    ck_assert_ptr_nonnull(scripted_last(&a, RAFT_IO_REQUEST_VOTE, 2));
}
END_TEST

static bool takes_over_with_unwritten_entries(unsigned rules)
{
    struct scripted_entry entry = scripted_entry(2, "flying");

    start_with(rules, 1, NULL, 0);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &entry, 1);
    scripted_timeout_now(
        &a, 2, (struct raft_timeout_now){.term = 2, .last_log_index = 2, .last_log_term = 2});
    return a.raft.state == RAFT_CANDIDATE;
}

START_TEST(r3_a_request_to_take_over_waits_for_the_disk)
{
    ck_assert(takes_over_with_unwritten_entries(WITHOUT(GUARD_R3_NO_VOTE_UNPERSISTED)));
    ck_assert(!takes_over_with_unwritten_entries(GUARD_RULES_ALL));
    ck_assert_uint_eq(a.guard.counters.votes_held, 1);
    scripted_disk_all(&a);
    ck_assert_int_eq(a.raft.state, RAFT_CANDIDATE);
    ck_assert_uint_eq(a.raft.current_term, 3);
}
END_TEST

START_TEST(r3_a_request_to_take_over_does_not_wait_longer_than_the_leader)
{
    ck_assert(!takes_over_with_unwritten_entries(GUARD_RULES_ALL));
    a.now += a.raft.election_timeout;
    scripted_disk_all(&a);
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);

    ck_assert(!takes_over_with_unwritten_entries(GUARD_RULES_ALL));
    a.now += a.raft.election_timeout - 1;
    scripted_disk_all(&a);
    ck_assert_int_eq(a.raft.state, RAFT_CANDIDATE);
}
END_TEST

static bool stands_while_installing(unsigned rules)
{
    start_with(rules, 1, NULL, 0);
    scripted_install(&a, 2, 2, 10, 2, 3);
    scripted_time_out(&a);
    return scripted_last(&a, RAFT_IO_REQUEST_VOTE, 2) != NULL;
}

START_TEST(r3_no_vote_is_asked_for_while_a_snapshot_is_installed)
{
    ck_assert(stands_while_installing(WITHOUT(GUARD_R3_NO_VOTE_UNPERSISTED)));
    ck_assert(!stands_while_installing(GUARD_RULES_ALL));
}
END_TEST

/* R6: server 1 was handing over to 3, is deposed, votes for 2, and is asked by 3. */
static bool votes_twice(unsigned rules)
{
    static struct raft_transfer transfer;
    struct raft_request_vote args = {.term = 3, .last_log_index = 9, .last_log_term = 3};

    start_with(rules, 1, NULL, 0);
    scripted_elect(&a);
    ck_assert_int_eq(raft_transfer(&a.raft, &transfer, 3, NULL), 0);
    scripted_append_result(&a, 2, 3, 0, 1);
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);
    scripted_vote(&a, 2, args);
    ck_assert_uint_eq(a.vote, 2);
    scripted_vote(&a, 3, args);
    return a.votes_twice != 0;
}

START_TEST(r6_the_target_of_a_transfer_gets_no_second_vote)
{
    ck_assert(votes_twice(WITHOUT(GUARD_R6_ONE_VOTE_A_TERM)));
    ck_assert(!votes_twice(GUARD_RULES_ALL));
    ck_assert_uint_eq(a.guard.counters.votes_refused, 1);
    ck_assert_uint_eq(a.vote, 2);
}
END_TEST

/* R18: server 1 does not know yet that 2 takes it for a voter. */
static raft_id vote_of_a_standby(unsigned rules, int role)
{
    struct raft_request_vote args = {.term = 3, .last_log_index = 9, .last_log_term = 2};

    start_with(rules, 1, NULL, 0);
    a.raft.configuration.servers[0].role = role;
    scripted_vote(&a, 2, args);
    ck_assert_int_eq(a.raft.configuration.servers[0].role, role);
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);
    return a.vote;
}

START_TEST(r18_a_server_votes_before_it_knows_that_it_is_a_voter)
{
    ck_assert_uint_eq(vote_of_a_standby(WITHOUT(GUARD_R18_VOTE_AS_ASKED), RAFT_STANDBY), 0);
    ck_assert_uint_eq(vote_of_a_standby(GUARD_RULES_ALL, RAFT_STANDBY), 2);
    ck_assert_uint_eq(vote_of_a_standby(GUARD_RULES_ALL, RAFT_SPARE), 2);
    ck_assert_uint_eq(a.guard.counters.votes_lent, 1);
    ck_assert_uint_eq(vote_of_a_standby(GUARD_RULES_ALL, RAFT_VOTER), 2);
    ck_assert_uint_eq(a.guard.counters.votes_lent, 0);
}
END_TEST

START_TEST(r18_a_server_that_is_in_no_configuration_votes_for_nobody)
{
    struct raft_request_vote args = {.term = 3, .last_log_index = 9, .last_log_term = 2};

    start_with(GUARD_RULES_ALL, 1, NULL, 0);
    a.raft.configuration.servers[0].id = 9;
    scripted_vote(&a, 2, args);
    ck_assert_uint_eq(a.vote, 0);
}
END_TEST

START_TEST(r6_the_target_of_a_transfer_gets_the_first_vote_of_a_term)
{
    static struct raft_transfer transfer;
    struct raft_request_vote args = {
        .term = 3, .last_log_index = 9, .last_log_term = 3, .disrupt_leader = true};

    start_with(GUARD_RULES_ALL, 1, NULL, 0);
    scripted_elect(&a);
    ck_assert_int_eq(raft_transfer(&a.raft, &transfer, 3, NULL), 0);
    scripted_vote(&a, 3, args);
    ck_assert_uint_eq(a.vote, 3);
}
END_TEST

/* R10. The entry of the configuration change that both tests withdraw. */
static struct scripted_entry change_to_four(void)
{
    return scripted_change(2, (const raft_id[]){1, 2, 3, 4}, 4);
}

static void withdraw_change(struct scripted *node, raft_index index, raft_term prev_term)
{
    struct scripted_entry entry = scripted_entry(3, "other");

    scripted_append_entries(node, 3,
                            (struct raft_append_entries){
                                .term = 3, .prev_log_index = index - 1, .prev_log_term = prev_term},
                            &entry, 1);
    scripted_disk_all(node);
}

/* The configuration is only in the snapshot; a change at 11 is stored, not committed. */
static void compacted_with_change(unsigned rules)
{
    struct scripted_entry change = change_to_four();

    scripted_init(&a, 1, rules);
    a.term = 1;
    a.snapshot_index = 10;
    a.snapshot_term = 1;
    a.snapshot_voters = 3;
    a.first_index = 11;
    scripted_start(&a);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 10, .prev_log_term = 1},
        &change, 1);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.raft.configuration_uncommitted_index, 11);
}

static void withdraw_compacted(struct scripted *node)
{
    withdraw_change(node, 11, 1);
}

static void crash_by_withdrawal(void)
{
    compacted_with_change(WITHOUT(GUARD_R10_CONFIG_ROLLBACK_RESTARTS));
    withdraw_compacted(&a);
}

START_TEST(r10_without_the_rule_a_withdrawn_change_crashes)
{
    ck_assert(!ends_well(crash_by_withdrawal));
}
END_TEST

START_TEST(r10_a_withdrawn_change_without_its_predecessor_asks_for_a_restart)
{
    compacted_with_change(GUARD_RULES_ALL);
    ck_assert(scripted_dies(&a, withdraw_compacted));
    ck_assert_ptr_nonnull(strstr(a.why, "restart this node"));
    ck_assert_ptr_nonnull(strstr(a.why, "index 11"));
}
END_TEST

/* A node that was restarted with an uncommitted change at 3. */
static void restarted_with_change(unsigned rules)
{
    scripted_init(&a, 1, rules);
    a.term = 2;
    scripted_store_change(&a, 1, 3);
    scripted_store(&a, 1, "first");
    scripted_store_change(&a, 2, 4);
    scripted_start(&a);
    ck_assert_uint_eq(a.raft.configuration.n, 4);
}

static void withdraw_restarted(struct scripted *node)
{
    withdraw_change(node, 3, 1);
}

START_TEST(r10_a_change_withdrawn_after_a_restart_asks_for_another)
{
    restarted_with_change(WITHOUT(GUARD_R10_CONFIG_ROLLBACK_RESTARTS));
    ck_assert(!scripted_dies(&a, withdraw_restarted));
    ck_assert(scripted_disk_has(&a, 3, "other"));
    ck_assert_uint_eq(a.raft.configuration.n, 4); /* that is nowhere in the log */

    restarted_with_change(GUARD_RULES_ALL);
    ck_assert(scripted_dies(&a, withdraw_restarted));
    ck_assert_ptr_nonnull(strstr(a.why, "membership"));
    ck_assert(scripted_disk_has(&a, 3, "other")); /* so that it does not happen again */
    ck_assert_ptr_null(scripted_last(&a, RAFT_IO_APPEND_ENTRIES_RESULT, 3));
}
END_TEST

START_TEST(r10_nothing_is_received_between_the_withdrawal_and_the_restart)
{
    struct scripted_entry entry = scripted_entry(3, "other");

    restarted_with_change(GUARD_RULES_ALL);
    scripted_append_entries(
        &a, 3, (struct raft_append_entries){.term = 3, .prev_log_index = 2, .prev_log_term = 1},
        &entry, 1);
    scripted_vote(&a, 2,
                  (struct raft_request_vote){.term = 4, .last_log_index = 9, .last_log_term = 3});
    scripted_time_out(&a);
    ck_assert_uint_eq(a.raft.current_term, 3);
    ck_assert_uint_eq(a.vote, 0);
    ck_assert_int_eq(a.raft.state, RAFT_FOLLOWER);
    ck_assert(!guard_campaign(&a.guard));
    ck_assert(!guard_snapshot_allowed(&a.guard));
}
END_TEST

static bool snapshots_an_uncommitted_configuration(unsigned rules)
{
    struct scripted_entry change = change_to_four();

    start_with(rules, 1, NULL, 0);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 1, .prev_log_term = 1},
        &change, 1);
    scripted_disk_all(&a);
    return guard_snapshot_allowed(&a.guard);
}

START_TEST(r10_no_snapshot_while_a_change_is_not_applied)
{
    ck_assert(snapshots_an_uncommitted_configuration(WITHOUT(GUARD_R10_CONFIG_ROLLBACK_RESTARTS)));
    ck_assert(!snapshots_an_uncommitted_configuration(GUARD_RULES_ALL));
    scripted_append_entries(
        &a, 2,
        (struct raft_append_entries){
            .term = 2, .prev_log_index = 2, .prev_log_term = 2, .leader_commit = 2},
        NULL, 0);
    ck_assert_uint_eq(a.raft.last_applied, 2);
    ck_assert(guard_snapshot_allowed(&a.guard));
}
END_TEST

static raft_index uncommitted_after_install(unsigned rules)
{
    (void)snapshots_an_uncommitted_configuration(rules);
    scripted_install(&a, 2, 2, 10, 2, 3);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.raft.last_applied, 10);
    return a.raft.configuration_uncommitted_index;
}

START_TEST(r10_an_installed_snapshot_ends_a_change)
{
    ck_assert_uint_eq(uncommitted_after_install(WITHOUT(GUARD_R10_CONFIG_ROLLBACK_RESTARTS)), 2);
    ck_assert_uint_eq(uncommitted_after_install(GUARD_RULES_ALL), 0);
}
END_TEST

/* R13: this node's log begins at 11, after its own snapshot; the leader sends from 9 on. */
static void start_compacted(unsigned rules)
{
    scripted_init(&a, 1, rules);
    a.term = 2;
    a.snapshot_index = 10;
    a.snapshot_term = 1;
    a.snapshot_voters = 3;
    a.first_index = 11;
    scripted_start(&a);
}

static raft_index rejected_prefix(unsigned rules)
{
    struct scripted_entry entries[] = {scripted_entry(1, "9"), scripted_entry(1, "10"),
                                       scripted_entry(2, "11")};
    const struct scripted_message *answer;

    start_compacted(rules);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 8, .prev_log_term = 1},
        entries, 3);
    scripted_disk_all(&a);
    answer = scripted_last(&a, RAFT_IO_APPEND_ENTRIES_RESULT, 2);
    ck_assert_ptr_nonnull(answer);
    return answer->message.append_entries_result.rejected;
}

START_TEST(r13_entries_from_before_the_snapshot_are_accepted)
{
    const struct scripted_message *answer;

    ck_assert_uint_eq(rejected_prefix(WITHOUT(GUARD_R13_COMPACTED_PREFIX)), 8);
    ck_assert_uint_eq(rejected_prefix(GUARD_RULES_ALL), 0);
    answer = scripted_last(&a, RAFT_IO_APPEND_ENTRIES_RESULT, 2);
    ck_assert_uint_eq(answer->message.append_entries_result.last_log_index, 11);
    ck_assert(scripted_disk_has(&a, 11, "11"));
    ck_assert_uint_eq(a.guard.counters.prefixes_accepted, 1);
}
END_TEST

START_TEST(r13_entries_that_all_lie_before_the_snapshot_are_acknowledged_up_to_it)
{
    struct scripted_entry entries[] = {scripted_entry(1, "8"), scripted_entry(1, "9")};
    const struct scripted_message *answer;

    start_compacted(GUARD_RULES_ALL);
    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = 2, .prev_log_index = 7, .prev_log_term = 1},
        entries, 2);
    answer = scripted_last(&a, RAFT_IO_APPEND_ENTRIES_RESULT, 2);
    ck_assert_ptr_nonnull(answer);
    ck_assert_uint_eq(answer->message.append_entries_result.rejected, 0);
    ck_assert_uint_eq(answer->message.append_entries_result.last_log_index, 10);
    ck_assert_uint_eq(a.disk_count, 0);
    ck_assert_uint_eq(scripted_bad_frees(), 0);
}
END_TEST

/* The message begins at the very first index. */
static void append_first_entry(unsigned rules)
{
    struct scripted_entry entry = scripted_entry(1, "one");

    start_compacted(rules);
    scripted_append_entries(&a, 2, (struct raft_append_entries){.term = 2}, &entry, 1);
    scripted_disk_all(&a);
}

static void crash_by_first_entry(void)
{
    append_first_entry(WITHOUT(GUARD_R13_COMPACTED_PREFIX));
}

START_TEST(r13_the_first_entry_is_not_appended_behind_the_last)
{
    ck_assert(!ends_well(crash_by_first_entry));
    append_first_entry(GUARD_RULES_ALL);
    ck_assert_uint_eq(a.entry_count, 0);
    ck_assert_ptr_null(guard_log_entry(&a.raft, 11));
}
END_TEST

/* R16: a dead leader's entry at 3 is replaced while a snapshot of 1 to 2 is written. The
 * scripted disk loses that truncation, as raft_uv does. */
static void receive_third(raft_term term, raft_term entry_term, const char *value)
{
    struct scripted_entry entry = scripted_entry(entry_term, value);

    scripted_append_entries(
        &a, 2, (struct raft_append_entries){.term = term, .prev_log_index = 2, .prev_log_term = 1},
        &entry, 1);
}

static bool truncation_is_lost(unsigned rules)
{
    start_with(rules, 1, (const char *const[]){"kept", "stale"}, 2);
    raft_set_snapshot_threshold(&a.raft, 1);
    scripted_append_entries(
        &a, 2,
        (struct raft_append_entries){
            .term = 2, .prev_log_index = 2, .prev_log_term = 1, .leader_commit = 2},
        NULL, 0);
    ck_assert_uint_eq(a.snapshots_begun, 1);
    ck_assert_int_eq(a.disk[0].kind, SCRIPTED_PUT);
    receive_third(2, 2, "right");
    scripted_disk_all(&a);
    return scripted_disk_has(&a, 3, "stale") && a.raft.last_stored == 3 &&
           guard_log_entry(&a.raft, 3)->term == 2;
}

START_TEST(r16_nothing_is_truncated_while_a_snapshot_is_written)
{
    ck_assert(truncation_is_lost(WITHOUT(GUARD_R16_TRUNCATE_SNAPSHOT)));
    ck_assert(!truncation_is_lost(GUARD_RULES_ALL));
    ck_assert_uint_eq(a.guard.counters.conflicts_dropped, 1);
    receive_third(2, 2, "right"); /* the leader sends it again */
    scripted_disk_all(&a);
    ck_assert(scripted_disk_has(&a, 3, "right"));
    ck_assert_uint_eq(a.entry_count, 3);
}
END_TEST

/* The snapshot is encoded on another thread when the truncation comes. */
static bool snapshot_hangs(unsigned rules)
{
    scripted_init(&a, 1, rules);
    scripted_async_snapshots(&a);
    a.term = 1;
    scripted_store_change(&a, 1, 3);
    scripted_store(&a, 1, "kept");
    scripted_store(&a, 1, "stale");
    scripted_start(&a);
    raft_set_snapshot_threshold(&a.raft, 1);
    scripted_append_entries(
        &a, 2,
        (struct raft_append_entries){
            .term = 2, .prev_log_index = 2, .prev_log_term = 1, .leader_commit = 2},
        NULL, 0);
    ck_assert_int_eq(a.disk[0].kind, SCRIPTED_WORK);
    receive_third(2, 2, "right");
    ck_assert_int_eq(a.disk[1].kind, SCRIPTED_TRUNCATE);
    scripted_disk_step(&a, 0); /* encoded, while the truncation is pending */
    scripted_disk_all(&a);
    return a.raft.snapshot.pending.term != 0;
}

START_TEST(r16_an_encoded_snapshot_is_refused_while_a_truncation_is_pending)
{
    ck_assert(snapshot_hangs(WITHOUT(GUARD_R16_TRUNCATE_SNAPSHOT)));
    ck_assert(!snapshot_hangs(GUARD_RULES_ALL));
    ck_assert(scripted_disk_has(&a, 3, "right"));
    /* libraft has released everything and takes another with the next entry. */
    ck_assert_uint_eq(a.snapshots_finalized, 1);
    ck_assert_ptr_null(a.raft.snapshot.put.data);
    ck_assert(guard_snapshot_allowed(&a.guard));
    scripted_append_entries(
        &a, 2,
        (struct raft_append_entries){
            .term = 2, .prev_log_index = 3, .prev_log_term = 2, .leader_commit = 3},
        NULL, 0);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.snapshot_index, 3);
    ck_assert_uint_eq(a.snapshots_finalized, 2);
}
END_TEST

START_TEST(a_snapshot_from_the_leader_waits_for_one_that_is_being_encoded)
{
    scripted_init(&a, 1, GUARD_RULES_ALL);
    scripted_async_snapshots(&a);
    a.term = 1;
    scripted_store_change(&a, 1, 3);
    scripted_store(&a, 1, "kept");
    scripted_start(&a);
    raft_set_snapshot_threshold(&a.raft, 1);
    scripted_append_entries(
        &a, 2,
        (struct raft_append_entries){
            .term = 2, .prev_log_index = 2, .prev_log_term = 1, .leader_commit = 2},
        NULL, 0);
    scripted_install(&a, 2, 2, 10, 2, 3);
    ck_assert_uint_eq(a.disk_count, 1);
    ck_assert_uint_eq(a.raft.last_stored, 2);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.snapshot_index, 2);
    scripted_install(&a, 2, 2, 10, 2, 3);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.snapshot_index, 10);
    ck_assert_uint_eq(scripted_bad_frees(), 0);
}
END_TEST

START_TEST(r16_a_snapshot_from_the_leader_waits_for_a_truncation)
{
    start_with(GUARD_RULES_ALL, 1, (const char *const[]){"kept", "stale"}, 2);
    receive_third(2, 2, "right");
    ck_assert(!guard_snapshot_allowed(&a.guard));
    scripted_install(&a, 2, 2, 10, 2, 3);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.snapshot_index, 0);
    ck_assert(scripted_disk_has(&a, 3, "right"));
    scripted_install(&a, 2, 2, 10, 2, 3);
    scripted_disk_all(&a);
    ck_assert_uint_eq(a.snapshot_index, 10);
}
END_TEST

/* An entry is written, truncated, and received again, all before the first write is done:
 * libraft then takes that write for the last one. */
static bool acknowledges_before_the_disk(unsigned rules)
{
    start_with(rules, 1, (const char *const[]){"kept"}, 1);
    receive_third(2, 2, "again");
    receive_third(3, 3, "other");
    receive_third(4, 2, "again");
    scripted_disk_step(&a, 0);
    return a.raft.last_stored == 3 && a.disk_count > 1;
}

START_TEST(r16_nothing_is_truncated_while_it_is_being_written)
{
    ck_assert(acknowledges_before_the_disk(WITHOUT(GUARD_R16_TRUNCATE_SNAPSHOT)));
    ck_assert(!acknowledges_before_the_disk(GUARD_RULES_ALL));
}
END_TEST

/* R1, the commit index: two stale entries, a heartbeat that compares none of them. */
static unsigned applied_uncompared(unsigned rules)
{
    start_with(rules, 1, (const char *const[]){"stale", "stale"}, 2);
    scripted_append_entries(
        &a, 2,
        (struct raft_append_entries){
            .term = 2, .prev_log_index = 1, .prev_log_term = 1, .leader_commit = 3},
        NULL, 0);
    return a.applied_count;
}

START_TEST(r1_entries_that_were_not_compared_are_not_applied)
{
    ck_assert_uint_eq(applied_uncompared(WITHOUT(GUARD_R1_ACK_ONLY_VERIFIED)), 2);
    ck_assert_uint_eq(applied_uncompared(GUARD_RULES_ALL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("guard_recv");
    TCase *tcase = tcase_create("guard_recv");

    tcase_add_test(tcase, r2_copies_of_an_older_terms_entry_commit_nothing);
    tcase_add_test(tcase, r2_the_barrier_goes_out_with_the_first_acknowledgement);
    tcase_add_test(tcase, r15_what_a_majority_has_commits_while_newer_entries_keep_coming);
    tcase_add_test(tcase, r15_of_five_voters_the_third_highest_counts);
    tcase_add_test(tcase, r3_no_vote_is_asked_for_while_entries_are_being_written);
    tcase_add_test(tcase, r3_a_request_to_take_over_waits_for_the_disk);
    tcase_add_test(tcase, r3_a_request_to_take_over_does_not_wait_longer_than_the_leader);
    tcase_add_test(tcase, r3_no_vote_is_asked_for_while_a_snapshot_is_installed);
    tcase_add_test(tcase, r6_the_target_of_a_transfer_gets_no_second_vote);
    tcase_add_test(tcase, r6_the_target_of_a_transfer_gets_the_first_vote_of_a_term);
    tcase_add_test(tcase, r18_a_server_votes_before_it_knows_that_it_is_a_voter);
    tcase_add_test(tcase, r18_a_server_that_is_in_no_configuration_votes_for_nobody);
    tcase_add_test(tcase, r10_without_the_rule_a_withdrawn_change_crashes);
    tcase_add_test(tcase, r10_a_withdrawn_change_without_its_predecessor_asks_for_a_restart);
    tcase_add_test(tcase, r10_a_change_withdrawn_after_a_restart_asks_for_another);
    tcase_add_test(tcase, r10_nothing_is_received_between_the_withdrawal_and_the_restart);
    tcase_add_test(tcase, r10_no_snapshot_while_a_change_is_not_applied);
    tcase_add_test(tcase, r10_an_installed_snapshot_ends_a_change);
    tcase_add_test(tcase, r13_entries_from_before_the_snapshot_are_accepted);
    tcase_add_test(tcase, r13_entries_that_all_lie_before_the_snapshot_are_acknowledged_up_to_it);
    tcase_add_test(tcase, r13_the_first_entry_is_not_appended_behind_the_last);
    tcase_add_test(tcase, r16_nothing_is_truncated_while_a_snapshot_is_written);
    tcase_add_test(tcase, r16_an_encoded_snapshot_is_refused_while_a_truncation_is_pending);
    tcase_add_test(tcase, a_snapshot_from_the_leader_waits_for_one_that_is_being_encoded);
    tcase_add_test(tcase, r16_a_snapshot_from_the_leader_waits_for_a_truncation);
    tcase_add_test(tcase, r16_nothing_is_truncated_while_it_is_being_written);
    tcase_add_test(tcase, r1_entries_that_were_not_compared_are_not_applied);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
