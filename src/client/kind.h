/* What kind of request it is, and what an answer to it means for the rest of the call. Pure. */
#ifndef QH_CLIENT_KIND_H
#define QH_CLIENT_KIND_H

#include <stdbool.h>

#include "base/err.h"
#include "client/hedge.h"
#include "proto/quadhsm.pb-c.h"

/* Does it only use keys? A node that is behind may do that with what it has. */
bool kind_uses_keys(const Quadhsm__Request *request);

enum hedge_kind kind_of(const Quadhsm__Request *request);

/* How long the node may work on it alone, on top of the timeout, which is for reaching a node and
 * a majority. 0: it is not slow. */
#define KIND_WORK_MAX_MS 600000u /* RSA of 8192 bits */
unsigned kind_work_ms(const Quadhsm__Request *request);

/* The level that is asked for: changes and uses of keys see at least what this client saw, other
 * requests what they say, or else @level, the handle's. */
Quadhsm__Level kind_level(const Quadhsm__Request *request, Quadhsm__Level level);

enum kind_verdict {
    KIND_FINAL,     /* the answer, whichever node is asked */
    KIND_ELSEWHERE, /* another node may do it, or the same one later */
    KIND_HOPELESS   /* another node may do it; the same one will not, however long one waits */
};
enum kind_verdict kind_verdict(const Quadhsm__Request *request, enum qh_err err);

/* Of several nodes' errors, the one to report has the highest rank. */
unsigned kind_rank(enum qh_err err);

#endif
