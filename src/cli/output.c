/* What the command prints. See output.h. */
#include "cli/output.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

#define TEXT_ROOM 1024u

void output_init(struct output *output, bool json)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    (void)setlocale(LC_CTYPE, "");
    *output = (struct output){.out = stdout, .err = stderr, .json = json};
    output->terminal = isatty(STDOUT_FILENO) == 1;
    output->colour = output->terminal && (no_colour == NULL || no_colour[0] == '\0') &&
                     (terminal == NULL || strcmp(terminal, "dumb") != 0);
    output->utf8 = output->terminal && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

const char *output_style(const struct output *output, enum output_style style)
{
    static const char *const codes[] = {
        [STYLE_PLAIN] = "",        [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
        [STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
    };

    return output->colour ? codes[style] : "";
}

const char *output_plain(const struct output *output)
{
    return output->colour ? "\033[0m" : "";
}

/* The length of the UTF-8 sequence that @text begins with; 0 if it is none, or a control
 * character of either kind. */
static size_t sequence_length(const unsigned char *text, size_t left)
{
    size_t length = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    bool overlong;

    if (length == 1) {
        return text[0] >= 0x20 && text[0] != 0x7f ? 1 : 0;
    }
    if (text[0] < 0xc2 || text[0] > 0xf4 || length > left) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90) ||
               (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf4 && text[1] > 0x8f);
    /* U+0080 to U+009F are controls, and U+202A to U+202E, U+2066 to U+2069 turn text round. */
    return overlong || (text[0] == 0xc2 && text[1] < 0xa0) ||
                   (text[0] == 0xe2 && text[1] == 0x80 && text[2] >= 0xaa && text[2] <= 0xae) ||
                   (text[0] == 0xe2 && text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9)
               ? 0
               : length;
}

void output_safe(const char *text, size_t length, char *ret_text, size_t room)
{
    size_t at = 0;
    size_t i = 0;

    QH_ASSERT(room >= 5);
    while (i < length && at + 5 <= room) {
        size_t sequence = sequence_length((const unsigned char *)text + i, length - i);

        if (sequence > 0) {
            memcpy(ret_text + at, text + i, sequence);
            at += sequence;
            i += sequence;
        } else {
            at += (size_t)snprintf(ret_text + at, 5, "\\x%02x", (unsigned)(unsigned char)text[i]);
            i++;
        }
    }
    ret_text[at] = '\0';
}

size_t output_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

void output_json(const struct output *output, json_t *value)
{
    QH_ASSERT(value != NULL);
    (void)json_dumpf(value, output->out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    (void)fputc('\n', output->out);
    json_decref(value);
}

enum exit_status output_exit_status(enum qh_err err)
{
    switch ((int)err) {
    case QH_OK:
        return EXIT_DONE;
    case QH_ECONN:
    case QH_ETIMEOUT:
        return EXIT_UNREACHABLE;
    case QH_EPIN:
    case QH_EPINLOCKED:
    case QH_ENOPIN:
    case QH_ETICKET:
    case QH_ENOLOGIN:
        return EXIT_LOGIN;
    case QH_ENOQUORUM:
        return EXIT_NO_QUORUM;
    default:
        return EXIT_FAILED;
    }
}

const char *output_hint(enum qh_err err)
{
    switch ((int)err) {
    case QH_ECONN:
    case QH_ETIMEOUT:
        return "check that the nodes run and that their addresses stand under endpoints: in the "
               "client's configuration";
    case QH_EUNKNOWN:
        return "look whether it happened (list or show) before trying again";
    case QH_ETLS:
        return "check ca, certificate and key of the client's configuration: they must come from "
               "this cluster, and must not have expired";
    case QH_ENOTENROLLED:
        return "an administrator makes a certificate with `quadhsm client enroll`";
    case QH_EPINLOCKED:
        return "`quadhsm role unlock` opens it again: co and cu by po, po by the security officer";
    case QH_ENOPIN:
        return "`quadhsm role init` gives it its first PIN: po by the security officer, co and cu "
               "by po";
    case QH_EPINRANGE:
        return "PINs have 4 to 255 bytes; the security officer's password and passphrases 8 to 255";
    case QH_ENOQUORUM:
        return "keys can be used meanwhile; `quadhsm cluster status` shows which nodes are missing";
    case QH_ELOCKED:
        return "type its passphrase: `quadhsm node unlock` on that node";
    case QH_EUNINITIALIZED:
        return "`quadhsm node init` makes a new cluster, `quadhsm node join` joins one";
    case QH_EBUSY:
    case QH_ECONFLICT:
        return "try again";
    case QH_ESYSTEM:
        return "if memory cannot be locked, raise the limit: `ulimit -l unlimited`";
    case QH_ETICKET:
    case QH_ENOLOGIN:
        return "run the command again and log in";
    default:
        return "";
    }
}

/* A cluster that says what to do knows better than the table; but it cannot know how its nodes are
 * reached. */
static const char *hint_beside(const struct output *output, enum qh_err err, const char *detail)
{
    if (output->local && detail[0] != '\0') {
        return "";
    }
    switch ((int)err) {
    case QH_ECONN:
    case QH_ETIMEOUT:
    case QH_EUNKNOWN:
    case QH_ETLS:
    case QH_ENOQUORUM:
    case QH_ESYSTEM:
        return output_hint(err);
    default:
        return detail[0] == '\0' ? output_hint(err) : "";
    }
}

static void fail_json(const struct output *output, enum qh_err err, const char *what,
                      const char *detail, int status)
{
    json_t *object = json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:i}}", "error", "code", err_name(err),
                               "what", what, "message", err_message(err), "detail", detail, "hint",
                               output_hint(err), "exit_status", status);

    QH_ASSERT(object != NULL);
    (void)json_dumpf(object, output->err, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    (void)fputc('\n', output->err);
    json_decref(object);
}

/* The detail may have several lines; each is made safe and indented. */
static void print_lines(FILE *file, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        char line[TEXT_ROOM];

        output_safe(text, length, line, sizeof(line));
        (void)fprintf(file, "  %s\n", line);
        text += length + (text[length] == '\n' ? 1 : 0);
    }
}

int output_fail(const struct output *output, enum qh_err err, const char *detail,
                const char *format, ...)
{
    int status = (int)output_exit_status(err);
    char what[TEXT_ROOM];
    char safe[TEXT_ROOM];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    output_safe(what, strlen(what), safe, sizeof(safe));
    detail = detail != NULL ? detail : "";
    if (output->json) {
        char safe_detail[4 * TEXT_ROOM];

        output_safe(detail, strlen(detail), safe_detail, sizeof(safe_detail));
        fail_json(output, err, safe, safe_detail, status);
        return status;
    }
    (void)fprintf(output->err, "quadhsm: %s: %s\n", safe, err_message(err));
    print_lines(output->err, detail);
    print_lines(output->err, hint_beside(output, err, detail));
    return status;
}

int output_misuse(const struct output *output, const char *format, ...)
{
    char what[TEXT_ROOM];
    char safe[TEXT_ROOM];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    output_safe(what, strlen(what), safe, sizeof(safe));
    if (output->json) {
        fail_json(output, QH_EINVAL, safe, "", EXIT_USAGE);
    } else {
        (void)fprintf(output->err, "quadhsm: %s\n", safe);
    }
    return EXIT_USAGE;
}

void output_say(const struct output *output, const char *format, ...)
{
    char text[TEXT_ROOM];
    char safe[TEXT_ROOM];
    va_list arguments;

    if (output->json) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    output_safe(text, strlen(text), safe, sizeof(safe));
    (void)fprintf(output->out, "%s\n", safe);
}

/* ---- tables ---- */

struct table_cell {
    enum output_style style;
    bool line; /* of table_line(); the rest of its row is not used */
    char text[TABLE_CELL_ROOM];
};

void table_init(struct table *table, const char *const *heads)
{
    *table = (struct table){0};
    for (; heads[table->columns] != NULL; table->columns++) {
        QH_ASSERT(table->columns < TABLE_COLUMNS_MAX);
        table->heads[table->columns] = heads[table->columns];
    }
}

static void append_cell(struct table *table, enum output_style style, bool line, const char *text)
{
    if (table->count == table->room) {
        size_t room = table->room > 0 ? 2 * table->room : 8 * (size_t)table->columns;
        struct table_cell *cells = realloc(table->cells, room * sizeof(*cells));

        /* A command that cannot have a few kilobytes can do nothing else either. */
        QH_ASSERT(cells != NULL);
        table->cells = cells;
        table->room = room;
    }
    table->cells[table->count].style = style;
    table->cells[table->count].line = line;
    output_safe(text, strlen(text), table->cells[table->count].text, TABLE_CELL_ROOM);
    table->count++;
}

void table_cell(struct table *table, enum output_style style, const char *format, ...)
{
    char text[TEXT_ROOM];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    append_cell(table, style, false, text);
}

void table_line(struct table *table, enum output_style style, const char *text)
{
    QH_ASSERT(table->count % table->columns == 0);
    for (unsigned i = 0; i < table->columns; i++) {
        append_cell(table, style, true, i == 0 ? text : "");
    }
}

static const char *head_text(const char *head)
{
    return head[0] == '>' ? head + 1 : head;
}

static void print_cell(const struct table *table, const struct output *output, unsigned column,
                       size_t width, enum output_style style, const char *text)
{
    size_t blanks = width > output_width(text) ? width - output_width(text) : 0;
    bool right = table->heads[column][0] == '>';
    bool last = column + 1 == table->columns;

    (void)fprintf(output->out, "%*s%s%s%s", right ? (int)blanks : 0, "",
                  output_style(output, style), text,
                  style != STYLE_PLAIN ? output_plain(output) : "");
    /* No blanks at the end of a line. */
    if (!last) {
        (void)fprintf(output->out, "%*s", (right ? 0 : (int)blanks) + 2, "");
    }
}

static void print_row(const struct table *table, const struct output *output, unsigned indent,
                      const size_t *widths, const struct table_cell *cells)
{
    if (cells[0].line) {
        (void)fprintf(output->out, "%s%s%s\n", output_style(output, cells[0].style), cells[0].text,
                      output_plain(output));
        return;
    }
    (void)fprintf(output->out, "%*s", (int)indent, "");
    for (unsigned i = 0; i < table->columns; i++) {
        print_cell(table, output, i, widths[i], cells[i].style, cells[i].text);
    }
    (void)fputc('\n', output->out);
}

void table_print(struct table *table, const struct output *output, unsigned indent, bool heads)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    QH_ASSERT(table->count % table->columns == 0);
    for (unsigned i = 0; i < table->columns; i++) {
        widths[i] = heads ? output_width(head_text(table->heads[i])) : 0;
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t width = table->cells[i].line ? 0 : output_width(table->cells[i].text);
        size_t *widest = &widths[i % table->columns];

        *widest = width > *widest ? width : *widest;
    }
    for (unsigned i = 0; heads && i < table->columns; i++) {
        (void)fprintf(output->out, "%*s", i == 0 ? (int)indent : 0, "");
        print_cell(table, output, i, widths[i], STYLE_DIM, head_text(table->heads[i]));
    }
    (void)fputs(heads ? "\n" : "", output->out);
    for (size_t i = 0; i < table->count; i += table->columns) {
        print_row(table, output, indent, widths, &table->cells[i]);
    }
    free(table->cells);
    table->cells = NULL;
    table->count = 0;
    table->room = 0;
}
