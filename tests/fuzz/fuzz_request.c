/* Any bytes as a client's request: refused, or within every limit that handlers rely on, and with
 * an answer for all that is wrong with it. */
#include "base/assert.h"
#include "base/limits.h"
#include "hsm/ticket.h"
#include "node/shape.h"
#include "store/txn.h"
#include "tests/fuzz/fuzz.h"
#include "wire/frame.h"

static void check_template(Quadhsm__Attribute *const *template, size_t count)
{
    QH_ASSERT(count <= ATTRIBUTES_MAX);
    for (size_t i = 0; i < count; i++) {
        QH_ASSERT(template[i] != NULL);
        QH_ASSERT(template[i] -> value.len <= ATTRIBUTE_SIZE_MAX);
    }
}

static void check_ref(const Quadhsm__ObjectRef *ref)
{
    QH_ASSERT(ref != NULL);
    QH_ASSERT(ref->id.len == OBJECT_ID_SIZE || ref->id.len == 0);
    QH_ASSERT((ref->id.len == 0) != (ref->session.len == 0));
    QH_ASSERT(ref->session.len <= STORE_VALUE_SIZE_MAX);
}

static void check_mechanism(const Quadhsm__Mechanism *mechanism)
{
    QH_ASSERT(mechanism != NULL);
    QH_ASSERT(mechanism->public_data.len <= SHAPE_DERIVE_SIZE_MAX);
    QH_ASSERT(mechanism->info.len <= SHAPE_DERIVE_SIZE_MAX);
    if (mechanism->salt_key != NULL) {
        check_ref(mechanism->salt_key);
    }
}

static void check_operation(const Quadhsm__Request *request)
{
    switch ((int)request->op_case) {
    case QUADHSM__REQUEST__OP_FIND:
        check_template(request->find->template_, request->find->n_template_);
        QH_ASSERT(request->find->after.len == 0 || request->find->after.len == OBJECT_ID_SIZE);
        break;
    case QUADHSM__REQUEST__OP_CREATE:
        check_template(request->create->template_, request->create->n_template_);
        break;
    case QUADHSM__REQUEST__OP_GENERATE:
        check_mechanism(request->generate->mechanism);
        check_template(request->generate->template_, request->generate->n_template_);
        check_template(request->generate->private_template, request->generate->n_private_template);
        break;
    case QUADHSM__REQUEST__OP_SET_ATTRIBUTES:
        check_ref(request->set_attributes->ref);
        break;
    case QUADHSM__REQUEST__OP_COPY:
        check_ref(request->copy->ref);
        break;
    case QUADHSM__REQUEST__OP_USE:
        check_ref(request->use->ref);
        check_mechanism(request->use->mechanism);
        QH_ASSERT(request->use->data.len <= USE_DATA_SIZE_MAX);
        QH_ASSERT(request->use->kind <= QUADHSM__USE_KIND__USE_DECRYPT);
        break;
    case QUADHSM__REQUEST__OP_WRAP:
        check_ref(request->wrap->wrapping);
        check_ref(request->wrap->key);
        check_mechanism(request->wrap->mechanism);
        break;
    case QUADHSM__REQUEST__OP_UNWRAP:
        check_ref(request->unwrap->unwrapping);
        check_mechanism(request->unwrap->mechanism);
        check_template(request->unwrap->template_, request->unwrap->n_template_);
        QH_ASSERT(request->unwrap->wrapped.len <= WRAPPED_SIZE_MAX);
        break;
    case QUADHSM__REQUEST__OP_DERIVE:
        check_ref(request->derive->base_key);
        check_mechanism(request->derive->mechanism);
        check_template(request->derive->template_, request->derive->n_template_);
        break;
    case QUADHSM__REQUEST__OP_PARTITION_INIT:
        QH_ASSERT(request->partition_init->pin.len <= PIN_SIZE_MAX);
        break;
    case QUADHSM__REQUEST__OP_PARTITION_POLICY:
        QH_ASSERT(request->partition_policy->export <= QUADHSM__EXPORT__EXPORT_CLEAR);
        break;
    case QUADHSM__REQUEST__OP_RANDOM:
        QH_ASSERT(request->random->size >= 1);
        QH_ASSERT(request->random->size <= RANDOM_SIZE_MAX);
        break;
    default:
        break;
    }
}

/* In few blocks of memory, as a node does it, and in many, where AddressSanitizer sees each end. */
static enum qh_err unpack(struct bytes body, ProtobufCMessage **ret_message)
{
    ProtobufCMessage *whole = NULL;
    enum qh_err err = wire_unpack_whole(&quadhsm__request__descriptor, body, &whole);

    QH_ASSERT(wire_unpack(&quadhsm__request__descriptor, body, ret_message) == err);
    if (err == QH_OK) {
        size_t size = protobuf_c_message_get_packed_size(whole);

        QH_ASSERT(protobuf_c_message_get_packed_size(*ret_message) == size);
    }
    wire_message_free(whole);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ProtobufCMessage *message = NULL;
    const Quadhsm__Request *request;
    const char *detail = NULL;
    enum qh_err err = unpack((struct bytes){data, size}, &message);

    if (err != QH_OK) {
        QH_ASSERT(message == NULL);
        return 0;
    }
    request = (const Quadhsm__Request *)message;
    if (shape_check(request, &detail) == QH_OK) {
        QH_ASSERT(detail == NULL);
        QH_ASSERT(request->id != 0);
        QH_ASSERT(request->request_id.len == 0 || request->request_id.len == ONCE_ID_SIZE);
        QH_ASSERT(request->partition.len == 0 || request->partition.len == PARTITION_ID_SIZE);
        QH_ASSERT(request->ticket.len <= TICKET_SIZE_MAX);
        check_operation(request);
    }
    wire_message_free(message);
    return 0;
}
