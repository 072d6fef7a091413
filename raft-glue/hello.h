/* The frames with which two nodes greet each other, as bytes. Pure.
 *
 *   dialler:   hello                      who I am
 *   acceptor:  hello, or refusal          who I am, and whether you may talk to me
 *   dialler:   hello, or refusal          whether I want to talk to you
 *
 * All three have one form, a frame's body (transport.h) in little-endian:
 *
 *   u32 magic   u16 version   u16 zero   u32 code: 0, or why the peer is refused (enum qh_err)
 *   cluster[16] u64 generation, id, start count, nonce, term   u8 length, name
 *
 * The third frame spares the acceptor from taking a connection that the dialler
 * never wanted for one that was up and died. */
#ifndef QH_GLUE_HELLO_H
#define QH_GLUE_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"
#include "raft-glue/transport.h"

#define HELLO_MAGIC 0x50485148u /* "HQHP" */
#define HELLO_VERSION 1u
#define HELLO_SIZE_MIN (12u + 16u + 5u * 8u + 1u + 1u) /* with a name of one character */
#define HELLO_SIZE_MAX (HELLO_SIZE_MIN - 1u + NODE_NAME_LENGTH_MAX)

/* @hello must be valid: an id, a name. Returns the size. */
size_t hello_encode(const struct transport_hello *hello, enum qh_err code,
                    uint8_t ret_body[HELLO_SIZE_MAX]);

/* Errors: QH_EMALFORMED; QH_EVERSION: a hello, but of another version. */
QH_RESULT hello_decode(struct bytes body, struct transport_hello *ret_hello, enum qh_err *ret_code);

#endif
