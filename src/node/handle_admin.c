/* Partitions: made, deleted, listed.
 *
 * A deleted partition is gone with its record, which holds the wrapped key: from that revision on
 * nobody can open its objects. They are removed afterwards, by whoever leads (sweep.h).
 *
 * Names are no part of the records' keys, so that two changes at different nodes could give
 * one name twice. Whatever gives a name therefore writes c/settings again: of two such changes at
 * once one is refused and computed anew. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "node/admin.h"
#include "node/handlers.h"
#include "node/node.h"
#include "node/role_record.h"
#include "wire/frame.h"

static const char out_of_memory[] = "the node is out of memory: ask another one";

#define SERIAL_LENGTH 16u

QH_RESULT admin_touch_names(const struct keyring *keyring, const struct store *store,
                            struct change_list *list)
{
    struct record_key key = record_key_settings();
    struct store_record record;
    ProtobufCMessage *message;
    struct bytes value;
    enum qh_err err =
        record_load(keyring, store, &key, &qhrec__settings__descriptor, &message, &record);

    if (err != QH_OK) {
        return err;
    }
    err = record_seal(keyring, &key, record.value, message, &value);
    if (err == QH_OK) {
        change_compare(list, TXN_AT_REVISION, record_key_bytes(&key), record.mod_revision);
        change_put(list, record_key_bytes(&key), value);
        free((void *)(uintptr_t)value.base);
    }
    wire_message_free(message);
    return err;
}

/* ---- answers; inside view_enter() ---- */

static Quadhsm__RoleInfo *make_role(const struct directory_partition *partition, enum hsm_role role)
{
    const struct directory_role *auth = &partition->roles[role];
    struct logins_rule rule = {role, partition->tries, partition->tries_total};
    Quadhsm__RoleInfo *info = wire_zalloc(sizeof *info);

    if (info == NULL) {
        return NULL;
    }
    quadhsm__role_info__init(info);
    info->role = (Quadhsm__Role)role;
    info->ready = auth->verifier[0] != '\0';
    info->locked = logins_locked(&auth->logins, &rule, clock_unix_ms());
    for (unsigned i = 0; i < auth->logins.client_count; i++) {
        info->locked = info->locked || auth->logins.clients[i].failed >= partition->tries;
    }
    info->failed = auth->logins.failed;
    info->epoch = auth->epoch;
    return info;
}

static QH_RESULT fill_roles(const struct directory_partition *partition,
                            Quadhsm__PartitionInfo *info)
{
    info->roles = wire_zalloc(HSM_ROLES * sizeof(Quadhsm__RoleInfo *));
    if (info->roles == NULL) {
        return QH_ENOMEM;
    }
    for (enum hsm_role role = HSM_ROLE_PO; role <= HSM_ROLE_CU; role++) {
        info->roles[info->n_roles] = make_role(partition, role);
        if (info->roles[info->n_roles] == NULL) {
            return QH_ENOMEM;
        }
        info->n_roles++;
    }
    return QH_OK;
}

/* An answer with room for @room partitions. NULL without memory. */
static Quadhsm__PartitionInfoList *begin_list(Quadhsm__Response *response, size_t room,
                                              unsigned partitions_max)
{
    Quadhsm__PartitionInfoList *list = wire_zalloc(sizeof *list);

    if (list == NULL) {
        return NULL;
    }
    quadhsm__partition_info_list__init(list);
    response->result_case = QUADHSM__RESPONSE__RESULT_PARTITIONS;
    response->partitions = list;
    list->partitions_max = partitions_max;
    list->partitions = wire_zalloc((room + 1) * sizeof(Quadhsm__PartitionInfo *));
    return list->partitions != NULL ? list : NULL;
}

static QH_RESULT add_info(Quadhsm__PartitionInfoList *list,
                          const struct directory_partition *partition, uint64_t object_count)
{
    Quadhsm__PartitionInfo *info = wire_zalloc(sizeof *info);

    if (info == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__partition_info__init(info);
    list->partitions[list->n_partitions++] = info;
    info->partition = wire_bytes((struct bytes){partition->id, PARTITION_ID_SIZE});
    info->name = wire_string(partition->name);
    info->serial = wire_string(partition->serial);
    info->object_count = object_count;
    info->revision = partition->mod_revision;
    info->export = (Quadhsm__Export)partition->export;
    info->claimable = partition->claimable;
    if (info->partition.data == NULL || info->name == NULL || info->serial == NULL) {
        return QH_ENOMEM;
    }
    return fill_roles(partition, info);
}

/* ---- create ---- */

const char admin_name_rule[] = "a partition's name has 1 to 32 bytes of UTF-8, no control "
                               "characters, without a blank at either end";

bool admin_name_valid(const char *name)
{
    size_t length = strnlen(name, PARTITION_NAME_LENGTH_MAX + 1);

    return length >= 1 && length <= PARTITION_NAME_LENGTH_MAX && name[0] != ' ' &&
           name[length - 1] != ' ' && utf8_is_text(name, length);
}

static QH_RESULT put_partition(const struct keyring *keyring,
                               const struct directory_partition *partition,
                               struct change_list *list)
{
    struct record_key key = record_key_partition(partition->id);
    Qhrec__Partition message;
    struct secret *secret = NULL;
    struct bytes wrapped, value;
    enum qh_err err = keyring_partition_new(keyring, partition->id, &secret, &wrapped);

    if (err != QH_OK) {
        return err;
    }
    secret_free(secret); /* whoever needs it opens the record */
    qhrec__partition__init(&message);
    message.id = (ProtobufCBinaryData){PARTITION_ID_SIZE, (uint8_t *)(uintptr_t)partition->id};
    message.name = (char *)(uintptr_t)partition->name;
    message.serial = (char *)(uintptr_t)partition->serial;
    message.wrapped_key = (ProtobufCBinaryData){wrapped.size, (uint8_t *)(uintptr_t)wrapped.base};
    message.tries = partition->tries;
    message.tries_total = partition->tries_total;
    message.claimable = partition->claimable;
    message.export = (uint32_t)partition->export;
    err = record_seal(keyring, &key, (struct bytes){NULL, 0}, &message.base, &value);
    if (err == QH_OK) {
        change_compare(list, TXN_ABSENT, record_key_bytes(&key), 0);
        change_put(list, record_key_bytes(&key), value);
        free((void *)(uintptr_t)value.base);
    }
    free((void *)(uintptr_t)wrapped.base);
    return err;
}

static QH_RESULT create(struct request *request, const struct store *store,
                        struct change_list *list, const char **ret_detail)
{
    const struct view *view = request->node->view;
    const struct directory *directory = view_directory(view);
    const char *name = request->message->partition_create->name;
    const Quadhsm__PartitionCreate *message = request->message->partition_create;
    struct directory_partition partition = {.tries = LOGINS_TRIES,
                                            .tries_total = LOGINS_TRIES_TOTAL,
                                            .claimable = message->claimable,
                                            .export = (enum object_export)message->export};
    struct record_key prefix = record_prefix("p");
    Quadhsm__PartitionInfoList *answer;
    enum qh_err err;

    if (directory_partition_by_name(directory, name) != NULL) {
        *ret_detail = "there is a partition of this name: choose another one";
        return QH_EEXIST;
    }
    if (store_count_prefix(store, record_key_bytes(&prefix)) >= directory->partitions_max) {
        *ret_detail = "the cluster has as many partitions as it may have: delete one first";
        return QH_ELIMIT;
    }
    randombytes_buf(partition.id, sizeof partition.id);
    (void)snprintf(partition.name, sizeof partition.name, "%s", name);
    (void)sodium_bin2hex(partition.serial, sizeof partition.serial, partition.id,
                         SERIAL_LENGTH / 2);
    change_compare(list, TXN_FEWER_THAN, record_key_bytes(&prefix), directory->partitions_max);
    err = put_partition(view_keyring(view), &partition, list);
    if (err == QH_OK) {
        err = admin_touch_names(view_keyring(view), store, list);
    }
    if (err == QH_OK) {
        answer = begin_list(request->response, 1, directory->partitions_max);
        err = answer != NULL ? add_info(answer, &partition, 0) : QH_ENOMEM;
    }
    return err;
}

static enum qh_err build_create(struct request *request, const struct store *store,
                                struct change_list *list, const char **ret_detail)
{
    enum qh_err err;

    view_enter();
    err = create(request, store, list, ret_detail);
    view_leave();
    return err;
}

void handle_partition_create(struct request *request)
{
    if (!admin_name_valid(request->message->partition_create->name)) {
        request_answer(request, QH_EINVAL, admin_name_rule);
        return;
    }
    change_run(request, build_create);
}

/* ---- policy ---- */

_Static_assert((int)OBJECT_EXPORT_WRAPPED == (int)QUADHSM__EXPORT__EXPORT_WRAPPED, "policies");
_Static_assert((int)OBJECT_EXPORT_NEVER == (int)QUADHSM__EXPORT__EXPORT_NEVER, "policies");
_Static_assert((int)OBJECT_EXPORT_CLEAR == (int)QUADHSM__EXPORT__EXPORT_CLEAR, "policies");

static QH_RESULT put_policy(const struct keyring *keyring, const struct store *store,
                            const struct directory_partition *partition, uint32_t export,
                            struct change_list *list)
{
    struct role_record record;
    enum qh_err err = role_record_load(keyring, store, partition->id, HSM_ROLE_PO, &record);

    if (err != QH_OK) {
        return err;
    }
    ((Qhrec__Partition *)record.message)->export = export;
    err = role_record_write(keyring, &record, list);
    role_record_close(&record);
    return err;
}

static QH_RESULT set_policy(struct request *request, const struct store *store,
                            struct change_list *list)
{
    const Quadhsm__PartitionPolicy *policy = request->message->partition_policy;
    const struct view *view = request->node->view;
    const struct directory *directory = view_directory(view);
    const struct directory_partition *partition =
        directory_partition_by_name(directory, policy->name);
    Quadhsm__PartitionInfoList *answer;
    enum qh_err err = partition != NULL ? QH_OK : QH_ENOTFOUND;

    if (err == QH_OK) {
        err = put_policy(view_keyring(view), store, partition, (uint32_t)policy->export, list);
    }
    if (err == QH_OK) {
        answer = begin_list(request->response, 1, directory->partitions_max);
        err = answer != NULL ? add_info(answer, partition, view_object_count(view, partition->id))
                             : QH_ENOMEM;
    }
    if (err == QH_OK) {
        request->response->partitions->partitions[0]->export = policy->export;
    }
    return err;
}

static enum qh_err build_policy(struct request *request, const struct store *store,
                                struct change_list *list, const char **ret_detail)
{
    enum qh_err err;

    view_enter();
    err = set_policy(request, store, list);
    view_leave();
    if (err == QH_ENOTFOUND) {
        *ret_detail = "there is no partition of this name: see quadhsm partition list";
    }
    return err;
}

void handle_partition_policy(struct request *request)
{
    change_run(request, build_policy);
}

/* ---- delete ---- */

static QH_RESULT refuse_delete(struct request *request, uint64_t count)
{
    char text[128];

    (void)snprintf(text, sizeof text,
                   "it has %" PRIu64 " objects, which would be lost: delete them first, or use "
                   "--force",
                   count);
    request->response->detail = wire_string(text);
    request->response->error = QH_EREFUSED;
    return request->response->detail != NULL ? QH_OK : QH_ENOMEM;
}

/* A refusal changes nothing, so that it is answered as it stands. Not with QH_EBUSY, which clients
 * take for a node that has too much to do, and ask the next one. */
static QH_RESULT delete_partition(struct request *request, const struct store *store,
                                  const uint8_t id[PARTITION_ID_SIZE], struct change_list *list)
{
    struct record_key key = record_key_partition(id);
    struct record_key objects = record_prefix_objects(id);
    uint64_t count = store_count_prefix(store, record_key_bytes(&objects));
    struct store_record record;

    if (!store_get(store, record_key_bytes(&key), &record)) {
        return QH_ENOTFOUND;
    }
    if (!request->message->partition_delete->force) {
        if (count > 0) {
            return refuse_delete(request, count);
        }
        change_compare(list, TXN_FEWER_THAN, record_key_bytes(&objects), 1);
    }
    change_compare(list, TXN_AT_REVISION, record_key_bytes(&key), record.mod_revision);
    change_delete(list, record_key_bytes(&key));
    for (uint32_t role = HSM_ROLE_PO; role <= HSM_ROLE_CU; role++) {
        struct record_key logins = record_key_logins(id, role);

        change_delete(list, record_key_bytes(&logins));
    }
    return QH_OK;
}

static enum qh_err build_delete(struct request *request, const struct store *store,
                                struct change_list *list, const char **ret_detail)
{
    const struct directory_partition *partition;
    enum qh_err err = QH_ENOTFOUND;

    view_enter();
    partition = directory_partition_by_name(view_directory(request->node->view),
                                            request->message->partition_delete->name);
    if (partition != NULL) {
        err = delete_partition(request, store, partition->id, list);
    }
    view_leave();
    if (err == QH_ENOTFOUND) {
        *ret_detail = "there is no partition of this name: see quadhsm partition list";
    }
    return err;
}

void handle_partition_delete(struct request *request)
{
    change_run(request, build_delete);
}

/* ---- list ---- */

static QH_RESULT fill_partitions(struct request *request)
{
    const struct view *view = request->node->view;
    const struct directory *directory = view_directory(view);
    const char *name = request->message->partition_list->name;
    Quadhsm__PartitionInfoList *list =
        begin_list(request->response, directory->partition_count, directory->partitions_max);
    enum qh_err err = list != NULL ? QH_OK : QH_ENOMEM;

    for (unsigned i = 0; err == QH_OK && i < directory->partition_count; i++) {
        const struct directory_partition *partition = &directory->partitions[i];

        if (name[0] == '\0' || strcmp(name, partition->name) == 0) {
            err = add_info(list, partition, view_object_count(view, partition->id));
        }
    }
    if (err == QH_OK && name[0] != '\0' && list->n_partitions == 0) {
        err = QH_ENOTFOUND;
    }
    return err;
}

void handle_partition_list(struct request *request)
{
    const char *detail = NULL;
    enum qh_err err;

    view_enter();
    err = fill_partitions(request);
    view_leave();
    if (err != QH_OK) {
        detail = err == QH_ENOTFOUND ? "there is no partition of this name" : out_of_memory;
    }
    request_answer(request, err, detail);
}
