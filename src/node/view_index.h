/* The objects of a view, in tables and lines that readers walk while the one writer changes them
 * (userspace RCU).
 *
 * A line is a list of objects in the order of create_revision, then id: one of all objects of a
 * partition, and one each of those with the same CKA_ID, CKA_LABEL, CKA_CLASS, and CKA_CLASS with
 * CKA_KEY_TYPE. Objects in one line cost nothing to find, however many other ones there are. */
#ifndef QH_NODE_VIEW_INDEX_H
#define QH_NODE_VIEW_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/view.h"

/* Where destroyed objects stood, remembered for who lists objects in pages meanwhile and does not
 * say when the last one was created. */
#define VIEW_GRAVES_MAX 4096u

enum view_line_kind {
    VIEW_LINE_ALL,
    VIEW_LINE_ID,
    VIEW_LINE_LABEL,
    VIEW_LINE_CLASS,
    VIEW_LINE_KEY_TYPE, /* class, then key type: VIEW_KEY_TYPE_SIZE bytes as attributes have them */
    VIEW_LINES
};
#define VIEW_KEY_TYPE_SIZE (2u * sizeof(uint64_t))

struct view_index;
struct view_line;
struct view_entry;

/* @object_count: how many are expected. Errors: QH_ENOMEM. */
QH_RESULT view_index_new(size_t object_count, struct view_index **ret_index);
/* No reader has it, and the caller is not inside view_enter(). */
void view_index_free(struct view_index *index);

/* Writer. An entry of copies, not in the index yet; takes @object over, on success alone.
 * Errors: QH_ENOMEM. */
QH_RESULT view_entry_new(const uint8_t partition[PARTITION_ID_SIZE],
                         const uint8_t id[OBJECT_ID_SIZE], const struct store_record *record,
                         struct object *object, struct view_entry **ret_entry);
void view_entry_free(struct view_entry *entry);
/* In the order of lines; for qsort() of pointers. */
int view_entry_compare(const void *left, const void *right);

/* Put, or replace. Errors: QH_ENOMEM; then the index may only be freed. Owns: takes @entry, on
 * success alone. */
QH_RESULT view_index_put(struct view_index *index, struct view_entry *entry);
void view_index_remove(struct view_index *index, const uint8_t partition[PARTITION_ID_SIZE],
                       const uint8_t id[OBJECT_ID_SIZE]);
void view_index_remove_partition(struct view_index *index,
                                 const uint8_t partition[PARTITION_ID_SIZE]);

/* Readers, inside view_enter(). */
const struct view_object *view_index_object(const struct view_index *index,
                                            const uint8_t partition[PARTITION_ID_SIZE],
                                            const uint8_t id[OBJECT_ID_SIZE]);
/* NULL: there is none, so no object has that value. @value is not used with VIEW_LINE_ALL. */
const struct view_line *view_index_line(const struct view_index *index,
                                        const uint8_t partition[PARTITION_ID_SIZE],
                                        enum view_line_kind kind, struct bytes value);
uint64_t view_line_count(const struct view_line *line);
/* Is @after in the line now? If so view_line_start() is quick. */
bool view_line_has(const struct view_index *index, const struct view_line *line,
                   const uint8_t *after);
/* The first object after the one called @after (NULL: from the start), which was created at
 * @after_created and may be gone; NULL at the end. If that is 0 it is looked up, and an object that
 * nobody remembers any more is taken as if it stood before all. */
const struct view_object *view_line_start(const struct view_index *index,
                                          const struct view_line *line, const uint8_t *after,
                                          uint64_t after_created);
const struct view_object *view_line_next(const struct view_line *line,
                                         const struct view_object *object);

#endif
