/* A command's options and arguments. See options.h. */
#include "cli/options.h"

#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "cli/output.h"

#define HELP_COLUMN 28

static const struct option_spec standard[] = {
    {.name = "json", .kind = OPTION_FLAG, .help = "print JSON, errors too"},
    {.name = "help", .kind = OPTION_FLAG, .help = "print this and end"},
    {.name = NULL},
};

/* The command's own table, those it shares, and those that all have. */
static const struct option_spec *table_at(const struct command *command, unsigned index)
{
    static const struct option_spec none[] = {{.name = NULL}};
    const struct option_spec *tables[] = {command->options, command->common, standard};

    return tables[index] != NULL ? tables[index] : none;
}

#define TABLES 3u

static const struct option_spec *find_spec(const struct command *command, const char *name,
                                           size_t length)
{
    for (unsigned i = 0; i < TABLES; i++) {
        for (const struct option_spec *spec = table_at(command, i); spec->name != NULL; spec++) {
            if (strncmp(spec->name, name, length) == 0 && spec->name[length] == '\0') {
                return spec;
            }
        }
    }
    return NULL;
}

__attribute__((format(printf, 3, 4))) static enum qh_err
refuse(const struct command *command, char *ret_error, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    (void)vsnprintf(ret_error, OPTIONS_ERROR_ROOM, format, arguments);
    va_end(arguments);
    length = strlen(ret_error);
    (void)snprintf(ret_error + length, OPTIONS_ERROR_ROOM - length,
                   "; `quadhsm %s %s --help` explains it", command->group, command->name);
    return QH_EINVAL;
}

/* Decimal digits alone. */
static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *ret_number)
{
    unsigned long number = 0;

    if (text[0] == '\0') {
        return false;
    }
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] < '0' || text[i] > '9' || number > max) {
            return false;
        }
        number = number * 10 + (unsigned long)(text[i] - '0');
    }
    if (number < min || number > max) {
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static bool given(const struct options *options, const struct option_spec *spec)
{
    for (unsigned i = 0; i < options->value_count; i++) {
        if (options->values[i].spec == spec) {
            return true;
        }
    }
    return false;
}

static QH_RESULT take_value(struct options *options, const struct option_spec *spec,
                            const char *text, char *ret_error)
{
    unsigned number;

    if (spec->kind != OPTION_MANY && given(options, spec)) {
        return refuse(options->command, ret_error, "--%s is given twice", spec->name);
    }
    if (options->value_count == OPTIONS_VALUES_MAX) {
        return refuse(options->command, ret_error, "there are too many options");
    }
    if ((spec->kind == OPTION_NUMBER || (spec->kind == OPTION_MAYBE && text != NULL)) &&
        !parse_number(text, spec->min, spec->max, &number)) {
        return refuse(options->command, ret_error, "--%s must be a number, %u to %u", spec->name,
                      spec->min, spec->max);
    }
    if ((spec->kind == OPTION_TEXT || spec->kind == OPTION_MANY) && text[0] == '\0') {
        return refuse(options->command, ret_error, "--%s is empty", spec->name);
    }
    options->values[options->value_count].spec = spec;
    options->values[options->value_count].text = text;
    options->value_count++;
    options->help = options->help || (spec->kind == OPTION_FLAG && strcmp(spec->name, "help") == 0);
    return QH_OK;
}

/* "--name", "--name=value" or "--name" "value"; moves *index to the last that was used. */
static QH_RESULT take_option(struct options *options, int count, const char *const *arguments,
                             int *index, char *ret_error)
{
    const char *name = arguments[*index] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *spec = find_spec(options->command, name, length);

    if (spec == NULL) {
        return refuse(options->command, ret_error, "there is no option --%.*s", (int)length, name);
    }
    if (spec->kind == OPTION_FLAG) {
        return equals == NULL
                   ? take_value(options, spec, NULL, ret_error)
                   : refuse(options->command, ret_error, "--%s takes no value", spec->name);
    }
    if (equals != NULL) {
        return take_value(options, spec, equals + 1, ret_error);
    }
    if (spec->kind == OPTION_MAYBE) {
        return take_value(options, spec, NULL, ret_error);
    }
    if (*index + 1 == count) {
        return refuse(options->command, ret_error, "--%s lacks its %s", spec->name, spec->argument);
    }
    *index += 1;
    return take_value(options, spec, arguments[*index], ret_error);
}

static QH_RESULT check_complete(const struct options *options, char *ret_error)
{
    const struct command *command = options->command;

    if (options->argument_count < command->arguments_min) {
        return refuse(command, ret_error, "%s is missing", command->arguments);
    }
    for (unsigned i = 0; i < TABLES; i++) {
        for (const struct option_spec *spec = table_at(command, i); spec->name != NULL; spec++) {
            if (spec->required && !given(options, spec)) {
                return refuse(command, ret_error, "--%s %s is missing", spec->name, spec->argument);
            }
        }
    }
    return QH_OK;
}

QH_RESULT options_parse(const struct command *command, int count, const char *const *arguments,
                        struct options *ret_options, char ret_error[OPTIONS_ERROR_ROOM])
{
    struct options options = {.command = command};
    bool only_arguments = false;
    enum qh_err err;

    for (int i = 0; i < count; i++) {
        const char *text = arguments[i];

        if (!only_arguments && strcmp(text, "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && strncmp(text, "--", 2) == 0) {
            err = take_option(&options, count, arguments, &i, ret_error);
            if (err != QH_OK) {
                return err;
            }
        } else if (!only_arguments && text[0] == '-' && text[1] != '\0') {
            return refuse(command, ret_error, "there is no option %s", text);
        } else if (options.argument_count == command->arguments_max ||
                   options.argument_count == OPTIONS_ARGUMENTS_MAX) {
            return refuse(command, ret_error, "\"%s\" is one argument too many", text);
        } else {
            options.arguments[options.argument_count++] = text;
        }
    }
    err = options.help ? QH_OK : check_complete(&options, ret_error);
    if (err == QH_OK) {
        *ret_options = options;
    }
    return err;
}

const char *options_many(const struct options *options, const char *name, unsigned index)
{
    const struct option_spec *spec = find_spec(options->command, name, strlen(name));

    QH_ASSERT(spec != NULL);
    for (unsigned i = 0; i < options->value_count; i++) {
        if (options->values[i].spec == spec && index-- == 0) {
            return options->values[i].text;
        }
    }
    return NULL;
}

const char *options_text(const struct options *options, const char *name)
{
    return options_many(options, name, 0);
}

bool options_flag(const struct options *options, const char *name)
{
    const struct option_spec *spec = find_spec(options->command, name, strlen(name));

    QH_ASSERT(spec != NULL);
    return given(options, spec);
}

unsigned options_number(const struct options *options, const char *name, unsigned otherwise)
{
    const struct option_spec *spec = find_spec(options->command, name, strlen(name));
    const char *text = options_many(options, name, 0);
    unsigned number = otherwise;

    if (text != NULL) {
        QH_ASSERT(parse_number(text, spec->min, spec->max, &number));
    }
    return number;
}

const char *options_argument(const struct options *options, unsigned index)
{
    QH_ASSERT(index < options->command->arguments_max);
    return index < options->argument_count ? options->arguments[index] : NULL;
}

static const char *value_form(const struct option_spec *spec)
{
    return spec->kind == OPTION_MAYBE ? "=" : " ";
}

void options_print_usage(const struct command *command, FILE *file)
{
    (void)fprintf(file, "usage: quadhsm %s %s", command->group, command->name);
    if (command->arguments[0] != '\0') {
        (void)fprintf(file, command->arguments_min > 0 ? " %s" : " [%s]", command->arguments);
    }
    for (unsigned i = 0; i < TABLES; i++) {
        for (const struct option_spec *spec = table_at(command, i); spec->name != NULL; spec++) {
            if (spec->required) {
                (void)fprintf(file, " --%s %s", spec->name, spec->argument);
            }
        }
    }
    (void)fputs(" [options]\n", file);
}

static void print_option(const struct option_spec *spec, FILE *file)
{
    char left[96];

    if (spec->kind == OPTION_FLAG) {
        (void)snprintf(left, sizeof(left), "--%s", spec->name);
    } else {
        (void)snprintf(left, sizeof(left), "--%s%s%s%s%s", spec->name,
                       spec->kind == OPTION_MAYBE ? "[" : "", value_form(spec), spec->argument,
                       spec->kind == OPTION_MAYBE ? "]" : "");
    }
    (void)fprintf(file, "  %-*s %s%s\n", HELP_COLUMN, left, spec->help,
                  spec->kind == OPTION_MANY ? " (may be repeated)" : "");
}

void options_print_help(const struct command *command, FILE *file)
{
    options_print_usage(command, file);
    (void)fprintf(file, "\n%s\n", command->summary);
    if (command->text != NULL) {
        (void)fprintf(file, "\n%s\n", command->text);
    }
    (void)fputs("\noptions:\n", file);
    for (unsigned i = 0; i < TABLES; i++) {
        for (const struct option_spec *spec = table_at(command, i); spec->name != NULL; spec++) {
            print_option(spec, file);
        }
    }
    (void)fprintf(file, "\nexample:\n  %s\n\n%s", command->example, OUTPUT_EXIT_HELP);
}
