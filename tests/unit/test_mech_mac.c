/* HMAC and CMAC: RFC 4231, RFC 2202, NIST's examples. */
#include "crypto/mech.h"

#include "tests/unit/crypto_fixture.h"

struct known {
    CK_MECHANISM_TYPE type;
    CK_KEY_TYPE key_type;
    const char *key, *data, *mac; /* all hexadecimal */
};

#define HI_THERE "4869205468657265"
#define KEY_0B "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"
#define KEY_JEFE "4a656665"
#define JEFE_ASKS "7768617420646f2079612077616e7420666f72206e6f7468696e673f"
#define CMAC_128 "2b7e151628aed2a6abf7158809cf4f3c"
#define CMAC_256 "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
#define CMAC_64_BYTES                                                  \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"

static const struct known known[] = {
    {CKM_SHA_1_HMAC, CKK_GENERIC_SECRET, KEY_0B, HI_THERE,
     "b617318655057264e28bc0b6fb378c8ef146be00"},
    {CKM_SHA224_HMAC, CKK_GENERIC_SECRET, KEY_0B, HI_THERE,
     "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"},
    {CKM_SHA256_HMAC, CKK_GENERIC_SECRET, KEY_0B, HI_THERE,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {CKM_SHA384_HMAC, CKK_GENERIC_SECRET, KEY_0B, HI_THERE,
     "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
     "faea9ea9076ede7f4af152e8b2fa9cb6"},
    {CKM_SHA512_HMAC, CKK_GENERIC_SECRET, KEY_0B, HI_THERE,
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
     "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
    {CKM_SHA256_HMAC, CKK_SHA256_HMAC, KEY_JEFE, JEFE_ASKS,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {CKM_AES_CMAC, CKK_AES, CMAC_128, "", "bb1d6929e95937287fa37d129b756746"},
    {CKM_AES_CMAC, CKK_AES, CMAC_128, "6bc1bee22e409f96e93d7e117393172a",
     "070a16b46b4d4144f79bdd9dd04a287c"},
    {CKM_AES_CMAC, CKK_AES, CMAC_128, CMAC_64_BYTES, "51f0bebf7e3b9d92fc49741779363cfe"},
    {CKM_AES_CMAC, CKK_AES, CMAC_256, "", "028962f61b7bf89efc6b551f4667d983"},
    {CKM_AES_CMAC, CKK_AES, CMAC_256, "6bc1bee22e409f96e93d7e117393172a",
     "28a7023f452e8f82bd4bf28d8c37c35c"},
};

START_TEST(the_macs_of_the_standards_come_out_and_verify)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct key *key = secret_key(known[i].key_type, hex(known[i].key));
        struct mech_params params = {.type = known[i].type};
        struct bytes data = hex(known[i].data), mac = hex(known[i].mac);
        uint8_t out[64];
        size_t size;

        for (int again = 0; again < 3; again++) {
            assert_ok(mech_sign(key, &params, data, out, mac.size, &size));
            assert_bytes(whole(out, size), mac);
            assert_ok(mech_verify(key, &params, data, mac));
            ck_assert_int_eq(mech_verify(key, &params, hex("ff"), mac), QH_ESIGNATURE);
        }
        key_free(key);
    }
}
END_TEST

/* RFC 4231, case 6. */
START_TEST(a_key_longer_than_the_block_is_hashed)
{
    struct mech_params params = {.type = CKM_SHA256_HMAC};
    uint8_t value[131], out[32];
    struct key *key;
    size_t size;

    memset(value, 0xaa, sizeof value);
    key = secret_key(CKK_GENERIC_SECRET, whole(value, sizeof value));
    assert_ok(mech_sign(key, &params,
                        text_bytes("Test Using Larger Than Block-Size Key - Hash Key First"), out,
                        sizeof out, &size));
    assert_bytes(whole(out, size),
                 hex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
    key_free(key);
}
END_TEST

START_TEST(a_mac_is_as_long_as_it_is)
{
    struct mech_params params = {.type = CKM_SHA256_HMAC};
    struct key *key = secret_key(CKK_GENERIC_SECRET, hex(KEY_0B));
    struct bytes mac = hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff700");
    uint8_t out[32];
    size_t size = 99;

    ck_assert_uint_eq(mech_signature_size(key, &params), 32);
    ck_assert_int_eq(mech_sign(key, &params, hex(HI_THERE), out, 31, &size), QH_EROOM);
    ck_assert_uint_eq(size, 99);
    ck_assert_int_eq(mech_verify(key, &params, hex(HI_THERE), whole(mac.base, 31)),
                     QH_ESIGNATURESIZE);
    ck_assert_int_eq(mech_verify(key, &params, hex(HI_THERE), mac), QH_ESIGNATURESIZE);
    assert_ok(mech_verify(key, &params, hex(HI_THERE), whole(mac.base, 32)));
    key_free(key);
}
END_TEST

START_TEST(keys_for_one_hash_serve_no_other)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_SHA_1_HMAC, CKM_SHA224_HMAC, CKM_SHA256_HMAC,
                                              CKM_SHA384_HMAC, CKM_SHA512_HMAC};
    static const CK_KEY_TYPE key_types[] = {CKK_SHA_1_HMAC, CKK_SHA224_HMAC, CKK_SHA256_HMAC,
                                            CKK_SHA384_HMAC, CKK_SHA512_HMAC};

    for (size_t i = 0; i < 5; i++) {
        struct key *key = secret_key(key_types[i], hex(KEY_0B));
        uint8_t out[64];
        size_t size;

        for (size_t j = 0; j < 5; j++) {
            struct mech_params params = {.type = types[j]};

            ck_assert_int_eq(mech_sign(key, &params, hex(HI_THERE), out, sizeof out, &size),
                             i == j ? QH_OK : QH_EKEYTYPE);
        }
        key_free(key);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_mac");
    TCase *tests = tcase_create("mech_mac");

    tcase_add_test(tests, the_macs_of_the_standards_come_out_and_verify);
    tcase_add_test(tests, a_key_longer_than_the_block_is_hashed);
    tcase_add_test(tests, a_mac_is_as_long_as_it_is);
    tcase_add_test(tests, keys_for_one_hash_serve_no_other);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
