/* Frames out of a stream of bytes: u32 size (little-endian), then the body. A size is checked
 * against the limit before memory is spent, and memory is spent as the bytes arrive:
 * who announces 2 GB has to send them to have them allocated. */
#ifndef QH_GLUE_FRAME_H
#define QH_GLUE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define FRAME_HEAD_SIZE 4u
#define FRAME_ROOM_FIRST 65536u /* allocated at once; then it doubles */

struct frame_reader {
    size_t limit; /* of a body, in bytes; the owner may change it between frames */
    uint8_t head[FRAME_HEAD_SIZE];
    size_t head_size; /* bytes of the head seen so far */
    uint8_t *base;    /* the body so far, if it did not come in one piece */
    size_t size;      /* bytes of the body seen so far */
    size_t room;
};

void frame_reader_init(struct frame_reader *reader, size_t limit);
void frame_reader_close(struct frame_reader *reader);

/* Take bytes from the front of *@input, until a frame is whole or none is left.
 *
 * *ret_whole: *ret_body is a whole frame, in *@input's memory or the reader's, valid
 * until the next call on @reader.
 * Errors: QH_ELIMIT (larger than the limit), QH_EMALFORMED (empty), QH_ENOMEM. The
 *         reader is of no further use then. */
QH_RESULT frame_reader_take(struct frame_reader *reader, struct bytes *input, bool *ret_whole,
                            struct bytes *ret_body);

#endif
