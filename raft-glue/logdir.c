/* The rules of which files of a Raft directory belong together, and what is mended. */
#include "raft-glue/logdir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/closednote.h"
#include "raft-glue/diskio.h"
#include "raft-glue/snapmeta.h"
#include "store/store.h"

#define MEND_UNIT                                                                  \
    4096u /* bytes; any block size of a file system divides it or is divided by it \
           */

/* A check under way. What is to be removed waits here until everything else was found right, so
 * that a directory that is refused stays as it was. */
struct check {
    struct logdir *logdir;
    char (*doomed)[LOGDIR_NAME_SIZE];
    size_t doomed_count;
    uint64_t max_term; /* of the entries so far */
};

static enum qh_err refuse(const struct check *check, const char *name, const char *problem)
{
    return logdir_refuse(check->logdir, QH_ECORRUPT, name, problem, LOGDIR_REJOIN);
}

/* Metadata */

static QH_RESULT check_metadata(struct check *check)
{
    static const char *const names[2] = {"metadata1", "metadata2"};
    struct metadata_file files[2] = {{0}, {0}};
    uint8_t *bases[2] = {NULL, NULL};
    enum qh_err err = QH_OK;
    const char *problem;
    unsigned number = 1;

    for (unsigned i = 0; i < 2 && err == QH_OK; i++) {
        if (check->logdir->has_metadata[i]) {
            size_t size = 0;

            err = logdir_read(check->logdir, names[i], &bases[i], &size);
            files[i] = (struct metadata_file){true, {bases[i], size}};
        }
    }
    if (err == QH_OK) {
        problem = metadata_choose(files, &check->logdir->metadata, &number);
        err = problem == NULL ? QH_OK : refuse(check, names[number - 1], problem);
    }
    free(bases[0]);
    free(bases[1]);
    return err;
}

/* The snapshot */

static QH_RESULT check_snapshot_meta(struct check *check, const struct logdir_snapshot *snapshot)
{
    char name[LOGDIR_NAME_SIZE + 5];
    const char *problem;
    uint64_t index = 0;
    uint8_t *base;
    enum qh_err err;
    size_t size;

    (void)snprintf(name, sizeof(name), "%s.meta", snapshot->name);
    err = logdir_read(check->logdir, name, &base, &size);
    if (err != QH_OK) {
        return err;
    }
    problem = snapmeta_check((struct bytes){base, size}, &index);
    free(base);
    if (problem == NULL && index > snapshot->index) {
        problem = "its configuration is newer than the snapshot";
    }
    if (problem != NULL) {
        return refuse(check, name, problem);
    }
    check->logdir->configuration_index = index;
    return QH_OK;
}

static QH_RESULT check_snapshot_data(struct check *check, const struct logdir_snapshot *snapshot)
{
    uint8_t *base;
    enum qh_err err;
    size_t size;

    err = logdir_read(check->logdir, snapshot->name, &base, &size);
    if (err != QH_OK) {
        return err;
    }
    err = store_snapshot_verify((struct bytes){base, size}); /* the start decodes it */
    free(base);
    if (err == QH_OK) {
        return QH_OK;
    }
    if (err == QH_EVERSION) {
        return logdir_refuse(check->logdir, err, snapshot->name,
                             "the snapshot is of another version", "run the version that wrote it");
    }
    return refuse(check, snapshot->name, "the snapshot is damaged");
}

/* libraft takes the newest one of which both files are there, and clears away halves: it died
 * while it made or removed them. */
static QH_RESULT check_snapshot(struct check *check)
{
    struct logdir *logdir = check->logdir;
    enum qh_err err;

    for (size_t i = 0; i < logdir->snapshot_count; i++) {
        if (logdir->snapshots[i].has_data && logdir->snapshots[i].has_meta) {
            logdir->snapshot = &logdir->snapshots[i];
        }
    }
    if (logdir->snapshot == NULL) {
        return QH_OK;
    }
    check->max_term = logdir->snapshot->term;
    err = check_snapshot_meta(check, logdir->snapshot);
    return err == QH_OK ? check_snapshot_data(check, logdir->snapshot) : err;
}

static uint64_t snapshot_index(const struct check *check)
{
    return check->logdir->snapshot != NULL ? check->logdir->snapshot->index : 0;
}

/* Closed segments, by their names */

static QH_RESULT doom(struct check *check, size_t index)
{
    struct logdir *logdir = check->logdir;
    char(*grown)[LOGDIR_NAME_SIZE] =
        realloc(check->doomed, (check->doomed_count + 1) * sizeof(*check->doomed));

    if (grown == NULL) {
        return QH_ENOMEM;
    }
    check->doomed = grown;
    memcpy(grown[check->doomed_count++], logdir->segments[index].name, LOGDIR_NAME_SIZE);
    logdir->closed_count--;
    logdir->segment_count--;
    memmove(&logdir->segments[index], &logdir->segments[index + 1],
            (logdir->segment_count - index) * sizeof(*logdir->segments));
    return QH_OK;
}

/* Read and scan a closed segment, which must hold exactly the entries of its name. */
static QH_RESULT read_closed(struct check *check, struct logdir_segment *segment,
                             struct bytes *ret_file)
{
    const char *problem = NULL;
    uint8_t *base;
    enum qh_err err;
    size_t size;

    err = logdir_read(check->logdir, segment->name, &base, &size);
    if (err != QH_OK) {
        return err;
    }
    *ret_file = (struct bytes){base, size};
    segment_scan(*ret_file, &segment->scan);
    if (segment->scan.end == SEGMENT_DAMAGED) {
        problem = segment->scan.problem;
    } else if (segment->scan.end != SEGMENT_EXACT) {
        problem = "a closed segment does not end with its last batch";
    } else if (segment->scan.entry_count != segment->last - segment->first + 1) {
        problem = "a closed segment does not hold the entries that its name says";
    }
    if (problem != NULL) {
        free(base);
        return refuse(check, segment->name, problem);
    }
    return QH_OK;
}

/* Is everything in @shorter at the start of @longer? */
static bool is_prefix(struct bytes shorter, size_t shorter_size, struct bytes longer,
                      size_t longer_size)
{
    struct segment_cursor left_cursor;
    struct segment_cursor right_cursor;
    struct segment_entry left;
    struct segment_entry right;

    segment_cursor_init(&left_cursor, shorter, shorter_size);
    segment_cursor_init(&right_cursor, longer, longer_size);
    while (segment_next(&left_cursor, &left)) {
        if (!segment_next(&right_cursor, &right) || left.term != right.term ||
            left.type != right.type || left.data.size != right.data.size ||
            memcmp(left.data.base, right.data.base, left.data.size) != 0) {
            return false;
        }
    }
    return true;
}

static QH_RESULT compare_twins(struct check *check, size_t index, bool *ret_prefix)
{
    struct logdir_segment *segments = check->logdir->segments;
    struct bytes shorter;
    struct bytes longer;
    enum qh_err err;

    err = read_closed(check, &segments[index], &shorter);
    if (err != QH_OK) {
        return err;
    }
    err = read_closed(check, &segments[index + 1], &longer);
    if (err == QH_OK) {
        *ret_prefix = is_prefix(shorter, segments[index].scan.whole_size, longer,
                                segments[index + 1].scan.whole_size);
        free((void *)(uintptr_t)longer.base);
    }
    free((void *)(uintptr_t)shorter.base);
    return err;
}

/* libraft died while it cut the end off its log: the shortened segment was written, and the long
 * one not removed. It would refuse both. The shortened one goes, which takes the cut back: the
 * entries that were to be cut are not committed, nothing has been acknowledged since,
 * and the leader will have them cut again. So no entry is ever deleted here. */
static QH_RESULT check_twins(struct check *check)
{
    struct logdir *logdir = check->logdir;
    size_t i = 0;

    while (i + 1 < logdir->closed_count) {
        bool prefix = false;
        enum qh_err err;

        if (logdir->segments[i].first != logdir->segments[i + 1].first) {
            i++;
            continue;
        }
        err = compare_twins(check, i, &prefix);
        if (err != QH_OK) {
            return err;
        }
        if (!prefix) {
            return refuse(check, logdir->segments[i].name,
                          "another segment begins at the same index with other entries");
        }
        err = doom(check, i);
        if (err != QH_OK) {
            return err;
        }
    }
    return QH_OK;
}

static QH_RESULT check_sequence(struct check *check)
{
    const struct logdir *logdir = check->logdir;

    if (logdir->closed_count > 0 && logdir->segments[0].first > snapshot_index(check) + 1) {
        return refuse(check, logdir->segments[0].name,
                      "entries are missing before this segment, which begins after the snapshot");
    }
    for (size_t i = 1; i < logdir->closed_count; i++) {
        if (logdir->segments[i].first > logdir->segments[i - 1].last + 1) {
            return refuse(check, logdir->segments[i].name,
                          "entries are missing before this segment");
        }
        if (logdir->segments[i].first <= logdir->segments[i - 1].last) {
            return refuse(check, logdir->segments[i].name, "it overlaps the segment before it");
        }
    }
    return QH_OK;
}

/* Open segments */

static QH_RESULT scan_open(struct check *check, struct logdir_segment *segment)
{
    uint8_t *base;
    enum qh_err err;
    size_t size;

    err = logdir_read(check->logdir, segment->name, &base, &size);
    if (err != QH_OK) {
        return err;
    }
    segment_scan((struct bytes){base, size}, &segment->scan);
    free(base);
    if (segment->scan.end == SEGMENT_DAMAGED) {
        return refuse(check, segment->name, segment->scan.problem);
    }
    return QH_OK;
}

static bool is_torn(const struct logdir_segment *segment)
{
    return segment->scan.end == SEGMENT_TORN || segment->scan.end == SEGMENT_TORN_FATAL;
}

/* They are used in the order of their counters, and a write to the next one begins only when all
 * writes to the one before are done. libraft does not look at that: it would number the
 * entries of the next one as if nothing had been lost. */
static QH_RESULT check_open(struct check *check)
{
    struct logdir *logdir = check->logdir;
    const struct logdir_segment *used = NULL;
    const struct logdir_segment *unused = NULL;

    for (size_t i = logdir->closed_count; i < logdir->segment_count; i++) {
        struct logdir_segment *segment = &logdir->segments[i];
        enum qh_err err = scan_open(check, segment);

        if (err != QH_OK) {
            return err;
        }
        if (segment->scan.entry_count == 0 && !is_torn(segment)) {
            unused = unused == NULL ? segment : unused;
            continue;
        }
        if (unused != NULL) {
            return refuse(check, unused->name, "it is empty, though a later segment is not");
        }
        if (used != NULL && is_torn(used)) {
            return refuse(check, used->name, "its end is damaged, and a later segment has entries");
        }
        if (used != NULL && segment->counter != used->counter + 1) {
            return refuse(check, segment->name, "the segment before it is missing");
        }
        used = segment;
    }
    return QH_OK;
}

static bool open_has_entries(const struct logdir *logdir)
{
    for (size_t i = logdir->closed_count; i < logdir->segment_count; i++) {
        if (logdir->segments[i].scan.entry_count > 0) {
            return true;
        }
    }
    return false;
}

/* libraft died after it stored a snapshot that a leader sent, before it removed its old log,
 * which ends before the snapshot. At the next start it refuses that because of the empty
 * segments that it had prepared, and at the one after it passes over the old log and leaves
 * it there; after one more crash it would number new entries as if they followed the old
 * ones. So the old log goes now, as libraft meant it to. */
static QH_RESULT check_stale(struct check *check)
{
    struct logdir *logdir = check->logdir;
    const struct logdir_segment *newest;

    if (logdir->closed_count == 0) {
        return QH_OK;
    }
    newest = &logdir->segments[logdir->closed_count - 1];
    if (newest->last >= snapshot_index(check)) {
        return QH_OK;
    }
    if (open_has_entries(logdir)) {
        return refuse(check, newest->name,
                      "the closed segments end before the snapshot, so nobody can tell the "
                      "indexes of the entries in the open ones");
    }
    while (logdir->closed_count > 0) {
        enum qh_err err = doom(check, 0);

        if (err != QH_OK) {
            return err;
        }
    }
    return QH_OK;
}

/* The log has to reach as far as it once did: what is not in closed segments may be numbered only
 * from there on. Here open segments may stand behind, so that nothing else tells that one is
 * missing. */
static QH_RESULT check_note(struct check *check)
{
    struct logdir *logdir = check->logdir;
    size_t closed = logdir->closed_count;
    uint64_t reached = closed > 0 ? logdir->segments[closed - 1].last : snapshot_index(check);
    char problem[120];
    uint64_t noted;
    enum qh_err err;

    if (!logdir->has_note) {
        return QH_OK;
    }
    err = closednote_read(logdir->fd, &noted);
    if (err == QH_EVERSION) {
        return logdir_refuse(logdir, err, CLOSEDNOTE_NAME, "it is of another version",
                             "run the version that wrote it");
    }
    if (err != QH_OK) {
        return logdir_refuse(logdir, err, CLOSEDNOTE_NAME, "it is damaged or cannot be read",
                             LOGDIR_REJOIN);
    }
    if (reached >= noted) {
        return QH_OK;
    }
    (void)snprintf(problem, sizeof(problem),
                   "closed segments with the entries %" PRIu64 " to %" PRIu64 " are missing",
                   reached + 1, noted);
    return refuse(check, ".", problem);
}

/* The entries */

static QH_RESULT check_entry(struct check *check, const struct logdir_segment *segment,
                             uint64_t index, const struct segment_entry *entry)
{
    struct logdir *logdir = check->logdir;
    bool recovered = entry->type == RAFT_CHANGE && entry->term == 1; /* by raft_recover() */

    if (index > snapshot_index(check) && entry->term < check->max_term && !recovered) {
        return refuse(check, segment->name, "an entry's term is below that of an earlier one");
    }
    if (index == snapshot_index(check) && entry->term != logdir->snapshot->term) {
        return refuse(check, segment->name, "the entry at the snapshot's index has another term");
    }
    if (entry->type == RAFT_CHANGE) {
        if (!snapmeta_configuration_valid(entry->data)) {
            return refuse(check, segment->name, "a configuration in it cannot be read");
        }
        logdir->configuration_index = index;
    }
    check->max_term = entry->term > check->max_term ? entry->term : check->max_term;
    logdir->last_index = index;
    logdir->last_term = entry->term;
    return QH_OK;
}

static QH_RESULT check_entries_of(struct check *check, struct logdir_segment *segment,
                                  struct bytes file)
{
    struct segment_cursor cursor;
    struct segment_entry entry;
    uint64_t index = segment->first;
    enum qh_err err = QH_OK;

    segment_cursor_init(&cursor, file, segment->scan.whole_size);
    while (err == QH_OK && segment_next(&cursor, &entry)) {
        err = check_entry(check, segment, index++, &entry);
    }
    return err;
}

static QH_RESULT check_entries(struct check *check)
{
    struct logdir *logdir = check->logdir;
    uint64_t next =
        logdir->closed_count > 0 ? logdir->segments[0].first : snapshot_index(check) + 1;

    logdir->first_index = next;
    logdir->last_index = snapshot_index(check);
    logdir->last_term = logdir->snapshot != NULL ? logdir->snapshot->term : 0;
    for (size_t i = 0; i < logdir->segment_count; i++) {
        struct logdir_segment *segment = &logdir->segments[i];
        struct bytes file = {NULL, 0};
        enum qh_err err;

        if (segment->open) {
            uint8_t *base = NULL;

            segment->first = next;
            segment->last = next + segment->scan.entry_count - 1;
            err = logdir_read(logdir, segment->name, &base, &file.size);
            file.base = base;
        } else {
            err = read_closed(check, segment, &file);
        }
        if (err == QH_OK) {
            err = check_entries_of(check, segment, file);
            free((void *)(uintptr_t)file.base);
        }
        if (err != QH_OK) {
            return err;
        }
        next += segment->scan.entry_count;
    }
    logdir->first_index = next > logdir->first_index ? logdir->first_index : 0;
    return QH_OK;
}

/* The term is written before anything of that term. */
static QH_RESULT check_term(struct check *check)
{
    const struct logdir *logdir = check->logdir;

    if (logdir->last_index > 0 && logdir->metadata.version == 0) {
        return refuse(check, "metadata1", "there is a log, but neither metadata1 nor metadata2");
    }
    if (logdir->metadata.term < check->max_term) {
        return refuse(check, logdir->metadata.version % 2 == 1 ? "metadata1" : "metadata2",
                      "its term is below that of the log");
    }
    return QH_OK;
}

/* Mending */

static QH_RESULT mend_failed(const struct check *check, const char *name)
{
    enum qh_err err = err_from_errno(errno);

    return logdir_refuse(check->logdir, err == QH_ENOTFOUND ? QH_EIO : err, name,
                         "it cannot be mended", "let this user write the directory");
}

/* Give libraft zeroes to find where it would read past the end, or where the first or only write
 * to the segment never ended. */
static QH_RESULT mend_open(struct check *check, const struct logdir_segment *segment)
{
    size_t whole = segment->scan.whole_size;
    size_t size = (whole / MEND_UNIT + 2) * MEND_UNIT;
    int fd = openat(check->logdir->fd, segment->name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    enum qh_err err = QH_OK;

    if (fd < 0) {
        return mend_failed(check, segment->name);
    }
    if (ftruncate(fd, (off_t)whole) != 0 || ftruncate(fd, (off_t)size) != 0 || fsync(fd) != 0) {
        err = mend_failed(check, segment->name);
    }
    (void)close(fd);
    if (err == QH_OK) {
        log_warning("data directory mended: the end of an open segment file=%s/%s entries=%" PRIu64,
                    check->logdir->path, segment->name, segment->scan.entry_count);
    }
    return err;
}

static QH_RESULT mend(struct check *check)
{
    const struct logdir *logdir = check->logdir;
    bool changed = check->doomed_count > 0;

    for (size_t i = 0; i < check->doomed_count; i++) {
        if (unlinkat(logdir->fd, check->doomed[i], 0) != 0) {
            return mend_failed(check, check->doomed[i]);
        }
        log_warning("data directory mended: removed a closed segment that repeats or precedes what "
                    "is there file=%s/%s",
                    logdir->path, check->doomed[i]);
    }
    for (size_t i = logdir->closed_count; i < logdir->segment_count; i++) {
        enum segment_end end = logdir->segments[i].scan.end;

        if (end == SEGMENT_TORN) {
            log_info("data directory: libraft will leave out a write that never ended file=%s/%s",
                     logdir->path, logdir->segments[i].name);
        } else if (end == SEGMENT_CRAMPED || end == SEGMENT_TORN_FATAL) {
            enum qh_err err = mend_open(check, &logdir->segments[i]);

            if (err != QH_OK) {
                return err;
            }
            changed = true;
        }
    }
    if (changed && fsync(logdir->fd) != 0) {
        return mend_failed(check, ".");
    }
    return QH_OK;
}

static QH_RESULT check_all(struct check *check)
{
    static enum qh_err (*const rules[])(struct check *) = {
        check_metadata, check_snapshot, check_twins,   check_sequence, check_open,
        check_stale,    check_note,     check_entries, check_term};
    enum qh_err err = QH_OK;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]) && err == QH_OK; i++) {
        err = rules[i](check);
    }
    return err;
}

QH_RESULT logdir_check(struct logdir *logdir, bool repair)
{
    struct check check = {.logdir = logdir};
    enum qh_err err = check_all(&check);

    if (err == QH_OK && repair) {
        err = mend(&check);
    }
    free(check.doomed);
    return err;
}
