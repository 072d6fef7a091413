/* Looking at data directories by qh-datadir. */
#include "tests/torture/offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/torture/process.h"

#define OUTPUT_SIZE 4096u

/* Returns whether it passed; what it said is printed if not. */
static bool run_tool(char *const argv[])
{
    char output[OUTPUT_SIZE];
    int status = process_run(argv, output, sizeof output);

    if (status != 0) {
        (void)printf("  qh-datadir %s: exit status %d: %s\n", argv[1], status, output);
    }
    return status == 0;
}

static bool check_directory(char *program, char *dir)
{
    char command[] = "check";
    char *argv[] = {program, command, dir, NULL};

    return run_tool(argv);
}

static bool contains_all(char *program, char *dir, char *keys_path)
{
    char command[] = "contains";
    char *argv[] = {program, command, dir, keys_path, NULL};

    return run_tool(argv);
}

struct offline_result offline_examine(const struct cluster *cluster, const struct writer *writer,
                                      const bool *among)
{
    struct offline_result result = {0};
    char *program = process_path("", "qh-datadir");
    char *keys_path = process_format("%s/acknowledged", cluster->dir);
    char command[] = "compare";
    char *argv[2 + CLUSTER_NODES_MAX + 1] = {program, command};
    bool saved = writer_save(writer, keys_path);

    for (unsigned i = 0; i < cluster->count; i++) {
        char *dir = cluster->nodes[i].dir;

        if ((among != NULL && !among[i]) || access(dir, F_OK) != 0) {
            continue;
        }
        argv[2 + result.directories++] = dir;
        result.whole += check_directory(program, dir);
        result.holding += saved && contains_all(program, dir, keys_path);
    }
    if (result.directories == 1 || run_tool(argv)) {
        result.equal = result.directories;
    }
    free(program);
    free(keys_path);
    return result;
}

bool offline_passed(const struct offline_result *result)
{
    return result->directories > 0 && result->whole == result->directories &&
           result->equal == result->directories && result->holding == result->directories;
}
