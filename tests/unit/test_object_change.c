/* Objects that are changed and copied: what may become what, and what stays. */
#include "hsm/object.h"

#include "tests/unit/object_fixture.h"

typedef enum qh_err (*change_call)(const struct object *object, struct attributes changes,
                                   struct object **ret_object);

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
}

static struct object *aes(CK_ATTRIBUTE_TYPE type, bool flag)
{
    struct template template;

    begin_aes(&template);
    with_flag(&template, type, flag);
    return created(&template);
}

static struct object *changed(change_call call, const struct object *object,
                              const struct template *changes)
{
    struct object *result = NULL;

    ck_assert_int_eq(call(object, all_of(changes), &result), QH_OK);
    return result;
}

static void assert_not_changed(change_call call, const struct object *object,
                               const struct template *changes, enum qh_err err)
{
    struct object *const untouched = (struct object *)(uintptr_t)&p256_params;
    struct object *result = untouched;

    ck_assert_str_eq(err_name(call(object, all_of(changes), &result)), err_name(err));
    ck_assert_ptr_eq(result, untouched);
}

/* From @from to @to: is it allowed? */
static void assert_flag_change(change_call call, CK_ATTRIBUTE_TYPE type, bool from, bool to,
                               bool allowed)
{
    struct template changes = {.count = 0};
    struct object *object = aes(type, from);

    with_flag(&changes, type, to);
    if (allowed) {
        struct object *result = changed(call, object, &changes);

        assert_flag(result, type, to);
        object_free(result);
    } else {
        assert_not_changed(call, object, &changes, QH_EREADONLY);
    }
    object_free(object);
}

START_TEST(id_label_and_dates_can_be_changed)
{
    struct template changes = {.count = 0};
    struct object *object = aes(CKA_TOKEN, true), *result;

    with_text(&changes, CKA_ID, "new id");
    with_text(&changes, CKA_LABEL, "new label");
    with_text(&changes, CKA_END_DATE, "20301231");
    result = changed(object_change, object, &changes);
    assert_value(result, CKA_ID, text_span("new id"));
    assert_value(result, CKA_LABEL, text_span("new label"));
    assert_value(result, CKA_END_DATE, text_span("20301231"));
    assert_value(result, CKA_UNIQUE_ID, object_attribute(object, CKA_UNIQUE_ID)->value);
    ck_assert_uint_eq(result->attribute_count, object->attribute_count);
    ck_assert(secret_equal(result->material, object->material));
    ck_assert(result->token);
    assert_value(object, CKA_ID, text_span(""));
    object_free(result);
    object_free(object);
}
END_TEST

START_TEST(nothing_changed_is_the_same_object)
{
    struct template changes = {.count = 0};
    struct object *object = aes(CKA_TOKEN, true);
    struct object *result = changed(object_change, object, &changes);

    assert_same(result, object);
    object_free(result);
    object_free(object);
}
END_TEST

START_TEST(sensitive_is_never_set_back)
{
    static const change_call calls[] = {object_change, object_copy};

    for (int i = 0; i < 2; i++) {
        assert_flag_change(calls[i], CKA_SENSITIVE, true, false, false);
        assert_flag_change(calls[i], CKA_SENSITIVE, true, true, true);
        assert_flag_change(calls[i], CKA_SENSITIVE, false, true, true);
        assert_flag_change(calls[i], CKA_SENSITIVE, false, false, true);
        assert_flag_change(calls[i], CKA_WRAP_WITH_TRUSTED, true, false, false);
        assert_flag_change(calls[i], CKA_WRAP_WITH_TRUSTED, false, true, true);
    }
}
END_TEST

START_TEST(extractable_is_never_set_again)
{
    static const change_call calls[] = {object_change, object_copy};

    for (int i = 0; i < 2; i++) {
        assert_flag_change(calls[i], CKA_EXTRACTABLE, false, true, false);
        assert_flag_change(calls[i], CKA_EXTRACTABLE, false, false, true);
        assert_flag_change(calls[i], CKA_EXTRACTABLE, true, false, true);
        assert_flag_change(calls[i], CKA_EXTRACTABLE, true, true, true);
    }
    assert_flag_change(object_change, CKA_COPYABLE, true, false, true);
    assert_flag_change(object_change, CKA_COPYABLE, false, true, false);
}
END_TEST

START_TEST(usage_can_be_changed_both_ways)
{
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_SIGN, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT,
                                              CKA_WRAP, CKA_UNWRAP, CKA_DERIVE};

    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_flag_change(object_change, types[i], true, false, true);
        assert_flag_change(object_change, types[i], false, true, true);
    }
}
END_TEST

START_TEST(some_attributes_change_in_a_copy_alone)
{
    static const CK_ATTRIBUTE_TYPE types[] = {CKA_TOKEN, CKA_MODIFIABLE, CKA_DESTROYABLE};

    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        assert_flag_change(object_change, types[i], true, false, false);
        assert_flag_change(object_copy, types[i], true, false, true);
        assert_flag_change(object_copy, types[i], false, true, types[i] != CKA_MODIFIABLE);
    }
    assert_flag_change(object_change, CKA_PRIVATE, false, true, false);
    assert_flag_change(object_copy, CKA_PRIVATE, false, true, true);
}
END_TEST

START_TEST(a_copy_does_not_show_what_was_private)
{
    struct template changes = {.count = 0};
    struct object *object = aes(CKA_PRIVATE, true);

    with_flag(&changes, CKA_PRIVATE, false);
    assert_not_changed(object_copy, object, &changes, QH_ETEMPLATE);
    object_free(object);
}
END_TEST

START_TEST(what_is_not_modifiable_is_copied_but_not_changed)
{
    struct template changes = {.count = 0};
    struct object *object = aes(CKA_MODIFIABLE, false), *result;

    with_text(&changes, CKA_LABEL, "label");
    assert_not_changed(object_change, object, &changes, QH_EREADONLY);
    result = changed(object_copy, object, &changes);
    assert_value(result, CKA_LABEL, text_span("label"));
    object_free(result);
    object_free(object);
}
END_TEST

/* Else that would be a way to change it. */
START_TEST(a_copy_of_what_is_not_modifiable_is_used_for_no_more)
{
    static const CK_ATTRIBUTE_TYPE uses[] = {CKA_SIGN, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP,
                                             CKA_DERIVE};
    struct object *object, *result;
    struct template template;

    begin_aes(&template);
    with_flag(&template, CKA_MODIFIABLE, false);
    with_flag(&template, CKA_SIGN, false);
    with_flag(&template, CKA_DECRYPT, false);
    object = created(&template);
    for (unsigned i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        struct template changes = {.count = 0};

        with_flag(&changes, uses[i], true);
        assert_not_changed(object_copy, object, &changes, QH_EREADONLY);
    }
    template.count = 0;
    with_flag(&template, CKA_ENCRYPT, false);
    with_flag(&template, CKA_TOKEN, true);
    with_flag(&template, CKA_DESTROYABLE, false);
    with_flag(&template, CKA_WRAP_WITH_TRUSTED, true);
    result = changed(object_copy, object, &template);
    assert_flag(result, CKA_MODIFIABLE, false);
    assert_flag(result, CKA_ENCRYPT, false);
    object_free(result);
    object_free(object);
}
END_TEST

START_TEST(what_is_not_copyable_is_changed_but_not_copied)
{
    struct template changes = {.count = 0};
    struct object *object = aes(CKA_COPYABLE, false), *result;

    assert_not_changed(object_copy, object, &changes, QH_EREADONLY);
    with_text(&changes, CKA_LABEL, "label");
    result = changed(object_change, object, &changes);
    assert_value(result, CKA_LABEL, text_span("label"));
    object_free(result);
    object_free(object);
}
END_TEST

START_TEST(a_copy_has_the_material_and_an_id_of_its_own)
{
    struct template changes = {.count = 0};
    struct object *object = aes(CKA_TOKEN, true);
    struct object *copy = changed(object_copy, object, &changes);

    ck_assert(secret_equal(copy->material, object->material));
    ck_assert_int_ne(bytes_compare(object_attribute(copy, CKA_UNIQUE_ID)->value,
                                   object_attribute(object, CKA_UNIQUE_ID)->value),
                     0);
    assert_value(copy, CKA_CHECK_VALUE, object_attribute(object, CKA_CHECK_VALUE)->value);
    object_free(copy);
    object_free(object);
}
END_TEST

START_TEST(the_past_of_a_key_stays)
{
    struct template template = {.count = 0}, changes = {.count = 0};
    struct mech_params mechanism = {.type = CKM_AES_KEY_GEN};
    struct object *object = NULL, *none = NULL, *result;

    with_ulong(&template, CKA_VALUE_LEN, 32);
    with_flag(&template, CKA_SENSITIVE, false);
    with_flag(&template, CKA_EXTRACTABLE, true);
    ck_assert_int_eq(object_generate(&mechanism, all_of(&template), (struct attributes){NULL, 0},
                                     &object, &none),
                     QH_OK);
    with_flag(&changes, CKA_SENSITIVE, true);
    with_flag(&changes, CKA_EXTRACTABLE, false);
    result = changed(object_copy, object, &changes);
    assert_flag(result, CKA_SENSITIVE, true);
    assert_flag(result, CKA_ALWAYS_SENSITIVE, false);
    assert_flag(result, CKA_EXTRACTABLE, false);
    assert_flag(result, CKA_NEVER_EXTRACTABLE, false);
    assert_flag(result, CKA_LOCAL, true);
    ck_assert_uint_eq(object_ulong(result, CKA_KEY_GEN_MECHANISM, 0), CKM_AES_KEY_GEN);
    object_free(result);
    object_free(object);
}
END_TEST

START_TEST(a_check_value_can_be_taken_away_and_not_be_given)
{
    static const change_call calls[] = {object_change, object_copy};
    struct object *object = aes(CKA_TOKEN, true), *result;

    for (int c = 0; c < 2; c++) {
        struct template changes = {.count = 0};

        with_text(&changes, CKA_CHECK_VALUE, "abc");
        assert_not_changed(calls[c], object, &changes, QH_EREADONLY);
        changes.count = 0;
        with_text(&changes, CKA_CHECK_VALUE, "");
        result = changed(calls[c], object, &changes);
        ck_assert_ptr_null(object_attribute(result, CKA_CHECK_VALUE));
        object_free(result);
    }
    object_free(object);
}
END_TEST

static void make_pair(struct object **ret_public, struct object **ret_private)
{
    struct mech_params mechanism = {.type = CKM_EC_KEY_PAIR_GEN};
    struct template template = {.count = 0};

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    ck_assert_int_eq(object_generate(&mechanism, all_of(&template), (struct attributes){NULL, 0},
                                     ret_public, ret_private),
                     QH_OK);
}

START_TEST(the_public_half_of_a_private_key_may_be_named_as_it_is)
{
    struct template changes = {.count = 0};
    struct object *public, *private, *result;
    struct bytes info;

    make_pair(&public, &private);
    info = object_attribute(private, CKA_PUBLIC_KEY_INFO)->value;
    with(&changes, CKA_PUBLIC_KEY_INFO, info);
    result = changed(object_change, private, &changes);
    assert_same(result, private);
    object_free(result);
    assert_not_changed(object_change, public, &changes, QH_EREADONLY);
    changes.count = 0;
    with(&changes, CKA_PUBLIC_KEY_INFO, span(info.base, info.size - 1));
    assert_not_changed(object_change, private, &changes, QH_EATTRVALUE);
    assert_not_changed(object_copy, private, &changes, QH_EATTRVALUE);
    object_free(public);
    object_free(private);
}
END_TEST

START_TEST(trust_is_given_by_the_officer_alone_and_to_what_is_not_private)
{
    struct template trust = {.count = 0}, distrust = {.count = 0};
    struct object *public, *private, *result = NULL, *again;
    struct object *hidden = aes(CKA_PRIVATE, true), *shown = aes(CKA_PRIVATE, false);

    make_pair(&public, &private);
    with_flag(&trust, CKA_TRUSTED, true);
    with_flag(&distrust, CKA_TRUSTED, false);
    assert_not_changed(object_change, public, &trust, QH_EREADONLY);
    assert_not_changed(object_copy, public, &trust, QH_EREADONLY);
    ck_assert_int_eq(object_change_as(hidden, all_of(&trust), true, &result), QH_EREADONLY);
    ck_assert_int_eq(object_change_as(private, all_of(&trust), true, &result), QH_ETEMPLATE);
    ck_assert_int_eq(object_change_as(shown, all_of(&trust), true, &result), QH_OK);
    object_free(result);
    ck_assert_int_eq(object_change_as(public, all_of(&trust), true, &result), QH_OK);
    assert_flag(result, CKA_TRUSTED, true);
    again = changed(object_change, result, &distrust);
    assert_flag(again, CKA_TRUSTED, false);
    object_free(result);
    object_free(again);
    object_free(hidden);
    object_free(shown);
    object_free(public);
    object_free(private);
}
END_TEST

/* Else who may use it, or a copy of it, would open with it what it has wrapped. */
START_TEST(a_trusted_secret_key_stays_what_the_officer_has_seen)
{
    static const CK_ATTRIBUTE_TYPE opening[] = {CKA_DECRYPT, CKA_UNWRAP};
    static const change_call calls[] = {object_change, object_copy};
    struct template template, trust = {.count = 0}, changes = {.count = 0};
    struct object *plain, *trusted = NULL, *result;

    begin_aes(&template);
    with_flag(&template, CKA_PRIVATE, false);
    with_flag(&template, CKA_DECRYPT, false);
    with_flag(&template, CKA_WRAP, true);
    plain = created(&template);
    with_flag(&trust, CKA_TRUSTED, true);
    ck_assert_int_eq(object_change_as(plain, all_of(&trust), true, &trusted), QH_OK);
    for (unsigned i = 0; i < 4; i++) {
        changes.count = 0;
        with_flag(&changes, opening[i / 2], true);
        object_free(changed(calls[i % 2], plain, &changes));
        assert_not_changed(calls[i % 2], trusted, &changes, QH_EREADONLY);
        ck_assert_int_eq(object_change_as(trusted, all_of(&changes), true, &result), QH_OK);
        object_free(changed(calls[i % 2], result, &changes));
        object_free(result);
        changes.count = 0;
        with_flag(&changes, opening[i / 2], false);
        object_free(changed(calls[i % 2], trusted, &changes));
        changes.count = 0;
        with_flag(&changes, CKA_TRUSTED, false);
        assert_not_changed(calls[i % 2], trusted, &changes, QH_EREADONLY);
        with_flag(&changes, opening[i / 2], true);
        assert_not_changed(calls[i % 2], trusted, &changes, QH_EREADONLY);
    }
    ck_assert_int_eq(object_change_as(trusted, all_of(&changes), true, &result), QH_OK);
    assert_flag(result, CKA_TRUSTED, false);
    object_free(result);
    object_free(trusted);
    object_free(plain);
}
END_TEST

START_TEST(what_a_key_is_cannot_be_changed)
{
    static const CK_ATTRIBUTE_TYPE numbers[] = {CKA_CLASS, CKA_KEY_TYPE, CKA_VALUE_LEN,
                                                CKA_KEY_GEN_MECHANISM};
    static const CK_ATTRIBUTE_TYPE values[] = {CKA_VALUE, CKA_UNIQUE_ID, CKA_ALLOWED_MECHANISMS};
    static const change_call calls[] = {object_change, object_copy};
    struct object *object = aes(CKA_TOKEN, true);

    for (int c = 0; c < 2; c++) {
        struct template changes = {.count = 0};

        for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
            changes.count = changes.number_count = 0;
            with_ulong(&changes, numbers[i], 32);
            assert_not_changed(calls[c], object, &changes, QH_EREADONLY);
        }
        for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
            changes.count = 0;
            with_text(&changes, values[i], "");
            assert_not_changed(calls[c], object, &changes, QH_EREADONLY);
        }
        changes.count = 0;
        with_flag(&changes, CKA_ALWAYS_SENSITIVE, true);
        assert_not_changed(calls[c], object, &changes, QH_EREADONLY);
    }
    object_free(object);
}
END_TEST

START_TEST(changes_are_checked_as_templates_are)
{
    static uint8_t big[ATTRIBUTE_SIZE_MAX + 1];
    struct template changes = {.count = 0};
    struct object *object = aes(CKA_TOKEN, true);

    with_text(&changes, CKA_LABEL, "one");
    with_text(&changes, CKA_LABEL, "two");
    assert_not_changed(object_change, object, &changes, QH_ETEMPLATE);
    changes.count = 0;
    with_text(&changes, CKA_SUBJECT, "subject");
    assert_not_changed(object_change, object, &changes, QH_ETEMPLATE);
    changes.count = 0;
    with_text(&changes, CKA_VENDOR_DEFINED | 1, "");
    assert_not_changed(object_change, object, &changes, QH_EATTRIBUTE);
    changes.count = 0;
    with_text(&changes, CKA_SIGN, "ab");
    assert_not_changed(object_change, object, &changes, QH_EATTRVALUE);
    changes.count = 0;
    with(&changes, CKA_LABEL, span(big, ATTRIBUTE_SIZE_MAX));
    object_free(changed(object_change, object, &changes));
    changes.list[0].value.size++;
    assert_not_changed(object_change, object, &changes, QH_ELIMIT);
    object_free(object);
}
END_TEST

START_TEST(a_certificate_can_be_given_another_id_and_label)
{
    struct template template, changes = {.count = 0};
    struct object *object, *result;

    begin_certificate(&template);
    object = created(&template);
    with_text(&changes, CKA_ID, "id");
    with_text(&changes, CKA_ISSUER, "issuer");
    with_text(&changes, CKA_LABEL, "label");
    result = changed(object_change, object, &changes);
    assert_value(result, CKA_ID, text_span("id"));
    assert_value(result, CKA_ISSUER, text_span("issuer"));
    object_free(result);
    changes.count = 0;
    with_text(&changes, CKA_VALUE, "another");
    assert_not_changed(object_change, object, &changes, QH_EREADONLY);
    changes.count = 0;
    with_text(&changes, CKA_SUBJECT, "another");
    assert_not_changed(object_change, object, &changes, QH_EREADONLY);
    object_free(object);
}
END_TEST

START_TEST(a_trusted_certificate_stays_as_it_is)
{
    struct template template, trust = {.count = 0}, changes = {.count = 0};
    struct object *object, *trusted = NULL, *result;

    begin_certificate(&template);
    object = created(&template);
    with_flag(&trust, CKA_TRUSTED, true);
    ck_assert_int_eq(object_change_as(object, all_of(&trust), true, &trusted), QH_OK);
    with_text(&changes, CKA_LABEL, "label");
    assert_not_changed(object_change, trusted, &changes, QH_EREADONLY);
    assert_not_changed(object_copy, trusted, &changes, QH_EREADONLY);
    ck_assert_int_eq(object_change_as(trusted, all_of(&changes), true, &result), QH_OK);
    object_free(result);
    changes.count = 0;
    with_flag(&changes, CKA_TRUSTED, false);
    assert_not_changed(object_change, trusted, &changes, QH_EREADONLY);
    changes.count = 0;
    with_flag(&changes, CKA_TOKEN, true);
    object_free(changed(object_copy, trusted, &changes));
    object_free(trusted);
    object_free(object);
}
END_TEST

START_TEST(the_subject_of_a_public_key_can_be_changed)
{
    struct template template = {.count = 0}, changes = {.count = 0};
    struct mech_params mechanism = {.type = CKM_EC_KEY_PAIR_GEN};
    struct object *public = NULL, *private = NULL, *result;

    with(&template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    ck_assert_int_eq(object_generate(&mechanism, all_of(&template), (struct attributes){NULL, 0},
                                     &public, &private),
                     QH_OK);
    with_text(&changes, CKA_SUBJECT, "subject");
    result = changed(object_change, public, &changes);
    assert_value(result, CKA_SUBJECT, text_span("subject"));
    object_free(result);
    result = changed(object_change, private, &changes);
    assert_value(result, CKA_SUBJECT, text_span("subject"));
    object_free(result);
    changes.count = 0;
    with_text(&changes, CKA_EC_POINT, "point");
    assert_not_changed(object_change, public, &changes, QH_EREADONLY);
    object_free(public);
    object_free(private);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("object_change");
    TCase *tcase = tcase_create("change");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, id_label_and_dates_can_be_changed);
    tcase_add_test(tcase, nothing_changed_is_the_same_object);
    tcase_add_test(tcase, sensitive_is_never_set_back);
    tcase_add_test(tcase, extractable_is_never_set_again);
    tcase_add_test(tcase, usage_can_be_changed_both_ways);
    tcase_add_test(tcase, some_attributes_change_in_a_copy_alone);
    tcase_add_test(tcase, a_copy_does_not_show_what_was_private);
    tcase_add_test(tcase, what_is_not_modifiable_is_copied_but_not_changed);
    tcase_add_test(tcase, a_copy_of_what_is_not_modifiable_is_used_for_no_more);
    tcase_add_test(tcase, what_is_not_copyable_is_changed_but_not_copied);
    tcase_add_test(tcase, a_copy_has_the_material_and_an_id_of_its_own);
    tcase_add_test(tcase, the_past_of_a_key_stays);
    tcase_add_test(tcase, a_check_value_can_be_taken_away_and_not_be_given);
    tcase_add_test(tcase, the_public_half_of_a_private_key_may_be_named_as_it_is);
    tcase_add_test(tcase, trust_is_given_by_the_officer_alone_and_to_what_is_not_private);
    tcase_add_test(tcase, a_trusted_secret_key_stays_what_the_officer_has_seen);
    tcase_add_test(tcase, what_a_key_is_cannot_be_changed);
    tcase_add_test(tcase, changes_are_checked_as_templates_are);
    tcase_add_test(tcase, a_certificate_can_be_given_another_id_and_label);
    tcase_add_test(tcase, the_subject_of_a_public_key_can_be_changed);
    tcase_add_test(tcase, a_trusted_certificate_stays_as_it_is);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
