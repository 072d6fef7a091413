/* raft_uv's files metadata1 and metadata2 (0.15.0), read without libraft. */
#include "raft-glue/metadata.h"

#include <stddef.h>

#define FORMAT 1u

/* What can be said of one file alone. */
static const char *decode(const struct metadata_file *file, unsigned number,
                          struct metadata *ret_metadata)
{
    struct bytes_reader reader;
    uint64_t format;

    if (file->content.size != METADATA_SIZE) {
        return "it has the wrong size";
    }
    bytes_reader_init(&reader, file->content.base, file->content.size);
    format = bytes_read_u64(&reader);
    ret_metadata->version = bytes_read_u64(&reader);
    ret_metadata->term = bytes_read_u64(&reader);
    ret_metadata->voted_for = bytes_read_u64(&reader);
    if (format != FORMAT) {
        return "it does not begin with a known format";
    }
    if (ret_metadata->version == 0 || ret_metadata->version % 2 != number % 2) {
        return "its version belongs to the other file";
    }
    return ret_metadata->term == 0 ? "its term is zero" : NULL;
}

/* The node died while it made the file. */
static bool is_unborn(const struct metadata_file *file)
{
    return !file->present || file->content.size < METADATA_SIZE;
}

/* Does @newer follow from @older by one step of libraft? */
static const char *compare(const struct metadata *older, const struct metadata *newer)
{
    if (newer->version != older->version + 1) {
        return "its version is not next to that of the other file";
    }
    if (newer->voted_for == 0 && newer->term <= older->term) {
        return "its term is not above that of the other file, though no vote was cast in it";
    }
    if (newer->voted_for != 0 && newer->term != older->term) {
        return "a vote was cast, and its term is not that of the other file";
    }
    return NULL;
}

static const char *choose_first(const struct metadata *first, struct metadata *ret_metadata,
                                unsigned *ret_file)
{
    /* The second file was written whole before any version above 2. */
    if (first->version != 1) {
        *ret_file = 2;
        return "it is missing or cut";
    }
    if (first->voted_for != 0) {
        return "a vote was cast in its first version";
    }
    *ret_metadata = *first;
    return NULL;
}

const char *metadata_choose(const struct metadata_file files[2], struct metadata *ret_metadata,
                            unsigned *ret_file)
{
    struct metadata both[2] = {{0}, {0}};
    const char *problem;
    unsigned newer;

    *ret_file = 1;
    if (is_unborn(&files[0])) {
        if (files[1].present) {
            return "it is missing or cut";
        }
        *ret_metadata = both[0];
        return NULL;
    }
    problem = decode(&files[0], 1, &both[0]);
    if (problem != NULL) {
        return problem;
    }
    if (is_unborn(&files[1])) {
        return choose_first(&both[0], ret_metadata, ret_file);
    }
    *ret_file = 2;
    problem = decode(&files[1], 2, &both[1]);
    if (problem != NULL) {
        return problem;
    }
    newer = both[1].version > both[0].version ? 1 : 0;
    *ret_file = newer + 1;
    problem = compare(&both[1 - newer], &both[newer]);
    if (problem == NULL) {
        *ret_metadata = both[newer];
    }
    return problem;
}
