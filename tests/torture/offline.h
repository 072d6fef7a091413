/* Looking at the data directories of a cluster whose processes are all dead, by qh-datadir. */
#ifndef QH_TESTS_TORTURE_OFFLINE_H
#define QH_TESTS_TORTURE_OFFLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/torture/cluster.h"
#include "tests/torture/writer.h"

struct offline_result {
    unsigned directories;
    unsigned whole;   /* passed "check" */
    unsigned equal;   /* "compare" found all of them equal: as many as @directories, else 0 */
    unsigned holding; /* hold every acknowledged key */
    uint64_t missing; /* acknowledged keys that a directory does not hold, over all of them */
};

/* Check, compare and search the directories of the nodes that have one and of which
 * @among[i] is true (NULL: all). What is wrong is printed. */
struct offline_result offline_examine(const struct cluster *cluster, const struct writer *writer,
                                      const bool *among);

/* Is everything in @result as it should be? */
bool offline_passed(const struct offline_result *result);

#endif
