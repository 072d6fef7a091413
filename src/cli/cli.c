/* What the commands share. See cli.h. */
#include "cli/cli.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "cli/password.h"
#include "wire/frame.h"

#define CONFIG_HELP "the client's configuration; see quadhsm.yaml(5) for where it is found"

const struct option_spec cli_client_options[] = {
    {.name = "config", .kind = OPTION_TEXT, .argument = "FILE", .help = CONFIG_HELP},
    {.name = NULL},
};
const struct option_spec cli_so_options[] = {
    {.name = "password-file",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the security officer's password (-: standard input)"},
    {.name = "config", .kind = OPTION_TEXT, .argument = "FILE", .help = CONFIG_HELP},
    {.name = NULL},
};

const struct option_spec cli_co_options[] = {
    {.name = "partition",
     .kind = OPTION_TEXT,
     .argument = "P",
     .help = "the partition",
     .required = true},
    {.name = "pin-file",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the PIN of the partition's co (-: standard input)"},
    {.name = "config", .kind = OPTION_TEXT, .argument = "FILE", .help = CONFIG_HELP},
    {.name = NULL},
};

int cli_fail(struct cli *cli, int err, const char *format, ...)
{
    char what[OPTIONS_ERROR_ROOM];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return output_fail(&cli->output, (enum qh_err)err, quadhsm_error_detail(), "%s", what);
}

int cli_open(struct cli *cli)
{
    int err;

    if (cli->handle != NULL) {
        return EXIT_DONE;
    }
    err = quadhsm_open(options_text(&cli->options, "config"), &cli->handle);
    return err == QUADHSM_OK ? EXIT_DONE : cli_fail(cli, err, "opening the client's configuration");
}

void cli_close(struct cli *cli)
{
    sodium_memzero(cli->so_ticket, sizeof(cli->so_ticket));
    if (cli->handle != NULL) {
        quadhsm_close(cli->handle);
        cli->handle = NULL;
    }
}

int cli_call(struct cli *cli, Quadhsm__Request *request, const char *what,
             Quadhsm__Response **ret_response)
{
    enum qh_err err;
    int status = cli_open(cli);

    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->so_ticket_size > 0) {
        request->ticket = (ProtobufCBinaryData){.data = cli->so_ticket, .len = cli->so_ticket_size};
    }
    err = client_call(cli->handle, request, ret_response);
    return err == QH_OK ? EXIT_DONE : cli_fail(cli, (int)err, "%s", what);
}

int cli_password(struct cli *cli, const char *option, const char *prompt, bool fresh,
                 size_t size_min, struct secret **ret_password)
{
    struct password_ask ask = {
        .file = options_text(&cli->options, option),
        .option = option,
        .prompt = prompt,
        .fresh = fresh,
        .size_min = size_min,
    };
    char detail[PASSWORD_DETAIL_ROOM];
    enum qh_err err = password_get(&ask, ret_password, detail);

    return err == QH_OK ? EXIT_DONE
                        : output_fail(&cli->output, err, detail, "reading the %s", prompt);
}

ProtobufCBinaryData cli_borrow(struct secret *secret)
{
    return (ProtobufCBinaryData){.data = secret_bytes(secret), .len = secret_size(secret)};
}

static int keep_ticket(struct cli *cli, const Quadhsm__Response *response)
{
    const Quadhsm__LoginDone *login = response->login;

    if (response->result_case != QUADHSM__RESPONSE__RESULT_LOGIN || login->ticket.len == 0 ||
        login->ticket.len > sizeof(cli->so_ticket)) {
        return output_fail(&cli->output, QH_EMALFORMED, "use the version of the cluster's nodes",
                           "logging in as security officer");
    }
    memcpy(cli->so_ticket, login->ticket.data, login->ticket.len);
    cli->so_ticket_size = login->ticket.len;
    return EXIT_DONE;
}

int cli_login_so(struct cli *cli)
{
    SECRET_SCOPED struct secret *password = NULL;
    Quadhsm__Request request;
    Quadhsm__Login login;
    Quadhsm__Response *response = NULL;
    int status = cli_open(cli);

    quadhsm__request__init(&request);
    quadhsm__login__init(&login);
    if (status == EXIT_DONE) {
        status = cli_password(cli, "password-file", "password of the security officer", false,
                              PASSWORD_SIZE_MIN, &password);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    login.role = QUADHSM__ROLE__ROLE_SO;
    login.pin = cli_borrow(password);
    request.op_case = QUADHSM__REQUEST__OP_LOGIN;
    request.login = &login;
    status = cli_call(cli, &request, "logging in as security officer", &response);
    if (status == EXIT_DONE) {
        status = keep_ticket(cli, response);
        wire_message_free(&response->base);
    }
    return status;
}

/* A line of the terminal. */
static bool read_answer(char *ret_answer, size_t room)
{
    FILE *terminal = fopen("/dev/tty", "re");
    bool answered = terminal != NULL && fgets(ret_answer, (int)room, terminal) != NULL;

    if (terminal != NULL) {
        (void)fclose(terminal);
    }
    return answered;
}

/* @accepted ends with NULL. */
static int ask_confirmation(struct cli *cli, const char *question, const char *choices,
                            const char *const *accepted)
{
    char answer[OPTIONS_ERROR_ROOM];
    char safe[OPTIONS_ERROR_ROOM];

    output_safe(question, strlen(question), safe, sizeof(safe));
    (void)fprintf(cli->output.err, "%s? [%s] ", safe, choices);
    (void)fflush(cli->output.err);
    if (!read_answer(answer, sizeof(answer))) {
        (void)fputc('\n', cli->output.err);
        return output_misuse(&cli->output, "there is no terminal to ask on; give --yes");
    }
    answer[strcspn(answer, "\n")] = '\0';
    for (; *accepted != NULL; accepted++) {
        if (strcmp(answer, *accepted) == 0) {
            return EXIT_DONE;
        }
    }
    (void)fprintf(cli->output.err, "quadhsm: nothing was done\n");
    return EXIT_FAILED;
}

int cli_confirm(struct cli *cli, const char *format, ...)
{
    static const char *const accepted[] = {"yes", "y", NULL};
    char question[OPTIONS_ERROR_ROOM];
    va_list arguments;

    if (options_flag(&cli->options, "yes")) {
        return EXIT_DONE;
    }
    va_start(arguments, format);
    (void)vsnprintf(question, sizeof(question), format, arguments);
    va_end(arguments);
    return ask_confirmation(cli, question, "yes/no", accepted);
}

int cli_confirm_word(struct cli *cli, const char *word, const char *format, ...)
{
    const char *const accepted[] = {word, NULL};
    char question[OPTIONS_ERROR_ROOM];
    va_list arguments;

    if (options_flag(&cli->options, "yes")) {
        return EXIT_DONE;
    }
    va_start(arguments, format);
    (void)vsnprintf(question, sizeof(question), format, arguments);
    va_end(arguments);
    return ask_confirmation(cli, question, "its name, if so", accepted);
}

int cli_open_token(struct cli *cli, struct quadhsm_token **ret_token)
{
    const char *name = options_text(&cli->options, "partition");
    int status = cli_open(cli);
    int err;

    if (status != EXIT_DONE) {
        return status;
    }
    err = quadhsm_token_open_name(cli->handle, name, ret_token);
    if (err == QUADHSM_ENOTFOUND) {
        return output_fail(&cli->output, QH_ENOTFOUND,
                           "`quadhsm partition list` names those there are; this client may be "
                           "enrolled for others alone",
                           "opening partition \"%s\"", name);
    }
    return err == QUADHSM_OK ? EXIT_DONE : cli_fail(cli, err, "opening partition \"%s\"", name);
}

const char *cli_role_name(int role)
{
    static const char *const names[] = {"nobody", "security officer", "po", "co", "cu"};

    return role >= 0 && role <= QUADHSM_CU ? names[role] : "unknown role";
}

int cli_login_token(struct cli *cli, struct quadhsm_token *token, enum quadhsm_role role)
{
    SECRET_SCOPED struct secret *pin = NULL;
    char prompt[32];
    int status;
    int err;

    (void)snprintf(prompt, sizeof(prompt), "PIN of %s", cli_role_name((int)role));
    status = cli_password(cli, "pin-file", prompt, false, PIN_SIZE_MIN, &pin);
    if (status != EXIT_DONE) {
        return status;
    }
    err = quadhsm_login(token, role, secret_view(pin), secret_size(pin));
    return err == QUADHSM_OK ? EXIT_DONE
                             : cli_fail(cli, err, "logging in as %s", cli_role_name((int)role));
}

int cli_open_logged_in(struct cli *cli, enum quadhsm_role role, struct quadhsm_token **ret_token)
{
    struct quadhsm_token *token = NULL;
    int status = cli_open_token(cli, &token);

    if (status != EXIT_DONE) {
        return status;
    }
    status = cli_login_token(cli, token, role);
    if (status == EXIT_DONE) {
        *ret_token = token;
    } else {
        quadhsm_token_close(token);
    }
    return status;
}

void cli_hex(const uint8_t *base, size_t size, char *ret_text, size_t room)
{
    QH_ASSERT(room > 2 * size);
    (void)sodium_bin2hex(ret_text, room, base, size);
}

json_t *cli_json_text(const char *text)
{
    json_t *value = json_string(text);
    char safe[1024];

    if (value == NULL) {
        output_safe(text, strlen(text), safe, sizeof(safe));
        value = json_string(safe);
    }
    return value;
}
