/* The module's state, how calls come in and out, and how it starts, stops and is forked. */
#include "pkcs11/module.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "config/client_config.h"
#include "pkcs11/digest.h"
#include "pkcs11/find.h"
#include "pkcs11/operation.h"
#include "pkcs11/search_cache.h"

enum state { IDLE, STARTING, RUNNING, STOPPING };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* state, or calls has become 0 */
    enum state state;
    pid_t pid; /* whose state it is */
    unsigned calls;
    struct quadhsm *client;
    bool hardware;
    unsigned search_cache_ms;
    struct slot *slots[MODULE_SLOTS_MAX];
    size_t slot_count;
    uint64_t slots_read_at_ms;
    bool inherited; /* the slots: from the process that this one was forked from */
    struct handle_table sessions;
    struct objects objects;
} module = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

void module_pad(CK_UTF8CHAR *to, size_t size, const char *text)
{
    size_t length = strnlen(text, size);

    memset(to, ' ', size);
    memcpy(to, text, length);
}

void module_tell(void *to, const void *from, size_t size, CK_RV rv)
{
    if (rv == CKR_OK) {
        memcpy(to, from, size);
    }
}

void module_lock(void)
{
    QH_ASSERT(pthread_mutex_lock(&module.lock) == 0);
}

void module_unlock(void)
{
    QH_ASSERT(pthread_mutex_unlock(&module.lock) == 0);
}

static void condition_init(void)
{
    pthread_condattr_t attributes;

    QH_ASSERT(pthread_condattr_init(&attributes) == 0);
    QH_ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    QH_ASSERT(pthread_cond_init(&module.changed, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

/* In the child there is one thread, and it is inside fork(), not inside the module: whoever
 * else was in a call or waited is gone. */
static void after_fork_in_child(void)
{
    struct handle_item *item;

    module.calls = 0;
    for (size_t i = 0; i < module.sessions.bucket_count; i++) {
        for (item = module.sessions.buckets[i]; item != NULL; item = item->next) {
            ((struct session *)item)->references = 1;
        }
    }
    if (module.state == STARTING || module.state == STOPPING) {
        module.state = IDLE;
    }
    condition_init();
    (void)pthread_mutex_init(&module.lock, NULL);
}

static void setup(void)
{
    condition_init();
    QH_ASSERT(pthread_atfork(module_lock, module_unlock, after_fork_in_child) == 0);
}

/* ---- calls ---- */

CKR_RESULT module_enter(void)
{
    CK_RV rv = CKR_CRYPTOKI_NOT_INITIALIZED;

    module_lock();
    if (module.state == RUNNING) {
        module.calls++;
        rv = CKR_OK;
    }
    module_unlock();
    return rv;
}

/* A child may leave a call that its parent entered: none is counted there. */
static void count_out(void)
{
    if (module.calls > 0 && --module.calls == 0 && module.state == STOPPING) {
        pthread_cond_broadcast(&module.changed);
    }
}

void module_leave(void)
{
    module_lock();
    count_out();
    module_unlock();
}

CKR_RESULT module_enter_session(CK_SESSION_HANDLE handle, struct session **ret_session)
{
    struct session *session;
    CK_RV rv = CKR_CRYPTOKI_NOT_INITIALIZED;

    module_lock();
    if (module.state == RUNNING) {
        session = (struct session *)handle_find(&module.sessions, handle);
        rv = CKR_SESSION_HANDLE_INVALID;
        if (session != NULL) {
            module.calls++;
            session->references++;
            *ret_session = session;
            rv = CKR_OK;
        }
    }
    module_unlock();
    return rv;
}

static void session_free(struct session *session)
{
    for (unsigned i = 0; i < OPERATION_KINDS; i++) {
        operation_free(session->operations[i]);
    }
    search_free(session->search);
    free(session);
}

void module_release_session(struct session *session)
{
    bool last;

    module_lock();
    last = --session->references == 0;
    module_unlock();
    if (last) {
        session_free(session);
    }
}

void module_leave_session(struct session *session)
{
    bool last;

    module_lock();
    last = --session->references == 0;
    if (!last) {
        count_out();
    }
    module_unlock();
    if (last) {
        session_free(session);
        module_leave(); /* C_Finalize waits for what is freed here */
    }
}

bool module_wait_stopping(unsigned timeout_ms)
{
    struct timespec until;
    bool stopping;
    int result = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    module_lock();
    while (module.state == RUNNING && result == 0) {
        result = pthread_cond_timedwait(&module.changed, &module.lock, &until);
    }
    stopping = module.state != RUNNING;
    module_unlock();
    return stopping;
}

struct quadhsm *module_client(void)
{
    return module.client;
}

bool module_is_hardware(void)
{
    return module.hardware;
}

unsigned module_search_cache_ms(void)
{
    return module.search_cache_ms;
}

uint64_t module_now_ms(void)
{
    return clock_monotonic_ms();
}

/* ---- under the lock ---- */

struct objects *module_objects(void)
{
    return &module.objects;
}

struct handle_table *module_sessions(void)
{
    return &module.sessions;
}

struct slot *module_slot(size_t index)
{
    return index < module.slot_count ? module.slots[index] : NULL;
}

size_t module_slot_count(void)
{
    return module.slot_count;
}

QH_RESULT module_add_slot(struct slot *slot)
{
    if (module.slot_count >= MODULE_SLOTS_MAX) {
        return QH_ELIMIT;
    }
    slot->index = module.slot_count;
    module.slots[module.slot_count++] = slot;
    return QH_OK;
}

static int compare_slots(const void *left, const void *right)
{
    const struct slot *const *a = left;
    const struct slot *const *b = right;

    return (*a)->position < (*b)->position ? -1 : (*a)->position > (*b)->position;
}

void module_sort_slots(void)
{
    qsort(module.slots, module.slot_count, sizeof module.slots[0], compare_slots);
}

uint64_t module_slots_read_at_ms(void)
{
    return module.slots_read_at_ms;
}

void module_set_slots_read_at_ms(uint64_t now_ms)
{
    module.slots_read_at_ms = now_ms;
}

bool module_close_session(struct session *session)
{
    struct slot *slot = session->slot;

    if (session->closed) {
        return false;
    }
    session->closed = true;
    handle_remove(&module.sessions, &session->item);
    objects_remove_session(&module.objects, session->item.handle);
    slot->session_count--;
    if (session->writable) {
        slot->writable_count--;
    }
    session->references--;
    return slot->session_count == 0;
}

/* ---- start and stop ---- */

/* What a parent knew of its slots its child knows, too, though nobody is logged in. Without it a
 * child's first C_OpenSession would fail for a reason of the network, and libp11 then waits for
 * another session to end, for ever. The login is kept for the child's C_Login (login.c). */
static void keep_slots(void)
{
    for (size_t i = 0; i < module.slot_count; i++) {
        struct slot *slot = module.slots[i];

        if (slot->role != QUADHSM_ROLE_NONE) {
            token_take_login(slot->token, &slot->kept);
        }
        quadhsm_token_close(slot->token);
        slot->token = NULL;
        slot->role = QUADHSM_ROLE_NONE;
        slot->session_count = slot->writable_count = 0;
    }
}

static void free_slots(void)
{
    for (size_t i = 0; i < module.slot_count; i++) {
        quadhsm_token_close(module.slots[i]->token);
        sodium_memzero(module.slots[i], sizeof *module.slots[i]);
        free(module.slots[i]);
    }
    module.slot_count = 0;
}

static CKR_RESULT open_kept_slots(void)
{
    int error = QUADHSM_OK;

    for (size_t i = 0; i < module.slot_count && error == QUADHSM_OK; i++) {
        struct slot *slot = module.slots[i];

        error = quadhsm_token_open(module.client, slot->partition.id, &slot->token);
    }
    return ckr_from_error(error, ABOUT_TOKEN);
}

/* With nobody inside. */
static void release_everything(void)
{
    struct handle_item *item;

    while ((item = handle_any(&module.sessions)) != NULL) {
        struct session *session = (struct session *)item;

        handle_remove(&module.sessions, item);
        session_free(session);
    }
    handle_table_close(&module.sessions);
    search_cache_clear();
    objects_close(&module.objects);
    digest_forget_states();
    if (module.inherited) {
        keep_slots();
    } else {
        free_slots();
    }
    module.slots_read_at_ms = 0;
    if (module.client != NULL) {
        quadhsm_close(module.client);
    }
    module.client = NULL;
}

static CKR_RESULT open_client(bool may_make_threads)
{
    struct client_config *config = NULL;
    char *why = NULL;
    int error;

    if (client_config_load(NULL, &config, &why) != QH_OK) {
        free(why);
        return CKR_GENERAL_ERROR;
    }
    module.hardware = config->hardware;
    module.search_cache_ms = config->search_cache_ms;
    error = quadhsm_open(config->path, &module.client);
    client_config_free(config);
    if (error != QUADHSM_OK) {
        return ckr_from_error(error, ABOUT_CALL);
    }
    if (!may_make_threads) {
        quadhsm_forbid_threads(module.client);
    }
    return CKR_OK;
}

/* Under the lock: true if this caller is the one to start the module. */
static bool begin_start(void)
{
    while (module.state == STARTING || module.state == STOPPING) {
        pthread_cond_wait(&module.changed, &module.lock);
    }
    if (module.state == RUNNING && module.pid == getpid()) {
        return false;
    }
    module.state = STARTING;
    return true;
}

static void move(enum state state)
{
    module_lock();
    module.state = state;
    pthread_cond_broadcast(&module.changed);
    module_unlock();
}

CKR_RESULT module_start(bool may_make_threads)
{
    bool mine;
    CK_RV rv;

    pthread_once(&fork_once, setup);
    module_lock();
    mine = begin_start();
    module_unlock();
    if (!mine) {
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    }
    /* What a parent left, or a start that a fork cut in two. */
    module.inherited = module.inherited || (module.pid != 0 && module.pid != getpid());
    release_everything();
    handle_table_init(&module.sessions, MODULE_SESSIONS_MAX);
    objects_init(&module.objects);
    rv = open_client(may_make_threads);
    if (rv == CKR_OK) {
        rv = open_kept_slots();
    }
    module.pid = getpid();
    move(rv == CKR_OK ? RUNNING : IDLE);
    return rv;
}

CKR_RESULT module_stop(void)
{
    module_lock();
    if (module.state != RUNNING) {
        module_unlock();
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    }
    module.state = STOPPING;
    pthread_cond_broadcast(&module.changed);
    while (module.calls > 0) {
        pthread_cond_wait(&module.changed, &module.lock);
    }
    module_unlock();
    module.inherited = false;
    release_everything();
    move(IDLE);
    return CKR_OK;
}
