/* The CRC-32 of libraft's files. */
#include "raft-glue/crc32.h"

#include <pthread.h>

#define POLYNOMIAL 0x04c11db7u
#define TOP_BIT 0x80000000u

static uint32_t table[256];
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
        table[i] = crc;
    }
}

uint32_t crc32_update(uint32_t crc, const void *base, size_t size)
{
    const uint8_t *next = base;

    (void)pthread_once(&table_once, table_fill);
    for (size_t i = 0; i < size; i++) {
        crc = (crc << 8) ^ table[(crc >> 24) ^ next[i]];
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
