/* The keys that a thread has opened lately: a hash table of a fixed number of entries in the order
 * of their use. What it is not: a place for more than one thread. */
#include "node/keycache.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEYCACHE_BUCKETS 512u /* a power of two */
#define KEYCACHE_NAME_SIZE 32u

struct entry {
    bool session;
    uint8_t partition[PARTITION_ID_SIZE];
    uint8_t name[KEYCACHE_NAME_SIZE]; /* an object's id and zeroes, or a session object's hash */
    uint64_t revision;                /* mod_revision; 0 of a session object */
    uint64_t used_ms;
    struct key *key;
    struct object *object; /* of a session object, without material */
    struct entry *bucket_next;
    struct entry *older, *newer; /* or, unused: the next unused one in older */
};

struct keycache {
    const struct keyring *keyring; /* whose keys these are; compared, never followed */
    unsigned count;
    struct entry *oldest, *newest, *unused;
    struct entry *buckets[KEYCACHE_BUCKETS];
    struct entry entries[KEYCACHE_ENTRIES];
};

static _Thread_local struct keycache *keycache_of_thread;

static struct keycache *cache_new(void)
{
    struct keycache *cache = calloc(1, sizeof *cache);

    if (cache == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < KEYCACHE_ENTRIES; i++) {
        cache->entries[i].older = cache->unused;
        cache->unused = &cache->entries[i];
    }
    return cache;
}

struct keycache *keycache_mine(void)
{
    if (keycache_of_thread == NULL) {
        keycache_of_thread = cache_new();
    }
    return keycache_of_thread;
}

void keycache_close(void)
{
    keycache_clear(keycache_of_thread);
    free(keycache_of_thread);
    keycache_of_thread = NULL;
}

/* ---- The order of use. */

static void order_remove(struct keycache *cache, struct entry *entry)
{
    if (entry->older != NULL) {
        entry->older->newer = entry->newer;
    } else {
        cache->oldest = entry->newer;
    }
    if (entry->newer != NULL) {
        entry->newer->older = entry->older;
    } else {
        cache->newest = entry->older;
    }
}

static void order_add(struct keycache *cache, struct entry *entry)
{
    entry->older = cache->newest;
    entry->newer = NULL;
    if (cache->newest != NULL) {
        cache->newest->newer = entry;
    } else {
        cache->oldest = entry;
    }
    cache->newest = entry;
}

/* ---- Entries. */

/* Ids and hashes are random: their first bytes are as good as any hash of them. */
static struct entry **bucket_of(struct keycache *cache, const uint8_t name[KEYCACHE_NAME_SIZE])
{
    uint64_t number;

    memcpy(&number, name, sizeof number);
    return &cache->buckets[number & (KEYCACHE_BUCKETS - 1)];
}

static void entry_drop(struct keycache *cache, struct entry *entry)
{
    struct entry **at = bucket_of(cache, entry->name);

    while (*at != entry) {
        at = &(*at)->bucket_next;
    }
    *at = entry->bucket_next;
    order_remove(cache, entry);
    key_free(entry->key);
    object_free(entry->object);
    *entry = (struct entry){.older = cache->unused};
    cache->unused = entry;
    cache->count--;
}

static struct entry *entry_find(struct keycache *cache, const struct entry *wanted)
{
    struct entry *entry = *bucket_of(cache, wanted->name);

    while (entry != NULL) {
        if (entry->session == wanted->session &&
            memcmp(entry->name, wanted->name, sizeof entry->name) == 0 &&
            memcmp(entry->partition, wanted->partition, sizeof entry->partition) == 0) {
            return entry;
        }
        entry = entry->bucket_next;
    }
    return NULL;
}

/* What is kept of @wanted, as the newest; NULL if there is nothing or another revision of it. */
static struct entry *entry_use(struct keycache *cache, const struct entry *wanted, uint64_t now_ms)
{
    struct entry *entry = entry_find(cache, wanted);

    if (entry == NULL) {
        return NULL;
    }
    if (entry->revision != wanted->revision) {
        entry_drop(cache, entry);
        return NULL;
    }
    entry->used_ms = now_ms;
    if (cache->newest != entry) {
        order_remove(cache, entry);
        order_add(cache, entry);
    }
    return entry;
}

static struct entry *entry_add(struct keycache *cache, const struct entry *wanted, uint64_t now_ms)
{
    struct entry **bucket = bucket_of(cache, wanted->name);
    struct entry *entry;

    if (cache->unused == NULL) {
        entry_drop(cache, cache->oldest);
    }
    entry = cache->unused;
    cache->unused = entry->older;
    *entry = *wanted;
    entry->used_ms = now_ms;
    entry->bucket_next = *bucket;
    *bucket = entry;
    order_add(cache, entry);
    cache->count++;
    return entry;
}

/* ---- Opening. */

static QH_RESULT open_key(const struct object *object, struct key **ret_key)
{
    struct bytes material = {0};

    if (object->material == NULL) {
        return QH_EKEYTYPE; /* a certificate, or data */
    }
    material.base = secret_view(object->material);
    material.size = secret_size(object->material);
    return key_open(object->object_class, object->key_type, material, ret_key);
}

/* The keys of another keyring are of no use any more. */
static void follow_keyring(struct keycache *cache, const struct keyring *keyring)
{
    if (cache->keyring != keyring) {
        keycache_clear(cache);
        cache->keyring = keyring;
    }
}

QH_RESULT keycache_get(struct keycache *cache, const struct keyring *keyring,
                       const struct directory_partition *partition,
                       const struct view_object *object, uint64_t now_ms, struct key **ret_key)
{
    struct entry wanted = {.revision = object->mod_revision};
    struct object *opened = NULL;
    struct entry *entry;
    enum qh_err err;

    if (cache == NULL) {
        return QH_ENOMEM;
    }
    follow_keyring(cache, keyring);
    memcpy(wanted.partition, partition->id, sizeof wanted.partition);
    memcpy(wanted.name, object->id, OBJECT_ID_SIZE);
    entry = entry_use(cache, &wanted, now_ms);
    if (entry == NULL) {
        err = object_open(partition->key, keyring_cluster(keyring), partition->id, object->id,
                          object->sealed, true, &opened);
        if (err != QH_OK) {
            return err;
        }
        err = open_key(opened, &wanted.key);
        object_free(opened);
        if (err != QH_OK) {
            return err;
        }
        entry = entry_add(cache, &wanted, now_ms);
    }
    *ret_key = entry->key;
    return QH_OK;
}

QH_RESULT keycache_get_session(struct keycache *cache, const struct keyring *keyring,
                               const struct directory_partition *partition, struct bytes sealed,
                               uint64_t now_ms, struct key **ret_key,
                               const struct object **ret_object)
{
    struct entry wanted = {.session = true};
    struct entry *entry;
    enum qh_err err;

    if (cache == NULL) {
        return QH_ENOMEM;
    }
    err = object_check_generation(sealed, partition->generation);
    if (err != QH_OK) {
        return err;
    }
    follow_keyring(cache, keyring);
    memcpy(wanted.partition, partition->id, sizeof wanted.partition);
    (void)crypto_generichash(wanted.name, sizeof wanted.name, sealed.base, sealed.size, NULL, 0);
    entry = entry_use(cache, &wanted, now_ms);
    if (entry == NULL) {
        err = object_open(partition->key, keyring_cluster(keyring), partition->id, NULL, sealed,
                          true, &wanted.object);
        if (err != QH_OK) {
            return err;
        }
        err = open_key(wanted.object, &wanted.key);
        if (err != QH_OK) {
            object_free(wanted.object);
            return err;
        }
        secret_free(wanted.object->material); /* the key has its own */
        wanted.object->material = NULL;
        entry = entry_add(cache, &wanted, now_ms);
    }
    *ret_key = entry->key;
    *ret_object = entry->object;
    return QH_OK;
}

void keycache_clear(struct keycache *cache)
{
    while (cache != NULL && cache->oldest != NULL) {
        entry_drop(cache, cache->oldest);
    }
}

void keycache_expire(struct keycache *cache, uint64_t now_ms)
{
    while (cache != NULL && cache->oldest != NULL &&
           now_ms - cache->oldest->used_ms >= KEYCACHE_IDLE_MS) {
        entry_drop(cache, cache->oldest);
    }
}

unsigned keycache_count(const struct keycache *cache)
{
    return cache != NULL ? cache->count : 0;
}
