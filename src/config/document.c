/* A YAML file against a schema of libcyaml, with the line of every key kept. See document.h. */
#include "config/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/assert.h"

#define BACKTRACE_LINE "(line: "

void document_init(struct document *document, const char *path, struct bytes text,
                   const struct document_example *examples)
{
    *document = (struct document){.text = text, .examples = examples};
    problems_init(&document->problems, path);
}

void document_free(struct document *document)
{
    problems_free(&document->problems);
    free(document->entries);
    document->entries = NULL;
}

const char *document_example(const struct document *document, const char *key)
{
    for (const struct document_example *at = document->examples; at->path != NULL; at++) {
        if (strcmp(at->path, key) == 0) {
            return at->example;
        }
    }
    return "";
}

/* "client.listen", "endpoints[2]", "" for the file's own section. */
static void path_of(const struct document *document, unsigned index,
                    char ret_path[DOCUMENT_PATH_ROOM])
{
    const struct document_entry *entry = &document->entries[index];
    char parent[DOCUMENT_PATH_ROOM];

    if (index == 0) {
        ret_path[0] = '\0';
        return;
    }
    /* As deep as DOCUMENT_DEPTH_MAX, since the reader refused what is deeper. */
    path_of(document, entry->parent, parent);
    if (entry->position > 0) {
        (void)snprintf(ret_path, DOCUMENT_PATH_ROOM, "%.240s[%u]", parent, entry->position);
    } else {
        (void)snprintf(ret_path, DOCUMENT_PATH_ROOM, "%.240s%s%s", parent,
                       parent[0] != '\0' ? "." : "", entry->key);
    }
}

static const struct document_entry *find(const struct document *document, const char *key)
{
    char path[DOCUMENT_PATH_ROOM];

    for (unsigned i = 0; i < document->count; i++) {
        path_of(document, i, path);
        if (strcmp(path, key) == 0) {
            return &document->entries[i];
        }
    }
    return NULL;
}

bool document_has(const struct document *document, const char *key)
{
    return find(document, key) != NULL;
}

/* Of the key itself, or of the nearest section around it that the file has. */
static unsigned line_of(const struct document *document, const char *key)
{
    char path[DOCUMENT_PATH_ROOM];
    const struct document_entry *entry;
    char *dot;

    (void)snprintf(path, sizeof(path), "%s", key);
    while ((entry = find(document, path)) == NULL) {
        dot = strrchr(path, '.');
        if (dot == NULL) {
            return 1;
        }
        *dot = '\0';
    }
    return entry->line;
}

void document_complain(struct document *document, const char *key, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    problems_addv(&document->problems, line_of(document, key), key, format, arguments);
    va_end(arguments);
}

static void complain_entry(struct document *document, unsigned index, const char *what)
{
    char path[DOCUMENT_PATH_ROOM];

    path_of(document, index, path);
    problems_add(&document->problems, document->entries[index].line, path, "%s", what);
}

/* ---- reading ---- */

/* Where the reader stands: the sections and lists that are open. */
struct reader {
    struct document *document;
    yaml_parser_t parser;
    unsigned depth;
    unsigned open[DOCUMENT_DEPTH_MAX]; /* indexes of entries */
    unsigned items[DOCUMENT_DEPTH_MAX];
    bool has_key; /* in the innermost section: its value comes next */
    char key[DOCUMENT_KEY_LENGTH_MAX + 1];
    unsigned key_line;
    unsigned documents;
};

static unsigned line_of_offset(struct bytes text, size_t offset)
{
    unsigned line = 1;

    for (size_t i = 0; i < offset && i < text.size; i++) {
        line += text.base[i] == '\n' ? 1u : 0u;
    }
    return line;
}

static void complain_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    /* The byte reader sets no mark. */
    unsigned line = parser->error == YAML_READER_ERROR
                        ? line_of_offset(reader->document->text, parser->problem_offset)
                        : (unsigned)parser->problem_mark.line + 1;

    problems_add(&reader->document->problems, line, NULL, "is not YAML: %s%s%s",
                 parser->problem != NULL ? parser->problem : "it cannot be parsed",
                 parser->context != NULL ? " " : "",
                 parser->context != NULL ? parser->context : "");
}

static bool refuse(struct reader *reader, unsigned line, const char *key, const char *what)
{
    problems_add(&reader->document->problems, line, key, "%s", what);
    return false;
}

static const struct document_entry *innermost(const struct reader *reader)
{
    QH_ASSERT(reader->depth > 0);
    return &reader->document->entries[reader->open[reader->depth - 1]];
}

/* A scalar where a key belongs. */
static bool read_key(struct reader *reader, const char *key, size_t length, unsigned line)
{
    struct document *document = reader->document;
    unsigned section = reader->open[reader->depth - 1];

    if (length == 0 || length > DOCUMENT_KEY_LENGTH_MAX || strlen(key) != length) {
        return refuse(reader, line, NULL, "has a key that is empty or too long to be known");
    }
    for (unsigned i = 1; i < document->count; i++) {
        if (document->entries[i].parent == section && strcmp(document->entries[i].key, key) == 0) {
            char path[DOCUMENT_PATH_ROOM];

            path_of(document, i, path);
            problems_add(&document->problems, line, path,
                         "is given twice, first in line %u; keep one of them",
                         document->entries[i].line);
            return false;
        }
    }
    memcpy(reader->key, key, length + 1);
    reader->key_line = line;
    reader->has_key = true;
    return true;
}

/* A value, section or list begins: of the key that came before, or the next in its list. */
static bool add_entry(struct reader *reader, enum document_kind kind, unsigned line)
{
    struct document *document = reader->document;
    struct document_entry *entry = &document->entries[document->count];

    if (document->count == DOCUMENT_ENTRIES_MAX) {
        return refuse(reader, line, NULL, "has more keys than any configuration needs");
    }
    *entry = (struct document_entry){.kind = kind, .line = line};
    if (reader->depth > 0) {
        entry->parent = reader->open[reader->depth - 1];
        if (innermost(reader)->kind == DOCUMENT_LIST) {
            entry->position = ++reader->items[reader->depth - 1];
        } else {
            memcpy(entry->key, reader->key, sizeof(entry->key));
            entry->line = reader->key_line;
            reader->has_key = false;
        }
    }
    document->count++;
    if (kind != DOCUMENT_VALUE) {
        if (reader->depth == DOCUMENT_DEPTH_MAX) {
            return refuse(reader, line, NULL, "has sections deeper than any configuration needs");
        }
        reader->open[reader->depth] = document->count - 1;
        reader->items[reader->depth] = 0;
        reader->depth++;
    }
    return true;
}

static bool read_start(struct reader *reader, const yaml_event_t *event)
{
    unsigned line = (unsigned)event->start_mark.line + 1;
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *anchor =
        mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;

    if (anchor != NULL) {
        return refuse(reader, line, NULL,
                      "has an anchor (&); write the value out where it is used");
    }
    if (reader->depth == 0 && !mapping) {
        return refuse(reader, line, NULL, "must be keys with values, as in \"timeout: 5\"");
    }
    if (reader->depth > 0 && innermost(reader)->kind == DOCUMENT_SECTION && !reader->has_key) {
        return refuse(reader, line, NULL, "has a list or section for a key; write a plain name");
    }
    return add_entry(reader, mapping ? DOCUMENT_SECTION : DOCUMENT_LIST, line);
}

static bool read_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    unsigned line = (unsigned)event->start_mark.line + 1;

    if (event->data.scalar.anchor != NULL) {
        return refuse(reader, line, NULL,
                      "has an anchor (&); write the value out where it is used");
    }
    if (reader->depth == 0) {
        return refuse(reader, line, NULL, "must be keys with values, as in \"timeout: 5\"");
    }
    if (innermost(reader)->kind == DOCUMENT_SECTION && !reader->has_key) {
        return read_key(reader, value, length, line);
    }
    if (memchr(value, '\0', length) != NULL) {
        return refuse(reader, line, reader->key, "has a zero byte in its value; remove it");
    }
    return add_entry(reader, DOCUMENT_VALUE, line);
}

static bool read_event(struct reader *reader, const yaml_event_t *event)
{
    unsigned line = (unsigned)event->start_mark.line + 1;

    if (event->type == YAML_MAPPING_START_EVENT || event->type == YAML_SEQUENCE_START_EVENT) {
        return read_start(reader, event);
    }
    if (event->type == YAML_SCALAR_EVENT) {
        return read_scalar(reader, event);
    }
    if (event->type == YAML_ALIAS_EVENT) {
        return refuse(reader, line, NULL, "has an alias (*); write the value out where it is used");
    }
    if (event->type == YAML_MAPPING_END_EVENT || event->type == YAML_SEQUENCE_END_EVENT) {
        QH_ASSERT(reader->depth > 0);
        reader->depth--;
    }
    if (event->type == YAML_DOCUMENT_START_EVENT && reader->documents++ > 0) {
        return refuse(reader, line, NULL, "has a second document (---); one file, one document");
    }
    return true;
}

/* All events, until one is refused. */
static void read_events(struct reader *reader)
{
    bool more = true;

    while (more) {
        yaml_event_t event;

        if (yaml_parser_parse(&reader->parser, &event) == 0) {
            complain_syntax(reader);
            return;
        }
        more = read_event(reader, &event) && event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
}

static QH_RESULT read_document(struct document *document)
{
    struct reader reader = {.document = document};

    document->entries = calloc(DOCUMENT_ENTRIES_MAX, sizeof(*document->entries));
    if (document->entries == NULL || yaml_parser_initialize(&reader.parser) == 0) {
        return QH_ENOMEM;
    }
    yaml_parser_set_input_string(&reader.parser, document->text.base, document->text.size);
    read_events(&reader);
    yaml_parser_delete(&reader.parser);
    if (document->problems.count == 0 && document->count == 0) {
        problems_add(&document->problems, 0, NULL, "is empty; conf/ has commented examples");
    }
    return document->problems.count == 0 ? QH_OK : QH_ECONFIG;
}

/* ---- the schema ---- */

static void list_keys(const struct cyaml_schema_field *fields, char *ret_text, size_t room)
{
    size_t at = 0;

    ret_text[0] = '\0';
    for (; fields->key != NULL && at < room; fields++) {
        at += (size_t)snprintf(ret_text + at, room - at, "%s%s", at > 0 ? ", " : "", fields->key);
    }
}

static const struct cyaml_schema_value *field_find(const struct cyaml_schema_field *fields,
                                                   const char *key)
{
    for (; fields->key != NULL; fields++) {
        if (strcmp(fields->key, key) == 0) {
            return &fields->value;
        }
    }
    return NULL;
}

static void complain_kind(struct document *document, unsigned index, enum cyaml_type wanted)
{
    char path[DOCUMENT_PATH_ROOM];
    const char *example;

    path_of(document, index, path);
    example = document_example(document, path);
    document_complain(document, path, "must be %s%s%s",
                      wanted == CYAML_MAPPING    ? "a section, its keys indented below it"
                      : wanted == CYAML_SEQUENCE ? "a list, with \"- \" before each entry"
                                                 : "one value",
                      example[0] != '\0' ? "; write for example " : "", example);
}

/* What the schema says of an entry, given what it says of the one around it; complains and
 * gives NULL if they do not fit. */
static const struct cyaml_schema_value *check_entry(struct document *document, unsigned index,
                                                    const struct cyaml_schema_value *around)
{
    const struct document_entry *entry = &document->entries[index];
    const struct cyaml_schema_value *value;
    char known[PROBLEMS_TEXT_MAX];
    char what[PROBLEMS_TEXT_MAX + 64];
    enum document_kind kind;

    if (around->type == CYAML_SEQUENCE) {
        value = around->sequence.entry;
    } else {
        value = field_find(around->mapping.fields, entry->key);
    }
    if (value == NULL) {
        list_keys(around->mapping.fields, known, sizeof(known));
        (void)snprintf(what, sizeof(what), "is not a key that is known here; known are %s", known);
        complain_entry(document, index, what);
        return NULL;
    }
    kind = value->type == CYAML_MAPPING    ? DOCUMENT_SECTION
           : value->type == CYAML_SEQUENCE ? DOCUMENT_LIST
                                           : DOCUMENT_VALUE;
    if (kind != entry->kind) {
        complain_kind(document, index, value->type);
        return NULL;
    }
    return value;
}

static void check_missing(struct document *document, unsigned section,
                          const struct cyaml_schema_field *fields)
{
    char path[DOCUMENT_PATH_ROOM];
    char key[2 * DOCUMENT_PATH_ROOM];

    path_of(document, section, path);
    for (; fields->key != NULL; fields++) {
        (void)snprintf(key, sizeof(key), "%s%s%s", path, path[0] != '\0' ? "." : "", fields->key);
        if ((fields->value.flags & CYAML_FLAG_OPTIONAL) == 0 && !document_has(document, key)) {
            document_complain(document, key, "is missing; write for example %s",
                              document_example(document, key));
        }
    }
}

static QH_RESULT check_schema(struct document *document, const struct cyaml_schema_value *schema)
{
    const struct cyaml_schema_value **known =
        calloc(DOCUMENT_ENTRIES_MAX, sizeof(const struct cyaml_schema_value *));

    if (known == NULL) {
        return QH_ENOMEM;
    }
    known[0] = schema;
    for (unsigned i = 1; i < document->count; i++) {
        const struct cyaml_schema_value *around = known[document->entries[i].parent];

        known[i] = around != NULL ? check_entry(document, i, around) : NULL;
    }
    for (unsigned i = 0; i < document->count; i++) {
        if (known[i] != NULL && known[i]->type == CYAML_MAPPING) {
            check_missing(document, i, known[i]->mapping.fields);
        }
    }
    free(known);
    return document->problems.count == 0 ? QH_OK : QH_ECONFIG;
}

/* ---- libcyaml ---- */

/* The first message and the first line number that libcyaml gives. */
struct cyaml_report {
    char what[PROBLEMS_TEXT_MAX];
    unsigned line;
};

__attribute__((format(printf, 3, 0))) static void
cyaml_collect(cyaml_log_t level, void *data, const char *format, va_list arguments)
{
    struct cyaml_report *report = data;
    char text[PROBLEMS_TEXT_MAX];
    const char *line;

    (void)level;
    (void)vsnprintf(text, sizeof(text), format, arguments);
    text[strcspn(text, "\n")] = '\0';
    line = strstr(text, BACKTRACE_LINE);
    if (line != NULL && report->line == 0) {
        report->line = (unsigned)strtoul(line + strlen(BACKTRACE_LINE), NULL, 10);
    }
    if (report->what[0] == '\0') {
        memcpy(report->what, text, sizeof(report->what));
    }
}

static cyaml_config_t cyaml_settings(struct cyaml_report *report)
{
    return (cyaml_config_t){
        .log_fn = report != NULL ? cyaml_collect : NULL,
        .log_ctx = report,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

QH_RESULT document_load(struct document *document, const struct cyaml_schema_value *schema,
                        void **ret_loaded)
{
    struct cyaml_report report = {0};
    cyaml_config_t settings = cyaml_settings(&report);
    void *loaded = NULL;
    enum qh_err err;
    cyaml_err_t code;

    err = read_document(document);
    if (err == QH_OK) {
        err = check_schema(document, schema);
    }
    if (err != QH_OK) {
        return err;
    }
    code =
        cyaml_load_data(document->text.base, document->text.size, &settings, schema, &loaded, NULL);
    if (code == CYAML_ERR_OOM) {
        return QH_ENOMEM;
    }
    if (code != CYAML_OK || loaded == NULL) {
        problems_add(&document->problems, report.line, NULL, "%s",
                     report.what[0] != '\0' ? report.what : cyaml_strerror(code));
        return QH_ECONFIG;
    }
    *ret_loaded = loaded;
    return QH_OK;
}

void document_free_loaded(const struct cyaml_schema_value *schema, void *loaded)
{
    cyaml_config_t settings = cyaml_settings(NULL);

    if (loaded != NULL) {
        (void)cyaml_free(&settings, schema, loaded, 0);
    }
}
