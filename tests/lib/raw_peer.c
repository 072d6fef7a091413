/* A peer that says anything. */
#include "tests/lib/raw_peer.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raft-glue/hello.h"
#include "tests/lib/certs.h"

int raw_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static bool set_up(struct raw_peer *peer, const char *dir, const char *name)
{
    char certificate[512], key[512];

    certs_path(certificate, sizeof certificate, dir, name, "crt");
    certs_path(key, sizeof key, dir, name, "key");
    peer->context = SSL_CTX_new(TLS_method());
    if (peer->context == NULL ||
        SSL_CTX_use_certificate_file(peer->context, certificate, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(peer->context, key, SSL_FILETYPE_PEM) != 1) {
        return false;
    }
    peer->ssl = SSL_new(peer->context);
    return peer->ssl != NULL && SSL_set_fd(peer->ssl, peer->fd) == 1;
}

bool raw_peer_connect(struct raw_peer *peer, uint16_t port, const char *dir, const char *name,
                      const char *protocol, int version)
{
    unsigned char offer[64];

    peer->fd = raw_connect(port);
    if (peer->fd < 0 || !set_up(peer, dir, name) ||
        SSL_set_max_proto_version(peer->ssl, version) != 1) {
        return false;
    }
    if (protocol != NULL) {
        offer[0] = (unsigned char)strlen(protocol);
        memcpy(offer + 1, protocol, offer[0]);
        if (SSL_set_alpn_protos(peer->ssl, offer, offer[0] + 1u) != 0) {
            return false;
        }
    }
    return SSL_connect(peer->ssl) == 1;
}

static int choose_any(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                      const unsigned char *offered, unsigned int size, void *data)
{
    (void)ssl;
    (void)size;
    (void)data;
    *ret_name = offered + 1;
    *ret_length = offered[0];
    return SSL_TLSEXT_ERR_OK;
}

bool raw_peer_accept(struct raw_peer *peer, int listener, const char *dir, const char *name)
{
    peer->fd = accept(listener, NULL, NULL);
    if (peer->fd < 0 || !set_up(peer, dir, name)) {
        return false;
    }
    SSL_CTX_set_alpn_select_cb(peer->context, choose_any, NULL);
    return SSL_accept(peer->ssl) == 1;
}

bool raw_peer_send(struct raw_peer *peer, const void *base, size_t size)
{
    return SSL_write(peer->ssl, base, (int)size) == (int)size;
}

bool raw_peer_send_frame(struct raw_peer *peer, uint32_t announced, const void *base, size_t size)
{
    const uint8_t head[4] = {(uint8_t)announced, (uint8_t)(announced >> 8),
                             (uint8_t)(announced >> 16), (uint8_t)(announced >> 24)};

    return raw_peer_send(peer, head, sizeof head) && (size == 0 || raw_peer_send(peer, base, size));
}

bool raw_peer_send_hello(struct raw_peer *peer, const struct transport_hello *hello,
                         enum qh_err code)
{
    uint8_t body[HELLO_SIZE_MAX];
    size_t size = hello_encode(hello, code, body);

    return raw_peer_send_frame(peer, (uint32_t)size, body, size);
}

static bool read_all(struct raw_peer *peer, uint8_t *ret_base, size_t size)
{
    while (size > 0) {
        int got = SSL_read(peer->ssl, ret_base, (int)size);

        if (got <= 0) {
            return false;
        }
        ret_base += got;
        size -= (size_t)got;
    }
    return true;
}

bool raw_peer_read_hello(struct raw_peer *peer, struct transport_hello *ret_hello,
                         enum qh_err *ret_code)
{
    uint8_t head[4], body[HELLO_SIZE_MAX];
    size_t size;

    if (!read_all(peer, head, sizeof head)) {
        return false;
    }
    size = (size_t)head[0] | (size_t)head[1] << 8;
    return size <= sizeof body && read_all(peer, body, size) &&
           hello_decode((struct bytes){.base = body, .size = size}, ret_hello, ret_code) == QH_OK;
}

size_t raw_peer_read_rest(struct raw_peer *peer)
{
    uint8_t bytes[4096];
    size_t size = 0;
    int got;

    while ((got = SSL_read(peer->ssl, bytes, (int)sizeof bytes)) > 0) {
        size += (size_t)got;
    }
    return size;
}
