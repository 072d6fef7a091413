/* Keys and mechanisms in a program whose own OpenSSL can do nothing: they use a context of their
 * own, whatever the program told OpenSSL to prefer. */
#include "crypto/library.h"

#include <openssl/provider.h>

#include "tests/unit/crypto_fixture.h"

static uint8_t out[FIXTURE_ROOM], back[FIXTURE_ROOM];
static size_t size;

static void spoil_program(void)
{
    EVP_MD *md;

    assert_ok(secret_setup());
    ck_assert_int_eq(EVP_set_default_properties(NULL, "provider=nobody"), 1);
    md = EVP_MD_fetch(NULL, "SHA256", NULL);
    ck_assert_ptr_null(md);
    ck_assert_int_eq(OSSL_PROVIDER_available(library_context(), "default"), 1);
}

static void sign_and_verify(struct pair *pair, CK_MECHANISM_TYPE type)
{
    struct mech_params params = {
        .type = type, .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .salt_size = 32};
    struct bytes data = text_bytes("what is signed");

    assert_ok(mech_sign(pair->private_key, &params, data, out, sizeof out, &size));
    assert_ok(mech_verify(pair->public_key, &params, data, whole(out, size)));
}

static void encrypt_and_decrypt(struct key *encrypts, struct key *decrypts,
                                const struct mech_params *params)
{
    struct bytes data = text_bytes("sixteen bytes of");
    size_t decrypted;

    assert_ok(mech_encrypt(encrypts, params, data, out, sizeof out, &size));
    assert_ok(mech_decrypt(decrypts, params, whole(out, size), back, sizeof back, &decrypted));
    assert_bytes(whole(back, decrypted), data);
}

START_TEST(rsa)
{
    struct mech_params oaep = {
        .type = CKM_RSA_PKCS_OAEP, .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256};
    struct mech_params pkcs1 = {.type = CKM_RSA_PKCS};
    struct pair pair;

    pair_make_rsa(&pair, 2048);
    sign_and_verify(&pair, CKM_SHA256_RSA_PKCS);
    sign_and_verify(&pair, CKM_SHA256_RSA_PKCS_PSS);
    encrypt_and_decrypt(pair.public_key, pair.private_key, &oaep);
    encrypt_and_decrypt(pair.public_key, pair.private_key, &pkcs1);
    pair_close(&pair);
}
END_TEST

START_TEST(curves)
{
    struct pair pair;

    pair_make_ec(&pair, CKK_EC, OID_P256);
    sign_and_verify(&pair, CKM_ECDSA_SHA256);
    pair_close(&pair);
    pair_make_ec(&pair, CKK_EC_EDWARDS, OID_ED25519);
    sign_and_verify(&pair, CKM_EDDSA);
    pair_close(&pair);
}
END_TEST

START_TEST(derivation)
{
    struct mech_params ecdh = {.type = CKM_ECDH1_DERIVE, .kdf = CKD_SHA256_KDF};
    struct secret *one, *other;
    struct pair pair, peer;

    pair_make_ec(&pair, CKK_EC_MONTGOMERY, OID_X25519);
    pair_make_ec(&peer, CKK_EC_MONTGOMERY, OID_X25519);
    ecdh.public_data = peer.public.ec_point;
    assert_ok(mech_derive(pair.private_key, &ecdh, 32, &one));
    ecdh.public_data = pair.public.ec_point;
    assert_ok(mech_derive(peer.private_key, &ecdh, 32, &other));
    assert_bytes(view(one), view(other));
    secret_free(one);
    secret_free(other);
    pair_close(&pair);
    pair_close(&peer);
}
END_TEST

START_TEST(secrets)
{
    struct mech_params gcm = {
        .type = CKM_AES_GCM, .iv = text_bytes("twelve bytes"), .tag_bits = 128};
    struct mech_params wrap = {.type = CKM_AES_KEY_WRAP_KWP};
    struct mech_params cmac = {.type = CKM_AES_CMAC};
    struct mech_params hmac = {.type = CKM_SHA256_HMAC};
    struct secret *value, *plain;
    struct key *aes, *generic;

    assert_ok(key_generate_secret(CKK_AES, 32, &value));
    aes = secret_key(CKK_AES, view(value));
    generic = secret_key(CKK_GENERIC_SECRET, view(value));
    encrypt_and_decrypt(aes, aes, &gcm);
    assert_ok(mech_sign(aes, &cmac, text_bytes("data"), out, sizeof out, &size));
    assert_ok(mech_sign(generic, &hmac, text_bytes("data"), out, sizeof out, &size));
    assert_ok(mech_wrap(aes, &wrap, view(value), out, sizeof out, &size));
    assert_ok(mech_unwrap(aes, &wrap, whole(out, size), &plain));
    assert_bytes(view(plain), view(value));
    secret_free(plain);
    secret_free(value);
    key_free(aes);
    key_free(generic);
}
END_TEST

START_TEST(digests)
{
    struct mech_digest *digest;
    uint8_t hash[MECH_DIGEST_SIZE_MAX];

    assert_ok(mech_digest_new(CKM_SHA256, &digest));
    assert_ok(mech_digest_update(digest, text_bytes("abc")));
    assert_ok(mech_digest_final(digest, hash, &size));
    assert_bytes(whole(hash, size),
                 hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    mech_digest_free(digest);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("library");
    TCase *tcase = tcase_create("program without OpenSSL of its own");

    tcase_add_checked_fixture(tcase, spoil_program, NULL);
    tcase_add_test(tcase, rsa);
    tcase_add_test(tcase, curves);
    tcase_add_test(tcase, derivation);
    tcase_add_test(tcase, secrets);
    tcase_add_test(tcase, digests);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
