/* From five empty directories to a partition in use, by the quadhsm command alone. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "tests/drill/stage.h"
#include "tests/torture/process.h"

#define OUTPUT_SIZE 65536u
#define WORDS_MAX 24u
#define SECRET_BYTES 8u
#define START_TIMEOUT_MS 20000u
#define JOIN_TIMEOUT_MS 30000u
#define TURN_MS 20

char *stage_path(struct stage *stage, const char *name)
{
    return process_format("%s/%s", stage->options.dir, name);
}

/* ---- Files. */

/* In hexadecimal, so that nobody stumbles over a character. */
static bool write_secret(struct stage *stage, const char *name)
{
    char *path = stage_path(stage, name);
    uint8_t bytes[SECRET_BYTES];
    FILE *file = fopen(path, "we");
    bool written = file != NULL && RAND_bytes(bytes, sizeof bytes) == 1;

    for (size_t i = 0; written && i < sizeof bytes; i++) {
        written = fprintf(file, "%02x", bytes[i]) == 2;
    }
    if (file != NULL && fclose(file) != 0) {
        written = false;
    }
    if (!written) {
        (void)fprintf(stderr, "%s: cannot be written\n", path);
    }
    free(path);
    return written;
}

static bool make_secrets(struct stage *stage)
{
    char *path = stage_path(stage, "pin");
    bool made = mkdir(path, 0700) == 0;

    free(path);
    return made && write_secret(stage, "pin/so") && write_secret(stage, "pin/po") &&
           write_secret(stage, "pin/co") && write_secret(stage, "pin/cu");
}

/* ---- The command. */

/* @words end with NULL; one that begins with '@' is a path in the stage's directory. */
static bool run_command(struct stage *stage, const char *const words[], char *ret_output)
{
    char *argv[WORDS_MAX + 2] = {stage->command};
    unsigned count = 0;
    int status;

    while (words[count] != NULL) {
        if (count == WORDS_MAX) {
            abort();
        }
        argv[count + 1] = words[count][0] == '@' ? stage_path(stage, words[count] + 1)
                                                 : process_format("%s", words[count]);
        count++;
    }
    status = process_run(argv, ret_output, OUTPUT_SIZE);
    if (status != 0) {
        (void)fprintf(stderr, "quadhsm");
        for (unsigned i = 1; i <= count; i++) {
            (void)fprintf(stderr, " %s", argv[i]);
        }
        (void)fprintf(stderr, ": exit status %d: %s\n", status, ret_output);
    }
    for (unsigned i = 1; i <= count; i++) {
        free(argv[i]);
    }
    return status == 0;
}

/* With the administrator's certificate and the security officer's password. */
#define AS_SO "--config", "@admin/client.yaml", "--password-file", "@pin/so"

static bool run_words(struct stage *stage, const char *const words[])
{
    static char output[OUTPUT_SIZE];

    return run_command(stage, words, output);
}

/* ---- Nodes. */

static bool wait_for_socket(struct stage *stage, struct stage_node *node)
{
    uint64_t end_ms = clock_monotonic_ms() + START_TIMEOUT_MS;

    do {
        stage_ask(stage);
        if (node->status.answered) {
            return true;
        }
        (void)poll(NULL, 0, TURN_MS);
    } while (clock_monotonic_ms() < end_ms && node->run == STAGE_RUNNING);
    (void)fprintf(stderr, "%s does not answer on its control socket: see %s\n", node->name,
                  node->log);
    return false;
}

/* The token is the one word that the command prints; what it says beside that is on other lines.
 */
static bool write_token(struct stage *stage, const char *output, const char *name)
{
    char *path = stage_path(stage, name);
    size_t length = strcspn(output, "\r\n");
    FILE *file = fopen(path, "we");
    bool written = file != NULL && length > 0 && fwrite(output, 1, length, file) == length;

    if (file != NULL && fclose(file) != 0) {
        written = false;
    }
    if (!written) {
        (void)fprintf(stderr, "%s: no token could be written\n", path);
    }
    free(path);
    return written;
}

static bool join(struct stage *stage, struct stage_node *node)
{
    static char output[OUTPUT_SIZE];
    const char *token[] = {"cluster", "token", AS_SO, node->witness ? "--witness" : NULL, NULL};
    const char *join_words[] = {"node",         "join",   "--control", node->control,
                                "--token-file", "@token", NULL};

    return run_command(stage, token, output) && write_token(stage, output, "token") &&
           run_words(stage, join_words);
}

static bool set_up_nodes(struct stage *stage)
{
    const char *init[] = {
        "node",  "init",  "--control", stage->nodes[0].control, "--cluster", "demo", "--admin",
        "admin", "--out", "@admin",    "--password-file",       "@pin/so",   NULL};

    stage_start_all(stage);
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        if (!wait_for_socket(stage, &stage->nodes[i])) {
            return false;
        }
    }
    if (!run_words(stage, init)) {
        return false;
    }
    for (unsigned i = 1; i < STAGE_NODES; i++) {
        if (!join(stage, &stage->nodes[i])) {
            return false;
        }
    }
    return stage_wait(stage, 0, JOIN_TIMEOUT_MS);
}

/* ---- A partition, and who uses it. */

static bool set_up_partition(struct stage *stage)
{
    static const char *const create[] = {"partition", "create", "demo", AS_SO, NULL};
    static const char *const po[] = {"role", "init", "--partition",    "demo",    "--role",
                                     "po",   AS_SO,  "--new-pin-file", "@pin/po", NULL};
    static const char *const co[] = {
        "role",       "init",    "--partition",    "demo",
        "--role",     "co",      "--config",       "@admin/client.yaml",
        "--pin-file", "@pin/po", "--new-pin-file", "@pin/co",
        NULL};
    static const char *const cu[] = {
        "role",       "init",    "--partition",    "demo",
        "--role",     "cu",      "--config",       "@admin/client.yaml",
        "--pin-file", "@pin/po", "--new-pin-file", "@pin/cu",
        NULL};
    static const char *const enroll[] = {"client", "enroll", "app", "--partition", "demo",
                                         "--out",  "@app",   AS_SO, NULL};

    return run_words(stage, create) && run_words(stage, po) && run_words(stage, co) &&
           run_words(stage, cu) && run_words(stage, enroll);
}

bool stage_setup(struct stage *stage)
{
    return make_secrets(stage) && set_up_nodes(stage) && set_up_partition(stage);
}

/* ---- An application's configurations. */

static bool is_replaced(const char *line)
{
    return strncmp(line, "region:", 7) == 0 || strncmp(line, "source:", 7) == 0 ||
           strncmp(line, "cache:", 6) == 0;
}

static bool copy_config(const char *from, const char *to, const char *region, const char *source)
{
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    char line[1024];
    bool copied = in != NULL && out != NULL;

    while (copied && fgets(line, sizeof line, in) != NULL) {
        copied = is_replaced(line) || fputs(line, out) >= 0;
    }
    if (copied && region != NULL) {
        copied = fprintf(out, "region: %s\n", region) > 0;
    }
    copied = copied && fprintf(out, "source: %s\n", source) > 0;
    if (in != NULL) {
        (void)fclose(in);
    }
    if (out != NULL && fclose(out) != 0) {
        copied = false;
    }
    return copied;
}

char *stage_client_config(struct stage *stage, const char *name, const char *region,
                          const char *source)
{
    char *from = stage_path(stage, "app/client.yaml");
    char *to = process_format("%s/app/%s.yaml", stage->options.dir, name);

    if (!copy_config(from, to, region, source)) {
        (void)fprintf(stderr, "%s: cannot be made from %s: %s\n", to, from, strerror(errno));
        free(to);
        to = NULL;
    }
    free(from);
    return to;
}
