/* Tries of PINs that the store may not know yet: a small table, looked through from end to end,
 * which is nothing beside the check of a PIN. */
#include "node/login_pending.h"

#include <pthread.h>
#include <string.h>

struct pending {
    struct login_who who;
    uint8_t id[ONCE_ID_SIZE];
    uint64_t until_ms;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of what follows */
static struct pending table[LOGIN_PENDING_MAX];
static unsigned count;

static void drop(unsigned index)
{
    table[index] = table[--count];
}

static bool same(const struct login_who *left, const struct login_who *right)
{
    return left->role == right->role &&
           memcmp(left->partition, right->partition, PARTITION_ID_SIZE) == 0 &&
           memcmp(left->client, right->client, CLIENT_ID_SIZE) == 0;
}

/* What is too old goes on the way. */
static uint32_t count_of(const struct login_who *who, const uint8_t id[ONCE_ID_SIZE],
                         uint64_t now_ms, bool *ret_known)
{
    uint32_t tries = 0;

    *ret_known = false;
    for (unsigned i = 0; i < count;) {
        if (now_ms >= table[i].until_ms) {
            drop(i);
            continue;
        }
        if (memcmp(table[i].id, id, ONCE_ID_SIZE) == 0) {
            *ret_known = true;
        }
        tries += same(&table[i].who, who);
        i++;
    }
    return tries;
}

bool login_pending_begin(const struct login_who *who, const uint8_t id[ONCE_ID_SIZE],
                         uint32_t tries, uint64_t now_ms)
{
    bool known, taken;

    (void)pthread_mutex_lock(&mutex);
    taken = count_of(who, id, now_ms, &known) < tries && count < LOGIN_PENDING_MAX;
    if (taken && !known) {
        table[count].who = *who;
        table[count].until_ms = now_ms + LOGIN_PENDING_MS;
        memcpy(table[count].id, id, ONCE_ID_SIZE);
        count++;
    }
    (void)pthread_mutex_unlock(&mutex);
    return taken || known;
}

void login_pending_end(const uint8_t id[ONCE_ID_SIZE])
{
    (void)pthread_mutex_lock(&mutex);
    for (unsigned i = 0; i < count; i++) {
        if (memcmp(table[i].id, id, ONCE_ID_SIZE) == 0) {
            drop(i);
            break;
        }
    }
    (void)pthread_mutex_unlock(&mutex);
}
