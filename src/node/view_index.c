/* Tables and lines of a view's objects. */
#include "node/view_index.h"

#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "node/view_rcu.h"

#define BUCKETS_MIN 64u

/* Of an entry in one line. The list ends with NULL. */
struct place {
    struct view_line *line; /* NULL: in none of this kind */
    struct view_entry *_Atomic next;
    struct view_entry *before; /* the writer's */
};

/* Never changes once it is put, but for its places' links. */
struct view_entry {
    struct view_object object;
    uint8_t partition[PARTITION_ID_SIZE];
    struct cds_lfht_node node;
    struct place places[VIEW_LINES];
    struct rcu_head rcu;
};

struct view_line {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    uint8_t partition[PARTITION_ID_SIZE];
    enum view_line_kind kind;
    struct view_entry *_Atomic first;
    struct view_entry *last; /* the writer's */
    _Atomic uint64_t count;
    size_t value_size;
    uint8_t value[];
};

/* Where an object stood that is gone. */
struct grave {
    struct cds_lfht_node node;
    struct rcu_head rcu;
    uint8_t partition[PARTITION_ID_SIZE];
    uint8_t id[OBJECT_ID_SIZE];
    uint64_t create_revision;
};

struct table {
    struct cds_lfht *hash;
    size_t count, buckets;
};

struct view_index {
    struct table entries, lines, graves;
    uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* values come from clients */
    struct grave *oldest[VIEW_GRAVES_MAX];       /* a ring */
    unsigned grave_next;
};

#define ENTRY_OF(pointer) \
    ((struct view_entry *)(void *)((char *)(pointer)-offsetof(struct view_entry, node)))
#define LINE_OF(pointer) \
    ((struct view_line *)(void *)((char *)(pointer)-offsetof(struct view_line, node)))
#define GRAVE_OF(pointer) ((struct grave *)(void *)((char *)(pointer)-offsetof(struct grave, node)))

/* ---- tables ---- */

static QH_RESULT table_open(struct table *table, size_t count)
{
    size_t buckets = BUCKETS_MIN;

    while (buckets < count) {
        buckets *= 2;
    }
    table->hash = cds_lfht_new_flavor(buckets, BUCKETS_MIN, 0, 0, &urcu_memb_flavor, NULL);
    table->buckets = buckets;
    return table->hash != NULL ? QH_OK : QH_ENOMEM;
}

/* Take everything out, and destroy it. */
static void table_close(struct table *table, void (*release)(struct rcu_head *head),
                        size_t rcu_offset)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;

    if (table->hash == NULL) {
        return;
    }
    urcu_memb_read_lock();
    cds_lfht_first(table->hash, &iter);
    while ((node = cds_lfht_iter_get_node(&iter)) != NULL) {
        cds_lfht_next(table->hash, &iter);
        QH_ASSERT(cds_lfht_del(table->hash, node) == 0);
        /* In each of the structures the head stands that far from the node. */
        view_rcu_later((struct rcu_head *)(void *)((char *)node + rcu_offset), release);
    }
    urcu_memb_read_unlock();
    QH_ASSERT(cds_lfht_destroy(table->hash, NULL) == 0);
}

static void table_add(struct table *table, unsigned long hash, struct cds_lfht_node *node)
{
    urcu_memb_read_lock();
    cds_lfht_add(table->hash, hash, node);
    urcu_memb_read_unlock();
    if (++table->count > 2 * table->buckets) {
        table->buckets *= 2;
        cds_lfht_resize(table->hash, table->buckets);
    }
}

static void table_remove(struct table *table, struct cds_lfht_node *node)
{
    urcu_memb_read_lock();
    QH_ASSERT(cds_lfht_del(table->hash, node) == 0);
    urcu_memb_read_unlock();
    table->count--;
}

static struct cds_lfht_node *table_find(const struct table *table, unsigned long hash,
                                        cds_lfht_match_fct match, const void *key)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;

    cds_lfht_lookup(table->hash, hash, match, key, &iter);
    node = cds_lfht_iter_get_node(&iter);
    if (node != NULL) {
        VIEW_RCU_ACQUIRE(node);
    }
    return node;
}

/* ---- keys ---- */

struct object_key {
    const uint8_t *partition, *id;
};

struct line_key {
    const uint8_t *partition;
    enum view_line_kind kind;
    struct bytes value;
};

static unsigned long hash_of(const struct view_index *index, const uint8_t *base, size_t size)
{
    uint8_t hash[crypto_shorthash_BYTES];
    unsigned long number;

    crypto_shorthash(hash, base, size, index->hash_key);
    memcpy(&number, hash, sizeof number);
    return number;
}

/* Ids are random: those of two partitions are no more alike than two of one. */
static unsigned long object_hash(const struct view_index *index, const struct object_key *key)
{
    return hash_of(index, key->id, OBJECT_ID_SIZE);
}

static unsigned long line_hash(const struct view_index *index, const struct line_key *key)
{
    unsigned long of_partition = hash_of(index, key->partition, PARTITION_ID_SIZE);

    if (key->kind == VIEW_LINE_ALL) {
        return of_partition;
    }
    return hash_of(index, key->value.base, key->value.size) ^ (of_partition << key->kind);
}

static bool same_ids(const struct object_key *key, const uint8_t *partition, const uint8_t *id)
{
    return memcmp(key->id, id, OBJECT_ID_SIZE) == 0 &&
           memcmp(key->partition, partition, PARTITION_ID_SIZE) == 0;
}

static int match_entry(struct cds_lfht_node *node, const void *key)
{
    const struct view_entry *entry = ENTRY_OF(node);

    VIEW_RCU_ACQUIRE(node);
    return same_ids(key, entry->partition, entry->object.id);
}

static int match_grave(struct cds_lfht_node *node, const void *key)
{
    const struct grave *grave = GRAVE_OF(node);

    VIEW_RCU_ACQUIRE(node);
    return same_ids(key, grave->partition, grave->id);
}

static int match_line(struct cds_lfht_node *node, const void *data)
{
    const struct view_line *line = LINE_OF(node);
    const struct line_key *key = data;

    VIEW_RCU_ACQUIRE(node);
    return line->kind == key->kind &&
           memcmp(line->partition, key->partition, PARTITION_ID_SIZE) == 0 &&
           bytes_compare((struct bytes){line->value, line->value_size}, key->value) == 0;
}

/* ---- entries ---- */

QH_RESULT view_entry_new(const uint8_t partition[PARTITION_ID_SIZE],
                         const uint8_t id[OBJECT_ID_SIZE], const struct store_record *record,
                         struct object *object, struct view_entry **ret_entry)
{
    struct view_entry *entry = calloc(1, sizeof *entry);
    uint8_t *sealed = malloc(record->value.size);

    if (entry == NULL || sealed == NULL) {
        free(entry);
        free(sealed);
        return QH_ENOMEM;
    }
    memcpy(sealed, record->value.base, record->value.size);
    memcpy(entry->partition, partition, PARTITION_ID_SIZE);
    memcpy(entry->object.id, id, OBJECT_ID_SIZE);
    entry->object.create_revision = record->create_revision;
    entry->object.mod_revision = record->mod_revision;
    entry->object.sealed = (struct bytes){sealed, record->value.size};
    entry->object.object = object;
    *ret_entry = entry;
    return QH_OK;
}

void view_entry_free(struct view_entry *entry)
{
    if (entry != NULL) {
        object_free((struct object *)(uintptr_t)entry->object.object);
        free((void *)(uintptr_t)entry->object.sealed.base);
        free(entry);
    }
}

static void release_entry(struct rcu_head *head)
{
    view_rcu_begin_release();
    view_entry_free((struct view_entry *)(void *)((char *)head - offsetof(struct view_entry, rcu)));
    view_rcu_end_release();
}

/* The order of lines. */
static int compare_places(const struct view_object *left, uint64_t create_revision,
                          const uint8_t id[OBJECT_ID_SIZE])
{
    if (left->create_revision != create_revision) {
        return left->create_revision < create_revision ? -1 : 1;
    }
    return memcmp(left->id, id, OBJECT_ID_SIZE);
}

int view_entry_compare(const void *left, const void *right)
{
    const struct view_entry *const *first = left;
    const struct view_entry *const *second = right;

    return compare_places(&(*first)->object, (*second)->object.create_revision,
                          (*second)->object.id);
}

/* ---- lines ---- */

static void release_line(struct rcu_head *head)
{
    view_rcu_begin_release();
    free((char *)head - offsetof(struct view_line, rcu));
    view_rcu_end_release();
}

/* The line that is there, or a new one. */
static QH_RESULT get_line(struct view_index *index, const struct line_key *key,
                          struct view_line **ret_line)
{
    unsigned long hash = line_hash(index, key);
    struct cds_lfht_node *node;
    struct view_line *line;

    urcu_memb_read_lock();
    node = table_find(&index->lines, hash, match_line, key);
    urcu_memb_read_unlock();
    if (node != NULL) {
        *ret_line = LINE_OF(node);
        return QH_OK;
    }
    line = calloc(1, sizeof *line + key->value.size);
    if (line == NULL) {
        return QH_ENOMEM;
    }
    memcpy(line->partition, key->partition, PARTITION_ID_SIZE);
    line->kind = key->kind;
    line->value_size = key->value.size;
    if (key->value.size > 0) {
        memcpy(line->value, key->value.base, key->value.size);
    }
    cds_lfht_node_init(&line->node);
    VIEW_RCU_RELEASE(&line->node);
    table_add(&index->lines, hash, &line->node);
    *ret_line = line;
    return QH_OK;
}

/* What names a line; @value may point to @room. */
struct line_name {
    struct line_key key;
    uint8_t room[VIEW_KEY_TYPE_SIZE];
};

/* The class before the key type. False: it is no key. */
static bool key_type_of(const struct view_entry *entry, struct line_name *name)
{
    const struct attribute *first = object_attribute(entry->object.object, CKA_CLASS);
    const struct attribute *second = object_attribute(entry->object.object, CKA_KEY_TYPE);

    if (first == NULL || second == NULL ||
        first->value.size + second->value.size != sizeof name->room) {
        return false;
    }
    memcpy(name->room, first->value.base, first->value.size);
    memcpy(name->room + first->value.size, second->value.base, second->value.size);
    name->key.value = (struct bytes){name->room, sizeof name->room};
    return true;
}

/* What names the line of this kind that @entry belongs to. False: none. */
static bool line_name_of(const struct view_entry *entry, enum view_line_kind kind,
                         struct line_name *ret_name)
{
    static const CK_ATTRIBUTE_TYPE types[VIEW_LINES] = {
        [VIEW_LINE_ID] = CKA_ID,
        [VIEW_LINE_LABEL] = CKA_LABEL,
        [VIEW_LINE_CLASS] = CKA_CLASS,
    };
    const struct attribute *attribute;

    ret_name->key = (struct line_key){.partition = entry->partition, .kind = kind};
    if (kind == VIEW_LINE_ALL) {
        return true;
    }
    if (kind == VIEW_LINE_KEY_TYPE) {
        return key_type_of(entry, ret_name);
    }
    attribute = object_attribute(entry->object.object, types[kind]);
    if (attribute == NULL || attribute->value.size == 0) {
        return false; /* most objects may have none: a line of them helps nobody */
    }
    ret_name->key.value = attribute->value;
    return true;
}

static QH_RESULT find_lines(struct view_index *index, struct view_entry *entry)
{
    for (enum view_line_kind kind = VIEW_LINE_ALL; kind < VIEW_LINES; kind++) {
        struct line_name name;

        if (line_name_of(entry, kind, &name)) {
            enum qh_err err = get_line(index, &name.key, &entry->places[kind].line);

            if (err != QH_OK) {
                return err;
            }
        }
    }
    return QH_OK;
}

static struct view_entry *next_of(const struct view_entry *entry, enum view_line_kind kind)
{
    return atomic_load_explicit(&entry->places[kind].next, memory_order_acquire);
}

/* Let what stands before @place, or the line's start, point to @entry. */
static void point_to(struct view_line *line, struct view_entry *before, struct view_entry *entry)
{
    atomic_store_explicit(before != NULL ? &before->places[line->kind].next : &line->first, entry,
                          memory_order_release);
}

static void set_before(struct view_line *line, struct view_entry *entry, struct view_entry *before)
{
    if (entry != NULL) {
        entry->places[line->kind].before = before;
    } else {
        line->last = before;
    }
}

/* New objects belong to the end; only a renamed one has far to go. */
static void link_entry(struct view_entry *entry, enum view_line_kind kind)
{
    struct view_line *line = entry->places[kind].line;
    struct view_entry *before = line->last;
    struct view_entry *after;

    while (before != NULL &&
           compare_places(&before->object, entry->object.create_revision, entry->object.id) > 0) {
        before = before->places[kind].before;
    }
    after = before != NULL ? next_of(before, kind)
                           : atomic_load_explicit(&line->first, memory_order_relaxed);
    atomic_store_explicit(&entry->places[kind].next, after, memory_order_relaxed);
    entry->places[kind].before = before;
    point_to(line, before, entry);
    set_before(line, after, entry);
    atomic_fetch_add_explicit(&line->count, 1, memory_order_relaxed);
}

/* @entry in the place of @old: a reader meets one of them. */
static void relink_entry(struct view_entry *entry, struct view_entry *old, enum view_line_kind kind)
{
    struct view_line *line = entry->places[kind].line;
    struct view_entry *before = old->places[kind].before;
    struct view_entry *after = next_of(old, kind);

    atomic_store_explicit(&entry->places[kind].next, after, memory_order_relaxed);
    entry->places[kind].before = before;
    point_to(line, before, entry);
    set_before(line, after, entry);
}

/* The entry's own link stays, for readers who stand there. */
static void unlink_entry(struct view_index *index, struct view_entry *entry,
                         enum view_line_kind kind)
{
    struct view_line *line = entry->places[kind].line;
    struct view_entry *before = entry->places[kind].before;
    struct view_entry *after = next_of(entry, kind);

    point_to(line, before, after);
    set_before(line, after, before);
    if (atomic_fetch_sub_explicit(&line->count, 1, memory_order_relaxed) == 1) {
        table_remove(&index->lines, &line->node);
        view_rcu_later(&line->rcu, release_line);
    }
}

/* ---- graves ---- */

static void release_grave(struct rcu_head *head)
{
    view_rcu_begin_release();
    free((char *)head - offsetof(struct grave, rcu));
    view_rcu_end_release();
}

/* Without memory nobody remembers it, and who lists in pages begins again. */
static void bury(struct view_index *index, const struct view_entry *entry)
{
    struct object_key key = {entry->partition, entry->object.id};
    struct grave *oldest = index->oldest[index->grave_next];
    struct grave *grave = calloc(1, sizeof *grave);

    if (grave == NULL) {
        return;
    }
    if (oldest != NULL) {
        table_remove(&index->graves, &oldest->node);
        view_rcu_later(&oldest->rcu, release_grave);
    }
    memcpy(grave->partition, entry->partition, PARTITION_ID_SIZE);
    memcpy(grave->id, entry->object.id, OBJECT_ID_SIZE);
    grave->create_revision = entry->object.create_revision;
    cds_lfht_node_init(&grave->node);
    VIEW_RCU_RELEASE(&grave->node);
    table_add(&index->graves, object_hash(index, &key), &grave->node);
    index->oldest[index->grave_next] = grave;
    index->grave_next = (index->grave_next + 1) % VIEW_GRAVES_MAX;
}

/* ---- the index ---- */

QH_RESULT view_index_new(size_t object_count, struct view_index **ret_index)
{
    struct view_index *index = calloc(1, sizeof *index);
    enum qh_err err = QH_ENOMEM;

    if (index == NULL) {
        return QH_ENOMEM;
    }
    randombytes_buf(index->hash_key, sizeof index->hash_key);
    err = table_open(&index->entries, object_count);
    if (err == QH_OK) {
        err = table_open(&index->lines, 2 * object_count);
    }
    if (err == QH_OK) {
        err = table_open(&index->graves, 0);
    }
    if (err != QH_OK) {
        view_index_free(index);
        return err;
    }
    *ret_index = index;
    return QH_OK;
}

void view_index_free(struct view_index *index)
{
    if (index == NULL) {
        return;
    }
    table_close(&index->entries, release_entry,
                offsetof(struct view_entry, rcu) - offsetof(struct view_entry, node));
    table_close(&index->lines, release_line,
                offsetof(struct view_line, rcu) - offsetof(struct view_line, node));
    table_close(&index->graves, release_grave,
                offsetof(struct grave, rcu) - offsetof(struct grave, node));
    free(index);
}

static struct view_entry *find_entry(const struct view_index *index, const struct object_key *key)
{
    struct cds_lfht_node *node =
        table_find(&index->entries, object_hash(index, key), match_entry, key);

    return node != NULL ? ENTRY_OF(node) : NULL;
}

/* The writer's own: nothing goes away between this and what it does next. */
static struct view_entry *own_entry(struct view_index *index, const struct object_key *key)
{
    struct view_entry *entry;

    urcu_memb_read_lock();
    entry = find_entry(index, key);
    urcu_memb_read_unlock();
    return entry;
}

QH_RESULT view_index_put(struct view_index *index, struct view_entry *entry)
{
    struct object_key key = {entry->partition, entry->object.id};
    struct view_entry *old = own_entry(index, &key);
    enum qh_err err = find_lines(index, entry);
    bool replaced[VIEW_LINES] = {false};

    if (err != QH_OK) {
        return err;
    }
    cds_lfht_node_init(&entry->node);
    VIEW_RCU_RELEASE(&entry->node);
    for (enum view_line_kind kind = VIEW_LINE_ALL; kind < VIEW_LINES; kind++) {
        replaced[kind] = old != NULL && old->places[kind].line == entry->places[kind].line &&
                         old->object.create_revision == entry->object.create_revision;
        if (entry->places[kind].line == NULL) {
            continue;
        }
        if (replaced[kind]) {
            relink_entry(entry, old, kind);
        } else {
            link_entry(entry, kind);
        }
    }
    if (old == NULL) {
        table_add(&index->entries, object_hash(index, &key), &entry->node);
        return QH_OK;
    }
    urcu_memb_read_lock();
    QH_ASSERT(cds_lfht_add_replace(index->entries.hash, object_hash(index, &key), match_entry, &key,
                                   &entry->node) == &old->node);
    urcu_memb_read_unlock();
    for (enum view_line_kind kind = VIEW_LINE_ALL; kind < VIEW_LINES; kind++) {
        if (old->places[kind].line != NULL && !replaced[kind]) {
            unlink_entry(index, old, kind);
        }
    }
    view_rcu_later(&old->rcu, release_entry);
    return QH_OK;
}

static void remove_entry(struct view_index *index, struct view_entry *entry)
{
    bury(index, entry);
    table_remove(&index->entries, &entry->node);
    for (enum view_line_kind kind = VIEW_LINE_ALL; kind < VIEW_LINES; kind++) {
        if (entry->places[kind].line != NULL) {
            unlink_entry(index, entry, kind);
        }
    }
    view_rcu_later(&entry->rcu, release_entry);
}

void view_index_remove(struct view_index *index, const uint8_t partition[PARTITION_ID_SIZE],
                       const uint8_t id[OBJECT_ID_SIZE])
{
    struct object_key key = {partition, id};
    struct view_entry *entry = own_entry(index, &key);

    if (entry != NULL) {
        remove_entry(index, entry);
    }
}

void view_index_remove_partition(struct view_index *index,
                                 const uint8_t partition[PARTITION_ID_SIZE])
{
    const struct view_line *line;
    struct view_entry *entry;

    urcu_memb_read_lock();
    line = view_index_line(index, partition, VIEW_LINE_ALL, (struct bytes){NULL, 0});
    urcu_memb_read_unlock();
    entry = line != NULL ? atomic_load_explicit(&line->first, memory_order_relaxed) : NULL;
    while (entry != NULL) {
        struct view_entry *next = next_of(entry, VIEW_LINE_ALL);

        remove_entry(index, entry);
        entry = next;
    }
}

const struct view_object *view_index_object(const struct view_index *index,
                                            const uint8_t partition[PARTITION_ID_SIZE],
                                            const uint8_t id[OBJECT_ID_SIZE])
{
    struct object_key key = {partition, id};
    const struct view_entry *entry = find_entry(index, &key);

    return entry != NULL ? &entry->object : NULL;
}

const struct view_line *view_index_line(const struct view_index *index,
                                        const uint8_t partition[PARTITION_ID_SIZE],
                                        enum view_line_kind kind, struct bytes value)
{
    struct line_key key = {.partition = partition, .kind = kind, .value = value};
    struct cds_lfht_node *node =
        table_find(&index->lines, line_hash(index, &key), match_line, &key);

    return node != NULL ? LINE_OF(node) : NULL;
}

uint64_t view_line_count(const struct view_line *line)
{
    return atomic_load_explicit(&line->count, memory_order_relaxed);
}

static const struct view_entry *entry_of_object(const struct view_object *object)
{
    return (const struct view_entry *)(const void *)((const char *)object -
                                                     offsetof(struct view_entry, object));
}

static const struct view_object *object_of(const struct view_entry *entry)
{
    return entry != NULL ? &entry->object : NULL;
}

const struct view_object *view_line_next(const struct view_line *line,
                                         const struct view_object *object)
{
    return object_of(next_of(entry_of_object(object), line->kind));
}

bool view_line_has(const struct view_index *index, const struct view_line *line,
                   const uint8_t *after)
{
    struct object_key key = {line->partition, after};
    const struct view_entry *entry = find_entry(index, &key);

    return entry != NULL && entry->places[line->kind].line == line;
}

/* When an object was created that is not in the line by now; 0: nobody knows. */
static uint64_t remembered(const struct view_index *index, const struct object_key *key,
                           const struct view_entry *entry)
{
    struct cds_lfht_node *node;

    if (entry != NULL) {
        return entry->object.create_revision;
    }
    node = table_find(&index->graves, object_hash(index, key), match_grave, key);
    return node != NULL ? GRAVE_OF(node)->create_revision : 0;
}

const struct view_object *view_line_start(const struct view_index *index,
                                          const struct view_line *line, const uint8_t *after,
                                          uint64_t after_created)
{
    const struct view_object *object =
        object_of(atomic_load_explicit(&line->first, memory_order_acquire));
    struct object_key key = {line->partition, after};
    const struct view_entry *entry;

    if (after == NULL) {
        return object;
    }
    entry = find_entry(index, &key);
    if (entry != NULL && entry->places[line->kind].line == line) {
        return view_line_next(line, &entry->object);
    }
    if (after_created == 0) {
        after_created = remembered(index, &key, entry);
    }
    while (object != NULL && after_created != 0 &&
           compare_places(object, after_created, after) <= 0) {
        object = view_line_next(line, object);
    }
    return object;
}
