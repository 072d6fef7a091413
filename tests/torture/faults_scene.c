/* What the cases of qh-faults have in common. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/torture/faults.h"
#include "tests/torture/offline.h"
#include "tests/torture/process.h"

#define NS_PER_MS 1000000u
#define OUTSTANDING 8u
#define PUT_TIMEOUT_MAX_MS 1000u
#define OUTPUT_SIZE 4096u

bool scene_expect(struct scene *scene, bool condition, const char *format, ...)
{
    va_list args;

    if (!condition && scene->why[0] == '\0') {
        va_start(args, format);
        (void)vsnprintf(scene->why, sizeof scene->why, format, args);
        va_end(args);
    }
    return condition;
}

void scene_skip(struct scene *scene, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(scene->why, sizeof scene->why, format, args);
    va_end(args);
    scene->skipped = true;
}

void scene_lay_out(struct scene *scene, unsigned count, unsigned value_size)
{
    struct cluster *cluster = &scene->cluster;

    cluster_init(cluster, scene->dir, count, false);
    writer_init(&scene->writer, cluster,
                (struct writer_options){.outstanding = OUTSTANDING,
                                        .rate = 0,
                                        .value_size = value_size,
                                        .timeout_max_ms = PUT_TIMEOUT_MAX_MS});
}

bool scene_make(struct scene *scene, unsigned count, unsigned members, unsigned value_size)
{
    struct cluster *cluster = &scene->cluster;

    scene_lay_out(scene, count, value_size);
    for (unsigned i = 0; i < count; i++) {
        if (!scene_expect(scene, cluster_create_node(&cluster->nodes[i]), "%s cannot be made",
                          cluster->nodes[i].name)) {
            return false;
        }
    }
    return scene_expect(scene, cluster_bootstrap(cluster, members), "bootstrap failed");
}

bool scene_start(struct scene *scene)
{
    cluster_start_all(&scene->cluster);
    if (!scene_expect(scene,
                      cluster_wait(&scene->cluster, cluster_has_leader, NULL, FAULTS_WAIT_MS),
                      "there is no leader")) {
        return false;
    }
    scene->writer.on = true;
    return scene_goes_on(scene);
}

bool scene_begin(struct scene *scene, unsigned members, unsigned value_size)
{
    return scene_make(scene, members, members, value_size) && scene_start(scene);
}

bool scene_goes_on(struct scene *scene)
{
    return scene_expect(scene, writer_wait_acks(&scene->writer, FAULTS_WRITES, FAULTS_WAIT_MS),
                        "the cluster acknowledges no writes");
}

bool scene_settle(struct scene *scene)
{
    struct writer *writer = &scene->writer;

    return scene_expect(scene, writer_drain(writer, FAULTS_WAIT_MS),
                        "%u writes are without an outcome", writer->busy) &&
           scene_expect(scene,
                        cluster_wait(&scene->cluster, cluster_is_equal, NULL, FAULTS_WAIT_MS),
                        "the nodes do not become equal") &&
           scene_expect(scene, writer_verify(writer, FAULTS_WAIT_MS) == 0,
                        "a node does not hold what was acknowledged") &&
           scene_expect(scene, writer->counters.violations == 0,
                        "there were answers that must not come");
}

bool scene_finish(struct scene *scene)
{
    struct cluster *cluster = &scene->cluster;
    bool among[CLUSTER_NODES_MAX];
    struct offline_result result;

    if (!scene_settle(scene)) {
        return false;
    }
    for (unsigned i = 0; i < cluster->count; i++) {
        among[i] = cluster->nodes[i].run == CLUSTER_RUNNING;
    }
    cluster_kill_all(cluster);
    result = offline_examine(cluster, &scene->writer, among);
    return scene_expect(scene, offline_passed(&result),
                        "of %u directories %u are whole, %u equal, %u hold all acknowledged writes",
                        result.directories, result.whole, result.equal, result.holding);
}

bool scene_refuses(struct scene *scene, struct cluster_node *node, const char *text,
                   const char *text_too)
{
    long from = cluster_log_size(node);
    char how[64];

    cluster_start(node);
    if (!scene_expect(scene, cluster_wait_end(node, FAULTS_WAIT_MS), "%s starts", node->name)) {
        return false;
    }
    process_describe(node->wait_status, how, sizeof how);
    return scene_expect(scene, WIFEXITED(node->wait_status) && WEXITSTATUS(node->wait_status) == 1,
                        "%s does not start, but not in the orderly way: %s", node->name, how) &&
           scene_expect(scene, cluster_log_has(node, from, text),
                        "the log of %s does not say \"%s\"", node->name, text) &&
           scene_expect(scene, text_too == NULL || cluster_log_has(node, from, text_too),
                        "the log of %s does not say \"%s\"", node->name, text_too);
}

bool scene_change(struct scene *scene, const char *request, const char *label)
{
    uint64_t end_ns = clock_monotonic_ns() + (uint64_t)FAULTS_WAIT_MS * NS_PER_MS;
    char answer[CLUSTER_LINE_SIZE_MAX] = "no answer";

    while (clock_monotonic_ns() < end_ns) {
        struct cluster_node *leader;

        if (!cluster_wait(&scene->cluster, cluster_has_leader, NULL, FAULTS_WAIT_MS)) {
            break;
        }
        leader = cluster_leader(&scene->cluster);
        if (leader != NULL && cluster_ask(leader, request, label, FAULTS_WAIT_MS, answer) &&
            strcmp(answer, "QH_OK") == 0) {
            return true;
        }
    }
    return scene_expect(scene, false, "\"%s\" ends with: %s", request, answer);
}

bool scene_add(struct scene *scene, const struct cluster_node *node)
{
    char *request = process_format("add %" PRIu64 " %s", node->id, node->name);
    char *label = process_format("add %" PRIu64, node->id);
    bool done = scene_change(scene, request, label);

    free(request);
    free(label);
    return done;
}

bool scene_remove(struct scene *scene, uint64_t id)
{
    char *request = process_format("remove %" PRIu64, id);
    bool done = scene_change(scene, request, request);

    free(request);
    return done;
}

bool scene_transfer(struct scene *scene, const struct cluster_node *node)
{
    char *request = process_format("transfer %" PRIu64, node->id);
    bool done = cluster_leader(&scene->cluster) == node || scene_change(scene, request, request);

    free(request);
    return done &&
           scene_expect(scene,
                        cluster_wait(&scene->cluster, cluster_has_leader, NULL, FAULTS_WAIT_MS) &&
                            cluster_leader(&scene->cluster) == node,
                        "%s does not lead after a transfer", node->name);
}

void scene_copy(const char *from, const char *to)
{
    char program[] = "/bin/cp";
    char archive[] = "-a";
    char *source = process_format("%s", from);
    char *target = process_format("%s", to);
    char *argv[] = {program, archive, source, target, NULL};
    char output[OUTPUT_SIZE];

    process_remove_tree(to);
    if (process_run(argv, output, sizeof output) != 0) {
        (void)fprintf(stderr, "cp: %s\n", output);
        abort();
    }
    free(source);
    free(target);
}

bool scene_recreate(struct scene *scene, struct cluster_node *node)
{
    process_remove_tree(node->dir);
    return scene_expect(scene, cluster_create_node(node), "%s cannot be made again", node->name);
}
