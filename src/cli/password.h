/* PINs, passwords and passphrases: from a file, from standard input, or typed on the terminal.
 * Never from the command line, where other users can read them. Thread: one. */
#ifndef QH_CLI_PASSWORD_H
#define QH_CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"

#define PASSWORD_DETAIL_ROOM 256u

struct password_ask {
    const char *file;   /* a path; "-": the next line of standard input; NULL: ask */
    const char *option; /* the option of it, for messages: "pin-file" */
    const char *prompt; /* "PIN of co" */
    bool fresh;         /* a new one: typed twice */
    size_t size_min;    /* bytes */
};

/* A file's last newline is not part of it. Errors: QH_EPINRANGE, QH_EINVAL (nobody to ask, typed
 * differently, given up), QH_ENOTFOUND, QH_EPERM, QH_EIO, QH_ESYSTEM, QH_ENOMEM; @ret_detail says
 * what to do. Owns: secret_free(). */
QH_RESULT password_get(const struct password_ask *ask, struct secret **ret_password,
                       char ret_detail[PASSWORD_DETAIL_ROOM]);

/* The parts, for tests: @terminal is open for reading and writing. */
QH_RESULT password_prompt(int terminal, const struct password_ask *ask,
                          struct secret **ret_password, char ret_detail[PASSWORD_DETAIL_ROOM]);
/* One line, read byte by byte, so that the next one is still there. */
QH_RESULT password_read_line(int fd, const struct password_ask *ask, struct secret **ret_password,
                             char ret_detail[PASSWORD_DETAIL_ROOM]);

#endif
