/* Destroys the objects of a partition that is initialized (C_InitToken), but for those whose
 * CKA_DESTROYABLE is false. Thread: control. */
#ifndef QH_NODE_WIPE_H
#define QH_NODE_WIPE_H

#include "node/request.h"

#define WIPE_DELETES_MAX 48u   /* objects a transaction */
#define WIPE_IN_FLIGHT_MAX 8u  /* transactions at once: they share entries of the log */
#define WIPE_VISITS_MAX 512u   /* objects looked at for one transaction */
#define WIPE_TIMEOUT_MS 10000u /* of a transaction */

/* For the request that put its id into the partition's record: destroy, take the id out again, and
 * end the request with the response that it has. If the record has another id, or none, this was
 * done before. It ends with QH_ENOTFOUND (no such partition), QH_ENOQUORUM or QH_EUNKNOWN in the
 * middle, from where the same request, or another one, goes on. */
void wipe_run(struct request *request);

#endif
