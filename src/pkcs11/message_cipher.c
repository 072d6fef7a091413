/* What encryption and decryption of messages share. */
#include "pkcs11/message_cipher.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "pkcs11/parameter.h"
#include "pkcs11/template.h"

struct message {
    /* Of all messages, from the first on. */
    bool fixed;
    CK_GENERATOR_FUNCTION generator;
    size_t fixed_bits;
    uint64_t count;                   /* of IVs made */
    uint8_t origin[MECH_IV_SIZE_MAX]; /* what the counter is added to, or XORed with */
    pid_t pid;                        /* who counts */
    /* Of the message under way. */
    uint8_t iv[MECH_IV_SIZE_MAX];
    size_t iv_size;
    uint8_t *aad;
    size_t aad_size;
    uint32_t tag_bits;
    /* What parts of it are XORed with, as far as it is known. */
    uint8_t *stream;
    size_t stream_size;
};

static void forget_stream(struct message *message)
{
    if (message->stream != NULL) {
        sodium_memzero(message->stream, message->stream_size);
    }
    free(message->stream);
    message->stream = NULL;
    message->stream_size = 0;
}

void message_free(struct message *message)
{
    if (message != NULL) {
        forget_stream(message);
        free(message->aad);
        free(message);
    }
}

static bool is_encryption(const struct operation *operation)
{
    return operation->kind == OPERATION_MESSAGE_ENCRYPT;
}

/* ---- IVs ---- */

/* The first @fixed_bits, from the most significant one on, stay, the others become those of @made.
 */
static void merge(uint8_t *iv, size_t size, size_t fixed_bits, const uint8_t *made)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t kept = 0;

        for (unsigned bit = 0; bit < 8; bit++) {
            if (8 * i + bit < fixed_bits) {
                kept |= (uint8_t)(0x80u >> bit);
            }
        }
        iv[i] = (uint8_t)((iv[i] & kept) | (made[i] & (uint8_t)~kept));
    }
}

/* Big-endian, modulo the size. */
static void add(uint8_t *number, size_t size, uint64_t count)
{
    unsigned carry = 0;

    for (size_t i = size; i > 0; i--) {
        unsigned sum = number[i - 1] + (unsigned)(count & 0xff) + carry;

        number[i - 1] = (uint8_t)sum;
        carry = sum >> 8;
        count >>= 8;
    }
}

static void xor
    (uint8_t * number, size_t size, uint64_t count) {
        for (size_t i = size; i > 0; i--) {
            number[i - 1] ^= (uint8_t)count;
            count >>= 8;
        }
    }

    /* What the first message says of how IVs are made holds for all. */
    static CKR_RESULT fix_generator(struct message *message, const CK_GCM_MESSAGE_PARAMS *params)
{
    size_t bits = 8 * params->ulIvLen;

    if (message->fixed) {
        return message->generator == params->ivGenerator &&
                       (params->ivGenerator == CKG_NO_GENERATE ||
                        (message->fixed_bits == params->ulIvFixedBits &&
                         message->iv_size == params->ulIvLen))
                   ? CKR_OK
                   : CKR_ARGUMENTS_BAD;
    }
    switch (params->ivGenerator) {
    case CKG_NO_GENERATE:
        break;
    case CKG_GENERATE:
    case CKG_GENERATE_RANDOM:
        if (bits - params->ulIvFixedBits < MESSAGE_RANDOM_BITS_MIN) {
            return CKR_ARGUMENTS_BAD;
        }
        break;
    case CKG_GENERATE_COUNTER:
    case CKG_GENERATE_COUNTER_XOR:
        if (bits == params->ulIvFixedBits) {
            return CKR_ARGUMENTS_BAD;
        }
        break;
    default:
        return CKR_ARGUMENTS_BAD;
    }
    message->fixed = true;
    message->generator = params->ivGenerator;
    message->fixed_bits = params->ulIvFixedBits;
    message->iv_size = params->ulIvLen;
    message->pid = getpid();
    if (message->generator == CKG_GENERATE_COUNTER) {
        randombytes_buf(message->origin, message->iv_size);
    } else {
        memcpy(message->origin, params->pIv, params->ulIvLen);
    }
    return CKR_OK;
}

static bool is_exhausted(const struct message *message)
{
    size_t bits = 8 * message->iv_size - message->fixed_bits;

    return bits < 64 ? message->count >= UINT64_C(1) << bits : message->count == UINT64_MAX;
}

/* A forked child would count through its parent's IVs again. It begins elsewhere, if that can be so
 * far away that the two do not meet; if not, the application must begin anew. */
static bool may_count(struct message *message)
{
    if (message->pid == getpid()) {
        return true;
    }
    if (message->generator != CKG_GENERATE_COUNTER ||
        8 * message->iv_size - message->fixed_bits < MESSAGE_RANDOM_BITS_MIN) {
        return false;
    }
    message->pid = getpid();
    message->count = 0;
    randombytes_buf(message->origin, message->iv_size);
    return true;
}

static bool is_counter(CK_GENERATOR_FUNCTION generator)
{
    return generator == CKG_GENERATE_COUNTER || generator == CKG_GENERATE_COUNTER_XOR;
}

/* Into message->iv, and to the application. */
static CKR_RESULT make_iv(struct message *message, const CK_GCM_MESSAGE_PARAMS *params)
{
    uint8_t made[MECH_IV_SIZE_MAX];
    CK_RV rv = fix_generator(message, params);

    if (rv != CKR_OK) {
        return rv;
    }
    if (is_counter(message->generator) && !may_count(message)) {
        return CKR_TOKEN_RESOURCE_EXCEEDED;
    }
    message->iv_size = params->ulIvLen;
    memcpy(message->iv, params->pIv, params->ulIvLen);
    switch (message->generator) {
    case CKG_GENERATE_COUNTER:
        memcpy(made, message->origin, message->iv_size);
        add(made, message->iv_size, message->count);
        break;
    case CKG_GENERATE_COUNTER_XOR:
        memcpy(made, message->origin, message->iv_size);
        xor(made, message->iv_size, message->count);
        break;
    case CKG_NO_GENERATE:
        return CKR_OK;
    default:
        randombytes_buf(made, message->iv_size);
        break;
    }
    if (is_exhausted(message)) {
        return CKR_TOKEN_RESOURCE_EXCEEDED;
    }
    message->count++;
    merge(message->iv, message->iv_size, message->fixed_bits, made);
    memcpy(params->pIv, message->iv, message->iv_size);
    return CKR_OK;
}

/* ---- one message ---- */

static CKR_RESULT check_aad(struct bytes aad)
{
    return (aad.base == NULL && aad.size > 0) || aad.size > MECHANISM_AAD_SIZE_MAX
               ? CKR_ARGUMENTS_BAD
               : CKR_OK;
}

static CKR_RESULT begin_message(struct operation *operation, const CK_GCM_MESSAGE_PARAMS *params)
{
    struct message *message = operation->message;
    CK_RV rv = CKR_OK;

    if (message == NULL) {
        message = calloc(1, sizeof *message);
        operation->message = message;
    }
    if (message == NULL) {
        return CKR_HOST_MEMORY;
    }
    forget_stream(message);
    if (is_encryption(operation)) {
        rv = make_iv(message, params);
    } else {
        message->iv_size = params->ulIvLen;
        memcpy(message->iv, params->pIv, params->ulIvLen);
    }
    if (rv == CKR_OK) {
        message->tag_bits = (uint32_t)params->ulTagBits;
    }
    return rv;
}

static struct quadhsm_mechanism params_of(const struct operation *operation, struct bytes aad)
{
    struct quadhsm_mechanism params = operation->mechanism.params;
    const struct message *message = operation->message;

    params.iv = message->iv;
    params.iv_size = message->iv_size;
    params.tag_bits = message->tag_bits;
    params.aad = aad.base;
    params.aad_size = aad.size;
    return params;
}

/* A message has no mechanism's parameter, but an argument, and a failure of its own. */
static CKR_RESULT rv_of(CK_RV rv)
{
    switch (rv) {
    case CKR_MECHANISM_PARAM_INVALID:
        return CKR_ARGUMENTS_BAD;
    case CKR_ENCRYPTED_DATA_INVALID:
        return CKR_AEAD_DECRYPT_FAILED;
    default:
        return rv;
    }
}

/* Ciphertext and tag from one use of the key; the last @last bytes of it go to @out. */
static CKR_RESULT encrypt(struct session *session, struct operation *operation, struct bytes aad,
                          struct bytes data, size_t last, uint8_t *out, uint8_t *tag)
{
    const struct quadhsm_mechanism params = params_of(operation, aad);
    size_t tag_size = params.tag_bits / 8;
    uint8_t *both = malloc(data.size + tag_size);
    size_t made = 0;
    CK_RV rv;

    if (both == NULL) {
        return CKR_HOST_MEMORY;
    }
    rv = operation_use(session, operation, &params, data.base, data.size, both,
                       data.size + tag_size, &made);
    if (rv == CKR_OK && made != data.size + tag_size) {
        rv = CKR_DEVICE_ERROR;
    }
    if (rv == CKR_OK && last > 0) {
        memcpy(out, both + data.size - last, last);
    }
    if (rv == CKR_OK && tag != NULL) {
        memcpy(tag, both + data.size, tag_size);
    }
    sodium_memzero(both, data.size + tag_size); /* of zeroes it is the key stream */
    free(both);
    return rv_of(rv);
}

static CKR_RESULT decrypt(struct session *session, struct operation *operation, struct bytes aad,
                          struct bytes data, uint8_t *out, const uint8_t *tag)
{
    const struct quadhsm_mechanism params = params_of(operation, aad);
    size_t tag_size = params.tag_bits / 8;
    uint8_t *both = malloc(data.size + tag_size);
    size_t made = 0;
    CK_RV rv;

    if (both == NULL) {
        return CKR_HOST_MEMORY;
    }
    if (data.size > 0) {
        memcpy(both, data.base, data.size);
    }
    memcpy(both + data.size, tag, tag_size);
    rv = operation_use(session, operation, &params, both, data.size + tag_size, out, data.size,
                       &made);
    free(both);
    if (rv == CKR_OK && made != data.size) {
        return CKR_DEVICE_ERROR;
    }
    return rv_of(rv);
}

/* ---- in one piece ---- */

static CKR_RESULT too_long(const struct operation *operation, size_t before, size_t size)
{
    if (size <= OPERATION_DATA_SIZE_MAX - MECHANISM_TAG_BITS_MAX / 8 - before) {
        return CKR_OK;
    }
    return is_encryption(operation) ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE;
}

static CKR_RESULT check_all(const struct operation *operation, const struct message_call *call,
                            CK_GCM_MESSAGE_PARAMS *ret_params)
{
    CK_RV rv = CKR_OK;

    if (call->out_size == NULL || (call->data.base == NULL && call->data.size > 0)) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = check_aad(call->aad);
    if (rv == CKR_OK) {
        rv = parameter_gcm_message(call->parameter, call->parameter_size, ret_params);
    }
    return rv == CKR_OK ? too_long(operation, 0, call->data.size) : rv;
}

static CKR_RESULT use_all(struct session *session, struct operation *operation,
                          const struct message_call *call)
{
    CK_GCM_MESSAGE_PARAMS params;
    CK_RV rv = check_all(operation, call, &params);

    if (rv != CKR_OK ||
        operation_answer_size(call->out, call->out_size, call->data.size, call->data.size, &rv)) {
        return rv;
    }
    rv = begin_message(operation, &params);
    if (rv == CKR_OK) {
        rv = is_encryption(operation)
                 ? encrypt(session, operation, call->aad, call->data, call->data.size, call->out,
                           params.pTag)
                 : decrypt(session, operation, call->aad, call->data, call->out, params.pTag);
    }
    if (rv == CKR_OK) {
        template_set_ulong(call->out_size, (CK_ULONG)call->data.size);
    }
    return rv;
}

CK_RV message_all(const struct message_call *call)
{
    struct operation *operation;
    struct session *session;
    CK_RV rv = module_enter_session(call->session, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = operation_take_message(session, call->kind, false, &operation);
    if (rv == CKR_OK) {
        rv = use_all(session, operation, call);
        operation_put(session, operation);
    }
    module_leave_session(session);
    return rv;
}

/* ---- in parts ---- */

static CKR_RESULT keep_aad(struct message *message, struct bytes aad)
{
    uint8_t *copy = malloc(aad.size + 1);

    if (copy == NULL) {
        return CKR_HOST_MEMORY;
    }
    if (aad.size > 0) {
        memcpy(copy, aad.base, aad.size);
    }
    free(message->aad);
    message->aad = copy;
    message->aad_size = aad.size;
    return CKR_OK;
}

static CKR_RESULT begin(struct operation *operation, const struct message_call *call)
{
    CK_GCM_MESSAGE_PARAMS params;
    CK_RV rv = check_aad(call->aad);

    if (rv == CKR_OK) {
        rv = parameter_gcm_message(call->parameter, call->parameter_size, &params);
    }
    if (rv == CKR_OK) {
        rv = begin_message(operation, &params);
    }
    if (rv == CKR_OK) {
        rv = keep_aad(operation->message, call->aad);
    }
    operation->in_parts = rv == CKR_OK;
    return rv;
}

CK_RV message_begin(const struct message_call *call)
{
    struct operation *operation;
    struct session *session;
    CK_RV rv = module_enter_session(call->session, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = operation_take_message(session, call->kind, false, &operation);
    if (rv == CKR_OK) {
        rv = begin(operation, call);
        operation_put(session, operation);
    }
    module_leave_session(session);
    return rv;
}

/* The tag comes and goes with the last part alone. */
static CKR_RESULT find_tag(const struct operation *operation, const struct message_call *call,
                           uint8_t **ret_tag)
{
    CK_GCM_MESSAGE_PARAMS params;
    CK_RV rv = parameter_gcm_message(call->parameter, call->parameter_size, &params);

    if (rv == CKR_OK && params.ulTagBits != operation->message->tag_bits) {
        rv = CKR_ARGUMENTS_BAD;
    }
    if (rv == CKR_OK) {
        *ret_tag = params.pTag;
    }
    return rv;
}

/* How much is asked for when @size is needed: so much more that all of a message's parts together
 * take a few times what it is long. */
static size_t stream_wanted(size_t size)
{
    size_t most = OPERATION_DATA_SIZE_MAX - MECHANISM_TAG_BITS_MAX / 8;
    size_t wanted = size < MESSAGE_STREAM_SIZE_MIN / 2 ? MESSAGE_STREAM_SIZE_MIN : 2 * size;

    return wanted < most ? wanted : most;
}

/* Zeroes encrypted are what GCM's counter mode XORs with. */
static CKR_RESULT need_stream(struct session *session, struct operation *operation, size_t size)
{
    struct message *message = operation->message;
    struct bytes aad = {message->aad, message->aad_size};
    size_t wanted = stream_wanted(size);
    uint8_t *stream;
    CK_RV rv;

    if (size <= message->stream_size) {
        return CKR_OK;
    }
    stream = calloc(1, wanted);
    if (stream == NULL) {
        return CKR_HOST_MEMORY;
    }
    rv = encrypt(session, operation, aad, (struct bytes){stream, wanted}, wanted, stream, NULL);
    if (rv != CKR_OK) {
        free(stream);
        return rv;
    }
    forget_stream(message);
    message->stream = stream;
    message->stream_size = wanted;
    return CKR_OK;
}

/* A part's ciphertext does not depend on what follows, but the tag on all of it, so that the last
 * part is encrypted with all that came before. */
static CKR_RESULT encrypt_part(struct session *session, struct operation *operation,
                               const struct message_call *call, uint8_t *tag)
{
    const struct message *message = operation->message;
    struct bytes aad = {message->aad, message->aad_size};
    size_t before = operation->size;
    CK_RV rv = operation_append(operation, call->data.base, call->data.size);

    if (rv == CKR_OK && tag != NULL) {
        struct bytes all = {operation->data, operation->size};

        return encrypt(session, operation, aad, all, call->data.size, call->out, tag);
    }
    if (rv == CKR_OK) {
        rv = need_stream(session, operation, operation->size);
    }
    for (size_t i = 0; rv == CKR_OK && i < call->data.size; i++) {
        call->out[i] = operation->data[before + i] ^ message->stream[before + i];
    }
    return rv;
}

static CKR_RESULT decrypt_part(struct session *session, struct operation *operation,
                               const struct message_call *call, const uint8_t *tag)
{
    const struct message *message = operation->message;
    struct bytes aad = {message->aad, message->aad_size};
    CK_RV rv = operation_append(operation, call->data.base, call->data.size);

    if (rv == CKR_OK && tag != NULL) {
        struct bytes all = {operation->data, operation->size};

        rv = decrypt(session, operation, aad, all, call->out, tag);
    }
    return rv;
}

static CKR_RESULT next(struct session *session, struct operation *operation,
                       const struct message_call *call, bool last)
{
    uint8_t *tag = NULL;
    size_t size = call->data.size;
    CK_RV rv = CKR_OK;

    if (call->out_size == NULL || (call->data.base == NULL && size > 0)) {
        return CKR_ARGUMENTS_BAD;
    }
    if (last) {
        rv = find_tag(operation, call, &tag);
    }
    if (rv == CKR_OK) {
        rv = too_long(operation, operation->size, size);
    }
    if (!is_encryption(operation)) {
        size = last ? operation->size + call->data.size : 0;
    }
    if (rv != CKR_OK || operation_answer_size(call->out, call->out_size, size, size, &rv)) {
        return rv;
    }
    rv = is_encryption(operation) ? encrypt_part(session, operation, call, tag)
                                  : decrypt_part(session, operation, call, tag);
    if (rv == CKR_OK) {
        template_set_ulong(call->out_size, (CK_ULONG)size);
    }
    return rv;
}

CK_RV message_next(const struct message_call *call, CK_FLAGS flags)
{
    bool last = (flags & CKF_END_OF_MESSAGE) != 0;
    struct operation *operation;
    struct session *session;
    CK_RV rv = module_enter_session(call->session, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = operation_take_message(session, call->kind, true, &operation);
    if (rv == CKR_OK) {
        rv = next(session, operation, call, last);
        if (!operation_goes_on(rv, call->out) && (last || rv != CKR_OK)) {
            operation_end_message(operation);
            forget_stream(operation->message);
        }
        operation_put(session, operation);
    }
    module_leave_session(session);
    return rv;
}
