/* One request at one node, and whether that node lives while slow work keeps it from answering. */
#ifndef QH_CLIENT_ATTEMPT_H
#define QH_CLIENT_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/connection.h"
#include "client/endpoints.h"

#define ATTEMPT_WATCH_MS 1000u /* how often attempt_watch() is called */
#define ATTEMPT_HUNG_MS 5000u  /* a node that does not even answer pings for so long is hung */

struct quadhsm;

struct attempt {
    struct endpoint *endpoint; /* counted */
    struct connection *connection;
    uint64_t begun_ns;
    uint64_t late_at_ms;
    unsigned delay_ms; /* how long such requests take; then the next node is tried as well */
    bool reused;       /* the connection was there before */
    bool told;         /* the node has said that it is behind */
    bool lowered;      /* and is asked to do with what it has */
    bool ahead;        /* it has what the request wants */
    bool fresh;        /* the connection was used a moment ago */
};

/* Is a node at the work: its connection stands, and it was heard of lately? Before @deadline_ms
 * also one that is still being connected to, unless that takes too long. Without the lock. */
bool attempt_any_works(struct quadhsm *handle, const struct attempt *attempts, size_t count,
                       uint64_t deadline_ms, uint64_t now_ms);
/* Ask them how they are. Without the lock. */
void attempt_watch(struct quadhsm *handle, const struct attempt *attempts, size_t count,
                   uint64_t now_ms);

#endif
