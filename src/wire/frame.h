/* Frames of the client protocol: u32 length (little-endian), then one protobuf message. Packing
 * and unpacking with an allocator that wipes what it frees, since messages carry PINs.
 *
 * Not the peer protocol, which has frames of its own (raft-glue/frame.h). Thread: any. */
#ifndef QH_WIRE_FRAME_H
#define QH_WIRE_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

#define FRAME_HEADER_SIZE 4u

#define WIRE_ALPN_CLIENT "quadhsm-client/1"
#define WIRE_ALPN_JOIN "quadhsm-join/1"

/* Zeroes at release. For protobuf-c's functions. Blocks above WIRE_FRAME_SIZE_MAX are refused. */
extern ProtobufCAllocator wire_allocator;

/* The body's size from a header. Errors: QH_ELIMIT (above @size_max, or 0). */
QH_RESULT wire_header_read(const uint8_t header[FRAME_HEADER_SIZE], size_t size_max,
                           size_t *ret_size);

/* Header and message in one new block. Errors: QH_ELIMIT, QH_ENOMEM.
 * Owns: wire_free(). */
QH_RESULT wire_pack(const ProtobufCMessage *message, uint8_t **ret_frame, size_t *ret_size);
/* For wire_pack()'s frames, and anything else of malloc() that is to be wiped first. NULL is
 * allowed. Not for memory of wire_allocator. */
void wire_free(void *block, size_t size);

/* What a message may take in memory, however it is built: frames of nothing but empty fields would
 * take thirty times their size. */
#define WIRE_MEMORY_MIN 65536u /* bytes */
#define WIRE_MEMORY_FACTOR 16u /* and so many times the body's size */

/* Errors: QH_EMALFORMED, also if it would take too much memory, or there is none.
 * Owns: wire_message_free(). */
QH_RESULT wire_unpack(const ProtobufCMessageDescriptor *type, struct bytes body,
                      ProtobufCMessage **ret_message);
/* The same in few blocks of memory, which is quicker: for messages that are only read, since
 * nothing can be taken out of it, or hung into it to be released with it. */
QH_RESULT wire_unpack_whole(const ProtobufCMessageDescriptor *type, struct bytes body,
                            ProtobufCMessage **ret_message);
void wire_message_free(ProtobufCMessage *message); /* NULL is allowed */

/* A copy of @bytes in new memory of wire_allocator, for fields of messages that
 * wire_message_free() will release. base NULL if there is no memory or nothing to copy. */
ProtobufCBinaryData wire_bytes(struct bytes bytes);
char *wire_string(const char *text);
/* @text where a message's field wants a pointer to what may change: for messages that are packed
 * and never released. */
char *wire_borrow(const char *text);
/* Zeroed memory of wire_allocator, for messages and lists that wire_message_free() will release
 * (then call the message's own init). NULL if there is none. */
void *wire_zalloc(size_t size);

#endif
