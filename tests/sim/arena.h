/* The heap of a simulated process: all of it goes when the process dies, however it
 * dies. Blocks are zero when handed out, as with raft-glue/heap.h, and poisoned when
 * freed, so that a use after free does harm; a block that is freed twice or by the
 * wrong process ends the run. */
#ifndef QH_SIM_ARENA_H
#define QH_SIM_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *first;
};

/* Make libraft allocate from the arena that is current. */
void arena_install(void);

/* NULL: nobody's, for what runs outside of every process. */
void arena_enter(struct arena *arena);

void arena_free_all(struct arena *arena);

#endif
