/* The PKCS#11 module on a cluster inside the test program (pocket_cluster.h). For programs of one
 * source file. Each case runs in a process of its own, and so starts afresh. */
#ifndef QH_TESTS_UNIT_PKCS11_FIXTURE_H
#define QH_TESTS_UNIT_PKCS11_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cryptoki.h"
#include "tests/lib/test.h"
#include "tests/unit/pocket_cluster.h"

#define OK(call) ck_assert_uint_eq((call), CKR_OK)
#define GIVES(rv, call) ck_assert_uint_eq((call), (rv))

static char fixture_dir[256];
static CK_SLOT_ID fixture_slot;
static CK_SESSION_HANDLE session;        /* RW, logged in */
static unsigned fixture_search_cache_ms; /* 0, if the test does not say otherwise */

static inline void fixture_configure(const char *hardware)
{
    char path[300];
    FILE *file;

    test_make_dir(fixture_dir, sizeof fixture_dir);
    (void)snprintf(path, sizeof path, "%s/client.yaml", fixture_dir);
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(fprintf(file,
                             "endpoints:\n  - 127.0.0.1:7600\nca: ca.crt\ncertificate: c.crt\n"
                             "key: c.key\npkcs11:\n  hardware: %s\n  search_cache_ms: %u\n",
                             hardware, fixture_search_cache_ms),
                     0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(setenv("QUADHSM_CONFIG", path, 1), 0);
}

static inline CK_SESSION_HANDLE open_session(CK_FLAGS flags)
{
    CK_SESSION_HANDLE handle = 0;

    OK(C_OpenSession(fixture_slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &handle));
    ck_assert_uint_ne(handle, 0);
    return handle;
}

static inline CK_RV log_in(CK_SESSION_HANDLE handle, CK_USER_TYPE user, const char *pin)
{
    CK_UTF8CHAR copy[64];

    memcpy(copy, pin, strlen(pin));
    return C_Login(handle, user, copy, strlen(pin));
}

static inline void fixture_start(void)
{
    CK_ULONG count = 1;

    fixture_configure("false");
    OK(C_Initialize(NULL));
    OK(C_GetSlotList(CK_TRUE, &fixture_slot, &count));
}

static inline void fixture_log_in(void)
{
    fixture_start();
    session = open_session(CKF_RW_SESSION);
    OK(log_in(session, CKU_USER, POCKET_CO_PIN));
}

static inline void fixture_stop(void)
{
    CK_RV rv = C_Finalize(NULL);

    ck_assert(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    ck_assert_uint_eq(pocket_handles_open(), 0);
    test_remove_dir(fixture_dir);
}

/* ---- keys ---- */

static CK_BBOOL yes = CK_TRUE;

struct key_pair {
    CK_OBJECT_HANDLE public, private;
};

/* P-256, which is quick to make. */
static inline struct key_pair make_ec(CK_BBOOL token, const char *label)
{
    CK_BYTE params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_BYTE name[32];
    CK_ATTRIBUTE public[] = {{CKA_EC_PARAMS, params, sizeof params},
                             {CKA_TOKEN, &token, 1},
                             {CKA_LABEL, name, strlen(label)},
                             {CKA_VERIFY, &yes, 1}};
    CK_ATTRIBUTE private[] = {{CKA_TOKEN, &token, 1},
                              {CKA_PRIVATE, &yes, 1},
                              {CKA_LABEL, name, strlen(label)},
                              {CKA_SIGN, &yes, 1}};
    struct key_pair pair = {0, 0};

    memcpy(name, label, strlen(label));
    OK(C_GenerateKeyPair(session, &mechanism, public, 4, private, 4, &pair.public, &pair.private));
    return pair;
}

/* With @extra for the private key. */
static inline struct key_pair make_rsa_with(CK_ATTRIBUTE extra)
{
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ULONG bits = 2048;
    CK_ATTRIBUTE public[] = {{CKA_MODULUS_BITS, &bits, sizeof bits},
                             {CKA_TOKEN, &yes, 1},
                             {CKA_VERIFY, &yes, 1},
                             {CKA_ENCRYPT, &yes, 1}};
    CK_ATTRIBUTE private[] = {{CKA_TOKEN, &yes, 1},
                              {CKA_PRIVATE, &yes, 1},
                              {CKA_SIGN, &yes, 1},
                              {CKA_DECRYPT, &yes, 1},
                              extra};
    struct key_pair pair = {0, 0};

    OK(C_GenerateKeyPair(session, &mechanism, public, 4, private, 5, &pair.public, &pair.private));
    return pair;
}

static inline struct key_pair make_rsa(void)
{
    return make_rsa_with((CK_ATTRIBUTE){CKA_SENSITIVE, &yes, 1});
}

static inline CK_OBJECT_HANDLE make_secret(CK_MECHANISM_TYPE type, CK_ULONG size)
{
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ATTRIBUTE list[] = {{CKA_VALUE_LEN, &size, sizeof size},
                           {CKA_TOKEN, &yes, 1},
                           {CKA_ENCRYPT, &yes, 1},
                           {CKA_DECRYPT, &yes, 1},
                           {CKA_SIGN, &yes, 1},
                           {CKA_VERIFY, &yes, 1}};
    CK_OBJECT_HANDLE key = 0;

    OK(C_GenerateKey(session, &mechanism, list, 6, &key));
    return key;
}

#endif
