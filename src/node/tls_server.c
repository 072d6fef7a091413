/* Set-up of OpenSSL for the client port. */
#include "node/tls_server.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/log.h"
#include "crypto/pki.h"
#include "raft-glue/tls.h"
#include "wire/frame.h"

static bool offers(const unsigned char *offered, unsigned size, const char *protocol,
                   const unsigned char **ret_name)
{
    size_t wanted = strlen(protocol);
    unsigned at = 0;

    while (at < size) {
        unsigned char length = offered[at];

        if (length == wanted && size - at - 1 >= length &&
            memcmp(offered + at + 1, protocol, length) == 0) {
            *ret_name = offered + at + 1;
            return true;
        }
        at += 1u + length;
    }
    return false;
}

/* Runs before the server says whether it wants a certificate. Who offers both is a client. */
static int select_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                           const unsigned char *offered, unsigned int offered_size, void *data)
{
    const struct tls_server_hooks *hooks = data;

    if (offers(offered, offered_size, WIRE_ALPN_CLIENT, ret_name)) {
        *ret_length = sizeof WIRE_ALPN_CLIENT - 1;
        return SSL_TLSEXT_ERR_OK;
    }
    if (offers(offered, offered_size, WIRE_ALPN_JOIN, ret_name) &&
        hooks->join(SSL_get_app_data(ssl))) {
        *ret_length = sizeof WIRE_ALPN_JOIN - 1;
        SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int refuse_password(char *buffer, int size, int writing, void *data)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

static bool restrict_context(SSL_CTX *tls)
{
    SSL_CTX_set_default_passwd_cb(tls, refuse_password);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    (void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    /* PINs pass through the buffers of received plaintext. A client that dies sends no alert:
     * frames tell where they end, so that is no error. */
    (void)SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(tls,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls, 1);
    return SSL_CTX_set_num_tickets(tls, 0) == 1 &&
           SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(tls, TLS1_3_VERSION) == 1;
}

static bool log_file_error(const char *what, const char *file)
{
    char text[TLS_TEXT_ROOM];

    tls_error_text(NULL, text, sizeof text);
    log_error("cannot use the %s: %s file=%s", what, text, file);
    return false;
}

static bool load_files(SSL_CTX *tls, const struct service_tls *files)
{
    if (SSL_CTX_load_verify_file(tls, files->ca_file) != 1) {
        return log_file_error("certificate authority", files->ca_file);
    }
    if (SSL_CTX_use_certificate_chain_file(tls, files->cert_file) != 1) {
        return log_file_error("certificate", files->cert_file);
    }
    if (SSL_CTX_use_PrivateKey_file(tls, files->key_file, SSL_FILETYPE_PEM) != 1) {
        return log_file_error("private key", files->key_file);
    }
    if (SSL_CTX_check_private_key(tls) != 1) {
        return log_file_error("private key with this certificate", files->key_file);
    }
    return true;
}

QH_RESULT tls_server_new(const struct service_tls *files, const struct tls_server_hooks *hooks,
                         SSL_CTX **ret_tls)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    ERR_clear_error();
    if (tls == NULL) {
        return QH_ENOMEM;
    }
    SSL_CTX_set_alpn_select_cb(tls, select_protocol, (void *)(uintptr_t)hooks);
    if (!restrict_context(tls) || !load_files(tls, files)) {
        SSL_CTX_free(tls);
        ERR_clear_error();
        return QH_ETLS;
    }
    *ret_tls = tls;
    return QH_OK;
}

QH_RESULT tls_server_session(SSL_CTX *tls, int fd, void *data, SSL **ret_ssl)
{
    SSL *ssl = SSL_new(tls);
    BIO *bio = BIO_new_socket(fd, BIO_NOCLOSE);

    ERR_clear_error();
    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        (void)BIO_free(bio);
        return QH_ENOMEM;
    }
    SSL_set_bio(ssl, bio, bio);
    (void)SSL_set_app_data(ssl, data);
    SSL_set_accept_state(ssl);
    *ret_ssl = ssl;
    return QH_OK;
}

QH_RESULT tls_server_protocol(const SSL *ssl, bool *ret_join)
{
    const unsigned char *name = NULL;
    unsigned length = 0;

    SSL_get0_alpn_selected(ssl, &name, &length);
    if (length == sizeof WIRE_ALPN_CLIENT - 1 && memcmp(name, WIRE_ALPN_CLIENT, length) == 0) {
        *ret_join = false;
        return QH_OK;
    }
    if (length == sizeof WIRE_ALPN_JOIN - 1 && memcmp(name, WIRE_ALPN_JOIN, length) == 0) {
        *ret_join = true;
        return QH_OK;
    }
    return QH_ETLS;
}

/* Several common names are refused: which one counts would be a matter of taste. */
static bool names_client(const X509_NAME *subject)
{
    static const char prefix[] = PKI_CLIENT_PREFIX;
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    char name[sizeof prefix + CLIENT_NAME_LENGTH_MAX] = {0};
    const ASN1_STRING *value;
    int length;

    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return false;
    }
    value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    length = ASN1_STRING_length(value);
    if (length <= (int)sizeof prefix - 1 || length >= (int)sizeof name) {
        return false;
    }
    memcpy(name, ASN1_STRING_get0_data(value), (size_t)length);
    return strlen(name) == (size_t)length && strncmp(name, prefix, sizeof prefix - 1) == 0;
}

QH_RESULT tls_server_client(const SSL *ssl, uint8_t ret_fingerprint[FINGERPRINT_SIZE])
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    unsigned size = FINGERPRINT_SIZE;

    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK ||
        !names_client(X509_get_subject_name(certificate)) ||
        X509_digest(certificate, EVP_sha256(), ret_fingerprint, &size) != 1) {
        return QH_EPEER;
    }
    return QH_OK;
}

QH_RESULT tls_server_exporter(SSL *ssl, uint8_t ret_secret[TLS_SERVER_EXPORTER_SIZE])
{
    if (SSL_export_keying_material(ssl, ret_secret, TLS_SERVER_EXPORTER_SIZE, TLS_SERVER_EXPORTER,
                                   sizeof TLS_SERVER_EXPORTER - 1, NULL, 0, 0) != 1) {
        ERR_clear_error();
        return QH_ETLS;
    }
    return QH_OK;
}
