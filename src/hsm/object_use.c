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

/* An empty list, or none, allows all. */
bool object_allows(const struct object *object, CK_MECHANISM_TYPE type)
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

/* RSA signatures that hold what they sign are made and used with an attribute of their own. */
static bool is_recovered(const struct object *object, enum object_use use, CK_MECHANISM_TYPE type)
{
    return use == OBJECT_SIGN && (type == CKM_RSA_PKCS || type == CKM_RSA_X_509) &&
           object_flag(object, CKA_SIGN_RECOVER);
}

QH_RESULT object_may(const struct object *object, enum object_use use,
                     const struct mech_params *mechanism)
{
    const struct mech_info *info = mech_find(mechanism->type);

    if (info == NULL || (info->flags & uses[use].flag) == 0) {
        return QH_EMECHANISM;
    }
    if (!mech_takes(info, object->key_type)) {
        return QH_EKEYTYPE;
    }
    if (!object_flag(object, uses[use].attribute) && !is_recovered(object, use, mechanism->type)) {
        return QH_EKEYUSE;
    }
    return object_allows(object, mechanism->type) ? QH_OK : QH_EMECHANISM;
}
