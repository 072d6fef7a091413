/* A command's options and arguments: described in tables, parsed strictly, and printed as its
 * help. Thread: one. */
#ifndef QH_CLI_OPTIONS_H
#define QH_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define OPTIONS_VALUES_MAX 96u
#define OPTIONS_ARGUMENTS_MAX 8u
#define OPTIONS_ERROR_ROOM 320u

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_NUMBER, /* in min to max */
    OPTION_MANY,   /* text, and may be repeated */
    OPTION_MAYBE,  /* a number that may be left out: --watch or --watch=5 */
};

/* A table of these ends with name NULL. */
struct option_spec {
    const char *name; /* without the dashes */
    enum option_kind kind;
    const char *argument; /* as in the help: FILE */
    const char *help;
    bool required;
    unsigned min, max;
};

struct cli;

/* A table of these ends with run NULL. */
struct command {
    const char *group;     /* node */
    const char *name;      /* init */
    const char *arguments; /* "NAME", "" for none */
    unsigned arguments_min, arguments_max;
    const char *summary; /* one line */
    const char *text;    /* more, for --help alone; may be NULL */
    const char *example;
    const struct option_spec *options;
    const struct option_spec *common; /* shared with other commands; may be NULL */
    int (*run)(struct cli *cli);
};

struct options {
    const struct command *command;
    struct {
        const struct option_spec *spec;
        const char *text; /* NULL for a flag */
    } values[OPTIONS_VALUES_MAX];
    unsigned value_count;
    const char *arguments[OPTIONS_ARGUMENTS_MAX];
    unsigned argument_count;
    bool help;
};

/* @arguments is what comes behind the command's name; borrowed. Checks everything that the tables
 * say, unless --help was given. Errors: QH_EINVAL, with what to do in @ret_error. */
QH_RESULT options_parse(const struct command *command, int count, const char *const *arguments,
                        struct options *ret_options, char ret_error[OPTIONS_ERROR_ROOM]);

/* NULL or @otherwise if it was not given. The name must be in the tables. */
const char *options_text(const struct options *options, const char *name);
bool options_flag(const struct options *options, const char *name);
unsigned options_number(const struct options *options, const char *name, unsigned otherwise);
/* The @index-th value of OPTION_MANY, NULL behind the last. */
const char *options_many(const struct options *options, const char *name, unsigned index);
/* @index below arguments_max; NULL if it was not given. */
const char *options_argument(const struct options *options, unsigned index);

void options_print_usage(const struct command *command, FILE *file); /* one line */
void options_print_help(const struct command *command, FILE *file);

#endif
