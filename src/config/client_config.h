/* An application's configuration, used by the library, the module and the command. YAML:
 *
 *   endpoints:                     # some nodes; the others are learnt from them
 *     - 10.0.0.1:7600
 *     - 10.0.1.1:7600
 *   ca: /etc/quadhsm/ca.crt       # relative paths are relative to this file
 *   certificate: client.crt
 *   key: client.key
 *   region: east                   # preferred; default: none, the nearest by time
 *   cache: /var/cache/quadhsm/endpoints   # default: none is kept
 *   source: 10.0.0.9               # where connections come from; default: the kernel's choice
 *   timeout_ms: 10000              # a call's deadline
 *   spread: false                  # share work over the near nodes
 *   pkcs11:
 *     hardware: false              # CKF_HW
 *     search_cache_ms: 100         # how long a search may be answered again without asking; 0:
 * never
 *
 * Found at $QUADHSM_CONFIG, else ~/.config/quadhsm/client.yaml, else /etc/quadhsm/client.yaml. */
#ifndef QH_CONFIG_CLIENT_CONFIG_H
#define QH_CONFIG_CLIENT_CONFIG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/limits.h"
#include "config/node_config.h"

#define CLIENT_CONFIG_ENDPOINTS_MAX 32u
#define CLIENT_CONFIG_TIMEOUT_MS 10000u    /* 100 to 600,000 */
#define CLIENT_CONFIG_SEARCH_CACHE_MS 100u /* 0 to 60,000 */

struct client_config {
    char *path;
    unsigned endpoint_count;
    struct config_address endpoints[CLIENT_CONFIG_ENDPOINTS_MAX];
    char *ca, *certificate, *key; /* absolute, or as the file's folder makes them */
    char region[REGION_NAME_LENGTH_MAX + 1];
    char *cache; /* NULL: none */
    char source[CONFIG_HOST_LENGTH_MAX + 1];
    unsigned timeout_ms;
    bool spread;
    bool hardware;
    unsigned search_cache_ms;
};

/* As node_config_load(). @path NULL: the places above; QH_ENOTFOUND names them all. */
QH_RESULT client_config_load(const char *path, struct client_config **ret_config, char **ret_error);
void client_config_free(struct client_config *config);

#endif
