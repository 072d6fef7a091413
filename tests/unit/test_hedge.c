/* When a request goes to a second node. */
#include "client/hedge.h"

#include "tests/lib/test.h"

START_TEST(before_anything_is_known_there_is_a_default)
{
    struct hedge hedge;

    hedge_init(&hedge);
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE, 1.0, 0.5, false), 100);
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_CHANGE, 1.0, 0.5, false), 500);
}
END_TEST

START_TEST(the_delay_follows_latency_and_deviation)
{
    struct hedge hedge;

    hedge_init(&hedge);
    hedge_learn(&hedge, HEDGE_USE, 6.0, 2.0); /* 4 ms of work, deviation 2 */
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE, 2.0, 1.0, false),
                      (unsigned)(3.0 * 6.0 + 4.0 * 3.0 + 10.0));
    /* The same work at a node 20 ms away. */
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE, 20.0, 1.0, false),
                      (unsigned)(3.0 * 24.0 + 4.0 * 3.0 + 10.0));
}
END_TEST

START_TEST(quick_operations_hedge_between_20_and_250_ms)
{
    static const enum hedge_kind quick[] = {HEDGE_READ, HEDGE_USE, HEDGE_USE_RSA};

    for (unsigned i = 0; i < 3; i++) {
        struct hedge hedge;

        hedge_init(&hedge);
        hedge_learn(&hedge, quick[i], 0.1, 0.1);
        ck_assert_uint_eq(hedge_delay_ms(&hedge, quick[i], 0.0, 0.0, false), 20);
        hedge_learn(&hedge, quick[i], 5000.0, 0.1);
        ck_assert_uint_eq(hedge_delay_ms(&hedge, quick[i], 0.0, 0.0, false), 250);
        ck_assert_uint_eq(hedge_longest_ms(quick[i]), 250);
    }
}
END_TEST

START_TEST(changes_and_logins_wait_at_least_400_ms)
{
    static const enum hedge_kind slow[] = {HEDGE_CHANGE, HEDGE_LOGIN, HEDGE_GENERATE};

    for (unsigned i = 0; i < 3; i++) {
        struct hedge hedge;

        hedge_init(&hedge);
        hedge_learn(&hedge, slow[i], 1.0, 0.5);
        ck_assert_uint_ge(hedge_delay_ms(&hedge, slow[i], 0.5, 0.1, false), 400);
        hedge_learn(&hedge, slow[i], 1e9, 0.5);
        ck_assert_uint_eq(hedge_delay_ms(&hedge, slow[i], 0.5, 0.1, false),
                          hedge_longest_ms(slow[i]));
    }
}
END_TEST

START_TEST(a_new_connection_gets_more_time_within_the_limit)
{
    struct hedge hedge;

    hedge_init(&hedge);
    hedge_learn(&hedge, HEDGE_USE, 0.5, 0.5);
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE, 10.0, 0.0, false), 40);
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE, 10.0, 0.0, true), 90);
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE, 200.0, 0.0, true), 250);
}
END_TEST

START_TEST(kinds_learn_apart)
{
    struct hedge hedge;

    hedge_init(&hedge);
    hedge_learn(&hedge, HEDGE_USE_RSA, 30.0, 0.0);
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE, 0.0, 0.0, false), 100);
    ck_assert_uint_eq(hedge_delay_ms(&hedge, HEDGE_USE_RSA, 0.0, 0.0, false), 160);
}
END_TEST

START_TEST(the_budget_runs_out_and_is_earned_again)
{
    struct hedge hedge;
    unsigned spent = 0;

    hedge_init(&hedge);
    while (hedge_spend(&hedge)) {
        spent++;
    }
    ck_assert_uint_eq(spent, (unsigned)HEDGE_BUDGET_MAX);
    for (int i = 0; i < 9; i++) {
        hedge_learn(&hedge, HEDGE_USE, 1.0, 0.5);
    }
    ck_assert(!hedge_spend(&hedge));
    hedge_learn(&hedge, HEDGE_USE, 1.0, 0.5);
    hedge_learn(&hedge, HEDGE_USE, 1.0, 0.5);
    ck_assert(hedge_spend(&hedge));
    ck_assert(!hedge_spend(&hedge));
}
END_TEST

START_TEST(the_budget_has_a_limit)
{
    struct hedge hedge;

    hedge_init(&hedge);
    for (int i = 0; i < 1000; i++) {
        hedge_learn(&hedge, HEDGE_USE, 1.0, 0.5);
    }
    ck_assert_double_eq(hedge.budget, HEDGE_BUDGET_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hedge");
    TCase *tcase = tcase_create("hedge");

    tcase_add_test(tcase, before_anything_is_known_there_is_a_default);
    tcase_add_test(tcase, the_delay_follows_latency_and_deviation);
    tcase_add_test(tcase, quick_operations_hedge_between_20_and_250_ms);
    tcase_add_test(tcase, changes_and_logins_wait_at_least_400_ms);
    tcase_add_test(tcase, a_new_connection_gets_more_time_within_the_limit);
    tcase_add_test(tcase, kinds_learn_apart);
    tcase_add_test(tcase, the_budget_runs_out_and_is_earned_again);
    tcase_add_test(tcase, the_budget_has_a_limit);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
