/* The clocks. Only the outermost parts of a program read it; the
 * store, the crypto and the propose logic are given the time. */
#ifndef QH_BASE_CLOCK_H
#define QH_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ns(void);
uint64_t clock_monotonic_ms(void);

/* Milliseconds since 1970 by the wall clock, which may jump: for what has to mean the same on all
 * nodes and after a restart (tickets, certificates), never for a wait. 0 if it is set before. */
uint64_t clock_unix_ms(void);

#endif
