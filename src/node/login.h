/* The check of a PIN, which costs a try if it is wrong: for Login and RolePasswd.
 *
 *   service thread   login_begin()   who, as what, not locked; the PIN leaves the message
 *   slow worker      login_verify()  takes a try, Argon2id
 *   control thread   login_build()   counts the failure, or takes the client's own back
 *
 * A PIN that is known to be right (pincache.h) takes no try and no Argon2id, on a quick worker.
 * A wrong PIN is answered when it is counted, not before. The request id is changed to one that
 * depends on the PIN too: a retry is the same try, another PIN under the same id is not. */
#ifndef QH_NODE_LOGIN_H
#define QH_NODE_LOGIN_H

#include "base/secret.h"
#include "node/login_pending.h"
#include "node/role_record.h"

#define LOGIN_CONTEXT_MS 30000u /* how long the ticket of a context-specific login is good for */

struct login { /* request->state */
    struct request *request;
    struct login_who who;
    enum hsm_role role;
    bool context;
    bool known;   /* the PIN was right a moment ago: what is left to do is quick */
    bool right;   /* what login_verify() found */
    bool claim;   /* there is no PIN yet, and this is the first */
    bool pending; /* a try that may not be counted yet */
    uint64_t epoch;
    char verifier[PASSWORD_VERIFIER_SIZE];
    char new_verifier[PASSWORD_VERIFIER_SIZE]; /* RolePasswd's */
    struct secret *pin;
    struct secret *new_pin; /* RolePasswd's */
};

/* Move a PIN out of a message. Errors: QH_EPINRANGE (empty), QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT login_take_pin(ProtobufCBinaryData *field, struct secret **ret_pin);

/* Makes request->state. Errors (with a detail): QH_EINVAL, QH_EPERM, QH_ENOTFOUND, QH_ENOPIN,
 * QH_EPIN (empty), QH_EPINLOCKED, QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT login_begin(struct request *request, enum hsm_role role, ProtobufCBinaryData *pin,
                      const char **ret_detail);

/* The first PIN of po, of a partition that was made to be claimed; the request id is bound to it as
 * by login_begin(). Errors: as there, and QH_EPINRANGE. */
QH_RESULT login_begin_claim(struct request *request, ProtobufCBinaryData *pin,
                            const char **ret_detail);

/* False: the request was answered. Else login->right says. */
bool login_verify(struct request *request);

/* Claim: makes login->new_verifier of the PIN. False: the request was answered. */
bool login_make(struct request *request);

/* No failures of this client on record, as far as this node knows? */
bool login_clean(const struct request *request);

/* The change of the failed logins. Right: the caller adds its own, and puts or compares the role's
 * record, which is loaded. Wrong: response->error and detail say so. Errors: QH_ECONFLICT (the PIN
 * was changed meanwhile), QH_EPINLOCKED, those of loading and sealing.
 * Owns: role_record_close(), also on failure. */
QH_RESULT login_build(struct request *request, const struct keyring *keyring,
                      const struct store *store, struct change_list *list,
                      struct role_record *ret_record, const char **ret_detail);

/* What helps against QH_ENOPIN and QH_EPINLOCKED. */
const char *login_help_no_pin(enum hsm_role role);
const char *login_help_locked(enum hsm_role role);

#endif
