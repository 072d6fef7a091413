/* Objects of keys under keys: what may be wrapped, and what unwrapped and derived keys are like. */
#include "hsm/object.h"

#include "tests/unit/object_fixture.h"

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
}

static struct object *aes(CK_ATTRIBUTE_TYPE type, bool flag)
{
    struct template template;

    begin_aes(&template);
    with_flag(&template, CKA_EXTRACTABLE, true);
    if (type != CKA_EXTRACTABLE) {
        with_flag(&template, type, flag);
    } else {
        template.list[template.count - 1].value = span(flag ? "\1" : "\0", 1);
    }
    return created(&template);
}

static struct object *ec_private(void)
{
    struct mech_params mechanism = {.type = CKM_EC_KEY_PAIR_GEN};
    struct template template = {.count = 0}, extractable = {.count = 0};
    struct object *public, *private;

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with_flag(&extractable, CKA_EXTRACTABLE, true);
    ck_assert_int_eq(
        object_generate(&mechanism, all_of(&template), all_of(&extractable), &public, &private),
        QH_OK);
    object_free(public);
    return private;
}

static void assert_may_wrap(const struct object *wrapping, const struct object *key,
                            CK_MECHANISM_TYPE type, enum qh_err err)
{
    struct mech_params mechanism = {.type = type};

    ck_assert_str_eq(err_name(object_may_wrap(wrapping, key, &mechanism)), err_name(err));
}

START_TEST(a_key_is_wrapped_if_it_is_extractable)
{
    struct object *open = aes(CKA_EXTRACTABLE, true), *closed = aes(CKA_EXTRACTABLE, false);

    assert_may_wrap(closed, open, CKM_AES_KEY_WRAP, QH_OK);
    assert_may_wrap(open, closed, CKM_AES_KEY_WRAP, QH_EUNEXTRACTABLE);
    object_free(open);
    object_free(closed);
}
END_TEST

START_TEST(what_asks_for_trust_is_wrapped_by_a_trusted_key_alone)
{
    struct object *key = aes(CKA_WRAP_WITH_TRUSTED, true), *wrapping = aes(CKA_PRIVATE, false);
    struct template trust = {.count = 0};
    struct object *trusted;

    with_flag(&trust, CKA_TRUSTED, true);
    ck_assert_int_eq(object_change_as(wrapping, all_of(&trust), true, &trusted), QH_OK);
    assert_may_wrap(wrapping, key, CKM_AES_KEY_WRAP, QH_ENOTWRAPPABLE);
    assert_may_wrap(trusted, key, CKM_AES_KEY_WRAP, QH_OK);
    object_free(key);
    object_free(wrapping);
    object_free(trusted);
}
END_TEST

/* With an IV of one's choice, a known key that is wrapped with it too tells the key stream. */
START_TEST(what_asks_for_trust_is_not_wrapped_by_a_stream)
{
    struct object *key = aes(CKA_WRAP_WITH_TRUSTED, true), *wrapping = aes(CKA_PRIVATE, false);
    struct template trust = {.count = 0};
    struct object *trusted;

    with_flag(&trust, CKA_TRUSTED, true);
    ck_assert_int_eq(object_change_as(wrapping, all_of(&trust), true, &trusted), QH_OK);
    assert_may_wrap(trusted, key, CKM_AES_GCM, QH_ENOTWRAPPABLE);
    assert_may_wrap(trusted, key, CKM_AES_KEY_WRAP_KWP, QH_OK);
    assert_may_wrap(trusted, wrapping, CKM_AES_GCM, QH_OK);
    object_free(key);
    object_free(wrapping);
    object_free(trusted);
}
END_TEST

START_TEST(classes_and_mechanisms_go_together)
{
    struct object *wrapping = aes(CKA_TOKEN, true), *private = ec_private(), *data;
    struct template template;

    begin_data(&template, "label");
    data = created(&template);
    assert_may_wrap(wrapping, data, CKM_AES_KEY_WRAP, QH_ENOTWRAPPABLE);
    assert_may_wrap(wrapping, private, CKM_AES_KEY_WRAP_KWP, QH_OK);
    assert_may_wrap(wrapping, private, CKM_AES_CBC_PAD, QH_OK);
    assert_may_wrap(wrapping, private, CKM_RSA_AES_KEY_WRAP, QH_OK);
    assert_may_wrap(wrapping, private, CKM_RSA_PKCS, QH_ENOTWRAPPABLE);
    assert_may_wrap(wrapping, private, CKM_RSA_PKCS_OAEP, QH_ENOTWRAPPABLE);
    assert_may_wrap(wrapping, private, CKM_AES_CBC, QH_ENOTWRAPPABLE);
    assert_may_wrap(wrapping, wrapping, CKM_RSA_PKCS, QH_OK);
    object_free(wrapping);
    object_free(private);
    object_free(data);
}
END_TEST

/* ---- unwrap ---- */

static struct bytes bytes_16(void)
{
    return text_span("sixteen bytes!!!");
}

static void begin_unwrap(struct template *template, CK_KEY_TYPE key_type)
{
    begin(template, CKO_SECRET_KEY, key_type);
}

static void assert_unwraps(struct bytes material, const struct template *template, enum qh_err err)
{
    struct object *object = NULL;

    ck_assert_str_eq(err_name(object_unwrap(material, all_of(template), &object)), err_name(err));
    object_free(object);
}

START_TEST(an_unwrapped_key_has_a_past_outside)
{
    struct template template;
    struct object *object;

    begin_unwrap(&template, CKK_AES);
    ck_assert_int_eq(object_unwrap(bytes_16(), all_of(&template), &object), QH_OK);
    assert_flag(object, CKA_LOCAL, false);
    assert_flag(object, CKA_ALWAYS_SENSITIVE, false);
    assert_flag(object, CKA_NEVER_EXTRACTABLE, false);
    assert_flag(object, CKA_SENSITIVE, true);
    assert_flag(object, CKA_EXTRACTABLE, true);
    ck_assert_uint_eq(object_ulong(object, CKA_VALUE_LEN, 0), 16);
    ck_assert_uint_eq(object_ulong(object, CKA_KEY_GEN_MECHANISM, 0), CK_UNAVAILABLE_INFORMATION);
    ck_assert_uint_eq(object_attribute(object, CKA_CHECK_VALUE)->value.size, 3);
    object_free(object);
}
END_TEST

START_TEST(an_unwrapped_key_may_leave_unless_the_template_says_otherwise)
{
    struct template template;
    struct object *object;

    begin_unwrap(&template, CKK_AES);
    with_flag(&template, CKA_EXTRACTABLE, false);
    ck_assert_int_eq(object_unwrap(bytes_16(), all_of(&template), &object), QH_OK);
    assert_flag(object, CKA_EXTRACTABLE, false);
    assert_flag(object, CKA_NEVER_EXTRACTABLE, false);
    object_free(object);
    begin_unwrap(&template, CKK_AES);
    ck_assert_int_eq(object_unwrap(bytes_16(), all_of(&template), &object), QH_OK);
    assert_flag(object, CKA_EXTRACTABLE, true);
    object_free(object);
}
END_TEST

START_TEST(a_template_says_what_comes_out)
{
    struct template template = {.count = 0};

    assert_unwraps(bytes_16(), &template, QH_EINCOMPLETE);
    with_ulong(&template, CKA_CLASS, CKO_SECRET_KEY);
    assert_unwraps(bytes_16(), &template, QH_EINCOMPLETE);
    begin(&template, CKO_PUBLIC_KEY, CKK_RSA);
    assert_unwraps(bytes_16(), &template, QH_ETEMPLATE);
    begin(&template, CKO_DATA, CK_UNAVAILABLE_INFORMATION);
    assert_unwraps(bytes_16(), &template, QH_ETEMPLATE);
    begin(&template, CKO_SECRET_KEY, CKK_RSA);
    assert_unwraps(bytes_16(), &template, QH_EATTRVALUE);
    begin_unwrap(&template, CKK_GENERIC_SECRET);
    with_text(&template, CKA_VALUE, "sixteen bytes!!!");
    assert_unwraps(bytes_16(), &template, QH_EREADONLY);
    begin_unwrap(&template, CKK_GENERIC_SECRET);
    with_flag(&template, CKA_TRUSTED, true);
    assert_unwraps(bytes_16(), &template, QH_EREADONLY);
    begin_unwrap(&template, CKK_GENERIC_SECRET);
    with_text(&template, CKA_VENDOR_DEFINED | 1, "");
    assert_unwraps(bytes_16(), &template, QH_EATTRIBUTE);
    begin_unwrap(&template, CKK_GENERIC_SECRET);
    with_text(&template, CKA_CHECK_VALUE, "abc");
    assert_unwraps(bytes_16(), &template, QH_EATTRVALUE);
}
END_TEST

START_TEST(the_size_is_what_the_type_and_the_template_say)
{
    struct template template;

    begin_unwrap(&template, CKK_AES);
    assert_unwraps(span("sixteen bytes!!!", 15), &template, QH_EWRAPPED);
    assert_unwraps(span("sixteen bytes!!!", 16), &template, QH_OK);
    with_ulong(&template, CKA_VALUE_LEN, 16);
    assert_unwraps(bytes_16(), &template, QH_OK);
    without(&template, CKA_VALUE_LEN);
    with_ulong(&template, CKA_VALUE_LEN, 32);
    assert_unwraps(bytes_16(), &template, QH_ETEMPLATE);
    begin_unwrap(&template, CKK_SHA256_HMAC);
    assert_unwraps(span("x", 1), &template, QH_OK);
    begin_unwrap(&template, CKK_HKDF);
    assert_unwraps(bytes_16(), &template, QH_OK);
}
END_TEST

START_TEST(a_private_key_is_unwrapped_as_what_it_is)
{
    struct object *private = ec_private(), *object;
    struct bytes pkcs8 = {secret_view(private->material), secret_size(private->material)};
    struct template template;

    begin(&template, CKO_PRIVATE_KEY, CKK_EC);
    ck_assert_int_eq(object_unwrap(pkcs8, all_of(&template), &object), QH_OK);
    assert_value(object, CKA_EC_POINT, object_attribute(private, CKA_EC_POINT)->value);
    assert_value(object, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    assert_flag(object, CKA_LOCAL, false);
    object_free(object);
    with(&template, CKA_PUBLIC_KEY_INFO, object_attribute(private, CKA_PUBLIC_KEY_INFO)->value);
    assert_unwraps(pkcs8, &template, QH_OK);
    without(&template, CKA_PUBLIC_KEY_INFO);
    with_text(&template, CKA_PUBLIC_KEY_INFO, "another");
    assert_unwraps(pkcs8, &template, QH_EATTRVALUE);
    begin(&template, CKO_PRIVATE_KEY, CKK_RSA);
    assert_unwraps(pkcs8, &template, QH_EWRAPPED);
    begin(&template, CKO_PRIVATE_KEY, CKK_EC_EDWARDS);
    assert_unwraps(pkcs8, &template, QH_EWRAPPED);
    begin(&template, CKO_PRIVATE_KEY, CKK_EC);
    assert_unwraps(span(pkcs8.base, pkcs8.size - 1), &template, QH_EWRAPPED);
    begin_unwrap(&template, CKK_GENERIC_SECRET);
    assert_unwraps(pkcs8, &template, QH_EWRAPPED);
    object_free(private);
}
END_TEST

START_TEST(templates_are_refused_before_there_is_material)
{
    struct mech_params pkcs = {.type = CKM_RSA_PKCS}, kwp = {.type = CKM_AES_KEY_WRAP_KWP};
    struct template template;

    begin(&template, CKO_PRIVATE_KEY, CKK_EC);
    ck_assert_int_eq(object_unwrap_check(&pkcs, all_of(&template)), QH_ETEMPLATE);
    ck_assert_int_eq(object_unwrap_check(&kwp, all_of(&template)), QH_OK);
    with_text(&template, CKA_VALUE, "");
    ck_assert_int_eq(object_unwrap_check(&kwp, all_of(&template)), QH_EREADONLY);
}
END_TEST

/* ---- derive ---- */

static struct object *derived(bool always_sensitive, bool never_extractable,
                              const struct template *template)
{
    struct object_history history = {always_sensitive, never_extractable};
    struct object *object = NULL;

    ck_assert_int_eq(object_derive(history, bytes_16(), all_of(template), &object), QH_OK);
    return object;
}

START_TEST(the_past_of_a_derived_key_is_the_base_key_s)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        bool always = bits & 1, never = bits & 2, sensitive = bits & 4, extractable = bits & 8;
        struct template template = {.count = 0};
        struct object *object;

        with_flag(&template, CKA_SENSITIVE, sensitive);
        with_flag(&template, CKA_EXTRACTABLE, extractable);
        object = derived(always, never, &template);
        assert_flag(object, CKA_ALWAYS_SENSITIVE, always && sensitive);
        assert_flag(object, CKA_NEVER_EXTRACTABLE, never && !extractable);
        assert_flag(object, CKA_LOCAL, false);
        object_free(object);
    }
}
END_TEST

START_TEST(a_derived_key_is_a_generic_secret_unless_the_template_says)
{
    struct template template = {.count = 0};
    struct object *object = derived(true, true, &template);

    ck_assert_uint_eq(object->key_type, CKK_GENERIC_SECRET);
    ck_assert_uint_eq(object->object_class, CKO_SECRET_KEY);
    assert_flag(object, CKA_ALWAYS_SENSITIVE, true);
    assert_flag(object, CKA_NEVER_EXTRACTABLE, true);
    object_free(object);
    with_ulong(&template, CKA_KEY_TYPE, CKK_AES);
    object = derived(true, true, &template);
    ck_assert_uint_eq(object->key_type, CKK_AES);
    object_free(object);
}
END_TEST

static void assert_size(const struct template *template, enum qh_err err, size_t expected)
{
    size_t size = 99;

    ck_assert_str_eq(err_name(object_derive_size(all_of(template), &size)), err_name(err));
    ck_assert_uint_eq(size, expected);
}

START_TEST(the_template_says_how_much_to_derive)
{
    struct template template = {.count = 0};

    assert_size(&template, QH_OK, 0);
    with_ulong(&template, CKA_VALUE_LEN, KEY_SECRET_SIZE_MAX);
    assert_size(&template, QH_OK, KEY_SECRET_SIZE_MAX);
    template.count = 0;
    with_ulong(&template, CKA_VALUE_LEN, KEY_SECRET_SIZE_MAX + 1);
    assert_size(&template, QH_EKEYSIZE, 99);
    template.count = 0;
    with_ulong(&template, CKA_VALUE_LEN, 0);
    assert_size(&template, QH_EKEYSIZE, 99);
    begin(&template, CKO_SECRET_KEY, CKK_AES);
    assert_size(&template, QH_EINCOMPLETE, 99);
    begin(&template, CKO_PRIVATE_KEY, CKK_EC);
    assert_size(&template, QH_ETEMPLATE, 99);
    begin(&template, CKO_SECRET_KEY, CKK_EC);
    assert_size(&template, QH_EATTRVALUE, 99);
}
END_TEST

/* ---- what is new in the tables ---- */

START_TEST(montgomery_pairs_and_hkdf_keys_are_generated)
{
    static const uint8_t name[] = "\x13\x0a"
                                  "curve25519";
    struct mech_params montgomery = {.type = CKM_EC_MONTGOMERY_KEY_PAIR_GEN};
    struct mech_params hkdf = {.type = CKM_HKDF_KEY_GEN};
    struct template template = {.count = 0};
    struct object *one = NULL, *two = NULL;

    with(&template, CKA_EC_PARAMS, span(name, sizeof name - 1));
    ck_assert_int_eq(
        object_generate(&montgomery, all_of(&template), (struct attributes){NULL, 0}, &one, &two),
        QH_OK);
    ck_assert_uint_eq(two->key_type, CKK_EC_MONTGOMERY);
    assert_value(two, CKA_EC_PARAMS, span(name, sizeof name - 1));
    object_free(one);
    object_free(two);
    template.count = 0;
    two = NULL;
    with_ulong(&template, CKA_VALUE_LEN, 32);
    ck_assert_int_eq(
        object_generate(&hkdf, all_of(&template), (struct attributes){NULL, 0}, &one, &two), QH_OK);
    ck_assert_uint_eq(one->key_type, CKK_HKDF);
    object_free(one);
}
END_TEST

START_TEST(a_certificate_may_be_elsewhere)
{
    struct template template;
    struct object *object;

    begin_certificate(&template);
    without(&template, CKA_VALUE);
    with_text(&template, CKA_VALUE, "");
    assert_refused(&template, QH_EATTRVALUE);
    with_text(&template, CKA_URL, "https://example.org/certificate");
    assert_refused(&template, QH_EATTRVALUE);
    with_text(&template, CKA_HASH_OF_SUBJECT_PUBLIC_KEY, "hash");
    with_text(&template, CKA_HASH_OF_ISSUER_PUBLIC_KEY, "hash");
    object = created(&template);
    ck_assert_uint_eq(object_ulong(object, CKA_JAVA_MIDP_SECURITY_DOMAIN, 9), 0);
    ck_assert_ptr_null(object_attribute(object, CKA_NAME_HASH_ALGORITHM)); /* it is SHA-1 */
    ck_assert_ptr_null(object_attribute(object, CKA_CHECK_VALUE));
    object_free(object);
    with_ulong(&template, CKA_NAME_HASH_ALGORITHM, CKM_SHA256);
    object_free(created(&template));
    without(&template, CKA_NAME_HASH_ALGORITHM);
    with_ulong(&template, CKA_NAME_HASH_ALGORITHM, CKM_RSA_PKCS);
    assert_refused(&template, QH_EATTRVALUE);
    without(&template, CKA_NAME_HASH_ALGORITHM);
    with_text(&template, CKA_CHECK_VALUE, "abc");
    assert_refused(&template, QH_EATTRVALUE);
    without(&template, CKA_CHECK_VALUE);
    with_text(&template, CKA_CHECK_VALUE, "");
    object = created(&template);
    ck_assert_ptr_null(object_attribute(object, CKA_CHECK_VALUE));
    object_free(object);
    without(&template, CKA_CHECK_VALUE);
    with_ulong(&template, CKA_JAVA_MIDP_SECURITY_DOMAIN, 4);
    assert_refused(&template, QH_EATTRVALUE);
    /* What is here and there has the hashes, too. */
    begin_certificate(&template);
    with_text(&template, CKA_URL, "https://example.org/certificate");
    with_text(&template, CKA_HASH_OF_SUBJECT_PUBLIC_KEY, "hash");
    assert_refused(&template, QH_EATTRVALUE);
    with_text(&template, CKA_HASH_OF_ISSUER_PUBLIC_KEY, "hash");
    object_free(created(&template));
}
END_TEST

START_TEST(an_officer_s_trust_is_for_what_is_not_private)
{
    struct object *object = NULL;
    struct template template;

    begin_certificate(&template);
    with_flag(&template, CKA_TRUSTED, true);
    assert_refused(&template, QH_EREADONLY);
    ck_assert_int_eq(object_create_as(all_of(&template), true, &object), QH_OK);
    object_free(object);
    begin_aes(&template);
    with_flag(&template, CKA_TRUSTED, true);
    ck_assert_int_eq(object_create_as(all_of(&template), true, &object), QH_EREADONLY);
    with_flag(&template, CKA_PRIVATE, false);
    ck_assert_int_eq(object_create_as(all_of(&template), true, &object), QH_OK);
    object_free(object);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *group = tcase_create(name);

    tcase_add_checked_fixture(group, setup, NULL);
    suite_add_tcase(suite, group);
    return group;
}

int main(void)
{
    Suite *suite = suite_create("object_underkey");
    TCase *group = add_case(suite, "wrap");

    tcase_add_test(group, a_key_is_wrapped_if_it_is_extractable);
    tcase_add_test(group, what_asks_for_trust_is_wrapped_by_a_trusted_key_alone);
    tcase_add_test(group, what_asks_for_trust_is_not_wrapped_by_a_stream);
    tcase_add_test(group, classes_and_mechanisms_go_together);
    group = add_case(suite, "unwrap");
    tcase_add_test(group, an_unwrapped_key_has_a_past_outside);
    tcase_add_test(group, an_unwrapped_key_may_leave_unless_the_template_says_otherwise);
    tcase_add_test(group, a_template_says_what_comes_out);
    tcase_add_test(group, the_size_is_what_the_type_and_the_template_say);
    tcase_add_test(group, a_private_key_is_unwrapped_as_what_it_is);
    tcase_add_test(group, templates_are_refused_before_there_is_material);
    group = add_case(suite, "derive");
    tcase_add_test(group, the_past_of_a_derived_key_is_the_base_key_s);
    tcase_add_test(group, a_derived_key_is_a_generic_secret_unless_the_template_says);
    tcase_add_test(group, the_template_says_how_much_to_derive);
    group = add_case(suite, "tables");
    tcase_add_test(group, montgomery_pairs_and_hkdf_keys_are_generated);
    tcase_add_test(group, a_certificate_may_be_elsewhere);
    tcase_add_test(group, an_officer_s_trust_is_for_what_is_not_private);
    return test_main(suite);
}
