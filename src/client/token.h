/* Partitions and logins, for the library's own files. */
#ifndef QH_CLIENT_TOKEN_H
#define QH_CLIENT_TOKEN_H

#include "base/err.h"
#include "client/call.h"

/* client_call() with the token's partition and ticket. A node that no longer accepts the ticket
 * ends the login. The use of a key waits for the revision of the login, and for the min_revision
 * that the request has already, but not for everything that the handle has seen. */
QH_RESULT token_call(struct quadhsm_token *token, Quadhsm__Request *request,
                     Quadhsm__Response **ret_response);
struct quadhsm *token_handle(const struct quadhsm_token *token);

/* The ticket of this thread's quadhsm_login_context() for @token, which is used up by that. The
 * caller wipes it. Its size is 0 if there is none. */
void token_take_context(const struct quadhsm_token *token, struct client_ticket *ret_context);

#endif
