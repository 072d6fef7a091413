/* What is learnt about a node from its answers and its silence. */
#include "client/health.h"

#include "tests/lib/test.h"

static const struct health_pong ready = {.readiness = QUADHSM_READY, .workers = 2};

START_TEST(a_new_node_is_unknown_and_due)
{
    struct health health;

    health_init(&health, 1000);
    ck_assert_int_eq(health.state, HEALTH_NEW);
    ck_assert_uint_eq(health.next_probe_ms, 1000);
    ck_assert_int_eq(health_readiness(&health), QUADHSM_UNREACHABLE);
    ck_assert_double_eq(health_expected_ms(&health), HEALTH_UNMEASURED_MS);
}
END_TEST

START_TEST(the_first_answer_sets_the_round_trip)
{
    struct health health;

    health_init(&health, 0);
    health_pong(&health, 100, 8.0, &ready, HEALTH_PROBE_MS, 0);
    ck_assert_int_eq(health.state, HEALTH_UP);
    ck_assert_double_eq(health.round_trip_ms, 8.0);
    ck_assert_double_eq(health.jitter_ms, 4.0);
    ck_assert_int_eq(health_readiness(&health), QUADHSM_READY);
}
END_TEST

START_TEST(later_answers_move_it_by_an_eighth)
{
    struct health health;

    health_init(&health, 0);
    health_pong(&health, 0, 8.0, &ready, HEALTH_PROBE_MS, 0);
    health_pong(&health, 0, 16.0, &ready, HEALTH_PROBE_MS, 0);
    ck_assert_double_eq(health.round_trip_ms, 9.0);
    ck_assert_double_eq(health.jitter_ms, 5.0);
    for (int i = 0; i < 200; i++) {
        health_pong(&health, 0, 16.0, &ready, HEALTH_PROBE_MS, 0);
    }
    ck_assert_double_eq_tol(health.round_trip_ms, 16.0, 0.01);
    ck_assert_double_eq_tol(health.jitter_ms, 0.0, 0.01);
}
END_TEST

START_TEST(a_queue_adds_to_the_expected_time)
{
    struct health_pong busy = {.readiness = QUADHSM_READY, .queued = 40, .workers = 4};
    struct health health;

    health_init(&health, 0);
    health_pong(&health, 0, 2.0, &busy, HEALTH_PROBE_MS, 0);
    ck_assert_double_eq(health_expected_ms(&health), 12.0);
    busy.workers = 0; /* what no node says */
    health_pong(&health, 0, 2.0, &busy, HEALTH_PROBE_MS, 0);
    ck_assert_double_eq(health_expected_ms(&health), 42.0);
}
END_TEST

START_TEST(probes_are_spread_by_a_fifth_either_way)
{
    uint64_t least = UINT64_MAX, most = 0;
    struct health health;

    health_init(&health, 0);
    for (uint32_t random = 0; random < 5000; random++) {
        health_pong(&health, 5000, 1.0, &ready, 1000, random);
        least = health.next_probe_ms < least ? health.next_probe_ms : least;
        most = health.next_probe_ms > most ? health.next_probe_ms : most;
    }
    ck_assert_uint_eq(least, 5800);
    ck_assert_uint_eq(most, 6200);
}
END_TEST

START_TEST(backing_off_doubles_up_to_its_limit)
{
    struct health health;
    uint64_t now = 0, last = 0;

    health_init(&health, now);
    for (int i = 0; i < 12; i++) {
        uint64_t wait;

        health_failed(&health, now, 1u << 30);
        ck_assert_int_eq(health.state, HEALTH_DOWN);
        wait = health.next_probe_ms - now;
        ck_assert_uint_ge(wait, HEALTH_BACKOFF_MIN_MS * 2u / 3u);
        ck_assert_uint_le(wait, HEALTH_BACKOFF_MAX_MS);
        ck_assert_uint_ge(wait, last);
        last = wait;
        now = health.next_probe_ms;
    }
    ck_assert_uint_ge(last, HEALTH_BACKOFF_MAX_MS * 2u / 3u);
}
END_TEST

START_TEST(many_threads_that_see_one_failure_count_it_once)
{
    struct health health;
    uint64_t next;

    health_init(&health, 0);
    health_failed(&health, 0, 0);
    next = health.next_probe_ms;
    for (int i = 0; i < 8; i++) {
        health_failed(&health, 1, 0);
    }
    ck_assert_uint_eq(health.failures, 1);
    ck_assert_uint_eq(health.next_probe_ms, next);
}
END_TEST

START_TEST(an_answer_ends_backing_off)
{
    struct health health;

    health_init(&health, 0);
    for (uint64_t i = 0; i < 5; i++) {
        health_failed(&health, i * 10000, 0);
    }
    health_pong(&health, 50000, 1.0, &ready, HEALTH_PROBE_MS, 0);
    ck_assert_int_eq(health.state, HEALTH_UP);
    ck_assert_uint_eq(health.failures, 0);
    health_failed(&health, 60000, 0);
    ck_assert_uint_le(health.next_probe_ms, 60000 + HEALTH_BACKOFF_MIN_MS);
}
END_TEST

START_TEST(a_late_node_is_suspect_and_probed_at_once)
{
    struct health health;

    health_init(&health, 0);
    health_pong(&health, 0, 1.0, &ready, HEALTH_PROBE_MS, 0);
    health_late(&health, 10);
    ck_assert_int_eq(health.state, HEALTH_SUSPECT);
    ck_assert_uint_eq(health.next_probe_ms, 10);
    health_answered(&health, 7);
    ck_assert_int_eq(health.state, HEALTH_UP);
    ck_assert_uint_eq(health.revision, 7);
}
END_TEST

START_TEST(a_node_that_is_down_stays_down_when_it_is_late)
{
    struct health health;

    health_init(&health, 0);
    health_failed(&health, 0, 0);
    health_late(&health, 10);
    ck_assert_int_eq(health.state, HEALTH_DOWN);
    ck_assert_int_eq(health_readiness(&health), QUADHSM_UNREACHABLE);
}
END_TEST

START_TEST(a_refusal_is_remembered_until_the_next_answer)
{
    struct health health;

    health_init(&health, 0);
    health_pong(&health, 0, 1.0, &ready, HEALTH_PROBE_MS, 0);
    health_refused(&health, QUADHSM_LOCKED, 100);
    ck_assert_int_eq(health_readiness(&health), QUADHSM_LOCKED);
    ck_assert_uint_le(health.next_probe_ms, 100 + HEALTH_BACKOFF_MIN_MS);
    health_pong(&health, 200, 1.0, &ready, HEALTH_PROBE_MS, 0);
    ck_assert_int_eq(health_readiness(&health), QUADHSM_READY);
}
END_TEST

START_TEST(a_new_generation_may_be_at_a_lower_revision)
{
    struct health_pong old = {.readiness = QUADHSM_READY, .revision = 50, .generation = 1};
    struct health_pong fresh = {.readiness = QUADHSM_READY, .revision = 40, .generation = 2};
    struct health health;

    health_init(&health, 0);
    health_pong(&health, 0, 1.0, &old, HEALTH_PROBE_MS, 0);
    old.revision = 30;
    health_pong(&health, 0, 1.0, &old, HEALTH_PROBE_MS, 0);
    ck_assert_uint_eq(health.revision, 50);
    health_pong(&health, 0, 1.0, &fresh, HEALTH_PROBE_MS, 0);
    ck_assert_uint_eq(health.revision, 40);
}
END_TEST

START_TEST(a_ping_waits_between_its_two_limits)
{
    struct health health;

    health_init(&health, 0);
    ck_assert_uint_eq(health_ping_ms(&health), HEALTH_PING_MAX_MS);
    health_pong(&health, 0, 0.1, &ready, HEALTH_PROBE_MS, 0);
    ck_assert_uint_eq(health_ping_ms(&health), HEALTH_PING_MIN_MS);
    health.round_trip_ms = 60.0;
    health.jitter_ms = 2.5;
    ck_assert_uint_eq(health_ping_ms(&health), 500);
    health.round_trip_ms = 600.0;
    ck_assert_uint_eq(health_ping_ms(&health), HEALTH_PING_MAX_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("health");
    TCase *tcase = tcase_create("health");

    tcase_add_test(tcase, a_new_node_is_unknown_and_due);
    tcase_add_test(tcase, the_first_answer_sets_the_round_trip);
    tcase_add_test(tcase, later_answers_move_it_by_an_eighth);
    tcase_add_test(tcase, a_queue_adds_to_the_expected_time);
    tcase_add_test(tcase, probes_are_spread_by_a_fifth_either_way);
    tcase_add_test(tcase, backing_off_doubles_up_to_its_limit);
    tcase_add_test(tcase, many_threads_that_see_one_failure_count_it_once);
    tcase_add_test(tcase, an_answer_ends_backing_off);
    tcase_add_test(tcase, a_late_node_is_suspect_and_probed_at_once);
    tcase_add_test(tcase, a_node_that_is_down_stays_down_when_it_is_late);
    tcase_add_test(tcase, a_refusal_is_remembered_until_the_next_answer);
    tcase_add_test(tcase, a_new_generation_may_be_at_a_lower_revision);
    tcase_add_test(tcase, a_ping_waits_between_its_two_limits);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
