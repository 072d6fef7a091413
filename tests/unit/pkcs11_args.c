/* Arguments for PKCS#11 functions made of bytes. */
#include "tests/unit/pkcs11_args.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/unit/pocket_cluster.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

uint8_t args_byte(struct args *args)
{
    return args->reader.left > 0 ? bytes_read_u8(&args->reader) : 0;
}

bool args_end(const struct args *args)
{
    return args->reader.left == 0;
}

bool args_rarely(struct args *args, unsigned chance)
{
    return args_byte(args) > 255 - chance;
}

/* ---- handles ---- */

CK_SESSION_HANDLE args_session(struct args *args)
{
    uint8_t choice = args_byte(args);

    if (choice >= 0xf8) {
        return choice == 0xff ? CK_UNAVAILABLE_INFORMATION : choice;
    }
    return args->sessions[choice % ARGS_SESSIONS];
}

CK_OBJECT_HANDLE args_object(struct args *args)
{
    uint8_t choice = args_byte(args);

    if (choice >= 0xf8) {
        return choice == 0xff ? CK_UNAVAILABLE_INFORMATION : choice;
    }
    return args->objects[choice % ARGS_OBJECTS];
}

CK_SLOT_ID args_slot(struct args *args)
{
    return args_rarely(args, 8) ? args_byte(args) : args->slot;
}

void args_keep_session(struct args *args, CK_SESSION_HANDLE session)
{
    args->sessions[args->next_session++ % ARGS_SESSIONS] = session;
}

void args_keep_object(struct args *args, CK_OBJECT_HANDLE object)
{
    args->objects[args->next_object++ % ARGS_OBJECTS] = object;
}

/* ---- memory ---- */

void *args_block(struct args *args, size_t size)
{
    size_t odd = args_rarely(args, 32) ? 1 : 0;
    uint8_t *block = malloc(size + odd > 0 ? size + odd : 1);

    QH_ASSERT(block != NULL && args->block_count < ARGS_BLOCKS);
    args->blocks[args->block_count++] = block;
    memset(block, 0, size + odd);
    return block + odd;
}

void args_release(struct args *args)
{
    while (args->block_count > 0) {
        free(args->blocks[--args->block_count]);
    }
}

CK_BYTE *args_data(struct args *args, size_t size_max, CK_ULONG *ret_size)
{
    size_t size = args_byte(args);
    CK_BYTE *data;

    if (args_rarely(args, 8)) {
        size = size * 257; /* long ones are hashed here, and sent in parts */
    }
    size = size < size_max ? size : size_max;
    *ret_size = size;
    if (args_rarely(args, 8)) {
        return NULL;
    }
    data = args_block(args, size);
    memset(data, args_byte(args), size);
    return data;
}

CK_BYTE *args_room(struct args *args, CK_ULONG **ret_size)
{
    uint8_t choice = args_byte(args);
    CK_ULONG size = choice < 32 ? choice : choice * 8u;

    *ret_size = args_number(args);
    if (*ret_size == NULL) {
        return args_block(args, size);
    }
    memcpy(*ret_size, &size, sizeof size);
    return args_rarely(args, 48) ? NULL : args_block(args, size);
}

CK_ULONG *args_number(struct args *args)
{
    return args_rarely(args, 6) ? NULL : args_block(args, sizeof(CK_ULONG));
}

CK_UTF8CHAR *args_pin(struct args *args, CK_ULONG *ret_size)
{
    static const char *const pins[] = {POCKET_CO_PIN, POCKET_PO_PIN, "wrong", ""};
    const char *pin = pins[args_byte(args) % COUNT(pins)];
    CK_UTF8CHAR *copy;

    if (args_rarely(args, 16)) {
        return args_data(args, 600, ret_size);
    }
    *ret_size = strlen(pin);
    copy = args_block(args, *ret_size);
    memcpy(copy, pin, *ret_size);
    return copy;
}

/* ---- templates ---- */

static const CK_ATTRIBUTE_TYPE types[] = {
    CKA_CLASS,
    CKA_KEY_TYPE,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_ID,
    CKA_VALUE,
    CKA_VALUE_LEN,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_SIGN,
    CKA_VERIFY,
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_DERIVE,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_MODULUS,
    CKA_MODULUS_BITS,
    CKA_PUBLIC_EXPONENT,
    CKA_COPYABLE,
    CKA_DESTROYABLE,
    CKA_MODIFIABLE,
    CKA_TRUSTED,
    CKA_SUBJECT,
    CKA_ISSUER,
    CKA_SERIAL_NUMBER,
    CKA_CERTIFICATE_TYPE,
    CKA_CHECK_VALUE,
    CKA_START_DATE,
    CKA_UNIQUE_ID,
    CKA_ALWAYS_AUTHENTICATE,
    CKA_ALWAYS_SENSITIVE,
    CKA_NEVER_EXTRACTABLE,
    CKA_LOCAL,
    CKA_KEY_GEN_MECHANISM,
    CKA_ALLOWED_MECHANISMS,
    CKA_WRAP_WITH_TRUSTED,
    CKA_WRAP_TEMPLATE,
    CKA_UNWRAP_TEMPLATE,
    CKA_PROFILE_ID,
    CKA_PRIVATE_EXPONENT,
    CKA_PUBLIC_KEY_INFO,
    CKA_APPLICATION,
    CKA_OBJECT_ID,
    0x80000001UL,
};

static bool is_number(CK_ATTRIBUTE_TYPE type)
{
    switch (type) {
    case CKA_CLASS:
    case CKA_KEY_TYPE:
    case CKA_VALUE_LEN:
    case CKA_MODULUS_BITS:
    case CKA_CERTIFICATE_TYPE:
    case CKA_KEY_GEN_MECHANISM:
    case CKA_PROFILE_ID:
        return true;
    default:
        return false;
    }
}

static CK_ULONG number_for(struct args *args, CK_ATTRIBUTE_TYPE type)
{
    static const CK_KEY_TYPE key_types[] = {CKK_RSA,           CKK_EC,   CKK_EC_EDWARDS,
                                            CKK_EC_MONTGOMERY, CKK_AES,  CKK_GENERIC_SECRET,
                                            CKK_SHA256_HMAC,   CKK_HKDF, CKK_DES3};
    static const CK_ULONG sizes[] = {0, 16, 24, 32, 64, 33, 4096, 4097};
    uint8_t choice = args_byte(args);

    switch (type) {
    case CKA_CLASS:
        return choice % 10u;
    case CKA_KEY_TYPE:
        return key_types[choice % COUNT(key_types)];
    case CKA_VALUE_LEN:
        return sizes[choice % COUNT(sizes)];
    case CKA_MODULUS_BITS:
        return 1000u + choice; /* never a real one: that takes too long */
    default:
        return choice;
    }
}

static struct bytes bytes_for(struct args *args, CK_ATTRIBUTE_TYPE type)
{
    static const char p256[] = "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    static const char ed25519[] = "\x13\x0c"
                                  "edwards25519";
    static const char x25519[] = "\x13\x0a"
                                 "curve25519";
    static const char exponent[] = "\x01\x00\x01";
    static const char *const labels[] = {"", "a", "bb"};
    uint8_t choice = args_byte(args);
    const char *label = labels[choice % COUNT(labels)];

    if (type == CKA_EC_PARAMS) {
        const char *curves[] = {p256, ed25519, x25519};
        const size_t curve_sizes[] = {sizeof p256 - 1, sizeof ed25519 - 1, sizeof x25519 - 1};

        return (struct bytes){(const uint8_t *)curves[choice % 3u], curve_sizes[choice % 3u]};
    }
    if (type == CKA_PUBLIC_EXPONENT) {
        return (struct bytes){(const uint8_t *)exponent, sizeof exponent - 1};
    }
    return (struct bytes){(const uint8_t *)label, strlen(label)};
}

/* A template of a few flags, in an array of its own. */
static void make_nested(struct args *args, CK_ATTRIBUTE *attribute)
{
    static const CK_ATTRIBUTE_TYPE flags[] = {CKA_SIGN,  CKA_TOKEN,           CKA_EXTRACTABLE,
                                              CKA_LABEL, CKA_UNWRAP_TEMPLATE, CKA_SENSITIVE};
    unsigned count = args_byte(args) % 4u;
    CK_ATTRIBUTE list[4];

    for (unsigned i = 0; i < count; i++) {
        CK_BBOOL *flag = args_block(args, sizeof *flag);

        *flag = args_byte(args) & 1;
        list[i] = (CK_ATTRIBUTE){flags[args_byte(args) % COUNT(flags)], flag, sizeof *flag};
    }
    attribute->ulValueLen = count * sizeof list[0];
    attribute->pValue = args_block(args, attribute->ulValueLen);
    if (count > 0) {
        memcpy(attribute->pValue, list, attribute->ulValueLen);
    }
}

static CK_ATTRIBUTE make_attribute(struct args *args)
{
    uint8_t choice = args_byte(args);
    CK_ATTRIBUTE attribute = {types[choice % COUNT(types)], NULL, 0};

    if (args_rarely(args, 6)) { /* a size, and nothing there */
        attribute.ulValueLen = args_byte(args);
    } else if (args_rarely(args, 16)) {
        attribute.pValue = args_data(args, 70000, &attribute.ulValueLen);
    } else if (is_number(attribute.type)) {
        CK_ULONG number = number_for(args, attribute.type);

        attribute.ulValueLen = sizeof number;
        attribute.pValue = args_block(args, sizeof number);
        memcpy(attribute.pValue, &number, sizeof number);
    } else if (attribute.type == CKA_WRAP_TEMPLATE || attribute.type == CKA_UNWRAP_TEMPLATE) {
        make_nested(args, &attribute);
    } else {
        struct bytes value = bytes_for(args, attribute.type);

        if (value.size == 0) {
            CK_BBOOL flag = args_byte(args) & 1;

            attribute.ulValueLen = 1;
            attribute.pValue = args_block(args, 1);
            memcpy(attribute.pValue, &flag, 1);
        } else {
            attribute.ulValueLen = value.size;
            attribute.pValue = args_block(args, value.size);
            memcpy(attribute.pValue, value.base, value.size);
        }
    }
    return attribute;
}

/* What most objects need comes by itself, so that some are made. */
static unsigned add_usual(struct args *args, CK_ATTRIBUTE *list)
{
    static const struct {
        CK_OBJECT_CLASS object_class;
        CK_KEY_TYPE key_type;
        CK_ULONG size;
    } usual[] = {
        {CKO_SECRET_KEY, CKK_AES, 32}, {CKO_SECRET_KEY, CKK_GENERIC_SECRET, 20}, {CKO_DATA, 0, 0}};
    uint8_t choice = args_byte(args);
    unsigned index = choice % COUNT(usual), count = 1;
    CK_OBJECT_CLASS *object_class;
    CK_KEY_TYPE *key_type;

    if (choice >= 192) {
        return 0;
    }
    object_class = args_block(args, sizeof *object_class);
    memcpy(object_class, &usual[index].object_class, sizeof *object_class);
    list[0] = (CK_ATTRIBUTE){CKA_CLASS, object_class, sizeof *object_class};
    if (usual[index].object_class == CKO_SECRET_KEY) {
        key_type = args_block(args, sizeof *key_type);
        memcpy(key_type, &usual[index].key_type, sizeof *key_type);
        list[1] = (CK_ATTRIBUTE){CKA_KEY_TYPE, key_type, sizeof *key_type};
        count = 2;
        if ((choice & 64) != 0) {
            list[2] =
                (CK_ATTRIBUTE){CKA_VALUE, args_block(args, usual[index].size), usual[index].size};
            count = 3;
        }
    }
    return count;
}

CK_ATTRIBUTE *args_template(struct args *args, CK_ULONG *ret_count)
{
    unsigned room = args_byte(args) % (ARGS_ATTRIBUTES - 3u), count;
    CK_ATTRIBUTE *list = args_block(args, ARGS_ATTRIBUTES * sizeof *list);
    CK_ATTRIBUTE made[ARGS_ATTRIBUTES];

    count = add_usual(args, made);
    while (room-- > 0) {
        made[count++] = make_attribute(args);
    }
    memcpy((void *)list, made, count * sizeof *made);
    *ret_count = count;
    return args_rarely(args, 6) ? NULL : list;
}

CK_ATTRIBUTE *args_question(struct args *args, CK_ULONG *ret_count)
{
    unsigned count = args_byte(args) % ARGS_ATTRIBUTES;
    CK_ATTRIBUTE *list = args_block(args, ARGS_ATTRIBUTES * sizeof *list);
    CK_ATTRIBUTE made[ARGS_ATTRIBUTES];

    for (unsigned i = 0; i < count; i++) {
        uint8_t size = args_byte(args);

        made[i] = (CK_ATTRIBUTE){types[args_byte(args) % COUNT(types)], NULL, size};
        if (!args_rarely(args, 64)) {
            made[i].pValue = args_block(args, size);
        }
    }
    memcpy((void *)list, made, count * sizeof *made);
    *ret_count = count;
    return args_rarely(args, 6) ? NULL : list;
}

/* ---- mechanisms ---- */

/* Right parameters for some mechanisms. */
static void set_parameter(struct args *args, CK_MECHANISM *mechanism)
{
    CK_GCM_PARAMS_V3 gcm = {NULL, 12, 96, NULL, 0, 128};
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, 65, NULL};
    CK_AES_CTR_PARAMS ctr = {128, {0}};
    const void *from = NULL;
    size_t size = 0;

    switch (mechanism->mechanism) {
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
        mechanism->pParameter = args_block(args, 16);
        mechanism->ulParameterLen = 16;
        return;
    case CKM_AES_GCM:
        gcm.pIv = args_block(args, gcm.ulIvLen);
        from = &gcm;
        size = sizeof gcm;
        break;
    case CKM_AES_CTR:
        from = &ctr;
        size = sizeof ctr;
        break;
    case CKM_RSA_PKCS_PSS:
    case CKM_SHA256_RSA_PKCS_PSS:
        from = &pss;
        size = sizeof pss;
        break;
    case CKM_RSA_PKCS_OAEP:
        from = &oaep;
        size = sizeof oaep;
        break;
    case CKM_ECDH1_DERIVE:
        ecdh.pPublicData = args_block(args, ecdh.ulPublicDataLen);
        from = &ecdh;
        size = sizeof ecdh;
        break;
    default:
        return;
    }
    mechanism->pParameter = args_block(args, size);
    mechanism->ulParameterLen = size;
    memcpy(mechanism->pParameter, from, size);
}

CK_MECHANISM *args_mechanism(struct args *args, const CK_MECHANISM_TYPE *from, size_t count)
{
    CK_MECHANISM made = {from[args_byte(args) % count], NULL, 0};
    CK_MECHANISM *mechanism = args_block(args, sizeof *mechanism);

    if (args_rarely(args, 10)) {
        made.mechanism = args_byte(args) * 16u;
    }
    if (args_rarely(args, 10)) {
        /* Zeroes: whatever they are taken for holds no pointer that points anywhere. */
        made.ulParameterLen = args_byte(args);
        made.pParameter = args_block(args, made.ulParameterLen);
    } else {
        set_parameter(args, &made);
    }
    if (args_rarely(args, 8)) {
        made.ulParameterLen--;
    }
    if (args_rarely(args, 8)) {
        made.pParameter = NULL;
    }
    memcpy((void *)mechanism, &made, sizeof made);
    return args_rarely(args, 6) ? NULL : mechanism;
}
