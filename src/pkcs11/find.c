/* C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal. */
#include "pkcs11/find.h"

#include <stdlib.h>

#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/template.h"

/* Handles given out at a time under the lock. */
#define BATCH 256u

struct search {
    CK_OBJECT_HANDLE *handles;
    size_t count;
    size_t room;
    size_t next;
};

void search_free(struct search *search)
{
    if (search != NULL) {
        free(search->handles);
        free(search);
    }
}

struct search *search_take(struct session *session)
{
    struct search *search;

    module_lock();
    search = session->search;
    session->search = NULL;
    module_unlock();
    return search;
}

static CKR_RESULT append(struct search *search, CK_OBJECT_HANDLE handle)
{
    if (search->count == search->room) {
        size_t room = search->room > 0 ? search->room * 2 : 16;
        CK_OBJECT_HANDLE *larger = reallocarray(search->handles, room, sizeof *larger);

        if (larger == NULL) {
            return CKR_HOST_MEMORY;
        }
        search->handles = larger;
        search->room = room;
    }
    search->handles[search->count++] = handle;
    return CKR_OK;
}

/* Under the lock: give handles to a batch of @list, which keeps what was not taken. */
static CKR_RESULT add_batch(struct search *search, const struct slot *slot,
                            struct quadhsm_object **list, size_t count)
{
    uint64_t now_ms = module_now_ms();

    for (size_t i = 0; i < count; i++) {
        struct quadhsm_object *object = list[i];
        uint64_t handle = CK_INVALID_HANDLE;

        list[i] = NULL;
        if (objects_put(module_objects(), slot->id, 0, object, now_ms, &handle) != QH_OK ||
            append(search, (CK_OBJECT_HANDLE)handle) != CKR_OK) {
            return CKR_HOST_MEMORY;
        }
    }
    return CKR_OK;
}

static CKR_RESULT find_token_objects(struct session *session, const struct template *template,
                                     struct search *search)
{
    uint64_t login = login_current(session->slot);
    struct quadhsm_object **list = NULL;
    size_t count = 0;
    CK_RV rv = CKR_OK;
    int error =
        quadhsm_find(session->slot->token, template->attributes, template->count, 0, &list, &count);

    if (error != QUADHSM_OK) {
        return access_failed(session, login, CK_INVALID_HANDLE, error, ABOUT_CALL);
    }
    for (size_t at = 0; at < count && rv == CKR_OK; at += BATCH) {
        module_lock();
        rv = add_batch(search, session->slot, list + at, count - at < BATCH ? count - at : BATCH);
        module_unlock();
    }
    quadhsm_objects_free(list, count);
    return rv;
}

static CKR_RESULT find_session_objects(const struct session *session,
                                       const struct template *template, struct search *search)
{
    const struct objects_entry *entry;
    CK_RV rv = CKR_OK;

    module_lock();
    for (entry = module_objects()->session.oldest; entry != NULL && rv == CKR_OK;
         entry = entry->newer) {
        bool visible = !entry->is_private || session->slot->role != QUADHSM_ROLE_NONE;

        if (entry->slot == session->slot->id && visible &&
            template_matches(template, entry->value->object)) {
            rv = append(search, (CK_OBJECT_HANDLE)entry->item.handle);
        }
    }
    module_unlock();
    return rv;
}

static CKR_RESULT search_new(struct session *session, const struct template *template,
                             struct search **ret_search)
{
    struct search *search = calloc(1, sizeof *search);
    CK_RV rv = CKR_OK;

    if (search == NULL) {
        return CKR_HOST_MEMORY;
    }
    /* CKA_TOKEN says which of both can match at all. */
    if (template_flag(template, CKA_TOKEN, true)) {
        rv = find_token_objects(session, template, search);
    }
    if (rv == CKR_OK && !template_flag(template, CKA_TOKEN, false)) {
        rv = find_session_objects(session, template, search);
    }
    if (rv != CKR_OK) {
        search_free(search);
        return rv;
    }
    *ret_search = search;
    return CKR_OK;
}

static bool is_searching(struct session *session)
{
    bool searching;

    module_lock();
    searching = session->search != NULL;
    module_unlock();
    return searching;
}

static CKR_RESULT find_init(struct session *session, const CK_ATTRIBUTE *list, CK_ULONG count)
{
    struct search *search = NULL;
    struct template template;
    CK_RV rv;

    if (is_searching(session)) {
        return CKR_OPERATION_ACTIVE;
    }
    rv = template_open(list, count, &template);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = search_new(session, &template, &search);
    template_close(&template);
    if (rv != CKR_OK) {
        return rv;
    }
    module_lock();
    if (session->search != NULL) {
        rv = CKR_OPERATION_ACTIVE;
    } else {
        session->search = search;
        search = NULL;
    }
    module_unlock();
    search_free(search);
    return rv;
}

MODULE_API CK_RV C_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE_PTR list, CK_ULONG count)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = find_init(session, list, count);
        module_leave_session(session);
    }
    return rv;
}

/* Under the lock. */
static CKR_RESULT find_next(struct search *search, CK_OBJECT_HANDLE *handles, CK_ULONG room,
                            CK_ULONG *count)
{
    CK_ULONG given = 0;

    if (search == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    while (given < room && search->next < search->count) {
        template_set_ulong(handles + given, search->handles[search->next]);
        given++;
        search->next++;
    }
    template_set_ulong(count, given);
    return CKR_OK;
}

MODULE_API CK_RV C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE_PTR handles,
                               CK_ULONG room, CK_ULONG_PTR count)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    if (count == NULL || (handles == NULL && room > 0)) {
        rv = CKR_ARGUMENTS_BAD;
    } else {
        module_lock();
        rv = find_next(session->search, handles, room, count);
        module_unlock();
    }
    module_leave_session(session);
    return rv;
}

MODULE_API CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE handle)
{
    struct session *session;
    struct search *search;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    search = search_take(session);
    rv = search != NULL ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
    search_free(search);
    module_leave_session(session);
    return rv;
}
