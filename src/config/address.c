/* Addresses: HOST:PORT and [V6]:PORT, as they stand in configurations. Resolves nothing. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "config/node_config.h"
#include "config/parse.h"

#define ADDRESS_LABEL_LENGTH_MAX 63u /* RFC 1035 */
#define ADDRESS_PORT_DIGITS_MAX 5u

static bool is_v6(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_v4(const char *text)
{
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1;
}

bool config_ip_valid(const char *text)
{
    return is_v4(text) || is_v6(text);
}

bool config_host_is_any(const char *text)
{
    struct in6_addr v6;
    struct in_addr v4;

    return (inet_pton(AF_INET, text, &v4) == 1 && v4.s_addr == htonl(INADDR_ANY)) ||
           (inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6));
}

/* Whatever the locale says. */
static bool is_label_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Labels of letters, digits, '-' and '_', divided by dots. A name whose last label is a number is
 * a mistyped IPv4 address: resolvers would take 10.1 for 10.0.0.1. */
static bool is_name(const char *text)
{
    size_t length = strlen(text);
    size_t label = 0;
    bool digits = true;

    if (length == 0 || length > CONFIG_HOST_LENGTH_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (c == '.') {
            if (label == 0 || text[i - 1] == '-') {
                return false;
            }
            label = 0;
            digits = true;
            continue;
        }
        if (!is_label_character(c) || (label == 0 && c == '-') ||
            ++label > ADDRESS_LABEL_LENGTH_MAX) {
            return false;
        }
        digits = digits && c >= '0' && c <= '9';
    }
    return label > 0 && !digits && text[length - 1] != '-';
}

bool config_host_valid(const char *text)
{
    return config_ip_valid(text) || is_name(text);
}

/* 1 to 65,535, without sign or leading zero. */
static bool parse_port(const char *text, uint16_t *ret_port)
{
    size_t length = strlen(text);
    unsigned long port = 0;

    if (length == 0 || length > ADDRESS_PORT_DIGITS_MAX || text[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        port = port * 10 + (unsigned long)(text[i] - '0');
    }
    if (port > UINT16_MAX) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

QH_RESULT config_address_parse(const char *text, struct config_address *ret_address)
{
    struct config_address address = {0};
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[';
    size_t length;

    if (colon == NULL || (brackets && (colon < text + 2 || colon[-1] != ']'))) {
        return QH_EINVAL;
    }
    length = (size_t)(colon - text) - (brackets ? 2 : 0);
    if (length > CONFIG_HOST_LENGTH_MAX || !parse_port(colon + 1, &address.port)) {
        return QH_EINVAL;
    }
    memcpy(address.host, text + (brackets ? 1 : 0), length);
    if (brackets ? !is_v6(address.host) : (!is_v4(address.host) && !is_name(address.host))) {
        return QH_EINVAL;
    }
    *ret_address = address;
    return QH_OK;
}
