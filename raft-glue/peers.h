/* The inside of the transport (transport.h), shared by its three parts: transport.c (what
 * the caller sees), dial.c (connections that we make), inbound.c (those made to us).
 * Tests lower limits here. */
#ifndef QH_GLUE_PEERS_H
#define QH_GLUE_PEERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "raft-glue/conn.h"
#include "raft-glue/transport.h"

#define PEERS_HOST_ROOM 256u
#define PEERS_ADDRESSES_MAX 16u /* of one name */
#define PEERS_NOTES_MAX 64u

/*    WAITING --> RESOLVING --> DIALLING --> UP
 *     ^  ^           |          |   ^ |      |
 *     |  +-----------+----------+   +-+      |   the next address
 *     +--------------------------------------+
 *    any --> STOPPED: the peer was removed, or everything is closed */
enum dial_state { DIAL_WAITING, DIAL_RESOLVING, DIAL_DIALLING, DIAL_UP, DIAL_STOPPED };

struct dial_resolve; /* a question to the resolver; may outlive everything else */

/* The connection that we keep to a peer on one channel. */
struct dial {
    struct peer *peer;
    enum transport_channel channel;
    enum dial_state state;
    uv_timer_t timer; /* to the next attempt */
    struct dial_resolve *resolve;
    struct sockaddr_storage addresses[PEERS_ADDRESSES_MAX];
    unsigned address_count, address_next;
    struct conn *conn; /* in DIALLING and UP */
    uint64_t up_ms;    /* loop time when it came up */
};

struct peer {
    struct transport *transport;
    struct peer *next;
    uint64_t id;
    char name[NODE_NAME_LENGTH_MAX + 1];
    char host[PEERS_HOST_ROOM];
    uint16_t port;
    unsigned references; /* timers and connections */
    struct dial dials[TRANSPORT_CHANNELS];
};

/* What was logged already, so that a retry does not log it again. */
struct peers_note {
    char who[NODE_NAME_LENGTH_MAX + 1];
    bool dialled, told;
    enum qh_err status;
};

struct transport {
    struct conn_env env;
    uv_loop_t *loop;
    struct transport_callbacks callbacks;
    unsigned retry_ms, inbound_max;
    char listen_host[PEERS_HOST_ROOM];
    uint16_t port;
    uv_tcp_t listener;
    bool listening;
    uv_idle_t idle;   /* while callbacks are due, the loop must not sleep */
    uv_check_t check; /* calls them */
    struct peer *peers;
    unsigned peer_count;
    struct conn *inbound; /* newest first */
    unsigned inbound_count;
    bool paused;
    unsigned references; /* what must end before the memory goes */
    bool closing;
    void (*closed)(void *data);
    void *closed_data;
    struct peers_note notes[PEERS_NOTES_MAX]; /* a ring */
    unsigned note_next;
};

void peers_hold(struct transport *transport);
void peers_release(struct transport *transport);

/* Log, once for each peer and reason until peers_forget(), why @conn to or from @who ended, and
 * what to do about it. */
void peers_explain(struct transport *transport, const struct conn *conn, const char *who);
void peers_forget(struct transport *transport, const char *who, bool dialled);

/* dial.c */
void dial_start(struct dial *dial, struct peer *peer, enum transport_channel channel);
void dial_restart(struct dial *dial); /* the address changed */
void dial_stop(struct dial *dial, bool ending);
enum qh_err dial_check(const struct conn *conn);
void dial_up(struct conn *conn);
void dial_closed(struct conn *conn);
bool dial_is_up(const struct dial *dial);
void dial_unref(struct peer *peer);

/* inbound.c */
QH_RESULT inbound_listen(struct transport *transport);
void inbound_up(struct conn *conn);
void inbound_closed(struct conn *conn);
void inbound_close_peer(struct transport *transport, uint64_t peer);
void inbound_stop(struct transport *transport);

#endif
