/* CK_MECHANISM to what the library and the crypto folder take. */
#include "pkcs11/mechanism.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "pkcs11/template.h"

/* What the module implements; CKF_HW comes from the configuration. */
#define FLAGS_OFFERED                                                                \
    (CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST | CKF_SIGN | CKF_VERIFY | CKF_GENERATE | \
     CKF_GENERATE_KEY_PAIR | CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS)
#define FLAGS_USE                                                                    \
    (CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST | CKF_SIGN | CKF_VERIFY | CKF_GENERATE | \
     CKF_GENERATE_KEY_PAIR)

CK_FLAGS mechanism_flags(const struct mech_info *info)
{
    return (info->flags & FLAGS_USE) != 0 ? info->flags & FLAGS_OFFERED : 0;
}

/* ---- parameters ---- */

static CKR_RESULT copy_params(const CK_MECHANISM *from, void *to, size_t size)
{
    if (from->pParameter == NULL || from->ulParameterLen != size) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    memcpy(to, from->pParameter, size);
    return CKR_OK;
}

static CKR_RESULT check_span(const void *base, CK_ULONG size, size_t size_max)
{
    return size > size_max || (size > 0 && base == NULL) ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
}

static CKR_RESULT parse_iv(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    if (from->pParameter == NULL || from->ulParameterLen != MECHANISM_BLOCK_SIZE) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->iv = from->pParameter;
    params->iv_size = from->ulParameterLen;
    return CKR_OK;
}

/* The whole block is the counter: that is what clients ask for, and what the node does. */
static CKR_RESULT parse_ctr(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_AES_CTR_PARAMS ctr;
    CK_RV rv = copy_params(from, &ctr, sizeof ctr);

    if (rv != CKR_OK) {
        return rv;
    }
    if (ctr.ulCounterBits != 8 * sizeof ctr.cb) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->iv = (const uint8_t *)from->pParameter + offsetof(CK_AES_CTR_PARAMS, cb);
    params->iv_size = sizeof ctr.cb;
    return CKR_OK;
}

/* The two shapes are told apart by their size; ulIvBits says nothing that ulIvLen does not. */
static CKR_RESULT parse_gcm(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_GCM_PARAMS_V3 gcm;
    CK_NSS_GCM_PARAMS without_bits;
    CK_RV rv;

    if (from->ulParameterLen == sizeof without_bits) {
        rv = copy_params(from, &without_bits, sizeof without_bits);
        if (rv != CKR_OK) {
            return rv;
        }
        gcm.pIv = without_bits.pIv;
        gcm.ulIvLen = without_bits.ulIvLen;
        gcm.pAAD = without_bits.pAAD;
        gcm.ulAADLen = without_bits.ulAADLen;
        gcm.ulTagBits = without_bits.ulTagBits;
    } else {
        rv = copy_params(from, &gcm, sizeof gcm);
        if (rv != CKR_OK) {
            return rv;
        }
    }
    if (gcm.ulIvLen == 0 || gcm.ulTagBits > MECHANISM_TAG_BITS_MAX || gcm.ulTagBits % 8 != 0) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->iv = gcm.pIv;
    params->iv_size = gcm.ulIvLen;
    params->aad = gcm.pAAD;
    params->aad_size = gcm.ulAADLen;
    params->tag_bits = (uint32_t)gcm.ulTagBits;
    return CKR_OK;
}

static CKR_RESULT parse_pss(const CK_MECHANISM *from, const struct mech_info *info,
                            struct quadhsm_mechanism *params)
{
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_RV rv = copy_params(from, &pss, sizeof pss);

    if (rv != CKR_OK) {
        return rv;
    }
    if (pss.sLen > KEY_RSA_BITS_MAX / 8 || mech_digest_size(pss.hashAlg) == 0 ||
        (info->digest != CK_UNAVAILABLE_INFORMATION && info->digest != pss.hashAlg)) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->hash = pss.hashAlg;
    params->mgf = pss.mgf;
    params->salt_size = (uint32_t)pss.sLen;
    return CKR_OK;
}

/* No source at all is what some clients say for "no label". */
static CKR_RESULT parse_oaep(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    CK_RV rv = copy_params(from, &oaep, sizeof oaep);

    if (rv != CKR_OK) {
        return rv;
    }
    if (mech_digest_size(oaep.hashAlg) == 0 ||
        (oaep.source != CKZ_DATA_SPECIFIED && (oaep.source != 0 || oaep.ulSourceDataLen != 0))) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->hash = oaep.hashAlg;
    params->mgf = oaep.mgf;
    params->label = oaep.pSourceData;
    params->label_size = oaep.ulSourceDataLen;
    return CKR_OK;
}

/* Pure EdDSA, said with no parameter or with one that says just that. */
static CKR_RESULT parse_eddsa(const CK_MECHANISM *from)
{
    CK_EDDSA_PARAMS eddsa;
    CK_RV rv;

    if (from->ulParameterLen == 0) {
        return CKR_OK;
    }
    rv = copy_params(from, &eddsa, sizeof eddsa);
    if (rv != CKR_OK) {
        return rv;
    }
    return eddsa.phFlag == CK_FALSE && eddsa.ulContextDataLen == 0 ? CKR_OK
                                                                   : CKR_MECHANISM_PARAM_INVALID;
}

static bool is_pss(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_RSA_PKCS_PSS:
    case CKM_SHA1_RSA_PKCS_PSS:
    case CKM_SHA224_RSA_PKCS_PSS:
    case CKM_SHA256_RSA_PKCS_PSS:
    case CKM_SHA384_RSA_PKCS_PSS:
    case CKM_SHA512_RSA_PKCS_PSS:
        return true;
    default:
        return false;
    }
}

/* Borrowed spans in @params. */
static CKR_RESULT parse(const CK_MECHANISM *from, const struct mech_info *info,
                        struct quadhsm_mechanism *params)
{
    if (is_pss(from->mechanism)) {
        return parse_pss(from, info, params);
    }
    switch (from->mechanism) {
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
        return parse_iv(from, params);
    case CKM_AES_CTR:
        return parse_ctr(from, params);
    case CKM_AES_GCM:
        return parse_gcm(from, params);
    case CKM_RSA_PKCS_OAEP:
        return parse_oaep(from, params);
    case CKM_EDDSA:
        return parse_eddsa(from);
    default:
        /* Some clients pass a pointer and no size, or the other way round. */
        return from->ulParameterLen == 0 || from->pParameter == NULL ? CKR_OK
                                                                     : CKR_MECHANISM_PARAM_INVALID;
    }
}

static const void *keep(uint8_t *block, size_t *at, const void *base, size_t size)
{
    uint8_t *place = block + *at;

    if (size > 0) {
        memcpy(place, base, size);
    }
    *at += size;
    return place;
}

static CKR_RESULT keep_spans(struct mechanism *mechanism)
{
    struct quadhsm_mechanism *params = &mechanism->params;
    size_t at = 0;

    if (check_span(params->iv, params->iv_size, MECHANISM_IV_SIZE_MAX) != CKR_OK ||
        check_span(params->aad, params->aad_size, MECHANISM_AAD_SIZE_MAX) != CKR_OK ||
        check_span(params->label, params->label_size, MECHANISM_LABEL_SIZE_MAX) != CKR_OK) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    mechanism->block = calloc(1, params->iv_size + params->aad_size + params->label_size + 1);
    if (mechanism->block == NULL) {
        return CKR_HOST_MEMORY;
    }
    params->iv = keep(mechanism->block, &at, params->iv, params->iv_size);
    params->aad = keep(mechanism->block, &at, params->aad, params->aad_size);
    params->label = keep(mechanism->block, &at, params->label, params->label_size);
    return CKR_OK;
}

CKR_RESULT mechanism_open(const CK_MECHANISM *from, CK_FLAGS use, struct mechanism *ret_mechanism)
{
    struct mechanism mechanism = {.info = NULL};
    CK_MECHANISM given;
    CK_RV rv;

    if (from == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    memcpy(&given, (const void *)from, sizeof given);
    mechanism.info = mech_find(given.mechanism);
    if (mechanism.info == NULL || (mechanism_flags(mechanism.info) & use) == 0) {
        return CKR_MECHANISM_INVALID;
    }
    mechanism.params.type = given.mechanism;
    rv = parse(&given, mechanism.info, &mechanism.params);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = keep_spans(&mechanism);
    if (rv != CKR_OK) {
        return rv;
    }
    *ret_mechanism = mechanism;
    return CKR_OK;
}

void mechanism_close(struct mechanism *mechanism)
{
    free(mechanism->block);
    mechanism->block = NULL;
}

struct mech_params mechanism_local(const struct quadhsm_mechanism *params)
{
    struct mech_params local = {
        .type = params->type,
        .hash = params->hash,
        .mgf = params->mgf,
        .salt_size = params->salt_size,
        .iv = {params->iv, params->iv_size},
        .aad = {params->aad, params->aad_size},
        .label = {params->label, params->label_size},
        .tag_bits = params->tag_bits,
    };

    return local;
}

/* ---- keys ---- */

static uint64_t number_of(const struct quadhsm_object *object, CK_ATTRIBUTE_TYPE type)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);
    struct bytes_reader reader;

    if (attribute == NULL || attribute->size != 8) {
        return CK_UNAVAILABLE_INFORMATION;
    }
    bytes_reader_init(&reader, attribute->value, attribute->size);
    return bytes_read_u64(&reader);
}

static bool flag_of(const struct quadhsm_object *object, CK_ATTRIBUTE_TYPE type)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);

    return attribute != NULL && attribute->size == 1 && *(const uint8_t *)attribute->value != 0;
}

static CK_ATTRIBUTE_TYPE use_attribute(CK_FLAGS use)
{
    switch (use) {
    case CKF_SIGN:
        return CKA_SIGN;
    case CKF_VERIFY:
        return CKA_VERIFY;
    case CKF_ENCRYPT:
        return CKA_ENCRYPT;
    default:
        return CKA_DECRYPT;
    }
}

/* Private keys sign and decrypt, public keys verify and encrypt, secret keys do everything. */
static bool class_fits(uint64_t object_class, CK_FLAGS use)
{
    switch (object_class) {
    case CKO_SECRET_KEY:
        return true;
    case CKO_PRIVATE_KEY:
        return use == CKF_SIGN || use == CKF_DECRYPT;
    case CKO_PUBLIC_KEY:
        return use == CKF_VERIFY || use == CKF_ENCRYPT;
    default:
        return false;
    }
}

static bool is_hmac_key(uint64_t key_type)
{
    switch (key_type) {
    case CKK_SHA_1_HMAC:
    case CKK_SHA224_HMAC:
    case CKK_SHA256_HMAC:
    case CKK_SHA384_HMAC:
    case CKK_SHA512_HMAC:
        return true;
    default:
        return false;
    }
}

bool mechanism_allowed(const struct quadhsm_object *key, CK_MECHANISM_TYPE type)
{
    const struct quadhsm_attribute *allowed = quadhsm_object_attribute(key, CKA_ALLOWED_MECHANISMS);
    struct bytes_reader reader;

    if (allowed == NULL || allowed->size == 0) {
        return true;
    }
    bytes_reader_init(&reader, allowed->value, allowed->size);
    while (reader.left > 0 && !reader.failed) {
        if (bytes_read_u64(&reader) == type) {
            return !reader.failed;
        }
    }
    return false;
}

CKR_RESULT mechanism_fits(const struct mechanism *mechanism, CK_FLAGS use,
                          const struct quadhsm_object *key)
{
    uint64_t object_class = number_of(key, CKA_CLASS);
    uint64_t key_type = number_of(key, CKA_KEY_TYPE);
    CK_KEY_TYPE wanted = mechanism->info->key_type;

    if (object_class != CKO_SECRET_KEY && object_class != CKO_PRIVATE_KEY &&
        object_class != CKO_PUBLIC_KEY) {
        return CKR_KEY_HANDLE_INVALID;
    }
    if (key_type != wanted && !(wanted == CKK_GENERIC_SECRET && is_hmac_key(key_type))) {
        return CKR_KEY_TYPE_INCONSISTENT;
    }
    if (!class_fits(object_class, use)) {
        return CKR_KEY_TYPE_INCONSISTENT;
    }
    if (!flag_of(key, use_attribute(use))) {
        return CKR_KEY_FUNCTION_NOT_PERMITTED;
    }
    return mechanism_allowed(key, mechanism->params.type) ? CKR_OK : CKR_MECHANISM_INVALID;
}

/* ---- splitting ---- */

/* DER of DigestInfo up to the hash (RFC 8017, 9.2, note 1). */
static const uint8_t info_sha1[] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
                                    0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14};
static const uint8_t info_sha224[] = {0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x04, 0x05, 0x00, 0x04, 0x1c};
static const uint8_t info_sha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t info_sha384[] = {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30};
static const uint8_t info_sha512[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

struct bytes mechanism_digest_info(CK_MECHANISM_TYPE hash)
{
    struct bytes none = {NULL, 0};

    switch (hash) {
    case CKM_SHA_1:
        return (struct bytes){info_sha1, sizeof info_sha1};
    case CKM_SHA224:
        return (struct bytes){info_sha224, sizeof info_sha224};
    case CKM_SHA256:
        return (struct bytes){info_sha256, sizeof info_sha256};
    case CKM_SHA384:
        return (struct bytes){info_sha384, sizeof info_sha384};
    case CKM_SHA512:
        return (struct bytes){info_sha512, sizeof info_sha512};
    default:
        return none;
    }
}

bool mechanism_split(const struct mechanism *mechanism, struct quadhsm_mechanism *ret_plain)
{
    struct quadhsm_mechanism plain = mechanism->params;

    if (mechanism->info->digest == CK_UNAVAILABLE_INFORMATION) {
        return false;
    }
    switch (mechanism->params.type) {
    case CKM_SHA1_RSA_PKCS:
    case CKM_SHA224_RSA_PKCS:
    case CKM_SHA256_RSA_PKCS:
    case CKM_SHA384_RSA_PKCS:
    case CKM_SHA512_RSA_PKCS:
        plain.type = CKM_RSA_PKCS;
        break;
    case CKM_ECDSA_SHA1:
    case CKM_ECDSA_SHA224:
    case CKM_ECDSA_SHA256:
    case CKM_ECDSA_SHA384:
    case CKM_ECDSA_SHA512:
        plain.type = CKM_ECDSA;
        break;
    default:
        if (!is_pss(mechanism->params.type)) {
            return false;
        }
        plain.type = CKM_RSA_PKCS_PSS;
    }
    *ret_plain = plain;
    return true;
}

/* ---- sizes ---- */

struct curve {
    const char *der; /* of the OID, or of the printable name */
    size_t der_size;
    size_t signature_size;
};

#define CURVE(der, signature_size)          \
    {                                       \
        der, sizeof der - 1, signature_size \
    }
static const struct curve curves[] = {
    CURVE("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 64), /* P-256 */
    CURVE("\x06\x05\x2b\x81\x04\x00\x22", 96),             /* P-384 */
    CURVE("\x06\x05\x2b\x81\x04\x00\x23", 132),            /* P-521 */
    CURVE("\x06\x05\x2b\x81\x04\x00\x0a", 64),             /* secp256k1 */
    CURVE("\x06\x03\x2b\x65\x70", 64),                     /* Ed25519 */
    CURVE("\x13\x0c"
          "edwards25519",
          64),
    CURVE("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01", 64), /* Ed25519, before RFC 8410 */
    CURVE("\x06\x03\x2b\x65\x71", 114),                        /* Ed448 */
    CURVE("\x13\x0a"
          "edwards448",
          114),
};

static size_t curve_signature_size(const struct quadhsm_object *key)
{
    const struct quadhsm_attribute *params = quadhsm_object_attribute(key, CKA_EC_PARAMS);

    for (size_t i = 0; params != NULL && i < sizeof curves / sizeof curves[0]; i++) {
        if (params->size == curves[i].der_size &&
            memcmp(params->value, curves[i].der, params->size) == 0) {
            return curves[i].signature_size;
        }
    }
    return 0;
}

size_t mechanism_modulus_size(const struct quadhsm_object *key)
{
    const struct quadhsm_attribute *modulus = quadhsm_object_attribute(key, CKA_MODULUS);

    return modulus != NULL ? modulus->size : 0;
}

static size_t mac_size(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_SHA_1_HMAC:
        return 20;
    case CKM_SHA224_HMAC:
        return 28;
    case CKM_SHA256_HMAC:
        return 32;
    case CKM_SHA384_HMAC:
        return 48;
    case CKM_SHA512_HMAC:
        return 64;
    case CKM_AES_CMAC:
        return MECHANISM_BLOCK_SIZE;
    default:
        return 0;
    }
}

size_t mechanism_signature_size(const struct mechanism *mechanism, const struct quadhsm_object *key)
{
    switch (mechanism->info->key_type) {
    case CKK_RSA:
        return mechanism_modulus_size(key);
    case CKK_EC:
    case CKK_EC_EDWARDS:
        return curve_signature_size(key);
    default:
        return mac_size(mechanism->params.type);
    }
}

size_t mechanism_encrypted_size(const struct mechanism *mechanism, const struct quadhsm_object *key,
                                size_t data_size)
{
    switch (mechanism->params.type) {
    case CKM_AES_CBC_PAD:
        return (data_size / MECHANISM_BLOCK_SIZE + 1) * MECHANISM_BLOCK_SIZE;
    case CKM_AES_GCM:
        return data_size + mechanism->params.tag_bits / 8;
    default:
        return mechanism->info->key_type == CKK_RSA ? mechanism_modulus_size(key) : data_size;
    }
}

size_t mechanism_decrypted_size(const struct mechanism *mechanism, const struct quadhsm_object *key,
                                size_t data_size)
{
    size_t tag_size = mechanism->params.tag_bits / 8;
    size_t modulus_size = mechanism_modulus_size(key);

    switch (mechanism->params.type) {
    case CKM_AES_GCM:
        return data_size > tag_size ? data_size - tag_size : 0;
    case CKM_RSA_PKCS:
        return modulus_size > 11 ? modulus_size - 11 : 0;
    case CKM_RSA_PKCS_OAEP: {
        size_t taken = 2 * mech_digest_size(mechanism->params.hash) + 2;

        return modulus_size > taken ? modulus_size - taken : 0;
    }
    default:
        return mechanism->info->key_type == CKK_RSA ? modulus_size : data_size;
    }
}

size_t mechanism_decrypted_least(const struct mechanism *mechanism, size_t data_size)
{
    size_t tag_size = mechanism->params.tag_bits / 8;

    switch (mechanism->params.type) {
    case CKM_AES_GCM:
        return data_size > tag_size ? data_size - tag_size : 0;
    case CKM_AES_CBC_PAD:
        return data_size > MECHANISM_BLOCK_SIZE ? data_size - MECHANISM_BLOCK_SIZE : 0;
    default:
        return mechanism->info->key_type == CKK_RSA ? 0 : data_size;
    }
}

bool mechanism_chain(const struct mechanism *mechanism, CK_MECHANISM_TYPE *ret_blocks)
{
    switch (mechanism->params.type) {
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
        *ret_blocks = CKM_AES_CBC;
        return true;
    case CKM_AES_ECB:
        *ret_blocks = CKM_AES_ECB;
        return true;
    default:
        return false;
    }
}
