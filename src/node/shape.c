/* The shapes of requests. */
#include "node/shape.h"

#include <stdbool.h>
#include <string.h>

#include "base/limits.h"
#include "crypto/pki.h"
#include "hsm/ticket.h"
#include "store/txn.h"

static bool id_valid(ProtobufCBinaryData id, size_t size)
{
    return id.len == size;
}

static bool id_valid_or_empty(ProtobufCBinaryData id, size_t size)
{
    return id.len == 0 || id.len == size;
}

static bool text_valid(const char *text)
{
    return strnlen(text, SHAPE_TEXT_LENGTH_MAX + 1) <= SHAPE_TEXT_LENGTH_MAX;
}

static enum qh_err fail(enum qh_err err, const char *text, const char **ret_detail)
{
    *ret_detail = text;
    return err;
}

static QH_RESULT check_header(const Quadhsm__Request *message, const char **ret_detail)
{
    if (message->id == 0) {
        return fail(QH_EINVAL, "a request needs an id above 0", ret_detail);
    }
    if (!id_valid_or_empty(message->request_id, ONCE_ID_SIZE)) {
        return fail(QH_EINVAL, "a request id has 16 bytes", ret_detail);
    }
    if (!id_valid_or_empty(message->partition, PARTITION_ID_SIZE)) {
        return fail(QH_EINVAL, "a partition's id has 16 bytes", ret_detail);
    }
    if (message->ticket.len > TICKET_SIZE_MAX) {
        return QH_ETICKET;
    }
    if ((unsigned)message->level > QUADHSM__LEVEL__LEVEL_LINEARIZABLE) {
        return fail(QH_EINVAL, "this level of reading is not known", ret_detail);
    }
    return QH_OK;
}

static QH_RESULT check_template(Quadhsm__Attribute *const *template, size_t count,
                                const char **ret_detail)
{
    if (count > ATTRIBUTES_MAX) {
        return fail(QH_ELIMIT, "a template has at most 64 attributes", ret_detail);
    }
    for (size_t i = 0; i < count; i++) {
        if (template[i] -> value.len > ATTRIBUTE_SIZE_MAX) {
            return fail(QH_ELIMIT, "an attribute has at most 32,768 bytes", ret_detail);
        }
    }
    return QH_OK;
}

static QH_RESULT check_ref(const Quadhsm__ObjectRef *ref, const char **ret_detail)
{
    if (ref == NULL || (ref->id.len == 0) == (ref->session.len == 0)) {
        return fail(QH_EINVAL, "an object is named by its id, or is a session object", ret_detail);
    }
    if (!id_valid_or_empty(ref->id, OBJECT_ID_SIZE)) {
        return fail(QH_EINVAL, "an object's id has 16 bytes", ret_detail);
    }
    if (ref->session.len > STORE_VALUE_SIZE_MAX) {
        return QH_ELIMIT;
    }
    return QH_OK;
}

static QH_RESULT check_mechanism(const Quadhsm__Mechanism *mechanism, const char **ret_detail)
{
    if (mechanism == NULL) {
        return fail(QH_EINVAL, "a mechanism is missing", ret_detail);
    }
    if (mechanism->iv.len > SHAPE_IV_SIZE_MAX || mechanism->aad.len > USE_DATA_SIZE_MAX ||
        mechanism->label.len > SHAPE_LABEL_SIZE_MAX || mechanism->salt_size > SHAPE_SALT_SIZE_MAX ||
        mechanism->tag_bits > 128 || mechanism->counter_bits > 128) {
        return QH_EPARAMETER;
    }
    if (mechanism->public_data.len > SHAPE_DERIVE_SIZE_MAX ||
        mechanism->shared_data.len > SHAPE_DERIVE_SIZE_MAX ||
        mechanism->salt.len > SHAPE_DERIVE_SIZE_MAX ||
        mechanism->info.len > SHAPE_DERIVE_SIZE_MAX) {
        return QH_EPARAMETER;
    }
    return mechanism->salt_key != NULL ? check_ref(mechanism->salt_key, ret_detail) : QH_OK;
}

static QH_RESULT check_role(Quadhsm__Role role, const char **ret_detail)
{
    if (role < QUADHSM__ROLE__ROLE_SO || role > QUADHSM__ROLE__ROLE_CU) {
        return fail(QH_EINVAL, "this role is not known", ret_detail);
    }
    return QH_OK;
}

static QH_RESULT check_pin(ProtobufCBinaryData pin)
{
    return pin.len > PIN_SIZE_MAX ? QH_EPINRANGE : QH_OK;
}

/* ---- One function an operation that has something to check. */

static QH_RESULT check_login(const Quadhsm__Login *login, const char **ret_detail)
{
    enum qh_err err = check_role(login->role, ret_detail);

    return err == QH_OK && check_pin(login->pin) != QH_OK ? QH_EPIN : err;
}

static QH_RESULT check_random(const Quadhsm__Random *random, const char **ret_detail)
{
    if (random->size == 0 || random->size > RANDOM_SIZE_MAX) {
        return fail(QH_ELIMIT, "1 to 65,536 random bytes in one request", ret_detail);
    }
    return QH_OK;
}

static QH_RESULT check_find(const Quadhsm__Find *find, const char **ret_detail)
{
    if (!id_valid_or_empty(find->after, OBJECT_ID_SIZE)) {
        return fail(QH_EINVAL, "an object's id has 16 bytes", ret_detail);
    }
    if (find->limit > SHAPE_FIND_LIMIT_MAX) {
        return fail(QH_ELIMIT, "at most 1,000 objects in one answer", ret_detail);
    }
    return check_template(find->template_, find->n_template_, ret_detail);
}

static QH_RESULT check_generate(const Quadhsm__Generate *generate, const char **ret_detail)
{
    enum qh_err err = check_mechanism(generate->mechanism, ret_detail);

    if (err == QH_OK) {
        err = check_template(generate->template_, generate->n_template_, ret_detail);
    }
    if (err == QH_OK) {
        err = check_template(generate->private_template, generate->n_private_template, ret_detail);
    }
    return err;
}

static QH_RESULT check_destroy(const Quadhsm__Destroy *destroy, const char **ret_detail)
{
    if (!id_valid(destroy->id, OBJECT_ID_SIZE)) {
        return fail(QH_EINVAL, "an object's id has 16 bytes", ret_detail);
    }
    return QH_OK;
}

static QH_RESULT check_set(const Quadhsm__SetAttributes *set, const char **ret_detail)
{
    enum qh_err err = check_ref(set->ref, ret_detail);

    return err == QH_OK ? check_template(set->template_, set->n_template_, ret_detail) : err;
}

static QH_RESULT check_copy(const Quadhsm__CopyObject *copy, const char **ret_detail)
{
    enum qh_err err = check_ref(copy->ref, ret_detail);

    return err == QH_OK ? check_template(copy->template_, copy->n_template_, ret_detail) : err;
}

static QH_RESULT check_context(ProtobufCBinaryData ticket)
{
    return ticket.len > TICKET_SIZE_MAX ? QH_ENOLOGIN : QH_OK;
}

static QH_RESULT check_use(const Quadhsm__Use *use, const char **ret_detail)
{
    enum qh_err err = check_ref(use->ref, ret_detail);

    if (err == QH_OK) {
        err = check_mechanism(use->mechanism, ret_detail);
    }
    if (err != QH_OK) {
        return err;
    }
    if ((unsigned)use->kind > QUADHSM__USE_KIND__USE_DECRYPT) {
        return fail(QH_EINVAL, "this use of a key is not known", ret_detail);
    }
    if (use->data.len > USE_DATA_SIZE_MAX) {
        return QH_EDATASIZE;
    }
    if (use->signature.len > SHAPE_SIGNATURE_SIZE_MAX) {
        return QH_ESIGNATURESIZE;
    }
    return check_context(use->context_ticket);
}

static QH_RESULT check_wrap(const Quadhsm__Wrap *wrap, const char **ret_detail)
{
    enum qh_err err = check_ref(wrap->wrapping, ret_detail);

    if (err == QH_OK) {
        err = check_ref(wrap->key, ret_detail);
    }
    if (err == QH_OK) {
        err = check_mechanism(wrap->mechanism, ret_detail);
    }
    return err == QH_OK ? check_context(wrap->context_ticket) : err;
}

static QH_RESULT check_unwrap(const Quadhsm__Unwrap *unwrap, const char **ret_detail)
{
    enum qh_err err = check_ref(unwrap->unwrapping, ret_detail);

    if (err == QH_OK) {
        err = check_mechanism(unwrap->mechanism, ret_detail);
    }
    if (err == QH_OK && unwrap->wrapped.len > WRAPPED_SIZE_MAX) {
        err = QH_EWRAPPEDSIZE;
    }
    if (err == QH_OK) {
        err = check_template(unwrap->template_, unwrap->n_template_, ret_detail);
    }
    return err == QH_OK ? check_context(unwrap->context_ticket) : err;
}

static QH_RESULT check_derive(const Quadhsm__Derive *derive, const char **ret_detail)
{
    enum qh_err err = check_ref(derive->base_key, ret_detail);

    if (err == QH_OK) {
        err = check_mechanism(derive->mechanism, ret_detail);
    }
    if (err == QH_OK) {
        err = check_template(derive->template_, derive->n_template_, ret_detail);
    }
    return err == QH_OK ? check_context(derive->context_ticket) : err;
}

static QH_RESULT check_passwd(const Quadhsm__RolePasswd *passwd, const char **ret_detail)
{
    enum qh_err err = check_role(passwd->role, ret_detail);

    if (err != QH_OK) {
        return err;
    }
    if (check_pin(passwd->old_pin) != QH_OK) {
        return QH_EPIN;
    }
    return check_pin(passwd->new_pin);
}

static QH_RESULT check_role_init(const Quadhsm__RoleInit *init, const char **ret_detail)
{
    enum qh_err err = check_role(init->role, ret_detail);

    return err == QH_OK ? check_pin(init->pin) : err;
}

static QH_RESULT check_name(const char *name, const char **ret_detail)
{
    return text_valid(name) ? QH_OK : fail(QH_EINVAL, "the name is too long", ret_detail);
}

static QH_RESULT check_partition_init(const Quadhsm__PartitionInit *init, const char **ret_detail)
{
    enum qh_err err = check_name(init->label, ret_detail);

    return err == QH_OK && check_pin(init->pin) != QH_OK ? QH_EPIN : err;
}

static QH_RESULT check_export(Quadhsm__Export export, const char **ret_detail)
{
    if ((unsigned)export > QUADHSM__EXPORT__EXPORT_CLEAR) {
        return fail(QH_EINVAL, "this policy is not known", ret_detail);
    }
    return QH_OK;
}

static QH_RESULT check_partition_create(const Quadhsm__PartitionCreate *create,
                                        const char **ret_detail)
{
    enum qh_err err = check_name(create->name, ret_detail);

    return err == QH_OK ? check_export(create->export, ret_detail) : err;
}

static QH_RESULT check_policy(const Quadhsm__PartitionPolicy *policy, const char **ret_detail)
{
    enum qh_err err = check_name(policy->name, ret_detail);

    return err == QH_OK ? check_export(policy->export, ret_detail) : err;
}

static QH_RESULT check_enroll(const Quadhsm__ClientEnroll *enroll, const char **ret_detail)
{
    enum qh_err err = check_name(enroll->name, ret_detail);

    if (err != QH_OK) {
        return err;
    }
    if (enroll->csr.len > PKI_DER_SIZE_MAX) {
        return fail(QH_ELIMIT, "the certificate request is too large", ret_detail);
    }
    if (enroll->n_partitions > PARTITIONS_MAX) {
        return fail(QH_ELIMIT, "too many partitions", ret_detail);
    }
    for (size_t i = 0; i < enroll->n_partitions && err == QH_OK; i++) {
        err = check_name(enroll->partitions[i], ret_detail);
    }
    return err;
}

static QH_RESULT check_node_init(const Quadhsm__NodeInit *init, const char **ret_detail)
{
    if (!text_valid(init->cluster_name) || !text_valid(init->admin_name)) {
        return fail(QH_EINVAL, "a name is too long", ret_detail);
    }
    if (init->admin_csr.len > PKI_DER_SIZE_MAX) {
        return fail(QH_ELIMIT, "the certificate request is too large", ret_detail);
    }
    if (check_pin(init->so_password) != QH_OK) {
        return QH_EPINRANGE;
    }
    return check_pin(init->passphrase);
}

static QH_RESULT check_node_join(const Quadhsm__NodeJoin *join, const char **ret_detail)
{
    if (strnlen(join->token, SHAPE_TOKEN_LENGTH_MAX + 1) > SHAPE_TOKEN_LENGTH_MAX) {
        return fail(QH_EINVAL, "the token is too long", ret_detail);
    }
    return check_pin(join->passphrase);
}

static QH_RESULT check_join(const Quadhsm__Join *join, const char **ret_detail)
{
    if (!id_valid(join->token_id, 16) || !id_valid(join->proof, 32) ||
        !id_valid_or_empty(join->key_box_pk, 32)) {
        return fail(QH_EINVAL, "token, proof or key have the wrong size", ret_detail);
    }
    if (!text_valid(join->node) || !text_valid(join->region) || !text_valid(join->peer_host) ||
        !text_valid(join->client_host) || join->peer_port > UINT16_MAX ||
        join->client_port > UINT16_MAX) {
        return fail(QH_EINVAL, "a name or an address is out of range", ret_detail);
    }
    if (join->csr.len > PKI_DER_SIZE_MAX) {
        return fail(QH_ELIMIT, "the certificate request is too large", ret_detail);
    }
    return QH_OK;
}

static QH_RESULT check_of_objects(const Quadhsm__Request *message, const char **ret_detail)
{
    switch ((int)message->op_case) {
    case QUADHSM__REQUEST__OP_FIND:
        return check_find(message->find, ret_detail);
    case QUADHSM__REQUEST__OP_CREATE:
        return check_template(message->create->template_, message->create->n_template_, ret_detail);
    case QUADHSM__REQUEST__OP_GENERATE:
        return check_generate(message->generate, ret_detail);
    case QUADHSM__REQUEST__OP_DESTROY:
        return check_destroy(message->destroy, ret_detail);
    case QUADHSM__REQUEST__OP_SET_ATTRIBUTES:
        return check_set(message->set_attributes, ret_detail);
    case QUADHSM__REQUEST__OP_COPY:
        return check_copy(message->copy, ret_detail);
    case QUADHSM__REQUEST__OP_WRAP:
        return check_wrap(message->wrap, ret_detail);
    case QUADHSM__REQUEST__OP_UNWRAP:
        return check_unwrap(message->unwrap, ret_detail);
    case QUADHSM__REQUEST__OP_DERIVE:
        return check_derive(message->derive, ret_detail);
    default:
        return check_use(message->use, ret_detail);
    }
}

static QH_RESULT check_operation(const Quadhsm__Request *message, const char **ret_detail)
{
    switch (message->op_case) {
    case QUADHSM__REQUEST__OP_PING:
    case QUADHSM__REQUEST__OP_ENDPOINTS:
    case QUADHSM__REQUEST__OP_SLOTS:
    case QUADHSM__REQUEST__OP_CLIENT_LIST:
    case QUADHSM__REQUEST__OP_CLUSTER_STATUS:
    case QUADHSM__REQUEST__OP_TOKEN_CREATE:
    case QUADHSM__REQUEST__OP_NODE_STATUS:
        return QH_OK;
    case QUADHSM__REQUEST__OP_LOGIN:
        return check_login(message->login, ret_detail);
    case QUADHSM__REQUEST__OP_RANDOM:
        return check_random(message->random, ret_detail);
    case QUADHSM__REQUEST__OP_FIND:
    case QUADHSM__REQUEST__OP_CREATE:
    case QUADHSM__REQUEST__OP_GENERATE:
    case QUADHSM__REQUEST__OP_DESTROY:
    case QUADHSM__REQUEST__OP_SET_ATTRIBUTES:
    case QUADHSM__REQUEST__OP_COPY:
    case QUADHSM__REQUEST__OP_USE:
    case QUADHSM__REQUEST__OP_WRAP:
    case QUADHSM__REQUEST__OP_UNWRAP:
    case QUADHSM__REQUEST__OP_DERIVE:
        return check_of_objects(message, ret_detail);
    case QUADHSM__REQUEST__OP_ROLE_INIT:
        return check_role_init(message->role_init, ret_detail);
    case QUADHSM__REQUEST__OP_ROLE_PASSWD:
        return check_passwd(message->role_passwd, ret_detail);
    case QUADHSM__REQUEST__OP_ROLE_UNLOCK:
        return check_role(message->role_unlock->role, ret_detail);
    case QUADHSM__REQUEST__OP_PARTITION_CREATE:
        return check_partition_create(message->partition_create, ret_detail);
    case QUADHSM__REQUEST__OP_PARTITION_INIT:
        return check_partition_init(message->partition_init, ret_detail);
    case QUADHSM__REQUEST__OP_PARTITION_POLICY:
        return check_policy(message->partition_policy, ret_detail);
    case QUADHSM__REQUEST__OP_PARTITION_DELETE:
        return check_name(message->partition_delete->name, ret_detail);
    case QUADHSM__REQUEST__OP_PARTITION_LIST:
        return check_name(message->partition_list->name, ret_detail);
    case QUADHSM__REQUEST__OP_CLIENT_ENROLL:
        return check_enroll(message->client_enroll, ret_detail);
    case QUADHSM__REQUEST__OP_CLIENT_REVOKE:
        return check_name(message->client_revoke->name, ret_detail);
    case QUADHSM__REQUEST__OP_NODE_INIT:
        return check_node_init(message->node_init, ret_detail);
    case QUADHSM__REQUEST__OP_NODE_JOIN:
        return check_node_join(message->node_join, ret_detail);
    case QUADHSM__REQUEST__OP_NODE_UNLOCK:
        return check_pin(message->node_unlock->passphrase);
    case QUADHSM__REQUEST__OP_JOIN:
        return check_join(message->join, ret_detail);
    case QUADHSM__REQUEST__OP__NOT_SET:
    case _QUADHSM__REQUEST__OP__CASE_IS_INT_SIZE:
        break;
    }
    return fail(QH_EUNSUPPORTED, "this node does not know the operation", ret_detail);
}

QH_RESULT shape_check(const Quadhsm__Request *message, const char **ret_detail)
{
    enum qh_err err = check_header(message, ret_detail);

    return err == QH_OK ? check_operation(message, ret_detail) : err;
}
