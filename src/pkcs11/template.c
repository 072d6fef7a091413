/* CK_ATTRIBUTE to struct quadhsm_attribute and back. */
#include "pkcs11/template.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/limits.h"

#define NUMBER_SIZE 8u /* of a CK_ULONG, in the cluster */

enum kind { BYTES, FLAG, NUMBER, NUMBERS, NESTED };

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
    case CKA_JAVA_MIDP_SECURITY_DOMAIN:
    case CKA_NAME_HASH_ALGORITHM:
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
    default:
        return (type & CKF_ARRAY_ATTRIBUTE) != 0 ? NESTED : BYTES;
    }
}

/* ---- in ---- */

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
    case NESTED:
        return CKR_ATTRIBUTE_TYPE_INVALID;
    case BYTES:
        break;
    }
    return CKR_OK;
}

/* Bytes that the translated value takes; 0 if the application's own serves. */
static size_t translated_size(const CK_ATTRIBUTE *attribute)
{
    switch (kind_of(attribute->type)) {
    case FLAG:
        return 1;
    case NUMBER:
    case NUMBERS:
        return attribute->ulValueLen / sizeof(CK_ULONG) * NUMBER_SIZE;
    case BYTES:
    case NESTED:
        break;
    }
    return 0;
}

static void translate(const CK_ATTRIBUTE *from, struct bytes_writer *writer,
                      struct quadhsm_attribute *to)
{
    const uint8_t *value = from->pValue;

    to->type = from->type;
    to->value = from->pValue;
    to->size = from->ulValueLen;
    if (translated_size(from) == 0) {
        return;
    }
    to->value = writer->base + writer->size;
    to->size = translated_size(from);
    if (kind_of(from->type) == FLAG) {
        bytes_write_u8(writer, value[0] != CK_FALSE);
        return;
    }
    for (size_t at = 0; at < from->ulValueLen; at += sizeof(CK_ULONG)) {
        CK_ULONG number;

        memcpy(&number, value + at, sizeof number);
        bytes_write_u64(writer, number);
    }
}

/* The same list, properly aligned. */
static CK_ATTRIBUTE aligned(const CK_ATTRIBUTE *list, CK_ULONG index)
{
    CK_ATTRIBUTE attribute;

    memcpy(&attribute, (const uint8_t *)list + index * sizeof attribute, sizeof attribute);
    return attribute;
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

        rv = check_value(&attribute);
        if (rv != CKR_OK) {
            return rv;
        }
        size += translated_size(&attribute);
    }
    /* Never of no size, so that NULL means one thing. */
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

static CKR_RESULT read_one(const struct quadhsm_object *object, CK_ATTRIBUTE *attribute)
{
    const struct quadhsm_attribute *has = quadhsm_object_attribute(object, attribute->type);
    CK_ULONG room = attribute->ulValueLen;

    attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    if (has == NULL || kind_of(attribute->type) == NESTED) {
        return is_sensitive(object, attribute->type) ? CKR_ATTRIBUTE_SENSITIVE
                                                     : CKR_ATTRIBUTE_TYPE_INVALID;
    }
    if (attribute->pValue != NULL && room < size_outside(has)) {
        return CKR_BUFFER_TOO_SMALL;
    }
    attribute->ulValueLen = size_outside(has);
    if (attribute->pValue != NULL) {
        copy_outside(has, attribute->pValue);
    }
    return CKR_OK;
}

CKR_RESULT template_read(const struct quadhsm_object *object, CK_ATTRIBUTE *list, CK_ULONG count)
{
    CK_RV result = CKR_OK;

    if (list == NULL || count > ATTRIBUTES_MAX) {
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
