/* The joiner's side of a join. */
#include "node/join_client.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <sodium.h>

#include "crypto/pki.h"
#include "raft-glue/identity.h"
#include "wire/frame.h"

struct attempt {
    const struct join_token *token;
    Quadhsm__Join *join;
    const char *source;
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    uint8_t member_proof[JOIN_TOKEN_PROOF_SIZE];
    char *detail;
    size_t detail_room;
};

/* ---- connecting ---- */

static int bind_source(int fd, const char *source, int family)
{
    struct addrinfo hints = {.ai_family = family, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    int rv;

    if (source[0] == '\0' || getaddrinfo(source, NULL, &hints, &found) != 0) {
        return 0;
    }
    rv = bind(fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return rv;
}

static int connect_one(const struct addrinfo *address, const char *source)
{
    const struct timeval limit = {.tv_sec = JOIN_CLIENT_TIMEOUT_MS / 1000};
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    /* It bounds connect(), too. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (bind_source(fd, source, address->ai_family) != 0 ||
        connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        int error = errno;

        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static QH_RESULT open_socket(struct attempt *attempt, const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    int rv;

    (void)snprintf(service, sizeof service, "%u", port);
    rv = getaddrinfo(host, service, &hints, &found);
    if (rv != 0) {
        (void)snprintf(attempt->detail, attempt->detail_room, "%s: %s", host, gai_strerror(rv));
        return QH_ECONN;
    }
    errno = 0;
    for (const struct addrinfo *next = found; next != NULL && attempt->fd < 0;
         next = next->ai_next) {
        attempt->fd = connect_one(next, attempt->source);
    }
    freeaddrinfo(found);
    if (attempt->fd < 0) {
        (void)snprintf(attempt->detail, attempt->detail_room, "%s:%u: %s", host, port,
                       errno == EAGAIN || errno == EINPROGRESS ? "no answer" : strerror(errno));
        return QH_ECONN;
    }
    return QH_OK;
}

/* ---- TLS: the only authority is the one that the token names ---- */

static X509 *find_authority(X509_STORE_CTX *store, const uint8_t fingerprint[FINGERPRINT_SIZE])
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_untrusted(store);

    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        uint8_t hash[EVP_MAX_MD_SIZE];
        unsigned size = 0;

        if (X509_digest(certificate, EVP_sha256(), hash, &size) == 1 && size == FINGERPRINT_SIZE &&
            sodium_memcmp(hash, fingerprint, FINGERPRINT_SIZE) == 0) {
            return certificate;
        }
    }
    return NULL;
}

static int verify_chain(X509_STORE_CTX *store, void *data)
{
    const struct attempt *attempt = data;
    X509 *authority = find_authority(store, attempt->token->fingerprint);
    STACK_OF(X509) * trusted;
    int rv = 0;

    if (authority == NULL) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
        return 0;
    }
    trusted = sk_X509_new_null();
    if (trusted != NULL && sk_X509_push(trusted, authority) > 0) {
        X509_STORE_CTX_set0_trusted_stack(store, trusted);
        rv = X509_verify_cert(store);
    }
    sk_X509_free(trusted);
    return rv;
}

/* A client's certificate is of the same authority, but no node. */
static bool is_node(const SSL *ssl)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    char name[NODE_NAME_LENGTH_MAX + 2];

    return certificate != NULL &&
           X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name,
                                     (int)sizeof name) > 0 &&
           identity_name_valid(name);
}

static QH_RESULT open_tls(struct attempt *attempt)
{
    static const unsigned char protocol[] = "\x0e" WIRE_ALPN_JOIN;

    _Static_assert(sizeof WIRE_ALPN_JOIN - 1 == 14, "its length stands before it");
    ERR_clear_error();
    attempt->context = SSL_CTX_new(TLS_client_method());
    if (attempt->context == NULL ||
        SSL_CTX_set_min_proto_version(attempt->context, TLS1_3_VERSION) != 1) {
        return QH_ESYSTEM;
    }
    SSL_CTX_set_verify(attempt->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(attempt->context, verify_chain, attempt);
    attempt->ssl = SSL_new(attempt->context);
    if (attempt->ssl == NULL || SSL_set_fd(attempt->ssl, attempt->fd) != 1 ||
        SSL_set_alpn_protos(attempt->ssl, protocol, sizeof protocol - 1) != 0) {
        return QH_ENOMEM;
    }
    if (SSL_connect(attempt->ssl) != 1) {
        (void)snprintf(attempt->detail, attempt->detail_room,
                       "TLS: %s; is the token of this cluster?",
                       SSL_get_verify_result(attempt->ssl) != X509_V_OK
                           ? "the node's certificate is not by the token's authority"
                           : "the handshake failed");
        return QH_ETLS;
    }
    if (!is_node(attempt->ssl)) {
        (void)snprintf(attempt->detail, attempt->detail_room, "whoever answers is no node");
        return QH_EPEER;
    }
    return QH_OK;
}

/* ---- the question ---- */

static QH_RESULT make_proofs(struct attempt *attempt, uint8_t ret_proof[JOIN_TOKEN_PROOF_SIZE])
{
    static const char label[] = "EXPORTER-quadhsm-join";
    uint8_t exporter[32];

    if (SSL_export_keying_material(attempt->ssl, exporter, sizeof exporter, label, sizeof label - 1,
                                   NULL, 0, 0) != 1) {
        return QH_ETLS;
    }
    join_token_proof(attempt->token->secret, exporter, "joiner", ret_proof);
    join_token_proof(attempt->token->secret, exporter, "member", attempt->member_proof);
    return QH_OK;
}

static QH_RESULT send_request(struct attempt *attempt)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    uint8_t proof[JOIN_TOKEN_PROOF_SIZE], id[ONCE_ID_SIZE];
    uint8_t *frame = NULL;
    size_t size = 0;
    enum qh_err err = make_proofs(attempt, proof);

    if (err != QH_OK) {
        return err;
    }
    attempt->join->proof = (ProtobufCBinaryData){.data = proof, .len = sizeof proof};
    request.id = 1;
    /* Another id each time: a stored answer would hold the proof of another connection. */
    randombytes_buf(id, sizeof id);
    request.request_id = (ProtobufCBinaryData){.data = id, .len = sizeof id};
    request.timeout_ms = JOIN_CLIENT_TIMEOUT_MS / 2;
    request.op_case = QUADHSM__REQUEST__OP_JOIN;
    request.join = attempt->join;
    err = wire_pack(&request.base, &frame, &size);
    attempt->join->proof = (ProtobufCBinaryData){0};
    if (err == QH_OK && SSL_write(attempt->ssl, frame, (int)size) != (int)size) {
        err = QH_ECONN;
    }
    wire_free(frame, size);
    return err;
}

static QH_RESULT read_all(SSL *ssl, uint8_t *base, size_t size)
{
    size_t done = 0;

    while (done < size) {
        int rv = SSL_read(ssl, base + done, (int)(size - done));

        if (rv <= 0) {
            return QH_ECONN;
        }
        done += (size_t)rv;
    }
    return QH_OK;
}

static QH_RESULT read_response(struct attempt *attempt, Quadhsm__Response **ret_response)
{
    uint8_t header[FRAME_HEADER_SIZE];
    ProtobufCMessage *message;
    uint8_t *body = NULL;
    size_t size = 0;
    enum qh_err err = read_all(attempt->ssl, header, sizeof header);

    if (err == QH_OK) {
        err = wire_header_read(header, WIRE_FRAME_SIZE_MAX, &size);
    }
    if (err == QH_OK) {
        body = malloc(size);
        err = body != NULL ? read_all(attempt->ssl, body, size) : QH_ENOMEM;
    }
    if (err == QH_OK) {
        err = wire_unpack(&quadhsm__response__descriptor, (struct bytes){body, size}, &message);
    }
    wire_free(body, size);
    if (err == QH_OK) {
        *ret_response = (Quadhsm__Response *)message;
    } else {
        (void)snprintf(attempt->detail, attempt->detail_room, "the node gave no answer");
    }
    return err;
}

/* Its own proof shows that it knows the token's secret, as only a member does. */
static QH_RESULT check_response(struct attempt *attempt, const Quadhsm__Response *response)
{
    if (response->error != QH_OK) {
        (void)snprintf(attempt->detail, attempt->detail_room, "%s",
                       response->detail != NULL ? response->detail : "");
        return (enum qh_err)response->error;
    }
    if (response->result_case != QUADHSM__RESPONSE__RESULT_JOIN ||
        response->join->proof.len != sizeof attempt->member_proof ||
        sodium_memcmp(response->join->proof.data, attempt->member_proof,
                      sizeof attempt->member_proof) != 0) {
        (void)snprintf(attempt->detail, attempt->detail_room,
                       "the node does not know the token's secret");
        return QH_EPEER;
    }
    return QH_OK;
}

static void close_attempt(struct attempt *attempt)
{
    SSL_free(attempt->ssl);
    SSL_CTX_free(attempt->context);
    if (attempt->fd >= 0) {
        (void)close(attempt->fd);
    }
    attempt->ssl = NULL;
    attempt->context = NULL;
    attempt->fd = -1;
}

static QH_RESULT ask(struct attempt *attempt, const char *host, uint16_t port,
                     Quadhsm__Response **ret_response)
{
    Quadhsm__Response *response = NULL;
    enum qh_err err = open_socket(attempt, host, port);

    if (err == QH_OK) {
        err = open_tls(attempt);
    }
    if (err == QH_OK) {
        err = send_request(attempt);
    }
    if (err == QH_OK) {
        err = read_response(attempt, &response);
    }
    if (err == QH_OK) {
        err = check_response(attempt, response);
    }
    close_attempt(attempt);
    if (err == QH_OK) {
        *ret_response = response;
    } else if (response != NULL) {
        wire_message_free(&response->base);
    }
    return err;
}

QH_RESULT join_client_run(const struct join_token *token, Quadhsm__Join *join, const char *source,
                          char *ret_detail, size_t detail_room, Quadhsm__Response **ret_response)
{
    struct attempt attempt = {.token = token,
                              .join = join,
                              .source = source,
                              .fd = -1,
                              .detail = ret_detail,
                              .detail_room = detail_room};
    enum qh_err err = QH_ECONN;

    (void)snprintf(ret_detail, detail_room, "no node of the token answers");
    for (unsigned i = 0; i < token->address_count && err != QH_OK; i++) {
        err = ask(&attempt, token->addresses[i].host, token->addresses[i].port, ret_response);
        if (err == QH_EPERM || err == QH_EEXIST || err == QH_EINVAL || err == QH_ELIMIT) {
            break; /* every member would say so */
        }
    }
    return err;
}
