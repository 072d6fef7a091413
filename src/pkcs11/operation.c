/* What a session is doing with a key. */
#include "pkcs11/operation.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "client/gate.h"
#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/message_cipher.h"
#include "pkcs11/publickey.h"
#include "pkcs11/template.h"

static const CK_FLAGS uses[OPERATION_KINDS] = {
    [OPERATION_SIGN] = CKF_SIGN,
    [OPERATION_VERIFY] = CKF_VERIFY,
    [OPERATION_ENCRYPT] = CKF_ENCRYPT,
    [OPERATION_DECRYPT] = CKF_DECRYPT,
    [OPERATION_DIGEST] = CKF_DIGEST,
    [OPERATION_SIGN_RECOVER] = CKF_SIGN_RECOVER,
    [OPERATION_VERIFY_RECOVER] = CKF_VERIFY_RECOVER,
    [OPERATION_MESSAGE_ENCRYPT] = CKF_MESSAGE_ENCRYPT,
    [OPERATION_MESSAGE_DECRYPT] = CKF_MESSAGE_DECRYPT,
    [OPERATION_MESSAGE_SIGN] = CKF_MESSAGE_SIGN,
    [OPERATION_MESSAGE_VERIFY] = CKF_MESSAGE_VERIFY,
};

static void drop_data(struct operation *operation)
{
    if (operation->data != NULL) {
        sodium_memzero(operation->data, operation->room);
    }
    free(operation->data);
    operation->data = NULL;
    operation->size = 0;
    operation->room = 0;
}

void operation_free(struct operation *operation)
{
    if (operation == NULL) {
        return;
    }
    drop_data(operation);
    gate_enter();
    mech_digest_free(operation->digest);
    objects_value_unref(operation->key);
    gate_leave();
    mechanism_close(&operation->mechanism);
    message_free(operation->message);
    sodium_memzero(operation, sizeof *operation);
    free(operation);
}

struct operation *operation_take(struct session *session, enum module_operation kind)
{
    struct operation *operation;

    module_lock();
    operation = session->operations[kind];
    session->operations[kind] = NULL;
    module_unlock();
    return operation;
}

void operation_put(struct session *session, struct operation *operation)
{
    struct operation *extra = operation;

    module_lock();
    if (session->operations[operation->kind] == NULL) {
        session->operations[operation->kind] = operation;
        extra = NULL;
    }
    module_unlock();
    operation_free(extra);
}

bool operation_goes_on(CK_RV rv, const void *out)
{
    return rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && out == NULL);
}

void operation_finish(struct session *session, struct operation *operation, bool goes_on)
{
    if (goes_on) {
        operation_put(session, operation);
    } else {
        operation_free(operation);
    }
}

bool operation_is_active(struct session *session, enum module_operation kind)
{
    bool active;

    module_lock();
    active = session->operations[kind] != NULL;
    module_unlock();
    return active;
}

/* ---- messages ---- */

CKR_RESULT operation_take_message(struct session *session, enum module_operation kind,
                                  bool in_parts, struct operation **ret_operation)
{
    struct operation *operation = operation_take(session, kind);

    if (operation == NULL) {
        return CKR_OPERATION_NOT_INITIALIZED;
    }
    if (operation->in_parts != in_parts) {
        operation_put(session, operation);
        return in_parts ? CKR_OPERATION_NOT_INITIALIZED : CKR_OPERATION_ACTIVE;
    }
    *ret_operation = operation;
    return CKR_OK;
}

void operation_end_message(struct operation *operation)
{
    drop_data(operation);
    gate_enter();
    mech_digest_free(operation->digest);
    gate_leave();
    operation->digest = NULL;
    operation->hashed_size = 0;
    operation->in_parts = false;
}

CKR_RESULT operation_end(CK_SESSION_HANDLE handle, enum module_operation kind)
{
    struct operation *operation;
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        operation = operation_take(session, kind);
        rv = operation != NULL ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED;
        operation_free(operation);
        module_leave_session(session);
    }
    return rv;
}

/* ---- the end of a login ---- */

static struct operation *take_private(struct session *session, struct operation *list)
{
    for (unsigned i = 0; i < OPERATION_KINDS; i++) {
        struct operation *operation = session->operations[i];

        if (operation != NULL && operation->key != NULL &&
            objects_flag(operation->key->object, CKA_PRIVATE, false)) {
            session->operations[i] = NULL;
            operation->next = list;
            list = operation;
        }
    }
    return list;
}

struct operation *operation_take_private(const struct slot *slot)
{
    const struct handle_table *table = module_sessions();
    struct operation *list = NULL;

    for (size_t i = 0; i < table->bucket_count; i++) {
        struct handle_item *item;

        for (item = table->buckets[i]; item != NULL; item = item->next) {
            struct session *session = (struct session *)item;

            if (session->slot == slot) {
                list = take_private(session, list);
            }
        }
    }
    return list;
}

void operation_free_list(struct operation *list)
{
    while (list != NULL) {
        struct operation *next = list->next;

        operation_free(list);
        list = next;
    }
}

/* ---- beginning ---- */

/* Public keys are used here, where their CKA_ALLOWED_MECHANISMS was looked at already; others
 * where it will be looked at for the plain mechanism, too. */
static void prepare(struct operation *operation)
{
    const struct quadhsm_object *key = operation->key->object;
    bool is_public = objects_number(key, CKA_CLASS, CKO_DATA) == CKO_PUBLIC_KEY;

    operation->can_split =
        mechanism_split(&operation->mechanism, &operation->plain) &&
        (is_public || mechanism_allowed(key, (CK_MECHANISM_TYPE)operation->plain.type));
    operation->can_chain = mechanism_chain(&operation->mechanism, &operation->blocks) &&
                           mechanism_allowed(key, operation->blocks);
    if (operation->mechanism.params.iv_size == sizeof operation->chain) {
        memcpy(operation->chain, operation->mechanism.params.iv, sizeof operation->chain);
    }
}

/* fork() keeps out of what may take a lock of OpenSSL. */
static QH_RESULT digest_new(CK_MECHANISM_TYPE type, struct mech_digest **ret_digest)
{
    enum qh_err err;

    gate_enter();
    err = mech_digest_new(type, ret_digest);
    gate_leave();
    return err;
}

static CKR_RESULT fill(struct session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                       struct operation *operation)
{
    CK_FLAGS use = uses[operation->kind];
    CK_RV rv = mechanism_open(mechanism, use, &operation->mechanism);

    if (rv != CKR_OK) {
        return rv;
    }
    if (operation->kind == OPERATION_DIGEST) {
        return ckr_from_error((int)digest_new(operation->mechanism.info->type, &operation->digest),
                              ABOUT_CALL);
    }
    operation->key_handle = key;
    rv = access_object(session, key, ABOUT_KEY, false, &operation->key);
    if (rv == CKR_OK) {
        rv = mechanism_fits(&operation->mechanism, use, operation->key->object);
    }
    if (rv == CKR_OK) {
        prepare(operation);
    }
    return rv;
}

static CKR_RESULT begin(struct session *session, enum module_operation kind,
                        const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    struct operation *operation;
    bool active;
    CK_RV rv;

    module_lock();
    active = session->operations[kind] != NULL;
    module_unlock();
    if (mechanism == NULL) {
        operation_free(operation_take(session, kind));
        return active ? CKR_OK : CKR_ARGUMENTS_BAD;
    }
    if (active) {
        return CKR_OPERATION_ACTIVE;
    }
    operation = calloc(1, sizeof *operation);
    if (operation == NULL) {
        return CKR_HOST_MEMORY;
    }
    operation->kind = kind;
    rv = fill(session, mechanism, key, operation);
    if (rv != CKR_OK) {
        operation_free(operation);
        return rv;
    }
    operation_put(session, operation);
    return CKR_OK;
}

CKR_RESULT operation_begin(CK_SESSION_HANDLE handle, enum module_operation kind,
                           const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = begin(session, kind, mechanism, key);
        module_leave_session(session);
    }
    return rv;
}

/* ---- data ---- */

CKR_RESULT operation_append(struct operation *operation, const void *data, size_t size)
{
    size_t room = operation->room > 0 ? operation->room : 1024;
    uint8_t *larger;

    if (size > OPERATION_DATA_SIZE_MAX - operation->size) {
        return CKR_DATA_LEN_RANGE;
    }
    while (room - operation->size < size) {
        room *= 2;
    }
    if (room > operation->room) {
        /* Not realloc(), which would leave a copy behind. */
        larger = malloc(room);
        if (larger == NULL) {
            return CKR_HOST_MEMORY;
        }
        if (operation->size > 0) {
            memcpy(larger, operation->data, operation->size);
            sodium_memzero(operation->data, operation->room);
        }
        free(operation->data);
        operation->data = larger;
        operation->room = room;
    }
    if (size > 0) {
        memcpy(operation->data + operation->size, data, size);
        operation->size += size;
    }
    return CKR_OK;
}

static CKR_RESULT hash(struct operation *operation, const void *data, size_t size)
{
    struct bytes span = {data, size};
    struct bytes before = {operation->data, operation->size};
    enum qh_err err = QH_OK;

    if (operation->digest == NULL) {
        err = digest_new(operation->mechanism.info->digest, &operation->digest);
        if (err == QH_OK && before.size > 0) {
            err = mech_digest_update(operation->digest, before);
        }
        drop_data(operation);
    }
    if (err == QH_OK && size > 0) {
        err = mech_digest_update(operation->digest, span);
    }
    return ckr_from_error((int)err, ABOUT_CALL);
}

static bool is_to_be_hashed(const struct operation *operation, size_t size)
{
    return operation->digest != NULL ||
           (operation->can_split &&
            (size > OPERATION_HASH_ABOVE || operation->size > OPERATION_HASH_ABOVE - size));
}

CKR_RESULT operation_feed(struct operation *operation, const void *data, size_t size)
{
    return is_to_be_hashed(operation, size) ? hash(operation, data, size)
                                            : operation_append(operation, data, size);
}

/* For RSA PKCS#1 v1.5 the plain mechanism signs a DigestInfo, for the others the hash. */
static CKR_RESULT finish_hash(struct operation *operation)
{
    uint8_t *to = operation->hashed;
    size_t size = 0;
    enum qh_err err;

    if (operation->plain.type == CKM_RSA_PKCS) {
        struct bytes info = mechanism_digest_info(operation->mechanism.info->digest);

        QH_ASSERT(info.size > 0);
        memcpy(to, info.base, info.size);
        to += info.size;
    }
    err = mech_digest_final(operation->digest, to, &size);
    if (err == QH_OK) {
        operation->hashed_size = (size_t)(to - operation->hashed) + size;
        mech_digest_free(operation->digest);
        operation->digest = NULL;
    }
    return ckr_from_error((int)err, ABOUT_CALL);
}

CKR_RESULT operation_input(struct operation *operation, const void *data, size_t size,
                           struct operation_input *ret_input)
{
    struct operation_input whole = {&operation->mechanism.params, data, size};
    struct operation_input hashed = {&operation->plain, operation->hashed, 0};
    CK_RV rv = CKR_OK;

    if (data == NULL) {
        whole.data = operation->data;
        whole.size = operation->size;
    }
    if (operation->hashed_size == 0 && is_to_be_hashed(operation, size)) {
        rv = hash(operation, data, size);
        if (rv == CKR_OK) {
            rv = finish_hash(operation);
        }
    }
    if (rv == CKR_OK && operation->hashed_size == 0 && whole.size > OPERATION_DATA_SIZE_MAX) {
        rv = CKR_DATA_LEN_RANGE;
    }
    if (rv != CKR_OK) {
        return rv;
    }
    hashed.size = operation->hashed_size;
    *ret_input = hashed.size > 0 ? hashed : whole;
    return CKR_OK;
}

bool operation_answer_size(const void *out, CK_ULONG *out_size, size_t least, size_t tell,
                           CK_RV *ret_rv)
{
    if (out != NULL && template_get_ulong(out_size) >= least) {
        return false;
    }
    template_set_ulong(out_size, (CK_ULONG)tell);
    *ret_rv = out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
    return true;
}

/* ---- use ---- */

static CKR_RESULT use_here(struct operation *operation, const struct quadhsm_mechanism *params,
                           struct bytes data, void *out, size_t room, size_t *ret_size)
{
    struct mech_params local = mechanism_local(params);
    enum qh_err err = publickey_encrypt(operation->key, &local, data, out, room, ret_size);

    return ckr_from_error((int)err, ABOUT_KEY);
}

CKR_RESULT operation_use(struct session *session, struct operation *operation,
                         const struct quadhsm_mechanism *params, const void *data, size_t size,
                         void *out, size_t room, size_t *ret_size)
{
    const struct quadhsm_object *key = operation->key->object;
    struct quadhsm_token *token = session->slot->token;
    uint64_t login = login_current(session->slot);
    int error;

    if (size > OPERATION_DATA_SIZE_MAX) {
        return CKR_DATA_LEN_RANGE;
    }
    if (objects_number(key, CKA_CLASS, CKO_DATA) == CKO_PUBLIC_KEY) {
        return use_here(operation, params, (struct bytes){data, size}, out, room, ret_size);
    }
    if (operation->kind == OPERATION_ENCRYPT || operation->kind == OPERATION_MESSAGE_ENCRYPT) {
        error = quadhsm_encrypt(token, key, params, data, size, out, room, ret_size);
    } else {
        error = quadhsm_decrypt(token, key, params, data, size, out, room, ret_size);
    }
    return access_failed(session, login, operation->key_handle, error, ABOUT_KEY);
}
