/* Virtual handles: numbers of 64 bits, each given once in a process, and the items they stand for.
 * Thread: the caller's lock. */
#ifndef QH_PKCS11_HANDLE_H
#define QH_PKCS11_HANDLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Embedded in the items, which stay the caller's. */
struct handle_item {
    uint64_t handle;
    struct handle_item *next; /* in its bucket */
};

struct handle_table {
    struct handle_item **buckets;
    size_t bucket_count; /* 0 or a power of two */
    size_t count;
    size_t count_max;
    uint64_t last; /* given */
};

void handle_table_init(struct handle_table *table, size_t count_max);
/* Forgets all items. The numbers go on where they were: an old handle is never a new item. */
void handle_table_close(struct handle_table *table);

/* Give @item a number, never 0. Errors: QH_ELIMIT, QH_ENOMEM. */
QH_RESULT handle_add(struct handle_table *table, struct handle_item *item);
/* NULL if there is none. */
struct handle_item *handle_find(const struct handle_table *table, uint64_t handle);
void handle_remove(struct handle_table *table, struct handle_item *item);

/* Any item, for emptying; NULL if there is none. */
struct handle_item *handle_any(const struct handle_table *table);

#endif
