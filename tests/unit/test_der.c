/* DER: what is read, what is refused, and that what is written is read back. */
#include "crypto/der.h"

#include "tests/unit/crypto_fixture.h"

static bool reads(const char *text, uint8_t tag, size_t size)
{
    struct bytes der = hex(text);
    struct bytes_reader reader;
    struct bytes content;

    bytes_reader_init(&reader, der.base, der.size);
    content = der_read(&reader, tag);
    return der_done(&reader) && content.size == size;
}

static bool reads_uint(const char *text, const char *number)
{
    struct bytes der = hex(text);
    struct bytes_reader reader;
    struct bytes content;

    bytes_reader_init(&reader, der.base, der.size);
    content = der_read_uint(&reader);
    return der_done(&reader) && bytes_compare(content, hex(number)) == 0;
}

START_TEST(elements_with_the_right_tag_and_length_are_read)
{
    ck_assert(reads("0400", DER_OCTET_STRING, 0));
    ck_assert(reads("0401ff", DER_OCTET_STRING, 1));
    ck_assert(!reads("0401ff", DER_SEQUENCE, 1));
    ck_assert(!reads("0402ff", DER_OCTET_STRING, 2));   /* past the end */
    ck_assert(!reads("0401ff00", DER_OCTET_STRING, 1)); /* something behind */
    ck_assert(!reads("", DER_OCTET_STRING, 0));
    ck_assert(!reads("04", DER_OCTET_STRING, 0));
}
END_TEST

START_TEST(lengths_have_one_form)
{
    ck_assert(!reads("048101ff", DER_OCTET_STRING, 1));   /* one byte would do */
    ck_assert(!reads("04820001ff", DER_OCTET_STRING, 1)); /* two too many */
    ck_assert(!reads("0483000001ff", DER_OCTET_STRING, 1));
    ck_assert(!reads("0480", DER_OCTET_STRING, 0)); /* indefinite */
    ck_assert(!reads("0481", DER_OCTET_STRING, 0));
    ck_assert(!reads("0482ff", DER_OCTET_STRING, 0));
}
END_TEST

/* Both sides of each change of form. */
START_TEST(lengths_of_every_form_are_written_and_read_back)
{
    static const size_t sizes[] = {0, 127, 128, 255, 256, DER_SIZE_MAX};
    static uint8_t content[DER_SIZE_MAX + 1], room[DER_SIZE_MAX + 16];
    static const size_t headers[] = {2, 2, 3, 3, 4, 4};

    for (size_t i = 0; i < 6; i++) {
        struct bytes_reader reader;
        struct der_writer writer;
        struct bytes written;

        der_writer_init(&writer, room, sizeof room);
        der_write(&writer, DER_OCTET_STRING, whole(content, sizes[i]));
        ck_assert(!writer.failed);
        written = der_written(&writer);
        ck_assert_uint_eq(written.size, sizes[i] + headers[i]);
        bytes_reader_init(&reader, written.base, written.size);
        ck_assert_uint_eq(der_read(&reader, DER_OCTET_STRING).size, sizes[i]);
        ck_assert(der_done(&reader));
    }
}
END_TEST

START_TEST(what_does_not_fit_is_not_written)
{
    static uint8_t content[DER_SIZE_MAX + 1], large[DER_SIZE_MAX + 16];
    struct der_writer writer;
    uint8_t room[4] = {7, 7, 7, 7};

    der_writer_init(&writer, room + 1, 3);
    der_write(&writer, DER_OCTET_STRING, whole(content, 1));
    ck_assert(!writer.failed);
    der_writer_init(&writer, room + 1, 2);
    der_write(&writer, DER_OCTET_STRING, whole(content, 1));
    ck_assert(writer.failed);
    ck_assert_uint_eq(room[0], 7);
    der_writer_init(&writer, large, sizeof large);
    der_write(&writer, DER_OCTET_STRING, whole(content, DER_SIZE_MAX + 1));
    ck_assert(writer.failed);
}
END_TEST

START_TEST(integers_are_not_negative_and_as_short_as_can_be)
{
    ck_assert(reads_uint("020100", "00"));
    ck_assert(reads_uint("02017f", "7f"));
    ck_assert(reads_uint("02020080", "80"));
    ck_assert(!reads_uint("020180", "80"));     /* negative */
    ck_assert(!reads_uint("0202007f", "7f"));   /* a zero too many */
    ck_assert(!reads_uint("02020000", "00"));   /* the same */
    ck_assert(!reads_uint("0200", ""));         /* no number */
    ck_assert(!reads_uint("0202ff7f", "ff7f")); /* negative */
}
END_TEST

START_TEST(integers_are_written_in_their_shortest_form)
{
    static const char *const numbers[][2] = {
        {"", "020100"},     {"00", "020100"},   {"0000", "020100"},     {"7f", "02017f"},
        {"007f", "02017f"}, {"80", "02020080"}, {"000080", "02020080"}, {"0100", "02020100"},
    };

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct der_writer writer;
        uint8_t room[8];

        der_writer_init(&writer, room, sizeof room);
        der_write_uint(&writer, hex(numbers[i][0]));
        assert_bytes(der_written(&writer), hex(numbers[i][1]));
    }
}
END_TEST

START_TEST(bit_strings_are_whole_bytes)
{
    static const char *const wrong[] = {"0300", "03020100", "030100ff"};
    struct bytes good = hex("030200ab"), der;
    struct bytes_reader reader;
    struct der_writer writer;
    uint8_t room[8];

    bytes_reader_init(&reader, good.base, good.size);
    assert_bytes(der_read_bits(&reader), hex("ab"));
    ck_assert(der_done(&reader));
    for (size_t i = 0; i < 3; i++) {
        der = hex(wrong[i]);
        bytes_reader_init(&reader, der.base, der.size);
        (void)der_read_bits(&reader);
        ck_assert(!der_done(&reader));
    }
    der_writer_init(&writer, room, sizeof room);
    der_write_bits(&writer, hex("ab"));
    assert_bytes(der_written(&writer), good);
}
END_TEST

START_TEST(after_a_failure_nothing_is_read)
{
    struct bytes der = hex("0401ff0401ee");
    struct bytes_reader reader, inner;

    bytes_reader_init(&reader, der.base, der.size);
    (void)der_read(&reader, DER_SEQUENCE);
    ck_assert_uint_eq(der_read(&reader, DER_OCTET_STRING).size, 0);
    ck_assert(!der_next_is(&reader, DER_OCTET_STRING));
    der_enter(&reader, DER_OCTET_STRING, &inner);
    ck_assert(inner.failed);
    ck_assert(!der_done(&inner));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("der");
    TCase *tests = tcase_create("der");

    tcase_add_test(tests, elements_with_the_right_tag_and_length_are_read);
    tcase_add_test(tests, lengths_have_one_form);
    tcase_add_test(tests, lengths_of_every_form_are_written_and_read_back);
    tcase_add_test(tests, what_does_not_fit_is_not_written);
    tcase_add_test(tests, integers_are_not_negative_and_as_short_as_can_be);
    tcase_add_test(tests, integers_are_written_in_their_shortest_form);
    tcase_add_test(tests, bit_strings_are_whole_bytes);
    tcase_add_test(tests, after_a_failure_nothing_is_read);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
