/* qh-database: what a database that encrypts itself, and a vault that is sealed, ask of a token.
 * Calls and templates are those of Oracle's TDE and of the PKCS#11 seal of Vault and OpenBao;
 * neither is in Debian.
 *
 *   qh-database MODULE TOKEN PIN-FILE [--serve]
 *
 * It makes keys as these do, uses them, and changes them for others: so often, or with --serve
 * until SIGTERM. All is done in one session, opened and logged in to once; what it is answered in
 * are odd addresses, as a database's are. Ends with "N turns, F failed, longest X ms"; exit status:
 * 0 if none failed. */
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cryptoki.h"

#define TURNS 20u
#define TURNS_A_ROTATION 8u
#define PAUSE_US 20000u
#define SLOTS_MAX 32u
#define TABLE_KEY_SIZE 32u
#define WRAPPED_SIZE 48u /* of a table's key in AES-CBC-PAD */
#define TAG_SIZE 16u
#define IV_SIZE 12u
#define LABEL_ROOM 64u
#define TEMPLATE_MAX 16u

/* A number that the module answers with, one byte beside where it should be. */
struct odd {
    _Alignas(CK_ULONG) uint8_t bytes[1 + sizeof(CK_ULONG)];
};

static struct {
    CK_FUNCTION_LIST *functions;
    CK_SESSION_HANDLE session;
    char master[LABEL_ROOM], seal[LABEL_ROOM];
    unsigned masters;
    uint8_t table_key[TABLE_KEY_SIZE], wrapped[WRAPPED_SIZE], iv[16];
} application;
#define P11 (application.functions)

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static bool worked(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        (void)fprintf(stderr, "%s: 0x%lx\n", what, rv);
    }
    return rv == CKR_OK;
}

static bool holds(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "%s\n", what);
    }
    return condition;
}

static void *odd_start(struct odd *odd, CK_ULONG number)
{
    memcpy(odd->bytes + 1, &number, sizeof number);
    return odd->bytes + 1;
}

static CK_ULONG odd_number(const struct odd *odd)
{
    CK_ULONG number;

    memcpy(&number, odd->bytes + 1, sizeof number);
    return number;
}

/* ---- keys ---- */

struct template
{
    CK_ATTRIBUTE list[TEMPLATE_MAX];
    CK_ULONG numbers[TEMPLATE_MAX];
    CK_BBOOL flags[TEMPLATE_MAX];
    CK_ULONG count;
};

static void put_number(struct template *template, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    CK_ULONG i = template->count++;

    template->numbers[i] = value;
    template->list[i] = (CK_ATTRIBUTE){type, &template->numbers[i], sizeof value};
}

static void put_flag(struct template *template, CK_ATTRIBUTE_TYPE type, bool value)
{
    CK_ULONG i = template->count++;

    template->flags[i] = value ? CK_TRUE : CK_FALSE;
    template->list[i] = (CK_ATTRIBUTE){type, &template->flags[i], sizeof(CK_BBOOL)};
}

static void put_text(struct template *template, CK_ATTRIBUTE_TYPE type, char *text)
{
    template->list[template->count++] = (CK_ATTRIBUTE){type, text, strlen(text)};
}

/* A database asks for a key that wraps; a vault for one that encrypts alone. */
static bool make_key(char *label, bool wraps)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    struct template template = {.count = 0};
    struct odd odd;

    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_number(&template, CKA_KEY_TYPE, CKK_AES);
    put_number(&template, CKA_VALUE_LEN, 32);
    put_text(&template, CKA_LABEL, label);
    put_text(&template, CKA_ID, label);
    put_flag(&template, CKA_TOKEN, true);
    put_flag(&template, CKA_PRIVATE, true);
    put_flag(&template, CKA_SENSITIVE, true);
    put_flag(&template, CKA_EXTRACTABLE, false);
    put_flag(&template, CKA_ENCRYPT, true);
    put_flag(&template, CKA_DECRYPT, true);
    put_flag(&template, CKA_WRAP, wraps);
    put_flag(&template, CKA_UNWRAP, wraps);
    return worked(P11->C_GenerateKey(application.session, &mechanism, template.list, template.count,
                                     odd_start(&odd, 0)),
                  "C_GenerateKey") &&
           holds(odd_number(&odd) != 0, "a key without a handle");
}

/* By the label alone, each time; there must be one. */
static bool find_key(char *label, CK_OBJECT_HANDLE *ret_key)
{
    struct template template = {.count = 0};
    CK_OBJECT_HANDLE found[2];
    struct odd odd;

    put_number(&template, CKA_CLASS, CKO_SECRET_KEY);
    put_text(&template, CKA_LABEL, label);
    if (!worked(P11->C_FindObjectsInit(application.session, template.list, template.count),
                "C_FindObjectsInit") ||
        !worked(P11->C_FindObjects(application.session, found, 2, odd_start(&odd, 0)),
                "C_FindObjects") ||
        !worked(P11->C_FindObjectsFinal(application.session), "C_FindObjectsFinal") ||
        !holds(odd_number(&odd) == 1, "not one key has the label")) {
        return false;
    }
    *ret_key = found[0];
    return true;
}

/* What Oracle reads before it takes a key for its own. */
static bool is_master(CK_OBJECT_HANDLE key)
{
    CK_BBOOL extractable = 2, sensitive = 2, wrap = 2, unwrap = 2, local = 2;
    CK_ATTRIBUTE list[] = {
        {CKA_EXTRACTABLE, &extractable, 1}, {CKA_SENSITIVE, &sensitive, 1}, {CKA_WRAP, &wrap, 1},
        {CKA_UNWRAP, &unwrap, 1},           {CKA_LOCAL, &local, 1},
    };
    struct odd odd;
    CK_ATTRIBUTE length = {CKA_VALUE_LEN, odd_start(&odd, 0), sizeof(CK_ULONG)};

    return worked(P11->C_GetAttributeValue(application.session, key, list, 5),
                  "C_GetAttributeValue") &&
           worked(P11->C_GetAttributeValue(application.session, key, &length, 1),
                  "C_GetAttributeValue of the length") &&
           holds(extractable == CK_FALSE && sensitive == CK_TRUE && wrap == CK_TRUE &&
                     unwrap == CK_TRUE && local == CK_TRUE && odd_number(&odd) == 32,
                 "the master key is not as it was made");
}

/* ---- the database: keys of tables under a master key ---- */

static bool crypt_table_key(bool encrypt, uint8_t *in, size_t in_size, uint8_t *out, size_t *size)
{
    CK_MECHANISM mechanism = {CKM_AES_CBC_PAD, application.iv, sizeof application.iv};
    CK_SESSION_HANDLE session = application.session;
    CK_OBJECT_HANDLE key;
    struct odd odd;
    CK_RV rv;

    if (!find_key(application.master, &key) || !is_master(key)) {
        return false;
    }
    rv = encrypt ? P11->C_EncryptInit(session, &mechanism, key)
                 : P11->C_DecryptInit(session, &mechanism, key);
    if (!worked(rv, encrypt ? "C_EncryptInit" : "C_DecryptInit")) {
        return false;
    }
    rv = encrypt ? P11->C_Encrypt(session, in, in_size, out, odd_start(&odd, *size))
                 : P11->C_Decrypt(session, in, in_size, out, odd_start(&odd, *size));
    *size = odd_number(&odd);
    return worked(rv, encrypt ? "C_Encrypt" : "C_Decrypt");
}

/* A new master key, which the tables' keys are encrypted with from now on. */
static bool rotate(void)
{
    size_t size = WRAPPED_SIZE;

    (void)snprintf(application.master, LABEL_ROOM, "ORACLE.TDE.HSM.MK.%d.%u", (int)getpid(),
                   ++application.masters);
    return make_key(application.master, true) &&
           worked(P11->C_GenerateRandom(application.session, application.iv, 16),
                  "C_GenerateRandom") &&
           crypt_table_key(true, application.table_key, TABLE_KEY_SIZE, application.wrapped,
                           &size) &&
           holds(size == WRAPPED_SIZE, "the wrapped key's size");
}

static bool open_table(void)
{
    uint8_t out[1 + WRAPPED_SIZE];
    size_t size = WRAPPED_SIZE;

    return crypt_table_key(false, application.wrapped, WRAPPED_SIZE, out + 1, &size) &&
           holds(size == TABLE_KEY_SIZE && memcmp(out + 1, application.table_key, size) == 0,
                 "the table's key is another one");
}

/* A block of a column is a multiple of 16 bytes: no padding, and in parts. */
static bool crypt_column(void)
{
    CK_MECHANISM mechanism = {CKM_AES_CBC, application.iv, sizeof application.iv};
    CK_SESSION_HANDLE session = application.session;
    uint8_t plain[64] = "a column's values", cipher[1 + sizeof plain], back[sizeof plain];
    struct odd odd, other;
    CK_ULONG size = sizeof back, ended = sizeof back;
    CK_OBJECT_HANDLE key;

    return find_key(application.master, &key) &&
           worked(P11->C_EncryptInit(session, &mechanism, key), "C_EncryptInit, CBC") &&
           worked(P11->C_EncryptUpdate(session, plain, 32, cipher + 1, odd_start(&odd, 32)),
                  "C_EncryptUpdate") &&
           worked(P11->C_EncryptUpdate(session, plain + 32, 32, cipher + 33, odd_start(&other, 32)),
                  "C_EncryptUpdate again") &&
           holds(odd_number(&odd) == 32 && odd_number(&other) == 32, "the parts' sizes") &&
           worked(P11->C_EncryptFinal(session, back, &ended), "C_EncryptFinal") &&
           holds(ended == 0, "CBC ends with nothing") &&
           worked(P11->C_DecryptInit(session, &mechanism, key), "C_DecryptInit, CBC") &&
           worked(P11->C_Decrypt(session, cipher + 1, 64, back, &size), "C_Decrypt, CBC") &&
           holds(size == 64 && memcmp(plain, back, 64) == 0, "the column is another one");
}

/* ---- the vault: its root key under a seal ---- */

/* The text is behind the IV, the tag behind the ciphertext. */
static bool seal_and_unseal(void)
{
    CK_SESSION_HANDLE session = application.session;
    uint8_t root[32], sealed[IV_SIZE + sizeof root + TAG_SIZE], back[sizeof root];
    CK_GCM_PARAMS_V3 gcm = {sealed, IV_SIZE, 8 * IV_SIZE, NULL, 0, 8 * TAG_SIZE};
    CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
    CK_ULONG size = sizeof sealed - IV_SIZE, opened = sizeof back;
    CK_OBJECT_HANDLE key;

    if (!find_key(application.seal, &key) ||
        !worked(P11->C_GenerateRandom(session, root, sizeof root), "C_GenerateRandom") ||
        !worked(P11->C_GenerateRandom(session, sealed, IV_SIZE), "C_GenerateRandom, 12 bytes") ||
        !worked(P11->C_EncryptInit(session, &mechanism, key), "C_EncryptInit, GCM") ||
        !worked(P11->C_Encrypt(session, root, sizeof root, sealed + IV_SIZE, &size),
                "C_Encrypt, GCM") ||
        !holds(size == sizeof root + TAG_SIZE, "the tag is not behind the ciphertext") ||
        !worked(P11->C_DecryptInit(session, &mechanism, key), "C_DecryptInit, GCM") ||
        !worked(P11->C_Decrypt(session, sealed + IV_SIZE, size, back, &opened), "C_Decrypt, GCM") ||
        !holds(opened == sizeof root && memcmp(back, root, opened) == 0, "another root key")) {
        return false;
    }
    sealed[sizeof sealed - 1] ^= 1;
    return worked(P11->C_DecryptInit(session, &mechanism, key), "C_DecryptInit, wrong tag") &&
           holds(P11->C_Decrypt(session, sealed + IV_SIZE, size, back, &opened) != CKR_OK,
                 "a wrong tag is taken");
}

/* ---- one session ---- */

static bool is_logged_in(void)
{
    CK_SESSION_INFO info;

    return worked(P11->C_GetSessionInfo(application.session, &info), "C_GetSessionInfo") &&
           holds(info.state == CKS_RW_USER_FUNCTIONS, "the user is not logged in any more");
}

static bool turn(unsigned number)
{
    return is_logged_in() && (number % TURNS_A_ROTATION != 0 || rotate()) && open_table() &&
           crypt_column() && seal_and_unseal();
}

static bool find_slot(const char *label, CK_SLOT_ID *ret_slot)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_TOKEN_INFO info;
    struct odd odd;
    char padded[sizeof info.label + 1];

    (void)snprintf(padded, sizeof padded, "%-32s", label);
    if (!worked(P11->C_GetSlotList(CK_TRUE, slots, odd_start(&odd, SLOTS_MAX)), "C_GetSlotList")) {
        return false;
    }
    for (CK_ULONG i = 0; i < odd_number(&odd); i++) {
        if (worked(P11->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo") &&
            memcmp(info.label, padded, sizeof info.label) == 0) {
            *ret_slot = slots[i];
            return true;
        }
    }
    return holds(false, "there is no such token");
}

static bool load(const char *path)
{
    union {
        void *symbol;
        CK_C_GetFunctionList call;
    } entry = {NULL};
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (module != NULL) {
        entry.symbol = dlsym(module, "C_GetFunctionList");
    }
    return holds(entry.symbol != NULL, "the module cannot be loaded") &&
           worked(entry.call(&application.functions), "C_GetFunctionList");
}

static bool open_session(const char *token, const char *pin_file)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_UTF8CHAR pin[256];
    struct odd odd;
    FILE *file = fopen(pin_file, "r");
    size_t size = file != NULL ? fread(pin, 1, sizeof pin, file) : 0;
    CK_SLOT_ID slot;
    bool good;

    good = holds(file != NULL && size > 0, "the PIN's file cannot be read") &&
           worked(P11->C_Initialize(&args), "C_Initialize") && find_slot(token, &slot) &&
           worked(P11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                     odd_start(&odd, 0)),
                  "C_OpenSession") &&
           worked(P11->C_Login(odd_number(&odd), CKU_USER, pin, size), "C_Login");
    if (file != NULL) {
        (void)fclose(file);
    }
    application.session = good ? odd_number(&odd) : CK_INVALID_HANDLE;
    return good;
}

static bool serve(unsigned turns)
{
    uint64_t longest_ms = 0;
    unsigned done = 0, failed = 0;

    while (stopped == 0 && (turns == 0 || done < turns)) {
        uint64_t begun_ms = clock_monotonic_ms(), took_ms;

        failed += turn(done) ? 0 : 1;
        done++;
        took_ms = clock_monotonic_ms() - begun_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
        if (done == 1) {
            printf("ready\n");
        }
        (void)usleep(PAUSE_US);
    }
    printf("%u turns, %u failed, longest %u ms\n", done, failed, (unsigned)longest_ms);
    return failed == 0;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = stop};
    bool serves = argc == 5 && strcmp(argv[4], "--serve") == 0;

    if (argc != 4 && !serves) {
        (void)fprintf(stderr, "usage: qh-database MODULE TOKEN PIN-FILE [--serve]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    (void)sigaction(SIGTERM, &action, NULL);
    if (!load(argv[1]) || !open_session(argv[2], argv[3])) {
        return EXIT_FAILURE;
    }
    (void)snprintf(application.seal, LABEL_ROOM, "bao-root-key.%d", (int)getpid());
    if (!make_key(application.seal, false) ||
        !worked(P11->C_GenerateRandom(application.session, application.table_key, TABLE_KEY_SIZE),
                "C_GenerateRandom, a table's key") ||
        !serve(serves ? 0 : TURNS)) {
        return EXIT_FAILURE;
    }
    return worked(P11->C_Finalize(NULL), "C_Finalize") ? EXIT_SUCCESS : EXIT_FAILURE;
}
