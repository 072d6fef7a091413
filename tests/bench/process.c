/* Children, directories and the clock of the benchmark programs. */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

void process_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fflush(stdout);
    (void)fputs("benchmark stopped: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void process_sibling(const char *name, char ret_path[BENCH_PATH_SIZE])
{
    char self[BENCH_PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (length <= 0) {
        process_die("cannot read /proc/self/exe: %s", strerror(errno));
    }
    self[length] = '\0';
    for (int i = 0; i < 2; i++) {
        slash = strrchr(self, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
    }
    if (snprintf(ret_path, BENCH_PATH_SIZE, "%s/%s", self, name) >= (int)BENCH_PATH_SIZE) {
        process_die("path too long: %s", self);
    }
    if (access(ret_path, X_OK) != 0) {
        process_die("%s is not built: run make bench", ret_path);
    }
}

static void exec_child(const char *const argv[], int output)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    /* exec does not write to them; its type has no const. */
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

pid_t process_spawn(const char *const argv[], const char *log)
{
    int output = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid_t pid;

    if (output < 0) {
        process_die("cannot open %s: %s", log, strerror(errno));
    }
    pid = fork();
    if (pid < 0) {
        process_die("cannot fork: %s", strerror(errno));
    }
    if (pid == 0) {
        exec_child(argv, output);
    }
    (void)close(output);
    return pid;
}

void process_capture(const char *const argv[], char *ret_line, size_t room)
{
    int ends[2];
    size_t size = 0;
    ssize_t count;
    int status;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        process_die("cannot make a pipe: %s", strerror(errno));
    }
    pid = fork();
    if (pid < 0) {
        process_die("cannot fork: %s", strerror(errno));
    }
    if (pid == 0) {
        exec_child(argv, ends[1]);
    }
    (void)close(ends[1]);
    while (size < room - 1 && (count = read(ends[0], ret_line + size, room - 1 - size)) > 0) {
        size += (size_t)count;
    }
    (void)close(ends[0]);
    ret_line[size] = '\0';
    ret_line[strcspn(ret_line, "\n")] = '\0';
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        process_die("%s %s failed: %s", argv[0], argv[1], ret_line);
    }
}

void process_kill(pid_t *pid)
{
    if (*pid != 0) {
        (void)kill(*pid, SIGKILL);
        (void)waitpid(*pid, NULL, 0);
        *pid = 0;
    }
}

bool process_has_ended(pid_t *pid)
{
    if (*pid != 0 && waitpid(*pid, NULL, WNOHANG) == *pid) {
        *pid = 0;
        return true;
    }
    return false;
}

void process_make_dir(char ret_path[BENCH_PATH_SIZE])
{
    const char *base = getenv("TMPDIR");
    struct statfs info;
    char current[BENCH_PATH_SIZE];

    if (base == NULL || statfs(base, &info) != 0 || info.f_type == TMPFS_MAGIC) {
        base = getcwd(current, sizeof current);
    }
    if (base == NULL || statfs(base, &info) != 0 || info.f_type == TMPFS_MAGIC) {
        process_die("no directory on a real disk: set TMPDIR to one");
    }
    if (snprintf(ret_path, BENCH_PATH_SIZE, "%s/qh-bench.XXXXXX", base) >= (int)BENCH_PATH_SIZE ||
        mkdtemp(ret_path) == NULL) {
        process_die("cannot make a directory below %s: %s", base, strerror(errno));
    }
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *walk)
{
    (void)info;
    (void)flag;
    (void)walk;
    return remove(path);
}

void process_remove_dir(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

unsigned process_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        process_die("no free port: %s", strerror(errno));
    }
    (void)close(fd);
    return ntohs(address.sin_port);
}

void process_sleep_ms(unsigned ms)
{
    (void)poll(NULL, 0, (int)ms);
}

double process_now_ms(void)
{
    return (double)clock_monotonic_ns() / 1e6;
}

double process_resident_kib(pid_t pid)
{
    char path[64];
    char line[256];
    double kib = 0;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    if (file == NULL) {
        process_die("cannot open %s: %s", path, strerror(errno));
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kib = strtod(line + 6, NULL);
        }
    }
    (void)fclose(file);
    return kib;
}

double process_cpu_seconds(pid_t pid)
{
    char path[64];
    char line[1024];
    char *field;
    unsigned long user = 0;
    unsigned long system = 0;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        process_die("cannot read %s: %s", path, strerror(errno));
    }
    (void)fclose(file);
    field = strrchr(line, ')'); /* the name before it may hold blanks; utime is the 12th after */
    for (unsigned i = 0; i < 12 && field != NULL; i++) {
        field = strchr(field + 1, ' ');
    }
    if (field != NULL) {
        user = strtoul(field, &field, 10);
        system = strtoul(field, NULL, 10);
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}
