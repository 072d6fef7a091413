/* Tries of PINs that the store may not know yet: being checked at this moment, or wrong and on
 * their way to be counted. Without this, many tries at once would all be made before the first
 * is counted, and a node without a majority could be asked for ever.
 *
 * A try whose fate stays unknown is forgotten after LOGIN_PENDING_MS. Of this process; thread:
 * any. */
#ifndef QH_NODE_LOGIN_PENDING_H
#define QH_NODE_LOGIN_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define LOGIN_PENDING_MAX 4096u
#define LOGIN_PENDING_MS 600000u

/* Whose tries are counted together. */
struct login_who {
    uint8_t partition[PARTITION_ID_SIZE]; /* zero for SO */
    uint8_t client[CLIENT_ID_SIZE];       /* zero for SO: all clients together */
    uint32_t role;
};

/* Take one of the @tries that @who has left by the store. False: they are all pending, or there
 * is no room. The same @id again is the same try. */
bool login_pending_begin(const struct login_who *who, const uint8_t id[ONCE_ID_SIZE],
                         uint32_t tries, uint64_t now_ms);
/* It was right, or it is counted. */
void login_pending_end(const uint8_t id[ONCE_ID_SIZE]);

#endif
