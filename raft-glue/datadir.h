/* The Raft directory on disk, looked at without libraft: check and repair before a start,
 * and reading for the offline tools. Knows raft_uv's file formats (0.15.0).
 *
 * Thread: any, while no daemon has the directory open (datadir_lock). */
#ifndef QH_GLUE_DATADIR_H
#define QH_GLUE_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "raft-glue/identity.h"
#include "store/store.h"

/* Hold DIR/lock so that one process at a time works on the directory. It is held until *ret_fd is
 * closed, at the latest when the process ends.
 * Errors: QH_EBUSY (another process has it; logged with its pid), QH_ENOTFOUND (no DIR), QH_EIO,
 *         QH_EPERM, QH_ENOSPACE, QH_ESYSTEM. */
QH_RESULT datadir_lock(const char *dir, int *ret_fd);

/* Check DIR/raft before raft_start() and mend the states that a crash can leave and that libraft
 * 0.15 cannot start from, without removing an entry that counts:
 *   - an open segment whose entries end fewer than 16 bytes before the file does (libraft
 *     crashes at every start), or whose first write never ended and went past the file's end, or
 *     lacks its first sector (libraft takes these for read errors and damage);
 *   - both the long and the shortened closed segment after a truncation: the long one stays;
 *   - a log that ends before a snapshot that a leader sent (see check_stale() in logdir.c).
 * Everything else that is damaged is refused, never mended: a truncated or changed closed
 * segment, snapshot or metadata, a changed open segment (segment.h says what can be told there, and
 * metadata.h there), a gap in the log, a log whose end is missing (as far as closednote.h knows),
 * a renamed "corrupt-" file, a file of another kind, too little free space, a directory that
 * cannot be written. Each refusal is logged in one line with the file, what is wrong with it, and
 * what to do; a refused directory stays as it was.
 * @member: the identity says that there was a log; then an empty directory is QH_EROLLEDBACK.
 * Errors: QH_ECORRUPT, QH_EROLLEDBACK, QH_ENOSPACE, QH_EIO, QH_EPERM, QH_EVERSION, QH_ENOMEM,
 *         QH_ESYSTEM. */
QH_RESULT datadir_check(const char *dir, bool member);

/* Free bytes below which a start is refused and a running node steps down. */
#define DATADIR_FREE_MIN (64ull << 20)

/* What a directory holds, for comparing nodes and for recover. */
struct datadir_summary {
    uint64_t term; /* metadata */
    uint64_t voted_for;
    uint64_t snapshot_index; /* 0: none */
    uint64_t snapshot_term;
    uint64_t first_index; /* of the log entries on disk; 0: none */
    uint64_t last_index;  /* of everything; 0: nothing */
    uint64_t last_term;
    uint64_t configuration_index;
};
/* The three below read a directory as datadir_check() does and refuse the same, but change nothing.
 * Errors: QH_ENOTFOUND (no DIR/raft), and those of datadir_check(). */
QH_RESULT datadir_summarize(const char *dir, struct datadir_summary *ret_summary);

/* Visit the log entries from @first on, in order, until @visit returns false. */
struct datadir_entry {
    uint64_t index;
    uint64_t term;
    unsigned type; /* RAFT_COMMAND, ... */
    struct bytes data;
};
typedef bool (*datadir_visit)(void *data, const struct datadir_entry *entry);
QH_RESULT datadir_each_entry(const char *dir, uint64_t first, datadir_visit visit, void *data);

/* Build the store as of log index @upto (UINT64_MAX: the end of the log): snapshot, then entries.
 * *ret_index is the last index in it, QH_ENOTFOUND if the snapshot is newer than @upto, QH_ECORRUPT
 * if a command is no entry of ours.
 * Owns: store_free() *ret_store. */
QH_RESULT datadir_load_store(const char *dir, uint64_t upto, struct store **ret_store,
                             uint64_t *ret_index);

#endif
