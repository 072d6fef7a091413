/* Raft messages as bytes. libraft's own encoding sends uninitialised memory and
 * trusts every length it reads; this one does neither, and is complete before
 * libraft sees anything of a message. Little-endian; a frame's body, without
 * its length (transport.h):
 *
 *   u16 type (RAFT_IO_...)   u16 zero   u32 zero   then by type
 *   AppendEntries:       u64 term, prev index, prev term, commit; u32 count, u32 zero;
 *                        entries: u64 term, u16 type, u16 zero, u32 size; then all data
 *   AppendEntriesResult: u64 term, rejected, last index
 *   RequestVote:         u64 term, candidate, last index, last term;
 *                        u8 disrupt, u8 pre-vote, 6 zero
 *   RequestVoteResult:   u64 term; u8 granted, u8 pre-vote (raft_tribool), 6 zero
 *   InstallSnapshot:     u64 term, last index, last term, configuration index;
 *                        u32 configuration size, u32 zero, configuration; u64 data size, data
 *   TimeoutNow:          u64 term, last index, last term
 *
 * A configuration: u32 count, u32 zero; servers: u64 id, u8 role, u8 name length, name.
 */
#ifndef QH_GLUE_CODEC_H
#define QH_GLUE_CODEC_H

#include <raft.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define CODEC_ENTRIES_MAX 1000000u /* in one AppendEntries */

/* The bytes before the payload; the payload itself (entries' data, snapshot
 * data) stays where it is and is listed in ret_pieces, so that it is not copied. */
struct codec_encoded {
    uint8_t *head; /* raft_malloc'ed */
    size_t head_size;
    struct bytes *pieces; /* raft_malloc'ed array, or NULL */
    unsigned piece_count;
    size_t size; /* of head and pieces */
};

/* Errors: QH_ENOMEM, QH_EINVAL (unknown type), QH_ELIMIT (more than codec_decode() takes).
 * Owns:   release with codec_encoded_close(); the pieces point into @message. */
QH_RESULT codec_encode(const struct raft_message *message, struct codec_encoded *ret_encoded);
void codec_encoded_close(struct codec_encoded *encoded);

/* Parse a whole body. server_id and server_address are left for the caller.
 *
 * Everything is checked: type, exact size, zero fields, entry types, that entry
 * sizes are multiples of 8 from 8 to ENTRY_SIZE_MAX and add up, terms and indexes that are not
 * zero where they may not be, a configuration that decodes with ids, names and roles in range.
 * Errors: QH_EMALFORMED, QH_ELIMIT, QH_ENOMEM.
 * Owns:   on QH_OK the message's memory belongs to the caller, in the shape that
 *         libraft's recv callback takes over (one batch for all entries). */
QH_RESULT codec_decode(struct bytes body, struct raft_message *ret_message);

/* Release what codec_decode() allocated, for a message that libraft never gets. */
void codec_message_close(struct raft_message *message);

#endif
