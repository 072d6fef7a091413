/* Keys under keys: known answers of the RFCs, OpenSSL on the other side, both sides of each limit,
 * and padding that tells nobody anything. */
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tests/unit/crypto_fixture.h"
#include "tests/unit/memory_scan.h"

#define KEK_128 "000102030405060708090a0b0c0d0e0f"
#define KEK_192 "000102030405060708090a0b0c0d0e0f1011121314151617"
#define KEK_256 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static const struct {
    CK_MECHANISM_TYPE type;
    const char *key, *plain, *wrapped;
} known[] = {
    /* RFC 3394, 4.1 to 4.6. */
    {CKM_AES_KEY_WRAP, KEK_128, "00112233445566778899aabbccddeeff",
     "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
    {CKM_AES_KEY_WRAP, KEK_192, "00112233445566778899aabbccddeeff",
     "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"},
    {CKM_AES_KEY_WRAP, KEK_256, "00112233445566778899aabbccddeeff",
     "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
    {CKM_AES_KEY_WRAP, KEK_192, "00112233445566778899aabbccddeeff0001020304050607",
     "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"},
    {CKM_AES_KEY_WRAP, KEK_256, "00112233445566778899aabbccddeeff0001020304050607",
     "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
    {CKM_AES_KEY_WRAP, KEK_256, "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
     "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"},
    /* RFC 5649, 6. */
    {CKM_AES_KEY_WRAP_KWP, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
     "c37b7e6492584340bed12207808941155068f738",
     "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
    {CKM_AES_KEY_WRAP_KWP, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369",
     "afbeb0f07dfbf5419200f2ccb50bb24f"},
    {CKM_AES_KEY_WRAP_PAD, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369",
     "afbeb0f07dfbf5419200f2ccb50bb24f"},
    /* SP 800-38A, F.2.5, as a key. */
    {CKM_AES_CBC, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
     "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"},
    /* Case 16 of GCM. */
    {CKM_AES_GCM, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static struct mech_params params_of(CK_MECHANISM_TYPE type)
{
    struct mech_params params = {
        .type = type, .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .tag_bits = 128, .key_bits = 256};

    if (type == CKM_AES_GCM) {
        params.iv = hex("cafebabefacedbaddecaf888");
        params.aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    } else if (type == CKM_AES_CBC || type == CKM_AES_CBC_PAD) {
        params.iv = hex("000102030405060708090a0b0c0d0e0f");
    }
    return params;
}

START_TEST(the_examples_of_the_standards_come_out_both_ways)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct key *key = secret_key(CKK_AES, hex(known[i].key));
        struct mech_params params = params_of(known[i].type);
        struct bytes plain = hex(known[i].plain), wrapped = hex(known[i].wrapped);
        struct secret *back;
        uint8_t out[96];
        size_t size;

        for (int again = 0; again < 2; again++) {
            ck_assert_uint_eq(mech_wrapped_size(key, &params, plain.size), wrapped.size);
            ck_assert_int_eq(mech_wrap(key, &params, plain, out, wrapped.size - 1, &size),
                             QH_EROOM);
            assert_ok(mech_wrap(key, &params, plain, out, wrapped.size, &size));
            assert_bytes(whole(out, size), wrapped);
            assert_ok(mech_unwrap(key, &params, wrapped, &back));
            assert_bytes(view(back), plain);
            secret_free(back);
        }
        key_free(key);
    }
}
END_TEST

/* Every byte of what was wrapped, changed, is noticed by what authenticates. */
START_TEST(a_wrapped_key_that_was_changed_is_refused)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct key *key = secret_key(CKK_AES, hex(known[i].key));
        struct mech_params params = params_of(known[i].type);
        struct bytes wrapped = hex(known[i].wrapped);
        struct secret *back = NULL;
        uint8_t changed[96];

        for (size_t j = 0; j < wrapped.size && known[i].type != CKM_AES_CBC; j++) {
            memcpy(changed, wrapped.base, wrapped.size);
            changed[j] ^= 1;
            ck_assert_int_eq(mech_unwrap(key, &params, whole(changed, wrapped.size), &back),
                             QH_EWRAPPED);
            ck_assert_ptr_null(back);
        }
        key_free(key);
    }
}
END_TEST

struct size_case {
    CK_MECHANISM_TYPE type;
    size_t size;
    enum qh_err err;
};

START_TEST(sizes_that_a_mechanism_does_not_take_are_refused)
{
    static const struct size_case wraps[] = {
        {CKM_AES_KEY_WRAP, 8, QH_EKEYSIZE},
        {CKM_AES_KEY_WRAP, 15, QH_EKEYSIZE},
        {CKM_AES_KEY_WRAP, 16, QH_OK},
        {CKM_AES_KEY_WRAP, 17, QH_EKEYSIZE},
        {CKM_AES_KEY_WRAP, 24, QH_OK},
        {CKM_AES_KEY_WRAP_KWP, 0, QH_EKEYSIZE},
        {CKM_AES_KEY_WRAP_KWP, 1, QH_OK},
        {CKM_AES_KEY_WRAP_KWP, 8, QH_OK},
        {CKM_AES_KEY_WRAP_KWP, 9, QH_OK},
        {CKM_AES_KEY_WRAP_PAD, 0, QH_EKEYSIZE},
        {CKM_AES_KEY_WRAP_PAD, 1, QH_OK},
        {CKM_AES_CBC, 0, QH_EKEYSIZE},
        {CKM_AES_CBC, 16, QH_OK},
        {CKM_AES_CBC, 24, QH_EKEYSIZE},
        {CKM_AES_CBC_PAD, 0, QH_EKEYSIZE},
        {CKM_AES_CBC_PAD, 1, QH_OK},
        {CKM_AES_CBC_PAD, 16, QH_OK},
        {CKM_AES_GCM, 0, QH_EKEYSIZE},
        {CKM_AES_GCM, 1, QH_OK},
        {CKM_AES_KEY_WRAP, MECH_WRAP_SIZE_MAX, QH_OK},
        {CKM_AES_GCM, MECH_WRAP_SIZE_MAX, QH_OK},
        {CKM_AES_CBC, MECH_WRAP_SIZE_MAX, QH_OK},
        {CKM_AES_CBC, MECH_WRAP_SIZE_MAX + 16, QH_EKEYSIZE},
        {CKM_AES_KEY_WRAP_KWP, MECH_WRAP_SIZE_MAX, QH_OK},
        {CKM_AES_KEY_WRAP_KWP, MECH_WRAP_SIZE_MAX + 1, QH_EKEYSIZE},
        {CKM_AES_GCM, MECH_WRAP_SIZE_MAX + 1, QH_EKEYSIZE},
        {CKM_AES_KEY_WRAP, MECH_WRAP_SIZE_MAX + 8, QH_EKEYSIZE},
    };
    static uint8_t plain[MECH_WRAP_SIZE_MAX + 16], out[MECH_WRAP_SIZE_MAX + 64];
    struct key *key = secret_key(CKK_AES, hex(KEK_256));

    for (size_t i = 0; i < sizeof wraps / sizeof wraps[0]; i++) {
        struct mech_params params = params_of(wraps[i].type);
        struct bytes data = whole(plain, wraps[i].size);
        struct secret *back;
        size_t size = 0;

        ck_assert_int_eq(mech_wrap(key, &params, data, out, sizeof out, &size), wraps[i].err);
        if (wraps[i].err == QH_OK) {
            ck_assert_uint_eq(size, mech_wrapped_size(key, &params, data.size));
            assert_ok(mech_unwrap(key, &params, whole(out, size), &back));
            assert_bytes(view(back), data);
            secret_free(back);
        }
    }
    key_free(key);
}
END_TEST

START_TEST(wrapped_sizes_that_cannot_be_are_refused)
{
    static const struct size_case unwraps[] = {
        {CKM_AES_KEY_WRAP, 0, QH_EWRAPPEDSIZE},
        {CKM_AES_KEY_WRAP, 16, QH_EWRAPPEDSIZE},
        {CKM_AES_KEY_WRAP, 24, QH_EWRAPPED},
        {CKM_AES_KEY_WRAP, 25, QH_EWRAPPEDSIZE},
        {CKM_AES_KEY_WRAP_KWP, 8, QH_EWRAPPEDSIZE},
        {CKM_AES_KEY_WRAP_KWP, 16, QH_EWRAPPED},
        {CKM_AES_KEY_WRAP_KWP, 17, QH_EWRAPPEDSIZE},
        {CKM_AES_KEY_WRAP_KWP, MECH_WRAP_SIZE_MAX + 8, QH_EWRAPPED},
        {CKM_AES_KEY_WRAP_KWP, MECH_WRAP_SIZE_MAX + 16, QH_EWRAPPEDSIZE},
        {CKM_AES_KEY_WRAP_PAD, 8, QH_EWRAPPEDSIZE},
        {CKM_AES_CBC, 0, QH_EWRAPPEDSIZE},
        {CKM_AES_CBC, 15, QH_EWRAPPEDSIZE},
        {CKM_AES_CBC_PAD, 0, QH_EWRAPPEDSIZE},
        {CKM_AES_CBC_PAD, 17, QH_EWRAPPEDSIZE},
        {CKM_AES_GCM, 0, QH_EWRAPPEDSIZE},
        {CKM_AES_GCM, 15, QH_EWRAPPEDSIZE},
        {CKM_AES_GCM, 16, QH_EWRAPPED},
        {CKM_AES_GCM, SECRET_SIZE_MAX, QH_EWRAPPED},
        {CKM_AES_GCM, SECRET_SIZE_MAX + 1, QH_EWRAPPEDSIZE},
    };
    static const uint8_t wrapped[SECRET_SIZE_MAX + 1];
    struct key *key = secret_key(CKK_AES, hex(KEK_256));

    for (size_t i = 0; i < sizeof unwraps / sizeof unwraps[0]; i++) {
        struct mech_params params = params_of(unwraps[i].type);
        struct secret *back = NULL;

        ck_assert_int_eq(mech_unwrap(key, &params, whole(wrapped, unwraps[i].size), &back),
                         unwraps[i].err);
        ck_assert_ptr_null(back);
    }
    key_free(key);
}
END_TEST

/* What holds no bytes at all is no key. */
START_TEST(an_empty_message_is_no_key)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_CBC_PAD, CKM_AES_GCM};
    struct key *key = secret_key(CKK_AES, hex(KEK_256));

    for (size_t i = 0; i < 2; i++) {
        struct mech_params params = params_of(types[i]);
        struct secret *back = NULL;
        uint8_t out[32];
        size_t size;

        assert_ok(mech_encrypt(key, &params, whole(out, 0), out, sizeof out, &size));
        ck_assert_int_eq(mech_unwrap(key, &params, whole(out, size), &back), QH_EWRAPPED);
    }
    key_free(key);
}
END_TEST

static void openssl_wrap(const char *name, struct bytes key, struct bytes iv, bool encrypting,
                         struct bytes data, uint8_t *out, size_t *ret_size)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int size = 0;

    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    ck_assert_int_eq(
        EVP_CipherInit_ex2(ctx, cipher, key.base, iv.size > 0 ? iv.base : NULL, encrypting, NULL),
        1);
    ck_assert_int_eq(EVP_CipherUpdate(ctx, out, &size, data.base, (int)data.size), 1);
    *ret_size = (size_t)size;
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
}

START_TEST(openssl_unwraps_what_we_wrap_and_the_reverse)
{
    static const char *const keys[] = {KEK_128, KEK_192, KEK_256};
    static const char *const kw[] = {"id-aes128-wrap", "id-aes192-wrap", "id-aes256-wrap"};
    static const char *const kwp[] = {"id-aes128-wrap-pad", "id-aes192-wrap-pad",
                                      "id-aes256-wrap-pad"};
    static const char *const ivs[] = {"", "0011223344556677", "00112233"};
    uint8_t ours[128], theirs[128], plain[64];
    size_t our_size, their_size;

    memset(plain, 0x5a, sizeof plain);
    for (size_t i = 0; i < 3 * 2 * 2 * 64; i++) {
        size_t index = i / 256, size = 1 + i % 64;
        bool padded = i / 128 % 2 == 1, own = i / 64 % 2 == 1;
        struct bytes data = whole(plain, size), iv = hex(own ? ivs[padded ? 2 : 1] : "");
        struct mech_params params = {.type = padded ? CKM_AES_KEY_WRAP_KWP : CKM_AES_KEY_WRAP,
                                     .iv = iv};
        const char *name = padded ? kwp[index] : kw[index];
        struct secret *back;
        struct key *key;

        if (!padded && (size < 16 || size % 8 != 0)) {
            continue;
        }
        key = secret_key(CKK_AES, hex(keys[index]));
        assert_ok(mech_wrap(key, &params, data, ours, sizeof ours, &our_size));
        openssl_wrap(name, hex(keys[index]), iv, true, data, theirs, &their_size);
        assert_bytes(whole(ours, our_size), whole(theirs, their_size));
        openssl_wrap(name, hex(keys[index]), iv, false, whole(ours, our_size), theirs, &their_size);
        assert_bytes(whole(theirs, their_size), data);
        assert_ok(mech_unwrap(key, &params, whole(ours, our_size), &back));
        assert_bytes(view(back), data);
        secret_free(back);
        key_free(key);
    }
}
END_TEST

START_TEST(an_iv_has_its_size_or_is_not_there)
{
    static const struct size_case cases[] = {
        {CKM_AES_KEY_WRAP, 0, QH_OK},
        {CKM_AES_KEY_WRAP, 4, QH_EPARAMETER},
        {CKM_AES_KEY_WRAP, 7, QH_EPARAMETER},
        {CKM_AES_KEY_WRAP, 8, QH_OK},
        {CKM_AES_KEY_WRAP, 9, QH_EPARAMETER},
        {CKM_AES_KEY_WRAP, 16, QH_EPARAMETER},
        {CKM_AES_KEY_WRAP_KWP, 0, QH_OK},
        {CKM_AES_KEY_WRAP_KWP, 3, QH_EPARAMETER},
        {CKM_AES_KEY_WRAP_KWP, 4, QH_OK},
        {CKM_AES_KEY_WRAP_KWP, 5, QH_EPARAMETER},
        {CKM_AES_KEY_WRAP_KWP, 8, QH_EPARAMETER},
        {CKM_AES_KEY_WRAP_PAD, 4, QH_OK},
        {CKM_AES_KEY_WRAP_PAD, 8, QH_EPARAMETER},
        {CKM_AES_CBC, 0, QH_EPARAMETER},
        {CKM_AES_CBC, 15, QH_EPARAMETER},
        {CKM_AES_CBC, 16, QH_OK},
        {CKM_AES_CBC, 17, QH_EPARAMETER},
        {CKM_AES_CBC_PAD, 12, QH_EPARAMETER},
        {CKM_AES_GCM, 0, QH_EPARAMETER},
    };
    static const uint8_t iv[32] = {1, 2, 3};
    struct key *key = secret_key(CKK_AES, hex(KEK_256));
    struct bytes plain = hex(KEK_128);
    struct secret *back;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mech_params params = params_of(cases[i].type), other;
        uint8_t out[64];
        size_t size;

        params.iv = whole(iv, cases[i].size);
        ck_assert_int_eq(mech_wrap(key, &params, plain, out, sizeof out, &size), cases[i].err);
        if (cases[i].err != QH_OK) {
            ck_assert_int_eq(mech_unwrap(key, &params, whole(out, 32), &back), QH_EPARAMETER);
            continue;
        }
        assert_ok(mech_unwrap(key, &params, whole(out, size), &back));
        assert_bytes(view(back), plain);
        secret_free(back);
        other = params_of(cases[i].type);
        if (cases[i].size > 0 && cases[i].type != CKM_AES_CBC) { /* the usual IV opens no other */
            ck_assert_int_eq(mech_unwrap(key, &other, whole(out, size), &back), QH_EWRAPPED);
        }
    }
    key_free(key);
}
END_TEST

/* The same as data. */
START_TEST(key_wrap_encrypts_data_too)
{
    struct key *key = secret_key(CKK_AES, hex(known[6].key));
    struct mech_params params = params_of(CKM_AES_KEY_WRAP_KWP);
    struct bytes plain = hex(known[6].plain), wrapped = hex(known[6].wrapped);
    uint8_t out[64];
    size_t size;

    for (size_t room = 0; room < sizeof out; room++) {
        memset(out, 0xa5, sizeof out);
        ck_assert_int_eq(mech_encrypt(key, &params, plain, out, room, &size),
                         room < wrapped.size ? QH_EROOM : QH_OK);
        ck_assert_int_eq(mech_decrypt(key, &params, wrapped, out, room, &size),
                         room < plain.size ? QH_EROOM : QH_OK);
        ck_assert_uint_eq(out[room], 0xa5);
    }
    assert_bytes(whole(out, size), plain);
    ck_assert_int_eq(mech_encrypt(key, &params, whole(out, 0), out, sizeof out, &size),
                     QH_EDATASIZE);
    ck_assert_int_eq(mech_decrypt(key, &params, whole(out, 20), out, sizeof out, &size),
                     QH_ECIPHERTEXTSIZE);
    ck_assert_int_eq(mech_decrypt(key, &params, whole(out, 24), out, sizeof out, &size),
                     QH_ECIPHERTEXT);
    params.type = CKM_AES_KEY_WRAP;
    ck_assert_int_eq(mech_encrypt(key, &params, whole(out, 20), out, sizeof out, &size),
                     QH_EDATASIZE);
    ck_assert_int_eq(mech_decrypt(key, &params, whole(out, 16), out, sizeof out, &size),
                     QH_ECIPHERTEXTSIZE);
    key_free(key);
}
END_TEST

/* ---- RSA ---- */

static void openssl_rsa(EVP_PKEY *pkey, bool encrypting, int padding, struct bytes data,
                        uint8_t *out, size_t *ret_size)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);

    ck_assert_int_eq(encrypting ? EVP_PKEY_encrypt_init(ctx) : EVP_PKEY_decrypt_init(ctx), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
    if (padding == RSA_PKCS1_OAEP_PADDING) {
        ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
        ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()), 1);
    }
    *ret_size = FIXTURE_ROOM;
    ck_assert_int_eq(encrypting ? EVP_PKEY_encrypt(ctx, out, ret_size, data.base, data.size)
                                : EVP_PKEY_decrypt(ctx, out, ret_size, data.base, data.size),
                     1);
    EVP_PKEY_CTX_free(ctx);
}

START_TEST(rsa_wraps_for_openssl_and_unwraps_from_it)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP};
    static const int paddings[] = {RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING};
    static const size_t largest[] = {256 - 11, 256 - 2 * 32 - 2};
    static const uint8_t plain[256] = {7, 8, 9};
    uint8_t out[FIXTURE_ROOM], back[FIXTURE_ROOM];
    EVP_PKEY *private_key, *public_key;
    struct secret *unwrapped;
    struct pair pair;
    size_t size, back_size;

    pair_make_rsa(&pair, 2048);
    private_key = openssl_private(&pair);
    public_key = openssl_public(&pair);
    for (size_t i = 0; i < 2 * 3; i++) {
        size_t sizes[] = {1, 32, largest[i % 2]};
        struct bytes data = whole(plain, sizes[i / 2]);
        struct mech_params params = params_of(types[i % 2]);

        ck_assert_uint_eq(mech_wrapped_size(pair.public_key, &params, data.size), 256);
        assert_ok(mech_wrap(pair.public_key, &params, data, out, 256, &size));
        openssl_rsa(private_key, false, paddings[i % 2], whole(out, size), back, &back_size);
        assert_bytes(whole(back, back_size), data);
        assert_ok(mech_unwrap(pair.private_key, &params, whole(out, size), &unwrapped));
        assert_bytes(view(unwrapped), data);
        secret_free(unwrapped);
        openssl_rsa(public_key, true, paddings[i % 2], data, out, &size);
        assert_ok(mech_unwrap(pair.private_key, &params, whole(out, size), &unwrapped));
        assert_bytes(view(unwrapped), data);
        secret_free(unwrapped);
        data.size = largest[i % 2] + 1;
        ck_assert_int_eq(mech_wrap(pair.public_key, &params, data, out, 256, &size), QH_EKEYSIZE);
        ck_assert_int_eq(mech_wrap(pair.public_key, &params, hex("00"), out, 255, &size), QH_EROOM);
        ck_assert_int_eq(mech_unwrap(pair.private_key, &params, whole(out, 255), &unwrapped),
                         QH_EWRAPPEDSIZE);
        ck_assert_int_eq(mech_unwrap(pair.public_key, &params, whole(out, 256), &unwrapped),
                         QH_EKEYTYPE);
    }
    EVP_PKEY_free(private_key);
    EVP_PKEY_free(public_key);
    pair_close(&pair);
}
END_TEST

/* Whoever may only unwrap must not learn whether the padding was right: Bardou et al., "Efficient
 * padding oracle attacks on cryptographic hardware". */
START_TEST(wrong_pkcs1_padding_unwraps_to_bytes_that_stay_the_same)
{
    struct mech_params params = params_of(CKM_RSA_PKCS), raw = {.type = CKM_RSA_X_509};
    uint8_t encoded[256], encrypted[256];
    struct secret *first, *second, *other;
    size_t size, sizes_above_128 = 0;
    struct pair pair;

    pair_make_rsa(&pair, 2048);
    for (size_t i = 0; i < 40; i++) {
        memset(encoded, 0x11, sizeof encoded);
        encoded[0] = 0;
        encoded[1] = (uint8_t)(i % 4 == 0 ? 1 : 2);
        encoded[2 + i % 9] = (uint8_t)(i % 4 == 1 ? 0 : 0x11); /* padding that is too short */
        encoded[255] = (uint8_t)(i % 4 == 2 ? 0 : 0x11);       /* an empty message, or no end */
        encoded[100] = (uint8_t)(i + 1);
        if (i % 4 == 1 && i % 9 == 8) {
            continue; /* long enough */
        }
        assert_ok(mech_encrypt(pair.public_key, &raw, whole(encoded, 256), encrypted, 256, &size));
        assert_ok(mech_unwrap(pair.private_key, &params, whole(encrypted, 256), &first));
        assert_ok(mech_unwrap(pair.private_key, &params, whole(encrypted, 256), &second));
        ck_assert(secret_equal(first, second));
        ck_assert_uint_le(secret_size(first), 245);
        sizes_above_128 += secret_size(first) > 128;
        encoded[101] ^= 1;
        assert_ok(mech_encrypt(pair.public_key, &raw, whole(encoded, 256), encrypted, 256, &size));
        assert_ok(mech_unwrap(pair.private_key, &params, whole(encrypted, 256), &other));
        ck_assert(!secret_equal(first, other));
        secret_free(first);
        secret_free(second);
        secret_free(other);
    }
    ck_assert(sizes_above_128 > 0 && sizes_above_128 < 36);
    memset(encrypted, 0xff, sizeof encrypted); /* above the modulus */
    ck_assert_int_eq(mech_unwrap(pair.private_key, &params, whole(encrypted, 256), &first),
                     QH_EWRAPPED);
    pair_close(&pair);
}
END_TEST

/* Both halves against OpenSSL, and the public key as it comes out of a SubjectPublicKeyInfo. */
START_TEST(rsa_aes_key_wrap_is_oaep_and_kwp)
{
    static const uint32_t bits[] = {128, 192, 256};
    static const char *const names[] = {"id-aes128-wrap-pad", "id-aes192-wrap-pad",
                                        "id-aes256-wrap-pad"};
    uint8_t out[FIXTURE_ROOM], value[FIXTURE_ROOM], back[FIXTURE_ROOM];
    EVP_PKEY *private_key, *public_key;
    size_t size, value_size, back_size;
    struct secret *unwrapped;
    struct bytes none = {NULL, 0}, plain;
    struct pair pair;

    pair_make_rsa(&pair, 2048);
    private_key = openssl_private(&pair);
    public_key = openssl_public(&pair);
    plain = view(pair.material); /* PKCS#8: a target that OAEP alone has no room for */
    for (size_t i = 0; i < 3; i++) {
        struct mech_params params = params_of(CKM_RSA_AES_KEY_WRAP);

        params.key_bits = bits[i];
        assert_ok(mech_wrap(pair.public_key, &params, plain, out, sizeof out, &size));
        ck_assert_uint_eq(size, mech_wrapped_size(pair.public_key, &params, plain.size));
        ck_assert_int_eq(mech_wrap(pair.public_key, &params, plain, out, size - 1, &back_size),
                         QH_EROOM);
        openssl_rsa(private_key, false, RSA_PKCS1_OAEP_PADDING, whole(out, 256), value,
                    &value_size);
        ck_assert_uint_eq(value_size, bits[i] / 8);
        openssl_wrap(names[i], whole(value, value_size), none, false, whole(out + 256, size - 256),
                     back, &back_size);
        assert_bytes(whole(back, back_size), plain);
        assert_ok(mech_unwrap(pair.private_key, &params, whole(out, size), &unwrapped));
        assert_bytes(view(unwrapped), plain);
        secret_free(unwrapped);

        openssl_rsa(public_key, true, RSA_PKCS1_OAEP_PADDING, hex(KEK_256), out, &size);
        openssl_wrap(names[2], hex(KEK_256), none, true, plain, out + 256, &back_size);
        ck_assert_int_eq(
            mech_unwrap(pair.private_key, &params, whole(out, 256 + back_size), &unwrapped),
            bits[i] == 256 ? QH_OK : QH_EWRAPPED);
    }
    assert_bytes(view(unwrapped), plain);
    secret_free(unwrapped);
    EVP_PKEY_free(private_key);
    EVP_PKEY_free(public_key);
    pair_close(&pair);
}
END_TEST

START_TEST(rsa_aes_key_wrap_checks_everything)
{
    static const uint32_t bad_bits[] = {0, 64, 127, 129, 160, 191, 193, 224, 255, 257, 512};
    struct mech_params params = params_of(CKM_RSA_AES_KEY_WRAP), labelled, wrong;
    uint8_t out[FIXTURE_ROOM], changed[FIXTURE_ROOM];
    struct bytes plain = hex("010203");
    struct secret *back = NULL;
    struct pair pair;
    size_t size, unused;

    pair_make_rsa(&pair, 2048);
    wrong = params;
    for (size_t i = 0; i < sizeof bad_bits / sizeof bad_bits[0]; i++) {
        wrong.key_bits = bad_bits[i];
        ck_assert_int_eq(mech_wrap(pair.public_key, &wrong, plain, out, sizeof out, &unused),
                         QH_EPARAMETER);
        ck_assert_int_eq(mech_unwrap(pair.private_key, &wrong, whole(out, 272), &back),
                         QH_EPARAMETER);
    }
    wrong = params;
    wrong.hash = CKM_AES_GCM;
    ck_assert_int_eq(mech_wrap(pair.public_key, &wrong, plain, out, sizeof out, &unused),
                     QH_EPARAMETER);
    wrong = params;
    wrong.mgf = 0;
    ck_assert_int_eq(mech_wrap(pair.public_key, &wrong, plain, out, sizeof out, &unused),
                     QH_EPARAMETER);
    labelled = params;
    labelled.label = text_bytes("label");
    assert_ok(mech_wrap(pair.public_key, &labelled, plain, out, sizeof out, &size));
    ck_assert_uint_eq(size, 256 + 16);
    assert_ok(mech_unwrap(pair.private_key, &labelled, whole(out, size), &back));
    assert_bytes(view(back), plain);
    secret_free(back);
    back = NULL;
    ck_assert_int_eq(mech_unwrap(pair.private_key, &params, whole(out, size), &back), QH_EWRAPPED);
    for (size_t i = 0; i < size; i += 17) {
        memcpy(changed, out, size);
        changed[i] ^= 4;
        ck_assert_int_eq(mech_unwrap(pair.private_key, &labelled, whole(changed, size), &back),
                         QH_EWRAPPED);
    }
    for (size_t i = 0; i <= size + 8; i++) {
        memcpy(changed, out, size);
        if (i < 272 || i % 8 != 0) {
            ck_assert_int_eq(mech_unwrap(pair.private_key, &params, whole(changed, i), &back),
                             QH_EWRAPPEDSIZE);
        }
    }
    ck_assert_ptr_null(back);
    pair_close(&pair);
}
END_TEST

START_TEST(what_cannot_wrap_is_refused_by_name)
{
    struct key *aes = secret_key(CKK_AES, hex(KEK_128));
    struct key *generic = secret_key(CKK_GENERIC_SECRET, hex(KEK_128));
    struct mech_params params = params_of(CKM_AES_CMAC);
    struct secret *back;
    uint8_t out[64];
    size_t size;

    ck_assert_int_eq(mech_wrap(aes, &params, hex(KEK_128), out, 64, &size), QH_EMECHANISM);
    ck_assert_int_eq(mech_unwrap(aes, &params, hex(KEK_128), &back), QH_EMECHANISM);
    ck_assert_uint_eq(mech_wrapped_size(aes, &params, 16), 0);
    params.type = CKM_AES_ECB;
    ck_assert_int_eq(mech_wrap(aes, &params, hex(KEK_128), out, 64, &size), QH_EMECHANISM);
    params.type = CKM_AES_KEY_WRAP;
    ck_assert_int_eq(mech_wrap(generic, &params, hex(KEK_128), out, 64, &size), QH_EKEYTYPE);
    ck_assert_int_eq(mech_unwrap(generic, &params, hex(KEK_128), &back), QH_EKEYTYPE);
    ck_assert_uint_eq(mech_wrapped_size(generic, &params, 16), 0);
    ck_assert_uint_eq(mech_wrapped_size(aes, &params, MECH_WRAP_SIZE_MAX + 1), 0);
    ck_assert_uint_gt(mech_wrapped_size(aes, &params, MECH_WRAP_SIZE_MAX), 0);
    key_free(aes);
    key_free(generic);
}
END_TEST

/* Neither the key that was wrapped, nor the temporary one: its bytes are not known, but they would
 * stand beside. */
START_TEST(nothing_of_a_wrapped_key_stays_in_memory)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_KEY_WRAP,  CKM_AES_KEY_WRAP_KWP, CKM_AES_CBC,
                                              CKM_AES_CBC_PAD,   CKM_AES_GCM,          CKM_RSA_PKCS,
                                              CKM_RSA_PKCS_OAEP, CKM_RSA_AES_KEY_WRAP};
    struct pair pair;

    pair_make_rsa(&pair, 2048);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct key *aes = i < 5 ? secret_key(CKK_AES, hex(KEK_256)) : NULL;
        struct mech_params params = params_of(types[i]);
        uint8_t out[FIXTURE_ROOM], forward[24], backward[24];
        struct secret *plain, *back;
        size_t size;

        assert_ok(key_generate_secret(CKK_AES, 32, &plain));
        assert_ok(mech_wrap(aes != NULL ? aes : pair.public_key, &params, view(plain), out,
                            sizeof out, &size));
        assert_ok(
            mech_unwrap(aes != NULL ? aes : pair.private_key, &params, whole(out, size), &back));
        ck_assert(secret_equal(plain, back));
        turn_over(view(plain), forward, backward);
        ck_assert_uint_gt(count_in_memory(forward), 0);
        secret_free(plain);
        secret_free(back);
        key_free(aes);
        ck_assert_msg(count_in_memory(forward) == 0, "mechanism 0x%lx", types[i]);
    }
    pair_close(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_wrap");
    TCase *tests = tcase_create("mech_wrap");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_examples_of_the_standards_come_out_both_ways);
    tcase_add_test(tests, a_wrapped_key_that_was_changed_is_refused);
    tcase_add_test(tests, sizes_that_a_mechanism_does_not_take_are_refused);
    tcase_add_test(tests, wrapped_sizes_that_cannot_be_are_refused);
    tcase_add_test(tests, an_empty_message_is_no_key);
    tcase_add_test(tests, openssl_unwraps_what_we_wrap_and_the_reverse);
    tcase_add_test(tests, an_iv_has_its_size_or_is_not_there);
    tcase_add_test(tests, key_wrap_encrypts_data_too);
    tcase_add_test(tests, rsa_wraps_for_openssl_and_unwraps_from_it);
    tcase_add_test(tests, wrong_pkcs1_padding_unwraps_to_bytes_that_stay_the_same);
    tcase_add_test(tests, rsa_aes_key_wrap_is_oaep_and_kwp);
    tcase_add_test(tests, rsa_aes_key_wrap_checks_everything);
    tcase_add_test(tests, what_cannot_wrap_is_refused_by_name);
    tcase_add_test(tests, nothing_of_a_wrapped_key_stays_in_memory);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
