/* One connection to a scripted node: who may answer, and what may go wrong. */
#include "client/connection.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "client/tlsclient.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"
#include "tests/unit/client_peer.h"
#include "wire/frame.h"

#define PATIENCE_MS 15000u

static char dir[256];
static struct peer *peer;
static SSL_CTX *context;
static struct connection *connection;

static SSL_CTX *context_with(const char *name)
{
    char ca[512], certificate[512], key[512], text[TLSCLIENT_TEXT_ROOM] = "";
    SSL_CTX *made;

    certs_path(ca, sizeof ca, dir, "ca", "crt");
    certs_path(certificate, sizeof certificate, dir, name, "crt");
    certs_path(key, sizeof key, dir, name, "key");
    ck_assert_int_eq(tlsclient_context_new(ca, certificate, key, text, &made), QH_OK);
    return made;
}

static void set_up(void)
{
    test_make_dir(dir, sizeof dir);
    certs_make_ca(dir);
    certs_make_subject(dir, "app", "client:app");
    certs_make_node(dir, "alpha");
    ck_assert_int_eq(secret_setup(), QH_OK);
}

static void tear_down(void)
{
    connection_close(connection);
    SSL_CTX_free(context);
    peer_stop(peer);
    test_remove_dir(dir);
}

static void start_peer(const char *certificate)
{
    peer = peer_start(
        &(struct peer_options){.dir = dir, .certificate = certificate, .node = certificate});
    context = context_with("app");
}

static struct connection_target target_for(const char *node)
{
    struct connection_target target = {.context = context};
    struct sockaddr_in *address = (struct sockaddr_in *)&target.address;

    address->sin_family = AF_INET;
    address->sin_port = htons(peer_port(peer));
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.address_size = sizeof *address;
    (void)snprintf(target.node, sizeof target.node, "%s", node);
    return target;
}

static void open_to(const char *node)
{
    struct connection_target target = target_for(node);

    ck_assert_int_eq(connection_open(&target, &connection), QH_OK);
}

/* Until @wanted or failure. */
static enum connection_state drive(enum connection_state wanted)
{
    uint64_t limit_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (connection_state(connection) != wanted &&
           connection_state(connection) != CONNECTION_FAILED) {
        struct pollfd fd = {.fd = connection_fd(connection),
                            .events = connection_events(connection)};

        ck_assert_uint_lt(clock_monotonic_ms(), limit_ms);
        (void)poll(&fd, 1, 100);
        (void)connection_step(connection);
    }
    return connection_state(connection);
}

static void submit_random(uint64_t id, size_t id_padding)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Random random = QUADHSM__RANDOM__INIT;
    uint8_t *padding = calloc(1, id_padding + 1), *frame;
    size_t size;

    random.size = 1;
    request.id = id;
    request.op_case = QUADHSM__REQUEST__OP_RANDOM;
    request.random = &random;
    /* Large requests: a field that the peer does not look at. */
    request.partition = (ProtobufCBinaryData){.data = padding, .len = id_padding};
    ck_assert_int_eq(wire_pack(&request.base, &frame, &size), QH_OK);
    connection_submit(connection, frame, size, id);
    free(padding);
}

static void ask(uint64_t id)
{
    Quadhsm__Response *response;

    submit_random(id, 0);
    ck_assert_int_eq(drive(CONNECTION_ANSWERED), CONNECTION_ANSWERED);
    response = connection_take(connection);
    ck_assert_uint_eq(response->id, id);
    wire_message_free(&response->base);
    ck_assert_int_eq(connection_state(connection), CONNECTION_IDLE);
}

static void expect_failure(enum qh_err err, const char *text)
{
    ck_assert_int_eq(connection_state(connection), CONNECTION_FAILED);
    ck_assert_msg(connection_error(connection) == err, "%s: %s",
                  err_name(connection_error(connection)), connection_error_text(connection));
    ck_assert_msg(strstr(connection_error_text(connection), text) != NULL, "%s",
                  connection_error_text(connection));
}

/* ---- who answers ---- */

START_TEST(a_node_of_the_cluster_is_believed)
{
    start_peer("alpha");
    open_to("alpha");
    ck_assert_str_eq(connection_node(connection), "");
    ck_assert_int_eq(drive(CONNECTION_IDLE), CONNECTION_IDLE);
    ck_assert_str_eq(connection_node(connection), "alpha");
    ck_assert(connection_usable(connection));
    for (uint64_t id = 1; id <= 20; id++) {
        ask(id);
    }
}
END_TEST

START_TEST(a_request_may_be_submitted_before_the_handshake)
{
    start_peer("alpha");
    open_to("");
    ask(7);
    ck_assert_str_eq(connection_node(connection), "alpha");
}
END_TEST

START_TEST(another_node_than_expected_is_refused)
{
    start_peer("alpha");
    open_to("beta");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_EPEER, "alpha");
}
END_TEST

START_TEST(a_client_is_no_node)
{
    start_peer("app");
    open_to("");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_EPEER, "not a node's");
}
END_TEST

START_TEST(what_was_received_is_wiped_in_openssl_too)
{
    start_peer("alpha");
    ck_assert_uint_ne(SSL_CTX_get_options(context) & SSL_OP_CLEANSE_PLAINTEXT, 0);
}
END_TEST

START_TEST(a_witness_is_no_node_to_clients)
{
    certs_make_witness(dir, "witness-1");
    start_peer("witness-1");
    open_to("");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_EPEER, "not a node's");
}
END_TEST

START_TEST(a_certificate_without_a_name_is_refused)
{
    certs_make_subject(dir, "nobody", NULL);
    start_peer("nobody");
    open_to("");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_EPEER, "not a node's");
}
END_TEST

START_TEST(another_authority_is_refused)
{
    certs_make_node_foreign(dir, "foreign");
    start_peer("foreign");
    open_to("");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_ETLS, "certificate");
}
END_TEST

START_TEST(an_expired_certificate_is_refused)
{
    certs_make_node_expired(dir, "old");
    start_peer("old");
    open_to("");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_ETLS, "expired");
}
END_TEST

START_TEST(an_older_protocol_is_refused)
{
    peer = peer_start(
        &(struct peer_options){.dir = dir, .certificate = "alpha", .node = "alpha", .tls12 = true});
    context = context_with("app");
    open_to("");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_ETLS, "");
}
END_TEST

START_TEST(another_service_is_refused)
{
    peer = peer_start(&(struct peer_options){
        .dir = dir, .certificate = "alpha", .node = "alpha", .alpn = "quadhsm-raft/1"});
    context = context_with("app");
    open_to("");
    (void)drive(CONNECTION_IDLE);
    expect_failure(QH_ETLS, "");
}
END_TEST

START_TEST(a_client_that_the_node_refuses_is_told_so)
{
    certs_make_node_foreign(dir, "stranger");
    peer = peer_start(&(struct peer_options){.dir = dir, .certificate = "alpha", .node = "alpha"});
    context = context_with("stranger");
    open_to("");
    submit_random(1, 0);
    (void)drive(CONNECTION_ANSWERED);
    ck_assert_int_eq(connection_state(connection), CONNECTION_FAILED);
    ck_assert_int_eq(connection_error(connection), QH_ETLS);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(nobody_at_the_port)
{
    struct connection_target target;

    start_peer("alpha");
    target = target_for("");
    peer_kill(peer);
    if (connection_open(&target, &connection) == QH_OK) {
        (void)drive(CONNECTION_IDLE);
        expect_failure(QH_ECONN, "refused");
    }
    peer_restart(peer);
}
END_TEST

START_TEST(a_node_that_dies_while_it_is_asked)
{
    start_peer("alpha");
    peer_set_mode(peer, PEER_SLOW);
    open_to("");
    ck_assert_int_eq(drive(CONNECTION_IDLE), CONNECTION_IDLE);
    ck_assert(!connection_sent(connection));
    submit_random(1, 0);
    ck_assert_int_eq(drive(CONNECTION_RECEIVING), CONNECTION_RECEIVING);
    ck_assert(connection_sent(connection));
    peer_kill(peer);
    (void)drive(CONNECTION_ANSWERED);
    expect_failure(QH_ECONN, "");
    peer_restart(peer);
}
END_TEST

/* Until an answer begins to come. */
static void wait_long(void)
{
    uint64_t limit_ms = clock_monotonic_ms() + PATIENCE_MS;

    while (connection_may_wait(connection) && !connection_wait(connection)) {
        ck_assert_uint_lt(clock_monotonic_ms(), limit_ms);
    }
}

START_TEST(who_drives_one_alone_may_wait_in_it)
{
    Quadhsm__Response *response;

    start_peer("alpha");
    open_to("");
    ck_assert(!connection_may_wait(connection));
    ask(1);
    ck_assert(!connection_may_wait(connection));
    for (uint64_t id = 2; id <= 20; id++) {
        submit_random(id, 0);
        ck_assert(!connection_may_wait(connection));
        ck_assert_int_eq(connection_step(connection), CONNECTION_RECEIVING);
        ck_assert(connection_may_wait(connection));
        wait_long();
        ck_assert_int_eq(drive(CONNECTION_ANSWERED), CONNECTION_ANSWERED);
        response = connection_take(connection);
        ck_assert_uint_eq(response->id, id);
        wire_message_free(&response->base);
        ck_assert(connection_usable(connection));
    }
}
END_TEST

START_TEST(a_wait_ends_though_nothing_comes)
{
    start_peer("alpha");
    open_to("");
    ask(1);
    peer_set_mode(peer, PEER_SLOW);
    submit_random(2, 0);
    ck_assert_int_eq(connection_step(connection), CONNECTION_RECEIVING);
    ck_assert(!connection_wait(connection));
    ck_assert_int_eq(connection_step(connection), CONNECTION_RECEIVING);
    ck_assert(connection_may_wait(connection));
}
END_TEST

START_TEST(a_wait_ends_when_the_node_goes)
{
    start_peer("alpha");
    open_to("");
    ask(1);
    peer_set_mode(peer, PEER_SLOW);
    submit_random(2, 0);
    ck_assert_int_eq(connection_step(connection), CONNECTION_RECEIVING);
    peer_kill(peer);
    wait_long();
    ck_assert_int_eq(connection_step(connection), CONNECTION_FAILED);
    expect_failure(QH_ECONN, "");
    peer_restart(peer);
}
END_TEST

START_TEST(an_idle_connection_that_was_closed_is_not_usable)
{
    struct pollfd fd;

    (void)signal(SIGPIPE, SIG_DFL);
    start_peer("alpha");
    open_to("");
    ask(1);
    peer_kill(peer);
    fd = (struct pollfd){.fd = connection_fd(connection), .events = POLLIN};
    ck_assert_int_eq(poll(&fd, 1, PATIENCE_MS), 1);
    ck_assert(!connection_usable(connection));
    peer_restart(peer);
}
END_TEST

START_TEST(writing_to_a_dead_node_raises_no_signal)
{
    (void)signal(SIGPIPE, SIG_DFL);
    start_peer("alpha");
    open_to("");
    ask(1);
    peer_kill(peer);
    submit_random(2, 1000000);
    (void)drive(CONNECTION_ANSWERED);
    expect_failure(QH_ECONN, "");
    peer_restart(peer);
}
END_TEST

static void try_mode(enum peer_mode mode, enum qh_err err, const char *text)
{
    start_peer("alpha");
    peer_set_mode(peer, mode);
    open_to("");
    submit_random(1, 0);
    (void)drive(CONNECTION_ANSWERED);
    expect_failure(err, text);
}

START_TEST(bytes_that_are_no_message)
{
    try_mode(PEER_GARBAGE, QH_EMALFORMED, "cannot be read");
}
END_TEST

START_TEST(a_frame_that_is_too_large)
{
    try_mode(PEER_HUGE, QH_EMALFORMED, "impossible size");
}
END_TEST

START_TEST(an_answer_to_something_else)
{
    try_mode(PEER_OTHER_ID, QH_EMALFORMED, "another request");
}
END_TEST

START_TEST(half_an_answer)
{
    try_mode(PEER_TRUNCATES, QH_ECONN, "closed");
}
END_TEST

static uint32_t much(unsigned asked, const Quadhsm__Request *request, Quadhsm__Response *response)
{
    static uint8_t bytes[USE_DATA_SIZE_MAX];
    Quadhsm__Output *output = wire_zalloc(sizeof *output);

    (void)request;
    quadhsm__output__init(output);
    memset(bytes, (int)asked + 1, sizeof bytes);
    output->data = wire_bytes((struct bytes){.base = bytes, .size = sizeof bytes});
    response->result_case = QUADHSM__RESPONSE__RESULT_OUTPUT;
    response->output = output;
    return 0;
}

START_TEST(a_mebibyte_goes_both_ways)
{
    start_peer("alpha");
    peer_set_answer(peer, much);
    open_to("");
    for (uint64_t id = 1; id <= 3; id++) {
        Quadhsm__Response *response;

        submit_random(id, USE_DATA_SIZE_MAX);
        ck_assert_int_eq(drive(CONNECTION_ANSWERED), CONNECTION_ANSWERED);
        response = connection_take(connection);
        ck_assert_uint_eq(response->output->data.len, USE_DATA_SIZE_MAX);
        ck_assert_uint_eq(response->output->data.data[USE_DATA_SIZE_MAX - 1], id);
        wire_message_free(&response->base);
    }
}
END_TEST

/* ---- files ---- */

static enum qh_err try_files(const char *ca, const char *certificate, const char *key,
                             char text[TLSCLIENT_TEXT_ROOM])
{
    char paths[3][512];
    SSL_CTX *made;

    (void)snprintf(paths[0], sizeof paths[0], "%s/%s", dir, ca);
    (void)snprintf(paths[1], sizeof paths[1], "%s/%s", dir, certificate);
    (void)snprintf(paths[2], sizeof paths[2], "%s/%s", dir, key);
    return tlsclient_context_new(paths[0], paths[1], paths[2], text, &made);
}

START_TEST(files_that_do_not_fit_are_named)
{
    char text[TLSCLIENT_TEXT_ROOM];

    start_peer("alpha");
    ck_assert_int_eq(try_files("none.crt", "app.crt", "app.key", text), QH_ETLS);
    ck_assert_ptr_nonnull(strstr(text, "none.crt"));
    ck_assert_int_eq(try_files("ca.crt", "app.key", "app.key", text), QH_ETLS);
    ck_assert_ptr_nonnull(strstr(text, "certificate"));
    ck_assert_int_eq(try_files("ca.crt", "app.crt", "none.key", text), QH_ETLS);
    ck_assert_ptr_nonnull(strstr(text, "No such file"));
    ck_assert_int_eq(try_files("ca.crt", "app.crt", "alpha.key", text), QH_ETLS);
    ck_assert_ptr_nonnull(strstr(text, "alpha.key"));
}
END_TEST

START_TEST(names_of_nodes_have_no_colon)
{
    char name[NODE_NAME_LENGTH_MAX + 2];

    start_peer("alpha");
    memset(name, 'a', sizeof name);
    name[NODE_NAME_LENGTH_MAX + 1] = '\0';
    ck_assert(!tlsclient_node_name_valid(name));
    ck_assert(tlsclient_node_name_valid(name + 1));
    ck_assert(tlsclient_node_name_valid("hsm-1.east"));
    ck_assert(!tlsclient_node_name_valid(""));
    ck_assert(!tlsclient_node_name_valid("client:app"));
    ck_assert(!tlsclient_node_name_valid("a b"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connection");
    TCase *tcase = tcase_create("connection");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_node_of_the_cluster_is_believed);
    tcase_add_test(tcase, a_request_may_be_submitted_before_the_handshake);
    tcase_add_test(tcase, another_node_than_expected_is_refused);
    tcase_add_test(tcase, a_client_is_no_node);
    tcase_add_test(tcase, what_was_received_is_wiped_in_openssl_too);
    tcase_add_test(tcase, a_witness_is_no_node_to_clients);
    tcase_add_test(tcase, a_certificate_without_a_name_is_refused);
    tcase_add_test(tcase, another_authority_is_refused);
    tcase_add_test(tcase, an_expired_certificate_is_refused);
    tcase_add_test(tcase, an_older_protocol_is_refused);
    tcase_add_test(tcase, another_service_is_refused);
    tcase_add_test(tcase, a_client_that_the_node_refuses_is_told_so);
    tcase_add_test(tcase, nobody_at_the_port);
    tcase_add_test(tcase, a_node_that_dies_while_it_is_asked);
    tcase_add_test(tcase, who_drives_one_alone_may_wait_in_it);
    tcase_add_test(tcase, a_wait_ends_though_nothing_comes);
    tcase_add_test(tcase, a_wait_ends_when_the_node_goes);
    tcase_add_test(tcase, an_idle_connection_that_was_closed_is_not_usable);
    tcase_add_test(tcase, writing_to_a_dead_node_raises_no_signal);
    tcase_add_test(tcase, bytes_that_are_no_message);
    tcase_add_test(tcase, a_frame_that_is_too_large);
    tcase_add_test(tcase, an_answer_to_something_else);
    tcase_add_test(tcase, half_an_answer);
    tcase_add_test(tcase, a_mebibyte_goes_both_ways);
    tcase_add_test(tcase, files_that_do_not_fit_are_named);
    tcase_add_test(tcase, names_of_nodes_have_no_colon);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
