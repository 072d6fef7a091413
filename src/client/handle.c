/* Handles: opening, closing, settings, and what fork() does to them. */
#include "client/handle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/secret.h"
#include "client/gate.h"
#include "wire/frame.h"

#define TIMEOUT_MIN_MS 100u
#define TIMEOUT_MAX_MS 600000u

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;
static enum qh_err setup_result;
static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;
static struct quadhsm *handles;
static pid_t handles_pid; /* whose connections they are */
/* Not zero, but in a child: it says what getpid() would say, without a system call. NULL: the
 * kernel cannot do that. */
static volatile uint8_t *parent_mark;

void handle_lock(struct quadhsm *handle)
{
    QH_ASSERT(pthread_mutex_lock(&handle->lock) == 0);
}

void handle_unlock(struct quadhsm *handle)
{
    QH_ASSERT(pthread_mutex_unlock(&handle->lock) == 0);
}

/* ---- fork ---- */

static void before_fork(void)
{
    QH_ASSERT(pthread_mutex_lock(&handles_lock) == 0);
    for (struct quadhsm *handle = handles; handle != NULL; handle = handle->next) {
        handle_lock(handle);
    }
    connection_lock_all();
}

static void after_fork_in_parent(void)
{
    connection_unlock_all();
    for (struct quadhsm *handle = handles; handle != NULL; handle = handle->next) {
        handle_unlock(handle);
    }
    QH_ASSERT(pthread_mutex_unlock(&handles_lock) == 0);
}

/* There is one thread, and no call of it is under way. What other threads of the parent had taken
 * hold of is lost to the child, but for connections, which would keep the nodes' ends open. */
static void forget_parent(void)
{
    for (struct quadhsm *handle = handles; handle != NULL; handle = handle->next) {
        (void)pthread_mutex_init(&handle->lock, NULL);
        prober_forget(&handle->prober);
        handle->calls = 0;
        for (size_t i = 0; i < handle->endpoints.count; i++) {
            struct endpoint *endpoint = handle->endpoints.list[i];

            pool_forget(&endpoint->pool);
            endpoint->in_flight = 0;
        }
    }
    connection_abandon_all();
    handles_pid = getpid();
    if (parent_mark != NULL) {
        *parent_mark = 1;
    }
}

static void after_fork_in_child(void)
{
    (void)pthread_mutex_init(&handles_lock, NULL);
    forget_parent();
}

static void make_parent_mark(void)
{
    long size = sysconf(_SC_PAGESIZE);
    void *page =
        mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED) {
        return;
    }
    if (madvise(page, (size_t)size, MADV_WIPEONFORK) != 0) {
        (void)munmap(page, (size_t)size);
        return;
    }
    parent_mark = page;
    *parent_mark = 1;
}

void handle_enter(struct quadhsm *handle)
{
    (void)handle;
    /* A process made without fork()'s hooks. */
    if (parent_mark != NULL ? *parent_mark == 0 : handles_pid != getpid()) {
        forget_parent();
    }
}

/* OpenSSL takes itself apart at exit, while the probing threads still run. Handlers run in the
 * reverse order, so this one, registered after OpenSSL's, comes before it. */
static void at_exit(void)
{
    if (handles_pid != getpid()) {
        return;
    }
    QH_ASSERT(pthread_mutex_lock(&handles_lock) == 0);
    for (struct quadhsm *handle = handles; handle != NULL; handle = handle->next) {
        quadhsm_forbid_threads(handle);
        prober_close(handle);
    }
    QH_ASSERT(pthread_mutex_unlock(&handles_lock) == 0);
}

static void setup(void)
{
    static const struct gate_hooks hooks = {
        .prepare = before_fork, .parent = after_fork_in_parent, .child = after_fork_in_child};

    setup_result = secret_setup();
    if (setup_result != QH_OK) {
        return;
    }
    handles_pid = getpid();
    make_parent_mark();
    gate_setup(&hooks);
    if (OPENSSL_init_ssl(0, NULL) != 1 || atexit(at_exit) != 0) {
        setup_result = QH_ENOMEM;
    }
}

/* ---- opening and closing ---- */

static QH_RESULT set_source(struct quadhsm *handle)
{
    struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    unsigned count;

    if (handle->config->source[0] == '\0') {
        return QH_OK;
    }
    if (endpoint_resolve(handle->config->source, 0, false, addresses, &count) != QH_OK) {
        client_set_detail("source: \"%s\" is no address", handle->config->source);
        return QH_ECONFIG;
    }
    handle->source = addresses[0];
    return QH_OK;
}

static QH_RESULT set_context(struct quadhsm *handle)
{
    const struct client_config *config = handle->config;
    char text[TLSCLIENT_TEXT_ROOM] = "";
    enum qh_err err;

    gate_enter();
    err =
        tlsclient_context_new(config->ca, config->certificate, config->key, text, &handle->context);
    gate_leave();
    if (err != QH_OK) {
        client_set_detail("%s", text);
    }
    return err;
}

/* A file that cannot be read or is damaged is as good as none. */
static void read_cache(struct quadhsm *handle)
{
    Quadhsm__EndpointList *list;
    bool changed;

    if (handle->config->cache == NULL ||
        endpoints_file_read(handle->config->cache, &list) != QH_OK) {
        return;
    }
    if (endpoints_update(&handle->endpoints, list, 0, clock_monotonic_ms(), &changed) != QH_OK) {
        handle->endpoints.revision = 0;
    }
    wire_message_free(&list->base);
}

static void link_in(struct quadhsm *handle)
{
    QH_ASSERT(pthread_mutex_lock(&handles_lock) == 0);
    handle->next = handles;
    if (handles != NULL) {
        handles->previous = handle;
    }
    handles = handle;
    QH_ASSERT(pthread_mutex_unlock(&handles_lock) == 0);
}

static void link_out(struct quadhsm *handle)
{
    QH_ASSERT(pthread_mutex_lock(&handles_lock) == 0);
    if (handle->previous != NULL) {
        handle->previous->next = handle->next;
    } else {
        handles = handle->next;
    }
    if (handle->next != NULL) {
        handle->next->previous = handle->previous;
    }
    QH_ASSERT(pthread_mutex_unlock(&handles_lock) == 0);
}

QH_RESULT client_open_config(struct client_config *config, struct quadhsm **ret_handle)
{
    struct quadhsm *handle;
    enum qh_err err;

    (void)pthread_once(&setup_once, setup);
    if (setup_result != QH_OK) {
        return setup_result;
    }
    handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        return QH_ENOMEM;
    }
    handle->config = config;
    atomic_init(&handle->level, QUADHSM_SESSION);
    atomic_init(&handle->timeout_ms, config->timeout_ms);
    hedge_init(&handle->hedge);
    (void)pthread_mutex_init(&handle->lock, NULL);
    prober_init(&handle->prober);
    err = set_source(handle);
    if (err == QH_OK) {
        err = set_context(handle);
    }
    if (err == QH_OK) {
        err = endpoints_init(&handle->endpoints, config, clock_monotonic_ms());
    }
    if (err != QH_OK) {
        SSL_CTX_free(handle->context);
        free(handle);
        return err;
    }
    read_cache(handle);
    link_in(handle);
    *ret_handle = handle;
    return QH_OK;
}

int quadhsm_open(const char *config_file, struct quadhsm **ret_handle)
{
    struct client_config *config;
    char *text = NULL;
    enum qh_err err;

    error_clear();
    err = client_config_load(config_file, &config, &text);
    if (err != QH_OK) {
        client_set_detail("%s", text != NULL ? text : "");
        free(text);
        /* Whatever is wrong with the file, the configuration is what the user has to look at. */
        return err == QH_ENOMEM ? QUADHSM_ENOMEM : QUADHSM_ECONFIG;
    }
    err = client_open_config(config, ret_handle);
    if (err != QH_OK) {
        client_config_free(config);
    }
    return error_public(err);
}

void quadhsm_close(struct quadhsm *handle)
{
    if (handle == NULL) {
        return;
    }
    handle_enter(handle);
    link_out(handle);
    prober_close(handle);
    if (handle->current != NULL) {
        endpoint_unref(handle->current);
    }
    endpoints_close(&handle->endpoints);
    gate_enter();
    SSL_CTX_free(handle->context);
    gate_leave();
    client_config_free(handle->config);
    (void)pthread_cond_destroy(&handle->prober.changed);
    (void)pthread_mutex_destroy(&handle->lock);
    free(handle);
}

/* ---- settings ---- */

void quadhsm_set_level(struct quadhsm *handle, enum quadhsm_level level)
{
    atomic_store(&handle->level, (unsigned)level);
}

int quadhsm_set_timeout(struct quadhsm *handle, unsigned timeout_ms)
{
    error_clear();
    if (timeout_ms < TIMEOUT_MIN_MS || timeout_ms > TIMEOUT_MAX_MS) {
        return QUADHSM_EINVAL;
    }
    atomic_store(&handle->timeout_ms, timeout_ms);
    return QUADHSM_OK;
}

void quadhsm_forbid_threads(struct quadhsm *handle)
{
    handle_lock(handle);
    handle->threads_forbidden = true;
    handle_unlock(handle);
}

uint64_t quadhsm_revision(struct quadhsm *handle)
{
    return atomic_load(&handle->revision);
}

void handle_saw_revision(struct quadhsm *handle, uint64_t revision)
{
    uint64_t known = atomic_load(&handle->revision);

    while (revision > known && !atomic_compare_exchange_weak(&handle->revision, &known, revision)) {
    }
}

/* ---- endpoints ---- */

/* The addresses, found out if need be. Host and port never change. */
static void find_addresses(struct quadhsm *handle, struct endpoint *endpoint, bool ask)
{
    struct endpoint_address found[ENDPOINT_ADDRESSES_MAX];
    unsigned count = 0;
    bool wanted;

    handle_lock(handle);
    wanted = endpoint->address_count == 0 || (ask && endpoint->addresses_doubtful);
    handle_unlock(handle);
    /* If nobody knows the name at the moment, the old addresses are better than none. */
    if (!wanted || endpoint_resolve(endpoint->host, endpoint->port, ask, found, &count) != QH_OK ||
        count == 0) {
        return;
    }
    handle_lock(handle);
    memcpy(endpoint->addresses, found, count * sizeof found[0]);
    endpoint->address_count = count;
    endpoint->address_next = 0;
    endpoint->addresses_doubtful = false;
    handle_unlock(handle);
}

static QH_RESULT next_address(struct quadhsm *handle, struct endpoint *endpoint,
                              struct connection_target *target)
{
    const struct endpoint_address *address;
    enum qh_err err = QH_ENOTFOUND;

    handle_lock(handle);
    if (endpoint->address_count > 0) {
        address = &endpoint->addresses[endpoint->address_next];
        target->address = address->address;
        target->address_size = address->size;
        memcpy(target->node, endpoint->node, sizeof target->node);
        err = QH_OK;
    }
    handle_unlock(handle);
    return err;
}

QH_RESULT handle_connect(struct quadhsm *handle, struct endpoint *endpoint, bool ask,
                         struct connection **ret)
{
    struct connection_target target = {.context = handle->context};
    enum qh_err err;

    find_addresses(handle, endpoint, ask);
    err = next_address(handle, endpoint, &target);
    if (err != QH_OK) {
        return err;
    }
    if (handle->source.size > 0 && handle->source.address.ss_family == target.address.ss_family) {
        target.source = handle->source.address;
        target.source_size = handle->source.size;
    }
    return connection_open(&target, ret);
}

void handle_endpoint_failed(struct quadhsm *handle, struct endpoint *endpoint)
{
    struct connection *idle[POOL_ROOM];
    size_t count = 0;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t since_ms;

    handle_lock(handle);
    health_failed(&endpoint->health, now_ns / 1000000u, (uint32_t)(now_ns / 1000u));
    /* A name with several addresses: the next one, and after the last the name is looked up again.
     */
    if (++endpoint->address_next >= endpoint->address_count) {
        endpoint->address_count = 0;
    }
    while ((idle[count] = pool_take(&endpoint->pool, &since_ms)) != NULL) {
        count++;
        if (count == POOL_ROOM) {
            break;
        }
    }
    handle_unlock(handle);
    for (size_t i = 0; i < count; i++) {
        connection_close(idle[i]);
    }
}

void handle_candidates(const struct quadhsm *handle, bool change,
                       struct choice_candidate ret_candidates[ENDPOINTS_MAX])
{
    const char *region = handle->config->region;
    uint64_t now_ms = clock_monotonic_ms();

    for (size_t i = 0; i < handle->endpoints.count; i++) {
        const struct endpoint *endpoint = handle->endpoints.list[i];

        ret_candidates[i] = (struct choice_candidate){
            .class = choice_classify(&endpoint->health, change),
            .near = region[0] == '\0' || strcmp(region, endpoint->region) == 0,
            .expected_ms = health_expected_ms(&endpoint->health),
            .in_flight = endpoint->in_flight,
            .excluded = endpoints_is_alias(&handle->endpoints, endpoint),
        };
        if (ret_candidates[i].class == CHOICE_READY && now_ms < endpoint->behind_until_ms) {
            ret_candidates[i].class = CHOICE_DOUBTFUL;
        }
    }
}

static void describe(const struct endpoint *endpoint, struct quadhsm_endpoint *ret)
{
    const struct health *health = &endpoint->health;

    memset(ret, 0, sizeof *ret);
    (void)snprintf(ret->node, sizeof ret->node, "%s", endpoint_node(endpoint));
    (void)snprintf(ret->region, sizeof ret->region, "%s", endpoint->region);
    (void)snprintf(ret->host, sizeof ret->host, "%s", endpoint->host);
    ret->port = endpoint->port;
    ret->readiness = health_readiness(health);
    ret->round_trip_ms = health->measured ? health->round_trip_ms : -1.0;
    ret->jitter_ms = health->jitter_ms;
    ret->revision = health->revision;
    ret->calls = health->calls;
    ret->failures = health->failed_calls;
}

static void list_endpoints(struct quadhsm *handle, struct quadhsm_endpoint *list, size_t *ret_count)
{
    struct choice_candidate candidates[ENDPOINTS_MAX];
    size_t current = CHOICE_NONE, best, count = 0;

    handle_candidates(handle, false, candidates);
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        if (handle->endpoints.list[i] == handle->current) {
            current = i;
        }
    }
    best = choice_best(candidates, handle->endpoints.count, current);
    for (size_t i = 0; i < handle->endpoints.count; i++) {
        if (!candidates[i].excluded) {
            describe(handle->endpoints.list[i], &list[count]);
            list[count].preferred = i == best;
            count++;
        }
    }
    *ret_count = count;
}

int quadhsm_endpoints(struct quadhsm *handle, bool measure, struct quadhsm_endpoint **ret_list,
                      size_t *ret_count)
{
    struct quadhsm_endpoint *list = calloc(ENDPOINTS_MAX, sizeof *list);

    error_clear();
    if (list == NULL) {
        return QUADHSM_ENOMEM;
    }
    handle_enter(handle);
    if (measure) {
        prober_measure(handle, clock_monotonic_ms() + atomic_load(&handle->timeout_ms));
    }
    handle_lock(handle);
    list_endpoints(handle, list, ret_count);
    handle_unlock(handle);
    *ret_list = list;
    return QUADHSM_OK;
}
