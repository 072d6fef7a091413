/* What a key may be used for. */
#include "hsm/object.h"

static const struct {
    CK_ATTRIBUTE_TYPE attribute;
    CK_FLAGS flag; /* of the mechanism */
} uses[] = {
    [OBJECT_SIGN] = {CKA_SIGN, CKF_SIGN},          [OBJECT_VERIFY] = {CKA_VERIFY, CKF_VERIFY},
    [OBJECT_ENCRYPT] = {CKA_ENCRYPT, CKF_ENCRYPT}, [OBJECT_DECRYPT] = {CKA_DECRYPT, CKF_DECRYPT},
    [OBJECT_WRAP] = {CKA_WRAP, CKF_WRAP},          [OBJECT_UNWRAP] = {CKA_UNWRAP, CKF_UNWRAP},
    [OBJECT_DERIVE] = {CKA_DERIVE, CKF_DERIVE},
};

/* Keys for one HMAC serve that one alone; generic secrets serve every one. */
static const struct {
    CK_KEY_TYPE key_type;
    CK_MECHANISM_TYPE mechanism;
} hmacs[] = {
    {CKK_SHA_1_HMAC, CKM_SHA_1_HMAC},   {CKK_SHA224_HMAC, CKM_SHA224_HMAC},
    {CKK_SHA256_HMAC, CKM_SHA256_HMAC}, {CKK_SHA384_HMAC, CKM_SHA384_HMAC},
    {CKK_SHA512_HMAC, CKM_SHA512_HMAC},
};

static bool type_fits(CK_KEY_TYPE key_type, const struct mech_info *info)
{
    if (key_type == info->key_type) {
        return key_type != CK_UNAVAILABLE_INFORMATION;
    }
    for (unsigned i = 0; i < sizeof hmacs / sizeof hmacs[0]; i++) {
        if (hmacs[i].mechanism == info->type) {
            return key_type == CKK_GENERIC_SECRET || key_type == hmacs[i].key_type;
        }
    }
    return false;
}

/* An empty list, or none, allows all. */
static bool mechanism_allowed(const struct object *object, CK_MECHANISM_TYPE type)
{
    const struct attribute *list = object_attribute(object, CKA_ALLOWED_MECHANISMS);
    struct bytes_reader reader;

    if (list == NULL || list->value.size == 0) {
        return true;
    }
    bytes_reader_init(&reader, list->value.base, list->value.size);
    while (reader.left > 0) {
        if (bytes_read_u64(&reader) == type && !reader.failed) {
            return true;
        }
    }
    return false;
}

QH_RESULT object_may(const struct object *object, enum object_use use,
                     const struct mech_params *mechanism)
{
    const struct mech_info *info = mech_find(mechanism->type);

    if (info == NULL || (info->flags & uses[use].flag) == 0) {
        return QH_EMECHANISM;
    }
    if (!type_fits(object->key_type, info)) {
        return QH_EKEYTYPE;
    }
    if (!object_flag(object, uses[use].attribute)) {
        return QH_EKEYUSE;
    }
    return mechanism_allowed(object, mechanism->type) ? QH_OK : QH_EMECHANISM;
}
