/* PINs that were found right a moment ago: a small table, looked through from end to end, which is
 * nothing beside the check of a PIN. */
#include "node/pincache.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/password.h"
#include "crypto/seal.h"

#define DATA_SIZE_MAX \
    (PARTITION_ID_SIZE + CLIENT_ID_SIZE + sizeof(uint32_t) + PASSWORD_VERIFIER_SIZE + PIN_SIZE_MAX)

struct entry {
    uint8_t mac[SEAL_MAC_SIZE];
    uint64_t until_ms; /* 0: none */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static struct secret *key;                                /* NULL: nothing is known */
static struct entry table[PINCACHE_ENTRIES];

/* What stands before the PIN has always the same size. */
static QH_RESULT make_mac(const struct login_who *who, const char *verifier,
                          const struct secret *pin, uint8_t ret_mac[SEAL_MAC_SIZE])
{
    SECRET_SCOPED struct secret *data = NULL;
    uint8_t padded[PASSWORD_VERIFIER_SIZE] = {0};
    struct bytes_writer writer;
    enum qh_err err = secret_new(DATA_SIZE_MAX, &data);

    if (err != QH_OK) {
        return err;
    }
    memcpy(padded, verifier, strnlen(verifier, sizeof padded));
    bytes_writer_init(&writer, secret_bytes(data), DATA_SIZE_MAX);
    bytes_write_span(&writer, who->partition, PARTITION_ID_SIZE);
    bytes_write_span(&writer, who->client, CLIENT_ID_SIZE);
    bytes_write_u32(&writer, who->role);
    bytes_write_span(&writer, padded, sizeof padded);
    bytes_write_span(&writer, secret_view(pin), secret_size(pin));
    QH_ASSERT(!writer.failed);
    seal_mac(key, (struct bytes){secret_view(data), writer.size}, ret_mac);
    return QH_OK;
}

/* With the mutex. NULL: it is not there. */
static struct entry *find(const uint8_t mac[SEAL_MAC_SIZE], uint64_t now_ms)
{
    struct entry *found = NULL;

    for (unsigned i = 0; i < PINCACHE_ENTRIES; i++) {
        if (now_ms < table[i].until_ms && sodium_memcmp(table[i].mac, mac, SEAL_MAC_SIZE) == 0) {
            found = &table[i];
        }
    }
    return found;
}

bool pincache_knows(const struct login_who *who, const char *verifier, const struct secret *pin,
                    uint64_t now_ms)
{
    uint8_t mac[SEAL_MAC_SIZE];
    bool known;

    (void)pthread_mutex_lock(&mutex);
    known = key != NULL && make_mac(who, verifier, pin, mac) == QH_OK && find(mac, now_ms) != NULL;
    (void)pthread_mutex_unlock(&mutex);
    return known;
}

static struct entry *oldest(void)
{
    struct entry *entry = &table[0];

    for (unsigned i = 1; i < PINCACHE_ENTRIES; i++) {
        if (table[i].until_ms < entry->until_ms) {
            entry = &table[i];
        }
    }
    return entry;
}

/* With the mutex. */
static bool have_key(void)
{
    if (key == NULL && secret_new(SEAL_KEY_SIZE, &key) == QH_OK) {
        randombytes_buf(secret_bytes(key), SEAL_KEY_SIZE);
    }
    return key != NULL;
}

void pincache_learn(const struct login_who *who, const char *verifier, const struct secret *pin,
                    uint64_t now_ms)
{
    uint8_t mac[SEAL_MAC_SIZE];
    struct entry *entry;

    (void)pthread_mutex_lock(&mutex);
    if (have_key() && make_mac(who, verifier, pin, mac) == QH_OK) {
        entry = find(mac, now_ms);
        entry = entry != NULL ? entry : oldest();
        memcpy(entry->mac, mac, sizeof mac);
        entry->until_ms = now_ms + PINCACHE_MS;
    }
    (void)pthread_mutex_unlock(&mutex);
}

void pincache_clear(void)
{
    (void)pthread_mutex_lock(&mutex);
    sodium_memzero(table, sizeof table);
    secret_cleanup(&key);
    (void)pthread_mutex_unlock(&mutex);
}
