/* Who this node is: a small file beside the Raft directory, written atomically
 * (temporary file, fsync, rename, fsync of the directory), with a checksum.
 *
 * It exists so that a node that lost its disk, or whose disk went back in time,
 * never votes under its old id. */
#ifndef QH_GLUE_IDENTITY_H
#define QH_GLUE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

struct identity_peer { /* the newest start of a peer that this node has seen */
    uint64_t id;
    uint64_t start_count;
    uint64_t nonce;
    uint64_t term; /* highest persisted term it told; kept in memory only */
};

struct identity {
    uint8_t cluster[16];
    uint64_t id; /* Raft server id, never 0 */
    char name[NODE_NAME_LENGTH_MAX + 1];
    uint64_t generation;  /* from 1; raised by recover */
    uint64_t start_count; /* from 1 */
    uint64_t nonce;       /* of this start; not stored for ourselves */
    bool member;          /* the Raft directory has held a log: an empty one means a lost disk */
    unsigned peer_count;
    struct identity_peer peers[NODES_MAX * 4];
};

/* Files: DIR/identity and DIR/raft/. The first is little-endian:
 *
 *   8 bytes "QHIDENT\0"   u32 version (1)   u32 zero
 *   16 bytes cluster   u64 id, generation, start count
 *   u8 member   u8 name length   u16 zero   u32 peer count   name
 *   peers: u64 id, start count, nonce
 *   32 bytes BLAKE2b of all before, in this and every later version */

/* Make a new node in an empty or absent DIR, and DIR/raft: a random id, generation 1, start count
 * 0. An existing log counts as a node too.
 * Errors: QH_EEXIST if there is one, QH_EINVAL (name), QH_EIO, QH_ENOSPACE, QH_EPERM, QH_ESYSTEM.
 */
QH_RESULT identity_create(const char *dir, const uint8_t cluster[16], const char *name,
                          struct identity *ret_identity);
/* Errors: QH_ENOTFOUND, QH_ECORRUPT, QH_EVERSION, QH_EIO, QH_EPERM, QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT identity_load(const char *dir, struct identity *ret_identity);
/* Errors: QH_EIO, QH_ENOSPACE, QH_EPERM, QH_ESYSTEM. */
QH_RESULT identity_store(const char *dir, const struct identity *identity);

/* Count a start: raises start_count, draws a nonce, stores. After an error @identity is as it was.
 * Errors: those of identity_store(). */
QH_RESULT identity_start(const char *dir, struct identity *identity);

/* Check a peer's hello against what is remembered of it, and remember it.
 * *ret_changed: identity_store() is due.
 * When the table is full the peer whose last new start is longest ago is forgotten.
 * Errors: QH_EROLLEDBACK if its start count went back, or stayed with another
 *         nonce, or its term went back, or it says that it has our own id (a copied disk). */
QH_RESULT identity_check_peer(struct identity *identity, const struct identity_peer *peer,
                              bool *ret_changed);

/* 1 to NODE_NAME_LENGTH_MAX letters, digits, '-' and '.', with a letter or a digit at both ends. */
bool identity_name_valid(const char *name);

#endif
