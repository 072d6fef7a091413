/* Partitions, logins and PINs. */
#include "client/token.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "client/error.h"
#include "client/handle.h"
#include "client/kind.h"
#include "client/message.h"
#include "wire/frame.h"

_Static_assert(QUADHSM_PARTITION_ID_SIZE == PARTITION_ID_SIZE, "the same everywhere");
_Static_assert(QUADHSM_OBJECT_ID_SIZE == OBJECT_ID_SIZE, "the same everywhere");

struct quadhsm_token {
    struct quadhsm *handle;
    uint64_t number; /* never used again in this process */
    /* Under the handle's lock: */
    struct quadhsm_token *next, *previous; /* of the handle's tokens */
    enum quadhsm_role role;
    uint64_t login; /* which one: a number like the token's own; 0: none */
    struct client_ticket ticket;
    uint64_t revision; /* of the node that accepted the login, then */
};

static atomic_uint_least64_t numbers;

/* Of this thread's last quadhsm_login_context(). */
static _Thread_local uint64_t context_number;
static _Thread_local struct client_ticket context;

static uint64_t next_number(void)
{
    return atomic_fetch_add(&numbers, 1) + 1;
}

static void link_in(struct quadhsm_token *token)
{
    struct quadhsm *handle = token->handle;

    handle_enter(handle);
    handle_lock(handle);
    token->next = handle->tokens;
    if (handle->tokens != NULL) {
        handle->tokens->previous = token;
    }
    handle->tokens = token;
    handle_unlock(handle);
}

static void link_out(struct quadhsm_token *token)
{
    struct quadhsm *handle = token->handle;

    handle_enter(handle);
    handle_lock(handle);
    if (token->previous != NULL) {
        token->previous->next = token->next;
    } else {
        handle->tokens = token->next;
    }
    if (token->next != NULL) {
        token->next->previous = token->previous;
    }
    handle_unlock(handle);
}

int quadhsm_token_open(struct quadhsm *handle, const uint8_t *partition_id,
                       struct quadhsm_token **ret_token)
{
    struct quadhsm_token *token;

    error_clear();
    if (partition_id == NULL) {
        return QUADHSM_EINVAL;
    }
    token = calloc(1, sizeof *token);
    if (token == NULL) {
        return QUADHSM_ENOMEM;
    }
    token->handle = handle;
    token->number = next_number();
    memcpy(token->ticket.partition, partition_id, PARTITION_ID_SIZE);
    link_in(token);
    *ret_token = token;
    return QUADHSM_OK;
}

void quadhsm_token_close(struct quadhsm_token *token)
{
    if (token != NULL) {
        link_out(token);
        sodium_memzero(token, sizeof *token);
        free(token);
    }
}

struct quadhsm *token_handle(const struct quadhsm_token *token)
{
    return token->handle;
}

void client_token_ticket(struct quadhsm_token *token, struct client_ticket *ret_ticket)
{
    handle_lock(token->handle);
    *ret_ticket = token->ticket;
    handle_unlock(token->handle);
}

enum quadhsm_role quadhsm_token_role(struct quadhsm_token *token)
{
    enum quadhsm_role role;

    handle_lock(token->handle);
    role = token->role;
    handle_unlock(token->handle);
    return role;
}

void quadhsm_logout(struct quadhsm_token *token)
{
    handle_lock(token->handle);
    token->role = QUADHSM_ROLE_NONE;
    token->login = 0;
    sodium_memzero(token->ticket.ticket, sizeof token->ticket.ticket);
    token->ticket.ticket_size = 0;
    handle_unlock(token->handle);
}

/* Unless somebody has logged in again since. */
static void ticket_ended(struct quadhsm_token *token, const struct client_ticket *used)
{
    bool same;

    handle_lock(token->handle);
    same = used->ticket_size == token->ticket.ticket_size &&
           sodium_memcmp(used->ticket, token->ticket.ticket, used->ticket_size) == 0;
    handle_unlock(token->handle);
    if (same) {
        quadhsm_logout(token);
    }
}

QH_RESULT token_call(struct quadhsm_token *token, Quadhsm__Request *request,
                     Quadhsm__Response **ret_response)
{
    struct client_ticket ticket;
    enum qh_err err;

    handle_lock(token->handle);
    ticket = token->ticket;
    if (kind_uses_keys(request) && token->revision > request->min_revision) {
        request->min_revision = token->revision;
    }
    handle_unlock(token->handle);
    request->partition = message_bytes(ticket.partition, sizeof ticket.partition);
    request->ticket = message_bytes(ticket.ticket, ticket.ticket_size);
    err = client_call(token->handle, request, ret_response);
    request->partition = request->ticket = (ProtobufCBinaryData){0};
    if (err == QH_ETICKET && ticket.ticket_size > 0) {
        ticket_ended(token, &ticket);
    }
    sodium_memzero(&ticket, sizeof ticket);
    return err;
}

/* ---- partitions ---- */

static void describe(const Quadhsm__Slot *slot, struct quadhsm_partition *ret)
{
    memset(ret, 0, sizeof *ret);
    memcpy(ret->id, slot->partition.data, PARTITION_ID_SIZE);
    (void)snprintf(ret->name, sizeof ret->name, "%s", slot->name);
    (void)snprintf(ret->serial, sizeof ret->serial, "%s", slot->serial);
    ret->po_ready = slot->po_ready;
    ret->co_ready = slot->co_ready;
    ret->cu_ready = slot->cu_ready;
    ret->po_tries = slot->po_tries;
    ret->po_tries_left = slot->po_tries_left;
    ret->co_tries = slot->co_tries;
    ret->co_tries_left = slot->co_tries_left;
    ret->cu_tries = slot->cu_tries;
    ret->cu_tries_left = slot->cu_tries_left;
    ret->claimable = slot->claimable;
}

static QH_RESULT describe_all(const Quadhsm__SlotList *slots, struct quadhsm_partition **ret_list,
                              size_t *ret_count)
{
    struct quadhsm_partition *list = calloc(slots->n_slots + 1, sizeof *list);

    if (list == NULL) {
        return QH_ENOMEM;
    }
    for (size_t i = 0; i < slots->n_slots; i++) {
        if (slots->slots[i]->partition.len != PARTITION_ID_SIZE) {
            free(list);
            return QH_EMALFORMED;
        }
        describe(slots->slots[i], &list[i]);
    }
    *ret_list = list;
    *ret_count = slots->n_slots;
    return QH_OK;
}

int quadhsm_partitions(struct quadhsm *handle, struct quadhsm_partition **ret_list,
                       size_t *ret_count)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Slots slots = QUADHSM__SLOTS__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    request.op_case = QUADHSM__REQUEST__OP_SLOTS;
    request.slots = &slots;
    err = client_call(handle, &request, &response);
    if (err != QH_OK) {
        return error_public(err);
    }
    err = response->result_case == QUADHSM__RESPONSE__RESULT_SLOTS
              ? describe_all(response->slots, ret_list, ret_count)
              : QH_EMALFORMED;
    wire_message_free(&response->base);
    return error_public(err);
}

int quadhsm_token_open_name(struct quadhsm *handle, const char *name,
                            struct quadhsm_token **ret_token)
{
    struct quadhsm_partition *list;
    size_t count;
    int error = quadhsm_partitions(handle, &list, &count);

    if (error != QUADHSM_OK) {
        return error;
    }
    error = QUADHSM_ENOTFOUND;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            error = quadhsm_token_open(handle, list[i].id, ret_token);
            break;
        }
    }
    free(list);
    if (error == QUADHSM_ENOTFOUND) {
        client_set_detail("this client may use no partition \"%s\"", name);
    }
    return error;
}

/* ---- logins ---- */

static QH_RESULT take_ticket(const Quadhsm__Response *response, struct client_ticket *ret_ticket)
{
    const Quadhsm__LoginDone *done;

    if (response->result_case != QUADHSM__RESPONSE__RESULT_LOGIN) {
        return QH_EMALFORMED;
    }
    done = response->login;
    if (done->ticket.len == 0 || done->ticket.len > CLIENT_TICKET_ROOM) {
        return QH_EMALFORMED;
    }
    memcpy(ret_ticket->ticket, done->ticket.data, done->ticket.len);
    ret_ticket->ticket_size = done->ticket.len;
    ret_ticket->renew_ms = done->lifetime_ms > 0
                               ? clock_monotonic_ms() + done->lifetime_ms / TOKEN_RENEW_PART
                               : UINT64_MAX; /* nothing is known of its end */
    return QH_OK;
}

/* The ticket for @role, of a login beside the one that the token may have, and the revision from
 * which on nodes know what it stands for. */
static QH_RESULT log_in(struct quadhsm_token *token, enum quadhsm_role role, const void *pin,
                        size_t pin_size, struct client_ticket *ret_ticket, uint64_t *ret_revision)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Login login = QUADHSM__LOGIN__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    if (pin_size > PIN_SIZE_MAX) {
        return QH_EPINRANGE;
    }
    if (pin_size == 0) {
        client_set_detail("no PIN was given");
        return QH_EPIN; /* sent, it would ask for a renewal */
    }
    login.role = (Quadhsm__Role)role;
    login.pin = message_bytes(pin, pin_size);
    request.op_case = QUADHSM__REQUEST__OP_LOGIN;
    request.login = &login;
    err = token_call(token, &request, &response);
    if (err != QH_OK) {
        return err;
    }
    err = take_ticket(response, ret_ticket);
    if (err == QH_OK) {
        memcpy(ret_ticket->partition, token->ticket.partition, PARTITION_ID_SIZE);
        *ret_revision = response->revision;
    }
    wire_message_free(&response->base);
    return err;
}

static void set_login(struct quadhsm_token *token, enum quadhsm_role role,
                      struct client_ticket *ticket, uint64_t revision)
{
    handle_lock(token->handle);
    token->role = role;
    token->revision = revision;
    token->login = next_number();
    token->ticket = *ticket;
    handle_unlock(token->handle);
    sodium_memzero(ticket, sizeof *ticket);
}

static bool role_valid(enum quadhsm_role role)
{
    return role == QUADHSM_PO || role == QUADHSM_CO || role == QUADHSM_CU;
}

int quadhsm_login(struct quadhsm_token *token, enum quadhsm_role role, const void *pin,
                  size_t pin_size)
{
    struct client_ticket ticket;
    uint64_t revision;
    enum qh_err err;

    error_clear();
    if (!role_valid(role)) {
        return QUADHSM_EINVAL;
    }
    if (quadhsm_token_role(token) != QUADHSM_ROLE_NONE) {
        return QUADHSM_EEXIST;
    }
    err = log_in(token, role, pin, pin_size, &ticket, &revision);
    if (err == QH_OK) {
        set_login(token, role, &ticket, revision);
    }
    return error_public(err);
}

static bool digest_certificate(const struct quadhsm *handle, uint8_t ret_digest[32])
{
    const X509 *certificate = SSL_CTX_get0_certificate(handle->context);
    unsigned size = 0;

    return certificate != NULL && X509_digest(certificate, EVP_sha256(), ret_digest, &size) == 1 &&
           size == 32;
}

void token_take_login(struct quadhsm_token *token, struct token_login *ret_login)
{
    handle_enter(token->handle);
    handle_lock(token->handle);
    ret_login->role = token->role;
    ret_login->ticket = token->ticket;
    ret_login->revision = token->revision;
    handle_unlock(token->handle);
    if (!digest_certificate(token->handle, ret_login->certificate)) {
        ret_login->role = QUADHSM_ROLE_NONE;
    }
    quadhsm_logout(token);
}

bool token_give_login(struct quadhsm_token *token, const struct token_login *login)
{
    struct client_ticket ticket = login->ticket;
    uint8_t certificate[32];
    bool good = login->role != QUADHSM_ROLE_NONE && clock_monotonic_ms() < ticket.renew_ms &&
                digest_certificate(token->handle, certificate) &&
                sodium_memcmp(certificate, login->certificate, sizeof certificate) == 0;

    if (good) {
        set_login(token, login->role, &ticket, login->revision);
    }
    sodium_memzero(&ticket, sizeof ticket);
    return good;
}

int quadhsm_login_context(struct quadhsm_token *token, const void *pin, size_t pin_size)
{
    enum quadhsm_role role = quadhsm_token_role(token);
    uint64_t revision;
    enum qh_err err;

    error_clear();
    context_number = 0;
    if (role == QUADHSM_ROLE_NONE) {
        return QUADHSM_ENOLOGIN;
    }
    err = log_in(token, role, pin, pin_size, &context, &revision);
    if (err == QH_OK) {
        context_number = token->number;
    }
    return error_public(err);
}

void token_take_context(const struct quadhsm_token *token, struct client_ticket *ret_context)
{
    ret_context->ticket_size = 0;
    if (context_number == token->number) {
        *ret_context = context;
        context_number = 0;
        sodium_memzero(&context, sizeof context);
    }
}

/* ---- renewal ---- */

bool token_renewal_begin(struct quadhsm *handle, struct token_renewal *ret_renewal)
{
    uint64_t now_ms = clock_monotonic_ms();
    struct quadhsm_token *token;

    handle_lock(handle);
    token = handle->tokens;
    while (token != NULL && (token->login == 0 || now_ms < token->ticket.renew_ms)) {
        token = token->next;
    }
    if (token != NULL) {
        *ret_renewal = (struct token_renewal){token->login, token->role, token->ticket};
        token->ticket.renew_ms = now_ms + TOKEN_RENEW_AGAIN_MS;
    }
    handle_unlock(handle);
    return token != NULL;
}

void token_renewal_request(const struct token_renewal *renewal, Quadhsm__Request *ret_request,
                           Quadhsm__Login *ret_login)
{
    const struct client_ticket *ticket = &renewal->ticket;

    quadhsm__request__init(ret_request);
    quadhsm__login__init(ret_login);
    ret_login->role = (Quadhsm__Role)renewal->role;
    ret_request->partition = message_bytes(ticket->partition, sizeof ticket->partition);
    ret_request->ticket = message_bytes(ticket->ticket, ticket->ticket_size);
    ret_request->op_case = QUADHSM__REQUEST__OP_LOGIN;
    ret_request->login = ret_login;
}

void token_renewal_end(struct quadhsm *handle, uint64_t login, const Quadhsm__Response *response)
{
    struct client_ticket ticket;
    struct quadhsm_token *token;

    if (response->error != QH_OK || take_ticket(response, &ticket) != QH_OK) {
        return;
    }
    handle_lock(handle);
    token = handle->tokens;
    while (token != NULL && token->login != login) {
        token = token->next;
    }
    if (token != NULL) {
        memcpy(ticket.partition, token->ticket.partition, sizeof ticket.partition);
        token->ticket = ticket;
    }
    handle_unlock(handle);
    sodium_memzero(&ticket, sizeof ticket);
}

/* ---- PINs ---- */

int quadhsm_init_pin(struct quadhsm_token *token, enum quadhsm_role role, const void *pin,
                     size_t pin_size)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__RoleInit init = QUADHSM__ROLE_INIT__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    error_clear();
    if (!role_valid(role)) {
        return QUADHSM_EINVAL;
    }
    if (pin_size > PIN_SIZE_MAX) {
        return QUADHSM_EPINRANGE;
    }
    init.role = (Quadhsm__Role)role;
    init.pin = message_bytes(pin, pin_size);
    request.op_case = QUADHSM__REQUEST__OP_ROLE_INIT;
    request.role_init = &init;
    err = token_call(token, &request, &response);
    if (err == QH_OK) {
        wire_message_free(&response->base);
    }
    return error_public(err);
}

/* A new PIN ends all logins with the old one. Whoever changed it stays logged in. */
static void log_in_again(struct quadhsm_token *token, enum quadhsm_role role, const void *pin,
                         size_t pin_size)
{
    struct client_ticket ticket;
    uint64_t revision;

    quadhsm_logout(token);
    if (log_in(token, role, pin, pin_size, &ticket, &revision) == QH_OK) {
        set_login(token, role, &ticket, revision);
    }
}

int quadhsm_set_pin(struct quadhsm_token *token, enum quadhsm_role role, const void *old_pin,
                    size_t old_size, const void *new_pin, size_t new_size)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__RolePasswd passwd = QUADHSM__ROLE_PASSWD__INIT;
    Quadhsm__Response *response;
    enum qh_err err;

    error_clear();
    if (!role_valid(role)) {
        return QUADHSM_EINVAL;
    }
    if (old_size > PIN_SIZE_MAX || new_size > PIN_SIZE_MAX) {
        return QUADHSM_EPINRANGE;
    }
    passwd.role = (Quadhsm__Role)role;
    passwd.old_pin = message_bytes(old_pin, old_size);
    passwd.new_pin = message_bytes(new_pin, new_size);
    request.op_case = QUADHSM__REQUEST__OP_ROLE_PASSWD;
    request.role_passwd = &passwd;
    err = token_call(token, &request, &response);
    if (err != QH_OK) {
        return error_public(err);
    }
    wire_message_free(&response->base);
    if (quadhsm_token_role(token) == role) {
        log_in_again(token, role, new_pin, new_size);
    }
    return QUADHSM_OK;
}

int quadhsm_init_token(struct quadhsm_token *token, const void *pin, size_t pin_size,
                       const char *label)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__PartitionInit init;
    Quadhsm__Response *response;
    char name[PARTITION_NAME_LENGTH_MAX + 1] = "";
    enum qh_err err;

    error_clear();
    if (pin_size > PIN_SIZE_MAX) {
        return QUADHSM_EPINRANGE;
    }
    if (label != NULL) {
        size_t length = strlen(label);

        if (length == 0 || length > PARTITION_NAME_LENGTH_MAX) {
            return QUADHSM_EINVAL;
        }
        memcpy(name, label, length);
    }
    quadhsm__partition_init__init(&init);
    init.pin = message_bytes(pin, pin_size);
    init.label = name;
    request.op_case = QUADHSM__REQUEST__OP_PARTITION_INIT;
    request.partition_init = &init;
    err = token_call(token, &request, &response);
    if (err == QH_OK) {
        wire_message_free(&response->base);
        quadhsm_logout(token);
    }
    return error_public(err);
}
