/* `quadhsm node`: what must work before a cluster exists, on the node's control socket. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/credentials.h"
#include "cli/progress.h"
#include "config/node_config.h"
#include "wire/frame.h"

#define CONFIG_DEFAULT "/etc/quadhsm/node.yaml"
#define CONTROL_DEFAULT "/run/quadhsm/control.sock"
#define CLUSTER_ID_SIZE 16u
#define TOKEN_SIZE_MAX 4096u /* bytes */

static const struct option_spec control_options[] = {
    {.name = "control",
     .kind = OPTION_TEXT,
     .argument = "PATH",
     .help = "the node's control socket"},
    {.name = "config",
     .kind = OPTION_TEXT,
     .argument = "NODE.yaml",
     .help = "the node's configuration, which names the socket (default: " CONFIG_DEFAULT ")"},
    {.name = NULL},
};

/* Owns: free(). */
static int find_control(struct cli *cli, char **ret_path)
{
    const char *path = options_text(&cli->options, "control");
    const char *config_path = options_text(&cli->options, "config");
    struct node_config *config = NULL;
    char *error = NULL;
    enum qh_err err;

    cli->output.local = true;
    if (path == NULL && config_path == NULL && access(CONFIG_DEFAULT, F_OK) != 0) {
        path = CONTROL_DEFAULT;
    }
    if (path == NULL) {
        err = node_config_load(config_path != NULL ? config_path : CONFIG_DEFAULT, &config, &error);
        if (err != QH_OK) {
            int status = output_fail(&cli->output, err, error, "reading the node's configuration");

            free(error);
            return status;
        }
        path = config->control;
    }
    *ret_path = strdup(path);
    node_config_free(config);
    return *ret_path != NULL ? EXIT_DONE
                             : output_fail(&cli->output, QH_ENOMEM, NULL, "finding the socket");
}

static void show_progress(void *data, const char *text)
{
    progress_set(data, text);
}

static int ask(struct cli *cli, const Quadhsm__Request *request, const char *doing,
               Quadhsm__Response **ret_response)
{
    char detail[CONTROL_DETAIL_ROOM];
    bool quick = request->op_case == QUADHSM__REQUEST__OP_NODE_STATUS;
    struct progress *progress;
    char *path = NULL;
    enum qh_err err;
    int status = find_control(cli, &path);

    if (status != EXIT_DONE) {
        return status;
    }
    progress = progress_begin(&cli->output, quick, doing);
    err = control_call(path, request, show_progress, progress, ret_response, detail);
    progress_end(progress);
    free(path);
    return err == QH_OK ? EXIT_DONE : output_fail(&cli->output, err, detail, "%s", doing);
}

static int ask_state(struct cli *cli, Quadhsm__Response **ret_response)
{
    Quadhsm__Request request;
    Quadhsm__NodeStatus node_status;
    int status;

    quadhsm__request__init(&request);
    quadhsm__node_status__init(&node_status);
    request.op_case = QUADHSM__REQUEST__OP_NODE_STATUS;
    request.node_status = &node_status;
    status = ask(cli, &request, "asking the node", ret_response);
    if (status == EXIT_DONE && (*ret_response)->result_case != QUADHSM__RESPONSE__RESULT_NODE) {
        wire_message_free(&(*ret_response)->base);
        return output_fail(&cli->output, QH_EMALFORMED, "use the version of the node",
                           "asking the node");
    }
    return status;
}

static const char *readiness_name(Quadhsm__Readiness readiness)
{
    static const char *const names[] = {"uninitialized", "locked", "ready",
                                        "stopping",      "stale",  "starting"};

    return (unsigned)readiness < sizeof(names) / sizeof(names[0]) ? names[readiness] : "unknown";
}

/* ---- status ---- */

static json_t *state_json(const Quadhsm__NodeState *state)
{
    char cluster[2 * CLUSTER_ID_SIZE + 1] = "";

    if (state->cluster.len <= CLUSTER_ID_SIZE) {
        cli_hex(state->cluster.data, state->cluster.len, cluster, sizeof(cluster));
    }
    return json_pack(
        "{s:o, s:o, s:s, s:s, s:b, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:s, s:o, s:o, s:I, "
        "s:o, s:o}",
        "node", cli_json_text(state->node), "region", cli_json_text(state->region), "role",
        state->witness ? "witness" : "hsm", "state", readiness_name(state->readiness), "member",
        (int)state->member, "leading", (int)state->leading, "leader", cli_json_text(state->leader),
        "raft_id", (json_int_t)state->raft_id, "term", (json_int_t)state->term, "revision",
        (json_int_t)state->revision, "last_index", (json_int_t)state->last_index, "applied_index",
        (json_int_t)state->applied_index, "cluster", cli_json_text(state->cluster_name),
        "cluster_id", cluster, "unlock", cli_json_text(state->unlock), "version",
        cli_json_text(state->version), "uptime_ms", (json_int_t)state->uptime_ms, "client_address",
        cli_json_text(state->client_address), "peer_address", cli_json_text(state->peer_address));
}

static const char *what_next(const Quadhsm__NodeState *state)
{
    switch ((int)state->readiness) {
    case QUADHSM__READINESS__READINESS_UNINITIALIZED:
        return "next: `quadhsm node init` makes a new cluster, `quadhsm node join` joins one";
    case QUADHSM__READINESS__READINESS_LOCKED:
        return state->witness ? "" : "next: `quadhsm node unlock` opens its keys";
    default:
        return "";
    }
}

/* Its name, or what is known without keys: its id. */
static void cluster_text(const Quadhsm__NodeState *state, char *ret_text, size_t room)
{
    if (state->cluster_name[0] == '\0' && state->cluster.len <= CLUSTER_ID_SIZE) {
        cli_hex(state->cluster.data, state->cluster.len, ret_text, room);
    } else {
        (void)snprintf(ret_text, room, "%s", state->cluster_name);
    }
}

static void print_state(const struct cli *cli, const Quadhsm__NodeState *state)
{
    static const char *const heads[] = {"", "", NULL};
    char cluster[TABLE_CELL_ROOM];
    bool good = state->readiness == QUADHSM__READINESS__READINESS_READY;
    struct table table;

    cluster_text(state, cluster, sizeof(cluster));
    table_init(&table, heads);
    table_cell(&table, STYLE_DIM, "node");
    table_cell(&table, STYLE_BOLD, "%s, %s in region %s", state->node,
               state->witness ? "witness" : "hsm", state->region);
    table_cell(&table, STYLE_DIM, "state");
    table_cell(&table, good || state->witness ? STYLE_GOOD : STYLE_WARN, "%s%s",
               readiness_name(state->readiness), state->leading ? ", leads the cluster" : "");
    if (state->readiness != QUADHSM__READINESS__READINESS_UNINITIALIZED) {
        table_cell(&table, STYLE_DIM, "cluster");
        table_cell(&table, STYLE_PLAIN, "%s%s", cluster, state->member ? "" : " (not a voter yet)");
        table_cell(&table, STYLE_DIM, "leader");
        table_cell(&table, STYLE_PLAIN, "%s",
                   state->leader[0] != '\0' ? state->leader : "none known");
        table_cell(&table, STYLE_DIM, "log");
        table_cell(&table, STYLE_PLAIN,
                   "revision %" PRIu64 ", term %" PRIu64 ", entry %" PRIu64 " applied of %" PRIu64,
                   state->revision, state->term, state->applied_index, state->last_index);
    }
    if (state->client_address[0] != '\0') {
        table_cell(&table, STYLE_DIM, "clients");
        table_cell(&table, STYLE_PLAIN, "%s", state->client_address);
    }
    table_cell(&table, STYLE_DIM, "peers");
    table_cell(&table, STYLE_PLAIN, "%s", state->peer_address);
    table_cell(&table, STYLE_DIM, "unlock");
    table_cell(&table, STYLE_PLAIN, "%s", state->unlock);
    table_cell(&table, STYLE_DIM, "version");
    table_cell(&table, STYLE_PLAIN, "%s, up %" PRIu64 " s", state->version,
               state->uptime_ms / 1000);
    table_print(&table, &cli->output, 0, false);
    if (what_next(state)[0] != '\0') {
        output_say(&cli->output, "%s", what_next(state));
    }
}

static void show_state(const struct cli *cli, const Quadhsm__NodeState *state)
{
    if (cli->output.json) {
        output_json(&cli->output, state_json(state));
    } else {
        print_state(cli, state);
    }
}

static int run_status(struct cli *cli)
{
    Quadhsm__Response *response = NULL;
    int status = ask_state(cli, &response);

    if (status == EXIT_DONE) {
        show_state(cli, response->node);
        wire_message_free(&response->base);
    }
    return status;
}

/* ---- init ---- */

/* The passphrase, if the node unlocks with one. @fresh: it is being set. */
static int ask_passphrase(struct cli *cli, const Quadhsm__NodeState *state, bool fresh,
                          struct secret **ret_passphrase)
{
    if (strcmp(state->unlock, "passphrase") != 0) {
        return options_text(&cli->options, "passphrase-file") == NULL
                   ? EXIT_DONE
                   : output_misuse(&cli->output, "the node unlocks without a passphrase; leave "
                                                 "--passphrase-file out, or write method: "
                                                 "passphrase in its configuration");
    }
    return cli_password(cli, "passphrase-file", "passphrase of this node", fresh, PASSWORD_SIZE_MIN,
                        ret_passphrase);
}

/* The node must be new. *ret_response: its state. */
static int ask_new_node(struct cli *cli, const char *doing, Quadhsm__Response **ret_response)
{
    int status = ask_state(cli, ret_response);
    const Quadhsm__NodeState *state;

    if (status != EXIT_DONE) {
        return status;
    }
    state = (*ret_response)->node;
    if (state->readiness != QUADHSM__READINESS__READINESS_UNINITIALIZED) {
        status = output_fail(&cli->output, QH_EEXIST,
                             "the node belongs to a cluster already; a new one needs an empty "
                             "data directory",
                             "%s %s", doing, state->node);
        wire_message_free(&(*ret_response)->base);
        *ret_response = NULL;
    }
    return status;
}

static int send_init(struct cli *cli, const struct credentials *credentials,
                     struct secret *password, struct secret *passphrase,
                     Quadhsm__Response **ret_response)
{
    Quadhsm__Request request;
    Quadhsm__NodeInit init;

    quadhsm__request__init(&request);
    quadhsm__node_init__init(&init);
    /* protobuf-c has no const; nothing is changed. */
    init.cluster_name = (char *)(uintptr_t)options_text(&cli->options, "cluster");
    init.admin_name = (char *)(uintptr_t)options_text(&cli->options, "admin");
    init.admin_csr =
        (ProtobufCBinaryData){.data = credentials->csr.base, .len = credentials->csr.size};
    init.so_password = cli_borrow(password);
    if (passphrase != NULL) {
        init.passphrase = cli_borrow(passphrase);
    }
    request.op_case = QUADHSM__REQUEST__OP_NODE_INIT;
    request.node_init = &init;
    return ask(cli, &request, "making the cluster", ret_response);
}

static void say_initialized(const struct cli *cli, const char *dir, const char *address)
{
    const char *cluster = options_text(&cli->options, "cluster");
    const char *admin = options_text(&cli->options, "admin");

    if (cli->output.json) {
        output_json(&cli->output,
                    json_pack("{s:o, s:o, s:o, s:o}", "cluster", cli_json_text(cluster), "admin",
                              cli_json_text(admin), "folder", cli_json_text(dir), "endpoint",
                              cli_json_text(address)));
        return;
    }
    output_say(&cli->output, "cluster %s is made, with this node at %s", cluster, address);
    output_say(&cli->output, "%s's certificate and configuration are in %s", admin, dir);
    output_say(&cli->output, "next: quadhsm cluster status --config %s/client.yaml", dir);
}

/* Everything that came back, into the folder. */
static int take_init(struct cli *cli, struct credentials *credentials,
                     const Quadhsm__Response *response, const char *address)
{
    const char *const endpoints[] = {address};
    int status;

    if (response->result_case != QUADHSM__RESPONSE__RESULT_CLIENT_CERTIFICATE) {
        return output_fail(&cli->output, QH_EMALFORMED, "use the version of the node",
                           "making the cluster");
    }
    status = credentials_finish(cli, credentials, response->client_certificate, endpoints, 1);
    if (status == EXIT_DONE) {
        say_initialized(cli, credentials->dir, address);
    }
    return status;
}

static int init_node(struct cli *cli, const Quadhsm__NodeState *state,
                     struct credentials *credentials, bool *ret_sent)
{
    SECRET_SCOPED struct secret *password = NULL;
    SECRET_SCOPED struct secret *passphrase = NULL;
    Quadhsm__Response *response = NULL;
    int status = credentials_begin(cli, options_text(&cli->options, "out"),
                                   options_text(&cli->options, "admin"), credentials);

    if (status == EXIT_DONE) {
        status = cli_password(cli, "password-file", "new password of the security officer", true,
                              PASSWORD_SIZE_MIN, &password);
    }
    if (status == EXIT_DONE) {
        status = ask_passphrase(cli, state, true, &passphrase);
    }
    if (status == EXIT_DONE) {
        status = send_init(cli, credentials, password, passphrase, &response);
    }
    if (status == EXIT_DONE) {
        *ret_sent = true;
        status = take_init(cli, credentials, response, state->client_address);
        wire_message_free(&response->base);
    }
    return status;
}

static int run_init(struct cli *cli)
{
    struct credentials credentials = {0};
    Quadhsm__Response *response = NULL;
    bool sent = false;
    int status = ask_new_node(cli, "making a cluster of", &response);

    if (status != EXIT_DONE) {
        return status;
    }
    if (response->node->witness) {
        status = output_fail(&cli->output, QH_EREFUSED,
                             "a witness cannot begin a cluster: init a node of role hsm, and join "
                             "this one to it",
                             "making a cluster of %s", response->node->node);
    } else {
        status = init_node(cli, response->node, &credentials, &sent);
    }
    credentials_close(&credentials, sent);
    wire_message_free(&response->base);
    return status;
}

/* ---- join ---- */

/* The token is a secret until it is used, for it lets a node in. */
static int read_token(struct cli *cli, struct secret **ret_token)
{
    const char *name = options_text(&cli->options, "token-file");
    bool from_stdin = strcmp(name, "-") == 0;
    SECRET_SCOPED struct secret *token = NULL;
    size_t size = 0;
    ssize_t count = 1;
    enum qh_err err = secret_new(TOKEN_SIZE_MAX + 1, &token);
    int fd;

    if (err != QH_OK) {
        return output_fail(&cli->output, err, NULL, "reading the token");
    }
    fd = from_stdin ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && count > 0 && size < TOKEN_SIZE_MAX) {
        count = read(fd, secret_bytes(token) + size, TOKEN_SIZE_MAX - size);
        size += count > 0 ? (size_t)count : 0;
    }
    if (fd < 0 || count < 0) {
        return output_fail(&cli->output, err_from_errno(errno), strerror(errno),
                           "reading the token from %s", name);
    }
    if (!from_stdin) {
        (void)close(fd);
    }
    while (size > 0 && strchr(" \t\r\n", secret_view(token)[size - 1]) != NULL) {
        secret_bytes(token)[--size] = 0;
    }
    if (size == 0 || size == TOKEN_SIZE_MAX) {
        return output_fail(&cli->output, QH_EINVAL,
                           "`quadhsm cluster token` on a node of the cluster makes one",
                           "%s holds no token", name);
    }
    *ret_token = token;
    token = NULL;
    return EXIT_DONE;
}

static int join_node(struct cli *cli, const Quadhsm__NodeState *state)
{
    SECRET_SCOPED struct secret *token = NULL;
    SECRET_SCOPED struct secret *passphrase = NULL;
    Quadhsm__Request request;
    Quadhsm__NodeJoin join;
    Quadhsm__Response *response = NULL;
    int status = read_token(cli, &token);

    quadhsm__request__init(&request);
    quadhsm__node_join__init(&join);
    if (status == EXIT_DONE) {
        status = ask_passphrase(cli, state, true, &passphrase);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    join.token = (char *)secret_bytes(token);
    if (passphrase != NULL) {
        join.passphrase = cli_borrow(passphrase);
    }
    request.op_case = QUADHSM__REQUEST__OP_NODE_JOIN;
    request.node_join = &join;
    status = ask(cli, &request, "joining the cluster", &response);
    if (status == EXIT_DONE) {
        wire_message_free(&response->base);
    }
    return status;
}

static int run_join(struct cli *cli)
{
    Quadhsm__Response *response = NULL;
    int status = ask_new_node(cli, "joining", &response);

    if (status != EXIT_DONE) {
        return status;
    }
    status = join_node(cli, response->node);
    wire_message_free(&response->base);
    return status == EXIT_DONE ? run_status(cli) : status;
}

/* ---- unlock ---- */

static int run_unlock(struct cli *cli)
{
    SECRET_SCOPED struct secret *passphrase = NULL;
    Quadhsm__Request request;
    Quadhsm__NodeUnlock unlock;
    Quadhsm__Response *response = NULL;
    int status = cli_password(cli, "passphrase-file", "passphrase of this node", false,
                              PASSWORD_SIZE_MIN, &passphrase);

    quadhsm__request__init(&request);
    quadhsm__node_unlock__init(&unlock);
    if (status != EXIT_DONE) {
        return status;
    }
    unlock.passphrase = cli_borrow(passphrase);
    request.op_case = QUADHSM__REQUEST__OP_NODE_UNLOCK;
    request.node_unlock = &unlock;
    status = ask(cli, &request, "unlocking the node", &response);
    if (status == EXIT_DONE) {
        wire_message_free(&response->base);
        status = run_status(cli);
    }
    return status;
}

/* ---- the table ---- */

#define PASSPHRASE_OPTION                                                   \
    {                                                                       \
        .name = "passphrase-file", .kind = OPTION_TEXT, .argument = "FILE", \
        .help = "the node's passphrase (-: standard input)",                \
    }

static const struct option_spec init_options[] = {
    {.name = "cluster",
     .kind = OPTION_TEXT,
     .argument = "NAME",
     .help = "the new cluster's name",
     .required = true},
    {.name = "admin",
     .kind = OPTION_TEXT,
     .argument = "NAME",
     .help = "the first client, which may administer it",
     .required = true},
    {.name = "out",
     .kind = OPTION_TEXT,
     .argument = "DIR",
     .help = "the folder for its certificate, key and configuration",
     .required = true},
    {.name = "password-file",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the security officer's new password (-: standard input)"},
    PASSPHRASE_OPTION,
    {.name = NULL},
};
static const struct option_spec join_options[] = {
    {.name = "token-file",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "what `quadhsm cluster token` printed (-: standard input)",
     .required = true},
    PASSPHRASE_OPTION,
    {.name = NULL},
};
static const struct option_spec unlock_options[] = {PASSPHRASE_OPTION, {.name = NULL}};

const struct command node_commands[] = {
    {"node", "init", "", 0, 0, "Make a new cluster of this one node.",
     "Sets the security officer's password and makes the first client: key and certificate\n"
     "request are made here, and DIR gets ca.crt, client.crt, client.key and client.yaml.\n"
     "There is no default password, and no other way in.",
     "quadhsm node init --cluster prod --admin alice --out ~/.config/quadhsm", init_options,
     control_options, run_init},
    {"node", "join", "", 0, 0, "Join this new node to a cluster.",
     "Waits until the node is a voter and has the cluster's records.",
     "quadhsm cluster token | ssh hsm-b quadhsm node join --token-file -", join_options,
     control_options, run_join},
    {"node", "unlock", "", 0, 0, "Open a locked node's keys with its passphrase.", NULL,
     "quadhsm node unlock --passphrase-file /run/secrets/passphrase", unlock_options,
     control_options, run_unlock},
    {"node", "status", "", 0, 0, "Show how this node is.", NULL, "quadhsm node status", NULL,
     control_options, run_status},
    {.run = NULL},
};
