/* The set of nodes: those of the configuration (seeds), and those that the cluster lists. The list
 * is kept in a file, so that a client whose seeds are all gone still finds the cluster.
 *
 * A seed that the cluster does not list (another name or address of a node, or a node that has
 * left) stays in the set: it may be the only one that can be reached from here.
 *
 * Thread: the owner's lock, but for the functions on files. */
#ifndef QH_CLIENT_ENDPOINTS_H
#define QH_CLIENT_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/limits.h"
#include "client/health.h"
#include "client/pool.h"
#include "config/client_config.h"
#include "proto/quadhsm.pb-c.h"

#define ENDPOINTS_MAX (CLIENT_CONFIG_ENDPOINTS_MAX + NODES_MAX)
#define ENDPOINT_ADDRESSES_MAX 4u /* of one name; the rest is not tried */
#define CLUSTER_ID_SIZE 16u
#define CLUSTER_NAME_LENGTH_MAX 63u

struct endpoint_address {
    struct sockaddr_storage address;
    socklen_t size;
};

struct endpoint {
    unsigned references;
    bool seed, listed;
    bool retired;                        /* no longer in the set */
    char node[NODE_NAME_LENGTH_MAX + 1]; /* as the cluster lists it; "": unknown */
    char seen[NODE_NAME_LENGTH_MAX + 1]; /* who answered there last */
    char region[REGION_NAME_LENGTH_MAX + 1];
    char host[CONFIG_HOST_LENGTH_MAX + 1];
    uint16_t port;
    struct health health;
    struct pool pool;
    unsigned in_flight;       /* calls */
    uint64_t behind_until_ms; /* it said that it has not seen what this client has */
    uint64_t probed_ms;       /* when the last probe ended, well or not */
    uint64_t heard_ms;        /* when it last answered a ping */
    struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    unsigned address_count, address_next;
    bool addresses_doubtful; /* all of them failed: the name should be looked up again */
};

struct endpoints {
    struct endpoint *list[ENDPOINTS_MAX];
    size_t count;
    uint64_t revision; /* of the cluster's list; 0: none was seen */
    uint64_t generation;
    uint8_t cluster[CLUSTER_ID_SIZE];
    char cluster_name[CLUSTER_NAME_LENGTH_MAX + 1];
};

/* The seeds. Errors: QH_ENOMEM. */
QH_RESULT endpoints_init(struct endpoints *endpoints, const struct client_config *config,
                         uint64_t now_ms);
void endpoints_close(struct endpoints *endpoints);

struct endpoint *endpoint_ref(struct endpoint *endpoint);
/* Closes the idle connections with the last reference. */
void endpoint_unref(struct endpoint *endpoint);

/* What the node is called: as listed, else as it said itself, else "host:port" in @buffer. */
#define ENDPOINT_TEXT_ROOM (CONFIG_HOST_LENGTH_MAX + 16u)
const char *endpoint_text(const struct endpoint *endpoint, char buffer[ENDPOINT_TEXT_ROOM]);
/* Its name, "" if nobody knows. */
const char *endpoint_node(const struct endpoint *endpoint);
/* Another address of a node that can be reached at the one that the cluster lists. */
bool endpoints_is_alias(const struct endpoints *endpoints, const struct endpoint *endpoint);

/* All names valid, hosts printable, ports not 0, 1 to NODES_MAX entries. Errors: QH_EMALFORMED. */
QH_RESULT endpoints_check(const Quadhsm__EndpointList *list);

/* Take over a list that was checked, if it is newer (a higher revision, a newer @generation, or
 * another cluster). What is no longer listed and no seed leaves the set; the rest keeps its
 * health. *ret_changed: it was taken over. Errors: QH_ENOMEM, and nothing has changed. */
QH_RESULT endpoints_update(struct endpoints *endpoints, const Quadhsm__EndpointList *list,
                           uint64_t generation, uint64_t now_ms, bool *ret_changed);

/* ---- the file ---- */

/* "QHENDP1\n", 16 bytes of BLAKE2b over the rest, a packed EndpointList. */
#define ENDPOINTS_FILE_SIZE_MAX 16384u

/* Errors: QH_EMALFORMED. Owns: wire_message_free(). */
QH_RESULT endpoints_file_decode(struct bytes file, Quadhsm__EndpointList **ret_list);
/* Errors: QH_ENOTFOUND, QH_EIO, QH_EMALFORMED, QH_ENOMEM. */
QH_RESULT endpoints_file_read(const char *path, Quadhsm__EndpointList **ret_list);
/* Readers see the old file or the new one. Errors: QH_EIO, QH_ELIMIT, QH_ENOMEM. */
QH_RESULT endpoints_file_write(const char *path, const Quadhsm__EndpointList *list);

/* ---- addresses ---- */

/* May ask name servers and take long, unless @host is an address.
 * Errors: QH_ENOTFOUND. */
QH_RESULT endpoint_resolve(const char *host, uint16_t port, bool ask,
                           struct endpoint_address ret_addresses[ENDPOINT_ADDRESSES_MAX],
                           unsigned *ret_count);

#endif
