/* A scripted node. */
#include "tests/unit/client_peer.h"

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/certs.h"
#include "tests/lib/test.h"
#include "wire/frame.h"

#define LIST_MAX 8u

/* In memory that all processes share. */
struct peer {
    char dir[256], certificate[64];
    char node[64], region[32], alpn[32];
    bool tls12;
    pthread_mutex_t lock;
    pid_t supervisor, worker;
    int command[2], done[2]; /* pipes to and from the supervisor */
    SSL_CTX *context;        /* the worker's own */
    int listener;
    uint16_t port;
    unsigned connections;
    enum peer_mode mode;
    unsigned delay_ms;
    Quadhsm__Readiness readiness;
    uint32_t error;
    char detail[64];
    uint64_t revision;
    uint64_t list_revision;
    struct listed {
        char node[64], region[32];
        uint16_t port;
    } list[LIST_MAX];
    unsigned list_count;
    peer_answer answer;
    unsigned asked;
    struct peer_last last;
    atomic_uint requests, pings, accepted;
};

struct visitor {
    struct peer *peer;
    int fd;
};

static void need(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "peer: %s\n", what);
        abort();
    }
}

static void lock(struct peer *peer)
{
    need(pthread_mutex_lock(&peer->lock) == 0, "lock");
}

static void unlock(struct peer *peer)
{
    need(pthread_mutex_unlock(&peer->lock) == 0, "unlock");
}

/* ---- answers ---- */

static void fill_pong(struct peer *peer, Quadhsm__Response *response)
{
    Quadhsm__Pong *pong = wire_zalloc(sizeof *pong);

    need(pong != NULL, "memory");
    quadhsm__pong__init(pong);
    pong->readiness = peer->readiness;
    pong->node = wire_string(peer->node);
    pong->region = wire_string(peer->region);
    pong->workers = 1;
    pong->generation = 1;
    pong->has_leader = true;
    pong->endpoints_revision = peer->list_revision;
    response->result_case = QUADHSM__RESPONSE__RESULT_PONG;
    response->pong = pong;
}

static void fill_list(struct peer *peer, Quadhsm__Response *response)
{
    static const uint8_t cluster[16] = "the same cluster";
    Quadhsm__EndpointList *list = wire_zalloc(sizeof *list);

    need(list != NULL, "memory");
    quadhsm__endpoint_list__init(list);
    list->endpoints_revision = peer->list_revision;
    list->cluster_name = wire_string("test");
    list->cluster = wire_bytes((struct bytes){.base = cluster, .size = sizeof cluster});
    list->endpoints = wire_zalloc((peer->list_count + 1) * sizeof *list->endpoints);
    for (unsigned i = 0; i < peer->list_count; i++) {
        Quadhsm__Endpoint *endpoint = wire_zalloc(sizeof *endpoint);

        quadhsm__endpoint__init(endpoint);
        endpoint->node = wire_string(peer->list[i].node);
        endpoint->region = wire_string(peer->list[i].region);
        endpoint->host = wire_string("127.0.0.1");
        endpoint->port = peer->list[i].port;
        list->endpoints[list->n_endpoints++] = endpoint;
    }
    response->result_case = QUADHSM__RESPONSE__RESULT_ENDPOINTS;
    response->endpoints = list;
}

/* The name of the node that answered, as output. */
static void fill_output(struct peer *peer, Quadhsm__Response *response)
{
    Quadhsm__Output *output = wire_zalloc(sizeof *output);

    need(output != NULL, "memory");
    quadhsm__output__init(output);
    output->data =
        wire_bytes((struct bytes){.base = (const uint8_t *)peer->node, .size = strlen(peer->node)});
    response->result_case = QUADHSM__RESPONSE__RESULT_OUTPUT;
    response->output = output;
}

static void remember(struct peer *peer, const Quadhsm__Request *request)
{
    struct peer_last *last = &peer->last;

    memset(last, 0, sizeof *last);
    last->request_id_size = request->request_id.len;
    if (request->request_id.len == sizeof last->request_id) {
        memcpy(last->request_id, request->request_id.data, sizeof last->request_id);
    }
    last->min_revision = request->min_revision;
    last->timeout_ms = request->timeout_ms;
    last->work_ms = request->work_ms;
    last->level = request->level;
    if (request->ticket.len > 0 && request->ticket.len <= sizeof last->ticket) {
        memcpy(last->ticket, request->ticket.data, request->ticket.len);
        last->ticket_size = request->ticket.len;
    }
    if (request->op_case == QUADHSM__REQUEST__OP_USE && request->use->context_ticket.len > 0 &&
        request->use->context_ticket.len <= sizeof last->context) {
        memcpy(last->context, request->use->context_ticket.data, request->use->context_ticket.len);
        last->context_size = request->use->context_ticket.len;
    }
}

static Quadhsm__Response *respond(struct peer *peer, const Quadhsm__Request *request)
{
    Quadhsm__Response *response = wire_zalloc(sizeof *response);

    need(response != NULL, "memory");
    quadhsm__response__init(response);
    response->id = request->id;
    lock(peer);
    response->revision = peer->revision;
    if (request->op_case == QUADHSM__REQUEST__OP_PING) {
        fill_pong(peer, response);
    } else if (request->op_case == QUADHSM__REQUEST__OP_ENDPOINTS) {
        fill_list(peer, response);
    } else {
        remember(peer, request);
        if (peer->answer != NULL) {
            response->error = peer->answer(peer->asked++, request, response);
        } else if (peer->error != 0) {
            response->error = peer->error;
            response->detail = wire_string(peer->detail);
        } else {
            fill_output(peer, response);
        }
    }
    unlock(peer);
    return response;
}

/* ---- connections ---- */

static bool read_all(SSL *ssl, uint8_t *base, size_t size)
{
    while (size > 0) {
        int got = SSL_read(ssl, base, (int)size);

        if (got <= 0) {
            return false;
        }
        base += got;
        size -= (size_t)got;
    }
    return true;
}

static bool write_frame(SSL *ssl, const Quadhsm__Response *response)
{
    uint8_t *frame;
    size_t size;
    bool done;

    need(wire_pack(&response->base, &frame, &size) == QH_OK, "pack");
    done = SSL_write(ssl, frame, (int)size) == (int)size;
    wire_free(frame, size);
    return done;
}

static bool misbehave(SSL *ssl, enum peer_mode mode, Quadhsm__Response *response)
{
    static const uint8_t garbage[] = {6, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0x7f, 1};
    static const uint8_t half[] = {100, 0, 0, 0, 8};

    switch (mode) {
    case PEER_GARBAGE:
        return SSL_write(ssl, garbage, sizeof garbage) > 0;
    case PEER_HUGE:
        return SSL_write(ssl, huge, sizeof huge) > 0;
    case PEER_TRUNCATES:
        (void)SSL_write(ssl, half, sizeof half);
        return false;
    case PEER_OTHER_ID:
        response->id++;
        return write_frame(ssl, response);
    case PEER_FROZEN:
    case PEER_SLOW:
        return true;
    case PEER_BREAKS:
        return false;
    case PEER_ANSWERS:
    case PEER_WORKS:
        break;
    }
    return write_frame(ssl, response);
}

static enum peer_mode mode_for(struct peer *peer, const Quadhsm__Request *request,
                               unsigned *ret_delay_ms)
{
    enum peer_mode mode;
    bool calm = request->op_case == QUADHSM__REQUEST__OP_PING ||
                request->op_case == QUADHSM__REQUEST__OP_ENDPOINTS;

    lock(peer);
    mode = peer->mode;
    *ret_delay_ms = calm && mode == PEER_WORKS ? 0 : peer->delay_ms;
    unlock(peer);
    return calm && (mode == PEER_SLOW || mode == PEER_BREAKS) ? PEER_ANSWERS : mode;
}

static bool serve_one(struct peer *peer, SSL *ssl)
{
    uint8_t header[FRAME_HEADER_SIZE];
    ProtobufCMessage *message;
    Quadhsm__Request *request;
    Quadhsm__Response *response;
    enum peer_mode mode;
    unsigned delay_ms;
    uint8_t *body;
    size_t size;
    bool on;

    if (!read_all(ssl, header, sizeof header) ||
        wire_header_read(header, WIRE_FRAME_SIZE_MAX, &size) != QH_OK) {
        return false;
    }
    body = malloc(size);
    need(body != NULL, "memory");
    if (!read_all(ssl, body, size)) {
        free(body);
        return false;
    }
    need(wire_unpack(&quadhsm__request__descriptor, (struct bytes){.base = body, .size = size},
                     &message) == QH_OK,
         "unpack");
    free(body);
    request = (Quadhsm__Request *)message;
    if (request->op_case == QUADHSM__REQUEST__OP_PING) {
        atomic_fetch_add(&peer->pings, 1);
    } else if (request->op_case != QUADHSM__REQUEST__OP_ENDPOINTS) {
        atomic_fetch_add(&peer->requests, 1);
    }
    mode = mode_for(peer, request, &delay_ms);
    response = respond(peer, request);
    if (delay_ms > 0) {
        struct timespec delay = {.tv_sec = delay_ms / 1000u,
                                 .tv_nsec = (long)(delay_ms % 1000u) * 1000000L};

        (void)nanosleep(&delay, NULL);
    }
    on = misbehave(ssl, mode, response);
    wire_message_free(&response->base);
    wire_message_free(message);
    return on;
}

static void *serve(void *data)
{
    struct visitor *visitor = data;
    struct peer *peer = visitor->peer;
    int fd = visitor->fd;
    SSL *ssl = SSL_new(peer->context);

    free(visitor);
    need(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "session");
    if (SSL_accept(ssl) == 1) {
        while (serve_one(peer, ssl)) {
        }
    }
    ERR_clear_error();
    SSL_free(ssl);
    (void)close(fd);
    lock(peer);
    peer->connections--;
    unlock(peer);
    return NULL;
}

static void welcome(struct peer *peer, int fd)
{
    struct visitor *visitor = malloc(sizeof *visitor);
    pthread_attr_t attributes;
    pthread_t thread;

    need(visitor != NULL, "memory");
    *visitor = (struct visitor){.peer = peer, .fd = fd};
    lock(peer);
    peer->connections++;
    unlock(peer);
    atomic_fetch_add(&peer->accepted, 1);
    need(pthread_attr_init(&attributes) == 0, "thread");
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    need(pthread_create(&thread, &attributes, serve, visitor) == 0, "thread");
    (void)pthread_attr_destroy(&attributes);
}

/* ---- the worker: what is killed and stopped ---- */

static int select_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                           const unsigned char *offered, unsigned int size, void *data)
{
    struct peer *peer = data;

    (void)ssl;
    (void)offered;
    (void)size;
    *ret_name = (const unsigned char *)peer->alpn;
    *ret_length = (unsigned char)strlen(peer->alpn);
    return SSL_TLSEXT_ERR_OK;
}

static void listen_on(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(peer->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1;

    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(peer->listener >= 0, "socket");
    (void)setsockopt(peer->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    need(bind(peer->listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    need(listen(peer->listener, 128) == 0, "listen");
    need(getsockname(peer->listener, (struct sockaddr *)&address, &size) == 0, "name");
    peer->port = ntohs(address.sin_port);
}

static void make_context(struct peer *peer)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    char ca[512], certificate[512], key[512];

    certs_path(ca, sizeof ca, peer->dir, "ca", "crt");
    certs_path(certificate, sizeof certificate, peer->dir, peer->certificate, "crt");
    certs_path(key, sizeof key, peer->dir, peer->certificate, "key");
    need(context != NULL &&
             SSL_CTX_use_certificate_file(context, certificate, SSL_FILETYPE_PEM) == 1 &&
             SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 &&
             SSL_CTX_load_verify_file(context, ca) == 1,
         "files");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, peer);
    (void)SSL_CTX_set_num_tickets(context, 0);
    if (peer->tls12) {
        need(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) == 1, "version");
    }
    peer->context = context;
}

static _Noreturn void work(struct peer *peer)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGPIPE, SIG_IGN);
    peer->worker = getpid();
    make_context(peer);
    listen_on(peer);
    need(write(peer->done[1], "", 1) == 1, "tell");
    while (true) {
        int fd = accept(peer->listener, NULL, NULL);

        if (fd >= 0) {
            welcome(peer, fd);
        }
    }
}

/* ---- the supervisor: it makes workers, so that the test need not fork once it has threads ---- */

static _Noreturn void supervise(struct peer *peer)
{
    char command;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)close(peer->command[1]);
    while (read(peer->command[0], &command, 1) == 1) {
        if (command == 's') {
            pid_t pid = fork();

            need(pid >= 0, "fork");
            if (pid == 0) {
                work(peer);
            }
        } else {
            need(peer->worker > 0, "a worker");
            (void)kill(peer->worker, SIGKILL);
            need(waitpid(peer->worker, NULL, 0) == peer->worker, "wait");
            need(write(peer->done[1], "", 1) == 1, "tell");
        }
    }
    _exit(0);
}

static void command(struct peer *peer, char what)
{
    char byte;

    need(write(peer->command[1], &what, 1) == 1, "command");
    need(read(peer->done[0], &byte, 1) == 1, "answer");
}

static void make_lock(struct peer *peer)
{
    pthread_mutexattr_t attributes;

    need(pthread_mutexattr_init(&attributes) == 0 &&
             pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
             pthread_mutex_init(&peer->lock, &attributes) == 0,
         "lock");
    (void)pthread_mutexattr_destroy(&attributes);
}

struct peer *peer_start(const struct peer_options *options)
{
    struct peer *peer =
        mmap(NULL, sizeof *peer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid; /* not in the memory that the child shares, which would set it to 0 */

    need(peer != MAP_FAILED, "memory");
    (void)snprintf(peer->dir, sizeof peer->dir, "%s", options->dir);
    (void)snprintf(peer->certificate, sizeof peer->certificate, "%s", options->certificate);
    (void)snprintf(peer->node, sizeof peer->node, "%s", options->node);
    (void)snprintf(peer->region, sizeof peer->region, "%s",
                   options->region != NULL ? options->region : "");
    (void)snprintf(peer->alpn, sizeof peer->alpn, "%s",
                   options->alpn != NULL ? options->alpn : WIRE_ALPN_CLIENT);
    peer->tls12 = options->tls12;
    peer->readiness = QUADHSM__READINESS__READINESS_READY;
    make_lock(peer);
    need(pipe(peer->command) == 0 && pipe(peer->done) == 0, "pipe");
    pid = fork();
    need(pid >= 0, "fork");
    if (pid == 0) {
        supervise(peer);
    }
    peer->supervisor = pid;
    command(peer, 's');
    return peer;
}

void peer_kill(struct peer *peer)
{
    command(peer, 'k');
    make_lock(peer); /* the dead may have held it */
    peer->connections = 0;
}

void peer_restart(struct peer *peer)
{
    command(peer, 's');
}

void peer_stop(struct peer *peer)
{
    need(peer->supervisor > 0, "a supervisor");
    (void)kill(peer->supervisor, SIGKILL);
    need(waitpid(peer->supervisor, NULL, 0) == peer->supervisor, "wait");
    for (unsigned i = 0; i < 2; i++) {
        (void)close(peer->command[i]);
        (void)close(peer->done[i]);
    }
    (void)munmap(peer, sizeof *peer);
}

uint16_t peer_port(const struct peer *peer)
{
    return peer->port;
}

/* ---- settings ---- */

/* Stopped while it does not hold the lock. */
void peer_set_mode(struct peer *peer, enum peer_mode mode)
{
    lock(peer);
    if (peer->mode == PEER_FROZEN) {
        (void)kill(peer->worker, SIGCONT);
    }
    peer->mode = mode;
    if (mode == PEER_FROZEN) {
        (void)kill(peer->worker, SIGSTOP);
    }
    unlock(peer);
}

void peer_set_delay(struct peer *peer, unsigned delay_ms)
{
    lock(peer);
    peer->delay_ms = delay_ms;
    unlock(peer);
}

void peer_set_readiness(struct peer *peer, Quadhsm__Readiness readiness)
{
    lock(peer);
    peer->readiness = readiness;
    unlock(peer);
}

void peer_set_error(struct peer *peer, uint32_t error, const char *detail)
{
    lock(peer);
    peer->error = error;
    (void)snprintf(peer->detail, sizeof peer->detail, "%s", detail != NULL ? detail : "");
    unlock(peer);
}

void peer_set_revision(struct peer *peer, uint64_t revision)
{
    lock(peer);
    peer->revision = revision;
    unlock(peer);
}

void peer_set_list(struct peer *peer, uint64_t revision, struct peer *const list[], unsigned count)
{
    lock(peer);
    peer->list_revision = revision;
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(peer->list[i].node, sizeof peer->list[i].node, "%s", list[i]->node);
        (void)snprintf(peer->list[i].region, sizeof peer->list[i].region, "%s", list[i]->region);
        peer->list[i].port = list[i]->port;
    }
    peer->list_count = count;
    unlock(peer);
}

void peer_set_answer(struct peer *peer, peer_answer answer)
{
    lock(peer);
    peer->answer = answer;
    peer->asked = 0;
    unlock(peer);
}

unsigned peer_asked(struct peer *peer)
{
    unsigned asked;

    lock(peer);
    asked = peer->asked;
    unlock(peer);
    return asked;
}

unsigned peer_requests(const struct peer *peer)
{
    return atomic_load(&peer->requests);
}

unsigned peer_pings(const struct peer *peer)
{
    return atomic_load(&peer->pings);
}

unsigned peer_accepted(const struct peer *peer)
{
    return atomic_load(&peer->accepted);
}

unsigned peer_connections(struct peer *peer)
{
    unsigned count;

    lock(peer);
    count = peer->connections;
    unlock(peer);
    return count;
}

struct peer_last peer_last(struct peer *peer)
{
    struct peer_last last;

    lock(peer);
    last = peer->last;
    unlock(peer);
    return last;
}

struct client_config *peer_config(const char *dir, const char *name, struct peer *const seeds[],
                                  unsigned count)
{
    struct client_config *config = calloc(1, sizeof *config);
    char path[512];

    need(config != NULL, "memory");
    certs_path(path, sizeof path, dir, "ca", "crt");
    config->ca = strdup(path);
    certs_path(path, sizeof path, dir, name, "crt");
    config->certificate = strdup(path);
    certs_path(path, sizeof path, dir, name, "key");
    config->key = strdup(path);
    config->timeout_ms = CLIENT_CONFIG_TIMEOUT_MS;
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(config->endpoints[i].host, sizeof config->endpoints[i].host, "127.0.0.1");
        config->endpoints[i].port = peer_port(seeds[i]);
    }
    config->endpoint_count = count;
    return config;
}
