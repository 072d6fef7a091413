/* The objects that this process has seen. */
#include "pkcs11/objects.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define BUCKETS_FIRST 64u

/* ---- what was last read of an object ---- */

static struct objects_value *value_new(struct quadhsm_object *object, uint64_t now_ms)
{
    struct objects_value *value = calloc(1, sizeof *value);

    if (value == NULL) {
        quadhsm_object_free(object);
        return NULL;
    }
    atomic_init(&value->references, 1);
    atomic_init(&value->key, NULL);
    value->object = object;
    value->read_at_ms = now_ms;
    return value;
}

struct objects_value *objects_value_ref(struct objects_value *value)
{
    atomic_fetch_add(&value->references, 1);
    return value;
}

void objects_value_unref(struct objects_value *value)
{
    if (value == NULL || atomic_fetch_sub(&value->references, 1) > 1) {
        return;
    }
    key_free(atomic_load(&value->key));
    quadhsm_object_free(value->object);
    free(value);
}

bool objects_flag(const struct quadhsm_object *object, uint64_t type, bool otherwise)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);

    if (attribute == NULL || attribute->size != 1) {
        return otherwise;
    }
    return *(const uint8_t *)attribute->value != 0;
}

uint64_t objects_number(const struct quadhsm_object *object, uint64_t type, uint64_t otherwise)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);
    struct bytes_reader reader;

    if (attribute == NULL || attribute->size != 8) {
        return otherwise;
    }
    bytes_reader_init(&reader, attribute->value, attribute->size);
    return bytes_read_u64(&reader);
}

/* ---- lists ---- */

static void list_append(struct objects_list *list, struct objects_entry *entry)
{
    entry->newer = NULL;
    entry->older = list->newest;
    if (list->newest != NULL) {
        list->newest->newer = entry;
    } else {
        list->oldest = entry;
    }
    list->newest = entry;
    list->count++;
}

static void list_remove(struct objects_list *list, struct objects_entry *entry)
{
    if (entry->older != NULL) {
        entry->older->newer = entry->newer;
    } else {
        list->oldest = entry->newer;
    }
    if (entry->newer != NULL) {
        entry->newer->older = entry->older;
    } else {
        list->newest = entry->older;
    }
    entry->older = NULL;
    entry->newer = NULL;
    list->count--;
}

/* ---- token objects by id ---- */

static struct objects_entry **bucket_of(const struct objects *objects, const uint8_t *id)
{
    uint64_t hash;

    /* Ids are random. */
    memcpy(&hash, id, sizeof hash);
    return &objects->buckets[hash & (objects->bucket_count - 1)];
}

struct objects_entry *objects_find_id(struct objects *objects, uint64_t slot, const uint8_t *id)
{
    struct objects_entry *entry;

    if (objects->bucket_count == 0) {
        return NULL;
    }
    entry = *bucket_of(objects, id);
    while (entry != NULL && (entry->slot != slot || memcmp(entry->id, id, sizeof entry->id) != 0)) {
        entry = entry->bucket_next;
    }
    return entry;
}

static QH_RESULT grow(struct objects *objects)
{
    struct objects larger = *objects;
    struct objects_entry *entry;

    larger.bucket_count = objects->bucket_count > 0 ? objects->bucket_count * 2 : BUCKETS_FIRST;
    larger.buckets = calloc(larger.bucket_count, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        return QH_ENOMEM;
    }
    for (size_t i = 0; i < objects->bucket_count; i++) {
        while ((entry = objects->buckets[i]) != NULL) {
            struct objects_entry **bucket = bucket_of(&larger, entry->id);

            objects->buckets[i] = entry->bucket_next;
            entry->bucket_next = *bucket;
            *bucket = entry;
        }
    }
    free(objects->buckets);
    *objects = larger;
    return QH_OK;
}

static QH_RESULT index_add(struct objects *objects, struct objects_entry *entry)
{
    struct objects_entry **bucket;

    if (objects->token_count >= objects->bucket_count && grow(objects) != QH_OK) {
        return QH_ENOMEM;
    }
    bucket = bucket_of(objects, entry->id);
    entry->bucket_next = *bucket;
    *bucket = entry;
    objects->token_count++;
    return QH_OK;
}

static void index_remove(struct objects *objects, struct objects_entry *entry)
{
    struct objects_entry **link = bucket_of(objects, entry->id);

    while (*link != entry) {
        link = &(*link)->bucket_next;
    }
    *link = entry->bucket_next;
    objects->token_count--;
}

/* ---- the whole ---- */

void objects_init(struct objects *objects)
{
    struct objects empty = {.handles = objects->handles};

    handle_table_init(&empty.handles, OBJECTS_HANDLES_MAX);
    *objects = empty;
}

void objects_close(struct objects *objects)
{
    struct handle_item *item;

    for (size_t i = 0; i < objects->handles.bucket_count; i++) {
        while ((item = objects->handles.buckets[i]) != NULL) {
            objects_remove(objects, (struct objects_entry *)item);
        }
    }
    free(objects->buckets);
    handle_table_close(&objects->handles);
    objects_init(objects);
}

void objects_forget(struct objects *objects, struct objects_entry *entry)
{
    if (entry->value == NULL) {
        return;
    }
    list_remove(&objects->kept, entry);
    objects_value_unref(entry->value);
    entry->value = NULL;
}

struct objects_value *objects_renew(struct objects *objects, struct objects_entry *entry,
                                    struct quadhsm_object *object, uint64_t now_ms)
{
    struct objects_value *value = value_new(object, now_ms);

    if (value == NULL) {
        return NULL;
    }
    if (entry->session == 0) {
        if (entry->value != NULL) {
            list_remove(&objects->kept, entry);
        }
        list_append(&objects->kept, entry);
    }
    objects_value_unref(entry->value);
    value->sequence = ++objects->sequence;
    entry->value = value;
    entry->is_private = objects_flag(object, CKA_PRIVATE, false);
    if (objects->kept.count > OBJECTS_VALUES_MAX) {
        objects_forget(objects, objects->kept.oldest);
    }
    return value;
}

bool objects_is_newer(const struct objects_entry *entry, uint64_t sequence)
{
    return entry->value != NULL && entry->value->sequence > sequence;
}

/* An entry that is in the tables, and has no value yet. */
static QH_RESULT entry_new(struct objects *objects, uint64_t slot, uint64_t session,
                           const uint8_t *id, struct objects_entry **ret_entry)
{
    struct objects_entry *entry = calloc(1, sizeof *entry);
    enum qh_err err;

    if (entry == NULL) {
        return QH_ENOMEM;
    }
    entry->slot = slot;
    entry->session = session;
    memcpy(entry->id, id, sizeof entry->id);
    err = handle_add(&objects->handles, &entry->item);
    if (err != QH_OK) {
        free(entry);
        return err;
    }
    if (session != 0) {
        list_append(&objects->session, entry);
    } else if (index_add(objects, entry) != QH_OK) {
        handle_remove(&objects->handles, &entry->item);
        free(entry);
        return QH_ENOMEM;
    }
    *ret_entry = entry;
    return QH_OK;
}

QH_RESULT objects_put(struct objects *objects, uint64_t slot, uint64_t session,
                      struct quadhsm_object *object, uint64_t now_ms, uint64_t *ret_handle)
{
    struct objects_entry *entry = session == 0 ? objects_find_id(objects, slot, object->id) : NULL;
    bool known = entry != NULL;
    enum qh_err err = QH_OK;

    if (!known) {
        err = entry_new(objects, slot, session, object->id, &entry);
    }
    if (err != QH_OK) {
        quadhsm_object_free(object);
        return err;
    }
    if (objects_renew(objects, entry, object, now_ms) == NULL) {
        if (!known) {
            objects_remove(objects, entry);
        }
        return QH_ENOMEM;
    }
    *ret_handle = entry->item.handle;
    return QH_OK;
}

struct objects_entry *objects_find(struct objects *objects, uint64_t slot, uint64_t handle)
{
    struct objects_entry *entry = (struct objects_entry *)handle_find(&objects->handles, handle);

    if (entry == NULL || entry->slot != slot) {
        return NULL;
    }
    if (entry->session == 0 && entry->value != NULL) {
        list_remove(&objects->kept, entry);
        list_append(&objects->kept, entry);
    }
    return entry;
}

void objects_remove(struct objects *objects, struct objects_entry *entry)
{
    if (entry->session != 0) {
        list_remove(&objects->session, entry);
    } else {
        index_remove(objects, entry);
        if (entry->value != NULL) {
            list_remove(&objects->kept, entry);
        }
    }
    handle_remove(&objects->handles, &entry->item);
    objects_value_unref(entry->value);
    free(entry);
}

void objects_remove_session(struct objects *objects, uint64_t session)
{
    struct objects_entry *entry = objects->session.oldest;

    while (entry != NULL) {
        struct objects_entry *newer = entry->newer;

        if (entry->session == session) {
            objects_remove(objects, entry);
        }
        entry = newer;
    }
}

static void remove_all(struct objects *objects, uint64_t slot, bool private_only)
{
    struct handle_item *item;
    struct handle_item *next;

    for (size_t i = 0; i < objects->handles.bucket_count; i++) {
        for (item = objects->handles.buckets[i]; item != NULL; item = next) {
            struct objects_entry *entry = (struct objects_entry *)item;

            next = item->next;
            if (entry->slot == slot && (entry->is_private || !private_only)) {
                objects_remove(objects, entry);
            }
        }
    }
}

void objects_remove_private(struct objects *objects, uint64_t slot)
{
    remove_all(objects, slot, true);
}

void objects_remove_token(struct objects *objects, uint64_t slot)
{
    remove_all(objects, slot, false);
}
