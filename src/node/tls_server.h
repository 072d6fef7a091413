/* OpenSSL for the client port: TLS 1.3 alone, client certificates by the cluster's authority, and
 * by ALPN what a connection is for. */
#ifndef QH_NODE_TLS_SERVER_H
#define QH_NODE_TLS_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "node/service.h"

#define TLS_SERVER_EXPORTER "EXPORTER-quadhsm-join"
#define TLS_SERVER_EXPORTER_SIZE 32u

struct tls_server_hooks {
    /* Asked in the middle of a handshake, when a client wants to join: is there room for one more?
     * No certificate is asked of it then. @data: of tls_server_session(). */
    bool (*join)(void *data);
};

/* No tickets and no session cache: a resumed session would cost less and skip the check of the
 * certificate, which may have expired since.
 * Errors: QH_ETLS (a file cannot be used; logged), QH_ENOMEM.
 * Owns:   SSL_CTX_free(); @hooks stays the caller's and must stay. */
QH_RESULT tls_server_new(const struct service_tls *files, const struct tls_server_hooks *hooks,
                         SSL_CTX **ret_tls);

/* The server's end of a connection on a socket that does not block. The socket stays the caller's.
 * Errors: QH_ENOMEM. Owns: SSL_free(). */
QH_RESULT tls_server_session(SSL_CTX *tls, int fd, void *data, SSL **ret_ssl);

/* After the handshake. Errors: QH_ETLS (no ALPN, or none of ours). */
QH_RESULT tls_server_protocol(const SSL *ssl, bool *ret_join);

/* The certificate's fingerprint. Errors: QH_EPEER: there is none, or its name is no client's: one
 * common name, PKI_CLIENT_PREFIX and a name. */
QH_RESULT tls_server_client(const SSL *ssl, uint8_t ret_fingerprint[FINGERPRINT_SIZE]);

/* What both ends know and nobody else. Errors: QH_ETLS. */
QH_RESULT tls_server_exporter(SSL *ssl, uint8_t ret_secret[TLS_SERVER_EXPORTER_SIZE]);

#endif
