/* Failed logins of one role: counted by client and in all, cleared by the right PIN, and what they
 * lock. Pure; the record is l/<partition>/<role> (record.h).
 *
 * PO, CO and CU lock for a client after @tries wrong PINs of its own, and for everybody after
 * @tries_total of all clients together, until they are unlocked. The security officer has nobody
 * above who could unlock, and waits instead. */
#ifndef QH_HSM_LOGINS_H
#define QH_HSM_LOGINS_H

#include "hsm/directory.h"
#include "hsm/record.h"

#define LOGINS_TRIES 10u
#define LOGINS_TRIES_TOTAL 100u
#define LOGINS_SO_TRIES 3u
#define LOGINS_SO_WAIT_MS 60000u

struct logins_rule {
    enum hsm_role role;
    uint32_t tries, tries_total; /* not of SO */
};

/* Errors: QH_ECORRUPT. */
QH_RESULT logins_read(const Qhrec__Logins *message, struct directory_logins *ret_logins);

/* Wrong PINs of this client that stand on record. Of SO those of all. */
uint32_t logins_failed(const struct directory_logins *logins, const struct logins_rule *rule,
                       const uint8_t client[CLIENT_ID_SIZE]);
/* How many wrong PINs this client may still make. 0: locked for it, now. */
uint32_t logins_tries_left(const struct directory_logins *logins, const struct logins_rule *rule,
                           const uint8_t client[CLIENT_ID_SIZE], uint64_t now_unix_ms);
/* Locked for everybody? */
bool logins_locked(const struct directory_logins *logins, const struct logins_rule *rule,
                   uint64_t now_unix_ms);

/* A wrong PIN of @client. When there are too many clients the one that failed longest ago is
 * forgotten; what it adds to all stays. */
void logins_count(struct directory_logins *logins, const struct logins_rule *rule,
                  const uint8_t client[CLIENT_ID_SIZE], uint64_t now_unix_ms);
/* The right PIN. */
void logins_clear(struct directory_logins *logins, const struct logins_rule *rule,
                  const uint8_t client[CLIENT_ID_SIZE]);
bool logins_empty(const struct directory_logins *logins); /* the record may go */

/* Errors: those of record_seal(). Owns: free(ret_value->base). */
QH_RESULT logins_seal(const struct keyring *keyring, const struct record_key *key, struct bytes old,
                      const struct directory_logins *logins, struct bytes *ret_value);

#endif
