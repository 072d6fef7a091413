/* The monotonic clock. Only the outermost parts of a program read it; the
 * store, the crypto and the propose logic are given the time. */
#ifndef QH_BASE_CLOCK_H
#define QH_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ns(void);
uint64_t clock_monotonic_ms(void);

#endif
