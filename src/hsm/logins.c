/* Failed logins of one role. */
#include "hsm/logins.h"

#include <string.h>

#define CLIENTS_ROOM                                    \
    (sizeof((struct directory_logins *)NULL)->clients / \
     sizeof *((struct directory_logins *)NULL)->clients)

QH_RESULT logins_read(const Qhrec__Logins *message, struct directory_logins *ret_logins)
{
    struct directory_logins logins = {.failed = message->failed};

    if (message->n_clients > CLIENTS_ROOM) {
        return QH_ECORRUPT;
    }
    for (size_t i = 0; i < message->n_clients; i++) {
        if (message->clients[i]->client.len != CLIENT_ID_SIZE) {
            return QH_ECORRUPT;
        }
        memcpy(logins.clients[i].client, message->clients[i]->client.data, CLIENT_ID_SIZE);
        logins.clients[i].failed = message->clients[i]->failed;
    }
    logins.client_count = (unsigned)message->n_clients;
    logins.blocked_until_unix_ms = message->blocked_until_unix_ms;
    *ret_logins = logins;
    return QH_OK;
}

/* CLIENTS_ROOM if it has none on record. */
static unsigned index_of(const struct directory_logins *logins,
                         const uint8_t client[CLIENT_ID_SIZE])
{
    for (unsigned i = 0; i < logins->client_count; i++) {
        if (memcmp(logins->clients[i].client, client, CLIENT_ID_SIZE) == 0) {
            return i;
        }
    }
    return CLIENTS_ROOM;
}

static uint32_t rest(uint32_t limit, uint32_t used)
{
    return used < limit ? limit - used : 0;
}

uint32_t logins_failed(const struct directory_logins *logins, const struct logins_rule *rule,
                       const uint8_t client[CLIENT_ID_SIZE])
{
    unsigned index = index_of(logins, client);

    if (rule->role == HSM_ROLE_SO) {
        return logins->failed;
    }
    return index < CLIENTS_ROOM ? logins->clients[index].failed : 0;
}

bool logins_locked(const struct directory_logins *logins, const struct logins_rule *rule,
                   uint64_t now_unix_ms)
{
    if (rule->role == HSM_ROLE_SO) {
        return now_unix_ms < logins->blocked_until_unix_ms;
    }
    return logins->failed >= rule->tries_total;
}

uint32_t logins_tries_left(const struct directory_logins *logins, const struct logins_rule *rule,
                           const uint8_t client[CLIENT_ID_SIZE], uint64_t now_unix_ms)
{
    uint32_t own, all;

    if (logins_locked(logins, rule, now_unix_ms)) {
        return 0;
    }
    if (rule->role == HSM_ROLE_SO) {
        own = rest(LOGINS_SO_TRIES, logins->failed);
        return own > 0 ? own : 1; /* one more after each wait */
    }
    own = rest(rule->tries, logins_failed(logins, rule, client));
    all = rest(rule->tries_total, logins->failed);
    return own < all ? own : all;
}

static void forget(struct directory_logins *logins, unsigned index)
{
    memmove(&logins->clients[index], &logins->clients[index + 1],
            (logins->client_count - index - 1) * sizeof *logins->clients);
    logins->client_count--;
}

void logins_count(struct directory_logins *logins, const struct logins_rule *rule,
                  const uint8_t client[CLIENT_ID_SIZE], uint64_t now_unix_ms)
{
    unsigned index = index_of(logins, client);
    uint32_t failed = 0;

    if (logins->failed < UINT32_MAX) {
        logins->failed++;
    }
    if (rule->role == HSM_ROLE_SO) {
        if (logins->failed >= LOGINS_SO_TRIES) {
            logins->blocked_until_unix_ms = now_unix_ms + LOGINS_SO_WAIT_MS;
        }
        return;
    }
    /* The list is in the order of the last failure. */
    if (index < CLIENTS_ROOM) {
        failed = logins->clients[index].failed;
        forget(logins, index);
    } else if (logins->client_count == CLIENTS_ROOM) {
        forget(logins, 0);
    }
    memcpy(logins->clients[logins->client_count].client, client, CLIENT_ID_SIZE);
    logins->clients[logins->client_count].failed = failed < UINT32_MAX ? failed + 1 : failed;
    logins->client_count++;
}

void logins_clear(struct directory_logins *logins, const struct logins_rule *rule,
                  const uint8_t client[CLIENT_ID_SIZE])
{
    unsigned index = index_of(logins, client);

    if (rule->role == HSM_ROLE_SO) {
        memset(logins, 0, sizeof *logins);
    } else if (index < CLIENTS_ROOM) {
        logins->failed = rest(logins->failed, logins->clients[index].failed);
        forget(logins, index);
    }
}

bool logins_empty(const struct directory_logins *logins)
{
    return logins->failed == 0 && logins->client_count == 0;
}

QH_RESULT logins_seal(const struct keyring *keyring, const struct record_key *key, struct bytes old,
                      const struct directory_logins *logins, struct bytes *ret_value)
{
    Qhrec__Logins__ByClient clients[CLIENTS_ROOM];
    Qhrec__Logins__ByClient *list[CLIENTS_ROOM];
    Qhrec__Logins message;

    qhrec__logins__init(&message);
    message.failed = logins->failed;
    message.blocked_until_unix_ms = logins->blocked_until_unix_ms;
    message.n_clients = logins->client_count;
    message.clients = list;
    for (unsigned i = 0; i < logins->client_count; i++) {
        qhrec__logins__by_client__init(&clients[i]);
        clients[i].client.data = (uint8_t *)(uintptr_t)logins->clients[i].client;
        clients[i].client.len = CLIENT_ID_SIZE;
        clients[i].failed = logins->clients[i].failed;
        list[i] = &clients[i];
    }
    return record_seal(keyring, key, old, &message.base, ret_value);
}
