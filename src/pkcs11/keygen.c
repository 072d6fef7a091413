/* C_GenerateKey, C_GenerateKeyPair. */
#include <string.h>

#include "pkcs11/access.h"
#include "pkcs11/login.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/template.h"

static bool may_make(const struct session *session, const struct template *template)
{
    return session->writable || !template_flag(template, CKA_TOKEN, false);
}

static CKR_RESULT generate_key(struct session *session, const struct mechanism *mechanism,
                               const struct template *template, CK_OBJECT_HANDLE *ret_handle)
{
    uint64_t login = login_current(session->slot);
    struct quadhsm_object *object = NULL;
    CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
    int error;
    CK_RV rv;

    if (!may_make(session, template)) {
        return CKR_SESSION_READ_ONLY;
    }
    error = quadhsm_generate(session->slot->token, &mechanism->params, template->attributes,
                             template->count, &object);
    rv = access_failed(session, login, CK_INVALID_HANDLE, error, ABOUT_NEW);
    if (rv == CKR_OK) {
        rv = access_add(session, object, &handle);
    }
    if (rv == CKR_OK) {
        template_set_ulong(ret_handle, handle);
    }
    return rv;
}

static CKR_RESULT generate(struct session *session, const CK_MECHANISM *from,
                           const CK_ATTRIBUTE *list, CK_ULONG count, CK_OBJECT_HANDLE *ret_handle)
{
    struct mechanism mechanism;
    struct template template;
    CK_RV rv;

    if (ret_handle == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    rv = mechanism_open(from, CKF_GENERATE, &mechanism);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = template_open(list, count, &template);
    if (rv == CKR_OK) {
        rv = generate_key(session, &mechanism, &template, ret_handle);
        template_close(&template);
    }
    mechanism_close(&mechanism);
    return rv;
}

MODULE_API CK_RV C_GenerateKey(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                               CK_ATTRIBUTE_PTR list, CK_ULONG count, CK_OBJECT_HANDLE_PTR key)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = generate(session, mechanism, list, count, key);
        module_leave_session(session);
    }
    return rv;
}

/* ---- pairs ---- */

struct pair {
    struct template public, private;
    CK_OBJECT_HANDLE *ret_public, *ret_private;
};

static CKR_RESULT add_pair(struct session *session, struct quadhsm_object *public,
                           struct quadhsm_object *private, const struct pair *pair)
{
    CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE;
    CK_OBJECT_HANDLE private_handle = CK_INVALID_HANDLE;
    CK_RV rv = access_add(session, public, &public_handle);

    if (rv != CKR_OK) {
        quadhsm_object_free(private);
        return rv;
    }
    rv = access_add(session, private, &private_handle);
    if (rv == CKR_OK) {
        template_set_ulong(pair->ret_public, public_handle);
        template_set_ulong(pair->ret_private, private_handle);
    }
    return rv;
}

static CKR_RESULT generate_pair(struct session *session, const struct mechanism *mechanism,
                                const struct pair *pair)
{
    uint64_t login = login_current(session->slot);
    struct quadhsm_object *public = NULL;
    struct quadhsm_object *private = NULL;
    int error;
    CK_RV rv;

    if (!may_make(session, &pair->public) || !may_make(session, &pair->private)) {
        return CKR_SESSION_READ_ONLY;
    }
    error = quadhsm_generate_pair(session->slot->token, &mechanism->params, pair->public.attributes,
                                  pair->public.count, pair->private.attributes, pair->private.count,
                                  &public, &private);
    rv = access_failed(session, login, CK_INVALID_HANDLE, error, ABOUT_NEW);
    return rv == CKR_OK ? add_pair(session, public, private, pair) : rv;
}

static CKR_RESULT open_templates(const CK_ATTRIBUTE *public_list, CK_ULONG public_count,
                                 const CK_ATTRIBUTE *private_list, CK_ULONG private_count,
                                 struct pair *pair)
{
    CK_RV rv = template_open(public_list, public_count, &pair->public);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = template_open(private_list, private_count, &pair->private);
    if (rv != CKR_OK) {
        template_close(&pair->public);
    }
    return rv;
}

/* GnuTLS before 3.8 asks for an Edwards pair by the name of the signature. */
static CK_MECHANISM meant_mechanism(const CK_MECHANISM *from)
{
    CK_MECHANISM meant;

    memcpy(&meant, (const void *)from, sizeof meant);
    if (meant.mechanism == CKM_EDDSA) {
        meant.mechanism = CKM_EC_EDWARDS_KEY_PAIR_GEN;
    }
    return meant;
}

static CKR_RESULT generate_with(struct session *session, const CK_MECHANISM *from,
                                const struct pair *pair)
{
    CK_MECHANISM meant = meant_mechanism(from);
    struct mechanism mechanism;
    CK_RV rv = mechanism_open(&meant, CKF_GENERATE_KEY_PAIR, &mechanism);

    if (rv == CKR_OK) {
        rv = generate_pair(session, &mechanism, pair);
        mechanism_close(&mechanism);
    }
    return rv;
}

MODULE_API CK_RV C_GenerateKeyPair(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                                   CK_ATTRIBUTE_PTR public_list, CK_ULONG public_count,
                                   CK_ATTRIBUTE_PTR private_list, CK_ULONG private_count,
                                   CK_OBJECT_HANDLE_PTR public_key,
                                   CK_OBJECT_HANDLE_PTR private_key)
{
    struct pair pair = {.ret_public = public_key, .ret_private = private_key};
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = CKR_ARGUMENTS_BAD;
    if (mechanism != NULL && public_key != NULL && private_key != NULL) {
        rv = open_templates(public_list, public_count, private_list, private_count, &pair);
    }
    if (rv == CKR_OK) {
        rv = generate_with(session, mechanism, &pair);
        template_close(&pair.public);
        template_close(&pair.private);
    }
    module_leave_session(session);
    return rv;
}
