/* The client library's functions on a cluster inside the test program: real objects and real
 * cryptography, no network. It counts what would have been asked of a node, and fails on demand. */
#ifndef QH_TESTS_UNIT_POCKET_CLUSTER_H
#define QH_TESTS_UNIT_POCKET_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/quadhsm.h"

#define POCKET_CO_PIN "co-pin"
#define POCKET_PO_PIN "po-password"
#define POCKET_CU_PIN "cu-pin"

/* Calls so far that would have been sent. */
unsigned pocket_calls(void);
/* The next @count calls fail with @error before anything is done; 0 ends that. */
void pocket_fail(int error, unsigned count);

/* One named "alpha" is there from the beginning. */
void pocket_add_partition(const char *name, const uint8_t id[QUADHSM_PARTITION_ID_SIZE]);
/* The first one goes. */
void pocket_remove_partition(void);
/* For flags of the token. */
void pocket_set_tries(unsigned left, unsigned tries);
/* The first one waits for its first C_InitToken. */
void pocket_make_claimable(void);

/* As another client would: all token objects of the first partition. */
void pocket_destroy_all(void);
unsigned pocket_object_count(void);
/* Of every kind, as in a new process. Nobody uses them any more. */
void pocket_empty(void);
/* A page of a search has at most so many objects, 1,000 if nothing is said. */
void pocket_set_page(size_t objects);
/* Called once: a node has read what it was asked for, and its answer is on its way. */
void pocket_before_answer(void (*call)(void));
/* Pages that were asked for. */
unsigned pocket_finds(void);
/* Somebody changed the PIN of @role's login: it ends. */
void pocket_end_tickets(void);
/* Has somebody been logged in by quadhsm_login_context()? Then no more. */
bool pocket_context(void);
/* Called when a token is given its parent's login. */
void pocket_before_give(void (*call)(void));

unsigned pocket_handles_open(void);
bool pocket_threads_forbidden(void);
/* The mechanism of the last sign, verify, encrypt or decrypt, and how much data came with it. */
uint64_t pocket_last_mechanism(void);
size_t pocket_last_size(void);

#endif
