/* A copy-on-write B-tree of counted records, ordered by key or by time of expiry.
 *
 * Whoever holds a root holds an unchanging tree: a writer copies each node that it
 * would change and that somebody else holds too, from the root down. Inner nodes
 * know how many records each subtree has, so that ranks cost O(log n).
 *
 * Thread: changing, sharing and releasing belong to one thread, since the counts
 * of nodes and records are not atomic. Another thread may find, rank and visit in a
 * root that was shared for it, while the owner changes its own tree. */
#ifndef QH_STORE_TREE_H
#define QH_STORE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "store/record.h"

struct tree_node;

enum tree_order {
    TREE_BY_KEY,
    TREE_BY_EXPIRY /* expires_at, then key */
};

/* The empty tree has no root. Plain data: a shared tree is a copy of this. */
struct tree {
    struct tree_node *root;
    enum tree_order order;
};

/* A place between two records, in TREE_BY_KEY order. */
enum tree_side {
    TREE_BEFORE_KEY,    /* before @key, if it is there */
    TREE_AFTER_KEY,     /* after @key, if it is there */
    TREE_AFTER_PREFIXED /* after the last key that begins with @key */
};
struct tree_place {
    enum tree_side side;
    struct bytes key;
};

/* The same tree, held once more. Release each with tree_release(). */
struct tree tree_share(const struct tree *tree);
void tree_release(struct tree *tree);

uint64_t tree_count(const struct tree *tree);

/* Put @record where its order says, in place of an equal one.
 *
 * Errors: QH_ENOMEM; the tree holds what it held before.
 * Owns:   on success takes over the caller's count of @record; *ret_old is the replaced
 *         record with its count, or NULL. */
QH_RESULT tree_put(struct tree *tree, struct record *record, struct record **ret_old);

/* Take out the record that is equal to @record in the tree's order.
 *
 * Errors: QH_ENOMEM; the tree holds what it held before. QH_ENOTFOUND.
 * Owns:   the caller gets *ret_old with its count. @record may be that very one. */
QH_RESULT tree_remove(struct tree *tree, const struct record *record, struct record **ret_old);

/* NULL if absent. Only for TREE_BY_KEY. */
struct record *tree_find(const struct tree *tree, struct bytes key);

/* The first in order; NULL if the tree is empty. */
struct record *tree_first(const struct tree *tree);

/* How many records are before @place. Only for TREE_BY_KEY. */
uint64_t tree_rank(const struct tree *tree, struct tree_place place);

/* Visit the records after @place in order, until @visit returns false. Only for
 * TREE_BY_KEY. */
typedef bool (*tree_visit_cb)(void *data, const struct record *record);
void tree_visit(const struct tree *tree, struct tree_place place, tree_visit_cb visit, void *data);

/* Abort if an invariant does not hold: fill of nodes, order, counts, depth. For tests. */
void tree_check(const struct tree *tree);

#endif
