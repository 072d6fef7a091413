/* The guard: a struct raft_io between libraft 0.15.0 and its disk and network,
 * which makes that version safe from outside (doc/raft-guard.md lists what each
 * rule mends). raft_init() is given guard->io; everything that libraft wants
 * written or sent, and everything that it is to receive, passes here.
 *
 * Thread: the loop's. */
#ifndef QH_GLUE_GUARD_H
#define QH_GLUE_GUARD_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

/* Each rule has one bit, so that the simulator can show what happens without
 * it. Production always runs GUARD_RULES_ALL. The numbers R1.. are those of the
 * research report. */
enum guard_rule {
    GUARD_R1_ACK_ONLY_VERIFIED = 1 << 0,
    GUARD_R2_OWN_TERM_FIRST = 1 << 1,
    GUARD_R3_NO_VOTE_UNPERSISTED = 1 << 2,
    GUARD_R4_DISK_ERROR_STOPS = 1 << 3,
    GUARD_R5_NO_GARBAGE_REPLY = 1 << 4,
    GUARD_R6_ONE_VOTE_A_TERM = 1 << 5,
    GUARD_R10_CONFIG_ROLLBACK_RESTARTS = 1 << 6,
    GUARD_R13_COMPACTED_PREFIX = 1 << 7,
    GUARD_R14_PREVOTE_TRUE_TERM = 1 << 8,
    GUARD_R15_QUORUM_AT_ACK = 1 << 9,
    GUARD_R16_TRUNCATE_SNAPSHOT = 1 << 10,
    GUARD_R17_LONE_VOTER_NEW_TERM = 1 << 11, /* not in the report; found later */
    GUARD_R18_VOTE_AS_ASKED = 1 << 12,       /* the same */
    GUARD_R19_CHANGE_STORED_FIRST = 1 << 13, /* the same */
};
#define GUARD_RULES_ALL 0x3fffu

struct guard;

struct guard_callbacks {
    void *data;
    /* The process must end now: a disk error, or a state that libraft cannot
     * leave safely. @why says what happened and what an operator does. Must not
     * return: _exit() in production, longjmp() out of the library in the simulator. */
    void (*fatal)(void *data, const char *why);
    /* Something that raft_state(), the term, the known leader or readiness tell
     * has changed. Called after libraft has returned, never from inside it.
     * May be NULL. */
    void (*changed)(void *data);
    /* A log write of this node has reached the disk. Same calling rule. May be NULL. */
    void (*written)(void *data);
};

/* What changed() compares; also for status displays. */
struct guard_role {
    int state; /* RAFT_LEADER, ... */
    raft_term term;
    raft_id leader; /* 0: unknown */
    bool ready;     /* leader whose barrier of this term is applied: it may serve */
};

struct guard_counters {
    uint64_t acks_capped;        /* R1 */
    uint64_t counts_postponed;   /* R2: commits by counting older entries */
    uint64_t votes_held;         /* R3 */
    uint64_t replies_dropped;    /* R5 */
    uint64_t votes_refused;      /* R6 */
    uint64_t prefixes_accepted;  /* R13 */
    uint64_t prevotes_corrected; /* R14 */
    uint64_t votes_lent;         /* R18 */
    uint64_t changes_held;       /* R19 */
    uint64_t quorums_checked;    /* R15 */
    uint64_t conflicts_dropped;  /* R16 */
    uint64_t commits_told;       /* guard_commit.c */
};

/* What each follower was last told of the commit index, in told_term. */
#define GUARD_TOLD_MAX 64u
struct guard_told {
    raft_id server; /* 0: free */
    raft_index commit_index;
    raft_index wanted_index; /* to be told as soon as it has the entries; 0: nothing */
};

struct guard {
    struct raft_io io; /* give this one to raft_init() */
    struct raft_io *inner;
    struct raft *raft;
    unsigned rules; /* bits of enum guard_rule */
    struct guard_callbacks callbacks;
    struct guard_counters counters;
    /* The rest is private to the guard. What libraft is doing: */
    struct guard_role role; /* as last told to changed() */
    unsigned depth;         /* calls into libraft, or out of it, that have not returned */
    bool receiving;         /* libraft is processing a message */
    bool written_pending;   /* written() is to be called */
    bool restart_wanted;    /* R10: stop as soon as the truncation is on the disk */
    raft_term told_term;
    struct guard_told told[GUARD_TOLD_MAX];
    bool closing;
    raft_io_tick_cb tick_cb; /* libraft's own callbacks */
    raft_io_recv_cb recv_cb;
    raft_io_close_cb close_cb;
    /* What is on the disk and on its way there: */
    raft_term term;           /* persisted */
    raft_id vote;             /* persisted; in that term; 0: none */
    unsigned writes_inflight; /* log writes and snapshot installs */
    uint64_t bytes_inflight;  /* of log entries */
    unsigned snapshots_inflight;
    bool truncate_pending;      /* no write issued after the last truncation has finished yet */
    uint64_t append_sequence;   /* of the last write issued */
    uint64_t truncate_sequence; /* append_sequence at the last truncation */
    /* R3: a request to take over (TimeoutNow) that waits for the disk; type 0: none. */
    struct raft_message takeover;
    raft_time takeover_time;
    /* R1: what the leader of `term` and this node are known to have in common. */
    raft_index match;
    raft_index pending_match; /* what `match` becomes if the message being processed is accepted */
    raft_term pending_term;
    /* R2: terms in which this node, as leader, submitted a barrier and saw it applied. */
    raft_term barrier_term;
    raft_term ready_term;
};

/* Errors: none. @inner must be initialised and its data pointer is the guard's from now
 * on; @raft is the one that will be given &guard->io. */
void guard_init(struct guard *guard, struct raft_io *inner, struct raft *raft, unsigned rules,
                struct guard_callbacks callbacks);

/* FSM.snapshot must return RAFT_BUSY while this is false (R10, R16). */
bool guard_snapshot_allowed(const struct guard *guard);

/* Is this node the leader, and is its barrier of the current term applied? Only
 * then may proposals be appended or reads be served as leader. Without R2 there
 * are no barriers and a leader is ready at once, as with the stock library. */
bool guard_leader_ready(const struct guard *guard);

/* Bytes of log entries handed to the disk and not written yet: the transport
 * stops reading above a bound. */
uint64_t guard_bytes_inflight(const struct guard *guard);

/* As leader: let @server (0: every follower) know the present commit index as soon as it has the
 * entries, if it was not told yet, instead of with the next heartbeat (guard_commit.c). */
void guard_tell_commit(struct guard *guard, raft_id server);

/* Fast fail-over. The connections of @server closed because its process ended.
 * If this node follows @server, it forgets it, so that it will grant votes at
 * once. Returns whether it did. Safe at any time: Raft's safety does not rest on
 * timing, and pre-vote and the vote rules stay. */
bool guard_forget_leader(struct guard *guard, raft_id server);

/* Start an election now instead of at the time-out. Does nothing unless this
 * node is a voting follower without a leader and nothing is being written (R3);
 * returns whether it did, so that the caller tries again soon. */
bool guard_campaign(struct guard *guard);

/* The log entry at @index, or NULL if it is compacted away or beyond the end. */
const struct raft_entry *guard_log_entry(const struct raft *raft, raft_index index);

#endif
