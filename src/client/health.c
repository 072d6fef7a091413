/* One node's health. */
#include "client/health.h"

#include <string.h>

#define GAIN_ROUND_TRIP 0.125
#define GAIN_JITTER 0.25

void health_init(struct health *health, uint64_t now_ms)
{
    memset(health, 0, sizeof *health);
    health->state = HEALTH_NEW;
    health->readiness = QUADHSM_UNREACHABLE;
    health->next_probe_ms = now_ms;
}

/* @interval_ms, up to a fifth more or less. */
static uint64_t spread(uint64_t interval_ms, uint32_t random)
{
    uint64_t fifth = interval_ms / 5u;

    return interval_ms - fifth + random % (2u * fifth + 1u);
}

static void measure(struct health *health, double round_trip_ms)
{
    double error = round_trip_ms - health->round_trip_ms;

    if (!health->measured) {
        health->measured = true;
        health->round_trip_ms = round_trip_ms;
        health->jitter_ms = round_trip_ms / 2.0;
        return;
    }
    health->jitter_ms += GAIN_JITTER * ((error < 0.0 ? -error : error) - health->jitter_ms);
    health->round_trip_ms += GAIN_ROUND_TRIP * error;
}

void health_pong(struct health *health, uint64_t now_ms, double round_trip_ms,
                 const struct health_pong *pong, unsigned interval_ms, uint32_t random)
{
    uint32_t workers = pong->workers > 0 ? pong->workers : 1u;

    measure(health, round_trip_ms);
    health->state = HEALTH_UP;
    health->failures = 0;
    health->readiness = pong->readiness;
    health->queue_ms = HEALTH_QUEUED_COST_MS * (double)pong->queued / (double)workers;
    health->has_leader = pong->has_leader;
    /* After a recovery the new generation may be at a lower revision. */
    if (pong->generation != health->generation || pong->revision > health->revision) {
        health->revision = pong->revision;
    }
    health->generation = pong->generation;
    health->next_probe_ms = now_ms + spread(interval_ms, random);
}

void health_failed(struct health *health, uint64_t now_ms, uint32_t random)
{
    uint64_t backoff_ms = HEALTH_BACKOFF_MIN_MS;

    for (unsigned i = 0; i < health->failures && backoff_ms < HEALTH_BACKOFF_MAX_MS; i++) {
        backoff_ms *= 2u;
    }
    if (backoff_ms > HEALTH_BACKOFF_MAX_MS) {
        backoff_ms = HEALTH_BACKOFF_MAX_MS;
    }
    /* Many threads see one node die; that is one failure, not one each. */
    if (health->state != HEALTH_DOWN || now_ms >= health->next_probe_ms) {
        health->failures++;
        health->next_probe_ms = now_ms + spread(backoff_ms * 5u / 6u, random);
    }
    health->state = HEALTH_DOWN;
}

void health_late(struct health *health, uint64_t now_ms)
{
    if (health->state != HEALTH_DOWN) {
        health->state = HEALTH_SUSPECT;
        health_hurry(health, now_ms);
    }
}

void health_refused(struct health *health, enum quadhsm_readiness readiness, uint64_t now_ms)
{
    health->readiness = readiness;
    if (health->next_probe_ms > now_ms + HEALTH_BACKOFF_MIN_MS) {
        health->next_probe_ms = now_ms + HEALTH_BACKOFF_MIN_MS;
    }
}

void health_answered(struct health *health, uint64_t revision)
{
    if (revision > health->revision) {
        health->revision = revision;
    }
    if (health->state == HEALTH_SUSPECT) {
        health->state = HEALTH_UP;
    }
    health->failures = 0;
}

void health_hurry(struct health *health, uint64_t now_ms)
{
    if (health->next_probe_ms > now_ms) {
        health->next_probe_ms = now_ms;
    }
}

double health_expected_ms(const struct health *health)
{
    return health->measured ? health->round_trip_ms + health->queue_ms : HEALTH_UNMEASURED_MS;
}

unsigned health_ping_ms(const struct health *health)
{
    double wait_ms = 8.0 * health->round_trip_ms + 8.0 * health->jitter_ms;

    if (!health->measured || wait_ms > (double)HEALTH_PING_MAX_MS) {
        return HEALTH_PING_MAX_MS;
    }
    return wait_ms < (double)HEALTH_PING_MIN_MS ? HEALTH_PING_MIN_MS : (unsigned)wait_ms;
}

enum quadhsm_readiness health_readiness(const struct health *health)
{
    return health->state == HEALTH_UP || health->state == HEALTH_SUSPECT ? health->readiness
                                                                         : QUADHSM_UNREACHABLE;
}
