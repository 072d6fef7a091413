/* Mechanisms: parameters, keys that fit, sizes known beforehand, and splitting. */
#include "pkcs11/mechanism.h"

#include <string.h>

#include "tests/lib/test.h"
#include "tests/unit/attributes.h"

static CK_RV open_with(CK_MECHANISM_TYPE type, void *parameter, CK_ULONG size, CK_FLAGS use,
                       struct mechanism *ret_mechanism)
{
    CK_MECHANISM from = {type, parameter, size};

    return mechanism_open(&from, use, ret_mechanism);
}

/* ---- parameters ---- */

START_TEST(gcm_parameters_come_with_and_without_bits)
{
    uint8_t iv[12] = "0123456789a";
    uint8_t aad[5] = "aadaa";
    CK_NSS_GCM_PARAMS without = {iv, sizeof iv, aad, sizeof aad, 128};
    CK_GCM_PARAMS_V3 with = {iv, sizeof iv, 0, aad, sizeof aad, 96};
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_AES_GCM, &without, sizeof without, CKF_ENCRYPT, &mechanism),
                      CKR_OK);
    ck_assert_uint_eq(mechanism.params.iv_size, 12);
    ck_assert_mem_eq(mechanism.params.iv, iv, 12);
    ck_assert_mem_eq(mechanism.params.aad, aad, 5);
    ck_assert_uint_eq(mechanism.params.tag_bits, 128);
    /* Copied: the application's memory is its own again. */
    ck_assert_ptr_ne(mechanism.params.iv, iv);
    mechanism_close(&mechanism);
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &with, sizeof with, CKF_DECRYPT, &mechanism), CKR_OK);
    ck_assert_uint_eq(mechanism.params.iv_size, 12);
    ck_assert_uint_eq(mechanism.params.aad_size, 5);
    ck_assert_uint_eq(mechanism.params.tag_bits, 96);
    mechanism_close(&mechanism);
}
END_TEST

START_TEST(gcm_parameters_out_of_range_are_refused)
{
    static uint8_t aad[MECHANISM_AAD_SIZE_MAX + 1];
    uint8_t iv[MECHANISM_IV_SIZE_MAX + 1] = {0};
    CK_GCM_PARAMS_V3 gcm = {iv, MECHANISM_IV_SIZE_MAX, 0, aad, MECHANISM_AAD_SIZE_MAX, 128};
    CK_GCM_PARAMS_V3 good = gcm;
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_AES_GCM, &gcm, sizeof gcm, CKF_ENCRYPT, &mechanism), CKR_OK);
    mechanism_close(&mechanism);
    gcm.ulIvLen++;
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &gcm, sizeof gcm, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    gcm = good;
    gcm.ulAADLen++;
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &gcm, sizeof gcm, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    gcm = good;
    gcm.ulTagBits = 136;
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &gcm, sizeof gcm, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    gcm = good;
    gcm.ulIvLen = 0;
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &gcm, sizeof gcm, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    gcm = good;
    gcm.pAAD = NULL;
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &gcm, sizeof gcm, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &good, sizeof good - 1, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    ck_assert_uint_eq(open_with(CKM_AES_GCM, NULL, sizeof good, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
}
END_TEST

START_TEST(pss_takes_hash_mgf_and_salt_each_as_it_is_said)
{
    CK_RSA_PKCS_PSS_PARAMS pss = {CKM_SHA256, CKG_MGF1_SHA1, 7};
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_PSS, &pss, sizeof pss, CKF_SIGN, &mechanism), CKR_OK);
    ck_assert_uint_eq(mechanism.params.hash, CKM_SHA256);
    ck_assert_uint_eq(mechanism.params.mgf, CKG_MGF1_SHA1);
    ck_assert_uint_eq(mechanism.params.salt_size, 7);
    mechanism_close(&mechanism);
    ck_assert_uint_eq(open_with(CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof pss, CKF_SIGN, &mechanism),
                      CKR_OK);
    mechanism_close(&mechanism);
    /* A mechanism that hashes with another hash than it says. */
    ck_assert_uint_eq(open_with(CKM_SHA384_RSA_PKCS_PSS, &pss, sizeof pss, CKF_SIGN, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    pss.hashAlg = CKM_RSA_PKCS;
    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_PSS, &pss, sizeof pss, CKF_SIGN, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_PSS, NULL, 0, CKF_SIGN, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
}
END_TEST

START_TEST(oaep_is_normal_without_a_label_and_takes_one)
{
    char label[] = "label";
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep, CKF_ENCRYPT, &mechanism),
                      CKR_OK);
    ck_assert_uint_eq(mechanism.params.label_size, 0);
    ck_assert_uint_eq(mechanism.params.hash, CKM_SHA_1);
    ck_assert_uint_eq(mechanism.params.mgf, CKG_MGF1_SHA256);
    mechanism_close(&mechanism);
    oaep.source = 0;
    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep, CKF_ENCRYPT, &mechanism),
                      CKR_OK);
    mechanism_close(&mechanism);
    oaep.pSourceData = label;
    oaep.ulSourceDataLen = 5;
    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    oaep.source = CKZ_DATA_SPECIFIED;
    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep, CKF_ENCRYPT, &mechanism),
                      CKR_OK);
    ck_assert_mem_eq(mechanism.params.label, "label", 5);
    mechanism_close(&mechanism);
    oaep.ulSourceDataLen = MECHANISM_LABEL_SIZE_MAX + 1;
    ck_assert_uint_eq(open_with(CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
}
END_TEST

START_TEST(cbc_takes_one_block_and_nothing_else)
{
    uint8_t iv[17] = "sixteen bytes ..";
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_AES_CBC, iv, 16, CKF_ENCRYPT, &mechanism), CKR_OK);
    ck_assert_mem_eq(mechanism.params.iv, iv, 16);
    mechanism_close(&mechanism);
    ck_assert_uint_eq(open_with(CKM_AES_CBC_PAD, iv, 15, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    ck_assert_uint_eq(open_with(CKM_AES_CBC_PAD, iv, 17, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    ck_assert_uint_eq(open_with(CKM_AES_CBC, NULL, 16, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
}
END_TEST

START_TEST(eddsa_is_pure_or_refused)
{
    CK_EDDSA_PARAMS eddsa = {CK_FALSE, 0, NULL};
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_EDDSA, NULL, 0, CKF_SIGN, &mechanism), CKR_OK);
    mechanism_close(&mechanism);
    ck_assert_uint_eq(open_with(CKM_EDDSA, &eddsa, sizeof eddsa, CKF_SIGN, &mechanism), CKR_OK);
    mechanism_close(&mechanism);
    eddsa.phFlag = CK_TRUE;
    ck_assert_uint_eq(open_with(CKM_EDDSA, &eddsa, sizeof eddsa, CKF_SIGN, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
    eddsa.phFlag = CK_FALSE;
    eddsa.ulContextDataLen = 1;
    ck_assert_uint_eq(open_with(CKM_EDDSA, &eddsa, sizeof eddsa, CKF_SIGN, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
}
END_TEST

START_TEST(mechanisms_are_refused_for_what_they_do_not_do)
{
    struct mechanism mechanism;

    ck_assert_uint_eq(mechanism_open(NULL, CKF_SIGN, &mechanism), CKR_ARGUMENTS_BAD);
    ck_assert_uint_eq(open_with(0x7fffffff, NULL, 0, CKF_SIGN, &mechanism), CKR_MECHANISM_INVALID);
    ck_assert_uint_eq(open_with(CKM_ECDSA, NULL, 0, CKF_ENCRYPT, &mechanism),
                      CKR_MECHANISM_INVALID);
    ck_assert_uint_eq(open_with(CKM_SHA256, NULL, 0, CKF_SIGN, &mechanism), CKR_MECHANISM_INVALID);
    ck_assert_uint_eq(open_with(CKM_ECDSA, &mechanism, 4, CKF_SIGN, &mechanism),
                      CKR_MECHANISM_PARAM_INVALID);
}
END_TEST

/* Java drops what goes one way only. */
START_TEST(what_is_offered_goes_both_ways_and_is_implemented)
{
    unsigned count = 0;
    const struct mech_info *table = mech_table(&count);

    ck_assert_uint_gt(count, 20);
    for (unsigned i = 0; i < count; i++) {
        CK_FLAGS flags = mechanism_flags(&table[i]);

        ck_assert_uint_eq((flags & CKF_SIGN) != 0, (flags & CKF_VERIFY) != 0);
        ck_assert_uint_eq((flags & CKF_ENCRYPT) != 0, (flags & CKF_DECRYPT) != 0);
        ck_assert_uint_eq((flags & CKF_WRAP) != 0, (flags & CKF_UNWRAP) != 0);
        ck_assert_uint_eq((flags & CKF_SIGN_RECOVER) != 0, (flags & CKF_VERIFY_RECOVER) != 0);
        ck_assert_uint_eq((flags & CKF_MESSAGE_SIGN) != 0, (flags & CKF_MESSAGE_VERIFY) != 0);
        ck_assert_uint_eq((flags & CKF_MESSAGE_ENCRYPT) != 0, (flags & CKF_MESSAGE_DECRYPT) != 0);
        ck_assert_uint_eq(flags & CKF_HW, 0);
    }
}
END_TEST

/* ---- keys ---- */

static struct quadhsm_object *key_with(struct attributes_fixture *fixture, CK_OBJECT_CLASS class,
                                       CK_KEY_TYPE type, CK_ATTRIBUTE_TYPE use)
{
    fixture->count = 0;
    add_number(fixture, CKA_CLASS, class);
    add_number(fixture, CKA_KEY_TYPE, type);
    add_bytes(fixture, use, "\x01", 1);
    return fixture_object(fixture);
}

START_TEST(keys_fit_by_class_type_use_and_allowed_mechanisms)
{
    struct attributes_fixture fixture;
    struct quadhsm_object *key = key_with(&fixture, CKO_PRIVATE_KEY, CKK_RSA, CKA_SIGN);
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_SHA256_RSA_PKCS, NULL, 0, CKF_SIGN, &mechanism), CKR_OK);
    ck_assert_uint_eq(mechanism_fits(&mechanism, CKF_SIGN, key), CKR_OK);
    ck_assert_uint_eq(mechanism_fits(&mechanism, CKF_VERIFY, key), CKR_KEY_TYPE_INCONSISTENT);
    key = key_with(&fixture, CKO_PRIVATE_KEY, CKK_EC, CKA_SIGN);
    ck_assert_uint_eq(mechanism_fits(&mechanism, CKF_SIGN, key), CKR_KEY_TYPE_INCONSISTENT);
    key = key_with(&fixture, CKO_PRIVATE_KEY, CKK_RSA, CKA_DECRYPT);
    ck_assert_uint_eq(mechanism_fits(&mechanism, CKF_SIGN, key), CKR_KEY_FUNCTION_NOT_PERMITTED);
    key = key_with(&fixture, CKO_CERTIFICATE, CKK_RSA, CKA_SIGN);
    ck_assert_uint_eq(mechanism_fits(&mechanism, CKF_SIGN, key), CKR_KEY_HANDLE_INVALID);
    key = key_with(&fixture, CKO_PRIVATE_KEY, CKK_RSA, CKA_SIGN);
    add_number(&fixture, CKA_ALLOWED_MECHANISMS, CKM_RSA_PKCS_PSS);
    key = fixture_object(&fixture);
    ck_assert_uint_eq(mechanism_fits(&mechanism, CKF_SIGN, key), CKR_MECHANISM_INVALID);
    ck_assert(mechanism_allowed(key, CKM_RSA_PKCS_PSS));
    mechanism_close(&mechanism);
}
END_TEST

START_TEST(hmac_takes_generic_secrets_and_keys_for_hmac)
{
    struct attributes_fixture fixture;
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_SHA256_HMAC, NULL, 0, CKF_SIGN, &mechanism), CKR_OK);
    ck_assert_uint_eq(
        mechanism_fits(&mechanism, CKF_SIGN,
                       key_with(&fixture, CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKA_SIGN)),
        CKR_OK);
    ck_assert_uint_eq(mechanism_fits(&mechanism, CKF_SIGN,
                                     key_with(&fixture, CKO_SECRET_KEY, CKK_SHA256_HMAC, CKA_SIGN)),
                      CKR_OK);
    ck_assert_uint_eq(
        mechanism_fits(&mechanism, CKF_SIGN, key_with(&fixture, CKO_SECRET_KEY, CKK_AES, CKA_SIGN)),
        CKR_KEY_TYPE_INCONSISTENT);
    mechanism_close(&mechanism);
}
END_TEST

/* ---- splitting ---- */

START_TEST(mechanisms_that_hash_first_have_a_plain_one)
{
    static const struct {
        CK_MECHANISM_TYPE type, plain;
    } pairs[] = {
        {CKM_SHA1_RSA_PKCS, CKM_RSA_PKCS},   {CKM_SHA224_RSA_PKCS, CKM_RSA_PKCS},
        {CKM_SHA256_RSA_PKCS, CKM_RSA_PKCS}, {CKM_SHA384_RSA_PKCS, CKM_RSA_PKCS},
        {CKM_SHA512_RSA_PKCS, CKM_RSA_PKCS}, {CKM_ECDSA_SHA1, CKM_ECDSA},
        {CKM_ECDSA_SHA224, CKM_ECDSA},       {CKM_ECDSA_SHA256, CKM_ECDSA},
        {CKM_ECDSA_SHA384, CKM_ECDSA},       {CKM_ECDSA_SHA512, CKM_ECDSA},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct mechanism mechanism;
        struct quadhsm_mechanism plain;

        ck_assert_uint_eq(open_with(pairs[i].type, NULL, 0, CKF_SIGN, &mechanism), CKR_OK);
        ck_assert(mechanism_split(&mechanism, &plain));
        ck_assert_uint_eq(plain.type, pairs[i].plain);
        ck_assert_uint_gt(mechanism_digest_info(mechanism.info->digest).size, 0);
        mechanism_close(&mechanism);
    }
}
END_TEST

START_TEST(others_have_none)
{
    static const CK_MECHANISM_TYPE types[] = {CKM_RSA_PKCS, CKM_ECDSA, CKM_EDDSA, CKM_SHA256_HMAC};

    for (size_t i = 0; i < 4; i++) {
        struct mechanism mechanism;
        struct quadhsm_mechanism plain;

        ck_assert_uint_eq(open_with(types[i], NULL, 0, CKF_SIGN, &mechanism), CKR_OK);
        ck_assert(!mechanism_split(&mechanism, &plain));
        mechanism_close(&mechanism);
    }
    ck_assert_uint_eq(mechanism_digest_info(CKM_RSA_PKCS).size, 0);
}
END_TEST

/* ---- sizes ---- */

static size_t signature_size(CK_MECHANISM_TYPE type, struct attributes_fixture *fixture)
{
    struct mechanism mechanism;
    size_t size;

    ck_assert_uint_eq(open_with(type, NULL, 0, CKF_SIGN, &mechanism), CKR_OK);
    size = mechanism_signature_size(&mechanism, fixture_object(fixture));
    mechanism_close(&mechanism);
    return size;
}

START_TEST(signature_sizes_are_known_from_the_key)
{
    static const uint8_t modulus[384];
    struct attributes_fixture rsa = {.count = 0};
    struct attributes_fixture p384 = {.count = 0};
    struct attributes_fixture ed25519 = {.count = 0};
    struct attributes_fixture named = {.count = 0};
    struct attributes_fixture unknown = {.count = 0};

    add_bytes(&rsa, CKA_MODULUS, modulus, sizeof modulus);
    add_bytes(&p384, CKA_EC_PARAMS, "\x06\x05\x2b\x81\x04\x00\x22", 7);
    add_bytes(&ed25519, CKA_EC_PARAMS, "\x06\x03\x2b\x65\x70", 5);
    add_bytes(&named, CKA_EC_PARAMS,
              "\x13\x0c"
              "edwards25519",
              14);
    add_bytes(&unknown, CKA_EC_PARAMS, "\x06\x01\x01", 3);
    ck_assert_uint_eq(signature_size(CKM_SHA256_RSA_PKCS, &rsa), 384);
    ck_assert_uint_eq(signature_size(CKM_ECDSA_SHA256, &p384), 96);
    ck_assert_uint_eq(signature_size(CKM_EDDSA, &ed25519), 64);
    ck_assert_uint_eq(signature_size(CKM_EDDSA, &named), 64);
    ck_assert_uint_eq(signature_size(CKM_ECDSA, &unknown), 0);
    ck_assert_uint_eq(signature_size(CKM_SHA384_HMAC, &unknown), 48);
}
END_TEST

START_TEST(sizes_of_encrypted_data_are_known)
{
    uint8_t iv[16] = {0};
    CK_GCM_PARAMS_V3 gcm = {iv, 12, 96, NULL, 0, 128};
    struct attributes_fixture none = {.count = 0};
    struct quadhsm_object *key = fixture_object(&none);
    struct mechanism mechanism;

    ck_assert_uint_eq(open_with(CKM_AES_CBC_PAD, iv, 16, CKF_ENCRYPT, &mechanism), CKR_OK);
    ck_assert_uint_eq(mechanism_encrypted_size(&mechanism, key, 0), 16);
    ck_assert_uint_eq(mechanism_encrypted_size(&mechanism, key, 15), 16);
    ck_assert_uint_eq(mechanism_encrypted_size(&mechanism, key, 16), 32);
    ck_assert_uint_eq(mechanism_decrypted_size(&mechanism, key, 32), 32);
    ck_assert_uint_eq(mechanism_decrypted_least(&mechanism, 32), 16);
    mechanism_close(&mechanism);
    ck_assert_uint_eq(open_with(CKM_AES_GCM, &gcm, sizeof gcm, CKF_ENCRYPT, &mechanism), CKR_OK);
    ck_assert_uint_eq(mechanism_encrypted_size(&mechanism, key, 5), 21);
    ck_assert_uint_eq(mechanism_decrypted_size(&mechanism, key, 21), 5);
    ck_assert_uint_eq(mechanism_decrypted_size(&mechanism, key, 15), 0);
    ck_assert_uint_eq(mechanism_decrypted_least(&mechanism, 21), 5);
    mechanism_close(&mechanism);
}
END_TEST

static void add_cases(TCase *tcase)
{
    tcase_add_test(tcase, gcm_parameters_come_with_and_without_bits);
    tcase_add_test(tcase, gcm_parameters_out_of_range_are_refused);
    tcase_add_test(tcase, pss_takes_hash_mgf_and_salt_each_as_it_is_said);
    tcase_add_test(tcase, oaep_is_normal_without_a_label_and_takes_one);
    tcase_add_test(tcase, cbc_takes_one_block_and_nothing_else);
    tcase_add_test(tcase, eddsa_is_pure_or_refused);
    tcase_add_test(tcase, mechanisms_are_refused_for_what_they_do_not_do);
    tcase_add_test(tcase, what_is_offered_goes_both_ways_and_is_implemented);
    tcase_add_test(tcase, keys_fit_by_class_type_use_and_allowed_mechanisms);
    tcase_add_test(tcase, hmac_takes_generic_secrets_and_keys_for_hmac);
    tcase_add_test(tcase, mechanisms_that_hash_first_have_a_plain_one);
    tcase_add_test(tcase, others_have_none);
    tcase_add_test(tcase, signature_sizes_are_known_from_the_key);
    tcase_add_test(tcase, sizes_of_encrypted_data_are_known);
}

int main(void)
{
    Suite *suite = suite_create("pkcs11_mechanism");
    TCase *tcase = tcase_create("mechanism");

    add_cases(tcase);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
