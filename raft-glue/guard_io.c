/* The guard's rules on what libraft sends and writes. */
#include <string.h>

#include "base/assert.h"
#include "raft-glue/guard_internal.h"

static struct guard *guard_of(struct raft_io *io)
{
    return io->impl;
}

/* Hand the inner error message on. */
static int status_from_inner(struct guard *guard, int status)
{
    if (status != 0) {
        memcpy(guard->io.errmsg, guard->inner->errmsg, sizeof guard->io.errmsg);
    }
    return status;
}

/* libraft's own table of messages ends at 18. */
static const char *status_text(int status)
{
    return status == RAFT_NOSPACE ? "no space left on the disk" : raft_strerror(status);
}

_Noreturn void guard_fail_disk(const struct guard *guard, const char *operation, int status)
{
    const char *detail = guard->inner->errmsg;

    guard_fail(
        guard,
        "%s failed: %s%s%s; this node stops before it can contradict its disk: free space or "
        "check the disk, then restart it (nothing that it acknowledged is lost)",
        operation, status_text(status), detail[0] != '\0' ? ": " : "", detail);
}

/* GUARD_R4_DISK_ERROR_STOPS.
 * What libraft does on a failed write: the leader cuts its log, stays leader and uses the same
 * index and term for other entries; a second failure underflows a count and crashes. A
 * follower keeps entries in memory that its disk does not have. Failed terms and votes are
 * taken as written.
 * Why that is wrong: the logs differ, silently.
 * What the rule does: the process ends before libraft hears of the failure.
 * Why that is safe: a crash is what Raft expects of a node that cannot write. What was being
 * written is not acknowledged by this node. Not covered: raft_uv does not report a truncation
 * that fails after it was accepted; the start refuses the segments that it leaves. */
static int disk_result(struct guard *guard, const char *operation, int status)
{
    if (status != 0 && !guard->closing && guard_has(guard, GUARD_R4_DISK_ERROR_STOPS)) {
        guard_fail_disk(guard, operation, status);
    }
    return status_from_inner(guard, status);
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    struct guard *guard = guard_of(io);

    return status_from_inner(guard, guard->inner->init(guard->inner, id, address));
}

static void closed(struct raft_io *inner)
{
    struct guard *guard = inner->data;

    guard->close_cb(&guard->io); /* may free the guard */
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct guard *guard = guard_of(io);

    guard->closing = true;
    guard->close_cb = cb;
    guard->inner->close(guard->inner, closed);
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries)
{
    struct guard *guard = guard_of(io);
    int status = guard->inner->load(guard->inner, term, voted_for, snapshot, start_index, entries,
                                    n_entries);

    if (status == 0) {
        guard->term = *term;
        guard->vote = *voted_for;
    }
    return status_from_inner(guard, status);
}

/* libraft has its configuration by now, and makes a lone voter leader right after this (R17). */
static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct guard *guard = guard_of(io);

    guard->tick_cb = tick;
    guard->recv_cb = recv;
    if (guard_has(guard, GUARD_R17_LONE_VOTER_NEW_TERM) && guard_is_lone_voter(guard->raft)) {
        int status = guard_begin_term(guard);

        if (status != 0) {
            return status;
        }
    }
    return status_from_inner(guard,
                             guard->inner->start(guard->inner, msecs, guard_tick, guard_recv));
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    struct guard *guard = guard_of(io);

    return status_from_inner(guard, guard->inner->bootstrap(guard->inner, configuration));
}

static int io_recover(struct raft_io *io, const struct raft_configuration *configuration)
{
    struct guard *guard = guard_of(io);

    return status_from_inner(guard, guard->inner->recover(guard->inner, configuration));
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct guard *guard = guard_of(io);
    int status = guard->inner->set_term(guard->inner, term);

    if (status == 0) {
        if (term != guard->term) {
            guard->match = 0;
        }
        guard->term = term;
        guard->vote = 0;
    }
    return disk_result(guard, "writing the term to the disk", status);
}

/* R6, last resort; see message_request_vote() in guard_recv.c. */
static int io_set_vote(struct raft_io *io, raft_id server_id)
{
    struct guard *guard = guard_of(io);
    int status;

    if (guard_has(guard, GUARD_R6_ONE_VOTE_A_TERM) && guard->vote != 0 &&
        guard->vote != server_id) {
        guard_fail(guard,
                   "libraft was about to vote for %llu in term %llu after its vote for %llu; "
                   "restart this node (nothing is lost, and no repair is needed)",
                   server_id, guard->term, guard->vote);
    }
    status = guard->inner->set_vote(guard->inner, server_id);
    if (status == 0) {
        guard->vote = server_id;
    }
    return disk_result(guard, "writing the vote to the disk", status);
}

/* libraft accepted the message that it is processing: up to its last index this log is the
 * leader's. */
static void note_accepted(struct guard *guard)
{
    if (guard->receiving && guard->pending_term == guard->term &&
        guard->pending_match > guard->match) {
        guard->match = guard->pending_match;
    }
}

/* GUARD_R1_ACK_ONLY_VERIFIED.
 * What libraft does: a follower acknowledges the end of its log, also where that holds entries
 * of a dead leader that were never compared with this one's; the leader counts them.
 * Why that is wrong: the leader reports a write as committed that is on its own disk alone.
 * What the rule does: keeps, for the current term, the highest index that a message of that
 * term's leader has verified, and lowers acknowledgements to it.
 * Why that is safe: an acknowledgement may always be lower than the truth. */
static bool cap_ack(struct guard *guard, struct raft_message *message)
{
    struct raft_append_entries_result *result = &message->append_entries_result;

    if (!guard_has(guard, GUARD_R1_ACK_ONLY_VERIFIED) ||
        message->type != RAFT_IO_APPEND_ENTRIES_RESULT || result->rejected != 0) {
        return false;
    }
    note_accepted(guard);
    if (result->last_log_index <= guard->match) {
        return false;
    }
    result->last_log_index = guard->match;
    guard->counters.acks_capped++;
    return true;
}

/* GUARD_R14_PREVOTE_TRUE_TERM.
 * What libraft does: answers a pre-vote with the term of the request instead of its own.
 * Why that is wrong: a candidate with the longer log and a term at least two behind never
 * learns of the higher term; the other node has the higher term and the shorter log; neither
 * can win, and two connected nodes of three stay without a leader for good.
 * What the rule does: a refusal carries this node's term if that is higher.
 * Why that is safe: learning a term that exists is what Raft does with every other answer. */
static bool correct_prevote(struct guard *guard, struct raft_message *message)
{
    struct raft_request_vote_result *result = &message->request_vote_result;

    if (!guard_has(guard, GUARD_R14_PREVOTE_TRUE_TERM) ||
        message->type != RAFT_IO_REQUEST_VOTE_RESULT || result->pre_vote != raft_tribool_true ||
        result->vote_granted || guard->raft->current_term <= result->term) {
        return false;
    }
    result->term = guard->raft->current_term;
    guard->counters.prevotes_corrected++;
    return true;
}

/* GUARD_R5_NO_GARBAGE_REPLY.
 * What libraft does: when a write finishes, answers the leader that it knows, though by then
 * it may know none, or be candidate or leader itself, where other data lies in the same place
 * (a union). And when an answer to entries cannot be sent, it frees the entries twice.
 * Why that is wrong: memory is corrupted, or a null address followed.
 * What the rule does: leaves such an answer out; an answer that could not be sent counts as
 * sent and lost.
 * Why that is safe: leaving a message out always is. */
static bool is_garbage(const struct guard *guard, const struct raft_message *message)
{
    return guard_has(guard, GUARD_R5_NO_GARBAGE_REPLY) &&
           (message->server_id == 0 || message->server_address == NULL ||
            (message->type == RAFT_IO_APPEND_ENTRIES_RESULT && !guard->receiving &&
             guard->raft->state != RAFT_FOLLOWER));
}

static int send_failed(struct guard *guard, struct raft_io_send *request,
                       const struct raft_message *message, raft_io_send_cb cb, int status)
{
    if (guard_has(guard, GUARD_R5_NO_GARBAGE_REPLY) &&
        message->type == RAFT_IO_APPEND_ENTRIES_RESULT) {
        guard->counters.replies_dropped++;
        cb(request, status); /* frees the request, nothing else */
        return 0;
    }
    return status;
}

/* R18, second part (see server_to_vote() in guard_recv.c). What libraft does: sends entries while
 * they are on their way to its own disk.
 * Why that is wrong when it has become the only voter by demoting the other: if it dies before the
 * entry is on its disk, the other one has it, is no candidate any more, and has the longer log,
 * so that it does not vote either: no leader, for ever.
 * What the rule does: a lone voter sends what is on its disk, and nothing else.
 * Why that is safe: what it stores is committed, whoever else has it; the rest is sent again. */
static bool is_kept_back(const struct guard *guard, const struct raft_message *message)
{
    const struct raft_append_entries *args = &message->append_entries;

    return guard_has(guard, GUARD_R18_VOTE_AS_ASKED) && message->type == RAFT_IO_APPEND_ENTRIES &&
           args->n_entries > 0 &&
           args->prev_log_index + args->n_entries > guard->raft->last_stored &&
           guard_is_lone_voter(guard->raft);
}

static int io_send(struct raft_io *io, struct raft_io_send *request,
                   const struct raft_message *message, raft_io_send_cb cb)
{
    struct guard *guard = guard_of(io);
    struct raft_message changed;
    int status;

    if (is_garbage(guard, message)) {
        return send_failed(guard, request, message, cb, RAFT_NOCONNECTION);
    }
    /* R3, last part; see message_timeout_now() in guard_recv.c. */
    if (guard_has(guard, GUARD_R3_NO_VOTE_UNPERSISTED) && message->type == RAFT_IO_REQUEST_VOTE &&
        guard->writes_inflight > 0) {
        guard->counters.votes_held++;
        return RAFT_NOCONNECTION;
    }
    if (is_kept_back(guard, message)) {
        return RAFT_NOCONNECTION;
    }
    changed = *message;
    if (cap_ack(guard, &changed) || correct_prevote(guard, &changed)) {
        message = &changed;
    }
    guard->depth++;
    status = status_from_inner(guard, guard->inner->send(guard->inner, request, message, cb));
    guard->depth--;
    if (status != 0) {
        return send_failed(guard, request, message, cb, status);
    }
    guard_note_told(guard, message);
    return 0;
}

/* A log write under way. */
struct append {
    struct raft_io_append request;
    struct guard *guard;
    struct raft_io_append *original;
    uint64_t sequence;
    uint64_t size; /* bytes of entries */
};

static void append_done(struct raft_io_append *request, int status)
{
    struct append append = *(struct append *)request;
    struct guard *guard = append.guard;

    guard->writes_inflight--;
    guard->bytes_inflight -= append.size;
    if (status == 0 && guard->truncate_pending && append.sequence > guard->truncate_sequence) {
        guard->truncate_pending = false;
    }
    raft_free(request);
    (void)disk_result(guard, "writing the log to the disk", status);
    /* R10, last part; see check_rollback() in guard_recv.c. */
    if (guard->restart_wanted && !guard->truncate_pending) {
        guard_fail(guard, "an unfinished membership change was withdrawn; restart this node, which "
                          "then uses the membership of before (nothing is lost, and no repair is "
                          "needed)");
    }
    guard->written_pending = guard->written_pending || status == 0;
    guard_enter(guard);
    append.original->cb(append.original, status);
    guard_leave(guard);
    guard_recv_takeover(guard);
}

static int io_append(struct raft_io *io, struct raft_io_append *request,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct guard *guard = guard_of(io);
    struct append *append = raft_malloc(sizeof *append);
    int status;

    if (append == NULL) {
        return disk_result(guard, "writing the log to the disk", RAFT_NOMEM);
    }
    *append = (struct append){.guard = guard, .original = request};
    for (unsigned i = 0; i < n; i++) {
        append->size += entries[i].buf.len;
    }
    append->sequence = ++guard->append_sequence;
    request->cb = cb;
    guard->writes_inflight++;
    guard->bytes_inflight += append->size;
    guard->depth++;
    status = guard->inner->append(guard->inner, &append->request, entries, n, append_done);
    guard->depth--;
    if (status != 0) {
        guard->writes_inflight--;
        guard->bytes_inflight -= append->size;
        raft_free(append);
        return disk_result(guard, "writing the log to the disk", status);
    }
    note_accepted(guard); /* R1 */
    return 0;
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct guard *guard = guard_of(io);

    guard->truncate_pending = true;
    guard->truncate_sequence = guard->append_sequence;
    if (guard_has(guard, GUARD_R10_CONFIG_ROLLBACK_RESTARTS) &&
        guard_log_has_change(guard->raft, index)) {
        guard->restart_wanted = true;
    }
    return disk_result(guard, "truncating the log", guard->inner->truncate(guard->inner, index));
}

/* A snapshot being written. */
struct put {
    struct raft_io_snapshot_put request;
    struct guard *guard;
    struct raft_io_snapshot_put *original;
    raft_index index;
    bool install; /* it replaces the log */
};

/* R10: libraft forgets to end a configuration change whose entry an installed snapshot has
 * replaced. */
static void end_replaced_change(struct guard *guard)
{
    struct raft *raft = guard->raft;

    if (guard_has(guard, GUARD_R10_CONFIG_ROLLBACK_RESTARTS) &&
        raft->configuration_uncommitted_index != 0 &&
        guard_log_entry(raft, raft->configuration_uncommitted_index) == NULL) {
        raft->configuration_uncommitted_index = 0;
    }
}

/* libraft has put the snapshot that it received in the place of its log, and the state machine
 * could not be restored from it: it would never apply anything again, and not say so. */
static void check_restored(const struct guard *guard, raft_index index)
{
    if (guard_has(guard, GUARD_R4_DISK_ERROR_STOPS) && guard->raft->state != RAFT_UNAVAILABLE &&
        guard->raft->last_applied < index) {
        guard_fail(
            guard,
            "the snapshot of index %llu that the leader sent cannot be restored; remove this "
            "node from the cluster and let it rejoin under a new id",
            index);
    }
}

static void put_done(struct raft_io_snapshot_put *request, int status)
{
    struct put put = *(struct put *)request;
    struct guard *guard = put.guard;

    guard->snapshots_inflight--;
    guard->writes_inflight -= put.install;
    raft_free(request);
    (void)disk_result(guard, "writing a snapshot to the disk", status);
    guard_enter(guard);
    put.original->cb(put.original, status);
    if (put.install && status == 0) {
        check_restored(guard, put.index);
        end_replaced_change(guard);
    }
    guard_leave(guard);
    guard_recv_takeover(guard);
}

/* @trailing 0 means that the snapshot came from the leader and replaces the log. R16 refuses
 * only one of this node's own, which libraft then releases and takes anew later; by the time
 * it writes one that it received it has cleared its log, and a refusal would come too late. */
static int io_snapshot_put(struct raft_io *io, unsigned trailing,
                           struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct guard *guard = guard_of(io);
    struct put *put;
    int status;

    /* libraft's own snapshots keep some of the log; raft_uv would take 0 for an install and
     * remove all of it. Whoever sets up libraft has to see to that. */
    QH_ASSERT(trailing != 0 || guard->raft->snapshot.put.data != guard->raft);
    if (guard_has(guard, GUARD_R16_TRUNCATE_SNAPSHOT) && trailing != 0 && guard->truncate_pending) {
        guard->counters.conflicts_dropped++;
        return RAFT_BUSY;
    }
    put = raft_malloc(sizeof *put);
    if (put == NULL) {
        return disk_result(guard, "writing a snapshot to the disk", RAFT_NOMEM);
    }
    *put = (struct put){
        .guard = guard, .original = request, .index = snapshot->index, .install = trailing == 0};
    request->cb = cb;
    guard->snapshots_inflight++;
    guard->writes_inflight += put->install;
    guard->depth++;
    status = guard->inner->snapshot_put(guard->inner, trailing, &put->request, snapshot, put_done);
    guard->depth--;
    if (status != 0) {
        guard->snapshots_inflight--;
        guard->writes_inflight -= put->install;
        raft_free(put);
        return disk_result(guard, "writing a snapshot to the disk", status);
    }
    if (trailing == 0) {
        note_accepted(guard); /* R1 */
    }
    return 0;
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                           raft_io_snapshot_get_cb cb)
{
    struct guard *guard = guard_of(io);

    return status_from_inner(guard, guard->inner->snapshot_get(guard->inner, request, cb));
}

static raft_time io_time(struct raft_io *io)
{
    struct guard *guard = guard_of(io);

    return guard->inner->time(guard->inner);
}

static int io_random(struct raft_io *io, int min, int max)
{
    struct guard *guard = guard_of(io);

    return guard->inner->random(guard->inner, min, max);
}

static int io_async_work(struct raft_io *io, struct raft_io_async_work *request,
                         raft_io_async_work_cb cb)
{
    struct guard *guard = guard_of(io);

    return status_from_inner(guard, guard->inner->async_work(guard->inner, request, cb));
}

/* Version 2, for asynchronous snapshots: raft_uv has async_work() but calls itself version 1,
 * with which libraft refuses them. */
void guard_io_init(struct guard *guard)
{
    guard->io = (struct raft_io){
        .version = 2,
        .impl = guard,
        .init = io_init,
        .close = io_close,
        .load = io_load,
        .start = io_start,
        .bootstrap = io_bootstrap,
        .recover = io_recover,
        .set_term = io_set_term,
        .set_vote = io_set_vote,
        .send = io_send,
        .append = io_append,
        .truncate = io_truncate,
        .snapshot_put = io_snapshot_put,
        .snapshot_get = io_snapshot_get,
        .time = io_time,
        .random = io_random,
        .async_work = guard->inner->async_work != NULL ? io_async_work : NULL,
    };
}
