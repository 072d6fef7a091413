/* Another PKCS#11 module. See source.h. */
#include "cli/source.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define SLOTS_MAX 1024u
#define FIND_COUNT 256u
#define DETAIL_ROOM 512u

static int fail(struct cli *cli, CK_RV rv, const char *what)
{
    static const struct {
        CK_RV rv;
        enum qh_err err;
        const char *text;
    } known[] = {
        {CKR_PIN_INCORRECT, QH_EPIN, "the other token refuses the PIN: --source-pin-file"},
        {CKR_PIN_LEN_RANGE, QH_EPIN, "the other token refuses the PIN: --source-pin-file"},
        {CKR_PIN_LOCKED, QH_EPINLOCKED, "the other token's PIN is locked: unlock it there"},
        {CKR_USER_PIN_NOT_INITIALIZED, QH_ENOPIN, "the other token has no user PIN yet"},
    };
    char detail[DETAIL_ROOM];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (rv == known[i].rv) {
            (void)output_fail(&cli->output, known[i].err, known[i].text, "%s", what);
            return EXIT_FAILED;
        }
    }
    (void)snprintf(detail, sizeof(detail), "the other module answered CK_RV 0x%lx", rv);
    (void)output_fail(&cli->output, QH_ESYSTEM, detail, "%s", what);
    return EXIT_FAILED;
}

/* ---- opening ---- */

static int load(struct cli *cli, const char *path, struct source *source)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_C_GetFunctionList get_list = NULL;
    void *symbol;
    CK_RV rv;

    source->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    symbol = source->library != NULL ? dlsym(source->library, "C_GetFunctionList") : NULL;
    if (symbol == NULL) {
        const char *why = dlerror();

        return output_fail(&cli->output, QH_ENOTFOUND,
                           why != NULL ? why : "it is no PKCS#11 module", "opening %s", path);
    }
    memcpy(&get_list, &symbol, sizeof(get_list));
    rv = get_list(&source->module);
    if (rv != CKR_OK || source->module == NULL) {
        return fail(cli, rv, "opening the other module");
    }
    rv = source->module->C_Initialize(&arguments);
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        return fail(cli, rv, "starting the other module");
    }
    source->initialized = true;
    return EXIT_DONE;
}

/* Blank padded. */
static void copy_text(const CK_UTF8CHAR *text, size_t size, char ret_text[SOURCE_NAME_ROOM])
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\0')) {
        size--;
    }
    output_safe((const char *)text, size, ret_text, SOURCE_NAME_ROOM);
}

/* "--token LABEL" of each, for the error. */
static void add_name(char *names, const char *name)
{
    size_t used = strlen(names);

    (void)snprintf(names + used, DETAIL_ROOM - used, "%s\"%s\"", used > 0 ? ", " : "", name);
}

static bool read_token(struct source *source, CK_SLOT_ID slot)
{
    CK_TOKEN_INFO info;

    memset(&info, 0, sizeof(info));
    if (source->module->C_GetTokenInfo(slot, &info) != CKR_OK ||
        (info.flags & CKF_TOKEN_INITIALIZED) == 0) {
        return false;
    }
    copy_text(info.label, sizeof(info.label), source->name);
    copy_text(info.model, sizeof(info.model), source->model);
    source->login_required = (info.flags & CKF_LOGIN_REQUIRED) != 0;
    source->slot = slot;
    return true;
}

static int choose(struct cli *cli, const CK_SLOT_ID *slots, CK_ULONG count, const char *label,
                  struct source *source)
{
    char names[DETAIL_ROOM] = "";
    char detail[DETAIL_ROOM + 64];
    struct source chosen = *source;
    unsigned matching = 0;

    for (CK_ULONG i = 0; i < count; i++) {
        if (!read_token(source, slots[i])) {
            continue;
        }
        add_name(names, source->name);
        if (label == NULL || strcmp(label, source->name) == 0) {
            chosen = *source;
            matching++;
        }
    }
    *source = chosen;
    if (matching == 1) {
        return EXIT_DONE;
    }
    (void)snprintf(detail, sizeof(detail),
                   names[0] == '\0' ? "it has no token that is initialized%s"
                                    : "choose one with --token or --slot; there are %s",
                   names);
    return output_fail(&cli->output, matching == 0 ? QH_ENOTFOUND : QH_EINVAL, detail,
                       "looking for the other token");
}

static int choose_slot(struct cli *cli, const char *slot, struct source *source)
{
    char *end = NULL;
    unsigned long long number;

    errno = 0;
    number = strtoull(slot, &end, 0);
    if (errno != 0 || end == slot || *end != '\0') {
        return output_misuse(&cli->output, "--slot is a slot's number, as the module counts");
    }
    if (!read_token(source, (CK_SLOT_ID)number)) {
        return output_fail(&cli->output, QH_ENOTFOUND,
                           "`pkcs11-tool --module MODULE --list-slots` names those there are",
                           "slot %s", slot);
    }
    return EXIT_DONE;
}

static int find_token(struct cli *cli, const char *label, const char *slot, struct source *source)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    CK_RV rv;

    if (slot != NULL) {
        return choose_slot(cli, slot, source);
    }
    rv = source->module->C_GetSlotList(CK_TRUE, slots, &count);
    return rv == CKR_OK ? choose(cli, slots, count, label, source)
                        : fail(cli, rv, "listing the slots of the other module");
}

int source_open(struct cli *cli, const char *path, const char *label, const char *slot,
                struct source *ret_source)
{
    int status;
    CK_RV rv;

    *ret_source = (struct source){.library = NULL};
    status = load(cli, path, ret_source);
    if (status == EXIT_DONE) {
        status = find_token(cli, label, slot, ret_source);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    rv = ret_source->module->C_OpenSession(ret_source->slot, CKF_SERIAL_SESSION, NULL, NULL,
                                           &ret_source->session);
    ret_source->open = rv == CKR_OK;
    return rv == CKR_OK ? EXIT_DONE : fail(cli, rv, "opening a session of the other token");
}

int source_login(struct cli *cli, struct source *source, const struct secret *pin)
{
    /* The standard has no const; nothing is changed. */
    CK_UTF8CHAR *text = (CK_UTF8CHAR *)(uintptr_t)secret_view(pin);
    CK_RV rv = source->module->C_Login(source->session, CKU_USER, text, secret_size(pin));

    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN
               ? EXIT_DONE
               : fail(cli, rv, "logging in to the other token");
}

int source_list(struct cli *cli, struct source *source)
{
    CK_RV rv = source->module->C_FindObjectsInit(source->session, NULL, 0);
    CK_ULONG found = 1;

    while (rv == CKR_OK && found > 0 && source->count < SOURCE_OBJECTS_MAX) {
        CK_OBJECT_HANDLE *more =
            realloc(source->objects, (source->count + FIND_COUNT) * sizeof(*more));

        if (more == NULL) {
            rv = CKR_HOST_MEMORY;
            break;
        }
        source->objects = more;
        found = 0;
        rv = source->module->C_FindObjects(source->session, more + source->count, FIND_COUNT,
                                           &found);
        source->count += rv == CKR_OK && found <= FIND_COUNT ? found : 0;
    }
    (void)source->module->C_FindObjectsFinal(source->session);
    return rv == CKR_OK ? EXIT_DONE : fail(cli, rv, "listing the objects of the other token");
}

void source_close(struct source *source)
{
    if (source->open) {
        (void)source->module->C_CloseSession(source->session);
    }
    if (source->initialized) {
        (void)source->module->C_Finalize(NULL);
    }
    /* It stays loaded: modules leave threads and exit handlers behind. */
    free(source->objects);
    free(source->carrier_wrapped);
    *source = (struct source){.library = NULL};
}

/* ---- attributes ---- */

static enum qh_err read_error(CK_RV rv)
{
    switch (rv) {
    case CKR_OK:
        return QH_OK;
    case CKR_ATTRIBUTE_SENSITIVE:
    case CKR_ATTRIBUTE_TYPE_INVALID:
        return QH_ENOTFOUND;
    case CKR_HOST_MEMORY:
        return QH_ENOMEM;
    default:
        return QH_ESYSTEM;
    }
}

QH_RESULT source_read(const struct source *source, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                      struct secret **ret_value)
{
    CK_ATTRIBUTE attribute = {.type = type};
    struct secret *value = NULL;
    enum qh_err err =
        read_error(source->module->C_GetAttributeValue(source->session, object, &attribute, 1));
    CK_ULONG size = attribute.ulValueLen;

    if (err == QH_OK && size == CK_UNAVAILABLE_INFORMATION) {
        err = QH_ENOTFOUND;
    }
    if (err == QH_OK && size > ATTRIBUTE_SIZE_MAX) {
        err = QH_ELIMIT;
    }
    if (err != QH_OK || size == 0) {
        if (err == QH_OK) {
            *ret_value = NULL;
        }
        return err;
    }
    err = secret_new(size, &value);
    if (err != QH_OK) {
        return err;
    }
    attribute.pValue = secret_bytes(value);
    err = read_error(source->module->C_GetAttributeValue(source->session, object, &attribute, 1));
    if (err == QH_OK && attribute.ulValueLen != size) {
        err = QH_ESYSTEM;
    }
    if (err != QH_OK) {
        secret_free(value);
        return err;
    }
    *ret_value = value;
    return QH_OK;
}

CK_ULONG source_number(const struct source *source, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                       CK_ULONG otherwise)
{
    CK_ULONG number = otherwise;
    CK_ATTRIBUTE attribute = {.type = type, .pValue = &number, .ulValueLen = sizeof(number)};
    CK_RV rv = source->module->C_GetAttributeValue(source->session, object, &attribute, 1);

    return rv == CKR_OK && attribute.ulValueLen == sizeof(number) ? number : otherwise;
}

bool source_flag(const struct source *source, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                 bool otherwise)
{
    CK_BBOOL flag = CK_FALSE;
    CK_ATTRIBUTE attribute = {.type = type, .pValue = &flag, .ulValueLen = sizeof(flag)};
    CK_RV rv = source->module->C_GetAttributeValue(source->session, object, &attribute, 1);

    return rv == CKR_OK && attribute.ulValueLen == sizeof(flag) ? flag != CK_FALSE : otherwise;
}
