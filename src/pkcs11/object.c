/* C_CreateObject, C_CopyObject, C_DestroyObject, C_GetObjectSize, C_GetAttributeValue,
 * C_SetAttributeValue. */
#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/template.h"

/* ---- create, copy ---- */

static CKR_RESULT create(struct session *session, const CK_ATTRIBUTE *list, CK_ULONG count,
                         CK_OBJECT_HANDLE *ret_handle)
{
    uint64_t login = login_current(session->slot);
    struct quadhsm_object *object = NULL;
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    struct template template;
    CK_RV rv;

    if (ret_handle == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = template_open(list, count, &template);
    if (rv != CKR_OK) {
        return rv;
    }
    if (template_flag(&template, CKA_TOKEN, false) && !session->writable) {
        rv = CKR_SESSION_READ_ONLY;
    } else {
        rv = access_failed(
            session, login, CK_INVALID_HANDLE,
            quadhsm_create(session->slot->token, template.attributes, template.count, &object),
            ABOUT_NEW);
    }
    template_close(&template);
    if (rv == CKR_OK) {
        rv = access_add(session, object, &handle);
    }
    if (rv == CKR_OK) {
        template_set_ulong(ret_handle, handle);
    }
    return rv;
}

MODULE_API CK_RV C_CreateObject(CK_SESSION_HANDLE handle, CK_ATTRIBUTE_PTR list, CK_ULONG count,
                                CK_OBJECT_HANDLE_PTR object)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = create(session, list, count, object);
        module_leave_session(session);
    }
    return rv;
}

static CKR_RESULT copy_as(struct session *session, CK_OBJECT_HANDLE from,
                          const struct objects_value *value, const struct template *template,
                          CK_OBJECT_HANDLE *ret_handle)
{
    bool token = template_flag(template, CKA_TOKEN, objects_flag(value->object, CKA_TOKEN, false));
    uint64_t login = login_current(session->slot);
    struct quadhsm_object *object = NULL;
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    int error;
    CK_RV rv;

    if (token && !session->writable) {
        return CKR_SESSION_READ_ONLY;
    }
    if (!objects_flag(value->object, CKA_COPYABLE, true)) {
        return CKR_ACTION_PROHIBITED;
    }
    error = quadhsm_copy(session->slot->token, value->object, template->attributes, template->count,
                         &object);
    rv = access_failed(session, login, from, error, ABOUT_OBJECT);
    if (rv == CKR_OK) {
        rv = access_add(session, object, &handle);
    }
    if (rv == CKR_OK) {
        template_set_ulong(ret_handle, handle);
    }
    return rv;
}

static CKR_RESULT copy(struct session *session, CK_OBJECT_HANDLE from, const CK_ATTRIBUTE *list,
                       CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
    struct objects_value *value = NULL;
    struct template template;
    CK_RV rv;

    if (ret_handle == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = template_open(list, count, &template);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = access_object(session, from, ABOUT_OBJECT, true, &value);
    if (rv == CKR_OK) {
        rv = copy_as(session, from, value, &template, ret_handle);
        objects_value_unref(value);
    }
    template_close(&template);
    return rv;
}

MODULE_API CK_RV C_CopyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                              CK_ATTRIBUTE_PTR list, CK_ULONG count,
                              CK_OBJECT_HANDLE_PTR new_object)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = copy(session, object, list, count, new_object);
        module_leave_session(session);
    }
    return rv;
}

/* ---- destroy ---- */

/* A handle's entry goes when the object is gone, whoever destroyed it. */
static void remove_handle(struct session *session, CK_OBJECT_HANDLE handle)
{
    struct objects_entry *entry;

    module_lock();
    entry = objects_find(module_objects(), session->slot->id, handle);
    if (entry != NULL) {
        objects_remove(module_objects(), entry);
    }
    module_unlock();
}

static CKR_RESULT destroy_value(struct session *session, CK_OBJECT_HANDLE handle,
                                const struct quadhsm_object *object)
{
    uint64_t login = login_current(session->slot);
    int error;

    if (object->session_size == 0 && !session->writable) {
        return CKR_SESSION_READ_ONLY;
    }
    if (!objects_flag(object, CKA_DESTROYABLE, true)) {
        return CKR_ACTION_PROHIBITED;
    }
    if (object->session_size > 0) {
        return CKR_OK;
    }
    error = quadhsm_destroy(session->slot->token, object->id);
    if (error == QUADHSM_EREADONLY) {
        return CKR_ACTION_PROHIBITED;
    }
    return access_failed(session, login, handle, error, ABOUT_OBJECT);
}

static CKR_RESULT destroy(struct session *session, CK_OBJECT_HANDLE handle)
{
    struct objects_value *value = NULL;
    CK_RV rv = access_object(session, handle, ABOUT_OBJECT, false, &value);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = destroy_value(session, handle, value->object);
    if (rv == CKR_OK) {
        remove_handle(session, handle);
    }
    objects_value_unref(value);
    return rv;
}

MODULE_API CK_RV C_DestroyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = destroy(session, object);
        module_leave_session(session);
    }
    return rv;
}

/* ---- attributes ---- */

static CKR_RESULT get_size(struct session *session, CK_OBJECT_HANDLE handle, CK_ULONG *ret_size)
{
    struct objects_value *value = NULL;
    CK_RV rv;

    if (ret_size == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = access_object(session, handle, ABOUT_OBJECT, true, &value);
    if (rv == CKR_OK) {
        template_set_ulong(ret_size, template_object_size(value->object));
        objects_value_unref(value);
    }
    return rv;
}

MODULE_API CK_RV C_GetObjectSize(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                 CK_ULONG_PTR size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = get_size(session, object, size);
        module_leave_session(session);
    }
    return rv;
}

static CKR_RESULT get_values(struct session *session, CK_OBJECT_HANDLE handle, CK_ATTRIBUTE *list,
                             CK_ULONG count)
{
    struct objects_value *value = NULL;
    CK_RV rv;

    if (list == NULL && count > 0) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = access_object(session, handle, ABOUT_OBJECT, true, &value);
    if (rv == CKR_OK && count > 0) {
        rv = template_read(value->object, list, count);
    }
    objects_value_unref(value);
    return rv;
}

MODULE_API CK_RV C_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                     CK_ATTRIBUTE_PTR list, CK_ULONG count)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = get_values(session, object, list, count);
        module_leave_session(session);
    }
    return rv;
}

/* Own @object: what the object is now. */
static void renew(struct session *session, CK_OBJECT_HANDLE handle, struct quadhsm_object *object)
{
    struct objects_entry *entry;

    module_lock();
    entry = objects_find(module_objects(), session->slot->id, handle);
    if (entry != NULL) {
        (void)objects_renew(module_objects(), entry, object, module_now_ms());
        object = NULL;
    }
    module_unlock();
    quadhsm_object_free(object);
}

static CKR_RESULT change(struct session *session, CK_OBJECT_HANDLE handle,
                         const struct quadhsm_object *object, const struct template *template)
{
    uint64_t login = login_current(session->slot);
    struct quadhsm_object *changed = NULL;
    int error;

    if (object->session_size == 0 && !session->writable) {
        return CKR_SESSION_READ_ONLY;
    }
    if (!objects_flag(object, CKA_MODIFIABLE, true)) {
        return CKR_ACTION_PROHIBITED;
    }
    error = quadhsm_set_attributes(session->slot->token, object, template->attributes,
                                   template->count, &changed);
    if (error == QUADHSM_OK) {
        renew(session, handle, changed);
    }
    return access_failed(session, login, handle, error, ABOUT_OBJECT);
}

static CKR_RESULT set_values(struct session *session, CK_OBJECT_HANDLE handle,
                             const CK_ATTRIBUTE *list, CK_ULONG count)
{
    struct objects_value *value = NULL;
    struct template template;
    CK_RV rv = template_open(list, count, &template);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = access_object(session, handle, ABOUT_OBJECT, false, &value);
    if (rv == CKR_OK) {
        rv = change(session, handle, value->object, &template);
        objects_value_unref(value);
    }
    template_close(&template);
    return rv;
}

MODULE_API CK_RV C_SetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object,
                                     CK_ATTRIBUTE_PTR list, CK_ULONG count)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = set_values(session, object, list, count);
        module_leave_session(session);
    }
    return rv;
}
