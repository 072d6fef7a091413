/* The store: a tree of records by key, a second one of those that expire, and what a
 * transaction does to both. Records expire at the end of the transaction that
 * brings the revision they expire at, so that no state ever holds an expired one. */
#include "store/store.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/assert.h"
#include "store/state.h"
#include "store/txn.h"

/* A replica that skipped a committed transaction would differ from the others. */
static void require_memory(enum qh_err err)
{
    QH_ASSERT(err != QH_ENOMEM);
    QH_ASSERT(err == QH_OK);
}

QH_RESULT store_new(struct store **ret_store)
{
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return QH_ENOMEM;
    }
    store->now.records.order = TREE_BY_KEY;
    store->expiring.order = TREE_BY_EXPIRY;
    *ret_store = store;
    return QH_OK;
}

void store_free(struct store *store)
{
    if (store == NULL) {
        return;
    }
    tree_release(&store->expiring);
    tree_release(&store->now.records);
    free(store);
}

/* Account for @old, which has left the tree of records, and let go of it. */
static QH_RESULT drop_record(struct store *store, struct record *old)
{
    struct record *same = NULL;
    enum qh_err err = QH_OK;

    store->now.data_size -= (uint64_t)old->key_size + old->value_size;
    if (old->expires_at != 0) {
        err = tree_remove(&store->expiring, old, &same);
    }
    if (same != NULL) {
        QH_ASSERT(same == old);
        record_unref(same);
    }
    record_unref(old);
    return err;
}

QH_RESULT store_insert(struct store *store, struct record *record)
{
    struct record *old = NULL;
    struct record *none = NULL;
    enum qh_err err;

    err = tree_put(&store->now.records, record, &old);
    if (err != QH_OK) {
        record_unref(record);
        return err;
    }
    store->now.data_size += (uint64_t)record->key_size + record->value_size;
    /* The old one first: both may expire at the same revision. */
    if (old != NULL) {
        err = drop_record(store, old);
    }
    if (err == QH_OK && record->expires_at != 0) {
        err = tree_put(&store->expiring, record_ref(record), &none);
        if (err != QH_OK) {
            record_unref(record);
        }
        QH_ASSERT(none == NULL);
    }
    return err;
}

static bool compare_holds(const struct store *store, const struct txn_compare *compare)
{
    const struct record *record;

    switch (compare->kind) {
    case TXN_ABSENT:
        return tree_find(&store->now.records, compare->key) == NULL;
    case TXN_AT_REVISION:
        record = tree_find(&store->now.records, compare->key);
        return record != NULL && record->mod_revision == compare->argument;
    case TXN_FEWER_THAN:
        return store_count_prefix(store, compare->key) < compare->argument;
    }
    return false;
}

static void remove_record(struct store *store, const struct record *record)
{
    struct record *old = NULL;

    require_memory(tree_remove(&store->now.records, record, &old));
    require_memory(drop_record(store, old));
}

static void apply_put(struct store *store, const struct txn_write *write, uint64_t revision)
{
    const struct record *old = tree_find(&store->now.records, write->key);
    struct record *record = record_new(write->key, write->value);

    QH_ASSERT(record != NULL);
    record->create_revision = old != NULL ? old->create_revision : revision;
    record->mod_revision = revision;
    record->expires_at = write->expires_after > 0 ? revision + write->expires_after : 0;
    require_memory(store_insert(store, record));
}

static void apply_delete(struct store *store, const struct txn_write *write)
{
    const struct record *record = tree_find(&store->now.records, write->key);

    if (record != NULL) {
        remove_record(store, record);
    }
}

static void apply_writes(struct store *store, const struct txn *txn)
{
    uint64_t revision = store->now.revision + 1;
    const struct record *first;

    for (unsigned i = 0; i < txn->write_count; i++) {
        if (txn->writes[i].kind == TXN_PUT) {
            apply_put(store, &txn->writes[i], revision);
        } else {
            apply_delete(store, &txn->writes[i]);
        }
    }
    store->now.revision = revision;
    while ((first = tree_first(&store->expiring)) != NULL && first->expires_at <= revision) {
        remove_record(store, first);
    }
}

struct store_answer store_apply(struct store *store, struct bytes encoded)
{
    struct store_answer answer = {STORE_APPLIED, 0, store->now.revision};
    struct txn txn;

    if (txn_decode(encoded, &txn) != QH_OK) {
        answer.status = STORE_MALFORMED;
        return answer;
    }
    if (txn.valid_until != 0 && store->now.revision > txn.valid_until) {
        answer.status = STORE_TOO_LATE;
        return answer;
    }
    for (unsigned i = 0; i < txn.compare_count; i++) {
        if (!compare_holds(store, &txn.compares[i])) {
            answer.status = STORE_COMPARE_FAILED;
            answer.compare_index = i;
            return answer;
        }
    }
    if (txn.write_count > 0) {
        apply_writes(store, &txn);
    }
    answer.revision = store->now.revision;
    return answer;
}

uint64_t store_revision(const struct store *store)
{
    return store->now.revision;
}

uint64_t store_record_count(const struct store *store)
{
    return tree_count(&store->now.records);
}

uint64_t store_data_size(const struct store *store)
{
    return store->now.data_size;
}

static struct store_record public_record(const struct record *record)
{
    struct store_record public = {record_key(record), record_value(record), record->create_revision,
                                  record->mod_revision, record->expires_at};

    return public;
}

bool store_get(const struct store *store, struct bytes key, struct store_record *ret_record)
{
    const struct record *record = tree_find(&store->now.records, key);

    if (record == NULL) {
        return false;
    }
    *ret_record = public_record(record);
    return true;
}

uint64_t store_count_prefix(const struct store *store, struct bytes prefix)
{
    struct tree_place before = {TREE_BEFORE_KEY, prefix};
    struct tree_place after = {TREE_AFTER_PREFIXED, prefix};

    return tree_rank(&store->now.records, after) - tree_rank(&store->now.records, before);
}

struct scan {
    struct bytes prefix;
    store_visit visit;
    void *data;
};

static bool scan_record(void *data, const struct record *record)
{
    const struct scan *scan = data;
    struct store_record public = public_record(record);
    struct bytes head = public.key;

    if (head.size > scan->prefix.size) {
        head.size = scan->prefix.size;
    }
    return bytes_compare(head, scan->prefix) == 0 && scan->visit(scan->data, &public);
}

void store_scan(const struct store *store, struct bytes prefix, struct bytes after,
                store_visit visit, void *data)
{
    struct scan scan = {prefix, visit, data};
    struct tree_place place = {TREE_BEFORE_KEY, prefix};

    if (after.size > 0 && bytes_compare(after, prefix) >= 0) {
        place.side = TREE_AFTER_KEY;
        place.key = after;
    }
    tree_visit(&store->now.records, place, scan_record, &scan);
}

QH_RESULT store_freeze(struct store *store, struct store_view **ret_view)
{
    struct store_view *view = malloc(sizeof *view);

    if (view == NULL) {
        return QH_ENOMEM;
    }
    *view = store->now;
    view->records = tree_share(&store->now.records);
    *ret_view = view;
    return QH_OK;
}

void store_view_release(struct store_view *view)
{
    if (view == NULL) {
        return;
    }
    tree_release(&view->records);
    free(view);
}

uint64_t store_view_revision(const struct store_view *view)
{
    return view->revision;
}
