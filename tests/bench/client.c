/* Lines over a Unix socket, with time-outs. */
#include "tests/bench/bench.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void client_close(struct client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    client->fd = -1;
    client->size = 0;
}

static int connect_once(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        process_die("cannot make a socket: %s", strerror(errno));
    }
    if (strlen(path) >= sizeof address.sun_path) {
        process_die("path too long for a socket, set TMPDIR to a shorter one: %s", path);
    }
    memcpy(address.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

bool client_connect(struct client *client, const char *path, unsigned timeout_ms)
{
    double end_ms = process_now_ms() + timeout_ms;

    client_close(client);
    while ((client->fd = connect_once(path)) < 0) {
        if (process_now_ms() >= end_ms) {
            return false;
        }
        process_sleep_ms(2);
    }
    return true;
}

bool client_send(struct client *client, const char *line)
{
    char text[CLIENT_LINE_MAX];
    int length = snprintf(text, sizeof text, "%s\n", line);

    if (length < 0 || (size_t)length >= sizeof text) {
        process_die("line too long: %s", line);
    }
    return client->fd >= 0 &&
           send(client->fd, text, (size_t)length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool take_line(struct client *client, char ret_line[CLIENT_LINE_MAX])
{
    char *newline = memchr(client->buffer, '\n', client->size);
    size_t length;

    if (newline == NULL) {
        return false;
    }
    length = (size_t)(newline - client->buffer);
    if (length >= CLIENT_LINE_MAX) {
        process_die("line too long from a node");
    }
    memcpy(ret_line, client->buffer, length);
    ret_line[length] = '\0';
    client->size -= length + 1;
    memmove(client->buffer, newline + 1, client->size);
    return true;
}

bool client_read(struct client *client, unsigned timeout_ms, char ret_line[CLIENT_LINE_MAX])
{
    double end_ms = process_now_ms() + timeout_ms;

    while (client->fd >= 0) {
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
        double left_ms = end_ms - process_now_ms();
        ssize_t count;

        if (take_line(client, ret_line)) {
            return true;
        }
        if (poll(&poll_fd, 1, left_ms > 0 ? (int)left_ms : 0) <= 0) {
            return false;
        }
        count = recv(client->fd, client->buffer + client->size,
                     sizeof client->buffer - client->size, 0);
        if (count <= 0) {
            client_close(client);
            return false;
        }
        client->size += (size_t)count;
    }
    return false;
}

bool client_ask(struct client *client, const char *request, unsigned timeout_ms,
                char ret_line[CLIENT_LINE_MAX])
{
    double end_ms = process_now_ms() + timeout_ms;
    size_t word = strcspn(request, " ");

    if (!client_send(client, request)) {
        return false;
    }
    for (;;) {
        double left_ms = end_ms - process_now_ms();

        if (left_ms < 0 || !client_read(client, (unsigned)left_ms, ret_line)) {
            return false;
        }
        if (strncmp(ret_line, request, word) == 0 && ret_line[word] == ' ') {
            return true;
        }
    }
}
