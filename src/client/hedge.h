/* When to send the same request to another node, too: learnt from how long such requests take.
 * Pure.
 *
 * What is learnt is the time without the round trip, so that it holds for near and far nodes. A
 * budget keeps hedging from doubling the load of a cluster that is merely slow: without a token
 * a request waits for the longest delay of its kind.
 *
 * Thread: the owner's lock. */
#ifndef QH_CLIENT_HEDGE_H
#define QH_CLIENT_HEDGE_H

#include <stdbool.h>
#include <stdint.h>

#define HEDGE_BUDGET_MAX 64.0   /* tokens */
#define HEDGE_BUDGET_EARNED 0.1 /* by an answered request */

enum hedge_kind {
    HEDGE_READ, /* and everything else that is quick */
    HEDGE_USE,  /* a symmetric or elliptic key */
    HEDGE_USE_RSA,
    HEDGE_CHANGE,   /* waits for a majority */
    HEDGE_LOGIN,    /* Argon2id */
    HEDGE_GENERATE, /* primes */
    HEDGE_KINDS
};

struct hedge_learnt {
    bool measured;
    double service_ms;
    double deviation_ms;
};

struct hedge {
    struct hedge_learnt kinds[HEDGE_KINDS];
    double budget;
};

void hedge_init(struct hedge *hedge);
/* An answer came @latency_ms after its own request was sent, from a node @round_trip_ms away. */
void hedge_learn(struct hedge *hedge, enum hedge_kind kind, double latency_ms,
                 double round_trip_ms);
/* How long to wait for a node @round_trip_ms (deviation @jitter_ms) away. @connecting: the
 * connection has to be made first. */
unsigned hedge_delay_ms(const struct hedge *hedge, enum hedge_kind kind, double round_trip_ms,
                        double jitter_ms, bool connecting);
/* The longest delay of the kind. */
unsigned hedge_longest_ms(enum hedge_kind kind);
/* Take a token; false if there is none. */
bool hedge_spend(struct hedge *hedge);

#endif
