/* Keys under keys: wrap, unwrap, derive. */
#include <sodium.h>

#include "client/error.h"
#include "client/message.h"
#include "client/object.h"
#include "client/output.h"
#include "client/token.h"
#include "wire/frame.h"

int quadhsm_wrap(struct quadhsm_token *token, const struct quadhsm_object *wrapping,
                 const struct quadhsm_mechanism *mechanism, const struct quadhsm_object *key,
                 void *out, size_t room, size_t *ret_size)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Wrap message = QUADHSM__WRAP__INIT;
    Quadhsm__ObjectRef wrapping_ref = message_object_ref(wrapping), ref = message_object_ref(key);
    Quadhsm__Mechanism how = message_mechanism(mechanism);
    struct output output = {.base = out, .room = room, .ret_size = ret_size};
    Quadhsm__Response *response;
    struct client_ticket context;
    enum qh_err err;

    error_clear();
    token_take_context(token, &context);
    message.wrapping = &wrapping_ref;
    message.key = &ref;
    message.mechanism = &how;
    message.context_ticket = message_bytes(context.ticket, context.ticket_size);
    request.op_case = QUADHSM__REQUEST__OP_WRAP;
    request.wrap = &message;
    request.min_revision = wrapping->revision > key->revision ? wrapping->revision : key->revision;
    err = token_call(token, &request, &response);
    sodium_memzero(&context, sizeof context);
    if (err == QH_OK) {
        err = output_take(response, &output);
        wire_message_free(&response->base);
    }
    return error_public(err);
}

int quadhsm_unwrap(struct quadhsm_token *token, const struct quadhsm_object *unwrapping,
                   const struct quadhsm_mechanism *mechanism, const void *wrapped,
                   size_t wrapped_size, const struct quadhsm_attribute *attributes, size_t count,
                   struct quadhsm_object **ret_object)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Unwrap message = QUADHSM__UNWRAP__INIT;
    Quadhsm__ObjectRef ref = message_object_ref(unwrapping);
    Quadhsm__Mechanism how = message_mechanism(mechanism);
    struct message_template template;
    struct client_ticket context;
    enum qh_err err;
    int error;

    error_clear();
    if (wrapped_size > WRAPPED_SIZE_MAX) {
        return QUADHSM_EWRAPPEDSIZE;
    }
    err = message_template(attributes, count, &template);
    if (err != QH_OK) {
        return error_public(err);
    }
    token_take_context(token, &context);
    message.unwrapping = &ref;
    message.mechanism = &how;
    message.wrapped = message_bytes(wrapped, wrapped_size);
    message.template_ = template.list;
    message.n_template_ = template.count;
    message.context_ticket = message_bytes(context.ticket, context.ticket_size);
    request.op_case = QUADHSM__REQUEST__OP_UNWRAP;
    request.unwrap = &message;
    request.min_revision = unwrapping->revision;
    error = object_call(token, &request, 1, ret_object);
    sodium_memzero(&context, sizeof context);
    return error;
}

int quadhsm_derive(struct quadhsm_token *token, const struct quadhsm_object *base,
                   const struct quadhsm_mechanism *mechanism,
                   const struct quadhsm_attribute *attributes, size_t count,
                   struct quadhsm_object **ret_object)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Derive message = QUADHSM__DERIVE__INIT;
    Quadhsm__ObjectRef ref = message_object_ref(base), salt;
    Quadhsm__Mechanism how = message_mechanism(mechanism);
    struct message_template template;
    struct client_ticket context;
    enum qh_err err;
    int error;

    error_clear();
    err = message_template(attributes, count, &template);
    if (err != QH_OK) {
        return error_public(err);
    }
    if (mechanism->hkdf_salt_key != NULL) {
        salt = message_object_ref(mechanism->hkdf_salt_key);
        how.salt_key = &salt;
    }
    token_take_context(token, &context);
    message.base_key = &ref;
    message.mechanism = &how;
    message.template_ = template.list;
    message.n_template_ = template.count;
    message.context_ticket = message_bytes(context.ticket, context.ticket_size);
    request.op_case = QUADHSM__REQUEST__OP_DERIVE;
    request.derive = &message;
    request.min_revision = base->revision;
    error = object_call(token, &request, 1, ret_object);
    sodium_memzero(&context, sizeof context);
    return error;
}
