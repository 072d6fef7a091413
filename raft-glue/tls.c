/* Set-up of OpenSSL for peer connections, and its errors as text. */
#include "raft-glue/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "raft-glue/identity.h"

/* ALPN: each name with its length before it. */
#define TLS_PROTOCOL_RAFT "quadhsm-raft/1"
#define TLS_PROTOCOL_RPC "quadhsm-rpc/1"

static const char *const tls_protocols[TRANSPORT_CHANNELS] = {
    [TRANSPORT_RAFT] = TLS_PROTOCOL_RAFT,
    [TRANSPORT_RPC] = TLS_PROTOCOL_RPC,
};

void tls_error_text(const SSL *ssl, char *ret_text, size_t room)
{
    long verified = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    /* Of a handshake the last error is the general one, of a file the first is the cause. */
    unsigned long error = ssl != NULL ? ERR_peek_last_error() : ERR_peek_error();
    const char *reason =
        ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);

    ERR_clear_error();
    if (reason == NULL) {
        reason = error == 0 ? "no reason given" : "unknown error";
    }
    if (verified != X509_V_OK) {
        (void)snprintf(ret_text, room, "%s: %s", reason, X509_verify_cert_error_string(verified));
    } else {
        (void)snprintf(ret_text, room, "%s", reason);
    }
}

static int log_file_error(const char *what, const char *file)
{
    char text[TLS_TEXT_ROOM];

    tls_error_text(NULL, text, sizeof text);
    log_error("cannot use the %s: %s file=%s", what, text, file);
    return 0;
}

/* A key that is protected by a password is an error, not a question on the terminal. */
static int refuse_password(char *buffer, int size, int writing, void *data)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)data;
    return -1;
}

static int select_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                           const unsigned char *offered, unsigned int offered_size, void *data)
{
    unsigned int at = 0;

    (void)ssl;
    (void)data;
    while (at < offered_size) {
        unsigned char length = offered[at];

        for (unsigned i = 0; i < TRANSPORT_CHANNELS; i++) {
            if (length == strlen(tls_protocols[i]) && offered_size - at - 1 >= length &&
                memcmp(offered + at + 1, tls_protocols[i], length) == 0) {
                *ret_name = offered + at + 1;
                *ret_length = length;
                return SSL_TLSEXT_ERR_OK;
            }
        }
        at += 1u + length;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* No tickets and no cache: a resumed session would skip the check of the certificate. */
static int restrict_context(SSL_CTX *context)
{
    SSL_CTX_set_default_passwd_cb(context, refuse_password);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    return SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
}

static int load_files(SSL_CTX *context, const struct transport_tls *config)
{
    if (SSL_CTX_load_verify_file(context, config->ca_file) != 1) {
        return log_file_error("certificate authority", config->ca_file);
    }
    if (SSL_CTX_use_certificate_chain_file(context, config->cert_file) != 1) {
        return log_file_error("certificate", config->cert_file);
    }
    if (SSL_CTX_use_PrivateKey_file(context, config->key_file, SSL_FILETYPE_PEM) != 1) {
        return log_file_error("private key", config->key_file);
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        return log_file_error("private key with this certificate", config->key_file);
    }
    return 1;
}

/* Peers will refuse a certificate that our own authority does not vouch for (expired, say).
 * The node starts all the same, since it may still serve what it holds. */
static void warn_of_own_certificate(SSL_CTX *context, const struct transport_tls *config)
{
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = NULL;

    (void)SSL_CTX_get0_chain_certs(context, &chain);
    if (check != NULL &&
        X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context),
                            SSL_CTX_get0_certificate(context), chain) == 1 &&
        X509_verify_cert(check) != 1) {
        log_error("peers will refuse this node's certificate: %s file=%s; install a valid one "
                  "and restart",
                  X509_verify_cert_error_string(X509_STORE_CTX_get_error(check)),
                  config->cert_file);
    }
    X509_STORE_CTX_free(check);
    ERR_clear_error();
}

QH_RESULT tls_context_new(const struct transport_tls *config, SSL_CTX **ret_context)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());

    ERR_clear_error();
    if (context == NULL) {
        return QH_ENOMEM;
    }
    if (!restrict_context(context) || !load_files(context, config)) {
        SSL_CTX_free(context);
        return QH_ETLS;
    }
    warn_of_own_certificate(context, config);
    *ret_context = context;
    return QH_OK;
}

QH_RESULT tls_session_new(SSL_CTX *context, bool dialling, enum transport_channel channel,
                          SSL **ret_ssl)
{
    unsigned char protocol[32];
    size_t length = strlen(tls_protocols[channel]);
    SSL *ssl = SSL_new(context);

    ERR_clear_error();
    if (ssl == NULL) {
        return QH_ENOMEM;
    }
    if (!dialling) {
        SSL_set_accept_state(ssl);
        *ret_ssl = ssl;
        return QH_OK;
    }
    SSL_set_connect_state(ssl);
    protocol[0] = (unsigned char)length;
    memcpy(protocol + 1, tls_protocols[channel], length);
    if (SSL_set_alpn_protos(ssl, protocol, (unsigned)length + 1) != 0) { /* 0 is success */
        SSL_free(ssl);
        return QH_ENOMEM;
    }
    *ret_ssl = ssl;
    return QH_OK;
}

QH_RESULT tls_session_channel(const SSL *ssl, enum transport_channel *ret_channel)
{
    const unsigned char *name = NULL;
    unsigned length = 0;

    SSL_get0_alpn_selected(ssl, &name, &length);
    for (unsigned i = 0; i < TRANSPORT_CHANNELS; i++) {
        if (length == strlen(tls_protocols[i]) && memcmp(name, tls_protocols[i], length) == 0) {
            *ret_channel = (enum transport_channel)i;
            return QH_OK;
        }
    }
    return QH_ETLS;
}

/* Several common names are refused: which one counts would be a matter of taste. */
static QH_RESULT subject_name(const X509_NAME *subject, char ret_name[NODE_NAME_LENGTH_MAX + 1])
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *value;
    char name[NODE_NAME_LENGTH_MAX + 1] = {0};
    int length;

    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return QH_EPEER;
    }
    value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    length = ASN1_STRING_length(value);
    if (length < 1 || length > (int)NODE_NAME_LENGTH_MAX) {
        return QH_EPEER;
    }
    memcpy(name, ASN1_STRING_get0_data(value), (size_t)length);
    if (strlen(name) != (size_t)length || !identity_name_valid(name)) {
        return QH_EPEER;
    }
    memcpy(ret_name, name, sizeof name);
    return QH_OK;
}

QH_RESULT tls_peer_name(const SSL *ssl, char ret_name[NODE_NAME_LENGTH_MAX + 1])
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);

    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        return QH_EPEER;
    }
    return subject_name(X509_get_subject_name(certificate), ret_name);
}
