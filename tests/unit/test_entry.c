/* Log entries: what is written is read, and nothing else is. */
#include "raft-glue/entry.h"

#include <string.h>

#include "base/limits.h"
#include "tests/lib/test.h"

struct seen {
    unsigned count;
    struct bytes transactions[8];
};

static void see(void *data, struct bytes transaction)
{
    struct seen *seen = data;

    ck_assert_uint_lt(seen->count, 8);
    seen->transactions[seen->count++] = transaction;
}

static size_t make_entry(uint8_t *base)
{
    struct bytes list[3] = {{.base = (const uint8_t *)"one", .size = 3},
                            {.base = (const uint8_t *)"", .size = 0},
                            {.base = (const uint8_t *)"three", .size = 5}};
    size_t size = entry_size(3, 8);

    entry_encode(list, 3, base, size);
    return size;
}

START_TEST(an_entry_gives_back_its_transactions_in_order)
{
    uint8_t base[64];
    size_t size = make_entry(base);
    struct seen seen = {0};

    ck_assert_uint_eq(size % 8, 0);
    ck_assert_int_eq(entry_each((struct bytes){base, size}, see, &seen), QH_OK);
    ck_assert_uint_eq(seen.count, 3);
    ck_assert_uint_eq(seen.transactions[0].size, 3);
    ck_assert_mem_eq(seen.transactions[0].base, "one", 3);
    ck_assert_uint_eq(seen.transactions[1].size, 0);
    ck_assert_mem_eq(seen.transactions[2].base, "three", 5);
}
END_TEST

START_TEST(every_size_is_a_multiple_of_eight)
{
    for (size_t payload = 0; payload < 40; payload++) {
        ck_assert_uint_eq(entry_size(1, payload) % 8, 0);
        ck_assert_uint_ge(entry_size(1, payload),
                          ENTRY_HEADER_SIZE + ENTRY_ITEM_OVERHEAD + payload);
        ck_assert_uint_lt(entry_size(1, payload),
                          ENTRY_HEADER_SIZE + ENTRY_ITEM_OVERHEAD + payload + 8);
    }
}
END_TEST

START_TEST(a_shortened_entry_is_refused_and_nothing_is_visited)
{
    uint8_t base[64];
    size_t size = make_entry(base);

    for (size_t cut = 0; cut < size; cut++) {
        struct seen seen = {0};

        ck_assert_int_eq(entry_each((struct bytes){base, cut}, see, &seen), QH_EMALFORMED);
        ck_assert_uint_eq(seen.count, 0);
    }
}
END_TEST

START_TEST(a_wrong_magic_count_size_or_padding_is_refused)
{
    static const size_t places[] = {0, 4, 8, 15};
    uint8_t base[64];
    size_t size = make_entry(base);
    struct seen seen = {0};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        base[places[i]] ^= 0x40;
        ck_assert_int_eq(entry_each((struct bytes){base, size}, see, &seen), QH_EMALFORMED);
        base[places[i]] ^= 0x40;
    }
    base[size - 1] ^= 1;
    ck_assert_int_eq(entry_each((struct bytes){base, size}, see, &seen), QH_EMALFORMED);
    ck_assert_uint_eq(seen.count, 0);
}
END_TEST

START_TEST(an_entry_without_transactions_is_refused)
{
    uint8_t base[8] = {'Q', 'H', 'E', '1', 0, 0, 0, 0};
    struct seen seen = {0};

    ck_assert_int_eq(entry_each((struct bytes){base, 8}, see, &seen), QH_EMALFORMED);
}
END_TEST

START_TEST(the_largest_transaction_fits_and_a_larger_entry_is_refused)
{
    static uint8_t payload[ENTRY_SIZE_MAX];
    static uint8_t base[ENTRY_SIZE_MAX + 8];
    size_t largest = ENTRY_SIZE_MAX - ENTRY_HEADER_SIZE - ENTRY_ITEM_OVERHEAD;
    struct bytes one = {.base = payload, .size = largest};
    struct seen seen = {0};

    ck_assert_uint_le(entry_size(1, STORE_TXN_SIZE_MAX), ENTRY_SIZE_MAX);
    ck_assert_uint_eq(entry_size(1, largest), ENTRY_SIZE_MAX);
    entry_encode(&one, 1, base, ENTRY_SIZE_MAX);
    ck_assert_int_eq(entry_each((struct bytes){base, ENTRY_SIZE_MAX}, see, &seen), QH_OK);
    one.size++;
    ck_assert_uint_eq(entry_size(1, one.size), ENTRY_SIZE_MAX + 8);
    entry_encode(&one, 1, base, ENTRY_SIZE_MAX + 8);
    ck_assert_int_eq(entry_each((struct bytes){base, ENTRY_SIZE_MAX + 8}, see, &seen),
                     QH_EMALFORMED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("entry");
    TCase *tcase = tcase_create("entry");

    tcase_add_test(tcase, an_entry_gives_back_its_transactions_in_order);
    tcase_add_test(tcase, every_size_is_a_multiple_of_eight);
    tcase_add_test(tcase, a_shortened_entry_is_refused_and_nothing_is_visited);
    tcase_add_test(tcase, a_wrong_magic_count_size_or_padding_is_refused);
    tcase_add_test(tcase, an_entry_without_transactions_is_refused);
    tcase_add_test(tcase, the_largest_transaction_fits_and_a_larger_entry_is_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
