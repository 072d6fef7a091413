/* The node's Unix socket, for what must work before there is a cluster: the same frames and
 * messages as on the client port, from whoever may open the socket (mode 0600: the daemon's own
 * user and root). One request at a time a connection. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "node/control_private.h"
#include "node/dispatch.h"
#include "wire/frame.h"

#define SOCKET_CONNECTIONS_MAX 32u
#define SOCKET_FRAME_SIZE_MAX 65536u

struct control_socket {
    struct control *control;
    uv_pipe_t listener;
    char *path;
    unsigned client_count;
};

/*    READING --> RUNNING --> READING ...
 *       |           |
 *       +-----------+--> CLOSED, freed when the handle is closed and nothing runs */
struct socket_client {
    struct control_socket *socket;
    uv_pipe_t pipe;
    uint8_t input[FRAME_HEADER_SIZE + SOCKET_FRAME_SIZE_MAX];
    size_t input_size;
    bool running; /* a request is under way and points here */
    bool closed;  /* no callback will come */
    bool closing;
};

struct socket_write {
    uv_write_t write;
    uint8_t *frame;
    size_t size;
};

static void client_release(struct socket_client *client)
{
    if (client->closed && !client->running) {
        wire_free(client, sizeof *client); /* a PIN may have passed */
    }
}

static void on_client_closed(uv_handle_t *handle)
{
    struct socket_client *client = handle->data;

    client->closed = true;
    client->socket->client_count--;
    client_release(client);
}

static void client_close(struct socket_client *client)
{
    if (!client->closing) {
        client->closing = true;
        uv_close((uv_handle_t *)&client->pipe, on_client_closed);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct socket_write *context = write->data;

    (void)status; /* a client that is gone shows when it is read from */
    wire_free(context->frame, context->size);
    free(context);
}

static void client_send(struct socket_client *client, const Quadhsm__Response *response)
{
    struct socket_write *context = calloc(1, sizeof *context);
    uv_buf_t buffer;

    if (context == NULL || wire_pack(&response->base, &context->frame, &context->size) != QH_OK) {
        free(context);
        client_close(client);
        return;
    }
    context->write.data = context;
    buffer = uv_buf_init((char *)context->frame, (unsigned)context->size);
    if (uv_write(&context->write, (uv_stream_t *)&client->pipe, &buffer, 1, on_written) != 0) {
        wire_free(context->frame, context->size);
        free(context);
        client_close(client);
    }
}

static void send_error(struct socket_client *client, enum qh_err err, const char *detail)
{
    Quadhsm__Response response;

    quadhsm__response__init(&response);
    response.error = (uint32_t)err;
    response.detail = wire_borrow(detail);
    client_send(client, &response);
}

static void take_requests(struct socket_client *client);

/* On the control thread. */
static void deliver_here(struct request *request)
{
    struct socket_client *client = request->receiver;

    client->running = false;
    if (!client->closing) {
        client_send(client, request->response);
        take_requests(client);
    }
    request_free(request);
    client_release(client);
}

/* From whichever thread answered. */
static void deliver(struct request *request)
{
    request->run = deliver_here;
    if (!control_post(request->node->control, request)) {
        log_error("an answer for the control socket is lost: the control thread's queue is full");
    }
}

static void progress(struct request *request, const char *what)
{
    struct socket_client *client = request->receiver;
    Quadhsm__Response response;

    quadhsm__response__init(&response);
    if (!client->closing) {
        response.id = request->message->id;
        response.progress = true;
        response.detail = wire_borrow(what);
        client_send(client, &response);
    }
}

static void run_message(struct socket_client *client, Quadhsm__Request *message)
{
    struct request *request =
        request_new(client->socket->control->node, REQUEST_FROM_CONTROL, message);

    if (request == NULL) {
        wire_message_free(&message->base);
        send_error(client, QH_ENOMEM, "the node is out of memory");
        return;
    }
    request->deliver = deliver;
    request->progress = progress;
    request->receiver = client;
    client->running = true;
    dispatch_begin(request);
}

/* The next whole frame in the buffer, if there is one. */
static void take_requests(struct socket_client *client)
{
    ProtobufCMessage *message;
    size_t size;
    enum qh_err err;

    if (client->running || client->closing || client->input_size < FRAME_HEADER_SIZE) {
        return;
    }
    err = wire_header_read(client->input, SOCKET_FRAME_SIZE_MAX, &size);
    if (err != QH_OK) {
        send_error(client, err, "a request on the control socket has at most 65536 bytes");
        client_close(client);
        return;
    }
    if (client->input_size < FRAME_HEADER_SIZE + size) {
        return;
    }
    err = wire_unpack(&quadhsm__request__descriptor,
                      (struct bytes){client->input + FRAME_HEADER_SIZE, size}, &message);
    client->input_size -= FRAME_HEADER_SIZE + size;
    memmove(client->input, client->input + FRAME_HEADER_SIZE + size, client->input_size);
    if (err != QH_OK) {
        send_error(client, err, "the request is not understood: use the command of this version");
        client_close(client);
        return;
    }
    run_message(client, (Quadhsm__Request *)message);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    struct socket_client *client = handle->data;

    (void)suggested;
    *ret_buffer = uv_buf_init((char *)client->input + client->input_size,
                              (unsigned)(sizeof client->input - client->input_size));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct socket_client *client = stream->data;

    (void)buffer;
    if (count < 0) {
        client_close(client);
        return;
    }
    client->input_size += (size_t)count;
    take_requests(client);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct control_socket *control_socket = listener->data;
    struct socket_client *client;

    if (status != 0) {
        return;
    }
    client = calloc(1, sizeof *client);
    if (client == NULL) {
        return;
    }
    client->socket = control_socket;
    client->pipe.data = client;
    (void)uv_pipe_init(listener->loop, &client->pipe, 0);
    control_socket->client_count++;
    if (uv_accept(listener, (uv_stream_t *)&client->pipe) != 0 ||
        control_socket->client_count > SOCKET_CONNECTIONS_MAX ||
        uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read) != 0) {
        client_close(client);
    }
}

/* A socket that a dead daemon left is removed, anything else is somebody's. */
static bool is_other_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISSOCK(status.st_mode);
}

/* Is there a daemon behind it? */
static bool is_answered(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool answered;
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        return false;
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    answered = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return answered;
}

static QH_RESULT listen_at(struct control_socket *control_socket, uv_loop_t *loop)
{
    const char *path = control_socket->path;
    int rv;

    if (is_other_file(path)) {
        log_error("the control socket's path is taken by something that is no socket: path=%s",
                  path);
        return QH_EEXIST;
    }
    if (is_answered(path)) {
        log_error("another daemon listens on the control socket: path=%s", path);
        return QH_EEXIST;
    }
    (void)unlink(path);
    (void)uv_pipe_init(loop, &control_socket->listener, 0);
    control_socket->listener.data = control_socket;
    rv = uv_pipe_bind(&control_socket->listener, path);
    if (rv == 0) {
        rv = chmod(path, 0600) == 0 ? 0 : -errno;
    }
    if (rv == 0) {
        rv = uv_listen((uv_stream_t *)&control_socket->listener, 16, on_connection);
    }
    if (rv != 0) {
        log_error("cannot listen on the control socket: %s path=%s", uv_strerror(rv), path);
        return QH_ESYSTEM;
    }
    return QH_OK;
}

QH_RESULT control_socket_open(struct control *control)
{
    struct control_socket *control_socket = calloc(1, sizeof *control_socket);
    const struct node_config *config = control->node->config;

    if (control_socket == NULL) {
        return QH_ENOMEM;
    }
    if (mkdir(config->data, 0700) != 0 && errno != EEXIST) {
        log_error("cannot make the data directory: %s dir=%s", strerror(errno), config->data);
        free(control_socket);
        return err_from_errno(errno);
    }
    control_socket->control = control;
    control_socket->path = strdup(config->control);
    if (control_socket->path == NULL) {
        free(control_socket);
        return QH_ENOMEM;
    }
    control->socket = control_socket;
    return listen_at(control_socket, control->loop);
}

void control_socket_close(struct control *control)
{
    if (control->socket != NULL && !uv_is_closing((uv_handle_t *)&control->socket->listener)) {
        uv_close((uv_handle_t *)&control->socket->listener, NULL);
        (void)unlink(control->socket->path);
    }
}
