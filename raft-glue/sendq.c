/* The queue of frames of one connection. */
#include "raft-glue/sendq.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft-glue/frame.h"

#define SENDQ_UNSEALED UINT64_MAX

struct sendq_item {
    struct sendq_item *next;
    transport_sent cb;
    void *data;
    enum qh_err status;
    uint64_t end; /* over when so many bytes were written */
    size_t size;  /* of the frame, its length included */
    unsigned span_count, span;
    size_t span_taken;    /* bytes of the current span */
    struct bytes spans[]; /* length and head, then the pieces; the first one's bytes stand behind */
};

void sendq_done_init(struct sendq_done *done)
{
    done->first = NULL;
    done->last = &done->first;
}

void sendq_done_run(struct sendq_done *done)
{
    struct sendq_item *item = done->first;

    sendq_done_init(done);
    while (item != NULL) {
        struct sendq_item *next = item->next;

        item->cb(item->data, item->status);
        free(item);
        item = next;
    }
}

static void done_add(struct sendq_done *done, struct sendq_item *item, enum qh_err status)
{
    if (item->cb == NULL) {
        free(item);
        return;
    }
    item->status = status;
    item->next = NULL;
    *done->last = item;
    done->last = &item->next;
}

void sendq_init(struct sendq *queue)
{
    *queue = (struct sendq){0};
    queue->last = &queue->first;
}

bool sendq_waiting(const struct sendq *queue)
{
    return queue->next != NULL;
}

static bool is_full(const struct sendq *queue, size_t size)
{
    if (queue->count == 0) {
        return false;
    }
    return queue->count >= TRANSPORT_QUEUE_FRAMES_MAX || size > TRANSPORT_QUEUE_SIZE_MAX ||
           queue->size > TRANSPORT_QUEUE_SIZE_MAX - size;
}

static void write_head(struct sendq_item *item, uint8_t *at, struct bytes head, size_t body_size)
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, at, FRAME_HEAD_SIZE + head.size);
    bytes_write_u32(&writer, (uint32_t)body_size);
    if (head.size > 0) {
        bytes_write_span(&writer, head.base, head.size);
    }
    QH_ASSERT(!writer.failed);
    item->spans[0] = (struct bytes){.base = at, .size = writer.size};
}

QH_RESULT sendq_push(struct sendq *queue, struct bytes head, const struct bytes *pieces,
                     unsigned piece_count, transport_sent cb, void *data)
{
    size_t spans_size = sizeof(struct bytes) * ((size_t)piece_count + 1);
    size_t body_size = head.size;
    struct sendq_item *item;

    for (unsigned i = 0; i < piece_count; i++) {
        body_size += pieces[i].size;
    }
    QH_ASSERT(body_size > 0);
    QH_ASSERT(body_size <= UINT32_MAX);
    if (is_full(queue, FRAME_HEAD_SIZE + body_size)) {
        return QH_EBUSY;
    }
    item = malloc(sizeof *item + spans_size + FRAME_HEAD_SIZE + head.size);
    if (item == NULL) {
        return QH_ENOMEM;
    }
    *item = (struct sendq_item){.cb = cb,
                                .data = data,
                                .end = SENDQ_UNSEALED,
                                .size = FRAME_HEAD_SIZE + body_size,
                                .span_count = piece_count + 1};
    write_head(item, (uint8_t *)item + sizeof *item + spans_size, head, body_size);
    if (piece_count > 0) {
        memcpy(item->spans + 1, pieces, sizeof *pieces * piece_count);
    }
    *queue->last = item;
    queue->last = &item->next;
    if (queue->next == NULL) {
        queue->next = item;
    }
    queue->size += item->size;
    queue->count++;
    return QH_OK;
}

/* What is left of the current span, having passed over empty ones; empty at the end. */
static struct bytes span_left(struct sendq_item *item)
{
    while (item->span < item->span_count) {
        const struct bytes *span = &item->spans[item->span];

        if (item->span_taken < span->size) {
            return (struct bytes){.base = span->base + item->span_taken,
                                  .size = span->size - item->span_taken};
        }
        item->span++;
        item->span_taken = 0;
    }
    return (struct bytes){0};
}

struct bytes sendq_take(struct sendq *queue, uint8_t chunk[SENDQ_CHUNK_SIZE])
{
    size_t filled = 0;

    while (queue->next != NULL && filled < SENDQ_CHUNK_SIZE) {
        struct sendq_item *item = queue->next;
        struct bytes left = span_left(item);

        if (left.size == 0) {
            queue->next = item->next;
            continue;
        }
        if (filled == 0 && left.size >= SENDQ_CHUNK_SIZE) {
            item->span_taken += SENDQ_CHUNK_SIZE;
            left.size = SENDQ_CHUNK_SIZE;
            if (span_left(item).size == 0) {
                queue->next = item->next;
            }
            return left;
        }
        if (left.size > SENDQ_CHUNK_SIZE - filled) {
            left.size = SENDQ_CHUNK_SIZE - filled;
        }
        memcpy(chunk + filled, left.base, left.size);
        filled += left.size;
        item->span_taken += left.size;
    }
    if (queue->next != NULL && span_left(queue->next).size == 0) {
        queue->next = queue->next->next;
    }
    return (struct bytes){.base = chunk, .size = filled};
}

/* Unsealed items are a short run before the first waiting one. */
void sendq_seal(struct sendq *queue, uint64_t end)
{
    for (struct sendq_item *item = queue->first; item != queue->next; item = item->next) {
        if (item->end == SENDQ_UNSEALED) {
            item->end = end;
        }
    }
}

static struct sendq_item *pop(struct sendq *queue)
{
    struct sendq_item *item = queue->first;

    queue->first = item->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    if (queue->next == item) {
        queue->next = item->next;
    }
    queue->size -= item->size;
    queue->count--;
    return item;
}

unsigned sendq_written(struct sendq *queue, uint64_t written, struct sendq_done *done)
{
    unsigned count = 0;

    while (queue->first != queue->next && queue->first->end <= written) {
        done_add(done, pop(queue), QH_OK);
        count++;
    }
    return count;
}

unsigned sendq_fail(struct sendq *queue, enum qh_err status, struct sendq_done *done)
{
    unsigned count = 0;

    while (queue->first != NULL) {
        done_add(done, pop(queue), status);
        count++;
    }
    return count;
}
