/* `quadhsm partition`: the parts of the cluster that keys live in. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "wire/frame.h"

static char *name_argument(const struct cli *cli)
{
    /* protobuf-c has no const; nothing is changed. */
    return (char *)(uintptr_t)options_argument(&cli->options, 0);
}

/* ---- the policy ---- */

static const char *const export_names[] = {"wrapped", "never", "clear"};
#define EXPORTS (sizeof(export_names) / sizeof(export_names[0]))

static const char *export_name(Quadhsm__Export export)
{
    return (unsigned)export < EXPORTS ? export_names[export] : "unknown";
}

/* --export; *ret_export stays as it is without one. */
static int read_export(struct cli *cli, Quadhsm__Export *ret_export)
{
    const char *name = options_text(&cli->options, "export");

    for (unsigned i = 0; name != NULL && i < EXPORTS; i++) {
        if (strcmp(name, export_names[i]) == 0) {
            *ret_export = (Quadhsm__Export)i;
            return EXIT_DONE;
        }
    }
    return name == NULL ? EXIT_DONE
                        : output_misuse(&cli->output, "--export is wrapped, never or clear");
}

/* ---- list and show ---- */

static json_t *role_json(const Quadhsm__RoleInfo *role)
{
    return json_pack("{s:s, s:b, s:b, s:i, s:I}", "role", cli_role_name((int)role->role), "has_pin",
                     (int)role->ready, "locked", (int)role->locked, "failed", (int)role->failed,
                     "epoch", (json_int_t)role->epoch);
}

static json_t *partition_json(const Quadhsm__PartitionInfo *info)
{
    char id[2 * PARTITION_ID_SIZE + 1] = "";
    json_t *roles = json_array();

    if (info->partition.len == PARTITION_ID_SIZE) {
        cli_hex(info->partition.data, info->partition.len, id, sizeof(id));
    }
    for (size_t i = 0; i < info->n_roles; i++) {
        (void)json_array_append_new(roles, role_json(info->roles[i]));
    }
    return json_pack("{s:o, s:s, s:o, s:I, s:I, s:s, s:b, s:o}", "name", cli_json_text(info->name),
                     "id", id, "serial", cli_json_text(info->serial), "keys",
                     (json_int_t)info->object_count, "revision", (json_int_t)info->revision,
                     "export", export_name(info->export), "claimable", (int)info->claimable,
                     "roles", roles);
}

static const Quadhsm__RoleInfo *find_role(const Quadhsm__PartitionInfo *info, int role)
{
    for (size_t i = 0; i < info->n_roles; i++) {
        if ((int)info->roles[i]->role == role) {
            return info->roles[i];
        }
    }
    return NULL;
}

static void cell_role(struct table *table, const Quadhsm__PartitionInfo *info, int role)
{
    const Quadhsm__RoleInfo *found = find_role(info, role);

    if (role == QUADHSM_PO && info->claimable && (found == NULL || !found->ready)) {
        table_cell(table, STYLE_WARN, "claimable");
    } else if (found == NULL || !found->ready) {
        table_cell(table, STYLE_DIM, "no PIN");
    } else if (found->locked) {
        table_cell(table, STYLE_BAD, "locked");
    } else if (found->failed > 0) {
        table_cell(table, STYLE_WARN, "%u wrong", found->failed);
    } else {
        table_cell(table, STYLE_GOOD, "ready");
    }
}

static void print_list(const struct cli *cli, const Quadhsm__PartitionInfoList *list)
{
    static const char *const heads[] = {"name", "serial", ">keys",  "po",
                                        "co",   "cu",     "export", NULL};
    struct table table;

    table_init(&table, heads);
    for (size_t i = 0; i < list->n_partitions; i++) {
        const Quadhsm__PartitionInfo *info = list->partitions[i];

        table_cell(&table, STYLE_BOLD, "%s", info->name);
        table_cell(&table, STYLE_PLAIN, "%s", info->serial);
        table_cell(&table, STYLE_PLAIN, "%" PRIu64, info->object_count);
        for (int role = QUADHSM_PO; role <= QUADHSM_CU; role++) {
            cell_role(&table, info, role);
        }
        table_cell(&table, STYLE_PLAIN, "%s", export_name(info->export));
    }
    table_print(&table, &cli->output, 0, true);
    if (list->n_partitions == 0) {
        output_say(&cli->output, "none yet: `quadhsm partition create NAME` makes one");
    }
}

static int ask_list(struct cli *cli, char *name, Quadhsm__Response **ret_response)
{
    Quadhsm__Request request;
    Quadhsm__PartitionList list;
    int status;

    quadhsm__request__init(&request);
    quadhsm__partition_list__init(&list);
    if (name != NULL) {
        list.name = name;
    }
    request.op_case = QUADHSM__REQUEST__OP_PARTITION_LIST;
    request.partition_list = &list;
    status = cli_call(cli, &request, "listing the partitions", ret_response);
    if (status == EXIT_DONE &&
        (*ret_response)->result_case != QUADHSM__RESPONSE__RESULT_PARTITIONS) {
        wire_message_free(&(*ret_response)->base);
        return output_fail(&cli->output, QH_EMALFORMED, "use the version of the cluster's nodes",
                           "listing the partitions");
    }
    return status;
}

static int run_list(struct cli *cli)
{
    Quadhsm__Response *response = NULL;
    int status = ask_list(cli, NULL, &response);

    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        json_t *list = json_array();

        for (size_t i = 0; i < response->partitions->n_partitions; i++) {
            (void)json_array_append_new(list, partition_json(response->partitions->partitions[i]));
        }
        output_json(&cli->output, list);
    } else {
        print_list(cli, response->partitions);
    }
    wire_message_free(&response->base);
    return EXIT_DONE;
}

static void print_partition(const struct cli *cli, const Quadhsm__PartitionInfo *info)
{
    static const char *const heads[] = {"role", "state", ">wrong PINs", ">epoch", NULL};
    char id[2 * PARTITION_ID_SIZE + 1] = "";
    struct table table;

    if (info->partition.len == PARTITION_ID_SIZE) {
        cli_hex(info->partition.data, info->partition.len, id, sizeof(id));
    }
    output_say(&cli->output, "%s  serial %s, %" PRIu64 " keys, export %s, id %s", info->name,
               info->serial, info->object_count, export_name(info->export), id);
    table_init(&table, heads);
    for (int role = QUADHSM_PO; role <= QUADHSM_CU; role++) {
        const Quadhsm__RoleInfo *found = find_role(info, role);

        table_cell(&table, STYLE_BOLD, "%s", cli_role_name(role));
        cell_role(&table, info, role);
        table_cell(&table, STYLE_PLAIN, "%u", found != NULL ? found->failed : 0);
        table_cell(&table, STYLE_PLAIN, "%" PRIu64, found != NULL ? found->epoch : 0);
    }
    table_print(&table, &cli->output, 0, true);
}

static int run_show(struct cli *cli)
{
    Quadhsm__Response *response = NULL;
    int status = ask_list(cli, name_argument(cli), &response);

    if (status != EXIT_DONE) {
        return status;
    }
    if (response->partitions->n_partitions != 1) {
        status = output_fail(&cli->output, QH_ENOTFOUND,
                             "`quadhsm partition list` names those there are", "partition \"%s\"",
                             name_argument(cli));
    } else if (cli->output.json) {
        output_json(&cli->output, partition_json(response->partitions->partitions[0]));
    } else {
        print_partition(cli, response->partitions->partitions[0]);
    }
    wire_message_free(&response->base);
    return status;
}

/* ---- create and delete ---- */

static int run_create(struct cli *cli)
{
    Quadhsm__Request request;
    Quadhsm__PartitionCreate create;
    Quadhsm__Response *response = NULL;
    int status;

    quadhsm__request__init(&request);
    quadhsm__partition_create__init(&create);
    create.name = name_argument(cli);
    create.claimable = options_flag(&cli->options, "claimable");
    status = read_export(cli, &create.export);
    if (status == EXIT_DONE) {
        status = cli_login_so(cli);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    request.op_case = QUADHSM__REQUEST__OP_PARTITION_CREATE;
    request.partition_create = &create;
    status = cli_call(cli, &request, "making the partition", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o}", "created", cli_json_text(create.name)));
    } else {
        output_say(&cli->output, "partition %s is made", create.name);
        output_say(&cli->output,
                   create.claimable ? "next: quadhsm partition init %s, or C_InitToken"
                                    : "next: quadhsm role init --partition %s --role po",
                   create.name);
    }
    wire_message_free(&response->base);
    return EXIT_DONE;
}

static int run_policy(struct cli *cli)
{
    Quadhsm__Request request;
    Quadhsm__PartitionPolicy policy;
    Quadhsm__Response *response = NULL;
    int status;

    quadhsm__request__init(&request);
    quadhsm__partition_policy__init(&policy);
    policy.name = name_argument(cli);
    status = read_export(cli, &policy.export);
    if (status == EXIT_DONE) {
        status = cli_login_so(cli);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    request.op_case = QUADHSM__REQUEST__OP_PARTITION_POLICY;
    request.partition_policy = &policy;
    status = cli_call(cli, &request, "changing the policy", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o, s:s}", "partition", cli_json_text(policy.name),
                                            "export", export_name(policy.export)));
    } else {
        output_say(&cli->output, "partition %s: export %s", policy.name,
                   export_name(policy.export));
    }
    wire_message_free(&response->base);
    return EXIT_DONE;
}

/* Is it still to be claimed, so that the PIN is a new one? */
static int read_state(struct cli *cli, const char *name, bool *ret_unclaimed)
{
    struct quadhsm_partition *list = NULL;
    bool found = false;
    size_t count = 0;
    int err = quadhsm_partitions(cli->handle, &list, &count);

    if (err != QUADHSM_OK) {
        return cli_fail(cli, err, "asking for partition %s", name);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            *ret_unclaimed = list[i].claimable && !list[i].po_ready;
            found = true;
        }
    }
    free(list);
    return found ? EXIT_DONE
                 : output_fail(&cli->output, QH_ENOTFOUND,
                               "`quadhsm partition list` names those there are; this client may "
                               "be enrolled for others alone",
                               "partition %s", name);
}

static int init_token(struct cli *cli, const char *name, bool unclaimed)
{
    SECRET_SCOPED struct secret *pin = NULL;
    const char *label = options_text(&cli->options, "name");
    struct quadhsm_token *token = NULL;
    int status = cli_password(cli, "pin-file", unclaimed ? "new PIN of po" : "PIN of po", unclaimed,
                              PIN_SIZE_MIN, &pin);
    int err;

    if (status != EXIT_DONE) {
        return status;
    }
    err = quadhsm_token_open_name(cli->handle, name, &token);
    if (err == QUADHSM_OK) {
        err = quadhsm_init_token(token, secret_view(pin), secret_size(pin), label);
        quadhsm_token_close(token);
    }
    if (err != QUADHSM_OK) {
        return cli_fail(cli, err, "initializing partition %s", name);
    }
    label = label != NULL ? label : name;
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o}", "initialized", cli_json_text(label)));
    } else {
        output_say(&cli->output, "partition %s is initialized: it has no keys, and only po a PIN",
                   label);
        output_say(&cli->output, "next: quadhsm role init --partition %s --role co", label);
    }
    return EXIT_DONE;
}

static int run_init(struct cli *cli)
{
    const char *name = options_argument(&cli->options, 0);
    bool unclaimed = false;
    int status = cli_open(cli);

    if (status == EXIT_DONE) {
        status = read_state(cli, name, &unclaimed);
    }
    if (status == EXIT_DONE && !unclaimed) {
        status = cli_confirm_word(cli, name,
                                  "destroy all keys of partition %s, for ever, and the PINs of co "
                                  "and cu",
                                  name);
    }
    return status == EXIT_DONE ? init_token(cli, name, unclaimed) : status;
}

static int run_delete(struct cli *cli)
{
    Quadhsm__Request request;
    Quadhsm__PartitionDelete remove;
    Quadhsm__Response *response = NULL;
    int status =
        cli_confirm(cli, "delete partition %s with all its keys, for ever", name_argument(cli));

    quadhsm__request__init(&request);
    quadhsm__partition_delete__init(&remove);
    if (status == EXIT_DONE) {
        status = cli_login_so(cli);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    remove.name = name_argument(cli);
    remove.force = options_flag(&cli->options, "force");
    request.op_case = QUADHSM__REQUEST__OP_PARTITION_DELETE;
    request.partition_delete = &remove;
    status = cli_call(cli, &request, "deleting the partition", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o}", "deleted", cli_json_text(remove.name)));
    } else {
        output_say(&cli->output, "partition %s is deleted", remove.name);
    }
    wire_message_free(&response->base);
    return EXIT_DONE;
}

#define EXPORT_HELP "what may leave of keys that are extractable: wrapped, never or clear"

static const struct option_spec create_options[] = {
    {.name = "claimable",
     .kind = OPTION_FLAG,
     .help = "the first C_InitToken of an enrolled client sets the PIN of po"},
    {.name = "export",
     .kind = OPTION_TEXT,
     .argument = "HOW",
     .help = EXPORT_HELP " (default: wrapped)"},
    {.name = NULL},
};
static const struct option_spec policy_options[] = {
    {.name = "export",
     .kind = OPTION_TEXT,
     .argument = "HOW",
     .help = EXPORT_HELP,
     .required = true},
    {.name = NULL},
};
static const struct option_spec init_options[] = {
    {.name = "pin-file",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the PIN of po (-: standard input)"},
    {.name = "name", .kind = OPTION_TEXT, .argument = "NEW", .help = "the partition's new name"},
    {.name = "yes", .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};
static const struct option_spec delete_options[] = {
    {.name = "force", .kind = OPTION_FLAG, .help = "though it has keys"},
    {.name = "yes", .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};

const struct command partition_commands[] = {
    {"partition", "create", "NAME", 1, 1, "Make a partition.",
     "A partition has keys and roles of its own. NAME has 1 to 32 characters.",
     "quadhsm partition create payments", create_options, cli_so_options, run_create},
    {"partition", "list", "", 0, 0, "List the partitions.", NULL, "quadhsm partition list", NULL,
     cli_client_options, run_list},
    {"partition", "show", "NAME", 1, 1, "Show a partition and the state of its roles.", NULL,
     "quadhsm partition show payments", NULL, cli_client_options, run_show},
    {"partition", "delete", "NAME", 1, 1, "Delete a partition and all its keys.",
     "Refused if it has keys, unless --force is given. Nothing brings them back.",
     "quadhsm partition delete payments", delete_options, cli_so_options, run_delete},
    {"partition", "policy", "NAME", 1, 1, "Say what may leave a partition.",
     "wrapped: a key that is extractable leaves wrapped by another one. never: no key leaves, and\n"
     "none that is extractable is read. clear: a key that is extractable and not sensitive can be\n"
     "read, too.",
     "quadhsm partition policy payments --export never", policy_options, cli_so_options,
     run_policy},
    {"partition", "init", "NAME", 1, 1, "Destroy what is in a partition, and begin again.",
     "C_InitToken, with the PIN of po: all objects are destroyed, co and cu have no PIN any more.\n"
     "A partition that was made with --claimable gets the PIN of po, once. Asks for the\n"
     "partition's name as a confirmation, unless --yes is given.",
     "quadhsm partition init payments", init_options, cli_client_options, run_init},
    {.run = NULL},
};
