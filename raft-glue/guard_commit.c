/* Telling followers what is committed without waiting for the next heartbeat.
 *
 * What libraft does: a follower learns the leader's commit index from the next AppendEntries,
 * which in a quiet cluster is the next heartbeat. A proposal is answered when the proposing
 * node's own replica has applied it, so that a write through a follower would take up to a
 * heartbeat interval longer than its replication.
 * What is done here: the leader sends an AppendEntries without entries that begins at the end of
 * what the follower is known to have. Why that is safe: it is a heartbeat like any other, at a
 * moment of our choosing. */
#include <string.h>

#include "raft-glue/guard_internal.h"

#define PROGRESS_PIPELINE 1 /* libraft's progress.h: entries are streamed, nothing is missing */

static struct guard_told *find_told(struct guard *guard, raft_id server)
{
    for (unsigned i = 0; i < GUARD_TOLD_MAX; i++) {
        if (guard->told[i].server == server) {
            return &guard->told[i];
        }
    }
    return NULL;
}

void guard_note_told(struct guard *guard, const struct raft_message *message)
{
    struct guard_told *told;

    if (message->type != RAFT_IO_APPEND_ENTRIES) {
        return;
    }
    if (guard->told_term != message->append_entries.term) {
        guard->told_term = message->append_entries.term;
        memset(guard->told, 0, sizeof guard->told);
    }
    told = find_told(guard, message->server_id);
    if (told == NULL) {
        told = find_told(guard, 0);
    }
    if (told != NULL) {
        told->server = message->server_id;
        told->commit_index = message->append_entries.leader_commit;
    }
}

static void free_request(struct raft_io_send *request, int status)
{
    (void)status;
    raft_free(request);
}

static void tell_server(struct guard *guard, unsigned i)
{
    const struct raft *raft = guard->raft;
    const struct raft_server *server = &raft->configuration.servers[i];
    const struct raft_progress *progress = &raft->leader_state.progress[i];
    const struct guard_told *told = find_told(guard, server->id);
    raft_index match = progress->match_index;
    raft_index commit = raft->commit_index < match ? raft->commit_index : match;
    struct raft_message message = {
        .type = RAFT_IO_APPEND_ENTRIES, .server_id = server->id, .server_address = server->address};
    struct raft_io_send *request;

    if (server->id == raft->id || progress->state != PROGRESS_PIPELINE || told == NULL ||
        guard->told_term != raft->current_term || told->commit_index >= commit ||
        guard_log_term(raft, match) == 0) {
        return;
    }
    request = raft_malloc(sizeof *request);
    if (request == NULL) {
        return; /* the heartbeat tells it */
    }
    message.append_entries.term = raft->current_term;
    message.append_entries.prev_log_index = match;
    message.append_entries.prev_log_term = guard_log_term(raft, match);
    message.append_entries.leader_commit = raft->commit_index;
    if (guard->io.send(&guard->io, request, &message, free_request) != 0) {
        raft_free(request);
        return;
    }
    guard->counters.commits_told++;
}

void guard_tell_commit(struct guard *guard, raft_id server)
{
    const struct raft *raft = guard->raft;

    if (guard->depth > 0 || guard->closing || raft->state != RAFT_LEADER) {
        return;
    }
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (server == 0 || raft->configuration.servers[i].id == server) {
            tell_server(guard, i);
        }
    }
}
