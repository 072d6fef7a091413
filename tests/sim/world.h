/* The simulated world: virtual time, seeded chance, the events to come, and how a
 * run ends. One process is one world; it runs one seed of one scenario and exits.
 *
 * A process of a node that dies in the middle of a library call leaves by longjmp()
 * to world_go_on(): nothing is unwound, exactly as with kill -9. */
#ifndef QH_SIM_WORLD_H
#define QH_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/scenario.h"

#define WORLD_NODES_MAX 9u

struct node;

/* How a seed's process ends; signals are crashes, SIGALRM and SIGXCPU hangs. */
#define WORLD_EXIT_OK 0
#define WORLD_EXIT_VIOLATION 42
#define WORLD_EXIT_STUCK 43

/* What a seed tells its parent, in memory that both share. */
struct world_result {
    char why[320];
    uint64_t virtual_ms;
    uint64_t submitted, acked, duplicates, refused, fenced, unknown, never_sent;
    uint64_t applied; /* transactions of the replicated history */
    uint64_t crashes, fatals, elections, snapshots, installs, changes, transfers, messages;
    uint64_t campaigns, handovers, partitions;
    uint64_t latency_p50_ms, latency_p99_ms;
    uint64_t failovers, failover_p50_ms;
};

struct world {
    const struct scenario *scenario;
    uint64_t seed;
    unsigned rules; /* of the guard */
    bool trace;
    uint64_t now_ms;
    uint64_t heal_ms; /* when the faults stop */
    bool healed;
    struct node *current; /* whose process runs now */
    struct world_result *result;
};
extern struct world world;

/* Seeded chance: splitmix64. */
uint64_t world_random(void);
uint64_t world_between(uint64_t low, uint64_t high); /* both included */
bool world_chance(double probability);

/* Call @run after @delay_ms. With a node: as that node's process, and not at all if that
 * process is gone by then. Without: as nobody. */
typedef void (*world_run)(struct node *node, void *data);
void world_after(uint64_t delay_ms, struct node *node, world_run run, void *data);

/* Run the scenario to its end, check it, and exit. */
_Noreturn void world_start(const struct scenario *scenario, uint64_t seed, unsigned rules,
                           bool trace, struct world_result *result);

/* End the process of the running node, in the middle of what it does. */
_Noreturn void world_kill_current(const char *why, bool fatal);

/* End the run. */
_Noreturn void world_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void world_stuck(const char *format, ...) __attribute__((format(printf, 1, 2)));
void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* malloc and friends that never fail: a simulator out of memory is no result. */
void *world_alloc(size_t size);
void *world_grow(void *base, size_t size);
void *world_copy(const void *base, size_t size);

/* FNV-1a over words, good enough to tell histories apart. */
uint64_t world_hash(const void *base, size_t size);

#endif
