/* Dialling: addresses and names, retries, and who is refused on either side. */
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/certs.h"
#include "tests/lib/raw_peer.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static struct rig rig;

static void open_rig(void)
{
    rig_open(&rig);
    rig_start(&rig, 0);
}

static void close_rig(void)
{
    rig_close(&rig);
}

static bool both_up(unsigned from, unsigned to)
{
    return transport_connected(rig.nodes[from].transport, TRANSPORT_RAFT, to + 1) &&
           transport_connected(rig.nodes[from].transport, TRANSPORT_RPC, to + 1);
}

static void dial(const char *host, uint16_t port)
{
    ck_assert_int_eq(transport_peer_set(rig.nodes[0].transport, 2, "beta", host, port), QH_OK);
}

/* ---- Addresses. */

START_TEST(a_peer_that_is_not_there_yet_is_dialled_until_it_is)
{
    struct transport_config config = rig_config(&rig, 1);

    rig_start(&rig, 1); /* for a port that is free */
    config.listen_port = transport_port(rig.nodes[1].transport);
    rig_stop(&rig, 1);
    dial("127.0.0.1", config.listen_port);
    RIG_WAIT(&rig, transport_counters(rig.nodes[0].transport)->dialled >= 6);
    ck_assert_uint_eq(rig.nodes[0].up[TRANSPORT_RAFT][2], 0);
    ck_assert_uint_eq(rig_logged_count(&rig, "connection refused"), 1);
    rig_start_with(&rig, 1, &config);
    RIG_WAIT(&rig, both_up(0, 1));
    ck_assert(rig_logged(&rig, "connected to a peer: peer=beta channel=raft"));
}
END_TEST

START_TEST(a_connection_that_lasted_is_dialled_again_at_once)
{
    struct transport_config config = rig_config(&rig, 2);
    uint64_t start_ms;

    config.retry_ms = 1000; /* the time that must not pass */
    rig_start_with(&rig, 2, &config);
    rig_start(&rig, 1);
    rig_introduce(&rig, 2, 1);
    RIG_WAIT(&rig, both_up(2, 1));
    start_ms = uv_now(&rig.loop);
    RIG_WAIT(&rig, uv_now(&rig.loop) - start_ms > 1100);
    transport_peer_remove(rig.nodes[1].transport, 3); /* closes what gamma made */
    start_ms = uv_now(&rig.loop);
    RIG_WAIT(&rig, rig.nodes[2].up[TRANSPORT_RAFT][2] == 2);
    ck_assert_uint_lt(uv_now(&rig.loop) - start_ms, 700);
}
END_TEST

START_TEST(a_changed_address_moves_the_connections_and_the_same_one_does_not)
{
    uint16_t port;

    rig_start(&rig, 1);
    port = transport_port(rig.nodes[1].transport);
    dial("127.0.0.1", port);
    RIG_WAIT(&rig, both_up(0, 1));
    dial("127.0.0.1", port);
    ck_assert(both_up(0, 1));
    rig_start(&rig, 2); /* beta at another place: beta's certificate and id */
    rig_stop(&rig, 2);
    dial("127.0.0.2", port); /* nobody listens on that address */
    ck_assert(!transport_connected(rig.nodes[0].transport, TRANSPORT_RAFT, 2));
    RIG_WAIT(&rig, rig.nodes[0].down[TRANSPORT_RAFT][2] == 1);
    RIG_WAIT(&rig, rig.nodes[0].down[TRANSPORT_RPC][2] == 1);
    RIG_WAIT(&rig, rig.nodes[1].in_down[TRANSPORT_RAFT][1] == 1);
    ck_assert_uint_eq(rig.nodes[1].gone[TRANSPORT_RAFT][1], 0);
    RIG_WAIT(&rig, rig_logged(&rig, "127.0.0.2"));
    dial("127.0.0.1", port);
    RIG_WAIT(&rig, both_up(0, 1));
    ck_assert_uint_eq(rig.nodes[0].up[TRANSPORT_RAFT][2], 2);
}
END_TEST

START_TEST(a_dns_name_is_resolved)
{
    rig_start(&rig, 1);
    dial("localhost", transport_port(rig.nodes[1].transport));
    RIG_WAIT(&rig, both_up(0, 1));
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_logged_once_and_asked_again)
{
    rig_start(&rig, 1);
    dial("no-such-host.invalid", 7601);
    RIG_WAIT(&rig, rig_logged(&rig, "check the host name"));
    dial("localhost", transport_port(rig.nodes[1].transport));
    RIG_WAIT(&rig, both_up(0, 1));
    ck_assert_uint_eq(rig_logged_count(&rig, "check the host name"), 1);
}
END_TEST

START_TEST(a_peer_may_be_removed_while_its_name_is_resolved)
{
    dial("no-such-host.invalid", 7601);
    RIG_WAIT(&rig, rig.nodes[0].transport->peers->dials[0].state == DIAL_RESOLVING);
    dial("another-host.invalid", 7601);
    transport_peer_remove(rig.nodes[0].transport, 2);
    ck_assert_ptr_null(rig.nodes[0].transport->peers);
}
END_TEST

/* The first address of two does not answer as it should; the second does. */
START_TEST(all_addresses_are_tried_in_turn)
{
    struct dial *raft;
    struct sockaddr_in *second;

    rig_start(&rig, 1);
    dial("127.0.0.2", transport_port(rig.nodes[1].transport));
    raft = &rig.nodes[0].transport->peers->dials[TRANSPORT_RAFT];
    RIG_WAIT(&rig, raft->state == DIAL_DIALLING);
    second = (struct sockaddr_in *)(void *)&raft->addresses[1];
    *second = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_port = htons(transport_port(rig.nodes[1].transport)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    raft->address_count = 2;
    RIG_WAIT(&rig, raft->state == DIAL_UP);
    ck_assert_uint_eq(raft->address_next, 2);
}
END_TEST

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return bound;
}

START_TEST(ipv6_works)
{
    struct transport_config config = rig_config(&rig, 1);

    if (!has_ipv6()) {
        (void)printf("skipped: this host has no IPv6 loopback\n");
        return;
    }
    config.listen_host = "::1";
    rig_start_with(&rig, 1, &config);
    dial("::1", transport_port(rig.nodes[1].transport));
    RIG_WAIT(&rig, both_up(0, 1));
    ck_assert(rig_logged(&rig, "address=[::1]:"));
}
END_TEST

START_TEST(any_address_takes_ipv4_and_names_and_ipv6_if_there_is_any)
{
    struct transport_config config = rig_config(&rig, 1);

    config.listen_host = "";
    rig_start_with(&rig, 1, &config);
    dial("127.0.0.1", transport_port(rig.nodes[1].transport));
    RIG_WAIT(&rig, both_up(0, 1));
    if (has_ipv6()) {
        dial("::1", transport_port(rig.nodes[1].transport));
        RIG_WAIT(&rig, rig.nodes[0].up[TRANSPORT_RAFT][2] == 2);
    }
    rig_stop(&rig, 1);
    config.listen_host = "localhost";
    rig_start_with(&rig, 1, &config);
    dial("localhost", transport_port(rig.nodes[1].transport));
    RIG_WAIT(&rig, both_up(0, 1));
}
END_TEST

START_TEST(a_removed_peer_is_left_and_may_be_set_again)
{
    rig_start(&rig, 1);
    rig_join(&rig, 0, 1);
    transport_peer_remove(rig.nodes[0].transport, 2);
    ck_assert(!transport_connected(rig.nodes[0].transport, TRANSPORT_RAFT, 2));
    RIG_WAIT(&rig, rig.nodes[0].down[TRANSPORT_RAFT][2] == 1);
    RIG_WAIT(&rig, rig.nodes[0].down[TRANSPORT_RPC][2] == 1);
    RIG_WAIT(&rig, rig.nodes[0].in_down[TRANSPORT_RAFT][2] == 1);
    ck_assert_uint_eq(rig.nodes[0].gone[TRANSPORT_RAFT][2], 0);
    rig_introduce(&rig, 0, 1);
    RIG_WAIT(&rig, both_up(0, 1));
}
END_TEST

/* ---- Refusals. The dialler is alpha, the acceptor beta. */

static void expect_refusals(unsigned count)
{
    RIG_WAIT(&rig, transport_counters(rig.nodes[0].transport)->dialled >= 2 * count);
    for (unsigned i = 0; i < TRANSPORT_CHANNELS; i++) {
        ck_assert_uint_eq(rig.nodes[0].up[i][2], 0);
        ck_assert_uint_eq(rig.nodes[1].in_up[i][1], 0);
        ck_assert_uint_eq(rig.nodes[1].in_down[i][1], 0);
    }
}

static const struct {
    enum qh_err code;
    const char *what;
    const char *advice;
} refusals[] = {
    {QH_EPEER, "the peer is not who it should be", "compare id, name and cluster"},
    {QH_EGENERATION, "the peer belongs to another generation", "must rejoin under a new id"},
    {QH_EROLLEDBACK, "rolled back or replaced", "remove that node from the cluster"},
};

START_TEST(what_the_acceptor_refuses_is_told_to_the_dialler)
{
    char line[128];

    rig_start(&rig, 1);
    rig.nodes[1].check_answer = refusals[_i].code;
    rig_introduce(&rig, 0, 1);
    expect_refusals(5);
    ck_assert(rig_logged(&rig, refusals[_i].advice));
    (void)snprintf(line, sizeof line, "refused by a peer: %.40s", refusals[_i].what);
    ck_assert_uint_eq(rig_logged_count(&rig, "refused by a peer: "), 1);
    ck_assert_uint_eq(rig_logged_count(&rig, "refused a peer: "), 1);
    ck_assert_uint_eq(rig.nodes[0].checks, 0); /* a refusal is not judged in turn */
    rig.nodes[1].check_answer = QH_OK;
    RIG_WAIT(&rig, both_up(0, 1));
    rig.nodes[1].check_answer = refusals[_i].code; /* after success it is news again */
    transport_peer_remove(rig.nodes[1].transport, 1);
    RIG_WAIT(&rig, rig_logged_count(&rig, "refused by a peer: ") == 2);
}
END_TEST

START_TEST(what_the_dialler_refuses_is_told_to_the_acceptor)
{
    rig_start(&rig, 1);
    rig.nodes[0].check_answer = refusals[_i].code;
    rig_introduce(&rig, 0, 1);
    expect_refusals(5);
    ck_assert_uint_eq(rig_logged_count(&rig, "refused by a peer: "), 1);
    ck_assert(rig_logged(&rig, refusals[_i].what));
    ck_assert(rig_logged(&rig, refusals[_i].advice));
    ck_assert_uint_gt(transport_counters(rig.nodes[1].transport)->refused, 1);
}
END_TEST

START_TEST(an_acceptor_with_another_id_than_dialled_is_refused)
{
    rig_start(&rig, 1);
    rig.nodes[1].hello.id = 3;
    rig_introduce(&rig, 0, 1);
    expect_refusals(2);
    ck_assert_uint_eq(rig.nodes[0].checks, 0);
    ck_assert(rig_logged(&rig, "the peer is not who it should be"));
}
END_TEST

START_TEST(an_acceptor_with_another_name_than_dialled_is_refused)
{
    rig_start(&rig, 1);
    ck_assert_int_eq(transport_peer_set(rig.nodes[0].transport, 2, "gamma", "127.0.0.1",
                                        transport_port(rig.nodes[1].transport)),
                     QH_OK);
    expect_refusals(2);
    ck_assert_uint_eq(rig.nodes[0].checks, 0);
}
END_TEST

START_TEST(a_dialler_with_the_certificate_of_another_node_is_refused)
{
    rig_start(&rig, 1);
    (void)snprintf(rig.nodes[0].hello.name, sizeof rig.nodes[0].hello.name, "gamma");
    rig.nodes[0].hello.id = 3;
    rig_introduce(&rig, 0, 1);
    expect_refusals(2);
    ck_assert_uint_eq(rig.nodes[1].checks, 0);
    ck_assert(rig_logged(&rig, "refused a peer: the peer is not who it should be"));
    ck_assert(rig_logged(&rig, "peer=alpha")); /* the name that is proved, not the claimed one */
}
END_TEST

START_TEST(an_acceptor_with_the_certificate_of_another_node_is_refused)
{
    struct transport_config config = rig_config(&rig, 2);

    rig_start_with(&rig, 1, &config); /* beta's hello, gamma's certificate */
    rig_introduce(&rig, 0, 1);
    expect_refusals(2);
    ck_assert_uint_eq(rig.nodes[0].checks, 0);
}
END_TEST

static void start_beta(void)
{
    rig_start(&rig, 1);
    rig_introduce(&rig, 0, 1);
    expect_refusals(2);
    ck_assert_uint_eq(rig.nodes[0].checks + rig.nodes[1].checks, 0);
    ck_assert(rig_logged(&rig, "refused a connection: TLS failed"));
    ck_assert(rig_logged(&rig, "no connection to a peer: TLS failed"));
    ck_assert(rig_logged(&rig, "check that both certificates are valid"));
}

START_TEST(an_acceptor_of_a_foreign_authority_is_refused)
{
    certs_make_node_foreign(rig.dir, "beta");
    start_beta();
    ck_assert(rig_logged(&rig, "peers will refuse this node's certificate"));
    ck_assert(rig_logged(&rig, "certificate verify failed"));
}
END_TEST

START_TEST(an_expired_acceptor_is_refused)
{
    certs_make_node_expired(rig.dir, "beta");
    start_beta();
    ck_assert(
        rig_logged(&rig, "peers will refuse this node's certificate: certificate has expired"));
    ck_assert(rig_logged(&rig, "certificate verify failed: certificate has expired"));
}
END_TEST

static void restart_alpha(void)
{
    rig_stop(&rig, 0);
    rig_start(&rig, 0);
    start_beta();
}

START_TEST(a_dialler_of_a_foreign_authority_is_refused)
{
    certs_make_node_foreign(rig.dir, "alpha");
    restart_alpha();
}
END_TEST

START_TEST(an_expired_dialler_is_refused_and_hears_why)
{
    certs_make_node_expired(rig.dir, "alpha");
    restart_alpha();
    ck_assert(rig_logged(&rig, "certificate verify failed: certificate has expired"));
    ck_assert(rig_logged(&rig, "alert certificate expired"));
}
END_TEST

START_TEST(a_dialler_whose_certificate_names_no_node_is_refused)
{
    certs_make_subject(rig.dir, "alpha", NULL);
    rig_stop(&rig, 0);
    rig_start(&rig, 0);
    rig_start(&rig, 1);
    rig_introduce(&rig, 0, 1);
    expect_refusals(2);
    ck_assert(rig_logged(&rig, "the certificate's subject names no node"));
}
END_TEST

/* ---- Nobody answers. */

START_TEST(an_acceptor_that_says_nothing_is_given_up_after_the_handshakes_time)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(listener, 64), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    rig.nodes[0].transport->env.handshake_ms = 50;
    dial("127.0.0.1", ntohs(address.sin_port));
    RIG_WAIT(&rig, transport_counters(rig.nodes[0].transport)->dialled >= 4);
    ck_assert_uint_eq(rig_logged_count(&rig, "no answer within the handshake's time"), 1);
    (void)close(listener);
}
END_TEST

static void add_address_tests(TCase *tcase)
{
    tcase_add_test(tcase, a_peer_that_is_not_there_yet_is_dialled_until_it_is);
    tcase_add_test(tcase, a_connection_that_lasted_is_dialled_again_at_once);
    tcase_add_test(tcase, a_changed_address_moves_the_connections_and_the_same_one_does_not);
    tcase_add_test(tcase, a_dns_name_is_resolved);
    tcase_add_test(tcase, a_name_that_does_not_resolve_is_logged_once_and_asked_again);
    tcase_add_test(tcase, a_peer_may_be_removed_while_its_name_is_resolved);
    tcase_add_test(tcase, all_addresses_are_tried_in_turn);
    tcase_add_test(tcase, ipv6_works);
    tcase_add_test(tcase, any_address_takes_ipv4_and_names_and_ipv6_if_there_is_any);
    tcase_add_test(tcase, a_removed_peer_is_left_and_may_be_set_again);
    tcase_add_test(tcase, an_acceptor_that_says_nothing_is_given_up_after_the_handshakes_time);
}

static void add_refusal_tests(TCase *tcase)
{
    const int count = sizeof refusals / sizeof *refusals;

    tcase_add_loop_test(tcase, what_the_acceptor_refuses_is_told_to_the_dialler, 0, count);
    tcase_add_loop_test(tcase, what_the_dialler_refuses_is_told_to_the_acceptor, 0, count);
    tcase_add_test(tcase, an_acceptor_with_another_id_than_dialled_is_refused);
    tcase_add_test(tcase, an_acceptor_with_another_name_than_dialled_is_refused);
    tcase_add_test(tcase, a_dialler_with_the_certificate_of_another_node_is_refused);
    tcase_add_test(tcase, an_acceptor_with_the_certificate_of_another_node_is_refused);
    tcase_add_test(tcase, an_acceptor_of_a_foreign_authority_is_refused);
    tcase_add_test(tcase, an_expired_acceptor_is_refused);
    tcase_add_test(tcase, a_dialler_of_a_foreign_authority_is_refused);
    tcase_add_test(tcase, an_expired_dialler_is_refused_and_hears_why);
    tcase_add_test(tcase, a_dialler_whose_certificate_names_no_node_is_refused);
}

int main(void)
{
    Suite *suite = suite_create("dial");
    TCase *tcase = tcase_create("addresses");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_rig, close_rig);
    add_address_tests(tcase);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("refusals");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_rig, close_rig);
    add_refusal_tests(tcase);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
