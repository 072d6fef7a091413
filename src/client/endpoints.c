/* The set of nodes. */
#include "client/endpoints.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "client/tlsclient.h"

static struct endpoint *endpoint_new(const char *host, uint16_t port, uint64_t now_ms)
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);

    if (endpoint != NULL) {
        endpoint->references = 1;
        endpoint->port = port;
        (void)snprintf(endpoint->host, sizeof endpoint->host, "%s", host);
        health_init(&endpoint->health, now_ms);
    }
    return endpoint;
}

struct endpoint *endpoint_ref(struct endpoint *endpoint)
{
    endpoint->references++;
    return endpoint;
}

void endpoint_unref(struct endpoint *endpoint)
{
    struct connection *connection;
    uint64_t since_ms;

    QH_ASSERT(endpoint->references > 0);
    if (--endpoint->references > 0) {
        return;
    }
    while ((connection = pool_take(&endpoint->pool, &since_ms)) != NULL) {
        connection_close(connection);
    }
    free(endpoint);
}

static struct endpoint *find(const struct endpoints *endpoints, const char *host, uint32_t port)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        if (endpoints->list[i]->port == port && strcmp(endpoints->list[i]->host, host) == 0) {
            return endpoints->list[i];
        }
    }
    return NULL;
}

QH_RESULT endpoints_init(struct endpoints *endpoints, const struct client_config *config,
                         uint64_t now_ms)
{
    memset(endpoints, 0, sizeof *endpoints);
    for (unsigned i = 0; i < config->endpoint_count; i++) {
        const struct config_address *address = &config->endpoints[i];
        struct endpoint *endpoint;

        if (find(endpoints, address->host, address->port) != NULL) {
            continue;
        }
        endpoint = endpoint_new(address->host, address->port, now_ms);
        if (endpoint == NULL) {
            endpoints_close(endpoints);
            return QH_ENOMEM;
        }
        endpoint->seed = true;
        endpoints->list[endpoints->count++] = endpoint;
    }
    return QH_OK;
}

void endpoints_close(struct endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        endpoints->list[i]->retired = true;
        endpoint_unref(endpoints->list[i]);
    }
    endpoints->count = 0;
}

const char *endpoint_node(const struct endpoint *endpoint)
{
    return endpoint->node[0] != '\0' ? endpoint->node : endpoint->seen;
}

const char *endpoint_text(const struct endpoint *endpoint, char buffer[ENDPOINT_TEXT_ROOM])
{
    const char *name = endpoint_node(endpoint);

    if (name[0] != '\0') {
        return name;
    }
    (void)snprintf(buffer, ENDPOINT_TEXT_ROOM,
                   strchr(endpoint->host, ':') != NULL ? "[%s]:%u" : "%s:%u", endpoint->host,
                   endpoint->port);
    return buffer;
}

bool endpoints_is_alias(const struct endpoints *endpoints, const struct endpoint *endpoint)
{
    if (endpoint->listed || endpoint->seen[0] == '\0') {
        return false;
    }
    for (size_t i = 0; i < endpoints->count; i++) {
        const struct endpoint *other = endpoints->list[i];

        if (other == endpoint || strcmp(endpoint_node(other), endpoint->seen) != 0 ||
            other->health.state != HEALTH_UP) {
            continue;
        }
        /* Of two seeds the first one counts. */
        if (other->listed) {
            return true;
        }
        for (size_t k = 0; k < i; k++) {
            if (endpoints->list[k] == endpoint) {
                return false;
            }
        }
        return true;
    }
    return false;
}

/* ---- the cluster's list ---- */

static bool host_valid(const char *host)
{
    size_t length = strnlen(host, CONFIG_HOST_LENGTH_MAX + 1);

    if (length == 0 || length > CONFIG_HOST_LENGTH_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (host[i] <= ' ' || host[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool region_valid(const char *region)
{
    return region[0] == '\0' ||
           (strlen(region) <= REGION_NAME_LENGTH_MAX && tlsclient_node_name_valid(region));
}

QH_RESULT endpoints_check(const Quadhsm__EndpointList *list)
{
    if (list->n_endpoints == 0 || list->n_endpoints > NODES_MAX ||
        list->cluster.len != CLUSTER_ID_SIZE ||
        strlen(list->cluster_name) > CLUSTER_NAME_LENGTH_MAX) {
        return QH_EMALFORMED;
    }
    for (size_t i = 0; i < list->n_endpoints; i++) {
        const Quadhsm__Endpoint *entry = list->endpoints[i];

        if (!tlsclient_node_name_valid(entry->node) || !region_valid(entry->region) ||
            !host_valid(entry->host) || entry->port == 0 || entry->port > UINT16_MAX) {
            return QH_EMALFORMED;
        }
    }
    return QH_OK;
}

/* Two nodes at one address are one entry: the first. */
static bool listed_before(const Quadhsm__EndpointList *list, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (list->endpoints[i]->port == list->endpoints[index]->port &&
            strcmp(list->endpoints[i]->host, list->endpoints[index]->host) == 0) {
            return true;
        }
    }
    return false;
}

static void name_endpoint(struct endpoint *endpoint, const Quadhsm__Endpoint *entry,
                          uint64_t now_ms)
{
    if (endpoint->node[0] != '\0' && strcmp(endpoint->node, entry->node) != 0) {
        health_init(&endpoint->health, now_ms); /* another node has the address now */
    }
    endpoint->listed = true;
    (void)snprintf(endpoint->node, sizeof endpoint->node, "%s", entry->node);
    (void)snprintf(endpoint->region, sizeof endpoint->region, "%s", entry->region);
}

/* The new set: what is listed, then the seeds that are not. */
static QH_RESULT build(const struct endpoints *endpoints, const Quadhsm__EndpointList *list,
                       uint64_t now_ms, struct endpoint *fresh[NODES_MAX])
{
    for (size_t i = 0; i < list->n_endpoints; i++) {
        const Quadhsm__Endpoint *entry = list->endpoints[i];

        fresh[i] = NULL;
        if (listed_before(list, i) || find(endpoints, entry->host, entry->port) != NULL) {
            continue;
        }
        fresh[i] = endpoint_new(entry->host, (uint16_t)entry->port, now_ms);
        if (fresh[i] == NULL) {
            while (i-- > 0) {
                free(fresh[i]);
            }
            return QH_ENOMEM;
        }
    }
    return QH_OK;
}

static bool newer(const struct endpoints *endpoints, const Quadhsm__EndpointList *list,
                  uint64_t generation)
{
    return list->endpoints_revision > endpoints->revision || generation > endpoints->generation ||
           memcmp(list->cluster.data, endpoints->cluster, CLUSTER_ID_SIZE) != 0;
}

QH_RESULT endpoints_update(struct endpoints *endpoints, const Quadhsm__EndpointList *list,
                           uint64_t generation, uint64_t now_ms, bool *ret_changed)
{
    struct endpoint *fresh[NODES_MAX];
    size_t kept = 0;
    enum qh_err err;

    if (!newer(endpoints, list, generation)) {
        *ret_changed = false;
        return QH_OK;
    }
    err = build(endpoints, list, now_ms, fresh);
    if (err != QH_OK) {
        return err;
    }
    for (size_t i = 0; i < endpoints->count; i++) {
        endpoints->list[i]->listed = false;
    }
    for (size_t i = 0; i < list->n_endpoints; i++) {
        const Quadhsm__Endpoint *entry = list->endpoints[i];
        struct endpoint *old = find(endpoints, entry->host, entry->port);

        if (old != NULL && !old->listed) {
            name_endpoint(old, entry, now_ms);
        } else if (fresh[i] != NULL) {
            name_endpoint(fresh[i], entry, now_ms);
        }
    }
    for (size_t i = 0; i < endpoints->count; i++) {
        struct endpoint *endpoint = endpoints->list[i];

        if (endpoint->listed || endpoint->seed) {
            if (!endpoint->listed) {
                endpoint->node[0] = '\0';
            }
            endpoints->list[kept++] = endpoint;
        } else {
            endpoint->retired = true;
            endpoint_unref(endpoint);
        }
    }
    /* At most all seeds, and as many listed ones as a cluster has nodes. */
    for (size_t i = 0; i < list->n_endpoints; i++) {
        if (fresh[i] != NULL) {
            endpoints->list[kept++] = fresh[i];
        }
    }
    QH_ASSERT(kept <= ENDPOINTS_MAX);
    endpoints->count = kept;
    endpoints->revision = list->endpoints_revision;
    endpoints->generation = generation;
    memcpy(endpoints->cluster, list->cluster.data, CLUSTER_ID_SIZE);
    (void)snprintf(endpoints->cluster_name, sizeof endpoints->cluster_name, "%s",
                   list->cluster_name);
    *ret_changed = true;
    return QH_OK;
}

/* ---- addresses ---- */

QH_RESULT endpoint_resolve(const char *host, uint16_t port, bool ask,
                           struct endpoint_address ret_addresses[ENDPOINT_ADDRESSES_MAX],
                           unsigned *ret_count)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    char service[8];
    unsigned count = 0;

    (void)snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        if (!ask || getaddrinfo(host, service, &hints, &found) != 0) {
            return QH_ENOTFOUND;
        }
    }
    for (const struct addrinfo *info = found; info != NULL && count < ENDPOINT_ADDRESSES_MAX;
         info = info->ai_next) {
        memset(&ret_addresses[count], 0, sizeof ret_addresses[count]);
        memcpy(&ret_addresses[count].address, info->ai_addr, info->ai_addrlen);
        ret_addresses[count].size = info->ai_addrlen;
        count++;
    }
    freeaddrinfo(found);
    *ret_count = count;
    return QH_OK;
}
