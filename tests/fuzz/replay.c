/* The driver of a fuzz target where there is no libFuzzer: gives it every file
 * of its corpus, then a bounded number of seeded mutations of them. What it is not: a
 * search for new paths; that is libFuzzer's work (scripts/test, HACKING.md).
 *
 *   fuzz_x              the corpus, then mutations (the test)
 *   fuzz_x FILE...      these files, in this process: for a debugger
 *
 * QH_FUZZ_RUNS is the number of mutations, QH_FUZZ_SEED where they begin. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPLAY_FILES_MAX 4096u
#define REPLAY_RUNS_DEFAULT 8000u
#define REPLAY_SEED_DEFAULT 1u
#define REPLAY_MUTATED_SIZE_MAX 4096u /* bytes; short inputs are many inputs */
#define REPLAY_SECONDS_MAX 120u       /* a target that hangs is ended by SIGALRM */

struct input {
    uint8_t *base;
    size_t size;
};

/* In memory shared with the child that runs the target, so that its parent can
 * keep the input that killed it. */
struct progress {
    uint64_t count; /* inputs begun */
    size_t size;
    uint8_t bytes[FUZZ_INPUT_SIZE_MAX];
};

static struct input corpus[REPLAY_FILES_MAX];
static size_t corpus_count;

static _Noreturn void replay_fail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)(random_next(state) % bound);
}

static uint64_t number_from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    char *end;
    uint64_t number;

    if (text == NULL || text[0] == '\0') {
        return otherwise;
    }
    number = strtoull(text, &end, 10);
    if (*end != '\0') {
        (void)fprintf(stderr, "%s=%s is not a number\n", name, text);
        exit(EXIT_FAILURE);
    }
    return number;
}

/* A block of exactly the input's size, so that AddressSanitizer sees a read
 * of the byte behind it. */
static void run_copy(const uint8_t *base, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL) {
        replay_fail("malloc");
    }
    if (size > 0) {
        memcpy(copy, base, size);
    }
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_recorded(struct progress *progress, const uint8_t *base, size_t size)
{
    progress->count++;
    progress->size = size;
    if (size > 0) {
        memcpy(progress->bytes, base, size);
    }
    run_copy(base, size);
}

static struct input file_read(const char *path)
{
    struct input input = {.base = malloc(FUZZ_INPUT_SIZE_MAX + 1u)};
    FILE *file = fopen(path, "rb");

    if (file == NULL || input.base == NULL) {
        replay_fail(path);
    }
    input.size = fread(input.base, 1, FUZZ_INPUT_SIZE_MAX + 1u, file);
    if (ferror(file) != 0) {
        replay_fail(path);
    }
    (void)fclose(file);
    if (input.size > FUZZ_INPUT_SIZE_MAX) {
        (void)fprintf(stderr, "%s: larger than %u bytes\n", path, FUZZ_INPUT_SIZE_MAX);
        exit(EXIT_FAILURE);
    }
    return input;
}

static int entry_is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* In the order of their names, so that a seed means the same everywhere. A
 * missing directory is an empty one. */
static void corpus_load(const char *dir)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, entry_is_file, alphasort);

    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);

        if (length < 0 || (size_t)length >= sizeof(path) || corpus_count == REPLAY_FILES_MAX) {
            (void)fprintf(stderr, "%s: path too long or too many files\n", dir);
            exit(EXIT_FAILURE);
        }
        corpus[corpus_count++] = file_read(path);
        free(entries[i]);
    }
    free(entries);
}

/* One small change: a bit, a byte, a number of 1 to 8 bytes at its limits, a
 * cut, a piece doubled, or noise at the end. */
static size_t mutate_once(uint64_t *state, uint8_t *bytes, size_t size)
{
    static const uint64_t edges[] = {0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, UINT64_MAX};
    size_t room = REPLAY_MUTATED_SIZE_MAX - size;
    size_t at = size > 0 ? random_below(state, size) : 0;
    size_t length = 1 + random_below(state, 8);
    uint64_t noise = random_next(state);

    switch (size > 0 ? random_below(state, 6) : 5) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << (noise % 8));
        return size;
    case 1:
        bytes[at] = (uint8_t)noise;
        return size;
    case 2:
        noise = edges[noise % (sizeof(edges) / sizeof(edges[0]))];
        memcpy(bytes + at, &noise, length < size - at ? length : size - at);
        return size;
    case 3:
        return at;
    case 4:
        length = size - at < room ? size - at : room;
        memmove(bytes + at + length, bytes + at, size - at);
        return size + length;
    default:
        length = length < room ? length : room;
        memcpy(bytes + size, &noise, length);
        return size + length;
    }
}

static size_t mutate(uint64_t *state, uint8_t bytes[REPLAY_MUTATED_SIZE_MAX])
{
    size_t size = 0;

    if (corpus_count > 0) {
        const struct input *from = &corpus[random_below(state, corpus_count)];

        size = from->size < REPLAY_MUTATED_SIZE_MAX ? from->size : REPLAY_MUTATED_SIZE_MAX;
        memcpy(bytes, from->base, size);
    }
    for (size_t changes = 1 + random_below(state, 8); changes > 0; changes--) {
        size = mutate_once(state, bytes, size);
    }
    return size;
}

static _Noreturn void child_run(struct progress *progress, uint64_t seed, uint64_t runs)
{
    static uint8_t bytes[REPLAY_MUTATED_SIZE_MAX];
    uint64_t state = seed;

    (void)alarm(REPLAY_SECONDS_MAX);
    run_recorded(progress, NULL, 0);
    for (size_t i = 0; i < corpus_count; i++) {
        run_recorded(progress, corpus[i].base, corpus[i].size);
    }
    for (uint64_t i = 0; i < runs; i++) {
        size_t size = mutate(&state, bytes);

        run_recorded(progress, bytes, size);
    }
    for (size_t i = 0; i < corpus_count; i++) {
        free(corpus[i].base);
    }
    exit(EXIT_SUCCESS);
}

static void input_keep(const char *name, const struct progress *progress)
{
    char path[PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s-failed-input", name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(progress->bytes, 1, progress->size, file) != progress->size) {
        perror(path);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    (void)printf("the input is kept: run %s with %s\n", name, path);
}

static int child_wait(const char *name, pid_t child, const struct progress *progress)
{
    int status;
    bool passed;

    if (waitpid(child, &status, 0) != child) {
        replay_fail("waitpid");
    }
    passed = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    (void)printf("%s: %zu files, %llu inputs\n", name, corpus_count,
                 (unsigned long long)progress->count);
    if (!passed) {
        if (WIFSIGNALED(status)) {
            (void)printf("signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
        }
        input_keep(name, progress);
    }
    (void)printf("%d passed, %d failed\n", passed ? 1 : 0, passed ? 0 : 1);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* "lt-fuzz_txn", as libtool may name it, has the corpus "txn". */
static const char *target_name(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');
    const char *name = slash != NULL ? slash + 1 : argv0;

    return strncmp(name, "lt-", 3) == 0 ? name + 3 : name;
}

int main(int argc, char **argv)
{
    const char *name = target_name(argv[0]);
    const char *top = getenv("top_srcdir");
    uint64_t seed = number_from_env("QH_FUZZ_SEED", REPLAY_SEED_DEFAULT);
    uint64_t runs = number_from_env("QH_FUZZ_RUNS", REPLAY_RUNS_DEFAULT);
    struct progress *progress;
    char dir[PATH_MAX];
    pid_t child;

    for (int i = 1; i < argc; i++) {
        struct input input = file_read(argv[i]);

        run_copy(input.base, input.size);
        free(input.base);
    }
    if (argc > 1) {
        return EXIT_SUCCESS;
    }
    (void)snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".",
                   strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name);
    corpus_load(dir);
    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED) {
        replay_fail("mmap");
    }
    (void)printf("%s: seed %llu\n", name, (unsigned long long)seed);
    (void)fflush(stdout);
    child = fork();
    if (child < 0) {
        replay_fail("fork");
    }
    if (child == 0) {
        child_run(progress, seed, runs);
    }
    return child_wait(name, child, progress);
}
