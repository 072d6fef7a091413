/* The data directory: who may use it, and how much room it must have. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/datadir.h"
#include "tests/lib/test.h"

static char base_dir[128];
static char dir[200];
static char raft_dir[300];
static char last_error[1100];
static unsigned error_count;

static void on_log(void *data, enum log_level level, const char *line)
{
    (void)data;
    if (level == LOG_LEVEL_ERROR) {
        error_count++;
        (void)snprintf(last_error, sizeof(last_error), "%s", line);
    }
}

static void setup(void)
{
    test_make_dir(base_dir, sizeof(base_dir));
    (void)snprintf(dir, sizeof(dir), "%s/node", base_dir);
    (void)snprintf(raft_dir, sizeof(raft_dir), "%s/raft", dir);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    ck_assert_int_eq(mkdir(raft_dir, 0700), 0);
    log_set_sink(on_log, NULL);
}

static void teardown(void)
{
    test_remove_dir(base_dir);
}

/* Root passes every permission check, so be somebody else. */
static uid_t drop_root(void)
{
    uid_t before = geteuid();

    if (before == 0) {
        ck_assert_int_eq(chown(base_dir, 65534, 65534), 0);
        ck_assert_int_eq(chown(dir, 65534, 65534), 0);
        ck_assert_int_eq(chown(raft_dir, 65534, 65534), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    }
    return before;
}

START_TEST(a_directory_that_cannot_be_written_is_refused)
{
    uid_t before;

    before = drop_root();
    ck_assert_int_eq(datadir_check(dir, false), QH_OK);
    ck_assert_int_eq(chmod(raft_dir, 0500), 0);
    error_count = 0;
    ck_assert_int_eq(datadir_check(dir, false), QH_EPERM);
    ck_assert_uint_eq(error_count, 1);
    ck_assert_int_eq(chmod(raft_dir, 0), 0);
    ck_assert_int_eq(datadir_check(dir, false), QH_EPERM);
    ck_assert_uint_eq(error_count, 2);
    ck_assert_int_eq(chmod(raft_dir, 0700), 0);
    ck_assert_int_eq(seteuid(before), 0);
}
END_TEST

/* A file system of @size bytes on DIR/raft, seen by this process alone; false where that is not
 * allowed. */
static bool mount_small(const char *options)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return false;
    }
    return mount("tmpfs", raft_dir, "tmpfs", 0, options) == 0;
}

static void fill_a_page(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(write(fd, "x", 1), 1);
    (void)close(fd);
}

START_TEST(too_little_room_is_refused)
{
    char path[320];

    (void)snprintf(path, sizeof(path), "%s/tmp-one", raft_dir);
    if (geteuid() != 0 || !mount_small("size=64m")) {
        return; /* needs a file system of its own */
    }
    error_count = 0;
    ck_assert_int_eq(datadir_check(dir, false), QH_OK);
    fill_a_page(path);
    ck_assert_int_eq(datadir_check(dir, false), QH_ENOSPACE);
    ck_assert_uint_eq(error_count, 1);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mount(NULL, raft_dir, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    ck_assert_int_eq(datadir_check(dir, false), QH_EIO);
    ck_assert_uint_eq(error_count, 2);
    ck_assert_int_eq(umount(raft_dir), 0);
}
END_TEST

START_TEST(one_process_at_a_time_holds_the_lock)
{
    char expected[40];
    int status;
    pid_t child;
    int fds[2];
    int again;
    int fd;

    ck_assert_int_eq(datadir_lock("/nonexistent", &fd), QH_ENOTFOUND);
    ck_assert_int_eq(datadir_lock(dir, &fd), QH_OK);
    (void)snprintf(expected, sizeof(expected), "pid=%ld", (long)getpid());
    error_count = 0;
    ck_assert_int_eq(datadir_lock(dir, &again), QH_EBUSY); /* not even this process twice */
    ck_assert_uint_eq(error_count, 1);
    ck_assert_ptr_nonnull(strstr(last_error, expected));
    (void)close(fd);
    ck_assert_int_eq(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        bool locked = datadir_lock(dir, &fd) == QH_OK && write(fds[1], "x", 1) == 1;

        (void)pause();
        _exit(locked ? 0 : 1);
    }
    ck_assert_int_eq(read(fds[0], expected, 1), 1);
    ck_assert_int_eq(datadir_lock(dir, &fd), QH_EBUSY);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(datadir_lock(dir, &fd), QH_OK); /* the kernel released it */
    (void)close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datadir_access");
    TCase *tcase = tcase_create("datadir_access");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_directory_that_cannot_be_written_is_refused);
    tcase_add_test(tcase, too_little_room_is_refused);
    tcase_add_test(tcase, one_process_at_a_time_holds_the_lock);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
