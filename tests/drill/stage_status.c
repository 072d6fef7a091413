/* What the nodes say of themselves on their control sockets, and waiting for it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "proto/quadhsm.pb-c.h"
#include "tests/drill/stage.h"
#include "wire/frame.h"

#define ANSWER_MS 500
#define TURN_MS 20

static int connect_node(const struct stage_node *node)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_usec = ANSWER_MS * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || strlen(node->control) >= sizeof address.sun_path) {
        abort();
    }
    memcpy(address.sun_path, node->control, strlen(node->control) + 1);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool receive(int fd, uint8_t *ret_bytes, size_t size)
{
    for (size_t received = 0; received < size;) {
        ssize_t count = recv(fd, ret_bytes + received, size - received, 0);

        if (count <= 0) {
            return false;
        }
        received += (size_t)count;
    }
    return true;
}

static bool send_question(int fd)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__NodeStatus question = QUADHSM__NODE_STATUS__INIT;
    uint8_t *frame;
    size_t size;
    bool sent;

    request.id = 1;
    request.op_case = QUADHSM__REQUEST__OP_NODE_STATUS;
    request.node_status = &question;
    if (wire_pack(&request.base, &frame, &size) != QH_OK) {
        return false;
    }
    sent = send(fd, frame, size, MSG_NOSIGNAL) == (ssize_t)size;
    wire_free(frame, size);
    return sent;
}

/* Owns: wire_message_free(). */
static Quadhsm__Response *receive_answer(int fd)
{
    uint8_t header[FRAME_HEADER_SIZE];
    ProtobufCMessage *message = NULL;
    uint8_t *body;
    size_t size;

    if (!receive(fd, header, sizeof header) ||
        wire_header_read(header, WIRE_FRAME_SIZE_MAX, &size) != QH_OK) {
        return NULL;
    }
    body = malloc(size);
    if (body == NULL) {
        abort();
    }
    if (!receive(fd, body, size) || wire_unpack(&quadhsm__response__descriptor,
                                                (struct bytes){body, size}, &message) != QH_OK) {
        message = NULL;
    }
    free(body);
    return (Quadhsm__Response *)message;
}

static void take_status(struct stage_node *node, const Quadhsm__NodeState *state)
{
    struct stage_status *status = &node->status;

    status->answered = true;
    status->usable = node->witness || state->readiness == QUADHSM__READINESS__READINESS_READY;
    status->member = state->member;
    status->leading = state->leading;
    status->revision = state->revision;
    status->applied_index = state->applied_index;
    (void)snprintf(status->leader, sizeof status->leader, "%s", state->leader);
}

static void ask_node(struct stage_node *node)
{
    Quadhsm__Response *response = NULL;
    int fd = connect_node(node);

    node->status = (struct stage_status){0};
    if (fd < 0) {
        return;
    }
    if (send_question(fd)) {
        response = receive_answer(fd);
    }
    if (response != NULL && response->error == QH_OK &&
        response->result_case == QUADHSM__RESPONSE__RESULT_NODE) {
        take_status(node, response->node);
    }
    wire_message_free((ProtobufCMessage *)response);
    (void)close(fd);
}

void stage_ask(struct stage *stage)
{
    stage_reap(stage);
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        if (stage->nodes[i].run == STAGE_RUNNING) {
            ask_node(&stage->nodes[i]);
        }
    }
}

struct stage_node *stage_leader(struct stage *stage)
{
    struct stage_node *leader = NULL;

    for (unsigned i = 0; i < STAGE_NODES; i++) {
        struct stage_node *node = &stage->nodes[i];

        if (node->run == STAGE_RUNNING && node->status.answered && node->status.leading) {
            if (leader != NULL) {
                return NULL;
            }
            leader = node;
        }
    }
    return leader;
}

static bool is_settled(struct stage *stage, uint64_t revisions)
{
    const struct stage_node *leader = stage_leader(stage);
    uint64_t lowest = UINT64_MAX, highest = 0;

    for (unsigned i = 0; i < STAGE_NODES; i++) {
        const struct stage_node *node = &stage->nodes[i];
        const struct stage_status *status = &node->status;

        if (node->run != STAGE_RUNNING) {
            continue;
        }
        if (leader == NULL || !status->answered || !status->usable || !status->member ||
            strcmp(status->leader, leader->name) != 0) {
            return false;
        }
        lowest = status->revision < lowest ? status->revision : lowest;
        highest = status->revision > highest ? status->revision : highest;
    }
    return highest - lowest <= revisions;
}

static void tell_unsettled(const struct stage *stage)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        const struct stage_node *node = &stage->nodes[i];

        (void)fprintf(stderr, "  %s: %s%s%s%s leader=%s revision=%llu\n", node->name,
                      node->run == STAGE_RUNNING ? "runs" : "does not run",
                      node->status.answered ? "" : ", does not answer",
                      node->status.usable ? "" : ", not ready",
                      node->status.member ? "" : ", no member",
                      node->status.leader[0] == '\0' ? "none" : node->status.leader,
                      (unsigned long long)node->status.revision);
    }
}

bool stage_wait(struct stage *stage, uint64_t revisions, unsigned timeout_ms)
{
    uint64_t end_ms = clock_monotonic_ms() + timeout_ms;

    for (;;) {
        stage_ask(stage);
        if (is_settled(stage, revisions)) {
            return true;
        }
        if (clock_monotonic_ms() > end_ms) {
            (void)fprintf(stderr, "after %u s the nodes are not in order:\n", timeout_ms / 1000);
            tell_unsettled(stage);
            return false;
        }
        (void)poll(NULL, 0, TURN_MS);
    }
}
