/* Calls that answer with objects, for the library's own files. */
#ifndef QH_CLIENT_OBJECT_H
#define QH_CLIENT_OBJECT_H

#include <stddef.h>

#include "client/quadhsm.h"
#include "proto/quadhsm.pb-c.h"

/* A change that gives @count objects. Returns what a public function returns. */
int object_call(struct quadhsm_token *token, Quadhsm__Request *request, size_t count,
                struct quadhsm_object *ret_objects[]);

#endif
