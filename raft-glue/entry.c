/* Encoding and decoding of log entries. */
#include "raft-glue/entry.h"

#include "base/assert.h"
#include "base/limits.h"

#define ENTRY_MAGIC 0x31454851u /* "QHE1" */
#define ENTRY_ALIGNMENT 8u      /* bytes; libraft 0.15 requires it without checking */

size_t entry_size(unsigned transaction_count, size_t payload)
{
    size_t size = ENTRY_HEADER_SIZE + (size_t)transaction_count * ENTRY_ITEM_OVERHEAD + payload;

    return (size + ENTRY_ALIGNMENT - 1) / ENTRY_ALIGNMENT * ENTRY_ALIGNMENT;
}

void entry_encode(const struct bytes *transactions, unsigned count, void *base, size_t room)
{
    struct bytes_writer writer;

    QH_ASSERT(count > 0);
    bytes_writer_init(&writer, base, room);
    bytes_write_u32(&writer, ENTRY_MAGIC);
    bytes_write_u32(&writer, count);
    for (unsigned i = 0; i < count; i++) {
        bytes_write_u32(&writer, (uint32_t)transactions[i].size);
        bytes_write_span(&writer, transactions[i].base, transactions[i].size);
    }
    while (!writer.failed && writer.size < room) {
        bytes_write_u8(&writer, 0);
    }
    QH_ASSERT(!writer.failed);
    QH_ASSERT(room % ENTRY_ALIGNMENT == 0);
}

/* One pass over the entry; with @visit NULL it only checks. */
static bool entry_walk(struct bytes entry, entry_visit visit, void *data)
{
    struct bytes_reader reader;
    uint32_t magic;
    uint32_t count;

    bytes_reader_init(&reader, entry.base, entry.size);
    magic = bytes_read_u32(&reader);
    count = bytes_read_u32(&reader);
    if (reader.failed || magic != ENTRY_MAGIC || count == 0) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = bytes_read_u32(&reader);
        struct bytes transaction = bytes_read_span(&reader, size);

        if (reader.failed) {
            return false;
        }
        if (visit != NULL) {
            visit(data, transaction);
        }
    }
    if (reader.left >= ENTRY_ALIGNMENT) {
        return false;
    }
    while (reader.left > 0) {
        if (bytes_read_u8(&reader) != 0) {
            return false;
        }
    }
    return true;
}

QH_RESULT entry_each(struct bytes entry, entry_visit visit, void *data)
{
    if (entry.size % ENTRY_ALIGNMENT != 0 || entry.size > ENTRY_SIZE_MAX ||
        !entry_walk(entry, NULL, NULL)) {
        return QH_EMALFORMED;
    }
    (void)entry_walk(entry, visit, data);
    return QH_OK;
}
