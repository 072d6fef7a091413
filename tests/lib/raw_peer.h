/* The other end of a connection as an attacker or a broken program would be: blocking, and free
 * to say anything. For processes made with rig_fork(). */
#ifndef QH_TESTS_LIB_RAW_PEER_H
#define QH_TESTS_LIB_RAW_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft-glue/transport.h"

struct raw_peer {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
};

/* A TCP connection to 127.0.0.1:@port; -1 on failure. */
int raw_connect(uint16_t port);

/* The same with TLS: certificate and key DIR/NAME.*, @protocol for ALPN (NULL: none),
 * at most TLS @version. False if the handshake fails. */
bool raw_peer_connect(struct raw_peer *peer, uint16_t port, const char *dir, const char *name,
                      const char *protocol, int version);
/* Accept one TLS connection on @listener. */
bool raw_peer_accept(struct raw_peer *peer, int listener, const char *dir, const char *name);

bool raw_peer_send(struct raw_peer *peer, const void *base, size_t size);
/* Length @announced, then @size bytes. */
bool raw_peer_send_frame(struct raw_peer *peer, uint32_t announced, const void *base, size_t size);
bool raw_peer_send_hello(struct raw_peer *peer, const struct transport_hello *hello,
                         enum qh_err code);
/* A greeting; false at the end of the stream or if it is none. */
bool raw_peer_read_hello(struct raw_peer *peer, struct transport_hello *ret_hello,
                         enum qh_err *ret_code);
/* Read until the other side closes; what comes is counted. */
size_t raw_peer_read_rest(struct raw_peer *peer);

#endif
