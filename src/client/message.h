/* Between the public structures and the messages of the protocol. What is built borrows from the
 * caller; nothing is copied before the frame is packed. */
#ifndef QH_CLIENT_MESSAGE_H
#define QH_CLIENT_MESSAGE_H

#include <stddef.h>

#include "base/err.h"
#include "base/limits.h"
#include "client/quadhsm.h"
#include "proto/quadhsm.pb-c.h"

struct message_template {
    Quadhsm__Attribute attributes[ATTRIBUTES_MAX];
    Quadhsm__Attribute *list[ATTRIBUTES_MAX];
    size_t count;
};

/* Errors: QH_ELIMIT (too many), QH_EATTRVALUE (too large). */
QH_RESULT message_template(const struct quadhsm_attribute *attributes, size_t count,
                           struct message_template *ret_template);
Quadhsm__ObjectRef message_object_ref(const struct quadhsm_object *object);
/* Without the salt key of HKDF, which is a message of its own. */
Quadhsm__Mechanism message_mechanism(const struct quadhsm_mechanism *mechanism);
ProtobufCBinaryData message_bytes(const void *base, size_t size);

/* A copy in one block. Errors: QH_ENOMEM, QH_EMALFORMED. Owns: quadhsm_object_free(). */
QH_RESULT message_to_object(const Quadhsm__Object *message, struct quadhsm_object **ret_object);

#endif
