/* The module from outside: keys wrapped, unwrapped and derived. */
#include "tests/unit/pkcs11_fixture.h"

static CK_BBOOL no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
static CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY;
static CK_KEY_TYPE aes = CKK_AES;
static CK_KEY_TYPE generic = CKK_GENERIC_SECRET;

static CK_MECHANISM kw = {CKM_AES_KEY_WRAP, NULL, 0};
static CK_MECHANISM kwp = {CKM_AES_KEY_WRAP_KWP, NULL, 0};

/* An AES key that wraps, unwraps and derives if @work, and may leave if @extractable. */
static CK_OBJECT_HANDLE make_aes(CK_BBOOL work, CK_BBOOL extractable)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ULONG size = 32;
    CK_ATTRIBUTE list[] = {{CKA_VALUE_LEN, &size, sizeof size},
                           {CKA_WRAP, &work, 1},
                           {CKA_UNWRAP, &work, 1},
                           {CKA_EXTRACTABLE, &extractable, 1},
                           {CKA_TOKEN, &yes, 1},
                           {CKA_ENCRYPT, &yes, 1},
                           {CKA_DECRYPT, &yes, 1}};
    CK_OBJECT_HANDLE key = 0;

    OK(C_GenerateKey(session, &mechanism, list, 7, &key));
    return key;
}

static CK_RV unwrap_as(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE under,
                       CK_BYTE *wrapped, CK_ULONG size, CK_OBJECT_HANDLE *ret_key)
{
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &secret_class, sizeof secret_class},
                           {CKA_KEY_TYPE, &aes, sizeof aes},
                           {CKA_TOKEN, &yes, 1},
                           {CKA_ENCRYPT, &yes, 1},
                           {CKA_DECRYPT, &yes, 1}};

    return C_UnwrapKey(handle, mechanism, under, wrapped, size, list, 5, ret_key);
}

static void seal_block(CK_OBJECT_HANDLE key, CK_BYTE out[16])
{
    CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
    CK_BYTE data[16] = {1, 2, 3};
    CK_ULONG size = 16;

    OK(C_EncryptInit(session, &ecb, key));
    OK(C_Encrypt(session, data, 16, out, &size));
}

START_TEST(a_key_goes_out_and_comes_back)
{
    CK_BYTE wrapped[64], before[16], after[16];
    CK_ULONG size = 0;
    CK_OBJECT_HANDLE under, key, back = 0;

    fixture_log_in();
    under = make_aes(CK_TRUE, CK_FALSE);
    key = make_aes(CK_FALSE, CK_TRUE);
    OK(C_WrapKey(session, &kw, under, key, NULL, &size));
    ck_assert_uint_eq(size, 40);
    size = 39;
    GIVES(CKR_BUFFER_TOO_SMALL, C_WrapKey(session, &kw, under, key, wrapped, &size));
    ck_assert_uint_eq(size, 40);
    OK(C_WrapKey(open_session(0), &kw, under, key, wrapped, &size));
    OK(unwrap_as(session, &kw, under, wrapped, size, &back));
    ck_assert_uint_ne(back, key);
    seal_block(key, before);
    seal_block(back, after);
    ck_assert_mem_eq(before, after, 16);
    wrapped[3] ^= 1;
    GIVES(CKR_WRAPPED_KEY_INVALID, unwrap_as(session, &kw, under, wrapped, size, &back));
    GIVES(CKR_WRAPPED_KEY_LEN_RANGE, unwrap_as(session, &kw, under, wrapped, 39, &back));
    fixture_stop();
}
END_TEST

START_TEST(each_key_is_called_by_its_name_when_it_is_wrong)
{
    CK_MECHANISM oaep_less = {CKM_RSA_PKCS_OAEP, NULL, 0};
    CK_MECHANISM rsa = {CKM_RSA_PKCS, NULL, 0};
    CK_MECHANISM sign = {CKM_ECDSA, NULL, 0};
    CK_BYTE wrapped[64] = {1};
    CK_ULONG size = sizeof wrapped;
    CK_OBJECT_HANDLE under, key, fixed, idle, back = 0;
    struct key_pair pair;

    fixture_log_in();
    under = make_aes(CK_TRUE, CK_FALSE);
    key = make_aes(CK_FALSE, CK_TRUE);
    fixed = make_aes(CK_FALSE, CK_FALSE);
    idle = make_aes(CK_FALSE, CK_FALSE);
    pair = make_ec(CK_TRUE, "x");
    GIVES(CKR_WRAPPING_KEY_HANDLE_INVALID, C_WrapKey(session, &kw, 0, key, wrapped, &size));
    GIVES(CKR_KEY_HANDLE_INVALID, C_WrapKey(session, &kw, under, 0, wrapped, &size));
    GIVES(CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
          C_WrapKey(session, &kw, pair.private, key, wrapped, &size));
    GIVES(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, C_WrapKey(session, &rsa, under, key, wrapped, &size));
    GIVES(CKR_KEY_FUNCTION_NOT_PERMITTED, C_WrapKey(session, &kw, idle, key, wrapped, &size));
    GIVES(CKR_KEY_UNEXTRACTABLE, C_WrapKey(session, &kw, under, fixed, wrapped, &size));
    GIVES(CKR_KEY_NOT_WRAPPABLE, C_WrapKey(session, &kw, under, pair.public, wrapped, &size));
    GIVES(CKR_MECHANISM_INVALID, C_WrapKey(session, &sign, under, key, wrapped, &size));
    GIVES(CKR_MECHANISM_PARAM_INVALID, C_WrapKey(session, &oaep_less, under, key, wrapped, &size));
    GIVES(CKR_ARGUMENTS_BAD, C_WrapKey(session, &kw, under, key, wrapped, NULL));
    GIVES(CKR_ARGUMENTS_BAD, C_WrapKey(session, NULL, under, key, wrapped, &size));
    OK(C_WrapKey(session, &kw, under, key, wrapped, &size));
    GIVES(CKR_UNWRAPPING_KEY_HANDLE_INVALID, unwrap_as(session, &kw, 0, wrapped, size, &back));
    GIVES(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
          unwrap_as(session, &kw, pair.private, wrapped, size, &back));
    GIVES(CKR_KEY_FUNCTION_NOT_PERMITTED, unwrap_as(session, &kw, idle, wrapped, size, &back));
    GIVES(CKR_ARGUMENTS_BAD, unwrap_as(session, &kw, under, NULL, size, &back));
    GIVES(CKR_ARGUMENTS_BAD, unwrap_as(session, &kw, under, wrapped, size, NULL));
    GIVES(CKR_SESSION_READ_ONLY, unwrap_as(open_session(0), &kw, under, wrapped, size, &back));
    GIVES(CKR_TEMPLATE_INCOMPLETE, C_UnwrapKey(session, &kw, under, wrapped, size, NULL, 0, &back));
    OK(unwrap_as(session, &kw, under, wrapped, size, &back));
    fixture_stop();
}
END_TEST

START_TEST(what_somebody_else_destroyed_is_told_apart)
{
    CK_BYTE wrapped[64];
    CK_ULONG size = sizeof wrapped;
    CK_OBJECT_HANDLE under, key;

    fixture_log_in();
    under = make_aes(CK_TRUE, CK_FALSE);
    key = make_aes(CK_FALSE, CK_TRUE);
    pocket_destroy_all();
    GIVES(CKR_WRAPPING_KEY_HANDLE_INVALID, C_WrapKey(session, &kw, under, key, wrapped, &size));
    under = make_aes(CK_TRUE, CK_FALSE);
    GIVES(CKR_KEY_HANDLE_INVALID, C_WrapKey(session, &kw, under, key, wrapped, &size));
    key = make_aes(CK_FALSE, CK_TRUE);
    OK(C_WrapKey(session, &kw, under, key, wrapped, &size));
    fixture_stop();
}
END_TEST

START_TEST(trust_and_private_keys_are_respected)
{
    CK_BYTE params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_KEY_TYPE ec = CKK_EC;
    CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, params, sizeof params}, {CKA_VERIFY, &yes, 1}};
    CK_ATTRIBUTE private[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_SIGN, &yes, 1}};
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &private_class, sizeof private_class},
                           {CKA_KEY_TYPE, &ec, sizeof ec},
                           {CKA_SIGN, &yes, 1}};
    CK_ATTRIBUTE trusting = {CKA_WRAP_WITH_TRUSTED, &yes, 1};
    CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0};
    CK_BYTE wrapped[512], signature[64];
    CK_ULONG size = sizeof wrapped, signature_size = 64;
    CK_OBJECT_HANDLE under, key, back = 0;
    struct key_pair pair = {0, 0};

    fixture_log_in();
    under = make_aes(CK_TRUE, CK_FALSE);
    OK(C_GenerateKeyPair(session, &generate, public, 2, private, 2, &pair.public, &pair.private));
    OK(C_WrapKey(session, &kwp, under, pair.private, wrapped, &size));
    OK(C_UnwrapKey(session, &kwp, under, wrapped, size, list, 3, &back));
    OK(C_SignInit(session, &ecdsa, back));
    OK(C_Sign(session, params, 10, signature, &signature_size));
    OK(C_VerifyInit(session, &ecdsa, pair.public));
    OK(C_Verify(session, params, 10, signature, signature_size));
    /* What is in there is no AES key. */
    GIVES(CKR_WRAPPED_KEY_INVALID, unwrap_as(session, &kwp, under, wrapped, size, &back));
    key = make_aes(CK_FALSE, CK_TRUE);
    OK(C_SetAttributeValue(session, key, &trusting, 1));
    GIVES(CKR_KEY_NOT_WRAPPABLE, C_WrapKey(session, &kw, under, key, wrapped, &size));
    fixture_stop();
}
END_TEST

START_TEST(rsa_wraps_in_the_cluster)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_RSA_AES_KEY_WRAP_PARAMS aes_wrap = {256, &oaep};
    CK_MECHANISM mechanisms[] = {{CKM_RSA_PKCS, NULL, 0},
                                 {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep},
                                 {CKM_RSA_AES_KEY_WRAP, &aes_wrap, sizeof aes_wrap}};
    CK_MECHANISM generate = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ULONG bits = 2048;
    CK_ATTRIBUTE public[] = {{CKA_MODULUS_BITS, &bits, sizeof bits}, {CKA_WRAP, &yes, 1}};
    CK_ATTRIBUTE private[] = {{CKA_UNWRAP, &yes, 1}};
    CK_BYTE wrapped[512], before[16], after[16];
    struct key_pair pair = {0, 0};
    CK_OBJECT_HANDLE key, back = 0;

    fixture_log_in();
    OK(C_GenerateKeyPair(session, &generate, public, 2, private, 1, &pair.public, &pair.private));
    key = make_aes(CK_FALSE, CK_TRUE);
    seal_block(key, before);
    for (unsigned i = 0; i < 3; i++) {
        CK_ULONG size = sizeof wrapped;

        OK(C_WrapKey(session, &mechanisms[i], pair.public, key, wrapped, &size));
        ck_assert_uint_ge(size, 256);
        OK(unwrap_as(session, &mechanisms[i], pair.private, wrapped, size, &back));
        seal_block(back, after);
        ck_assert_mem_eq(before, after, 16);
        GIVES(CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
              C_WrapKey(session, &mechanisms[i], pair.private, key, wrapped, &size));
    }
    aes_wrap.ulAESKeyBits = 100;
    GIVES(CKR_MECHANISM_PARAM_INVALID,
          C_WrapKey(session, &mechanisms[2], pair.public, key, wrapped, &bits));
    aes_wrap = (CK_RSA_AES_KEY_WRAP_PARAMS){128, NULL};
    GIVES(CKR_MECHANISM_PARAM_INVALID,
          C_WrapKey(session, &mechanisms[2], pair.public, key, wrapped, &bits));
    fixture_stop();
}
END_TEST

START_TEST(ivs_of_key_wrap_have_their_size)
{
    CK_BYTE iv[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    CK_MECHANISM with = {CKM_AES_KEY_WRAP, iv, 8};
    CK_BYTE wrapped[64];
    CK_ULONG size = sizeof wrapped;
    CK_OBJECT_HANDLE under, key, back = 0;

    fixture_log_in();
    under = make_aes(CK_TRUE, CK_FALSE);
    key = make_aes(CK_FALSE, CK_TRUE);
    OK(C_WrapKey(session, &with, under, key, wrapped, &size));
    OK(unwrap_as(session, &with, under, wrapped, size, &back));
    GIVES(CKR_WRAPPED_KEY_INVALID, unwrap_as(session, &kw, under, wrapped, size, &back));
    with.ulParameterLen = 7;
    GIVES(CKR_MECHANISM_PARAM_INVALID, C_WrapKey(session, &with, under, key, wrapped, &size));
    with.mechanism = CKM_AES_KEY_WRAP_KWP;
    with.ulParameterLen = 8;
    GIVES(CKR_MECHANISM_PARAM_INVALID, C_WrapKey(session, &with, under, key, wrapped, &size));
    fixture_stop();
}
END_TEST

/* ---- C_DeriveKey ---- */

struct side {
    struct key_pair pair;
    CK_BYTE point[67]; /* an OCTET STRING */
};

static struct side make_side(void)
{
    CK_BYTE params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, params, sizeof params}};
    CK_ATTRIBUTE private[] = {{CKA_DERIVE, &yes, 1}};
    struct side side;
    CK_ATTRIBUTE point = {CKA_EC_POINT, side.point, sizeof side.point};

    OK(C_GenerateKeyPair(session, &generate, public, 1, private, 1, &side.pair.public,
                         &side.pair.private));
    OK(C_GetAttributeValue(session, side.pair.public, &point, 1));
    ck_assert_uint_eq(point.ulValueLen, sizeof side.point);
    return side;
}

/* A secret that may be read; of @size bytes, if that is not 0. */
static CK_RV derive(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ULONG size,
                    CK_OBJECT_HANDLE *ret_key)
{
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &secret_class, sizeof secret_class},
                           {CKA_KEY_TYPE, &generic, sizeof generic},
                           {CKA_SENSITIVE, &no, 1},
                           {CKA_EXTRACTABLE, &yes, 1},
                           {CKA_DERIVE, &yes, 1},
                           {CKA_VALUE_LEN, &size, sizeof size}};

    return C_DeriveKey(session, mechanism, base, list, size > 0 ? 6 : 5, ret_key);
}

static CK_ULONG value_of(CK_OBJECT_HANDLE key, CK_BYTE value[64])
{
    CK_ATTRIBUTE attribute = {CKA_VALUE, value, 64};

    OK(C_GetAttributeValue(session, key, &attribute, 1));
    return attribute.ulValueLen;
}

START_TEST(both_sides_derive_the_same)
{
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, 65, NULL};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh};
    CK_BYTE one[64], other[64], shared[] = "info";
    CK_OBJECT_HANDLE key = 0;
    struct side a, b;

    fixture_log_in();
    a = make_side();
    b = make_side();
    ecdh.pPublicData = b.point + 2;
    OK(derive(&mechanism, a.pair.private, 0, &key));
    ck_assert_uint_eq(value_of(key, one), 32);
    ecdh.pPublicData = a.point;
    ecdh.ulPublicDataLen = sizeof a.point;
    OK(derive(&mechanism, b.pair.private, 32, &key));
    ck_assert_uint_eq(value_of(key, other), 32);
    ck_assert_mem_eq(one, other, 32);
    GIVES(CKR_KEY_SIZE_RANGE, derive(&mechanism, b.pair.private, 33, &key));
    ecdh.kdf = CKD_SHA256_KDF;
    ecdh.pSharedData = shared;
    ecdh.ulSharedDataLen = 4;
    OK(derive(&mechanism, b.pair.private, 48, &key));
    ck_assert_uint_eq(value_of(key, other), 48);
    ck_assert_mem_ne(one, other, 32);
    GIVES(CKR_TEMPLATE_INCOMPLETE, derive(&mechanism, b.pair.private, 0, &key));
    ecdh.kdf = CKD_SHA256_KDF_SP800;
    ecdh.pSharedData = NULL;
    ecdh.ulSharedDataLen = 0;
    OK(derive(&mechanism, b.pair.private, 48, &key));
    value_of(key, one);
    ck_assert_mem_ne(one, other, 48);
    fixture_stop();
}
END_TEST

START_TEST(what_is_wrong_with_a_derivation_is_said)
{
    CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_NULL, 0, NULL, 65, NULL};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh};
    CK_ATTRIBUTE list[] = {{CKA_TOKEN, &yes, 1},
                           {CKA_CLASS, &secret_class, sizeof secret_class},
                           {CKA_KEY_TYPE, &generic, sizeof generic}};
    CK_BYTE shared[] = "x";
    CK_OBJECT_HANDLE key = 0;
    struct key_pair idle;
    struct side a, b;

    fixture_log_in();
    a = make_side();
    b = make_side();
    idle = make_ec(CK_TRUE, "x");
    ecdh.pPublicData = b.point + 2;
    GIVES(CKR_KEY_HANDLE_INVALID, derive(&mechanism, 0, 0, &key));
    GIVES(CKR_KEY_TYPE_INCONSISTENT, derive(&mechanism, make_aes(CK_TRUE, CK_TRUE), 0, &key));
    GIVES(CKR_KEY_TYPE_INCONSISTENT, derive(&mechanism, a.pair.public, 0, &key));
    GIVES(CKR_KEY_FUNCTION_NOT_PERMITTED, derive(&mechanism, idle.private, 0, &key));
    GIVES(CKR_ARGUMENTS_BAD, derive(&mechanism, a.pair.private, 0, NULL));
    GIVES(CKR_SESSION_READ_ONLY,
          C_DeriveKey(open_session(0), &mechanism, a.pair.private, list, 3, &key));
    b.point[5] ^= 1;
    GIVES(CKR_PUBLIC_KEY_INVALID, derive(&mechanism, a.pair.private, 0, &key));
    ecdh.ulPublicDataLen = 10;
    GIVES(CKR_PUBLIC_KEY_INVALID, derive(&mechanism, a.pair.private, 0, &key));
    ecdh.ulPublicDataLen = 0;
    GIVES(CKR_MECHANISM_PARAM_INVALID, derive(&mechanism, a.pair.private, 0, &key));
    ecdh.ulPublicDataLen = 65;
    ecdh.kdf = 99;
    GIVES(CKR_MECHANISM_PARAM_INVALID, derive(&mechanism, a.pair.private, 0, &key));
    ecdh.kdf = CKD_NULL;
    ecdh.pSharedData = shared;
    ecdh.ulSharedDataLen = 1;
    GIVES(CKR_MECHANISM_PARAM_INVALID, derive(&mechanism, a.pair.private, 0, &key));
    mechanism.ulParameterLen--;
    GIVES(CKR_MECHANISM_PARAM_INVALID, derive(&mechanism, a.pair.private, 0, &key));
    mechanism.mechanism = CKM_SHA256;
    GIVES(CKR_MECHANISM_INVALID, derive(&mechanism, a.pair.private, 0, &key));
    fixture_stop();
}
END_TEST

static CK_OBJECT_HANDLE import_secret(CK_BYTE *value, CK_ULONG size)
{
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &secret_class, sizeof secret_class},
                           {CKA_KEY_TYPE, &generic, sizeof generic},
                           {CKA_DERIVE, &yes, 1},
                           {CKA_VALUE, value, size}};
    CK_OBJECT_HANDLE key = 0;

    OK(C_CreateObject(session, list, 4, &key));
    return key;
}

/* RFC 5869, A.1: salt as data and as a key. */
START_TEST(hkdf_takes_its_salt_as_data_as_a_key_or_not_at_all)
{
    static const CK_BYTE wanted[] = {
        0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36,
        0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56,
        0xec, 0xc4, 0xc5, 0xbf, 0x34, 0x00, 0x72, 0x08, 0xd5, 0xb8, 0x87, 0x18, 0x58, 0x65};
    CK_BYTE ikm[22], salt[13], info[10], value[64];
    CK_HKDF_PARAMS hkdf = {CK_TRUE,     CK_TRUE, CKM_SHA256, CKF_HKDF_SALT_DATA, salt,
                           sizeof salt, 0,       info,       sizeof info};
    CK_MECHANISM mechanism = {CKM_HKDF_DERIVE, &hkdf, sizeof hkdf};
    CK_OBJECT_HANDLE base, key = 0;

    memset(ikm, 0x0b, sizeof ikm);
    for (unsigned i = 0; i < sizeof salt; i++) {
        salt[i] = (CK_BYTE)i;
    }
    for (unsigned i = 0; i < sizeof info; i++) {
        info[i] = (CK_BYTE)(0xf0 + i);
    }
    fixture_log_in();
    base = import_secret(ikm, sizeof ikm);
    OK(derive(&mechanism, base, sizeof wanted, &key));
    ck_assert_uint_eq(value_of(key, value), sizeof wanted);
    ck_assert_mem_eq(value, wanted, sizeof wanted);
    hkdf.ulSaltType = CKF_HKDF_SALT_KEY;
    GIVES(CKR_KEY_HANDLE_INVALID, derive(&mechanism, base, sizeof wanted, &key));
    hkdf.hSaltKey = import_secret(salt, sizeof salt);
    OK(derive(&mechanism, base, sizeof wanted, &key));
    ck_assert_uint_eq(value_of(key, value), sizeof wanted);
    ck_assert_mem_eq(value, wanted, sizeof wanted);
    hkdf.ulSaltType = CKF_HKDF_SALT_NULL;
    OK(derive(&mechanism, base, sizeof wanted, &key));
    ck_assert_uint_eq(value_of(key, value), sizeof wanted);
    ck_assert_mem_ne(value, wanted, sizeof wanted);
    hkdf.ulSaltType = 99;
    GIVES(CKR_MECHANISM_PARAM_INVALID, derive(&mechanism, base, 16, &key));
    hkdf.ulSaltType = CKF_HKDF_SALT_NULL;
    hkdf.bExtract = hkdf.bExpand = CK_FALSE;
    GIVES(CKR_MECHANISM_PARAM_INVALID, derive(&mechanism, base, 16, &key));
    hkdf.bExtract = CK_TRUE;
    hkdf.prfHashMechanism = CKM_AES_GCM;
    GIVES(CKR_MECHANISM_PARAM_INVALID, derive(&mechanism, base, 16, &key));
    fixture_stop();
}
END_TEST

/* CKA_TOKEN of the new key: who has a session that cannot write learns it before anything is done.
 */
START_TEST(a_template_of_a_key_makes_token_objects)
{
    CK_ATTRIBUTE inner[] = {{CKA_TOKEN, &yes, 1}, {CKA_CLASS, &secret_class, sizeof secret_class}};
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_ULONG size = 32, wrapped_size = 64;
    CK_ATTRIBUTE list[] = {{CKA_VALUE_LEN, &size, sizeof size},
                           {CKA_WRAP, &yes, 1},
                           {CKA_UNWRAP, &yes, 1},
                           {CKA_UNWRAP_TEMPLATE, inner, sizeof inner}};
    CK_ATTRIBUTE wanted[] = {{CKA_KEY_TYPE, &aes, sizeof aes}, {CKA_TOKEN, &no, 1}};
    CK_OBJECT_HANDLE under = 0, key, back = 0;
    CK_BYTE wrapped[64];
    unsigned count;

    fixture_log_in();
    OK(C_GenerateKey(session, &mechanism, list, 4, &under));
    key = make_aes(CK_FALSE, CK_TRUE);
    OK(C_WrapKey(session, &kw, under, key, wrapped, &wrapped_size));
    count = pocket_object_count();
    GIVES(CKR_SESSION_READ_ONLY,
          C_UnwrapKey(open_session(0), &kw, under, wrapped, wrapped_size, wanted, 1, &back));
    GIVES(CKR_TEMPLATE_INCONSISTENT,
          C_UnwrapKey(session, &kw, under, wrapped, wrapped_size, wanted, 2, &back));
    ck_assert_uint_eq(pocket_object_count(), count);
    OK(C_UnwrapKey(session, &kw, under, wrapped, wrapped_size, wanted, 1, &back));
    ck_assert_uint_eq(pocket_object_count(), count + 1);
    fixture_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pkcs11_underkey");
    TCase *tcase = tcase_create("underkey");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_key_goes_out_and_comes_back);
    tcase_add_test(tcase, each_key_is_called_by_its_name_when_it_is_wrong);
    tcase_add_test(tcase, what_somebody_else_destroyed_is_told_apart);
    tcase_add_test(tcase, trust_and_private_keys_are_respected);
    tcase_add_test(tcase, rsa_wraps_in_the_cluster);
    tcase_add_test(tcase, ivs_of_key_wrap_have_their_size);
    tcase_add_test(tcase, both_sides_derive_the_same);
    tcase_add_test(tcase, what_is_wrong_with_a_derivation_is_said);
    tcase_add_test(tcase, hkdf_takes_its_salt_as_data_as_a_key_or_not_at_all);
    tcase_add_test(tcase, a_template_of_a_key_makes_token_objects);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
