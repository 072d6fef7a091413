/* Public structures and messages. */
#include "client/message.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* An object, its attributes, then their values. */
struct block {
    size_t size;
    struct quadhsm_object object;
    struct quadhsm_attribute attributes[];
};

ProtobufCBinaryData message_bytes(const void *base, size_t size)
{
    /* The field is for both directions; packing only reads. */
    union {
        const void *in;
        uint8_t *out;
    } pointer = {.in = base};

    return (ProtobufCBinaryData){.data = size > 0 ? pointer.out : NULL, .len = size};
}

QH_RESULT message_template(const struct quadhsm_attribute *attributes, size_t count,
                           struct message_template *ret_template)
{
    if (count > ATTRIBUTES_MAX) {
        return QH_ELIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        if (attributes[i].size > ATTRIBUTE_SIZE_MAX) {
            return QH_EATTRVALUE;
        }
        quadhsm__attribute__init(&ret_template->attributes[i]);
        ret_template->attributes[i].type = attributes[i].type;
        ret_template->attributes[i].value = message_bytes(attributes[i].value, attributes[i].size);
        ret_template->list[i] = &ret_template->attributes[i];
    }
    ret_template->count = count;
    return QH_OK;
}

Quadhsm__ObjectRef message_object_ref(const struct quadhsm_object *object)
{
    Quadhsm__ObjectRef ref = QUADHSM__OBJECT_REF__INIT;

    if (object->session_size > 0) {
        ref.session = message_bytes(object->session, object->session_size);
    } else {
        ref.id = message_bytes(object->id, sizeof object->id);
    }
    return ref;
}

Quadhsm__Mechanism message_mechanism(const struct quadhsm_mechanism *mechanism)
{
    Quadhsm__Mechanism message = QUADHSM__MECHANISM__INIT;

    message.type = mechanism->type;
    message.hash = mechanism->hash;
    message.mgf = mechanism->mgf;
    message.salt_size = mechanism->salt_size;
    message.tag_bits = mechanism->tag_bits;
    message.iv = message_bytes(mechanism->iv, mechanism->iv_size);
    message.aad = message_bytes(mechanism->aad, mechanism->aad_size);
    message.label = message_bytes(mechanism->label, mechanism->label_size);
    message.counter_bits = mechanism->counter_bits;
    message.key_bits = mechanism->key_bits;
    message.kdf = mechanism->kdf;
    message.public_data = message_bytes(mechanism->public_data, mechanism->public_data_size);
    message.shared_data = message_bytes(mechanism->shared_data, mechanism->shared_data_size);
    message.extract = mechanism->extract;
    message.expand = mechanism->expand;
    message.salt = message_bytes(mechanism->hkdf_salt, mechanism->hkdf_salt_size);
    message.info = message_bytes(mechanism->info, mechanism->info_size);
    return message;
}

static int compare_types(const void *left, const void *right)
{
    const struct quadhsm_attribute *a = left, *b = right;

    return a->type < b->type ? -1 : a->type > b->type;
}

QH_RESULT message_to_object(const Quadhsm__Object *message, struct quadhsm_object **ret_object)
{
    const Quadhsm__ObjectRef *ref = message->ref;
    size_t size = sizeof(struct block) + message->n_attributes * sizeof(struct quadhsm_attribute);
    struct block *block;
    bool sorted = true; /* nodes send them so */
    uint8_t *next;

    if (ref == NULL || (ref->session.len == 0 && ref->id.len != QUADHSM_OBJECT_ID_SIZE) ||
        message->n_attributes > ATTRIBUTES_MAX) {
        return QH_EMALFORMED;
    }
    /* No overflow: all of it came in one frame. */
    for (size_t i = 0; i < message->n_attributes; i++) {
        size += message->attributes[i]->value.len;
    }
    size += ref->session.len;
    block = calloc(1, size);
    if (block == NULL) {
        return QH_ENOMEM;
    }
    block->size = size;
    next = (uint8_t *)&block->attributes[message->n_attributes];
    for (size_t i = 0; i < message->n_attributes; i++) {
        const Quadhsm__Attribute *attribute = message->attributes[i];

        sorted = sorted && (i == 0 || block->attributes[i - 1].type <= attribute->type);
        block->attributes[i] = (struct quadhsm_attribute){
            .type = attribute->type, .value = next, .size = attribute->value.len};
        if (attribute->value.len > 0) {
            memcpy(next, attribute->value.data, attribute->value.len);
            next += attribute->value.len;
        }
    }
    if (!sorted) {
        qsort(block->attributes, message->n_attributes, sizeof block->attributes[0], compare_types);
    }
    block->object.attributes = block->attributes;
    block->object.attribute_count = message->n_attributes;
    block->object.revision = message->revision;
    block->object.created = message->created;
    if (ref->session.len > 0) {
        memcpy(next, ref->session.data, ref->session.len);
        block->object.session = next;
        block->object.session_size = ref->session.len;
    } else {
        memcpy(block->object.id, ref->id.data, QUADHSM_OBJECT_ID_SIZE);
    }
    *ret_object = &block->object;
    return QH_OK;
}

void quadhsm_object_free(struct quadhsm_object *object)
{
    if (object != NULL) {
        struct block *block =
            (struct block *)(void *)((char *)object - offsetof(struct block, object));

        sodium_memzero(block, block->size);
        free(block);
    }
}

void quadhsm_objects_free(struct quadhsm_object **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        quadhsm_object_free(list[i]);
    }
    free(list);
}

const struct quadhsm_attribute *quadhsm_object_attribute(const struct quadhsm_object *object,
                                                         uint64_t type)
{
    struct quadhsm_attribute key = {.type = type};

    if (object->attribute_count == 0) {
        return NULL;
    }
    return bsearch(&key, object->attributes, object->attribute_count, sizeof key, compare_types);
}
