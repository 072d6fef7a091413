/* A mechanism as it came in a message. */
#ifndef QH_NODE_MECH_MESSAGE_H
#define QH_NODE_MECH_MESSAGE_H

#include "crypto/mech.h"
#include "proto/quadhsm.pb-c.h"

/* Borrowed from @mechanism. The salt key of HKDF is left out: the caller opens it. */
struct mech_params mech_message_params(const Quadhsm__Mechanism *mechanism);

#endif
