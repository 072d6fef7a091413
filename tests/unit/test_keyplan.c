/* Keys as the command asks for them. */
#include <string.h>

#include "base/cryptoki.h"
#include "cli/keyplan.h"
#include "tests/lib/test.h"

static struct keyplan plan;

static const struct quadhsm_attribute *planned(bool private_key, uint64_t type)
{
    return attrlist_find(private_key ? &plan.private : &plan.first, type);
}

static void plans(const char *type)
{
    const char *problem = NULL;

    ck_assert_msg(keyplan_generate(type, "label", NULL, false, &plan, &problem) == QH_OK, "%s: %s",
                  type, problem != NULL ? problem : "");
}

static void refuses(const char *type, const char *id, const char *wanted)
{
    const char *problem = NULL;

    ck_assert_int_eq(keyplan_generate(type, "label", id, false, &plan, &problem), QH_EINVAL);
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
    ck_assert_int_eq(keyplan_generate("ec:P-384", "l", "01A0", true, &plan, &problem), QH_OK);
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
    plans("ec:secp256k1");
    plans("ed25519");
    ck_assert_uint_eq(plan.mechanism.type, CKM_EC_EDWARDS_KEY_PAIR_GEN);
    plans("ED448");
    ck_assert_uint_eq(plan.mechanism.type, CKM_EC_EDWARDS_KEY_PAIR_GEN);
    plans("x25519");
    ck_assert_uint_eq(plan.mechanism.type, CKM_EC_MONTGOMERY_KEY_PAIR_GEN);
    flag_is(false, CKA_VERIFY, 0);
    flag_is(true, CKA_SIGN, 0);
    flag_is(true, CKA_DERIVE, 1);
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
    refuses("P-256", NULL, "write rsa:2048");
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
    char hex[2 * KEYPLAN_ID_SIZE_MAX + 3];
    const char *problem = NULL;

    memset(hex, 'a', sizeof(hex));
    hex[2 * KEYPLAN_ID_SIZE_MAX] = '\0';
    ck_assert_int_eq(keyplan_generate("aes:256", "l", hex, false, &plan, &problem), QH_OK);
    hex[2 * KEYPLAN_ID_SIZE_MAX] = 'a';
    hex[2 * KEYPLAN_ID_SIZE_MAX + 2] = '\0';
    refuses("aes:256", hex, "1 to 64 bytes");
}
END_TEST

START_TEST(curves_are_named_whichever_way_they_were_written)
{
    static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    static const uint8_t text[] = "\x13\x0c"
                                  "edwards25519";

    ck_assert_str_eq(keyplan_curve_name((struct bytes){p256, sizeof(p256)}), "P-256");
    ck_assert_str_eq(keyplan_curve_name((struct bytes){text, sizeof(text) - 1}), "ed25519");
    ck_assert_ptr_null(keyplan_curve_name((struct bytes){p256, sizeof(p256) - 1}));
    ck_assert_ptr_null(keyplan_curve_name((struct bytes){NULL, 0}));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keyplan");
    TCase *tcase = tcase_create("keyplan");

    tcase_add_test(tcase, rsa_is_a_pair_with_bits_and_exponent);
    tcase_add_test(tcase, both_halves_of_a_pair_have_one_id);
    tcase_add_test(tcase, curves_have_their_mechanism);
    tcase_add_test(tcase, secret_keys_have_a_length_in_bytes);
    tcase_add_test(tcase, types_out_of_range_are_refused_with_what_to_write);
    tcase_add_test(tcase, id_has_at_most_64_bytes);
    tcase_add_test(tcase, curves_are_named_whichever_way_they_were_written);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
