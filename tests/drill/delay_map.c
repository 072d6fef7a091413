/* Regions, addresses and delays of the delay proxy. */
#include "tests/drill/delay_map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000u
#define TEXT_LENGTH_MAX 1023u

static uint32_t find_region(const struct delay_map *map, const char *name)
{
    for (uint32_t i = 0; i < map->region_count; i++) {
        if (strcmp(map->names[i], name) == 0) {
            return i;
        }
    }
    return DELAY_UNKNOWN;
}

static bool parse_number(const char *text, unsigned long max, uint32_t *ret_number)
{
    char *end;
    unsigned long number;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > max) {
        return false;
    }
    *ret_number = (uint32_t)number;
    return true;
}

/* ADDRESS[/PREFIX], changed while it is read. */
static bool parse_network(char *text, struct delay_network *ret_network)
{
    struct in_addr address;
    char *slash = strchr(text, '/');
    uint32_t prefix = 32;

    if (slash != NULL) {
        *slash = '\0';
        if (!parse_number(slash + 1, 32, &prefix)) {
            return false;
        }
    }
    if (inet_pton(AF_INET, text, &address) != 1) {
        return false;
    }
    ret_network->mask = prefix == 0 ? 0 : UINT32_MAX << (32 - prefix);
    ret_network->base = ntohl(address.s_addr) & ret_network->mask;
    return true;
}

/* ADDRESS:PORT, changed while it is read. */
static bool parse_address(char *text, struct sockaddr_in *ret_address)
{
    char *colon = strrchr(text, ':');
    uint32_t port;

    if (colon == NULL) {
        return false;
    }
    *colon = '\0';
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET};
    if (!parse_number(colon + 1, UINT16_MAX, &port)) {
        return false;
    }
    ret_address->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, text, &ret_address->sin_addr) == 1;
}

/* A copy in @room, split at the first @mark: *ret_right is what stands behind it. */
static bool split(const char *text, char mark, char room[TEXT_LENGTH_MAX + 1], char **ret_right)
{
    size_t length = strlen(text);
    char *found;

    if (length > TEXT_LENGTH_MAX) {
        return false;
    }
    memcpy(room, text, length + 1);
    found = strchr(room, mark);
    if (found == NULL || found == room) {
        return false;
    }
    *found = '\0';
    *ret_right = found + 1;
    return true;
}

static enum qh_err add_networks(struct delay_map *map, char *list, uint32_t region)
{
    char *next = list;

    while (next != NULL) {
        char *text = next;
        struct delay_network network = {.region = region};

        next = strchr(text, ',');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (map->network_count == DELAY_NETWORKS_MAX) {
            return QH_ELIMIT;
        }
        if (!parse_network(text, &network)) {
            return QH_EINVAL;
        }
        map->networks[map->network_count++] = network;
    }
    return QH_OK;
}

enum qh_err delay_map_add_region(struct delay_map *map, const char *text)
{
    char name[TEXT_LENGTH_MAX + 1];
    uint32_t networks_before = map->network_count;
    char *list;
    enum qh_err err;

    if (!split(text, '=', name, &list)) {
        return QH_EINVAL;
    }
    if (strlen(name) > REGION_NAME_LENGTH_MAX || map->region_count == DELAY_REGIONS_MAX) {
        return QH_ELIMIT;
    }
    if (find_region(map, name) != DELAY_UNKNOWN) {
        return QH_EEXIST;
    }
    err = add_networks(map, list, map->region_count);
    if (err != QH_OK) {
        map->network_count = networks_before;
        return err;
    }
    memcpy(map->names[map->region_count++], name, strlen(name) + 1);
    return QH_OK;
}

enum qh_err delay_map_add_listen(struct delay_map *map, const char *text)
{
    char left[TEXT_LENGTH_MAX + 1], middle[TEXT_LENGTH_MAX + 1];
    struct delay_listen listen;
    char *right, *region;

    if (!split(text, '=', left, &right) || !split(right, '@', middle, &region) ||
        !parse_address(left, &listen.at) || !parse_address(middle, &listen.target)) {
        return QH_EINVAL;
    }
    listen.region = find_region(map, region);
    if (listen.region == DELAY_UNKNOWN) {
        return QH_ENOTFOUND;
    }
    if (map->listen_count == DELAY_LISTENS_MAX) {
        return QH_ELIMIT;
    }
    map->listens[map->listen_count++] = listen;
    return QH_OK;
}

enum qh_err delay_map_set(struct delay_map *map, const char *text)
{
    char left[TEXT_LENGTH_MAX + 1], middle[TEXT_LENGTH_MAX + 1];
    char *right, *number;
    uint32_t delay_ms;

    if (!split(text, ':', left, &right) || !split(right, '=', middle, &number)) {
        return QH_EINVAL;
    }
    if (!parse_number(number, UINT32_MAX - 1, &delay_ms)) {
        return QH_EINVAL;
    }
    return delay_map_set_names(map, left, middle, delay_ms);
}

enum qh_err delay_map_set_names(struct delay_map *map, const char *left, const char *right,
                                uint32_t delay_ms)
{
    uint32_t a = find_region(map, left), b = find_region(map, right);

    if (a == DELAY_UNKNOWN || b == DELAY_UNKNOWN) {
        return QH_ENOTFOUND;
    }
    if (delay_ms > DELAY_MS_MAX) {
        return QH_ELIMIT;
    }
    map->delay_ms[a][b] = delay_ms;
    map->delay_ms[b][a] = delay_ms;
    return QH_OK;
}

enum qh_err delay_map_cut(struct delay_map *map, const char *region)
{
    uint32_t index = find_region(map, region);

    if (index == DELAY_UNKNOWN) {
        return QH_ENOTFOUND;
    }
    map->cut[index] = true;
    return QH_OK;
}

void delay_map_heal(struct delay_map *map)
{
    memset(map->cut, 0, sizeof map->cut);
}

uint32_t delay_map_region_of(const struct delay_map *map, const struct sockaddr_in *address)
{
    uint32_t host = ntohl(address->sin_addr.s_addr);

    for (uint32_t i = 0; i < map->network_count; i++) {
        if ((host & map->networks[i].mask) == map->networks[i].base) {
            return map->networks[i].region;
        }
    }
    return DELAY_UNKNOWN;
}

bool delay_map_is_cut(const struct delay_map *map, uint32_t left, uint32_t right)
{
    return left != right && (map->cut[left] || map->cut[right]);
}

uint64_t delay_map_delay_ns(const struct delay_map *map, uint32_t left, uint32_t right)
{
    return (uint64_t)map->delay_ms[left][right] * NS_PER_MS;
}
