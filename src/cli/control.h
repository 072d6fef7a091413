/* One request on a node's control socket, and its answer. Thread: one. */
#ifndef QH_CLI_CONTROL_H
#define QH_CLI_CONTROL_H

#include "base/err.h"
#include "proto/quadhsm.pb-c.h"

#define CONTROL_DETAIL_ROOM 512u
#define CONTROL_WAIT_MS 600000u /* for each frame */

/* Connect to the socket @path, ask, and wait. @progress is called with the detail of each answer
 * that says that more follows.
 * Errors: the response's own, QH_ECONN, QH_EPERM, QH_EINVAL (the path), QH_ETIMEOUT, QH_EUNKNOWN,
 *         QH_EMALFORMED, QH_ENOMEM; @ret_detail says more.
 * Owns: *ret_response: wire_message_free(); only on QH_OK. */
QH_RESULT control_call(const char *path, const Quadhsm__Request *request,
                       void (*progress)(void *data, const char *text), void *data,
                       Quadhsm__Response **ret_response, char ret_detail[CONTROL_DETAIL_ROOM]);

#endif
