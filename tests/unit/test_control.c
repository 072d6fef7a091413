/* The control thread's plumbing: requests that come while it stops are answered once. */
#include "node/control.h"

#include <stdio.h>

#include "base/log.h"
#include "node/control_private.h"
#include "tests/lib/test.h"
#include "wire/frame.h"

static char dir[256];
static char data[300], socket_path[300];
static struct node_config config;
static struct node node;
static uv_loop_t loop;
static unsigned answered, ran;
static enum qh_err answer;

static void setup(void)
{
    test_make_dir(dir, sizeof dir);
    (void)snprintf(data, sizeof data, "%s/data", dir);
    (void)snprintf(socket_path, sizeof socket_path, "%s/control", dir);
    config.data = data;
    config.control = socket_path;
    config.request_timeout_ms = 60000;
    (void)snprintf(config.node, sizeof config.node, "eu-1");
    node.config = &config;
    log_set_level(LOG_LEVEL_ERROR);
    ck_assert_int_eq(view_new(&node.view), QH_OK);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(control_start(&node, &loop), QH_OK);
}

static void teardown(void)
{
    test_remove_dir(dir);
}

static void deliver(struct request *request)
{
    answered++;
    answer = (enum qh_err)request->response->error;
    request_free(request);
}

static struct request *new_request(void)
{
    Quadhsm__Request *message = wire_zalloc(sizeof *message);
    struct request *request;

    ck_assert_ptr_nonnull(message);
    quadhsm__request__init(message);
    message->id = 1;
    request = request_new(&node, REQUEST_FROM_CONTROL, message);
    ck_assert_ptr_nonnull(request);
    request->deliver = deliver;
    return request;
}

/* ---- the end ---- */

static void run(struct request *request)
{
    ran++;
    request_free(request);
}

static void on_stopped(void *stopped_data)
{
    *(bool *)stopped_data = true;
}

/* As the control socket posts what it was answered. */
START_TEST(an_answer_on_its_way_when_the_node_stops_is_delivered)
{
    struct request *request = new_request();
    bool stopped = false;

    request->answered = true;
    request->run = run;
    ck_assert(control_post(node.control, request));
    request = new_request();
    request->run = run;
    ck_assert(control_post(node.control, request));
    control_stop(node.control, on_stopped, &stopped);
    ck_assert(stopped);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(ran, 1);
    ck_assert_uint_eq(answered, 1);
    ck_assert_int_eq(answer, QH_ECANCELED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tcase = tcase_create("control");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_answer_on_its_way_when_the_node_stops_is_delivered);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
