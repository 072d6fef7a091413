/* PINs that Argon2id has found right a moment ago, so that it need not find it again for each
 * process of a client: a web server's children, which all log in at once when they are started, or
 * when their node has died, would wait for one another longer than handshakes can.
 *
 * What is kept is a hash of the PIN, by a key of this process that lives in memory for secrets. It
 * is bound to who logs in and to the verifier, so that a PIN that was changed is not known. Whether
 * a role is locked, and whether its PIN was changed, the caller asks as ever; a PIN that is not
 * known costs the same time as before.
 *
 * Of this process; thread: any. */
#ifndef QH_NODE_PINCACHE_H
#define QH_NODE_PINCACHE_H

#include "base/secret.h"
#include "node/login_pending.h"

#define PINCACHE_ENTRIES 256u /* more: the oldest goes */
#define PINCACHE_MS 600000u   /* then Argon2id is asked again */

bool pincache_knows(const struct login_who *who, const char *verifier, const struct secret *pin,
                    uint64_t now_ms);
/* Without memory for secrets nothing is kept. */
void pincache_learn(const struct login_who *who, const char *verifier, const struct secret *pin,
                    uint64_t now_ms);
/* Forget everything, and the key: the node was locked. */
void pincache_clear(void);

#endif
