/* The scenarios: what kind of cluster meets what kind of trouble. */
#ifndef QH_SIM_SCENARIO_H
#define QH_SIM_SCENARIO_H

#include <stdbool.h>

struct scenario {
    const char *name;
    const char *about;

    /* The cluster. */
    unsigned nodes;
    unsigned members; /* of the first configuration, the lowest ids; 0: all */
    unsigned witness; /* id of the witness, 0: none; it has half the election time-out */
    unsigned election_ms, heartbeat_ms;
    unsigned entries_min; /* snapshots after so many entries; 0: as in production */
    bool sync_snapshots;  /* encoded in place; else by async_work, as with the real back-end */

    /* Time: @seconds with faults, then @heal_seconds without. */
    unsigned seconds, heal_seconds;

    /* The network. Delays in ms, one way. */
    unsigned net_min_ms, net_max_ms;
    bool reorder; /* else first in, first out, and a dead process loses what was on its way */
    double drop, duplicate; /* a message */
    double notice;          /* that a peer learns at once that a process died */

    /* The disks: ms a write, sometimes up to @slow_ms more. */
    unsigned disk_min_ms, disk_max_ms, slow_ms;
    unsigned snapshot_ms; /* at most so much longer for a snapshot */
    double slow;          /* a write */
    double disk_fail;     /* a write, a term or a vote */

    /* Faults, a second. */
    double crash, midcall, partition, transfer, change, full, spurious_close;
    double coup;         /* that a new leader dies or is cut off soon */
    unsigned dead;       /* nodes that never come back, chosen when the rest heals */
    unsigned voters_min; /* that a membership change leaves; 0: 2 */

    /* The work. */
    unsigned rate_ms;         /* between requests of the whole cluster, on average */
    unsigned pending_max;     /* requests in flight */
    unsigned latency_max_ms;  /* bound on p99, 0: none */
    unsigned failover_max_ms; /* bound on the median from a leader's death to the next, 0: none */
};

extern const struct scenario scenario_table[];
extern const unsigned scenario_count;

/* NULL if there is none of that name. */
const struct scenario *scenario_find(const char *name);

#endif
