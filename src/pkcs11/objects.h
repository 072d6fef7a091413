/* The objects that this process has seen, by virtual handle and by id: a token object has the same
 * handle as long as the process knows it, a session object ends with its session. What was
 * last read of an object is kept with it and shared with the operations that use it.
 * Thread: the module's lock, but for struct objects_value, which any thread may hold. */
#ifndef QH_PKCS11_OBJECTS_H
#define QH_PKCS11_OBJECTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/quadhsm.h"
#include "crypto/key.h"
#include "pkcs11/handle.h"

#define OBJECTS_HANDLES_MAX 2000000u
/* Token objects whose attributes are kept; those used longest ago are let go of and read again when
 * they are needed. */
#define OBJECTS_VALUES_MAX 32768u

/* Immutable, but for @key. */
struct objects_value {
    atomic_uint references;
    struct quadhsm_object *object;
    uint64_t read_at_ms;
    uint64_t sequence;         /* of the module's values: a later one has a higher one */
    _Atomic(struct key *) key; /* a public key ready for use, while nobody uses it */
};

struct objects_entry {
    struct handle_item item; /* first */
    uint64_t slot;
    uint64_t session; /* whose object it is; 0: the token's */
    uint8_t id[QUADHSM_OBJECT_ID_SIZE];
    bool is_private;
    struct objects_value *value;       /* NULL: let go of */
    struct objects_entry *bucket_next; /* by id */
    struct objects_entry *older, *newer;
};

/* In the order in which they were made (session objects) or used (the others). */
struct objects_list {
    struct objects_entry *oldest, *newest;
    size_t count;
};

/* Who reads one object after the other gets several at a time (access.c). */
struct objects_reading {
    uint64_t slot;
    uint64_t next_handle; /* that would follow; 0: none */
    struct quadhsm_place last;
    unsigned count; /* that did follow */
};

struct objects {
    struct handle_table handles;
    struct objects_entry **buckets;
    size_t bucket_count, token_count;
    struct objects_list kept;    /* token objects with a value */
    struct objects_list session; /* session objects */
    struct objects_reading reading;
    uint64_t sequence; /* of the value that was kept last */
};

void objects_init(struct objects *objects);
void objects_close(struct objects *objects);

/* Own @object, and give it a handle: that which it has already, if it is a token object that is
 * known. @session is 0 for a token object. Errors: QH_ELIMIT, QH_ENOMEM; then @object is freed. */
QH_RESULT objects_put(struct objects *objects, uint64_t slot, uint64_t session,
                      struct quadhsm_object *object, uint64_t now_ms, uint64_t *ret_handle);
/* NULL if there is none in that slot. It counts as a use. */
struct objects_entry *objects_find(struct objects *objects, uint64_t slot, uint64_t handle);
/* A token object; NULL if it is not known. It counts as no use. */
struct objects_entry *objects_find_id(struct objects *objects, uint64_t slot, const uint8_t *id);
/* Own @object as what is now known of @entry; NULL: it could not be kept, and was freed. */
struct objects_value *objects_renew(struct objects *objects, struct objects_entry *entry,
                                    struct quadhsm_object *object, uint64_t now_ms);
/* Was a value of @entry kept after @sequence, which objects->sequence was before a node was asked?
 * What that node read may be older. */
bool objects_is_newer(const struct objects_entry *entry, uint64_t sequence);
/* Let go of what is known of a token object; its handle stays. */
void objects_forget(struct objects *objects, struct objects_entry *entry);
void objects_remove(struct objects *objects, struct objects_entry *entry);

/* The end of a session; a logout; the end of a slot's last session. */
void objects_remove_session(struct objects *objects, uint64_t session);
void objects_remove_private(struct objects *objects, uint64_t slot);
/* All of a token that was initialized. */
void objects_remove_token(struct objects *objects, uint64_t slot);

struct objects_value *objects_value_ref(struct objects_value *value);
void objects_value_unref(struct objects_value *value); /* NULL is allowed */

/* CKA_PRIVATE and the like; @otherwise if the object has no such attribute. */
bool objects_flag(const struct quadhsm_object *object, uint64_t type, bool otherwise);
uint64_t objects_number(const struct quadhsm_object *object, uint64_t type, uint64_t otherwise);

#endif
