/* Templates as the commands build them. See attrlist.h. */
#include "cli/attrlist.h"

#include <string.h>

#include "base/assert.h"
#include "base/cryptoki.h"

void attrlist_add(struct attrlist *list, uint64_t type, const void *value, size_t size)
{
    QH_ASSERT(list->count < ATTRIBUTES_MAX);
    list->list[list->count++] = (struct quadhsm_attribute){type, value, size};
}

void attrlist_add_bytes(struct attrlist *list, uint64_t type, struct bytes value)
{
    attrlist_add(list, type, value.base, value.size);
}

void attrlist_add_text(struct attrlist *list, uint64_t type, const char *text)
{
    attrlist_add(list, type, text, strlen(text));
}

void attrlist_add_flag(struct attrlist *list, uint64_t type, bool value)
{
    static const uint8_t flags[2] = {0, 1};

    attrlist_add(list, type, &flags[value], 1);
}

void attrlist_add_number(struct attrlist *list, uint64_t type, uint64_t value)
{
    uint8_t *number;
    struct bytes_writer writer;

    QH_ASSERT(list->count < ATTRIBUTES_MAX);
    number = list->numbers[list->count];
    bytes_writer_init(&writer, number, sizeof(list->numbers[0]));
    bytes_write_u64(&writer, value);
    attrlist_add(list, type, number, sizeof(list->numbers[0]));
}

const struct quadhsm_attribute *attrlist_find(const struct attrlist *list, uint64_t type)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->list[i].type == type) {
            return &list->list[i];
        }
    }
    return NULL;
}

bool attrlist_number_of(const struct quadhsm_object *object, uint64_t type, uint64_t *ret_number)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);
    struct bytes_reader reader;

    if (attribute == NULL || attribute->size != 8) {
        return false;
    }
    bytes_reader_init(&reader, attribute->value, attribute->size);
    *ret_number = bytes_read_u64(&reader);
    return true;
}

bool attrlist_flag_of(const struct quadhsm_object *object, uint64_t type)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);

    return attribute != NULL && attribute->size == 1 && *(const uint8_t *)attribute->value == 1;
}

struct bytes attrlist_bytes_of(const struct quadhsm_object *object, uint64_t type)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);

    return attribute != NULL ? (struct bytes){attribute->value, attribute->size}
                             : (struct bytes){NULL, 0};
}

bool attrlist_class_is(const struct quadhsm_object *object, uint64_t object_class)
{
    uint64_t number;

    return attrlist_number_of(object, CKA_CLASS, &number) && number == object_class;
}
