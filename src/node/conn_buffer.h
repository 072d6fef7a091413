/* Bytes that come at one end and go at the other, wiped as they go: they may hold PINs and
 * decrypted data. */
#ifndef QH_NODE_CONN_BUFFER_H
#define QH_NODE_CONN_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* An empty buffer keeps at most this much room. */
#define CONN_BUFFER_KEPT_SIZE 16384u

/* All zero: empty. */
struct conn_buffer {
    uint8_t *base;
    size_t start; /* bytes before it are gone */
    size_t size;  /* bytes after @start */
    size_t room;
};

/* Room for @size more bytes behind what there is; the caller adds to buffer->size what it wrote.
 * NULL without memory. It moves what there is. */
uint8_t *conn_buffer_reserve(struct conn_buffer *buffer, size_t size);

struct bytes conn_buffer_bytes(const struct conn_buffer *buffer);
/* The first @size bytes go. */
void conn_buffer_drop(struct conn_buffer *buffer, size_t size);
void conn_buffer_close(struct conn_buffer *buffer);

#endif
