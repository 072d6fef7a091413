/* The control thread's plumbing: requests that it has no room for, or that come while it stops, are
 * answered once and leave nothing behind. The workers are left out: they have no room either. */
#include "node/control.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hsm/join_token.h"
#include "node/boot.h"
#include "node/control_private.h"
#include "node/handlers.h"
#include "node/workers.h"
#include "tests/lib/test.h"
#include "wire/frame.h"

static char dir[256];
static char data[300], socket_path[300];
static struct node_config config;
static struct node node;
static uv_loop_t loop;
static unsigned answered, ran;
static enum qh_err answer;

bool workers_post(struct workers *workers, struct request *request, enum workers_kind kind)
{
    (void)workers;
    (void)request;
    (void)kind;
    return false;
}

unsigned workers_queued(const struct workers *workers)
{
    (void)workers;
    return 0;
}

unsigned workers_threads(const struct workers *workers)
{
    (void)workers;
    return 0;
}

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

/* ---- what finds no room ---- */

static enum qh_err init(void)
{
    struct request *request = new_request();
    Quadhsm__NodeInit *init = wire_zalloc(sizeof *init);

    quadhsm__node_init__init(init);
    init->cluster_name = wire_string("test");
    init->admin_name = wire_string("admin");
    init->so_password = wire_bytes((struct bytes){(const uint8_t *)"password", 8});
    request->message->op_case = QUADHSM__REQUEST__OP_NODE_INIT;
    request->message->node_init = init;
    handle_node_init(request);
    return answer;
}

START_TEST(an_init_that_finds_no_worker_can_be_repeated)
{
    ck_assert_int_eq(init(), QH_EBUSY);
    ck_assert_int_eq(init(), QH_EBUSY);
    ck_assert_uint_eq(answered, 2);
}
END_TEST

static enum qh_err join(void)
{
    struct request *request = new_request();
    Quadhsm__NodeJoin *join = wire_zalloc(sizeof *join);
    struct join_token token = {.address_count = 1};
    struct secret *text;

    ck_assert_int_eq(secret_new(JOIN_TOKEN_SECRET_SIZE, &token.secret), QH_OK);
    (void)snprintf(token.addresses[0].host, sizeof token.addresses[0].host, "127.0.0.1");
    token.addresses[0].port = 7600;
    ck_assert_int_eq(join_token_make(&token, &text), QH_OK);
    quadhsm__node_join__init(join);
    join->token = wire_string((const char *)secret_view(text));
    secret_free(text);
    join_token_close(&token);
    request->message->op_case = QUADHSM__REQUEST__OP_NODE_JOIN;
    request->message->node_join = join;
    handle_node_join(request);
    return answer;
}

START_TEST(a_join_that_finds_no_worker_leaves_the_directory_as_it_was)
{
    uint8_t cluster[16];

    ck_assert_int_eq(join(), QH_EBUSY);
    ck_assert_int_eq(boot_inspect(&config, cluster), QH_ENOTFOUND);
    ck_assert_int_eq(join(), QH_EBUSY);
}
END_TEST

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
    tcase_add_test(tcase, an_init_that_finds_no_worker_can_be_repeated);
    tcase_add_test(tcase, a_join_that_finds_no_worker_leaves_the_directory_as_it_was);
    tcase_add_test(tcase, an_answer_on_its_way_when_the_node_stops_is_delivered);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
