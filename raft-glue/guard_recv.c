/* The guard's rules on what libraft receives. Leaving a message out is always safe: Raft must
 * stand a network that loses messages, and the sender sends again. */
#include <string.h>

#include "raft-glue/guard_internal.h"

/* As libraft would: entries that came together share one block of memory, a batch. */
static void entries_free(struct raft_entry *entries, unsigned count)
{
    void *batch = NULL;

    for (unsigned i = 0; i < count; i++) {
        if (entries[i].batch != batch) {
            batch = entries[i].batch;
            raft_free(batch);
        }
    }
    raft_free(entries);
}

static void message_discard(struct raft_message *message)
{
    if (message->type == RAFT_IO_APPEND_ENTRIES) {
        entries_free(message->append_entries.entries, message->append_entries.n_entries);
    } else if (message->type == RAFT_IO_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
    }
}

/* GUARD_R13_COMPACTED_PREFIX.
 * What libraft does: rejects entries that come before the first one in its log, even where its
 * own snapshot holds them; and if the message starts at the very first index, it compares
 * nothing and appends them behind its last one.
 * Why that is wrong: a follower whose log begins after the leader's last snapshot (it took one
 * of its own, or was sent one) is probed down to nothing, is then sent the leader's older
 * snapshot, says that it has a newer one, and so on until the leader takes its next snapshot,
 * which in a quiet cluster is never. The second case wrecks the log.
 * What the rule does: leaves out the part that the snapshot holds, and lets the message begin
 * at the snapshot's last entry.
 * Why that is safe: a snapshot holds committed entries only, and a leader of this term or a
 * later one has every one of them at the same place. */
static void accept_compacted_prefix(struct guard *guard, struct raft_append_entries *args)
{
    const struct raft_log *log = &guard->raft->log;
    raft_index snapshot_index = log->snapshot.last_index;
    raft_index skip;

    if (!guard_has(guard, GUARD_R13_COMPACTED_PREFIX) || args->prev_log_index >= snapshot_index ||
        args->prev_log_index > log->offset) {
        return;
    }
    skip = snapshot_index - args->prev_log_index;
    if (skip < args->n_entries) {
        args->n_entries -= (unsigned)skip;
        memmove(args->entries, args->entries + skip, args->n_entries * sizeof *args->entries);
    } else {
        entries_free(args->entries, args->n_entries);
        args->entries = NULL;
        args->n_entries = 0;
    }
    args->prev_log_index = snapshot_index;
    args->prev_log_term = log->snapshot.last_term;
    guard->counters.prefixes_accepted++;
}

/* GUARD_R16_TRUNCATE_SNAPSHOT.
 * What raft_uv does: loses a truncation that it is asked for while a snapshot is being
 * written, and never finishes a snapshot that it is asked for while a truncation is pending.
 * libraft adds to its mark of what is stored when an old write finishes, even if the entries
 * were truncated and received again meanwhile.
 * Why that is wrong: after a restart the log holds entries of a dead leader where acknowledged
 * ones should be; or a node acknowledges what is not on its disk.
 * What the rule does: lets libraft truncate only while nothing at all is being written: a
 * message that would truncate is left out until then, an InstallSnapshot until a truncation is
 * on the disk. FSM.snapshot is refused by guard_snapshot_allowed(), and an asynchronous
 * snapshot that finds a truncation pending when it is encoded in snapshot_put() in guard_io.c.
 * (An InstallSnapshot that arrives while a snapshot of this node's own is encoded or written
 * is left out by libraft itself.)
 * Why that is safe: leaving a message out always is. */
static bool truncation_may_start(const struct guard *guard)
{
    return !guard_has(guard, GUARD_R16_TRUNCATE_SNAPSHOT) ||
           (guard->snapshots_inflight == 0 && guard->writes_inflight == 0 &&
            !guard->truncate_pending);
}

/* GUARD_R10_CONFIG_ROLLBACK_RESTARTS.
 * What libraft does: takes a configuration into use when it stores the entry, and on
 * truncation of that entry goes back to the last committed one, which it looks for in the log,
 * without a look whether it is still there. After a restart it does not know that the last
 * configuration in the log may not be committed, and does not go back at all. It takes
 * uncommitted configurations into snapshots.
 * Why that is wrong: a null pointer is followed; or the node counts votes in a configuration
 * that never was.
 * What the rule does: stops the process, for a restart finds the right configuration in the
 * log: here, where libraft would crash; and in guard_io.c, where a configuration change is
 * truncated, as soon as the truncation is on the disk and before the node has acted on
 * anything else. guard_snapshot_allowed() refuses snapshots while a configuration change is
 * not applied. An installed snapshot ends any change that was under way.
 * Why that is safe: a restart loses nothing, and Raft must stand one at any time. */
static void check_rollback(const struct guard *guard, raft_index conflict)
{
    const struct raft *raft = guard->raft;

    if (guard_has(guard, GUARD_R10_CONFIG_ROLLBACK_RESTARTS) &&
        raft->configuration_uncommitted_index >= conflict &&
        guard_log_entry(raft, raft->configuration_index) == NULL) {
        guard_fail(guard,
                   "an unfinished membership change at index %llu is being withdrawn and the "
                   "configuration before it is only in the snapshot; restart this node, which "
                   "then finds it (nothing is lost, and no repair is needed)",
                   raft->configuration_uncommitted_index);
    }
}

static bool message_append_entries(struct guard *guard, struct raft_append_entries *args)
{
    raft_index conflict;
    raft_index last_compared;

    if (args->term < guard->raft->current_term) {
        return true; /* will be rejected */
    }
    accept_compacted_prefix(guard, args);
    conflict = guard_log_conflict(guard->raft, args);
    if (conflict != 0) {
        if (!truncation_may_start(guard)) {
            guard->counters.conflicts_dropped++;
            return false;
        }
        check_rollback(guard, conflict);
    }
    last_compared = args->prev_log_index + args->n_entries;
    /* R1, last part: libraft commits up to the end of its log on a heartbeat, which may be
     * beyond what was compared; the leader's own commit index is always within it, so that
     * this only mends what should not happen. */
    if (guard_has(guard, GUARD_R1_ACK_ONLY_VERIFIED) && args->leader_commit > last_compared) {
        args->leader_commit = last_compared;
    }
    guard->pending_term = args->term;
    guard->pending_match = last_compared;
    return true;
}

static bool message_install_snapshot(struct guard *guard, const struct raft_install_snapshot *args)
{
    if (guard_has(guard, GUARD_R16_TRUNCATE_SNAPSHOT) && guard->truncate_pending) {
        guard->counters.conflicts_dropped++;
        return false;
    }
    guard->pending_term = args->term;
    guard->pending_match = args->last_index;
    return true;
}

/* GUARD_R6_ONE_VOTE_A_TERM.
 * What libraft does: while leadership is being transferred, gives the chosen node its vote
 * even if it has voted in this term already (electionVote()).
 * Why that is wrong: two candidates can win the same term.
 * What the rule does: leaves such a request out. As a last resort, a second vote in a term
 * that reaches set_vote() in guard_io.c ends the process before it is written.
 * Why that is safe: a vote may always be refused. */
static bool message_request_vote(struct guard *guard, const struct raft_request_vote *args)
{
    const struct raft *raft = guard->raft;

    if (guard_has(guard, GUARD_R6_ONE_VOTE_A_TERM) && !args->pre_vote && raft->transfer != NULL &&
        args->term == raft->current_term && guard->vote != 0 && guard->vote != args->candidate_id) {
        guard->counters.votes_refused++;
        return false;
    }
    return true;
}

/* GUARD_R3_NO_VOTE_UNPERSISTED.
 * What libraft does: stands for election while entries that it received, or a snapshot that it
 * installs, are still on their way to its disk, and claims them in its requests for votes. As
 * a candidate it does not take a configuration among them into use.
 * Why that is wrong: it can win with a log that a crash takes away, or in a configuration that
 * the others have left: two leaders in a term.
 * What the rule does: while something is being written, a follower's time-out is postponed
 * (guard.c), a request to take over waits (here), and no vote is asked for (io_send() in
 * guard_io.c; that part is not reached while the other two hold).
 * Why that is safe: nobody has to stand for election at any given time. libraft looks again at
 * sender, term and log when the request is handed on; one that waited for longer than the
 * leader waits is left out. */
static bool message_timeout_now(struct guard *guard, const struct raft_message *message)
{
    if (guard_has(guard, GUARD_R3_NO_VOTE_UNPERSISTED) && guard->writes_inflight > 0) {
        guard->counters.votes_held++;
        guard->takeover = *message;
        guard->takeover.server_address = ""; /* not looked at */
        guard->takeover_time = guard->inner->time(guard->inner);
        return false;
    }
    return !guard_has(guard, GUARD_R17_LONE_VOTER_NEW_TERM) || !guard_is_lone_voter(guard->raft);
}

/* What the leader may take for the match index of server @i once it has processed @result from
 * @from. */
static raft_index match_after(const struct raft *raft, unsigned i, raft_id from,
                              const struct raft_append_entries_result *result)
{
    raft_index match = raft->leader_state.progress[i].match_index;
    raft_index last = guard_log_last(raft);
    raft_index acked = result->last_log_index < last ? result->last_log_index : last;

    return raft->configuration.servers[i].id == from && acked > match ? acked : match;
}

/* The highest index that a majority of the voters has once @result is processed. */
static raft_index quorum_index(const struct raft *raft, raft_id from,
                               const struct raft_append_entries_result *result)
{
    const struct raft_configuration *configuration = &raft->configuration;
    raft_index best = 0;

    for (unsigned i = 0; i < configuration->n; i++) {
        raft_index match = match_after(raft, i, from, result);
        unsigned voter_count = 0;
        unsigned vote_count = 0;

        if (configuration->servers[i].role != RAFT_VOTER || match <= best) {
            continue;
        }
        for (unsigned k = 0; k < configuration->n; k++) {
            if (configuration->servers[k].role == RAFT_VOTER) {
                voter_count++;
                vote_count += match_after(raft, k, from, result) >= match;
            }
        }
        if (vote_count > voter_count / 2) {
            best = match;
        }
    }
    return best;
}

/* GUARD_R15_QUORUM_AT_ACK.
 * What libraft does: when a follower acknowledges, tests for a majority only at the leader's
 * own last stored entry.
 * Why that is wrong: under steady load over a distance the leader has always stored more than
 * anybody has acknowledged, and nothing ever commits.
 * What the rule does: lets libraft test the highest entry that a majority has: it reads
 * r->last_stored for nothing else while it processes an acknowledgement, so that this field
 * holds the index to test meanwhile.
 * Why that is safe: libraft itself still counts the majority at that index.
 *
 * R2, second part (see guard.c): an entry of an older term is not tested. The index to test is
 * then the commit index, which libraft passes over. */
static raft_index index_to_test(struct guard *guard, raft_id from,
                                const struct raft_append_entries_result *result)
{
    const struct raft *raft = guard->raft;
    raft_index index = raft->last_stored;

    if (raft->state != RAFT_LEADER || result->rejected != 0 || result->term != raft->current_term) {
        return index;
    }
    if (guard_has(guard, GUARD_R15_QUORUM_AT_ACK)) {
        raft_index quorum = quorum_index(raft, from, result);

        if (quorum < index && quorum > raft->commit_index &&
            guard_log_term(raft, quorum) == raft->current_term) {
            guard->counters.quorums_checked++;
            index = quorum;
        }
    }
    if (guard_has(guard, GUARD_R2_OWN_TERM_FIRST) && index > raft->commit_index &&
        guard_log_term(raft, index) != raft->current_term) {
        guard->counters.counts_postponed++;
        index = raft->commit_index;
    }
    return index;
}

/* R18. What libraft does: refuses its vote while its own configuration does not have it as a
 * voter.
 * Why that is wrong: the candidate's configuration decides who votes, and may be newer. When the
 * only voter makes a second one and dies before that one has the entry, each needs the other
 * after the restart, and one of them does not know that it is a voter: no leader, for ever.
 * What the rule does: lets libraft see a voter while it looks at a request for a vote, if the
 * configuration has this server in another role. A server that is in no configuration, such as
 * one that has lost its disk, votes for nobody, as before.
 * Why that is safe: Raft's own rule for a vote asks for the term and the log alone, and the
 * candidate counts only the voters of its configuration. */
static struct raft_server *server_to_vote(const struct guard *guard,
                                          const struct raft_message *message)
{
    const struct raft_configuration *configuration = &guard->raft->configuration;

    if (!guard_has(guard, GUARD_R18_VOTE_AS_ASKED) || message->type != RAFT_IO_REQUEST_VOTE ||
        guard->raft->state != RAFT_FOLLOWER) {
        return NULL;
    }
    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == guard->raft->id) {
            return configuration->servers[i].role == RAFT_VOTER ? NULL : &configuration->servers[i];
        }
    }
    return NULL;
}

/* Processing a request for a vote changes neither the configuration nor its memory. */
static void receive_as_voter(struct guard *guard, struct raft_server *server,
                             struct raft_message *message)
{
    int role = server->role;

    server->role = RAFT_VOTER;
    guard->recv_cb(&guard->io, message);
    server->role = role;
    guard->counters.votes_lent++;
}

static bool message_passes(struct guard *guard, struct raft_message *message)
{
    if (guard->closing || guard->restart_wanted) {
        return false;
    }
    switch (message->type) {
    case RAFT_IO_APPEND_ENTRIES:
        return message_append_entries(guard, &message->append_entries);
    case RAFT_IO_INSTALL_SNAPSHOT:
        return message_install_snapshot(guard, &message->install_snapshot);
    case RAFT_IO_REQUEST_VOTE:
        return message_request_vote(guard, &message->request_vote);
    case RAFT_IO_TIMEOUT_NOW:
        return message_timeout_now(guard, message);
    default:
        return true;
    }
}

void guard_recv(struct raft_io *inner, struct raft_message *message)
{
    struct guard *guard = inner->data;
    struct raft *raft = guard->raft;
    struct raft_server *voter = server_to_vote(guard, message);
    raft_index last_stored = raft->last_stored;
    raft_index index = last_stored;

    guard->pending_term = 0;
    guard->pending_match = 0;
    if (!message_passes(guard, message)) {
        message_discard(message);
        return;
    }
    if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT) {
        index = index_to_test(guard, message->server_id, &message->append_entries_result);
    }
    guard_enter(guard);
    guard->receiving = true;
    if (voter != NULL) {
        receive_as_voter(guard, voter, message);
    } else if (index == last_stored) {
        guard->recv_cb(&guard->io, message);
    } else {
        raft->last_stored = index;
        guard->recv_cb(&guard->io, message);
        raft->last_stored = last_stored;
    }
    guard->receiving = false;
    guard_leave(guard);
}

void guard_recv_takeover(struct guard *guard)
{
    struct raft_message message = guard->takeover;

    if (message.type == 0 || guard->writes_inflight > 0 || guard->depth > 0) {
        return;
    }
    guard->takeover.type = 0;
    if (guard->inner->time(guard->inner) - guard->takeover_time < guard->raft->election_timeout) {
        guard_recv(guard->inner, &message);
    }
}
