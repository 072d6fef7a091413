/* Parsing and building the encoding of a transaction. */
#include "store/txn.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define TXN_COUNTS_OFFSET 2u /* of the compare count; the write count follows */

static QH_RESULT decode_key(struct bytes_reader *reader, size_t size_min, struct bytes *ret_key)
{
    size_t size = bytes_read_u16(reader);

    if (size > STORE_KEY_SIZE_MAX) {
        return QH_ELIMIT;
    }
    *ret_key = bytes_read_span(reader, size);
    return reader->failed || size < size_min ? QH_EMALFORMED : QH_OK;
}

static QH_RESULT decode_compare(struct bytes_reader *reader, struct txn_compare *ret_compare)
{
    uint8_t kind = bytes_read_u8(reader);
    enum qh_err err;

    switch (kind) {
    case TXN_ABSENT:
    case TXN_AT_REVISION:
    case TXN_FEWER_THAN:
        break;
    default:
        return QH_EMALFORMED;
    }
    ret_compare->kind = (enum txn_compare_kind)kind;
    err = decode_key(reader, kind == TXN_FEWER_THAN ? 0 : 1, &ret_compare->key);
    if (err != QH_OK) {
        return err;
    }
    ret_compare->argument = kind == TXN_ABSENT ? 0 : bytes_read_u64(reader);
    return reader->failed ? QH_EMALFORMED : QH_OK;
}

static QH_RESULT decode_put(struct bytes_reader *reader, struct txn_write *ret_write)
{
    size_t size;

    ret_write->expires_after = bytes_read_u32(reader);
    size = bytes_read_u32(reader);
    if (ret_write->expires_after > STORE_EXPIRES_AFTER_MAX) {
        return QH_ELIMIT;
    }
    if (size > STORE_VALUE_SIZE_MAX) {
        return QH_ELIMIT;
    }
    ret_write->value = bytes_read_span(reader, size);
    return reader->failed ? QH_EMALFORMED : QH_OK;
}

static QH_RESULT decode_write(struct bytes_reader *reader, struct txn_write *ret_write)
{
    uint8_t kind = bytes_read_u8(reader);
    enum qh_err err;

    if (kind != TXN_PUT && kind != TXN_DELETE) {
        return QH_EMALFORMED;
    }
    ret_write->kind = (enum txn_write_kind)kind;
    err = decode_key(reader, 1, &ret_write->key);
    if (err != QH_OK || kind == TXN_DELETE) {
        return err;
    }
    return decode_put(reader, ret_write);
}

static QH_RESULT decode_header(struct bytes_reader *reader, struct txn *ret_txn)
{
    size_t size = reader->left;
    uint8_t version = bytes_read_u8(reader);
    uint8_t flags = bytes_read_u8(reader);
    uint16_t compare_count = bytes_read_u16(reader);
    uint16_t write_count = bytes_read_u16(reader);
    uint16_t zero = bytes_read_u16(reader);
    struct bytes id = bytes_read_span(reader, ONCE_ID_SIZE);

    /* The version first: another one may have other limits and another header. */
    if (size > 0 && version != TXN_VERSION) {
        return QH_EVERSION;
    }
    if (size > STORE_TXN_SIZE_MAX) {
        return QH_ELIMIT;
    }
    ret_txn->valid_until = bytes_read_u64(reader);
    if (reader->failed || flags != 0 || zero != 0) {
        return QH_EMALFORMED;
    }
    if (compare_count > STORE_COMPARES_MAX || write_count > STORE_WRITES_MAX) {
        return QH_ELIMIT;
    }
    memcpy(ret_txn->id, id.base, ONCE_ID_SIZE);
    ret_txn->compare_count = compare_count;
    ret_txn->write_count = write_count;
    return QH_OK;
}

QH_RESULT txn_decode(struct bytes encoded, struct txn *ret_txn)
{
    struct bytes_reader reader;
    struct txn txn = {0};
    enum qh_err err;

    bytes_reader_init(&reader, encoded.base, encoded.size);
    err = decode_header(&reader, &txn);
    for (unsigned i = 0; err == QH_OK && i < txn.compare_count; i++) {
        err = decode_compare(&reader, &txn.compares[i]);
    }
    for (unsigned i = 0; err == QH_OK && i < txn.write_count; i++) {
        err = decode_write(&reader, &txn.writes[i]);
    }
    if (err == QH_OK && reader.left > 0) {
        err = QH_EMALFORMED;
    }
    if (err == QH_OK) {
        *ret_txn = txn;
    }
    return err;
}

static void fail_build(struct txn_builder *builder, enum qh_err err)
{
    if (builder->err == QH_OK) {
        builder->err = err;
    }
}

/* Open a gap of @size bytes at @offset. False, and the builder's error is set, if
 * there is no room. */
static bool open_gap(struct txn_builder *builder, size_t offset, size_t size,
                     struct bytes_writer *ret_writer)
{
    if (builder->err != QH_OK) {
        return false;
    }
    if (size > STORE_TXN_SIZE_MAX - builder->size) {
        fail_build(builder, QH_ELIMIT);
        return false;
    }
    if (size > builder->room - builder->size) {
        size_t room = 2 * (builder->size + size);
        uint8_t *base = realloc(builder->base, room);

        if (base == NULL) {
            fail_build(builder, QH_ENOMEM);
            return false;
        }
        builder->base = base;
        builder->room = room;
    }
    memmove(builder->base + offset + size, builder->base + offset, builder->size - offset);
    builder->size += size;
    bytes_writer_init(ret_writer, builder->base + offset, size);
    return true;
}

static bool check_key(struct txn_builder *builder, struct bytes key, size_t size_min)
{
    if (key.size < size_min) {
        fail_build(builder, QH_EINVAL);
        return false;
    }
    if (key.size > STORE_KEY_SIZE_MAX) {
        fail_build(builder, QH_ELIMIT);
        return false;
    }
    return true;
}

static void write_key(struct bytes_writer *writer, uint8_t kind, struct bytes key)
{
    bytes_write_u8(writer, kind);
    bytes_write_u16(writer, (uint16_t)key.size);
    bytes_write_span(writer, key.base, key.size);
}

void txn_build_plain(struct txn_builder *builder, const uint8_t id[ONCE_ID_SIZE],
                     uint64_t valid_until)
{
    struct bytes_writer writer;

    memset(builder, 0, sizeof *builder);
    builder->err = QH_OK;
    if (!open_gap(builder, 0, TXN_HEADER_SIZE, &writer)) {
        return;
    }
    bytes_write_u8(&writer, TXN_VERSION);
    bytes_write_u8(&writer, 0);
    bytes_write_u16(&writer, 0); /* the counts are filled in at the end */
    bytes_write_u16(&writer, 0);
    bytes_write_u16(&writer, 0);
    bytes_write_span(&writer, id, ONCE_ID_SIZE);
    bytes_write_u64(&writer, valid_until);
    QH_ASSERT(!writer.failed);
    builder->compares_end = TXN_HEADER_SIZE;
}

void txn_build_once(struct txn_builder *builder, const uint8_t id[ONCE_ID_SIZE],
                    uint64_t base_revision, struct bytes answer)
{
    uint8_t key_room[ONCE_KEY_SIZE];
    struct bytes key = {key_room, sizeof key_room};

    txn_once_key(id, key_room);
    txn_build_plain(builder, id, base_revision + ONCE_VALID_FOR);
    if (base_revision > UINT64_MAX - ONCE_VALID_FOR) {
        fail_build(builder, QH_EINVAL);
    }
    txn_build_compare(builder, TXN_ABSENT, key, 0);
    txn_build_put(builder, key, answer, ONCE_EXPIRES_AFTER);
    builder->begin_writes = builder->write_count;
}

void txn_build_compare(struct txn_builder *builder, enum txn_compare_kind kind, struct bytes key,
                       uint64_t argument)
{
    bool counts = kind == TXN_FEWER_THAN;
    bool absent = kind == TXN_ABSENT;
    struct bytes_writer writer;

    if (!counts && !absent && kind != TXN_AT_REVISION) {
        fail_build(builder, QH_EINVAL);
        return;
    }
    if (builder->write_count > builder->begin_writes || (absent && argument != 0)) {
        fail_build(builder, QH_EINVAL);
        return;
    }
    if (builder->compare_count == STORE_COMPARES_MAX) {
        fail_build(builder, QH_ELIMIT);
        return;
    }
    /* The answer's write may stand there already; it moves on. */
    if (!check_key(builder, key, counts ? 0 : 1) ||
        !open_gap(builder, builder->compares_end, 3 + key.size + (absent ? 0 : 8), &writer)) {
        return;
    }
    write_key(&writer, (uint8_t)kind, key);
    if (!absent) {
        bytes_write_u64(&writer, argument);
    }
    QH_ASSERT(!writer.failed);
    builder->compares_end += writer.size;
    builder->compare_count++;
}

static bool open_write(struct txn_builder *builder, struct bytes key, size_t size,
                       struct bytes_writer *ret_writer)
{
    if (builder->write_count == STORE_WRITES_MAX) {
        fail_build(builder, QH_ELIMIT);
        return false;
    }
    return check_key(builder, key, 1) && open_gap(builder, builder->size, size, ret_writer);
}

void txn_build_put(struct txn_builder *builder, struct bytes key, struct bytes value,
                   uint32_t expires_after)
{
    struct bytes_writer writer;

    if (value.size > STORE_VALUE_SIZE_MAX || expires_after > STORE_EXPIRES_AFTER_MAX) {
        fail_build(builder, QH_ELIMIT);
        return;
    }
    if (!open_write(builder, key, 3 + key.size + 8 + value.size, &writer)) {
        return;
    }
    write_key(&writer, TXN_PUT, key);
    bytes_write_u32(&writer, expires_after);
    bytes_write_u32(&writer, (uint32_t)value.size);
    bytes_write_span(&writer, value.base, value.size);
    QH_ASSERT(!writer.failed);
    builder->write_count++;
}

void txn_build_delete(struct txn_builder *builder, struct bytes key)
{
    struct bytes_writer writer;

    if (!open_write(builder, key, 3 + key.size, &writer)) {
        return;
    }
    write_key(&writer, TXN_DELETE, key);
    QH_ASSERT(!writer.failed);
    builder->write_count++;
}

QH_RESULT txn_build_end(struct txn_builder *builder, struct bytes *ret_encoded)
{
    enum qh_err err = builder->err;
    struct bytes_writer writer;

    if (err == QH_OK) {
        bytes_writer_init(&writer, builder->base + TXN_COUNTS_OFFSET, 4);
        bytes_write_u16(&writer, (uint16_t)builder->compare_count);
        bytes_write_u16(&writer, (uint16_t)builder->write_count);
        QH_ASSERT(!writer.failed);
        ret_encoded->base = builder->base;
        ret_encoded->size = builder->size;
    } else {
        free(builder->base);
    }
    memset(builder, 0, sizeof *builder);
    builder->err = QH_EINVAL; /* closed */
    return err;
}

void txn_once_key(const uint8_t id[ONCE_ID_SIZE], uint8_t ret_key[ONCE_KEY_SIZE])
{
    ret_key[0] = 'r';
    ret_key[1] = '/';
    memcpy(ret_key + 2, id, ONCE_ID_SIZE);
}
