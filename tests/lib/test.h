/* What every test program shares: the main function and a directory of its own. */
#ifndef QH_TESTS_LIB_TEST_H
#define QH_TESTS_LIB_TEST_H

#include <check.h>
#include <stddef.h>

/* Run @suite, each case in a process of its own, and return main()'s status. Check's
 * closing line ("100%: Checks: 12, Failures: 0, Errors: 0") is what scripts/test
 * counts. CK_RUN_CASE=name in the environment runs one case. */
int test_main(Suite *suite);

/* A new empty directory below $TMPDIR (or /tmp); aborts if that fails. The
 * caller passes it to test_remove_dir(). */
void test_make_dir(char *ret_path, size_t room);
void test_remove_dir(const char *path);

#endif
