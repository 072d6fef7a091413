/* What a thread is told about its last call, beyond the error's number. */
#ifndef QH_CLIENT_ERROR_H
#define QH_CLIENT_ERROR_H

#include "base/err.h"
#include "client/call.h"

#define ERROR_DETAIL_ROOM 768u

/* At the beginning of a public function: no detail, no node. */
void error_clear(void);
void error_set_node(const char *node);
/* The public number of @err. Those that say nothing to an application become one that does. */
int error_public(enum qh_err err);

#endif
