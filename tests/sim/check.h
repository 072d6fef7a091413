/* The invariants. Each is looked at when the thing happens that could break it; a breach
 * ends the run. */
#ifndef QH_SIM_CHECK_H
#define QH_SIM_CHECK_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/store.h"

struct disk_snapshot;
struct node;

void check_setup(void);
/* Does the present leader replicate to @id? */
bool check_is_member(raft_id id);
/* After healing: a leader, everybody equal, the whole history everywhere. */
void check_end(void);

/* The store of @node answered. Inside of apply: raft's last_applied is one behind. */
void check_applied(struct node *node, struct bytes transaction, const struct store_answer *answer);
/* Its store was replaced by the disk's snapshot. */
void check_restored(struct node *node);
/* It has a snapshot written. */
void check_snapshot(const struct node *node, const struct disk_snapshot *snapshot);

/* What it is about to make durable, or to send. */
void check_term(const struct node *node, raft_term term);
void check_vote(const struct node *node, raft_id vote);
void check_send(const struct node *node, const struct raft_message *message);

/* After each event of its process, and when the process has died. */
void check_node(struct node *node);
void check_died(const struct node *node);

#endif
