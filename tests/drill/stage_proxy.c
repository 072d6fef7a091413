/* Commands to the delay proxy, and what its counters tell. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/drill/stage.h"

static int connect_proxy(const struct stage *stage)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(stage->proxy_control) >= sizeof address.sun_path) {
        abort();
    }
    memcpy(address.sun_path, stage->proxy_control, strlen(stage->proxy_control) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)fprintf(stderr, "%s: %s\n", stage->proxy_control, strerror(errno));
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Until "ok" or "error WHAT", the last line of an answer. */
static bool read_reply(int fd, char *ret_reply)
{
    size_t used = 0;
    bool complete = false;

    while (!complete) {
        ssize_t count = recv(fd, ret_reply + used, STAGE_REPLY_SIZE - 1 - used, 0);

        if (count <= 0) {
            return false;
        }
        used += (size_t)count;
        ret_reply[used] = '\0';
        complete = ret_reply[used - 1] == '\n' &&
                   (strstr(ret_reply, "ok\n") != NULL || strstr(ret_reply, "error ") != NULL);
    }
    return strstr(ret_reply, "ok\n") != NULL;
}

bool stage_proxy_command(struct stage *stage, const char *command, char *ret_reply)
{
    static char room[STAGE_REPLY_SIZE];
    char *reply = ret_reply != NULL ? ret_reply : room;
    int fd = connect_proxy(stage);
    bool passed;

    if (fd < 0) {
        return false;
    }
    passed = dprintf(fd, "%s\n", command) > 0 && read_reply(fd, reply);
    (void)close(fd);
    if (!passed) {
        (void)fprintf(stderr, "the delay proxy refused: %s\n", command);
    }
    return passed;
}

/* The bytes from @source to the node's client port, from a line of the statistics. */
static uint64_t bytes_to(const struct stage *stage, const struct stage_node *node,
                         const char *source, const char *reply)
{
    char line[128];
    const char *found;

    (void)snprintf(line, sizeof line, "%s:%u %s ", node->advertised, stage->client_port, source);
    found = strstr(reply, line);
    found = found == NULL ? NULL : strstr(found, " out=");
    return found == NULL ? 0 : strtoull(found + strlen(" out="), NULL, 10);
}

/* The node with the greatest difference between two replies; NULL if there is none. */
static struct stage_node *find_busiest(struct stage *stage, const char *source, const char *before,
                                       const char *after)
{
    struct stage_node *best = NULL;
    uint64_t most = 0;

    for (unsigned i = 0; i < STAGE_NODES; i++) {
        struct stage_node *node = &stage->nodes[i];
        uint64_t bytes =
            bytes_to(stage, node, source, after) - bytes_to(stage, node, source, before);

        if (bytes > most) {
            most = bytes;
            best = node;
        }
    }
    return best;
}

struct stage_node *stage_node_in_use(struct stage *stage, const char *source, unsigned watch_ms)
{
    static char before[STAGE_REPLY_SIZE], after[STAGE_REPLY_SIZE];

    if (!stage_proxy_command(stage, "stats", before)) {
        return NULL;
    }
    (void)poll(NULL, 0, (int)watch_ms);
    if (!stage_proxy_command(stage, "stats", after)) {
        return NULL;
    }
    return find_busiest(stage, source, before, after);
}

struct stage_node *stage_node_most_used(struct stage *stage, const char *source)
{
    static char reply[STAGE_REPLY_SIZE];

    return stage_proxy_command(stage, "stats", reply) ? find_busiest(stage, source, "", reply)
                                                      : NULL;
}
