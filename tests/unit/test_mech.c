/* What all mechanisms have in common: the table, and every one of them there and back. */
#include "crypto/mech.h"

#include "tests/unit/crypto_fixture.h"

static struct pair rsa, p256, p384, p521, k256, ed25519, ed448;

static void make_pairs(void)
{
    pair_make_rsa(&rsa, 2048);
    pair_make_ec(&p256, CKK_EC, OID_P256);
    pair_make_ec(&p384, CKK_EC, OID_P384);
    pair_make_ec(&p521, CKK_EC, OID_P521);
    pair_make_ec(&k256, CKK_EC, OID_SECP256K1);
    pair_make_ec(&ed25519, CKK_EC_EDWARDS, OID_ED25519);
    pair_make_ec(&ed448, CKK_EC_EDWARDS, OID_ED448);
}

static void free_pairs(void)
{
    pair_close(&rsa);
    pair_close(&p256);
    pair_close(&p384);
    pair_close(&p521);
    pair_close(&k256);
    pair_close(&ed25519);
    pair_close(&ed448);
}

static void fill_params(const struct mech_info *info, struct mech_params *params)
{
    static const uint8_t iv[16] = {1, 2, 3};

    *params = (struct mech_params){
        .type = info->type, .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .salt_size = 32};
    if (info->digest != CK_UNAVAILABLE_INFORMATION) {
        params->hash = info->digest;
    }
    params->iv = whole(iv, info->type == CKM_AES_GCM ? 12 : 16);
    if (mech_digest_size(info->digest) == 0 && (info->flags & CKF_WRAP) != 0 &&
        info->type >= CKM_AES_KEY_WRAP && info->type <= CKM_AES_KEY_WRAP_KWP) {
        params->iv.size = 0;
    }
    params->tag_bits = 128;
}

static void sign_and_verify(struct key *private_key, struct key *public_key,
                            const struct mech_params *params)
{
    uint8_t signature[FIXTURE_ROOM];
    struct bytes data = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    size_t bound = mech_signature_size(private_key, params), size = 0;

    ck_assert_uint_gt(bound, 0);
    for (int i = 0; i < 3; i++) { /* the first makes the context, the others reuse it */
        ck_assert_int_eq(mech_sign(private_key, params, data, signature, bound - 1, &size),
                         QH_EROOM);
        assert_ok(mech_sign(private_key, params, data, signature, bound, &size));
        ck_assert_uint_eq(size, bound);
        assert_ok(mech_verify(public_key, params, data, whole(signature, size)));
        assert_ok(mech_verify(private_key, params, data, whole(signature, size)));
        ck_assert_int_eq(mech_verify(public_key, params, data, whole(signature, size - 1)),
                         QH_ESIGNATURESIZE);
        signature[size - 1] ^= 1;
        ck_assert_int_eq(mech_verify(public_key, params, data, whole(signature, size)),
                         QH_ESIGNATURE);
    }
}

static void crypt_there_and_back(struct key *private_key, struct key *public_key,
                                 const struct mech_params *params)
{
    uint8_t encrypted[FIXTURE_ROOM], back[FIXTURE_ROOM];
    struct bytes data = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    size_t size = 0, back_size = 0;

    for (int i = 0; i < 3; i++) {
        size_t bound = mech_output_size(public_key, params, data.size);

        assert_ok(mech_encrypt(public_key, params, data, encrypted, bound, &size));
        ck_assert_uint_le(size, bound);
        assert_ok(mech_decrypt(private_key, params, whole(encrypted, size), back, sizeof back,
                               &back_size));
        ck_assert_uint_le(back_size, mech_output_size(private_key, params, size));
        ck_assert_uint_ge(back_size, data.size);
        assert_bytes(whole(back + back_size - data.size, data.size), data);
    }
}

static void use_mechanism(const struct mech_info *info, struct key *private_key,
                          struct key *public_key)
{
    struct mech_params params;

    fill_params(info, &params);
    if ((info->flags & CKF_SIGN) != 0) {
        sign_and_verify(private_key, public_key, &params);
    }
    if ((info->flags & CKF_ENCRYPT) != 0) {
        crypt_there_and_back(private_key, public_key, &params);
    }
}

START_TEST(every_mechanism_of_the_table_works_there_and_back)
{
    static const uint8_t value[32] = {9, 8, 7};
    struct key *aes, *generic;
    unsigned count;
    const struct mech_info *table = mech_table(&count);

    make_pairs();
    aes = secret_key(CKK_AES, whole(value, 32));
    generic = secret_key(CKK_GENERIC_SECRET, whole(value, 32));
    for (unsigned i = 0; i < count; i++) {
        if (table[i].key_type == CKK_RSA) {
            use_mechanism(&table[i], rsa.private_key, rsa.public_key);
        } else if (table[i].key_type == CKK_EC) {
            use_mechanism(&table[i], p256.private_key, p256.public_key);
            use_mechanism(&table[i], p384.private_key, p384.public_key);
            use_mechanism(&table[i], p521.private_key, p521.public_key);
            use_mechanism(&table[i], k256.private_key, k256.public_key);
        } else if (table[i].key_type == CKK_EC_EDWARDS) {
            use_mechanism(&table[i], ed25519.private_key, ed25519.public_key);
            use_mechanism(&table[i], ed448.private_key, ed448.public_key);
        } else if (table[i].key_type == CKK_AES) {
            use_mechanism(&table[i], aes, aes);
        } else {
            use_mechanism(&table[i], generic, generic);
        }
    }
    key_free(aes);
    key_free(generic);
    free_pairs();
}
END_TEST

START_TEST(the_table_is_sorted_and_each_entry_is_found)
{
    unsigned count;
    const struct mech_info *table = mech_table(&count);

    ck_assert_uint_eq(count, 51);
    for (unsigned i = 0; i < count; i++) {
        ck_assert(i == 0 || table[i - 1].type < table[i].type);
        ck_assert_ptr_eq(mech_find(table[i].type), &table[i]);
    }
    ck_assert_ptr_null(mech_find(CKM_VENDOR_DEFINED));
    ck_assert_ptr_null(mech_find(2));
}
END_TEST

/* Java drops a mechanism that has one half of a pair. */
START_TEST(flags_come_in_pairs)
{
    unsigned count;
    const struct mech_info *table = mech_table(&count);

    for (unsigned i = 0; i < count; i++) {
        CK_FLAGS flags = table[i].flags;

        ck_assert_int_eq((flags & CKF_SIGN) != 0, (flags & CKF_VERIFY) != 0);
        ck_assert_int_eq((flags & CKF_ENCRYPT) != 0, (flags & CKF_DECRYPT) != 0);
        ck_assert_int_eq((flags & CKF_WRAP) != 0, (flags & CKF_UNWRAP) != 0);
        ck_assert_uint_le(table[i].key_min, table[i].key_max);
    }
}
END_TEST

/* Curve25519 has 255 bits, and no cofactor mode of its own. */
START_TEST(the_smallest_curve_is_one_that_the_mechanism_takes)
{
    const struct mech_info *plain = mech_find(CKM_ECDH1_DERIVE);
    const struct mech_info *cofactor = mech_find(CKM_ECDH1_COFACTOR_DERIVE);

    ck_assert(mech_takes(plain, CKK_EC_MONTGOMERY));
    ck_assert_uint_eq(plain->key_min, 255);
    ck_assert(!mech_takes(cofactor, CKK_EC_MONTGOMERY));
    ck_assert_uint_eq(cofactor->key_min, 256);
}
END_TEST

/* Every mechanism with every key: it works if and only if the table says so. */
START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const uint8_t value[32] = {9, 8, 7};
    struct key *keys[10];
    unsigned count;
    const struct mech_info *table = mech_table(&count);

    make_pairs();
    keys[0] = rsa.private_key;
    keys[1] = rsa.public_key;
    keys[2] = p256.private_key;
    keys[3] = p256.public_key;
    keys[4] = ed25519.private_key;
    keys[5] = ed25519.public_key;
    keys[6] = secret_key(CKK_AES, whole(value, 32));
    keys[7] = secret_key(CKK_GENERIC_SECRET, whole(value, 32));
    for (unsigned i = 0; i < count * 8; i++) {
        const struct mech_info *info = &table[i / 8];
        struct key *key = keys[i % 8];
        bool fits = info->key_type == key_type(key), public = key_class(key) == CKO_PUBLIC_KEY;
        enum qh_err sign, verify, encrypt, decrypt;
        struct mech_params params;
        uint8_t out[FIXTURE_ROOM];
        size_t size;

        fill_params(info, &params);
        sign = (info->flags & CKF_SIGN) == 0 ? QH_EMECHANISM : fits ? QH_EROOM : QH_EKEYTYPE;
        verify = sign == QH_EROOM ? QH_ESIGNATURESIZE : sign;
        encrypt = (info->flags & CKF_ENCRYPT) == 0 ? QH_EMECHANISM : fits ? QH_EROOM : QH_EKEYTYPE;
        decrypt = encrypt == QH_EROOM ? QH_ECIPHERTEXTSIZE : encrypt;
        ck_assert_uint_eq(mech_signature_size(key, &params) > 0, sign == QH_EROOM && !public);
        ck_assert_uint_eq(mech_output_size(key, &params, 32) > 0, encrypt == QH_EROOM);
        ck_assert_int_eq(mech_sign(key, &params, whole(value, 32), out, 1, &size),
                         sign == QH_EROOM && public ? QH_EKEYTYPE : sign);
        ck_assert_int_eq(mech_verify(key, &params, whole(value, 32), whole(out, 1)), verify);
        ck_assert_int_eq(mech_encrypt(key, &params, whole(value, 32), out, 1, &size), encrypt);
        if (info->type != CKM_AES_CTR || decrypt != QH_ECIPHERTEXTSIZE) {
            ck_assert_int_eq(mech_decrypt(key, &params, whole(value, 1), out, 0, &size),
                             decrypt == QH_ECIPHERTEXTSIZE && public ? QH_EKEYTYPE : decrypt);
        }
    }
    key_free(keys[6]);
    key_free(keys[7]);
    free_pairs();
}
END_TEST

START_TEST(a_mechanism_that_does_not_exist_is_refused)
{
    struct key *key = secret_key(CKK_AES, hex("00000000000000000000000000000000"));
    struct mech_params params = {.type = CKM_VENDOR_DEFINED};
    uint8_t out[16] = {0};
    size_t size;

    ck_assert_int_eq(mech_sign(key, &params, whole(out, 16), out, 16, &size), QH_EMECHANISM);
    ck_assert_int_eq(mech_verify(key, &params, whole(out, 16), whole(out, 16)), QH_EMECHANISM);
    ck_assert_int_eq(mech_encrypt(key, &params, whole(out, 16), out, 16, &size), QH_EMECHANISM);
    ck_assert_int_eq(mech_decrypt(key, &params, whole(out, 16), out, 16, &size), QH_EMECHANISM);
    ck_assert_uint_eq(mech_signature_size(key, &params), 0);
    ck_assert_uint_eq(mech_output_size(key, &params, 16), 0);
    key_free(key);
}
END_TEST

/* OpenSSL's allocations, of which the one that @left_until_failure counts down to fails. */
static long left_until_failure = -1;

static bool fails_now(void)
{
    return left_until_failure >= 0 && left_until_failure-- == 0;
}

static void *failing_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails_now() ? NULL : malloc(size);
}

static void *failing_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails_now() ? NULL : realloc(old, size);
}

static void plain_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

/* Open, sign, verify, once from the beginning. True if everything worked. OpenSSL keeps silent
 * about some of its allocations, so verifying may say that the signature is wrong; never the
 * reverse. */
static bool sign_with_failures(const struct pair *pair, const struct mech_params *params)
{
    static const uint8_t data[32] = {1};
    struct key *key = NULL;
    uint8_t out[FIXTURE_ROOM];
    size_t size;
    enum qh_err verified = QH_OK, err = key_open(CKO_PRIVATE_KEY, key_type(pair->private_key),
                                                 view(pair->material), &key);

    if (err == QH_OK) {
        err = mech_sign(key, params, whole(data, 32), out, sizeof out, &size);
    }
    if (err == QH_OK) {
        verified = mech_verify(key, params, whole(data, 32), whole(out, size));
    }
    left_until_failure = -1;
    ck_assert_msg(err == QH_OK || err == QH_ENOMEM || err == QH_ESYSTEM, "%s", err_name(err));
    ck_assert_msg(verified == QH_OK || verified == QH_ENOMEM || verified == QH_ESYSTEM ||
                      verified == QH_ESIGNATURE,
                  "%s", err_name(verified));
    if (key != NULL) { /* it is as good as before */
        assert_ok(mech_sign(key, params, whole(data, 32), out, sizeof out, &size));
        assert_ok(mech_verify(key, params, whole(data, 32), whole(out, size)));
        key_free(key);
    }
    return err == QH_OK && verified == QH_OK;
}

START_TEST(memory_that_runs_out_is_an_error_and_the_key_survives)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_SHA256_RSA_PKCS_PSS, CKM_ECDSA_SHA384, CKM_EDDSA};
    const struct pair *const pairs[] = {&rsa, &p256, &ed25519};

    make_pairs();
    for (size_t i = 0; i < 3; i++) {
        struct mech_params params = {
            .type = types[i], .hash = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .salt_size = 32};
        long failed = 0, in_a_row = 0;

        ck_assert(sign_with_failures(pairs[i], &params));
        for (long n = 0; in_a_row < 20; n++) { /* some failures do no harm */
            left_until_failure = n;
            in_a_row = sign_with_failures(pairs[i], &params) ? in_a_row + 1 : 0;
            failed = n + 1 - in_a_row;
        }
        ck_assert_int_gt(failed, 10);
    }
    free_pairs();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mech");
    TCase *tests = tcase_create("mech");

    if (CRYPTO_set_mem_functions(failing_malloc, failing_realloc, plain_free) != 1) {
        return EXIT_FAILURE; /* OpenSSL has been in use already */
    }
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_mechanism_of_the_table_works_there_and_back);
    tcase_add_test(tests, the_table_is_sorted_and_each_entry_is_found);
    tcase_add_test(tests, flags_come_in_pairs);
    tcase_add_test(tests, the_smallest_curve_is_one_that_the_mechanism_takes);
    tcase_add_test(tests, what_does_not_fit_is_refused_by_name);
    tcase_add_test(tests, a_mechanism_that_does_not_exist_is_refused);
    tcase_add_test(tests, memory_that_runs_out_is_an_error_and_the_key_survives);
    suite_add_tcase(suite, tests);
    return test_main(suite);
}
