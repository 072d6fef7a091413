/* Processes and addresses of the drill. */
#include "tests/drill/stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/torture/process.h"

#define FIRST_PORT 7600u
#define PORT_STEP 10u
#define PORT_TRIES 100u
#define STOP_TIMEOUT_MS 20000u
#define PROXY_TIMEOUT_MS 5000u
#define TURN_MS 5
#define LISTENS 9u /* nine ports: a witness has no client port */
#define SOCKET_NAME_LENGTH_MAX 16u
#define LOG_SIZE_SHOWN 3000u

static const struct stage_node places[STAGE_NODES] = {
    {.name = "east-1", .region = "east", .host = "127.0.1.1", .advertised = "127.0.11.1"},
    {.name = "east-2", .region = "east", .host = "127.0.1.2", .advertised = "127.0.11.2"},
    {.name = "west-1", .region = "west", .host = "127.0.2.1", .advertised = "127.0.12.1"},
    {.name = "west-2", .region = "west", .host = "127.0.2.2", .advertised = "127.0.12.2"},
    {.name = "north-1",
     .region = "north",
     .host = "127.0.3.1",
     .advertised = "127.0.13.1",
     .witness = true},
};

/* ---- Ports. */

static bool port_is_free(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    bool is_free;

    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        abort();
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return is_free;
}

static bool ports_are_free(unsigned port)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        for (unsigned k = 0; k < 2; k++) {
            if (!port_is_free(places[i].host, (uint16_t)(port + k)) ||
                !port_is_free(places[i].advertised, (uint16_t)(port + k))) {
                return false;
            }
        }
    }
    return true;
}

static bool choose_ports(struct stage *stage)
{
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        unsigned port = FIRST_PORT + i * PORT_STEP;

        if (ports_are_free(port)) {
            stage->client_port = (uint16_t)port;
            stage->peer_port = (uint16_t)(port + 1);
            return true;
        }
    }
    (void)fprintf(stderr, "no ports are free on the loopback addresses\n");
    return false;
}

/* ---- Files. */

static bool make_dir(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return false;
    }
    return true;
}

static bool write_config(const struct stage *stage, const struct stage_node *node)
{
    FILE *file = fopen(node->config, "we");
    bool written;

    if (file == NULL) {
        (void)fprintf(stderr, "%s: %s\n", node->config, strerror(errno));
        return false;
    }
    (void)fprintf(file, "node: %s\nregion: %s\nrole: %s\ndata: %s\ncontrol: %s\ntiming: %s\n",
                  node->name, node->region, node->witness ? "witness" : "hsm", node->data,
                  node->control, stage->options.cross_region ? "cross-region" : "region");
    if (!node->witness) {
        (void)fprintf(file, "client:\n  listen: %s:%u\n  advertise: %s:%u\n", node->host,
                      stage->client_port, node->advertised, stage->client_port);
        (void)fprintf(file, "unlock:\n  method: file\n  file: %s/unlock.key\n", node->dir);
    }
    (void)fprintf(file, "peer:\n  listen: %s:%u\n  advertise: %s:%u\n  source: %s\n", node->host,
                  stage->peer_port, node->advertised, stage->peer_port, node->host);
    written = ferror(file) == 0;
    return fclose(file) == 0 && written;
}

static bool place_node(struct stage *stage, unsigned index)
{
    struct stage_node *node = &stage->nodes[index];

    *node = places[index];
    node->dir = process_format("%s/%s", stage->options.dir, node->name);
    node->data = process_format("%s/data", node->dir);
    node->config = process_format("%s/node.yaml", node->dir);
    node->log = process_format("%s/log", node->dir);
    node->control = process_format("%s/%s.sock", stage->sockets, node->name);
    return make_dir(node->dir) && write_config(stage, node);
}

/* For scripts/chaos, which source it. */
static bool write_stage(const struct stage *stage)
{
    char *path = process_format("%s/stage", stage->options.dir);
    FILE *file = fopen(path, "we");
    bool written = file != NULL && fprintf(file, "daemon=%s\nproxy=%s\nproxy_control=%s\n",
                                           stage->daemon, stage->proxy, stage->proxy_control) > 0;

    if (file != NULL && fclose(file) != 0) {
        written = false;
    }
    free(path);
    return written;
}

static bool place_sockets(struct stage *stage)
{
    if (strlen(stage->options.dir) + SOCKET_NAME_LENGTH_MAX <
        sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        stage->sockets = process_format("%s", stage->options.dir);
        return true;
    }
    stage->sockets = process_format("/tmp/quadhsm-drill-XXXXXX");
    return mkdtemp(stage->sockets) != NULL;
}

/* ---- The proxy. */

static unsigned add_listen(char **argv, unsigned count, const struct stage_node *node,
                           uint16_t port)
{
    static char listen[] = "--listen";

    argv[count++] = listen;
    argv[count++] =
        process_format("%s:%u=%s:%u@%s", node->advertised, port, node->host, port, node->region);
    return count;
}

static bool wait_for_proxy(struct stage *stage)
{
    uint64_t end_ms = clock_monotonic_ms() + PROXY_TIMEOUT_MS;

    while (access(stage->proxy_control, F_OK) != 0) {
        if (clock_monotonic_ms() > end_ms || waitpid(stage->proxy_pid, NULL, WNOHANG) != 0) {
            (void)fprintf(stderr, "the delay proxy did not start: see %s\n", stage->proxy_log);
            return false;
        }
        (void)poll(NULL, 0, TURN_MS);
    }
    return stage_proxy_command(stage, "stats", NULL);
}

static bool start_proxy(struct stage *stage)
{
    static char region[] = "--region", delay[] = "--delay", control[] = "--control";
    static char east[] = "east=127.0.1.0/24,127.0.0.1", west[] = "west=127.0.2.0/24",
                north[] = "north=127.0.3.0/24";
    char *argv[18 + 2 * LISTENS] = {stage->proxy, region, east, region, west, region, north};
    unsigned count = 7, first_owned = count;
    const unsigned far = stage->options.east_west_ms, third = stage->options.witness_ms;

    for (unsigned i = 0; i < STAGE_NODES; i++) {
        count = add_listen(argv, count, &stage->nodes[i], stage->peer_port);
        if (!stage->nodes[i].witness) {
            count = add_listen(argv, count, &stage->nodes[i], stage->client_port);
        }
    }
    argv[count++] = delay;
    argv[count++] = process_format("east:west=%u", far);
    argv[count++] = delay;
    argv[count++] = process_format("east:north=%u", third);
    argv[count++] = delay;
    argv[count++] = process_format("west:north=%u", third);
    argv[count] = control;
    argv[count + 1] = stage->proxy_control;
    stage->proxy_pid = process_spawn(argv, stage->proxy_log);
    /* Every other word is ours. */
    for (unsigned i = first_owned + 1; i < count; i += 2) {
        free(argv[i]);
    }
    return wait_for_proxy(stage);
}

/* ---- Life. */

/* Without "..", for they are shown. */
static bool find_program(const char *folder, const char *name, char **ret_path)
{
    char *path = process_path(folder, name);

    *ret_path = realpath(path, NULL);
    if (*ret_path == NULL) {
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
    free(path);
    return *ret_path != NULL;
}

static bool find_programs(struct stage *stage)
{
    return find_program("..", "quadhsmd", &stage->daemon) &&
           find_program("..", "quadhsm", &stage->command) &&
           find_program("../.libs", "libquadhsm-pkcs11.so", &stage->module) &&
           find_program("", "qh-delay", &stage->proxy);
}

bool stage_open(struct stage *stage, const struct stage_options *options)
{
    *stage = (struct stage){.options = *options};
    if (!find_programs(stage) || !choose_ports(stage) || !place_sockets(stage)) {
        return false;
    }
    stage->proxy_control = process_format("%s/delay.sock", stage->sockets);
    stage->proxy_log = process_format("%s/delay.log", stage->options.dir);
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        if (!place_node(stage, i)) {
            return false;
        }
    }
    return write_stage(stage) && start_proxy(stage);
}

static void end_process(pid_t pid)
{
    int status;

    if (pid > 0 && kill(pid, SIGKILL) == 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
}

void stage_close(struct stage *stage)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        struct stage_node *node = &stage->nodes[i];

        stage_kill(node);
        free(node->dir);
        free(node->data);
        free(node->config);
        free(node->control);
        free(node->log);
    }
    end_process(stage->proxy_pid);
    if (stage->sockets != NULL && strcmp(stage->sockets, stage->options.dir) != 0) {
        process_remove_tree(stage->sockets);
    }
    free(stage->sockets);
    free(stage->proxy_control);
    free(stage->proxy_log);
    free(stage->daemon);
    free(stage->command);
    free(stage->module);
    free(stage->proxy);
}

/* ---- Nodes. */

void stage_start(struct stage *stage, struct stage_node *node)
{
    char option[] = "--config";

    node->pid = process_spawn((char *[]){stage->daemon, option, node->config, NULL}, node->log);
    node->run = STAGE_RUNNING;
    node->status = (struct stage_status){0};
}

void stage_kill(struct stage_node *node)
{
    if (node->run != STAGE_DOWN) {
        end_process(node->pid);
        node->run = STAGE_DOWN;
    }
}

void stage_freeze(struct stage_node *node)
{
    if (node->run == STAGE_RUNNING && kill(node->pid, SIGSTOP) == 0) {
        node->run = STAGE_FROZEN;
    }
}

void stage_thaw(struct stage_node *node)
{
    if (node->run == STAGE_FROZEN && kill(node->pid, SIGCONT) == 0) {
        node->run = STAGE_RUNNING;
    }
}

/* Returns whether it ended, and how. */
static bool try_reap(struct stage_node *node, int *ret_status)
{
    if (node->run == STAGE_DOWN || waitpid(node->pid, ret_status, WNOHANG) != node->pid) {
        return false;
    }
    node->run = STAGE_DOWN;
    return true;
}

void stage_reap(struct stage *stage)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        int status;
        char how[64];

        if (try_reap(&stage->nodes[i], &status)) {
            process_describe(status, how, sizeof how);
            (void)fprintf(stderr, "%s ended by itself: %s; see %s\n", stage->nodes[i].name, how,
                          stage->nodes[i].log);
            stage->ended++;
        }
    }
}

static bool stop_one(struct stage_node *node, uint64_t end_ms)
{
    int status;
    char how[64];

    while (!try_reap(node, &status)) {
        if (clock_monotonic_ms() > end_ms) {
            (void)fprintf(stderr, "%s does not stop; it is killed\n", node->name);
            stage_kill(node);
            return false;
        }
        (void)poll(NULL, 0, TURN_MS);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        process_describe(status, how, sizeof how);
        (void)fprintf(stderr, "%s did not stop well: %s; see %s\n", node->name, how, node->log);
        return false;
    }
    return true;
}

bool stage_stop_all(struct stage *stage)
{
    uint64_t end_ms = clock_monotonic_ms() + STOP_TIMEOUT_MS;
    bool well = true;

    stage_reap(stage);
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        stage_thaw(&stage->nodes[i]);
        if (stage->nodes[i].run == STAGE_RUNNING) {
            (void)kill(stage->nodes[i].pid, SIGTERM);
        }
    }
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        if (stage->nodes[i].run == STAGE_RUNNING && !stop_one(&stage->nodes[i], end_ms)) {
            well = false;
        }
    }
    return well;
}

void stage_start_all(struct stage *stage)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        if (stage->nodes[i].run == STAGE_DOWN) {
            stage_start(stage, &stage->nodes[i]);
        }
    }
}

/* ---- Logs. */

static void print_log(const struct stage_node *node)
{
    FILE *file = node->log == NULL ? NULL : fopen(node->log, "re");
    char line[512];

    if (file == NULL) {
        return;
    }
    (void)printf("---- the end of %s\n", node->log);
    /* The first line is then most of one, or the log is shorter than that. */
    if (fseek(file, -(long)LOG_SIZE_SHOWN, SEEK_END) != 0) {
        rewind(file);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        (void)fputs(line, stdout);
    }
    (void)fclose(file);
}

void stage_print_logs(const struct stage *stage)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        print_log(&stage->nodes[i]);
    }
}
