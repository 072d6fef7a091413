/* The work: requests of clients, submitted at any node, submitted again elsewhere under the
 * same id when their fate is unknown, and a ledger of what was promised to them. */
#ifndef QH_SIM_CLIENT_H
#define QH_SIM_CLIENT_H

#include "base/bytes.h"
#include "store/store.h"

struct node;

void client_setup(void);
/* All promises kept. */
void client_end(void);

/* A transaction has been applied for the first time in the cluster. */
void client_applied(struct bytes transaction, const struct store_answer *answer);

/* What was submitted there gets no answer any more. */
void client_node_died(const struct node *node);

#endif
