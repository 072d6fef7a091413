/* PINs that were found right a moment ago. */
#include "node/pincache.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/test.h"

#define NOW_MS 1000u
#define VERIFIER "$argon2id$one"

static struct login_who who;
static struct secret *pin;

static struct secret *secret_of(const char *text)
{
    struct secret *secret;

    ck_assert_int_eq(secret_from(text, strlen(text), &secret), QH_OK);
    return secret;
}

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    memset(&who, 7, sizeof who);
    pin = secret_of("the pin");
}

static void teardown(void)
{
    pincache_clear();
    secret_free(pin);
}

START_TEST(a_pin_is_known_once_it_was_learnt)
{
    ck_assert(!pincache_knows(&who, VERIFIER, pin, NOW_MS));
    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    ck_assert(pincache_knows(&who, VERIFIER, pin, NOW_MS));
}
END_TEST

START_TEST(another_pin_is_not_known)
{
    static const char *const others[] = {"the pi", "the pin ", "The pin", "x"};

    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        SECRET_SCOPED struct secret *other = secret_of(others[i]);

        ck_assert(!pincache_knows(&who, VERIFIER, other, NOW_MS));
    }
}
END_TEST

START_TEST(it_is_known_of_nobody_else)
{
    struct login_who other = who;

    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    other.client[0]++;
    ck_assert(!pincache_knows(&other, VERIFIER, pin, NOW_MS));
    other = who;
    other.partition[0]++;
    ck_assert(!pincache_knows(&other, VERIFIER, pin, NOW_MS));
    other = who;
    other.role++;
    ck_assert(!pincache_knows(&other, VERIFIER, pin, NOW_MS));
}
END_TEST

START_TEST(it_is_not_known_of_another_verifier)
{
    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    ck_assert(!pincache_knows(&who, VERIFIER "2", pin, NOW_MS));
}
END_TEST

START_TEST(it_is_forgotten_in_time_and_learnt_anew)
{
    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    ck_assert(pincache_knows(&who, VERIFIER, pin, NOW_MS + PINCACHE_MS - 1));
    ck_assert(!pincache_knows(&who, VERIFIER, pin, NOW_MS + PINCACHE_MS));
    pincache_learn(&who, VERIFIER, pin, NOW_MS + PINCACHE_MS);
    ck_assert(pincache_knows(&who, VERIFIER, pin, NOW_MS + PINCACHE_MS));
}
END_TEST

START_TEST(the_oldest_makes_room_and_only_then)
{
    char verifier[32];

    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    for (unsigned i = 1; i < PINCACHE_ENTRIES; i++) {
        (void)snprintf(verifier, sizeof verifier, "%u", i);
        pincache_learn(&who, verifier, pin, NOW_MS + i);
    }
    pincache_learn(&who, verifier, pin,
                   NOW_MS + PINCACHE_ENTRIES); /* again: takes no other place */
    ck_assert(pincache_knows(&who, VERIFIER, pin, NOW_MS));
    pincache_learn(&who, "one more", pin, NOW_MS + PINCACHE_ENTRIES);
    ck_assert(!pincache_knows(&who, VERIFIER, pin, NOW_MS));
    ck_assert(pincache_knows(&who, "1", pin, NOW_MS));
    ck_assert(pincache_knows(&who, "one more", pin, NOW_MS));
}
END_TEST

START_TEST(clearing_forgets_everything)
{
    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    pincache_clear();
    ck_assert(!pincache_knows(&who, VERIFIER, pin, NOW_MS));
    pincache_learn(&who, VERIFIER, pin, NOW_MS);
    ck_assert(pincache_knows(&who, VERIFIER, pin, NOW_MS));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pincache");
    TCase *tcase = tcase_create("pincache");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_pin_is_known_once_it_was_learnt);
    tcase_add_test(tcase, another_pin_is_not_known);
    tcase_add_test(tcase, it_is_known_of_nobody_else);
    tcase_add_test(tcase, it_is_not_known_of_another_verifier);
    tcase_add_test(tcase, it_is_forgotten_in_time_and_learnt_anew);
    tcase_add_test(tcase, the_oldest_makes_room_and_only_then);
    tcase_add_test(tcase, clearing_forgets_everything);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
