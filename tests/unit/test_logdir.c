/* The states that a crash leaves and libraft cannot start from: that it cannot, that they are
 * mended without losing an entry, and that what only resembles them is refused. */
#include "raft-glue/logdir.h"

#include <fcntl.h>
#include <raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/crc32.h"
#include "raft-glue/datadir.h"
#include "raft-glue/link.h"
#include "tests/lib/raftdir.h"
#include "tests/lib/test.h"

/* 63 batches of 1,040 bytes and the format leave 8 of 65,536 bytes: see entry.h and txn.h for
 * what comes to the value. */
#define CRAMPED_ENTRIES 63u
#define CRAMPED_VALUE_SIZE 937u
#define BATCH_SIZE 1040u
#define SEGMENT_SIZE LINK_SEGMENT_SIZE_MIN

static char base_dir[128];
static char dir[200];
static char last_error[1100];

static void on_log(void *data, enum log_level level, const char *line)
{
    (void)data;
    if (level == LOG_LEVEL_ERROR) {
        (void)snprintf(last_error, sizeof(last_error), "%s", line);
    }
}

static void setup(void)
{
    log_set_sink(on_log, NULL);
    test_make_dir(base_dir, sizeof(base_dir));
    (void)snprintf(dir, sizeof(dir), "%s/node", base_dir);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
}

static void teardown(void)
{
    test_remove_dir(base_dir);
}

static const char *path_of(const char *name)
{
    static char path[600];

    (void)snprintf(path, sizeof(path), "%s/raft/%s", dir, name);
    return path;
}

static bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static void file_write(const char *name, const uint8_t *content, size_t size)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, size), (ssize_t)size);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    (void)close(fd);
}

static void file_zero(const char *name, size_t offset, size_t size)
{
    int fd = open(path_of(name), O_WRONLY);
    uint8_t *zeroes = calloc(1, size);

    ck_assert_ptr_nonnull(zeroes);
    ck_assert_int_eq(pwrite(fd, zeroes, size, (off_t)offset), (ssize_t)size);
    (void)close(fd);
    free(zeroes);
}

/* Copy @size bytes, or all if that is 0. */
static void file_copy(const char *from, const char *to, size_t size)
{
    static uint8_t content[1u << 20];
    int fd = open(path_of(from), O_RDONLY);
    ssize_t count = read(fd, content, sizeof(content));

    ck_assert_int_gt(count, 0);
    (void)close(fd);
    file_write(to, content, size != 0 ? size : (size_t)count);
}

static void run(bool bootstrap, unsigned entries, unsigned first, unsigned threshold,
                struct raftdir_result *ret_result)
{
    struct raftdir_plan plan = {.bootstrap = bootstrap,
                                .entries = entries,
                                .first = first,
                                .value_size = CRAMPED_VALUE_SIZE,
                                .threshold = threshold,
                                .trailing = 5};

    raftdir_run(dir, &plan, ret_result);
}

static void make_log(unsigned entries)
{
    struct raftdir_result result;

    run(true, entries, 0, 0, &result);
    ck_assert_int_eq(result.wait_status, 0);
}

/* libraft does not start: it is killed, or says so. */
static void expect_fatal(bool crash)
{
    struct raftdir_result result;
    int null_fd = open("/dev/null", O_WRONLY);
    int saved_fd = dup(STDERR_FILENO);

    (void)dup2(null_fd, STDERR_FILENO); /* it may well print why */
    run(false, 0, 0, 0, &result);
    (void)dup2(saved_fd, STDERR_FILENO);
    (void)close(null_fd);
    (void)close(saved_fd);
    ck_assert_int_ne(result.wait_status, 0);
    if (crash) {
        ck_assert(WIFSIGNALED(result.wait_status) || WEXITSTATUS(result.wait_status) == 1);
    }
}

/* The check mends it, and libraft loads the log to @last, as the offline reader does. */
static void expect_mended(uint64_t last)
{
    uint8_t hash[RAFTDIR_HASH_SIZE];
    struct raftdir_result result;
    uint64_t read_last = 0;

    last_error[0] = 0;
    ck_assert_msg(datadir_check(dir, true) == QH_OK, "%s", last_error);
    run(false, 0, 0, 0, &result);
    ck_assert_int_eq(result.wait_status, 0);
    ck_assert_uint_eq(result.last_index, last);
    ck_assert(raftdir_hash(dir, result.log_first, hash, &read_last));
    if (result.log_first != 0) {
        ck_assert_uint_eq(read_last, last);
        ck_assert_mem_eq(hash, result.log_hash, sizeof(hash));
    }
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
}

static void expect_refusal(const char *name)
{
    last_error[0] = 0;
    ck_assert_int_eq(datadir_check(dir, true), QH_ECORRUPT);
    ck_assert_msg(strstr(last_error, name) != NULL, "%s does not name %s", last_error, name);
}

static void copy_file(const char *from_dir, const char *name)
{
    static uint8_t content[1u << 20];
    char from[400];
    int fd;

    (void)snprintf(from, sizeof(from), "%s/%s", from_dir, name);
    fd = open(from, O_RDONLY);
    if (fd >= 0) {
        ssize_t count = read(fd, content, sizeof(content));

        ck_assert_int_ge(count, 0);
        (void)close(fd);
        file_write(name, content, (size_t)count);
    }
}

/* Go on in a copy of the directory, which libraft may spoil. */
static void fork_dir(void)
{
    static unsigned forks;
    struct logdir logdir;

    ck_assert_int_eq(logdir_open(path_of(""), &logdir), QH_OK);
    (void)snprintf(dir, sizeof(dir), "%s/fork-%u", base_dir, forks++);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    ck_assert_int_eq(mkdir(path_of(""), 0700), 0);
    copy_file(logdir.path, "metadata1");
    copy_file(logdir.path, "metadata2");
    for (size_t i = 0; i < logdir.segment_count; i++) {
        copy_file(logdir.path, logdir.segments[i].name);
    }
    logdir_close(&logdir);
}

static void unfork_dir(void)
{
    (void)snprintf(dir, sizeof(dir), "%s/node", base_dir);
}

/* That libraft fails is tried on a copy. */
static void expect_fatal_unmended(bool crash)
{
    fork_dir();
    expect_fatal(crash);
    unfork_dir();
}

START_TEST(a_segment_that_is_full_but_for_8_bytes_kills_libraft_and_is_mended)
{
    struct raftdir_result result;

    make_log(CRAMPED_ENTRIES); /* real writes, then death */
    expect_fatal_unmended(true);
    expect_mended(CRAMPED_ENTRIES + 1);
    run(false, 5, CRAMPED_ENTRIES, 0, &result); /* and it goes on */
    ck_assert_int_eq(result.wait_status, 0);
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
}
END_TEST

START_TEST(a_few_zeroes_are_no_segment_to_libraft_and_are_mended)
{
    static const uint8_t zeroes[8];

    make_log(3);
    for (size_t size = 1; size < 8; size++) {
        file_write("open-9", zeroes, size);
        expect_fatal_unmended(false);
        expect_mended(4);
        file_write("open-9", zeroes, size);
        ck_assert_int_eq(unlink(path_of("open-9")), 0);
    }
}
END_TEST

START_TEST(what_is_left_of_a_segment_that_had_entries_is_refused)
{
    make_log(3);
    for (off_t size = 1; size <= 16; size++) {
        ck_assert_int_eq(truncate(path_of("open-1"), size), 0);
        expect_refusal("open-1");
    }
}
END_TEST

/* Segments as libraft writes them */

struct draft {
    uint8_t base[300000];
    size_t size;
};

static void put_number(struct draft *draft, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        draft->base[draft->size++] = (uint8_t)(value >> (8 * i));
    }
}

static void put_format(struct draft *draft)
{
    draft->size = 0;
    put_number(draft, 1, 8);
}

/* A batch of one entry. */
static void put_entry(struct draft *draft, uint64_t term, unsigned type, const void *data,
                      size_t size)
{
    size_t at = draft->size;
    uint32_t crc;

    put_number(draft, 0, 4);
    put_number(draft, crc32_update(0, data, size), 4);
    put_number(draft, 1, 8);
    put_number(draft, term, 8);
    put_number(draft, type, 4);
    put_number(draft, size, 4);
    crc = crc32_update(0, draft->base + at + 8, 24);
    for (unsigned i = 0; i < 4; i++) {
        draft->base[at + i] = (uint8_t)(crc >> (8 * i));
    }
    memcpy(draft->base + draft->size, data, size);
    draft->size += size;
}

START_TEST(a_long_batch_that_went_past_the_file_is_mended_only_in_its_own_segment)
{
    static struct draft draft;
    static uint8_t data[200000];

    make_log(3);
    memset(data, 0x77, sizeof(data));
    put_format(&draft);
    put_entry(&draft, 1, RAFT_COMMAND, data, sizeof(data));
    file_write("open-2", draft.base, 131072);
    expect_fatal_unmended(false);
    expect_mended(4);
    put_format(&draft);
    put_entry(&draft, 1, RAFT_COMMAND, data, 1000);
    put_entry(&draft, 1, RAFT_COMMAND, data, sizeof(data));
    file_write("open-2", draft.base, 131072);
    expect_refusal("open-2");
    file_write("open-2", draft.base, 20);
    expect_refusal("open-2");
}
END_TEST

START_TEST(a_first_write_without_its_first_sector_is_mended)
{
    static uint8_t content[SEGMENT_SIZE];

    make_log(3);
    memset(content + 512, 0x55, 3000);
    file_write("open-2", content, sizeof(content));
    expect_fatal_unmended(false);
    expect_mended(4);
    content[100] = 1; /* not a missing sector */
    file_write("open-2", content, sizeof(content));
    expect_refusal("open-2");
}
END_TEST

/* The sectors that lie whole in the last batch of 10. */
START_TEST(a_torn_last_write_loses_itself_and_nothing_else)
{
    size_t start = 8 + 9 * BATCH_SIZE;
    size_t sector = (start + 511) / 512 * 512;

    make_log(10);
    ck_assert_uint_le(sector + 512, start + BATCH_SIZE);
    file_zero("open-1", sector, 512);
    expect_mended(10); /* the configuration and 9 */
}
END_TEST

START_TEST(a_torn_write_with_entries_behind_it_is_damage)
{
    size_t start = 8 + 8 * BATCH_SIZE;

    make_log(10);
    file_zero("open-1", (start + 511) / 512 * 512, 512);
    expect_refusal("open-1");
}
END_TEST

START_TEST(a_last_batch_of_which_no_sector_is_missing_is_damage)
{
    make_log(10);
    file_zero("open-1", 8 + 9 * BATCH_SIZE + 700, 64);
    expect_refusal("open-1");
}
END_TEST

START_TEST(open_segments_are_used_in_order)
{
    make_log(10);
    file_copy("open-1", "open-4", 0);
    expect_refusal("open-2"); /* empty, before one that is not */
    ck_assert_int_eq(unlink(path_of("open-2")), 0);
    if (exists("open-3")) {
        ck_assert_int_eq(unlink(path_of("open-3")), 0);
    }
    expect_refusal("open-4"); /* its predecessor is missing */
    file_copy("open-4", "open-2", 0);
    ck_assert_int_eq(unlink(path_of("open-4")), 0);
    file_zero("open-1", (8 + 9 * BATCH_SIZE + 511) / 512 * 512, 512);
    expect_refusal("open-1"); /* torn, and a later one has entries */
}
END_TEST

/* Twins: after CRAMPED_ENTRIES and some the first file is closed, 2 to 64, one batch an entry, so
 * that a part of it up to the end of a batch is what libraft writes when it cuts the log. */
#define LONG_NAME "0000000000000002-0000000000000063"
#define SHORT_NAME "0000000000000002-0000000000000031"

static void make_twins(void)
{
    struct raftdir_result result;

    make_log(62);
    run(false, 0, 0, 0, &result);
    ck_assert_int_eq(result.wait_status, 0);
    ck_assert(exists(LONG_NAME));
    file_copy(LONG_NAME, SHORT_NAME, 8 + 30 * BATCH_SIZE);
}

START_TEST(a_cut_that_was_not_finished_stops_libraft_and_is_taken_back)
{
    make_twins();
    expect_fatal_unmended(false);
    expect_mended(63);
    ck_assert(!exists(SHORT_NAME));
    ck_assert(exists(LONG_NAME));
}
END_TEST

START_TEST(twins_that_differ_are_refused_and_both_stay)
{
    static struct draft draft;
    static const uint8_t data[1008] = {9};

    make_twins();
    put_format(&draft);
    for (unsigned i = 0; i < 30; i++) {
        put_entry(&draft, 1, RAFT_COMMAND, data, sizeof(data));
    }
    file_write(SHORT_NAME, draft.base, draft.size);
    expect_refusal(SHORT_NAME);
    ck_assert(exists(SHORT_NAME));
    ck_assert(exists(LONG_NAME));
}
END_TEST

START_TEST(a_directory_that_is_refused_stays_as_it_was)
{
    static const uint8_t garbage[SEGMENT_SIZE] = {7};

    make_twins();
    file_write("open-9", garbage, sizeof(garbage));
    expect_refusal("open-9");
    ck_assert(exists(SHORT_NAME));
    ck_assert_int_eq(unlink(path_of("open-9")), 0);
    expect_mended(63);
}
END_TEST

START_TEST(an_overlap_is_refused)
{
    make_twins();
    ck_assert_int_eq(unlink(path_of(SHORT_NAME)), 0);
    file_copy(LONG_NAME, "0000000000000060-0000000000000121", 0);
    expect_refusal("0000000000000060-0000000000000121");
}
END_TEST

/* What a leader's snapshot leaves if the node dies before its old log is gone: a snapshot of 180
 * and entries to 21, and the empty segments that libraft had prepared. */
static void make_stale(void)
{
    char moved[300];
    struct raftdir_result result;

    run(true, 200, 0, 180, &result);
    ck_assert_int_eq(result.wait_status, 0);
    (void)snprintf(moved, sizeof(moved), "%s/donor", base_dir);
    ck_assert_int_eq(rename(dir, moved), 0);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    make_log(20);
    run(false, 0, 0, 0, &result); /* closes its segment */
    ck_assert_int_eq(result.wait_status, 0);
}

static void take_snapshot(void)
{
    struct logdir donor;
    char path[300];

    (void)snprintf(path, sizeof(path), "%s/donor/raft", base_dir);
    ck_assert_int_eq(logdir_open(path, &donor), QH_OK);
    ck_assert_uint_gt(donor.snapshot_count, 0);
    for (unsigned i = 0; i < 2; i++) {
        char name[100];
        char from[500];

        (void)snprintf(name, sizeof(name), "%s%s", donor.snapshots[0].name, i == 0 ? "" : ".meta");
        (void)snprintf(from, sizeof(from), "%s/%s", path, name);
        ck_assert_int_eq(link(from, path_of(name)), 0);
    }
    logdir_close(&donor);
}

static uint64_t snapshot_index(void)
{
    struct datadir_summary summary;

    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    return summary.snapshot_index;
}

START_TEST(a_log_behind_an_installed_snapshot_is_cleared_away)
{
    static const uint8_t zeroes[SEGMENT_SIZE];
    struct raftdir_result result;

    make_stale();
    take_snapshot();
    file_write("open-9", zeroes, sizeof(zeroes));
    ck_assert_uint_ge(snapshot_index(), 180);
    expect_mended(snapshot_index());
    ck_assert(!exists("0000000000000001-0000000000000001"));
    run(false, 10, 500, 0, &result);
    ck_assert_int_eq(result.wait_status, 0);
    expect_mended(snapshot_index() + 10);
}
END_TEST

/* Why: the first start fails, the second one goes, what it appends is lost at the third. */
START_TEST(libraft_would_lose_what_it_appends_over_such_a_log)
{
    static const uint8_t zeroes[SEGMENT_SIZE];
    struct raftdir_result result;

    make_stale();
    take_snapshot();
    file_write("open-9", zeroes, sizeof(zeroes));
    expect_fatal(false);
    run(false, 10, 500, 0, &result);
    ck_assert_int_eq(result.wait_status, 0); /* ten acknowledged writes */
    expect_refusal("-0000000000000021");
    expect_fatal(false);
}
END_TEST

/* Terms */

static void write_metadata(unsigned version, uint64_t term, uint64_t vote)
{
    struct draft draft;

    draft.size = 0;
    put_number(&draft, 1, 8);
    put_number(&draft, version, 8);
    put_number(&draft, term, 8);
    put_number(&draft, vote, 8);
    file_write(version % 2 == 1 ? "metadata1" : "metadata2", draft.base, draft.size);
}

/* Entries 2 and 3 of given terms and types behind the configuration of the bootstrap. */
static void make_terms(uint64_t first_term, uint64_t second_term, unsigned second_type)
{
    static struct draft draft;
    struct raft_configuration configuration;
    struct raft_buffer encoded;
    uint8_t data[16] = {1};

    raft_configuration_init(&configuration);
    ck_assert_int_eq(raft_configuration_add(&configuration, 1, "alpha", RAFT_VOTER), 0);
    ck_assert_int_eq(raft_configuration_encode(&configuration, &encoded), 0);
    put_format(&draft);
    put_entry(&draft, first_term, RAFT_COMMAND, data, sizeof(data));
    if (second_type == RAFT_CHANGE) {
        put_entry(&draft, second_term, second_type, encoded.base, encoded.len);
    } else {
        put_entry(&draft, second_term, second_type, data, sizeof(data));
    }
    file_write("0000000000000002-0000000000000003", draft.base, draft.size);
    raft_free(encoded.base);
    raft_configuration_close(&configuration);
}

START_TEST(terms_rise_but_for_the_entry_that_recover_writes)
{
    const char *name = "0000000000000002-0000000000000003";

    make_log(0);
    write_metadata(2, 5, 0);
    make_terms(4, 5, RAFT_COMMAND);
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
    make_terms(5, 4, RAFT_COMMAND);
    expect_refusal(name);
    make_terms(5, 1, RAFT_CHANGE);
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
    make_terms(5, 1, RAFT_COMMAND);
    expect_refusal(name);
    make_terms(5, 4, RAFT_CHANGE);
    expect_refusal(name);
}
END_TEST

START_TEST(a_term_below_that_of_the_log_is_refused)
{
    make_log(0);
    write_metadata(2, 5, 0);
    make_terms(5, 5, RAFT_COMMAND);
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
    make_terms(5, 6, RAFT_COMMAND);
    expect_refusal("metadata2");
}
END_TEST

START_TEST(an_entry_that_libraft_never_writes_is_refused)
{
    static struct draft draft;
    uint8_t data[16] = {1};

    make_log(0);
    for (unsigned type = 0; type <= 4; type += 4) {
        put_format(&draft);
        put_entry(&draft, 1, type, data, sizeof(data));
        file_write("0000000000000002-0000000000000002", draft.base, draft.size);
        expect_refusal("0000000000000002-0000000000000002");
    }
    put_format(&draft);
    put_entry(&draft, 1, RAFT_COMMAND, data, 12); /* libraft cannot read this back */
    file_write("0000000000000002-0000000000000002", draft.base, draft.size);
    expect_refusal("0000000000000002-0000000000000002");
    put_format(&draft);
    put_entry(&draft, 1, RAFT_CHANGE, data, sizeof(data)); /* no configuration */
    file_write("0000000000000002-0000000000000002", draft.base, draft.size);
    expect_refusal("0000000000000002-0000000000000002");
    put_format(&draft);
    put_entry(&draft, 1, RAFT_COMMAND, data, sizeof(data));
    file_write("0000000000000002-0000000000000003", draft.base, draft.size); /* one too few */
    ck_assert_int_eq(unlink(path_of("0000000000000002-0000000000000002")), 0);
    expect_refusal("0000000000000002-0000000000000003");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logdir");
    TCase *tcase = tcase_create("logdir");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_segment_that_is_full_but_for_8_bytes_kills_libraft_and_is_mended);
    tcase_add_test(tcase, a_few_zeroes_are_no_segment_to_libraft_and_are_mended);
    tcase_add_test(tcase, what_is_left_of_a_segment_that_had_entries_is_refused);
    tcase_add_test(tcase, a_long_batch_that_went_past_the_file_is_mended_only_in_its_own_segment);
    tcase_add_test(tcase, a_first_write_without_its_first_sector_is_mended);
    tcase_add_test(tcase, a_torn_last_write_loses_itself_and_nothing_else);
    tcase_add_test(tcase, a_torn_write_with_entries_behind_it_is_damage);
    tcase_add_test(tcase, a_last_batch_of_which_no_sector_is_missing_is_damage);
    tcase_add_test(tcase, open_segments_are_used_in_order);
    tcase_add_test(tcase, a_cut_that_was_not_finished_stops_libraft_and_is_taken_back);
    tcase_add_test(tcase, twins_that_differ_are_refused_and_both_stay);
    tcase_add_test(tcase, a_directory_that_is_refused_stays_as_it_was);
    tcase_add_test(tcase, an_overlap_is_refused);
    tcase_add_test(tcase, a_log_behind_an_installed_snapshot_is_cleared_away);
    tcase_add_test(tcase, libraft_would_lose_what_it_appends_over_such_a_log);
    tcase_add_test(tcase, terms_rise_but_for_the_entry_that_recover_writes);
    tcase_add_test(tcase, a_term_below_that_of_the_log_is_refused);
    tcase_add_test(tcase, an_entry_that_libraft_never_writes_is_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
