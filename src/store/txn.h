/* Transactions of the record store, in memory and encoded. Pure: no I/O, clock
 * or randomness.
 *
 * A transaction is a list of compares, then a list of writes. All compares hold
 * and all writes happen, or nothing happens. The encoding (little-endian):
 *
 *   u8  version (1)      u8 flags (0)
 *   u16 compare count    u16 write count     u16 zero
 *   16 bytes             request id
 *   u64                  last revision at which it may be applied, 0: no bound
 *   compares: u8 kind, u16 key size, key, then
 *             TXN_ABSENT: nothing; TXN_AT_REVISION: u64 mod_revision;
 *             TXN_FEWER_THAN: u64 count (the key is a prefix, and may be empty)
 *   writes:   u8 kind, u16 key size, key, then
 *             TXN_PUT: u32 expires_after (revisions, 0: never), u32 value size,
 *             value; TXN_DELETE: nothing
 *
 * Nothing may follow the last write.
 *
 * All compares look at the state before the first write. Writes happen in order, and
 * each sees those before it: of two puts of one key the later stays, a put after a
 * delete makes a new record (create_revision is this transaction's revision). Every
 * write of a transaction carries the same revision. Deleting an absent key does nothing,
 * but counts as a write: the revision goes up. The encoding of a transaction is
 * unique: whatever decodes was written exactly so. */
#ifndef QH_STORE_TXN_H
#define QH_STORE_TXN_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

#define TXN_VERSION 1u
#define TXN_HEADER_SIZE 32u /* bytes: everything before the first compare */

enum txn_compare_kind { TXN_ABSENT = 1, TXN_AT_REVISION = 2, TXN_FEWER_THAN = 3 };
enum txn_write_kind { TXN_PUT = 1, TXN_DELETE = 2 };

struct txn_compare {
    enum txn_compare_kind kind;
    struct bytes key;  /* for TXN_FEWER_THAN a prefix */
    uint64_t argument; /* a mod_revision or a count; 0 for TXN_ABSENT */
};

struct txn_write {
    enum txn_write_kind kind;
    struct bytes key;
    struct bytes value;     /* TXN_PUT only */
    uint32_t expires_after; /* in revisions, counted from this one; 0: never */
};

/* A decoded transaction. The spans point into the encoded bytes. */
struct txn {
    uint8_t id[ONCE_ID_SIZE];
    uint64_t valid_until; /* refused at any later revision; 0: no bound */
    unsigned compare_count;
    unsigned write_count;
    struct txn_compare compares[STORE_COMPARES_MAX];
    struct txn_write writes[STORE_WRITES_MAX];
};

/* Parse @encoded, checking every size and limit.
 *
 * Errors: QH_EVERSION for another version, QH_ELIMIT above a limit of limits.h,
 *         QH_EMALFORMED for anything else that breaks the format.
 * Owns:   nothing; *ret_txn points into @encoded.
 * Thread: any. */
QH_RESULT txn_decode(struct bytes encoded, struct txn *ret_txn);

/* Builds the encoding. After the first failure the builder keeps its error and
 * ignores what follows, so that a caller checks once, in txn_build_end(). */
struct txn_builder {
    uint8_t *base;
    size_t size;
    size_t room;
    unsigned compare_count;
    unsigned write_count;
    size_t compares_end;   /* where the next compare goes */
    unsigned begin_writes; /* writes made by txn_build_once(), before any compare */
    enum qh_err err;
};

/* Begin a transaction that happens once: compare 0 says that the record
 * r/<id> is absent, write 0 puts @answer there for ONCE_EXPIRES_AFTER revisions,
 * and valid_until is @base_revision + ONCE_VALID_FOR. @base_revision is the
 * store's revision that the caller computed against. */
void txn_build_once(struct txn_builder *builder, const uint8_t id[ONCE_ID_SIZE],
                    uint64_t base_revision, struct bytes answer);

/* Begin one without these, for tests and for what is idempotent by itself. */
void txn_build_plain(struct txn_builder *builder, const uint8_t id[ONCE_ID_SIZE],
                     uint64_t valid_until);

/* All compares come before the first write. */
void txn_build_compare(struct txn_builder *builder, enum txn_compare_kind kind, struct bytes key,
                       uint64_t argument);
void txn_build_put(struct txn_builder *builder, struct bytes key, struct bytes value,
                   uint32_t expires_after);
void txn_build_delete(struct txn_builder *builder, struct bytes key);

/* Errors: QH_ELIMIT, QH_ENOMEM, QH_EINVAL (a compare after a write, an empty key, an
 *         unknown kind, an argument of TXN_ABSENT, a revision without room above it).
 * Owns:   on QH_OK the caller owns ret_encoded->base: free() it. On failure
 *         nothing is left to free. Either way the builder is closed. */
QH_RESULT txn_build_end(struct txn_builder *builder, struct bytes *ret_encoded);

/* The key of the answer record of @id: "r/" and its 16 bytes. */
#define ONCE_KEY_SIZE (2u + ONCE_ID_SIZE)
void txn_once_key(const uint8_t id[ONCE_ID_SIZE], uint8_t ret_key[ONCE_KEY_SIZE]);

#endif
