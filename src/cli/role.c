/* `quadhsm role`: the PINs of a partition's roles. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "wire/frame.h"

/* The role of --role; only those of @names (NULL at the end) may be given. */
static int read_role(struct cli *cli, const char *const *names, int *ret_role)
{
    const char *text = options_text(&cli->options, "role");

    for (unsigned i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_role = strcmp(text, "so") == 0   ? QUADHSM__ROLE__ROLE_SO
                        : strcmp(text, "po") == 0 ? QUADHSM_PO
                        : strcmp(text, "co") == 0 ? QUADHSM_CO
                                                  : QUADHSM_CU;
            return EXIT_DONE;
        }
    }
    return output_misuse(
        &cli->output,
        "\"%s\" is no role here: po is the partition's officer, co makes and uses "
        "keys, cu uses them%s",
        text, strcmp(names[0], "so") == 0 ? ", so is the cluster's security officer" : "");
}

static const char *const partition_roles[] = {"po", "co", "cu", NULL};

static int ask_new(struct cli *cli, int role, struct secret **ret_pin)
{
    char prompt[64];
    bool so = role == QUADHSM__ROLE__ROLE_SO;

    (void)snprintf(prompt, sizeof(prompt), "new %s of %s", so ? "password" : "PIN",
                   so ? "the security officer" : cli_role_name(role));
    return cli_password(cli, "new-pin-file", prompt, true, so ? PASSWORD_SIZE_MIN : PIN_SIZE_MIN,
                        ret_pin);
}

static int say_done(const struct cli *cli, const char *verb, int role)
{
    const char *partition = options_text(&cli->options, "partition");

    if (cli->output.json) {
        output_json(&cli->output,
                    json_pack("{s:s, s:o}", verb, cli_role_name(role), "partition",
                              partition != NULL ? cli_json_text(partition) : json_null()));
    } else {
        output_say(&cli->output, "%s%s%s: %s", cli_role_name(role), partition != NULL ? " of " : "",
                   partition != NULL ? partition : "", verb);
    }
    return EXIT_DONE;
}

/* ---- by the security officer, who has no token ---- */

/* Send @request for the partition of --partition. */
static int call_as_so(struct cli *cli, Quadhsm__Request *request, const char *what)
{
    struct quadhsm_token *token = NULL;
    struct client_ticket ticket;
    Quadhsm__Response *response = NULL;
    int status = cli_open_token(cli, &token);

    if (status != EXIT_DONE) {
        return status;
    }
    client_token_ticket(token, &ticket);
    quadhsm_token_close(token);
    request->partition =
        (ProtobufCBinaryData){.data = ticket.partition, .len = sizeof(ticket.partition)};
    status = cli_call(cli, request, what, &response);
    if (status == EXIT_DONE) {
        wire_message_free(&response->base);
    }
    return status;
}

static int init_po(struct cli *cli)
{
    SECRET_SCOPED struct secret *pin = NULL;
    Quadhsm__Request request;
    Quadhsm__RoleInit init;
    int status = cli_login_so(cli);

    quadhsm__request__init(&request);
    quadhsm__role_init__init(&init);
    if (status == EXIT_DONE) {
        status = ask_new(cli, QUADHSM_PO, &pin);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    init.role = QUADHSM__ROLE__ROLE_PO;
    init.pin = cli_borrow(pin);
    request.op_case = QUADHSM__REQUEST__OP_ROLE_INIT;
    request.role_init = &init;
    return call_as_so(cli, &request, "setting the PIN of po");
}

static int unlock_po(struct cli *cli)
{
    Quadhsm__Request request;
    Quadhsm__RoleUnlock unlock;
    int status = cli_login_so(cli);

    quadhsm__request__init(&request);
    quadhsm__role_unlock__init(&unlock);
    if (status != EXIT_DONE) {
        return status;
    }
    unlock.role = QUADHSM__ROLE__ROLE_PO;
    request.op_case = QUADHSM__REQUEST__OP_ROLE_UNLOCK;
    request.role_unlock = &unlock;
    return call_as_so(cli, &request, "unlocking po");
}

/* ---- by the partition's officer ---- */

static int init_user(struct cli *cli, int role)
{
    SECRET_SCOPED struct secret *pin = NULL;
    struct quadhsm_token *token = NULL;
    int status = cli_open_logged_in(cli, QUADHSM_PO, &token);
    int err;

    if (status != EXIT_DONE) {
        return status;
    }
    status = ask_new(cli, role, &pin);
    if (status == EXIT_DONE) {
        err = quadhsm_init_pin(token, (enum quadhsm_role)role, secret_view(pin), secret_size(pin));
        status = err == QUADHSM_OK
                     ? EXIT_DONE
                     : cli_fail(cli, err, "setting the PIN of %s", cli_role_name(role));
    }
    quadhsm_token_close(token);
    return status;
}

static int unlock_user(struct cli *cli, int role)
{
    Quadhsm__Request request;
    Quadhsm__RoleUnlock unlock;
    Quadhsm__Response *response = NULL;
    struct quadhsm_token *token = NULL;
    struct client_ticket ticket;
    int status = cli_open_logged_in(cli, QUADHSM_PO, &token);

    quadhsm__request__init(&request);
    quadhsm__role_unlock__init(&unlock);
    if (status != EXIT_DONE) {
        return status;
    }
    client_token_ticket(token, &ticket);
    unlock.role = (Quadhsm__Role)role;
    request.op_case = QUADHSM__REQUEST__OP_ROLE_UNLOCK;
    request.role_unlock = &unlock;
    request.partition =
        (ProtobufCBinaryData){.data = ticket.partition, .len = sizeof(ticket.partition)};
    request.ticket = (ProtobufCBinaryData){.data = ticket.ticket, .len = ticket.ticket_size};
    status = cli_call(cli, &request, "unlocking the role", &response);
    if (status == EXIT_DONE) {
        wire_message_free(&response->base);
    }
    sodium_memzero(&ticket, sizeof(ticket));
    quadhsm_token_close(token);
    return status;
}

/* ---- with the old one ---- */

static int passwd_user(struct cli *cli, int role, struct secret *old_pin, struct secret *new_pin)
{
    struct quadhsm_token *token = NULL;
    int status = cli_open_token(cli, &token);
    int err;

    if (status != EXIT_DONE) {
        return status;
    }
    err = quadhsm_set_pin(token, (enum quadhsm_role)role, secret_view(old_pin),
                          secret_size(old_pin), secret_view(new_pin), secret_size(new_pin));
    if (err != QUADHSM_OK) {
        status = cli_fail(cli, err, "changing the PIN of %s", cli_role_name(role));
    }
    quadhsm_token_close(token);
    return status;
}

static int passwd_so(struct cli *cli, struct secret *old_password, struct secret *new_password)
{
    Quadhsm__Request request;
    Quadhsm__RolePasswd passwd;
    Quadhsm__Response *response = NULL;
    int status;

    quadhsm__request__init(&request);
    quadhsm__role_passwd__init(&passwd);
    passwd.role = QUADHSM__ROLE__ROLE_SO;
    passwd.old_pin = cli_borrow(old_password);
    passwd.new_pin = cli_borrow(new_password);
    request.op_case = QUADHSM__REQUEST__OP_ROLE_PASSWD;
    request.role_passwd = &passwd;
    status = cli_call(cli, &request, "changing the security officer's password", &response);
    if (status == EXIT_DONE) {
        wire_message_free(&response->base);
    }
    return status;
}

static int change_secret(struct cli *cli, int role)
{
    SECRET_SCOPED struct secret *old_pin = NULL;
    SECRET_SCOPED struct secret *new_pin = NULL;
    bool so = role == QUADHSM__ROLE__ROLE_SO;
    char prompt[64];
    int status;

    (void)snprintf(prompt, sizeof(prompt), "old %s of %s", so ? "password" : "PIN",
                   so ? "the security officer" : cli_role_name(role));
    status = cli_password(cli, "pin-file", prompt, false, so ? PASSWORD_SIZE_MIN : PIN_SIZE_MIN,
                          &old_pin);
    if (status == EXIT_DONE) {
        status = ask_new(cli, role, &new_pin);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    return so ? passwd_so(cli, old_pin, new_pin) : passwd_user(cli, role, old_pin, new_pin);
}

/* ---- the commands ---- */

static int run_init(struct cli *cli)
{
    int role = 0;
    int status = read_role(cli, partition_roles, &role);

    if (status == EXIT_DONE) {
        status = role == QUADHSM_PO ? init_po(cli) : init_user(cli, role);
    }
    return status == EXIT_DONE ? say_done(cli, "initialized", role) : status;
}

static int run_passwd(struct cli *cli)
{
    static const char *const names[] = {"so", "po", "co", "cu", NULL};
    int role = 0;
    int status = read_role(cli, names, &role);
    bool has_partition = options_text(&cli->options, "partition") != NULL;

    if (status != EXIT_DONE) {
        return status;
    }
    if (has_partition == (role == QUADHSM__ROLE__ROLE_SO)) {
        return output_misuse(&cli->output, has_partition
                                               ? "the security officer belongs to the cluster: "
                                                 "leave --partition out"
                                               : "--partition P is missing");
    }
    status = change_secret(cli, role);
    return status == EXIT_DONE ? say_done(cli, "changed", role) : status;
}

static int run_unlock(struct cli *cli)
{
    int role = 0;
    int status = read_role(cli, partition_roles, &role);

    if (status == EXIT_DONE) {
        status = role == QUADHSM_PO ? unlock_po(cli) : unlock_user(cli, role);
    }
    return status == EXIT_DONE ? say_done(cli, "unlocked", role) : status;
}

#define PARTITION_OPTION(must)                                                              \
    {                                                                                       \
        .name = "partition", .kind = OPTION_TEXT, .argument = "P", .help = "the partition", \
        .required = (must),                                                                 \
    }
#define ROLE_OPTION(roles)                                                          \
    {                                                                               \
        .name = "role", .kind = OPTION_TEXT, .argument = (roles),                   \
        .help = "po: the partition's officer, co: crypto officer, cu: crypto user", \
        .required = true,                                                           \
    }
#define PIN_OPTION(text)                                                            \
    {                                                                               \
        .name = "pin-file", .kind = OPTION_TEXT, .argument = "FILE", .help = (text) \
    }
#define NEW_PIN_OPTION                                                   \
    {                                                                    \
        .name = "new-pin-file", .kind = OPTION_TEXT, .argument = "FILE", \
        .help = "the new PIN (-: the next line of standard input)",      \
    }

static const struct option_spec init_options[] = {
    PARTITION_OPTION(true),
    ROLE_OPTION("po|co|cu"),
    PIN_OPTION("po's PIN, to set that of co or cu (-: standard input)"),
    NEW_PIN_OPTION,
    {.name = NULL},
};
static const struct option_spec passwd_options[] = {
    PARTITION_OPTION(false),
    ROLE_OPTION("so|po|co|cu"),
    PIN_OPTION("the old PIN (-: standard input)"),
    NEW_PIN_OPTION,
    {.name = NULL},
};
static const struct option_spec unlock_options[] = {
    PARTITION_OPTION(true),
    ROLE_OPTION("po|co|cu"),
    PIN_OPTION("po's PIN, to unlock co or cu (-: standard input)"),
    {.name = NULL},
};

const struct command role_commands[] = {
    {"role", "init", "", 0, 0, "Set a role's first PIN, or a new one.",
     "po's PIN is set by the security officer (--password-file), those of co and cu by po\n"
     "(--pin-file). All logins of that role end.",
     "quadhsm role init --partition payments --role co", init_options, cli_so_options, run_init},
    {"role", "passwd", "", 0, 0, "Change a PIN, with the old one.",
     "Without --partition and with --role so: the security officer's password.",
     "quadhsm role passwd --partition payments --role cu", passwd_options, cli_client_options,
     run_passwd},
    {"role", "unlock", "", 0, 0, "Open a role that wrong PINs have locked.",
     "po is unlocked by the security officer, co and cu by po.",
     "quadhsm role unlock --partition payments --role co", unlock_options, cli_so_options,
     run_unlock},
    {.run = NULL},
};
