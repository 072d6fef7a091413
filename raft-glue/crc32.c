/* The CRC-32 of libraft's files. */
#include "raft-glue/crc32.h"

#include <pthread.h>

#define POLYNOMIAL 0x04c11db7u
#define TOP_BIT 0x80000000u

/* table[n][byte] is what a byte with n bytes behind it adds: eight are done at a time, for a
 * start reads the whole log and snapshot. */
#define STRIDE 8u
static uint32_t table[STRIDE][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

/* Multiply by x in the field of the polynomial. */
static uint32_t step(uint32_t crc)
{
    return (crc & TOP_BIT) != 0 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
}

static void table_fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i << 24;

        for (unsigned bit = 0; bit < 8; bit++) {
            crc = step(crc);
        }
        table[0][i] = crc;
    }
    for (unsigned n = 1; n < STRIDE; n++) {
        for (unsigned i = 0; i < 256; i++) {
            uint32_t crc = table[n - 1][i];

            table[n][i] = (crc << 8) ^ table[0][crc >> 24];
        }
    }
}

/* Eight bytes at @next. */
static uint32_t update_stride(uint32_t crc, const uint8_t *next)
{
    crc ^= (uint32_t)next[0] << 24 | (uint32_t)next[1] << 16 | (uint32_t)next[2] << 8 | next[3];
    return table[7][crc >> 24] ^ table[6][crc >> 16 & 0xff] ^ table[5][crc >> 8 & 0xff] ^
           table[4][crc & 0xff] ^ table[3][next[4]] ^ table[2][next[5]] ^ table[1][next[6]] ^
           table[0][next[7]];
}

uint32_t crc32_update(uint32_t crc, const void *base, size_t size)
{
    const uint8_t *next = base;

    (void)pthread_once(&table_once, table_fill);
    for (; size >= STRIDE; size -= STRIDE) {
        crc = update_stride(crc, next);
        next += STRIDE;
    }
    for (; size > 0; size--) {
        crc = (crc << 8) ^ table[0][(crc >> 24) ^ *next];
        next++;
    }
    return crc;
}

/* A CRC is linear: one flipped bit, p bits before the end, changes it by x^(32 + p). */
bool crc32_one_flip(uint32_t stored, uint32_t actual, size_t size)
{
    uint32_t difference = stored ^ actual;
    uint32_t change = POLYNOMIAL; /* x^32 */

    if (difference != 0 && (difference & (difference - 1)) == 0) {
        return true;
    }
    if (size > CRC32_FLIP_SIZE_MAX) {
        return false;
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        if (change == difference) {
            return true;
        }
        change = step(change);
    }
    return false;
}
