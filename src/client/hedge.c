/* Delays of hedged requests. */
#include "client/hedge.h"

#include <string.h>

#define GAIN_SERVICE 0.125
#define GAIN_DEVIATION 0.25
/* TCP and TLS take three round trips, and the certificates some computing on both sides. */
#define CONNECT_ROUND_TRIPS 3.0
#define CONNECT_MS 20.0

struct bounds {
    double first; /* until something is known */
    double least, most;
};

/* Changes and logins are safe to repeat, but costly. */
static const struct bounds kind_bounds[HEDGE_KINDS] = {
    [HEDGE_READ] = {100.0, 20.0, 250.0},     [HEDGE_USE] = {100.0, 20.0, 250.0},
    [HEDGE_USE_RSA] = {150.0, 20.0, 250.0},  [HEDGE_CHANGE] = {500.0, 400.0, 2000.0},
    [HEDGE_LOGIN] = {1500.0, 400.0, 5000.0}, [HEDGE_GENERATE] = {3000.0, 1000.0, 20000.0},
};

void hedge_init(struct hedge *hedge)
{
    memset(hedge, 0, sizeof *hedge);
    hedge->budget = HEDGE_BUDGET_MAX;
}

void hedge_learn(struct hedge *hedge, enum hedge_kind kind, double latency_ms, double round_trip_ms)
{
    struct hedge_learnt *learnt = &hedge->kinds[kind];
    double service_ms = latency_ms > round_trip_ms ? latency_ms - round_trip_ms : 0.0;
    double error = service_ms - learnt->service_ms;

    hedge->budget += HEDGE_BUDGET_EARNED;
    if (hedge->budget > HEDGE_BUDGET_MAX) {
        hedge->budget = HEDGE_BUDGET_MAX;
    }
    if (!learnt->measured) {
        learnt->measured = true;
        learnt->service_ms = service_ms;
        learnt->deviation_ms = service_ms / 2.0;
        return;
    }
    learnt->deviation_ms +=
        GAIN_DEVIATION * ((error < 0.0 ? -error : error) - learnt->deviation_ms);
    learnt->service_ms += GAIN_SERVICE * error;
}

unsigned hedge_delay_ms(const struct hedge *hedge, enum hedge_kind kind, double round_trip_ms,
                        double jitter_ms, bool connecting)
{
    const struct hedge_learnt *learnt = &hedge->kinds[kind];
    const struct bounds *bounds = &kind_bounds[kind];
    double delay_ms = bounds->first;

    if (learnt->measured) {
        delay_ms = 3.0 * (learnt->service_ms + round_trip_ms) +
                   4.0 * (learnt->deviation_ms + jitter_ms) + 10.0;
    }
    if (delay_ms < bounds->least) {
        delay_ms = bounds->least;
    }
    if (connecting) {
        delay_ms += CONNECT_ROUND_TRIPS * round_trip_ms + CONNECT_MS;
    }
    return (unsigned)(delay_ms > bounds->most ? bounds->most : delay_ms);
}

unsigned hedge_longest_ms(enum hedge_kind kind)
{
    return (unsigned)kind_bounds[kind].most;
}

bool hedge_spend(struct hedge *hedge)
{
    if (hedge->budget < 1.0) {
        return false;
    }
    hedge->budget -= 1.0;
    return true;
}
