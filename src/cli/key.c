/* `quadhsm key`: the keys of a partition. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/keyexport.h"
#include "cli/keyfind.h"
#include "cli/keyimport.h"
#include "cli/keyinfo.h"
#include "cli/keyplan.h"
#include "cli/keywrapped.h"
#include "cli/progress.h"

/* Open --partition and log in as --role. */
static int open_logged_in(struct cli *cli, struct quadhsm_token **ret_token)
{
    const char *name = options_text(&cli->options, "role");
    enum quadhsm_role role = QUADHSM_CO;

    if (name != NULL && strcmp(name, "cu") == 0) {
        role = QUADHSM_CU;
    } else if (name != NULL && strcmp(name, "co") != 0) {
        return output_misuse(&cli->output, "--role is co (makes and uses keys) or cu (uses them)");
    }
    return cli_open_logged_in(cli, role, ret_token);
}

/* ---- list and show ---- */

static void print_keys(const struct cli *cli, struct quadhsm_object *const *objects, size_t count,
                       bool heads)
{
    static const char *const names[] = {"id", "label", "type", "size", "usage", NULL};
    struct keyinfo info;
    struct table table;

    table_init(&table, names);
    for (size_t i = 0; i < count; i++) {
        keyinfo_of(objects[i], &info);
        table_cell(&table, STYLE_PLAIN, "%s", info.id[0] != '\0' ? info.id : "-");
        table_cell(&table, STYLE_BOLD, "%s", info.label[0] != '\0' ? info.label : "-");
        table_cell(&table, STYLE_PLAIN, "%s", info.type);
        table_cell(&table, STYLE_PLAIN, "%s", info.size);
        table_cell(&table, STYLE_PLAIN, "%s", info.usage);
    }
    table_print(&table, &cli->output, 0, heads);
}

static void print_json(const struct cli *cli, struct quadhsm_object *const *objects, size_t count)
{
    json_t *list = json_array();
    struct keyinfo info;

    for (size_t i = 0; i < count; i++) {
        keyinfo_of(objects[i], &info);
        (void)json_array_append_new(list, keyinfo_json(&info));
    }
    output_json(&cli->output, list);
}

/* An array whose elements come page by page. */
static void print_json_page(const struct cli *cli, struct quadhsm_object *const *objects,
                            size_t count, bool first)
{
    struct keyinfo info;

    for (size_t i = 0; i < count; i++) {
        json_t *object;

        keyinfo_of(objects[i], &info);
        object = keyinfo_json(&info);
        (void)fputs(first && i == 0 ? "" : ",\n", cli->output.out);
        (void)json_dumpf(object, cli->output.out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        json_decref(object);
    }
}

static void print_one(const struct cli *cli, const struct quadhsm_object *object)
{
    static const char *const heads[] = {"", "", NULL};
    struct keyinfo info;
    struct table table;

    keyinfo_of(object, &info);
    table_init(&table, heads);
    table_cell(&table, STYLE_DIM, "label");
    table_cell(&table, STYLE_BOLD, "%s", info.label);
    table_cell(&table, STYLE_DIM, "id");
    table_cell(&table, STYLE_PLAIN, "%s", info.id);
    table_cell(&table, STYLE_DIM, "object");
    table_cell(&table, STYLE_PLAIN, "%s", info.handle);
    table_cell(&table, STYLE_DIM, "type");
    table_cell(&table, STYLE_PLAIN, "%s %s", info.type, info.size);
    table_cell(&table, STYLE_DIM, "usage");
    table_cell(&table, STYLE_PLAIN, "%s", info.usage);
    table_cell(&table, STYLE_DIM, "access");
    table_cell(&table, STYLE_PLAIN, "%s, %s, %s", info.is_private ? "private" : "public",
               info.sensitive ? "sensitive" : "not sensitive",
               info.extractable ? "extractable" : "not extractable");
    table_print(&table, &cli->output, 0, false);
}

/* Page by page, so that a hundred thousand keys take the memory of one page. */
static int list_pages(struct cli *cli, struct quadhsm_token *token)
{
    struct quadhsm_place after;
    bool first = true;
    bool more = true;

    while (more) {
        struct quadhsm_object **objects = NULL;
        size_t count = 0;
        int err =
            quadhsm_find_page(token, NULL, 0, first ? NULL : &after, 0, &objects, &count, &more);

        if (err != QUADHSM_OK) {
            return cli_fail(cli, err, "listing the keys");
        }
        if (cli->output.json) {
            print_json_page(cli, objects, count, first);
        } else if (count > 0 || !first) {
            print_keys(cli, objects, count, first);
        } else {
            output_say(&cli->output, "none yet: `quadhsm key generate` makes one");
        }
        if (count > 0) {
            memcpy(after.id, objects[count - 1]->id, sizeof(after.id));
            after.created = objects[count - 1]->created;
        }
        more = more && count > 0;
        first = false;
        quadhsm_objects_free(objects, count);
    }
    return EXIT_DONE;
}

static int run_list(struct cli *cli)
{
    struct quadhsm_token *token = NULL;
    int status = open_logged_in(cli, &token);

    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        (void)fputs("[\n", cli->output.out);
    }
    status = list_pages(cli, token);
    if (cli->output.json && status == EXIT_DONE) {
        (void)fputs("\n]\n", cli->output.out);
    }
    quadhsm_token_close(token);
    return status;
}

static int fail_none(struct cli *cli, const char *name)
{
    return output_fail(&cli->output, QH_ENOTFOUND,
                       "`quadhsm key list` names those there are; write a label or an id", "key %s",
                       name);
}

static void show_chosen(const struct cli *cli, struct quadhsm_object *const *chosen, size_t count)
{
    json_t *list = cli->output.json ? json_array() : NULL;
    struct keyinfo info;

    for (size_t i = 0; i < count; i++) {
        if (cli->output.json) {
            keyinfo_of(chosen[i], &info);
            (void)json_array_append_new(list, keyinfo_json(&info));
        } else {
            output_say(&cli->output, "%s", "");
            print_one(cli, chosen[i]);
        }
    }
    if (cli->output.json) {
        output_json(&cli->output, list);
    }
}

/* With the keys that the argument means. */
typedef int (*with_chosen)(struct cli *cli, struct quadhsm_token *token,
                           struct quadhsm_object *const *chosen, size_t count);

static int run_chosen(struct cli *cli, with_chosen act)
{
    const char *name = options_argument(&cli->options, 0);
    struct quadhsm_token *token = NULL;
    struct keyfind found;
    int status = open_logged_in(cli, &token);

    if (status != EXIT_DONE) {
        return status;
    }
    status = keyfind_open(cli, token, name, &found);
    if (status == EXIT_DONE && found.more) {
        status = output_fail(&cli->output, QH_EINVAL,
                             "more keys than one can mean have this name; write an object's id "
                             "from `quadhsm key list --json`",
                             "key %s", name);
    } else if (status == EXIT_DONE) {
        status =
            found.count == 0 ? fail_none(cli, name) : act(cli, token, found.objects, found.count);
    }
    keyfind_close(&found);
    quadhsm_token_close(token);
    return status;
}

static int act_show(struct cli *cli, struct quadhsm_token *token,
                    struct quadhsm_object *const *chosen, size_t count)
{
    (void)token;
    show_chosen(cli, chosen, count);
    return EXIT_DONE;
}

static int run_show(struct cli *cli)
{
    return run_chosen(cli, act_show);
}

/* ---- destroy ---- */

/* One key, or the two halves of one pair. */
static bool is_one_key(struct quadhsm_object *const *chosen, size_t count)
{
    struct keyinfo first;
    struct keyinfo second;

    if (count == 1) {
        return true;
    }
    keyinfo_of(chosen[0], &first);
    keyinfo_of(chosen[1], &second);
    return count == 2 && first.id[0] != '\0' && strcmp(first.id, second.id) == 0 &&
           strcmp(first.type, second.type) != 0;
}

static int destroy_one(struct cli *cli, struct quadhsm_token *token,
                       const struct quadhsm_object *object)
{
    struct keyinfo info;
    int err;

    keyinfo_of(object, &info);
    err = quadhsm_destroy(token, object->id);
    if (err != QUADHSM_OK) {
        return cli_fail(cli, err, "destroying %s key %s", info.type, info.label);
    }
    output_say(&cli->output, "%s key %s is destroyed", info.type, info.label);
    return EXIT_DONE;
}

static int act_destroy(struct cli *cli, struct quadhsm_token *token,
                       struct quadhsm_object *const *chosen, size_t count)
{
    int status = EXIT_DONE;

    if (!is_one_key(chosen, count)) {
        if (!cli->output.json) {
            show_chosen(cli, chosen, count);
        }
        return output_fail(&cli->output, QH_EREFUSED,
                           "this means several keys; write one's id or object instead of its label",
                           "destroying %s", options_argument(&cli->options, 0));
    }
    if (!options_flag(&cli->options, "yes") && !cli->output.json) {
        show_chosen(cli, chosen, count);
    }
    status = cli_confirm(cli, "destroy this key, for ever");
    for (size_t i = 0; i < count && status == EXIT_DONE; i++) {
        status = destroy_one(cli, token, chosen[i]);
    }
    if (status == EXIT_DONE && cli->output.json) {
        show_chosen(cli, chosen, count);
    }
    return status;
}

static int run_destroy(struct cli *cli)
{
    return run_chosen(cli, act_destroy);
}

/* ---- generate ---- */

static int generate(struct cli *cli, struct quadhsm_token *token, const struct keyplan *plan)
{
    struct quadhsm_object *objects[2] = {NULL, NULL};
    struct progress *progress;
    char text[PROGRESS_TEXT_ROOM];
    size_t count = plan->pair ? 2 : 1;
    int err;

    (void)snprintf(text, sizeof(text), "making a key of type %s",
                   options_text(&cli->options, "type"));
    progress = progress_begin(&cli->output, !plan->slow, text);
    err = plan->pair ? quadhsm_generate_pair(token, &plan->mechanism, plan->first.list,
                                             plan->first.count, plan->private.list,
                                             plan->private.count, &objects[0], &objects[1])
                     : quadhsm_generate(token, &plan->mechanism, plan->first.list,
                                        plan->first.count, &objects[0]);
    progress_end(progress);
    if (err != QUADHSM_OK) {
        return cli_fail(cli, err, "%s", text);
    }
    if (cli->output.json) {
        print_json(cli, objects, count);
    } else {
        print_keys(cli, objects, count, true);
    }
    quadhsm_object_free(objects[0]);
    quadhsm_object_free(objects[1]);
    return EXIT_DONE;
}

static int run_generate(struct cli *cli)
{
    struct quadhsm_token *token = NULL;
    struct keyplan plan;
    const char *problem = NULL;
    int status;

    if (keyplan_generate(options_text(&cli->options, "type"), options_text(&cli->options, "label"),
                         options_text(&cli->options, "id"),
                         options_flag(&cli->options, "extractable"), &plan, &problem) != QH_OK) {
        return output_misuse(&cli->output, "%s", problem);
    }
    status = open_logged_in(cli, &token);
    if (status == EXIT_DONE) {
        status = generate(cli, token, &plan);
        quadhsm_token_close(token);
    }
    return status;
}

/* ---- the table ---- */

static const struct option_spec common_options[] = {
    {.name = "partition",
     .kind = OPTION_TEXT,
     .argument = "P",
     .help = "the partition",
     .required = true},
    {.name = "pin-file",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the PIN (-: standard input)"},
    {.name = "role", .kind = OPTION_TEXT, .argument = "co|cu", .help = "who logs in (default: co)"},
    {.name = "config",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the client's configuration; see quadhsm.yaml(5) for where it is found"},
    {.name = NULL},
};
static const struct option_spec generate_options[] = {
    {.name = "type",
     .kind = OPTION_TEXT,
     .argument = "TYPE",
     .help = "rsa:2048 (to 8192), ec:P-256 (P-384, P-521, secp256k1), ed25519, ed448, x25519,\n"
             "                              x448, aes:256 or hmac:256",
     .required = true},
    {.name = "label",
     .kind = OPTION_TEXT,
     .argument = "L",
     .help = "by which applications find it",
     .required = true},
    {.name = "id",
     .kind = OPTION_TEXT,
     .argument = "HEX",
     .help = "CKA_ID, the same for both halves of a pair (default: random)"},
    {.name = "extractable", .kind = OPTION_FLAG, .help = "may leave the cluster, wrapped"},
    {.name = NULL},
};
static const struct option_spec destroy_options[] = {
    {.name = "yes", .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};

const struct command key_commands[] = {
    {"key", "list", "", 0, 0, "List a partition's keys.", NULL,
     "quadhsm key list --partition payments", NULL, common_options, run_list},
    {"key", "show", "LABEL|ID", 1, 1, "Show a key.", NULL,
     "quadhsm key show signing --partition payments", NULL, common_options, run_show},
    {"key", "generate", "", 0, 0, "Make a key.",
     "The private half stays in the cluster; without --extractable it cannot even leave wrapped.",
     "quadhsm key generate --partition payments --type ec:P-256 --label signing", generate_options,
     common_options, run_generate},
    {"key", "destroy", "LABEL|ID", 1, 1, "Destroy a key, both halves of it.",
     "Nothing brings it back. Asks first, unless --yes is given.",
     "quadhsm key destroy signing --partition payments", destroy_options, common_options,
     run_destroy},
    {"key", "import", "FILE", 0, 1, "Bring a key and its certificates from a file.",
     "FILE is PEM or DER: PKCS#8, encrypted or not, a traditional RSA or EC key, a certificate, a\n"
     "public key; or PKCS#12; or with --secret raw bytes. The key is wrapped on this machine, for\n"
     "a key that the cluster makes for this, and unwrapped there. What the partition has already\n"
     "is not made again. With --wrapped instead of FILE the key was wrapped elsewhere, for a key\n"
     "of `quadhsm key wrapping-key`. The passphrase is asked for first, then the PIN of co.",
     "quadhsm key import server.pem --partition payments --label server", keyimport_options,
     cli_co_options, keyimport_run},
    {"key", "export", "", 0, 0, "Let a key leave, wrapped by another.",
     "Where its CKA_EXTRACTABLE and the partition's policy allow it. An RSA wrapping key gives\n"
     "CKM_RSA_AES_KEY_WRAP, an AES key CKM_AES_KEY_WRAP_KWP (RFC 5649).",
     "quadhsm key export --wrapped --partition payments --label server --wrapping-key \\\n"
     "      backup.pem --out server.wrapped",
     keyexport_options, cli_co_options, keyexport_run},
    {"key", "wrapping-key", "", 0, 0, "Make or find a key that others wrap keys for.",
     "The private half stays in the cluster and does nothing but unwrap.",
     "quadhsm key wrapping-key --partition payments --out wrap.pem", keywrapped_options,
     cli_co_options, keywrapped_run},
    {.run = NULL},
};
