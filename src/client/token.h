/* Partitions and logins, for the library's own files. */
#ifndef QH_CLIENT_TOKEN_H
#define QH_CLIENT_TOKEN_H

#include <stdbool.h>

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

/* ---- from a process to the child that it forked ---- */

struct token_login {
    enum quadhsm_role role; /* QUADHSM_ROLE_NONE: there is none */
    struct client_ticket ticket;
    uint64_t revision;
    uint8_t certificate[32]; /* SHA-256 of the client's, which the ticket is bound to */
};

/* The login out of @token, which has none afterwards. The caller wipes it. */
void token_take_login(struct quadhsm_token *token, struct token_login *ret_login);
/* Into a token of the same partition. False, and nothing is changed, if it is time to renew it,
 * since who has taken it may have been idle for long, or if the client has another certificate now.
 */
bool token_give_login(struct quadhsm_token *token, const struct token_login *login);

/* ---- renewal, by the prober: no call waits for it, or fails with it ---- */

#define TOKEN_RENEW_PART 3u         /* of its lifetime, after which a ticket is renewed */
#define TOKEN_RENEW_AGAIN_MS 60000u /* what was not answered is asked for again */

struct token_renewal {
    uint64_t login; /* which one: a number that is never used again */
    enum quadhsm_role role;
    struct client_ticket ticket;
};

/* A login through @handle whose ticket it is time to renew: no other caller gets it for a while.
 * False if there is none. Without the lock. The caller wipes it. */
bool token_renewal_begin(struct quadhsm *handle, struct token_renewal *ret_renewal);
/* @renewal stays the caller's for as long as @ret_request and @ret_login are used. */
void token_renewal_request(const struct token_renewal *renewal, Quadhsm__Request *ret_request,
                           Quadhsm__Login *ret_login);
/* What was answered. A login that has ended meanwhile stays so. A refusal does not end it here: the
 * next call learns of it, and can tell the application. Without the lock. */
void token_renewal_end(struct quadhsm *handle, uint64_t login, const Quadhsm__Response *response);

#endif
