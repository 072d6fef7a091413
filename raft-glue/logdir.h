/* A Raft directory that nobody has open, as a list of checked files. Below datadir.h, which is
 * the interface; here are the rules of which files belong together.
 *
 * Thread: any, one at a time. */
#ifndef QH_GLUE_LOGDIR_H
#define QH_GLUE_LOGDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "raft-glue/metadata.h"
#include "raft-glue/segment.h"

#define LOGDIR_NAME_SIZE 80u
#define LOGDIR_FILE_SIZE_MAX (4ull << 30) /* bytes; a batch makes its own segment larger */
#define LOGDIR_FILES_MAX 1000000u

struct logdir_segment {
    char name[LOGDIR_NAME_SIZE];
    bool open;
    uint64_t counter; /* open only */
    uint64_t first;   /* index; of an open one known after logdir_check() */
    uint64_t last;
    struct segment_scan scan; /* after logdir_check() */
};

struct logdir_snapshot {
    char name[LOGDIR_NAME_SIZE]; /* of the data; that of its metadata has ".meta" appended */
    uint64_t term;
    uint64_t index;
    uint64_t time;
    bool has_data;
    bool has_meta;
};

struct logdir {
    char *path;
    int fd;
    /* Closed ones by first and last index, then open ones by counter. */
    struct logdir_segment *segments;
    size_t segment_count;
    size_t closed_count;
    struct logdir_snapshot *snapshots; /* oldest first */
    size_t snapshot_count;
    bool has_metadata[2];
    bool has_note; /* closednote.h */
    /* After logdir_check(): */
    const struct logdir_snapshot *snapshot; /* the one that counts, or NULL */
    struct metadata metadata;
    uint64_t configuration_index; /* of the last one, committed or not; 0: none */
    uint64_t first_index;         /* of the log; 0: no entries */
    uint64_t last_index;          /* of everything; 0: nothing */
    uint64_t last_term;
};

/* List the directory and tell its files by their names.
 * Errors: QH_ENOTFOUND, QH_EPERM, QH_EIO, QH_ESYSTEM, QH_ENOMEM, QH_ECORRUPT (a file that does not
 *         belong there); all but QH_ENOTFOUND are logged.
 * Owns:   logdir_close(). */
QH_RESULT logdir_open(const char *path, struct logdir *ret_logdir);
void logdir_close(struct logdir *logdir);

/* Read every file that counts and see that they belong together. With @repair, mend what
 * datadir_check() says it mends, after everything else was found to be right; else look past it.
 * Errors: QH_ECORRUPT, QH_EROLLEDBACK, QH_EIO, QH_EPERM, QH_ENOSPACE, QH_ENOMEM, QH_ESYSTEM;
 * logged. */
QH_RESULT logdir_check(struct logdir *logdir, bool repair);

/* The rest is shared by logdir.c and logdir_list.c and by the readers in datadir_read.c. */

/* Log a refusal: the file, what is wrong with it, what to do. Gives @err. */
enum qh_err logdir_refuse(const struct logdir *logdir, enum qh_err err, const char *name,
                          const char *problem, const char *remedy);
#define LOGDIR_REJOIN \
    "do not start this node on it: remove it from the cluster and add it again under a new id"

/* Read a file of the directory, logging why not. Owns: free() *ret_base. */
QH_RESULT logdir_read(const struct logdir *logdir, const char *name, uint8_t **ret_base,
                      size_t *ret_size);

#endif
