/* What the tests of the store share: spans of text, a seeded random source, short
 * ways to apply one write, and a snapshot as one block of bytes. */
#ifndef QH_TESTS_UNIT_STORE_FIXTURE_H
#define QH_TESTS_UNIT_STORE_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "store/txn.h"
#include "tests/lib/test.h"

static const uint8_t fixture_id[ONCE_ID_SIZE] = "0123456789abcdef";

static inline struct bytes text(const char *chars)
{
    struct bytes span = {(const uint8_t *)chars, strlen(chars)};

    return span;
}

/* splitmix64 */
struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t mixed = (rng->state += 0x9e3779b97f4a7c15u);

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* 0 to @limit - 1 */
static inline unsigned rng_below(struct rng *rng, unsigned limit)
{
    return (unsigned)(rng_next(rng) % limit);
}

static inline struct store *fixture_store(void)
{
    struct store *store = NULL;

    ck_assert_int_eq(store_new(&store), QH_OK);
    return store;
}

/* End the builder and apply what it built. */
static inline struct store_answer fixture_apply(struct store *store, struct txn_builder *builder)
{
    struct store_answer answer;
    struct bytes encoded = {NULL, 0};

    ck_assert_int_eq(txn_build_end(builder, &encoded), QH_OK);
    answer = store_apply(store, encoded);
    free((void *)(uintptr_t)encoded.base);
    return answer;
}

static inline struct store_answer fixture_put(struct store *store, const char *key,
                                              const char *value, uint32_t expires_after)
{
    struct txn_builder builder;

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_put(&builder, text(key), text(value), expires_after);
    return fixture_apply(store, &builder);
}

static inline struct store_answer fixture_delete(struct store *store, const char *key)
{
    struct txn_builder builder;

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_delete(&builder, text(key));
    return fixture_apply(store, &builder);
}

static inline struct store_answer fixture_compare(struct store *store, enum txn_compare_kind kind,
                                                  const char *key, uint64_t argument)
{
    struct txn_builder builder;

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_compare(&builder, kind, text(key), argument);
    return fixture_apply(store, &builder);
}

/* A snapshot's pieces in one block; the caller frees it. */
static inline uint8_t *fixture_flatten(const struct store_snapshot *snapshot)
{
    uint8_t *flat = malloc(snapshot->size);
    size_t size = 0;

    ck_assert_ptr_nonnull(flat);
    for (unsigned i = 0; i < snapshot->piece_count; i++) {
        ck_assert_uint_gt(snapshot->pieces[i].size, 0);
        ck_assert_uint_le(snapshot->pieces[i].size, snapshot->size - size);
        memcpy(flat + size, snapshot->pieces[i].base, snapshot->pieces[i].size);
        size += snapshot->pieces[i].size;
    }
    ck_assert_uint_eq(size, snapshot->size);
    return flat;
}

static inline uint8_t *fixture_encode_view(const struct store_view *view, size_t *ret_size)
{
    struct store_snapshot snapshot;
    uint8_t *flat;

    ck_assert_int_eq(store_snapshot_encode(view, &snapshot), QH_OK);
    flat = fixture_flatten(&snapshot);
    *ret_size = snapshot.size;
    store_snapshot_close(&snapshot);
    return flat;
}

static inline uint8_t *fixture_encode(struct store *store, size_t *ret_size)
{
    struct store_view *view = NULL;
    uint8_t *flat;

    ck_assert_int_eq(store_freeze(store, &view), QH_OK);
    flat = fixture_encode_view(view, ret_size);
    store_view_release(view);
    return flat;
}

#endif
