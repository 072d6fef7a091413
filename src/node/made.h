/* Objects that are made, whatever they are made of: each first, on a service or worker thread; then
 * those for the store are put there by a change. Session objects go back to the client, sealed, and
 * no node keeps them. */
#ifndef QH_NODE_MADE_H
#define QH_NODE_MADE_H

#include "hsm/object.h"
#include "node/request.h"

#define MADE_MAX 2u /* a pair */

struct made { /* request->state */
    unsigned count;
    struct object *objects[MADE_MAX];
    /* What a copy was made of, if that is in the store: it must still be the same. */
    bool has_source;
    uint8_t source[OBJECT_ID_SIZE];
    uint64_t source_revision;
    /* By PKCS#11's SO, who makes public objects. */
    bool officer;
    /* It goes into the store, and is made of what may be gone when the request comes again. */
    bool once;
};

/* NULL without memory. The request's from now on. */
struct made *made_new(struct request *request);

/* End the request: with what was made, or with the error. @err QH_OK: made->objects is filled. */
void made_finish(struct request *request, enum qh_err err);

#endif
