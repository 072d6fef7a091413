/* Waiting for what the nodes say of themselves. */
#include "base/clock.h"
#include "tests/torture/cluster.h"

#define NS_PER_MS 1000000u
#define ASK_EVERY_NS 10000000u
#define TURN_MS 5u

static bool all_fresh(const struct cluster *cluster, uint64_t since_ns)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];

        if (node->run == CLUSTER_RUNNING && node->status_ns <= since_ns) {
            return false;
        }
    }
    return true;
}

/* What was asked for before this round is not awaited: only what is asked now is young enough. */
bool cluster_wait(struct cluster *cluster, cluster_condition condition, const void *data,
                  unsigned timeout_ms)
{
    uint64_t begin_ns = clock_monotonic_ns();
    uint64_t end_ns = begin_ns + (uint64_t)timeout_ms * NS_PER_MS;
    uint64_t round_ns = begin_ns;
    uint64_t now_ns = begin_ns;

    for (unsigned i = 0; i < cluster->count; i++) {
        cluster->nodes[i].asked_ns = 0;
    }
    while (now_ns < end_ns) {
        cluster_ask_status(cluster);
        cluster_poll(cluster, TURN_MS);
        now_ns = clock_monotonic_ns();
        if (all_fresh(cluster, round_ns) && now_ns - round_ns >= ASK_EVERY_NS) {
            if (condition(cluster, data)) {
                return true;
            }
            round_ns = now_ns;
        }
    }
    return false;
}

struct cluster_node *cluster_leader(struct cluster *cluster)
{
    struct cluster_node *leader = NULL;

    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        if (node->run == CLUSTER_RUNNING && node->status_ns != 0 && node->status.ready) {
            if (leader == NULL || node->status.term > leader->status.term) {
                leader = node;
            }
        }
    }
    return leader;
}

bool cluster_has_leader(struct cluster *cluster, const void *unused)
{
    const struct cluster_node *leader = cluster_leader(cluster);

    (void)unused;
    if (leader == NULL) {
        return false;
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];

        /* A node that waits to be added knows of nobody. */
        if (node->run == CLUSTER_RUNNING && node->status.members > 0 &&
            node->status.leader != leader->status.id) {
            return false;
        }
    }
    return true;
}

bool cluster_is_equal(struct cluster *cluster, const void *unused)
{
    const struct cluster_node *leader = cluster_leader(cluster);

    if (!cluster_has_leader(cluster, unused)) {
        return false;
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct cluster_status *status = &cluster->nodes[i].status;

        if (cluster->nodes[i].run == CLUSTER_RUNNING &&
            (status->last != leader->status.last || status->applied != status->last ||
             status->commit != status->last || status->revision != leader->status.revision)) {
            return false;
        }
    }
    return true;
}

bool cluster_has_members(struct cluster *cluster, const void *data)
{
    unsigned members = *(const unsigned *)data;

    if (!cluster_has_leader(cluster, NULL)) {
        return false;
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];

        if (node->run == CLUSTER_RUNNING &&
            (node->status.members != members || node->status.voters != members)) {
            return false;
        }
    }
    return true;
}

bool cluster_wait_end(struct cluster_node *node, unsigned timeout_ms)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;

    while (node->run != CLUSTER_DOWN && clock_monotonic_ns() < end_ns) {
        cluster_poll(node->cluster, TURN_MS);
    }
    return node->run == CLUSTER_DOWN && node->ended_itself;
}

bool cluster_wait_log(const struct cluster_node *node, long from, const char *text,
                      unsigned timeout_ms)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;

    while (!cluster_log_has(node, from, text)) {
        if (clock_monotonic_ns() >= end_ns) {
            return false;
        }
        cluster_poll(node->cluster, TURN_MS);
    }
    return true;
}
