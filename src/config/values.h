/* What the values of a configuration must look like. Each function reads one value, complains
 * to the document with what to write instead, and leaves its result untouched then; a value that
 * is not given (NULL) leaves it, too, so that the default stands. Thread: one. */
#ifndef QH_CONFIG_VALUES_H
#define QH_CONFIG_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/document.h"
#include "config/node_config.h"

/* Decimal digits alone. */
void value_number(struct document *document, const char *key, const char *text, unsigned min,
                  unsigned max, unsigned *ret_number);
/* true or false. */
void value_bool(struct document *document, const char *key, const char *text, bool *ret_value);
/* One of @names, which ends with NULL; its index. */
void value_choice(struct document *document, const char *key, const char *text,
                  const char *const *names, unsigned *ret_index);
/* Letters, digits, '-' and '.', a letter or digit at both ends. */
void value_name(struct document *document, const char *key, const char *text, size_t length_max,
                char *ret_name);
void value_address(struct document *document, const char *key, const char *text,
                   struct config_address *ret_address);
/* An IPv4 or IPv6 address without a port. */
void value_ip(struct document *document, const char *key, const char *text,
              char ret_host[CONFIG_HOST_LENGTH_MAX + 1]);
/* An absolute path; a relative one is refused, or with @folder taken from there.
 * Owns: free() of *ret_path. Errors: QH_ENOMEM alone. */
QH_RESULT value_path(struct document *document, const char *key, const char *text,
                     const char *folder, char **ret_path);

/* The whole file, at most CONFIG_FILE_SIZE_MAX bytes. Errors: QH_ECONFIG (size, not a file),
 * QH_ENOTFOUND, QH_EPERM, QH_EIO, QH_ENOMEM; each with a line in @problems.
 * Owns: free() of ret_text->base. */
struct value_file {
    char *base;
    size_t size;
};
QH_RESULT value_read_file(const char *path, struct problems *problems, struct value_file *ret_text);

#endif
