/* A role's PIN and its failed logins, for building a change. */
#include "node/role_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "wire/frame.h"

static void value_free(struct bytes value)
{
    free((void *)(uintptr_t)value.base);
}

/* ---- the PIN ---- */

static Qhrec__RoleAuth *find_auth(const struct role_record *record, enum hsm_role role)
{
    Qhrec__Partition *partition = (Qhrec__Partition *)record->message;

    if (role == HSM_ROLE_SO) {
        return ((Qhrec__Settings *)record->message)->so;
    }
    for (size_t i = 0; i < partition->n_roles; i++) {
        if (partition->roles[i]->role == (uint32_t)role) {
            return partition->roles[i];
        }
    }
    return NULL;
}

QH_RESULT role_record_load(const struct keyring *keyring, const struct store *store,
                           const uint8_t partition[PARTITION_ID_SIZE], enum hsm_role role,
                           struct role_record *ret_record)
{
    struct role_record record = {.rule = {.role = role}};
    bool cluster = role == HSM_ROLE_SO;
    const Qhrec__RoleAuth *auth;
    enum qh_err err;

    record.key = cluster ? record_key_settings() : record_key_partition(partition);
    err = record_load(keyring, store, &record.key,
                      cluster ? &qhrec__settings__descriptor : &qhrec__partition__descriptor,
                      &record.message, &record.record);
    if (err != QH_OK) {
        return err;
    }
    if (!cluster) {
        record.rule.tries = ((Qhrec__Partition *)record.message)->tries;
        record.rule.tries_total = ((Qhrec__Partition *)record.message)->tries_total;
    }
    auth = find_auth(&record, role);
    record.verifier = auth != NULL ? auth->verifier : "";
    record.epoch = auth != NULL ? auth->epoch : 0;
    *ret_record = record;
    return QH_OK;
}

void role_record_close(struct role_record *record)
{
    wire_message_free(record->message);
    record->message = NULL;
}

void role_record_compare(const struct role_record *record, struct change_list *list)
{
    change_compare(list, TXN_AT_REVISION, record_key_bytes(&record->key),
                   record->record.mod_revision);
}

/* One more in the partition's list of roles. NULL without memory. */
static Qhrec__RoleAuth *add_auth(Qhrec__Partition *partition, enum hsm_role role)
{
    Qhrec__RoleAuth **roles = wire_zalloc((partition->n_roles + 1) * sizeof(Qhrec__RoleAuth *));
    Qhrec__RoleAuth *auth = wire_zalloc(sizeof *auth);

    if (roles == NULL || auth == NULL) {
        wire_allocator.free(wire_allocator.allocator_data, roles);
        wire_allocator.free(wire_allocator.allocator_data, auth);
        return NULL;
    }
    qhrec__role_auth__init(auth);
    auth->role = (uint32_t)role;
    for (size_t i = 0; i < partition->n_roles; i++) {
        roles[i] = partition->roles[i];
    }
    roles[partition->n_roles] = auth;
    wire_allocator.free(wire_allocator.allocator_data, partition->roles);
    partition->roles = roles;
    partition->n_roles++;
    return auth;
}

static QH_RESULT set_verifier(Qhrec__RoleAuth *auth, const char *verifier)
{
    char *copy = wire_string(verifier);

    if (copy == NULL) {
        return QH_ENOMEM;
    }
    /* The generated code's empty string is not of the heap. */
    if (auth->verifier != protobuf_c_empty_string) {
        wire_allocator.free(wire_allocator.allocator_data, auth->verifier);
    }
    auth->verifier = copy;
    auth->epoch++;
    return QH_OK;
}

QH_RESULT role_record_put(const struct keyring *keyring, struct role_record *record,
                          const char *verifier, struct change_list *list)
{
    Qhrec__RoleAuth *auth = find_auth(record, record->rule.role);
    enum qh_err err;

    if (auth == NULL) {
        QH_ASSERT(record->rule.role != HSM_ROLE_SO);
        auth = add_auth((Qhrec__Partition *)record->message, record->rule.role);
    }
    err = auth != NULL ? set_verifier(auth, verifier) : QH_ENOMEM;
    if (err == QH_OK && record->rule.role == HSM_ROLE_PO) {
        ((Qhrec__Partition *)record->message)->claimable = false; /* it has an owner now */
    }
    if (err == QH_OK) {
        record->verifier = auth->verifier;
        record->epoch = auth->epoch;
        err = role_record_write(keyring, record, list);
    }
    return err;
}

QH_RESULT role_record_reset(struct role_record *record, enum hsm_role role, const char *verifier)
{
    Qhrec__RoleAuth *auth = find_auth(record, role);

    if (auth == NULL && verifier != NULL) {
        auth = add_auth((Qhrec__Partition *)record->message, role);
        if (auth == NULL) {
            return QH_ENOMEM;
        }
    }
    if (auth == NULL) {
        return QH_OK; /* it never had a PIN, and nobody a ticket */
    }
    if (verifier == NULL) {
        auth->epoch++;
        return QH_OK;
    }
    return set_verifier(auth, verifier);
}

QH_RESULT role_record_write(const struct keyring *keyring, const struct role_record *record,
                            struct change_list *list)
{
    struct bytes value;
    enum qh_err err =
        record_seal(keyring, &record->key, record->record.value, record->message, &value);

    if (err == QH_OK) {
        role_record_compare(record, list);
        change_put(list, record_key_bytes(&record->key), value);
        value_free(value);
    }
    return err;
}

/* ---- failed logins ---- */

QH_RESULT logins_record_load(const struct keyring *keyring, const struct store *store,
                             const uint8_t partition[PARTITION_ID_SIZE], enum hsm_role role,
                             struct logins_record *ret_record)
{
    struct logins_record record = {.key = record_key_logins(partition, (uint32_t)role)};
    ProtobufCMessage *message;
    enum qh_err err = record_load(keyring, store, &record.key, &qhrec__logins__descriptor, &message,
                                  &record.record);

    if (err == QH_OK) {
        record.exists = true;
        err = logins_read((const Qhrec__Logins *)message, &record.logins);
        wire_message_free(message);
    } else if (err == QH_ENOTFOUND) {
        err = QH_OK;
    }
    if (err == QH_OK) {
        *ret_record = record;
    }
    return err;
}

QH_RESULT logins_record_put(const struct keyring *keyring, const struct logins_record *record,
                            struct change_list *list)
{
    struct bytes key = record_key_bytes(&record->key);
    struct bytes old = record->exists ? record->record.value : (struct bytes){NULL, 0};
    struct bytes value;
    enum qh_err err;

    change_compare(list, record->exists ? TXN_AT_REVISION : TXN_ABSENT, key,
                   record->exists ? record->record.mod_revision : 0);
    if (logins_empty(&record->logins)) {
        if (record->exists) {
            change_delete(list, key);
        }
        return QH_OK;
    }
    err = logins_seal(keyring, &record->key, old, &record->logins, &value);
    if (err == QH_OK) {
        change_put(list, key, value);
        value_free(value);
    }
    return err;
}

void logins_record_delete(const struct store *store, const uint8_t partition[PARTITION_ID_SIZE],
                          enum hsm_role role, struct change_list *list)
{
    struct record_key key = record_key_logins(partition, (uint32_t)role);
    struct store_record record;

    if (store_get(store, record_key_bytes(&key), &record)) {
        change_compare(list, TXN_AT_REVISION, record_key_bytes(&key), record.mod_revision);
        change_delete(list, record_key_bytes(&key));
    }
}
