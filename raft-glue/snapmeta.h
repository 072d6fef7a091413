/* raft_uv's snapshot-TERM-INDEX-TIME.meta (0.15.0), read without libraft. Little-endian:
 * u64 format (1), CRC, configuration index, configuration size; configuration. */
#ifndef QH_GLUE_SNAPMETA_H
#define QH_GLUE_SNAPMETA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define SNAPMETA_SIZE_MAX ((1u << 20) + 32u) /* bytes */

/* NULL if it is whole, else what is wrong (static). */
const char *snapmeta_check(struct bytes file, uint64_t *ret_configuration_index);

/* libraft's encoding of a configuration, which its own decoder reads without looking where it
 * ends: u8 version (1), u64 count; servers: u64 id, name and a NUL, u8 role; up to 7 bytes of
 * padding. */
bool snapmeta_configuration_valid(struct bytes encoded);

#endif
