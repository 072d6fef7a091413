/* Crypto workers: threads for what takes longer than about 100 us. Two queues, so that key
 * generation and Argon2id (one thread of their own, at a lower priority) cannot starve signing.
 * Fair between connections: each connection's requests wait in a line of their own, and the lines
 * take turns. */
#ifndef QH_NODE_WORKERS_H
#define QH_NODE_WORKERS_H

#include <stdbool.h>

#include "base/err.h"
#include "node/request.h"

#define WORKERS_QUEUE_MAX 4096u /* requests waiting, of each kind; more are QH_EBUSY */
#define WORKERS_THREADS_MAX 64u

struct workers;
/* @threads for REQUEST_WORKER, and one more. Errors: QH_EINVAL, QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT workers_start(unsigned threads, struct workers **ret_workers);
void workers_stop(struct workers *workers); /* what waits is answered with QH_ECANCELED */
bool workers_post(struct workers *workers, struct request *request, bool slow); /* false: full */
unsigned workers_queued(const struct workers *workers);
unsigned workers_threads(const struct workers *workers);

#endif
