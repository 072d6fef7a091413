/* Keys of another module: out of it wrapped for the cluster, or read where it lets one read them.
 * See source.h.
 *
 * Wrapped: CKM_RSA_AES_KEY_WRAP where the module has it. SoftHSM 2.6 has not, but its parts: an AES
 * key that is made in the token, wrapped by RSA-OAEP, and the key wrapped by that AES key (RFC
 * 5649) are, one behind the other, the same bytes. Either way no key is in clear in this process.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "cli/source.h"
#include "crypto/key.h"

#define CARRIER_SIZE 32u /* bytes of the AES key */

static bool can_wrap(const struct source *source, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_INFO info;

    memset(&info, 0, sizeof(info));
    return source->module->C_GetMechanismInfo(source->slot, type, &info) == CKR_OK &&
           (info.flags & CKF_WRAP) != 0;
}

static enum qh_err refused(CK_RV rv, char *ret_why)
{
    switch (rv) {
    case CKR_KEY_UNEXTRACTABLE:
        (void)snprintf(ret_why, SOURCE_WHY_ROOM, "not extractable there");
        return QH_EUNEXTRACTABLE;
    case CKR_KEY_NOT_WRAPPABLE:
        (void)snprintf(ret_why, SOURCE_WHY_ROOM,
                       "the other token wraps it by a trusted key alone, or not at all");
        return QH_ENOTWRAPPABLE;
    case CKR_HOST_MEMORY:
        return QH_ENOMEM;
    default:
        (void)snprintf(ret_why, SOURCE_WHY_ROOM, "the other module does not wrap it: CK_RV 0x%lx",
                       rv);
        return QH_EMECHANISM;
    }
}

/* ---- preparing ---- */

static CK_RV create_public(struct source *source, struct bytes modulus, struct bytes exponent)
{
    CK_OBJECT_CLASS object_class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE key_type = CKK_RSA;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &object_class, sizeof(object_class)},
        {CKA_KEY_TYPE, &key_type, sizeof(key_type)},
        {CKA_TOKEN, &no, sizeof(no)},
        {CKA_PRIVATE, &no, sizeof(no)},
        {CKA_WRAP, &yes, sizeof(yes)},
        {CKA_ENCRYPT, &yes, sizeof(yes)},
        {CKA_MODULUS, (void *)(uintptr_t)modulus.base, modulus.size},
        {CKA_PUBLIC_EXPONENT, (void *)(uintptr_t)exponent.base, exponent.size},
    };

    return source->module->C_CreateObject(
        source->session, template, sizeof(template) / sizeof(template[0]), &source->wrapping);
}

static CK_RV generate_carrier(struct source *source)
{
    CK_MECHANISM mechanism = {.mechanism = CKM_AES_KEY_GEN};
    CK_ULONG size = CARRIER_SIZE;
    CK_BBOOL yes = CK_TRUE;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE template[] = {
        {CKA_TOKEN, &no, sizeof(no)},         {CKA_PRIVATE, &yes, sizeof(yes)},
        {CKA_SENSITIVE, &yes, sizeof(yes)},   {CKA_EXTRACTABLE, &yes, sizeof(yes)},
        {CKA_WRAP, &yes, sizeof(yes)},        {CKA_UNWRAP, &no, sizeof(no)},
        {CKA_VALUE_LEN, &size, sizeof(size)},
    };

    return source->module->C_GenerateKey(source->session, &mechanism, template,
                                         sizeof(template) / sizeof(template[0]), &source->carrier);
}

/* Both calls: the size, then the bytes behind those there are. */
static CK_RV wrap_behind(const struct source *source, CK_MECHANISM *mechanism,
                         CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, struct bytes before,
                         uint8_t **ret_bytes, size_t *ret_size)
{
    CK_ULONG size = 0;
    uint8_t *bytes;
    CK_RV rv = source->module->C_WrapKey(source->session, mechanism, wrapping, key, NULL, &size);

    if (rv != CKR_OK) {
        return rv;
    }
    if (size > WRAPPED_SIZE_MAX) {
        return CKR_KEY_SIZE_RANGE;
    }
    bytes = malloc(before.size + size);
    if (bytes == NULL) {
        return CKR_HOST_MEMORY;
    }
    if (before.size > 0) {
        memcpy(bytes, before.base, before.size);
    }
    rv = source->module->C_WrapKey(source->session, mechanism, wrapping, key, bytes + before.size,
                                   &size);
    if (rv != CKR_OK) {
        free(bytes);
        return rv;
    }
    *ret_bytes = bytes;
    *ret_size = before.size + size;
    return CKR_OK;
}

/* SHA-1 in OAEP is what every module has, and harms nothing there. */
static CK_RSA_PKCS_OAEP_PARAMS oaep(void)
{
    return (CK_RSA_PKCS_OAEP_PARAMS){
        .hashAlg = CKM_SHA_1, .mgf = CKG_MGF1_SHA1, .source = CKZ_DATA_SPECIFIED};
}

static CK_RV prepare_carrier(struct source *source)
{
    CK_RSA_PKCS_OAEP_PARAMS params = oaep();
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &params, sizeof(params)};
    CK_RV rv = generate_carrier(source);

    return rv == CKR_OK ? wrap_behind(source, &mechanism, source->wrapping, source->carrier,
                                      (struct bytes){NULL, 0}, &source->carrier_wrapped,
                                      &source->carrier_size)
                        : rv;
}

QH_RESULT source_prepare(struct source *source, struct bytes modulus, struct bytes exponent,
                         char ret_why[SOURCE_WHY_ROOM])
{
    bool whole = can_wrap(source, CKM_RSA_AES_KEY_WRAP);
    bool parts = can_wrap(source, CKM_RSA_PKCS_OAEP) &&
                 (can_wrap(source, CKM_AES_KEY_WRAP_KWP) || can_wrap(source, CKM_AES_KEY_WRAP_PAD));
    CK_RV rv;

    ret_why[0] = '\0';
    if (!whole && !parts) {
        (void)snprintf(ret_why, SOURCE_WHY_ROOM,
                       "the other token cannot wrap keys so that the cluster can unwrap them");
        return QH_EMECHANISM;
    }
    rv = create_public(source, modulus, exponent);
    if (rv == CKR_OK && parts && prepare_carrier(source) != CKR_OK && !whole) {
        rv = CKR_FUNCTION_FAILED;
    }
    return rv == CKR_OK ? QH_OK : refused(rv, ret_why);
}

/* ---- wrapping ---- */

static CK_RV wrap_whole(const struct source *source, CK_OBJECT_HANDLE object, uint8_t **ret_bytes,
                        size_t *ret_size)
{
    CK_RSA_PKCS_OAEP_PARAMS params = oaep();
    CK_RSA_AES_KEY_WRAP_PARAMS both = {8u * CARRIER_SIZE, &params};
    CK_MECHANISM mechanism = {CKM_RSA_AES_KEY_WRAP, &both, sizeof(both)};

    return wrap_behind(source, &mechanism, source->wrapping, object, (struct bytes){NULL, 0},
                       ret_bytes, ret_size);
}

static CK_RV wrap_parts(const struct source *source, CK_OBJECT_HANDLE object, uint8_t **ret_bytes,
                        size_t *ret_size)
{
    struct bytes carrier = {source->carrier_wrapped, source->carrier_size};
    CK_MECHANISM mechanism = {.mechanism = can_wrap(source, CKM_AES_KEY_WRAP_KWP)
                                               ? CKM_AES_KEY_WRAP_KWP
                                               : CKM_AES_KEY_WRAP_PAD};

    return wrap_behind(source, &mechanism, source->carrier, object, carrier, ret_bytes, ret_size);
}

QH_RESULT source_wrap(const struct source *source, CK_OBJECT_HANDLE object,
                      struct bytes *ret_wrapped, uint64_t *ret_hash, char ret_why[SOURCE_WHY_ROOM])
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    CK_RV rv = CKR_MECHANISM_INVALID;

    ret_why[0] = '\0';
    if (source->wrapping == CK_INVALID_HANDLE) {
        return refused(rv, ret_why);
    }
    if (source->carrier_wrapped != NULL) {
        rv = wrap_parts(source, object, &bytes, &size);
    } else {
        rv = wrap_whole(source, object, &bytes, &size);
    }
    if (rv != CKR_OK) {
        return refused(rv, ret_why);
    }
    *ret_wrapped = (struct bytes){bytes, size};
    *ret_hash = CKM_SHA_1;
    return QH_OK;
}

/* ---- reading ---- */

#define RSA_PARTS 8u

static struct bytes span(const struct secret *secret)
{
    return secret != NULL ? (struct bytes){secret_view(secret), secret_size(secret)}
                          : (struct bytes){NULL, 0};
}

static enum qh_err read_rsa(const struct source *source, CK_OBJECT_HANDLE object,
                            struct secret **ret_material)
{
    static const CK_ATTRIBUTE_TYPE types[RSA_PARTS] = {
        CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
        CKA_PRIME_2, CKA_EXPONENT_1,      CKA_EXPONENT_2,       CKA_COEFFICIENT};
    struct secret *parts[RSA_PARTS] = {NULL};
    struct key_rsa_parts numbers;
    struct key_public public = {.block = NULL};
    enum qh_err err = QH_OK;

    for (unsigned i = 0; i < RSA_PARTS && err == QH_OK; i++) {
        err = source_read(source, object, types[i], &parts[i]);
    }
    if (err == QH_OK) {
        numbers = (struct key_rsa_parts){.n = span(parts[0]),
                                         .e = span(parts[1]),
                                         .d = span(parts[2]),
                                         .p = span(parts[3]),
                                         .q = span(parts[4]),
                                         .dp = span(parts[5]),
                                         .dq = span(parts[6]),
                                         .qinv = span(parts[7])};
        err = key_import_rsa_private(&numbers, ret_material, &public);
    }
    free(public.block);
    for (unsigned i = 0; i < RSA_PARTS; i++) {
        secret_free(parts[i]);
    }
    return err;
}

static enum qh_err read_curve(const struct source *source, CK_OBJECT_HANDLE object,
                              CK_KEY_TYPE key_type, struct secret **ret_material)
{
    SECRET_SCOPED struct secret *params = NULL;
    SECRET_SCOPED struct secret *value = NULL;
    struct key_public public = {.block = NULL};
    enum qh_err err = source_read(source, object, CKA_EC_PARAMS, &params);

    if (err == QH_OK) {
        err = source_read(source, object, CKA_VALUE, &value);
    }
    if (err == QH_OK) {
        err = key_import_ec_private(key_type, span(params), span(value), ret_material, &public);
    }
    free(public.block);
    return err;
}

QH_RESULT source_material(const struct source *source, CK_OBJECT_HANDLE object,
                          CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type,
                          struct secret **ret_material)
{
    struct secret *value = NULL;
    enum qh_err err;

    if (object_class == CKO_PRIVATE_KEY && key_type == CKK_RSA) {
        err = read_rsa(source, object, ret_material);
    } else if (object_class == CKO_PRIVATE_KEY) {
        err = read_curve(source, object, key_type, ret_material);
    } else {
        err = source_read(source, object, CKA_VALUE, &value);
        if (err == QH_OK && value == NULL) {
            err = QH_EKEYSIZE;
        } else if (err == QH_OK) {
            *ret_material = value;
        }
    }
    return err == QH_ENOTFOUND ? QH_EPERM : err;
}
