/* Templates that keys have: what they may hold, which keys match them, and what they add to those
 * that come under the key. */
#include "hsm/object_private.h"

#include "tests/unit/object_fixture.h"

static uint8_t room[NESTED_SIZE_MAX + 64];

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
}

/* As it is stored. The same memory each time. */
static struct bytes encoded(const struct template *template)
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, room, sizeof room);
    for (unsigned i = 0; i < template->count; i++) {
        bytes_write_u64(&writer, template->list[i].type);
        bytes_write_u32(&writer, (uint32_t) template->list[i].value.size);
        bytes_write_span(&writer, template->list[i].value.base, template->list[i].value.size);
    }
    ck_assert(!writer.failed);
    return span(room, writer.size);
}

static struct object *key_with(CK_ATTRIBUTE_TYPE type, const struct template *nested)
{
    struct template template;

    begin_aes(&template);
    with_flag(&template, CKA_WRAP, true);
    with(&template, type, encoded(nested));
    return created(&template);
}

static void assert_nested(CK_ATTRIBUTE_TYPE type, struct bytes value, enum qh_err err)
{
    struct template template;

    begin_aes(&template);
    with(&template, type, value);
    if (err == QH_OK) {
        struct object *object = created(&template);

        assert_value(object, type, value);
        object_free(object);
    } else {
        assert_refused(&template, err);
    }
}

START_TEST(a_template_has_attributes_of_private_and_secret_keys)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *value;
        size_t size;
        enum qh_err wrap, unwrap;
    } rows[] = {
        {CKA_LABEL, "a label", 7, QH_OK, QH_OK},
        {CKA_SIGN, "\1", 1, QH_OK, QH_OK},
        {CKA_SIGN, "\2", 1, QH_EATTRVALUE, QH_EATTRVALUE},
        {CKA_SIGN, "", 0, QH_EATTRVALUE, QH_EATTRVALUE},
        {CKA_KEY_TYPE, "\x1f\0\0\0\0\0\0\0", 8, QH_OK, QH_OK},
        {CKA_KEY_TYPE, "\x1f\0\0\0", 4, QH_EATTRVALUE, QH_EATTRVALUE},
        {CKA_END_DATE, "20260230", 8, QH_EATTRVALUE, QH_EATTRVALUE},
        {CKA_LOCAL, "\1", 1, QH_OK, QH_ETEMPLATE},
        {CKA_ALWAYS_SENSITIVE, "\1", 1, QH_OK, QH_ETEMPLATE},
        {CKA_VALUE_LEN, "\x20\0\0\0\0\0\0\0", 8, QH_OK, QH_OK},
        {CKA_ALLOWED_MECHANISMS, "\x20\0\0\0\0\0\0\0", 8, QH_OK, QH_OK},
        /* Nobody tries out what a key is, bit by bit. */
        {CKA_VALUE, "sixteen bytes!!!", 16, QH_ETEMPLATE, QH_ETEMPLATE},
        {CKA_PRIME_1, "p", 1, QH_ETEMPLATE, QH_ETEMPLATE},
        {CKA_WRAP_TEMPLATE, "", 0, QH_ETEMPLATE, QH_ETEMPLATE},
        {CKA_UNWRAP_TEMPLATE, "", 0, QH_ETEMPLATE, QH_ETEMPLATE},
        {CKA_URL, "url", 3, QH_ETEMPLATE, QH_ETEMPLATE},
        {CKA_VENDOR_DEFINED | 1, "x", 1, QH_EATTRIBUTE, QH_EATTRIBUTE},
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct template nested = {.count = 0};

        with(&nested, rows[i].type, span(rows[i].value, rows[i].size));
        assert_nested(CKA_WRAP_TEMPLATE, encoded(&nested), rows[i].wrap);
        assert_nested(CKA_UNWRAP_TEMPLATE, encoded(&nested), rows[i].unwrap);
        assert_nested(CKA_DERIVE_TEMPLATE, encoded(&nested), rows[i].unwrap);
    }
    assert_nested(CKA_WRAP_TEMPLATE, span("", 0), QH_OK);
}
END_TEST

START_TEST(a_template_has_one_form)
{
    struct template nested = {.count = 0};
    struct bytes value;

    with_flag(&nested, CKA_SIGN, true);
    with_text(&nested, CKA_LABEL, "label");
    assert_nested(CKA_WRAP_TEMPLATE, encoded(&nested), QH_EATTRVALUE); /* in the wrong order */
    nested.list[0].type = CKA_LABEL;
    assert_nested(CKA_WRAP_TEMPLATE, encoded(&nested), QH_EATTRVALUE); /* twice */
    nested.count = 1;
    nested.list[0].type = CKA_SIGN;
    value = encoded(&nested);
    for (size_t size = 1; size < value.size; size++) {
        assert_nested(CKA_WRAP_TEMPLATE, span(value.base, size), QH_EATTRVALUE);
    }
}
END_TEST

START_TEST(templates_of_keys_have_limits)
{
    static char label[NESTED_SIZE_MAX];
    struct template nested = {.count = 0};

    with(&nested, CKA_LABEL, span(label, NESTED_SIZE_MAX - 12));
    assert_nested(CKA_WRAP_TEMPLATE, encoded(&nested), QH_OK);
    nested.list[0].value.size++;
    assert_nested(CKA_WRAP_TEMPLATE, encoded(&nested), QH_ETEMPLATE);
    /* As many as there may be are looked at one by one. */
    nested.count = 0;
    while (nested.count < NESTED_ATTRIBUTES_MAX) {
        with_text(&nested, CKA_VENDOR_DEFINED + nested.count, "");
    }
    assert_nested(CKA_WRAP_TEMPLATE, encoded(&nested), QH_EATTRIBUTE);
    with_text(&nested, CKA_VENDOR_DEFINED + nested.count, "");
    assert_nested(CKA_WRAP_TEMPLATE, encoded(&nested), QH_ETEMPLATE);
}
END_TEST

START_TEST(each_class_has_the_templates_of_what_it_does)
{
    static const struct {
        CK_OBJECT_CLASS object_class;
        CK_KEY_TYPE key_type;
        bool wrap, under;
    } rows[] = {{CKO_PUBLIC_KEY, CKK_RSA, true, false},
                {CKO_PRIVATE_KEY, CKK_EC, false, true},
                {CKO_SECRET_KEY, CKK_AES, true, true},
                {CKO_DATA, CK_UNAVAILABLE_INFORMATION, false, false}};

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CK_OBJECT_CLASS object_class = rows[i].object_class;
        CK_KEY_TYPE type = rows[i].key_type;

        ck_assert_int_eq(object_rule(object_class, type, CKA_WRAP_TEMPLATE) != NULL, rows[i].wrap);
        ck_assert_int_eq(object_rule(object_class, type, CKA_UNWRAP_TEMPLATE) != NULL,
                         rows[i].under);
        ck_assert_int_eq(object_rule(object_class, type, CKA_DERIVE_TEMPLATE) != NULL,
                         rows[i].under);
    }
}
END_TEST

/* They are sealed with the object, and no copy is rid of them. */
START_TEST(a_template_stays_with_its_key)
{
    struct template nested = {.count = 0}, changes = {.count = 0};
    struct object *key, *copy, *again, *none;
    struct secret *plain;

    with_flag(&nested, CKA_SIGN, true);
    key = key_with(CKA_WRAP_TEMPLATE, &nested);
    ck_assert_int_eq(object_copy(key, all_of(&changes), &copy), QH_OK);
    assert_value(copy, CKA_WRAP_TEMPLATE, encoded(&nested));
    ck_assert_int_eq(object_encode(copy, &plain), QH_OK);
    ck_assert_int_eq(object_decode(span(secret_view(plain), secret_size(plain)), true, &again),
                     QH_OK);
    assert_same(again, copy);
    with_text(&changes, CKA_WRAP_TEMPLATE, "");
    ck_assert_int_eq(object_copy(key, all_of(&changes), &none), QH_EREADONLY);
    ck_assert_int_eq(object_change(key, all_of(&changes), &none), QH_EREADONLY);
    secret_free(plain);
    object_free(again);
    object_free(copy);
    object_free(key);
}
END_TEST

START_TEST(what_does_not_match_is_not_wrapped)
{
    struct mech_params kwp = {.type = CKM_AES_KEY_WRAP_KWP};
    struct template nested = {.count = 0}, template;
    struct object *wrapping, *signing, *other, *free_one;

    with_ulong(&nested, CKA_CLASS, CKO_SECRET_KEY);
    with_flag(&nested, CKA_SIGN, true);
    wrapping = key_with(CKA_WRAP_TEMPLATE, &nested);
    nested.count = 0;
    free_one = key_with(CKA_WRAP_TEMPLATE, &nested); /* an empty one asks for nothing */
    begin_aes(&template);
    with_flag(&template, CKA_EXTRACTABLE, true);
    with_flag(&template, CKA_SIGN, true);
    signing = created(&template);
    without(&template, CKA_SIGN);
    with_flag(&template, CKA_SIGN, false);
    other = created(&template);
    ck_assert_int_eq(object_may_wrap(wrapping, signing, &kwp), QH_OK);
    ck_assert_int_eq(object_may_wrap(wrapping, other, &kwp), QH_EWRAPTEMPLATE);
    ck_assert_int_eq(object_may_wrap(free_one, other, &kwp), QH_OK);
    object_free(wrapping);
    object_free(free_one);
    object_free(signing);
    object_free(other);
}
END_TEST

START_TEST(what_the_template_does_not_say_is_added)
{
    static const uint8_t value[16] = {1};
    struct template nested = {.count = 0}, template;
    struct object *key, *object;
    struct object_merged merged;

    with_ulong(&nested, CKA_CLASS, CKO_SECRET_KEY);
    with_ulong(&nested, CKA_KEY_TYPE, CKK_AES);
    with_flag(&nested, CKA_SENSITIVE, true);
    with_flag(&nested, CKA_EXTRACTABLE, false);
    key = key_with(CKA_UNWRAP_TEMPLATE, &nested);
    template.count = 0;
    with_text(&template, CKA_LABEL, "label");
    with_flag(&template, CKA_SENSITIVE, true); /* the same */
    ck_assert_int_eq(object_merge(key, CKA_UNWRAP_TEMPLATE, all_of(&template), &merged), QH_OK);
    ck_assert_uint_eq(merged.all.count, 5);
    ck_assert_int_eq(object_unwrap(span(value, sizeof value), merged.all, &object), QH_OK);
    ck_assert_uint_eq(object->key_type, CKK_AES);
    assert_flag(object, CKA_EXTRACTABLE, false);
    assert_value(object, CKA_LABEL, text_span("label"));
    object_free(object);
    /* The other template is not that one's business. */
    ck_assert_int_eq(object_merge(key, CKA_DERIVE_TEMPLATE, all_of(&template), &merged), QH_OK);
    ck_assert_uint_eq(merged.all.count, 2);
    with_flag(&template, CKA_EXTRACTABLE, true);
    ck_assert_int_eq(object_merge(key, CKA_UNWRAP_TEMPLATE, all_of(&template), &merged),
                     QH_ETEMPLATE);
    object_free(key);
}
END_TEST

/* A request that changes the store is known by its own template. */
START_TEST(a_token_object_is_asked_for)
{
    struct template nested = {.count = 0}, template = {.count = 0};
    struct object_merged merged;
    struct object *key;

    with_flag(&nested, CKA_TOKEN, true);
    key = key_with(CKA_DERIVE_TEMPLATE, &nested);
    ck_assert_int_eq(object_merge(key, CKA_DERIVE_TEMPLATE, all_of(&template), &merged),
                     QH_ETEMPLATE);
    with_flag(&template, CKA_TOKEN, true);
    ck_assert_int_eq(object_merge(key, CKA_DERIVE_TEMPLATE, all_of(&template), &merged), QH_OK);
    object_free(key);
    nested.count = 0;
    with_flag(&nested, CKA_TOKEN, false);
    key = key_with(CKA_DERIVE_TEMPLATE, &nested);
    ck_assert_int_eq(object_merge(key, CKA_DERIVE_TEMPLATE, all_of(&template), &merged),
                     QH_ETEMPLATE);
    template.count = 0;
    ck_assert_int_eq(object_merge(key, CKA_DERIVE_TEMPLATE, all_of(&template), &merged), QH_OK);
    object_free(key);
}
END_TEST

START_TEST(both_together_have_a_limit)
{
    struct template nested = {.count = 0}, template = {.count = 0};
    struct object_merged merged;
    struct object *key;

    with_flag(&nested, CKA_SIGN, true);
    key = key_with(CKA_UNWRAP_TEMPLATE, &nested);
    while (template.count < ATTRIBUTES_MAX - 1) {
        with_text(&template, CKA_VENDOR_DEFINED + template.count, "");
    }
    ck_assert_int_eq(object_merge(key, CKA_UNWRAP_TEMPLATE, all_of(&template), &merged), QH_OK);
    ck_assert_uint_eq(merged.all.count, ATTRIBUTES_MAX);
    with_text(&template, CKA_VENDOR_DEFINED + template.count, "");
    ck_assert_int_eq(object_merge(key, CKA_UNWRAP_TEMPLATE, all_of(&template), &merged),
                     QH_ETEMPLATE);
    object_free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("object_nested");
    TCase *group = tcase_create("nested");

    tcase_add_checked_fixture(group, setup, NULL);
    suite_add_tcase(suite, group);
    tcase_add_test(group, a_template_has_attributes_of_private_and_secret_keys);
    tcase_add_test(group, a_template_has_one_form);
    tcase_add_test(group, templates_of_keys_have_limits);
    tcase_add_test(group, each_class_has_the_templates_of_what_it_does);
    tcase_add_test(group, a_template_stays_with_its_key);
    tcase_add_test(group, what_does_not_match_is_not_wrapped);
    tcase_add_test(group, what_the_template_does_not_say_is_added);
    tcase_add_test(group, a_token_object_is_asked_for);
    tcase_add_test(group, both_together_have_a_limit);
    return test_main(suite);
}
