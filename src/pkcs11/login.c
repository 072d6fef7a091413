/* C_Login, C_LoginUser, C_Logout. PINs are passed through and never kept; of the last right one a
 * keyed hash is, for forked children. */
#include "pkcs11/login.h"

#include <sodium.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/secret.h"
#include "pkcs11/access.h"
#include "pkcs11/operation.h"
#include "pkcs11/slot.h"

#define BETWEEN_TURNS 1000u
#define BETWEEN_NS 100000 /* a tenth of a millisecond */

uint64_t login_current(struct slot *slot)
{
    uint64_t login;

    module_lock();
    login = slot->role != QUADHSM_ROLE_NONE ? slot->login_count : 0;
    module_unlock();
    return login;
}

/* Of two threads that log in at the same time the second changes nothing: what the first one began
 * goes on. */
static void note_login(struct slot *slot, enum quadhsm_role role)
{
    module_lock();
    if (slot->role != role) {
        slot->role = role;
        slot->login_count++;
    }
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

enum quadhsm_role login_role(struct slot *slot)
{
    enum quadhsm_role role;

    module_lock();
    role = slot->role;
    module_unlock();
    return role;
}

/* Handles of private objects end with the login, and so does what was being done with them. */
static bool log_out(struct slot *slot, bool only_without_sessions)
{
    struct operation *operations = NULL;
    bool was_logged_in;

    module_lock();
    was_logged_in = slot->role != QUADHSM_ROLE_NONE;
    if (only_without_sessions && slot->session_count > 0) {
        was_logged_in = false;
    }
    if (was_logged_in) {
        slot->role = QUADHSM_ROLE_NONE;
        objects_remove_private(module_objects(), slot->id);
        operations = operation_take_private(slot);
    }
    module_unlock();
    operation_free_list(operations);
    if (was_logged_in) {
        quadhsm_logout(slot->token);
    }
    return was_logged_in;
}

void login_end(struct slot *slot)
{
    (void)log_out(slot, true);
}

/* ---- a parent's login ----
 *
 * A child that was forked and starts the module anew must log in anew. libp11 tries that once: if
 * no node answers then, the child is of no use to its end. So a child that says the PIN that its
 * parent was logged in with goes on with that login, and no node is asked. That it is the same PIN
 * is seen by a hash under a key of the process, which lies in memory for secrets. */

static struct secret *pin_key; /* under the lock; made at the first login, kept */

/* Under the lock. */
static bool make_pin_mac(const struct slot *slot, enum quadhsm_role role, const void *pin,
                         size_t size, uint8_t ret_mac[SEAL_MAC_SIZE])
{
    SECRET_SCOPED struct secret *data = NULL;
    struct bytes_writer writer;

    if (pin_key == NULL) {
        if (secret_new(SEAL_KEY_SIZE, &pin_key) != QH_OK) {
            return false;
        }
        randombytes_buf(secret_bytes(pin_key), SEAL_KEY_SIZE);
    }
    if (secret_new(PARTITION_ID_SIZE + 1u + PIN_SIZE_MAX, &data) != QH_OK) {
        return false;
    }
    bytes_writer_init(&writer, secret_bytes(data), secret_size(data));
    bytes_write_span(&writer, slot->partition.id, PARTITION_ID_SIZE);
    bytes_write_u8(&writer, (uint8_t)role);
    bytes_write_span(&writer, pin, size);
    if (writer.failed) {
        return false;
    }
    seal_mac(pin_key, (struct bytes){secret_view(data), writer.size}, ret_mac);
    return true;
}

static void remember_pin(struct slot *slot, enum quadhsm_role role, const void *pin, size_t size)
{
    module_lock();
    slot->pin_known = make_pin_mac(slot, role, pin, size, slot->pin_mac);
    sodium_memzero(&slot->kept, sizeof slot->kept);
    module_unlock();
}

void login_forget_pin(struct slot *slot)
{
    module_lock();
    slot->pin_known = false;
    sodium_memzero(&slot->kept, sizeof slot->kept);
    module_unlock();
}

/* The parent's login, if this is its PIN. */
static bool find_kept(struct slot *slot, enum quadhsm_role role, const void *pin, size_t size,
                      struct token_login *ret_login)
{
    uint8_t mac[SEAL_MAC_SIZE];
    bool found;

    module_lock();
    found = slot->pin_known && slot->kept.role == role &&
            make_pin_mac(slot, role, pin, size, mac) &&
            sodium_memcmp(mac, slot->pin_mac, sizeof mac) == 0;
    if (found) {
        *ret_login = slot->kept;
    }
    module_unlock();
    return found;
}

/* Once: if that login has ended the next C_Login asks a node. Not under the lock: fork() takes the
 * library's locks first. */
static bool take_up(struct slot *slot, enum quadhsm_role role, const void *pin, size_t size)
{
    struct token_login login;
    bool taken;

    if (!find_kept(slot, role, pin, size, &login)) {
        return false;
    }
    taken = token_give_login(slot->token, &login);
    sodium_memzero(&login, sizeof login);
    if (taken) {
        note_login(slot, role);
    }
    module_lock();
    sodium_memzero(&slot->kept, sizeof slot->kept);
    module_unlock();
    return taken;
}

/* ---- C_Login ---- */

/* Is there an operation that a PIN could be for? */
static bool waits_for_pin(struct session *session)
{
    bool found = false;

    module_lock();
    for (unsigned i = 0; i < OPERATION_KINDS; i++) {
        const struct operation *operation = session->operations[i];

        found = found || (operation != NULL && operation->key != NULL &&
                          objects_flag(operation->key->object, CKA_ALWAYS_AUTHENTICATE, false));
    }
    module_unlock();
    return found;
}

/* For a key with CKA_ALWAYS_AUTHENTICATE, between C_SignInit and C_Sign. */
static CKR_RESULT log_in_context(struct session *session, const void *pin, CK_ULONG size)
{
    uint64_t login = login_current(session->slot);
    int error;

    if (!waits_for_pin(session)) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    error = quadhsm_login_context(session->slot->token, pin, size);
    /* As the standard has it (v3.0 section 4.9). */
    if (error == QUADHSM_EPINLOCKED) {
        (void)log_out(session->slot, false);
    }
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

/* As last read: a login that succeeds fills them up again. */
static bool all_tries_left(const struct slot *slot, enum quadhsm_role role)
{
    const struct quadhsm_partition *partition = &slot->partition;
    bool all;

    module_lock();
    all = role == QUADHSM_PO ? partition->po_tries_left == partition->po_tries
                             : partition->co_tries_left == partition->co_tries;
    module_unlock();
    return all;
}

/* The token is logged in and the module does not say so: another thread is between the two. It has
 * logged in and not noted it yet, or noted that it logs out and not done it yet; both take it a
 * moment. False: nobody is there, for it took too long. */
static bool wait_between(unsigned *turns)
{
    const struct timespec pause = {.tv_nsec = BETWEEN_NS};

    if (*turns == 0) {
        return false;
    }
    --*turns;
    (void)nanosleep(&pause, NULL);
    return true;
}

static CKR_RESULT log_in(struct slot *slot, enum quadhsm_role role, const void *pin, CK_ULONG size)
{
    unsigned turns = BETWEEN_TURNS;
    int error;
    CK_RV rv;

    do {
        module_lock();
        rv = may_log_in(slot, role);
        module_unlock();
        if (rv != CKR_OK) {
            return rv;
        }
        if (take_up(slot, role, pin, size)) {
            return CKR_OK;
        }
        error = quadhsm_login(slot->token, role, pin, size);
    } while (error == QUADHSM_EEXIST && wait_between(&turns));
    if (error == QUADHSM_EEXIST) {
        /* A fork has cut a login in two: what its child inherited is a login. */
        enum quadhsm_role has = quadhsm_token_role(slot->token);

        note_login(slot, has);
        return has == role ? CKR_USER_ALREADY_LOGGED_IN : CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
    }
    if (error == QUADHSM_OK) {
        note_login(slot, role);
        remember_pin(slot, role, pin, size);
    }
    if (error != QUADHSM_OK || !all_tries_left(slot, role)) {
        slot_list_changed();
    }
    /* No PIN can be of such a length. */
    return error == QUADHSM_EPINRANGE ? CKR_PIN_INCORRECT : ckr_from_error(error, ABOUT_CALL);
}

static CKR_RESULT log_in_as(struct session *session, CK_USER_TYPE user, enum quadhsm_role role,
                            const void *pin, CK_ULONG size)
{
    if (pin == NULL && size > 0) {
        return CKR_ARGUMENTS_BAD;
    }
    /* There is no other way to say the PIN, such as a keypad. */
    if (pin == NULL) {
        return CKR_PIN_INCORRECT;
    }
    if (size > PIN_SIZE_MAX) {
        return CKR_PIN_INCORRECT;
    }
    return user == CKU_CONTEXT_SPECIFIC ? log_in_context(session, pin, size)
                                        : log_in(session->slot, role, pin, size);
}

/* Who is meant; the first of a type is who is meant without a name. */
static const struct {
    CK_USER_TYPE user;
    const char *name;
    enum quadhsm_role role;
} users[] = {
    {CKU_USER, "co", QUADHSM_CO},
    {CKU_USER, "cu", QUADHSM_CU},
    {CKU_SO, "po", QUADHSM_PO},
    {CKU_CONTEXT_SPECIFIC, "", QUADHSM_ROLE_NONE},
};

static CKR_RESULT find_user(CK_USER_TYPE user, const CK_UTF8CHAR *name, CK_ULONG size,
                            enum quadhsm_role *ret_role)
{
    CK_RV rv = CKR_USER_TYPE_INVALID;

    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        if (users[i].user != user) {
            continue;
        }
        if (size == 0 ||
            (size == strlen(users[i].name) && sodium_memcmp(name, users[i].name, size) == 0)) {
            *ret_role = users[i].role;
            return CKR_OK;
        }
        rv = CKR_ARGUMENTS_BAD;
    }
    return rv;
}

/* The name of a role, for those who want to use keys and not to make them. */
MODULE_API CK_RV C_LoginUser(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_CHAR_PTR pin,
                             CK_ULONG size, CK_UTF8CHAR_PTR name, CK_ULONG name_size)
{
    enum quadhsm_role role = QUADHSM_ROLE_NONE;
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    rv =
        name == NULL && name_size > 0 ? CKR_ARGUMENTS_BAD : find_user(user, name, name_size, &role);
    if (rv == CKR_OK) {
        rv = log_in_as(session, user, role, pin, size);
    }
    module_leave_session(session);
    return rv;
}

MODULE_API CK_RV C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin,
                         CK_ULONG size)
{
    return C_LoginUser(handle, user, pin, size, NULL, 0);
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
