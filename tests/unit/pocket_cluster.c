/* The client library's functions on a cluster inside the test program. */
#include "tests/unit/pocket_cluster.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/token.h"
#include "tests/unit/pocket_private.h"

#define PARTITIONS 8u
#define LOGIN_KNOWN_US 200u

struct quadhsm {
    bool threads_forbidden;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct quadhsm_partition partitions[PARTITIONS] = {
    {.id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x80, 0, 0, 0x2a},
     .name = "alpha",
     .serial = "0123456789abcdef",
     .po_ready = true,
     .co_ready = true,
     .po_tries_left = 10,
     .po_tries = 10,
     .co_tries_left = 10,
     .co_tries = 10}};
static size_t partition_count = 1;
static struct pin {
    uint8_t bytes[255];
    size_t size; /* 0: none */
} po_pin = {POCKET_PO_PIN, sizeof POCKET_PO_PIN - 1},
  co_pin = {POCKET_CO_PIN, sizeof POCKET_CO_PIN - 1},
  cu_pin = {POCKET_CU_PIN, sizeof POCKET_CU_PIN - 1};
struct stored pocket_objects[POCKET_OBJECTS];
size_t pocket_objects_used;
static unsigned calls, fail_count, handles_open;
static int fail_error;
static bool context, threads_forbidden;
uint64_t pocket_mechanism;
size_t pocket_size;
static uint64_t ticket_epoch;
static uint64_t token_epoch;
static uint64_t revision_seen;

/* ---- for the test ---- */

unsigned pocket_calls(void)
{
    return calls;
}

void pocket_fail(int error, unsigned count)
{
    fail_error = error;
    fail_count = error != 0 ? count : 0;
}

void pocket_add_partition(const char *name, const uint8_t id[QUADHSM_PARTITION_ID_SIZE])
{
    struct quadhsm_partition partition = partitions[0];

    memcpy(partition.id, id, sizeof partition.id);
    (void)snprintf(partition.name, sizeof partition.name, "%s", name);
    pthread_mutex_lock(&lock);
    QH_ASSERT(partition_count < PARTITIONS);
    partitions[partition_count++] = partition;
    pthread_mutex_unlock(&lock);
}

void pocket_remove_partition(void)
{
    partition_count--;
    memmove(&partitions[0], &partitions[1], partition_count * sizeof partitions[0]);
}

void pocket_set_tries(unsigned left, unsigned tries)
{
    partitions[0].co_tries_left = left;
    partitions[0].co_tries = tries;
}

void pocket_make_claimable(void)
{
    po_pin.size = 0;
    partitions[0].po_ready = false;
    partitions[0].claimable = true;
}

void pocket_destroy_all(void)
{
    for (size_t i = 0; i < pocket_objects_used; i++) {
        if (pocket_objects[i].object != NULL && pocket_objects[i].object->token) {
            object_free(pocket_objects[i].object);
            pocket_objects[i].object = NULL;
        }
    }
    pocket_count_revision();
}

static void reset_pins(void)
{
    po_pin = (struct pin){POCKET_PO_PIN, sizeof POCKET_PO_PIN - 1};
    co_pin = (struct pin){POCKET_CO_PIN, sizeof POCKET_CO_PIN - 1};
    cu_pin = (struct pin){POCKET_CU_PIN, sizeof POCKET_CU_PIN - 1};
    partitions[0].po_ready = true;
    partitions[0].co_ready = true;
    partitions[0].claimable = false;
}

void pocket_empty(void)
{
    while (pocket_objects_used > 0) {
        object_free(pocket_objects[--pocket_objects_used].object);
        pocket_objects[pocket_objects_used].object = NULL;
    }
    reset_pins();
}

unsigned pocket_object_count(void)
{
    unsigned count = 0;

    for (size_t i = 0; i < pocket_objects_used; i++) {
        count += pocket_objects[i].object != NULL && pocket_objects[i].object->token;
    }
    return count;
}

void pocket_end_tickets(void)
{
    pthread_mutex_lock(&lock);
    ticket_epoch++;
    pthread_mutex_unlock(&lock);
}

bool pocket_context(void)
{
    bool was = context;

    context = false;
    return was;
}

unsigned pocket_handles_open(void)
{
    return handles_open;
}

bool pocket_threads_forbidden(void)
{
    return threads_forbidden;
}

uint64_t pocket_last_mechanism(void)
{
    return pocket_mechanism;
}

size_t pocket_last_size(void)
{
    return pocket_size;
}

/* ---- calls ---- */

int pocket_enter(void)
{
    pthread_mutex_lock(&lock);
    calls++;
    if (fail_count > 0) {
        fail_count--;
        return fail_error;
    }
    return QUADHSM_OK;
}

int pocket_leave(int error)
{
    if (error == QUADHSM_OK) {
        revision_seen = pocket_revision();
    }
    pthread_mutex_unlock(&lock);
    return error;
}

int pocket_enter_token(const struct quadhsm_token *token)
{
    int error = pocket_enter();

    if (error == QUADHSM_OK && token->role != QUADHSM_ROLE_NONE && token_epoch != ticket_epoch) {
        error = QUADHSM_ETICKET;
    }
    return error;
}

bool pocket_is_user(const struct quadhsm_token *token)
{
    return token->role == QUADHSM_CO || token->role == QUADHSM_CU;
}

int quadhsm_open(const char *config_file, struct quadhsm **ret_handle)
{
    struct quadhsm *handle = calloc(1, sizeof *handle);

    (void)config_file;
    QH_ASSERT(handle != NULL);
    QH_ASSERT(secret_setup() == QH_OK);
    handles_open++;
    *ret_handle = handle;
    return QUADHSM_OK;
}

void quadhsm_close(struct quadhsm *handle)
{
    handles_open--;
    free(handle);
}

uint64_t quadhsm_revision(struct quadhsm *handle)
{
    uint64_t seen;

    (void)handle;
    pthread_mutex_lock(&lock);
    seen = revision_seen;
    pthread_mutex_unlock(&lock);
    return seen;
}

void quadhsm_forbid_threads(struct quadhsm *handle)
{
    handle->threads_forbidden = true;
    threads_forbidden = true;
}

int quadhsm_partitions(struct quadhsm *handle, struct quadhsm_partition **ret_list,
                       size_t *ret_count)
{
    struct quadhsm_partition *list;
    int error = pocket_enter();

    (void)handle;
    if (error == QUADHSM_OK) {
        list = calloc(PARTITIONS, sizeof *list);
        QH_ASSERT(list != NULL);
        memcpy(list, partitions, sizeof partitions);
        *ret_list = list;
        *ret_count = partition_count;
    }
    return pocket_leave(error);
}

int quadhsm_token_open(struct quadhsm *handle, const uint8_t *partition_id,
                       struct quadhsm_token **ret_token)
{
    struct quadhsm_token *token = calloc(1, sizeof *token);

    (void)handle;
    QH_ASSERT(token != NULL);
    memcpy(token->partition, partition_id, sizeof token->partition);
    *ret_token = token;
    return QUADHSM_OK;
}

void quadhsm_token_close(struct quadhsm_token *token)
{
    free(token);
}

static struct pin *pin_of(enum quadhsm_role role)
{
    return role == QUADHSM_PO ? &po_pin : role == QUADHSM_CO ? &co_pin : &cu_pin;
}

static int check_pin(enum quadhsm_role role, const void *pin, size_t pin_size)
{
    const struct pin *right = pin_of(role);

    if (right->size == 0) {
        return QUADHSM_ENOPIN;
    }
    return pin_size == right->size && memcmp(pin, right->bytes, pin_size) == 0 ? QUADHSM_OK
                                                                               : QUADHSM_EPIN;
}

static int put_pin(enum quadhsm_role role, const void *pin, size_t pin_size)
{
    struct pin *to = pin_of(role);

    if (pin_size < 4 || pin_size > sizeof to->bytes) {
        return QUADHSM_EPINRANGE;
    }
    memcpy(to->bytes, pin, pin_size);
    to->size = pin_size;
    partitions[0].co_ready = co_pin.size > 0;
    partitions[0].po_ready = po_pin.size > 0;
    return QUADHSM_OK;
}

int quadhsm_login(struct quadhsm_token *token, enum quadhsm_role role, const void *pin,
                  size_t pin_size)
{
    int error = pocket_enter();

    if (error == QUADHSM_OK && token->role != QUADHSM_ROLE_NONE) {
        error = QUADHSM_EEXIST;
    }
    if (error == QUADHSM_OK) {
        error = check_pin(role, pin, pin_size);
    }
    if (error == QUADHSM_OK) {
        token->role = role;
        token_epoch = ticket_epoch;
    }
    error = pocket_leave(error);
    /* What is so by now is known to the module a moment later. */
    if (error == QUADHSM_OK) {
        (void)usleep(LOGIN_KNOWN_US);
    }
    return error;
}

void token_take_login(struct quadhsm_token *token, struct token_login *ret_login)
{
    memset(ret_login, 0, sizeof *ret_login);
    ret_login->role = token->role;
    ret_login->revision = token_epoch;
    token->role = QUADHSM_ROLE_NONE;
}

static void (*_Atomic before_give)(void);

void pocket_before_give(void (*call)(void))
{
    atomic_store(&before_give, call);
}

bool token_give_login(struct quadhsm_token *token, const struct token_login *login)
{
    void (*call)(void) = atomic_load(&before_give);

    if (call != NULL) {
        call();
    }
    token->role = login->role;
    token_epoch = login->revision;
    return true;
}

int quadhsm_login_context(struct quadhsm_token *token, const void *pin, size_t pin_size)
{
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK) {
        error = check_pin(token->role, pin, pin_size);
    }
    context = context || error == QUADHSM_OK;
    return pocket_leave(error);
}

void quadhsm_logout(struct quadhsm_token *token)
{
    pthread_mutex_lock(&lock);
    token->role = QUADHSM_ROLE_NONE;
    pthread_mutex_unlock(&lock);
}

enum quadhsm_role quadhsm_token_role(struct quadhsm_token *token)
{
    enum quadhsm_role role;

    pthread_mutex_lock(&lock);
    role = token->role;
    pthread_mutex_unlock(&lock);
    return role;
}

int quadhsm_init_pin(struct quadhsm_token *token, enum quadhsm_role role, const void *pin,
                     size_t pin_size)
{
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK && token->role != QUADHSM_PO) {
        error = QUADHSM_EPERM;
    }
    if (error == QUADHSM_OK) {
        error = put_pin(role, pin, pin_size);
    }
    return pocket_leave(error);
}

/* Who changes it stays logged in. */
int quadhsm_set_pin(struct quadhsm_token *token, enum quadhsm_role role, const void *old_pin,
                    size_t old_size, const void *new_pin, size_t new_size)
{
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK) {
        error = check_pin(role, old_pin, old_size);
    }
    if (error == QUADHSM_OK) {
        error = put_pin(role, new_pin, new_size);
    }
    if (error == QUADHSM_OK) {
        ticket_epoch++;
        token_epoch = token->role == role ? ticket_epoch : token_epoch;
    }
    return pocket_leave(error);
}

int quadhsm_init_token(struct quadhsm_token *token, const void *pin, size_t pin_size,
                       const char *label)
{
    int error = pocket_enter();

    if (error == QUADHSM_OK) {
        error = partitions[0].claimable ? put_pin(QUADHSM_PO, pin, pin_size)
                                        : check_pin(QUADHSM_PO, pin, pin_size);
    }
    if (error == QUADHSM_OK) {
        pocket_erase(token->partition);
        co_pin.size = 0;
        cu_pin.size = 0;
        partitions[0].co_ready = false;
        partitions[0].claimable = false;
        token->role = QUADHSM_ROLE_NONE;
        if (label != NULL) {
            (void)snprintf(partitions[0].name, sizeof partitions[0].name, "%s", label);
        }
    }
    return pocket_leave(error);
}

int quadhsm_random(struct quadhsm *handle, void *out, size_t size)
{
    int error = pocket_enter();

    (void)handle;
    QH_ASSERT(size <= 65536);
    if (error == QUADHSM_OK) {
        randombytes_buf(out, size);
    }
    return pocket_leave(error);
}
