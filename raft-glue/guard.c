/* The guard's life cycle: when libraft may run, what is told to the rest of the node, the
 * barrier after an election, and fast fail-over. The rules on messages stand in guard_recv.c,
 * those on what is sent and written in guard_io.c. */
#include "raft-glue/guard.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "raft-glue/guard_internal.h"

#define GUARD_WHY_SIZE 1024u

_Noreturn void guard_fail(const struct guard *guard, const char *format, ...)
{
    char why[GUARD_WHY_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    guard->callbacks.fatal(guard->callbacks.data, why);
    base_assert_fail("the fatal callback does not return", __FILE__, __LINE__, __func__);
}

/* GUARD_R2_OWN_TERM_FIRST.
 * What libraft does: a new leader appends nothing of its own, and counts copies of an older
 * leader's entries as commitment (replicationQuorum() does not look at the entry's term).
 * Why that is wrong: an older entry that is on a majority may still be overwritten by a leader
 * that has a later entry in its place (Raft, figure 8): an acknowledged write is lost. And
 * until an entry of its own term commits, a leader may lag behind what was acknowledged.
 * What the rule does: here, a leader appends a barrier entry as soon as it is elected, and is
 * ready when that is applied. In guard_recv.c, nothing is committed by counting copies of
 * entries of older terms; the barrier carries them along.
 * Why that is safe: both are what Raft's own description demands.
 *
 * Each barrier has a struct of its own, since libraft keeps a pointer to it until the callback
 * and a second election can come before that. Nothing is submitted from its callback: with a
 * status other than 0 libraft is in the middle of freeing its leader state (convert.c) while
 * it still calls itself leader. */
struct barrier {
    struct raft_barrier request;
    struct guard *guard;
    raft_term term;
};

static void barrier_done(struct raft_barrier *request, int status)
{
    struct barrier *barrier = request->data;

    if (status == 0 && barrier->term == barrier->guard->raft->current_term) {
        barrier->guard->ready_term = barrier->term;
    }
    raft_free(barrier);
}

static void barrier_submit(struct guard *guard)
{
    struct raft *raft = guard->raft;
    struct barrier *barrier;

    if (!guard_has(guard, GUARD_R2_OWN_TERM_FIRST) || raft->state != RAFT_LEADER ||
        raft->transfer != NULL || guard->barrier_term == raft->current_term) {
        return;
    }
    barrier = raft_malloc(sizeof *barrier);
    if (barrier == NULL) {
        return; /* again after the next event */
    }
    *barrier = (struct barrier){.guard = guard, .term = raft->current_term};
    barrier->request.data = barrier;
    guard->barrier_term = raft->current_term;
    guard->depth++;
    if (raft_barrier(raft, &barrier->request, barrier_done) != 0) {
        guard->barrier_term = 0;
        raft_free(barrier);
    }
    guard->depth--;
}

static struct guard_role role_now(const struct guard *guard)
{
    const struct raft *raft = guard->raft;
    struct guard_role role = {.state = raft->state, .term = raft->current_term};

    if (raft->state == RAFT_LEADER) {
        role.leader = raft->id;
    } else if (raft->state == RAFT_FOLLOWER) {
        role.leader = raft->follower_state.current_leader.id;
    }
    role.ready = guard_leader_ready(guard);
    return role;
}

static bool role_equal(const struct guard_role *a, const struct guard_role *b)
{
    return a->state == b->state && a->term == b->term && a->leader == b->leader &&
           a->ready == b->ready;
}

static void tell(struct guard *guard)
{
    struct guard_role role;

    if (guard->written_pending) {
        guard->written_pending = false;
        if (guard->callbacks.written != NULL) {
            guard->callbacks.written(guard->callbacks.data);
        }
    }
    role = role_now(guard);
    if (!role_equal(&role, &guard->role)) {
        guard->role = role;
        if (guard->callbacks.changed != NULL) {
            guard->callbacks.changed(guard->callbacks.data);
        }
    }
}

void guard_enter(struct guard *guard)
{
    guard->depth++;
}

void guard_leave(struct guard *guard)
{
    QH_ASSERT(guard->depth > 0);
    guard->depth--;
    if (guard->depth > 0 || guard->closing) {
        return;
    }
    /* R4, last part: libraft answers an error that it cannot handle by turning itself off for
     * good, silently; nothing may be submitted to it from then on. */
    if (guard_has(guard, GUARD_R4_DISK_ERROR_STOPS) && guard->raft->state == RAFT_UNAVAILABLE) {
        guard_fail(guard,
                   "libraft has turned itself off: %s; restart this node, and if it stops again "
                   "with this message remove it from the cluster and let it rejoin under a new id",
                   guard->raft->errmsg[0] != '\0' ? guard->raft->errmsg : "no reason given");
    }
    barrier_submit(guard);
    guard_tell_wanted(guard);
    tell(guard);
}

/* GUARD_R17_LONE_VOTER_NEW_TERM.
 * What libraft does: the only voter of a configuration makes itself leader without a new term
 * (convertToCandidate() and maybeSelfElect() skip the election).
 * Why that is wrong: after a crash it leads the term again in which it may have sent entries,
 * to a node that is just being added, which its own disk did not get; it then gives their
 * indexes and term to other entries, and the two logs differ for ever without anybody
 * noticing. When a leader removed itself and the last node is cut off from it, both lead the
 * same term.
 * What the rule does: gives the lone voter a new term of its own, on the disk, before libraft
 * makes it leader.
 * Why that is safe: it is the election that libraft leaves out; a vote of the only voter for
 * itself is a majority. */
bool guard_is_lone_voter(const struct raft *raft)
{
    bool is_voter = false;
    unsigned voter_count = 0;

    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (raft->configuration.servers[i].role == RAFT_VOTER) {
            voter_count++;
            is_voter = is_voter || raft->configuration.servers[i].id == raft->id;
        }
    }
    return is_voter && voter_count == 1;
}

int guard_begin_term(struct guard *guard)
{
    struct raft *raft = guard->raft;
    raft_term term = raft->current_term + 1;
    int status = guard->io.set_term(&guard->io, term);

    if (status == 0) {
        raft->current_term = term;
        raft->voted_for = 0;
        status = guard->io.set_vote(&guard->io, raft->id);
    }
    if (status == 0) {
        raft->voted_for = raft->id;
    }
    return status;
}

static bool election_is_due(const struct raft *raft)
{
    return raft->state == RAFT_FOLLOWER && raft->io->time(raft->io) - raft->election_timer_start >=
                                               raft->follower_state.randomized_election_timeout;
}

/* R3, first part: a follower does not time out while its log is being written. See
 * message_timeout_now() in guard_recv.c. A follower's tick does nothing but look for the
 * time-out, so it can be left out. */
static bool tick_is_postponed(const struct guard *guard)
{
    return guard->restart_wanted ||
           (guard_has(guard, GUARD_R3_NO_VOTE_UNPERSISTED) && guard->writes_inflight > 0 &&
            guard->raft->state == RAFT_FOLLOWER);
}

static bool is_voter(const struct raft *raft)
{
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (raft->configuration.servers[i].id == raft->id) {
            return raft->configuration.servers[i].role == RAFT_VOTER;
        }
    }
    return false;
}

static void drop_leader(struct raft *raft)
{
    raft->follower_state.current_leader.id = 0;
    raft_free(raft->follower_state.current_leader.address);
    raft->follower_state.current_leader.address = NULL;
}

/* R18, last part; see server_to_vote() in guard_recv.c. A server forgets a silent leader when it
 * stands for election itself; libraft lets one that does not know that it is a voter go on
 * believing in it for ever, and refuse every candidate for its sake. */
static void forget_silent_leader(struct guard *guard)
{
    struct raft *raft = guard->raft;

    if (guard_has(guard, GUARD_R18_VOTE_AS_ASKED) && guard_has(guard, GUARD_R5_NO_GARBAGE_REPLY) &&
        election_is_due(raft) && raft->follower_state.current_leader.id != 0 && !is_voter(raft)) {
        drop_leader(raft);
    }
}

static void tick(struct guard *guard)
{
    struct raft *raft = guard->raft;
    int status = 0;

    if (tick_is_postponed(guard)) {
        return;
    }
    forget_silent_leader(guard);
    if (guard_has(guard, GUARD_R17_LONE_VOTER_NEW_TERM) && election_is_due(raft) &&
        guard_is_lone_voter(raft)) {
        status = guard_begin_term(guard);
    }
    if (status == 0) {
        guard->tick_cb(&guard->io);
    }
}

void guard_tick(struct raft_io *inner)
{
    struct guard *guard = inner->data;

    guard_enter(guard);
    tick(guard);
    guard_leave(guard);
}

void guard_init(struct guard *guard, struct raft_io *inner, struct raft *raft, unsigned rules,
                struct guard_callbacks callbacks)
{
    QH_ASSERT(callbacks.fatal != NULL);
    memset(guard, 0, sizeof *guard);
    guard->inner = inner;
    guard->raft = raft;
    guard->rules = rules;
    guard->callbacks = callbacks;
    inner->data = guard;
    guard_io_init(guard);
}

bool guard_snapshot_allowed(const struct guard *guard)
{
    const struct raft *raft = guard->raft;

    if (guard->restart_wanted) {
        return false;
    }
    if (guard_has(guard, GUARD_R16_TRUNCATE_SNAPSHOT) && guard->truncate_pending) {
        return false;
    }
    return !guard_has(guard, GUARD_R10_CONFIG_ROLLBACK_RESTARTS) ||
           (raft->configuration_uncommitted_index == 0 &&
            !guard_log_has_change(raft, raft->last_applied + 1));
}

bool guard_leader_ready(const struct guard *guard)
{
    return guard->raft->state == RAFT_LEADER && (!guard_has(guard, GUARD_R2_OWN_TERM_FIRST) ||
                                                 guard->ready_term == guard->raft->current_term);
}

uint64_t guard_bytes_inflight(const struct guard *guard)
{
    return guard->bytes_inflight;
}

/* Only while R5 is on: libraft addresses a later answer to the leader that it knows, and does
 * not look whether it knows one. */
bool guard_forget_leader(struct guard *guard, raft_id server)
{
    struct raft *raft = guard->raft;

    if (guard->depth > 0 || guard->closing || server == 0 ||
        !guard_has(guard, GUARD_R5_NO_GARBAGE_REPLY) || raft->state != RAFT_FOLLOWER ||
        raft->follower_state.current_leader.id != server) {
        return false;
    }
    guard_enter(guard);
    drop_leader(raft);
    guard_leave(guard);
    return true;
}

/* The election starts as by time-out: with a pre-vote, which leaves term and vote alone until
 * a majority has agreed. */
bool guard_campaign(struct guard *guard)
{
    struct raft *raft = guard->raft;

    if (guard->depth > 0 || guard->closing || guard->tick_cb == NULL ||
        raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id != 0 ||
        guard->writes_inflight > 0 || guard->restart_wanted || !is_voter(raft)) {
        return false;
    }
    guard_enter(guard);
    raft->election_timer_start =
        raft->io->time(raft->io) - raft->follower_state.randomized_election_timeout;
    tick(guard);
    guard_leave(guard);
    return raft->state != RAFT_FOLLOWER;
}
