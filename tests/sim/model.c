/* The naive record store. */
#include "tests/sim/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/txn.h"
#include "tests/sim/world.h"

#define BUCKETS 2048u

struct model_record {
    struct model_record *next;
    uint8_t *key;
    size_t key_size;
    uint8_t *value;
    size_t value_size;
    uint64_t create_revision, mod_revision, expires_at;
};

/* One table for answer records, of which there are many, and one for all else. */
static struct model_record *buckets[2][BUCKETS];
static uint64_t revision;

uint64_t model_revision(void)
{
    return revision;
}

static bool is_alive(const struct model_record *record)
{
    return record->expires_at == 0 || revision < record->expires_at;
}

static unsigned table_of(struct bytes key)
{
    return key.base[0] == 'r';
}

static struct model_record **find_place(struct bytes key)
{
    struct model_record **place = &buckets[table_of(key)][world_hash(key.base, key.size) % BUCKETS];

    while (*place != NULL &&
           ((*place)->key_size != key.size || memcmp((*place)->key, key.base, key.size) != 0)) {
        place = &(*place)->next;
    }
    return place;
}

static struct model_record *find(struct bytes key)
{
    struct model_record *record = *find_place(key);

    return record != NULL && is_alive(record) ? record : NULL;
}

static uint64_t count_in_table(unsigned table, struct bytes prefix)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        for (const struct model_record *record = buckets[table][i]; record != NULL;
             record = record->next) {
            if (is_alive(record) && record->key_size >= prefix.size &&
                (prefix.size == 0 || memcmp(record->key, prefix.base, prefix.size) == 0)) {
                count++;
            }
        }
    }
    return count;
}

static uint64_t count_prefix(struct bytes prefix)
{
    if (prefix.size > 0) {
        return count_in_table(table_of(prefix), prefix);
    }
    return count_in_table(0, prefix) + count_in_table(1, prefix);
}

static bool compare_holds(const struct txn_compare *compare)
{
    const struct model_record *record;

    switch (compare->kind) {
    case TXN_ABSENT:
        return find(compare->key) == NULL;
    case TXN_AT_REVISION:
        record = find(compare->key);
        return record != NULL && record->mod_revision == compare->argument;
    case TXN_FEWER_THAN:
        return count_prefix(compare->key) < compare->argument;
    }
    return false;
}

static void remove_record(struct bytes key)
{
    struct model_record **place = find_place(key);
    struct model_record *record = *place;

    if (record != NULL) {
        *place = record->next;
        free(record->key);
        free(record->value);
        free(record);
    }
}

/* What expires at @now is still present: a put on it is a change, not a creation. */
static void put_record(const struct txn_write *write, uint64_t now)
{
    const struct model_record *old = find(write->key);
    uint64_t create_revision = old == NULL ? now : old->create_revision;
    struct model_record **place;
    struct model_record *record = world_alloc(sizeof *record);

    remove_record(write->key);
    record->key = world_copy(write->key.base, write->key.size);
    record->key_size = write->key.size;
    record->value = world_copy(write->value.base, write->value.size);
    record->value_size = write->value.size;
    record->create_revision = create_revision;
    record->mod_revision = now;
    record->expires_at = write->expires_after == 0 ? 0 : now + write->expires_after;
    place = find_place(write->key);
    record->next = *place;
    *place = record;
}

struct store_answer model_apply(struct bytes transaction)
{
    struct store_answer answer = {.status = STORE_MALFORMED, .revision = revision};
    static struct txn txn;

    if (txn_decode(transaction, &txn) != QH_OK) {
        return answer;
    }
    if (txn.valid_until != 0 && revision > txn.valid_until) {
        answer.status = STORE_TOO_LATE;
        return answer;
    }
    for (unsigned i = 0; i < txn.compare_count; i++) {
        if (!compare_holds(&txn.compares[i])) {
            answer.status = STORE_COMPARE_FAILED;
            answer.compare_index = i;
            return answer;
        }
    }
    answer.status = STORE_APPLIED;
    for (unsigned i = 0; i < txn.write_count; i++) {
        if (txn.writes[i].kind == TXN_PUT) {
            put_record(&txn.writes[i], revision + 1);
        } else {
            remove_record(txn.writes[i].key);
        }
    }
    revision += txn.write_count > 0;
    answer.revision = revision;
    return answer;
}

/* Comparison with a store. */

struct comparison {
    uint64_t count;
    bool equal;
};

static bool compare_record(void *data, const struct store_record *record)
{
    struct comparison *comparison = data;
    const struct model_record *own = find(record->key);

    comparison->count++;
    comparison->equal =
        own != NULL && own->value_size == record->value.size &&
        (own->value_size == 0 || memcmp(own->value, record->value.base, own->value_size) == 0) &&
        own->create_revision == record->create_revision &&
        own->mod_revision == record->mod_revision && own->expires_at == record->expires_at;
    return comparison->equal;
}

bool model_equals(const struct store *store)
{
    struct comparison comparison = {.equal = true};
    struct bytes none = {0};

    store_scan(store, none, none, compare_record, &comparison);
    return comparison.equal && comparison.count == count_prefix(none) &&
           store_revision(store) == revision && store_record_count(store) == comparison.count;
}
