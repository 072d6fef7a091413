/* The greeting as bytes: what goes in comes out, and nothing else comes out. */
#include "raft-glue/hello.h"

#include <string.h>

#include "tests/lib/test.h"

static struct transport_hello example(size_t name_length)
{
    struct transport_hello hello = {
        .cluster = "0123456789abcdef",
        .generation = 2,
        .id = 0xfedcba9876543210u,
        .start_count = 3,
        .nonce = UINT64_MAX,
        .term = 4,
    };

    memset(hello.name, 'n', name_length);
    return hello;
}

static enum qh_err decode(const uint8_t *base, size_t size)
{
    struct transport_hello hello = {.id = 42};
    enum qh_err code = QH_EIO;
    enum qh_err err = hello_decode((struct bytes){.base = base, .size = size}, &hello, &code);

    if (err != QH_OK) { /* untouched on failure */
        ck_assert_uint_eq(hello.id, 42);
        ck_assert_int_eq(code, QH_EIO);
    }
    return err;
}

START_TEST(what_is_encoded_decodes_to_the_same)
{
    static const size_t lengths[] = {1, 5, NODE_NAME_LENGTH_MAX};

    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct transport_hello hello = example(lengths[i]), out = {0};
        uint8_t body[HELLO_SIZE_MAX];
        size_t size = hello_encode(&hello, QH_EGENERATION, body);
        enum qh_err code = QH_OK;

        ck_assert_uint_eq(size, HELLO_SIZE_MIN - 1 + lengths[i]);
        ck_assert_int_eq(hello_decode((struct bytes){.base = body, .size = size}, &out, &code),
                         QH_OK);
        ck_assert_mem_eq(&out, &hello, sizeof out);
        ck_assert_int_eq(code, QH_EGENERATION);
    }
}
END_TEST

START_TEST(the_bytes_are_the_documented_ones)
{
    static const uint8_t start[] = {'H', 'Q', 'H', 'P', 1, 0, 0, 0, 19, 0, 0, 0, '0', '1'};
    static const uint8_t id[] = {0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};
    struct transport_hello hello = example(3);
    uint8_t body[HELLO_SIZE_MAX];
    size_t size = hello_encode(&hello, QH_EPEER, body);

    ck_assert_uint_eq(size, 12 + 16 + 40 + 1 + 3);
    ck_assert_mem_eq(body, start, sizeof start);
    ck_assert_mem_eq(body + 28 + 8, id, sizeof id);
    ck_assert_mem_eq(body + size - 4, "\3nnn", 4);
}
END_TEST

START_TEST(every_other_size_is_malformed)
{
    struct transport_hello hello = example(NODE_NAME_LENGTH_MAX);
    uint8_t body[HELLO_SIZE_MAX + 1] = {0};
    size_t size = hello_encode(&hello, QH_OK, body);

    ck_assert_int_eq(decode(NULL, 0), QH_EMALFORMED);
    for (size_t i = 0; i < size; i++) {
        ck_assert_int_eq(decode(body, i), QH_EMALFORMED);
    }
    ck_assert_int_eq(decode(body, size), QH_OK);
    ck_assert_int_eq(decode(body, size + 1), QH_EMALFORMED);
}
END_TEST

/* The byte at @at becomes @value: what is the hello then? */
static enum qh_err decode_with(size_t at, uint8_t value)
{
    struct transport_hello hello = example(5);
    uint8_t body[HELLO_SIZE_MAX];
    size_t size = hello_encode(&hello, QH_OK, body);

    body[at] = value;
    return decode(body, size);
}

START_TEST(each_field_is_checked)
{
    ck_assert_int_eq(decode_with(0, 'X'), QH_EMALFORMED);
    ck_assert_int_eq(decode_with(4, 2), QH_EVERSION);
    ck_assert_int_eq(decode_with(5, 1), QH_EVERSION);
    ck_assert_int_eq(decode_with(6, 1), QH_EMALFORMED);
    ck_assert_int_eq(decode_with(9, 255), QH_OK);        /* a code from a newer version */
    ck_assert_int_eq(decode_with(10, 1), QH_EMALFORMED); /* too large for any */
    ck_assert_int_eq(decode_with(68, 4), QH_EMALFORMED); /* the name's length */
    ck_assert_int_eq(decode_with(68, 6), QH_EMALFORMED);
    ck_assert_int_eq(decode_with(69, '-'), QH_EMALFORMED); /* not a name */
    ck_assert_int_eq(decode_with(71, '\0'), QH_EMALFORMED);
    ck_assert_int_eq(decode_with(71, '/'), QH_EMALFORMED);
    ck_assert_int_eq(decode_with(71, '-'), QH_OK);
}
END_TEST

START_TEST(id_zero_and_no_name_are_malformed)
{
    struct transport_hello hello = example(1);
    uint8_t body[HELLO_SIZE_MAX];
    size_t size = hello_encode(&hello, QH_OK, body);

    memset(body + 36, 0, 8);
    ck_assert_int_eq(decode(body, size), QH_EMALFORMED);
    size = hello_encode(&hello, QH_OK, body);
    body[68] = 0;
    ck_assert_int_eq(decode(body, size - 1), QH_EMALFORMED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hello");
    TCase *tcase = tcase_create("hello");

    tcase_add_test(tcase, what_is_encoded_decodes_to_the_same);
    tcase_add_test(tcase, the_bytes_are_the_documented_ones);
    tcase_add_test(tcase, every_other_size_is_malformed);
    tcase_add_test(tcase, each_field_is_checked);
    tcase_add_test(tcase, id_zero_and_no_name_are_malformed);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
