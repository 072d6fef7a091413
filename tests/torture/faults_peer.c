/* Cases of qh-faults: nodes that are not who they should be. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/certs.h"
#include "tests/torture/faults.h"
#include "tests/torture/process.h"

#define VALUE_SIZE 600u

/* A directory of certificates for n3 alone, by the cluster's authority. */
static void make_tls(struct scene *scene, struct cluster_node *node)
{
    char *from = process_format("%s/ca.crt", scene->cluster.tls_dir);
    char *from_key = process_format("%s/ca.key", scene->cluster.tls_dir);
    char *to;
    char *to_key;

    node->tls_dir = process_format("%s/tls-%s", scene->dir, node->name);
    if (mkdir(node->tls_dir, 0700) != 0) {
        abort();
    }
    to = process_format("%s/ca.crt", node->tls_dir);
    to_key = process_format("%s/ca.key", node->tls_dir);
    scene_copy(from, to);
    scene_copy(from_key, to_key);
    free(from);
    free(from_key);
    free(to);
    free(to_key);
}

static bool any_status(struct cluster *cluster, const void *unused)
{
    (void)cluster;
    (void)unused;
    return true;
}

/* Start n3 as it is now: it never gets to know a leader, both sides say why, and the others go on.
 * @text: what one of the logs says. */
static void stays_outside(struct scene *scene, const char *text)
{
    struct cluster_node *stranger = &scene->cluster.nodes[2];
    long from = cluster_log_size(stranger);
    long from_first = cluster_log_size(&scene->cluster.nodes[0]);

    cluster_start(stranger);
    if (!scene_expect(scene,
                      cluster_wait_log(stranger, from, text, FAULTS_WAIT_MS) ||
                          cluster_log_has(&scene->cluster.nodes[0], from_first, text),
                      "neither log says \"%s\"", text) ||
        !scene_goes_on(scene)) {
        return;
    }
    (void)scene_expect(scene, cluster_wait(&scene->cluster, any_status, NULL, FAULTS_WAIT_MS),
                       "a node does not tell its status");
    (void)scene_expect(scene, stranger->run == CLUSTER_DOWN || stranger->status.leader == 0,
                       "%s got to know the leader", stranger->name);
    cluster_kill(stranger);
    if (scene->why[0] == '\0') {
        (void)scene_finish(scene);
    }
}

/* Three members, the third of which is down: about to come back as somebody else. */
static bool begin_without_third(struct scene *scene)
{
    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return false;
    }
    cluster_kill(&scene->cluster.nodes[2]);
    return scene_goes_on(scene);
}

static void case_foreign_authority(struct scene *scene)
{
    struct cluster_node *node;

    if (!begin_without_third(scene)) {
        return;
    }
    node = &scene->cluster.nodes[2];
    make_tls(scene, node);
    certs_make_node_foreign(node->tls_dir, node->name);
    stays_outside(scene, "TLS failed");
}

static void case_expired(struct scene *scene)
{
    struct cluster_node *node;

    if (!begin_without_third(scene)) {
        return;
    }
    node = &scene->cluster.nodes[2];
    make_tls(scene, node);
    certs_make_node_expired(node->tls_dir, node->name);
    stays_outside(scene, "peers will refuse this node's certificate");
}

/* n3 has a certificate of the right authority with the name n2. */
static void case_other_name(struct scene *scene)
{
    struct cluster_node *node;

    if (!begin_without_third(scene)) {
        return;
    }
    node = &scene->cluster.nodes[2];
    make_tls(scene, node);
    certs_make_subject(node->tls_dir, node->name, "n2");
    stays_outside(scene, "the peer is not who it should be");
}

/* A node of the right name and authority, but made for another cluster. */
static void case_other_cluster(struct scene *scene)
{
    struct cluster *cluster = &scene->cluster;
    char saved[sizeof cluster->id];

    if (!begin_without_third(scene)) {
        return;
    }
    memcpy(saved, cluster->id, sizeof saved);
    memset(cluster->id, 'a', CLUSTER_ID_LENGTH);
    if (scene_recreate(scene, &cluster->nodes[2])) {
        memcpy(cluster->id, saved, sizeof saved);
        stays_outside(scene, "the peer is not who it should be");
    }
}

/* A node made anew under a member's name, but not added. */
static void case_other_id(struct scene *scene)
{
    if (begin_without_third(scene) && scene_recreate(scene, &scene->cluster.nodes[2])) {
        stays_outside(scene, "the peer is not who it should be");
    }
}

static void case_other_directory(struct scene *scene)
{
    struct cluster_node *node;

    if (!begin_without_third(scene)) {
        return;
    }
    node = &scene->cluster.nodes[2];
    /* n2 is running, but that is not what it must be refused for. */
    scene_copy(scene->cluster.nodes[1].dir, node->dir);
    if (scene_refuses(scene, node, "its directory belongs to another node", node->dir)) {
        (void)scene_finish(scene);
    }
}

static void case_second_process(struct scene *scene)
{
    struct cluster_node *twin;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    /* Another control socket and port, the same name and directory. */
    twin = cluster_add_node(&scene->cluster, "twin", scene->cluster.tls_dir);
    free(twin->dir);
    twin->dir = process_format("%s", scene->cluster.nodes[0].dir);
    if (scene_refuses(scene, twin, twin->dir, "pid")) {
        (void)scene_goes_on(scene);
    }
}

/* The directory as it was one start ago: the peers remember a newer one. */
static void case_rolled_back(struct scene *scene)
{
    struct cluster_node *node;
    char *backup;

    if (!begin_without_third(scene)) {
        return;
    }
    node = &scene->cluster.nodes[2];
    backup = process_format("%s/backup", scene->dir);
    scene_copy(node->dir, backup);
    cluster_start(node);
    if (scene_expect(scene, cluster_wait(&scene->cluster, cluster_has_leader, NULL, FAULTS_WAIT_MS),
                     "%s does not come back", node->name) &&
        scene_goes_on(scene)) {
        cluster_kill(node);
        scene_copy(backup, node->dir);
        stays_outside(scene, "rolled back");
    }
    free(backup);
}

const struct faults_entry faults_peer_cases[] = {
    {"a_certificate_of_a_foreign_authority_is_refused", case_foreign_authority},
    {"an_expired_certificate_is_refused", case_expired},
    {"a_certificate_of_another_name_is_refused", case_other_name},
    {"a_node_of_another_cluster_is_refused", case_other_cluster},
    {"a_node_made_anew_but_not_added_is_refused", case_other_id},
    {"another_node's_directory_is_refused", case_other_directory},
    {"a_directory_in_use_is_refused", case_second_process},
    {"a_directory_from_a_backup_is_refused_by_the_peers", case_rolled_back},
    {NULL, NULL},
};
