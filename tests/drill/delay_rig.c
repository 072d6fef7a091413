/* Sockets around a real qh-delay process. */
#include "tests/drill/delay_rig.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/test.h"
#include "tests/torture/process.h"

static struct sockaddr_in address_of(const char *host)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    ck_assert_int_eq(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return address;
}

/* A socket bound at @host, at a port that was free. */
static int bound_socket(const char *host, struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_address = address_of(host);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)ret_address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret_address, &size), 0);
    return fd;
}

static int try_control(const struct delay_rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_uint_lt(strlen(rig->socket_path), sizeof address.sun_path);
    memcpy(address.sun_path, rig->socket_path, strlen(rig->socket_path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* The socket appears last of all, so once it answers the proxy listens everywhere. */
static void wait_for_control(struct delay_rig *rig)
{
    uint64_t end_ms = clock_monotonic_ms() + RIG_WAIT_MS;
    int fd = try_control(rig);

    while (fd < 0) {
        ck_assert_uint_lt(clock_monotonic_ms(), end_ms);
        (void)poll(NULL, 0, 2);
        fd = try_control(rig);
    }
    (void)close(fd);
}

void rig_open(struct delay_rig *rig, unsigned delay_ms)
{
    char east[] = "east=127.0.91.0/24", west[] = "west=127.0.92.0/24";
    char region[] = "--region", listen_at[] = "--listen", delay[] = "--delay";
    char control[] = "--control";
    char *program = process_path("", "qh-delay");
    char *log, *route, *distance;
    struct sockaddr_in target;
    int reserved;

    test_make_dir(rig->dir, sizeof rig->dir);
    (void)snprintf(rig->socket_path, sizeof rig->socket_path, "%s/control", rig->dir);
    rig->target = bound_socket(RIG_WEST, &target);
    ck_assert_int_eq(listen(rig->target, 64), 0);
    reserved = bound_socket("127.0.92.101", &rig->at);
    (void)close(reserved);
    log = process_format("%s/log", rig->dir);
    route = process_format("127.0.92.101:%u=" RIG_WEST ":%u@west", ntohs(rig->at.sin_port),
                           ntohs(target.sin_port));
    distance = process_format("east:west=%u", delay_ms);
    rig->pid = process_spawn((char *[]){program, region, east, region, west, listen_at, route,
                                        delay, distance, control, rig->socket_path, NULL},
                             log);
    free(program);
    free(log);
    free(route);
    free(distance);
    wait_for_control(rig);
}

void rig_close(struct delay_rig *rig)
{
    int status;

    (void)close(rig->target);
    ck_assert_int_eq(kill(rig->pid, SIGTERM), 0);
    ck_assert_int_eq(waitpid(rig->pid, &status, 0), rig->pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    test_remove_dir(rig->dir);
}

int rig_connect(struct delay_rig *rig, const char *source)
{
    struct sockaddr_in from;
    int fd = bound_socket(source, &from);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&rig->at, sizeof rig->at), 0);
    return fd;
}

int rig_accept(struct delay_rig *rig, int timeout_ms)
{
    return rig_readable(rig->target, timeout_ms) ? accept(rig->target, NULL, NULL) : -1;
}

void rig_send(int fd, const void *bytes, size_t size)
{
    size_t sent = 0;

    while (sent < size) {
        ssize_t count = send(fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);

        ck_assert_int_gt(count, 0);
        sent += (size_t)count;
    }
}

bool rig_receive(int fd, void *ret_bytes, size_t size)
{
    size_t received = 0;

    while (received < size) {
        ssize_t count;

        if (!rig_readable(fd, RIG_WAIT_MS)) {
            return false;
        }
        count = recv(fd, (char *)ret_bytes + received, size - received, 0);
        if (count <= 0) {
            return false;
        }
        received += (size_t)count;
    }
    return true;
}

bool rig_readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms) == 1;
}

void rig_command(struct delay_rig *rig, const char *command, char *ret_answer, size_t room)
{
    int fd = try_control(rig);
    size_t used = 0;

    ck_assert_int_ge(fd, 0);
    rig_send(fd, command, strlen(command));
    rig_send(fd, "\n", 1);
    do {
        ssize_t count;

        ck_assert(rig_readable(fd, RIG_WAIT_MS));
        count = recv(fd, ret_answer + used, room - 1 - used, 0);
        ck_assert_int_gt(count, 0);
        used += (size_t)count;
        ret_answer[used] = '\0';
    } while (strstr(ret_answer, "ok\n") == NULL && strstr(ret_answer, "error ") == NULL);
    (void)close(fd);
}

bool rig_ok(struct delay_rig *rig, const char *command)
{
    char answer[65536];

    rig_command(rig, command, answer, sizeof answer);
    return strstr(answer, "ok\n") != NULL;
}
