/* A role's PIN and its failed logins as the store has them, for building a change: loaded, changed,
 * put into the list with the compares that make it safe. Thread: control. */
#ifndef QH_NODE_ROLE_RECORD_H
#define QH_NODE_ROLE_RECORD_H

#include "hsm/logins.h"
#include "node/change.h"

/* c/settings (SO) or p/<partition>. */
struct role_record {
    struct record_key key;
    ProtobufCMessage *message;
    struct store_record record;
    struct logins_rule rule;
    const char *verifier; /* "": the role has no PIN; into @message */
    uint64_t epoch;
};

/* Errors: QH_ENOTFOUND, those of record_load(). Owns: role_record_close(). */
QH_RESULT role_record_load(const struct keyring *keyring, const struct store *store,
                           const uint8_t partition[PARTITION_ID_SIZE], enum hsm_role role,
                           struct role_record *ret_record);
void role_record_close(struct role_record *record); /* one that is zero all over is allowed */

/* Nothing of it may change while the transaction is under way. */
void role_record_compare(const struct role_record *record, struct change_list *list);
/* Another PIN: raises the epoch, which ends all tickets, and puts the record.
 * Errors: QH_ENOMEM, those of record_seal(). */
QH_RESULT role_record_put(const struct keyring *keyring, struct role_record *record,
                          const char *verifier, struct change_list *list);

/* A partition's role gets another verifier ("": no PIN), or with NULL keeps its own; either way the
 * epoch is raised. Nothing is put yet. Errors: QH_ENOMEM. */
QH_RESULT role_record_reset(struct role_record *record, enum hsm_role role, const char *verifier);
/* The record as it is now. Errors: those of record_seal(). */
QH_RESULT role_record_write(const struct keyring *keyring, const struct role_record *record,
                            struct change_list *list);

/* l/<partition>/<role>. */
struct logins_record {
    struct record_key key;
    bool exists;
    struct store_record record;
    struct directory_logins logins;
};

/* Errors: those of record_load() but QH_ENOTFOUND, QH_ECORRUPT. */
QH_RESULT logins_record_load(const struct keyring *keyring, const struct store *store,
                             const uint8_t partition[PARTITION_ID_SIZE], enum hsm_role role,
                             struct logins_record *ret_record);
/* As record->logins is now. Errors: those of record_seal(). */
QH_RESULT logins_record_put(const struct keyring *keyring, const struct logins_record *record,
                            struct change_list *list);
/* Forget all failures, whatever the record holds. Nothing to do if there is none. */
void logins_record_delete(const struct store *store, const uint8_t partition[PARTITION_ID_SIZE],
                          enum hsm_role role, struct change_list *list);

#endif
