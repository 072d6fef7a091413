/* Sealing: what was closed opens in its place and nowhere else; keys come from keys. */
#include "crypto/seal.h"

#include <sodium.h>
#include <string.h>

#include "base/limits.h"
#include "tests/lib/test.h"

#define ROOM 512u

static struct secret *key;
static const uint8_t cluster[16] = "cluster number 1";
static const uint8_t other_cluster[16] = "cluster number 2";

static struct bytes text(const char *chars)
{
    return (struct bytes){(const uint8_t *)chars, strlen(chars)};
}

static struct seal_place place_of(const char *record_key)
{
    return (struct seal_place){cluster, text(record_key), 7};
}

static void setup(void)
{
    uint8_t bytes[SEAL_KEY_SIZE];

    ck_assert_int_eq(secret_setup(), QH_OK);
    memset(bytes, 0x42, sizeof bytes);
    ck_assert_int_eq(secret_from(bytes, sizeof bytes, &key), QH_OK);
}

static void teardown(void)
{
    secret_free(key);
}

static size_t close_text(const char *plain, uint8_t out[ROOM])
{
    struct seal_place place = place_of("a");
    size_t size = 0;

    ck_assert_int_eq(seal_close(key, &place, text(plain), out, ROOM, &size), QH_OK);
    ck_assert_uint_eq(size, strlen(plain) + SEAL_OVERHEAD);
    return size;
}

static enum qh_err open_at(const struct secret *with, struct seal_place place, const uint8_t *base,
                           size_t sealed_size)
{
    uint8_t plain[ROOM];
    size_t size;

    return seal_open(with, &place, (struct bytes){base, sealed_size}, plain, sizeof plain, &size);
}

START_TEST(what_was_closed_opens_again)
{
    struct seal_place place = place_of("a");
    uint8_t sealed[ROOM], plain[ROOM];
    size_t size = close_text("nothing to see", sealed);
    size_t plain_size = 0;

    ck_assert_ptr_null(memmem(sealed, size, "nothing", 7));
    place.counter = 0; /* taken from the value */
    ck_assert_int_eq(
        seal_open(key, &place, (struct bytes){sealed, size}, plain, sizeof plain, &plain_size),
        QH_OK);
    ck_assert_uint_eq(plain_size, 14);
    ck_assert_mem_eq(plain, "nothing to see", 14);
}
END_TEST

START_TEST(the_layout_is_the_one_of_the_header)
{
    uint8_t sealed[ROOM];
    static const uint8_t prefix[16] = {1, 0, 0, 0, 0, 0, 0, 0, 7};
    size_t size = close_text("", sealed);

    ck_assert_uint_eq(size, 56);
    ck_assert_mem_eq(sealed, prefix, sizeof prefix);
}
END_TEST

START_TEST(two_seals_of_one_text_differ)
{
    uint8_t one[ROOM], two[ROOM];
    size_t size = close_text("text", one);

    ck_assert_uint_eq(close_text("text", two), size);
    ck_assert_mem_ne(one + 16, two + 16, 24);
    ck_assert_mem_ne(one + SEAL_HEADER_SIZE, two + SEAL_HEADER_SIZE, size - SEAL_HEADER_SIZE);
}
END_TEST

START_TEST(another_place_or_key_does_not_open)
{
    SECRET_SCOPED struct secret *other = NULL;
    struct seal_place elsewhere = {other_cluster, text("a"), 7};
    uint8_t sealed[ROOM];
    size_t size = close_text("text", sealed);

    ck_assert_int_eq(secret_new(SEAL_KEY_SIZE, &other), QH_OK);
    ck_assert_int_eq(open_at(key, place_of("a"), sealed, size), QH_OK);
    ck_assert_int_eq(open_at(key, place_of("b"), sealed, size), QH_ECORRUPT);
    ck_assert_int_eq(open_at(key, place_of("aa"), sealed, size), QH_ECORRUPT);
    ck_assert_int_eq(open_at(key, place_of(""), sealed, size), QH_ECORRUPT);
    ck_assert_int_eq(open_at(key, elsewhere, sealed, size), QH_ECORRUPT);
    ck_assert_int_eq(open_at(other, place_of("a"), sealed, size), QH_ECORRUPT);
}
END_TEST

START_TEST(no_bit_can_be_changed)
{
    uint8_t sealed[ROOM];
    size_t size = close_text("text", sealed);

    for (size_t i = 0; i < size; i++) {
        enum qh_err expected = i == 0 ? QH_EVERSION : i < 8 ? QH_EMALFORMED : QH_ECORRUPT;

        for (unsigned bit = 0; bit < 8; bit++) {
            sealed[i] ^= (uint8_t)(1u << bit);
            ck_assert_int_eq(open_at(key, place_of("a"), sealed, size), expected);
            sealed[i] ^= (uint8_t)(1u << bit);
        }
    }
    ck_assert_int_eq(open_at(key, place_of("a"), sealed, size), QH_OK);
}
END_TEST

START_TEST(a_cut_value_is_told)
{
    uint8_t sealed[ROOM];
    size_t size = close_text("text", sealed);

    for (size_t cut = 0; cut < size; cut++) {
        ck_assert_int_eq(open_at(key, place_of("a"), sealed, cut),
                         cut < SEAL_OVERHEAD ? QH_EMALFORMED : QH_ECORRUPT);
    }
    sealed[size] = 0;
    ck_assert_int_eq(open_at(key, place_of("a"), sealed, size + 1), QH_ECORRUPT);
}
END_TEST

START_TEST(room_is_needed_to_the_byte)
{
    struct seal_place place = place_of("a");
    uint8_t sealed[ROOM], plain[ROOM];
    size_t size = 99;

    ck_assert_int_eq(seal_close(key, &place, text("text"), sealed, SEAL_OVERHEAD + 3, &size),
                     QH_EROOM);
    ck_assert_int_eq(seal_close(key, &place, text(""), sealed, SEAL_OVERHEAD - 1, &size), QH_EROOM);
    ck_assert_uint_eq(size, 99);
    ck_assert_int_eq(seal_close(key, &place, text("text"), sealed, SEAL_OVERHEAD + 4, &size),
                     QH_OK);
    ck_assert_int_eq(seal_open(key, &place, (struct bytes){sealed, size}, plain, 3, &size),
                     QH_EROOM);
    ck_assert_int_eq(seal_open(key, &place, (struct bytes){sealed, size}, plain, 4, &size), QH_OK);
    ck_assert_uint_eq(size, 4);
}
END_TEST

START_TEST(the_counter_can_be_read_without_a_key)
{
    uint8_t sealed[ROOM];
    struct bytes span = {sealed, close_text("text", sealed)};
    uint64_t counter = 99;

    ck_assert_int_eq(seal_counter(span, &counter), QH_OK);
    ck_assert_uint_eq(counter, 7);
    counter = 99;
    ck_assert_int_eq(seal_counter((struct bytes){NULL, 0}, &counter), QH_EMALFORMED);
    sealed[0] = 2;
    ck_assert_int_eq(seal_counter(span, &counter), QH_EVERSION);
    sealed[0] = 1;
    sealed[7] = 1;
    ck_assert_int_eq(seal_counter(span, &counter), QH_EMALFORMED);
    ck_assert_uint_eq(counter, 99);
}
END_TEST

START_TEST(it_opens_into_secret_memory)
{
    SECRET_SCOPED struct secret *plain = NULL;
    struct seal_place place = place_of("a");
    uint8_t sealed[ROOM];
    size_t size = close_text("text", sealed);

    ck_assert_int_eq(seal_open_secret(key, &place, (struct bytes){sealed, size}, &plain), QH_OK);
    ck_assert_uint_eq(secret_size(plain), 4);
    ck_assert_mem_eq(secret_view(plain), "text", 4);
    secret_cleanup(&plain);
    sealed[50] ^= 1;
    ck_assert_int_eq(seal_open_secret(key, &place, (struct bytes){sealed, size}, &plain),
                     QH_ECORRUPT);
    size = close_text("", sealed);
    ck_assert_int_eq(seal_open_secret(key, &place, (struct bytes){sealed, size}, &plain),
                     QH_EMALFORMED);
    ck_assert_ptr_null(plain);
}
END_TEST

START_TEST(derived_keys_differ_by_context_and_number_and_repeat)
{
    SECRET_SCOPED struct secret *one = NULL;
    SECRET_SCOPED struct secret *same = NULL;
    SECRET_SCOPED struct secret *numbered = NULL;
    SECRET_SCOPED struct secret *named = NULL;

    ck_assert_int_eq(seal_derive(key, "records", 0, &one), QH_OK);
    ck_assert_int_eq(seal_derive(key, "records", 0, &same), QH_OK);
    ck_assert_int_eq(seal_derive(key, "records", 1, &numbered), QH_OK);
    ck_assert_int_eq(seal_derive(key, "wrapping", 0, &named), QH_OK); /* all 8 characters */
    ck_assert_uint_eq(secret_size(one), SEAL_KEY_SIZE);
    ck_assert(secret_equal(one, same));
    ck_assert(!secret_equal(one, numbered));
    ck_assert(!secret_equal(one, named));
    ck_assert(!secret_equal(one, key));
}
END_TEST

/* A cluster's disks depend on it: the bytes may not change between versions. */
START_TEST(a_derived_key_is_the_one_of_the_first_version)
{
    SECRET_SCOPED struct secret *derived = NULL;
    char hex[65];

    ck_assert_int_eq(seal_derive(key, "records", 1, &derived), QH_OK);
    sodium_bin2hex(hex, sizeof hex, secret_view(derived), secret_size(derived));
    ck_assert_str_eq(hex, "1e4375da660cca63c1a9c656747031860ccd5b5cd9a703d7460f2bff6ed390c1");
}
END_TEST

START_TEST(a_mac_is_checked_in_size_and_content)
{
    uint8_t mac[SEAL_MAC_SIZE + 1] = {0};

    seal_mac(key, text("data"), mac);
    ck_assert_int_eq(seal_mac_check(key, text("data"), (struct bytes){mac, SEAL_MAC_SIZE}), QH_OK);
    ck_assert_int_eq(seal_mac_check(key, text("datb"), (struct bytes){mac, SEAL_MAC_SIZE}),
                     QH_ECORRUPT);
    ck_assert_int_eq(seal_mac_check(key, text("data"), (struct bytes){mac, SEAL_MAC_SIZE - 1}),
                     QH_ECORRUPT);
    ck_assert_int_eq(seal_mac_check(key, text("data"), (struct bytes){mac, SEAL_MAC_SIZE + 1}),
                     QH_ECORRUPT);
    ck_assert_int_eq(seal_mac_check(key, text("data"), (struct bytes){NULL, 0}), QH_ECORRUPT);
    mac[31] ^= 0x80;
    ck_assert_int_eq(seal_mac_check(key, text("data"), (struct bytes){mac, SEAL_MAC_SIZE}),
                     QH_ECORRUPT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seal");
    TCase *tcase = tcase_create("seal");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_closed_opens_again);
    tcase_add_test(tcase, the_layout_is_the_one_of_the_header);
    tcase_add_test(tcase, two_seals_of_one_text_differ);
    tcase_add_test(tcase, another_place_or_key_does_not_open);
    tcase_add_test(tcase, no_bit_can_be_changed);
    tcase_add_test(tcase, a_cut_value_is_told);
    tcase_add_test(tcase, room_is_needed_to_the_byte);
    tcase_add_test(tcase, the_counter_can_be_read_without_a_key);
    tcase_add_test(tcase, it_opens_into_secret_memory);
    tcase_add_test(tcase, derived_keys_differ_by_context_and_number_and_repeat);
    tcase_add_test(tcase, a_derived_key_is_the_one_of_the_first_version);
    tcase_add_test(tcase, a_mac_is_checked_in_size_and_content);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
