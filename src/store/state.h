/* What a store and a view are made of; for store.c and snapshot.c alone. */
#ifndef QH_STORE_STATE_H
#define QH_STORE_STATE_H

#include <stdint.h>

#include "base/limits.h"
#include "store/record.h"
#include "store/store.h"
#include "store/tree.h"

/* A revision that no history reaches. A snapshot may not claim a higher one, so that
 * revision plus expires_after never wraps. */
#define STORE_REVISION_MAX (UINT64_MAX / 2)

/* Thread: the owner's, but that any one thread may read a view's. */
struct store_view {
    struct tree records; /* by key */
    uint64_t revision;
    uint64_t data_size; /* keys and values, in bytes */
};

struct store {
    struct store_view now; /* what a freeze copies */
    struct tree expiring;  /* the records that expire, by expiry; never shared */
};

/* Put @record, in place of one with its key.
 * Errors: QH_ENOMEM; after that the store is good for store_free() alone.
 * Owns:   takes over the caller's count of @record, on failure too. */
QH_RESULT store_insert(struct store *store, struct record *record);

/* store_snapshot_encode() with another limit of the size. */
QH_RESULT store_snapshot_encode_within(const struct store_view *view, uint64_t size_max,
                                       struct store_snapshot *ret_snapshot);

#endif
