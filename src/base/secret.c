/* Secrets on libsodium's guarded memory, with a lock that must hold. */
#include "base/secret.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct secret {
    size_t size;
    uint8_t *bytes; /* from sodium_malloc(): the end touches a guard page */
};

QH_RESULT secret_setup(void)
{
    return sodium_init() < 0 ? QH_ESYSTEM : QH_OK;
}

QH_RESULT secret_new(size_t size, struct secret **ret_secret)
{
    enum qh_err err = QH_ENOMEM;
    struct secret *secret = NULL;

    if (size == 0 || size > SECRET_SIZE_MAX) {
        return QH_ELIMIT;
    }
    secret = calloc(1, sizeof *secret);
    if (secret == NULL) {
        goto out;
    }
    secret->size = size;
    secret->bytes = sodium_malloc(size);
    if (secret->bytes == NULL) {
        goto out;
    }
    /* sodium_malloc() locks too, but does not tell if that failed. Locking twice is
     * locking once, and keeps the pages out of core files either way. */
    if (sodium_mlock(secret->bytes, size) != 0) {
        err = QH_ESYSTEM;
        goto out;
    }
    sodium_memzero(secret->bytes, size);
    *ret_secret = secret;
    return QH_OK;
out:
    secret_free(secret);
    return err;
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

void secret_free(struct secret *secret)
{
    if (secret == NULL) {
        return;
    }
    sodium_free(secret->bytes); /* wipes, unlocks and unmaps; NULL is allowed */
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
