/* Objects for tests of the PKCS#11 module's pure parts, made of a few attributes. For programs of
 * one source file. */
#ifndef QH_TESTS_UNIT_ATTRIBUTES_H
#define QH_TESTS_UNIT_ATTRIBUTES_H

#include <check.h>
#include <stdlib.h>

#include "client/quadhsm.h"

struct attributes_fixture {
    struct quadhsm_attribute list[16];
    uint8_t numbers[16][8];
    size_t count;
    struct quadhsm_object object;
};

static inline void add_bytes(struct attributes_fixture *fixture, uint64_t type, const void *value,
                             size_t size)
{
    ck_assert_uint_lt(fixture->count, 16);
    fixture->list[fixture->count] = (struct quadhsm_attribute){type, value, size};
    fixture->count++;
}

static inline void add_number(struct attributes_fixture *fixture, uint64_t type, uint64_t number)
{
    uint8_t *value = fixture->numbers[fixture->count];

    for (unsigned i = 0; i < 8; i++) {
        value[i] = (uint8_t)(number >> (8 * i));
    }
    add_bytes(fixture, type, value, 8);
}

static inline struct quadhsm_object *fixture_object(struct attributes_fixture *fixture)
{
    fixture->object.attributes = fixture->list;
    fixture->object.attribute_count = fixture->count;
    return &fixture->object;
}

/* The library's, for the objects of these tests. */
const struct quadhsm_attribute *quadhsm_object_attribute(const struct quadhsm_object *object,
                                                         uint64_t type)
{
    for (size_t i = 0; i < object->attribute_count; i++) {
        if (object->attributes[i].type == type) {
            return &object->attributes[i];
        }
    }
    return NULL;
}

#endif
