/* Making, starting and ending the nodes of a cluster. */
#include "tests/torture/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "base/clock.h"
#include "tests/torture/process.h"

/* Below every usual ip_local_port_range: what is chosen here is given to no outgoing
 * connection while its node is down. */
#define PORT_MIN 10000u
#define PORT_MAX 32000u
#define PORT_ATTEMPTS 1000u
#define OUTPUT_SIZE 8192u

static _Noreturn void give_up(const char *what, const char *detail)
{
    (void)fprintf(stderr, "cannot go on: %s: %s\n", what, detail);
    exit(EXIT_FAILURE);
}

static bool port_is_free(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free;

    if (fd < 0) {
        give_up("no socket", strerror(errno));
    }
    is_free = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return is_free;
}

uint16_t cluster_free_port(void)
{
    for (unsigned i = 0; i < PORT_ATTEMPTS; i++) {
        uint16_t port = (uint16_t)(PORT_MIN + randombytes_uniform(PORT_MAX - PORT_MIN));

        if (port_is_free(port)) {
            return port;
        }
    }
    give_up("no free port on", "127.0.0.1");
}

static void make_certificate(const struct cluster *cluster, const char *name)
{
    char *program = process_path("lib", "make-certs");
    char *name_copy = process_format("%s", name);
    char *argv[] = {program, cluster->tls_dir, name_copy, NULL};
    char output[OUTPUT_SIZE];

    if (process_run(argv, output, sizeof output) != 0) {
        give_up("make-certs failed", output);
    }
    free(program);
    free(name_copy);
}

struct cluster_node *cluster_add_node(struct cluster *cluster, const char *name,
                                      const char *tls_dir)
{
    struct cluster_node *node = &cluster->nodes[cluster->count];

    if (cluster->count == CLUSTER_NODES_MAX) {
        give_up("too many nodes", name);
    }
    memset(node, 0, sizeof *node);
    node->cluster = cluster;
    node->fd = -1;
    (void)snprintf(node->name, sizeof node->name, "%s", name);
    node->port = cluster_free_port();
    node->dir = process_format("%s/%s", cluster->dir, name);
    node->log_path = process_format("%s/%s.log", cluster->dir, name);
    node->socket_path = process_format("%s/%s.sock", cluster->dir, name);
    if (strlen(node->socket_path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        give_up("the name is too long for a control socket", node->socket_path);
    }
    if (tls_dir != NULL) {
        node->tls_dir = process_format("%s", tls_dir);
    } else {
        make_certificate(cluster, name);
    }
    cluster->count++;
    return node;
}

void cluster_init(struct cluster *cluster, const char *dir, unsigned count, bool witness)
{
    uint8_t id[CLUSTER_ID_LENGTH / 2];
    char name[16];

    memset(cluster, 0, sizeof *cluster);
    cluster->dir = process_format("%s", dir);
    cluster->tls_dir = process_format("%s/tls", dir);
    cluster->node_program = process_path("", "qh-node");
    randombytes_buf(id, sizeof id);
    (void)sodium_bin2hex(cluster->id, sizeof cluster->id, id, sizeof id);
    if (mkdir(cluster->tls_dir, 0700) != 0 && errno != EEXIST) {
        give_up(cluster->tls_dir, strerror(errno));
    }
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "n%u", i + 1);
        (void)cluster_add_node(cluster, name, NULL);
    }
    cluster->nodes[count - 1].witness = witness;
}

void cluster_close(struct cluster *cluster)
{
    cluster_kill_all(cluster);
    for (unsigned i = 0; i < cluster->count; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        free(node->dir);
        free(node->log_path);
        free(node->socket_path);
        free(node->tls_dir);
        free(node->output);
    }
    free(cluster->dir);
    free(cluster->tls_dir);
    free(cluster->node_program);
    memset(cluster, 0, sizeof *cluster);
}

bool cluster_create_node(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    char create[] = "create";
    char *argv[] = {cluster->node_program, create, node->dir, cluster->id, node->name, NULL};
    char output[OUTPUT_SIZE];

    if (process_run(argv, output, sizeof output) != 0) {
        (void)fprintf(stderr, "qh-node create %s: %s", node->name, output);
        return false;
    }
    node->id = strtoull(output, NULL, 10);
    return node->id != 0;
}

static bool bootstrap_node(struct cluster_node *node, unsigned count)
{
    struct cluster *cluster = node->cluster;
    char command[] = "bootstrap";
    char *argv[3 + CLUSTER_NODES_MAX + 1] = {cluster->node_program, command, node->dir};
    char output[OUTPUT_SIZE];
    int status;

    for (unsigned i = 0; i < count; i++) {
        argv[3 + i] = process_format("%s=%llu", cluster->nodes[i].name,
                                     (unsigned long long)cluster->nodes[i].id);
    }
    status = process_run(argv, output, sizeof output);
    for (unsigned i = 0; i < count; i++) {
        free(argv[3 + i]);
    }
    if (status != 0) {
        (void)fprintf(stderr, "qh-node bootstrap %s: %s", node->name, output);
    }
    return status == 0;
}

bool cluster_bootstrap(struct cluster *cluster, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!bootstrap_node(&cluster->nodes[i], count)) {
            return false;
        }
    }
    return true;
}

bool cluster_recover(struct cluster_node *node, char *ret_output, size_t room)
{
    char command[] = "recover";
    char *member = process_format("%s=%llu", node->name, (unsigned long long)node->id);
    char *argv[] = {node->cluster->node_program, command, node->dir, member, NULL};
    int status = process_run(argv, ret_output, room);

    free(member);
    return status == 0;
}

/* Room for the fixed words of "run", and four for each node. */
#define RUN_WORDS_MAX (16u + 4u * CLUSTER_NODES_MAX)

struct words {
    char *argv[RUN_WORDS_MAX];
    unsigned count;
};

static void add_word(struct words *words, char *word)
{
    if (words->count + 1 >= RUN_WORDS_MAX) {
        give_up("too many arguments", word);
    }
    words->argv[words->count++] = word;
    words->argv[words->count] = NULL;
}

static void add_option(struct words *words, const char *name, const char *value)
{
    add_word(words, process_format("--%s", name));
    add_word(words, process_format("%s", value));
}

void cluster_start(struct cluster_node *node)
{
    struct cluster *cluster = node->cluster;
    struct words words = {.count = 0};

    if (node->run != CLUSTER_DOWN) {
        give_up("started twice", node->name);
    }
    add_word(&words, process_format("%s", cluster->node_program));
    add_word(&words, process_format("run"));
    add_option(&words, "dir", node->dir);
    add_option(&words, "name", node->name);
    add_option(&words, "tls", node->tls_dir != NULL ? node->tls_dir : cluster->tls_dir);
    add_option(&words, "control", node->socket_path);
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct cluster_node *other = &cluster->nodes[i];
        char *address = process_format("%s=127.0.0.1:%u", other->name, (unsigned)other->port);

        add_option(&words, "node", address);
        free(address);
        if (other->witness) {
            add_option(&words, "witness", other->name);
        }
    }
    /* An old socket would be taken for this start's. */
    (void)unlink(node->socket_path);
    node->pid = process_spawn(words.argv, node->log_path);
    node->run = CLUSTER_RUNNING;
    node->ended_itself = false;
    node->status = (struct cluster_status){0};
    node->starts++;
    for (unsigned i = 0; i < words.count; i++) {
        free(words.argv[i]);
    }
}

void cluster_start_all(struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].run == CLUSTER_DOWN) {
            cluster_start(&cluster->nodes[i]);
        }
    }
}

static void signal_node(const struct cluster_node *node, int number)
{
    if (kill(node->pid, number) != 0) {
        give_up("cannot signal", node->name);
    }
}

void cluster_kill(struct cluster_node *node)
{
    if (node->run == CLUSTER_DOWN) {
        return;
    }
    signal_node(node, SIGKILL);
    while (waitpid(node->pid, &node->wait_status, 0) < 0) {
        if (errno != EINTR) {
            give_up("waitpid", strerror(errno));
        }
    }
    node->run = CLUSTER_DOWN;
    /* What it answered before its end is read first. */
    cluster_control_drop(node);
}

void cluster_kill_all(struct cluster *cluster)
{
    /* All at once: none of them shall see another one die. */
    for (unsigned i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].run != CLUSTER_DOWN) {
            signal_node(&cluster->nodes[i], SIGKILL);
        }
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        cluster_kill(&cluster->nodes[i]);
    }
}

void cluster_freeze(struct cluster_node *node)
{
    if (node->run == CLUSTER_RUNNING) {
        signal_node(node, SIGSTOP);
        node->run = CLUSTER_FROZEN;
    }
}

void cluster_thaw(struct cluster_node *node)
{
    if (node->run == CLUSTER_FROZEN) {
        signal_node(node, SIGCONT);
        node->run = CLUSTER_RUNNING;
    }
}

static void reap_node(struct cluster_node *node)
{
    int status;

    if (node->run == CLUSTER_DOWN || waitpid(node->pid, &status, WNOHANG) != node->pid) {
        return;
    }
    node->run = CLUSTER_DOWN;
    node->wait_status = status;
    node->ended_itself = true;
    cluster_control_drop(node);
}

void cluster_poll(struct cluster *cluster, unsigned timeout_ms)
{
    cluster_control_turn(cluster, timeout_ms);
    for (unsigned i = 0; i < cluster->count; i++) {
        reap_node(&cluster->nodes[i]);
    }
    if (cluster->callbacks.tick != NULL) {
        cluster->callbacks.tick(cluster->callbacks.data);
    }
}

long cluster_log_size(const struct cluster_node *node)
{
    struct stat info;

    return stat(node->log_path, &info) == 0 ? (long)info.st_size : 0;
}

/* The log from byte @from on as a string; free() it. */
static char *read_log(const struct cluster_node *node, long from)
{
    long size = cluster_log_size(node) - from;
    FILE *file = fopen(node->log_path, "re");
    size_t used = 0;
    char *text = calloc(1, size > 0 ? (size_t)size + 1 : 1);

    if (text == NULL) {
        abort();
    }
    if (file != NULL) {
        if (size > 0 && fseek(file, from, SEEK_SET) == 0) {
            used = fread(text, 1, (size_t)size, file);
        }
        (void)fclose(file);
    }
    text[used] = '\0';
    return text;
}

bool cluster_log_has(const struct cluster_node *node, long from, const char *text)
{
    char *log = read_log(node, from);
    bool has = strstr(log, text) != NULL;

    free(log);
    return has;
}

void cluster_print_logs(const struct cluster *cluster, unsigned lines)
{
    for (unsigned i = 0; i < cluster->count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        char *log = read_log(node, 0);
        char *start = log + strlen(log);
        unsigned left = lines + 1;

        while (start > log && left > 0) {
            start--;
            left -= *start == '\n';
        }
        (void)printf("  | %s: the end of %s\n", node->name, node->log_path);
        for (char *line; (line = strsep(&start, "\n")) != NULL;) {
            if (line[0] != '\0') {
                (void)printf("  |   %s\n", line);
            }
        }
        free(log);
    }
}
