/* Use of keys, and random bytes. */
#include <sodium.h>
#include <string.h>

#include "client/error.h"
#include "client/message.h"
#include "client/output.h"
#include "client/token.h"
#include "wire/frame.h"

QH_RESULT output_take(const Quadhsm__Response *response, const struct output *output)
{
    const ProtobufCBinaryData *data;

    if (response->result_case != QUADHSM__RESPONSE__RESULT_OUTPUT) {
        return QH_EMALFORMED;
    }
    data = &response->output->data;
    if (output->ret_size == NULL) {
        if (data->len != output->room) {
            return QH_EMALFORMED;
        }
    } else {
        *output->ret_size = data->len;
        if (data->len > output->room) {
            return QH_EROOM;
        }
    }
    if (data->len > 0) {
        memcpy(output->base, data->data, data->len);
    }
    return QH_OK;
}

static int use(struct quadhsm_token *token, Quadhsm__UseKind kind, const struct quadhsm_object *key,
               const struct quadhsm_mechanism *mechanism, ProtobufCBinaryData data,
               ProtobufCBinaryData signature, const struct output *output)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Use message = QUADHSM__USE__INIT;
    Quadhsm__ObjectRef ref = message_object_ref(key);
    Quadhsm__Mechanism how = message_mechanism(mechanism);
    Quadhsm__Response *response;
    struct client_ticket context;
    enum qh_err err;

    error_clear();
    if (data.len > USE_DATA_SIZE_MAX || signature.len > USE_DATA_SIZE_MAX) {
        return QUADHSM_EDATASIZE;
    }
    token_take_context(token, &context);
    message.kind = kind;
    message.ref = &ref;
    message.mechanism = &how;
    message.data = data;
    message.signature = signature;
    message.context_ticket = message_bytes(context.ticket, context.ticket_size);
    request.op_case = QUADHSM__REQUEST__OP_USE;
    request.use = &message;
    /* The node must know the key as the caller does, and need not know anything newer: right after
     * the death of a leader, its followers are behind by what was acknowledged last. */
    request.min_revision = key->revision;
    err = token_call(token, &request, &response);
    sodium_memzero(&context, sizeof context);
    if (err == QH_OK) {
        err = output != NULL ? output_take(response, output) : QH_OK;
        wire_message_free(&response->base);
    }
    return error_public(err);
}

int quadhsm_sign(struct quadhsm_token *token, const struct quadhsm_object *key,
                 const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                 void *signature, size_t room, size_t *ret_size)
{
    struct output output = {.base = signature, .room = room, .ret_size = ret_size};

    return use(token, QUADHSM__USE_KIND__USE_SIGN, key, mechanism, message_bytes(data, data_size),
               message_bytes(NULL, 0), &output);
}

int quadhsm_verify(struct quadhsm_token *token, const struct quadhsm_object *key,
                   const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                   const void *signature, size_t signature_size)
{
    return use(token, QUADHSM__USE_KIND__USE_VERIFY, key, mechanism, message_bytes(data, data_size),
               message_bytes(signature, signature_size), NULL);
}

int quadhsm_encrypt(struct quadhsm_token *token, const struct quadhsm_object *key,
                    const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                    void *out, size_t room, size_t *ret_size)
{
    struct output output = {.base = out, .room = room, .ret_size = ret_size};

    return use(token, QUADHSM__USE_KIND__USE_ENCRYPT, key, mechanism,
               message_bytes(data, data_size), message_bytes(NULL, 0), &output);
}

int quadhsm_decrypt(struct quadhsm_token *token, const struct quadhsm_object *key,
                    const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                    void *out, size_t room, size_t *ret_size)
{
    struct output output = {.base = out, .room = room, .ret_size = ret_size};

    return use(token, QUADHSM__USE_KIND__USE_DECRYPT, key, mechanism,
               message_bytes(data, data_size), message_bytes(NULL, 0), &output);
}

int quadhsm_random(struct quadhsm *handle, void *out, size_t size)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Random random = QUADHSM__RANDOM__INIT;
    struct output output = {.base = out, .room = size};
    Quadhsm__Response *response;
    enum qh_err err;

    error_clear();
    if (size == 0 || size > RANDOM_SIZE_MAX) {
        return QUADHSM_EINVAL;
    }
    random.size = (uint32_t)size;
    request.op_case = QUADHSM__REQUEST__OP_RANDOM;
    request.random = &random;
    err = client_call(handle, &request, &response);
    if (err == QH_OK) {
        err = output_take(response, &output);
        wire_message_free(&response->base);
    }
    return error_public(err);
}
