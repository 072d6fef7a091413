/* The CRC-32 of libraft's files: polynomial 0x04c11db7, most significant bit first, starting from
 * zero, nothing inverted. */
#ifndef QH_GLUE_CRC32_H
#define QH_GLUE_CRC32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Continue @crc (0 at first) over @size bytes. Thread: any. */
uint32_t crc32_update(uint32_t crc, const void *base, size_t size);

/* Could one flipped bit in @size bytes, or in the stored sum itself, be all that makes @actual
 * differ from @stored? For at most CRC32_FLIP_SIZE_MAX bytes; beyond, only a flip in the sum is
 * found. */
#define CRC32_FLIP_SIZE_MAX (8u << 20)
bool crc32_one_flip(uint32_t stored, uint32_t actual, size_t size);

#endif
