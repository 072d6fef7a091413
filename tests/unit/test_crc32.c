/* The checksum of libraft's files. */
#include "raft-glue/crc32.h"

#include "tests/lib/test.h"

#define BYTES 64u

/* As defined: a division, bit by bit. */
static uint32_t divide(uint32_t crc, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint32_t)bytes[i] << 24;
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = (crc & 0x80000000u) != 0 ? (crc << 1) ^ 0x04c11db7u : crc << 1;
        }
    }
    return crc;
}

static void fill(uint8_t bytes[BYTES])
{
    for (unsigned i = 0; i < BYTES; i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
}

START_TEST(every_size_and_alignment_gives_the_remainder_of_the_division)
{
    uint8_t bytes[BYTES];

    fill(bytes);
    for (size_t begin = 0; begin < 8; begin++) {
        for (size_t size = 0; begin + size <= BYTES; size++) {
            ck_assert_uint_eq(crc32_update(0x12345678, bytes + begin, size),
                              divide(0x12345678, bytes + begin, size));
        }
    }
}
END_TEST

START_TEST(two_parts_give_what_the_whole_gives)
{
    uint8_t bytes[BYTES];

    fill(bytes);
    for (size_t size = 0; size <= BYTES; size++) {
        uint32_t first = crc32_update(0, bytes, size);

        ck_assert_uint_eq(crc32_update(first, bytes + size, BYTES - size),
                          crc32_update(0, bytes, BYTES));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("crc32");
    TCase *tcase = tcase_create("crc32");

    tcase_add_test(tcase, every_size_and_alignment_gives_the_remainder_of_the_division);
    tcase_add_test(tcase, two_parts_give_what_the_whole_gives);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
