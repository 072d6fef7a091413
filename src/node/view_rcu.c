/* What waits for readers to leave, counted. liburcu's own barrier would do as well, but for
 * ThreadSanitizer, which takes its inside for a race. */
#include "node/view_rcu.h"

#include <pthread.h>

#include "base/assert.h"

char view_rcu_grace;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle = PTHREAD_COND_INITIALIZER;
static uint64_t waiting;

void view_rcu_later(struct rcu_head *head, void (*release)(struct rcu_head *head))
{
    (void)pthread_mutex_lock(&lock);
    waiting++;
    (void)pthread_mutex_unlock(&lock);
    VIEW_RCU_RELEASE(&view_rcu_grace);
    urcu_memb_call_rcu(head, release);
}

void view_rcu_begin_release(void)
{
    VIEW_RCU_ACQUIRE(&view_rcu_grace);
}

void view_rcu_end_release(void)
{
    (void)pthread_mutex_lock(&lock);
    QH_ASSERT(waiting > 0);
    if (--waiting == 0) {
        (void)pthread_cond_broadcast(&idle);
    }
    (void)pthread_mutex_unlock(&lock);
}

void view_rcu_wait(void)
{
    (void)pthread_mutex_lock(&lock);
    while (waiting > 0) {
        (void)pthread_cond_wait(&idle, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
}
