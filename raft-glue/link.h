/* The raft_io that the guard wraps in production: raft_uv for the disk, our
 * transport for the network. raft_uv's own network code is never used (it gets a
 * transport that never connects). */
#ifndef QH_GLUE_LINK_H
#define QH_GLUE_LINK_H

#include <raft.h>
#include <raft/uv.h>

#include "base/err.h"
#include "raft-glue/transport.h"

struct link_append; /* waits for a truncation */
struct link_closed; /* the note of the closed segments: link_closed.c */

struct link {
    struct raft_io io; /* raft_uv's, with send, start, append and truncate replaced */
    struct raft_uv_transport none;
    struct transport *transport;
    raft_io_recv_cb recv_cb;
    /* Looks at a snapshot before libraft installs it, and with that throws its log away: the
     * sender reads it from its disk unchecked. NULL: none. */
    enum qh_err (*verify_snapshot)(struct bytes data);
    int (*uv_start)(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv);
    /* The rest belongs to link_truncate.c. */
    int (*uv_append)(struct raft_io *io, struct raft_io_append *req,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb);
    int (*uv_truncate)(struct raft_io *io, raft_index index);
    char *dir;
    uv_timer_t *poll;
    raft_index truncating; /* the index of the truncation under way; 0: none */
    unsigned truncate_ms;  /* how long one may take: LINK_TRUNCATE_MS, tests lower it */
    uint64_t truncate_deadline_ms;
    struct link_append *held; /* in order */
    struct link_append **held_end;
    struct link_closed *closed;
};

#define LINK_TRUNCATE_MS 10000u
#define LINK_CLOSED_MS 200u /* between two looks at which segments are closed */

/* The sizes of a new log file, in bytes. */
#define LINK_SEGMENT_SIZE_MIN (64u << 10)
#define LINK_SEGMENT_SIZE_MAX (8u << 20)
#define LINK_SEGMENT_SIZE_UNIT 4096u

/* @dir: the Raft directory itself, DIR/raft. @segment_size: a multiple of LINK_SEGMENT_SIZE_UNIT.
 *
 * io.send() gives RAFT_NOCONNECTION for everything that the transport does not take, and calls
 * back later, once, for what it takes. An answer to AppendEntries that fails at once makes
 * libraft 0.15 free the entries twice; the guard keeps that from it (R5).
 * Errors: QH_ENOTFOUND (no such directory), QH_EINVAL (path or size), QH_ENOMEM, QH_EPERM,
 *         QH_ESYSTEM, those of closednote_read().
 * Owns:   link_close() after raft's close callback, and after the transport has called back
 *         for everything that was sent; the loop runs once more before it is closed. */
QH_RESULT link_init(struct link *link, uv_loop_t *loop, const char *dir, unsigned segment_size);
/* link_truncate.c, for link.c alone. Errors: QH_ENOMEM. */
QH_RESULT link_truncate_init(struct link *link, uv_loop_t *loop, const char *dir);
void link_truncate_close(struct link *link);
/* link_closed.c, for those two alone. Errors: those of closednote_read(), QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT link_closed_init(struct link *link, uv_loop_t *loop);
void link_closed_close(struct link *link);
void link_closed_look_later(struct link *link);
/* What is behind @index is about to be removed. Gives 0 or RAFT_IOERR. */
int link_closed_lower(struct link *link, uint64_t index);

void link_set_transport(struct link *link, struct transport *transport);
void link_close(struct link *link);

/* A frame of the Raft channel: decode it and hand it to libraft (through the
 * guard). Before raft_start() it is checked and dropped. Errors: those of
 * codec_decode() and verify_snapshot(). */
QH_RESULT link_receive(struct link *link, uint64_t peer, const char *name, struct bytes body);

#endif
