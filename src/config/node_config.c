/* A node's configuration. See node_config.h. */
#include "config/node_config.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config/document.h"
#include "config/parse.h"
#include "config/values.h"

#define THREADS_MAX 256u
#define CONNECTIONS_MAX 65536u
#define CONNECTIONS_DEFAULT 4096u
#define REQUEST_TIMEOUT_MIN_MS 100u
#define REQUEST_TIMEOUT_MAX_MS 600000u
#define REQUEST_TIMEOUT_DEFAULT_MS 5000u

/* The file as libcyaml loads it: texts, NULL where nothing is given. */
struct raw_client {
    char *listen, *advertise;
};
struct raw_peer {
    char *listen, *advertise, *source;
};
struct raw_unlock {
    char *method, *file;
};
struct raw_threads {
    char *service, *workers;
};
struct raw_limits {
    char *connections, *request_timeout_ms;
};
struct raw_node {
    char *node, *region, *role, *data, *control, *timing, *log;
    struct raw_client *client;
    struct raw_peer *peer;
    struct raw_unlock *unlock;
    struct raw_threads *threads;
    struct raw_limits *limits;
};

#define MUST CYAML_FLAG_POINTER
#define MAY (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT(key, flags, type, member) \
    CYAML_FIELD_STRING_PTR(key, flags, struct type, member, 0, CYAML_UNLIMITED)
#define SECTION(key, flags, member, fields) \
    CYAML_FIELD_MAPPING_PTR(key, flags, struct raw_node, member, fields)

static const cyaml_schema_field_t client_fields[] = {
    TEXT("listen", MUST, raw_client, listen),
    TEXT("advertise", MAY, raw_client, advertise),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t peer_fields[] = {
    TEXT("listen", MUST, raw_peer, listen),
    TEXT("advertise", MAY, raw_peer, advertise),
    TEXT("source", MAY, raw_peer, source),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t unlock_fields[] = {
    TEXT("method", MUST, raw_unlock, method),
    TEXT("file", MAY, raw_unlock, file),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t threads_fields[] = {
    TEXT("service", MAY, raw_threads, service),
    TEXT("workers", MAY, raw_threads, workers),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t limits_fields[] = {
    TEXT("connections", MAY, raw_limits, connections),
    TEXT("request_timeout_ms", MAY, raw_limits, request_timeout_ms),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t node_fields[] = {
    TEXT("node", MUST, raw_node, node),
    TEXT("region", MUST, raw_node, region),
    TEXT("role", MAY, raw_node, role),
    TEXT("data", MUST, raw_node, data),
    TEXT("control", MAY, raw_node, control),
    TEXT("timing", MAY, raw_node, timing),
    SECTION("client", MAY, client, client_fields),
    SECTION("peer", MUST, peer, peer_fields),
    SECTION("unlock", MAY, unlock, unlock_fields),
    SECTION("threads", MAY, threads, threads_fields),
    SECTION("limits", MAY, limits, limits_fields),
    TEXT("log", MAY, raw_node, log),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t node_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_node, node_fields),
};

static const struct document_example node_examples[] = {
    {"node", "node: alpha"},
    {"region", "region: east"},
    {"role", "role: hsm"},
    {"data", "data: /var/lib/quadhsm"},
    {"control", "control: /run/quadhsm/control.sock"},
    {"timing", "timing: region"},
    {"client", "\"client:\" and below it \"  listen: 10.0.0.1:7600\""},
    {"client.listen", "listen: 10.0.0.1:7600"},
    {"client.advertise", "advertise: hsm-a.example:7600"},
    {"peer", "\"peer:\" and below it \"  listen: 10.0.0.1:7601\""},
    {"peer.listen", "listen: 10.0.0.1:7601"},
    {"peer.advertise", "advertise: hsm-a.example:7601"},
    {"peer.source", "source: 10.0.0.1"},
    {"unlock", "\"unlock:\" and below it \"  method: passphrase\""},
    {"unlock.method", "method: file"},
    {"unlock.file", "file: /etc/quadhsm/unlock.key"},
    {"threads", "\"threads:\" and below it \"  service: 0\""},
    {"limits", "\"limits:\" and below it \"  connections: 4096\""},
    {"log", "log: info"},
    {NULL, NULL},
};

/* One a processor that this process may use. */
static unsigned processors(void)
{
    cpu_set_t set;
    int count;

    CPU_ZERO(&set);
    count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : (unsigned)count > THREADS_MAX ? THREADS_MAX : (unsigned)count;
}

static void read_general(struct document *document, const struct raw_node *raw,
                         struct node_config *config)
{
    static const char *const roles[] = {"hsm", "witness", NULL};
    static const char *const timings[] = {"region", "cross-region", NULL};
    static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
    unsigned role = 0;
    unsigned timing = 0;
    unsigned level = LOG_LEVEL_INFO;

    value_name(document, "node", raw->node, NODE_NAME_LENGTH_MAX, config->node);
    value_name(document, "region", raw->region, REGION_NAME_LENGTH_MAX, config->region);
    value_choice(document, "role", raw->role, roles, &role);
    value_choice(document, "timing", raw->timing, timings, &timing);
    value_choice(document, "log", raw->log, levels, &level);
    config->witness = role == 1;
    config->cross_region = timing == 1;
    config->log_level = (enum log_level)level;
}

/* A Unix socket's path has less room than others. */
static QH_RESULT read_control(struct document *document, const struct raw_node *raw,
                              struct node_config *config)
{
    enum qh_err err = value_path(document, "control", raw->control, NULL, &config->control);

    if (err == QH_OK && raw->control == NULL && config->data != NULL &&
        asprintf(&config->control, "%s/control.sock", config->data) < 0) {
        config->control = NULL;
        err = QH_ENOMEM;
    }
    if (err == QH_OK && config->control != NULL &&
        strlen(config->control) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        document_complain(document, "control",
                          "the socket's path \"%.80s...\" is too long; write one of at most %zu "
                          "characters",
                          config->control, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    }
    return err;
}

/* Others must be able to reach what is advertised. */
static void read_address_pair(struct document *document, const char *section, const char *listen,
                              const char *advertise, struct config_address *ret_listen,
                              struct config_address *ret_advertise)
{
    char key[32];

    (void)snprintf(key, sizeof(key), "%s.listen", section);
    value_address(document, key, listen, ret_listen);
    if (advertise == NULL) {
        *ret_advertise = *ret_listen;
    }
    (void)snprintf(key, sizeof(key), "%s.advertise", section);
    value_address(document, key, advertise, ret_advertise);
    if (config_host_is_any(ret_advertise->host)) {
        document_complain(document, key,
                          "nobody can connect to %s; write the address at which others reach this "
                          "node, such as %s",
                          ret_advertise->host, document_example(document, key));
    }
}

static void read_addresses(struct document *document, const struct raw_node *raw,
                           struct node_config *config)
{
    read_address_pair(document, "peer", raw->peer->listen, raw->peer->advertise,
                      &config->peer_listen, &config->peer_advertise);
    value_ip(document, "peer.source", raw->peer->source, config->peer_source);
    if (config->witness) {
        if (raw->client != NULL) {
            document_complain(document, "client",
                              "a witness serves no clients; remove this section, or write role: "
                              "hsm");
        }
        return;
    }
    if (raw->client == NULL) {
        document_complain(document, "client", "is missing; write for example %s",
                          document_example(document, "client"));
        return;
    }
    read_address_pair(document, "client", raw->client->listen, raw->client->advertise,
                      &config->client_listen, &config->client_advertise);
    if (config->client_listen.port != 0 && config->client_listen.port == config->peer_listen.port &&
        strcmp(config->client_listen.host, config->peer_listen.host) == 0) {
        document_complain(document, "client.listen",
                          "is the same as peer.listen; clients and peers need a port each, such as "
                          "7600 and 7601");
    }
}

static QH_RESULT read_unlock(struct document *document, const struct raw_node *raw,
                             struct node_config *config)
{
    static const char *const methods[] = {"file", "passphrase", NULL};
    unsigned method = CONFIG_UNLOCK_FILE;
    unsigned before = document->problems.count;

    if (config->witness) {
        if (raw->unlock != NULL) {
            document_complain(document, "unlock",
                              "a witness has no key to unlock; remove this section, or write role: "
                              "hsm");
        }
        return QH_OK;
    }
    if (raw->unlock == NULL) {
        document_complain(document, "unlock", "is missing; write for example %s",
                          document_example(document, "unlock"));
        return QH_OK;
    }
    value_choice(document, "unlock.method", raw->unlock->method, methods, &method);
    config->unlock = (enum config_unlock)method;
    if (document->problems.count != before) {
        return QH_OK;
    }
    if (method == CONFIG_UNLOCK_FILE && raw->unlock->file == NULL) {
        document_complain(document, "unlock.file", "is missing; write for example %s",
                          document_example(document, "unlock.file"));
    }
    if (method == CONFIG_UNLOCK_PASSPHRASE && raw->unlock->file != NULL) {
        document_complain(document, "unlock.file",
                          "is not used with method: passphrase; remove it, or write method: file");
        return QH_OK;
    }
    return value_path(document, "unlock.file", raw->unlock->file, NULL, &config->unlock_file);
}

static void read_limits(struct document *document, const struct raw_node *raw,
                        struct node_config *config)
{
    config->connections_max = CONNECTIONS_DEFAULT;
    config->request_timeout_ms = REQUEST_TIMEOUT_DEFAULT_MS;
    if (raw->threads != NULL) {
        value_number(document, "threads.service", raw->threads->service, 0, THREADS_MAX,
                     &config->service_threads);
        value_number(document, "threads.workers", raw->threads->workers, 0, THREADS_MAX,
                     &config->worker_threads);
    }
    if (config->service_threads == 0) {
        config->service_threads = processors();
    }
    if (config->worker_threads == 0) {
        config->worker_threads = processors();
    }
    if (raw->limits != NULL) {
        value_number(document, "limits.connections", raw->limits->connections, 1, CONNECTIONS_MAX,
                     &config->connections_max);
        value_number(document, "limits.request_timeout_ms", raw->limits->request_timeout_ms,
                     REQUEST_TIMEOUT_MIN_MS, REQUEST_TIMEOUT_MAX_MS, &config->request_timeout_ms);
    }
}

static QH_RESULT read_all(struct document *document, const struct raw_node *raw,
                          struct node_config *config)
{
    enum qh_err err;

    read_general(document, raw, config);
    err = value_path(document, "data", raw->data, NULL, &config->data);
    if (err == QH_OK) {
        err = read_control(document, raw, config);
    }
    if (err != QH_OK) {
        return err;
    }
    read_addresses(document, raw, config);
    err = read_unlock(document, raw, config);
    if (err != QH_OK) {
        return err;
    }
    read_limits(document, raw, config);
    return document->problems.count == 0 ? QH_OK : QH_ECONFIG;
}

QH_RESULT node_config_parse(const char *path, struct bytes text, struct node_config **ret_config,
                            char **ret_error)
{
    struct node_config *config = calloc(1, sizeof(*config));
    struct document document;
    void *raw = NULL;
    enum qh_err err = QH_ENOMEM;

    *ret_error = NULL;
    document_init(&document, path, text, node_examples);
    if (config == NULL || (config->path = strdup(path)) == NULL) {
        goto out;
    }
    err = document_load(&document, &node_schema, &raw);
    if (err == QH_OK) {
        err = read_all(&document, raw, config);
    }
    if (err == QH_OK) {
        *ret_config = config;
        config = NULL;
    }
out:
    if (err == QH_ENOMEM) {
        problems_add(&document.problems, 0, NULL, "cannot be read: %s", err_message(err));
    }
    *ret_error = err != QH_OK ? problems_take(&document.problems) : NULL;
    document_free_loaded(&node_schema, raw);
    document_free(&document);
    node_config_free(config);
    return err;
}

QH_RESULT node_config_load(const char *path, struct node_config **ret_config, char **ret_error)
{
    struct problems problems;
    struct value_file file;
    enum qh_err err;

    problems_init(&problems, path);
    err = value_read_file(path, &problems, &file);
    if (err != QH_OK) {
        *ret_error = problems_take(&problems);
        return err;
    }
    err = node_config_parse(path,
                            (struct bytes){.base = (const uint8_t *)file.base, .size = file.size},
                            ret_config, ret_error);
    free(file.base);
    return err;
}

void node_config_free(struct node_config *config)
{
    if (config == NULL) {
        return;
    }
    free(config->path);
    free(config->data);
    free(config->control);
    free(config->unlock_file);
    free(config);
}
