/* Any bytes as a transaction: they decode or not, a decoded one is built again from its
 * parts as the same bytes, and a small store that applies it stays one that a snapshot
 * brings back. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/store.h"
#include "store/txn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t setup_id[ONCE_ID_SIZE] = {0};

static struct bytes text(const char *chars)
{
    struct bytes span = {(const uint8_t *)chars, strlen(chars)};

    return span;
}

static void free_encoded(struct bytes encoded)
{
    free((void *)(uintptr_t)encoded.base);
}

static void check_canonical(struct bytes encoded, const struct txn *txn)
{
    struct bytes again = {NULL, 0};
    struct txn_builder builder;

    txn_build_plain(&builder, txn->id, txn->valid_until);
    for (unsigned i = 0; i < txn->compare_count; i++) {
        txn_build_compare(&builder, txn->compares[i].kind, txn->compares[i].key,
                          txn->compares[i].argument);
    }
    for (unsigned i = 0; i < txn->write_count; i++) {
        const struct txn_write *write = &txn->writes[i];

        if (write->kind == TXN_PUT) {
            txn_build_put(&builder, write->key, write->value, write->expires_after);
        } else {
            txn_build_delete(&builder, write->key);
        }
    }
    QH_ASSERT(txn_build_end(&builder, &again) == QH_OK);
    QH_ASSERT(bytes_compare(again, encoded) == 0);
    free_encoded(again);
}

static struct store *small_store(void)
{
    static const char *const keys[] = {"a", "ab", "b", "k", "p/1", "p/2"};
    struct bytes encoded = {NULL, 0};
    struct txn_builder builder;
    struct store *store = NULL;

    txn_build_plain(&builder, setup_id, 0);
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        txn_build_put(&builder, text(keys[i]), text("value"), i);
    }
    QH_ASSERT(txn_build_end(&builder, &encoded) == QH_OK);
    QH_ASSERT(store_new(&store) == QH_OK);
    QH_ASSERT(store_apply(store, encoded).status == STORE_APPLIED);
    free_encoded(encoded);
    return store;
}

/* The store's snapshot must be accepted, and give the same state. */
static void check_store(const struct store *store, struct store_view *view)
{
    uint8_t digest[STORE_DIGEST_SIZE], again[STORE_DIGEST_SIZE];
    struct store_snapshot snapshot;
    struct store *rebuilt = NULL;
    struct bytes encoded;
    uint8_t *flat, *next;

    QH_ASSERT(store_snapshot_encode(view, &snapshot) == QH_OK);
    next = flat = malloc(snapshot.size);
    QH_ASSERT(flat != NULL);
    for (unsigned i = 0; i < snapshot.piece_count; i++) {
        memcpy(next, snapshot.pieces[i].base, snapshot.pieces[i].size);
        next += snapshot.pieces[i].size;
    }
    encoded.base = flat;
    encoded.size = snapshot.size;
    QH_ASSERT(store_snapshot_decode(encoded, &rebuilt) == QH_OK);
    QH_ASSERT(store_digest(store, digest) == QH_OK);
    QH_ASSERT(store_digest(rebuilt, again) == QH_OK);
    QH_ASSERT(memcmp(digest, again, sizeof digest) == 0);
    store_free(rebuilt);
    free(flat);
    store_snapshot_close(&snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes encoded = {data, size};
    struct store *store = small_store();
    struct store_view *before = NULL, *after = NULL;
    struct store_answer answer;
    struct txn txn;
    bool decoded = txn_decode(encoded, &txn) == QH_OK;

    if (decoded) {
        check_canonical(encoded, &txn);
    }
    QH_ASSERT(store_freeze(store, &before) == QH_OK);
    answer = store_apply(store, encoded);
    QH_ASSERT(decoded == (answer.status != STORE_MALFORMED));
    QH_ASSERT(answer.revision == store_revision(store));
    QH_ASSERT(store_revision(store) - store_view_revision(before) ==
              (answer.status == STORE_APPLIED && txn.write_count > 0));
    QH_ASSERT(store_freeze(store, &after) == QH_OK);
    check_store(store, after);
    store_view_release(before);
    store_view_release(after);
    store_free(store);
    return 0;
}
