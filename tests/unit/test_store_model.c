/* The store against a naive model: random transactions on a sorted array that is
 * searched from the start, expires by a walk, and encodes itself. A twin is rebuilt from
 * snapshots at random moments, views are frozen and compared later. */
#include <sodium.h>

#include "base/assert.h"
#include "base/limits.h"
#include "tests/unit/store_fixture.h"

#define MODEL_ENTRIES_MAX 8192u
#define MODEL_KEY_SIZE_MAX 4u
#define MODEL_VALUE_SIZE_MAX 300u /* above what a snapshot copies */
#define MODEL_COMPARES_MAX 3u
#define MODEL_WRITES_MAX 8u
#define MODEL_VIEWS 3u
#define TRANSACTIONS 1500u

struct model_entry {
    uint8_t key[MODEL_KEY_SIZE_MAX];
    uint8_t value[MODEL_VALUE_SIZE_MAX];
    size_t key_size, value_size;
    uint64_t create_revision, mod_revision, expires_at;
};

struct model {
    struct model_entry entries[MODEL_ENTRIES_MAX]; /* in key order */
    size_t count;
    uint64_t revision;
};

static struct bytes entry_key(const struct model_entry *entry)
{
    struct bytes key = {entry->key, entry->key_size};

    return key;
}

static size_t model_find(const struct model *model, struct bytes key, bool *ret_found)
{
    size_t index = 0;

    while (index < model->count && bytes_compare(entry_key(&model->entries[index]), key) < 0) {
        index++;
    }
    *ret_found = index < model->count && bytes_compare(entry_key(&model->entries[index]), key) == 0;
    return index;
}

static void model_remove(struct model *model, size_t index)
{
    model->count--;
    memmove(&model->entries[index], &model->entries[index + 1],
            (model->count - index) * sizeof model->entries[0]);
}

static uint64_t model_count_prefix(const struct model *model, struct bytes prefix)
{
    uint64_t count = 0;

    for (size_t i = 0; i < model->count; i++) {
        const struct model_entry *entry = &model->entries[i];

        count += entry->key_size >= prefix.size &&
                 (prefix.size == 0 || memcmp(entry->key, prefix.base, prefix.size) == 0);
    }
    return count;
}

static bool model_holds(const struct model *model, const struct txn_compare *compare)
{
    bool found;
    size_t index = model_find(model, compare->key, &found);

    switch (compare->kind) {
    case TXN_ABSENT:
        return !found;
    case TXN_AT_REVISION:
        return found && model->entries[index].mod_revision == compare->argument;
    case TXN_FEWER_THAN:
        return model_count_prefix(model, compare->key) < compare->argument;
    }
    return false;
}

static void model_write(struct model *model, const struct txn_write *write, uint64_t revision)
{
    bool found;
    size_t index = model_find(model, write->key, &found);
    struct model_entry *entry = &model->entries[index];

    if (write->kind == TXN_DELETE) {
        if (found) {
            model_remove(model, index);
        }
        return;
    }
    if (!found) {
        QH_ASSERT(model->count < MODEL_ENTRIES_MAX);
        memmove(entry + 1, entry, (model->count - index) * sizeof *entry);
        model->count++;
        entry->create_revision = revision;
    }
    entry->key_size = write->key.size;
    memcpy(entry->key, write->key.base, write->key.size);
    entry->value_size = write->value.size;
    memcpy(entry->value, write->value.base, write->value.size);
    entry->mod_revision = revision;
    entry->expires_at = write->expires_after > 0 ? revision + write->expires_after : 0;
}

static struct store_answer model_apply(struct model *model, const struct txn *txn)
{
    struct store_answer answer = {STORE_APPLIED, 0, model->revision};

    if (txn->valid_until != 0 && model->revision > txn->valid_until) {
        answer.status = STORE_TOO_LATE;
        return answer;
    }
    for (unsigned i = 0; i < txn->compare_count; i++) {
        if (!model_holds(model, &txn->compares[i])) {
            answer.status = STORE_COMPARE_FAILED;
            answer.compare_index = i;
            return answer;
        }
    }
    if (txn->write_count > 0) {
        answer.revision = ++model->revision;
    }
    for (unsigned i = 0; i < txn->write_count; i++) {
        model_write(model, &txn->writes[i], model->revision);
    }
    for (size_t i = model->count; i > 0; i--) {
        uint64_t expires_at = model->entries[i - 1].expires_at;

        if (expires_at != 0 && expires_at <= model->revision) {
            model_remove(model, i - 1);
        }
    }
    return answer;
}

/* The snapshot that the store should give; the caller frees it. */
static uint8_t *model_encode(const struct model *model, size_t *ret_size)
{
    size_t room = 64;
    struct bytes_writer writer;
    uint8_t *base, checksum[32];

    for (size_t i = 0; i < model->count; i++) {
        room += 30 + model->entries[i].key_size + model->entries[i].value_size;
    }
    base = malloc(room);
    QH_ASSERT(base != NULL);
    bytes_writer_init(&writer, base, room);
    bytes_write_span(&writer, "QHSNAP1", 8);
    bytes_write_u32(&writer, 1);
    bytes_write_u32(&writer, 0);
    bytes_write_u64(&writer, model->revision);
    bytes_write_u64(&writer, model->count);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_entry *entry = &model->entries[i];

        bytes_write_u16(&writer, (uint16_t)entry->key_size);
        bytes_write_u32(&writer, (uint32_t)entry->value_size);
        bytes_write_u64(&writer, entry->create_revision);
        bytes_write_u64(&writer, entry->mod_revision);
        bytes_write_u64(&writer, entry->expires_at);
        bytes_write_span(&writer, entry->key, entry->key_size);
        bytes_write_span(&writer, entry->value, entry->value_size);
    }
    ck_assert_int_eq(crypto_generichash(checksum, 32, base, writer.size, NULL, 0), 0);
    bytes_write_span(&writer, checksum, 32);
    QH_ASSERT(!writer.failed);
    *ret_size = writer.size;
    return base;
}

/* One run: the model, the store, and a twin that is rebuilt now and then. */
struct run {
    struct rng rng;
    unsigned keys;       /* how many different ones */
    unsigned puts_of_10; /* the rest are deletes */
    struct model *model;
    struct store *store, *twin;
    struct store_view *views[MODEL_VIEWS];
    uint8_t *view_bytes[MODEL_VIEWS]; /* of the model when the view was frozen */
    size_t view_sizes[MODEL_VIEWS];
};

/* Keys of 1 to 4 bytes of which many begin alike. */
static struct bytes random_key(struct run *run, uint8_t ret_room[MODEL_KEY_SIZE_MAX])
{
    unsigned number = rng_below(&run->rng, run->keys);
    struct bytes key = {ret_room, 1 + number % MODEL_KEY_SIZE_MAX};

    for (size_t i = MODEL_KEY_SIZE_MAX; i > 0; i--) {
        ret_room[i - 1] = (uint8_t)(0x7c + number % 8);
        number /= 8;
    }
    return key;
}

static void random_compare(struct run *run, struct txn_compare *ret_compare, uint8_t *key_room)
{
    static const enum txn_compare_kind kinds[] = {TXN_ABSENT, TXN_AT_REVISION, TXN_FEWER_THAN};
    bool found;
    size_t index;

    ret_compare->kind = kinds[rng_below(&run->rng, 3)];
    ret_compare->key = random_key(run, key_room);
    ret_compare->argument = 0;
    index = model_find(run->model, ret_compare->key, &found);
    if (ret_compare->kind == TXN_AT_REVISION) {
        ret_compare->argument = found && rng_below(&run->rng, 4) > 0
                                    ? run->model->entries[index].mod_revision
                                    : rng_below(&run->rng, 100);
    } else if (ret_compare->kind == TXN_FEWER_THAN) {
        ret_compare->key.size = rng_below(&run->rng, 3);
        ret_compare->argument = model_count_prefix(run->model, ret_compare->key) +
                                (rng_below(&run->rng, 4) > 0 ? 1 : 0);
    } else if (found && rng_below(&run->rng, 4) > 0) {
        ret_compare->kind = TXN_AT_REVISION; /* else hardly a transaction would apply */
        ret_compare->argument = run->model->entries[index].mod_revision;
    }
}

static void random_write(struct run *run, struct txn_write *ret_write, uint8_t *key_room,
                         const uint8_t *values)
{
    struct rng *rng = &run->rng;

    ret_write->kind = rng_below(rng, 10) < run->puts_of_10 ? TXN_PUT : TXN_DELETE;
    ret_write->key = random_key(run, key_room);
    ret_write->value.base = values + rng_below(rng, 256);
    ret_write->value.size = rng_below(rng, MODEL_VALUE_SIZE_MAX + 1);
    ret_write->expires_after = rng_below(rng, 3) == 0 ? 1 + rng_below(rng, 200) : 0;
}

static struct bytes build_txn(const struct txn *txn)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_plain(&builder, fixture_id, txn->valid_until);
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
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    return encoded;
}

static void assert_same_answer(struct store_answer actual, struct store_answer expected)
{
    ck_assert_int_eq(actual.status, expected.status);
    ck_assert_uint_eq(actual.compare_index, expected.compare_index);
    ck_assert_uint_eq(actual.revision, expected.revision);
}

/* Returns whether it was applied. */
static bool run_transaction(struct run *run, const uint8_t *values)
{
    uint8_t keys[MODEL_COMPARES_MAX + MODEL_WRITES_MAX][MODEL_KEY_SIZE_MAX];
    struct txn txn = {.valid_until = 0};
    struct store_answer expected;
    struct bytes encoded;

    if (rng_below(&run->rng, 8) == 0) {
        txn.valid_until = run->model->revision + 1 - rng_below(&run->rng, 3);
    }
    txn.compare_count = rng_below(&run->rng, MODEL_COMPARES_MAX + 1);
    for (unsigned i = 0; i < txn.compare_count; i++) {
        random_compare(run, &txn.compares[i], keys[i]);
    }
    txn.write_count = rng_below(&run->rng, MODEL_WRITES_MAX + 1);
    for (unsigned i = 0; i < txn.write_count; i++) {
        random_write(run, &txn.writes[i], keys[MODEL_COMPARES_MAX + i], values);
    }
    encoded = build_txn(&txn);
    expected = model_apply(run->model, &txn);
    assert_same_answer(store_apply(run->store, encoded), expected);
    assert_same_answer(store_apply(run->twin, encoded), expected);
    free((void *)(uintptr_t)encoded.base);
    return expected.status == STORE_APPLIED;
}

struct model_walk {
    const struct model *model;
    size_t index;
};

static bool walk_entry(void *data, const struct store_record *record)
{
    struct model_walk *walk = data;
    const struct model_entry *entry = &walk->model->entries[walk->index++];

    QH_ASSERT(walk->index <= walk->model->count);
    QH_ASSERT(bytes_compare(record->key, entry_key(entry)) == 0);
    QH_ASSERT(record->value.size == entry->value_size);
    QH_ASSERT(memcmp(record->value.base, entry->value, entry->value_size) == 0);
    QH_ASSERT(record->create_revision == entry->create_revision);
    QH_ASSERT(record->mod_revision == entry->mod_revision);
    QH_ASSERT(record->expires_at == entry->expires_at);
    return true;
}

static void assert_reads(struct run *run)
{
    struct model_walk walk = {run->model, 0};
    uint8_t room[MODEL_KEY_SIZE_MAX];
    struct bytes prefix = random_key(run, room);
    uint64_t size = 0;

    store_scan(run->store, text(""), text(""), walk_entry, &walk);
    ck_assert_uint_eq(walk.index, run->model->count);
    ck_assert_uint_eq(store_record_count(run->store), run->model->count);
    for (size_t i = 0; i < run->model->count; i++) {
        size += run->model->entries[i].key_size + run->model->entries[i].value_size;
    }
    ck_assert_uint_eq(store_data_size(run->store), size);
    while (prefix.size > 0) {
        ck_assert_uint_eq(store_count_prefix(run->store, prefix),
                          model_count_prefix(run->model, prefix));
        prefix.size--;
    }
}

static void assert_bytes(const uint8_t *actual, size_t actual_size, const uint8_t *expected,
                         size_t expected_size)
{
    ck_assert_uint_eq(actual_size, expected_size);
    ck_assert(memcmp(actual, expected, expected_size) == 0);
}

/* Both stores encode to the bytes that the model says. */
static void assert_encoded(struct run *run)
{
    size_t expected_size, store_size, twin_size;
    uint8_t *expected = model_encode(run->model, &expected_size);
    uint8_t *of_store = fixture_encode(run->store, &store_size);
    uint8_t *of_twin = fixture_encode(run->twin, &twin_size);
    uint8_t digest[STORE_DIGEST_SIZE];

    assert_bytes(of_store, store_size, expected, expected_size);
    assert_bytes(of_twin, twin_size, expected, expected_size);
    ck_assert_int_eq(store_digest(run->twin, digest), QH_OK);
    ck_assert_mem_eq(digest, expected + expected_size - sizeof digest, sizeof digest);
    free(expected);
    free(of_store);
    free(of_twin);
}

/* The twin goes on from its own snapshot. */
static void rebuild_twin(struct run *run)
{
    size_t size;
    uint8_t *flat = fixture_encode(run->twin, &size);
    struct bytes encoded = {flat, size};

    store_free(run->twin);
    run->twin = NULL;
    ck_assert_int_eq(store_snapshot_decode(encoded, &run->twin), QH_OK);
    memset(flat, 0xee, size); /* nothing of the store may point there */
    free(flat);
}

/* Look whether an old view is what it was, and freeze a new one in its place. */
static void renew_view(struct run *run, unsigned index)
{
    size_t size;
    uint8_t *flat;

    if (run->views[index] != NULL) {
        flat = fixture_encode_view(run->views[index], &size);
        assert_bytes(flat, size, run->view_bytes[index], run->view_sizes[index]);
        free(flat);
        free(run->view_bytes[index]);
        store_view_release(run->views[index]);
    }
    ck_assert_int_eq(store_freeze(run->store, &run->views[index]), QH_OK);
    run->view_bytes[index] = model_encode(run->model, &run->view_sizes[index]);
}

static void end_run(struct run *run)
{
    for (unsigned i = 0; i < MODEL_VIEWS; i++) {
        renew_view(run, i);
        store_view_release(run->views[i]);
        free(run->view_bytes[i]);
    }
    store_free(run->store);
    store_free(run->twin);
    free(run->model);
}

START_TEST(random_histories_match_the_model)
{
    static const unsigned keys[] = {12, 150, 900, 4096};
    struct run run = {.rng = {(uint64_t)_i * 7919 + 1}};
    uint8_t values[256 + MODEL_VALUE_SIZE_MAX];
    unsigned applied = 0;

    run.keys = keys[_i % 4];
    run.model = calloc(1, sizeof *run.model);
    QH_ASSERT(run.model != NULL);
    run.store = fixture_store();
    run.twin = fixture_store();
    for (size_t i = 0; i < sizeof values; i++) {
        values[i] = (uint8_t)rng_next(&run.rng);
    }
    for (unsigned i = 0; i < TRANSACTIONS; i++) {
        run.puts_of_10 = i / 500 % 2 == 0 ? 9 : 3; /* tides */
        applied += run_transaction(&run, values);
        if (rng_below(&run.rng, 100) == 0) {
            rebuild_twin(&run);
        }
        if (rng_below(&run.rng, 50) == 0) {
            renew_view(&run, rng_below(&run.rng, MODEL_VIEWS));
        }
        if (rng_below(&run.rng, 50) == 0) {
            assert_reads(&run);
            assert_encoded(&run);
        }
    }
    assert_reads(&run);
    assert_encoded(&run);
    ck_assert_uint_gt(applied, TRANSACTIONS / 4);
    ck_assert_uint_lt(applied, TRANSACTIONS * 19 / 20);
    end_run(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_model");
    TCase *tcase = tcase_create("store_model");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, random_histories_match_the_model, 0, 16);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
