/* Derivation and generation: shared secrets and HKDF beside OpenSSL's, and the sizes of keys. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

/* ---- ECDH ---- */

static const struct {
    CK_EC_KDF_TYPE kdf;
    const char *hash;
} kdfs[] = {{CKD_NULL, NULL},           {CKD_SHA1_KDF, "SHA1"},     {CKD_SHA224_KDF, "SHA224"},
            {CKD_SHA256_KDF, "SHA256"}, {CKD_SHA384_KDF, "SHA384"}, {CKD_SHA512_KDF, "SHA512"}};

static size_t shared_secret(EVP_PKEY *own, EVP_PKEY *other, uint8_t *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    size_t size = BUFFER_SIZE;

    must(ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
             EVP_PKEY_derive_set_peer(ctx, other) == 1 && EVP_PKEY_derive(ctx, out, &size) == 1,
         "OpenSSL's shared secret");
    EVP_PKEY_CTX_free(ctx);
    return size;
}

static void run_kdf(const char *name, OSSL_PARAM *params, uint8_t *out, size_t size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

    must(ctx != NULL && EVP_KDF_derive(ctx, out, size, params) == 1, name);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

/* Of ANSI X9.63. */
static void expand_shared(const char *hash, uint8_t *secret, size_t secret_size, uint8_t *info,
                          size_t info_size, uint8_t *out, size_t size)
{
    char name[16] = "";
    OSSL_PARAM params[4];

    strncpy(name, hash, sizeof name - 1);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret, secret_size);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_size);
    params[3] = OSSL_PARAM_construct_end();
    run_kdf("X963KDF", params, out, size);
}

static CK_RV derive(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_KEY_TYPE type, size_t size,
                    CK_OBJECT_HANDLE *ret_key)
{
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, type);
    put_flag(&template, CKA_SENSITIVE, false);
    put_flag(&template, CKA_EXTRACTABLE, true);
    if (size > 0) {
        put_number(&template, CKA_VALUE_LEN, size);
    }
    return P11->C_DeriveKey(conform.session, mechanism, base, template.list, template.count,
                            ret_key);
}

static void compare_derived(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_KEY_TYPE type,
                            size_t asked, const uint8_t *wanted, size_t size, const char *what)
{
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    uint8_t value[BUFFER_SIZE];

    if (expect_rv(derive(mechanism, base, type, asked, &key), CKR_OK, "%s is derived", what)) {
        size_t made = read_bytes(key, CKA_VALUE, value);

        expect_same(value, made, wanted, size, what);
        destroy(key);
    }
}

static void ecdh_with(CK_MECHANISM_TYPE type, enum kind kind)
{
    const struct pair *pair = pair_imported(kind);
    const struct pair *other = pair_generated(kind);
    uint8_t secret[BUFFER_SIZE], wanted[BUFFER_SIZE], info[20] = "shared", point[BUFFER_SIZE];
    size_t size = shared_secret(pair->pkey, other->pkey, secret);
    CK_ECDH1_DERIVE_PARAMS params = {CKD_NULL, 0, NULL, 0, point};
    CK_MECHANISM mechanism = {type, &params, sizeof params};
    CK_OBJECT_HANDLE key;

    params.ulPublicDataLen = read_bytes(other->public, CKA_EC_POINT, point);
    compare_derived(&mechanism, pair->private, CKK_GENERIC_SECRET, 0, secret, size,
                    "the shared secret");
    compare_derived(&mechanism, pair->private, CKK_AES, 32, secret + size - 32, 32,
                    "the trailing end of it");
    expect_rv(derive(&mechanism, pair->private, CKK_GENERIC_SECRET, size + 1, &key),
              CKR_KEY_SIZE_RANGE, "more than there is");
    for (unsigned i = 1; i < sizeof kdfs / sizeof kdfs[0]; i++) {
        params.kdf = kdfs[i].kdf;
        params.pSharedData = info;
        params.ulSharedDataLen = i % 2 == 0 ? sizeof info : 0;
        expand_shared(kdfs[i].hash, secret, size, info, params.ulSharedDataLen, wanted, 100);
        compare_derived(&mechanism, pair->private, CKK_GENERIC_SECRET, 100, wanted, 100,
                        "the secret through a KDF");
    }
    /* The other way round, and the point raw. */
    params = (CK_ECDH1_DERIVE_PARAMS){CKD_NULL, 0, NULL, 0, point};
    must(EVP_PKEY_get_octet_string_param(pair->pkey,
                                         kind_type(kind) == CKK_EC
                                             ? OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY
                                             : OSSL_PKEY_PARAM_PUB_KEY,
                                         point, sizeof point, &size) == 1,
         "a public point");
    params.ulPublicDataLen = size;
    size = shared_secret(pair->pkey, other->pkey, secret);
    compare_derived(&mechanism, other->private, CKK_GENERIC_SECRET, 0, secret, size,
                    "the shared secret from the other side");
    params.ulPublicDataLen--;
    expect_either(derive(&mechanism, other->private, CKK_GENERIC_SECRET, 0, &key),
                  CKR_PUBLIC_KEY_INVALID, CKR_MECHANISM_PARAM_INVALID, "a point that is none");
}

/* ---- HKDF ---- */

static void hkdf_by_openssl(int mode, uint8_t *key, size_t key_size, uint8_t *salt,
                            size_t salt_size, uint8_t *out, size_t size)
{
    char name[] = "SHA256";
    uint8_t info[] = {'i', 'n', 'f', 'o'};
    OSSL_PARAM params[6];
    unsigned i = 0;

    params[i++] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[i++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0);
    params[i++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, key_size);
    if (salt_size > 0) {
        params[i++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, salt_size);
    }
    if (mode != EVP_KDF_HKDF_MODE_EXTRACT_ONLY) {
        params[i++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof info);
    }
    params[i] = OSSL_PARAM_construct_end();
    run_kdf("HKDF", params, out, size);
}

static void hkdf_with(void)
{
    static const struct {
        CK_BBOOL extract, expand;
        int mode;
        CK_ULONG salt_type;
        size_t size;
    } cases[] = {
        {CK_TRUE, CK_TRUE, EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, CKF_HKDF_SALT_DATA, 100},
        {CK_TRUE, CK_TRUE, EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, CKF_HKDF_SALT_NULL, 64},
        {CK_TRUE, CK_TRUE, EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, CKF_HKDF_SALT_KEY, 255 * 32},
        {CK_TRUE, CK_FALSE, EVP_KDF_HKDF_MODE_EXTRACT_ONLY, CKF_HKDF_SALT_DATA, 32},
        {CK_FALSE, CK_TRUE, EVP_KDF_HKDF_MODE_EXPAND_ONLY, CKF_HKDF_SALT_NULL, 48},
    };
    uint8_t key[32], salt[13], info[] = {'i', 'n', 'f', 'o'}, wanted[BUFFER_SIZE];
    CK_OBJECT_HANDLE base, salt_key;

    must(RAND_bytes(key, sizeof key) == 1 && RAND_bytes(salt, sizeof salt) == 1, "bytes");
    base = secret_import(CKK_HKDF, key, sizeof key);
    salt_key = secret_import(CKK_GENERIC_SECRET, salt, sizeof salt);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CK_HKDF_PARAMS params = {
            cases[i].extract, cases[i].expand, CKM_SHA256, cases[i].salt_type, NULL, 0, 0, info,
            sizeof info,
        };
        CK_MECHANISM mechanism = {CKM_HKDF_DERIVE, &params, sizeof params};
        /* What a generic secret of ours can hold. */
        size_t size = cases[i].size < 4096 ? cases[i].size : 4096;

        if (cases[i].salt_type == CKF_HKDF_SALT_DATA) {
            params.pSalt = salt;
            params.ulSaltLen = sizeof salt;
        } else if (cases[i].salt_type == CKF_HKDF_SALT_KEY) {
            params.hSaltKey = salt_key;
        }
        about("HKDF, case %u", i);
        hkdf_by_openssl(cases[i].mode, key, sizeof key, salt,
                        cases[i].salt_type != CKF_HKDF_SALT_NULL ? sizeof salt : 0, wanted, size);
        compare_derived(&mechanism, base, CKK_GENERIC_SECRET, size, wanted, size, "HKDF's key");
    }
    destroy(base);
    destroy(salt_key);
}

static void check_hkdf_edges(CK_OBJECT_HANDLE base, CK_OBJECT_HANDLE aes)
{
    CK_HKDF_PARAMS params = {CK_FALSE, CK_TRUE, CKM_SHA_1, CKF_HKDF_SALT_NULL, NULL, 0, 0, NULL, 0};
    CK_MECHANISM mechanism = {CKM_HKDF_DERIVE, &params, sizeof params};
    CK_OBJECT_HANDLE key;

    expect_rv(derive(&mechanism, base, CKK_AES, 17, &key), CKR_KEY_SIZE_RANGE,
              "an AES key of 17 bytes");
    expect_rv(derive(&mechanism, base, CKK_AES, 0, &key), CKR_TEMPLATE_INCOMPLETE,
              "an AES key of no size");
    expect_rv(derive(&mechanism, aes, CKK_AES, 16, &key), CKR_KEY_TYPE_INCONSISTENT,
              "HKDF of an AES key");
    params.bExpand = CK_FALSE;
    expect_rv(derive(&mechanism, base, CKK_AES, 16, &key), CKR_MECHANISM_PARAM_INVALID,
              "neither extraction nor expansion");
    params.bExtract = CK_TRUE;
    expect_rv(derive(&mechanism, base, CKK_GENERIC_SECRET, 21, &key), CKR_KEY_SIZE_RANGE,
              "extraction of more than a hash");
    params.prfHashMechanism = CKM_AES_CMAC;
    expect_rv(derive(&mechanism, base, CKK_AES, 16, &key), CKR_MECHANISM_PARAM_INVALID,
              "no hash of ours");
    params.prfHashMechanism = CKM_SHA256;
    params.ulSaltType = CKF_HKDF_SALT_KEY;
    params.hSaltKey = 0x7fffffff;
    expect_rv(derive(&mechanism, base, CKK_AES, 16, &key), CKR_KEY_HANDLE_INVALID, "no salt key");
    params.ulSaltType = CKF_HKDF_SALT_NULL;
    expect_rv(set_flag(base, CKA_DERIVE, false), CKR_OK, "it may not derive");
    expect_rv(derive(&mechanism, base, CKK_AES, 16, &key), CKR_KEY_FUNCTION_NOT_PERMITTED,
              "it derives");
}

static void check_ecdh_edges(void)
{
    const struct pair *pair = pair_imported(P_256), *other = pair_imported(P_384);
    uint8_t point[BUFFER_SIZE];
    CK_ECDH1_DERIVE_PARAMS params = {CKD_SHA256_KDF, 0, NULL, 0, point};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &params, sizeof params};
    struct template template;
    CK_OBJECT_HANDLE key;

    params.ulPublicDataLen = read_bytes(pair->public, CKA_EC_POINT, point);
    expect_rv(derive(&mechanism, pair->private, CKK_AES, 0, &key), CKR_TEMPLATE_INCOMPLETE,
              "a KDF without a size");
    template_start(&template);
    put_number(&template, CKA_CLASS, CKO_PRIVATE_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_EC);
    expect_rv(P11->C_DeriveKey(conform.session, &mechanism, pair->private, template.list, 2, &key),
              CKR_TEMPLATE_INCONSISTENT, "a private key");
    expect_rv(derive(&mechanism, pair_imported(RSA_2048)->private, CKK_AES, 16, &key),
              CKR_KEY_TYPE_INCONSISTENT, "ECDH of an RSA key");
    expect_either(derive(&mechanism, other->private, CKK_AES, 16, &key), CKR_PUBLIC_KEY_INVALID,
                  CKR_MECHANISM_PARAM_INVALID, "another curve's point");
    params.kdf = 77;
    expect_rv(derive(&mechanism, pair->private, CKK_AES, 16, &key), CKR_MECHANISM_PARAM_INVALID,
              "no KDF of ours");
}

void edges_of_derivation(void)
{
    uint8_t value[32] = {1};
    CK_OBJECT_HANDLE base, aes;

    about("edges of derivation");
    base = secret_import(CKK_HKDF, value, sizeof value);
    aes = secret_import(CKK_AES, value, sizeof value);
    check_hkdf_edges(base, aes);
    check_ecdh_edges();
    destroy(base);
    destroy(aes);
}

CK_FLAGS exercise_derive(CK_MECHANISM_TYPE type)
{
    if (type == CKM_HKDF_DERIVE) {
        hkdf_with();
        return CKF_DERIVE;
    }
    if (type != CKM_ECDH1_DERIVE && type != CKM_ECDH1_COFACTOR_DERIVE) {
        return 0;
    }
    for (unsigned kind = P_256; kind < KINDS; kind++) {
        CK_KEY_TYPE key_type = kind_type((enum kind)kind);

        if (key_type == CKK_EC || (key_type == CKK_EC_MONTGOMERY && type == CKM_ECDH1_DERIVE)) {
            about("mechanism 0x%lx, %s", type, kind_name((enum kind)kind));
            ecdh_with(type, (enum kind)kind);
        }
    }
    return CKF_DERIVE;
}

/* ---- generation ---- */

static CK_RV generate(CK_MECHANISM_TYPE type, CK_ULONG size, CK_OBJECT_HANDLE *ret_key)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    struct template template;

    template_start(&template);
    put_number(&template, CKA_VALUE_LEN, size);
    put_flag(&template, CKA_SENSITIVE, false);
    put_flag(&template, CKA_EXTRACTABLE, true);
    return P11->C_GenerateKey(conform.session, &mechanism, template.list, template.count, ret_key);
}

static void generate_at_both_ends(CK_MECHANISM_TYPE type, size_t least, size_t most, size_t step)
{
    uint8_t value[BUFFER_SIZE];
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;

    for (size_t size = least; size <= most; size += step) {
        if (expect_rv(generate(type, size, &key), CKR_OK, "a key of %zu bytes", size)) {
            expect(read_bytes(key, CKA_VALUE, value) == size, "it is as long as was asked for");
            expect(read_number(key, CKA_VALUE_LEN) == size, "it says so");
            expect(read_number(key, CKA_KEY_GEN_MECHANISM) == type, "it says what made it");
            destroy(key);
        }
    }
    expect_rv(generate(type, least - 1, &key), CKR_ATTRIBUTE_VALUE_INVALID,
              "one byte below the least");
    expect_rv(generate(type, least + step / 2, &key),
              step > 8 ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID, "between two sizes");
    expect_rv(generate(type, most + 1, &key), CKR_ATTRIBUTE_VALUE_INVALID,
              "one byte above the most");
}

static CK_RV generate_pair(CK_MECHANISM_TYPE type, CK_ULONG bits, void *curve, size_t curve_size)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    struct template template;
    CK_OBJECT_HANDLE public, private;

    template_start(&template);
    if (bits > 0) {
        put_number(&template, CKA_MODULUS_BITS, bits);
    } else {
        put_bytes(&template, CKA_EC_PARAMS, curve, curve_size);
    }
    return P11->C_GenerateKeyPair(conform.session, &mechanism, template.list, template.count, NULL,
                                  0, &public, &private);
}

static void generate_wrong_pairs(CK_MECHANISM_TYPE type, const CK_MECHANISM_INFO *info)
{
    static uint8_t p224[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21};
    static uint8_t broken[] = {0x06, 0x09, 0x2b};
    CK_RV rv;

    if (type == CKM_RSA_PKCS_KEY_PAIR_GEN) {
        expect_rv(generate_pair(type, info->ulMinKeySize - 8, NULL, 0), CKR_ATTRIBUTE_VALUE_INVALID,
                  "an RSA key below the least");
        expect_rv(generate_pair(type, info->ulMaxKeySize + 8, NULL, 0), CKR_ATTRIBUTE_VALUE_INVALID,
                  "an RSA key above the most");
        return;
    }
    expect_rv(generate_pair(type, 0, p224, sizeof p224), CKR_CURVE_NOT_SUPPORTED,
              "a curve that there is not");
    rv = generate_pair(type, 0, broken, sizeof broken);
    expect(rv == CKR_CURVE_NOT_SUPPORTED || rv == CKR_DOMAIN_PARAMS_INVALID ||
               rv == CKR_ATTRIBUTE_VALUE_INVALID,
           "parameters that are no DER: 0x%lx", rv);
}

CK_FLAGS exercise_generate(CK_MECHANISM_TYPE type, const CK_MECHANISM_INFO *info)
{
    CK_KEY_TYPE key_type;

    about("mechanism 0x%lx generates", type);
    switch (type) {
    case CKM_AES_KEY_GEN:
        generate_at_both_ends(type, info->ulMinKeySize, info->ulMaxKeySize, 8);
        return CKF_GENERATE;
    case CKM_GENERIC_SECRET_KEY_GEN:
    case CKM_HKDF_KEY_GEN: /* in bits */
        generate_at_both_ends(type, info->ulMinKeySize / 8, info->ulMaxKeySize / 8,
                              (info->ulMaxKeySize - info->ulMinKeySize) / 8);
        return CKF_GENERATE;
    case CKM_RSA_PKCS_KEY_PAIR_GEN:
        key_type = CKK_RSA;
        break;
    case CKM_EC_KEY_PAIR_GEN:
        key_type = CKK_EC;
        break;
    case CKM_EC_EDWARDS_KEY_PAIR_GEN:
        key_type = CKK_EC_EDWARDS;
        break;
    case CKM_EC_MONTGOMERY_KEY_PAIR_GEN:
        key_type = CKK_EC_MONTGOMERY;
        break;
    default:
        return 0;
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (kind_type((enum kind)kind) == key_type) {
            about("mechanism 0x%lx generates %s", type, kind_name((enum kind)kind));
            (void)pair_generated((enum kind)kind);
        }
    }
    generate_wrong_pairs(type, info);
    return CKF_GENERATE_KEY_PAIR;
}
