/* The allocator that libraft is given: every block is zero when handed out and
 * wiped when freed.
 *
 * Why: libraft 0.15 writes header bytes that it never initialised to the
 * disk (and, through its own network code, to its peers), so bytes of a freed block - a
 * key, say - could leave the node. */
#ifndef QH_GLUE_HEAP_H
#define QH_GLUE_HEAP_H

/* Install it for the whole process, before the first call of libraft. It is
 * called from libuv's pool threads too and is thread-safe. Idempotent. */
void heap_install(void);

#endif
