/* C_InitToken, C_InitPIN, C_SetPIN. PINs are passed through and never kept; there is no other way
 * to say them, such as a keypad, so that none at all is a wrong argument. */
#include <string.h>

#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/search_cache.h"
#include "pkcs11/slot.h"

/* ---- C_InitToken ---- */

#define LABEL_SIZE 32u /* blank-padded */

static void label_of(const CK_UTF8CHAR *from, char to[LABEL_SIZE + 1])
{
    size_t length = strnlen((const char *)from, LABEL_SIZE);

    while (length > 0 && from[length - 1] == ' ') {
        length--;
    }
    memcpy(to, from, length);
    to[length] = 0;
}

static CKR_RESULT rv_of_init(int error)
{
    /* Without a PIN of its own it waits for its administrator. */
    return error == QUADHSM_ENOPIN ? CKR_TOKEN_WRITE_PROTECTED : ckr_from_error(error, ABOUT_TOKEN);
}

static CKR_RESULT init_token(CK_SLOT_ID id, const void *pin, CK_ULONG size,
                             const CK_UTF8CHAR *label)
{
    char name[LABEL_SIZE + 1];
    struct slot *slot;
    bool in_use;
    int error;
    CK_RV rv;

    if (pin == NULL || label == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = slot_find(id, &slot);
    if (rv != CKR_OK) {
        return rv;
    }
    module_lock();
    in_use = slot->session_count > 0;
    module_unlock();
    if (in_use) {
        return CKR_SESSION_EXISTS;
    }
    label_of(label, name);
    /* A label of blanks leaves the partition its name. */
    error = quadhsm_init_token(slot->token, pin, size, name[0] != 0 ? name : NULL);
    slot_list_changed();
    if (error == QUADHSM_OK || error == QUADHSM_EUNKNOWN) {
        module_lock();
        objects_remove_token(module_objects(), slot->id);
        search_cache_clear();
        module_unlock();
    }
    return rv_of_init(error);
}

MODULE_API CK_RV C_InitToken(CK_SLOT_ID id, CK_UTF8CHAR_PTR pin, CK_ULONG size,
                             CK_UTF8CHAR_PTR label)
{
    CK_RV rv = module_enter();

    if (rv == CKR_OK) {
        rv = init_token(id, pin, size, label);
        module_leave();
    }
    return rv;
}

/* ---- PINs ---- */

static CKR_RESULT init_pin(struct session *session, const void *pin, CK_ULONG size)
{
    uint64_t login = login_current(session->slot);
    int error;

    if (login_role(session->slot) != QUADHSM_PO) {
        return CKR_USER_NOT_LOGGED_IN;
    }
    if (pin == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    error = quadhsm_init_pin(session->slot->token, QUADHSM_CO, pin, size);
    slot_list_changed();
    return error == QUADHSM_EPERM
               ? CKR_USER_NOT_LOGGED_IN
               : access_failed(session, login, CK_INVALID_HANDLE, error, ABOUT_CALL);
}

MODULE_API CK_RV C_InitPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR_PTR pin, CK_ULONG size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = init_pin(session, pin, size);
        module_leave_session(session);
    }
    return rv;
}

/* A new PIN ends all logins of the role. Ours is taken up again by the library, since the standard
 * knows nothing of a login that its own C_SetPIN ends. */
static CKR_RESULT set_pin(struct session *session, const void *old_pin, CK_ULONG old_size,
                          const void *new_pin, CK_ULONG new_size)
{
    struct slot *slot = session->slot;
    enum quadhsm_role logged_in = login_role(slot);
    enum quadhsm_role role = logged_in != QUADHSM_ROLE_NONE ? logged_in : QUADHSM_CO;
    uint64_t login = login_current(slot);
    int error;

    if (!session->writable) {
        return CKR_SESSION_READ_ONLY;
    }
    if (old_pin == NULL || new_pin == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    error = quadhsm_set_pin(slot->token, role, old_pin, old_size, new_pin, new_size);
    slot_list_changed();
    if (error == QUADHSM_OK) {
        login_forget_pin(slot);
    }
    if (error == QUADHSM_OK && quadhsm_token_role(slot->token) != logged_in) {
        login_lost(slot, login);
    }
    /* Without a PIN none is right. */
    return error == QUADHSM_ENOPIN ? CKR_PIN_INCORRECT : ckr_from_error(error, ABOUT_CALL);
}

MODULE_API CK_RV C_SetPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR_PTR old_pin, CK_ULONG old_size,
                          CK_UTF8CHAR_PTR new_pin, CK_ULONG new_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = set_pin(session, old_pin, old_size, new_pin, new_size);
        module_leave_session(session);
    }
    return rv;
}
