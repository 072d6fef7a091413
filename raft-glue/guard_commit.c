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

static unsigned find_server(const struct raft *raft, raft_id id)
{
    unsigned i = 0;

    while (i < raft->configuration.n && raft->configuration.servers[i].id != id) {
        i++;
    }
    return i;
}

static void send_commit(struct guard *guard, const struct raft_server *server, raft_index match)
{
    const struct raft *raft = guard->raft;
    struct raft_message message = {
        .type = RAFT_IO_APPEND_ENTRIES, .server_id = server->id, .server_address = server->address};
    struct raft_io_send *request = raft_malloc(sizeof *request);

    if (request == NULL) {
        return; /* the heartbeat tells it */
    }
    message.append_entries.term = raft->current_term;
    message.append_entries.prev_log_index = match;
    message.append_entries.prev_log_term = guard_log_term(raft, match);
    message.append_entries.leader_commit = raft->commit_index < match ? raft->commit_index : match;
    if (guard->io.send(&guard->io, request, &message, free_request) != 0) {
        raft_free(request);
        return;
    }
    guard->counters.commits_told++;
}

/* A server that is not known to have the entries yet goes on waiting: its acknowledgement leads
 * back here. */
static void tell_server(struct guard *guard, struct guard_told *told)
{
    const struct raft *raft = guard->raft;
    unsigned i = find_server(raft, told->server);
    const struct raft_progress *progress;

    if (i == raft->configuration.n || told->server == raft->id) {
        told->wanted_index = 0;
        return;
    }
    progress = &raft->leader_state.progress[i];
    if (progress->state != PROGRESS_PIPELINE || progress->match_index < told->wanted_index ||
        guard_log_term(raft, progress->match_index) == 0) {
        return;
    }
    if (told->commit_index < told->wanted_index) {
        send_commit(guard, &raft->configuration.servers[i], progress->match_index);
    }
    told->wanted_index = 0;
}

void guard_tell_wanted(struct guard *guard)
{
    if (guard->raft->state != RAFT_LEADER || guard->told_term != guard->raft->current_term) {
        return;
    }
    for (unsigned i = 0; i < GUARD_TOLD_MAX; i++) {
        if (guard->told[i].wanted_index != 0) {
            tell_server(guard, &guard->told[i]);
        }
    }
}

void guard_tell_commit(struct guard *guard, raft_id server)
{
    const struct raft *raft = guard->raft;

    if (guard->depth > 0 || guard->closing || raft->state != RAFT_LEADER ||
        guard->told_term != raft->current_term) {
        return;
    }
    for (unsigned i = 0; i < GUARD_TOLD_MAX; i++) {
        struct guard_told *told = &guard->told[i];

        if (told->server != 0 && (server == 0 || told->server == server) &&
            told->commit_index < raft->commit_index) {
            told->wanted_index = raft->commit_index;
        }
    }
    guard_tell_wanted(guard);
}
