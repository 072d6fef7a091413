/* What the command prints: text, tables and colour for people, JSON for programs, errors that say
 * what to do, and the exit status. Thread: one. */
#ifndef QH_CLI_OUTPUT_H
#define QH_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3,
    EXIT_LOGIN = 4,
    EXIT_NO_QUORUM = 5,
};
#define OUTPUT_EXIT_HELP                                                 \
    "exit status: 0 done, 1 refused or failed, 2 usage, 3 no node can\n" \
    "be reached, 4 the login failed, 5 no quorum: changes wait\n"

struct output {
    FILE *out, *err;
    bool json;
    bool terminal; /* out is one */
    bool colour;   /* out is a terminal and NO_COLOR is not set */
    bool utf8;     /* the terminal's */
    bool local;    /* the command speaks to this machine's node, not to a cluster */
};

/* stdout and stderr, as the environment has them. */
void output_init(struct output *output, bool json);

enum output_style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GOOD,
    STYLE_WARN,
    STYLE_BAD,
};
/* Escape sequences around what follows; "" without colour. */
const char *output_style(const struct output *output, enum output_style style);
const char *output_plain(const struct output *output);

/* A copy of text from outside (names, labels) that cannot move the cursor: control characters, and
 * what is not UTF-8, become \xNN. Cut to fit. */
void output_safe(const char *text, size_t length, char *ret_text, size_t room);
/* Columns on a terminal: code points. */
size_t output_width(const char *text);

/* Print and release. */
void output_json(const struct output *output, json_t *value);

/* "quadhsm: what: message", the detail and a hint, on stderr; with json an object.
 * @detail may be NULL or "". Returns the exit status for @err. */
int output_fail(const struct output *output, enum qh_err err, const char *detail,
                const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A wrong use that the tables of options do not find. Returns EXIT_USAGE. */
int output_misuse(const struct output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum exit_status output_exit_status(enum qh_err err);
const char *output_hint(enum qh_err err); /* "": none */

/* A line for people alone: nothing with json. */
void output_say(const struct output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- tables ---- */

#define TABLE_COLUMNS_MAX 12u
#define TABLE_CELL_ROOM 160u

struct table_cell;
struct table {
    unsigned columns;
    const char *heads[TABLE_COLUMNS_MAX]; /* one that begins with '>' aligns right */
    struct table_cell *cells;
    size_t count, room;
};

/* @heads ends with NULL; borrowed. */
void table_init(struct table *table, const char *const *heads);
/* The next cell, from left to right and row by row. Text from outside is made safe. */
void table_cell(struct table *table, enum output_style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A line of its own between the rows, at the left of them; only where a row would begin. */
void table_line(struct table *table, enum output_style style, const char *text);
/* Prints @indent blanks before each row, and heads if @heads; then releases. */
void table_print(struct table *table, const struct output *output, unsigned indent, bool heads);

#endif
