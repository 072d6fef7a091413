/* Frames that wait to be sent on one connection, cut into pieces that fit a TLS record, and
 * the list of those whose callback is due. No I/O.
 *
 * A frame passes through: waiting --> taken (encrypted) --> done (or failed) --> called back.
 *
 * The bytes of a frame are its length, its head (both copied) and pieces, which stay
 * where they are until they are encrypted: a snapshot is never in memory twice. */
#ifndef QH_GLUE_SENDQ_H
#define QH_GLUE_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "raft-glue/transport.h"

#define SENDQ_CHUNK_SIZE 16384u /* the most that a TLS record holds */

struct sendq_item;

/* Frames that are over, in order; shared by all connections of a transport. */
struct sendq_done {
    struct sendq_item *first;
    struct sendq_item **last;
};
void sendq_done_init(struct sendq_done *done);

/* Call back for each frame that is on the list now; what callbacks add is left for
 * the next time, or a chain of them would keep the loop from everything else. */
void sendq_done_run(struct sendq_done *done);

struct sendq {
    struct sendq_item *first; /* taken ones first, then waiting ones */
    struct sendq_item **last;
    struct sendq_item *next; /* the first waiting one */
    size_t size;             /* bytes of all frames */
    unsigned count;
};
void sendq_init(struct sendq *queue);

/* Errors: QH_EBUSY, QH_ENOMEM. A frame larger than TRANSPORT_QUEUE_SIZE_MAX may
 * enter an empty queue. */
QH_RESULT sendq_push(struct sendq *queue, struct bytes head, const struct bytes *pieces,
                     unsigned piece_count, transport_sent cb, void *data);

/* Is there anything to be taken? */
bool sendq_waiting(const struct sendq *queue);

/* Take the next bytes, at most SENDQ_CHUNK_SIZE: either @chunk, filled, or a
 * part of a piece. Frames that are now taken whole are over once the connection
 * has written its byte number @end (not included): sendq_seal(). */
struct bytes sendq_take(struct sendq *queue, uint8_t chunk[SENDQ_CHUNK_SIZE]);
void sendq_seal(struct sendq *queue, uint64_t end);

/* The connection has written @written bytes so far: move what is over to @done.
 * Returns the number of frames. */
unsigned sendq_written(struct sendq *queue, uint64_t written, struct sendq_done *done);

/* All that is left failed. Returns the number of frames. */
unsigned sendq_fail(struct sendq *queue, enum qh_err status, struct sendq_done *done);

#endif
