/* Frames of the client protocol. */
#include "wire/frame.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* What a message was unpacked into that is released as a whole. Memory follows. */
struct chunk {
    struct chunk *next;
    size_t room, used;
    size_t padding; /* keeps what follows aligned as malloc() would */
};

/* protobuf-c tells no size when it frees, so each block knows its own. Its size, too, keeps what
 * follows aligned. */
struct block {
    size_t size;
    struct chunk *chunks; /* of a message from wire_unpack_whole(): all that it has; else NULL */
};

/* @data: what may still be allocated, or NULL. */
static void *block_alloc(void *data, size_t size)
{
    size_t *left = data;
    struct block *block;

    if (size > WIRE_FRAME_SIZE_MAX * 2u || (left != NULL && sizeof *block + size > *left)) {
        return NULL;
    }
    block = malloc(sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    if (left != NULL) {
        *left -= sizeof *block + size;
    }
    *block = (struct block){.size = size};
    return block + 1;
}

static void block_free(void *data, void *memory)
{
    struct block *block;

    (void)data;
    if (memory != NULL) {
        block = (struct block *)memory - 1;
        sodium_memzero(memory, block->size);
        free(block);
    }
}

/* ---- a message in few blocks ---- */

#define CHUNK_ALIGNMENT 16u
#define CHUNK_ROOM_MIN 1536u /* beside the body's size: messages, lists, and their alignment */

struct arena {
    struct chunk *first, *last;
    size_t left; /* what may still be allocated */
};

static bool arena_grow(struct arena *arena, size_t needed)
{
    size_t room = arena->last != NULL ? 2 * arena->last->room : CHUNK_ROOM_MIN;
    struct chunk *chunk;

    room = room > needed ? room : needed;
    chunk = malloc(sizeof *chunk + room);
    if (chunk == NULL) {
        return false;
    }
    *chunk = (struct chunk){.room = room};
    if (arena->last != NULL) {
        arena->last->next = chunk;
    } else {
        arena->first = chunk;
    }
    arena->last = chunk;
    return true;
}

/* Counts as much as it would alone, so that both ways of unpacking take the same messages. */
static void *arena_alloc(void *data, size_t size)
{
    struct arena *arena = data;
    size_t aligned = (size + CHUNK_ALIGNMENT - 1) & ~(size_t)(CHUNK_ALIGNMENT - 1);
    void *memory;

    if (size > WIRE_FRAME_SIZE_MAX * 2u || sizeof(struct block) + size > arena->left) {
        return NULL;
    }
    if (arena->last->room - arena->last->used < aligned && !arena_grow(arena, aligned)) {
        return NULL;
    }
    arena->left -= sizeof(struct block) + size;
    memory = (uint8_t *)(arena->last + 1) + arena->last->used;
    arena->last->used += aligned;
    return memory;
}

static void arena_keep(void *data, void *memory)
{
    (void)data;
    (void)memory;
}

static void chunks_free(struct chunk *chunk)
{
    while (chunk != NULL) {
        struct chunk *next = chunk->next;

        sodium_memzero(chunk, sizeof *chunk + chunk->used);
        free(chunk);
        chunk = next;
    }
}

/* ---- frames ---- */

ProtobufCAllocator wire_allocator = {.alloc = block_alloc, .free = block_free};

QH_RESULT wire_header_read(const uint8_t header[FRAME_HEADER_SIZE], size_t size_max,
                           size_t *ret_size)
{
    struct bytes_reader reader;
    size_t size;

    bytes_reader_init(&reader, header, FRAME_HEADER_SIZE);
    size = bytes_read_u32(&reader);
    if (size == 0 || size > size_max) {
        return QH_ELIMIT;
    }
    *ret_size = size;
    return QH_OK;
}

QH_RESULT wire_pack(const ProtobufCMessage *message, uint8_t **ret_frame, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    struct bytes_writer writer;
    uint8_t *frame;

    if (size == 0 || size > WIRE_FRAME_SIZE_MAX) {
        return QH_ELIMIT;
    }
    frame = malloc(FRAME_HEADER_SIZE + size);
    if (frame == NULL) {
        return QH_ENOMEM;
    }
    bytes_writer_init(&writer, frame, FRAME_HEADER_SIZE);
    bytes_write_u32(&writer, (uint32_t)size);
    (void)protobuf_c_message_pack(message, frame + FRAME_HEADER_SIZE);
    *ret_frame = frame;
    *ret_size = FRAME_HEADER_SIZE + size;
    return QH_OK;
}

void wire_free(void *block, size_t size)
{
    if (block != NULL) {
        sodium_memzero(block, size);
        free(block);
    }
}

QH_RESULT wire_unpack(const ProtobufCMessageDescriptor *type, struct bytes body,
                      ProtobufCMessage **ret_message)
{
    size_t left = WIRE_MEMORY_MIN + WIRE_MEMORY_FACTOR * body.size;
    ProtobufCAllocator allocator = wire_allocator;
    ProtobufCMessage *message;

    if (body.size > WIRE_FRAME_SIZE_MAX) {
        return QH_EMALFORMED;
    }
    allocator.allocator_data = &left;
    message = protobuf_c_message_unpack(type, &allocator, body.size, body.base);
    if (message == NULL) {
        return QH_EMALFORMED;
    }
    *ret_message = message;
    return QH_OK;
}

QH_RESULT wire_unpack_whole(const ProtobufCMessageDescriptor *type, struct bytes body,
                            ProtobufCMessage **ret_message)
{
    struct arena arena = {.left = WIRE_MEMORY_MIN + WIRE_MEMORY_FACTOR * body.size};
    ProtobufCAllocator allocator = {arena_alloc, arena_keep, &arena};
    struct block *block;
    ProtobufCMessage *message;

    if (body.size > WIRE_FRAME_SIZE_MAX || !arena_grow(&arena, CHUNK_ROOM_MIN + body.size)) {
        return QH_EMALFORMED;
    }
    /* The message is the first that is allocated, and so follows its block. */
    block = (struct block *)(arena.first + 1);
    arena.first->used = sizeof *block;
    message = protobuf_c_message_unpack(type, &allocator, body.size, body.base);
    if (message == NULL) {
        chunks_free(arena.first);
        return QH_EMALFORMED;
    }
    QH_ASSERT((struct block *)(void *)message == block + 1);
    *block = (struct block){.size = type->sizeof_message, .chunks = arena.first};
    *ret_message = message;
    return QH_OK;
}

void wire_message_free(ProtobufCMessage *message)
{
    const struct block *block;

    if (message == NULL) {
        return;
    }
    block = (const struct block *)(const void *)message - 1;
    if (block->chunks != NULL) {
        chunks_free(block->chunks);
    } else {
        protobuf_c_message_free_unpacked(message, &wire_allocator);
    }
}

ProtobufCBinaryData wire_bytes(struct bytes bytes)
{
    ProtobufCBinaryData data = {0};

    if (bytes.size > 0) {
        data.data = block_alloc(NULL, bytes.size);
        if (data.data != NULL) {
            memcpy(data.data, bytes.base, bytes.size);
            data.len = bytes.size;
        }
    }
    return data;
}

char *wire_string(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = block_alloc(NULL, size);

    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

void *wire_zalloc(size_t size)
{
    void *memory = block_alloc(NULL, size);

    if (memory != NULL) {
        memset(memory, 0, size);
    }
    return memory;
}

char *wire_borrow(const char *text)
{
    union {
        const char *borrowed;
        char *field;
    } text_as = {.borrowed = text};

    return text_as.field;
}
