/* From object handles to what is known of the objects. */
#include "pkcs11/access.h"

#include <string.h>

#include "pkcs11/login.h"
#include "pkcs11/profile.h"
#include "pkcs11/search_cache.h"

/* What the table says of a handle. */
struct known {
    bool found;
    bool readable; /* not a private object without login */
    bool is_token;
    struct objects_value *value; /* held; NULL: let go of */
    uint8_t id[QUADHSM_OBJECT_ID_SIZE];
};

static struct known look_up(const struct session *session, CK_OBJECT_HANDLE handle)
{
    struct known known = {.found = false};
    struct objects_entry *entry;

    module_lock();
    entry = objects_find(module_objects(), session->slot->id, handle);
    if (entry != NULL) {
        known.found = true;
        known.readable = !entry->is_private || session->slot->role != QUADHSM_ROLE_NONE;
        known.is_token = entry->session == 0;
        known.value = entry->value != NULL ? objects_value_ref(entry->value) : NULL;
        memcpy(known.id, entry->id, sizeof known.id);
    }
    module_unlock();
    return known;
}

/* ---- reading ahead ---- */

/* Who reads a list of objects, one after the other in the order of their handles, would wait for a
 * node each time; a page of those that follow costs hardly more than the one. */
#define AHEAD_FIRST 8u
#define AHEAD_MAX 256u /* objects */

struct ahead {
    uint64_t sequence; /* of the values that are kept */
    struct quadhsm_place after;
    size_t limit; /* 0: it is not worth it */
};

/* Does @handle follow what was read last? */
static struct ahead ahead_of(const struct session *session, CK_OBJECT_HANDLE handle,
                             const uint8_t *id)
{
    struct objects_reading *reading = &module_objects()->reading;
    struct ahead ahead = {.limit = 0};

    module_lock();
    ahead.sequence = module_objects()->sequence;
    if (reading->slot == session->slot->id && reading->next_handle == handle) {
        ahead.limit = reading->count < 5 ? AHEAD_FIRST << reading->count : AHEAD_MAX;
        reading->count++;
        ahead.after = reading->last;
    } else {
        reading->count = 0;
    }
    reading->slot = session->slot->id;
    reading->next_handle = handle + 1;
    memcpy(reading->last.id, id, sizeof reading->last.id);
    reading->last.created = 0; /* if it is gone by then, others are read than those that follow */
    module_unlock();
    return ahead;
}

/* Under the lock: of a page that was asked for at @asked_ms, own what is older here. The one that
 * is wanted is left to the end. NULL: it is not among them. */
static struct quadhsm_object *take_page(const struct slot *slot, const uint8_t *id,
                                        struct quadhsm_object **list, size_t count,
                                        uint64_t asked_ms)
{
    struct objects *objects = module_objects();
    struct quadhsm_object *wanted = NULL;

    for (size_t i = 0; i < count; i++) {
        struct objects_entry *entry = objects_find_id(objects, slot->id, list[i]->id);

        if (entry == NULL) {
            continue;
        }
        objects->reading.next_handle = entry->item.handle + 1;
        memcpy(objects->reading.last.id, entry->id, sizeof entry->id);
        objects->reading.last.created = list[i]->created;
        if (memcmp(entry->id, id, sizeof entry->id) == 0) {
            wanted = list[i];
            list[i] = NULL;
        } else if (entry->value == NULL || entry->value->read_at_ms < asked_ms) {
            (void)objects_renew(objects, entry, list[i], asked_ms);
            list[i] = NULL;
        }
    }
    return wanted;
}

/* The object with @id, and maybe others that follow it. Gives the library's error. */
static int read_object(const struct session *session, const struct ahead *ahead, const uint8_t *id,
                       struct quadhsm_object **ret_object)
{
    struct quadhsm_object **list = NULL;
    struct quadhsm_object *wanted = NULL;
    uint64_t asked_ms = module_now_ms();
    size_t count = 0;
    bool more;

    if (ahead->limit > 0) {
        int error = quadhsm_find_page(session->slot->token, NULL, 0, &ahead->after, ahead->limit,
                                      &list, &count, &more);

        if (error != QUADHSM_OK) {
            return error;
        }
        module_lock();
        wanted = take_page(session->slot, id, list, count, asked_ms);
        module_unlock();
        quadhsm_objects_free(list, count);
    }
    if (wanted == NULL) {
        return quadhsm_read(session->slot->token, id, ret_object);
    }
    *ret_object = wanted;
    return QUADHSM_OK;
}

/* ---- reading ---- */

/* Own @object, which is what @handle stood for after @sequence. */
static CKR_RESULT renew(const struct session *session, CK_OBJECT_HANDLE handle,
                        struct quadhsm_object *object, uint64_t sequence, enum ckr_about about,
                        struct objects_value **ret_value)
{
    struct objects_value *value = NULL;
    struct objects_entry *entry;

    module_lock();
    entry = objects_find(module_objects(), session->slot->id, handle);
    if (entry != NULL && objects_is_newer(entry, sequence)) {
        quadhsm_object_free(object);
        value = objects_value_ref(entry->value);
    } else if (entry != NULL) {
        value = objects_renew(module_objects(), entry, object, module_now_ms());
        if (value != NULL) {
            objects_value_ref(value);
        }
    }
    module_unlock();
    if (entry == NULL) {
        quadhsm_object_free(object);
        return ckr_from_error(QUADHSM_ENOTFOUND, about);
    }
    if (value == NULL) {
        return CKR_HOST_MEMORY;
    }
    *ret_value = value;
    return CKR_OK;
}

static CKR_RESULT read_again(struct session *session, CK_OBJECT_HANDLE handle, const uint8_t *id,
                             enum ckr_about about, struct objects_value **ret_value)
{
    uint64_t login = login_current(session->slot);
    struct ahead ahead = ahead_of(session, handle, id);
    struct quadhsm_object *object = NULL;
    int error = read_object(session, &ahead, id, &object);

    if (error != QUADHSM_OK) {
        return access_failed(session, login, handle, error, about);
    }
    return renew(session, handle, object, ahead.sequence, about, ret_value);
}

CKR_RESULT access_object(struct session *session, CK_OBJECT_HANDLE handle, enum ckr_about about,
                         bool fresh, struct objects_value **ret_value)
{
    struct objects_value *profile = profile_value(handle);
    struct known known = {.found = false};
    bool good;

    if (profile != NULL) {
        *ret_value = profile;
        return CKR_OK;
    }
    known = look_up(session, handle);
    good = known.value != NULL;
    if (!known.found) {
        return ckr_from_error(QUADHSM_ENOTFOUND, about);
    }
    if (!known.readable) {
        objects_value_unref(known.value);
        return CKR_USER_NOT_LOGGED_IN;
    }
    if (good && known.is_token && fresh) {
        good = module_now_ms() - known.value->read_at_ms < ACCESS_FRESH_MS;
    }
    if (!good) {
        objects_value_unref(known.value);
        return read_again(session, handle, known.id, about, ret_value);
    }
    *ret_value = known.value;
    return CKR_OK;
}

static void forget(struct session *session, CK_OBJECT_HANDLE handle, bool gone)
{
    struct objects_entry *entry;

    module_lock();
    entry = objects_find(module_objects(), session->slot->id, handle);
    if (entry != NULL && gone) {
        objects_remove(module_objects(), entry);
    } else if (entry != NULL && entry->session == 0) {
        objects_forget(module_objects(), entry);
    }
    module_unlock();
}

CK_RV access_failed(struct session *session, uint64_t login, CK_OBJECT_HANDLE handle, int error,
                    enum ckr_about about)
{
    if (error == QUADHSM_ETICKET) {
        login_lost(session->slot, login);
    }
    if (error == QUADHSM_EUNKNOWN) {
        /* Something may have changed, and no revision tells of it. */
        module_lock();
        search_cache_clear();
        module_unlock();
    }
    if (handle != CK_INVALID_HANDLE && error == QUADHSM_ENOTFOUND) {
        forget(session, handle, true);
    }
    if (handle != CK_INVALID_HANDLE && (error == QUADHSM_EKEYUSE || error == QUADHSM_EKEYTYPE)) {
        forget(session, handle, false);
    }
    return ckr_from_error(error, about);
}

CKR_RESULT access_add(struct session *session, struct quadhsm_object *object,
                      CK_OBJECT_HANDLE *ret_handle)
{
    uint64_t owner = object->session_size > 0 ? session->item.handle : 0;
    uint64_t handle = CK_INVALID_HANDLE;
    enum qh_err err = QH_OK;
    bool closed;

    module_lock();
    /* Its session objects went with it. */
    closed = session->closed && owner != 0;
    if (!closed) {
        err = objects_put(module_objects(), session->slot->id, owner, object, module_now_ms(),
                          &handle);
    }
    module_unlock();
    if (closed) {
        quadhsm_object_free(object);
        return CKR_SESSION_CLOSED;
    }
    if (err != QH_OK) {
        return CKR_HOST_MEMORY;
    }
    *ret_handle = (CK_OBJECT_HANDLE)handle;
    return CKR_OK;
}
