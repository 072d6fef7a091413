/* Mechanisms with the parameters that this program gives them, and the same of OpenSSL's EVP. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/rsa.h>

static uint8_t iv[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static uint8_t aad[20] = "additional data";
static uint8_t oaep_label[5] = "label";
static CK_GCM_PARAMS_V3 gcm = {iv, 12, 96, aad, sizeof aad, 128};
static CK_AES_CTR_PARAMS ctr = {128, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
static CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, oaep_label,
                                       sizeof oaep_label};
static CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes = {256, &oaep};
static CK_RSA_PKCS_PSS_PARAMS pss[] = {
    {CKM_SHA_1, CKG_MGF1_SHA1, 20},    {CKM_SHA224, CKG_MGF1_SHA224, 28},
    {CKM_SHA256, CKG_MGF1_SHA256, 32}, {CKM_SHA384, CKG_MGF1_SHA384, 48},
    {CKM_SHA512, CKG_MGF1_SHA512, 64},
};

static struct {
    CK_MECHANISM_TYPE type;
    void *parameter;
    CK_ULONG size;
} parameters[] = {
    {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep},
    {CKM_RSA_AES_KEY_WRAP, &rsa_aes, sizeof rsa_aes},
    {CKM_RSA_PKCS_PSS, &pss[2], sizeof pss[2]},
    {CKM_SHA1_RSA_PKCS_PSS, &pss[0], sizeof pss[0]},
    {CKM_SHA224_RSA_PKCS_PSS, &pss[1], sizeof pss[1]},
    {CKM_SHA256_RSA_PKCS_PSS, &pss[2], sizeof pss[2]},
    {CKM_SHA384_RSA_PKCS_PSS, &pss[3], sizeof pss[3]},
    {CKM_SHA512_RSA_PKCS_PSS, &pss[4], sizeof pss[4]},
    {CKM_AES_CBC, iv, sizeof iv},
    {CKM_AES_CBC_PAD, iv, sizeof iv},
    {CKM_AES_CTR, &ctr, sizeof ctr},
    {CKM_AES_GCM, &gcm, sizeof gcm},
};

CK_MECHANISM *usual_mechanism(CK_MECHANISM_TYPE type)
{
    static CK_MECHANISM mechanism;

    mechanism = (CK_MECHANISM){type, NULL, 0};
    for (unsigned i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
        if (parameters[i].type == type) {
            mechanism.pParameter = parameters[i].parameter;
            mechanism.ulParameterLen = parameters[i].size;
        }
    }
    return &mechanism;
}

const char *digest_name(CK_MECHANISM_TYPE hash)
{
    switch (hash) {
    case CKM_SHA_1:
        return "SHA1";
    case CKM_SHA224:
        return "SHA224";
    case CKM_SHA256:
        return "SHA256";
    case CKM_SHA384:
        return "SHA384";
    case CKM_SHA512:
        return "SHA512";
    default:
        return NULL;
    }
}

/* ---- AES ---- */

static const struct {
    CK_MECHANISM_TYPE type;
    const char *names[3]; /* by the key's size */
    bool has_iv, pads;
} ciphers[] = {
    {CKM_AES_ECB, {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"}, false, false},
    {CKM_AES_CBC, {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"}, true, false},
    {CKM_AES_CBC_PAD, {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"}, true, true},
    {CKM_AES_CTR, {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"}, true, false},
    {CKM_AES_GCM, {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"}, true, false},
    {CKM_AES_KEY_WRAP, {"AES-128-WRAP", "AES-192-WRAP", "AES-256-WRAP"}, false, false},
    {CKM_AES_KEY_WRAP_PAD,
     {"AES-128-WRAP-PAD", "AES-192-WRAP-PAD", "AES-256-WRAP-PAD"},
     false,
     false},
    {CKM_AES_KEY_WRAP_KWP,
     {"AES-128-WRAP-PAD", "AES-192-WRAP-PAD", "AES-256-WRAP-PAD"},
     false,
     false},
};

static long run_cipher(EVP_CIPHER_CTX *ctx, bool is_gcm, bool encrypt, const uint8_t *in,
                       size_t in_size, uint8_t *out)
{
    uint8_t tag[16];
    int size = 0, more = 0;

    if (is_gcm && EVP_CipherUpdate(ctx, NULL, &size, aad, sizeof aad) != 1) {
        return -1;
    }
    if (is_gcm && !encrypt) {
        if (in_size < sizeof tag) {
            return -1;
        }
        in_size -= sizeof tag;
        memcpy(tag, in + in_size, sizeof tag);
        if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1) {
            return -1;
        }
    }
    if (EVP_CipherUpdate(ctx, out, &size, in, (int)in_size) != 1 ||
        EVP_CipherFinal_ex(ctx, out + size, &more) != 1) {
        return -1;
    }
    size += more;
    if (is_gcm && encrypt) {
        if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, sizeof tag, out + size) != 1) {
            return -1;
        }
        size += (int)sizeof tag;
    }
    return size;
}

long aes_crypt(CK_MECHANISM_TYPE type, bool encrypt, const uint8_t *key, size_t key_size,
               const uint8_t *in, size_t in_size, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned row = 0;
    EVP_CIPHER *cipher;
    long size = -1;

    while (ciphers[row].type != type) {
        row++;
        must(row < sizeof ciphers / sizeof ciphers[0], "OpenSSL's cipher");
    }
    cipher = EVP_CIPHER_fetch(NULL, ciphers[row].names[key_size / 8 - 2], NULL);
    must(ctx != NULL && cipher != NULL, "OpenSSL's cipher");
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    must(EVP_CipherInit_ex2(ctx, cipher, key, ciphers[row].has_iv ? iv : NULL, encrypt, NULL) == 1,
         "OpenSSL's cipher");
    EVP_CIPHER_CTX_set_padding(ctx, ciphers[row].pads);
    size = run_cipher(ctx, type == CKM_AES_GCM, encrypt, in, in_size, out);
    EVP_CIPHER_free(cipher);
    EVP_CIPHER_CTX_free(ctx);
    return size;
}

/* ---- RSA ---- */

static void set_oaep(EVP_PKEY_CTX *ctx)
{
    uint8_t *copy = OPENSSL_memdup(oaep_label, sizeof oaep_label);

    must(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
             EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
             EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, sizeof oaep_label) == 1,
         "OAEP");
}

long rsa_crypt(CK_MECHANISM_TYPE type, bool encrypt, EVP_PKEY *pkey, const uint8_t *in,
               size_t in_size, uint8_t *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    size_t size = BUFFER_SIZE;
    bool made;

    must(ctx != NULL && (encrypt ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx)) == 1,
         "OpenSSL's RSA");
    if (type == CKM_RSA_PKCS_OAEP) {
        set_oaep(ctx);
    } else {
        must(EVP_PKEY_CTX_set_rsa_padding(ctx, type == CKM_RSA_X_509 ? RSA_NO_PADDING
                                                                     : RSA_PKCS1_PADDING) == 1,
             "padding");
    }
    made = (encrypt ? EVP_PKEY_encrypt(ctx, out, &size, in, in_size)
                    : EVP_PKEY_decrypt(ctx, out, &size, in, in_size)) == 1;
    EVP_PKEY_CTX_free(ctx);
    return made ? (long)size : -1;
}
