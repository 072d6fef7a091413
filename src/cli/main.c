/* quadhsm: the administrator's command. Finds the command in its tables and runs it. */
#include <malloc.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/secret.h"
#include "cli/cli.h"
#include "config.h"

static const struct {
    const char *group;
    const char *text;
    const struct command *commands;
} groups[] = {
    {"node", "this machine's node, on its control socket", node_commands},
    {"cluster", "the cluster as a whole", cluster_commands},
    {"partition", "the parts of the cluster that keys live in", partition_commands},
    {"role", "the PINs of a partition's roles", role_commands},
    {"client", "who may use the cluster", client_commands},
    {"key", "the keys of a partition", key_commands},
    {"migrate", "keys of other tokens, copied into a partition", migrate_commands},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static void print_group(size_t group, FILE *file)
{
    (void)fprintf(file, "\n%s: %s\n", groups[group].group, groups[group].text);
    for (const struct command *at = groups[group].commands; at->run != NULL; at++) {
        (void)fprintf(file, "  quadhsm %-9s %-12s %s\n", at->group, at->name, at->summary);
    }
}

static void print_all(FILE *file)
{
    (void)fputs("usage: quadhsm GROUP COMMAND [options]\n", file);
    for (size_t i = 0; i < GROUPS; i++) {
        print_group(i, file);
    }
    (void)fprintf(file, "\n`quadhsm GROUP COMMAND --help` explains each; quadhsm(1) all.\n\n%s",
                  OUTPUT_EXIT_HELP);
}

static bool is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0 || strcmp(text, "help") == 0;
}

static const struct command *find_command(size_t group, const char *name)
{
    for (const struct command *at = groups[group].commands; at->run != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            return at;
        }
    }
    return NULL;
}

/* JSON for errors, too, before the options are read. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

/* What OpenSSL's decoders leave of a private key on the heap is wiped when they free it. */
static void *wiping_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void wiping_free(void *base, const char *file, int line)
{
    (void)file;
    (void)line;
    if (base != NULL) {
        explicit_bzero(base, malloc_usable_size(base));
        free(base);
    }
}

static void *wiping_realloc(void *base, size_t size, const char *file, int line)
{
    size_t before = base != NULL ? malloc_usable_size(base) : 0;
    void *moved = malloc(size);

    if (moved != NULL && base != NULL) {
        memcpy(moved, base, before < size ? before : size);
        wiping_free(base, file, line);
    }
    return moved;
}

/* Before anything has asked OpenSSL for memory. No core file has a PIN or a key either. */
static bool harden(void)
{
    const struct rlimit none = {0, 0};

    return CRYPTO_set_mem_functions(wiping_malloc, wiping_realloc, wiping_free) == 1 &&
           setrlimit(RLIMIT_CORE, &none) == 0 && secret_setup() == QH_OK;
}

static int run_command(const struct command *command, int count, char **arguments,
                       struct output *output)
{
    struct cli cli = {.output = *output};
    char error[OPTIONS_ERROR_ROOM];
    int status;

    if (options_parse(command, count, (const char *const *)arguments, &cli.options, error) !=
        QH_OK) {
        (void)output_misuse(output, "%s", error);
        if (!output->json) {
            options_print_usage(command, output->err);
        }
        return EXIT_USAGE;
    }
    if (cli.options.help) {
        options_print_help(command, output->out);
        return EXIT_DONE;
    }
    if (!harden()) {
        return output_fail(output, QH_ESYSTEM, NULL, "starting");
    }
    status = command->run(&cli);
    cli_close(&cli);
    /* What was promised on stdout must have got there. */
    if (fflush(output->out) != 0 && status == EXIT_DONE) {
        status = output_fail(output, QH_EIO, "standard output cannot be written", "printing");
    }
    return status;
}

static int run_group(size_t group, int argc, char **argv, struct output *output)
{
    const struct command *command;

    if (argc < 3 || is_help(argv[2])) {
        FILE *file = argc < 3 ? output->err : output->out;

        (void)fprintf(file, "usage: quadhsm %s COMMAND [options]\n", argv[1]);
        print_group(group, file);
        return argc < 3 ? EXIT_USAGE : EXIT_DONE;
    }
    command = find_command(group, argv[2]);
    if (command == NULL) {
        return output_misuse(output,
                             "there is no command \"%s %s\"; `quadhsm %s --help` lists them",
                             argv[1], argv[2], argv[1]);
    }
    return run_command(command, argc - 3, argv + 3, output);
}

int main(int argc, char **argv)
{
    struct output output;

    output_init(&output, wants_json(argc, argv));
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_all(stderr);
        return EXIT_USAGE;
    }
    if (is_help(argv[1])) {
        print_all(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("quadhsm " PACKAGE_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < GROUPS; i++) {
        if (strcmp(groups[i].group, argv[1]) == 0) {
            return run_group(i, argc, argv, &output);
        }
    }
    return output_misuse(&output, "there is no command \"%s\"; `quadhsm --help` lists them",
                         argv[1]);
}
