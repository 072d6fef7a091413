/* Found objects as they go over the wire, packed one after the other: lists are long, and messages
 * of protobuf-c take fifty allocations an object. What one object's change answers is in
 * object_answer.h. */
#ifndef QH_NODE_OBJECT_PACK_H
#define QH_NODE_OBJECT_PACK_H

#include "hsm/object.h"
#include "node/view.h"
#include "proto/quadhsm.pb-c.h"

/* An empty one is all zero. */
struct object_pack {
    uint8_t *base; /* of wire_allocator */
    size_t size, room;
};

/* All that may be read of @object, by the partition's policy @export; it stands at @found, and may
 * be opened further than there. Errors: QH_ELIMIT
 * (@size_max bytes; what is packed stays as it is), QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT object_pack_add(struct object_pack *pack, const struct object *object,
                          enum object_export export, const struct view_object *found,
                          size_t size_max);
/* Make them the answer. Errors: QH_ENOMEM. Owns: @response takes what is packed, on success
 * alone. */
QH_RESULT object_pack_end(struct object_pack *pack, bool more, Quadhsm__Response *response);
void object_pack_close(struct object_pack *pack);

#endif
