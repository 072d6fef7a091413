/* Set-up of OpenSSL for connections to nodes. */
#include "client/tlsclient.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "crypto/pki.h"
#include "wire/frame.h"

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *library; /* of the process; threads may use it until they end */
static BIO_METHOD *socket_method;

void tlsclient_error_text(const SSL *ssl, char ret_text[TLSCLIENT_TEXT_ROOM])
{
    long verified = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    /* Of a handshake the last error is the general one, of a file the first is the cause. */
    unsigned long error = ssl != NULL ? ERR_peek_last_error() : ERR_peek_error();
    const char *reason =
        ERR_SYSTEM_ERROR(error) ? strerror(ERR_GET_REASON(error)) : ERR_reason_error_string(error);

    ERR_clear_error();
    if (reason == NULL) {
        reason = error == 0 ? "the connection was closed" : "unknown error";
    }
    if (verified != X509_V_OK) {
        (void)snprintf(ret_text, TLSCLIENT_TEXT_ROOM, "%s: %s", reason,
                       X509_verify_cert_error_string(verified));
    } else {
        (void)snprintf(ret_text, TLSCLIENT_TEXT_ROOM, "%s", reason);
    }
}

/* ---- a socket that does not raise SIGPIPE: OpenSSL's own uses write() ---- */

static bool try_again(ssize_t count)
{
    return count < 0 && (errno == EAGAIN || errno == EINTR);
}

static int bio_write(BIO *bio, const char *base, int size)
{
    const struct tlsclient_link *link = BIO_get_data(bio);
    ssize_t count;

    errno = 0;
    count = send(link->fd, base, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
    BIO_clear_retry_flags(bio);
    if (try_again(count)) {
        BIO_set_retry_write(bio);
    }
    return (int)count;
}

static ssize_t receive(struct tlsclient_link *link, void *base, size_t size, int flags)
{
    ssize_t count;

    if (link->errnum != 0) {
        errno = link->errnum;
        link->errnum = 0;
        return -1;
    }
    errno = 0;
    count = recv(link->fd, base, size, flags);
    return count;
}

static ssize_t fill(struct tlsclient_link *link, int flags)
{
    ssize_t count = receive(link, link->buffer, sizeof link->buffer, flags);

    link->start = 0;
    link->size = count > 0 ? (size_t)count : 0;
    return count;
}

static int drain(struct tlsclient_link *link, char *base, size_t size)
{
    size_t count = size < link->size ? size : link->size;

    memcpy(base, link->buffer + link->start, count);
    link->start += count;
    link->size -= count;
    return (int)count;
}

static int bio_read(BIO *bio, char *base, int size)
{
    struct tlsclient_link *link = BIO_get_data(bio);
    ssize_t count;

    BIO_clear_retry_flags(bio);
    if (link->size > 0) {
        return drain(link, base, (size_t)size);
    }
    if ((size_t)size >= sizeof link->buffer) {
        count = receive(link, base, (size_t)size, MSG_DONTWAIT);
    } else {
        count = fill(link, MSG_DONTWAIT);
    }
    if (try_again(count)) {
        BIO_set_retry_read(bio);
    } else if (count == 0) {
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return link->size > 0 ? drain(link, base, (size_t)size) : (int)count;
}

bool tlsclient_link_wait(struct tlsclient_link *link)
{
    ssize_t count = link->size == 0 ? fill(link, 0) : 1;

    if (try_again(count)) {
        return false;
    }
    if (count < 0) {
        link->errnum = errno;
    }
    return true; /* bytes, the end, or an error: the next step tells */
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

static BIO_METHOD *make_socket_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "quadhsm");

    if (method != NULL &&
        (BIO_meth_set_write(method, bio_write) != 1 || BIO_meth_set_read(method, bio_read) != 1 ||
         BIO_meth_set_ctrl(method, bio_ctrl) != 1)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

static BIO *socket_bio_new(struct tlsclient_link *link)
{
    BIO *bio = BIO_new(socket_method);

    if (bio != NULL) {
        BIO_set_data(bio, link);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* ---- context ---- */

static void make_library(void)
{
    library = OSSL_LIB_CTX_new();
    socket_method = make_socket_method();
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

static bool restrict_context(SSL_CTX *context)
{
    static const char protocol[] = WIRE_ALPN_CLIENT;
    unsigned char list[sizeof protocol]; /* its length before it, no zero behind */

    list[0] = (unsigned char)(sizeof protocol - 1);
    memcpy(list + 1, protocol, sizeof protocol - 1);
    SSL_CTX_set_default_passwd_cb(context, refuse_password);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    /* A resumed session would skip the check of the certificate. */
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    /* Decrypted data and tickets pass through the buffers of received plaintext. */
    (void)SSL_CTX_set_options(context,
                              SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_alpn_protos(context, list, sizeof list) == 0; /* 0 is success */
}

static QH_RESULT file_error(const char *what, const char *file, char ret_text[TLSCLIENT_TEXT_ROOM])
{
    char reason[TLSCLIENT_TEXT_ROOM];

    tlsclient_error_text(NULL, reason);
    (void)snprintf(ret_text, TLSCLIENT_TEXT_ROOM, "cannot use the %s %.110s: %.80s", what, file,
                   reason);
    return QH_ETLS;
}

static QH_RESULT load_files(SSL_CTX *context, const char *ca_file, const char *certificate_file,
                            const char *key_file, char ret_text[TLSCLIENT_TEXT_ROOM])
{
    if (SSL_CTX_load_verify_file(context, ca_file) != 1) {
        return file_error("authority", ca_file, ret_text);
    }
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1) {
        return file_error("certificate", certificate_file, ret_text);
    }
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1) {
        return file_error("private key", key_file, ret_text);
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        return file_error("certificate with this private key", key_file, ret_text);
    }
    return QH_OK;
}

QH_RESULT tlsclient_context_new(const char *ca_file, const char *certificate_file,
                                const char *key_file, char ret_text[TLSCLIENT_TEXT_ROOM],
                                SSL_CTX **ret_context)
{
    SSL_CTX *context;
    enum qh_err err;

    (void)pthread_once(&library_once, make_library);
    if (library == NULL || socket_method == NULL) {
        return QH_ENOMEM;
    }
    ERR_clear_error();
    context = SSL_CTX_new_ex(library, NULL, TLS_client_method());
    if (context == NULL || !restrict_context(context)) {
        SSL_CTX_free(context);
        ERR_clear_error();
        return QH_ENOMEM;
    }
    err = load_files(context, ca_file, certificate_file, key_file, ret_text);
    if (err != QH_OK) {
        SSL_CTX_free(context);
        return err;
    }
    *ret_context = context;
    return QH_OK;
}

QH_RESULT tlsclient_session_new(SSL_CTX *context, struct tlsclient_link *link, SSL **ret_ssl)
{
    SSL *ssl = SSL_new(context);
    BIO *bio = ssl != NULL ? socket_bio_new(link) : NULL;

    if (bio == NULL) {
        SSL_free(ssl);
        ERR_clear_error();
        return QH_ENOMEM;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    *ret_ssl = ssl;
    return QH_OK;
}

bool tlsclient_node_name_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    size_t length = strnlen(name, NODE_NAME_LENGTH_MAX + 1);

    return length > 0 && length <= NODE_NAME_LENGTH_MAX && strspn(name, allowed) == length;
}

/* It has a node's name, and stands where it need not be trusted with a PIN. */
static bool is_witness(const X509_NAME *subject)
{
    static const char unit[] = PKI_WITNESS_UNIT;
    int at = -1;

    while ((at = X509_NAME_get_index_by_NID(subject, NID_organizationalUnitName, at)) >= 0) {
        const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

        if (ASN1_STRING_length(value) == (int)sizeof unit - 1 &&
            memcmp(ASN1_STRING_get0_data(value), unit, sizeof unit - 1) == 0) {
            return true;
        }
    }
    return false;
}

/* Several common names are refused: which one counts would be a matter of taste. */
static QH_RESULT subject_name(const X509_NAME *subject, char ret_node[NODE_NAME_LENGTH_MAX + 1])
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *value;
    char name[NODE_NAME_LENGTH_MAX + 1] = {0};
    int length;

    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0 ||
        is_witness(subject)) {
        return QH_EPEER;
    }
    value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    length = ASN1_STRING_length(value);
    if (length < 1 || length > (int)NODE_NAME_LENGTH_MAX) {
        return QH_EPEER;
    }
    memcpy(name, ASN1_STRING_get0_data(value), (size_t)length);
    if (strlen(name) != (size_t)length || !tlsclient_node_name_valid(name)) {
        return QH_EPEER;
    }
    memcpy(ret_node, name, sizeof name);
    return QH_OK;
}

QH_RESULT tlsclient_check(const SSL *ssl, char ret_node[NODE_NAME_LENGTH_MAX + 1])
{
    static const char protocol[] = WIRE_ALPN_CLIENT;
    const unsigned char *selected = NULL;
    unsigned length = 0;
    X509 *certificate = SSL_get0_peer_certificate(ssl);

    SSL_get0_alpn_selected(ssl, &selected, &length);
    if (length != sizeof protocol - 1 || memcmp(selected, protocol, length) != 0) {
        return QH_ETLS;
    }
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        return QH_EPEER;
    }
    return subject_name(X509_get_subject_name(certificate), ret_node);
}
