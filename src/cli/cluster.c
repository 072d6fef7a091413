/* `quadhsm cluster`: the cluster as a whole. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/status_view.h"
#include "wire/frame.h"

#define WATCH_S 2u
#define PINGS 5u
#define PING_SLOW_MS 300.0 /* it is not worth asking again */

/* ---- status ---- */

static const Quadhsm__ClusterNode *find_leader(const Quadhsm__ClusterState *state)
{
    for (size_t i = 0; i < state->n_nodes; i++) {
        if (state->nodes[i]->leader) {
            return state->nodes[i];
        }
    }
    return NULL;
}

static void fill_request(Quadhsm__Request *request, Quadhsm__ClusterStatus *cluster_status)
{
    quadhsm__request__init(request);
    quadhsm__cluster_status__init(cluster_status);
    request->op_case = QUADHSM__REQUEST__OP_CLUSTER_STATUS;
    request->cluster_status = cluster_status;
}

/* The leader alone knows how far the others are. What another node said stays good
 * if it does not answer. */
static void ask_leader(struct cli *cli, Quadhsm__Response **response)
{
    const Quadhsm__ClusterNode *leader = find_leader((*response)->cluster);
    Quadhsm__ClusterStatus cluster_status;
    Quadhsm__Response *better = NULL;
    Quadhsm__Request request;

    if (leader == NULL || leader->self || leader->witness) {
        return;
    }
    fill_request(&request, &cluster_status);
    if (client_call_node(cli->handle, leader->node, &request, &better) != QH_OK) {
        return;
    }
    if (better->result_case == QUADHSM__RESPONSE__RESULT_CLUSTER) {
        wire_message_free(&(*response)->base);
        *response = better;
    } else {
        wire_message_free(&better->base);
    }
}

/* False if it does not answer. */
static bool ping_once(struct cli *cli, const char *node, double *ret_ms)
{
    Quadhsm__Response *response = NULL;
    Quadhsm__Request request;
    Quadhsm__Ping ping;
    uint64_t began_ns = clock_monotonic_ns();

    quadhsm__request__init(&request);
    quadhsm__ping__init(&ping);
    request.op_case = QUADHSM__REQUEST__OP_PING;
    request.ping = &ping;
    if (client_call_node(cli->handle, node, &request, &response) != QH_OK) {
        return false;
    }
    *ret_ms = (double)(clock_monotonic_ns() - began_ns) / 1e6;
    wire_message_free(&response->base);
    return true;
}

/* The library's own figures are smoothed over its life, which here began a moment ago. The first
 * ping is for the connection. */
static void ping_node(struct cli *cli, struct quadhsm_endpoint *endpoint)
{
    double ms = 0;
    double least_ms = 0;
    double sum_ms = 0;

    if (!ping_once(cli, endpoint->node, &ms) || ms >= PING_SLOW_MS) {
        return;
    }
    for (unsigned i = 0; i < PINGS; i++) {
        if (!ping_once(cli, endpoint->node, &ms)) {
            return;
        }
        least_ms = i == 0 || ms < least_ms ? ms : least_ms;
        sum_ms += ms;
    }
    endpoint->round_trip_ms = least_ms;
    endpoint->jitter_ms = sum_ms / PINGS - least_ms;
}

static int measure(struct cli *cli, struct quadhsm_endpoint **ret_endpoints, size_t *ret_count)
{
    int err = quadhsm_endpoints(cli->handle, true, ret_endpoints, ret_count);

    if (err != QUADHSM_OK) {
        return cli_fail(cli, err, "measuring the nodes");
    }
    for (size_t i = 0; i < *ret_count; i++) {
        if ((*ret_endpoints)[i].readiness != QUADHSM_UNREACHABLE) {
            ping_node(cli, &(*ret_endpoints)[i]);
        }
    }
    return EXIT_DONE;
}

static int gather(struct cli *cli, struct status_view *ret_view)
{
    Quadhsm__ClusterStatus cluster_status;
    Quadhsm__Response *response = NULL;
    struct quadhsm_endpoint *endpoints = NULL;
    Quadhsm__Request request;
    size_t count = 0;
    int status;

    fill_request(&request, &cluster_status);
    status = cli_call(cli, &request, "asking for the cluster's state", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    if (response->result_case != QUADHSM__RESPONSE__RESULT_CLUSTER) {
        wire_message_free(&response->base);
        return output_fail(&cli->output, QH_EMALFORMED, "use the version of the cluster's nodes",
                           "asking for the cluster's state");
    }
    ask_leader(cli, &response);
    status = measure(cli, &endpoints, &count);
    if (status == EXIT_DONE) {
        status_view_fill(response->cluster, endpoints, count, ret_view);
    }
    free(endpoints);
    wire_message_free(&response->base);
    return status;
}

static int gather_with_progress(struct cli *cli, struct status_view *ret_view)
{
    struct progress *progress;
    int status = cli_open(cli);

    if (status != EXIT_DONE) {
        return status;
    }
    progress = progress_begin(&cli->output, true, "measuring the nodes");
    status = gather(cli, ret_view);
    progress_end(progress);
    return status;
}

static int show(struct cli *cli, bool clear)
{
    static struct status_view view; /* large */
    char verdict[STATUS_VERDICT_ROOM];
    enum status_health health;
    int status = gather_with_progress(cli, &view);

    if (clear) {
        (void)fputs("\033[H\033[J", cli->output.out);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    health = status_view_verdict(&view, verdict);
    if (cli->output.json) {
        output_json(&cli->output, status_view_json(&view));
    } else {
        status_view_print(&view, &cli->output);
    }
    return health == STATUS_NO_QUORUM || health == STATUS_NO_LEADER ? EXIT_NO_QUORUM : EXIT_DONE;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* Until ^C, which is how it is meant to end. */
static int watch(struct cli *cli, unsigned seconds)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct timespec pause = {.tv_sec = seconds};
    int status = EXIT_DONE;

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    while (interrupted == 0) {
        status = show(cli, cli->output.terminal && !cli->output.json);
        if (!cli->output.terminal && !cli->output.json) {
            (void)fputc('\n', cli->output.out);
        }
        (void)fflush(cli->output.out);
        (void)nanosleep(&pause, NULL);
    }
    return status;
}

static int run_status(struct cli *cli)
{
    if (options_flag(&cli->options, "watch")) {
        return watch(cli, options_number(&cli->options, "watch", WATCH_S));
    }
    return show(cli, false);
}

static int run_nodes(struct cli *cli)
{
    static struct status_view view;
    int status = gather_with_progress(cli, &view);

    if (status != EXIT_DONE) {
        return status;
    }
    if (cli->output.json) {
        json_t *all = status_view_json(&view);
        json_t *nodes = json_incref(json_object_get(all, "nodes"));

        json_decref(all);
        output_json(&cli->output, nodes);
    } else {
        status_view_print_nodes(&view, &cli->output);
    }
    return EXIT_DONE;
}

/* ---- token ---- */

static void show_token(const struct cli *cli, const Quadhsm__Token *token, unsigned lifetime_s)
{
    if (cli->output.json) {
        output_json(&cli->output, json_pack("{s:o, s:b, s:i}", "token", cli_json_text(token->text),
                                            "witness", (int)options_flag(&cli->options, "witness"),
                                            "lifetime_s", (int)lifetime_s));
    } else {
        output_say(&cli->output, "%s", token->text);
    }
}

static int run_token(struct cli *cli)
{
    Quadhsm__Request request;
    Quadhsm__TokenCreate create;
    Quadhsm__Response *response = NULL;
    int status = cli_login_so(cli);

    quadhsm__request__init(&request);
    quadhsm__token_create__init(&create);
    if (status != EXIT_DONE) {
        return status;
    }
    create.witness = options_flag(&cli->options, "witness");
    create.lifetime_s = options_number(&cli->options, "lifetime", 3600);
    request.op_case = QUADHSM__REQUEST__OP_TOKEN_CREATE;
    request.token_create = &create;
    status = cli_call(cli, &request, "making a token", &response);
    if (status != EXIT_DONE) {
        return status;
    }
    if (response->result_case == QUADHSM__RESPONSE__RESULT_TOKEN) {
        show_token(cli, response->token, create.lifetime_s);
    } else {
        status = output_fail(&cli->output, QH_EMALFORMED, "use the version of the cluster's nodes",
                             "making a token");
    }
    wire_message_free(&response->base);
    return status;
}

static const struct option_spec status_options[] = {
    {.name = "watch",
     .kind = OPTION_MAYBE,
     .argument = "SECONDS",
     .help = "repeat, every 2 seconds unless said otherwise",
     .min = 1,
     .max = 3600},
    {.name = NULL},
};
static const struct option_spec token_options[] = {
    {.name = "witness", .kind = OPTION_FLAG, .help = "for a witness; it will get no keys"},
    {.name = "lifetime",
     .kind = OPTION_NUMBER,
     .argument = "SECONDS",
     .help = "how long it can be used (default: 3600)",
     .min = 1,
     .max = 86400},
    {.name = NULL},
};

const struct command cluster_commands[] = {
    {"cluster", "status", "", 0, 0, "Show the cluster: regions, nodes, who leads, and how it is.",
     "Round-trip times are measured from here. Exit status 5 if changes cannot be made now.",
     "quadhsm cluster status --watch", status_options, cli_client_options, run_status},
    {"cluster", "nodes", "", 0, 0, "List the nodes.", NULL, "quadhsm cluster nodes --json", NULL,
     cli_client_options, run_nodes},
    {"cluster", "token", "", 0, 0, "Make a token with which one new node can join.",
     "Prints the token alone. It lets one node in, once: keep it secret until it is used.",
     "quadhsm cluster token --witness > token", token_options, cli_so_options, run_token},
    {.run = NULL},
};
