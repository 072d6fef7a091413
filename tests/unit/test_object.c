/* Objects that are created: what a template may, must and must not name, what stands there
 * otherwise, and what a client reads. */
#include "hsm/object.h"

#include "hsm/object_private.h"
#include "tests/unit/object_fixture.h"

/* The numbers of one RSA key, and of one on P-256. */
static struct key_rsa_parts rsa;
static struct bytes ec_value;
static struct key_public rsa_public, ec_public;
static struct secret *rsa_block, *ec_block, *rsa_key, *ec_key;

static void setup_keys(void)
{
    struct key_rsa_parts none;
    struct bytes no_value;

    ck_assert_int_eq(secret_setup(), QH_OK);
    ck_assert_int_eq(key_generate_rsa(2048, span("\1\0\1", 3), &rsa_key, &rsa_public), QH_OK);
    ck_assert_int_eq(key_private_parts(CKK_RSA, span(secret_view(rsa_key), secret_size(rsa_key)),
                                       &rsa, &no_value, &rsa_block),
                     QH_OK);
    ck_assert_int_eq(
        key_generate_ec(CKK_EC, span(p256_params, sizeof p256_params), &ec_key, &ec_public), QH_OK);
    ck_assert_int_eq(key_private_parts(CKK_EC, span(secret_view(ec_key), secret_size(ec_key)),
                                       &none, &ec_value, &ec_block),
                     QH_OK);
}

static void teardown_keys(void)
{
    secret_free(rsa_key);
    secret_free(ec_key);
    secret_free(rsa_block);
    secret_free(ec_block);
    free(rsa_public.block);
    free(ec_public.block);
}

static void begin_rsa_private(struct template *template)
{
    begin(template, CKO_PRIVATE_KEY, CKK_RSA);
    with(template, CKA_MODULUS, rsa.n);
    with(template, CKA_PUBLIC_EXPONENT, rsa.e);
    with(template, CKA_PRIVATE_EXPONENT, rsa.d);
}

static void with_crt(struct template *template)
{
    with(template, CKA_PRIME_1, rsa.p);
    with(template, CKA_PRIME_2, rsa.q);
    with(template, CKA_EXPONENT_1, rsa.dp);
    with(template, CKA_EXPONENT_2, rsa.dq);
    with(template, CKA_COEFFICIENT, rsa.qinv);
}

static void begin_rsa_public(struct template *template)
{
    begin(template, CKO_PUBLIC_KEY, CKK_RSA);
    with(template, CKA_MODULUS, rsa.n);
    with(template, CKA_PUBLIC_EXPONENT, rsa.e);
}

static void begin_ec_private(struct template *template)
{
    begin(template, CKO_PRIVATE_KEY, CKK_EC);
    with(template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with(template, CKA_VALUE, ec_value);
}

static void begin_ec_public(struct template *template, struct bytes point)
{
    begin(template, CKO_PUBLIC_KEY, CKK_EC);
    with(template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with(template, CKA_EC_POINT, point);
}

START_TEST(the_table_names_each_attribute_once_for_every_kind_of_object)
{
    static const struct {
        CK_OBJECT_CLASS object_class;
        CK_KEY_TYPE key_type;
    } kinds[] = {{CKO_DATA, CK_UNAVAILABLE_INFORMATION},
                 {CKO_CERTIFICATE, CK_UNAVAILABLE_INFORMATION},
                 {CKO_PUBLIC_KEY, CKK_RSA},
                 {CKO_PUBLIC_KEY, CKK_EC},
                 {CKO_PRIVATE_KEY, CKK_RSA},
                 {CKO_PRIVATE_KEY, CKK_EC_EDWARDS},
                 {CKO_SECRET_KEY, CKK_AES},
                 {CKO_SECRET_KEY, CKK_SHA256_HMAC}};
    unsigned count;
    const struct attribute_rule *rules = object_table(&count);

    for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        unsigned concerned = 0;

        for (unsigned i = 0; i < count; i++) {
            if (object_rule_concerns(&rules[i], kinds[k].object_class, kinds[k].key_type)) {
                concerned++;
                ck_assert_ptr_eq(
                    object_rule(kinds[k].object_class, kinds[k].key_type, rules[i].type),
                    &rules[i]);
            }
        }
        ck_assert_uint_ge(concerned, 10);
        ck_assert_uint_le(concerned, ATTRIBUTES_MAX);
    }
}
END_TEST

START_TEST(a_data_object_gets_its_defaults)
{
    struct template template;
    struct object *object;

    begin_data(&template, "label");
    object = created(&template);
    ck_assert_uint_eq(object->object_class, CKO_DATA);
    ck_assert_uint_eq(object->key_type, CK_UNAVAILABLE_INFORMATION);
    ck_assert(!object->token);
    ck_assert(!object->is_private);
    ck_assert_ptr_null(object->material);
    ck_assert_uint_eq(object_ulong(object, CKA_CLASS, 99), CKO_DATA);
    assert_flag(object, CKA_TOKEN, false);
    assert_flag(object, CKA_PRIVATE, false);
    assert_flag(object, CKA_MODIFIABLE, true);
    assert_flag(object, CKA_COPYABLE, true);
    assert_flag(object, CKA_DESTROYABLE, true);
    assert_value(object, CKA_LABEL, text_span("label"));
    assert_value(object, CKA_VALUE, text_span("contents"));
    assert_value(object, CKA_APPLICATION, text_span(""));
    assert_value(object, CKA_OBJECT_ID, text_span(""));
    object_free(object);
}
END_TEST

START_TEST(each_object_gets_a_unique_id_of_its_own)
{
    struct template template;
    const struct attribute *ids[2];
    uint8_t numbers[2][OBJECT_ID_SIZE];
    struct object *objects[2];

    begin_data(&template, "label");
    for (int i = 0; i < 2; i++) {
        objects[i] = created(&template);
        ids[i] = object_attribute(objects[i], CKA_UNIQUE_ID);
        ck_assert_ptr_nonnull(ids[i]);
        ck_assert(object_unique_id(ids[i]->value, numbers[i]));
    }
    ck_assert_mem_ne(numbers[0], numbers[1], OBJECT_ID_SIZE);
    object_free(objects[0]);
    object_free(objects[1]);
    with_text(&template, CKA_UNIQUE_ID, "mine");
    assert_refused(&template, QH_EREADONLY);
}
END_TEST

START_TEST(a_unique_id_has_one_form)
{
    static const char good[] = "00112233445566778899aabbccddeeff";
    uint8_t id[OBJECT_ID_SIZE];

    ck_assert(object_unique_id(text_span(good), id));
    ck_assert_uint_eq(id[0], 0x00);
    ck_assert_uint_eq(id[15], 0xff);
    ck_assert(!object_unique_id(span(good, 31), id));
    ck_assert(!object_unique_id(text_span("00112233445566778899aabbccddeeff0"), id));
    ck_assert(!object_unique_id(text_span("00112233445566778899aabbccddeefF"), id));
    ck_assert(!object_unique_id(text_span("00112233445566778899aabbccddeefg"), id));
    ck_assert(!object_unique_id(text_span(""), id));
}
END_TEST

START_TEST(token_and_private_are_told_of_the_object)
{
    struct template template;
    struct object *object;

    begin_data(&template, "label");
    with_flag(&template, CKA_TOKEN, true);
    with_flag(&template, CKA_PRIVATE, true);
    object = created(&template);
    ck_assert(object->token);
    ck_assert(object->is_private);
    object_free(object);
}
END_TEST

START_TEST(a_secret_key_gets_its_defaults)
{
    static const CK_ATTRIBUTE_TYPE yes[] = {CKA_PRIVATE, CKA_SENSITIVE, CKA_ENCRYPT, CKA_DECRYPT,
                                            CKA_SIGN,    CKA_VERIFY,    CKA_COPYABLE};
    static const CK_ATTRIBUTE_TYPE no[] = {CKA_TOKEN,
                                           CKA_EXTRACTABLE,
                                           CKA_WRAP,
                                           CKA_UNWRAP,
                                           CKA_DERIVE,
                                           CKA_TRUSTED,
                                           CKA_LOCAL,
                                           CKA_WRAP_WITH_TRUSTED,
                                           CKA_ALWAYS_SENSITIVE,
                                           CKA_NEVER_EXTRACTABLE};
    struct template template;
    struct object *object;

    begin_aes(&template);
    object = created(&template);
    for (unsigned i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        assert_flag(object, yes[i], true);
    }
    for (unsigned i = 0; i < sizeof no / sizeof no[0]; i++) {
        assert_flag(object, no[i], false);
    }
    ck_assert_uint_eq(object_ulong(object, CKA_VALUE_LEN, 0), 32);
    ck_assert_uint_eq(object_ulong(object, CKA_KEY_GEN_MECHANISM, 0), CK_UNAVAILABLE_INFORMATION);
    ck_assert_uint_eq(object_attribute(object, CKA_CHECK_VALUE)->value.size, 3);
    assert_value(object, CKA_ID, text_span(""));
    assert_value(object, CKA_START_DATE, text_span(""));
    assert_value(object, CKA_ALLOWED_MECHANISMS, text_span(""));
    ck_assert_ptr_null(object_attribute(object, CKA_VALUE));
    ck_assert_uint_eq(secret_size(object->material), 32);
    object_free(object);
}
END_TEST

START_TEST(an_rsa_private_key_answers_its_public_numbers)
{
    struct template template;
    struct object *object;

    for (int crt = 0; crt < 2; crt++) {
        begin_rsa_private(&template);
        if (crt == 1) {
            with_crt(&template);
        }
        object = created(&template);
        assert_value(object, CKA_MODULUS, rsa_public.modulus);
        assert_value(object, CKA_PUBLIC_EXPONENT, rsa_public.public_exponent);
        assert_value(object, CKA_PUBLIC_KEY_INFO, rsa_public.spki);
        ck_assert_ptr_null(object_attribute(object, CKA_PRIVATE_EXPONENT));
        ck_assert_ptr_null(object_attribute(object, CKA_PRIME_1));
        ck_assert_ptr_null(object_attribute(object, CKA_MODULUS_BITS));
        ck_assert(object->is_private);
        assert_flag(object, CKA_SENSITIVE, true);
        assert_flag(object, CKA_EXTRACTABLE, false);
        assert_flag(object, CKA_SIGN, true);
        assert_flag(object, CKA_DECRYPT, true);
        assert_flag(object, CKA_UNWRAP, false);
        assert_flag(object, CKA_LOCAL, false);
        assert_flag(object, CKA_ALWAYS_SENSITIVE, false);
        assert_flag(object, CKA_NEVER_EXTRACTABLE, false);
        assert_flag(object, CKA_ALWAYS_AUTHENTICATE, false);
        object_free(object);
    }
}
END_TEST

START_TEST(an_rsa_private_key_needs_all_chinese_remainder_parts_or_none)
{
    struct template template;

    begin_rsa_private(&template);
    with_crt(&template);
    without(&template, CKA_COEFFICIENT);
    assert_refused(&template, QH_EINCOMPLETE);
    begin_rsa_private(&template);
    without(&template, CKA_PUBLIC_EXPONENT);
    assert_refused(&template, QH_EINCOMPLETE);
}
END_TEST

START_TEST(an_rsa_public_key_gets_its_size_and_info)
{
    struct template template;
    struct object *object;

    begin_rsa_public(&template);
    object = created(&template);
    ck_assert_uint_eq(object_ulong(object, CKA_MODULUS_BITS, 0), 2048);
    assert_value(object, CKA_PUBLIC_KEY_INFO, rsa_public.spki);
    ck_assert_uint_eq(secret_size(object->material), rsa_public.spki.size);
    ck_assert(!object->is_private);
    assert_flag(object, CKA_VERIFY, true);
    assert_flag(object, CKA_ENCRYPT, true);
    assert_flag(object, CKA_WRAP, false);
    assert_flag(object, CKA_VERIFY_RECOVER, false);
    ck_assert_ptr_null(object_attribute(object, CKA_SENSITIVE));
    object_free(object);
}
END_TEST

START_TEST(what_is_computed_may_be_named_with_the_value_that_comes_out)
{
    struct template template;

    begin_rsa_public(&template);
    with_ulong(&template, CKA_MODULUS_BITS, 2048);
    with(&template, CKA_PUBLIC_KEY_INFO, rsa_public.spki);
    object_free(created(&template));
    without(&template, CKA_MODULUS_BITS);
    with_ulong(&template, CKA_MODULUS_BITS, 2047);
    assert_refused(&template, QH_ETEMPLATE);
    begin_rsa_public(&template);
    with(&template, CKA_PUBLIC_KEY_INFO, ec_public.spki);
    assert_refused(&template, QH_ETEMPLATE);
    begin_ec_private(&template);
    with(&template, CKA_PUBLIC_KEY_INFO, ec_public.spki);
    object_free(created(&template));
    without(&template, CKA_PUBLIC_KEY_INFO);
    with(&template, CKA_PUBLIC_KEY_INFO, rsa_public.spki);
    assert_refused(&template, QH_EATTRVALUE);
    begin_aes(&template);
    with_ulong(&template, CKA_VALUE_LEN, 32);
    object_free(created(&template));
    begin_aes(&template);
    with_ulong(&template, CKA_VALUE_LEN, 16);
    assert_refused(&template, QH_ETEMPLATE);
}
END_TEST

START_TEST(a_check_value_matches_or_is_left_out)
{
    struct template template;
    struct object *object, *again;

    begin_aes(&template);
    object = created(&template);
    with(&template, CKA_CHECK_VALUE, object_attribute(object, CKA_CHECK_VALUE)->value);
    again = created(&template);
    assert_value(again, CKA_CHECK_VALUE, object_attribute(object, CKA_CHECK_VALUE)->value);
    object_free(again);
    object_free(object);
    without(&template, CKA_CHECK_VALUE);
    with_text(&template, CKA_CHECK_VALUE, "");
    object = created(&template);
    ck_assert_ptr_null(object_attribute(object, CKA_CHECK_VALUE));
    object_free(object);
    without(&template, CKA_CHECK_VALUE);
    with_text(&template, CKA_CHECK_VALUE, "abc");
    assert_refused(&template, QH_EATTRVALUE);
}
END_TEST

START_TEST(an_ec_private_key_answers_params_and_point)
{
    struct template template;
    struct object *object;

    begin_ec_private(&template);
    object = created(&template);
    assert_value(object, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    assert_value(object, CKA_EC_POINT, ec_public.ec_point);
    assert_value(object, CKA_PUBLIC_KEY_INFO, ec_public.spki);
    ck_assert_ptr_null(object_attribute(object, CKA_VALUE));
    object_free(object);
}
END_TEST

START_TEST(an_ec_point_is_taken_raw_too_and_given_as_octet_string)
{
    struct bytes raw = {ec_public.ec_point.base + 2, ec_public.ec_point.size - 2};
    struct template template;
    struct object *object;

    begin_ec_public(&template, raw);
    object = created(&template);
    assert_value(object, CKA_EC_POINT, ec_public.ec_point);
    object_free(object);
    begin_ec_public(&template, ec_public.ec_point);
    object = created(&template);
    assert_value(object, CKA_EC_POINT, ec_public.ec_point);
    object_free(object);
    begin_ec_public(&template, span(raw.base, raw.size - 1));
    assert_refused(&template, QH_EATTRVALUE);
}
END_TEST

START_TEST(an_unknown_curve_is_refused)
{
    struct template template;

    begin_ec_private(&template);
    without(&template, CKA_EC_PARAMS);
    with_text(&template, CKA_EC_PARAMS, "\x06\x01\x01");
    assert_refused(&template, QH_ECURVE);
}
END_TEST

START_TEST(a_certificate_keeps_its_fields_and_gets_a_check_value)
{
    /* SHA-1 of "a certificate" begins so. */
    static const uint8_t check_value[] = {0xbb, 0xb2, 0xb7};
    struct template template;
    struct object *object;

    begin_certificate(&template);
    with_text(&template, CKA_ID, "id");
    object = created(&template);
    ck_assert_uint_eq(object_ulong(object, CKA_CERTIFICATE_TYPE, 99), CKC_X_509);
    ck_assert_uint_eq(object_ulong(object, CKA_CERTIFICATE_CATEGORY, 99), 0);
    assert_value(object, CKA_CHECK_VALUE, span(check_value, sizeof check_value));
    assert_value(object, CKA_ISSUER, text_span(""));
    assert_value(object, CKA_SERIAL_NUMBER, text_span(""));
    assert_value(object, CKA_ID, text_span("id"));
    assert_flag(object, CKA_TRUSTED, false);
    ck_assert(!object->is_private);
    ck_assert_ptr_null(object->material);
    object_free(object);
}
END_TEST

START_TEST(a_certificate_is_x509_and_not_empty)
{
    struct template template;

    begin_certificate(&template);
    without(&template, CKA_CERTIFICATE_TYPE);
    assert_refused(&template, QH_EINCOMPLETE);
    with_ulong(&template, CKA_CERTIFICATE_TYPE, CKC_X_509_ATTR_CERT);
    assert_refused(&template, QH_EATTRVALUE);
    begin_certificate(&template);
    without(&template, CKA_VALUE);
    assert_refused(&template, QH_EINCOMPLETE);
    with_text(&template, CKA_VALUE, "");
    assert_refused(&template, QH_EATTRVALUE);
    begin_certificate(&template);
    without(&template, CKA_SUBJECT);
    assert_refused(&template, QH_EINCOMPLETE);
    begin_certificate(&template);
    with_ulong(&template, CKA_CERTIFICATE_CATEGORY, CK_CERTIFICATE_CATEGORY_OTHER_ENTITY);
    object_free(created(&template));
    without(&template, CKA_CERTIFICATE_CATEGORY);
    with_ulong(&template, CKA_CERTIFICATE_CATEGORY, CK_CERTIFICATE_CATEGORY_OTHER_ENTITY + 1);
    assert_refused(&template, QH_EATTRVALUE);
}
END_TEST

START_TEST(class_and_key_type_are_needed_and_known)
{
    struct template template = {.count = 0};

    assert_refused(&template, QH_EINCOMPLETE);
    with_ulong(&template, CKA_CLASS, CKO_SECRET_KEY);
    assert_refused(&template, QH_EINCOMPLETE);
    with_ulong(&template, CKA_KEY_TYPE, CKK_RSA);
    assert_refused(&template, QH_EATTRVALUE);
    begin(&template, CKO_HW_FEATURE, CK_UNAVAILABLE_INFORMATION);
    assert_refused(&template, QH_EATTRVALUE);
    begin(&template, CKO_SECRET_KEY, CKK_DES3);
    assert_refused(&template, QH_EATTRVALUE);
    template.count = 0;
    with_text(&template, CKA_CLASS, "abc");
    assert_refused(&template, QH_EATTRVALUE);
    begin(&template, CKO_SECRET_KEY, CKK_AES);
    assert_refused(&template, QH_EINCOMPLETE);
}
END_TEST

START_TEST(an_attribute_of_another_class_is_refused)
{
    struct template template;

    begin_data(&template, "label");
    with_flag(&template, CKA_SIGN, true);
    assert_refused(&template, QH_ETEMPLATE);
    begin_aes(&template);
    with_text(&template, CKA_MODULUS, "m");
    assert_refused(&template, QH_ETEMPLATE);
    begin_aes(&template);
    with_text(&template, CKA_VENDOR_DEFINED | 1, "m");
    assert_refused(&template, QH_EATTRIBUTE);
}
END_TEST

START_TEST(what_only_the_module_knows_cannot_be_named)
{
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_LOCAL, CKA_ALWAYS_SENSITIVE,
                                              CKA_NEVER_EXTRACTABLE};
    struct template template;

    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        begin_aes(&template);
        with_flag(&template, types[i], true);
        assert_refused(&template, QH_EREADONLY);
    }
    begin_aes(&template);
    with_ulong(&template, CKA_KEY_GEN_MECHANISM, CKM_AES_KEY_GEN);
    assert_refused(&template, QH_EREADONLY);
}
END_TEST

START_TEST(trusted_can_be_set_by_nobody)
{
    struct template template;

    begin_aes(&template);
    with_flag(&template, CKA_TRUSTED, false);
    object_free(created(&template));
    without(&template, CKA_TRUSTED);
    with_flag(&template, CKA_TRUSTED, true);
    assert_refused(&template, QH_EREADONLY);
}
END_TEST

START_TEST(a_key_that_always_asks_for_the_pin_is_private)
{
    struct template template;

    begin_ec_private(&template);
    with_flag(&template, CKA_ALWAYS_AUTHENTICATE, true);
    object_free(created(&template));
    with_flag(&template, CKA_PRIVATE, false);
    assert_refused(&template, QH_ETEMPLATE);
    without(&template, CKA_ALWAYS_AUTHENTICATE);
    object_free(created(&template));
}
END_TEST

START_TEST(values_are_of_their_kind)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *value;
        size_t size;
        bool fits;
    } values[] = {
        {CKA_SIGN, "\2", 1, false},
        {CKA_SIGN, "", 0, false},
        {CKA_SIGN, "\1\0", 2, false},
        {CKA_SIGN, "\1", 1, true},
        {CKA_START_DATE, "20260131", 8, true},
        {CKA_START_DATE, "20261231", 8, true},
        {CKA_START_DATE, "", 0, true},
        {CKA_START_DATE, "20260100", 8, false},
        {CKA_START_DATE, "20260132", 8, false},
        {CKA_START_DATE, "20260001", 8, false},
        {CKA_START_DATE, "20261301", 8, false},
        {CKA_START_DATE, "20260229", 8, false},
        {CKA_START_DATE, "20280229", 8, true},
        {CKA_START_DATE, "20280230", 8, false},
        {CKA_START_DATE, "21000229", 8, false},
        {CKA_START_DATE, "20000229", 8, true},
        {CKA_START_DATE, "20260431", 8, false},
        {CKA_END_DATE, "20260430", 8, true},
        {CKA_START_DATE, "2026010", 7, false},
        {CKA_START_DATE, "202601010", 9, false},
        {CKA_START_DATE, "2026 101", 8, false},
        {CKA_ALLOWED_MECHANISMS, "12345678", 8, true},
        {CKA_ALLOWED_MECHANISMS, "1234567812345678", 16, true},
        {CKA_ALLOWED_MECHANISMS, "1234567", 7, false},
        {CKA_VALUE_LEN, "1234", 4, false},
    };
    struct template template;

    for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
        begin_aes(&template);
        with(&template, values[i].type, span(values[i].value, values[i].size));
        if (values[i].fits) {
            object_free(created(&template));
        } else {
            assert_refused(&template, QH_EATTRVALUE);
        }
    }
}
END_TEST

START_TEST(an_attribute_has_one_value_however_often_it_is_named)
{
    struct template template;
    struct object *object;

    begin_data(&template, "label");
    with_text(&template, CKA_LABEL, "label");
    object = created(&template);
    assert_value(object, CKA_LABEL, text_span("label"));
    object_free(object);
    with_text(&template, CKA_LABEL, "labels");
    assert_refused(&template, QH_ETEMPLATE);
}
END_TEST

START_TEST(templates_have_limits)
{
    static uint8_t big[ATTRIBUTE_SIZE_MAX + 1];
    struct template template;
    struct object *object;

    begin(&template, CKO_DATA, CK_UNAVAILABLE_INFORMATION);
    with(&template, CKA_VALUE, span(big, ATTRIBUTE_SIZE_MAX));
    object = created(&template);
    ck_assert_uint_eq(object_attribute(object, CKA_VALUE)->value.size, ATTRIBUTE_SIZE_MAX);
    object_free(object);
    template.list[1].value.size++;
    assert_refused(&template, QH_ELIMIT);

    /* One more than the most is refused for that; the most are looked at one by one. */
    begin(&template, CKO_DATA, CK_UNAVAILABLE_INFORMATION);
    while (template.count < ATTRIBUTES_MAX) {
        with_text(&template, CKA_VENDOR_DEFINED + template.count, "");
    }
    assert_refused(&template, QH_EATTRIBUTE);
    with_text(&template, CKA_VENDOR_DEFINED + template.count, "");
    assert_refused(&template, QH_ELIMIT);
}
END_TEST

START_TEST(secret_keys_have_the_sizes_of_their_type)
{
    static const uint8_t value[KEY_SECRET_SIZE_MAX + 1] = {1};
    static const struct {
        CK_KEY_TYPE key_type;
        size_t size;
        bool fits;
    } sizes[] = {{CKK_AES, 15, false},
                 {CKK_AES, 16, true},
                 {CKK_AES, 24, true},
                 {CKK_AES, 32, true},
                 {CKK_AES, 33, false},
                 {CKK_GENERIC_SECRET, 0, false},
                 {CKK_GENERIC_SECRET, 1, true},
                 {CKK_GENERIC_SECRET, KEY_SECRET_SIZE_MAX, true},
                 {CKK_GENERIC_SECRET, KEY_SECRET_SIZE_MAX + 1, false},
                 {CKK_SHA256_HMAC, 32, true}};
    struct template template;

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        begin(&template, CKO_SECRET_KEY, sizes[i].key_type);
        with(&template, CKA_VALUE, span(value, sizes[i].size));
        if (sizes[i].fits) {
            object_free(created(&template));
        } else {
            assert_refused(&template, QH_EKEYSIZE);
        }
    }
}
END_TEST

START_TEST(objects_match_by_the_attributes_that_can_be_read)
{
    struct template template, wanted = {.count = 0};
    struct object *object;

    begin_aes(&template);
    with_text(&template, CKA_LABEL, "label");
    object = created(&template);
    ck_assert(object_matches(object, all_of(&wanted)));
    with_ulong(&wanted, CKA_CLASS, CKO_SECRET_KEY);
    with_text(&wanted, CKA_LABEL, "label");
    with_flag(&wanted, CKA_SIGN, true);
    ck_assert(object_matches(object, all_of(&wanted)));
    with_text(&wanted, CKA_ID, "id");
    ck_assert(!object_matches(object, all_of(&wanted)));
    wanted.count = 0;
    with_text(&wanted, CKA_LABEL, "labe");
    ck_assert(!object_matches(object, all_of(&wanted)));
    wanted.count = 0;
    with_text(&wanted, CKA_SUBJECT, "");
    ck_assert(!object_matches(object, all_of(&wanted)));
    wanted.count = 0;
    /* Nor can a key's value be guessed so. */
    with(&wanted, CKA_VALUE, template.list[2].value);
    ck_assert(!object_matches(object, all_of(&wanted)));
    object_free(object);
}
END_TEST

START_TEST(material_is_read_only_of_keys_that_allow_it)
{
    static const struct {
        bool sensitive, extractable, shown;
    } cases[] = {
        {true, false, false}, {true, true, false}, {false, false, false}, {false, true, true}};
    struct template template;

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct object *object;
        struct reading reading;

        begin_aes(&template);
        with_flag(&template, CKA_SENSITIVE, cases[i].sensitive);
        with_flag(&template, CKA_EXTRACTABLE, cases[i].extractable);
        object = created(&template);
        reading = read_all(object);
        ck_assert(shows(&reading, CKA_VALUE) == cases[i].shown);
        ck_assert_uint_eq(reading.count, object->attribute_count + cases[i].shown);
        object_free(object);
    }
}
END_TEST

START_TEST(the_private_numbers_of_a_pair_are_read_likewise)
{
    static const CK_ATTRIBUTE_TYPE rsa_types[] = {CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                                  CKA_PRIME_2,          CKA_EXPONENT_1,
                                                  CKA_EXPONENT_2,       CKA_COEFFICIENT};
    struct template template;
    struct reading reading;
    struct object *object;

    begin_rsa_private(&template);
    with_flag(&template, CKA_SENSITIVE, false);
    with_flag(&template, CKA_EXTRACTABLE, true);
    object = created(&template);
    reading = read_all(object);
    ck_assert_uint_eq(reading.count, object->attribute_count + 6);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert(shows(&reading, rsa_types[i]));
    }
    object_free(object);
    begin_ec_private(&template);
    with_flag(&template, CKA_SENSITIVE, false);
    with_flag(&template, CKA_EXTRACTABLE, true);
    object = created(&template);
    reading = read_all(object);
    ck_assert(shows(&reading, CKA_VALUE));
    object_free(object);
    begin_ec_private(&template);
    object = created(&template);
    reading = read_all(object);
    ck_assert(!shows(&reading, CKA_VALUE));
    ck_assert_uint_eq(reading.count, object->attribute_count);
    object_free(object);
}
END_TEST

static enum qh_err refuse(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    unsigned *count = data;

    (void)type;
    (void)value;
    return ++*count == 3 ? QH_ELIMIT : QH_OK;
}

START_TEST(reading_ends_with_the_visitors_error)
{
    struct template template;
    struct object *object;
    unsigned count = 0;

    begin_aes(&template);
    object = created(&template);
    ck_assert_int_eq(object_read(object, OBJECT_EXPORT_CLEAR, refuse, &count), QH_ELIMIT);
    ck_assert_uint_eq(count, 3);
    object_free(object);
    object_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("object");
    TCase *kinds = tcase_create("kinds");
    TCase *templates = tcase_create("templates");
    TCase *reading = tcase_create("reading");

    tcase_add_unchecked_fixture(kinds, setup_keys, teardown_keys);
    tcase_add_test(kinds, the_table_names_each_attribute_once_for_every_kind_of_object);
    tcase_add_test(kinds, a_data_object_gets_its_defaults);
    tcase_add_test(kinds, each_object_gets_a_unique_id_of_its_own);
    tcase_add_test(kinds, a_unique_id_has_one_form);
    tcase_add_test(kinds, token_and_private_are_told_of_the_object);
    tcase_add_test(kinds, a_secret_key_gets_its_defaults);
    tcase_add_test(kinds, an_rsa_private_key_answers_its_public_numbers);
    tcase_add_test(kinds, an_rsa_private_key_needs_all_chinese_remainder_parts_or_none);
    tcase_add_test(kinds, an_rsa_public_key_gets_its_size_and_info);
    tcase_add_test(kinds, an_ec_private_key_answers_params_and_point);
    tcase_add_test(kinds, an_ec_point_is_taken_raw_too_and_given_as_octet_string);
    tcase_add_test(kinds, an_unknown_curve_is_refused);
    tcase_add_test(kinds, a_certificate_keeps_its_fields_and_gets_a_check_value);
    tcase_add_test(kinds, a_certificate_is_x509_and_not_empty);
    tcase_add_test(kinds, secret_keys_have_the_sizes_of_their_type);
    suite_add_tcase(suite, kinds);
    tcase_add_unchecked_fixture(templates, setup_keys, teardown_keys);
    tcase_add_test(templates, what_is_computed_may_be_named_with_the_value_that_comes_out);
    tcase_add_test(templates, a_check_value_matches_or_is_left_out);
    tcase_add_test(templates, class_and_key_type_are_needed_and_known);
    tcase_add_test(templates, an_attribute_of_another_class_is_refused);
    tcase_add_test(templates, what_only_the_module_knows_cannot_be_named);
    tcase_add_test(templates, trusted_can_be_set_by_nobody);
    tcase_add_test(templates, a_key_that_always_asks_for_the_pin_is_private);
    tcase_add_test(templates, values_are_of_their_kind);
    tcase_add_test(templates, an_attribute_has_one_value_however_often_it_is_named);
    tcase_add_test(templates, templates_have_limits);
    suite_add_tcase(suite, templates);
    tcase_add_unchecked_fixture(reading, setup_keys, teardown_keys);
    tcase_add_test(reading, objects_match_by_the_attributes_that_can_be_read);
    tcase_add_test(reading, material_is_read_only_of_keys_that_allow_it);
    tcase_add_test(reading, the_private_numbers_of_a_pair_are_read_likewise);
    tcase_add_test(reading, reading_ends_with_the_visitors_error);
    suite_add_tcase(suite, reading);
    return test_main(suite);
}
