/* Is the module what the standard says? An exercise for each mechanism and each flag that it lists,
 * both ways between the token and OpenSSL, and the rules of attributes, objects, sessions and PINs.
 *
 *     qh-conform MODULE TOKEN PIN-FILE SO-PIN-FILE SPARE-TOKEN
 *
 * It loads the module as an application does and knows nothing of what is behind. The spare token
 * has the same SO's PIN; at the end it is made anew. */
#include "tests/interop/conform.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MECHANISMS_MAX 200u
#define SLOTS_MAX 32u

static const CK_FLAGS all_uses = CKF_ENCRYPT | CKF_DECRYPT | CKF_DIGEST | CKF_SIGN |
                                 CKF_SIGN_RECOVER | CKF_VERIFY | CKF_VERIFY_RECOVER | CKF_GENERATE |
                                 CKF_GENERATE_KEY_PAIR | CKF_WRAP | CKF_UNWRAP | CKF_DERIVE |
                                 CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MESSAGE_SIGN |
                                 CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;

static void *load(const char *path)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_UTF8CHAR name[] = "PKCS 11";
    CK_VERSION version = {3, 0};
    CK_INTERFACE *interface = NULL;
    union {
        void *symbol;
        CK_C_GetInterface call;
    } entry;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    must(module != NULL, "the module is loaded");
    entry.symbol = dlsym(module, "C_GetInterface");
    must(entry.symbol != NULL, "C_GetInterface");
    must(entry.call(name, &version, &interface, 0) == CKR_OK, "interface PKCS 11 3.0");
    conform.functions = interface->pFunctionList;
    expect_rv(P11->C_GetSlotList(CK_FALSE, NULL, NULL), CKR_CRYPTOKI_NOT_INITIALIZED,
              "C_GetSlotList beforehand");
    must(P11->C_Initialize(&args) == CKR_OK, "C_Initialize");
    expect_rv(P11->C_Initialize(&args), CKR_CRYPTOKI_ALREADY_INITIALIZED, "C_Initialize again");
    return module;
}

static CK_SLOT_ID find_token(const char *label)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_TOKEN_INFO info;
    char padded[sizeof info.label];

    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strlen(label));
    must(P11->C_GetSlotList(CK_TRUE, slots, &count) == CKR_OK, "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        must(P11->C_GetTokenInfo(slots[i], &info) == CKR_OK, "C_GetTokenInfo");
        if (memcmp(info.label, padded, sizeof padded) == 0) {
            return slots[i];
        }
    }
    must(false, label);
    return 0;
}

static void read_pin(const char *path, char *pin, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t size = file != NULL ? fread(pin, 1, room - 1, file) : 0;

    must(file != NULL && size > 0, path);
    (void)fclose(file);
    pin[size] = 0;
}

/* Whoever cannot do a thing says so before anything else. */
static void refuse_others(CK_MECHANISM_TYPE type, CK_FLAGS flags)
{
    CK_MECHANISM *mechanism = usual_mechanism(type);
    CK_SESSION_HANDLE session = conform.session;
    CK_OBJECT_HANDLE key = pair_imported(P_256)->private, made;

    if ((flags & CKF_DIGEST) == 0) {
        expect_rv(P11->C_DigestInit(session, mechanism), CKR_MECHANISM_INVALID, "C_DigestInit");
    }
    if ((flags & CKF_SIGN) == 0) {
        expect_rv(P11->C_SignInit(session, mechanism, key), CKR_MECHANISM_INVALID, "C_SignInit");
    }
    if ((flags & CKF_VERIFY) == 0) {
        expect_rv(P11->C_VerifyInit(session, mechanism, key), CKR_MECHANISM_INVALID,
                  "C_VerifyInit");
    }
    if ((flags & CKF_ENCRYPT) == 0) {
        expect_rv(P11->C_EncryptInit(session, mechanism, key), CKR_MECHANISM_INVALID,
                  "C_EncryptInit");
    }
    if ((flags & CKF_DECRYPT) == 0) {
        expect_rv(P11->C_DecryptInit(session, mechanism, key), CKR_MECHANISM_INVALID,
                  "C_DecryptInit");
    }
    if ((flags & CKF_DERIVE) == 0) {
        expect_rv(P11->C_DeriveKey(session, mechanism, key, NULL, 0, &made), CKR_MECHANISM_INVALID,
                  "C_DeriveKey");
    }
    if ((flags & CKF_GENERATE) == 0) {
        expect_rv(P11->C_GenerateKey(session, mechanism, NULL, 0, &made), CKR_MECHANISM_INVALID,
                  "C_GenerateKey");
    }
}

static unsigned count_bits(CK_FLAGS flags)
{
    unsigned count = 0;

    for (; flags != 0; flags &= flags - 1) {
        count++;
    }
    return count;
}

static void exercise_all(void)
{
    CK_MECHANISM_TYPE list[MECHANISMS_MAX];
    CK_ULONG count = MECHANISMS_MAX;
    unsigned directions = 0;
    CK_MECHANISM_INFO info;

    about("the list of mechanisms");
    must(P11->C_GetMechanismList(conform.slot, list, &count) == CKR_OK, "C_GetMechanismList");
    for (CK_ULONG i = 0; i < count; i++) {
        CK_FLAGS done;

        about("mechanism 0x%lx", list[i]);
        must(P11->C_GetMechanismInfo(conform.slot, list[i], &info) == CKR_OK, "C_GetMechanismInfo");
        done = exercise_digest(list[i]) | exercise_sign(list[i]) | exercise_mac(list[i], &info) |
               exercise_cipher(list[i]) | exercise_message_cipher(list[i]) |
               exercise_wrap(list[i]) | exercise_derive(list[i]) |
               exercise_generate(list[i], &info);
        about("mechanism 0x%lx", list[i]);
        expect((info.flags & all_uses) == done,
               "flags 0x%lx are listed, 0x%lx have an exercise here", info.flags & all_uses, done);
        directions += count_bits(done);
        refuse_others(list[i], info.flags);
    }
    about("a mechanism that there is not");
    expect_rv(P11->C_GetMechanismInfo(conform.slot, CKM_DES3_CBC, &info), CKR_MECHANISM_INVALID,
              "C_GetMechanismInfo");
    printf("%lu mechanisms in %u directions\n", count, directions);
}

int main(int argc, char **argv)
{
    static char pin[256], so_pin[256];
    CK_SLOT_ID spare;
    void *module;

    about("start");
    if (argc != 6) {
        fprintf(stderr, "usage: qh-conform MODULE TOKEN PIN-FILE SO-PIN-FILE SPARE-TOKEN\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    read_pin(argv[3], pin, sizeof pin);
    read_pin(argv[4], so_pin, sizeof so_pin);
    conform.pin = pin;
    conform.so_pin = so_pin;
    module = load(argv[1]);
    conform.slot = find_token(argv[2]);
    spare = find_token(argv[5]);
    rules_of_sessions();
    about("login");
    must(P11->C_OpenSession(conform.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                            &conform.session) == CKR_OK,
         "C_OpenSession");
    must(P11->C_Login(conform.session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)) == CKR_OK,
         "C_Login");
    exercise_all();
    edges_of_mechanisms();
    edges_of_wrapping();
    edges_of_derivation();
    rules_of_calls();
    rules_of_attributes();
    rules_of_history();
    rules_of_objects();
    rules_of_use();
    rules_of_templates();
    rules_of_trust();
    rules_of_keeping();
    about("end");
    expect_rv(P11->C_CloseAllSessions(conform.slot), CKR_OK, "C_CloseAllSessions");
    rules_of_pins(spare, so_pin);
    about("end");
    expect_rv(P11->C_Finalize(NULL), CKR_OK, "C_Finalize");
    pairs_close();
    (void)dlclose(module);
    return checks_finish();
}
