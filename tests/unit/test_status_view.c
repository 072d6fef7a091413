/* `cluster status`: what it concludes and shows, from states and measurements given here. */
#include <stdlib.h>
#include <string.h>

#include "cli/status_view.h"
#include "tests/lib/test.h"

#define NODES 5u

/* Two regions of two, and a witness; alpha leads and answers. */
static Quadhsm__ClusterNode nodes[NODES];
static Quadhsm__ClusterNode *node_list[NODES];
static Quadhsm__PartitionInfo partitions[2];
static Quadhsm__PartitionInfo *partition_list[2];
static Quadhsm__ClusterState state;
static struct quadhsm_endpoint endpoints[4];
static struct status_view view;
static char verdict[STATUS_VERDICT_ROOM];

/* protobuf-c has no const; nothing is changed. */
static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static const char *const names[] = {"gamma", "alpha", "omega", "beta", "delta"};
static const char *const regions[] = {"west", "east", "central", "east", "west"};

static void fill_endpoint(struct quadhsm_endpoint *endpoint, const char *name, const char *region,
                          double ms)
{
    *endpoint = (struct quadhsm_endpoint){
        .readiness = QUADHSM_READY, .round_trip_ms = ms, .jitter_ms = ms / 10, .revision = 4711};
    (void)snprintf(endpoint->node, sizeof(endpoint->node), "%s", name);
    (void)snprintf(endpoint->region, sizeof(endpoint->region), "%s", region);
}

static void make_quad(void)
{
    unsigned count = 0;

    quadhsm__cluster_state__init(&state);
    for (unsigned i = 0; i < NODES; i++) {
        bool witness = strcmp(names[i], "omega") == 0;

        quadhsm__cluster_node__init(&nodes[i]);
        nodes[i].node = text_of(names[i]);
        nodes[i].region = text_of(regions[i]);
        nodes[i].witness = witness;
        nodes[i].raft_id = i + 1;
        nodes[i].voter = true;
        nodes[i].connected = true;
        nodes[i].match_index = 900;
        nodes[i].client_address = text_of("10.0.0.1:7600");
        nodes[i].peer_address = text_of("10.0.0.1:7601");
        node_list[i] = &nodes[i];
        if (!witness) {
            fill_endpoint(&endpoints[count++], names[i], regions[i], i == 1 || i == 3 ? 0.4 : 20);
        }
    }
    nodes[1].self = true;
    nodes[1].leader = true;
    for (unsigned i = 0; i < 2; i++) {
        quadhsm__partition_info__init(&partitions[i]);
        partition_list[i] = &partitions[i];
    }
    partitions[0].name = text_of("payments");
    partitions[0].object_count = 12;
    partitions[1].name = text_of("mail");
    partitions[1].object_count = 3;
    state.cluster_name = text_of("prod");
    state.leader = 2;
    state.term = 7;
    state.revision = 4710;
    state.last_index = 900;
    state.record_count = 512;
    state.data_size = 1258291;
    state.client_count = 3;
    state.generation = 1;
    state.n_nodes = NODES;
    state.nodes = node_list;
    state.n_partitions = 2;
    state.partitions = partition_list;
}

static enum status_health judge(void)
{
    status_view_fill(&state, endpoints, 4, &view);
    return status_view_verdict(&view, verdict);
}

static void lose(const char *name)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (strcmp(names[i], name) == 0) {
            nodes[i].connected = false;
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(endpoints[i].node, name) == 0) {
            endpoints[i].readiness = QUADHSM_UNREACHABLE;
        }
    }
}

START_TEST(five_of_five_are_healthy_and_can_lose_two)
{
    ck_assert_int_eq(judge(), STATUS_HEALTHY);
    ck_assert_str_eq(verdict, "healthy: 5 of 5 voters, can lose 2 more");
}
END_TEST

START_TEST(lost_nodes_are_named_and_the_reserve_shrinks)
{
    lose("gamma");
    ck_assert_int_eq(judge(), STATUS_DEGRADED);
    ck_assert_str_eq(verdict, "degraded: 4 of 5 voters, gamma unreachable, can lose 1 more");
    lose("omega");
    ck_assert_int_eq(judge(), STATUS_DEGRADED);
    ck_assert_str_eq(verdict, "degraded: 3 of 5 voters, gamma unreachable, omega not connected, "
                              "can lose none without changes waiting");
}
END_TEST

START_TEST(three_lost_nodes_are_no_quorum_but_keys_are_usable)
{
    lose("gamma");
    lose("delta");
    lose("omega");
    ck_assert_int_eq(judge(), STATUS_NO_QUORUM);
    ck_assert_str_eq(verdict, "no quorum: keys usable, changes wait; 2 of 5 voters, delta "
                              "unreachable, gamma unreachable, omega not connected");
}
END_TEST

START_TEST(locked_node_degrades_but_votes)
{
    endpoints[0].readiness = QUADHSM_LOCKED;
    ck_assert_int_eq(judge(), STATUS_DEGRADED);
    ck_assert_str_eq(verdict, "degraded: 5 of 5 voters, gamma locked, can lose 2 more");
}
END_TEST

START_TEST(node_that_only_its_peers_reach_still_votes)
{
    endpoints[0].readiness = QUADHSM_UNREACHABLE;
    ck_assert_int_eq(judge(), STATUS_DEGRADED);
    ck_assert_str_eq(verdict,
                     "degraded: 5 of 5 voters, gamma unreachable from here, can lose 2 more");
}
END_TEST

START_TEST(no_leader_is_told_apart_from_no_quorum)
{
    nodes[1].leader = false;
    state.leader = 0;
    ck_assert_int_eq(judge(), STATUS_NO_LEADER);
    ck_assert_str_eq(verdict, "no leader: keys usable, changes wait until one is elected; 5 of 5 "
                              "voters");
}
END_TEST

START_TEST(no_ready_node_is_said)
{
    for (unsigned i = 0; i < 4; i++) {
        endpoints[i].readiness = QUADHSM_LOCKED;
    }
    lose("gamma");
    lose("delta");
    lose("omega");
    ck_assert_int_eq(judge(), STATUS_NO_QUORUM);
    ck_assert_msg(strstr(verdict, "no quorum: no node is ready to use keys, changes wait") != NULL,
                  "%s", verdict);
}
END_TEST

START_TEST(single_node_can_lose_none)
{
    state.n_nodes = 1;
    node_list[0] = &nodes[1];
    ck_assert_int_eq(judge(), STATUS_HEALTHY);
    ck_assert_str_eq(verdict, "healthy: 1 of 1 voters, can lose none without changes waiting");
}
END_TEST

START_TEST(joining_node_is_not_counted_as_a_voter)
{
    nodes[4].voter = false;
    ck_assert_int_eq(judge(), STATUS_DEGRADED);
    ck_assert_str_eq(verdict, "degraded: 4 of 4 voters, delta not a voter yet, can lose 1 more");
}
END_TEST

static char *render(bool colour)
{
    struct output output = {.colour = colour};
    char *text = NULL;
    size_t size = 0;

    status_view_fill(&state, endpoints, 4, &view);
    output.out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(output.out);
    status_view_print(&view, &output);
    ck_assert_int_eq(fclose(output.out), 0);
    return text;
}

START_TEST(text_groups_regions_with_the_witness_last)
{
    char *text;

    endpoints[0].revision = 4700;
    nodes[2].match_index = 897;
    text = render(false);
    ck_assert_str_eq(text,
                     "prod  healthy: 5 of 5 voters, can lose 2 more\n"
                     "revision 4711, term 7, generation 1, 3 clients, 512 records of 1.2 MiB\n"
                     "\n"
                     "east\n"
                     "  *  alpha  leader   ready      0.40 ms  +-0.04  rev 4711  in step           "
                     "10.0.0.1:7600\n"
                     "  -  beta            ready      0.40 ms  +-0.04  rev 4711  in step           "
                     "10.0.0.1:7600\n"
                     "west\n"
                     "  -  delta           ready      20.0 ms  +-2.00  rev 4711  in step           "
                     "10.0.0.1:7600\n"
                     "  -  gamma           ready      20.0 ms  +-2.00  rev 4700  11 behind         "
                     "10.0.0.1:7600\n"
                     "central\n"
                     "  -  omega  witness  connected        -          -         3 entries behind  "
                     "10.0.0.1:7601\n"
                     "\n"
                     "partition  keys\n"
                     "mail          3\n"
                     "payments     12\n");
    free(text);
}
END_TEST

START_TEST(text_has_escapes_with_colour_alone)
{
    char *plain = render(false);
    char *colour = render(true);

    ck_assert_ptr_null(strchr(plain, '\033'));
    ck_assert_ptr_nonnull(strstr(colour, "\033[32mready\033[0m"));
    lose("gamma");
    free(colour);
    colour = render(true);
    ck_assert_ptr_nonnull(strstr(colour, "\033[1;31munreachable\033[0m"));
    free(plain);
    free(colour);
}
END_TEST

START_TEST(names_from_the_cluster_are_made_safe)
{
    char *text;

    nodes[0].node = text_of("g\033[2J");
    text = render(false);
    ck_assert_ptr_null(strchr(text, '\033'));
    ck_assert_ptr_nonnull(strstr(text, "g\\x1b[2J"));
    free(text);
}
END_TEST

START_TEST(witness_lag_is_unknown_unless_the_leader_answers)
{
    nodes[1].self = false;
    nodes[3].self = true;
    nodes[2].match_index = 0;
    status_view_fill(&state, endpoints, 4, &view);
    ck_assert_str_eq(view.nodes[4].name, "omega");
    ck_assert(!view.nodes[4].behind_known);
    ck_assert_uint_eq(view.nodes[4].entries_behind, 0);
}
END_TEST

START_TEST(json_has_what_the_text_has)
{
    json_t *object;
    json_t *node;

    lose("gamma");
    status_view_fill(&state, endpoints, 4, &view);
    object = status_view_json(&view);
    ck_assert_ptr_nonnull(object);
    ck_assert_str_eq(json_string_value(json_object_get(object, "cluster")), "prod");
    ck_assert_str_eq(json_string_value(json_object_get(object, "health")), "degraded");
    ck_assert_int_eq(json_integer_value(json_object_get(object, "voters_alive")), 4);
    ck_assert_uint_eq(json_array_size(json_object_get(object, "nodes")), NODES);
    node = json_array_get(json_object_get(object, "nodes"), 3);
    ck_assert_str_eq(json_string_value(json_object_get(node, "node")), "gamma");
    ck_assert_str_eq(json_string_value(json_object_get(node, "state")), "unreachable");
    ck_assert(json_is_null(json_object_get(node, "round_trip_ms")));
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_array_get(json_object_get(object, "partitions"), 1), "keys")),
                     12);
    json_decref(object);
}
END_TEST

START_TEST(more_nodes_and_partitions_than_there_can_be_are_left_out)
{
    static Quadhsm__ClusterNode *many[NODES_MAX + 1];
    static Quadhsm__PartitionInfo *parts[PARTITIONS_MAX + 1];

    for (unsigned i = 0; i < NODES_MAX + 1; i++) {
        many[i] = &nodes[0];
    }
    for (unsigned i = 0; i < PARTITIONS_MAX + 1; i++) {
        parts[i] = &partitions[0];
    }
    state.n_nodes = NODES_MAX + 1;
    state.nodes = many;
    state.n_partitions = PARTITIONS_MAX + 1;
    state.partitions = parts;
    status_view_fill(&state, endpoints, 4, &view);
    ck_assert_uint_eq(view.node_count, NODES_MAX);
    ck_assert_uint_eq(view.partition_count, PARTITIONS_MAX);
}
END_TEST

START_TEST(sizes_are_readable)
{
    char text[32];

    status_view_size(0, text, sizeof(text));
    ck_assert_str_eq(text, "0 B");
    status_view_size(1023, text, sizeof(text));
    ck_assert_str_eq(text, "1023 B");
    status_view_size(1024, text, sizeof(text));
    ck_assert_str_eq(text, "1.0 KiB");
    status_view_size(UINT64_MAX, text, sizeof(text));
    ck_assert_str_eq(text, "16777216.0 TiB");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status_view");
    TCase *tcase = tcase_create("status_view");

    tcase_add_checked_fixture(tcase, make_quad, NULL);
    tcase_add_test(tcase, five_of_five_are_healthy_and_can_lose_two);
    tcase_add_test(tcase, lost_nodes_are_named_and_the_reserve_shrinks);
    tcase_add_test(tcase, three_lost_nodes_are_no_quorum_but_keys_are_usable);
    tcase_add_test(tcase, locked_node_degrades_but_votes);
    tcase_add_test(tcase, node_that_only_its_peers_reach_still_votes);
    tcase_add_test(tcase, no_leader_is_told_apart_from_no_quorum);
    tcase_add_test(tcase, no_ready_node_is_said);
    tcase_add_test(tcase, single_node_can_lose_none);
    tcase_add_test(tcase, joining_node_is_not_counted_as_a_voter);
    tcase_add_test(tcase, text_groups_regions_with_the_witness_last);
    tcase_add_test(tcase, text_has_escapes_with_colour_alone);
    tcase_add_test(tcase, names_from_the_cluster_are_made_safe);
    tcase_add_test(tcase, witness_lag_is_unknown_unless_the_leader_answers);
    tcase_add_test(tcase, json_has_what_the_text_has);
    tcase_add_test(tcase, more_nodes_and_partitions_than_there_can_be_are_left_out);
    tcase_add_test(tcase, sizes_are_readable);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
