/* Keys from their numbers and back: what belongs together, and in which forms points come. */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "tests/unit/crypto_fixture.h"

#define PARTS 8u

/* The numbers as an array, to change one at a time. */
static struct bytes *part(struct key_rsa_parts *parts, size_t index)
{
    struct bytes *const list[PARTS] = {&parts->n, &parts->e,  &parts->d,  &parts->p,
                                       &parts->q, &parts->dp, &parts->dq, &parts->qinv};

    return list[index];
}

static struct pair rsa;
static struct key_rsa_parts numbers;
static struct secret *block;

static void setup(void)
{
    struct bytes unused;

    pair_make_rsa(&rsa, 2048);
    assert_ok(key_private_parts(CKK_RSA, view(rsa.material), &numbers, &unused, &block));
}

static void teardown(void)
{
    secret_free(block);
    pair_close(&rsa);
}

START_TEST(all_numbers_of_an_rsa_key_give_the_same_key)
{
    struct secret *private;
    struct key_public public;

    assert_ok(key_import_rsa_private(&numbers, &private, &public));
    assert_bytes(view(private), view(rsa.material));
    assert_bytes(public.spki, rsa.public.spki);
    secret_free(private);
    free(public.block);
}
END_TEST

START_TEST(three_numbers_of_an_rsa_key_are_completed)
{
    struct key_rsa_parts three = {.n = numbers.n, .e = numbers.e, .d = numbers.d};
    struct secret *private;
    struct key_public public;

    assert_ok(key_import_rsa_private(&three, &private, &public));
    assert_bytes(view(private), view(rsa.material));
    assert_bytes(public.spki, rsa.public.spki);
    secret_free(private);
    free(public.block);
}
END_TEST

START_TEST(leading_zeroes_of_numbers_are_dropped)
{
    struct key_rsa_parts padded = numbers;
    struct secret *private;
    struct key_public public;
    uint8_t *room;

    for (size_t i = 0; i < PARTS; i++) {
        struct bytes *number = part(&padded, i);

        room = calloc(1, number->size + 3);
        ck_assert_ptr_nonnull(room);
        memcpy(room + 3, number->base, number->size);
        *number = whole(room, number->size + 3);
    }
    assert_ok(key_import_rsa_private(&padded, &private, &public));
    assert_bytes(view(private), view(rsa.material));
    for (size_t i = 0; i < PARTS; i++) {
        free((void *)(uintptr_t)part(&padded, i)->base);
    }
    secret_free(private);
    free(public.block);
}
END_TEST

/* Any number but n and e, for those may be those of another key. */
START_TEST(a_number_that_was_changed_is_refused)
{
    struct secret *private = NULL;
    struct key_public public;

    for (size_t i = 0; i < PARTS; i++) {
        for (int bit = 0; bit < 2; bit++) {
            struct key_rsa_parts changed = numbers;
            struct bytes *number = part(&changed, i);
            uint8_t *room = malloc(number->size);

            ck_assert_ptr_nonnull(room);
            memcpy(room, number->base, number->size);
            room[number->size - 1] ^= bit == 0 ? 2 : 4;
            number->base = room;
            ck_assert_int_eq(key_import_rsa_private(&changed, &private, &public), QH_EATTRVALUE);
            if (i < 3) {
                changed = (struct key_rsa_parts){.n = changed.n, .e = changed.e, .d = changed.d};
                ck_assert_int_eq(key_import_rsa_private(&changed, &private, &public),
                                 QH_EATTRVALUE);
            }
            free(room);
        }
    }
    ck_assert_ptr_null(private);
}
END_TEST

START_TEST(some_but_not_all_numbers_are_refused)
{
    struct secret *private = NULL;
    struct key_public public;

    for (size_t i = 0; i < PARTS; i++) {
        struct key_rsa_parts missing = numbers;

        *part(&missing, i) = (struct bytes){NULL, 0};
        ck_assert_int_eq(key_import_rsa_private(&missing, &private, &public),
                         i == 0 ? QH_EKEYSIZE : QH_EATTRVALUE);
    }
    ck_assert_ptr_null(private);
}
END_TEST

START_TEST(numbers_that_make_no_key_are_refused)
{
    static const char *const bad[] = {"00", "01", "02", "03"};
    struct secret *private = NULL;
    struct key_public public;

    for (size_t i = 1; i < PARTS; i++) {
        for (size_t j = 0; j < 4; j++) {
            struct key_rsa_parts changed = numbers;

            *part(&changed, i) = hex(bad[j]);
            ck_assert_int_eq(key_import_rsa_private(&changed, &private, &public), QH_EATTRVALUE);
            changed = (struct key_rsa_parts){.n = changed.n, .e = changed.e, .d = changed.d};
            if (i < 3) {
                ck_assert_int_eq(key_import_rsa_private(&changed, &private, &public),
                                 QH_EATTRVALUE);
            }
        }
    }
    /* ed = 1: whatever the base, nothing is learnt of the factors. */
    ck_assert_int_eq(key_import_rsa_private(
                         &(struct key_rsa_parts){.n = numbers.n, .e = hex("03"), .d = numbers.n},
                         &private, &public),
                     QH_EATTRVALUE);
}
END_TEST

START_TEST(a_modulus_below_2048_bits_is_not_imported_to_sign)
{
    struct key_rsa_parts small = numbers;
    struct secret *private = NULL;
    struct key_public public;

    small.n.size--;
    ck_assert_int_eq(key_import_rsa_private(&small, &private, &public), QH_EKEYSIZE);
}
END_TEST

START_TEST(exponents_of_public_keys_are_odd_and_at_most_64_bits)
{
    static const char *const bad[] = {"", "00", "01", "02", "010000", "010000000000000001"};
    static const char *const good[] = {"03", "010001", "00ffffffffffffffff"};
    struct key_public public;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(key_import_rsa_public(numbers.n, hex(bad[i]), &public), QH_EATTRVALUE);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_ok(key_import_rsa_public(numbers.n, hex(good[i]), &public));
        free(public.block);
    }
    assert_ok(key_import_rsa_public(numbers.n, numbers.e, &public));
    assert_bytes(public.spki, rsa.public.spki);
    free(public.block);
}
END_TEST

#define P256_ORDER "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
#define P256_ORDER_LESS_1 "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550"

START_TEST(values_lie_between_zero_and_the_order)
{
    static const char *const bad[] = {
        "", "00", "0000", P256_ORDER, "ff" P256_ORDER, "01" P256_ORDER_LESS_1};
    static const char *const good[] = {"01", "0001", P256_ORDER_LESS_1, ("0000" P256_ORDER_LESS_1)};
    struct secret *private = NULL;
    struct key_public public;
    struct key *key;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(
            key_import_ec_private(CKK_EC, hex(OID_P256), hex(bad[i]), &private, &public),
            QH_EATTRVALUE);
    }
    ck_assert_ptr_null(private);
    for (size_t i = 0; i < 4; i++) {
        assert_ok(key_import_ec_private(CKK_EC, hex(OID_P256), hex(good[i]), &private, &public));
        assert_ok(key_open(CKO_PRIVATE_KEY, CKK_EC, view(private), &key));
        key_free(key);
        secret_free(private);
        free(public.block);
    }
}
END_TEST

static const struct {
    CK_KEY_TYPE type;
    const char *oid;
    size_t size; /* bytes of a value */
} raw_curves[] = {{CKK_EC_EDWARDS, OID_ED25519, 32},
                  {CKK_EC_EDWARDS, OID_ED448, 57},
                  {CKK_EC_MONTGOMERY, OID_X25519, 32},
                  {CKK_EC_MONTGOMERY, OID_X448, 56}};

START_TEST(values_of_edwards_and_montgomery_curves_have_one_size)
{
    uint8_t value[58] = {1};
    struct secret *private;
    struct key_public public;

    for (size_t i = 0; i < 4 * 59; i++) {
        bool fits = i / 4 == raw_curves[i % 4].size;

        ck_assert_int_eq(key_import_ec_private(raw_curves[i % 4].type, hex(raw_curves[i % 4].oid),
                                               whole(value, i / 4), &private, &public),
                         fits ? QH_OK : QH_EATTRVALUE);
        if (fits) {
            secret_free(private);
            free(public.block);
        }
    }
}
END_TEST

/* RFC 7748, 6.1 and 6.2. */
START_TEST(montgomery_keys_have_the_points_of_rfc_7748)
{
    static const char *const known[][2] = {
        {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
         "04208520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"},
        {"9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
         "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
         "04389b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c"
         "22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0"},
    };

    for (size_t i = 0; i < 2; i++) {
        struct secret *private, *backing;
        struct key_rsa_parts none;
        struct key_public public;
        struct bytes value;

        assert_ok(key_import_ec_private(CKK_EC_MONTGOMERY, hex(raw_curves[2 + i].oid),
                                        hex(known[i][0]), &private, &public));
        assert_bytes(public.ec_point, hex(known[i][1]));
        assert_ok(key_private_parts(CKK_EC_MONTGOMERY, view(private), &none, &value, &backing));
        assert_bytes(value, hex(known[i][0]));
        secret_free(backing);
        secret_free(private);
        free(public.block);
    }
}
END_TEST

/* The same point in all its forms gives the same public key. */
static void check_forms(CK_KEY_TYPE type, const char *oid, struct bytes raw,
                        const struct key_public *expected)
{
    uint8_t octets[150] = {0x04}, bits[150] = {0x03};
    struct bytes forms[3];
    struct key_public public;
    size_t header = raw.size < 128 ? 2 : 3, bits_header = raw.size + 1 < 128 ? 2 : 3;

    octets[1] = bits[1] = 0x81; /* overwritten below if it takes but one byte */
    octets[header - 1] = (uint8_t)raw.size;
    bits[bits_header - 1] = (uint8_t)(raw.size + 1);
    memcpy(octets + header, raw.base, raw.size);
    memcpy(bits + bits_header + 1, raw.base, raw.size);
    forms[0] = raw;
    forms[1] = whole(octets, raw.size + header);
    forms[2] = whole(bits, raw.size + bits_header + 1);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(key_import_ec_public(type, hex(oid), forms[i], &public));
        assert_bytes(public.spki, expected->spki);
        assert_bytes(public.ec_point, expected->ec_point);
        free(public.block);
        forms[i].size--;
        ck_assert_int_eq(key_import_ec_public(type, hex(oid), forms[i], &public), QH_EATTRVALUE);
    }
    octets[0] = 0x05;
    ck_assert_int_eq(
        key_import_ec_public(type, hex(oid), whole(octets, raw.size + header), &public),
        QH_EATTRVALUE);
}

START_TEST(points_come_raw_wrapped_and_compressed)
{
    static const char *const oids[] = {OID_P256, OID_P384, OID_P521, OID_SECP256K1};

    for (size_t i = 0; i < 4; i++) {
        struct pair pair;
        struct bytes raw;
        uint8_t compressed[67];
        size_t header;

        pair_make_ec(&pair, CKK_EC, oids[i]);
        header = pair.public.ec_point.base[1] == 0x81 ? 3 : 2;
        raw = whole(pair.public.ec_point.base + header, pair.public.ec_point.size - header);
        check_forms(CKK_EC, oids[i], raw, &pair.public);
        compressed[0] = (uint8_t)(2 + (raw.base[raw.size - 1] & 1));
        memcpy(compressed + 1, raw.base + 1, raw.size / 2);
        check_forms(CKK_EC, oids[i], whole(compressed, raw.size / 2 + 1), &pair.public);
        pair_close(&pair);
    }
    for (size_t i = 0; i < 4; i++) {
        struct pair pair;

        pair_make_ec(&pair, raw_curves[i].type, raw_curves[i].oid);
        check_forms(raw_curves[i].type, raw_curves[i].oid,
                    whole(pair.public.ec_point.base + 2, pair.public.ec_point.size - 2),
                    &pair.public);
        pair_close(&pair);
    }
}
END_TEST

START_TEST(points_off_the_curve_are_refused)
{
    struct key_public public;
    struct pair pair;
    uint8_t point[65], spki[200];
    struct key *key = NULL;

    pair_make_ec(&pair, CKK_EC, OID_P256);
    memcpy(point, pair.public.ec_point.base + 2, 65);
    point[64] ^= 1;
    ck_assert_int_eq(key_import_ec_public(CKK_EC, hex(OID_P256), whole(point, 65), &public),
                     QH_EATTRVALUE);
    point[64] ^= 1;
    ck_assert_int_eq(key_import_ec_public(CKK_EC, hex(OID_SECP256K1), whole(point, 65), &public),
                     QH_EATTRVALUE);
    point[0] = 6; /* hybrid, with the wrong parity or not: nobody writes it */
    ck_assert_int_eq(key_import_ec_public(CKK_EC, hex(OID_P256), hex("00"), &public),
                     QH_EATTRVALUE);
    ck_assert_int_eq(key_import_ec_public(CKK_EC, hex(OID_P256), whole(point, 0), &public),
                     QH_EATTRVALUE);
    memcpy(spki, pair.public.spki.base, pair.public.spki.size);
    spki[pair.public.spki.size - 1] ^= 1;
    ck_assert_int_eq(key_open(CKO_PUBLIC_KEY, CKK_EC, whole(spki, pair.public.spki.size), &key),
                     QH_EMALFORMED);
    pair_close(&pair);
}
END_TEST

START_TEST(parts_of_curve_keys_are_their_value)
{
    struct key_rsa_parts parts;
    struct bytes value;
    struct secret *private, *parts_block;
    struct key_public public;

    assert_ok(key_import_ec_private(CKK_EC, hex(OID_P384), hex("000102"), &private, &public));
    assert_ok(key_private_parts(CKK_EC, view(private), &parts, &value, &parts_block));
    assert_bytes(value, hex("0102"));
    ck_assert_uint_eq(parts.n.size + parts.d.size, 0);
    secret_free(parts_block);
    secret_free(private);
    free(public.block);
}
END_TEST

START_TEST(parts_of_other_things_are_refused)
{
    struct key_rsa_parts parts;
    struct secret *parts_block = NULL;
    struct bytes value;

    ck_assert_int_eq(key_private_parts(CKK_AES, view(rsa.material), &parts, &value, &parts_block),
                     QH_EKEYTYPE);
    ck_assert_int_eq(key_private_parts(CKK_EC, view(rsa.material), &parts, &value, &parts_block),
                     QH_EKEYTYPE);
    ck_assert_int_eq(key_private_parts(CKK_RSA, hex("3000"), &parts, &value, &parts_block),
                     QH_EMALFORMED);
    ck_assert_int_eq(key_private_parts(CKK_RSA, hex(""), &parts, &value, &parts_block),
                     QH_EMALFORMED);
    ck_assert_ptr_null(parts_block);
}
END_TEST

/* SoftHSM fills the last eight bytes with zeroes. */
START_TEST(pkcs8_may_have_up_to_seven_zero_bytes_behind_it)
{
    static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    struct key_public public = {0};
    uint8_t padded[256] = {0};
    struct secret *key = NULL;
    size_t size;

    ck_assert_int_eq(key_generate_ec(CKK_EC, (struct bytes){p256, sizeof p256}, &key, &public),
                     QH_OK);
    free(public.block);
    size = secret_size(key);
    memcpy(padded, secret_view(key), size);
    for (size_t more = 0; more <= 8; more++) {
        struct secret *read = NULL;
        enum qh_err err =
            key_import_pkcs8(CKK_EC, (struct bytes){padded, size + more}, &read, &public);

        ck_assert_int_eq(err, more < 8 ? QH_OK : QH_EMALFORMED);
        ck_assert(err != QH_OK || secret_equal(read, key));
        if (err == QH_OK) {
            secret_free(read);
            free(public.block);
        }
    }
    padded[size + 1] = 1;
    ck_assert_int_eq(key_import_pkcs8(CKK_EC, (struct bytes){padded, size + 2}, &key, &public),
                     QH_EMALFORMED);
    secret_free(key);
}
END_TEST

START_TEST(check_values_are_those_of_pkcs11)
{
    uint8_t value[3] = {7, 7, 7};

    assert_ok(key_check_value(CKK_AES, hex("00000000000000000000000000000000"), value));
    assert_bytes(whole(value, 3), hex("66e94b"));
    assert_ok(key_check_value(CKK_GENERIC_SECRET, text_bytes("abc"), value));
    assert_bytes(whole(value, 3), hex("a9993e"));
    assert_ok(key_check_value(CKK_SHA256_HMAC, text_bytes("abc"), value));
    ck_assert_int_eq(key_check_value(CKK_AES, hex("00"), value), QH_EKEYSIZE);
    ck_assert_int_eq(key_check_value(CKK_RSA, hex("00"), value), QH_EKEYTYPE);
    assert_bytes(whole(value, 3), hex("a9993e"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key_import");
    TCase *tests = tcase_create("key_import");

    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_test(tests, all_numbers_of_an_rsa_key_give_the_same_key);
    tcase_add_test(tests, three_numbers_of_an_rsa_key_are_completed);
    tcase_add_test(tests, leading_zeroes_of_numbers_are_dropped);
    tcase_add_test(tests, a_number_that_was_changed_is_refused);
    tcase_add_test(tests, some_but_not_all_numbers_are_refused);
    tcase_add_test(tests, numbers_that_make_no_key_are_refused);
    tcase_add_test(tests, a_modulus_below_2048_bits_is_not_imported_to_sign);
    tcase_add_test(tests, exponents_of_public_keys_are_odd_and_at_most_64_bits);
    tcase_add_test(tests, values_lie_between_zero_and_the_order);
    tcase_add_test(tests, values_of_edwards_and_montgomery_curves_have_one_size);
    tcase_add_test(tests, montgomery_keys_have_the_points_of_rfc_7748);
    tcase_add_test(tests, points_come_raw_wrapped_and_compressed);
    tcase_add_test(tests, points_off_the_curve_are_refused);
    tcase_add_test(tests, parts_of_curve_keys_are_their_value);
    tcase_add_test(tests, parts_of_other_things_are_refused);
    tcase_add_test(tests, check_values_are_those_of_pkcs11);
    tcase_add_test(tests, pkcs8_may_have_up_to_seven_zero_bytes_behind_it);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
