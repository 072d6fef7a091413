/* What the daemon gives up before it touches a secret. */
#ifndef QH_NODE_HARDEN_H
#define QH_NODE_HARDEN_H

#include "base/err.h"

/* No core dumps, no ptrace by others, no new privileges, files private by default; OpenSSL's secure
 * heap for private keys. Errors: QH_ESYSTEM, logged. Thread: before any other. */
QH_RESULT harden_process(void);

#endif
