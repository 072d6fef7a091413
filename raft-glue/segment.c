/* raft_uv's log files (0.15.0), read without libraft. */
#include "raft-glue/segment.h"

#include <raft.h>
#include <string.h>

#include "raft-glue/crc32.h"

#define FORMAT_SIZE 8u
#define FORMAT 1u
#define PREAMBLE_SIZE 16u /* both sums and the count */
#define COUNT_SIZE 8u
#define ENTRY_HEAD_SIZE 16u

/* The head of a batch, as far as it could be read. */
struct batch {
    size_t at;
    uint64_t count;
    size_t head_end; /* where the data begins */
    size_t data_end;
};

enum head_state {
    HEAD_OK,
    HEAD_COUNT_ZERO,
    HEAD_COUNT_HUGE,
    HEAD_PAST_END, /* of the file */
    HEAD_CHANGED,  /* its sum is wrong */
    HEAD_STRANGE   /* its sum is right, but an entry is of no known kind or size */
};

static uint32_t get_u32(const uint8_t *base)
{
    return (uint32_t)base[0] | (uint32_t)base[1] << 8 | (uint32_t)base[2] << 16 |
           (uint32_t)base[3] << 24;
}

static uint64_t get_u64(const uint8_t *base)
{
    return (uint64_t)get_u32(base) | (uint64_t)get_u32(base + 4) << 32;
}

static bool is_zero(const uint8_t *base, size_t size)
{
    return size == 0 || (base[0] == 0 && memcmp(base, base + 1, size - 1) == 0);
}

/* The sum of a head with @count entries at @at, as if it said @count. */
static uint32_t head_sum(struct bytes file, size_t at, uint64_t count)
{
    uint8_t encoded[COUNT_SIZE];
    uint32_t crc;

    for (unsigned i = 0; i < COUNT_SIZE; i++) {
        encoded[i] = (uint8_t)(count >> (8 * i));
    }
    crc = crc32_update(0, encoded, sizeof(encoded));
    return crc32_update(crc, file.base + at + PREAMBLE_SIZE, (size_t)count * ENTRY_HEAD_SIZE);
}

static bool head_fits(struct bytes file, size_t at, uint64_t count)
{
    return file.size - at >= PREAMBLE_SIZE &&
           (file.size - at - PREAMBLE_SIZE) / ENTRY_HEAD_SIZE >= count;
}

/* Sum up the entries' sizes; false if one is of a kind or size that libraft never writes. */
static bool measure_data(struct bytes file, const struct batch *batch, uint64_t *ret_size)
{
    uint64_t size = 0;

    for (uint64_t i = 0; i < batch->count; i++) {
        const uint8_t *head = file.base + batch->at + PREAMBLE_SIZE + i * ENTRY_HEAD_SIZE;
        uint32_t entry_size = get_u32(head + 12);

        if (get_u64(head) == 0 || head[8] < RAFT_COMMAND || head[8] > RAFT_CHANGE ||
            entry_size % 8 != 0) {
            return false;
        }
        size += entry_size;
    }
    *ret_size = size;
    return true;
}

/* Read the head of the batch at @at, which has PREAMBLE_SIZE bytes at least. */
static enum head_state read_head(struct bytes file, size_t at, struct batch *ret_batch)
{
    struct batch batch = {.at = at, .count = get_u64(file.base + at + 8)};
    uint64_t data_size;

    if (batch.count == 0) {
        return HEAD_COUNT_ZERO;
    }
    if (batch.count > SEGMENT_COUNT_MAX) {
        return HEAD_COUNT_HUGE;
    }
    batch.head_end = at + PREAMBLE_SIZE + (size_t)batch.count * ENTRY_HEAD_SIZE;
    *ret_batch = batch;
    if (!head_fits(file, at, batch.count)) {
        return HEAD_PAST_END;
    }
    if (head_sum(file, at, batch.count) != get_u32(file.base + at)) {
        return HEAD_CHANGED;
    }
    if (!measure_data(file, &batch, &data_size)) {
        return HEAD_STRANGE;
    }
    ret_batch->data_end = batch.head_end + (size_t)data_size;
    return HEAD_OK;
}

static uint32_t data_sum(struct bytes file, const struct batch *batch)
{
    return crc32_update(0, file.base + batch->head_end, batch->data_end - batch->head_end);
}

static bool batch_whole(struct bytes file, size_t at, struct batch *ret_batch)
{
    return file.size - at >= PREAMBLE_SIZE && read_head(file, at, ret_batch) == HEAD_OK &&
           ret_batch->data_end <= file.size &&
           data_sum(file, ret_batch) == get_u32(file.base + at + 4);
}

/* Telling a torn write from damage */

/* Is a whole sector between @from and @to, or what @from leaves of its sector, zero? */
static bool sector_missing(struct bytes file, size_t from, size_t to)
{
    size_t next = from;

    while (next < to && next < file.size) {
        size_t end = (next / SEGMENT_SECTOR_SIZE + 1) * SEGMENT_SECTOR_SIZE;

        end = end < file.size ? end : file.size;
        if (is_zero(file.base + next, end - next)) {
            return true;
        }
        next = end;
    }
    return false;
}

/* Does a head that is certainly one begin behind @at? A sum of 32 bits over at least 24 bytes
 * is not right by chance. */
static bool head_follows(struct bytes file, size_t at)
{
    for (size_t next = at + 8; next + PREAMBLE_SIZE <= file.size; next += 8) {
        uint64_t count = get_u64(file.base + next + 8);

        if (count > 0 && count <= SEGMENT_COUNT_MAX && head_fits(file, next, count) &&
            head_sum(file, next, count) == get_u32(file.base + next)) {
            return true;
        }
    }
    return false;
}

/* Would the head be right with one bit of its count changed? */
static bool count_flipped(struct bytes file, size_t at)
{
    uint64_t stored = get_u64(file.base + at + 8);

    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t count = stored ^ (1ull << bit);

        if (count > 0 && count <= SEGMENT_COUNT_MAX && head_fits(file, at, count) &&
            head_sum(file, at, count) == get_u32(file.base + at)) {
            return true;
        }
    }
    return false;
}

/* A batch that is longer than the file. One that does not fit into a preallocated segment is
 * written to the start of a new one, which grows meanwhile; only there may a crash leave
 * this, and libraft takes it for a read error. */
static const char *judge_long(struct bytes file, size_t at, enum segment_end *ret_end)
{
    if (at != FORMAT_SIZE || file.size < SEGMENT_OPEN_SIZE_MIN ||
        file.size % SEGMENT_SECTOR_SIZE != 0) {
        return "the file ends inside a batch";
    }
    *ret_end = SEGMENT_TORN_FATAL;
    return NULL;
}

static const char *judge_torn(bool missing, enum segment_end *ret_end)
{
    if (!missing) {
        return "a batch was changed after it was written";
    }
    *ret_end = SEGMENT_TORN;
    return NULL;
}

static const char *judge_data(struct bytes file, const struct batch *batch,
                              enum segment_end *ret_end)
{
    uint32_t stored = get_u32(file.base + batch->at + 4);

    if (batch->data_end > file.size) {
        return judge_long(file, batch->at, ret_end);
    }
    if (crc32_one_flip(stored, data_sum(file, batch), batch->data_end - batch->head_end)) {
        return "a bit of a batch is flipped";
    }
    return judge_torn(sector_missing(file, batch->at, batch->data_end), ret_end);
}

static const char *judge_head(struct bytes file, const struct batch *batch,
                              enum segment_end *ret_end)
{
    uint32_t stored = get_u32(file.base + batch->at);
    uint32_t actual = head_sum(file, batch->at, batch->count);

    if (crc32_one_flip(stored, actual, batch->head_end - batch->at - 8)) {
        return "a bit of a batch is flipped";
    }
    return judge_torn(sector_missing(file, batch->at, batch->head_end), ret_end);
}

/* What stands at @at, where no whole batch does? Sets *ret_end, or returns what is wrong. */
static const char *judge(struct bytes file, size_t at, enum segment_end *ret_end)
{
    struct batch batch;

    if (is_zero(file.base + at, file.size - at)) {
        *ret_end = at == file.size                  ? SEGMENT_EXACT
                   : file.size - at < PREAMBLE_SIZE ? SEGMENT_CRAMPED
                                                    : SEGMENT_ZEROES;
        return NULL;
    }
    if (file.size - at < PREAMBLE_SIZE) {
        return "the file ends inside a batch";
    }
    if (head_follows(file, at)) {
        return "a batch is damaged, and more entries follow it";
    }
    if (count_flipped(file, at)) {
        return "a bit of a batch is flipped";
    }
    switch (read_head(file, at, &batch)) {
    case HEAD_COUNT_ZERO:
        return judge_torn(sector_missing(file, at + 8, at + PREAMBLE_SIZE), ret_end);
    case HEAD_PAST_END:
        return judge_long(file, at, ret_end);
    case HEAD_CHANGED:
        return judge_head(file, &batch, ret_end);
    case HEAD_OK:
        return judge_data(file, &batch, ret_end);
    case HEAD_COUNT_HUGE:
        return "a batch was changed after it was written";
    case HEAD_STRANGE:
        return "an entry is of an unknown kind or size";
    }
    return "a batch cannot be read";
}

/* A file that does not begin with the format. If its first sector is missing, the first write
 * never ended; libraft refuses that for ever. */
static const char *judge_start(struct bytes file, enum segment_end *ret_end)
{
    if (is_zero(file.base, file.size)) {
        *ret_end = file.size == 0 || file.size >= FORMAT_SIZE ? SEGMENT_UNWRITTEN : SEGMENT_CRAMPED;
        return NULL;
    }
    if (file.size >= SEGMENT_OPEN_SIZE_MIN && is_zero(file.base, SEGMENT_SECTOR_SIZE) &&
        !head_follows(file, 0)) {
        *ret_end = SEGMENT_TORN_FATAL;
        return NULL;
    }
    return "the file does not begin with a known format";
}

void segment_scan(struct bytes file, struct segment_scan *ret_scan)
{
    struct segment_scan scan = {.end = SEGMENT_DAMAGED};
    struct batch batch;
    size_t at = 0;

    if (file.size < FORMAT_SIZE || get_u64(file.base) != FORMAT) {
        scan.problem = judge_start(file, &scan.end);
    } else {
        at = FORMAT_SIZE;
        while (batch_whole(file, at, &batch)) {
            scan.entry_count += batch.count;
            at = batch.data_end;
        }
        scan.whole_size = at;
        scan.problem = judge(file, at, &scan.end);
        if (scan.problem == NULL && scan.entry_count == 0 && file.size < SEGMENT_OPEN_SIZE_MIN) {
            scan.problem = "the file was cut";
        }
    }
    if (scan.problem != NULL) {
        scan.end = SEGMENT_DAMAGED;
        scan.problem_at = at;
    }
    *ret_scan = scan;
}

void segment_cursor_init(struct segment_cursor *cursor, struct bytes file, size_t whole_size)
{
    memset(cursor, 0, sizeof(*cursor));
    cursor->file.base = file.base;
    cursor->file.size = whole_size;
    cursor->next_batch = FORMAT_SIZE;
}

bool segment_next(struct segment_cursor *cursor, struct segment_entry *ret_entry)
{
    const uint8_t *head;

    if (cursor->left == 0) {
        struct batch batch;

        if (cursor->next_batch >= cursor->file.size ||
            read_head(cursor->file, cursor->next_batch, &batch) != HEAD_OK) {
            return false;
        }
        cursor->left = batch.count;
        cursor->next_head = cursor->file.base + batch.at + PREAMBLE_SIZE;
        cursor->next_data = cursor->file.base + batch.head_end;
        cursor->next_batch = batch.data_end;
    }
    head = cursor->next_head;
    ret_entry->term = get_u64(head);
    ret_entry->type = head[8];
    ret_entry->data.base = cursor->next_data;
    ret_entry->data.size = get_u32(head + 12);
    cursor->next_head += ENTRY_HEAD_SIZE;
    cursor->next_data += ret_entry->data.size;
    cursor->left--;
    return true;
}
