/* Nothing is written behind a truncation that has not happened. Real raft_uv, real files. */
#include "raft-glue/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/lib/test.h"

#define PATIENCE_MS 20000u
#define ENTRY_SIZE 64u

static uv_loop_t loop;
static struct link server;
/* A second one on the same directory, as a new process. Nothing is closed: raft_uv does not end
 * in good order after real work, and no node of ours ends it. */
static uv_loop_t loop_again;
static struct link server_again;
static void *kept[64]; /* allocated until the process ends */
static unsigned kept_count;
static char dir[256];
static unsigned appended;
static int append_status;

static void on_tick(struct raft_io *io)
{
    (void)io;
}

static void on_recv(struct raft_io *io, struct raft_message *message)
{
    (void)io;
    (void)message;
}

static void on_appended(struct raft_io_append *request, int status)
{
    (void)request;
    appended++;
    append_status = status;
}

static void *keep(void *block)
{
    ck_assert_uint_lt(kept_count, 64);
    kept[kept_count++] = block;
    return block;
}

static void setup(void)
{
    struct raft_configuration configuration;

    test_make_dir(dir, sizeof dir);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(link_init(&server, &loop, dir, LINK_SEGMENT_SIZE_MIN), QH_OK);
    ck_assert_int_eq(server.io.init(&server.io, 1, "alpha"), 0);
    raft_configuration_init(&configuration);
    ck_assert_int_eq(raft_configuration_add(&configuration, 1, "alpha", RAFT_VOTER), 0);
    ck_assert_int_eq(server.io.bootstrap(&server.io, &configuration), 0);
    raft_configuration_close(&configuration);
}

/* How many entries there are, and the term of the last. */
static size_t load(struct link *link, raft_term *ret_term)
{
    struct raft_snapshot *snapshot;
    struct raft_entry *entries;
    raft_index start;
    raft_term term;
    raft_id vote;
    size_t count;

    ck_assert_int_eq(link->io.load(&link->io, &term, &vote, &snapshot, &start, &entries, &count),
                     0);
    ck_assert_uint_eq(start, 1);
    (void)keep(entries);
    (void)keep(entries[0].batch);
    (void)keep(entries[count - 1].batch);
    *ret_term = entries[count - 1].term;
    return count;
}

static void start(void)
{
    raft_term term;

    ck_assert_uint_eq(load(&server, &term), 1);
    ck_assert_int_eq(server.io.start(&server.io, 1000, on_tick, on_recv), 0);
}

/* The entries stay allocated until the process ends, as they do in libraft until the callback. */
static void append(raft_term term, unsigned count)
{
    struct raft_entry *entries = keep(calloc(count, sizeof *entries));
    struct raft_io_append *request = keep(calloc(1, sizeof *request));

    ck_assert_ptr_nonnull(entries);
    ck_assert_ptr_nonnull(request);
    for (unsigned i = 0; i < count; i++) {
        entries[i].term = term;
        entries[i].type = RAFT_COMMAND;
        entries[i].buf.len = ENTRY_SIZE;
        entries[i].buf.base = keep(calloc(1, ENTRY_SIZE));
        ck_assert_ptr_nonnull(entries[i].buf.base);
    }
    ck_assert_int_eq(server.io.append(&server.io, request, entries, count, on_appended), 0);
}

static void wait_for_appends(unsigned count)
{
    uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (appended < count && clock_monotonic_ms() < end_ms) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    ck_assert_uint_eq(appended, count);
}

/* What a new process finds. */
static size_t reload(raft_term *ret_term)
{
    ck_assert_int_eq(uv_loop_init(&loop_again), 0);
    ck_assert_int_eq(link_init(&server_again, &loop_again, dir, LINK_SEGMENT_SIZE_MIN), QH_OK);
    ck_assert_int_eq(server_again.io.init(&server_again.io, 1, "alpha"), 0);
    return load(&server_again, ret_term);
}

START_TEST(what_is_appended_after_a_truncation_waits_for_it_and_follows_it)
{
    raft_term term;

    start();
    append(1, 8);
    wait_for_appends(1);
    ck_assert_int_eq(server.io.truncate(&server.io, 5), 0);
    append(2, 2);
    append(2, 1);
    ck_assert_ptr_nonnull(server.held);
    wait_for_appends(3);
    ck_assert_int_eq(append_status, 0);
    ck_assert_uint_eq(server.truncating, 0);
    ck_assert_uint_eq(reload(&term), 7);
    ck_assert_uint_eq(term, 2);
}
END_TEST

START_TEST(the_whole_log_may_be_truncated)
{
    raft_term term;

    start();
    append(1, 3);
    wait_for_appends(1);
    ck_assert_int_eq(server.io.truncate(&server.io, 2), 0);
    append(3, 1);
    wait_for_appends(2);
    ck_assert_int_eq(append_status, 0);
    ck_assert_uint_eq(reload(&term), 2);
    ck_assert_uint_eq(term, 3);
}
END_TEST

static int forget_truncation(struct raft_io *io, raft_index index)
{
    (void)io;
    (void)index;
    return 0;
}

START_TEST(behind_a_truncation_that_does_not_happen_nothing_is_written)
{
    raft_term term;

    start();
    append(1, 8);
    wait_for_appends(1);
    server.uv_truncate = forget_truncation; /* as raft_uv does when it fails */
    server.truncate_ms = 50;
    ck_assert_int_eq(server.io.truncate(&server.io, 5), 0);
    append(2, 2);
    wait_for_appends(2);
    ck_assert_int_eq(append_status, RAFT_IOERR);
    ck_assert_ptr_nonnull(strstr(server.io.errmsg, "truncating the log from index 5"));
    ck_assert_uint_eq(reload(&term), 9);
    ck_assert_uint_eq(term, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link_truncate");
    TCase *tcase = tcase_create("link_truncate");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_is_appended_after_a_truncation_waits_for_it_and_follows_it);
    tcase_add_test(tcase, the_whole_log_may_be_truncated);
    tcase_add_test(tcase, behind_a_truncation_that_does_not_happen_nothing_is_written);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
