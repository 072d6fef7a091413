/* Looks at data directories while no node runs:
 *
 *   qh-datadir check DIR           as a node does before it starts; mends what a node mends
 *   qh-datadir summary DIR
 *   qh-datadir compare DIR...      stores at the highest index that all have, and the log entries
 *                                  that all have
 *   qh-datadir contains DIR FILE   one record key a line, in hex
 *
 * Exit status: 0 as it should be, 1 not so (it says what), 2 wrong usage. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "raft-glue/datadir.h"
#include "raft-glue/identity.h"
#include "store/store.h"

#define EXIT_WRONG 1
#define EXIT_USAGE 2
#define HASH_SIZE 32u
#define MISSING_SHOWN_MAX 20u
#define LINE_LENGTH_MAX (2 * STORE_KEY_SIZE_MAX + 2)

static int failed(const char *dir, enum qh_err err)
{
    (void)printf("%s: %s (%s)\n", dir, err_message(err), err_name(err));
    return EXIT_WRONG;
}

static int run_check(const char *dir)
{
    struct identity identity;
    enum qh_err err;
    int lock_fd;

    err = datadir_lock(dir, &lock_fd);
    if (err != QH_OK) {
        return failed(dir, err);
    }
    err = identity_load(dir, &identity);
    if (err == QH_OK) {
        err = datadir_check(dir, identity.member);
    }
    (void)close(lock_fd);
    if (err != QH_OK) {
        return failed(dir, err);
    }
    (void)printf("%s: whole\n", dir);
    return EXIT_SUCCESS;
}

static void print_summary(const char *dir, const struct datadir_summary *summary)
{
    (void)printf("%s: term=%" PRIu64 " voted_for=%" PRIu64 " snapshot_index=%" PRIu64
                 " snapshot_term=%" PRIu64 " first_index=%" PRIu64 " last_index=%" PRIu64
                 " last_term=%" PRIu64 " configuration_index=%" PRIu64 "\n",
                 dir, summary->term, summary->voted_for, summary->snapshot_index,
                 summary->snapshot_term, summary->first_index, summary->last_index,
                 summary->last_term, summary->configuration_index);
}

static int run_summary(const char *dir)
{
    struct datadir_summary summary;
    struct store *store;
    uint64_t index;
    enum qh_err err;

    err = datadir_summarize(dir, &summary);
    if (err == QH_OK) {
        err = datadir_load_store(dir, UINT64_MAX, &store, &index);
    }
    if (err != QH_OK) {
        return failed(dir, err);
    }
    print_summary(dir, &summary);
    (void)printf("%s: records=%" PRIu64 " bytes=%" PRIu64 " revision=%" PRIu64 "\n", dir,
                 store_record_count(store), store_data_size(store), store_revision(store));
    store_free(store);
    return EXIT_SUCCESS;
}

/* compare */

/* What is kept of an entry of the first directory. */
struct kept {
    uint64_t term;
    unsigned type;
    uint8_t hash[HASH_SIZE];
};

struct comparison {
    uint64_t first; /* the range of indexes that all logs have; empty if above @last */
    uint64_t last;
    struct kept *kept;
    bool keeping;
    uint64_t seen;
    uint64_t differing; /* 0, or the first index whose entries differ */
    uint64_t terms[2];  /* there: of the first directory and of this one */
};

static bool visit_entry(void *data, const struct datadir_entry *entry)
{
    struct comparison *comparison = data;
    struct kept kept = {.term = entry->term, .type = entry->type};
    struct kept *first;

    if (entry->index > comparison->last) {
        return false;
    }
    first = &comparison->kept[entry->index - comparison->first];
    (void)crypto_generichash(kept.hash, HASH_SIZE, entry->data.base, entry->data.size, NULL, 0);
    comparison->seen++;
    if (comparison->keeping) {
        *first = kept;
        return true;
    }
    if (first->term == kept.term && first->type == kept.type &&
        memcmp(first->hash, kept.hash, HASH_SIZE) == 0) {
        return true;
    }
    comparison->differing = entry->index;
    comparison->terms[0] = first->term;
    comparison->terms[1] = kept.term;
    return false;
}

static int compare_log(struct comparison *comparison, const char *first_dir, const char *dir)
{
    enum qh_err err;

    comparison->seen = 0;
    comparison->keeping = dir == first_dir;
    err = datadir_each_entry(dir, comparison->first, visit_entry, comparison);
    if (err != QH_OK) {
        return failed(dir, err);
    }
    if (comparison->differing != 0) {
        (void)printf("the logs differ at index %" PRIu64 ": term %" PRIu64 " in %s, term %" PRIu64
                     " in %s\n",
                     comparison->differing, comparison->terms[0], first_dir, comparison->terms[1],
                     dir);
        return EXIT_WRONG;
    }
    if (comparison->seen != comparison->last - comparison->first + 1) {
        (void)printf("%s: has %" PRIu64 " entries from %" PRIu64 " to %" PRIu64 "\n", dir,
                     comparison->seen, comparison->first, comparison->last);
        return EXIT_WRONG;
    }
    return EXIT_SUCCESS;
}

static int compare_logs(struct comparison *comparison, char *const *dirs, unsigned count)
{
    int status = EXIT_SUCCESS;

    if (comparison->first > comparison->last) {
        (void)printf("no index is in all logs, so they are compared by their stores alone\n");
        return EXIT_SUCCESS;
    }
    comparison->kept = calloc(comparison->last - comparison->first + 1, sizeof(*comparison->kept));
    if (comparison->kept == NULL) {
        return failed(dirs[0], QH_ENOMEM);
    }
    for (unsigned i = 0; i < count && status == EXIT_SUCCESS; i++) {
        status = compare_log(comparison, dirs[0], dirs[i]);
    }
    free(comparison->kept);
    return status;
}

static int digest_at(const char *dir, uint64_t upto, uint8_t ret_digest[STORE_DIGEST_SIZE])
{
    struct store *store;
    uint64_t index;
    enum qh_err err = datadir_load_store(dir, upto, &store, &index);

    if (err == QH_ENOTFOUND) {
        (void)printf("%s: its snapshot is newer than index %" PRIu64
                     ", where another log ends; let that node catch up first\n",
                     dir, upto);
        return EXIT_WRONG;
    }
    if (err == QH_OK) {
        err = store_digest(store, ret_digest);
        store_free(store);
    }
    return err == QH_OK ? EXIT_SUCCESS : failed(dir, err);
}

static int compare_stores(uint64_t upto, char *const *dirs, unsigned count)
{
    uint8_t first[STORE_DIGEST_SIZE];
    int status = EXIT_SUCCESS;

    for (unsigned i = 0; i < count; i++) {
        uint8_t digest[STORE_DIGEST_SIZE];

        if (digest_at(dirs[i], upto, digest) != EXIT_SUCCESS) {
            return EXIT_WRONG;
        }
        if (i == 0) {
            memcpy(first, digest, sizeof(first));
        } else if (memcmp(first, digest, sizeof(first)) != 0) {
            (void)printf("the stores differ at index %" PRIu64 ": %s and %s\n", upto, dirs[0],
                         dirs[i]);
            status = EXIT_WRONG;
        }
    }
    return status;
}

static int run_compare(char *const *dirs, unsigned count)
{
    struct comparison comparison = {.first = 1, .last = UINT64_MAX};
    int logs_status;
    int stores_status;

    for (unsigned i = 0; i < count; i++) {
        struct datadir_summary summary;
        uint64_t first;
        enum qh_err err = datadir_summarize(dirs[i], &summary);

        if (err != QH_OK) {
            return failed(dirs[i], err);
        }
        first = summary.first_index != 0 ? summary.first_index : summary.last_index + 1;
        comparison.first = first > comparison.first ? first : comparison.first;
        comparison.last =
            summary.last_index < comparison.last ? summary.last_index : comparison.last;
    }
    /* The logs first: where they differ says more than that the stores do. */
    logs_status = compare_logs(&comparison, dirs, count);
    stores_status = compare_stores(comparison.last, dirs, count);
    if (logs_status != EXIT_SUCCESS || stores_status != EXIT_SUCCESS) {
        return EXIT_WRONG;
    }
    (void)printf("%u directories are equal at index %" PRIu64 "\n", count, comparison.last);
    return EXIT_SUCCESS;
}

/* contains */

/* Returns 0 if it is there, 1 if it is missing, -1 if the line is no key. */
static int look_up(const struct store *store, const char *line)
{
    uint8_t key[STORE_KEY_SIZE_MAX];
    struct store_record record;
    const char *end;
    size_t size;

    if (sodium_hex2bin(key, sizeof(key), line, strlen(line), NULL, &size, &end) != 0 || *end != 0 ||
        size == 0) {
        return -1;
    }
    return store_get(store, (struct bytes){key, size}, &record) ? 0 : 1;
}

static int look_up_all(const struct store *store, const char *dir, FILE *file)
{
    char line[LINE_LENGTH_MAX + 1];
    uint64_t missing = 0;
    uint64_t count = 0;

    while (fgets(line, sizeof(line), file) != NULL) {
        int found;

        line[strcspn(line, "\n")] = 0;
        if (line[0] == 0) {
            continue;
        }
        found = look_up(store, line);
        if (found < 0) {
            (void)printf("not a key in hex: %s\n", line);
            return EXIT_USAGE;
        }
        count++;
        if (found == 1 && missing++ < MISSING_SHOWN_MAX) {
            (void)printf("%s: missing %s\n", dir, line);
        }
    }
    if (ferror(file)) {
        (void)printf("the list of keys cannot be read\n");
        return EXIT_USAGE;
    }
    (void)printf("%s: %" PRIu64 " keys, %" PRIu64 " missing\n", dir, count, missing);
    return missing == 0 ? EXIT_SUCCESS : EXIT_WRONG;
}

static int run_contains(const char *dir, const char *path)
{
    struct store *store;
    uint64_t index;
    enum qh_err err;
    FILE *file;
    int status;

    file = fopen(path, "re");
    if (file == NULL) {
        (void)printf("%s cannot be opened\n", path);
        return EXIT_USAGE;
    }
    err = datadir_load_store(dir, UINT64_MAX, &store, &index);
    if (err == QH_OK) {
        status = look_up_all(store, dir, file);
        store_free(store);
    } else {
        status = failed(dir, err);
    }
    (void)fclose(file);
    return status;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: qh-datadir check DIR | summary DIR | compare DIR... |\n"
                          "       contains DIR FILE\n");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        return EXIT_WRONG;
    }
    if (argc == 3 && strcmp(argv[1], "check") == 0) {
        return run_check(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "summary") == 0) {
        return run_summary(argv[2]);
    }
    if (argc >= 3 && strcmp(argv[1], "compare") == 0) {
        return run_compare(argv + 2, (unsigned)argc - 2);
    }
    if (argc == 4 && strcmp(argv[1], "contains") == 0) {
        return run_contains(argv[2], argv[3]);
    }
    return usage();
}
