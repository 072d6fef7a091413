/* Connections that others make to us: who replaces whom, whose process died, and limits. */
#include <linux/filter.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/raw_peer.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static struct rig rig;

static void open_beta(void)
{
    rig_open(&rig);
    rig_start(&rig, 1);
}

static void open_pair(void)
{
    open_beta();
    rig_start(&rig, 0);
    rig_join(&rig, 0, 1);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static const struct rig_node *beta(void)
{
    return &rig.nodes[1];
}

/* alpha in a process of its own, which knows beta's port. */
static int be_alpha(struct rig *parent, void *data)
{
    static struct rig child;
    const uint16_t *port = data;

    rig_open_child(&child, parent);
    rig_start(&child, 0);
    ck_assert_int_eq(transport_peer_set(child.nodes[0].transport, 2, "beta", "127.0.0.1", *port),
                     QH_OK);
    while (uv_run(&child.loop, UV_RUN_ONCE) != 0) {
    }
    return 0;
}

static bool alpha_is_here(void)
{
    return beta()->in_up[TRANSPORT_RAFT][1] == 1 && beta()->in_up[TRANSPORT_RPC][1] == 1;
}

START_TEST(a_killed_process_is_gone_at_once_on_both_channels)
{
    uint16_t port = transport_port(rig.nodes[1].transport);
    pid_t pid = rig_fork(&rig, be_alpha, &port);
    uint64_t start_ns;
    int status;

    RIG_WAIT(&rig, alpha_is_here());
    start_ns = clock_monotonic_ns();
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    RIG_WAIT(&rig, beta()->gone[TRANSPORT_RAFT][1] == 1 && beta()->gone[TRANSPORT_RPC][1] == 1);
    ck_assert_uint_lt(clock_monotonic_ns() - start_ns, 1000000000u);
    ck_assert(!transport_peer_present(rig.nodes[1].transport, 1));
    RIG_WAIT(&rig, rig_child_ended(pid, &status));
}
END_TEST

START_TEST(a_killed_process_is_noticed_while_its_raft_connection_is_paused)
{
    uint16_t port = transport_port(rig.nodes[1].transport);
    pid_t pid = rig_fork(&rig, be_alpha, &port);
    int status;

    RIG_WAIT(&rig, alpha_is_here());
    transport_pause(rig.nodes[1].transport, true);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    RIG_WAIT(&rig, beta()->gone[TRANSPORT_RPC][1] == 1);
    ck_assert_uint_eq(beta()->in_down[TRANSPORT_RAFT][1], 0);
    transport_pause(rig.nodes[1].transport, false);
    RIG_WAIT(&rig, beta()->gone[TRANSPORT_RAFT][1] == 1);
    RIG_WAIT(&rig, rig_child_ended(pid, &status));
}
END_TEST

START_TEST(a_process_that_is_stopped_in_order_is_gone_too)
{
    rig_stop(&rig, 0);
    RIG_WAIT(&rig, beta()->gone[TRANSPORT_RAFT][1] == 1 && beta()->gone[TRANSPORT_RPC][1] == 1);
    ck_assert_uint_eq(beta()->in_down[TRANSPORT_RAFT][1], 1);
}
END_TEST

START_TEST(a_peer_that_leaves_us_but_lives_is_not_gone)
{
    transport_peer_remove(rig.nodes[0].transport, 2);
    RIG_WAIT(&rig,
             beta()->in_down[TRANSPORT_RAFT][1] == 1 && beta()->in_down[TRANSPORT_RPC][1] == 1);
    ck_assert_uint_eq(beta()->gone[TRANSPORT_RAFT][1] + beta()->gone[TRANSPORT_RPC][1], 0);
}
END_TEST

/* From now on the socket gets nothing: no data, no acknowledgement, no reset. */
static void make_deaf(const struct conn *conn)
{
    struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    uv_os_fd_t fd = -1;

    ck_assert_int_eq(uv_fileno((const uv_handle_t *)&conn->tcp, &fd), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

/* A cut link, or a host without power: about the user time-out later both ends know, though
 * neither had anything to send, and nobody takes it for the end of a process. */
START_TEST(a_host_that_vanished_is_noticed_and_not_gone)
{
    struct transport_config config = rig_config(&rig, 2);
    const struct conn *inbound;

    config.user_timeout_ms = 1000;
    config.retry_ms = 60000; /* or a new connection would replace the old one */
    rig_start_with(&rig, 2, &config);
    rig.nodes[1].transport->env.user_timeout_ms = 1000;
    rig_introduce(&rig, 2, 1);
    RIG_WAIT(&rig, beta()->in_up[TRANSPORT_RAFT][3] == 1 && beta()->in_up[TRANSPORT_RPC][3] == 1);
    for (inbound = beta()->transport->inbound; inbound->hello.id != 3; inbound = inbound->next) {
    }
    make_deaf(inbound);
    make_deaf(rig.nodes[2].transport->peers->dials[inbound->channel].conn);
    RIG_WAIT(&rig, beta()->in_down[0][3] + beta()->in_down[1][3] == 1);
    RIG_WAIT(&rig, rig.nodes[2].down[0][2] + rig.nodes[2].down[1][2] == 1);
    ck_assert_uint_eq(beta()->gone[0][3] + beta()->gone[1][3], 0);
    ck_assert(rig_logged(&rig, "timed out"));
}
END_TEST

START_TEST(the_newer_connection_of_a_peer_replaces_the_older)
{
    struct transport_config config = rig_config(&rig, 0);

    rig.nodes[2].hello = rig.nodes[0].hello; /* alpha once more, in gamma's place */
    rig_start_with(&rig, 2, &config);
    rig_introduce(&rig, 2, 1);
    RIG_WAIT(&rig, rig.nodes[0].down[TRANSPORT_RAFT][2] >= 1);
    rig_stop(&rig, 0); /* or the two would replace each other for ever */
    RIG_WAIT(&rig, transport_connected(rig.nodes[2].transport, TRANSPORT_RAFT, 2) &&
                       transport_connected(rig.nodes[2].transport, TRANSPORT_RPC, 2));
    rig_send(&rig, 2, TRANSPORT_RAFT, 1, 1, 10);
    RIG_WAIT(&rig, beta()->frames[TRANSPORT_RAFT] == 1);
    ck_assert(transport_peer_present(rig.nodes[1].transport, 1));
    /* No replacement was reported as the peer's absence. */
    ck_assert_uint_eq(beta()->in_up[TRANSPORT_RAFT][1], beta()->in_down[TRANSPORT_RAFT][1] + 1);
    ck_assert_uint_le(beta()->in_down[TRANSPORT_RAFT][1], 1);
}
END_TEST

/* The same, but nobody stops: the older connection alone is closed. */
START_TEST(a_replaced_connection_is_not_reported)
{
    struct transport_config config = rig_config(&rig, 0);

    config.retry_ms = 60000;
    rig.nodes[0].transport->retry_ms = 60000; /* the older one comes back late */
    rig.nodes[2].hello = rig.nodes[0].hello;
    rig_start_with(&rig, 2, &config);
    rig_introduce(&rig, 2, 1);
    RIG_WAIT(&rig,
             rig.nodes[0].down[TRANSPORT_RAFT][2] == 1 && rig.nodes[0].down[TRANSPORT_RPC][2] == 1);
    RIG_WAIT(&rig, beta()->transport->inbound_count == 2);
    ck_assert_uint_eq(beta()->in_up[TRANSPORT_RAFT][1], 1);
    ck_assert_uint_eq(beta()->in_down[TRANSPORT_RAFT][1], 0);
    ck_assert_uint_eq(beta()->in_down[TRANSPORT_RPC][1], 0);
}
END_TEST

/* ---- Idle. */

START_TEST(a_silent_raft_connection_is_closed_and_its_peer_not_gone)
{
    struct transport_config config = rig_config(&rig, 2);

    config.idle_ms = 50;
    rig_start_with(&rig, 2, &config);
    rig_introduce(&rig, 1, 2);
    RIG_WAIT(&rig, rig.nodes[2].in_down[TRANSPORT_RAFT][2] == 1);
    ck_assert_uint_eq(rig.nodes[2].gone[TRANSPORT_RAFT][2], 0);
    ck_assert_uint_eq(rig.nodes[2].in_down[TRANSPORT_RPC][2], 0);
    RIG_WAIT(&rig, rig.nodes[1].up[TRANSPORT_RAFT][3] >= 2); /* dialled again */
}
END_TEST

START_TEST(a_raft_connection_that_speaks_or_is_paused_is_not_idle)
{
    struct transport_config config = rig_config(&rig, 2);
    uint64_t start_ms;
    uint32_t number = 0;

    config.idle_ms = 400;
    rig_start_with(&rig, 2, &config);
    rig_introduce(&rig, 1, 2);
    RIG_WAIT(&rig, transport_connected(rig.nodes[1].transport, TRANSPORT_RAFT, 3));
    start_ms = uv_now(&rig.loop);
    while (uv_now(&rig.loop) - start_ms < 1000) {
        rig_send(&rig, 1, TRANSPORT_RAFT, 2, ++number, 8);
        RIG_WAIT(&rig, rig.nodes[2].frames[TRANSPORT_RAFT] == number);
    }
    transport_pause(rig.nodes[2].transport, true);
    start_ms = uv_now(&rig.loop);
    RIG_WAIT(&rig, uv_now(&rig.loop) - start_ms > 1000);
    ck_assert_uint_eq(rig.nodes[2].in_down[TRANSPORT_RAFT][2], 0);
    transport_pause(rig.nodes[2].transport, false);
    rig_send(&rig, 1, TRANSPORT_RAFT, 2, ++number, 8);
    RIG_WAIT(&rig, rig.nodes[2].frames[TRANSPORT_RAFT] == number);
    ck_assert_uint_eq(rig.nodes[2].in_down[TRANSPORT_RAFT][2], 0);
}
END_TEST

START_TEST(a_connection_made_during_a_pause_is_paused)
{
    transport_pause(rig.nodes[1].transport, true);
    rig_start(&rig, 2);
    rig_join(&rig, 1, 2);
    rig_send(&rig, 2, TRANSPORT_RPC, 1, 1, 8);
    rig_send(&rig, 2, TRANSPORT_RAFT, 1, 1, 8);
    RIG_WAIT(&rig, beta()->frames[TRANSPORT_RPC] == 1);
    for (unsigned i = 0; i < 20; i++) {
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    }
    ck_assert_uint_eq(beta()->frames[TRANSPORT_RAFT], 0);
    transport_pause(rig.nodes[1].transport, false);
    RIG_WAIT(&rig, beta()->frames[TRANSPORT_RAFT] == 1);
}
END_TEST

/* ---- Places. */

static bool is_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

START_TEST(the_65th_stranger_takes_the_place_of_the_first)
{
    uint16_t port = transport_port(rig.nodes[1].transport);
    int fds[TRANSPORT_INBOUND_MAX + 1];

    rig.nodes[1].transport->env.handshake_ms = 60000;
    for (unsigned i = 0; i < TRANSPORT_INBOUND_MAX; i++) {
        fds[i] = raw_connect(port);
        ck_assert_int_ge(fds[i], 0);
    }
    RIG_WAIT(&rig, beta()->transport->inbound_count == TRANSPORT_INBOUND_MAX);
    ck_assert_uint_eq(transport_counters(beta()->transport)->refused, 0);
    fds[TRANSPORT_INBOUND_MAX] = raw_connect(port);
    RIG_WAIT(&rig, is_closed(fds[0]));
    RIG_WAIT(&rig, beta()->transport->inbound_count == TRANSPORT_INBOUND_MAX);
    ck_assert_uint_eq(transport_counters(beta()->transport)->refused, 1);
    for (unsigned i = 1; i <= TRANSPORT_INBOUND_MAX; i++) {
        ck_assert(!is_closed(fds[i]));
    }
    rig_start(&rig, 0); /* and a peer still gets in */
    rig_introduce(&rig, 0, 1);
    RIG_WAIT(&rig, alpha_is_here());
    ck_assert(is_closed(fds[1]));
    for (unsigned i = 0; i <= TRANSPORT_INBOUND_MAX; i++) {
        (void)close(fds[i]);
    }
}
END_TEST

START_TEST(a_stranger_does_not_take_the_place_of_a_peer)
{
    int fd;

    rig.nodes[1].transport->inbound_max = 2; /* alpha has both */
    fd = raw_connect(transport_port(rig.nodes[1].transport));
    ck_assert_int_ge(fd, 0);
    RIG_WAIT(&rig, is_closed(fd));
    ck_assert(transport_connected(rig.nodes[0].transport, TRANSPORT_RAFT, 2));
    ck_assert(transport_connected(rig.nodes[0].transport, TRANSPORT_RPC, 2));
    ck_assert_uint_eq(beta()->in_down[TRANSPORT_RAFT][1] + beta()->in_down[TRANSPORT_RPC][1], 0);
    ck_assert(rig_logged(&rig, "a named limit would be exceeded"));
    (void)close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inbound");
    TCase *tcase = tcase_create("beta");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_beta, close_rig);
    tcase_add_test(tcase, a_killed_process_is_gone_at_once_on_both_channels);
    tcase_add_test(tcase, a_killed_process_is_noticed_while_its_raft_connection_is_paused);
    tcase_add_test(tcase, a_silent_raft_connection_is_closed_and_its_peer_not_gone);
    tcase_add_test(tcase, a_raft_connection_that_speaks_or_is_paused_is_not_idle);
    tcase_add_test(tcase, a_connection_made_during_a_pause_is_paused);
    tcase_add_test(tcase, the_65th_stranger_takes_the_place_of_the_first);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("pair");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_pair, close_rig);
    tcase_add_test(tcase, a_process_that_is_stopped_in_order_is_gone_too);
    tcase_add_test(tcase, a_peer_that_leaves_us_but_lives_is_not_gone);
    tcase_add_test(tcase, a_host_that_vanished_is_noticed_and_not_gone);
    tcase_add_test(tcase, the_newer_connection_of_a_peer_replaces_the_older);
    tcase_add_test(tcase, a_replaced_connection_is_not_reported);
    tcase_add_test(tcase, a_stranger_does_not_take_the_place_of_a_peer);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
