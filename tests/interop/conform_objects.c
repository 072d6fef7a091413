/* Objects that are no keys, copies, searches; and which key may be used for what, when. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/rand.h>
#include <openssl/x509.h>

static uint8_t label[] = "conformance";

static unsigned count_found(struct template *template, CK_OBJECT_HANDLE *ret_first)
{
    CK_OBJECT_HANDLE found[16];
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG count = 0;

    expect_rv(P11->C_FindObjectsInit(session, template->list, template->count), CKR_OK,
              "C_FindObjectsInit");
    expect_rv(P11->C_FindObjectsInit(session, template->list, template->count),
              CKR_OPERATION_ACTIVE, "C_FindObjectsInit again");
    expect_rv(P11->C_FindObjects(session, found, 16, &count), CKR_OK, "C_FindObjects");
    expect_rv(P11->C_FindObjectsFinal(session), CKR_OK, "C_FindObjectsFinal");
    expect_rv(P11->C_FindObjectsFinal(session), CKR_OPERATION_NOT_INITIALIZED,
              "C_FindObjectsFinal again");
    if (count > 0 && ret_first != NULL) {
        *ret_first = found[0];
    }
    return (unsigned)count;
}

/* ---- certificates, data, profiles ---- */

/* Self-signed, with an imported key. */
static size_t make_certificate(uint8_t *out, uint8_t *subject, size_t *subject_size)
{
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    EVP_PKEY *pkey = pair_imported(P_256)->pkey;
    size_t size;

    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, label, -1, -1, 0) == 1 &&
             X509_set_issuer_name(certificate, name) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL &&
             X509_set_pubkey(certificate, pkey) == 1 &&
             X509_sign(certificate, pkey, EVP_sha256()) > 0,
         "a certificate");
    *subject_size = (size_t)i2d_X509_NAME(name, &subject);
    size = (size_t)i2d_X509(certificate, &out);
    X509_free(certificate);
    return size;
}

static void check_certificate(void)
{
    uint8_t value[2048], subject[256], read[BUFFER_SIZE], hash[32] = {0};
    size_t subject_size, hash_size = 0;
    size_t size = make_certificate(value, subject, &subject_size);
    struct template template;
    CK_OBJECT_HANDLE certificate;

    about("certificates");
    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_CERTIFICATE);
    put_number(&template, CKA_CERTIFICATE_TYPE, CKC_X_509);
    put_bytes(&template, CKA_SUBJECT, subject, subject_size);
    put_bytes(&template, CKA_VALUE, value, size);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    put_number(&template, CKA_NAME_HASH_ALGORITHM, CKM_SHA256);
    put_bytes(&template, CKA_HASH_OF_SUBJECT_PUBLIC_KEY, hash, sizeof hash);
    certificate = create(&template, "a certificate");
    expect(read_number(certificate, CKA_NAME_HASH_ALGORITHM) == CKM_SHA256, "the keys' hash");
    expect_same(read, read_bytes(certificate, CKA_VALUE, read), value, size, "it is read");
    expect(read_number(certificate, CKA_PRIVATE) == 0, "it is public");
    expect(read_number(certificate, CKA_TRUSTED) == 0, "it is not trusted");
    expect(read_number(certificate, CKA_CERTIFICATE_CATEGORY) == 0, "it has no category");
    must(EVP_Q_digest(NULL, "SHA1", NULL, value, size, hash, &hash_size) == 1, "a hash");
    expect_same(read, read_bytes(certificate, CKA_CHECK_VALUE, read), hash, 3, "check value");
    expect_rv(set_flag(certificate, CKA_TRUSTED, true), CKR_ATTRIBUTE_READ_ONLY,
              "the user trusts it");
    template_start(&template);
    put_bytes(&template, CKA_VALUE, subject, subject_size);
    expect_rv(P11->C_SetAttributeValue(conform.session, certificate, template.list, 1),
              CKR_ATTRIBUTE_READ_ONLY, "its value is changed");
    template_start(&template);
    put_bytes(&template, CKA_SUBJECT, subject, subject_size);
    expect(count_found(&template, NULL) == 1, "it is found by its subject");
    destroy(certificate);
    expect(count_found(&template, NULL) == 0, "it is gone");
    expect_rv(P11->C_DestroyObject(conform.session, certificate), CKR_OBJECT_HANDLE_INVALID,
              "its handle is gone");
}

static void check_data(void)
{
    uint8_t value[3000], read[BUFFER_SIZE], oid[] = {0x06, 0x03, 0x2a, 0x03, 0x04};
    struct template template;
    CK_OBJECT_HANDLE data, copy = CK_INVALID_HANDLE;
    CK_ULONG size = 0;

    about("data objects");
    must(RAND_bytes(value, sizeof value) == 1, "random bytes");
    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_DATA);
    put_bytes(&template, CKA_APPLICATION, label, sizeof label);
    put_bytes(&template, CKA_OBJECT_ID, oid, sizeof oid);
    put_bytes(&template, CKA_VALUE, value, sizeof value);
    data = create(&template, "data");
    expect_same(read, read_bytes(data, CKA_VALUE, read), value, sizeof value, "they are read");
    expect_same(read, read_bytes(data, CKA_OBJECT_ID, read), oid, sizeof oid, "their OID");
    expect_rv(P11->C_GetObjectSize(conform.session, data, &size), CKR_OK, "C_GetObjectSize");
    template_start(&template);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    put_flag(&template, CKA_PRIVATE, true);
    expect_rv(P11->C_CopyObject(conform.session, data, template.list, template.count, &copy),
              CKR_OK, "a private copy");
    expect_same(read, read_bytes(copy, CKA_VALUE, read), value, sizeof value, "it is the same");
    expect(read_number(copy, CKA_PRIVATE) == 1, "it is private");
    template_start(&template);
    put_flag(&template, CKA_PRIVATE, false);
    expect_rv(P11->C_CopyObject(conform.session, copy, template.list, 1, &data),
              CKR_TEMPLATE_INCONSISTENT, "a public copy of a private object");
    destroy(copy);
}

static void check_profiles(void)
{
    struct template template;
    CK_OBJECT_HANDLE profile = CK_INVALID_HANDLE;

    about("profiles");
    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_PROFILE);
    expect_either(P11->C_CreateObject(conform.session, template.list, 1, &profile),
                  CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT, "one is made");
    expect(count_found(&template, &profile) > 0, "there is one");
    expect(read_number(profile, CKA_PROFILE_ID) != CK_UNAVAILABLE_INFORMATION, "it has an id");
    expect(P11->C_DestroyObject(conform.session, profile) != CKR_OK, "it stays");
}

static void check_copies(void)
{
    static uint8_t bytes[16] = "a key's value..";
    CK_OBJECT_HANDLE key = secret_import(CKK_AES, bytes, sizeof bytes), copy = 0, bad;
    struct template template;

    about("copies");
    template_start(&template);
    put_flag(&template, CKA_SENSITIVE, true);
    put_flag(&template, CKA_EXTRACTABLE, false);
    put_bytes(&template, CKA_LABEL, label, sizeof label);
    expect_rv(P11->C_CopyObject(conform.session, key, template.list, template.count, &copy), CKR_OK,
              "a copy that is stricter");
    expect(read_number(copy, CKA_SENSITIVE) == 1, "it is sensitive");
    expect(read_number(copy, CKA_ALWAYS_SENSITIVE) == 0, "it was not always");
    expect(read_number(copy, CKA_NEVER_EXTRACTABLE) == 0, "it was extractable");
    template_start(&template);
    put_flag(&template, CKA_EXTRACTABLE, true);
    expect_either(P11->C_CopyObject(conform.session, copy, template.list, 1, &bad),
                  CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT, "a copy that may leave");
    template_start(&template);
    put_flag(&template, CKA_SENSITIVE, false);
    expect_either(P11->C_CopyObject(conform.session, copy, template.list, 1, &bad),
                  CKR_ATTRIBUTE_READ_ONLY, CKR_TEMPLATE_INCONSISTENT, "a copy that shows itself");
    destroy(copy);
    destroy(key);
}

void rules_of_objects(void)
{
    check_certificate();
    check_data();
    check_profiles();
    check_copies();
}

/* ---- use ---- */

static CK_RV sign_init(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = *usual_mechanism(type);

    return P11->C_SignInit(conform.session, &mechanism, key);
}

static CK_RV sign(void)
{
    uint8_t data[32] = {1}, signature[BUFFER_SIZE];
    CK_ULONG size = sizeof signature;

    return P11->C_Sign(conform.session, data, sizeof data, signature, &size);
}

static CK_OBJECT_HANDLE private_with(CK_ATTRIBUTE_TYPE type, void *value, size_t size)
{
    struct template template;

    template_start(&template);
    put_private(&template, P_256, pair_imported(P_256)->pkey);
    put_bytes(&template, type, value, size);
    return create(&template, "a private key");
}

static void check_allowed(void)
{
    CK_MECHANISM_TYPE allowed[] = {CKM_ECDSA_SHA256, CKM_ECDSA_SHA384}, is[4] = {0};
    CK_ATTRIBUTE read = {CKA_ALLOWED_MECHANISMS, is, sizeof is};
    CK_OBJECT_HANDLE key = private_with(CKA_ALLOWED_MECHANISMS, allowed, sizeof allowed);

    about("allowed mechanisms");
    expect_rv(P11->C_GetAttributeValue(conform.session, key, &read, 1), CKR_OK, "they are read");
    expect(read.ulValueLen == sizeof allowed && memcmp(is, allowed, sizeof allowed) == 0,
           "they are those that were named");
    expect_rv(sign_init(CKM_ECDSA_SHA256, key), CKR_OK, "one that is allowed");
    expect_rv(sign(), CKR_OK, "it signs");
    expect_rv(sign_init(CKM_ECDSA, key), CKR_MECHANISM_INVALID, "one that is not");
    destroy(key);
}

static void check_permission(void)
{
    static uint8_t bytes[16] = "a key's value..";
    CK_OBJECT_HANDLE key = private_with(CKA_LABEL, label, sizeof label);
    CK_OBJECT_HANDLE secret = secret_import(CKK_AES, bytes, sizeof bytes);

    about("what a key is for");
    expect_rv(set_flag(key, CKA_SIGN, false), CKR_OK, "it may not sign");
    expect_rv(sign_init(CKM_ECDSA, key), CKR_KEY_FUNCTION_NOT_PERMITTED, "it signs");
    expect_rv(set_flag(key, CKA_SIGN, true), CKR_OK, "it may sign");
    expect_rv(sign_init(CKM_RSA_PKCS, key), CKR_KEY_TYPE_INCONSISTENT, "a key of another type");
    expect_rv(sign_init(CKM_ECDSA, secret), CKR_KEY_TYPE_INCONSISTENT, "a secret key");
    expect_rv(sign_init(CKM_ECDSA, 0), CKR_KEY_HANDLE_INVALID, "no key");
    expect_rv(sign_init(CKM_ECDSA, 0x7fffffff), CKR_KEY_HANDLE_INVALID, "a handle of nothing");
    expect_rv(sign_init(CKM_DES3_CBC, key), CKR_MECHANISM_INVALID, "no mechanism of ours");
    expect_rv(sign(), CKR_OPERATION_NOT_INITIALIZED, "nothing was begun");
    expect_rv(sign_init(CKM_ECDSA, key), CKR_OK, "one is begun");
    expect_rv(sign_init(CKM_ECDSA, key), CKR_OPERATION_ACTIVE, "another one");
    expect_rv(P11->C_SessionCancel(conform.session, CKF_SIGN), CKR_OK, "it is cancelled");
    expect_rv(sign(), CKR_OPERATION_NOT_INITIALIZED, "it is gone");
    expect_rv(sign_init(CKM_ECDSA, key), CKR_OK, "one is begun");
    expect_rv(P11->C_SignInit(conform.session, NULL, 0), CKR_OK, "and ended with no mechanism");
    expect_rv(sign(), CKR_OPERATION_NOT_INITIALIZED, "it is gone");
    destroy(secret);
    destroy(key);
}

/* Between C_SignInit and C_Sign the PIN is said again, each time. */
static void check_always_authenticate(void)
{
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_HANDLE key = private_with(CKA_ALWAYS_AUTHENTICATE, &yes, sizeof yes);
    CK_UTF8CHAR *pin = (CK_UTF8CHAR *)conform.pin;
    CK_UTF8CHAR wrong[] = "not the PIN";
    CK_SESSION_HANDLE session = conform.session;
    size_t size = strlen(conform.pin);

    about("a key that asks for the PIN each time");
    expect_rv(P11->C_Login(session, CKU_CONTEXT_SPECIFIC, pin, size), CKR_OPERATION_NOT_INITIALIZED,
              "the PIN for nothing");
    expect_rv(sign_init(CKM_ECDSA, key), CKR_OK, "C_SignInit");
    expect_rv(sign(), CKR_USER_NOT_LOGGED_IN, "C_Sign without the PIN");
    (void)P11->C_SessionCancel(session, CKF_SIGN);
    for (unsigned turn = 0; turn < 2; turn++) {
        expect_rv(sign_init(CKM_ECDSA, key), CKR_OK, "C_SignInit");
        expect_rv(P11->C_Login(session, CKU_CONTEXT_SPECIFIC, wrong, sizeof wrong - 1),
                  CKR_PIN_INCORRECT, "a wrong PIN");
        expect_rv(P11->C_Login(session, CKU_CONTEXT_SPECIFIC, pin, size), CKR_OK, "the PIN");
        expect_rv(sign(), CKR_OK, "C_Sign");
    }
    expect_rv(sign_init(CKM_ECDSA, key), CKR_OK, "C_SignInit");
    expect_rv(sign(), CKR_USER_NOT_LOGGED_IN, "the PIN said before");
    (void)P11->C_SessionCancel(session, CKF_SIGN);
    destroy(key);
}

void rules_of_use(void)
{
    check_allowed();
    check_permission();
    check_always_authenticate();
}
