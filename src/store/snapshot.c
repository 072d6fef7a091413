/* Snapshots: the whole state as bytes, and back. The format (little-endian):
 *
 *   8 bytes  magic "QHSNAP1\0"
 *   u32      version (1)           u32  zero
 *   u64      revision              u64  record count
 *   records, in key order:
 *            u16 key size, u32 value size, u64 create_revision, u64 mod_revision,
 *            u64 expires_at, key, value
 *   32 bytes BLAKE2b-256 of everything before
 *
 * A state has exactly one encoding. Only what the view and the bytes hold is read: no
 * count is touched, so that encoding may run beside the store's thread. */
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "store/state.h"
#include "store/store.h"

#define SNAPSHOT_VERSION 1u
#define SNAPSHOT_MAGIC_SIZE 8u
#define SNAPSHOT_HEADER_SIZE 32u
#define SNAPSHOT_RECORD_SIZE 30u /* without key and value */
#define SNAPSHOT_CHECKSUM_SIZE 32u
/* libraft 0.15 reads a file of 2 GiB and more short. */
#define SNAPSHOT_SIZE_MAX ((UINT64_C(2) << 30) - (UINT64_C(64) << 10))
/* A value up to this size, in bytes, is copied beside its header: a piece of its own
 * would cost 32 bytes and an entry in the vector of every write. */
#define SNAPSHOT_COPY_MAX 128u

_Static_assert(STORE_DIGEST_SIZE == SNAPSHOT_CHECKSUM_SIZE, "the digest is the checksum");
_Static_assert(SNAPSHOT_CHECKSUM_SIZE == crypto_generichash_BYTES, "BLAKE2b-256");

static const uint8_t snapshot_magic[SNAPSHOT_MAGIC_SIZE] = "QHSNAP1";

static bool copies_value(const struct record *record)
{
    return record->value_size <= SNAPSHOT_COPY_MAX;
}

/* What the encoding of a view takes. */
struct snapshot_plan {
    uint64_t size;       /* all of it */
    uint64_t arena_size; /* what is not in the view */
    uint64_t piece_count;
    uint64_t record_count;
};

static bool plan_record(void *data, const struct record *record)
{
    struct snapshot_plan *plan = data;
    uint64_t copied = SNAPSHOT_RECORD_SIZE + record->key_size;

    if (copies_value(record)) {
        copied += record->value_size;
    } else {
        plan->size += record->value_size;
        plan->piece_count += 2; /* the value, and the arena after it */
    }
    plan->size += copied;
    plan->arena_size += copied;
    plan->record_count++;
    return true;
}

static struct snapshot_plan plan_snapshot(const struct store_view *view)
{
    struct tree_place start = {TREE_BEFORE_KEY, {NULL, 0}};
    struct snapshot_plan plan = {0};

    plan.size = SNAPSHOT_HEADER_SIZE + SNAPSHOT_CHECKSUM_SIZE;
    plan.arena_size = plan.size;
    plan.piece_count = 2; /* the first of the arena, and the checksum */
    tree_visit(&view->records, start, plan_record, &plan);
    return plan;
}

struct snapshot_encoder {
    struct bytes_writer arena;
    const uint8_t *piece_begin; /* of what was written to the arena since the last piece */
    struct store_piece *pieces;
    unsigned piece_count;
    crypto_generichash_state hash;
};

static void add_piece(struct snapshot_encoder *encoder, const void *base, size_t size)
{
    encoder->pieces[encoder->piece_count].base = base;
    encoder->pieces[encoder->piece_count].size = size;
    encoder->piece_count++;
}

static void add_hashed(struct snapshot_encoder *encoder, const void *base, size_t size)
{
    QH_ASSERT(crypto_generichash_update(&encoder->hash, base, size) == 0);
    add_piece(encoder, base, size);
}

/* Make a piece of what was written to the arena since the last one. */
static void end_piece(struct snapshot_encoder *encoder)
{
    const uint8_t *end = encoder->arena.base + encoder->arena.size;

    if (end > encoder->piece_begin) {
        add_hashed(encoder, encoder->piece_begin, (size_t)(end - encoder->piece_begin));
        encoder->piece_begin = end;
    }
}

static bool encode_record(void *data, const struct record *record)
{
    struct snapshot_encoder *encoder = data;
    struct bytes_writer *arena = &encoder->arena;

    bytes_write_u16(arena, record->key_size);
    bytes_write_u32(arena, record->value_size);
    bytes_write_u64(arena, record->create_revision);
    bytes_write_u64(arena, record->mod_revision);
    bytes_write_u64(arena, record->expires_at);
    bytes_write_span(arena, record->data, record->key_size);
    if (copies_value(record)) {
        bytes_write_span(arena, record->data + record->key_size, record->value_size);
    } else {
        end_piece(encoder);
        add_hashed(encoder, record->data + record->key_size, record->value_size);
    }
    return true;
}

static void encode_view(struct snapshot_encoder *encoder, const struct store_view *view,
                        const struct snapshot_plan *plan)
{
    struct tree_place start = {TREE_BEFORE_KEY, {NULL, 0}};
    uint8_t checksum[SNAPSHOT_CHECKSUM_SIZE];

    QH_ASSERT(crypto_generichash_init(&encoder->hash, NULL, 0, SNAPSHOT_CHECKSUM_SIZE) == 0);
    bytes_write_span(&encoder->arena, snapshot_magic, SNAPSHOT_MAGIC_SIZE);
    bytes_write_u32(&encoder->arena, SNAPSHOT_VERSION);
    bytes_write_u32(&encoder->arena, 0);
    bytes_write_u64(&encoder->arena, view->revision);
    bytes_write_u64(&encoder->arena, plan->record_count);
    tree_visit(&view->records, start, encode_record, encoder);
    end_piece(encoder);
    QH_ASSERT(crypto_generichash_final(&encoder->hash, checksum, sizeof checksum) == 0);
    bytes_write_span(&encoder->arena, checksum, sizeof checksum);
    add_piece(encoder, encoder->piece_begin, SNAPSHOT_CHECKSUM_SIZE);
    QH_ASSERT(!encoder->arena.failed);
    QH_ASSERT(encoder->arena.size == plan->arena_size);
    QH_ASSERT(encoder->piece_count <= plan->piece_count);
}

QH_RESULT store_snapshot_encode_within(const struct store_view *view, uint64_t size_max,
                                       struct store_snapshot *ret_snapshot)
{
    struct snapshot_plan plan = plan_snapshot(view);
    struct snapshot_encoder encoder = {0};
    uint8_t *arena = NULL;
    enum qh_err err = QH_OK;

    if (plan.size > size_max) {
        return QH_ELIMIT;
    }
    encoder.pieces = calloc(plan.piece_count, sizeof *encoder.pieces);
    arena = malloc(plan.arena_size);
    if (encoder.pieces == NULL || arena == NULL) {
        err = QH_ENOMEM;
        goto out;
    }
    bytes_writer_init(&encoder.arena, arena, plan.arena_size);
    encoder.piece_begin = arena;
    encode_view(&encoder, view, &plan);
    ret_snapshot->pieces = encoder.pieces;
    ret_snapshot->piece_count = encoder.piece_count;
    ret_snapshot->size = plan.size;
    ret_snapshot->arena = arena;
out:
    if (err != QH_OK) {
        free(arena);
        free(encoder.pieces);
    }
    return err;
}

QH_RESULT store_snapshot_encode(const struct store_view *view, struct store_snapshot *ret_snapshot)
{
    return store_snapshot_encode_within(view, SNAPSHOT_SIZE_MAX, ret_snapshot);
}

void store_snapshot_close(struct store_snapshot *snapshot)
{
    free(snapshot->pieces);
    free(snapshot->arena);
    memset(snapshot, 0, sizeof *snapshot);
}

/* Magic, version and checksum. */
QH_RESULT store_snapshot_verify(struct bytes encoded)
{
    uint8_t checksum[SNAPSHOT_CHECKSUM_SIZE];
    struct bytes_reader reader;
    size_t size;

    if (encoded.size < SNAPSHOT_HEADER_SIZE + SNAPSHOT_CHECKSUM_SIZE) {
        return QH_ECORRUPT;
    }
    size = encoded.size - SNAPSHOT_CHECKSUM_SIZE;
    bytes_reader_init(&reader, encoded.base, size);
    if (memcmp(bytes_read_span(&reader, SNAPSHOT_MAGIC_SIZE).base, snapshot_magic,
               SNAPSHOT_MAGIC_SIZE) != 0) {
        return QH_ECORRUPT;
    }
    /* Before the checksum, which another version may do otherwise. */
    if (bytes_read_u32(&reader) != SNAPSHOT_VERSION) {
        return QH_EVERSION;
    }
    QH_ASSERT(crypto_generichash(checksum, sizeof checksum, encoded.base, size, NULL, 0) == 0);
    return memcmp(checksum, encoded.base + size, sizeof checksum) == 0 ? QH_OK : QH_ECORRUPT;
}

/* Could a store at @revision hold a record of these revisions? */
static bool revisions_fit(const struct record *record, uint64_t revision)
{
    if (record->create_revision == 0 || record->create_revision > record->mod_revision) {
        return false;
    }
    if (record->mod_revision > revision) {
        return false;
    }
    return record->expires_at == 0 ||
           (record->expires_at > revision &&
            record->expires_at - record->mod_revision <= STORE_EXPIRES_AFTER_MAX);
}

static QH_RESULT decode_record(struct bytes_reader *reader, uint64_t revision,
                               struct record **ret_record)
{
    size_t key_size = bytes_read_u16(reader);
    size_t value_size = bytes_read_u32(reader);
    uint64_t create_revision = bytes_read_u64(reader);
    uint64_t mod_revision = bytes_read_u64(reader);
    uint64_t expires_at = bytes_read_u64(reader);
    struct bytes key = bytes_read_span(reader, key_size);
    struct bytes value = bytes_read_span(reader, value_size);
    struct record *record;

    if (reader->failed || key.size == 0) {
        return QH_ECORRUPT;
    }
    if (key.size > STORE_KEY_SIZE_MAX || value.size > STORE_VALUE_SIZE_MAX) {
        return QH_ECORRUPT;
    }
    record = record_new(key, value);
    if (record == NULL) {
        return QH_ENOMEM;
    }
    record->create_revision = create_revision;
    record->mod_revision = mod_revision;
    record->expires_at = expires_at;
    if (!revisions_fit(record, revision)) {
        record_unref(record);
        return QH_ECORRUPT;
    }
    *ret_record = record;
    return QH_OK;
}

static QH_RESULT decode_records(struct bytes_reader *reader, uint64_t count, struct store *store)
{
    struct bytes last = {NULL, 0};

    for (uint64_t i = 0; i < count; i++) {
        struct record *record = NULL;
        enum qh_err err = decode_record(reader, store->now.revision, &record);

        if (err != QH_OK) {
            return err;
        }
        if (bytes_compare(last, record_key(record)) >= 0) {
            record_unref(record);
            return QH_ECORRUPT;
        }
        last = record_key(record); /* stays with the store */
        err = store_insert(store, record);
        if (err != QH_OK) {
            return err;
        }
    }
    return reader->left > 0 ? QH_ECORRUPT : QH_OK;
}

QH_RESULT store_snapshot_decode(struct bytes encoded, struct store **ret_store)
{
    struct store *store = NULL;
    struct bytes_reader reader;
    uint64_t revision, count;
    enum qh_err err = store_snapshot_verify(encoded);

    if (err != QH_OK) {
        goto out;
    }
    bytes_reader_init(&reader, encoded.base, encoded.size - SNAPSHOT_CHECKSUM_SIZE);
    (void)bytes_read_span(&reader, SNAPSHOT_MAGIC_SIZE + 4);
    err = QH_ECORRUPT;
    if (bytes_read_u32(&reader) != 0) {
        goto out;
    }
    revision = bytes_read_u64(&reader);
    count = bytes_read_u64(&reader);
    if (revision > STORE_REVISION_MAX) {
        goto out;
    }
    err = store_new(&store);
    if (err != QH_OK) {
        goto out;
    }
    store->now.revision = revision;
    err = decode_records(&reader, count, store);
    if (err == QH_OK) {
        *ret_store = store;
        store = NULL;
    }
out:
    store_free(store);
    return err;
}

QH_RESULT store_digest(const struct store *store, uint8_t ret_digest[STORE_DIGEST_SIZE])
{
    struct store_snapshot snapshot;
    enum qh_err err = store_snapshot_encode(&store->now, &snapshot);

    if (err == QH_OK) {
        memcpy(ret_digest, snapshot.pieces[snapshot.piece_count - 1].base, STORE_DIGEST_SIZE);
        store_snapshot_close(&snapshot);
    }
    return err;
}
