/* The list of what is wrong with a configuration file. See problems.h. */
#include "config/problems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBLEMS_LINE_ROOM (4u * PROBLEMS_TEXT_MAX + 1u)

void problems_init(struct problems *problems, const char *path)
{
    *problems = (struct problems){.path = path};
}

void problems_free(struct problems *problems)
{
    free(problems->text);
    problems->text = NULL;
}

/* A failed allocation loses the line: the code that is returned still says that the file
 * was refused. */
static void append(struct problems *problems, const char *text)
{
    size_t more = strlen(text);
    char *longer = realloc(problems->text, problems->length + more + 1);

    if (longer == NULL) {
        return;
    }
    memcpy(longer + problems->length, text, more + 1);
    problems->text = longer;
    problems->length += more;
}

/* Keys and values come from the file, and must not be able to forge lines or move the
 * cursor of a terminal. UTF-8 is shown as its bytes. */
static void append_escaped(struct problems *problems, const char *text)
{
    char line[PROBLEMS_LINE_ROOM];
    size_t at = 0;

    for (size_t i = 0; text[i] != '\0' && at + 5 < sizeof(line); i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte >= 0x20 && byte < 0x7f) {
            line[at++] = text[i];
        } else {
            at += (size_t)snprintf(line + at, 5, "\\x%02x", (unsigned)byte);
        }
    }
    line[at] = '\0';
    append(problems, line);
}

void problems_addv(struct problems *problems, unsigned line, const char *key, const char *format,
                   va_list arguments)
{
    char what[PROBLEMS_TEXT_MAX + 1];
    char number[16];

    problems->count++;
    if (problems->count > PROBLEMS_MAX + 1) {
        return;
    }
    if (problems->length > 0) {
        append(problems, "\n");
    }
    append(problems, problems->path);
    if (problems->count > PROBLEMS_MAX) {
        append(problems, ": there is more; mend these first");
        return;
    }
    if (line > 0) {
        (void)snprintf(number, sizeof(number), ":%u", line);
        append(problems, number);
    }
    append(problems, ": ");
    if (key != NULL && key[0] != '\0') {
        append_escaped(problems, key);
        append(problems, ": ");
    }
    (void)vsnprintf(what, sizeof(what), format, arguments);
    append_escaped(problems, what);
}

void problems_add(struct problems *problems, unsigned line, const char *key, const char *format,
                  ...)
{
    va_list arguments;

    va_start(arguments, format);
    problems_addv(problems, line, key, format, arguments);
    va_end(arguments);
}

char *problems_take(struct problems *problems)
{
    char *text = problems->text;

    problems->text = NULL;
    problems->length = 0;
    return text;
}
