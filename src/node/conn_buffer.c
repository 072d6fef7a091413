/* A buffer that wipes what leaves it. */
#include "node/conn_buffer.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define CONN_BUFFER_ROOM_MIN 1024u

static void buffer_compact(struct conn_buffer *buffer)
{
    memmove(buffer->base, buffer->base + buffer->start, buffer->size);
    sodium_memzero(buffer->base + buffer->size, buffer->start);
    buffer->start = 0;
}

/* Not realloc(), which would leave a copy behind. */
static uint8_t *buffer_grow(struct conn_buffer *buffer, size_t needed)
{
    size_t room = buffer->room > 0 ? buffer->room : CONN_BUFFER_ROOM_MIN;
    uint8_t *base;

    while (room < needed) {
        room *= 2;
    }
    base = malloc(room);
    if (base == NULL) {
        return NULL;
    }
    if (buffer->base != NULL) {
        memcpy(base, buffer->base + buffer->start, buffer->size);
        sodium_memzero(buffer->base, buffer->start + buffer->size);
        free(buffer->base);
    }
    buffer->base = base;
    buffer->start = 0;
    buffer->room = room;
    return base;
}

uint8_t *conn_buffer_reserve(struct conn_buffer *buffer, size_t size)
{
    size_t needed = buffer->size + size;

    if (buffer->room - buffer->start < needed) {
        /* Moving is worth it where it makes half of the room free: so each byte moves few times. */
        if (buffer->room >= needed && buffer->start >= buffer->room / 2) {
            buffer_compact(buffer);
        } else if (buffer_grow(buffer, needed) == NULL) {
            return NULL;
        }
    }
    return buffer->base + buffer->start + buffer->size;
}

struct bytes conn_buffer_bytes(const struct conn_buffer *buffer)
{
    return (struct bytes){buffer->size > 0 ? buffer->base + buffer->start : NULL, buffer->size};
}

void conn_buffer_drop(struct conn_buffer *buffer, size_t size)
{
    QH_ASSERT(size <= buffer->size);
    if (size > 0) {
        sodium_memzero(buffer->base + buffer->start, size);
    }
    buffer->start += size;
    buffer->size -= size;
    if (buffer->size > 0) {
        return;
    }
    buffer->start = 0;
    if (buffer->room > CONN_BUFFER_KEPT_SIZE) {
        conn_buffer_close(buffer);
    }
}

void conn_buffer_close(struct conn_buffer *buffer)
{
    if (buffer->base != NULL) {
        sodium_memzero(buffer->base, buffer->start + buffer->size);
        free(buffer->base);
    }
    *buffer = (struct conn_buffer){0};
}
