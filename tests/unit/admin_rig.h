/* What the tests of logins and of the security officer's changes share: a node with the real store,
 * view, requests and changes. Threads and Raft are left out: a request runs on at once, and what
 * is proposed waits until the test lets it be applied. */
#ifndef QH_TESTS_UNIT_ADMIN_RIG_H
#define QH_TESTS_UNIT_ADMIN_RIG_H

#include "node/control_private.h"
#include "node/handlers.h"
#include "node/node.h"
#include "tests/unit/hsm_fixture.h"

/* Clients: 1 may use partition 3 alone, 2 is an administrator and may use all. */
enum { USER = 1, ADMIN = 2 };

struct admin_rig {
    struct node node;
    struct control control;
    struct store *store;
    struct keyring *keyring;
    bool no_majority;              /* proposals fail */
    bool fence_next;               /* the next proposal is refused, and its id used up */
    enum request_origin origin;    /* of the requests that begin */
    void (*before_proposal)(void); /* called once, as somebody who is faster */
    Quadhsm__Response *answer;     /* of the request that was answered last, a copy */
    unsigned answered;             /* how many */
    unsigned slow, quick;          /* requests that were given to the workers */
};
extern struct admin_rig rig;

/* Settings, an authority, both clients, and the partitions 3 "first" and 5 "second" without PINs.
 */
void rig_setup(void);
void rig_teardown(void);

/* A request of @client with a request id of its own; partition 3 or none. The operation is to be
 * filled, with memory of wire_allocator. */
Quadhsm__Request *rig_message(uint8_t partition);
/* Begin it. @role: of its ticket. Nothing is applied. */
void rig_begin(Quadhsm__Request *message, uint8_t client, enum hsm_role role,
               void (*handle)(struct request *request));
/* Apply what is proposed, until nothing is. */
void rig_apply(void);
/* Both; the error of the answer. */
enum qh_err rig_ask(Quadhsm__Request *message, uint8_t client, enum hsm_role role,
                    void (*handle)(struct request *request));

/* A transaction of somebody else. */
void rig_put(const struct record_key *key, const ProtobufCMessage *message);

const struct directory_partition *rig_partition(uint8_t fill);

/* Requests that several tests need. */
Quadhsm__Request *rig_login(enum hsm_role role, const char *pin);
Quadhsm__Request *rig_role_init(enum hsm_role role, const char *pin);
enum qh_err rig_log_in(uint8_t client, enum hsm_role role, const char *pin);
void rig_init_role(enum hsm_role role, const char *pin); /* by who stands above it */

#endif
