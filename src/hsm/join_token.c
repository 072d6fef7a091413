/* Join tokens, written and read. */
#include "hsm/join_token.h"

#include <sodium.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "crypto/seal.h"

#define TOKEN_FAMILY "qhjoin" /* what all versions begin with */
#define TOKEN_FLAG_WITNESS 1u
#define TOKEN_BODY_SIZE_MAX                                                      \
    (16u + FINGERPRINT_SIZE + JOIN_TOKEN_ID_SIZE + JOIN_TOKEN_SECRET_SIZE + 2u + \
     JOIN_TOKEN_ADDRESSES_MAX * (3u + JOIN_TOKEN_HOST_LENGTH_MAX))
#define TOKEN_SIZE_MAX (TOKEN_BODY_SIZE_MAX + JOIN_TOKEN_CHECKSUM_SIZE)
#define TOKEN_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(sizeof JOIN_TOKEN_PREFIX - 1 + (TOKEN_SIZE_MAX * 4 + 2) / 3 ==
                   JOIN_TOKEN_TEXT_LENGTH_MAX,
               "the longest text");
_Static_assert(JOIN_TOKEN_SECRET_SIZE == SEAL_KEY_SIZE, "a key to make a MAC with");
_Static_assert(JOIN_TOKEN_PROOF_SIZE == SEAL_MAC_SIZE, "a proof is a MAC");

/* ---- parts of both ways ---- */

static bool host_valid(struct bytes host)
{
    static const char others[] = ".-_:%";

    for (size_t i = 0; i < host.size; i++) {
        uint8_t byte = host.base[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool digit = byte >= '0' && byte <= '9';

        if (!letter && !digit && memchr(others, byte, strlen(others)) == NULL) {
            return false;
        }
    }
    return host.size > 0 && host.size <= JOIN_TOKEN_HOST_LENGTH_MAX;
}

static void checksum(struct bytes body, uint8_t ret_sum[JOIN_TOKEN_CHECKSUM_SIZE])
{
    const unsigned char *prefix = (const unsigned char *)JOIN_TOKEN_PREFIX;
    crypto_generichash_state state;
    uint8_t hash[32];

    QH_ASSERT(crypto_generichash_init(&state, NULL, 0, sizeof hash) == 0);
    QH_ASSERT(crypto_generichash_update(&state, prefix, strlen(JOIN_TOKEN_PREFIX)) == 0);
    QH_ASSERT(crypto_generichash_update(&state, body.base, body.size) == 0);
    QH_ASSERT(crypto_generichash_final(&state, hash, sizeof hash) == 0);
    memcpy(ret_sum, hash, JOIN_TOKEN_CHECKSUM_SIZE);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(hash, sizeof hash);
}

/* ---- writing ---- */

static bool addresses_valid(const struct join_token *token)
{
    if (token->address_count == 0 || token->address_count > JOIN_TOKEN_ADDRESSES_MAX) {
        return false;
    }
    for (unsigned i = 0; i < token->address_count; i++) {
        const char *host = token->addresses[i].host;
        struct bytes span = {(const uint8_t *)host, strnlen(host, sizeof token->addresses->host)};

        if (token->addresses[i].port == 0 || !host_valid(span)) {
            return false;
        }
    }
    return true;
}

static size_t token_encode(const struct join_token *token, uint8_t ret_bytes[TOKEN_SIZE_MAX])
{
    uint8_t sum[JOIN_TOKEN_CHECKSUM_SIZE];
    struct bytes_writer writer;

    bytes_writer_init(&writer, ret_bytes, TOKEN_SIZE_MAX);
    bytes_write_span(&writer, token->cluster, sizeof token->cluster);
    bytes_write_span(&writer, token->fingerprint, sizeof token->fingerprint);
    bytes_write_span(&writer, token->id, sizeof token->id);
    bytes_write_span(&writer, secret_view(token->secret), JOIN_TOKEN_SECRET_SIZE);
    bytes_write_u8(&writer, token->witness ? TOKEN_FLAG_WITNESS : 0);
    bytes_write_u8(&writer, (uint8_t)token->address_count);
    for (unsigned i = 0; i < token->address_count; i++) {
        const char *host = token->addresses[i].host;

        bytes_write_u16(&writer, token->addresses[i].port);
        bytes_write_u8(&writer, (uint8_t)strlen(host));
        bytes_write_span(&writer, host, strlen(host));
    }
    checksum((struct bytes){ret_bytes, writer.size}, sum);
    bytes_write_span(&writer, sum, sizeof sum);
    QH_ASSERT(!writer.failed);
    return writer.size;
}

QH_RESULT join_token_make(const struct join_token *token, struct secret **ret_text)
{
    const size_t prefix_size = strlen(JOIN_TOKEN_PREFIX);
    SECRET_SCOPED struct secret *encoded = NULL;
    struct secret *text;
    size_t size;
    enum qh_err err;

    if (!addresses_valid(token) || token->secret == NULL ||
        secret_size(token->secret) != JOIN_TOKEN_SECRET_SIZE) {
        return QH_EINVAL;
    }
    err = secret_new(TOKEN_SIZE_MAX, &encoded);
    if (err != QH_OK) {
        return err;
    }
    size = token_encode(token, secret_bytes(encoded));
    err = secret_new(prefix_size + sodium_base64_encoded_len(size, TOKEN_VARIANT), &text);
    if (err != QH_OK) {
        return err;
    }
    memcpy(secret_bytes(text), JOIN_TOKEN_PREFIX, prefix_size);
    (void)sodium_bin2base64((char *)secret_bytes(text) + prefix_size,
                            secret_size(text) - prefix_size, secret_view(encoded), size,
                            TOKEN_VARIANT);
    *ret_text = text;
    return QH_OK;
}

/* ---- reading ---- */

static bool read_address(struct bytes_reader *reader, struct join_token *token)
{
    uint16_t port = bytes_read_u16(reader);
    struct bytes host = bytes_read_span(reader, bytes_read_u8(reader));

    if (reader->failed || port == 0 || !host_valid(host)) {
        return false;
    }
    memcpy(token->addresses[token->address_count].host, host.base, host.size);
    token->addresses[token->address_count].port = port;
    token->address_count++;
    return true;
}

static bool read_addresses(struct bytes_reader *reader, struct join_token *token)
{
    unsigned count = bytes_read_u8(reader);

    if (count == 0 || count > JOIN_TOKEN_ADDRESSES_MAX) {
        return false;
    }
    while (token->address_count < count) {
        if (!read_address(reader, token)) {
            return false;
        }
    }
    return reader->left == 0;
}

static void read_fixed(struct bytes_reader *reader, uint8_t *ret_bytes, size_t size)
{
    struct bytes span = bytes_read_span(reader, size);

    if (span.size > 0) {
        memcpy(ret_bytes, span.base, span.size);
    }
}

/* Everything between prefix and checksum, which holds. */
static QH_RESULT token_decode(struct bytes body, struct join_token *token)
{
    struct bytes_reader reader;
    struct bytes secret;
    uint8_t flags;

    bytes_reader_init(&reader, body.base, body.size);
    read_fixed(&reader, token->cluster, sizeof token->cluster);
    read_fixed(&reader, token->fingerprint, sizeof token->fingerprint);
    read_fixed(&reader, token->id, sizeof token->id);
    secret = bytes_read_span(&reader, JOIN_TOKEN_SECRET_SIZE);
    flags = bytes_read_u8(&reader);
    if (reader.failed || flags > TOKEN_FLAG_WITNESS || !read_addresses(&reader, token)) {
        return QH_EMALFORMED;
    }
    token->witness = flags == TOKEN_FLAG_WITNESS;
    return secret_from(secret.base, secret.size, &token->secret);
}

static QH_RESULT prefix_check(const char *text)
{
    if (strncmp(text, JOIN_TOKEN_PREFIX, strlen(JOIN_TOKEN_PREFIX)) == 0) {
        return QH_OK;
    }
    return strncmp(text, TOKEN_FAMILY, strlen(TOKEN_FAMILY)) == 0 ? QH_EVERSION : QH_EMALFORMED;
}

QH_RESULT join_token_parse(const char *text, struct join_token *ret_token)
{
    SECRET_SCOPED struct secret *decoded = NULL;
    struct join_token token = {.secret = NULL};
    uint8_t sum[JOIN_TOKEN_CHECKSUM_SIZE];
    const char *encoded = text + strlen(JOIN_TOKEN_PREFIX);
    struct bytes body;
    size_t size;
    enum qh_err err = prefix_check(text);

    if (err == QH_OK &&
        strnlen(text, JOIN_TOKEN_TEXT_LENGTH_MAX + 1) > JOIN_TOKEN_TEXT_LENGTH_MAX) {
        err = QH_EMALFORMED;
    }
    if (err == QH_OK) {
        err = secret_new(TOKEN_SIZE_MAX, &decoded);
    }
    if (err != QH_OK) {
        return err;
    }
    if (sodium_base642bin(secret_bytes(decoded), TOKEN_SIZE_MAX, encoded, strlen(encoded), NULL,
                          &size, NULL, TOKEN_VARIANT) != 0 ||
        size < sizeof sum) {
        return QH_EMALFORMED;
    }
    body = (struct bytes){secret_view(decoded), size - sizeof sum};
    checksum(body, sum);
    if (sodium_memcmp(sum, body.base + body.size, sizeof sum) != 0) {
        return QH_EMALFORMED;
    }
    err = token_decode(body, &token);
    if (err == QH_OK) {
        *ret_token = token;
    }
    return err;
}

void join_token_close(struct join_token *token)
{
    secret_free(token->secret);
    token->secret = NULL;
}

void join_token_proof(const struct secret *secret, const uint8_t exporter[32], const char *side,
                      uint8_t ret_proof[JOIN_TOKEN_PROOF_SIZE])
{
    static const char context[] = "quadhsm join proof";
    uint8_t data[64];
    struct bytes_writer writer;

    /* What varies in size stands between zeroes, and last what does not. */
    bytes_writer_init(&writer, data, sizeof data);
    bytes_write_span(&writer, context, sizeof context);
    bytes_write_span(&writer, side, strlen(side) + 1);
    bytes_write_span(&writer, exporter, 32);
    QH_ASSERT(!writer.failed);
    seal_mac(secret, (struct bytes){data, writer.size}, ret_proof);
    sodium_memzero(data, sizeof data);
}
