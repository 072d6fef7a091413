/* Answered searches, by template: a table in which a newer search takes the place of an older one.
 */
#include "pkcs11/search_cache.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define ATTRIBUTE_HEADER_SIZE 16u /* type and size */

struct cached {
    uint8_t *bytes; /* the template's */
    size_t size;
    uint64_t slot, login, revision, until_ms;
    size_t count;
    CK_OBJECT_HANDLE handles[];
};

static struct cached *cached[SEARCH_CACHE_MAX];
static uint8_t hash_key[crypto_shorthash_KEYBYTES]; /* values come from anywhere */
static bool hash_key_made;

/* ---- templates ---- */

QH_RESULT search_template_copy(const struct template *template, struct search_template *ret_copy)
{
    struct search_template copy = {.count = template->count};
    struct bytes_writer writer;

    for (size_t i = 0; i < template->count; i++) {
        copy.size += ATTRIBUTE_HEADER_SIZE + template->attributes[i].size;
    }
    copy.bytes = malloc(copy.size + 1);
    copy.attributes = calloc(template->count + 1, sizeof *copy.attributes);
    if (copy.bytes == NULL || copy.attributes == NULL) {
        free(copy.bytes);
        free(copy.attributes);
        return QH_ENOMEM;
    }
    bytes_writer_init(&writer, copy.bytes, copy.size);
    for (size_t i = 0; i < template->count; i++) {
        const struct quadhsm_attribute *from = &template->attributes[i];

        bytes_write_u64(&writer, from->type);
        bytes_write_u64(&writer, from->size);
        copy.attributes[i] = (struct quadhsm_attribute){
            .type = from->type, .value = copy.bytes + writer.size, .size = from->size};
        if (from->size > 0) {
            bytes_write_span(&writer, from->value, from->size);
        }
    }
    *ret_copy = copy;
    return QH_OK;
}

/* Somebody may search for a value that is nobody else's business. */
static void wipe(uint8_t *bytes, size_t size)
{
    if (bytes != NULL) {
        sodium_memzero(bytes, size);
    }
    free(bytes);
}

void search_template_close(struct search_template *template)
{
    wipe(template->bytes, template->size);
    free(template->attributes);
    *template = (struct search_template){.count = 0};
}

/* ---- what was found ---- */

static struct cached **place_of(const struct search_template *template)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t number;

    if (!hash_key_made) {
        randombytes_buf(hash_key, sizeof hash_key);
        hash_key_made = true;
    }
    crypto_shorthash(hash, template->bytes, template->size, hash_key);
    memcpy(&number, hash, sizeof number);
    return &cached[number % SEARCH_CACHE_MAX];
}

static void drop(struct cached **place)
{
    if (*place != NULL) {
        wipe((*place)->bytes, (*place)->size);
        free(*place);
        *place = NULL;
    }
}

void search_cache_clear(void)
{
    for (size_t i = 0; i < SEARCH_CACHE_MAX; i++) {
        drop(&cached[i]);
    }
}

/* Handles of objects that are known to be gone went with them. */
static bool all_known(const struct cached *entry)
{
    for (size_t i = 0; i < entry->count; i++) {
        if (handle_find(&module_objects()->handles, entry->handles[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool answers(const struct cached *entry, const struct search_cache_key *key)
{
    const struct search_template *template = key->template;

    return entry->slot == key->slot && entry->login == key->login &&
           entry->size == template->size &&
           sodium_memcmp(entry->bytes, template->bytes, template->size) == 0;
}

CK_OBJECT_HANDLE *search_cache_get(const struct search_cache_key *key, uint64_t now_ms,
                                   size_t *ret_count)
{
    struct cached **place = place_of(key->template);
    const struct cached *entry = *place;
    CK_OBJECT_HANDLE *handles;

    if (entry == NULL || !answers(entry, key)) {
        return NULL;
    }
    if (now_ms >= entry->until_ms || entry->revision != key->revision || !all_known(entry)) {
        drop(place);
        return NULL;
    }
    handles = calloc(entry->count, sizeof *handles);
    if (handles != NULL) {
        memcpy(handles, entry->handles, entry->count * sizeof *handles);
        *ret_count = entry->count;
    }
    return handles;
}

void search_cache_put(const struct search_cache_key *key, uint64_t until_ms,
                      const CK_OBJECT_HANDLE *handles, size_t count)
{
    const struct search_template *template = key->template;
    struct cached **place;
    struct cached *entry;

    if (count == 0 || count > SEARCH_CACHE_HANDLES_MAX ||
        template->size > SEARCH_CACHE_TEMPLATE_MAX) {
        return;
    }
    place = place_of(template);
    drop(place);
    entry = calloc(1, sizeof *entry + count * sizeof *handles);
    if (entry == NULL) {
        return;
    }
    entry->bytes = malloc(template->size + 1);
    if (entry->bytes == NULL) {
        free(entry);
        return;
    }
    if (template->size > 0) {
        memcpy(entry->bytes, template->bytes, template->size);
    }
    memcpy(entry->handles, handles, count * sizeof *handles);
    entry->size = template->size;
    entry->count = count;
    entry->slot = key->slot;
    entry->login = key->login;
    entry->revision = key->revision;
    entry->until_ms = until_ms;
    *place = entry;
}
