/* The edges of mechanisms: empty data, other parameters than the usual ones, sizes just beyond,
 * encodings of curves and points, and what is read of a private key. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/rand.h>
#include <openssl/rsa.h>

/* ---- nothing at all ---- */

static void check_empty_digest(void)
{
    CK_MECHANISM mechanism = {CKM_SHA256, NULL, 0};
    uint8_t wanted[32], made[64], none[1] = {0};
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = sizeof made;
    size_t wanted_size = 0;

    about("the digest of nothing");
    must(EVP_Q_digest(NULL, "SHA256", NULL, none, 0, wanted, &wanted_size) == 1, "a digest");
    expect_rv(P11->C_DigestInit(session, &mechanism), CKR_OK, "C_DigestInit");
    expect_rv(P11->C_Digest(session, none, 0, made, &size), CKR_OK, "C_Digest");
    expect_same(made, size, wanted, wanted_size, "whole");
    size = sizeof made;
    expect_rv(P11->C_DigestInit(session, &mechanism), CKR_OK, "C_DigestInit");
    expect_rv(P11->C_DigestFinal(session, made, &size), CKR_OK, "C_DigestFinal alone");
    expect_same(made, size, wanted, wanted_size, "in no parts");
    size = sizeof made;
    expect_rv(P11->C_DigestInit(session, &mechanism), CKR_OK, "C_DigestInit");
    expect_rv(P11->C_DigestUpdate(session, none, 0), CKR_OK, "C_DigestUpdate of nothing");
    expect_rv(P11->C_DigestFinal(session, made, &size), CKR_OK, "C_DigestFinal");
    expect_same(made, size, wanted, wanted_size, "in an empty part");
}

static void check_empty_signature(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE private,
                                  CK_OBJECT_HANDLE public)
{
    CK_MECHANISM mechanism = *usual_mechanism(type);
    CK_SESSION_HANDLE session = conform.session;
    uint8_t made[BUFFER_SIZE], none[1] = {0};
    CK_ULONG size = sizeof made;

    about("the signature of nothing, mechanism 0x%lx", type);
    expect_rv(P11->C_SignInit(session, &mechanism, private), CKR_OK, "C_SignInit");
    expect_rv(P11->C_Sign(session, none, 0, made, &size), CKR_OK, "C_Sign");
    expect_rv(P11->C_VerifyInit(session, &mechanism, public), CKR_OK, "C_VerifyInit");
    expect_rv(P11->C_Verify(session, none, 0, made, size), CKR_OK, "C_Verify");
    expect_rv(P11->C_VerifyInit(session, &mechanism, public), CKR_OK, "C_VerifyInit");
    expect_rv(P11->C_VerifyFinal(session, made, size), CKR_OK, "C_VerifyFinal alone");
    size = sizeof made;
    expect_rv(P11->C_SignInit(session, &mechanism, private), CKR_OK, "C_SignInit");
    expect_rv(P11->C_SignFinal(session, made, &size), CKR_OK, "C_SignFinal alone");
    expect_rv(P11->C_VerifyInit(session, &mechanism, public), CKR_OK, "C_VerifyInit");
    expect_rv(P11->C_Verify(session, none, 0, made, size), CKR_OK, "C_Verify");
}

static void check_empty_cipher(CK_MECHANISM_TYPE type, size_t wanted, CK_OBJECT_HANDLE key)
{
    CK_MECHANISM mechanism = *usual_mechanism(type);
    CK_SESSION_HANDLE session = conform.session;
    uint8_t made[64], back[64], none[1] = {0};
    CK_ULONG size = sizeof made, back_size = sizeof back;

    about("the ciphertext of nothing, mechanism 0x%lx", type);
    expect_rv(P11->C_EncryptInit(session, &mechanism, key), CKR_OK, "C_EncryptInit");
    expect_rv(P11->C_Encrypt(session, none, 0, made, &size), CKR_OK, "C_Encrypt");
    expect(size == wanted, "it has %lu bytes", size);
    expect_rv(P11->C_DecryptInit(session, &mechanism, key), CKR_OK, "C_DecryptInit");
    expect_rv(P11->C_Decrypt(session, made, size, back, &back_size), CKR_OK, "C_Decrypt");
    expect(back_size == 0, "nothing comes back");
    size = sizeof made;
    expect_rv(P11->C_EncryptInit(session, &mechanism, key), CKR_OK, "C_EncryptInit");
    expect_rv(P11->C_EncryptFinal(session, made, &size), CKR_OK, "C_EncryptFinal alone");
    expect(size == wanted, "it has %lu bytes", size);
}

static void check_nothing(void)
{
    uint8_t value[32] = {7};
    CK_OBJECT_HANDLE aes = secret_import(CKK_AES, value, sizeof value);
    CK_OBJECT_HANDLE secret = secret_import(CKK_GENERIC_SECRET, value, sizeof value);

    check_empty_digest();
    check_empty_signature(CKM_SHA256_HMAC, secret, secret);
    check_empty_signature(CKM_AES_CMAC, aes, aes);
    check_empty_signature(CKM_SHA256_RSA_PKCS, pair_imported(RSA_2048)->private,
                          pair_imported(RSA_2048)->public);
    check_empty_signature(CKM_ECDSA_SHA256, pair_imported(P_256)->private,
                          pair_imported(P_256)->public);
    check_empty_cipher(CKM_AES_CBC_PAD, 16, aes);
    check_empty_cipher(CKM_AES_GCM, 16, aes);
    check_empty_cipher(CKM_AES_CTR, 0, aes);
    destroy(aes);
    destroy(secret);
}

/* ---- parameters ---- */

static CK_RV crypt(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, bool encrypt, uint8_t *in,
                   size_t size, uint8_t *out, CK_ULONG *out_size)
{
    CK_RV rv = encrypt ? P11->C_EncryptInit(conform.session, mechanism, key)
                       : P11->C_DecryptInit(conform.session, mechanism, key);

    *out_size = BUFFER_SIZE;
    if (rv != CKR_OK) {
        return rv;
    }
    rv = encrypt ? P11->C_Encrypt(conform.session, in, size, out, out_size)
                 : P11->C_Decrypt(conform.session, in, size, out, out_size);
    expect(rv != CKR_MECHANISM_PARAM_INVALID, "parameters are checked as it begins");
    return rv;
}

/* There and back. */
static CK_RV crypt_twice(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE to, CK_OBJECT_HANDLE from)
{
    uint8_t data[40] = "forty bytes", made[BUFFER_SIZE], back[BUFFER_SIZE];
    CK_ULONG size, back_size;
    CK_RV rv = crypt(mechanism, to, true, data, sizeof data, made, &size);

    if (rv == CKR_OK) {
        rv = crypt(mechanism, from, false, made, size, back, &back_size);
    }
    if (rv == CKR_OK) {
        expect_same(back, back_size, data, sizeof data, "it comes back");
    }
    return rv;
}

static void check_gcm(CK_OBJECT_HANDLE key)
{
    static const struct {
        CK_ULONG iv_size, aad_size, tag_bits;
        CK_RV wanted;
    } rows[] = {
        {12, 0, 128, CKR_OK},
        {12, 32, 120, CKR_OK},
        {12, 32, 112, CKR_OK},
        {12, 32, 104, CKR_OK},
        {12, 32, 96, CKR_OK},
        {1, 32, 128, CKR_OK},
        {16, 32, 128, CKR_OK},
        {128, 0, 128, CKR_OK},
        {0, 0, 128, CKR_MECHANISM_PARAM_INVALID},
        {12, 0, 136, CKR_MECHANISM_PARAM_INVALID},
        {12, 0, 127, CKR_MECHANISM_PARAM_INVALID},
    };
    uint8_t iv[256] = {9}, aad[32] = {8};

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CK_GCM_PARAMS_V3 gcm = {iv,  rows[i].iv_size,  8 * rows[i].iv_size,
                                aad, rows[i].aad_size, rows[i].tag_bits};
        CK_NSS_GCM_PARAMS older = {iv, rows[i].iv_size, aad, rows[i].aad_size, rows[i].tag_bits};
        CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};

        about("GCM: IV of %lu bytes, AAD of %lu, tag of %lu bits", rows[i].iv_size,
              rows[i].aad_size, rows[i].tag_bits);
        expect_rv(crypt_twice(&mechanism, key, key), rows[i].wanted, "as in 2.40 and 3.0");
        mechanism.pParameter = &older;
        mechanism.ulParameterLen = sizeof older;
        expect_rv(crypt_twice(&mechanism, key, key), rows[i].wanted, "as in 2.20");
    }
}

static void check_ctr(CK_OBJECT_HANDLE key)
{
    CK_AES_CTR_PARAMS ctr = {32, {0}};
    CK_MECHANISM mechanism = {CKM_AES_CTR, &ctr, sizeof ctr};
    uint8_t data[40] = {0}, made[BUFFER_SIZE];
    CK_ULONG size;

    about("CTR");
    expect_rv(crypt_twice(&mechanism, key, key), CKR_OK, "a counter of 32 bits");
    memset(ctr.cb + 12, 0xff, 4);
    expect_rv(crypt(&mechanism, key, true, data, 16, made, &size), CKR_OK, "its last value");
    expect_rv(crypt(&mechanism, key, true, data, 17, made, &size), CKR_DATA_LEN_RANGE,
              "one more than it can count");
    ctr.ulCounterBits = 0;
    expect_rv(crypt_twice(&mechanism, key, key), CKR_MECHANISM_PARAM_INVALID, "no counter");
    ctr.ulCounterBits = 129;
    expect_rv(crypt_twice(&mechanism, key, key), CKR_MECHANISM_PARAM_INVALID, "129 bits");
}

static void check_oaep(void)
{
    static uint8_t label[] = "a label";
    static struct {
        CK_RSA_PKCS_OAEP_PARAMS params;
        CK_RV wanted;
    } rows[] = {
        {{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0}, CKR_OK},
        {{CKM_SHA224, CKG_MGF1_SHA224, CKZ_DATA_SPECIFIED, NULL, 0}, CKR_OK},
        {{CKM_SHA384, CKG_MGF1_SHA384, CKZ_DATA_SPECIFIED, label, sizeof label}, CKR_OK},
        {{CKM_SHA512, CKG_MGF1_SHA512, CKZ_DATA_SPECIFIED, NULL, 0}, CKR_OK},
        {{CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0}, CKR_OK},
        {{CKM_SHA256, CKG_MGF1_SHA1, 0, NULL, 0}, CKR_OK},
        {{CKM_AES_ECB, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0}, CKR_MECHANISM_PARAM_INVALID},
        {{CKM_SHA256, 77, CKZ_DATA_SPECIFIED, NULL, 0}, CKR_MECHANISM_PARAM_INVALID},
        {{CKM_SHA256, CKG_MGF1_SHA256, 77, NULL, 0}, CKR_MECHANISM_PARAM_INVALID},
    };
    const struct pair *pair = pair_imported(RSA_2048);

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &rows[i].params, sizeof rows[i].params};

        about("OAEP, row %u", i);
        expect_rv(crypt_twice(&mechanism, pair->public, pair->private), rows[i].wanted, "OAEP");
    }
}

static CK_RV sign_twice(CK_MECHANISM *mechanism, const struct pair *pair, size_t data_size)
{
    uint8_t data[128] = "data", signature[BUFFER_SIZE];
    CK_ULONG size = sizeof signature;
    CK_RV rv = P11->C_SignInit(conform.session, mechanism, pair->private);

    if (rv == CKR_OK) {
        rv = P11->C_Sign(conform.session, data, data_size, signature, &size);
        expect(rv != CKR_MECHANISM_PARAM_INVALID, "parameters are checked as it begins");
    }
    if (rv == CKR_OK) {
        rv = P11->C_VerifyInit(conform.session, mechanism, pair->public);
    }
    return rv == CKR_OK ? P11->C_Verify(conform.session, data, data_size, signature, size) : rv;
}

static void check_pss(void)
{
    static struct {
        CK_MECHANISM_TYPE type;
        CK_RSA_PKCS_PSS_PARAMS params;
        size_t data_size;
        CK_RV wanted, other;
    } rows[] = {
        {CKM_RSA_PKCS_PSS, {CKM_SHA256, CKG_MGF1_SHA256, 0}, 32, CKR_OK, CKR_OK},
        {CKM_RSA_PKCS_PSS, {CKM_SHA256, CKG_MGF1_SHA1, 20}, 32, CKR_OK, CKR_OK},
        {CKM_RSA_PKCS_PSS, {CKM_SHA512, CKG_MGF1_SHA512, 190}, 64, CKR_OK, CKR_OK},
        {CKM_RSA_PKCS_PSS,
         {CKM_SHA512, CKG_MGF1_SHA512, 191},
         64,
         CKR_MECHANISM_PARAM_INVALID,
         CKR_KEY_SIZE_RANGE},
        {CKM_RSA_PKCS_PSS,
         {CKM_SHA256, CKG_MGF1_SHA256, 32},
         31,
         CKR_DATA_LEN_RANGE,
         CKR_DATA_LEN_RANGE},
        {CKM_SHA256_RSA_PKCS_PSS, {CKM_SHA256, CKG_MGF1_SHA384, 5}, 99, CKR_OK, CKR_OK},
        {CKM_SHA256_RSA_PKCS_PSS,
         {CKM_SHA384, CKG_MGF1_SHA384, 48},
         99,
         CKR_MECHANISM_PARAM_INVALID,
         CKR_MECHANISM_PARAM_INVALID},
        {CKM_RSA_PKCS_PSS,
         {CKM_SHA256, 77, 32},
         32,
         CKR_MECHANISM_PARAM_INVALID,
         CKR_MECHANISM_PARAM_INVALID},
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CK_MECHANISM mechanism = {rows[i].type, &rows[i].params, sizeof rows[i].params};

        about("PSS, row %u", i);
        expect_either(sign_twice(&mechanism, pair_imported(RSA_2048), rows[i].data_size),
                      rows[i].wanted, rows[i].other, "PSS");
    }
}

/* ---- imports just beyond, and in other shapes ---- */

static CK_RV try_create(struct template *template)
{
    CK_OBJECT_HANDLE object = CK_INVALID_HANDLE;
    CK_RV rv = P11->C_CreateObject(conform.session, template->list, template->count, &object);

    if (rv == CKR_OK) {
        destroy(object);
    }
    return rv;
}

static CK_RV import_secret(CK_KEY_TYPE type, size_t size)
{
    static uint8_t value[BUFFER_SIZE];
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, type);
    put_bytes(&template, CKA_VALUE, value, size);
    return try_create(&template);
}

static void check_sizes(void)
{
    EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    struct template template;

    about("sizes of what is imported");
    must(small != NULL, "a small RSA key");
    template_start(&template);
    put_private(&template, RSA_2048, small);
    expect_either(try_create(&template), CKR_KEY_SIZE_RANGE, CKR_ATTRIBUTE_VALUE_INVALID,
                  "a private RSA key of 1024 bits");
    EVP_PKEY_free(small);
    expect_rv(import_secret(CKK_GENERIC_SECRET, 1), CKR_OK, "one byte");
    expect_rv(import_secret(CKK_GENERIC_SECRET, 4096), CKR_OK, "4096 bytes");
    expect_either(import_secret(CKK_GENERIC_SECRET, 4097), CKR_KEY_SIZE_RANGE,
                  CKR_ATTRIBUTE_VALUE_INVALID, "4097 bytes");
    expect_either(import_secret(CKK_GENERIC_SECRET, 0), CKR_KEY_SIZE_RANGE,
                  CKR_ATTRIBUTE_VALUE_INVALID, "no bytes");
}

/* The modulus and both exponents alone. */
static void check_bare_rsa(void)
{
    const struct pair *pair = pair_imported(RSA_2048);
    CK_MECHANISM mechanism = {CKM_SHA256_RSA_PKCS, NULL, 0};
    struct template template, bare;
    struct pair other = *pair;

    about("an RSA key without its primes");
    template_start(&template);
    put_private(&template, RSA_2048, pair->pkey);
    template_start(&bare);
    for (CK_ULONG i = 0; i < template.count; i++) {
        CK_ATTRIBUTE_TYPE type = template.list[i].type;

        if (type < CKA_PRIME_1 || type > CKA_COEFFICIENT) {
            put_bytes(&bare, type, template.list[i].pValue, template.list[i].ulValueLen);
        }
    }
    other.private = create(&bare, "it");
    expect_rv(sign_twice(&mechanism, &other, 100), CKR_OK, "it signs");
    destroy(other.private);
}

static void check_points(void)
{
    const struct pair *pair = pair_imported(P_256);
    uint8_t raw[BUFFER_SIZE], bits[BUFFER_SIZE];
    size_t size = read_bytes(pair->public, CKA_EC_POINT, raw);
    CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};

    must(size == 67, "a point of P-256");
    memcpy(bits, "\x03\x42\x00", 3);
    memcpy(bits + 3, raw + 2, 65);
    for (unsigned i = 0; i < 2; i++) {
        struct template template;
        struct pair other = *pair;
        uint8_t read[BUFFER_SIZE];

        about("a point %s", i == 0 ? "that is raw" : "in a BIT STRING");
        template_start(&template);
        put_number(&template, CKA_CLASS, CKO_PUBLIC_KEY);
        put_number(&template, CKA_KEY_TYPE, CKK_EC);
        put_curve(&template, P_256);
        put_bytes(&template, CKA_EC_POINT, i == 0 ? raw + 2 : bits, i == 0 ? 65 : 68);
        other.public = create(&template, "a public key");
        expect_rv(sign_twice(&mechanism, &other, 100), CKR_OK, "it verifies");
        expect_same(read, read_bytes(other.public, CKA_EC_POINT, read), raw, size,
                    "it is shown in an OCTET STRING");
        destroy(other.public);
    }
}

static void check_curve_names(void)
{
    static const struct {
        CK_MECHANISM_TYPE type;
        const char *der;
    } rows[] = {
        {CKM_EC_EDWARDS_KEY_PAIR_GEN, "\x13\x0c"
                                      "edwards25519"},
        {CKM_EC_EDWARDS_KEY_PAIR_GEN, "\x13\x0a"
                                      "edwards448"},
        {CKM_EC_MONTGOMERY_KEY_PAIR_GEN, "\x13\x0a"
                                         "curve25519"},
        {CKM_EC_MONTGOMERY_KEY_PAIR_GEN, "\x13\x08"
                                         "curve448"},
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CK_MECHANISM mechanism = {rows[i].type, NULL, 0};
        CK_OBJECT_HANDLE public = 0, private = 0;
        uint8_t name[20], read[BUFFER_SIZE];
        size_t size = strlen(rows[i].der);
        struct template template;

        about("the curve's name \"%s\"", rows[i].der + 2);
        memcpy(name, rows[i].der, size);
        template_start(&template);
        put_bytes(&template, CKA_EC_PARAMS, name, size);
        expect_rv(P11->C_GenerateKeyPair(conform.session, &mechanism, template.list, 1, NULL, 0,
                                         &public, &private),
                  CKR_OK, "a pair is generated");
        expect_same(read, read_bytes(public, CKA_EC_PARAMS, read), name, size,
                    "what was asked for is given back");
        destroy(public);
        destroy(private);
    }
}

/* ---- what a private key shows ---- */

static void check_private_parts(void)
{
    static const CK_ATTRIBUTE_TYPE hidden[] = {CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
                                               CKA_PRIME_2,          CKA_EXPONENT_1,
                                               CKA_EXPONENT_2,       CKA_COEFFICIENT};
    const struct pair *open = pair_imported(RSA_2048), *closed = pair_generated(RSA_2048);
    uint8_t value[BUFFER_SIZE];
    struct template wanted;

    about("a private RSA key");
    template_start(&wanted);
    put_private(&wanted, RSA_2048, open->pkey);
    for (CK_ULONG i = 0; i < wanted.count; i++) {
        const CK_ATTRIBUTE *part = &wanted.list[i];

        CK_ATTRIBUTE attribute = {part->type, value, sizeof value};
        CK_RV rv;

        if (part->type < CKA_MODULUS || part->type > CKA_COEFFICIENT) {
            continue;
        }
        /* What is not sensitive may all the same be kept back by the partition's policy. */
        rv = P11->C_GetAttributeValue(conform.session, open->private, &attribute, 1);
        if (part->type >= CKA_PRIVATE_EXPONENT && rv == CKR_ATTRIBUTE_SENSITIVE) {
            expect(attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION, "it has no length");
        } else if (expect_rv(rv, CKR_OK, "part 0x%lx is read", part->type)) {
            expect_same(value, attribute.ulValueLen, part->pValue, part->ulValueLen,
                        "a part is what it was");
        }
    }
    for (unsigned i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        CK_ATTRIBUTE attribute = {hidden[i], value, sizeof value};

        expect_rv(P11->C_GetAttributeValue(conform.session, closed->private, &attribute, 1),
                  CKR_ATTRIBUTE_SENSITIVE, "a sensitive key's part 0x%lx", hidden[i]);
    }
    expect(read_bytes(closed->private, CKA_MODULUS, value) == 256, "its modulus is shown");
    expect(read_bytes(closed->private, CKA_PUBLIC_EXPONENT, value) == 3, "its exponent is shown");
}

void edges_of_mechanisms(void)
{
    uint8_t value[32] = {7};
    CK_OBJECT_HANDLE key;

    check_nothing();
    about("edges");
    key = secret_import(CKK_AES, value, sizeof value);
    check_gcm(key);
    check_ctr(key);
    destroy(key);
    check_oaep();
    check_pss();
    check_sizes();
    check_bare_rsa();
    check_points();
    check_curve_names();
    check_private_parts();
}
