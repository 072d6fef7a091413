/* Verifiers of PINs: right, wrong, damaged; keys from passphrases. */
#include "crypto/password.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/lib/test.h"

/* Slow under sanitizers. */
#define TIMEOUT_S 60.0

/* The sanitizers reserve more address space than any limit. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ADDRESS_SPACE_LIMITED false
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESS_SPACE_LIMITED false
#endif
#ifndef ADDRESS_SPACE_LIMITED
#define ADDRESS_SPACE_LIMITED true
#endif

static struct secret *pin;
static struct secret *wrong;

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    ck_assert_int_eq(secret_from("1234", 4, &pin), QH_OK);
    ck_assert_int_eq(secret_from("1235", 4, &wrong), QH_OK);
}

static void teardown(void)
{
    secret_free(pin);
    secret_free(wrong);
}

START_TEST(the_right_pin_passes_and_a_wrong_one_does_not)
{
    SECRET_SCOPED struct secret *longer = NULL;
    char verifier[PASSWORD_VERIFIER_SIZE];

    ck_assert_int_eq(secret_from("1234\0", 5, &longer), QH_OK);
    ck_assert_int_eq(password_make(pin, verifier), QH_OK);
    ck_assert_ptr_nonnull(memchr(verifier, 0, sizeof verifier));
    ck_assert_int_eq(password_check(pin, verifier), QH_OK);
    ck_assert_int_eq(password_check(wrong, verifier), QH_EPIN);
    ck_assert_int_eq(password_check(longer, verifier), QH_EPIN);
}
END_TEST

START_TEST(two_verifiers_of_one_pin_differ)
{
    char one[PASSWORD_VERIFIER_SIZE], two[PASSWORD_VERIFIER_SIZE];

    ck_assert_int_eq(password_make(pin, one), QH_OK);
    ck_assert_int_eq(password_make(pin, two), QH_OK);
    ck_assert_str_ne(one, two);
}
END_TEST

START_TEST(what_is_no_verifier_is_told_from_a_wrong_pin)
{
    char verifier[PASSWORD_VERIFIER_SIZE];
    char full[PASSWORD_VERIFIER_SIZE];

    memset(full, 'x', sizeof full);
    ck_assert_int_eq(password_check(pin, ""), QH_EMALFORMED);
    ck_assert_int_eq(password_check(pin, "1234"), QH_EMALFORMED);
    ck_assert_int_eq(password_check(pin, full), QH_EMALFORMED);
    ck_assert_int_eq(password_make(pin, verifier), QH_OK);
    verifier[strlen(verifier) - 3] = '*';
    ck_assert_int_eq(password_check(pin, verifier), QH_EMALFORMED);
    ck_assert_int_eq(password_make(pin, verifier), QH_OK);
    verifier[0] = '!';
    ck_assert_int_eq(password_check(pin, verifier), QH_EMALFORMED);
}
END_TEST

START_TEST(a_verifier_of_other_costs_is_refused)
{
    char verifier[PASSWORD_VERIFIER_SIZE];
    char *memory;

    ck_assert_int_eq(password_make(pin, verifier), QH_OK);
    memory = strstr(verifier, "m=65536");
    ck_assert_ptr_nonnull(memory);
    memory[2] = '9';
    ck_assert_int_eq(password_check(pin, verifier), QH_EMALFORMED);
}
END_TEST

START_TEST(a_lack_of_memory_is_no_wrong_pin)
{
    struct rlimit limit;
    char verifier[PASSWORD_VERIFIER_SIZE];
    char untouched[PASSWORD_VERIFIER_SIZE] = "untouched";

    ck_assert_int_eq(password_make(pin, verifier), QH_OK);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = PASSWORD_MEMORY_SIZE;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_int_eq(password_check(pin, verifier), QH_ENOMEM);
    ck_assert_int_eq(password_check(wrong, verifier), QH_ENOMEM);
    ck_assert_int_eq(password_make(pin, untouched), QH_ENOMEM);
    ck_assert_str_eq(untouched, "untouched");
}
END_TEST

START_TEST(a_derived_key_depends_on_passphrase_and_salt)
{
    SECRET_SCOPED struct secret *one = NULL;
    SECRET_SCOPED struct secret *same = NULL;
    SECRET_SCOPED struct secret *salted = NULL;
    SECRET_SCOPED struct secret *other = NULL;
    uint8_t salt[PASSWORD_SALT_SIZE] = "0123456789abcde";

    ck_assert_int_eq(password_derive(pin, salt, &one), QH_OK);
    ck_assert_int_eq(password_derive(pin, salt, &same), QH_OK);
    ck_assert_int_eq(password_derive(wrong, salt, &other), QH_OK);
    salt[0] ^= 1;
    ck_assert_int_eq(password_derive(pin, salt, &salted), QH_OK);
    ck_assert_uint_eq(secret_size(one), 32);
    ck_assert(secret_equal(one, same));
    ck_assert(!secret_equal(one, salted));
    ck_assert(!secret_equal(one, other));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("password");
    TCase *tcase = tcase_create("password");

    tcase_set_timeout(tcase, TIMEOUT_S);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_right_pin_passes_and_a_wrong_one_does_not);
    tcase_add_test(tcase, two_verifiers_of_one_pin_differ);
    tcase_add_test(tcase, what_is_no_verifier_is_told_from_a_wrong_pin);
    tcase_add_test(tcase, a_verifier_of_other_costs_is_refused);
    tcase_add_test(tcase, a_derived_key_depends_on_passphrase_and_salt);
    if (ADDRESS_SPACE_LIMITED) {
        tcase_add_test(tcase, a_lack_of_memory_is_no_wrong_pin);
    }
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
