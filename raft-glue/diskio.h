/* Small files on disk: read whole, replaced whole, made durable. What it is not: the path of
 * log entries, which libraft writes itself.
 *
 * Thread: any. */
#ifndef QH_GLUE_DISKIO_H
#define QH_GLUE_DISKIO_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* Open @path, or @path/@below if that is not NULL, as a directory.
 * Errors: QH_ENOTFOUND, QH_EPERM, QH_EIO, QH_ESYSTEM (not a directory).
 * Owns:   close() *ret_fd. */
QH_RESULT diskio_open_dir(const char *path, const char *below, int *ret_fd);

/* Read a whole regular file of at most @size_max bytes.
 * Errors: QH_ENOTFOUND, QH_EPERM, QH_EIO, QH_ELIMIT (larger), QH_ENOMEM, QH_ESYSTEM.
 * Owns:   free() *ret_base; it is not NULL, even for an empty file. */
QH_RESULT diskio_read(int dir_fd, const char *name, uint64_t size_max, uint8_t **ret_base,
                      size_t *ret_size);

/* Replace (or make) the file @name: after QH_OK the new content is on disk, after an error or a
 * crash the old or the new one is there whole. A file @name.tmp may be left by a crash.
 * Errors: QH_EPERM, QH_ENOSPACE, QH_EIO, QH_ESYSTEM. */
QH_RESULT diskio_replace(int dir_fd, const char *name, struct bytes content);

/* Make what happened to the names in a directory durable. Errors: QH_EIO, QH_ESYSTEM. */
QH_RESULT diskio_sync(int fd);

#endif
