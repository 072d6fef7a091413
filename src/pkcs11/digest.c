/* C_DigestInit, C_Digest, C_DigestUpdate, C_DigestKey, C_DigestFinal: made here, without a node;
 * C_GetOperationState and C_SetOperationState, for digests alone. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/access.h"
#include "pkcs11/digest.h"
#include "pkcs11/operation.h"
#include "pkcs11/template.h"

static CKR_RESULT update(struct operation *operation, struct bytes data)
{
    if (data.base == NULL && data.size > 0) {
        return CKR_ARGUMENTS_BAD;
    }
    if (data.size == 0) {
        return CKR_OK;
    }
    return ckr_from_error((int)mech_digest_update(operation->digest, data), ABOUT_CALL);
}

static CKR_RESULT final(struct operation *operation, CK_BYTE *out, CK_ULONG *out_size)
{
    uint8_t hash[MECH_DIGEST_SIZE_MAX];
    size_t size = 0;
    enum qh_err err = mech_digest_final(operation->digest, hash, &size);

    if (err == QH_OK) {
        memcpy(out, hash, size);
        template_set_ulong(out_size, (CK_ULONG)size);
    }
    return ckr_from_error((int)err, ABOUT_CALL);
}

/* @all: in one piece, with no part before. */
static CKR_RESULT digest_end(struct session *session, bool all, struct bytes data, CK_BYTE *out,
                             CK_ULONG *out_size)
{
    struct operation *operation = operation_take(session, OPERATION_DIGEST);
    CK_RV rv = CKR_ARGUMENTS_BAD;
    size_t size;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (all && operation->in_parts) {
        operation_free(operation);
        return CKR_OPERATION_ACTIVE;
    }
    size = mech_digest_size(operation->mechanism.info->type);
    if (out_size != NULL && (data.base != NULL || data.size == 0) &&
        !operation_answer_size(out, out_size, size, size, &rv)) {
        rv = update(operation, data);
        if (rv == CKR_OK) {
            rv = final(operation, out, out_size);
        }
    }
    operation_finish(session, operation, operation_goes_on(rv, out));
    return rv;
}

CK_RV digest_update(struct session *session, struct bytes data)
{
    struct operation *operation = operation_take(session, OPERATION_DIGEST);
    CK_RV rv;

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    operation->in_parts = true;
    rv = update(operation, data);
    operation_finish(session, operation, rv == CKR_OK);
    return rv;
}

MODULE_API CK_RV C_DigestInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism)
{
    return operation_begin(handle, OPERATION_DIGEST, mechanism, CK_INVALID_HANDLE);
}

MODULE_API CK_RV C_Digest(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                          CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = digest_end(session, true, (struct bytes){data, size}, out, out_size);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_DigestUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = digest_update(session, (struct bytes){data, size});
        module_leave_session(session);
    }
    return rv;
}

/* Of a key whose value may be read; the others never leave the cluster. */
static CKR_RESULT digest_key(struct session *session, CK_OBJECT_HANDLE key)
{
    const struct quadhsm_attribute *secret = NULL;
    struct objects_value *value = NULL;
    CK_RV rv;

    if (!operation_is_active(session, OPERATION_DIGEST)) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    rv = access_object(session, key, ABOUT_KEY, false, &value);
    if (rv != CKR_OK) {
        return rv;
    }
    if (objects_number(value->object, CKA_CLASS, CKO_DATA) == CKO_SECRET_KEY) {
        secret = quadhsm_object_attribute(value->object, CKA_VALUE);
    }
    rv = secret != NULL ? digest_update(session, (struct bytes){secret->value, secret->size})
                        : CKR_KEY_INDIGESTIBLE;
    objects_value_unref(value);
    return rv;
}

MODULE_API CK_RV C_DigestKey(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = digest_key(session, key);
        module_leave_session(session);
    }
    return rv;
}

MODULE_API CK_RV C_DigestFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = digest_end(session, false, (struct bytes){NULL, 0}, out, out_size);
        module_leave_session(session);
    }
    return rv;
}

/* ---- saved states ---- */

/* A hash half made is not taken apart: the module keeps a copy, and the application's "state" is a
 * random name for it, good in this process and its children. The oldest is dropped for a new one.
 */
struct saved {
    uint8_t name[DIGEST_STATE_SIZE];
    CK_MECHANISM_TYPE type;
    struct mech_digest *digest;
};

static struct saved saved_states[DIGEST_STATES_MAX];
static size_t saved_next;

void digest_forget_states(void)
{
    for (size_t i = 0; i < DIGEST_STATES_MAX; i++) {
        mech_digest_free(saved_states[i].digest);
        saved_states[i].digest = NULL;
    }
    saved_next = 0;
}

static void save(const struct saved *state)
{
    struct mech_digest *old;

    module_lock();
    old = saved_states[saved_next].digest;
    saved_states[saved_next] = *state;
    saved_next = (saved_next + 1) % DIGEST_STATES_MAX;
    module_unlock();
    mech_digest_free(old);
}

static bool has_other_operation(struct session *session)
{
    bool found = false;

    module_lock();
    for (unsigned i = 0; i < OPERATION_KINDS; i++) {
        found = found || session->operations[i] != NULL;
    }
    module_unlock();
    return found;
}

static CKR_RESULT get_state(struct session *session, CK_BYTE *out, CK_ULONG *out_size)
{
    struct saved state = {.digest = NULL};
    struct operation *operation;
    enum qh_err err;
    CK_RV rv;

    if (out_size == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    operation = operation_take(session, OPERATION_DIGEST);
    if (has_other_operation(session)) {
        if (operation != NULL) {
            operation_put(session, operation);
        }
        return CKR_STATE_UNSAVEABLE;
    }
    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (!operation_answer_size(out, out_size, DIGEST_STATE_SIZE, DIGEST_STATE_SIZE, &rv)) {
        state.type = operation->mechanism.info->type;
        err = mech_digest_copy(operation->digest, &state.digest);
        rv = ckr_from_error((int)err, ABOUT_CALL);
    }
    operation_put(session, operation);
    if (state.digest != NULL) {
        randombytes_buf(state.name, sizeof state.name);
        memcpy(out, state.name, sizeof state.name);
        template_set_ulong(out_size, sizeof state.name);
        save(&state);
    }
    return rv;
}

MODULE_API CK_RV C_GetOperationState(CK_SESSION_HANDLE handle, CK_BYTE_PTR state,
                                     CK_ULONG_PTR state_size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = get_state(session, state, state_size);
        module_leave_session(session);
    }
    return rv;
}

static CKR_RESULT restore(const CK_BYTE *name, struct saved *ret_state)
{
    enum qh_err err = QH_ENOTFOUND;

    module_lock();
    for (size_t i = 0; i < DIGEST_STATES_MAX && err == QH_ENOTFOUND; i++) {
        const struct saved *state = &saved_states[i];

        if (state->digest != NULL && memcmp(state->name, name, sizeof state->name) == 0) {
            err = mech_digest_copy(state->digest, &ret_state->digest);
            ret_state->type = state->type;
        }
    }
    module_unlock();
    if (err == QH_ENOTFOUND) {
        return CKR_SAVED_STATE_INVALID;
    }
    return ckr_from_error((int)err, ABOUT_CALL);
}

/* A state is all that a session was doing: a digest and nothing else (get_state()). What this
 * session was doing before is over. */
static void end_all(struct session *session)
{
    for (unsigned i = 0; i < OPERATION_KINDS; i++) {
        operation_free(operation_take(session, (enum module_operation)i));
    }
}

static CKR_RESULT set_state(struct session *session, const CK_BYTE *name, CK_ULONG size)
{
    struct saved state = {.digest = NULL};
    struct operation *operation;
    CK_RV rv;

    if (name == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    if (size != DIGEST_STATE_SIZE) {
        return CKR_SAVED_STATE_INVALID;
    }
    rv = restore(name, &state);
    if (rv != CKR_OK) {
        return rv;
    }
    operation = calloc(1, sizeof *operation);
    if (operation == NULL) {
        mech_digest_free(state.digest);
        return CKR_HOST_MEMORY;
    }
    operation->kind = OPERATION_DIGEST;
    operation->in_parts = true;
    operation->digest = state.digest;
    operation->mechanism.info = mech_find(state.type);
    end_all(session);
    operation_put(session, operation);
    return CKR_OK;
}

MODULE_API CK_RV C_SetOperationState(CK_SESSION_HANDLE handle, CK_BYTE_PTR state,
                                     CK_ULONG state_size, CK_OBJECT_HANDLE encryption_key,
                                     CK_OBJECT_HANDLE authentication_key)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = encryption_key != CK_INVALID_HANDLE || authentication_key != CK_INVALID_HANDLE
             ? CKR_KEY_NOT_NEEDED
             : set_state(session, state, state_size);
    module_leave_session(session);
    return rv;
}
