/* Any bytes as a greeting: refused, or encoded again to the very same bytes; and as
 * a stream of frames: whole ones within the limit, or an error. */
#include <string.h>

#include "base/assert.h"
#include "raft-glue/frame.h"
#include "raft-glue/hello.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT 300u

static void try_hello(struct bytes body)
{
    struct transport_hello hello;
    uint8_t again[HELLO_SIZE_MAX];
    enum qh_err code;

    if (hello_decode(body, &hello, &code) != QH_OK) {
        return;
    }
    QH_ASSERT(hello_encode(&hello, code, again) == body.size);
    QH_ASSERT(memcmp(again, body.base, body.size) == 0);
}

/* The first byte says into which parts the rest is cut. */
static void try_frames(const uint8_t *data, size_t size)
{
    size_t part = size > 0 ? data[0] + 1u : 1u;
    struct frame_reader reader;

    frame_reader_init(&reader, LIMIT);
    for (size_t at = 1; at < size; at += part) {
        struct bytes input = {.base = data + at, .size = at + part < size ? part : size - at};

        while (input.size > 0) {
            struct bytes body = {0};
            bool whole = false;

            if (frame_reader_take(&reader, &input, &whole, &body) != QH_OK) {
                frame_reader_close(&reader);
                return;
            }
            QH_ASSERT(reader.room <= LIMIT);
            if (whole) {
                QH_ASSERT(body.size >= 1);
                QH_ASSERT(body.size <= LIMIT);
                try_hello(body);
            }
        }
    }
    frame_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_hello((struct bytes){.base = data, .size = size});
    try_frames(data, size);
    return 0;
}
