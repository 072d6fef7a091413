/* The configurations from memory: what node_config_load() and client_config_load() do after they
 * have read the file. For them, and for tests. */
#ifndef QH_CONFIG_PARSE_H
#define QH_CONFIG_PARSE_H

#include "base/bytes.h"
#include "config/client_config.h"
#include "config/node_config.h"

/* @path stands in messages, and its folder is where relative paths begin. As node_config_load(). */
QH_RESULT node_config_parse(const char *path, struct bytes text, struct node_config **ret_config,
                            char **ret_error);
QH_RESULT client_config_parse(const char *path, struct bytes text,
                              struct client_config **ret_config, char **ret_error);

/* An IPv4 or IPv6 address, without brackets. */
bool config_ip_valid(const char *text);
/* An address, or a name of DNS. */
bool config_host_valid(const char *text);
/* 0.0.0.0 or ::, at which nobody can be reached. */
bool config_host_is_any(const char *text);

#endif
