/* The check of a PIN. */
#include "node/login.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "crypto/seal.h"
#include "node/node.h"
#include "node/pincache.h"
#include "wire/frame.h"

#define ID_DATA_SIZE_MAX (ONCE_ID_SIZE + sizeof(struct login_who) + CLIENT_ID_SIZE + PIN_SIZE_MAX)

static const char secret_memory[] =
    "the node has no memory for secrets: ask another one; its limit of locked memory may be too "
    "low (ulimit -l)";
static const char changed_meanwhile[] = "the PIN was changed at the same time: log in again";

const char *login_help_no_pin(enum hsm_role role)
{
    return role == HSM_ROLE_PO ? "the security officer sets one: quadhsm role init"
                               : "the partition officer sets one: quadhsm role init";
}

const char *login_help_locked(enum hsm_role role)
{
    if (role == HSM_ROLE_SO) {
        return "wait a minute, then try again";
    }
    return role == HSM_ROLE_PO ? "the security officer can unlock it: quadhsm role unlock"
                               : "the partition officer can unlock it: quadhsm role unlock";
}

static void login_free(void *data)
{
    struct login *login = data;
    const Quadhsm__Response *response = login->request->response;
    const ProtobufCBinaryData *id = &login->request->message->request_id;

    /* These are said of a try that is on record; of any other the fate is not known. */
    if (login->pending && response != NULL &&
        (response->error == QH_OK || response->error == QH_EPIN ||
         response->error == QH_EPINLOCKED)) {
        login_pending_end(id->data);
    }
    secret_free(login->pin);
    secret_free(login->new_pin);
    free(login);
}

QH_RESULT login_take_pin(ProtobufCBinaryData *field, struct secret **ret_pin)
{
    enum qh_err err = QH_EPINRANGE;

    if (field->len > 0) {
        err = secret_from(field->data, field->len, ret_pin);
        sodium_memzero(field->data, field->len);
    }
    return err;
}

/* ---- who, as what; inside view_enter() ---- */

struct scene {
    const struct directory_role *role;
    struct logins_rule rule;
};

static QH_RESULT find_role(const struct request *request, enum hsm_role role,
                           struct scene *ret_scene, const char **ret_detail)
{
    const struct directory *directory = view_directory(request->node->view);
    const struct directory_client *client = directory_client(directory, request->fingerprint);
    const ProtobufCBinaryData *id = &request->message->partition;
    const struct directory_partition *partition;

    ret_scene->rule = (struct logins_rule){.role = role};
    if (role == HSM_ROLE_SO) {
        ret_scene->role = &directory->so;
        *ret_detail = "only clients that are enrolled as administrators may be security officer";
        return client != NULL && client->admin ? QH_OK : QH_EPERM;
    }
    if (id->len != PARTITION_ID_SIZE) {
        *ret_detail = "a partition must be named";
        return QH_EINVAL;
    }
    partition = directory_partition(directory, id->data);
    if (partition == NULL || client == NULL || !directory_client_may(client, id->data)) {
        *ret_detail = "there is no such partition for this client";
        return QH_ENOTFOUND;
    }
    ret_scene->role = &partition->roles[role];
    ret_scene->rule.tries = partition->tries;
    ret_scene->rule.tries_total = partition->tries_total;
    return QH_OK;
}

static QH_RESULT check_role(const struct request *request, enum hsm_role role,
                            struct scene *ret_scene, uint32_t *ret_tries, const char **ret_detail)
{
    enum qh_err err = find_role(request, role, ret_scene, ret_detail);

    if (err != QH_OK) {
        return err;
    }
    if (ret_scene->role->verifier[0] == '\0') {
        *ret_detail = login_help_no_pin(role);
        return QH_ENOPIN;
    }
    *ret_tries = logins_tries_left(&ret_scene->role->logins, &ret_scene->rule, request->client,
                                   clock_unix_ms());
    if (*ret_tries == 0) {
        *ret_detail = login_help_locked(role);
        return QH_EPINLOCKED;
    }
    *ret_detail = NULL;
    return QH_OK;
}

/* An id of this try: the client's id, who it is for and the PIN, by a key that all nodes have. */
static QH_RESULT bind_id(struct request *request, const struct login *login)
{
    SECRET_SCOPED struct secret *data = NULL;
    uint8_t *id = request->message->request_id.data;
    uint8_t mac[SEAL_MAC_SIZE];
    struct bytes_writer writer;
    enum qh_err err = secret_new(ID_DATA_SIZE_MAX, &data);

    if (err != QH_OK) {
        return err;
    }
    bytes_writer_init(&writer, secret_bytes(data), ID_DATA_SIZE_MAX);
    bytes_write_span(&writer, id, ONCE_ID_SIZE);
    bytes_write_span(&writer, login->who.partition, PARTITION_ID_SIZE);
    bytes_write_span(&writer, request->client, CLIENT_ID_SIZE);
    bytes_write_u8(&writer, (uint8_t)login->role);
    bytes_write_span(&writer, secret_view(login->pin), secret_size(login->pin));
    QH_ASSERT(!writer.failed);
    seal_mac(keyring_ticket_key(view_keyring(request->node->view)),
             (struct bytes){secret_view(data), writer.size}, mac);
    memcpy(id, mac, ONCE_ID_SIZE);
    sodium_memzero(mac, sizeof mac);
    return QH_OK;
}

/* Whose it is, and the PIN, which makes the request's id its own. */
static QH_RESULT fill_who(struct request *request, struct login *login, ProtobufCBinaryData *pin,
                          const char **ret_detail)
{
    enum qh_err err;

    login->who.role = (uint32_t)login->role;
    if (login->role != HSM_ROLE_SO) {
        memcpy(login->who.partition, request->message->partition.data, PARTITION_ID_SIZE);
        memcpy(login->who.client, request->client, CLIENT_ID_SIZE);
    }
    err = login_take_pin(pin, &login->pin);
    if (err == QH_OK) {
        err = bind_id(request, login);
    }
    if (err == QH_EPINRANGE) {
        *ret_detail = "no PIN was given";
        return QH_EPIN; /* nobody's, so it costs no try */
    }
    if (err == QH_OK) {
        login->known =
            pincache_knows(&login->who, login->verifier, login->pin, clock_monotonic_ms());
    }
    *ret_detail = err == QH_OK ? NULL : secret_memory;
    return err;
}

static QH_RESULT fill_login(struct request *request, struct login *login, ProtobufCBinaryData *pin,
                            const char **ret_detail)
{
    struct scene scene;
    uint32_t tries;
    enum qh_err err = check_role(request, login->role, &scene, &tries, ret_detail);

    if (err != QH_OK) {
        return err;
    }
    login->epoch = scene.role->epoch;
    memcpy(login->verifier, scene.role->verifier, sizeof login->verifier);
    return fill_who(request, login, pin, ret_detail);
}

static QH_RESULT begin(struct request *request, enum hsm_role role, const ProtobufCBinaryData *pin,
                       struct login **ret_login, const char **ret_detail)
{
    struct login *login;

    if (request->message->request_id.len != ONCE_ID_SIZE) {
        *ret_detail = "a login needs a request id of 16 bytes: a wrong PIN is counted once";
        return QH_EINVAL;
    }
    if (pin->len > PIN_SIZE_MAX) {
        *ret_detail = "no PIN is as long";
        return QH_EPIN;
    }
    login = calloc(1, sizeof *login);
    if (login == NULL) {
        return QH_ENOMEM;
    }
    login->request = request;
    login->role = role;
    request->state = login;
    request->state_free = login_free;
    *ret_login = login;
    return QH_OK;
}

QH_RESULT login_begin(struct request *request, enum hsm_role role, ProtobufCBinaryData *pin,
                      const char **ret_detail)
{
    struct login *login;
    enum qh_err err = begin(request, role, pin, &login, ret_detail);

    if (err == QH_OK) {
        view_enter();
        err = fill_login(request, login, pin, ret_detail);
        view_leave();
    }
    return err;
}

QH_RESULT login_begin_claim(struct request *request, ProtobufCBinaryData *pin,
                            const char **ret_detail)
{
    struct login *login;
    enum qh_err err = begin(request, HSM_ROLE_PO, pin, &login, ret_detail);

    if (err != QH_OK) {
        return err;
    }
    if (pin->len < PIN_SIZE_MIN) {
        *ret_detail = "a PIN has 4 to 255 bytes";
        return QH_EPINRANGE;
    }
    login->claim = true;
    view_enter();
    err = view_keyring(request->node->view) != NULL ? fill_who(request, login, pin, ret_detail)
                                                    : QH_ELOCKED;
    view_leave();
    return err;
}

/* ---- the check ---- */

/* Again, for it may have waited long, and others may have failed meanwhile. */
static QH_RESULT check_again(struct request *request, uint32_t *ret_tries, const char **ret_detail)
{
    const struct login *login = request->state;
    struct scene scene;
    enum qh_err err;

    view_enter();
    err = check_role(request, login->role, &scene, ret_tries, ret_detail);
    if (err == QH_OK && scene.role->epoch != login->epoch) {
        *ret_detail = changed_meanwhile;
        err = QH_ECONFLICT;
    }
    view_leave();
    return err;
}

static QH_RESULT take_try(struct request *request, uint32_t tries, const char **ret_detail)
{
    struct login *login = request->state;

    login->pending = login_pending_begin(&login->who, request->message->request_id.data, tries,
                                         clock_monotonic_ms());
    if (login->pending) {
        return QH_OK;
    }
    if (!atomic_load(&request->node->has_leader)) {
        *ret_detail = "wrong PINs of this client wait to be counted: bring a majority of the nodes "
                      "back, then try again";
        return QH_ENOQUORUM;
    }
    *ret_detail = "PINs of this client are still being checked and counted: try again";
    return QH_EBUSY;
}

/* It was wrong, and that is counted however short a time the client has given: else guesses cost
 * nothing but the wait until they are forgotten here. */
static void take_time(struct request *request)
{
    uint64_t needed_ms = clock_monotonic_ms() + request->node->config->request_timeout_ms;

    if (request->deadline_ms < needed_ms) {
        request->deadline_ms = needed_ms;
    }
}

/* With a try that was taken. */
static QH_RESULT check_pin(struct request *request, const char **ret_detail)
{
    struct login *login = request->state;
    enum qh_err err = password_check(login->pin, login->verifier);

    login->right = err == QH_OK;
    if (err == QH_EPIN) {
        err = QH_OK;
    } else if (err == QH_ENOMEM) {
        *ret_detail = "the node has no memory to check the PIN: ask another one";
    } else if (err != QH_OK) {
        *ret_detail = "the role's record is damaged: set a new PIN with quadhsm role init";
    }
    if (err != QH_OK || login->right) {
        login_pending_end(request->message->request_id.data); /* no failure */
        login->pending = false;
    } else {
        take_time(request);
    }
    if (login->right) {
        pincache_learn(&login->who, login->verifier, login->pin, clock_monotonic_ms());
    }
    return err;
}

bool login_verify(struct request *request)
{
    struct login *login = request->state;
    const char *detail = NULL;
    uint32_t tries;
    enum qh_err err = check_again(request, &tries, &detail);

    /* Another process's login may have been before it in the line. */
    if (err == QH_OK) {
        login->right = login->known || pincache_knows(&login->who, login->verifier, login->pin,
                                                      clock_monotonic_ms());
    }
    if (err == QH_OK && !login->right) {
        err = take_try(request, tries, &detail);
        if (err == QH_OK) {
            err = check_pin(request, &detail);
        }
    }
    secret_cleanup(&login->pin);
    if (err != QH_OK) {
        request_answer(request, err, detail);
    }
    return err == QH_OK;
}

bool login_make(struct request *request)
{
    struct login *login = request->state;
    enum qh_err err = password_make(login->pin, login->new_verifier);

    secret_cleanup(&login->pin);
    if (err != QH_OK) {
        request_answer(request, err, "the node has no memory for it: ask another one");
    }
    return err == QH_OK;
}

bool login_clean(const struct request *request)
{
    const struct login *login = request->state;
    struct scene scene;
    const char *detail;
    bool clean;

    view_enter();
    clean = find_role(request, login->role, &scene, &detail) == QH_OK &&
            scene.role->epoch == login->epoch &&
            logins_failed(&scene.role->logins, &scene.rule, request->client) == 0;
    view_leave();
    return clean;
}

/* ---- what follows from it ---- */

static QH_RESULT refuse(struct request *request, enum hsm_role role, uint32_t tries)
{
    char text[128];

    request->response->error = tries > 0 ? QH_EPIN : QH_EPINLOCKED;
    if (tries > 0) {
        (void)snprintf(text, sizeof text, "%" PRIu32 " more wrong %s and it is locked", tries,
                       tries == 1 ? "one" : "ones");
    } else {
        (void)snprintf(text, sizeof text, "the last one was wrong too; %s",
                       login_help_locked(role));
    }
    request->response->detail = wire_string(text);
    return request->response->detail != NULL ? QH_OK : QH_ENOMEM;
}

QH_RESULT login_build(struct request *request, const struct keyring *keyring,
                      const struct store *store, struct change_list *list,
                      struct role_record *ret_record, const char **ret_detail)
{
    const struct login *login = request->state;
    uint64_t now_unix_ms = clock_unix_ms();
    struct logins_record failed;
    enum qh_err err;

    memset(ret_record, 0, sizeof *ret_record);
    err = role_record_load(keyring, store, login->who.partition, login->role, ret_record);
    if (err != QH_OK) {
        *ret_detail = "the partition is gone, or its record is damaged";
        return err;
    }
    if (ret_record->epoch != login->epoch) {
        *ret_detail = changed_meanwhile;
        return QH_ECONFLICT;
    }
    err = logins_record_load(keyring, store, login->who.partition, login->role, &failed);
    if (err != QH_OK) {
        *ret_detail = login_help_locked(login->role);
        return err;
    }
    if (logins_tries_left(&failed.logins, &ret_record->rule, request->client, now_unix_ms) == 0) {
        *ret_detail = login_help_locked(login->role);
        return QH_EPINLOCKED;
    }
    if (login->right) {
        logins_clear(&failed.logins, &ret_record->rule, request->client);
    } else {
        logins_count(&failed.logins, &ret_record->rule, request->client, now_unix_ms);
        err = refuse(
            request, login->role,
            logins_tries_left(&failed.logins, &ret_record->rule, request->client, now_unix_ms));
    }
    return err == QH_OK ? logins_record_put(keyring, &failed, list) : err;
}
