/* How far the closed segments of a Raft directory went: the file. */
#include "raft-glue/closednote.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft-glue/diskio.h"

#define MAGIC_SIZE 8u
#define VERSION 1u
#define CHECKSUM_SIZE 32u
#define SUMMED_SIZE (CLOSEDNOTE_SIZE - CHECKSUM_SIZE)

static const uint8_t magic[MAGIC_SIZE] = {'Q', 'H', 'C', 'L', 'O', 'S', 'E', 'D'};

static void checksum(const uint8_t *base, uint8_t ret_sum[CHECKSUM_SIZE])
{
    (void)crypto_generichash(ret_sum, CHECKSUM_SIZE, base, SUMMED_SIZE, NULL, 0);
}

static QH_RESULT decode(struct bytes content, uint64_t *ret_index)
{
    uint8_t sum[CHECKSUM_SIZE];
    struct bytes_reader reader;
    uint32_t version;

    if (content.size != CLOSEDNOTE_SIZE || memcmp(content.base, magic, MAGIC_SIZE) != 0) {
        return QH_ECORRUPT;
    }
    checksum(content.base, sum);
    if (sodium_memcmp(sum, content.base + SUMMED_SIZE, CHECKSUM_SIZE) != 0) {
        return QH_ECORRUPT;
    }
    bytes_reader_init(&reader, content.base + MAGIC_SIZE, SUMMED_SIZE - MAGIC_SIZE);
    version = bytes_read_u32(&reader);
    (void)bytes_read_u32(&reader);
    if (version != VERSION) {
        return QH_EVERSION;
    }
    *ret_index = bytes_read_u64(&reader);
    return QH_OK;
}

QH_RESULT closednote_read(int dir_fd, uint64_t *ret_index)
{
    uint8_t *base;
    enum qh_err err;
    size_t size;

    err = diskio_read(dir_fd, CLOSEDNOTE_NAME, CLOSEDNOTE_SIZE, &base, &size);
    if (err == QH_ENOTFOUND) {
        *ret_index = 0;
        return QH_OK;
    }
    if (err != QH_OK) {
        return err == QH_ELIMIT ? QH_ECORRUPT : err;
    }
    err = decode((struct bytes){base, size}, ret_index);
    free(base);
    return err;
}

QH_RESULT closednote_write(int dir_fd, uint64_t index)
{
    uint8_t content[CLOSEDNOTE_SIZE];
    struct bytes_writer writer;

    bytes_writer_init(&writer, content, sizeof(content));
    bytes_write_span(&writer, magic, MAGIC_SIZE);
    bytes_write_u32(&writer, VERSION);
    bytes_write_u32(&writer, 0);
    bytes_write_u64(&writer, index);
    checksum(content, content + SUMMED_SIZE);
    QH_ASSERT(!writer.failed && writer.size == SUMMED_SIZE);
    return diskio_replace(dir_fd, CLOSEDNOTE_NAME, (struct bytes){content, sizeof(content)});
}
