/* Objects as they are read: attributes found and matched, and what a client may see. */
#include "hsm/object.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "hsm/object_private.h"

void object_free(struct object *object)
{
    if (object == NULL) {
        return;
    }
    secret_free(object->material);
    free(object->attributes);
    if (object->block != NULL) {
        /* Labels and the values of private data objects are nobody's business afterwards. */
        sodium_memzero(object->block, object->block_size);
        free(object->block);
    }
    free(object);
}

const struct attribute *object_attribute(const struct object *object, CK_ATTRIBUTE_TYPE type)
{
    unsigned low = 0, high = object->attribute_count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (object->attributes[middle].type == type) {
            return &object->attributes[middle];
        }
        if (object->attributes[middle].type < type) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool object_flag(const struct object *object, CK_ATTRIBUTE_TYPE type)
{
    const struct attribute *attribute = object_attribute(object, type);

    return attribute != NULL && attribute->value.size == 1 && attribute->value.base[0] == 1;
}

CK_ULONG object_ulong(const struct object *object, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise)
{
    const struct attribute *attribute = object_attribute(object, type);
    struct bytes_reader reader;

    if (attribute == NULL || attribute->value.size != sizeof(uint64_t)) {
        return otherwise;
    }
    bytes_reader_init(&reader, attribute->value.base, attribute->value.size);
    return bytes_read_u64(&reader);
}

bool object_matches(const struct object *object, struct attributes template)
{
    for (unsigned i = 0; i < template.count; i++) {
        const struct attribute *own = object_attribute(object, template.list[i].type);

        if (own == NULL || bytes_compare(own->value, template.list[i].value) != 0) {
            return false;
        }
    }
    return true;
}

bool object_unique_id(struct bytes value, uint8_t ret_id[OBJECT_ID_SIZE])
{
    uint8_t id[OBJECT_ID_SIZE];
    char again[2 * OBJECT_ID_SIZE + 1];

    if (value.size != 2 * OBJECT_ID_SIZE || sodium_hex2bin(id, sizeof id, (const char *)value.base,
                                                           value.size, NULL, NULL, NULL) != 0) {
        return false;
    }
    (void)sodium_bin2hex(again, sizeof again, id, sizeof id);
    if (memcmp(again, value.base, value.size) != 0) {
        return false; /* upper-case digits: there is one text for each id */
    }
    memcpy(ret_id, id, sizeof id);
    return true;
}

/* What is shown of the key material, sorted by type. */
struct parts {
    unsigned count;
    struct attribute list[6];
    struct secret *block; /* that the values are in; NULL: the object's own */
};

static void add_part(struct parts *parts, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    if (value.size > 0) {
        parts->list[parts->count++] = (struct attribute){.type = type, .value = value};
    }
}

static QH_RESULT open_parts(const struct object *object, struct parts *ret_parts)
{
    struct bytes material = {secret_view(object->material), secret_size(object->material)};
    struct bytes ec_value = {NULL, 0};
    struct key_rsa_parts rsa = {.n = {NULL, 0}};
    enum qh_err err;

    if (object->object_class == CKO_SECRET_KEY) {
        add_part(ret_parts, CKA_VALUE, material);
        return QH_OK;
    }
    err = key_private_parts(object->key_type, material, &rsa, &ec_value, &ret_parts->block);
    if (err != QH_OK) {
        return err;
    }
    add_part(ret_parts, CKA_VALUE, ec_value);
    add_part(ret_parts, CKA_PRIVATE_EXPONENT, rsa.d);
    add_part(ret_parts, CKA_PRIME_1, rsa.p);
    add_part(ret_parts, CKA_PRIME_2, rsa.q);
    add_part(ret_parts, CKA_EXPONENT_1, rsa.dp);
    add_part(ret_parts, CKA_EXPONENT_2, rsa.dq);
    add_part(ret_parts, CKA_COEFFICIENT, rsa.qinv);
    return QH_OK;
}

bool object_shows(const struct object *object, enum object_export export)
{
    if ((object->object_class != CKO_PRIVATE_KEY && object->object_class != CKO_SECRET_KEY) ||
        !object_flag(object, CKA_EXTRACTABLE) || object_flag(object, CKA_SENSITIVE)) {
        return false;
    }
    return export == OBJECT_EXPORT_CLEAR ||
           (object->object_class == CKO_SECRET_KEY && !object->token &&
            object_attribute(object, OBJECT_WAS_TOKEN) == NULL);
}

QH_RESULT object_read(const struct object *object, enum object_export export, object_visit visit,
                      void *data)
{
    struct parts parts = {0};
    enum qh_err err = QH_OK;
    unsigned next = 0;

    if (object->material != NULL && object_shows(object, export)) {
        err = open_parts(object, &parts);
    }
    for (unsigned i = 0; err == QH_OK && i <= object->attribute_count; i++) {
        bool last = i == object->attribute_count;

        while (err == QH_OK && next < parts.count &&
               (last || parts.list[next].type < object->attributes[i].type)) {
            err = visit(data, parts.list[next].type, parts.list[next].value);
            next++;
        }
        if (err == QH_OK && !last && object->attributes[i].type != OBJECT_WAS_TOKEN) {
            err = visit(data, object->attributes[i].type, object->attributes[i].value);
        }
    }
    secret_free(parts.block);
    return err;
}
