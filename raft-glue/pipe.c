/* The BIO between OpenSSL and a socket. */
#include "raft-glue/pipe.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define PIPE_ROOM_FIRST 4096u

static QH_RESULT make_room(struct pipe_out *out, size_t size)
{
    size_t room = out->room == 0 ? PIPE_ROOM_FIRST : out->room;
    uint8_t *base;

    if (size > PIPE_OUT_SIZE_MAX - out->size) {
        return QH_ELIMIT;
    }
    if (out->start > 0 && out->start + out->size + size > out->room) {
        memmove(out->base, out->base + out->start, out->size);
        out->start = 0;
    }
    while (room < out->start + out->size + size) {
        room *= 2;
    }
    if (room == out->room) {
        return QH_OK;
    }
    base = realloc(out->base, room);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    out->base = base;
    out->room = room;
    return QH_OK;
}

static int bio_write(BIO *bio, const char *base, int size)
{
    struct pipe *pipe = BIO_get_data(bio);
    struct pipe_out *out = &pipe->out;

    BIO_clear_retry_flags(bio);
    if (size <= 0) {
        return 0;
    }
    if (make_room(out, (size_t)size) != QH_OK) {
        return -1; /* no retry: the connection fails */
    }
    memcpy(out->base + out->start + out->size, base, (size_t)size);
    out->size += (size_t)size;
    return size;
}

static int bio_read(BIO *bio, char *ret_base, int room)
{
    struct pipe *pipe = BIO_get_data(bio);
    size_t size = pipe->input.size;

    BIO_clear_retry_flags(bio);
    if (room <= 0) {
        return 0;
    }
    if (size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (size > (size_t)room) {
        size = (size_t)room;
    }
    memcpy(ret_base, pipe->input.base, size);
    pipe->input.base += size;
    pipe->input.size -= size;
    return (int)size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

QH_RESULT pipe_method_new(BIO_METHOD **ret_method)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "quadhsm pipe");

    if (method == NULL || BIO_meth_set_write(method, bio_write) != 1 ||
        BIO_meth_set_read(method, bio_read) != 1 || BIO_meth_set_ctrl(method, bio_control) != 1) {
        BIO_meth_free(method);
        ERR_clear_error();
        return QH_ENOMEM;
    }
    *ret_method = method;
    return QH_OK;
}

QH_RESULT pipe_bio_new(const BIO_METHOD *method, struct pipe *pipe, BIO **ret_bio)
{
    BIO *bio = BIO_new(method);

    if (bio == NULL) {
        ERR_clear_error();
        return QH_ENOMEM;
    }
    BIO_set_data(bio, pipe);
    BIO_set_init(bio, 1);
    *ret_bio = bio;
    return QH_OK;
}

void pipe_close(struct pipe *pipe)
{
    free(pipe->out.base);
    free(pipe->flight.base);
    *pipe = (struct pipe){0};
}

void pipe_out_drop(struct pipe_out *out, size_t size)
{
    QH_ASSERT(size <= out->size);
    out->start += size;
    out->size -= size;
    if (out->size == 0) {
        out->start = 0;
    }
}

void pipe_launch(struct pipe *pipe)
{
    struct pipe_out landed = pipe->flight;

    QH_ASSERT(landed.size == 0);
    pipe->flight = pipe->out;
    pipe->out = landed;
}
