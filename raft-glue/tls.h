/* What TLS means between nodes: version 1.3 and nothing older, a certificate on both
 * sides, one authority, no resumption. Not the connections themselves (conn.h).
 *
 * Thread: the loop's; OpenSSL's error queue is the thread's own. */
#ifndef QH_GLUE_TLS_H
#define QH_GLUE_TLS_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "base/err.h"
#include "raft-glue/transport.h"

#define TLS_TEXT_ROOM 256u

/* Read authority, certificate and key.
 * Errors: QH_ETLS, QH_ENOMEM; logged with the file and what is wrong with it.
 * Owns:   SSL_CTX_free(). */
QH_RESULT tls_context_new(const struct transport_tls *config, SSL_CTX **ret_context);

/* Make one end of a connection. The dialling end asks for @channel by ALPN.
 * Errors: QH_ENOMEM. Owns: SSL_free(). */
QH_RESULT tls_session_new(SSL_CTX *context, bool dialling, enum transport_channel channel,
                          SSL **ret_ssl);

/* The channel that both sides agreed on. Errors: QH_ETLS if there is none. */
QH_RESULT tls_session_channel(const SSL *ssl, enum transport_channel *ret_channel);

/* The one common name in the peer's certificate.
 * Errors: QH_EPEER: no certificate, no or several names, or not a node's name. */
QH_RESULT tls_peer_name(const SSL *ssl, char ret_name[NODE_NAME_LENGTH_MAX + 1]);

/* Why the last call on @ssl (may be NULL) failed, from OpenSSL's error queue, which
 * is emptied. Never fails; cut to @room. */
void tls_error_text(const SSL *ssl, char *ret_text, size_t room);

#endif
