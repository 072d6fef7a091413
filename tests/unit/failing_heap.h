/* Makes one allocation fail, chosen by countdown. For programs of one source file that
 * are linked with WRAP_HEAP. */
#ifndef QH_TESTS_UNIT_FAILING_HEAP_H
#define QH_TESTS_UNIT_FAILING_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* 0: none fails. Else the so-manyth allocation from now on fails, and those after it do not. */
static unsigned heap_countdown;

/* The names that the linker's --wrap asks for. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *base, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *base, size_t size);

static inline bool heap_fails(void)
{
    return heap_countdown > 0 && --heap_countdown == 0;
}

void *__wrap_malloc(size_t size)
{
    return heap_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return heap_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *base, size_t size)
{
    return heap_fails() ? NULL : __real_realloc(base, size);
}

/* End the countdown. True if the chosen allocation was never asked for. */
static inline bool heap_spared(void)
{
    bool spared = heap_countdown > 0;

    heap_countdown = 0;
    return spared;
}

#endif
