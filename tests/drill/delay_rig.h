/* A qh-delay process between sockets of a test: two regions, east (127.0.91.0/24) and west
 * (127.0.92.0/24), one target in west. */
#ifndef QH_TESTS_DRILL_DELAY_RIG_H
#define QH_TESTS_DRILL_DELAY_RIG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RIG_EAST "127.0.91.1"
#define RIG_WEST "127.0.92.1"
#define RIG_NOWHERE "127.0.93.1"
#define RIG_WAIT_MS 10000

struct delay_rig {
    char dir[256], socket_path[300];
    pid_t pid;
    int target;            /* listening, non-blocking accept through rig_accept() */
    struct sockaddr_in at; /* what stands for the target, at the proxy */
};

/* Every function aborts the test when something that is no part of it fails. */
void rig_open(struct delay_rig *rig, unsigned delay_ms);
void rig_close(struct delay_rig *rig);

/* From @source to the proxy. */
int rig_connect(struct delay_rig *rig, const char *source);
/* What arrived at the target within @timeout_ms; -1: nothing did. */
int rig_accept(struct delay_rig *rig, int timeout_ms);
void rig_send(int fd, const void *bytes, size_t size);
/* All of @size bytes; false if they do not come. */
bool rig_receive(int fd, void *ret_bytes, size_t size);
/* Whether something can be read, or the end, within @timeout_ms. */
bool rig_readable(int fd, int timeout_ms);
/* The answer to @command, "ok" included. */
void rig_command(struct delay_rig *rig, const char *command, char *ret_answer, size_t room);
bool rig_ok(struct delay_rig *rig, const char *command);

#endif
