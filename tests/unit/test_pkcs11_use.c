/* The module from outside: signatures and digests, at once and in parts. */
#include <pthread.h>

#include "tests/unit/pkcs11_fixture.h"

#define LARGE (3u << 20) /* more than one use of a key may have */
#define MIB (1u << 20)

static CK_BYTE large[LARGE];

static void fill_large(void)
{
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = (CK_BYTE)(i * 7 + i / 256);
    }
}

static void setup(void)
{
    fill_large();
    fixture_log_in();
}

/* ---- signatures ---- */

static CK_RV sign(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data, CK_ULONG size,
                  CK_BYTE *out, CK_ULONG *out_size)
{
    CK_RV rv = C_SignInit(session, mechanism, key);

    return rv == CKR_OK ? C_Sign(session, data, size, out, out_size) : rv;
}

static CK_RV sign_in_parts(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data,
                           CK_ULONG size, CK_ULONG part, CK_BYTE *out, CK_ULONG *out_size)
{
    CK_RV rv = C_SignInit(session, mechanism, key);

    for (CK_ULONG at = 0; at < size && rv == CKR_OK; at += part) {
        rv = C_SignUpdate(session, data + at, size - at < part ? size - at : part);
    }
    return rv == CKR_OK ? C_SignFinal(session, out, out_size) : rv;
}

static CK_RV verify(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data, CK_ULONG size,
                    CK_BYTE *signature, CK_ULONG signature_size)
{
    CK_RV rv = C_VerifyInit(session, mechanism, key);

    return rv == CKR_OK ? C_Verify(session, data, size, signature, signature_size) : rv;
}

static CK_RV verify_in_parts(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data,
                             CK_ULONG size, CK_BYTE *signature, CK_ULONG signature_size)
{
    CK_RV rv = C_VerifyInit(session, mechanism, key);

    for (CK_ULONG at = 0; at < size && rv == CKR_OK; at += 1000) {
        rv = C_VerifyUpdate(session, data + at, size - at < 1000 ? size - at : 1000);
    }
    return rv == CKR_OK ? C_VerifyFinal(session, signature, signature_size) : rv;
}

START_TEST(asking_for_the_size_costs_nothing_and_a_small_buffer_ends_nothing)
{
    CK_MECHANISM mechanism = {CKM_SHA256_RSA_PKCS, NULL, 0};
    struct key_pair pair = make_rsa();
    CK_BYTE signature[256];
    CK_ULONG size = 0;
    unsigned calls = pocket_calls();

    OK(C_SignInit(session, &mechanism, pair.private));
    OK(C_Sign(session, large, 100, NULL, &size));
    ck_assert_uint_eq(size, 256);
    size = 255;
    GIVES(CKR_BUFFER_TOO_SMALL, C_Sign(session, large, 100, signature, &size));
    ck_assert_uint_eq(size, 256);
    ck_assert_uint_eq(pocket_calls(), calls);
    OK(C_Sign(session, large, 100, signature, &size));
    ck_assert_uint_eq(pocket_calls(), calls + 1);
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_Sign(session, large, 100, signature, &size));
    OK(C_SignInit(session, &mechanism, pair.private));
    OK(C_SignUpdate(session, large, 100));
    OK(C_SignFinal(session, NULL, &size));
    size = 1;
    GIVES(CKR_BUFFER_TOO_SMALL, C_SignFinal(session, signature, &size));
    OK(C_SignFinal(session, signature, &size));
    ck_assert_uint_eq(pocket_calls(), calls + 2);
}
END_TEST

START_TEST(signatures_in_parts_are_those_in_one_piece_whatever_the_size)
{
    static const CK_ULONG sizes[] = {0, 1, 16384, 16385, MIB, MIB + 1, LARGE};
    CK_MECHANISM mechanism = {CKM_SHA256_RSA_PKCS, NULL, 0};
    struct key_pair pair = make_rsa();

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CK_BYTE one[256];
        CK_BYTE other[256];
        CK_ULONG size = 256;
        unsigned calls;

        OK(sign(&mechanism, pair.private, large, sizes[i], one, &size));
        /* Small data goes as it is, large data as its hash. */
        ck_assert_uint_eq(pocket_last_mechanism(),
                          sizes[i] <= 16384 ? CKM_SHA256_RSA_PKCS : CKM_RSA_PKCS);
        ck_assert_uint_le(pocket_last_size(), 16384);
        OK(sign_in_parts(&mechanism, pair.private, large, sizes[i], 4096, other, &size));
        ck_assert_mem_eq(one, other, 256);
        calls = pocket_calls();
        OK(verify(&mechanism, pair.public, large, sizes[i], one, 256));
        OK(verify_in_parts(&mechanism, pair.public, large, sizes[i], one, 256));
        ck_assert_uint_eq(pocket_calls(), calls);
        one[7] ^= 1;
        GIVES(CKR_SIGNATURE_INVALID, verify(&mechanism, pair.public, large, sizes[i], one, 256));
    }
}
END_TEST

START_TEST(every_hash_can_be_sent_alone)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_SHA1_RSA_PKCS, CKM_SHA224_RSA_PKCS,
                                              CKM_SHA256_RSA_PKCS, CKM_SHA384_RSA_PKCS,
                                              CKM_SHA512_RSA_PKCS};
    struct key_pair pair = make_rsa();

    for (size_t i = 0; i < 5; i++) {
        CK_MECHANISM mechanism = {types[i], NULL, 0};
        CK_BYTE signature[256];
        CK_ULONG size = 256;

        OK(sign(&mechanism, pair.private, large, LARGE, signature, &size));
        ck_assert_uint_eq(pocket_last_mechanism(), CKM_RSA_PKCS);
        OK(verify(&mechanism, pair.public, large, LARGE, signature, 256));
    }
}
END_TEST

START_TEST(pss_and_ecdsa_of_large_data_verify)
{
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA384, CKG_MGF1_SHA256, 20};
    CK_MECHANISM pss_mechanism = {CKM_SHA384_RSA_PKCS_PSS, &pss, sizeof pss};
    CK_MECHANISM ecdsa = {CKM_ECDSA_SHA512, NULL, 0};
    struct key_pair rsa = make_rsa();
    struct key_pair ec = make_ec(CK_TRUE, "ec");
    CK_BYTE signature[256];
    CK_ULONG size = 256;

    OK(sign(&pss_mechanism, rsa.private, large, LARGE, signature, &size));
    ck_assert_uint_eq(pocket_last_mechanism(), CKM_RSA_PKCS_PSS);
    OK(verify(&pss_mechanism, rsa.public, large, LARGE, signature, size));
    OK(sign(&pss_mechanism, rsa.private, large, 100, signature, &size));
    OK(verify_in_parts(&pss_mechanism, rsa.public, large, 100, signature, size));
    OK(sign(&ecdsa, ec.private, large, LARGE, signature, &size));
    ck_assert_uint_eq(size, 64);
    ck_assert_uint_eq(pocket_last_mechanism(), CKM_ECDSA);
    OK(verify(&ecdsa, ec.public, large, LARGE, signature, 64));
    GIVES(CKR_SIGNATURE_INVALID, verify(&ecdsa, ec.public, large, LARGE - 1, signature, 64));
    GIVES(CKR_SIGNATURE_LEN_RANGE, verify(&ecdsa, ec.public, large, LARGE, signature, 63));
}
END_TEST

/* What the key does not allow is not done behind its back. */
START_TEST(a_key_for_one_mechanism_alone_gets_data_as_it_is)
{
    CK_MECHANISM_TYPE allowed = CKM_SHA256_RSA_PKCS;
    CK_MECHANISM mechanism = {CKM_SHA256_RSA_PKCS, NULL, 0};
    CK_MECHANISM plain = {CKM_RSA_PKCS, NULL, 0};
    struct key_pair pair =
        make_rsa_with((CK_ATTRIBUTE){CKA_ALLOWED_MECHANISMS, &allowed, sizeof allowed});
    CK_BYTE signature[256];
    CK_ULONG size = 256;

    OK(sign(&mechanism, pair.private, large, MIB, signature, &size));
    ck_assert_uint_eq(pocket_last_mechanism(), CKM_SHA256_RSA_PKCS);
    OK(verify(&mechanism, pair.public, large, MIB, signature, 256));
    OK(sign_in_parts(&mechanism, pair.private, large, MIB, 65536, signature, &size));
    GIVES(CKR_DATA_LEN_RANGE, sign(&mechanism, pair.private, large, MIB + 1, signature, &size));
    GIVES(CKR_DATA_LEN_RANGE,
          sign_in_parts(&mechanism, pair.private, large, MIB + 1, 65536, signature, &size));
    GIVES(CKR_MECHANISM_INVALID, sign(&plain, pair.private, large, 20, signature, &size));
}
END_TEST

START_TEST(hmac_is_made_and_checked_in_the_cluster_up_to_the_limit)
{
    CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
    CK_OBJECT_HANDLE key = make_secret(CKM_GENERIC_SECRET_KEY_GEN, 32);
    CK_BYTE one[32];
    CK_BYTE other[32];
    CK_ULONG size = 32;

    OK(sign(&mechanism, key, large, MIB, one, &size));
    ck_assert_uint_eq(size, 32);
    OK(sign_in_parts(&mechanism, key, large, MIB, 100000, other, &size));
    ck_assert_mem_eq(one, other, 32);
    OK(verify(&mechanism, key, large, MIB, one, 32));
    OK(verify_in_parts(&mechanism, key, large, MIB, one, 32));
    one[0] ^= 1;
    GIVES(CKR_SIGNATURE_INVALID, verify(&mechanism, key, large, MIB, one, 32));
    GIVES(CKR_DATA_LEN_RANGE, sign(&mechanism, key, large, MIB + 1, one, &size));
    GIVES(CKR_DATA_LEN_RANGE, sign_in_parts(&mechanism, key, large, MIB + 1, 100000, one, &size));
}
END_TEST

START_TEST(operations_are_begun_once_and_in_order)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_MECHANISM rsa = {CKM_RSA_PKCS, NULL, 0};
    struct key_pair pair = make_ec(CK_TRUE, "ec");
    CK_BYTE signature[64];
    CK_ULONG size = 64;

    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_SignUpdate(session, large, 1));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_SignFinal(session, signature, &size));
    GIVES(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(session, &rsa, pair.private));
    GIVES(CKR_KEY_TYPE_INCONSISTENT, C_SignInit(session, &mechanism, pair.public));
    GIVES(CKR_KEY_HANDLE_INVALID, C_SignInit(session, &mechanism, 9999));
    GIVES(CKR_ARGUMENTS_BAD, C_SignInit(session, NULL, pair.private));
    OK(C_SignInit(session, &mechanism, pair.private));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, log_in(session, CKU_CONTEXT_SPECIFIC, POCKET_CO_PIN));
    GIVES(CKR_OPERATION_ACTIVE, C_SignInit(session, &mechanism, pair.private));
    /* A second kind beside it is another matter. */
    OK(C_VerifyInit(session, &mechanism, pair.public));
    OK(C_SignUpdate(session, large, 32));
    OK(C_SignFinal(session, signature, &size));
    OK(C_VerifyUpdate(session, large, 32));
    GIVES(CKR_OPERATION_ACTIVE, C_Verify(session, large, 32, signature, 64));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_VerifyFinal(session, signature, 64));
    OK(C_SignInit(session, &mechanism, pair.private));
    OK(C_SignUpdate(session, large, 32));
    GIVES(CKR_OPERATION_ACTIVE, C_Sign(session, large, 32, signature, &size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_SignFinal(session, signature, &size));
    OK(C_SignInit(session, &mechanism, pair.private));
    OK(C_SignInit(session, NULL, 0));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_Sign(session, large, 32, signature, &size));
    OK(C_SignInit(session, &mechanism, pair.private));
    GIVES(CKR_ARGUMENTS_BAD, C_Sign(session, NULL, 32, signature, &size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_Sign(session, large, 32, signature, &size));
}
END_TEST

START_TEST(a_network_error_ends_the_operation_and_not_the_session)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    struct key_pair pair = make_ec(CK_TRUE, "ec");
    CK_BYTE signature[64];
    CK_ULONG size = 64;

    pocket_fail(QUADHSM_ETIMEOUT, 1);
    GIVES(CKR_DEVICE_ERROR, sign(&mechanism, pair.private, large, 32, signature, &size));
    OK(sign(&mechanism, pair.private, large, 32, signature, &size));
}
END_TEST

START_TEST(a_key_that_always_asks_is_used_after_the_pin_was_shown)
{
    CK_MECHANISM mechanism = {CKM_SHA256_RSA_PKCS, NULL, 0};
    struct key_pair pair = make_rsa_with((CK_ATTRIBUTE){CKA_ALWAYS_AUTHENTICATE, &yes, 1});
    CK_BYTE signature[256];
    CK_ULONG size = 256;
    CK_SESSION_INFO info;

    GIVES(CKR_USER_NOT_LOGGED_IN, sign(&mechanism, pair.private, large, 32, signature, &size));
    OK(C_SignInit(session, &mechanism, pair.private));
    GIVES(CKR_PIN_INCORRECT, log_in(session, CKU_CONTEXT_SPECIFIC, "wrong"));
    OK(log_in(session, CKU_CONTEXT_SPECIFIC, POCKET_CO_PIN));
    OK(C_Sign(session, large, 32, signature, &size));
    GIVES(CKR_USER_NOT_LOGGED_IN, sign(&mechanism, pair.private, large, 32, signature, &size));
    OK(C_SignInit(session, &mechanism, pair.private));
    pocket_fail(QUADHSM_EPINLOCKED, 1);
    GIVES(CKR_PIN_LOCKED, log_in(session, CKU_CONTEXT_SPECIFIC, POCKET_CO_PIN));
    OK(C_GetSessionInfo(session, &info));
    ck_assert_uint_eq(info.state, CKS_RW_PUBLIC_SESSION);
}
END_TEST

START_TEST(a_session_key_signs_like_any_other)
{
    CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};
    struct key_pair pair = make_ec(CK_FALSE, "ec");
    CK_BYTE signature[64];
    CK_ULONG size = 64;

    ck_assert_uint_eq(pocket_object_count(), 0);
    OK(sign(&mechanism, pair.private, large, 32, signature, &size));
    OK(verify(&mechanism, pair.public, large, 32, signature, size));
}
END_TEST

/* ---- digests ---- */

START_TEST(digests_are_made_without_a_node)
{
    static const CK_BYTE abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    CK_BYTE data[] = "abc";
    CK_MECHANISM mechanism = {CKM_SHA256, NULL, 0};
    CK_BYTE hash[32];
    CK_ULONG size = 0;
    unsigned calls = pocket_calls();

    OK(C_DigestInit(session, &mechanism));
    GIVES(CKR_ARGUMENTS_BAD, C_Digest(session, NULL, 3, NULL, &size));
    OK(C_DigestInit(session, &mechanism));
    OK(C_Digest(session, data, 3, NULL, &size));
    ck_assert_uint_eq(size, 32);
    size = 31;
    GIVES(CKR_BUFFER_TOO_SMALL, C_Digest(session, data, 3, hash, &size));
    OK(C_Digest(session, data, 3, hash, &size));
    ck_assert_mem_eq(hash, abc, 32);
    OK(C_DigestInit(session, &mechanism));
    OK(C_DigestUpdate(session, data, 1));
    OK(C_DigestUpdate(session, data + 1, 2));
    OK(C_DigestFinal(session, NULL, &size));
    OK(C_DigestFinal(session, hash, &size));
    ck_assert_mem_eq(hash, abc, 32);
    OK(C_DigestInit(session, &mechanism));
    OK(C_DigestUpdate(session, data, 1));
    GIVES(CKR_OPERATION_ACTIVE, C_Digest(session, data, 1, hash, &size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_DigestFinal(session, hash, &size));
    ck_assert_uint_eq(pocket_calls(), calls);
}
END_TEST

START_TEST(a_digest_half_made_can_be_saved_and_gone_on_with)
{
    CK_MECHANISM mechanism = {CKM_SHA512, NULL, 0};
    CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
    CK_SESSION_HANDLE second = open_session(0);
    CK_BYTE state[64];
    CK_BYTE hashes[2][64];
    CK_ULONG size = 0;
    CK_ULONG hash_size = 64;

    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_GetOperationState(session, NULL, &size));
    OK(C_DigestInit(session, &mechanism));
    OK(C_DigestUpdate(session, large, 1000));
    OK(C_GetOperationState(session, NULL, &size));
    ck_assert_uint_le(size, sizeof state);
    OK(C_GetOperationState(session, state, &size));
    OK(C_DigestUpdate(session, large + 1000, 1000));
    OK(C_DigestFinal(session, hashes[0], &hash_size));
    OK(C_SignInit(second, &hmac, make_secret(CKM_GENERIC_SECRET_KEY_GEN, 32)));
    GIVES(CKR_KEY_NOT_NEEDED, C_SetOperationState(second, state, size, 1, 0));
    OK(C_SignUpdate(second, large, 1));
    OK(C_SetOperationState(second, state, size, 0, 0));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_SignUpdate(second, large, 1));
    OK(C_DigestUpdate(second, large + 1000, 1000));
    OK(C_DigestFinal(second, hashes[1], &hash_size));
    ck_assert_mem_eq(hashes[0], hashes[1], 64);
    GIVES(CKR_SAVED_STATE_INVALID, C_SetOperationState(second, state, size - 1, 0, 0));
    state[0] ^= 1;
    GIVES(CKR_SAVED_STATE_INVALID, C_SetOperationState(second, state, size, 0, 0));
}
END_TEST

START_TEST(only_digests_can_be_saved_and_only_open_keys_digested)
{
    CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
    CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
    CK_OBJECT_HANDLE key = make_secret(CKM_GENERIC_SECRET_KEY_GEN, 32);
    CK_ULONG size = 0;

    OK(C_SignInit(session, &hmac, key));
    GIVES(CKR_STATE_UNSAVEABLE, C_GetOperationState(session, NULL, &size));
    OK(C_DigestInit(session, &sha));
    GIVES(CKR_KEY_INDIGESTIBLE, C_DigestKey(session, key));
    OK(C_SessionCancel(session, CKF_SIGN | CKF_DIGEST));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_DigestUpdate(session, large, 1));
}
END_TEST

START_TEST(random_bytes_come_in_any_number_and_seeds_are_not_taken)
{
    static CK_BYTE bytes[65537];
    unsigned calls = pocket_calls();

    OK(C_GenerateRandom(session, bytes, 0));
    ck_assert_uint_eq(pocket_calls(), calls);
    OK(C_GenerateRandom(session, bytes, 65536));
    OK(C_GenerateRandom(session, bytes, 65537));
    ck_assert_uint_eq(pocket_calls(), calls + 3);
    GIVES(CKR_ARGUMENTS_BAD, C_GenerateRandom(session, NULL, 1));
    GIVES(CKR_RANDOM_SEED_NOT_SUPPORTED, C_SeedRandom(session, bytes, 16));
}
END_TEST

/* ---- threads ---- */

static struct key_pair shared_pair;

static void *sign_and_verify(void *data)
{
    CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};
    CK_SESSION_HANDLE mine = 0;
    CK_BYTE text[100] = {0};
    CK_BYTE signature[64];
    CK_ULONG size;
    unsigned *failures = data;

    for (unsigned i = 0; i < 100; i++) {
        CK_RV rv;

        text[0] = (CK_BYTE)i;
        size = 64;
        rv = C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &mine);
        rv = rv == CKR_OK ? C_SignInit(mine, &mechanism, shared_pair.private) : rv;
        rv = rv == CKR_OK ? C_Sign(mine, text, sizeof text, signature, &size) : rv;
        rv = rv == CKR_OK ? C_VerifyInit(mine, &mechanism, shared_pair.public) : rv;
        rv = rv == CKR_OK ? C_Verify(mine, text, sizeof text, signature, size) : rv;
        rv = rv == CKR_OK ? C_FindObjectsInit(mine, NULL, 0) : rv;
        rv = rv == CKR_OK ? C_CloseSession(mine) : rv;
        *failures += rv != CKR_OK;
    }
    return NULL;
}

START_TEST(threads_use_the_same_keys_at_the_same_time)
{
    pthread_t threads[4];
    unsigned failures[4] = {0};

    shared_pair = make_ec(CK_TRUE, "shared");
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, sign_and_verify, &failures[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(failures[i], 0);
    }
}
END_TEST

/* Wrong of the application, and harmless to it. */
static void *use_one_session(void *data)
{
    CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};
    CK_BYTE text[100] = {0};
    CK_BYTE signature[64];

    (void)data;
    for (unsigned i = 0; i < 200; i++) {
        CK_ULONG size = 64;

        (void)C_SignInit(session, &mechanism, shared_pair.private);
        (void)C_SignUpdate(session, text, sizeof text);
        (void)C_SignFinal(session, signature, &size);
    }
    return NULL;
}

START_TEST(threads_that_share_a_session_break_nothing)
{
    CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};
    CK_BYTE signature[64];
    CK_ULONG size = 64;
    pthread_t threads[4];

    shared_pair = make_ec(CK_TRUE, "shared");
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_one_session, NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    OK(C_SessionCancel(session, CKF_SIGN));
    OK(sign(&mechanism, shared_pair.private, large, 32, signature, &size));
    OK(verify(&mechanism, shared_pair.public, large, 32, signature, size));
}
END_TEST

#define LOGIN_THREADS 4
#define LOGIN_ROUNDS 300u

static pthread_barrier_t login_round;

static CK_ULONG private_keys_seen(CK_SESSION_HANDLE mine)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &class, sizeof class}};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;

    if (C_FindObjectsInit(mine, list, 1) != CKR_OK ||
        C_FindObjects(mine, found, 2, &count) != CKR_OK || C_FindObjectsFinal(mine) != CKR_OK) {
        return 0;
    }
    return count;
}

/* As a server's threads do that have a session for each use: all log in at the same time, one is
 * the first, and the last to close takes the login with it. */
static void *log_in_and_look(void *data)
{
    unsigned *failures = data;
    CK_SESSION_HANDLE mine = 0;

    for (unsigned i = 0; i < LOGIN_ROUNDS; i++) {
        CK_RV rv = C_OpenSession(fixture_slot, CKF_SERIAL_SESSION, NULL, NULL, &mine);

        pthread_barrier_wait(&login_round);
        rv = rv == CKR_OK ? log_in(mine, CKU_USER, POCKET_CO_PIN) : rv;
        *failures += rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN;
        *failures += private_keys_seen(mine) != 1;
        pthread_barrier_wait(&login_round);
        *failures += C_CloseSession(mine) != CKR_OK;
    }
    return NULL;
}

START_TEST(threads_that_log_in_at_the_same_time_all_see_private_keys)
{
    pthread_t threads[LOGIN_THREADS];
    unsigned failures[LOGIN_THREADS] = {0};

    (void)make_ec(CK_TRUE, "private");
    OK(C_CloseAllSessions(fixture_slot));
    ck_assert_int_eq(pthread_barrier_init(&login_round, NULL, LOGIN_THREADS), 0);
    for (size_t i = 0; i < LOGIN_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_in_and_look, &failures[i]), 0);
    }
    for (size_t i = 0; i < LOGIN_THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(failures[i], 0);
    }
    ck_assert_int_eq(pthread_barrier_destroy(&login_round), 0);
}
END_TEST

static TCase *sign_cases(void)
{
    TCase *tcase = tcase_create("sign");

    tcase_add_checked_fixture(tcase, setup, fixture_stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, asking_for_the_size_costs_nothing_and_a_small_buffer_ends_nothing);
    tcase_add_test(tcase, signatures_in_parts_are_those_in_one_piece_whatever_the_size);
    tcase_add_test(tcase, every_hash_can_be_sent_alone);
    tcase_add_test(tcase, pss_and_ecdsa_of_large_data_verify);
    tcase_add_test(tcase, a_key_for_one_mechanism_alone_gets_data_as_it_is);
    tcase_add_test(tcase, hmac_is_made_and_checked_in_the_cluster_up_to_the_limit);
    tcase_add_test(tcase, operations_are_begun_once_and_in_order);
    tcase_add_test(tcase, a_network_error_ends_the_operation_and_not_the_session);
    tcase_add_test(tcase, a_key_that_always_asks_is_used_after_the_pin_was_shown);
    tcase_add_test(tcase, a_session_key_signs_like_any_other);
    return tcase;
}

static TCase *other_cases(void)
{
    TCase *tcase = tcase_create("other");

    tcase_add_checked_fixture(tcase, setup, fixture_stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, digests_are_made_without_a_node);
    tcase_add_test(tcase, a_digest_half_made_can_be_saved_and_gone_on_with);
    tcase_add_test(tcase, only_digests_can_be_saved_and_only_open_keys_digested);
    tcase_add_test(tcase, random_bytes_come_in_any_number_and_seeds_are_not_taken);
    tcase_add_test(tcase, threads_use_the_same_keys_at_the_same_time);
    tcase_add_test(tcase, threads_that_share_a_session_break_nothing);
    tcase_add_test(tcase, threads_that_log_in_at_the_same_time_all_see_private_keys);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("pkcs11_use");

    suite_add_tcase(suite, sign_cases());
    suite_add_tcase(suite, other_cases());
    return test_main(suite);
}
