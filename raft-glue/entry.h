/* Log entries: many transactions in one, with a length that is a multiple of 8
 * (libraft 0.15 loses acknowledged entries of other lengths at a restart).
 *
 *   u32 magic "QHE1"   u32 transaction count
 *   transactions: u32 size, bytes
 *   zeroes up to a multiple of 8 */
#ifndef QH_GLUE_ENTRY_H
#define QH_GLUE_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define ENTRY_HEADER_SIZE 8u   /* bytes */
#define ENTRY_ITEM_OVERHEAD 4u /* bytes before each transaction */

/* The size of an entry with transactions of @payload bytes in all. */
size_t entry_size(unsigned transaction_count, size_t payload);

/* Encode @count transactions into @room bytes at @base, which entry_size() gave.
 * Errors: none; the sizes are asserted. */
void entry_encode(const struct bytes *transactions, unsigned count, void *base, size_t room);

/* Visit the transactions of an entry in order. @visit is called only when the
 * whole entry is well formed.
 * Errors: QH_EMALFORMED, and then nothing was visited. */
typedef void (*entry_visit)(void *data, struct bytes transaction);
QH_RESULT entry_each(struct bytes entry, entry_visit visit, void *data);

#endif
