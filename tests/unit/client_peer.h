/* A node as the client library sees it, in a process of its own, which can be killed and stopped:
 * TLS and real frames, and whatever behaviour a test wants. Not a node: it knows no keys. */
#ifndef QH_TESTS_UNIT_CLIENT_PEER_H
#define QH_TESTS_UNIT_CLIENT_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "client/quadhsm.h"
#include "config/client_config.h"
#include "proto/quadhsm.pb-c.h"

enum peer_mode {
    PEER_ANSWERS,
    PEER_FROZEN,   /* SIGSTOP */
    PEER_WORKS,    /* answers pings at once, and everything else after the delay */
    PEER_SLOW,     /* answers pings, and never anything else */
    PEER_BREAKS,   /* closes the connection instead of answering, but for pings */
    PEER_GARBAGE,  /* a frame that is no message */
    PEER_HUGE,     /* announces more than a frame may have */
    PEER_OTHER_ID, /* answers something that was not asked */
    PEER_TRUNCATES /* half a frame, then the end */
};

struct peer_options {
    const char *dir;         /* of the certificates */
    const char *certificate; /* DIR/certificate.crt */
    const char *node;        /* what it says in Pong */
    const char *region;
    const char *alpn; /* NULL: the right one */
    bool tls12;
};

struct peer;

/* Before the test has threads. */
struct peer *peer_start(const struct peer_options *options);
void peer_kill(struct peer *peer); /* SIGKILL */
/* On the same port. */
void peer_restart(struct peer *peer);
void peer_stop(struct peer *peer); /* once, in the end */
uint16_t peer_port(const struct peer *peer);

void peer_set_mode(struct peer *peer, enum peer_mode mode);
void peer_set_delay(struct peer *peer, unsigned delay_ms); /* of every answer */
void peer_set_readiness(struct peer *peer, Quadhsm__Readiness readiness);
/* The error of every answer but Pong; @detail: static. */
void peer_set_error(struct peer *peer, uint32_t error, const char *detail);
void peer_set_revision(struct peer *peer, uint64_t revision);
/* What Endpoints gives: these peers. */
void peer_set_list(struct peer *peer, uint64_t revision, struct peer *const list[], unsigned count);
/* To fill in the response, or return an error, instead of what a peer does by itself. Called in the
 * peer's process; @asked counts its calls, from 0. */
typedef uint32_t (*peer_answer)(unsigned asked, const Quadhsm__Request *request,
                                Quadhsm__Response *response);
void peer_set_answer(struct peer *peer, peer_answer answer);
unsigned peer_asked(struct peer *peer);

/* Requests that came, but for Ping and Endpoints. */
unsigned peer_requests(const struct peer *peer);
unsigned peer_pings(const struct peer *peer);
/* Connections that are open at this moment, and all there ever were. */
unsigned peer_connections(struct peer *peer);
unsigned peer_accepted(const struct peer *peer);
/* Of the last request of that kind. */
struct peer_last {
    uint8_t request_id[16];
    size_t request_id_size;
    uint64_t min_revision;
    uint32_t timeout_ms, work_ms;
    Quadhsm__Level level;
    uint8_t ticket[64], context[64];
    size_t ticket_size, context_size;
};
struct peer_last peer_last(struct peer *peer);

/* A configuration for client_open_config(): certificates DIR/ca.crt, DIR/NAME.crt and DIR/NAME.key,
 * and the peers' addresses. */
struct client_config *peer_config(const char *dir, const char *name, struct peer *const seeds[],
                                  unsigned count);

#endif
