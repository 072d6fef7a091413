/* Virtual handles: a hash table of the numbers, which are counted up and so spread evenly. */
#include "pkcs11/handle.h"

#include <stdlib.h>

#define BUCKETS_FIRST 64u

void handle_table_init(struct handle_table *table, size_t count_max)
{
    struct handle_table empty = {.count_max = count_max, .last = table->last};

    *table = empty;
}

void handle_table_close(struct handle_table *table)
{
    free(table->buckets);
    handle_table_init(table, table->count_max);
}

static struct handle_item **bucket_of(const struct handle_table *table, uint64_t handle)
{
    return &table->buckets[handle & (table->bucket_count - 1)];
}

static QH_RESULT grow(struct handle_table *table)
{
    struct handle_table larger = *table;
    struct handle_item *item;

    larger.bucket_count = table->bucket_count > 0 ? table->bucket_count * 2 : BUCKETS_FIRST;
    larger.buckets = calloc(larger.bucket_count, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        return QH_ENOMEM;
    }
    for (size_t i = 0; i < table->bucket_count; i++) {
        while ((item = table->buckets[i]) != NULL) {
            struct handle_item **bucket = bucket_of(&larger, item->handle);

            table->buckets[i] = item->next;
            item->next = *bucket;
            *bucket = item;
        }
    }
    free(table->buckets);
    *table = larger;
    return QH_OK;
}

QH_RESULT handle_add(struct handle_table *table, struct handle_item *item)
{
    struct handle_item **bucket;

    if (table->count >= table->count_max) {
        return QH_ELIMIT;
    }
    if (table->count >= table->bucket_count && grow(table) != QH_OK) {
        return QH_ENOMEM;
    }
    item->handle = ++table->last;
    bucket = bucket_of(table, item->handle);
    item->next = *bucket;
    *bucket = item;
    table->count++;
    return QH_OK;
}

struct handle_item *handle_find(const struct handle_table *table, uint64_t handle)
{
    struct handle_item *item;

    if (table->bucket_count == 0) {
        return NULL;
    }
    item = *bucket_of(table, handle);
    while (item != NULL && item->handle != handle) {
        item = item->next;
    }
    return item;
}

void handle_remove(struct handle_table *table, struct handle_item *item)
{
    struct handle_item **link = bucket_of(table, item->handle);

    while (*link != item) {
        link = &(*link)->next;
    }
    *link = item->next;
    item->next = NULL;
    table->count--;
}

struct handle_item *handle_any(const struct handle_table *table)
{
    for (size_t i = 0; i < table->bucket_count; i++) {
        if (table->buckets[i] != NULL) {
            return table->buckets[i];
        }
    }
    return NULL;
}
