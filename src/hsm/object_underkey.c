/* C_WrapKey, C_UnwrapKey and C_DeriveKey: which key may leave under which, and what comes in. */
#include "hsm/object_private.h"

#include <stdlib.h>

#include "crypto/der.h"

/* ---- wrap ---- */

/* What these make is as long as the wrapping key's modulus, or says nothing of the length of what
 * is inside: they are for secret keys. */
static bool is_for_secrets(CK_MECHANISM_TYPE type)
{
    return type == CKM_RSA_PKCS || type == CKM_RSA_PKCS_OAEP || type == CKM_RSA_X_509 ||
           type == CKM_AES_ECB || type == CKM_AES_CBC;
}

QH_RESULT object_may_wrap(const struct object *wrapping, const struct object *key,
                          const struct mech_params *mechanism)
{
    if (key->object_class != CKO_SECRET_KEY && key->object_class != CKO_PRIVATE_KEY) {
        return QH_ENOTWRAPPABLE;
    }
    if (!object_flag(key, CKA_EXTRACTABLE)) {
        return QH_EUNEXTRACTABLE;
    }
    if (object_flag(key, CKA_WRAP_WITH_TRUSTED) && !object_flag(wrapping, CKA_TRUSTED)) {
        return QH_ENOTWRAPPABLE;
    }
    /* With the IV of another wrapping, of a key that one knows, GCM gives the difference of both.
     */
    if (object_flag(key, CKA_WRAP_WITH_TRUSTED) && mechanism->type == CKM_AES_GCM) {
        return QH_ENOTWRAPPABLE;
    }
    if (key->object_class == CKO_PRIVATE_KEY && is_for_secrets(mechanism->type)) {
        return QH_ENOTWRAPPABLE;
    }
    return nested_match(wrapping, key);
}

/* ---- unwrap ---- */

static bool is_fault(enum qh_err err)
{
    return err == QH_ENOMEM || err == QH_ESYSTEM;
}

/* Without what another mechanism than the one that it was wrapped with leaves of its padding. */
static struct bytes first_of(struct bytes material)
{
    struct bytes_reader reader;

    bytes_reader_init(&reader, material.base, material.size);
    (void)der_read(&reader, DER_SEQUENCE);
    return reader.failed ? material : (struct bytes){material.base, material.size - reader.left};
}

/* As a generic secret, which may be read, a private key would leave by the back door. */
static QH_RESULT check_disguise(struct bytes material)
{
    static const CK_KEY_TYPE types[] = {CKK_RSA, CKK_EC, CKK_EC_EDWARDS, CKK_EC_MONTGOMERY};
    enum qh_err err = QH_EMALFORMED;

    for (unsigned i = 0; i < sizeof types / sizeof types[0] && err != QH_OK; i++) {
        struct key_rsa_parts rsa;
        struct secret *block = NULL;
        struct bytes value;

        err = key_private_parts(types[i], first_of(material), &rsa, &value, &block);
        secret_free(block);
        if (is_fault(err)) {
            return err;
        }
    }
    return err == QH_OK ? QH_EWRAPPED : QH_OK;
}

static QH_RESULT unwrap_secret(struct draft *draft, struct bytes material)
{
    enum qh_err err;

    if (draft->key_type != CKK_AES) {
        err = check_disguise(material);
        if (err != QH_OK) {
            return err;
        }
    }
    err = draft_put_secret(draft, material);
    return err == QH_EKEYSIZE || err == QH_EMALFORMED ? QH_EWRAPPED : err;
}

static QH_RESULT unwrap_private(struct draft *draft, struct bytes material,
                                struct key_public *public)
{
    enum qh_err err = key_import_pkcs8(draft->key_type, material, &draft->material, public);

    if (err == QH_EKEYSIZE) {
        return QH_EWRAPPEDSIZE;
    }
    if (err != QH_OK) {
        return is_fault(err) ? err : QH_EWRAPPED;
    }
    if (draft->key_type != CKK_RSA) {
        draft_put(draft, CKA_EC_PARAMS, public->ec_params);
    }
    return draft_put_public(draft, public);
}

static QH_RESULT unwrapped_class(struct attributes template, CK_OBJECT_CLASS *ret_class,
                                 CK_KEY_TYPE *ret_key_type)
{
    enum qh_err err = template_check(template);

    if (err == QH_OK) {
        err = template_class(template, ret_class, ret_key_type);
    }
    if (err != QH_OK) {
        return err;
    }
    return *ret_class == CKO_SECRET_KEY || *ret_class == CKO_PRIVATE_KEY ? QH_OK : QH_ETEMPLATE;
}

QH_RESULT object_unwrap_check(const struct mech_params *mechanism, struct attributes template)
{
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE key_type;
    struct draft draft;
    enum qh_err err = unwrapped_class(template, &object_class, &key_type);

    if (err == QH_OK && object_class == CKO_PRIVATE_KEY && is_for_secrets(mechanism->type)) {
        err = QH_ETEMPLATE;
    }
    if (err == QH_OK) {
        draft_init(&draft, object_class, key_type);
        err = draft_take(&draft, template, MAKING_UNWRAPPED, false);
        draft_close(&draft);
    }
    return err;
}

QH_RESULT object_unwrap(struct bytes material, struct attributes template,
                        struct object **ret_object)
{
    struct key_public public = {0};
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE key_type;
    struct draft draft;
    enum qh_err err = unwrapped_class(template, &object_class, &key_type);

    if (err != QH_OK) {
        return err;
    }
    draft_init(&draft, object_class, key_type);
    err = draft_take(&draft, template, MAKING_UNWRAPPED, false);
    if (err == QH_OK) {
        err = object_class == CKO_SECRET_KEY ? unwrap_secret(&draft, material)
                                             : unwrap_private(&draft, material, &public);
    }
    if (err == QH_OK) {
        draft_put_foreign(&draft);
        /* It was outside and may go there again, unless the template says otherwise. */
        if (draft_find(&draft, CKA_EXTRACTABLE) == NULL) {
            draft_put_flag(&draft, CKA_EXTRACTABLE, true);
        }
        err = draft_finish(&draft, ret_object);
    }
    draft_close(&draft);
    free(public.block);
    return err;
}

/* ---- derive ---- */

/* A secret key; a generic one, if the template does not say. */
static QH_RESULT derived_type(struct attributes template, CK_KEY_TYPE *ret_key_type)
{
    CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
    CK_KEY_TYPE key_type = CKK_GENERIC_SECRET;
    enum qh_err err = template_check(template);

    if (err == QH_OK) {
        err = template_ulong(template, CKA_CLASS, &object_class);
    }
    if (err == QH_OK || err == QH_EINCOMPLETE) {
        err = template_ulong(template, CKA_KEY_TYPE, &key_type);
    }
    if (err != QH_OK && err != QH_EINCOMPLETE) {
        return err;
    }
    if (object_class != CKO_SECRET_KEY) {
        return QH_ETEMPLATE;
    }
    if (!object_key_type_fits(object_class, key_type)) {
        return QH_EATTRVALUE;
    }
    *ret_key_type = key_type;
    return QH_OK;
}

QH_RESULT object_derive_size(struct attributes template, size_t *ret_size)
{
    CK_KEY_TYPE key_type;
    CK_ULONG size = 0;
    enum qh_err err = derived_type(template, &key_type);

    if (err != QH_OK) {
        return err;
    }
    err = template_ulong(template, CKA_VALUE_LEN, &size);
    if (err == QH_EINCOMPLETE && key_type != CKK_AES) {
        *ret_size = 0;
        return QH_OK;
    }
    if (err == QH_OK && (size == 0 || size > KEY_SECRET_SIZE_MAX)) {
        err = QH_EKEYSIZE;
    }
    if (err == QH_OK) {
        *ret_size = size;
    }
    return err;
}

struct object_history object_history(const struct object *base)
{
    return (struct object_history){object_flag(base, CKA_ALWAYS_SENSITIVE),
                                   object_flag(base, CKA_NEVER_EXTRACTABLE)};
}

/* What was never shown stays so only if what is made of it is hidden as well. */
static void put_history(struct draft *draft, struct object_history base)
{
    bool sensitive = draft_find(draft, CKA_SENSITIVE) == NULL || draft_flag(draft, CKA_SENSITIVE);

    draft_put_flag(draft, CKA_ALWAYS_SENSITIVE, sensitive && base.always_sensitive);
    draft_put_flag(draft, CKA_NEVER_EXTRACTABLE,
                   !draft_flag(draft, CKA_EXTRACTABLE) && base.never_extractable);
}

QH_RESULT object_derive(struct object_history base, struct bytes value, struct attributes template,
                        struct object **ret_object)
{
    CK_KEY_TYPE key_type;
    struct draft draft;
    enum qh_err err = derived_type(template, &key_type);

    if (err != QH_OK) {
        return err;
    }
    draft_init(&draft, CKO_SECRET_KEY, key_type);
    err = draft_take(&draft, template, MAKING_DERIVED, false);
    if (err == QH_OK) {
        err = draft_put_secret(&draft, value);
    }
    if (err == QH_OK) {
        draft_put_foreign(&draft);
        put_history(&draft, base);
        err = draft_finish(&draft, ret_object);
    }
    draft_close(&draft);
    return err;
}
