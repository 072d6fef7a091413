/* Objects as bytes: the documented encoding, damage of every kind, and the place that a sealed one
 * belongs to. */
#include "hsm/object.h"

#include "crypto/seal.h"
#include "tests/unit/object_fixture.h"

static const uint8_t cluster[16] = {1}, other_cluster[16] = {2};
static const uint8_t partition[PARTITION_ID_SIZE] = {3}, other_partition[PARTITION_ID_SIZE] = {4};
static const uint8_t id[OBJECT_ID_SIZE] = {5}, other_id[OBJECT_ID_SIZE] = {6};
static struct secret *key, *other_key;

static void setup(void)
{
    ck_assert_int_eq(secret_setup(), QH_OK);
    ck_assert_int_eq(secret_from("0123456789abcdef0123456789abcdef", SEAL_KEY_SIZE, &key), QH_OK);
    ck_assert_int_eq(secret_from("0123456789abcdef0123456789abcdeg", SEAL_KEY_SIZE, &other_key),
                     QH_OK);
}

static void teardown(void)
{
    secret_free(key);
    secret_free(other_key);
}

static struct object *sample(void)
{
    struct template template;

    begin_aes(&template);
    with_text(&template, CKA_LABEL, "label");
    with_flag(&template, CKA_TOKEN, true);
    return created(&template);
}

static struct bytes bytes_of(const struct secret *secret)
{
    return span(secret_view(secret), secret_size(secret));
}

/* A heap copy of exactly that size, so that a sanitizer sees a read past it. */
static enum qh_err decode_copy(struct bytes plain)
{
    uint8_t *copy = malloc(plain.size > 0 ? plain.size : 1);
    struct object *object = NULL;
    enum qh_err err;

    ck_assert_ptr_nonnull(copy);
    if (plain.size > 0) {
        memcpy(copy, plain.base, plain.size);
    }
    err = object_decode(span(copy, plain.size), true, &object);
    free(copy);
    if (err == QH_OK) {
        object_free(object);
    } else {
        ck_assert_ptr_null(object);
    }
    return err;
}

START_TEST(what_is_encoded_decodes)
{
    struct object *object = sample(), *with_material, *without_material;
    struct secret *plain;

    ck_assert_int_eq(object_encode(object, &plain), QH_OK);
    ck_assert_int_eq(object_decode(bytes_of(plain), true, &with_material), QH_OK);
    ck_assert_int_eq(object_decode(bytes_of(plain), false, &without_material), QH_OK);
    assert_same(with_material, object);
    assert_same(without_material, object);
    ck_assert(with_material->token);
    ck_assert(with_material->is_private);
    ck_assert(secret_equal(with_material->material, object->material));
    ck_assert_ptr_null(without_material->material);
    object_free(with_material);
    object_free(without_material);
    object_free(object);
    secret_free(plain);
}
END_TEST

START_TEST(the_encoding_is_the_documented_one)
{
    /* Class, token, private, label; then material. */
    static const uint8_t plain[] = "\1\0\4\0\3\0\0\0"
                                   "\0\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0"
                                   "\1\0\0\0\0\0\0\0\1\0\0\0\1"
                                   "\2\0\0\0\0\0\0\0\1\0\0\0\0"
                                   "\3\0\0\0\0\0\0\0\2\0\0\0hi"
                                   "abc";
    struct object *object;
    struct secret *again;

    ck_assert_int_eq(object_decode(span(plain, sizeof plain - 1), true, &object), QH_OK);
    ck_assert_uint_eq(object->attribute_count, 4);
    ck_assert(object->token);
    ck_assert(!object->is_private);
    assert_value(object, CKA_LABEL, text_span("hi"));
    ck_assert_uint_eq(secret_size(object->material), 3);
    ck_assert_int_eq(object_encode(object, &again), QH_OK);
    ck_assert_uint_eq(secret_size(again), sizeof plain - 1);
    ck_assert_mem_eq(secret_view(again), plain, sizeof plain - 1);
    object_free(object);
    secret_free(again);
}
END_TEST

START_TEST(attributes_of_a_later_version_stay)
{
    /* Class, token, private, modifiable, and one without a rule. */
    static const uint8_t plain[] = "\1\0\5\0\0\0\0\0"
                                   "\0\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0"
                                   "\1\0\0\0\0\0\0\0\1\0\0\0\1"
                                   "\2\0\0\0\0\0\0\0\1\0\0\0\0"
                                   "\x70\1\0\0\0\0\0\0\1\0\0\0\1"
                                   "\3\0\0\0\0\0\0\5\2\0\0\0hi";
    struct template changes = {.count = 0};
    struct object *object, *changed;

    ck_assert_int_eq(object_decode(span(plain, sizeof plain - 1), true, &object), QH_OK);
    with_text(&changes, CKA_LABEL, "label");
    ck_assert_int_eq(object_change(object, all_of(&changes), &changed), QH_OK);
    assert_value(changed, CKA_LABEL, text_span("label"));
    assert_value(changed, 0x0500000000000003, text_span("hi"));
    object_free(changed);
    object_free(object);
}
END_TEST

START_TEST(every_truncation_and_every_addition_is_refused)
{
    struct object *object = sample();
    uint8_t longer[2048] = {0};
    struct secret *plain;
    struct bytes whole;

    ck_assert_int_eq(object_encode(object, &plain), QH_OK);
    whole = bytes_of(plain);
    ck_assert_int_eq(decode_copy(whole), QH_OK);
    for (size_t size = 0; size < whole.size; size++) {
        ck_assert_int_eq(decode_copy(span(whole.base, size)), QH_EMALFORMED);
    }
    memcpy(longer, whole.base, whole.size);
    ck_assert_int_eq(decode_copy(span(longer, whole.size + 1)), QH_EMALFORMED);
    object_free(object);
    secret_free(plain);
}
END_TEST

START_TEST(what_breaks_the_format_is_refused)
{
    static const struct {
        const char *what;
        size_t offset;
        uint8_t value;
        enum qh_err err;
    } damages[] = {
        {"another version", 0, 2, QH_EVERSION},
        {"not zero", 1, 1, QH_EMALFORMED},
        {"no attributes", 2, 0, QH_EMALFORMED},
        {"more attributes than there are", 2, 5, QH_EMALFORMED},
        {"more attributes than there may be", 3, 1, QH_EMALFORMED},
        {"more material than there is", 6, 1, QH_EMALFORMED},
        {"an unknown class", 20, 9, QH_EMALFORMED},
        {"a class with a key type that is missing", 20, CKO_SECRET_KEY, QH_EMALFORMED},
        {"a class of a wrong size", 16, 7, QH_EMALFORMED},
        {"a flag that is none", 40, 2, QH_EMALFORMED},
        {"the same type twice", 41, 1, QH_EMALFORMED},
        {"a type that falls", 54, 1, QH_EMALFORMED},
        {"no flag of privacy", 41, 4, QH_EMALFORMED},
        {"material as an attribute of a key", 54, CKA_VALUE, QH_OK},
    };
    static const uint8_t plain[] = "\1\0\4\0\0\0\0\0"
                                   "\0\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0"
                                   "\1\0\0\0\0\0\0\0\1\0\0\0\1"
                                   "\2\0\0\0\0\0\0\0\1\0\0\0\0"
                                   "\3\0\0\0\0\0\0\0\2\0\0\0hi";
    uint8_t damaged[sizeof plain - 1];

    for (unsigned i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        memcpy(damaged, plain, sizeof damaged);
        damaged[damages[i].offset] = damages[i].value;
        ck_assert_msg(decode_copy(span(damaged, sizeof damaged)) == damages[i].err, "%s",
                      damages[i].what);
    }
}
END_TEST

START_TEST(key_material_cannot_hide_among_the_attributes)
{
    static const uint8_t plain[] = "\1\0\5\0\0\0\0\0"
                                   "\0\0\0\0\0\0\0\0\10\0\0\0\4\0\0\0\0\0\0\0"
                                   "\1\0\0\0\0\0\0\0\1\0\0\0\1"
                                   "\2\0\0\0\0\0\0\0\1\0\0\0\0"
                                   "\x11\0\0\0\0\0\0\0\2\0\0\0hi"
                                   "\0\1\0\0\0\0\0\0\10\0\0\0\x1f\0\0\0\0\0\0\0";
    uint8_t renamed[sizeof plain - 1];

    ck_assert_int_eq(decode_copy(span(plain, sizeof plain - 1)), QH_EMALFORMED);
    memcpy(renamed, plain, sizeof renamed);
    renamed[8 + 20 + 13 + 13] = 0x03;
    ck_assert_int_eq(decode_copy(span(renamed, sizeof renamed)), QH_OK);
}
END_TEST

START_TEST(an_object_fits_into_a_record_or_is_refused)
{
    static uint8_t big[ATTRIBUTE_SIZE_MAX];
    const size_t room = STORE_VALUE_SIZE_MAX - SEAL_OVERHEAD;
    struct template template;
    struct object *object;
    struct secret *plain;
    struct bytes sealed;
    size_t rest;

    begin(&template, CKO_DATA, CK_UNAVAILABLE_INFORMATION);
    with(&template, CKA_VALUE, span(big, sizeof big));
    object = created(&template);
    ck_assert_int_eq(object_encode(object, &plain), QH_OK);
    rest = room - secret_size(plain);
    secret_free(plain);
    object_free(object);
    with(&template, CKA_APPLICATION, span(big, rest));
    object = created(&template);
    ck_assert_int_eq(object_seal(key, cluster, partition, id, 0, object, &sealed), QH_OK);
    ck_assert_uint_eq(sealed.size, STORE_VALUE_SIZE_MAX);
    free((void *)(uintptr_t)sealed.base);
    object_free(object);
    template.list[2].value.size++;
    object = created(&template);
    ck_assert_int_eq(object_encode(object, &plain), QH_ELIMIT);
    ck_assert_int_eq(object_seal(key, cluster, partition, id, 0, object, &sealed), QH_ELIMIT);
    object_free(object);
}
END_TEST

START_TEST(a_sealed_object_opens_in_its_place_alone)
{
    const struct {
        const struct secret *key;
        const uint8_t *cluster, *partition, *id;
    } places[] = {{key, cluster, partition, id},       {other_key, cluster, partition, id},
                  {key, other_cluster, partition, id}, {key, cluster, other_partition, id},
                  {key, cluster, partition, other_id}, {key, cluster, partition, NULL}};
    struct object *object = sample();
    struct bytes sealed;

    ck_assert_int_eq(object_seal(key, cluster, partition, id, 7, object, &sealed), QH_OK);
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct object *opened = NULL;
        enum qh_err err = object_open(places[i].key, places[i].cluster, places[i].partition,
                                      places[i].id, sealed, true, &opened);

        ck_assert_str_eq(err_name(err), err_name(i == 0 ? QH_OK : QH_ECORRUPT));
        ck_assert(i == 0 || opened == NULL);
        if (i == 0) {
            assert_same(opened, object);
            ck_assert(secret_equal(opened->material, object->material));
        }
        object_free(opened);
    }
    free((void *)(uintptr_t)sealed.base);
    object_free(object);
}
END_TEST

START_TEST(a_session_object_opens_as_one_alone)
{
    struct object *object = sample(), *opened = NULL;
    struct bytes sealed;

    ck_assert_int_eq(object_seal(key, cluster, partition, NULL, 0, object, &sealed), QH_OK);
    ck_assert_int_eq(object_open(key, cluster, partition, NULL, sealed, false, &opened), QH_OK);
    assert_same(opened, object);
    ck_assert_ptr_null(opened->material);
    object_free(opened);
    ck_assert_int_eq(object_open(key, cluster, partition, id, sealed, false, &opened), QH_ECORRUPT);
    ck_assert_int_eq(object_open(key, cluster, other_partition, NULL, sealed, false, &opened),
                     QH_ECORRUPT);
    free((void *)(uintptr_t)sealed.base);
    object_free(object);
}
END_TEST

START_TEST(what_is_no_sealed_object_is_refused)
{
    static const uint8_t zeroes[STORE_VALUE_SIZE_MAX + 1];
    struct object *opened = NULL;

    ck_assert_int_eq(object_open(key, cluster, partition, id, span(zeroes, 0), true, &opened),
                     QH_EMALFORMED);
    ck_assert_int_eq(
        object_open(key, cluster, partition, id, span(zeroes, SEAL_OVERHEAD), true, &opened),
        QH_EMALFORMED);
    ck_assert_int_ne(
        object_open(key, cluster, partition, id, span(zeroes, SEAL_OVERHEAD + 1), true, &opened),
        QH_OK);
    ck_assert_int_eq(
        object_open(key, cluster, partition, id, span(zeroes, sizeof zeroes), true, &opened),
        QH_EMALFORMED);
    ck_assert_ptr_null(opened);
}
END_TEST

START_TEST(many_are_opened_through_one_room)
{
    struct secret *room = NULL;

    ck_assert_int_eq(secret_new(STORE_VALUE_SIZE_MAX, &room), QH_OK);
    for (int i = 0; i < 3; i++) {
        struct object *object = sample(), *opened = NULL;
        struct bytes sealed;

        ck_assert_int_eq(object_seal(key, cluster, partition, id, 0, object, &sealed), QH_OK);
        ck_assert_int_eq(object_open_in(key, cluster, partition, id, sealed, i == 1, room, &opened),
                         QH_OK);
        assert_same(opened, object);
        ck_assert((opened->material != NULL) == (i == 1));
        object_free(opened);
        object_free(object);
        free((void *)(uintptr_t)sealed.base);
    }
    secret_free(room);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("object_codec");
    TCase *tcase = tcase_create("codec");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_is_encoded_decodes);
    tcase_add_test(tcase, the_encoding_is_the_documented_one);
    tcase_add_test(tcase, attributes_of_a_later_version_stay);
    tcase_add_test(tcase, every_truncation_and_every_addition_is_refused);
    tcase_add_test(tcase, what_breaks_the_format_is_refused);
    tcase_add_test(tcase, key_material_cannot_hide_among_the_attributes);
    tcase_add_test(tcase, an_object_fits_into_a_record_or_is_refused);
    tcase_add_test(tcase, a_sealed_object_opens_in_its_place_alone);
    tcase_add_test(tcase, a_session_object_opens_as_one_alone);
    tcase_add_test(tcase, what_is_no_sealed_object_is_refused);
    tcase_add_test(tcase, many_are_opened_through_one_room);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
