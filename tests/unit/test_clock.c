/* The clock: it goes on, and its units are what they say. */
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

#include "tests/lib/test.h"

START_TEST(time_never_goes_back)
{
    uint64_t last = clock_monotonic_ns();

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = clock_monotonic_ns();

        ck_assert_uint_ge(now, last);
        last = now;
    }
}
END_TEST

START_TEST(both_units_tell_the_time_of_the_system_clock)
{
    struct timespec base;
    uint64_t before_ns, between_ms, after_ns;

    before_ns = clock_monotonic_ns();
    ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &base), 0);
    between_ms = clock_monotonic_ms();
    after_ns = clock_monotonic_ns();
    ck_assert_uint_le(before_ns, (uint64_t)base.tv_sec * 1000000000u + (uint64_t)base.tv_nsec);
    ck_assert_uint_ge(after_ns, (uint64_t)base.tv_sec * 1000000000u + (uint64_t)base.tv_nsec);
    ck_assert_uint_le(before_ns / 1000000, between_ms);
    ck_assert_uint_ge(after_ns / 1000000, between_ms);
}
END_TEST

START_TEST(the_wall_clock_tells_the_time_of_day)
{
    time_t before = time(NULL);
    uint64_t now_ms = clock_unix_ms();
    time_t after = time(NULL);

    /* time() may read a clock that is a tick behind. */
    ck_assert_uint_ge(now_ms + 1000, (uint64_t)before * 1000);
    ck_assert_uint_le(now_ms, (uint64_t)after * 1000 + 2000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("clock");

    tcase_add_test(tcase, time_never_goes_back);
    tcase_add_test(tcase, both_units_tell_the_time_of_the_system_clock);
    tcase_add_test(tcase, the_wall_clock_tells_the_time_of_day);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
