/* A stack of idle connections. */
#include "client/pool.h"

#include <string.h>

struct connection *pool_take(struct pool *pool, uint64_t *ret_since_ms)
{
    const struct pool_entry *entry;

    if (pool->count == 0) {
        return NULL;
    }
    entry = &pool->entries[--pool->count];
    *ret_since_ms = entry->since_ms;
    return entry->connection;
}

struct connection *pool_put(struct pool *pool, struct connection *connection, uint64_t now_ms)
{
    if (pool->count == POOL_ROOM) {
        return connection;
    }
    pool->entries[pool->count++] =
        (struct pool_entry){.connection = connection, .since_ms = now_ms};
    return NULL;
}

struct connection *pool_expire(struct pool *pool, uint64_t now_ms, size_t keep)
{
    struct connection *oldest;

    if (pool->count <= keep || now_ms < pool->entries[0].since_ms + POOL_IDLE_MS) {
        return NULL;
    }
    oldest = pool->entries[0].connection;
    pool->count--;
    memmove(pool->entries, pool->entries + 1, pool->count * sizeof pool->entries[0]);
    return oldest;
}

void pool_forget(struct pool *pool)
{
    pool->count = 0;
}
