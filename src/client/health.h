/* What is known of one node: how far away it is, whether it answers, when to ask again. Pure: the
 * time and the randomness are given.
 *
 *              answered               late
 *   NEW --------------------> UP ----------------> SUSPECT
 *    |                        ^ |                    |  |
 *    | failed        answered | | failed    answered |  | failed
 *    v                        | v                    v  v
 *   DOWN ---------------------+ DOWN                UP  DOWN
 *
 * Thread: the owner's lock. */
#ifndef QH_CLIENT_HEALTH_H
#define QH_CLIENT_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "client/quadhsm.h"

#define HEALTH_PROBE_MS 1000u       /* between two pings of a node that answers */
#define HEALTH_PROBE_IDLE_MS 5000u  /* the same when nobody makes calls */
#define HEALTH_BACKOFF_MIN_MS 100u  /* after the first failure; doubled by each further one */
#define HEALTH_BACKOFF_MAX_MS 5000u /* never longer */
#define HEALTH_UNMEASURED_MS 1000.0 /* what is assumed of a node that was never measured */
#define HEALTH_QUEUED_COST_MS 1.0   /* a request that waits for one worker */
#define HEALTH_PING_MIN_MS 250u     /* how long an answer to a ping may take */
#define HEALTH_PING_MAX_MS 2000u

enum health_state { HEALTH_NEW, HEALTH_UP, HEALTH_SUSPECT, HEALTH_DOWN };

struct health {
    enum health_state state;
    enum quadhsm_readiness readiness; /* as it said last; meaningless before it said anything */
    bool measured;
    double round_trip_ms; /* smoothed as TCP does (RFC 6298) */
    double jitter_ms;     /* mean deviation */
    double queue_ms;      /* expected wait for a worker */
    bool has_leader;      /* it could commit a change */
    uint64_t revision;    /* of its store, the highest seen */
    uint64_t generation;
    unsigned failures; /* in a row */
    uint64_t next_probe_ms;
    uint64_t calls, failed_calls;
};

/* A Pong, without what health does not need. */
struct health_pong {
    enum quadhsm_readiness readiness;
    uint32_t queued, workers;
    bool has_leader;
    uint64_t revision, generation;
};

void health_init(struct health *health, uint64_t now_ms);
/* @random: any number; it spreads the probes of many clients. */
void health_pong(struct health *health, uint64_t now_ms, double round_trip_ms,
                 const struct health_pong *pong, unsigned interval_ms, uint32_t random);
/* No connection, or it broke, or a ping was not answered in time. */
void health_failed(struct health *health, uint64_t now_ms, uint32_t random);
/* A call was answered elsewhere before this node did: others avoid it until it is probed. */
void health_late(struct health *health, uint64_t now_ms);
/* A node that took a call said that it cannot serve: as of now, until the next Pong. */
void health_refused(struct health *health, enum quadhsm_readiness readiness, uint64_t now_ms);
/* It answered a call: it lives. */
void health_answered(struct health *health, uint64_t revision);
/* Probe as soon as possible. */
void health_hurry(struct health *health, uint64_t now_ms);

/* Round trip and queue; HEALTH_UNMEASURED_MS if never measured. */
double health_expected_ms(const struct health *health);
/* How long to wait for the answer to a ping. */
unsigned health_ping_ms(const struct health *health);
/* QUADHSM_UNREACHABLE unless it answers. */
enum quadhsm_readiness health_readiness(const struct health *health);

#endif
