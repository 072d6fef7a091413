/* One request on a node's control socket, and its answer. See control.h. */
#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/frame.h"

struct call {
    int fd;
    char *detail;
};

__attribute__((format(printf, 3, 4))) static enum qh_err
say(const struct call *call, enum qh_err err, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(call->detail, CONTROL_DETAIL_ROOM, format, arguments);
    va_end(arguments);
    return err;
}

static QH_RESULT connect_to(struct call *call, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int errnum;

    if (strlen(path) >= sizeof(address.sun_path)) {
        return say(call, QH_EINVAL, "the socket's path is too long: %.150s", path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (call->fd < 0) {
        return say(call, QH_ESYSTEM, "no socket: %s", strerror(errno));
    }
    if (connect(call->fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        return QH_OK;
    }
    errnum = errno;
    if (errnum == EACCES || errnum == EPERM) {
        return say(call, QH_EPERM, "%.110s may not be used by you: run this as the node's user",
                   path);
    }
    return say(
        call, QH_ECONN,
        "nobody listens at %.110s (%s): start quadhsmd, or name its socket with --control or "
        "its configuration with --config",
        path, strerror(errnum));
}

static QH_RESULT send_all(const struct call *call, const uint8_t *base, size_t size)
{
    while (size > 0) {
        ssize_t count = send(call->fd, base, size, MSG_NOSIGNAL);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return say(call, QH_ECONN, "the node closed the connection: %s", strerror(errno));
        }
        base += count;
        size -= (size_t)count;
    }
    return QH_OK;
}

static QH_RESULT receive_all(const struct call *call, uint8_t *base, size_t size)
{
    while (size > 0) {
        struct pollfd ready = {.fd = call->fd, .events = POLLIN};
        int count = poll(&ready, 1, (int)CONTROL_WAIT_MS);
        ssize_t got;

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return say(call, QH_EUNKNOWN, "the node did not answer in time; look at its log");
        }
        got = recv(call->fd, base, size, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return say(call, QH_EUNKNOWN,
                       "the node closed the connection without an answer; look at its log");
        }
        base += got;
        size -= (size_t)got;
    }
    return QH_OK;
}

static QH_RESULT receive(const struct call *call, Quadhsm__Response **ret_response)
{
    uint8_t header[FRAME_HEADER_SIZE];
    ProtobufCMessage *message = NULL;
    uint8_t *body = NULL;
    size_t size = 0;
    enum qh_err err = receive_all(call, header, sizeof(header));

    if (err != QH_OK) {
        return err;
    }
    if (wire_header_read(header, WIRE_FRAME_SIZE_MAX, &size) != QH_OK) {
        return say(call, QH_EMALFORMED, "the socket does not belong to a node of Quadhsm");
    }
    body = malloc(size);
    if (body == NULL) {
        return say(call, QH_ENOMEM, "the answer is too large");
    }
    err = receive_all(call, body, size);
    if (err == QH_OK) {
        err = wire_unpack(&quadhsm__response__descriptor,
                          (struct bytes){.base = body, .size = size}, &message);
        if (err != QH_OK) {
            err = say(call, err, "the node's answer cannot be read: use the same version");
        }
    }
    wire_free(body, size);
    if (err == QH_OK) {
        *ret_response = (Quadhsm__Response *)message;
    }
    return err;
}

static QH_RESULT converse(const struct call *call, const Quadhsm__Request *request,
                          void (*progress)(void *data, const char *text), void *data,
                          Quadhsm__Response **ret_response)
{
    Quadhsm__Request numbered = *request;
    Quadhsm__Response *response = NULL;
    uint8_t *frame = NULL;
    size_t size = 0;
    enum qh_err err;

    numbered.id = 1; /* the only one on this connection */
    err = wire_pack(&numbered.base, &frame, &size);
    if (err != QH_OK) {
        return say(call, err, "the request is too large");
    }
    err = send_all(call, frame, size);
    wire_free(frame, size);
    if (err == QH_OK) {
        err = receive(call, &response);
    }
    while (err == QH_OK && response != NULL && response->progress) {
        progress(data, response->detail);
        wire_message_free(&response->base);
        response = NULL;
        err = receive(call, &response);
    }
    if (err != QH_OK || response == NULL) {
        return err;
    }
    if (response->error != QH_OK) {
        err = say(call, (enum qh_err)response->error, "%s", response->detail);
        wire_message_free(&response->base);
        return err;
    }
    *ret_response = response;
    return QH_OK;
}

QH_RESULT control_call(const char *path, const Quadhsm__Request *request,
                       void (*progress)(void *data, const char *text), void *data,
                       Quadhsm__Response **ret_response, char ret_detail[CONTROL_DETAIL_ROOM])
{
    struct call call = {.fd = -1, .detail = ret_detail};
    enum qh_err err;

    ret_detail[0] = '\0';
    err = connect_to(&call, path);
    if (err == QH_OK) {
        err = converse(&call, request, progress, data, ret_response);
    }
    if (call.fd >= 0) {
        (void)close(call.fd);
    }
    return err;
}
