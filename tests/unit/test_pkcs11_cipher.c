/* The module from outside: encryption and decryption, at once and in parts. */
#include "tests/unit/pkcs11_fixture.h"

#define LARGE (3u << 20) /* more than one use of a key may have */
#define MIB (1u << 20)

static CK_BYTE large[LARGE];

static void setup(void)
{
    for (size_t i = 0; i < LARGE; i++) {
        large[i] = (CK_BYTE)(i * 7 + i / 256);
    }
    fixture_log_in();
}

/* In parts of @part bytes, into *ret_size bytes at @out. */
static CK_RV crypt_in_parts(bool encrypt, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                            CK_BYTE *data, CK_ULONG size, CK_ULONG part, CK_BYTE *out,
                            CK_ULONG room, CK_ULONG *ret_size)
{
    CK_RV rv =
        encrypt ? C_EncryptInit(session, mechanism, key) : C_DecryptInit(session, mechanism, key);
    CK_ULONG made = 0;
    CK_ULONG got;

    for (CK_ULONG at = 0; at < size && rv == CKR_OK; at += part) {
        CK_ULONG now = size - at < part ? size - at : part;

        got = room - made;
        rv = encrypt ? C_EncryptUpdate(session, data + at, now, out + made, &got)
                     : C_DecryptUpdate(session, data + at, now, out + made, &got);
        made += rv == CKR_OK ? got : 0;
    }
    if (rv == CKR_OK) {
        got = room - made;
        rv = encrypt ? C_EncryptFinal(session, out + made, &got)
                     : C_DecryptFinal(session, out + made, &got);
        made += rv == CKR_OK ? got : 0;
    }
    *ret_size = made;
    return rv;
}

static CK_RV crypt_all(bool encrypt, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *data,
                       CK_ULONG size, CK_BYTE *out, CK_ULONG *out_size)
{
    CK_RV rv =
        encrypt ? C_EncryptInit(session, mechanism, key) : C_DecryptInit(session, mechanism, key);

    if (rv != CKR_OK) {
        return rv;
    }
    return encrypt ? C_Encrypt(session, data, size, out, out_size)
                   : C_Decrypt(session, data, size, out, out_size);
}

static CK_BYTE one[LARGE + 64];
static CK_BYTE other[LARGE + 64];

START_TEST(padded_cbc_is_the_same_in_parts_of_any_size)
{
    static const CK_ULONG sizes[] = {0, 1, 15, 16, 17, 31, 32, 1000};
    static const CK_ULONG parts[] = {1, 15, 16, 17, 100};
    CK_BYTE iv[16] = "initial vector .";
    CK_MECHANISM mechanism = {CKM_AES_CBC_PAD, iv, sizeof iv};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 32);

    for (size_t i = 0; i < 8; i++) {
        CK_ULONG expected = (sizes[i] / 16 + 1) * 16;
        CK_ULONG size = sizeof one;

        OK(crypt_all(true, &mechanism, key, large, sizes[i], one, &size));
        ck_assert_uint_eq(size, expected);
        for (size_t k = 0; k < 5; k++) {
            OK(crypt_in_parts(true, &mechanism, key, large, sizes[i], parts[k], other, sizeof other,
                              &size));
            ck_assert_uint_eq(size, expected);
            ck_assert_mem_eq(one, other, expected);
            OK(crypt_in_parts(false, &mechanism, key, one, expected, parts[k], other, sizeof other,
                              &size));
            ck_assert_uint_eq(size, sizes[i]);
            if (sizes[i] > 0) {
                ck_assert_mem_eq(other, large, sizes[i]);
            }
        }
    }
}
END_TEST

START_TEST(cbc_of_more_than_one_use_may_have_works)
{
    CK_BYTE iv[16] = "initial vector .";
    CK_MECHANISM mechanism = {CKM_AES_CBC_PAD, iv, sizeof iv};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 32);
    CK_ULONG size = 0;

    OK(C_EncryptInit(session, &mechanism, key));
    OK(C_Encrypt(session, large, LARGE, NULL, &size));
    ck_assert_uint_eq(size, LARGE + 16);
    OK(C_Encrypt(session, large, LARGE, one, &size));
    ck_assert_uint_eq(size, LARGE + 16);
    OK(crypt_in_parts(true, &mechanism, key, large, LARGE, LARGE / 2 + 1, other, sizeof other,
                      &size));
    ck_assert_uint_eq(size, LARGE + 16);
    ck_assert(memcmp(one, other, size) == 0);
    OK(C_DecryptInit(session, &mechanism, key));
    size = LARGE - 1;
    GIVES(CKR_BUFFER_TOO_SMALL, C_Decrypt(session, one, LARGE + 16, other, &size));
    size = sizeof other;
    OK(C_Decrypt(session, one, LARGE + 16, other, &size));
    ck_assert_uint_eq(size, LARGE);
    ck_assert(memcmp(large, other, LARGE) == 0);
    mechanism.mechanism = CKM_AES_CBC;
    memcpy(other, large, LARGE);
    size = sizeof other;
    /* In place. */
    OK(crypt_all(true, &mechanism, key, other, LARGE, other, &size));
    ck_assert(memcmp(one, other, LARGE) == 0);
}
END_TEST

START_TEST(cbc_without_padding_wants_whole_blocks)
{
    CK_BYTE iv[16] = {0};
    CK_MECHANISM mechanism = {CKM_AES_CBC, iv, sizeof iv};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 16);
    CK_ULONG size = sizeof one;

    GIVES(CKR_DATA_LEN_RANGE, crypt_all(true, &mechanism, key, large, 17, one, &size));
    GIVES(CKR_DATA_LEN_RANGE,
          crypt_in_parts(true, &mechanism, key, large, 17, 5, one, sizeof one, &size));
    GIVES(CKR_ENCRYPTED_DATA_LEN_RANGE,
          crypt_in_parts(false, &mechanism, key, large, 17, 5, one, sizeof one, &size));
    OK(crypt_in_parts(true, &mechanism, key, large, 48, 5, one, sizeof one, &size));
    ck_assert_uint_eq(size, 48);
    OK(C_EncryptInit(session, &mechanism, key));
    OK(C_EncryptUpdate(session, large, 16, one, &size));
    GIVES(CKR_OPERATION_ACTIVE, C_Encrypt(session, large, 16, one, &size));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_EncryptFinal(session, one, &size));
}
END_TEST

START_TEST(a_part_that_does_not_fit_is_not_lost)
{
    CK_BYTE iv[16] = {0};
    CK_MECHANISM mechanism = {CKM_AES_CBC_PAD, iv, sizeof iv};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 16);
    CK_ULONG size;
    unsigned calls;

    OK(C_EncryptInit(session, &mechanism, key));
    calls = pocket_calls();
    OK(C_EncryptUpdate(session, large, 40, NULL, &size));
    ck_assert_uint_eq(size, 32);
    size = 31;
    GIVES(CKR_BUFFER_TOO_SMALL, C_EncryptUpdate(session, large, 40, other, &size));
    ck_assert_uint_eq(pocket_calls(), calls);
    size = 32;
    OK(C_EncryptUpdate(session, large, 40, other, &size));
    OK(C_EncryptFinal(session, NULL, &size));
    ck_assert_uint_eq(size, 16);
    size = 15;
    GIVES(CKR_BUFFER_TOO_SMALL, C_EncryptFinal(session, other + 32, &size));
    OK(C_EncryptFinal(session, other + 32, &size));
    size = sizeof one;
    OK(crypt_all(true, &mechanism, key, large, 40, one, &size));
    ck_assert_mem_eq(one, other, 48);
}
END_TEST

START_TEST(ctr_goes_out_byte_by_byte)
{
    static const CK_ULONG parts[] = {1, 15, 16, 17, 100};
    CK_AES_CTR_PARAMS ctr = {128, "\x12\x34\x56\x78 counter \xff\xff\xf8"};
    CK_MECHANISM mechanism = {CKM_AES_CTR, &ctr, sizeof ctr};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 32);
    CK_ULONG size = sizeof one;

    OK(crypt_all(true, &mechanism, key, large, 1000, one, &size));
    for (size_t k = 0; k < 5; k++) {
        OK(crypt_in_parts(true, &mechanism, key, large, 1000, parts[k], other, sizeof other,
                          &size));
        ck_assert_uint_eq(size, 1000);
        ck_assert_mem_eq(one, other, 1000);
        /* In place. */
        OK(crypt_in_parts(false, &mechanism, key, other, 1000, parts[k], other, 1000, &size));
        ck_assert_mem_eq(other, large, 1000);
    }
    OK(C_EncryptInit(session, &mechanism, key));
    OK(C_EncryptUpdate(session, large, 5, NULL, &size));
    ck_assert_uint_eq(size, 5);
    size = 4;
    GIVES(CKR_BUFFER_TOO_SMALL, C_EncryptUpdate(session, large, 5, other, &size));
    size = 5;
    OK(C_EncryptUpdate(session, large, 5, other, &size));
    ck_assert_uint_eq(size, 5);
    ck_assert_mem_eq(one, other, 5);
    size = 0;
    OK(C_EncryptFinal(session, other, &size));
}
END_TEST

START_TEST(ctr_of_more_than_one_use_may_have_works)
{
    CK_AES_CTR_PARAMS ctr = {64, "a counter block"};
    CK_MECHANISM mechanism = {CKM_AES_CTR, &ctr, sizeof ctr};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 16);
    CK_ULONG size = sizeof one;

    OK(crypt_all(true, &mechanism, key, large, LARGE, one, &size));
    ck_assert_uint_eq(size, LARGE);
    OK(crypt_in_parts(true, &mechanism, key, large, LARGE, LARGE / 3, other, sizeof other, &size));
    ck_assert_uint_eq(size, LARGE);
    ck_assert(memcmp(one, other, LARGE) == 0);
}
END_TEST

START_TEST(ctr_in_parts_counts_to_the_end_and_no_further)
{
    static const CK_ULONG parts[] = {1, 8, 15, 16, 31, 32};
    CK_AES_CTR_PARAMS ctr = {9, "counter of nine\xfe"};
    CK_MECHANISM mechanism = {CKM_AES_CTR, &ctr, sizeof ctr};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 16);
    CK_ULONG size;

    ctr.cb[14] = 0x01;
    for (size_t k = 0; k < 6; k++) {
        OK(crypt_in_parts(true, &mechanism, key, large, 32, parts[k], one, sizeof one, &size));
        GIVES(CKR_DATA_LEN_RANGE,
              crypt_in_parts(true, &mechanism, key, large, 33, parts[k], one, sizeof one, &size));
    }
    /* The ninth bit is not the last one to be counted. */
    ctr.cb[14] = 0x02;
    OK(crypt_in_parts(true, &mechanism, key, large, 100, 16, one, sizeof one, &size));
}
END_TEST

START_TEST(gcm_goes_out_at_the_end_and_comes_back)
{
    CK_BYTE iv[12] = "nonce nonce";
    CK_BYTE aad[] = "header";
    CK_GCM_PARAMS_V3 params = {iv, sizeof iv, 96, aad, sizeof aad, 128};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof params};
    CK_OBJECT_HANDLE key = make_secret(CKM_AES_KEY_GEN, 32);
    CK_ULONG size = sizeof one;

    OK(crypt_all(true, &mechanism, key, large, 1000, one, &size));
    ck_assert_uint_eq(size, 1016);
    OK(crypt_in_parts(true, &mechanism, key, large, 1000, 33, other, sizeof other, &size));
    ck_assert_uint_eq(size, 1016);
    ck_assert_mem_eq(one, other, 1016);
    OK(crypt_in_parts(false, &mechanism, key, one, 1016, 33, other, sizeof other, &size));
    ck_assert_uint_eq(size, 1000);
    ck_assert_mem_eq(other, large, 1000);
    one[5] ^= 1;
    size = sizeof other;
    GIVES(CKR_ENCRYPTED_DATA_INVALID, crypt_all(false, &mechanism, key, one, 1016, other, &size));
    GIVES(CKR_DATA_LEN_RANGE,
          crypt_in_parts(true, &mechanism, key, large, MIB + 1, 65536, one, sizeof one, &size));
    OK(crypt_in_parts(true, &mechanism, key, large, MIB, 65536, one, sizeof one, &size));
}
END_TEST

START_TEST(public_keys_encrypt_here_and_private_keys_decrypt_there)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_MECHANISM mechanisms[] = {{CKM_RSA_PKCS, NULL, 0}, {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}};
    struct key_pair pair = make_rsa();

    for (size_t i = 0; i < 2; i++) {
        CK_ULONG size = 0;
        unsigned calls = pocket_calls();

        OK(C_EncryptInit(session, &mechanisms[i], pair.public));
        OK(C_Encrypt(session, large, 48, NULL, &size));
        ck_assert_uint_eq(size, 256);
        OK(C_Encrypt(session, large, 48, one, &size));
        ck_assert_uint_eq(pocket_calls(), calls);
        OK(C_DecryptInit(session, &mechanisms[i], pair.private));
        OK(C_Decrypt(session, one, 256, NULL, &size));
        ck_assert_uint_ge(size, 48);
        ck_assert_uint_eq(pocket_calls(), calls);
        size = 47;
        GIVES(CKR_BUFFER_TOO_SMALL, C_Decrypt(session, one, 256, other, &size));
        ck_assert_uint_eq(size, 48);
        OK(C_Decrypt(session, one, 256, other, &size));
        ck_assert_uint_eq(size, 48);
        ck_assert_mem_eq(other, large, 48);
        ck_assert_uint_eq(pocket_calls(), calls + 2);
    }
}
END_TEST

static TCase *crypt_cases(void)
{
    TCase *tcase = tcase_create("crypt");

    tcase_add_checked_fixture(tcase, setup, fixture_stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, padded_cbc_is_the_same_in_parts_of_any_size);
    tcase_add_test(tcase, cbc_of_more_than_one_use_may_have_works);
    tcase_add_test(tcase, cbc_without_padding_wants_whole_blocks);
    tcase_add_test(tcase, a_part_that_does_not_fit_is_not_lost);
    tcase_add_test(tcase, ctr_goes_out_byte_by_byte);
    tcase_add_test(tcase, ctr_of_more_than_one_use_may_have_works);
    tcase_add_test(tcase, ctr_in_parts_counts_to_the_end_and_no_further);
    tcase_add_test(tcase, gcm_goes_out_at_the_end_and_comes_back);
    tcase_add_test(tcase, public_keys_encrypt_here_and_private_keys_decrypt_there);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("pkcs11_cipher");

    suite_add_tcase(suite, crypt_cases());
    return test_main(suite);
}
