/* The simulated network: Raft messages, proposals between nodes and the notices of
 * closed connections, with delay, order or disorder, loss, duplication and partitions
 * that may be one-way. Messages are deep copies. */
#ifndef QH_SIM_NET_H
#define QH_SIM_NET_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/limits.h"

struct node;

void net_setup(void);

/* Fill in send() of @node->process->io. */
void net_attach(struct node *node);

/* Between propose of two nodes. False: there is no connection. */
bool net_send_forward(struct node *from, raft_id to, struct bytes transaction);
void net_send_reject(struct node *from, raft_id to, const uint8_t id[ONCE_ID_SIZE]);

/* Can a message go from one to the other? Ids. */
bool net_is_connected(raft_id from, raft_id to);

/* Partitions. Ids; each way on its own. */
void net_block(raft_id from, raft_id to, bool blocked);
void net_heal(void);

/* The process of @node died or was started: its peers notice. */
void net_process_died(struct node *node);
void net_process_started(struct node *node);
/* All connections of @node break, though its process lives. */
void net_break_connections(struct node *node);

#endif
