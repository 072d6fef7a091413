/* Public keys are used in the module. */
#include "pkcs11/publickey.h"

#include <stdlib.h>

#include "client/gate.h"

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

/* The one that is kept, or, while another thread uses that, a new one. */
static QH_RESULT take(struct objects_value *value, struct key **ret_key)
{
    struct key *key = atomic_exchange(&value->key, NULL);

    if (key != NULL) {
        *ret_key = key;
        return QH_OK;
    }
    return open_key(value->object, ret_key);
}

static void give_back(struct objects_value *value, struct key *key)
{
    struct key *none = NULL;

    if (!atomic_compare_exchange_strong(&value->key, &none, key)) {
        key_free(key);
    }
}

QH_RESULT publickey_verify(struct objects_value *value, const struct mech_params *params,
                           struct bytes data, struct bytes signature)
{
    struct key *key = NULL;
    enum qh_err err;

    gate_enter();
    err = take(value, &key);
    if (err == QH_OK) {
        err = mech_verify(key, params, data, signature);
        give_back(value, key);
    }
    gate_leave();
    return err;
}

QH_RESULT publickey_encrypt(struct objects_value *value, const struct mech_params *params,
                            struct bytes data, uint8_t *out, size_t room, size_t *ret_size)
{
    struct key *key = NULL;
    enum qh_err err;

    gate_enter();
    err = take(value, &key);
    if (err == QH_OK) {
        err = mech_encrypt(key, params, data, out, room, ret_size);
        give_back(value, key);
    }
    gate_leave();
    return err;
}
