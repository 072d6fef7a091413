/* Whether a secret stands anywhere in the memory of a test's own process, after everything that
 * held it was freed. What is looked for is kept turned over, so that the search does not find
 * itself. */
#ifndef QH_TESTS_UNIT_MEMORY_SCAN_H
#define QH_TESTS_UNIT_MEMORY_SCAN_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/lib/test.h"

static inline bool stands_at(const uint8_t *place, const uint8_t needle[24])
{
    size_t same = 0;

    while (same < 24 && needle[same] == (uint8_t)(place[same] ^ 0xa5u)) {
        same++;
    }
    return same == 24;
}

/* How often the 24 bytes at @needle, each turned over, stand in this process's writable memory. */
static inline unsigned count_in_memory(const uint8_t needle[24])
{
    static uint8_t window[1 << 16];
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY);
    unsigned count = 0;
    char line[512];

    ck_assert(maps != NULL && memory >= 0);
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long long start, end;
        char flags[8];

        /* What shadows or poisons memory is large, and not ours. */
        if (sscanf(line, "%llx-%llx %7s", &start, &end, flags) != 3 || flags[1] != 'w' ||
            end - start > (64u << 20)) {
            continue;
        }
        for (unsigned long long at = start; at < end; at += sizeof window - 24) {
            ssize_t got = pread(memory, window, sizeof window, (off_t)at);

            for (ssize_t i = 0; i + 24 <= got; i++) {
                count += stands_at(window + i, needle);
            }
            memset(window, 0, sizeof window);
        }
    }
    (void)fclose(maps);
    (void)close(memory);
    return count;
}

/* 24 bytes of @value. Numbers stand in memory the other way round too. */
static inline void turn_over(struct bytes value, uint8_t ret_forward[24], uint8_t ret_backward[24])
{
    for (size_t i = 0; i < 24; i++) {
        ret_forward[i] = value.base[4 + i] ^ 0xa5;
        ret_backward[23 - i] = value.base[4 + i] ^ 0xa5;
    }
}

#endif
