/* qh-node: one node of the replicated log as a process, for the torture tests, the
 * benchmarks and the demonstration. Driven over a Unix socket by lines of text. */
#ifndef QH_TESTS_TORTURE_NODE_H
#define QH_TESTS_TORTURE_NODE_H

#include <stdint.h>
#include <uv.h>

#include "raft-glue/replica.h"

struct node {
    uv_loop_t loop;
    struct replica *replica;
    struct replica_config config;
    const char *control_path;
    uv_pipe_t control;
};

/* Listen on node->control_path. Requests, one a line; answers may come in any order:
 *
 *   put ID KEY SIZE TIMEOUT_MS   ID: 32 hex digits, the request; KEY: hex; SIZE: value bytes
 *       ID applied REVISION | ID duplicate | ID refused COMPARE | ID failed ERROR
 *   get KEY                      get KEY REVISION SIZE | get KEY absent
 *   status                       status name=value ...
 *   load SECONDS OUTSTANDING SIZE
 *       load commits=N seconds=S rate=R p50_us=.. p99_us=.. max_us=.. failed=..
 *   fill COUNT OUTSTANDING SIZE  writes COUNT records, then answers as load does
 *   add ID NAME | remove ID | transfer ID      (ID: decimal server id)
 *       add ID RESULT and so on
 *   address NAME HOST PORT       address NAME RESULT
 *   stop                         the process hands over leadership and exits */
int node_control_listen(struct node *node);

/* Run a load of @outstanding proposals for @seconds, or until @fill_count records with keys of
 * their own are written if that is not 0; then call @done with the line. */
struct node_load_options {
    unsigned seconds;
    unsigned outstanding;
    unsigned size;
    uint64_t fill_count;
};
void node_load_start(struct node *node, struct node_load_options options,
                     void (*done)(void *data, const char *line), void *data);

/* The bytes that a value of request @id has: they can be checked later. */
void node_fill_value(const uint8_t id[ONCE_ID_SIZE], uint8_t *value, size_t size);

/* A transaction that happens once: put @key = value of @size bytes. free() the bytes.
 * Errors: those of txn_build_end(). */
QH_RESULT node_build_put(struct node *node, const uint8_t id[ONCE_ID_SIZE], struct bytes key,
                         size_t size, struct bytes *ret_encoded);

void node_stop(struct node *node);

#endif
