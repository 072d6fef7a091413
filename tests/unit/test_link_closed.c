/* A closed segment that is lost is noticed, and no note ever speaks of one that has gone as it
 * should. Real raft_uv, real files; the directory is judged while the link has it open. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "raft-glue/closednote.h"
#include "raft-glue/datadir.h"
#include "raft-glue/link.h"
#include "tests/lib/test.h"

#define PATIENCE_MS 20000u
#define ENTRY_SIZE 4096u /* about fifteen in a segment */
#define KEPT_MAX 4096u

static uv_loop_t loop;
static struct link server;
/* Allocated until the process ends; and nothing is closed, as no node of ours is. */
static void *kept[KEPT_MAX];
static unsigned kept_count;
static char dir[128];
static char raft_dir[160];
static unsigned done_count;
static unsigned begun_count;
static uint64_t next_index = 1;
static char last_error[1100];

static void on_log(void *data, enum log_level level, const char *line)
{
    (void)data;
    if (level == LOG_LEVEL_ERROR) {
        (void)snprintf(last_error, sizeof last_error, "%s", line);
    }
}

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
    ck_assert_int_eq(status, 0);
    done_count++;
}

static void on_put(struct raft_io_snapshot_put *request, int status)
{
    (void)request;
    ck_assert_int_eq(status, 0);
    done_count++;
}

static void *keep(void *block)
{
    ck_assert_ptr_nonnull(block);
    ck_assert_uint_lt(kept_count, KEPT_MAX);
    kept[kept_count++] = block;
    return block;
}

static void setup(void)
{
    struct raft_snapshot *snapshot;
    struct raft_entry *entries;
    raft_index first;
    raft_term term;
    raft_id vote;
    size_t count;

    log_set_sink(on_log, NULL);
    test_make_dir(dir, sizeof dir);
    (void)snprintf(raft_dir, sizeof raft_dir, "%s/raft", dir);
    ck_assert_int_eq(mkdir(raft_dir, 0700), 0);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(link_init(&server, &loop, raft_dir, LINK_SEGMENT_SIZE_MIN), QH_OK);
    ck_assert_int_eq(server.io.init(&server.io, 1, "alpha"), 0);
    ck_assert_int_eq(server.io.load(&server.io, &term, &vote, &snapshot, &first, &entries, &count),
                     0);
    ck_assert_int_eq(server.io.set_term(&server.io, 1), 0);
    ck_assert_int_eq(server.io.start(&server.io, 1000, on_tick, on_recv), 0);
}

static void wait_for_disk(void)
{
    uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (done_count < begun_count && clock_monotonic_ms() < end_ms) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    ck_assert_uint_eq(done_count, begun_count);
}

static void append(unsigned count)
{
    struct raft_entry *entries = keep(calloc(count, sizeof *entries));

    for (unsigned i = 0; i < count; i++) {
        entries[i].term = 1;
        entries[i].type = RAFT_COMMAND;
        entries[i].buf.len = ENTRY_SIZE;
        entries[i].buf.base = keep(calloc(1, ENTRY_SIZE));
    }
    ck_assert_int_eq(server.io.append(&server.io, keep(calloc(1, sizeof(struct raft_io_append))),
                                      entries, count, on_appended),
                     0);
    begun_count++;
    next_index += count;
}

static uint64_t noted(void)
{
    uint64_t index = 0;
    int fd = open(raft_dir, O_RDONLY | O_DIRECTORY);

    ck_assert_int_eq(closednote_read(fd, &index), QH_OK);
    (void)close(fd);
    return index;
}

/* The end of the last closed segment and its name. */
static uint64_t last_closed(char name[300])
{
    DIR *stream = opendir(raft_dir);
    const struct dirent *entry;
    uint64_t found = 0;

    while ((entry = readdir(stream)) != NULL) {
        unsigned long long first;
        unsigned long long last;

        if (sscanf(entry->d_name, "%16llu-%16llu", &first, &last) == 2 && last > found) {
            found = last;
            (void)snprintf(name, 300, "%s", entry->d_name);
        }
    }
    (void)closedir(stream);
    return found;
}

static void fill_segments(unsigned count)
{
    for (unsigned i = 0; i < 16 * count; i++) {
        append(1);
        wait_for_disk();
    }
}

static void wait_for_note(void)
{
    uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS;
    char name[300];

    while (noted() < last_closed(name) && clock_monotonic_ms() < end_ms) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    ck_assert_uint_gt(noted(), 0);
    ck_assert_uint_eq(noted(), last_closed(name));
}

static enum qh_err judge(void)
{
    struct datadir_summary summary;

    return datadir_summarize(dir, &summary);
}

/* Loops that long that a look would have been made, and judges the directory all the while. */
static void never_refused(unsigned ms)
{
    uint64_t end_ms = clock_monotonic_ms() + ms;

    while (clock_monotonic_ms() < end_ms) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        (void)usleep(2000);
    }
    ck_assert_int_eq(judge(), QH_OK);
}

START_TEST(a_lost_last_closed_segment_with_open_ones_behind_is_refused)
{
    char path[500];
    char name[300];
    uint64_t last;

    fill_segments(3);
    wait_for_note();
    ck_assert_int_eq(judge(), QH_OK);
    last = last_closed(name);
    ck_assert_uint_lt(last, next_index - 1); /* there is something behind */
    (void)snprintf(path, sizeof path, "%s/%s", raft_dir, name);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(judge(), QH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(last_error, raft_dir));
    ck_assert_ptr_nonnull(strstr(last_error, "are missing"));
    ck_assert_ptr_nonnull(strstr(last_error, "new id"));
}
END_TEST

START_TEST(all_closed_segments_lost_are_refused)
{
    char path[500];
    char name[300];

    fill_segments(3);
    wait_for_note();
    while (last_closed(name) > 0) {
        (void)snprintf(path, sizeof path, "%s/%s", raft_dir, name);
        ck_assert_int_eq(unlink(path), 0);
    }
    ck_assert_int_eq(judge(), QH_ECORRUPT);
}
END_TEST

START_TEST(a_truncation_lowers_the_note_before_it_happens)
{
    char name[300];

    fill_segments(3);
    wait_for_note();
    for (unsigned i = 0; i < 5; i++) {
        uint64_t index = last_closed(name) - 3;

        ck_assert_uint_ge(noted(), index);
        ck_assert_int_eq(server.io.truncate(&server.io, index), 0);
        ck_assert_uint_eq(noted(), index - 1);
        next_index = index;
        append(i + 1);
        wait_for_disk();
        ck_assert_uint_le(noted(), last_closed(name));
        never_refused(2 * LINK_CLOSED_MS);
        fill_segments(1);
        wait_for_note();
    }
}
END_TEST

/* A look that began before the truncation finds what is about to go. */
START_TEST(a_look_under_way_does_not_count_after_a_truncation)
{
    char name[300];

    fill_segments(2);
    wait_for_note();
    for (unsigned i = 0; i < 40; i++) {
        uint64_t end_ms = clock_monotonic_ms() + LINK_CLOSED_MS - 4 + i % 8;
        uint64_t index;

        fill_segments(1);
        while (clock_monotonic_ms() < end_ms) {
            (void)uv_run(&loop, UV_RUN_NOWAIT);
        }
        index = last_closed(name) - 2;
        ck_assert_int_eq(server.io.truncate(&server.io, index), 0);
        next_index = index;
        append(1);
        wait_for_disk();
        ck_assert_int_eq(judge(), QH_OK);
        ck_assert_uint_le(noted(), last_closed(name));
    }
}
END_TEST

static void install(uint64_t index)
{
    struct raft_io_snapshot_put *request = keep(calloc(1, sizeof *request));
    struct raft_snapshot *snapshot = keep(calloc(1, sizeof *snapshot));

    snapshot->index = index;
    snapshot->term = 1;
    snapshot->configuration_index = 1;
    raft_configuration_init(&snapshot->configuration);
    ck_assert_int_eq(raft_configuration_add(&snapshot->configuration, 1, "alpha", RAFT_VOTER), 0);
    snapshot->bufs = keep(calloc(1, sizeof *snapshot->bufs));
    snapshot->n_bufs = 1;
    snapshot->bufs[0].base = keep(calloc(1, 8));
    snapshot->bufs[0].len = 8;
    ck_assert_int_eq(server.io.snapshot_put(&server.io, 0, request, snapshot, on_put), 0);
    begun_count++;
    ck_assert_uint_le(noted(), index);
    wait_for_disk();
    next_index = index + 1;
}

START_TEST(an_installed_snapshot_lowers_the_note_and_what_follows_raises_it)
{
    char name[300];
    uint64_t index;

    fill_segments(3);
    wait_for_note();
    index = noted() - 5;
    install(index);
    ck_assert_uint_eq(last_closed(name), 0);
    ck_assert_uint_eq(noted(), index);
    fill_segments(2);
    wait_for_note();
    ck_assert_uint_gt(noted(), index);
    install(next_index + 1000);
    ck_assert_uint_eq(last_closed(name), 0);
    ck_assert_uint_lt(noted(), next_index);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link_closed");
    TCase *tcase = tcase_create("link_closed");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_lost_last_closed_segment_with_open_ones_behind_is_refused);
    tcase_add_test(tcase, all_closed_segments_lost_are_refused);
    tcase_add_test(tcase, a_truncation_lowers_the_note_before_it_happens);
    tcase_add_test(tcase, a_look_under_way_does_not_count_after_a_truncation);
    tcase_add_test(tcase, an_installed_snapshot_lowers_the_note_and_what_follows_raises_it);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
