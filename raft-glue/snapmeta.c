/* raft_uv's snapshot-TERM-INDEX-TIME.meta (0.15.0), read without libraft. */
#include "raft-glue/snapmeta.h"

#include <raft.h>
#include <string.h>

#include "base/limits.h"
#include "raft-glue/crc32.h"

#define FORMAT 1u
#define SUMMED_AT 16u /* where that begins which the CRC covers */
#define CONFIGURATION_VERSION 1u
#define ALIGNMENT 8u

static bool read_server(struct bytes_reader *reader)
{
    uint64_t id = bytes_read_u64(reader);
    const uint8_t *end;

    if (reader->failed || id == 0 || reader->left == 0) {
        return false;
    }
    end = memchr(reader->next, 0, reader->left);
    if (end == NULL) {
        return false;
    }
    (void)bytes_read_span(reader, (size_t)(end - reader->next) + 1);
    return bytes_read_u8(reader) <= RAFT_SPARE && !reader->failed;
}

bool snapmeta_configuration_valid(struct bytes encoded)
{
    struct bytes_reader reader;
    uint64_t count;

    bytes_reader_init(&reader, encoded.base, encoded.size);
    if (bytes_read_u8(&reader) != CONFIGURATION_VERSION) {
        return false;
    }
    count = bytes_read_u64(&reader);
    if (reader.failed || count == 0 || count > NODES_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!read_server(&reader)) {
            return false;
        }
    }
    return reader.left < ALIGNMENT;
}

const char *snapmeta_check(struct bytes file, uint64_t *ret_configuration_index)
{
    struct bytes configuration;
    struct bytes_reader reader;
    uint64_t stored;
    uint64_t index;
    uint64_t size;

    bytes_reader_init(&reader, file.base, file.size);
    if (bytes_read_u64(&reader) != FORMAT) {
        return "it does not begin with a known format";
    }
    stored = bytes_read_u64(&reader);
    index = bytes_read_u64(&reader);
    size = bytes_read_u64(&reader);
    if (reader.failed || size != reader.left) {
        return "it has the wrong size";
    }
    if (crc32_update(0, file.base + SUMMED_AT, file.size - SUMMED_AT) != stored) {
        return "its checksum is wrong";
    }
    configuration = bytes_read_span(&reader, (size_t)size);
    if (index == 0 || !snapmeta_configuration_valid(configuration)) {
        return "its configuration cannot be read";
    }
    *ret_configuration_index = index;
    return NULL;
}
