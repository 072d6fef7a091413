/* Error codes: every one has a name and a message of its own. */
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/lib/test.h"

START_TEST(every_code_has_its_name_and_a_message)
{
#define CASE(name, number, message)          \
    ck_assert_int_eq(name, number);          \
    ck_assert_str_eq(err_name(name), #name); \
    ck_assert_str_eq(err_message(name), message);
    QH_ERR_TABLE(CASE)
#undef CASE
}
END_TEST

START_TEST(an_unknown_number_has_a_message_too)
{
    ck_assert_str_eq(err_message((enum qh_err)9999), "unknown error");
    ck_assert_str_eq(err_name((enum qh_err)9999), "QH_EUNLISTED");
}
END_TEST

START_TEST(errno_is_translated)
{
    ck_assert_int_eq(err_from_errno(0), QH_OK);
    ck_assert_int_eq(err_from_errno(ENOSPC), QH_ENOSPACE);
    ck_assert_int_eq(err_from_errno(EROFS), QH_EIO);
    ck_assert_int_eq(err_from_errno(ECONNRESET), QH_ECONN);
    ck_assert_int_eq(err_from_errno(ENOTTY), QH_ESYSTEM);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("err");
    TCase *tcase = tcase_create("err");

    tcase_add_test(tcase, every_code_has_its_name_and_a_message);
    tcase_add_test(tcase, an_unknown_number_has_a_message_too);
    tcase_add_test(tcase, errno_is_translated);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
