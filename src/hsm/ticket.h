/* Tickets: what a login is answered with. Sealed under the ticket key, valid on every node, ended
 * by a change of the PIN (epoch), by time, or with the client's certificate. Pure. */
#ifndef QH_HSM_TICKET_H
#define QH_HSM_TICKET_H

#include "hsm/directory.h"

#define TICKET_SIZE_MAX 192u
/* 7 days, and renewed by a client that runs: servers log in once and never again. It may be long,
 * for a ticket is good for nothing without the key of the client's certificate, and ends at once
 * with the PIN (epoch) and with the enrolment. A client that hears of no node for days keeps its
 * login. */
#define TICKET_LIFETIME_MS (7u * 24u * 3600u * 1000u)

struct ticket {
    uint8_t partition[PARTITION_ID_SIZE]; /* zero for SO */
    enum hsm_role role;
    bool context; /* of a context-specific login: proves the PIN for one operation */
    uint64_t epoch;
    uint8_t fingerprint[FINGERPRINT_SIZE]; /* of the client's certificate */
    uint64_t expires_unix_ms;
};

/* Errors: QH_EROOM. */
QH_RESULT ticket_seal(const struct keyring *keyring, const struct ticket *ticket,
                      uint8_t ret_sealed[TICKET_SIZE_MAX], size_t *ret_size);

/* Errors: QH_ETICKET for whatever is wrong with it: forged, expired, another client's, epoch of the
 * role raised, partition gone. */
QH_RESULT ticket_open(const struct keyring *keyring, const struct directory *directory,
                      struct bytes sealed, const uint8_t fingerprint[FINGERPRINT_SIZE],
                      uint64_t now_unix_ms, struct ticket *ret_ticket);

#endif
