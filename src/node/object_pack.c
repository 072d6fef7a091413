/* Objects packed as messages: Object of quadhsm.proto, by hand. */
#include "node/object_pack.h"

#include <string.h>

#include "base/assert.h"
#include "wire/frame.h"

/* Field numbers with their wire types, as in quadhsm.proto. */
enum {
    LIST_OBJECTS = 1 << 3 | 2,
    OBJECT_REF = 1 << 3 | 2,
    OBJECT_REVISION = 2 << 3,
    OBJECT_ATTRIBUTES = 3 << 3 | 2,
    OBJECT_CREATED = 4 << 3,
    REF_ID = 1 << 3 | 2,
    ATTRIBUTE_TYPE = 1 << 3,
    ATTRIBUTE_VALUE = 2 << 3 | 2
};

#define ROOM_FIRST 4096u
#define TAG_SIZE 1u
#define REF_SIZE (TAG_SIZE + 1u + OBJECT_ID_SIZE) /* its size takes one byte */

static size_t number_size(uint64_t number)
{
    size_t size = 1;

    while (number >= 0x80) {
        number >>= 7;
        size++;
    }
    return size;
}

static uint8_t *put_number(uint8_t *at, uint64_t number)
{
    while (number >= 0x80) {
        *at++ = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    *at++ = (uint8_t)number;
    return at;
}

static uint8_t *put_bytes(uint8_t *at, uint8_t tag, struct bytes value)
{
    *at++ = tag;
    at = put_number(at, value.size);
    memcpy(at, value.base, value.size);
    return at + value.size;
}

/* A field that is 0 or empty is left out. */
static size_t attribute_size(CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    size_t size = type != 0 ? TAG_SIZE + number_size(type) : 0;

    return size + (value.size > 0 ? TAG_SIZE + number_size(value.size) + value.size : 0);
}

static enum qh_err count_attribute(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    size_t *total = data;
    size_t size = attribute_size(type, value);

    *total += TAG_SIZE + number_size(size) + size;
    return QH_OK;
}

static enum qh_err put_attribute(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    uint8_t **at = data;

    *(*at)++ = OBJECT_ATTRIBUTES;
    *at = put_number(*at, attribute_size(type, value));
    if (type != 0) {
        *(*at)++ = ATTRIBUTE_TYPE;
        *at = put_number(*at, type);
    }
    if (value.size > 0) {
        *at = put_bytes(*at, ATTRIBUTE_VALUE, value);
    }
    return QH_OK;
}

static QH_RESULT grow(struct object_pack *pack, size_t size)
{
    size_t room = pack->room > 0 ? pack->room : ROOM_FIRST;
    uint8_t *larger;

    if (size <= pack->room) {
        return QH_OK;
    }
    while (room < size) {
        room *= 2;
    }
    larger = wire_allocator.alloc(wire_allocator.allocator_data, room);
    if (larger == NULL) {
        return QH_ENOMEM;
    }
    if (pack->size > 0) {
        memcpy(larger, pack->base, pack->size);
    }
    wire_allocator.free(wire_allocator.allocator_data, pack->base);
    pack->base = larger;
    pack->room = room;
    return QH_OK;
}

QH_RESULT object_pack_add(struct object_pack *pack, const struct object *object,
                          enum object_export export, const struct view_object *found,
                          size_t size_max)
{
    size_t size = TAG_SIZE + 1 + REF_SIZE + TAG_SIZE + number_size(found->mod_revision) + TAG_SIZE +
                  number_size(found->create_revision);
    enum qh_err err = object_read(object, export, count_attribute, &size);
    size_t total = pack->size + TAG_SIZE + number_size(size) + size;
    uint8_t *at;

    if (err != QH_OK) {
        return err;
    }
    if (total > size_max) {
        return QH_ELIMIT;
    }
    err = grow(pack, total);
    if (err != QH_OK) {
        return err;
    }
    at = pack->base + pack->size;
    *at++ = LIST_OBJECTS;
    at = put_number(at, size);
    *at++ = OBJECT_REF;
    *at++ = REF_SIZE;
    at = put_bytes(at, REF_ID, (struct bytes){found->id, OBJECT_ID_SIZE});
    *at++ = OBJECT_REVISION;
    at = put_number(at, found->mod_revision);
    *at++ = OBJECT_CREATED;
    at = put_number(at, found->create_revision);
    err = object_read(object, export, put_attribute, &at);
    if (err == QH_OK) {
        QH_ASSERT(at == pack->base + total);
        pack->size = total;
    }
    return err;
}

/* The list's field as protobuf-c takes one that it does not know: the first tag is apart. */
static QH_RESULT set_field(struct object_pack *pack, Quadhsm__ObjectList *list)
{
    ProtobufCMessageUnknownField *field = wire_zalloc(sizeof *field);

    if (field == NULL) {
        return QH_ENOMEM;
    }
    memmove(pack->base, pack->base + TAG_SIZE, pack->size - TAG_SIZE);
    field->tag = LIST_OBJECTS >> 3;
    field->wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    field->data = pack->base;
    field->len = pack->size - TAG_SIZE;
    list->base.unknown_fields = field;
    list->base.n_unknown_fields = 1;
    *pack = (struct object_pack){.base = NULL};
    return QH_OK;
}

QH_RESULT object_pack_end(struct object_pack *pack, bool more, Quadhsm__Response *response)
{
    Quadhsm__ObjectList *list = wire_zalloc(sizeof *list);

    QH_ASSERT(response->result_case == QUADHSM__RESPONSE__RESULT__NOT_SET);
    if (list == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__object_list__init(list);
    list->more = more;
    if (pack->size > 0 && set_field(pack, list) != QH_OK) {
        wire_message_free(&list->base);
        return QH_ENOMEM;
    }
    response->objects = list;
    response->result_case = QUADHSM__RESPONSE__RESULT_OBJECTS;
    return QH_OK;
}

void object_pack_close(struct object_pack *pack)
{
    wire_allocator.free(wire_allocator.allocator_data, pack->base);
    *pack = (struct object_pack){.base = NULL};
}
