/* What the guard's files share; nobody else includes it.
 *
 *   guard.c      life cycle, callbacks, barrier, ticks, fast fail-over
 *   guard_recv.c rules on what libraft receives
 *   guard_io.c   rules on what libraft sends and writes
 *   guard_log.c  reads libraft's log
 *   guard_commit.c tells followers what is committed
 *
 * Every call of libraft goes through guard_enter() and guard_leave(). */
#ifndef QH_GLUE_GUARD_INTERNAL_H
#define QH_GLUE_GUARD_INTERNAL_H

#include "raft-glue/guard.h"

static inline bool guard_has(const struct guard *guard, enum guard_rule rule)
{
    return (guard->rules & (unsigned)rule) != 0;
}

/* libraft is about to run because of an event, and has returned from it. Leaving the outermost
 * call submits the barrier and makes the callbacks that are due. */
void guard_enter(struct guard *guard);
void guard_leave(struct guard *guard);

/* End the process through the fatal callback. */
_Noreturn void guard_fail(const struct guard *guard, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for a disk operation that failed with libraft's code @status (R4). */
_Noreturn void guard_fail_disk(const struct guard *guard, const char *operation, int status);

/* R17. Is this node the only voter of the current configuration? */
bool guard_is_lone_voter(const struct raft *raft);
/* R17. Make the next term this node's; libraft must be a follower in it. */
int guard_begin_term(struct guard *guard);

/* Tell those who wait and have the entries by now. */
void guard_tell_wanted(struct guard *guard);

/* Remember what an AppendEntries that was sent said of the commit index. */
void guard_note_told(struct guard *guard, const struct raft_message *message);

/* The inner raft_io's callbacks. */
void guard_tick(struct raft_io *inner);
void guard_recv(struct raft_io *inner, struct raft_message *message);

/* R3. The disk may have become idle: hand libraft the request to take over that waits. */
void guard_recv_takeover(struct guard *guard);

/* Fill in guard->io. */
void guard_io_init(struct guard *guard);

/* Index of the last entry, compacted or not; 0 if there is none. */
raft_index guard_log_last(const struct raft *raft);
/* The term of the entry at @index, 0 if it is not known (compacted or beyond the end). */
raft_term guard_log_term(const struct raft *raft, raft_index index);
/* Is there a configuration change at @from or later? */
bool guard_log_has_change(const struct raft *raft, raft_index from);
/* Where libraft would truncate its log on receipt of @args; 0 if it would not. */
raft_index guard_log_conflict(const struct raft *raft, const struct raft_append_entries *args);

#endif
