/* The main function of qh-node. */
#include "tests/torture/node.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "base/log.h"

static const char usage[] =
    "usage: qh-node create DIR CLUSTER NAME          make a node; prints its server id\n"
    "       qh-node bootstrap DIR NAME=ID...         begin its log with these voters\n"
    "       qh-node recover DIR NAME=ID...           force these voters on a stopped survivor\n"
    "       qh-node run --dir DIR --name NAME --node NAME=HOST:PORT... --tls DIR\n"
    "                   --control SOCKET [--witness NAME]... [--preset region|cross]\n"
    "CLUSTER: 32 hex digits. --tls DIR holds ca.crt, NAME.crt and NAME.key.\n";

static int fail(const char *what, const char *detail)
{
    (void)fprintf(stderr, "qh-node: %s: %s\n", what, detail);
    return 2;
}

static int report(enum qh_err err)
{
    if (err != QH_OK) {
        (void)fprintf(stderr, "qh-node: %s (%s)\n", err_message(err), err_name(err));
        return 1;
    }
    return 0;
}

static int run_create(char **argv)
{
    uint8_t cluster[16];
    size_t size;
    uint64_t id;
    enum qh_err err;

    if (sodium_hex2bin(cluster, sizeof cluster, argv[1], strlen(argv[1]), NULL, &size, NULL) != 0 ||
        size != sizeof cluster) {
        return fail("not a cluster id of 32 hex digits", argv[1]);
    }
    err = replica_create(argv[0], cluster, argv[2], &id);
    if (err == QH_OK) {
        (void)printf("%" PRIu64 "\n", id);
    }
    return report(err);
}

/* NAME=ID */
static int parse_members(int count, char **argv, struct replica_member *ret_members)
{
    if (count > (int)NODES_MAX) {
        return fail("too many members", argv[0]);
    }
    for (int i = 0; i < count; i++) {
        char *equals = strchr(argv[i], '=');

        if (equals == NULL || (size_t)(equals - argv[i]) > NODE_NAME_LENGTH_MAX) {
            return fail("not NAME=ID", argv[i]);
        }
        memset(&ret_members[i], 0, sizeof ret_members[i]);
        memcpy(ret_members[i].name, argv[i], (size_t)(equals - argv[i]));
        ret_members[i].id = strtoull(equals + 1, NULL, 10);
    }
    return 0;
}

static int run_bootstrap(int argc, char **argv)
{
    struct replica_member members[NODES_MAX];

    if (parse_members(argc - 1, argv + 1, members) != 0) {
        return 2;
    }
    return report(replica_bootstrap(argv[0], members, (unsigned)(argc - 1)));
}

static int run_recover(int argc, char **argv)
{
    struct replica_member members[NODES_MAX];
    uint64_t generation = 0;
    enum qh_err err;

    if (parse_members(argc - 1, argv + 1, members) != 0) {
        return 2;
    }
    err = replica_recover(argv[0], members, (unsigned)(argc - 1), &generation);
    if (err == QH_OK) {
        (void)printf("generation %" PRIu64 "\n", generation);
    }
    return report(err);
}

/* NAME=HOST:PORT; a host with colons stands in brackets. */
static int parse_node(const char *text, struct replica_node *ret_node)
{
    const char *equals = strchr(text, '=');
    const char *colon = strrchr(text, ':');
    const char *host;
    size_t host_length;
    struct replica_node node = {.role = REPLICA_DATA};

    if (equals == NULL || colon == NULL || colon < equals ||
        (size_t)(equals - text) > NODE_NAME_LENGTH_MAX) {
        return fail("not NAME=HOST:PORT", text);
    }
    host = equals + 1;
    host_length = (size_t)(colon - host);
    if (host_length >= 2 && host[0] == '[' && host[host_length - 1] == ']') {
        host++;
        host_length -= 2;
    }
    if (host_length >= sizeof node.host) {
        return fail("host too long", text);
    }
    memcpy(node.name, text, (size_t)(equals - text));
    memcpy(node.host, host, host_length);
    node.port = (uint16_t)strtoul(colon + 1, NULL, 10);
    *ret_node = node;
    return 0;
}

static struct replica_node *find_node(struct node *node, const char *name)
{
    for (unsigned i = 0; i < node->config.node_count; i++) {
        if (strcmp(node->config.nodes[i].name, name) == 0) {
            return &node->config.nodes[i];
        }
    }
    return NULL;
}

struct run_options {
    const char *name;
    const char *tls;
    const char *witnesses[NODES_MAX];
    unsigned witness_count;
};

static int parse_run(struct node *node, int argc, char **argv, struct run_options *ret_options)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},     {"name", required_argument, NULL, 'n'},
        {"node", required_argument, NULL, 'N'},    {"tls", required_argument, NULL, 't'},
        {"control", required_argument, NULL, 'c'}, {"witness", required_argument, NULL, 'w'},
        {"preset", required_argument, NULL, 'p'},  {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            node->config.dir = optarg;
            break;
        case 'n':
            ret_options->name = optarg;
            break;
        case 'N':
            if (node->config.node_count == NODES_MAX ||
                parse_node(optarg, &node->config.nodes[node->config.node_count++]) != 0) {
                return 2;
            }
            break;
        case 't':
            ret_options->tls = optarg;
            break;
        case 'c':
            node->control_path = optarg;
            break;
        case 'w':
            if (ret_options->witness_count == NODES_MAX) {
                return fail("too many witnesses", optarg);
            }
            ret_options->witnesses[ret_options->witness_count++] = optarg;
            break;
        case 'p':
            node->config.preset =
                strcmp(optarg, "cross") == 0 ? REPLICA_CROSS_REGION : REPLICA_REGION;
            break;
        default:
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    return 0;
}

static int apply_options(struct node *node, const struct run_options *options, char *ret_files[3])
{
    const struct replica_node *self;

    if (options->name == NULL || options->tls == NULL || node->config.dir == NULL ||
        node->control_path == NULL) {
        return fail("missing option", "run needs --dir, --name, --tls and --control");
    }
    for (unsigned i = 0; i < options->witness_count; i++) {
        struct replica_node *witness = find_node(node, options->witnesses[i]);

        if (witness == NULL) {
            return fail("--witness is not among --node", options->witnesses[i]);
        }
        witness->role = REPLICA_WITNESS;
    }
    self = find_node(node, options->name);
    if (self == NULL) {
        return fail("--name is not among --node", options->name);
    }
    node->config.self = *self;
    if (asprintf(&ret_files[0], "%s/ca.crt", options->tls) < 0 ||
        asprintf(&ret_files[1], "%s/%s.crt", options->tls, options->name) < 0 ||
        asprintf(&ret_files[2], "%s/%s.key", options->tls, options->name) < 0) {
        return fail("out of memory", options->tls);
    }
    node->config.tls = (struct transport_tls){
        .ca_file = ret_files[0], .cert_file = ret_files[1], .key_file = ret_files[2]};
    return 0;
}

static void on_stopped(void *data)
{
    (void)data;
    _exit(0);
}

void node_stop(struct node *node)
{
    replica_stop(node->replica, on_stopped, node);
}

static void on_signal(uv_signal_t *handle, int number)
{
    uv_signal_stop(handle);
    (void)number;
    node_stop(handle->data);
}

static int run_node(int argc, char **argv)
{
    static struct node node;
    struct run_options options = {0};
    char *files[3];
    uv_signal_t terminate;
    enum qh_err err;

    if (parse_run(&node, argc, argv, &options) != 0 || apply_options(&node, &options, files) != 0) {
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)uv_loop_init(&node.loop);
    err = replica_start(&node.loop, &node.config, (struct replica_callbacks){0}, &node.replica);
    if (err != QH_OK) {
        return report(err);
    }
    if (node_control_listen(&node) != 0) {
        return fail("cannot listen on", node.control_path);
    }
    (void)uv_signal_init(&node.loop, &terminate);
    terminate.data = &node;
    (void)uv_signal_start(&terminate, on_signal, SIGTERM);
    return uv_run(&node.loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) {
        return fail("libsodium", "cannot start");
    }
    if (argc == 5 && strcmp(argv[1], "create") == 0) {
        return run_create(argv + 2);
    }
    if (argc >= 4 && strcmp(argv[1], "bootstrap") == 0) {
        return run_bootstrap(argc - 2, argv + 2);
    }
    if (argc >= 4 && strcmp(argv[1], "recover") == 0) {
        return run_recover(argc - 2, argv + 2);
    }
    if (argc >= 2 && strcmp(argv[1], "run") == 0) {
        return run_node(argc - 1, argv + 1);
    }
    (void)fputs(usage, stderr);
    return 2;
}
