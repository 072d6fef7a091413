/* Secret memory: zeroed, guarded, locked, wiped; faults are part of the promise. */
#include "base/secret.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/test.h"

/* The sanitizers replace mlock() by something that does nothing and succeeds. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MLOCK_IS_REAL false
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MLOCK_IS_REAL false
#endif
#ifndef MLOCK_IS_REAL
#define MLOCK_IS_REAL true
#endif

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
}

/* A sanitizer turns the fault into a report and an exit; let the signal through. */
static void expect_fault(void)
{
    ck_assert(signal(SIGSEGV, SIG_DFL) != SIG_ERR);
}

START_TEST(setup_may_be_called_again)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
}
END_TEST

START_TEST(a_new_secret_is_zero_and_writable)
{
    struct secret *secret = NULL;

    ck_assert_int_eq(secret_new(48, &secret), QH_OK);
    ck_assert_uint_eq(secret_size(secret), 48);
    for (size_t i = 0; i < 48; i++) {
        ck_assert_uint_eq(secret_view(secret)[i], 0);
    }
    secret_bytes(secret)[47] = 0xab;
    ck_assert_uint_eq(secret_view(secret)[47], 0xab);
    secret_free(secret);
}
END_TEST

START_TEST(memory_that_is_used_again_is_zero)
{
    static const size_t sizes[] = {48, 4064, 4065, 1, 4080, 4096, 2000, 4064};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct secret *secret = NULL;

        ck_assert_int_eq(secret_new(sizes[i], &secret), QH_OK);
        for (size_t at = 0; at < sizes[i]; at++) {
            ck_assert_uint_eq(secret_view(secret)[at], 0);
        }
        memset(secret_bytes(secret), 0xff, sizes[i]);
        secret_free(secret);
    }
}
END_TEST

START_TEST(more_secrets_than_are_kept_may_come_and_go)
{
    static struct secret *secrets[80];

    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < 80; i++) {
            ck_assert_int_eq(secret_from(&i, sizeof i, &secrets[i]), QH_OK);
        }
        for (size_t i = 0; i < 80; i++) {
            ck_assert_mem_eq(secret_view(secrets[i]), &i, sizeof i);
            secret_cleanup(&secrets[i]);
        }
    }
}
END_TEST

static unsigned long locked_kib(void)
{
    unsigned long kib = 0;
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");

    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmLck: %lu", &kib);
    }
    (void)fclose(file);
    return kib;
}

/* fork() passes no locks on. */
START_TEST(a_child_locks_its_own)
{
    struct secret *secret = NULL;
    int status;
    pid_t pid;

    ck_assert_int_eq(secret_new(16, &secret), QH_OK);
    secret_cleanup(&secret); /* kept, for this process */
    ck_assert_uint_ge(locked_kib(), 4);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        if (locked_kib() != 0 || secret_new(16, &secret) != QH_OK || locked_kib() < 4) {
            _exit(1);
        }
        secret_free(secret);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(the_size_has_limits_on_both_sides)
{
    struct secret *const untouched = (struct secret *)&setup;
    struct secret *secret = untouched;

    ck_assert_int_eq(secret_new(0, &secret), QH_ELIMIT);
    ck_assert_int_eq(secret_new(SECRET_SIZE_MAX + 1, &secret), QH_ELIMIT);
    ck_assert_int_eq(secret_from(NULL, 0, &secret), QH_ELIMIT);
    ck_assert_ptr_eq(secret, untouched);
    ck_assert_int_eq(secret_new(1, &secret), QH_OK);
    secret_free(secret);
    ck_assert_int_eq(secret_new(SECRET_SIZE_MAX, &secret), QH_OK);
    secret_bytes(secret)[SECRET_SIZE_MAX - 1] = 1;
    secret_free(secret);
}
END_TEST

START_TEST(a_secret_from_bytes_is_a_copy)
{
    char base[] = "123456";
    struct secret *secret = NULL;

    ck_assert_int_eq(secret_from(base, 6, &secret), QH_OK);
    memset(base, 0, sizeof base);
    ck_assert_uint_eq(secret_size(secret), 6);
    ck_assert_mem_eq(secret_view(secret), "123456", 6);
    secret_free(secret);
}
END_TEST

START_TEST(equality_looks_at_size_and_content)
{
    SECRET_SCOPED struct secret *left = NULL;
    SECRET_SCOPED struct secret *same = NULL;
    SECRET_SCOPED struct secret *other = NULL;
    SECRET_SCOPED struct secret *shorter = NULL;

    ck_assert_int_eq(secret_from("abcd", 4, &left), QH_OK);
    ck_assert_int_eq(secret_from("abcd", 4, &same), QH_OK);
    ck_assert_int_eq(secret_from("abce", 4, &other), QH_OK);
    ck_assert_int_eq(secret_from("abc", 3, &shorter), QH_OK);
    ck_assert(secret_equal(left, left));
    ck_assert(secret_equal(left, same));
    ck_assert(!secret_equal(left, other));
    ck_assert(!secret_equal(left, shorter));
    ck_assert(!secret_equal(shorter, left));
}
END_TEST

START_TEST(nothing_is_freed_without_complaint)
{
    struct secret *secret = NULL;

    secret_free(NULL);
    secret_cleanup(&secret);
    ck_assert_int_eq(secret_new(1, &secret), QH_OK);
    secret_cleanup(&secret);
    ck_assert_ptr_null(secret);
}
END_TEST

START_TEST(writing_past_the_end_crashes)
{
    struct secret *secret = NULL;

    ck_assert_int_eq(secret_new(33, &secret), QH_OK);
    expect_fault();
    *(volatile uint8_t *)(secret_bytes(secret) + 33) = 1;
}
END_TEST

START_TEST(reading_past_the_end_crashes)
{
    struct secret *secret = NULL;

    ck_assert_int_eq(secret_new(4096, &secret), QH_OK);
    expect_fault();
    (void)*(volatile const uint8_t *)(secret_view(secret) + 4096);
}
END_TEST

START_TEST(reading_after_free_crashes)
{
    volatile const uint8_t *bytes;
    struct secret *secret = NULL;

    ck_assert_int_eq(secret_new(16, &secret), QH_OK);
    bytes = secret_view(secret);
    secret_free(secret);
    expect_fault();
    (void)*bytes;
}
END_TEST

START_TEST(writing_before_the_start_is_found_at_release)
{
    struct secret *secret = NULL;

    ck_assert_int_eq(secret_new(16, &secret), QH_OK);
    expect_fault();
    secret_bytes(secret)[-1] ^= 1;
    secret_free(secret);
}
END_TEST

/* Root may lock as much as it likes, unless it lacks this capability. */
static void drop_ipc_lock(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};

    ck_assert_int_eq(syscall(SYS_capget, &header, data), 0);
    data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &= ~(uint32_t)CAP_TO_MASK(CAP_IPC_LOCK);
    ck_assert_int_eq(syscall(SYS_capset, &header, data), 0);
}

START_TEST(a_lock_that_fails_is_an_error)
{
    struct rlimit limit = {0, 0};
    struct secret *held = NULL, *secret = NULL;

    ck_assert_int_eq(secret_new(16, &held), QH_OK);
    drop_ipc_lock();
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    ck_assert_int_eq(secret_new(16, &secret), QH_ESYSTEM);
    ck_assert_int_eq(secret_from("x", 1, &secret), QH_ESYSTEM);
    ck_assert_int_eq(secret_new(SECRET_SIZE_MAX, &secret), QH_ESYSTEM);
    ck_assert_ptr_null(secret);
    /* What is locked already may be used again. */
    secret_cleanup(&held);
    ck_assert_int_eq(secret_new(16, &secret), QH_OK);
    secret_cleanup(&secret);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("secret");
    TCase *tcase = tcase_create("secret");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, setup_may_be_called_again);
    tcase_add_test(tcase, a_new_secret_is_zero_and_writable);
    tcase_add_test(tcase, memory_that_is_used_again_is_zero);
    tcase_add_test(tcase, more_secrets_than_are_kept_may_come_and_go);
    tcase_add_test(tcase, the_size_has_limits_on_both_sides);
    tcase_add_test(tcase, a_secret_from_bytes_is_a_copy);
    tcase_add_test(tcase, equality_looks_at_size_and_content);
    tcase_add_test(tcase, nothing_is_freed_without_complaint);
    tcase_add_test_raise_signal(tcase, writing_past_the_end_crashes, SIGSEGV);
    tcase_add_test_raise_signal(tcase, reading_past_the_end_crashes, SIGSEGV);
    tcase_add_test_raise_signal(tcase, reading_after_free_crashes, SIGSEGV);
    tcase_add_test_raise_signal(tcase, writing_before_the_start_is_found_at_release, SIGSEGV);
    if (MLOCK_IS_REAL) {
        tcase_add_test(tcase, a_child_locks_its_own);
        tcase_add_test(tcase, a_lock_that_fails_is_an_error);
    }
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
