/* The control connections to the nodes: lines out, lines in, none of it blocking. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/torture/cluster.h"
#include "tests/torture/process.h"

#define OUTPUT_SIZE_MAX (1u << 20) /* bytes waiting for a node that does not read */
#define CONNECT_RETRY_NS 2000000u  /* a node that starts listens soon */
#define NS_PER_MS 1000000u

static void parse_field(struct cluster_status *status, const char *name, uint64_t value)
{
    const struct {
        const char *name;
        uint64_t *field;
    } fields[] = {
        {"id", &status->id},           {"leader", &status->leader},
        {"term", &status->term},       {"generation", &status->generation},
        {"last", &status->last},       {"commit", &status->commit},
        {"applied", &status->applied}, {"revision", &status->revision},
    };

    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strcmp(name, fields[i].name) == 0) {
            *fields[i].field = value;
        }
    }
    if (strcmp(name, "leading") == 0) {
        status->leading = value != 0;
    } else if (strcmp(name, "ready") == 0) {
        status->ready = value != 0;
    } else if (strcmp(name, "members") == 0) {
        status->members = (unsigned)value;
    }
}

/* "name=value ...", then "NAME:voter:up:MATCH" for each member. */
static void parse_status(struct cluster_node *node, char *text)
{
    struct cluster_status status = {0};
    char *rest = text;
    char *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        char *equals = strchr(word, '=');

        if (equals != NULL) {
            *equals = '\0';
            parse_field(&status, word, strtoull(equals + 1, NULL, 10));
        } else if (strstr(word, ":voter:") != NULL) {
            status.voters++;
        }
    }
    node->status = status;
    node->status_ns = clock_monotonic_ns();
    node->asked_ns = 0;
}

static void take_line(struct cluster_node *node, char *line)
{
    const struct cluster_callbacks *callbacks = &node->cluster->callbacks;
    size_t label_length = node->ask_label != NULL ? strlen(node->ask_label) : 0;

    if (node->ask_label != NULL && strncmp(line, node->ask_label, label_length) == 0 &&
        (line[label_length] == ' ' || line[label_length] == '\0')) {
        const char *answer = line + label_length + (line[label_length] == ' ');

        (void)snprintf(node->ask_answer, CLUSTER_LINE_SIZE_MAX, "%s", answer);
        node->ask_label = NULL;
    } else if (strncmp(line, "status ", 7) == 0) {
        parse_status(node, line + 7);
    } else if (callbacks->answer != NULL) {
        callbacks->answer(callbacks->data, node, line);
    }
}

static void take_bytes(struct cluster_node *node, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            node->input[node->input_size] = '\0';
            node->input_size = 0;
            take_line(node, node->input);
        } else if (node->input_size < sizeof node->input - 1) {
            node->input[node->input_size++] = bytes[i];
        }
    }
}

/* Returns false at the end of the stream. */
static bool read_some(struct cluster_node *node)
{
    char bytes[65536];
    ssize_t count;

    do {
        count = recv(node->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (count > 0) {
            take_bytes(node, bytes, (size_t)count);
        }
    } while (count == (ssize_t)sizeof bytes || (count < 0 && errno == EINTR));
    return count > 0 || (count < 0 && errno == EAGAIN);
}

static bool write_some(struct cluster_node *node)
{
    while (node->output_size > 0) {
        ssize_t count =
            send(node->fd, node->output, node->output_size, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (count < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        node->output_size -= (size_t)count;
        memmove(node->output, node->output + count, node->output_size);
    }
    return true;
}

void cluster_control_drop(struct cluster_node *node)
{
    const struct cluster_callbacks *callbacks = &node->cluster->callbacks;

    if (node->fd < 0) {
        return;
    }
    (void)read_some(node);
    (void)close(node->fd);
    node->fd = -1;
    node->input_size = 0;
    node->output_size = 0;
    node->asked_ns = 0;
    node->status_ns = 0;
    if (callbacks->lost != NULL) {
        callbacks->lost(callbacks->data, node);
    }
}

static void connect_node(struct cluster_node *node)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    uint64_t now_ns = clock_monotonic_ns();

    if (node->run != CLUSTER_RUNNING || node->fd >= 0 ||
        now_ns - node->connect_ns < CONNECT_RETRY_NS) {
        return;
    }
    node->connect_ns = now_ns;
    node->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (node->fd < 0) {
        abort();
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", node->socket_path);
    if (connect(node->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(node->fd);
        node->fd = -1;
        return;
    }
    node->status_ns = 0;
}

bool cluster_send(struct cluster_node *node, const char *line)
{
    size_t size = strlen(line);

    if (node->fd < 0 || node->output_size + size + 1 > OUTPUT_SIZE_MAX) {
        return false;
    }
    if (node->output_size + size + 1 > node->output_room) {
        node->output_room = 2 * (node->output_size + size + 1);
        node->output = realloc(node->output, node->output_room);
        if (node->output == NULL) {
            abort();
        }
    }
    memcpy(node->output + node->output_size, line, size);
    node->output[node->output_size + size] = '\n';
    node->output_size += size + 1;
    /* An error is seen by the next turn, which drops the connection. */
    (void)write_some(node);
    return true;
}

void cluster_control_turn(struct cluster *cluster, unsigned timeout_ms)
{
    struct pollfd polls[CLUSTER_NODES_MAX];
    bool connecting = false;

    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        connect_node(node);
        connecting |= node->run == CLUSTER_RUNNING && node->fd < 0;
        polls[i] =
            (struct pollfd){.fd = node->fd, /* poll() passes over a negative one */
                            .events = (short)(POLLIN | (node->output_size > 0 ? POLLOUT : 0))};
    }
    /* There is no event for a socket that begins to listen. */
    if (connecting && timeout_ms > CONNECT_RETRY_NS / NS_PER_MS) {
        timeout_ms = CONNECT_RETRY_NS / NS_PER_MS;
    }
    if (poll(polls, cluster->count, (int)timeout_ms) <= 0) {
        return;
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        bool alive = true;

        if (node->fd < 0 || node->fd != polls[i].fd || polls[i].revents == 0) {
            continue;
        }
        if ((polls[i].revents & POLLOUT) != 0) {
            alive = write_some(node);
        }
        if (alive && (polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            alive = read_some(node);
        }
        if (!alive) {
            cluster_control_drop(node);
        }
    }
}

void cluster_ask_status(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        if (node->run == CLUSTER_RUNNING && node->asked_ns == 0 && cluster_send(node, "status")) {
            node->asked_ns = clock_monotonic_ns();
        }
    }
}

bool cluster_ask(struct cluster_node *node, const char *request, const char *label,
                 unsigned timeout_ms, char *ret_answer)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    char answer[CLUSTER_LINE_SIZE_MAX];
    bool sent = false;

    node->ask_label = label;
    node->ask_answer = answer;
    while (node->ask_label != NULL && clock_monotonic_ns() < end_ns && node->run != CLUSTER_DOWN) {
        sent = sent || cluster_send(node, request);
        cluster_poll(node->cluster, 10);
    }
    node->ask_answer = NULL;
    if (node->ask_label != NULL) {
        node->ask_label = NULL;
        return false;
    }
    memcpy(ret_answer, answer, strlen(answer) + 1);
    return true;
}
