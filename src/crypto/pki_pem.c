/* PEM, written and read without OpenSSL, so that no copy of a key is left in its buffers. */
#include "crypto/pki.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define PEM_LINE_SIZE 48u /* bytes, which are 64 characters */
#define PEM_LINE_LENGTH 64u
#define PEM_CERT_BEGIN "-----BEGIN CERTIFICATE-----\n"
#define PEM_CERT_END "-----END CERTIFICATE-----\n"
#define PEM_KEY_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define PEM_KEY_END "-----END PRIVATE KEY-----\n"

static size_t pem_size(size_t der_size, const char *begin, const char *end)
{
    size_t lines = (der_size + PEM_LINE_SIZE - 1) / PEM_LINE_SIZE;

    return strlen(begin) + (der_size + 2) / 3 * 4 + lines + strlen(end);
}

/* Writes pem_size() bytes and a zero. */
static void pem_write(struct bytes der, const char *begin, const char *end, uint8_t *out)
{
    size_t size = pem_size(der.size, begin, end);
    struct bytes_writer writer;

    bytes_writer_init(&writer, out, size + 1);
    bytes_write_span(&writer, begin, strlen(begin));
    for (size_t at = 0; at < der.size; at += PEM_LINE_SIZE) {
        size_t part = der.size - at < PEM_LINE_SIZE ? der.size - at : PEM_LINE_SIZE;
        char line[PEM_LINE_LENGTH + 1];

        (void)sodium_bin2base64(line, sizeof line, der.base + at, part,
                                sodium_base64_VARIANT_ORIGINAL);
        bytes_write_span(&writer, line, strlen(line));
        bytes_write_u8(&writer, '\n');
        sodium_memzero(line, sizeof line);
    }
    bytes_write_span(&writer, end, strlen(end) + 1);
    QH_ASSERT(!writer.failed);
    QH_ASSERT(writer.size == size + 1);
}

QH_RESULT pki_cert_to_pem(struct bytes cert, struct pki_der *ret_pem)
{
    size_t size = pem_size(cert.size, PEM_CERT_BEGIN, PEM_CERT_END);
    uint8_t *base = malloc(size + 1);

    if (base == NULL) {
        return QH_ENOMEM;
    }
    pem_write(cert, PEM_CERT_BEGIN, PEM_CERT_END, base);
    *ret_pem = (struct pki_der){base, size};
    return QH_OK;
}

QH_RESULT pki_key_to_pem(const struct secret *key, struct secret **ret_pem)
{
    struct bytes der = {secret_view(key), secret_size(key)};
    struct secret *pem;
    enum qh_err err = secret_new(pem_size(der.size, PEM_KEY_BEGIN, PEM_KEY_END) + 1, &pem);

    if (err != QH_OK) {
        return err == QH_ELIMIT ? QH_ESYSTEM : err;
    }
    pem_write(der, PEM_KEY_BEGIN, PEM_KEY_END, secret_bytes(pem));
    *ret_pem = pem;
    return QH_OK;
}

/* What stands between the markers. False if there is none. */
static bool pem_body(struct bytes pem, struct bytes *ret_body)
{
    const char begin[] = "-----BEGIN CERTIFICATE-----";
    const char end[] = "-----END CERTIFICATE-----";
    const uint8_t *from = memmem(pem.base, pem.size, begin, strlen(begin));
    const uint8_t *to;

    if (from == NULL) {
        return false;
    }
    from += strlen(begin);
    to = memmem(from, (size_t)(pem.base + pem.size - from), end, strlen(end));
    if (to == NULL) {
        return false;
    }
    *ret_body = (struct bytes){from, (size_t)(to - from)};
    return true;
}

QH_RESULT pki_cert_from_pem(struct bytes pem, struct pki_der *ret_cert)
{
    struct bytes body;
    uint8_t *base;
    size_t size;

    /* Four characters for three bytes, and room for line ends and blanks. */
    if (pem.size == 0 || !pem_body(pem, &body) || body.size > PKI_DER_SIZE_MAX * 2u) {
        return QH_EMALFORMED;
    }
    base = malloc(PKI_DER_SIZE_MAX);
    if (base == NULL) {
        return QH_ENOMEM;
    }
    if (sodium_base642bin(base, PKI_DER_SIZE_MAX, (const char *)body.base, body.size, " \t\r\n",
                          &size, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        !pki_cert_valid((struct bytes){base, size})) {
        free(base);
        return QH_EMALFORMED;
    }
    *ret_cert = (struct pki_der){base, size};
    return QH_OK;
}
