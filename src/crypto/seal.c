/* Sealing with XChaCha20-Poly1305, derivation of keys, and keyed BLAKE2b. */
#include "crypto/seal.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"

#define SEAL_VERSION 1u
#define SEAL_PREFIX_SIZE 16u /* of the header: version, zeroes and counter */
#define SEAL_NONCE_SIZE 24u
#define SEAL_TAG_SIZE 16u
#define SEAL_CLUSTER_SIZE 16u
#define SEAL_CONTEXT_SIZE 8u

_Static_assert(SEAL_PREFIX_SIZE + SEAL_NONCE_SIZE == SEAL_HEADER_SIZE, "header");
_Static_assert(SEAL_OVERHEAD == SEAL_HEADER_SIZE + SEAL_TAG_SIZE, "overhead");
_Static_assert(SEAL_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key");
_Static_assert(SEAL_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SEAL_TAG_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SEAL_KEY_SIZE == crypto_kdf_KEYBYTES, "derivation");
_Static_assert(SEAL_CONTEXT_SIZE == crypto_kdf_CONTEXTBYTES, "context");

/* What is authenticated with the text: the header's prefix, the cluster, and last, since its size
 * varies, the record's key. */
struct associated {
    uint8_t bytes[SEAL_PREFIX_SIZE + SEAL_CLUSTER_SIZE + STORE_KEY_SIZE_MAX];
    size_t size;
};

static const uint8_t *key_bytes(const struct secret *key)
{
    QH_ASSERT(secret_size(key) == SEAL_KEY_SIZE);
    return secret_view(key);
}

static void associated_fill(struct associated *data, const uint8_t prefix[SEAL_PREFIX_SIZE],
                            const struct seal_place *place)
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, data->bytes, sizeof data->bytes);
    bytes_write_span(&writer, prefix, SEAL_PREFIX_SIZE);
    bytes_write_span(&writer, place->cluster, SEAL_CLUSTER_SIZE);
    bytes_write_span(&writer, place->record_key.base, place->record_key.size);
    QH_ASSERT(!writer.failed); /* no record has a longer key */
    data->size = writer.size;
}

QH_RESULT seal_derive(const struct secret *key, const char *context, uint64_t number,
                      struct secret **ret_key)
{
    char padded[SEAL_CONTEXT_SIZE] = {0};
    struct secret *derived;
    enum qh_err err;

    QH_ASSERT(strlen(context) <= SEAL_CONTEXT_SIZE);
    memcpy(padded, context, strlen(context));
    err = secret_new(SEAL_KEY_SIZE, &derived);
    if (err != QH_OK) {
        return err;
    }
    QH_ASSERT(crypto_kdf_derive_from_key(secret_bytes(derived), SEAL_KEY_SIZE, number, padded,
                                         key_bytes(key)) == 0);
    *ret_key = derived;
    return QH_OK;
}

QH_RESULT seal_close(const struct secret *key, const struct seal_place *place, struct bytes plain,
                     uint8_t *out, size_t room, size_t *ret_size)
{
    static const uint8_t zeroes[7];
    const uint8_t *key_base = key_bytes(key);
    uint8_t nonce[SEAL_NONCE_SIZE];
    struct associated data;
    struct bytes_writer writer;

    if (room < SEAL_OVERHEAD || plain.size > room - SEAL_OVERHEAD) {
        return QH_EROOM;
    }
    randombytes_buf(nonce, sizeof nonce);
    bytes_writer_init(&writer, out, room);
    bytes_write_u8(&writer, SEAL_VERSION);
    bytes_write_span(&writer, zeroes, sizeof zeroes);
    bytes_write_u64(&writer, place->counter);
    bytes_write_span(&writer, nonce, sizeof nonce);
    associated_fill(&data, out, place);
    QH_ASSERT(crypto_aead_xchacha20poly1305_ietf_encrypt(out + SEAL_HEADER_SIZE, NULL, plain.base,
                                                         plain.size, data.bytes, data.size, NULL,
                                                         nonce, key_base) == 0);
    *ret_size = plain.size + SEAL_OVERHEAD;
    return QH_OK;
}

QH_RESULT seal_counter(struct bytes sealed, uint64_t *ret_counter)
{
    struct bytes_reader reader;
    uint64_t counter;
    uint8_t version;
    bool zeroes = true;

    bytes_reader_init(&reader, sealed.base, sealed.size);
    version = bytes_read_u8(&reader);
    if (!reader.failed && version != SEAL_VERSION) {
        return QH_EVERSION;
    }
    for (unsigned i = 0; i < 7; i++) {
        zeroes = bytes_read_u8(&reader) == 0 && zeroes;
    }
    counter = bytes_read_u64(&reader);
    if (reader.failed || !zeroes || sealed.size < SEAL_OVERHEAD) {
        return QH_EMALFORMED;
    }
    *ret_counter = counter;
    return QH_OK;
}

QH_RESULT seal_open(const struct secret *key, const struct seal_place *place, struct bytes sealed,
                    uint8_t *out, size_t room, size_t *ret_size)
{
    const uint8_t *key_base = key_bytes(key);
    struct associated data;
    uint64_t counter;
    enum qh_err err = seal_counter(sealed, &counter);

    if (err != QH_OK) {
        return err;
    }
    if (sealed.size - SEAL_OVERHEAD > room) {
        return QH_EROOM;
    }
    associated_fill(&data, sealed.base, place);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            out, NULL, NULL, sealed.base + SEAL_HEADER_SIZE, sealed.size - SEAL_HEADER_SIZE,
            data.bytes, data.size, sealed.base + SEAL_PREFIX_SIZE, key_base) != 0) {
        return QH_ECORRUPT;
    }
    *ret_size = sealed.size - SEAL_OVERHEAD;
    return QH_OK;
}

QH_RESULT seal_open_secret(const struct secret *key, const struct seal_place *place,
                           struct bytes sealed, struct secret **ret_plain)
{
    SECRET_SCOPED struct secret *plain = NULL;
    uint64_t counter;
    size_t size;
    enum qh_err err = seal_counter(sealed, &counter);

    if (err != QH_OK) {
        return err;
    }
    if (sealed.size == SEAL_OVERHEAD) {
        return QH_EMALFORMED;
    }
    err = secret_new(sealed.size - SEAL_OVERHEAD, &plain);
    if (err != QH_OK) {
        return err == QH_ELIMIT ? QH_EMALFORMED : err;
    }
    err = seal_open(key, place, sealed, secret_bytes(plain), secret_size(plain), &size);
    if (err != QH_OK) {
        return err;
    }
    *ret_plain = plain;
    plain = NULL;
    return QH_OK;
}

void seal_mac(const struct secret *key, struct bytes data, uint8_t ret_mac[SEAL_MAC_SIZE])
{
    QH_ASSERT(crypto_generichash(ret_mac, SEAL_MAC_SIZE, data.base, data.size, key_bytes(key),
                                 SEAL_KEY_SIZE) == 0);
}

QH_RESULT seal_mac_check(const struct secret *key, struct bytes data, struct bytes mac)
{
    uint8_t expected[SEAL_MAC_SIZE];
    bool equal;

    seal_mac(key, data, expected);
    equal = mac.size == SEAL_MAC_SIZE && sodium_memcmp(expected, mac.base, SEAL_MAC_SIZE) == 0;
    sodium_memzero(expected, sizeof expected);
    return equal ? QH_OK : QH_ECORRUPT;
}
