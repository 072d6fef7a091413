/* The cluster master key sealed for one node's disk. */
#include "hsm/cmk.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/password.h"
#include "crypto/seal.h"
#include "hsm/keyring.h"

#define CMK_VERSION 1u
#define CMK_MAGIC_SIZE 8u
#define CMK_ZEROES 6u
#define CMK_CLUSTER_SIZE 16u
#define CMK_SALT_SIZE PASSWORD_SALT_SIZE
#define CMK_HEADER_SIZE (CMK_MAGIC_SIZE + 2u + CMK_ZEROES + CMK_CLUSTER_SIZE + CMK_SALT_SIZE)
#define CMK_CHECKSUM_SIZE 16u

_Static_assert(CMK_HEADER_SIZE + KEYRING_CMK_SIZE + SEAL_OVERHEAD + CMK_CHECKSUM_SIZE ==
                   CMK_SEALED_SIZE,
               "the layout");
_Static_assert(CMK_FILE_KEY_SIZE == SEAL_KEY_SIZE, "a key to make a MAC with");

static const uint8_t magic[CMK_MAGIC_SIZE] = {'Q', 'H', 'C', 'M', 'K', 0, 0, 0};

/* The place of what is sealed: the whole header, so that no byte of it can be changed. */
static struct seal_place place_of(const uint8_t cluster[CMK_CLUSTER_SIZE],
                                  const uint8_t header[CMK_HEADER_SIZE])
{
    return (struct seal_place){cluster, {header, CMK_HEADER_SIZE}, 0};
}

static QH_RESULT derive(enum cmk_method method, const struct secret *unlock,
                        const uint8_t salt[CMK_SALT_SIZE], struct secret **ret_key)
{
    struct secret *key;
    enum qh_err err;

    if (method == CMK_PASSPHRASE) {
        return password_derive(unlock, salt, ret_key);
    }
    err = secret_new(SEAL_KEY_SIZE, &key);
    if (err == QH_OK) {
        seal_mac(unlock, (struct bytes){salt, CMK_SALT_SIZE}, secret_bytes(key));
        *ret_key = key;
    }
    return err;
}

static void checksum(const uint8_t *base, uint8_t ret_sum[CMK_CHECKSUM_SIZE])
{
    QH_ASSERT(crypto_generichash(ret_sum, CMK_CHECKSUM_SIZE, base,
                                 CMK_SEALED_SIZE - CMK_CHECKSUM_SIZE, NULL, 0) == 0);
}

static void header_write(uint8_t ret_header[CMK_HEADER_SIZE], enum cmk_method method,
                         const uint8_t cluster[CMK_CLUSTER_SIZE], const uint8_t salt[CMK_SALT_SIZE])
{
    static const uint8_t zeroes[CMK_ZEROES];
    struct bytes_writer writer;

    bytes_writer_init(&writer, ret_header, CMK_HEADER_SIZE);
    bytes_write_span(&writer, magic, sizeof magic);
    bytes_write_u8(&writer, CMK_VERSION);
    bytes_write_u8(&writer, (uint8_t)method);
    bytes_write_span(&writer, zeroes, sizeof zeroes);
    bytes_write_span(&writer, cluster, CMK_CLUSTER_SIZE);
    bytes_write_span(&writer, salt, CMK_SALT_SIZE);
    QH_ASSERT(writer.size == CMK_HEADER_SIZE);
}

QH_RESULT cmk_seal(enum cmk_method method, const struct secret *unlock, const uint8_t cluster[16],
                   const struct secret *cmk, struct bytes *ret_sealed)
{
    SECRET_SCOPED struct secret *key = NULL;
    uint8_t salt[CMK_SALT_SIZE];
    struct seal_place place;
    uint8_t *base;
    size_t size;
    enum qh_err err;

    if (secret_size(cmk) != KEYRING_CMK_SIZE ||
        (method == CMK_FILE && secret_size(unlock) != CMK_FILE_KEY_SIZE)) {
        return QH_EINVAL;
    }
    randombytes_buf(salt, sizeof salt);
    err = derive(method, unlock, salt, &key);
    if (err != QH_OK) {
        return err;
    }
    base = malloc(CMK_SEALED_SIZE);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    header_write(base, method, cluster, salt);
    place = place_of(cluster, base);
    QH_ASSERT(seal_close(key, &place, (struct bytes){secret_view(cmk), secret_size(cmk)},
                         base + CMK_HEADER_SIZE,
                         CMK_SEALED_SIZE - CMK_HEADER_SIZE - CMK_CHECKSUM_SIZE, &size) == QH_OK);
    QH_ASSERT(CMK_HEADER_SIZE + size + CMK_CHECKSUM_SIZE == CMK_SEALED_SIZE);
    checksum(base, base + CMK_HEADER_SIZE + size);
    *ret_sealed = (struct bytes){base, CMK_SEALED_SIZE};
    return QH_OK;
}

/* The version is looked at before size and checksum, which another version may have otherwise. */
static QH_RESULT header_check(struct bytes sealed, const uint8_t cluster[CMK_CLUSTER_SIZE],
                              enum cmk_method *ret_method)
{
    uint8_t expected[CMK_HEADER_SIZE], sum[CMK_CHECKSUM_SIZE];
    const uint8_t *base = sealed.base;

    if (sealed.size <= CMK_MAGIC_SIZE || sodium_memcmp(base, magic, CMK_MAGIC_SIZE) != 0) {
        return QH_EMALFORMED;
    }
    if (base[CMK_MAGIC_SIZE] != CMK_VERSION) {
        return QH_EVERSION;
    }
    if (sealed.size != CMK_SEALED_SIZE) {
        return QH_EMALFORMED;
    }
    checksum(base, sum);
    if (sodium_memcmp(sum, base + CMK_SEALED_SIZE - CMK_CHECKSUM_SIZE, sizeof sum) != 0) {
        return QH_ECORRUPT;
    }
    *ret_method = (enum cmk_method)base[CMK_MAGIC_SIZE + 1];
    if (*ret_method != CMK_FILE && *ret_method != CMK_PASSPHRASE) {
        return QH_EMALFORMED;
    }
    header_write(expected, *ret_method, cluster, base + CMK_HEADER_SIZE - CMK_SALT_SIZE);
    return sodium_memcmp(expected, base, CMK_HEADER_SIZE) == 0 ? QH_OK : QH_ECORRUPT;
}

QH_RESULT cmk_open(const struct secret *unlock, const uint8_t cluster[16], struct bytes sealed,
                   struct secret **ret_cmk)
{
    SECRET_SCOPED struct secret *key = NULL;
    struct seal_place place;
    enum cmk_method method;
    struct bytes inner;
    enum qh_err err = header_check(sealed, cluster, &method);

    if (err != QH_OK) {
        return err;
    }
    if (method == CMK_FILE && secret_size(unlock) != CMK_FILE_KEY_SIZE) {
        return QH_EPIN;
    }
    err = derive(method, unlock, sealed.base + CMK_HEADER_SIZE - CMK_SALT_SIZE, &key);
    if (err != QH_OK) {
        return err;
    }
    place = place_of(cluster, sealed.base);
    inner = (struct bytes){sealed.base + CMK_HEADER_SIZE,
                           CMK_SEALED_SIZE - CMK_HEADER_SIZE - CMK_CHECKSUM_SIZE};
    err = seal_open_secret(key, &place, inner, ret_cmk);
    /* Nothing is damaged, or the checksum would have told. */
    return err == QH_ECORRUPT ? QH_EPIN : err;
}
