/* Slots and logins. */
#include <string.h>

#include "base/clock.h"
#include "node/handlers.h"
#include "node/login.h"
#include "node/node.h"
#include "wire/frame.h"

static const char out_of_memory[] = "the node is out of memory: ask another one";
static const char node_locked[] = "the node was locked: ask another one";

_Static_assert((int)HSM_ROLE_SO == (int)QUADHSM__ROLE__ROLE_SO, "roles");
_Static_assert((int)HSM_ROLE_PO == (int)QUADHSM__ROLE__ROLE_PO, "roles");
_Static_assert((int)HSM_ROLE_CO == (int)QUADHSM__ROLE__ROLE_CO, "roles");
_Static_assert((int)HSM_ROLE_CU == (int)QUADHSM__ROLE__ROLE_CU, "roles");

/* ---- slots ---- */

static uint32_t tries_left(const struct request *request,
                           const struct directory_partition *partition, enum hsm_role role)
{
    struct logins_rule rule = {role, partition->tries, partition->tries_total};

    return logins_tries_left(&partition->roles[role].logins, &rule, request->client,
                             clock_unix_ms());
}

static bool has_pin(const struct directory_partition *partition, enum hsm_role role)
{
    return partition->roles[role].verifier[0] != '\0';
}

static Quadhsm__Slot *make_slot(const struct request *request,
                                const struct directory_partition *partition)
{
    Quadhsm__Slot *slot = wire_zalloc(sizeof *slot);

    if (slot == NULL) {
        return NULL;
    }
    quadhsm__slot__init(slot);
    slot->partition = wire_bytes((struct bytes){partition->id, PARTITION_ID_SIZE});
    slot->name = wire_string(partition->name);
    slot->serial = wire_string(partition->serial);
    slot->po_ready = has_pin(partition, HSM_ROLE_PO);
    slot->co_ready = has_pin(partition, HSM_ROLE_CO);
    slot->cu_ready = has_pin(partition, HSM_ROLE_CU);
    slot->claimable = partition->claimable;
    slot->export = (Quadhsm__Export)partition->export;
    slot->po_tries = slot->co_tries = slot->cu_tries = partition->tries;
    slot->po_tries_left = tries_left(request, partition, HSM_ROLE_PO);
    slot->co_tries_left = tries_left(request, partition, HSM_ROLE_CO);
    slot->cu_tries_left = tries_left(request, partition, HSM_ROLE_CU);
    return slot;
}

static QH_RESULT fill_slots(const struct request *request, Quadhsm__SlotList *list)
{
    const struct directory *directory = view_directory(request->node->view);
    const struct directory_client *client = directory_client(directory, request->fingerprint);

    list->slots = wire_zalloc((directory->partition_count + 1) * sizeof(Quadhsm__Slot *));
    if (list->slots == NULL) {
        return QH_ENOMEM;
    }
    for (unsigned i = 0; client != NULL && i < directory->partition_count; i++) {
        const struct directory_partition *partition = &directory->partitions[i];

        if (directory_client_may(client, partition->id)) {
            list->slots[list->n_slots] = make_slot(request, partition);
            if (list->slots[list->n_slots] == NULL) {
                return QH_ENOMEM;
            }
            list->n_slots++;
        }
    }
    return QH_OK;
}

void handle_slots(struct request *request)
{
    Quadhsm__SlotList *list = wire_zalloc(sizeof *list);
    enum qh_err err = QH_ENOMEM;

    if (list != NULL) {
        quadhsm__slot_list__init(list);
        request->response->result_case = QUADHSM__RESPONSE__RESULT_SLOTS;
        request->response->slots = list;
        view_enter();
        err = fill_slots(request, list);
        view_leave();
    }
    request_answer(request, err, err == QH_OK ? NULL : out_of_memory);
}

/* ---- login ---- */

/* Inside view_enter(). */
static QH_RESULT answer_ticket(struct request *request, struct ticket *ticket)
{
    uint64_t lifetime_ms = ticket->context ? LOGIN_CONTEXT_MS : TICKET_LIFETIME_MS;
    Quadhsm__LoginDone *done = wire_zalloc(sizeof *done);
    uint8_t sealed[TICKET_SIZE_MAX];
    size_t size;
    enum qh_err err;

    if (done == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__login_done__init(done);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_LOGIN;
    request->response->login = done;
    ticket->expires_unix_ms = clock_unix_ms() + lifetime_ms;
    err = ticket_seal(view_keyring(request->node->view), ticket, sealed, &size);
    if (err == QH_OK) {
        done->ticket = wire_bytes((struct bytes){sealed, size});
        done->lifetime_ms = lifetime_ms;
        err = done->ticket.data != NULL ? QH_OK : QH_ENOMEM;
    }
    return err;
}

/* Inside view_enter(). */
static QH_RESULT fill_ticket(struct request *request)
{
    const struct login *login = request->state;
    struct ticket ticket = {.role = login->role, .context = login->context, .epoch = login->epoch};

    memcpy(ticket.partition, login->who.partition, PARTITION_ID_SIZE);
    memcpy(ticket.fingerprint, request->fingerprint, FINGERPRINT_SIZE);
    return answer_ticket(request, &ticket);
}

static enum qh_err build_login(struct request *request, const struct store *store,
                               struct change_list *list, const char **ret_detail)
{
    const struct login *login = request->state;
    struct role_record record;
    enum qh_err err;

    view_enter();
    err = login_build(request, view_keyring(request->node->view), store, list, &record, ret_detail);
    if (err == QH_OK) {
        role_record_compare(&record, list);
    }
    if (err == QH_OK && login->right) {
        err = fill_ticket(request);
    }
    view_leave();
    role_record_close(&record);
    return err;
}

/* On the slow worker, unless the PIN is known. Who never failed needs no majority to log in. */
static void verify(struct request *request)
{
    const struct login *login = request->state;
    enum qh_err err;

    if (!login_verify(request)) {
        return;
    }
    if (!login->right || !login_clean(request)) {
        change_run(request, build_login);
        return;
    }
    view_enter();
    err = view_keyring(request->node->view) != NULL ? fill_ticket(request) : QH_ELOCKED;
    view_leave();
    request_answer(request, err,
                   err == QH_ELOCKED  ? node_locked
                   : err == QH_ENOMEM ? out_of_memory
                                      : NULL);
}

/* Inside view_enter(). The login whose ticket came with the request. */
static QH_RESULT open_given(const struct request *request, struct ticket *ret_ticket,
                            const char **ret_detail)
{
    const struct view *view = request->node->view;
    struct bytes sealed = {request->message->ticket.data, request->message->ticket.len};
    struct ticket ticket;

    if (view_keyring(view) == NULL) {
        *ret_detail = node_locked;
        return QH_ELOCKED;
    }
    if (ticket_open(view_keyring(view), view_directory(view), sealed, request->fingerprint,
                    clock_unix_ms(), &ticket) != QH_OK ||
        ticket.context) {
        *ret_detail = "the login that was given has ended: log in without it";
        return QH_ETICKET;
    }
    *ret_ticket = ticket;
    return QH_OK;
}

static bool is_same_login(const Quadhsm__Request *message, const struct ticket *ticket)
{
    return (int)ticket->role == (int)message->login->role &&
           (ticket->role == HSM_ROLE_SO ||
            (message->partition.len == PARTITION_ID_SIZE &&
             memcmp(ticket->partition, message->partition.data, PARTITION_ID_SIZE) == 0));
}

/* With the ticket of this very login: without a PIN it is renewed as it is, and answered; with it,
 * the PIN is asked for one operation more. */
static QH_RESULT build_on_login(struct request *request, bool *ret_context, bool *ret_renewed,
                                const char **ret_detail)
{
    struct ticket ticket;
    enum qh_err err;

    view_enter();
    err = open_given(request, &ticket, ret_detail);
    if (err == QH_OK && is_same_login(request->message, &ticket)) {
        *ret_renewed = request->message->login->pin.len == 0;
        *ret_context = !*ret_renewed;
        if (*ret_renewed) {
            err = answer_ticket(request, &ticket);
            *ret_detail = err == QH_OK ? NULL : out_of_memory;
        }
    }
    view_leave();
    return err;
}

void handle_login(struct request *request)
{
    Quadhsm__Login *message = request->message->login;
    bool context = false, renewed = false;
    const char *detail = NULL;
    enum qh_err err = QH_OK;
    struct login *login;

    if (request->message->ticket.len > 0) {
        err = build_on_login(request, &context, &renewed, &detail);
    }
    if (err == QH_OK && !renewed) {
        err = login_begin(request, (enum hsm_role)message->role, &message->pin, &detail);
    }
    if (err != QH_OK || renewed) {
        request_answer(request, err, detail);
        return;
    }
    login = request->state;
    login->context = context;
    request_run_on(request, login->known ? REQUEST_WORKER : REQUEST_SLOW, verify);
}
