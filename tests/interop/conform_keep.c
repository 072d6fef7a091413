/* What stays when the application ends and comes back: token objects as they were made and changed,
 * and no object of a session. */
#include "tests/interop/conform.h"

#include <string.h>

static uint8_t label[] = "kept", renamed[] = "kept, renamed", id[] = {1, 2, 0, 3};

static void log_in_anew(void)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

    expect_rv(P11->C_Finalize(NULL), CKR_OK, "C_Finalize");
    expect_rv(P11->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED, "C_Finalize again");
    must(P11->C_Initialize(&args) == CKR_OK, "C_Initialize anew");
    must(P11->C_OpenSession(conform.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                            &conform.session) == CKR_OK,
         "C_OpenSession; the slot has the same number");
    must(P11->C_Login(conform.session, CKU_USER, (CK_UTF8CHAR *)conform.pin, strlen(conform.pin)) ==
             CKR_OK,
         "C_Login");
}

static unsigned find_named(uint8_t *name, size_t size, CK_OBJECT_CLASS object_class,
                           CK_OBJECT_HANDLE *ret_object)
{
    struct template template;
    CK_OBJECT_HANDLE found[4] = {0};
    CK_ULONG count = 0;

    template_start(&template);
    put_bytes(&template, CKA_LABEL, name, size);
    put_number(&template, CKA_CLASS, object_class);
    expect_rv(P11->C_FindObjectsInit(conform.session, template.list, 2), CKR_OK,
              "C_FindObjectsInit");
    expect_rv(P11->C_FindObjects(conform.session, found, 4, &count), CKR_OK, "C_FindObjects");
    expect_rv(P11->C_FindObjectsFinal(conform.session), CKR_OK, "C_FindObjectsFinal");
    *ret_object = found[0];
    return (unsigned)count;
}

static void make_pair(bool token)
{
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE public = 0, private = 0;
    struct template public_template, private_template;

    template_start(&public_template);
    put_curve(&public_template, P_256);
    put_bytes(&public_template, CKA_LABEL, label, sizeof label);
    put_flag(&public_template, CKA_TOKEN, token);
    template_start(&private_template);
    put_bytes(&private_template, CKA_LABEL, label, sizeof label);
    put_flag(&private_template, CKA_TOKEN, token);
    put_flag(&private_template, CKA_SIGN, true);
    expect_rv(P11->C_GenerateKeyPair(conform.session, &mechanism, public_template.list,
                                     public_template.count, private_template.list,
                                     private_template.count, &public, &private),
              CKR_OK, "a pair is generated");
    template_start(&private_template);
    put_bytes(&private_template, CKA_LABEL, renamed, sizeof renamed);
    put_bytes(&private_template, CKA_ID, id, sizeof id);
    put_bytes(&private_template, CKA_SUBJECT, label, sizeof label);
    expect_rv(P11->C_SetAttributeValue(conform.session, private, private_template.list, 3), CKR_OK,
              "it gets another name");
}

static void check_pair(void)
{
    CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};
    uint8_t value[BUFFER_SIZE], data[32] = {1}, signature[64];
    CK_OBJECT_HANDLE public, private, none;
    CK_ULONG size = sizeof signature;

    expect(find_named(label, sizeof label, CKO_PRIVATE_KEY, &none) == 0, "the old name is gone");
    expect(find_named(label, sizeof label, CKO_PUBLIC_KEY, &public) == 1, "one public key");
    expect(find_named(renamed, sizeof renamed, CKO_PRIVATE_KEY, &private) == 1, "one private key");
    expect_same(value, read_bytes(private, CKA_ID, value), id, sizeof id, "its id");
    expect(read_number(private, CKA_LOCAL) == 1, "it was made here");
    expect(read_number(private, CKA_KEY_GEN_MECHANISM) == CKM_EC_KEY_PAIR_GEN, "by what made it");
    expect(read_number(private, CKA_ALWAYS_SENSITIVE) == 1, "it was always sensitive");
    expect_rv(P11->C_SignInit(conform.session, &mechanism, private), CKR_OK, "C_SignInit");
    expect_rv(P11->C_Sign(conform.session, data, sizeof data, signature, &size), CKR_OK, "C_Sign");
    expect_rv(P11->C_VerifyInit(conform.session, &mechanism, public), CKR_OK, "C_VerifyInit");
    expect_rv(P11->C_Verify(conform.session, data, sizeof data, signature, size), CKR_OK,
              "C_Verify");
    destroy(public);
    destroy(private);
}

/* A session's key is kept as a copy that the token has. */
static void make_copy(void)
{
    static uint8_t value[16] = "a key's value..";
    CK_OBJECT_HANDLE key = secret_import(CKK_AES, value, sizeof value), copy = 0;
    struct template template;

    template_start(&template);
    put_flag(&template, CKA_TOKEN, true);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    expect_rv(P11->C_CopyObject(conform.session, key, template.list, template.count, &copy), CKR_OK,
              "a copy in the token");
    expect(read_number(copy, CKA_TOKEN) == 1 && read_number(key, CKA_TOKEN) == 0,
           "one is the token's, the other the session's");
}

static void check_copy(void)
{
    uint8_t value[] = "a key's value..", block[16] = {0}, made[64], wanted[64];
    CK_MECHANISM mechanism = {CKM_AES_ECB, NULL, 0};
    CK_ULONG size = sizeof made;
    CK_OBJECT_HANDLE copy;

    expect(find_named(label, sizeof label, CKO_SECRET_KEY, &copy) == 1, "the copy is there");
    must(aes_crypt(CKM_AES_ECB, true, value, 16, block, 16, wanted) == 16, "OpenSSL's block");
    expect_rv(P11->C_EncryptInit(conform.session, &mechanism, copy), CKR_OK, "C_EncryptInit");
    expect_rv(P11->C_Encrypt(conform.session, block, 16, made, &size), CKR_OK, "C_Encrypt");
    expect_same(made, size, wanted, 16, "it is the same key");
    destroy(copy);
}

void rules_of_keeping(void)
{
    about("what stays");
    make_pair(true);
    make_pair(false);
    make_copy();
    log_in_anew();
    check_pair();
    check_copy();
}
