/* The bounded reader and writer: both sides of every end, and their memory of it. */
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

static struct bytes text(const char *chars)
{
    struct bytes span = {(const uint8_t *)chars, strlen(chars)};

    return span;
}

START_TEST(integers_are_written_little_endian)
{
    static const uint8_t expected[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f,
                                       0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08};
    uint8_t room[sizeof expected];
    struct bytes_writer writer;

    bytes_writer_init(&writer, room, sizeof room);
    bytes_write_u8(&writer, 0x01);
    bytes_write_u16(&writer, 0x0203);
    bytes_write_u32(&writer, 0x04050607);
    bytes_write_u64(&writer, 0x08090a0b0c0d0e0f);
    ck_assert(!writer.failed);
    ck_assert_uint_eq(writer.size, sizeof expected);
    ck_assert_mem_eq(room, expected, sizeof expected);
}
END_TEST

START_TEST(what_was_written_reads_back)
{
    uint8_t room[64];
    struct bytes_writer writer;
    struct bytes_reader reader;
    struct bytes span;

    bytes_writer_init(&writer, room, sizeof room);
    bytes_write_u64(&writer, UINT64_MAX);
    bytes_write_u32(&writer, UINT32_MAX - 1);
    bytes_write_u16(&writer, UINT16_MAX - 2);
    bytes_write_u8(&writer, UINT8_MAX - 3);
    bytes_write_span(&writer, "span", 4);
    bytes_reader_init(&reader, room, writer.size);
    ck_assert_uint_eq(bytes_read_u64(&reader), UINT64_MAX);
    ck_assert_uint_eq(bytes_read_u32(&reader), UINT32_MAX - 1);
    ck_assert_uint_eq(bytes_read_u16(&reader), UINT16_MAX - 2);
    ck_assert_uint_eq(bytes_read_u8(&reader), UINT8_MAX - 3);
    span = bytes_read_span(&reader, 4);
    ck_assert_uint_eq(span.size, 4);
    ck_assert_ptr_eq(span.base, room + 15);
    ck_assert_uint_eq(reader.left, 0);
    ck_assert(!reader.failed);
}
END_TEST

START_TEST(an_integer_one_byte_short_reads_as_zero_and_fails)
{
    uint8_t *base = malloc(7);
    struct bytes_reader reader;

    /* On the heap and exactly as large, so that a sanitizer sees a read past it. */
    ck_assert_ptr_nonnull(base);
    memset(base, 0xff, 7);
    bytes_reader_init(&reader, base, 7);
    ck_assert_uint_eq(bytes_read_u64(&reader), 0);
    ck_assert(reader.failed);
    bytes_reader_init(&reader, base, 3);
    ck_assert_uint_eq(bytes_read_u32(&reader), 0);
    ck_assert(reader.failed);
    bytes_reader_init(&reader, base, 1);
    ck_assert_uint_eq(bytes_read_u16(&reader), 0);
    ck_assert(reader.failed);
    bytes_reader_init(&reader, base, 0);
    ck_assert_uint_eq(bytes_read_u8(&reader), 0);
    ck_assert(reader.failed);
    free(base);
}
END_TEST

START_TEST(after_a_failed_read_everything_reads_as_zero)
{
    uint8_t base[4] = {1, 2, 3, 4};
    struct bytes_reader reader;

    bytes_reader_init(&reader, base, sizeof base);
    ck_assert_uint_eq(bytes_read_u64(&reader), 0);
    ck_assert_uint_eq(bytes_read_u8(&reader), 0);
    ck_assert_uint_eq(bytes_read_u16(&reader), 0);
    ck_assert_ptr_null(bytes_read_span(&reader, 1).base);
    ck_assert_ptr_null(bytes_read_span(&reader, 0).base);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(a_span_ends_exactly_at_the_end)
{
    uint8_t base[4] = {1, 2, 3, 4};
    struct bytes_reader reader;
    struct bytes span;

    bytes_reader_init(&reader, base, sizeof base);
    span = bytes_read_span(&reader, 4);
    ck_assert_ptr_eq(span.base, base);
    ck_assert_uint_eq(span.size, 4);
    ck_assert(!reader.failed);
    ck_assert_uint_eq(bytes_read_span(&reader, 0).size, 0);
    ck_assert(!reader.failed);

    bytes_reader_init(&reader, base, sizeof base);
    span = bytes_read_span(&reader, 5);
    ck_assert_ptr_null(span.base);
    ck_assert_uint_eq(span.size, 0);
    ck_assert(reader.failed);

    bytes_reader_init(&reader, base, sizeof base);
    (void)bytes_read_u8(&reader);
    ck_assert_uint_eq(bytes_read_span(&reader, SIZE_MAX).size, 0);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(a_reader_of_nothing_needs_no_memory)
{
    struct bytes_reader reader;

    bytes_reader_init(&reader, NULL, 0);
    ck_assert_uint_eq(bytes_read_span(&reader, 0).size, 0);
    ck_assert(!reader.failed);
    ck_assert_uint_eq(bytes_read_u8(&reader), 0);
    ck_assert(reader.failed);
}
END_TEST

START_TEST(what_does_not_fit_is_not_written)
{
    uint8_t room[8];
    struct bytes_writer writer;

    memset(room, 0xee, sizeof room);
    bytes_writer_init(&writer, room, 7);
    bytes_write_u32(&writer, 0);
    bytes_write_u32(&writer, 0); /* one byte too many */
    ck_assert(writer.failed);
    ck_assert_uint_eq(writer.size, 4);
    ck_assert_uint_eq(room[4], 0xee);
    bytes_write_u8(&writer, 0); /* would fit, but something is missing before it */
    ck_assert_uint_eq(writer.size, 4);
    ck_assert_uint_eq(room[4], 0xee);
}
END_TEST

START_TEST(a_writer_can_be_filled_to_the_last_byte)
{
    uint8_t room[5];
    struct bytes_writer writer;

    memset(room, 0xee, sizeof room);
    bytes_writer_init(&writer, room, 4);
    bytes_write_span(&writer, "\1\2\3", 3);
    bytes_write_u8(&writer, 4);
    bytes_write_span(&writer, NULL, 0);
    ck_assert(!writer.failed);
    ck_assert_uint_eq(writer.size, 4);
    ck_assert_uint_eq(room[4], 0xee);
    bytes_write_span(&writer, room, SIZE_MAX);
    ck_assert(writer.failed);
    ck_assert_uint_eq(room[4], 0xee);
}
END_TEST

START_TEST(comparison_is_lexicographic_and_a_prefix_sorts_first)
{
    struct bytes nothing = {NULL, 0};

    ck_assert_int_eq(bytes_compare(nothing, nothing), 0);
    ck_assert_int_lt(bytes_compare(nothing, text("a")), 0);
    ck_assert_int_gt(bytes_compare(text("a"), nothing), 0);
    ck_assert_int_eq(bytes_compare(text("abc"), text("abc")), 0);
    ck_assert_int_lt(bytes_compare(text("ab"), text("abc")), 0);
    ck_assert_int_gt(bytes_compare(text("abc"), text("ab")), 0);
    ck_assert_int_lt(bytes_compare(text("abz"), text("ac")), 0);
    ck_assert_int_lt(bytes_compare(text("\x7f"), text("\x80")), 0); /* unsigned */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *tcase = tcase_create("bytes");

    tcase_add_test(tcase, integers_are_written_little_endian);
    tcase_add_test(tcase, what_was_written_reads_back);
    tcase_add_test(tcase, an_integer_one_byte_short_reads_as_zero_and_fails);
    tcase_add_test(tcase, after_a_failed_read_everything_reads_as_zero);
    tcase_add_test(tcase, a_span_ends_exactly_at_the_end);
    tcase_add_test(tcase, a_reader_of_nothing_needs_no_memory);
    tcase_add_test(tcase, what_does_not_fit_is_not_written);
    tcase_add_test(tcase, a_writer_can_be_filled_to_the_last_byte);
    tcase_add_test(tcase, comparison_is_lexicographic_and_a_prefix_sorts_first);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
