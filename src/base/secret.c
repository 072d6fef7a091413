/* Secrets on libsodium's guarded memory, with a lock that must hold.
 *
 * Making a guarded page takes a dozen system calls, and a key pair half a dozen secrets. So a page
 * that is let go of is kept for the next secret, wiped, locked and without access, which takes two.
 * The secret lies at its end, which touches a guard page, behind a canary. */
#include "base/secret.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

#define CANARY_SIZE 16u
#define BLOCK_SIZE (4096u - CANARY_SIZE) /* with libsodium's own canary one page */
#define BLOCKS_KEPT_MAX 64u

struct secret {
    size_t size;
    uint8_t *bytes; /* in memory of sodium_malloc(): the end touches a guard page */
    uint8_t *block; /* of BLOCK_SIZE, which ends there too; NULL: one of its own */
    pid_t pid;      /* whose lock it is: a child of fork() has none */
};

static struct {
    pthread_mutex_t lock; /* only tried: it may be held for ever in a child of fork() */
    pid_t pid;            /* whose blocks these are */
    unsigned count;
    uint8_t *blocks[BLOCKS_KEPT_MAX];
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;
static enum qh_err setup_result;
static uint8_t canary[CANARY_SIZE];

static void setup(void)
{
    setup_result = sodium_init() < 0 ? QH_ESYSTEM : QH_OK;
    if (setup_result == QH_OK) {
        randombytes_buf(canary, sizeof canary);
    }
}

QH_RESULT secret_setup(void)
{
    (void)pthread_once(&setup_once, setup);
    return setup_result;
}

/* ---- blocks that are kept ---- */

/* NULL: there is none. */
static uint8_t *take_block(pid_t pid)
{
    uint8_t *block = NULL;

    if (pthread_mutex_trylock(&kept.lock) != 0) {
        return NULL;
    }
    if (kept.pid != pid) {
        kept.pid = pid;
        kept.count = 0; /* the parent's: locked there, not here */
    }
    if (kept.count > 0) {
        block = kept.blocks[--kept.count];
    }
    (void)pthread_mutex_unlock(&kept.lock);
    if (block != NULL && sodium_mprotect_readwrite(block) != 0) {
        sodium_free(block);
        return NULL;
    }
    return block;
}

/* False: there is no room. */
static bool keep_block(uint8_t *block, pid_t pid)
{
    bool room;

    if (sodium_mprotect_noaccess(block) != 0 || pthread_mutex_trylock(&kept.lock) != 0) {
        return false;
    }
    room = kept.pid == pid && kept.count < BLOCKS_KEPT_MAX;
    if (room) {
        kept.blocks[kept.count++] = block;
    }
    (void)pthread_mutex_unlock(&kept.lock);
    return room;
}

/* sodium_malloc() locks too, but does not tell if that failed. Locking twice is locking once, and
 * keeps the pages out of core files either way. */
static QH_RESULT map(size_t size, uint8_t **ret_bytes)
{
    uint8_t *bytes = sodium_malloc(size);

    if (bytes == NULL) {
        return QH_ENOMEM;
    }
    if (sodium_mlock(bytes, size) != 0) {
        sodium_free(bytes);
        return QH_ESYSTEM;
    }
    sodium_memzero(bytes, size);
    *ret_bytes = bytes;
    return QH_OK;
}

/* ---- secrets ---- */

static QH_RESULT place(struct secret *secret)
{
    enum qh_err err = QH_OK;

    if (secret->size > BLOCK_SIZE - CANARY_SIZE) {
        return map(secret->size, &secret->bytes);
    }
    secret->pid = getpid();
    secret->block = take_block(secret->pid);
    if (secret->block == NULL) {
        err = map(BLOCK_SIZE, &secret->block);
    }
    if (err == QH_OK) {
        secret->bytes = secret->block + BLOCK_SIZE - secret->size;
        memcpy(secret->bytes - CANARY_SIZE, canary, CANARY_SIZE);
    }
    return err;
}

QH_RESULT secret_new(size_t size, struct secret **ret_secret)
{
    struct secret *secret;
    enum qh_err err;

    if (size == 0 || size > SECRET_SIZE_MAX) {
        return QH_ELIMIT;
    }
    secret = calloc(1, sizeof *secret);
    if (secret == NULL) {
        return QH_ENOMEM;
    }
    secret->size = size;
    err = place(secret);
    if (err != QH_OK) {
        free(secret);
        return err;
    }
    *ret_secret = secret;
    return QH_OK;
}

QH_RESULT secret_from(const void *base, size_t size, struct secret **ret_secret)
{
    struct secret *secret;
    enum qh_err err = secret_new(size, &secret);

    if (err != QH_OK) {
        return err;
    }
    memcpy(secret->bytes, base, size);
    *ret_secret = secret;
    return QH_OK;
}

static void release_block(struct secret *secret)
{
    pid_t pid = getpid();

    if (sodium_memcmp(secret->bytes - CANARY_SIZE, canary, CANARY_SIZE) != 0) {
        (void)raise(SIGSEGV); /* as libsodium does */
        abort();
    }
    sodium_memzero(secret->bytes - CANARY_SIZE, CANARY_SIZE + secret->size);
    if (secret->pid != pid || !keep_block(secret->block, pid)) {
        sodium_free(secret->block);
    }
}

void secret_free(struct secret *secret)
{
    if (secret == NULL) {
        return;
    }
    if (secret->block != NULL) {
        release_block(secret);
    } else {
        sodium_free(secret->bytes); /* wipes, unlocks and unmaps */
    }
    free(secret);
}

uint8_t *secret_bytes(struct secret *secret)
{
    QH_ASSERT(secret != NULL);
    return secret->bytes;
}

const uint8_t *secret_view(const struct secret *secret)
{
    QH_ASSERT(secret != NULL);
    return secret->bytes;
}

size_t secret_size(const struct secret *secret)
{
    QH_ASSERT(secret != NULL);
    return secret->size;
}

bool secret_equal(const struct secret *left, const struct secret *right)
{
    QH_ASSERT(left != NULL);
    QH_ASSERT(right != NULL);
    return left->size == right->size && sodium_memcmp(left->bytes, right->bytes, left->size) == 0;
}

void secret_cleanup(struct secret **secret)
{
    secret_free(*secret);
    *secret = NULL;
}
