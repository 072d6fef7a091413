/* C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal.
 *
 * Token objects come first, a page at a time, then those of sessions, then profiles. While a page
 * is on its way the search belongs to the call and not to the session, as operations do. A search
 * sees private objects as long as the login lasts with which it was begun. */
#include "pkcs11/find.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/profile.h"
#include "pkcs11/search_cache.h"
#include "pkcs11/template.h"

#define BATCH 256u      /* handles given out at a time under the lock */
#define FIRST_PAGE 250u /* objects: the first handle should come soon */

struct handles {
    CK_OBJECT_HANDLE *list;
    size_t count, room;
    size_t next; /* to be given out */
};

struct search {
    struct search_template template;
    uint64_t login; /* as it was begun; 0: none */
    struct handles page, session;
    struct quadhsm_place last; /* of the page before */
    bool begun;                /* there was one */
    bool more;                 /* token objects */
    unsigned next_profile;
};

void search_free(struct search *search)
{
    if (search != NULL) {
        search_template_close(&search->template);
        free(search->page.list);
        free(search->session.list);
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

/* False: another one was begun meanwhile. */
static bool search_put(struct session *session, struct search *search)
{
    bool room;

    module_lock();
    room = session->search == NULL;
    if (room) {
        session->search = search;
    }
    module_unlock();
    if (!room) {
        search_free(search);
    }
    return room;
}

static CKR_RESULT append(struct handles *handles, CK_OBJECT_HANDLE handle)
{
    if (handles->count == handles->room) {
        size_t room = handles->room > 0 ? handles->room * 2 : 16;
        CK_OBJECT_HANDLE *larger = reallocarray(handles->list, room, sizeof *larger);

        if (larger == NULL) {
            return CKR_HOST_MEMORY;
        }
        handles->list = larger;
        handles->room = room;
    }
    handles->list[handles->count++] = handle;
    return CKR_OK;
}

/* ---- token objects ---- */

/* Under the lock. */
static bool sees_private(const struct search *search, const struct slot *slot)
{
    return search->login != 0 && slot->role != QUADHSM_ROLE_NONE &&
           slot->login_count == search->login;
}

/* Under the lock: the handle of the object at @place, which keeps one that is known better. */
static QH_RESULT add_object(const struct slot *slot, struct quadhsm_object **place,
                            uint64_t sequence, uint64_t *ret_handle)
{
    const struct objects_entry *entry = objects_find_id(module_objects(), slot->id, (*place)->id);
    struct quadhsm_object *object = *place;

    if (entry != NULL && objects_is_newer(entry, sequence)) {
        *ret_handle = entry->item.handle;
        return QH_OK;
    }
    *place = NULL;
    return objects_put(module_objects(), slot->id, 0, object, module_now_ms(), ret_handle);
}

/* Under the lock: give handles to a batch of @list, which keeps what was not taken. It was asked
 * for after @sequence. */
static CKR_RESULT add_batch(struct search *search, const struct slot *slot, uint64_t sequence,
                            struct quadhsm_object **list, size_t count)
{
    bool private_too = sees_private(search, slot);

    for (size_t i = 0; i < count; i++) {
        uint64_t handle = CK_INVALID_HANDLE;

        if (!private_too && objects_flag(list[i], CKA_PRIVATE, true)) {
            continue;
        }
        if (add_object(slot, &list[i], sequence, &handle) != QH_OK ||
            append(&search->page, (CK_OBJECT_HANDLE)handle) != CKR_OK) {
            return CKR_HOST_MEMORY;
        }
    }
    return CKR_OK;
}

static uint64_t sequence_now(void)
{
    uint64_t sequence;

    module_lock();
    sequence = module_objects()->sequence;
    module_unlock();
    return sequence;
}

/* The next page, in the place of the one that was given out. */
static CKR_RESULT fetch(struct session *session, struct search *search)
{
    uint64_t login = login_current(session->slot), sequence = sequence_now();
    struct quadhsm_object **list = NULL;
    size_t count = 0;
    bool more = false;
    CK_RV rv = CKR_OK;
    int error = quadhsm_find_page(session->slot->token, search->template.attributes,
                                  search->template.count, search->begun ? &search->last : NULL,
                                  search->begun ? 0 : FIRST_PAGE, &list, &count, &more);

    if (error != QUADHSM_OK) {
        return access_failed(session, login, CK_INVALID_HANDLE, error, ABOUT_CALL);
    }
    search->page.count = 0;
    search->page.next = 0;
    search->more = more && count > 0;
    search->begun = true;
    if (count > 0) {
        memcpy(search->last.id, list[count - 1]->id, sizeof search->last.id);
        search->last.created = list[count - 1]->created;
    }
    for (size_t at = 0; at < count && rv == CKR_OK; at += BATCH) {
        module_lock();
        rv = add_batch(search, session->slot, sequence, list + at,
                       count - at < BATCH ? count - at : BATCH);
        module_unlock();
    }
    quadhsm_objects_free(list, count);
    return rv;
}

/* What is asked of the cluster at the module's level is never linearizable, where no search may be
 * answered from before. */
static CKR_RESULT find_token_objects(struct session *session, struct search *search)
{
    struct search_cache_key key = {.template = &search->template,
                                   .slot = session->slot->id,
                                   .login = search->login,
                                   .revision = quadhsm_revision(module_client())};
    uint64_t now_ms = module_now_ms();
    uint64_t until_ms = now_ms + module_search_cache_ms();
    CK_RV rv;

    if (until_ms > now_ms) {
        module_lock();
        search->page.list = search_cache_get(&key, now_ms, &search->page.count);
        module_unlock();
        search->page.room = search->page.count;
    }
    if (search->page.count > 0) {
        return CKR_OK;
    }
    rv = fetch(session, search);
    if (rv == CKR_OK && !search->more && until_ms > now_ms) {
        module_lock();
        search_cache_put(&key, until_ms, search->page.list, search->page.count);
        module_unlock();
    }
    return rv;
}

/* ---- session objects ---- */

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
            rv = append(&search->session, (CK_OBJECT_HANDLE)entry->item.handle);
        }
    }
    module_unlock();
    return rv;
}

/* ---- C_FindObjectsInit ---- */

static CKR_RESULT search_new(struct session *session, const struct template *template,
                             struct search **ret_search)
{
    struct search *search = calloc(1, sizeof *search);
    CK_RV rv = CKR_OK;

    if (search == NULL || search_template_copy(template, &search->template) != QH_OK) {
        search_free(search);
        return CKR_HOST_MEMORY;
    }
    search->login = login_current(session->slot);
    /* CKA_TOKEN says which of both can match at all. */
    if (template_flag(template, CKA_TOKEN, true) && !profile_is_asked_for(template)) {
        rv = find_token_objects(session, search);
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
    return search_put(session, search) ? CKR_OK : CKR_OPERATION_ACTIVE;
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

/* ---- C_FindObjects ---- */

/* Where an application wants its handles. */
struct out {
    CK_OBJECT_HANDLE *list;
    CK_ULONG room, count;
};

/* Under the lock. A handle may have ended since: with the login, or with its object. */
static void give_batch(struct handles *from, struct out *out)
{
    for (unsigned i = 0; i < BATCH && from->next < from->count && out->count < out->room; i++) {
        CK_OBJECT_HANDLE handle = from->list[from->next++];

        if (handle_find(&module_objects()->handles, handle) != NULL) {
            template_set_ulong(out->list + out->count++, handle);
        }
    }
}

static void give(struct handles *from, struct out *out)
{
    while (from->next < from->count && out->count < out->room) {
        module_lock();
        give_batch(from, out);
        module_unlock();
    }
}

/* What was given in this call is to be given again: the page it was from is given out. */
static CKR_RESULT take_back(struct search *search, const struct out *out)
{
    search->page.count = 0;
    search->page.next = 0;
    for (CK_ULONG i = 0; i < out->count; i++) {
        if (append(&search->page, template_get_ulong(out->list + i)) != CKR_OK) {
            return CKR_HOST_MEMORY;
        }
    }
    return CKR_OK;
}

static void give_profiles(struct search *search, struct out *out)
{
    const struct template template = {search->template.attributes, search->template.count, NULL};

    while (search->next_profile < PROFILE_COUNT && out->count < out->room) {
        unsigned index = search->next_profile++;

        if (template_matches(&template, profile_object(index))) {
            template_set_ulong(out->list + out->count++, profile_handle(index));
        }
    }
}

/* Fewer than there is room for are the end, which some applications conclude from that. */
static CKR_RESULT find_next(struct session *session, struct search *search, struct out *out)
{
    CK_RV rv;

    give(&search->page, out);
    while (out->count < out->room && search->more) {
        rv = fetch(session, search);
        if (rv != CKR_OK) {
            return take_back(search, out) == CKR_OK ? rv : CKR_HOST_MEMORY;
        }
        give(&search->page, out);
    }
    give(&search->session, out);
    give_profiles(search, out);
    return CKR_OK;
}

static CKR_RESULT find_objects(struct session *session, struct out *out, CK_ULONG *count)
{
    struct search *search = search_take(session);
    CK_RV rv;

    if (search == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    rv = find_next(session, search, out);
    if (rv == CKR_OK) {
        template_set_ulong(count, out->count);
    }
    if (rv == CKR_HOST_MEMORY) {
        search_free(search); /* it may have lost some of what it found */
    } else {
        (void)search_put(session, search); /* what failed may be tried again */
    }
    return rv;
}

MODULE_API CK_RV C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE_PTR handles,
                               CK_ULONG room, CK_ULONG_PTR count)
{
    struct out out = {.list = handles, .room = room};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    if (count == NULL || (handles == NULL && room > 0)) {
        rv = CKR_ARGUMENTS_BAD;
    } else {
        rv = find_objects(session, &out, count);
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
