/* Slow work at nodes. */
#include "client/attempt.h"

#include "client/handle.h"

/* With the lock. */
static bool works(const struct attempt *attempt, uint64_t deadline_ms, uint64_t now_ms)
{
    uint64_t heard_ms = attempt->begun_ns / 1000000u;

    if (!connection_sent(attempt->connection)) {
        return now_ms < deadline_ms && now_ms < attempt->late_at_ms;
    }
    if (heard_ms < attempt->endpoint->heard_ms) {
        heard_ms = attempt->endpoint->heard_ms;
    }
    return now_ms < heard_ms + ATTEMPT_HUNG_MS;
}

bool attempt_any_works(struct quadhsm *handle, const struct attempt *attempts, size_t count,
                       uint64_t deadline_ms, uint64_t now_ms)
{
    bool any = false;

    handle_lock(handle);
    for (size_t i = 0; i < count && !any; i++) {
        any = works(&attempts[i], deadline_ms, now_ms);
    }
    handle_unlock(handle);
    return any;
}

void attempt_watch(struct quadhsm *handle, const struct attempt *attempts, size_t count,
                   uint64_t now_ms)
{
    handle_lock(handle);
    for (size_t i = 0; i < count; i++) {
        health_hurry(&attempts[i].endpoint->health, now_ms);
    }
    prober_watch(handle);
    handle_unlock(handle);
}
