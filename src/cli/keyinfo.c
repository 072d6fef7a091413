/* Keys as the command shows and asks for them. See keyinfo.h. */
#include "cli/keyinfo.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cryptoki.h"
#include "cli/attrlist.h"
#include "cli/keyplan.h"
#include "cli/output.h"

static const char *curve_name(const struct quadhsm_object *object)
{
    struct bytes params = attrlist_bytes_of(object, CKA_EC_PARAMS);
    const char *name = keyplan_curve_name(params);

    return name != NULL ? name : params.size > 0 ? "other" : "";
}

static const char *class_name(uint64_t object_class)
{
    switch (object_class) {
    case CKO_PRIVATE_KEY:
        return " private";
    case CKO_PUBLIC_KEY:
        return " public";
    case CKO_SECRET_KEY:
        return "";
    case CKO_CERTIFICATE:
        return "certificate";
    case CKO_DATA:
        return "data";
    default:
        return "object";
    }
}

static const char *key_type_name(uint64_t key_type)
{
    switch (key_type) {
    case CKK_RSA:
        return "RSA";
    case CKK_EC:
        return "EC";
    case CKK_EC_EDWARDS:
        return "EdDSA";
    case CKK_EC_MONTGOMERY:
        return "XDH";
    case CKK_AES:
        return "AES";
    case CKK_GENERIC_SECRET:
        return "HMAC";
    default:
        return "key";
    }
}

/* Bits, or the curve. */
static void size_of(const struct quadhsm_object *object, uint64_t key_type, char *ret_text,
                    size_t room)
{
    const struct quadhsm_attribute *modulus = quadhsm_object_attribute(object, CKA_MODULUS);
    uint64_t number;

    ret_text[0] = '\0';
    if (key_type == CKK_EC || key_type == CKK_EC_EDWARDS || key_type == CKK_EC_MONTGOMERY) {
        (void)snprintf(ret_text, room, "%s", curve_name(object));
    } else if (attrlist_number_of(object, CKA_MODULUS_BITS, &number)) {
        (void)snprintf(ret_text, room, "%llu", (unsigned long long)number);
    } else if (key_type == CKK_RSA && modulus != NULL) {
        (void)snprintf(ret_text, room, "%zu", modulus->size * 8);
    } else if (attrlist_number_of(object, CKA_VALUE_LEN, &number)) {
        (void)snprintf(ret_text, room, "%llu", (unsigned long long)number * 8);
    }
}

static void usage_of(const struct quadhsm_object *object, char *ret_text, size_t room)
{
    static const struct {
        uint64_t type;
        const char *name;
    } uses[] = {
        {CKA_SIGN, "sign"},       {CKA_VERIFY, "verify"}, {CKA_ENCRYPT, "encrypt"},
        {CKA_DECRYPT, "decrypt"}, {CKA_WRAP, "wrap"},     {CKA_UNWRAP, "unwrap"},
        {CKA_DERIVE, "derive"},
    };
    size_t at = 0;

    ret_text[0] = '\0';
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        if (attrlist_flag_of(object, uses[i].type)) {
            at +=
                (size_t)snprintf(ret_text + at, room - at, "%s%s", at > 0 ? "," : "", uses[i].name);
        }
    }
}

static void hex_of(const struct quadhsm_attribute *attribute, char *ret_text, size_t room)
{
    size_t size = attribute != NULL ? attribute->size : 0;

    size = size > (room - 1) / 2 ? (room - 1) / 2 : size;
    ret_text[0] = '\0';
    if (size > 0) {
        (void)sodium_bin2hex(ret_text, room, attribute->value, size);
    }
}

void keyinfo_of(const struct quadhsm_object *object, struct keyinfo *ret_info)
{
    const struct quadhsm_attribute *label = quadhsm_object_attribute(object, CKA_LABEL);
    uint64_t object_class = CK_UNAVAILABLE_INFORMATION;
    uint64_t key_type = CK_UNAVAILABLE_INFORMATION;
    bool key;

    *ret_info = (struct keyinfo){0};
    (void)sodium_bin2hex(ret_info->handle, sizeof(ret_info->handle), object->id,
                         QUADHSM_OBJECT_ID_SIZE);
    hex_of(quadhsm_object_attribute(object, CKA_ID), ret_info->id, sizeof(ret_info->id));
    if (label != NULL && label->size > 0) {
        output_safe(label->value, label->size, ret_info->label, sizeof(ret_info->label));
    }
    (void)attrlist_number_of(object, CKA_CLASS, &object_class);
    key = attrlist_number_of(object, CKA_KEY_TYPE, &key_type);
    (void)snprintf(ret_info->type, sizeof(ret_info->type), "%s%s",
                   key ? key_type_name(key_type) : "", class_name(object_class));
    size_of(object, key_type, ret_info->size, sizeof(ret_info->size));
    usage_of(object, ret_info->usage, sizeof(ret_info->usage));
    ret_info->extractable = attrlist_flag_of(object, CKA_EXTRACTABLE);
    ret_info->sensitive = attrlist_flag_of(object, CKA_SENSITIVE);
    ret_info->is_private = attrlist_flag_of(object, CKA_PRIVATE);
}

json_t *keyinfo_json(const struct keyinfo *info)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b}", "object", info->handle, "id",
                     info->id, "label", info->label, "type", info->type, "size", info->size,
                     "usage", info->usage, "extractable", (int)info->extractable, "sensitive",
                     (int)info->sensitive, "private", (int)info->is_private);
}

/* Hex of either case. */
static bool hex_equal(const char *hex, const char *text)
{
    return hex[0] != '\0' && strcasecmp(hex, text) == 0;
}

bool keyinfo_matches(const struct quadhsm_object *object, const struct keyinfo *info,
                     const char *name)
{
    const struct quadhsm_attribute *label = quadhsm_object_attribute(object, CKA_LABEL);

    if (label != NULL && label->size == strlen(name) &&
        memcmp(label->value, name, label->size) == 0) {
        return true;
    }
    return hex_equal(info->id, name) || hex_equal(info->handle, name);
}
