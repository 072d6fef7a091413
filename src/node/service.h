/* Service threads: one a core, each with a loop, a listening socket of its own (SO_REUSEPORT) and
 * its connections from accept to close: TLS 1.3, frames, authorization, cheap operations. */
#ifndef QH_NODE_SERVICE_H
#define QH_NODE_SERVICE_H

#include "node/node.h"
#include "node/request.h"

/* Limits a service enforces before memory is spent; node_config has them too. */
#define SERVICE_THREADS_MAX 64u
#define SERVICE_CONNECTIONS_MAX 4096u /* default, of all threads together */
#define SERVICE_IN_FLIGHT_MAX 128u    /* requests of one connection; then it is not read further */
#define SERVICE_HANDSHAKE_MS 5000u
#define SERVICE_JOIN_CONNECTIONS_MAX 8u

struct service_tls {
    const char *ca_file, *cert_file, *key_file; /* PEM; the chain has node and authority */
};

/* Listens on config->client_host:client_port.
 * Errors: QH_ETLS, QH_ESYSTEM, QH_EEXIST (address in use), QH_ENOMEM; logged. */
QH_RESULT services_start(struct node *node, const struct service_tls *tls,
                         struct services **ret_services);
/* Stop accepting, answer what is under way, close. Blocks. */
void services_stop(struct services *services);
uint16_t services_port(const struct services *services); /* where the kernel chose one */

/* Called by request_run_on(REQUEST_SERVICE) and request_answer(). Any thread. */
void service_post(struct request *request);

#endif
