/* Idle connections to one node, the last one used on top. Thread: the owner's lock. */
#ifndef QH_CLIENT_POOL_H
#define QH_CLIENT_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "client/connection.h"

#define POOL_ROOM 64u       /* more are closed */
#define POOL_IDLE_MS 60000u /* then one is closed, unless it is kept warm */

struct pool_entry {
    struct connection *connection;
    uint64_t since_ms;
};

struct pool {
    struct pool_entry entries[POOL_ROOM];
    size_t count;
};

/* What these give back is closed by the caller, outside the lock. */
struct connection *pool_take(struct pool *pool, uint64_t *ret_since_ms); /* NULL: none is idle */
struct connection *pool_put(struct pool *pool, struct connection *connection,
                            uint64_t now_ms); /* NULL: it was kept */
/* The oldest that is too old while more than @keep are there; NULL: none. */
struct connection *pool_expire(struct pool *pool, uint64_t now_ms, size_t keep);
/* After a fork: none of them is ours. */
void pool_forget(struct pool *pool);

#endif
