/* PINs of roles: set, changed, unlocked. */
#include <stdlib.h>
#include <string.h>

#include "node/handlers.h"
#include "node/login.h"
#include "node/node.h"

static const char pin_range[] = "a PIN has 4 to 255 bytes";
static const char password_range[] = "the security officer's password has 8 to 255 bytes";

static QH_RESULT check_range(enum hsm_role role, const ProtobufCBinaryData *pin,
                             const char **ret_detail)
{
    size_t least = role == HSM_ROLE_SO ? PASSWORD_SIZE_MIN : PIN_SIZE_MIN;

    if (pin->len < least || pin->len > PIN_SIZE_MAX) {
        *ret_detail = role == HSM_ROLE_SO ? password_range : pin_range;
        return QH_EPINRANGE;
    }
    return QH_OK;
}

/* ---- init ---- */

struct role_init {
    struct secret *pin;
    char verifier[PASSWORD_VERIFIER_SIZE];
};

static void role_init_free(void *data)
{
    struct role_init *init = data;

    secret_free(init->pin);
    free(init);
}

/* Who logged in now would see objects that are about to go. */
static bool is_being_wiped(const struct role_record *record)
{
    return ((const Qhrec__Partition *)record->message)->init.len > 0;
}

static enum qh_err build_init(struct request *request, const struct store *store,
                              struct change_list *list, const char **ret_detail)
{
    const struct role_init *init = request->state;
    enum hsm_role role = (enum hsm_role)request->message->role_init->role;
    const uint8_t *partition = request->message->partition.data;
    struct role_record record = {.message = NULL};
    const struct keyring *keyring;
    enum qh_err err;

    view_enter();
    keyring = view_keyring(request->node->view);
    err = role_record_load(keyring, store, partition, role, &record);
    if (err == QH_OK && role != HSM_ROLE_PO && is_being_wiped(&record)) {
        *ret_detail = "the partition is being initialized: wait, or do that again if it failed";
        err = QH_EREFUSED;
    } else if (err == QH_OK) {
        err = role_record_put(keyring, &record, init->verifier, list);
        /* The failures were of the PIN before. */
        logins_record_delete(store, partition, role, list);
    } else {
        *ret_detail = "the partition is gone, or its record is damaged";
    }
    view_leave();
    role_record_close(&record);
    return err;
}

static void make_verifier(struct request *request)
{
    struct role_init *init = request->state;
    enum qh_err err = password_make(init->pin, init->verifier);

    secret_cleanup(&init->pin);
    if (err != QH_OK) {
        request_answer(request, err, "the node has no memory for it: ask another one");
        return;
    }
    change_run(request, build_init);
}

/* Whoever stands above a role sets its first PIN, and a new one if it is lost. */
static QH_RESULT may_init(const struct request *request, enum hsm_role role,
                          const char **ret_detail)
{
    if (role == HSM_ROLE_PO) {
        *ret_detail = "the security officer sets the partition officer's PIN: log in as so";
        return request->ticket.role == HSM_ROLE_SO ? QH_OK : QH_EPERM;
    }
    if (role == HSM_ROLE_CO || role == HSM_ROLE_CU) {
        *ret_detail = "the partition officer sets the PINs of co and cu: log in as po";
        return request->ticket.role == HSM_ROLE_PO ? QH_OK : QH_EPERM;
    }
    *ret_detail = "the security officer's password is changed with quadhsm role passwd";
    return QH_EPERM;
}

static QH_RESULT begin_init(struct request *request, const char **ret_detail)
{
    Quadhsm__RoleInit *message = request->message->role_init;
    enum hsm_role role = (enum hsm_role)message->role;
    struct role_init *init;
    enum qh_err err = may_init(request, role, ret_detail);

    if (err == QH_OK) {
        err = check_range(role, &message->pin, ret_detail);
    }
    if (err != QH_OK) {
        return err;
    }
    init = calloc(1, sizeof *init);
    if (init == NULL) {
        return QH_ENOMEM;
    }
    request->state = init;
    request->state_free = role_init_free;
    return login_take_pin(&message->pin, &init->pin);
}

void handle_role_init(struct request *request)
{
    const char *detail = NULL;
    enum qh_err err = begin_init(request, &detail);

    if (err != QH_OK) {
        request_answer(request, err, detail);
    } else {
        request_run_on(request, REQUEST_SLOW, make_verifier);
    }
}

/* ---- passwd ---- */

static enum qh_err build_passwd(struct request *request, const struct store *store,
                                struct change_list *list, const char **ret_detail)
{
    const struct login *login = request->state;
    struct role_record record;
    const struct keyring *keyring;
    enum qh_err err;

    view_enter();
    keyring = view_keyring(request->node->view);
    err = login_build(request, keyring, store, list, &record, ret_detail);
    if (err == QH_OK && login->right) {
        err = role_record_put(keyring, &record, login->new_verifier, list);
    } else if (err == QH_OK) {
        role_record_compare(&record, list);
    }
    view_leave();
    role_record_close(&record);
    return err;
}

static void verify_old(struct request *request)
{
    struct login *login = request->state;
    enum qh_err err;

    if (!login_verify(request)) {
        return;
    }
    if (login->right) {
        err = password_make(login->new_pin, login->new_verifier);
        secret_cleanup(&login->new_pin);
        if (err != QH_OK) {
            request_answer(request, err, "the node has no memory for it: ask another one");
            return;
        }
    }
    change_run(request, build_passwd);
}

void handle_role_passwd(struct request *request)
{
    Quadhsm__RolePasswd *message = request->message->role_passwd;
    enum hsm_role role = (enum hsm_role)message->role;
    const char *detail = NULL;
    enum qh_err err = check_range(role, &message->new_pin, &detail);

    if (err == QH_OK) {
        err = login_begin(request, role, &message->old_pin, &detail);
    }
    if (err == QH_OK) {
        err = login_take_pin(&message->new_pin, &((struct login *)request->state)->new_pin);
    }
    if (err != QH_OK) {
        request_answer(request, err, detail);
    } else {
        request_run_on(request, REQUEST_SLOW, verify_old);
    }
}

/* ---- unlock ---- */

static enum qh_err build_unlock(struct request *request, const struct store *store,
                                struct change_list *list, const char **ret_detail)
{
    (void)ret_detail;
    logins_record_delete(store, request->message->partition.data,
                         (enum hsm_role)request->message->role_unlock->role, list);
    return QH_OK;
}

void handle_role_unlock(struct request *request)
{
    enum hsm_role role = (enum hsm_role)request->message->role_unlock->role;
    bool officer = request->ticket.role == HSM_ROLE_SO;

    if (role == HSM_ROLE_SO) {
        request_answer(request, QH_EINVAL,
                       "the security officer is not unlocked but waits a minute");
    } else if (role == HSM_ROLE_PO && !officer) {
        request_answer(request, QH_EPERM,
                       "the security officer unlocks the partition officer: log in as so");
    } else {
        change_run(request, build_unlock);
    }
}
