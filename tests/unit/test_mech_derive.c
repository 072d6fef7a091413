/* Keys from keys: known answers of NIST and the RFCs, OpenSSL on the other side, points and sizes
 * that must be refused. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "tests/unit/crypto_fixture.h"
#include "tests/unit/memory_scan.h"

struct agreement {
    CK_KEY_TYPE type;
    const char *oid, *value, *point, *shared;
};

/* CAVS, ECC CDH primitive, the first of each curve; RFC 7748, 6.1 and 6.2; and for secp256k1, of
 * which NIST has none, OpenSSL's test vector. */
static const struct agreement agreements[] = {
    {CKK_EC, OID_P256, "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534",
     "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287"
     "db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac",
     "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"},
    {CKK_EC, OID_P384,
     "3cc3122a68f0d95027ad38c067916ba0eb8c38894d22e1b15618b6818a661774"
     "ad463b205da88cf699ab4d43c9cf98a1",
     "04a7c76b970c3b5fe8b05d2838ae04ab47697b9eaf52e764592efda27fe7513272"
     "734466b400091adbf2d68c58e0c50066"
     "ac68f19f2e1cb879aed43a9969b91a0839c4c38a49749b661efedf243451915e"
     "d0905a32b060992b468c64766fc8437a",
     "5f9d29dc5e31a163060356213669c8ce132e22f57c9a04f40ba7fcead493b457"
     "e5621e766c40a2e3d4d6a04b25e533f1"},
    {CKK_EC, OID_P521,
     "017eecc07ab4b329068fba65e56a1f8890aa935e57134ae0ffcce802735151f4ea"
     "c6564f6ee9974c5e6887a1fefee5743ae2241bfeb95d5ce31ddcb6f9edb4d6fc47",
     "0400685a48e86c79f0f0875f7bc18d25eb5fc8c0b07e5da4f4370f3a9490340854"
     "334b1e1b87fa395464c60626124a4e70d0f785601d37c09870ebf176666877a2046d"
     "01ba52c56fc8776d9e8f5db4f0cc27636d0b741bbe05400697942e80b739884a83"
     "bde99e0f6716939e632bc8986fa18dccd443a348b6c3e522497955a4f3c302f676",
     "005fc70477c3e63bc3954bd0df3ea0d1f41ee21746ed95fc5e1fdf90930d5e1366"
     "72d72cc770742d1711c3c3a4c334a0ad9759436a4d3c5bf6e74b9578fac148c831"},
    {CKK_EC_MONTGOMERY, OID_X25519,
     "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
     "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    {CKK_EC_MONTGOMERY, OID_X448,
     "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d"
     "d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
     "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430"
     "27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
     "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b"
     "b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"},
    {CKK_EC, OID_SECP256K1, "1c2473cb421c131e82780ea880d34a48e7ee4e51f2e1f13f2cdc6400d512e24f",
     "040542821c91ecbe5728774302565147ca5cd6db8d67bde326440161af23605faa"
     "d5aa8a0645e5549be5a217b533d19b088dd1ca77d1c77bed813967e7b96c91d4",
     "af43b52790082fd87afb1d14b883c12d12bb9e554080d1f8e527920676e31f3e"},
};
#define AGREEMENTS (sizeof agreements / sizeof agreements[0])

static void open_agreement(const struct agreement *agreement, struct pair *pair)
{
    assert_ok(secret_setup());
    assert_ok(key_import_ec_private(agreement->type, hex(agreement->oid), hex(agreement->value),
                                    &pair->material, &pair->public));
    pair_open(pair, agreement->type);
}

static void assert_derives(struct key *key, const struct mech_params *params, size_t size,
                           struct bytes expected)
{
    struct secret *value;

    assert_ok(mech_derive(key, params, size, &value));
    assert_bytes(view(value), expected);
    secret_free(value);
}

static void assert_refused(struct key *key, const struct mech_params *params, size_t size,
                           enum qh_err err)
{
    struct secret *value = NULL;

    ck_assert_int_eq(mech_derive(key, params, size, &value), err);
    ck_assert_ptr_null(value);
}

/* A point in the wrapper with @tag. */
static struct bytes wrapped_point(uint8_t tag, struct bytes point, uint8_t room[160])
{
    size_t at = 0, size = point.size + (tag == 0x03);

    room[at++] = tag;
    if (size >= 0x80) {
        room[at++] = 0x81;
    }
    room[at++] = (uint8_t)size;
    if (tag == 0x03) {
        room[at++] = 0;
    }
    memcpy(room + at, point.base, point.size);
    return whole(room, at + point.size);
}

START_TEST(shared_secrets_of_the_standards_come_out)
{
    for (size_t i = 0; i < AGREEMENTS; i++) {
        struct mech_params params = {.type = CKM_ECDH1_DERIVE, .kdf = CKD_NULL};
        struct bytes point = hex(agreements[i].point), shared = hex(agreements[i].shared);
        uint8_t room[160], half[67];
        struct pair pair;

        open_agreement(&agreements[i], &pair);
        params.public_data = point;
        for (int again = 0; again < 2; again++) {
            assert_derives(pair.private_key, &params, 0, shared);
            assert_derives(pair.private_key, &params, shared.size, shared);
            assert_derives(pair.private_key, &params, 16,
                           whole(shared.base + shared.size - 16, 16)); /* the trailing bytes */
        }
        params.public_data = wrapped_point(0x04, point, room);
        assert_derives(pair.private_key, &params, 0, shared);
        params.public_data = wrapped_point(0x03, point, room);
        assert_derives(pair.private_key, &params, 0, shared);
        assert_refused(pair.private_key, &params, shared.size + 1, QH_EKEYSIZE);
        assert_refused(pair.public_key, &params, 0, QH_EKEYTYPE);
        if (agreements[i].type == CKK_EC) {
            half[0] = (uint8_t)(2 + (point.base[point.size - 1] & 1));
            memcpy(half + 1, point.base + 1, shared.size);
            params.public_data = whole(half, 1 + shared.size);
            assert_derives(pair.private_key, &params, 0, shared);
        }
        params.public_data = point;
        params.type = CKM_ECDH1_COFACTOR_DERIVE;
        if (agreements[i].type == CKK_EC) {
            assert_derives(pair.private_key, &params, 0, shared);
        } else {
            assert_refused(pair.private_key, &params, 0, QH_EKEYTYPE);
        }
        pair_close(&pair);
    }
}
END_TEST

START_TEST(points_that_are_not_on_the_curve_are_refused)
{
    for (size_t i = 0; i < AGREEMENTS; i++) {
        struct mech_params params = {.type = CKM_ECDH1_DERIVE, .kdf = CKD_NULL};
        struct bytes point = hex(agreements[i].point);
        uint8_t room[160] = {0};
        struct pair pair;

        open_agreement(&agreements[i], &pair);
        memcpy(room, point.base, point.size);
        for (size_t size = 0; size < point.size + 8; size++) {
            params.public_data = whole(room, size);
            if (size != point.size) {
                assert_refused(pair.private_key, &params, 0, QH_EPARAMETER);
            }
        }
        params.public_data.size = point.size;
        assert_derives(pair.private_key, &params, 0, hex(agreements[i].shared));
        if (agreements[i].type == CKK_EC) {
            room[point.size - 1] ^= 1;
            assert_refused(pair.private_key, &params, 0, QH_EPARAMETER);
            room[point.size - 1] ^= 1;
            room[0] = 5;
            assert_refused(pair.private_key, &params, 0, QH_EPARAMETER);
            memset(room, 0, sizeof room);
            assert_refused(pair.private_key, &params, 0, QH_EPARAMETER);
            params.public_data.size = 1; /* infinity */
            assert_refused(pair.private_key, &params, 0, QH_EPARAMETER);
            params.public_data = point; /* the context is as good as before */
            assert_derives(pair.private_key, &params, 0, hex(agreements[i].shared));
        }
        pair_close(&pair);
    }
}
END_TEST

/* Points of small order give zero, whatever the key: RFC 7748, 6. */
START_TEST(a_shared_secret_of_zero_is_refused)
{
    static const char *const small[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct mech_params params = {.type = CKM_ECDH1_DERIVE, .kdf = CKD_NULL};
    static const uint8_t zeroes[56];
    struct pair pair;

    open_agreement(&agreements[3], &pair);
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        params.public_data = hex(small[i]);
        assert_refused(pair.private_key, &params, 0, QH_EPARAMETER);
    }
    params.public_data = hex(agreements[3].point);
    assert_derives(pair.private_key, &params, 0, hex(agreements[3].shared));
    pair_close(&pair);
    open_agreement(&agreements[4], &pair);
    params.public_data = whole(zeroes, 56);
    assert_refused(pair.private_key, &params, 0, QH_EPARAMETER);
    pair_close(&pair);
}
END_TEST

static void openssl_kdf(const char *name, const char *digest, struct bytes secret,
                        struct bytes shared, uint8_t *out, size_t size)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[4];

    params[0] =
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)digest, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET,
                                                  (void *)(uintptr_t)secret.base, secret.size);
    params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO,
                                                  (void *)(uintptr_t)shared.base, shared.size);
    params[3] = OSSL_PARAM_construct_end();
    ck_assert_int_eq(EVP_KDF_derive(ctx, out, size, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

static const struct {
    CK_EC_KDF_TYPE kdf;
    const char *name, *digest;
} kdfs[] = {
    {CKD_SHA1_KDF, "X963KDF", "SHA1"},         {CKD_SHA224_KDF, "X963KDF", "SHA224"},
    {CKD_SHA256_KDF, "X963KDF", "SHA256"},     {CKD_SHA384_KDF, "X963KDF", "SHA384"},
    {CKD_SHA512_KDF, "X963KDF", "SHA512"},     {CKD_SHA1_KDF_SP800, "SSKDF", "SHA1"},
    {CKD_SHA224_KDF_SP800, "SSKDF", "SHA224"}, {CKD_SHA256_KDF_SP800, "SSKDF", "SHA256"},
    {CKD_SHA384_KDF_SP800, "SSKDF", "SHA384"}, {CKD_SHA512_KDF_SP800, "SSKDF", "SHA512"},
};

START_TEST(the_kdfs_are_openssls)
{
    static const size_t sizes[] = {1, 19, 20, 21, 31, 32, 33, 64, 65, 256, KEY_SECRET_SIZE_MAX};
    static uint8_t theirs[KEY_SECRET_SIZE_MAX], data[MECH_DERIVE_DATA_SIZE_MAX + 1];
    struct bytes shared = hex(agreements[0].shared);
    struct pair pair;

    open_agreement(&agreements[0], &pair);
    for (size_t i = 0; i < sizeof kdfs / sizeof kdfs[0]; i++) {
        struct mech_params params = {
            .type = CKM_ECDH1_DERIVE, .kdf = kdfs[i].kdf, .public_data = hex(agreements[0].point)};

        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            params.shared_data = whole(data, 3 * j);
            openssl_kdf(kdfs[i].name, kdfs[i].digest, shared, params.shared_data, theirs, sizes[j]);
            assert_derives(pair.private_key, &params, sizes[j], whole(theirs, sizes[j]));
        }
        assert_refused(pair.private_key, &params, 0, QH_EKEYSIZE);
        assert_refused(pair.private_key, &params, KEY_SECRET_SIZE_MAX + 1, QH_EKEYSIZE);
        params.shared_data = whole(data, MECH_DERIVE_DATA_SIZE_MAX);
        openssl_kdf(kdfs[i].name, kdfs[i].digest, shared, params.shared_data, theirs, 32);
        assert_derives(pair.private_key, &params, 32, whole(theirs, 32));
        params.shared_data.size++;
        assert_refused(pair.private_key, &params, 32, QH_EPARAMETER);
    }
    pair_close(&pair);
}
END_TEST

/* CAVS, ANS X9.63-2001, SHA-512, the one shared secret of its list that is a coordinate on P-521:
 * with 1 as the private value, what comes in is the shared secret. */
START_TEST(an_x963_example_of_nist_comes_out)
{
    struct mech_params params = {
        .type = CKM_ECDH1_DERIVE,
        .kdf = CKD_SHA512_KDF,
        .public_data = hex("02"
                           "01a33032a2bf6f8e9d6972dd339536c9e248ae9881844ff1bd04af48085be4ca18"
                           "34f2a94ce1019dd9620d1e3a68203a5b291f40b5f8e3238a2a036312b89061cc60"),
        .shared_data = hex("d3297ad6b9757d1f5a9d5b0e72176d74")};
    struct pair pair;

    assert_ok(secret_setup());
    assert_ok(
        key_import_ec_private(CKK_EC, hex(OID_P521), hex("01"), &pair.material, &pair.public));
    pair_open(&pair, CKK_EC);
    assert_derives(pair.private_key, &params, 128,
                   hex("63565d1d3443620fba4218c97887ff40d6d68bf56b429c22018be5d91c318187"
                       "ebe8a9399c5cc6c4a849288ab784d4340714ae3fdb426c4a83db9ce2ba8aea80"
                       "d448e50ad543749b47bcaae519f7f00badd8d48296e81069104dcd293c605b08"
                       "159ef2ef14c7833739d0414274136ae4db05ba4fa31b29c59de46d9be539525f"));
    pair_close(&pair);
}
END_TEST

START_TEST(a_kdf_must_be_one_that_there_is)
{
    static const CK_EC_KDF_TYPE bad[] = {0,
                                         CKD_SHA1_KDF_ASN1,
                                         CKD_SHA1_KDF_CONCATENATE,
                                         CKD_CPDIVERSIFY_KDF,
                                         CKD_SHA3_256_KDF,
                                         CKD_SHA3_256_KDF_SP800,
                                         0xffffffff};
    struct mech_params params = {.type = CKM_ECDH1_DERIVE, .public_data = hex(agreements[0].point)};
    struct pair pair;

    open_agreement(&agreements[0], &pair);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        params.kdf = bad[i];
        assert_refused(pair.private_key, &params, 32, QH_EPARAMETER);
    }
    params.kdf = CKD_NULL;
    params.shared_data = hex("00");
    assert_refused(pair.private_key, &params, 32, QH_EPARAMETER);
    pair_close(&pair);
}
END_TEST

/* OpenSSL makes the other key and agrees with ours, in both directions. */
START_TEST(openssl_agrees_with_us)
{
    static const struct {
        CK_KEY_TYPE type;
        const char *oid;
    } curves[] = {{CKK_EC, OID_P256},
                  {CKK_EC, OID_P384},
                  {CKK_EC, OID_P521},
                  {CKK_EC, OID_SECP256K1},
                  {CKK_EC_MONTGOMERY, OID_X25519},
                  {CKK_EC_MONTGOMERY, OID_X448}};

    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        struct mech_params params = {.type = CKM_ECDH1_DERIVE, .kdf = CKD_NULL};
        uint8_t theirs[66];
        size_t size = sizeof theirs;
        struct pair ours, other;
        EVP_PKEY *private_key, *public_key;
        EVP_PKEY_CTX *ctx;

        pair_make_ec(&ours, curves[i].type, curves[i].oid);
        pair_make_ec(&other, curves[i].type, curves[i].oid);
        private_key = openssl_private(&other);
        public_key = openssl_public(&ours);
        ctx = EVP_PKEY_CTX_new(private_key, NULL);
        ck_assert_int_eq(EVP_PKEY_derive_init(ctx), 1);
        ck_assert_int_eq(EVP_PKEY_derive_set_peer(ctx, public_key), 1);
        ck_assert_int_eq(EVP_PKEY_derive(ctx, theirs, &size), 1);
        params.public_data = other.public.ec_point;
        assert_derives(ours.private_key, &params, 0, whole(theirs, size));
        params.public_data = ours.public.ec_point;
        assert_derives(other.private_key, &params, 0, whole(theirs, size));
        EVP_PKEY_CTX_free(ctx);
        EVP_PKEY_free(private_key);
        EVP_PKEY_free(public_key);
        pair_close(&ours);
        pair_close(&other);
    }
}
END_TEST

/* ---- HKDF ---- */

struct hkdf_case {
    CK_MECHANISM_TYPE hash;
    const char *key, *salt, *info, *extracted, *expanded;
};

/* RFC 5869, A.1 to A.4 and A.7. */
static const struct hkdf_case hkdf_cases[] = {
    {CKM_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {CKM_SHA256,
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
     "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
     "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
     "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
     "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
     "cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {CKM_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    {CKM_SHA_1, "0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
     "9b6c18c432a7bf8f0e71c8eb88f4b30baa2ba243",
     "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"},
    {CKM_SHA_1, "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "", "",
     "2adccada18779e7c2077ad2eb19d3f3e731385dd",
     "2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5673a081d70cce7acfc48"},
};
#define HKDF_CASES (sizeof hkdf_cases / sizeof hkdf_cases[0])

static struct mech_params hkdf_params(const struct hkdf_case *one)
{
    return (struct mech_params){.type = CKM_HKDF_DERIVE,
                                .hash = one->hash,
                                .extract = true,
                                .expand = true,
                                .salt = hex(one->salt),
                                .info = hex(one->info)};
}

START_TEST(the_examples_of_rfc_5869_come_out)
{
    static const CK_KEY_TYPE types[] = {CKK_GENERIC_SECRET, CKK_HKDF};

    for (size_t i = 0; i < 2 * HKDF_CASES; i++) {
        const struct hkdf_case *one = &hkdf_cases[i / 2];
        struct key *key = secret_key(types[i % 2], hex(one->key)), *extracted;
        struct mech_params params = hkdf_params(one);
        struct bytes middle = hex(one->extracted), end = hex(one->expanded);

        assert_derives(key, &params, end.size, end);
        assert_derives(key, &params, 0, whole(end.base, middle.size)); /* one hash */
        assert_derives(key, &params, 1, whole(end.base, 1));
        params.expand = false;
        assert_derives(key, &params, 0, middle);
        assert_derives(key, &params, middle.size, middle);
        assert_derives(key, &params, 5, whole(middle.base, 5));
        assert_refused(key, &params, middle.size + 1, QH_EKEYSIZE);
        params.expand = true;
        params.extract = false;
        params.salt.size = 0;
        extracted = secret_key(types[i % 2], middle);
        assert_derives(extracted, &params, end.size, end);
        key_free(extracted);
        key_free(key);
    }
}
END_TEST

START_TEST(hkdf_is_openssls_up_to_its_largest_size)
{
    static const CK_MECHANISM_TYPE hashes[] = {CKM_SHA_1, CKM_SHA224, CKM_SHA256, CKM_SHA384,
                                               CKM_SHA512};
    static const char *const names[] = {"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"};
    static const size_t hash_sizes[] = {20, 28, 32, 48, 64};
    static uint8_t theirs[255 * 64];
    struct key *key = secret_key(CKK_GENERIC_SECRET, hex(hkdf_cases[1].key));
    struct mech_params params = hkdf_params(&hkdf_cases[1]);

    for (size_t i = 0; i < 5; i++) {
        size_t most = 255 * hash_sizes[i], sizes[] = {1, 64, 100, most};
        EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);

        most = most > KEY_SECRET_SIZE_MAX ? KEY_SECRET_SIZE_MAX : most;
        sizes[3] = most;
        params.hash = hashes[i];
        for (size_t j = 0; j < 4; j++) {
            EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
            OSSL_PARAM list[5];

            list[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                       (char *)(uintptr_t)names[i], 0);
            list[1] = OSSL_PARAM_construct_octet_string(
                OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)hex(hkdf_cases[1].key).base, 80);
            list[2] = OSSL_PARAM_construct_octet_string(
                OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)params.salt.base, params.salt.size);
            list[3] = OSSL_PARAM_construct_octet_string(
                OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)params.info.base, params.info.size);
            list[4] = OSSL_PARAM_construct_end();
            ck_assert_int_eq(EVP_KDF_derive(ctx, theirs, sizes[j], list), 1);
            EVP_KDF_CTX_free(ctx);
            assert_derives(key, &params, sizes[j], whole(theirs, sizes[j]));
        }
        EVP_KDF_free(kdf);
        assert_refused(key, &params, most + 1, QH_EKEYSIZE);
    }
    key_free(key);
}
END_TEST

START_TEST(hkdf_checks_its_parameters)
{
    static const uint8_t data[MECH_DERIVE_DATA_SIZE_MAX + 1];
    struct key *key = secret_key(CKK_GENERIC_SECRET, hex(hkdf_cases[0].key));
    struct key *aes = secret_key(CKK_AES, hex("00000000000000000000000000000000"));
    struct mech_params params = hkdf_params(&hkdf_cases[0]), bad = params;
    struct secret *value;

    bad.hash = CKM_SHA256_HMAC;
    assert_refused(key, &bad, 32, QH_EPARAMETER);
    bad = params;
    bad.extract = bad.expand = false;
    assert_refused(key, &bad, 32, QH_EPARAMETER);
    bad = params;
    bad.extract = false; /* a salt with nothing to extract */
    assert_refused(key, &bad, 32, QH_EPARAMETER);
    bad = params;
    bad.salt = whole(data, MECH_DERIVE_DATA_SIZE_MAX + 1);
    assert_refused(key, &bad, 32, QH_EPARAMETER);
    bad = params;
    bad.info = whole(data, MECH_DERIVE_DATA_SIZE_MAX + 1);
    assert_refused(key, &bad, 32, QH_EPARAMETER);
    bad.info.size--;
    bad.salt = bad.info;
    assert_ok(mech_derive(key, &bad, 32, &value));
    secret_free(value);
    assert_refused(aes, &params, 32, QH_EKEYTYPE);
    params.type = CKM_AES_ECB;
    assert_refused(aes, &params, 32, QH_EMECHANISM);
    key_free(aes);
    key_free(key);
}
END_TEST

/* Nor the shared secret under a KDF. */
START_TEST(nothing_of_a_derived_key_stays_in_memory)
{
    static const CK_EC_KDF_TYPE types[] = {CKD_NULL, CKD_SHA256_KDF, CKD_SHA512_KDF_SP800};

    for (size_t i = 0; i < 3 * AGREEMENTS; i++) {
        const struct agreement *one = &agreements[i / 3];
        struct mech_params params = {.type = CKM_ECDH1_DERIVE};
        uint8_t needles[2][24], backward[2][24];
        struct secret *shared, *value;
        struct pair ours, other;

        pair_make_ec(&ours, one->type, one->oid);
        pair_make_ec(&other, one->type, one->oid);
        params.public_data = other.public.ec_point;
        params.kdf = CKD_NULL;
        assert_ok(mech_derive(ours.private_key, &params, 0, &shared));
        params.kdf = types[i % 3];
        assert_ok(mech_derive(ours.private_key, &params, 32, &value));
        turn_over(view(shared), needles[0], backward[0]);
        turn_over(view(value), needles[1], backward[1]);
        secret_free(shared);
        secret_free(value);
        pair_close(&ours);
        pair_close(&other);
        ck_assert_msg(count_in_memory(needles[0]) + count_in_memory(backward[0]) == 0, "%s",
                      one->oid);
        ck_assert_uint_eq(count_in_memory(needles[1]), 0);
    }
}
END_TEST

START_TEST(nothing_of_hkdf_stays_in_memory)
{
    struct mech_params params = hkdf_params(&hkdf_cases[0]);
    uint8_t needles[3][24], backward[24];
    struct secret *secret, *extracted, *value;
    struct key *key;

    assert_ok(secret_setup());
    assert_ok(key_generate_secret(CKK_GENERIC_SECRET, 32, &secret));
    key = secret_key(CKK_GENERIC_SECRET, view(secret));
    assert_ok(mech_derive(key, &params, 100, &value));
    params.expand = false;
    assert_ok(mech_derive(key, &params, 0, &extracted));
    turn_over(view(secret), needles[0], backward);
    turn_over(view(extracted), needles[1], backward);
    turn_over(view(value), needles[2], backward);
    ck_assert_uint_gt(count_in_memory(needles[0]), 0);
    key_free(key);
    secret_free(secret);
    secret_free(extracted);
    secret_free(value);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(count_in_memory(needles[i]), 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_derive");
    TCase *tests = tcase_create("mech_derive");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, shared_secrets_of_the_standards_come_out);
    tcase_add_test(tests, points_that_are_not_on_the_curve_are_refused);
    tcase_add_test(tests, a_shared_secret_of_zero_is_refused);
    tcase_add_test(tests, the_kdfs_are_openssls);
    tcase_add_test(tests, an_x963_example_of_nist_comes_out);
    tcase_add_test(tests, a_kdf_must_be_one_that_there_is);
    tcase_add_test(tests, openssl_agrees_with_us);
    tcase_add_test(tests, the_examples_of_rfc_5869_come_out);
    tcase_add_test(tests, hkdf_is_openssls_up_to_its_largest_size);
    tcase_add_test(tests, hkdf_checks_its_parameters);
    tcase_add_test(tests, nothing_of_a_derived_key_stays_in_memory);
    tcase_add_test(tests, nothing_of_hkdf_stays_in_memory);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
