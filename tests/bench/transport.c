/* transport [ROUNDS]: the time of a round trip between two processes over loopback: a frame of 600
 * bytes there and one back, over the transport (mutual TLS 1.3) and over bare blocking TCP
 * in the same run; and how fast a large frame goes. For the eye, not for a verdict. */
#include "raft-glue/transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/lib/certs.h"
#include "tests/lib/test.h"

#define FRAME_SIZE 600u
#define WARM_UP 1000u
#define ROUNDS_DEFAULT 20000u
#define LARGE_PIECES 256u
#define LARGE_PIECE_SIZE (1u << 20)

struct node {
    uv_loop_t loop;
    struct transport *transport;
    uint64_t id; /* 1 asks, 2 answers */
    uint8_t frame[FRAME_SIZE];
    unsigned round, rounds;
    uint64_t start_ns;
    uint64_t *times_ns;
    bool large;
};

static int compare_times(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static void print_times(const char *what, uint64_t *times_ns, unsigned count)
{
    qsort(times_ns, count, sizeof *times_ns, compare_times);
    (void)printf("%-22s round trips %u  p50 %.1f us  p99 %.1f us  max %.1f us\n", what, count,
                 (double)times_ns[count / 2] / 1e3, (double)times_ns[count / 100 * 99] / 1e3,
                 (double)times_ns[count - 1] / 1e3);
    (void)fflush(stdout);
}

/* ---- The transport. */

static const char *name_of(uint64_t id)
{
    return id == 1 ? "alpha" : "beta";
}

static void send_frame(struct node *node)
{
    enum qh_err err = transport_send(node->transport, TRANSPORT_RAFT, 3 - node->id,
                                     (struct bytes){.base = node->frame, .size = FRAME_SIZE}, NULL,
                                     0, NULL, NULL);

    QH_ASSERT(err == QH_OK);
}

static void on_hello(void *data, struct transport_hello *ret_hello)
{
    const struct node *node = data;

    *ret_hello = (struct transport_hello){.id = node->id, .generation = 1};
    (void)snprintf(ret_hello->name, sizeof ret_hello->name, "%s", name_of(node->id));
}

static enum qh_err on_check(void *data, const struct transport_hello *hello)
{
    (void)data;
    (void)hello;
    return QH_OK;
}

static void on_large_sent(void *data, enum qh_err status)
{
    (void)data;
    QH_ASSERT(status == QH_OK);
}

static void send_large(struct node *node)
{
    static uint8_t piece[LARGE_PIECE_SIZE];
    static struct bytes pieces[LARGE_PIECES];
    enum qh_err err;

    for (unsigned i = 0; i < LARGE_PIECES; i++) {
        pieces[i] = (struct bytes){.base = piece, .size = sizeof piece};
    }
    node->large = true;
    node->start_ns = clock_monotonic_ns();
    err = transport_send(node->transport, TRANSPORT_RAFT, 2, (struct bytes){0}, pieces,
                         LARGE_PIECES, on_large_sent, NULL);
    QH_ASSERT(err == QH_OK);
}

static void count_round(struct node *node)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (node->large) {
        (void)printf("%-22s %u MiB in one frame: %.0f MiB/s\n", "transport", LARGE_PIECES,
                     LARGE_PIECES / ((double)(now_ns - node->start_ns) / 1e9));
        uv_stop(&node->loop);
        return;
    }
    if (node->round >= WARM_UP) {
        node->times_ns[node->round - WARM_UP] = now_ns - node->start_ns;
    }
    node->round++;
    if (node->round == WARM_UP + node->rounds) {
        send_large(node);
        return;
    }
    node->start_ns = clock_monotonic_ns();
    send_frame(node);
}

static enum qh_err on_frame(void *data, enum transport_channel channel, uint64_t peer,
                            const char *name, struct bytes body)
{
    struct node *node = data;

    (void)channel;
    (void)peer;
    (void)name;
    (void)body;
    if (node->id == 1) {
        count_round(node);
    } else {
        send_frame(node);
    }
    return QH_OK;
}

static void begin_if_ready(struct node *node)
{
    if (node->id == 1 && node->round == 0 && node->start_ns == 0 &&
        transport_connected(node->transport, TRANSPORT_RAFT, 2) &&
        transport_peer_present(node->transport, 2)) {
        node->start_ns = clock_monotonic_ns();
        send_frame(node);
    }
}

static void on_outbound(void *data, enum transport_channel channel, uint64_t peer, bool up)
{
    (void)channel;
    (void)peer;
    QH_ASSERT(up);
    begin_if_ready(data);
}

static void on_inbound(void *data, enum transport_channel channel, uint64_t peer, bool up,
                       bool gone)
{
    (void)channel;
    (void)peer;
    (void)gone;
    if (up) {
        begin_if_ready(data);
    }
}

static void open_node(struct node *node, const char *dir)
{
    char ca[512], certificate[512], key[512];
    const struct transport_config config = {
        .listen_host = "127.0.0.1",
        .tls = {.ca_file = ca, .cert_file = certificate, .key_file = key},
        .retry_ms = 20,
    };
    const struct transport_callbacks callbacks = {.data = node,
                                                  .hello = on_hello,
                                                  .check = on_check,
                                                  .frame = on_frame,
                                                  .outbound = on_outbound,
                                                  .inbound = on_inbound};
    enum qh_err err;

    certs_path(ca, sizeof ca, dir, "ca", "crt");
    certs_path(certificate, sizeof certificate, dir, name_of(node->id), "crt");
    certs_path(key, sizeof key, dir, name_of(node->id), "key");
    QH_ASSERT(uv_loop_init(&node->loop) == 0);
    err = transport_new(&node->loop, &config, callbacks, &node->transport);
    QH_ASSERT(err == QH_OK);
    err = transport_listen(node->transport);
    QH_ASSERT(err == QH_OK);
}

/* Tell the other process our port over @fd, hear its own, and run. */
static void run_node(struct node *node, const char *dir, int fd)
{
    uint16_t port, other;
    enum qh_err err;

    open_node(node, dir);
    port = transport_port(node->transport);
    QH_ASSERT(write(fd, &port, sizeof port) == sizeof port);
    QH_ASSERT(read(fd, &other, sizeof other) == sizeof other);
    err = transport_peer_set(node->transport, 3 - node->id, name_of(3 - node->id), "127.0.0.1",
                             other);
    QH_ASSERT(err == QH_OK);
    (void)uv_run(&node->loop, UV_RUN_DEFAULT);
}

static pid_t fork_other(int fds[2])
{
    pid_t pid;

    QH_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    pid = fork();
    QH_ASSERT(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return pid;
}

static void end_other(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void measure_transport(unsigned rounds, uint64_t *times_ns)
{
    static struct node node;
    char dir[256];
    int fds[2];
    pid_t pid;

    test_make_dir(dir, sizeof dir);
    certs_make_ca(dir);
    certs_make_node(dir, "alpha");
    certs_make_node(dir, "beta");
    pid = fork_other(fds);
    node.id = pid == 0 ? 2 : 1;
    node.rounds = rounds;
    node.times_ns = times_ns;
    run_node(&node, dir, fds[pid == 0]);
    end_other(pid);
    test_remove_dir(dir);
    print_times("transport, TLS 1.3", times_ns, rounds);
}

/* ---- Bare TCP. */

static void pass(int fd, bool sending)
{
    uint8_t frame[FRAME_SIZE] = {0};

    for (size_t done = 0; done < sizeof frame;) {
        ssize_t size = sending ? send(fd, frame + done, sizeof frame - done, MSG_NOSIGNAL)
                               : recv(fd, frame + done, sizeof frame - done, 0);

        QH_ASSERT(size > 0);
        done += (size_t)size;
    }
}

static void measure_tcp(unsigned rounds, uint64_t *times_ns)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fds[2], fd, on = 1;
    pid_t pid;

    QH_ASSERT(bind(listener, (struct sockaddr *)&address, size) == 0);
    QH_ASSERT(listen(listener, 1) == 0);
    QH_ASSERT(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    pid = fork_other(fds);
    if (pid == 0) {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        QH_ASSERT(connect(fd, (struct sockaddr *)&address, size) == 0);
    } else {
        fd = accept(listener, NULL, NULL);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (pid == 0) {
        pass(fd, false);
        pass(fd, true);
    }
    for (unsigned i = 0; i < rounds + WARM_UP; i++) {
        uint64_t start_ns = clock_monotonic_ns();

        pass(fd, true);
        pass(fd, false);
        if (i >= WARM_UP) {
            times_ns[i - WARM_UP] = clock_monotonic_ns() - start_ns;
        }
    }
    end_other(pid);
    (void)close(fd);
    print_times("bare TCP, blocking", times_ns, rounds);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    uint64_t *times_ns;

    if (rounds < 100 || rounds > 10000000) {
        (void)fprintf(stderr, "usage: transport [ROUNDS]\n");
        return EXIT_FAILURE;
    }
    times_ns = calloc(rounds, sizeof *times_ns);
    QH_ASSERT(times_ns != NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_level(LOG_LEVEL_WARNING);
    measure_tcp(rounds, times_ns);
    measure_transport(rounds, times_ns);
    free(times_ns);
    return EXIT_SUCCESS;
}
