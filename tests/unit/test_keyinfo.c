/* Objects as the command shows them. */
#include <stdlib.h>
#include <string.h>

#include "base/cryptoki.h"
#include "cli/keyinfo.h"
#include "tests/lib/test.h"

static struct keyinfo info;

static const uint8_t yes[] = {1};
static const uint8_t private_class[8] = {CKO_PRIVATE_KEY};
static const uint8_t public_class[8] = {CKO_PUBLIC_KEY};
static const uint8_t rsa_type[8] = {CKK_RSA};
static const uint8_t ec_type[8] = {CKK_EC};
static const uint8_t bits_2048[8] = {0x00, 0x08};
static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t id[] = {0x01, 0xa0};

START_TEST(private_ec_key_is_shown_with_its_curve_and_use)
{
    /* Sorted by type, as the library has them. */
    const struct quadhsm_attribute attributes[] = {
        {CKA_CLASS, private_class, 8}, {CKA_LABEL, "sign\033ing", 8},
        {CKA_KEY_TYPE, ec_type, 8},    {CKA_ID, id, 2},
        {CKA_SENSITIVE, yes, 1},       {CKA_SIGN, yes, 1},
        {CKA_EC_PARAMS, p256, 10},
    };
    struct quadhsm_object object = {.attributes = attributes, .attribute_count = 7};

    object.id[0] = 0xfe;
    keyinfo_of(&object, &info);
    ck_assert_str_eq(info.type, "EC private");
    ck_assert_str_eq(info.size, "P-256");
    ck_assert_str_eq(info.usage, "sign");
    ck_assert_str_eq(info.id, "01a0");
    ck_assert_str_eq(info.label, "sign\\x1bing");
    ck_assert(info.sensitive);
    ck_assert(!info.extractable);
    ck_assert_int_eq(strncmp(info.handle, "fe00", 4), 0);
    ck_assert(keyinfo_matches(&object, &info, "sign\033ing"));
    ck_assert(keyinfo_matches(&object, &info, "01A0"));
    ck_assert(keyinfo_matches(&object, &info, info.handle));
    ck_assert(!keyinfo_matches(&object, &info, "01"));
    ck_assert(!keyinfo_matches(&object, &info, "sign"));
    ck_assert(!keyinfo_matches(&object, &info, ""));
}
END_TEST

START_TEST(public_rsa_key_is_shown_with_its_bits)
{
    const struct quadhsm_attribute attributes[] = {
        {CKA_CLASS, public_class, 8}, {CKA_KEY_TYPE, rsa_type, 8},      {CKA_ENCRYPT, yes, 1},
        {CKA_VERIFY, yes, 1},         {CKA_MODULUS_BITS, bits_2048, 8},
    };
    struct quadhsm_object object = {.attributes = attributes, .attribute_count = 5};

    keyinfo_of(&object, &info);
    ck_assert_str_eq(info.type, "RSA public");
    ck_assert_str_eq(info.size, "2048");
    ck_assert_str_eq(info.usage, "verify,encrypt");
    ck_assert_str_eq(info.id, "");
    ck_assert_str_eq(info.label, "");
}
END_TEST

START_TEST(object_without_attributes_is_shown_all_the_same)
{
    struct quadhsm_object object = {.attributes = NULL};
    json_t *json;

    keyinfo_of(&object, &info);
    ck_assert_str_eq(info.type, "object");
    ck_assert_str_eq(info.usage, "");
    json = keyinfo_json(&info);
    ck_assert_ptr_nonnull(json);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyinfo");
    TCase *tcase = tcase_create("keyinfo");

    tcase_add_test(tcase, private_ec_key_is_shown_with_its_curve_and_use);
    tcase_add_test(tcase, public_rsa_key_is_shown_with_its_bits);
    tcase_add_test(tcase, object_without_attributes_is_shown_all_the_same);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
