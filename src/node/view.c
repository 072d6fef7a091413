/* The view: directory and objects as of one revision, swapped under readers. */
#include "node/view.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "hsm/record.h"
#include "node/view_index.h"
#include "node/view_rcu.h"
#include "store/txn.h"

/* What a load makes anew. The directory is replaced in it, the index changed. */
struct view_state {
    const struct keyring *keyring; /* NULL: locked */
    const struct directory *_Atomic directory;
    struct view_index *index;
};

struct view {
    struct view_state *_Atomic state; /* NULL before the first load */
    _Atomic uint64_t revision;
    _Atomic uint64_t damaged;
    struct secret *room; /* the control thread's, for objects that it opens */
};

/* A directory on its way out. */
struct old_directory {
    struct rcu_head rcu;
    struct directory *directory;
};

static const struct directory empty_directory;
static const struct bytes no_bytes = {NULL, 0};

static _Thread_local bool thread_registered;

void view_thread_begin(void)
{
    if (!thread_registered) {
        urcu_memb_register_thread();
        thread_registered = true;
    }
}

void view_thread_end(void)
{
    if (thread_registered) {
        urcu_memb_unregister_thread();
        thread_registered = false;
    }
}

void view_enter(void)
{
    QH_ASSERT(thread_registered);
    urcu_memb_read_lock();
}

void view_leave(void)
{
    VIEW_RCU_RELEASE(&view_rcu_grace);
    urcu_memb_read_unlock();
}

static void wait_for_readers(void)
{
    VIEW_RCU_RELEASE(&view_rcu_grace);
    urcu_memb_synchronize_rcu();
    VIEW_RCU_ACQUIRE(&view_rcu_grace);
}

QH_RESULT view_new(struct view **ret_view)
{
    struct view *view = calloc(1, sizeof *view);

    if (view == NULL) {
        return QH_ENOMEM;
    }
    *ret_view = view;
    return QH_OK;
}

static void free_directory(const struct directory *directory)
{
    directory_free((struct directory *)(uintptr_t)directory);
}

static void state_free(struct view_state *state)
{
    if (state != NULL) {
        free_directory(state->directory);
        view_index_free(state->index);
        free(state);
    }
}

void view_free(struct view *view)
{
    if (view == NULL) {
        return;
    }
    view_thread_begin();
    wait_for_readers();
    state_free(view->state);
    view_rcu_wait();
    secret_free(view->room);
    free(view);
}

static const struct view_state *state_of(const struct view *view)
{
    return atomic_load_explicit(&view->state, memory_order_acquire);
}

uint64_t view_damaged(const struct view *view)
{
    return atomic_load_explicit(&view->damaged, memory_order_relaxed);
}

uint64_t view_revision(const struct view *view)
{
    return atomic_load_explicit(&view->revision, memory_order_acquire);
}

const struct keyring *view_keyring(const struct view *view)
{
    const struct view_state *state = state_of(view);

    return state != NULL ? state->keyring : NULL;
}

static const struct directory *directory_of(const struct view_state *state)
{
    return atomic_load_explicit(&state->directory, memory_order_acquire);
}

const struct directory *view_directory(const struct view *view)
{
    const struct view_state *state = state_of(view);

    return state != NULL ? directory_of(state) : &empty_directory;
}

/* ---- what the control thread does ---- */

static void damaged_object(struct view *view, const uint8_t *partition, const uint8_t *id,
                           enum qh_err err)
{
    char partition_hex[PARTITION_ID_SIZE * 2 + 1], id_hex[OBJECT_ID_SIZE * 2 + 1];

    atomic_fetch_add_explicit(&view->damaged, 1, memory_order_relaxed);
    sodium_bin2hex(partition_hex, sizeof partition_hex, partition, PARTITION_ID_SIZE);
    sodium_bin2hex(id_hex, sizeof id_hex, id, OBJECT_ID_SIZE);
    log_error("object left out: %s partition=%s object=%s", err_message(err), partition_hex,
              id_hex);
}

/* *ret_entry NULL: it does not open, or its partition is gone.
 * Errors: QH_ENOMEM, QH_ESYSTEM. */
static QH_RESULT open_record(struct view *view, const struct view_state *state,
                             const struct store_record *record, struct view_entry **ret_entry)
{
    const struct directory_partition *partition = NULL;
    const uint8_t *partition_id, *id;
    struct object *object;
    enum qh_err err;

    *ret_entry = NULL;
    if (record_key_is_object(record->key, &partition_id, &id)) {
        partition = directory_partition(directory_of(state), partition_id);
    }
    if (partition == NULL) {
        return QH_OK;
    }
    err = object_open_in(partition->key, keyring_cluster(state->keyring), partition_id, id,
                         record->value, false, view->room, &object);
    if (err == QH_ENOMEM || err == QH_ESYSTEM) {
        return err;
    }
    if (err != QH_OK) {
        damaged_object(view, partition_id, id, err);
        return QH_OK;
    }
    err = view_entry_new(partition_id, id, record, object, ret_entry);
    if (err != QH_OK) {
        object_free(object);
    }
    return err;
}

/* The entries of all objects. */
struct loading {
    struct view *view;
    const struct view_state *state;
    struct view_entry **entries;
    size_t count, room;
    enum qh_err err;
};

static bool load_record(void *data, const struct store_record *record)
{
    struct loading *loading = data;
    struct view_entry *entry;

    QH_ASSERT(loading->count < loading->room);
    loading->err = open_record(loading->view, loading->state, record, &entry);
    if (loading->err != QH_OK) {
        return false;
    }
    if (entry != NULL) {
        loading->entries[loading->count++] = entry;
    }
    return true;
}

/* Sorted first, so that each goes to the end of its lines. */
static QH_RESULT index_all(struct view_index *index, struct loading *loading)
{
    enum qh_err err = loading->err;
    size_t done = 0;

    if (err == QH_OK && loading->count > 0) {
        qsort(loading->entries, loading->count, sizeof loading->entries[0], view_entry_compare);
    }
    while (err == QH_OK && done < loading->count) {
        err = view_index_put(index, loading->entries[done]);
        done += err == QH_OK;
    }
    for (; done < loading->count; done++) {
        view_entry_free(loading->entries[done]);
    }
    return err;
}

static QH_RESULT load_objects(struct view *view, struct view_state *state,
                              const struct store *store)
{
    struct bytes prefix = {(const uint8_t *)"o/", 2};
    struct loading loading = {.view = view, .state = state, .err = QH_OK};
    enum qh_err err;

    loading.room = state->keyring != NULL ? store_count_prefix(store, prefix) : 0;
    err = view_index_new(loading.room, &state->index);
    if (err != QH_OK || loading.room == 0) {
        return err;
    }
    loading.entries = calloc(loading.room, sizeof loading.entries[0]);
    if (loading.entries == NULL) {
        return QH_ENOMEM;
    }
    store_scan(store, prefix, no_bytes, load_record, &loading);
    sodium_memzero(secret_bytes(view->room), secret_size(view->room));
    err = index_all(state->index, &loading);
    free(loading.entries);
    return err;
}

static QH_RESULT build_state(struct view *view, const struct keyring *keyring,
                             const struct store *store, struct view_state **ret_state)
{
    struct view_state *state = calloc(1, sizeof *state);
    struct directory *directory = NULL;
    enum qh_err err;

    if (state == NULL) {
        return QH_ENOMEM;
    }
    state->keyring = keyring;
    err = directory_build(keyring, store, &directory);
    if (err == QH_OK) {
        state->directory = directory;
        atomic_fetch_add_explicit(&view->damaged, directory->damaged, memory_order_relaxed);
        err = load_objects(view, state, store);
    }
    if (err != QH_OK) {
        state_free(state);
        return err;
    }
    *ret_state = state;
    return QH_OK;
}

QH_RESULT view_load(struct view *view, const struct keyring *keyring, const struct store *store)
{
    struct view_state *old = view->state;
    struct view_state *state;
    enum qh_err err;

    view_thread_begin();
    if (keyring != NULL && view->room == NULL) {
        err = secret_new(STORE_VALUE_SIZE_MAX, &view->room);
        if (err != QH_OK) {
            return err;
        }
    }
    atomic_store_explicit(&view->damaged, 0, memory_order_relaxed);
    err = build_state(view, keyring, store, &state);
    if (err != QH_OK) {
        return err;
    }
    atomic_store_explicit(&view->state, state, memory_order_release);
    atomic_store_explicit(&view->revision, store_revision(store), memory_order_release);
    if (old != NULL) {
        /* So that the caller may free the keyring that was here before. */
        wait_for_readers();
        state_free(old);
    }
    return QH_OK;
}

static void release_directory(struct rcu_head *head)
{
    struct old_directory *old = (struct old_directory *)(void *)head;

    view_rcu_begin_release();
    directory_free(old->directory);
    free(old);
    view_rcu_end_release();
}

/* A node that cannot follow what was committed must not answer from what was before. */
static void require(enum qh_err err)
{
    QH_ASSERT(err != QH_ENOMEM);
    QH_ASSERT(err == QH_OK);
}

static void replace_directory(struct view *view, struct view_state *state,
                              const struct store *store)
{
    struct old_directory *old = calloc(1, sizeof *old);
    struct directory *directory = NULL;

    require(old != NULL ? QH_OK : QH_ENOMEM);
    require(directory_build(state->keyring, store, &directory));
    old->directory = (struct directory *)(uintptr_t)directory_of(state);
    if (directory->damaged > old->directory->damaged) {
        atomic_fetch_add_explicit(&view->damaged, directory->damaged - old->directory->damaged,
                                  memory_order_relaxed);
        log_error("records left out: they do not open count=%u", directory->damaged);
    }
    atomic_store_explicit(&state->directory, directory, memory_order_release);
    /* Objects go with their partition; their records are removed in batches, later. */
    for (unsigned i = 0; i < old->directory->partition_count; i++) {
        const uint8_t *id = old->directory->partitions[i].id;

        if (directory_partition(directory, id) == NULL) {
            view_index_remove_partition(state->index, id);
        }
    }
    view_rcu_later(&old->rcu, release_directory);
}

static void apply_object(struct view *view, struct view_state *state, const struct store *store,
                         struct bytes key)
{
    const uint8_t *partition, *id;
    struct view_entry *entry = NULL;
    struct store_record record;

    if (!record_key_is_object(key, &partition, &id)) {
        return;
    }
    if (store_get(store, key, &record)) {
        require(open_record(view, state, &record, &entry));
    }
    if (entry != NULL) {
        require(view_index_put(state->index, entry));
    } else {
        view_index_remove(state->index, partition, id);
    }
}

void view_applied(struct view *view, const struct store *store, struct bytes transaction,
                  uint64_t revision)
{
    struct view_state *state = view->state;
    bool directory = false, objects = false;
    struct txn txn;

    view_thread_begin();
    QH_ASSERT(state != NULL);
    QH_ASSERT(txn_decode(transaction, &txn) == QH_OK); /* it was applied */
    for (unsigned i = 0; i < txn.write_count; i++) {
        directory = directory || directory_concerns(txn.writes[i].key);
    }
    if (directory) {
        replace_directory(view, state, store);
    }
    for (unsigned i = 0; state->keyring != NULL && i < txn.write_count; i++) {
        const uint8_t *partition, *id;

        if (record_key_is_object(txn.writes[i].key, &partition, &id)) {
            apply_object(view, state, store, txn.writes[i].key);
            objects = true;
        }
    }
    if (objects) {
        sodium_memzero(secret_bytes(view->room), secret_size(view->room));
    }
    atomic_store_explicit(&view->revision, revision, memory_order_release);
}

/* ---- what readers do ---- */

const struct view_object *view_object(const struct view *view,
                                      const uint8_t partition[PARTITION_ID_SIZE],
                                      const uint8_t id[OBJECT_ID_SIZE])
{
    const struct view_state *state = state_of(view);

    return state != NULL ? view_index_object(state->index, partition, id) : NULL;
}

uint64_t view_object_count(const struct view *view, const uint8_t partition[PARTITION_ID_SIZE])
{
    const struct view_state *state = state_of(view);
    const struct view_line *line =
        state != NULL ? view_index_line(state->index, partition, VIEW_LINE_ALL, no_bytes) : NULL;

    return line != NULL ? view_line_count(line) : 0;
}

/* No object can have these at all: they need not be looked at to know. */
static bool excluded(const struct view_query *query)
{
    static const uint8_t yes = 1;
    const struct bytes set = {&yes, 1};

    for (unsigned i = 0; i < query->template.count; i++) {
        const struct attribute *attribute = &query->template.list[i];
        bool is_set = bytes_compare(attribute->value, set) == 0;

        /* Session objects are with their clients. */
        if ((attribute->type == CKA_TOKEN && !is_set) ||
            (attribute->type == CKA_PRIVATE && is_set && !query->with_private)) {
            return true;
        }
    }
    return false;
}

static const struct attribute *named(struct attributes template, CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < template.count; i++) {
        if (template.list[i].type == type) {
            return &template.list[i];
        }
    }
    return NULL;
}

/* The lines that objects with all of the query's attributes are in. */
struct choice {
    const struct view_index *index;
    const struct view_query *query;
    const struct view_line *shortest; /* NULL: there is none such object */
};

static void consider(struct choice *choice, enum view_line_kind kind, struct bytes value)
{
    const struct view_line *line;

    if (choice->shortest == NULL || value.size == 0) {
        return;
    }
    line = view_index_line(choice->index, choice->query->partition, kind, value);
    if (line == NULL || view_line_count(line) < view_line_count(choice->shortest)) {
        choice->shortest = line;
    }
}

static const struct view_line *shortest_line(const struct view_index *index,
                                             const struct view_query *query)
{
    static const struct {
        CK_ATTRIBUTE_TYPE type;
        enum view_line_kind kind;
    } kinds[] = {
        {CKA_ID, VIEW_LINE_ID}, {CKA_LABEL, VIEW_LINE_LABEL}, {CKA_CLASS, VIEW_LINE_CLASS}};
    struct choice choice = {.index = index,
                            .query = query,
                            .shortest =
                                view_index_line(index, query->partition, VIEW_LINE_ALL, no_bytes)};
    const struct attribute *object_class = named(query->template, CKA_CLASS);
    const struct attribute *key_type = named(query->template, CKA_KEY_TYPE);
    uint8_t both[VIEW_KEY_TYPE_SIZE];

    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct attribute *attribute = named(query->template, kinds[i].type);

        if (attribute != NULL) {
            consider(&choice, kinds[i].kind, attribute->value);
        }
    }
    if (object_class != NULL && key_type != NULL && object_class->value.size == sizeof(uint64_t) &&
        key_type->value.size == sizeof(uint64_t)) {
        memcpy(both, object_class->value.base, sizeof(uint64_t));
        memcpy(both + sizeof(uint64_t), key_type->value.base, sizeof(uint64_t));
        consider(&choice, VIEW_LINE_KEY_TYPE, (struct bytes){both, sizeof both});
    }
    return choice.shortest;
}

struct found {
    const struct view_object **list;
    unsigned count, room;
};

static QH_RESULT add_found(struct found *found, const struct view_object *object)
{
    if (found->count == found->room) {
        unsigned room = found->room == 0 ? 16 : found->room * 2;
        const struct view_object **list = realloc(found->list, room * sizeof list[0]);

        if (list == NULL) {
            return QH_ENOMEM;
        }
        found->list = list;
        found->room = room;
    }
    found->list[found->count++] = object;
    return QH_OK;
}

static bool wanted(const struct view_object *object, const struct view_query *query)
{
    return (query->with_private || !object->object->is_private) &&
           object_matches(object->object, query->template);
}

/* At most one object is called by a unique id. */
static QH_RESULT find_unique(const struct view *view, const struct view_query *query,
                             struct bytes unique_id, struct found *found)
{
    const struct view_object *object;
    uint8_t id[OBJECT_ID_SIZE];

    if (!object_unique_id(unique_id, id)) {
        return QH_OK;
    }
    object = view_object(view, query->partition, id);
    if (object == NULL || !wanted(object, query) ||
        (query->after != NULL && memcmp(query->after, id, sizeof id) == 0)) {
        return QH_OK;
    }
    return add_found(found, object);
}

/* The next page of one line. */
static QH_RESULT find_in_line(const struct view_state *state, const struct view_line *line,
                              const struct view_query *query, struct found *found,
                              struct view_page *page)
{
    const struct view_object *object;
    enum qh_err err = QH_OK;
    unsigned steps = 0;

    if (query->after != NULL && !query->patient &&
        !view_line_has(state->index, line, query->after)) {
        page->unfinished = true;
        return QH_OK;
    }
    object = view_line_start(state->index, line, query->after, query->after_created);
    for (; err == QH_OK && object != NULL && !page->more; object = view_line_next(line, object)) {
        if (steps++ == query->steps) {
            page->unfinished = true;
            break;
        }
        if (wanted(object, query)) {
            page->more = found->count == query->limit;
            err = page->more ? QH_OK : add_found(found, object);
        }
        page->reached = object;
    }
    return err;
}

QH_RESULT view_find(const struct view *view, const struct view_query *query,
                    struct view_page *ret_page)
{
    const struct view_state *state = state_of(view);
    const struct attribute *unique = named(query->template, CKA_UNIQUE_ID);
    const struct view_line *line = NULL;
    struct view_page page = {.list = NULL};
    struct found found = {NULL, 0, 0};
    enum qh_err err = QH_OK;

    QH_ASSERT(query->limit > 0);
    QH_ASSERT(query->steps > 0);
    if (unique != NULL) {
        err = find_unique(view, query, unique->value, &found);
    } else if (state != NULL && !excluded(query)) {
        line = shortest_line(state->index, query);
    }
    if (line != NULL) {
        err = find_in_line(state, line, query, &found, &page);
    }
    if (err != QH_OK) {
        free(found.list);
        return err;
    }
    page.list = found.list;
    page.count = found.count;
    *ret_page = page;
    return QH_OK;
}
