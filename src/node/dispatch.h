/* From a request to its handler: is it well-formed, who may ask for it, must it wait for a
 * revision? The table in dispatch.c says so for each operation.
 *
 * Thread: the service thread of the request's connection, inside view_thread_begin(); of requests
 * of the control socket the control thread. */
#ifndef QH_NODE_DISPATCH_H
#define QH_NODE_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/request.h"

/* What a connection remembers, so that a request costs no decryption of its ticket. Zero at first;
 * belongs to the connection's thread. */
struct dispatch_cache {
    bool enrolled; /* as of the last request */
    /* The ticket opened last, and against which directory. The address alone would not do: it may
     * come again. */
    const struct directory *directory;
    uint64_t revision;
    size_t sealed_size; /* 0: none */
    uint8_t sealed[TICKET_SIZE_MAX];
    struct ticket ticket;
};

/* Takes the request to its answer. @cache: NULL for the control socket. */
void dispatch_begin(struct request *request);

/* Is this certificate enrolled, as far as this node knows now? */
bool dispatch_enrolled(const struct node *node, const uint8_t fingerprint[FINGERPRINT_SIZE]);

#endif
