/* C_InitToken: the PIN of po, then everything in the partition goes.
 *
 * First a change that happens once: the PINs of co and cu are taken away, all tickets end, the name
 * is set, and the request's id is put into the partition's record. From then on nobody can use
 * what is there, though a partition has more objects than a transaction can delete. wipe.c destroys
 * them and takes the id out. As long as it is there co and cu get no new PIN; a repeated request
 * goes on from wherever the first one was left. */
#include <string.h>

#include "node/admin.h"
#include "node/handlers.h"
#include "node/login.h"
#include "node/node.h"
#include "node/wipe.h"
#include "wire/frame.h"

static QH_RESULT set_name(const struct request *request, const struct store *store,
                          Qhrec__Partition *message, struct change_list *list,
                          const char **ret_detail)
{
    const struct view *view = request->node->view;
    const char *label = request->message->partition_init->label;
    char *name;

    if (label[0] == '\0' || strcmp(label, message->name) == 0) {
        return QH_OK;
    }
    if (directory_partition_by_name(view_directory(view), label) != NULL) {
        *ret_detail = "there is a partition of this name: choose another one";
        return QH_EEXIST;
    }
    name = wire_string(label);
    if (name == NULL) {
        return QH_ENOMEM;
    }
    if (message->name != protobuf_c_empty_string) {
        wire_allocator.free(wire_allocator.allocator_data, message->name);
    }
    message->name = name;
    return admin_touch_names(view_keyring(view), store, list);
}

/* In the place of one that was left there. With nothing to destroy there is none; an object that
 * is on its way meanwhile has the change refused, and built anew. */
static QH_RESULT set_id(const struct request *request, const struct store *store,
                        Qhrec__Partition *message, struct change_list *list)
{
    const ProtobufCBinaryData *id = &request->message->request_id;
    struct record_key objects = record_prefix_objects(request->message->partition.data);

    wire_allocator.free(wire_allocator.allocator_data, message->init.data);
    message->init = (ProtobufCBinaryData){0, NULL};
    if (store_count_prefix(store, record_key_bytes(&objects)) == 0) {
        change_compare(list, TXN_FEWER_THAN, record_key_bytes(&objects), 1);
        return QH_OK;
    }
    message->init = wire_bytes((struct bytes){id->data, id->len});
    return message->init.len == id->len ? QH_OK : QH_ENOMEM;
}

static QH_RESULT reset_roles(struct request *request, const struct store *store,
                             struct role_record *record, struct change_list *list)
{
    const struct login *login = request->state;
    enum qh_err err =
        role_record_reset(record, HSM_ROLE_PO, login->claim ? login->new_verifier : NULL);

    for (enum hsm_role role = HSM_ROLE_CO; err == QH_OK && role <= HSM_ROLE_CU; role++) {
        err = role_record_reset(record, role, "");
        logins_record_delete(store, request->message->partition.data, role, list);
    }
    return err;
}

/* The PIN was right, or is the first one. */
static QH_RESULT put_init(struct request *request, const struct store *store,
                          struct role_record *record, struct change_list *list,
                          const char **ret_detail)
{
    Qhrec__Partition *message = (Qhrec__Partition *)record->message;
    enum qh_err err = set_name(request, store, message, list, ret_detail);

    message->claimable = false;
    message->generation++;
    if (err == QH_OK) {
        err = reset_roles(request, store, record, list);
    }
    if (err == QH_OK) {
        err = set_id(request, store, message, list);
    }
    return err == QH_OK ? role_record_write(view_keyring(request->node->view), record, list) : err;
}

static QH_RESULT build_claim(const struct request *request, const struct store *store,
                             struct role_record *ret_record, const char **ret_detail)
{
    enum qh_err err = role_record_load(view_keyring(request->node->view), store,
                                       request->message->partition.data, HSM_ROLE_PO, ret_record);

    if (err != QH_OK) {
        *ret_detail = "the partition is gone, or its record is damaged";
        return err;
    }
    if (ret_record->verifier[0] != '\0' ||
        !((const Qhrec__Partition *)ret_record->message)->claimable) {
        *ret_detail = "somebody else claimed it at the same time";
        return QH_ECONFLICT;
    }
    return QH_OK;
}

static enum qh_err build_init(struct request *request, const struct store *store,
                              struct change_list *list, const char **ret_detail)
{
    const struct login *login = request->state;
    struct role_record record = {.message = NULL};
    enum qh_err err;

    view_enter();
    if (login->claim) {
        err = build_claim(request, store, &record, ret_detail);
    } else {
        err = login_build(request, view_keyring(request->node->view), store, list, &record,
                          ret_detail);
    }
    if (err == QH_OK && (login->claim || login->right)) {
        err = put_init(request, store, &record, list, ret_detail);
    } else if (err == QH_OK) {
        role_record_compare(&record, list);
    }
    view_leave();
    role_record_close(&record);
    return err;
}

/* On the slow worker. */
static void check_pin(struct request *request)
{
    const struct login *login = request->state;

    if (login->claim ? login_make(request) : login_verify(request)) {
        change_run_then(request, build_init, wipe_run);
    }
}

static bool is_claimable(const struct request *request)
{
    const struct directory_partition *partition;
    bool claimable;

    view_enter();
    partition =
        directory_partition(view_directory(request->node->view), request->message->partition.data);
    claimable = partition != NULL && partition->claimable;
    view_leave();
    return claimable;
}

void handle_partition_init(struct request *request)
{
    Quadhsm__PartitionInit *message = request->message->partition_init;
    const char *detail = admin_name_rule;
    enum qh_err err = QH_EINVAL;

    if (message->label[0] == '\0' || admin_name_valid(message->label)) {
        detail = NULL;
        err = is_claimable(request) ? login_begin_claim(request, &message->pin, &detail)
                                    : login_begin(request, HSM_ROLE_PO, &message->pin, &detail);
    }
    if (err != QH_OK) {
        request_answer(request, err, detail);
    } else {
        request_run_on(request, REQUEST_SLOW, check_pin);
    }
}
