/* The choice of a node. */
#include "client/choice.h"

#include <stdint.h>

enum choice_class choice_classify(const struct health *health, bool change)
{
    switch (health->state) {
    case HEALTH_DOWN:
        return CHOICE_DOWN;
    case HEALTH_NEW:
    case HEALTH_SUSPECT:
        return CHOICE_DOUBTFUL;
    case HEALTH_UP:
        break;
    }
    if (health->readiness != QUADHSM_READY) {
        return CHOICE_UNABLE;
    }
    return change && !health->has_leader ? CHOICE_DOUBTFUL : CHOICE_READY;
}

static bool better(const struct choice_candidate *left, const struct choice_candidate *right)
{
    if (left->class != right->class) {
        return left->class < right->class;
    }
    if (left->near != right->near) {
        return left->near;
    }
    return left->expected_ms < right->expected_ms;
}

static bool clearly_better(const struct choice_candidate *left,
                           const struct choice_candidate *right)
{
    if (left->class != right->class || left->near != right->near) {
        return better(left, right);
    }
    return left->expected_ms < right->expected_ms * CHOICE_MARGIN_RATIO &&
           left->expected_ms + CHOICE_MARGIN_MS < right->expected_ms;
}

size_t choice_best(const struct choice_candidate *candidates, size_t count, size_t current)
{
    size_t best = CHOICE_NONE;

    for (size_t i = 0; i < count; i++) {
        if (!candidates[i].excluded &&
            (best == CHOICE_NONE || better(&candidates[i], &candidates[best]))) {
            best = i;
        }
    }
    if (best == CHOICE_NONE || current == CHOICE_NONE || candidates[current].excluded) {
        return best;
    }
    return clearly_better(&candidates[best], &candidates[current]) ? best : current;
}

size_t choice_spread(const struct choice_candidate *candidates, size_t count, size_t turn)
{
    size_t fastest = choice_best(candidates, count, CHOICE_NONE);
    size_t best = CHOICE_NONE;
    double limit_ms;

    if (fastest == CHOICE_NONE) {
        return CHOICE_NONE;
    }
    limit_ms = candidates[fastest].expected_ms * CHOICE_NEAR_RATIO + CHOICE_NEAR_MS;
    for (size_t k = 0; k < count; k++) {
        size_t i = (turn + k) % count;
        const struct choice_candidate *candidate = &candidates[i];

        if (candidate->excluded || candidate->class != candidates[fastest].class ||
            candidate->near != candidates[fastest].near || candidate->expected_ms > limit_ms) {
            continue;
        }
        if (best == CHOICE_NONE || candidate->in_flight < candidates[best].in_flight) {
            best = i;
        }
    }
    return best;
}
