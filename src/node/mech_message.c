/* A mechanism as it came in a message. */
#include "node/mech_message.h"

static struct bytes bytes_of(const ProtobufCBinaryData *data)
{
    return (struct bytes){data->data, data->len};
}

struct mech_params mech_message_params(const Quadhsm__Mechanism *mechanism)
{
    return (struct mech_params){
        .type = mechanism->type,
        .hash = mechanism->hash,
        .mgf = mechanism->mgf,
        .salt_size = mechanism->salt_size,
        .iv = bytes_of(&mechanism->iv),
        .aad = bytes_of(&mechanism->aad),
        .label = bytes_of(&mechanism->label),
        .tag_bits = mechanism->tag_bits,
        .counter_bits = mechanism->counter_bits,
        .key_bits = mechanism->key_bits,
        .kdf = mechanism->kdf,
        .public_data = bytes_of(&mechanism->public_data),
        .shared_data = bytes_of(&mechanism->shared_data),
        .extract = mechanism->extract,
        .expand = mechanism->expand,
        .salt = bytes_of(&mechanism->salt),
        .info = bytes_of(&mechanism->info),
    };
}
