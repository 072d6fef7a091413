/* quadhsmd: a node of the cluster. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "config.h"
#include "node/control.h"
#include "node/harden.h"
#include "node/notify.h"
#include "node/workers.h"

static const char usage[] =
    "usage: quadhsmd --config FILE [--check]\n"
    "\n"
    "Run a node of a Quadhsm cluster in the foreground; the log goes to stderr.\n"
    "A new node waits for `quadhsm node init` or `quadhsm node join` on its control socket.\n"
    "\n"
    "  --config FILE   the node's configuration (quadhsm.yaml(5))\n"
    "  --check         read the configuration, say what is wrong with it, and end\n"
    "  --version       print the version and end\n"
    "  --help          print this and end\n"
    "\n"
    "Exit status: 0 stopped as asked, 1 it could not start, 2 usage, 70 a disk error.\n";

struct options {
    const char *config;
    bool check;
};

/* Returns -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *ret_options)
{
    static const struct option long_options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret_options->config = optarg;
            break;
        case 'k':
            ret_options->check = true;
            break;
        case 'v':
            (void)puts("quadhsmd " PACKAGE_VERSION);
            return 0;
        case 'h':
            (void)fputs(usage, stdout);
            return 0;
        default:
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    if (ret_options->config == NULL || optind != argc) {
        (void)fputs(usage, stderr);
        return 2;
    }
    return -1;
}

/* The process ends here and not by returning: libraft's memory is not released (replica.h). */
static void on_stopped(void *data)
{
    (void)data;
    notify_systemd("STOPPING=1\nSTATUS=stopped");
    log_info("stopped");
    _exit(0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct node *node = handle->data;

    uv_signal_stop(handle);
    log_info("stopping: signal=%d", number);
    notify_systemd("STOPPING=1\nSTATUS=handing over");
    control_stop(node->control, on_stopped, node);
}

static void catch_signals(uv_loop_t *loop, struct node *node)
{
    static uv_signal_t handles[2];
    static const int numbers[] = {SIGTERM, SIGINT};

    for (unsigned i = 0; i < 2; i++) {
        (void)uv_signal_init(loop, &handles[i]);
        handles[i].data = node;
        (void)uv_signal_start(&handles[i], on_signal, numbers[i]);
    }
}

static int run(const struct node_config *config)
{
    static uv_loop_t loop;
    static struct node node;
    enum qh_err err;

    node.config = config;
    node.started_ms = clock_monotonic_ms();
    err = harden_process();
    if (err == QH_OK) {
        err = view_new(&node.view);
    }
    if (err == QH_OK) {
        err = workers_start(config->worker_threads, &node.workers);
    }
    if (err == QH_OK) {
        err = uv_loop_init(&loop) == 0 ? control_start(&node, &loop) : QH_ESYSTEM;
    }
    if (err != QH_OK) {
        log_error("node cannot start: %s (%s)", err_message(err), err_name(err));
        return 1;
    }
    catch_signals(&loop, &node);
    log_info("started: node=%s version=" PACKAGE_VERSION, config->node);
    notify_systemd("READY=1\nSTATUS=running");
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return 1; /* the loop ends by on_stopped() alone */
}

int main(int argc, char **argv)
{
    struct options options = {0};
    struct node_config *config;
    char *error;
    int status = parse_options(argc, argv, &options);

    if (status >= 0) {
        return status;
    }
    if (node_config_load(options.config, &config, &error) != QH_OK) {
        (void)fprintf(stderr, "%s\n", error);
        free(error);
        return 1;
    }
    if (options.check) {
        (void)printf("%s: correct, node %s\n", options.config, config->node);
        node_config_free(config);
        return 0;
    }
    log_set_level(config->log_level);
    status = run(config);
    /* Threads may run: no memory is released. */
    _exit(status);
}
