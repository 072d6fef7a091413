/* Which membership changes may start. The struct raft is filled in by hand: the policy only
 * reads it. */
#include "raft-glue/members.h"

#include <string.h>

#include "tests/lib/test.h"

#define SERVERS 4u

struct world {
    struct raft raft;
    struct raft_server servers[SERVERS];
    struct raft_progress progress[SERVERS];
};

static struct world world;
static char address[] = "node";

/* A leader, number 1, of three voters and a spare, everybody up to date at index 10. */
static void setup(void)
{
    memset(&world, 0, sizeof world);
    for (unsigned i = 0; i < SERVERS; i++) {
        world.servers[i] = (struct raft_server){
            .id = i + 1, .address = address, .role = i < 3 ? RAFT_VOTER : RAFT_SPARE};
        world.progress[i] = (struct raft_progress){.match_index = 10, .recent_recv = true};
    }
    world.raft.id = 1;
    world.raft.state = RAFT_LEADER;
    world.raft.configuration.servers = world.servers;
    world.raft.configuration.n = SERVERS;
    world.raft.configuration_index = 8;
    world.raft.commit_index = 10;
    world.raft.last_stored = 10;
    world.raft.leader_state.progress = world.progress;
}

START_TEST(a_settled_leader_may_change)
{
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_OK);
}
END_TEST

START_TEST(only_a_leader_may)
{
    world.raft.state = RAFT_FOLLOWER;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_ENOTLEADER);
}
END_TEST

START_TEST(not_while_a_change_a_promotion_or_a_transfer_runs)
{
    struct raft_change change;
    struct raft_transfer transfer;

    world.raft.leader_state.change = &change;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
    world.raft.leader_state.change = NULL;
    world.raft.leader_state.promotee_id = 4;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
    world.raft.leader_state.promotee_id = 0;
    world.raft.transfer = &transfer;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
    world.raft.transfer = NULL;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_OK);
}
END_TEST

START_TEST(of_two_voters_the_leader_removes_the_other_and_not_itself)
{
    ck_assert_int_eq(members_may_change(&world.raft, 1, true), QH_OK);
    world.servers[2].role = RAFT_SPARE;
    ck_assert_int_eq(members_may_change(&world.raft, 1, true), QH_EREFUSED);
    ck_assert_int_eq(members_may_change(&world.raft, 2, true), QH_OK);
    world.servers[1].role = RAFT_SPARE;
    ck_assert_int_eq(members_may_change(&world.raft, 2, true), QH_OK);
}
END_TEST

START_TEST(not_while_the_configuration_is_uncommitted)
{
    world.raft.configuration_uncommitted_index = 11;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
    world.raft.configuration_uncommitted_index = 0;
    world.raft.commit_index = 7;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
}
END_TEST

START_TEST(every_voter_must_hold_the_configuration)
{
    world.progress[2].match_index = 7;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
    world.progress[2].match_index = 8;
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_OK);
    world.progress[3].match_index = 0; /* a spare need not */
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_OK);
    world.raft.last_stored = 7; /* nor is the leader's own disk assumed */
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
}
END_TEST

START_TEST(the_server_that_goes_need_not_hold_it)
{
    world.progress[2].match_index = 0;
    ck_assert_int_eq(members_may_change(&world.raft, 3, true), QH_OK);
}
END_TEST

START_TEST(dead_voters_do_not_keep_each_other_from_being_removed)
{
    world.progress[1] = (struct raft_progress){0};
    world.progress[2] = (struct raft_progress){0};
    ck_assert_int_eq(members_may_change(&world.raft, 3, true), QH_OK);
    ck_assert_int_eq(members_may_change(&world.raft, 4, false), QH_EBUSY);
    world.progress[1].recent_recv = true; /* alive after all, and behind */
    ck_assert_int_eq(members_may_change(&world.raft, 3, true), QH_EBUSY);
}
END_TEST

static bool second_is_witness(void *data, const struct raft_server *server)
{
    (void)data;
    return server->id == 2;
}

START_TEST(the_heir_is_the_first_data_node_that_has_everything)
{
    ck_assert_uint_eq(members_heir(&world.raft, second_is_witness, NULL), 3);
    world.progress[2].match_index = 9;
    ck_assert_uint_eq(members_heir(&world.raft, second_is_witness, NULL), 0);
    world.progress[2].match_index = 10;
    world.raft.state = RAFT_FOLLOWER;
    ck_assert_uint_eq(members_heir(&world.raft, second_is_witness, NULL), 0);
}
END_TEST

START_TEST(a_match_index_is_known_for_members_on_the_leader)
{
    raft_index match = 99;

    ck_assert(members_match_index(&world.raft, 2, &match));
    ck_assert_uint_eq(match, 10);
    match = 99;
    ck_assert(!members_match_index(&world.raft, 77, &match));
    world.raft.state = RAFT_FOLLOWER;
    ck_assert(!members_match_index(&world.raft, 2, &match));
    ck_assert_uint_eq(match, 99);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("members");
    TCase *tcase = tcase_create("members");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_settled_leader_may_change);
    tcase_add_test(tcase, only_a_leader_may);
    tcase_add_test(tcase, not_while_a_change_a_promotion_or_a_transfer_runs);
    tcase_add_test(tcase, of_two_voters_the_leader_removes_the_other_and_not_itself);
    tcase_add_test(tcase, not_while_the_configuration_is_uncommitted);
    tcase_add_test(tcase, every_voter_must_hold_the_configuration);
    tcase_add_test(tcase, the_server_that_goes_need_not_hold_it);
    tcase_add_test(tcase, dead_voters_do_not_keep_each_other_from_being_removed);
    tcase_add_test(tcase, the_heir_is_the_first_data_node_that_has_everything);
    tcase_add_test(tcase, a_match_index_is_known_for_members_on_the_leader);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
