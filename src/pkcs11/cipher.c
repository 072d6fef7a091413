/* What encryption and decryption share. */
#include "pkcs11/cipher.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/template.h"

/* Where output goes: @room bytes at @to, NULL to ask for the size. */
struct output {
    CK_BYTE *to;
    CK_ULONG *size;
};

static size_t output_room(const struct output *output)
{
    return output->to != NULL ? template_get_ulong(output->size) : 0;
}

static bool answer_size(const struct operation *operation, size_t data_size,
                        const struct output *output, CK_RV *ret_rv)
{
    const struct mechanism *mechanism = &operation->mechanism;
    const struct quadhsm_object *key = operation->key->object;
    size_t tell;
    size_t least;

    if (operation->kind == OPERATION_ENCRYPT) {
        tell = mechanism_encrypted_size(mechanism, key, data_size);
        least = tell;
    } else {
        tell = mechanism_decrypted_size(mechanism, key, data_size);
        least = mechanism_decrypted_least(mechanism, data_size);
    }
    return operation_answer_size(output->to, output->size, least, tell, ret_rv);
}

/* ---- at once ---- */

static CKR_RESULT use(struct session *session, struct operation *operation,
                      const struct quadhsm_mechanism *params, struct bytes data,
                      const struct output *output)
{
    size_t made = 0;
    CK_RV rv = operation_use(session, operation, params, data.base, data.size, output->to,
                             output_room(output), &made);

    if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL) {
        template_set_ulong(output->size, (CK_ULONG)made);
    }
    return rv;
}

static CKR_RESULT use_whole(struct session *session, struct operation *operation, struct bytes data,
                            const struct output *output)
{
    CK_RV rv;

    if (answer_size(operation, data.size, output, &rv)) {
        return rv;
    }
    return use(session, operation, &operation->mechanism.params, data, output);
}

/* ---- block by block ---- */

/* Of @total bytes, those that can go now. The last block of padded ciphertext waits for the end. */
static size_t whole_blocks(const struct operation *operation, size_t total)
{
    size_t whole = total - total % MECHANISM_BLOCK_SIZE;

    if (operation->kind == OPERATION_DECRYPT && whole == total && whole > 0 &&
        operation->mechanism.params.type == CKM_AES_CBC_PAD) {
        whole -= MECHANISM_BLOCK_SIZE;
    }
    return whole;
}

/* @data is whole blocks, and no larger than one use of a key may be. */
static CKR_RESULT use_blocks(struct session *session, struct operation *operation,
                             struct bytes data, uint8_t *out)
{
    struct quadhsm_mechanism params = operation->mechanism.params;
    uint8_t chain[MECHANISM_BLOCK_SIZE];
    const uint8_t *last = operation->kind == OPERATION_ENCRYPT ? out : data.base;
    size_t made = 0;
    CK_RV rv;

    memcpy(chain, operation->chain, sizeof chain);
    params.type = operation->blocks;
    params.iv = params.iv_size > 0 ? chain : NULL;
    rv = operation_use(session, operation, &params, data.base, data.size, out, data.size, &made);
    if (rv == CKR_OK && made != data.size) {
        rv = CKR_DEVICE_ERROR;
    }
    if (rv == CKR_OK) {
        memcpy(operation->chain, last + data.size - MECHANISM_BLOCK_SIZE, sizeof operation->chain);
    }
    return rv;
}

/* What was left over and @data in one piece, @whole bytes of which are used; the rest is left over.
 * The copy lets the application have output where its input is. */
static CKR_RESULT chain_blocks(struct session *session, struct operation *operation,
                               struct bytes data, size_t whole, uint8_t *out)
{
    size_t before = operation->size;
    size_t total = before + data.size;
    uint8_t *joined = malloc(total);
    CK_RV rv = CKR_OK;

    if (joined == NULL) {
        return CKR_HOST_MEMORY;
    }
    if (before > 0) {
        memcpy(joined, operation->data, before);
    }
    if (data.size > 0) {
        memcpy(joined + before, data.base, data.size);
    }
    for (size_t at = 0; at < whole && rv == CKR_OK; at += OPERATION_DATA_SIZE_MAX) {
        size_t size = whole - at < OPERATION_DATA_SIZE_MAX ? whole - at : OPERATION_DATA_SIZE_MAX;

        rv = use_blocks(session, operation, (struct bytes){joined + at, size}, out + at);
    }
    if (rv == CKR_OK) {
        operation->size = 0;
        rv = operation_append(operation, joined + whole, total - whole);
    }
    sodium_memzero(joined, total);
    free(joined);
    return rv;
}

/* ---- byte by byte: CTR ---- */

/* Counts @count blocks on. The node refuses what its bits cannot count, so they are all zero only
 * when the last block is used up. */
static void count_on(struct operation *operation, size_t count)
{
    uint32_t bits = operation->mechanism.params.counter_bits;
    uint8_t *counter = operation->chain;
    size_t carry = count;
    unsigned low = 0;

    for (size_t i = MECHANISM_BLOCK_SIZE; i > 0; i--) {
        carry += counter[i - 1];
        counter[i - 1] = (uint8_t)carry;
        carry >>= 8;
    }
    for (uint32_t bit = 0; bit < bits; bit++) {
        low |= counter[MECHANISM_BLOCK_SIZE - 1 - bit / 8] >> (bit % 8) & 1u;
    }
    operation->chain_spent = operation->chain_spent || (count > 0 && low == 0);
}

/* @data behind what is used of the first block, all of it no larger than one use of a key may be.
 */
static CKR_RESULT use_stream(struct session *session, struct operation *operation,
                             struct bytes data, uint8_t *out)
{
    struct quadhsm_mechanism params = operation->mechanism.params;
    uint8_t counter[MECHANISM_BLOCK_SIZE];
    size_t used = operation->chain_used;
    size_t total = used + data.size;
    size_t made = 0;
    uint8_t *both = calloc(2, total);
    CK_RV rv;

    if (both == NULL) {
        return CKR_HOST_MEMORY;
    }
    memcpy(both + used, data.base, data.size);
    memcpy(counter, operation->chain, sizeof counter);
    params.iv = counter;
    rv = operation_use(session, operation, &params, both, total, both + total, total, &made);
    if (rv == CKR_OK && made != total) {
        rv = CKR_DEVICE_ERROR;
    }
    if (rv == CKR_OK) {
        memcpy(out, both + total + used, data.size);
        count_on(operation, total / MECHANISM_BLOCK_SIZE);
        operation->chain_used = total % MECHANISM_BLOCK_SIZE;
    }
    sodium_memzero(both, 2 * total);
    free(both);
    return rv;
}

static CKR_RESULT stream_part(struct session *session, struct operation *operation,
                              struct bytes data, const struct output *output)
{
    CK_RV rv = CKR_OK;
    size_t size;

    if (operation_answer_size(output->to, output->size, data.size, data.size, &rv)) {
        return rv;
    }
    rv = CKR_OK;
    for (size_t at = 0; at < data.size && rv == CKR_OK; at += size) {
        size = OPERATION_DATA_SIZE_MAX - operation->chain_used;
        size = data.size - at < size ? data.size - at : size;
        rv = operation->chain_spent
                 ? CKR_DATA_LEN_RANGE
                 : use_stream(session, operation, (struct bytes){data.base + at, size},
                              output->to + at);
    }
    if (rv == CKR_OK) {
        template_set_ulong(output->size, (CK_ULONG)data.size);
    }
    return rv;
}

/* ---- a part ---- */

static CKR_RESULT chain_part(struct session *session, struct operation *operation,
                             struct bytes data, const struct output *output)
{
    size_t whole;
    CK_RV rv;

    if (operation->blocks == CKM_AES_CTR) {
        return stream_part(session, operation, data, output);
    }
    if (data.size > SIZE_MAX - operation->size) {
        return CKR_DATA_LEN_RANGE;
    }
    whole = whole_blocks(operation, operation->size + data.size);
    if (operation_answer_size(output->to, output->size, whole, whole, &rv)) {
        return rv;
    }
    if (whole == 0) {
        rv = operation_append(operation, data.base, data.size);
    } else {
        rv = chain_blocks(session, operation, data, whole, output->to);
    }
    if (rv == CKR_OK) {
        template_set_ulong(output->size, (CK_ULONG)whole);
    }
    return rv;
}

static CKR_RESULT chain_end(struct session *session, struct operation *operation,
                            const struct output *output)
{
    struct quadhsm_mechanism params = operation->mechanism.params;
    struct bytes rest = {operation->data, operation->size};
    CK_RV rv;

    if (params.type != CKM_AES_CBC_PAD) {
        if (rest.size > 0) {
            return operation->kind == OPERATION_ENCRYPT ? CKR_DATA_LEN_RANGE
                                                        : CKR_ENCRYPTED_DATA_LEN_RANGE;
        }
        template_set_ulong(output->size, 0);
        return CKR_OK;
    }
    if (operation->kind == OPERATION_DECRYPT && rest.size != MECHANISM_BLOCK_SIZE) {
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    }
    if (answer_size(operation, rest.size, output, &rv)) {
        return rv;
    }
    params.iv = operation->chain;
    return use(session, operation, &params, rest, output);
}

/* Longer than one use of a key may be. */
static CKR_RESULT chain_whole(struct session *session, struct operation *operation,
                              struct bytes data, const struct output *output)
{
    CK_ULONG room = output_room(output);
    CK_ULONG part_size = room;
    CK_ULONG end_size;
    struct output part = {output->to, &part_size};
    struct output end = {output->to, &end_size};
    uint8_t chain[MECHANISM_BLOCK_SIZE];
    CK_RV rv;

    if (answer_size(operation, data.size, output, &rv)) {
        return rv;
    }
    memcpy(chain, operation->chain, sizeof chain);
    rv = chain_part(session, operation, data, &part);
    if (rv != CKR_OK) {
        return rv;
    }
    end.to += part_size;
    end_size = room - part_size;
    rv = chain_end(session, operation, &end);
    if (rv == CKR_BUFFER_TOO_SMALL) {
        /* As if nothing had been done. */
        memcpy(operation->chain, chain, sizeof operation->chain);
        operation->size = 0;
    }
    template_set_ulong(output->size, part_size + end_size);
    return rv;
}

/* ---- calls ---- */

static CKR_RESULT one_piece(struct session *session, struct operation *operation, struct bytes data,
                            const struct output *output)
{
    if (data.size <= OPERATION_DATA_SIZE_MAX) {
        return use_whole(session, operation, data, output);
    }
    if (operation->can_chain) {
        return chain_whole(session, operation, data, output);
    }
    return operation->kind == OPERATION_ENCRYPT ? CKR_DATA_LEN_RANGE : CKR_ENCRYPTED_DATA_LEN_RANGE;
}

static CKR_RESULT in_one_piece(struct session *session, enum module_operation kind,
                               struct bytes data, const struct output *output)
{
    struct operation *operation = operation_take(session, kind);
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (operation->in_parts) {
        operation_free(operation);
        return CKR_OPERATION_ACTIVE;
    }
    if (output->size != NULL && (data.base != NULL || data.size == 0)) {
        rv = one_piece(session, operation, data, output);
    }
    operation_finish(session, operation, operation_goes_on(rv, output->to));
    return rv;
}

/* Nothing comes out before the end, and nothing goes in when only the size was asked for. */
static CKR_RESULT gather_part(struct operation *operation, struct bytes data,
                              const struct output *output)
{
    CK_RV rv = CKR_OK;

    if (output->to != NULL || data.size == 0) {
        rv = operation_append(operation, data.base, data.size);
    }
    if (rv == CKR_OK) {
        template_set_ulong(output->size, 0);
    }
    return rv;
}

CK_RV cipher_update(struct session *session, enum module_operation kind, struct bytes data,
                    CK_BYTE *out, CK_ULONG *out_size)
{
    struct operation *operation = operation_take(session, kind);
    const struct output output = {out, out_size};
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (output.size != NULL && (data.base != NULL || data.size == 0)) {
        operation->in_parts = true;
        rv = operation->can_chain ? chain_part(session, operation, data, &output)
                                  : gather_part(operation, data, &output);
    }
    operation_finish(session, operation, rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL);
    return rv;
}

static CKR_RESULT at_the_end(struct session *session, enum module_operation kind,
                             const struct output *output)
{
    struct operation *operation = operation_take(session, kind);
    CK_RV rv = CKR_ARGUMENTS_BAD;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (output->size != NULL) {
        rv = operation->can_chain
                 ? chain_end(session, operation, output)
                 : use_whole(session, operation, (struct bytes){operation->data, operation->size},
                             output);
    }
    operation_finish(session, operation, operation_goes_on(rv, output->to));
    return rv;
}

CK_RV cipher_all(CK_SESSION_HANDLE handle, enum module_operation kind, const CK_BYTE *data,
                 CK_ULONG size, CK_BYTE *out, CK_ULONG *out_size)
{
    struct output output = {out, out_size};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = in_one_piece(session, kind, (struct bytes){data, size}, &output);
        module_leave_session(session);
    }
    return rv;
}

CK_RV cipher_part(CK_SESSION_HANDLE handle, enum module_operation kind, const CK_BYTE *data,
                  CK_ULONG size, CK_BYTE *out, CK_ULONG *out_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = cipher_update(session, kind, (struct bytes){data, size}, out, out_size);
        module_leave_session(session);
    }
    return rv;
}

CK_RV cipher_end(CK_SESSION_HANDLE handle, enum module_operation kind, CK_BYTE *out,
                 CK_ULONG *out_size)
{
    struct output output = {out, out_size};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = at_the_end(session, kind, &output);
        module_leave_session(session);
    }
    return rv;
}
