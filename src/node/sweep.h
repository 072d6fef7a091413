/* Removes the objects of partitions that are gone, some at a time, at the node that leads. Their
 * key went with the partition's record, so that nothing depends on when this happens, nor on
 * the node that deleted the partition: whoever leads goes on. Thread: control. */
#ifndef QH_NODE_SWEEP_H
#define QH_NODE_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "raft-glue/replica.h"

#define SWEEP_INTERVAL_MS 1000u /* between looks when nothing is to be done */
#define SWEEP_DELETES_MAX 48u   /* objects a transaction */

struct sweep { /* zero at first */
    bool proposed;
    uint64_t next_ms;
};

/* Look, and propose the next removals. */
void sweep_tick(struct sweep *sweep, struct replica *replica, uint64_t now_ms);

/* The transaction that removes the next ones. Errors: QH_ENOTFOUND (there are none), QH_ENOMEM.
 * Owns: free(ret_transaction->base). */
QH_RESULT sweep_build(const struct store *store, struct bytes *ret_transaction);

#endif
