/* Templates as the commands build them, and the little that they read of objects. */
#ifndef QH_CLI_ATTRLIST_H
#define QH_CLI_ATTRLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "client/quadhsm.h"

/* Values are borrowed, but for numbers. Not moved once it has one; starts as zeroes. */
struct attrlist {
    struct quadhsm_attribute list[ATTRIBUTES_MAX];
    size_t count;
    uint8_t numbers[ATTRIBUTES_MAX][8];
};

void attrlist_add(struct attrlist *list, uint64_t type, const void *value, size_t size);
void attrlist_add_bytes(struct attrlist *list, uint64_t type, struct bytes value);
void attrlist_add_text(struct attrlist *list, uint64_t type, const char *text);
void attrlist_add_flag(struct attrlist *list, uint64_t type, bool value);
void attrlist_add_number(struct attrlist *list, uint64_t type, uint64_t value);
/* NULL if it is not there. */
const struct quadhsm_attribute *attrlist_find(const struct attrlist *list, uint64_t type);

/* Of an object. Without the attribute, or with one of another shape: false, empty. */
bool attrlist_number_of(const struct quadhsm_object *object, uint64_t type, uint64_t *ret_number);
bool attrlist_flag_of(const struct quadhsm_object *object, uint64_t type);
struct bytes attrlist_bytes_of(const struct quadhsm_object *object, uint64_t type);
bool attrlist_class_is(const struct quadhsm_object *object, uint64_t object_class);

#endif
