/* The bounded reader and writer against a model that does sums by hand: nothing
 * is read behind the end, and nothing comes back after a failure. */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

struct model {
    const uint8_t *base;
    size_t size;
    size_t at;
    bool failed;
};

/* Where the next @size bytes must come from, or NULL if there are not so many. */
static const uint8_t *model_take(struct model *model, size_t size)
{
    const uint8_t *taken = model->base + model->at;

    if (model->failed || model->size - model->at < size) {
        model->failed = true;
        return NULL;
    }
    model->at += size;
    return taken;
}

static uint64_t model_read(struct model *model, unsigned width)
{
    const uint8_t *taken = model_take(model, width);
    uint64_t value = 0;

    for (unsigned i = 0; taken != NULL && i < width; i++) {
        value |= (uint64_t)taken[i] << (8 * i);
    }
    return value;
}

static void check_span(struct bytes_reader *reader, struct model *model, size_t size)
{
    struct bytes span = bytes_read_span(reader, size);
    const uint8_t *taken = model_take(model, size);

    QH_ASSERT(span.base == taken);
    QH_ASSERT(span.size == (taken != NULL ? size : 0));
}

/* Each byte of @script says what is read next. */
static void check_reader(struct bytes script, struct bytes data)
{
    struct bytes_reader reader;
    struct model model = {.base = data.base, .size = data.size};

    bytes_reader_init(&reader, data.base, data.size);
    for (size_t i = 0; i < script.size; i++) {
        switch (script.base[i] % 5) {
        case 0:
            QH_ASSERT(bytes_read_u8(&reader) == model_read(&model, 1));
            break;
        case 1:
            QH_ASSERT(bytes_read_u16(&reader) == model_read(&model, 2));
            break;
        case 2:
            QH_ASSERT(bytes_read_u32(&reader) == model_read(&model, 4));
            break;
        case 3:
            QH_ASSERT(bytes_read_u64(&reader) == model_read(&model, 8));
            break;
        default:
            check_span(&reader, &model, script.base[i] / 5u);
            break;
        }
        QH_ASSERT(reader.failed == model.failed);
    }
}

/* What was written is read back; what does not fit is not written. */
static void check_writer(struct bytes data, size_t room)
{
    uint8_t memory[256 + 1];
    struct bytes_writer writer;

    memset(memory, 0xa5, sizeof(memory));
    bytes_writer_init(&writer, memory, room);
    bytes_write_span(&writer, data.base, data.size);
    bytes_write_u32(&writer, 0x01020304u);
    QH_ASSERT(writer.size <= room);
    QH_ASSERT(writer.failed == (data.size > room || room - data.size < 4));
    QH_ASSERT(memory[room] == 0xa5);
    if (!writer.failed) {
        QH_ASSERT(data.size == 0 || memcmp(memory, data.base, data.size) == 0);
        QH_ASSERT(memory[data.size] == 4 && memory[data.size + 3] == 1);
    }
}

static void check_compare(struct bytes left, struct bytes right)
{
    int there = bytes_compare(left, right);
    int back = bytes_compare(right, left);

    QH_ASSERT((there < 0) == (back > 0));
    QH_ASSERT((there == 0) == (back == 0));
    QH_ASSERT(bytes_compare(left, left) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes script;
    struct bytes rest;

    if (size < 2) {
        return 0;
    }
    script.base = data + 2;
    script.size = data[0] < size - 2 ? data[0] : size - 2;
    rest.base = script.base + script.size;
    rest.size = size - 2 - script.size;
    check_reader(script, rest);
    check_writer(script, data[1]);
    check_compare(script, rest);
    return 0;
}
