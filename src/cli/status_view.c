/* The cluster as `quadhsm cluster status` shows it. See status_view.h. */
#include "cli/status_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAMED_MAX 4u /* nodes that the verdict names */

/* ---- filling ---- */

static void copy(char *ret_text, size_t room, const char *text)
{
    (void)snprintf(ret_text, room, "%s", text);
}

static void fill_node(const Quadhsm__ClusterState *state, const Quadhsm__ClusterNode *from,
                      bool leader_answers, struct status_node *node)
{
    *node = (struct status_node){
        .witness = from->witness,
        .voter = from->voter,
        .leader = from->leader || (state->leader != 0 && from->raft_id == state->leader),
        .connected = from->connected || from->self,
        .readiness = QUADHSM_UNREACHABLE,
        .round_trip_ms = -1,
        .behind_known = leader_answers,
    };
    copy(node->name, sizeof(node->name), from->node);
    copy(node->region, sizeof(node->region), from->region);
    copy(node->address, sizeof(node->address),
         from->witness ? from->peer_address : from->client_address);
    if (leader_answers && from->match_index < state->last_index) {
        node->entries_behind = state->last_index - from->match_index;
    }
}

static void add_measured(const struct quadhsm_endpoint *endpoints, size_t count,
                         struct status_node *node)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(endpoints[i].node, node->name) == 0) {
            node->readiness = endpoints[i].readiness;
            node->round_trip_ms =
                node->readiness == QUADHSM_UNREACHABLE ? -1 : endpoints[i].round_trip_ms;
            node->jitter_ms = endpoints[i].jitter_ms;
            node->revision = endpoints[i].revision;
        }
    }
}

static int compare_nodes(const void *left, const void *right)
{
    const struct status_node *a = left;
    const struct status_node *b = right;
    int order;

    /* A region of a witness alone comes last. */
    if (a->witness != b->witness && strcmp(a->region, b->region) != 0) {
        return a->witness ? 1 : -1;
    }
    order = strcmp(a->region, b->region);
    if (order == 0) {
        order = (int)a->witness - (int)b->witness;
    }
    return order != 0 ? order : strcmp(a->name, b->name);
}

static int compare_partitions(const void *left, const void *right)
{
    return strcmp(((const struct status_partition *)left)->name,
                  ((const struct status_partition *)right)->name);
}

static void fill_nodes(const Quadhsm__ClusterState *state, const struct quadhsm_endpoint *endpoints,
                       size_t count, struct status_view *view)
{
    bool leader_answers = false;

    for (size_t i = 0; i < state->n_nodes; i++) {
        leader_answers = leader_answers || (state->nodes[i]->self && state->nodes[i]->leader);
    }
    for (size_t i = 0; i < state->n_nodes && view->node_count < NODES_MAX; i++) {
        struct status_node *node = &view->nodes[view->node_count++];

        fill_node(state, state->nodes[i], leader_answers, node);
        add_measured(endpoints, count, node);
        view->has_leader = view->has_leader || node->leader;
        view->revision = node->revision > view->revision ? node->revision : view->revision;
    }
    qsort(view->nodes, view->node_count, sizeof(view->nodes[0]), compare_nodes);
}

void status_view_fill(const Quadhsm__ClusterState *state, const struct quadhsm_endpoint *endpoints,
                      size_t count, struct status_view *ret_view)
{
    struct status_view *view = ret_view;

    *view = (struct status_view){
        .generation = state->generation,
        .term = state->term,
        .revision = state->revision,
        .last_index = state->last_index,
        .record_count = state->record_count,
        .data_size = state->data_size,
        .client_count = state->client_count,
        .partitions_max = state->partitions_max,
    };
    copy(view->cluster, sizeof(view->cluster), state->cluster_name);
    fill_nodes(state, endpoints, count, view);
    for (size_t i = 0; i < state->n_partitions && i < PARTITIONS_MAX; i++) {
        struct status_partition *partition = &view->partitions[view->partition_count++];

        copy(partition->name, sizeof(partition->name), state->partitions[i]->name);
        partition->keys = state->partitions[i]->object_count;
    }
    qsort(view->partitions, view->partition_count, sizeof(view->partitions[0]), compare_partitions);
}

/* ---- judging ---- */

/* It takes part in the log, as far as anybody can tell from here. */
static bool is_alive(const struct status_node *node)
{
    return node->connected || node->readiness != QUADHSM_UNREACHABLE;
}

struct counts {
    unsigned voters, alive, majority, ready;
};

static struct counts count_nodes(const struct status_view *view)
{
    struct counts counts = {0};

    for (unsigned i = 0; i < view->node_count; i++) {
        const struct status_node *node = &view->nodes[i];

        counts.voters += node->voter ? 1u : 0u;
        counts.alive += node->voter && is_alive(node) ? 1u : 0u;
        counts.ready += node->readiness == QUADHSM_READY ? 1u : 0u;
    }
    counts.majority = counts.voters / 2 + 1;
    return counts;
}

static const char *readiness_text(const struct status_node *node)
{
    static const char *const texts[] = {
        [QUADHSM_UNINITIALIZED] = "uninitialized",
        [QUADHSM_LOCKED] = "locked",
        [QUADHSM_READY] = "ready",
        [QUADHSM_DRAINING] = "stopping",
        [QUADHSM_STALE] = "stale",
        [QUADHSM_STARTING] = "starting",
    };

    if (node->witness) {
        return node->connected ? "connected" : "not connected";
    }
    if (node->readiness == QUADHSM_UNREACHABLE) {
        return node->connected ? "unreachable from here" : "unreachable";
    }
    return node->readiness >= 0 && node->readiness <= QUADHSM_STARTING ? texts[node->readiness]
                                                                       : "unknown";
}

static enum output_style readiness_style(const struct status_node *node)
{
    if (node->witness) {
        return node->connected ? STYLE_GOOD : STYLE_BAD;
    }
    if (node->readiness == QUADHSM_READY) {
        return STYLE_GOOD;
    }
    return is_alive(node) ? STYLE_WARN : STYLE_BAD;
}

static bool is_well(const struct status_node *node)
{
    return node->witness ? node->connected : node->readiness == QUADHSM_READY;
}

/* ", beta unreachable, gamma locked" */
static void add_troubles(const struct status_view *view, char *text, size_t room)
{
    size_t at = strlen(text);
    unsigned named = 0;

    for (unsigned i = 0; i < view->node_count && at < room; i++) {
        const struct status_node *node = &view->nodes[i];

        if (is_well(node) && node->voter) {
            continue;
        }
        if (named++ == NAMED_MAX) {
            (void)snprintf(text + at, room - at, " and more");
            return;
        }
        at += (size_t)snprintf(text + at, room - at, ", %s %s", node->name,
                               is_well(node) ? "not a voter yet" : readiness_text(node));
    }
}

static void add_reserve(const struct counts *counts, char *text, size_t room)
{
    size_t at = strlen(text);
    unsigned reserve = counts->alive - counts->majority;

    if (reserve == 0) {
        (void)snprintf(text + at, room - at, ", can lose none without changes waiting");
    } else {
        (void)snprintf(text + at, room - at, ", can lose %u more", reserve);
    }
}

enum status_health status_view_verdict(const struct status_view *view,
                                       char ret_text[STATUS_VERDICT_ROOM])
{
    struct counts counts = count_nodes(view);
    const char *keys = counts.ready > 0 ? "keys usable" : "no node is ready to use keys";
    bool well = counts.voters > 0;

    for (unsigned i = 0; i < view->node_count; i++) {
        well = well && is_well(&view->nodes[i]) && view->nodes[i].voter;
    }
    if (counts.alive < counts.majority) {
        (void)snprintf(ret_text, STATUS_VERDICT_ROOM,
                       "no quorum: %s, changes wait; %u of %u voters", keys, counts.alive,
                       counts.voters);
        add_troubles(view, ret_text, STATUS_VERDICT_ROOM);
        return STATUS_NO_QUORUM;
    }
    if (!view->has_leader) {
        (void)snprintf(ret_text, STATUS_VERDICT_ROOM,
                       "no leader: %s, changes wait until one is elected; %u of %u voters", keys,
                       counts.alive, counts.voters);
        add_troubles(view, ret_text, STATUS_VERDICT_ROOM);
        return STATUS_NO_LEADER;
    }
    (void)snprintf(ret_text, STATUS_VERDICT_ROOM, "%s: %u of %u voters",
                   well ? "healthy" : "degraded", counts.alive, counts.voters);
    add_troubles(view, ret_text, STATUS_VERDICT_ROOM);
    add_reserve(&counts, ret_text, STATUS_VERDICT_ROOM);
    return well ? STATUS_HEALTHY : STATUS_DEGRADED;
}

/* ---- printing ---- */

void status_view_size(uint64_t size, char *ret_text, size_t room)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)size;
    unsigned unit = 0;

    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(ret_text, room, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static enum output_style verdict_style(enum status_health health)
{
    return health == STATUS_HEALTHY    ? STYLE_GOOD
           : health == STATUS_DEGRADED ? STYLE_WARN
                                       : STYLE_BAD;
}

static void cell_round_trip(struct table *table, const struct status_node *node)
{
    if (node->round_trip_ms < 0) {
        table_cell(table, STYLE_DIM, "-");
        table_cell(table, STYLE_DIM, "%s", "");
        return;
    }
    table_cell(table, STYLE_PLAIN, "%.*f ms", node->round_trip_ms < 10 ? 2 : 1,
               node->round_trip_ms);
    table_cell(table, STYLE_DIM, "+-%.*f", node->jitter_ms < 10 ? 2 : 1, node->jitter_ms);
}

/* How far it is behind: by revisions for a node that answered us, else by the leader's word. */
static void cell_lag(struct table *table, const struct status_view *view,
                     const struct status_node *node)
{
    uint64_t lag = view->revision - node->revision;

    if (node->readiness != QUADHSM_UNREACHABLE) {
        if (lag == 0) {
            table_cell(table, STYLE_DIM, "in step");
        } else {
            table_cell(table, STYLE_WARN, "%" PRIu64 " behind", lag);
        }
    } else if (node->behind_known && node->connected) {
        if (node->entries_behind == 0) {
            table_cell(table, STYLE_DIM, "in step");
        } else {
            table_cell(table, STYLE_WARN, "%" PRIu64 " entries behind", node->entries_behind);
        }
    } else {
        table_cell(table, STYLE_DIM, "-");
    }
}

static void add_node_row(struct table *table, const struct status_view *view,
                         const struct status_node *node, const struct output *output)
{
    const char *leader = output->utf8 ? "\xe2\x98\x85" : "*";
    const char *other = output->utf8 ? "\xe2\x97\x8f" : "-";

    table_cell(table, readiness_style(node), "%s", node->leader ? leader : other);
    table_cell(table, STYLE_BOLD, "%s", node->name);
    table_cell(table, node->leader ? STYLE_BOLD : STYLE_DIM, "%s",
               node->leader    ? "leader"
               : node->witness ? "witness"
               : node->voter   ? ""
                               : "joining");
    table_cell(table, readiness_style(node), "%s", readiness_text(node));
    cell_round_trip(table, node);
    if (node->readiness != QUADHSM_UNREACHABLE) {
        table_cell(table, STYLE_PLAIN, "rev %" PRIu64, node->revision);
    } else {
        table_cell(table, STYLE_DIM, "-");
    }
    cell_lag(table, view, node);
    table_cell(table, STYLE_DIM, "%s", node->address);
}

static void print_nodes(const struct status_view *view, const struct output *output)
{
    static const char *const heads[] = {"", "", "", "", ">", ">", "", "", "", NULL};
    struct table table;
    const char *region = NULL;

    table_init(&table, heads);
    for (unsigned i = 0; i < view->node_count; i++) {
        const struct status_node *node = &view->nodes[i];

        if (region == NULL || strcmp(region, node->region) != 0) {
            region = node->region;
            table_line(&table, STYLE_BOLD, region);
        }
        add_node_row(&table, view, node, output);
    }
    table_print(&table, output, 2, false);
}

static void print_partitions(const struct status_view *view, const struct output *output)
{
    static const char *const heads[] = {"partition", ">keys", NULL};
    struct table table;

    if (view->partition_count == 0) {
        (void)fputs("no partition yet: `quadhsm partition create NAME` makes one\n", output->out);
        return;
    }
    table_init(&table, heads);
    for (unsigned i = 0; i < view->partition_count; i++) {
        table_cell(&table, STYLE_PLAIN, "%s", view->partitions[i].name);
        table_cell(&table, STYLE_PLAIN, "%" PRIu64, view->partitions[i].keys);
    }
    table_print(&table, output, 0, true);
}

void status_view_print(const struct status_view *view, const struct output *output)
{
    char verdict[STATUS_VERDICT_ROOM];
    char safe[STATUS_VERDICT_ROOM];
    char size[32];
    enum status_health health = status_view_verdict(view, verdict);

    output_safe(view->cluster, strlen(view->cluster), safe, sizeof(safe));
    (void)fprintf(output->out, "%s%s%s  ", output_style(output, STYLE_BOLD), safe,
                  output_plain(output));
    output_safe(verdict, strlen(verdict), safe, sizeof(safe));
    (void)fprintf(output->out, "%s%s%s\n", output_style(output, verdict_style(health)), safe,
                  output_plain(output));
    status_view_size(view->data_size, size, sizeof(size));
    (void)fprintf(output->out,
                  "%srevision %" PRIu64 ", term %" PRIu64 ", generation %" PRIu64
                  ", %u client%s, %" PRIu64 " records of %s%s\n\n",
                  output_style(output, STYLE_DIM), view->revision, view->term, view->generation,
                  view->client_count, view->client_count == 1 ? "" : "s", view->record_count, size,
                  output_plain(output));
    print_nodes(view, output);
    (void)fputc('\n', output->out);
    print_partitions(view, output);
}

void status_view_print_nodes(const struct status_view *view, const struct output *output)
{
    static const char *const heads[] = {"node",        "region",  "role",    "state",
                                        ">round trip", ">jitter", "address", NULL};
    struct table table;

    table_init(&table, heads);
    for (unsigned i = 0; i < view->node_count; i++) {
        const struct status_node *node = &view->nodes[i];

        table_cell(&table, STYLE_BOLD, "%s", node->name);
        table_cell(&table, STYLE_PLAIN, "%s", node->region);
        table_cell(&table, STYLE_PLAIN, "%s%s", node->witness ? "witness" : "hsm",
                   node->leader   ? ", leader"
                   : !node->voter ? ", joining"
                                  : "");
        table_cell(&table, readiness_style(node), "%s", readiness_text(node));
        cell_round_trip(&table, node);
        table_cell(&table, STYLE_DIM, "%s", node->address);
    }
    table_print(&table, output, 0, true);
}

/* ---- JSON ---- */

static json_t *text_json(const char *text)
{
    char safe[4 * 300];
    json_t *value = json_string(text);

    if (value == NULL) {
        output_safe(text, strlen(text), safe, sizeof(safe));
        value = json_string(safe);
    }
    return value;
}

static json_t *node_json(const struct status_node *node)
{
    bool reached = node->readiness != QUADHSM_UNREACHABLE;

    return json_pack(
        "{s:o, s:o, s:s, s:b, s:b, s:b, s:s, s:o, s:o, s:o, s:o, s:o}", "node",
        text_json(node->name), "region", text_json(node->region), "role",
        node->witness ? "witness" : "hsm", "voter", node->voter, "leader", node->leader,
        "connected", node->connected, "state", readiness_text(node), "round_trip_ms",
        reached ? json_real(node->round_trip_ms) : json_null(), "jitter_ms",
        reached ? json_real(node->jitter_ms) : json_null(), "revision",
        reached ? json_integer((json_int_t)node->revision) : json_null(), "entries_behind",
        node->behind_known ? json_integer((json_int_t)node->entries_behind) : json_null(),
        "address", text_json(node->address));
}

json_t *status_view_json(const struct status_view *view)
{
    static const char *const healths[] = {"healthy", "degraded", "no leader", "no quorum"};
    char verdict[STATUS_VERDICT_ROOM];
    enum status_health health = status_view_verdict(view, verdict);
    struct counts counts = count_nodes(view);
    json_t *nodes = json_array();
    json_t *partitions = json_array();

    for (unsigned i = 0; i < view->node_count; i++) {
        (void)json_array_append_new(nodes, node_json(&view->nodes[i]));
    }
    for (unsigned i = 0; i < view->partition_count; i++) {
        (void)json_array_append_new(
            partitions, json_pack("{s:o, s:I}", "name", text_json(view->partitions[i].name), "keys",
                                  (json_int_t)view->partitions[i].keys));
    }
    return json_pack("{s:o, s:s, s:o, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o, s:o, s:i}",
                     "cluster", text_json(view->cluster), "health", healths[health], "verdict",
                     text_json(verdict), "voters", (int)counts.voters, "voters_alive",
                     (int)counts.alive, "revision", (json_int_t)view->revision, "term",
                     (json_int_t)view->term, "generation", (json_int_t)view->generation,
                     "last_index", (json_int_t)view->last_index, "records",
                     (json_int_t)view->record_count, "data_bytes", (json_int_t)view->data_size,
                     "clients", (int)view->client_count, "nodes", nodes, "partitions", partitions,
                     "partitions_max", (int)view->partitions_max);
}
