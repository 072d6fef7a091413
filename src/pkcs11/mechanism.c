/* CK_MECHANISM to what the library and the crypto folder take. */
#include "pkcs11/mechanism.h"

#include <stdlib.h>
#include <string.h>

#include "pkcs11/parameter.h"

#define KW_BLOCK_SIZE 8u /* of AES key wrap */

/* What the module implements; CKF_HW comes from the configuration. */
#define FLAGS_USE                                                                    \
    (CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST | CKF_SIGN | CKF_VERIFY | CKF_GENERATE | \
     CKF_GENERATE_KEY_PAIR | CKF_WRAP | CKF_UNWRAP | CKF_DERIVE)
#define FLAGS_OFFERED (FLAGS_USE | CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS)

static bool can_recover(CK_MECHANISM_TYPE type)
{
    return type == CKM_RSA_PKCS || type == CKM_RSA_X_509;
}

/* What the module makes of the key's plain operations: messages, and signatures with recovery. */
static CK_FLAGS flags_made(const struct mech_info *info)
{
    CK_FLAGS flags = 0;

    if ((info->flags & CKF_SIGN) != 0) {
        flags |= CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;
        flags |= can_recover(info->type) ? CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER : 0;
    }
    if (info->type == CKM_AES_GCM) {
        flags |= CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE;
    }
    return flags;
}

CK_FLAGS mechanism_flags(const struct mech_info *info)
{
    return (info->flags & FLAGS_USE) != 0 ? (info->flags & FLAGS_OFFERED) | flags_made(info) : 0;
}

/* ---- opening ---- */

static CKR_RESULT check_span(const void *base, CK_ULONG size, size_t size_max)
{
    return size > size_max || (size > 0 && base == NULL) ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
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
    struct {
        const void **base;
        size_t size, size_max;
    } spans[] = {
        {&params->iv, params->iv_size, MECHANISM_IV_SIZE_MAX},
        {&params->aad, params->aad_size, MECHANISM_AAD_SIZE_MAX},
        {&params->label, params->label_size, MECHANISM_LABEL_SIZE_MAX},
        {&params->public_data, params->public_data_size, MECH_DERIVE_DATA_SIZE_MAX},
        {&params->shared_data, params->shared_data_size, MECH_DERIVE_DATA_SIZE_MAX},
        {&params->hkdf_salt, params->hkdf_salt_size, MECH_DERIVE_DATA_SIZE_MAX},
        {&params->info, params->info_size, MECH_DERIVE_DATA_SIZE_MAX},
    };
    size_t size = 1;
    size_t at = 0;

    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        if (check_span(*spans[i].base, spans[i].size, spans[i].size_max) != CKR_OK) {
            return CKR_MECHANISM_PARAM_INVALID;
        }
        size += spans[i].size;
    }
    mechanism->block = calloc(1, size);
    if (mechanism->block == NULL) {
        return CKR_HOST_MEMORY;
    }
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        *spans[i].base = keep(mechanism->block, &at, *spans[i].base, spans[i].size);
    }
    return CKR_OK;
}

static bool is_message_cipher(CK_FLAGS use)
{
    return use == CKF_MESSAGE_ENCRYPT || use == CKF_MESSAGE_DECRYPT;
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
    rv = is_message_cipher(use)
             ? parameter_parse_message(&given)
             : parameter_parse(&given, mechanism.info, &mechanism.params, &mechanism.salt_key);
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
        .counter_bits = params->counter_bits,
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

static const struct {
    CK_FLAGS use;
    CK_ATTRIBUTE_TYPE attribute;
    CK_OBJECT_CLASS half; /* of a key pair; secret keys do everything */
} uses[] = {
    {CKF_SIGN, CKA_SIGN, CKO_PRIVATE_KEY},
    {CKF_MESSAGE_SIGN, CKA_SIGN, CKO_PRIVATE_KEY},
    {CKF_SIGN_RECOVER, CKA_SIGN_RECOVER, CKO_PRIVATE_KEY},
    {CKF_VERIFY, CKA_VERIFY, CKO_PUBLIC_KEY},
    {CKF_MESSAGE_VERIFY, CKA_VERIFY, CKO_PUBLIC_KEY},
    {CKF_VERIFY_RECOVER, CKA_VERIFY_RECOVER, CKO_PUBLIC_KEY},
    {CKF_ENCRYPT, CKA_ENCRYPT, CKO_PUBLIC_KEY},
    {CKF_MESSAGE_ENCRYPT, CKA_ENCRYPT, CKO_PUBLIC_KEY},
    {CKF_DECRYPT, CKA_DECRYPT, CKO_PRIVATE_KEY},
    {CKF_MESSAGE_DECRYPT, CKA_DECRYPT, CKO_PRIVATE_KEY},
    {CKF_WRAP, CKA_WRAP, CKO_PUBLIC_KEY},
    {CKF_UNWRAP, CKA_UNWRAP, CKO_PRIVATE_KEY},
    {CKF_DERIVE, CKA_DERIVE, CKO_PRIVATE_KEY},
};

static CKR_RESULT may_use(const struct quadhsm_object *key, uint64_t object_class, CK_FLAGS use)
{
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        if (uses[i].use != use) {
            continue;
        }
        if (object_class != CKO_SECRET_KEY && object_class != uses[i].half) {
            return CKR_KEY_TYPE_INCONSISTENT;
        }
        return flag_of(key, uses[i].attribute) ? CKR_OK : CKR_KEY_FUNCTION_NOT_PERMITTED;
    }
    return CKR_KEY_FUNCTION_NOT_PERMITTED;
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

/* That of PSS beside the hash, in an encoding that is one bit shorter than the modulus. */
static bool salt_fits(const struct quadhsm_mechanism *params, const struct quadhsm_object *key)
{
    const struct quadhsm_attribute *modulus = quadhsm_object_attribute(key, CKA_MODULUS);
    size_t size;

    if (params->salt_size == 0 || modulus == NULL || modulus->size == 0) {
        return true;
    }
    size = modulus->size - (((const uint8_t *)modulus->value)[0] == 1);
    return size >= mech_digest_size(params->hash) + 2 + params->salt_size;
}

CKR_RESULT mechanism_fits(const struct mechanism *mechanism, CK_FLAGS use,
                          const struct quadhsm_object *key)
{
    uint64_t object_class = number_of(key, CKA_CLASS);
    uint64_t key_type = number_of(key, CKA_KEY_TYPE);
    CK_RV rv;

    if (object_class != CKO_SECRET_KEY && object_class != CKO_PRIVATE_KEY &&
        object_class != CKO_PUBLIC_KEY) {
        return CKR_KEY_HANDLE_INVALID;
    }
    rv = mech_takes(mechanism->info, (CK_KEY_TYPE)key_type) ? may_use(key, object_class, use)
                                                            : CKR_KEY_TYPE_INCONSISTENT;
    if (rv != CKR_OK) {
        return rv;
    }
    if (!mechanism_allowed(key, mechanism->params.type)) {
        return CKR_MECHANISM_INVALID;
    }
    return salt_fits(&mechanism->params, key) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
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
        if (!parameter_is_pss(mechanism->params.type)) {
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
    case CKM_AES_KEY_WRAP:
    case CKM_AES_KEY_WRAP_PAD:
    case CKM_AES_KEY_WRAP_KWP:
        return (data_size + KW_BLOCK_SIZE - 1) / KW_BLOCK_SIZE * KW_BLOCK_SIZE + KW_BLOCK_SIZE;
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
    case CKM_AES_KEY_WRAP:
    case CKM_AES_KEY_WRAP_PAD:
    case CKM_AES_KEY_WRAP_KWP:
        return data_size > KW_BLOCK_SIZE ? data_size - KW_BLOCK_SIZE : 0;
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
    case CKM_AES_KEY_WRAP:
        return data_size > KW_BLOCK_SIZE ? data_size - KW_BLOCK_SIZE : 0;
    case CKM_AES_KEY_WRAP_PAD:
    case CKM_AES_KEY_WRAP_KWP:
        return data_size > 2 * KW_BLOCK_SIZE ? data_size - 2 * KW_BLOCK_SIZE + 1 : 0;
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
    case CKM_AES_CTR:
        *ret_blocks = mechanism->params.type;
        return true;
    default:
        return false;
    }
}
