/* Looking at data directories by qh-datadir. */
#include "tests/torture/offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/torture/process.h"

#define OUTPUT_SIZE 4096u

/* Returns whether it passed; what it said is printed if not. */
static bool run_tool(char *const argv[], char *ret_output)
{
    int status = process_run(argv, ret_output, OUTPUT_SIZE);

    if (status != 0) {
        (void)printf("  qh-datadir %s: exit status %d: %s\n", argv[1], status, ret_output);
    }
    return status == 0;
}

static bool check_directory(char *program, char *dir)
{
    char command[] = "check";
    char *argv[] = {program, command, dir, NULL};
    char output[OUTPUT_SIZE];

    return run_tool(argv, output);
}

/* The last line is "DIR: N keys, M missing"; without it, all of them are. */
static uint64_t parse_missing(const char *output, uint64_t all)
{
    const char *found = strstr(output, " keys, ");

    return found == NULL ? all : strtoull(found + strlen(" keys, "), NULL, 10);
}

static void search_directory(char *program, char *dir, char *keys_path, uint64_t all,
                             struct offline_result *result)
{
    char command[] = "contains";
    char *argv[] = {program, command, dir, keys_path, NULL};
    char output[OUTPUT_SIZE];
    bool passed = run_tool(argv, output);
    uint64_t missing = parse_missing(output, all);

    result->missing += missing;
    result->holding += passed && missing == 0;
}

struct offline_result offline_examine(const struct cluster *cluster, const struct writer *writer,
                                      const bool *among)
{
    struct offline_result result = {0};
    char *program = process_path("", "qh-datadir");
    char *keys_path = process_format("%s/acknowledged", cluster->dir);
    char command[] = "compare";
    char *argv[2 + CLUSTER_NODES_MAX + 1] = {program, command};
    char output[OUTPUT_SIZE];

    if (!writer_save(writer, keys_path)) {
        (void)printf("  %s cannot be written\n", keys_path);
        (void)unlink(keys_path); /* then nothing is found to be held */
    }

    for (unsigned i = 0; i < cluster->count; i++) {
        char *dir = cluster->nodes[i].dir;

        if ((among != NULL && !among[i]) || access(dir, F_OK) != 0) {
            continue;
        }
        argv[2 + result.directories++] = dir;
        result.whole += check_directory(program, dir);
        search_directory(program, dir, keys_path, writer->ack_count, &result);
    }
    if (result.directories == 1 || run_tool(argv, output)) {
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
