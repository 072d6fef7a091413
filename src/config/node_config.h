/* A node's configuration: YAML, checked against a schema (libcyaml), then against what the schema
 * cannot say. conf/ has commented examples.
 *
 *   node: alpha                  # name, as in its certificate
 *   region: east
 *   role: hsm                    # hsm (default) or witness
 *   data: /var/lib/quadhsm      # directory, mode 0700
 *   control: /run/quadhsm/control.sock    # default: DATA/control.sock
 *   timing: region               # or cross-region (time-outs of Raft)
 *   client:
 *     listen: 10.0.0.1:7600      # HOST:PORT; [v6]:PORT; not on a witness
 *     advertise: hsm-a.example:7600   # default: listen
 *   peer:
 *     listen: 10.0.0.1:7601
 *     advertise: hsm-a.example:7601
 *     source: 10.0.0.1           # where connections to peers come from; default: any
 *   unlock:                      # not on a witness
 *     method: file               # file or passphrase
 *     file: /etc/quadhsm/unlock.key   # of file; made at init or join if missing; mode 0400
 *   threads:
 *     service: 0                 # 0: one a processor
 *     workers: 0
 *   limits:
 *     connections: 4096
 *     request_timeout_ms: 5000
 *   log: info                    # error, warning, info, debug
 */
#ifndef QH_CONFIG_NODE_CONFIG_H
#define QH_CONFIG_NODE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"

#define CONFIG_FILE_SIZE_MAX 65536u /* bytes */
#define CONFIG_HOST_LENGTH_MAX 253u

struct config_address {
    char host[CONFIG_HOST_LENGTH_MAX + 1]; /* without brackets */
    uint16_t port;
};

enum config_unlock { CONFIG_UNLOCK_FILE, CONFIG_UNLOCK_PASSPHRASE };

struct node_config {
    char *path; /* of the file itself, as it was given */
    char node[NODE_NAME_LENGTH_MAX + 1];
    char region[REGION_NAME_LENGTH_MAX + 1];
    bool witness;
    bool cross_region;
    char *data;
    char *control;
    struct config_address client_listen, client_advertise; /* host "" on a witness */
    struct config_address peer_listen, peer_advertise;
    char peer_source[CONFIG_HOST_LENGTH_MAX + 1]; /* "": none */
    enum config_unlock unlock;
    char *unlock_file;                        /* of CONFIG_UNLOCK_FILE */
    unsigned service_threads, worker_threads; /* resolved: never 0 */
    unsigned connections_max;
    unsigned request_timeout_ms; /* 100 to 600,000 */
    enum log_level log_level;
};

/* Errors: QH_ECONFIG, QH_ENOTFOUND, QH_EPERM, QH_EIO, QH_ENOMEM; *ret_error is then one text of one
 * or more lines "FILE:LINE: KEY: what is wrong", to be shown as it is: free() it. It is set
 * on every failure, NULL on success.
 * Owns: node_config_free(). */
QH_RESULT node_config_load(const char *path, struct node_config **ret_config, char **ret_error);
void node_config_free(struct node_config *config); /* NULL is allowed */

/* HOST:PORT or [V6]:PORT. Errors: QH_EINVAL. */
QH_RESULT config_address_parse(const char *text, struct config_address *ret_address);

#endif
