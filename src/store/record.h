/* A record in memory: one allocation, counted, unchanging once it is in a tree.
 *
 * Thread: the count belongs to the store's thread. Another thread may read the rest
 * for as long as a view holds the record. */
#ifndef QH_STORE_RECORD_H
#define QH_STORE_RECORD_H

#include <stdint.h>

#include "base/bytes.h"

struct record {
    uint64_t create_revision;
    uint64_t mod_revision;
    uint64_t expires_at; /* 0: never */
    uint32_t refs;       /* nodes that hold it, and whoever made it */
    uint32_t value_size; /* in bytes */
    uint16_t key_size;   /* in bytes */
    uint8_t data[];      /* the key, then the value */
};

/* With a count of one and copies of @key and @value, which must be within the
 * limits. NULL if there is no memory. */
struct record *record_new(struct bytes key, struct bytes value);
struct record *record_ref(struct record *record);
void record_unref(struct record *record);

/* Here, since the tree does little else. */
static inline struct bytes record_key(const struct record *record)
{
    return (struct bytes){record->data, record->key_size};
}

static inline struct bytes record_value(const struct record *record)
{
    return (struct bytes){record->data + record->key_size, record->value_size};
}

#endif
