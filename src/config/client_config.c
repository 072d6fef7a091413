/* An application's configuration. See client_config.h. */
#include "config/client_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/document.h"
#include "config/parse.h"
#include "config/values.h"

#define TIMEOUT_MIN_MS 100u
#define TIMEOUT_MAX_MS 600000u
#define SEARCH_CACHE_MAX_MS 60000u
#define PLACE_USER ".config/quadhsm/client.yaml"
#define PLACE_SYSTEM "/etc/quadhsm/client.yaml"

struct raw_pkcs11 {
    char *hardware, *search_cache_ms;
};
struct raw_client {
    char **endpoints;
    unsigned endpoints_count;
    char *ca, *certificate, *key;
    char *region, *cache, *source, *timeout_ms, *spread;
    struct raw_pkcs11 *pkcs11;
};

#define MUST CYAML_FLAG_POINTER
#define MAY (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define TEXT(key, flags, type, member) \
    CYAML_FIELD_STRING_PTR(key, flags, struct type, member, 0, CYAML_UNLIMITED)

static const cyaml_schema_value_t endpoint_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};
static const cyaml_schema_field_t pkcs11_fields[] = {
    TEXT("hardware", MAY, raw_pkcs11, hardware),
    TEXT("search_cache_ms", MAY, raw_pkcs11, search_cache_ms),
    CYAML_FIELD_END,
};
static const cyaml_schema_field_t client_fields[] = {
    CYAML_FIELD_SEQUENCE("endpoints", MUST, struct raw_client, endpoints, &endpoint_schema, 0,
                         CYAML_UNLIMITED),
    TEXT("ca", MUST, raw_client, ca),
    TEXT("certificate", MUST, raw_client, certificate),
    TEXT("key", MUST, raw_client, key),
    TEXT("region", MAY, raw_client, region),
    TEXT("cache", MAY, raw_client, cache),
    TEXT("source", MAY, raw_client, source),
    TEXT("timeout_ms", MAY, raw_client, timeout_ms),
    TEXT("spread", MAY, raw_client, spread),
    CYAML_FIELD_MAPPING_PTR("pkcs11", MAY, struct raw_client, pkcs11, pkcs11_fields),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t client_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_client, client_fields),
};

static const struct document_example client_examples[] = {
    {"endpoints", "\"endpoints:\" and below it \"  - 10.0.0.1:7600\""},
    {"ca", "ca: ca.crt"},
    {"certificate", "certificate: client.crt"},
    {"key", "key: client.key"},
    {"region", "region: east"},
    {"cache", "cache: /var/cache/quadhsm/endpoints"},
    {"source", "source: 10.0.0.9"},
    {"timeout_ms", "timeout_ms: 10000"},
    {"spread", "spread: false"},
    {"pkcs11", "\"pkcs11:\" and below it \"  hardware: false\""},
    {"pkcs11.hardware", "hardware: false"},
    {"pkcs11.search_cache_ms", "search_cache_ms: 100"},
    {NULL, NULL},
};

static void read_endpoints(struct document *document, const struct raw_client *raw,
                           struct client_config *config)
{
    char key[32];

    if (raw->endpoints_count == 0 || raw->endpoints_count > CLIENT_CONFIG_ENDPOINTS_MAX) {
        document_complain(document, "endpoints",
                          "has %u nodes; write 1 to %u, the others are learnt from them",
                          raw->endpoints_count, CLIENT_CONFIG_ENDPOINTS_MAX);
        return;
    }
    for (unsigned i = 0; i < raw->endpoints_count; i++) {
        (void)snprintf(key, sizeof(key), "endpoints[%u]", i + 1);
        value_address(document, key, raw->endpoints[i], &config->endpoints[i]);
        if (config_host_is_any(config->endpoints[i].host)) {
            document_complain(document, key,
                              "nobody can connect to %s; write the address of a node, such as "
                              "10.0.0.1:7600",
                              config->endpoints[i].host);
        }
    }
    config->endpoint_count = raw->endpoints_count;
}

static QH_RESULT read_paths(struct document *document, const struct raw_client *raw,
                            const char *folder, struct client_config *config)
{
    enum qh_err err = value_path(document, "ca", raw->ca, folder, &config->ca);

    if (err == QH_OK) {
        err = value_path(document, "certificate", raw->certificate, folder, &config->certificate);
    }
    if (err == QH_OK) {
        err = value_path(document, "key", raw->key, folder, &config->key);
    }
    if (err == QH_OK) {
        err = value_path(document, "cache", raw->cache, folder, &config->cache);
    }
    return err;
}

static QH_RESULT read_all(struct document *document, const struct raw_client *raw,
                          const char *folder, struct client_config *config)
{
    enum qh_err err = read_paths(document, raw, folder, config);

    if (err != QH_OK) {
        return err;
    }
    config->timeout_ms = CLIENT_CONFIG_TIMEOUT_MS;
    config->search_cache_ms = CLIENT_CONFIG_SEARCH_CACHE_MS;
    read_endpoints(document, raw, config);
    value_name(document, "region", raw->region, REGION_NAME_LENGTH_MAX, config->region);
    value_ip(document, "source", raw->source, config->source);
    value_number(document, "timeout_ms", raw->timeout_ms, TIMEOUT_MIN_MS, TIMEOUT_MAX_MS,
                 &config->timeout_ms);
    value_bool(document, "spread", raw->spread, &config->spread);
    if (raw->pkcs11 != NULL) {
        value_bool(document, "pkcs11.hardware", raw->pkcs11->hardware, &config->hardware);
        value_number(document, "pkcs11.search_cache_ms", raw->pkcs11->search_cache_ms, 0,
                     SEARCH_CACHE_MAX_MS, &config->search_cache_ms);
    }
    return document->problems.count == 0 ? QH_OK : QH_ECONFIG;
}

/* "." if the path has none. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        return strdup(".");
    }
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

QH_RESULT client_config_parse(const char *path, struct bytes text,
                              struct client_config **ret_config, char **ret_error)
{
    struct client_config *config = calloc(1, sizeof(*config));
    char *folder = folder_of(path);
    struct document document;
    void *raw = NULL;
    enum qh_err err = QH_ENOMEM;

    document_init(&document, path, text, client_examples);
    if (config == NULL || folder == NULL || (config->path = strdup(path)) == NULL) {
        goto out;
    }
    err = document_load(&document, &client_schema, &raw);
    if (err == QH_OK) {
        err = read_all(&document, raw, folder, config);
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
    document_free_loaded(&client_schema, raw);
    document_free(&document);
    free(folder);
    client_config_free(config);
    return err;
}

static QH_RESULT load_file(const char *path, struct client_config **ret_config, char **ret_error)
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
    err = client_config_parse(path,
                              (struct bytes){.base = (const uint8_t *)file.base, .size = file.size},
                              ret_config, ret_error);
    free(file.base);
    return err;
}

static QH_RESULT say_nowhere(const char *user_path, char **ret_error)
{
    if (asprintf(ret_error,
                 "no client configuration found: $QUADHSM_CONFIG is not set, and there is neither "
                 "%s nor %s; name the file, or copy the folder that `quadhsm client enroll` made",
                 user_path, PLACE_SYSTEM) < 0) {
        *ret_error = NULL;
        return QH_ENOMEM;
    }
    return QH_ENOTFOUND;
}

static QH_RESULT load_place(struct client_config **ret_config, char **ret_error)
{
    const char *home = getenv("HOME");
    char *user_path = NULL;
    enum qh_err err;

    if (asprintf(&user_path, "%s/%s", home != NULL ? home : "~", PLACE_USER) < 0) {
        *ret_error = NULL;
        return QH_ENOMEM;
    }
    if (home != NULL && access(user_path, F_OK) == 0) {
        err = load_file(user_path, ret_config, ret_error);
    } else if (access(PLACE_SYSTEM, F_OK) == 0) {
        err = load_file(PLACE_SYSTEM, ret_config, ret_error);
    } else {
        err = say_nowhere(user_path, ret_error);
    }
    free(user_path);
    return err;
}

QH_RESULT client_config_load(const char *path, struct client_config **ret_config, char **ret_error)
{
    const char *from_environment = getenv("QUADHSM_CONFIG");

    if (path != NULL) {
        return load_file(path, ret_config, ret_error);
    }
    if (from_environment != NULL && from_environment[0] != '\0') {
        return load_file(from_environment, ret_config, ret_error);
    }
    return load_place(ret_config, ret_error);
}

void client_config_free(struct client_config *config)
{
    if (config == NULL) {
        return;
    }
    free(config->path);
    free(config->ca);
    free(config->certificate);
    free(config->key);
    free(config->cache);
    free(config);
}
