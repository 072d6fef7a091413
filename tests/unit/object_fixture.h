/* What the tests of objects share: templates that are built up, and objects looked at. */
#ifndef QH_TESTS_UNIT_OBJECT_FIXTURE_H
#define QH_TESTS_UNIT_OBJECT_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "hsm/object.h"
#include "tests/lib/test.h"

/* DER of the curves' names. */
static const uint8_t p256_params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t edwards_name[] = "\x13\x0c"
                                      "edwards25519";

struct template
{
    unsigned count, number_count;
    struct attribute list[ATTRIBUTES_MAX + 1];
    uint8_t numbers[ATTRIBUTES_MAX + 1][8];
};

static inline struct bytes span(const void *base, size_t size)
{
    return (struct bytes){base, size};
}

static inline struct bytes text_span(const char *text)
{
    return span(text, strlen(text));
}

static inline void with(struct template *template, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    ck_assert_uint_le(template->count, ATTRIBUTES_MAX);
    template->list[template->count++] = (struct attribute){.type = type, .value = value};
}

static inline void with_text(struct template *template, CK_ATTRIBUTE_TYPE type, const char *text)
{
    with(template, type, text_span(text));
}

static inline void with_flag(struct template *template, CK_ATTRIBUTE_TYPE type, bool flag)
{
    with(template, type, span(flag ? "\1" : "\0", 1));
}

static inline void with_ulong(struct template *template, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    uint8_t *number = template->numbers[template->number_count++];
    struct bytes_writer writer;

    bytes_writer_init(&writer, number, 8);
    bytes_write_u64(&writer, value);
    with(template, type, span(number, 8));
}

static inline struct attributes all_of(const struct template *template)
{
    return (struct attributes){template->list, template->count};
}

static inline void without(struct template *template, CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < template->count; i++) {
        if (template->list[i].type == type) {
            template->list[i] = template->list[--template->count];
            return;
        }
    }
    ck_abort_msg("the template has no such attribute");
}

/* Begin with @object_class, and the key type unless that is CK_UNAVAILABLE_INFORMATION. Numbers
 * are in the template itself, so it is not copied. */
static inline void begin(struct template *template, CK_OBJECT_CLASS object_class,
                         CK_KEY_TYPE key_type)
{
    template->count = template->number_count = 0;
    with_ulong(template, CKA_CLASS, object_class);
    if (key_type != CK_UNAVAILABLE_INFORMATION) {
        with_ulong(template, CKA_KEY_TYPE, key_type);
    }
}

static inline void begin_aes(struct template *template)
{
    static const uint8_t value[32] = {1, 2, 3};

    begin(template, CKO_SECRET_KEY, CKK_AES);
    with(template, CKA_VALUE, span(value, sizeof value));
}

static inline void begin_data(struct template *template, const char *label)
{
    begin(template, CKO_DATA, CK_UNAVAILABLE_INFORMATION);
    with_text(template, CKA_LABEL, label);
    with_text(template, CKA_VALUE, "contents");
}

static inline void begin_certificate(struct template *template)
{
    begin(template, CKO_CERTIFICATE, CK_UNAVAILABLE_INFORMATION);
    with_ulong(template, CKA_CERTIFICATE_TYPE, CKC_X_509);
    with_text(template, CKA_SUBJECT, "subject");
    with_text(template, CKA_VALUE, "a certificate");
}

static inline enum qh_err create(const struct template *template, struct object **ret_object)
{
    return object_create(all_of(template), ret_object);
}

static inline struct object *created(const struct template *template)
{
    struct object *object = NULL;

    ck_assert_int_eq(create(template, &object), QH_OK);
    return object;
}

/* And leaves the out-parameter alone. */
static inline void assert_refused(const struct template *template, enum qh_err err)
{
    struct object *const untouched = (struct object *)(uintptr_t)&p256_params;
    struct object *object = untouched;

    ck_assert_str_eq(err_name(create(template, &object)), err_name(err));
    ck_assert_ptr_eq(object, untouched);
}

static inline void assert_value(const struct object *object, CK_ATTRIBUTE_TYPE type,
                                struct bytes value)
{
    const struct attribute *attribute = object_attribute(object, type);

    ck_assert_msg(attribute != NULL, "attribute 0x%lx is missing", type);
    ck_assert_uint_eq(attribute->value.size, value.size);
    ck_assert_int_eq(bytes_compare(attribute->value, value), 0);
}

static inline void assert_flag(const struct object *object, CK_ATTRIBUTE_TYPE type, bool flag)
{
    const struct attribute *attribute = object_attribute(object, type);

    ck_assert_msg(attribute != NULL, "attribute 0x%lx is missing", type);
    ck_assert_uint_eq(attribute->value.size, 1);
    ck_assert_msg(object_flag(object, type) == flag, "attribute 0x%lx is not %d", type, flag);
}

static inline void assert_same(const struct object *left, const struct object *right)
{
    ck_assert_uint_eq(left->object_class, right->object_class);
    ck_assert_uint_eq(left->key_type, right->key_type);
    ck_assert_uint_eq(left->block_size, right->block_size);
    ck_assert_mem_eq(left->block, right->block, left->block_size);
}

/* What a client reads of an object. */
struct reading {
    unsigned count;
    CK_ATTRIBUTE_TYPE types[2 * ATTRIBUTES_MAX];
    size_t sizes[2 * ATTRIBUTES_MAX];
};

static enum qh_err keep_reading(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    struct reading *reading = data;

    if (reading->count > 0) {
        ck_assert_uint_gt(type, reading->types[reading->count - 1]);
    }
    reading->types[reading->count] = type;
    reading->sizes[reading->count++] = value.size;
    return QH_OK;
}

static inline struct reading read_all(const struct object *object)
{
    struct reading reading = {.count = 0};

    ck_assert_int_eq(object_read(object, OBJECT_EXPORT_CLEAR, keep_reading, &reading), QH_OK);
    return reading;
}

static inline bool shows(const struct reading *reading, CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < reading->count; i++) {
        if (reading->types[i] == type) {
            return true;
        }
    }
    return false;
}

#endif
