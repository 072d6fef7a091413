/* Crypto workers: threads for what takes longer than about 100 us. Three queues, so that Argon2id
 * and the making of RSA keys (one thread each, at a lower priority) cannot starve signing, nor
 * keys that take minutes the logins.
 * Fair between connections: each connection's requests wait in a line of their own, and the lines
 * take turns. */
#ifndef QH_NODE_WORKERS_H
#define QH_NODE_WORKERS_H

#include <stdbool.h>

#include "base/err.h"
#include "node/request.h"

#define WORKERS_QUEUE_MAX 4096u /* requests waiting, of each kind; more are QH_EBUSY */
#define WORKERS_THREADS_MAX 64u

enum workers_kind { WORKERS_FAST, WORKERS_SLOW, WORKERS_PRIMES };
#define WORKERS_KINDS 3u

struct workers;
/* @threads for WORKERS_FAST, and one for each other kind. Errors: QH_EINVAL, QH_ENOMEM, QH_ESYSTEM.
 */
QH_RESULT workers_start(unsigned threads, struct workers **ret_workers);
void workers_stop(struct workers *workers); /* what waits is answered with QH_ECANCELED */
/* False: full. */
bool workers_post(struct workers *workers, struct request *request, enum workers_kind kind);
unsigned workers_queued(const struct workers *workers);
unsigned workers_threads(const struct workers *workers);

#endif
