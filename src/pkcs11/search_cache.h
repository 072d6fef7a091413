/* Searches that were answered a moment ago (doc/decisions/0006-cached-searches.md), and the
 * templates that name them. Only token objects: those of sessions are in the module anyway.
 * Thread: the module's lock, but for templates. */
#ifndef QH_PKCS11_SEARCH_CACHE_H
#define QH_PKCS11_SEARCH_CACHE_H

#include "pkcs11/module.h"
#include "pkcs11/template.h"

#define SEARCH_CACHE_MAX 256u           /* searches */
#define SEARCH_CACHE_HANDLES_MAX 256u   /* that one has found */
#define SEARCH_CACHE_TEMPLATE_MAX 4096u /* bytes */

/* A copy of a template, with the values of its own. Immutable. */
struct search_template {
    size_t count;
    struct quadhsm_attribute *attributes;
    uint8_t *bytes; /* type, size and value of each: equal if the templates are */
    size_t size;
};
/* Errors: QH_ENOMEM. */
QH_RESULT search_template_copy(const struct template *template, struct search_template *ret_copy);
void search_template_close(struct search_template *template);

/* Who searched, and for what. */
struct search_cache_key {
    const struct search_template *template;
    uint64_t slot;
    uint64_t login;    /* login_current() */
    uint64_t revision; /* quadhsm_revision(): before the search, or now */
};

/* What the same search found, if that is still true; NULL if not. Owns: the caller's to free(). */
CK_OBJECT_HANDLE *search_cache_get(const struct search_cache_key *key, uint64_t now_ms,
                                   size_t *ret_count);
/* Keep what a search found, until @until_ms: nothing if that was nothing, or too much. */
void search_cache_put(const struct search_cache_key *key, uint64_t until_ms,
                      const CK_OBJECT_HANDLE *handles, size_t count);
void search_cache_clear(void);

#endif
