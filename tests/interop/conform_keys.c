/* Keys that are both in the token and with OpenSSL: made by either, shown to the other through
 * attributes. */
#include "tests/interop/conform.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#define END_OF_USES NO_ATTRIBUTE
#define PARTS_MAX 512u

static const struct {
    const char *name;
    CK_KEY_TYPE type;
    CK_MECHANISM_TYPE generate;
    unsigned bits;
    const char *algorithm, *group; /* OpenSSL's */
    size_t signature_size, curve_size;
    uint8_t curve[12];
} kinds[KINDS] = {
    [RSA_2048] = {"RSA-2048", CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN, 2048, "RSA", NULL, 256, 0, {0}},
    [RSA_3072] = {"RSA-3072", CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN, 3072, "RSA", NULL, 384, 0, {0}},
    [P_256] = {"P-256",
               CKK_EC,
               CKM_EC_KEY_PAIR_GEN,
               256,
               "EC",
               "prime256v1",
               64,
               10,
               {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}},
    [P_384] = {"P-384",
               CKK_EC,
               CKM_EC_KEY_PAIR_GEN,
               384,
               "EC",
               "secp384r1",
               96,
               7,
               {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}},
    [P_521] = {"P-521",
               CKK_EC,
               CKM_EC_KEY_PAIR_GEN,
               521,
               "EC",
               "secp521r1",
               132,
               7,
               {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}},
    [K_256] = {"secp256k1",
               CKK_EC,
               CKM_EC_KEY_PAIR_GEN,
               256,
               "EC",
               "secp256k1",
               64,
               7,
               {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a}},
    [ED_25519] = {"Ed25519",
                  CKK_EC_EDWARDS,
                  CKM_EC_EDWARDS_KEY_PAIR_GEN,
                  255,
                  "ED25519",
                  NULL,
                  64,
                  5,
                  {0x06, 0x03, 0x2b, 0x65, 0x70}},
    [ED_448] = {"Ed448",
                CKK_EC_EDWARDS,
                CKM_EC_EDWARDS_KEY_PAIR_GEN,
                448,
                "ED448",
                NULL,
                114,
                5,
                {0x06, 0x03, 0x2b, 0x65, 0x71}},
    [X_25519] = {"X25519",
                 CKK_EC_MONTGOMERY,
                 CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
                 255,
                 "X25519",
                 NULL,
                 0,
                 5,
                 {0x06, 0x03, 0x2b, 0x65, 0x6e}},
    [X_448] = {"X448",
               CKK_EC_MONTGOMERY,
               CKM_EC_MONTGOMERY_KEY_PAIR_GEN,
               448,
               "X448",
               NULL,
               0,
               5,
               {0x06, 0x03, 0x2b, 0x65, 0x6f}},
};
static struct pair generated[KINDS], imported[KINDS];

const char *kind_name(enum kind kind)
{
    return kinds[kind].name;
}

CK_KEY_TYPE kind_type(enum kind kind)
{
    return kinds[kind].type;
}

size_t kind_signature_size(enum kind kind)
{
    return kinds[kind].signature_size;
}

static void put_uses(struct template *template, enum kind kind, bool private)
{
    static const CK_ATTRIBUTE_TYPE rsa_private[] = {CKA_SIGN, CKA_DECRYPT, CKA_UNWRAP,
                                                    CKA_SIGN_RECOVER, END_OF_USES};
    static const CK_ATTRIBUTE_TYPE rsa_public[] = {CKA_VERIFY, CKA_ENCRYPT, CKA_WRAP,
                                                   CKA_VERIFY_RECOVER, END_OF_USES};
    static const CK_ATTRIBUTE_TYPE signs[] = {CKA_SIGN, END_OF_USES};
    static const CK_ATTRIBUTE_TYPE verifies[] = {CKA_VERIFY, END_OF_USES};
    static const CK_ATTRIBUTE_TYPE derives[] = {CKA_DERIVE, END_OF_USES};

    if (kinds[kind].type == CKK_RSA) {
        put_flags(template, private ? rsa_private : rsa_public);
        return;
    }
    if (kinds[kind].signature_size > 0) {
        put_flags(template, private ? signs : verifies);
    }
    if (private && kinds[kind].type != CKK_EC_EDWARDS) {
        put_flags(template, derives);
    }
}

void put_curve(struct template *template, enum kind kind)
{
    static uint8_t curve[KINDS][12];

    memcpy(curve[kind], kinds[kind].curve, sizeof curve[kind]);
    put_bytes(template, CKA_EC_PARAMS, curve[kind], kinds[kind].curve_size);
}

/* ---- out of OpenSSL ---- */

/* The values live as long as the program. */
static uint8_t *new_part(void)
{
    static uint8_t parts[PARTS_MAX][600];
    static unsigned count;

    must(count < PARTS_MAX, "room for parts of keys");
    return parts[count++];
}

static void put_integer(struct template *template, CK_ATTRIBUTE_TYPE type, EVP_PKEY *pkey,
                        const char *name, size_t size)
{
    uint8_t *value = new_part();
    BIGNUM *number = NULL;

    must(EVP_PKEY_get_bn_param(pkey, name, &number) == 1, name);
    if (size == 0) {
        size = (size_t)BN_num_bytes(number);
    }
    must(BN_bn2binpad(number, value, (int)size) == (int)size, name);
    BN_clear_free(number);
    put_bytes(template, type, value, size);
}

static void put_rsa(struct template *template, EVP_PKEY *pkey, bool private)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        const char *name;
    } parts[] = {
        {CKA_MODULUS, OSSL_PKEY_PARAM_RSA_N},
        {CKA_PUBLIC_EXPONENT, OSSL_PKEY_PARAM_RSA_E},
        {CKA_PRIVATE_EXPONENT, OSSL_PKEY_PARAM_RSA_D},
        {CKA_PRIME_1, OSSL_PKEY_PARAM_RSA_FACTOR1},
        {CKA_PRIME_2, OSSL_PKEY_PARAM_RSA_FACTOR2},
        {CKA_EXPONENT_1, OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {CKA_EXPONENT_2, OSSL_PKEY_PARAM_RSA_EXPONENT2},
        {CKA_COEFFICIENT, OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    };

    for (unsigned i = 0; i < (private ? 8u : 2u); i++) {
        put_integer(template, parts[i].type, pkey, parts[i].name, 0);
    }
}

void put_private(struct template *template, enum kind kind, EVP_PKEY *pkey)
{
    size_t size = 600;
    uint8_t *value;

    put_number(template, CKA_CLASS, CKO_PRIVATE_KEY);
    put_number(template, CKA_KEY_TYPE, kinds[kind].type);
    put_uses(template, kind, true);
    if (kinds[kind].type == CKK_RSA) {
        put_rsa(template, pkey, true);
        return;
    }
    put_curve(template, kind);
    if (kinds[kind].type == CKK_EC) {
        put_integer(template, CKA_VALUE, pkey, OSSL_PKEY_PARAM_PRIV_KEY,
                    (kinds[kind].bits + 7) / 8);
        return;
    }
    value = new_part();
    must(EVP_PKEY_get_raw_private_key(pkey, value, &size) == 1, "a raw private key");
    put_bytes(template, CKA_VALUE, value, size);
}

void put_public(struct template *template, enum kind kind, EVP_PKEY *pkey)
{
    uint8_t *value = new_part();
    uint8_t point[300];
    ASN1_OCTET_STRING *string;
    size_t size = 0;

    put_number(template, CKA_CLASS, CKO_PUBLIC_KEY);
    put_number(template, CKA_KEY_TYPE, kinds[kind].type);
    put_uses(template, kind, false);
    if (kinds[kind].type == CKK_RSA) {
        put_rsa(template, pkey, false);
        return;
    }
    put_curve(template, kind);
    must(EVP_PKEY_get_octet_string_param(pkey,
                                         kinds[kind].type == CKK_EC
                                             ? OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY
                                             : OSSL_PKEY_PARAM_PUB_KEY,
                                         point, sizeof point, &size) == 1,
         "a public point");
    string = ASN1_OCTET_STRING_new();
    must(string != NULL && ASN1_OCTET_STRING_set(string, point, (int)size) == 1, "a string");
    size = (size_t)i2d_ASN1_OCTET_STRING(string, &value);
    ASN1_OCTET_STRING_free(string);
    put_bytes(template, CKA_EC_POINT, value - size, size);
}

const struct pair *pair_imported(enum kind kind)
{
    struct pair *pair = &imported[kind];
    struct template template;

    if (pair->pkey != NULL) {
        return pair;
    }
    pair->pkey = kinds[kind].type == CKK_RSA
                     ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)kinds[kind].bits)
                     : EVP_PKEY_Q_keygen(NULL, NULL, kinds[kind].algorithm, kinds[kind].group);
    must(pair->pkey != NULL, "OpenSSL's key");
    template_start(&template);
    put_private(&template, kind, pair->pkey);
    put_flag(&template, CKA_SENSITIVE, false);
    put_flag(&template, CKA_EXTRACTABLE, true);
    pair->private = create(&template, kind_name(kind));
    template_start(&template);
    put_public(&template, kind, pair->pkey);
    pair->public = create(&template, kind_name(kind));
    return pair;
}

/* ---- into OpenSSL ---- */

static EVP_PKEY *pkey_build(const char *algorithm, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY *pkey = NULL;

    if (ctx != NULL && params != NULL && EVP_PKEY_fromdata_init(ctx) == 1) {
        (void)EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params);
    }
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

static EVP_PKEY *rsa_from_token(CK_OBJECT_HANDLE public)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    uint8_t modulus[BUFFER_SIZE], exponent[BUFFER_SIZE];
    BIGNUM *n = BN_bin2bn(modulus, (int)read_bytes(public, CKA_MODULUS, modulus), NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)read_bytes(public, CKA_PUBLIC_EXPONENT, exponent), NULL);
    EVP_PKEY *pkey;

    must(builder != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
             OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1,
         "numbers of an RSA key");
    pkey = pkey_build("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static EVP_PKEY *curve_from_token(enum kind kind, CK_OBJECT_HANDLE public)
{
    uint8_t value[BUFFER_SIZE];
    const uint8_t *at = value;
    size_t size = read_bytes(public, CKA_EC_POINT, value);
    ASN1_OCTET_STRING *string = d2i_ASN1_OCTET_STRING(NULL, &at, (long)size);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *pkey = NULL;

    if (!expect(string != NULL && at == value + size, "CKA_EC_POINT is an OCTET STRING")) {
        goto out;
    }
    if (kinds[kind].group != NULL) {
        must(builder != NULL && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                                                kinds[kind].group, 0) == 1,
             "a group");
    }
    must(OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
                                          ASN1_STRING_get0_data(string),
                                          (size_t)ASN1_STRING_length(string)) == 1,
         "a point");
    pkey = pkey_build(kinds[kind].algorithm, builder);
out:
    OSSL_PARAM_BLD_free(builder);
    ASN1_OCTET_STRING_free(string);
    return pkey;
}

static void check_public_info(const struct pair *pair)
{
    const CK_OBJECT_HANDLE halves[] = {pair->public, pair->private};

    for (unsigned i = 0; i < 2; i++) {
        uint8_t info[BUFFER_SIZE];
        const uint8_t *at = info;
        size_t size = read_bytes(halves[i], CKA_PUBLIC_KEY_INFO, info);
        EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)size);

        expect(pkey != NULL && EVP_PKEY_eq(pkey, pair->pkey) == 1,
               "CKA_PUBLIC_KEY_INFO is the public key");
        EVP_PKEY_free(pkey);
    }
}

const struct pair *pair_generated(enum kind kind)
{
    CK_MECHANISM mechanism = {kinds[kind].generate, NULL, 0};
    struct pair *pair = &generated[kind];
    struct template public, private;

    if (pair->pkey != NULL) {
        return pair;
    }
    template_start(&public);
    template_start(&private);
    put_uses(&public, kind, false);
    put_uses(&private, kind, true);
    put_flag(&private, CKA_EXTRACTABLE, true);
    if (kinds[kind].type == CKK_RSA) {
        put_number(&public, CKA_MODULUS_BITS, kinds[kind].bits);
    } else {
        put_curve(&public, kind);
    }
    expect_rv(P11->C_GenerateKeyPair(conform.session, &mechanism, public.list, public.count,
                                     private.list, private.count, &pair->public, &pair->private),
              CKR_OK, "%s is generated", kind_name(kind));
    pair->pkey = kinds[kind].type == CKK_RSA ? rsa_from_token(pair->public)
                                             : curve_from_token(kind, pair->public);
    must(pair->pkey != NULL, "the public key of a generated pair");
    check_public_info(pair);
    return pair;
}

CK_OBJECT_HANDLE secret_import(CK_KEY_TYPE type, uint8_t *value, size_t size)
{
    static const CK_ATTRIBUTE_TYPE uses[] = {CKA_ENCRYPT,     CKA_DECRYPT, CKA_SIGN,
                                             CKA_VERIFY,      CKA_WRAP,    CKA_UNWRAP,
                                             CKA_EXTRACTABLE, CKA_DERIVE,  END_OF_USES};
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, type);
    put_flags(&template, uses);
    put_flag(&template, CKA_SENSITIVE, false);
    put_bytes(&template, CKA_VALUE, value, size);
    return create(&template, "a secret key");
}

void pairs_close(void)
{
    for (unsigned i = 0; i < KINDS; i++) {
        EVP_PKEY_free(generated[i].pkey);
        EVP_PKEY_free(imported[i].pkey);
    }
}
