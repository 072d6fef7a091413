/* Strict DER for keys and signatures. */
#include "crypto/der.h"

#include <string.h>

void der_fail(struct bytes_reader *reader)
{
    reader->failed = true;
    reader->left = 0;
}

bool der_done(const struct bytes_reader *reader)
{
    return !reader->failed && reader->left == 0;
}

bool der_next_is(const struct bytes_reader *reader, uint8_t tag)
{
    return !reader->failed && reader->left > 0 && reader->next[0] == tag;
}

/* One form per length: that is what makes DER compare equal. */
static size_t der_read_length(struct bytes_reader *reader)
{
    size_t first = bytes_read_u8(reader);
    size_t length = 0;

    if (first < 0x80) {
        return first;
    }
    if (first == 0x81) {
        length = bytes_read_u8(reader);
        if (length < 0x80) {
            der_fail(reader);
        }
    } else if (first == 0x82) {
        length = bytes_read_u8(reader);
        length = length << 8 | bytes_read_u8(reader);
        if (length < 0x100) {
            der_fail(reader);
        }
    } else {
        der_fail(reader);
    }
    return length;
}

struct bytes der_read(struct bytes_reader *reader, uint8_t tag)
{
    if (!der_next_is(reader, tag)) {
        der_fail(reader);
    }
    (void)bytes_read_u8(reader);
    return bytes_read_span(reader, der_read_length(reader));
}

void der_enter(struct bytes_reader *reader, uint8_t tag, struct bytes_reader *ret_inner)
{
    struct bytes content = der_read(reader, tag);

    bytes_reader_init(ret_inner, content.base, content.size);
    if (reader->failed) {
        der_fail(ret_inner);
    }
}

struct bytes der_read_uint(struct bytes_reader *reader)
{
    struct bytes content = der_read(reader, DER_INTEGER);

    if (reader->failed) {
        return content;
    }
    if (content.size == 0 || (content.base[0] & 0x80) != 0) {
        der_fail(reader);
        return (struct bytes){NULL, 0};
    }
    if (content.size > 1 && content.base[0] == 0) {
        if ((content.base[1] & 0x80) == 0) {
            der_fail(reader);
            return (struct bytes){NULL, 0};
        }
        content.base++;
        content.size--;
    }
    return content;
}

struct bytes der_read_bits(struct bytes_reader *reader)
{
    struct bytes content = der_read(reader, DER_BIT_STRING);

    if (reader->failed || content.size == 0 || content.base[0] != 0) {
        der_fail(reader);
        return (struct bytes){NULL, 0};
    }
    return (struct bytes){content.base + 1, content.size - 1};
}

void der_writer_init(struct der_writer *writer, void *base, size_t room)
{
    writer->base = base;
    writer->room = room;
    writer->at = room;
    writer->failed = false;
}

void der_write_raw(struct der_writer *writer, struct bytes bytes)
{
    if (writer->failed || bytes.size > writer->at) {
        writer->failed = true;
        return;
    }
    writer->at -= bytes.size;
    if (bytes.size > 0) {
        memcpy(writer->base + writer->at, bytes.base, bytes.size);
    }
}

static void der_write_byte(struct der_writer *writer, size_t value)
{
    uint8_t byte = (uint8_t)value;

    der_write_raw(writer, (struct bytes){&byte, 1});
}

size_t der_mark(const struct der_writer *writer)
{
    return writer->at;
}

void der_wrap(struct der_writer *writer, uint8_t tag, size_t mark)
{
    size_t size = mark - writer->at;

    if (size > DER_SIZE_MAX) {
        writer->failed = true;
        return;
    }
    der_write_byte(writer, size & 0xff);
    if (size >= 0x100) {
        der_write_byte(writer, size >> 8);
        der_write_byte(writer, 0x82);
    } else if (size >= 0x80) {
        der_write_byte(writer, 0x81);
    }
    der_write_byte(writer, tag);
}

void der_write(struct der_writer *writer, uint8_t tag, struct bytes content)
{
    size_t mark = der_mark(writer);

    der_write_raw(writer, content);
    der_wrap(writer, tag, mark);
}

void der_write_bits(struct der_writer *writer, struct bytes content)
{
    size_t mark = der_mark(writer);

    der_write_raw(writer, content);
    der_write_byte(writer, 0);
    der_wrap(writer, DER_BIT_STRING, mark);
}

struct bytes der_trim(struct bytes number)
{
    while (number.size > 0 && number.base[0] == 0) {
        number.base++;
        number.size--;
    }
    return number;
}

void der_write_uint(struct der_writer *writer, struct bytes number)
{
    size_t mark = der_mark(writer);

    number = der_trim(number);
    der_write_raw(writer, number);
    if (number.size == 0 || (number.base[0] & 0x80) != 0) {
        der_write_byte(writer, 0);
    }
    der_wrap(writer, DER_INTEGER, mark);
}

struct bytes der_written(const struct der_writer *writer)
{
    return (struct bytes){writer->base + writer->at, writer->room - writer->at};
}
