/* Which address is in which region, how far the regions are from each other, and which of them is
 * cut off. Text is parsed here; no socket is touched. */
#ifndef QH_TESTS_DRILL_DELAY_MAP_H
#define QH_TESTS_DRILL_DELAY_MAP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"

#define DELAY_REGIONS_MAX 8u
#define DELAY_NETWORKS_MAX 64u   /* of all regions together */
#define DELAY_LISTENS_MAX 64u    /* addresses listened at */
#define DELAY_MS_MAX 10000u      /* one way */
#define DELAY_UNKNOWN UINT32_MAX /* no region */

struct delay_network {
    uint32_t base, mask; /* host order */
    uint32_t region;     /* index */
};

struct delay_listen {
    struct sockaddr_in at, target;
    uint32_t region; /* of the target */
};

struct delay_map {
    uint32_t region_count, network_count, listen_count;
    char names[DELAY_REGIONS_MAX][REGION_NAME_LENGTH_MAX + 1];
    bool cut[DELAY_REGIONS_MAX];
    uint32_t delay_ms[DELAY_REGIONS_MAX][DELAY_REGIONS_MAX]; /* symmetric */
    struct delay_network networks[DELAY_NETWORKS_MAX];
    struct delay_listen listens[DELAY_LISTENS_MAX];
};

/* "NAME=ADDRESS[/PREFIX][,...]", IPv4.
 * Errors: QH_EINVAL, QH_EEXIST (the name is taken), QH_ELIMIT. */
QH_RESULT delay_map_add_region(struct delay_map *map, const char *text);
/* "ADDRESS:PORT=ADDRESS:PORT@REGION". Errors: QH_EINVAL, QH_ENOTFOUND (region), QH_ELIMIT. */
QH_RESULT delay_map_add_listen(struct delay_map *map, const char *text);
/* "A:B=MS". Errors: QH_EINVAL, QH_ENOTFOUND, QH_ELIMIT. */
QH_RESULT delay_map_set(struct delay_map *map, const char *text);
/* Errors: QH_ENOTFOUND, QH_ELIMIT. */
QH_RESULT delay_map_set_names(struct delay_map *map, const char *left, const char *right,
                              uint32_t delay_ms);
/* Errors: QH_ENOTFOUND. */
QH_RESULT delay_map_cut(struct delay_map *map, const char *region);
void delay_map_heal(struct delay_map *map);

/* DELAY_UNKNOWN if it is in none; of two networks the one that was given first. */
uint32_t delay_map_region_of(const struct delay_map *map, const struct sockaddr_in *address);
/* Is what goes between the two stopped? A region that is cut off is not cut off from itself. */
bool delay_map_is_cut(const struct delay_map *map, uint32_t left, uint32_t right);
uint64_t delay_map_delay_ns(const struct delay_map *map, uint32_t left, uint32_t right);

#endif
