/* Calls: general information, dual functions, operations that end or go on, wrong handles and NULL,
 * and what a read-only session may not do. */
#include "tests/interop/conform.h"

#include <string.h>

/* ---- general ---- */

static void check_lists(void)
{
    CK_MECHANISM_TYPE mechanisms[1];
    CK_INTERFACE interfaces[8];
    CK_SLOT_ID slots[1];
    CK_ULONG count = 0, size = 1;
    CK_INFO info;
    CK_SLOT_INFO slot;

    about("lists");
    expect_rv(P11->C_GetMechanismList(conform.slot, NULL, &count), CKR_OK, "how many mechanisms");
    expect_rv(P11->C_GetMechanismList(conform.slot, mechanisms, &size), CKR_BUFFER_TOO_SMALL,
              "room for one mechanism");
    expect(size == count, "it says how many there are");
    size = 1;
    expect_rv(P11->C_GetSlotList(CK_TRUE, slots, &size), CKR_BUFFER_TOO_SMALL, "room for a slot");
    expect(size == 2, "it says how many there are");
    expect_rv(P11->C_GetInfo(&info), CKR_OK, "C_GetInfo");
    expect(info.flags == 0 && info.cryptokiVersion.major >= 2, "what it says");
    expect_rv(P11->C_GetSlotInfo(conform.slot, &slot), CKR_OK, "C_GetSlotInfo");
    expect((slot.flags & (CKF_TOKEN_PRESENT | CKF_REMOVABLE_DEVICE)) == CKF_TOKEN_PRESENT,
           "the token is there for good");
    expect_rv(P11->C_GetSlotInfo(0x7fffffff, &slot), CKR_SLOT_ID_INVALID, "no such slot");
    expect_rv(P11->C_GetFunctionStatus(conform.session), CKR_FUNCTION_NOT_PARALLEL,
              "C_GetFunctionStatus");
    expect_rv(P11->C_CancelFunction(conform.session), CKR_FUNCTION_NOT_PARALLEL,
              "C_CancelFunction");
    count = 8;
    expect_rv(P11->C_GetInterfaceList(interfaces, &count), CKR_OK, "C_GetInterfaceList");
    expect(count >= 2, "there are 2.40 and 3.0");
}

static void check_random(void)
{
    CK_BYTE one[64] = {0}, other[64] = {0};

    about("random numbers");
    expect_rv(P11->C_GenerateRandom(conform.session, one, sizeof one), CKR_OK, "C_GenerateRandom");
    expect_rv(P11->C_GenerateRandom(conform.session, other, sizeof other), CKR_OK,
              "C_GenerateRandom");
    expect(memcmp(one, other, sizeof one) != 0, "they differ");
    expect_either(P11->C_SeedRandom(conform.session, one, sizeof one), CKR_OK,
                  CKR_RANDOM_SEED_NOT_SUPPORTED, "C_SeedRandom");
    expect_rv(P11->C_GenerateRandom(conform.session, NULL, 8), CKR_ARGUMENTS_BAD, "to nowhere");
    expect_rv(P11->C_GenerateRandom(conform.session, one, 0), CKR_OK, "none");
}

/* ---- NULL, and handles of nothing ---- */

static void check_nulls(void)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_SESSION_HANDLE session = conform.session;
    CK_OBJECT_HANDLE object = 0;
    CK_ATTRIBUTE label = {CKA_LABEL, NULL, 5};
    CK_ULONG count = 0;

    about("NULL");
    expect_rv(P11->C_GetInfo(NULL), CKR_ARGUMENTS_BAD, "C_GetInfo");
    expect_rv(P11->C_GetSlotList(CK_TRUE, NULL, NULL), CKR_ARGUMENTS_BAD, "C_GetSlotList");
    expect_rv(P11->C_GetTokenInfo(conform.slot, NULL), CKR_ARGUMENTS_BAD, "C_GetTokenInfo");
    expect_rv(P11->C_OpenSession(conform.slot, CKF_SERIAL_SESSION, NULL, NULL, NULL),
              CKR_ARGUMENTS_BAD, "C_OpenSession");
    expect_rv(P11->C_GetSessionInfo(session, NULL), CKR_ARGUMENTS_BAD, "C_GetSessionInfo");
    expect_rv(P11->C_CreateObject(session, NULL, 1, &object), CKR_ARGUMENTS_BAD, "C_CreateObject");
    expect_either(P11->C_CreateObject(session, &label, 1, &object), CKR_ATTRIBUTE_VALUE_INVALID,
                  CKR_ARGUMENTS_BAD, "C_CreateObject with a NULL value");
    expect_rv(P11->C_GenerateKey(session, &mechanism, NULL, 1, &object), CKR_ARGUMENTS_BAD,
              "C_GenerateKey");
    expect_rv(P11->C_FindObjectsInit(session, NULL, 1), CKR_ARGUMENTS_BAD, "C_FindObjectsInit");
    expect_rv(P11->C_FindObjectsInit(session, NULL, 0), CKR_OK, "C_FindObjectsInit, all");
    expect_rv(P11->C_FindObjects(session, NULL, 1, &count), CKR_ARGUMENTS_BAD, "C_FindObjects");
    expect_rv(P11->C_FindObjects(session, &object, 1, NULL), CKR_ARGUMENTS_BAD, "C_FindObjects");
    expect_rv(P11->C_FindObjects(session, &object, 1, &count), CKR_OK, "C_FindObjects");
    expect_rv(P11->C_FindObjectsFinal(session), CKR_OK, "C_FindObjectsFinal");
}

static void check_handles(void)
{
    uint8_t value[16] = {1}, wrapped[64] = {0};
    CK_MECHANISM kw = *usual_mechanism(CKM_AES_KEY_WRAP), ecdh = {CKM_ECDH1_DERIVE, NULL, 0};
    CK_OBJECT_HANDLE key = secret_import(CKK_AES, value, sizeof value), made;
    CK_OBJECT_HANDLE rsa = pair_imported(RSA_2048)->public, none = 0x7fffffff;
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = sizeof wrapped;
    struct template template;

    about("handles of nothing");
    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    expect_rv(P11->C_WrapKey(session, &kw, none, key, wrapped, &size),
              CKR_WRAPPING_KEY_HANDLE_INVALID, "the wrapping key");
    expect_rv(P11->C_WrapKey(session, &kw, key, none, wrapped, &size), CKR_KEY_HANDLE_INVALID,
              "the key to wrap");
    expect_rv(P11->C_WrapKey(session, &kw, rsa, key, wrapped, &size),
              CKR_WRAPPING_KEY_TYPE_INCONSISTENT, "a wrapping key of another type");
    expect_rv(P11->C_WrapKey(session, &kw, key, rsa, wrapped, &size), CKR_KEY_NOT_WRAPPABLE,
              "a public key to wrap");
    expect_rv(P11->C_UnwrapKey(session, &kw, none, wrapped, 24, template.list, 2, &made),
              CKR_UNWRAPPING_KEY_HANDLE_INVALID, "the unwrapping key");
    expect_rv(P11->C_UnwrapKey(session, &kw, rsa, wrapped, 24, template.list, 2, &made),
              CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, "an unwrapping key of another type");
    expect_rv(P11->C_UnwrapKey(session, &kw, key, wrapped, 24, template.list, 1, &made),
              CKR_TEMPLATE_INCOMPLETE, "a template without a type");
    expect_rv(
        P11->C_DeriveKey(session, &ecdh, pair_imported(P_256)->private, template.list, 2, &made),
        CKR_MECHANISM_PARAM_INVALID, "no parameter");
    expect_rv(set_flag(key, CKA_UNWRAP, false), CKR_OK, "it may not unwrap");
    expect_rv(P11->C_UnwrapKey(session, &kw, key, wrapped, 24, template.list, 2, &made),
              CKR_KEY_FUNCTION_NOT_PERMITTED, "it unwraps");
    expect_rv(set_flag(key, CKA_WRAP, false), CKR_OK, "it may not wrap");
    expect_rv(P11->C_WrapKey(session, &kw, key, key, wrapped, &size),
              CKR_KEY_FUNCTION_NOT_PERMITTED, "it wraps");
    destroy(key);
}

/* ---- operations ---- */

/* Digest and cipher at once, as each by itself. */
static void check_dual(void)
{
    uint8_t value[32] = {3}, plain[64] = "plain", made[128], wanted[128], hash[64], back[128];
    CK_MECHANISM cbc = *usual_mechanism(CKM_AES_CBC), sha = {CKM_SHA256, NULL, 0};
    CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
    CK_OBJECT_HANDLE key = secret_import(CKK_AES, value, sizeof value);
    CK_OBJECT_HANDLE secret = secret_import(CKK_GENERIC_SECRET, value, sizeof value);
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = sizeof made, hash_size = sizeof hash, back_size = sizeof back;
    size_t wanted_size = 0;

    about("dual functions");
    must(aes_crypt(CKM_AES_CBC, true, value, 32, plain, 64, wanted) == 64, "OpenSSL's");
    expect_rv(P11->C_DigestInit(session, &sha), CKR_OK, "C_DigestInit");
    expect_rv(P11->C_EncryptInit(session, &cbc, key), CKR_OK, "C_EncryptInit");
    expect_rv(P11->C_DigestEncryptUpdate(session, plain, 64, made, &size), CKR_OK,
              "C_DigestEncryptUpdate");
    expect_same(made, size, wanted, 64, "it is encrypted");
    size = sizeof made - 64;
    expect_rv(P11->C_EncryptFinal(session, made + 64, &size), CKR_OK, "C_EncryptFinal");
    expect_rv(P11->C_DigestFinal(session, hash, &hash_size), CKR_OK, "C_DigestFinal");
    must(EVP_Q_digest(NULL, "SHA256", NULL, plain, 64, wanted + 64, &wanted_size) == 1, "a hash");
    expect_same(hash, hash_size, wanted + 64, 32, "and digested");
    expect_rv(P11->C_SignInit(session, &hmac, secret), CKR_OK, "C_SignInit");
    expect_rv(P11->C_EncryptInit(session, &cbc, key), CKR_OK, "C_EncryptInit");
    size = sizeof made;
    expect_rv(P11->C_SignEncryptUpdate(session, plain, 64, made, &size), CKR_OK,
              "C_SignEncryptUpdate");
    size = sizeof back;
    expect_rv(P11->C_EncryptFinal(session, back, &size), CKR_OK, "C_EncryptFinal");
    hash_size = sizeof hash;
    expect_rv(P11->C_SignFinal(session, hash, &hash_size), CKR_OK, "C_SignFinal");
    expect_rv(P11->C_VerifyInit(session, &hmac, secret), CKR_OK, "C_VerifyInit");
    expect_rv(P11->C_DecryptInit(session, &cbc, key), CKR_OK, "C_DecryptInit");
    expect_rv(P11->C_DecryptVerifyUpdate(session, made, 64, back, &back_size), CKR_OK,
              "C_DecryptVerifyUpdate");
    expect_same(back, back_size, plain, 64, "it is decrypted");
    size = sizeof made;
    expect_rv(P11->C_DecryptFinal(session, made, &size), CKR_OK, "C_DecryptFinal");
    expect_rv(P11->C_VerifyFinal(session, hash, hash_size), CKR_OK, "and verified");
    destroy(key);
    destroy(secret);
}

/* What ends an operation, and what it leaves. */
static void check_ends(void)
{
    uint8_t value[32] = {3}, data[64] = {0}, made[128];
    CK_MECHANISM cbc = *usual_mechanism(CKM_AES_CBC), sha = {CKM_SHA256, NULL, 0};
    CK_OBJECT_HANDLE key = secret_import(CKK_AES, value, sizeof value);
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = sizeof made;

    about("operations end");
    expect_rv(P11->C_EncryptInit(session, &cbc, key), CKR_OK, "C_EncryptInit");
    expect_rv(P11->C_Encrypt(session, data, 15, made, &size), CKR_DATA_LEN_RANGE, "15 bytes");
    expect_rv(P11->C_Encrypt(session, data, 16, made, &size), CKR_OPERATION_NOT_INITIALIZED,
              "after an error");
    expect_rv(P11->C_EncryptInit(session, &cbc, key), CKR_OK, "C_EncryptInit");
    size = 8;
    expect_rv(P11->C_EncryptUpdate(session, data, 32, made, &size), CKR_BUFFER_TOO_SMALL,
              "C_EncryptUpdate into 8 bytes");
    expect(size == 32, "it says how much it needs");
    expect_rv(P11->C_EncryptUpdate(session, data, 32, made, &size), CKR_OK, "it goes on");
    expect(size == 32, "nothing was lost");
    size = sizeof made;
    expect(P11->C_Encrypt(session, data, 16, made, &size) != CKR_OK, "C_Encrypt in the middle");
    (void)P11->C_SessionCancel(session, CKF_ENCRYPT);
    expect_rv(P11->C_EncryptInit(session, &cbc, key), CKR_OK, "C_EncryptInit");
    size = sizeof made;
    expect_rv(P11->C_EncryptUpdate(session, data, 15, made, &size), CKR_OK, "15 bytes");
    size = sizeof made;
    expect_rv(P11->C_EncryptFinal(session, made, &size), CKR_DATA_LEN_RANGE, "and no more");
    expect_rv(P11->C_EncryptFinal(session, made, &size), CKR_OPERATION_NOT_INITIALIZED, "it ends");
    expect_rv(P11->C_DigestUpdate(session, data, 1), CKR_OPERATION_NOT_INITIALIZED,
              "C_DigestUpdate without C_DigestInit");
    expect_rv(P11->C_DigestInit(session, &sha), CKR_OK, "C_DigestInit");
    expect_rv(P11->C_DigestInit(session, &sha), CKR_OPERATION_ACTIVE, "C_DigestInit again");
    size = sizeof made;
    expect_rv(P11->C_DigestFinal(session, made, &size), CKR_OK, "C_DigestFinal");
    expect(P11->C_GetOperationState(session, made, &size) == CKR_OPERATION_NOT_INITIALIZED,
           "there is no state");
    destroy(key);
}

/* A session has one operation of each kind, and they know nothing of one another. */
static void check_side_by_side(void)
{
    uint8_t value[32] = {3}, data[64] = {0}, hash[64], made[128], mac[64];
    CK_MECHANISM cbc = *usual_mechanism(CKM_AES_CBC), sha = {CKM_SHA256, NULL, 0};
    CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
    CK_OBJECT_HANDLE aes = secret_import(CKK_AES, value, sizeof value), found;
    CK_OBJECT_HANDLE secret = secret_import(CKK_GENERIC_SECRET, value, sizeof value);
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = sizeof made, state_size = sizeof hash;

    about("operations side by side");
    expect_rv(P11->C_FindObjectsInit(session, NULL, 0), CKR_OK, "C_FindObjectsInit");
    expect_rv(P11->C_EncryptInit(session, &cbc, aes), CKR_OK, "C_EncryptInit");
    expect_rv(P11->C_DecryptInit(session, &cbc, aes), CKR_OK, "C_DecryptInit");
    expect_rv(P11->C_SignInit(session, &hmac, secret), CKR_OK, "C_SignInit");
    expect_rv(P11->C_VerifyInit(session, &hmac, secret), CKR_OK, "C_VerifyInit");
    expect_either(P11->C_GetOperationState(session, hash, &state_size), CKR_STATE_UNSAVEABLE,
                  CKR_OK, "C_GetOperationState");
    expect_rv(P11->C_DigestInit(session, &sha), CKR_OK, "C_DigestInit");
    expect_rv(P11->C_DigestUpdate(session, data, 64), CKR_OK, "C_DigestUpdate");
    expect_rv(P11->C_SignUpdate(session, data, 64), CKR_OK, "C_SignUpdate");
    expect_rv(P11->C_VerifyUpdate(session, data, 64), CKR_OK, "C_VerifyUpdate");
    expect_rv(P11->C_Encrypt(session, data, 64, made, &size), CKR_OK, "C_Encrypt");
    expect_rv(P11->C_Decrypt(session, made, 64, made + 64, &size), CKR_OK, "C_Decrypt");
    expect_same(made + 64, size, data, 64, "it comes back");
    size = sizeof mac;
    expect_rv(P11->C_SignFinal(session, mac, &size), CKR_OK, "C_SignFinal");
    expect_rv(P11->C_VerifyFinal(session, mac, size), CKR_OK, "C_VerifyFinal");
    size = sizeof hash;
    expect_rv(P11->C_DigestFinal(session, hash, &size), CKR_OK, "C_DigestFinal");
    expect_rv(P11->C_FindObjects(session, &found, 1, &size), CKR_OK, "C_FindObjects");
    expect_rv(P11->C_FindObjectsFinal(session), CKR_OK, "C_FindObjectsFinal");
    destroy(aes);
    destroy(secret);
}

/* ---- read-only sessions ---- */

static void check_read_only(void)
{
    static uint8_t label[] = "read only", value[16] = {5};
    CK_MECHANISM aes = {CKM_AES_KEY_GEN, NULL, 0}, ec = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_OBJECT_HANDLE token, made, other;
    CK_SESSION_HANDLE session = 0;
    struct template template, curve, changed;

    about("a read-only session");
    template_start(&template);
    put_flag(&template, CKA_TOKEN, true);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    put_bytes(&template, CKA_VALUE, value, sizeof value);
    token = create(&template, "a token's key");
    expect_rv(P11->C_OpenSession(conform.slot, CKF_SERIAL_SESSION, NULL, NULL, &session), CKR_OK,
              "C_OpenSession");
    expect_rv(P11->C_CreateObject(session, template.list, template.count, &made),
              CKR_SESSION_READ_ONLY, "C_CreateObject");
    expect_rv(P11->C_CopyObject(session, token, template.list, 1, &made), CKR_SESSION_READ_ONLY,
              "C_CopyObject");
    template_start(&changed);
    put_bytes(&changed, CKA_LABEL, label, sizeof label);
    expect_rv(P11->C_SetAttributeValue(session, token, changed.list, 1), CKR_SESSION_READ_ONLY,
              "C_SetAttributeValue");
    expect_rv(P11->C_DestroyObject(session, token), CKR_SESSION_READ_ONLY, "C_DestroyObject");
    template_start(&template);
    put_flag(&template, CKA_TOKEN, true);
    put_number(&template, CKA_VALUE_LEN, 16);
    expect_rv(P11->C_GenerateKey(session, &aes, template.list, 2, &made), CKR_SESSION_READ_ONLY,
              "C_GenerateKey");
    template_start(&curve);
    put_curve(&curve, P_256);
    expect_rv(P11->C_GenerateKeyPair(session, &ec, curve.list, 1, template.list, 1, &made, &other),
              CKR_SESSION_READ_ONLY, "C_GenerateKeyPair");
    expect_rv(P11->C_GenerateKey(session, &aes, &template.list[1], 1, &made), CKR_OK,
              "C_GenerateKey of a session's key");
    expect_rv(P11->C_SetAttributeValue(session, made, changed.list, 1), CKR_OK,
              "C_SetAttributeValue of it");
    expect_rv(P11->C_DestroyObject(session, made), CKR_OK, "C_DestroyObject of it");
    expect_rv(P11->C_CloseSession(session), CKR_OK, "C_CloseSession");
    expect_rv(P11->C_SetAttributeValue(conform.session, token, changed.list, 1), CKR_OK,
              "C_SetAttributeValue, R/W");
    destroy(token);
}

/* ---- searches ---- */

static void check_searches(void)
{
    static uint8_t id[] = "id of a search", value[16] = "a secret value..";
    CK_OBJECT_HANDLE found[4], keys[3];
    CK_SESSION_HANDLE session = conform.session;
    struct template template, wanted;
    CK_ULONG count = 0, all = 0;

    about("searches");
    for (unsigned i = 0; i < 3; i++) {
        template_start(&template);
        put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
        put_number(&template, CKA_KEY_TYPE, CKK_AES);
        put_bytes(&template, CKA_VALUE, value, sizeof value);
        put_bytes(&template, CKA_ID, id, sizeof id);
        put_flag(&template, CKA_TOKEN, i > 0);
        keys[i] = create(&template, "a key");
    }
    template_start(&wanted);
    put_bytes(&wanted, CKA_ID, id, sizeof id);
    expect_rv(P11->C_FindObjectsInit(session, wanted.list, 1), CKR_OK, "C_FindObjectsInit");
    do {
        expect_rv(P11->C_FindObjects(session, found, 1, &count), CKR_OK, "C_FindObjects");
        all += count;
    } while (count > 0);
    expect(all == 3, "one by one, %lu are found", all);
    expect_rv(P11->C_FindObjectsFinal(session), CKR_OK, "C_FindObjectsFinal");
    put_flag(&wanted, CKA_TOKEN, true);
    expect_rv(P11->C_FindObjectsInit(session, wanted.list, 2), CKR_OK, "C_FindObjectsInit");
    expect_rv(P11->C_FindObjects(session, found, 4, &count), CKR_OK, "C_FindObjects");
    expect(count == 2, "of the token %lu are found", count);
    expect_rv(P11->C_FindObjectsFinal(session), CKR_OK, "C_FindObjectsFinal");
    template_start(&wanted);
    put_bytes(&wanted, CKA_VALUE, value, sizeof value);
    expect_rv(P11->C_FindObjectsInit(session, wanted.list, 1), CKR_OK, "C_FindObjectsInit");
    expect_rv(P11->C_FindObjects(session, found, 4, &count), CKR_OK, "C_FindObjects");
    expect(count == 0, "nothing is found by a sensitive value");
    expect_rv(P11->C_FindObjectsFinal(session), CKR_OK, "C_FindObjectsFinal");
    for (unsigned i = 0; i < 3; i++) {
        destroy(keys[i]);
    }
}

void rules_of_calls(void)
{
    check_lists();
    check_random();
    check_nulls();
    check_handles();
    check_dual();
    check_ends();
    check_side_by_side();
    check_read_only();
    check_searches();
}
