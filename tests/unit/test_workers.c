/* Queues of the crypto workers: bounded, fair, and answered to the last. */
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "node/request.h"
#include "tests/unit/node_rig.h"

static _Atomic unsigned answered;
static pthread_mutex_t order_mutex = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t order[64]; /* whose requests ran, in their order */
static _Atomic unsigned ran;
static _Atomic int last_error;
static _Atomic int niceness;

static void drop(struct request *request)
{
    atomic_store(&last_error, (int)request->response->error);
    request->conn = NULL;
    request_free(request);
    atomic_fetch_add(&answered, 1);
}

static void note(struct request *request)
{
    (void)pthread_mutex_lock(&order_mutex);
    order[atomic_load(&ran)] = (uintptr_t)request->conn;
    (void)pthread_mutex_unlock(&order_mutex);
    atomic_fetch_add(&ran, 1);
    request_answer(request, QH_OK, NULL);
}

static void note_niceness(struct request *request)
{
    atomic_store(&niceness, getpriority(PRIO_PROCESS, 0));
    request_answer(request, QH_OK, NULL);
}

/* A connection is not looked into here: any address will do. */
static struct request *request_of(uintptr_t conn, void (*run)(struct request *request))
{
    struct request *request = rig_request(drop);

    request->conn = (struct conn *)conn;
    request->run = run;
    return request;
}

static bool all_answered(void *data)
{
    return atomic_load(&answered) >= *(unsigned *)data;
}

static void begin(void)
{
    rig_begin();
    rig_start_workers(1);
}

START_TEST(a_connection_with_many_requests_does_not_keep_others_waiting)
{
    unsigned count = 14;

    rig_block_worker();
    for (unsigned i = 0; i < 10; i++) {
        ck_assert(workers_post(rig.node.workers, request_of(100, note), WORKERS_FAST));
    }
    for (unsigned i = 0; i < 2; i++) {
        ck_assert(workers_post(rig.node.workers, request_of(200, note), WORKERS_FAST));
        ck_assert(workers_post(rig.node.workers, request_of(300, note), WORKERS_FAST));
    }
    ck_assert_uint_eq(workers_queued(rig.node.workers), count);
    rig_release_worker();
    ck_assert(rig_until(all_answered, &count));
    ck_assert_uint_eq(order[0], 100);
    ck_assert_uint_eq(order[1], 200);
    ck_assert_uint_eq(order[2], 300);
    ck_assert_uint_eq(order[3], 100);
    ck_assert_uint_eq(order[4], 200);
    ck_assert_uint_eq(order[5], 300);
    for (unsigned i = 6; i < count; i++) {
        ck_assert_uint_eq(order[i], 100);
    }
    ck_assert_uint_eq(workers_queued(rig.node.workers), 0);
}
END_TEST

START_TEST(a_full_queue_takes_nothing_more_and_the_other_still_does)
{
    unsigned count = WORKERS_QUEUE_MAX;
    struct request *more = request_of(1, note_niceness);

    rig_block_worker();
    for (unsigned i = 0; i < WORKERS_QUEUE_MAX; i++) {
        ck_assert(workers_post(rig.node.workers, request_of(i + 1, note_niceness), WORKERS_FAST));
    }
    ck_assert(!workers_post(rig.node.workers, more, WORKERS_FAST));
    ck_assert(workers_post(rig.node.workers, more, WORKERS_SLOW));
    rig_release_worker();
    count++;
    ck_assert(rig_until(all_answered, &count));
}
END_TEST

START_TEST(a_request_that_finds_the_queue_full_is_told_so)
{
    unsigned count = 1;

    rig_block_worker();
    for (unsigned i = 0; i < WORKERS_QUEUE_MAX; i++) {
        ck_assert(workers_post(rig.node.workers, request_of(i + 1, note_niceness), WORKERS_FAST));
    }
    request_run_on(request_of(1, note), REQUEST_WORKER, note);
    ck_assert(rig_until(all_answered, &count));
    ck_assert_int_eq(atomic_load(&last_error), QH_EBUSY);
    rig_release_worker();
}
END_TEST

START_TEST(slow_requests_run_beside_fast_ones_with_a_lower_priority)
{
    unsigned count = 1;
    int before = getpriority(PRIO_PROCESS, 0);

    rig_block_worker();
    ck_assert(workers_post(rig.node.workers, request_of(1, note_niceness), WORKERS_SLOW));
    ck_assert(rig_until(all_answered, &count));
    ck_assert_int_eq(atomic_load(&niceness), before + 5 > 19 ? 19 : before + 5);
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), before);
    rig_release_worker();
    ck_assert(workers_post(rig.node.workers, request_of(1, note_niceness), WORKERS_FAST));
    count++;
    ck_assert(rig_until(all_answered, &count));
    ck_assert_int_eq(atomic_load(&niceness), before);
}
END_TEST

static _Atomic bool primes_found;

static void find_primes(struct request *request)
{
    while (!atomic_load(&primes_found)) {
        (void)poll(NULL, 0, 1);
    }
    request_answer(request, QH_OK, NULL);
}

START_TEST(keys_that_take_minutes_keep_no_login_waiting)
{
    unsigned count = 1;

    for (unsigned i = 0; i < 8; i++) {
        request_run_on(request_of(i + 1, find_primes), REQUEST_PRIMES, find_primes);
    }
    request_run_on(request_of(9, note), REQUEST_SLOW, note);
    ck_assert(rig_until(all_answered, &count));
    ck_assert_uint_eq(atomic_load(&ran), 1);
    request_run_on(request_of(10, note), REQUEST_WORKER, note);
    count++;
    ck_assert(rig_until(all_answered, &count));
    ck_assert_uint_eq(atomic_load(&ran), 2);
    atomic_store(&primes_found, true);
    count += 8;
    ck_assert(rig_until(all_answered, &count));
}
END_TEST

START_TEST(slow_work_has_time_of_its_own_and_what_follows_has_not)
{
    struct request *request = request_of(1, note);
    uint64_t deadline_ms = request->deadline_ms;

    request->message->timeout_ms = 1000;
    request->message->work_ms = 60000;
    request_begin_work(request);
    ck_assert_uint_eq(request->deadline_ms, deadline_ms + 60000);
    request_end_work(request);
    ck_assert_uint_le(request->deadline_ms, clock_monotonic_ms() + 1000);
    request->message->work_ms = UINT32_MAX;
    deadline_ms = request->deadline_ms;
    request_begin_work(request);
    ck_assert_uint_eq(request->deadline_ms, deadline_ms + 600000);
    request_answer(request, QH_OK, NULL);
}
END_TEST

static void *stop(void *data)
{
    workers_stop(data);
    return NULL;
}

START_TEST(what_waits_when_the_node_stops_is_answered)
{
    unsigned count = 20;
    pthread_t thread;

    rig_block_worker();
    for (unsigned i = 0; i < count; i++) {
        ck_assert(workers_post(rig.node.workers, request_of(i % 3 + 1, note), WORKERS_FAST));
    }
    ck_assert_int_eq(pthread_create(&thread, NULL, stop, rig.node.workers), 0);
    ck_assert(rig_until(all_answered, &count));
    ck_assert_int_eq(atomic_load(&last_error), QH_ECANCELED);
    ck_assert_uint_eq(atomic_load(&ran), 0);
    rig_release_worker(); /* its request runs to its end */
    (void)pthread_join(thread, NULL);
    rig.node.workers = NULL;
}
END_TEST

START_TEST(the_number_of_threads_has_limits)
{
    struct workers *workers = NULL;

    ck_assert_int_eq(workers_start(0, &workers), QH_EINVAL);
    ck_assert_int_eq(workers_start(WORKERS_THREADS_MAX + 1, &workers), QH_EINVAL);
    ck_assert_ptr_null(workers);
    ck_assert_int_eq(workers_start(WORKERS_THREADS_MAX, &workers), QH_OK);
    ck_assert_uint_eq(workers_threads(workers), WORKERS_THREADS_MAX);
    workers_stop(workers);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("workers");
    TCase *group = tcase_create("workers");

    tcase_add_checked_fixture(group, begin, rig_end);
    tcase_set_timeout(group, 60);
    tcase_add_test(group, a_connection_with_many_requests_does_not_keep_others_waiting);
    tcase_add_test(group, a_full_queue_takes_nothing_more_and_the_other_still_does);
    tcase_add_test(group, a_request_that_finds_the_queue_full_is_told_so);
    tcase_add_test(group, slow_requests_run_beside_fast_ones_with_a_lower_priority);
    tcase_add_test(group, keys_that_take_minutes_keep_no_login_waiting);
    tcase_add_test(group, slow_work_has_time_of_its_own_and_what_follows_has_not);
    tcase_add_test(group, what_waits_when_the_node_stops_is_answered);
    tcase_add_test(group, the_number_of_threads_has_limits);
    suite_add_tcase(suite, group);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
