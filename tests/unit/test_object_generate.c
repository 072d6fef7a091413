/* Keys that are generated: what the templates may say, what is computed, what comes out. */
#include "hsm/object.h"

#include "tests/unit/object_fixture.h"

static const struct attributes nothing = {NULL, 0};

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
}

static void assert_not_generated(CK_MECHANISM_TYPE type, struct attributes template,
                                 struct attributes private_template, enum qh_err err)
{
    struct object *const untouched = (struct object *)(uintptr_t)&p256_params;
    struct object *object = untouched, *private = untouched;
    struct mech_params mechanism = {.type = type};

    ck_assert_str_eq(
        err_name(object_generate(&mechanism, template, private_template, &object, &private)),
        err_name(err));
    ck_assert_ptr_eq(object, untouched);
    ck_assert_ptr_eq(private, untouched);
}

static struct object *generated(CK_MECHANISM_TYPE type, const struct template *template)
{
    struct object *object = NULL, *private = NULL;
    struct mech_params mechanism = {.type = type};

    ck_assert_int_eq(object_generate(&mechanism, all_of(template), nothing, &object, &private),
                     QH_OK);
    ck_assert_ptr_null(private);
    return object;
}

static void generate_pair(CK_MECHANISM_TYPE type, const struct template *template,
                          const struct template *private_template, struct object **ret_public,
                          struct object **ret_private)
{
    struct mech_params mechanism = {.type = type};

    ck_assert_int_eq(object_generate(&mechanism, all_of(template), all_of(private_template),
                                     ret_public, ret_private),
                     QH_OK);
}

static void begin_ec(struct template *template, struct template *private_template)
{
    *template = *private_template = (struct template){.count = 0};
    with(template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
}

START_TEST(an_aes_key_is_local_sensitive_and_never_extractable)
{
    struct template template = {.count = 0};
    struct object *object;
    struct key *key;

    with_ulong(&template, CKA_VALUE_LEN, 32);
    with_flag(&template, CKA_TOKEN, true);
    object = generated(CKM_AES_KEY_GEN, &template);
    ck_assert_uint_eq(object->object_class, CKO_SECRET_KEY);
    ck_assert_uint_eq(object->key_type, CKK_AES);
    ck_assert(object->token);
    ck_assert(object->is_private);
    ck_assert_uint_eq(secret_size(object->material), 32);
    ck_assert_uint_eq(object_ulong(object, CKA_VALUE_LEN, 0), 32);
    ck_assert_uint_eq(object_ulong(object, CKA_KEY_GEN_MECHANISM, 0), CKM_AES_KEY_GEN);
    assert_flag(object, CKA_LOCAL, true);
    assert_flag(object, CKA_SENSITIVE, true);
    assert_flag(object, CKA_ALWAYS_SENSITIVE, true);
    assert_flag(object, CKA_EXTRACTABLE, false);
    assert_flag(object, CKA_NEVER_EXTRACTABLE, true);
    ck_assert_uint_eq(object_attribute(object, CKA_CHECK_VALUE)->value.size, 3);
    ck_assert_int_eq(key_open(CKO_SECRET_KEY, CKK_AES,
                              span(secret_view(object->material), secret_size(object->material)),
                              &key),
                     QH_OK);
    key_free(key);
    object_free(object);
}
END_TEST

START_TEST(a_key_that_was_ever_open_does_not_claim_otherwise)
{
    struct template template = {.count = 0};
    struct object *object;

    with_ulong(&template, CKA_VALUE_LEN, 16);
    with_flag(&template, CKA_SENSITIVE, false);
    with_flag(&template, CKA_EXTRACTABLE, true);
    object = generated(CKM_AES_KEY_GEN, &template);
    assert_flag(object, CKA_ALWAYS_SENSITIVE, false);
    assert_flag(object, CKA_NEVER_EXTRACTABLE, false);
    object_free(object);
}
END_TEST

START_TEST(secret_keys_need_a_size_that_their_type_has)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        CK_ULONG size;
        bool fits;
    } sizes[] = {{CKM_AES_KEY_GEN, 0, false},
                 {CKM_AES_KEY_GEN, 15, false},
                 {CKM_AES_KEY_GEN, 16, true},
                 {CKM_AES_KEY_GEN, 32, true},
                 {CKM_AES_KEY_GEN, 33, false},
                 {CKM_GENERIC_SECRET_KEY_GEN, 0, false},
                 {CKM_GENERIC_SECRET_KEY_GEN, 1, true},
                 {CKM_GENERIC_SECRET_KEY_GEN, KEY_SECRET_SIZE_MAX, true},
                 {CKM_GENERIC_SECRET_KEY_GEN, KEY_SECRET_SIZE_MAX + 1, false},
                 {CKM_GENERIC_SECRET_KEY_GEN, UINT64_MAX, false}};

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct template template = {.count = 0};

        with_ulong(&template, CKA_VALUE_LEN, sizes[i].size);
        if (sizes[i].fits) {
            object_free(generated(sizes[i].type, &template));
        } else {
            assert_not_generated(sizes[i].type, all_of(&template), nothing, QH_EKEYSIZE);
        }
    }
    assert_not_generated(CKM_AES_KEY_GEN, nothing, nothing, QH_EINCOMPLETE);
}
END_TEST

START_TEST(an_ec_pair_belongs_together)
{
    struct template template, private_template;
    struct object *public, *private;
    struct reading reading;

    begin_ec(&template, &private_template);
    with_text(&private_template, CKA_ID, "id");
    generate_pair(CKM_EC_KEY_PAIR_GEN, &template, &private_template, &public, &private);
    ck_assert_uint_eq(public->object_class, CKO_PUBLIC_KEY);
    ck_assert_uint_eq(private->object_class, CKO_PRIVATE_KEY);
    assert_value(public, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    assert_value(private, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    assert_value(private, CKA_EC_POINT, object_attribute(public, CKA_EC_POINT)->value);
    assert_value(private, CKA_PUBLIC_KEY_INFO,
                 object_attribute(public, CKA_PUBLIC_KEY_INFO)->value);
    assert_value(private, CKA_ID, text_span("id"));
    assert_value(public, CKA_ID, text_span(""));
    ck_assert_uint_eq(object_attribute(public, CKA_EC_POINT)->value.base[0], 0x04);
    ck_assert(!public->is_private);
    ck_assert(private->is_private);
    assert_flag(private, CKA_ALWAYS_SENSITIVE, true);
    assert_flag(private, CKA_NEVER_EXTRACTABLE, true);
    assert_flag(public, CKA_LOCAL, true);
    ck_assert_uint_eq(object_ulong(private, CKA_KEY_GEN_MECHANISM, 0), CKM_EC_KEY_PAIR_GEN);
    reading = read_all(private);
    ck_assert(!shows(&reading, CKA_VALUE));
    object_free(public);
    object_free(private);
}
END_TEST

START_TEST(edwards_params_are_given_back_as_they_were_asked_for)
{
    struct bytes params = span(edwards_name, sizeof edwards_name - 1);
    struct template template = {.count = 0}, private_template = {.count = 0};
    struct object *public, *private;

    with(&template, CKA_EC_PARAMS, params);
    generate_pair(CKM_EC_EDWARDS_KEY_PAIR_GEN, &template, &private_template, &public, &private);
    ck_assert_uint_eq(private->key_type, CKK_EC_EDWARDS);
    assert_value(public, CKA_EC_PARAMS, params);
    assert_value(private, CKA_EC_PARAMS, params);
    object_free(public);
    object_free(private);
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), nothing, QH_ECURVE);
}
END_TEST

START_TEST(an_rsa_pair_has_the_size_and_exponent_asked_for)
{
    struct template template = {.count = 0}, private_template = {.count = 0};
    struct object *public, *private;

    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MIN);
    generate_pair(CKM_RSA_PKCS_KEY_PAIR_GEN, &template, &private_template, &public, &private);
    ck_assert_uint_eq(object_ulong(public, CKA_MODULUS_BITS, 0), KEY_RSA_BITS_MIN);
    ck_assert_uint_eq(object_attribute(public, CKA_MODULUS)->value.size, KEY_RSA_BITS_MIN / 8);
    assert_value(public, CKA_PUBLIC_EXPONENT, span("\1\0\1", 3));
    assert_value(private, CKA_MODULUS, object_attribute(public, CKA_MODULUS)->value);
    assert_value(private, CKA_PUBLIC_EXPONENT, span("\1\0\1", 3));
    ck_assert_ptr_null(object_attribute(private, CKA_MODULUS_BITS));
    object_free(public);
    object_free(private);
}
END_TEST

START_TEST(rsa_sizes_and_exponents_have_limits)
{
    struct template template = {.count = 0};

    assert_not_generated(CKM_RSA_PKCS_KEY_PAIR_GEN, nothing, nothing, QH_EINCOMPLETE);
    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MIN - 1);
    assert_not_generated(CKM_RSA_PKCS_KEY_PAIR_GEN, all_of(&template), nothing, QH_EKEYSIZE);
    template = (struct template){.count = 0};
    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MAX + 1);
    assert_not_generated(CKM_RSA_PKCS_KEY_PAIR_GEN, all_of(&template), nothing, QH_EKEYSIZE);
    template = (struct template){.count = 0};
    with_ulong(&template, CKA_MODULUS_BITS, (1ull << 32) + 2048);
    assert_not_generated(CKM_RSA_PKCS_KEY_PAIR_GEN, all_of(&template), nothing, QH_EKEYSIZE);
    template.count = template.number_count = 0;
    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MIN);
    with_text(&template, CKA_PUBLIC_EXPONENT, "\3");
    assert_not_generated(CKM_RSA_PKCS_KEY_PAIR_GEN, all_of(&template), nothing, QH_EATTRVALUE);
}
END_TEST

START_TEST(templates_may_name_class_and_type_but_no_other_ones)
{
    struct template template, private_template;
    struct object *public, *private;

    begin_ec(&template, &private_template);
    with_ulong(&template, CKA_CLASS, CKO_PUBLIC_KEY);
    with_ulong(&template, CKA_KEY_TYPE, CKK_EC);
    with_ulong(&private_template, CKA_CLASS, CKO_PRIVATE_KEY);
    with_ulong(&private_template, CKA_KEY_TYPE, CKK_EC);
    generate_pair(CKM_EC_KEY_PAIR_GEN, &template, &private_template, &public, &private);
    object_free(public);
    object_free(private);
    begin_ec(&template, &private_template);
    with_ulong(&template, CKA_CLASS, CKO_PRIVATE_KEY);
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), nothing, QH_ETEMPLATE);
    begin_ec(&template, &private_template);
    with_ulong(&private_template, CKA_KEY_TYPE, CKK_RSA);
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), all_of(&private_template),
                         QH_ETEMPLATE);
}
END_TEST

START_TEST(what_comes_out_of_generating_cannot_be_named)
{
    struct template template, private_template;

    begin_ec(&template, &private_template);
    with_text(&template, CKA_EC_POINT, "point");
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), nothing, QH_EREADONLY);
    begin_ec(&template, &private_template);
    with_text(&private_template, CKA_VALUE, "value");
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), all_of(&private_template),
                         QH_EREADONLY);
    begin_ec(&template, &private_template);
    with_flag(&private_template, CKA_LOCAL, true);
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), all_of(&private_template),
                         QH_EREADONLY);
    begin_ec(&template, &private_template);
    with_flag(&private_template, CKA_VERIFY, true);
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), all_of(&private_template),
                         QH_ETEMPLATE);
}
END_TEST

START_TEST(both_templates_are_checked_for_duplicates)
{
    struct template template, private_template;

    begin_ec(&template, &private_template);
    with_text(&private_template, CKA_ID, "id");
    with_text(&private_template, CKA_ID, "another");
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), all_of(&private_template),
                         QH_ETEMPLATE);
    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params - 1));
    assert_not_generated(CKM_EC_KEY_PAIR_GEN, all_of(&template), nothing, QH_ETEMPLATE);
}
END_TEST

START_TEST(a_secret_key_has_no_private_template)
{
    struct template template = {.count = 0};

    with_ulong(&template, CKA_VALUE_LEN, 32);
    assert_not_generated(CKM_AES_KEY_GEN, all_of(&template), all_of(&template), QH_ETEMPLATE);
}
END_TEST

START_TEST(other_mechanisms_and_parameters_are_refused)
{
    struct mech_params mechanism = {.type = CKM_AES_KEY_GEN, .iv = {p256_params, 4}};
    struct object *object = NULL, *private = NULL;
    struct template template = {.count = 0};

    assert_not_generated(CKM_AES_GCM, nothing, nothing, QH_EMECHANISM);
    assert_not_generated(CKM_DES3_KEY_GEN, nothing, nothing, QH_EMECHANISM);
    with_ulong(&template, CKA_VALUE_LEN, 32);
    ck_assert_int_eq(object_generate(&mechanism, all_of(&template), nothing, &object, &private),
                     QH_EPARAMETER);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("object_generate");
    TCase *tcase = tcase_create("generate");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, an_aes_key_is_local_sensitive_and_never_extractable);
    tcase_add_test(tcase, a_key_that_was_ever_open_does_not_claim_otherwise);
    tcase_add_test(tcase, secret_keys_need_a_size_that_their_type_has);
    tcase_add_test(tcase, an_ec_pair_belongs_together);
    tcase_add_test(tcase, edwards_params_are_given_back_as_they_were_asked_for);
    tcase_add_test(tcase, an_rsa_pair_has_the_size_and_exponent_asked_for);
    tcase_add_test(tcase, rsa_sizes_and_exponents_have_limits);
    tcase_add_test(tcase, templates_may_name_class_and_type_but_no_other_ones);
    tcase_add_test(tcase, what_comes_out_of_generating_cannot_be_named);
    tcase_add_test(tcase, both_templates_are_checked_for_duplicates);
    tcase_add_test(tcase, a_secret_key_has_no_private_template);
    tcase_add_test(tcase, other_mechanisms_and_parameters_are_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
