/* The wiping allocator: libraft's memory functions over malloc(). Zeroes are written when a
 * block is freed, so that no secret outlives its block, and the block is zero when handed out,
 * so that bytes left by anybody else's free() do not leave the node either. */
#include "raft-glue/heap.h"

#include <malloc.h>
#include <raft.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Zero the whole block, with the bytes past the size that was asked for: a later
 * heap_realloc() copies by the block's usable size, the only one known then. */
static void *block_clear(void *block)
{
    if (block != NULL) {
        explicit_bzero(block, malloc_usable_size(block));
    }
    return block;
}

static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    return block_clear(malloc(size));
}

static void heap_free(void *data, void *block)
{
    (void)data;
    free(block_clear(block));
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return heap_malloc(data, total);
}

/* Never in place: realloc() itself would free the old block without wiping it. */
static void *heap_realloc(void *data, void *block, size_t size)
{
    void *grown = heap_malloc(data, size);

    if (grown != NULL && block != NULL) {
        size_t usable = malloc_usable_size(block);

        memcpy(grown, block, usable < size ? usable : size);
        heap_free(data, block);
    }
    return grown;
}

static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    (void)data;
    return block_clear(aligned_alloc(alignment, size));
}

static void heap_aligned_free(void *data, size_t alignment, void *block)
{
    (void)alignment;
    heap_free(data, block);
}

void heap_install(void)
{
    static struct raft_heap heap = {
        .malloc = heap_malloc,
        .free = heap_free,
        .calloc = heap_calloc,
        .realloc = heap_realloc,
        .aligned_alloc = heap_aligned_alloc,
        .aligned_free = heap_aligned_free,
    };

    raft_heap_set(&heap);
}
