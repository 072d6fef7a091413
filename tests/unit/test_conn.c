/* Connections with those who do not follow the rules: silence, garbage, frames
 * that are too large, a greeting cut short. The other side is a process of its own. */
#include "raft-glue/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raft-glue/hello.h"
#include "tests/lib/raw_peer.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static struct rig rig;
static uint16_t port;

static void open_beta(void)
{
    rig_open(&rig);
    rig_start(&rig, 1);
    port = transport_port(rig.nodes[1].transport);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static const struct transport_counters *counters(void)
{
    return transport_counters(rig.nodes[1].transport);
}

/* Run @work in a process until it ends with 0. */
static void run(int (*work)(struct rig *parent, void *data), void *data)
{
    pid_t pid = rig_fork(&rig, work, data);
    int status = -1;

    RIG_WAIT(&rig, rig_child_ended(pid, &status));
    ck_assert_msg(status == 0, "the other side: status %d\n%s", status, rig.log);
    RIG_WAIT(&rig, rig.nodes[1].transport->inbound_count == 0);
}

static bool saw_end(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno == ECONNRESET);
}

START_TEST(garbage_instead_of_tls_ends_the_connection)
{
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: beta\r\n\r\n";
    int fd = raw_connect(port);
    char alert[16];

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(send(fd, garbage, sizeof garbage, MSG_NOSIGNAL), sizeof garbage);
    RIG_WAIT(&rig, rig_logged(&rig, "refused a connection: TLS failed"));
    while (recv(fd, alert, sizeof alert, MSG_DONTWAIT) > 0) {
    }
    RIG_WAIT(&rig, saw_end(fd));
    (void)close(fd);
    RIG_WAIT(&rig, rig.nodes[1].transport->inbound_count == 0);
    ck_assert_uint_eq(rig.nodes[1].checks, 0);
}
END_TEST

START_TEST(who_says_nothing_is_dropped_after_the_handshakes_time)
{
    int fd;

    rig.nodes[1].transport->env.handshake_ms = 50;
    fd = raw_connect(port);
    ck_assert_int_ge(fd, 0);
    RIG_WAIT(&rig, counters()->accepted == 1);
    RIG_WAIT(&rig, rig.nodes[1].transport->inbound_count == 0);
    RIG_WAIT(&rig, saw_end(fd));
    ck_assert(rig_logged(&rig, "no answer within the handshake's time"));
    (void)close(fd);
}
END_TEST

/* ---- After TLS. @data: what to do next. */

static bool connect_alpha(struct raw_peer *peer, struct rig *parent, const char *protocol)
{
    return raw_peer_connect(peer, port, parent->dir, "alpha", protocol, TLS1_3_VERSION);
}

/* Hello, answer, verdict. */
static bool greet(struct raw_peer *peer, struct rig *parent)
{
    struct transport_hello hello;
    enum qh_err code = QH_EINVAL;

    return raw_peer_send_hello(peer, &parent->nodes[0].hello, QH_OK) &&
           raw_peer_read_hello(peer, &hello, &code) && code == QH_OK && hello.id == 2 &&
           raw_peer_send_hello(peer, &parent->nodes[0].hello, QH_OK);
}

static int silent_after_tls(struct rig *parent, void *data)
{
    struct raw_peer peer;

    (void)data;
    return connect_alpha(&peer, parent, "quadhsm-raft/1") ? (int)raw_peer_read_rest(&peer) : 1;
}

START_TEST(who_says_no_hello_is_dropped_after_the_handshakes_time)
{
    rig.nodes[1].transport->env.handshake_ms = 200;
    run(silent_after_tls, NULL);
    ck_assert(rig_logged(&rig, "no answer within the handshake's time"));
    ck_assert(rig_logged(&rig, "peer=alpha"));
}
END_TEST

static int silent_after_hello(struct rig *parent, void *data)
{
    struct raw_peer peer;
    struct transport_hello hello;
    enum qh_err code;

    (void)data;
    return connect_alpha(&peer, parent, "quadhsm-raft/1") &&
                   raw_peer_send_hello(&peer, &parent->nodes[0].hello, QH_OK) &&
                   raw_peer_read_hello(&peer, &hello, &code) && code == QH_OK &&
                   raw_peer_read_rest(&peer) == 0
               ? 0
               : 1;
}

START_TEST(who_gives_no_verdict_is_dropped_and_was_never_up)
{
    rig.nodes[1].transport->env.handshake_ms = 200;
    run(silent_after_hello, NULL);
    ck_assert_uint_eq(rig.nodes[1].checks, 1);
    ck_assert_uint_eq(rig.nodes[1].in_up[TRANSPORT_RAFT][1], 0);
    ck_assert_uint_eq(rig.nodes[1].in_down[TRANSPORT_RAFT][1], 0);
}
END_TEST

static int refusing_dialler(struct rig *parent, void *data)
{
    struct raw_peer peer;
    struct transport_hello hello;
    enum qh_err code;

    (void)data;
    return connect_alpha(&peer, parent, "quadhsm-raft/1") &&
                   raw_peer_send_hello(&peer, &parent->nodes[0].hello, QH_OK) &&
                   raw_peer_read_hello(&peer, &hello, &code) && code == QH_OK &&
                   raw_peer_send_hello(&peer, &parent->nodes[0].hello, QH_EGENERATION)
               ? 0
               : 1;
}

START_TEST(a_dialler_that_refuses_us_was_never_up_and_its_reason_is_told)
{
    run(refusing_dialler, NULL);
    ck_assert_uint_eq(rig.nodes[1].in_up[TRANSPORT_RAFT][1], 0);
    ck_assert_uint_eq(rig.nodes[1].gone[TRANSPORT_RAFT][1], 0);
    ck_assert(rig_logged(&rig, "refused by a peer: the peer belongs to another generation"));
    ck_assert(rig_logged(&rig, "must rejoin under a new id"));
}
END_TEST

static int garbage_hello(struct rig *parent, void *data)
{
    static const char garbage[96] = "this is no hello";
    struct raw_peer peer;

    (void)data;
    return connect_alpha(&peer, parent, "quadhsm-rpc/1") &&
                   raw_peer_send_frame(&peer, sizeof garbage, garbage, sizeof garbage) &&
                   raw_peer_read_rest(&peer) == 0
               ? 0
               : 1;
}

START_TEST(tls_but_garbage_instead_of_a_hello_ends_the_connection)
{
    run(garbage_hello, NULL);
    ck_assert(rig_logged(&rig, "not a hello"));
    ck_assert_uint_eq(rig.nodes[1].checks, 0);
}
END_TEST

static int large_hello(struct rig *parent, void *data)
{
    static const char zeroes[HELLO_SIZE_MAX + 1];
    struct raw_peer peer;

    (void)data;
    return connect_alpha(&peer, parent, "quadhsm-raft/1") &&
                   raw_peer_send_frame(&peer, sizeof zeroes, NULL, 0) &&
                   raw_peer_read_rest(&peer) == 0
               ? 0
               : 1;
}

START_TEST(a_hello_larger_than_any_ends_the_connection_at_its_announcement)
{
    run(large_hello, NULL);
    ck_assert(rig_logged(&rig, "a named limit would be exceeded"));
}
END_TEST

static int other_version(struct rig *parent, void *data)
{
    struct raw_peer peer;
    struct transport_hello hello;
    enum qh_err code = QH_OK;
    uint8_t body[HELLO_SIZE_MAX];
    size_t size = hello_encode(&parent->nodes[0].hello, QH_OK, body);

    (void)data;
    body[4]++;
    return connect_alpha(&peer, parent, "quadhsm-raft/1") &&
                   raw_peer_send_frame(&peer, (uint32_t)size, body, size) &&
                   raw_peer_read_hello(&peer, &hello, &code) && code == QH_EVERSION &&
                   raw_peer_read_rest(&peer) == 0
               ? 0
               : 1;
}

START_TEST(a_hello_of_another_version_is_refused_with_the_reason)
{
    run(other_version, NULL);
    ck_assert(rig_logged(&rig, "unsupported version"));
    ck_assert_uint_eq(counters()->refused, 1);
}
END_TEST

static int no_protocol(struct rig *parent, void *data)
{
    struct raw_peer peer;

    return connect_alpha(&peer, parent, data) && raw_peer_read_rest(&peer) == 0 ? 0 : 1;
}

START_TEST(a_client_without_our_protocol_is_refused)
{
    run(no_protocol, NULL);
    ck_assert(rig_logged(&rig, "no protocol in common"));
}
END_TEST

static int unknown_protocol(struct rig *parent, void *data)
{
    struct raw_peer peer;

    return connect_alpha(&peer, parent, data) ? 1 : 0;
}

START_TEST(a_client_with_an_unknown_protocol_fails_its_handshake)
{
    static char protocol[] = "quadhsm-raft/2";

    run(unknown_protocol, protocol);
}
END_TEST

static int tls_1_2(struct rig *parent, void *data)
{
    struct raw_peer peer;

    (void)data;
    return raw_peer_connect(&peer, port, parent->dir, "alpha", "quadhsm-raft/1", TLS1_2_VERSION)
               ? 1
               : 0;
}

START_TEST(tls_1_2_is_refused)
{
    run(tls_1_2, NULL);
    ck_assert(rig_logged(&rig, "refused a connection: TLS failed (unsupported protocol"));
}
END_TEST

/* ---- When up. */

struct size_case {
    const char *protocol;
    uint32_t announced;
};

static int announce(struct rig *parent, void *data)
{
    const struct size_case *size = data;
    struct raw_peer peer;

    return connect_alpha(&peer, parent, size->protocol) && greet(&peer, parent) &&
                   raw_peer_send_frame(&peer, size->announced, NULL, 0) &&
                   raw_peer_read_rest(&peer) == 0
               ? 0
               : 1;
}

START_TEST(a_frame_above_the_rpc_limit_ends_the_connection_at_its_announcement)
{
    struct size_case size = {"quadhsm-rpc/1", TRANSPORT_RPC_FRAME_MAX + 1};

    run(announce, &size);
    ck_assert_uint_eq(rig.nodes[1].in_up[TRANSPORT_RPC][1], 1);
    ck_assert_uint_eq(rig.nodes[1].in_down[TRANSPORT_RPC][1], 1);
    ck_assert_uint_eq(rig.nodes[1].gone[TRANSPORT_RPC][1], 0);
    ck_assert(rig_logged(&rig, "lost a peer's connection: a named limit would be exceeded"));
}
END_TEST

START_TEST(a_frame_above_the_raft_limit_ends_the_connection_at_its_announcement)
{
    struct size_case size = {"quadhsm-raft/1", (uint32_t)TRANSPORT_RAFT_FRAME_MAX + 1};

    run(announce, &size);
    ck_assert_uint_eq(rig.nodes[1].in_down[TRANSPORT_RAFT][1], 1);
    ck_assert_uint_eq(rig.nodes[1].gone[TRANSPORT_RAFT][1], 0);
}
END_TEST

START_TEST(an_empty_frame_ends_the_connection)
{
    struct size_case size = {"quadhsm-rpc/1", 0};

    run(announce, &size);
    ck_assert_uint_eq(rig.nodes[1].in_down[TRANSPORT_RPC][1], 1);
    ck_assert(rig_logged(&rig, "does not follow its format"));
}
END_TEST

/* Announce the most that is allowed and send little of it, then wait to be killed. */
static int promise_much(struct rig *parent, void *data)
{
    static const char zeroes[1000];
    struct raw_peer peer;

    (void)data;
    if (!connect_alpha(&peer, parent, "quadhsm-raft/1") || !greet(&peer, parent) ||
        !raw_peer_send_frame(&peer, (uint32_t)TRANSPORT_RAFT_FRAME_MAX, zeroes, sizeof zeroes)) {
        return 1;
    }
    (void)raw_peer_read_rest(&peer);
    return 1;
}

START_TEST(an_announced_size_allocates_nothing_until_the_bytes_come)
{
    pid_t pid = rig_fork(&rig, promise_much, NULL);
    const struct transport *transport = rig.nodes[1].transport;
    int status;

    RIG_WAIT(&rig, transport->inbound != NULL && transport->inbound->reader.size == 1000);
    ck_assert_uint_eq(transport->inbound->reader.room, FRAME_ROOM_FIRST);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    RIG_WAIT(&rig, rig.nodes[1].gone[TRANSPORT_RAFT][1] == 1);
    RIG_WAIT(&rig, rig_child_ended(pid, &status));
    ck_assert_uint_eq(rig.nodes[1].frames[TRANSPORT_RAFT], 0);
}
END_TEST

static int one_byte_at_a_time(struct rig *parent, void *data)
{
    static const uint8_t frames[] = {4, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 9};
    struct raw_peer peer;

    (void)data;
    if (!connect_alpha(&peer, parent, "quadhsm-rpc/1") || !greet(&peer, parent)) {
        return 1;
    }
    for (unsigned i = 0; i < sizeof frames; i++) {
        if (!raw_peer_send(&peer, &frames[i], 1)) {
            return 1;
        }
    }
    return SSL_shutdown(peer.ssl) >= 0 ? 0 : 1;
}

START_TEST(frames_may_come_byte_by_byte_and_a_close_notify_is_no_death)
{
    run(one_byte_at_a_time, NULL);
    ck_assert_uint_eq(rig.nodes[1].frames[TRANSPORT_RPC], 2);
    ck_assert_uint_eq(rig.nodes[1].frame_bytes, 9);
    ck_assert(!rig.nodes[1].disordered);
    ck_assert_uint_eq(rig.nodes[1].in_down[TRANSPORT_RPC][1], 1);
    ck_assert_uint_eq(rig.nodes[1].gone[TRANSPORT_RPC][1], 0);
}
END_TEST

static int damaged_record(struct rig *parent, void *data)
{
    static const uint8_t record[] = {23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8,
                                     9,  0, 1, 2, 3,  4, 5, 6, 7, 8, 9, 0};
    struct raw_peer peer;

    (void)data;
    return connect_alpha(&peer, parent, "quadhsm-rpc/1") && greet(&peer, parent) &&
                   send(peer.fd, record, sizeof record, MSG_NOSIGNAL) == sizeof record &&
                   raw_peer_read_rest(&peer) == 0
               ? 0
               : 1;
}

START_TEST(a_record_that_does_not_decrypt_ends_the_connection)
{
    run(damaged_record, NULL);
    ck_assert_uint_eq(rig.nodes[1].in_down[TRANSPORT_RPC][1], 1);
    ck_assert_uint_eq(rig.nodes[1].gone[TRANSPORT_RPC][1], 0);
    ck_assert(rig_logged(&rig, "TLS failed"));
}
END_TEST

/* ---- We dial somebody who breaks the rules. */

static int talking_acceptor(struct rig *parent, void *data)
{
    struct transport_hello hello;
    struct raw_peer peer;
    enum qh_err code;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        return 1;
    }
    *(_Atomic uint16_t *)data = ntohs(address.sin_port);
    return raw_peer_accept(&peer, listener, parent->dir, "alpha") &&
                   raw_peer_read_hello(&peer, &hello, &code) &&
                   raw_peer_send_hello(&peer, &parent->nodes[0].hello, QH_OK) &&
                   raw_peer_read_hello(&peer, &hello, &code) &&
                   raw_peer_send_frame(&peer, 4, "1234", 4) && raw_peer_read_rest(&peer) == 0
               ? 0
               : 1;
}

START_TEST(an_acceptor_that_sends_frames_is_left)
{
    _Atomic uint16_t *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;
    int status;

    ck_assert_ptr_ne(shared, MAP_FAILED);
    pid = rig_fork(&rig, talking_acceptor, shared);
    RIG_WAIT(&rig, *shared != 0);
    ck_assert_int_eq(transport_peer_set(rig.nodes[1].transport, 1, "alpha", "127.0.0.1", *shared),
                     QH_OK);
    RIG_WAIT(&rig, rig_logged(&rig, "sent on a connection that is ours"));
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    RIG_WAIT(&rig, rig_child_ended(pid, &status));
    ck_assert_uint_eq(rig.nodes[1].frames[0] + rig.nodes[1].frames[1], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn");
    TCase *tcase = tcase_create("greeting");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_beta, close_rig);
    tcase_add_test(tcase, garbage_instead_of_tls_ends_the_connection);
    tcase_add_test(tcase, who_says_nothing_is_dropped_after_the_handshakes_time);
    tcase_add_test(tcase, who_says_no_hello_is_dropped_after_the_handshakes_time);
    tcase_add_test(tcase, who_gives_no_verdict_is_dropped_and_was_never_up);
    tcase_add_test(tcase, a_dialler_that_refuses_us_was_never_up_and_its_reason_is_told);
    tcase_add_test(tcase, tls_but_garbage_instead_of_a_hello_ends_the_connection);
    tcase_add_test(tcase, a_hello_larger_than_any_ends_the_connection_at_its_announcement);
    tcase_add_test(tcase, a_hello_of_another_version_is_refused_with_the_reason);
    tcase_add_test(tcase, a_client_without_our_protocol_is_refused);
    tcase_add_test(tcase, a_client_with_an_unknown_protocol_fails_its_handshake);
    tcase_add_test(tcase, tls_1_2_is_refused);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("up");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_beta, close_rig);
    tcase_add_test(tcase, a_frame_above_the_rpc_limit_ends_the_connection_at_its_announcement);
    tcase_add_test(tcase, a_frame_above_the_raft_limit_ends_the_connection_at_its_announcement);
    tcase_add_test(tcase, an_empty_frame_ends_the_connection);
    tcase_add_test(tcase, an_announced_size_allocates_nothing_until_the_bytes_come);
    tcase_add_test(tcase, frames_may_come_byte_by_byte_and_a_close_notify_is_no_death);
    tcase_add_test(tcase, a_record_that_does_not_decrypt_ends_the_connection);
    tcase_add_test(tcase, an_acceptor_that_sends_frames_is_left);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
