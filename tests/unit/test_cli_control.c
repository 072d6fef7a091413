/* The client of a node's control socket, against a server that says what the test wants. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/control.h"
#include "tests/lib/test.h"
#include "wire/frame.h"

static char dir[128];
static char path[192];
static char detail[CONTROL_DETAIL_ROOM];
static char seen[256]; /* progress */
static Quadhsm__Response *response;

static void make_dir(void)
{
    test_make_dir(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/c.sock", dir);
    seen[0] = '\0';
    response = NULL;
}

static void remove_dir(void)
{
    test_remove_dir(dir);
}

static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", name);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    return fd;
}

/* In a child: reads a whole request, sends @size bytes, closes. */
static pid_t serve(const void *answer, size_t size)
{
    int server = listen_at(path);
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        uint8_t header[FRAME_HEADER_SIZE];
        uint8_t body[4096];
        size_t body_size = 0;
        int fd = accept(server, NULL, NULL);
        bool good = recv(fd, header, sizeof(header), MSG_WAITALL) == FRAME_HEADER_SIZE &&
                    wire_header_read(header, sizeof(body), &body_size) == QH_OK &&
                    recv(fd, body, body_size, MSG_WAITALL) == (ssize_t)body_size &&
                    send(fd, answer, size, MSG_NOSIGNAL) == (ssize_t)size;

        (void)close(fd);
        _exit(good ? 0 : 1);
    }
    (void)close(server);
    return child;
}

static void remember(void *data, const char *text)
{
    size_t length = strlen(seen);

    (void)data;
    (void)snprintf(seen + length, sizeof(seen) - length, "%s;", text);
}

static enum qh_err call(void)
{
    Quadhsm__Request request;
    Quadhsm__NodeStatus node_status;

    quadhsm__request__init(&request);
    quadhsm__node_status__init(&node_status);
    request.op_case = QUADHSM__REQUEST__OP_NODE_STATUS;
    request.node_status = &node_status;
    return control_call(path, &request, remember, NULL, &response, detail);
}

static enum qh_err call_served(const void *answer, size_t size)
{
    pid_t child = serve(answer, size);
    enum qh_err err = call();
    int status = -1;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    return err;
}

/* Append a response's frame. */
static size_t put(uint8_t *buffer, size_t at, const Quadhsm__Response *message)
{
    uint8_t *frame = NULL;
    size_t size = 0;

    ck_assert_int_eq(wire_pack(&message->base, &frame, &size), QH_OK);
    memcpy(buffer + at, frame, size);
    wire_free(frame, size);
    return at + size;
}

static size_t put_progress(uint8_t *buffer, size_t at, char *text)
{
    Quadhsm__Response message;

    quadhsm__response__init(&message);
    message.progress = true;
    message.detail = text;
    return put(buffer, at, &message);
}

START_TEST(progress_is_told_until_the_answer_comes)
{
    Quadhsm__Response message;
    Quadhsm__NodeState state;
    char one[] = "one";
    char two[] = "two";
    char name[] = "alpha";
    uint8_t buffer[512];
    size_t size = put_progress(buffer, put_progress(buffer, 0, one), two);

    quadhsm__response__init(&message);
    quadhsm__node_state__init(&state);
    state.node = name;
    message.result_case = QUADHSM__RESPONSE__RESULT_NODE;
    message.node = &state;
    size = put(buffer, size, &message);
    ck_assert_int_eq(call_served(buffer, size), QH_OK);
    ck_assert_str_eq(seen, "one;two;");
    ck_assert_str_eq(response->node->node, "alpha");
    wire_message_free(&response->base);
}
END_TEST

START_TEST(error_of_the_node_is_the_result_with_its_detail)
{
    Quadhsm__Response message;
    char text[] = "get a new token";
    uint8_t buffer[512];

    quadhsm__response__init(&message);
    message.error = QH_EPIN;
    message.detail = text;
    ck_assert_int_eq(call_served(buffer, put(buffer, 0, &message)), QH_EPIN);
    ck_assert_str_eq(detail, "get a new token");
    ck_assert_ptr_null(response);
}
END_TEST

START_TEST(node_that_closes_without_an_answer_leaves_the_outcome_unknown)
{
    char text[] = "one";
    uint8_t buffer[512];
    size_t size = put_progress(buffer, 0, text);

    ck_assert_int_eq(call_served("", 0), QH_EUNKNOWN);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(call_served(buffer, size), QH_EUNKNOWN);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(call_served(buffer, size - 1), QH_EUNKNOWN);
    ck_assert_ptr_nonnull(strstr(detail, "closed the connection"));
}
END_TEST

START_TEST(something_else_at_the_socket_is_noticed)
{
    ck_assert_int_eq(call_served("HTTP/1.1 400\r\n", 14), QH_EMALFORMED);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(call_served("\x04\0\0\0\xff\xff\xff\xff", 8), QH_EMALFORMED);
    ck_assert_ptr_nonnull(strstr(detail, "cannot be read"));
}
END_TEST

START_TEST(no_socket_and_nobody_at_it_are_no_connection)
{
    ck_assert_int_eq(call(), QH_ECONN);
    ck_assert_ptr_nonnull(strstr(detail, "start quadhsmd"));
    ck_assert_int_eq(close(listen_at(path)), 0);
    ck_assert_int_eq(call(), QH_ECONN);
}
END_TEST

START_TEST(path_that_no_socket_can_have_is_refused)
{
    memset(path, 'x', 108);
    path[108] = '\0';
    ck_assert_int_eq(call(), QH_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_control");
    TCase *tcase = tcase_create("cli_control");

    tcase_add_checked_fixture(tcase, make_dir, remove_dir);
    tcase_add_test(tcase, progress_is_told_until_the_answer_comes);
    tcase_add_test(tcase, error_of_the_node_is_the_result_with_its_detail);
    tcase_add_test(tcase, node_that_closes_without_an_answer_leaves_the_outcome_unknown);
    tcase_add_test(tcase, something_else_at_the_socket_is_noticed);
    tcase_add_test(tcase, no_socket_and_nobody_at_it_are_no_connection);
    tcase_add_test(tcase, path_that_no_socket_can_have_is_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
