/* Public keys are used in the module. */
#include "pkcs11/publickey.h"

#include <stdlib.h>

static struct bytes attribute_bytes(const struct quadhsm_object *object, CK_ATTRIBUTE_TYPE type)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);
    struct bytes span = {NULL, 0};

    if (attribute != NULL) {
        span.base = attribute->value;
        span.size = attribute->size;
    }
    return span;
}

/* From the components, which every public key has. */
static QH_RESULT import(const struct quadhsm_object *object, CK_KEY_TYPE type,
                        struct key_public *ret_public)
{
    switch (type) {
    case CKK_RSA:
        return key_import_rsa_public(attribute_bytes(object, CKA_MODULUS),
                                     attribute_bytes(object, CKA_PUBLIC_EXPONENT), ret_public);
    case CKK_EC:
    case CKK_EC_EDWARDS:
        return key_import_ec_public(type, attribute_bytes(object, CKA_EC_PARAMS),
                                    attribute_bytes(object, CKA_EC_POINT), ret_public);
    default:
        return QH_EKEYTYPE;
    }
}

static QH_RESULT open_key(const struct quadhsm_object *object, struct key **ret_key)
{
    CK_KEY_TYPE type =
        (CK_KEY_TYPE)objects_number(object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION);
    struct key_public public = {.block = NULL};
    enum qh_err err = import(object, type, &public);

    if (err != QH_OK) {
        return err;
    }
    err = key_open(CKO_PUBLIC_KEY, type, public.spki, ret_key);
    free(public.block);
    return err;
}

QH_RESULT publickey_take(struct objects_value *value, struct key **ret_key)
{
    struct key *key = atomic_exchange(&value->key, NULL);

    if (key != NULL) {
        *ret_key = key;
        return QH_OK;
    }
    return open_key(value->object, ret_key);
}

void publickey_give(struct objects_value *value, struct key *key)
{
    struct key *none = NULL;

    if (!atomic_compare_exchange_strong(&value->key, &none, key)) {
        key_free(key);
    }
}
