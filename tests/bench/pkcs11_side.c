/* The operations of a PKCS#11 module that are measured, as an application calls them: each
 * signature and each encryption is an Init and the call itself, each search Init, Objects and
 * Final. */
#include "tests/bench/pkcs11_side.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define SLOTS_MAX 64u
#define DATA_SIZE 1024u
#define TAG_SIZE 16u
#define LABEL_SIZE 32u
#define ID_SIZE 8u

static CK_BBOOL yes = CK_TRUE;
static CK_BBOOL no = CK_FALSE;
static uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
/* SHA-256's DigestInfo, before any digest. */
static uint8_t digest_info[51] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                  0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20, 0x01};

const char *side_kind_name(enum side_kind kind)
{
    static const char *const names[SIDE_KINDS] = {
        [SIDE_RSA] = "RSA-2048 sign",          [SIDE_EC] = "P-256 sign",
        [SIDE_GCM] = "AES-256-GCM 1 KiB",      [SIDE_HMAC] = "HMAC-SHA256 1 KiB",
        [SIDE_CREATE] = "P-256 pair creation", [SIDE_FIND] = "find by id",
    };

    return kind < SIDE_KINDS ? names[kind] : "";
}

static void need(const struct side *side, CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        process_die("%s: %s: 0x%08lx", side->name, what, rv);
    }
}

/* ---- beginning and end ---- */

static void find_token(struct side *side, const char *label)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;
    char padded[LABEL_SIZE];

    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strnlen(label, sizeof padded));
    need(side, side->functions->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        need(side, side->functions->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (memcmp(info.label, padded, sizeof padded) == 0) {
            side->slot = slots[i];
            return;
        }
    }
    process_die("%s: there is no token \"%s\"", side->name, label);
}

static CK_SESSION_HANDLE open_session(struct side *side)
{
    CK_SESSION_HANDLE session = 0;

    need(side,
         side->functions->C_OpenSession(side->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                        &session),
         "C_OpenSession");
    return session;
}

void side_open(struct side *side, const char *name, const char *module, const char *label,
               const char *pin)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    union {
        void *symbol;
        CK_C_GetFunctionList function;
    } entry;

    side->name = name;
    side->shared = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    if (side->shared == NULL) {
        process_die("%s", dlerror());
    }
    entry.symbol = dlsym(side->shared, "C_GetFunctionList");
    if (entry.symbol == NULL || entry.function(&side->functions) != CKR_OK) {
        process_die("%s is no PKCS#11 module", module);
    }
    need(side, side->functions->C_Initialize(&args), "C_Initialize");
    find_token(side, label);
    side->session = open_session(side);
    need(side,
         side->functions->C_Login(side->session, CKU_USER, (CK_UTF8CHAR_PTR)(uintptr_t)pin,
                                  strlen(pin)),
         "C_Login");
}

void side_close(struct side *side)
{
    need(side, side->functions->C_Finalize(NULL), "C_Finalize");
    (void)dlclose(side->shared);
}

/* ---- keys and objects ---- */

static CK_RV make_ec_pair(struct side *side, CK_SESSION_HANDLE session,
                          CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private)
{
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, &yes, sizeof yes},
                                       {CKA_PRIVATE, &yes, sizeof yes},
                                       {CKA_SENSITIVE, &yes, sizeof yes},
                                       {CKA_SIGN, &yes, sizeof yes}};
    CK_ATTRIBUTE public_template[] = {{CKA_TOKEN, &yes, sizeof yes},
                                      {CKA_VERIFY, &yes, sizeof yes},
                                      {CKA_EC_PARAMS, p256, sizeof p256}};

    return side->functions->C_GenerateKeyPair(session, &mechanism, public_template, 3,
                                              private_template, 4, ret_public, ret_private);
}

static CK_RV make_rsa_pair(struct side *side, CK_OBJECT_HANDLE *ret_private)
{
    static CK_ULONG bits = 2048;
    static uint8_t exponent[] = {1, 0, 1};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, &yes, sizeof yes},
                                       {CKA_PRIVATE, &yes, sizeof yes},
                                       {CKA_SENSITIVE, &yes, sizeof yes},
                                       {CKA_SIGN, &yes, sizeof yes}};
    CK_ATTRIBUTE public_template[] = {{CKA_TOKEN, &yes, sizeof yes},
                                      {CKA_MODULUS_BITS, &bits, sizeof bits},
                                      {CKA_PUBLIC_EXPONENT, exponent, sizeof exponent}};
    CK_OBJECT_HANDLE public_key = 0;

    return side->functions->C_GenerateKeyPair(side->session, &mechanism, public_template, 3,
                                              private_template, 4, &public_key, ret_private);
}

static CK_RV make_secret(struct side *side, CK_MECHANISM_TYPE type, CK_ATTRIBUTE_TYPE use,
                         CK_OBJECT_HANDLE *ret_key)
{
    static CK_ULONG size = 32;
    CK_MECHANISM mechanism = {type, NULL, 0};
    CK_ATTRIBUTE template[] = {{CKA_TOKEN, &yes, sizeof yes},
                               {CKA_PRIVATE, &yes, sizeof yes},
                               {CKA_SENSITIVE, &yes, sizeof yes},
                               {use, &yes, sizeof yes},
                               {CKA_VALUE_LEN, &size, sizeof size}};

    return side->functions->C_GenerateKey(side->session, &mechanism, template, 5, ret_key);
}

void side_make_key(struct side *side, enum side_kind kind)
{
    CK_OBJECT_HANDLE *key = &side->keys[kind];
    CK_OBJECT_HANDLE public_key = 0;
    CK_RV rv = CKR_OK;

    switch (kind) {
    case SIDE_RSA:
        rv = make_rsa_pair(side, key);
        break;
    case SIDE_EC:
        rv = make_ec_pair(side, side->session, &public_key, key);
        break;
    case SIDE_GCM:
        rv = make_secret(side, CKM_AES_KEY_GEN, CKA_ENCRYPT, key);
        break;
    case SIDE_HMAC:
        rv = make_secret(side, CKM_GENERIC_SECRET_KEY_GEN, CKA_SIGN, key);
        break;
    case SIDE_CREATE:
    case SIDE_FIND:
    case SIDE_KINDS:
        break;
    }
    need(side, rv, "making a key");
}

static void make_id(unsigned number, uint8_t ret_id[ID_SIZE])
{
    memset(ret_id, 0, ID_SIZE);
    memcpy(ret_id, &number, sizeof number);
}

/* A public key: neither module hides it or keeps it encrypted. The point is the curve's generator.
 */
static void make_object(struct side *side, unsigned number)
{
    static uint8_t point[] = {
        0x04, 0x41, 0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
        0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
        0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f,
        0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b,
        0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
    CK_OBJECT_CLASS object_class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_EC;
    uint8_t id[ID_SIZE];
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &object_class, sizeof object_class},
                               {CKA_KEY_TYPE, &type, sizeof type},
                               {CKA_TOKEN, &yes, sizeof yes},
                               {CKA_PRIVATE, &no, sizeof no},
                               {CKA_ID, id, sizeof id},
                               {CKA_EC_PARAMS, p256, sizeof p256},
                               {CKA_EC_POINT, point, sizeof point}};
    CK_OBJECT_HANDLE object = 0;

    make_id(number, id);
    need(side, side->functions->C_CreateObject(side->session, template, 7, &object),
         "C_CreateObject");
}

void side_make_objects(struct side *side, unsigned count)
{
    while (side->objects < count) {
        make_object(side, side->objects++);
    }
}

/* ---- operations ---- */

void side_thread_open(struct side_thread *thread, struct side *side, unsigned number)
{
    *thread = (struct side_thread){.side = side,
                                   .session = open_session(side),
                                   .random = number + 1,
                                   .created = calloc(SIDE_CREATED_MAX, sizeof *thread->created)};
    if (thread->created == NULL) {
        process_die("no memory");
    }
}

void side_thread_close(struct side_thread *thread)
{
    CK_FUNCTION_LIST_PTR functions = thread->side->functions;

    for (unsigned i = 0; i < thread->created_count; i++) {
        need(thread->side, functions->C_DestroyObject(thread->session, thread->created[i]),
             "C_DestroyObject");
    }
    free(thread->created);
    need(thread->side, functions->C_CloseSession(thread->session), "C_CloseSession");
}

static CK_RV sign(const struct side_thread *thread, enum side_kind kind, CK_MECHANISM_TYPE type,
                  uint8_t *data, CK_ULONG size)
{
    CK_FUNCTION_LIST_PTR functions = thread->side->functions;
    CK_MECHANISM mechanism = {type, NULL, 0};
    uint8_t signature[512];
    CK_ULONG signature_size = sizeof signature;
    CK_RV rv = functions->C_SignInit(thread->session, &mechanism, thread->side->keys[kind]);

    if (rv == CKR_OK) {
        rv = functions->C_Sign(thread->session, data, size, signature, &signature_size);
    }
    return rv;
}

static CK_RV encrypt(const struct side_thread *thread, uint8_t *data)
{
    CK_FUNCTION_LIST_PTR functions = thread->side->functions;
    uint8_t iv[12];
    CK_GCM_PARAMS params = {
        .pIv = iv, .ulIvLen = sizeof iv, .ulIvBits = 8 * sizeof iv, .ulTagBits = 8 * TAG_SIZE};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &params, sizeof params};
    uint8_t out[DATA_SIZE + TAG_SIZE];
    CK_ULONG out_size = sizeof out;
    CK_RV rv;

    memset(iv, 0, sizeof iv);
    memcpy(iv, &thread->random, sizeof thread->random);
    rv = functions->C_EncryptInit(thread->session, &mechanism, thread->side->keys[SIDE_GCM]);
    if (rv == CKR_OK) {
        rv = functions->C_Encrypt(thread->session, data, DATA_SIZE, out, &out_size);
    }
    return rv;
}

static CK_RV create(struct side_thread *thread)
{
    CK_OBJECT_HANDLE *pair = &thread->created[thread->created_count];

    if (thread->created_count + 2 > SIDE_CREATED_MAX) {
        process_die("more than %u objects in one run: take fewer --seconds", SIDE_CREATED_MAX);
    }
    thread->created_count += 2;
    return make_ec_pair(thread->side, thread->session, &pair[0], &pair[1]);
}

static CK_RV find(const struct side_thread *thread)
{
    CK_FUNCTION_LIST_PTR functions = thread->side->functions;
    CK_OBJECT_CLASS object_class = CKO_PUBLIC_KEY;
    uint8_t id[ID_SIZE];
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &object_class, sizeof object_class},
                               {CKA_ID, id, sizeof id}};
    CK_OBJECT_HANDLE found[4];
    CK_ULONG count = 0;
    CK_RV rv;

    make_id((unsigned)((thread->random >> 33) % thread->side->objects), id);
    rv = functions->C_FindObjectsInit(thread->session, template, 2);
    if (rv == CKR_OK) {
        rv = functions->C_FindObjects(thread->session, found, 4, &count);
        (void)functions->C_FindObjectsFinal(thread->session);
    }
    if (rv == CKR_OK && count != 1) {
        process_die("%s: found %lu objects instead of one", thread->side->name, count);
    }
    return rv;
}

void side_run(struct side_thread *thread, enum side_kind kind)
{
    uint8_t data[DATA_SIZE] = {1, 2, 3};
    CK_RV rv = CKR_OK;

    thread->random = thread->random * 6364136223846793005u + 1442695040888963407u;
    switch (kind) {
    case SIDE_RSA:
        rv = sign(thread, kind, CKM_RSA_PKCS, digest_info, sizeof digest_info);
        break;
    case SIDE_EC:
        rv = sign(thread, kind, CKM_ECDSA, data, 32);
        break;
    case SIDE_GCM:
        rv = encrypt(thread, data);
        break;
    case SIDE_HMAC:
        rv = sign(thread, kind, CKM_SHA256_HMAC, data, sizeof data);
        break;
    case SIDE_CREATE:
        rv = create(thread);
        break;
    case SIDE_FIND:
        rv = find(thread);
        break;
    case SIDE_KINDS:
        return;
    }
    need(thread->side, rv, side_kind_name(kind));
}
