/* fork() and OpenSSL kept apart. */
#include "client/gate.h"

#include <pthread.h>
#include <stddef.h>

#include "base/assert.h"

/* Whoever forks must get through even if others enter all the time. */
static pthread_rwlock_t gate = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static const struct gate_hooks *gate_hooks;

static void before_fork(void)
{
    gate_hooks->prepare();
    QH_ASSERT(pthread_rwlock_wrlock(&gate) == 0);
}

static void after_fork_in_parent(void)
{
    QH_ASSERT(pthread_rwlock_unlock(&gate) == 0);
    gate_hooks->parent();
}

/* The child's thread has another number than the one that took the lock, so that unlocking is not
 * open to it. */
static void after_fork_in_child(void)
{
    static const pthread_rwlock_t fresh = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

    gate = fresh;
    gate_hooks->child();
}

void gate_setup(const struct gate_hooks *hooks)
{
    gate_hooks = hooks;
    /* Fails only for want of memory; then a child of a process with threads is on its own. */
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void gate_enter(void)
{
    QH_ASSERT(pthread_rwlock_rdlock(&gate) == 0);
}

void gate_leave(void)
{
    QH_ASSERT(pthread_rwlock_unlock(&gate) == 0);
}
