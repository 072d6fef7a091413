/* A libraft server on a scripted raft_io, for the guard's tests: the real library and guard;
 * disk and network are lists that the test works off by hand. */
#ifndef QH_TESTS_UNIT_SCRIPTED_H
#define QH_TESTS_UNIT_SCRIPTED_H

#include <raft.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "raft-glue/guard.h"

#define SCRIPTED_LIST_MAX 64u
#define SCRIPTED_DATA_SIZE_MAX 512u
#define SCRIPTED_VALUE_SIZE 8u /* of a command */

/* An entry by value: on the disk, in a message, or applied. */
struct scripted_entry {
    raft_term term;
    unsigned short type;
    size_t size;
    char data[SCRIPTED_DATA_SIZE_MAX];
};

struct scripted_message {
    struct raft_message message; /* its entries point nowhere */
    struct scripted_entry entries[8];
    struct raft_io_send *request;
    raft_io_send_cb cb;
};

enum scripted_kind { SCRIPTED_APPEND, SCRIPTED_TRUNCATE, SCRIPTED_PUT, SCRIPTED_WORK };

struct scripted_operation {
    enum scripted_kind kind;
    const struct raft_entry *entries;
    unsigned count;
    raft_index index; /* to truncate at; of the snapshot */
    raft_term term;   /* of the snapshot */
    unsigned trailing;
    bool lost; /* raft_uv's defect: it is never done */
    struct raft_io_append *append;
    raft_io_append_cb append_cb;
    struct raft_io_snapshot_put *put;
    raft_io_snapshot_put_cb put_cb;
    struct raft_io_async_work *work;
    raft_io_async_work_cb work_cb;
};

struct scripted {
    struct guard guard;
    struct raft raft;
    struct raft_io io; /* the inner one */
    struct raft_fsm fsm;
    raft_id id;
    raft_time now;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    /* Disk: entries[0] has index first_index. */
    raft_term term;
    raft_id vote;
    raft_index first_index;
    unsigned entry_count;
    struct scripted_entry entries[SCRIPTED_LIST_MAX];
    raft_index snapshot_index; /* 0: none */
    raft_term snapshot_term;
    unsigned snapshot_voters; /* its configuration: servers 1 to snapshot_voters */
    struct scripted_operation disk[SCRIPTED_LIST_MAX]; /* not done yet */
    unsigned disk_count;
    struct scripted_message sent[SCRIPTED_LIST_MAX];
    unsigned sent_count;
    struct scripted_entry applied[SCRIPTED_LIST_MAX];
    unsigned applied_count;
    /* Faults: the next call of that kind fails with this status. */
    int fail_append, fail_term, fail_vote, fail_truncate, fail_put, fail_send, fail_apply,
        fail_restore;
    /* What was seen. */
    unsigned votes_twice; /* two votes in a term */
    unsigned bad_sends;   /* to nobody */
    unsigned snapshots_begun, snapshots_finalized;
    unsigned changed_count, written_count, inside_count; /* inside: called from within libraft */
    void (*on_changed)(struct scripted *node);
    bool may_die;
    jmp_buf died;
    char why[1024];
};

/* Make @node the guarded server @id; the disk is empty until the test fills it. */
void scripted_init(struct scripted *node, raft_id id, unsigned rules);
/* The configuration entry with servers 1 to @voters as voters. */
void scripted_store_change(struct scripted *node, raft_term term, unsigned voters);
void scripted_store(struct scripted *node, raft_term term, const char *value);
/* Snapshots as libraft knows them from version 3 on, encoded by async_work. */
void scripted_async_snapshots(struct scripted *node);
void scripted_start(struct scripted *node);
/* Run @step; true if it ended in the fatal callback (node->why says why). */
bool scripted_dies(struct scripted *node, void (*step)(struct scripted *node));

/* Let election and other time-outs pass, then tick. */
void scripted_time_out(struct scripted *node);
void scripted_tick(struct scripted *node);
/* Finish the first disk operation, or all of them. */
void scripted_disk_step(struct scripted *node, int status);
void scripted_disk_all(struct scripted *node);

/* Receive a message from @from. AppendEntries takes its entries, @count of them, from @entries. */
void scripted_append_entries(struct scripted *node, raft_id from, struct raft_append_entries args,
                             const struct scripted_entry *entries, unsigned count);
void scripted_append_result(struct scripted *node, raft_id from, raft_term term,
                            raft_index rejected, raft_index last);
void scripted_vote(struct scripted *node, raft_id from, struct raft_request_vote args);
void scripted_vote_result(struct scripted *node, raft_id from, raft_term term, bool granted,
                          raft_tribool pre_vote);
void scripted_timeout_now(struct scripted *node, raft_id from, struct raft_timeout_now args);
void scripted_install(struct scripted *node, raft_id from, raft_term term, raft_index index,
                      raft_term last_term, unsigned voters);
/* The @nth message that @from sent reaches @to. */
void scripted_deliver(struct scripted *to, const struct scripted *from, unsigned nth);

struct scripted_entry scripted_entry(raft_term term, const char *value);
struct scripted_entry scripted_change(raft_term term, const raft_id *voters, unsigned count);

/* Make @node the leader with the vote of server 2, without writing what that submits. */
void scripted_elect(struct scripted *node);
/* The last message of @type that @node sent to @to, or NULL. */
const struct scripted_message *scripted_last(const struct scripted *node, unsigned short type,
                                             raft_id to);
/* raft_apply() of @value. */
void scripted_apply(struct scripted *node, const char *value);
/* Does the disk hold exactly @value at @index? */
bool scripted_disk_has(const struct scripted *node, raft_index index, const char *value);

/* Calls of free() with something that is not an allocated block, since the start. */
unsigned scripted_bad_frees(void);

#endif
