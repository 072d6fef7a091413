/* What every operation on objects begins and ends with: the partition, what the role allows, sealed
 * objects opened and made, the answer. */
#ifndef QH_NODE_OBJECT_SCENE_H
#define QH_NODE_OBJECT_SCENE_H

#include "node/change.h"
#include "node/object_answer.h"
#include "node/request.h"

/* Where a request's objects are. Valid inside view_enter(). */
struct object_scene {
    const uint8_t *cluster;
    const struct directory_partition *partition;
};

/* Inside view_enter(). Errors: QH_ELOCKED, QH_EINVAL, QH_ENOTFOUND. */
QH_RESULT object_scene_open(const struct request *request, struct object_scene *ret_scene);

/* Is it PKCS#11's user who asks, in either of its roles? */
bool object_scene_sees_private(const struct request *request);
/* May it read or use such an object? Errors: QH_ENOLOGIN, QH_EPERM. */
QH_RESULT object_scene_may_read(const struct request *request, bool is_private);
/* May it make, change or destroy one? Errors: QH_ENOLOGIN, QH_EPERM. */
QH_RESULT object_scene_may_change(const struct request *request, bool token, bool is_private);

/* PKCS#11's SO has the public objects of the token in hand too, for the sake of CKA_TRUSTED. */
bool object_scene_is_officer(const struct request *request);

/* End the request; says who may do what was refused. */
void object_scene_answer(struct request *request, enum qh_err err);

/* Either an id or a session object? Errors: QH_EINVAL. */
QH_RESULT object_scene_check_ref(const Quadhsm__ObjectRef *ref);
/* A session object as the client sent it, with its material.
 * Errors: QH_ENOTFOUND (forged, or of another partition), QH_ENOLOGIN, QH_EPERM, QH_ENOMEM,
 * QH_ESYSTEM. Owns: object_free(). */
QH_RESULT object_scene_session(const struct request *request, const struct object_scene *scene,
                               const Quadhsm__ObjectRef *ref, struct object **ret_object);

/* Put @object into the store, or into the answer alone. Errors: those of object_seal() and
 * object_answer_add(). */
QH_RESULT object_scene_put(const struct object_scene *scene, const struct object *object,
                           const uint8_t id[OBJECT_ID_SIZE], uint64_t counter,
                           struct change_list *changes, struct object_answer *list);
QH_RESULT object_scene_put_session(const struct object_scene *scene, const struct object *object,
                                   struct object_answer *list);

#endif
