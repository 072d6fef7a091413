/* The copy-on-write B-tree: a node has 15 to 31 records (the root may have fewer), and an
 * inner node one child more than records. Changes go down once: a full node is
 * split before it is entered to insert, a node of 15 is filled before it is entered to
 * remove, so that nothing has to come back up but counts. */
#include "store/tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define TREE_RECORDS_MIN 15u
#define TREE_RECORDS_MAX (2 * TREE_RECORDS_MIN + 1)
#define TREE_DEPTH_MAX 16u /* 15^16 records do not fit into memory */

struct tree_child {
    struct tree_node *node;
    uint64_t total; /* records in this subtree */
};

struct tree_node {
    uint32_t refs; /* parents and roots that hold it */
    uint16_t count;
    bool inner;
    struct record *records[TREE_RECORDS_MAX];
    struct tree_child children[]; /* TREE_RECORDS_MAX + 1 in an inner node, none in a leaf */
};

/* What a removal looks for. */
enum tree_target { TREE_EQUAL, TREE_FIRST, TREE_LAST };

static struct tree_node *new_node(bool inner)
{
    size_t children = inner ? TREE_RECORDS_MAX + 1 : 0;
    struct tree_node *node = malloc(sizeof *node + children * sizeof node->children[0]);

    if (node != NULL) {
        node->refs = 1;
        node->count = 0;
        node->inner = inner;
    }
    return node;
}

static void unref_node(struct tree_node *node)
{
    QH_ASSERT(node->refs > 0);
    node->refs--;
    if (node->refs > 0) {
        return;
    }
    for (unsigned i = 0; i < node->count; i++) {
        record_unref(node->records[i]);
    }
    for (unsigned i = 0; node->inner && i <= node->count; i++) {
        unref_node(node->children[i].node);
    }
    free(node);
}

static struct tree_node *ref_node(struct tree_node *node)
{
    QH_ASSERT(node->refs < UINT32_MAX);
    node->refs++;
    return node;
}

/* Make *node one that nobody else holds. Its holder must be unshared already. */
static QH_RESULT own_node(struct tree_node **node)
{
    struct tree_node *old = *node;
    struct tree_node *copy;

    if (old->refs == 1) {
        return QH_OK;
    }
    copy = new_node(old->inner);
    if (copy == NULL) {
        return QH_ENOMEM;
    }
    copy->count = old->count;
    for (unsigned i = 0; i < old->count; i++) {
        copy->records[i] = record_ref(old->records[i]);
    }
    for (unsigned i = 0; old->inner && i <= old->count; i++) {
        copy->children[i].node = ref_node(old->children[i].node);
        copy->children[i].total = old->children[i].total;
    }
    unref_node(old);
    *node = copy;
    return QH_OK;
}

static uint64_t node_total(const struct tree_node *node)
{
    uint64_t total = node->count;

    for (unsigned i = 0; node->inner && i <= node->count; i++) {
        total += node->children[i].total;
    }
    return total;
}

static int compare_records(enum tree_order order, const struct record *left,
                           const struct record *right)
{
    if (order == TREE_BY_EXPIRY && left->expires_at != right->expires_at) {
        return left->expires_at < right->expires_at ? -1 : 1;
    }
    return bytes_compare(record_key(left), record_key(right));
}

/* The index of the first record that is not before @record. */
static unsigned search_node(enum tree_order order, const struct tree_node *node,
                            const struct record *record, bool *ret_equal)
{
    unsigned low = 0, high = node->count;

    *ret_equal = false;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int difference = compare_records(order, node->records[middle], record);

        if (difference == 0) {
            *ret_equal = true;
            return middle;
        }
        if (difference < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Make room for a record at @index, and for a child right of it. */
static void open_slot(struct tree_node *node, unsigned index)
{
    QH_ASSERT(node->count < TREE_RECORDS_MAX);
    memmove(&node->records[index + 1], &node->records[index],
            (node->count - index) * sizeof node->records[0]);
    if (node->inner) {
        memmove(&node->children[index + 2], &node->children[index + 1],
                (node->count - index) * sizeof node->children[0]);
    }
    node->count++;
}

/* The reverse. */
static void close_slot(struct tree_node *node, unsigned index)
{
    QH_ASSERT(index < node->count);
    node->count--;
    memmove(&node->records[index], &node->records[index + 1],
            (node->count - index) * sizeof node->records[0]);
    if (node->inner) {
        memmove(&node->children[index + 1], &node->children[index + 2],
                (node->count - index) * sizeof node->children[0]);
    }
}

/* Split the full, unshared child @index: its upper half becomes child @index + 1, its
 * median a record of @parent, which has room. */
static QH_RESULT split_child(struct tree_node *parent, unsigned index)
{
    struct tree_node *left = parent->children[index].node;
    struct tree_node *right = new_node(left->inner);

    if (right == NULL) {
        return QH_ENOMEM;
    }
    right->count = TREE_RECORDS_MIN;
    memcpy(right->records, &left->records[TREE_RECORDS_MIN + 1],
           TREE_RECORDS_MIN * sizeof right->records[0]);
    if (left->inner) {
        memcpy(right->children, &left->children[TREE_RECORDS_MIN + 1],
               (TREE_RECORDS_MIN + 1) * sizeof right->children[0]);
    }
    left->count = TREE_RECORDS_MIN;
    open_slot(parent, index);
    parent->records[index] = left->records[TREE_RECORDS_MIN];
    parent->children[index].total = node_total(left);
    parent->children[index + 1].node = right;
    parent->children[index + 1].total = node_total(right);
    return QH_OK;
}

/* @node is unshared and has room. */
static QH_RESULT put_below(enum tree_order order, struct tree_node *node, struct record *record,
                           struct record **ret_old)
{
    bool equal;
    unsigned index = search_node(order, node, record, &equal);
    struct record *old = NULL;
    enum qh_err err;

    if (!equal && node->inner) {
        err = own_node(&node->children[index].node);
        if (err != QH_OK) {
            return err;
        }
        if (node->children[index].node->count == TREE_RECORDS_MAX) {
            err = split_child(node, index);
            return err != QH_OK ? err : put_below(order, node, record, ret_old);
        }
        err = put_below(order, node->children[index].node, record, &old);
        if (err != QH_OK) {
            return err;
        }
        node->children[index].total += old == NULL;
    } else if (equal) {
        old = node->records[index];
        node->records[index] = record;
    } else {
        open_slot(node, index);
        node->records[index] = record;
    }
    *ret_old = old;
    return QH_OK;
}

/* Put a new root above a full one. */
static QH_RESULT grow_root(struct tree *tree)
{
    struct tree_node *root = new_node(true);
    enum qh_err err;

    if (root == NULL) {
        return QH_ENOMEM;
    }
    root->children[0].node = tree->root;
    root->children[0].total = node_total(tree->root);
    err = split_child(root, 0);
    if (err != QH_OK) {
        free(root);
        return err;
    }
    tree->root = root;
    return QH_OK;
}

QH_RESULT tree_put(struct tree *tree, struct record *record, struct record **ret_old)
{
    enum qh_err err = QH_OK;

    if (tree->root == NULL) {
        tree->root = new_node(false);
        err = tree->root == NULL ? QH_ENOMEM : QH_OK;
    } else {
        err = own_node(&tree->root);
    }
    if (err == QH_OK && tree->root->count == TREE_RECORDS_MAX) {
        err = grow_root(tree);
    }
    if (err == QH_OK) {
        err = put_below(tree->order, tree->root, record, ret_old);
    }
    return err;
}

/* Join child @index, the record after it and the next child. Both are unshared and
 * have the fewest records. */
static void merge_children(struct tree_node *parent, unsigned index)
{
    struct tree_node *left = parent->children[index].node;
    struct tree_node *right = parent->children[index + 1].node;

    QH_ASSERT(left->count + right->count + 1u <= TREE_RECORDS_MAX);
    left->records[left->count] = parent->records[index];
    memcpy(&left->records[left->count + 1], right->records, right->count * sizeof left->records[0]);
    if (left->inner) {
        memcpy(&left->children[left->count + 1], right->children,
               (right->count + 1u) * sizeof left->children[0]);
    }
    left->count = (uint16_t)(left->count + right->count + 1);
    parent->children[index].total += parent->children[index + 1].total + 1;
    close_slot(parent, index);
    free(right); /* what it held has moved */
}

/* Move one record from child @index - 1 through @parent to child @index. */
static void borrow_from_left(struct tree_node *parent, unsigned index)
{
    struct tree_child *left = &parent->children[index - 1];
    struct tree_child *child = &parent->children[index];
    struct tree_child moved = {NULL, 0};
    unsigned last = left->node->count - 1u;

    if (left->node->inner) {
        moved = left->node->children[last + 1];
    }
    open_slot(child->node, 0);
    child->node->records[0] = parent->records[index - 1];
    parent->records[index - 1] = left->node->records[last];
    if (left->node->inner) {
        child->node->children[1] = child->node->children[0];
        child->node->children[0] = moved;
    }
    close_slot(left->node, last);
    left->total -= moved.total + 1;
    child->total += moved.total + 1;
}

/* Move one record from child @index + 1 through @parent to child @index. */
static void borrow_from_right(struct tree_node *parent, unsigned index)
{
    struct tree_child *child = &parent->children[index];
    struct tree_child *right = &parent->children[index + 1];
    struct tree_child moved = {NULL, 0};
    unsigned last = child->node->count;

    open_slot(child->node, last);
    child->node->records[last] = parent->records[index];
    parent->records[index] = right->node->records[0];
    if (child->node->inner) {
        moved = right->node->children[0];
        child->node->children[last + 1] = moved;
        right->node->children[0] = right->node->children[1];
    }
    close_slot(right->node, 0);
    child->total += moved.total + 1;
    right->total -= moved.total + 1;
}

/* Make child @*index unshared and give it more than the fewest records. It may
 * become part of its left neighbour; then @*index is one less. */
static QH_RESULT fill_child(struct tree_node *node, unsigned *index)
{
    struct tree_child *child = &node->children[*index];
    bool has_left = *index > 0;
    bool has_right = *index < node->count;
    bool left_gives = has_left && child[-1].node->count > TREE_RECORDS_MIN;
    bool right_gives = has_right && child[1].node->count > TREE_RECORDS_MIN;
    enum qh_err err = own_node(&child->node);

    if (err != QH_OK || child->node->count > TREE_RECORDS_MIN) {
        return err;
    }
    if (left_gives || (!right_gives && has_left)) {
        err = own_node(&child[-1].node);
    } else {
        err = own_node(&child[1].node);
    }
    if (err != QH_OK) {
        return err;
    }
    if (left_gives) {
        borrow_from_left(node, *index);
    } else if (right_gives) {
        borrow_from_right(node, *index);
    } else if (has_left) {
        (*index)--;
        merge_children(node, *index);
    } else {
        merge_children(node, *index);
    }
    return QH_OK;
}

static QH_RESULT remove_below(enum tree_order order, struct tree_node *node,
                              enum tree_target target, const struct record *record,
                              struct record **ret_old);

/* Remove from child @index, which may have to be filled first. */
static QH_RESULT remove_in_child(enum tree_order order, struct tree_node *node, unsigned index,
                                 enum tree_target target, const struct record *record,
                                 struct record **ret_old)
{
    enum qh_err err = fill_child(node, &index);

    if (err == QH_OK) {
        err = remove_below(order, node->children[index].node, target, record, ret_old);
    }
    if (err == QH_OK) {
        node->children[index].total--;
    }
    return err;
}

/* Remove record @index of an inner node: its neighbour in order, from the fuller side, takes
 * its place; if neither side can spare one, they are joined around it. */
static QH_RESULT remove_from_inner(enum tree_order order, struct tree_node *node, unsigned index,
                                   struct record **ret_old)
{
    struct record *old = node->records[index];
    struct tree_child *left = &node->children[index];
    struct tree_child *right = &node->children[index + 1];
    struct record *neighbour;
    enum qh_err err;

    if (left->node->count > TREE_RECORDS_MIN) {
        err = remove_in_child(order, node, index, TREE_LAST, NULL, &neighbour);
    } else if (right->node->count > TREE_RECORDS_MIN) {
        err = remove_in_child(order, node, index + 1, TREE_FIRST, NULL, &neighbour);
    } else {
        err = own_node(&left->node);
        if (err == QH_OK) {
            err = own_node(&right->node);
        }
        if (err == QH_OK) {
            merge_children(node, index);
            err = remove_in_child(order, node, index, TREE_EQUAL, old, &neighbour);
        }
        if (err == QH_OK) {
            *ret_old = neighbour;
        }
        return err;
    }
    if (err == QH_OK) {
        node->records[index] = neighbour;
        *ret_old = old;
    }
    return err;
}

/* @node is unshared and, unless it is the root, has more than the fewest records. */
static QH_RESULT remove_below(enum tree_order order, struct tree_node *node,
                              enum tree_target target, const struct record *record,
                              struct record **ret_old)
{
    bool equal = false;
    unsigned index = 0;

    if (target == TREE_EQUAL) {
        index = search_node(order, node, record, &equal);
    } else if (target == TREE_LAST) {
        index = node->count - (node->inner ? 0u : 1u);
    }
    if (node->inner && equal) {
        return remove_from_inner(order, node, index, ret_old);
    }
    if (node->inner) {
        return remove_in_child(order, node, index, target, record, ret_old);
    }
    if (target == TREE_EQUAL && !equal) {
        return QH_ENOTFOUND;
    }
    *ret_old = node->records[index];
    close_slot(node, index);
    return QH_OK;
}

/* A root without records gives way to its only child, or to nothing. */
static void shrink_root(struct tree *tree)
{
    struct tree_node *root = tree->root;

    if (root->count > 0) {
        return;
    }
    tree->root = root->inner ? root->children[0].node : NULL;
    free(root);
}

QH_RESULT tree_remove(struct tree *tree, const struct record *record, struct record **ret_old)
{
    enum qh_err err;

    if (tree->root == NULL) {
        return QH_ENOTFOUND;
    }
    err = own_node(&tree->root);
    if (err == QH_OK) {
        err = remove_below(tree->order, tree->root, TREE_EQUAL, record, ret_old);
        shrink_root(tree);
    }
    return err;
}

struct tree tree_share(const struct tree *tree)
{
    if (tree->root != NULL) {
        (void)ref_node(tree->root);
    }
    return *tree;
}

void tree_release(struct tree *tree)
{
    if (tree->root != NULL) {
        unref_node(tree->root);
        tree->root = NULL;
    }
}

uint64_t tree_count(const struct tree *tree)
{
    return tree->root == NULL ? 0 : node_total(tree->root);
}

/* Is @record before @place? */
static bool record_is_before(const struct record *record, struct tree_place place)
{
    struct bytes key = record_key(record);

    switch (place.side) {
    case TREE_BEFORE_KEY:
        return bytes_compare(key, place.key) < 0;
    case TREE_AFTER_KEY:
        return bytes_compare(key, place.key) <= 0;
    case TREE_AFTER_PREFIXED:
        if (key.size > place.key.size) {
            key.size = place.key.size;
        }
        return bytes_compare(key, place.key) <= 0;
    }
    return false;
}

/* The index of the first record that is after @place. */
static unsigned search_place(const struct tree_node *node, struct tree_place place)
{
    unsigned low = 0, high = node->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (record_is_before(node->records[middle], place)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct record *tree_find(const struct tree *tree, struct bytes key)
{
    const struct tree_node *node = tree->root;
    struct tree_place place = {TREE_BEFORE_KEY, key};

    QH_ASSERT(tree->order == TREE_BY_KEY);
    while (node != NULL) {
        unsigned index = search_place(node, place);

        if (index < node->count && bytes_compare(record_key(node->records[index]), key) == 0) {
            return node->records[index];
        }
        node = node->inner ? node->children[index].node : NULL;
    }
    return NULL;
}

struct record *tree_first(const struct tree *tree)
{
    const struct tree_node *node = tree->root;

    while (node != NULL && node->inner) {
        node = node->children[0].node;
    }
    return node == NULL ? NULL : node->records[0];
}

uint64_t tree_rank(const struct tree *tree, struct tree_place place)
{
    const struct tree_node *node = tree->root;
    uint64_t rank = 0;

    QH_ASSERT(tree->order == TREE_BY_KEY);
    while (node != NULL) {
        unsigned index = search_place(node, place);

        rank += index;
        for (unsigned i = 0; node->inner && i < index; i++) {
            rank += node->children[i].total;
        }
        node = node->inner ? node->children[index].node : NULL;
    }
    return rank;
}

/* @place is NULL below what lies wholly after it. */
static bool visit_below(const struct tree_node *node, const struct tree_place *place,
                        tree_visit_cb visit, void *data)
{
    unsigned index = place == NULL ? 0 : search_place(node, *place);

    if (node->inner && !visit_below(node->children[index].node, place, visit, data)) {
        return false;
    }
    for (; index < node->count; index++) {
        if (!visit(data, node->records[index])) {
            return false;
        }
        if (node->inner && !visit_below(node->children[index + 1].node, NULL, visit, data)) {
            return false;
        }
    }
    return true;
}

void tree_visit(const struct tree *tree, struct tree_place place, tree_visit_cb visit, void *data)
{
    QH_ASSERT(tree->order == TREE_BY_KEY);
    if (tree->root != NULL) {
        (void)visit_below(tree->root, &place, visit, data);
    }
}

struct tree_checker {
    enum tree_order order;
    unsigned leaf_depth; /* 0: no leaf seen yet; the root is at 1 */
    const struct record *last;
};

static void check_record(struct tree_checker *checker, const struct record *record)
{
    QH_ASSERT(record->refs > 0);
    QH_ASSERT(checker->last == NULL || compare_records(checker->order, checker->last, record) < 0);
    checker->last = record;
}

static uint64_t check_below(struct tree_checker *checker, const struct tree_node *node,
                            unsigned depth)
{
    uint64_t total = node->count;

    QH_ASSERT(depth <= TREE_DEPTH_MAX);
    QH_ASSERT(node->refs > 0);
    QH_ASSERT(node->count >= (depth == 1 ? 1 : TREE_RECORDS_MIN));
    QH_ASSERT(node->count <= TREE_RECORDS_MAX);
    if (!node->inner) {
        QH_ASSERT(checker->leaf_depth == 0 || checker->leaf_depth == depth);
        checker->leaf_depth = depth;
    }
    for (unsigned i = 0; i <= node->count; i++) {
        if (node->inner) {
            uint64_t below = check_below(checker, node->children[i].node, depth + 1);

            QH_ASSERT(below == node->children[i].total);
            total += below;
        }
        if (i < node->count) {
            check_record(checker, node->records[i]);
        }
    }
    return total;
}

void tree_check(const struct tree *tree)
{
    struct tree_checker checker = {tree->order, 0, NULL};

    if (tree->root != NULL) {
        QH_ASSERT(check_below(&checker, tree->root, 1) == tree_count(tree));
    }
}
