/* Snapshots: the format, every way in which bytes can be wrong, memory that is missing,
 * and a view that is encoded while its store goes on. */
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>

#include "base/assert.h"
#include "store/state.h"
#include "tests/unit/failing_heap.h"
#include "tests/unit/store_fixture.h"

#define CHECKSUM_SIZE 32u
/* Where the fields of a snapshot with one record stand. */
#define AT_VERSION 8u
#define AT_ZERO 12u
#define AT_REVISION 16u
#define AT_COUNT 24u
#define AT_RECORD 32u
#define AT_KEY_SIZE (AT_RECORD + 0u)
#define AT_VALUE_SIZE (AT_RECORD + 2u)
#define AT_CREATE (AT_RECORD + 6u)
#define AT_MOD (AT_RECORD + 14u)
#define AT_EXPIRES (AT_RECORD + 22u)
#define AT_KEY (AT_RECORD + 30u)

static char *repeat(char character, size_t size)
{
    char *chars = calloc(1, size + 1);

    QH_ASSERT(chars != NULL);
    memset(chars, character, size);
    return chars;
}

/* A few records of every shape. */
static struct store *sample_store(void)
{
    struct store *store = fixture_store();
    char *long_key = repeat('k', STORE_KEY_SIZE_MAX);
    char *value = repeat('v', 1000);

    (void)fixture_put(store, "gone", "", 2);
    (void)fixture_put(store, "b", "to be replaced", 0);
    (void)fixture_put(store, "a", "", 0);
    (void)fixture_put(store, "b", "small", 100);
    (void)fixture_put(store, long_key, value, 0);
    (void)fixture_put(store, "z", value, STORE_EXPIRES_AFTER_MAX);
    free(long_key);
    free(value);
    return store;
}

/* One record, "k" = "v", made at 1, put at 2, expiring at 12, in a store at 3. */
static uint8_t *small_snapshot(size_t *ret_size)
{
    struct store *store = fixture_store();
    uint8_t *flat;

    (void)fixture_put(store, "k", "x", 0);
    (void)fixture_put(store, "k", "v", 10);
    (void)fixture_delete(store, "nobody");
    flat = fixture_encode(store, ret_size);
    store_free(store);
    return flat;
}

static void seal(uint8_t *flat, size_t size)
{
    ck_assert_int_eq(crypto_generichash(flat + size - CHECKSUM_SIZE, CHECKSUM_SIZE, flat,
                                        size - CHECKSUM_SIZE, NULL, 0),
                     0);
}

static void write_number(uint8_t *base, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++) {
        base[i] = (uint8_t)(value >> (8 * i));
    }
}

static enum qh_err decode(const uint8_t *flat, size_t size)
{
    struct bytes encoded = {flat, size};
    struct store *const untouched = (struct store *)(uintptr_t)flat;
    struct store *store = untouched;
    enum qh_err err = store_snapshot_decode(encoded, &store);

    if (err == QH_OK) {
        store_free(store);
    } else {
        ck_assert_ptr_eq(store, untouched);
    }
    return err;
}

static void assert_round_trip(struct store *store)
{
    struct store *again = NULL;
    size_t size, again_size;
    uint8_t *flat = fixture_encode(store, &size), *flat_again;
    struct bytes encoded = {flat, size};

    ck_assert_int_eq(store_snapshot_decode(encoded, &again), QH_OK);
    ck_assert_uint_eq(store_revision(again), store_revision(store));
    ck_assert_uint_eq(store_record_count(again), store_record_count(store));
    ck_assert_uint_eq(store_data_size(again), store_data_size(store));
    flat_again = fixture_encode(again, &again_size);
    ck_assert_uint_eq(size, again_size);
    ck_assert_mem_eq(flat, flat_again, size);
    free(flat);
    free(flat_again);
    store_free(again);
}

START_TEST(a_snapshot_comes_back_as_the_same_store)
{
    struct store *store = fixture_store();

    assert_round_trip(store);
    store_free(store);
    store = sample_store();
    ck_assert_uint_eq(store_record_count(store), 4);
    assert_round_trip(store);
    store_free(store);
}
END_TEST

START_TEST(the_format_is_the_documented_one)
{
    static const char expected[] = "QHSNAP1\0"
                                   "\x01\0\0\0\0\0\0\0"
                                   "\x03\0\0\0\0\0\0\0"
                                   "\x01\0\0\0\0\0\0\0"
                                   "\x01\0\x01\0\0\0"
                                   "\x01\0\0\0\0\0\0\0"
                                   "\x02\0\0\0\0\0\0\0"
                                   "\x0c\0\0\0\0\0\0\0"
                                   "kv";
    uint8_t checksum[CHECKSUM_SIZE];
    size_t size;
    uint8_t *flat = small_snapshot(&size);

    ck_assert_uint_eq(size, sizeof expected - 1 + CHECKSUM_SIZE);
    ck_assert_mem_eq(flat, expected, sizeof expected - 1);
    ck_assert_int_eq(
        crypto_generichash(checksum, CHECKSUM_SIZE, flat, size - CHECKSUM_SIZE, NULL, 0), 0);
    ck_assert_mem_eq(flat + size - CHECKSUM_SIZE, checksum, CHECKSUM_SIZE);
    free(flat);
}
END_TEST

START_TEST(large_values_stay_where_they_are)
{
    struct store *store = fixture_store();
    struct store_view *view = NULL;
    struct store_snapshot snapshot;
    struct store_record record;
    char *value = repeat('v', 129);

    (void)fixture_put(store, "large", value, 0);
    value[128] = '\0';
    (void)fixture_put(store, "small", value, 0); /* copied: 128 is the limit */
    (void)fixture_put(store, "tiny", "", 0);
    ck_assert_int_eq(store_freeze(store, &view), QH_OK);
    ck_assert_int_eq(store_snapshot_encode(view, &snapshot), QH_OK);
    ck_assert(store_get(store, text("large"), &record));
    ck_assert_uint_eq(snapshot.piece_count, 4);
    ck_assert_ptr_eq(snapshot.pieces[1].base, record.value.base);
    ck_assert_uint_eq(snapshot.pieces[1].size, 129);
    ck_assert_uint_eq(snapshot.pieces[3].size, CHECKSUM_SIZE);
    store_snapshot_close(&snapshot);
    ck_assert_ptr_null(snapshot.pieces);
    store_view_release(view);
    store_free(store);
    free(value);
}
END_TEST

START_TEST(the_size_limit_holds_on_both_sides)
{
    struct store *store = sample_store();
    struct store_view *view = NULL;
    struct store_snapshot snapshot = {0};
    uint64_t size;

    ck_assert_int_eq(store_freeze(store, &view), QH_OK);
    ck_assert_int_eq(store_snapshot_encode(view, &snapshot), QH_OK);
    size = snapshot.size;
    store_snapshot_close(&snapshot);
    ck_assert_int_eq(store_snapshot_encode_within(view, size - 1, &snapshot), QH_ELIMIT);
    ck_assert_ptr_null(snapshot.pieces);
    ck_assert_int_eq(store_snapshot_encode_within(view, size, &snapshot), QH_OK);
    store_snapshot_close(&snapshot);
    store_view_release(view);
    store_free(store);
}
END_TEST

START_TEST(the_digest_is_the_snapshots_checksum)
{
    uint8_t digest[STORE_DIGEST_SIZE], other[STORE_DIGEST_SIZE];
    struct store *store = sample_store(), *twin = sample_store();
    size_t size;
    uint8_t *flat = fixture_encode(store, &size);

    ck_assert_int_eq(store_digest(store, digest), QH_OK);
    ck_assert_mem_eq(digest, flat + size - sizeof digest, sizeof digest);
    ck_assert_int_eq(store_digest(twin, other), QH_OK);
    ck_assert_mem_eq(digest, other, sizeof digest);
    (void)fixture_delete(twin, "nobody"); /* the revision is part of the state */
    ck_assert_int_eq(store_digest(twin, other), QH_OK);
    ck_assert_mem_ne(digest, other, sizeof digest);
    free(flat);
    store_free(store);
    store_free(twin);
}
END_TEST

START_TEST(a_rebuilt_store_expires_at_the_same_revision)
{
    struct store *store = fixture_store(), *again = NULL;
    struct store_record record;
    struct bytes encoded;
    uint8_t *flat;

    (void)fixture_put(store, "k", "", 3); /* ends at 4 */
    (void)fixture_put(store, "l", "", 3); /* ends at 5 */
    flat = fixture_encode(store, &encoded.size);
    encoded.base = flat;
    ck_assert_int_eq(store_snapshot_decode(encoded, &again), QH_OK);
    free(flat);
    (void)fixture_delete(again, "nobody");
    ck_assert(store_get(again, text("k"), &record));
    (void)fixture_delete(again, "nobody");
    ck_assert(!store_get(again, text("k"), &record));
    ck_assert(store_get(again, text("l"), &record));
    (void)fixture_delete(again, "nobody");
    ck_assert(!store_get(again, text("l"), &record));
    store_free(store);
    store_free(again);
}
END_TEST

START_TEST(every_truncation_is_corrupt)
{
    struct store *store = sample_store();
    size_t size;
    uint8_t *flat = fixture_encode(store, &size);

    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut + 1); /* a block of its own, for the sanitizers */

        QH_ASSERT(copy != NULL);
        memcpy(copy, flat, cut);
        ck_assert_int_eq(decode(copy, cut), QH_ECORRUPT);
        free(copy);
    }
    free(flat);
    store_free(store);
}
END_TEST

START_TEST(every_flipped_bit_is_found)
{
    struct store *store = sample_store();
    size_t size;
    uint8_t *flat = fixture_encode(store, &size);

    ck_assert_int_eq(decode(flat, size), QH_OK);
    for (size_t i = 0; i < size; i++) {
        bool in_version = i >= AT_VERSION && i < AT_ZERO;

        for (unsigned bit = 0; bit < 8; bit++) {
            flat[i] ^= (uint8_t)(1u << bit);
            ck_assert_int_eq(decode(flat, size), in_version ? QH_EVERSION : QH_ECORRUPT);
            flat[i] ^= (uint8_t)(1u << bit);
        }
    }
    free(flat);
    store_free(store);
}
END_TEST

START_TEST(nothing_may_follow)
{
    size_t size;
    uint8_t *flat = small_snapshot(&size);
    uint8_t *longer = calloc(1, size + 1);

    QH_ASSERT(longer != NULL);
    memcpy(longer, flat, size);
    ck_assert_int_eq(decode(longer, size + 1), QH_ECORRUPT);
    seal(longer, size + 1); /* even if the sum says so */
    ck_assert_int_eq(decode(longer, size + 1), QH_ECORRUPT);
    free(flat);
    free(longer);
}
END_TEST

/* A field of the small snapshot, changed and sealed again. */
struct forgery {
    size_t offset, size;
    uint64_t value;
    enum qh_err expected;
};

static const struct forgery forgeries[] = {
    {AT_VERSION, 4, 2, QH_EVERSION},
    {AT_VERSION, 4, 0, QH_EVERSION},
    {AT_ZERO, 4, 1, QH_ECORRUPT},
    {AT_REVISION, 8, 1, QH_ECORRUPT}, /* older than the record */
    {AT_REVISION, 8, 2, QH_OK},
    {AT_REVISION, 8, 11, QH_OK},
    {AT_REVISION, 8, 12, QH_ECORRUPT}, /* the record has expired */
    {AT_REVISION, 8, UINT64_MAX, QH_ECORRUPT},
    {AT_COUNT, 8, 0, QH_ECORRUPT},
    {AT_COUNT, 8, 2, QH_ECORRUPT},
    {AT_COUNT, 8, UINT64_MAX, QH_ECORRUPT},
    {AT_KEY_SIZE, 2, 0, QH_ECORRUPT},
    {AT_KEY_SIZE, 2, 2, QH_ECORRUPT},
    {AT_KEY_SIZE, 2, UINT16_MAX, QH_ECORRUPT},
    {AT_VALUE_SIZE, 4, 0, QH_ECORRUPT},
    {AT_VALUE_SIZE, 4, 2, QH_ECORRUPT},
    {AT_VALUE_SIZE, 4, UINT32_MAX, QH_ECORRUPT},
    {AT_CREATE, 8, 0, QH_ECORRUPT},
    {AT_CREATE, 8, 2, QH_OK},
    {AT_CREATE, 8, 3, QH_ECORRUPT}, /* after the last put */
    {AT_MOD, 8, 0, QH_ECORRUPT},
    {AT_MOD, 8, 3, QH_OK},
    {AT_MOD, 8, 4, QH_ECORRUPT}, /* after the store's revision */
    {AT_EXPIRES, 8, 0, QH_OK},
    {AT_EXPIRES, 8, 3, QH_ECORRUPT}, /* has expired */
    {AT_EXPIRES, 8, 4, QH_OK},
    {AT_EXPIRES, 8, 2 + STORE_EXPIRES_AFTER_MAX, QH_OK},
    {AT_EXPIRES, 8, 3 + STORE_EXPIRES_AFTER_MAX, QH_ECORRUPT},
    {AT_EXPIRES, 8, UINT64_MAX, QH_ECORRUPT},
    {AT_KEY, 1, 0, QH_OK},
};

START_TEST(a_forged_field_is_refused_even_with_a_right_checksum)
{
    const struct forgery *forgery = &forgeries[_i];
    size_t size;
    uint8_t *flat = small_snapshot(&size);

    write_number(flat + forgery->offset, forgery->size, forgery->value);
    seal(flat, size);
    ck_assert_int_eq(decode(flat, size), forgery->expected);
    free(flat);
}
END_TEST

START_TEST(the_highest_revision_has_a_limit)
{
    struct store *store = fixture_store();
    size_t size;
    uint8_t *flat = fixture_encode(store, &size);

    write_number(flat + AT_REVISION, 8, STORE_REVISION_MAX);
    seal(flat, size);
    ck_assert_int_eq(decode(flat, size), QH_OK);
    write_number(flat + AT_REVISION, 8, STORE_REVISION_MAX + 1);
    seal(flat, size);
    ck_assert_int_eq(decode(flat, size), QH_ECORRUPT);
    free(flat);
    store_free(store);
}
END_TEST

/* A snapshot with one record of these sizes, sealed. */
static enum qh_err decode_sizes(size_t key_size, size_t value_size)
{
    size_t size = AT_KEY + key_size + value_size + CHECKSUM_SIZE;
    uint8_t *flat = calloc(1, size);
    enum qh_err err;

    QH_ASSERT(flat != NULL);
    memcpy(flat, "QHSNAP1", 8);
    write_number(flat + AT_VERSION, 4, 1);
    write_number(flat + AT_REVISION, 8, 1);
    write_number(flat + AT_COUNT, 8, 1);
    write_number(flat + AT_KEY_SIZE, 2, key_size);
    write_number(flat + AT_VALUE_SIZE, 4, value_size);
    write_number(flat + AT_CREATE, 8, 1);
    write_number(flat + AT_MOD, 8, 1);
    seal(flat, size);
    err = decode(flat, size);
    free(flat);
    return err;
}

START_TEST(the_sizes_of_a_record_have_limits)
{
    ck_assert_int_eq(decode_sizes(0, 1), QH_ECORRUPT);
    ck_assert_int_eq(decode_sizes(1, 0), QH_OK);
    ck_assert_int_eq(decode_sizes(STORE_KEY_SIZE_MAX, 1), QH_OK);
    ck_assert_int_eq(decode_sizes(STORE_KEY_SIZE_MAX + 1, 1), QH_ECORRUPT);
    ck_assert_int_eq(decode_sizes(1, STORE_VALUE_SIZE_MAX), QH_OK);
    ck_assert_int_eq(decode_sizes(1, STORE_VALUE_SIZE_MAX + 1), QH_ECORRUPT);
}
END_TEST

START_TEST(keys_out_of_order_are_refused)
{
    struct store *store = fixture_store();
    size_t size;
    uint8_t *flat;

    (void)fixture_put(store, "b", "", 0);
    (void)fixture_put(store, "d", "", 0);
    flat = fixture_encode(store, &size);
    flat[AT_KEY] = 'c';
    seal(flat, size);
    ck_assert_int_eq(decode(flat, size), QH_OK);
    flat[AT_KEY] = 'd'; /* twice the same */
    seal(flat, size);
    ck_assert_int_eq(decode(flat, size), QH_ECORRUPT);
    flat[AT_KEY] = 'e';
    seal(flat, size);
    ck_assert_int_eq(decode(flat, size), QH_ECORRUPT);
    free(flat);
    store_free(store);
}
END_TEST

START_TEST(sealed_noise_never_crashes_and_what_decodes_encodes_back)
{
    struct rng rng = {20260202};
    struct store *sample = sample_store();
    size_t size, size_again;
    uint8_t *flat = fixture_encode(sample, &size), *flat_again;
    uint8_t *copy = malloc(size);
    struct bytes encoded = {copy, size};
    unsigned decoded = 0;

    QH_ASSERT(copy != NULL);
    for (unsigned i = 0; i < 20000; i++) {
        struct store *store = NULL;

        memcpy(copy, flat, size);
        for (unsigned flips = 1 + rng_below(&rng, 3); flips > 0; flips--) {
            /* Rather in the headers than in the long key and values. */
            unsigned range = rng_below(&rng, 2) == 0 ? 130 : (unsigned)size;

            copy[rng_below(&rng, range)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        seal(copy, size);
        if (store_snapshot_decode(encoded, &store) == QH_OK) {
            flat_again = fixture_encode(store, &size_again);
            QH_ASSERT(size_again == size);
            QH_ASSERT(memcmp(copy, flat_again, size) == 0);
            free(flat_again);
            store_free(store);
            decoded++;
        }
    }
    ck_assert_uint_gt(decoded, 100);
    ck_assert_uint_lt(decoded, 19900);
    free(copy);
    free(flat);
    store_free(sample);
}
END_TEST

START_TEST(missing_memory_is_an_error_wherever_it_strikes)
{
    struct store *store = sample_store(), *again = NULL, *fresh = NULL;
    struct store_view *view = NULL;
    struct store_snapshot snapshot = {0};
    uint8_t digest[STORE_DIGEST_SIZE];
    enum qh_err err;
    struct bytes encoded;
    uint8_t *flat;
    unsigned nth;

    heap_countdown = 1;
    ck_assert_int_eq(store_new(&fresh), QH_ENOMEM);
    heap_countdown = 1;
    ck_assert_int_eq(store_freeze(store, &view), QH_ENOMEM);
    ck_assert_int_eq(store_freeze(store, &view), QH_OK);
    for (nth = 1; nth <= 2; nth++) {
        heap_countdown = nth;
        ck_assert_int_eq(store_snapshot_encode(view, &snapshot), QH_ENOMEM);
        ck_assert_ptr_null(snapshot.pieces);
        heap_countdown = nth;
        ck_assert_int_eq(store_digest(store, digest), QH_ENOMEM);
    }
    heap_countdown = nth;
    err = store_snapshot_encode(view, &snapshot);
    ck_assert(heap_spared()); /* before Check itself asks for memory */
    ck_assert_int_eq(err, QH_OK);
    flat = fixture_flatten(&snapshot);
    encoded.base = flat;
    encoded.size = snapshot.size;
    nth = 0;
    do {
        heap_countdown = ++nth;
        err = store_snapshot_decode(encoded, &again);
        ck_assert(heap_spared() == (err == QH_OK));
        ck_assert(err == QH_OK || err == QH_ENOMEM);
        ck_assert((again != NULL) == (err == QH_OK));
    } while (err != QH_OK);
    ck_assert_uint_gt(nth, store_record_count(store) + 2);
    store_free(again);
    store_snapshot_close(&snapshot);
    store_view_release(view);
    store_free(store);
    free(flat);
}
END_TEST

static struct store_answer put_then_abort(struct store *store, struct bytes encoded)
{
    heap_countdown = 1;
    return store_apply(store, encoded);
}

START_TEST(without_memory_applying_aborts)
{
    struct store *store = fixture_store();
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_put(&builder, text("k"), text("v"), 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    (void)put_then_abort(store, encoded);
}
END_TEST

START_TEST(building_a_transaction_without_memory_is_an_error)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};
    char *value = repeat('v', 10000);

    for (unsigned nth = 1; nth <= 2; nth++) {
        heap_countdown = nth;
        txn_build_plain(&builder, fixture_id, 0);
        txn_build_put(&builder, text("k"), text(value), 0);
        ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_ENOMEM);
        ck_assert(!heap_spared());
        ck_assert_ptr_null(encoded.base);
    }
    free(value);
}
END_TEST

/* What a thread of its own does with a view. */
struct encoding {
    struct store_view *view;
    uint8_t checksum[CHECKSUM_SIZE];
    enum qh_err err;
    bool done; /* atomic */
};

static void *encode_in_thread(void *data)
{
    struct encoding *encoding = data;
    struct store_snapshot snapshot;

    encoding->err = store_snapshot_encode(encoding->view, &snapshot);
    if (encoding->err == QH_OK) {
        memcpy(encoding->checksum, snapshot.pieces[snapshot.piece_count - 1].base, CHECKSUM_SIZE);
        store_snapshot_close(&snapshot);
    }
    __atomic_store_n(&encoding->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* Puts, replacements, deletes and expiries all over the key range. */
static void disturb(struct store *store, struct rng *rng, const char *value)
{
    struct txn_builder builder;

    txn_build_plain(&builder, fixture_id, 0);
    for (unsigned i = 0; i < 8; i++) {
        unsigned number = rng_below(rng, 3000);
        uint8_t room[2] = {(uint8_t)(number >> 8), (uint8_t)number};
        struct bytes key = {room, sizeof room};

        if (rng_below(rng, 4) == 0) {
            txn_build_delete(&builder, key);
        } else {
            txn_build_put(&builder, key, text(value), rng_below(rng, 2) == 0 ? 50 : 0);
        }
    }
    (void)fixture_apply(store, &builder);
}

START_TEST(a_view_is_encoded_while_its_store_goes_on)
{
    struct rng rng = {7};
    struct store *store = fixture_store();
    char *value = repeat('v', 200);
    unsigned disturbances = 0;

    for (unsigned i = 0; i < 1500; i++) {
        disturb(store, &rng, value);
    }
    for (unsigned round = 0; round < 20; round++) {
        struct encoding encoding = {NULL, {0}, QH_ESYSTEM, false};
        uint8_t expected[STORE_DIGEST_SIZE];
        pthread_t thread;

        ck_assert_int_eq(store_digest(store, expected), QH_OK);
        ck_assert_int_eq(store_freeze(store, &encoding.view), QH_OK);
        ck_assert_int_eq(pthread_create(&thread, NULL, encode_in_thread, &encoding), 0);
        do {
            disturb(store, &rng, value);
            disturbances++;
        } while (!__atomic_load_n(&encoding.done, __ATOMIC_ACQUIRE));
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        ck_assert_int_eq(encoding.err, QH_OK);
        ck_assert_mem_eq(encoding.checksum, expected, sizeof expected);
        store_view_release(encoding.view);
    }
    ck_assert_uint_ge(disturbances, 20);
    free(value);
    store_free(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_snapshot");
    TCase *tcase = tcase_create("store_snapshot");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_snapshot_comes_back_as_the_same_store);
    tcase_add_test(tcase, the_format_is_the_documented_one);
    tcase_add_test(tcase, large_values_stay_where_they_are);
    tcase_add_test(tcase, the_size_limit_holds_on_both_sides);
    tcase_add_test(tcase, the_digest_is_the_snapshots_checksum);
    tcase_add_test(tcase, a_rebuilt_store_expires_at_the_same_revision);
    tcase_add_test(tcase, every_truncation_is_corrupt);
    tcase_add_test(tcase, every_flipped_bit_is_found);
    tcase_add_test(tcase, nothing_may_follow);
    tcase_add_loop_test(tcase, a_forged_field_is_refused_even_with_a_right_checksum, 0,
                        (int)(sizeof forgeries / sizeof forgeries[0]));
    tcase_add_test(tcase, the_highest_revision_has_a_limit);
    tcase_add_test(tcase, the_sizes_of_a_record_have_limits);
    tcase_add_test(tcase, keys_out_of_order_are_refused);
    tcase_add_test(tcase, sealed_noise_never_crashes_and_what_decodes_encodes_back);
    tcase_add_test(tcase, missing_memory_is_an_error_wherever_it_strikes);
    tcase_add_test_raise_signal(tcase, without_memory_applying_aborts, SIGABRT);
    tcase_add_test(tcase, building_a_transaction_without_memory_is_an_error);
    tcase_add_test(tcase, a_view_is_encoded_while_its_store_goes_on);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
