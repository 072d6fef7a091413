/* Calls from many threads, from children, and at the end of a process, while nodes die and freeze.
 */
#include "client/handle.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/client_rig.h"

#define THREADS 8u

static atomic_bool go_on;
static atomic_uint failures;
static atomic_uint_least64_t longest_ms, calls;

static void *keep_calling(void *data)
{
    (void)data;
    while (atomic_load(&go_on)) {
        uint64_t begun_ms = clock_monotonic_ms(), took_ms, longest;

        if (call_use(0) != QH_OK) {
            atomic_fetch_add(&failures, 1);
        }
        atomic_fetch_add(&calls, 1);
        took_ms = clock_monotonic_ms() - begun_ms;
        longest = atomic_load(&longest_ms);
        while (took_ms > longest && !atomic_compare_exchange_weak(&longest_ms, &longest, took_ms)) {
        }
    }
    return NULL;
}

static void start_calling(pthread_t threads[THREADS])
{
    atomic_store(&go_on, true);
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, keep_calling, NULL), 0);
    }
}

static void stop_calling(pthread_t threads[THREADS])
{
    atomic_store(&go_on, false);
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static void some_more_calls(unsigned count)
{
    uint64_t goal = atomic_load(&calls) + count;

    WAIT_UNTIL(atomic_load(&calls) >= goal);
}

START_TEST(eight_threads_survive_the_death_of_their_node)
{
    pthread_t threads[THREADS];

    open_handle(PEERS);
    start_calling(threads);
    some_more_calls(200);
    wait_all_ready();
    atomic_store(&longest_ms, 0);
    peer_kill(peers[0]);
    some_more_calls(200);
    (void)printf("longest call after a kill: %u ms\n", (unsigned)atomic_load(&longest_ms));
    peer_restart(peers[0]);
    some_more_calls(200);
    stop_calling(threads);
    ck_assert_uint_eq(atomic_load(&failures), 0);
    ck_assert_uint_lt(atomic_load(&longest_ms), 2000);
}
END_TEST

START_TEST(eight_threads_survive_a_node_that_freezes)
{
    pthread_t threads[THREADS];

    open_handle(PEERS);
    start_calling(threads);
    some_more_calls(200);
    wait_all_ready();
    atomic_store(&longest_ms, 0);
    peer_set_mode(peers[0], PEER_FROZEN);
    some_more_calls(200);
    (void)printf("longest call after freezing: %u ms\n", (unsigned)atomic_load(&longest_ms));
    WAIT_UNTIL(probed("alpha", QUADHSM_UNREACHABLE));
    peer_set_mode(peers[0], PEER_ANSWERS);
    some_more_calls(200);
    stop_calling(threads);
    ck_assert_uint_eq(atomic_load(&failures), 0);
    ck_assert_uint_lt(atomic_load(&longest_ms), 3000);
}
END_TEST

START_TEST(connections_to_the_next_best_are_kept_warm)
{
    pthread_t threads[THREADS];

    open_handle(PEERS);
    start_calling(threads);
    some_more_calls(100);
    wait_all_ready();
    /* A probe's, and one for each thread. */
    WAIT_UNTIL(peer_connections(peers[1]) >= THREADS + 1);
    WAIT_UNTIL(peer_connections(peers[2]) >= THREADS + 1);
    stop_calling(threads);
}
END_TEST

START_TEST(without_threads_the_library_makes_none)
{
    char name[64];
    unsigned count = 0;

    open_handle(PEERS);
    quadhsm_forbid_threads(handle);
    WAIT_UNTIL(call_random() == QH_OK && strcmp(quadhsm_last_node(), "alpha") == 0);
    for (long i = 0; i < 64; i++) {
        char path[64];
        FILE *file;

        (void)snprintf(path, sizeof path, "/proc/self/task/%ld/comm", (long)getpid() + i);
        file = fopen(path, "r");
        if (file != NULL) {
            if (fgets(name, sizeof name, file) != NULL && strcmp(name, "quadhsm-probe\n") == 0) {
                count++;
            }
            (void)fclose(file);
        }
    }
    ck_assert_uint_eq(count, 0);
    peer_kill(peers[0]);
    ck_assert_int_eq(call_random(), QH_OK);
    ck_assert_str_ne(quadhsm_last_node(), "alpha");
    peer_restart(peers[0]);
    WAIT_UNTIL(call_random() == QH_OK && strcmp(quadhsm_last_node(), "alpha") == 0);
}
END_TEST

/* In the child: exit status 0 if it can call, too. */
static void be_child(int calls_to_make)
{
    for (int i = 0; i < calls_to_make; i++) {
        if (call_use(0) != QH_OK) {
            _exit(1);
        }
    }
    _exit(0);
}

START_TEST(a_child_makes_connections_of_its_own)
{
    unsigned accepted;
    pid_t pid;
    int status;

    open_ready(PEERS);
    ck_assert_int_eq(call_use(0), QH_OK);
    accepted = peer_accepted(peers[0]);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        be_child(20);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_gt(peer_accepted(peers[0]), accepted);
    /* The parent's connection was not touched: nothing new is needed. */
    accepted = peer_accepted(peers[0]);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(call_use(0), QH_OK);
    }
    ck_assert_uint_eq(peer_accepted(peers[0]), accepted);
}
END_TEST

START_TEST(a_child_does_not_keep_its_parents_connections_open)
{
    int ends[2];
    pid_t pid;
    int status;

    open_handle(1);
    ck_assert_int_eq(call_use(0), QH_OK);
    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        char byte;

        (void)close(ends[1]);
        (void)!read(ends[0], &byte, 1); /* lives on and calls nothing */
        _exit(0);
    }
    (void)close(ends[0]);
    quadhsm_close(handle);
    handle = NULL;
    WAIT_UNTIL(peer_connections(peers[0]) == 0);
    (void)close(ends[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}
END_TEST

START_TEST(forking_among_busy_threads_leaves_no_lock_behind)
{
    pthread_t threads[THREADS];

    open_handle(PEERS);
    start_calling(threads);
    some_more_calls(50);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        int status;

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            (void)alarm(20);
            be_child(3);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
    stop_calling(threads);
    ck_assert_uint_eq(atomic_load(&failures), 0);
}
END_TEST

START_TEST(a_process_may_end_without_closing)
{
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        int status;

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            open_handle(PEERS);
            exit(call_use(0) == QH_OK ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

START_TEST(no_signal_is_raised_when_a_node_hangs_up)
{
    (void)signal(SIGPIPE, SIG_DFL);
    open_handle(1);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(call_use(0), QH_OK);
        peer_kill(peers[0]);
        peer_restart(peers[0]);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("client_process");
    TCase *tcase = tcase_create("client_process");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, eight_threads_survive_the_death_of_their_node);
    tcase_add_test(tcase, eight_threads_survive_a_node_that_freezes);
    tcase_add_test(tcase, connections_to_the_next_best_are_kept_warm);
    tcase_add_test(tcase, without_threads_the_library_makes_none);
    tcase_add_test(tcase, a_child_makes_connections_of_its_own);
    tcase_add_test(tcase, a_child_does_not_keep_its_parents_connections_open);
    tcase_add_test(tcase, forking_among_busy_threads_leaves_no_lock_behind);
    tcase_add_test(tcase, a_process_may_end_without_closing);
    tcase_add_test(tcase, no_signal_is_raised_when_a_node_hangs_up);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
