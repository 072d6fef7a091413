/* Transports on one loop, and what they were told. */
#include "tests/lib/rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

const char *rig_name(unsigned node)
{
    static const char *const names[RIG_NODES] = {"alpha", "beta", "gamma"};

    return names[node];
}

static void on_line(void *data, enum log_level level, const char *line)
{
    struct rig *rig = data;
    size_t room = sizeof rig->log - rig->log_size;
    int length = snprintf(rig->log + rig->log_size, room, "%d %s\n", (int)level, line);

    if (length > 0 && (size_t)length < room) {
        rig->log_size += (size_t)length;
    }
}

unsigned rig_logged_count(const struct rig *rig, const char *text)
{
    unsigned count = 0;

    for (const char *at = strstr(rig->log, text); at != NULL; at = strstr(at + 1, text)) {
        count++;
    }
    return count;
}

bool rig_logged(const struct rig *rig, const char *text)
{
    return rig_logged_count(rig, text) > 0;
}

/* ---- Waiting. */

static void on_tick(uv_timer_t *timer)
{
    (void)timer; /* wakes the loop, so that conditions are looked at */
}

void rig_wait_begin(struct rig *rig)
{
    rig->deadline_ms = clock_monotonic_ms() + RIG_PATIENCE_MS;
}

void rig_turn(struct rig *rig, const char *condition, const char *file, int line)
{
    if (clock_monotonic_ms() > rig->deadline_ms) {
        ck_abort_msg("%s:%d: never came: %s\nlog:\n%s", file, line, condition, rig->log);
    }
    (void)uv_run(&rig->loop, UV_RUN_ONCE);
}

/* ---- Callbacks. */

static void run_hook(struct rig_node *node, enum rig_event event)
{
    if (node->hook_event == event) {
        node->hook_event = RIG_NONE;
        node->hook(node);
    }
}

static void node_hello(void *data, struct transport_hello *ret_hello)
{
    const struct rig_node *node = data;

    *ret_hello = node->hello;
}

static enum qh_err node_check(void *data, const struct transport_hello *hello)
{
    struct rig_node *node = data;

    node->heard = *hello;
    node->checks++;
    run_hook(node, RIG_CHECK);
    return node->check_answer;
}

static enum qh_err node_frame(void *data, enum transport_channel channel, uint64_t peer,
                              const char *name, struct bytes body)
{
    struct rig_node *node = data;
    uint32_t number = 0;

    ck_assert_str_eq(name, rig_name((unsigned)peer - 1));
    memcpy(&number, body.base, body.size < sizeof number ? body.size : sizeof number);
    if (node->frames[channel] > 0 && number != node->last_u32[channel] + 1) {
        node->disordered = true;
    }
    node->last_u32[channel] = number;
    node->frames[channel]++;
    node->frame_bytes += body.size;
    node->sum = 0;
    for (size_t i = 0; i < body.size; i++) {
        node->sum += body.base[i];
    }
    run_hook(node, RIG_FRAME);
    return node->frame_answer;
}

static void node_outbound(void *data, enum transport_channel channel, uint64_t peer, bool up)
{
    struct rig_node *node = data;

    if (up) {
        node->up[channel][peer]++;
    } else {
        node->down[channel][peer]++;
    }
    run_hook(node, up ? RIG_UP : RIG_DOWN);
}

static void node_inbound(void *data, enum transport_channel channel, uint64_t peer, bool up,
                         bool gone)
{
    struct rig_node *node = data;

    if (up) {
        ck_assert(!gone);
        node->in_up[channel][peer]++;
    } else {
        node->in_down[channel][peer]++;
        node->gone[channel][peer] += gone;
    }
    run_hook(node, up ? RIG_IN_UP : RIG_IN_DOWN);
}

/* ---- Nodes. */

static void open_loop(struct rig *rig)
{
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_sink(on_line, rig);
    ck_assert_int_eq(uv_loop_init(&rig->loop), 0);
    ck_assert_int_eq(uv_timer_init(&rig->loop, &rig->tick), 0);
    ck_assert_int_eq(uv_timer_start(&rig->tick, on_tick, 5, 5), 0);
    for (unsigned i = 0; i < RIG_NODES; i++) {
        struct rig_node *node = &rig->nodes[i];

        node->rig = rig;
        node->id = i + 1;
        node->hello = (struct transport_hello){
            .cluster = "one and the same",
            .generation = 1,
            .id = i + 1,
            .start_count = 5,
            .nonce = 77 + i,
            .term = 3,
        };
        (void)snprintf(node->hello.name, sizeof node->hello.name, "%s", rig_name(i));
    }
}

void rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    test_make_dir(rig->dir, sizeof rig->dir);
    certs_make_ca(rig->dir);
    for (unsigned i = 0; i < RIG_NODES; i++) {
        certs_make_node(rig->dir, rig_name(i));
    }
    open_loop(rig);
}

void rig_open_child(struct rig *rig, const struct rig *parent)
{
    memset(rig, 0, sizeof *rig);
    memcpy(rig->dir, parent->dir, sizeof rig->dir);
    open_loop(rig);
}

pid_t rig_fork(struct rig *rig, int (*work)(struct rig *rig, void *data), void *data)
{
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close_range(3, ~0u, 0);
        _exit(work(rig, data));
    }
    return pid;
}

bool rig_child_ended(pid_t pid, int *ret_status)
{
    return waitpid(pid, ret_status, WNOHANG) == pid;
}

struct transport_config rig_config(struct rig *rig, unsigned node)
{
    static char paths[RIG_NODES][3][512];

    certs_path(paths[node][0], sizeof paths[node][0], rig->dir, "ca", "crt");
    certs_path(paths[node][1], sizeof paths[node][1], rig->dir, rig_name(node), "crt");
    certs_path(paths[node][2], sizeof paths[node][2], rig->dir, rig_name(node), "key");
    return (struct transport_config){
        .listen_host = "127.0.0.1",
        .tls = {.ca_file = paths[node][0], .cert_file = paths[node][1], .key_file = paths[node][2]},
        .retry_ms = 20,
        .user_timeout_ms = 3000,
    };
}

void rig_start_with(struct rig *rig, unsigned node, const struct transport_config *config)
{
    struct rig_node *at = &rig->nodes[node];
    const struct transport_callbacks callbacks = {
        .data = at,
        .hello = node_hello,
        .check = node_check,
        .frame = node_frame,
        .outbound = node_outbound,
        .inbound = node_inbound,
    };

    at->closed = false;
    ck_assert_int_eq(transport_new(&rig->loop, config, callbacks, &at->transport), QH_OK);
    ck_assert_int_eq(transport_listen(at->transport), QH_OK);
    ck_assert_uint_ne(transport_port(at->transport), 0);
}

void rig_start(struct rig *rig, unsigned node)
{
    struct transport_config config = rig_config(rig, node);

    rig_start_with(rig, node, &config);
}

static void on_node_closed(void *data)
{
    struct rig_node *node = data;

    node->closed = true;
}

void rig_stop(struct rig *rig, unsigned node)
{
    struct rig_node *at = &rig->nodes[node];

    transport_close(at->transport, on_node_closed, at);
    at->transport = NULL;
    ck_assert(!at->closed);
    RIG_WAIT(rig, at->closed);
}

void rig_introduce(struct rig *rig, unsigned from, unsigned to)
{
    ck_assert_int_eq(transport_peer_set(rig->nodes[from].transport, to + 1, rig_name(to),
                                        "127.0.0.1", transport_port(rig->nodes[to].transport)),
                     QH_OK);
}

static bool is_joined(const struct rig *rig, unsigned from, unsigned to)
{
    for (unsigned i = 0; i < TRANSPORT_CHANNELS; i++) {
        const struct rig_node *peer = &rig->nodes[to];

        if (!transport_connected(rig->nodes[from].transport, (enum transport_channel)i, to + 1) ||
            peer->in_up[i][from + 1] == peer->in_down[i][from + 1]) {
            return false;
        }
    }
    return true;
}

void rig_join(struct rig *rig, unsigned left, unsigned right)
{
    rig_introduce(rig, left, right);
    rig_introduce(rig, right, left);
    RIG_WAIT(rig, is_joined(rig, left, right) && is_joined(rig, right, left));
}

void rig_send(struct rig *rig, unsigned from, enum transport_channel channel, unsigned to,
              uint32_t number, size_t size)
{
    uint8_t *body = calloc(1, size);

    ck_assert_ptr_nonnull(body);
    memcpy(body, &number, size < sizeof number ? size : sizeof number);
    ck_assert_int_eq(transport_send(rig->nodes[from].transport, channel, to + 1,
                                    (struct bytes){.base = body, .size = size}, NULL, 0, NULL,
                                    NULL),
                     QH_OK);
    free(body);
}

static void on_tick_closed(uv_handle_t *handle)
{
    (void)handle;
}

void rig_close(struct rig *rig)
{
    for (unsigned i = 0; i < RIG_NODES; i++) {
        if (rig->nodes[i].transport != NULL) {
            rig_stop(rig, i);
        }
    }
    uv_close((uv_handle_t *)&rig->tick, on_tick_closed);
    (void)uv_run(&rig->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&rig->loop), 0);
    test_remove_dir(rig->dir);
    log_set_sink(NULL, NULL);
}
