/* Objects as bytes: encoded, and sealed for their place. */
#include <string.h>

#include <sodium.h>
#include <stdlib.h>

#include "base/assert.h"
#include "crypto/seal.h"
#include "hsm/object_private.h"
#include "hsm/record.h"

#define OBJECT_VERSION 1u
#define OBJECT_PLAIN_MAX (STORE_VALUE_SIZE_MAX - SEAL_OVERHEAD)

/* Read @count attributes, and nothing more, with types that rise. */
static QH_RESULT read_attributes(struct object *object, struct bytes_reader *reader, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct attribute *attribute = &object->attributes[i];

        attribute->type = bytes_read_u64(reader);
        attribute->value = bytes_read_span(reader, bytes_read_u32(reader));
        if (reader->failed || attribute->value.size > ATTRIBUTE_SIZE_MAX ||
            (i > 0 && attribute->type <= object->attributes[i - 1].type)) {
            return QH_EMALFORMED;
        }
    }
    object->attribute_count = count;
    return reader->left == 0 ? QH_OK : QH_EMALFORMED;
}

/* Types without a rule stay: they are of a later version. */
static QH_RESULT check_attributes(struct object *object)
{
    CK_OBJECT_CLASS object_class = object_ulong(object, CKA_CLASS, CK_UNAVAILABLE_INFORMATION);
    CK_KEY_TYPE key_type = object_class_is_key(object_class)
                               ? object_ulong(object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION)
                               : CK_UNAVAILABLE_INFORMATION;

    if (!object_key_type_fits(object_class, key_type) ||
        object_attribute(object, CKA_TOKEN) == NULL ||
        object_attribute(object, CKA_PRIVATE) == NULL) {
        return QH_EMALFORMED;
    }
    for (unsigned i = 0; i < object->attribute_count; i++) {
        const struct attribute *attribute = &object->attributes[i];
        const struct attribute_rule *rule = object_rule(object_class, key_type, attribute->type);

        if (rule != NULL && (rule->sensitive || !object_value_fits(rule, attribute->value))) {
            return QH_EMALFORMED;
        }
    }
    object->object_class = object_class;
    object->key_type = key_type;
    object->token = object_flag(object, CKA_TOKEN);
    object->is_private = object_flag(object, CKA_PRIVATE);
    return QH_OK;
}

QH_RESULT object_from_block(uint8_t *block, size_t block_size, unsigned count,
                            struct object **ret_object)
{
    enum qh_err err = QH_ENOMEM;
    struct bytes_reader reader;
    struct object *object;

    if (count == 0 || count > ATTRIBUTES_MAX) {
        return QH_EMALFORMED;
    }
    object = calloc(1, sizeof *object);
    if (object == NULL) {
        return QH_ENOMEM;
    }
    object->attributes = calloc(count, sizeof *object->attributes);
    if (object->attributes == NULL) {
        goto out;
    }
    bytes_reader_init(&reader, block, block_size);
    err = read_attributes(object, &reader, count);
    if (err == QH_OK) {
        err = check_attributes(object);
    }
    if (err != QH_OK) {
        goto out;
    }
    object->block = block;
    object->block_size = block_size;
    *ret_object = object;
    return QH_OK;
out:
    object_free(object);
    return err;
}

QH_RESULT object_encode(const struct object *object, struct secret **ret_plain)
{
    size_t material_size = object->material != NULL ? secret_size(object->material) : 0;
    size_t size = OBJECT_HEADER_SIZE + object->block_size + material_size;
    struct bytes_writer writer;
    struct secret *plain;
    enum qh_err err;

    if (size > OBJECT_PLAIN_MAX) {
        return QH_ELIMIT;
    }
    err = secret_new(size, &plain);
    if (err != QH_OK) {
        return err;
    }
    bytes_writer_init(&writer, secret_bytes(plain), size);
    bytes_write_u8(&writer, OBJECT_VERSION);
    bytes_write_u8(&writer, 0);
    bytes_write_u16(&writer, (uint16_t)object->attribute_count);
    bytes_write_u32(&writer, (uint32_t)material_size);
    bytes_write_span(&writer, object->block, object->block_size);
    if (material_size > 0) {
        bytes_write_span(&writer, secret_view(object->material), material_size);
    }
    QH_ASSERT(!writer.failed && writer.size == size);
    *ret_plain = plain;
    return QH_OK;
}

static QH_RESULT decode_parts(struct bytes attributes, unsigned count, struct bytes material,
                              bool with_material, struct object **ret_object)
{
    struct secret *copy = NULL;
    struct object *object;
    enum qh_err err;
    uint8_t *block = malloc(attributes.size);

    if (block == NULL) {
        return QH_ENOMEM;
    }
    memcpy(block, attributes.base, attributes.size);
    if (with_material && material.size > 0) {
        err = secret_from(material.base, material.size, &copy);
        if (err != QH_OK) {
            goto out;
        }
    }
    err = object_from_block(block, attributes.size, count, &object);
    if (err != QH_OK) {
        goto out;
    }
    object->material = copy;
    *ret_object = object;
    return QH_OK;
out:
    secret_free(copy);
    sodium_memzero(block, attributes.size);
    free(block);
    return err;
}

QH_RESULT object_decode(struct bytes plain, bool with_material, struct object **ret_object)
{
    struct bytes attributes, material;
    struct bytes_reader reader;
    uint32_t material_size;
    uint8_t version, zero;
    unsigned count;

    bytes_reader_init(&reader, plain.base, plain.size);
    version = bytes_read_u8(&reader);
    zero = bytes_read_u8(&reader);
    count = bytes_read_u16(&reader);
    material_size = bytes_read_u32(&reader);
    if (reader.failed) {
        return QH_EMALFORMED;
    }
    if (version != OBJECT_VERSION) {
        return QH_EVERSION;
    }
    if (zero != 0 || plain.size > OBJECT_PLAIN_MAX || material_size >= reader.left) {
        return QH_EMALFORMED;
    }
    attributes = bytes_read_span(&reader, reader.left - material_size);
    material = bytes_read_span(&reader, material_size);
    QH_ASSERT(!reader.failed);
    return decode_parts(attributes, count, material, with_material, ret_object);
}

/* Where a sealed object belongs. */
static struct record_key place_key(const uint8_t partition[PARTITION_ID_SIZE], const uint8_t *id)
{
    struct record_key key = {{'s', '/'}, 2 + PARTITION_ID_SIZE};

    if (id != NULL) {
        return record_key_object(partition, id);
    }
    memcpy(key.base + 2, partition, PARTITION_ID_SIZE);
    return key;
}

QH_RESULT object_seal(const struct secret *partition_key, const uint8_t cluster[16],
                      const uint8_t partition[PARTITION_ID_SIZE], const uint8_t *id,
                      uint64_t counter, const struct object *object, struct bytes *ret_value)
{
    struct record_key key = place_key(partition, id);
    struct seal_place place = {cluster, record_key_bytes(&key), counter};
    SECRET_SCOPED struct secret *plain = NULL;
    size_t room, size;
    uint8_t *value;
    enum qh_err err = object_encode(object, &plain);

    if (err != QH_OK) {
        return err;
    }
    room = secret_size(plain) + SEAL_OVERHEAD;
    value = malloc(room);
    if (value == NULL) {
        return QH_ENOMEM;
    }
    err = seal_close(partition_key, &place, (struct bytes){secret_view(plain), secret_size(plain)},
                     value, room, &size);
    if (err != QH_OK) {
        free(value);
        return err;
    }
    *ret_value = (struct bytes){value, size};
    return QH_OK;
}

QH_RESULT object_check_generation(struct bytes sealed, uint64_t generation)
{
    uint64_t counter;

    return seal_counter(sealed, &counter) == QH_OK && counter == generation ? QH_OK : QH_ENOTFOUND;
}

QH_RESULT object_open_in(const struct secret *partition_key, const uint8_t cluster[16],
                         const uint8_t partition[PARTITION_ID_SIZE], const uint8_t *id,
                         struct bytes value, bool with_material, struct secret *room,
                         struct object **ret_object)
{
    struct record_key key = place_key(partition, id);
    struct seal_place place = {cluster, record_key_bytes(&key), 0};
    enum qh_err err;
    size_t size;

    if (value.size > STORE_VALUE_SIZE_MAX) {
        return QH_EMALFORMED;
    }
    err = seal_open(partition_key, &place, value, secret_bytes(room), secret_size(room), &size);
    if (err != QH_OK) {
        return err;
    }
    return object_decode((struct bytes){secret_view(room), size}, with_material, ret_object);
}

QH_RESULT object_open(const struct secret *partition_key, const uint8_t cluster[16],
                      const uint8_t partition[PARTITION_ID_SIZE], const uint8_t *id,
                      struct bytes value, bool with_material, struct object **ret_object)
{
    SECRET_SCOPED struct secret *room = NULL;
    enum qh_err err;

    if (value.size <= SEAL_OVERHEAD || value.size > STORE_VALUE_SIZE_MAX) {
        return QH_EMALFORMED;
    }
    err = secret_new(value.size - SEAL_OVERHEAD, &room);
    if (err != QH_OK) {
        return err;
    }
    return object_open_in(partition_key, cluster, partition, id, value, with_material, room,
                          ret_object);
}
