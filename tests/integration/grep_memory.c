/* Searches a process's memory, or all files below a directory, for the bytes of a file:
 *
 *   qh-grep-memory FILE --pid PID | --dir DIR
 *
 * Exit status 0 and "found", 1 and "none", 77 if the memory may not be read. Any 16 bytes in a row
 * of FILE count, so that a copy in pieces is found as well. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_SIZE 16u
#define BLOCK_SIZE (1u << 20)

static uint8_t needle[4096];
static size_t needle_size;
static uint64_t found_count, searched_size;

static void search(const uint8_t *base, size_t size)
{
    searched_size += size;
    for (size_t at = 0; at + PIECE_SIZE <= needle_size; at += PIECE_SIZE) {
        if (memmem(base, size, needle + at, PIECE_SIZE) != NULL) {
            found_count++;
        }
    }
}

/* Blocks overlap by a piece, so that none is missed between two. */
static void search_range(int fd, uint64_t from, uint64_t until)
{
    static uint8_t block[BLOCK_SIZE];
    uint64_t at = from;

    while (at < until) {
        size_t want = until - at < sizeof block ? (size_t)(until - at) : sizeof block;
        ssize_t got = pread(fd, block, want, (off_t)at);

        if (got <= 0) {
            at += 4096; /* a guard page */
            continue;
        }
        search(block, (size_t)got);
        if ((size_t)got <= PIECE_SIZE || at + (uint64_t)got >= until) {
            at += (uint64_t)got;
        } else {
            at += (uint64_t)got - PIECE_SIZE + 1;
        }
    }
}

static int search_process(const char *pid)
{
    char path[64];
    char line[512];
    FILE *maps;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%.20s/mem", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "/proc/%.20s/maps", pid);
    maps = fopen(path, "re");
    if (fd < 0 || maps == NULL) {
        (void)printf("cannot read: %s\n", strerror(errno));
        return 77;
    }
    while (fgets(line, sizeof line, maps) != NULL) {
        uint64_t from;
        uint64_t until;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &until) == 2 &&
            strstr(line, "[vvar]") == NULL && strstr(line, "[vsyscall]") == NULL) {
            search_range(fd, from, until);
        }
    }
    (void)fclose(maps);
    (void)close(fd);
    return searched_size > 0 ? 0 : 77;
}

static int visit_file(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    int fd;

    (void)walk;
    if (kind == FTW_F && S_ISREG(status->st_mode)) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            search_range(fd, 0, (uint64_t)status->st_size);
            (void)close(fd);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int status = 0;
    FILE *file;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: qh-grep-memory FILE --pid PID | --dir DIR\n");
        return 2;
    }
    file = fopen(argv[1], "re");
    if (file == NULL) {
        perror(argv[1]);
        return 2;
    }
    needle_size = fread(needle, 1, sizeof needle, file);
    (void)fclose(file);
    if (needle_size < PIECE_SIZE) {
        (void)fprintf(stderr, "%s: shorter than %u bytes\n", argv[1], PIECE_SIZE);
        return 2;
    }
    if (strcmp(argv[2], "--pid") == 0) {
        status = search_process(argv[3]);
    } else if (nftw(argv[3], visit_file, 16, FTW_PHYS) != 0) {
        perror(argv[3]);
        return 2;
    }
    if (status != 0) {
        return status;
    }
    (void)printf("%s: %" PRIu64 " pieces in %" PRIu64 " bytes\n",
                 found_count > 0 ? "found" : "none", found_count, searched_size);
    return found_count > 0 ? 0 : 1;
}
