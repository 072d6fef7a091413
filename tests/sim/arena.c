/* One list of blocks for each simulated process. */
#include "tests/sim/arena.h"

#include <raft.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define BLOCK_LIVE 0x6c697665626c6f63ull
#define BLOCK_FREED 0x6465616464656164ull
#define POISON 0xdd

struct arena_block {
    struct arena_block *previous;
    struct arena_block *next;
    struct arena *arena;
    size_t size;
    uint64_t state;
    uint64_t padding; /* keeps what follows aligned to 16 bytes */
};

static struct arena nobody;
static struct arena *current = &nobody;

void arena_enter(struct arena *arena)
{
    current = arena == NULL ? &nobody : arena;
}

static void *arena_malloc(void *data, size_t size)
{
    struct arena_block *block = calloc(1, sizeof *block + size);

    (void)data;
    QH_ASSERT(block != NULL);
    block->arena = current;
    block->size = size;
    block->state = BLOCK_LIVE;
    block->next = current->first;
    if (block->next != NULL) {
        block->next->previous = block;
    }
    current->first = block;
    return block + 1;
}

static void arena_free(void *data, void *ptr)
{
    struct arena_block *block;

    (void)data;
    if (ptr == NULL) {
        return;
    }
    block = (struct arena_block *)ptr - 1;
    QH_ASSERT(block->state == BLOCK_LIVE);
    QH_ASSERT(block->arena == current);
    if (block->previous != NULL) {
        block->previous->next = block->next;
    } else {
        block->arena->first = block->next;
    }
    if (block->next != NULL) {
        block->next->previous = block->previous;
    }
    block->state = BLOCK_FREED;
    memset(ptr, POISON, block->size);
    free(block);
}

static void *arena_calloc(void *data, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return arena_malloc(data, total);
}

static void *arena_realloc(void *data, void *ptr, size_t size)
{
    void *grown = arena_malloc(data, size);

    if (ptr != NULL) {
        const struct arena_block *block = (struct arena_block *)ptr - 1;

        memcpy(grown, ptr, block->size < size ? block->size : size);
        arena_free(data, ptr);
    }
    return grown;
}

static void *arena_aligned_alloc(void *data, size_t alignment, size_t size)
{
    QH_ASSERT(alignment <= 16); /* raft_uv alone wants more, and is not here */
    return arena_malloc(data, size);
}

static void arena_aligned_free(void *data, size_t alignment, void *ptr)
{
    (void)alignment;
    arena_free(data, ptr);
}

void arena_install(void)
{
    static struct raft_heap functions = {
        .malloc = arena_malloc,
        .free = arena_free,
        .calloc = arena_calloc,
        .realloc = arena_realloc,
        .aligned_alloc = arena_aligned_alloc,
        .aligned_free = arena_aligned_free,
    };

    raft_heap_set(&functions);
}

void arena_free_all(struct arena *arena)
{
    while (arena->first != NULL) {
        struct arena_block *block = arena->first;

        arena->first = block->next;
        free(block);
    }
}
