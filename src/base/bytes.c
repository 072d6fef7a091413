/* The bounded reader and writer of little-endian integers. */
#include "base/bytes.h"

#include <string.h>

void bytes_reader_init(struct bytes_reader *reader, const void *base, size_t size)
{
    reader->next = base;
    reader->left = size;
    reader->failed = false;
}

struct bytes bytes_read_span(struct bytes_reader *reader, size_t size)
{
    struct bytes span = {NULL, 0};

    if (reader->failed || size > reader->left) {
        reader->failed = true;
        return span;
    }
    span.base = reader->next;
    span.size = size;
    /* Adding even zero to a null pointer is undefined. */
    if (size > 0) {
        reader->next += size;
        reader->left -= size;
    }
    return span;
}

static uint64_t read_little_endian(struct bytes_reader *reader, size_t size)
{
    struct bytes span = bytes_read_span(reader, size);
    uint64_t value = 0;

    for (size_t i = 0; i < span.size; i++) {
        value |= (uint64_t)span.base[i] << (8 * i);
    }
    return value;
}

uint8_t bytes_read_u8(struct bytes_reader *reader)
{
    return (uint8_t)read_little_endian(reader, 1);
}

uint16_t bytes_read_u16(struct bytes_reader *reader)
{
    return (uint16_t)read_little_endian(reader, 2);
}

uint32_t bytes_read_u32(struct bytes_reader *reader)
{
    return (uint32_t)read_little_endian(reader, 4);
}

uint64_t bytes_read_u64(struct bytes_reader *reader)
{
    return read_little_endian(reader, 8);
}

void bytes_writer_init(struct bytes_writer *writer, void *base, size_t room)
{
    writer->base = base;
    writer->size = 0;
    writer->room = room;
    writer->failed = false;
}

void bytes_write_span(struct bytes_writer *writer, const void *base, size_t size)
{
    if (writer->failed || size > writer->room - writer->size) {
        writer->failed = true;
        return;
    }
    /* memcpy() wants valid pointers even for nothing. */
    if (size > 0) {
        memcpy(writer->base + writer->size, base, size);
        writer->size += size;
    }
}

static void write_little_endian(struct bytes_writer *writer, uint64_t value, size_t size)
{
    uint8_t encoded[8];

    for (size_t i = 0; i < size; i++) {
        encoded[i] = (uint8_t)(value >> (8 * i));
    }
    bytes_write_span(writer, encoded, size);
}

void bytes_write_u8(struct bytes_writer *writer, uint8_t value)
{
    write_little_endian(writer, value, 1);
}

void bytes_write_u16(struct bytes_writer *writer, uint16_t value)
{
    write_little_endian(writer, value, 2);
}

void bytes_write_u32(struct bytes_writer *writer, uint32_t value)
{
    write_little_endian(writer, value, 4);
}

void bytes_write_u64(struct bytes_writer *writer, uint64_t value)
{
    write_little_endian(writer, value, 8);
}

int bytes_compare(struct bytes left, struct bytes right)
{
    size_t common = left.size < right.size ? left.size : right.size;
    int order = common > 0 ? memcmp(left.base, right.base, common) : 0;

    if (order != 0) {
        return order;
    }
    return (left.size > right.size) - (left.size < right.size);
}
