/* Is a request well-formed: ids of their size, enumerations in range, templates and data within
 * the limits? Whatever passes here can be handled without looking again. What it is not: the
 * question of who may ask (dispatch.h). */
#ifndef QH_NODE_SHAPE_H
#define QH_NODE_SHAPE_H

#include "base/err.h"
#include "proto/quadhsm.pb-c.h"

#define SHAPE_IV_SIZE_MAX 256u         /* bytes */
#define SHAPE_LABEL_SIZE_MAX 4096u     /* bytes, of OAEP */
#define SHAPE_SALT_SIZE_MAX 1024u      /* bytes, of PSS */
#define SHAPE_DERIVE_SIZE_MAX 4096u    /* bytes: point, shared data, salt and info each */
#define SHAPE_SIGNATURE_SIZE_MAX 4096u /* bytes */
#define SHAPE_TEXT_LENGTH_MAX 255u     /* characters, of a name or address; the token has more */
#define SHAPE_TOKEN_LENGTH_MAX 4096u
#define SHAPE_FIND_LIMIT_MAX 1000u

/* Errors: QH_EINVAL, QH_ELIMIT, QH_EPARAMETER, QH_EDATASIZE, QH_ESIGNATURESIZE, QH_EPINRANGE,
 *         QH_EWRAPPEDSIZE, QH_ENOLOGIN (no such ticket), QH_EPIN (of a login), QH_EUNSUPPORTED (an
 * operation that this version does not know). *ret_detail is then a static text, or untouched.
 * Thread: any. */
QH_RESULT shape_check(const Quadhsm__Request *message, const char **ret_detail);

#endif
