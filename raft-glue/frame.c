/* Reassembly of frames. */
#include "raft-glue/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void frame_reader_init(struct frame_reader *reader, size_t limit)
{
    *reader = (struct frame_reader){.limit = limit};
}

void frame_reader_close(struct frame_reader *reader)
{
    free(reader->base);
    *reader = (struct frame_reader){.limit = reader->limit};
}

static void input_skip(struct bytes *input, size_t size)
{
    input->base += size;
    input->size -= size;
}

static size_t least(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* The announced size; only with a whole head. */
static size_t body_size(const struct frame_reader *reader)
{
    const uint8_t *head = reader->head;

    return (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
}

static void take_head(struct frame_reader *reader, struct bytes *input)
{
    size_t size = least(FRAME_HEAD_SIZE - reader->head_size, input->size);

    memcpy(reader->head + reader->head_size, input->base, size);
    reader->head_size += size;
    input_skip(input, size);
}

/* Room for @size more bytes of a body of @whole. */
static QH_RESULT make_room(struct frame_reader *reader, size_t size, size_t whole)
{
    size_t room = reader->room;
    uint8_t *base;

    if (reader->size + size <= room) {
        return QH_OK;
    }
    room = room == 0 ? FRAME_ROOM_FIRST : room * 2;
    if (room < reader->size + size) {
        room = reader->size + size;
    }
    room = least(room, whole);
    base = realloc(reader->base, room);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    reader->base = base;
    reader->room = room;
    return QH_OK;
}

QH_RESULT frame_reader_take(struct frame_reader *reader, struct bytes *input, bool *ret_whole,
                            struct bytes *ret_body)
{
    size_t whole, size;
    enum qh_err err;

    if (reader->head_size == FRAME_HEAD_SIZE && reader->size == body_size(reader)) {
        frame_reader_close(reader); /* the frame of the last call */
    }
    if (reader->head_size < FRAME_HEAD_SIZE) {
        take_head(reader, input);
    }
    if (reader->head_size < FRAME_HEAD_SIZE) {
        *ret_whole = false;
        return QH_OK;
    }
    whole = body_size(reader);
    if (whole == 0) {
        return QH_EMALFORMED;
    }
    if (whole > reader->limit) {
        return QH_ELIMIT;
    }
    QH_ASSERT(reader->size < whole);
    if (reader->size == 0 && input->size >= whole) {
        *ret_body = (struct bytes){.base = input->base, .size = whole};
        *ret_whole = true;
        input_skip(input, whole);
        reader->head_size = 0;
        return QH_OK;
    }
    size = least(whole - reader->size, input->size);
    if (size == 0) {
        *ret_whole = false;
        return QH_OK;
    }
    err = make_room(reader, size, whole);
    if (err != QH_OK) {
        return err;
    }
    memcpy(reader->base + reader->size, input->base, size);
    reader->size += size;
    input_skip(input, size);
    *ret_whole = reader->size == whole;
    *ret_body = (struct bytes){.base = reader->base, .size = reader->size};
    return QH_OK;
}
