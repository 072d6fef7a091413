/* C_CreateObject: key material comes from the template. */
#include "hsm/object_private.h"

#include <stdlib.h>

static unsigned modulus_bits(struct bytes modulus)
{
    unsigned bits = (unsigned)modulus.size * 8;

    for (uint8_t top = modulus.size > 0 ? modulus.base[0] : 0xff; (top & 0x80) == 0 && bits > 0;
         top = (uint8_t)(top << 1)) {
        bits--;
    }
    return bits;
}

/* The parts that are named. Chinese remainder parts are all there, or none. */
static QH_RESULT rsa_parts(struct attributes template, struct key_rsa_parts *ret_parts)
{
    struct key_rsa_parts parts = {
        .n = template_bytes(template, CKA_MODULUS),
        .e = template_bytes(template, CKA_PUBLIC_EXPONENT),
        .d = template_bytes(template, CKA_PRIVATE_EXPONENT),
        .p = template_bytes(template, CKA_PRIME_1),
        .q = template_bytes(template, CKA_PRIME_2),
        .dp = template_bytes(template, CKA_EXPONENT_1),
        .dq = template_bytes(template, CKA_EXPONENT_2),
        .qinv = template_bytes(template, CKA_COEFFICIENT),
    };
    int count = (parts.p.size > 0) + (parts.q.size > 0) + (parts.dp.size > 0) +
                (parts.dq.size > 0) + (parts.qinv.size > 0);

    if (count != 0 && count != 5) {
        return QH_EINCOMPLETE;
    }
    *ret_parts = parts;
    return QH_OK;
}

static QH_RESULT import_private(struct draft *draft, struct attributes template,
                                struct key_public *ret_public)
{
    struct key_rsa_parts parts;
    enum qh_err err;

    if (draft->key_type != CKK_RSA) {
        return key_import_ec_private(draft->key_type, template_bytes(template, CKA_EC_PARAMS),
                                     template_bytes(template, CKA_VALUE), &draft->material,
                                     ret_public);
    }
    err = rsa_parts(template, &parts);
    return err == QH_OK ? key_import_rsa_private(&parts, &draft->material, ret_public) : err;
}

static QH_RESULT import_public(struct draft *draft, struct attributes template,
                               struct key_public *ret_public)
{
    enum qh_err err;

    if (draft->key_type == CKK_RSA) {
        err = key_import_rsa_public(template_bytes(template, CKA_MODULUS),
                                    template_bytes(template, CKA_PUBLIC_EXPONENT), ret_public);
    } else {
        err = key_import_ec_public(draft->key_type, template_bytes(template, CKA_EC_PARAMS),
                                   template_bytes(template, CKA_EC_POINT), ret_public);
    }
    if (err != QH_OK) {
        return err;
    }
    return secret_from(ret_public->spki.base, ret_public->spki.size, &draft->material);
}

/* @public backs values of the draft. */
static QH_RESULT create_half(struct draft *draft, struct attributes template,
                             struct key_public *public)
{
    enum qh_err err = draft->object_class == CKO_PRIVATE_KEY
                          ? import_private(draft, template, public)
                          : import_public(draft, template, public);

    if (err == QH_OK && draft->key_type == CKK_RSA && draft->object_class == CKO_PUBLIC_KEY) {
        err = draft_compute_ulong(draft, CKA_MODULUS_BITS, modulus_bits(public->modulus),
                                  QH_ETEMPLATE);
    }
    return err == QH_OK ? draft_put_public(draft, public) : err;
}

/* A certificate may be left at its URL. With one, it has the hashes of the two keys (4.6.3). */
static QH_RESULT check_url(struct attributes template)
{
    bool is_here = template_bytes(template, CKA_VALUE).size > 0;

    if (template_bytes(template, CKA_URL).size == 0) {
        return is_here ? QH_OK : QH_EATTRVALUE;
    }
    return template_bytes(template, CKA_HASH_OF_SUBJECT_PUBLIC_KEY).size > 0 &&
                   template_bytes(template, CKA_HASH_OF_ISSUER_PUBLIC_KEY).size > 0
               ? QH_OK
               : QH_EATTRVALUE;
}

/* A certificate's check value is of its SHA-1; what is elsewhere has none. */
static QH_RESULT create_certificate(struct draft *draft, struct attributes template)
{
    struct bytes value = template_bytes(template, CKA_VALUE);
    uint8_t hash[MECH_DIGEST_SIZE_MAX];
    struct mech_digest *digest;
    enum qh_err err = check_url(template);
    size_t size;

    if (err == QH_OK && value.size == 0) {
        err = template_bytes(template, CKA_CHECK_VALUE).size > 0 ? QH_EATTRVALUE : QH_OK;
        draft_remove(draft, CKA_CHECK_VALUE);
        return err;
    }
    if (err != QH_OK) {
        return err;
    }
    err = mech_digest_new(CKM_SHA_1, &digest);
    if (err != QH_OK) {
        return err;
    }
    err = mech_digest_update(digest, value);
    if (err == QH_OK) {
        err = mech_digest_final(digest, hash, &size);
    }
    mech_digest_free(digest);
    return err == QH_OK ? draft_check_value(draft, (struct bytes){hash, 3}) : err;
}

static QH_RESULT create_material(struct draft *draft, struct attributes template,
                                 struct key_public *public)
{
    switch (draft->object_class) {
    case CKO_CERTIFICATE:
        return create_certificate(draft, template);
    case CKO_SECRET_KEY:
        return draft_put_secret(draft, template_bytes(template, CKA_VALUE));
    case CKO_PRIVATE_KEY:
    case CKO_PUBLIC_KEY:
        return create_half(draft, template, public);
    default:
        return QH_OK;
    }
}

QH_RESULT object_create_as(struct attributes template, bool officer, struct object **ret_object)
{
    struct key_public public = {0};
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE key_type;
    struct draft draft;
    enum qh_err err = template_check(template);

    if (err == QH_OK) {
        err = template_class(template, &object_class, &key_type);
    }
    if (err != QH_OK) {
        return err;
    }
    draft_init(&draft, object_class, key_type);
    err = draft_take(&draft, template, MAKING_CREATED, officer);
    if (err == QH_OK) {
        err = create_material(&draft, template, &public);
    }
    if (err != QH_OK) {
        goto out;
    }
    if (object_class_is_key(object_class)) {
        draft_put_foreign(&draft);
    }
    err = draft_finish(&draft, ret_object);
out:
    draft_close(&draft);
    free(public.block);
    return err;
}

QH_RESULT object_create(struct attributes template, struct object **ret_object)
{
    return object_create_as(template, false, ret_object);
}
