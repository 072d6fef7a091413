/* One of the two that are compared: a PKCS#11 module with a token of its own, the keys that are
 * used there, and each operation once. What goes wrong ends the program. */
#ifndef QH_TESTS_BENCH_PKCS11_SIDE_H
#define QH_TESTS_BENCH_PKCS11_SIDE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/cryptoki.h"

#define SIDE_CREATED_MAX 65536u /* objects of one load of one thread */

enum side_kind {
    SIDE_RSA,
    SIDE_EC,
    SIDE_GCM,
    SIDE_HMAC,
    SIDE_CREATE,
    SIDE_FIND, /* the last: it is among many objects, which come after the other loads */
    SIDE_KINDS
};

struct side {
    const char *name;
    void *shared;
    CK_FUNCTION_LIST_PTR functions;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* which keeps the login */
    CK_OBJECT_HANDLE keys[SIDE_KINDS];
    unsigned objects; /* that side_make_objects() made */
    pid_t node;       /* whose processor time counts, too; 0: none */
};

/* What one thread has there. */
struct side_thread {
    struct side *side;
    CK_SESSION_HANDLE session;
    uint64_t random;
    CK_OBJECT_HANDLE *created;
    unsigned created_count;
};

const char *side_kind_name(enum side_kind kind);

/* @label: the token's; logs in as user with @pin. */
void side_open(struct side *side, const char *name, const char *module, const char *label,
               const char *pin);
void side_close(struct side *side);
/* What loads of @kind use, if that is one key. */
void side_make_key(struct side *side, enum side_kind kind);
/* Public token objects with the identifiers 0 to @count - 1. */
void side_make_objects(struct side *side, unsigned count);

void side_thread_open(struct side_thread *thread, struct side *side, unsigned number);
/* Destroys what SIDE_CREATE made. */
void side_thread_close(struct side_thread *thread);
void side_run(struct side_thread *thread, enum side_kind kind);

#endif
