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

/* Hold DIR/lock so that one process at a time works on the directory.
 * Errors: QH_EBUSY (another process has it; logged with its pid), QH_EIO, QH_EPERM. */
QH_RESULT datadir_lock(const char *dir, int *ret_fd);

/* Check DIR/raft before raft_start() and repair the two states that a crash can leave and
 * that libraft 0.15 cannot start from:
 *   - an open segment cut to a few bytes (libraft crashes at every start);
 *   - both the long and the shortened closed segment after a truncation.
 * Everything else that is damaged is refused, never repaired: a truncated or changed
 * closed segment, snapshot or metadata, a gap in the log, a renamed "corrupt-" file, too little
 * free space, a directory that cannot be written. Each refusal is logged with
 * the file, what is wrong with it, and what to do.
 * @member: the identity says that there was a log; then an empty directory is QH_EROLLEDBACK.
 * Errors: QH_ECORRUPT, QH_EROLLEDBACK, QH_ENOSPACE, QH_EIO, QH_EPERM, QH_EVERSION. */
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
QH_RESULT datadir_summarize(const char *dir, struct datadir_summary *ret_summary);

/* Visit the log entries from @first on, in order. */
struct datadir_entry {
    uint64_t index;
    uint64_t term;
    unsigned type; /* RAFT_COMMAND, ... */
    struct bytes data;
};
typedef bool (*datadir_visit)(void *data, const struct datadir_entry *entry);
QH_RESULT datadir_each_entry(const char *dir, uint64_t first, datadir_visit visit, void *data);

/* Build the store as of log index @upto (UINT64_MAX: the end of the log): snapshot, then entries.
 * *ret_index is the last index in it. */
QH_RESULT datadir_load_store(const char *dir, uint64_t upto, struct store **ret_store,
                             uint64_t *ret_index);

#endif
