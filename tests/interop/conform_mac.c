/* MACs and digests, beside OpenSSL's. */
#include "tests/interop/conform.h"

#include <string.h>

#include <openssl/rand.h>

static const struct {
    CK_MECHANISM_TYPE type, hash;
    CK_KEY_TYPE own_type; /* beside generic secrets */
} macs[] = {
    {CKM_SHA_1_HMAC, CKM_SHA_1, CKK_SHA_1_HMAC},    {CKM_SHA224_HMAC, CKM_SHA224, CKK_SHA224_HMAC},
    {CKM_SHA256_HMAC, CKM_SHA256, CKK_SHA256_HMAC}, {CKM_SHA384_HMAC, CKM_SHA384, CKK_SHA384_HMAC},
    {CKM_SHA512_HMAC, CKM_SHA512, CKK_SHA512_HMAC}, {CKM_AES_CMAC, 0, CKK_AES},
};

static void mac_with(CK_MECHANISM_TYPE type, const char *name, const char *inner,
                     CK_KEY_TYPE key_type, size_t key_size)
{
    uint8_t key[BUFFER_SIZE], data[1000], wanted[EVP_MAX_MD_SIZE], made[BUFFER_SIZE];
    struct signing signing = {.mechanism = usual_mechanism(type), .data = data, .parts = true};
    CK_OBJECT_HANDLE handle;

    about("mechanism 0x%lx, a key of %zu bytes", type, key_size);
    must(RAND_bytes(key, (int)key_size) == 1 && RAND_bytes(data, sizeof data) == 1, "bytes");
    handle = secret_import(key_type, key, key_size);
    signing.sign_key = handle;
    signing.verify_key = handle;
    for (unsigned turn = 0; turn < 3; turn++) {
        static const size_t sizes[] = {1000, 16, 33};

        signing.data_size = sizes[turn];
        must(EVP_Q_mac(NULL, name, NULL, inner, NULL, key, key_size, data, sizes[turn], wanted,
                       sizeof wanted, &signing.signature_size) != NULL,
             "OpenSSL's MAC");
        for (unsigned way = 0; way < SIGN_WAYS; way++) {
            size_t size = token_sign(&signing, way, made);

            expect_same(made, size, wanted, signing.signature_size, "OpenSSL has the same MAC");
        }
        token_verify(&signing, made);
    }
    destroy(handle);
}

static const char *cmac_cipher(size_t size)
{
    return size == 16 ? "AES-128-CBC" : size == 24 ? "AES-192-CBC" : "AES-256-CBC";
}

CK_FLAGS exercise_mac(CK_MECHANISM_TYPE type, const CK_MECHANISM_INFO *info)
{
    for (unsigned i = 0; i < sizeof macs / sizeof macs[0]; i++) {
        if (macs[i].type != type) {
            continue;
        }
        if (macs[i].hash == 0) {
            for (size_t size = info->ulMinKeySize; size <= info->ulMaxKeySize; size += 8) {
                mac_with(type, "CMAC", cmac_cipher(size), CKK_AES, size);
            }
            return SIGNING_FLAGS;
        }
        mac_with(type, "HMAC", digest_name(macs[i].hash), CKK_GENERIC_SECRET,
                 info->ulMinKeySize / 8);
        mac_with(type, "HMAC", digest_name(macs[i].hash), CKK_GENERIC_SECRET,
                 info->ulMaxKeySize / 8);
        mac_with(type, "HMAC", digest_name(macs[i].hash), macs[i].own_type, 32);
        return SIGNING_FLAGS;
    }
    return 0;
}

/* ---- digests ---- */

static void digest_key(CK_MECHANISM *mechanism, const uint8_t *key, size_t key_size)
{
    uint8_t value[64], made[BUFFER_SIZE], wanted[EVP_MAX_MD_SIZE];
    size_t wanted_size = 0;
    CK_OBJECT_HANDLE handle;
    CK_ULONG size = sizeof made;

    memcpy(value, key, key_size);
    handle = secret_import(CKK_GENERIC_SECRET, value, key_size);
    expect_rv(P11->C_DigestInit(conform.session, mechanism), CKR_OK, "C_DigestInit");
    expect_either(P11->C_DigestKey(conform.session, handle), CKR_OK, CKR_KEY_INDIGESTIBLE,
                  "C_DigestKey");
    if (P11->C_DigestFinal(conform.session, made, &size) == CKR_OK) {
        must(EVP_Q_digest(NULL, digest_name(mechanism->mechanism), NULL, key, key_size, wanted,
                          &wanted_size) == 1,
             "OpenSSL's digest");
        expect_same(made, size, wanted, wanted_size, "a key is digested");
    }
    destroy(handle);
}

/* Saved in the middle, and gone on with twice. */
static void save_state(CK_MECHANISM *mechanism, uint8_t *data, const uint8_t *wanted, size_t size)
{
    uint8_t state[BUFFER_SIZE], made[BUFFER_SIZE];
    CK_ULONG state_size = sizeof state, made_size = sizeof made;
    CK_SESSION_HANDLE session = conform.session;

    expect_rv(P11->C_DigestInit(session, mechanism), CKR_OK, "C_DigestInit");
    expect_rv(P11->C_DigestUpdate(session, data, 100), CKR_OK, "C_DigestUpdate");
    expect_rv(P11->C_GetOperationState(session, state, &state_size), CKR_OK, "a state is saved");
    expect_rv(P11->C_DigestFinal(session, made, &made_size), CKR_OK, "C_DigestFinal");
    expect_rv(P11->C_SetOperationState(session, state, state_size, 0, 0), CKR_OK,
              "a state is restored");
    expect_rv(P11->C_DigestUpdate(session, data + 100, 900), CKR_OK, "C_DigestUpdate");
    made_size = sizeof made;
    expect_rv(P11->C_DigestFinal(session, made, &made_size), CKR_OK, "C_DigestFinal");
    expect_same(made, made_size, wanted, size, "a saved digest goes on");
}

CK_FLAGS exercise_digest(CK_MECHANISM_TYPE type)
{
    const char *name = digest_name(type);
    uint8_t data[1000], wanted[EVP_MAX_MD_SIZE], made[BUFFER_SIZE];
    size_t wanted_size = 0, size;
    CK_MECHANISM mechanism = {type, NULL, 0};

    if (name == NULL) {
        return 0;
    }
    about("digest %s", name);
    must(RAND_bytes(data, sizeof data) == 1, "random bytes");
    must(EVP_Q_digest(NULL, name, NULL, data, sizeof data, wanted, &wanted_size) == 1, name);
    expect_rv(P11->C_DigestInit(conform.session, &mechanism), CKR_OK, "C_DigestInit");
    size = one_shot("C_Digest", P11->C_Digest, data, sizeof data, made);
    expect_same(made, size, wanted, wanted_size, "OpenSSL has the same digest");
    expect_rv(P11->C_DigestInit(conform.session, &mechanism), CKR_OK, "C_DigestInit");
    feed_parts("C_Digest", P11->C_DigestUpdate, data, sizeof data);
    size = last_part("C_Digest", P11->C_DigestFinal, made);
    expect_same(made, size, wanted, wanted_size, "in parts as well");
    save_state(&mechanism, data, wanted, wanted_size);
    digest_key(&mechanism, data, 40);
    mechanism.pParameter = data;
    mechanism.ulParameterLen = 1;
    expect_rv(P11->C_DigestInit(conform.session, &mechanism), CKR_MECHANISM_PARAM_INVALID,
              "a parameter that there is not");
    return CKF_DIGEST;
}
