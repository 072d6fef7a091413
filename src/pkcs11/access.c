/* From object handles to what is known of the objects. */
#include "pkcs11/access.h"

#include <string.h>

#include "pkcs11/login.h"

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

static CKR_RESULT read_again(struct session *session, CK_OBJECT_HANDLE handle, const uint8_t *id,
                             enum ckr_about about, struct objects_value **ret_value)
{
    uint64_t login = login_current(session->slot);
    struct quadhsm_object *object = NULL;
    struct objects_value *value = NULL;
    struct objects_entry *entry;
    int error = quadhsm_read(session->slot->token, id, &object);

    if (error != QUADHSM_OK) {
        return access_failed(session, login, handle, error, about);
    }
    module_lock();
    entry = objects_find(module_objects(), session->slot->id, handle);
    if (entry != NULL) {
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

CKR_RESULT access_object(struct session *session, CK_OBJECT_HANDLE handle, enum ckr_about about,
                         bool fresh, struct objects_value **ret_value)
{
    struct known known = look_up(session, handle);
    bool good = known.value != NULL;

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
