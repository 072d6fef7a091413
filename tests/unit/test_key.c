/* Keys: opening, generating, what is refused, and that nothing of them stays behind. */
#include "crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>

#include "tests/unit/crypto_fixture.h"
#include "tests/unit/memory_scan.h"

static const char *const ec_oids[] = {OID_P256, OID_P384, OID_P521, OID_SECP256K1};
static const unsigned ec_bits[] = {256, 384, 521, 256};

START_TEST(a_generated_rsa_key_is_what_was_asked_for)
{
    struct pair pair;
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *ctx;

    pair_make_rsa(&pair, 2048);
    ck_assert_uint_eq(key_bits(pair.private_key), 2048);
    ck_assert_uint_eq(key_bits(pair.public_key), 2048);
    ck_assert_uint_eq(key_class(pair.private_key), CKO_PRIVATE_KEY);
    ck_assert_uint_eq(key_class(pair.public_key), CKO_PUBLIC_KEY);
    ck_assert_uint_eq(key_type(pair.public_key), CKK_RSA);
    ck_assert_uint_eq(pair.public.modulus.size, 256);
    ck_assert_uint_ge(pair.public.modulus.base[0], 0x80);
    assert_bytes(pair.public.public_exponent, hex("010001"));
    ck_assert_uint_eq(pair.public.ec_params.size + pair.public.ec_point.size, 0);
    pkey = openssl_private(&pair);
    ctx = EVP_PKEY_CTX_new(pkey, NULL);
    ck_assert_int_eq(EVP_PKEY_check(ctx), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    pair_close(&pair);
}
END_TEST

START_TEST(rsa_sizes_and_exponents_have_limits)
{
    static const char *const bad[] = {"",
                                      "00",
                                      "01",
                                      "03",
                                      "ffff",
                                      "010000",
                                      "010002",
                                      "ffffffffffffffff01",
                                      "010000000000000001"};
    static const char *const good[] = {"010001", "000000010001", "ffffffffffffffff"};
    struct secret *secret = NULL;
    struct key_public public;

    assert_ok(secret_setup());
    ck_assert_int_eq(key_generate_rsa(2040, hex("010001"), &secret, &public), QH_EKEYSIZE);
    ck_assert_int_eq(key_generate_rsa(2047, hex("010001"), &secret, &public), QH_EKEYSIZE);
    ck_assert_int_eq(key_generate_rsa(2049, hex("010001"), &secret, &public), QH_EKEYSIZE);
    ck_assert_int_eq(key_generate_rsa(8192 + 8, hex("010001"), &secret, &public), QH_EKEYSIZE);
    ck_assert_int_eq(key_generate_rsa(0, hex("010001"), &secret, &public), QH_EKEYSIZE);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(key_generate_rsa(2048, hex(bad[i]), &secret, &public), QH_EATTRVALUE);
    }
    ck_assert_ptr_null(secret);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(key_generate_rsa(2048, hex(good[i]), &secret, &public));
        secret_free(secret);
        free(public.block);
    }
}
END_TEST

/* Applications ask for sizes that are not whole bytes, too. */
START_TEST(an_even_number_of_bits_need_not_be_whole_bytes)
{
    struct pair pair;
    EVP_PKEY *pkey;

    pair_make_rsa(&pair, 2050);
    ck_assert_uint_eq(pair.public.modulus.size, 257);
    pkey = openssl_private(&pair);
    ck_assert_int_eq(EVP_PKEY_get_bits(pkey), 2050);
    EVP_PKEY_free(pkey);
    pair_close(&pair);
}
END_TEST

/* The largest takes too long to generate here; its public half does as well. */
START_TEST(a_modulus_of_8192_bits_is_the_largest)
{
    uint8_t n[1025];
    struct key_public public;
    struct key *key;

    assert_ok(secret_setup());
    memset(n, 0xff, sizeof n);
    assert_ok(key_import_rsa_public(whole(n, 1024), hex("03"), &public));
    assert_ok(key_open(CKO_PUBLIC_KEY, CKK_RSA, public.spki, &key));
    ck_assert_uint_eq(key_bits(key), 8192);
    key_free(key);
    free(public.block);
    n[0] = 1;
    ck_assert_int_eq(key_import_rsa_public(whole(n, 1025), hex("03"), &public), QH_EKEYSIZE);
    n[0] = 0;
    assert_ok(key_import_rsa_public(whole(n, 1025), hex("03"), &public));
    free(public.block);
    assert_ok(key_import_rsa_public(whole(n + 1, 128), hex("03"), &public));
    free(public.block);
    n[1] = 0x7f;
    ck_assert_int_eq(key_import_rsa_public(whole(n + 1, 128), hex("03"), &public), QH_EKEYSIZE);
    n[1024] = 0xfe;
    ck_assert_int_eq(key_import_rsa_public(whole(n + 1, 1024), hex("03"), &public), QH_EATTRVALUE);
}
END_TEST

START_TEST(generated_curve_keys_are_what_was_asked_for)
{
    for (size_t i = 0; i < 4; i++) {
        struct pair pair;
        EVP_PKEY *pkey;
        EVP_PKEY_CTX *ctx;

        pair_make_ec(&pair, CKK_EC, ec_oids[i]);
        ck_assert_uint_eq(key_bits(pair.private_key), ec_bits[i]);
        assert_bytes(pair.public.ec_params, hex(ec_oids[i]));
        ck_assert_uint_eq(pair.public.ec_point.base[0], 4);
        ck_assert_uint_eq(pair.public.modulus.size + pair.public.public_exponent.size, 0);
        pkey = openssl_private(&pair);
        ctx = EVP_PKEY_CTX_new(pkey, NULL);
        ck_assert_int_eq(EVP_PKEY_check(ctx), 1);
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(pkey);
        pair_close(&pair);
    }
}
END_TEST

struct name {
    CK_KEY_TYPE type;
    const char *params;
    unsigned bits, size; /* of a point */
    int openssl;
};

/* Java and pkcs11-tool say "edwards25519", older programs an OID of GNU's or OpenPGP's; each gets
 * back what it said. */
static const struct name names[] = {
    {CKK_EC_EDWARDS, OID_ED25519, 255, 32, EVP_PKEY_ED25519},
    {CKK_EC_EDWARDS, "130c656477617264733235353139", 255, 32, EVP_PKEY_ED25519},
    {CKK_EC_EDWARDS, "06092b06010401da470f01", 255, 32, EVP_PKEY_ED25519},
    {CKK_EC_EDWARDS, OID_ED448, 448, 57, EVP_PKEY_ED448},
    {CKK_EC_EDWARDS, "130a65647761726473343438", 448, 57, EVP_PKEY_ED448},
    {CKK_EC_EDWARDS, "06092b06010401da470f02", 448, 57, EVP_PKEY_ED448},
    {CKK_EC_MONTGOMERY, OID_X25519, 255, 32, EVP_PKEY_X25519},
    {CKK_EC_MONTGOMERY, "130a63757276653235353139", 255, 32, EVP_PKEY_X25519},
    {CKK_EC_MONTGOMERY, "060a2b060104019755010501", 255, 32, EVP_PKEY_X25519},
    {CKK_EC_MONTGOMERY, OID_X448, 448, 56, EVP_PKEY_X448},
    {CKK_EC_MONTGOMERY, "13086375727665343438", 448, 56, EVP_PKEY_X448},
};

START_TEST(edwards_and_montgomery_curves_have_several_names)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CK_KEY_TYPE other = names[i].type == CKK_EC_EDWARDS ? CKK_EC_MONTGOMERY : CKK_EC_EDWARDS;
        struct pair pair;
        struct key *key;
        EVP_PKEY *pkey;

        pair_make_ec(&pair, names[i].type, names[i].params);
        assert_bytes(pair.public.ec_params, hex(names[i].params));
        ck_assert_uint_eq(pair.public.ec_point.size, names[i].size + 2);
        ck_assert_uint_eq(key_bits(pair.public_key), names[i].bits);
        ck_assert_int_eq(key_open(CKO_PUBLIC_KEY, other, pair.public.spki, &key), QH_EKEYTYPE);
        ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, other, view(pair.material), &key), QH_EKEYTYPE);
        pkey = openssl_private(&pair);
        ck_assert_int_eq(EVP_PKEY_get_id(pkey), names[i].openssl);
        EVP_PKEY_free(pkey);
        pkey = openssl_public(&pair);
        ck_assert_int_eq(EVP_PKEY_get_id(pkey), names[i].openssl);
        EVP_PKEY_free(pkey);
        pair_close(&pair);
    }
}
END_TEST

START_TEST(other_curves_are_refused)
{
    static const char *const bad[] = {
        "",          "06",  "06052b81040021" /* P-224 */, OID_P256 "00", "06082a8648ce3d0301",
        OID_ED25519, "0500"};
    struct secret *secret = NULL;
    struct key_public public;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(key_generate_ec(CKK_EC, hex(bad[i]), &secret, &public), QH_ECURVE);
        ck_assert_int_eq(key_import_ec_public(CKK_EC, hex(bad[i]), hex("04"), &public), QH_ECURVE);
        ck_assert_int_eq(key_import_ec_private(CKK_EC, hex(bad[i]), hex("04"), &secret, &public),
                         QH_ECURVE);
    }
    ck_assert_int_eq(key_generate_ec(CKK_EC_EDWARDS, hex(OID_P256), &secret, &public), QH_ECURVE);
    ck_assert_int_eq(key_generate_ec(CKK_EC_MONTGOMERY, hex(OID_ED25519), &secret, &public),
                     QH_ECURVE);
    ck_assert_int_eq(key_generate_ec(CKK_RSA, hex(OID_P256), &secret, &public), QH_ECURVE);
    ck_assert_ptr_null(secret);
}
END_TEST

START_TEST(secrets_have_sizes)
{
    struct secret *secret = NULL;
    struct key *key;

    assert_ok(secret_setup());
    for (size_t size = 0; size <= 40; size++) {
        bool fits = size == 16 || size == 24 || size == 32;
        enum qh_err err = key_generate_secret(CKK_AES, size, &secret);

        ck_assert_int_eq(err, fits ? QH_OK : QH_EKEYSIZE);
        if (fits) {
            ck_assert_uint_eq(secret_size(secret), size);
            assert_ok(key_open(CKO_SECRET_KEY, CKK_AES, view(secret), &key));
            ck_assert_uint_eq(key_bits(key), 8 * size);
            key_free(key);
            secret_free(secret);
        }
    }
    ck_assert_int_eq(key_generate_secret(CKK_GENERIC_SECRET, 0, &secret), QH_EKEYSIZE);
    ck_assert_int_eq(key_generate_secret(CKK_SHA256_HMAC, KEY_SECRET_SIZE_MAX + 1, &secret),
                     QH_EKEYSIZE);
    ck_assert_int_eq(key_generate_secret(CKK_RSA, 16, &secret), QH_EKEYTYPE);
    ck_assert_int_eq(key_generate_secret(CKK_DES3, 24, &secret), QH_EKEYTYPE);
    assert_ok(key_generate_secret(CKK_GENERIC_SECRET, KEY_SECRET_SIZE_MAX, &secret));
    assert_ok(key_open(CKO_SECRET_KEY, CKK_SHA512_HMAC, view(secret), &key));
    key_free(key);
    secret_free(secret);
    assert_ok(key_generate_secret(CKK_GENERIC_SECRET, 1, &secret));
    secret_free(secret);
}
END_TEST

START_TEST(two_generated_secrets_differ)
{
    struct secret *one, *other;

    assert_ok(secret_setup());
    assert_ok(key_generate_secret(CKK_AES, 32, &one));
    assert_ok(key_generate_secret(CKK_AES, 32, &other));
    ck_assert(!secret_equal(one, other));
    secret_free(one);
    secret_free(other);
}
END_TEST

START_TEST(open_refuses_what_does_not_belong_together)
{
    static const uint8_t bytes[KEY_SECRET_SIZE_MAX + 1] = {1};
    struct pair rsa, ec;
    struct key *key = NULL;

    pair_make_rsa(&rsa, 2048);
    pair_make_ec(&ec, CKK_EC, OID_P256);
    ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, CKK_EC, view(rsa.material), &key), QH_EKEYTYPE);
    ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, CKK_RSA, view(ec.material), &key), QH_EKEYTYPE);
    ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, CKK_EC_EDWARDS, view(ec.material), &key),
                     QH_EKEYTYPE);
    ck_assert_int_eq(key_open(CKO_PUBLIC_KEY, CKK_EC, rsa.public.spki, &key), QH_EKEYTYPE);
    ck_assert_int_eq(key_open(CKO_PUBLIC_KEY, CKK_RSA, view(rsa.material), &key), QH_EMALFORMED);
    ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, CKK_RSA, rsa.public.spki, &key), QH_EMALFORMED);
    ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, CKK_AES, view(rsa.material), &key), QH_EKEYTYPE);
    ck_assert_int_eq(key_open(CKO_SECRET_KEY, CKK_RSA, whole(bytes, 16), &key), QH_EKEYTYPE);
    ck_assert_int_eq(key_open(CKO_DATA, CKK_AES, whole(bytes, 16), &key), QH_EKEYTYPE);
    ck_assert_int_eq(key_open(CKO_SECRET_KEY, CKK_AES, whole(bytes, 17), &key), QH_EKEYSIZE);
    ck_assert_int_eq(key_open(CKO_SECRET_KEY, CKK_GENERIC_SECRET, whole(bytes, 0), &key),
                     QH_EKEYSIZE);
    ck_assert_int_eq(
        key_open(CKO_SECRET_KEY, CKK_GENERIC_SECRET, whole(bytes, KEY_SECRET_SIZE_MAX + 1), &key),
        QH_EKEYSIZE);
    ck_assert_ptr_null(key);
    key_free(NULL);
    pair_close(&rsa);
    pair_close(&ec);
}
END_TEST

START_TEST(cut_off_material_is_malformed)
{
    struct pair pairs[4];

    pair_make_rsa(&pairs[0], 2048);
    pair_make_ec(&pairs[1], CKK_EC, OID_P521);
    pair_make_ec(&pairs[2], CKK_EC_EDWARDS, OID_ED25519);
    pair_make_ec(&pairs[3], CKK_EC_MONTGOMERY, OID_X448);
    for (size_t i = 0; i < 4; i++) {
        CK_KEY_TYPE type = key_type(pairs[i].private_key);
        struct bytes material = view(pairs[i].material), spki = pairs[i].public.spki;
        struct key *key = NULL;

        for (size_t size = 0; size < material.size; size++) {
            ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, type, whole(material.base, size), &key),
                             QH_EMALFORMED);
        }
        for (size_t size = 0; size < spki.size; size++) {
            ck_assert_int_eq(key_open(CKO_PUBLIC_KEY, type, whole(spki.base, size), &key),
                             QH_EMALFORMED);
        }
        pair_close(&pairs[i]);
    }
}
END_TEST

/* Other programs leave out the point, or add it twice. */
START_TEST(foreign_forms_of_a_private_key_are_read)
{
    static const char value[] = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    static const char *const forms[][2] = {
        {"3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420", ""},
        {"304d020100301306072a8648ce3d020106082a8648ce3d030107043330310201010420",
         "a00a06082a8648ce3d030107"},
        {"3043020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420", "a000"},
    };
    struct mech_params params = {.type = CKM_ECDSA};

    assert_ok(secret_setup());
    for (size_t i = 0; i < 3; i++) {
        char text[400];
        uint8_t signature[64];
        struct key *key;
        size_t size;

        (void)snprintf(text, sizeof text, "%s%s%s", forms[i][0], value, forms[i][1]);
        assert_ok(key_open(CKO_PRIVATE_KEY, CKK_EC, hex(text), &key));
        assert_ok(mech_sign(key, &params, hex("01"), signature, sizeof signature, &size));
        assert_ok(mech_verify(key, &params, hex("01"), whole(signature, size)));
        key_free(key);
    }
    /* A curve named twice, and not the same one. */
    ck_assert_int_eq(
        key_open(CKO_PRIVATE_KEY, CKK_EC,
                 hex("304a020100301306072a8648ce3d020106082a8648ce3d0301070430302e0201010420"
                     "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
                     "a00706052b8104000a"),
                 &(struct key *){NULL}),
        QH_EMALFORMED);
}
END_TEST

START_TEST(a_private_key_of_1024_bits_is_not_opened)
{
    EVP_PKEY *small = EVP_RSA_gen(1024);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(small);
    uint8_t *der = NULL;
    int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    struct key *key = NULL;

    ck_assert_int_gt(size, 0);
    ck_assert_int_eq(key_open(CKO_PRIVATE_KEY, CKK_RSA, whole(der, (size_t)size), &key),
                     QH_EKEYSIZE);
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(small);
}
END_TEST

START_TEST(openssls_pkcs8_is_ours)
{
    struct pair pair;

    for (size_t i = 0; i < 3; i++) {
        EVP_PKEY *pkey;
        PKCS8_PRIV_KEY_INFO *info;
        uint8_t *der = NULL;
        int size;

        if (i == 0) {
            pair_make_rsa(&pair, 2048);
        } else if (i == 1) {
            pair_make_ec(&pair, CKK_EC, OID_P384);
        } else {
            pair_make_ec(&pair, CKK_EC_EDWARDS, OID_ED448);
        }
        pkey = openssl_private(&pair);
        info = EVP_PKEY2PKCS8(pkey);
        size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
        ck_assert_int_gt(size, 0);
        assert_bytes(whole(der, (size_t)size), view(pair.material));
        OPENSSL_free(der);
        der = NULL;
        size = i2d_PUBKEY(pkey, &der);
        ck_assert_int_gt(size, 0);
        assert_bytes(whole(der, (size_t)size), pair.public.spki);
        OPENSSL_free(der);
        PKCS8_PRIV_KEY_INFO_free(info);
        EVP_PKEY_free(pkey);
        pair_close(&pair);
    }
}
END_TEST

static void sign_once(struct key *key, CK_MECHANISM_TYPE type)
{
    struct mech_params params = {.type = type};
    uint8_t signature[256], data[32] = {1};
    size_t size;

    assert_ok(mech_sign(key, &params, whole(data, 32), signature, sizeof signature, &size));
}

START_TEST(nothing_of_a_private_key_stays_in_memory)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_SHA256_RSA_PKCS, CKM_ECDSA, CKM_EDDSA};

    for (size_t i = 0; i < 3; i++) {
        uint8_t forward[24], backward[24];
        struct key_rsa_parts rsa;
        struct bytes ec_value;
        struct secret *block;
        struct pair pair;

        if (i == 0) {
            pair_make_rsa(&pair, 2048);
        } else if (i == 1) {
            pair_make_ec(&pair, CKK_EC, OID_P256);
        } else {
            pair_make_ec(&pair, CKK_EC_EDWARDS, OID_ED25519);
        }
        assert_ok(key_private_parts(key_type(pair.private_key), view(pair.material), &rsa,
                                    &ec_value, &block));
        turn_over(i == 0 ? rsa.p : ec_value, forward, backward);
        sign_once(pair.private_key, types[i]);
        ck_assert_uint_gt(count_in_memory(forward) + count_in_memory(backward), 0);
        secret_free(block);
        pair_close(&pair);
        ck_assert_uint_eq(count_in_memory(forward), 0);
        ck_assert_uint_eq(count_in_memory(backward), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key");
    TCase *tests = tcase_create("key");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_generated_rsa_key_is_what_was_asked_for);
    tcase_add_test(tests, rsa_sizes_and_exponents_have_limits);
    tcase_add_test(tests, an_even_number_of_bits_need_not_be_whole_bytes);
    tcase_add_test(tests, a_modulus_of_8192_bits_is_the_largest);
    tcase_add_test(tests, generated_curve_keys_are_what_was_asked_for);
    tcase_add_test(tests, edwards_and_montgomery_curves_have_several_names);
    tcase_add_test(tests, other_curves_are_refused);
    tcase_add_test(tests, secrets_have_sizes);
    tcase_add_test(tests, two_generated_secrets_differ);
    tcase_add_test(tests, open_refuses_what_does_not_belong_together);
    tcase_add_test(tests, cut_off_material_is_malformed);
    tcase_add_test(tests, foreign_forms_of_a_private_key_are_read);
    tcase_add_test(tests, a_private_key_of_1024_bits_is_not_opened);
    tcase_add_test(tests, openssls_pkcs8_is_ours);
    tcase_add_test(tests, nothing_of_a_private_key_stays_in_memory);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
