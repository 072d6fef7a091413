/* Cases of qh-faults: disks that are full or cannot be written. They need root and a kernel that
 * lets them mount; else they are skipped. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raft-glue/replica.h"
#include "tests/torture/faults.h"
#include "tests/torture/process.h"

#define VALUE_SIZE 4000u /* fills a segment soon */
#define SMALL_DISK "size=224m"
#define LEFT_FREE (1u << 20) /* bytes, below one log segment */

/* n1's directory on a small disk of its own, which holds nothing yet. */
static bool mount_small_disk(struct scene *scene)
{
    char *dir = process_format("%s/n1", scene->dir);
    bool done = mkdir(dir, 0700) == 0 && mount("none", dir, "tmpfs", 0, SMALL_DISK) == 0;

    if (!done) {
        scene_skip(scene, "a tmpfs cannot be mounted: %s", strerror(errno));
    }
    free(dir);
    return done;
}

static char *ballast_path(const struct cluster_node *node)
{
    return process_format("%s/ballast", node->dir);
}

static bool fill_disk(struct scene *scene, const struct cluster_node *node)
{
    char *path = ballast_path(node);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    struct statvfs info;
    bool done = false;

    if (fd >= 0 && fstatvfs(fd, &info) == 0) {
        off_t size = (off_t)(info.f_bavail * info.f_frsize) - (off_t)LEFT_FREE;

        done = posix_fallocate(fd, 0, size) == 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(path);
    return scene_expect(scene, done, "the disk cannot be filled: %s", strerror(errno));
}

static void free_disk(const struct cluster_node *node)
{
    char *path = ballast_path(node);

    (void)unlink(path);
    free(path);
}

/* The node ends by itself because of its disk and says so; the others go on. */
static bool stops_clearly(struct scene *scene, const struct cluster_node *node, long from)
{
    char how[64];

    if (!scene_expect(scene, cluster_wait_end(&scene->cluster.nodes[0], 2 * FAULTS_WAIT_MS),
                      "%s goes on", node->name)) {
        return false;
    }
    process_describe(node->wait_status, how, sizeof how);
    return scene_expect(scene,
                        WIFEXITED(node->wait_status) &&
                            WEXITSTATUS(node->wait_status) == REPLICA_EXIT_FATAL,
                        "%s does not stop in the orderly way: %s", node->name, how) &&
           scene_expect(scene, cluster_log_has(node, from, "node stopped:"),
                        "the log does not say why %s stopped", node->name) &&
           scene_goes_on(scene);
}

/* A short write at a full disk leaves the log as it was: the node comes back with it. */
static void run_full(struct scene *scene, bool leads)
{
    struct cluster_node *node;
    long from;

    if (!mount_small_disk(scene) || !scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    node = &scene->cluster.nodes[0];
    if (!scene_transfer(scene, &scene->cluster.nodes[leads ? 0 : 1])) {
        return;
    }
    from = cluster_log_size(node);
    if (!fill_disk(scene, node) || !stops_clearly(scene, node, from) ||
        !scene_refuses(scene, node, "space", node->dir) || !scene_goes_on(scene)) {
        return;
    }
    free_disk(node);
    cluster_start(node);
    (void)scene_finish(scene);
}

static void case_full_follower(struct scene *scene)
{
    run_full(scene, false);
}

static void case_full_leader(struct scene *scene)
{
    run_full(scene, true);
}

static int set_immutable(const char *dir, bool immutable)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int flags = 0;
    int rv = fd < 0 ? -1 : ioctl(fd, FS_IOC_GETFLAGS, &flags);

    if (rv == 0) {
        flags = immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        rv = ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return rv;
}

/* No file can be made, renamed or removed in raft/, as on a disk that the kernel has made
 * read-only after an error; root is bound by it too. */
static void case_unwritable(struct scene *scene)
{
    struct cluster_node *node;
    char *raft_dir;
    long from;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    node = &scene->cluster.nodes[0];
    raft_dir = process_format("%s/raft", node->dir);
    from = cluster_log_size(node);
    if (set_immutable(raft_dir, true) != 0) {
        scene_skip(scene, "the directory cannot be made immutable: %s", strerror(errno));
    } else {
        bool clear = stops_clearly(scene, node, from) &&
                     scene_refuses(scene, node, node->dir, NULL) && scene_goes_on(scene);

        (void)set_immutable(raft_dir, false);
        if (clear) {
            cluster_start(node);
            (void)scene_finish(scene);
        }
    }
    free(raft_dir);
}

/* A read-only file system at the start. */
static void case_read_only(struct scene *scene)
{
    struct cluster_node *node;

    if (!scene_begin(scene, 3, VALUE_SIZE)) {
        return;
    }
    node = &scene->cluster.nodes[0];
    cluster_kill(node);
    if (mount(node->dir, node->dir, NULL, MS_BIND, NULL) != 0) {
        scene_skip(scene, "a directory cannot be mounted: %s", strerror(errno));
        return;
    }
    if (mount("none", node->dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0) {
        scene_skip(scene, "a mount cannot be made read-only: %s", strerror(errno));
    } else {
        (void)(scene_refuses(scene, node, node->dir, NULL) && scene_goes_on(scene));
    }
    (void)umount2(node->dir, MNT_DETACH);
    if (scene->why[0] == '\0') {
        cluster_start(node);
        (void)scene_finish(scene);
    }
}

const struct faults_entry faults_disk_cases[] = {
    {"a_follower_with_a_full_disk_stops_and_comes_back", case_full_follower},
    {"a_leader_with_a_full_disk_stops_and_comes_back", case_full_leader},
    {"a_node_whose_directory_becomes_unwritable_stops", case_unwritable},
    {"a_read_only_directory_is_refused", case_read_only},
    {NULL, NULL},
};
