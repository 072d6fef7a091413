/* Loading a module, keys and signatures. */
#include "tests/drill/p11.h"

#include <dlfcn.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "tests/drill/p11_public.h"

#define SLOTS_MAX 64u
#define LABEL_SIZE 32u
#define RSA_BITS 2048u

static const struct {
    CK_RV rv;
    const char *name;
} error_names[] = {
    {CKR_OK, "CKR_OK"},
    {CKR_HOST_MEMORY, "CKR_HOST_MEMORY"},
    {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR"},
    {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED"},
    {CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD"},
    {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"},
    {CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY"},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED"},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID"},
    {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID"},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID"},
    {CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED"},
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT"},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED"},
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID"},
    {CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT"},
    {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"},
    {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN"},
    {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED"},
};

const char *p11_error(CK_RV rv, char room[24])
{
    for (size_t i = 0; i < sizeof error_names / sizeof *error_names; i++) {
        if (error_names[i].rv == rv) {
            return error_names[i].name;
        }
    }
    (void)snprintf(room, 24, "CKR 0x%lx", rv);
    return room;
}

static bool passed(CK_RV rv, const char *what)
{
    char room[24];

    if (rv != CKR_OK) {
        (void)fprintf(stderr, "PKCS#11: %s: %s\n", what, p11_error(rv, room));
    }
    return rv == CKR_OK;
}

/* ---- Module, token, login. */

/* ISO C has no cast from an object pointer to a function pointer; dlsym() needs one. */
static bool find_functions(struct p11 *p11)
{
    void *symbol = dlsym(p11->shared, "C_GetFunctionList");
    CK_C_GetFunctionList get_list;

    if (symbol == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return false;
    }
    memcpy(&get_list, &symbol, sizeof get_list);
    return passed(get_list(&p11->functions), "C_GetFunctionList");
}

static bool find_token(struct p11 *p11, const char *label)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    size_t length = label == NULL ? 0 : strlen(label);

    if (!passed(p11->functions->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList")) {
        return false;
    }
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        size_t used = LABEL_SIZE;

        if (p11->functions->C_GetTokenInfo(slots[i], &info) != CKR_OK) {
            continue;
        }
        while (used > 0 && info.label[used - 1] == ' ') {
            used--;
        }
        if (label == NULL || (used == length && memcmp(info.label, label, length) == 0)) {
            p11->slot = slots[i];
            return true;
        }
    }
    (void)fprintf(stderr, "PKCS#11: %s: no such token among %lu slots\n",
                  label == NULL ? "(any)" : label, count);
    return false;
}

static bool log_in(struct p11 *p11, const char *pin)
{
    CK_UTF8CHAR text[256];
    size_t length = strlen(pin);
    CK_RV rv;

    if (length >= sizeof text || !passed(p11_session(p11, &p11->session), "C_OpenSession")) {
        return false;
    }
    memcpy(text, pin, length);
    rv = p11->functions->C_Login(p11->session, CKU_USER, text, length);
    OPENSSL_cleanse(text, sizeof text);
    return passed(rv, "C_Login");
}

bool p11_open(struct p11 *p11, const char *module, const char *label, const char *pin)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

    *p11 = (struct p11){.shared = dlopen(module, RTLD_NOW | RTLD_LOCAL)};
    if (p11->shared == NULL) {
        (void)fprintf(stderr, "%s\n", dlerror());
        return false;
    }
    if (!find_functions(p11)) {
        (void)dlclose(p11->shared);
        return false;
    }
    if (!passed(p11->functions->C_Initialize(&args), "C_Initialize")) {
        (void)dlclose(p11->shared);
        return false;
    }
    if (!find_token(p11, label) || !log_in(p11, pin)) {
        p11_close(p11);
        return false;
    }
    return true;
}

void p11_close(struct p11 *p11)
{
    (void)p11->functions->C_Finalize(NULL);
    (void)dlclose(p11->shared);
    p11->shared = NULL;
}

CK_RV p11_session(struct p11 *p11, CK_SESSION_HANDLE *ret_session)
{
    return p11->functions->C_OpenSession(p11->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                         ret_session);
}

/* ---- Keys. */

CK_RV p11_generate(struct p11 *p11, CK_SESSION_HANDLE session, enum p11_kind kind,
                   const uint8_t id[P11_ID_SIZE], const char *label, CK_OBJECT_HANDLE *ret_public,
                   CK_OBJECT_HANDLE *ret_private)
{
    static CK_BBOOL yes = CK_TRUE;
    static uint8_t exponent[] = {1, 0, 1};
    static uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    static CK_ULONG bits = RSA_BITS;
    CK_MECHANISM mechanism = {kind == P11_RSA ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN,
                              NULL, 0};
    void *id_value = (void *)(uintptr_t)id, *label_value = (void *)(uintptr_t)label;
    CK_ATTRIBUTE private_template[] = {
        {CKA_TOKEN, &yes, sizeof yes},     {CKA_PRIVATE, &yes, sizeof yes},
        {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_SIGN, &yes, sizeof yes},
        {CKA_ID, id_value, P11_ID_SIZE},   {CKA_LABEL, label_value, strlen(label)},
    };
    CK_ATTRIBUTE public_template[] = {
        {CKA_TOKEN, &yes, sizeof yes},      {CKA_VERIFY, &yes, sizeof yes},
        {CKA_ID, id_value, P11_ID_SIZE},    {CKA_LABEL, label_value, strlen(label)},
        {CKA_EC_PARAMS, p256, sizeof p256}, {0, NULL, 0},
    };
    CK_ULONG public_count = 5;

    if (kind == P11_RSA) {
        public_template[4] = (CK_ATTRIBUTE){CKA_MODULUS_BITS, &bits, sizeof bits};
        public_template[5] = (CK_ATTRIBUTE){CKA_PUBLIC_EXPONENT, exponent, sizeof exponent};
        public_count = 6;
    }
    return p11->functions->C_GenerateKeyPair(
        session, &mechanism, public_template, public_count, private_template,
        sizeof private_template / sizeof *private_template, ret_public, ret_private);
}

static CK_RV find(struct p11 *p11, CK_ATTRIBUTE *template, CK_ULONG template_count,
                  CK_OBJECT_HANDLE *ret_handles, CK_ULONG room, CK_ULONG *ret_count)
{
    CK_RV rv = p11->functions->C_FindObjectsInit(p11->session, template, template_count);

    if (rv != CKR_OK) {
        return rv;
    }
    rv = p11->functions->C_FindObjects(p11->session, ret_handles, room, ret_count);
    (void)p11->functions->C_FindObjectsFinal(p11->session);
    return rv;
}

static CK_RV find_label(struct p11 *p11, CK_OBJECT_CLASS object_class, const char *label,
                        CK_OBJECT_HANDLE *ret_handle, CK_ULONG *ret_count)
{
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &object_class, sizeof object_class},
        {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
    };

    return find(p11, template, 2, ret_handle, 1, ret_count);
}

bool p11_take_key(struct p11 *p11, enum p11_kind kind, const char *label, struct p11_key *ret_key)
{
    struct p11_key key = {.kind = kind};
    CK_OBJECT_HANDLE public_handle = CK_INVALID_HANDLE;
    CK_ULONG private_count = 0, public_count = 0;
    uint8_t id[P11_ID_SIZE];

    if (!passed(find_label(p11, CKO_PRIVATE_KEY, label, &key.private_key, &private_count),
                "finding a private key") ||
        !passed(find_label(p11, CKO_PUBLIC_KEY, label, &public_handle, &public_count),
                "finding a public key")) {
        return false;
    }
    if (private_count == 0 || public_count == 0) {
        if (RAND_bytes(id, sizeof id) != 1 ||
            !passed(
                p11_generate(p11, p11->session, kind, id, label, &public_handle, &key.private_key),
                "C_GenerateKeyPair")) {
            return false;
        }
    }
    key.public_key = p11_public_read(p11, kind, public_handle);
    if (key.public_key == NULL) {
        (void)fprintf(stderr, "PKCS#11: %s: OpenSSL cannot read the public key\n", label);
        return false;
    }
    *ret_key = key;
    return true;
}

void p11_key_close(struct p11_key *key)
{
    EVP_PKEY_free(key->public_key);
    key->public_key = NULL;
}

CK_RV p11_count(struct p11 *p11, CK_OBJECT_CLASS object_class, const uint8_t id[P11_ID_SIZE],
                unsigned *ret_count)
{
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &object_class, sizeof object_class},
        {CKA_ID, (void *)(uintptr_t)id, P11_ID_SIZE},
    };
    CK_OBJECT_HANDLE handles[4];
    CK_ULONG count = 0;
    CK_RV rv = find(p11, template, 2, handles, 4, &count);

    if (rv == CKR_OK) {
        *ret_count = (unsigned)count;
    }
    return rv;
}

/* ---- Signatures. RSA signs the message, EC its hash: the one mechanism of ECDSA that every module
 * has. */

CK_RV p11_sign(struct p11 *p11, CK_SESSION_HANDLE session, const struct p11_key *key,
               const uint8_t message[P11_MESSAGE_SIZE], uint8_t *ret_signature, size_t *ret_size)
{
    CK_MECHANISM mechanism = {key->kind == P11_RSA ? CKM_SHA256_RSA_PKCS : CKM_ECDSA, NULL, 0};
    CK_ULONG size = P11_SIGNATURE_SIZE_MAX;
    uint8_t data[SHA256_DIGEST_LENGTH];
    CK_RV rv;

    _Static_assert(SHA256_DIGEST_LENGTH == P11_MESSAGE_SIZE, "one room for both");
    if (key->kind == P11_RSA) {
        memcpy(data, message, sizeof data);
    } else {
        (void)SHA256(message, P11_MESSAGE_SIZE, data);
    }
    rv = p11->functions->C_SignInit(session, &mechanism, key->private_key);
    if (rv != CKR_OK) {
        return rv;
    }
    rv = p11->functions->C_Sign(session, data, sizeof data, ret_signature, &size);
    if (rv == CKR_OK) {
        *ret_size = size;
    }
    return rv;
}

bool p11_verify(const struct p11_key *key, const uint8_t message[P11_MESSAGE_SIZE],
                const uint8_t *signature, size_t size)
{
    uint8_t der[P11_SIGNATURE_SIZE_MAX];
    EVP_MD_CTX *context;
    bool good;

    if (key->kind == P11_EC) {
        size = p11_public_signature(signature, size, der, sizeof der);
        signature = der;
        if (size == 0) {
            return false;
        }
    }
    context = EVP_MD_CTX_new();
    good = context != NULL &&
           EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->public_key) == 1 &&
           EVP_DigestVerify(context, signature, size, message, P11_MESSAGE_SIZE) == 1;
    EVP_MD_CTX_free(context);
    return good;
}
