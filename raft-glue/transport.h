/* Peer connections: mutual TLS 1.3 between the nodes of one cluster, frames
 * both ways checked before anybody sees them.
 *
 * For each peer and channel a node keeps one connection that it dials and only
 * sends on; what it receives comes on connections that the peer dialled. The
 * channel is chosen by ALPN, so that a long snapshot on the Raft channel does
 * not hold up proposals on the other.
 *
 *    IDLE --> RESOLVING --> CONNECTING --> TLS --> HELLO --> UP --> CLOSING
 *     ^           |              |          |        |       |        |
 *     +-----------+--------------+----------+--------+-------+--------+
 *           failed, timed out or closed: again after retry_ms
 *
 * A frame is u32 size (little-endian), then the body. The first frames are the
 * hello: who, of which cluster, generation, start count and nonce; each side answers the
 * other's with its own or with a refusal that says why (hello.h).
 *
 * The caller ignores SIGPIPE. Thread: the loop's. */
#ifndef QH_GLUE_TRANSPORT_H
#define QH_GLUE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"

enum transport_channel { TRANSPORT_RAFT = 0, TRANSPORT_RPC = 1, TRANSPORT_CHANNELS = 2 };

/* Limits, checked before memory is spent. */
#define TRANSPORT_RAFT_FRAME_MAX (2147483648ull - 65536ull) /* a whole snapshot */
#define TRANSPORT_RPC_FRAME_MAX (STORE_TXN_SIZE_MAX + 1024u)
#define TRANSPORT_QUEUE_SIZE_MAX (32u << 20) /* bytes waiting for one connection */
#define TRANSPORT_QUEUE_FRAMES_MAX 65536u
#define TRANSPORT_INBOUND_MAX 64u    /* accepted connections */
#define TRANSPORT_HANDSHAKE_MS 3000u /* from accept or connect to the peer's hello */

/* What a node says of itself when it connects, and learns of its peer. */
struct transport_hello {
    uint8_t cluster[16];
    uint64_t generation;  /* raised by a recovery */
    uint64_t id;          /* Raft server id, never 0 */
    uint64_t start_count; /* starts of this id so far, kept on its disk */
    uint64_t nonce;       /* random, new at each start */
    uint64_t term;        /* persisted Raft term */
    char name[NODE_NAME_LENGTH_MAX + 1];
};

struct transport_callbacks {
    void *data;
    /* What to say in our own hello. */
    void (*hello)(void *data, struct transport_hello *ret_hello);
    /* May this peer talk to us? Its certificate is valid and names @hello->name; the
     * callee checks cluster, generation, id and roll-back.
     * Errors: QH_EPEER, QH_EGENERATION, QH_EROLLEDBACK: the connection is closed, the peer told. */
    enum qh_err (*check)(void *data, const struct transport_hello *hello);
    /* A frame from @peer, valid during the call. An error closes the connection. */
    enum qh_err (*frame)(void *data, enum transport_channel channel, uint64_t peer,
                         const char *name, struct bytes body);
    /* Our connection to @peer is up, or down. */
    void (*outbound)(void *data, enum transport_channel channel, uint64_t peer, bool up);
    /* The connection that @peer dialled is up, or down. @gone: it was closed or reset by
     * the other side (its process ended), not by us or a time-out, nor by a peer that lives and
     * dials again (it says so with a TLS close_notify). */
    void (*inbound)(void *data, enum transport_channel channel, uint64_t peer, bool up, bool gone);
};

struct transport_tls {
    const char *ca_file;   /* PEM; the only authority trusted */
    const char *cert_file; /* PEM chain; subject CN is the node's name */
    const char *key_file;  /* PEM */
};

struct transport_config {
    const char *listen_host; /* IPv4, IPv6 or DNS name; "" for any */
    uint16_t listen_port;    /* 0: the kernel chooses (tests) */
    struct transport_tls tls;
    const char *source; /* numeric IPv4 or IPv6 address that dialled connections come from, for
                           hosts with several; NULL or "": the kernel's choice */
    unsigned retry_ms;  /* between attempts to connect, 10 to 60,000 */
    unsigned user_timeout_ms; /* TCP_USER_TIMEOUT, and keep-alive of the same order */
    unsigned idle_ms; /* an inbound Raft connection silent for so long is closed; 0: never */
};

struct transport;

/* Errors: QH_ETLS (logged: which file and why), QH_EINVAL (retry_ms out of range, a host name too
 *         long, source no address), QH_ENOMEM.
 * Owns:   copies the configuration. */
QH_RESULT transport_new(uv_loop_t *loop, const struct transport_config *config,
                        struct transport_callbacks callbacks, struct transport **ret_transport);

/* Errors: QH_ESYSTEM, QH_EEXIST (address in use); logged with the address. */
QH_RESULT transport_listen(struct transport *transport);
uint16_t transport_port(const struct transport *transport);

/* Keep connections to @peer (both channels) at @host:@port; a second call changes
 * the address, and reconnects if it differs. Certificates must name @name.
 * Errors: QH_EINVAL (id, name, host or port), QH_ELIMIT (NODES_MAX peers), QH_ENOMEM, QH_ECANCELED
 *         (after transport_close()). */
QH_RESULT transport_peer_set(struct transport *transport, uint64_t peer, const char *name,
                             const char *host, uint16_t port);
/* Stop dialling @peer, and close the connections that it made. Whether it may come
 * back is up to callbacks.check. */
void transport_peer_remove(struct transport *transport, uint64_t peer);

/* Send a frame: @head is copied, @pieces stay with the caller until @cb.
 * @cb (may be NULL if @piece_count is 0) is called exactly once, later, never from inside:
 * QH_OK when the last byte was handed to the kernel, else why not.
 * Errors: QH_ECONN not connected, QH_EBUSY the queue is full, QH_ELIMIT frame too
 *         large, QH_ENOMEM; on any error @cb is not called. */
typedef void (*transport_sent)(void *data, enum qh_err status);
QH_RESULT transport_send(struct transport *transport, enum transport_channel channel, uint64_t peer,
                         struct bytes head, const struct bytes *pieces, unsigned piece_count,
                         transport_sent cb, void *data);

bool transport_connected(const struct transport *transport, enum transport_channel channel,
                         uint64_t peer);                                       /* outbound */
bool transport_peer_present(const struct transport *transport, uint64_t peer); /* any inbound */

/* Stop or go on reading from Raft connections: back-pressure from the disk. At most one read (128
 * KiB a connection) that was done already is still delivered. The end of a peer goes
 * unnoticed on its Raft connection meanwhile, not on the other. */
void transport_pause(struct transport *transport, bool paused);

/* Close every connection; @closed (may be NULL) is called when the memory of @transport is gone.
 * Frames not sent yet get QH_ECANCELED; no other callback is called any more. A question to
 * a slow resolver may keep the loop alive after @closed. */
void transport_close(struct transport *transport, void (*closed)(void *data), void *data);

struct transport_counters {
    uint64_t dialled, accepted, refused, frames_sent, frames_received, frames_dropped, bytes_sent,
        bytes_received;
};
const struct transport_counters *transport_counters(const struct transport *transport);

#endif
