/* What many objects in a partition cost through the PKCS#11 module: finding one, listing all,
 * reading all, and what other clients notice of it. Works on a node that runs already, with the
 * keys that qh-keys has made (run-objects.sh does both).
 *
 *   qh-bench-objects --module FILE --token LABEL --pin-file FILE --pid PID --count N [--seconds N]
 *
 * A second process is the other client: it signs while this one lists, and looks for what this one
 * makes and destroys. Exit status 0 if every search found what it should. */
#include <dlfcn.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cryptoki.h"

#define FINDS 1000u
#define CHANGES 50u
#define SAMPLES_MAX (1u << 20)
#define GIVE_UP_MS 5000u

struct options {
    const char *module, *token, *pin_file, *pid;
    unsigned count, seconds;
};

static struct options options = {.seconds = 5};
static CK_FUNCTION_LIST *module;
static CK_SESSION_HANDLE session;
static const char *who = "qh-bench-objects";

static void need(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "%s: %s\n", who, what);
        exit(1);
    }
}

static void ok(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        (void)fprintf(stderr, "%s: %s: 0x%lx\n", who, what, rv);
        exit(1);
    }
}

/* ---- numbers ---- */

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

struct summary {
    uint64_t count;
    double p50_ms, p99_ms, max_ms;
};

static struct summary summarize(uint64_t *ns, size_t count)
{
    need(count > 0, "nothing was measured");
    qsort(ns, count, sizeof *ns, compare);
    return (struct summary){.count = count,
                            .p50_ms = (double)ns[count / 2] / 1e6,
                            .p99_ms = (double)ns[count * 99 / 100] / 1e6,
                            .max_ms = (double)ns[count - 1] / 1e6};
}

static void print_summary(const char *what, const struct summary *summary)
{
    (void)printf("%-44s p50 %8.3f ms   p99 %8.3f ms   max %8.3f ms\n", what, summary->p50_ms,
                 summary->p99_ms, summary->max_ms);
    (void)fflush(stdout);
}

/* Resident memory in KiB; 0 without such a process. */
static unsigned long memory_of(const char *pid)
{
    unsigned long kib = 0;
    char path[64], line[256];
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%s/status", pid);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmRSS: %lu", &kib);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib;
}

/* ---- the module ---- */

static void log_in(void)
{
    CK_UTF8CHAR pin[256];
    FILE *file = fopen(options.pin_file, "re");
    size_t size;

    need(file != NULL, "the PIN's file cannot be read");
    size = fread(pin, 1, sizeof pin, file);
    (void)fclose(file);
    size -= size > 0 && pin[size - 1] == '\n';
    ok(module->C_Login(session, CKU_USER, pin, size), "C_Login");
}

static void open_module(void)
{
    CK_C_GetFunctionList get_list;
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_SLOT_ID slots[64];
    CK_ULONG count = 64;
    CK_TOKEN_INFO info;
    void *library = dlopen(options.module, RTLD_NOW | RTLD_LOCAL);

    need(library != NULL, "the module cannot be loaded");
    *(void **)&get_list = dlsym(library, "C_GetFunctionList");
    need(get_list != NULL, "the module has no C_GetFunctionList");
    ok(get_list(&module), "C_GetFunctionList");
    ok(module->C_Initialize(&args), "C_Initialize");
    ok(module->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count && session == 0; i++) {
        ok(module->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
        if (strncmp((const char *)info.label, options.token, strlen(options.token)) == 0) {
            ok(module->C_OpenSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                     &session),
               "C_OpenSession");
        }
    }
    need(session != 0, "there is no such token");
    log_in();
}

/* Finds up to @room; returns how many. *ret_first_ns: until the first handle came. */
static CK_ULONG find(CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *found, CK_ULONG room,
                     uint64_t *ret_first_ns)
{
    uint64_t from_ns = clock_monotonic_ns();
    CK_ULONG total = 0, part = 1;

    ok(module->C_FindObjectsInit(session, template, count), "C_FindObjectsInit");
    for (CK_ULONG piece = 1; part > 0 && total < room; piece = 256) {
        ok(module->C_FindObjects(session, found + total,
                                 piece < room - total ? piece : room - total, &part),
           "C_FindObjects");
        if (total == 0 && ret_first_ns != NULL) {
            *ret_first_ns = clock_monotonic_ns() - from_ns;
        }
        total += part;
    }
    ok(module->C_FindObjectsFinal(session), "C_FindObjectsFinal");
    return total;
}

struct named {
    char label[32];
    CK_BYTE id[4];
};

/* As qh-keys calls them. */
static struct named name_of(unsigned number)
{
    struct named named;

    (void)snprintf(named.label, sizeof named.label, "many-%u", number);
    for (unsigned i = 0; i < 4; i++) {
        named.id[i] = (CK_BYTE)(number >> (24 - 8 * i));
    }
    return named;
}

/* ---- finding ---- */

enum kind { BY_LABEL, BY_ID, BY_CLASS_AND_ID, BY_CLASS_AND_TYPE, KINDS };
static const char *const kind_names[KINDS] = {"find by label", "find by id", "find by class and id",
                                              "find the only public EC key"};

static CK_ULONG find_one(enum kind kind, unsigned number)
{
    struct named named = name_of(number);
    CK_OBJECT_CLASS object_class = kind == BY_CLASS_AND_TYPE ? CKO_PUBLIC_KEY : CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_ATTRIBUTE label = {CKA_LABEL, named.label, strlen(named.label)};
    CK_ATTRIBUTE id = {CKA_ID, named.id, sizeof named.id};
    CK_ATTRIBUTE by_class = {CKA_CLASS, &object_class, sizeof object_class};
    CK_ATTRIBUTE by_type = {CKA_KEY_TYPE, &type, sizeof type};
    CK_OBJECT_HANDLE found[4];

    switch (kind) {
    case BY_LABEL:
        return find(&label, 1, found, 4, NULL);
    case BY_ID:
        return find(&id, 1, found, 4, NULL);
    case BY_CLASS_AND_ID:
        return find((CK_ATTRIBUTE[]){by_class, id}, 2, found, 4, NULL);
    case BY_CLASS_AND_TYPE:
    case KINDS:
        break;
    }
    return find((CK_ATTRIBUTE[]){by_class, by_type}, 2, found, 4, NULL);
}

static void measure_finds(void)
{
    static uint64_t samples[FINDS];
    struct summary summary;

    for (enum kind kind = BY_LABEL; kind < KINDS; kind++) {
        for (unsigned i = 0; i < FINDS; i++) {
            uint64_t from_ns = clock_monotonic_ns();

            need(find_one(kind, i * 7919u % options.count) == 1, "a search found not one object");
            samples[i] = clock_monotonic_ns() - from_ns;
            if (kind == BY_LABEL && i == 0) {
                (void)printf("%-44s     %8.3f ms\n", "the first find by label",
                             (double)samples[0] / 1e6);
            }
        }
        summary = summarize(samples, FINDS);
        print_summary(kind_names[kind], &summary);
    }
}

/* ---- listing ---- */

static CK_OBJECT_HANDLE *list_all(CK_ULONG *ret_count)
{
    CK_ULONG room = options.count + 1000;
    CK_OBJECT_HANDLE *all = calloc(room, sizeof *all);
    CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
    CK_ATTRIBUTE by_class = {CKA_CLASS, &object_class, sizeof object_class};
    unsigned long before = memory_of("self"), node_before = memory_of(options.pid);
    uint64_t from_ns = clock_monotonic_ns(), first_ns = 0;
    double seconds;

    need(all != NULL, "memory");
    *ret_count = find(&by_class, 1, all, room, &first_ns);
    seconds = (double)(clock_monotonic_ns() - from_ns) / 1e9;
    need(*ret_count == options.count, "the list is not of all keys");
    (void)printf("%-44s     %8.3f ms\n", "list of a class: the first handle",
                 (double)first_ns / 1e6);
    (void)printf("%-44s     %8.0f objects/s\n", "list of a class: all",
                 (double)*ret_count / seconds);
    (void)printf("%-44s     %8.0f bytes an object (%lu to %lu KiB)\n", "  memory of this process",
                 (double)(memory_of("self") - before) * 1024.0 / (double)*ret_count, before,
                 memory_of("self"));
    (void)printf("%-44s     %lu to %lu KiB\n", "  memory of the node", node_before,
                 memory_of(options.pid));
    return all;
}

static void read_all(const CK_OBJECT_HANDLE *all, CK_ULONG count)
{
    uint64_t from_ns = clock_monotonic_ns();
    char label[64];

    for (CK_ULONG i = 0; i < count; i++) {
        CK_ATTRIBUTE attribute = {CKA_LABEL, label, sizeof label};

        ok(module->C_GetAttributeValue(session, all[i], &attribute, 1), "C_GetAttributeValue");
    }
    (void)printf("%-44s     %8.0f objects/s\n", "reading the label of each, in that order",
                 (double)count * 1e9 / (double)(clock_monotonic_ns() - from_ns));
}

/* ---- the other client ---- */

enum order { ORDER_SIGN, ORDER_FIND, ORDER_MISS };

struct other {
    pid_t pid;
    int orders, answers;
};

static CK_OBJECT_HANDLE public_key, signing_key;

static void make_signing_key(void)
{
    CK_BYTE params[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE public_template[] = {{CKA_EC_PARAMS, params, sizeof params}, {CKA_TOKEN, &yes, 1}};
    CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, &yes, 1}, {CKA_SIGN, &yes, 1}};

    ok(module->C_GenerateKeyPair(session, &mechanism, public_template, 2, private_template, 2,
                                 &public_key, &signing_key),
       "C_GenerateKeyPair");
}

static struct summary sign_for_a_while(void)
{
    uint64_t until_ns = clock_monotonic_ns() + options.seconds * 1000000000ull;
    uint64_t *samples = calloc(SAMPLES_MAX, sizeof *samples);
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    struct summary summary;
    size_t count = 0;

    need(samples != NULL, "memory");
    for (uint64_t now_ns = clock_monotonic_ns(); now_ns < until_ns && count < SAMPLES_MAX;) {
        CK_BYTE digest[32] = {1}, signature[64];
        CK_ULONG size = sizeof signature;
        uint64_t then_ns;

        ok(module->C_SignInit(session, &mechanism, signing_key), "C_SignInit");
        ok(module->C_Sign(session, digest, sizeof digest, signature, &size), "C_Sign");
        then_ns = clock_monotonic_ns();
        samples[count++] = then_ns - now_ns;
        now_ns = then_ns;
    }
    summary = summarize(samples, count);
    free(samples);
    return summary;
}

/* Until "fresh" is found, or is not. */
static struct summary look_for(bool there)
{
    char name[] = "fresh";
    CK_ATTRIBUTE label = {CKA_LABEL, name, strlen(name)};
    uint64_t from_ns = clock_monotonic_ns(), took_ns = 0;
    CK_OBJECT_HANDLE found[2];

    while ((find(&label, 1, found, 2, NULL) > 0) != there) {
        took_ns = clock_monotonic_ns() - from_ns;
        need(took_ns < GIVE_UP_MS * 1000000ull, "a change is not seen");
    }
    took_ns = clock_monotonic_ns() - from_ns;
    return (struct summary){.count = 1, .max_ms = (double)took_ns / 1e6};
}

static void be_the_other(int orders, int answers)
{
    struct summary summary;
    char order;

    who = "the other client";
    open_module();
    make_signing_key();
    need(write(answers, "", 1) == 1, "write");
    while (read(orders, &order, 1) == 1) {
        summary = order == ORDER_SIGN ? sign_for_a_while() : look_for(order == ORDER_FIND);
        need(write(answers, &summary, sizeof summary) == sizeof summary, "write");
    }
    ok(module->C_DestroyObject(session, public_key), "C_DestroyObject");
    ok(module->C_DestroyObject(session, signing_key), "C_DestroyObject");
    ok(module->C_Finalize(NULL), "C_Finalize");
    _exit(0);
}

static struct other start_other(void)
{
    struct other other;
    int orders[2], answers[2];
    char ready;

    need(pipe(orders) == 0 && pipe(answers) == 0, "pipe");
    other = (struct other){.pid = fork(), .orders = orders[1], .answers = answers[0]};
    need(other.pid >= 0, "fork");
    if (other.pid == 0) {
        (void)close(orders[1]);
        be_the_other(orders[0], answers[1]);
    }
    (void)close(orders[0]);
    (void)close(answers[1]);
    need(read(answers[0], &ready, 1) == 1, "the other client does not start");
    return other;
}

static void tell(const struct other *other, enum order order)
{
    char byte = (char)order;

    need(write(other->orders, &byte, 1) == 1, "write");
}

static struct summary hear(const struct other *other)
{
    struct summary summary;

    need(read(other->answers, &summary, sizeof summary) == sizeof summary, "the other client died");
    return summary;
}

/* For as long as the other client signs. */
static unsigned list_for_a_while(CK_OBJECT_HANDLE *all)
{
    uint64_t until_ns = clock_monotonic_ns() + options.seconds * 1000000000ull;
    unsigned lists = 0;

    while (clock_monotonic_ns() < until_ns) {
        need(find(NULL, 0, all, options.count, NULL) == options.count, "the list is not of all");
        lists++;
    }
    return lists;
}

static void compute_for_a_while(void)
{
    uint64_t until_ns = clock_monotonic_ns() + options.seconds * 1000000000ull;

    while (clock_monotonic_ns() < until_ns) {
    }
}

static void measure_signing(const struct other *other, CK_OBJECT_HANDLE *all)
{
    struct summary summary;
    unsigned lists;

    tell(other, ORDER_SIGN);
    summary = hear(other);
    print_summary("another client's P-256 signatures, alone", &summary);
    /* So much of it is only that there are so few processors. */
    tell(other, ORDER_SIGN);
    compute_for_a_while();
    summary = hear(other);
    print_summary("the same while this one computes", &summary);
    tell(other, ORDER_SIGN);
    lists = list_for_a_while(all);
    summary = hear(other);
    print_summary("the same while this one lists all", &summary);
    (void)printf("%-44s     %8u\n", "  lists meanwhile", lists);
}

static void measure_changes(const struct other *other)
{
    static uint64_t seen[2][CHANGES];
    CK_OBJECT_CLASS object_class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE;
    char name[] = "fresh";
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &object_class, sizeof object_class},
                               {CKA_TOKEN, &yes, 1},
                               {CKA_LABEL, name, strlen(name)}};
    CK_OBJECT_HANDLE object;
    struct summary summary;

    for (unsigned i = 0; i < CHANGES; i++) {
        ok(module->C_CreateObject(session, template, 3, &object), "C_CreateObject");
        tell(other, ORDER_FIND);
        seen[0][i] = (uint64_t)(hear(other).max_ms * 1e6);
        ok(module->C_DestroyObject(session, object), "C_DestroyObject");
        tell(other, ORDER_MISS);
        seen[1][i] = (uint64_t)(hear(other).max_ms * 1e6);
    }
    summary = summarize(seen[0], CHANGES);
    print_summary("until another client sees a new object", &summary);
    summary = summarize(seen[1], CHANGES);
    print_summary("until it sees that one is destroyed", &summary);
}

/* ---- */

static void parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"module", required_argument, NULL, 'm'},
        {"token", required_argument, NULL, 't'},
        {"pin-file", required_argument, NULL, 'f'},
        {"pid", required_argument, NULL, 'p'},
        {"count", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'm':
            options.module = optarg;
            break;
        case 't':
            options.token = optarg;
            break;
        case 'f':
            options.pin_file = optarg;
            break;
        case 'p':
            options.pid = optarg;
            break;
        case 'n':
            options.count = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            options.seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        default:
            exit(2);
        }
    }
    if (options.module == NULL || options.token == NULL || options.pin_file == NULL ||
        options.pid == NULL || options.count == 0 || options.seconds == 0) {
        (void)fprintf(stderr, "usage: qh-bench-objects --module FILE --token LABEL --pin-file FILE "
                              "--pid PID --count N [--seconds N]\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    CK_OBJECT_HANDLE *all;
    struct other other;
    CK_ULONG count;
    int status;

    parse(argc, argv);
    other = start_other();
    open_module();
    measure_finds();
    all = list_all(&count);
    read_all(all, count);
    measure_signing(&other, all);
    measure_changes(&other);
    free(all);
    (void)close(other.orders);
    need(waitpid(other.pid, &status, 0) == other.pid && status == 0, "the other client failed");
    ok(module->C_Finalize(NULL), "C_Finalize");
    return 0;
}
