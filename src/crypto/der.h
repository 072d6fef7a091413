/* The little of DER that keys need: reading with strict lengths, and writing from the end to the
 * front, so that a header's length is known when it is written. What it is not: a decoder of
 * ASN.1, of indefinite lengths, or of tags above 30. */
#ifndef QH_CRYPTO_DER_H
#define QH_CRYPTO_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define DER_INTEGER 0x02u
#define DER_BIT_STRING 0x03u
#define DER_OCTET_STRING 0x04u
#define DER_NULL 0x05u
#define DER_OID 0x06u
#define DER_PRINTABLE 0x13u
#define DER_SEQUENCE 0x30u
#define DER_CONTEXT 0xa0u   /* constructed, plus its number */
#define DER_SIZE_MAX 65535u /* bytes of one element's content */

/* The content of the next element, which must have @tag. A wrong tag, a length that is not the
 * shortest or goes past the end, fail the reader as in base/bytes.h. */
struct bytes der_read(struct bytes_reader *reader, uint8_t tag);
/* The same, for a reader of what is inside. */
void der_enter(struct bytes_reader *reader, uint8_t tag, struct bytes_reader *ret_inner);
/* A non-negative INTEGER in its shortest form, without the zero byte that DER puts before a set
 * top bit. Zero is one zero byte. */
struct bytes der_read_uint(struct bytes_reader *reader);
/* A BIT STRING of whole bytes. */
struct bytes der_read_bits(struct bytes_reader *reader);
/* Whether the next element has @tag; false at the end. */
bool der_next_is(const struct bytes_reader *reader, uint8_t tag);
void der_fail(struct bytes_reader *reader);
/* Read to the end, and nothing failed. */
bool der_done(const struct bytes_reader *reader);

/* @at goes down from @room to 0; what does not fit sets @failed. */
struct der_writer {
    uint8_t *base;
    size_t room;
    size_t at;
    bool failed;
};

void der_writer_init(struct der_writer *writer, void *base, size_t room);
void der_write_raw(struct der_writer *writer, struct bytes bytes);
/* A big-endian number; leading zeroes are dropped. */
void der_write_uint(struct der_writer *writer, struct bytes number);
void der_write(struct der_writer *writer, uint8_t tag, struct bytes content);
void der_write_bits(struct der_writer *writer, struct bytes content);
/* The header of everything written since der_mark(). */
size_t der_mark(const struct der_writer *writer);
void der_wrap(struct der_writer *writer, uint8_t tag, size_t mark);
struct bytes der_written(const struct der_writer *writer);

/* @number without its leading zeroes; empty if it is zero. */
struct bytes der_trim(struct bytes number);

#endif
