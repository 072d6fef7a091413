/* The raft_io that the guard wraps in production: raft_uv for the disk, our
 * transport for the network. raft_uv's own network code is never used (it gets a
 * transport that never connects). */
#ifndef QH_GLUE_LINK_H
#define QH_GLUE_LINK_H

#include <raft.h>
#include <raft/uv.h>

#include "base/err.h"
#include "raft-glue/transport.h"

struct link {
    struct raft_io io; /* raft_uv's, with send and start replaced */
    struct raft_uv_transport none;
    struct transport *transport;
    raft_io_recv_cb recv_cb;
    int (*uv_start)(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv);
};

/* Errors: QH_ENOTFOUND (no such directory), QH_EINVAL, QH_ENOMEM.
 * Owns:   link_close() after raft's close callback. */
QH_RESULT link_init(struct link *link, uv_loop_t *loop, const char *dir, unsigned segment_size);
void link_set_transport(struct link *link, struct transport *transport);
void link_close(struct link *link);

/* A frame of the Raft channel: decode it and hand it to libraft (through the
 * guard). Errors: those of codec_decode(). */
QH_RESULT link_receive(struct link *link, uint64_t peer, const char *name, struct bytes body);

#endif
