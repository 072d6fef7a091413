/* The record store: an ordered map from record key to opaque sealed value,
 * changed by transactions alone. It knows nothing about keys, roles or Raft.
 * Pure: no I/O, no clock, no randomness, no thread. Equal histories of
 * transactions give equal stores, and equal stores encode to equal bytes.
 *
 * Thread: a store belongs to one thread. A view (store_freeze) may be read and
 * encoded by another thread while the owner goes on applying, but is made and
 * released by the owner alone. */
#ifndef QH_STORE_STORE_H
#define QH_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct store;
struct store_view;

/* What became of a transaction: an answer, never an error. */
enum store_status {
    STORE_APPLIED,        /* all writes were done; @revision is the new revision */
    STORE_COMPARE_FAILED, /* compare number @compare_index does not hold */
    STORE_TOO_LATE,       /* the revision is past the transaction's valid_until */
    STORE_MALFORMED       /* not a transaction: nothing was read from it */
};

struct store_answer {
    enum store_status status;
    unsigned compare_index; /* STORE_COMPARE_FAILED only, else 0 */
    uint64_t revision;      /* the store's revision after the transaction */
};

/* A record, valid until the next store_apply() or store_free(), or, from a
 * view, until the view is released. */
struct store_record {
    struct bytes key;
    struct bytes value;
    uint64_t create_revision; /* of the put that made it, since it was last absent */
    uint64_t mod_revision;    /* of the last put */
    uint64_t expires_at;      /* revision at which it goes; 0: never */
};

/* Errors: QH_ENOMEM. Owns: release with store_free(). */
QH_RESULT store_new(struct store **ret_store);
void store_free(struct store *store); /* NULL is allowed. Its views live on. */

/* Apply one encoded transaction (txn.h).
 *
 * It costs O(log n) for each compare and write. A transaction with writes
 * raises the revision by one when it is applied; a refused one and one without
 * writes change nothing. When the revision reaches a record's expires_at the
 * record is gone as soon as this transaction's writes are done, so that the next one's
 * compares and every reader find it absent; a put of the same transaction saves it.
 * There is no failure: out of memory aborts the process, since a replica that
 * skips a committed transaction would differ from the others. */
struct store_answer store_apply(struct store *store, struct bytes encoded);

uint64_t store_revision(const struct store *store);
uint64_t store_record_count(const struct store *store);
uint64_t store_data_size(const struct store *store); /* keys and values, in bytes */

/* Find by key. False if absent; then *ret_record is untouched. */
bool store_get(const struct store *store, struct bytes key, struct store_record *ret_record);

/* How many records have keys that begin with @prefix. O(log n). */
uint64_t store_count_prefix(const struct store *store, struct bytes prefix);

/* Visit the records whose keys begin with @prefix in key order, from the first
 * key that is greater than @after (empty: from the start). @visit returns false
 * to stop. It must not change the store. */
typedef bool (*store_visit)(void *data, const struct store_record *record);
void store_scan(const struct store *store, struct bytes prefix, struct bytes after,
                store_visit visit, void *data);

/* An unchanging picture of the store, in O(1): nodes and values are shared and
 * counted. Errors: QH_ENOMEM. Thread: the store's. */
QH_RESULT store_freeze(struct store *store, struct store_view **ret_view);
void store_view_release(struct store_view *view); /* NULL is allowed. */
uint64_t store_view_revision(const struct store_view *view);

/* A snapshot as a list of pieces: headers of our own, and values that stay
 * where they are in the view, so that a snapshot needs no second copy of the
 * data. A BLAKE2b-256 checksum over all of it is the last piece. The first bytes
 * are the magic "QHSNAP1\0". */
struct store_piece {
    const void *base;
    size_t size; /* bytes; never 0 */
};
struct store_snapshot {
    struct store_piece *pieces;
    unsigned piece_count;
    uint64_t size; /* of all pieces, in bytes */
    void *arena;   /* what is not in the view */
};

/* Errors: QH_ENOMEM, QH_ELIMIT (above 2 GiB - 64 KiB, which libraft cannot read back).
 * Owns:   release with store_snapshot_close(), before the view.
 * Thread: any, one at a time; it only reads the view. */
QH_RESULT store_snapshot_encode(const struct store_view *view, struct store_snapshot *ret_snapshot);
void store_snapshot_close(struct store_snapshot *snapshot);

/* Is @encoded whole, as store_snapshot_encode() made it? Magic, version and checksum only.
 * Errors: QH_ECORRUPT, QH_EVERSION. Thread: any. */
QH_RESULT store_snapshot_verify(struct bytes encoded);

/* Rebuild a store. Everything is checked: magic, version, checksum, key order,
 * limits, revisions, and that nothing follows.
 * Errors: QH_ECORRUPT, QH_EVERSION, QH_ENOMEM.
 * Owns:   *ret_store; nothing in it points into @encoded. */
QH_RESULT store_snapshot_decode(struct bytes encoded, struct store **ret_store);

/* The checksum of the snapshot of this very state: equal states, equal digests.
 * Errors: those of store_snapshot_encode(). */
#define STORE_DIGEST_SIZE 32u
QH_RESULT store_digest(const struct store *store, uint8_t ret_digest[STORE_DIGEST_SIZE]);

#endif
