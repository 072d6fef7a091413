/* RSA: OpenSSL's EVP on the other side, every limit, and padding that is wrong. */
#include "crypto/mech.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "tests/unit/crypto_fixture.h"

#define SIZE 256u /* bytes of a 2048-bit modulus */

static struct pair rsa;
static EVP_PKEY *theirs;

static void setup(void)
{
    pair_make_rsa(&rsa, 2048);
    theirs = openssl_private(&rsa);
}

static void teardown(void)
{
    EVP_PKEY_free(theirs);
    pair_close(&rsa);
}

struct hash {
    CK_MECHANISM_TYPE type;
    CK_RSA_PKCS_MGF_TYPE mgf;
    CK_MECHANISM_TYPE pkcs1, pss;
    const char *name;
    size_t size;
};

static const struct hash hashes[] = {
    {CKM_SHA_1, CKG_MGF1_SHA1, CKM_SHA1_RSA_PKCS, CKM_SHA1_RSA_PKCS_PSS, "SHA1", 20},
    {CKM_SHA224, CKG_MGF1_SHA224, CKM_SHA224_RSA_PKCS, CKM_SHA224_RSA_PKCS_PSS, "SHA224", 28},
    {CKM_SHA256, CKG_MGF1_SHA256, CKM_SHA256_RSA_PKCS, CKM_SHA256_RSA_PKCS_PSS, "SHA256", 32},
    {CKM_SHA384, CKG_MGF1_SHA384, CKM_SHA384_RSA_PKCS, CKM_SHA384_RSA_PKCS_PSS, "SHA384", 48},
    {CKM_SHA512, CKG_MGF1_SHA512, CKM_SHA512_RSA_PKCS, CKM_SHA512_RSA_PKCS_PSS, "SHA512", 64},
};
#define HASHES 5u

static const EVP_MD *md_of(const struct hash *hash)
{
    return EVP_get_digestbyname(hash->name);
}

/* A context of OpenSSL's for one of its four operations. */
static EVP_PKEY_CTX *their_ctx(int (*init)(EVP_PKEY_CTX *), int padding)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(theirs, NULL);

    ck_assert_int_eq(init(ctx), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
    return ctx;
}

static void set_pss(EVP_PKEY_CTX *ctx, const struct hash *hash, const struct hash *mgf, int salt)
{
    ck_assert_int_eq(EVP_PKEY_CTX_set_signature_md(ctx, md_of(hash)), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(mgf)), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt), 1);
}

/* PKCS#1 v1.5 is deterministic: the same bytes. */
START_TEST(signatures_of_hashes_are_openssls)
{
    struct bytes data = text_bytes("what is signed");

    for (size_t i = 0; i < HASHES; i++) {
        struct mech_params params = {.type = hashes[i].pkcs1};
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        uint8_t ours[SIZE], expected[SIZE];
        size_t size, expected_size = SIZE;

        ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, md_of(&hashes[i]), NULL, theirs), 1);
        ck_assert_int_eq(EVP_DigestSign(ctx, expected, &expected_size, data.base, data.size), 1);
        assert_ok(mech_sign(rsa.private_key, &params, data, ours, SIZE, &size));
        assert_bytes(whole(ours, size), whole(expected, expected_size));
        assert_ok(mech_verify(rsa.public_key, &params, data, whole(expected, SIZE)));
        ck_assert_int_eq(
            mech_verify(rsa.public_key, &params, text_bytes("other"), whole(expected, SIZE)),
            QH_ESIGNATURE);
        EVP_MD_CTX_free(ctx);
    }
}
END_TEST

START_TEST(raw_pkcs1_signs_what_fits_and_no_more)
{
    struct mech_params params = {.type = CKM_RSA_PKCS};
    uint8_t data[SIZE], ours[SIZE], expected[SIZE];
    size_t size = 99, expected_size = SIZE;
    EVP_PKEY_CTX *ctx = their_ctx(EVP_PKEY_sign_init, RSA_PKCS1_PADDING);

    memset(data, 0x5a, sizeof data);
    ck_assert_int_eq(mech_sign(rsa.private_key, &params, whole(data, SIZE - 10), ours, SIZE, &size),
                     QH_EDATASIZE);
    ck_assert_int_eq(mech_verify(rsa.public_key, &params, whole(data, SIZE - 10), hex("00")),
                     QH_EDATASIZE);
    ck_assert_uint_eq(size, 99);
    ck_assert_int_eq(mech_sign(rsa.private_key, &params, whole(data, 0), ours, SIZE, &size),
                     QH_EDATASIZE);
    for (size_t i = 0; i < 2; i++) {
        struct bytes part = whole(data, i == 0 ? SIZE - 11 : 1);

        assert_ok(mech_sign(rsa.private_key, &params, part, ours, SIZE, &size));
        ck_assert_int_eq(EVP_PKEY_sign(ctx, expected, &expected_size, part.base, part.size), 1);
        assert_bytes(whole(ours, size), whole(expected, expected_size));
        assert_ok(mech_verify(rsa.public_key, &params, part, whole(ours, size)));
        ck_assert_int_eq(mech_verify(rsa.public_key, &params, whole(data, 7), whole(ours, size)),
                         QH_ESIGNATURE);
    }
    EVP_PKEY_CTX_free(ctx);
}
END_TEST

/* Hash, mask and salt are independent of one another. */
START_TEST(pss_and_openssl_verify_each_other)
{
    static const uint32_t salts[] = {0, 20, 33};
    EVP_PKEY_CTX *signer = their_ctx(EVP_PKEY_sign_init, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX *verifier = their_ctx(EVP_PKEY_verify_init, RSA_PKCS1_PSS_PADDING);
    uint8_t hash[64], signature[SIZE];

    memset(hash, 0x33, sizeof hash);
    for (size_t i = 0; i < HASHES * HASHES * 3; i++) {
        const struct hash *md = &hashes[i % HASHES], *mgf = &hashes[i / HASHES % HASHES];
        struct mech_params params = {.type = CKM_RSA_PKCS_PSS,
                                     .hash = md->type,
                                     .mgf = mgf->mgf,
                                     .salt_size = salts[i / HASHES / HASHES]};
        struct bytes data = whole(hash, md->size);
        size_t size = SIZE;

        set_pss(signer, md, mgf, (int)params.salt_size);
        set_pss(verifier, md, mgf, (int)params.salt_size);
        ck_assert_int_eq(EVP_PKEY_sign(signer, signature, &size, data.base, data.size), 1);
        assert_ok(mech_verify(rsa.public_key, &params, data, whole(signature, size)));
        params.salt_size++;
        ck_assert_int_eq(mech_verify(rsa.public_key, &params, data, whole(signature, size)),
                         QH_ESIGNATURE);
        params.salt_size--;
        assert_ok(mech_sign(rsa.private_key, &params, data, signature, SIZE, &size));
        ck_assert_int_eq(EVP_PKEY_verify(verifier, signature, size, data.base, data.size), 1);
    }
    EVP_PKEY_CTX_free(signer);
    EVP_PKEY_CTX_free(verifier);
}
END_TEST

START_TEST(pss_that_hashes_itself_is_pss_of_the_hash)
{
    struct bytes data = text_bytes("what is signed");

    for (size_t i = 0; i < HASHES; i++) {
        struct mech_params params = {.type = hashes[i].pss,
                                     .hash = hashes[i].type,
                                     .mgf = hashes[(i + 1) % HASHES].mgf,
                                     .salt_size = 17};
        uint8_t hash[64], signature[SIZE];
        size_t size;

        assert_ok(mech_sign(rsa.private_key, &params, data, signature, SIZE, &size));
        ck_assert_int_eq(EVP_Digest(data.base, data.size, hash, NULL, md_of(&hashes[i]), NULL), 1);
        params.type = CKM_RSA_PKCS_PSS;
        assert_ok(mech_verify(rsa.public_key, &params, whole(hash, hashes[i].size),
                              whole(signature, size)));
        params.type = hashes[i].pss;
        params.hash = hashes[(i + 1) % HASHES].type; /* not the mechanism's */
        ck_assert_int_eq(mech_sign(rsa.private_key, &params, data, signature, SIZE, &size),
                         QH_EPARAMETER);
    }
}
END_TEST

START_TEST(pss_refuses_what_does_not_fit)
{
    struct mech_params params = {.type = CKM_RSA_PKCS_PSS,
                                 .hash = CKM_SHA256,
                                 .mgf = CKG_MGF1_SHA256,
                                 .salt_size = SIZE - 32 - 2};
    struct mech_params wrong;
    uint8_t hash[33] = {1}, signature[SIZE];
    size_t size;

    assert_ok(mech_sign(rsa.private_key, &params, whole(hash, 32), signature, SIZE, &size));
    assert_ok(mech_verify(rsa.public_key, &params, whole(hash, 32), whole(signature, SIZE)));
    params.salt_size++;
    ck_assert_int_eq(mech_sign(rsa.private_key, &params, whole(hash, 32), signature, SIZE, &size),
                     QH_EPARAMETER);
    params.salt_size = UINT32_MAX;
    ck_assert_int_eq(mech_verify(rsa.public_key, &params, whole(hash, 32), whole(signature, SIZE)),
                     QH_EPARAMETER);
    params.salt_size = 32;
    ck_assert_int_eq(mech_sign(rsa.private_key, &params, whole(hash, 31), signature, SIZE, &size),
                     QH_EDATASIZE);
    ck_assert_int_eq(mech_verify(rsa.public_key, &params, whole(hash, 33), whole(signature, SIZE)),
                     QH_EDATASIZE);
    wrong = params;
    wrong.hash = CKM_SHA3_256;
    ck_assert_int_eq(mech_sign(rsa.private_key, &wrong, whole(hash, 32), signature, SIZE, &size),
                     QH_EPARAMETER);
    wrong = params;
    wrong.mgf = 0;
    ck_assert_int_eq(mech_sign(rsa.private_key, &wrong, whole(hash, 32), signature, SIZE, &size),
                     QH_EPARAMETER);
}
END_TEST

/* n, e and d alone: OpenSSL makes no keys of such a size. */
static void make_odd(struct pair *pair, int bits)
{
    BIGNUM *p = BN_new(), *q = BN_new(), *n = BN_new(), *d = BN_new(), *phi = BN_new();
    BN_CTX *ctx = BN_CTX_new();
    uint8_t n_room[300], d_room[300];
    struct key_rsa_parts parts = {.e = hex("010001")};

    do {
        ck_assert_int_eq(BN_generate_prime_ex(p, bits / 2 + 1, 0, NULL, NULL, NULL), 1);
        ck_assert_int_eq(BN_generate_prime_ex(q, bits / 2, 0, NULL, NULL, NULL), 1);
        ck_assert_int_eq(BN_mul(n, p, q, ctx), 1);
        ck_assert_int_eq(BN_sub_word(p, 1) + BN_sub_word(q, 1), 2);
        ck_assert_int_eq(BN_mul(phi, p, q, ctx), 1);
        ck_assert_int_eq(BN_set_word(q, 65537), 1);
    } while (BN_num_bits(n) != bits || BN_mod_inverse(d, q, phi, ctx) == NULL);
    parts.n = whole(n_room, (size_t)BN_bn2bin(n, n_room));
    parts.d = whole(d_room, (size_t)BN_bn2bin(d, d_room));
    assert_ok(key_import_rsa_private(&parts, &pair->material, &pair->public));
    pair_open(pair, CKK_RSA);
    BN_free(p);
    BN_free(q);
    BN_free(n);
    BN_free(d);
    BN_free(phi);
    BN_CTX_free(ctx);
}

/* The encoding is then a byte shorter than the modulus. */
START_TEST(a_modulus_of_one_bit_more_than_whole_bytes_takes_pss)
{
    struct mech_params params = {.type = CKM_RSA_PKCS_PSS,
                                 .hash = CKM_SHA256,
                                 .mgf = CKG_MGF1_SHA256,
                                 .salt_size = 256 - 32 - 2};
    uint8_t hash[32] = {1}, signature[257];
    struct pair odd;
    size_t size;

    make_odd(&odd, 2049);
    ck_assert_uint_eq(mech_signature_size(odd.private_key, &params), 257);
    assert_ok(mech_sign(odd.private_key, &params, whole(hash, 32), signature, 257, &size));
    ck_assert_uint_eq(size, 257);
    assert_ok(mech_verify(odd.public_key, &params, whole(hash, 32), whole(signature, size)));
    params.salt_size++;
    ck_assert_int_eq(mech_sign(odd.private_key, &params, whole(hash, 32), signature, 257, &size),
                     QH_EPARAMETER);
    pair_close(&odd);
}
END_TEST

static void set_oaep(EVP_PKEY_CTX *ctx, const struct hash *hash, const struct hash *mgf,
                     struct bytes label)
{
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md_of(hash)), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(mgf)), 1);
    if (label.size > 0) {
        void *copy = OPENSSL_memdup(label.base, label.size);

        ck_assert_int_eq(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)label.size), 1);
    }
}

static void check_oaep(const struct hash *hash, const struct hash *mgf, struct bytes label)
{
    struct mech_params params = {
        .type = CKM_RSA_PKCS_OAEP, .hash = hash->type, .mgf = mgf->mgf, .label = label};
    EVP_PKEY_CTX *encrypter = their_ctx(EVP_PKEY_encrypt_init, RSA_PKCS1_OAEP_PADDING);
    EVP_PKEY_CTX *decrypter = their_ctx(EVP_PKEY_decrypt_init, RSA_PKCS1_OAEP_PADDING);
    struct bytes data = text_bytes("what is hidden");
    uint8_t encrypted[SIZE], plain[SIZE];
    size_t size = SIZE, plain_size = SIZE;

    set_oaep(encrypter, hash, mgf, label);
    set_oaep(decrypter, hash, mgf, label);
    ck_assert_int_eq(EVP_PKEY_encrypt(encrypter, encrypted, &size, data.base, data.size), 1);
    assert_ok(mech_decrypt(rsa.private_key, &params, whole(encrypted, size), plain, data.size,
                           &plain_size));
    assert_bytes(whole(plain, plain_size), data);
    assert_ok(mech_encrypt(rsa.public_key, &params, data, encrypted, SIZE, &size));
    plain_size = SIZE;
    ck_assert_int_eq(EVP_PKEY_decrypt(decrypter, plain, &plain_size, encrypted, size), 1);
    assert_bytes(whole(plain, plain_size), data);
    params.label = text_bytes("another label");
    ck_assert_int_eq(
        mech_decrypt(rsa.private_key, &params, whole(encrypted, size), plain, SIZE, &plain_size),
        QH_ECIPHERTEXT);
    EVP_PKEY_CTX_free(encrypter);
    EVP_PKEY_CTX_free(decrypter);
}

START_TEST(oaep_and_openssl_decrypt_each_other)
{
    for (size_t i = 0; i < HASHES * HASHES; i++) {
        check_oaep(&hashes[i % HASHES], &hashes[i / HASHES], text_bytes(""));
        check_oaep(&hashes[i % HASHES], &hashes[i / HASHES], text_bytes("label"));
    }
}
END_TEST

/* One context, many labels, and none again. */
START_TEST(labels_of_oaep_do_not_stick)
{
    static const char *const labels[] = {"one", "", "another", "", "one"};
    struct mech_params params = {
        .type = CKM_RSA_PKCS_OAEP, .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256};
    uint8_t encrypted[5][SIZE], plain[SIZE];
    size_t size;

    for (size_t i = 0; i < 5; i++) {
        params.label = text_bytes(labels[i]);
        assert_ok(mech_encrypt(rsa.public_key, &params, hex("01"), encrypted[i], SIZE, &size));
    }
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            bool same = strcmp(labels[i], labels[j]) == 0;

            params.label = text_bytes(labels[j]);
            ck_assert_int_eq(mech_decrypt(rsa.private_key, &params, whole(encrypted[i], SIZE),
                                          plain, SIZE, &size),
                             same ? QH_OK : QH_ECIPHERTEXT);
        }
    }
}
END_TEST

START_TEST(oaep_refuses_what_does_not_fit)
{
    static const uint8_t label[MECH_LABEL_SIZE_MAX + 1];
    struct mech_params params = {
        .type = CKM_RSA_PKCS_OAEP, .hash = CKM_SHA512, .mgf = CKG_MGF1_SHA1};
    uint8_t data[SIZE] = {0}, encrypted[SIZE], plain[SIZE];
    size_t size, max = SIZE - 2 * 64 - 2;

    assert_ok(mech_encrypt(rsa.public_key, &params, whole(data, max), encrypted, SIZE, &size));
    assert_ok(mech_decrypt(rsa.private_key, &params, whole(encrypted, SIZE), plain, max, &size));
    ck_assert_uint_eq(size, max);
    ck_assert_int_eq(
        mech_decrypt(rsa.private_key, &params, whole(encrypted, SIZE), plain, max - 1, &size),
        QH_EROOM);
    ck_assert_int_eq(
        mech_encrypt(rsa.public_key, &params, whole(data, max + 1), encrypted, SIZE, &size),
        QH_EDATASIZE);
    params.label = whole(label, MECH_LABEL_SIZE_MAX);
    assert_ok(mech_encrypt(rsa.public_key, &params, whole(data, 1), encrypted, SIZE, &size));
    params.label.size++;
    ck_assert_int_eq(mech_encrypt(rsa.public_key, &params, whole(data, 1), encrypted, SIZE, &size),
                     QH_EPARAMETER);
    params.label.size = 0;
    params.hash = CKM_SHA256_HMAC;
    ck_assert_int_eq(mech_encrypt(rsa.public_key, &params, whole(data, 1), encrypted, SIZE, &size),
                     QH_EPARAMETER);
    params.hash = CKM_SHA256;
    params.mgf = 77;
    ck_assert_int_eq(
        mech_decrypt(rsa.private_key, &params, whole(encrypted, SIZE), plain, SIZE, &size),
        QH_EPARAMETER);
}
END_TEST

START_TEST(pkcs1_and_openssl_decrypt_each_other)
{
    struct mech_params params = {.type = CKM_RSA_PKCS};
    EVP_PKEY_CTX *encrypter = their_ctx(EVP_PKEY_encrypt_init, RSA_PKCS1_PADDING);
    EVP_PKEY_CTX *decrypter = their_ctx(EVP_PKEY_decrypt_init, RSA_PKCS1_PADDING);
    uint8_t data[SIZE], encrypted[SIZE], plain[SIZE];

    for (size_t i = 0; i < SIZE; i++) {
        data[i] = (uint8_t)(i * 7); /* with zeroes in it */
    }
    for (size_t length = 0; length <= SIZE - 11; length += 5) {
        size_t size = SIZE, plain_size = SIZE;

        ck_assert_int_eq(EVP_PKEY_encrypt(encrypter, encrypted, &size, data, length), 1);
        memset(plain, 0xa5, sizeof plain);
        assert_ok(mech_decrypt(rsa.private_key, &params, whole(encrypted, size), plain, length,
                               &plain_size));
        assert_bytes(whole(plain, plain_size), whole(data, length));
        ck_assert_uint_eq(plain[length], 0xa5);
        assert_ok(
            mech_encrypt(rsa.public_key, &params, whole(data, length), encrypted, SIZE, &size));
        plain_size = SIZE;
        ck_assert_int_eq(EVP_PKEY_decrypt(decrypter, plain, &plain_size, encrypted, size), 1);
        assert_bytes(whole(plain, plain_size), whole(data, length));
    }
    EVP_PKEY_CTX_free(encrypter);
    EVP_PKEY_CTX_free(decrypter);
}
END_TEST

/* What @block decrypts to, given that it is what raw RSA finds. */
static enum qh_err decrypt_block(const uint8_t block[SIZE], uint8_t *plain, size_t room,
                                 size_t *ret_size)
{
    struct mech_params raw = {.type = CKM_RSA_X_509}, params = {.type = CKM_RSA_PKCS};
    uint8_t encrypted[SIZE];
    size_t size;

    assert_ok(mech_encrypt(rsa.public_key, &raw, whole(block, SIZE), encrypted, SIZE, &size));
    return mech_decrypt(rsa.private_key, &params, whole(encrypted, SIZE), plain, room, ret_size);
}

/* A right block whose message begins at @start. */
static void make_block(uint8_t block[SIZE], size_t start)
{
    memset(block, 0xbb, SIZE);
    block[0] = 0;
    block[1] = 2;
    block[start - 1] = 0;
}

START_TEST(pkcs1_padding_that_is_wrong_gives_nothing_out)
{
    uint8_t block[SIZE], plain[SIZE], untouched[SIZE];
    size_t size = 99;

    memset(plain, 0xa5, sizeof plain);
    memset(untouched, 0xa5, sizeof untouched);
    for (size_t i = 0; i < 6; i++) {
        make_block(block, 11);
        if (i == 0) {
            block[0] = 1;
        } else if (i == 1) {
            block[1] = 1; /* the type of signatures */
        } else if (i == 2) {
            block[1] = 0;
        } else if (i == 3) {
            block[10] = 1; /* no end of the padding */
        } else if (i == 4) {
            block[9] = 0; /* padding of 7 bytes */
        } else {
            block[2] = 0; /* none */
        }
        ck_assert_int_eq(decrypt_block(block, plain, SIZE, &size), QH_ECIPHERTEXT);
        ck_assert_int_eq(decrypt_block(block, plain, 0, &size), QH_ECIPHERTEXT);
        ck_assert_uint_eq(size, 99);
        assert_bytes(whole(plain, SIZE), whole(untouched, SIZE));
    }
}
END_TEST

START_TEST(pkcs1_messages_of_every_size_are_found)
{
    uint8_t block[SIZE], plain[SIZE], untouched[SIZE];

    memset(untouched, 0xa5, sizeof untouched);
    for (size_t start = 11; start <= SIZE; start += 7) {
        size_t length = SIZE - start, size = 99;

        make_block(block, start);
        memset(plain, 0xa5, sizeof plain);
        if (length > 0) {
            ck_assert_int_eq(decrypt_block(block, plain, length - 1, &size), QH_EROOM);
            assert_bytes(whole(plain, SIZE), whole(untouched, SIZE));
        }
        assert_ok(decrypt_block(block, plain, length, &size));
        assert_bytes(whole(plain, size), whole(block + start, length));
        assert_bytes(whole(plain + size, SIZE - size), whole(untouched, SIZE - size));
    }
}
END_TEST

START_TEST(raw_rsa_takes_numbers_below_the_modulus)
{
    struct mech_params params = {.type = CKM_RSA_X_509};
    uint8_t out[SIZE], back[SIZE], above[SIZE + 1] = {0};
    struct bytes below = rsa.public.modulus;
    uint8_t *changed;
    size_t size;

    ck_assert_uint_eq(below.size, SIZE);
    ck_assert_int_eq(mech_encrypt(rsa.public_key, &params, below, out, SIZE, &size), QH_EDATA);
    ck_assert_int_eq(mech_sign(rsa.private_key, &params, below, out, SIZE, &size), QH_EDATA);
    ck_assert_int_eq(mech_decrypt(rsa.private_key, &params, below, out, SIZE, &size),
                     QH_ECIPHERTEXT);
    ck_assert_int_eq(
        mech_encrypt(rsa.public_key, &params, whole(above, SIZE + 1), out, SIZE, &size),
        QH_EDATASIZE);
    changed = malloc(SIZE);
    ck_assert_ptr_nonnull(changed);
    memcpy(changed, below.base, SIZE);
    changed[SIZE - 1] ^= 1; /* one less: the modulus is odd */
    below.base = changed;
    assert_ok(mech_encrypt(rsa.public_key, &params, below, out, SIZE, &size));
    assert_ok(mech_decrypt(rsa.private_key, &params, whole(out, size), back, SIZE, &size));
    assert_bytes(whole(back, size), below);
    assert_ok(mech_sign(rsa.private_key, &params, hex("07"), out, SIZE, &size)); /* padded left */
    assert_ok(mech_verify(rsa.public_key, &params, hex("0007"), whole(out, size)));
    ck_assert_int_eq(mech_verify(rsa.public_key, &params, hex("0700"), whole(out, size)),
                     QH_ESIGNATURE);
    free(changed);
}
END_TEST

START_TEST(ciphertext_is_as_long_as_the_modulus)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP, CKM_RSA_X_509};
    uint8_t data[SIZE + 1] = {0}, out[SIZE];
    size_t size;

    for (size_t i = 0; i < 3; i++) {
        struct mech_params params = {.type = types[i], .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256};

        ck_assert_int_eq(
            mech_decrypt(rsa.private_key, &params, whole(data, SIZE - 1), out, SIZE, &size),
            QH_ECIPHERTEXTSIZE);
        ck_assert_int_eq(
            mech_decrypt(rsa.private_key, &params, whole(data, SIZE + 1), out, SIZE, &size),
            QH_ECIPHERTEXTSIZE);
        ck_assert_int_eq(mech_encrypt(rsa.public_key, &params, hex("01"), out, SIZE - 1, &size),
                         QH_EROOM);
    }
}
END_TEST

/* Old signatures can be verified; nothing is made with such a key. */
START_TEST(a_key_of_1024_bits_verifies_and_no_more)
{
    EVP_PKEY *small = EVP_RSA_gen(1024);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct mech_params params = {.type = CKM_SHA256_RSA_PKCS};
    struct mech_params oaep = {
        .type = CKM_RSA_PKCS_OAEP, .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256};
    uint8_t *spki = NULL, signature[128], out[128];
    struct bytes data = text_bytes("old");
    size_t size = sizeof signature;
    struct key *key;
    int spki_size = i2d_PUBKEY(small, &spki);

    ck_assert_int_gt(spki_size, 0);
    ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, small), 1);
    ck_assert_int_eq(EVP_DigestSign(ctx, signature, &size, data.base, data.size), 1);
    assert_ok(key_open(CKO_PUBLIC_KEY, CKK_RSA, whole(spki, (size_t)spki_size), &key));
    assert_ok(mech_verify(key, &params, data, whole(signature, size)));
    ck_assert_int_eq(mech_encrypt(key, &oaep, data, out, sizeof out, &size), QH_EKEYSIZE);
    oaep.type = CKM_RSA_PKCS_PSS; /* no room for the largest hash with as much salt */
    oaep.hash = CKM_SHA512;
    oaep.salt_size = 62;
    ck_assert_int_eq(mech_verify(key, &oaep, hex("00"), whole(signature, 128)), QH_EDATASIZE);
    oaep.salt_size = 63;
    ck_assert_int_eq(mech_verify(key, &oaep, hex("00"), whole(signature, 128)), QH_EPARAMETER);
    key_free(key);
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(spki);
    EVP_PKEY_free(small);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech_rsa");
    TCase *tests = tcase_create("mech_rsa");

    tcase_set_timeout(tests, 120);
    tcase_add_unchecked_fixture(tests, setup, teardown);
    tcase_add_test(tests, signatures_of_hashes_are_openssls);
    tcase_add_test(tests, raw_pkcs1_signs_what_fits_and_no_more);
    tcase_add_test(tests, pss_and_openssl_verify_each_other);
    tcase_add_test(tests, pss_that_hashes_itself_is_pss_of_the_hash);
    tcase_add_test(tests, pss_refuses_what_does_not_fit);
    tcase_add_test(tests, a_modulus_of_one_bit_more_than_whole_bytes_takes_pss);
    tcase_add_test(tests, oaep_and_openssl_decrypt_each_other);
    tcase_add_test(tests, labels_of_oaep_do_not_stick);
    tcase_add_test(tests, oaep_refuses_what_does_not_fit);
    tcase_add_test(tests, pkcs1_and_openssl_decrypt_each_other);
    tcase_add_test(tests, pkcs1_padding_that_is_wrong_gives_nothing_out);
    tcase_add_test(tests, pkcs1_messages_of_every_size_are_found);
    tcase_add_test(tests, raw_rsa_takes_numbers_below_the_modulus);
    tcase_add_test(tests, ciphertext_is_as_long_as_the_modulus);
    tcase_add_test(tests, a_key_of_1024_bits_verifies_and_no_more);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
