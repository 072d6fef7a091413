/* Child processes of the torture drivers. */
#include "tests/torture/process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXEC_FAILED 127
#define TREE_DEPTH_MAX 32 /* directories kept open at a time */

char *process_format(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        abort();
    }
    va_end(args);
    return text;
}

char *process_path(const char *folder, const char *program)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (size < 0) {
        abort();
    }
    self[size] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL) {
        abort();
    }
    *slash = '\0';
    if (folder[0] == '\0') {
        return process_format("%s/%s", self, program);
    }
    return process_format("%s/../%s/%s", self, folder, program);
}

/* In the child, between fork and exec. A driver that died in between is seen by its pid. */
static void exec_child(char *const argv[], int output, pid_t driver)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != driver ||
        dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
        _exit(EXEC_FAILED);
    }
    (void)execv(argv[0], argv);
    (void)dprintf(STDERR_FILENO, "%s: cannot be executed: %s\n", argv[0], strerror(errno));
    _exit(EXEC_FAILED);
}

static pid_t fork_child(char *const argv[], int output)
{
    pid_t driver = getpid();
    pid_t pid = fork();

    if (pid < 0) {
        (void)fprintf(stderr, "no new process: %s\n", strerror(errno));
        abort();
    }
    if (pid == 0) {
        exec_child(argv, output, driver);
    }
    (void)close(output);
    return pid;
}

pid_t process_spawn(char *const argv[], const char *log_path)
{
    int output = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (output < 0) {
        (void)fprintf(stderr, "%s: %s\n", log_path, strerror(errno));
        abort();
    }
    return fork_child(argv, output);
}

int process_run(char *const argv[], char *ret_output, size_t room)
{
    int ends[2];
    size_t used = 0;
    ssize_t count;
    char rest[4096];
    int status;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        abort();
    }
    pid = fork_child(argv, ends[1]);
    do {
        bool full = used + 1 >= room;

        count = full ? read(ends[0], rest, sizeof rest)
                     : read(ends[0], ret_output + used, room - 1 - used);
        if (count > 0 && !full) {
            used += (size_t)count;
        }
    } while (count > 0 || (count < 0 && errno == EINTR));
    ret_output[used] = '\0';
    (void)close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void process_describe(int status, char *ret_text, size_t room)
{
    if (WIFSIGNALED(status)) {
        (void)snprintf(ret_text, room, "killed by signal %d", WTERMSIG(status));
    } else {
        (void)snprintf(ret_text, room, "exit status %d", WEXITSTATUS(status));
    }
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

void process_remove_tree(const char *dir)
{
    (void)nftw(dir, remove_one, TREE_DEPTH_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
