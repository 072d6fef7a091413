/* Reads libraft's in-memory log, which it does not export: a ring of entries in [front, back),
 * the first of which has index offset + 1. Entries up to the last snapshot may be compacted
 * away; of those only the snapshot's own index and term are known. */
#include "raft-glue/guard_internal.h"

static size_t entry_count(const struct raft_log *log)
{
    return log->front <= log->back ? log->back - log->front : log->size - log->front + log->back;
}

const struct raft_entry *guard_log_entry(const struct raft *raft, raft_index index)
{
    const struct raft_log *log = &raft->log;

    if (index <= log->offset || index - log->offset > entry_count(log)) {
        return NULL;
    }
    return &log->entries[(log->front + (size_t)(index - log->offset - 1)) % log->size];
}

raft_index guard_log_last(const struct raft *raft)
{
    return raft->log.offset + entry_count(&raft->log);
}

raft_term guard_log_term(const struct raft *raft, raft_index index)
{
    const struct raft_entry *entry = guard_log_entry(raft, index);

    if (entry != NULL) {
        return entry->term;
    }
    return index != 0 && index == raft->log.snapshot.last_index ? raft->log.snapshot.last_term : 0;
}

bool guard_log_has_change(const struct raft *raft, raft_index from)
{
    const struct raft_entry *entry;
    raft_index index = from > raft->log.offset ? from : raft->log.offset + 1;

    for (; (entry = guard_log_entry(raft, index)) != NULL; index++) {
        if (entry->type == RAFT_CHANGE) {
            return true;
        }
    }
    return false;
}

/* Follows checkLogMatchingProperty() and deleteConflictingEntries() of replication.c. */
raft_index guard_log_conflict(const struct raft *raft, const struct raft_append_entries *args)
{
    if (args->prev_log_index != 0 &&
        guard_log_term(raft, args->prev_log_index) != args->prev_log_term) {
        return 0; /* it will be rejected */
    }
    for (unsigned i = 0; i < args->n_entries; i++) {
        raft_index index = args->prev_log_index + 1 + i;
        raft_term term = guard_log_term(raft, index);

        if (term == 0) {
            return 0;
        }
        if (term != args->entries[i].term) {
            return index;
        }
    }
    return 0;
}
