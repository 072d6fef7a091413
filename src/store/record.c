/* Counted records. */
#include "store/record.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"

struct record *record_new(struct bytes key, struct bytes value)
{
    size_t size = offsetof(struct record, data) + key.size + value.size;
    struct record *record;

    QH_ASSERT(key.size >= 1);
    QH_ASSERT(key.size <= STORE_KEY_SIZE_MAX);
    QH_ASSERT(value.size <= STORE_VALUE_SIZE_MAX);
    /* The data begin before the structure's padding ends. */
    record = malloc(size < sizeof *record ? sizeof *record : size);
    if (record == NULL) {
        return NULL;
    }
    record->create_revision = 0;
    record->mod_revision = 0;
    record->expires_at = 0;
    record->refs = 1;
    record->key_size = (uint16_t)key.size;
    record->value_size = (uint32_t)value.size;
    memcpy(record->data, key.base, key.size);
    if (value.size > 0) {
        memcpy(record->data + key.size, value.base, value.size);
    }
    return record;
}

struct record *record_ref(struct record *record)
{
    QH_ASSERT(record->refs < UINT32_MAX);
    record->refs++;
    return record;
}

void record_unref(struct record *record)
{
    QH_ASSERT(record->refs > 0);
    record->refs--;
    if (record->refs == 0) {
        free(record);
    }
}
