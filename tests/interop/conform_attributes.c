/* The rules of attributes: what keys have by where they come from, what may be set when, and what
 * templates are refused. */
#include "tests/interop/conform.h"

#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#define NOTHING CK_UNAVAILABLE_INFORMATION

/* ---- where a key comes from ---- */

enum origin { GENERATED, IMPORTED, UNWRAPPED, DERIVED, ORIGINS };

static const struct {
    CK_ATTRIBUTE_TYPE type;
    CK_ULONG wanted[ORIGINS];
} defaults[] = {
    {CKA_CLASS, {CKO_SECRET_KEY, CKO_SECRET_KEY, CKO_SECRET_KEY, CKO_SECRET_KEY}},
    {CKA_KEY_TYPE, {CKK_AES, CKK_AES, CKK_AES, CKK_AES}},
    {CKA_TOKEN, {0, 0, 0, 0}},
    {CKA_PRIVATE, {1, 1, 1, 1}},
    {CKA_MODIFIABLE, {1, 1, 1, 1}},
    {CKA_COPYABLE, {1, 1, 1, 1}},
    {CKA_DESTROYABLE, {1, 1, 1, 1}},
    {CKA_DERIVE, {0, 0, 0, 0}},
    {CKA_TRUSTED, {0, 0, 0, 0}},
    {CKA_WRAP_WITH_TRUSTED, {0, 0, 0, 0}},
    {CKA_LOCAL, {1, 0, 0, 0}},
    {CKA_KEY_GEN_MECHANISM, {CKM_AES_KEY_GEN, NOTHING, NOTHING, NOTHING}},
    {CKA_ALWAYS_SENSITIVE, {1, 0, 0, 1}},
    {CKA_NEVER_EXTRACTABLE, {1, 0, 0, 1}},
    {CKA_SENSITIVE, {1, 1, 1, 1}},
    {CKA_EXTRACTABLE, {0, 0, 1, 0}}, /* C_UnwrapKey says that true is the default */
    {CKA_VALUE_LEN, {32, 32, 32, 32}},
};

static CK_OBJECT_HANDLE make_aes(enum origin origin, CK_OBJECT_HANDLE base)
{
    static uint8_t value[32] = "0123456789abcdef0123456789abcde", info[4] = "info";
    CK_HKDF_PARAMS hkdf = {CK_FALSE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, info, 4};
    CK_MECHANISM derivation = {CKM_HKDF_DERIVE, &hkdf, sizeof hkdf};
    CK_MECHANISM generation = {CKM_AES_KEY_GEN, NULL, 0}, wrapping = {CKM_AES_KEY_WRAP, NULL, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_SESSION_HANDLE session = conform.session;
    uint8_t wrapped[64];
    struct template template;
    CK_RV rv;

    template_start(&template);
    if (origin != GENERATED) {
        put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
        put_number(&template, CKA_KEY_TYPE, CKK_AES);
    }
    if (origin == IMPORTED) {
        put_bytes(&template, CKA_VALUE, value, sizeof value);
    } else if (origin != UNWRAPPED) {
        put_number(&template, CKA_VALUE_LEN, 32);
    }
    if (origin == GENERATED) {
        rv = P11->C_GenerateKey(session, &generation, template.list, template.count, &key);
    } else if (origin == IMPORTED) {
        rv = P11->C_CreateObject(session, template.list, template.count, &key);
    } else if (origin == DERIVED) {
        rv = P11->C_DeriveKey(session, &derivation, base, template.list, template.count, &key);
    } else {
        must(aes_crypt(CKM_AES_KEY_WRAP, true, value, 32, value, 32, wrapped) == 40, "wrapped");
        base = secret_import(CKK_AES, value, sizeof value);
        rv = P11->C_UnwrapKey(session, &wrapping, base, wrapped, 40, template.list, template.count,
                              &key);
        destroy(base);
    }
    expect_rv(rv, CKR_OK, "a key is made");
    return key;
}

static CK_OBJECT_HANDLE make_base(bool sensitive)
{
    CK_MECHANISM mechanism = {CKM_HKDF_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    struct template template;

    template_start(&template);
    put_number(&template, CKA_VALUE_LEN, 32);
    put_flag(&template, CKA_DERIVE, true);
    put_flag(&template, CKA_SENSITIVE, sensitive);
    put_flag(&template, CKA_EXTRACTABLE, !sensitive);
    expect_rv(P11->C_GenerateKey(conform.session, &mechanism, template.list, template.count, &key),
              CKR_OK, "a base key");
    return key;
}

static void check_pair_defaults(void)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        CK_ULONG public, private;
    } rows[] = {
        {CKA_LOCAL, 1, 1},
        {CKA_KEY_GEN_MECHANISM, CKM_EC_KEY_PAIR_GEN, CKM_EC_KEY_PAIR_GEN},
        {CKA_TOKEN, 0, 0},
        {CKA_PRIVATE, 0, 1},
        {CKA_SENSITIVE, NOTHING, 1},
        {CKA_EXTRACTABLE, NOTHING, 0},
        {CKA_ALWAYS_SENSITIVE, NOTHING, 1},
        {CKA_NEVER_EXTRACTABLE, NOTHING, 1},
        {CKA_ALWAYS_AUTHENTICATE, NOTHING, 0},
        {CKA_WRAP_WITH_TRUSTED, NOTHING, 0},
        {CKA_TRUSTED, 0, NOTHING},
        {CKA_DERIVE, 0, 0},
    };
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE public = 0, private = 0;
    struct template template;

    template_start(&template);
    put_curve(&template, P_256);
    about("defaults of a generated pair");
    expect_rv(P11->C_GenerateKeyPair(conform.session, &mechanism, template.list, template.count,
                                     NULL, 0, &public, &private),
              CKR_OK, "a pair is generated");
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(read_number(public, rows[i].type) == rows[i].public,
               "attribute 0x%lx of the public key", rows[i].type);
        expect(read_number(private, rows[i].type) == rows[i].private,
               "attribute 0x%lx of the private key", rows[i].type);
    }
    destroy(public);
    destroy(private);
}

void rules_of_history(void)
{
    static const char *const names[] = {"generated", "imported", "unwrapped", "derived"};
    CK_OBJECT_HANDLE hidden = make_base(true), open = make_base(false), key;

    for (unsigned origin = 0; origin < ORIGINS; origin++) {
        key = make_aes((enum origin)origin, hidden);
        about("defaults of a key that is %s", names[origin]);
        for (unsigned i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
            CK_ULONG is = read_number(key, defaults[i].type);

            expect(is == defaults[i].wanted[origin], "attribute 0x%lx is %ld and not %ld",
                   defaults[i].type, (long)is, (long)defaults[i].wanted[origin]);
        }
        destroy(key);
    }
    about("a key derived from an open one");
    key = make_aes(DERIVED, open);
    expect(read_number(key, CKA_ALWAYS_SENSITIVE) == 0, "it was not always sensitive");
    expect(read_number(key, CKA_NEVER_EXTRACTABLE) == 0, "it could have left");
    destroy(key);
    destroy(hidden);
    destroy(open);
    check_pair_defaults();
}

/* ---- what may be set ---- */

static const struct {
    CK_ATTRIBUTE_TYPE type;
    bool from, to;
    CK_RV wanted;
} one_way[] = {
    {CKA_SENSITIVE, false, true, CKR_OK},
    {CKA_SENSITIVE, true, false, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_SENSITIVE, true, true, CKR_OK},
    {CKA_EXTRACTABLE, true, false, CKR_OK},
    {CKA_EXTRACTABLE, false, true, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_EXTRACTABLE, false, false, CKR_OK},
    {CKA_WRAP_WITH_TRUSTED, false, true, CKR_OK},
    {CKA_WRAP_WITH_TRUSTED, true, false, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_COPYABLE, true, false, CKR_OK},
    {CKA_COPYABLE, false, true, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_ENCRYPT, true, false, CKR_OK},
    {CKA_ENCRYPT, false, true, CKR_OK},
    {CKA_DERIVE, false, true, CKR_OK},
    {CKA_SIGN, true, false, CKR_OK},
    {CKA_WRAP, false, true, CKR_OK},
    {CKA_TRUSTED, false, true, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_LOCAL, false, true, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_ALWAYS_SENSITIVE, false, true, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_NEVER_EXTRACTABLE, false, true, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_TOKEN, false, true, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_PRIVATE, true, false, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_MODIFIABLE, true, false, CKR_ATTRIBUTE_READ_ONLY},
    {CKA_DESTROYABLE, true, false, CKR_ATTRIBUTE_READ_ONLY},
};

/* Named at the start unless it cannot be, or is what it would be anyhow. */
static CK_OBJECT_HANDLE make_with(CK_ATTRIBUTE_TYPE type, bool value)
{
    static uint8_t bytes[16] = "a key's value..";
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    put_bytes(&template, CKA_VALUE, bytes, sizeof bytes);
    if (type != CKA_LOCAL && type != CKA_ALWAYS_SENSITIVE && type != CKA_NEVER_EXTRACTABLE) {
        put_flag(&template, type, value);
    }
    return create(&template, "a key");
}

static void check_one_way(void)
{
    for (unsigned i = 0; i < sizeof one_way / sizeof one_way[0]; i++) {
        CK_OBJECT_HANDLE key = make_with(one_way[i].type, one_way[i].from);
        bool is;

        about("attribute 0x%lx from %d to %d", one_way[i].type, one_way[i].from, one_way[i].to);
        expect_rv(set_flag(key, one_way[i].type, one_way[i].to), one_way[i].wanted, "it is set");
        is = one_way[i].wanted == CKR_OK ? one_way[i].to : one_way[i].from;
        expect(read_number(key, one_way[i].type) == (CK_ULONG)is, "it is %d now", is);
        destroy(key);
    }
}

static CK_RV copy_with(CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
    struct template template;
    CK_OBJECT_HANDLE copy;

    template_start(&template);
    put_flag(&template, type, true);
    return P11->C_CopyObject(conform.session, key, template.list, template.count, &copy);
}

static void check_locked_objects(void)
{
    CK_OBJECT_HANDLE key = make_with(CKA_MODIFIABLE, false), copy;

    about("objects that are locked");
    expect_rv(set_flag(key, CKA_SIGN, false), CKR_ACTION_PROHIBITED, "what cannot be modified");
    expect_either(copy_with(key, CKA_MODIFIABLE), CKR_ATTRIBUTE_READ_ONLY,
                  CKR_TEMPLATE_INCONSISTENT, "a copy of it that can");
    expect_either(copy_with(key, CKA_WRAP), CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT,
                  "a copy of it that does more");
    destroy(key);
    key = make_with(CKA_COPYABLE, false);
    expect_rv(P11->C_CopyObject(conform.session, key, NULL, 0, &copy), CKR_ACTION_PROHIBITED,
              "what cannot be copied");
    destroy(key);
    key = make_with(CKA_DESTROYABLE, false);
    expect_rv(P11->C_DestroyObject(conform.session, key), CKR_ACTION_PROHIBITED,
              "what cannot be destroyed");
}

/* ---- what may be read ---- */

static void check_reading(void)
{
    static uint8_t bytes[16] = "a key's value..", label[5] = "label";
    CK_BYTE value[16], room[2], unique[BUFFER_SIZE];
    CK_ULONG type = 0;
    CK_ATTRIBUTE list[] = {{CKA_VALUE, value, sizeof value},
                           {CKA_KEY_TYPE, &type, sizeof type},
                           {CKA_MODULUS, value, sizeof value},
                           {CKA_LABEL, room, sizeof room}};
    CK_OBJECT_HANDLE key;
    struct template template;
    CK_RV rv;

    about("attributes are read");
    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    put_bytes(&template, CKA_VALUE, bytes, sizeof bytes);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    put_flag(&template, CKA_SENSITIVE, true);
    key = create(&template, "a sensitive key");
    rv = P11->C_GetAttributeValue(conform.session, key, list, 2);
    expect_rv(rv, CKR_ATTRIBUTE_SENSITIVE, "a sensitive key's value");
    expect(list[0].ulValueLen == CK_UNAVAILABLE_INFORMATION, "it has no length");
    expect(type == CKK_AES, "the others are read all the same");
    rv = P11->C_GetAttributeValue(conform.session, key, &list[2], 1);
    expect_rv(rv, CKR_ATTRIBUTE_TYPE_INVALID, "an attribute that it does not have");
    expect(list[2].ulValueLen == CK_UNAVAILABLE_INFORMATION, "it has no length");
    rv = P11->C_GetAttributeValue(conform.session, key, &list[3], 1);
    expect_rv(rv, CKR_BUFFER_TOO_SMALL, "a label that does not fit");
    expect(list[3].ulValueLen == CK_UNAVAILABLE_INFORMATION, "it has no length");
    expect(read_bytes(key, CKA_UNIQUE_ID, unique) > 0, "it has a unique id");
    destroy(key);
}

/* The first bytes of a block of zeroes encrypted, and of a hash. */
static void check_check_values(void)
{
    static uint8_t bytes[16] = "a key's value..";
    uint8_t zeroes[16] = {0}, wanted[64], value[BUFFER_SIZE];
    CK_OBJECT_HANDLE key = secret_import(CKK_AES, bytes, sizeof bytes);
    size_t size = 0;

    about("check values");
    must(aes_crypt(CKM_AES_ECB, true, bytes, 16, zeroes, 16, wanted) == 16, "a block");
    expect_same(value, read_bytes(key, CKA_CHECK_VALUE, value), wanted, 3, "AES");
    destroy(key);
    key = secret_import(CKK_GENERIC_SECRET, bytes, sizeof bytes);
    must(EVP_Q_digest(NULL, "SHA1", NULL, bytes, 16, wanted, &size) == 1, "a hash");
    expect_same(value, read_bytes(key, CKA_CHECK_VALUE, value), wanted, 3, "generic secret");
    destroy(key);
}

/* ---- templates that are refused ---- */

enum shape { NUMBER, FLAG, BYTES, END };

struct entry {
    enum shape shape;
    CK_ATTRIBUTE_TYPE type;
    CK_ULONG value; /* of bytes: how many */
};

#define AES_KEY                          \
    {NUMBER, CKA_CLASS, CKO_SECRET_KEY}, \
    {                                    \
        NUMBER, CKA_KEY_TYPE, CKK_AES    \
    }

static const struct {
    const char *name;
    struct entry entries[6];
    CK_RV wanted, other;
} refused[] = {
    {"nothing", {{END, 0, 0}}, CKR_TEMPLATE_INCOMPLETE, 0},
    {"no key type",
     {{NUMBER, CKA_CLASS, CKO_SECRET_KEY}, {BYTES, CKA_VALUE, 16}, {END, 0, 0}},
     CKR_TEMPLATE_INCOMPLETE,
     0},
    {"no value", {AES_KEY, {END, 0, 0}}, CKR_TEMPLATE_INCOMPLETE, 0},
    {"AES of 15 bytes",
     {AES_KEY, {BYTES, CKA_VALUE, 15}, {END, 0, 0}},
     CKR_ATTRIBUTE_VALUE_INVALID,
     CKR_KEY_SIZE_RANGE},
    {"AES of 33 bytes",
     {AES_KEY, {BYTES, CKA_VALUE, 33}, {END, 0, 0}},
     CKR_ATTRIBUTE_VALUE_INVALID,
     CKR_KEY_SIZE_RANGE},
    {"an attribute of RSA",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {BYTES, CKA_MODULUS, 16}, {END, 0, 0}},
     CKR_TEMPLATE_INCONSISTENT,
     CKR_ATTRIBUTE_TYPE_INVALID},
    {"an attribute that there is not",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {NUMBER, 0x12345, 1}, {END, 0, 0}},
     CKR_ATTRIBUTE_TYPE_INVALID,
     0},
    {"CKA_LOCAL",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {FLAG, CKA_LOCAL, 1}, {END, 0, 0}},
     CKR_ATTRIBUTE_READ_ONLY,
     0},
    {"CKA_ALWAYS_SENSITIVE",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {FLAG, CKA_ALWAYS_SENSITIVE, 1}, {END, 0, 0}},
     CKR_ATTRIBUTE_READ_ONLY,
     0},
    {"CKA_TRUSTED",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {FLAG, CKA_TRUSTED, 1}, {END, 0, 0}},
     CKR_ATTRIBUTE_READ_ONLY,
     0},
    {"two values",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {BYTES, CKA_VALUE, 24}, {END, 0, 0}},
     CKR_TEMPLATE_INCONSISTENT,
     0},
    {"a flag of 8 bytes",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {NUMBER, CKA_SIGN, 1}, {END, 0, 0}},
     CKR_ATTRIBUTE_VALUE_INVALID,
     0},
    {"a class of one byte",
     {{FLAG, CKA_CLASS, 4}, {NUMBER, CKA_KEY_TYPE, CKK_AES}, {BYTES, CKA_VALUE, 16}, {END, 0, 0}},
     CKR_ATTRIBUTE_VALUE_INVALID,
     0},
    {"a class that there is not",
     {{NUMBER, CKA_CLASS, 77}, {END, 0, 0}},
     CKR_ATTRIBUTE_VALUE_INVALID,
     CKR_TEMPLATE_INCONSISTENT},
    {"an RSA secret key",
     {{NUMBER, CKA_CLASS, CKO_SECRET_KEY},
      {NUMBER, CKA_KEY_TYPE, CKK_RSA},
      {BYTES, CKA_VALUE, 16},
      {END, 0, 0}},
     CKR_TEMPLATE_INCONSISTENT,
     CKR_ATTRIBUTE_VALUE_INVALID},
    {"a wrong check value",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {BYTES, CKA_CHECK_VALUE, 3}, {END, 0, 0}},
     CKR_ATTRIBUTE_VALUE_INVALID,
     CKR_TEMPLATE_INCONSISTENT},
    {"a wrong length",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {NUMBER, CKA_VALUE_LEN, 24}, {END, 0, 0}},
     CKR_ATTRIBUTE_READ_ONLY,
     CKR_TEMPLATE_INCONSISTENT},
    {"a date that there is not",
     {AES_KEY, {BYTES, CKA_VALUE, 16}, {BYTES, CKA_START_DATE, 8}, {END, 0, 0}},
     CKR_ATTRIBUTE_VALUE_INVALID,
     0},
    {"an empty certificate",
     {{NUMBER, CKA_CLASS, CKO_CERTIFICATE},
      {NUMBER, CKA_CERTIFICATE_TYPE, CKC_X_509},
      {BYTES, CKA_SUBJECT, 4},
      {END, 0, 0}},
     CKR_TEMPLATE_INCOMPLETE,
     0},
};

/* As C_GenerateKey(CKM_AES_KEY_GEN) says. */
static const struct {
    const char *name;
    struct entry entries[4];
    CK_RV wanted, other;
} not_generated[] = {
    {"nothing", {{END, 0, 0}}, CKR_TEMPLATE_INCOMPLETE, 0},
    {"another class",
     {{NUMBER, CKA_CLASS, CKO_PUBLIC_KEY}, {NUMBER, CKA_VALUE_LEN, 16}, {END, 0, 0}},
     CKR_TEMPLATE_INCONSISTENT,
     0},
    {"another key type",
     {{NUMBER, CKA_KEY_TYPE, CKK_DES3}, {NUMBER, CKA_VALUE_LEN, 16}, {END, 0, 0}},
     CKR_TEMPLATE_INCONSISTENT,
     0},
    {"a value",
     {{BYTES, CKA_VALUE, 16}, {NUMBER, CKA_VALUE_LEN, 16}, {END, 0, 0}},
     CKR_ATTRIBUTE_READ_ONLY,
     CKR_TEMPLATE_INCONSISTENT},
    {"CKA_KEY_GEN_MECHANISM",
     {{NUMBER, CKA_KEY_GEN_MECHANISM, 1}, {NUMBER, CKA_VALUE_LEN, 16}, {END, 0, 0}},
     CKR_ATTRIBUTE_READ_ONLY,
     0},
};

static void fill(struct template *template, const struct entry *entries)
{
    static uint8_t bytes[64];

    template_start(template);
    for (; entries->shape != END; entries++) {
        if (entries->shape == NUMBER) {
            put_number(template, entries->type, entries->value);
        } else if (entries->shape == FLAG) {
            put_flag(template, entries->type, entries->value != 0);
        } else {
            put_bytes(template, entries->type, bytes, entries->value);
        }
    }
}

static void check_templates(void)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE object;
    struct template template;

    for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        about("creation with %s", refused[i].name);
        fill(&template, refused[i].entries);
        expect_either(P11->C_CreateObject(conform.session, template.list, template.count, &object),
                      refused[i].wanted,
                      refused[i].other != 0 ? refused[i].other : refused[i].wanted,
                      "it is refused");
    }
    for (unsigned i = 0; i < sizeof not_generated / sizeof not_generated[0]; i++) {
        about("generation with %s", not_generated[i].name);
        fill(&template, not_generated[i].entries);
        expect_either(
            P11->C_GenerateKey(conform.session, &mechanism, template.list, template.count, &object),
            not_generated[i].wanted,
            not_generated[i].other != 0 ? not_generated[i].other : not_generated[i].wanted,
            "it is refused");
    }
}

void rules_of_attributes(void)
{
    check_one_way();
    check_locked_objects();
    check_reading();
    check_check_values();
    check_templates();
}
