/* Pins libraft to the one version that the guard has been proved against. */
#ifndef QH_GLUE_VERSION_H
#define QH_GLUE_VERSION_H

#include "base/err.h"

/* Check the library that the process has loaded: the path it was loaded from
 * carries the build id (or the checksum) that configure recorded, and struct raft
 * has the layout that this code was compiled for. Logs what differs and what to do.
 * Errors: QH_EVERSION. Call at start, before raft_init(). */
QH_RESULT version_check(void);

#endif
