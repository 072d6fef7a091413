/* ECDSA and EdDSA: known answers, OpenSSL on the other side, hashes of every size, and the parser
 * of signatures. */
#include "crypto/mech_ec.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "tests/unit/crypto_fixture.h"

/* RFC 6979, A.2.5 and A.2.7. */
#define P256_VALUE "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define P256_POINT                                                       \
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6" \
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define P256_SHA256                                                    \
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" \
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
#define P256_SHA512                                                    \
    "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00" \
    "2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe"
#define P521_VALUE                                                                         \
    "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c7085" \
    "5836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538"
#define P521_SHA512                                                                        \
    "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d450" \
    "606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa"                                     \
    "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af282623eaa63e5b5c0723" \
    "d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a"

static void import(struct pair *pair, CK_KEY_TYPE type, const char *oid, const char *value)
{
    assert_ok(secret_setup());
    assert_ok(key_import_ec_private(type, hex(oid), hex(value), &pair->material, &pair->public));
    pair_open(pair, type);
}

static enum qh_err verify(const struct pair *pair, CK_MECHANISM_TYPE type, struct bytes data,
                          struct bytes signature)
{
    struct mech_params params = {.type = type};

    return mech_verify(pair->public_key, &params, data, signature);
}

START_TEST(signatures_of_rfc_6979_verify)
{
    struct bytes sample = text_bytes("sample");
    struct pair p256, p521;

    import(&p256, CKK_EC, OID_P256, P256_VALUE);
    assert_bytes(whole(p256.public.ec_point.base + 2, 65), hex(P256_POINT));
    assert_ok(verify(&p256, CKM_ECDSA_SHA256, sample, hex(P256_SHA256)));
    ck_assert_int_eq(verify(&p256, CKM_ECDSA_SHA384, sample, hex(P256_SHA256)), QH_ESIGNATURE);
    ck_assert_int_eq(verify(&p256, CKM_ECDSA_SHA256, text_bytes("simple"), hex(P256_SHA256)),
                     QH_ESIGNATURE);
    pair_close(&p256);
    import(&p521, CKK_EC, OID_P521, P521_VALUE);
    assert_ok(verify(&p521, CKM_ECDSA_SHA512, sample, hex(P521_SHA512)));
    pair_close(&p521);
}
END_TEST

/* SHA-512 under P-256: the standard takes the leftmost 256 bits. */
START_TEST(a_hash_longer_than_the_order_is_truncated)
{
    struct bytes sample = text_bytes("sample");
    struct pair pair;
    uint8_t hash[64], signature[64];
    struct mech_params params = {.type = CKM_ECDSA};
    size_t size;

    import(&pair, CKK_EC, OID_P256, P256_VALUE);
    assert_ok(verify(&pair, CKM_ECDSA_SHA512, sample, hex(P256_SHA512)));
    ck_assert_int_eq(EVP_Digest(sample.base, sample.size, hash, NULL, EVP_sha512(), NULL), 1);
    assert_ok(verify(&pair, CKM_ECDSA, whole(hash, 64), hex(P256_SHA512)));
    assert_ok(verify(&pair, CKM_ECDSA, whole(hash, 32), hex(P256_SHA512)));
    ck_assert_int_eq(verify(&pair, CKM_ECDSA, whole(hash, 31), hex(P256_SHA512)), QH_ESIGNATURE);
    assert_ok(mech_sign(pair.private_key, &params, whole(hash, 64), signature, 64, &size));
    assert_ok(verify(&pair, CKM_ECDSA, whole(hash, 32), whole(signature, size)));
    pair_close(&pair);
}
END_TEST

/* P-521's order ends in the middle of a byte, and 66 bytes are 528 bits. */
START_TEST(the_last_bits_that_do_not_fit_p521_are_cut)
{
    struct mech_params params = {.type = CKM_ECDSA};
    uint8_t hash[80], signature[132];
    struct pair pair;
    size_t size;

    pair_make_ec(&pair, CKK_EC, OID_P521);
    memset(hash, 0xa5, sizeof hash);
    assert_ok(mech_sign(pair.private_key, &params, whole(hash, 80), signature, 132, &size));
    assert_ok(verify(&pair, CKM_ECDSA, whole(hash, 66), whole(signature, size)));
    hash[65] ^= 0x7f; /* behind bit 521 */
    assert_ok(verify(&pair, CKM_ECDSA, whole(hash, 66), whole(signature, size)));
    hash[65] ^= 0x80; /* bit 521 */
    ck_assert_int_eq(verify(&pair, CKM_ECDSA, whole(hash, 66), whole(signature, size)),
                     QH_ESIGNATURE);
    pair_close(&pair);
}
END_TEST

START_TEST(ecdsa_without_a_hash_is_refused)
{
    struct mech_params params = {.type = CKM_ECDSA};
    uint8_t signature[64];
    struct pair pair;
    size_t size = 7;

    pair_make_ec(&pair, CKK_EC, OID_P256);
    ck_assert_int_eq(
        mech_sign(pair.private_key, &params, whole(signature, 0), signature, 64, &size),
        QH_EDATASIZE);
    ck_assert_uint_eq(size, 7);
    ck_assert_int_eq(verify(&pair, CKM_ECDSA, whole(signature, 0), whole(signature, 64)),
                     QH_EDATASIZE);
    assert_ok(mech_sign(pair.private_key, &params, whole(signature, 1), signature, 64, &size));
    pair_close(&pair);
}
END_TEST

START_TEST(zero_and_too_large_halves_are_no_signature)
{
    uint8_t hash[32] = {1}, signature[64];
    struct pair pair;

    pair_make_ec(&pair, CKK_EC, OID_P256);
    memset(signature, 0, sizeof signature);
    ck_assert_int_eq(verify(&pair, CKM_ECDSA, whole(hash, 32), whole(signature, 64)),
                     QH_ESIGNATURE);
    memset(signature, 0xff, sizeof signature);
    ck_assert_int_eq(verify(&pair, CKM_ECDSA, whole(hash, 32), whole(signature, 64)),
                     QH_ESIGNATURE);
    ck_assert_int_eq(verify(&pair, CKM_ECDSA, whole(hash, 32), whole(signature, 63)),
                     QH_ESIGNATURESIZE);
    pair_close(&pair);
}
END_TEST

/* r||s to DER with a parser of OpenSSL's. */
static bool openssl_verifies(const struct pair *pair, const EVP_MD *md, struct bytes data,
                             struct bytes signature)
{
    EVP_PKEY *pkey = openssl_public(pair);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ECDSA_SIG *parsed = ECDSA_SIG_new();
    int half = (int)signature.size / 2, size;
    uint8_t *der = NULL;
    bool good;

    ck_assert_int_eq(ECDSA_SIG_set0(parsed, BN_bin2bn(signature.base, half, NULL),
                                    BN_bin2bn(signature.base + half, half, NULL)),
                     1);
    size = i2d_ECDSA_SIG(parsed, &der);
    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(EVP_DigestVerifyInit(ctx, NULL, md, NULL, pkey), 1);
    good = EVP_DigestVerify(ctx, der, (size_t)size, data.base, data.size) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(parsed);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return good;
}

static struct bytes openssl_signs(const struct pair *pair, const EVP_MD *md, struct bytes data)
{
    EVP_PKEY *pkey = openssl_private(pair);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    static uint8_t der[256];
    size_t size = sizeof der;

    ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, md, NULL, pkey), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, der, &size, data.base, data.size), 1);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return whole(der, size);
}

static void check_with_openssl(const struct pair *pair, CK_MECHANISM_TYPE type, const EVP_MD *md)
{
    struct bytes data = text_bytes("what is signed"), der;
    struct mech_params params = {.type = type};
    size_t size, half = mech_signature_size(pair->private_key, &params) / 2;
    uint8_t signature[256];

    for (int i = 0; i < 20; i++) { /* enough that some halves begin with a zero or a set bit */
        assert_ok(mech_sign(pair->private_key, &params, data, signature, sizeof signature, &size));
        ck_assert(openssl_verifies(pair, md, data, whole(signature, size)));
        der = openssl_signs(pair, md, data);
        assert_ok(mech_ec_from_der(der, half, signature));
        assert_ok(verify(pair, type, data, whole(signature, size)));
    }
}

START_TEST(openssl_verifies_what_we_sign_and_the_reverse)
{
    static const char *const oids[] = {OID_P256, OID_P384, OID_P521, OID_SECP256K1};

    for (size_t i = 0; i < 4; i++) {
        struct pair pair;

        pair_make_ec(&pair, CKK_EC, oids[i]);
        check_with_openssl(&pair, CKM_ECDSA_SHA1, EVP_sha1());
        check_with_openssl(&pair, CKM_ECDSA_SHA224, EVP_sha224());
        check_with_openssl(&pair, CKM_ECDSA_SHA256, EVP_sha256());
        check_with_openssl(&pair, CKM_ECDSA_SHA384, EVP_sha384());
        check_with_openssl(&pair, CKM_ECDSA_SHA512, EVP_sha512());
        pair_close(&pair);
    }
}
END_TEST

struct eddsa_case {
    const char *oid, *value, *point, *message, *signature;
};

/* RFC 8032, 7.1 and 7.4. */
static const struct eddsa_case eddsa_cases[] = {
    {OID_ED25519, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
     "f9b46bd25bf5f0595bbe24655141438e7a100b"},
    {OID_ED25519, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
     "f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {OID_ED25519, "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
     "c6594a7c15e9716ed28dc027beceea1ec40a"},
    {OID_ED448,
     "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94"
     "492f8f032e7549a20098f95b",
     "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1"
     "e50f6cd1fa1abeafe8256180",
     "",
     "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22dd"
     "d47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda85"
     "30a113a0f4dbb61149f05a7363268c71d95808ff2e652600"},
};

START_TEST(eddsa_gives_the_signatures_of_rfc_8032)
{
    struct mech_params params = {.type = CKM_EDDSA};

    for (size_t i = 0; i < sizeof eddsa_cases / sizeof eddsa_cases[0]; i++) {
        const struct eddsa_case *known = &eddsa_cases[i];
        struct bytes message = hex(known->message), expected = hex(known->signature);
        uint8_t signature[114];
        struct pair pair;
        size_t size;

        import(&pair, CKK_EC_EDWARDS, known->oid, known->value);
        assert_bytes(whole(pair.public.ec_point.base + 2, pair.public.ec_point.size - 2),
                     hex(known->point));
        assert_ok(mech_sign(pair.private_key, &params, message, signature, 114, &size));
        assert_bytes(whole(signature, size), expected);
        assert_ok(verify(&pair, CKM_EDDSA, message, expected));
        ck_assert_int_eq(verify(&pair, CKM_EDDSA, text_bytes("other"), expected), QH_ESIGNATURE);
        pair_close(&pair);
    }
}
END_TEST

START_TEST(signatures_in_der_have_one_form)
{
    static const char *const wrong[] = {
        "",
        "3006020101020102ff",     /* something behind */
        "300702010102010200",     /* something behind, inside */
        "3003020101",             /* one number */
        "3009020101020102020103", /* three */
        "300602010102018f",       /* negative */
        "30070202000102010a",     /* a zero too many */
        "308106020101020102",     /* a length too long */
        "3008020301020302010a",   /* longer than the order */
        "310602010102010a",       /* not a SEQUENCE */
        "3006040101020102",       /* not an INTEGER */
        "30060201010201",         /* cut off */
    };
    uint8_t signature[4] = {7, 7, 7, 7};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(mech_ec_from_der(hex(wrong[i]), 2, signature) == QH_EMALFORMED, "%s",
                      wrong[i]);
        ck_assert_uint_eq(signature[0], 7);
    }
    assert_ok(mech_ec_from_der(hex("300702010102020080"), 2, signature));
    assert_bytes(whole(signature, 4), hex("00010080"));
    assert_ok(mech_ec_from_der(hex("30080202010102020203"), 2, signature));
    assert_bytes(whole(signature, 4), hex("01010203"));
    assert_ok(mech_ec_from_der(hex("3006020100020100"), 2, signature));
    assert_bytes(whole(signature, 4), hex("00000000"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_ec");
    TCase *tests = tcase_create("mech_ec");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, signatures_of_rfc_6979_verify);
    tcase_add_test(tests, a_hash_longer_than_the_order_is_truncated);
    tcase_add_test(tests, the_last_bits_that_do_not_fit_p521_are_cut);
    tcase_add_test(tests, ecdsa_without_a_hash_is_refused);
    tcase_add_test(tests, zero_and_too_large_halves_are_no_signature);
    tcase_add_test(tests, openssl_verifies_what_we_sign_and_the_reverse);
    tcase_add_test(tests, eddsa_gives_the_signatures_of_rfc_8032);
    tcase_add_test(tests, signatures_in_der_have_one_form);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
