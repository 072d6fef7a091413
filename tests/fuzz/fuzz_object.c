/* Any bytes as an encoded object, and any bytes as a template. What decodes encodes to the same
 * bytes, can be read, changed and copied without a fault, and says of itself what its attributes
 * say. What is created from a template, and what it is changed to, decodes as it was. */
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Types that a template is about most of the time. */
static const CK_ATTRIBUTE_TYPE types[] = {
    CKA_CLASS,
    CKA_KEY_TYPE,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_ID,
    CKA_VALUE,
    CKA_VALUE_LEN,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_MODIFIABLE,
    CKA_COPYABLE,
    CKA_SIGN,
    CKA_CERTIFICATE_TYPE,
    CKA_SUBJECT,
    CKA_MODULUS,
    CKA_PUBLIC_EXPONENT,
    CKA_PRIVATE_EXPONENT,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_CHECK_VALUE,
    CKA_START_DATE,
    CKA_ALLOWED_MECHANISMS,
    CKA_ALWAYS_AUTHENTICATE,
    CKA_MODULUS_BITS,
    CKA_PUBLIC_KEY_INFO,
    CKA_APPLICATION,
    CKA_WRAP_TEMPLATE,
    CKA_UNWRAP_TEMPLATE,
    CKA_DERIVE_TEMPLATE,
};

/* u8 index of a type (beyond the list: u64 type), u16 size, value; until the bytes end. */
static struct attributes read_template(struct bytes_reader *reader,
                                       struct attribute list[ATTRIBUTES_MAX + 1])
{
    unsigned count = 0;

    while (reader->left > 0 && count <= ATTRIBUTES_MAX) {
        uint8_t index = bytes_read_u8(reader);
        size_t size;

        list[count].type =
            index < sizeof types / sizeof types[0] ? types[index] : bytes_read_u64(reader);
        size = bytes_read_u16(reader);
        list[count].value = bytes_read_span(reader, size);
        if (reader->failed) {
            break;
        }
        count++;
    }
    return (struct attributes){list, count};
}

static enum qh_err look(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    const struct object *object = data;
    const struct attribute *attribute = object_attribute(object, type);

    /* Either an attribute, or key material of a key that shows it. */
    if (attribute == NULL) {
        QH_ASSERT(object_flag(object, CKA_EXTRACTABLE));
        QH_ASSERT(!object_flag(object, CKA_SENSITIVE));
    } else {
        QH_ASSERT(bytes_compare(attribute->value, value) == 0);
    }
    return QH_OK;
}

static void check_object(const struct object *object)
{
    struct attributes whole = {object->attributes, object->attribute_count};
    struct object *again = NULL;
    struct secret *plain = NULL;
    struct mech_params mechanism = {.type = CKM_AES_GCM};
    enum qh_err err;

    QH_ASSERT(object_matches(object, whole));
    QH_ASSERT(object->token == object_flag(object, CKA_TOKEN));
    QH_ASSERT(object->is_private == object_flag(object, CKA_PRIVATE));
    QH_ASSERT(object_ulong(object, CKA_CLASS, ~object->object_class) == object->object_class);
    err = object_may(object, OBJECT_ENCRYPT, &mechanism);
    QH_ASSERT(err != QH_OK || object_flag(object, CKA_ENCRYPT));
    /* Material of a decoded object may be none, which is an error and no fault. */
    err = object_read(object, OBJECT_EXPORT_CLEAR, look, (void *)(uintptr_t)object);
    (void)err;
    err = object_encode(object, &plain);
    if (err == QH_ELIMIT) {
        return;
    }
    QH_ASSERT(err == QH_OK);
    QH_ASSERT(object_decode((struct bytes){secret_view(plain), secret_size(plain)}, true, &again) ==
              QH_OK);
    QH_ASSERT(again->block_size == object->block_size);
    QH_ASSERT(memcmp(again->block, object->block, object->block_size) == 0);
    object_free(again);
    secret_free(plain);
}

/* Whatever comes under the key: nothing that its template says is otherwise in the end. */
static void check_nested(const struct object *object, struct attributes template)
{
    struct mech_params mechanism = {.type = CKM_AES_KEY_WRAP_KWP};
    struct object_merged merged;
    enum qh_err err;

    if (object_merge(object, CKA_UNWRAP_TEMPLATE, template, &merged) == QH_OK) {
        QH_ASSERT(merged.all.count >= template.count && merged.all.count <= ATTRIBUTES_MAX);
        QH_ASSERT(object_attribute(object, CKA_UNWRAP_TEMPLATE) != NULL ||
                  merged.all.count == template.count);
        err = object_unwrap_check(&mechanism, merged.all);
        (void)err;
    }
    err = object_merge(object, CKA_DERIVE_TEMPLATE, template, &merged);
    (void)err;
    err = object_may_wrap(object, object, &mechanism);
    QH_ASSERT(err != QH_OK || object_flag(object, CKA_EXTRACTABLE));
    QH_ASSERT(err != QH_EWRAPTEMPLATE || object_attribute(object, CKA_WRAP_TEMPLATE) != NULL);
}

static void check_changes(const struct object *object, struct attributes changes)
{
    struct object *result = NULL;

    check_nested(object, changes);
    if (object_change(object, changes, &result) == QH_OK) {
        QH_ASSERT(object_matches(result, changes));
        QH_ASSERT(!object_flag(object, CKA_SENSITIVE) || object_flag(result, CKA_SENSITIVE));
        QH_ASSERT(object_flag(object, CKA_EXTRACTABLE) || !object_flag(result, CKA_EXTRACTABLE));
        check_object(result);
        object_free(result);
    }
    if (object_copy(object, changes, &result) == QH_OK) {
        QH_ASSERT(!object_flag(object, CKA_SENSITIVE) || object_flag(result, CKA_SENSITIVE));
        QH_ASSERT(!object->is_private || result->is_private);
        QH_ASSERT(object_flag(object, CKA_MODIFIABLE) || !object_flag(result, CKA_MODIFIABLE));
        check_object(result);
        object_free(result);
    }
}

static void try_decode(struct bytes plain)
{
    struct object *object = NULL;
    struct attributes nothing = {NULL, 0};
    struct secret *again = NULL;

    if (object_decode(plain, true, &object) != QH_OK) {
        return;
    }
    QH_ASSERT(object_encode(object, &again) == QH_OK);
    QH_ASSERT(secret_size(again) == plain.size);
    QH_ASSERT(memcmp(secret_view(again), plain.base, plain.size) == 0);
    secret_free(again);
    check_object(object);
    check_changes(object, nothing);
    object_free(object);
}

/* The first half makes an object, the second changes it. */
static void try_templates(struct bytes_reader *reader)
{
    struct attribute list[ATTRIBUTES_MAX + 1], change_list[ATTRIBUTES_MAX + 1];
    struct bytes_reader first, second;
    size_t half = reader->left / 2;
    struct object *object = NULL;

    bytes_reader_init(&first, reader->next, half);
    bytes_reader_init(&second, reader->next + half, reader->left - half);
    if (object_create(read_template(&first, list), &object) == QH_OK) {
        check_object(object);
        check_changes(object, read_template(&second, change_list));
        object_free(object);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes_reader reader;

    QH_ASSERT(secret_setup() == QH_OK);
    try_decode((struct bytes){data, size});
    bytes_reader_init(&reader, data, size);
    try_templates(&reader);
    return 0;
}
