/* The monotonic clock of the operating system. */
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
