/* The border between the library's errors and PKCS#11's. */
#include "pkcs11/ckr.h"

#include "base/err.h"
#include "tests/lib/test.h"

/* All numbers that the library can answer with. */
static const int public_errors[] = {
    QUADHSM_ENOMEM,          QUADHSM_EINVAL,     QUADHSM_ELIMIT,         QUADHSM_ESYSTEM,
    QUADHSM_ENOTFOUND,       QUADHSM_EEXIST,     QUADHSM_EUNKNOWN,       QUADHSM_ETIMEOUT,
    QUADHSM_EBUSY,           QUADHSM_ECONN,      QUADHSM_ETLS,           QUADHSM_EPERM,
    QUADHSM_EREFUSED,        QUADHSM_ELOCKED,    QUADHSM_ENOTENROLLED,   QUADHSM_EPIN,
    QUADHSM_EPINLOCKED,      QUADHSM_EPINRANGE,  QUADHSM_ENOPIN,         QUADHSM_ETICKET,
    QUADHSM_ENOLOGIN,        QUADHSM_ENOQUORUM,  QUADHSM_ESTALE,         QUADHSM_ECONFLICT,
    QUADHSM_EUNSUPPORTED,    QUADHSM_EMECHANISM, QUADHSM_EPARAMETER,     QUADHSM_EKEYTYPE,
    QUADHSM_EKEYUSE,         QUADHSM_EKEYSIZE,   QUADHSM_ECURVE,         QUADHSM_EDATA,
    QUADHSM_EDATASIZE,       QUADHSM_ESIGNATURE, QUADHSM_ESIGNATURESIZE, QUADHSM_ECIPHERTEXT,
    QUADHSM_ECIPHERTEXTSIZE, QUADHSM_ETEMPLATE,  QUADHSM_EINCOMPLETE,    QUADHSM_EATTRIBUTE,
    QUADHSM_EATTRVALUE,      QUADHSM_EREADONLY,  QUADHSM_EROOM,          QUADHSM_ECONFIG,
};
#define ERROR_COUNT (sizeof public_errors / sizeof public_errors[0])
static const enum ckr_about abouts[] = {ABOUT_CALL, ABOUT_NEW, ABOUT_TOKEN, ABOUT_OBJECT,
                                        ABOUT_KEY};

START_TEST(success_is_success_whatever_it_was_about)
{
    for (size_t i = 0; i < sizeof abouts / sizeof abouts[0]; i++) {
        ck_assert_uint_eq(ckr_from_error(QUADHSM_OK, abouts[i]), CKR_OK);
    }
}
END_TEST

START_TEST(no_error_passes_for_success_or_ends_a_session)
{
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        for (size_t k = 0; k < 4; k++) {
            CK_RV rv = ckr_from_error(public_errors[i], abouts[k]);

            ck_assert_uint_ne(rv, CKR_OK);
            ck_assert_uint_ne(rv, CKR_SESSION_HANDLE_INVALID);
            ck_assert_uint_ne(rv, CKR_SESSION_CLOSED);
            ck_assert_uint_ne(rv, CKR_CRYPTOKI_NOT_INITIALIZED);
        }
    }
}
END_TEST

START_TEST(an_unreachable_cluster_is_a_device_error_for_calls_and_a_removed_device_for_tokens)
{
    static const int errors[] = {QUADHSM_ECONN, QUADHSM_ETIMEOUT, QUADHSM_EUNKNOWN,
                                 QUADHSM_EBUSY, QUADHSM_ELOCKED,  QUADHSM_ESTALE};

    for (size_t i = 0; i < 6; i++) {
        ck_assert(ckr_is_network(errors[i]));
        ck_assert_uint_eq(ckr_from_error(errors[i], ABOUT_CALL), CKR_DEVICE_ERROR);
        ck_assert_uint_eq(ckr_from_error(errors[i], ABOUT_KEY), CKR_DEVICE_ERROR);
        ck_assert_uint_eq(ckr_from_error(errors[i], ABOUT_TOKEN), CKR_DEVICE_REMOVED);
    }
    ck_assert(!ckr_is_network(QUADHSM_ENOQUORUM));
    ck_assert(!ckr_is_network(QUADHSM_EPIN));
}
END_TEST

START_TEST(a_change_without_a_majority_has_failed_and_nothing_more)
{
    ck_assert_uint_eq(ckr_from_error(QUADHSM_ENOQUORUM, ABOUT_CALL), CKR_FUNCTION_FAILED);
    ck_assert_uint_eq(ckr_from_error(QUADHSM_ENOQUORUM, ABOUT_OBJECT), CKR_FUNCTION_FAILED);
    ck_assert_uint_eq(ckr_from_error(QUADHSM_ENOQUORUM, ABOUT_TOKEN), CKR_FUNCTION_FAILED);
}
END_TEST

START_TEST(what_is_gone_is_named_as_it_was_given)
{
    ck_assert_uint_eq(ckr_from_error(QUADHSM_ENOTFOUND, ABOUT_OBJECT), CKR_OBJECT_HANDLE_INVALID);
    ck_assert_uint_eq(ckr_from_error(QUADHSM_ENOTFOUND, ABOUT_KEY), CKR_KEY_HANDLE_INVALID);
    ck_assert_uint_eq(ckr_from_error(QUADHSM_ENOTFOUND, ABOUT_TOKEN), CKR_TOKEN_NOT_PRESENT);
    /* No key was given: its size is what the template says. */
    ck_assert_uint_eq(ckr_from_error(QUADHSM_EKEYSIZE, ABOUT_NEW), CKR_ATTRIBUTE_VALUE_INVALID);
}
END_TEST

/* PKCS#11 has "prohibited" for what C_CopyObject, C_SetAttributeValue and C_DestroyObject say. */
START_TEST(what_another_role_may_do_wants_that_user_logged_in)
{
    ck_assert_uint_eq(ckr_from_error(QUADHSM_EPERM, ABOUT_CALL), CKR_USER_NOT_LOGGED_IN);
    ck_assert_uint_eq(ckr_from_error(QUADHSM_EPERM, ABOUT_UNWRAPPING_KEY), CKR_USER_NOT_LOGGED_IN);
    ck_assert_uint_eq(ckr_from_error(QUADHSM_EPERM, ABOUT_OBJECT), CKR_ACTION_PROHIBITED);
    ck_assert_uint_eq(ckr_from_error(QUADHSM_EPOLICY, ABOUT_WRAPPING_KEY), CKR_KEY_NOT_WRAPPABLE);
}
END_TEST

START_TEST(a_number_that_the_library_does_not_have_is_a_general_error)
{
    ck_assert_uint_eq(ckr_from_error(9999, ABOUT_CALL), CKR_GENERAL_ERROR);
    ck_assert_uint_eq(ckr_from_error(-1, ABOUT_KEY), CKR_GENERAL_ERROR);
    ck_assert_uint_eq(ckr_from_error((int)QH_ENOTLEADER, ABOUT_CALL), CKR_GENERAL_ERROR);
}
END_TEST

/* The numbers of both lists are promised to be the same. */
START_TEST(the_crypto_folders_errors_have_the_librarys_numbers)
{
    ck_assert_int_eq((int)QH_ESIGNATURE, QUADHSM_ESIGNATURE);
    ck_assert_int_eq((int)QH_EKEYTYPE, QUADHSM_EKEYTYPE);
    ck_assert_int_eq((int)QH_EROOM, QUADHSM_EROOM);
    ck_assert_int_eq((int)QH_ECONFIG, QUADHSM_ECONFIG);
    ck_assert_int_eq((int)QH_ENOMEM, QUADHSM_ENOMEM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pkcs11_ckr");
    TCase *tcase = tcase_create("ckr");

    tcase_add_test(tcase, success_is_success_whatever_it_was_about);
    tcase_add_test(tcase, no_error_passes_for_success_or_ends_a_session);
    tcase_add_test(
        tcase, an_unreachable_cluster_is_a_device_error_for_calls_and_a_removed_device_for_tokens);
    tcase_add_test(tcase, a_change_without_a_majority_has_failed_and_nothing_more);
    tcase_add_test(tcase, what_is_gone_is_named_as_it_was_given);
    tcase_add_test(tcase, what_another_role_may_do_wants_that_user_logged_in);
    tcase_add_test(tcase, a_number_that_the_library_does_not_have_is_a_general_error);
    tcase_add_test(tcase, the_crypto_folders_errors_have_the_librarys_numbers);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
