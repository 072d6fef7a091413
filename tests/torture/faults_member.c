/* Cases of qh-faults: membership and recovery with real processes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/torture/faults.h"
#include "tests/torture/process.h"

#define VALUE_SIZE 600u
#define OUTPUT_SIZE 4096u

static struct cluster_node *node_of(struct scene *scene, unsigned index)
{
    return &scene->cluster.nodes[index];
}

static bool has_members(struct scene *scene, unsigned members)
{
    return scene_expect(
        scene, cluster_wait(&scene->cluster, cluster_has_members, &members, FAULTS_WAIT_MS),
        "the nodes do not come to know of %u voters", members);
}

static void case_grow(struct scene *scene)
{
    if (!scene_make(scene, 3, 1, VALUE_SIZE)) {
        return;
    }
    if (!scene_start(scene) || !scene_add(scene, node_of(scene, 1)) ||
        !scene_add(scene, node_of(scene, 2)) || !has_members(scene, 3) || !scene_goes_on(scene)) {
        return;
    }
    (void)scene_finish(scene);
}

static void case_remove(struct scene *scene)
{
    struct cluster_node *gone;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    gone = cluster_leader(&scene->cluster) == node_of(scene, 2) ? node_of(scene, 1)
                                                                : node_of(scene, 2);
    if (!scene_remove(scene, gone->id)) {
        return;
    }
    cluster_kill(gone);
    if (has_members(scene, 2) && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
}

/* A leader does not take itself out: it says so, hands over when told to, and can be removed then.
 */
static void case_remove_leader(struct scene *scene)
{
    struct cluster_node *leader;
    char *request;
    char answer[CLUSTER_LINE_SIZE_MAX];
    bool refused;

    if (!scene_begin(scene, 3, VALUE_SIZE) || !scene_transfer(scene, node_of(scene, 0))) {
        return;
    }
    leader = node_of(scene, 0);
    request = process_format("remove %" PRIu64, leader->id);
    refused = cluster_ask(leader, request, request, FAULTS_WAIT_MS, answer) &&
              strcmp(answer, "QH_EREFUSED") == 0;
    free(request);
    if (!scene_expect(scene, refused, "the leader does not refuse to remove itself") ||
        !scene_goes_on(scene) || !scene_transfer(scene, node_of(scene, 1)) ||
        !scene_remove(scene, leader->id)) {
        return;
    }
    cluster_kill(leader);
    if (has_members(scene, 2) && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
}

static void case_rejoin(struct scene *scene)
{
    struct cluster_node *lost;
    uint64_t old_id;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    lost = node_of(scene, 2);
    old_id = lost->id;
    cluster_kill(lost);
    if (!scene_goes_on(scene) || !scene_remove(scene, old_id) || !scene_recreate(scene, lost) ||
        !scene_expect(scene, lost->id != old_id, "the new directory has the old id")) {
        return;
    }
    cluster_start(lost);
    if (scene_add(scene, lost) && has_members(scene, 3) && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
}

static void case_transfer(struct scene *scene)
{
    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    for (unsigned i = 0; i < 6; i++) {
        if (!scene_transfer(scene, node_of(scene, i % 3)) || !scene_goes_on(scene)) {
            return;
        }
    }
    (void)scene_finish(scene);
}

/* A node that stops in order hands its leadership over and ends with status 0. */
static void case_stop(struct scene *scene)
{
    struct cluster_node *leader;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    leader = cluster_leader(&scene->cluster);
    (void)cluster_send(leader, "stop");
    if (!scene_expect(scene, cluster_wait_end(leader, FAULTS_WAIT_MS), "%s does not stop",
                      leader->name) ||
        !scene_expect(scene, leader->wait_status == 0, "%s stops with wait status %d", leader->name,
                      leader->wait_status) ||
        !scene_goes_on(scene)) {
        return;
    }
    cluster_start(leader);
    (void)scene_finish(scene);
}

static void case_address(struct scene *scene)
{
    struct cluster_node *moved;
    char *request;
    char answer[CLUSTER_LINE_SIZE_MAX];

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    moved = node_of(scene, 2);
    cluster_kill(moved);
    moved->port = cluster_free_port();
    cluster_start(moved);
    request = process_format("address %s 127.0.0.1 %u", moved->name, (unsigned)moved->port);
    for (unsigned i = 0; i < 2; i++) {
        if (!scene_expect(
                scene,
                cluster_ask(node_of(scene, i), request, "address", FAULTS_WAIT_MS, answer) &&
                    strcmp(answer, "QH_OK") == 0,
                "%s does not take the new address", node_of(scene, i)->name)) {
            break;
        }
    }
    free(request);
    if (scene->why[0] == '\0' && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
}

/* n1 survives, alone, in generation 2. */
static bool recover_first(struct scene *scene)
{
    char output[OUTPUT_SIZE];

    if (!scene_begin(scene, 3, VALUE_SIZE) || !scene_settle(scene)) {
        return false;
    }
    if (!scene_expect(scene, !cluster_recover(node_of(scene, 0), output, sizeof output),
                      "recover goes to work on a running node")) {
        return false;
    }
    cluster_kill_all(&scene->cluster);
    if (!scene_expect(scene, cluster_recover(node_of(scene, 0), output, sizeof output),
                      "recover fails: %s", output) ||
        !scene_expect(scene, strstr(output, "generation 2") != NULL, "recover says: %s", output)) {
        return false;
    }
    cluster_start(node_of(scene, 0));
    scene->writer.on = true;
    return has_members(scene, 1) && scene_goes_on(scene);
}

static void case_recover(struct scene *scene)
{
    struct cluster_node *old;
    long from;

    if (!recover_first(scene)) {
        return;
    }
    old = node_of(scene, 1);
    from = cluster_log_size(node_of(scene, 0));
    cluster_start(old);
    if (!scene_expect(
            scene,
            cluster_wait_log(old, 0, "another generation of the cluster", FAULTS_WAIT_MS) ||
                cluster_wait_log(node_of(scene, 0), from, "another generation of the cluster",
                                 FAULTS_WAIT_MS),
            "neither log says that %s is of another generation", old->name) ||
        !scene_goes_on(scene)) {
        return;
    }
    cluster_kill(old);
    (void)scene_finish(scene);
}

static void case_recover_grow(struct scene *scene)
{
    if (!recover_first(scene)) {
        return;
    }
    for (unsigned i = 1; i < 3; i++) {
        if (!scene_recreate(scene, node_of(scene, i))) {
            return;
        }
        cluster_start(node_of(scene, i));
        if (!scene_add(scene, node_of(scene, i))) {
            return;
        }
    }
    if (has_members(scene, 3) && scene_goes_on(scene)) {
        (void)scene_finish(scene);
    }
}

const struct faults_entry faults_member_cases[] = {
    {"one_node_grows_to_three", case_grow},
    {"a_member_is_removed", case_remove},
    {"the_leader_is_removed_only_after_a_transfer", case_remove_leader},
    {"a_lost_node_rejoins_under_a_new_id", case_rejoin},
    {"leadership_is_transferred_under_load", case_transfer},
    {"a_stopped_leader_hands_over_and_comes_back", case_stop},
    {"a_node_changes_its_address", case_address},
    {"a_survivor_recovers_and_the_old_generation_is_refused", case_recover},
    {"a_recovered_cluster_grows_to_three_again", case_recover_grow},
    {NULL, NULL},
};
