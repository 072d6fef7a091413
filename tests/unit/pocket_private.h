/* What the files of the pocket cluster share. */
#ifndef QH_TESTS_UNIT_POCKET_PRIVATE_H
#define QH_TESTS_UNIT_POCKET_PRIVATE_H

#include "base/assert.h"
#include "hsm/object.h"
#include "tests/unit/pocket_cluster.h"

#define POCKET_OBJECTS 16384u

struct quadhsm_token {
    uint8_t partition[QUADHSM_PARTITION_ID_SIZE];
    enum quadhsm_role role;
    bool ended;
};

struct stored {
    struct object *object; /* NULL: destroyed */
    uint8_t partition[QUADHSM_PARTITION_ID_SIZE];
    uint8_t id[QUADHSM_OBJECT_ID_SIZE];
    uint64_t revision;
};

/* Under the lock. */
extern struct stored pocket_objects[POCKET_OBJECTS];
extern size_t pocket_objects_used;
extern uint64_t pocket_mechanism;
extern size_t pocket_size;

/* Of the cluster; calls tell it. */
uint64_t pocket_revision(void);
void pocket_count_revision(void);

/* A call: it may be made to fail. Takes the lock, however it goes. */
int pocket_enter(void);
int pocket_enter_token(const struct quadhsm_token *token);
/* Gives @error. */
int pocket_leave(int error);
bool pocket_is_user(const struct quadhsm_token *token);

/* ---- objects; under the lock ---- */

/* NULL if it is not there. */
struct stored *pocket_stored_of(const struct quadhsm_object *object);
/* What a template is inside; borrowed. */
struct pocket_template {
    struct attribute list[64];
    struct attributes template;
};
struct attributes pocket_attributes(const struct quadhsm_attribute *attributes, size_t count,
                                    struct pocket_template *room);
struct mech_params pocket_params_of(const struct quadhsm_mechanism *mechanism);
int pocket_open_key(const struct object *object, struct key **ret_key);
/* Own @object; what a change answers with. Leaves the call. */
int pocket_made(struct quadhsm_token *token, int error, struct object *object,
                struct quadhsm_object **ret_object);
/* All token objects of the partition go. */
void pocket_erase(const uint8_t partition[QUADHSM_PARTITION_ID_SIZE]);

#endif
