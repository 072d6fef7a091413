/* The client library's functions on a cluster inside the test program. */
#include "tests/unit/pocket_cluster.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/token.h"
#include "tests/unit/pocket_private.h"

#define PARTITIONS 8u

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
struct stored pocket_objects[POCKET_OBJECTS];
size_t pocket_objects_used;
static unsigned calls, fail_count, handles_open;
static int fail_error;
static bool context, threads_forbidden;
uint64_t pocket_mechanism;
size_t pocket_size;
static uint64_t ticket_epoch;
static uint64_t token_epoch;

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

void pocket_destroy_all(void)
{
    for (size_t i = 0; i < pocket_objects_used; i++) {
        if (pocket_objects[i].object != NULL && pocket_objects[i].object->token) {
            object_free(pocket_objects[i].object);
            pocket_objects[i].object = NULL;
        }
    }
}

void pocket_empty(void)
{
    while (pocket_objects_used > 0) {
        object_free(pocket_objects[--pocket_objects_used].object);
        pocket_objects[pocket_objects_used].object = NULL;
    }
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

static int check_pin(enum quadhsm_role role, const void *pin, size_t pin_size)
{
    const char *right = role == QUADHSM_PO ? POCKET_PO_PIN : POCKET_CO_PIN;

    return pin_size == strlen(right) && memcmp(pin, right, pin_size) == 0 ? QUADHSM_OK
                                                                          : QUADHSM_EPIN;
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
    return pocket_leave(error);
}

void token_take_login(struct quadhsm_token *token, struct token_login *ret_login)
{
    memset(ret_login, 0, sizeof *ret_login);
    ret_login->role = token->role;
    ret_login->revision = token_epoch;
    token->role = QUADHSM_ROLE_NONE;
}

bool token_give_login(struct quadhsm_token *token, const struct token_login *login)
{
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

    (void)role;
    (void)pin;
    if (error == QUADHSM_OK && token->role != QUADHSM_PO) {
        error = QUADHSM_EPERM;
    }
    if (error == QUADHSM_OK && pin_size < 4) {
        error = QUADHSM_EPINRANGE;
    }
    return pocket_leave(error);
}

/* Every PIN is changed to itself. */
int quadhsm_set_pin(struct quadhsm_token *token, enum quadhsm_role role, const void *old_pin,
                    size_t old_size, const void *new_pin, size_t new_size)
{
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK) {
        error = check_pin(role, old_pin, old_size);
    }
    if (error == QUADHSM_OK) {
        error = check_pin(role, new_pin, new_size) == QUADHSM_OK ? QUADHSM_OK : QUADHSM_EPINRANGE;
    }
    if (error == QUADHSM_OK) {
        ticket_epoch++;
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
