/* A command to a running delay proxy, from the shell. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/drill/delay_tell.h"

#define COMMAND_LENGTH_MAX 255u

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static bool join_words(char *const words[], char ret_command[COMMAND_LENGTH_MAX + 2])
{
    size_t used = 0;

    for (unsigned i = 0; words[i] != NULL; i++) {
        int length = snprintf(ret_command + used, COMMAND_LENGTH_MAX + 1 - used, "%s%s",
                              i > 0 ? " " : "", words[i]);

        if (length < 0 || used + (size_t)length > COMMAND_LENGTH_MAX) {
            return false;
        }
        used += (size_t)length;
    }
    ret_command[used++] = '\n';
    ret_command[used] = '\0';
    return true;
}

/* The proxy closes nothing by itself: its answer ends with "ok" or "error". */
static bool show_answer(int fd)
{
    FILE *answer = fdopen(fd, "r");
    char line[512];
    bool passed = false, last = false;

    if (answer == NULL) {
        (void)close(fd);
        return false;
    }
    while (!last && fgets(line, sizeof line, answer) != NULL) {
        passed = strcmp(line, "ok\n") == 0;
        last = passed || strncmp(line, "error ", 6) == 0;
        (void)fputs(line, last && !passed ? stderr : stdout);
    }
    (void)fclose(answer);
    return passed;
}

bool delay_tell(const char *path, char *const words[])
{
    char command[COMMAND_LENGTH_MAX + 2];
    int fd = connect_to(path);

    if (fd < 0) {
        (void)fprintf(stderr, "qh-delay: %s: %s\n", path, strerror(errno));
        return false;
    }
    if (!join_words(words, command) ||
        send(fd, command, strlen(command), MSG_NOSIGNAL) != (ssize_t)strlen(command)) {
        (void)fprintf(stderr, "qh-delay: the command cannot be sent\n");
        (void)close(fd);
        return false;
    }
    return show_answer(fd);
}
