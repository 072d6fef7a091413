/* What the tests of operations on objects share: a node with a real store and view, requests, and
 * answers looked at. Threads and Raft are left out: a request runs on at once, a change is applied
 * at once. */
#ifndef QH_TESTS_UNIT_OBJECT_RIG_H
#define QH_TESTS_UNIT_OBJECT_RIG_H

#include <limits.h>

#include "node/handlers.h"
#include "node/node.h"
#include "tests/unit/hsm_fixture.h"
#include "tests/unit/object_fixture.h"

extern struct keyring *keyring;
extern struct store *store;
extern struct view *view;
extern const uint8_t partition[PARTITION_ID_SIZE];
extern const struct bytes none;
extern const struct template empty;

/* The request, with its response when it has run. */
extern struct request asked;
extern bool foreign_login; /* its ticket is of another partition */
extern bool old_login;     /* from before the last change of the PIN */
extern bool repeated;      /* the request has an id, and what it changes was done before */
/* What it did: where it ran, how often change_run() was called, how often the last one built. */
extern enum request_place place;
extern unsigned change_count, attempts;
extern unsigned run_count;       /* how often the last find was handed to a worker */
extern void (*before_run)(void); /* called each time, as somebody who comes in between */
/* Called once between building and proposing, as somebody who is faster. */
extern void (*before_proposal)(void);

void setup(void);
void teardown(void);
/* A transaction of somebody else, told to the view. Ends the builder. */
enum store_status apply(struct txn_builder *builder);

/* Ask as @role, and expect to be answered once, with @err; with ANY_ERR it is left in @answered. */
#define ANY_ERR ((enum qh_err)INT_MAX)
extern enum qh_err answered;
void run_create(enum hsm_role role, const struct template *template, enum qh_err err);
void run_generate(enum hsm_role role, CK_MECHANISM_TYPE type, const struct template *template,
                  const struct template *private_template, enum qh_err err);
void run_destroy(enum hsm_role role, const uint8_t *id, size_t id_size, enum qh_err err);
void run_set(enum hsm_role role, struct bytes id, struct bytes session,
             const struct template *template, enum qh_err err);
void run_copy(enum hsm_role role, struct bytes id, struct bytes session,
              const struct template *template, enum qh_err err);
extern uint64_t find_after_created; /* of what run_find() asks for */
void run_find(enum hsm_role role, const struct template *template, struct bytes after,
              uint32_t limit, enum qh_err err);

/* Keys under keys. Both keys, and the salt's, are ids, or session objects if they are longer; an
 * empty salt is none. Of @mechanism: what belongs to it, but for the salt key. */
void run_wrap(enum hsm_role role, struct bytes wrapping, struct bytes key,
              const Quadhsm__Mechanism *mechanism, enum qh_err err);
void run_unwrap(enum hsm_role role, struct bytes unwrapping, struct bytes wrapped,
                const Quadhsm__Mechanism *mechanism, const struct template *template,
                enum qh_err err);
void run_derive(enum hsm_role role, struct bytes base, struct bytes salt,
                const Quadhsm__Mechanism *mechanism, const struct template *template,
                enum qh_err err);
/* The context ticket of those that follow. */
extern ProtobufCBinaryData context_ticket;
/* The bytes of the answer. */
struct bytes answer_output(void);

/* What may leave the partition from now on. */
void set_export(enum object_export export);

/* The objects of the answer. */
size_t object_count(void);
const Quadhsm__Object *answer_object(unsigned index);
const Quadhsm__Attribute *answer_attribute(unsigned index, CK_ATTRIBUTE_TYPE type); /* or NULL */
struct bytes answer_value(unsigned index, CK_ATTRIBUTE_TYPE type);

/* Copies that outlive the answer: of its first object's id, or of all of a session object. */
struct kept {
    uint8_t base[8192];
    size_t size;
};
struct bytes keep(struct kept *kept, ProtobufCBinaryData data);
struct bytes keep_id(struct kept *kept);
struct bytes keep_session(struct kept *kept);

/* Objects of the partition in the store. */
uint64_t stored(void);

/* A token AES key; sensitive and not extractable unless @open. */
void begin_token_key(struct template *template, const char *label, bool open);
struct bytes make_token_key(struct kept *kept, const char *label, bool open);

#endif
