/* raft_uv's files metadata1 and metadata2 (0.15.0), read without libraft. Little-endian:
 * u64 format (1), version, term, vote.
 *
 * Version v goes to metadata1 if it is odd and to metadata2 if it is even, so the
 * files are one version apart, and the newer one follows from the older one: either the term
 * was raised, which takes the vote back, or a vote was cast in the same term. libraft
 * has no checksum here; these rules take its place. They see every flipped bit but these, none of
 * which can make the node vote twice in a term: a vote that becomes another id (it then refuses
 * whom it had chosen, if ids are random), and a term that becomes higher, or becomes lower while no
 * vote was cast in it and it stays above that of the other file and of the log. */
#ifndef QH_GLUE_METADATA_H
#define QH_GLUE_METADATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define METADATA_SIZE 32u /* bytes */

/* One of the two files: absent, or @content of any size. */
struct metadata_file {
    bool present;
    struct bytes content;
};

struct metadata {
    uint64_t version; /* 0: none was ever written */
    uint64_t term;
    uint64_t voted_for; /* 0: nobody in this term */
};

/* Which one counts? NULL if they make sense together, else what is wrong (static), with
 * *ret_file 1 or 2. A file shorter than METADATA_SIZE counts as absent if it was being made
 * when the node died. */
const char *metadata_choose(const struct metadata_file files[2], struct metadata *ret_metadata,
                            unsigned *ret_file);

#endif
