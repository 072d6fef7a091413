/* Reading a data directory offline: summary, entries, and the store that they make. */
#include <limits.h>
#include <raft.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft-glue/datadir.h"
#include "raft-glue/entry.h"
#include "raft-glue/logdir.h"

static QH_RESULT open_checked(const char *dir, struct logdir *ret_logdir)
{
    char path[PATH_MAX];
    enum qh_err err;

    if (snprintf(path, sizeof(path), "%s/raft", dir) >= (int)sizeof(path)) {
        return QH_ESYSTEM;
    }
    err = logdir_open(path, ret_logdir);
    if (err != QH_OK) {
        return err;
    }
    err = logdir_check(ret_logdir, false);
    if (err != QH_OK) {
        logdir_close(ret_logdir);
    }
    return err;
}

QH_RESULT datadir_summarize(const char *dir, struct datadir_summary *ret_summary)
{
    struct logdir logdir;
    enum qh_err err = open_checked(dir, &logdir);

    if (err != QH_OK) {
        return err;
    }
    *ret_summary = (struct datadir_summary){
        .term = logdir.metadata.term,
        .voted_for = logdir.metadata.voted_for,
        .snapshot_index = logdir.snapshot != NULL ? logdir.snapshot->index : 0,
        .snapshot_term = logdir.snapshot != NULL ? logdir.snapshot->term : 0,
        .first_index = logdir.first_index,
        .last_index = logdir.last_index,
        .last_term = logdir.last_term,
        .configuration_index = logdir.configuration_index,
    };
    logdir_close(&logdir);
    return QH_OK;
}

/* Visit the entries of one segment; *ret_more says whether the visitor wants the next. */
static QH_RESULT visit_segment(const struct logdir *logdir, const struct logdir_segment *segment,
                               uint64_t first, datadir_visit visit, void *data, bool *ret_more)
{
    struct datadir_entry visited = {.index = segment->first};
    struct segment_cursor cursor;
    struct segment_entry entry;
    uint8_t *base;
    enum qh_err err;
    bool more = true;
    size_t size;

    err = logdir_read(logdir, segment->name, &base, &size);
    if (err != QH_OK) {
        return err;
    }
    segment_cursor_init(&cursor, (struct bytes){base, size}, segment->scan.whole_size);
    while (more && segment_next(&cursor, &entry)) {
        visited.term = entry.term;
        visited.type = entry.type;
        visited.data = entry.data;
        if (visited.index >= first) {
            more = visit(data, &visited);
        }
        visited.index++;
    }
    free(base);
    *ret_more = more;
    return QH_OK;
}

static QH_RESULT visit_entries(const struct logdir *logdir, uint64_t first, datadir_visit visit,
                               void *data)
{
    bool more = true;

    for (size_t i = 0; i < logdir->segment_count && more; i++) {
        const struct logdir_segment *segment = &logdir->segments[i];
        enum qh_err err;

        if (segment->scan.entry_count == 0 || segment->last < first) {
            continue;
        }
        err = visit_segment(logdir, segment, first, visit, data, &more);
        if (err != QH_OK) {
            return err;
        }
    }
    return QH_OK;
}

QH_RESULT datadir_each_entry(const char *dir, uint64_t first, datadir_visit visit, void *data)
{
    struct logdir logdir;
    enum qh_err err = open_checked(dir, &logdir);

    if (err != QH_OK) {
        return err;
    }
    err = visit_entries(&logdir, first, visit, data);
    logdir_close(&logdir);
    return err;
}

/* A store under way to an index. */
struct loading {
    struct store *store;
    uint64_t upto;
    uint64_t index;
    enum qh_err err;
};

static void apply_transaction(void *data, struct bytes transaction)
{
    struct loading *loading = data;

    (void)store_apply(loading->store, transaction);
}

static bool apply_entry(void *data, const struct datadir_entry *entry)
{
    struct loading *loading = data;

    if (entry->index > loading->upto) {
        return false;
    }
    loading->index = entry->index;
    if (entry->type == RAFT_COMMAND &&
        entry_each(entry->data, apply_transaction, loading) != QH_OK) {
        loading->err = QH_ECORRUPT;
    }
    return loading->err == QH_OK;
}

static QH_RESULT load_snapshot(const struct logdir *logdir, struct store **ret_store)
{
    uint8_t *base;
    enum qh_err err;
    size_t size;

    if (logdir->snapshot == NULL) {
        return store_new(ret_store);
    }
    err = logdir_read(logdir, logdir->snapshot->name, &base, &size);
    if (err != QH_OK) {
        return err;
    }
    err = store_snapshot_decode((struct bytes){base, size}, ret_store);
    free(base);
    return err;
}

static QH_RESULT load_store(const struct logdir *logdir, uint64_t upto, struct store **ret_store,
                            uint64_t *ret_index)
{
    struct loading loading = {.upto = upto};
    enum qh_err err;

    loading.index = logdir->snapshot != NULL ? logdir->snapshot->index : 0;
    if (loading.index > upto) {
        return QH_ENOTFOUND;
    }
    err = load_snapshot(logdir, &loading.store);
    if (err != QH_OK) {
        return err;
    }
    err = visit_entries(logdir, loading.index + 1, apply_entry, &loading);
    err = err == QH_OK ? loading.err : err;
    if (err != QH_OK) {
        store_free(loading.store);
        return err;
    }
    *ret_store = loading.store;
    *ret_index = loading.index;
    return QH_OK;
}

QH_RESULT datadir_load_store(const char *dir, uint64_t upto, struct store **ret_store,
                             uint64_t *ret_index)
{
    struct logdir logdir;
    enum qh_err err = open_checked(dir, &logdir);

    if (err != QH_OK) {
        return err;
    }
    err = load_store(&logdir, upto, ret_store, ret_index);
    logdir_close(&logdir);
    return err;
}
