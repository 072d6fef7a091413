/* One TLS connection between two nodes: handshake, greeting, frames one way, back-pressure,
 * time limits and the end. It does not know about peers, addresses or retries
 * (transport.h); a handler is told what happens.
 *
 *    dialled:   CONNECTING --> TLS --> HELLO --------------> UP
 *    accepted:                 TLS --> HELLO --> VERDICT --> UP
 *                               |        |          |        |
 *                               +--------+----------+--------+--> DRAINING
 *    any --> CLOSING
 *
 * HELLO: the dialler has said hello and waits for the answer, the acceptor waits
 * for the dialler's. VERDICT: the acceptor answered and waits to hear whether the
 * dialler wants it, too (hello.h). DRAINING: last words (an alert, a refusal) and the
 * end of the stream are sent, the peer's end is awaited.
 *
 * A close_notify says "I close this one connection and live on"; the end of the stream without
 * it says that the process is gone.
 *
 * Thread: the loop's. */
#ifndef QH_GLUE_CONN_H
#define QH_GLUE_CONN_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/err.h"
#include "raft-glue/frame.h"
#include "raft-glue/pipe.h"
#include "raft-glue/sendq.h"
#include "raft-glue/tls.h"
#include "raft-glue/transport.h"

#define CONN_INPUT_SIZE 131072u /* one read */
#define CONN_BATCH_SIZE 131072u /* encrypted before it is written */
#define CONN_LINGER_MS 1000u    /* in DRAINING */
#define CONN_ADDRESS_ROOM 64u

/* AES-GCM keeps its margin for some 2^24.5 records (RFC 8446, 5.5), which small frames would
 * reach within the hour; OpenSSL 3.0 does not change the key by itself. */
#define CONN_KEY_RECORDS (1u << 22)

enum conn_state {
    CONN_CONNECTING,
    CONN_TLS,
    CONN_HELLO,
    CONN_VERDICT,
    CONN_UP,
    CONN_DRAINING,
    CONN_CLOSING,
};

struct conn;

/* None of these is called from inside conn_send() or conn_close(). */
struct conn_handler {
    void (*hello)(struct conn *conn, struct transport_hello *ret_hello);
    /* conn->name and conn->hello are known. An error refuses the peer. */
    enum qh_err (*check)(struct conn *conn);
    void (*up)(struct conn *conn);
    enum qh_err (*frame)(struct conn *conn, struct bytes body);
    /* Once, last; @conn is freed after. status, told, gone and detail say why. */
    void (*closed)(struct conn *conn);
};

/* What all connections of a transport share. */
struct conn_env {
    uv_loop_t *loop;
    SSL_CTX *tls;
    BIO_METHOD *bio_method;
    const struct conn_handler *handler;
    void (*done_due)(struct conn_env *env); /* something was added to @done */
    void *data;                             /* the handler's */
    struct sendq_done done;
    struct transport_counters counters;
    unsigned handshake_ms, idle_ms, user_timeout_ms; /* 0: none, for the last two */
    struct sockaddr_storage source; /* of dialled connections; ss_family 0: the kernel's choice */
    uint64_t key_records;           /* encrypted before the key changes */
    uint8_t input[CONN_INPUT_SIZE];
    uint8_t plain[SENDQ_CHUNK_SIZE];
    uint8_t chunk[SENDQ_CHUNK_SIZE];
};

struct conn {
    struct conn_env *env;
    struct conn *next; /* the handler's list */
    void *owner;       /* the handler's */
    enum conn_state state;
    bool dialled;
    enum transport_channel channel; /* accepted: from HELLO on */
    bool paused;
    bool was_up;
    char address[CONN_ADDRESS_ROOM];     /* of the other side, for messages */
    char name[NODE_NAME_LENGTH_MAX + 1]; /* from the certificate; "" before HELLO */
    struct transport_hello hello;        /* the peer's, once it said it; id 0 before */

    /* Why it ended. */
    enum qh_err status;
    bool refused; /* by us, with @status */
    bool told;    /* the peer refused us with @status */
    bool gone;    /* the stream ended: the peer's process did */
    char detail[TLS_TEXT_ROOM];

    uv_tcp_t tcp;
    uv_timer_t timer; /* handshake, idle or linger, by state */
    uv_connect_t connect;
    uv_write_t write;
    uv_shutdown_t shutdown;
    bool flying, shut, tls_broken;
    unsigned handles; /* not closed yet */
    SSL *ssl;
    struct pipe pipe;
    uint64_t written; /* encrypted bytes handed to the kernel so far */
    uint64_t records; /* encrypted with the current key */
    unsigned key_updates;
    struct sendq queue;
    struct frame_reader reader;
    uint64_t read_ms; /* loop time of the last read */
};

/* Start connecting. Errors: QH_ENOMEM; everything else is told by closed(). */
QH_RESULT conn_dial(struct conn_env *env, enum transport_channel channel,
                    const struct sockaddr *address, void *owner, struct conn **ret_conn);

/* Accept what waits at @listener. Errors: QH_ENOMEM. */
QH_RESULT conn_accept(struct conn_env *env, uv_stream_t *listener, void *owner,
                      struct conn **ret_conn);

/* See transport_send(). */
QH_RESULT conn_send(struct conn *conn, struct bytes head, const struct bytes *pieces,
                    unsigned piece_count, transport_sent cb, void *data);

/* Stop or go on reading. Up to one read that was done already is still delivered. While
 * nothing is read the idle limit rests, and the end of the peer goes unnoticed. */
void conn_pause(struct conn *conn, bool paused);

/* Close it; what is queued fails with @status. @ending: the whole process stops, so
 * no close_notify is sent. Idempotent. */
void conn_close(struct conn *conn, enum qh_err status, bool ending);

size_t conn_frame_max(enum transport_channel channel);

#endif
