/* The module from outside: messages, two operations at once, signatures with recovery. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "crypto/mech.h"
#include "tests/unit/pkcs11_fixture.h"

#define TAG_SIZE 16u

static CK_BYTE iv[16], tag[TAG_SIZE];
static CK_BYTE aad[] = "associated";

static CK_GCM_MESSAGE_PARAMS params_with(CK_GENERATOR_FUNCTION generator, CK_ULONG fixed_bits)
{
    return (CK_GCM_MESSAGE_PARAMS){iv, 12, fixed_bits, generator, tag, 8 * TAG_SIZE};
}

static CK_OBJECT_HANDLE begin_messages(void)
{
    CK_MECHANISM mechanism = {CKM_AES_GCM, NULL, 0};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 32);

    OK(C_MessageEncryptInit(session, &mechanism, key));
    OK(C_MessageDecryptInit(session, &mechanism, key));
    return key;
}

static CK_RV encrypt(CK_GCM_MESSAGE_PARAMS *params, CK_BYTE *plain, CK_ULONG size, CK_BYTE *out,
                     CK_ULONG *out_size)
{
    return C_EncryptMessage(session, params, sizeof *params, aad, sizeof aad, plain, size, out,
                            out_size);
}

static CK_RV decrypt(CK_GCM_MESSAGE_PARAMS *params, CK_BYTE *data, CK_ULONG size, CK_BYTE *out,
                     CK_ULONG *out_size)
{
    return C_DecryptMessage(session, params, sizeof *params, aad, sizeof aad, data, size, out,
                            out_size);
}

START_TEST(a_message_is_encrypted_as_with_plain_gcm)
{
    CK_GCM_MESSAGE_PARAMS params = params_with(CKG_NO_GENERATE, 0);
    CK_GCM_PARAMS_V3 plain_params = {iv, 12, 96, aad, sizeof aad, 8 * TAG_SIZE};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &plain_params, sizeof plain_params};
    CK_BYTE data[40] = "a message", out[40], both[40 + TAG_SIZE];
    CK_ULONG size = 0, both_size = sizeof both;
    CK_OBJECT_HANDLE key;

    fixture_log_in();
    key = begin_messages();
    OK(encrypt(&params, data, sizeof data, NULL, &size));
    ck_assert_uint_eq(size, sizeof data);
    size--;
    GIVES(CKR_BUFFER_TOO_SMALL, encrypt(&params, data, sizeof data, out, &size));
    ck_assert_uint_eq(size, sizeof data);
    OK(encrypt(&params, data, sizeof data, out, &size));
    OK(C_EncryptInit(session, &mechanism, key));
    OK(C_Encrypt(session, data, sizeof data, both, &both_size));
    ck_assert_uint_eq(both_size, sizeof both);
    ck_assert_mem_eq(both, out, sizeof out);
    ck_assert_mem_eq(both + sizeof out, tag, TAG_SIZE);
    /* In place, and again and again. */
    for (unsigned i = 0; i < 2; i++) {
        memcpy(both, out, sizeof out);
        size = sizeof out;
        OK(decrypt(&params, both, size, both, &size));
        ck_assert_uint_eq(size, sizeof data);
        ck_assert_mem_eq(both, data, sizeof data);
    }
    tag[3] ^= 1;
    GIVES(CKR_AEAD_DECRYPT_FAILED, decrypt(&params, out, sizeof out, both, &size));
    tag[3] ^= 1;
    OK(decrypt(&params, out, sizeof out, both, &size));
    /* Nothing but associated data. */
    size = 0;
    OK(encrypt(&params, NULL, 0, both, &size));
    ck_assert_uint_eq(size, 0);
    OK(decrypt(&params, NULL, 0, both, &size));
    OK(C_MessageEncryptFinal(session));
    OK(C_MessageDecryptFinal(session));
    fixture_stop();
}
END_TEST

START_TEST(messages_are_begun_and_ended_in_order)
{
    CK_GCM_MESSAGE_PARAMS params = params_with(CKG_NO_GENERATE, 0);
    CK_MECHANISM mechanism = {CKM_AES_GCM, NULL, 0};
    CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof iv};
    CK_BYTE data[8] = {1};
    CK_ULONG size = sizeof data;
    CK_OBJECT_HANDLE key;

    fixture_log_in();
    GIVES(CKR_OPERATION_NOT_INITIALIZED, encrypt(&params, data, 8, data, &size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED,
          C_EncryptMessageBegin(session, &params, sizeof params, aad, sizeof aad));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_MessageEncryptFinal(session));
    key = begin_messages();
    GIVES(CKR_OPERATION_ACTIVE, C_MessageEncryptInit(session, &mechanism, key));
    GIVES(CKR_OPERATION_NOT_INITIALIZED,
          C_EncryptMessageNext(session, &params, sizeof params, data, 8, data, &size, 0));
    OK(C_EncryptMessageBegin(session, &params, sizeof params, aad, sizeof aad));
    GIVES(CKR_OPERATION_ACTIVE, encrypt(&params, data, 8, data, &size));
    GIVES(CKR_OPERATION_ACTIVE,
          C_EncryptMessageBegin(session, &params, sizeof params, aad, sizeof aad));
    GIVES(CKR_ARGUMENTS_BAD,
          C_EncryptMessageNext(session, &params, sizeof params, data, 8, data, NULL, 0));
    /* That ended the message, and not the rest. */
    GIVES(CKR_OPERATION_NOT_INITIALIZED,
          C_EncryptMessageNext(session, &params, sizeof params, data, 8, data, &size, 0));
    OK(encrypt(&params, data, 8, data, &size));
    OK(C_MessageEncryptInit(session, NULL, 0));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, encrypt(&params, data, 8, data, &size));
    OK(C_SessionCancel(session, CKF_MESSAGE_DECRYPT));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_MessageDecryptFinal(session));
    GIVES(CKR_MECHANISM_INVALID, C_MessageEncryptInit(session, &cbc, key));
    GIVES(CKR_KEY_HANDLE_INVALID, C_MessageEncryptInit(session, &mechanism, key + 1000));
    mechanism.pParameter = data;
    mechanism.ulParameterLen = 3;
    GIVES(CKR_MECHANISM_PARAM_INVALID, C_MessageEncryptInit(session, &mechanism, key));
    fixture_stop();
}
END_TEST

START_TEST(parameters_of_messages_are_checked)
{
    const CK_GCM_MESSAGE_PARAMS good = params_with(CKG_NO_GENERATE, 96);
    CK_GCM_MESSAGE_PARAMS wrong[] = {good, good, good, good, good, good, good, good};
    CK_BYTE data[8] = {1};
    CK_ULONG size = sizeof data;

    wrong[0].pIv = NULL;
    wrong[1].ulIvLen = 0;
    wrong[2].ulIvLen = MECH_IV_SIZE_MAX + 1;
    wrong[3].ulIvFixedBits = 97;
    wrong[4].pTag = NULL;
    wrong[5].ulTagBits = 0;
    wrong[6].ulTagBits = 129;
    wrong[7].ivGenerator = 99;
    fixture_log_in();
    (void)begin_messages();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        GIVES(CKR_ARGUMENTS_BAD, encrypt(&wrong[i], data, 8, data, &size));
    }
    GIVES(CKR_ARGUMENTS_BAD,
          C_EncryptMessage(session, NULL, 0, aad, sizeof aad, data, 8, data, &size));
    GIVES(CKR_ARGUMENTS_BAD,
          C_EncryptMessage(session, &wrong[3], sizeof good, NULL, 1, data, 8, data, &size));
    wrong[0] = good;
    GIVES(CKR_ARGUMENTS_BAD, encrypt(&wrong[0], NULL, 1, data, &size));
    GIVES(CKR_ARGUMENTS_BAD, encrypt(&wrong[0], data, 8, data, NULL));
    OK(encrypt(&wrong[0], data, 8, data, &size));
    fixture_stop();
}
END_TEST

/* The IVs of three messages, after the fixed bits. */
static void three_ivs(CK_GENERATOR_FUNCTION generator, CK_ULONG fixed_bits, CK_BYTE ivs[3][12])
{
    CK_GCM_MESSAGE_PARAMS params = params_with(generator, fixed_bits);
    CK_BYTE data[4] = {1}, out[4];

    (void)begin_messages();
    memset(iv, 0x5a, sizeof iv);
    for (unsigned i = 0; i < 3; i++) {
        CK_ULONG size = sizeof out;

        OK(encrypt(&params, data, sizeof data, NULL, &size));
        OK(encrypt(&params, data, sizeof data, out, &size));
        memcpy(ivs[i], iv, 12);
        OK(decrypt(&params, out, size, out, &size));
        ck_assert_mem_eq(out, data, sizeof data);
    }
    OK(C_MessageEncryptFinal(session));
    OK(C_MessageDecryptFinal(session));
}

START_TEST(ivs_are_made_as_they_are_wanted)
{
    static const CK_BYTE fixed[5] = {0x5a, 0x5a, 0x5a, 0x5a, 0x50};
    CK_BYTE ivs[3][12];

    fixture_log_in();
    three_ivs(CKG_GENERATE, 32, ivs);
    ck_assert_mem_eq(ivs[2], fixed, 4);
    ck_assert_mem_ne(ivs[0], ivs[1], 12);
    ck_assert_mem_ne(ivs[1], ivs[2], 12);
    three_ivs(CKG_GENERATE_RANDOM, 0, ivs);
    ck_assert_mem_ne(ivs[0], ivs[1], 12);
    three_ivs(CKG_GENERATE_COUNTER, 36, ivs);
    ck_assert_mem_eq(ivs[2], fixed, 4);
    ck_assert_uint_eq(ivs[2][4] & 0xf0, 0x50);
    ck_assert_uint_eq((ivs[0][11] + 1) & 0xff, ivs[1][11]);
    ck_assert_uint_eq((ivs[1][11] + 1) & 0xff, ivs[2][11]);
    three_ivs(CKG_GENERATE_COUNTER_XOR, 32, ivs);
    ck_assert_uint_eq(ivs[0][11], 0x5a);
    ck_assert_uint_eq(ivs[1][11], 0x5b);
    ck_assert_uint_eq(ivs[2][11], 0x58);
    fixture_stop();
}
END_TEST

START_TEST(ivs_do_not_come_again)
{
    CK_GCM_MESSAGE_PARAMS params = params_with(CKG_GENERATE_COUNTER, 95);
    CK_BYTE data[4] = {1};
    CK_ULONG size = sizeof data;

    fixture_log_in();
    (void)begin_messages();
    OK(encrypt(&params, data, 4, data, &size));
    OK(encrypt(&params, data, 4, data, &size));
    GIVES(CKR_TOKEN_RESOURCE_EXCEEDED, encrypt(&params, data, 4, data, &size));
    params.ivGenerator = CKG_NO_GENERATE;
    GIVES(CKR_ARGUMENTS_BAD, encrypt(&params, data, 4, data, &size));
    OK(C_MessageEncryptFinal(session));
    OK(C_MessageDecryptFinal(session));
    (void)begin_messages();
    params = params_with(CKG_GENERATE, 33);
    GIVES(CKR_ARGUMENTS_BAD, encrypt(&params, data, 4, data, &size));
    params = params_with(CKG_GENERATE_COUNTER_XOR, 96);
    GIVES(CKR_ARGUMENTS_BAD, encrypt(&params, data, 4, data, &size));
    params = params_with(CKG_GENERATE, 32);
    OK(encrypt(&params, data, 4, data, &size));
    fixture_stop();
}
END_TEST

/* What a child gives for one message more, and the IV that it was given. */
static CK_RV encrypt_in_child(CK_GCM_MESSAGE_PARAMS *params)
{
    struct {
        CK_RV rv;
        CK_BYTE iv[sizeof iv];
    } told = {.rv = CKR_FUNCTION_FAILED};
    CK_BYTE data[4] = {1};
    CK_ULONG size = sizeof data;
    int ends[2];
    pid_t child;

    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        told.rv = encrypt(params, data, 4, data, &size);
        memcpy(told.iv, iv, sizeof iv);
        _exit(write(ends[1], &told, sizeof told) == (ssize_t)sizeof told ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(read(ends[0], &told, sizeof told), sizeof told);
    (void)close(ends[0]);
    (void)close(ends[1]);
    memcpy(iv, told.iv, sizeof iv);
    return told.rv;
}

START_TEST(a_child_does_not_use_its_parents_ivs_again)
{
    static const struct {
        CK_GENERATOR_FUNCTION generator;
        CK_ULONG fixed_bits;
        CK_RV rv;
    } cases[] = {
        {CKG_GENERATE_COUNTER, 32, CKR_OK},
        {CKG_GENERATE_COUNTER, 33, CKR_TOKEN_RESOURCE_EXCEEDED},
        {CKG_GENERATE_COUNTER_XOR, 0, CKR_TOKEN_RESOURCE_EXCEEDED},
    };
    CK_BYTE data[4] = {1}, childs[sizeof iv];
    CK_ULONG size = sizeof data;

    fixture_log_in();
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CK_GCM_MESSAGE_PARAMS params = params_with(cases[i].generator, cases[i].fixed_bits);

        (void)begin_messages();
        OK(encrypt(&params, data, 4, data, &size));
        GIVES(cases[i].rv, encrypt_in_child(&params));
        memcpy(childs, iv, sizeof iv);
        OK(encrypt(&params, data, 4, data, &size));
        if (cases[i].rv == CKR_OK) {
            ck_assert_mem_ne(iv, childs, 12);
        }
        OK(C_MessageEncryptFinal(session));
        OK(C_MessageDecryptFinal(session));
    }
    fixture_stop();
}
END_TEST

START_TEST(a_message_in_parts_is_the_message)
{
    CK_GCM_MESSAGE_PARAMS params = params_with(CKG_GENERATE, 0);
    CK_BYTE data[100], out[100], back[100], one[100], one_tag[TAG_SIZE];
    CK_ULONG size;

    fixture_log_in();
    (void)begin_messages();
    memset(data, 0x33, sizeof data);
    OK(C_EncryptMessageBegin(session, &params, sizeof params, aad, sizeof aad));
    for (CK_ULONG at = 0; at < 100; at += 50) {
        size = 0;
        OK(C_EncryptMessageNext(session, &params, sizeof params, data + at, 50, NULL, &size,
                                CKF_END_OF_MESSAGE));
        ck_assert_uint_eq(size, 50);
        size = 49;
        GIVES(CKR_BUFFER_TOO_SMALL, C_EncryptMessageNext(session, &params, sizeof params, data + at,
                                                         50, out + at, &size, 0));
        OK(C_EncryptMessageNext(session, &params, sizeof params, data + at, 50, out + at, &size,
                                at == 50 ? CKF_END_OF_MESSAGE : 0));
        ck_assert_uint_eq(size, 50);
    }
    memcpy(one_tag, tag, sizeof tag);
    params.ivGenerator = CKG_NO_GENERATE;
    OK(C_MessageEncryptFinal(session));
    OK(C_DecryptMessageBegin(session, &params, sizeof params, aad, sizeof aad));
    size = sizeof back;
    OK(C_DecryptMessageNext(session, NULL, 0, out, 70, back, &size, 0));
    ck_assert_uint_eq(size, 0);
    OK(C_DecryptMessageNext(session, &params, sizeof params, out + 70, 30, NULL, &size,
                            CKF_END_OF_MESSAGE));
    ck_assert_uint_eq(size, 100);
    OK(C_DecryptMessageNext(session, &params, sizeof params, out + 70, 30, back, &size,
                            CKF_END_OF_MESSAGE));
    ck_assert_mem_eq(back, data, sizeof data);
    size = sizeof one;
    OK(decrypt(&params, out, sizeof out, one, &size));
    /* A wrong tag gives nothing out. */
    one_tag[0] ^= 1;
    params.pTag = one_tag;
    memset(back, 0, sizeof back);
    OK(C_DecryptMessageBegin(session, &params, sizeof params, aad, sizeof aad));
    GIVES(CKR_AEAD_DECRYPT_FAILED, C_DecryptMessageNext(session, &params, sizeof params, out, 100,
                                                        back, &size, CKF_END_OF_MESSAGE));
    ck_assert_uint_eq(back[0], 0);
    ck_assert_uint_eq(back[99], 0);
    fixture_stop();
}
END_TEST

/* How much one part makes the module send. */
static size_t sent_for(CK_GCM_MESSAGE_PARAMS *params, CK_BYTE *data, CK_ULONG part, CK_BYTE *out,
                       CK_FLAGS flags)
{
    unsigned calls = pocket_calls();
    CK_ULONG size = part;

    OK(C_EncryptMessageNext(session, params, sizeof *params, data, part, out, &size, flags));
    ck_assert_uint_eq(size, part);
    ck_assert_uint_le(pocket_calls(), calls + 1);
    return pocket_calls() > calls ? pocket_last_size() : 0;
}

/* With every kind of IV, in parts that are no blocks, and to the last byte that a message may have.
 */
START_TEST(a_long_message_in_parts_is_sent_a_few_times_and_no_more)
{
    enum { SIZE = USE_DATA_SIZE_MAX - 16, PART = 1001 };
    static CK_BYTE data[SIZE + 1], out[SIZE + 1], one[SIZE];
    CK_ULONG iv_sizes[] = {12, 16}, size;
    CK_BYTE one_tag[TAG_SIZE];

    fixture_log_in();
    (void)begin_messages();
    memset(data, 0x5a, sizeof data);
    for (unsigned i = 0; i < 2; i++) {
        CK_GCM_MESSAGE_PARAMS params = params_with(CKG_NO_GENERATE, 0);
        size_t sent = 0;

        params.ulIvLen = iv_sizes[i];
        OK(C_EncryptMessageBegin(session, &params, sizeof params, aad, sizeof aad));
        for (size_t at = 0; at < SIZE; at += PART) {
            bool last = SIZE - at <= PART;

            sent += sent_for(&params, data + at, last ? SIZE - at : PART, out + at,
                             last ? CKF_END_OF_MESSAGE : 0);
        }
        ck_assert_uint_le(sent, 4 * SIZE);
        memcpy(one_tag, tag, sizeof tag);
        size = sizeof one;
        OK(encrypt(&params, data, SIZE, one, &size));
        ck_assert_mem_eq(out, one, SIZE);
        ck_assert_mem_eq(tag, one_tag, sizeof tag);
    }
    OK(C_EncryptMessageBegin(session,
                             &(CK_GCM_MESSAGE_PARAMS){iv, 12, 0, CKG_NO_GENERATE, tag, 128},
                             sizeof(CK_GCM_MESSAGE_PARAMS), NULL, 0));
    size = sizeof out;
    GIVES(CKR_DATA_LEN_RANGE,
          C_EncryptMessageNext(session, NULL, 0, data, SIZE + 1, out, &size, 0));
    fixture_stop();
}
END_TEST

/* ---- signatures ---- */

START_TEST(messages_are_signed_one_after_the_other)
{
    CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};
    CK_BYTE data[] = "one", signature[64], other[64];
    CK_ULONG size = 0;
    struct key_pair pair;

    fixture_log_in();
    pair = make_ec(CK_TRUE, "x");
    GIVES(CKR_OPERATION_NOT_INITIALIZED,
          C_SignMessage(session, NULL, 0, data, 3, signature, &size));
    OK(C_MessageSignInit(session, &mechanism, pair.private));
    OK(C_MessageVerifyInit(session, &mechanism, pair.public));
    for (unsigned i = 0; i < 2; i++) {
        OK(C_SignMessage(session, NULL, 0, data, 3, NULL, &size));
        ck_assert_uint_eq(size, 64);
        size = 63;
        GIVES(CKR_BUFFER_TOO_SMALL, C_SignMessage(session, NULL, 0, data, 3, signature, &size));
        OK(C_SignMessage(session, NULL, 0, data, 3, signature, &size));
        OK(C_VerifyMessage(session, NULL, 0, data, 3, signature, size));
        GIVES(CKR_SIGNATURE_INVALID, C_VerifyMessage(session, NULL, 0, data, 2, signature, size));
        GIVES(CKR_SIGNATURE_LEN_RANGE, C_VerifyMessage(session, NULL, 0, data, 3, signature, 63));
    }
    OK(C_SignMessageBegin(session, NULL, 0));
    GIVES(CKR_OPERATION_ACTIVE, C_SignMessage(session, NULL, 0, data, 3, other, &size));
    OK(C_SignMessageNext(session, NULL, 0, data, 1, NULL, NULL));
    OK(C_SignMessageNext(session, NULL, 0, data + 1, 2, NULL, &size));
    ck_assert_uint_eq(size, 64);
    OK(C_SignMessageNext(session, NULL, 0, data + 1, 2, other, &size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED,
          C_SignMessageNext(session, NULL, 0, data, 1, other, &size));
    OK(C_VerifyMessageBegin(session, NULL, 0));
    OK(C_VerifyMessageNext(session, NULL, 0, data, 2, NULL, 0));
    OK(C_VerifyMessageNext(session, NULL, 0, data + 2, 1, other, size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED,
          C_VerifyMessageNext(session, NULL, 0, data, 1, other, size));
    GIVES(CKR_ARGUMENTS_BAD, C_SignMessageBegin(session, data, 1));
    GIVES(CKR_ARGUMENTS_BAD, C_SignMessage(session, NULL, 0, NULL, 3, other, &size));
    GIVES(CKR_ARGUMENTS_BAD, C_VerifyMessage(session, NULL, 0, data, 3, NULL, 64));
    OK(C_MessageSignFinal(session));
    OK(C_MessageVerifyFinal(session));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_MessageSignFinal(session));
    fixture_stop();
}
END_TEST

/* ---- two at once ---- */

START_TEST(two_operations_go_on_together)
{
    CK_MECHANISM cbc = {CKM_AES_CBC_PAD, iv, sizeof iv};
    CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
    CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
    CK_BYTE data[40] = "two at once", sealed[64], back[64], hash[32], wanted[32], mac[32];
    CK_ULONG size = 0, at = 0, end = 0, hash_size = 32;
    CK_OBJECT_HANDLE key, mac_key;

    fixture_log_in();
    key = make_secret(CKM_AES_KEY_GEN, 16);
    mac_key = make_secret(CKM_GENERIC_SECRET_KEY_GEN, 32);
    OK(C_DigestInit(session, &sha));
    OK(C_Digest(session, data, sizeof data, wanted, &hash_size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_DigestEncryptUpdate(session, data, 40, sealed, &size));
    OK(C_DigestInit(session, &sha));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_DigestEncryptUpdate(session, data, 40, sealed, &size));
    OK(C_EncryptInit(session, &cbc, key));
    /* What only asks, or does not fit, is not hashed. */
    OK(C_DigestEncryptUpdate(session, data, 40, NULL, &size));
    ck_assert_uint_eq(size, 32);
    size = 31;
    GIVES(CKR_BUFFER_TOO_SMALL, C_DigestEncryptUpdate(session, data, 40, sealed, &size));
    GIVES(CKR_STATE_UNSAVEABLE, C_GetOperationState(session, NULL, &size));
    memcpy(sealed, data, sizeof data);
    size = sizeof sealed;
    OK(C_DigestEncryptUpdate(session, sealed, 40, sealed, &size));
    ck_assert_uint_eq(size, 32);
    end = sizeof sealed - size;
    OK(C_EncryptFinal(session, sealed + size, &end));
    ck_assert_uint_eq(size + end, 48);
    OK(C_DigestFinal(session, hash, &hash_size));
    ck_assert_mem_eq(hash, wanted, 32);

    OK(C_DecryptInit(session, &cbc, key));
    OK(C_DigestInit(session, &sha));
    at = sizeof back;
    OK(C_DecryptDigestUpdate(session, sealed, 48, back, &at));
    end = sizeof back - at;
    OK(C_DecryptFinal(session, back + at, &end));
    ck_assert_uint_eq(at + end, 40);
    OK(C_DigestUpdate(session, back + at, end));
    OK(C_DigestFinal(session, hash, &hash_size));
    ck_assert_mem_eq(hash, wanted, 32);

    OK(C_EncryptInit(session, &cbc, key));
    OK(C_SignInit(session, &hmac, mac_key));
    size = sizeof sealed;
    OK(C_SignEncryptUpdate(session, data, 32, sealed, &size));
    ck_assert_uint_eq(size, 32);
    end = sizeof sealed - size;
    OK(C_EncryptFinal(session, sealed + size, &end));
    hash_size = sizeof mac;
    OK(C_SignFinal(session, mac, &hash_size));
    OK(C_DecryptInit(session, &cbc, key));
    OK(C_VerifyInit(session, &hmac, mac_key));
    at = sizeof back;
    OK(C_DecryptVerifyUpdate(session, sealed, size + end, back, &at));
    ck_assert_uint_eq(at, 32);
    end = sizeof back - at;
    OK(C_DecryptFinal(session, back + at, &end));
    ck_assert_uint_eq(end, 0);
    OK(C_VerifyFinal(session, mac, hash_size));
    fixture_stop();
}
END_TEST

/* ---- recovery ---- */

static struct key_pair make_recovering(void)
{
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ULONG bits = 2048;
    CK_ATTRIBUTE public[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}, {CKA_VERIFY_RECOVER, &yes, 1}};
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE private[] = {{CKA_SIGN, &no, 1}, {CKA_SIGN_RECOVER, &yes, 1}};
    struct key_pair pair = {0, 0};

    OK(C_GenerateKeyPair(session, &mechanism, public, 2, private, 2, &pair.public, &pair.private));
    return pair;
}

START_TEST(what_was_signed_is_recovered)
{
    CK_MECHANISM mechanism = {CKM_RSA_PKCS, NULL, 0};
    CK_MECHANISM raw = {CKM_RSA_X_509, NULL, 0};
    CK_BYTE data[256] = "hash", signature[256], back[256];
    CK_ULONG size = 0, back_size = 0;
    struct key_pair pair;
    unsigned calls;

    fixture_log_in();
    pair = make_recovering();
    GIVES(CKR_KEY_FUNCTION_NOT_PERMITTED, C_SignInit(session, &mechanism, pair.private));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_SignRecover(session, data, 32, signature, &size));
    OK(C_SignRecoverInit(session, &mechanism, pair.private));
    GIVES(CKR_OPERATION_ACTIVE, C_SignRecoverInit(session, &mechanism, pair.private));
    OK(C_SignRecover(session, data, 32, NULL, &size));
    ck_assert_uint_eq(size, 256);
    OK(C_SignRecover(session, data, 32, signature, &size));
    calls = pocket_calls();
    OK(C_VerifyRecoverInit(session, &mechanism, pair.public));
    OK(C_VerifyRecover(session, signature, size, NULL, &back_size));
    ck_assert_uint_eq(back_size, 32);
    back_size = 31;
    GIVES(CKR_BUFFER_TOO_SMALL, C_VerifyRecover(session, signature, size, back, &back_size));
    OK(C_VerifyRecover(session, signature, size, back, &back_size));
    ck_assert_uint_eq(back_size, 32);
    ck_assert_mem_eq(back, data, 32);
    ck_assert_uint_eq(pocket_calls(), calls);
    OK(C_VerifyRecoverInit(session, &mechanism, pair.public));
    GIVES(CKR_SIGNATURE_LEN_RANGE, C_VerifyRecover(session, signature, 255, back, &back_size));
    OK(C_VerifyRecoverInit(session, &mechanism, pair.public));
    signature[9] ^= 1;
    GIVES(CKR_SIGNATURE_INVALID, C_VerifyRecover(session, signature, 256, back, &back_size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED,
          C_VerifyRecover(session, signature, 256, back, &back_size));
    memset(data, 0, sizeof data);
    data[255] = 7;
    OK(C_SignRecoverInit(session, &raw, pair.private));
    size = sizeof signature;
    OK(C_SignRecover(session, data, 256, signature, &size));
    OK(C_VerifyRecoverInit(session, &raw, pair.public));
    back_size = sizeof back;
    OK(C_VerifyRecover(session, signature, 256, back, &back_size));
    ck_assert_mem_eq(back, data, 256);
    OK(C_VerifyRecoverInit(session, &raw, pair.public));
    memset(signature, 0xff, sizeof signature);
    GIVES(CKR_SIGNATURE_INVALID, C_VerifyRecover(session, signature, 256, back, &back_size));
    OK(C_SignRecoverInit(session, &mechanism, pair.private));
    GIVES(CKR_DATA_LEN_RANGE, C_SignRecover(session, data, 246, signature, &size));
    mechanism.mechanism = CKM_RSA_PKCS_PSS;
    GIVES(CKR_MECHANISM_INVALID, C_SignRecoverInit(session, &mechanism, pair.private));
    fixture_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pkcs11_message");
    TCase *tcase = tcase_create("message");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_message_is_encrypted_as_with_plain_gcm);
    tcase_add_test(tcase, messages_are_begun_and_ended_in_order);
    tcase_add_test(tcase, parameters_of_messages_are_checked);
    tcase_add_test(tcase, ivs_are_made_as_they_are_wanted);
    tcase_add_test(tcase, ivs_do_not_come_again);
    tcase_add_test(tcase, a_child_does_not_use_its_parents_ivs_again);
    tcase_add_test(tcase, a_message_in_parts_is_the_message);
    tcase_add_test(tcase, a_long_message_in_parts_is_sent_a_few_times_and_no_more);
    tcase_add_test(tcase, messages_are_signed_one_after_the_other);
    tcase_add_test(tcase, two_operations_go_on_together);
    tcase_add_test(tcase, what_was_signed_is_recovered);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
