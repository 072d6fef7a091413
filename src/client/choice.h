/* Which node a request goes to next. Pure.
 *
 * Nodes are compared by class first (one that is ready and answers before all others), then by the
 * preferred region, then by expected time. A node that is in use stays in use unless another is
 * clearly better, so that two near equals do not take turns. */
#ifndef QH_CLIENT_CHOICE_H
#define QH_CLIENT_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

#include "client/health.h"

#define CHOICE_NONE SIZE_MAX
/* Switching pays if the other one is this much faster: a fifth, and half a millisecond. */
#define CHOICE_MARGIN_RATIO 0.8
#define CHOICE_MARGIN_MS 0.5
/* Near, when work is spread: up to this much slower than the fastest. */
#define CHOICE_NEAR_RATIO 1.5
#define CHOICE_NEAR_MS 1.0

enum choice_class {
    CHOICE_READY,
    CHOICE_DOUBTFUL, /* late, or never heard of: worth a try */
    CHOICE_UNABLE,   /* answers, and said that it cannot serve */
    CHOICE_DOWN
};

struct choice_candidate {
    enum choice_class class;
    bool near; /* in the preferred region; true if none is preferred */
    double expected_ms;
    unsigned in_flight; /* calls of this handle under way there */
    bool excluded;      /* tried already, or another address of a node that is there twice */
};

/* @change: a node that knows no leader comes after those that do. */
enum choice_class choice_classify(const struct health *health, bool change);

/* The best one that is not excluded, CHOICE_NONE if all are. @current: the one in use, or
 * CHOICE_NONE. */
size_t choice_best(const struct choice_candidate *candidates, size_t count, size_t current);

/* The one with the least to do among the near ones. @turn: a number that grows, so that equals take
 * turns. */
size_t choice_spread(const struct choice_candidate *candidates, size_t count, size_t turn);

#endif
