/* A YAML file against a schema of libcyaml, with the line of every key kept.
 *
 * libcyaml 1.3 names the line where it stopped, which is often a key before the wrong one, and
 * takes "1x" for 1, 010 for 8 and "maybe" for true. So libyaml's events are read first: they give
 * lines, and find what libcyaml overlooks or reports badly (keys that are unknown, missing or
 * given twice, sections where a value belongs). The schema has strings alone; what they must
 * look like is checked by values.h. Thread: one. */
#ifndef QH_CONFIG_DOCUMENT_H
#define QH_CONFIG_DOCUMENT_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"
#include "config/problems.h"

#define DOCUMENT_ENTRIES_MAX 512u
#define DOCUMENT_DEPTH_MAX 4u       /* sections within sections */
#define DOCUMENT_KEY_LENGTH_MAX 63u /* characters */
#define DOCUMENT_PATH_ROOM 320u     /* a key with those it stands in: client.listen, endpoints[2] */

enum document_kind { DOCUMENT_VALUE, DOCUMENT_SECTION, DOCUMENT_LIST };

struct document_entry {
    unsigned parent; /* index; entry 0 is the file's own section and its own parent */
    enum document_kind kind;
    unsigned line;     /* of the key, counted from 1 */
    unsigned position; /* in a list, counted from 1 */
    char key[DOCUMENT_KEY_LENGTH_MAX + 1];
};

/* What a key looks like when it is right, for the messages. The last one has path NULL. */
struct document_example {
    const char *path;
    const char *example;
};

struct document {
    struct problems problems;
    struct bytes text;
    const struct document_example *examples;
    unsigned count;
    struct document_entry *entries;
};

/* @path and @text are borrowed. */
void document_init(struct document *document, const char *path, struct bytes text,
                   const struct document_example *examples);
void document_free(struct document *document);

/* Load a new struct as @schema says (a mapping with CYAML_FLAG_POINTER, strings with
 * CYAML_FLAG_POINTER). Errors: QH_ECONFIG (see problems), QH_ENOMEM.
 * Owns: document_free_loaded(). */
QH_RESULT document_load(struct document *document, const struct cyaml_schema_value *schema,
                        void **ret_loaded);
void document_free_loaded(const struct cyaml_schema_value *schema, void *loaded);

/* Say what is wrong with the value of "client.listen", or of the section that should have it. */
void document_complain(struct document *document, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The example of a key, "" if there is none. */
const char *document_example(const struct document *document, const char *key);
bool document_has(const struct document *document, const char *key);

#endif
