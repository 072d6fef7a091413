/* Tries that the store may not know yet: they take their share of what is left. */
#include "node/login_pending.h"

#include <string.h>

#include "tests/lib/test.h"

#define NOW_MS 1000u

static struct login_who who;

static void setup(void)
{
    memset(&who, 7, sizeof who);
}

static const uint8_t *id(unsigned number)
{
    static uint8_t ids[LOGIN_PENDING_MAX + 2][ONCE_ID_SIZE];

    memset(ids[number], 0, ONCE_ID_SIZE);
    memcpy(ids[number], &number, sizeof number);
    return ids[number];
}

START_TEST(no_more_tries_are_taken_at_once_than_there_are)
{
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(login_pending_begin(&who, id(i), 3, NOW_MS));
    }
    ck_assert(!login_pending_begin(&who, id(3), 3, NOW_MS));
    ck_assert(login_pending_begin(&who, id(3), 4, NOW_MS));
}
END_TEST

START_TEST(a_try_that_is_known_gives_its_place_back)
{
    ck_assert(login_pending_begin(&who, id(1), 1, NOW_MS));
    ck_assert(!login_pending_begin(&who, id(2), 1, NOW_MS));
    login_pending_end(id(1));
    ck_assert(login_pending_begin(&who, id(2), 1, NOW_MS));
    login_pending_end(id(9)); /* never begun */
    ck_assert(!login_pending_begin(&who, id(3), 1, NOW_MS));
}
END_TEST

START_TEST(the_same_try_again_takes_no_other_place)
{
    ck_assert(login_pending_begin(&who, id(1), 2, NOW_MS));
    ck_assert(login_pending_begin(&who, id(1), 2, NOW_MS));
    ck_assert(login_pending_begin(&who, id(1), 1, NOW_MS));
    ck_assert(login_pending_begin(&who, id(2), 2, NOW_MS));
    ck_assert(!login_pending_begin(&who, id(3), 2, NOW_MS));
}
END_TEST

START_TEST(another_client_partition_or_role_has_its_own)
{
    struct login_who other = who;

    ck_assert(login_pending_begin(&who, id(1), 1, NOW_MS));
    other.client[15] ^= 1;
    ck_assert(login_pending_begin(&other, id(2), 1, NOW_MS));
    other = who;
    other.partition[15] ^= 1;
    ck_assert(login_pending_begin(&other, id(3), 1, NOW_MS));
    other = who;
    other.role++;
    ck_assert(login_pending_begin(&other, id(4), 1, NOW_MS));
    ck_assert(!login_pending_begin(&who, id(5), 1, NOW_MS));
}
END_TEST

START_TEST(what_stays_unknown_is_forgotten_in_the_end)
{
    ck_assert(login_pending_begin(&who, id(1), 1, NOW_MS));
    ck_assert(!login_pending_begin(&who, id(2), 1, NOW_MS + LOGIN_PENDING_MS - 1));
    ck_assert(login_pending_begin(&who, id(2), 1, NOW_MS + LOGIN_PENDING_MS));
}
END_TEST

START_TEST(a_full_table_refuses)
{
    for (unsigned i = 0; i < LOGIN_PENDING_MAX; i++) {
        who.role = i;
        ck_assert(login_pending_begin(&who, id(i), 1, NOW_MS));
    }
    who.role = LOGIN_PENDING_MAX;
    ck_assert(!login_pending_begin(&who, id(LOGIN_PENDING_MAX), 1, NOW_MS));
    login_pending_end(id(17));
    ck_assert(login_pending_begin(&who, id(LOGIN_PENDING_MAX), 1, NOW_MS));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("login_pending");
    TCase *tcase = tcase_create("login_pending");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, no_more_tries_are_taken_at_once_than_there_are);
    tcase_add_test(tcase, a_try_that_is_known_gives_its_place_back);
    tcase_add_test(tcase, the_same_try_again_takes_no_other_place);
    tcase_add_test(tcase, another_client_partition_or_role_has_its_own);
    tcase_add_test(tcase, what_stays_unknown_is_forgotten_in_the_end);
    tcase_add_test(tcase, a_full_table_refuses);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
