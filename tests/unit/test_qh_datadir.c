/* The offline tool: equal directories are told from different ones, and present keys from missing
 * ones. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/identity.h"
#include "tests/lib/raftdir.h"
#include "tests/lib/test.h"

#define PROGRAM "tests/torture/qh-datadir" /* tests run in the build directory */

static char base_dir[128];
static char dirs[3][200];
static char output[8192];

static void setup(void)
{
    test_make_dir(base_dir, sizeof(base_dir));
    for (unsigned i = 0; i < 3; i++) {
        uint8_t cluster[16] = {1};
        struct identity identity;

        (void)snprintf(dirs[i], sizeof(dirs[i]), "%s/n%u", base_dir, i);
        ck_assert_int_eq(identity_create(dirs[i], cluster, "alpha", &identity), QH_OK);
        identity.member = true;
        ck_assert_int_eq(identity_store(dirs[i], &identity), QH_OK);
    }
}

static void teardown(void)
{
    test_remove_dir(base_dir);
}

static int run(const char *command, const char *a, const char *b, const char *c)
{
    const char *arguments[6] = {PROGRAM, command, a, b, c, NULL};
    size_t size = 0;
    ssize_t count;
    int fds[2];
    int status;
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)dup2(fds[1], STDERR_FILENO);
        (void)execv(PROGRAM, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    (void)close(fds[1]);
    while ((count = read(fds[0], output + size, sizeof(output) - 1 - size)) > 0) {
        size += (size_t)count;
    }
    output[size] = 0;
    (void)close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) != 127, "%s", output);
    return WEXITSTATUS(status);
}

static void fill(unsigned index, unsigned entries, unsigned threshold, size_t value_size)
{
    struct raftdir_plan plan = {.bootstrap = true,
                                .entries = entries,
                                .value_size = value_size,
                                .threshold = threshold,
                                .trailing = 10};
    struct raftdir_result result;

    raftdir_run(dirs[index], &plan, &result);
    ck_assert_int_eq(result.wait_status, 0);
}

START_TEST(equal_histories_are_equal_whatever_was_snapshotted)
{
    fill(0, 60, 0, 50);
    fill(1, 50, 20, 50);
    fill(2, 55, 50, 50);
    ck_assert_msg(run("compare", dirs[0], dirs[1], dirs[2]) == 0, "%s", output);
    ck_assert_ptr_nonnull(strstr(output, "equal at index 51"));
    ck_assert_int_eq(run("compare", dirs[0], NULL, NULL), 0);
}
END_TEST

START_TEST(a_different_entry_is_found_and_named)
{
    fill(0, 30, 0, 50);
    fill(1, 30, 0, 51); /* the same keys, other values */
    ck_assert_int_eq(run("compare", dirs[0], dirs[1], NULL), 1);
    ck_assert_ptr_nonnull(strstr(output, "logs differ at index 2"));
    ck_assert_ptr_nonnull(strstr(output, "stores differ"));
    ck_assert_ptr_nonnull(strstr(output, dirs[1]));
}
END_TEST

START_TEST(logs_that_cannot_be_compared_are_no_equal_ones)
{
    fill(0, 60, 40, 50);
    fill(1, 20, 0, 50); /* ends before the other's snapshot */
    ck_assert_int_eq(run("compare", dirs[0], dirs[1], NULL), 1);
    ck_assert_ptr_nonnull(strstr(output, "catch up"));
}
END_TEST

static const char *write_keys(unsigned first, unsigned count)
{
    static char path[300];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/keys", base_dir);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (unsigned i = first; i < first + count; i++) {
        uint8_t key[RAFTDIR_KEY_SIZE];

        raftdir_key(i, key);
        for (unsigned j = 0; j < sizeof(key); j++) {
            (void)fprintf(file, "%02x", key[j]);
        }
        (void)fprintf(file, "\n");
    }
    (void)fclose(file);
    return path;
}

START_TEST(every_key_is_looked_for)
{
    fill(0, 30, 20, 50);
    ck_assert_msg(run("contains", dirs[0], write_keys(0, 30), NULL) == 0, "%s", output);
    ck_assert_int_eq(run("contains", dirs[0], write_keys(0, 31), NULL), 1);
    ck_assert_ptr_nonnull(strstr(output, "31 keys, 1 missing"));
    ck_assert_int_eq(run("contains", dirs[0], write_keys(0, 0), NULL), 0);
    ck_assert_int_eq(run("contains", dirs[0], "/nonexistent", NULL), 2);
}
END_TEST

START_TEST(a_line_that_is_no_key_is_wrong_usage)
{
    const char *path = write_keys(0, 1);
    FILE *file = fopen(path, "a");

    ck_assert_ptr_nonnull(file);
    (void)fprintf(file, "6x\n");
    (void)fclose(file);
    fill(0, 2, 0, 50);
    ck_assert_int_eq(run("contains", dirs[0], path, NULL), 2);
}
END_TEST

START_TEST(check_and_summary_tell_the_whole_from_the_damaged)
{
    char path[300];

    fill(0, 5, 0, 50);
    ck_assert_msg(run("check", dirs[0], NULL, NULL) == 0, "%s", output);
    ck_assert_int_eq(run("summary", dirs[0], NULL, NULL), 0);
    ck_assert_ptr_nonnull(strstr(output, "last_index=6"));
    ck_assert_ptr_nonnull(strstr(output, "records=5"));
    (void)snprintf(path, sizeof(path), "%s/raft/metadata1", dirs[0]);
    ck_assert_int_eq(truncate(path, 31), 0);
    ck_assert_int_eq(run("check", dirs[0], NULL, NULL), 1);
    ck_assert_int_eq(run("summary", dirs[0], NULL, NULL), 1);
    ck_assert_int_eq(run("compare", dirs[0], dirs[0], NULL), 1);
    ck_assert_int_eq(run("check", dirs[1], NULL, NULL), 1); /* a member without a log */
    ck_assert_int_eq(run("nonsense", dirs[0], NULL, NULL), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qh-datadir");
    TCase *tcase = tcase_create("qh-datadir");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, equal_histories_are_equal_whatever_was_snapshotted);
    tcase_add_test(tcase, a_different_entry_is_found_and_named);
    tcase_add_test(tcase, logs_that_cannot_be_compared_are_no_equal_ones);
    tcase_add_test(tcase, every_key_is_looked_for);
    tcase_add_test(tcase, a_line_that_is_no_key_is_wrong_usage);
    tcase_add_test(tcase, check_and_summary_tell_the_whole_from_the_damaged);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
