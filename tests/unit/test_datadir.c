/* The data directory: what libraft wrote is read as libraft reads it, and what somebody damaged
 * is refused. The directories are written by the real library. */
#include "raft-glue/datadir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/link.h"
#include "tests/lib/raftdir.h"
#include "tests/lib/test.h"

#define ENTRIES 200u
#define VALUE_SIZE 600u

static char base_dir[128];
static char dir[200];
static struct raftdir_result written; /* of the run that made dir */
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
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    log_set_sink(on_log, NULL);
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

static void rename_file(const char *from, const char *to)
{
    char from_path[600];

    (void)snprintf(from_path, sizeof(from_path), "%s", path_of(from));
    ck_assert_int_eq(rename(from_path, path_of(to)), 0);
}

static void file_write(const char *name, const uint8_t *content, size_t size)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT, 0600);

    ck_assert_int_eq(write(fd, content, size), (ssize_t)size);
    ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
    (void)close(fd);
}

static void write_metadata(unsigned version, uint64_t term, uint64_t vote)
{
    struct bytes_writer writer;
    uint8_t content[32];

    bytes_writer_init(&writer, content, sizeof(content));
    bytes_write_u64(&writer, 1);
    bytes_write_u64(&writer, version);
    bytes_write_u64(&writer, term);
    bytes_write_u64(&writer, vote);
    file_write(version % 2 == 1 ? "metadata1" : "metadata2", content, sizeof(content));
}

/* A directory with a bootstrapped log of ENTRIES entries, in closed segments and an open one. */
static void make_log(void)
{
    struct raftdir_plan plan = {.bootstrap = true, .entries = ENTRIES, .value_size = VALUE_SIZE};

    raftdir_run(dir, &plan, &written);
    ck_assert_int_eq(written.wait_status, 0);
    /* A lone voter never votes; this is what an election with others leaves. */
    write_metadata(2, 2, 0);
    write_metadata(3, 2, 1);
}

/* The same with snapshots and a short log behind them. */
static void make_snapshots(void)
{
    struct raftdir_plan plan = {.bootstrap = true,
                                .entries = ENTRIES,
                                .value_size = VALUE_SIZE,
                                .threshold = 80,
                                .trailing = 40};

    raftdir_run(dir, &plan, &written);
    ck_assert_int_eq(written.wait_status, 0);
}

/* What libraft makes of the directory, without writing to it but what it writes at a start. */
static void run_libraft(struct raftdir_result *ret_result)
{
    struct raftdir_plan plan = {0};

    raftdir_run(dir, &plan, ret_result);
}

/* The name of the first file, in the order of names, that begins with @prefix and ends with
 * @suffix; with @last the last one. */
static const char *find_file(const char *prefix, const char *suffix, bool last)
{
    static char found[300];
    DIR *stream = opendir(path_of(""));
    struct dirent *entry;

    ck_assert_ptr_nonnull(stream);
    found[0] = 0;
    while ((entry = readdir(stream)) != NULL) {
        size_t length = strlen(entry->d_name);
        size_t suffix_length = strlen(suffix);

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || length < suffix_length ||
            strcmp(entry->d_name + length - suffix_length, suffix) != 0) {
            continue;
        }
        if (found[0] == 0 || (strcmp(entry->d_name, found) > 0) == last) {
            (void)snprintf(found, sizeof(found), "%s", entry->d_name);
        }
    }
    (void)closedir(stream);
    ck_assert_msg(found[0] != 0, "no file %s*%s", prefix, suffix);
    return found;
}

/* The name of the metadata of the snapshot that counts. */
static const char *find_snapshot(void)
{
    struct datadir_summary summary;
    char prefix[60];

    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    (void)snprintf(prefix, sizeof(prefix), "snapshot-%llu-%llu-",
                   (unsigned long long)summary.snapshot_term,
                   (unsigned long long)summary.snapshot_index);
    return find_file(prefix, ".meta", false);
}

static size_t file_size(const char *name)
{
    struct stat info;

    ck_assert_int_eq(stat(path_of(name), &info), 0);
    return (size_t)info.st_size;
}

static uint8_t *file_read(const char *name, size_t *ret_size)
{
    size_t size = file_size(name);
    uint8_t *content = malloc(size + 1);
    int fd = open(path_of(name), O_RDONLY);

    ck_assert_ptr_nonnull(content);
    ck_assert_int_eq(read(fd, content, size), (ssize_t)size);
    (void)close(fd);
    *ret_size = size;
    return content;
}

static void file_flip(const char *name, size_t bit)
{
    int fd = open(path_of(name), O_RDWR);
    uint8_t byte;

    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(bit / 8)), 1);
    byte ^= (uint8_t)(1u << (bit % 8));
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
    (void)close(fd);
}

/* The end of what was written to an open segment: behind its last byte that is not zero. */
static size_t data_end(const char *name)
{
    size_t size;
    uint8_t *content = file_read(name, &size);

    while (size > 0 && content[size - 1] == 0) {
        size--;
    }
    free(content);
    return (size + 7) / 8 * 8;
}

/* What check says must be one line that names the file and what to do. */
static void expect_refusal(enum qh_err expected, const char *name)
{
    error_count = 0;
    ck_assert_int_eq(datadir_check(dir, true), expected);
    ck_assert_uint_eq(error_count, 1);
    ck_assert_msg(strstr(last_error, name) != NULL, "%s does not name %s", last_error, name);
    ck_assert_ptr_nonnull(strchr(last_error, ';'));
}

static void expect_accepted(void)
{
    error_count = 0;
    last_error[0] = 0;
    ck_assert_msg(datadir_check(dir, true) == QH_OK, "%s", last_error);
    ck_assert_uint_eq(error_count, 0);
}

/* What was read offline is what libraft loads. */
static void expect_same_as_libraft(void)
{
    uint8_t hash[RAFTDIR_HASH_SIZE];
    struct raftdir_result loaded;
    uint64_t last;

    run_libraft(&loaded);
    ck_assert_int_eq(loaded.wait_status, 0);
    ck_assert(raftdir_hash(dir, loaded.log_first, hash, &last));
    ck_assert_uint_eq(last, loaded.last_index);
    ck_assert_mem_eq(hash, loaded.log_hash, sizeof(hash));
}

/* The log as it is, to compare with what is left of it after damage. */
struct memory {
    uint64_t first;
    uint64_t last;
    uint8_t hash[RAFTDIR_HASH_SIZE];
};

static void remember(struct memory *memory)
{
    struct datadir_summary summary;

    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    memory->first = summary.first_index;
    ck_assert(raftdir_hash(dir, memory->first, memory->hash, &memory->last));
}

/* After damage: refused, or the very same log. Returns whether it was refused. */
static bool refused_or_same(const struct memory *memory)
{
    uint8_t hash[RAFTDIR_HASH_SIZE];
    uint64_t last;

    if (!raftdir_hash(dir, memory->first, hash, &last)) {
        return true;
    }
    ck_assert_uint_eq(last, memory->last);
    ck_assert_mem_eq(hash, memory->hash, sizeof(hash));
    return false;
}

/* Healthy directories */

START_TEST(a_log_is_read_as_libraft_reads_it)
{
    struct datadir_summary summary;

    make_log();
    expect_accepted();
    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    ck_assert_uint_eq(summary.first_index, 1);
    ck_assert_uint_eq(summary.last_index, ENTRIES + 1);
    ck_assert_uint_eq(summary.configuration_index, 1);
    ck_assert_uint_eq(summary.snapshot_index, 0);
    ck_assert_uint_ge(summary.term, summary.last_term);
    expect_same_as_libraft(); /* which closes the open segment */
    expect_accepted();
    expect_same_as_libraft();
}
END_TEST

START_TEST(a_log_with_snapshots_is_read_as_libraft_reads_it)
{
    struct datadir_summary summary;

    make_snapshots();
    expect_accepted();
    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    ck_assert_uint_gt(summary.snapshot_index, ENTRIES / 2);
    ck_assert_uint_gt(summary.first_index, 1);
    ck_assert_uint_le(summary.first_index, summary.snapshot_index + 1);
    ck_assert_uint_eq(summary.last_index, ENTRIES + 1);
    ck_assert_uint_eq(summary.configuration_index, 1);
    expect_same_as_libraft();
    expect_accepted();
}
END_TEST

START_TEST(the_store_is_built_as_of_any_index)
{
    uint8_t digest[STORE_DIGEST_SIZE];
    uint8_t key[RAFTDIR_KEY_SIZE];
    struct datadir_summary summary;
    struct store_record record;
    struct store *store;
    uint64_t index;

    make_snapshots();
    ck_assert_int_eq(datadir_load_store(dir, UINT64_MAX, &store, &index), QH_OK);
    ck_assert_uint_eq(index, ENTRIES + 1);
    ck_assert_int_eq(store_digest(store, digest), QH_OK);
    ck_assert_mem_eq(digest, written.digest, sizeof(digest));
    store_free(store);

    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    ck_assert_int_eq(datadir_load_store(dir, ENTRIES - 2, &store, &index), QH_OK);
    ck_assert_uint_eq(index, ENTRIES - 2);
    raftdir_key(ENTRIES - 4, key); /* entry i + 2 has record i */
    ck_assert(store_get(store, (struct bytes){key, sizeof(key)}, &record));
    raftdir_key(ENTRIES - 3, key);
    ck_assert(!store_get(store, (struct bytes){key, sizeof(key)}, &record));
    store_free(store);
    ck_assert_int_eq(datadir_load_store(dir, summary.snapshot_index, &store, &index), QH_OK);
    ck_assert_uint_eq(index, summary.snapshot_index);
    store_free(store);
    ck_assert_int_eq(datadir_load_store(dir, summary.snapshot_index - 1, &store, &index),
                     QH_ENOTFOUND);
}
END_TEST

START_TEST(what_libraft_leaves_when_it_dies_is_accepted)
{
    static const uint8_t zeroes[4096];

    make_snapshots();
    file_write("tmp-snapshot-1-9-9", zeroes, 10);
    file_write(".probe", zeroes, 4096);
    file_write("open-77", zeroes, 0);
    file_write("open-78", zeroes, 4096);
    file_write("snapshot-1-1-1", zeroes, 10);     /* its metadata was removed first */
    file_write("snapshot-9-9-9.meta", zeroes, 1); /* its data was to be written next */
    ck_assert_int_eq(mkdir(path_of("lost+found"), 0700), 0);
    expect_accepted();
    expect_same_as_libraft();
}
END_TEST

START_TEST(a_fresh_directory_is_no_members)
{
    make_log();
    test_remove_dir(path_of(""));
    error_count = 0;
    ck_assert_int_eq(datadir_check(dir, true), QH_EROLLEDBACK);
    ck_assert_int_eq(datadir_check(dir, false), QH_EIO);
    ck_assert_int_eq(mkdir(path_of(""), 0700), 0);
    ck_assert_int_eq(datadir_check(dir, true), QH_EROLLEDBACK);
    ck_assert_uint_eq(error_count, 3);
    ck_assert_int_eq(datadir_check(dir, false), QH_OK);
}
END_TEST

/* Cut files */

START_TEST(a_closed_segment_cut_anywhere_is_refused)
{
    uint8_t *content;
    char name[300];
    size_t size;

    make_log();
    (void)snprintf(name, sizeof(name), "%s", find_file("0000", "", true));
    content = file_read(name, &size);
    for (size_t cut = 0; cut < size; cut += cut < 700 || cut + 700 > size ? 1 : 211) {
        ck_assert_int_eq(truncate(path_of(name), (off_t)cut), 0);
        expect_refusal(QH_ECORRUPT, name);
        file_write(name, content, size);
    }
    ck_assert_int_eq(truncate(path_of(name), (off_t)size + 8), 0);
    expect_refusal(QH_ECORRUPT, name);
    file_write(name, content, size);
    expect_accepted();
    free(content);
}
END_TEST

START_TEST(a_snapshot_cut_anywhere_is_refused)
{
    static const char *const suffixes[2] = {"", ".meta"};

    make_snapshots();
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *content;
        char name[320];
        size_t size;

        (void)snprintf(name, sizeof(name), "%s", find_snapshot());
        name[strlen(name) - (i == 0 ? 5 : 0)] = 0;
        ck_assert(strstr(name, suffixes[i]) != NULL);
        content = file_read(name, &size);
        for (size_t cut = 0; cut < size; cut += cut < 100 || cut + 100 > size ? 1 : 997) {
            ck_assert_int_eq(truncate(path_of(name), (off_t)cut), 0);
            expect_refusal(QH_ECORRUPT, name);
            file_write(name, content, size);
        }
        expect_accepted();
        free(content);
    }
}
END_TEST

/* An open segment is preallocated, so a crash never cuts it. Cut inside a batch it is refused;
 * behind the last one nothing is lost; exactly between two, as libraft itself does
 * before it renames a full one, nobody can tell. */
START_TEST(an_open_segment_cut_inside_a_batch_is_refused)
{
    unsigned between = 0;
    struct memory memory;
    uint8_t *content;
    char name[300];
    size_t end;
    size_t size;

    make_log();
    remember(&memory);
    (void)snprintf(name, sizeof(name), "%s", find_file("open-", "", false));
    end = data_end(name);
    content = file_read(name, &size);
    ck_assert_uint_gt(size, end);
    for (size_t cut = 1; cut < size; cut += cut < end + 50 ? 1 : 509) {
        enum qh_err err;

        ck_assert_int_eq(truncate(path_of(name), (off_t)cut), 0);
        err = datadir_check(dir, true);
        if (cut >= end) {
            ck_assert_int_eq(err, QH_OK);
            ck_assert(!refused_or_same(&memory));
        } else if (err == QH_OK) {
            uint8_t hash[RAFTDIR_HASH_SIZE];
            uint64_t last;

            ck_assert(raftdir_hash(dir, memory.first, hash, &last));
            ck_assert_uint_lt(last, memory.last);
            between++;
        } else {
            ck_assert_int_eq(err, QH_ECORRUPT);
        }
        file_write(name, content, size);
    }
    /* Each entry is a batch; of all these places only their ends pass. */
    ck_assert_uint_gt(between, 0);
    ck_assert_uint_lt(between, ENTRIES);
    free(content);
}
END_TEST

/* Flipped bits */

/* Flip bits of @name in steps, and see that nothing changes the log unseen. Returns how many flips
 * were refused, and the number of flips. */
static unsigned flip_bits(const char *name, size_t from, size_t to, size_t step,
                          unsigned *ret_flips)
{
    struct memory memory;
    unsigned refused = 0;
    unsigned flips = 0;

    remember(&memory);
    for (size_t bit = from * 8; bit < to * 8; bit += step) {
        file_flip(name, bit);
        refused += refused_or_same(&memory) ? 1 : 0;
        flips++;
        file_flip(name, bit);
    }
    *ret_flips = flips;
    return refused;
}

static void expect_all_refused(const char *name, size_t from, size_t to, size_t step)
{
    unsigned flips;
    unsigned refused = flip_bits(name, from, to, step, &flips);

    ck_assert_uint_gt(flips, 0);
    ck_assert_msg(refused == flips, "%s: %u of %u flips refused", name, refused, flips);
}

START_TEST(every_flipped_bit_of_a_closed_segment_is_refused)
{
    char name[300];

    make_log();
    (void)snprintf(name, sizeof(name), "%s", find_file("0000", "", true));
    expect_all_refused(name, 0, 120, 1);
    expect_all_refused(name, 0, file_size(name), 433);
}
END_TEST

START_TEST(every_flipped_bit_of_the_snapshot_is_refused)
{
    char name[300];

    make_snapshots();
    (void)snprintf(name, sizeof(name), "%s", find_snapshot());
    expect_all_refused(name, 0, file_size(name) - 8, 1); /* the rest is padding, but summed */
    expect_all_refused(name, file_size(name) - 8, file_size(name), 1);
    name[strlen(name) - 5] = 0;
    expect_all_refused(name, 0, 40, 1);
    expect_all_refused(name, 0, file_size(name), 3001);
}
END_TEST

/* In the part that was written, the last batch too: no sector of it is missing, so it was whole
 * once. Behind it a flip is refused, or nothing of the log is lost by it. */
START_TEST(every_flipped_bit_of_the_open_segment_is_refused_or_loses_nothing)
{
    unsigned refused;
    unsigned flips;
    char name[300];
    size_t end;

    make_log();
    (void)snprintf(name, sizeof(name), "%s", find_file("open-", "", false));
    end = data_end(name);
    expect_all_refused(name, 0, 120, 1);
    expect_all_refused(name, end - 700, end, 1);
    expect_all_refused(name, 0, end, 331);
    refused = flip_bits(name, end, end + 32, 1, &flips);
    ck_assert_uint_gt(refused, 0);
    refused = flip_bits(name, end, file_size(name), 1201, &flips);
    ck_assert_uint_lt(refused, flips);
}
END_TEST

START_TEST(a_flip_before_whole_entries_is_refused_though_libraft_would_drop_them)
{
    struct raftdir_result loaded;
    char name[300];
    size_t end;

    make_log();
    (void)snprintf(name, sizeof(name), "%s", find_file("open-", "", false));
    end = data_end(name);
    file_flip(name, end / 2 * 8);
    expect_refusal(QH_ECORRUPT, name);
    run_libraft(&loaded);
    ck_assert_int_eq(loaded.wait_status, 0); /* it starts, silently */
    ck_assert_uint_lt(loaded.last_index, ENTRIES + 1);
}
END_TEST

/* A voting node that goes back in term or vote is dangerous; metadata.h says which flips pass. */
START_TEST(flipped_bits_of_the_metadata_are_refused_or_harmless)
{
    struct datadir_summary before;
    unsigned refused = 0;

    make_log();
    ck_assert_int_eq(datadir_summarize(dir, &before), QH_OK);
    for (unsigned file = 1; file <= 2; file++) {
        const char *name = file == 1 ? "metadata1" : "metadata2";

        for (size_t bit = 0; bit < file_size(name) * 8; bit++) {
            struct datadir_summary after;
            size_t field = bit / 64; /* format, version, term, vote */

            file_flip(name, bit);
            if (datadir_summarize(dir, &after) != QH_OK) {
                refused++;
            } else {
                ck_assert_uint_ge(field, 2);
                ck_assert_uint_ge(after.term, before.term);
                ck_assert(after.term > before.term || after.voted_for == before.voted_for ||
                          after.voted_for != 0 || before.voted_for == 0);
            }
            file_flip(name, bit);
        }
    }
    ck_assert_uint_gt(refused, 2 * 128 - 1);
}
END_TEST

/* Missing, strange and unreadable files */

START_TEST(a_missing_file_is_refused)
{
    static const char *const prefixes[] = {"00000000000000", "metadata1", "metadata2"};

    make_log();
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *content;
        char name[300];
        size_t size;

        (void)snprintf(name, sizeof(name), "%s", find_file(prefixes[i], "", false));
        content = file_read(name, &size);
        ck_assert_int_eq(unlink(path_of(name)), 0);
        error_count = 0;
        ck_assert_int_eq(datadir_check(dir, true), QH_ECORRUPT);
        ck_assert_uint_eq(error_count, 1);
        file_write(name, content, size);
        free(content);
    }
    expect_accepted();
}
END_TEST

START_TEST(a_gap_between_segments_is_refused)
{
    char first[300];
    char name[300];

    make_log();
    run_libraft(&written); /* closes the open segment: three or more closed ones */
    (void)snprintf(first, sizeof(first), "%s", find_file("0000", "", false));
    rename_file(first, "tmp-kept");
    (void)snprintf(name, sizeof(name), "%s", find_file("0000", "", false));
    expect_refusal(QH_ECORRUPT, name);
    rename_file("tmp-kept", first);
    rename_file(name, "tmp-kept");
    error_count = 0;
    ck_assert_int_eq(datadir_check(dir, true), QH_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(last_error, "missing"));
    rename_file("tmp-kept", name);
    expect_accepted();
}
END_TEST

START_TEST(segments_that_do_not_reach_the_snapshot_are_refused)
{
    char name[300];

    make_snapshots();
    run_libraft(&written);
    for (;;) { /* the newest snapshot and its older twin go: the log begins after 1 */
        struct dirent *entry;
        DIR *stream = opendir(path_of(""));
        bool found = false;

        while ((entry = readdir(stream)) != NULL) {
            if (strncmp(entry->d_name, "snapshot-", 9) == 0) {
                (void)unlink(path_of(entry->d_name));
                found = true;
            }
        }
        (void)closedir(stream);
        if (!found) {
            break;
        }
    }
    (void)snprintf(name, sizeof(name), "%s", find_file("0000", "", false));
    expect_refusal(QH_ECORRUPT, name);
}
END_TEST

START_TEST(what_libraft_set_aside_or_nobody_knows_is_refused)
{
    static const char *const names[] = {"corrupt-1700000000-0000000000000001-0000000000000002",
                                        "notes.txt",
                                        "open-01",
                                        "open-0",
                                        "open-x",
                                        "1-5",
                                        "0000000000000001-0000000000000005x",
                                        "0000000000000000-0000000000000005",
                                        "0000000000000005-0000000000000004",
                                        "snapshot-1-2",
                                        "snapshot-1-2-3.meta.old",
                                        "snapshot-01-2-3",
                                        "metadata3"};

    make_log();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        file_write(names[i], (const uint8_t *)"", 0);
        expect_refusal(QH_ECORRUPT, names[i]);
        ck_assert_int_eq(unlink(path_of(names[i])), 0);
    }
    expect_accepted();
}
END_TEST

START_TEST(a_file_that_is_none_is_refused)
{
    char name[300];

    make_log();
    (void)snprintf(name, sizeof(name), "%s", find_file("open-", "", false));
    ck_assert_int_eq(unlink(path_of(name)), 0);
    ck_assert_int_eq(mkfifo(path_of(name), 0600), 0);
    expect_refusal(QH_ECORRUPT, name);
}
END_TEST

static void add_first_half(TCase *tcase)
{
    tcase_add_test(tcase, a_log_is_read_as_libraft_reads_it);
    tcase_add_test(tcase, a_log_with_snapshots_is_read_as_libraft_reads_it);
    tcase_add_test(tcase, the_store_is_built_as_of_any_index);
    tcase_add_test(tcase, what_libraft_leaves_when_it_dies_is_accepted);
    tcase_add_test(tcase, a_fresh_directory_is_no_members);
    tcase_add_test(tcase, a_closed_segment_cut_anywhere_is_refused);
    tcase_add_test(tcase, a_snapshot_cut_anywhere_is_refused);
    tcase_add_test(tcase, an_open_segment_cut_inside_a_batch_is_refused);
    tcase_add_test(tcase, every_flipped_bit_of_a_closed_segment_is_refused);
    tcase_add_test(tcase, every_flipped_bit_of_the_snapshot_is_refused);
    tcase_add_test(tcase, every_flipped_bit_of_the_open_segment_is_refused_or_loses_nothing);
}

static void add_second_half(TCase *tcase)
{
    tcase_add_test(tcase, a_flip_before_whole_entries_is_refused_though_libraft_would_drop_them);
    tcase_add_test(tcase, flipped_bits_of_the_metadata_are_refused_or_harmless);
    tcase_add_test(tcase, a_missing_file_is_refused);
    tcase_add_test(tcase, a_gap_between_segments_is_refused);
    tcase_add_test(tcase, segments_that_do_not_reach_the_snapshot_are_refused);
    tcase_add_test(tcase, what_libraft_set_aside_or_nobody_knows_is_refused);
    tcase_add_test(tcase, a_file_that_is_none_is_refused);
}

int main(void)
{
    Suite *suite = suite_create("datadir");
    TCase *tcase = tcase_create("datadir");

    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    add_first_half(tcase);
    add_second_half(tcase);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
