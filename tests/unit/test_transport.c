/* Two and three transports that talk over loopback: frames, queues, callbacks, the end. */
#include "raft-glue/transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define MIB (1u << 20)

static struct rig rig;

/* What became of sent frames. */
static unsigned calls[QH_EREFUSED + 1];
static bool inside; /* in transport_send() */

static void on_sent(void *data, enum qh_err status)
{
    ck_assert(!inside);
    ck_assert_ptr_eq(data, &rig);
    calls[status]++;
}

static unsigned all_calls(void)
{
    unsigned sum = 0;

    for (unsigned i = 0; i <= QH_EREFUSED; i++) {
        sum += calls[i];
    }
    return sum;
}

/* @count pieces, all of them the same @piece. */
static enum qh_err send_pieces(enum transport_channel channel, uint32_t number, struct bytes piece,
                               unsigned count)
{
    struct bytes *pieces = calloc(count + 1, sizeof *pieces);
    enum qh_err err;

    ck_assert_ptr_nonnull(pieces);
    for (unsigned i = 0; i < count; i++) {
        pieces[i] = piece;
    }
    inside = true;
    err = transport_send(rig.nodes[0].transport, channel, 2,
                         (struct bytes){.base = (uint8_t *)&number, .size = sizeof number}, pieces,
                         count, on_sent, &rig);
    inside = false;
    free(pieces); /* the array is ours, the bytes are the caller's */
    return err;
}

static struct conn *conn_to(unsigned from, unsigned to, enum transport_channel channel)
{
    const struct peer *peer = rig.nodes[from].transport->peers;

    while (peer->id != to + 1) {
        peer = peer->next;
    }
    return peer->dials[channel].conn;
}

static void open_pair(void)
{
    memset(calls, 0, sizeof calls);
    rig_open(&rig);
    rig_start(&rig, 0);
    rig_start(&rig, 1);
    rig_join(&rig, 0, 1);
}

static void close_rig(void)
{
    rig_close(&rig);
}

START_TEST(frames_arrive_on_both_channels_with_the_name_of_their_sender)
{
    rig_send(&rig, 0, TRANSPORT_RAFT, 1, 1, 600);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RAFT] == 1);
    ck_assert_uint_eq(rig.nodes[1].frames[TRANSPORT_RPC], 0);
    rig_send(&rig, 0, TRANSPORT_RPC, 1, 2, 600);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RPC] == 1);
    rig_send(&rig, 1, TRANSPORT_RAFT, 0, 3, 1);
    RIG_WAIT(&rig, rig.nodes[0].frames[TRANSPORT_RAFT] == 1);
    ck_assert_uint_eq(rig.nodes[0].frame_bytes, 1);
}
END_TEST

START_TEST(each_side_hears_the_hello_of_the_other)
{
    ck_assert_uint_eq(rig.nodes[0].heard.id, 2);
    ck_assert_str_eq(rig.nodes[0].heard.name, "beta");
    ck_assert_mem_eq(rig.nodes[1].heard.cluster, "one and the same", 16);
    ck_assert_uint_eq(rig.nodes[1].heard.generation, 1);
    ck_assert_uint_eq(rig.nodes[1].heard.start_count, 5);
    ck_assert_uint_eq(rig.nodes[1].heard.nonce, 77);
    ck_assert_uint_eq(rig.nodes[1].heard.term, 3);
    ck_assert_uint_eq(rig.nodes[1].checks, 4); /* both channels, both ways */
}
END_TEST

START_TEST(three_nodes_are_all_connected_with_each_other)
{
    rig_start(&rig, 2);
    rig_join(&rig, 0, 2);
    rig_join(&rig, 1, 2);
    rig_send(&rig, 2, TRANSPORT_RAFT, 0, 1, 10);
    rig_send(&rig, 2, TRANSPORT_RAFT, 1, 1, 10);
    RIG_WAIT(&rig, rig.nodes[0].frames[0] == 1 && rig.nodes[1].frames[0] == 1);
    ck_assert(transport_peer_present(rig.nodes[0].transport, 2));
    ck_assert(transport_peer_present(rig.nodes[0].transport, 3));
    ck_assert(!transport_peer_present(rig.nodes[0].transport, 4));
}
END_TEST

START_TEST(frames_of_all_sizes_keep_their_order)
{
    static const size_t sizes[] = {4,     5,     600,   16379, 16380, 16381,
                                   16384, 32760, 65536, 65537, 300000};
    uint64_t bytes = 0;
    uint32_t number = 0;

    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            rig_send(&rig, 0, TRANSPORT_RAFT, 1, ++number, sizes[i]);
            bytes += sizes[i];
        }
        RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RAFT] == number);
    }
    ck_assert_uint_eq(rig.nodes[1].frame_bytes, bytes);
    ck_assert(!rig.nodes[1].disordered);
    ck_assert_uint_eq(transport_counters(rig.nodes[0].transport)->frames_sent, number);
    ck_assert_uint_eq(transport_counters(rig.nodes[1].transport)->frames_received, number);
    ck_assert_uint_gt(transport_counters(rig.nodes[0].transport)->bytes_sent, bytes);
}
END_TEST

START_TEST(a_frame_is_handed_to_the_kernel_before_send_returns)
{
    uint64_t sent = transport_counters(rig.nodes[0].transport)->bytes_sent;

    rig_send(&rig, 0, TRANSPORT_RAFT, 1, 1, 600);
    ck_assert_uint_ge(transport_counters(rig.nodes[0].transport)->bytes_sent, sent + 604);
    ck_assert_uint_eq(transport_counters(rig.nodes[0].transport)->frames_sent, 1);
}
END_TEST

START_TEST(the_callback_comes_once_and_later)
{
    static const uint8_t piece[3] = {1, 2, 3};

    for (uint32_t i = 1; i <= 100; i++) {
        ck_assert_int_eq(
            send_pieces(TRANSPORT_RPC, i, (struct bytes){.base = piece, .size = sizeof piece}, 2),
            QH_OK);
    }
    ck_assert_uint_eq(all_calls(), 0);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RPC] == 100);
    ck_assert_uint_eq(calls[QH_OK], 100);
    ck_assert_uint_eq(all_calls(), 100);
    ck_assert_uint_eq(rig.nodes[1].frame_bytes, 1000);
    ck_assert_uint_eq(rig.nodes[1].sum, 100 + 2 * (1 + 2 + 3));
}
END_TEST

/* A callback that sends the next frame. */
static void on_sent_send_again(void *data, enum qh_err status)
{
    unsigned *left = data;
    const uint8_t byte = 1;
    const struct bytes piece = {.base = &byte, .size = 1};

    ck_assert_int_eq(status, QH_OK);
    if (*left > 0) {
        --*left;
        ck_assert_int_eq(transport_send(rig.nodes[0].transport, TRANSPORT_RPC, 2, piece, NULL, 0,
                                        on_sent_send_again, left),
                         QH_OK);
    }
}

START_TEST(callbacks_that_send_do_not_hold_up_the_loop)
{
    unsigned left = 1000, most;

    on_sent_send_again(&left, QH_OK);
    most = left;
    (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    ck_assert_uint_ge(left + 2, most);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RPC] == 1000);
    ck_assert_uint_eq(left, 0);
}
END_TEST

START_TEST(the_key_changes_after_so_many_records)
{
    const struct conn *conn = conn_to(0, 1, TRANSPORT_RAFT);

    rig.nodes[0].transport->env.key_records = 10;
    for (uint32_t i = 1; i <= 995; i++) {
        rig_send(&rig, 0, TRANSPORT_RAFT, 1, i, 100);
    }
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RAFT] == 995);
    ck_assert(!rig.nodes[1].disordered);
    ck_assert_uint_ge(conn->key_updates, 99);
    ck_assert_uint_eq(rig.nodes[0].down[TRANSPORT_RAFT][2], 0);
}
END_TEST

static int option_of(const struct conn *conn, int level, int name)
{
    uv_os_fd_t fd = -1;
    int value = -1;
    socklen_t size = sizeof value;

    ck_assert_int_eq(uv_fileno((const uv_handle_t *)&conn->tcp, &fd), 0);
    ck_assert_int_eq(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

START_TEST(both_ends_notice_a_host_that_vanished)
{
    const struct conn *ends[] = {conn_to(0, 1, TRANSPORT_RAFT), rig.nodes[0].transport->inbound};

    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(option_of(ends[i], IPPROTO_TCP, TCP_USER_TIMEOUT), 3000);
        ck_assert_int_eq(option_of(ends[i], IPPROTO_TCP, TCP_NODELAY), 1);
        ck_assert_int_eq(option_of(ends[i], SOL_SOCKET, SO_KEEPALIVE), 1);
        ck_assert_int_eq(option_of(ends[i], IPPROTO_TCP, TCP_KEEPIDLE), 1);
        ck_assert_int_eq(option_of(ends[i], IPPROTO_TCP, TCP_KEEPINTVL), 1);
    }
}
END_TEST

START_TEST(the_loop_sleeps_when_no_callback_is_due)
{
    static const uint8_t piece[1] = {1};

    ck_assert_int_eq(send_pieces(TRANSPORT_RPC, 1, (struct bytes){.base = piece, .size = 1}, 1),
                     QH_OK);
    ck_assert(uv_is_active((uv_handle_t *)&rig.nodes[0].transport->idle));
    RIG_WAIT(&rig, calls[QH_OK] == 1);
    ck_assert(!uv_is_active((uv_handle_t *)&rig.nodes[0].transport->idle));
    ck_assert(!uv_is_active((uv_handle_t *)&rig.nodes[0].transport->check));
}
END_TEST

static bool arrived_through_little_room(const struct conn *conn)
{
    ck_assert_uint_le(conn->pipe.out.room, PIPE_OUT_SIZE_MAX);
    ck_assert_uint_le(conn->pipe.flight.room, PIPE_OUT_SIZE_MAX);
    return rig.nodes[1].frames[TRANSPORT_RAFT] == 1;
}

START_TEST(a_large_frame_needs_little_memory_at_the_sender)
{
    uint8_t *piece = malloc(MIB);
    const struct conn *conn = conn_to(0, 1, TRANSPORT_RAFT);

    ck_assert_ptr_nonnull(piece);
    memset(piece, 1, MIB);
    ck_assert_int_eq(send_pieces(TRANSPORT_RAFT, 0, (struct bytes){.base = piece, .size = MIB}, 64),
                     QH_OK);
    ck_assert_uint_eq(all_calls(), 0);
    RIG_WAIT(&rig, arrived_through_little_room(conn));
    ck_assert_uint_eq(rig.nodes[1].frame_bytes, 64ull * MIB + 4);
    ck_assert_uint_eq(rig.nodes[1].sum, 64ull * MIB);
    ck_assert_uint_eq(calls[QH_OK], 1);
    free(piece);
}
END_TEST

/* Send pieces of 1 MiB, numbered on from @sent, until the queue is full; returns how many in all.
 */
static unsigned fill_queue(enum transport_channel channel, struct bytes piece, unsigned sent)
{
    enum qh_err err;

    while ((err = send_pieces(channel, sent + 1, piece, 1)) == QH_OK) {
        sent++;
        ck_assert_uint_lt(sent, 1000);
    }
    ck_assert_int_eq(err, QH_EBUSY);
    return sent;
}

START_TEST(a_paused_receiver_fills_the_senders_queue_and_nothing_is_lost)
{
    uint8_t *base = calloc(1, MIB);
    unsigned sent = 0, last;

    ck_assert_ptr_nonnull(base);
    transport_pause(rig.nodes[1].transport, true);
    do { /* until the kernel's buffers are full too */
        last = sent;
        sent = fill_queue(TRANSPORT_RAFT, (struct bytes){.base = base, .size = MIB}, sent);
        for (unsigned i = 0; i < 20; i++) {
            (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
        }
    } while (sent > last);
    ck_assert_uint_le(conn_to(0, 1, TRANSPORT_RAFT)->queue.size, TRANSPORT_QUEUE_SIZE_MAX);
    ck_assert_uint_gt(conn_to(0, 1, TRANSPORT_RAFT)->queue.size,
                      TRANSPORT_QUEUE_SIZE_MAX - 2 * MIB);
    ck_assert_uint_eq(rig.nodes[1].frames[TRANSPORT_RAFT], 0);
    rig_send(&rig, 0, TRANSPORT_RPC, 1, 0, 8); /* the other channel goes on */
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RPC] == 1);
    transport_pause(rig.nodes[1].transport, false);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RAFT] == sent && calls[QH_OK] == sent);
    ck_assert_uint_eq(all_calls(), sent);
    ck_assert(!rig.nodes[1].disordered);
    free(base);
}
END_TEST

START_TEST(what_is_queued_fails_once_when_the_connection_is_lost)
{
    uint8_t *base = calloc(1, MIB);
    unsigned sent;

    ck_assert_ptr_nonnull(base);
    transport_pause(rig.nodes[1].transport, true);
    sent = fill_queue(TRANSPORT_RAFT, (struct bytes){.base = base, .size = MIB}, 0);
    rig_stop(&rig, 1);
    RIG_WAIT(&rig, all_calls() == sent);
    RIG_WAIT(&rig, rig.nodes[0].down[TRANSPORT_RAFT][2] == 1);
    ck_assert_uint_gt(calls[QH_ECONN], 0);
    ck_assert_uint_eq(calls[QH_ECONN] + calls[QH_OK], sent);
    ck_assert_uint_eq(transport_counters(rig.nodes[0].transport)->frames_dropped,
                      calls[QH_ECONN] + 1u); /* and the one that found the queue full */
    ck_assert_int_eq(send_pieces(TRANSPORT_RAFT, 1, (struct bytes){.base = base, .size = 1}, 1),
                     QH_ECONN);
    ck_assert(!transport_connected(rig.nodes[0].transport, TRANSPORT_RAFT, 2));
    free(base);
}
END_TEST

START_TEST(closing_cancels_what_is_queued_before_it_says_closed)
{
    uint8_t *base = calloc(1, MIB);
    unsigned sent;

    ck_assert_ptr_nonnull(base);
    transport_pause(rig.nodes[1].transport, true);
    sent = fill_queue(TRANSPORT_RAFT, (struct bytes){.base = base, .size = MIB}, 0);
    rig_stop(&rig, 0);
    ck_assert_uint_eq(all_calls(), sent);
    ck_assert_uint_gt(calls[QH_ECANCELED], 0);
    ck_assert_uint_eq(calls[QH_ECANCELED] + calls[QH_OK], sent);
    ck_assert_uint_eq(rig.nodes[0].down[TRANSPORT_RAFT][2], 0);
    free(base);
}
END_TEST

START_TEST(a_frame_to_nobody_is_refused)
{
    uint32_t number = 1;
    struct bytes head = {.base = (uint8_t *)&number, .size = sizeof number};

    ck_assert_int_eq(
        transport_send(rig.nodes[0].transport, TRANSPORT_RAFT, 3, head, NULL, 0, on_sent, &rig),
        QH_ECONN);
    ck_assert_int_eq(transport_peer_set(rig.nodes[0].transport, 3, "gamma", "127.0.0.1", 1), QH_OK);
    ck_assert_int_eq(
        transport_send(rig.nodes[0].transport, TRANSPORT_RAFT, 3, head, NULL, 0, on_sent, &rig),
        QH_ECONN);
    ck_assert_uint_eq(all_calls(), 0);
}
END_TEST

START_TEST(the_largest_rpc_frame_passes_and_a_larger_one_does_not)
{
    uint8_t *base = calloc(1, TRANSPORT_RPC_FRAME_MAX + 1);
    struct bytes body = {.base = base, .size = TRANSPORT_RPC_FRAME_MAX + 1};

    ck_assert_ptr_nonnull(base);
    ck_assert_int_eq(
        transport_send(rig.nodes[0].transport, TRANSPORT_RPC, 2, body, NULL, 0, NULL, NULL),
        QH_ELIMIT);
    body.size--;
    ck_assert_int_eq(
        transport_send(rig.nodes[0].transport, TRANSPORT_RPC, 2, body, NULL, 0, NULL, NULL), QH_OK);
    RIG_WAIT(&rig, rig.nodes[1].frames[TRANSPORT_RPC] == 1);
    ck_assert_uint_eq(rig.nodes[1].frame_bytes, TRANSPORT_RPC_FRAME_MAX);
    free(base);
}
END_TEST

START_TEST(the_largest_raft_frame_is_counted_over_all_pieces)
{
    /* Refused before a byte of it is looked at. */
    struct bytes piece = {.base = (const uint8_t *)&rig, .size = TRANSPORT_RAFT_FRAME_MAX / 2};

    ck_assert_int_eq(send_pieces(TRANSPORT_RAFT, 1, piece, 2), QH_ELIMIT);
    ck_assert_uint_eq(all_calls(), 0);
}
END_TEST

START_TEST(an_error_of_the_frame_callback_closes_the_connection)
{
    rig.nodes[1].frame_answer = QH_EMALFORMED;
    rig_send(&rig, 0, TRANSPORT_RAFT, 1, 1, 10);
    RIG_WAIT(&rig, rig.nodes[1].in_down[TRANSPORT_RAFT][1] == 1);
    ck_assert_uint_eq(rig.nodes[1].gone[TRANSPORT_RAFT][1], 0);
    RIG_WAIT(&rig, rig.nodes[0].down[TRANSPORT_RAFT][2] == 1);
    ck_assert(rig_logged(&rig, "does not follow its format"));
    RIG_WAIT(&rig, rig.nodes[0].up[TRANSPORT_RAFT][2] == 2); /* it is dialled again */
    ck_assert_uint_eq(rig.nodes[0].down[TRANSPORT_RPC][2], 0);
}
END_TEST

/* ---- The caller acts inside of callbacks. */

static void on_node_closed(void *data)
{
    struct rig_node *node = data;

    node->closed = true;
}

static void close_inside(struct rig_node *node)
{
    transport_close(node->transport, on_node_closed, node);
    node->transport = NULL;
}

static void remove_inside(struct rig_node *node)
{
    transport_peer_remove(node->transport, 3 - node->id);
}

static void move_inside(struct rig_node *node)
{
    ck_assert_int_eq(transport_peer_set(node->transport, 3 - node->id,
                                        rig_name((unsigned)(2 - node->id)), "127.0.0.2", 1),
                     QH_OK);
}

static void (*const hooks[])(struct rig_node *node) = {close_inside, remove_inside, move_inside};
#define HOOKS 3

/* Everything that can happen between two nodes happens; all that is asked is
 * that it ends well. _i: which node, event and act. */
START_TEST(a_callback_may_close_remove_or_move)
{
    struct rig_node *node = &rig.nodes[_i % 2];
    struct rig_node *other = &rig.nodes[1 - _i % 2];

    rig_start(&rig, 1);
    node->hook_event = (enum rig_event)(RIG_CHECK + _i / 2 % 6);
    node->hook = hooks[_i / 2 / 6];
    rig_introduce(&rig, 0, 1);
    rig_introduce(&rig, 1, 0);
    while (node->hook_event != RIG_NONE) {
        uint32_t number = 1;
        struct bytes body = {.base = (uint8_t *)&number, .size = sizeof number};

        (void)uv_run(&rig.loop, UV_RUN_ONCE);
        if (transport_connected(other->transport, TRANSPORT_RPC, node->id) &&
            transport_connected(other->transport, TRANSPORT_RAFT, node->id) &&
            transport_send(other->transport, TRANSPORT_RPC, node->id, body, NULL, 0, NULL, NULL) ==
                QH_OK &&
            (node->hook_event == RIG_DOWN || node->hook_event == RIG_IN_DOWN)) {
            transport_peer_remove(other->transport, node->id);
        }
    }
    for (unsigned i = 0; i < 20; i++) {
        (void)uv_run(&rig.loop, UV_RUN_ONCE);
    }
    if (node->transport == NULL) {
        RIG_WAIT(&rig, node->closed);
    }
}
END_TEST

static void open_alone(void)
{
    memset(calls, 0, sizeof calls);
    rig_open(&rig);
    rig_start(&rig, 0);
}

START_TEST(a_transport_closes_before_it_ever_connected)
{
    ck_assert_int_eq(transport_peer_set(rig.nodes[0].transport, 2, "beta", "127.0.0.1", 1), QH_OK);
    rig_stop(&rig, 0);
    rig_start(&rig, 0);
    ck_assert_int_eq(transport_peer_set(rig.nodes[0].transport, 2, "beta", "127.0.0.1", 1), QH_OK);
    (void)uv_run(&rig.loop, UV_RUN_NOWAIT); /* the attempt has begun */
    rig_stop(&rig, 0);
}
END_TEST

START_TEST(a_transport_that_is_closing_takes_no_peer)
{
    struct transport *transport = rig.nodes[0].transport;

    transport_close(transport, NULL, NULL);
    ck_assert_int_eq(transport_peer_set(transport, 2, "beta", "127.0.0.1", 1), QH_ECANCELED);
    rig.nodes[0].transport = NULL;
}
END_TEST

START_TEST(sixteen_peers_are_kept_and_no_more)
{
    struct transport *transport = rig.nodes[0].transport;

    for (uint64_t id = 100; id < 100 + NODES_MAX; id++) {
        ck_assert_int_eq(transport_peer_set(transport, id, "node", "127.0.0.1", 1), QH_OK);
    }
    ck_assert_int_eq(transport_peer_set(transport, 99, "node", "127.0.0.1", 1), QH_ELIMIT);
    ck_assert_int_eq(transport_peer_set(transport, 100, "node", "127.0.0.1", 2), QH_OK);
    transport_peer_remove(transport, 107);
    transport_peer_remove(transport, 107);
    ck_assert_int_eq(transport_peer_set(transport, 99, "node", "127.0.0.1", 1), QH_OK);
}
END_TEST

START_TEST(a_peer_without_id_name_host_or_port_is_refused)
{
    struct transport *transport = rig.nodes[0].transport;
    char host[PEERS_HOST_ROOM + 1];

    memset(host, 'h', sizeof host);
    host[PEERS_HOST_ROOM] = '\0';
    ck_assert_int_eq(transport_peer_set(transport, 0, "beta", "127.0.0.1", 1), QH_EINVAL);
    ck_assert_int_eq(transport_peer_set(transport, 2, "", "127.0.0.1", 1), QH_EINVAL);
    ck_assert_int_eq(transport_peer_set(transport, 2, "be ta", "127.0.0.1", 1), QH_EINVAL);
    ck_assert_int_eq(transport_peer_set(transport, 2, "beta", "", 1), QH_EINVAL);
    ck_assert_int_eq(transport_peer_set(transport, 2, "beta", host, 1), QH_EINVAL);
    ck_assert_int_eq(transport_peer_set(transport, 2, "beta", host + 1, 1), QH_OK);
    ck_assert_int_eq(transport_peer_set(transport, 2, "beta", "127.0.0.1", 0), QH_EINVAL);
}
END_TEST

START_TEST(the_configuration_is_checked)
{
    struct transport_config config = rig_config(&rig, 1);
    const struct transport_callbacks callbacks = {0};
    struct transport *transport = NULL;

    config.retry_ms = 9;
    ck_assert_int_eq(transport_new(&rig.loop, &config, callbacks, &transport), QH_EINVAL);
    config.retry_ms = 60001;
    ck_assert_int_eq(transport_new(&rig.loop, &config, callbacks, &transport), QH_EINVAL);
    config.retry_ms = 10;
    config.source = "localhost"; /* a name is no source: it could mean several */
    ck_assert_int_eq(transport_new(&rig.loop, &config, callbacks, &transport), QH_EINVAL);
    config.source = "127.0.0.9";
    config.tls.key_file = "/nonexistent";
    ck_assert_int_eq(transport_new(&rig.loop, &config, callbacks, &transport), QH_ETLS);
    ck_assert(rig_logged(&rig, "/nonexistent"));
    ck_assert_ptr_null(transport);
}
END_TEST

START_TEST(a_port_in_use_is_told)
{
    struct transport_config config = rig_config(&rig, 1);
    const struct transport_callbacks callbacks = {0};
    struct transport *transport = NULL;

    config.listen_port = transport_port(rig.nodes[0].transport);
    ck_assert_int_eq(transport_new(&rig.loop, &config, callbacks, &transport), QH_OK);
    ck_assert_int_eq(transport_listen(transport), QH_EEXIST);
    ck_assert(rig_logged(&rig, "cannot listen"));
    transport_close(transport, NULL, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *tcase = tcase_create("pair");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, open_pair, close_rig);
    tcase_add_test(tcase, frames_arrive_on_both_channels_with_the_name_of_their_sender);
    tcase_add_test(tcase, each_side_hears_the_hello_of_the_other);
    tcase_add_test(tcase, three_nodes_are_all_connected_with_each_other);
    tcase_add_test(tcase, frames_of_all_sizes_keep_their_order);
    tcase_add_test(tcase, a_frame_is_handed_to_the_kernel_before_send_returns);
    tcase_add_test(tcase, the_callback_comes_once_and_later);
    tcase_add_test(tcase, callbacks_that_send_do_not_hold_up_the_loop);
    tcase_add_test(tcase, the_key_changes_after_so_many_records);
    tcase_add_test(tcase, both_ends_notice_a_host_that_vanished);
    tcase_add_test(tcase, the_loop_sleeps_when_no_callback_is_due);
    tcase_add_test(tcase, a_large_frame_needs_little_memory_at_the_sender);
    tcase_add_test(tcase, a_paused_receiver_fills_the_senders_queue_and_nothing_is_lost);
    tcase_add_test(tcase, what_is_queued_fails_once_when_the_connection_is_lost);
    tcase_add_test(tcase, closing_cancels_what_is_queued_before_it_says_closed);
    tcase_add_test(tcase, a_frame_to_nobody_is_refused);
    tcase_add_test(tcase, the_largest_rpc_frame_passes_and_a_larger_one_does_not);
    tcase_add_test(tcase, the_largest_raft_frame_is_counted_over_all_pieces);
    tcase_add_test(tcase, an_error_of_the_frame_callback_closes_the_connection);
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("alone");
    tcase_add_checked_fixture(tcase, open_alone, close_rig);
    tcase_add_loop_test(tcase, a_callback_may_close_remove_or_move, 0, 2 * 6 * HOOKS);
    tcase_add_test(tcase, a_transport_closes_before_it_ever_connected);
    tcase_add_test(tcase, a_transport_that_is_closing_takes_no_peer);
    tcase_add_test(tcase, sixteen_peers_are_kept_and_no_more);
    tcase_add_test(tcase, a_peer_without_id_name_host_or_port_is_refused);
    tcase_add_test(tcase, the_configuration_is_checked);
    tcase_add_test(tcase, a_port_in_use_is_told);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
