/* Removes the objects of partitions that are gone. */
#include "node/sweep.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "hsm/record.h"
#include "store/txn.h"

#define SWEEP_TIMEOUT_MS 10000u

/* ---- finding ---- */

static bool visit_first(void *data, const struct store_record *record)
{
    struct record_key *found = data;

    if (record->key.size <= sizeof found->base) {
        memcpy(found->base, record->key.base, record->key.size);
        found->size = record->key.size;
    }
    return false;
}

/* A partition that has objects and no record. One look costs as many steps as there are partitions
 * with objects, however many objects they have. */
static bool find_orphan(const struct store *store, uint8_t ret_partition[PARTITION_ID_SIZE])
{
    struct record_key prefix = record_prefix("o");
    struct record_key after = {.size = 0};

    for (;;) {
        struct record_key found = {.size = 0};
        const uint8_t *partition, *object;
        struct record_key key;
        struct store_record record;

        store_scan(store, record_key_bytes(&prefix), record_key_bytes(&after), visit_first, &found);
        if (!record_key_is_object(record_key_bytes(&found), &partition, &object)) {
            return false;
        }
        key = record_key_partition(partition);
        if (!store_get(store, record_key_bytes(&key), &record)) {
            memcpy(ret_partition, partition, PARTITION_ID_SIZE);
            return true;
        }
        /* Behind the last object that the partition can have. */
        after = record_prefix_objects(partition);
        memset(after.base + after.size, 0xff, OBJECT_ID_SIZE);
        after.size += OBJECT_ID_SIZE;
    }
}

struct removal {
    struct txn_builder *builder;
    unsigned count;
};

static bool visit_object(void *data, const struct store_record *record)
{
    struct removal *removal = data;

    txn_build_delete(removal->builder, record->key);
    return ++removal->count < SWEEP_DELETES_MAX;
}

QH_RESULT sweep_build(const struct store *store, struct bytes *ret_transaction)
{
    static const uint8_t answer = 1;
    uint8_t partition[PARTITION_ID_SIZE], id[ONCE_ID_SIZE];
    struct record_key key, prefix;
    struct txn_builder builder;
    struct removal removal = {&builder, 0};

    if (!find_orphan(store, partition)) {
        return QH_ENOTFOUND;
    }
    key = record_key_partition(partition);
    prefix = record_prefix_objects(partition);
    randombytes_buf(id, sizeof id);
    txn_build_once(&builder, id, store_revision(store), (struct bytes){&answer, sizeof answer});
    txn_build_compare(&builder, TXN_ABSENT, record_key_bytes(&key), 0);
    store_scan(store, record_key_bytes(&prefix), (struct bytes){NULL, 0}, visit_object, &removal);
    return txn_build_end(&builder, ret_transaction);
}

/* ---- removing ---- */

static void on_removed(void *data, const struct propose_result *result)
{
    struct sweep *sweep = data;

    sweep->proposed = false;
    /* There may be more. After a failure it is tried again later. */
    sweep->next_ms =
        result->outcome == PROPOSE_APPLIED ? 0 : clock_monotonic_ms() + SWEEP_INTERVAL_MS;
}

void sweep_tick(struct sweep *sweep, struct replica *replica, uint64_t now_ms)
{
    struct replica_status status;
    struct bytes transaction;

    if (sweep->proposed || now_ms < sweep->next_ms) {
        return;
    }
    sweep->next_ms = now_ms + SWEEP_INTERVAL_MS;
    replica_status(replica, &status);
    if (!status.ready || sweep_build(replica_store(replica), &transaction) != QH_OK) {
        return;
    }
    sweep->proposed =
        replica_propose(replica, transaction, SWEEP_TIMEOUT_MS, on_removed, sweep) == QH_OK;
    free((void *)(uintptr_t)transaction.base);
}
