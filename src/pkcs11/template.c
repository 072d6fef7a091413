/* CK_ATTRIBUTE to struct quadhsm_attribute and back. */
#include "pkcs11/template.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/limits.h"

#define NUMBER_SIZE 8u /* of a CK_ULONG, in the cluster */

#define NESTED_OVERHEAD 12u /* of each attribute in a template in there: its type and size */

enum kind { BYTES, FLAG, NUMBER, NUMBERS, NESTED, UNKNOWN_ARRAY };

static enum kind kind_of(CK_ATTRIBUTE_TYPE type)
{
    switch (type) {
    case CKA_TOKEN:
    case CKA_PRIVATE:
    case CKA_TRUSTED:
    case CKA_SENSITIVE:
    case CKA_ENCRYPT:
    case CKA_DECRYPT:
    case CKA_WRAP:
    case CKA_UNWRAP:
    case CKA_SIGN:
    case CKA_SIGN_RECOVER:
    case CKA_VERIFY:
    case CKA_VERIFY_RECOVER:
    case CKA_DERIVE:
    case CKA_EXTRACTABLE:
    case CKA_LOCAL:
    case CKA_NEVER_EXTRACTABLE:
    case CKA_ALWAYS_SENSITIVE:
    case CKA_MODIFIABLE:
    case CKA_COPYABLE:
    case CKA_DESTROYABLE:
    case CKA_SECONDARY_AUTH:
    case CKA_ALWAYS_AUTHENTICATE:
    case CKA_WRAP_WITH_TRUSTED:
        return FLAG;
    case CKA_CLASS:
    case CKA_CERTIFICATE_TYPE:
    case CKA_CERTIFICATE_CATEGORY:
    case CKA_NAME_HASH_ALGORITHM:
    case CKA_JAVA_MIDP_SECURITY_DOMAIN:
    case CKA_KEY_TYPE:
    case CKA_MODULUS_BITS:
    case CKA_PRIME_BITS:
    case CKA_SUBPRIME_BITS:
    case CKA_VALUE_BITS:
    case CKA_VALUE_LEN:
    case CKA_KEY_GEN_MECHANISM:
    case CKA_AUTH_PIN_FLAGS:
    case CKA_HW_FEATURE_TYPE:
    case CKA_MECHANISM_TYPE:
    case CKA_PROFILE_ID:
        return NUMBER;
    case CKA_ALLOWED_MECHANISMS:
        return NUMBERS;
    case CKA_WRAP_TEMPLATE:
    case CKA_UNWRAP_TEMPLATE:
    case CKA_DERIVE_TEMPLATE:
        return NESTED;
    default:
        return (type & CKF_ARRAY_ATTRIBUTE) != 0 ? UNKNOWN_ARRAY : BYTES;
    }
}

/* The same list, properly aligned. */
static CK_ATTRIBUTE aligned(const CK_ATTRIBUTE *list, CK_ULONG index)
{
    CK_ATTRIBUTE attribute;

    memcpy(&attribute, (const uint8_t *)list + index * sizeof attribute, sizeof attribute);
    return attribute;
}

/* ---- in ---- */

/* A template's own size is the business of check_nested(). */
static CKR_RESULT check_value(const CK_ATTRIBUTE *attribute)
{
    CK_ULONG size = attribute->ulValueLen;

    if (size > ATTRIBUTE_SIZE_MAX || (size > 0 && attribute->pValue == NULL)) {
        return CKR_ATTRIBUTE_VALUE_INVALID;
    }
    switch (kind_of(attribute->type)) {
    case FLAG:
        return size == sizeof(CK_BBOOL) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
    case NUMBER:
        return size == sizeof(CK_ULONG) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
    case NUMBERS:
        return size % sizeof(CK_ULONG) == 0 ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
    case UNKNOWN_ARRAY:
        return CKR_ATTRIBUTE_TYPE_INVALID;
    case NESTED:
        return size % sizeof(CK_ATTRIBUTE) == 0 ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID;
    case BYTES:
        break;
    }
    return CKR_OK;
}

/* Bytes that the translated value takes; 0 if the application's own serves. */
static size_t plain_size(const CK_ATTRIBUTE *attribute)
{
    switch (kind_of(attribute->type)) {
    case FLAG:
        return 1;
    case NUMBER:
    case NUMBERS:
        return attribute->ulValueLen / sizeof(CK_ULONG) * NUMBER_SIZE;
    case BYTES:
    case NESTED:
    case UNKNOWN_ARRAY:
        break;
    }
    return 0;
}

static void write_plain(const CK_ATTRIBUTE *from, struct bytes_writer *writer)
{
    const uint8_t *value = from->pValue;

    switch (kind_of(from->type)) {
    case FLAG:
        bytes_write_u8(writer, value[0] != CK_FALSE);
        break;
    case NUMBER:
    case NUMBERS:
        for (size_t at = 0; at < from->ulValueLen; at += sizeof(CK_ULONG)) {
            CK_ULONG number;

            memcpy(&number, value + at, sizeof number);
            bytes_write_u64(writer, number);
        }
        break;
    case BYTES:
    case NESTED:
    case UNKNOWN_ARRAY:
        if (from->ulValueLen > 0) {
            bytes_write_span(writer, value, from->ulValueLen);
        }
        break;
    }
}

/* A template in a template, in the order in which it is stored. */
struct nested {
    unsigned count;
    CK_ATTRIBUTE list[NESTED_ATTRIBUTES_MAX];
};

/* There is one depth of them, and one value for each attribute. */
static CKR_RESULT open_nested(const CK_ATTRIBUTE *attribute, struct nested *ret_nested)
{
    CK_ULONG count = attribute->ulValueLen / sizeof(CK_ATTRIBUTE);

    if (count > NESTED_ATTRIBUTES_MAX) {
        return CKR_TEMPLATE_INCONSISTENT;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        CK_ATTRIBUTE inner = aligned(attribute->pValue, i);
        CK_ULONG place = i;
        CK_RV rv = check_value(&inner);

        if (rv == CKR_OK && kind_of(inner.type) == NESTED) {
            rv = CKR_TEMPLATE_INCONSISTENT;
        }
        if (rv != CKR_OK) {
            return rv;
        }
        for (; place > 0 && ret_nested->list[place - 1].type > inner.type; place--) {
            ret_nested->list[place] = ret_nested->list[place - 1];
        }
        if (place > 0 && ret_nested->list[place - 1].type == inner.type) {
            return CKR_TEMPLATE_INCONSISTENT;
        }
        ret_nested->list[place] = inner;
    }
    ret_nested->count = (unsigned)count;
    return CKR_OK;
}

static size_t inner_size(const CK_ATTRIBUTE *inner)
{
    return kind_of(inner->type) == BYTES ? inner->ulValueLen : plain_size(inner);
}

static CKR_RESULT check_nested(const CK_ATTRIBUTE *attribute, size_t *ret_size)
{
    struct nested nested = {.count = 0};
    CK_RV rv = open_nested(attribute, &nested);
    size_t size = 0;

    if (rv != CKR_OK) {
        return rv;
    }
    for (unsigned i = 0; i < nested.count; i++) {
        size += NESTED_OVERHEAD + inner_size(&nested.list[i]);
    }
    if (size > NESTED_SIZE_MAX) {
        return CKR_TEMPLATE_INCONSISTENT;
    }
    *ret_size = size;
    return CKR_OK;
}

static void write_nested(const CK_ATTRIBUTE *from, struct bytes_writer *writer)
{
    struct nested nested = {.count = 0};

    if (open_nested(from, &nested) != CKR_OK) {
        return; /* changed since it was checked, which is the application's fault */
    }
    for (unsigned i = 0; i < nested.count; i++) {
        bytes_write_u64(writer, nested.list[i].type);
        bytes_write_u32(writer, (uint32_t)inner_size(&nested.list[i]));
        write_plain(&nested.list[i], writer);
    }
}

static CKR_RESULT translated_size(const CK_ATTRIBUTE *attribute, size_t *ret_size)
{
    CK_RV rv = check_value(attribute);

    if (rv != CKR_OK) {
        return rv;
    }
    if (kind_of(attribute->type) == NESTED) {
        return check_nested(attribute, ret_size);
    }
    *ret_size = plain_size(attribute);
    return CKR_OK;
}

static void translate(const CK_ATTRIBUTE *from, struct bytes_writer *writer,
                      struct quadhsm_attribute *to)
{
    size_t before = writer->size;

    to->type = from->type;
    to->value = from->pValue;
    to->size = from->ulValueLen;
    if (kind_of(from->type) == BYTES) {
        return;
    }
    if (kind_of(from->type) == NESTED) {
        write_nested(from, writer);
    } else {
        write_plain(from, writer);
    }
    to->value = writer->base + before;
    to->size = writer->size - before;
}

CKR_RESULT template_open(const CK_ATTRIBUTE *list, CK_ULONG count, struct template *ret_template)
{
    struct template template = {.count = count};
    struct bytes_writer writer;
    size_t size = 0;
    CK_RV rv;

    if (count > 0 && list == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    if (count > ATTRIBUTES_MAX) {
        return CKR_TEMPLATE_INCONSISTENT;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        CK_ATTRIBUTE attribute = aligned(list, i);
        size_t one = 0;

        rv = translated_size(&attribute, &one);
        if (rv != CKR_OK) {
            return rv;
        }
        size += one;
    }
    /* Never of no size, so that NULL means one thing; and with room for template_take_token(). */
    template.attributes = calloc(count + 1, sizeof *template.attributes);
    template.numbers = calloc(1, size + 1);
    if (template.attributes == NULL || template.numbers == NULL) {
        template_close(&template);
        return CKR_HOST_MEMORY;
    }
    bytes_writer_init(&writer, template.numbers, size);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_ATTRIBUTE attribute = aligned(list, i);

        translate(&attribute, &writer, &template.attributes[i]);
    }
    *ret_template = template;
    return CKR_OK;
}

void template_close(struct template *template)
{
    free(template->attributes);
    free(template->numbers);
    template->attributes = NULL;
    template->numbers = NULL;
    template->count = 0;
}

const struct quadhsm_attribute *template_get(const struct template *template, uint64_t type)
{
    for (size_t i = 0; i < template->count; i++) {
        if (template->attributes[i].type == type) {
            return &template->attributes[i];
        }
    }
    return NULL;
}

bool template_flag(const struct template *template, uint64_t type, bool otherwise)
{
    const struct quadhsm_attribute *attribute = template_get(template, type);

    if (attribute == NULL || attribute->size != 1) {
        return otherwise;
    }
    return *(const uint8_t *)attribute->value != 0;
}

/* Each attribute of a template that an object has; false at its end. */
static bool next_nested(struct bytes_reader *reader, struct quadhsm_attribute *ret_inner)
{
    struct bytes value;

    if (reader->left == 0) {
        return false;
    }
    ret_inner->type = bytes_read_u64(reader);
    value = bytes_read_span(reader, bytes_read_u32(reader));
    ret_inner->value = value.base;
    ret_inner->size = value.size;
    return !reader->failed;
}

void template_take_token(struct template *template, const struct quadhsm_object *key,
                         CK_ATTRIBUTE_TYPE type)
{
    static const uint8_t yes = CK_TRUE;
    const struct quadhsm_attribute *nested = quadhsm_object_attribute(key, type);
    struct quadhsm_attribute inner;
    struct bytes_reader reader;

    if (nested == NULL || template->count == ATTRIBUTES_MAX ||
        template_get(template, CKA_TOKEN) != NULL) {
        return;
    }
    bytes_reader_init(&reader, nested->value, nested->size);
    while (next_nested(&reader, &inner)) {
        if (inner.type == CKA_TOKEN && inner.size == 1 && *(const uint8_t *)inner.value != 0) {
            template->attributes[template->count++] =
                (struct quadhsm_attribute){CKA_TOKEN, &yes, 1};
            return;
        }
    }
}

bool template_matches(const struct template *template, const struct quadhsm_object *object)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct quadhsm_attribute *wanted = &template->attributes[i];
        const struct quadhsm_attribute *has = quadhsm_object_attribute(object, wanted->type);

        if (has == NULL || has->size != wanted->size) {
            return false;
        }
        if (wanted->size > 0 && memcmp(has->value, wanted->value, wanted->size) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- out ---- */

static bool class_is(const struct quadhsm_object *object, CK_OBJECT_CLASS object_class)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, CKA_CLASS);
    struct bytes_reader reader;

    if (attribute == NULL) {
        return false;
    }
    bytes_reader_init(&reader, attribute->value, attribute->size);
    return bytes_read_u64(&reader) == object_class && !reader.failed;
}

/* Does a key of this class have it, though it is not told? */
static bool is_sensitive(const struct quadhsm_object *object, CK_ATTRIBUTE_TYPE type)
{
    bool rsa = quadhsm_object_attribute(object, CKA_MODULUS) != NULL;

    switch (type) {
    case CKA_VALUE:
        return class_is(object, CKO_SECRET_KEY) || (class_is(object, CKO_PRIVATE_KEY) && !rsa);
    case CKA_PRIVATE_EXPONENT:
    case CKA_PRIME_1:
    case CKA_PRIME_2:
    case CKA_EXPONENT_1:
    case CKA_EXPONENT_2:
    case CKA_COEFFICIENT:
        return class_is(object, CKO_PRIVATE_KEY) && rsa;
    default:
        return false;
    }
}

static bool is_number(const struct quadhsm_attribute *attribute)
{
    enum kind kind = kind_of(attribute->type);

    return (kind == NUMBER || kind == NUMBERS) && attribute->size % NUMBER_SIZE == 0;
}

static size_t size_outside(const struct quadhsm_attribute *attribute)
{
    return is_number(attribute) ? attribute->size / NUMBER_SIZE * sizeof(CK_ULONG)
                                : attribute->size;
}

static void copy_outside(const struct quadhsm_attribute *attribute, uint8_t *to)
{
    struct bytes_reader reader;

    if (!is_number(attribute)) {
        if (attribute->size > 0) {
            memcpy(to, attribute->value, attribute->size);
        }
        return;
    }
    bytes_reader_init(&reader, attribute->value, attribute->size);
    while (reader.left > 0) {
        CK_ULONG number = (CK_ULONG)bytes_read_u64(&reader);

        memcpy(to, &number, sizeof number);
        to += sizeof number;
    }
}

/* Into the application's memory, or its size. */
static CKR_RESULT give_plain(const struct quadhsm_attribute *has, CK_ATTRIBUTE *attribute)
{
    CK_ULONG room = attribute->ulValueLen;

    attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    if (attribute->pValue != NULL && room < size_outside(has)) {
        return CKR_BUFFER_TOO_SMALL;
    }
    attribute->ulValueLen = size_outside(has);
    if (attribute->pValue != NULL) {
        copy_outside(has, attribute->pValue);
    }
    return CKR_OK;
}

/* The application gives an array, and in each of its elements memory or the wish for a size. It
 * asks for the number of elements before, and for their sizes then (5.7.5). */
static CKR_RESULT give_nested(const struct quadhsm_attribute *has, CK_ATTRIBUTE *attribute)
{
    CK_ULONG room = attribute->ulValueLen / sizeof(CK_ATTRIBUTE), count = 0;
    struct quadhsm_attribute inner;
    struct bytes_reader reader;
    CK_RV result = CKR_OK;

    attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    bytes_reader_init(&reader, has->value, has->size);
    while (next_nested(&reader, &inner)) {
        count++;
    }
    if (attribute->pValue != NULL && room < count) {
        return CKR_BUFFER_TOO_SMALL;
    }
    attribute->ulValueLen = count * sizeof(CK_ATTRIBUTE);
    if (attribute->pValue == NULL) {
        return CKR_OK;
    }
    bytes_reader_init(&reader, has->value, has->size);
    for (CK_ULONG i = 0; i < count && next_nested(&reader, &inner); i++) {
        CK_ATTRIBUTE element = aligned(attribute->pValue, i);
        CK_RV rv;

        element.type = inner.type;
        rv = give_plain(&inner, &element);
        memcpy((uint8_t *)attribute->pValue + i * sizeof element, &element, sizeof element);
        result = result == CKR_OK ? rv : result;
    }
    return result;
}

static CKR_RESULT read_one(const struct quadhsm_object *object, CK_ATTRIBUTE *attribute)
{
    const struct quadhsm_attribute *has = quadhsm_object_attribute(object, attribute->type);

    if (has == NULL) {
        attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return is_sensitive(object, attribute->type) ? CKR_ATTRIBUTE_SENSITIVE
                                                     : CKR_ATTRIBUTE_TYPE_INVALID;
    }
    return kind_of(attribute->type) == NESTED ? give_nested(has, attribute)
                                              : give_plain(has, attribute);
}

CKR_RESULT template_read(const struct quadhsm_object *object, CK_ATTRIBUTE *list, CK_ULONG count)
{
    CK_RV result = CKR_OK;

    if (list == NULL || count > TEMPLATE_READ_MAX) {
        return CKR_ARGUMENTS_BAD;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        CK_ATTRIBUTE attribute = aligned(list, i);
        CK_RV rv = read_one(object, &attribute);

        memcpy((uint8_t *)list + i * sizeof attribute, &attribute, sizeof attribute);
        /* The standard leaves open which of several errors is told. */
        if (result == CKR_OK) {
            result = rv;
        }
    }
    return result;
}

CK_ULONG template_object_size(const struct quadhsm_object *object)
{
    CK_ULONG size = 0;

    for (size_t i = 0; i < object->attribute_count; i++) {
        size += (CK_ULONG)(object->attributes[i].size + sizeof(CK_ATTRIBUTE));
    }
    return size;
}
