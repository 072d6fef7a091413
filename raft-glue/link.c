/* raft_uv for the disk, our transport for the network: the raft_io under the guard. */
#include "raft-glue/link.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "raft-glue/codec.h"

/* What raft_uv has for a path, less its longest file name. It cuts a longer one off. */
#define DIR_LENGTH_MAX 894u

/* The transport that raft_uv is given. It never connects: libraft's messages do not come here,
 * since send is replaced. */

static int none_init(struct raft_uv_transport *none, raft_id id, const char *address)
{
    (void)none;
    (void)id;
    (void)address;
    return 0;
}

static int none_listen(struct raft_uv_transport *none, raft_uv_accept_cb cb)
{
    (void)none;
    (void)cb;
    return 0;
}

static int none_connect(struct raft_uv_transport *none, struct raft_uv_connect *request, raft_id id,
                        const char *address, raft_uv_connect_cb cb)
{
    (void)none;
    (void)request;
    (void)id;
    (void)address;
    (void)cb;
    return RAFT_NOCONNECTION;
}

/* raft_uv expects that this may be called back at once: it closes its timer only afterwards. */
static void none_close(struct raft_uv_transport *none, raft_uv_transport_close_cb cb)
{
    cb(none);
}

static struct link *link_of(struct raft_io *io)
{
    return (struct link *)(void *)((char *)io - offsetof(struct link, io));
}

/* A message that the transport has taken. */
struct send {
    struct codec_encoded encoded;
    struct raft_io_send *request;
    raft_io_send_cb cb;
};

static int status_from_err(enum qh_err err)
{
    if (err == QH_OK) {
        return 0;
    }
    return err == QH_ECANCELED ? RAFT_CANCELED : RAFT_NOCONNECTION;
}

/* @cb is NULL for TimeoutNow; libraft may have released that request by now. */
static void sent(void *data, enum qh_err status)
{
    struct send *send = data;
    struct raft_io_send *request = send->request;
    raft_io_send_cb cb = send->cb;

    codec_encoded_close(&send->encoded);
    raft_free(send);
    if (cb != NULL) {
        cb(request, status_from_err(status));
    }
}

/* Every failure is RAFT_NOCONNECTION: a message that was not sent is always safe in Raft, and
 * any other code makes libraft give up for good. On an error it calls nothing back. */
static int link_send(struct raft_io *io, struct raft_io_send *request,
                     const struct raft_message *message, raft_io_send_cb cb)
{
    struct link *link = link_of(io);
    struct send *send;
    struct bytes head;

    if (link->transport == NULL) {
        return RAFT_NOCONNECTION;
    }
    send = raft_malloc(sizeof(*send));
    if (send == NULL) {
        return RAFT_NOCONNECTION;
    }
    if (codec_encode(message, &send->encoded) != QH_OK) {
        raft_free(send);
        return RAFT_NOCONNECTION;
    }
    send->request = request;
    send->cb = cb;
    request->cb = cb;
    head.base = send->encoded.head;
    head.size = send->encoded.head_size;
    if (transport_send(link->transport, TRANSPORT_RAFT, message->server_id, head,
                       send->encoded.pieces, send->encoded.piece_count, sent, send) != QH_OK) {
        codec_encoded_close(&send->encoded);
        raft_free(send);
        return RAFT_NOCONNECTION;
    }
    return 0;
}

static int link_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                      raft_io_recv_cb recv)
{
    struct link *link = link_of(io);
    int rv = link->uv_start(io, msecs, tick, recv);

    if (rv == 0) {
        link->recv_cb = recv;
        link_closed_look_later(link); /* loading closes what was open */
    }
    return rv;
}

static QH_RESULT check_arguments(const char *dir, unsigned segment_size)
{
    struct stat info;

    if (strnlen(dir, DIR_LENGTH_MAX + 1) > DIR_LENGTH_MAX || segment_size < LINK_SEGMENT_SIZE_MIN ||
        segment_size > LINK_SEGMENT_SIZE_MAX || segment_size % LINK_SEGMENT_SIZE_UNIT != 0) {
        return QH_EINVAL;
    }
    if (stat(dir, &info) != 0) {
        return err_from_errno(errno);
    }
    return S_ISDIR(info.st_mode) ? QH_OK : QH_EINVAL;
}

QH_RESULT link_init(struct link *link, uv_loop_t *loop, const char *dir, unsigned segment_size)
{
    enum qh_err err = check_arguments(dir, segment_size);
    int rv;

    if (err != QH_OK) {
        return err;
    }
    memset(link, 0, sizeof(*link));
    link->none.init = none_init;
    link->none.listen = none_listen;
    link->none.connect = none_connect;
    link->none.close = none_close;
    rv = raft_uv_init(&link->io, loop, dir, &link->none);
    if (rv != 0) {
        return rv == RAFT_NOMEM ? QH_ENOMEM : QH_EINVAL;
    }
    /* Sealed data does not compress, and a damaged file must never be set aside silently. */
    (void)raft_uv_set_snapshot_compression(&link->io, false);
    raft_uv_set_auto_recovery(&link->io, false);
    raft_uv_set_segment_size(&link->io, segment_size);
    /* raft_uv can do what version 2 says (async_work), and forgot to say so. */
    link->io.version = 2;
    link->uv_start = link->io.start;
    link->io.start = link_start;
    link->io.send = link_send;
    err = link_truncate_init(link, loop, dir);
    if (err == QH_OK) {
        err = link_closed_init(link, loop);
        if (err != QH_OK) {
            link_truncate_close(link);
        }
    }
    if (err != QH_OK) {
        raft_uv_close(&link->io);
    }
    return err;
}

void link_set_transport(struct link *link, struct transport *transport)
{
    link->transport = transport;
}

void link_close(struct link *link)
{
    link_closed_close(link);
    link_truncate_close(link);
    raft_uv_close(&link->io);
    memset(link, 0, sizeof(*link));
}

static QH_RESULT verify_message(const struct link *link, const struct raft_message *message,
                                const char *name)
{
    struct bytes data;
    enum qh_err err;

    if (message->type != RAFT_IO_INSTALL_SNAPSHOT || link->verify_snapshot == NULL) {
        return QH_OK;
    }
    data.base = message->install_snapshot.data.base;
    data.size = message->install_snapshot.data.len;
    err = link->verify_snapshot(data);
    if (err != QH_OK) {
        log_error("snapshot refused: %s peer=%s index=%llu; the peer's disk is damaged: check it,"
                  " remove that node from the cluster and add it under a new id",
                  err_message(err), name, message->install_snapshot.last_index);
    }
    return err;
}

QH_RESULT link_receive(struct link *link, uint64_t peer, const char *name, struct bytes body)
{
    struct raft_message message;
    enum qh_err err = codec_decode(body, &message);

    if (err != QH_OK) {
        return err;
    }
    err = verify_message(link, &message, name);
    if (err != QH_OK || link->recv_cb == NULL) {
        codec_message_close(&message);
        return err;
    }
    message.server_id = peer;
    message.server_address = name;
    link->recv_cb(&link->io, &message);
    return QH_OK;
}
