/* Reading and writing little-endian integers and spans in bounded memory. Every
 * parser of the project stands on the reader: it cannot be made to read past
 * its end, and it remembers that it would have. */
#ifndef QH_BASE_BYTES_H
#define QH_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes. */
struct bytes {
    const uint8_t *base;
    size_t size; /* in bytes */
};

/* After a failed read every further read gives zeroes and @failed stays true,
 * so that a parser checks once, at its end. */
struct bytes_reader {
    const uint8_t *next;
    size_t left; /* bytes not read yet */
    bool failed;
};

void bytes_reader_init(struct bytes_reader *reader, const void *base, size_t size);
uint8_t bytes_read_u8(struct bytes_reader *reader);
uint16_t bytes_read_u16(struct bytes_reader *reader);
uint32_t bytes_read_u32(struct bytes_reader *reader);
uint64_t bytes_read_u64(struct bytes_reader *reader);
/* @size bytes that stay where they are; an empty span with base NULL on failure. */
struct bytes bytes_read_span(struct bytes_reader *reader, size_t size);

/* The same for writing: @failed if the room did not suffice; what did not fit
 * is not written. */
struct bytes_writer {
    uint8_t *base;
    size_t size; /* bytes written */
    size_t room; /* bytes in all */
    bool failed;
};

void bytes_writer_init(struct bytes_writer *writer, void *base, size_t room);
void bytes_write_u8(struct bytes_writer *writer, uint8_t value);
void bytes_write_u16(struct bytes_writer *writer, uint16_t value);
void bytes_write_u32(struct bytes_writer *writer, uint32_t value);
void bytes_write_u64(struct bytes_writer *writer, uint64_t value);
void bytes_write_span(struct bytes_writer *writer, const void *base, size_t size);

/* Three-way comparison in lexicographic order; a prefix sorts first. Not
 * constant time: for record keys, never for secrets. */
int bytes_compare(struct bytes left, struct bytes right);

#endif
