/* The key that a request names: found, checked for what it is to do, opened for this thread. */
#ifndef QH_NODE_KEY_USE_H
#define QH_NODE_KEY_USE_H

#include "hsm/object.h"
#include "node/request.h"

/* Inside view_enter(). Is the user logged in if the key is private, was the PIN shown for this very
 * operation if it always authenticates, and may it do @use with @params? *ret_key stays valid until
 * the thread opens the next one, *ret_object until view_leave(), without material.
 * Errors: QH_ELOCKED, QH_ENOTFOUND (forged, or of another partition, too), QH_ENOLOGIN, those of
 * object_may() and of keycache_get(). */
QH_RESULT key_use_open(const struct request *request, const Quadhsm__ObjectRef *ref,
                       enum object_use use, const struct mech_params *params,
                       const ProtobufCBinaryData *context_ticket, struct key **ret_key,
                       const struct object **ret_object);

/* Inside view_enter(). An object with its material, opened for this one time: of a user who may
 * read it. Errors: QH_ELOCKED, QH_ENOTFOUND, QH_ENOLOGIN, QH_EPERM, those of object_open().
 * Owns: object_free(). */
QH_RESULT key_use_material(const struct request *request, const Quadhsm__ObjectRef *ref,
                           struct object **ret_object);

/* Does the mechanism take long with this key, though it is cheap with others? Enters the view. */
bool key_use_is_slow(const struct request *request, const Quadhsm__ObjectRef *ref,
                     const struct mech_info *info);

#endif
