/* Frames out of bytes, however these are cut. */
#include "raft-glue/frame.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

#define LIMIT 100000u

static struct frame_reader reader;

static void open_reader(void)
{
    frame_reader_init(&reader, LIMIT);
}

static void close_reader(void)
{
    frame_reader_close(&reader);
}

static void write_size(uint8_t *at, size_t size)
{
    for (unsigned i = 0; i < FRAME_HEAD_SIZE; i++) {
        at[i] = (uint8_t)(size >> (8 * i));
    }
}

/* Frames of these sizes, byte i of frame n being n + i, cut into parts of @part bytes. */
static const size_t sizes[] = {1, 3, 600, 4, 65536, 65537, LIMIT, 2};
#define SIZES (sizeof sizes / sizeof *sizes)

static uint8_t *make_stream(size_t *ret_size)
{
    size_t size = 0, at = 0;
    uint8_t *base;

    for (size_t n = 0; n < SIZES; n++) {
        size += FRAME_HEAD_SIZE + sizes[n];
    }
    base = malloc(size);
    ck_assert_ptr_nonnull(base);
    for (size_t n = 0; n < SIZES; n++) {
        write_size(base + at, sizes[n]);
        at += FRAME_HEAD_SIZE;
        for (size_t i = 0; i < sizes[n]; i++) {
            base[at++] = (uint8_t)(n + i);
        }
    }
    *ret_size = size;
    return base;
}

static void expect_frame(size_t n, struct bytes body)
{
    size_t equal = 0;

    ck_assert_uint_lt(n, SIZES);
    ck_assert_uint_eq(body.size, sizes[n]);
    while (equal < body.size && body.base[equal] == (uint8_t)(n + equal)) {
        equal++;
    }
    ck_assert_uint_eq(equal, body.size);
}

static void read_stream(size_t part)
{
    size_t size, count = 0;
    uint8_t *base = make_stream(&size);

    for (size_t at = 0; at < size; at += part) {
        struct bytes input = {.base = base + at, .size = at + part < size ? part : size - at};

        while (input.size > 0) {
            struct bytes body = {0};
            bool whole = false;

            if (frame_reader_take(&reader, &input, &whole, &body) != QH_OK) {
                ck_abort_msg("refused at %zu", at);
            }
            if (whole) {
                expect_frame(count++, body);
            }
        }
    }
    ck_assert_uint_eq(count, SIZES);
    free(base);
}

START_TEST(frames_are_put_together_from_parts_of_any_size)
{
    static const size_t parts[] = {1, 2, 3, 5, 7, 599, 16384, 65536, 1000000};

    read_stream(parts[_i]);
}
END_TEST

START_TEST(a_frame_in_one_piece_is_not_copied)
{
    uint8_t bytes[FRAME_HEAD_SIZE + 10] = {10};
    struct bytes input = {.base = bytes, .size = sizeof bytes}, body;
    bool whole = false;

    ck_assert_int_eq(frame_reader_take(&reader, &input, &whole, &body), QH_OK);
    ck_assert(whole);
    ck_assert_ptr_eq(body.base, bytes + FRAME_HEAD_SIZE);
    ck_assert_uint_eq(input.size, 0);
    ck_assert_ptr_null(reader.base);
}
END_TEST

static enum qh_err take_head(size_t size, size_t limit)
{
    uint8_t bytes[FRAME_HEAD_SIZE];
    struct bytes input = {.base = bytes, .size = sizeof bytes}, body;
    bool whole = true;
    enum qh_err err;

    frame_reader_init(&reader, limit);
    write_size(bytes, size);
    err = frame_reader_take(&reader, &input, &whole, &body);
    ck_assert(err != QH_OK || !whole);
    ck_assert_ptr_null(reader.base);
    return err;
}

START_TEST(a_size_is_checked_before_a_byte_of_it_comes)
{
    ck_assert_int_eq(take_head(LIMIT, LIMIT), QH_OK);
    ck_assert_int_eq(take_head(LIMIT + 1, LIMIT), QH_ELIMIT);
    ck_assert_int_eq(take_head(0, LIMIT), QH_EMALFORMED);
    ck_assert_int_eq(take_head(1, 0), QH_ELIMIT);
    ck_assert_int_eq(take_head(UINT32_MAX, UINT32_MAX), QH_OK);
}
END_TEST

START_TEST(memory_grows_with_what_came)
{
    static uint8_t bytes[65536];
    uint8_t head[FRAME_HEAD_SIZE];
    struct bytes input = {.base = head, .size = sizeof head}, body;
    bool whole = false;

    frame_reader_init(&reader, UINT32_MAX);
    write_size(head, 1u << 31);
    ck_assert_int_eq(frame_reader_take(&reader, &input, &whole, &body), QH_OK);
    for (size_t came = sizeof bytes; came <= 64 * sizeof bytes; came += sizeof bytes) {
        input = (struct bytes){.base = bytes, .size = sizeof bytes};
        ck_assert_int_eq(frame_reader_take(&reader, &input, &whole, &body), QH_OK);
        ck_assert(!whole);
        ck_assert_uint_eq(reader.size, came);
        ck_assert_uint_le(reader.room, came < FRAME_ROOM_FIRST ? FRAME_ROOM_FIRST : 2 * came);
    }
}
END_TEST

START_TEST(memory_never_exceeds_the_frame)
{
    static uint8_t bytes[LIMIT];
    uint8_t head[FRAME_HEAD_SIZE];
    struct bytes input = {.base = head, .size = sizeof head}, body;
    bool whole = false;

    write_size(head, LIMIT);
    ck_assert_int_eq(frame_reader_take(&reader, &input, &whole, &body), QH_OK);
    input = (struct bytes){.base = bytes, .size = 1};
    ck_assert_int_eq(frame_reader_take(&reader, &input, &whole, &body), QH_OK);
    ck_assert_uint_eq(reader.room, FRAME_ROOM_FIRST);
    input = (struct bytes){.base = bytes, .size = LIMIT - 1};
    ck_assert_int_eq(frame_reader_take(&reader, &input, &whole, &body), QH_OK);
    ck_assert(whole);
    ck_assert_uint_eq(reader.room, LIMIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tcase = tcase_create("frame");

    tcase_add_checked_fixture(tcase, open_reader, close_reader);
    tcase_add_loop_test(tcase, frames_are_put_together_from_parts_of_any_size, 0, 9);
    tcase_add_test(tcase, a_frame_in_one_piece_is_not_copied);
    tcase_add_test(tcase, a_size_is_checked_before_a_byte_of_it_comes);
    tcase_add_test(tcase, memory_grows_with_what_came);
    tcase_add_test(tcase, memory_never_exceeds_the_frame);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
