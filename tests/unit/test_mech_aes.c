/* AES: NIST's examples, OpenSSL on the other side, and what each mode refuses. */
#include "crypto/mech.h"

#include "tests/unit/crypto_fixture.h"

#define KEY_128 "2b7e151628aed2a6abf7158809cf4f3c"
#define KEY_192 "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
#define KEY_256 "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
#define PLAIN                                                          \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define IV "000102030405060708090a0b0c0d0e0f"
#define COUNTER "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

struct known {
    CK_MECHANISM_TYPE type;
    const char *key, *iv, *plain, *encrypted;
};

/* NIST SP 800-38A, appendix F. */
static const struct known known[] = {
    {CKM_AES_ECB, KEY_128, "", PLAIN,
     "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
     "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4"},
    {CKM_AES_ECB, KEY_192, "", PLAIN,
     "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef"
     "ef7afd2270e2e60adce0ba2face6444e9a4b41ba738d6c72fb16691603c18e0e"},
    {CKM_AES_ECB, KEY_256, "", PLAIN,
     "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
     "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7"},
    {CKM_AES_CBC, KEY_128, IV, PLAIN,
     "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
     "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
    {CKM_AES_CBC, KEY_192, IV, PLAIN,
     "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
     "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"},
    {CKM_AES_CBC, KEY_256, IV, PLAIN,
     "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
     "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
    {CKM_AES_CTR, KEY_128, COUNTER, PLAIN,
     "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
     "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"},
    {CKM_AES_CTR, KEY_192, COUNTER, PLAIN,
     "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
     "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050"},
    {CKM_AES_CTR, KEY_256, COUNTER, PLAIN,
     "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
     "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"},
};

static struct mech_params params_of(const struct known *one)
{
    return (struct mech_params){.type = one->type, .iv = hex(one->iv)};
}

START_TEST(the_examples_of_sp_800_38a_come_out_both_ways)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct key *key = secret_key(CKK_AES, hex(known[i].key));
        struct mech_params params = params_of(&known[i]);
        struct bytes plain = hex(known[i].plain), encrypted = hex(known[i].encrypted);
        uint8_t out[64];
        size_t size;

        for (int again = 0; again < 2; again++) {
            assert_ok(mech_encrypt(key, &params, plain, out, sizeof out, &size));
            assert_bytes(whole(out, size), encrypted);
            assert_ok(mech_decrypt(key, &params, encrypted, out, sizeof out, &size));
            assert_bytes(whole(out, size), plain);
        }
        key_free(key);
    }
}
END_TEST

/* Whatever the size, and the same bytes as one long call. */
START_TEST(ctr_takes_any_size)
{
    struct key *key = secret_key(CKK_AES, hex(KEY_128));
    struct mech_params params = params_of(&known[6]);
    struct bytes plain = hex(PLAIN), encrypted = hex(known[6].encrypted);

    for (size_t size = 0; size <= 64; size++) {
        uint8_t out[64];
        size_t out_size = 99;

        assert_ok(mech_encrypt(key, &params, whole(plain.base, size), out, size, &out_size));
        assert_bytes(whole(out, out_size), whole(encrypted.base, size));
    }
    key_free(key);
}
END_TEST

struct counter_case {
    const char *block;
    uint32_t bits;
    size_t blocks; /* that there are; more than four: no limit is seen */
};

/* PKCS#11's own example is the first: two bits that start as 1 are good for three blocks. */
static const struct counter_case counters[] = {
    {"00000000000000000000000000000001", 2, 3},   {"00000000000000000000000000000000", 1, 2},
    {"00000000000000000000000000000001", 1, 1},   {"fffffffffffffffffffffffffffffffc", 2, 4},
    {"fffffffffffffffffffffffffffffffc", 3, 4},   {"fffffffffffffffffffffffffffffff8", 3, 5},
    {"0000000000000000000000000000fffe", 16, 2},  {"0000000000000000000000000000fffe", 17, 5},
    {"000000000000000000000000fffffffe", 31, 2},  {"000000000000000000000000fffffffe", 32, 2},
    {"000000000000000000000000fffffffe", 33, 5},  {"000000000000000000000001fffffffe", 33, 2},
    {"000000000000000000000001fffffffe", 34, 5},  {"0000000000000000fffffffffffffffe", 64, 2},
    {"7fffffffffffffffffffffffffffffff", 127, 1}, {"7fffffffffffffffffffffffffffffff", 128, 5},
    {"ffffffffffffffffffffffffffffffff", 128, 1}, {"ffffffffffffffffffffffffffffffff", 0, 1},
    {"fffffffffffffffffffffffffffffffd", 0, 3},
};

/* Up to there each block is the encryption of the next counter. */
static void assert_counts(struct key *key, const struct counter_case *one)
{
    struct mech_params ctr = {
        .type = CKM_AES_CTR, .iv = hex(one->block), .counter_bits = one->bits};
    struct mech_params ecb = {.type = CKM_AES_ECB};
    uint8_t zeroes[80] = {0}, out[80], counter[16], expected[16];
    size_t size;

    memcpy(counter, ctr.iv.base, 16);
    for (size_t blocks = 1; blocks <= 5; blocks++) {
        enum qh_err err = blocks <= one->blocks ? QH_OK : QH_EDATASIZE;

        for (size_t part = 0; part < 2; part++) { /* a block begun counts */
            struct bytes data = whole(zeroes, 16 * blocks - 15 * part);

            ck_assert_int_eq(mech_encrypt(key, &ctr, data, out, sizeof out, &size), err);
            ck_assert_int_eq(mech_decrypt(key, &ctr, data, out, sizeof out, &size), err);
        }
        if (err == QH_OK) {
            assert_ok(mech_encrypt(key, &ctr, whole(zeroes, 16 * blocks), out, 80, &size));
            assert_ok(mech_encrypt(key, &ecb, whole(counter, 16), expected, 16, &size));
            assert_bytes(whole(out + 16 * blocks - 16, 16), whole(expected, 16));
        }
        for (size_t i = 16; i > 0 && ++counter[i - 1] == 0; i--) {
        }
    }
}

START_TEST(a_counter_that_would_overflow_is_refused)
{
    struct key *key = secret_key(CKK_AES, hex(KEY_128));
    struct mech_params params = {.type = CKM_AES_CTR, .iv = hex(IV), .counter_bits = 129};
    uint8_t out[16];
    size_t size;

    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        assert_counts(key, &counters[i]);
    }
    ck_assert_int_eq(mech_encrypt(key, &params, whole(out, 16), out, 16, &size), QH_EPARAMETER);
    params.counter_bits = UINT32_MAX;
    ck_assert_int_eq(mech_decrypt(key, &params, whole(out, 16), out, 16, &size), QH_EPARAMETER);
    params.counter_bits = 128;
    assert_ok(mech_encrypt(key, &params, whole(out, 16), out, 16, &size));
    key_free(key);
}
END_TEST

START_TEST(sizes_and_parameters_that_do_not_fit_are_refused)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD,
                                              CKM_AES_CTR};
    struct key *key = secret_key(CKK_AES, hex(KEY_128));
    struct bytes data = hex(PLAIN);
    uint8_t out[80] = {7};
    size_t size = 99;

    for (size_t i = 0; i < 4; i++) {
        struct mech_params params = {.type = types[i], .iv = hex(IV)};
        bool blocks = types[i] == CKM_AES_ECB || types[i] == CKM_AES_CBC;

        assert_ok(mech_encrypt(key, &params, data, out, sizeof out, &size));
        ck_assert_int_eq(mech_encrypt(key, &params, whole(data.base, 63), out, sizeof out, &size),
                         blocks ? QH_EDATASIZE : QH_OK);
        if (types[i] != CKM_AES_CTR) {
            ck_assert_int_eq(
                mech_decrypt(key, &params, whole(data.base, 63), out, sizeof out, &size),
                QH_ECIPHERTEXTSIZE);
        }
        params.iv.size = 15;
        ck_assert_int_eq(mech_encrypt(key, &params, data, out, sizeof out, &size),
                         types[i] == CKM_AES_ECB ? QH_OK : QH_EPARAMETER);
        params.iv = hex(IV "00");
        ck_assert_int_eq(mech_decrypt(key, &params, data, out, sizeof out, &size),
                         types[i] == CKM_AES_ECB ? QH_OK : QH_EPARAMETER);
    }
    key_free(key);
}
END_TEST

START_TEST(too_little_room_leaves_the_buffer_alone)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD,
                                              CKM_AES_CTR, CKM_AES_GCM};
    struct key *key = secret_key(CKK_AES, hex(KEY_256));
    struct bytes data = hex(PLAIN);

    for (size_t i = 0; i < 5; i++) {
        struct mech_params params = {.type = types[i], .iv = hex(IV), .tag_bits = 128};
        uint8_t encrypted[80], out[80], untouched[80];
        size_t size = 99, back = 99;

        memset(out, 0xa5, sizeof out);
        memset(untouched, 0xa5, sizeof untouched);
        assert_ok(mech_encrypt(key, &params, data, encrypted, sizeof encrypted, &size));
        ck_assert_int_eq(mech_encrypt(key, &params, data, out, size - 1, &back), QH_EROOM);
        ck_assert_int_eq(
            mech_decrypt(key, &params, whole(encrypted, size), out, data.size - 1, &back),
            QH_EROOM);
        ck_assert_uint_eq(back, 99);
        assert_bytes(whole(out, sizeof out), whole(untouched, sizeof untouched));
        assert_ok(mech_decrypt(key, &params, whole(encrypted, size), out, data.size, &back));
        assert_bytes(whole(out, back), data);
        ck_assert_uint_eq(out[data.size], 0xa5);
    }
    key_free(key);
}
END_TEST

/* OpenSSL's padding, both ways, at every size around the blocks. */
START_TEST(cbc_pad_is_openssls)
{
    struct key *key = secret_key(CKK_AES, hex(KEY_256));
    struct mech_params params = {.type = CKM_AES_CBC_PAD, .iv = hex(IV)};
    struct bytes secret = hex(KEY_256), data = hex(PLAIN);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    for (size_t size = 0; size <= 64; size++) {
        uint8_t ours[80], theirs[80], back[80];
        int first = 0, last = 0;
        size_t our_size, back_size;

        ck_assert_int_eq(
            EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, secret.base, params.iv.base), 1);
        ck_assert_int_eq(EVP_EncryptUpdate(ctx, theirs, &first, data.base, (int)size), 1);
        ck_assert_int_eq(EVP_EncryptFinal_ex(ctx, theirs + first, &last), 1);
        assert_ok(mech_encrypt(key, &params, whole(data.base, size), ours, sizeof ours, &our_size));
        assert_bytes(whole(ours, our_size), whole(theirs, (size_t)(first + last)));
        assert_ok(mech_decrypt(key, &params, whole(ours, our_size), back, size, &back_size));
        assert_bytes(whole(back, back_size), whole(data.base, size));
    }
    EVP_CIPHER_CTX_free(ctx);
    key_free(key);
}
END_TEST

START_TEST(padding_that_is_wrong_is_found)
{
    static const char *const bad[] = {
        "00000000000000000000000000000000", /* no padding of 0 */
        "00000000000000000000000000000011", /* 17 */
        "000000000000000000000000000000ff", /* 255 */
        "00000000000000000000000000000102", /* 2, and 1 before it */
        "11101010101010101010101010101010", /* 16, but 15 of them */
        "00000000000000000000000303030003",
    };
    static const char *const good[] = {
        "00000000000000000000000000000001",
        "00000000000000000000000000000202",
        "10101010101010101010101010101010",
    };
    struct key *key = secret_key(CKK_AES, hex(KEY_128));
    struct mech_params plain = {.type = CKM_AES_CBC, .iv = hex(IV)};
    struct mech_params padded = {.type = CKM_AES_CBC_PAD, .iv = hex(IV)};
    uint8_t encrypted[16], out[16];
    size_t size, back;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_ok(mech_encrypt(key, &plain, hex(bad[i]), encrypted, 16, &size));
        ck_assert_int_eq(mech_decrypt(key, &padded, whole(encrypted, 16), out, 16, &back),
                         QH_ECIPHERTEXT);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_ok(mech_encrypt(key, &plain, hex(good[i]), encrypted, 16, &size));
        assert_ok(mech_decrypt(key, &padded, whole(encrypted, 16), out, 16, &back));
        ck_assert_uint_eq(back, i == 2 ? 0 : 15 - i);
    }
    ck_assert_int_eq(mech_decrypt(key, &padded, whole(encrypted, 0), out, 16, &back),
                     QH_ECIPHERTEXTSIZE);
    key_free(key);
}
END_TEST

struct gcm_case {
    const char *key, *iv, *aad, *plain, *sealed;
};

#define GCM_KEY "feffe9928665731c6d6a8f9467308308"
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_PLAIN                                                      \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" \
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"

/* Cases 1, 2, 4, 5 and 16 of the specification of GCM that NIST adopted. */
static const struct gcm_case gcm_cases[] = {
    {"00000000000000000000000000000000", "000000000000000000000000", "", "",
     "58e2fccefa7e3061367f1d57a4e7455a"},
    {"00000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000",
     "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"},
    {GCM_KEY, "cafebabefacedbaddecaf888", GCM_AAD, GCM_PLAIN,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {GCM_KEY, "cafebabefacedbad", GCM_AAD, GCM_PLAIN,
     "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
     "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598"
     "3612d2e79e3b0785561be14aaca2fccb"},
    {GCM_KEY GCM_KEY, "cafebabefacedbaddecaf888", GCM_AAD, GCM_PLAIN,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static struct mech_params gcm_params(const struct gcm_case *one)
{
    return (struct mech_params){
        .type = CKM_AES_GCM, .iv = hex(one->iv), .aad = hex(one->aad), .tag_bits = 128};
}

START_TEST(the_examples_of_gcm_come_out_both_ways)
{
    for (size_t i = 0; i < sizeof gcm_cases / sizeof gcm_cases[0]; i++) {
        struct key *key = secret_key(CKK_AES, hex(gcm_cases[i].key));
        struct mech_params params = gcm_params(&gcm_cases[i]);
        struct bytes plain = hex(gcm_cases[i].plain), sealed = hex(gcm_cases[i].sealed);
        uint8_t out[80];
        size_t size;

        for (int again = 0; again < 2; again++) {
            assert_ok(mech_encrypt(key, &params, plain, out, sizeof out, &size));
            assert_bytes(whole(out, size), sealed);
            assert_ok(mech_decrypt(key, &params, sealed, out, sizeof out, &size));
            assert_bytes(whole(out, size), plain);
        }
        key_free(key);
    }
}
END_TEST

/* IVs of one key that differ in size must not get in each other's way. */
START_TEST(ivs_of_many_sizes_take_turns)
{
    struct key *key = secret_key(CKK_AES, hex(GCM_KEY));

    for (int again = 0; again < 3; again++) {
        for (size_t i = 2; i < 4; i++) {
            struct mech_params params = gcm_params(&gcm_cases[i]), other;
            uint8_t out[80];
            size_t size;

            assert_ok(mech_encrypt(key, &params, hex(GCM_PLAIN), out, sizeof out, &size));
            assert_bytes(whole(out, size), hex(gcm_cases[i].sealed));
            for (size_t j = 1; j <= 11; j++) { /* more than there are contexts */
                other = params;
                other.iv = hex(IV);
                other.iv.size = j;
                assert_ok(mech_encrypt(key, &other, hex("00"), out, sizeof out, &size));
            }
        }
    }
    key_free(key);
}
END_TEST

START_TEST(tags_of_all_seven_sizes_are_cut_from_the_whole_one)
{
    static const uint32_t good[] = {32, 64, 96, 104, 112, 120, 128};
    static const uint32_t bad[] = {0, 8, 16, 24, 40, 72, 88, 95, 97, 127, 136, 0xffffffff};
    struct key *key = secret_key(CKK_AES, hex(GCM_KEY));
    struct mech_params params = gcm_params(&gcm_cases[2]);
    struct bytes plain = hex(GCM_PLAIN), sealed = hex(gcm_cases[2].sealed);
    uint8_t out[80], back[80];
    size_t size, back_size;

    for (size_t i = 0; i < 7; i++) {
        params.tag_bits = good[i];
        assert_ok(mech_encrypt(key, &params, plain, out, sizeof out, &size));
        assert_bytes(whole(out, size), whole(sealed.base, plain.size + good[i] / 8));
        assert_ok(mech_decrypt(key, &params, whole(out, size), back, sizeof back, &back_size));
        assert_bytes(whole(back, back_size), plain);
        ck_assert_int_eq(
            mech_decrypt(key, &params, whole(out, good[i] / 8 - 1), back, sizeof back, &back_size),
            QH_ECIPHERTEXTSIZE);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        params.tag_bits = bad[i];
        ck_assert_int_eq(mech_encrypt(key, &params, plain, out, sizeof out, &size), QH_EPARAMETER);
        ck_assert_int_eq(mech_decrypt(key, &params, sealed, out, sizeof out, &size), QH_EPARAMETER);
    }
    key_free(key);
}
END_TEST

START_TEST(gcm_gives_nothing_out_if_anything_was_changed)
{
    struct key *key = secret_key(CKK_AES, hex(GCM_KEY));
    struct mech_params params = gcm_params(&gcm_cases[2]), wrong = params;
    struct bytes sealed = hex(gcm_cases[2].sealed);
    uint8_t changed[80], out[80], zeroes[60] = {0};
    size_t size = 99;

    for (size_t i = 0; i < sealed.size; i++) {
        memcpy(changed, sealed.base, sealed.size);
        changed[i] ^= 0x80;
        memset(out, 0, sizeof out);
        ck_assert_int_eq(
            mech_decrypt(key, &params, whole(changed, sealed.size), out, sizeof out, &size),
            QH_ECIPHERTEXT);
        assert_bytes(whole(out, 60), whole(zeroes, 60));
        ck_assert_uint_eq(size, 99);
    }
    wrong.aad.size--;
    ck_assert_int_eq(mech_decrypt(key, &wrong, sealed, out, sizeof out, &size), QH_ECIPHERTEXT);
    wrong = params;
    wrong.iv.size--;
    ck_assert_int_eq(mech_decrypt(key, &wrong, sealed, out, sizeof out, &size), QH_ECIPHERTEXT);
    assert_ok(mech_decrypt(key, &params, sealed, out, sizeof out, &size));
    key_free(key);
}
END_TEST

START_TEST(ivs_of_gcm_have_a_least_and_a_largest_size)
{
    static const uint8_t iv[MECH_IV_SIZE_MAX + 1];
    struct key *key = secret_key(CKK_AES, hex(GCM_KEY));
    struct mech_params params = {.type = CKM_AES_GCM, .tag_bits = 96};
    uint8_t out[32];
    size_t size;

    params.iv = whole(iv, 0);
    ck_assert_int_eq(mech_encrypt(key, &params, hex("00"), out, 32, &size), QH_EPARAMETER);
    params.iv.size = 1;
    assert_ok(mech_encrypt(key, &params, hex("00"), out, 32, &size));
    params.iv.size = MECH_IV_SIZE_MAX;
    assert_ok(mech_encrypt(key, &params, hex("00"), out, 32, &size));
    params.iv.size = MECH_IV_SIZE_MAX + 1;
    ck_assert_int_eq(mech_encrypt(key, &params, hex("00"), out, 32, &size), QH_EPARAMETER);
    key_free(key);
}
END_TEST

START_TEST(data_and_additional_data_have_a_largest_size)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD,
                                              CKM_AES_CTR, CKM_AES_GCM};
    size_t room = MECH_CIPHER_SIZE_MAX + 64, size;
    uint8_t *in = calloc(1, room), *out = calloc(1, room);
    struct key *key = secret_key(CKK_AES, hex(KEY_256));
    struct mech_params params = {.iv = hex(IV), .tag_bits = 128};

    ck_assert(in != NULL && out != NULL);
    for (size_t i = 0; i < 5; i++) {
        params.type = types[i];
        assert_ok(mech_encrypt(key, &params, whole(in, MECH_CIPHER_SIZE_MAX), out, room, &size));
        ck_assert_int_eq(
            mech_encrypt(key, &params, whole(in, MECH_CIPHER_SIZE_MAX + 16), out, room, &size),
            QH_EDATASIZE);
        ck_assert_int_eq(
            mech_decrypt(key, &params, whole(in, MECH_CIPHER_SIZE_MAX + 16), out, room, &size),
            QH_ECIPHERTEXTSIZE);
    }
    params.aad = whole(in, MECH_CIPHER_SIZE_MAX);
    assert_ok(mech_encrypt(key, &params, whole(in, 1), out, room, &size));
    params.aad.size++;
    ck_assert_int_eq(mech_encrypt(key, &params, whole(in, 1), out, room, &size), QH_EPARAMETER);
    key_free(key);
    free(in);
    free(out);
}
END_TEST

START_TEST(data_may_be_replaced_in_place)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD,
                                              CKM_AES_CTR, CKM_AES_GCM};
    struct key *key = secret_key(CKK_AES, hex(KEY_256));
    struct bytes data = hex(PLAIN);

    for (size_t i = 0; i < 5; i++) {
        struct mech_params params = {.type = types[i], .iv = hex(IV), .tag_bits = 128};
        uint8_t room[80];
        size_t size;

        memcpy(room, data.base, data.size);
        assert_ok(mech_encrypt(key, &params, whole(room, data.size), room, sizeof room, &size));
        assert_ok(mech_decrypt(key, &params, whole(room, size), room, sizeof room, &size));
        assert_bytes(whole(room, size), data);
    }
    key_free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_aes");
    TCase *tests = tcase_create("mech_aes");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_examples_of_sp_800_38a_come_out_both_ways);
    tcase_add_test(tests, ctr_takes_any_size);
    tcase_add_test(tests, a_counter_that_would_overflow_is_refused);
    tcase_add_test(tests, sizes_and_parameters_that_do_not_fit_are_refused);
    tcase_add_test(tests, too_little_room_leaves_the_buffer_alone);
    tcase_add_test(tests, cbc_pad_is_openssls);
    tcase_add_test(tests, padding_that_is_wrong_is_found);
    tcase_add_test(tests, the_examples_of_gcm_come_out_both_ways);
    tcase_add_test(tests, ivs_of_many_sizes_take_turns);
    tcase_add_test(tests, tags_of_all_seven_sizes_are_cut_from_the_whole_one);
    tcase_add_test(tests, gcm_gives_nothing_out_if_anything_was_changed);
    tcase_add_test(tests, ivs_of_gcm_have_a_least_and_a_largest_size);
    tcase_add_test(tests, data_and_additional_data_have_a_largest_size);
    tcase_add_test(tests, data_may_be_replaced_in_place);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
