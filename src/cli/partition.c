/* `quadhsm partition`: the parts of the cluster that keys live in. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "wire/frame.h"

static char *name_argument(const struct cli *cli)
{
    /* protobuf-c has no const; nothing is changed. */
    return (char *)(uintptr_t)options_argument(&cli->options, 0);
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
    return json_pack("{s:o, s:s, s:o, s:I, s:I, s:o}", "name", cli_json_text(info->name), "id", id,
                     "serial", cli_json_text(info->serial), "keys", (json_int_t)info->object_count,
                     "revision", (json_int_t)info->revision, "roles", roles);
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

    if (found == NULL || !found->ready) {
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
    static const char *const heads[] = {"name", "serial", ">keys", "po", "co", "cu", NULL};
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
    output_say(&cli->output, "%s  serial %s, %" PRIu64 " keys, id %s", info->name, info->serial,
               info->object_count, id);
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
    int status = cli_login_so(cli);

    quadhsm__request__init(&request);
    quadhsm__partition_create__init(&create);
    if (status != EXIT_DONE) {
        return status;
    }
    create.name = name_argument(cli);
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
        output_say(&cli->output, "next: quadhsm role init --partition %s --role po", create.name);
    }
    wire_message_free(&response->base);
    return EXIT_DONE;
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

static const struct option_spec delete_options[] = {
    {.name = "force", .kind = OPTION_FLAG, .help = "though it has keys"},
    {.name = "yes", .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};

const struct command partition_commands[] = {
    {"partition", "create", "NAME", 1, 1, "Make a partition.",
     "A partition has keys and roles of its own. NAME has 1 to 32 characters.",
     "quadhsm partition create payments", NULL, cli_so_options, run_create},
    {"partition", "list", "", 0, 0, "List the partitions.", NULL, "quadhsm partition list", NULL,
     cli_client_options, run_list},
    {"partition", "show", "NAME", 1, 1, "Show a partition and the state of its roles.", NULL,
     "quadhsm partition show payments", NULL, cli_client_options, run_show},
    {"partition", "delete", "NAME", 1, 1, "Delete a partition and all its keys.",
     "Refused if it has keys, unless --force is given. Nothing brings them back.",
     "quadhsm partition delete payments", delete_options, cli_so_options, run_delete},
    {.run = NULL},
};
