/* A simulated disk and the half of raft_io that writes to it.
 *
 * It behaves as raft_uv does in what matters: writes that wait while another is under
 * way go to the disk together; a snapshot is written while the log goes on; a truncation
 * and an installed snapshot are barriers, and the back-end has one place for a barrier,
 * so that one which comes while it is taken is lost (report, section 4, row 5). What the
 * process was told to be written survives its death; of what it was not told, a random
 * prefix does. */
#ifndef QH_SIM_DISK_H
#define QH_SIM_DISK_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/world.h"

struct node;

/* A configuration outside of any process. Names follow from ids. */
struct disk_configuration {
    unsigned count;
    raft_id ids[WORLD_NODES_MAX];
    int roles[WORLD_NODES_MAX];
};

struct disk_entry {
    raft_term term;
    unsigned short type;
    size_t size;
    void *base;
};

struct disk_snapshot {
    raft_index index;
    raft_term term;
    raft_index configuration_index;
    struct disk_configuration configuration;
    size_t size;
    void *base;
};

struct disk_operation;

struct disk {
    /* Durable. */
    raft_term term;
    raft_id vote;
    raft_index first; /* index of log[0] */
    struct disk_entry *log;
    size_t count, room;
    struct disk_snapshot *snapshot; /* or NULL */
    bool member;                    /* it has held a log */
    bool shifted; /* a lost truncation has left entries at wrong indexes, as raft_uv would */
    /* Of the hardware. */
    bool full;
    /* Of the running process; gone with it. */
    raft_index next;                /* index of the next entry to append */
    struct disk_operation *queue;   /* in order of submission, until done */
    struct disk_operation *barrier; /* in raft_uv's one place for it */
    struct disk_operation *failing; /* a write that failed: some of it may be on the disk */
    bool writing;
};

/* Fill in the disk's functions of @node->process->io. */
void disk_attach(struct node *node);

/* The process has died: keep what happens to have reached the disk. */
void disk_crash(struct node *node);

void disk_configuration_from(const struct raft_configuration *configuration,
                             struct disk_configuration *ret_configuration);
/* In the memory of the running process. */
void disk_configuration_to(const struct disk_configuration *configuration,
                           struct raft_configuration *ret_configuration);

raft_index disk_last_index(const struct disk *disk);

#endif
