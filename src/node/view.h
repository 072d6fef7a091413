/* What service threads read without locks: the directory, and the objects of each partition by id
 * and by attribute. The control thread changes it as transactions are applied; readers are
 * inside view_enter()/view_leave() (userspace RCU, urcu-memb) and what they were given stays valid
 * until they leave.
 *
 * Only ciphertext of key material is kept: a thread that uses a key opens it for itself
 * (node/keycache.h). */
#ifndef QH_NODE_VIEW_H
#define QH_NODE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "hsm/directory.h"
#include "hsm/object.h"
#include "store/store.h"

struct view;

struct view_object {
    uint8_t id[OBJECT_ID_SIZE];
    uint64_t create_revision, mod_revision;
    const struct object *object; /* without material */
    struct bytes sealed;         /* the record's value */
};

/* Errors: QH_ENOMEM. */
QH_RESULT view_new(struct view **ret_view);
void view_free(struct view *view); /* no reader is left */

/* Control thread. keyring NULL: locked; then the directory has nodes alone, and no objects. It
 * stays the caller's, who keeps it until the next load has returned, or view_free(). load:
 * everything anew, after an unlock or a restored snapshot. applied: after each transaction that was
 * applied. Errors of load: QH_ENOMEM, QH_ESYSTEM. applied logs and counts what does not open, and
 * aborts without memory. */
QH_RESULT view_load(struct view *view, const struct keyring *keyring, const struct store *store);
void view_applied(struct view *view, const struct store *store, struct bytes transaction,
                  uint64_t revision);
uint64_t view_damaged(const struct view *view); /* records that did not open, since the load */

/* Readers: register each thread once. */
void view_thread_begin(void);
void view_thread_end(void);
void view_enter(void);
void view_leave(void);

/* The revision that readers see at least. Any thread, also outside. */
uint64_t view_revision(const struct view *view);
const struct keyring *view_keyring(const struct view *view); /* NULL: locked */
const struct directory *view_directory(const struct view *view);

/* NULL if there is none. */
const struct view_object *view_object(const struct view *view,
                                      const uint8_t partition[PARTITION_ID_SIZE],
                                      const uint8_t id[OBJECT_ID_SIZE]);

/* What to look for, and how far. */
struct view_query {
    const uint8_t *partition;
    struct attributes template;
    bool with_private;
    const uint8_t *after;   /* the id of an object, or NULL: from the first one */
    uint64_t after_created; /* its create_revision, with which its place is known for ever; or 0 */
    unsigned limit;         /* objects; not 0 */
    unsigned steps;         /* objects looked at, those that do not match too; not 0 */
    /* May the place of an @after that is gone be looked for? It costs as much as all objects before
     * it, whatever @steps says. */
    bool patient;
};
struct view_page {
    const struct view_object **list; /* free() it; what it points to is valid until view_leave() */
    unsigned count;
    bool more; /* there are others beyond the limit */
    /* The steps were used up: go on after @reached, or after the same object if that is NULL. */
    bool unfinished;
    const struct view_object *reached;
};
/* Objects that match, ordered by create_revision then id. Looked at are those alone that have the
 * rarest of the indexed attributes (CKA_UNIQUE_ID, CKA_ID, CKA_LABEL, CKA_CLASS, CKA_CLASS with
 * CKA_KEY_TYPE), else all. Errors: QH_ENOMEM. */
QH_RESULT view_find(const struct view *view, const struct view_query *query,
                    struct view_page *ret_page);
uint64_t view_object_count(const struct view *view, const uint8_t partition[PARTITION_ID_SIZE]);

#endif
