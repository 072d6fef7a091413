/* What TLS means to a client: version 1.3, the cluster's authority, the client's certificate, and
 * sockets that never raise SIGPIPE. Not the connections themselves (connection.h).
 *
 * OpenSSL is used in a library context of our own: an application's engines, providers and
 * openssl.cnf do not change how the cluster is reached, and a provider that stands on our PKCS#11
 * module cannot call itself.
 *
 * Thread: any. Inside the gate (gate.h). */
#ifndef QH_CLIENT_TLSCLIENT_H
#define QH_CLIENT_TLSCLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

#define TLSCLIENT_TEXT_ROOM 256u
#define TLSCLIENT_BUFFER_SIZE 4096u

/* A connected socket, as OpenSSL sees it: no call of it waits, whatever the socket's own flags say,
 * and one that receives takes along what else is there, up to what the buffer holds. */
struct tlsclient_link {
    int fd;
    int errnum; /* of a receive that was made for it, to be told next; 0: none */
    size_t start, size;
    uint8_t buffer[TLSCLIENT_BUFFER_SIZE]; /* ciphertext */
};

/* Authority, certificate chain and key from PEM files.
 * Errors: QH_ETLS with @ret_text, QH_ENOMEM. Owns: SSL_CTX_free(). */
QH_RESULT tlsclient_context_new(const char *ca_file, const char *certificate_file,
                                const char *key_file, char ret_text[TLSCLIENT_TEXT_ROOM],
                                SSL_CTX **ret_context);

/* The calling end of a connection over @link, which stays the caller's, as does its socket.
 * Errors: QH_ENOMEM. Owns: SSL_free(). */
QH_RESULT tlsclient_session_new(SSL_CTX *context, struct tlsclient_link *link, SSL **ret_ssl);

/* Receive into the empty buffer, waiting for as long as the socket does. False: nothing came. No
 * call of OpenSSL: outside the gate. */
bool tlsclient_link_wait(struct tlsclient_link *link);

/* After the handshake: the right protocol, and the certificate of a node.
 * Errors: QH_ETLS, QH_EPEER: no name, several, or not a node's. */
QH_RESULT tlsclient_check(const SSL *ssl, char ret_node[NODE_NAME_LENGTH_MAX + 1]);

/* Letters, digits, '-' and '.', 1 to NODE_NAME_LENGTH_MAX. */
bool tlsclient_node_name_valid(const char *name);

/* Why the last call failed, from OpenSSL's error queue, which is emptied. @ssl may be NULL. */
void tlsclient_error_text(const SSL *ssl, char ret_text[TLSCLIENT_TEXT_ROOM]);

#endif
