/* From objects to messages. */
#include "node/object_answer.h"

#include "base/assert.h"
#include "wire/frame.h"

#define FIELD_OVERHEAD 16u /* bytes around one message in a list: tag and length, rounded up */

QH_RESULT object_answer_template(Quadhsm__Attribute **list, size_t count,
                                 struct attribute room[ATTRIBUTES_MAX],
                                 struct attributes *ret_template)
{
    if (count > ATTRIBUTES_MAX) {
        return QH_ELIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        room[i].type = list[i]->type;
        room[i].value = (struct bytes){list[i]->value.data, list[i]->value.len};
    }
    *ret_template = (struct attributes){room, (unsigned)count};
    return QH_OK;
}

bool object_answer_flag(Quadhsm__Attribute **list, size_t count, CK_ATTRIBUTE_TYPE type,
                        bool otherwise)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i]->type == type && list[i]->value.len == 1) {
            return list[i]->value.data[0] != 0;
        }
    }
    return otherwise;
}

QH_RESULT object_answer_begin(struct object_answer *answer, Quadhsm__Response *response,
                              size_t room)
{
    Quadhsm__ObjectList *list;

    QH_ASSERT(response->result_case == QUADHSM__RESPONSE__RESULT__NOT_SET);
    list = wire_zalloc(sizeof *list);
    if (list == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__object_list__init(list);
    *answer = (struct object_answer){list, 0};
    response->objects = list;
    response->result_case = QUADHSM__RESPONSE__RESULT_OBJECTS;
    if (room > 0) {
        list->objects = wire_zalloc(room * sizeof list->objects[0]);
    }
    return room == 0 || list->objects != NULL ? QH_OK : QH_ENOMEM;
}

static QH_RESULT copy_bytes(struct bytes from, ProtobufCBinaryData *ret_to)
{
    *ret_to = wire_bytes(from);
    return ret_to->len == from.size ? QH_OK : QH_ENOMEM;
}

static enum qh_err count_attribute(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    size_t *count = data;

    (void)type;
    (void)value;
    (*count)++;
    return QH_OK;
}

static enum qh_err add_attribute(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    Quadhsm__Object *message = data;
    Quadhsm__Attribute *attribute = wire_zalloc(sizeof *attribute);

    if (attribute == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__attribute__init(attribute);
    attribute->type = type;
    message->attributes[message->n_attributes++] = attribute;
    return copy_bytes(value, &attribute->value);
}

static QH_RESULT fill_object(Quadhsm__Object *message, const struct object *object,
                             enum object_export export, const uint8_t *id, struct bytes session)
{
    Quadhsm__ObjectRef *ref = wire_zalloc(sizeof *ref);
    size_t count = 0;
    enum qh_err err;

    if (ref == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__object_ref__init(ref);
    message->ref = ref;
    err = id != NULL ? copy_bytes((struct bytes){id, OBJECT_ID_SIZE}, &ref->id)
                     : copy_bytes(session, &ref->session);
    if (err == QH_OK) {
        err = object_read(object, export, count_attribute, &count);
    }
    if (err != QH_OK) {
        return err;
    }
    message->attributes = wire_zalloc(count * sizeof message->attributes[0]);
    if (message->attributes == NULL) {
        return QH_ENOMEM;
    }
    return object_read(object, export, add_attribute, message);
}

QH_RESULT object_answer_add(struct object_answer *answer, const struct object *object,
                            enum object_export export, const uint8_t *id, struct bytes session,
                            uint64_t revision)
{
    Quadhsm__Object *message = wire_zalloc(sizeof *message);
    enum qh_err err;
    size_t size;

    if (message == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__object__init(message);
    message->revision = revision;
    err = fill_object(message, object, export, id, session);
    size = FIELD_OVERHEAD + protobuf_c_message_get_packed_size(&message->base);
    if (err == QH_OK && answer->size + size > OBJECT_ANSWER_SIZE_MAX) {
        err = QH_ELIMIT;
    }
    if (err != QH_OK) {
        wire_message_free(&message->base);
        return err;
    }
    answer->size += size;
    answer->list->objects[answer->list->n_objects++] = message;
    return QH_OK;
}
