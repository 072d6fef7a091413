/* Any bytes as a configuration of a node and of a client: taken with everything in its range, or
 * refused with lines that each begin with the file's name. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "config/client_config.h"
#include "config/node_config.h"
#include "config/parse.h"
#include "tests/fuzz/fuzz.h"

#define NAME "f.yaml"

static void check_error(enum qh_err err, char *error)
{
    QH_ASSERT(err == QH_ECONFIG);
    QH_ASSERT(error != NULL);
    for (const char *line = error; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n' ? 1 : 0;
        QH_ASSERT(strncmp(line, NAME ":", sizeof(NAME)) == 0);
    }
    for (const char *at = error; *at != '\0'; at++) {
        QH_ASSERT(*at == '\n' || (*at >= ' ' && *at <= '~'));
    }
    free(error);
}

static void try_node(struct bytes text)
{
    struct node_config *config = NULL;
    char *error = NULL;
    enum qh_err err = node_config_parse(NAME, text, &config, &error);

    if (err != QH_OK) {
        QH_ASSERT(config == NULL);
        check_error(err, error);
        return;
    }
    QH_ASSERT(error == NULL);
    QH_ASSERT(config->node[0] != '\0');
    QH_ASSERT(config->data[0] == '/');
    QH_ASSERT(config->control[0] == '/');
    QH_ASSERT(config->peer_listen.port != 0);
    QH_ASSERT(config->witness == (config->client_listen.port == 0));
    QH_ASSERT(config->service_threads >= 1);
    QH_ASSERT(config->worker_threads >= 1);
    QH_ASSERT(config->connections_max >= 1);
    QH_ASSERT(config->request_timeout_ms >= 100);
    QH_ASSERT((config->unlock_file != NULL) ==
              (!config->witness && config->unlock == CONFIG_UNLOCK_FILE));
    node_config_free(config);
}

static void try_client(struct bytes text)
{
    struct client_config *config = NULL;
    char *error = NULL;
    enum qh_err err = client_config_parse(NAME, text, &config, &error);

    if (err != QH_OK) {
        QH_ASSERT(config == NULL);
        check_error(err, error);
        return;
    }
    QH_ASSERT(error == NULL);
    QH_ASSERT(config->endpoint_count >= 1);
    QH_ASSERT(config->endpoint_count <= CLIENT_CONFIG_ENDPOINTS_MAX);
    for (unsigned i = 0; i < config->endpoint_count; i++) {
        QH_ASSERT(config->endpoints[i].port != 0);
        QH_ASSERT(config_host_valid(config->endpoints[i].host));
    }
    QH_ASSERT(config->ca != NULL);
    QH_ASSERT(config->certificate != NULL);
    QH_ASSERT(config->key != NULL);
    QH_ASSERT(config->timeout_ms >= 100);
    client_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = {.base = data, .size = size};

    try_node(text);
    try_client(text);
    return 0;
}
