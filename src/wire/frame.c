/* Frames of the client protocol. */
#include "wire/frame.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* protobuf-c tells no size when it frees, so each block knows its own. */
struct block {
    size_t size;
    struct arena *arena; /* NULL: none; the first block of one ends it */
};

/* A large message is unpacked into few pieces of memory: a list of objects has tens of thousands of
 * blocks, which malloc() finds room for only slowly once others were freed between them. */
#define ARENA_BODY_MIN 8192u    /* bytes of a body; smaller ones take blocks of their own */
#define ARENA_CHUNK_SIZE 65536u /* bytes */
#define ARENA_ALIGNMENT (2u * sizeof(size_t))

struct chunk {
    struct chunk *next;
    size_t size; /* with this header */
};

struct arena {
    size_t left; /* what may still be allocated */
    struct chunk *chunks;
    uint8_t *next; /* in the first one */
    size_t room;
    struct block *first;
    struct block
        *spare; /* one that was freed: protobuf-c takes such for each message, and lets go */
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
    block->size = size;
    block->arena = NULL;
    return block + 1;
}

static bool arena_add_chunk(struct arena *arena, size_t size)
{
    size_t total = sizeof(struct chunk) + (size > ARENA_CHUNK_SIZE ? size : ARENA_CHUNK_SIZE);
    struct chunk *chunk = malloc(total);

    if (chunk == NULL) {
        return false;
    }
    chunk->next = arena->chunks;
    chunk->size = total;
    arena->chunks = chunk;
    arena->next = (uint8_t *)(chunk + 1);
    arena->room = total - sizeof *chunk;
    return true;
}

static void arena_close(struct arena *arena)
{
    struct chunk *chunk = arena->chunks;

    while (chunk != NULL) {
        struct chunk *next = chunk->next;

        sodium_memzero(chunk, chunk->size);
        free(chunk);
        chunk = next;
    }
    free(arena);
}

static void *arena_alloc(void *data, size_t size)
{
    struct arena *arena = data;
    size_t total =
        (sizeof(struct block) + size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    struct block *block = arena->spare;

    if (size > WIRE_FRAME_SIZE_MAX * 2u || sizeof *block + size > arena->left) {
        return NULL;
    }
    arena->left -= sizeof *block + size;
    if (block != NULL && block->size >= size && block->size <= 2 * size) {
        arena->spare = NULL;
        return block + 1;
    }
    if (total > arena->room && !arena_add_chunk(arena, total)) {
        return NULL;
    }
    block = (struct block *)(void *)arena->next;
    arena->next += total;
    arena->room -= total;
    block->size = size;
    block->arena = arena;
    if (arena->first == NULL) {
        arena->first = block;
    }
    return block + 1;
}

/* While a message is unpacked: if that fails, protobuf-c frees the message before what it took for
 * itself, so the arena is not ended here. */
static void arena_free(void *data, void *memory)
{
    struct arena *arena = data;
    struct block *block;

    if (memory != NULL) {
        block = (struct block *)memory - 1;
        arena->spare = block != arena->first ? block : arena->spare;
    }
}

static void block_free(void *data, void *memory)
{
    struct block *block;

    (void)data;
    if (memory == NULL) {
        return;
    }
    block = (struct block *)memory - 1;
    if (block->arena == NULL) {
        sodium_memzero(memory, block->size);
        free(block);
    } else if (block == block->arena->first) {
        arena_close(block->arena); /* the message itself, which protobuf-c frees last */
    }
}

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

static ProtobufCMessage *unpack_into_arena(const ProtobufCMessageDescriptor *type,
                                           struct bytes body, size_t left)
{
    struct arena *arena = calloc(1, sizeof *arena);
    ProtobufCAllocator allocator = {
        .alloc = arena_alloc, .free = arena_free, .allocator_data = arena};
    ProtobufCMessage *message;

    if (arena == NULL) {
        return NULL;
    }
    arena->left = left;
    message = protobuf_c_message_unpack(type, &allocator, body.size, body.base);
    if (message == NULL) {
        arena_close(arena);
    }
    return message;
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
    message = body.size < ARENA_BODY_MIN
                  ? protobuf_c_message_unpack(type, &allocator, body.size, body.base)
                  : unpack_into_arena(type, body, left);
    if (message == NULL) {
        return QH_EMALFORMED;
    }
    *ret_message = message;
    return QH_OK;
}

void wire_message_free(ProtobufCMessage *message)
{
    if (message != NULL) {
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
