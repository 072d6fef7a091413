/* Three members of etcd on this machine. The scripts never install it: it is compared with
 * where it is there already. */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS 30000.0
#define ARGUMENT_SIZE 512u

bool etcd_is_installed(void)
{
    return access("/usr/bin/etcd", X_OK) == 0;
}

static void start_member(struct etcd *etcd, unsigned index, const unsigned peer_ports[BENCH_NODES],
                         const char *dir)
{
    char name[16];
    char data[ARGUMENT_SIZE];
    char log[ARGUMENT_SIZE];
    char peer_url[64];
    char client_url[64];
    char cluster[ARGUMENT_SIZE];
    const char *argv[] = {
        "/usr/bin/etcd",
        "--name",
        name,
        "--data-dir",
        data,
        "--peer-auto-tls", /* TLS between the members, with certificates of its own */
        "--listen-peer-urls",
        peer_url,
        "--initial-advertise-peer-urls",
        peer_url,
        "--listen-client-urls",
        client_url,
        "--advertise-client-urls",
        client_url,
        "--initial-cluster",
        cluster,
        "--heartbeat-interval",
        "50",
        "--election-timeout",
        "500",
        NULL};

    (void)snprintf(name, sizeof name, "e%u", index);
    (void)snprintf(data, sizeof data, "%s/etcd/%s", dir, name);
    (void)snprintf(log, sizeof log, "%s/etcd/%s.log", dir, name);
    (void)snprintf(peer_url, sizeof peer_url, "https://127.0.0.1:%u", peer_ports[index]);
    (void)snprintf(client_url, sizeof client_url, "http://127.0.0.1:%u", etcd->client_ports[index]);
    (void)snprintf(cluster, sizeof cluster,
                   "e0=https://127.0.0.1:%u,e1=https://127.0.0.1:%u,e2=https://127.0.0.1:%u",
                   peer_ports[0], peer_ports[1], peer_ports[2]);
    etcd->pids[index] = process_spawn(argv, log);
}

/* Does a member's /metrics say "@name 1"? False also if it does not answer. */
static bool metric_is_one(unsigned port, const char *name)
{
    static const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
    static char answer[1 << 20];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char pattern[64];
    size_t size = 0;
    ssize_t count;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
        while (size < sizeof answer - 1 &&
               (count = recv(fd, answer + size, sizeof answer - 1 - size, 0)) > 0) {
            size += (size_t)count;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    answer[size] = '\0';
    (void)snprintf(pattern, sizeof pattern, "\n%s 1\n", name);
    return strstr(answer, pattern) != NULL;
}

static unsigned wait_leader(const struct etcd *etcd)
{
    double end_ms = process_now_ms() + START_MS;

    while (process_now_ms() < end_ms) {
        unsigned leader = BENCH_NODES;
        unsigned following = 0;

        for (unsigned i = 0; i < BENCH_NODES; i++) {
            following += metric_is_one(etcd->client_ports[i], "etcd_server_has_leader");
            if (metric_is_one(etcd->client_ports[i], "etcd_server_is_leader")) {
                leader = i;
            }
        }
        if (following == BENCH_NODES && leader < BENCH_NODES) {
            return leader;
        }
        process_sleep_ms(100);
    }
    process_die("etcd has no leader");
}

void etcd_start(struct etcd *etcd, const char *dir)
{
    unsigned peer_ports[BENCH_NODES];
    char path[BENCH_PATH_SIZE];

    if (snprintf(path, sizeof path, "%s/etcd", dir) >= (int)sizeof path || mkdir(path, 0700) != 0) {
        process_die("cannot make %s/etcd", dir);
    }
    for (unsigned i = 0; i < BENCH_NODES; i++) {
        peer_ports[i] = process_free_port();
        etcd->client_ports[i] = process_free_port();
    }
    for (unsigned i = 0; i < BENCH_NODES; i++) {
        start_member(etcd, i, peer_ports, dir);
    }
    (void)wait_leader(etcd);
}

void etcd_stop(struct etcd *etcd)
{
    for (unsigned i = 0; i < BENCH_NODES; i++) {
        process_kill(&etcd->pids[i]);
    }
}

void etcd_load(struct etcd *etcd, unsigned seconds, unsigned outstanding,
               struct load_figures *ret_figures)
{
    unsigned leader = wait_leader(etcd);

    grpc_load_puts(etcd->client_ports[leader], seconds, outstanding, ret_figures);
}
