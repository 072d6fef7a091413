/* What the files of a connection share, and nobody else: conn.c its beginning, its end and its
 * time, conn_read.c frames that come, conn_write.c answers that go. */
#ifndef QH_NODE_CONN_PRIVATE_H
#define QH_NODE_CONN_PRIVATE_H

#include "node/conn.h"
#include "node/conn_buffer.h"
#include "node/dispatch.h"

#define CONN_ADDRESS_ROOM 64u

enum conn_state { CONN_HANDSHAKE, CONN_OPEN, CONN_ENDING, CONN_CLOSED };

struct conn {
    struct service *service;
    enum conn_state state;
    struct conn *next, **link; /* in service->conns */
    int fd;
    uv_poll_t poll;
    int events; /* that poll waits for */
    SSL *ssl;
    char address[CONN_ADDRESS_ROOM];

    bool join; /* a node that wants to join */
    bool counted_join;
    bool paused; /* too much is under way */
    bool wants_write;
    bool shut; /* ENDING: last words are written */
    bool handle_closed;
    uint8_t fingerprint[FINGERPRINT_SIZE];
    uint8_t exporter[TLS_SERVER_EXPORTER_SIZE];
    struct dispatch_cache cache;

    unsigned in_flight;
    size_t in_flight_size;
    struct conn_buffer in, out;
    uint64_t records;   /* written under this key */
    uint64_t since_ms;  /* in this state; ENDING: since it was shut */
    uint64_t active_ms; /* last request */
    uint64_t wrote_ms;  /* last progress in writing, or nothing to write */

    bool dirty, resuming;
    struct conn *dirty_next, *resume_next;
};

/* conn.c */

/* Once its handle is closed and its last request answered. */
void conn_free(struct conn *conn);
/* Out of all lists; the memory goes later, so that the caller may go on to its end. */
void conn_shut_down(struct conn *conn);
/* The same, with a line in the log. */
void conn_fail(struct conn *conn, enum qh_err err, const char *detail);
void conn_log_end(struct conn *conn, enum qh_err err, const char *detail);
/* Last words, then nothing but the other side's end is waited for. */
void conn_end(struct conn *conn);
/* It has something to write: conn_flush_all(). */
void conn_mark_dirty(struct conn *conn);
/* It may go on reading, though nothing comes from the socket: conn_resume_all(). */
void conn_mark_resume(struct conn *conn);
/* Have the loop wait for what there is to wait for. */
void conn_watch(struct conn *conn);

/* conn_read.c: read what is there, bounded. */
void conn_read(struct conn *conn);

/* conn_write.c */

/* Old errors of this thread would be taken for this connection's. */
void conn_forget_errors(void);
/* After OpenSSL's @result: it went away, or breaks the rules of TLS. */
void conn_lost(struct conn *conn, int result);
/* Is too much of it under way? */
bool conn_full(const struct conn *conn);
/* An answer that needs no memory but its frame's. */
void conn_put_error(struct conn *conn, uint64_t id, enum qh_err err, const char *detail);

#endif
