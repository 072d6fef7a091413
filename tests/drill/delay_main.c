/* qh-delay: the delay proxy as a program.
 *
 *   qh-delay --region NAME=ADDRESS[/PREFIX][,...]... --listen AT:PORT=TARGET:PORT@REGION...
 *            --delay A:B=MS... --control SOCKET
 *   qh-delay --tell SOCKET COMMAND...
 *
 * It prints "ready" once it listens everywhere. SIGINT and SIGTERM end it. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/drill/delay.h"
#include "tests/drill/delay_tell.h"

#define EXIT_USAGE 2
#define FILES_MAX (2 * DELAY_PAIRS_MAX + DELAY_LISTENS_MAX + 64)

static const char usage[] =
    "usage: qh-delay --region NAME=ADDRESS[/PREFIX][,...]... --listen "
    "AT:PORT=TARGET:PORT@REGION...\n"
    "                --delay A:B=MS... --control SOCKET\n"
    "       qh-delay --tell SOCKET COMMAND...\n"
    "\n"
    "Forwards TCP connections with a delay each way that depends on the region of the address\n"
    "that a connection comes from and on that of its target. Regions come before what names them.\n"
    "Commands, also on the control socket: cut REGION, heal, delay A B MS, stats.\n";

struct options {
    struct delay_map map;
    const char *control;
    const char *tell; /* another proxy's socket: this is no proxy then */
};

static bool take(enum qh_err err, const char *option)
{
    if (err != QH_OK) {
        (void)fprintf(stderr, "qh-delay: --%s %s: %s\n", option, optarg, err_message(err));
    }
    return err == QH_OK;
}

static bool take_option(struct options *options, int option)
{
    switch (option) {
    case 'r':
        return take(delay_map_add_region(&options->map, optarg), "region");
    case 'l':
        return take(delay_map_add_listen(&options->map, optarg), "listen");
    case 'd':
        return take(delay_map_set(&options->map, optarg), "delay");
    case 'c':
        options->control = optarg;
        return true;
    case 't':
        options->tell = optarg;
        return true;
    default:
        (void)fputs(usage, stderr);
        return false;
    }
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option long_options[] = {
        {"region", required_argument, NULL, 'r'}, {"listen", required_argument, NULL, 'l'},
        {"delay", required_argument, NULL, 'd'},  {"control", required_argument, NULL, 'c'},
        {"tell", required_argument, NULL, 't'},   {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        if (!take_option(options, option)) {
            return false;
        }
    }
    if (options->tell != NULL
            ? optind == argc
            : optind != argc || options->map.listen_count == 0 || options->control == NULL) {
        (void)fputs(usage, stderr);
        return false;
    }
    return true;
}

/* Two files a connection: more than the usual 1024, if that is allowed. */
static void raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < FILES_MAX) {
        limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static bool start(struct options *options, uv_loop_t *loop)
{
    struct delay_control *control;
    struct delay *delay;
    uint32_t listen;

    if (delay_new(loop, &options->map, &delay, &listen) != QH_OK) {
        (void)fprintf(stderr, "qh-delay: cannot listen at the address of --listen number %u: %s\n",
                      listen + 1, strerror(errno));
        return false;
    }
    if (delay_control_new(delay, loop, options->control, &control) != QH_OK) {
        (void)fprintf(stderr, "qh-delay: %s: cannot listen there\n", options->control);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct options options;
    static uv_signal_t interrupt, terminate;
    uv_loop_t *loop = uv_default_loop();

    if (!parse_options(argc, argv, &options)) {
        return EXIT_USAGE;
    }
    if (options.tell != NULL) {
        return delay_tell(options.tell, argv + optind) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    raise_files();
    if (loop == NULL || uv_signal_init(loop, &interrupt) != 0 ||
        uv_signal_init(loop, &terminate) != 0 ||
        uv_signal_start(&interrupt, on_signal, SIGINT) != 0 ||
        uv_signal_start(&terminate, on_signal, SIGTERM) != 0 || !start(&options, loop)) {
        return EXIT_FAILURE;
    }
    (void)puts("ready");
    (void)fflush(stdout);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    return EXIT_SUCCESS;
}
