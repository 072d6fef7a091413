/* Userspace RCU, and what ThreadSanitizer has to be told about it: liburcu is not compiled with
 * it, so it sees neither that a lookup comes after the add, nor that memory is released after the
 * last reader has left. */
#ifndef QH_NODE_VIEW_RCU_H
#define QH_NODE_VIEW_RCU_H

#include <stdint.h>

#include <urcu/urcu-memb.h>
#include <urcu/rculfhash.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VIEW_RCU_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define VIEW_RCU_TSAN 1
#endif

#ifdef VIEW_RCU_TSAN
#include <sanitizer/tsan_interface.h>
#define VIEW_RCU_RELEASE(address) __tsan_release((void *)(uintptr_t)(address))
#define VIEW_RCU_ACQUIRE(address) __tsan_acquire((void *)(uintptr_t)(address))
#else
#define VIEW_RCU_RELEASE(address) ((void)(address))
#define VIEW_RCU_ACQUIRE(address) ((void)(address))
#endif

/* Stands for all grace periods. */
extern char view_rcu_grace;

/* Call @release later, on a thread of liburcu's, when no reader that is inside now is inside any
 * more. @release begins and ends with the two functions below. */
void view_rcu_later(struct rcu_head *head, void (*release)(struct rcu_head *head));
void view_rcu_begin_release(void);
void view_rcu_end_release(void);
/* Until all that was to be released is. Not inside view_enter(). */
void view_rcu_wait(void);

#endif
