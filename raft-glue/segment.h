/* raft_uv's log files (0.15.0), read without libraft. Little-endian:
 *
 *   u64 format (1)
 *   batches: u32 CRC of the head, u32 CRC of the data,
 *            head: u64 count; entries: u64 term, u8 type, 3 bytes of no meaning, u32 size;
 *            then the data of all entries
 *
 * A closed segment is named after its first and last index and ends with its last batch. An open
 * one is preallocated with zeroes, and written from the start by one write after the
 * other, each of one or more batches. Nothing is acknowledged before its write is done, so a crash
 * may tear only the last write of the last segment: then sectors of it are still the
 * zeroes that were there before.
 *
 * That is how damage is told from a torn write. A batch that cannot be read is torn if some whole
 * sector of it is zero, nothing readable follows, and no single flipped bit
 * explains it; everything else was whole once and has been changed since. What
 * cannot be told apart: a last write that lost a whole sector after it was acknowledged
 * (a disk that lies), and a segment cut exactly between two batches. */
#ifndef QH_GLUE_SEGMENT_H
#define QH_GLUE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define SEGMENT_COUNT_MAX 262144u         /* entries in a batch that libraft reads back */
#define SEGMENT_SECTOR_SIZE 512u          /* bytes that a disk writes whole or not at all */
#define SEGMENT_OPEN_SIZE_MIN (64u << 10) /* bytes that an open segment is preallocated with */

/* How a segment ends, after its last whole batch. */
enum segment_end {
    SEGMENT_EXACT,      /* with it: closed, or about to be */
    SEGMENT_UNWRITTEN,  /* no batch, nothing but zeroes */
    SEGMENT_ZEROES,     /* zeroes follow */
    SEGMENT_CRAMPED,    /* fewer than 16 zeroes follow: libraft fails, and frees twice */
    SEGMENT_TORN,       /* part of a write that never ended; libraft leaves it out */
    SEGMENT_TORN_FATAL, /* the same, but of a kind that libraft cannot start from */
    SEGMENT_DAMAGED
};

struct segment_scan {
    enum segment_end end;
    uint64_t entry_count; /* in whole batches */
    size_t whole_size;    /* bytes up to the end of the last whole batch */
    const char *problem;  /* SEGMENT_DAMAGED: what is wrong, else NULL; static */
    size_t problem_at;    /* offset of the batch that it is about */
};

void segment_scan(struct bytes file, struct segment_scan *ret_scan);

/* One entry after the other, from the first @whole_size bytes of a scanned segment. */
struct segment_entry {
    uint64_t term;
    unsigned type; /* RAFT_COMMAND, ... */
    struct bytes data;
};

struct segment_cursor {
    struct bytes file; /* up to the end of the last whole batch */
    size_t next_batch;
    const uint8_t *next_head;
    const uint8_t *next_data;
    uint64_t left; /* entries of this batch */
};

void segment_cursor_init(struct segment_cursor *cursor, struct bytes file, size_t whole_size);
/* False at the end. The data points into the file. */
bool segment_next(struct segment_cursor *cursor, struct segment_entry *ret_entry);

#endif
