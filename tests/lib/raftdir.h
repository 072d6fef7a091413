/* Raft directories as real libraft writes them: a single voter over raft_uv, in a child process
 * that ends like a killed one. */
#ifndef QH_TESTS_LIB_RAFTDIR_H
#define QH_TESTS_LIB_RAFTDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define RAFTDIR_HASH_SIZE 32u

struct raftdir_plan {
    bool bootstrap;
    unsigned entries;      /* to append and have applied, one after the other */
    unsigned first;        /* number of the first one, which its record's key has */
    size_t value_size;     /* bytes of pseudo-random data in each */
    unsigned threshold;    /* entries between snapshots, 0: none */
    unsigned trailing;     /* entries kept behind a snapshot */
    unsigned segment_size; /* 0: LINK_SEGMENT_SIZE_MIN */
};

struct raftdir_result {
    int wait_status;     /* of the child; 0: all went well */
    uint64_t last_index; /* when libraft had started */
    uint64_t log_first;
    uint8_t log_hash[RAFTDIR_HASH_SIZE]; /* of the log as libraft loaded it */
    uint8_t digest[STORE_DIGEST_SIZE];   /* of the store at the end */
};

/* Start libraft on DIR/raft, which is made if need be, and carry out @plan. */
void raftdir_run(const char *dir, const struct raftdir_plan *plan,
                 struct raftdir_result *ret_result);

/* The same hash over what datadir_each_entry() visits from @first on; false if it refuses. */
bool raftdir_hash(const char *dir, uint64_t first, uint8_t ret_hash[RAFTDIR_HASH_SIZE],
                  uint64_t *ret_last);

/* The key of record @number, of KEY_SIZE bytes. */
#define RAFTDIR_KEY_SIZE 16u
void raftdir_key(unsigned number, uint8_t ret_key[RAFTDIR_KEY_SIZE]);

#endif
