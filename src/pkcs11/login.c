/* C_Login, C_LoginUser, C_Logout, C_InitPIN, C_SetPIN. PINs are passed through and never kept. */
#include "pkcs11/login.h"

#include "base/limits.h"
#include "pkcs11/access.h"

uint64_t login_current(struct slot *slot)
{
    uint64_t login;

    module_lock();
    login = slot->role != QUADHSM_ROLE_NONE ? slot->login_count : 0;
    module_unlock();
    return login;
}

static void note_login(struct slot *slot, enum quadhsm_role role)
{
    module_lock();
    slot->role = role;
    slot->login_count++;
    module_unlock();
}

void login_lost(struct slot *slot, uint64_t login)
{
    bool mine;

    module_lock();
    mine = slot->role != QUADHSM_ROLE_NONE && slot->login_count == login;
    if (mine) {
        slot->role = QUADHSM_ROLE_NONE;
    }
    module_unlock();
    if (mine) {
        quadhsm_logout(slot->token);
    }
}

/* Handles of private objects end with the login. */
static bool log_out(struct slot *slot, bool only_without_sessions)
{
    bool was_logged_in;

    module_lock();
    was_logged_in = slot->role != QUADHSM_ROLE_NONE;
    if (only_without_sessions && slot->session_count > 0) {
        was_logged_in = false;
    }
    if (was_logged_in) {
        slot->role = QUADHSM_ROLE_NONE;
        objects_remove_private(module_objects(), slot->id);
    }
    module_unlock();
    if (was_logged_in) {
        quadhsm_logout(slot->token);
    }
    return was_logged_in;
}

void login_end(struct slot *slot)
{
    (void)log_out(slot, true);
}

/* ---- C_Login ---- */

static bool has_operation(struct session *session)
{
    bool found = false;

    module_lock();
    for (unsigned i = 0; i < OPERATION_KINDS; i++) {
        found = found || (i != OPERATION_DIGEST && session->operations[i] != NULL);
    }
    module_unlock();
    return found;
}

/* For a key with CKA_ALWAYS_AUTHENTICATE, between C_SignInit and C_Sign. */
static CKR_RESULT log_in_context(struct session *session, const void *pin, CK_ULONG size)
{
    uint64_t login = login_current(session->slot);
    int error;

    if (!has_operation(session)) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    error = quadhsm_login_context(session->slot->token, pin, size);
    return access_failed(session, login, CK_INVALID_HANDLE, error, ABOUT_CALL);
}

/* Under the lock. */
static CKR_RESULT may_log_in(const struct slot *slot, enum quadhsm_role role)
{
    if (slot->role == role) {
        return CKR_USER_ALREADY_LOGGED_IN;
    }
    if (slot->role != QUADHSM_ROLE_NONE) {
        return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
    }
    if (role == QUADHSM_PO && slot->session_count > slot->writable_count) {
        return CKR_SESSION_READ_ONLY_EXISTS;
    }
    return CKR_OK;
}

static CKR_RESULT log_in(struct slot *slot, enum quadhsm_role role, const void *pin, CK_ULONG size)
{
    int error;
    CK_RV rv;

    module_lock();
    rv = may_log_in(slot, role);
    module_unlock();
    if (rv != CKR_OK) {
        return rv;
    }
    error = quadhsm_login(slot->token, role, pin, size);
    if (error == QUADHSM_EEXIST) {
        /* Another thread was quicker. */
        return quadhsm_token_role(slot->token) == role ? CKR_USER_ALREADY_LOGGED_IN
                                                       : CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
    }
    if (error == QUADHSM_OK) {
        note_login(slot, role);
    }
    return ckr_from_error(error, ABOUT_CALL);
}

static CKR_RESULT log_in_as(struct session *session, CK_USER_TYPE user, const void *pin,
                            CK_ULONG size)
{
    if (pin == NULL && size > 0) {
        return CKR_ARGUMENTS_BAD;
    }
    /* There is no other way to say the PIN, such as a keypad. */
    if (pin == NULL) {
        return CKR_PIN_INCORRECT;
    }
    if (size > PIN_SIZE_MAX) {
        return CKR_PIN_LEN_RANGE;
    }
    switch (user) {
    case CKU_USER:
        return log_in(session->slot, QUADHSM_CO, pin, size);
    case CKU_SO:
        return log_in(session->slot, QUADHSM_PO, pin, size);
    case CKU_CONTEXT_SPECIFIC:
        return log_in_context(session, pin, size);
    default:
        return CKR_USER_TYPE_INVALID;
    }
}

MODULE_API CK_RV C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin,
                         CK_ULONG size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = log_in_as(session, user, pin, size);
        module_leave_session(session);
    }
    return rv;
}

/* The roles have no users' names. */
MODULE_API CK_RV C_LoginUser(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_CHAR_PTR pin,
                             CK_ULONG size, CK_UTF8CHAR_PTR username, CK_ULONG username_size)
{
    (void)username;
    return username_size == 0 ? C_Login(handle, user, pin, size) : CKR_ARGUMENTS_BAD;
}

MODULE_API CK_RV C_Logout(CK_SESSION_HANDLE handle)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = log_out(session->slot, false) ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
        module_leave_session(session);
    }
    return rv;
}

/* ---- PINs ---- */

static enum quadhsm_role role_of(struct slot *slot)
{
    enum quadhsm_role role;

    module_lock();
    role = slot->role;
    module_unlock();
    return role;
}

static CKR_RESULT init_pin(struct session *session, const void *pin, CK_ULONG size)
{
    uint64_t login = login_current(session->slot);
    int error;

    if (role_of(session->slot) != QUADHSM_PO) {
        return CKR_USER_NOT_LOGGED_IN;
    }
    if (pin == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    error = quadhsm_init_pin(session->slot->token, QUADHSM_CO, pin, size);
    return access_failed(session, login, CK_INVALID_HANDLE, error, ABOUT_CALL);
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

/* A new PIN ends all logins of the role. Ours is taken up again with the new one, since the
 * standard knows nothing of a login that its own C_SetPIN ends. */
static CKR_RESULT set_pin(struct session *session, const void *old_pin, CK_ULONG old_size,
                          const void *new_pin, CK_ULONG new_size)
{
    struct slot *slot = session->slot;
    enum quadhsm_role logged_in = role_of(slot);
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
    if (error == QUADHSM_OK && logged_in != QUADHSM_ROLE_NONE) {
        quadhsm_logout(slot->token);
        if (quadhsm_login(slot->token, role, new_pin, new_size) != QUADHSM_OK) {
            login_lost(slot, login);
        }
    }
    return ckr_from_error(error, ABOUT_CALL);
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
