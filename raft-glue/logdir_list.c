/* Which files a Raft directory holds, by their names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/closednote.h"
#include "raft-glue/diskio.h"
#include "raft-glue/logdir.h"

/* What libraft leaves behind when it dies and clears away when it starts, and what is not a
 * matter of the log. */
static bool is_ignored(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lost+found") == 0 ||
           strcmp(name, ".probe") == 0 || strcmp(name, CLOSEDNOTE_TEMPORARY) == 0 ||
           strncmp(name, "tmp-", 4) == 0;
}

/* The names are parsed as libraft does, and written again, so that only its own spelling counts. */
static bool parse_segment(const char *name, struct logdir_segment *ret_segment)
{
    struct logdir_segment segment = {0};
    char again[LOGDIR_NAME_SIZE];

    if (sscanf(name, "%" SCNu64 "-%" SCNu64, &segment.first, &segment.last) == 2) {
        (void)snprintf(again, sizeof(again), "%016" PRIu64 "-%016" PRIu64, segment.first,
                       segment.last);
        if (segment.first == 0 || segment.last < segment.first) {
            return false;
        }
    } else if (sscanf(name, "open-%" SCNu64, &segment.counter) == 1) {
        segment.open = true;
        (void)snprintf(again, sizeof(again), "open-%" PRIu64, segment.counter);
        if (segment.counter == 0) {
            return false;
        }
    } else {
        return false;
    }
    if (strcmp(name, again) != 0) {
        return false;
    }
    memcpy(segment.name, again, strlen(again) + 1);
    *ret_segment = segment;
    return true;
}

static bool parse_snapshot(const char *name, struct logdir_snapshot *ret_snapshot)
{
    struct logdir_snapshot snapshot = {0};
    size_t length;

    if (sscanf(name, "snapshot-%" SCNu64 "-%" SCNu64 "-%" SCNu64, &snapshot.term, &snapshot.index,
               &snapshot.time) != 3 ||
        snapshot.term == 0 || snapshot.index == 0) {
        return false;
    }
    (void)snprintf(snapshot.name, sizeof(snapshot.name),
                   "snapshot-%" PRIu64 "-%" PRIu64 "-%" PRIu64, snapshot.term, snapshot.index,
                   snapshot.time);
    length = strlen(snapshot.name);
    if (strncmp(name, snapshot.name, length) != 0) {
        return false;
    }
    snapshot.has_data = name[length] == 0;
    snapshot.has_meta = strcmp(name + length, ".meta") == 0;
    *ret_snapshot = snapshot;
    return snapshot.has_data || snapshot.has_meta;
}

/* Make room for one more element of @size bytes, doubling. */
static void *grow(void *array, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return array;
    }
    return realloc(array, (count == 0 ? 1 : 2 * count) * size);
}

static QH_RESULT add_segment(struct logdir *logdir, const struct logdir_segment *segment)
{
    struct logdir_segment *grown =
        grow(logdir->segments, logdir->segment_count, sizeof(*logdir->segments));

    if (grown == NULL) {
        return QH_ENOMEM;
    }
    logdir->segments = grown;
    grown[logdir->segment_count++] = *segment;
    logdir->closed_count += segment->open ? 0 : 1;
    return QH_OK;
}

static QH_RESULT add_snapshot(struct logdir *logdir, const struct logdir_snapshot *snapshot)
{
    struct logdir_snapshot *grown;

    for (size_t i = 0; i < logdir->snapshot_count; i++) {
        if (strcmp(logdir->snapshots[i].name, snapshot->name) == 0) {
            logdir->snapshots[i].has_data |= snapshot->has_data;
            logdir->snapshots[i].has_meta |= snapshot->has_meta;
            return QH_OK;
        }
    }
    grown = grow(logdir->snapshots, logdir->snapshot_count, sizeof(*logdir->snapshots));
    if (grown == NULL) {
        return QH_ENOMEM;
    }
    logdir->snapshots = grown;
    grown[logdir->snapshot_count++] = *snapshot;
    return QH_OK;
}

static QH_RESULT add_file(struct logdir *logdir, const char *name)
{
    struct logdir_snapshot snapshot;
    struct logdir_segment segment;

    if (is_ignored(name)) {
        return QH_OK;
    }
    if (logdir->segment_count + logdir->snapshot_count >= LOGDIR_FILES_MAX) {
        return logdir_refuse(logdir, QH_ESYSTEM, name, "the directory holds too many files",
                             "move what does not belong there elsewhere");
    }
    if (strcmp(name, "metadata1") == 0 || strcmp(name, "metadata2") == 0) {
        logdir->has_metadata[name[8] - '1'] = true;
        return QH_OK;
    }
    if (strcmp(name, CLOSEDNOTE_NAME) == 0) {
        logdir->has_note = true;
        return QH_OK;
    }
    if (parse_segment(name, &segment)) {
        return add_segment(logdir, &segment);
    }
    if (parse_snapshot(name, &snapshot)) {
        return add_snapshot(logdir, &snapshot);
    }
    if (strncmp(name, "corrupt-", 8) == 0) {
        return logdir_refuse(logdir, QH_ECORRUPT, name,
                             "a part of the log was set aside as damaged, so the rest is too short",
                             LOGDIR_REJOIN);
    }
    return logdir_refuse(logdir, QH_ECORRUPT, name, "it is no file of a Raft log",
                         "find out where it comes from, and move it elsewhere");
}

static int compare_numbers(uint64_t left, uint64_t right)
{
    return left < right ? -1 : left > right;
}

static int compare_segments(const void *left_base, const void *right_base)
{
    const struct logdir_segment *left = left_base;
    const struct logdir_segment *right = right_base;

    if (left->open != right->open) {
        return left->open ? 1 : -1;
    }
    if (left->open) {
        return compare_numbers(left->counter, right->counter);
    }
    return left->first != right->first ? compare_numbers(left->first, right->first)
                                       : compare_numbers(left->last, right->last);
}

static int compare_snapshots(const void *left_base, const void *right_base)
{
    const struct logdir_snapshot *left = left_base;
    const struct logdir_snapshot *right = right_base;

    if (left->term != right->term) {
        return compare_numbers(left->term, right->term);
    }
    return left->index != right->index ? compare_numbers(left->index, right->index)
                                       : compare_numbers(left->time, right->time);
}

static QH_RESULT list_stream(struct logdir *logdir, DIR *stream)
{
    enum qh_err err = QH_OK;

    while (err == QH_OK) {
        struct dirent *entry;

        errno = 0;
        entry = readdir(stream);
        if (entry == NULL) {
            return errno == 0 ? QH_OK
                              : logdir_refuse(logdir, QH_EIO, ".", "it cannot be listed",
                                              "check the disk and the kernel's log");
        }
        err = add_file(logdir, entry->d_name);
    }
    return err;
}

static QH_RESULT list_files(struct logdir *logdir)
{
    int fd = dup(logdir->fd);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    enum qh_err err;

    if (stream == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return QH_ESYSTEM;
    }
    err = list_stream(logdir, stream);
    (void)closedir(stream);
    if (logdir->segment_count > 0) {
        qsort(logdir->segments, logdir->segment_count, sizeof(*logdir->segments), compare_segments);
    }
    if (logdir->snapshot_count > 0) {
        qsort(logdir->snapshots, logdir->snapshot_count, sizeof(*logdir->snapshots),
              compare_snapshots);
    }
    return err;
}

QH_RESULT logdir_open(const char *path, struct logdir *ret_logdir)
{
    struct logdir logdir = {.path = strdup(path), .fd = -1};
    enum qh_err err;

    if (logdir.path == NULL) {
        return QH_ENOMEM;
    }
    err = diskio_open_dir(path, NULL, &logdir.fd);
    if (err == QH_OK) {
        err = list_files(&logdir);
    } else if (err != QH_ENOTFOUND) {
        err = logdir_refuse(&logdir, err, ".", "it cannot be opened",
                            "let this user read and write it");
    }
    if (err != QH_OK) {
        logdir_close(&logdir);
        return err;
    }
    *ret_logdir = logdir;
    return QH_OK;
}

void logdir_close(struct logdir *logdir)
{
    free(logdir->path);
    free(logdir->segments);
    free(logdir->snapshots);
    if (logdir->fd >= 0) {
        (void)close(logdir->fd);
    }
    memset(logdir, 0, sizeof(*logdir));
    logdir->fd = -1;
}

enum qh_err logdir_refuse(const struct logdir *logdir, enum qh_err err, const char *name,
                          const char *problem, const char *remedy)
{
    log_error("data directory refused: %s file=%s/%s error=%s; %s", problem, logdir->path, name,
              err_name(err), remedy);
    return err;
}

QH_RESULT logdir_read(const struct logdir *logdir, const char *name, uint8_t **ret_base,
                      size_t *ret_size)
{
    enum qh_err err = diskio_read(logdir->fd, name, LOGDIR_FILE_SIZE_MAX, ret_base, ret_size);

    if (err == QH_OK) {
        return QH_OK;
    }
    if (err == QH_EPERM) {
        return logdir_refuse(logdir, err, name, "it cannot be opened",
                             "let this user read and write it");
    }
    if (err == QH_ENOMEM) {
        return logdir_refuse(logdir, err, name, "there is no memory to read it", "free some");
    }
    if (err == QH_ELIMIT || err == QH_ESYSTEM) {
        return logdir_refuse(logdir, QH_ECORRUPT, name, "it is no regular file, or too large",
                             LOGDIR_REJOIN);
    }
    return logdir_refuse(logdir, QH_EIO, name, "it cannot be read",
                         "check the disk and the kernel's log");
}
