/* One request to the cluster, whichever node answers it: for the public functions, and for the
 * command, whose operations are not in the public header. */
#ifndef QH_CLIENT_CALL_H
#define QH_CLIENT_CALL_H

#include "base/err.h"
#include "client/quadhsm.h"
#include "proto/quadhsm.pb-c.h"

/* Fill in id, min_revision and timeout, send, wait, repeat elsewhere. A change (see
 * call_is_change()) gets its request_id here, once for all attempts. The min_revision of a Use is
 * the caller's: of the key, and of the login.
 *
 * @request stays the caller's. The node's own error comes back as the result, its detail in
 * quadhsm_error_detail().
 * Errors: the response's, QH_ECONN, QH_ETIMEOUT, QH_EUNKNOWN, QH_ETLS, QH_EMALFORMED, QH_ENOMEM.
 * Owns:   *ret_response: wire_message_free(); only on QH_OK. Thread: any. */
QH_RESULT client_call(struct quadhsm *handle, Quadhsm__Request *request,
                      Quadhsm__Response **ret_response);
/* The same at one node and no other: for the status of each. */
QH_RESULT client_call_node(struct quadhsm *handle, const char *node, Quadhsm__Request *request,
                           Quadhsm__Response **ret_response);

bool call_is_change(const Quadhsm__Request *request);

/* Set this thread's quadhsm_error_detail(). */
void client_set_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The token's partition and ticket into @request: borrowed until the token is closed or logged out;
 * call with the copy that client_token_ticket() made. */
#define CLIENT_TICKET_ROOM 192u
struct client_ticket {
    uint8_t partition[QUADHSM_PARTITION_ID_SIZE];
    uint8_t ticket[CLIENT_TICKET_ROOM];
    size_t ticket_size; /* 0: no login */
    uint64_t renew_ms;  /* by the monotonic clock: when it is time to ask for the next one */
};
void client_token_ticket(struct quadhsm_token *token, struct client_ticket *ret_ticket);

#endif
