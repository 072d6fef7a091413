/* Keys that a thread has opened lately, with their OpenSSL contexts. One cache a thread. An entry
 * is of one object at one mod_revision (or of one sealed session object, by its hash), so
 * that a changed object is opened anew; entries of destroyed objects are dropped when they are
 * asked for and after KEYCACHE_IDLE_MS. */
#ifndef QH_NODE_KEYCACHE_H
#define QH_NODE_KEYCACHE_H

#include "crypto/key.h"
#include "node/view.h"

#define KEYCACHE_ENTRIES 256u
#define KEYCACHE_IDLE_MS 60000u

struct keycache;
struct keycache *keycache_mine(void); /* of the calling thread, made at the first call */
void keycache_close(void);            /* at the thread's end */

/* Inside view_enter(). Errors: those of object_open() and key_open(). The key stays valid until the
 * thread's next call here. */
QH_RESULT keycache_get(struct keycache *cache, const struct keyring *keyring,
                       const struct directory_partition *partition,
                       const struct view_object *object, uint64_t now_ms, struct key **ret_key);
/* Of a session object: also gives its attributes. */
QH_RESULT keycache_get_session(struct keycache *cache, const struct keyring *keyring,
                               const struct directory_partition *partition, struct bytes sealed,
                               uint64_t now_ms, struct key **ret_key,
                               const struct object **ret_object);
/* Forget everything: the node was locked. */
void keycache_clear(struct keycache *cache);
/* Drop what was not used for KEYCACHE_IDLE_MS. Threads call it now and then. */
void keycache_expire(struct keycache *cache, uint64_t now_ms);
unsigned keycache_count(const struct keycache *cache);

#endif
