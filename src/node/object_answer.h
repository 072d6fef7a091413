/* Objects as the answers of changes carry them, and templates as requests do. Those that are found
 * are in object_pack.h. */
#ifndef QH_NODE_OBJECT_ANSWER_H
#define QH_NODE_OBJECT_ANSWER_H

#include "hsm/object.h"
#include "proto/quadhsm.pb-c.h"

/* Of all objects of one answer, packed. */
#define OBJECT_ANSWER_SIZE_MAX (WIRE_FRAME_SIZE_MAX - 2u * STORE_VALUE_SIZE_MAX)

/* @room backs the template, which borrows the values. Errors: QH_ELIMIT (ATTRIBUTES_MAX). */
QH_RESULT object_answer_template(Quadhsm__Attribute **list, size_t count,
                                 struct attribute room[ATTRIBUTES_MAX],
                                 struct attributes *ret_template);

/* Of a template; @otherwise if it is not there, or no boolean. */
bool object_answer_flag(Quadhsm__Attribute **list, size_t count, CK_ATTRIBUTE_TYPE type,
                        bool otherwise);

/* An answer in the making. */
struct object_answer {
    Quadhsm__ObjectList *list; /* of the response */
    size_t size;               /* packed, in bytes */
};

/* Make the answer an empty list, with room for @room objects. Errors: QH_ENOMEM. */
QH_RESULT object_answer_begin(struct object_answer *answer, Quadhsm__Response *response,
                              size_t room);

/* All that may be read of @object, by the partition's policy @export. @id NULL: a session object,
 * @session. @revision 0: that of the response. Errors: QH_ELIMIT (OBJECT_ANSWER_SIZE_MAX; the
 * answer stays as it is), QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT object_answer_add(struct object_answer *answer, const struct object *object,
                            enum object_export export, const uint8_t *id, struct bytes session,
                            uint64_t revision);

#endif
