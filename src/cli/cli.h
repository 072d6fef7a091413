/* What the commands of `quadhsm` share: the client's handle, logins, and how they end. Each command
 * is a function that returns the exit status, after it has said what went wrong. Thread: one. */
#ifndef QH_CLI_CLI_H
#define QH_CLI_CLI_H

#include "base/err.h"
#include "base/secret.h"
#include "cli/options.h"
#include "cli/output.h"
#include "client/call.h"
#include "client/quadhsm.h"
#include "proto/quadhsm.pb-c.h"

struct cli {
    struct options options;
    struct output output;
    struct quadhsm *handle; /* NULL until cli_open() */
    uint8_t so_ticket[CLIENT_TICKET_ROOM];
    size_t so_ticket_size; /* 0: no login */
};

/* The tables of commands, one a file; each ends with run NULL. */
extern const struct command node_commands[];
extern const struct command cluster_commands[];
extern const struct command partition_commands[];
extern const struct command role_commands[];
extern const struct command client_commands[];
extern const struct command key_commands[];
extern const struct command migrate_commands[];

/* --config FILE, for all that talk to the cluster; and that with --password-file. */
extern const struct option_spec cli_client_options[];
extern const struct option_spec cli_so_options[];
/* --partition, --pin-file and --config, for those that log in as co. */
extern const struct option_spec cli_co_options[];

/* All return an exit status, and have said what is wrong if it is not EXIT_DONE. */

/* Read the client's configuration. */
int cli_open(struct cli *cli);
/* Wipes, closes; always at the end. */
void cli_close(struct cli *cli);
/* With the library's detail of the last call. */
int cli_fail(struct cli *cli, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* @what for the error: "making the partition". With the ticket of cli_login_so(), if there is one.
 * Owns: *ret_response: wire_message_free(). */
int cli_call(struct cli *cli, Quadhsm__Request *request, const char *what,
             Quadhsm__Response **ret_response);
/* A PIN or password; @option names its file. Owns: secret_free(). */
int cli_password(struct cli *cli, const char *option, const char *prompt, bool fresh,
                 size_t size_min, struct secret **ret_password);
/* As the cluster's security officer; asks for the password. */
int cli_login_so(struct cli *cli);
/* The partition of --partition. Owns: quadhsm_token_close(). */
int cli_open_token(struct cli *cli, struct quadhsm_token **ret_token);
/* Asks for the PIN (--pin-file). */
int cli_login_token(struct cli *cli, struct quadhsm_token *token, enum quadhsm_role role);
/* Both: --partition, logged in. Owns: quadhsm_token_close(). */
int cli_open_logged_in(struct cli *cli, enum quadhsm_role role, struct quadhsm_token **ret_token);
/* Ask on the terminal, unless --yes was given. EXIT_FAILED if the answer is not yes. */
int cli_confirm(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, but what has to be typed is @word. */
int cli_confirm_word(struct cli *cli, const char *word, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "po", "co", "cu"; "security officer". */
const char *cli_role_name(int role);

/* Lower-case hex, with a zero byte. */
void cli_hex(const uint8_t *base, size_t size, char *ret_text, size_t room);
/* Text from the cluster as a JSON string, made safe if it is no UTF-8. */
json_t *cli_json_text(const char *text);

/* A protobuf field that borrows a secret's bytes. */
ProtobufCBinaryData cli_borrow(struct secret *secret);

#endif
