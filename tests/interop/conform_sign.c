/* Signatures: RSA and curves here, MACs, and what both share; recovery. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

enum scheme { PKCS1, RAW, PSS, ECDSA, EDDSA };

static const struct row {
    CK_MECHANISM_TYPE type;
    enum scheme scheme;
    CK_MECHANISM_TYPE hash; /* that the mechanism makes; 0 */
} rows[] = {
    {CKM_RSA_PKCS, PKCS1, 0},
    {CKM_RSA_X_509, RAW, 0},
    {CKM_RSA_PKCS_PSS, PSS, 0},
    {CKM_SHA1_RSA_PKCS, PKCS1, CKM_SHA_1},
    {CKM_SHA224_RSA_PKCS, PKCS1, CKM_SHA224},
    {CKM_SHA256_RSA_PKCS, PKCS1, CKM_SHA256},
    {CKM_SHA384_RSA_PKCS, PKCS1, CKM_SHA384},
    {CKM_SHA512_RSA_PKCS, PKCS1, CKM_SHA512},
    {CKM_SHA1_RSA_PKCS_PSS, PSS, CKM_SHA_1},
    {CKM_SHA224_RSA_PKCS_PSS, PSS, CKM_SHA224},
    {CKM_SHA256_RSA_PKCS_PSS, PSS, CKM_SHA256},
    {CKM_SHA384_RSA_PKCS_PSS, PSS, CKM_SHA384},
    {CKM_SHA512_RSA_PKCS_PSS, PSS, CKM_SHA512},
    {CKM_ECDSA, ECDSA, 0},
    {CKM_ECDSA_SHA1, ECDSA, CKM_SHA_1},
    {CKM_ECDSA_SHA224, ECDSA, CKM_SHA224},
    {CKM_ECDSA_SHA256, ECDSA, CKM_SHA256},
    {CKM_ECDSA_SHA384, ECDSA, CKM_SHA384},
    {CKM_ECDSA_SHA512, ECDSA, CKM_SHA512},
    {CKM_EDDSA, EDDSA, 0},
};

/* ---- the token's side ---- */

static size_t sign_message(const struct signing *signing, bool parts, uint8_t *out)
{
    CK_SESSION_HANDLE session = conform.session;
    size_t half = signing->data_size / 2;
    CK_ULONG size = BUFFER_SIZE;
    CK_RV rv = P11->C_MessageSignInit(session, signing->mechanism, signing->sign_key);

    if (!expect_rv(rv, CKR_OK, "C_MessageSignInit")) {
        return 0;
    }
    if (parts) {
        expect_rv(P11->C_SignMessageBegin(session, NULL, 0), CKR_OK, "C_SignMessageBegin");
        expect_rv(P11->C_SignMessageNext(session, NULL, 0, signing->data, half, NULL, NULL), CKR_OK,
                  "C_SignMessageNext");
        rv = P11->C_SignMessageNext(session, NULL, 0, signing->data + half,
                                    signing->data_size - half, out, &size);
    } else {
        rv = P11->C_SignMessage(session, NULL, 0, signing->data, signing->data_size, out, &size);
    }
    expect_rv(rv, CKR_OK, "a message is signed");
    expect_rv(P11->C_MessageSignFinal(session), CKR_OK, "C_MessageSignFinal");
    return rv == CKR_OK ? size : 0;
}

size_t token_sign(const struct signing *signing, unsigned way, uint8_t *out)
{
    if ((way == 1 || way == 3) && !signing->parts) {
        return 0;
    }
    if (way >= 2) {
        return sign_message(signing, way == 3, out);
    }
    if (!expect_rv(P11->C_SignInit(conform.session, signing->mechanism, signing->sign_key), CKR_OK,
                   "C_SignInit")) {
        return 0;
    }
    if (way == 0) {
        return one_shot("C_Sign", P11->C_Sign, signing->data, signing->data_size, out);
    }
    return feed_parts("C_Sign", P11->C_SignUpdate, signing->data, signing->data_size)
               ? last_part("C_Sign", P11->C_SignFinal, out)
               : 0;
}

static CK_RV verify_message(const struct signing *signing, bool parts, uint8_t *signature,
                            size_t size)
{
    CK_SESSION_HANDLE session = conform.session;
    size_t half = signing->data_size / 2;
    CK_RV rv = P11->C_MessageVerifyInit(session, signing->mechanism, signing->verify_key);

    if (rv != CKR_OK) {
        return rv;
    }
    if (parts) {
        expect_rv(P11->C_VerifyMessageBegin(session, NULL, 0), CKR_OK, "C_VerifyMessageBegin");
        expect_rv(P11->C_VerifyMessageNext(session, NULL, 0, signing->data, half, NULL, 0), CKR_OK,
                  "C_VerifyMessageNext");
        rv = P11->C_VerifyMessageNext(session, NULL, 0, signing->data + half,
                                      signing->data_size - half, signature, size);
    } else {
        rv = P11->C_VerifyMessage(session, NULL, 0, signing->data, signing->data_size, signature,
                                  size);
    }
    expect_rv(P11->C_MessageVerifyFinal(session), CKR_OK, "C_MessageVerifyFinal");
    return rv;
}

static CK_RV verify_way(const struct signing *signing, unsigned way, uint8_t *signature,
                        size_t size)
{
    CK_RV rv;

    if (way >= 2) {
        return verify_message(signing, way == 3, signature, size);
    }
    rv = P11->C_VerifyInit(conform.session, signing->mechanism, signing->verify_key);
    if (rv != CKR_OK) {
        return rv;
    }
    if (way == 0) {
        return P11->C_Verify(conform.session, signing->data, signing->data_size, signature, size);
    }
    feed_parts("C_Verify", P11->C_VerifyUpdate, signing->data, signing->data_size);
    return P11->C_VerifyFinal(conform.session, signature, size);
}

void token_verify(const struct signing *signing, uint8_t *signature)
{
    size_t size = signing->signature_size;

    for (unsigned way = 0; way < SIGN_WAYS; way++) {
        if (!signing->parts && (way == 1 || way == 3)) {
            continue;
        }
        expect_rv(verify_way(signing, way, signature, size), CKR_OK, "way %u verifies", way);
        signature[size / 2] ^= 4;
        expect_rv(verify_way(signing, way, signature, size), CKR_SIGNATURE_INVALID,
                  "way %u refuses a changed signature", way);
        signature[size / 2] ^= 4;
        /* ECDSA looks at the leading bytes alone. */
        signing->data[1] ^= 1;
        expect_rv(verify_way(signing, way, signature, size), CKR_SIGNATURE_INVALID,
                  "way %u refuses changed data", way);
        /* ECDSA looks at the leading bytes alone. */
        signing->data[1] ^= 1;
        expect_rv(verify_way(signing, way, signature, size - 1), CKR_SIGNATURE_LEN_RANGE,
                  "way %u refuses a short signature", way);
        expect_rv(verify_way(signing, way, signature, size + 1), CKR_SIGNATURE_LEN_RANGE,
                  "way %u refuses a long signature", way);
    }
}

/* ---- OpenSSL's side ---- */

static size_t hash_of(const char *name, const uint8_t *data, size_t size, uint8_t *out)
{
    size_t made = 0;

    must(EVP_Q_digest(NULL, name, NULL, data, size, out, &made) == 1, name);
    return made;
}

static void set_padding(EVP_PKEY_CTX *ctx, const struct row *row)
{
    const EVP_MD *md = row->hash != 0 ? EVP_get_digestbyname(digest_name(row->hash)) : NULL;

    if (row->scheme == PSS && md == NULL) {
        md = EVP_sha256();
    }
    if (row->scheme == PSS) {
        must(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1, "PSS");
    } else if (row->scheme != ECDSA) {
        must(EVP_PKEY_CTX_set_rsa_padding(ctx, row->scheme == RAW ? RSA_NO_PADDING
                                                                  : RSA_PKCS1_PADDING) == 1,
             "padding");
    }
    must(md == NULL || EVP_PKEY_CTX_set_signature_md(ctx, md) == 1, "a hash");
    if (row->scheme == PSS) {
        must(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
                 EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, EVP_MD_get_size(md)) == 1,
             "PSS's parameters");
    }
}

static size_t ecdsa_from_der(const uint8_t *der, size_t der_size, uint8_t *out, size_t size)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)der_size);
    int half = (int)size / 2;

    must(pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half) == half &&
             BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half) == half,
         "an ECDSA signature");
    ECDSA_SIG_free(pair);
    return size;
}

static size_t ecdsa_to_der(const uint8_t *signature, size_t size, uint8_t *out)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    int half = (int)size / 2, made;

    must(pair != NULL && ECDSA_SIG_set0(pair, BN_bin2bn(signature, half, NULL),
                                        BN_bin2bn(signature + half, half, NULL)) == 1,
         "an ECDSA signature");
    made = i2d_ECDSA_SIG(pair, &out);
    ECDSA_SIG_free(pair);
    return (size_t)made;
}

static size_t openssl_sign(const struct row *row, EVP_PKEY *pkey, const struct signing *signing,
                           uint8_t *out)
{
    uint8_t hash[EVP_MAX_MD_SIZE], made[BUFFER_SIZE];
    const uint8_t *data = signing->data;
    size_t size = signing->data_size, made_size = sizeof made;
    EVP_PKEY_CTX *ctx;

    if (row->scheme == EDDSA) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();

        must(EVP_DigestSignInit(md, NULL, NULL, NULL, pkey) == 1 &&
                 EVP_DigestSign(md, out, &made_size, data, size) == 1,
             "OpenSSL signs");
        EVP_MD_CTX_free(md);
        return made_size;
    }
    if (row->hash != 0) {
        size = hash_of(digest_name(row->hash), data, size, hash);
        data = hash;
    }
    ctx = EVP_PKEY_CTX_new(pkey, NULL);
    must(ctx != NULL && EVP_PKEY_sign_init(ctx) == 1, "OpenSSL begins to sign");
    set_padding(ctx, row);
    must(EVP_PKEY_sign(ctx, made, &made_size, data, size) == 1, "OpenSSL signs");
    EVP_PKEY_CTX_free(ctx);
    if (row->scheme == ECDSA) {
        return ecdsa_from_der(made, made_size, out, signing->signature_size);
    }
    memcpy(out, made, made_size);
    return made_size;
}

static bool openssl_verifies(const struct row *row, EVP_PKEY *pkey, const struct signing *signing,
                             const uint8_t *signature)
{
    uint8_t hash[EVP_MAX_MD_SIZE], der[BUFFER_SIZE];
    const uint8_t *data = signing->data;
    size_t size = signing->data_size, signature_size = signing->signature_size;
    EVP_PKEY_CTX *ctx;
    bool verified;

    if (row->scheme == EDDSA) {
        EVP_MD_CTX *md = EVP_MD_CTX_new();

        verified = EVP_DigestVerifyInit(md, NULL, NULL, NULL, pkey) == 1 &&
                   EVP_DigestVerify(md, signature, signature_size, data, size) == 1;
        EVP_MD_CTX_free(md);
        return verified;
    }
    if (row->hash != 0) {
        size = hash_of(digest_name(row->hash), data, size, hash);
        data = hash;
    }
    if (row->scheme == ECDSA) {
        signature_size = ecdsa_to_der(signature, signature_size, der);
        signature = der;
    }
    ctx = EVP_PKEY_CTX_new(pkey, NULL);
    must(ctx != NULL && EVP_PKEY_verify_init(ctx) == 1, "OpenSSL begins to verify");
    set_padding(ctx, row);
    verified = EVP_PKEY_verify(ctx, signature, signature_size, data, size) == 1;
    EVP_PKEY_CTX_free(ctx);
    return verified;
}

/* ---- pairs ---- */

static void cross_check(const struct row *row, const struct pair *pair, struct signing *signing,
                        bool has_private)
{
    bool fixed = row->scheme == PKCS1 || row->scheme == RAW || row->scheme == EDDSA;
    uint8_t first[BUFFER_SIZE], made[BUFFER_SIZE];

    signing->sign_key = pair->private;
    signing->verify_key = pair->public;
    for (unsigned way = 0; way < SIGN_WAYS; way++) {
        size_t size = token_sign(signing, way, way == 0 ? first : made);

        if (!signing->parts && (way == 1 || way == 3)) {
            continue;
        }
        expect(size == signing->signature_size &&
                   openssl_verifies(row, pair->pkey, signing, way == 0 ? first : made),
               "OpenSSL verifies what way %u signed", way);
        if (way > 0 && fixed) {
            expect_same(made, size, first, signing->signature_size, "all ways sign alike");
        }
    }
    token_verify(signing, first);
    if (has_private) {
        size_t size = openssl_sign(row, pair->pkey, signing, made);

        expect(size == signing->signature_size, "OpenSSL's signature has the same size");
        token_verify(signing, made);
        if (fixed) {
            expect_same(first, size, made, size, "OpenSSL signs the same");
        }
    }
}

static bool is_of(const struct row *row, enum kind kind)
{
    CK_KEY_TYPE type = kind_type(kind);

    if (row->scheme == ECDSA || row->scheme == EDDSA) {
        return type == (row->scheme == ECDSA ? CKK_EC : CKK_EC_EDWARDS);
    }
    return type == CKK_RSA;
}

static size_t data_size_of(const struct row *row, enum kind kind)
{
    if (row->hash != 0 || row->scheme == EDDSA) {
        return 1000;
    }
    if (row->scheme == RAW) {
        return kind_signature_size(kind);
    }
    if (row->scheme == ECDSA) {
        return 64; /* Longer than some orders. */
    }
    return row->scheme == PSS ? 32 : 51;
}

/* The largest data of mechanisms that do not hash, and one more. */
static void check_data_size(const struct row *row, enum kind kind, struct signing *signing)
{
    size_t largest = kind_signature_size(kind) - (row->scheme == PKCS1 ? 11 : 0);
    uint8_t made[BUFFER_SIZE];
    CK_ULONG size = sizeof made;

    if (row->hash != 0 || (row->scheme != PKCS1 && row->scheme != RAW)) {
        return;
    }
    expect_rv(P11->C_SignInit(conform.session, signing->mechanism, signing->sign_key), CKR_OK,
              "C_SignInit");
    expect_rv(P11->C_Sign(conform.session, signing->data, largest + 1, made, &size),
              CKR_DATA_LEN_RANGE, "one byte too many to sign");
    signing->data_size = largest;
    expect(token_sign(signing, 0, made) == kind_signature_size(kind), "as much as there can be");
}

static CK_FLAGS check_recovery(enum kind kind, struct signing *signing)
{
    uint8_t signature[BUFFER_SIZE], data[BUFFER_SIZE];
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG size = sizeof data;

    about("recovery, %s", kind_name(kind));
    expect_rv(P11->C_SignRecoverInit(session, signing->mechanism, signing->sign_key), CKR_OK,
              "C_SignRecoverInit");
    expect(one_shot("C_SignRecover", P11->C_SignRecover, signing->data, signing->data_size,
                    signature) == signing->signature_size,
           "a signature with recovery");
    expect_rv(P11->C_VerifyRecoverInit(session, signing->mechanism, signing->verify_key), CKR_OK,
              "C_VerifyRecoverInit");
    size =
        one_shot("C_VerifyRecover", P11->C_VerifyRecover, signature, signing->signature_size, data);
    expect_same(data, size, signing->data, signing->data_size, "the data is recovered");
    if (signing->mechanism->mechanism == CKM_RSA_PKCS) {
        signature[9] ^= 1;
        size = sizeof data;
        expect_rv(P11->C_VerifyRecoverInit(session, signing->mechanism, signing->verify_key),
                  CKR_OK, "C_VerifyRecoverInit");
        expect_rv(P11->C_VerifyRecover(session, signature, signing->signature_size, data, &size),
                  CKR_SIGNATURE_INVALID, "a changed signature recovers nothing");
    }
    return CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER;
}

static CK_FLAGS sign_with(const struct row *row, enum kind kind)
{
    uint8_t data[BUFFER_SIZE];
    CK_FLAGS flags = SIGNING_FLAGS;
    struct signing signing = {.mechanism = usual_mechanism(row->type),
                              .data = data,
                              .data_size = data_size_of(row, kind),
                              .signature_size = kind_signature_size(kind),
                              .parts = row->hash != 0};

    must(RAND_bytes(data, sizeof data) == 1, "random bytes");
    data[0] = 0; /* Raw RSA: less than the modulus. */
    about("mechanism 0x%lx, imported %s", row->type, kind_name(kind));
    cross_check(row, pair_imported(kind), &signing, true);
    about("mechanism 0x%lx, generated %s", row->type, kind_name(kind));
    cross_check(row, pair_generated(kind), &signing, false);
    if (row->hash == 0 && (row->scheme == PKCS1 || row->scheme == RAW)) {
        flags |= check_recovery(kind, &signing);
    }
    check_data_size(row, kind, &signing);
    return flags;
}

CK_FLAGS exercise_sign(CK_MECHANISM_TYPE type)
{
    CK_FLAGS flags = 0;

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned kind = 0; rows[i].type == type && kind < KINDS; kind++) {
            if (is_of(&rows[i], (enum kind)kind)) {
                flags |= sign_with(&rows[i], (enum kind)kind);
            }
        }
    }
    return flags;
}
