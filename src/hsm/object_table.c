/* The table of attributes: PKCS#11 v3.0 section 4, with its footnotes as columns. */
#include "hsm/object_private.h"

#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define KEYS_CLASSES (CLASS_PUBLIC | CLASS_PRIVATE | CLASS_SECRET)
#define PAIR_CLASSES (CLASS_PUBLIC | CLASS_PRIVATE)
#define HIDDEN_CLASSES (CLASS_PRIVATE | CLASS_SECRET)
#define CURVES (KEYS_EC | KEYS_EDWARDS | KEYS_MONTGOMERY)
#define SECRETS (KEYS_AES | KEYS_GENERIC)

#define B ATTRIBUTE_BOOL
#define U ATTRIBUTE_ULONG
#define X ATTRIBUTE_BYTES
#define NEVER GIVEN_NEVER
#define MAY GIVEN_MAY
#define MUST GIVEN_MUST
#define SAME GIVEN_SAME

/* clang-format off */
static const struct attribute_rule table[] = {
/* type, kind, classes, key types, created, generated, changed, default, sensitive */
/* 4.4 Storage objects */
{CKA_CLASS, U, CLASS_ANY, KEYS_ANY, MUST, MAY, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_TOKEN, B, CLASS_ANY, KEYS_ANY, MAY, MAY, CHANGED_IN_COPY, DEFAULT_FALSE, false},
{CKA_PRIVATE, B, CLASS_ANY & ~HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_IN_COPY, DEFAULT_FALSE, false},
{CKA_PRIVATE, B, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_IN_COPY, DEFAULT_TRUE, false},
{CKA_MODIFIABLE, B, CLASS_ANY, KEYS_ANY, MAY, MAY, CHANGED_IN_COPY, DEFAULT_TRUE, false},
{CKA_LABEL, X, CLASS_ANY, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_COPYABLE, B, CLASS_ANY, KEYS_ANY, MAY, MAY, CHANGED_TO_FALSE, DEFAULT_TRUE, false},
{CKA_DESTROYABLE, B, CLASS_ANY, KEYS_ANY, MAY, MAY, CHANGED_IN_COPY, DEFAULT_TRUE, false},
{CKA_UNIQUE_ID, X, CLASS_ANY, KEYS_ANY, NEVER, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
/* 4.5 Data objects */
{CKA_APPLICATION, X, CLASS_DATA, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_OBJECT_ID, X, CLASS_DATA, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_VALUE, X, CLASS_DATA, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
/* 4.6 Certificates, X.509 */
{CKA_CERTIFICATE_TYPE, U, CLASS_CERTIFICATE, KEYS_ANY, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_TRUSTED, B, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_TO_FALSE, DEFAULT_FALSE, false},
{CKA_CERTIFICATE_CATEGORY, U, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_ZERO, false},
{CKA_CHECK_VALUE, X, CLASS_CERTIFICATE, KEYS_ANY, SAME, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_START_DATE, ATTRIBUTE_DATE, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_END_DATE, ATTRIBUTE_DATE, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_PUBLIC_KEY_INFO, X, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_SUBJECT, X, CLASS_CERTIFICATE, KEYS_ANY, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_ID, X, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_ISSUER, X, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_SERIAL_NUMBER, X, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_VALUE, X, CLASS_CERTIFICATE, KEYS_ANY, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_URL, X, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_HASH_OF_SUBJECT_PUBLIC_KEY, X, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_HASH_OF_ISSUER_PUBLIC_KEY, X, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_EMPTY, false},
{CKA_NAME_HASH_ALGORITHM, U, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_JAVA_MIDP_SECURITY_DOMAIN, U, CLASS_CERTIFICATE, KEYS_ANY, MAY, NEVER, CHANGED_NEVER, DEFAULT_ZERO, false},
/* 4.7 Keys */
{CKA_KEY_TYPE, U, KEYS_CLASSES, KEYS_ANY, MUST, MAY, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_ID, X, KEYS_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_START_DATE, ATTRIBUTE_DATE, KEYS_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_END_DATE, ATTRIBUTE_DATE, KEYS_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_DERIVE, B, KEYS_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_FALSE, false},
{CKA_LOCAL, B, KEYS_CLASSES, KEYS_ANY, NEVER, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_KEY_GEN_MECHANISM, U, KEYS_CLASSES, KEYS_ANY, NEVER, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_ALLOWED_MECHANISMS, ATTRIBUTE_MECHANISMS, KEYS_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_NEVER, DEFAULT_EMPTY, false},
/* 4.8, 4.9 Public and private keys */
{CKA_SUBJECT, X, PAIR_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_EMPTY, false},
{CKA_PUBLIC_KEY_INFO, X, CLASS_PUBLIC, KEYS_ANY, SAME, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_PUBLIC_KEY_INFO, X, CLASS_PRIVATE, KEYS_ANY, SAME, NEVER, CHANGED_TO_SAME, DEFAULT_NONE, false},
/* 4.8 Public keys, 4.10 secret keys: what one does with either */
{CKA_ENCRYPT, B, CLASS_PUBLIC | CLASS_SECRET, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_TRUE, false},
{CKA_VERIFY, B, CLASS_PUBLIC | CLASS_SECRET, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_TRUE, false},
{CKA_WRAP, B, CLASS_PUBLIC | CLASS_SECRET, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_FALSE, false},
{CKA_TRUSTED, B, CLASS_PUBLIC | CLASS_SECRET, KEYS_ANY, MAY, MAY, CHANGED_TO_FALSE, DEFAULT_FALSE, false},
{CKA_VERIFY_RECOVER, B, CLASS_PUBLIC, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_FALSE, false},
/* 4.9 Private keys, 4.10 secret keys */
{CKA_DECRYPT, B, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_TRUE, false},
{CKA_SIGN, B, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_TRUE, false},
{CKA_UNWRAP, B, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_FALSE, false},
{CKA_SIGN_RECOVER, B, CLASS_PRIVATE, KEYS_ANY, MAY, MAY, CHANGED_FREELY, DEFAULT_FALSE, false},
{CKA_SENSITIVE, B, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_TO_TRUE, DEFAULT_TRUE, false},
{CKA_EXTRACTABLE, B, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_TO_FALSE, DEFAULT_FALSE, false},
{CKA_ALWAYS_SENSITIVE, B, HIDDEN_CLASSES, KEYS_ANY, NEVER, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_NEVER_EXTRACTABLE, B, HIDDEN_CLASSES, KEYS_ANY, NEVER, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_WRAP_WITH_TRUSTED, B, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_TO_TRUE, DEFAULT_FALSE, false},
{CKA_ALWAYS_AUTHENTICATE, B, CLASS_PRIVATE, KEYS_ANY, MAY, MAY, CHANGED_NEVER, DEFAULT_FALSE, false},
{CKA_CHECK_VALUE, X, CLASS_SECRET, KEYS_ANY, SAME, SAME, CHANGED_TO_EMPTY, DEFAULT_NONE, false},
{CKA_VALUE, X, CLASS_SECRET, SECRETS, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
{CKA_VALUE_LEN, U, CLASS_SECRET, SECRETS, SAME, MUST, CHANGED_NEVER, DEFAULT_NONE, false},
/* 4.8 to 4.10: templates for the keys under this one; changed never, so that copies have them, too */
{CKA_WRAP_TEMPLATE, ATTRIBUTE_NESTED, CLASS_PUBLIC | CLASS_SECRET, KEYS_ANY, MAY, MAY, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_UNWRAP_TEMPLATE, ATTRIBUTE_NESTED, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_DERIVE_TEMPLATE, ATTRIBUTE_NESTED, HIDDEN_CLASSES, KEYS_ANY, MAY, MAY, CHANGED_NEVER, DEFAULT_NONE, false},
/* RSA (current mechanisms, 2.1) */
{CKA_MODULUS, X, PAIR_CLASSES, KEYS_RSA, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_MODULUS_BITS, U, CLASS_PUBLIC, KEYS_RSA, SAME, MUST, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_PUBLIC_EXPONENT, X, CLASS_PUBLIC, KEYS_RSA, MUST, MAY, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_PUBLIC_EXPONENT, X, CLASS_PRIVATE, KEYS_RSA, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_PRIVATE_EXPONENT, X, CLASS_PRIVATE, KEYS_RSA, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
{CKA_PRIME_1, X, CLASS_PRIVATE, KEYS_RSA, MAY, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
{CKA_PRIME_2, X, CLASS_PRIVATE, KEYS_RSA, MAY, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
{CKA_EXPONENT_1, X, CLASS_PRIVATE, KEYS_RSA, MAY, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
{CKA_EXPONENT_2, X, CLASS_PRIVATE, KEYS_RSA, MAY, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
{CKA_COEFFICIENT, X, CLASS_PRIVATE, KEYS_RSA, MAY, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
/* Elliptic curves (current mechanisms, 2.3); a private key's point comes on top */
{CKA_EC_PARAMS, X, CLASS_PUBLIC, CURVES, MUST, MUST, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_EC_PARAMS, X, CLASS_PRIVATE, CURVES, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_EC_POINT, X, CLASS_PUBLIC, CURVES, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_EC_POINT, X, CLASS_PRIVATE, CURVES, NEVER, NEVER, CHANGED_NEVER, DEFAULT_NONE, false},
{CKA_VALUE, X, CLASS_PRIVATE, CURVES, MUST, NEVER, CHANGED_NEVER, DEFAULT_NONE, true},
};
/* clang-format on */

static const struct {
    CK_OBJECT_CLASS object_class;
    unsigned set, keys;
} classes[] = {
    {CKO_DATA, CLASS_DATA, KEYS_NONE},
    {CKO_CERTIFICATE, CLASS_CERTIFICATE, KEYS_NONE},
    {CKO_PUBLIC_KEY, CLASS_PUBLIC, KEYS_RSA | CURVES},
    {CKO_PRIVATE_KEY, CLASS_PRIVATE, KEYS_RSA | CURVES},
    {CKO_SECRET_KEY, CLASS_SECRET, KEYS_AES | KEYS_GENERIC},
};

static const struct {
    CK_KEY_TYPE key_type;
    unsigned set;
} key_types[] = {
    {CKK_RSA, KEYS_RSA},
    {CKK_EC, KEYS_EC},
    {CKK_EC_EDWARDS, KEYS_EDWARDS},
    {CKK_EC_MONTGOMERY, KEYS_MONTGOMERY},
    {CKK_AES, KEYS_AES},
    {CKK_GENERIC_SECRET, KEYS_GENERIC},
    {CKK_HKDF, KEYS_GENERIC},
    {CKK_SHA_1_HMAC, KEYS_GENERIC},
    {CKK_SHA224_HMAC, KEYS_GENERIC},
    {CKK_SHA256_HMAC, KEYS_GENERIC},
    {CKK_SHA384_HMAC, KEYS_GENERIC},
    {CKK_SHA512_HMAC, KEYS_GENERIC},
    {CK_UNAVAILABLE_INFORMATION, KEYS_NONE},
};

const struct attribute_rule *object_table(unsigned *ret_count)
{
    *ret_count = COUNT(table);
    return table;
}

/* Sets of one; 0 if it does not exist. */
static unsigned class_set(CK_OBJECT_CLASS object_class, unsigned *ret_keys)
{
    for (unsigned i = 0; i < COUNT(classes); i++) {
        if (classes[i].object_class == object_class) {
            *ret_keys = classes[i].keys;
            return classes[i].set;
        }
    }
    return 0;
}

static unsigned key_set(CK_KEY_TYPE key_type)
{
    for (unsigned i = 0; i < COUNT(key_types); i++) {
        if (key_types[i].key_type == key_type) {
            return key_types[i].set;
        }
    }
    return 0;
}

bool object_class_exists(CK_OBJECT_CLASS object_class)
{
    unsigned keys;

    return class_set(object_class, &keys) != 0;
}

bool object_class_is_key(CK_OBJECT_CLASS object_class)
{
    unsigned keys;

    return (class_set(object_class, &keys) & KEYS_CLASSES) != 0;
}

bool object_key_type_fits(CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type)
{
    unsigned keys = 0;

    return class_set(object_class, &keys) != 0 && (keys & key_set(key_type)) != 0;
}

bool object_rule_concerns(const struct attribute_rule *rule, CK_OBJECT_CLASS object_class,
                          CK_KEY_TYPE key_type)
{
    unsigned keys;

    return (rule->classes & class_set(object_class, &keys)) != 0 &&
           (rule->keys & key_set(key_type)) != 0;
}

const struct attribute_rule *object_rule(CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type,
                                         CK_ATTRIBUTE_TYPE type)
{
    unsigned keys, set = class_set(object_class, &keys), key = key_set(key_type);

    for (unsigned i = 0; i < COUNT(table); i++) {
        if (table[i].type == type && (table[i].classes & set) != 0 && (table[i].keys & key) != 0) {
            return &table[i];
        }
    }
    return NULL;
}

QH_RESULT object_no_rule(CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < COUNT(table); i++) {
        if (table[i].type == type) {
            return QH_ETEMPLATE;
        }
    }
    return QH_EATTRIBUTE;
}

static unsigned two_digits(const uint8_t *digits)
{
    return (unsigned)(digits[0] - '0') * 10 + (unsigned)(digits[1] - '0');
}

static bool date_fits(struct bytes value)
{
    unsigned month, day;

    if (value.size == 0) {
        return true;
    }
    if (value.size != sizeof(CK_DATE)) {
        return false;
    }
    for (size_t i = 0; i < value.size; i++) {
        if (value.base[i] < '0' || value.base[i] > '9') {
            return false;
        }
    }
    month = two_digits(value.base + 4);
    day = two_digits(value.base + 6);
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* Of what fits: is the day in the calendar? */
static bool date_exists(struct bytes value)
{
    static const uint8_t days[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;

    if (value.size == 0) {
        return true;
    }
    year = 100 * two_digits(value.base) + two_digits(value.base + 2);
    month = two_digits(value.base + 4);
    day = two_digits(value.base + 6);
    return day <= days[month - 1] &&
           (month != 2 || day < 29 || (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)));
}

bool object_value_fits(const struct attribute_rule *rule, struct bytes value)
{
    switch (rule->kind) {
    case ATTRIBUTE_BOOL:
        return value.size == 1 && value.base[0] <= 1;
    case ATTRIBUTE_ULONG:
        return value.size == sizeof(uint64_t);
    case ATTRIBUTE_BYTES:
        return true;
    case ATTRIBUTE_DATE:
        return date_fits(value);
    case ATTRIBUTE_MECHANISMS:
        return value.size % sizeof(uint64_t) == 0;
    case ATTRIBUTE_NESTED:
        return nested_fits(value);
    }
    return false;
}

bool object_value_may_be_given(const struct attribute_rule *rule, struct bytes value)
{
    return object_value_fits(rule, value) && (rule->kind != ATTRIBUTE_DATE || date_exists(value));
}
