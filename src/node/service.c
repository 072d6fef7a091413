/* Service threads: each with a loop, a listening socket and connections of its own. */
#include "node/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "node/conn.h"
#include "node/keycache.h"
#include "node/service_private.h"

#define SERVICE_BACKLOG 1024
#define SERVICE_TIDY_MS 10000u
#define SERVICE_STOP_TICK_MS 20u /* instead of SERVICE_TICK_MS, while it stops */

static _Thread_local struct service *service_of_thread;

struct service *service_mine(void)
{
    return service_of_thread;
}

bool service_may_log(struct service *service)
{
    return service->log_lines++ < SERVICE_LOG_LINES_MAX;
}

/* ---- Addresses and sockets. */

static void address_text(const struct sockaddr_storage *address, char *ret_text, size_t room)
{
    char host[INET6_ADDRSTRLEN] = "?";
    uint16_t port = 0;

    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        port = ntohs(v4->sin_port);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        port = ntohs(v6->sin6_port);
    }
    (void)snprintf(ret_text, room, address->ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
                   (unsigned)port);
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    }
}

static uint16_t get_port(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

/* Blocks for as long as the resolver does: at the start alone. */
static QH_RESULT resolve(const struct config_address *listen, struct sockaddr_storage *ret_address,
                         socklen_t *ret_size)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rv = getaddrinfo(listen->host, NULL, &hints, &found);

    if (rv != 0) {
        log_error("cannot listen for clients: %s host=\"%s\"", gai_strerror(rv), listen->host);
        return QH_ESYSTEM;
    }
    memset(ret_address, 0, sizeof *ret_address);
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    *ret_size = found->ai_addrlen;
    freeaddrinfo(found);
    set_port(ret_address, listen->port);
    return QH_OK;
}

/* A listening socket. @shared: with the other threads; without, it tells whether somebody else
 * listens there, for the kernel would let two daemons of one user share a port. */
static QH_RESULT listen_on(const struct sockaddr_storage *address, socklen_t size, bool shared,
                           int *ret_fd)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    enum qh_err err = QH_ESYSTEM;

    if (fd < 0) {
        return QH_ESYSTEM;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)) {
        goto out;
    }
    if (address->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, (const struct sockaddr *)(const void *)address, size) != 0 ||
        (shared && listen(fd, SERVICE_BACKLOG) != 0)) {
        err = errno == EADDRINUSE ? QH_EEXIST : QH_ESYSTEM;
        goto out;
    }
    *ret_fd = fd;
    return QH_OK;
out:
    (void)close(fd);
    return err;
}

/* One socket a thread, all on the port of the first. */
static QH_RESULT open_listeners(struct services *services, const struct config_address *listen)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    int probe;
    enum qh_err err = resolve(listen, &address, &size);

    if (err != QH_OK) {
        return err;
    }
    err = listen_on(&address, size, false, &probe);
    if (err == QH_OK) {
        (void)close(probe);
    }
    for (unsigned i = 0; i < services->count && err == QH_OK; i++) {
        err = listen_on(&address, size, true, &services->threads[i].listener);
        if (err == QH_OK && i == 0) {
            if (getsockname(services->threads[0].listener, (struct sockaddr *)(void *)&address,
                            &size) != 0) {
                err = QH_ESYSTEM;
            }
            services->port = get_port(&address);
        }
    }
    if (err != QH_OK) {
        log_error("cannot listen for clients: %s host=%s port=%u; is another node running here?",
                  err == QH_EEXIST ? "the address is in use" : strerror(errno), listen->host,
                  (unsigned)listen->port);
    }
    return err;
}

/* ---- Accepting. */

static void accept_one(struct service *service, int fd, const struct sockaddr_storage *peer)
{
    struct services *services = service->services;
    char address[INET6_ADDRSTRLEN + 16];
    int on = 1;

    address_text(peer, address, sizeof address);
    if (atomic_fetch_add(&services->connections, 1) >= services->connections_max) {
        atomic_fetch_sub(&services->connections, 1);
        if (service_may_log(service)) {
            log_warning("refused a client: there are %u connections already address=\"%s\"",
                        services->connections_max, address);
        }
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn_begin(service, fd, address);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct service *service = poll->data;

    (void)status;
    (void)events;
    for (unsigned i = 0; i < SERVICE_ACCEPT_MAX; i++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        int fd = accept4(service->listener, (struct sockaddr *)(void *)&peer, &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            accept_one(service, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (service_may_log(service)) {
                log_error("cannot accept clients: %s; raise the limit (ulimit -n)",
                          strerror(errno));
            }
            (void)uv_poll_stop(&service->listening);
            service->listening_paused = true;
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

/* ---- Requests from other threads. */

void service_post(struct request *request)
{
    struct service *service = conn_service(request->conn);
    bool ended;

    (void)pthread_mutex_lock(&service->mutex);
    ended = service->ended;
    if (!ended) {
        bool first = service->posted == NULL;

        request->next = NULL;
        *service->posted_tail = request;
        service->posted_tail = &request->next;
        if (first) {
            (void)uv_async_send(&service->async); /* locked: the loop cannot be gone yet */
        }
    }
    (void)pthread_mutex_unlock(&service->mutex);
    if (ended) {
        request_free(request); /* the node is stopping, its connection is closed */
    }
}

static struct request *take_posted(struct service *service)
{
    struct request *list;

    (void)pthread_mutex_lock(&service->mutex);
    list = service->posted;
    service->posted = NULL;
    service->posted_tail = &service->posted;
    (void)pthread_mutex_unlock(&service->mutex);
    return list;
}

/* Answers of one turn go out together. */
static void run_posted(struct service *service)
{
    struct request *list = take_posted(service);

    while (list != NULL) {
        struct request *request = list;

        list = request->next;
        request->next = NULL;
        if (request->answered) {
            conn_answered(request);
        } else {
            request->run(request);
        }
    }
    conn_flush_all(service);
}

/* ---- The end of a thread. */

static void end_thread(struct service *service)
{
    uv_close((uv_handle_t *)&service->async, NULL);
    uv_close((uv_handle_t *)&service->tick, NULL);
    uv_close((uv_handle_t *)&service->again, NULL);
}

static void on_tick(uv_timer_t *timer);

static void begin_stop(struct service *service)
{
    service->stop_ms = uv_now(&service->loop) + SERVICE_STOP_MS;
    uv_close((uv_handle_t *)&service->listening, NULL);
    (void)uv_timer_start(&service->tick, on_tick, SERVICE_STOP_TICK_MS, SERVICE_STOP_TICK_MS);
    conn_drain_all(service);
}

/* Every connection is gone, and what it asked is answered or no longer waited for. */
static void check_stop(struct service *service)
{
    if (service->stop_ms == 0 || uv_is_closing((uv_handle_t *)&service->tick)) {
        return;
    }
    if (uv_now(&service->loop) >= service->stop_ms) {
        conn_close_all(service);
        if (service->conn_count == 0) {
            end_thread(service);
        }
    } else if (service->conn_count == 0 && service->in_flight == 0) {
        end_thread(service);
    }
}

static void on_async(uv_async_t *async)
{
    struct service *service = async->data;

    run_posted(service);
    if (atomic_load(&service->services->stopping) && service->stop_ms == 0) {
        begin_stop(service);
    }
}

/* ---- Time. */

/* No key outlives its node's unlocking, or its own use, by much. */
static void tidy(struct service *service, uint64_t now_ms)
{
    bool locked;

    view_enter();
    locked = view_keyring(service->node->view) == NULL;
    view_leave();
    if (locked) {
        keycache_clear(keycache_mine());
    } else if (now_ms - service->tidied_ms >= SERVICE_TIDY_MS) {
        service->tidied_ms = now_ms;
        keycache_expire(keycache_mine(), clock_monotonic_ms());
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct service *service = timer->data;
    uint64_t now_ms = uv_now(&service->loop);

    if (service->log_lines > SERVICE_LOG_LINES_MAX) {
        log_warning("more about clients' connections: %u lines left out",
                    service->log_lines - SERVICE_LOG_LINES_MAX);
    }
    service->log_lines = 0;
    if (service->listening_paused && service->stop_ms == 0) {
        service->listening_paused = false;
        (void)uv_poll_start(&service->listening, UV_READABLE, on_connection);
    }
    conn_tick_all(service, now_ms);
    tidy(service, now_ms);
    check_stop(service);
}

/* ---- A thread. */

static void *service_main(void *data)
{
    struct service *service = data;

    service_of_thread = service;
    view_thread_begin();
    (void)uv_run(&service->loop, UV_RUN_DEFAULT);
    (void)pthread_mutex_lock(&service->mutex);
    service->ended = true;
    (void)pthread_mutex_unlock(&service->mutex);
    for (struct request *list = take_posted(service); list != NULL;) {
        struct request *request = list;

        list = request->next;
        conn_answered(request); /* its connection is closed: only to be freed */
    }
    keycache_close();
    view_thread_end();
    return NULL;
}

/* A loop that cannot be made is an error of the start, as long as nothing runs in it. */
static QH_RESULT service_init(struct service *service, struct services *services)
{
    service->services = services;
    service->node = services->node;
    service->posted_tail = &service->posted;
    if (uv_loop_init(&service->loop) != 0) {
        return QH_ESYSTEM;
    }
    if (uv_async_init(&service->loop, &service->async, on_async) != 0 ||
        uv_poll_init(&service->loop, &service->listening, service->listener) != 0 ||
        uv_poll_start(&service->listening, UV_READABLE, on_connection) != 0 ||
        pthread_mutex_init(&service->mutex, NULL) != 0) {
        return QH_ESYSTEM;
    }
    (void)uv_timer_init(&service->loop, &service->tick);
    (void)uv_idle_init(&service->loop, &service->again);
    (void)uv_timer_start(&service->tick, on_tick, SERVICE_TICK_MS, SERVICE_TICK_MS);
    service->async.data = service;
    service->listening.data = service;
    service->tick.data = service;
    service->again.data = service;
    service->tidied_ms = uv_now(&service->loop);
    return QH_OK;
}

/* Signals are the main thread's, and a socket that the other side has closed is an error of a
 * write, not a signal. */
static QH_RESULT start_thread(struct service *service)
{
    sigset_t all, before;
    int rv;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = pthread_create(&service->thread, NULL, service_main, service);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rv == 0 ? QH_OK : QH_ESYSTEM;
}

/* ---- All of them. */

static struct services *services_new(struct node *node)
{
    unsigned count = node->config->service_threads;
    struct services *services;

    QH_ASSERT(count > 0);
    if (count > SERVICE_THREADS_MAX) {
        count = SERVICE_THREADS_MAX;
    }
    services = calloc(1, sizeof *services + count * sizeof services->threads[0]);
    if (services == NULL) {
        return NULL;
    }
    services->node = node;
    services->count = count;
    services->connections_max = node->config->connections_max;
    for (unsigned i = 0; i < count; i++) {
        services->threads[i].listener = -1;
    }
    return services;
}

static void services_free(struct services *services)
{
    for (unsigned i = 0; i < services->count; i++) {
        if (services->threads[i].listener >= 0) {
            (void)close(services->threads[i].listener);
        }
    }
    SSL_CTX_free(services->tls);
    free(services);
}

QH_RESULT services_start(struct node *node, const struct service_tls *tls,
                         struct services **ret_services)
{
    struct services *services = services_new(node);
    enum qh_err err = QH_ENOMEM;

    if (services == NULL) {
        return QH_ENOMEM;
    }
    err = tls_server_new(tls, &conn_hooks, &services->tls);
    if (err == QH_OK) {
        err = open_listeners(services, &node->config->client_listen);
    }
    for (unsigned i = 0; i < services->count && err == QH_OK; i++) {
        err = service_init(&services->threads[i], services);
        if (err == QH_OK) {
            err = start_thread(&services->threads[i]);
        }
        if (err == QH_OK) {
            services->started++;
        } else {
            log_error("cannot start a service thread");
        }
    }
    if (err == QH_OK) {
        *ret_services = services;
        return QH_OK;
    }
    services_stop(services);
    return err;
}

void services_stop(struct services *services)
{
    unsigned left = 0;

    atomic_store(&services->stopping, true);
    for (unsigned i = 0; i < services->started; i++) {
        (void)uv_async_send(&services->threads[i].async);
    }
    for (unsigned i = 0; i < services->started; i++) {
        struct service *service = &services->threads[i];

        (void)pthread_join(service->thread, NULL);
        (void)uv_loop_close(&service->loop);
        left += service->in_flight;
    }
    if (left > 0) {
        /* Other threads still have them, and will look here when they are through. */
        log_warning("stopped before all requests were answered: count=%u", left);
        return;
    }
    services_free(services);
}

uint16_t services_port(const struct services *services)
{
    return services->port;
}
