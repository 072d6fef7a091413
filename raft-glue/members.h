/* Which membership changes may start: libraft 0.15 accepts some that it cannot
 * finish or that leave the cluster without a leader for ever. Pure. */
#ifndef QH_GLUE_MEMBERS_H
#define QH_GLUE_MEMBERS_H

#include <raft.h>
#include <stdbool.h>

#include "base/err.h"

/* May this leader start a change that concerns server @target now?
 *
 * The current configuration must be committed, and every other voter must
 * hold its entry: a voter that does not know that it is one refuses to vote. When
 * @target is being removed or demoted, voters that have not been heard of
 * are passed over, so that dead ones can be removed one after the other.
 * Errors: QH_ENOTLEADER, QH_EBUSY (a change, a promotion or a transfer is under way, or a voter
 *         is still behind: try again), QH_EREFUSED (of two voters the leader would remove itself:
 *         transfer leadership first). */
QH_RESULT members_may_change(const struct raft *raft, raft_id target, bool removing);

/* How far @server is: its match index as the leader knows it; false if this is
 * not the leader or @server is not in the configuration. */
bool members_match_index(const struct raft *raft, raft_id server, raft_index *ret_match);

/* The voter that should lead: the first data node, in configuration order, that is not
 * @self and whose log matches the leader's to the end. 0 if none. @is_witness tells
 * which servers are witnesses. */
typedef bool (*members_is_witness)(void *data, const struct raft_server *server);
raft_id members_heir(const struct raft *raft, members_is_witness is_witness, void *data);

#endif
