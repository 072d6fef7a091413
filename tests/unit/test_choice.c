/* Which node is next. */
#include "client/choice.h"

#include "tests/lib/test.h"

static struct choice_candidate at(double expected_ms)
{
    return (struct choice_candidate){
        .class = CHOICE_READY, .near = true, .expected_ms = expected_ms};
}

START_TEST(the_quickest_ready_node_is_the_best)
{
    struct choice_candidate list[] = {at(9.0), at(2.0), at(5.0)};

    ck_assert_uint_eq(choice_best(list, 3, CHOICE_NONE), 1);
}
END_TEST

START_TEST(nothing_is_chosen_from_nothing)
{
    struct choice_candidate list[] = {at(1.0)};

    ck_assert_uint_eq(choice_best(list, 0, CHOICE_NONE), CHOICE_NONE);
    list[0].excluded = true;
    ck_assert_uint_eq(choice_best(list, 1, 0), CHOICE_NONE);
    ck_assert_uint_eq(choice_spread(list, 1, 3), CHOICE_NONE);
}
END_TEST

START_TEST(a_ready_node_far_away_comes_before_one_that_is_not_ready)
{
    struct choice_candidate list[] = {at(0.1), at(0.2), at(0.3), at(80.0)};

    list[0].class = CHOICE_DOWN;
    list[1].class = CHOICE_UNABLE;
    list[2].class = CHOICE_DOUBTFUL;
    ck_assert_uint_eq(choice_best(list, 4, CHOICE_NONE), 3);
    list[3].excluded = true;
    ck_assert_uint_eq(choice_best(list, 4, CHOICE_NONE), 2);
    list[2].excluded = true;
    ck_assert_uint_eq(choice_best(list, 4, CHOICE_NONE), 1);
    list[1].excluded = true;
    ck_assert_uint_eq(choice_best(list, 4, CHOICE_NONE), 0);
}
END_TEST

START_TEST(the_preferred_region_comes_before_time)
{
    struct choice_candidate list[] = {at(1.0), at(30.0)};

    list[0].near = false;
    ck_assert_uint_eq(choice_best(list, 2, CHOICE_NONE), 1);
    ck_assert_uint_eq(choice_best(list, 2, 0), 1);
    list[1].class = CHOICE_DOUBTFUL;
    ck_assert_uint_eq(choice_best(list, 2, 1), 0);
}
END_TEST

START_TEST(near_equals_do_not_take_turns)
{
    struct choice_candidate list[] = {at(10.0), at(8.1)};

    ck_assert_uint_eq(choice_best(list, 2, 0), 0);
    ck_assert_uint_eq(choice_best(list, 2, 1), 1);
    list[1].expected_ms = 7.9;
    ck_assert_uint_eq(choice_best(list, 2, 0), 1);
}
END_TEST

START_TEST(half_a_millisecond_is_no_reason_to_switch)
{
    struct choice_candidate list[] = {at(0.6), at(0.15)};

    ck_assert_uint_eq(choice_best(list, 2, 0), 0);
    list[0].expected_ms = 0.7;
    ck_assert_uint_eq(choice_best(list, 2, 0), 1);
}
END_TEST

START_TEST(one_that_was_tried_is_left)
{
    struct choice_candidate list[] = {at(1.0), at(2.0)};

    list[0].excluded = true;
    ck_assert_uint_eq(choice_best(list, 2, 0), 1);
}
END_TEST

START_TEST(spreading_takes_turns_over_near_nodes_only)
{
    struct choice_candidate list[] = {at(2.0), at(3.9), at(4.1), at(40.0)};
    unsigned taken[4] = {0};

    for (size_t turn = 0; turn < 400; turn++) {
        size_t i = choice_spread(list, 4, turn);

        ck_assert_uint_lt(i, 4);
        taken[i]++;
    }
    ck_assert_uint_gt(taken[0], 50);
    ck_assert_uint_gt(taken[1], 50);
    ck_assert_uint_eq(taken[2] + taken[3], 0);
}
END_TEST

START_TEST(spreading_prefers_who_has_less_to_do)
{
    struct choice_candidate list[] = {at(2.0), at(2.0), at(2.0)};

    list[0].in_flight = 3;
    list[1].in_flight = 1;
    list[2].in_flight = 2;
    for (size_t turn = 0; turn < 9; turn++) {
        ck_assert_uint_eq(choice_spread(list, 3, turn), 1);
    }
}
END_TEST

START_TEST(spreading_leaves_out_what_is_not_ready)
{
    struct choice_candidate list[] = {at(2.0), at(1.0)};

    list[1].class = CHOICE_DOUBTFUL;
    for (size_t turn = 0; turn < 4; turn++) {
        ck_assert_uint_eq(choice_spread(list, 2, turn), 0);
    }
}
END_TEST

START_TEST(classes_follow_state_and_readiness)
{
    struct health health = {.state = HEALTH_NEW};

    ck_assert_int_eq(choice_classify(&health, false), CHOICE_DOUBTFUL);
    health.state = HEALTH_UP;
    health.readiness = QUADHSM_READY;
    ck_assert_int_eq(choice_classify(&health, false), CHOICE_READY);
    health.state = HEALTH_SUSPECT;
    ck_assert_int_eq(choice_classify(&health, false), CHOICE_DOUBTFUL);
    health.state = HEALTH_DOWN;
    ck_assert_int_eq(choice_classify(&health, false), CHOICE_DOWN);
    health.state = HEALTH_UP;
    for (int readiness = QUADHSM_UNINITIALIZED; readiness <= QUADHSM_STARTING; readiness++) {
        health.readiness = (enum quadhsm_readiness)readiness;
        ck_assert_int_eq(choice_classify(&health, false),
                         readiness == QUADHSM_READY ? CHOICE_READY : CHOICE_UNABLE);
    }
}
END_TEST

START_TEST(a_change_goes_rather_to_a_node_that_knows_a_leader)
{
    struct health health = {.state = HEALTH_UP, .readiness = QUADHSM_READY};

    ck_assert_int_eq(choice_classify(&health, true), CHOICE_DOUBTFUL);
    ck_assert_int_eq(choice_classify(&health, false), CHOICE_READY);
    health.has_leader = true;
    ck_assert_int_eq(choice_classify(&health, true), CHOICE_READY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("choice");
    TCase *tcase = tcase_create("choice");

    tcase_add_test(tcase, the_quickest_ready_node_is_the_best);
    tcase_add_test(tcase, nothing_is_chosen_from_nothing);
    tcase_add_test(tcase, a_ready_node_far_away_comes_before_one_that_is_not_ready);
    tcase_add_test(tcase, the_preferred_region_comes_before_time);
    tcase_add_test(tcase, near_equals_do_not_take_turns);
    tcase_add_test(tcase, half_a_millisecond_is_no_reason_to_switch);
    tcase_add_test(tcase, one_that_was_tried_is_left);
    tcase_add_test(tcase, spreading_takes_turns_over_near_nodes_only);
    tcase_add_test(tcase, spreading_prefers_who_has_less_to_do);
    tcase_add_test(tcase, spreading_leaves_out_what_is_not_ready);
    tcase_add_test(tcase, classes_follow_state_and_readiness);
    tcase_add_test(tcase, a_change_goes_rather_to_a_node_that_knows_a_leader);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
