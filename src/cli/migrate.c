/* `quadhsm migrate`: the objects of another PKCS#11 token, copied into a partition. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/migrate_copy.h"
#include "cli/progress.h"

#define PROGRESS_EVERY 100u

enum row { ROW_PRIVATE, ROW_SECRET, ROW_PUBLIC, ROW_CERTIFICATE, ROW_DATA, ROW_OTHER, ROWS };
static const char *const row_names[ROWS] = {"private keys", "secret keys",  "public keys",
                                            "certificates", "data objects", "others"};

struct tally {
    struct migrate_item *items;
    size_t count;
    unsigned counts[ROWS][MIGRATE_FAILED + 1];
    unsigned failed;
};

static enum row row_of(CK_OBJECT_CLASS object_class)
{
    switch (object_class) {
    case CKO_PRIVATE_KEY:
        return ROW_PRIVATE;
    case CKO_SECRET_KEY:
        return ROW_SECRET;
    case CKO_PUBLIC_KEY:
        return ROW_PUBLIC;
    case CKO_CERTIFICATE:
        return ROW_CERTIFICATE;
    case CKO_DATA:
        return ROW_DATA;
    default:
        return ROW_OTHER;
    }
}

static const char *kind_of(const struct migrate_item *item)
{
    static const struct {
        CK_OBJECT_CLASS object_class;
        CK_KEY_TYPE key_type;
        const char *name;
    } kinds[] = {
        {CKO_PRIVATE_KEY, CKK_RSA, "RSA private"},
        {CKO_PRIVATE_KEY, CKK_EC, "EC private"},
        {CKO_PRIVATE_KEY, CKK_EC_EDWARDS, "EdDSA private"},
        {CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY, "XDH private"},
        {CKO_PRIVATE_KEY, CKK_DSA, "DSA private"},
        {CKO_PRIVATE_KEY, CKK_DH, "DH private"},
        {CKO_PUBLIC_KEY, CKK_RSA, "RSA public"},
        {CKO_PUBLIC_KEY, CKK_EC, "EC public"},
        {CKO_PUBLIC_KEY, CKK_EC_EDWARDS, "EdDSA public"},
        {CKO_PUBLIC_KEY, CKK_EC_MONTGOMERY, "XDH public"},
        {CKO_PUBLIC_KEY, CKK_DSA, "DSA public"},
        {CKO_PUBLIC_KEY, CKK_DH, "DH public"},
        {CKO_SECRET_KEY, CKK_AES, "AES"},
        {CKO_SECRET_KEY, CKK_GENERIC_SECRET, "generic secret"},
        {CKO_SECRET_KEY, CKK_DES, "DES"},
        {CKO_SECRET_KEY, CKK_DES2, "DES2"},
        {CKO_SECRET_KEY, CKK_DES3, "DES3"},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].object_class == item->object_class && kinds[i].key_type == item->key_type) {
            return kinds[i].name;
        }
    }
    switch ((int)row_of(item->object_class)) {
    case ROW_PRIVATE:
        return "private key";
    case ROW_SECRET:
        return "secret key";
    case ROW_PUBLIC:
        return "public key";
    case ROW_CERTIFICATE:
        return "certificate";
    case ROW_DATA:
        return "data";
    default:
        return "object";
    }
}

/* ---- the report ---- */

static json_t *item_json(const struct migrate_item *item)
{
    json_t *object = json_pack("{s:s, s:o, s:s}", "type", kind_of(item), "label",
                               cli_json_text(item->label), "id", item->id);

    if (item->fate == MIGRATE_COPIED && row_of(item->object_class) <= ROW_SECRET) {
        (void)json_object_set_new(object, "wrapped", json_boolean(item->wrapped));
    }
    if (item->why[0] != '\0') {
        (void)json_object_set_new(object, "why", cli_json_text(item->why));
    }
    return object;
}

static void report_json(const struct migration *migration, const struct tally *tally)
{
    static const char *const names[] = {"copied", "present", "left", "failed"};
    json_t *lists[MIGRATE_FAILED + 1];
    json_t *counts = json_object();
    json_t *whole;

    for (unsigned i = 0; i <= MIGRATE_FAILED; i++) {
        lists[i] = json_array();
        (void)json_object_set_new(counts, names[i], json_integer(0));
    }
    for (size_t i = 0; i < tally->count; i++) {
        (void)json_array_append_new(lists[tally->items[i].fate], item_json(&tally->items[i]));
    }
    whole = json_pack("{s:o, s:b, s:o}", "token", cli_json_text(migration->source.name), "dry_run",
                      (int)migration->dry_run, "counts", counts);
    for (unsigned i = 0; i <= MIGRATE_FAILED; i++) {
        (void)json_object_set_new(counts, names[i],
                                  json_integer((json_int_t)json_array_size(lists[i])));
        (void)json_object_set_new(whole, names[i], lists[i]);
    }
    output_json(&migration->cli->output, whole);
}

static void print_left(const struct migration *migration, const struct tally *tally)
{
    static const char *const heads[] = {"not copied", "label", "id", "why", NULL};
    struct table table;
    size_t rows = 0;

    table_init(&table, heads);
    for (size_t i = 0; i < tally->count; i++) {
        const struct migrate_item *item = &tally->items[i];

        if (item->fate != MIGRATE_LEFT && item->fate != MIGRATE_FAILED) {
            continue;
        }
        table_cell(&table, STYLE_PLAIN, "%s", kind_of(item));
        table_cell(&table, STYLE_BOLD, "%s", item->label[0] != '\0' ? item->label : "-");
        table_cell(&table, STYLE_PLAIN, "%s", item->id[0] != '\0' ? item->id : "-");
        table_cell(&table, item->fate == MIGRATE_FAILED ? STYLE_BAD : STYLE_WARN, "%s", item->why);
        rows++;
    }
    table_print(&table, &migration->cli->output, 0, rows > 0);
    if (rows > 0) {
        output_say(&migration->cli->output, "%s", "");
    }
}

static void print_counts(const struct migration *migration, const struct tally *tally)
{
    const char *const heads[] = {"",
                                 ">found",
                                 migration->dry_run ? ">to copy" : ">copied",
                                 ">there already",
                                 ">not copied",
                                 ">failed",
                                 NULL};
    struct table table;

    table_init(&table, heads);
    for (unsigned row = 0; row < ROWS; row++) {
        const unsigned *counts = tally->counts[row];
        unsigned found = 0;

        for (unsigned i = 0; i <= MIGRATE_FAILED; i++) {
            found += counts[i];
        }
        if (row == ROW_OTHER && found == 0) {
            continue;
        }
        table_cell(&table, STYLE_BOLD, "%s", row_names[row]);
        table_cell(&table, STYLE_PLAIN, "%u", found);
        for (unsigned i = 0; i <= MIGRATE_FAILED; i++) {
            table_cell(&table, i == MIGRATE_FAILED && counts[i] > 0 ? STYLE_BAD : STYLE_PLAIN, "%u",
                       counts[i]);
        }
    }
    table_print(&table, &migration->cli->output, 0, true);
}

static int report(const struct migration *migration, const struct tally *tally)
{
    if (migration->cli->output.json) {
        report_json(migration, tally);
    } else {
        print_left(migration, tally);
        print_counts(migration, tally);
    }
    return tally->failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- the work ---- */

static int copy_all(struct migration *migration, struct tally *tally)
{
    size_t count = migration->source.count;
    char text[PROGRESS_TEXT_ROOM];
    struct progress *progress = NULL;
    int status = EXIT_DONE;

    tally->items = calloc(count + 1, sizeof(*tally->items));
    if (tally->items == NULL) {
        return output_fail(&migration->cli->output, QH_ENOMEM, NULL, "copying");
    }
    for (size_t i = 0; i < count && status == EXIT_DONE; i++) {
        struct migrate_item *item = &tally->items[tally->count];

        (void)snprintf(text, sizeof(text), "object %zu of %zu of token %s", i + 1, count,
                       migration->source.name);
        if (progress == NULL) {
            progress = progress_begin(&migration->cli->output, true, text);
        } else if (i % PROGRESS_EVERY == 0) {
            progress_set(progress, text);
        }
        status = migrate_copy(migration, migration->source.objects[i], item);
        if (status == EXIT_DONE) {
            tally->count++;
            tally->counts[row_of(item->object_class)][item->fate]++;
            tally->failed += item->fate == MIGRATE_FAILED ? 1 : 0;
        }
    }
    progress_end(progress);
    return status;
}

static int prepare(struct migration *migration)
{
    enum qh_err err;
    int status;

    if (migration->dry_run) {
        return EXIT_DONE;
    }
    status = transfer_begin(migration->cli, migration->token, &migration->transfer);
    if (status != EXIT_DONE) {
        return status;
    }
    err = source_prepare(&migration->source, transfer_modulus(migration->transfer),
                         transfer_exponent(migration->transfer), migration->no_wrapping);
    return err == QH_OK || err != QH_ENOMEM
               ? EXIT_DONE
               : output_fail(&migration->cli->output, err, NULL, "asking the other token to wrap");
}

static int run_opened(struct migration *migration)
{
    struct tally tally = {.items = NULL};
    int status = source_list(migration->cli, &migration->source);

    if (status == EXIT_DONE) {
        status = cli_open_logged_in(migration->cli, QUADHSM_CO, &migration->token);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    status = prepare(migration);
    if (status == EXIT_DONE) {
        status = copy_all(migration, &tally);
    }
    if (tally.count > 0 || status == EXIT_DONE) {
        int reported = report(migration, &tally);

        status = status != EXIT_DONE ? status : reported;
    }
    free(tally.items);
    free(migration->claimed);
    transfer_end(migration->transfer);
    quadhsm_token_close(migration->token);
    return status;
}

static int run_module(struct cli *cli, const char *path)
{
    SECRET_SCOPED struct secret *pin = NULL;
    struct migration migration = {.cli = cli,
                                  .dry_run = options_flag(&cli->options, "dry-run"),
                                  .extractable = options_flag(&cli->options, "extractable")};
    const char *slot = options_text(&cli->options, "slot");
    const char *label = options_text(&cli->options, "token");
    int status;

    if (slot != NULL && label != NULL) {
        return output_misuse(&cli->output, "--token or --slot, not both");
    }
    status = source_open(cli, path, label, slot, &migration.source);
    if (status == EXIT_DONE && migration.source.login_required) {
        status =
            cli_password(cli, "source-pin-file", "user PIN of the other token", false, 1, &pin);
        if (status == EXIT_DONE) {
            status = source_login(cli, &migration.source, pin);
        }
    }
    if (status == EXIT_DONE) {
        status = run_opened(&migration);
    }
    source_close(&migration.source);
    return status;
}

static int run_softhsm(struct cli *cli)
{
    static const char *const places[] = {
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    };
    const char *path = options_text(&cli->options, "module");
    const char *conf = options_text(&cli->options, "conf");

    if (conf != NULL && (access(conf, R_OK) != 0 || setenv("SOFTHSM2_CONF", conf, 1) != 0)) {
        return output_fail(&cli->output, QH_ENOTFOUND,
                           "--conf names the softhsm2.conf of the token, and it must be readable",
                           "reading %s", conf);
    }
    for (size_t i = 0; path == NULL && i < sizeof(places) / sizeof(places[0]); i++) {
        path = access(places[i], R_OK) == 0 ? places[i] : NULL;
    }
    if (path == NULL) {
        return output_fail(&cli->output, QH_ENOTFOUND,
                           "install the package softhsm2, or name its library with --module FILE",
                           "looking for libsofthsm2.so");
    }
    return run_module(cli, path);
}

static int run_pkcs11(struct cli *cli)
{
    return run_module(cli, options_text(&cli->options, "module"));
}

/* ---- the table ---- */

#define COMMON_OPTIONS                                                              \
    {.name = "token",                                                               \
     .kind = OPTION_TEXT,                                                           \
     .argument = "LABEL",                                                           \
     .help = "the other token (default: the only one)"},                            \
        {.name = "slot",                                                            \
         .kind = OPTION_TEXT,                                                       \
         .argument = "N",                                                           \
         .help = "the other token, by the number of its slot"},                     \
        {.name = "source-pin-file",                                                 \
         .kind = OPTION_TEXT,                                                       \
         .argument = "FILE",                                                        \
         .help = "the user PIN of the other token (-: standard input)"},            \
        {.name = "dry-run", .kind = OPTION_FLAG, .help = "say what would be done"}, \
        {.name = "extractable",                                                     \
         .kind = OPTION_FLAG,                                                       \
         .help = "the copies may leave the cluster, wrapped"},                      \
    {                                                                               \
        .name = NULL                                                                \
    }

static const struct option_spec softhsm_options[] = {
    {.name = "conf",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the softhsm2.conf (default: as SoftHSM finds it)"},
    {.name = "module",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "libsofthsm2.so, if it is not found"},
    COMMON_OPTIONS,
};
static const struct option_spec pkcs11_options[] = {
    {.name = "module",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the other PKCS#11 module",
     .required = true},
    COMMON_OPTIONS,
};

#define TEXT                                                                                    \
    "Copies keys, certificates and data objects with their label, id, subject and uses, and\n"  \
    "lists what it does not copy and why. Keys come out of the other token wrapped, where it\n" \
    "can, for a key that the cluster made; they are sensitive here, and not extractable\n"      \
    "without --extractable. The other token is not changed. What is there already is not\n"     \
    "copied again. The other token's PIN is asked for first, then that of co."

const struct command migrate_commands[] = {
    {"migrate", "softhsm", "", 0, 0, "Copy the objects of a SoftHSM token.", TEXT,
     "quadhsm migrate softhsm --partition payments --token old --dry-run", softhsm_options,
     cli_co_options, run_softhsm},
    {"migrate", "pkcs11", "", 0, 0, "Copy the objects of any PKCS#11 token.", TEXT,
     "quadhsm migrate pkcs11 --module /usr/lib/other.so --partition payments", pkcs11_options,
     cli_co_options, run_pkcs11},
    {.run = NULL},
};
