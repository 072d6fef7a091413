/* `quadhsm client`: who may use the cluster. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/credentials.h"
#include "wire/frame.h"

#define ENDPOINT_ROOM (CONFIG_HOST_LENGTH_MAX + 16u)

/* ---- enroll ---- */

struct addresses {
    char text[CLIENT_CONFIG_ENDPOINTS_MAX][ENDPOINT_ROOM];
    const char *list[CLIENT_CONFIG_ENDPOINTS_MAX];
    size_t count;
};

/* All that the cluster has, for the new client's configuration. */
static int ask_addresses(struct cli *cli, struct addresses *ret_addresses)
{
    Quadhsm__Request request;
    Quadhsm__Endpoints endpoints;
    Quadhsm__Response *response = NULL;
    int status;

    quadhsm__request__init(&request);
    quadhsm__endpoints__init(&endpoints);
    request.op_case = QUADHSM__REQUEST__OP_ENDPOINTS;
    request.endpoints = &endpoints;
    status = cli_call(cli, &request, "asking for the nodes' addresses", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    ret_addresses->count = 0;
    for (size_t i = 0;
         response->result_case == QUADHSM__RESPONSE__RESULT_ENDPOINTS &&
         i < response->endpoints->n_endpoints && ret_addresses->count < CLIENT_CONFIG_ENDPOINTS_MAX;
         i++) {
        const Quadhsm__Endpoint *endpoint = response->endpoints->endpoints[i];
        char *text = ret_addresses->text[ret_addresses->count];
        struct config_address address;

        credentials_endpoint(endpoint->host, endpoint->port, text, ENDPOINT_ROOM);
        if (config_address_parse(text, &address) == QH_OK) {
            ret_addresses->list[ret_addresses->count++] = text;
        }
    }
    wire_message_free(&response->base);
    return ret_addresses->count > 0
               ? EXIT_DONE
               : output_fail(&cli->output, QH_EMALFORMED, "no node has an address for clients",
                             "asking for the nodes' addresses");
}

static int send_enroll(struct cli *cli, const struct credentials *credentials,
                       Quadhsm__Response **ret_response)
{
    Quadhsm__Request request;
    Quadhsm__ClientEnroll enroll;
    char *partitions[OPTIONS_VALUES_MAX];
    const char *name;

    quadhsm__request__init(&request);
    quadhsm__client_enroll__init(&enroll);
    for (unsigned i = 0; (name = options_many(&cli->options, "partition", i)) != NULL; i++) {
        partitions[i] = (char *)(uintptr_t)name;
        enroll.n_partitions = i + 1;
    }
    enroll.partitions = partitions;
    enroll.name = (char *)(uintptr_t)options_argument(&cli->options, 0);
    enroll.admin = options_flag(&cli->options, "admin");
    enroll.csr = (ProtobufCBinaryData){.data = credentials->csr.base, .len = credentials->csr.size};
    request.op_case = QUADHSM__REQUEST__OP_CLIENT_ENROLL;
    request.client_enroll = &enroll;
    return cli_call(cli, &request, "enrolling the client", ret_response);
}

static int take_enrolled(struct cli *cli, struct credentials *credentials,
                         const Quadhsm__Response *response, const struct addresses *addresses)
{
    const char *name = options_argument(&cli->options, 0);
    int status;

    if (response->result_case != QUADHSM__RESPONSE__RESULT_CLIENT_CERTIFICATE) {
        return output_fail(&cli->output, QH_EMALFORMED, "use the version of the cluster's nodes",
                           "enrolling the client");
    }
    status = credentials_finish(cli, credentials, response->client_certificate, addresses->list,
                                addresses->count);
    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o, s:o}", "client", cli_json_text(name), "folder",
                                            cli_json_text(credentials->dir)));
    } else {
        output_say(&cli->output, "client %s is enrolled; copy %s to its machine", name,
                   credentials->dir);
        output_say(&cli->output, "it holds client.key, which is secret, and client.yaml, which "
                                 "QUADHSM_CONFIG may name");
    }
    return EXIT_DONE;
}

static int run_enroll(struct cli *cli)
{
    struct credentials credentials = {0};
    struct addresses addresses = {.count = 0};
    Quadhsm__Response *response = NULL;
    bool sent = false;
    int status = credentials_begin(cli, options_text(&cli->options, "out"),
                                   options_argument(&cli->options, 0), &credentials);

    if (status == EXIT_DONE) {
        status = cli_login_so(cli);
    }
    if (status == EXIT_DONE) {
        status = ask_addresses(cli, &addresses);
    }
    if (status == EXIT_DONE) {
        status = send_enroll(cli, &credentials, &response);
    }
    if (status == EXIT_DONE) {
        sent = true;
        status = take_enrolled(cli, &credentials, response, &addresses);
        wire_message_free(&response->base);
    }
    credentials_close(&credentials, sent);
    return status;
}

/* ---- list and revoke ---- */

static void day_of(uint64_t unix_s, char *ret_text, size_t room)
{
    time_t when = (time_t)unix_s;
    struct tm parts;

    if (gmtime_r(&when, &parts) == NULL || strftime(ret_text, room, "%Y-%m-%d", &parts) == 0) {
        (void)snprintf(ret_text, room, "-");
    }
}

static void join_partitions(const Quadhsm__ClientInfo *info, char *ret_text, size_t room)
{
    size_t at = 0;

    (void)snprintf(ret_text, room, "%s", "all");
    for (size_t i = 0; i < info->n_partitions && at < room; i++) {
        at += (size_t)snprintf(ret_text + at, room - at, "%s%s", i > 0 ? ", " : "",
                               info->partitions[i]);
    }
}

static void print_clients(const struct cli *cli, const Quadhsm__ClientInfoList *list)
{
    static const char *const heads[] = {"name", "enrolled", "admin", "partitions", NULL};
    char partitions[TABLE_CELL_ROOM];
    struct table table;
    char day[32];

    table_init(&table, heads);
    for (size_t i = 0; i < list->n_clients; i++) {
        const Quadhsm__ClientInfo *info = list->clients[i];

        day_of(info->enrolled_unix_s, day, sizeof(day));
        join_partitions(info, partitions, sizeof(partitions));
        table_cell(&table, STYLE_BOLD, "%s", info->name);
        table_cell(&table, STYLE_PLAIN, "%s", day);
        table_cell(&table, STYLE_PLAIN, "%s", info->admin ? "admin" : "");
        table_cell(&table, STYLE_PLAIN, "%s", partitions);
    }
    table_print(&table, &cli->output, 0, true);
}

static json_t *client_json(const Quadhsm__ClientInfo *info)
{
    char fingerprint[2 * FINGERPRINT_SIZE + 1] = "";
    json_t *partitions = json_array();

    if (info->fingerprint.len == FINGERPRINT_SIZE) {
        cli_hex(info->fingerprint.data, info->fingerprint.len, fingerprint, sizeof(fingerprint));
    }
    for (size_t i = 0; i < info->n_partitions; i++) {
        (void)json_array_append_new(partitions, cli_json_text(info->partitions[i]));
    }
    return json_pack("{s:o, s:b, s:I, s:s, s:o}", "name", cli_json_text(info->name), "admin",
                     (int)info->admin, "enrolled_unix_s", (json_int_t)info->enrolled_unix_s,
                     "fingerprint", fingerprint, "partitions", partitions);
}

static int run_list(struct cli *cli)
{
    Quadhsm__Request request;
    Quadhsm__ClientList ask;
    Quadhsm__Response *response = NULL;
    int status;

    quadhsm__request__init(&request);
    quadhsm__client_list__init(&ask);
    request.op_case = QUADHSM__REQUEST__OP_CLIENT_LIST;
    request.client_list = &ask;
    status = cli_call(cli, &request, "listing the clients", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    if (response->result_case != QUADHSM__RESPONSE__RESULT_CLIENTS) {
        status = output_fail(&cli->output, QH_EMALFORMED, "use the version of the cluster's nodes",
                             "listing the clients");
    } else if (cli->output.json) {
        json_t *list = json_array();

        for (size_t i = 0; i < response->clients->n_clients; i++) {
            (void)json_array_append_new(list, client_json(response->clients->clients[i]));
        }
        output_json(&cli->output, list);
    } else {
        print_clients(cli, response->clients);
    }
    wire_message_free(&response->base);
    return status;
}

static int run_revoke(struct cli *cli)
{
    Quadhsm__Request request;
    Quadhsm__ClientRevoke revoke;
    Quadhsm__Response *response = NULL;
    const char *name = options_argument(&cli->options, 0);
    int status = cli_confirm(cli, "revoke client %s, so that no node answers it any more", name);

    quadhsm__request__init(&request);
    quadhsm__client_revoke__init(&revoke);
    if (status == EXIT_DONE) {
        status = cli_login_so(cli);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    revoke.name = (char *)(uintptr_t)name;
    request.op_case = QUADHSM__REQUEST__OP_CLIENT_REVOKE;
    request.client_revoke = &revoke;
    status = cli_call(cli, &request, "revoking the client", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o}", "revoked", cli_json_text(name)));
    } else {
        output_say(&cli->output, "client %s is revoked", name);
    }
    wire_message_free(&response->base);
    return EXIT_DONE;
}

static const struct option_spec enroll_options[] = {
    {.name = "partition",
     .kind = OPTION_MANY,
     .argument = "P",
     .help = "may use this partition; without any: all"},
    {.name = "admin", .kind = OPTION_FLAG, .help = "may log in as security officer"},
    {.name = "out",
     .kind = OPTION_TEXT,
     .argument = "DIR",
     .help = "the folder for its certificate, key and configuration",
     .required = true},
    {.name = NULL},
};
static const struct option_spec revoke_options[] = {
    {.name = "yes", .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};

const struct command client_commands[] = {
    {"client", "enroll", "NAME", 1, 1, "Give a new client a certificate.",
     "Key and certificate request are made here; DIR gets ca.crt, client.crt, client.key and\n"
     "client.yaml with the addresses of all nodes.",
     "quadhsm client enroll shop --partition payments --out shop", enroll_options, cli_so_options,
     run_enroll},
    {"client", "list", "", 0, 0, "List the enrolled clients.", NULL, "quadhsm client list", NULL,
     cli_client_options, run_list},
    {"client", "revoke", "NAME", 1, 1, "Take a client's access away.",
     "It ends at once on every node that can be reached by the others.",
     "quadhsm client revoke shop", revoke_options, cli_so_options, run_revoke},
    {.run = NULL},
};
