/* The clocks of the operating system. */
#include "base/clock.h"

#include <time.h>

#include "base/assert.h"

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;

    /* Fails only for a clock that does not exist. */
    QH_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ms(void)
{
    return clock_monotonic_ns() / 1000000u;
}

uint64_t clock_unix_ms(void)
{
    struct timespec now;

    QH_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
    if (now.tv_sec < 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
