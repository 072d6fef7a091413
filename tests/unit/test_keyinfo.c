/* Keys as the command shows and asks for them. */
#include <stdlib.h>
#include <string.h>

#include "base/cryptoki.h"
#include "cli/keyinfo.h"
#include "tests/lib/test.h"

static struct keyinfo_plan plan;
static struct keyinfo info;

static const struct quadhsm_attribute *planned(bool private_key, uint64_t type)
{
    const struct quadhsm_attribute *list = private_key ? plan.private_key : plan.secret;
    size_t count = private_key ? plan.private_count : plan.secret_count;

    for (size_t i = 0; i < count; i++) {
        if (list[i].type == type) {
            return &list[i];
        }
    }
    return NULL;
}

static void plans(const char *type)
{
    const char *problem = NULL;

    ck_assert_msg(keyinfo_plan(type, "label", NULL, false, &plan, &problem) == QH_OK, "%s: %s",
                  type, problem != NULL ? problem : "");
}

static void refuses(const char *type, const char *id, const char *wanted)
{
    const char *problem = NULL;

    ck_assert_int_eq(keyinfo_plan(type, "label", id, false, &plan, &problem), QH_EINVAL);
    ck_assert_msg(strstr(problem, wanted) != NULL, "%s: %s", type, problem);
}

static void flag_is(bool private_key, uint64_t type, uint8_t wanted)
{
    const struct quadhsm_attribute *attribute = planned(private_key, type);

    ck_assert_ptr_nonnull(attribute);
    ck_assert_uint_eq(attribute->size, 1);
    ck_assert_uint_eq(*(const uint8_t *)attribute->value, wanted);
}

START_TEST(rsa_is_a_pair_with_bits_and_exponent)
{
    static const uint8_t bits[8] = {0x00, 0x0c};

    plans("rsa:3072");
    ck_assert(plan.pair);
    ck_assert(plan.slow);
    ck_assert_uint_eq(plan.mechanism.type, CKM_RSA_PKCS_KEY_PAIR_GEN);
    ck_assert_uint_eq(planned(false, CKA_MODULUS_BITS)->size, 8);
    ck_assert_mem_eq(planned(false, CKA_MODULUS_BITS)->value, bits, 8);
    ck_assert_mem_eq(planned(false, CKA_PUBLIC_EXPONENT)->value, "\x01\x00\x01", 3);
    flag_is(false, CKA_VERIFY, 1);
    flag_is(true, CKA_SIGN, 1);
    flag_is(true, CKA_PRIVATE, 1);
    flag_is(true, CKA_SENSITIVE, 1);
    flag_is(true, CKA_EXTRACTABLE, 0);
    flag_is(true, CKA_TOKEN, 1);
    ck_assert_ptr_null(planned(false, CKA_SENSITIVE));
    ck_assert_mem_eq(planned(true, CKA_LABEL)->value, "label", 5);
}
END_TEST

START_TEST(both_halves_of_a_pair_have_one_id)
{
    const char *problem = NULL;

    plans("ec:P-256");
    ck_assert_uint_eq(planned(false, CKA_ID)->size, 8);
    ck_assert_mem_eq(planned(false, CKA_ID)->value, planned(true, CKA_ID)->value, 8);
    ck_assert_int_eq(keyinfo_plan("ec:P-384", "l", "01A0", true, &plan, &problem), QH_OK);
    ck_assert_uint_eq(planned(true, CKA_ID)->size, 2);
    ck_assert_mem_eq(planned(true, CKA_ID)->value, "\x01\xa0", 2);
    flag_is(true, CKA_EXTRACTABLE, 1);
}
END_TEST

START_TEST(curves_have_their_mechanism)
{
    plans("ec:P-256");
    ck_assert_uint_eq(plan.mechanism.type, CKM_EC_KEY_PAIR_GEN);
    ck_assert_uint_eq(planned(false, CKA_EC_PARAMS)->size, 10);
    flag_is(false, CKA_ENCRYPT, 0);
    flag_is(true, CKA_SIGN, 1);
    flag_is(true, CKA_DECRYPT, 0);
    plans("ec:p-384");
    ck_assert_uint_eq(planned(false, CKA_EC_PARAMS)->size, 7);
    plans("ed25519");
    ck_assert_uint_eq(plan.mechanism.type, CKM_EC_EDWARDS_KEY_PAIR_GEN);
}
END_TEST

START_TEST(secret_keys_have_a_length_in_bytes)
{
    static const uint8_t length[8] = {32};

    plans("aes:256");
    ck_assert(!plan.pair);
    ck_assert_uint_eq(plan.mechanism.type, CKM_AES_KEY_GEN);
    ck_assert_mem_eq(planned(false, CKA_VALUE_LEN)->value, length, 8);
    flag_is(false, CKA_SENSITIVE, 1);
    flag_is(false, CKA_ENCRYPT, 1);
    flag_is(false, CKA_SIGN, 0);
    plans("hmac:256");
    ck_assert_uint_eq(plan.mechanism.type, CKM_GENERIC_SECRET_KEY_GEN);
    ck_assert_mem_eq(planned(false, CKA_VALUE_LEN)->value, length, 8);
    flag_is(false, CKA_SIGN, 1);
}
END_TEST

START_TEST(types_out_of_range_are_refused_with_what_to_write)
{
    plans("rsa:2048");
    plans("rsa:8192");
    refuses("rsa:2040", NULL, "2048 to 8192");
    refuses("rsa:8200", NULL, "2048 to 8192");
    refuses("rsa:2047", NULL, "2048 to 8192");
    refuses("rsa:", NULL, "2048 to 8192");
    refuses("rsa:2048x", NULL, "2048 to 8192");
    refuses("rsa:99999999999999999999", NULL, "2048 to 8192");
    refuses("rsa", NULL, "write rsa:2048");
    refuses("dsa:1024", NULL, "write rsa:2048");
    refuses("ec:P-255", NULL, "write ec:P-256");
    refuses("aes:512", NULL, "write aes:256");
    plans("hmac:128");
    plans("hmac:4096");
    refuses("hmac:120", NULL, "128 to 4096");
    refuses("hmac:4104", NULL, "128 to 4096");
    refuses("aes:256", "0", "hexadecimal");
    refuses("aes:256", "xy", "hexadecimal");
    refuses("aes:256", "", "hexadecimal");
}
END_TEST

START_TEST(id_has_at_most_64_bytes)
{
    char hex[2 * KEYINFO_ID_SIZE_MAX + 3];
    const char *problem = NULL;

    memset(hex, 'a', sizeof(hex));
    hex[2 * KEYINFO_ID_SIZE_MAX] = '\0';
    ck_assert_int_eq(keyinfo_plan("aes:256", "l", hex, false, &plan, &problem), QH_OK);
    hex[2 * KEYINFO_ID_SIZE_MAX] = 'a';
    hex[2 * KEYINFO_ID_SIZE_MAX + 2] = '\0';
    refuses("aes:256", hex, "1 to 64 bytes");
}
END_TEST

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

    tcase_add_test(tcase, rsa_is_a_pair_with_bits_and_exponent);
    tcase_add_test(tcase, both_halves_of_a_pair_have_one_id);
    tcase_add_test(tcase, curves_have_their_mechanism);
    tcase_add_test(tcase, secret_keys_have_a_length_in_bytes);
    tcase_add_test(tcase, types_out_of_range_are_refused_with_what_to_write);
    tcase_add_test(tcase, id_has_at_most_64_bytes);
    tcase_add_test(tcase, private_ec_key_is_shown_with_its_curve_and_use);
    tcase_add_test(tcase, public_rsa_key_is_shown_with_its_bits);
    tcase_add_test(tcase, object_without_attributes_is_shown_all_the_same);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
