/* The joiner's side of a join: asks a member over TLS, with the token for mutual proof. Blocks;
 * runs on a worker, before the node has any thread of its own for the network. */
#ifndef QH_NODE_JOIN_CLIENT_H
#define QH_NODE_JOIN_CLIENT_H

#include "base/err.h"
#include "hsm/join_token.h"
#include "proto/quadhsm.pb-c.h"

#define JOIN_CLIENT_TIMEOUT_MS 15000u /* an attempt at one address, from connect to answer */

/* Ask the token's addresses one after the other. @join is complete but its proof; it is
 * the same at all of them, so that the second tells again what the first one's answer was. @source:
 * numeric address to come from, or "". Errors: QH_ECONN, QH_ETLS, QH_EPEER (whoever answers is not
 * of the cluster), and the member's own. @ret_detail gets a text for the user; it is set on every
 * failure. Owns:   wire_message_free() of *ret_response. */
QH_RESULT join_client_run(const struct join_token *token, Quadhsm__Join *join, const char *source,
                          char *ret_detail, size_t detail_room, Quadhsm__Response **ret_response);

#endif
