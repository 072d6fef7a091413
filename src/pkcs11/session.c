/* C_OpenSession, C_CloseSession, C_CloseAllSessions, C_GetSessionInfo, C_SessionCancel. Sessions
 * are the module's own: none of these asks a node, and no node's death ends one. */
#include <stdlib.h>

#include "pkcs11/find.h"
#include "pkcs11/login.h"
#include "pkcs11/module.h"
#include "pkcs11/operation.h"
#include "pkcs11/slot.h"
#include "pkcs11/template.h"

/* Under the lock. */
static CKR_RESULT add_session(struct session *session)
{
    struct slot *slot = session->slot;
    enum qh_err err;

    if (!session->writable && slot->role == QUADHSM_PO) {
        return CKR_SESSION_READ_WRITE_SO_EXISTS;
    }
    err = handle_add(module_sessions(), &session->item);
    if (err != QH_OK) {
        return err == QH_ELIMIT ? CKR_SESSION_COUNT : CKR_HOST_MEMORY;
    }
    session->references = 1;
    slot->session_count++;
    slot->writable_count += session->writable ? 1 : 0;
    return CKR_OK;
}

static CKR_RESULT open_session(CK_SLOT_ID id, CK_FLAGS flags, CK_SESSION_HANDLE *ret_handle)
{
    struct session *session;
    struct slot *slot;
    CK_RV rv;

    if (ret_handle == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    if ((flags & CKF_SERIAL_SESSION) == 0) {
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    }
    rv = slot_find(id, &slot);
    if (rv != CKR_OK) {
        return rv;
    }
    session = calloc(1, sizeof *session);
    if (session == NULL) {
        return CKR_HOST_MEMORY;
    }
    session->slot = slot;
    session->writable = (flags & CKF_RW_SESSION) != 0;
    module_lock();
    rv = add_session(session);
    if (rv == CKR_OK) {
        template_set_ulong(ret_handle, session->item.handle);
    }
    module_unlock();
    if (rv != CKR_OK) {
        free(session);
    }
    return rv;
}

/* Nothing that the module would notify of ever happens. */
MODULE_API CK_RV C_OpenSession(CK_SLOT_ID id, CK_FLAGS flags, CK_VOID_PTR application,
                               CK_NOTIFY notify, CK_SESSION_HANDLE_PTR handle)
{
    CK_RV rv = module_enter();

    (void)application;
    (void)notify;
    if (rv == CKR_OK) {
        rv = open_session(id, flags, handle);
        module_leave();
    }
    return rv;
}

MODULE_API CK_RV C_CloseSession(CK_SESSION_HANDLE handle)
{
    struct session *session;
    bool last;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    module_lock();
    last = module_close_session(session);
    module_unlock();
    if (last) {
        login_end(session->slot);
    }
    module_leave_session(session);
    return CKR_OK;
}

/* Any session of @slot, held; NULL if there is none. */
static struct session *hold_any(const struct slot *slot)
{
    struct handle_table *table = module_sessions();
    struct session *found = NULL;

    module_lock();
    for (size_t i = 0; i < table->bucket_count && found == NULL; i++) {
        struct handle_item *item = table->buckets[i];

        while (item != NULL && ((struct session *)item)->slot != slot) {
            item = item->next;
        }
        found = (struct session *)item;
    }
    if (found != NULL) {
        found->references++;
    }
    module_unlock();
    return found;
}

static void close_all(struct slot *slot)
{
    struct session *session;

    while ((session = hold_any(slot)) != NULL) {
        module_lock();
        module_close_session(session);
        module_unlock();
        module_release_session(session);
    }
    login_end(slot);
}

MODULE_API CK_RV C_CloseAllSessions(CK_SLOT_ID id)
{
    struct slot *slot;
    CK_RV rv = module_enter();

    if (rv != CKR_OK) {
        return rv;
    }
    rv = slot_find(id, &slot);
    if (rv == CKR_OK) {
        close_all(slot);
    }
    module_leave();
    return rv;
}

static CK_STATE state_of(const struct session *session)
{
    switch (session->slot->role) {
    case QUADHSM_PO:
        return CKS_RW_SO_FUNCTIONS;
    case QUADHSM_CO:
    case QUADHSM_CU:
        return session->writable ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    case QUADHSM_ROLE_NONE:
        break;
    }
    return session->writable ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
}

MODULE_API CK_RV C_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO_PTR info)
{
    CK_SESSION_INFO answer = {.ulDeviceError = 0};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    module_lock();
    answer.slotID = session->slot->id;
    answer.state = state_of(session);
    answer.flags = CKF_SERIAL_SESSION | (session->writable ? CKF_RW_SESSION : 0);
    module_unlock();
    module_leave_session(session);
    if (info == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    memcpy((void *)info, &answer, sizeof answer);
    return CKR_OK;
}

/* ---- C_SessionCancel ---- */

static const struct {
    CK_FLAGS flag;
    enum module_operation kind;
} cancellations[] = {
    {CKF_ENCRYPT, OPERATION_ENCRYPT},
    {CKF_DECRYPT, OPERATION_DECRYPT},
    {CKF_DIGEST, OPERATION_DIGEST},
    {CKF_SIGN, OPERATION_SIGN},
    {CKF_VERIFY, OPERATION_VERIFY},
    {CKF_SIGN_RECOVER, OPERATION_SIGN_RECOVER},
    {CKF_VERIFY_RECOVER, OPERATION_VERIFY_RECOVER},
    {CKF_MESSAGE_ENCRYPT, OPERATION_MESSAGE_ENCRYPT},
    {CKF_MESSAGE_DECRYPT, OPERATION_MESSAGE_DECRYPT},
    {CKF_MESSAGE_SIGN, OPERATION_MESSAGE_SIGN},
    {CKF_MESSAGE_VERIFY, OPERATION_MESSAGE_VERIFY},
};

MODULE_API CK_RV C_SessionCancel(CK_SESSION_HANDLE handle, CK_FLAGS flags)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    for (size_t i = 0; i < sizeof cancellations / sizeof cancellations[0]; i++) {
        if ((flags & cancellations[i].flag) != 0) {
            operation_free(operation_take(session, cancellations[i].kind));
        }
    }
    if ((flags & CKF_FIND_OBJECTS) != 0) {
        search_free(search_take(session));
    }
    module_leave_session(session);
    return CKR_OK;
}
