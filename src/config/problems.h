/* The list of what is wrong with a configuration file, as the lines that an operator reads:
 * "FILE:LINE: KEY: what is wrong". Thread: one. */
#ifndef QH_CONFIG_PROBLEMS_H
#define QH_CONFIG_PROBLEMS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define PROBLEMS_MAX 20u       /* lines; after them one line says that there are more */
#define PROBLEMS_TEXT_MAX 400u /* characters of KEY, and of what is wrong */

struct problems {
    const char *path; /* of the file; borrowed */
    char *text;       /* NULL: none yet, or no memory for it */
    size_t length;
    unsigned count;
};

void problems_init(struct problems *problems, const char *path);
void problems_free(struct problems *problems);
/* @line 0: the file as a whole. @key NULL or "": no key. Characters that are not printable
 * are shown as \xNN. */
void problems_add(struct problems *problems, unsigned line, const char *key, const char *format,
                  ...) __attribute__((format(printf, 4, 5)));
void problems_addv(struct problems *problems, unsigned line, const char *key, const char *format,
                   va_list arguments) __attribute__((format(printf, 4, 0)));
/* The text, which the caller then owns: free(). NULL if there was no memory. */
char *problems_take(struct problems *problems);

#endif
