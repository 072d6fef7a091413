/* Keys as the command asks for them. See keyplan.h. */
#include "cli/keyplan.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "base/cryptoki.h"
#include "crypto/curve.h"

#define RANDOM_ID_SIZE 8u
#define TYPES                                                                         \
    "rsa:2048, ec:P-256 (or P-384, P-521, secp256k1), ed25519, ed448, x25519, x448, " \
    "aes:256 or hmac:256"

struct curve_type {
    const char *name;
    CK_KEY_TYPE key_type;
    struct bytes oid; /* DER */
};
#define OID(text)                                 \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
static const struct curve_type curves[] = {
    {"P-256", CKK_EC, OID("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")},
    {"P-384", CKK_EC, OID("\x06\x05\x2b\x81\x04\x00\x22")},
    {"P-521", CKK_EC, OID("\x06\x05\x2b\x81\x04\x00\x23")},
    {"secp256k1", CKK_EC, OID("\x06\x05\x2b\x81\x04\x00\x0a")},
    {"ed25519", CKK_EC_EDWARDS, OID("\x06\x03\x2b\x65\x70")},
    {"ed448", CKK_EC_EDWARDS, OID("\x06\x03\x2b\x65\x71")},
    {"x25519", CKK_EC_MONTGOMERY, OID("\x06\x03\x2b\x65\x6e")},
    {"x448", CKK_EC_MONTGOMERY, OID("\x06\x03\x2b\x65\x6f")},
};
#define CURVES (sizeof(curves) / sizeof(curves[0]))

const char *keyplan_curve_name(struct bytes ec_params)
{
    for (size_t i = 0; i < CURVES; i++) {
        const struct curve *curve;

        if (bytes_compare(curves[i].oid, ec_params) == 0) {
            return curves[i].name;
        }
        if (curve_find(curves[i].key_type, ec_params, &curve) == QH_OK &&
            bytes_compare(curve->names[0], curves[i].oid) == 0) {
            return curves[i].name;
        }
    }
    return NULL;
}

/* ---- uses ---- */

/* Said either way: what is left out of a template, a cluster may allow. */
static void add_uses(struct attrlist *list, uint64_t one, bool may_one, uint64_t other,
                     bool may_other)
{
    attrlist_add_flag(list, one, may_one);
    attrlist_add_flag(list, other, may_other);
}

void keyplan_add_uses(struct attrlist *list, uint64_t object_class, uint64_t key_type,
                      bool sign_only)
{
    bool cipher = key_type == CKK_AES || (key_type == CKK_RSA && !sign_only);
    bool sign = key_type != CKK_AES && key_type != CKK_EC_MONTGOMERY;

    if (object_class != CKO_PRIVATE_KEY) {
        add_uses(list, CKA_VERIFY, sign, CKA_ENCRYPT, cipher);
    }
    if (object_class != CKO_PUBLIC_KEY) {
        add_uses(list, CKA_SIGN, sign, CKA_DECRYPT, cipher);
        if (key_type == CKK_EC_MONTGOMERY) {
            attrlist_add_flag(list, CKA_DERIVE, true);
        }
    }
}

void keyplan_add_protection(struct attrlist *list, uint64_t object_class, bool extractable)
{
    bool hidden = object_class == CKO_PRIVATE_KEY || object_class == CKO_SECRET_KEY;

    attrlist_add_flag(list, CKA_TOKEN, true);
    attrlist_add_flag(list, CKA_PRIVATE, hidden);
    if (hidden) {
        attrlist_add_flag(list, CKA_SENSITIVE, true);
        attrlist_add_flag(list, CKA_EXTRACTABLE, extractable);
    }
}

/* ---- generating ---- */

/* Decimal, without sign or blanks; 0 if it is none. */
static unsigned bits_of(const char *text)
{
    unsigned bits = 0;

    for (; *text >= '0' && *text <= '9' && bits < 100000; text++) {
        bits = bits * 10 + (unsigned)(*text - '0');
    }
    return *text == '\0' ? bits : 0;
}

static void plan_pair(uint64_t mechanism, CK_KEY_TYPE key_type, struct keyplan *plan)
{
    plan->mechanism.type = mechanism;
    plan->pair = true;
    keyplan_add_uses(&plan->first, CKO_PUBLIC_KEY, key_type, false);
    keyplan_add_uses(&plan->private, CKO_PRIVATE_KEY, key_type, false);
}

static QH_RESULT plan_rsa(const char *size, struct keyplan *plan, const char **ret_problem)
{
    static const uint8_t exponent[] = {0x01, 0x00, 0x01};
    unsigned bits = bits_of(size);

    if (bits < 2048 || bits > 8192 || bits % 8 != 0) {
        *ret_problem = "an RSA key has 2048 to 8192 bits: write rsa:2048, rsa:3072 or rsa:4096";
        return QH_EINVAL;
    }
    plan->slow = true;
    attrlist_add_number(&plan->first, CKA_MODULUS_BITS, bits);
    attrlist_add(&plan->first, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
    plan_pair(CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, plan);
    return QH_OK;
}

/* NIST's curves behind "ec:", the others by their name alone. */
static QH_RESULT plan_curve(const char *name, bool ec, struct keyplan *plan,
                            const char **ret_problem)
{
    for (size_t i = 0; i < CURVES; i++) {
        CK_KEY_TYPE key_type = curves[i].key_type;

        if (strcasecmp(curves[i].name, name) == 0 && (ec || key_type != CKK_EC)) {
            attrlist_add_bytes(&plan->first, CKA_EC_PARAMS, curves[i].oid);
            plan_pair(key_type == CKK_EC           ? CKM_EC_KEY_PAIR_GEN
                      : key_type == CKK_EC_EDWARDS ? CKM_EC_EDWARDS_KEY_PAIR_GEN
                                                   : CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
                      key_type, plan);
            return QH_OK;
        }
    }
    *ret_problem = ec ? "this curve is not known: write ec:P-256, ec:P-384, ec:P-521, "
                        "ec:secp256k1, ed25519, ed448, x25519 or x448"
                      : "this type of key is not known: write " TYPES;
    return QH_EINVAL;
}

static QH_RESULT plan_aes(const char *size, struct keyplan *plan, const char **ret_problem)
{
    unsigned bits = bits_of(size);

    if (bits != 128 && bits != 192 && bits != 256) {
        *ret_problem = "an AES key has 128, 192 or 256 bits: write aes:256";
        return QH_EINVAL;
    }
    plan->mechanism.type = CKM_AES_KEY_GEN;
    attrlist_add_number(&plan->first, CKA_VALUE_LEN, bits / 8);
    keyplan_add_uses(&plan->first, CKO_SECRET_KEY, CKK_AES, false);
    return QH_OK;
}

static QH_RESULT plan_hmac(const char *size, struct keyplan *plan, const char **ret_problem)
{
    unsigned bits = bits_of(size);

    if (bits < 128 || bits > 4096 || bits % 8 != 0) {
        *ret_problem = "an HMAC key has 128 to 4096 bits, in whole bytes: write hmac:256";
        return QH_EINVAL;
    }
    plan->mechanism.type = CKM_GENERIC_SECRET_KEY_GEN;
    attrlist_add_number(&plan->first, CKA_KEY_TYPE, CKK_GENERIC_SECRET);
    attrlist_add_number(&plan->first, CKA_VALUE_LEN, bits / 8);
    keyplan_add_uses(&plan->first, CKO_SECRET_KEY, CKK_GENERIC_SECRET, false);
    return QH_OK;
}

static QH_RESULT plan_type(const char *type, struct keyplan *plan, const char **ret_problem)
{
    if (strncmp(type, "rsa:", 4) == 0) {
        return plan_rsa(type + 4, plan, ret_problem);
    }
    if (strncmp(type, "ec:", 3) == 0) {
        return plan_curve(type + 3, true, plan, ret_problem);
    }
    if (strncmp(type, "aes:", 4) == 0) {
        return plan_aes(type + 4, plan, ret_problem);
    }
    if (strncmp(type, "hmac:", 5) == 0) {
        return plan_hmac(type + 5, plan, ret_problem);
    }
    return plan_curve(type, false, plan, ret_problem);
}

void keyplan_random_id(uint8_t ret_id[KEYPLAN_ID_SIZE_MAX], size_t *ret_size)
{
    randombytes_buf(ret_id, RANDOM_ID_SIZE);
    *ret_size = RANDOM_ID_SIZE;
}

QH_RESULT keyplan_id(const char *id_hex, uint8_t ret_id[KEYPLAN_ID_SIZE_MAX], size_t *ret_size,
                     const char **ret_problem)
{
    const char *end = NULL;
    size_t size = 0;

    if (sodium_hex2bin(ret_id, KEYPLAN_ID_SIZE_MAX, id_hex, strlen(id_hex), NULL, &size, &end) !=
            0 ||
        *end != '\0' || size == 0) {
        *ret_problem = "an id is 1 to 64 bytes in hexadecimal: write for example --id 01a0";
        return QH_EINVAL;
    }
    *ret_size = size;
    return QH_OK;
}

static void add_common(struct attrlist *list, const struct keyplan *plan, const char *label)
{
    attrlist_add_text(list, CKA_LABEL, label);
    attrlist_add(list, CKA_ID, plan->id, plan->id_size);
}

QH_RESULT keyplan_generate(const char *type, const char *label, const char *id_hex,
                           bool extractable, struct keyplan *ret_plan, const char **ret_problem)
{
    enum qh_err err;

    *ret_plan = (struct keyplan){0};
    err = plan_type(type, ret_plan, ret_problem);
    if (err == QH_OK && id_hex != NULL) {
        err = keyplan_id(id_hex, ret_plan->id, &ret_plan->id_size, ret_problem);
    } else if (err == QH_OK) {
        keyplan_random_id(ret_plan->id, &ret_plan->id_size);
    }
    if (err != QH_OK) {
        return err;
    }
    add_common(&ret_plan->first, ret_plan, label);
    if (ret_plan->pair) {
        keyplan_add_protection(&ret_plan->first, CKO_PUBLIC_KEY, false);
        add_common(&ret_plan->private, ret_plan, label);
        keyplan_add_protection(&ret_plan->private, CKO_PRIVATE_KEY, extractable);
    } else {
        keyplan_add_protection(&ret_plan->first, CKO_SECRET_KEY, extractable);
    }
    return QH_OK;
}
