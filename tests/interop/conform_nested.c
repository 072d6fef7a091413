/* Templates of keys: CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE, CKA_DERIVE_TEMPLATE. */
#include "tests/interop/conform.h"

#include <string.h>

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
static CK_KEY_TYPE aes_type = CKK_AES, generic_type = CKK_GENERIC_SECRET;
static CK_ULONG sixteen = 16;
static uint8_t label[] = "below";

/* Not in the order in which they are given back. */
static CK_ATTRIBUTE wrap_list[] = {{CKA_SIGN, &yes, sizeof yes},
                                   {CKA_CLASS, &secret_class, sizeof secret_class}};
static CK_ATTRIBUTE unwrap_list[] = {{CKA_EXTRACTABLE, &no, sizeof no},
                                     {CKA_SENSITIVE, &yes, sizeof yes},
                                     {CKA_LABEL, label, sizeof label},
                                     {CKA_CLASS, &secret_class, sizeof secret_class},
                                     {CKA_KEY_TYPE, &aes_type, sizeof aes_type}};
static CK_ATTRIBUTE derive_list[] = {{CKA_VALUE_LEN, &sixteen, sizeof sixteen},
                                     {CKA_KEY_TYPE, &aes_type, sizeof aes_type},
                                     {CKA_EXTRACTABLE, &no, sizeof no}};

static CK_OBJECT_HANDLE make_wrapping(void)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    struct template template;

    template_start(&template);
    put_number(&template, CKA_VALUE_LEN, 32);
    put_flag(&template, CKA_WRAP, true);
    put_flag(&template, CKA_UNWRAP, true);
    put_bytes(&template, CKA_WRAP_TEMPLATE, wrap_list, sizeof wrap_list);
    put_bytes(&template, CKA_UNWRAP_TEMPLATE, unwrap_list, sizeof unwrap_list);
    expect_rv(P11->C_GenerateKey(conform.session, &mechanism, template.list, template.count, &key),
              CKR_OK, "a wrapping key with templates");
    return key;
}

static CK_OBJECT_HANDLE make_secret(bool sign)
{
    static uint8_t value[16] = "a key's value..";
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    put_bytes(&template, CKA_VALUE, value, sizeof value);
    put_flag(&template, CKA_EXTRACTABLE, true);
    put_flag(&template, CKA_SIGN, sign);
    return create(&template, "a key to wrap");
}

static CK_RV wrap_under(CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, uint8_t *out,
                        CK_ULONG *size)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};

    *size = BUFFER_SIZE;
    return P11->C_WrapKey(conform.session, &mechanism, wrapping, key, out, size);
}

static CK_RV unwrap_as(CK_OBJECT_HANDLE key, uint8_t *wrapped, CK_ULONG size,
                       CK_ATTRIBUTE_TYPE type, bool value, CK_OBJECT_HANDLE *ret_key)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_WRAP, NULL, 0};
    struct template template;

    template_start(&template);
    put_flag(&template, type, value);
    return P11->C_UnwrapKey(conform.session, &mechanism, key, wrapped, size, template.list,
                            template.count, ret_key);
}

static void check_reading(CK_OBJECT_HANDLE key)
{
    CK_ATTRIBUTE inner[2] = {{0, NULL, 0}, {0, NULL, 0}}, list = {CKA_WRAP_TEMPLATE, NULL, 0};
    CK_OBJECT_CLASS object_class = 0;
    CK_BBOOL sign = CK_FALSE;
    CK_SESSION_HANDLE session = conform.session;

    expect_rv(P11->C_GetAttributeValue(session, key, &list, 1), CKR_OK, "how many there are");
    expect(list.ulValueLen == sizeof inner, "there are two");
    list.pValue = inner;
    expect_rv(P11->C_GetAttributeValue(session, key, &list, 1), CKR_OK, "how long they are");
    expect(inner[0].type == CKA_CLASS && inner[0].ulValueLen == sizeof object_class, "the class");
    expect(inner[1].type == CKA_SIGN && inner[1].ulValueLen == sizeof sign, "CKA_SIGN");
    inner[0].pValue = &object_class;
    inner[1].pValue = &sign;
    expect_rv(P11->C_GetAttributeValue(session, key, &list, 1), CKR_OK, "what they are");
    expect(object_class == CKO_SECRET_KEY && sign == CK_TRUE, "they are what was given");
    inner[0].ulValueLen = 1;
    expect_rv(P11->C_GetAttributeValue(session, key, &list, 1), CKR_BUFFER_TOO_SMALL,
              "one does not fit");
    expect(inner[0].ulValueLen == CK_UNAVAILABLE_INFORMATION, "it has no length");
    list.ulValueLen = sizeof inner[0];
    expect_rv(P11->C_GetAttributeValue(session, key, &list, 1), CKR_BUFFER_TOO_SMALL,
              "the array does not fit");
    list = (CK_ATTRIBUTE){CKA_DERIVE_TEMPLATE, NULL, 0};
    expect_rv(P11->C_GetAttributeValue(session, key, &list, 1), CKR_ATTRIBUTE_TYPE_INVALID,
              "a template that it does not have");
}

static void check_wrapping(void)
{
    CK_OBJECT_HANDLE key = make_wrapping(), signing = make_secret(true), other = make_secret(false);
    CK_OBJECT_HANDLE copy = 0, back = 0;
    uint8_t wrapped[BUFFER_SIZE], read[BUFFER_SIZE];
    struct template template;
    CK_ULONG size;

    about("templates of a wrapping key");
    check_reading(key);
    expect_rv(wrap_under(key, other, wrapped, &size), CKR_KEY_HANDLE_INVALID,
              "a key that does not match");
    expect_rv(P11->C_CopyObject(conform.session, key, NULL, 0, &copy), CKR_OK, "a copy");
    expect_rv(wrap_under(copy, other, wrapped, &size), CKR_KEY_HANDLE_INVALID,
              "it does not match the copy's either");
    expect_rv(wrap_under(key, signing, wrapped, &size), CKR_OK, "a key that matches");
    expect_rv(unwrap_as(key, wrapped, size, CKA_DECRYPT, false, &back), CKR_OK,
              "the template says what the key is");
    expect(read_number(back, CKA_KEY_TYPE) == CKK_AES, "it is an AES key");
    expect(read_number(back, CKA_SENSITIVE) == 1, "it is sensitive");
    expect(read_number(back, CKA_EXTRACTABLE) == 0, "it does not leave again");
    expect(read_number(back, CKA_DECRYPT) == 0, "it is what was asked for, too");
    expect_same(read, read_bytes(back, CKA_LABEL, read), label, sizeof label, "its label");
    destroy(back);
    expect_rv(unwrap_as(key, wrapped, size, CKA_EXTRACTABLE, false, &back), CKR_OK,
              "the same is said twice");
    destroy(back);
    expect_rv(unwrap_as(key, wrapped, size, CKA_EXTRACTABLE, true, &back),
              CKR_TEMPLATE_INCONSISTENT, "the contrary is said");
    template_start(&template);
    put_bytes(&template, CKA_WRAP_TEMPLATE, NULL, 0);
    expect_rv(P11->C_SetAttributeValue(conform.session, key, template.list, 1),
              CKR_ATTRIBUTE_READ_ONLY, "it is taken away");
    destroy(key);
    destroy(copy);
    destroy(signing);
    destroy(other);
}

static CK_RV derive_as(CK_OBJECT_HANDLE base, CK_KEY_TYPE *type, CK_OBJECT_HANDLE *ret_key)
{
    CK_HKDF_PARAMS hkdf = {CK_FALSE, CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_NULL, NULL, 0, 0, label, 5};
    CK_MECHANISM mechanism = {CKM_HKDF_DERIVE, &hkdf, sizeof hkdf};
    CK_ATTRIBUTE list = {CKA_KEY_TYPE, type, sizeof *type};

    return P11->C_DeriveKey(conform.session, &mechanism, base, &list, type != NULL ? 1 : 0,
                            ret_key);
}

/* HKDF-Extract of what is known with @salt is the first block of HKDF-Expand of @salt. */
static CK_RV derive_salted(CK_OBJECT_HANDLE salt, bool extractable, CK_OBJECT_HANDLE *ret_key)
{
    CK_HKDF_PARAMS hkdf = {CK_TRUE, CK_FALSE, CKM_SHA256, CKF_HKDF_SALT_KEY, NULL, 0,
                           salt,    NULL,     0};
    CK_MECHANISM mechanism = {CKM_HKDF_DERIVE, &hkdf, sizeof hkdf};
    uint8_t known[] = {'b', 'e', 'l', 'o', 'w', 1};
    CK_OBJECT_HANDLE base = secret_import(CKK_HKDF, known, sizeof known);
    struct template template;
    CK_RV rv;

    template_start(&template);
    put_flag(&template, CKA_DERIVE, false);
    if (extractable) {
        put_flag(&template, CKA_EXTRACTABLE, true);
        put_flag(&template, CKA_SENSITIVE, false);
    }
    rv =
        P11->C_DeriveKey(conform.session, &mechanism, base, template.list, template.count, ret_key);
    destroy(base);
    return rv;
}

static void check_derivation(void)
{
    CK_MECHANISM mechanism = {CKM_HKDF_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE base = 0, key = 0;
    struct template template;

    about("the template of a base key");
    template_start(&template);
    put_number(&template, CKA_VALUE_LEN, 32);
    put_flag(&template, CKA_DERIVE, true);
    put_bytes(&template, CKA_DERIVE_TEMPLATE, derive_list, sizeof derive_list);
    expect_rv(P11->C_GenerateKey(conform.session, &mechanism, template.list, template.count, &base),
              CKR_OK, "a base key");
    expect_rv(derive_as(base, NULL, &key), CKR_OK, "the template says what the key is");
    expect(read_number(key, CKA_KEY_TYPE) == CKK_AES, "it is an AES key");
    expect(read_number(key, CKA_VALUE_LEN) == 16, "of 16 bytes");
    destroy(key);
    expect_rv(derive_as(base, &generic_type, &key), CKR_TEMPLATE_INCONSISTENT,
              "the contrary is said");
    expect_rv(derive_salted(base, true, &key), CKR_TEMPLATE_INCONSISTENT,
              "the contrary, with the key as the salt");
    expect_rv(derive_salted(base, false, &key), CKR_OK, "the key as the salt");
    expect(read_number(key, CKA_EXTRACTABLE) == 0, "what comes of it does not leave");
    expect(read_number(key, CKA_KEY_TYPE) == CKK_AES, "it is an AES key, too");
    destroy(key);
    destroy(base);
}

static CK_RV create_with(CK_ATTRIBUTE_TYPE type, CK_ATTRIBUTE *list, size_t size)
{
    static uint8_t value[16] = "a key's value..";
    struct template template;
    CK_OBJECT_HANDLE key;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    put_bytes(&template, CKA_VALUE, value, sizeof value);
    put_bytes(&template, type, list, size);
    return P11->C_CreateObject(conform.session, template.list, template.count, &key);
}

static void check_refusals(void)
{
    CK_ATTRIBUTE value = {CKA_VALUE, label, sizeof label};
    CK_ATTRIBUTE inner = {CKA_UNWRAP_TEMPLATE, unwrap_list, sizeof unwrap_list};
    CK_ATTRIBUTE local = {CKA_LOCAL, &yes, sizeof yes}, broken = {CKA_SIGN, label, sizeof label};
    struct template template;
    CK_OBJECT_HANDLE data;

    about("templates that keys cannot have");
    expect_rv(create_with(CKA_WRAP_TEMPLATE, &value, sizeof value), CKR_TEMPLATE_INCONSISTENT,
              "a guess at the key");
    expect_rv(create_with(CKA_UNWRAP_TEMPLATE, &inner, sizeof inner), CKR_TEMPLATE_INCONSISTENT,
              "a template in a template");
    expect_rv(create_with(CKA_UNWRAP_TEMPLATE, &local, sizeof local), CKR_TEMPLATE_INCONSISTENT,
              "what no template can say");
    expect_rv(create_with(CKA_WRAP_TEMPLATE, &local, sizeof local), CKR_OK, "but a key can match");
    expect_rv(create_with(CKA_WRAP_TEMPLATE, &broken, sizeof broken), CKR_ATTRIBUTE_VALUE_INVALID,
              "a flag of five bytes");
    expect_rv(create_with(CKA_WRAP_TEMPLATE, &value, sizeof value - 1), CKR_ATTRIBUTE_VALUE_INVALID,
              "half an attribute");
    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_DATA);
    put_bytes(&template, CKA_WRAP_TEMPLATE, wrap_list, sizeof wrap_list);
    expect_rv(P11->C_CreateObject(conform.session, template.list, template.count, &data),
              CKR_TEMPLATE_INCONSISTENT, "data with a template");
}

void rules_of_templates(void)
{
    check_wrapping();
    check_derivation();
    check_refusals();
}
