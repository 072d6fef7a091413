/* Keys as the command shows and asks for them. See keyinfo.h. */
#include "cli/keyinfo.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/cryptoki.h"
#include "cli/output.h"

#define RANDOM_ID_SIZE 8u

/* ---- showing ---- */

static uint64_t number_at(const uint8_t *base)
{
    uint64_t number = 0;

    for (unsigned i = 8; i > 0; i--) {
        number = number << 8 | base[i - 1];
    }
    return number;
}

static bool get_number(const struct quadhsm_object *object, uint64_t type, uint64_t *ret_number)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);

    if (attribute == NULL || attribute->size != 8) {
        return false;
    }
    *ret_number = number_at(attribute->value);
    return true;
}

static bool get_flag(const struct quadhsm_object *object, uint64_t type)
{
    const struct quadhsm_attribute *attribute = quadhsm_object_attribute(object, type);

    return attribute != NULL && attribute->size == 1 && *(const uint8_t *)attribute->value == 1;
}

struct curve {
    const char *name;
    uint8_t oid[12];
    size_t size;
};
static const struct curve curves[] = {
    {"P-256", {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 10},
    {"P-384", {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, 7},
    {"P-521", {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}, 7},
    {"ed25519", {0x06, 0x03, 0x2b, 0x65, 0x70}, 5},
};
#define CURVES (sizeof(curves) / sizeof(curves[0]))

static const char *curve_name(const struct quadhsm_object *object)
{
    const struct quadhsm_attribute *params = quadhsm_object_attribute(object, CKA_EC_PARAMS);

    for (size_t i = 0; params != NULL && i < CURVES; i++) {
        if (params->size == curves[i].size &&
            memcmp(params->value, curves[i].oid, params->size) == 0) {
            return curves[i].name;
        }
    }
    return params != NULL ? "other" : "";
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
    if (key_type == CKK_EC || key_type == CKK_EC_EDWARDS) {
        (void)snprintf(ret_text, room, "%s", curve_name(object));
    } else if (get_number(object, CKA_MODULUS_BITS, &number)) {
        (void)snprintf(ret_text, room, "%llu", (unsigned long long)number);
    } else if (key_type == CKK_RSA && modulus != NULL) {
        (void)snprintf(ret_text, room, "%zu", modulus->size * 8);
    } else if (get_number(object, CKA_VALUE_LEN, &number)) {
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
        if (get_flag(object, uses[i].type)) {
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
    (void)get_number(object, CKA_CLASS, &object_class);
    key = get_number(object, CKA_KEY_TYPE, &key_type);
    (void)snprintf(ret_info->type, sizeof(ret_info->type), "%s%s",
                   key ? key_type_name(key_type) : "", class_name(object_class));
    size_of(object, key_type, ret_info->size, sizeof(ret_info->size));
    usage_of(object, ret_info->usage, sizeof(ret_info->usage));
    ret_info->extractable = get_flag(object, CKA_EXTRACTABLE);
    ret_info->sensitive = get_flag(object, CKA_SENSITIVE);
    ret_info->is_private = get_flag(object, CKA_PRIVATE);
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

/* ---- asking ---- */

static const uint8_t yes = 1;
static const uint8_t no = 0;
static const uint8_t exponent[] = {0x01, 0x00, 0x01};
static const uint8_t generic_secret[8] = {CKK_GENERIC_SECRET};

struct list {
    struct quadhsm_attribute *attributes;
    size_t *count;
};

static void add(struct list list, uint64_t type, const void *value, size_t size)
{
    QH_ASSERT(*list.count < KEYINFO_TEMPLATE_MAX);
    list.attributes[*list.count] = (struct quadhsm_attribute){type, value, size};
    *list.count += 1;
}

static void add_flag(struct list list, uint64_t type, bool value)
{
    add(list, type, value ? &yes : &no, 1);
}

/* Said either way: what is left out of a template, a cluster may allow. */
static void add_uses(struct list list, uint64_t one, bool may_one, uint64_t other, bool may_other)
{
    add_flag(list, one, may_one);
    add_flag(list, other, may_other);
}

static void put_number(uint64_t number, uint8_t ret_bytes[8])
{
    for (unsigned i = 0; i < 8; i++) {
        ret_bytes[i] = (uint8_t)(number >> (8 * i));
    }
}

/* Decimal, without sign or blanks; 0 if it is none. */
static unsigned bits_of(const char *text)
{
    unsigned bits = 0;

    for (; *text >= '0' && *text <= '9' && bits < 100000; text++) {
        bits = bits * 10 + (unsigned)(*text - '0');
    }
    return *text == '\0' ? bits : 0;
}

static QH_RESULT plan_rsa(const char *size, struct keyinfo_plan *plan, const char **ret_problem)
{
    struct list public_key = {plan->secret, &plan->secret_count};
    struct list private_key = {plan->private_key, &plan->private_count};
    unsigned bits = bits_of(size);

    if (bits < 2048 || bits > 8192 || bits % 8 != 0) {
        *ret_problem = "an RSA key has 2048 to 8192 bits: write rsa:2048, rsa:3072 or rsa:4096";
        return QH_EINVAL;
    }
    plan->mechanism.type = CKM_RSA_PKCS_KEY_PAIR_GEN;
    plan->pair = true;
    plan->slow = true;
    put_number(bits, plan->bits);
    add(public_key, CKA_MODULUS_BITS, plan->bits, sizeof(plan->bits));
    add(public_key, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
    add_uses(public_key, CKA_VERIFY, true, CKA_ENCRYPT, true);
    add_uses(private_key, CKA_SIGN, true, CKA_DECRYPT, true);
    return QH_OK;
}

static QH_RESULT plan_curve(const char *name, struct keyinfo_plan *plan, const char **ret_problem)
{
    struct list public_key = {plan->secret, &plan->secret_count};
    struct list private_key = {plan->private_key, &plan->private_count};

    for (size_t i = 0; i < CURVES; i++) {
        if (strcasecmp(curves[i].name, name) == 0) {
            plan->mechanism.type = strcmp(curves[i].name, "ed25519") == 0
                                       ? CKM_EC_EDWARDS_KEY_PAIR_GEN
                                       : CKM_EC_KEY_PAIR_GEN;
            plan->pair = true;
            add(public_key, CKA_EC_PARAMS, curves[i].oid, curves[i].size);
            add_uses(public_key, CKA_VERIFY, true, CKA_ENCRYPT, false);
            add_uses(private_key, CKA_SIGN, true, CKA_DECRYPT, false);
            return QH_OK;
        }
    }
    *ret_problem = "this curve is not known: write ec:P-256, ec:P-384 or ed25519";
    return QH_EINVAL;
}

static QH_RESULT plan_aes(const char *size, struct keyinfo_plan *plan, const char **ret_problem)
{
    struct list key = {plan->secret, &plan->secret_count};
    unsigned bits = bits_of(size);

    if (bits != 128 && bits != 192 && bits != 256) {
        *ret_problem = "an AES key has 128, 192 or 256 bits: write aes:256";
        return QH_EINVAL;
    }
    plan->mechanism.type = CKM_AES_KEY_GEN;
    put_number(bits / 8, plan->length);
    add(key, CKA_VALUE_LEN, plan->length, sizeof(plan->length));
    add_uses(key, CKA_ENCRYPT, true, CKA_DECRYPT, true);
    add_uses(key, CKA_SIGN, false, CKA_VERIFY, false);
    return QH_OK;
}

static QH_RESULT plan_hmac(const char *size, struct keyinfo_plan *plan, const char **ret_problem)
{
    struct list key = {plan->secret, &plan->secret_count};
    unsigned bits = bits_of(size);

    if (bits < 128 || bits > 4096 || bits % 8 != 0) {
        *ret_problem = "an HMAC key has 128 to 4096 bits, in whole bytes: write hmac:256";
        return QH_EINVAL;
    }
    plan->mechanism.type = CKM_GENERIC_SECRET_KEY_GEN;
    put_number(bits / 8, plan->length);
    add(key, CKA_KEY_TYPE, generic_secret, sizeof(generic_secret));
    add(key, CKA_VALUE_LEN, plan->length, sizeof(plan->length));
    add_uses(key, CKA_SIGN, true, CKA_VERIFY, true);
    add_uses(key, CKA_ENCRYPT, false, CKA_DECRYPT, false);
    return QH_OK;
}

static QH_RESULT plan_type(const char *type, struct keyinfo_plan *plan, const char **ret_problem)
{
    if (strncmp(type, "rsa:", 4) == 0) {
        return plan_rsa(type + 4, plan, ret_problem);
    }
    if (strncmp(type, "ec:", 3) == 0) {
        return plan_curve(type + 3, plan, ret_problem);
    }
    if (strcmp(type, "ed25519") == 0) {
        return plan_curve(type, plan, ret_problem);
    }
    if (strncmp(type, "aes:", 4) == 0) {
        return plan_aes(type + 4, plan, ret_problem);
    }
    if (strncmp(type, "hmac:", 5) == 0) {
        return plan_hmac(type + 5, plan, ret_problem);
    }
    *ret_problem = "this type of key is not known: write rsa:2048, ec:P-256, ec:P-384, ed25519, "
                   "aes:256 or hmac:256";
    return QH_EINVAL;
}

static QH_RESULT plan_id(const char *id_hex, struct keyinfo_plan *plan, const char **ret_problem)
{
    const char *end = NULL;

    if (id_hex == NULL) {
        plan->id_size = RANDOM_ID_SIZE;
        randombytes_buf(plan->id, plan->id_size);
        return QH_OK;
    }
    if (sodium_hex2bin(plan->id, sizeof(plan->id), id_hex, strlen(id_hex), NULL, &plan->id_size,
                       &end) != 0 ||
        *end != '\0' || plan->id_size == 0) {
        *ret_problem = "an id is 1 to 64 bytes in hexadecimal: write for example --id 01a0";
        return QH_EINVAL;
    }
    return QH_OK;
}

/* What every key has. */
static void add_common(struct list list, const struct keyinfo_plan *plan, const char *label)
{
    add_flag(list, CKA_TOKEN, true);
    add(list, CKA_LABEL, label, strlen(label));
    add(list, CKA_ID, plan->id, plan->id_size);
}

static void add_protected(struct list list, bool extractable)
{
    add_flag(list, CKA_PRIVATE, true);
    add_flag(list, CKA_SENSITIVE, true);
    add_flag(list, CKA_EXTRACTABLE, extractable);
}

QH_RESULT keyinfo_plan(const char *type, const char *label, const char *id_hex, bool extractable,
                       struct keyinfo_plan *ret_plan, const char **ret_problem)
{
    struct list first = {ret_plan->secret, &ret_plan->secret_count};
    struct list second = {ret_plan->private_key, &ret_plan->private_count};
    enum qh_err err;

    *ret_plan = (struct keyinfo_plan){0};
    err = plan_type(type, ret_plan, ret_problem);
    if (err == QH_OK) {
        err = plan_id(id_hex, ret_plan, ret_problem);
    }
    if (err != QH_OK) {
        return err;
    }
    add_common(first, ret_plan, label);
    if (ret_plan->pair) {
        add_flag(first, CKA_PRIVATE, false);
        add_common(second, ret_plan, label);
        add_protected(second, extractable);
    } else {
        add_protected(first, extractable);
    }
    return QH_OK;
}
