/* The cluster as `quadhsm cluster status` shows it: made from what the nodes say and what was
 * measured, judged in one line, and printed. No network. Thread: one. */
#ifndef QH_CLI_STATUS_VIEW_H
#define QH_CLI_STATUS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "cli/output.h"
#include "client/quadhsm.h"
#include "proto/quadhsm.pb-c.h"

struct status_node {
    char name[NODE_NAME_LENGTH_MAX + 1];
    char region[REGION_NAME_LENGTH_MAX + 1];
    char address[300]; /* of the client port; of the peer port for a witness */
    bool witness, voter, leader;
    bool connected;    /* to the node that answered */
    bool behind_known; /* entries_behind is right: the leader answered */
    uint64_t entries_behind;
    enum quadhsm_readiness readiness; /* as seen from here; UNREACHABLE for a witness */
    double round_trip_ms;             /* negative: not measured */
    double jitter_ms;
    uint64_t revision;
};

struct status_partition {
    char name[PARTITION_NAME_LENGTH_MAX + 1];
    uint64_t keys;
};

struct status_view {
    char cluster[64];
    uint64_t generation, term, revision, last_index, record_count, data_size;
    unsigned client_count, partitions_max;
    bool has_leader;
    unsigned node_count;
    struct status_node nodes[NODES_MAX]; /* by region, then by name */
    unsigned partition_count;
    struct status_partition partitions[PARTITIONS_MAX]; /* by name */
};

/* @state: of the leader if it can be asked. @endpoints: as measured. What does not fit the limits
 * is left out. */
void status_view_fill(const Quadhsm__ClusterState *state, const struct quadhsm_endpoint *endpoints,
                      size_t count, struct status_view *ret_view);

enum status_health { STATUS_HEALTHY, STATUS_DEGRADED, STATUS_NO_LEADER, STATUS_NO_QUORUM };
#define STATUS_VERDICT_ROOM 400u
/* "healthy: 5 of 5 voters, can lose 2 more". */
enum status_health status_view_verdict(const struct status_view *view,
                                       char ret_text[STATUS_VERDICT_ROOM]);

void status_view_print(const struct status_view *view, const struct output *output);
/* `cluster nodes`: a plain table. */
void status_view_print_nodes(const struct status_view *view, const struct output *output);
json_t *status_view_json(const struct status_view *view);
/* "1.2 MiB". */
void status_view_size(uint64_t size, char *ret_text, size_t room);

#endif
