/* Templates in, attributes out. */
#include "pkcs11/template.h"

#include "base/limits.h"
#include "tests/lib/test.h"
#include "tests/unit/attributes.h"

#define TRUE_BYTE "\x01"

/* ---- in ---- */

START_TEST(numbers_become_eight_bytes_and_flags_one)
{
    CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
    CK_BBOOL odd_true = 0x55;
    CK_MECHANISM_TYPE allowed[] = {CKM_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS};
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &object_class, sizeof object_class},
                           {CKA_SIGN, &odd_true, 1},
                           {CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed}};
    struct template template;

    ck_assert_uint_eq(template_open(list, 3, &template), CKR_OK);
    ck_assert_uint_eq(template.count, 3);
    ck_assert_uint_eq(template.attributes[0].size, 8);
    ck_assert_mem_eq(template.attributes[0].value, "\x03\0\0\0\0\0\0\0", 8);
    ck_assert_uint_eq(template.attributes[1].size, 1);
    ck_assert_mem_eq(template.attributes[1].value, TRUE_BYTE, 1);
    ck_assert_uint_eq(template.attributes[2].size, 16);
    ck_assert_mem_eq(template.attributes[2].value, "\x01\0\0\0\0\0\0\0\x43\0\0\0\0\0\0\0", 16);
    ck_assert(template_flag(&template, CKA_SIGN, false));
    ck_assert(template_flag(&template, CKA_TOKEN, true));
    ck_assert(!template_flag(&template, CKA_TOKEN, false));
    template_close(&template);
}
END_TEST

START_TEST(bytes_stay_where_they_are)
{
    char label[] = "a label";
    CK_ATTRIBUTE list[] = {{CKA_LABEL, label, 7}, {CKA_ID, NULL, 0}};
    struct template template;

    ck_assert_uint_eq(template_open(list, 2, &template), CKR_OK);
    ck_assert_ptr_eq(template_get(&template, CKA_LABEL)->value, label);
    ck_assert_uint_eq(template_get(&template, CKA_ID)->size, 0);
    ck_assert_ptr_null(template_get(&template, CKA_VALUE));
    template_close(&template);
}
END_TEST

START_TEST(an_empty_template_is_a_template)
{
    struct template template;

    ck_assert_uint_eq(template_open(NULL, 0, &template), CKR_OK);
    ck_assert_uint_eq(template.count, 0);
    template_close(&template);
    ck_assert_uint_eq(template_open(NULL, 1, &template), CKR_ARGUMENTS_BAD);
}
END_TEST

START_TEST(values_of_a_wrong_size_are_refused)
{
    uint8_t bytes[sizeof(CK_ULONG) + 1] = {0};
    struct template template;
    CK_ATTRIBUTE number = {CKA_KEY_TYPE, bytes, sizeof(CK_ULONG) - 1};
    CK_ATTRIBUTE flag = {CKA_TOKEN, bytes, 2};
    CK_ATTRIBUTE list = {CKA_ALLOWED_MECHANISMS, bytes, sizeof(CK_ULONG) + 1};
    CK_ATTRIBUTE missing = {CKA_LABEL, NULL, 1};

    ck_assert_uint_eq(template_open(&number, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
    number.ulValueLen = sizeof(CK_ULONG) + 1;
    ck_assert_uint_eq(template_open(&number, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
    ck_assert_uint_eq(template_open(&flag, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
    flag.ulValueLen = 0;
    ck_assert_uint_eq(template_open(&flag, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
    ck_assert_uint_eq(template_open(&list, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
    ck_assert_uint_eq(template_open(&missing, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
}
END_TEST

START_TEST(a_value_may_be_as_large_as_the_limit_and_no_larger)
{
    static uint8_t value[ATTRIBUTE_SIZE_MAX + 1];
    CK_ATTRIBUTE attribute = {CKA_VALUE, value, ATTRIBUTE_SIZE_MAX};
    struct template template;

    ck_assert_uint_eq(template_open(&attribute, 1, &template), CKR_OK);
    template_close(&template);
    attribute.ulValueLen++;
    ck_assert_uint_eq(template_open(&attribute, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
    attribute.ulValueLen = CK_UNAVAILABLE_INFORMATION;
    ck_assert_uint_eq(template_open(&attribute, 1, &template), CKR_ATTRIBUTE_VALUE_INVALID);
}
END_TEST

START_TEST(a_template_may_have_as_many_attributes_as_the_limit_and_no_more)
{
    CK_ATTRIBUTE list[ATTRIBUTES_MAX + 1];
    struct template template;

    for (size_t i = 0; i < ATTRIBUTES_MAX + 1; i++) {
        list[i] = (CK_ATTRIBUTE){CKA_VENDOR_DEFINED + i, NULL, 0};
    }
    ck_assert_uint_eq(template_open(list, ATTRIBUTES_MAX, &template), CKR_OK);
    template_close(&template);
    ck_assert_uint_eq(template_open(list, ATTRIBUTES_MAX + 1, &template),
                      CKR_TEMPLATE_INCONSISTENT);
    ck_assert_uint_eq(template_open(list, CK_UNAVAILABLE_INFORMATION, &template),
                      CKR_TEMPLATE_INCONSISTENT);
}
END_TEST

/* ---- templates of keys ---- */

START_TEST(a_template_of_a_key_is_encoded_in_order)
{
    CK_KEY_TYPE key_type = CKK_AES;
    CK_BBOOL yes = 0x55;
    char label[] = "ab";
    CK_ATTRIBUTE inner[] = {
        {CKA_SIGN, &yes, 1}, {CKA_KEY_TYPE, &key_type, sizeof key_type}, {CKA_LABEL, label, 2}};
    CK_ATTRIBUTE list[] = {{CKA_WRAP_TEMPLATE, inner, sizeof inner},
                           {CKA_UNWRAP_TEMPLATE, NULL, 0},
                           {CKA_CLASS, &key_type, sizeof key_type}};
    struct template template;

    ck_assert_uint_eq(template_open(list, 3, &template), CKR_OK);
    ck_assert_uint_eq(template.attributes[0].size, 3 * 12 + 2 + 8 + 1);
    ck_assert_mem_eq(template.attributes[0].value,
                     "\x03\0\0\0\0\0\0\0\x02\0\0\0ab"
                     "\0\x01\0\0\0\0\0\0\x08\0\0\0\x1f\0\0\0\0\0\0\0"
                     "\x08\x01\0\0\0\0\0\0\x01\0\0\0\x01",
                     template.attributes[0].size);
    ck_assert_uint_eq(template.attributes[1].size, 0);
    ck_assert_mem_eq(template.attributes[2].value, "\x1f\0\0\0\0\0\0\0", 8);
    template_close(&template);
}
END_TEST

static CK_RV open_nested(CK_ATTRIBUTE *inner, CK_ULONG size)
{
    CK_ATTRIBUTE attribute = {CKA_UNWRAP_TEMPLATE, inner, size};
    struct template template;
    CK_RV rv = template_open(&attribute, 1, &template);

    if (rv == CKR_OK) {
        template_close(&template);
    }
    return rv;
}

START_TEST(a_template_of_a_key_has_limits)
{
    static CK_ATTRIBUTE list[NESTED_ATTRIBUTES_MAX + 1];
    static uint8_t value[NESTED_SIZE_MAX];
    CK_BBOOL yes = CK_TRUE;

    for (size_t i = 0; i < NESTED_ATTRIBUTES_MAX + 1; i++) {
        list[i] = (CK_ATTRIBUTE){CKA_VENDOR_DEFINED - i + 99, NULL, 0};
    }
    ck_assert_uint_eq(open_nested(list, NESTED_ATTRIBUTES_MAX * sizeof *list), CKR_OK);
    ck_assert_uint_eq(open_nested(list, sizeof list), CKR_TEMPLATE_INCONSISTENT);
    ck_assert_uint_eq(open_nested(list, sizeof *list - 1), CKR_ATTRIBUTE_VALUE_INVALID);
    ck_assert_uint_eq(open_nested(NULL, sizeof *list), CKR_ATTRIBUTE_VALUE_INVALID);
    list[1] = list[0];
    ck_assert_uint_eq(open_nested(list, 2 * sizeof *list), CKR_TEMPLATE_INCONSISTENT);
    list[0] = (CK_ATTRIBUTE){CKA_LABEL, value, NESTED_SIZE_MAX - 12};
    ck_assert_uint_eq(open_nested(list, sizeof *list), CKR_OK);
    list[0].ulValueLen++;
    ck_assert_uint_eq(open_nested(list, sizeof *list), CKR_TEMPLATE_INCONSISTENT);
    list[0] = (CK_ATTRIBUTE){CKA_SIGN, &yes, 2};
    ck_assert_uint_eq(open_nested(list, sizeof *list), CKR_ATTRIBUTE_VALUE_INVALID);
    /* One in one, and arrays of which nothing is known. */
    list[0] = (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, NULL, 0};
    ck_assert_uint_eq(open_nested(list, sizeof *list), CKR_TEMPLATE_INCONSISTENT);
    list[0].type = CKF_ARRAY_ATTRIBUTE | 1;
    ck_assert_uint_eq(open_nested(list, sizeof *list), CKR_ATTRIBUTE_TYPE_INVALID);
}
END_TEST

/* How many, how long each, what each is (5.7.5). */
START_TEST(a_template_of_a_key_is_read_in_three_steps)
{
    static const uint8_t value[] = "\x03\0\0\0\0\0\0\0\x02\0\0\0ab"
                                   "\0\x01\0\0\0\0\0\0\x08\0\0\0\x1f\0\0\0\0\0\0\0";
    struct attributes_fixture fixture = {.count = 0};
    CK_ATTRIBUTE inner[2] = {{99, NULL, 0}, {99, NULL, 0}};
    CK_ATTRIBUTE list = {CKA_WRAP_TEMPLATE, NULL, 0};
    struct quadhsm_object *object;
    CK_KEY_TYPE key_type = 0;
    char label[2];

    add_bytes(&fixture, CKA_WRAP_TEMPLATE, value, sizeof value - 1);
    object = fixture_object(&fixture);
    ck_assert_uint_eq(template_read(object, &list, 1), CKR_OK);
    ck_assert_uint_eq(list.ulValueLen, sizeof inner);
    list.pValue = inner;
    ck_assert_uint_eq(template_read(object, &list, 1), CKR_OK);
    ck_assert_uint_eq(inner[0].type, CKA_LABEL);
    ck_assert_uint_eq(inner[0].ulValueLen, 2);
    ck_assert_uint_eq(inner[1].type, CKA_KEY_TYPE);
    ck_assert_uint_eq(inner[1].ulValueLen, sizeof key_type);
    inner[0] = (CK_ATTRIBUTE){77, label, 1};
    inner[1].pValue = &key_type;
    ck_assert_uint_eq(template_read(object, &list, 1), CKR_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(inner[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    ck_assert_uint_eq(key_type, CKK_AES);
    ck_assert_uint_eq(list.ulValueLen, sizeof inner);
    inner[0].ulValueLen = 2;
    ck_assert_uint_eq(template_read(object, &list, 1), CKR_OK);
    ck_assert_mem_eq(label, "ab", 2);
    list.ulValueLen = sizeof inner - 1;
    ck_assert_uint_eq(template_read(object, &list, 1), CKR_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(list.ulValueLen, CK_UNAVAILABLE_INFORMATION);
}
END_TEST

/* Oracle's clients do that. */
START_TEST(misaligned_memory_is_read_and_written)
{
    uint8_t room[1 + sizeof(CK_ATTRIBUTE) + 1 + sizeof(CK_ULONG)];
    uint8_t *number_at = room + 1 + sizeof(CK_ATTRIBUTE) + 1;
    CK_ATTRIBUTE attribute = {CKA_KEY_TYPE, number_at, sizeof(CK_ULONG)};
    CK_ULONG number = CKK_AES;
    struct attributes_fixture fixture = {.count = 0};
    struct template template;

    memcpy(number_at, &number, sizeof number);
    memcpy(room + 1, &attribute, sizeof attribute);
    ck_assert_uint_eq(template_open((const void *)(room + 1), 1, &template), CKR_OK);
    ck_assert_mem_eq(template.attributes[0].value, "\x1f\0\0\0\0\0\0\0", 8);
    template_close(&template);
    add_number(&fixture, CKA_KEY_TYPE, CKK_EC);
    ck_assert_uint_eq(template_read(fixture_object(&fixture), (void *)(room + 1), 1), CKR_OK);
    memcpy(&number, number_at, sizeof number);
    ck_assert_uint_eq(number, CKK_EC);
}
END_TEST

START_TEST(a_template_matches_an_object_that_has_all_of_it)
{
    struct attributes_fixture fixture = {.count = 0};
    CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
    char label[] = "one";
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &object_class, sizeof object_class}, {CKA_LABEL, label, 3}};
    struct template template;

    add_number(&fixture, CKA_CLASS, CKO_SECRET_KEY);
    add_bytes(&fixture, CKA_LABEL, "one", 3);
    ck_assert_uint_eq(template_open(list, 2, &template), CKR_OK);
    ck_assert(template_matches(&template, fixture_object(&fixture)));
    label[0] = 'O';
    ck_assert(!template_matches(&template, fixture_object(&fixture)));
    template_close(&template);
    list[1].ulValueLen = 2;
    label[0] = 'o';
    ck_assert_uint_eq(template_open(list, 2, &template), CKR_OK);
    ck_assert(!template_matches(&template, fixture_object(&fixture)));
    template_close(&template);
    list[1] = (CK_ATTRIBUTE){CKA_ID, label, 3};
    ck_assert_uint_eq(template_open(list, 2, &template), CKR_OK);
    ck_assert(!template_matches(&template, fixture_object(&fixture)));
    template_close(&template);
}
END_TEST

/* ---- out ---- */

static struct quadhsm_object *rsa_private(struct attributes_fixture *fixture)
{
    add_number(fixture, CKA_CLASS, CKO_PRIVATE_KEY);
    add_bytes(fixture, CKA_LABEL, "key", 3);
    add_bytes(fixture, CKA_MODULUS, "modulus", 7);
    add_bytes(fixture, CKA_TOKEN, TRUE_BYTE, 1);
    return fixture_object(fixture);
}

START_TEST(sizes_are_told_and_values_given)
{
    struct attributes_fixture fixture = {.count = 0};
    struct quadhsm_object *object = rsa_private(&fixture);
    CK_OBJECT_CLASS object_class = 77;
    char label[8] = "";
    CK_BBOOL token = 0;
    CK_ATTRIBUTE list[] = {{CKA_CLASS, NULL, 0}, {CKA_LABEL, NULL, 123}, {CKA_TOKEN, NULL, 0}};

    ck_assert_uint_eq(template_read(object, list, 3), CKR_OK);
    ck_assert_uint_eq(list[0].ulValueLen, sizeof(CK_OBJECT_CLASS));
    ck_assert_uint_eq(list[1].ulValueLen, 3);
    ck_assert_uint_eq(list[2].ulValueLen, sizeof(CK_BBOOL));
    list[0].pValue = &object_class;
    list[1].pValue = label;
    list[1].ulValueLen = sizeof label;
    list[2].pValue = &token;
    ck_assert_uint_eq(template_read(object, list, 3), CKR_OK);
    ck_assert_uint_eq(object_class, CKO_PRIVATE_KEY);
    ck_assert_str_eq(label, "key");
    ck_assert_uint_eq(list[1].ulValueLen, 3);
    ck_assert_uint_eq(token, CK_TRUE);
}
END_TEST

START_TEST(what_cannot_be_given_is_said_and_the_rest_given)
{
    struct attributes_fixture fixture = {.count = 0};
    struct quadhsm_object *object = rsa_private(&fixture);
    char label[3];
    char small[6];
    CK_ATTRIBUTE list[] = {{CKA_PRIVATE_EXPONENT, small, sizeof small},
                           {CKA_EC_POINT, small, sizeof small},
                           {CKA_MODULUS, small, sizeof small},
                           {CKA_LABEL, label, sizeof label}};

    ck_assert_uint_eq(template_read(object, list, 4), CKR_ATTRIBUTE_SENSITIVE);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(list[i].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    }
    ck_assert_uint_eq(list[3].ulValueLen, 3);
    ck_assert_mem_eq(label, "key", 3);
    list[1].ulValueLen = sizeof small;
    list[2].ulValueLen = sizeof small;
    ck_assert_uint_eq(template_read(object, list + 1, 3), CKR_ATTRIBUTE_TYPE_INVALID);
    list[2].ulValueLen = sizeof small;
    ck_assert_uint_eq(template_read(object, list + 2, 2), CKR_BUFFER_TOO_SMALL);
}
END_TEST

START_TEST(all_types_that_an_application_knows_of_may_be_asked_for_at_once)
{
    struct attributes_fixture fixture = {.count = 0};
    struct quadhsm_object *object = rsa_private(&fixture);
    CK_ATTRIBUTE list[TEMPLATE_READ_MAX + 1];

    for (size_t i = 0; i < TEMPLATE_READ_MAX + 1; i++) {
        list[i] = (CK_ATTRIBUTE){CKA_VENDOR_DEFINED + i, NULL, 0};
    }
    list[TEMPLATE_READ_MAX - 1].type = CKA_LABEL;
    ck_assert_uint_eq(template_read(object, list, TEMPLATE_READ_MAX), CKR_ATTRIBUTE_TYPE_INVALID);
    ck_assert_uint_eq(list[0].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    ck_assert_uint_eq(list[TEMPLATE_READ_MAX - 1].ulValueLen, 3);
    ck_assert_uint_eq(template_read(object, list, TEMPLATE_READ_MAX + 1), CKR_ARGUMENTS_BAD);
}
END_TEST

START_TEST(a_value_is_sensitive_only_where_a_key_has_one)
{
    struct attributes_fixture rsa = {.count = 0};
    struct attributes_fixture ec = {.count = 0};
    struct attributes_fixture secret = {.count = 0};
    struct attributes_fixture public = {.count = 0};
    CK_ATTRIBUTE value = {CKA_VALUE, NULL, 0};
    CK_ATTRIBUTE prime = {CKA_PRIME_1, NULL, 0};

    rsa_private(&rsa);
    add_number(&ec, CKA_CLASS, CKO_PRIVATE_KEY);
    add_number(&secret, CKA_CLASS, CKO_SECRET_KEY);
    add_bytes(&secret, CKA_SENSITIVE, "\0", 1); /* kept back by the partition's policy */
    add_bytes(&secret, CKA_EXTRACTABLE, "\1", 1);
    add_number(&public, CKA_CLASS, CKO_PUBLIC_KEY);
    ck_assert_uint_eq(template_read(fixture_object(&rsa), &value, 1), CKR_ATTRIBUTE_TYPE_INVALID);
    ck_assert_uint_eq(template_read(fixture_object(&ec), &value, 1), CKR_ATTRIBUTE_SENSITIVE);
    ck_assert_uint_eq(template_read(fixture_object(&secret), &value, 1), CKR_ATTRIBUTE_SENSITIVE);
    ck_assert_uint_eq(template_read(fixture_object(&public), &value, 1),
                      CKR_ATTRIBUTE_TYPE_INVALID);
    ck_assert_uint_eq(template_read(fixture_object(&ec), &prime, 1), CKR_ATTRIBUTE_TYPE_INVALID);
}
END_TEST

START_TEST(lists_of_mechanisms_come_out_as_numbers)
{
    struct attributes_fixture fixture = {.count = 0};
    CK_MECHANISM_TYPE allowed[2];
    CK_ATTRIBUTE attribute = {CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed};

    add_bytes(&fixture, CKA_ALLOWED_MECHANISMS, "\x01\0\0\0\0\0\0\0\x43\0\0\0\0\0\0\0", 16);
    ck_assert_uint_eq(template_read(fixture_object(&fixture), &attribute, 1), CKR_OK);
    ck_assert_uint_eq(attribute.ulValueLen, sizeof allowed);
    ck_assert_uint_eq(allowed[0], CKM_RSA_PKCS);
    ck_assert_uint_eq(allowed[1], CKM_SHA256_RSA_PKCS_PSS);
}
END_TEST

static void add_cases(TCase *tcase)
{
    tcase_add_test(tcase, numbers_become_eight_bytes_and_flags_one);
    tcase_add_test(tcase, bytes_stay_where_they_are);
    tcase_add_test(tcase, an_empty_template_is_a_template);
    tcase_add_test(tcase, values_of_a_wrong_size_are_refused);
    tcase_add_test(tcase, a_value_may_be_as_large_as_the_limit_and_no_larger);
    tcase_add_test(tcase, a_template_may_have_as_many_attributes_as_the_limit_and_no_more);
    tcase_add_test(tcase, a_template_of_a_key_is_encoded_in_order);
    tcase_add_test(tcase, a_template_of_a_key_has_limits);
    tcase_add_test(tcase, a_template_of_a_key_is_read_in_three_steps);
    tcase_add_test(tcase, misaligned_memory_is_read_and_written);
    tcase_add_test(tcase, a_template_matches_an_object_that_has_all_of_it);
    tcase_add_test(tcase, sizes_are_told_and_values_given);
    tcase_add_test(tcase, what_cannot_be_given_is_said_and_the_rest_given);
    tcase_add_test(tcase, all_types_that_an_application_knows_of_may_be_asked_for_at_once);
    tcase_add_test(tcase, a_value_is_sensitive_only_where_a_key_has_one);
    tcase_add_test(tcase, lists_of_mechanisms_come_out_as_numbers);
}

int main(void)
{
    Suite *suite = suite_create("pkcs11_template");
    TCase *tcase = tcase_create("template");

    add_cases(tcase);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
