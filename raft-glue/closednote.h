/* How far the closed segments of a Raft directory went when somebody last looked: a small file
 * of ours among libraft's, replaced as a whole.
 *
 * A closed segment has its indexes in its name, an open one has none: libraft numbers its entries
 * from where the closed ones end. If the last closed one is lost nothing else in the directory
 * tells, and all entries behind it get the numbers of others, or the log is merely too short.
 *
 * The note never says more than what is there: link_closed.c raises it after a segment was closed
 * for good, and lowers it before something is removed from the end of the log. A note that is
 * missing or too low is harmless; a directory without one is as good as one of an older version.
 *
 * Thread: any. */
#ifndef QH_GLUE_CLOSEDNOTE_H
#define QH_GLUE_CLOSEDNOTE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define CLOSEDNOTE_NAME "closed"
#define CLOSEDNOTE_TEMPORARY CLOSEDNOTE_NAME ".tmp" /* may be left by a crash */
#define CLOSEDNOTE_SIZE 56u

/* The file is little-endian: 8 bytes "QHCLOSED", u32 version (1), u32 zero, u64 index, 32 bytes
 * BLAKE2b of all before. */

/* *ret_index: the last one in a closed segment, or that of a snapshot that took the log's place;
 * 0 if there is no note.
 * Errors: QH_ECORRUPT, QH_EVERSION, QH_EPERM, QH_EIO, QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT closednote_read(int dir_fd, uint64_t *ret_index);

/* Errors: those of diskio_replace(). */
QH_RESULT closednote_write(int dir_fd, uint64_t index);

#endif
