/* Keys under keys: OpenSSL opens what the token wraps, and the token unwraps what OpenSSL made. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/rand.h>
#include <openssl/x509.h>

#define WRAPS (CKF_WRAP | CKF_UNWRAP)
#define RSA_AES_BYTES 32u

static const struct row {
    CK_MECHANISM_TYPE type;
    bool rsa, padded; /* takes any size */
    bool privates;    /* wraps private keys */
} rows[] = {
    {CKM_RSA_PKCS, true, true, false},         {CKM_RSA_PKCS_OAEP, true, true, false},
    {CKM_RSA_AES_KEY_WRAP, true, true, true},  {CKM_AES_CBC, false, false, false},
    {CKM_AES_CBC_PAD, false, true, true},      {CKM_AES_GCM, false, true, true},
    {CKM_AES_KEY_WRAP, false, false, false},   {CKM_AES_KEY_WRAP_PAD, false, true, true},
    {CKM_AES_KEY_WRAP_KWP, false, true, true},
};

struct wrapper {
    const struct row *row;
    CK_MECHANISM mechanism;
    CK_OBJECT_HANDLE wrap_key, unwrap_key;
    uint8_t aes[32];
    size_t aes_size;
    EVP_PKEY *pkey; /* with its private half */
};

/* ---- OpenSSL's side ---- */

static long open_wrapped(const struct wrapper *wrapper, const uint8_t *wrapped, size_t size,
                         uint8_t *out)
{
    size_t head = wrapper->pkey != NULL ? (size_t)EVP_PKEY_get_size(wrapper->pkey) : 0;
    uint8_t aes[BUFFER_SIZE];

    if (!wrapper->row->rsa) {
        return aes_crypt(wrapper->row->type, false, wrapper->aes, wrapper->aes_size, wrapped, size,
                         out);
    }
    if (wrapper->row->type != CKM_RSA_AES_KEY_WRAP) {
        return rsa_crypt(wrapper->row->type, false, wrapper->pkey, wrapped, size, out);
    }
    if (size < head ||
        rsa_crypt(CKM_RSA_PKCS_OAEP, false, wrapper->pkey, wrapped, head, aes) != RSA_AES_BYTES) {
        return -1;
    }
    return aes_crypt(CKM_AES_KEY_WRAP_KWP, false, aes, RSA_AES_BYTES, wrapped + head, size - head,
                     out);
}

static long make_wrapped(const struct wrapper *wrapper, const uint8_t *plain, size_t size,
                         uint8_t *out)
{
    uint8_t aes[RSA_AES_BYTES];
    long head, rest;

    if (!wrapper->row->rsa) {
        return aes_crypt(wrapper->row->type, true, wrapper->aes, wrapper->aes_size, plain, size,
                         out);
    }
    if (wrapper->row->type != CKM_RSA_AES_KEY_WRAP) {
        return rsa_crypt(wrapper->row->type, true, wrapper->pkey, plain, size, out);
    }
    must(RAND_bytes(aes, sizeof aes) == 1, "random bytes");
    head = rsa_crypt(CKM_RSA_PKCS_OAEP, true, wrapper->pkey, aes, sizeof aes, out);
    must(head > 0, "OpenSSL's OAEP");
    rest = aes_crypt(CKM_AES_KEY_WRAP_KWP, true, aes, sizeof aes, plain, size, out + head);
    return rest > 0 ? head + rest : -1;
}

/* ---- the token's side ---- */

static size_t token_wrap(struct wrapper *wrapper, CK_OBJECT_HANDLE key, uint8_t *out)
{
    CK_SESSION_HANDLE session = conform.session;
    CK_ULONG asked = 0, size = 1;

    expect_rv(P11->C_WrapKey(session, &wrapper->mechanism, wrapper->wrap_key, key, NULL, &asked),
              CKR_OK, "C_WrapKey says a size");
    expect_rv(P11->C_WrapKey(session, &wrapper->mechanism, wrapper->wrap_key, key, out, &size),
              CKR_BUFFER_TOO_SMALL, "C_WrapKey into one byte");
    size = asked;
    return expect_rv(
               P11->C_WrapKey(session, &wrapper->mechanism, wrapper->wrap_key, key, out, &size),
               CKR_OK, "C_WrapKey")
               ? size
               : 0;
}

static CK_RV token_unwrap(struct wrapper *wrapper, uint8_t *wrapped, size_t size,
                          CK_OBJECT_CLASS object_class, CK_KEY_TYPE type, CK_OBJECT_HANDLE *ret_key)
{
    struct template template;

    template_start(&template);
    put_number(&template, CKA_CLASS, object_class);
    put_number(&template, CKA_KEY_TYPE, type);
    put_flag(&template, CKA_SENSITIVE, false);
    put_flag(&template, CKA_EXTRACTABLE, true);
    put_flag(&template, CKA_SIGN, true);
    return P11->C_UnwrapKey(conform.session, &wrapper->mechanism, wrapper->unwrap_key, wrapped,
                            size, template.list, template.count, ret_key);
}

static void check_secret(struct wrapper *wrapper, CK_KEY_TYPE type, size_t size)
{
    uint8_t value[64], wrapped[BUFFER_SIZE], opened[BUFFER_SIZE];
    CK_OBJECT_HANDLE key, back = CK_INVALID_HANDLE;
    long opened_size;
    size_t made;

    must(RAND_bytes(value, (int)size) == 1, "random bytes");
    key = secret_import(type, value, size);
    made = token_wrap(wrapper, key, wrapped);
    opened_size = open_wrapped(wrapper, wrapped, made, opened);
    expect_same(opened, (size_t)opened_size, value, size, "OpenSSL opens a wrapped secret");
    opened_size = make_wrapped(wrapper, value, size, wrapped);
    must(opened_size > 0, "OpenSSL wraps");
    if (expect_rv(token_unwrap(wrapper, wrapped, (size_t)opened_size, CKO_SECRET_KEY, type, &back),
                  CKR_OK, "OpenSSL's wrapped secret comes in")) {
        made = read_bytes(back, CKA_VALUE, opened);
        expect_same(opened, made, value, size, "what came in is what was wrapped");
        expect(read_number(back, CKA_VALUE_LEN) == size, "it has its length");
        destroy(back);
    }
    destroy(key);
}

static bool signs_for(CK_OBJECT_HANDLE key, enum kind kind, EVP_PKEY *pkey)
{
    static uint8_t data[32] = "something to sign";
    CK_MECHANISM mechanism = {kind_type(kind) == CKK_RSA ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0};
    CK_OBJECT_HANDLE public = pair_imported(kind)->public;
    uint8_t signature[BUFFER_SIZE];
    CK_ULONG size = sizeof signature;

    (void)pkey;
    return P11->C_SignInit(conform.session, &mechanism, key) == CKR_OK &&
           P11->C_Sign(conform.session, data, sizeof data, signature, &size) == CKR_OK &&
           P11->C_VerifyInit(conform.session, &mechanism, public) == CKR_OK &&
           P11->C_Verify(conform.session, data, sizeof data, signature, size) == CKR_OK;
}

static void check_private(struct wrapper *wrapper, enum kind kind)
{
    const struct pair *pair = pair_imported(kind);
    uint8_t wrapped[BUFFER_SIZE], opened[BUFFER_SIZE], *der = NULL;
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pair->pkey);
    CK_OBJECT_HANDLE back = CK_INVALID_HANDLE;
    size_t made = token_wrap(wrapper, pair->private, wrapped);
    long size = open_wrapped(wrapper, wrapped, made, opened);
    const uint8_t *at = opened;
    EVP_PKEY *pkey = size > 0 ? d2i_AutoPrivateKey(NULL, &at, size) : NULL;

    expect(pkey != NULL && EVP_PKEY_eq(pkey, pair->pkey) == 1 && at == opened + size,
           "OpenSSL opens a wrapped %s key", kind_name(kind));
    EVP_PKEY_free(pkey);
    size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    must(size > 0, "PKCS#8");
    size = make_wrapped(wrapper, der, (size_t)size, wrapped);
    must(size > 0, "OpenSSL wraps");
    if (expect_rv(
            token_unwrap(wrapper, wrapped, (size_t)size, CKO_PRIVATE_KEY, kind_type(kind), &back),
            CKR_OK, "OpenSSL's wrapped %s key comes in", kind_name(kind))) {
        expect(signs_for(back, kind, pair->pkey), "it signs");
        destroy(back);
    }
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(info);
}

static void check_refusals(struct wrapper *wrapper)
{
    uint8_t value[32] = {1}, wrapped[BUFFER_SIZE];
    CK_OBJECT_HANDLE key = secret_import(CKK_AES, value, sizeof value), back;
    size_t size = token_wrap(wrapper, key, wrapped);
    CK_ULONG room = sizeof wrapped;
    CK_RV rv;

    rv = token_unwrap(wrapper, wrapped, size - 1, CKO_SECRET_KEY, CKK_AES, &back);
    expect_either(rv, CKR_WRAPPED_KEY_LEN_RANGE, CKR_WRAPPED_KEY_INVALID, "one byte is missing");
    if (wrapper->row->type != CKM_AES_CBC) {
        wrapped[size - (wrapper->row->type == CKM_AES_CBC_PAD ? 17 : 1)] ^= 0x55;
        rv = token_unwrap(wrapper, wrapped, size, CKO_SECRET_KEY, CKK_AES, &back);
        /* Wrong padding of PKCS#1 v1.5 may give a key that nobody knows, rather than tell. */
        expect_either(rv, CKR_WRAPPED_KEY_INVALID,
                      wrapper->row->type == CKM_RSA_PKCS ? CKR_OK : CKR_WRAPPED_KEY_INVALID,
                      "one byte is changed");
    }
    expect_rv(set_flag(key, CKA_EXTRACTABLE, false), CKR_OK, "a key is made to stay");
    rv = P11->C_WrapKey(conform.session, &wrapper->mechanism, wrapper->wrap_key, key, wrapped,
                        &room);
    expect_rv(rv, CKR_KEY_UNEXTRACTABLE, "a key that must stay");
    destroy(key);
}

static void wrap_with(struct wrapper *wrapper)
{
    check_secret(wrapper, CKK_AES, 16);
    check_secret(wrapper, CKK_AES, 32);
    check_secret(wrapper, CKK_GENERIC_SECRET, wrapper->row->padded ? 27 : 48);
    if (wrapper->row->privates) {
        check_private(wrapper, RSA_2048);
        check_private(wrapper, P_256);
    }
    check_refusals(wrapper);
}

/* ---- edges ---- */

static CK_RV wrap_once(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key)
{
    uint8_t wrapped[BUFFER_SIZE];
    CK_ULONG size = sizeof wrapped;

    return P11->C_WrapKey(conform.session, mechanism, wrapping, key, wrapped, &size);
}

void edges_of_wrapping(void)
{
    uint8_t value[300] = {1}, iv[8], kwp_iv[4] = {0xa6, 0x59, 0x59, 0xa6};
    CK_OBJECT_HANDLE odd = secret_import(CKK_GENERIC_SECRET, value, 27);
    CK_OBJECT_HANDLE large = secret_import(CKK_GENERIC_SECRET, value, 300);
    CK_OBJECT_HANDLE even = secret_import(CKK_AES, value, 32);
    CK_OBJECT_HANDLE rsa = pair_imported(RSA_2048)->public;
    CK_OBJECT_HANDLE private = pair_imported(P_256)->private;
    CK_MECHANISM kw = {CKM_AES_KEY_WRAP, iv, sizeof iv};
    CK_MECHANISM kwp = {CKM_AES_KEY_WRAP_KWP, kwp_iv, sizeof kwp_iv};

    about("edges of wrapping");
    memset(iv, 0xa6, sizeof iv);
    expect_rv(wrap_once(usual_mechanism(CKM_AES_CBC), even, odd), CKR_KEY_SIZE_RANGE,
              "27 bytes under CBC");
    expect_rv(wrap_once(usual_mechanism(CKM_AES_KEY_WRAP), even, odd), CKR_KEY_SIZE_RANGE,
              "27 bytes under KW");
    expect_rv(wrap_once(usual_mechanism(CKM_RSA_PKCS), rsa, large), CKR_KEY_SIZE_RANGE,
              "300 bytes under RSA");
    expect_rv(wrap_once(usual_mechanism(CKM_RSA_PKCS_OAEP), rsa, large), CKR_KEY_SIZE_RANGE,
              "300 bytes under OAEP");
    expect_rv(wrap_once(usual_mechanism(CKM_RSA_PKCS), rsa, private), CKR_KEY_NOT_WRAPPABLE,
              "a private key under RSA");
    expect_rv(wrap_once(&kw, even, even), CKR_OK, "KW with its own IV");
    expect_rv(wrap_once(&kwp, even, odd), CKR_OK, "KWP with its own IV");
    kw.ulParameterLen = 7;
    expect_rv(wrap_once(&kw, even, even), CKR_MECHANISM_PARAM_INVALID, "KW with 7 bytes");
    kwp.ulParameterLen = 3;
    expect_rv(wrap_once(&kwp, even, even), CKR_MECHANISM_PARAM_INVALID, "KWP with 3 bytes");
    destroy(odd);
    destroy(large);
    destroy(even);
}

CK_FLAGS exercise_wrap(CK_MECHANISM_TYPE type)
{
    struct wrapper wrapper = {.row = NULL};

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].type == type) {
            wrapper.row = &rows[i];
        }
    }
    if (wrapper.row == NULL) {
        return 0;
    }
    wrapper.mechanism = *usual_mechanism(type);
    for (unsigned turn = 0; turn < 2; turn++) {
        enum kind kind = turn == 0 ? RSA_2048 : RSA_3072;

        if (wrapper.row->rsa) {
            about("mechanism 0x%lx wraps, %s", type, kind_name(kind));
            wrapper.pkey = pair_imported(kind)->pkey;
            wrapper.wrap_key = pair_imported(kind)->public;
            wrapper.unwrap_key = pair_imported(kind)->private;
        } else {
            wrapper.aes_size = turn == 0 ? 16 : 32;
            about("mechanism 0x%lx wraps, AES of %zu bytes", type, wrapper.aes_size);
            must(RAND_bytes(wrapper.aes, sizeof wrapper.aes) == 1, "random bytes");
            wrapper.wrap_key = secret_import(CKK_AES, wrapper.aes, wrapper.aes_size);
            wrapper.unwrap_key = wrapper.wrap_key;
        }
        wrap_with(&wrapper);
    }
    return WRAPS;
}
